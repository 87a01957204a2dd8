/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workload.h - applications on both hosts, and the oracle: what they may see of a correct stack.
 */
#ifndef MR_TESTS_SIM_WORKLOAD_H
#define MR_TESTS_SIM_WORKLOAD_H

#include "sim.h"

#define WL_CONNS_MAX 8
#define WL_HELD_MAX  16
#define WL_BACKLOG   16 /* of a listener that never sends cookies */

enum wl_open {
	WL_OPEN_PASSIVE, /* side 0 connects to a listener on side 1's host */
	WL_OPEN_BOTH,	 /* both connect at once */
	WL_OPEN_REFUSED, /* nobody listens */
};

/* How a side ends its direction when all is sent. */
enum wl_end {
	WL_END_SHUTDOWN, /* shutdown, read up to the end of the stream, close */
	WL_END_AT_EOF,	 /* close when the peer's stream has ended; at most one side of a pair */
	WL_END_EARLY,	 /* close when all was sent and all was received, EOF or not */
};

enum wl_abort {
	WL_ABORT_NONE,
	WL_ABORT_CALL,	 /* mr_abort() */
	WL_ABORT_LINGER, /* MR_OPT_LINGER 0 and mr_close() */
	WL_ABORT_CLOSE,	 /* mr_close() though the peer still has something to say */
};

/* What one side of a connection will do. */
struct wl_plan {
	uint32_t tx_total;
	uint32_t write_max, read_max;		  /* bytes per call */
	uint32_t pause_write_ppm, pause_read_ppm; /* after each call */
	uint64_t pause_max_ns;
	unsigned pauses_left;
	uint64_t end_delay_ns;
	enum wl_end end;
	enum wl_abort abort;
	uint32_t abort_at; /* bytes sent plus received */
	bool fastopen;
	bool zc_send, zc_recv, nodelay, cork, more, vectors;
	uint32_t sndbuf, rcvbuf; /* 0: the default */
	uint64_t pacing;	 /* bytes per second at the most; 0: no limit */
};

enum wl_state { WL_WAIT, WL_OPENING, WL_OPEN, WL_DONE };

struct wl_conn;
struct wl_side {
	struct wl_conn *conn;
	struct sim_host *host;
	struct wl_plan plan;
	bool active; /* connects */
	enum wl_state state;
	struct mr_socket *sock;
	uint16_t port; /* own */
	uint64_t start_at;
	uint32_t tx, rx;	 /* bytes written and read */
	bool fin;		 /* has ended its stream: shutdown or close */
	bool eof;		 /* has seen the end of the peer's */
	bool readable, writable; /* an event said so, and no call said -EAGAIN since */
	uint32_t interest;	 /* as set last */
	uint64_t read_at, write_at, end_at, return_at; /* 0: now; run time, ns */
	bool end_set;
	struct mr_slice held[WL_HELD_MAX]; /* borrowed and not returned */
	unsigned nheld;
};

struct wl_conn {
	int id;
	enum wl_open open;
	bool aborted;  /* one side has called for it: errors are expected from now on */
	bool may_fail; /* the wire may be bad enough for the handshake to give up */
	struct wl_side side[2];
};

struct workload {
	struct sim_rng rng;
	struct wl_conn conn[WL_CONNS_MAX];
	unsigned nconns;
	struct mr_socket *listener[2];
	uint32_t listen_rcvbuf[2];
	int backlog;
};

/* Plan connections from the workload's rng. bulk: a few of them may be large. */
void wl_plan(struct workload *wl, struct sim *sim, bool faults, bool aborts);
/* Bytes of all plans, both directions. */
uint64_t wl_bytes(const struct workload *wl);
/* Listeners up, hooks set. */
void wl_start(struct workload *wl, struct sim *sim);
bool wl_done(const struct workload *wl);
/* Listeners down. */
void wl_stop(struct workload *wl, struct sim *sim);
/* For a run that did not end: one line per side, on stderr. */
void wl_dump(const struct workload *wl, const struct sim *sim);

#endif
