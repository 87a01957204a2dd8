/* SPDX-License-Identifier: BSD-2-Clause */
/* socket_priv.h - what the files of this layer offer one another. Nobody else includes it. */
#ifndef MR_SOCKET_SOCKET_PRIV_H
#define MR_SOCKET_SOCKET_PRIV_H

#include "socket/socket.h"

/* ---- socket.c -------------------------------------------------------------------------------- */

/* A connection that was there and is over: reading and writing answer at once, with error or end.
 */
static inline bool sock_over(const struct mr_socket *sock)
{
	return sock->kind == MR_SOCK_STREAM && !sock->tcb;
}

/* Something of what was sent, the FIN with it, has no acknowledgment yet. */
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

/* The options in force: a TCB's own, or those for the next one. */
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

/* Connected; or the SYN waits for data (RFC 7413). */
static inline bool sock_may_write(const struct mr_socket *sock)
{
	return sock->connected || (sock->tcb && sock->tcb->tfo == MR_TFO_WAIT);
}

/* The pending error, which is thereby cleared; 0: none. */
static inline int sock_take_error(struct mr_socket *sock)
{
	int err = sock->err;

	sock->err = 0;
	return err;
}

/* mr_bind(). given: by the kernel, connections that others have on the port, in TIME-WAIT mostly, are not in the way. */
int sock_bind(struct mr_socket *sock, const struct mr_endpoint *local, bool given);

/* ---- socket_port.c --------------------------------------------------------------------------- */

/* Let the kernel hold the port of *ep (0: it chooses one). Nothing where nobody arbitrates, or where it
 * is held already. 0, -EADDRINUSE, -EACCES, ... */
int sock_hold_port(struct mr_socket *sock, struct mr_endpoint *ep);
void sock_drop_port(struct mr_socket *sock);
/* A port that the kernel chooses for a connection to `to`; it is held. Several are tried, in case that
 * TIME-WAITs of ours are left on one. As mr_tcp_connect(). */
int sock_connect_held(struct mr_socket *sock, struct mr_endpoint *local,
		      const struct mr_endpoint *to, struct mr_tcb **tcb);

/* ---- socket_ready.c -------------------------------------------------------------------------- */

/* Its readiness may have grown: the next mr_socks_events() looks at it. */
void sock_mark(struct mr_socket *sock);
/* It need not wait for frames any more. */
void sock_unstarve(struct mr_socket *sock);

/* ---- socket_recv.c --------------------------------------------------------------------------- */

/* Bytes that a read would deliver now, the urgent byte in front of them stepped over. O(1). */
uint32_t recv_readable(const struct mr_socket *sock);
/* Are there as many as MR_OPT_RCVLOWAT asks for, or can no more come? O(1). */
bool recv_ready(const struct mr_socket *sock);
/* Frames are so scarce that whoever waits for many bytes is content with few. */
bool recv_pressed(const struct mr_socket *sock);
/* The urgent byte: has it come and was not read? Is it the next one? */
bool recv_urgent_there(const struct mr_socket *sock);
bool recv_at_mark(const struct mr_socket *sock);
/* Tell TCP how much of the receive buffer is free. */
void recv_update_space(struct mr_socket *sock);
void recv_drop_all(struct mr_socket *sock);
/* Nothing more will come. */
void recv_over(struct mr_socket *sock);
/* The connection is established: begin to watch how fast the application reads. */
void recv_begin(struct mr_socket *sock);
void recv_check(const struct mr_socket *sock);

/* Upcalls. */
void recv_data(void *owner, struct mr_frame *chunk);
void recv_fin(void *owner);
bool recv_room(void *owner);
void recv_urgent(void *owner);

/* ---- socket_send.c --------------------------------------------------------------------------- */

/* Is there room worth a wake-up: a third of the buffer, in bytes and in frames (as Linux)? O(1). */
bool send_writable(const struct mr_socket *sock);
/* Let the send buffer grow with the congestion window. */
void send_autotune(struct mr_socket *sock);
/* Has a socket that is starved a share of the frames again? */
bool send_may_wake(const struct mr_socket *sock);
/* Give back a frame of mr_send_reserve() that was neither committed nor cancelled. */
void send_drop_reserved(struct mr_socket *sock);
void send_check(const struct mr_socket *sock);

#endif
