// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_input.c - decide what one arriving segment does to one connection.
 * Owns        every write to rcv_nxt and state that input causes.
 * Implements  RFC 9293 section 3.10.7; RFC 5961 sections 3 to 5; RFC 7323 sections 4.3 and 5.
 * Called by   the engine's receive pipeline, once per packet, on the engine's thread only.
 * Not here    what an ACK says about data that we sent (tcp_ack.c), listeners (tcp_listen.c), TIME-WAIT
 *             (tcp_timewait.c), reassembly (tcp_ooo.c), sending (tcp_output.c): a step decides and records, but does
 *             not send.
 */
#include <errno.h>

#include "base/compiler.h"
#include "base/csum.h"
#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

#define PAWS_FORGET_NS (24ull * 24 * 3600 * MR_NS_PER_S) /* RFC 7323 section 5.5 */
#define PAWS_STRIDE    (1u << 29) /* received bytes between ts_past[0] and ts_past[1] */

enum verdict {
	V_NEXT = 0,  /* the step has no objection: continue with the next step */
	V_DONE,	     /* processing is complete */
	V_DROP,	     /* drop the segment, count in->reason */
	V_ACK,	     /* the same, and send an ACK */
	V_CHALLENGE, /* the same, with the rate limit of RFC 5961 section 7 */
	V_RST,	  /* drop it, count in->reason, and answer with a reset; the connection continues */
	V_ABORT,  /* reset the connection; it has no owner any more */
	V_REFUSE, /* reset the connection, and report that to the application */
	V_RESET,  /* the peer has reset the connection */
	V_CLOSED, /* the connection has ended normally */
	V_TIMEWAIT,
};

/* The segment that the steps process. */
struct input {
	struct mr_tcp *tcp;
	struct mr_tcb *tcb;
	struct mr_frame *f; /* the payload; NULL when it has been taken over */
	struct mr_seg *seg;
	const struct mr_ip_rx *rx;
	uint64_t now;
	enum mr_drop reason;
	bool fin_due; /* everything before the peer's FIN has been received */
	bool had_syn; /* the SYN of the segment was received before; its window is not scaled */
};

static enum verdict verdict(struct input *in, enum verdict v, enum mr_drop reason)
{
	in->reason = reason;
	return v;
}

/* ---- Helpers --------------------------------------------------------------------------------- */

/* Is TSval older than TS.Recent? After 24 days TS.Recent is invalid (RFC 7323 section 5.5). */
static bool timestamp_is_old(const struct mr_tcb *tcb, uint32_t tsval, uint64_t now)
{
	return paws_old(tsval, tcb->ts_recent) && now - tcb->ts_recent_at <= PAWS_FORGET_NS;
}

/* RFC 7323 section 4.3 (2). */
static void timestamp_update(struct mr_tcb *tcb, const struct mr_seg *seg, uint64_t now)
{
	if (tcb->ts_ok && seg->opts & MR_TCPOPT_TS && !timestamp_is_old(tcb, seg->tsval, now) &&
	    seq_leq(seg->seq, tcb->last_ack_sent)) {
		tcb->ts_recent = seg->tsval;
		tcb->ts_recent_at = now;
		if (tcb->rcv_nxt - tcb->ts_past_seq >= PAWS_STRIDE) {
			tcb->ts_past[0] = tcb->ts_past[1];
			tcb->ts_past[1] = seg->tsval;
			tcb->ts_past_seq = tcb->rcv_nxt;
		}
	}
}

/* Report by D-SACK the bytes of the segment that were received before (RFC 2883). The sender has retransmitted, so
 * its cwnd is small now, and a single segment must not wait for a second one: the next segments are acknowledged at
 * once. */
static void duplicate_below(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg)
{
	uint32_t end = seg->seq + mr_seg_span(seg);

	if (seq_lt(seg->seq, tcb->rcv_nxt))
		tcb->quickacks = MR_TCP_QUICKACKS;
	if (seq_geq(seg->seq, tcb->rcv_nxt - tcb->opts.rcvbuf))
		sack_duplicate(tcp, tcb, seg->seq, seq_lt(end, tcb->rcv_nxt) ? end : tcb->rcv_nxt);
}

/* Take over the options of the peer's SYN, in an active or simultaneous open. */
static void learn_options(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg,
			  uint64_t now)
{
	tcb->ts_ok = (seg->opts & MR_TCPOPT_TS) != 0;
	tcb_timestamp_start(tcb, seg->tsval, now);
	tcb->sack_ok = (seg->opts & MR_TCPOPT_SACK_PERM) != 0;
	tcb->wscale_ok = (seg->opts & MR_TCPOPT_WSCALE) != 0;
	tcb->snd_wscale = tcb->wscale_ok ? seg->wscale : 0;
	tcb->rcv_wscale = tcb->wscale_ok ? tcb->rcv_wscale : 0;
	tcb_set_snd_mss(tcp, tcb, tcp_peer_mss(seg, &tcb->flow.raddr));
	tcb_guess_rcv_mss(tcb);
}

/* Was our SYN or SYN,ACK lost? If it was sent again, yes, unless the timestamp of the answer shows that the first one
 * arrived, so that only the RTT is long (RFC 3522, as Linux does for SYNs). */
