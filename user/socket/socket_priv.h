/* SPDX-License-Identifier: BSD-2-Clause */
/* socket_priv.h - functions that the files of user/socket call in one another. Nothing outside of it includes this. */
#ifndef MR_SOCKET_SOCKET_PRIV_H
#define MR_SOCKET_SOCKET_PRIV_H

#include "socket/socket.h"

/* ---- socket.c -------------------------------------------------------------------------------- */

/* Was there a connection that is over? Then reading and writing return at once, with an error or the end. */
static inline bool sock_over(const struct mr_socket *sock)
{
	return sock->kind == MR_SOCK_STREAM && !sock->tcb;
}

/* Is data or the FIN still unacknowledged, after the application has closed its direction? */
static inline bool sock_unfinished(const struct mr_socket *sock)
{
	return sock->tcb &&
	       (sock->tcb->state == MR_TCP_FIN_WAIT1 || sock->tcb->state == MR_TCP_CLOSING ||
		sock->tcb->state == MR_TCP_LAST_ACK);
}

static inline bool sock_queued(const struct mr_socket *sock)
{
	return sock->queued;
}

static inline bool sock_starved(const struct mr_socket *sock)
{
	return !sock->queued && !mr_list_empty(&sock->starved_node);
}

/* The options in use: those of the TCB, or those for the next connection. */
static inline struct mr_tcp_opts *sock_opts(const struct mr_socket *sock)
{
	return sock->tcb ? &sock->tcb->opts : &sock->setup->opts;
}

static inline struct mr_endpoint sock_local(const struct mr_socket *sock)
{
	return sock->tcb ? (struct mr_endpoint){ sock->tcb->flow.laddr, sock->tcb->flow.lport } :
			   sock->setup->local;
}

static inline struct mr_endpoint sock_peer(const struct mr_socket *sock)
{
	return sock->tcb ? (struct mr_endpoint){ sock->tcb->flow.raddr, sock->tcb->flow.rport } :
			   sock->setup->peer;
}

void sock_setup_get(struct mr_socket *sock);
/* Give the socket a struct mr_sock_setup, if it has none. */

/* Is it connected, or does the SYN wait for data to carry (RFC 7413)? */
static inline bool sock_may_write(const struct mr_socket *sock)
{
	return sock->connected || (sock->tcb && sock->tcb->tfo == MR_TFO_WAIT);
}

/* Return the pending error and clear it; 0: there is none. */
static inline int sock_take_error(struct mr_socket *sock)
{
	int err = sock->err;

	sock->err = 0;
	return err;
}

/* mr_bind(). given: the kernel has given out the port, so connections of ours on it, mostly in TIME-WAIT, are no
 * obstacle. */
int sock_bind(struct mr_socket *sock, const struct mr_endpoint *local, bool given);

/* ---- socket_port.c --------------------------------------------------------------------------- */

/* Let a kernel socket hold the port of *ep (0: the kernel chooses one). No effect if the kernel does not give out
 * ports, or if the port is held already. Returns 0, -EADDRINUSE, -EACCES or another negative errno. */
int sock_hold_port(struct mr_socket *sock, struct mr_endpoint *ep);
void sock_drop_port(struct mr_socket *sock);
/* Connect from a port that the kernel chooses and that is then held. If connections of ours in TIME-WAIT use that
 * port, others are tried. Results are those of mr_tcp_connect(). */
int sock_connect_held(struct mr_socket *sock, struct mr_endpoint *local,
		      const struct mr_endpoint *to, struct mr_tcb **tcb);

/* ---- socket_ready.c -------------------------------------------------------------------------- */

/* The socket's readiness may have grown: mr_socks_events() has to look at it. */
void sock_mark(struct mr_socket *sock);
/* The socket no longer waits for frames. */
void sock_unstarve(struct mr_socket *sock);

/* ---- socket_recv.c --------------------------------------------------------------------------- */

/* Bytes that a read would return now; an urgent byte in front of them is skipped. O(1). */
uint32_t recv_readable(const struct mr_socket *sock);
/* Is there as much as MR_OPT_RCVLOWAT asks for, or can no more come? O(1). */
bool recv_ready(const struct mr_socket *sock);
/* Are frames so scarce that readers must be satisfied with less than they wait for? */
bool recv_pressed(const struct mr_socket *sock);
/* Has the urgent byte arrived, and was not read yet? */
bool recv_urgent_there(const struct mr_socket *sock);
/* Is the urgent byte the next one in the stream? */
bool recv_at_mark(const struct mr_socket *sock);
/* Tell TCP how much of the receive buffer is free. */
void recv_update_space(struct mr_socket *sock);
/* Release everything in the receive buffer. */
void recv_drop_all(struct mr_socket *sock);
/* Nothing more will be received. */
void recv_over(struct mr_socket *sock);
/* The connection is established: set its first window, and begin to measure how fast the application reads. */
void recv_begin(struct mr_socket *sock);
void recv_check(const struct mr_socket *sock);

/* Upcalls, see struct mr_tcp_upcalls. */
void recv_data(void *owner, struct mr_frame *chunk);
void recv_fin(void *owner);
bool recv_room(void *owner);
void recv_urgent(void *owner);

/* ---- socket_send.c --------------------------------------------------------------------------- */

/* Is at least a third of the buffer free, in bytes and in frames (as Linux)? O(1). */
bool send_writable(const struct mr_socket *sock);
/* Let the send buffer grow with the congestion window. */
void send_autotune(struct mr_socket *sock);
/* May a starved socket take frames again? */
bool send_may_wake(const struct mr_socket *sock);
/* Release a frame of mr_send_reserve() that was neither committed nor cancelled. */
void send_drop_reserved(struct mr_socket *sock);
void send_check(const struct mr_socket *sock);

#endif
