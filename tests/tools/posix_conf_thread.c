// SPDX-License-Identifier: BSD-2-Clause
/*
 * posix_conf_thread.c - cases of posix_conf: what one thread does while another one sleeps in a call, and cancellation.
 */
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include "posix_conf.h"

static void *receive(void *arg)
{
	char buf[16];

	return (void *)recv(*(int *)arg, buf, 16, 0);
}

/* Until the thread sleeps, in what it was made for. */
static void until_asleep(pid_t tid)
{
	char path[64], text[256] = "", *end;
	int asleep = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	while (asleep < 3) {
		FILE *f = fopen(path, "re");

		if (!f || !fgets(text, sizeof(text), f))
			die(path);
		fclose(f);
		end = strrchr(text, ')');
		asleep = end && end[2] == 'S' ? asleep + 1 : 0;
		usleep(SETTLE_US);
	}
}

static volatile pid_t reader;

static void *receive_as_reader(void *arg)
{
	reader = gettid();
	return receive(arg);
}

void case_close_while_reading(void)
{
	struct conn c = active();
	int fd = c.fd;
	pthread_t thread;
	void *got;

	reader = 0;
	pthread_create(&thread, NULL, receive_as_reader, &fd);
	while (!reader)
		usleep(1000);
	until_asleep(reader);
	T(close(fd));
	peer("send %d 3", c.h);
	pthread_join(thread, &got);
	T((long)got);
	T(peer("recv %d -1", c.h));
	peer("close %d", c.h);
}

static void *close_soon(void *arg)
{
	usleep(SETTLE_US);
	close(*(int *)arg);
	return NULL;
}

/* poll() waits on, and says in the end what has become of the number. */
void case_close_while_polling(void)
{
	struct conn c = active();
	struct pollfd pfd = { .fd = c.fd, .events = POLLIN };
	pthread_t thread;

	pthread_create(&thread, NULL, close_soon, &c.fd);
	T(poll(&pfd, 1, 10 * SETTLE_US / 1000));
	SAY("%x", pfd.revents);
	pthread_join(thread, NULL);
	T(peer("recv %d 1", c.h));
	peer("close %d", c.h);
}

void case_shutdown_while_reading(void)
{
	struct conn c = active();
	pthread_t thread;
	void *got;

	pthread_create(&thread, NULL, receive, &c.fd);
	settle();
	T(shutdown(c.fd, SHUT_RD));
	pthread_join(thread, &got);
	T((long)got);
	finish(c);
}

/* ---- Cancellation ---------------------------------------------------------------------------- */

static int cancel_fd, cancel_steps;
static volatile bool cancel_sent;

static void *cancelled_accept(void *arg)
{
	accept(cancel_fd, NULL, NULL);
	return arg;
}

static void *cancelled_connect(void *arg)
{
	char text[64];
	size_t cut = strlen(peer_addr);
	struct sockaddr_storage ss;
	socklen_t len;

	/* A neighbour that is not there. */
	while (peer_addr[cut - 1] != '.' && peer_addr[cut - 1] != ':')
		cut--;
	snprintf(text, sizeof(text), "%.*s99", (int)cut, peer_addr);
	ss = address(text, 7, &len);
	(void)!connect(cancel_fd, (struct sockaddr *)&ss, len); /* it is cancelled in there */
	return arg;
}

static void *cancelled_recv(void *arg)
{
	char buf[10];

	recv(cancel_fd, buf, sizeof(buf), 0);
	return arg;
}

static void *cancelled_send(void *arg)
{
	static char big[1 << 20];

	while (send(cancel_fd, big, sizeof(big), 0) > 0)
		;
	return arg;
}

static void *cancelled_poll(void *arg)
{
	struct pollfd pfd = { .fd = cancel_fd, .events = POLLIN };

	poll(&pfd, 1, -1);
	return arg;
}

static void *cancelled_select(void *arg)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(cancel_fd, &set);
	select(cancel_fd + 1, &set, NULL, NULL, NULL);
	return arg;
}

static void *cancelled_epoll(void *arg)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ep = epoll_create1(0);

	epoll_ctl(ep, EPOLL_CTL_ADD, cancel_fd, &event);
	epoll_wait(ep, &event, 1, -1);
	return arg;
}

/* Pending when the call comes. */
static void *cancelled_before(void *arg)
{
	while (!cancel_sent)
		usleep(1000);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	write(cancel_fd, "x", 1);
	return arg;
}

static void count_step(void *arg)
{
	(void)arg;
	cancel_steps++;
}

static void *(*cancel_call)(void *);

static void *cancel_main(void *arg)
{
	void *ret;

	if (arg)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cleanup_push(count_step, NULL);
	ret = cancel_call(arg);
	pthread_cleanup_pop(0);
	return ret;
}

/* Ends it, and the socket is as it was. */
static void cancel(const char *name, void *(*call)(void *), int fd, bool before)
{
	pthread_t thread;
	void *ret;

	cancel_fd = fd;
	cancel_call = call;
	cancel_steps = 0;
	cancel_sent = false;
	pthread_create(&thread, NULL, cancel_main, before ? &cancel_steps : NULL);
	settle();
	pthread_cancel(thread);
	cancel_sent = true;
	pthread_join(thread, &ret);
	SAY("%s: %s, handlers run: %d", name, ret == PTHREAD_CANCELED ? "cancelled" : "returned",
	    cancel_steps);
}

void case_cancel(void)
{
	struct conn c = active();
	int l = listener(), fd;

	cancel("accept", cancelled_accept, l, false);
	fd = new_socket();
	cancel("connect", cancelled_connect, fd, false);
	T(close(fd));
	cancel("recv", cancelled_recv, c.fd, false);
	cancel("poll", cancelled_poll, c.fd, false);
	cancel("select", cancelled_select, c.fd, false);
	cancel("epoll_wait", cancelled_epoll, c.fd, false);
	cancel("write", cancelled_before, c.fd, true);
	T(send(c.fd, "hello", 5, 0));
	T(peer("recv %d 5", c.h));
	cancel("send", cancelled_send, c.fd, false);
	finish(c);
	/* The listener still is one. */
	c.h = (int)peer("connect %s %d", local_addr, port_of(l));
	T((fd = accept(l, NULL, NULL)) >= 0);
	c.fd = fd;
	finish(c);
	close(l);
}
