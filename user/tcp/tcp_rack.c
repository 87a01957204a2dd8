// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_rack.c - RACK-TLP: time-based loss detection, and tail loss probes.
 * Owns        tcb->rack and tcb->tlp.
 * Implements  RFC 8985 sections 6 and 7.
 * Called by   ACK processing, the reordering and probe timers.
 * Not here    what a loss means for the congestion window (tcp_loss.c).
 *
 * The list in_flight has the frames in the order of their last transmission. So loss detection looks only at the
 * frames that it marks as lost, and at one more.
 */
#include "tcp/tcp_priv.h"

#define MIN_RTT_PERIOD_MS 10000u
#define MIN_RTT_SHIFT	  4 /* in units of 16 ns, so that 32 bits suffice for 68 s */
/* A wider window lasts for so many recoveries (section 6.2, step 4). */
#define REO_PERSIST   16u
#define REO_MULT_MAX  20u
#define TLP_DELACK_NS (200 * MR_NS_PER_MS) /* TLP.max_ack_delay */
#define TLP_MIN_NS    (10 * MR_NS_PER_MS)  /* as Linux: two jiffies */

/* RACK_sent_after(), section 6.2: is (t1, seq1) sent after (t2, seq2)? */
static bool sent_after(uint64_t t1, uint32_t seq1, uint64_t t2, uint32_t seq2)
{
	return t1 > t2 || (t1 == t2 && seq_gt(seq1, seq2));
}

uint64_t mr_tcp_min_rtt(const struct mr_tcb *tcb)
{
	const uint32_t *least = tcb->rack.min_rtt;
	uint64_t units = mr_min(least[0], least[1]);

	if (!units)
		units = least[0] + least[1];
	return units << MIN_RTT_SHIFT;
}

void rack_rtt(struct mr_tcb *tcb, uint64_t rtt_ns, uint64_t now)
{
	struct mr_rack *r = &tcb->rack;
	uint32_t now_ms = (uint32_t)(now / MR_NS_PER_MS);
	uint32_t rtt = (uint32_t)mr_min(rtt_ns >> MIN_RTT_SHIFT, (uint64_t)UINT32_MAX) ?: 1;

	if (now_ms - r->min_rtt_at_ms >= MIN_RTT_PERIOD_MS) {
		r->min_rtt[1] = r->min_rtt[0];
		r->min_rtt[0] = 0;
		r->min_rtt_at_ms = now_ms;
	}
	if (!r->min_rtt[0] || rtt < r->min_rtt[0])
		r->min_rtt[0] = rtt;
}

/* Steps 2 and 3 for a frame that was just acknowledged, cumulatively or selectively. */
void rack_delivered(struct mr_tcb *tcb, const struct mr_frame *f, struct ack *ack)
{
	struct mr_rack *r = &tcb->rack;
	uint32_t end = f->seq + f->pay_len;
	uint64_t rtt = ack->now - f->sent_at;

	if (f->flags & MR_FRAME_RETRANS) {
		/* this may acknowledge the first transmission, so the time means nothing */
		if (ack->ts_valid && seq_lt(ack->tsecr, tcp_ts_now(tcb->ts_offset, f->sent_at)))
			return;
		if (rtt < mr_tcp_min_rtt(tcb))
			return;
	} else {
		ack->orig_delivered = true;
		if (seq_lt(end, r->fack)) {
			r->reordering_seen = true;
			r->reord_seen = (uint16_t)(r->reord_seen +
						   (!ack->reordered && r->reord_seen < UINT16_MAX));
			ack->reordered = true;
		}
	}
	if (seq_gt(end, r->fack))
		r->fack = end;
	r->rtt_ns = rtt;
	if (!r->sent_at || sent_after(f->sent_at, end, r->sent_at, r->end_seq)) {
		r->sent_at = f->sent_at;
		r->end_seq = end;
	}
}

/* Does the D-SACK show that a recovery has retransmitted unnecessarily? A TLP does not count, nor does duplication by
 * the network (as Linux; RFC 8985 section 6.2 counts the former). */
static bool of_recovery(const struct mr_tcb *tcb, const struct ack *ack)
{
	const struct mr_sack_block *b = &ack->dsack_block;

	return tcb->rack.reordering_seen && seq_lt(b->start, tcb->undo.retrans_end) &&
	       !(tcb->tlp.out && b->end == tcb->tlp.end_seq);
}

/* Step 4: the reordering window. */
static void adapt(struct mr_tcb *tcb, const struct ack *ack)
{
	struct mr_rack *r = &tcb->rack;

	if (!r->reo_mult)
		r->reo_mult = 1;
	/* At most once per RTT. With the RFC's condition SND.UNA >= RACK.dsack_round, several reports that arrive
	 * while nothing is in flight would all count. Here data that was sent since must have been delivered. */
	if (r->dsack_seen && seq_gt(tcb->snd_una, r->dsack_round))
		r->dsack_seen = false;
	if (ack->dsack && !r->dsack_seen && of_recovery(tcb, ack)) {
		r->dsack_seen = true;
		r->dsack_round = tcb->snd_nxt;
		if (r->reo_mult < REO_MULT_MAX)
			r->reo_mult++;
		r->reo_persist = REO_PERSIST;
	}
}

void rack_recovery_done(struct mr_tcb *tcb)
{
	struct mr_rack *r = &tcb->rack;

	if (r->reo_persist && !--r->reo_persist)
		r->reo_mult = 1;
}

