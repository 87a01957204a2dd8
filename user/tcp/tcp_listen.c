// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_listen.c - passive opens: LISTEN, and SYN-RECEIVED as a small object until the handshake is complete.
 * Owns        struct mr_tcp_listener and struct mr_tcp_synreq.
 * Implements  RFC 9293 sections 3.10.7.2 and, for SYN-RECEIVED, 3.10.7.4.
 * Called by   input and the timers.
 * Not here    SYN-RECEIVED of a simultaneous open, which is a TCB (tcp_input.c).
 */
#include <errno.h>

#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

/* How long after a SYN,ACK the peer's first segments may arrive. */
#define SYNACK_FRESH_NS (3 * MR_NS_PER_S)

void synreq_free(struct mr_tcp *tcp, struct mr_tcp_synreq *req)
{
	flow_remove(tcp, &req->flow);
	mr_list_del(&req->node);
	req->listener->nreqs--;
	mr_timer_cancel(tcp->wheel, &req->timer);
	mr_dst_put(tcp->ip, &req->dst);
	req->flow.kind = 0;
	mr_pool_put(&tcp->synreqs, req);
}

int mr_tcp_listen(struct mr_tcp *tcp, struct mr_tcp_listener *l, uint32_t backlog,
		  const struct mr_tcp_opts *opts, void *owner)
{
	if (!tcp_may_listen(tcp, l))
		return -EADDRINUSE;
	l->backlog = backlog;
	l->opts = *opts;
	l->owner = owner;
	l->listening = true;
	if (tcp->ip->steer)
		mr_steer_listen(tcp->ip->steer, &l->laddr, opts->v6only, l->lport);
	return 0;
}

void mr_tcp_unlisten(struct mr_tcp *tcp, struct mr_tcp_listener *l)
{
	while (!mr_list_empty(&l->reqs))
		synreq_free(tcp, mr_list_first(&l->reqs, struct mr_tcp_synreq, node));
	l->listening = false;
	l->cookies_until = 0;
	if (tcp->ip->steer)
		mr_steer_unlisten(tcp->ip->steer, &l->laddr, l->opts.v6only, l->lport);
}

/* Fill in a request from a SYN. It is not in the flow table yet. Returns 0, or the error of mr_dst_resolve(). */
static int request_fill(struct mr_tcp *tcp, struct mr_tcp_listener *l, const struct mr_ip_rx *rx,
			const struct mr_seg *seg, uint64_t now, struct mr_tcp_synreq *req)
{
	int err = mr_dst_resolve(tcp->ip, &req->dst, &rx->src, now);

	if (err)
		return err;
	flow_set(tcp, &req->flow, MR_FLOW_SYN, &rx->dst, seg->dport, &rx->src, seg->sport);
	req->listener = l;
	req->irs = seg->seq;
	req->ts_offset = tcp_ts_offset(tcp, &req->flow);
	req->ts_ok = (seg->opts & MR_TCPOPT_TS) != 0;
	req->ts_recent = seg->tsval;
	req->sack_ok = (seg->opts & MR_TCPOPT_SACK_PERM) != 0;
	req->tfo_cookie = l->opts.fastopen && seg->opts & MR_TCPOPT_TFO;
	req->ecn_mode = ecn_requested(seg, l->opts.ecn);
	req->ecn_syn = rx->tos & ECN_MASK;
	req->wscale_ok = (seg->opts & MR_TCPOPT_WSCALE) != 0;
	req->snd_wscale = seg->wscale;
	req->rcv_wscale = req->wscale_ok ? tcp_choose_wscale(l->opts.rcvbuf) : 0;
	req->rcv_wnd = tcp_initial_rcv_wnd(mr_tcp_rcv_limit(&l->opts));
	req->peer_mss = tcp_peer_mss(seg, &rx->src);
	req->adv_mss = tcp_path_mss(&req->dst, &rx->src, l->opts.maxseg);
	return 0;
}

