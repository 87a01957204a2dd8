// SPDX-License-Identifier: BSD-2-Clause
/*
 * posix_conf_poll.c - cases of posix_conf: poll(), select() and epoll.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix_conf.h"

void case_poll(void)
{
	struct conn c = active(), d = passive();
	int pipe_fds[2];
	struct pollfd fds[5];

	T(pipe(pipe_fds));
	fds[0] = (struct pollfd){ .fd = c.fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = pipe_fds[0], .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = -1, .events = POLLIN, .revents = 7 };
	fds[3] = (struct pollfd){ .fd = d.fd, .events = POLLOUT };
	fds[4] = (struct pollfd){ .fd = 987, .events = POLLOUT };
	T(poll(fds, 5, 0));
	SAY("%x %x %x %x %x", fds[0].revents, fds[1].revents, fds[2].revents, fds[3].revents,
	    fds[4].revents);
	fds[3].events = 0;
	T(poll(fds, 4, 20));
	T(write(pipe_fds[1], "x", 1));
	T(poll(fds, 4, 1000));
	SAY("%x %x %x %x", fds[0].revents, fds[1].revents, fds[2].revents, fds[3].revents);
	peer("send %d 1", c.h);
	settle();
	T(poll(fds, 4, 1000));
	SAY("%x %x", fds[0].revents, fds[1].revents);
	peer("reset %d", d.h);
	settle();
	T(poll(fds, 4, 1000));
	SAY("%x %x %x", fds[0].revents, fds[1].revents, fds[3].revents);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	finish(c);
	close(d.fd);
}

/* Programs give as many descriptors as they could have, with sets that hold fewer. */
void case_select_all(void)
{
	struct conn c = active();
	struct rlimit limit, before;
	struct timeval tv = { 5, 0 };
	struct {
		fd_set set;
		char other[8192];
	} rd;
	int pipe_fds[2], changed = 0;

	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	limit.rlim_cur = mr_min((rlim_t)20000, limit.rlim_max);
	T(setrlimit(RLIMIT_NOFILE, &limit));
	T(pipe(pipe_fds));
	T(write(pipe_fds[1], "x", 1));
	peer("send %d 1", c.h);
	settle();
	for (int i = 0; i < 2; i++) {
		int fd = i ? c.fd : pipe_fds[0];

		memset(&rd, 0, sizeof(rd));
		memset(rd.other, 'A', sizeof(rd.other));
		FD_SET(fd, &rd.set);
		T(select(getdtablesize(), &rd.set, NULL, NULL, &tv));
		T(FD_ISSET(fd, &rd.set) != 0);
		for (size_t at = 0; at < sizeof(rd.other); at++)
			changed += rd.other[at] != 'A';
	}
	T(changed);
	setrlimit(RLIMIT_NOFILE, &before);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	finish(c);
}

/* Signals that come by a call's own mask end it also where it does not wait, unless something is ready. */
void case_poll_signals(void)
{
	struct conn c = active();
	struct pollfd pfd = { .fd = c.fd, .events = POLLIN };
	struct timespec zero = { 0 };
	sigset_t usr1, none;
	fd_set rd;

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	catch (SIGUSR1, 0);
	raise(SIGUSR1);
	T(ppoll(&pfd, 1, &zero, &none));
	T(signals);
	raise(SIGUSR1);
	FD_ZERO(&rd);
	FD_SET(c.fd, &rd);
	T(pselect(c.fd + 1, &rd, NULL, NULL, &zero, &none));
	T(signals);
	raise(SIGUSR1);
	pfd.events = POLLOUT;
	T(ppoll(&pfd, 1, &zero, &none));
	T(signals);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	T(signals);
	signal(SIGUSR1, SIG_DFL);
	finish(c);
}

void case_select(void)
{
	struct conn c = active();
	struct timeval tv = { 0, 20000 };
	fd_set rd, wr, ex;

	FD_ZERO(&rd);
	FD_ZERO(&wr);
	FD_ZERO(&ex);
	FD_SET(c.fd, &rd);
	FD_SET(c.fd, &wr);
	FD_SET(c.fd, &ex);
	T(select(c.fd + 1, &rd, &wr, &ex, &tv));
	SAY("%d %d %d", FD_ISSET(c.fd, &rd), FD_ISSET(c.fd, &wr), FD_ISSET(c.fd, &ex));
	FD_ZERO(&rd);
	FD_SET(c.fd, &rd);
	T(select(c.fd + 1, &rd, NULL, NULL, &tv));
	SAY("%d left %ld", FD_ISSET(c.fd, &rd), tv.tv_usec);
	peer("oob %d 1", c.h);
	settle();
	FD_SET(c.fd, &rd);
	FD_SET(c.fd, &ex);
	tv.tv_sec = 1;
	T(select(c.fd + 1, &rd, NULL, &ex, &tv));
	SAY("%d %d", FD_ISSET(c.fd, &rd), FD_ISSET(c.fd, &ex));
	peer("close %d", c.h);
	settle();
	FD_ZERO(&rd);
	FD_SET(c.fd, &rd);
	T(select(c.fd + 1, &rd, NULL, NULL, NULL));
	tv.tv_sec = -1;
	T(select(c.fd + 1, &rd, NULL, NULL, &tv));
	close(c.fd);
	FD_ZERO(&rd);
	FD_SET(c.fd, &rd);
	T(select(c.fd + 1, &rd, NULL, NULL, NULL));
}

