// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_salvage.c - repairs the layer after a process died while it changed it.
 * Owns        rebuilding lists, flow table, counts and timers from the state of each object.
 * Called by   the shared engine, if the owner of the lock has died (engine/share_salvage.c); never in a private one.
 *
 * The state of an object is trusted, unless the object was being changed (tcp.changing) or contradicts its socket. Only
 * one flow is changed at a time; an object that was only half initialised is recognised. State that only saves time is
 * dropped instead of checked: cached routes, data received out of order.
 */
#include <errno.h>
#include <string.h>

#include "tcp/tcp_priv.h"

static bool in_use(const struct mr_flow *flow, enum mr_flow_kind kind)
{
	return flow->kind == kind;
}

bool mr_tcp_salvage_whole(const struct mr_tcp *tcp, const struct mr_tcb *tcb)
{
	(void)tcp;
	return in_use(&tcb->flow, MR_FLOW_TCB) && tcb->flow.hash && tcb->state > MR_TCP_LISTEN &&
	       tcb->state < MR_TCP_TIME_WAIT;
}

/* Is its active open not complete? A passive open by TCP Fast Open sends data in SYN-RECEIVED, and has frames in flight
 * where others have connecting_node. */
static bool is_connecting(const struct mr_tcb *tcb)
{
	return !tcb_synchronized(tcb) && tcb->tfo != MR_TFO_PENDING;
}

/* Empty the TCB, but leave it in use, so that the connection can be reset. */
static void tcb_empty(struct mr_tcb *tcb)
{
	tcb->sndq = (struct mr_sndq){ 0 };
	tcb->lost_bytes = tcb->sacked_bytes = 0;
	if (!is_connecting(tcb))
		mr_list_init(&tcb->in_flight);
	tcb->write_seq = tcb->snd_nxt;
}

static void hold_sndq(struct mr_tcp *tcp, const struct mr_tcb *tcb)
{
	tcp->sndq_frames += tcb->sndq.frames;
	for (struct mr_frame *f = tcb->sndq.head; f; f = f->next)
		mr_frame_salvage_hold(f);
}

/* Also for a deadline in the past: then the timer is due. */
static void rearm(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	uint64_t next = tcb_next_deadline(tcb);

	mr_timer_init(&tcb->timer, MR_TIMER_TCB);
	if (next != MR_TIME_NEVER)
		mr_timer_arm(tcp->wheel, &tcb->timer, next);
}

static void keep_tcb(struct mr_tcp *tcp, struct mr_tcb *tcb, bool as_it_is)
{
	tcb->gap = NULL;
	tcb->dst = (struct mr_dst){ 0 };
	mr_list_init(&tcb->pending_node);
	tcb->ack_held = false;
	mr_list_add_tail(&tcp->all, &tcb->all_node);
	if (is_connecting(tcb))
		mr_list_add_tail(&tcp->connecting, &tcb->connecting_node);
	flow_insert(tcp, &tcb->flow);
	if (as_it_is)
		hold_sndq(tcp, tcb);
	else
		tcb_empty(tcb);
	rearm(tcp, tcb);
	/* In case it has something to send; otherwise output removes it from the list. */
	tcb_mark(tcp, tcb);
}

/* Keep the TCBs that belong to a socket or are orphans; the others stay as they are for end_others(). */
static void salvage_tcbs(struct mr_tcp *tcp)
{
	mr_pool_salvage(&tcp->tcbs);
	for (uint32_t i = 0; i < tcp->tcbs.fresh; i++) {
		struct mr_tcb *tcb = mr_pool_at(&tcp->tcbs, i);
		bool whole = mr_tcp_salvage_whole(tcp, tcb);

		if (!whole)
			tcb->flow.kind = 0;
		else if (tcb->owner && !tcp_up(tcp)->owns(tcb->owner, tcb))
			tcb->owner = NULL; /* the socket has dropped it */
		/* A connection without owner was closed. */
		if (whole && (tcb->owner || tcb->fin_queued))
			keep_tcb(tcp, tcb, &tcb->flow != tcp->changing);
		mr_pool_salvage_slot(&tcp->tcbs, tcb, whole);
	}
}

