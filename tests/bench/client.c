// SPDX-License-Identifier: BSD-2-Clause
/*
 * client.c - the load generator.
 *
 *	rr	request and answer on open connections, one at a time on each; with --rate, requests are
 *		due at fixed times and their latency counts from then (no coordinated omission)
 *	crr	connect, request, answer, end
 *	tx, rx	one long stream on each connection, to the server, from the server
 *	idle	open all connections, then rr on 64 of them
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "latency.h"
#include "work.h"

#define EVENTS_MAX  256u
#define TURNS	    16u
#define IDLE_ACTIVE 64u
#define CONNECTING  512u /* connects under way at once, while many are opened */
#define SETUP_NS    (120ull * 1000000000u)

enum phase { OPENING, FREE, WAITING, ENDED };

struct session {
	struct bench_conn *conn;
	uint64_t began;	    /* ns: when the request (crr: the connect) was due */
	uint32_t sent, got; /* of the present request */
	uint8_t phase;	    /* enum phase */
	struct session *next_free;
};

struct run {
	const struct bench_args *args;
	const struct bench_stack *stack;
	struct session *sessions;
	unsigned nsessions, nopen, nfailed;
	struct session *free; /* open, without a request */
	struct latency latency;
	uint64_t bytes, done; /* since measuring began */
	uint64_t from, until; /* ns: what ends between counts */
	uint64_t setup_ns;
	uint64_t due, interval; /* of --rate, ns */
};

static uint8_t buffer[BENCH_MAX_SIZE];

static bool is(const struct run *r, const char *workload)
{
	return !strcmp(r->args->workload, workload);
}

/* The share of the wall time in which this process was runnable and had no processor. */
static double run_delay_s(void)
{
	char line[128] = "", *waited = line; /* on the processor, waited for it, turns */
	FILE *f = fopen("/proc/self/schedstat", "re");

	if (f) {
		if (fgets(line, sizeof(line), f))
			strtoull(line, &waited, 10);
		fclose(f);
	}
	return (double)strtoull(waited, NULL, 10) / 1e9;
}

static int session_open(struct run *r, struct session *s, unsigned i)
{
	struct mr_endpoint peer = r->args->server;
	unsigned add = BENCH_ECHO;

	if (is(r, "crr"))
		add = BENCH_ECHO_CLOSE;
	else if (is(r, "tx"))
		add = BENCH_SINK;
	else if (is(r, "rx"))
		add = BENCH_SOURCE;
	else if (is(r, "idle") && r->args->idle_ports)
		add = BENCH_IDLE + i % r->args->idle_ports;
	peer.port = (uint16_t)(peer.port + add);
	s->phase = OPENING;
	s->sent = s->got = 0;
	s->began = bench_now();
	if (r->stack->connect(&peer, &s->conn))
		return -1;
	r->stack->interest(s->conn, BENCH_OUT, s);
	return 0;
}

static void session_fail(struct run *r, struct session *s)
{
	r->stack->finish(s->conn);
	s->phase = ENDED;
	r->nfailed++;
}

/* Send what is left of the request. */
static void session_send(struct run *r, struct session *s)
{
	while (s->sent < r->args->size) {
		ssize_t n = r->stack->send(s->conn, buffer, r->args->size - s->sent);

		if (n == -EAGAIN) {
			r->stack->interest(s->conn, BENCH_OUT | BENCH_IN, s);
			return;
		}
		if (n < 0) {
			session_fail(r, s);
			return;
		}
		s->sent += (uint32_t)n;
	}
	r->stack->interest(s->conn, BENCH_IN, s);
}

static void session_request(struct run *r, struct session *s, uint64_t due)
{
	s->phase = WAITING;
	s->began = due;
	s->sent = s->got = 0;
	session_send(r, s);
}

static void count(struct run *r, uint64_t began, uint64_t now)
{
	if (now < r->from || now >= r->until)
		return;
	r->done++;
	latency_add(&r->latency, now - began);
}

/* The next request of a connection that is free, if one is due. */
static void session_next(struct run *r, struct session *s, uint64_t now)
{
	s->phase = FREE;
	if (r->interval && r->due > now) {
		s->next_free = r->free;
		r->free = s;
		return;
	}
	session_request(r, s, r->interval ? r->due : now);
	r->due += r->interval;
}

/* What a stream moves; up to TURNS buffers. */
static void session_stream(struct run *r, struct session *s)
{
	bool tx = is(r, "tx");
	uint64_t now;

	for (unsigned i = 0; i < TURNS; i++) {
		ssize_t n = tx ? r->stack->send(s->conn, buffer, sizeof(buffer)) :
				 r->stack->recv(s->conn, buffer, sizeof(buffer));

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			session_fail(r, s);
			return;
		}
		now = bench_now();
		if (now >= r->from && now < r->until)
			r->bytes += (uint64_t)n;
	}
}

static void session_answer(struct run *r, struct session *s)
{
	ssize_t n = r->stack->recv(s->conn, buffer, sizeof(buffer));
	uint64_t now;

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		session_fail(r, s);
		return;
	}
	s->got += (uint32_t)n;
	if (s->got < r->args->size)
		return;
	now = bench_now();
	count(r, s->began, now);
	if (!is(r, "crr")) {
		session_next(r, s, now);
		return;
	}
	r->stack->finish(s->conn);
	s->phase = ENDED;
	if (now < r->until && session_open(r, s, 0))
		r->nfailed++;
}