static bool syn_was_lost(const struct mr_tcb *tcb, const struct mr_seg *seg)
{
	return tcb->retrans && !(tcb->ts_ok && seg->opts & MR_TCPOPT_TS && seg->tsecr &&
				 seq_lt(seg->tsecr, tcp_ts_now(tcb->ts_offset, tcb->last_sent_at)));
}

static void established(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;

	tcb_set_state(tcb, MR_TCP_ESTABLISHED);
	mr_list_del(&tcb->connecting_node); /* that memory is in_flight from now on */
	tcb->backoff = 0;
	tcb->stalled_since = 0;
	tcb->last_rcv_at = in->now;
	mtup_established(in->tcp, tcb);
	tcb_cong_start(tcb, syn_was_lost(tcb, in->seg) || tcb->ecn.syn_marked);
	tcb_timer_clear(tcb, MR_TT_RTX);
	mr_tcp_opts_changed(in->tcp, tcb, in->now); /* starts keepalive */
	if (tcb->owner)
		tcp_up(in->tcp)->connected(tcb->owner);
	/* The application has closed while connecting. */
	if (tcb->fin_queued)
		tcb_set_state(tcb, MR_TCP_FIN_WAIT1);
	tcb_mark(in->tcp, tcb);
}

/* RFC 7413: an ACK has proved the peer's address. The connection was in use before that. */
static void fast_open_confirmed(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;

	tcb_set_state(tcb, MR_TCP_ESTABLISHED);
	tfo_confirmed(in->tcp, tcb);
	tcb->snd_una = tcb->iss + 1;
	tcb->backoff = 0;
	tcb->stalled_since = 0;
	tcb_timer_clear(tcb, MR_TT_RTX);
	mr_tcp_opts_changed(in->tcp, tcb, in->now); /* starts keepalive */
	if (tcb->fin_queued)
		tcb_set_state(tcb, MR_TCP_FIN_WAIT1);
	tcp_arm_rtx(in->tcp, tcb, in->now);
	tcb_mark(in->tcp, tcb);
}

static bool is_fast_open_syn(const struct mr_tcb *tcb, const struct mr_seg *seg)
{
	return tcb->tfo == MR_TFO_PENDING && tcb->snd_nxt == tcb->iss /* nothing was sent yet */ &&
	       seg->flags & MR_TCP_SYN && seg->seq == tcb->irs;
}

/* A SYN with a valid cookie: process its text as a segment without SYN. A FIN is removed, and has to be sent again. */
static enum verdict fast_open_text(struct input *in)
{
	in->seg->seq++;
	in->seg->flags &= (uint8_t) ~(MR_TCP_SYN | MR_TCP_FIN);
	in->f->seq = in->seg->seq;
	in->f->tcp_flags = in->seg->flags;
	return V_NEXT;
}

/* Estimate the length of the peer's full segments, as Linux does: the longest so far; or, if two segments in a row
 * have the same shorter length and neither ends a write, that length, because the path's MTU has become smaller or
 * the peer probes it. last_len keeps one byte, never 0, of the last length, which is enough to compare. */
static void full_segment(struct mr_tcb *tcb, uint32_t len, uint8_t flags)
{
	bool last = flags & (MR_TCP_PSH | MR_TCP_FIN | MR_TCP_URG);
	uint8_t before = tcb->last_len;

	tcb->last_len = 0;
	if (len >= tcb->rcv_mss) {
		tcb->rcv_mss = (uint16_t)mr_max((uint32_t)tcb->rcv_mss,
						mr_min(len, (uint32_t)tcb->adv_mss));
		return;
	}
	if (len < MR_TCP_MSS_DEFAULT && (last || len < MR_TCP_MSS_MIN))
		return;
	tcb->last_len = (uint8_t)(len % UINT8_MAX + 1);
	if (tcb->last_len == before)
		tcb->rcv_mss = (uint16_t)len;
}

/* Pass payload that is in order to the socket, chunk by chunk. */
static void deliver(struct input *in, struct mr_frame *f)
{
	struct mr_tcb *tcb = in->tcb;
	uint32_t len = f->pkt_len;
	uint8_t flags = f->tcp_flags;

	tcb->rcv_space -= mr_min(tcb->rcv_space, len);
	tcb->rcv_wnd -= mr_min(tcb->rcv_wnd, len);
	tcb->bytes_received += len;
	if (tcb->last_data_at && in->now - tcb->last_data_at > tcb->rto_ns)
		tcb->quickacks = MR_TCP_QUICKACKS; /* the sender restarts with a small cwnd */
	tcb->last_data_at = in->now;
	tcb->unacked_bytes += len;
	if (len && tcb->unacked_segs < MR_TCP_SMALL_ACKED)
		tcb->unacked_segs++;
	if (tcb->ecn.opt_last) /* no duplicate has arrived since, so the peer got that ACK */
		accecn_answered(tcb);
	full_segment(tcb, len, flags);
	while (f) {
		struct mr_frame *rest = f->frag;

		f->frag = NULL;
		f->next = NULL;
		f->pay = f->data;
		f->pay_len = f->len;
		f->seq = tcb->rcv_nxt;
		f->nchunks = 1;
		tcb->rcv_nxt += f->len;
		if (f->len)
			tcp_up(in->tcp)->data(tcb->owner, f);
		else
			mr_frame_put(in->tcp->frames, f);
		f = rest;
	}
	/* Sequence numbers wrap: an old mark would be ahead of rcv_nxt again one day. */
	if (mr_unlikely(tcb->urg_in && seq_gt(tcb->rcv_nxt, tcb->rcv_up)))
		tcb->urg_in = false;
	if (flags & MR_TCP_FIN)
		in->fin_due = true;
}