static bool is_known(const struct mr_tcp *tcp, const struct mr_flow *flow)
{
	return flow_lookup(tcp, flow->hash, &flow->laddr, flow->lport, &flow->raddr, flow->rport);
}

static bool is_nobodys(const struct mr_tcb *tcb)
{
	return in_use(&tcb->flow, MR_FLOW_TCB) && !tcb->owner && !tcb->fin_queued;
}

/* Reset the connections that were not kept. Their peers may wait for us to send, and have nothing to send that would
 * elicit a reset: so they get one when everything else is repaired. Except those that continue as another object: the
 * request it was made from, or its TIME-WAIT. */
static void salvage_others(struct mr_tcp *tcp)
{
	for (uint32_t i = 0; i < tcp->tcbs.fresh; i++) {
		struct mr_tcb *tcb = mr_pool_at(&tcp->tcbs, i);

		if (!is_nobodys(tcb))
			continue;
		if (!is_known(tcp, &tcb->flow)) {
			keep_tcb(tcp, tcb, false);
			continue;
		}
		tcb->flow.kind = 0;
		mr_pool_put(&tcp->tcbs, tcb);
	}
}

static void salvage_sendings(struct mr_tcp *tcp)
{
	mr_pool_salvage(&tcp->sendings);
	for (uint32_t i = 0; i < tcp->sendings.fresh; i++) {
		struct mr_sending *s = mr_pool_at(&tcp->sendings, i);
		bool used = s->tcb && in_use(&s->tcb->flow, MR_FLOW_TCB) && s->tcb->sending == s;

		if (!used)
			s->tcb = NULL;
		mr_pool_salvage_slot(&tcp->sendings, s, used);
	}
}

/* Is it completely initialised? The timer is armed last. It is also unarmed while its expiry is processed, but then a
 * SYN,ACK was sent before. */
static bool request_is_whole(const struct mr_tcp_synreq *req)
{
	return in_use(&req->flow, MR_FLOW_SYN) &&
	       (req->timer.armed || req->sent_at || req->retries) && req->listener->listening;
}

/* A request that was being changed is kept, too: the peer may already be in ESTABLISHED, and wait for us to send. The
 * change can only concern the next SYN,ACK, which is therefore sent at once. */
static void keep_request(struct mr_tcp *tcp, struct mr_tcp_synreq *req)
{
	bool now = &req->flow == tcp->changing || !req->timer.armed;

	req->dst = (struct mr_dst){ 0 };
	mr_list_add_tail(&req->listener->reqs, &req->node);
	req->listener->nreqs++;
	flow_insert(tcp, &req->flow);
	if (now) {
		mr_timer_init(&req->timer, MR_TIMER_SYN);
		mr_timer_arm(tcp->wheel, &req->timer, 0);
	} else {
		mr_timer_salvage(tcp->wheel, &req->timer);
	}
}

static void salvage_synreqs(struct mr_tcp *tcp)
{
	mr_pool_salvage(&tcp->synreqs);
	for (uint32_t i = 0; i < tcp->synreqs.fresh; i++) {
		struct mr_tcp_synreq *req = mr_pool_at(&tcp->synreqs, i);
		bool used = request_is_whole(req) && !is_known(tcp, &req->flow);

		if (used)
			keep_request(tcp, req);
		else
			req->flow.kind = 0;
		mr_pool_salvage_slot(&tcp->synreqs, req, used);
	}
}

