/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.h - two engines, a wire between them, and virtual time: nothing sleeps, everything follows
 * from the seed.
 */
#ifndef MR_TESTS_SIM_SIM_H
#define MR_TESTS_SIM_SIM_H

#include <stdint.h>
#include <stdio.h>
#include "millrace.h"
#include "base/time.h"
#include "engine/engine.h"
#include "middlebox.h"
#include "queue.h"
#include "rng.h"
#include "simdev.h"

/* ---- The wire, one for each direction -------------------------------------------------------- */

struct sim_wire_cfg {
	uint32_t loss_ppm, dup_ppm, reorder_ppm, corrupt_ppm;
	uint64_t reorder_ns; /* a reordered packet, or a duplicate, comes at most this much later */
	uint64_t delay_ns;   /* propagation */
	uint64_t jitter_ns;  /* more delay, changing at random, without reordering */
	struct sim_queue_cfg queue; /* the bottleneck, in front of all that */
	uint32_t mtu;		    /* of the receiver; a longer packet is a failure of the run */
	/* Loss in bursts: from packet to packet the odds of a bad time to begin, to end (at the latest
	 * after burst_ns), and of a packet to be lost in it. */
	uint32_t burst_begin_ppm, burst_end_ppm, burst_loss_ppm;
	uint64_t burst_ns;
	uint32_t ack_loss_ppm;	/* of segments that are nothing but an ACK, besides */
	uint64_t ack_gather_ns; /* not 0: ACKs arrive only at multiples of this */
	/* Reordering by count: held back until up to hold_most others have passed, or for hold_ns. */
	uint32_t hold_ppm, hold_most;
	uint64_t hold_ns;
};

#define SIM_HELD_MAX 8u
#define SIM_ACKS     16u

struct sim_held {
	uint64_t order; /* of the packet, see wire.h */
	uint32_t left;	/* others that must pass first; 0: this place is free */
};

struct sim_wire {
	struct sim_wire_cfg cfg;
	struct sim_rng rng;
	struct sim_box *box; /* what else stands in the way; NULL: nothing does */
	struct sim_queue queue;
	uint64_t last_at;	     /* ns: arrival of the last packet that was not reordered */
	bool bad;		     /* a burst of losses is on */
	uint64_t bad_until;	     /* ns, at the latest */
	uint32_t lost_ack[SIM_ACKS]; /* by ports: the last one that ack_loss_ppm took */
	struct sim_held held[SIM_HELD_MAX];
	uint64_t others; /* packets that were not TCP */
	uint64_t sent, lost, bursts, duplicated, reordered, corrupted;
};

/* ---- A run ----------------------------------------------------------------------------------- */

struct sim_host_cfg {
	bool v6; /* its address is IPv6 */
	uint32_t mtu, chunk_size, nframes;
	uint32_t sndbuf, rcvbuf; /* defaults of its sockets */
	const char *congestion;	 /* of those, too; NULL: the engine's default */
	enum mr_ecn_policy ecn;
	enum mr_mtu_probing mtu_probing;
	uint64_t epoch_ns; /* what the engine's clock shows when the run begins */
	uint64_t seed;
	struct sim_dev_cfg dev;
};

struct sim;
struct sim_host {
	struct sim *sim;
	int index;
	char name; /* 'A' or 'B' */
	struct mr_engine *engine;
	struct sim_dev *dev;
	struct mr_addr addr;
	uint64_t epoch_ns;
	bool busy; /* the application has more to do at this very time */
};

struct sim_pkt; /* on its way */

struct sim {
	const char *scenario;
	uint64_t seed;
	uint64_t now; /* ns of virtual time; a run begins at 0 */
	struct sim_host host[2];
	struct sim_wire wire[2]; /* [i]: what host i sends */
	struct sim_pkt **heap;	 /* by arrival */
	unsigned heap_len, heap_size;
	uint64_t order; /* of sending: breaks ties in time */
	uint64_t steps;
	unsigned steps_now;  /* without a move of time */
	uint64_t trace_hash; /* of every packet and its time */
	bool first_seq_seen[2];
	uint32_t first_seq[2]; /* of host i's first SYN */
	bool verbose;
	bool unchecked; /* a long run: invariants are not looked at after each round */
	/* The application, NULL before it starts: runs what is due on this host; returns true
	 * when it did something. */
	bool (*app_run)(struct sim *sim, struct sim_host *h);
	uint64_t (*app_next)(const struct sim *sim, const struct sim_host *h);
	void *app;
};

/* pcap: NULL, or a path: each host's capture is written to "<path>.A.pcapng" and ".B.pcapng". */
void sim_open(struct sim *sim, const struct sim_host_cfg host[2], const struct sim_wire_cfg wire[2],
	      uint64_t seed, const char *pcap);
void sim_close(struct sim *sim);

/* Go to the next event and handle all that is due then. False: nothing will ever happen again, or
 * not before `limit`. */
bool sim_step(struct sim *sim, uint64_t limit);

/* Give a packet of host `from` to the wire. */
void sim_wire_send(struct sim *sim, int from, const uint8_t *pkt, uint32_t len);

/* The run has failed: say why and end this process with status 1. */
void sim_fail(struct sim *sim, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
/* With -v: a line with the time in front. */
void sim_trace(const struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define SIM_CHECK(sim, cond, ...)                                                                  \
	do {                                                                                       \
		if (!(cond))                                                                       \
			sim_fail(sim, __VA_ARGS__);                                                \
	} while (0)

/* ---- Scenarios (scenario.c), each run in a process that may end ------------------------------ */

struct sim_opts {
	bool verbose;
	const char *pcap;
};

struct sim_scenario {
	const char *name;
	unsigned seeds;	 /* of a full run */
	unsigned faults; /* enum sim_fault */
	bool twice;	 /* run each seed twice: both must be the same, bit for bit */
	bool wrap;	 /* choose the clocks so that sequence numbers wrap early */
};

extern const struct sim_scenario sim_scenarios[];
extern const unsigned sim_nscenarios;

void sim_run_seed(const struct sim_scenario *sc, uint64_t seed, const struct sim_opts *opts);

#endif
