/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * socket.h - socket objects: receive buffers, send buffer limits, accept queues, readiness. The socket calls of
 * millrace.h are implemented in socket*.c; TCP calls this layer through struct mr_tcp_upcalls.
 *
 * Functions are called with the engine's lock held (or on its one thread), and none blocks. Those that return int
 * return 0 or a negative errno.
 */
#ifndef MR_SOCKET_SOCKET_H
#define MR_SOCKET_SOCKET_H

#include "base/list.h"
#include "millrace.h"
#include "tcp/tcp.h"

/* Payload that was received in order and waits for the application: chunks linked by next. */
struct mr_rcvq {
	struct mr_frame *head, *tail;
	uint32_t bytes;
	uint32_t frames;
	/* Lent by mr_recv_borrow() and not returned yet: no longer in the queue, but still counted as buffer space. */
	uint32_t lent, lent_frames;
};

/* The urgent byte. As in Linux there is at most one, at a mark in the stream. */
enum mr_urgent {
	MR_URGENT_NONE,	  /* there is no mark, or the application has read past it */
	MR_URGENT_UNREAD, /* there is a mark; the byte may not have arrived yet */
	MR_URGENT_READ,	  /* the byte was read with MR_RECV_OOB; reading the stream skips it */
};

enum mr_sock_kind { MR_SOCK_NEW, MR_SOCK_LISTENER, MR_SOCK_STREAM };

/* The part of a socket that it needs only without a TCB (before a connection, after it, as a listener), or if it was
 * bound. An idle accepted connection has none, which saves memory. */
struct mr_sock_setup {
	struct mr_tcp_opts opts;
	struct mr_endpoint local, peer;
	struct mr_tcp_listener *port; /* holds the local port; NULL: no port is held */
	struct mr_list accepted;      /* listener: completed connections that wait for accept() */
	uint32_t naccepted, backlog;
	struct mr_tfo_keys tfo_keys; /* set by mr_set_fastopen_key() */
	bool used;		     /* scratch for mr_socks_salvage() */
};

struct mr_socket {
	struct mr_socks *socks;
	struct mr_tcb *tcb;	     /* NULL: not connected yet, or the connection is over */
	struct mr_sock_setup *setup; /* NULL if there is a TCB and the socket was not bound */
	struct mr_rcvq rcvq;
	uint32_t copied_seq; /* sequence number of the next byte for the application */
	uint32_t urgent_seq; /* sequence number of the urgent byte */
	/* Receive buffer autotuning: position and time of the last measurement, and bytes read in the RTT before it. */
	uint32_t read_seq, read_at_us, read_bytes;
	uint32_t promised;  /* this socket's window in socks.promised or socks.promised_before */
	uint32_t stretch;   /* number of the interval in which it was counted; 0: never */
	uint8_t urgent;	    /* enum mr_urgent */
	uint8_t kind;	    /* enum mr_sock_kind */
	uint8_t last_state; /* enum mr_tcp_state to report when there is no TCB any more */
	uint8_t interest;   /* MR_IN, MR_OUT ... */
	bool bound : 1;
	bool connected : 1; /* it was ESTABLISHED at some time */
	bool fin_rcvd : 1;  /* the peer's FIN was received: the stream ends behind rcvq */
	bool shut_rd : 1, shut_wr : 1;
	/* mr_linger() was called: MR_DONE reports when everything is acknowledged. */
	bool lingering : 1;
	bool disconnected : 1; /* it was used, and is now as new (connect() to AF_UNSPEC) */
	bool oobinline : 1;
	/* We have shut down sending before the peer's FIN came: TIME-WAIT is on our side. */
	bool active_close : 1;
	bool holds : 1;	 /* its receive buffer is not empty; counted in socks.nholding */
	bool queued : 1; /* on its listener's accept queue */
	int16_t err;	 /* pending error, negative errno */
	int linger;	 /* SO_LINGER in seconds; -1: off; 0: close resets the connection */
	uint32_t id;	 /* serial number of this use of the object; never 0 while in use */
	uint64_t user;	 /* mr_set_interest(); while on an accept queue: the listener */
	struct mr_frame *reserved; /* between mr_send_reserve() and commit or cancel; else NULL */
	struct mr_list ready_node; /* member of socks.ready */
	union {
		/* Member of socks.starved: no frame was free for a send. */
		struct mr_list starved_node;
		struct mr_list accept_node; /* member of the accept queue, while queued */
	};
	struct mr_list all_node;
	/* Only if socks.arbitrated: */
	bool held;	    /* a kernel socket holds held_port for this socket */
	uint16_t held_port; /* host byte order */
	int held_fd;	    /* that kernel socket, if this socket has to close it; else -1 */
};
_Static_assert(sizeof(struct mr_socket) <= 192, "three cache lines");

