// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_output.c - sends what one connection has to send: data, retransmissions, ACKs, probes.
 * Owns        snd_nxt, the TCB's "owed" flags.
 * Implements  RFC 9293 sections 3.8.6.1 (zero-window probes), 3.8.6.2.1 (silly window avoidance of the sender), 3.7.4
 *             (Nagle, with Minshall's change as Linux has it). A device with segmentation offload gets a burst of
 *             segments in one packet.
 * Called by   mr_tcp_flush(), once per round for each TCB that has something to send.
 * Not here    making and sending a packet (tcp_xmit.c), segments without a TCB (tcp_reply.c), loss detection
 *             (tcp_loss.c), the pacing rate (tcp_pace.c).
 */
#include <errno.h>

#include "base/compiler.h"
#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

/* Why sending stopped. */
enum stop {
	STOP_DONE,   /* nothing more to send */
	STOP_ROOM,   /* no room in the transmit queue, or no frame: continue in the next round */
	STOP_CWND,   /* congestion window */
	STOP_PACE,   /* pacing */
	STOP_WINDOW, /* peer's window */
	STOP_NAGLE,  /* a small segment waits for an ACK */
	STOP_CORK,   /* a small segment waits for more, at most MR_TCP_CORK_NS */
	/* No frame is free to split data that may be sent: an ACK will free one, or a timer tries again. */
	STOP_FRAMES,
};

/* A single segment with at least so many bytes is sent like a burst: otherwise each of its chunks costs the kernel a
 * page, and the payload has to be summed, here and by the peer. */
#define BURST_ALONE 8192u
/* IPv6 and TCP headers with all options, in a burst that the device cuts. */
#define BURST_HEADERS 100u

/* ---- Data ------------------------------------------------------------------------------------ */

static uint8_t data_flags(const struct run *r, bool fin)
{
	/* As Linux, also push what empties the send queue: the peer may be waiting for just that. */
	return (uint8_t)(MR_TCP_ACK | (r->psh || !r->next ? MR_TCP_PSH : 0) |
			 (fin ? MR_TCP_FIN : 0));
}

static void count_retrans(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t end, uint32_t bytes,
			  uint64_t now)
{
	MR_COUNT(tcp->ctr, TCP_RETRANS);
	tcb->retrans++;
	loss_retransmitted(tcb, end, bytes, now);
}

static void mark_sent_again(struct mr_tcb *tcb, const struct run *r)
{
	for (struct mr_frame *f = r->first; f != r->next; f = f->next) {
		if (f->flags & MR_FRAME_LOST)
			tcb->lost_bytes -= f->pay_len;
		if (f->flags & MR_FRAME_LOST || !(f->flags & MR_FRAME_RETRANS))
			tcb->retrans_out += f->pay_len;
		f->flags = (uint8_t)((f->flags & ~MR_FRAME_LOST) | MR_FRAME_RETRANS);
	}
}

/* Retransmit what is lost. The first segment of the queue is sent whatever cwnd says, because recovery depends on it
 * (RFC 5681 section 3.2 step 3). */
static enum stop send_lost(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	while (!mr_list_empty(&tcb->lost)) {
		struct mr_frame *f = mr_list_first(&tcb->lost, struct mr_frame, sent_node);
		uint32_t flight = tcb_in_flight(tcb);
		struct run r;
		bool fin;

		if (!xmit_gather(tcp, tcb, f, tcb->snd_mss, RUN_LOST, &r))
			return STOP_FRAMES;
		if (f != tcb->sndq.head && flight && flight + r.len > tcb->cwnd)
			return STOP_CWND;
		if (!pace_allows(tcb, now))
			return STOP_PACE;
		fin = tcb->fin_sent && !r.next;
		if (!xmit_run(tcp, tcb, &r, data_flags(&r, fin), now))
			return STOP_ROOM;
		mark_sent_again(tcb, &r);
		if (fin)
			tcb->fin_lost = false;
		count_retrans(tcp, tcb, r.first->seq + r.len, r.len, now);
		/* As Linux: the timer restarts, or it could expire while this copy is being acknowledged. */
		if (f == tcb->sndq.head)
			tcp_arm_rtx(tcp, tcb, now);
		tcb->tlp.rearm = true;
	}
	if (tcb->fin_lost && !tcb->lost_bytes) {
		if (!mr_netif_tx_room(tcp->ip->nif, 1))
			return STOP_ROOM;
		xmit_empty(tcp, tcb, tcb->snd_nxt - 1, MR_TCP_FIN | MR_TCP_ACK, now);
		tcb->fin_lost = false;
		count_retrans(tcp, tcb, tcb->snd_nxt, 1, now);
	}
	return STOP_DONE;
}

/* Bytes that the peer's window permits beyond snd_nxt. */
static uint32_t usable_window(const struct mr_tcb *tcb)
{
	uint32_t edge = tcb->snd_una + tcb->snd_wnd;

	return seq_gt(edge, tcb->snd_nxt) ? seq_diff(edge, tcb->snd_nxt) : 0;
}

/* F-RTO (RFC 5682): has new data to be sent before retransmissions? If none was sent yet, there must be some. */
static bool new_data_first(struct mr_tcb *tcb)
{
	if (!tcb->frto_new)
		return false;
	if (tcb->snd_nxt == tcb->recover &&
	    (seq_diff(tcb->write_seq, tcb->snd_nxt) < tcb->snd_mss ||
	     usable_window(tcb) < tcb->snd_mss)) {
		loss_frto_give_up(tcb);
		return false;
	}
	return true;
}

/* May the last segment of the queue, smaller than the MSS, be sent now? */
static enum stop small_may_go(const struct mr_tcb *tcb)
{
	bool small_out = seq_gt(tcb->snd_sml, tcb->snd_una) && seq_leq(tcb->snd_sml, tcb->snd_nxt);

	if (tcb->fin_queued || tcb->push_small || tcb_waits_for_writer(tcb))
		return STOP_DONE;
	if (tcb->opts.cork || tcb->more)
		return STOP_CORK;
	if (!tcb->opts.nodelay && tcb->snd_nxt != tcb->snd_una && small_out)
		return STOP_NAGLE;
	return STOP_DONE;
}

/* Send a segment of new data that is longer than others, to find out whether the path carries it (tcp_path.c).
 * Without enough data to send there is no probe, and the data is sent as usual. */
static enum stop send_mtu_probe(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	uint32_t len = mtup_wants(tcp, tcb, now), flight = tcb_in_flight(tcb), need;
	struct run r;

	if (mr_likely(!len) || tcp_frames_scarce(tcp)) /* a lost probe needs frames to be split */
		return STOP_DONE;
	need = len + mtup_follow(tcb);
	if (!tcb->sndq.unsent || seq_diff(tcb->write_seq, tcb->snd_nxt) < need ||
	    usable_window(tcb) < need)
		return STOP_DONE;
	if (flight + len > tcb->cwnd)
		return flight ? STOP_CWND : STOP_DONE;
	if (!pace_allows(tcb, now))
		return STOP_PACE;
	if (sndq_pack(tcp, tcb, len) ||
	    !xmit_gather(tcp, tcb, tcb->sndq.unsent, len, RUN_NEW, &r) ||
	    !xmit_run(tcp, tcb, &r, data_flags(&r, false), now))
		return STOP_ROOM;
	tcb->sndq.unsent = r.next;
	tcb->snd_nxt += r.len;
	tcb->tlp.rearm = true;
	mtup_sent(tcp, tcb, r.len);
	return STOP_DONE;
}

/* The TCP payload of one packet: a segment, or as many whole segments as windows, pacing and device permit. */
static uint32_t burst_limit(const struct mr_tcp *tcp, const struct mr_tcb *tcb, uint32_t usable,
			    uint32_t flight)
{
	uint32_t mss = tcb->snd_mss, most = tcp->ip->nif->gso_bytes;

	/* Each segment has its own urgent pointer, and its own CWR if that is not part of a counter. */
	if (!most || tcb->urg_out || ecn_counts_with_cwr(tcb))
		return mss;
	most = mr_min(most - BURST_HEADERS, usable);
	most = mr_min(most, tcb->cwnd > flight ? tcb->cwnd - flight : 0);
	most = mr_min(most, pace_burst(tcb));
	return mr_max(mss, most - most % mss);
}

/* Collect more than one segment for a device that cuts them itself. A last one that is not full is left out if it may
 * not be sent yet. false: there is no more than one to send now. */
static bool gather_burst(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, uint32_t limit,
			 struct run *r)
{
	uint32_t mss = tcb->snd_mss;

	if (limit <= mss || !xmit_gather(tcp, tcb, f, limit, RUN_BURST, r) || r->len <= mss)
		return false;
	if (r->next || !(r->len % mss) || small_may_go(tcb) == STOP_DONE)
		return true;
	limit = r->len - r->len % mss;
	return limit > mss && xmit_gather(tcp, tcb, f, limit, RUN_BURST, r) && r->len > mss;
}

/* Collect the next segment alone. STOP_DONE: *r may be sent. */
static enum stop gather_segment(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f,
				uint32_t usable, uint32_t flight, struct run *r)
{
	if (!xmit_gather(tcp, tcb, f, tcb->snd_mss, RUN_NEW, r))
		return STOP_FRAMES;
	if (!r->next && r->len < tcb->snd_mss) {
		enum stop why = small_may_go(tcb);

		if (why != STOP_DONE)
			return why;
	}
	if (r->len > usable) {
		/* Silly window avoidance of the sender (RFC 9293 section 3.8.6.2.1): send a part of the segment
		 * only if that is half of the largest window that the peer ever advertised, or after the override
		 * timeout. */
		if (!usable || !(usable >= tcb->max_snd_wnd / 2 || tcb->push_small))
			return STOP_WINDOW;
		if (!xmit_gather(tcp, tcb, f, usable, RUN_NEW, r))
			return STOP_FRAMES;
	}
	return flight && flight + r->len > tcb->cwnd ? STOP_CWND : STOP_DONE;
}

static enum stop send_new(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_frame *f;
	enum stop probe;
	struct run r;

	cwv_send_begin(tcb, now);
	probe = send_mtu_probe(tcp, tcb, now);
	if (probe != STOP_DONE)
		return probe;
	while ((f = tcb->sndq.unsent)) {
		uint32_t usable = usable_window(tcb), flight = tcb_in_flight(tcb);
		bool fin;

		if (!gather_burst(tcp, tcb, f, burst_limit(tcp, tcb, usable, flight), &r)) {
			enum stop why = gather_segment(tcp, tcb, f, usable, flight, &r);

			if (why != STOP_DONE)
				return why;
			if (r.len >= BURST_ALONE &&
			    r.len + BURST_HEADERS <= tcp->ip->nif->gso_bytes)
				r.kind = RUN_BURST;
		}
		if (!pace_allows(tcb, now))
			return STOP_PACE;
		fin = tcb->fin_queued && !r.next;
		if (!xmit_run(tcp, tcb, &r, data_flags(&r, fin), now))
			return STOP_ROOM;
		tcb->sndq.unsent = r.next;
		tcb->snd_nxt += r.len;
		if (r.len % tcb->snd_mss)
			tcb->snd_sml = tcb->snd_nxt;
		tcb->push_small = false;
		tcb->tlp.rearm = true;
		if (fin) {
			tcb->snd_nxt++;
			tcb->fin_sent = true;
		}
	}
	if (tcb->fin_queued && !tcb->fin_sent) {
		if (!usable_window(tcb))
			return STOP_WINDOW;
		if (!mr_netif_tx_room(tcp->ip->nif, 1))
			return STOP_ROOM;
		xmit_empty(tcp, tcb, tcb->snd_nxt, MR_TCP_FIN | MR_TCP_ACK, now);
		tcb->snd_nxt++;
		tcb->fin_sent = true;
	}
	return STOP_DONE;
}

/* RFC 8985 section 7.3: send one segment, whatever cwnd says: new data if the peer's window permits, else the last
 * segment again. */
static enum stop send_probe(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_frame *f = tcb->sndq.unsent;
	struct run r;

	if (f && f->pay_len <= usable_window(tcb)) {
		if (!xmit_gather(tcp, tcb, f, mr_min((uint32_t)tcb->snd_mss, usable_window(tcb)),
				 RUN_NEW, &r) ||
		    !xmit_run(tcp, tcb, &r, data_flags(&r, false), now))
			return STOP_ROOM;
		tcb->sndq.unsent = r.next;
		tcb->snd_nxt += r.len;
		tcb->tlp.retrans = false;
	} else {
		for (f = tcb->sndq.head; f && f->next != tcb->sndq.unsent; f = f->next)
			;
		/* lost: it is retransmitted anyway. */
		if (!f || f->flags & (MR_FRAME_SACKED | MR_FRAME_LOST))
			return STOP_DONE;
		r = (struct run){ .first = f,
				  .len = f->pay_len,
				  .chunks = 1,
				  .busy = f->tx_refs,
				  .next = f->next };
		if (!xmit_run(tcp, tcb, &r, data_flags(&r, tcb->fin_sent && !r.next), now))
			return STOP_ROOM;
		mark_sent_again(tcb, &r);
		count_retrans(tcp, tcb, f->seq + f->pay_len, f->pay_len, now);
		tcb->tlp.retrans = true;
	}
	MR_COUNT(tcp->ctr, TCP_TLP);
	tcb->tlp.out = true;
	tcb->tlp.end_seq = tcb->snd_nxt;
	tcp_arm_rtx(tcp, tcb, now); /* section 7.3: the RTO runs from the probe */
	return STOP_DONE;
}

/* ---- Timers that depend on what is outstanding ----------------------------------------------- */

void tcp_arm_rtx(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	bool out = tcb->snd_nxt != tcb->snd_una;
	uint64_t at = now + rtt_rto(tcb); /* (5.1), (5.3) */

	if (!out && !tcb->persist) {
		tcb_timer_clear(tcb, MR_TT_RTX); /* RFC 6298 (5.2) */
		return;
	}
	/* As Linux: a long RTO ends with the user timeout. */
	if (tcb->opts.user_timeout_ms && tcb->stalled_since)
		at = mr_min(at, tcb->stalled_since + tcb->opts.user_timeout_ms * MR_NS_PER_MS);
	if (!out && tcb->snd_wnd) /* the window is too small, not closed */
		at = mr_min(at, now + MR_TCP_OVERRIDE_NS);
	tcb_timer_set(tcp, tcb, MR_TT_RTX, at);
}

/* Record what limits the connection until the next output (Linux's tcp_chrono_start() and tcp_chrono_stop()). */
static void chrono(struct mr_tcb *tcb, enum stop why, uint64_t now)
{
	uint32_t now_ms = (uint32_t)(now / MR_NS_PER_MS);
	enum mr_chrono is = MR_CHRONO_BUSY;

	if (!tcb->sndq.head)
		is = MR_CHRONO_IDLE;
	else if (why == STOP_WINDOW)
		is = MR_CHRONO_RWND;
	else if (!tcb->sndq.unsent && tcb->write_short && tcb_in_flight(tcb) < tcb->cwnd)
		is = MR_CHRONO_SNDBUF;
	if (is == (enum mr_chrono)tcb->chrono)
		return;
	if (tcb->chrono != MR_CHRONO_IDLE)
		tcb->chrono_ms[tcb->chrono - 1] += now_ms - tcb->chrono_at_ms;
	tcb->chrono = (uint8_t)(is & 3);
	tcb->chrono_at_ms = now_ms;
}

uint64_t mr_tcp_chrono_us(const struct mr_tcb *tcb, enum mr_chrono what, uint64_t now)
{
	uint32_t since = (uint32_t)(now / MR_NS_PER_MS) - tcb->chrono_at_ms;
	uint64_t ms = 0;

	for (int i = MR_CHRONO_BUSY; i < MR_CHRONO_MAX; i++)
		if (what == MR_CHRONO_BUSY || (int)what == i)
			ms += tcb->chrono_ms[i - 1] + (tcb->chrono == i ? since : 0);
	return ms * (MR_NS_PER_MS / MR_NS_PER_US);
}

/* sent: new data was sent. */
static void after_send(struct mr_tcp *tcp, struct mr_tcb *tcb, enum stop why, bool sent,
		       uint64_t now)
{
	bool out = tcb->snd_nxt != tcb->snd_una;
	bool full = why == STOP_CWND || tcb_in_flight(tcb) >= tcb->cwnd;

	chrono(tcb, why, now);
	if (sent || full)
		cwv_output(tcb, full, !tcb->sndq.unsent, now);
	if (why == STOP_PACE)
		tcb_timer_set(tcp, tcb, MR_TT_PACE, tcb->sending->pace.next);
	if (why == STOP_CORK && tcb->timers[MR_TT_CORK] == MR_TIME_NEVER)
		tcb_timer_set(tcp, tcb, MR_TT_CORK, now + MR_TCP_CORK_NS);
	if (why == STOP_FRAMES && !out)
		tcb_timer_set(tcp, tcb, MR_TT_PACE, now + rtt_rto(tcb));
	if (why == STOP_WINDOW && !out) {
		if (!tcb->persist) {
			tcb->persist = true;
			tcb->backoff = 0;
			tcb->probes = 0;
			tcp_arm_rtx(tcp, tcb, now);
		} else if (tcb->snd_wnd && tcb->timers[MR_TT_RTX] > now + MR_TCP_OVERRIDE_NS) {
			/* It was probed while closed, and has opened a little. */
			tcp_arm_rtx(tcp, tcb, now);
		}
		return;
	}
	if (tcb->persist) {
		tcb->persist = false;
		tcb->backoff = 0;
		tcb->stalled_since = 0;
		tcb_timer_clear(tcb, MR_TT_RTX);
	}
	if (out && tcb->timers[MR_TT_RTX] == MR_TIME_NEVER)
		tcp_arm_rtx(tcp, tcb, now);
	if (tcb->tlp.rearm) {
		tcb->tlp.rearm = false;
		tlp_arm(tcp, tcb, now);
	}
}

/* ---- One output of a connection ---------------------------------------------------------------- */

/* DCTCP receiver: data before a change of the CE mark is acknowledged by itself. Best effort: the next ACK
 * acknowledges it, too, only less precisely. */
static void send_ecn_acks(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	for (uint8_t i = 0; i < tcb->ecn.nacks; i++)
		xmit_ecn_ack(tcp, tcb, &tcb->ecn.acks[i], now);
	tcb->ecn.nacks = 0;
}

/* Send an ACK for each duplicate but the last, which the next ACK reports (RFC 2883 section 4: one D-SACK block per
 * ACK). false: no room. */
static bool send_dsacks(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_sack_block last = tcb->dsack, block;
	bool owed = tcb->dsack_owed, ack_now = tcb->ack_now, room;

	while ((room = mr_netif_tx_room(tcp->ip->nif, 1)) &&
	       sack_next_duplicate(tcp, tcb, &block)) {
		tcb->dsack = block;
		tcb->dsack_owed = true;
		if (tcb->dupacks_owed) /* this is one of them */
			tcb->dupacks_owed--;
		xmit_empty(tcp, tcb, tcb->snd_nxt, MR_TCP_ACK, now);
	}
	tcb->dsack = last;
	tcb->dsack_owed = owed;
	tcb->ack_now = ack_now;
	return room;
}

static bool output_handshake(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	uint8_t flags = MR_TCP_SYN;
	bool with_data = tcb->tfo == MR_TFO_WAIT && tcb->sndq.head;

	if (!tcb->syn_owed && !with_data)
		return true;
	if (!mr_netif_tx_room(tcp->ip->nif, 1))
		return false;
	if (tcb->state == MR_TCP_SYN_RECEIVED)
		flags |= MR_TCP_ACK;
	tcb->syn_owed = false;
	if (!with_data)
		xmit_empty(tcp, tcb, tcb->iss, flags, now);
	else if (!xmit_syn_data(tcp, tcb, now))
		return false;
	if (tcb->snd_nxt == tcb->iss)
		tcb->snd_nxt++;
	tcb->last_sent_at = now;
	if (tcb->timers[MR_TT_RTX] == MR_TIME_NEVER)
		tcp_arm_rtx(tcp, tcb, now);
	return true;
}

/* May data carry the ACK of the SYN,ACK? A pure ACK has to be sent first to report how the SYN,ACK arrived, if
 * something on the path may have changed its ECN field (RFC 9768 section 3.2.2.1). Between neighbours nothing does. */
static bool synack_answered_by_data(const struct mr_tcb *tcb)
{
	return tcb->sndq.unsent && tcb->snd_nxt == tcb->iss + 1 &&
	       mr_addr_eq(&tcb->dst.neigh->addr, &tcb->flow.raddr);
}

/* There is no route. The retransmission timer decides when to give up. ACKs that report one segment each are lost, as
 * they can be anywhere: this TCB must not occupy tcp.dsacks, and stale duplicate ACKs would be useless later. */
static void no_route(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_sack_block lost;

	while (tcb->dsack_more)
		sack_next_duplicate(tcp, tcb, &lost);
	tcb->ack_now |= tcb->dupacks_owed != 0;
	tcb->dupacks_owed = 0;
	tcb->soft_err = -ENETUNREACH;
	if (tcb->timers[MR_TT_RTX] == MR_TIME_NEVER)
		tcb_timer_set(tcp, tcb, MR_TT_RTX, now + rtt_rto(tcb));
}

/* Send the ACKs that cannot be merged into one. false: no room. */
static bool send_single_acks(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	if (tcb->ecn.hs_owed && !synack_answered_by_data(tcb)) {
		if (!mr_netif_tx_room(tcp->ip->nif, 1))
			return false;
		xmit_empty(tcp, tcb, tcb->snd_nxt, MR_TCP_ACK, now);
	}
	if (tcb->ecn.nacks)
		send_ecn_acks(tcp, tcb, now);
	if (tcb->dsack_more && !send_dsacks(tcp, tcb, now))
		return false;
	while (tcb->dupacks_owed) {
		if (!mr_netif_tx_room(tcp->ip->nif, 1))
			return false;
		tcb->dupacks_owed--;
		xmit_empty(tcp, tcb, tcb->snd_nxt, MR_TCP_ACK, now);
	}
	return true;
}

/* Send lost data, then new data, as far as windows, pacing and room permit. */
static enum stop send_data(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	const struct mr_frame *unsent;
	uint32_t frames;
	enum stop why;

	if (!new_data_first(tcb)) {
		why = send_lost(tcp, tcb, now);
		if (why != STOP_DONE)
			return why;
	}
	unsent = tcb->sndq.unsent;
	frames = tcb->sndq.frames;
	why = send_new(tcp, tcb, now);
	/* Less is unsent, or it is in fewer frames, because an MTU probe has packed them: the application may be able
	 * to write. */
	if (tcb->owner &&
	    ((tcb->opts.notsent_lowat && unsent != tcb->sndq.unsent) || tcb->sndq.frames < frames))
		tcp_up(tcp)->acked(tcb->owner);
	return why;
}

bool tcp_output(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	uint32_t mtu = tcb->dst.mtu, nxt = tcb->snd_nxt;
	enum stop why;

	if (mr_dst_resolve(tcp->ip, &tcb->dst, &tcb->flow.raddr, now)) {
		no_route(tcp, tcb, now);
		return true;
	}
	if (mr_unlikely(tcb->dst.mtu != mtu))
		tcb_path_changed(tcp, tcb);
	if (!tcb_synchronized(tcb)) {
		bool done = output_handshake(tcp, tcb, now);

		if (!done || tcb->tfo != MR_TFO_PENDING)
			return done;
	}
	if (!send_single_acks(tcp, tcb, now))
		return false;
	/* Not for ACKs of a half-closed connection whose FIN is acknowledged. */
	if (tcb->sndq.head || (tcb->fin_queued && !(tcb->fin_sent && tcb->snd_una == tcb->snd_nxt)))
		tcb_sending_begin(tcp, tcb, now);
	if (tcb->tlp.owed) {
		tcb->tlp.owed = false;
		send_probe(tcp, tcb, now); /* if there is no room, the probe is dropped */
	}
	why = send_data(tcp, tcb, now);
	after_send(tcp, tcb, why, tcb->snd_nxt != nxt, now);
	if (why == STOP_ROOM)
		return false;
	if (tcb->probe_owed || tcb->keep_owed) {
		/* Both elicit an ACK by a sequence number that was acknowledged before: RFC 1122 section 4.2.3.6 for
		 * keepalives; Linux does so for window probes, too. */
		MR_COUNT_N(tcp->ctr, TCP_ZERO_WINDOW_PROBES, tcb->probe_owed);
		MR_COUNT_N(tcp->ctr, TCP_KEEPALIVES, tcb->keep_owed);
		tcb->probe_owed = tcb->keep_owed = false;
		xmit_empty(tcp, tcb, tcb->snd_una - 1, MR_TCP_ACK, now);
	}
	if (tcb->ack_now || tcb->update_owed)
		xmit_empty(tcp, tcb, tcb->snd_nxt, MR_TCP_ACK, now);
	return true;
}

void mr_tcp_flush(struct mr_tcp *tcp, uint64_t now)
{
	struct mr_list *last = tcp->pending.prev, *node;

	while (!mr_list_empty(&tcp->pending) && mr_netif_tx_room(tcp->ip->nif, 1)) {
		struct mr_tcb *tcb;

		node = tcp->pending.next;
		tcb = mr_list_entry(node, struct mr_tcb, pending_node);
		tcp->changing = &tcb->flow;
		mr_list_del(node);
		if (!tcp_output(tcp, tcb, now))
			tcb_mark(tcp, tcb); /* at the end of the list, so that none starves */
		if (node == last)
			/* The rest of the list could not finish, and waits for the next round. */
			break;
	}
	tcp->changing = NULL;
}
