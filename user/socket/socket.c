// SPDX-License-Identifier: BSD-2-Clause
/*
 * socket.c - bind, listen, accept, connect, shutdown, close; and TCP's upcalls about connections.
 * Owns        struct mr_socket, its membership in lists, accept queues.
 * Called by   the application; TCP, through the table of upcalls.
 * Not here    receiving (socket_recv.c), sending (socket_send.c), readiness (socket_ready.c), options (socket_opt.c)
 *             and information (socket_info.c).
 */
#include <errno.h>
#include <string.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "socket/socket_priv.h"

#define UPCALLS	    0 /* index of this layer's table */
#define BACKLOG_MAX UINT16_MAX

/* ---- Birth and death ------------------------------------------------------------------------- */

/* There are as many as sockets, so the pool always has one left. */
void sock_setup_get(struct mr_socket *sock)
{
	if (sock->setup)
		return;
	sock->setup = mr_pool_get(&sock->socks->setups);
	assert(sock->setup);
	mr_list_init(&sock->setup->accepted);
}

static void release_port(struct mr_socket *sock)
{
	if (sock->setup->port)
		mr_tcp_release(sock->socks->tcp, sock->setup->port);
	sock->setup->port = NULL;
}

static void setup_put(struct mr_socket *sock)
{
	if (!sock->setup)
		return;
	release_port(sock);
	mr_pool_put(&sock->socks->setups, sock->setup);
	sock->setup = NULL;
}

static struct mr_socket *sock_alloc(struct mr_socks *socks)
{
	struct mr_socket *sock = mr_pool_get(&socks->pool);

	if (!sock)
		return NULL;
	sock->socks = socks;
	sock->kind = MR_SOCK_NEW;
	sock->id = ++socks->last_id ?: ++socks->last_id;
	sock->linger = -1;
	sock->held_fd = -1;
	sock->interest = socks->reported ? MR_IN | MR_OUT | MR_RDHUP : MR_IN;
	mr_list_init(&sock->ready_node);
	mr_list_init(&sock->starved_node);
	mr_list_add_tail(&socks->all, &sock->all_node);
	return sock;
}

static void sock_free(struct mr_socket *sock)
{
	struct mr_socks *socks = sock->socks;

	sock_drop_port(sock);
	recv_over(sock);
	recv_drop_all(sock);
	send_drop_reserved(sock);
	mr_list_del(&sock->ready_node);
	mr_list_del(&sock->starved_node); /* or from the accept queue */
	mr_list_del(&sock->all_node);
	setup_put(sock);
	sock->id = 0; /* lent frames no longer find this socket */
	mr_pool_put(&socks->pool, sock);
}

int mr_socks_open(struct mr_socks *socks, struct mr_socket **out)
{
	*out = sock_alloc(socks);
	if (!*out)
		return -ENOBUFS;
	sock_setup_get(*out);
	(*out)->setup->opts = socks->defaults;
	return 0;
}

/* ---- Addresses ------------------------------------------------------------------------------- */

/* Can a socket bound to `local` have connections with `peer`? :: stands for both families (RFC 3493 section 3.7). */
static bool families_agree(const struct mr_addr *local, const struct mr_addr *peer)
{
	return mr_addr_is_v4(local) == mr_addr_is_v4(peer) ||
	       (mr_addr_is_any(local) && !mr_addr_is_v4(local));
}

int sock_bind(struct mr_socket *sock, const struct mr_endpoint *local, bool given)
{
	struct mr_tcp_opts opts;
	struct mr_endpoint ep;
	int err;

	if (!sock || !local || sock->kind != MR_SOCK_NEW || sock->bound)
		return -EINVAL;
	ep = *local;
	if (!mr_addr_is_any(&ep.addr) && !mr_ip_is_local(sock->socks->tcp->ip, &ep.addr))
		return -EADDRNOTAVAIL;
	if (sock->setup->opts.v6only && mr_addr_is_v4(&ep.addr))
		return -EINVAL;
	opts = sock->setup->opts;
	opts.reuseaddr |= given;
	if (ep.port) {
		err = mr_tcp_hold(sock->socks->tcp, &ep.addr, ep.port, &opts, &sock->setup->port);
		if (err)
			return err;
		err = sock_hold_port(sock, &ep);
		if (err) {
			release_port(sock);
			return err;
		}
	}
	sock->setup->local = ep;
	sock->bound = true;
	return 0;
}

