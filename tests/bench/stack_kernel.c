// SPDX-License-Identifier: BSD-2-Clause
/*
 * stack_kernel.c - the kernel's sockets and epoll behind stack.h. Run under `millrace run` it is the
 * same program on Millrace. A bench_conn is a small object, found by epoll's data.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stack.h"

#define EVENTS_MAX 1024u

struct bench_conn {
	int fd;
	uint32_t mask; /* as epoll knows it */
	bool added;
	void *user;
};

static int epoll_fd;
static int busy_poll_us;

static int kernel_open(const struct bench_options *opt)
{
	busy_poll_us = (int)opt->busy_poll_us;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_fd < 0 ? -errno : 0;
}

static void kernel_close(void)
{
	close(epoll_fd);
}

static void kernel_interest(struct bench_conn *conn, uint32_t mask, void *user)
{
	uint32_t wanted = (mask & BENCH_IN ? EPOLLIN : 0u) | (mask & BENCH_OUT ? EPOLLOUT : 0u);
	struct epoll_event ev = { .events = wanted, .data.ptr = conn };

	conn->user = user;
	if (conn->added && conn->mask == wanted)
		return;
	epoll_ctl(epoll_fd, conn->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, conn->fd, &ev);
	conn->added = true;
	conn->mask = wanted;
}

static int conn_make(int fd, struct bench_conn **out)
{
	struct bench_conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		close(fd);
		return -ENOMEM;
	}
	conn->fd = fd;
	if (busy_poll_us)
		setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &busy_poll_us, sizeof(busy_poll_us));
	*out = conn;
	return 0;
}

static void kernel_finish(struct bench_conn *conn)
{
	close(conn->fd);
	free(conn);
}

static int kernel_listen(uint16_t port, struct bench_conn **out)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(fd, 65535) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	ret = conn_make(fd, out);
	if (!ret)
		kernel_interest(*out, BENCH_IN, NULL);
	return ret;
}

static int kernel_accept(struct bench_conn *listener, struct bench_conn **out)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return conn_make(fd, out);
}

static int kernel_connect(const struct mr_endpoint *peer, struct bench_conn **out)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(peer->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), ret;

	memcpy(&sin.sin_addr, &peer->addr.b[12], sizeof(sin.sin_addr));
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 && errno != EINPROGRESS) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return conn_make(fd, out);
}

static ssize_t kernel_send(struct bench_conn *conn, const void *buf, size_t len)
{
	ssize_t n = send(conn->fd, buf, len, MSG_NOSIGNAL);

	return n < 0 ? -errno : n;
}

static ssize_t kernel_recv(struct bench_conn *conn, void *buf, size_t len)
{
	ssize_t n = recv(conn->fd, buf, len, 0);

	return n < 0 ? -errno : n;
}

static int kernel_wait(struct bench_event *events, unsigned max, int64_t timeout_us)
{
	struct epoll_event ev[EVENTS_MAX];
	int ms = timeout_us < 0 ? -1 : (int)((timeout_us + 999) / 1000);
	int n = epoll_wait(epoll_fd, ev, (int)(max < EVENTS_MAX ? max : EVENTS_MAX), ms);

	for (int i = 0; i < n; i++) {
		struct bench_conn *conn = ev[i].data.ptr;

		events[i] = (struct bench_event){
			.conn = conn,
			.user = conn->user,
			.ready = (ev[i].events & EPOLLIN ? BENCH_IN : 0) |
				 (ev[i].events & EPOLLOUT ? BENCH_OUT : 0) |
				 (ev[i].events & (EPOLLERR | EPOLLHUP) ? BENCH_ERR : 0),
		};
	}
	return n < 0 && errno == EINTR ? 0 : n;
}

const struct bench_stack bench_kernel = {
	.name = "kernel",
	.open = kernel_open,
	.close = kernel_close,
	.listen = kernel_listen,
	.accept = kernel_accept,
	.connect = kernel_connect,
	.send = kernel_send,
	.recv = kernel_recv,
	.interest = kernel_interest,
	.finish = kernel_finish,
	.wait = kernel_wait,
};