/* An ISS beyond the previous connection's sequence numbers, if there was one (RFC 1122 section 4.2.2.13). */
static uint32_t request_iss(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t min_iss,
			    uint64_t now)
{
	uint32_t iss = tcp_isn(tcp, flow, now);

	return min_iss && seq_leq(iss, min_iss) ? min_iss + 1 : iss;
}

/* Store the request. Its SYN,ACK is repeated until it is answered. */
static void request_keep(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint64_t now)
{
	mr_timer_init(&req->timer, MR_TIMER_SYN);
	mr_timer_arm(tcp->wheel, &req->timer, now + MR_TCP_RTO_INIT_NS);
	mr_list_add_tail(&req->listener->reqs, &req->node);
	req->listener->nreqs++;
	flow_insert(tcp, &req->flow);
}

/* There is no room to store this SYN: send a SYN cookie (RFC 4987). */
static enum mr_drop send_cookie(struct mr_tcp *tcp, struct mr_tcp_listener *l,
				const struct mr_ip_rx *rx, const struct mr_seg *seg, uint64_t now)
{
	struct mr_tcp_synreq req = { 0 };

	if (request_fill(tcp, l, rx, seg, now, &req))
		return MR_DROP_IP_NO_ROUTE;
	if (req.ts_ok) {
		req.ts_offset -= tcp_ts_now(req.ts_offset, now) - cookie_ts(&req, now);
	} else { /* there is no place to store options */
		req.wscale_ok = req.sack_ok = false;
		req.rcv_wscale = 0;
		if (req.ecn_mode == MR_ECN_MODE_CLASSIC)
			req.ecn_mode = MR_ECN_MODE_NONE;
	}
	req.iss = cookie_make(tcp, &req.flow, req.irs, req.peer_mss, now);
	tcp_reply_synack(tcp, &req, now);
	mr_dst_put(tcp->ip, &req.dst);
	l->cookies_until = now + COOKIE_LIFE_NS;
	MR_COUNT(tcp->ctr, TCP_COOKIES_OUT);
	return MR_DROP_NONE;
}

/* Third: a SYN. Data and FIN in it are ignored, and have to be sent again (RFC 9293 section 3.10.7.2). */
static enum mr_drop take_syn(struct mr_tcp *tcp, struct mr_tcp_listener *l,
			     const struct mr_ip_rx *rx, const struct mr_seg *seg, uint32_t min_iss,
			     uint64_t now)
{
	struct mr_tcp_synreq *req;

	if (!tcp_up(tcp)->accept_room(l->owner))
		return MR_DROP_TCP_ACCEPT_BACKLOG;
	req = l->nreqs < l->backlog ? mr_pool_get(&tcp->synreqs) : NULL;
	if (!req)
		return send_cookie(tcp, l, rx, seg, now);
	if (request_fill(tcp, l, rx, seg, now, req)) {
		mr_pool_put(&tcp->synreqs, req);
		return MR_DROP_IP_NO_ROUTE;
	}
	/* A cookie does not store the window: connections from a cookie have the largest. */
	req->rcv_wnd = mr_min(req->rcv_wnd, (uint32_t)tcp->rcv_wnd_first);
	req->iss = request_iss(tcp, &req->flow, min_iss, now);
	req->sent_at = now;
	request_keep(tcp, req, now);
	tcp_reply_synack(tcp, req, now);
	return MR_DROP_NONE;
}

/* Make a TCB in CLOSED from a request, whose destination it takes over, and from the segment that has the peer's
 * window. NULL: none is free. */
