// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_epoll.c - epoll_create, epoll_ctl, epoll_wait and variants.
 * Owns        which members of an instance are the kernel's and which are the stack's.
 * Called by   the program.
 *
 * The descriptor is the kernel's instance, which has the kernel's files as members. Files of the stack are members of
 * a second instance, in the arena, which is made when the first of them is added. A listener is a member of both, and
 * so is an instance within an instance: the kernel reports its part.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix/posix.h"

#define EVENTS_MAX (INT32_MAX / (int)sizeof(struct epoll_event)) /* Linux's EP_MAX_EVENTS */

/* 1 + how many kernel files were added to an instance that this process has made; 0: unknown. Closed files are not
 * subtracted, so this is an upper bound. */
static uint32_t kernel_members[MR_SHARE_FDS_MAX];

static bool has_kernel_members(int epfd)
{
	return __atomic_load_n(&kernel_members[epfd], __ATOMIC_RELAXED) != 1;
}

static int created(int epfd)
{
	if ((uint32_t)epfd < MR_SHARE_FDS_MAX && px_offered()) {
		__atomic_store_n(&kernel_members[epfd], 1, __ATOMIC_RELAXED);
		early_socket(epfd);
	}
	return epfd;
}

/* True: it is the first one, which threads that sleep in the instance do not know of. */
static bool count_member(int epfd, int by)
{
	if ((uint32_t)epfd >= MR_SHARE_FDS_MAX ||
	    !__atomic_load_n(&kernel_members[epfd], __ATOMIC_RELAXED))
		return false;
	return __atomic_add_fetch(&kernel_members[epfd], (uint32_t)by, __ATOMIC_RELAXED) == 2 &&
	       by > 0;
}

PUBLIC int epoll_create(int size)
{
	return created(REAL(epoll_create)(size));
}

PUBLIC int epoll_create1(int flags)
{
	return created(REAL(epoll_create1)(flags));
}

/* ---- Threads that sleep in the kernel's instance already --------------------------------------- */

#define CALL_IN 0x6d696c6c72616365ull /* epoll_data of our event, "millrace" */

static uint16_t sleepers[MR_SHARE_FDS_MAX]; /* threads in the kernel's epoll_wait() */
static int call_fd = -1;		    /* always readable while it is needed */

/* The first file of the stack is added to the instance: wake the threads that sleep in the kernel's epoll_wait(), so
 * that they wait for both. An event that is not consumed wakes one after the other. With the lock held. */
static void call_in(int epfd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = CALL_IN };

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&sleepers[epfd], __ATOMIC_RELAXED))
		return;
	if (call_fd < 0)
		call_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	REAL(epoll_ctl)(epfd, EPOLL_CTL_ADD, call_fd, &event);
}

/* Remove our event from n events. */
static int called_in(struct epoll_event *events, int n, bool *called)
{
	for (int i = 0; i < n; i++) {
		if (events[i].data.u64 != CALL_IN)
			continue;
		*called = true;
		events[i] = events[n - 1];
		return n - 1;
	}
	return n;
}

/* A thread has left the kernel's epoll_wait(). */
static void leave_kernel(void *arg)
{
	int epfd = (int)(intptr_t)arg;

	if (!__atomic_sub_fetch(&sleepers[epfd], 1, __ATOMIC_SEQ_CST) && fd_ours(epfd))
		REAL(epoll_ctl)(epfd, EPOLL_CTL_DEL, call_fd, NULL);
}

/* The timeout of a call: in milliseconds, or in nanoseconds, which not every kernel supports. */
struct limit {
	uint64_t deadline;
	bool exact;
};

/* A cancellation point. */
static int ask_kernel(int epfd, struct epoll_event *events, int max, struct limit limit,
		      const sigset_t *mask)
{
	uint64_t left = deadline_left(limit.deadline);
	uint64_t ms = mr_min((left + MR_NS_PER_MS - 1) / MR_NS_PER_MS, (uint64_t)INT32_MAX);
	struct timespec ts = { (time_t)(left / MR_NS_PER_S), (long)(left % MR_NS_PER_S) };

	if (limit.deadline == FOREVER)
		return REAL(epoll_pwait)(epfd, events, max, -1, mask);
	if (limit.exact)
		return REAL(epoll_pwait2)(epfd, events, max, &ts, mask);
	return REAL(epoll_pwait)(epfd, events, max, (int)ms, mask);
}

