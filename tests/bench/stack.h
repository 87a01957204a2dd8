/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack.h - what a workload needs of a TCP stack, so that one program measures them all: Millrace's
 * native API, and the kernel's sockets with epoll (also under `millrace run`).
 *
 * One thread, level-triggered readiness. Calls return 0 or a count, or a negative errno.
 */
#ifndef MR_BENCH_STACK_H
#define MR_BENCH_STACK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "millrace.h"

#define BENCH_IN  1u
#define BENCH_OUT 2u
#define BENCH_ERR 4u

struct bench_conn; /* one socket; the stack's */

struct bench_event {
	struct bench_conn *conn;
	void *user; /* as given to interest(); NULL before */
	uint32_t ready;
};

struct bench_options {
	const char *ifname;  /* Millrace: the interface */
	const char *address; /* Millrace: with prefix length */
	unsigned connections;
	unsigned spin_us;      /* Millrace: cfg.spin_us */
	unsigned busy_poll_us; /* kernel: SO_BUSY_POLL; 0: off */
	bool native;	       /* Millrace: XDP in driver mode */
};

struct bench_stack {
	const char *name;
	int (*open)(const struct bench_options *opt);
	void (*close)(void);
	int (*listen)(uint16_t port, struct bench_conn **out);
	int (*accept)(struct bench_conn *listener, struct bench_conn **out);
	/* Non-blocking: BENCH_OUT or BENCH_ERR follows. */
	int (*connect)(const struct mr_endpoint *peer, struct bench_conn **out);
	ssize_t (*send)(struct bench_conn *conn, const void *buf, size_t len);
	ssize_t (*recv)(struct bench_conn *conn, void *buf, size_t len);
	void (*interest)(struct bench_conn *conn, uint32_t mask, void *user);
	void (*finish)(struct bench_conn *conn); /* close in order */
	/* timeout_us < 0: for ever. The number of events. */
	int (*wait)(struct bench_event *events, unsigned max, int64_t timeout_us);
};

extern const struct bench_stack bench_millrace, bench_kernel, bench_none;

#endif
