// SPDX-License-Identifier: BSD-2-Clause
/*
 * wait.c - a call that sleeps for one file: timeouts, and signals as Linux treats them.
 * Owns        struct wait.
 * Called by   the blocking calls, with the engine's lock held.
 *
 * The sleep is a ppoll(), which is never restarted after a signal handler. Whether the call would be is known for
 * handlers that ran through the trampoline (call_signal.c). For others all handlers are examined: if some have
 * SA_RESTART and some do not, it is unknown which one ran, and the call is not restarted.
 */
#include <time.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix/posix.h"

static __thread bool prepared; /* this thread has its waiter */

static uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * MR_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t deadline_after(uint64_t ns)
{
	uint64_t now;

	if (!ns)
		return FOREVER;
	now = clock_now();
	return ns > FOREVER - now ? FOREVER : now + ns;
}

uint64_t deadline_ms(int timeout_ms)
{
	if (timeout_ms < 0)
		return FOREVER;
	return timeout_ms ? deadline_after((uint64_t)timeout_ms * (uint64_t)MR_NS_PER_MS) : 0;
}

bool timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (long)MR_NS_PER_S;
}

uint64_t deadline_timespec(const struct timespec *ts)
{
	uint64_t ns;

	if (!ts)
		return FOREVER;
	if ((uint64_t)ts->tv_sec > FOREVER / MR_NS_PER_S / 2)
		return FOREVER;
	ns = (uint64_t)ts->tv_sec * MR_NS_PER_S + (uint64_t)ts->tv_nsec;
	return ns ? deadline_after(ns) : 0;
}

uint64_t deadline_left(uint64_t deadline)
{
	uint64_t now;

	if (deadline == FOREVER)
		return FOREVER;
	now = clock_now();
	return deadline > now ? deadline - now : 0;
}

struct mr_waiter *wait_mine(void)
{
	struct mr_waiter *w = mr_share_waiter(px_share);

	prepared = w != NULL;
	return w;
}

void wait_forked(void)
{
	prepared = false;
}

bool wait_is_mine(const struct mr_waiter *w)
{
	return mr_likely(mr_share_waiter_made(px_share) == w);
}

struct mr_sleeper *wait_anew(struct mr_waiter **w, struct mr_file *f, uint32_t events,
			     const void *call)
{
	*w = mr_share_waiter_made(px_share);
	return *w ? sleeper_new(px_share, f, events, *w, call) : NULL;
}

/* Takes the lock only the first time. */
static struct mr_waiter *waiter_under_lock(struct mr_file *f)
{
	struct mr_waiter *w;

	if (mr_likely(prepared))
		return mr_share_waiter(px_share);
	file_hold(f);
	mr_share_unlock(px_share);
	w = wait_mine();
	mr_share_lock(px_share, f->sock);
	file_put(px_share, f);
	return w;
}

int wait_open(struct wait *w, struct mr_file *f, uint32_t events, uint64_t timeout_ns)
{
	w->file = f;
	w->events = events;
	w->waiter = waiter_under_lock(f);
	w->link = w->waiter ? sleeper_new(px_share, f, events, w->waiter, w) : NULL;
	w->deadline = deadline_after(timeout_ns);
	w->timed = timeout_ns != 0;
	w->handled = handlers_seen();
	return w->link ? 0 : -ENOMEM;
}

void wait_look(struct wait *w)
{
	mr_share_wait_begin(px_share, w->waiter);
	file_want(w->file, w->events);
}

/* Is the call restarted after -EINTR? */
static bool restarts(struct wait *w)
{
	struct handled before = w->handled;

	w->handled = handlers_seen();
	if (w->timed)
		return false;
	return w->handled.all == before.all ? handlers_restart() :
					      w->handled.ending == before.ending;
}

/* The thread is being cancelled, and has the lock. */
static void wait_cancelled(void *arg)
{
	wait_close(arg);
	mr_share_unlock(px_share);
}

static bool has_descriptor(const struct mr_file *f)
{
	const struct mr_posix *px = mr_share_root(px_share);
	const struct mr_proc *proc = mr_share_proc(px_share);

	for (uint32_t fd = 0; fd < proc->fd_end; fd++)
		if (proc->fds[fd] && file_of_entry(px, proc->fds[fd]) == f)
			return true;
	return false;
}

/* A signal handler has closed a descriptor of the file that the call sleeps for. If there is another one, the sleep
 * continues. False: there is none, and the file is gone. */
static bool wait_recover(struct wait *w)
{
	w->link = has_descriptor(w->file) ?
			  sleeper_new(px_share, w->file, w->events, w->waiter, w) :
			  NULL;
	return w->link;
}

int wait_sleep(struct wait *w, struct pollfd *fds, unsigned nfds)
{
	int ret;

	pthread_cleanup_push(wait_cancelled, w);
	ret = mr_share_wait(px_share, w->waiter, fds, nfds, w->deadline, NULL);
	pthread_cleanup_pop(0);
	if (!wait_is_mine(w->waiter)) {
		w->link = wait_anew(&w->waiter, w->file, w->events, w);
		if (!w->link)
			return -ENOMEM;
	} else if (mr_unlikely(!sleeper_is(w->link, w->waiter, w)) && !wait_recover(w)) {
		return restarts(w) ? -EBADF : -EINTR;
	}
	if (ret == -ETIMEDOUT)
		return -EAGAIN;
	if (ret == -EINTR && restarts(w))
		return 0;
	if (w->file->sock)
		mr_share_touch(px_share, w->file->sock);
	return ret < 0 ? ret : 0;
}

void wait_close(struct wait *w)
{
	if (w->link && sleeper_is(w->link, w->waiter, w))
		sleeper_free(px_share, w->link);
}

void wait_abandon(struct mr_file *f)
{
	const struct mr_waiter *w = prepared ? mr_share_waiter(px_share) : NULL;
	struct mr_list *pos, *tmp;

	if (!w)
		return;
	mr_list_for_each_safe (pos, tmp, &f->waits) {
		struct mr_sleeper *link = mr_list_entry(pos, struct mr_sleeper, node);

		if (link->waiter == w)
			sleeper_free(px_share, link);
	}
}
