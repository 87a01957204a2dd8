// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_loss.c - judge what is lost, and how fast to go on.
 * Owns        loss, recover, dupacks, dup_bytes, ssthresh; lowers cwnd (the control raises it).
 * Implements  RFC 5681 section 3.2 (fast retransmit and recovery), RFC 6582 (NewReno partial ACKs),
 *             RFC 6298 (5.4) - (5.6).
 * Called by   ACK processing and the retransmission timer.
 * Not here    sending again (tcp_output.c): here frames are only marked.
 *
 * Instead of inflating cwnd by a segment for each duplicate ACK (RFC 5681 3.2 step 4), what those
 * ACKs say has left the network is deducted from what counts as in flight: the same sum, but cwnd
 * keeps its meaning.
 */
#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

static const struct mr_cong_ops *control(const struct mr_tcb *tcb)
{
	return mr_cong(tcb->opts.congestion);
}

/* The first segment that is not acknowledged: all frames of it. */
static void mark_head_lost(struct mr_tcb *tcb)
{
	struct mr_frame *f = tcb->sndq.head;
	uint32_t n = 0;

	if (!f || f == tcb->sndq.unsent) {
		tcb->fin_lost = tcb->fin_sent;
		return;
	}
	for (; f && f != tcb->sndq.unsent &&
	       n + f->pay_len <= mr_max(f->pay_len, (uint32_t)tcb->snd_mss);
	     f = f->next) {
		n += f->pay_len;
		sndq_mark_lost(tcb, f);
	}
}

static void leave_recovery(struct mr_tcb *tcb)
{
	tcb->loss = MR_LOSS_OPEN;
	tcb->dupacks = 0;
	tcb->dup_bytes = 0;
}

static void enter_recovery(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	uint32_t flight = seq_diff(tcb->snd_nxt, tcb->snd_una);

	MR_COUNT(tcp->ctr, TCP_FAST_RETRANS);
	tcb->ssthresh = control(tcb)->ssthresh(tcb, flight, now);
	tcb->cwnd = tcb->ssthresh;
	tcb->recover = tcb->snd_nxt;
	tcb->loss = MR_LOSS_RECOVERY;
	mark_head_lost(tcb);
}

void loss_dupack(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	uint32_t out = seq_diff(tcb->snd_nxt, tcb->snd_una);

	MR_COUNT(tcp->ctr, TCP_DUPACK_IN);
	tcb->dupacks++;
	if (tcb->loss != MR_LOSS_RTO)
		tcb->dup_bytes = mr_min(tcb->dup_bytes + tcb->snd_mss, out);
	/* RFC 6582 section 3.2 step 2: not again for losses of a window that was already dealt
	 * with. */
	if (tcb->loss == MR_LOSS_OPEN && tcb->dupacks == MR_TCP_DUPTHRESH &&
	    seq_gt(tcb->snd_una, tcb->recover))
		enter_recovery(tcp, tcb, now);
	tcb_mark(tcp, tcb);
}

/* RFC 6582 section 3.2 step 3, partial acknowledgment: the next hole is lost, too. */
static void partial_ack(struct mr_tcb *tcb, uint32_t acked)
{
	tcb->dup_bytes -= mr_min(tcb->dup_bytes, acked);
	mark_head_lost(tcb);
}

void loss_new_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t acked, uint64_t rtt_ns,
		  uint64_t now)
{
	switch ((enum mr_loss_state)tcb->loss) {
	case MR_LOSS_RECOVERY:
		if (seq_lt(tcb->snd_una, tcb->recover)) {
			partial_ack(tcb, acked);
			break;
		}
		leave_recovery(tcb);
		/* RFC 6582 step 3, full acknowledgment, option 1: no burst of what the window now
		 * allows. */
		tcb->cwnd =
			mr_min(tcb->ssthresh,
			       mr_max(tcb_in_flight(tcb), (uint32_t)tcb->snd_mss) + tcb->snd_mss);
		break;
	case MR_LOSS_RTO:
		if (seq_geq(tcb->snd_una, tcb->recover))
			leave_recovery(tcb);
		control(tcb)->acked(tcb, acked, rtt_ns, now);
		break;
	case MR_LOSS_OPEN:
		leave_recovery(tcb);
		if (tcb->cwnd_limited) /* RFC 7661: cwnd that is not used is not validated */
			control(tcb)->acked(tcb, acked, rtt_ns, now);
		break;
	}
	tcb_mark(tcp, tcb);
}

void loss_rto(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_frame *f;

	MR_COUNT(tcp->ctr, TCP_RTO);
	/* RFC 5681 section 3.1: a segment that is timed out again does not lower ssthresh again. */
	if (!tcb->backoff)
		tcb->ssthresh = control(tcb)->ssthresh(tcb, tcb_in_flight(tcb), now);
	tcb->cwnd = tcb->snd_mss;
	tcb->loss = MR_LOSS_RTO;
	tcb->recover = tcb->snd_nxt;
	tcb->dupacks = 0;
	tcb->dup_bytes = 0;
	for (f = tcb->sndq.head; f && f != tcb->sndq.unsent; f = f->next)
		sndq_mark_lost(tcb, f);
	tcb->fin_lost = tcb->fin_sent;
	tcb_mark(tcp, tcb);
}
