// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_loss.c - what a loss does to a connection: recovery, how fast it sends meanwhile, and taking all of
 * it back when the loss turns out to have been none.
 * Owns        loss, recover, dupacks, dup_bytes, ssthresh, prr, undo; lowers cwnd (the control raises it).
 * Implements  RFC 5681 section 3.2 and RFC 6582 (without SACK), RFC 6937bis (PRR), RFC 5682 (F-RTO,
 *             with SACK section 3, without section 2), RFC 3522 and 4015 (Eifel), RFC 3708 (undo by
 *             D-SACK), RFC 6298 (5.4)-(5.6).
 * Called by   ACK processing and the timers.
 * Not here    what is lost (tcp_rack.c; without SACK the third duplicate ACK, here); sending (tcp_output.c).
 *
 * Without SACK, duplicate ACKs do not inflate cwnd by a segment each (RFC 5681 3.2 step 4): what they say
 * has left the network is deducted from what counts as in flight. The sum is the same, and cwnd keeps its
 * meaning.
 */
#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

static const struct mr_cong_ops *control(const struct mr_tcb *tcb)
{
	return mr_cong(tcb->opts.congestion);
}

/* A control with a model of the path sets cwnd by itself, in recovery too. */
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

/* Nothing was lost: as if it had not happened. What was judged lost is in flight again. */
static void undo(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_undo *u = &tcb->undo;

	MR_COUNT(tcp->ctr, TCP_UNDO);
	tcb->ssthresh = mr_max(tcb->ssthresh, u->ssthresh);
	/* Else it has grown beyond by itself (RFC 9438 section 4.9.2). */
	if (tcb->cwnd < u->cwnd || has_model(tcb)) {
		tcb->cwnd = mr_max(tcb->cwnd, u->cwnd);
		if (control(tcb)->undo)
			control(tcb)->undo(tcb, now);
	}
	u->armed = false;
	sndq_unmark_lost(tcb);
	leave_recovery(tcb);
}

/* Has the peer shown that what we sent again had arrived the first time? */
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
	/* RFC 3522: the segment at the front was sent again, but the ACK answers something older than this
	 * recovery's first retransmission. */
	if (ack->first_copy && u->any_retrans && seq_lt(ack->tsecr, u->retrans_ts)) {
		/* The first copy came late, for what was sent after it had been delivered. RFC 8985 section 6.2
		 * step 3 looks only at what was sent once; as Linux. */
		tcb->rack.reordering_seen |= tcb->loss == MR_LOSS_RECOVERY;
		return true;
	}
	/* RFC 5682 section 3: after a timeout something is delivered that was never sent again. */
	return tcb->loss == MR_LOSS_RTO && tcb->sack_ok && ack->orig_delivered &&
	       seq_lt(tcb->snd_una, tcb->recover);
}

/* RFC 5682 section 2.1: the first ACK after a timeout that advances lets new data go instead of what was taken
 * for lost; if the second one advances, too, what it acknowledges was never sent again, and so was not lost.
 * true: that is so. Section 3.1 does the same with SACK, whose blocks may tell earlier (needless()). */
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
	/* Step 2. With SACK a duplicate ACK is waited out: of what it reports, needless() has been asked. */
	if (!ack->acked && tcb->sack_ok)
		return false;
	/* Of what was sent again, all must be acknowledged, and of the rest not all. */
	tcb->frto_new = ack->acked && !tcb->retrans_out && seq_lt(tcb->snd_una, tcb->recover);
	tcb->frto = tcb->frto_new;
	return false;
}

void loss_frto_give_up(struct mr_tcb *tcb)
{
	tcb->frto = tcb->frto_new = false;
}

/* ---- Recovery -------------------------------------------------------------------------------- */

/* The first segment that is not acknowledged: all frames of it. */
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
	/* RFC 6937bis section 6: without what was SACKed before this ACK, with what it acknowledges. */
	uint32_t recover_fs = flight - tcb->sacked_bytes + delivered;

	MR_COUNT(tcp->ctr, TCP_FAST_RETRANS);
	undo_arm(tcb);
	tcb->ssthresh = control(tcb)->ssthresh(tcb, flight, now);
	tcb->recover = tcb->snd_nxt;
	tcb->loss = MR_LOSS_RECOVERY;
	tcb->tlp.out = false;
	tcb->sending->prr = (struct mr_prr){ .recover_fs = mr_max(recover_fs, 1u) };
}

/* RFC 6937bis section 6: how much may go out for what this ACK says was delivered. */
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
	/* RFC 6582 section 3.2 step 2: not again for losses of a window that was already dealt with. */
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

/* A recovery is over when all that was out at its beginning is acknowledged. */
static void end_recovery(struct mr_tcb *tcb, struct ack *ack)
{
	uint32_t mss = tcb->snd_mss;

	if (tcb->loss == MR_LOSS_OPEN || !ack->acked || seq_lt(tcb->snd_una, tcb->recover))
		return;
	/* RFC 6937bis: with what was aimed for. Without SACK not with a burst of what the window now
	 * allows (RFC 6582 section 3.2 step 3, option 1). */
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

/* A tail loss probe repaired a loss: one reduction, no recovery (RFC 8985 section 7.4.2). */
static void probe_repaired(struct mr_tcb *tcb, uint64_t now)
{
	uint32_t flight = seq_diff(tcb->snd_nxt, tcb->snd_una);

	tcb->ssthresh = control(tcb)->ssthresh(tcb, flight, now);
	tcb->cwnd = mr_min(tcb->cwnd, tcb->ssthresh);
}

/* Progress outside of fast recovery: the control may let cwnd grow, if it was the limit (RFC 7661). */
static void progress(struct mr_tcb *tcb, const struct ack *ack)
{
	uint32_t acked = ack->acked;

	if (tcb->loss == MR_LOSS_OPEN) {
		tcb->dupacks = 0;
		tcb->dup_bytes = 0;
	}
	if (has_model(tcb) || !(tcb->loss == MR_LOSS_RTO || cwv_may_grow(tcb)))
		return;
	/* The ACK that ends a recovery counts for what it delivers, as Linux: the rest was delivered while the
	 * window was kept down. Without SACK nobody knows how much that is. */
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
	/* A D-SACK may tell only after the recovery that it was needless. */
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

/* The reordering window has passed without an ACK. */
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
	/* RFC 5682 step 1: not within a recovery, where other things are sent again, too; nor if the timeout
	 * may be about the length of a probe. The front alone may time out again and again. */
	tcb->frto = (tcb->loss == MR_LOSS_OPEN || (tcb->frto && tcb->backoff)) && !tcb->mtup.size;
	tcb->frto_new = false;
	/* RFC 5681 section 3.1: a segment that is timed out again does not lower ssthresh again; neither does
	 * a timeout within a recovery, which has lowered it for this window (as Linux). */
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
	if (f && f->flags & MR_FRAME_SACKED) { /* it had it, and has it no more */
		MR_COUNT(tcp->ctr, TCP_RENEGED);
		sack_renege(tcb);
	}
	for (; f && f != tcb->sndq.unsent; f = f->next) {
		if (f->flags & MR_FRAME_LOST) /* already: in the order of the queue from now on */
			mr_list_move_tail(&tcb->lost, &f->sent_node);
		else
			loss_found(tcb, f, now);
	}
	tcb->fin_lost = tcb->fin_sent;
	tcb_timer_clear(tcb, MR_TT_REO);
	tcb_timer_clear(tcb, MR_TT_TLP);
	tcb_mark(tcp, tcb);
}