static void session_opened(struct run *r, struct session *s)
{
	r->nopen++;
	if (is(r, "tx") || is(r, "rx")) {
		s->phase = WAITING;
		r->stack->interest(s->conn, is(r, "tx") ? BENCH_OUT : BENCH_IN, s);
	} else if (is(r, "crr")) {
		session_request(r, s, s->began);
	} else {
		s->phase = FREE; /* requests begin when all are open */
		r->stack->interest(s->conn, BENCH_IN, s);
	}
}

static void session_event(struct run *r, struct session *s, uint32_t ready)
{
	if (s->phase == ENDED)
		return;
	if (ready & BENCH_ERR) {
		session_fail(r, s);
	} else if (s->phase == OPENING) {
		if (ready & BENCH_OUT)
			session_opened(r, s);
	} else if (is(r, "tx") || is(r, "rx")) {
		session_stream(r, s);
	} else {
		if (ready & BENCH_OUT && s->sent < r->args->size)
			session_send(r, s);
		if (ready & BENCH_IN && s->phase == WAITING)
			session_answer(r, s);
	}
}

static void turn(struct run *r, int64_t timeout_us)
{
	struct bench_event events[EVENTS_MAX];
	int n = r->stack->wait(events, EVENTS_MAX, timeout_us);

	for (int i = 0; i < n; i++)
		if (events[i].user)
			session_event(r, events[i].user, events[i].ready);
}

/* Open them all, CONNECTING at a time. */
static int open_sessions(struct run *r)
{
	uint64_t began = bench_now();
	unsigned asked = 0;

	while (r->nopen + r->nfailed < r->nsessions) {
		while (asked < r->nsessions && asked - r->nopen - r->nfailed < CONNECTING) {
			if (session_open(r, &r->sessions[asked], asked))
				break;
			asked++;
		}
		turn(r, 1000);
		if (bench_stopping() || bench_now() - began > SETUP_NS)
			return -ETIMEDOUT;
		if (is(r, "crr"))
			break; /* its connections come and go from the beginning */
	}
	r->setup_ns = bench_now() - began;
	return r->nfailed ? -ECONNREFUSED : 0;
}

static void start_requests(struct run *r, unsigned active)
{
	uint64_t now = bench_now();

	if (r->args->rate > 0) {
		r->interval = (uint64_t)(1e9 / r->args->rate);
		r->due = now;
	}
	for (unsigned i = 0; i < mr_min(active, r->nsessions); i++)
		session_next(r, &r->sessions[i], now);
}

/* --rate: requests that are due go to connections that are free. Microseconds until the next. */
static int64_t offer(struct run *r)
{
	uint64_t now;

	if (!r->interval)
		return 100000;
	now = bench_now();
	while (r->free && r->due <= now) {
		struct session *s = r->free;

		r->free = s->next_free;
		session_request(r, s, r->due);
		r->due += r->interval;
	}
	return r->due <= now ? 100000 : (int64_t)((r->due - now) / 1000);
}

static void measure(struct run *r)
{
	uint64_t now = bench_now();

	r->from = now + (uint64_t)(r->args->warmup * 1e9);
	r->until = r->from + (uint64_t)(r->args->seconds * 1e9);
	if (is(r, "rr"))
		start_requests(r, r->nsessions);
	else if (is(r, "idle"))
		start_requests(r, IDLE_ACTIVE);
	while ((now = bench_now()) < r->until && !bench_stopping()) {
		int64_t left_us = (int64_t)((r->until - now) / 1000), due_us = offer(r);

		turn(r, mr_min(due_us, left_us));
	}
}

static void report(const struct run *r, double delay_s, double wall_s)
{
	double s = r->args->seconds;

	printf("{\"workload\": \"%s\", \"stack\": \"%s\", \"conns\": %u, \"size\": %u, "
	       "\"seconds\": %g, "
	       "\"failed\": %u, \"setup_us_per_conn\": %.3f, \"starved\": %.4f, ",
	       r->args->workload, r->stack->name, r->nsessions, r->args->size, s, r->nfailed,
	       (double)r->setup_ns / 1e3 / r->nsessions, delay_s / wall_s);
	if (is(r, "tx") || is(r, "rx")) {
		printf("\"gbit_s\": %.4f}\n", (double)r->bytes * 8 / s / 1e9);
		return;
	}
	printf("\"per_s\": %.1f, ", (double)r->done / s);
	latency_print_json(&r->latency, stdout);
	printf("}\n");
}

int bench_client(const struct bench_args *args)
{
	struct run r = {
		.args = args,
		.stack = args->stack,
		.nsessions = args->conns,
		.from = UINT64_MAX,
		.until = UINT64_MAX,
	};
	double delay;
	uint64_t began;
	int ret;

	r.sessions = calloc(r.nsessions, sizeof(*r.sessions));
	if (!r.sessions)
		abort();
	ret = open_sessions(&r);
	if (ret) {
		fprintf(stderr, "bench: %u of %u connections were made, %u failed: %s\n", r.nopen,
			r.nsessions, r.nfailed, strerror(-ret));
		return 1;
	}
	began = bench_now();
	delay = run_delay_s();
	measure(&r);
	report(&r, run_delay_s() - delay, (double)(bench_now() - began) / 1e9);
	free(r.sessions);
	return r.nfailed && !is(&r, "crr") ? 1 : 0;
}
