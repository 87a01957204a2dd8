/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * socket.h - socket objects: send and receive buffer accounting, accept queues, readiness. The
 * public calls of millrace.h on sockets are here (socket*.c); TCP reaches it through struct
 * mr_tcp_upcalls.
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
	/* Lent by mr_recv_borrow() and not returned: out of the queue, but still filling the
	 * buffer. */
	uint32_t lent, lent_frames;
};

/* The urgent byte, as Linux has it: at most one, at a mark in the stream. */
enum mr_urgent {
	MR_URGENT_NONE,	  /* no mark, or the stream was read beyond it */
	MR_URGENT_UNREAD, /* marked; the byte may not have arrived yet */
	MR_URGENT_READ,	  /* read by MR_RECV_OOB; the stream still steps over it */
};

enum mr_sock_kind { MR_SOCK_NEW, MR_SOCK_LISTENER, MR_SOCK_STREAM };

/* What a socket needs while it has no TCB that knows it: before a connection, after it, as a listener; and
 * where it was bound. A million idle connections do without. */
struct mr_sock_setup {
	struct mr_tcp_opts opts;
	struct mr_endpoint local, peer;
	struct mr_tcp_listener *port; /* NULL: none is held */
	struct mr_list accepted;      /* a listener's queue of completed connections */
	uint32_t naccepted, backlog;
	struct mr_tfo_keys tfo_keys; /* mr_set_fastopen_key() */
	bool used;		     /* mr_socks_salvage() finds out */
};

struct mr_socket {
	struct mr_socks *socks;
	struct mr_tcb *tcb;	     /* NULL: not connected yet, or over */
	struct mr_sock_setup *setup; /* NULL while there is a TCB, if not bound */
	struct mr_rcvq rcvq;
	uint32_t copied_seq; /* sequence number of the next byte for the application */
	uint32_t urgent_seq; /* of the urgent byte */
	/* Receive buffer autotuning: what was read up to when, and in the round trip before. */
	uint32_t read_seq, read_at_us, read_bytes;
	uint32_t promised;  /* its part of socks.promised */
	uint32_t stretch;   /* when that was counted; 0: never */
	uint8_t urgent;	    /* enum mr_urgent */
	uint8_t kind;	    /* enum mr_sock_kind */
	uint8_t last_state; /* enum mr_tcp_state to report when tcb is gone */
	uint8_t interest;   /* MR_IN and so on */
	bool bound : 1;
	bool connected : 1; /* was ever ESTABLISHED */
	bool fin_rcvd : 1;  /* the stream ends behind rcvq */
	bool shut_rd : 1, shut_wr : 1;
	bool lingering : 1;    /* mr_linger() was called: MR_DONE tells its end */
	bool disconnected : 1; /* was in use, and is new again */
	bool oobinline : 1;
	bool active_close : 1; /* closed our direction before the peer's FIN came: TIME-WAIT is ours */
	bool holds : 1;	       /* its receive buffer is not empty: socks.nholding */
	bool queued : 1;       /* on its listener's accept queue */
	int16_t err;	       /* pending, negative errno */
	int linger;	       /* seconds; -1: off; 0: close resets */
	uint32_t id;	       /* never 0 while in use: tells this use of the memory from others */
	uint64_t user;	       /* queued: its listener */
	struct mr_frame *reserved; /* between mr_send_reserve() and commit or cancel, else NULL */
	struct mr_list ready_node; /* socks.ready */
	union {
		struct mr_list starved_node; /* socks.starved: a send found no frame */
		struct mr_list accept_node;  /* queued: nobody sends yet */
	};
	struct mr_list all_node;
	/* With socks.arbitrated: */
	bool held;	    /* a kernel socket holds held_port for this one */
	uint16_t held_port; /* host order */
	int held_fd;	    /* that socket, if it is ours; else -1 */
};
_Static_assert(sizeof(struct mr_socket) <= 192, "three cache lines");

