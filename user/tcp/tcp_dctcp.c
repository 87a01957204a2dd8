// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_dctcp.c - DCTCP: reduces cwnd by the share of packets that a switch has marked.
 * Implements  RFC 8257, the sender: section 3.3. Growth and the response to loss are Reno's (3.4, 3.5).
 * Called by   tcp_loss.c and tcp_ecn.c through struct mr_cong_ops.
 * Not here    the receiver's exact echoes (section 3.2), and ECT on sent packets (tcp_ecn.c).
 *
 * Only for networks under one administration (section 5): it takes bandwidth from controls that treat a mark like a
 * loss.
 */
#include "tcp/tcp_cong.h"

#define ALPHA_ONE (1u << 20) /* stands for alpha = 1 */
#define G_SHIFT	  4	     /* DCTCP.g = 1/16 (section 4.2) */

struct dctcp {
	uint64_t grown; /* bytes acknowledged since cwnd last grew in congestion avoidance */
	uint64_t acked, marked; /* bytes in this observation window */
	uint32_t window_end;
	uint32_t alpha; /* in units of 1 / ALPHA_ONE */
	uint32_t part;	/* of a byte, of growth in congestion avoidance */
};
_Static_assert(sizeof(struct dctcp) <= sizeof(((struct mr_sending *)0)->cc_priv),
	       "private state fits");

static struct dctcp *priv(struct mr_tcb *tcb)
{
	return (struct dctcp *)tcb->sending->cc_priv;
}

static void dctcp_init(struct mr_tcb *tcb, uint64_t now)
{
	(void)now;
	tcb->cwnd = mr_cong_initial_window(tcb->snd_mss);
	tcb->ssthresh = UINT32_MAX;
	priv(tcb)->alpha = ALPHA_ONE; /* section 4.2: the first mark halves cwnd */
	priv(tcb)->window_end = tcb->snd_una;
}

static void dctcp_acked(struct mr_tcb *tcb, uint32_t acked, uint64_t rtt_ns, uint64_t now)
{
	(void)rtt_ns;
	(void)now;
	mr_cong_grow(tcb, acked, &priv(tcb)->part);
}

/* Section 3.3: alpha = (1 - g) * alpha + g * M, once for each window of data. */
static void dctcp_ecn(struct mr_tcb *tcb, uint32_t acked, bool ece)
{
	struct dctcp *d = priv(tcb);

	d->acked += acked;
	if (ece)
		d->marked += acked;
	if (!acked || seq_leq(tcb->snd_una, d->window_end))
		return;
	d->alpha -= d->alpha >> G_SHIFT;
	if (d->acked)
		d->alpha += (uint32_t)((d->marked << (20 - G_SHIFT)) / d->acked);
	d->alpha = mr_min(d->alpha, ALPHA_ONE);
	d->acked = d->marked = 0;
	d->window_end = tcb->snd_nxt;
}

/* Section 3.3: cwnd = cwnd * (1 - alpha / 2). */
static uint32_t dctcp_marked(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now)
{
	uint64_t cut = (uint64_t)tcb->cwnd * priv(tcb)->alpha / ALPHA_ONE / 2;

	(void)in_flight;
	(void)now;
	priv(tcb)->part = 0;
	return mr_max(tcb->cwnd - (uint32_t)cut, 2u * tcb->snd_mss);
}

/* Section 3.5: the response to a loss is Reno's. */
static uint32_t dctcp_ssthresh(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now)
{
	(void)now;
	priv(tcb)->part = 0;
	return mr_max(mr_cong_used(tcb, in_flight) / 2, 2u * tcb->snd_mss);
}

const struct mr_cong_ops mr_cong_dctcp = {
	.name = "dctcp",
	.dctcp = true,
	.init = dctcp_init,
	.acked = dctcp_acked,
	.ssthresh = dctcp_ssthresh,
	.marked = dctcp_marked,
	.ecn = dctcp_ecn,
};