/* Measure the RTT at the receiver: from an ACK to the data that it permitted. With timestamps: from full segments,
 * smoothed, because the sender may have paused. Without: one window of data takes at least one RTT, and the smallest
 * sample counts. As Linux. */
static void measure_rtt(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	const struct mr_seg *seg = in->seg;
	uint32_t now_us = (uint32_t)(in->now / MR_NS_PER_US), sample, old = tcb->rcv_rtt_us;

	if (tcb->ts_ok && seg->opts & MR_TCPOPT_TS) {
		if (seg->tsecr == tcb->rcv_rtt_ref || seg->len < tcb->rcv_mss)
			return;
		tcb->rcv_rtt_ref = seg->tsecr;
		sample = (uint32_t)(tcp_ts_rtt(tcb->ts_offset, seg->tsecr, in->now) / MR_NS_PER_US);
		if (sample)
			tcb->rcv_rtt_us = old ? old - old / 8 + sample / 8 : sample;
		return;
	}
	if (tcb->rcv_rtt_since_us) {
		if (seq_lt(tcb->rcv_nxt, tcb->rcv_rtt_ref))
			return;
		sample = now_us - tcb->rcv_rtt_since_us;
		tcb->rcv_rtt_us = old ? mr_min(old, sample) : sample;
	}
	tcb->rcv_rtt_ref = tcb->rcv_nxt + tcb->rcv_wnd;
	tcb->rcv_rtt_since_us = now_us | 1; /* because 0 means: no measurement under way */
}

/* RFC 9293 section 3.8.6.3, RFC 5681 section 4.2: every second full segment is acknowledged at once, the others
 * within MR_TCP_DELACK_NS. Also at once: while segments are missing, and when a gap was just filled. As in Linux,
 * every segment is acknowledged at once while a sender starts or has retransmitted unnecessarily, unless the
 * application usually answers with data, which then carries the ACK. */
static void owe_ack(struct input *in, bool gap)
{
	struct mr_tcb *tcb = in->tcb;

	tcb_mark(in->tcp, tcb);
	if (gap)
		tcb->quickacks = MR_TCP_QUICKACKS_LOSS;
	if (gap || tcb->gap || (tcb->quickacks && !tcb->pingpong) ||
	    tcb->unacked_bytes >= 2u * tcb->rcv_mss || tcb->unacked_segs >= MR_TCP_SMALL_ACKED) {
		if (tcb->quickacks)
			tcb->quickacks--;
		tcb->ack_now = true;
	} else if (tcb->timers[MR_TT_DELACK] == MR_TIME_NEVER) {
		tcb_timer_set(in->tcp, tcb, MR_TT_DELACK, in->now + MR_TCP_DELACK_NS);
	}
}

/* ---- SYN-SENT: RFC 9293 section 3.10.7.3 ----------------------------------------------------- */

/* The peer still has an older connection with the same 4-tuple, usually in TIME-WAIT, and has answered out of that.
 * Our reset ends it. As Linux, the SYN is then repeated at once, and not only at the retransmission timeout; once per
 * connection. */
static void met_old(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;

	if (tcb->syn_met_old || tcb->backoff || in->seg->flags & MR_TCP_RST)
		return;
	tcb->syn_met_old = true;
	tcb_timer_set(in->tcp, tcb, MR_TT_RTX, in->now + MR_TCP_SYN_AGAIN_NS);
}

/* As Linux: a SYN,ACK that echoes a timestamp which none of our SYNs had belongs to another connection. */
static bool echo_is_ours(const struct mr_tcb *tcb, const struct mr_seg *seg, uint64_t now)
{
	uint32_t begun = tcp_ts_now(tcb->ts_offset, tcb->last_rcv_at);

	return !(seg->flags & MR_TCP_ACK) || !(seg->opts & MR_TCPOPT_TS) || !seg->tsecr ||
	       (seq_geq(seg->tsecr, begun) && seq_leq(seg->tsecr, tcp_ts_now(tcb->ts_offset, now)));
}

