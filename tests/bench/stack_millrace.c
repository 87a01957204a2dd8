// SPDX-License-Identifier: BSD-2-Clause
/* stack_millrace.c - the native API behind stack.h. A bench_conn is a mr_socket. */
#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "stack.h"

#define EVENTS_MAX 1024u

static struct mr_engine *engine;

static struct mr_socket *sock_of(struct bench_conn *conn)
{
	return (struct mr_socket *)conn;
}

static void print_log(void *user, int level, const char *line)
{
	(void)user;
	if (level <= LOG_WARNING)
		fprintf(stderr, "bench: %s\n", line);
}

static int millrace_open(const struct bench_options *opt)
{
	struct mr_config cfg;
	struct mr_error err;
	int ret;

	mr_config_init(&cfg);
	cfg.ifname = opt->ifname;
	cfg.spin_us = opt->spin_us;
	cfg.log = print_log;
	if (opt->native)
		cfg.xdp_mode = MR_XDP_NATIVE;
	/* Connections that close, and listeners, beside those that are open. */
	if (opt->connections + 1024 > cfg.max_sockets)
		cfg.max_sockets = opt->connections + 1024;
	ret = mr_config_add_address(&cfg, opt->address);
	if (ret) {
		fprintf(stderr, "bench: \"%s\" is not an address with prefix length\n",
			opt->address);
		return ret;
	}
	ret = mr_engine_open(&engine, &cfg, &err);
	if (ret)
		fprintf(stderr, "bench: %s\n", err.text);
	return ret;
}

static void millrace_close(void)
{
	mr_engine_close(engine);
}

static int millrace_listen(uint16_t port, struct bench_conn **out)
{
	struct mr_socket *sock;
	int ret = mr_socket(engine, &sock);

	if (ret)
		return ret;
	ret = mr_bind(sock, &(struct mr_endpoint){ .port = port });
	if (!ret)
		ret = mr_listen(sock, 65535);
	if (ret)
		mr_close(sock);
	*out = (struct bench_conn *)sock;
	return ret;
}

static int millrace_accept(struct bench_conn *listener, struct bench_conn **out)
{
	struct mr_socket *sock;
	int ret = mr_accept(sock_of(listener), &sock, NULL);

	if (ret)
		return ret;
	mr_set_option(sock, MR_OPT_NODELAY, 1);
	*out = (struct bench_conn *)sock;
	return 0;
}

static int millrace_connect(const struct mr_endpoint *peer, struct bench_conn **out)
{
	struct mr_socket *sock;
	int ret = mr_socket(engine, &sock);

	if (ret)
		return ret;
	mr_set_option(sock, MR_OPT_NODELAY, 1);
	ret = mr_connect(sock, peer);
	if (ret != -EINPROGRESS) {
		mr_close(sock);
		return ret;
	}
	*out = (struct bench_conn *)sock;
	return 0;
}

static ssize_t millrace_send(struct bench_conn *conn, const void *buf, size_t len)
{
	return mr_send(sock_of(conn), buf, len, 0);
}

static ssize_t millrace_recv(struct bench_conn *conn, void *buf, size_t len)
{
	return mr_recv(sock_of(conn), buf, len, 0);
}

static void millrace_interest(struct bench_conn *conn, uint32_t mask, void *user)
{
	mr_set_interest(sock_of(conn),
			(mask & BENCH_IN ? MR_IN : 0) | (mask & BENCH_OUT ? MR_OUT : 0),
			(uint64_t)(uintptr_t)user);
}

static void millrace_finish(struct bench_conn *conn)
{
	mr_close(sock_of(conn));
}

static int millrace_wait(struct bench_event *events, unsigned max, int64_t timeout_us)
{
	struct mr_event ev[EVENTS_MAX];
	int n = mr_wait(engine, ev, max < EVENTS_MAX ? max : EVENTS_MAX, timeout_us);

	for (int i = 0; i < n; i++)
		events[i] = (struct bench_event){
			.conn = (struct bench_conn *)ev[i].sock,
			.user = (void *)(uintptr_t)ev[i].user,
			.ready = (ev[i].ready & MR_IN ? BENCH_IN : 0) |
				 (ev[i].ready & MR_OUT ? BENCH_OUT : 0) |
				 (ev[i].ready & MR_ERR ? BENCH_ERR : 0),
		};
	return n;
}

const struct bench_stack bench_millrace = {
	.name = "millrace",
	.open = millrace_open,
	.close = millrace_close,
	.listen = millrace_listen,
	.accept = millrace_accept,
	.connect = millrace_connect,
	.send = millrace_send,
	.recv = millrace_recv,
	.interest = millrace_interest,
	.finish = millrace_finish,
	.wait = millrace_wait,
};
