// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_loss.c - loss recovery: what is retransmitted, how fast, and the undo if nothing was lost after all.
 * Owns        loss, recover, dupacks, dup_bytes, ssthresh, prr, undo; reduces cwnd (congestion control increases it).
 * Implements  RFC 5681 section 3.2 and RFC 6582 (without SACK), RFC 6937bis (PRR), RFC 5682 (F-RTO, with SACK section
 *             3, without section 2), RFC 3522 and 4015 (Eifel), RFC 3708 (undo by D-SACK), RFC 6298 (5.4)-(5.6).
 * Called by   ACK processing and the timers.
 * Not here    loss detection (tcp_rack.c; but without SACK the third duplicate ACK is here), sending (tcp_output.c).
 *
 * Without SACK, duplicate ACKs do not inflate cwnd by a segment each (RFC 5681 section 3.2 step 4). Instead, what
 * they say has left the network is deducted from what is in flight. The sum is the same, and cwnd keeps its meaning.
 */
#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

static const struct mr_cong_ops *control(const struct mr_tcb *tcb)
{
	return mr_cong(tcb->opts.congestion);
}

/* A congestion control with a model of the path sets cwnd itself, in recovery, too. */
static bool has_model(const struct mr_tcb *tcb)
{
	return control(tcb)->control != NULL;
}

void loss_found(struct mr_tcb *tcb, struct mr_frame *f, uint64_t now)
{
	if (f->flags & (MR_FRAME_LOST | MR_FRAME_SACKED))
		return;
	sndq_mark_lost(tcb, f);
	tcb->sending->rate.lost += f->pay_len;
	if (control(tcb)->lost)
		control(tcb)->lost(tcb, f, now);
}

/* ---- Undo ------------------------------------------------------------------------------------ */

static void undo_arm(struct mr_tcb *tcb)
{
	tcb->undo = (struct mr_undo){
		.cwnd = tcb->cwnd,
		.ssthresh = tcb->ssthresh,
		.marker = tcb->snd_una,
		.armed = true,
		.retrans = tcb->retrans_out,
		.retrans_end = tcb->undo.retrans_end,
	};
}

void loss_retransmitted(struct mr_tcb *tcb, uint32_t end, uint32_t bytes, uint64_t now)
{
	struct mr_undo *u = &tcb->undo;

	u->retrans_end = seq_max(end, u->retrans_end);
	if (!u->armed)
		return;
	u->retrans += bytes;
	if (!u->any_retrans) {
		u->any_retrans = true;
		u->retrans_ts = tcp_ts_now(tcb->ts_offset, now);
	}
}

static void leave_recovery(struct mr_tcb *tcb)
{
	if (tcb->loss != MR_LOSS_OPEN)
		rack_recovery_done(tcb);
	tcb->loss = MR_LOSS_OPEN;
	tcb->dupacks = 0;
	tcb->dup_bytes = 0;
	tcb->frto = tcb->frto_new = false;
}

/* Nothing was lost: restore the state from before. What was marked lost is in flight again. */
static void undo(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_undo *u = &tcb->undo;

	MR_COUNT(tcp->ctr, TCP_UNDO);
	tcb->ssthresh = mr_max(tcb->ssthresh, u->ssthresh);
	/* otherwise it has already grown beyond that (RFC 9438 section 4.9.2) */
	if (tcb->cwnd < u->cwnd || has_model(tcb)) {
		tcb->cwnd = mr_max(tcb->cwnd, u->cwnd);
		if (control(tcb)->undo)
			control(tcb)->undo(tcb, now);
	}
	u->armed = false;
	sndq_unmark_lost(tcb);
	leave_recovery(tcb);
}