int mr_bind(struct mr_socket *sock, const struct mr_endpoint *local)
{
	return sock_bind(sock, local, false);
}

/* ---- Listening ------------------------------------------------------------------------------- */

int mr_listen(struct mr_socket *sock, int backlog)
{
	struct mr_sock_setup *setup;
	struct mr_endpoint local;
	struct mr_tcp *tcp;
	uint32_t synq;
	int err;

	if (!sock || sock->kind == MR_SOCK_STREAM)
		return -EINVAL;
	tcp = sock->socks->tcp;
	setup = sock->setup;
	/* As Linux: a negative one is the largest, and the backlog may be changed. */
	setup->backlog = backlog < 0 ? BACKLOG_MAX : (uint32_t)mr_min(backlog, BACKLOG_MAX);
	synq = mr_max(setup->backlog, 1u);
	if (sock->kind == MR_SOCK_LISTENER) {
		setup->port->backlog = synq;
		return 0;
	}
	if (!setup->port) {
		local = setup->local;
		err = sock_hold_port(sock, &local);
		if (err)
			return err;
		if (!local.port)
			local.port = mr_tcp_port_pick(tcp, &local.addr);
		err = local.port ? mr_tcp_hold(tcp, &local.addr, local.port, &setup->opts,
					       &setup->port) :
				   -EADDRINUSE;
		if (err) {
			sock_drop_port(sock);
			return err;
		}
		setup->local.port = local.port;
	}
	err = mr_tcp_listen(tcp, setup->port, synq, &setup->opts, sock);
	if (err)
		return err;
	setup->port->tfo_keys = setup->tfo_keys;
	sock->kind = MR_SOCK_LISTENER;
	sock->disconnected = false;
	return 0;
}

/* As Linux: a backlog of n lets n + 1 connections wait. */
static bool accept_room(void *owner)
{
	const struct mr_socket *listener = owner;
	const struct mr_pool *pool = &listener->socks->pool;

	return listener->setup->naccepted <= listener->setup->backlog && pool->used < pool->max;
}

static void stream_begin(struct mr_socket *sock, struct mr_tcb *tcb)
{
	sock->kind = MR_SOCK_STREAM;
	sock->tcb = tcb;
	if (!sock->bound) /* otherwise it keeps the port (as Linux) */
		setup_put(sock);
}

static void stream_connected(struct mr_socket *sock)
{
	sock->connected = true;
	sock->copied_seq = sock->tcb->irs + 1;
	recv_begin(sock);
}

static void *accept_connection(void *owner, struct mr_tcb *tcb)
{
	struct mr_socket *listener = owner;
	struct mr_socket *sock = sock_alloc(listener->socks);

	if (!sock)
		return NULL;
	sock->linger = listener->linger;
	sock->oobinline = listener->oobinline;
	stream_begin(sock, tcb);
	stream_connected(sock);
	sock->queued = true;
	sock->user = (uintptr_t)listener;
	mr_list_add_tail(&listener->setup->accepted, &sock->accept_node);
	listener->setup->naccepted++;
	sock_mark(listener);
	return sock;
}