static enum verdict syn_sent(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	struct mr_seg *seg = in->seg;
	bool ack_ok = false;

	if (seg->flags & MR_TCP_ACK) { /* first */
		if (seq_leq(seg->ack, tcb->iss) || seq_gt(seg->ack, tcb->snd_nxt + tcb->tfo_len)) {
			met_old(in);
			return verdict(in, V_RST, MR_DROP_TCP_ACK_INVALID);
		}
		ack_ok = true;
	}
	if (!echo_is_ours(tcb, seg, in->now))
		return verdict(in, V_RST, MR_DROP_TCP_PAWS);
	if (seg->flags & MR_TCP_RST) /* second: a blind reset has no acceptable ACK */
		return ack_ok ? verdict(in, V_RESET, MR_DROP_NONE) :
				verdict(in, V_DROP, MR_DROP_TCP_RST_INVALID);
	if (!(seg->flags & MR_TCP_SYN)) /* fifth */
		return verdict(in, V_DROP, MR_DROP_TCP_NO_ACK);

	tcb->irs = seg->seq; /* fourth */
	tcb->rcv_nxt = seg->seq + 1;
	tcb->last_ack_sent = tcb->rcv_nxt;
	learn_options(in->tcp, tcb, seg, in->now);
	ecn_client(tcb, seg, in->rx->tos);
	ack_window(tcb, seg, 0); /* never scaled in a SYN */
	if (!ack_ok) {		 /* simultaneous open: <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> */
		tcb_set_state(tcb, MR_TCP_SYN_RECEIVED);
		tcb->syn_owed = true;
		tcb_mark(in->tcp, tcb);
		return V_DONE;
	}
	tfo_synack(in->tcp, tcb, seg, in->now);
	tcb->snd_una = seg->ack;
	if (!tcb->backoff)
		rtt_sample(tcb, in->now - tcb->last_sent_at);
	else if (tcb->ts_ok) /* the timestamp says which SYN it answers */
		rtt_by_timestamp(tcb, seg, in->now);
	established(in);
	tcb->ack_now = true;
	/* Text or FIN in the SYN,ACK: continue with the sixth step, as for a segment without SYN. */
	seg->seq++;
	seg->flags &= (uint8_t)~MR_TCP_SYN;
	in->f->seq = seg->seq;
	return V_NEXT;
}

/* ---- The other states: RFC 9293 section 3.10.7.4 --------------------------------------------- */

/* Does the segment fill a hole, with a timestamp older than TS.Recent because a later retransmission has overtaken
 * it? It cannot be from an earlier cycle of sequence numbers if it is not older than ts_past[0], which was TS.Recent
 * at most 2^30 bytes ago: by then 2^31 bytes of this cycle had been sent, and the timestamp clock ticks in that time
 * (RFC 7323 section 5.4). */
static bool fills_a_hole_late(const struct mr_tcb *tcb, const struct mr_seg *seg)
{
	return tcb->gap && seg->len && !(seg->flags & MR_TCP_SYN) &&
	       seq_geq(seg->seq, tcb->rcv_nxt) && seq_lt(seg->seq, tcb->gap->q.tail->seq) &&
	       !paws_old(seg->tsval, tcb->ts_past[0]);
}

/* Kinds of ACKs without text whose TSval is older than TS.Recent (as Linux, tcp_disordered_ack()). */
enum ack_order {
	ACK_UNKNOWN, /* R1 applies: it is answered */
	ACK_OLD,     /* text sent after it has overtaken it: it has no information any more */
	ACK_DUP,     /* a duplicate ACK, reordered with others: its SACK blocks may be new */
};

static enum ack_order ack_order(const struct mr_tcb *tcb, const struct mr_seg *seg)
{
	uint32_t replay_ms =
		/* For timestamp clocks of up to 1200 Hz. */
		(uint32_t)(tcb->rto_ns / MR_NS_PER_MS) * 6 / 5;

	if (!(seg->flags & MR_TCP_ACK) || mr_seg_span(seg) || seq_gt(seg->seq, tcb->rcv_nxt))
		return ACK_UNKNOWN;
	if (seg->seq != tcb->rcv_nxt)
		return ACK_OLD;
	return seg->ack == tcb->snd_una && (uint32_t)seg->wnd << tcb->snd_wscale == tcb->snd_wnd &&
			       seq_diff(tcb->ts_recent, seg->tsval) <= replay_ms ?
		       ACK_DUP :
		       ACK_UNKNOWN;
}

/* RFC 7323 section 5.3 R1. Duplicate data is reported by D-SACK whatever its age (as Linux). Otherwise the sender
 * would not notice that it has retransmitted unnecessarily, or that its path reorders. */
static enum verdict step0_paws(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	const struct mr_seg *seg = in->seg;
	enum ack_order order;

	if (!tcb->ts_ok || !(seg->opts & MR_TCPOPT_TS) || seg->flags & MR_TCP_RST ||
	    !timestamp_is_old(tcb, seg->tsval, in->now) || fills_a_hole_late(tcb, seg))
		return V_NEXT;
	order = ack_order(tcb, seg);
	if (order == ACK_DUP)
		return V_NEXT;
	if (order == ACK_OLD)
		return verdict(in, V_DROP, MR_DROP_TCP_PAWS);
	if (seg->len)
		duplicate_below(in->tcp, tcb, seg);
	return verdict(in, seg->len ? V_ACK : V_CHALLENGE, MR_DROP_TCP_PAWS);
}

/* Remove what lies outside of the receive window. */
static void trim(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	struct mr_seg *seg = in->seg;
	uint32_t edge = tcb->rcv_nxt + tcb->rcv_wnd;

	if (seq_lt(seg->seq, tcb->rcv_nxt)) {
		uint32_t n = mr_min(seq_diff(tcb->rcv_nxt, seg->seq), seg->len);

		sack_duplicate(in->tcp, tcb, seg->seq, seg->seq + n);

		in->f = pay_trim_front(in->tcp->frames, in->f, n);
		seg->seq += n;
		seg->len -= n;
		in->f->seq = seg->seq;
	}
	if (seq_gt(seg->seq + seg->len, edge)) {
		uint32_t keep = seq_gt(edge, seg->seq) ? seq_diff(edge, seg->seq) : 0;

		mr_frame_trim(in->tcp->frames, in->f, keep);
		seg->len = keep;
		seg->flags &= (uint8_t) ~(MR_TCP_FIN | MR_TCP_PSH);
		in->f->tcp_flags = seg->flags;
		tcb->ack_now = true; /* the peer has sent beyond the window: tell it the window */
		tcb_mark(in->tcp, tcb);
	}
}