/* Does the ACK show that our retransmissions were unnecessary? */
static bool needless(struct mr_tcb *tcb, const struct ack *ack)
{
	struct mr_undo *u = &tcb->undo;

	if (!u->armed)
		return false;
	/* RFC 3708: every retransmission was reported as a duplicate. */
	if (ack->dsack && u->any_retrans && u->retrans &&
	    seq_geq(ack->dsack_block.start, u->marker)) {
		u->retrans -=
			mr_min(u->retrans, seq_diff(ack->dsack_block.end, ack->dsack_block.start));
		if (!u->retrans)
			return true;
	}
	/* RFC 3522: the head of the queue was retransmitted, but the ACK echoes a timestamp from before this
	 * recovery's first retransmission. */
	if (ack->first_copy && u->any_retrans && seq_lt(ack->tsecr, u->retrans_ts)) {
		/* The first copy was late, because something sent after it had been delivered. RFC 8985 section 6.2
		 * step 3 only considers segments that were sent once; as Linux. */
		tcb->rack.reordering_seen |= tcb->loss == MR_LOSS_RECOVERY;
		return true;
	}
	/* RFC 5682 section 3: after a timeout, data is delivered that was never retransmitted. */
	return tcb->loss == MR_LOSS_RTO && tcb->sack_ok && ack->orig_delivered &&
	       seq_lt(tcb->snd_una, tcb->recover);
}

/* RFC 5682 section 2.1: after the first ACK that advances after a timeout, new data is sent instead of what was
 * marked lost. If the second ACK advances, too, what it acknowledges was never retransmitted, and so was not lost:
 * the result is true. Section 3.1 does the same with SACK, whose blocks may show it earlier (needless()). */
static bool frto_ack(struct mr_tcb *tcb, const struct ack *ack)
{
	if (tcb->loss != MR_LOSS_RTO || !tcb->frto || (!ack->acked && !ack->dup))
		return false;
	if (tcb->frto_new) { /* step 3 */
		tcb->frto = tcb->frto_new = false;
		if (!ack->acked)
			tcb->cwnd = mr_min(tcb->cwnd, 3u * tcb->snd_mss);
		return ack->acked && ack->orig_delivered && tcb->undo.armed;
	}
	/* Step 2. With SACK a duplicate ACK decides nothing: needless() has looked at its blocks. */
	if (!ack->acked && tcb->sack_ok)
		return false;
	/* Everything that was retransmitted must be acknowledged, but not everything else. */
	tcb->frto_new = ack->acked && !tcb->retrans_out && seq_lt(tcb->snd_una, tcb->recover);
	tcb->frto = tcb->frto_new;
	return false;
}

void loss_frto_give_up(struct mr_tcb *tcb)
{
	tcb->frto = tcb->frto_new = false;
}

/* ---- Recovery -------------------------------------------------------------------------------- */

/* Mark all frames of the first unacknowledged segment as lost. */
static void mark_head_lost(struct mr_tcb *tcb, uint64_t now)
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
		loss_found(tcb, f, now);
	}
}

static void enter_recovery(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t delivered, uint64_t now)
{
	uint32_t flight = seq_diff(tcb->snd_nxt, tcb->snd_una);
	/* RFC 6937bis section 6: without what was SACKed before this ACK, but with what it acknowledges. */
	uint32_t recover_fs = flight - tcb->sacked_bytes + delivered;

	MR_COUNT(tcp->ctr, TCP_FAST_RETRANS);
	undo_arm(tcb);
	tcb->ssthresh = control(tcb)->ssthresh(tcb, flight, now);
	tcb->recover = tcb->snd_nxt;
	tcb->loss = MR_LOSS_RECOVERY;
	tcb->tlp.out = false;
	tcb->sending->prr = (struct mr_prr){ .recover_fs = mr_max(recover_fs, 1u) };
}

/* RFC 6937bis section 6: how much may be sent for what this ACK reports as delivered. */
static void prr_ack(struct mr_tcb *tcb, uint32_t delivered, bool progress)
{
	uint32_t pipe = tcb_in_flight(tcb), mss = tcb->snd_mss, count;
	struct mr_prr *p = &tcb->sending->prr;

	if (has_model(tcb))
		return;
	p->delivered += delivered;
	if (pipe > tcb->ssthresh) {
		uint64_t due = ((uint64_t)p->delivered * tcb->ssthresh + p->recover_fs - 1) /
			       p->recover_fs;

		count = due > p->out ? (uint32_t)(due - p->out) : 0;
	} else {
		uint32_t limit =
			mr_max(p->delivered > p->out ? p->delivered - p->out : 0, delivered);

		if (progress)
			limit += mss;
		count = mr_min(tcb->ssthresh - pipe, limit);
	}
	if (!p->out) /* the fast retransmission itself */
		count = mr_max(count, mss);
	tcb->cwnd = mr_max(pipe + count, mss);
}

