// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_ecn.c - explicit congestion notification.
 * Owns        tcb->ecn.
 * Implements  RFC 3168 section 6.1: negotiation, the receiver's echo, the sender's one reduction per
 *             window. Offered in every first SYN; a SYN that is sent again goes without (6.1.1.1), in
 *             case a middlebox eats it, and so does a SYN,ACK. RFC 8257 sections 3.1 and 3.2 (DCTCP).
 * Called by   input (marks and echoes that arrive), output (marks and echoes to send).
 * Not here    how far cwnd falls: the congestion control's ssthresh.
 */
#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

#define ECN_MASK 3u
#define ECN_ECT0 2u
#define ECN_CE	 3u

bool ecn_requested(const struct mr_seg *seg)
{
	uint8_t both = MR_TCP_ECE | MR_TCP_CWR;

	return (seg->flags & (both | MR_TCP_SYN | MR_TCP_ACK)) == (both | MR_TCP_SYN);
}

/* Section 6.1.1: ECE without CWR; both together is a mirror that does not know what it reflects. */
bool ecn_granted(const struct mr_seg *seg)
{
	return (seg->flags & (MR_TCP_ECE | MR_TCP_CWR)) == MR_TCP_ECE;
}

uint8_t ecn_syn_flags(const struct mr_tcb *tcb)
{
	if (tcb->retrans)
		return 0;
	if (tcb->state == MR_TCP_SYN_RECEIVED)
		return tcb->ecn.ok ? MR_TCP_ECE : 0;
	return MR_TCP_ECE | MR_TCP_CWR;
}

static bool dctcp(const struct mr_tcb *tcb)
{
	return tcb->ecn.ok && mr_cong(tcb->opts.congestion)->dctcp;
}

/* RFC 8257 section 3.2: marks begin or end with this segment. What came before it is acknowledged by itself,
 * with what was true of it. */
static void echo_changes(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	struct mr_ecn *e = &tcb->ecn;

	if (tcb->unacked_bytes && e->nacks < MR_TCP_ECN_ACKS)
		e->acks[e->nacks++] = (struct mr_ecn_ack){ .ack = tcb->rcv_nxt, .ece = e->echo };
	tcb->unacked_bytes = 0;
	e->echo = !e->echo;
	tcb_mark(tcp, tcb);
}

void ecn_received(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t tos)
{
	if (!tcb->ecn.ok)
		return;
	if (dctcp(tcb)) {
		bool ce = (tos & ECN_MASK) == ECN_CE;

		MR_COUNT_N(tcp->ctr, TCP_ECN_CE_IN, ce && seg->len);
		if (seg->len && ce != tcb->ecn.echo)
			echo_changes(tcp, tcb);
		return;
	}
	if (seg->flags & MR_TCP_CWR) /* the sender has slowed down (section 6.1.3) */
		tcb->ecn.echo = false;
	if ((tos & ECN_MASK) == ECN_CE && seg->len) {
		MR_COUNT(tcp->ctr, TCP_ECN_CE_IN);
		if (!tcb->ecn.echo) {
			tcb->ecn.echo = true;
			tcb->ack_now = true; /* the sooner the sender knows, the better */
			tcb_mark(tcp, tcb);
		}
	}
}

void ecn_echoed(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, uint32_t acked,
		uint64_t now)
{
	const struct mr_cong_ops *control = mr_cong(tcb->opts.congestion);
	uint32_t flight = seq_diff(tcb->snd_nxt, tcb->snd_una);

	if (tcb->ecn.ok && control->ecn)
		control->ecn(tcb, acked, seg->flags & MR_TCP_ECE);
	/* Once per window (section 6.1.2); a loss in it has slowed us down already. */
	if (!tcb->ecn.ok || !(seg->flags & MR_TCP_ECE) || tcb->loss != MR_LOSS_OPEN ||
	    seq_lt(tcb->snd_una, tcb->ecn.reduced_at) || !flight)
		return;
	MR_COUNT(tcp->ctr, TCP_ECN_REDUCED);
	tcb->ssthresh = (control->marked ?: control->ssthresh)(tcb, tcb_in_flight(tcb), now);
	tcb->cwnd = mr_min(tcb->cwnd, tcb->ssthresh);
	tcb->ecn.reduced_at = tcb->snd_nxt;
	tcb->ecn.cwr_owed = true;
}

uint8_t ecn_flags(struct mr_tcb *tcb, bool new_data)
{
	uint8_t flags = tcb->ecn.ok && tcb->ecn.echo ? MR_TCP_ECE : 0;

	if (new_data && tcb->ecn.cwr_owed) { /* section 6.1.2: with the first new data */
		tcb->ecn.cwr_owed = false;
		flags |= MR_TCP_CWR;
	}
	return flags;
}

/* New data only: not pure ACKs (6.1.4), not retransmissions (6.1.5). With DCTCP all of it, as in Linux: where
 * switches mark what is ECT, they drop the rest first (RFC 8257 section 3.6, section 4.1). */
uint8_t ecn_tos(const struct mr_tcb *tcb, bool new_data)
{
	uint8_t tos = tcb->opts.tos & (uint8_t)~ECN_MASK;

	return tcb->ecn.ok && (new_data || (dctcp(tcb) && tcb_synchronized(tcb))) ? tos | ECN_ECT0 :
										    tos;
}
