/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * socket.h - socket objects: send and receive buffer accounting, accept queues, readiness. The public
 * calls of millrace.h on sockets are here (socket*.c); TCP reaches it through struct mr_tcp_upcalls.
 */
#ifndef MR_SOCKET_SOCKET_H
#define MR_SOCKET_SOCKET_H

#include "base/list.h"
#include "millrace.h"
#include "tcp/tcp.h"

/* In-order payload that waits for the application: chunks linked by next. */
struct mr_rcvq {
	struct mr_frame *head, *tail;
	uint32_t bytes;
	uint32_t frames;
	uint32_t lent; /* bytes lent by mr_recv_borrow() and not returned: they still fill the buffer */
};

enum mr_sock_kind { MR_SOCK_NEW, MR_SOCK_LISTENER, MR_SOCK_STREAM };

struct mr_socket {
	struct mr_socks *socks;
	struct mr_tcb *tcb;	       /* NULL: not connected yet, or over */
	struct mr_tcp_listener *listener;
	uint8_t kind;  /* enum mr_sock_kind */
	bool bound;
	bool connected; /* was ever ESTABLISHED */
	bool fin_rcvd;	/* the stream ends behind rcvq */
	bool shut_rd, shut_wr;
	bool oobinline;
	bool reserved; /* between mr_send_reserve() and commit or cancel */
	int err;       /* pending, negative errno */
	int linger;    /* -1: off; 0: close resets */
	uint32_t interest;
	uint64_t user;
	struct mr_rcvq rcvq;
	struct mr_tcp_opts opts;
	struct mr_endpoint local, peer;
	struct mr_list ready_node;   /* socks.ready */
	struct mr_list starved_node; /* socks.starved: a send found no frame */
	struct mr_list accept_node;  /* on its listener's accept queue */
	struct mr_list accepted;     /* a listener's queue of completed connections */
	uint32_t naccepted, backlog;
	struct mr_list all_node;
};

struct mr_socks {
	struct mr_tcp *tcp;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	struct mr_pool pool;
	struct mr_list ready;	/* may be ready: looked at by mr_wait() */
	struct mr_list starved; /* woken when frames are free again */
	struct mr_list all;
	uint64_t now;		/* of the engine's present round */
	struct mr_tcp_opts defaults;
	uint32_t connections;
	uint32_t tx_reserve;	/* frames that sends leave for receiving */
};

/* 0 or -ENOMEM. Registers the upcalls under index 0. */
int mr_socks_init(struct mr_socks *socks, struct mr_arena *arena, struct mr_tcp *tcp, struct mr_frame_pool *frames,
		  struct mr_counters *ctr, const struct mr_config *cfg);

/* Fill events from the ready list. Returns how many. */
unsigned mr_socks_events(struct mr_socks *socks, struct mr_event *events, unsigned max);

/* Frames may be free again: sockets whose send starved become ready. Once per round. */
void mr_socks_unstarve(struct mr_socks *socks);

void mr_socks_check(const struct mr_socks *socks);

#endif