/* macOS does not count its FIN in the sequence number of a later RST, and may not answer a challenge ACK. Accept it,
 * as Linux (tcp_reset_check()): otherwise the connection stays until the application gives it up. */
static bool rst_with_fins_number(const struct mr_tcb *tcb, const struct mr_seg *seg)
{
	return tcb->fin_rcvd && seg->seq == tcb->rcv_nxt - 1;
}

static enum verdict step1_sequence(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	const struct mr_seg *seg = in->seg;
	uint32_t span = mr_seg_span(seg), end = seg->seq + span, edge = tcb->rcv_nxt + tcb->rcv_wnd;
	bool ok;

	/* An empty segment may be just behind the window, as in Linux: a peer that has filled the window sends its
	 * ACKs with that sequence number. With a closed window the ACK of a probe with text is processed all the same
	 * (RFC 9293: "special allowance"), and its text is trimmed. */
	if (!span)
		ok = seq_geq(seg->seq, tcb->rcv_nxt) && seq_leq(seg->seq, edge);
	else if (!tcb->rcv_wnd)
		ok = seg->seq == tcb->rcv_nxt;
	else
		ok = seq_gt(end, tcb->rcv_nxt) && seq_lt(seg->seq, edge);
	if (ok)
		return V_NEXT;
	if (seg->flags & MR_TCP_RST)
		return rst_with_fins_number(tcb, seg) ? verdict(in, V_RESET, MR_DROP_NONE) :
							verdict(in, V_DROP, MR_DROP_TCP_SEQ);
	/* Everything in it was received before: our ACK was lost. Not for a SYN, because anybody could send that (RFC
	 * 5961 section 4.2). */
	if (span && !(seg->flags & MR_TCP_SYN) && seq_leq(end, tcb->rcv_nxt)) {
		duplicate_below(in->tcp, tcb, seg);
		accecn_duplicate(tcb);
		return verdict(in, V_ACK, MR_DROP_TCP_DUPLICATE);
	}
	/* A window probe or keepalive is always answered. But a segment that acknowledges what we never sent is
	 * neither: two ends into each of which somebody has injected a byte would answer each other's ACKs for ever. */
	if (seg->seq == tcb->rcv_nxt - 1 && seg->len <= 1 && seq_leq(seg->ack, tcb->snd_nxt))
		return verdict(in, V_ACK, MR_DROP_TCP_SEQ);
	return verdict(in, V_CHALLENGE, MR_DROP_TCP_SEQ);
}

/* Is seq just behind the last data that was received out of order? Then something before the RST was lost, and its
 * sender may no longer exist to answer a challenge ACK. As Linux, which accepts the number that SACK has reported. */
static bool behind_what_came(const struct mr_tcb *tcb, uint32_t seq)
{
	const struct mr_frame *last = tcb->gap && tcb->sack_ok ? tcb->gap->q.tail : NULL;

	return last && seq == last->seq + last->pkt_len;
}

/* Step 1 has left only RSTs inside the window. One whose sequence number is not rcv_nxt gets a challenge ACK, so that
 * an off-path attacker has to guess 32 bits and not just a window (RFC 5961 section 3.2). */
static enum verdict step2_rst(struct input *in)
{
	if (!(in->seg->flags & MR_TCP_RST))
		return V_NEXT;
	if (in->seg->seq == in->tcb->rcv_nxt || behind_what_came(in->tcb, in->seg->seq))
		return verdict(in, V_RESET, MR_DROP_NONE);
	return verdict(in, V_CHALLENGE, MR_DROP_TCP_RST_INVALID);
}

/* RFC 5961 section 4.2: a SYN gets a challenge ACK, whatever its sequence number. */
static enum verdict step4_syn(struct input *in)
{
	if (!(in->seg->flags & MR_TCP_SYN))
		return V_NEXT;
	return verdict(in, V_CHALLENGE, MR_DROP_TCP_SYN_CHALLENGE);
}

/* RFC 5961 section 5.2: the oldest ACK that is accepted as reordered. As Linux since 6.7, not one before our ISS: a
 * young connection has sent less than a window. */
static uint32_t oldest_ack(const struct mr_tcb *tcb)
{
	return tcb->bytes_acked < tcb->max_snd_wnd ? tcb->iss + 1 : tcb->snd_una - tcb->max_snd_wnd;
}

/* The ACK of our SYN in SYN-RECEIVED of a simultaneous open. */
static enum verdict simultaneous_open_acked(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	const struct mr_seg *seg = in->seg;

	if (seq_leq(seg->ack, tcb->snd_una) || seq_gt(seg->ack, tcb->snd_nxt + tcb->tfo_len))
		return verdict(in, V_RST, MR_DROP_TCP_ACK_INVALID);
	if (tcb->tfo != MR_TFO_NONE)
		tfo_synack(in->tcp, tcb, seg, in->now);
	timestamp_update(tcb, seg, in->now);
	tcb->snd_una = seg->ack;
	ack_window(tcb, seg, in->had_syn ? 0 : tcb->snd_wscale);
	/* The peer's SYN and SYN,ACK arrived before our SYN,ACK was sent: it still has to be acknowledged. */
	tcb->ack_now |= tcb->syn_owed;
	tcb->syn_owed = false;
	established(in);
	return V_NEXT;
}