static struct mr_tcb *tcb_of_request(struct mr_tcp *tcp, struct mr_tcp_synreq *req,
				     const struct mr_seg *seg, uint64_t now)
{
	struct mr_tcp_listener *l = req->listener;
	struct mr_tcb *tcb = tcb_alloc(tcp, &l->opts, now);

	if (!tcb)
		return NULL;
	flow_set(tcp, &tcb->flow, MR_FLOW_TCB, &req->flow.laddr, req->flow.lport, &req->flow.raddr,
		 req->flow.rport);
	tcb->dst = req->dst; /* with its reference */
	req->dst = (struct mr_dst){ 0 };
	tcb->irs = req->irs;
	tcb->rcv_nxt = req->irs + 1;
	tcb->last_ack_sent = tcb->rcv_nxt;
	tcb->iss = req->iss;
	tcb->recover = req->iss;
	tcb->snd_una = tcb->snd_nxt = tcb->write_seq = tcb->snd_sml = req->iss + 1;
	tcb->ts_ok = req->ts_ok;
	tcb_timestamp_start(tcb, req->ts_recent, now);
	tcb->ts_offset = req->ts_offset;
	tcb->sack_ok = req->sack_ok;
	tcb->ecn.reduced_at = req->iss;
	tcb->rack.fack = req->iss;
	tcb->undo.retrans_end = req->iss;
	tcb->wscale_ok = req->wscale_ok;
	tcb->snd_wscale = req->wscale_ok ? req->snd_wscale : 0;
	tcb->rcv_wscale = req->rcv_wscale;
	tcb->rcv_wnd = req->rcv_wnd;
	tcb->adv_mss = req->adv_mss;
	tcb_set_snd_mss(tcp, tcb, req->peer_mss);
	mtup_established(tcp, tcb);
	tcb_guess_rcv_mss(tcb);
	tcb->snd_wnd = (uint32_t)seg->wnd << (seg->flags & MR_TCP_SYN ? 0 : tcb->snd_wscale);
	tcb->max_snd_wnd = tcb->snd_wnd;
	tcb->snd_wl1 = seg->seq;
	tcb->snd_wl2 = seg->flags & MR_TCP_ACK ? seg->ack : req->iss;
	return tcb;
}

/* The handshake is complete. */
static struct mr_tcb *establish(struct mr_tcp *tcp, struct mr_tcp_synreq *req,
				const struct mr_seg *seg, uint64_t now)
{
	struct mr_tcb *tcb = tcb_of_request(tcp, req, seg, now);

	if (!tcb)
		return NULL;
	ecn_server(tcb, req, seg);
	if (req->sent_at)
		rtt_sample(tcb, (req->acked_at ?: now) - req->sent_at);
	else if (req->retries && req->ts_ok) /* the timestamp says which SYN,ACK it answers */
		rtt_by_timestamp(tcb, seg, now);
	tcb_cong_start(tcb, req->retries != 0 || tcb->ecn.syn_marked);
	tcb_set_state(tcb, MR_TCP_SYN_RECEIVED);
	tcb_set_state(tcb, MR_TCP_ESTABLISHED);
	flow_insert(tcp, &tcb->flow);
	mr_tcp_opts_changed(tcp, tcb, now); /* starts keepalive */
	MR_COUNT(tcp->ctr, TCP_PASSIVE_OPENS);
	return tcb;
}

/* The handshake is complete: put the connection on the accept queue. *tcb NULL: it is full. As in Linux, the ACK is
 * then dropped; the SYN,ACK will be repeated, and its ACK may find room. */
static enum mr_drop complete(struct mr_tcp *tcp, struct mr_tcp_synreq *req,
			     const struct mr_seg *seg, uint64_t now, struct mr_tcb **tcb)
{
	struct mr_tcp_listener *l = req->listener;

	*tcb = NULL;
	if (!tcp_up(tcp)->accept_room(l->owner))
		return MR_DROP_TCP_ACCEPT_BACKLOG;
	*tcb = establish(tcp, req, seg, now);
	if (!*tcb)
		return MR_DROP_NO_MEMORY;
	(*tcb)->owner = tcp_up(tcp)->accept(l->owner, *tcb);
	if (!(*tcb)->owner) {
		mr_tcp_abort(tcp, *tcb, now);
		*tcb = NULL;
		return MR_DROP_TCP_ACCEPT_BACKLOG;
	}
	return MR_DROP_NONE;
}