static void salvage_tws(struct mr_tcp *tcp)
{
	mr_pool_salvage(&tcp->tws);
	for (uint32_t i = 0; i < tcp->tws.fresh; i++) {
		struct mr_tcp_tw *tw = mr_pool_at(&tcp->tws, i);
		bool used = in_use(&tw->flow, MR_FLOW_TIMEWAIT) && tw->timer.armed &&
			    &tw->flow != tcp->changing;

		if (used) {
			tw->dst = (struct mr_dst){ 0 };
			flow_insert(tcp, &tw->flow);
			mr_timer_salvage(tcp->wheel, &tw->timer);
		} else {
			tw->flow.kind = 0;
		}
		mr_pool_salvage_slot(&tcp->tws, tw, used);
	}
}

static void salvage_ports(struct mr_tcp *tcp)
{
	mr_pool_salvage(&tcp->listeners);
	for (uint32_t i = 0; i < MR_TCP_PORT_BUCKETS; i++)
		mr_list_init(&tcp->ports[i]);
	for (uint32_t i = 0; i < tcp->listeners.fresh; i++) {
		struct mr_tcp_listener *l = mr_pool_at(&tcp->listeners, i);

		if (l->held && l->listening && tcp->ip->steer)
			mr_steer_listen(tcp->ip->steer, &l->laddr, l->opts.v6only, l->lport);
		if (l->held)
			mr_list_add_tail(&tcp->ports[l->lport % MR_TCP_PORT_BUCKETS], &l->node);
		mr_pool_salvage_slot(&tcp->listeners, l, l->held);
	}
}

static void salvage_gaps(struct mr_tcp *tcp)
{
	mr_pool_salvage(&tcp->gap_pool);
	mr_list_init(&tcp->gaps);
	tcp->ooo_frames = 0;
	for (uint32_t i = 0; i < tcp->gap_pool.fresh; i++)
		mr_pool_salvage_slot(&tcp->gap_pool, mr_pool_at(&tcp->gap_pool, i), false);
}

void mr_tcp_salvage_begin(struct mr_tcp *tcp)
{
	for (uint32_t i = 0; i < tcp->listeners.fresh; i++) {
		struct mr_tcp_listener *l = mr_pool_at(&tcp->listeners, i);

		l->held = l->listening = false;
	}
}

void mr_tcp_salvage_port(struct mr_tcp *tcp, struct mr_tcp_listener *l, bool listening)
{
	(void)tcp;
	l->held = true;
	l->listening = listening;
	l->nreqs = 0;
	mr_list_init(&l->reqs);
}

void mr_tcp_salvage(struct mr_tcp *tcp)
{
	memset(tcp->buckets, 0, tcp->nbuckets * sizeof(*tcp->buckets));
	memset(tcp->port_use, 0, MR_TCP_PORTS * sizeof(*tcp->port_use));
	mr_list_init(&tcp->pending);
	mr_list_init(&tcp->held);
	mr_list_init(&tcp->all);
	mr_list_init(&tcp->connecting);
	tcp->ndsacks = 0; /* a TCB with dsack_more finds none */
	tcp->sndq_frames = 0;
	salvage_gaps(tcp);
	salvage_ports(tcp);
	salvage_tcbs(tcp);
	salvage_synreqs(tcp);
	salvage_tws(tcp);
	salvage_others(tcp);
	salvage_sendings(tcp);
}

/* As a reset from the peer, but the peer gets one, too. */
static void reset(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	if (tcb->owner)
		tcp_up(tcp)->gone(tcb->owner, -ECONNRESET);
	mr_tcp_abort(tcp, tcb, now);
}

/* They stay recognisable until they are done, in case this process dies, too. */
void mr_tcp_salvage_reset(struct mr_tcp *tcp, uint64_t now)
{
	struct mr_list *pos, *tmp;

	mr_list_for_each_safe (pos, tmp, &tcp->all) {
		struct mr_tcb *tcb = mr_list_entry(pos, struct mr_tcb, all_node);

		if (&tcb->flow == tcp->changing || is_nobodys(tcb))
			reset(tcp, tcb, now);
	}
	tcp->changing = NULL;
}