static int sleep_kernel(int epfd, struct epoll_event *events, int max, struct limit limit,
			const sigset_t *mask)
{
	int ret;

	__atomic_fetch_add(&sleepers[epfd], 1, __ATOMIC_SEQ_CST);
	pthread_cleanup_push(leave_kernel, (void *)(intptr_t)epfd);
	ret = fd_ours(epfd) ? 0 : ask_kernel(epfd, events, max, limit, mask);
	if (ret < 0)
		ret = -errno;
	pthread_cleanup_pop(1);
	return ret;
}

static int wait_kernel(int epfd, struct epoll_event *events, int max, struct limit limit,
		       const sigset_t *mask, bool *called)
{
	int n = sleep_kernel(epfd, events, max, limit, mask);

	*called = fd_ours(epfd);
	return n < 0 ? n : called_in(events, n, called);
}

/* Threads that sleep only for files of the stack look again. With the lock held. */
static void wake_all(const struct mr_file *ep)
{
	const struct mr_list *pos;

	mr_list_for_each (pos, &ep->waits)
		mr_share_wake(px_share, mr_list_entry(pos, struct mr_sleeper, node)->waiter);
}

/* ---- epoll_ctl ------------------------------------------------------------------------------- */

struct mr_file *ep_of_fd(int epfd)
{
	struct mr_file *ep;

	if ((uint32_t)epfd >= MR_SHARE_FDS_MAX)
		return NULL;
	if (px_table[epfd])
		return file_of_entry(mr_share_root(px_share), px_table[epfd]);
	ep = file_new(mr_share_root(px_share), FILE_EPOLL);
	if (!ep)
		return NULL;
	table_set(px_share, mr_share_proc(px_share), epfd, ep);
	early_accelerated(epfd, ep);
	call_in(epfd);
	return ep;
}

static int check_exclusive(int op, const struct epoll_event *event, const struct mr_file *file)
{
	const uint32_t allowed =
		EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;

	if (op == EPOLL_CTL_DEL || !(event->events & EPOLLEXCLUSIVE))
		return 0;
	return op == EPOLL_CTL_MOD || event->events & ~allowed || file->kind == FILE_EPOLL ?
		       -EINVAL :
		       0;
}

/* The stack's part of epoll_ctl(). With the lock held. */
static int ctl_ours(int epfd, int op, int fd, struct mr_file *file, const struct epoll_event *event)
{
	struct mr_file *ep = ep_of_fd(epfd);
	struct mr_epitem *item = ep ? ep_find(ep, file, fd) : NULL;
	int err;

	if (!ep)
		return -ENOMEM;
	if (ep->kind != FILE_EPOLL)
		return -EINVAL;
	err = check_exclusive(op, event, file);
	if (err)
		return err;
	switch (op) {
	case EPOLL_CTL_ADD:
		return item ? -EEXIST : ep_add(px_share, ep, file, fd, event);
	case EPOLL_CTL_MOD:
		if (!item)
			return -ENOENT;
		if (item->events & EPOLLEXCLUSIVE)
			return -EINVAL;
		ep_modify(px_share, item, event);
		return 0;
	case EPOLL_CTL_DEL:
		if (!item)
			return -ENOENT;
		ep_remove(px_share, item);
		return 0;
	default:
		return -EINVAL;
	}
}

/* Ask the kernel whether this is an epoll instance. Returns 0 or a negative errno. */
static int check_instance(int epfd, int fd)
{
	struct epoll_event none = { 0 };

	if (epfd == fd)
		return -EINVAL;
	if (fd_known(epfd))
		return 0;
	if (REAL(epoll_ctl)(epfd, EPOLL_CTL_MOD, fd, &none) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static int ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	struct mr_file *file;
	bool both, first = false;
	int ret;

	if (!event && op != EPOLL_CTL_DEL)
		return -EFAULT;
	ret = check_instance(epfd, fd);
	if (ret)
		return ret;
	file = fd_get_any(fd);
	if (!file)
		return -EBADF;
	both = file->kind == FILE_EPOLL || file->sock->kind == MR_SOCK_LISTENER;
	/* The kernel's part first, if it may refuse (loops of instances). */
	if (both && REAL(epoll_ctl)(epfd, op, fd, event) < 0 && op == EPOLL_CTL_ADD)
		ret = -errno;
	if (both && !ret)
		first = count_member(epfd, op == EPOLL_CTL_ADD ? 1 : op == EPOLL_CTL_DEL ? -1 : 0);
	ret = ret ?: ctl_ours(epfd, op, fd, file, event);
	if (first && px_table[epfd])
		wake_all(file_of_entry(mr_share_root(px_share), px_table[epfd]));
	fd_done();
	return ret;
}

PUBLIC int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	struct mr_file *ep;
	int ret;

	if (fd_ours(fd) && (uint32_t)epfd < MR_SHARE_FDS_MAX)
		return (int)px_result(ctl(epfd, op, fd, event));
	ret = REAL(epoll_ctl)(epfd, op, fd, event);
	if (ret)
		return ret;
	if (op != EPOLL_CTL_MOD && count_member(epfd, op == EPOLL_CTL_ADD ? 1 : -1)) {
		ep = fd_ours(epfd) ? fd_get_any(epfd) : NULL;
		if (ep) {
			wake_all(ep);
			fd_done();
		}
	}
	if (early_known(fd))
		early_epoll(epfd, op, fd, event);
	return 0;
}