int mr_accept(struct mr_socket *listener, struct mr_socket **out, struct mr_endpoint *peer)
{
	struct mr_socket *sock;

	if (!listener || !out || listener->kind != MR_SOCK_LISTENER)
		return -EINVAL;
	*out = NULL;
	if (!listener->setup->naccepted)
		return -EAGAIN;
	sock = mr_list_first(&listener->setup->accepted, struct mr_socket, accept_node);
	mr_list_del(&sock->accept_node);
	sock->queued = false;
	sock->user = 0;
	listener->setup->naccepted--;
	sock_mark(sock);
	if (!sock->socks->reported && sock->tcb && recv_ready(sock))
		mr_tcp_hold_ack(sock->socks->tcp, sock->tcb);
	if (peer)
		*peer = sock_peer(sock);
	*out = sock;
	return 0;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

int mr_connect(struct mr_socket *sock, const struct mr_endpoint *peer)
{
	static const struct mr_endpoint unbound;
	struct mr_endpoint local, to;
	struct mr_tcp *tcp;
	struct mr_tcb *tcb;
	int err;

	if (!sock || !peer || !peer->port || sock->kind == MR_SOCK_LISTENER)
		return -EINVAL;
	if (sock->connected)
		return -EISCONN;
	if (sock->tcb)
		return -EALREADY;
	tcp = sock->socks->tcp;
	to = *peer;
	if (sock_opts(sock)->v6only && mr_addr_is_v4(&to.addr))
		return -ENETUNREACH;
	/* We cannot connect to ourselves: what we send does not come back from the wire. */
	if (!mr_addr_is_unicast(&to.addr) || mr_ip_is_local(tcp->ip, &to.addr))
		return -ENETUNREACH;
	/* The local address of a failed attempt is chosen anew, unless mr_bind() has chosen it. */
	local = sock->bound ? sock_local(sock) : unbound;
	if (!families_agree(&local.addr, &to.addr))
		return -EAFNOSUPPORT;
	if (sock->socks->arbitrated && !local.port) {
		err = sock_connect_held(sock, &local, &to, &tcb);
	} else {
		if (sock->socks->arbitrated)
			mr_steer_set_busy(tcp->ip->steer, local.port);
		err = mr_tcp_connect(tcp, &local, &to, sock_opts(sock), sock, sock->socks->now,
				     &tcb);
	}
	if (err)
		return err;
	sock->err = 0;
	sock->disconnected = false;
	stream_begin(sock, tcb);
	sock_mark(sock);
	return sock_may_write(sock) ? 0 : -EINPROGRESS; /* the SYN waits for data */
}

static void connect_done(void *owner)
{
	struct mr_socket *sock = owner;

	stream_connected(sock);
	sock_mark(sock);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void shut_write(struct mr_socket *sock)
{
	if (sock->shut_wr)
		return;
	sock->shut_wr = true;
	sock->active_close = !sock->fin_rcvd;
	mr_tcp_shutdown(sock->socks->tcp, sock->tcb);
}

int mr_shutdown(struct mr_socket *sock, enum mr_how how)
{
	if (!sock || (how != MR_SHUT_RD && how != MR_SHUT_WR && how != MR_SHUT_RDWR))
		return -EINVAL;
	if (sock->kind == MR_SOCK_LISTENER) {
		if (how != MR_SHUT_WR)
			mr_disconnect(sock);
		return 0;
	}
	if (sock->tcb && !sock->connected && !sock->tcb->sndq.head) {
		mr_disconnect(sock);
		return 0;
	}
	if (!sock->tcb) /* data for a SYN (Fast Open) may also be the last */
		return -ENOTCONN;
	if (how != MR_SHUT_WR)
		sock->shut_rd = sock->tcb->shut_rd = true;
	if (how != MR_SHUT_RD)
		shut_write(sock);
	sock_mark(sock);
	return 0;
}

int mr_linger(struct mr_socket *sock)
{
	if (!sock)
		return -EINVAL;
	/* Do not wait for what close() would end with a reset, or at once. */
	if (!sock->tcb || !sock->connected || sock->linger == 0 || recv_readable(sock))
		return 0;
	shut_write(sock);
	sock->lingering = true;
	sock_mark(sock);
	return sock_unfinished(sock) ? -EINPROGRESS : 0;
}

static void abort_connection(struct mr_socket *sock)
{
	struct mr_tcb *tcb = sock->tcb;

	sock->tcb = NULL;
	if (tcb)
		mr_tcp_abort(sock->socks->tcp, tcb, sock->socks->now);
}

/* Connections that were not accepted yet are reset (as Linux). */
static void stop_listening(struct mr_socket *sock)
{
	struct mr_sock_setup *setup = sock->setup;

	if (sock->kind != MR_SOCK_LISTENER)
		return;
	while (!mr_list_empty(&setup->accepted)) {
		struct mr_socket *child =
			mr_list_first(&setup->accepted, struct mr_socket, accept_node);

		abort_connection(child);
		sock_free(child);
	}
	setup->naccepted = 0;
	mr_tcp_unlisten(sock->socks->tcp, setup->port);
}

/* The TCB is about to be freed: keep what is still needed of it. */
static void setup_keep(struct mr_socket *sock)
{
	struct mr_endpoint local = sock_local(sock), peer = sock_peer(sock);

	sock_setup_get(sock);
	sock->setup->opts = sock->tcb->opts;
	sock->setup->local = local;
	sock->setup->peer = peer;
}

void mr_disconnect(struct mr_socket *sock)
{
	static const struct mr_endpoint none;

	if (!sock || sock->kind == MR_SOCK_NEW)
		return;
	if (sock->kind == MR_SOCK_STREAM && sock->tcb)
		sock->err = -ECONNRESET;
	stop_listening(sock);
	if (sock->tcb)
		setup_keep(sock);
	abort_connection(sock);
	recv_over(sock);
	recv_drop_all(sock);
	send_drop_reserved(sock);
	mr_list_del(&sock->starved_node);
	sock->id =
		/* Lent frames no longer belong to this socket. */
		++sock->socks->last_id ?: ++sock->socks->last_id;
	sock->kind = MR_SOCK_NEW;
	sock->connected = sock->fin_rcvd = sock->shut_rd = sock->shut_wr = false;
	sock->lingering = sock->active_close = false;
	sock->disconnected = true;
	sock->urgent = MR_URGENT_NONE;
	sock->last_state = MR_TCP_CLOSED;
	sock->setup->peer = none;
	if (!sock->bound) {
		release_port(sock);
		sock_drop_port(sock);
		sock->setup->local = none;
	}
	sock_mark(sock);
}

void mr_close(struct mr_socket *sock)
{
	struct mr_tcb *tcb;

	if (!sock)
		return;
	tcb = sock->tcb;
	stop_listening(sock);
	/* RFC 2525 section 2.17: a FIN would tell the peer that everything was read. */
	if (sock->linger == 0 || recv_readable(sock))
		abort_connection(sock);
	else if (tcb)
		mr_tcp_close(sock->socks->tcp, tcb, sock->socks->now);
	sock_free(sock);
}

void mr_abort(struct mr_socket *sock)
{
	if (!sock)
		return;
	stop_listening(sock);
	abort_connection(sock);
	sock_free(sock);
}

void mr_socks_abort_all(struct mr_socks *socks)
{
	while (!mr_list_empty(&socks->all)) {
		struct mr_socket *sock = mr_list_first(&socks->all, struct mr_socket, all_node);

		if (sock->queued) /* its listener may follow in the list */
			mr_list_del(&sock->accept_node);
		mr_abort(sock);
	}
}

/* Received data stays readable. After it, reading returns the end, or the error once. */
static void connection_gone(void *owner, int err)
{
	struct mr_socket *sock = owner;

	setup_keep(sock);
	sock->tcb = NULL;
	recv_over(sock);
	/* As Linux: in CLOSE-WAIT nothing more could be received; the reset is about what we send. */
	if (err == -ECONNRESET && sock->fin_rcvd && !sock->shut_wr)
		err = -EPIPE;
	sock->err = (int16_t)err;
	/* TIME-WAIT is an object of TCP to which no socket refers: derive the state from what is known here. */
	sock->last_state = !err && sock->active_close ? MR_TCP_TIME_WAIT : MR_TCP_CLOSED;
	if (!sock->queued)
		mr_list_del(&sock->starved_node);
	sock_mark(sock);
}

void mr_socks_end_all(struct mr_socks *socks, int err)
{
	struct mr_list *pos;

	mr_list_for_each (pos, &socks->all) {
		struct mr_socket *sock = mr_list_entry(pos, struct mr_socket, all_node);
		struct mr_tcb *tcb = sock->tcb;

		if (!tcb)
			continue;
		connection_gone(sock, err);
		mr_tcp_abort(socks->tcp, tcb, socks->now);
	}
}

static void acked(void *owner)
{
	struct mr_socket *sock = owner;

	send_autotune(sock);
	if (sock_starved(sock) && send_may_wake(sock))
		sock_unstarve(sock);
	if ((sock->interest & MR_OUT && send_writable(sock)) || sock->lingering)
		sock_mark(sock);
}

static bool owns(void *owner, const struct mr_tcb *tcb)
{
	const struct mr_socket *sock = owner;

	return sock->id && sock->tcb == tcb;
}

/* ---- The layer ------------------------------------------------------------------------------- */

static const struct mr_tcp_upcalls upcalls = {
	.connected = connect_done,
	.accept_room = accept_room,
	.accept = accept_connection,
	.room = recv_room,
	.data = recv_data,
	.acked = acked,
	.fin = recv_fin,
	.urgent = recv_urgent,
	.gone = connection_gone,
	.owns = owns,
};

void mr_socks_attach(void)
{
	mr_tcp_upcalls_set(UPCALLS, &upcalls);
}

int mr_socks_init(struct mr_socks *socks, struct mr_arena *arena, struct mr_tcp *tcp,
		  struct mr_frame_pool *frames, struct mr_counters *ctr,
		  const struct mr_config *cfg, uint32_t dev_frames)
{
	uint32_t all = frames->nframes, ours = all - mr_min(dev_frames, all);
	uint64_t quarter;

	*socks = (struct mr_socks){
		.tcp = tcp,
		.frames = frames,
		.ctr = ctr,
	};
	/* The device takes no more frames for receiving when a quarter is left (dev/afxdp_rx.c). Sending stops a
	 * little before that, so that it does not take the device's share; receive buffers save frames when that
	 * share is in use. In a pool that is hardly larger than the rings, less must suffice. */
	socks->tx_reserve = mr_min(all / 4 + all / 32, ours / 2);
	socks->tx_few = ours / 4;
	socks->rx_low = mr_min(all / 4, ours / 3);
	socks->rx_spare = dev_frames ? all / 4 : 0;
	socks->rx_density = frames->chunk_size / 4;
	socks->stretch = 1; /* because 0 means that a socket is not counted */
	mr_list_init(&socks->ready);
	mr_list_init(&socks->starved);
	mr_list_init(&socks->all);
	mr_tcp_opts_default(&socks->defaults);
	if (cfg->sndbuf) {
		socks->defaults.sndbuf = cfg->sndbuf;
		socks->defaults.sndbuf_fixed = true;
	}
	if (cfg->rcvbuf) {
		socks->defaults.rcvbuf = cfg->rcvbuf;
		socks->defaults.rcvbuf_fixed = true;
	}
	socks->defaults.ecn = (uint8_t)cfg->ecn;
	if (cfg->congestion && mr_congestion_index(cfg->congestion) >= 0)
		socks->defaults.congestion = (uint8_t)mr_congestion_index(cfg->congestion);
	/* One connection may use a quarter of the frames for sending, and a quarter for receiving. */
	quarter = (uint64_t)ours / 4 * (frames->chunk_size - MR_FRAME_HEADROOM);
	socks->sndbuf_max = (uint32_t)mr_min(quarter, (uint64_t)MR_TCP_SNDBUF_MAX);
	socks->rcvbuf_max = (uint32_t)mr_min(quarter, (uint64_t)MR_TCP_RCVBUF_MAX);
	mr_socks_attach();
	return mr_pool_init(&socks->pool, arena, sizeof(struct mr_socket), cfg->max_sockets) ?:
		       mr_pool_init(&socks->setups, arena, sizeof(struct mr_sock_setup),
				    cfg->max_sockets);
}

static void check_listener(const struct mr_socket *sock)
{
	const struct mr_list *pos;
	uint32_t n = 0;

	assert(sock->setup->port && sock->setup->port->listening && !sock->tcb);
	mr_list_for_each (pos, &sock->setup->accepted)
		n++;
	assert(n == sock->setup->naccepted && n <= sock->setup->backlog + 1);
}

/* Readiness for which an event follows immediately. That a reader has to be satisfied with less because frames are
 * scarce is only reported when something was dropped. */
static uint32_t promised(const struct mr_socket *sock)
{
	bool later = sock_opts(sock)->rcvlowat > 1 && recv_pressed(sock);

	return (sock->interest & ~(later ? MR_IN : 0)) | MR_ERR | MR_HUP;
}

void mr_socks_check(const struct mr_socks *socks)
{
	const struct mr_list *pos;
	uint64_t windows = 0;
	uint32_t n = 0, holding = 0;

	mr_list_for_each (pos, &socks->all) {
		const struct mr_socket *sock = mr_list_entry(pos, struct mr_socket, all_node);

		assert(sock->socks == socks && sock->id);
		assert(!sock->tcb || (sock->tcb->owner == sock && sock->kind == MR_SOCK_STREAM));
		if (sock->kind == MR_SOCK_LISTENER)
			check_listener(sock);
		else
			assert(!sock->setup || !sock->setup->naccepted);
		assert(sock->bound ? sock->setup != NULL : !sock->setup == (sock->tcb != NULL));
		/* A reader that waits for an event gets one. */
		assert(socks->reported || sock_queued(sock) || !mr_list_empty(&sock->ready_node) ||
		       !(mr_ready(sock) & promised(sock)));
		recv_check(sock);
		send_check(sock);
		holding += sock->holds;
		if (sock->stretch && socks->stretch - sock->stretch <= 1)
			windows += sock->promised;
		n++;
	}
	assert(windows == socks->promised + socks->promised_before);
	assert(n == socks->pool.used && holding == socks->nholding);
}