struct mr_socks {
	struct mr_tcp *tcp;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	struct mr_pool pool, setups;
	struct mr_list ready;	/* may be ready: looked at by mr_wait() */
	struct mr_list starved; /* woken when frames are free again */
	struct mr_list all;
	uint64_t now; /* of the engine's present round */
	struct mr_tcp_opts defaults;
	bool reported;	 /* readiness is told as it changes (mr_socks_changed()), not by interest */
	bool arbitrated; /* the kernel gives out the ports: struct mr_arbiter */
	uint32_t last_id;
	uint32_t nholding; /* sockets whose receive buffer is not empty */
	/* Windows, in bytes: of the sockets that received, or were opened, in the present stretch of time, and of
	 * those that last did in the one before. The others' are taken for unused. */
	uint64_t promised, promised_before;
	uint64_t stretch_since;
	uint32_t stretch;
	uint32_t rx_density; /* bytes of payload in a received frame, the mean of late */
	uint32_t tx_reserve; /* free frames that sends leave for receiving */
	uint32_t tx_few; /* sends that hold fewer, all together, have a claim to more than that */
	uint32_t sndbuf_max, rcvbuf_max; /* bytes; that buffers may grow to by themselves */
	uint32_t rx_spare;		 /* the device leaves so many free frames */
	uint32_t rx_low; /* fewer free frames: receive buffers save frames, windows shrink */
};

/* dev_frames: of the pool, how many the device keeps for itself (FILL rings); the limits count from
 * what is left. 0 or -ENOMEM. Registers the upcalls under index 0. */
int mr_socks_init(struct mr_socks *socks, struct mr_arena *arena, struct mr_tcp *tcp,
		  struct mr_frame_pool *frames, struct mr_counters *ctr,
		  const struct mr_config *cfg, uint32_t dev_frames);

/* In a process that has not initialised the layer, but uses it: the upcalls are code. */
void mr_socks_attach(void);

/* Where addresses are shared with the kernel, it says who has which port: a kernel socket holds each of
 * ours. Code cannot be in the arena: each process that lets the engine make such sockets sets this. */
struct mr_arbiter {
	/* Take a port (0: any; *port tells which) at an address. A descriptor, or a negative errno. */
	int (*hold)(const struct mr_ip *ip, const struct mr_addr *addr,
		    const struct mr_tcp_opts *opts, uint16_t *port);
	void (*drop)(int fd);
};
void mr_socks_arbiter_set(const struct mr_arbiter *arbiter);

/* As mr_bind(), with a port (not 0) that a kernel socket of the caller's holds, for as long as sock is
 * there. Connections that the stack has left on it, of which the kernel does not know, are not in the way. fresh:
 * it has just been given out to connect from, so that the kernel has none on it either. */
int mr_bind_held(struct mr_socket *sock, const struct mr_endpoint *local, bool fresh);

/* mr_socket() and mr_recv_return() of millrace.h, which are given an engine. */
int mr_socks_open(struct mr_socks *socks, struct mr_socket **out);
void mr_socks_return(struct mr_socks *socks, struct mr_slice *slices, unsigned n);

/* Reset every connection and free every socket. Orphaned connections are TCP's and not touched. */
void mr_socks_abort_all(struct mr_socks *socks);
/* The same to the peers, but who has the sockets keeps them: each connection is over with err. */
void mr_socks_end_all(struct mr_socks *socks, int err);

/* Fill events from the ready list, in turns, so that none is left out for ever when max is small.
 * Costs what the list is long: sockets that are not ready leave it. Returns how many. */
unsigned mr_socks_events(struct mr_socks *socks, struct mr_event *events, unsigned max);

/* Instead of events: take a socket off the list of those whose readiness may have grown. NULL: no more.
 * For this socks.reported is set. */
struct mr_socket *mr_socks_changed(struct mr_socks *socks);

/* Frames may be free again: sockets whose send starved become ready. Once per round. */
void mr_socks_unstarve(struct mr_socks *socks);

/* Put right after a process died in the middle of a change; hand: the socket it was changing, NULL: none known.
 * That one loses its connection: a reset follows with mr_tcp_salvage_reset(). Between
 * mr_tcp_salvage_begin() and mr_tcp_salvage(). */
void mr_socks_salvage(struct mr_socks *socks, struct mr_socket *hand);

void mr_socks_check(const struct mr_socks *socks);

#endif
