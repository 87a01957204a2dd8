// SPDX-License-Identifier: BSD-2-Clause
/*
 * socket_ready.c - which sockets are ready, level-triggered.
 * Owns        socks.ready and socks.starved.
 * Called by   upcalls and calls that may make a socket ready; mr_wait(), through mr_socks_events().
 *
 * A socket is put on the ready list when it may have become ready, and is removed when it is found not ready. So it
 * stays there as long as it is ready, and a round costs time proportional to the list, not to the number of sockets.
 */
#include "base/compiler.h"
#include "socket/socket_priv.h"

#define UNSTARVE_MAX 64u /* starved sockets looked at in one round */

void sock_mark(struct mr_socket *sock)
{
	if (sock_queued(sock)) /* not accepted yet: mr_accept() marks it */
		return;
	if (mr_list_empty(&sock->ready_node))
		mr_list_add_tail(&sock->socks->ready, &sock->ready_node);
}

/* MR_OUT is only checked if it was asked for; the others are always reported. */
static uint32_t stream_ready(const struct mr_socket *sock, uint32_t asked)
{
	uint32_t ready = 0;

	if (sock->err)
		ready |= MR_ERR;
	if (sock_over(sock))
		return ready | MR_IN | MR_OUT | MR_RDHUP | MR_HUP |
		       (recv_urgent_there(sock) ? MR_PRI : 0) | (sock->lingering ? MR_DONE : 0);
	if (!sock->connected)
		return ready | (send_writable(sock) ? MR_OUT : 0);
	if (recv_ready(sock) || sock->fin_rcvd || sock->shut_rd)
		ready |= MR_IN;
	if (recv_urgent_there(sock))
		ready |= MR_PRI;
	if (sock->lingering && !sock_unfinished(sock))
		ready |= MR_DONE;
	if (sock->fin_rcvd || sock->shut_rd)
		ready |= MR_RDHUP;
	/* As Linux: a direction that was shut down never blocks. */
	if (sock->shut_wr || (asked & MR_OUT && send_writable(sock)))
		ready |= MR_OUT;
	if ((sock->fin_rcvd || sock->shut_rd) && sock->shut_wr)
		ready |= MR_HUP;
	return ready;
}

static uint32_t ready_for(const struct mr_socket *sock, uint32_t asked)
{
	switch ((enum mr_sock_kind)sock->kind) {
	case MR_SOCK_LISTENER:
		return sock->setup->naccepted ? MR_IN : 0;
	case MR_SOCK_STREAM:
		return stream_ready(sock, asked);
	case MR_SOCK_NEW:
		break;
	}
	return (sock->disconnected ? MR_OUT | MR_HUP : 0) | (sock->err ? MR_ERR : 0);
}

uint32_t mr_ready(const struct mr_socket *sock)
{
	return sock ? ready_for(sock, UINT32_MAX) : 0;
}

void mr_set_interest(struct mr_socket *sock, uint32_t mask, uint64_t user)
{
	if (!sock)
		return;
	sock->interest = (uint8_t)mask;
	sock->user = user;
	sock_mark(sock);
}

unsigned mr_socks_events(struct mr_socks *socks, struct mr_event *events, unsigned max)
{
	struct mr_list seen;
	unsigned n = 0;

	mr_list_init(&seen);
	while (n < max && !mr_list_empty(&socks->ready)) {
		struct mr_socket *sock = mr_list_first(&socks->ready, struct mr_socket, ready_node);
		uint32_t asked = sock->interest | MR_ERR | MR_HUP;
		uint32_t ready = ready_for(sock, asked) & asked;

		mr_list_del(&sock->ready_node);
		if (!ready)
			continue;
		mr_list_add_tail(&seen, &sock->ready_node);
		events[n++] = (struct mr_event){
			.sock = sock,
			.user = sock->user,
			.ready = ready,
		};
	}
	/* Behind those for which there was no room, which are first the next time. */
	while (!mr_list_empty(&seen))
		mr_list_move_tail(&socks->ready, seen.next);
	return n;
}

struct mr_socket *mr_socks_changed(struct mr_socks *socks)
{
	struct mr_socket *sock;

	if (mr_list_empty(&socks->ready))
		return NULL;
	sock = mr_list_first(&socks->ready, struct mr_socket, ready_node);
	mr_list_del(&sock->ready_node);
	return sock;
}

void sock_unstarve(struct mr_socket *sock)
{
	mr_list_del(&sock->starved_node);
	sock_mark(sock);
}

void mr_socks_unstarve(struct mr_socks *socks)
{
	const struct mr_socket *refused = NULL; /* the first one: stop after one pass */

	for (unsigned i = 0; i < UNSTARVE_MAX && !mr_list_empty(&socks->starved); i++) {
		struct mr_socket *sock =
			mr_list_first(&socks->starved, struct mr_socket, starved_node);

		if (sock == refused)
			break;
		if (send_may_wake(sock)) {
			sock_unstarve(sock);
			continue;
		}
		/* It already holds its share: move it behind those that may hold less. */
		mr_list_move_tail(&socks->starved, &sock->starved_node);
		refused = refused ?: sock;
	}
}
