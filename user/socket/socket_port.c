// SPDX-License-Identifier: BSD-2-Clause
/*
 * socket_port.c - local ports if the kernel gives them out (shared addresses).
 * Owns        mr_socket.held and what belongs to it: each held port is counted in ip->steer.
 * Called by   socket.c.
 * Not here    the kernel sockets themselves (struct mr_arbiter), ports of an engine with its own addresses
 *             (tcp_port.c).
 */
#include <errno.h>
#include "base/addr.h"
#include "socket/socket_priv.h"

/* Give up after so many ports, on each of which we have a connection in TIME-WAIT to the same peer. */
#define PORTS_TRIED 64

static const struct mr_arbiter *arbiter; /* this process's */

void mr_socks_arbiter_set(const struct mr_arbiter *a)
{
	arbiter = a;
}

static void held(struct mr_socket *sock, uint16_t port, int fd)
{
	sock->held = true;
	sock->held_port = port;
	sock->held_fd = fd;
	mr_steer_hold(sock->socks->tcp->ip->steer, port);
}

int sock_hold_port(struct mr_socket *sock, struct mr_endpoint *ep)
{
	int fd;

	if (!sock->socks->arbitrated || sock->held)
		return 0;
	assert(arbiter);
	fd = arbiter->hold(sock->socks->tcp->ip, &ep->addr, sock_opts(sock), &ep->port);
	if (fd < 0)
		return fd;
	held(sock, ep->port, fd);
	return 0;
}

void sock_drop_port(struct mr_socket *sock)
{
	if (!sock->held)
		return;
	sock->held = false;
	/* Let the kernel be asked about packets to this port; only then may it give the port to somebody else. */
	mr_steer_release(sock->socks->tcp->ip->steer, sock->held_port);
	if (sock->held_fd >= 0)
		arbiter->drop(sock->held_fd);
}

int mr_bind_held(struct mr_socket *sock, const struct mr_endpoint *local, bool fresh)
{
	int err;

	if (!sock || !local || !local->port || sock->held)
		return -EINVAL;
	if (sock->socks->arbitrated) {
		held(sock, local->port, -1);
		if (!fresh)
			mr_steer_set_busy(sock->socks->tcp->ip->steer, local->port);
	}
	err = sock_bind(sock, local, true);
	if (err)
		sock_drop_port(sock);
	return err;
}

int sock_connect_held(struct mr_socket *sock, struct mr_endpoint *local,
		      const struct mr_endpoint *to, struct mr_tcb **tcb)
{
	struct mr_tcp *tcp = sock->socks->tcp;
	int err = 0;

	if (mr_addr_is_any(&local->addr))
		err = mr_ip_source(tcp->ip, &to->addr, &local->addr);
	sock_drop_port(sock); /* that of a failed attempt */
	for (int i = 0; !err && i < PORTS_TRIED; i++) {
		err = sock_hold_port(sock, local);
		if (err)
			return err;
		err = mr_tcp_connect(tcp, local, to, sock_opts(sock), sock, sock->socks->now, tcb);
		if (!err)
			return 0;
		sock_drop_port(sock);
		local->port = 0;
		if (err != -EADDRINUSE)
			return err;
		err = 0;
	}
	return err ?: -EADDRNOTAVAIL;
}