static enum verdict our_fin_acked(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;

	switch (tcb->state) {
	case MR_TCP_FIN_WAIT1:
		tcb_set_state(tcb, MR_TCP_FIN_WAIT2);
		if (tcb->owner)
			tcp_up(in->tcp)->acked(tcb->owner);
		else if (tcb->opts.linger2_s < 0)
			return verdict(in, V_ABORT, MR_DROP_TCP_CLOSED);
		else
			tcb_timer_set(in->tcp, tcb, MR_TT_KEEP, in->now + tcb_fin_timeout(tcb));
		return V_NEXT;
	case MR_TCP_CLOSING:
		return V_TIMEWAIT;
	case MR_TCP_LAST_ACK:
		return V_CLOSED;
	default:
		return V_NEXT;
	}
}

static enum verdict step5_ack(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	const struct mr_seg *seg = in->seg;

	if (!(seg->flags & MR_TCP_ACK))
		return verdict(in, V_DROP, MR_DROP_TCP_NO_ACK);
	if (tcb->tfo == MR_TFO_PENDING) {
		if (seq_leq(seg->ack, tcb->iss) || seq_gt(seg->ack, tcb->snd_nxt))
			return verdict(in, V_RST, MR_DROP_TCP_ACK_INVALID);
		ack_window(tcb, seg, tcb->snd_wscale);
		fast_open_confirmed(in); /* the ACK may acknowledge data, too */
	} else if (tcb->state == MR_TCP_SYN_RECEIVED) {
		return simultaneous_open_acked(in);
	}
	/* RFC 5961 section 5.2 */
	if (seq_gt(seg->ack, tcb->snd_nxt))
		return verdict(in, V_CHALLENGE, MR_DROP_TCP_ACK_INVALID);
	if (seq_lt(seg->ack, oldest_ack(tcb)))
		return verdict(in, V_CHALLENGE, MR_DROP_TCP_ACK_OLD);

	/* Only when the ACK is known to be acceptable: an attacker who does not know our sequence numbers must not
	 * change TS.Recent, because PAWS would then drop the peer's segments; and such a segment does not show that
	 * the peer is alive. */
	timestamp_update(tcb, seg, in->now);
	tcb->last_rcv_at = in->now;
	tcb->probes = 0;
	ack_input(in->tcp, tcb, seg, in->now);
	return tcb->fin_sent && seg->ack == tcb->snd_nxt ? our_fin_acked(in) : V_NEXT;
}

static bool receiving(const struct mr_tcb *tcb)
{
	return tcb->tfo == MR_TFO_PENDING || tcb->state == MR_TCP_ESTABLISHED ||
	       tcb->state == MR_TCP_FIN_WAIT1 || tcb->state == MR_TCP_FIN_WAIT2;
}

/* As Linux (tcp_stdurg 0): the urgent pointer points behind the urgent byte. */
static enum verdict step6_urg(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	uint32_t at;

	if (!(in->seg->flags & MR_TCP_URG) || !in->seg->up || !receiving(tcb) || !tcb->owner)
		return V_NEXT;
	at = in->seg->seq + in->seg->up - 1;
	if (seq_lt(at, tcb->rcv_nxt) || (tcb->urg_in && seq_leq(at, tcb->rcv_up)))
		return V_NEXT;
	tcb->urg_in = true;
	tcb->rcv_up = at;
	tcp_up(in->tcp)->urgent(tcb->owner);
	return V_NEXT;
}

/* Text before it is missing: queue it, and let the peer know. */
static enum verdict text_out_of_order(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	uint32_t start = in->seg->seq, end = start + in->seg->len;
	enum mr_drop reason = ooo_insert(in->tcp, tcb, in->f);

	if (reason == MR_DROP_NONE && start != end)
		sack_received(tcb, start, end);
	else if (reason == MR_DROP_TCP_DUPLICATE)
		sack_duplicate(in->tcp, tcb, start, end);
	tcb->ooo_segs_in++;
	/* RFC 5681 section 4.2: one duplicate ACK for each segment. */
	tcb->dupacks_owed++;
	tcb_mark(in->tcp, tcb);
	if (reason != MR_DROP_NONE)
		return verdict(in, V_DROP, reason);
	in->f = NULL;
	return V_DONE;
}

