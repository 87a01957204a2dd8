// SPDX-License-Identifier: BSD-2-Clause
/*
 * stack_none.c - no stack at all behind stack.h: what was sent is the answer, at once. What a client sees then,
 * with --rate, is its own processor: for how long the machine took it away.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "stack.h"

struct bench_conn {
	uint32_t mask;
	uint32_t unread; /* bytes */
	bool active;	 /* in the list of those that may be ready */
	void *user;
	struct bench_conn *next;
};

static struct bench_conn *active;

static int none_open(const struct bench_options *opt)
{
	(void)opt;
	return 0;
}

static void none_close(void)
{
}

static int none_listen(uint16_t port, struct bench_conn **out)
{
	(void)port;
	(void)out;
	return -EOPNOTSUPP;
}

static int none_accept(struct bench_conn *listener, struct bench_conn **out)
{
	(void)listener;
	(void)out;
	return -EOPNOTSUPP;
}

static int none_connect(const struct mr_endpoint *peer, struct bench_conn **out)
{
	(void)peer;
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void activate(struct bench_conn *conn)
{
	if (conn->active)
		return;
	conn->active = true;
	conn->next = active;
	active = conn;
}

static ssize_t none_send(struct bench_conn *conn, const void *buf, size_t len)
{
	(void)buf;
	conn->unread += (uint32_t)len;
	activate(conn);
	return (ssize_t)len;
}

static ssize_t none_recv(struct bench_conn *conn, void *buf, size_t len)
{
	uint32_t n = (uint32_t)mr_min(len, (size_t)conn->unread);

	if (!n)
		return -EAGAIN;
	memset(buf, 0, n);
	conn->unread -= n;
	return n;
}

static void none_interest(struct bench_conn *conn, uint32_t mask, void *user)
{
	conn->mask = mask;
	conn->user = user;
	activate(conn);
}

/* Connections live as long as the program: a list may still name them. */
static void none_finish(struct bench_conn *conn)
{
	conn->mask = 0;
}

static int none_wait(struct bench_event *events, unsigned max, int64_t timeout_us)
{
	unsigned n = 0;

	(void)timeout_us; /* a client that spins */
	while (active && n < max) {
		struct bench_conn *conn = active;
		uint32_t ready = conn->mask & (BENCH_OUT | (conn->unread ? BENCH_IN : 0));

		active = conn->next;
		conn->active = false;
		if (ready)
			events[n++] = (struct bench_event){ .conn = conn,
							    .user = conn->user,
							    .ready = ready };
	}
	return (int)n;
}

const struct bench_stack bench_none = {
	.name = "none",
	.open = none_open,
	.close = none_close,
	.listen = none_listen,
	.accept = none_accept,
	.connect = none_connect,
	.send = none_send,
	.recv = none_recv,
	.interest = none_interest,
	.finish = none_finish,
	.wait = none_wait,
};