/* RFC 7413 section 4.2.2: with a valid cookie the connection exists before the handshake is complete. NULL: no valid
 * cookie, or no room; then the SYN is processed as any other, and its data has to be sent again. */
static struct mr_tcb *take_fast_open(struct mr_tcp *tcp, struct mr_tcp_listener *l,
				     const struct mr_ip_rx *rx, const struct mr_seg *seg,
				     uint32_t min_iss, uint64_t now)
{
	struct mr_tcp_synreq req = { 0 };
	struct mr_tcb *tcb = NULL;
	enum tfo_made_by made_by;

	if (!l->opts.fastopen || !(seg->opts & MR_TCPOPT_TFO) || !seg->ntfo || !seg->len ||
	    request_fill(tcp, l, rx, seg, now, &req))
		return NULL;
	req.iss = request_iss(tcp, &req.flow, min_iss, now);
	/* Section 5.1: a forged cookie is rejected; the limit bounds what a stolen one can do. */
	made_by = tfo_cookie_check(tcp, l, &req.flow, seg);
	if (made_by != TFO_BY_NONE && tfo_unconfirmed(tcp, now) < l->opts.fastopen &&
	    tcp_up(tcp)->accept_room(l->owner))
		tcb = tcb_of_request(tcp, &req, seg, now);
	else
		MR_COUNT(tcp->ctr, TCP_TFO_REFUSED);
	mr_dst_put(tcp->ip, &req.dst); /* no effect if the TCB has taken it over */
	if (!tcb)
		return NULL;
	ecn_client(tcb, seg, rx->tos); /* as in a simultaneous open, because this is a SYN */
	tcb->snd_una = tcb->snd_nxt = tcb->snd_sml = tcb->iss;
	tcb_cong_start(tcb, false);
	tcb_set_state(tcb, MR_TCP_SYN_RECEIVED);
	flow_insert(tcp, &tcb->flow);
	tcb->syn_owed = true;
	tcb->tfo = MR_TFO_PENDING;
	tcb->syn_data = true;
	tcb->tfo_renew = made_by == TFO_BY_OLD_KEY;
	tcp->tfo_pending++;
	MR_COUNT_N(tcp->ctr, TCP_TFO_RENEWED, tcb->tfo_renew);
	MR_COUNT(tcp->ctr, TCP_PASSIVE_OPENS);
	MR_COUNT(tcp->ctr, TCP_TFO_IN);
	tcb->owner = tcp_up(tcp)->accept(l->owner, tcb);
	if (!tcb->owner) {
		mr_tcp_abort(tcp, tcb, now);
		return NULL;
	}
	tcb_mark(tcp, tcb);
	return tcb;
}

/* Could the segment belong to a connection of a SYN cookie of ours, whose first segment (the only one with the
 * cookie) was lost or reordered, and will be repeated? With text it could, as long as the cookie is valid. Without
 * text, it may be the peer's answer to a duplicate SYN,ACK; if it is more than that, it will be repeated soon. */
static bool may_be_early(const struct mr_tcp *tcp, const struct mr_tcp_synreq *req,
			 const struct mr_seg *seg, uint64_t now)
{
	uint64_t ago;

	if (!cookie_is_recent(tcp, &req->flow, req->iss, now))
		return false;
	if (mr_seg_span(seg))
		return true;
	ago = req->ts_ok ? tcp_ts_rtt(req->ts_offset, seg->tsecr, now) : 0;
	return ago && ago < SYNACK_FRESH_NS;
}

/* An ACK that belongs to no connection: does it have a valid SYN cookie? If so, it ends `other` (if not NULL): the
 * request that another copy of the same SYN made when there was room again. */
