/* SPDX-License-Identifier: BSD-2-Clause */
/* work.h - the two ends of every workload, and what they agree on. */
#ifndef MR_BENCH_WORK_H
#define MR_BENCH_WORK_H

#include "run.h"
#include "stack.h"

/* What the server does with a connection, by port: the port given plus one of these. */
enum bench_service {
	BENCH_ECHO,	  /* sends back what comes */
	BENCH_ECHO_CLOSE, /* the same, once, then closes first: TIME-WAIT is the server's */
	BENCH_SINK,	  /* reads */
	BENCH_SOURCE,	  /* writes without end */
	BENCH_SERVICES,
	BENCH_IDLE = 16, /* from here on --idle-ports of them that echo: room for 4-tuples */
};

#define BENCH_PORT	5200
#define BENCH_MAX_SIZE	(64u * 1024) /* of a request */
#define BENCH_CONNS_MAX 2000000u

struct bench_args {
	const struct bench_stack *stack;
	struct bench_options opt;
	struct mr_endpoint server; /* the client's: whom to ask; the server's: its port */
	const char *workload;
	unsigned conns, idle_ports;
	uint32_t size;
	double seconds, warmup;
	double rate; /* requests per second offered (rr); 0: as many as go */
};

/* Run until SIGTERM. The exit status. */
int bench_server(const struct bench_args *args);
/* Run args->workload, print one JSON object. The exit status. */
int bench_client(const struct bench_args *args);

#endif
