// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_poll.c - poll, ppoll, select, pselect.
 * Called by   the program.
 *
 * A set may have files of both kinds. Those of the stack are examined under the lock; the kernel's are polled by the
 * same sleep. A listener, and an epoll instance, are both at once.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix/confine.h"
#include "posix/posix.h"
#include "posix/process.h"

#define ON_STACK 64u /* sets up to this size are on the stack */

struct member {
	struct mr_file *file; /* NULL: only the kernel's */
	struct mr_sleeper *link;
};

struct set {
	struct pollfd *fds;    /* the program's */
	struct pollfd *kernel; /* a copy, for the kernel's part */
	struct mr_waiter *waiter;
	struct member *members; /* one for each */
	unsigned n;
	unsigned nkernel; /* how many of them are polled in the kernel */
};

static bool any_ours(const struct pollfd *fds, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++)
		if (fd_ours(fds[i].fd))
			return true;
	return false;
}

/* The events of poll() have the values of epoll's. As in Linux, the descriptor is looked up each time, because
 * another thread may have closed it. */
static short look(const struct set *s, unsigned i)
{
	uint32_t bits = file_ready(s->members[i].file) & 0xffff;

	if (mr_unlikely(!px_table[s->fds[i].fd]) && REAL(fcntl64)(s->fds[i].fd, F_GETFD) < 0)
		return POLLNVAL;
	return (short)(bits & ((uint16_t)s->fds[i].events | POLLERR | POLLHUP));
}

/* Set revents of the stack's files. Returns how many are ready now. */
static unsigned look_all(const struct set *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++) {
		s->fds[i].revents = s->members[i].file ? look(s, i) : 0;
		n += s->fds[i].revents != 0;
	}
	return n;
}

static bool also_kernels(const struct mr_file *f)
{
	return f->kind == FILE_EPOLL || f->sock->kind == MR_SOCK_LISTENER;
}

static bool member_gone(const struct set *s, const struct member *m)
{
	return !sleeper_is(m->link, s->waiter, m);
}

static bool set_member(struct set *s, struct member *m, short events)
{
	m->link = sleeper_new(px_share, m->file, (uint16_t)events, s->waiter, m);
	return m->link;
}

/* With the lock held. */
static int set_open(struct set *s)
{
	const struct mr_posix *px = mr_share_root(px_share);

	for (unsigned i = 0; i < s->n; i++) {
		struct member *m = &s->members[i];

		s->kernel[i] = s->fds[i];
		*m = (struct member){ 0 };
		if (s->fds[i].fd < 0 || !fd_ours(s->fds[i].fd)) {
			s->nkernel += s->fds[i].fd >= 0;
			continue;
		}
		m->file = file_of_entry(px, px_table[s->fds[i].fd]);
		if (!set_member(s, m, s->fds[i].events))
			return -ENOMEM;
		if (also_kernels(m->file))
			s->nkernel++;
		else
			s->kernel[i].fd = -1;
	}
	return 0;
}

static void set_close(const struct set *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->members[i].link && !member_gone(s, &s->members[i]))
			sleeper_free(px_share, s->members[i].link);
}

/* Has a signal handler closed the file of a member? */
static bool any_gone(const struct set *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->members[i].link && member_gone(s, &s->members[i]))
			return true;
	return false;
}

static void set_free(struct set *s)
{
	if (s->n > ON_STACK) {
		free(s->kernel);
		free(s->members);
	}
}

/* Add the kernel's results to those of the stack. Returns how many are ready in all. */
static int merge(const struct set *s)
{
	int n = 0;

	for (unsigned i = 0; i < s->n; i++) {
		if (s->kernel[i].fd >= 0)
			s->fds[i].revents |= s->kernel[i].revents;
		n += s->fds[i].revents != 0;
	}
	return n;
}

/* The thread is being cancelled, and has the lock. */
static void set_cancelled(void *arg)
{
	set_close(arg);
	mr_share_unlock(px_share);
	set_free(arg);
}

/* In the child of a fork: what it has copies of belongs to the parent. */
static int set_renew(struct set *s)
{
	s->waiter = mr_share_waiter_made(px_share);
	for (unsigned i = 0; i < s->n; i++)
		s->members[i].link = NULL;
	for (unsigned i = 0; i < s->n; i++)
		if (s->members[i].file &&
		    (!s->waiter || !set_member(s, &s->members[i], s->fds[i].events)))
			return -ENOMEM;
	return 0;
}