/* ---- epoll_wait ------------------------------------------------------------------------------ */

/* A listener's one-shot registration that the kernel has reported is over for the stack's part, too, and the other
 * way round. Both parts have the same epoll_data. */
static void disarm(struct mr_file *ep, int epfd, const struct epoll_event *events, int n,
		   bool by_kernel)
{
	struct mr_list *pos;

	mr_list_for_each (pos, &ep->watched) {
		struct mr_epitem *item = mr_list_entry(pos, struct mr_epitem, ep_node);

		if (!(item->events & EPOLLONESHOT) || item->file->kind != FILE_STREAM ||
		    item->file->sock->kind != MR_SOCK_LISTENER)
			continue;
		for (int i = 0; i < n; i++) {
			struct epoll_event none = { .events = EPOLLONESHOT,
						    .data.u64 = item->data };

			if (events[i].data.u64 != item->data)
				continue;
			if (by_kernel)
				item->events &= EPOLL_FLAGS;
			else
				REAL(epoll_ctl)(epfd, EPOLL_CTL_MOD, item->fd, &none);
		}
	}
}

/* No cancellation point, because the lock is held. */
static int look_kernel(int epfd, struct epoll_event *events, int max)
{
#ifdef SYS_epoll_wait
	return (int)REAL(syscall)(SYS_epoll_wait, epfd, events, max, 0);
#else
	return (int)REAL(syscall)(SYS_epoll_pwait, epfd, events, max, 0, NULL, _NSIG / 8);
#endif
}

static int collect_ours(struct mr_file *ep, int epfd, struct epoll_event *events, int max,
			bool kernel)
{
	int n = ep_collect(ep, events, max);

	if (kernel && n)
		disarm(ep, epfd, events, n, false);
	return n;
}

static int collect_kernels(struct mr_file *ep, int epfd, struct epoll_event *events, int max)
{
	int n = max ? look_kernel(epfd, events, max) : 0;

	if (n < 0)
		return -errno;
	if (n)
		disarm(ep, epfd, events, n, true);
	return n;
}

/* Collect what is ready now, of both kinds. If one kind has used all the room, the other comes first the next time.
 * A negative errno if the kernel refuses (EFAULT: the events cannot be written) and the stack has none: whoever slept
 * then would be woken at once, for ever. With the lock held. */
static int collect(struct mr_file *ep, int epfd, struct epoll_event *events, int max, bool kernel)
{
	int n = 0, kernels;

	if (kernel && ep->kernels_turn)
		n = collect_kernels(ep, epfd, events, max);
	if (n < 0)
		return n;
	n += collect_ours(ep, epfd, events + n, max - n, kernel);
	if (kernel && !ep->kernels_turn) {
		ep->kernels_turn = n == max;
		kernels = collect_kernels(ep, epfd, events + n, max - n);
		return kernels < 0 ? (n ?: kernels) : n + kernels;
	}
	ep->kernels_turn = false;
	return n;
}

/* A call that sleeps for an instance of the stack. */
struct nap {
	struct mr_waiter *waiter;
	struct mr_sleeper *link;
};

/* A signal handler has closed the instance. */
static bool instance_gone(const struct nap *nap)
{
	return !sleeper_is(nap->link, nap->waiter, nap);
}

static void nap_end(const struct nap *nap)
{
	if (nap->link && !instance_gone(nap))
		sleeper_free(px_share, nap->link);
}

/* The thread is being cancelled, and has the lock. */
static void nap_cancelled(void *nap)
{
	nap_end(nap);
	mr_share_unlock(px_share);
}

