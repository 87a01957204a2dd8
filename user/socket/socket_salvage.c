// SPDX-License-Identifier: BSD-2-Clause
/*
 * socket_salvage.c - repairs the layer after a process died while it changed it.
 * Owns        rebuilding lists, accept queues and pools from the state of each socket.
 * Called by   the shared engine (engine/share_salvage.c).
 */
#include <errno.h>

#include "base/compiler.h"
#include "socket/socket_priv.h"

/* The socket that was being changed loses its data and its connection; a listener keeps its queue. */
static void empty(struct mr_socks *socks, struct mr_socket *sock)
{
	sock->rcvq = (struct mr_rcvq){ 0 };
	sock->reserved = NULL;
	sock->urgent = MR_URGENT_NONE;
	if (sock->kind == MR_SOCK_STREAM && sock->tcb)
		socks->tcp->changing = &sock->tcb->flow;
}

static void hold_frames(struct mr_socket *sock)
{
	for (struct mr_frame *f = sock->rcvq.head; f; f = f->next)
		mr_frame_salvage_hold(f);
	if (sock->reserved)
		mr_frame_salvage_hold(sock->reserved);
}

/* Has it a connection that belongs to it? Otherwise the connection is over. */
static void check_connection(const struct mr_socks *socks, struct mr_socket *sock)
{
	if (!sock->tcb || (mr_tcp_salvage_whole(socks->tcp, sock->tcb) && sock->tcb->owner == sock))
		return;
	sock->tcb = NULL;
	sock->err = -ECONNRESET;
	sock->last_state = MR_TCP_CLOSED;
}

/* Does the listener of a queued socket still exist? */
static bool has_listener(const struct mr_socket *sock)
{
	const struct mr_socket *listener = (const struct mr_socket *)(uintptr_t)sock->user;

	return listener->id && listener->kind == MR_SOCK_LISTENER && sock->tcb;
}

/* Is it complete, and not about to be freed? */
static bool to_be_kept(const struct mr_socket *sock)
{
	if (!sock->id || !sock->socks)
		return false;
	if (sock->kind != MR_SOCK_STREAM && !sock->setup)
		return false;
	return !sock->queued || has_listener(sock);
}

static void keep(struct mr_socks *socks, struct mr_socket *sock)
{
	mr_list_init(&sock->ready_node);
	mr_list_init(&sock->starved_node);
	mr_list_add_tail(&socks->all, &sock->all_node);
	sock->rcvq.lent = sock->rcvq.lent_frames = 0;
	sock->holds = sock->rcvq.bytes != 0;
	socks->nholding += sock->holds;
	hold_frames(sock);
	if (sock->held)
		mr_steer_hold(socks->tcp->ip->steer, sock->held_port);
	if (!sock->setup)
		return;
	mr_list_init(&sock->setup->accepted);
	sock->setup->naccepted = 0;
	if (sock->setup->port)
		mr_tcp_salvage_port(socks->tcp, sock->setup->port, sock->kind == MR_SOCK_LISTENER);
}

/* The oldest first. */
static void enqueue(struct mr_socket *sock)
{
	struct mr_sock_setup *setup = ((struct mr_socket *)(uintptr_t)sock->user)->setup;
	struct mr_list *pos = setup->accepted.prev;

	while (pos != &setup->accepted &&
	       (int32_t)(mr_list_entry(pos, struct mr_socket, accept_node)->id - sock->id) > 0)
		pos = pos->prev;
	mr_list_add_head(pos, &sock->accept_node);
	setup->naccepted++;
}

/* A setup is in use if a socket that is kept refers to it. */
static void salvage_setups(struct mr_socks *socks)
{
	const struct mr_list *pos;

	for (uint32_t i = 0; i < socks->setups.fresh; i++)
		((struct mr_sock_setup *)mr_pool_at(&socks->setups, i))->used = false;
	mr_list_for_each (pos, &socks->all) {
		struct mr_socket *sock = mr_list_entry(pos, struct mr_socket, all_node);

		if (sock->setup)
			sock->setup->used = true;
	}
	mr_pool_salvage(&socks->setups);
	for (uint32_t i = 0; i < socks->setups.fresh; i++) {
		struct mr_sock_setup *setup = mr_pool_at(&socks->setups, i);

		mr_pool_salvage_slot(&socks->setups, setup, setup->used);
	}
	/* A socket without a TCB needs a setup, for its options and addresses. */
	mr_list_for_each (pos, &socks->all) {
		struct mr_socket *sock = mr_list_entry(pos, struct mr_socket, all_node);

		if (sock->tcb || sock->setup)
			continue;
		sock_setup_get(sock);
		sock->setup->opts = socks->defaults;
	}
}

void mr_socks_salvage(struct mr_socks *socks, struct mr_socket *changing)
{
	struct mr_socket *sock;

	mr_list_init(&socks->ready);
	mr_list_init(&socks->starved);
	mr_list_init(&socks->all);
	socks->nholding = 0;
	socks->promised = socks->promised_before = 0;
	for (uint32_t i = 0; i < socks->pool.fresh; i++) {
		sock = mr_pool_at(&socks->pool, i);
		if (!sock->id || !sock->socks)
			continue;
		sock->promised = sock->stretch = 0;
		check_connection(socks, sock);
		if (sock == changing || (sock->tcb && &sock->tcb->flow == socks->tcp->changing))
			empty(socks, sock);
	}
	mr_pool_salvage(&socks->pool);
	for (uint32_t i = 0; i < socks->pool.fresh; i++) {
		sock = mr_pool_at(&socks->pool, i);
		if (to_be_kept(sock))
			keep(socks, sock);
		else
			sock->id = 0;
		mr_pool_salvage_slot(&socks->pool, sock, sock->id);
	}
	for (uint32_t i = 0; i < socks->pool.fresh; i++) {
		sock = mr_pool_at(&socks->pool, i);
		if (!sock->id)
			continue;
		if (sock->queued)
			enqueue(sock);
		else
			sock_mark(sock);
	}
	salvage_setups(socks);
}
