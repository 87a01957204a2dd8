// SPDX-License-Identifier: BSD-2-Clause
/*
 * server.c - the end that is measured: echo, echo and close, sink, source. Which of them a connection
 * gets is decided by the port it came to.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "work.h"

#define EVENTS_MAX 256u
#define STOP_US	   50000 /* so late a signal may be seen that comes just before wait() */
#define TURNS	   16u	 /* of reading or writing before the next connection has its turn */

struct listener {
	struct bench_conn *conn;
	enum bench_service service;
};

/* One connection. Idle ones are many: nothing is kept beside what is needed. */
struct client {
	const struct listener *from;
	uint8_t *unsent; /* of an answer that the send buffer did not take; NULL: none */
	uint32_t len, off;
};

static const struct bench_stack *stack;
static struct listener *listeners;
static unsigned nlisteners;
static uint8_t buffer[BENCH_MAX_SIZE];

static void client_end(struct bench_conn *conn, struct client *c)
{
	stack->finish(conn);
	free(c->unsent);
	free(c);
}

/* Send the rest of an answer. False: the connection is over or waits for room. */
static bool client_flush(struct bench_conn *conn, struct client *c)
{
	while (c->unsent) {
		ssize_t n = stack->send(conn, c->unsent + c->off, c->len - c->off);

		if (n < 0 && n != -EAGAIN) {
			client_end(conn, c);
			return false;
		}
		if (n < 0)
			return false;
		c->off += (uint32_t)n;
		if (c->off < c->len)
			continue;
		free(c->unsent);
		c->unsent = NULL;
		stack->interest(conn, BENCH_IN, c);
	}
	return true;
}

static void client_echo(struct bench_conn *conn, struct client *c)
{
	ssize_t n, sent;

	if (!client_flush(conn, c))
		return;
	n = stack->recv(conn, buffer, sizeof(buffer));
	if (n <= 0) {
		if (n != -EAGAIN)
			client_end(conn, c);
		return;
	}
	sent = stack->send(conn, buffer, (size_t)n);
	if (sent < 0 && sent != -EAGAIN) {
		client_end(conn, c);
		return;
	}
	sent = mr_max(sent, (ssize_t)0);
	if (sent < n) {
		c->len = (uint32_t)(n - sent);
		c->off = 0;
		c->unsent = malloc(c->len);
		if (!c->unsent)
			abort();
		memcpy(c->unsent, buffer + sent, c->len);
		stack->interest(conn, BENCH_OUT, c);
	} else if (c->from->service == BENCH_ECHO_CLOSE) {
		client_end(conn, c);
	}
}

static void client_run(struct bench_conn *conn, struct client *c)
{
	ssize_t n = -EAGAIN;

	switch (c->from->service) {
	case BENCH_SINK:
		for (unsigned i = 0; i < TURNS; i++) {
			n = stack->recv(conn, buffer, sizeof(buffer));
			if (n <= 0)
				break;
		}
		if (n == 0 || (n < 0 && n != -EAGAIN))
			client_end(conn, c);
		break;
	case BENCH_SOURCE:
		for (unsigned i = 0; i < TURNS; i++) {
			n = stack->send(conn, buffer, sizeof(buffer));
			if (n < (ssize_t)sizeof(buffer))
				break;
		}
		if (n < 0 && n != -EAGAIN)
			client_end(conn, c);
		break;
	default:
		client_echo(conn, c);
	}
}

static void accept_all(const struct listener *l)
{
	struct bench_conn *conn;
	struct client *c;

	while (!stack->accept(l->conn, &conn)) {
		c = calloc(1, sizeof(*c));
		if (!c)
			abort();
		c->from = l;
		stack->interest(conn, l->service == BENCH_SOURCE ? BENCH_OUT : BENCH_IN, c);
	}
}

static const struct listener *listener_of(const struct bench_conn *conn)
{
	for (unsigned i = 0; i < nlisteners; i++)
		if (listeners[i].conn == conn)
			return &listeners[i];
	return NULL;
}

static int listen_all(const struct bench_args *args)
{
	nlisteners = BENCH_SERVICES + args->idle_ports;
	listeners = calloc(nlisteners, sizeof(*listeners));
	if (!listeners)
		abort();
	for (unsigned i = 0; i < nlisteners; i++) {
		unsigned add = i < BENCH_SERVICES ? i : BENCH_IDLE + i - BENCH_SERVICES;
		int ret = stack->listen((uint16_t)(args->server.port + add), &listeners[i].conn);

		if (ret) {
			fprintf(stderr, "bench: cannot listen on port %u: %s\n",
				args->server.port + add, strerror(-ret));
			return ret;
		}
		listeners[i].service = i < BENCH_SERVICES ? (enum bench_service)i : BENCH_ECHO;
	}
	return 0;
}

int bench_server(const struct bench_args *args)
{
	struct bench_event events[EVENTS_MAX];

	stack = args->stack;
	if (listen_all(args))
		return 1;
	printf("ready\n");
	fflush(stdout);
	while (!bench_stopping()) {
		int n = stack->wait(events, EVENTS_MAX, STOP_US);

		if (n < 0) {
			fprintf(stderr, "bench: %s\n", strerror(-n));
			return 1;
		}
		for (int i = 0; i < n; i++) {
			const struct listener *l =
				events[i].user ? NULL : listener_of(events[i].conn);

			if (l)
				accept_all(l);
			else if (events[i].user)
				client_run(events[i].conn, events[i].user);
		}
	}
	return 0;
}
