// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_user.c - the calls of the layer above: open, close, abort, options, free receive space.
 * Implements  RFC 9293 sections 3.10.1, 3.10.4, 3.10.5.
 * Called by   the socket layer.
 * Not here    listen (tcp_listen.c), writing (tcp_sndq.c).
 */
#include <errno.h>

#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

/* Choose the local address and port, and the destination, of an active open. */
static int choose_local(struct mr_tcp *tcp, const struct mr_endpoint *peer,
			struct mr_endpoint *local, uint64_t now)
{
	int err;

	if (mr_addr_is_any(&local->addr)) {
		err = mr_ip_source(tcp->ip, &peer->addr, &local->addr);
		if (err)
			return err;
	}
	if (!local->port)
		local->port = tcp_ephemeral_port(tcp, &local->addr, &peer->addr, peer->port, now);
	return local->port ? 0 : -EADDRNOTAVAIL;
}

int mr_tcp_connect(struct mr_tcp *tcp, const struct mr_endpoint *local,
		   const struct mr_endpoint *peer, const struct mr_tcp_opts *opts, void *owner,
		   uint64_t now, struct mr_tcb **out)
{
	struct mr_endpoint from = *local;
	struct mr_flow *old;
	struct mr_tcb *tcb;
	uint32_t hash;
	int err;

	err = choose_local(tcp, peer, &from, now);
	if (err)
		return err;
	hash = flow_hash(tcp, &from.addr, from.port, &peer->addr, peer->port);
	old = flow_lookup(tcp, hash, &from.addr, from.port, &peer->addr, peer->port);
	if (old &&
	    !(old->kind == MR_FLOW_TIMEWAIT && timewait_spent((const struct mr_tcp_tw *)old, now)))
		return -EADDRINUSE;
	tcb = tcb_alloc(tcp, opts, now);
	if (!tcb)
		return -ENOBUFS;
	err = mr_dst_resolve(tcp->ip, &tcb->dst, &peer->addr, now);
	if (err) {
		tcb_free(tcp, tcb);
		return err;
	}
	flow_set(tcp, &tcb->flow, MR_FLOW_TCB, &from.addr, from.port, &peer->addr, peer->port);
	tcb->iss = tcp_isn(tcp, &tcb->flow, now);
	if (old)
		tcb->iss = seq_max(tcb->iss, timewait_take_over(tcp, (struct mr_tcp_tw *)old) + 1);
	flow_insert(tcp, &tcb->flow);
	tcb->owner = owner;
	tcb->snd_una = tcb->snd_nxt = tcb->iss;
	tcb->write_seq = tcb->snd_sml = tcb->iss + 1;
	tcb->recover = tcb->iss;
	tcb->ecn.reduced_at = tcb->iss;
	tcb->rack.fack = tcb->iss;
	tcb->undo.retrans_end = tcb->iss;
	tcb->ts_offset = tcp_ts_offset(tcp, &tcb->flow);
	tcb->adv_mss = tcp_path_mss(&tcb->dst, &peer->addr, opts->maxseg);
	/* Until the peer's SYN arrives; also determines how earlier writes are cut. */
	tcb->peer_mss = tcb->snd_mss = tcb->adv_mss;
	tcb->rcv_wnd =
		mr_min(tcp_initial_rcv_wnd(mr_tcp_rcv_limit(opts)), (uint32_t)tcp->rcv_wnd_first);
	tcb->rcv_wscale = tcp_choose_wscale(opts->rcvbuf); /* fixed, however rcvbuf changes */
	if (opts->fastopen_connect)
		tfo_begin(tcp, tcb, now);
	tcb->syn_owed = tcb->tfo != MR_TFO_WAIT;
	tcb_set_state(tcb, MR_TCP_SYN_SENT);
	mr_list_add_tail(&tcp->connecting, &tcb->connecting_node);
	tcb_mark(tcp, tcb);
	MR_COUNT(tcp->ctr, TCP_ACTIVE_OPENS);
	*out = tcb;
	return 0;
}

void mr_tcp_shutdown(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	if (tcb->fin_queued)
		return;
	tcb->fin_queued = true;
	tcb->more = false;
	switch (tcb->state) {
	case MR_TCP_ESTABLISHED:
		tcb_set_state(tcb, MR_TCP_FIN_WAIT1);
		break;
	case MR_TCP_CLOSE_WAIT:
		tcb_set_state(tcb, MR_TCP_LAST_ACK);
		break;
	default: /* SYN-SENT, SYN-RECEIVED: the FIN is queued until the connection is established */
		break;
	}
	tcb_mark(tcp, tcb);
}

