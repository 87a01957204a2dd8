// SPDX-License-Identifier: BSD-2-Clause
/*
 * flow.c - bulk transfers between two hosts, several at a time.
 * Asserts     that every byte is the one of its place in the stream.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "flow.h"

#define MTU	  1500u
#define BUFFER	  (16u << 20) /* socket buffers: never the limit */
#define NFRAMES	  131072u     /* so that a window of 16 MiB may arrive out of order */
#define PORT	  1000u
#define PERIOD	  65521u /* prime: no segment size goes into it */
#define QUEUE_MIN (16u * 1514u)
#define APP_NS	  (10 * MR_NS_PER_MS) /* how often an application of limited rate writes */

struct flow_test *flow_tests;

void flow_register(struct flow_test *test)
{
	struct flow_test **p = &flow_tests;

	while (*p)
		p = &(*p)->next;
	*p = test;
}

void flow_run_test(const struct flow_test *test, bool verbose)
{
	static struct flows fl;

	memset(&fl, 0, sizeof(fl));
	fl.sim.scenario = test->name;
	fl.sim.verbose = verbose;
	test->run(&fl);
}

/* ---- Applications ---------------------------------------------------------------------------- */

/* The stream: a byte is a function of its place modulo PERIOD; two periods, so that any piece of one is in
 * one piece. */
static const uint8_t *stream(uint64_t pos)
{
	static uint8_t buf[2 * PERIOD];

	if (!buf[0])
		for (uint32_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)(i % PERIOD * 7 + (i % PERIOD >> 8) * 13 + 1);
	return buf + pos % PERIOD;
}

/* Bytes that the application may have written by now. */
static uint64_t allowance(const struct flows *fl, const struct flow *f)
{
	uint64_t ticks = (fl->sim.now - f->app_from) / APP_NS + 1;

	if (!f->cfg.app_bps)
		return UINT64_MAX;
	return f->app_base + ticks * (f->cfg.app_bps / 8 * APP_NS / MR_NS_PER_S);
}

/* The same for the application that reads. */
static uint64_t read_allowance(const struct flows *fl, const struct flow *f)
{
	uint64_t ticks = (fl->sim.now - f->cfg.start_ns) / APP_NS + 1;

	return f->cfg.read_bps ? ticks * (f->cfg.read_bps / 8 * APP_NS / MR_NS_PER_S) : UINT64_MAX;
}

static void begin(struct flows *fl, struct flow *f)
{
	struct mr_endpoint peer = { .addr = fl->sim.host[1].addr, .port = f->port };
	int err = mr_socket(fl->sim.host[0].engine, &f->from);

	if (f->cfg.control)
		err = err   ?:
			      mr_set_option(f->from, MR_OPT_CONGESTION,
					    mr_congestion_index(f->cfg.control));
	if (f->cfg.pacing)
		err = err ?: mr_set_option(f->from, MR_OPT_MAX_PACING_RATE, (int64_t)f->cfg.pacing);
	FLOW_CHECK(fl, !err, "socket: %s", strerror(-err));
	err = mr_connect(f->from, &peer);
	FLOW_CHECK(fl, err == -EINPROGRESS, "mr_connect: %s", strerror(-err));
}

static void write_all(struct flows *fl, struct flow *f)
{
	uint64_t left = allowance(fl, f);
	ssize_t n;

	left -= mr_min(left, f->written);
	while (left) {
		n = mr_send(f->from, stream(f->written), (size_t)mr_min(left, (uint64_t)PERIOD), 0);
		if (n == -EAGAIN)
			return;
		FLOW_CHECK(fl, n > 0, "mr_send: %s", strerror((int)-n));
		f->written += (uint64_t)n;
		left -= (uint64_t)n;
	}
}

static void read_all(struct flows *fl, struct flow *f)
{
	static uint8_t buf[PERIOD];
	struct mr_endpoint peer;
	ssize_t n;

	if (!f->to && mr_accept(f->listener, &f->to, &peer))
		return;
	do {
		uint64_t left = read_allowance(fl, f);

		left -= mr_min(left, f->received);
		if (!left)
			return;
		n = mr_recv(f->to, buf, (size_t)mr_min(left, (uint64_t)sizeof(buf)), 0);
		if (n <= 0)
			break;
		FLOW_CHECK(fl, !memcmp(buf, stream(f->received), (size_t)n),
			   "a byte behind %llu is wrong", (unsigned long long)f->received);
		f->received += (uint64_t)n;
	} while (true);
	FLOW_CHECK(fl, n == -EAGAIN, "mr_recv: %s", strerror((int)-n));
}

/* Whatever is possible, whether an event says so or not: the events are only taken away. */
static bool flows_run(struct sim *sim, struct sim_host *h)
{
	struct flows *fl = sim->app;
	struct mr_event events[FLOWS_MAX];

	mr_socks_events(&h->engine->st->socks, events, MR_ARRAY_SIZE(events));
	for (unsigned i = 0; i < fl->n; i++) {
		struct flow *f = &fl->flow[i];

		if (h->index)
			read_all(fl, f);
		else if (sim->now >= f->cfg.start_ns && !f->from)
			begin(fl, f);
		else if (f->from)
			write_all(fl, f);
	}
	return false;
}