static uint64_t reo_wnd(const struct mr_tcb *tcb)
{
	const struct mr_rack *r = &tcb->rack;

	if (!r->reordering_seen &&
	    (tcb->loss != MR_LOSS_OPEN || tcb->sacked_bytes >= MR_TCP_DUPTHRESH * tcb->snd_mss))
		return 0;
	return mr_min(r->reo_mult * mr_tcp_min_rtt(tcb) / 4, tcb->srtt_ns);
}

/* The reordering timer runs before the retransmission timer, which starts when it expires; but not longer than the
 * RTO (as Linux, where both are one timer). */
static void wait_until(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t due, uint64_t now)
{
	uint64_t rto = rtt_rto(tcb), at = mr_min(due, now + rto);

	if (tcb->timers[MR_TT_RTX] <= at)
		tcb_timer_set(tcp, tcb, MR_TT_RTX, at + rto);
	tcb_timer_set(tcp, tcb, MR_TT_REO, at);
}

/* Step 5. Returns true if a frame was newly marked lost. The timer is set for the first frame that may still be
 * reordered, where the RFC takes the last one: so an ACK looks at no more frames than it marks. */
bool rack_detect(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	const struct mr_rack *r = &tcb->rack;
	uint64_t window = reo_wnd(tcb);
	struct mr_list *pos, *tmp;
	bool found = false;

	tcb_timer_clear(tcb, MR_TT_REO);
	if (!r->sent_at)
		return false;
	mr_list_for_each_safe (pos, tmp, &tcb->in_flight) {
		struct mr_frame *f = mr_list_entry(pos, struct mr_frame, sent_node);
		uint64_t due = f->sent_at + r->rtt_ns + window;

		if (!sent_after(r->sent_at, r->end_seq, f->sent_at, f->seq + f->pay_len))
			break;
		if (due > now) { /* and all frames behind it were sent later */
			wait_until(tcp, tcb, due, now);
			break;
		}
		loss_found(tcb, f, now);
		found = true;
	}
	return found;
}

bool rack_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct ack *ack)
{
	adapt(tcb, ack);
	return rack_detect(tcp, tcb, ack->now);
}

/* ---- Tail loss probe ------------------------------------------------------------------------- */

/* TLP_calc_PTO(), section 7.2. */
static uint64_t pto(const struct mr_tcb *tcb)
{
	uint64_t t = MR_TCP_RTO_INIT_NS;

	if (tcb->srtt_ns) {
		t = 2 * tcb->srtt_ns;
		/* The RFC says one segment. A peer may also delay the ACK until the second full one (RFC 5681 section
		 * 4.2), but not while something is missing. */
		if (tcb->loss == MR_LOSS_OPEN &&
		    seq_diff(tcb->snd_nxt, tcb->snd_una) < 2u * tcb->snd_mss)
			t += TLP_DELACK_NS;
		t = mr_max(t, (uint64_t)TLP_MIN_NS);
	}
	return t;
}

/* May a probe be sent? Only if no ACK reports about the last segments, and no probe is in flight. The RFC sends none in
 * a recovery, and leaves that to the retransmission timeout. But the retransmissions of a recovery have a tail, too,
 * and if that is lost, 200 ms are hundreds of RTTs on a short path. So there is one for each recovery. */
static bool tail_is_silent(const struct mr_tcb *tcb)
{
	if (tcb->loss == MR_LOSS_RECOVERY)
		return !tcb->tlp.again && !tcb->lost_bytes;
	return tcb->loss == MR_LOSS_OPEN && !tcb->tlp.out && !tcb->sacked_bytes;
}

/* Section 7.2: arm after new data was sent, and when an ACK has advanced. If the probe timeout is later than the RTO,
 * the probe takes its place, and the RTO follows. */
void tlp_arm(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	uint64_t at = now + pto(tcb);

	if (!tcb->sack_ok || !tail_is_silent(tcb) || tcb->snd_una == tcb->snd_nxt || tcb->persist) {
		tcb_timer_clear(tcb, MR_TT_TLP);
		return;
	}
	if (at >= tcb->timers[MR_TT_RTX]) {
		at = tcb->timers[MR_TT_RTX];
		tcb_timer_set(tcp, tcb, MR_TT_RTX, at + rtt_rto(tcb));
	}
	tcb_timer_set(tcp, tcb, MR_TT_TLP, at);
}

/* Section 7.3: output makes the probe, from the data that is there then. */
void tlp_fire(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	if (!tail_is_silent(tcb) || tcb->snd_una == tcb->snd_nxt)
		return;
	if (tcb->loss == MR_LOSS_OPEN) {
		tcb->tlp.owed = true;
	} else if (tcb->sndq.head && tcb->sndq.head != tcb->sndq.unsent) {
		MR_COUNT(tcp->ctr, TCP_TLP);
		tcb->tlp.again = true;
		loss_found(tcb, tcb->sndq.head, now);
	}
	tcb_mark(tcp, tcb);
}

/* Section 7.4.2: process an ACK of the probe. true: the probe has repaired a loss, which is a congestion event. */
bool tlp_ack(struct mr_tcb *tcb, const struct mr_seg *seg, const struct ack *ack)
{
	struct mr_tlp *t = &tcb->tlp;

	if (!t->out || seq_lt(seg->ack, t->end_seq))
		return false;
	if (!t->retrans) {
		t->out = false;
		return false;
	}
	if (ack->dsack && ack->dsack_block.end == t->end_seq) { /* both copies have arrived */
		t->out = false;
		return false;
	}
	if (seq_gt(seg->ack, t->end_seq)) {
		t->out = false;
		return true;
	}
	/* Exactly the end, without SACK blocks: a second ACK like this acknowledges the original. */
	if (!ack->acked && !(seg->opts & MR_TCPOPT_SACK))
		t->out = false;
	return false;
}
