// SPDX-License-Identifier: BSD-2-Clause
/*
 * row.c - connections in a row, each for one request and its answer, as fast as they go. For
 * tests/e2e/test_run_row.py.
 *
 *	row server ADDRESS PORT [poll] [first]
 *	row client ADDRESS PORT [poll] [first] N
 *
 * poll: on non-blocking sockets. first: this side closes when it has the request, or the answer; the other side
 * waits for that. The server says "ready" and ends when it is killed; the client says how many it has made.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool nonblocking, first;

static const char request[] = "request", answer[] = "answer";

/* After EAGAIN: wait, and say that it should be tried again. */
static bool again(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	if (!nonblocking || (errno != EAGAIN && errno != EINPROGRESS))
		return false;
	if (poll(&pfd, 1, -1) != 1)
		err(1, "poll");
	return true;
}

static void put(int fd, const char *text, size_t len)
{
	ssize_t n;

	do
		n = send(fd, text, len, MSG_NOSIGNAL);
	while (n < 0 && again(fd, POLLOUT));
	if (n != (ssize_t)len)
		err(1, "send: %zd", n);
}

/* False: the end has come instead. */
static bool get(int fd, const char *text, size_t len)
{
	char buf[32];
	ssize_t n;

	do
		n = recv(fd, buf, sizeof(buf), 0);
	while (n < 0 && again(fd, POLLIN));
	if (n && (n != (ssize_t)len || memcmp(buf, text, len) != 0))
		err(1, "recv: %zd", n);
	return n;
}

static void end(int fd)
{
	if (!first && get(fd, "", 0))
		errx(1, "more than was asked for");
	if (close(fd))
		err(1, "close");
}

static int make_socket(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | (nonblocking ? SOCK_NONBLOCK : 0), 0);

	if (fd < 0)
		err(1, "socket");
	return fd;
}

static _Noreturn void serve(const struct addrinfo *ai)
{
	int listener = make_socket(ai), fd;

	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
	    bind(listener, ai->ai_addr, ai->ai_addrlen) || listen(listener, 128))
		err(1, "listen");
	puts("ready");
	fflush(stdout);
	for (;;) {
		do
			fd = accept4(listener, NULL, NULL, nonblocking ? SOCK_NONBLOCK : 0);
		while (fd < 0 && again(listener, POLLIN));
		if (fd < 0)
			err(1, "accept");
		if (get(fd, request, strlen(request))) { /* else it wanted to see if we are there */
			put(fd, answer, strlen(answer));
			end(fd);
		} else {
			close(fd);
		}
	}
}

static void call(const struct addrinfo *ai)
{
	int fd = make_socket(ai), error = 0;
	socklen_t len = sizeof(error);

	if (connect(fd, ai->ai_addr, ai->ai_addrlen) &&
	    (!again(fd, POLLOUT) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) || error))
		err(1, "connect: %d", error);
	put(fd, request, strlen(request));
	if (!get(fd, answer, strlen(answer)))
		errx(1, "no answer");
	end(fd);
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *ai;
	int i = 4;

	if (argc < 4 || getaddrinfo(argv[2], argv[3], &hints, &ai))
		errx(2, "usage: see row.c");
	for (; i < argc; i++) {
		nonblocking |= !strcmp(argv[i], "poll");
		first |= !strcmp(argv[i], "first");
	}
	if (!strcmp(argv[1], "server"))
		serve(ai);
	for (i = 0; i < strtol(argv[argc - 1], NULL, 10); i++)
		call(ai);
	printf("%d\n", i);
	freeaddrinfo(ai);
	return 0;
}