struct mr_socks {
	struct mr_tcp *tcp;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	struct mr_pool pool, setups;
	struct mr_list ready; /* sockets whose readiness may have grown; mr_wait() looks at them */
	struct mr_list starved; /* sockets that wait for free frames */
	struct mr_list all;
	uint64_t now; /* ns: begin of the engine's present round */
	struct mr_tcp_opts defaults;
	bool reported;	 /* readiness is reported by mr_socks_changed(), regardless of interest */
	bool arbitrated; /* the kernel gives out local ports, see struct mr_arbiter */
	uint32_t last_id;
	uint32_t nholding; /* sockets whose receive buffer is not empty */
	/* Sums of receive windows in bytes: of the sockets that received, or were opened, in the present interval
	 * (promised), and of those that last did so in the interval before. Windows of other sockets count as
	 * unused. */
	uint64_t promised, promised_before;
	uint64_t stretch_since;
	uint32_t stretch;
	uint32_t rx_density; /* payload bytes per received frame, moving average */
	uint32_t tx_reserve; /* free frames that sending leaves for receiving */
	/* If all send queues together hold fewer frames, sending may use most of tx_reserve, too. */
	uint32_t tx_few;
	uint32_t sndbuf_max, rcvbuf_max; /* bytes up to which autotuning lets buffers grow */
	uint32_t rx_spare; /* free frames that the device does not take for receiving */
	/* With fewer free frames receive buffers save frames, and windows shrink. */
	uint32_t rx_low;
};

/* Initialise the layer and register its upcalls with TCP. dev_frames: how many frames of the pool the device keeps
 * for receiving (FILL rings); the limits are derived from the others. Returns 0 or -ENOMEM. */
int mr_socks_init(struct mr_socks *socks, struct mr_arena *arena, struct mr_tcp *tcp,
		  struct mr_frame_pool *frames, struct mr_counters *ctr,
		  const struct mr_config *cfg, uint32_t dev_frames);

/* Register the upcalls in a process that uses the layer but has not initialised it. */
void mr_socks_attach(void);

/* With shared addresses the kernel gives out ports: for each local port of ours, a kernel socket holds it. These
 * callbacks make such sockets. Code cannot lie in the arena, so each process that lets the engine hold ports sets
 * them. */
struct mr_arbiter {
	/* Hold a port at an address; *port 0: the kernel chooses one and *port is set. Returns a descriptor or a
	 * negative errno. */
	int (*hold)(const struct mr_ip *ip, const struct mr_addr *addr,
		    const struct mr_tcp_opts *opts, uint16_t *port);
	void (*drop)(int fd);
};
void mr_socks_arbiter_set(const struct mr_arbiter *arbiter);

/* As mr_bind(), with a port (not 0) that a kernel socket of the caller holds as long as sock exists. Connections that
 * the stack still has on this port, and of which the kernel does not know, are no obstacle. fresh: the kernel has
 * just given the port out for a connection, so it has no connections on it either. */
int mr_bind_held(struct mr_socket *sock, const struct mr_endpoint *local, bool fresh);

/* mr_socket() and mr_recv_return() of millrace.h, without the engine. */
int mr_socks_open(struct mr_socks *socks, struct mr_socket **out);
void mr_socks_return(struct mr_socks *socks, struct mr_slice *slices, unsigned n);

/* Reset every connection and free every socket. Orphaned connections belong to TCP and stay. */
void mr_socks_abort_all(struct mr_socks *socks);
/* Reset every connection, so that it is over with the error err. The sockets stay until their owners close them. */
void mr_socks_end_all(struct mr_socks *socks, int err);

/* Fill events from the ready list. With a small max, later calls go on where this one stopped, so that no socket is
 * left out for ever. Takes time proportional to the ready list; sockets that are not ready leave it. Returns how
 * many. */
unsigned mr_socks_events(struct mr_socks *socks, struct mr_event *events, unsigned max);

/* Remove and return the next socket whose readiness may have grown; NULL: none. For socks.reported, instead of
 * mr_socks_events(). */
struct mr_socket *mr_socks_changed(struct mr_socks *socks);

/* Make starved sockets ready if frames are free again. Called once per round. */
void mr_socks_unstarve(struct mr_socks *socks);

/* Repair after a process died while it changed the layer. changing: the socket that it was changing; NULL: none.
 * That socket's connection is reset by mr_tcp_salvage_reset(). Called between mr_tcp_salvage_begin() and
 * mr_tcp_salvage(). */
void mr_socks_salvage(struct mr_socks *socks, struct mr_socket *changing);

void mr_socks_check(const struct mr_socks *socks);

/* Assert the invariants (for tests). */
#endif