static int set_sleep(struct set *s, uint64_t deadline, const sigset_t *mask)
{
	int ret, err = 0;

	pthread_cleanup_push(set_cancelled, s);
	ret = mr_share_wait(px_share, s->waiter, s->nkernel ? s->kernel : NULL,
			    s->nkernel ? s->n : 0, deadline, mask);
	pthread_cleanup_pop(0);
	if (!wait_is_mine(s->waiter))
		err = set_renew(s);
	else if (mr_unlikely(any_gone(s)))
		err = -EINTR;
	return err ?: ret;
}

/* With the lock held. */
static int set_wait(struct set *s, uint64_t deadline, const sigset_t *mask)
{
	for (;;) {
		unsigned ours;
		int ret;

		mr_share_wait_begin(px_share, s->waiter);
		ours = look_all(s);
		if (ours && !s->nkernel)
			return (int)ours;
		ret = set_sleep(s, ours ? 0 : deadline, mask);
		if (ret == -EINTR)
			return ours ? (int)ours : ret;
		ours = look_all(s);
		if (ret <= 0)
			for (unsigned i = 0; i < s->n; i++)
				s->kernel[i].revents = 0;
		if (ours || ret > 0 || ret == -ETIMEDOUT)
			return merge(s);
		if (ret < 0)
			return ret;
		for (unsigned i = 0; i < s->n; i++)
			if (s->members[i].file)
				file_want(s->members[i].file, (uint16_t)s->fds[i].events);
	}
}

/* As in Linux, a signal that the call's own mask permits ends it, even if it does not sleep. */
static int let_signals_in(const sigset_t *mask)
{
	return px_confined() || REAL(ppoll)(NULL, 0, &(struct timespec){ 0 }, mask) >= 0 ? 0 :
											   -errno;
}

static int poll_mixed(struct pollfd *fds, unsigned n, uint64_t deadline, const sigset_t *mask)
{
	struct pollfd few[ON_STACK];
	struct member few_members[ON_STACK];
	struct set s = { .fds = fds, .kernel = few, .members = few_members, .n = n };
	int ret = -ENOMEM;

	wait_point();
	if (n > ON_STACK) {
		s.kernel = malloc(n * sizeof(*s.kernel));
		s.members = calloc(n, sizeof(*s.members));
	}
	if (!s.kernel || !s.members)
		goto out;
	s.waiter = wait_mine();
	if (!s.waiter)
		goto out;
	memset(s.members, 0, n * sizeof(*s.members));
	mr_share_lock(px_share, NULL);
	ret = set_open(&s);
	if (!ret)
		ret = set_wait(&s, deadline, mask);
	set_close(&s);
	mr_share_unlock(px_share);
	if (!ret && mask && !deadline)
		ret = let_signals_in(mask);
out:
	set_free(&s);
	return ret;
}

PUBLIC int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (!px_table || !any_ours(fds, n))
		return REAL(poll)(fds, n, timeout);
	return (int)px_result(poll_mixed(fds, (unsigned)n, deadline_ms(timeout), NULL));
}

PUBLIC int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	if (!px_table || !any_ours(fds, n))
		return REAL(ppoll)(fds, n, timeout, mask);
	if (timeout && !timespec_valid(timeout))
		return (int)px_result(-EINVAL);
	return (int)px_result(poll_mixed(fds, (unsigned)n, deadline_timespec(timeout), mask));
}

/* ---- select ---------------------------------------------------------------------------------- */

#define SELECT_IN  (POLLIN | POLLRDNORM | POLLHUP | POLLERR)
#define SELECT_OUT (POLLOUT | POLLWRNORM | POLLERR)

/* A set may be larger than FD_SETSIZE, if the program has made it so. */
static bool in_set(const fd_set *set, int fd)
{
	return set && ((const unsigned long *)set)[fd / 64] & (1ul << (fd % 64));
}

static void clear_set(fd_set *set, int n)
{
	if (set)
		memset(set, 0, ((size_t)n + 63) / 64 * 8);
}

static void put_in_set(fd_set *set, int fd)
{
	((unsigned long *)set)[fd / 64] |= 1ul << (fd % 64);
}

/* Linux examines no more of the sets than the process has descriptors, and programs pass the largest possible number
 * with smaller sets. The stack's own descriptors have the highest numbers, and must not count. */
static int without_end(int n)
{
	int before = errno;

	while (n > FD_SETSIZE && px_table &&
	       (REAL(fcntl64)(n - 1, F_GETFD) < 0 || process_owns_fd(n - 1)))
		n--;
	errno = before;
	return n;
}

static bool select_ours(int n, const fd_set *rd, const fd_set *wr, const fd_set *ex)
{
	for (int fd = 0; fd < n; fd++)
		if (fd_ours(fd) && (in_set(rd, fd) || in_set(wr, fd) || in_set(ex, fd)))
			return true;
	return false;
}

static unsigned from_sets(int n, const fd_set *rd, const fd_set *wr, const fd_set *ex,
			  struct pollfd *fds)
{
	unsigned count = 0;