static enum mr_drop take_cookie(struct mr_tcp *tcp, struct mr_tcp_listener *l,
				struct mr_tcp_synreq *other, const struct mr_ip_rx *rx,
				const struct mr_seg *seg, uint64_t now, struct mr_tcb **tcb)
{
	struct mr_seg syn = *seg; /* the SYN, as far as the ACK still has its contents */
	struct mr_tcp_synreq req = { 0 };
	enum mr_drop reason;

	syn.seq = seg->seq - 1;
	if (request_fill(tcp, l, rx, &syn, now, &req))
		return MR_DROP_IP_NO_ROUTE;
	req.iss = seg->ack - 1;
	req.peer_mss = cookie_check(tcp, &req.flow, req.irs, req.iss, now);
	if (!req.peer_mss) {
		mr_dst_put(tcp->ip, &req.dst);
		MR_COUNT(tcp->ctr, TCP_COOKIES_BAD);
		if (!may_be_early(tcp, &req, seg, now)) /* RFC 9293 section 3.10.7.2, second */
			tcp_reply_rst(tcp, rx, seg, now);
		return MR_DROP_TCP_COOKIE;
	}
	if (other)
		synreq_free(tcp, other);
	req.ecn_mode = MR_ECN_MODE_NONE; /* these flags are not those of a SYN */
	if (req.ts_ok)
		cookie_ts_read(&req, seg->tsecr);
	req.ecn_mode = ecn_of_cookie(seg, l->opts.ecn, req.ecn_mode == MR_ECN_MODE_CLASSIC);
	req.rcv_wscale = req.wscale_ok ? tcp_choose_wscale(l->opts.rcvbuf) : 0;
	reason = complete(tcp, &req, seg, now, tcb);
	/* The peer is in ESTABLISHED, and may wait for us to send. If there is room for a request by now, its SYN,ACK
	 * is repeated until the accept queue has room, too. */
	if (!*tcb && l->nreqs < l->backlog) {
		struct mr_tcp_synreq *kept = mr_pool_get(&tcp->synreqs);

		if (kept) {
			*kept = req;
			request_keep(tcp, kept, now);
			return reason;
		}
	}
	mr_dst_put(tcp->ip, &req.dst); /* no effect if the TCB has taken it over */
	MR_COUNT_N(tcp->ctr, TCP_COOKIES_IN, *tcb != NULL);
	return reason;
}

enum mr_drop listen_input(struct mr_tcp *tcp, struct mr_tcp_listener *l, const struct mr_ip_rx *rx,
			  const struct mr_seg *seg, uint32_t min_iss, uint64_t now,
			  struct mr_tcb **tcb)
{
	*tcb = NULL;
	if (seg->flags & MR_TCP_RST) /* first */
		return MR_DROP_TCP_NO_SOCKET;
	if (seg->flags & MR_TCP_ACK) { /* second */
		if (!(seg->flags & MR_TCP_SYN) && now < l->cookies_until)
			return take_cookie(tcp, l, NULL, rx, seg, now, tcb);
		tcp_reply_rst(tcp, rx, seg, now);
		return MR_DROP_TCP_NO_SOCKET;
	}
	if (!(seg->flags & MR_TCP_SYN))
		return MR_DROP_TCP_NO_ACK;
	*tcb = take_fast_open(tcp, l, rx, seg, min_iss, now);
	return *tcb ? MR_DROP_NONE : take_syn(tcp, l, rx, seg, min_iss, now);
}