void case_epoll_level(void)
{
	struct conn c = active();
	int ep = epoll_create1(0);
	char buf[4];

	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_DEL, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(ep, 77, c.fd, EPOLLIN));
	T(ep_ctl(c.fd, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(c.fd, EPOLL_CTL_ADD, ep, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, 987, EPOLLIN));
	T(epoll_ctl(ep, EPOLL_CTL_MOD, c.fd, NULL));
	T(epoll_wait(c.fd, no_events, 1, 0));
	T(ep_wait(ep, 20));
	peer("send %d 2", c.h);
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 1000));
	T(read(c.fd, buf, 1));
	T(ep_wait(ep, 1000));
	T(read(c.fd, buf, 1));
	T(ep_wait(ep, 0));
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN | EPOLLOUT));
	T(ep_wait(ep, 0));
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN | EPOLLRDHUP));
	peer("shutdown %d 1", c.h);
	T(ep_wait(ep, 1000));
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, 0));
	T(ep_wait(ep, 20));
	T(shutdown(c.fd, SHUT_WR));
	T(ep_wait(ep, 1000));
	T(ep_ctl(ep, EPOLL_CTL_DEL, c.fd, 0));
	T(ep_wait(ep, 0));
	close(ep);
	finish(c);
}

void case_epoll_edge(void)
{
	struct conn c = passive();
	int ep = epoll_create1(0);
	char buf[64];
	static char big[1 << 20];

	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET));
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 20));
	peer("send %d 2", c.h);
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 20));
	peer("send %d 2", c.h);
	T(ep_wait(ep, 1000));
	T(read(c.fd, buf, 64));
	T(ep_wait(ep, 20));
	T(send(c.fd, "abc", 3, 0));
	T(peer("recv %d 3", c.h));
	settle();
	T(ep_wait(ep, 20));
	nonblocking(c.fd);
	while (send(c.fd, big, sizeof(big), 0) > 0)
		;
	peer("recv %d 150000",
	     c.h); /* how much fits, and when there is room again, is not compared */
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN | EPOLLRDHUP | EPOLLET));
	T(ep_wait(ep, 20));
	peer("send %d 2", c.h);
	settle();
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN | EPOLLRDHUP | EPOLLET));
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 20));
	close(ep);
	finish(c);
}

void case_epoll_oneshot(void)
{
	struct conn c = active();
	int ep = epoll_create1(0), l = listener();
	long h;

	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN | EPOLLONESHOT));
	peer("send %d 2", c.h);
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 20));
	peer("send %d 2", c.h);
	T(ep_wait(ep, 20));
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN | EPOLLONESHOT));
	T(ep_wait(ep, 1000));
	peer("reset %d", c.h);
	settle();
	T(ep_wait(ep, 20));
	close(c.fd);
	T(ep_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLONESHOT));
	h = peer("connect %s %d", local_addr, port_of(l));
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 20));
	T(ep_ctl(ep, EPOLL_CTL_MOD, l, EPOLLIN | EPOLLONESHOT));
	T(ep_wait(ep, 1000));
	peer("close %ld", h);
	close(l);
	close(ep);
}

void case_epoll_exclusive(void)
{
	int ep = epoll_create1(0), l = listener();
	long h;

	T(ep_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT));
	T(ep_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLEXCLUSIVE));
	T(ep_ctl(ep, EPOLL_CTL_MOD, l, EPOLLIN | EPOLLEXCLUSIVE));
	T(ep_ctl(ep, EPOLL_CTL_MOD, l, EPOLLIN));
	h = peer("connect %s %d", local_addr, port_of(l));
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 1000));
	peer("close %ld", h);
	T(close(accept(l, NULL, NULL)));
	T(ep_wait(ep, 20));
	close(l);
	close(ep);
}