void mr_tcp_close(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	tcb->owner = NULL;
	/* Data may be in flight with the SYN (RFC 7413): then the FIN follows it. */
	if (tcb->state == MR_TCP_SYN_SENT &&
	    !tcb->sndq.head) { /* RFC 9293 section 3.10.4: delete the TCB */
		tcb_end(tcp, tcb, 0);
		return;
	}
	mr_tcp_shutdown(tcp, tcb);
	ooo_free(tcp, tcb); /* nobody will read it */
	sack_forget(tcb);
	if (tcb->state != MR_TCP_FIN_WAIT2)
		return;
	if (tcb->opts.linger2_s < 0)
		mr_tcp_abort(tcp, tcb, now);
	else
		tcb_timer_set(tcp, tcb, MR_TT_KEEP, now + tcb_fin_timeout(tcb));
}

void mr_tcp_abort(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	tcb->owner = NULL;
	switch (tcb->state) {
	case MR_TCP_SYN_RECEIVED:
	case MR_TCP_ESTABLISHED:
	case MR_TCP_FIN_WAIT1:
	case MR_TCP_FIN_WAIT2:
	case MR_TCP_CLOSE_WAIT:
		if (!mr_dst_resolve(tcp->ip, &tcb->dst, &tcb->flow.raddr, now))
			tcp_send_rst(tcp, tcb, now);
		break;
	/* CLOSING, LAST-ACK: the peer has closed, too; SYN-SENT: the peer has no connection. */
	default:
		break;
	}
	tcb_end(tcp, tcb, 0);
}

void mr_tcp_rcv_space(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t free)
{
	uint32_t wnd;

	tcb->rcv_space = free;
	if (!tcb_synchronized(tcb) || tcb->fin_rcvd)
		return;
	/* Send a window update if the window at least doubles, from less than half of the buffer. Then the peer never
	 * waits for more than the application does. */
	wnd = tcp_select_window(tcb);
	if (wnd > tcb->rcv_wnd && tcb->rcv_wnd <= mr_tcp_rcv_limit(&tcb->opts) / 2 &&
	    wnd / 2 >= tcb->rcv_wnd) {
		tcb->update_owed = true;
		tcb_mark(tcp, tcb);
	}
}

void mr_tcp_opts_changed(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	if (tcb->opts.keepalive && tcb_synchronized(tcb))
		tcb_timer_set(tcp, tcb, MR_TT_KEEP,
			      mr_max(tcb->last_rcv_at + tcb->opts.keepidle_s * MR_NS_PER_S, now));
	if (!tcb->opts.cork)
		tcb_timer_clear(tcb, MR_TT_CORK);
	if (tcb->sndq.unsent)
		tcb_mark(tcp, tcb);
}

#define MTU_TURN 4096u /* TCBs that are updated after a change of the MTU, per round */

/* Output resolves the destination again, and gets the new MTU. */
void tcp_tell_mtu(struct mr_tcp *tcp)
{
	for (unsigned i = 0; i < MTU_TURN && tcp->mtu_cursor < tcp->tcbs.fresh; i++) {
		struct mr_tcb *tcb =
			(void *)(tcp->tcbs.slab + (size_t)tcp->mtu_cursor++ * tcp->tcbs.size);

		if (tcb->state != MR_TCP_CLOSED) /* a free TCB is */
			tcb_mark(tcp, tcb);
	}
	if (tcp->mtu_cursor >= tcp->tcbs.fresh)
		tcp->mtu_cursor = UINT32_MAX;
}

void mr_tcp_mtu_changed(struct mr_tcp *tcp)
{
	tcp->mtu_cursor = 0;
	tcp_tell_mtu(tcp);
}

void mr_tcp_push(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	if (!tcb->sndq.unsent)
		return;
	tcb->push_small = true;
	tcb_mark(tcp, tcb);
}

void mr_tcp_write_short(struct mr_tcp *tcp, struct mr_tcb *tcb, bool is)
{
	tcb->write_short = is;
	if (tcb_waits_for_writer(tcb))
		tcb_mark(tcp, tcb);
}

void mr_tcp_quickack(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	tcb->pingpong = false;
	tcb->quickacks = MR_TCP_QUICKACKS;
	if (tcb->unacked_bytes) {
		tcb->ack_now = true;
		tcb_mark(tcp, tcb);
	}
}