static enum verdict step7_text(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	bool gap = tcb->gap != NULL;
	struct mr_frame *f;

	if (!receiving(tcb) || !mr_seg_span(in->seg))
		return V_NEXT;
	/* The application has closed, so nobody will read this (RFC 9293 section 3.10.4, RFC 2525 section 2.17). */
	if (!tcb->owner && in->seg->len && seq_gt(in->seg->seq + in->seg->len, tcb->rcv_nxt))
		return verdict(in, V_ABORT, MR_DROP_TCP_CLOSED);
	/* Nor will anybody if both directions were shut down (RFC 1122 section 4.2.2.13, as Linux). */
	if (tcb->shut_rd && tcb->fin_queued && in->seg->len &&
	    seq_gt(in->seg->seq + in->seg->len, tcb->rcv_nxt))
		return verdict(in, V_REFUSE, MR_DROP_TCP_CLOSED);
	if (tcb->fin_rcvd) /* text behind the FIN is invalid */
		return verdict(in, V_DROP, MR_DROP_TCP_SEQ);
	trim(in);
	if (!mr_seg_span(in->seg))
		return V_NEXT;
	if (tcp_frames_scarce(in->tcp) && in->seg->len && !tcp_up(in->tcp)->room(tcb->owner)) {
		in->tcp->ctr->drop[MR_DROP_NO_FRAME]++;
		return V_DONE; /* not V_DROP: trim() may have replaced the first frame */
	}
	if (in->seg->seq != tcb->rcv_nxt)
		return text_out_of_order(in);
	/* The last free frames are kept for ACKs of both directions; they return when the application reads. If there
	 * is data out of order, drop that instead of this segment, which fills the hole before it: otherwise neither
	 * would ever be delivered. */
	if (tcp_frames_low(in->tcp) && in->seg->len) {
		if (!tcb->gap) {
			in->tcp->ctr->drop[MR_DROP_NO_FRAME]++;
			return V_DONE;
		}
		ooo_free(in->tcp, tcb);
	}
	if (in->seg->len)
		measure_rtt(in);
	deliver(in, in->f);
	in->f = NULL;
	while (!in->fin_due && (f = ooo_take(in->tcp, tcb)))
		deliver(in, f);
	sack_forget(tcb);
	owe_ack(in, gap);
	return V_NEXT;
}

static enum verdict step8_fin(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;

	if (!in->fin_due)
		return V_NEXT;
	tcb->rcv_nxt++;
	tcb->rcv_wnd -= tcb->rcv_wnd != 0;
	tcb->fin_rcvd = true;
	tcb->ack_now = true;
	tcb_mark(in->tcp, tcb);
	ooo_free(in->tcp, tcb);
	sack_forget(tcb);
	if (tcb->owner)
		tcp_up(in->tcp)->fin(tcb->owner);
	switch (tcb->state) {
	case MR_TCP_ESTABLISHED:
		tcb_set_state(tcb, MR_TCP_CLOSE_WAIT);
		return V_NEXT;
	case MR_TCP_FIN_WAIT1: /* our FIN is not acknowledged yet */
		tcb_set_state(tcb, MR_TCP_CLOSING);
		return V_NEXT;
	default:
		assert(tcb->state == MR_TCP_FIN_WAIT2);
		return V_TIMEWAIT;
	}
}

static enum verdict other_states(struct input *in)
{
	struct mr_tcb *tcb = in->tcb;
	struct mr_seg *seg = in->seg;
	enum verdict v;

	if (tcb->tfo == MR_TFO_PENDING && seg->flags & MR_TCP_SYN && seg->seq == tcb->irs) {
		tcb->syn_owed = true; /* our SYN,ACK was lost */
		tcb_mark(in->tcp, tcb);
		return verdict(in, V_DROP, MR_DROP_TCP_DUPLICATE);
	}
	/* A SYN,ACK that crosses ours in a simultaneous open: its SYN was received before, but its ACK is new (RFC
	 * 9293 figure 8: line 7 is acceptable after line 4). */
	if (tcb->state == MR_TCP_SYN_RECEIVED && seg->flags & MR_TCP_SYN && seg->seq == tcb->irs) {
		seg->flags &= (uint8_t)~MR_TCP_SYN;
		seg->seq++;
		in->f->seq = seg->seq;
		in->had_syn = true;
	}
	if (seg->flags & MR_TCP_SYN && seg->flags & MR_TCP_ACK && seg->seq == tcb->irs)
		ecn_synack_seen(tcb, in->rx->tos);
	/* clang-format off: one step a line */
	v = step0_paws(in) ?:
	    step1_sequence(in) ?:
	    step2_rst(in) ?: /* third, security: not offered */
	    step4_syn(in);
	/* clang-format on */
	if (v)
		return v;
	ecn_received(in->tcp, tcb, seg, in->rx->tos);
	/* clang-format off */
	return step5_ack(in) ?:
	       step6_urg(in) ?:
	       step7_text(in) ?:
	       step8_fin(in);
	/* clang-format on */
}

/* ---- Carry out what the steps have decided -------------------------------------------------- */

static enum mr_drop carry_out(struct input *in, enum verdict v)
{
	struct mr_tcp *tcp = in->tcp;
	struct mr_tcb *tcb = in->tcb;