static int nap_sleep(struct nap *nap, struct mr_file *ep, struct pollfd *pfd, uint64_t deadline,
		     const sigset_t *mask)
{
	int ret;

	pthread_cleanup_push(nap_cancelled, nap);
	ret = mr_share_wait(px_share, nap->waiter, pfd, pfd != NULL, deadline, mask);
	pthread_cleanup_pop(0);
	if (!wait_is_mine(nap->waiter)) { /* the link is not, either */
		nap->link = wait_anew(&nap->waiter, ep, EPOLLIN, nap);
		return nap->link ? ret : -ENOMEM;
	}
	return mr_unlikely(instance_gone(nap)) ? -EINTR : ret;
}

static int wait_ours(struct mr_file *ep, int epfd, struct mr_waiter *w, struct epoll_event *events,
		     int max, uint64_t deadline, const sigset_t *mask)
{
	struct pollfd pfd = { .fd = epfd, .events = POLLIN };
	bool kernel;
	struct nap nap = { .waiter = w };
	int n, ret = 0;

	nap.link = sleeper_new(px_share, ep, EPOLLIN, w, &nap);
	if (!nap.link)
		return -ENOMEM;
	/* A connection was just accepted and its request has arrived: the answer will carry the ACK. */
	n = mr_share_puts_off(px_share) ?
		    collect_ours(ep, epfd, events, max, has_kernel_members(epfd)) :
		    0;
	if (!n)
		mr_share_round(px_share);
	while (!n) {
		mr_share_wait_begin(px_share, nap.waiter);
		kernel = has_kernel_members(epfd);
		n = collect(ep, epfd, events, max, kernel);
		if (n || ret == -ETIMEDOUT)
			break;
		ret = nap_sleep(&nap, ep, kernel ? &pfd : NULL, deadline, mask);
		if (ret < 0 && ret != -ETIMEDOUT) {
			n = ret;
			break;
		}
	}
	nap_end(&nap);
	mr_share_batch(px_share, n > 0);
	return n;
}

static int wait_both(int epfd, struct epoll_event *events, int max, uint64_t deadline,
		     const sigset_t *mask)
{
	struct mr_waiter *w;
	struct mr_file *ep;
	int ret;

	wait_point();
	w = wait_mine();
	if (!w)
		return -ENOMEM;
	if (max <= 0 || max > EVENTS_MAX)
		return -EINVAL;
	ep = fd_get_any(epfd);
	if (!ep)
		return -EBADF;
	ret = ep->kind == FILE_EPOLL ? wait_ours(ep, epfd, w, events, max, deadline, mask) :
				       -EINVAL;
	fd_done();
	return ret;
}

static int wait_any(int epfd, struct epoll_event *events, int max, struct limit limit,
		    const sigset_t *mask)
{
	bool called = true;
	int n = 0;

	if (!fd_ours(epfd))
		n = wait_kernel(epfd, events, max, limit, mask, &called);
	return n || !called ? n : wait_both(epfd, events, max, limit.deadline, mask);
}

/* Only if there is a stack can the instance become one of the stack while a thread sleeps. */
static bool kernels_alone(int epfd)
{
	return !px_offered() || (uint32_t)epfd >= MR_SHARE_FDS_MAX;
}

static struct limit in_ms(int timeout)
{
	return (struct limit){ .deadline = deadline_ms(timeout) };
}

PUBLIC int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	if (kernels_alone(epfd) || (!timeout && !fd_ours(epfd)))
		return REAL(epoll_wait)(epfd, events, max, timeout);
	return (int)px_result(wait_any(epfd, events, max, in_ms(timeout), NULL));
}

PUBLIC int epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout,
		       const sigset_t *mask)
{
	if (kernels_alone(epfd))
		return REAL(epoll_pwait)(epfd, events, max, timeout, mask);
	return (int)px_result(wait_any(epfd, events, max, in_ms(timeout), mask));
}

PUBLIC int epoll_pwait2(int epfd, struct epoll_event *events, int max,
			const struct timespec *timeout, const sigset_t *mask)
{
	struct limit limit = { .exact = true };

	if (!REAL(epoll_pwait2))
		return (int)px_result(-ENOSYS);
	if (kernels_alone(epfd) || (timeout && !timespec_valid(timeout)))
		return REAL(epoll_pwait2)(epfd, events, max, timeout, mask);
	limit.deadline = deadline_timespec(timeout);
	return (int)px_result(wait_any(epfd, events, max, limit, mask));
}
