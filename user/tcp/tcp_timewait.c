// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_timewait.c - TIME-WAIT as a small object of its own.
 * Owns        struct mr_tcp_tw.
 * Implements  RFC 9293 section 3.10.7.4 for TIME-WAIT; RFC 1122 4.2.2.13 and RFC 6191 section 2 (a
 *             new SYN may reuse it); RFC 1337 section 3, fix 1 (RST does not end it).
 * Called by   input and the timers.
 */
#include "tcp/tcp_priv.h"

/* As Linux: beyond what the old connection had in flight, except with large windows. */
#define WINDOW_MOST 65535u

void timewait_free(struct mr_tcp *tcp, struct mr_tcp_tw *tw)
{
	flow_remove(tcp, &tw->flow);
	mr_timer_cancel(tcp->wheel, &tw->timer);
	mr_dst_put(tcp->ip, &tw->dst);
	tw->flow.kind = 0;
	mr_pool_put(&tcp->tws, tw);
}

void timewait_enter(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_tcp_tw *tw = mr_pool_get(&tcp->tws);

	tcb_set_state(tcb, MR_TCP_TIME_WAIT);
	MR_COUNT(tcp->ctr, TCP_TIMEWAIT);
	/* If no object is free, the connection just ends, as in Linux: TIME-WAIT only protects a later connection,
	 * which sequence numbers and timestamps protect as well. */
	if (!tw) {
		tcb_end(tcp, tcb, 0);
		return;
	}
	tw->flow = tcb->flow;
	tw->flow.kind = MR_FLOW_TIMEWAIT;
	tw->flow.next = NULL;
	tw->dst = tcb->dst;
	tcb->dst = (struct mr_dst){ 0 };
	tw->rcv_nxt = tcb->rcv_nxt;
	tw->snd_nxt = tcb->snd_nxt;
	tw->rcv_wnd = (uint16_t)(tcb->rcv_wnd >> tcb->rcv_wscale);
	tw->ts_ok = tcb->ts_ok;
	tw->ts_recent = tcb->ts_recent;
	tw->ts_offset = tcb->ts_offset;
	tw->ace = accecn_told(tcb);
	mr_timer_init(&tw->timer, MR_TIMER_TIMEWAIT);
	mr_timer_arm(tcp->wheel, &tw->timer, now + MR_TCP_TIMEWAIT_NS);
	/* In this order, so that a shared port is never the kernel's in between. */
	flow_insert(tcp, &tw->flow);
	tcb_end(tcp, tcb, 0);
	/* The ACK of the peer's FIN, which was not sent yet. */
	tcp_reply_tw_ack(tcp, tw, now);
}

/* RFC 6191 at the client, as Linux's tcp_tw_reuse: after a second our timestamps are later than all that the old
 * connection sent, so the peer accepts the new SYN. */
bool timewait_spent(const struct mr_tcp_tw *tw, uint64_t now)
{
	return tw->ts_ok && now >= tw->timer.expires - MR_TCP_TIMEWAIT_NS + MR_NS_PER_S;
}

uint32_t timewait_take_over(struct mr_tcp *tcp, struct mr_tcp_tw *tw)
{
	uint32_t min_iss = tw->snd_nxt + WINDOW_MOST;

	MR_COUNT(tcp->ctr, TCP_TIMEWAIT_REUSED);
	timewait_free(tcp, tw);
	return min_iss;
}

/* May this SYN start a new connection? Its timestamp, or else its sequence number, must be beyond all of the old one
 * (RFC 6191 section 2, RFC 1122 section 4.2.2.13). */
static bool reusable(const struct mr_tcp_tw *tw, const struct mr_seg *seg)
{
	if ((seg->flags & (MR_TCP_SYN | MR_TCP_ACK | MR_TCP_RST)) != MR_TCP_SYN)
		return false;
	if (tw->ts_ok && seg->opts & MR_TCPOPT_TS && seg->tsval != tw->ts_recent)
		return !paws_old(seg->tsval, tw->ts_recent);
	return seq_gt(seg->seq, tw->rcv_nxt);
}

enum mr_drop timewait_input(struct mr_tcp *tcp, struct mr_tcp_tw *tw, const struct mr_ip_rx *rx,
			    const struct mr_seg *seg, uint64_t now, bool *reuse, uint32_t *min_iss)
{
	bool in_order = seg->seq == tw->rcv_nxt && !mr_seg_span(seg);

	(void)rx;
	*reuse = reusable(tw, seg);
	if (*reuse) {
		*min_iss = timewait_take_over(tcp, tw);
		return MR_DROP_NONE;
	}
	if (seg->flags & MR_TCP_RST || in_order)
		return MR_DROP_TCP_TIMEWAIT;
	if (seg->flags & MR_TCP_FIN && seg->seq + mr_seg_span(seg) == tw->rcv_nxt) {
		/* Our last ACK was lost: repeat it, and restart 2 MSL (eighth step). */
		mr_timer_arm(tcp->wheel, &tw->timer, now + MR_TCP_TIMEWAIT_NS);
		tcp_reply_tw_ack(tcp, tw, now);
	} else if (tcp_challenge_allowed(tcp, &tw->challenge_at, now)) {
		tcp_reply_tw_ack(tcp, tw, now);
	}
	return MR_DROP_TCP_TIMEWAIT;
}