void case_epoll_mixed(void)
{
	struct conn c = active(), d = passive();
	int ep = epoll_create1(0), ev = eventfd(0, EFD_NONBLOCK);
	struct epoll_event events[8];
	uint64_t one = 1;

	T(ep_ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, d.fd, EPOLLIN));
	T(epoll_wait(ep, events, 8, 0));
	T(epoll_wait(ep, events, 8, 20));
	T(write(ev, &one, 8));
	T(epoll_wait(ep, events, 8, 1000));
	peer("send %d 2", c.h);
	peer("send %d 2", d.h);
	settle();
	T(epoll_wait(ep, events, 8, 1000));
	T(epoll_wait(ep, events, 1, 1000));
	T(epoll_wait(ep, events, 0, 1000));
	T(epoll_wait(ep, events, minus_one, 1000));
	T(read(ev, &one, 8));
	T(epoll_wait(ep, events, 8, 1000));
	close(c.fd);
	T(epoll_wait(ep, events, 8, 1000));
	peer("close %d", c.h);
	finish(d);
	T(epoll_wait(ep, events, 8, 0));
	close(ev);
	close(ep);
}

/* The events cannot be written, though one is there: nobody waits for ever, and the stack goes on. */
void case_epoll_events_nowhere(void)
{
	struct conn c = passive();
	int ep = epoll_create1(0), ev = eventfd(1, EFD_NONBLOCK);
	struct epoll_event event,
		*nowhere = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN));
	T(epoll_wait(ep, nowhere, 1, 0));
	T(epoll_wait(ep, nowhere, 1, 1000));
	T(epoll_wait(ep, nowhere, 1, -1));
	T(epoll_wait(ep, &event, 1, 1000));
	munmap(nowhere, 4096);
	finish(c);
	close(ev);
	close(ep);
}

void case_epoll_nested(void)
{
	struct conn c = active();
	int inner = epoll_create1(0), outer = epoll_create1(0);
	struct pollfd pfd = { .fd = inner, .events = POLLIN };
	char buf[4];

	T(ep_ctl(outer, EPOLL_CTL_ADD, inner, EPOLLIN));
	T(ep_ctl(inner, EPOLL_CTL_ADD, outer, EPOLLIN));
	T(ep_ctl(inner, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(poll(&pfd, 1, 20));
	T(ep_wait(outer, 20));
	peer("send %d 2", c.h);
	T(ep_wait(outer, 1000));
	T(poll(&pfd, 1, 1000));
	T(ep_wait(inner, 1000));
	T(read(c.fd, buf, 4));
	T(ep_wait(outer, 20));
	T(poll(&pfd, 1, 20));
	close(inner);
	close(outer);
	finish(c);
}

void case_epoll_duplicate(void)
{
	struct conn c = active();
	int ep = epoll_create1(0), d = dup(c.fd);

	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, d, EPOLLIN));
	close(c.fd);
	peer("send %d 2", c.h);
	settle();
	T(ep_wait(ep, 1000));
	T(ep_ctl(ep, EPOLL_CTL_DEL, d, 0));
	T(ep_wait(ep, 1000)); /* the first registration lives on */
	T(ep_ctl(ep, EPOLL_CTL_DEL, c.fd, 0));
	close(d);
	T(ep_wait(ep, 20));
	close(ep);
	peer("close %d", c.h);
}