	for (int fd = 0; fd < n; fd++) {
		short events = 0;

		if (in_set(rd, fd))
			events |= POLLIN | POLLRDNORM;
		if (in_set(wr, fd))
			events |= POLLOUT | POLLWRNORM;
		if (in_set(ex, fd))
			events |= POLLPRI;
		if (events)
			fds[count++] = (struct pollfd){ .fd = fd, .events = events };
	}
	return count;
}

/* POLLHUP and POLLERR count as readable and writable. -EBADF as in select(). */
static int to_sets(const struct pollfd *fds, unsigned count, int n, fd_set *rd, fd_set *wr,
		   fd_set *ex)
{
	int bits = 0;

	for (unsigned i = 0; i < count; i++)
		if (fds[i].revents & POLLNVAL)
			return -EBADF;
	clear_set(rd, n);
	clear_set(wr, n);
	clear_set(ex, n);
	for (unsigned i = 0; i < count; i++) {
		if (fds[i].events & POLLIN && fds[i].revents & SELECT_IN) {
			put_in_set(rd, fds[i].fd);
			bits++;
		}
		if (fds[i].events & POLLOUT && fds[i].revents & SELECT_OUT) {
			put_in_set(wr, fds[i].fd);
			bits++;
		}
		if (fds[i].events & POLLPRI && fds[i].revents & POLLPRI) {
			put_in_set(ex, fds[i].fd);
			bits++;
		}
	}
	return bits;
}

static int select_polled(struct pollfd *fds, unsigned count, int n, fd_set *rd, fd_set *wr,
			 fd_set *ex, uint64_t deadline, const sigset_t *mask)
{
	for (;;) {
		int ret = poll_mixed(fds, count, deadline, mask);

		if (ret >= 0)
			ret = to_sets(fds, count, n, rd, wr, ex);
		/* A hang-up that was not asked for: select() would go on sleeping. */
		if (ret || !deadline_left(deadline))
			return ret;
		REAL(poll)(NULL, 0, 1);
	}
}

static int select_mixed(int n, fd_set *rd, fd_set *wr, fd_set *ex, uint64_t deadline,
			const sigset_t *mask)
{
	struct pollfd *fds = malloc((size_t)n * sizeof(*fds));
	int ret;

	if (!fds)
		return -ENOMEM;
	pthread_cleanup_push(free, fds);
	ret = select_polled(fds, from_sets(n, rd, wr, ex, fds), n, rd, wr, ex, deadline, mask);
	pthread_cleanup_pop(1);
	return ret;
}

PUBLIC int select(int n, fd_set *rd, fd_set *wr, fd_set *ex, struct timeval *timeout)
{
	uint64_t deadline = FOREVER;
	struct timespec ts;
	int ret;

	n = without_end(n);
	if (!px_table || n <= 0 || !select_ours(n, rd, wr, ex))
		return REAL(select)(n, rd, wr, ex, timeout);
	if (timeout) {
		if (timeout->tv_sec < 0 || timeout->tv_usec < 0)
			return (int)px_result(-EINVAL);
		ts.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
		ts.tv_nsec = timeout->tv_usec % 1000000 * 1000;
		deadline = deadline_timespec(&ts);
	}
	ret = (int)px_result(select_mixed(n, rd, wr, ex, deadline, NULL));
	if (timeout && deadline) { /* Linux writes back the time that is left */
		uint64_t left = deadline_left(deadline);

		timeout->tv_sec = (time_t)(left / MR_NS_PER_S);
		timeout->tv_usec = (suseconds_t)(left % MR_NS_PER_S / MR_NS_PER_US);
	}
	return ret;
}

PUBLIC int pselect(int n, fd_set *rd, fd_set *wr, fd_set *ex, const struct timespec *timeout,
		   const sigset_t *mask)
{
	n = without_end(n);
	if (!px_table || n <= 0 || !select_ours(n, rd, wr, ex))
		return REAL(pselect)(n, rd, wr, ex, timeout, mask);
	if (timeout && !timespec_valid(timeout))
		return (int)px_result(-EINVAL);
	return (int)px_result(select_mixed(n, rd, wr, ex, deadline_timespec(timeout), mask));
}

/* ---- What _FORTIFY_SOURCE makes of them ------------------------------------------------------ */

void __chk_fail(void) __attribute__((noreturn));
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
		size_t room);

PUBLIC int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room)
{
	if (room / sizeof(*fds) < n)
		__chk_fail();
	return poll(fds, n, timeout);
}

PUBLIC int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		       const sigset_t *mask, size_t room)
{
	if (room / sizeof(*fds) < n)
		__chk_fail();
	return ppoll(fds, n, timeout, mask);
}
