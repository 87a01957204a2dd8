// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_newreno.c - slow start and congestion avoidance.
 * Implements  RFC 5681 section 3.1, with byte counting of RFC 3465.
 * Called by   tcp_loss.c through struct mr_cong_ops.
 * Not here    recovery (tcp_loss.c): it is the same for every control.
 */
#include "tcp/tcp_cong.h"

struct newreno {
	uint32_t part; /* of a byte, of growth in congestion avoidance */
};
_Static_assert(sizeof(struct newreno) <= sizeof(((struct mr_sending *)0)->cc_priv),
	       "private state fits");

static struct newreno *priv(struct mr_tcb *tcb)
{
	return (struct newreno *)tcb->sending->cc_priv;
}

static void newreno_init(struct mr_tcb *tcb, uint64_t now)
{
	(void)now;
	tcb->cwnd = mr_cong_initial_window(tcb->snd_mss);
	tcb->ssthresh = UINT32_MAX;
}

static void newreno_acked(struct mr_tcb *tcb, uint32_t acked, uint64_t rtt_ns, uint64_t now)
{
	(void)rtt_ns;
	(void)now;
	mr_cong_grow(tcb, acked, &priv(tcb)->part);
}

static uint32_t newreno_ssthresh(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now)
{
	(void)now;
	priv(tcb)->part = 0;
	return mr_max(mr_cong_used(tcb, in_flight) / 2, 2u * tcb->snd_mss); /* RFC 5681 (4) */
}

const struct mr_cong_ops mr_cong_newreno = {
	.name = "newreno",
	.init = newreno_init,
	.acked = newreno_acked,
	.ssthresh = newreno_ssthresh,
};