static bool third_dupack(const struct mr_tcb *tcb)
{
	/* RFC 6582 section 3.2 step 2: no second reduction for losses of a window that has been handled. */
	return !tcb->sack_ok && tcb->dupacks == MR_TCP_DUPTHRESH &&
	       seq_gt(tcb->snd_una, tcb->recover);
}

/* A duplicate ACK without SACK: one segment has left the network (RFC 5681). */
static void count_dupack(struct mr_tcp *tcp, struct mr_tcb *tcb, struct ack *ack)
{
	uint32_t out = seq_diff(tcb->snd_nxt, tcb->snd_una);

	MR_COUNT(tcp->ctr, TCP_DUPACK_IN);
	tcb->dupacks++;
	if (tcb->sack_ok || tcb->loss == MR_LOSS_RTO)
		return;
	tcb->dup_bytes = mr_min(tcb->dup_bytes + tcb->snd_mss, out);
	ack->delivered += tcb->snd_mss;
}

static void in_recovery(struct mr_tcb *tcb, const struct ack *ack, bool found)
{
	if (!tcb->sack_ok &&
	    ack->acked) { /* RFC 6582 section 3.2 step 3: the next hole is lost, too */
		tcb->dup_bytes -= mr_min(tcb->dup_bytes, ack->acked);
		mark_head_lost(tcb, ack->now);
	}
	prr_ack(tcb, ack->delivered, ack->acked && !found);
}

/* A recovery ends when everything that was in flight at its begin is acknowledged. */
static void end_recovery(struct mr_tcb *tcb, struct ack *ack)
{
	uint32_t mss = tcb->snd_mss;

	if (tcb->loss == MR_LOSS_OPEN || !ack->acked || seq_lt(tcb->snd_una, tcb->recover))
		return;
	/* RFC 6937bis: cwnd becomes ssthresh. Without SACK, limit the burst that the window then permits (RFC 6582
	 * section 3.2 step 3, option 1). */
	if (has_model(tcb))
		;
	else if (tcb->loss == MR_LOSS_RECOVERY && tcb->sack_ok)
		tcb->cwnd = tcb->ssthresh;
	else if (tcb->loss == MR_LOSS_RECOVERY)
		tcb->cwnd = mr_min(tcb->ssthresh, mr_max(tcb_in_flight(tcb), mss) + mss);
	leave_recovery(tcb);
	if (control(tcb)->recovered)
		control(tcb)->recovered(tcb, ack->now);
	ack->acked_in_recovery = true;
}

/* A tail loss probe has repaired a loss: reduce cwnd once, without recovery (RFC 8985 section 7.4.2). */
static void probe_repaired(struct mr_tcb *tcb, uint64_t now)
{
	uint32_t flight = seq_diff(tcb->snd_nxt, tcb->snd_una);

	tcb->ssthresh = control(tcb)->ssthresh(tcb, flight, now);
	tcb->cwnd = mr_min(tcb->cwnd, tcb->ssthresh);
}

/* Progress outside of fast recovery: let cwnd grow if it was the limit (RFC 7661). */
static void progress(struct mr_tcb *tcb, const struct ack *ack)
{
	uint32_t acked = ack->acked;

	if (tcb->loss == MR_LOSS_OPEN) {
		tcb->dupacks = 0;
		tcb->dup_bytes = 0;
	}
	if (has_model(tcb) || !(tcb->loss == MR_LOSS_RTO || cwv_may_grow(tcb)))
		return;
	/* As Linux, the ACK that ends a recovery counts only for what it delivers by itself: the rest was delivered
	 * while cwnd was held down. Without SACK that amount is unknown. */
	if (ack->acked_in_recovery)
		acked = tcb->sack_ok ? mr_min(acked, ack->delivered) : 0;
	if (acked)
		control(tcb)->acked(tcb, acked, ack->rtt_ns, ack->now);
}

