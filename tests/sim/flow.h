/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow.h - bulk transfers over one bottleneck: flows from host A to host B, each with a congestion
 * control of its own, and what each of them got.
 *
 *	FLOW_TEST(two_cubic_flows_share_fairly)
 *	{
 *		flows_open(fl, &(struct path){ .rate_bps = MBIT(100), .rtt_ns = MS(20) }, 1);
 *		flow_add(fl, &(struct flow_cfg){ .control = "cubic" });
 *		...
 *		flows_until(fl, SEC(60));
 *	}
 */
#ifndef MR_TESTS_SIM_FLOW_H
#define MR_TESTS_SIM_FLOW_H

#include "sim.h"

#define FLOWS_MAX 8

#define MBIT(n) ((uint64_t)((n)*1e6))
#define MS(n)	((uint64_t)((n)*1e6))
#define SEC(n)	((uint64_t)((n)*1e9))

/* A path with its bottleneck in front, from A to B; the other direction only delays. */
struct path {
	uint64_t rate_bps;
	uint64_t rtt_ns;     /* without queueing */
	uint32_t queue;	     /* bytes; 0: one bandwidth-delay product, at least 16 packets */
	uint32_t mark_above; /* see struct sim_queue_cfg */
	bool codel;
	bool tuned; /* socket buffers find their size themselves; else they are never the limit */
	uint32_t loss_ppm;    /* of data, behind the bottleneck */
	uint32_t reorder_ppm; /* of data: so many come late, by reorder_ns at the most */
	uint64_t reorder_ns;
};

struct flow_cfg {
	const char *control; /* of both sides; NULL: the default */
	uint64_t start_ns;
	uint64_t app_bps;  /* the application writes so fast; 0: as fast as it can */
	uint32_t rcvbuf;   /* MR_OPT_RCVBUF; 0: not set */
	uint64_t read_bps; /* the receiving application reads so fast; 0: as fast as it can */
	uint64_t pacing;   /* MR_OPT_MAX_PACING_RATE, bytes per second; 0: not set */
};

struct flow {
	struct flow_cfg cfg;
	uint16_t port;
	struct mr_socket *listener, *from, *to;
	uint64_t written, received;  /* bytes */
	uint64_t app_from, app_base; /* ns, bytes: from where app_bps counts */
	uint64_t marked, marked_at;  /* by flow_mark() */
};

struct flows {
	struct sim sim;
	struct path path;
	struct flow flow[FLOWS_MAX];
	unsigned n;
};

void flows_open(struct flows *fl, const struct path *path, uint64_t seed);
/* Returns the flow; it begins at start_ns. */
struct flow *flow_add(struct flows *fl, const struct flow_cfg *cfg);
/* Run until so much time has passed since the beginning. */
void flows_until(struct flows *fl, uint64_t ns);
void flows_close(struct flows *fl);

/* From now on the application writes so fast; 0: as fast as it can. */
void flow_limit(const struct flows *fl, struct flow *f, uint64_t app_bps);
/* What the flow counts from here on. */
void flow_mark(struct flows *fl, struct flow *f);
/* Bits per second of payload since the mark. */
double flow_goodput(const struct flows *fl, const struct flow *f);
/* The sender's connection. */
struct mr_tcb *flow_tcb(const struct flow *f);
/* Jain's index of what the flows got since their marks: 1 when all got the same. */
double flows_jain(const struct flows *fl);

/* ---- Tests of flows -------------------------------------------------------------------------- */

struct flow_test {
	const char *name;
	void (*run)(struct flows *fl);
	struct flow_test *next;
};

void flow_register(struct flow_test *test);
extern struct flow_test *flow_tests; /* in the order of registration */
void flow_run_test(const struct flow_test *test, bool verbose);

/* A test is registered by being there. */
#define FLOW_TEST(id)                                                                              \
	static void id(struct flows *fl);                                                          \
	static struct flow_test id##_test = { .name = #id, .run = id };                            \
	__attribute__((constructor)) static void id##_register(void)                               \
	{                                                                                          \
		flow_register(&id##_test);                                                         \
	}                                                                                          \
	static void id(struct flows *fl)

#define FLOW_CHECK(fl, cond, ...) SIM_CHECK(&(fl)->sim, cond, __VA_ARGS__)

#endif
