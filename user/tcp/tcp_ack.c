// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_ack.c - what an acceptable ACK says about the data that we sent, and about the peer's window.
 * Owns        every write to snd_una after the handshake, and to snd_wnd, snd_wl1, snd_wl2.
 * Implements  RFC 9293 section 3.10.7.4, fifth step (ESTABLISHED and later); RFC 6298 section 5; RFC 7765.
 * Called by   tcp_input.c, once per segment whose ACK is acceptable.
 * Not here    whether an ACK is acceptable (tcp_input.c), SACK (tcp_sack.c), loss recovery (tcp_loss.c), the send queue
 *             (tcp_sndq.c).
 */
#include "base/compiler.h"
#include "tcp/tcp_priv.h"

/* ---- The peer's window ------------------------------------------------------------------------ */

void ack_window(struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t shift)
{
	tcb->snd_wnd = (uint32_t)seg->wnd << shift;
	tcb->max_snd_wnd = mr_max(tcb->max_snd_wnd, tcb->snd_wnd);
	tcb->snd_wl1 = seg->seq;
	tcb->snd_wl2 = seg->ack;
}

static void take_window(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg)
{
	if (!(seq_lt(tcb->snd_wl1, seg->seq) ||
	      (tcb->snd_wl1 == seg->seq && seq_leq(tcb->snd_wl2, seg->ack))))
		return;
	if ((uint32_t)seg->wnd << tcb->snd_wscale != tcb->snd_wnd)
		tcb_mark(tcp, tcb);
	ack_window(tcb, seg, tcb->snd_wscale);
}

/* ---- Data that was acknowledged ---------------------------------------------------------------- */

/* RFC 7765 section 3.3: if few segments are in flight and nothing follows them, the timer runs from the time when the
 * oldest was sent, and not from this ACK, so that a lost tail is detected one RTT sooner. */
static void restart_rtx(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	const struct mr_frame *f = tcb->sndq.head;

	tcp_arm_rtx(tcp, tcb, now);
	if (f && f != tcb->sndq.unsent && !tcb->sndq.unsent &&
	    tcb->sndq.bytes < 4u * tcb->snd_mss && f->sent_at + rtt_rto(tcb) > now)
		tcb_timer_set(tcp, tcb, MR_TT_RTX, f->sent_at + rtt_rto(tcb));
}

/* Sequence numbers wrap: a mark that is more than half a cycle behind snd_una would be ahead of it. So marks follow
 * it at this distance. */
#define BEHIND_MOST (1u << 30)

static void mark_follow(uint32_t *mark, uint32_t una)
{
	if (mr_unlikely(seq_lt(*mark, una - BEHIND_MOST)))
		*mark = una - BEHIND_MOST;
}

static void marks_follow(struct mr_tcb *tcb)
{
	mark_follow(&tcb->recover, tcb->snd_una);
	mark_follow(&tcb->ecn.reduced_at, tcb->snd_una);
	mark_follow(&tcb->undo.retrans_end, tcb->snd_una);
}

/* The ACK acknowledges new data: RFC 9293 fifth step, RFC 6298. Advance snd_una and shorten the send queue. */
static void ack_new(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg,
		    struct ack *ack)
{
	uint64_t now = ack->now;
	uint32_t had = tcb->sndq.bytes;
	uint64_t sent_at = sndq_ack(tcp, tcb, seg->ack, ack);

	tcb->snd_una = seg->ack;
	marks_follow(tcb);
	if (tcb->urg_out && seq_geq(seg->ack, tcb->snd_up))
		tcb->urg_out = false;
	/* An ACK with a D-SACK was caused by the duplicate. What else it acknowledges may have arrived long before,
	 * if the ACK for that was lost. So it gives no RTT sample: each lost ACK would make the RTO longer, and with
	 * it the next sample. */
	if (ack->dsack)
		ack->rtt_ns = 0;
	else if (sent_at)
		ack->rtt_ns = now - sent_at;
	else if (ack->ts_valid) /* valid for retransmissions, too */
		ack->rtt_ns = tcp_ts_rtt(tcb->ts_offset, ack->tsecr, now);
	if (ack->rtt_ns) {
		rtt_sample(tcb, ack->rtt_ns);
		rack_rtt(tcb, ack->rtt_ns, now);
	}
	tcb->backoff = 0;
	tcb->stalled_since = 0;
	tcb->soft_err = 0;
	tcb->bytes_acked += had - tcb->sndq.bytes;
	if (tcb->dst.neigh) /* NULL: the route was removed since this was sent */
		mr_neigh_confirm(tcp->ip->link, tcb->dst.neigh, now);
	mtup_acked(tcp, tcb);
	tcb->ecn.opt_data = false;
	restart_rtx(tcp, tcb, now);
	tcb->tlp.rearm = true;
	if (had != tcb->sndq.bytes && tcb->owner)
		tcp_up(tcp)->acked(tcb->owner);
}

/* RFC 5681 section 2: the definition of a duplicate ACK. */
static bool is_dupack(const struct mr_tcb *tcb, const struct mr_seg *seg)
{
	return seg->ack == tcb->snd_una && tcb->snd_nxt != tcb->snd_una && !seg->len &&
	       !(seg->flags & (MR_TCP_SYN | MR_TCP_FIN)) &&
	       (uint32_t)seg->wnd << tcb->snd_wscale == tcb->snd_wnd;
}

void ack_input(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, uint64_t now)
{
	struct ack ack = {
		.now = now,
		.acked = seq_gt(seg->ack, tcb->snd_una) ? seq_diff(seg->ack, tcb->snd_una) : 0,
		.ts_valid = tcb->ts_ok && seg->opts & MR_TCPOPT_TS && seg->tsecr,
		.tsecr = seg->tsecr,
		.dup = is_dupack(tcb, seg),
	};

	sack_dsack(tcp, tcb, seg, &ack);
	rate_check_app_limited(tcb);
	/* In the order of sequence numbers: otherwise RACK would see reordering. */
	if (ack.acked)
		ack_new(tcp, tcb, seg, &ack);
	sack_input(tcp, tcb, seg, &ack);
	/* Without struct mr_sending nothing is in flight that could be lost. (A D-SACK may arrive at any time.) */
	if (tcb_sends(tcb) && (ack.acked || ack.dup || ack.delivered || ack.dsack))
		loss_ack(tcp, tcb, seg, &ack);
	/* Last, because the cwnd that it reduces must not grow again. */
	ecn_echoed(tcp, tcb, seg, &ack);
	if (seq_geq(seg->ack, tcb->snd_una))
		take_window(tcp, tcb, seg);
	if (tcb->persist)
		tcb_mark(tcp, tcb); /* the window may be open now */
}