	switch (v) {
	case V_NEXT:
	case V_DONE:
		return MR_DROP_NONE;
	case V_ACK:
		tcb->ack_now = true;
		tcb_mark(tcp, tcb);
		break;
	case V_CHALLENGE:
		if (tcp_challenge_allowed(tcp, &tcb->challenge_at, in->now)) {
			tcb->ack_now = true;
			tcb_mark(tcp, tcb);
		}
		break;
	case V_RST:
		tcp_reply_rst(tcp, in->rx, in->seg, in->now);
		break;
	case V_ABORT:
		mr_tcp_abort(tcp, tcb, in->now);
		break;
	case V_REFUSE:
		if (!mr_dst_resolve(tcp->ip, &tcb->dst, &tcb->flow.raddr, in->now))
			tcp_send_rst(tcp, tcb, in->now);
		MR_COUNT(tcp->ctr, TCP_ESTAB_RESETS);
		tcb_end(tcp, tcb, -ECONNRESET);
		break;
	case V_RESET:
		/* With a valid cookie the application has accepted the connection already. */
		if (tcb->tfo != MR_TFO_PENDING &&
		    (tcb->state == MR_TCP_SYN_SENT || tcb->state == MR_TCP_SYN_RECEIVED)) {
			MR_COUNT(tcp->ctr, TCP_ATTEMPT_FAILS);
			tcb_end(tcp, tcb, -ECONNREFUSED);
		} else {
			if (tcb->tfo == MR_TFO_PENDING)
				tfo_reset(tcp, in->now);
			MR_COUNT(tcp->ctr, TCP_ESTAB_RESETS);
			tcb_end(tcp, tcb, -ECONNRESET);
		}
		break;
	case V_CLOSED:
		tcb_end(tcp, tcb, 0);
		break;
	case V_TIMEWAIT:
		timewait_enter(tcp, tcb, in->now);
		break;
	case V_DROP:
		break;
	}
	return in->reason;
}

/* MR_DROP_NONE: f was consumed. Otherwise the caller still owns it. */
static enum mr_drop tcb_input(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f,
			      struct mr_seg *seg, const struct mr_ip_rx *rx, uint64_t now)
{
	struct input in = { .tcp = tcp, .tcb = tcb, .f = f, .seg = seg, .rx = rx, .now = now };
	enum mr_drop reason;
	enum verdict v;

	tcp->changing = &tcb->flow;
	tcb->segs_in++;
	tcb->data_segs_in += seg->len != 0;
	if (tcb->state == MR_TCP_SYN_SENT)
		v = syn_sent(&in) ?: step6_urg(&in) ?: step7_text(&in) ?: step8_fin(&in);
	else if (is_fast_open_syn(tcb, seg))
		v = fast_open_text(&in) ?: step7_text(&in);
	else
		v = other_states(&in);
	reason = carry_out(&in, v);
	if (reason == MR_DROP_NONE && in.f)
		mr_frame_put_chain(tcp->frames, in.f);
	return reason;
}

static bool csum_good(const struct mr_frame *f, const struct mr_ip_rx *rx)
{
	uint32_t sum = mr_csum_pseudo(&rx->src, &rx->dst, IPPROTO_TCP, rx->l4_len);

	return mr_csum_fold(mr_csum_add(sum, mr_frame_csum(f, 0, rx->l4_len))) == 0xffff;
}

enum mr_drop mr_tcp_input(struct mr_tcp *tcp, struct mr_frame *f, const struct mr_ip_rx *rx,
			  uint64_t now)
{
	struct mr_tcp_listener *l;
	struct mr_flow *flow;
	struct mr_tcb *tcb;
	struct mr_seg seg;
	uint32_t hash, min_iss = 0;
	enum mr_drop reason;
	bool reuse;

	reason = mr_tcp_parse(f->data, f->len, rx->l4_len, &seg);
	if (reason != MR_DROP_NONE)
		return reason;
	if (!rx->csum_ok && !csum_good(f, rx))
		return MR_DROP_TCP_BAD_CSUM;
	MR_COUNT(tcp->ctr, TCP_SEGS_IN);
	mr_frame_pull(f, seg.hlen);
	f->seq = seg.seq;
	f->tcp_flags = seg.flags;
	hash = f->flags & MR_FRAME_META && f->meta.hash ?
		       f->meta.hash :
		       flow_hash(tcp, &rx->dst, seg.dport, &rx->src, seg.sport);
	flow = flow_lookup(tcp, hash, &rx->dst, seg.dport, &rx->src, seg.sport);
	tcp->changing = flow;
	if (flow && flow->kind == MR_FLOW_TCB)
		return tcb_input(tcp, (struct mr_tcb *)flow, f, &seg, rx, now);
	if (flow && flow->kind == MR_FLOW_SYN) {
		reason = synreq_input(tcp, (struct mr_tcp_synreq *)flow, rx, &seg, now, &tcb);
		if (tcb)
			return tcb_input(tcp, tcb, f, &seg, rx, now);
		if (reason == MR_DROP_NONE)
			mr_frame_put_chain(tcp->frames, f);
		return reason;
	}
	if (flow) {
		reason = timewait_input(tcp, (struct mr_tcp_tw *)flow, rx, &seg, now, &reuse,
					&min_iss);
		if (!reuse)
			return reason;
	}
	l = listener_lookup(tcp, &rx->dst, seg.dport, hash);
	if (l) {
		reason = listen_input(tcp, l, rx, &seg, min_iss, now, &tcb);
		if (tcb)
			return tcb_input(tcp, tcb, f, &seg, rx, now);
		if (reason == MR_DROP_NONE)
			mr_frame_put_chain(tcp->frames, f);
		return reason;
	}
	tcp_reply_rst(tcp, rx, &seg, now); /* CLOSED: RFC 9293 section 3.10.7.1 */
	return MR_DROP_TCP_NO_SOCKET;
}