/* The same of the instance. */
void case_epoll_instance_duplicate(void)
{
	struct conn c = active();
	int ep = epoll_create1(0), d = dup(ep);

	T(ep_ctl(d, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	peer("send %d 2", c.h);
	T(ep_wait(d, 5 * SECOND_MS));
	T(ep_wait(ep, 5 * SECOND_MS));
	close(d);
	T(ep_wait(ep, 0));
	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	close(ep);
	finish(c);
}

/* Where there is room for one event only, each has its turn, whosever it is. */
void case_epoll_turns(void)
{
	struct conn c = active(), d = active();
	int ep = epoll_create1(0), ev = eventfd(1, EFD_NONBLOCK);
	int files[] = { ev, c.fd, d.fd }, seen[3] = { 0 };
	struct epoll_event event;

	for (int i = 0; i < 3; i++)
		ep_ctl(ep, EPOLL_CTL_ADD, files[i], EPOLLIN);
	peer("send %d 2", c.h);
	peer("send %d 2", d.h);
	settle();
	for (int n = 0; n < 12; n++) {
		T(epoll_wait(ep, &event, 1, 0));
		for (int i = 0; i < 3; i++)
			seen[i] += event.data.fd == files[i];
	}
	T(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
	close(ev);
	close(ep);
	finish(c);
	finish(d);
}

/* An instance is a file, but no socket, nor one to read. */
void case_epoll_no_socket(void)
{
	struct conn c = active();
	int ep = epoll_create1(0);
	char buf[4];
	struct iovec iov = { buf, sizeof(buf) };

	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(read(ep, buf, sizeof(buf)));
	T(readv(ep, &iov, 1));
	T(write(ep, buf, sizeof(buf)));
	T(writev(ep, &iov, 1));
	T(recv(ep, buf, sizeof(buf), 0));
	T(send(ep, buf, sizeof(buf), 0));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, ep, no_events));
	close(ep);
	finish(c);
}

void case_epoll_before(void)
{
	int fd = new_socket(), l = (int)peer("listen %s", peer_addr), ep = epoll_create1(0);
	int s = new_socket();
	long h;

	nonblocking(fd);
	T(ep_ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLET));
	T(ep_wait(ep, 20) & (EPOLLHUP | EPOLLOUT));
	T(connect_to(fd, (int)peer("port %d", l)));
	T(ep_wait(ep, 1000));
	h = peer("accept %d", l);
	peer("send %ld 1", h);
	T(ep_wait(ep, 1000));
	T(ep_ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN));
	T(ep_wait(ep, 1000));
	close(fd);
	peer("close %ld", h);
	peer("close %d", l);
	T(bind_any(s, 0));
	T(ep_ctl(ep, EPOLL_CTL_ADD, s, EPOLLIN));
	T(listen(s, 5));
	T(ep_wait(ep, 20));
	h = peer("connect %s %d", local_addr, port_of(s));
	T(ep_wait(ep, 1000));
	peer("close %ld", h);
	close(s);
	close(ep);
}

struct sleeper {
	int ep, got;
};

static void *sleep_in_epoll(void *arg)
{
	struct sleeper *s = arg;

	s->got = ep_wait(s->ep, 5 * SECOND_MS);
	return NULL;
}

/* A thread sleeps already when the first socket comes to its instance. */
void case_epoll_late(void)
{
	struct sleeper s = { .ep = epoll_create1(0) };
	struct conn c = active();
	pthread_t thread;

	pthread_create(&thread, NULL, sleep_in_epoll, &s);
	settle();
	T(ep_ctl(s.ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	peer("send %d 1", c.h);
	pthread_join(thread, NULL);
	T(s.got);
	T(ep_wait(s.ep, 1000));
	close(s.ep);
	finish(c);
}

static void *sleep_exactly(void *arg)
{
	struct timespec limit = { .tv_sec = 5 };
	struct sleeper *s = arg;
	struct epoll_event e;

	s->got = epoll_pwait2(s->ep, &e, 1, &limit, NULL);
	return NULL;
}

/* The same where the time limit is one of nanoseconds; and those that are none. */
void case_epoll_late_exact(void)
{
	struct sleeper s = { .ep = epoll_create1(0) };
	struct conn c = active();
	struct timespec limit = { 0, MR_NS_PER_S };
	struct epoll_event e;
	pthread_t thread;

	for (int i = 0; i < 2; i++) {
		limit = (struct timespec){ 0, MR_NS_PER_S };
		T(epoll_pwait2(s.ep, &e, 1, &limit, NULL));
		limit = (struct timespec){ -1, 0 };
		T(epoll_pwait2(s.ep, &e, 1, &limit, NULL));
		limit = (struct timespec){ 0, 1 };
		T(epoll_pwait2(s.ep, &e, 1, &limit, NULL));
		if (i)
			break;
		pthread_create(&thread, NULL, sleep_exactly, &s);
		settle();
		T(ep_ctl(s.ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
		peer("send %d 1", c.h);
		pthread_join(thread, NULL);
		T(s.got);
	}
	close(s.ep);
	finish(c);
}

/* The same, when the first file of the kernel's comes to one that has sockets of ours: a listener has a part there,
 * too. */
void case_epoll_late_kernel(void)
{
	for (int i = 0; i < 2; i++) {
		struct sleeper s = { .ep = epoll_create1(0) };
		int other = i ? listener() : eventfd(0, EFD_NONBLOCK);
		struct conn c = active();
		pthread_t thread;
		uint64_t one = 1;
		long h = 0;

		ep_ctl(s.ep, EPOLL_CTL_ADD, c.fd, EPOLLIN);
		pthread_create(&thread, NULL, sleep_in_epoll, &s);
		settle();
		T(ep_ctl(s.ep, EPOLL_CTL_ADD, other, EPOLLIN));
		settle();
		if (i)
			h = peer("connect %s %d", local_addr, port_of(other));
		else
			T(write(other, &one, sizeof(one)));
		pthread_join(thread, NULL);
		T(s.got);
		if (i)
			peer("close %ld", h);
		close(other);
		close(s.ep);
		finish(c);
	}
}