static uint64_t flows_next(const struct sim *sim, const struct sim_host *h)
{
	const struct flows *fl = sim->app;
	uint64_t t = MR_TIME_NEVER;

	for (unsigned i = 0; i < fl->n; i++) {
		const struct flow *f = &fl->flow[i];
		uint64_t since = sim->now - (h->index ? f->cfg.start_ns : f->app_from);

		if (!h->index && !f->from)
			t = mr_min(t, mr_max(f->cfg.start_ns, sim->now));
		else if (h->index ? f->to && f->cfg.read_bps : f->cfg.app_bps)
			t = mr_min(t, (h->index ? f->cfg.start_ns : f->app_from) +
					      (since / APP_NS + 1) * APP_NS);
	}
	return t;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

void flows_open(struct flows *fl, const struct path *path, uint64_t seed)
{
	uint64_t bdp = path->rate_bps / 8 * path->rtt_ns / MR_NS_PER_S;
	struct sim_host_cfg host = {
		.ecn = MR_ECN_ACCURATE,
		.mtu_probing = MR_MTU_PROBING_SUSPECT,
		.mtu = MTU,
		.chunk_size = 2048,
		.nframes = NFRAMES,
		.sndbuf = path->tuned ? 0 : BUFFER,
		.rcvbuf = path->tuned ? 0 : BUFFER,
		.dev = { .tx_ring = SIM_DEV_RING_MAX,
			 .kick_budget = SIM_DEV_RING_MAX,
			 .rx_ring = 65536,
			 .max_chunks = 1 },
	};
	struct sim_wire_cfg wire[2] = {
		{ .mtu = MTU,
		  .loss_ppm = path->loss_ppm,
		  .reorder_ppm = path->reorder_ppm,
		  .reorder_ns = path->reorder_ns,
		  .delay_ns = path->rtt_ns / 2,
		  .queue = { .rate_bps = path->rate_bps,
			     .limit = path->queue ?: mr_max((uint32_t)bdp, QUEUE_MIN),
			     .mark_above = path->mark_above,
			     .codel = path->codel } },
		{ .mtu = MTU, .delay_ns = path->rtt_ns - path->rtt_ns / 2 },
	};
	struct sim_host_cfg hosts[2] = { host, host };

	fl->path = *path;
	fl->n = 0;
	fl->sim = (struct sim){
		.scenario = fl->sim.scenario,
		.verbose = fl->sim.verbose,
		.unchecked = true, /* long runs: the other tests look at invariants */
		.seed = seed,
		.app = fl,
		.app_run = flows_run,
		.app_next = flows_next,
	};
	hosts[0].seed = 2 * seed + 1;
	hosts[1].seed = 2 * seed + 2;
	sim_open(&fl->sim, hosts, wire, seed, NULL);
}

struct flow *flow_add(struct flows *fl, const struct flow_cfg *cfg)
{
	struct flow *f = &fl->flow[fl->n];
	struct mr_endpoint local;
	int err;

	FLOW_CHECK(fl, fl->n < FLOWS_MAX, "too many flows");
	*f = (struct flow){ .cfg = *cfg,
			    .port = (uint16_t)(PORT + fl->n),
			    .app_from = cfg->start_ns };
	local = (struct mr_endpoint){ .port = f->port };
	err = mr_socket(fl->sim.host[1].engine, &f->listener);
	if (cfg->control)
		err = err   ?:
			      mr_set_option(f->listener, MR_OPT_CONGESTION,
					    mr_congestion_index(cfg->control));
	if (cfg->rcvbuf)
		err = err ?: mr_set_option(f->listener, MR_OPT_RCVBUF, cfg->rcvbuf);
	err = err ?: mr_bind(f->listener, &local);
	err = err ?: mr_listen(f->listener, 1);
	FLOW_CHECK(fl, !err, "listener: %s", strerror(-err));
	fl->n++;
	return f;
}

void flows_until(struct flows *fl, uint64_t ns)
{
	while (sim_step(&fl->sim, ns))
		;
	fl->sim.now = ns;
}

void flows_close(struct flows *fl)
{
	sim_close(&fl->sim);
}

void flow_limit(const struct flows *fl, struct flow *f, uint64_t app_bps)
{
	f->cfg.app_bps = app_bps;
	f->app_from = fl->sim.now;
	f->app_base = f->written;
}

void flow_mark(struct flows *fl, struct flow *f)
{
	f->marked = f->received;
	f->marked_at = fl->sim.now;
}

double flow_goodput(const struct flows *fl, const struct flow *f)
{
	return (double)(f->received - f->marked) * 8e9 / (double)(fl->sim.now - f->marked_at);
}

struct mr_tcb *flow_tcb(const struct flow *f)
{
	return f->from->tcb;
}

double flows_jain(const struct flows *fl)
{
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < fl->n; i++) {
		double x = flow_goodput(fl, &fl->flow[i]);

		sum += x;
		squares += x * x;
	}
	return squares > 0 ? sum * sum / (fl->n * squares) : 0;
}