enum mr_drop synreq_input(struct mr_tcp *tcp, struct mr_tcp_synreq *req, const struct mr_ip_rx *rx,
			  const struct mr_seg *seg, uint64_t now, struct mr_tcb **tcb)
{
	uint32_t rcv_nxt = req->irs + 1;
	uint64_t unlimited = 0;
	enum mr_drop reason;

	*tcb = NULL;
	if (seg->flags & MR_TCP_SYN && !(seg->flags & MR_TCP_ACK) && seg->seq == req->irs) {
		if (!ecn_syn_again(req, seg, rx->tos)) { /* RFC 9768 section 3.1.5 */
			tcp_reply_rst(tcp, rx, seg, now);
			MR_COUNT(tcp->ctr, TCP_ATTEMPT_FAILS);
			synreq_free(tcp, req);
			return MR_DROP_TCP_ECN;
		}
		/* The SYN arrived again: our SYN,ACK was lost, or the SYN was duplicated. */
		tcp_reply_synack(tcp, req, now);
		return MR_DROP_TCP_DUPLICATE;
	}
	/* first: sequence number, and PAWS */
	if (req->ts_ok && seg->opts & MR_TCPOPT_TS && !(seg->flags & MR_TCP_RST) &&
	    paws_old(seg->tsval, req->ts_recent)) {
		tcp_reply_syn_ack_ack(tcp, req, now);
		return MR_DROP_TCP_PAWS;
	}
	if (seq_lt(seg->seq, rcv_nxt) || seq_gt(seg->seq, rcv_nxt + req->rcv_wnd)) {
		if (!(seg->flags & MR_TCP_RST) && tcp_challenge_allowed(tcp, &unlimited, now))
			tcp_reply_syn_ack_ack(tcp, req, now);
		return MR_DROP_TCP_SEQ;
	}
	if (seg->flags & MR_TCP_RST) { /* second: a passive open returns to LISTEN */
		if (seg->seq != rcv_nxt) {
			if (tcp_challenge_allowed(tcp, &unlimited, now))
				tcp_reply_syn_ack_ack(tcp, req, now);
			return MR_DROP_TCP_RST_INVALID;
		}
		MR_COUNT(tcp->ctr, TCP_ATTEMPT_FAILS);
		synreq_free(tcp, req);
		return MR_DROP_TCP_NO_SOCKET;
	}
	if (seg->flags & MR_TCP_SYN) { /* fourth */
		if (tcp_challenge_allowed(tcp, &unlimited, now))
			tcp_reply_syn_ack_ack(tcp, req, now);
		return MR_DROP_TCP_SYN_CHALLENGE;
	}
	if (!(seg->flags & MR_TCP_ACK)) /* fifth */
		return MR_DROP_TCP_NO_ACK;
	if (seg->ack != req->iss + 1) {
		if (now < req->listener->cookies_until)
			return take_cookie(tcp, req->listener, req, rx, seg, now, tcb);
		tcp_reply_rst(tcp, rx, seg, now);
		return MR_DROP_TCP_ACK_INVALID;
	}
	/* As Linux: only the ACK is remembered, until the wait is over. */
	if (req->listener->opts.defer_accept > req->retries && !seg->len &&
	    !(seg->flags & MR_TCP_FIN)) {
		req->acked_at = req->acked_at ?: now;
		return MR_DROP_NONE;
	}
	reason = complete(tcp, req, seg, now, tcb);
	if (*tcb)
		synreq_free(tcp, req);
	return reason;
}

void synreq_timer(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint64_t now)
{
	unsigned defer = req->listener->opts.defer_accept;
	/* The peer has answered (TCP_DEFER_ACCEPT): repeat the SYN,ACK only at the end of the wait, to get data or
	 * one more ACK, as Linux does. */
	bool waits = defer && req->acked_at;
	uint64_t rto;

	if (req->retries >= MR_TCP_SYNACK_RETRIES && !(waits && req->retries < defer)) {
		MR_COUNT(tcp->ctr, TCP_ATTEMPT_FAILS);
		synreq_free(tcp, req);
		return;
	}
	req->retries++; /* before sending: a repeated SYN,ACK may offer less */
	if (!waits || req->retries >= defer) {
		MR_COUNT(tcp->ctr, TCP_RETRANS);
		tcp_reply_synack(tcp, req, now);
		req->sent_at = req->acked_at ? req->sent_at : 0;
	}
	rto = req->retries < 7 ? MR_TCP_RTO_INIT_NS << req->retries : MR_TCP_RTO_MAX_NS;
	mr_timer_arm(tcp->wheel, &req->timer, now + rto);
}