void loss_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, struct ack *ack)
{
	bool found = false;

	if (ack->dup)
		count_dupack(tcp, tcb, ack);
	if (ack->delivered) {
		tcb->tlp.again = false;
		tcb->tlp.rearm |= tcb->loss == MR_LOSS_RECOVERY;
	}
	if (tcb->sack_ok)
		found = rack_ack(tcp, tcb, ack);
	/* a D-SACK may show only after the recovery that it was unnecessary */
	if ((tcb->loss != MR_LOSS_OPEN || ack->dsack) && (needless(tcb, ack) || frto_ack(tcb, ack)))
		undo(tcp, tcb, ack->now);
	end_recovery(tcb, ack);
	if (tlp_ack(tcb, seg, ack) && tcb->loss == MR_LOSS_OPEN)
		probe_repaired(tcb, ack->now);

	if (tcb->loss == MR_LOSS_OPEN && (third_dupack(tcb) || (found && tcb->lost_bytes)) &&
	    !mtup_lost(tcp, tcb)) {
		enter_recovery(tcp, tcb, ack->delivered, ack->now);
		if (!tcb->sack_ok)
			mark_head_lost(tcb, ack->now);
		prr_ack(tcb, ack->delivered, false);
	} else if (tcb->loss == MR_LOSS_RECOVERY) {
		in_recovery(tcb, ack, found);
	} else if (ack->acked) {
		progress(tcb, ack);
	}
	rate_generate(tcb, ack);
	if (has_model(tcb))
		control(tcb)->control(tcb, &ack->rs);
	tcb_mark(tcp, tcb);
}

/* The reordering timer has expired. */
void loss_reorder_timeout(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	if (!rack_detect(tcp, tcb, now))
		return;
	if (tcb->loss == MR_LOSS_OPEN && !mtup_lost(tcp, tcb)) {
		enter_recovery(tcp, tcb, 0, now);
		prr_ack(tcb, 0, false);
	}
	tcb_mark(tcp, tcb);
}

void loss_rto(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_frame *f = tcb->sndq.head;

	MR_COUNT(tcp->ctr, TCP_RTO);
	accecn_timeout(tcb);
	/* RFC 5682 step 1: not within a recovery, which retransmits other data, too; nor if the length of a probe may
	 * be the cause. For the head of the queue it may be repeated. */
	tcb->frto = (tcb->loss == MR_LOSS_OPEN || (tcb->frto && tcb->backoff)) && !tcb->mtup.size;
	tcb->frto_new = false;
	/* RFC 5681 section 3.1: another timeout of the same segment does not reduce ssthresh again; nor does a
	 * timeout within a recovery, which has done so for this window (as Linux). */
	if (!tcb->backoff &&
	    !(tcb->loss == MR_LOSS_RECOVERY && seq_lt(tcb->snd_una, tcb->recover))) {
		if (tcb->loss == MR_LOSS_OPEN)
			undo_arm(tcb);
		else
			tcb->undo.armed = false;
		tcb->ssthresh = control(tcb)->ssthresh(tcb, tcb_in_flight(tcb), now);
	}
	if (control(tcb)->timeout)
		control(tcb)->timeout(tcb, now);
	tcb->cwnd = tcb->snd_mss;
	tcb->loss = MR_LOSS_RTO;
	tcb->recover = tcb->snd_nxt;
	tcb->dupacks = 0;
	tcb->dup_bytes = 0;
	tcb->tlp.out = false;
	if (f && f->flags & MR_FRAME_SACKED) { /* the peer has discarded it (reneging) */
		MR_COUNT(tcp->ctr, TCP_RENEGED);
		sack_renege(tcb);
	}
	for (; f && f != tcb->sndq.unsent; f = f->next) {
		/* Move it: the list has to follow the order of the queue. */
		if (f->flags & MR_FRAME_LOST)
			mr_list_move_tail(&tcb->lost, &f->sent_node);
		else
			loss_found(tcb, f, now);
	}
	tcb->fin_lost = tcb->fin_sent;
	tcb_timer_clear(tcb, MR_TT_REO);
	tcb_timer_clear(tcb, MR_TT_TLP);
	tcb_mark(tcp, tcb);
}
