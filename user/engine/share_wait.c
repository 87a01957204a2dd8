// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_wait.c - sleeping and waking up, for many threads of many processes on one engine.
 * Owns        mr_commons.sleepers; whether a waiter sleeps.
 * Not here    which of the sleeping threads polls the device, too (share_lead.c); waiters themselves (share_thread.c).
 *
 * Each thread sleeps on an eventfd of its own, which is written when a round made something ready that it waits for.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/compiler.h"
#include "engine/share_priv.h"

/* After so many unsuccessful spins in a row, only every SPIN_RARELY-th is tried. */
#define SPINS_IN_VAIN 8u
#define SPIN_RARELY   32u

#define FEW_FDS 64u /* poll sets up to this size are on the stack */

#define EVENTLESS_NS MR_NS_PER_MS /* sleep of a waiter without an eventfd, before it looks again */
#define CONFINED_NS                                                                                \
	MR_NS_PER_S /* how often a confined process checks whether the keeper is still there */

/* ---- Waking ---------------------------------------------------------------------------------- */

void share_write_to(int fd)
{
	int saved = errno;
	ssize_t n = write(fd, &(uint64_t){ 1 }, sizeof(uint64_t));

	(void)n; /* EAGAIN: it is readable already */
	errno = saved;
}

/* If this process does not have the eventfd of w, the keeper writes it, and the eventfd is requested for the next
 * time. */
void share_write_event(struct mr_share *share, struct mr_waiter *w)
{
	w->asleep = false;
	if (share->events[w->index] >= 0) {
		share_write_to(share->events[w->index]);
		return;
	}
	share->wanted = (int)w->index;
	share->c->kwake[w->index / 64] |= 1ull << w->index % 64;
	share_write_to(share->events[0]);
}

void mr_share_wake(struct mr_share *share, struct mr_waiter *w)
{
	__atomic_store_n(&w->woken, 1, __ATOMIC_RELAXED);
	if (!w->asleep)
		return;
	share_stay_awake(share, w);
	if (share_wake_after(share, w))
		w->asleep = false;
	else
		share_write_event(share, w);
}

void share_wake_all(struct mr_share *share)
{
	struct mr_list *pos;

	mr_list_for_each (pos, &share->c->sleepers)
		mr_share_wake(share, mr_list_entry(pos, struct mr_waiter, node));
}

void share_waiters_salvage(struct mr_share *share)
{
	struct mr_commons *c = share->c;

	/* Threads that sleep are woken, find nothing, and go to sleep again. */
	mr_list_init(&c->sleepers);
	mr_list_init(&c->awake);
	c->leader = NULL;
	c->counted_on = false;
	for (uint32_t i = 0; i < c->nwaiters; i++) {
		struct mr_waiter *w = &c->waiters[i];

		mr_list_init(&w->node);
		mr_list_init(&w->awake_node);
		if (w->used && i)
			share_write_event(share, w);
	}
	if (c->kept)
		share_write_event(share, share_keeper(c));
}

static bool woken(const struct mr_waiter *w)
{
	return __atomic_load_n(&w->woken, __ATOMIC_RELAXED);
}

void mr_share_wait_begin(struct mr_share *share, struct mr_waiter *w)
{
	(void)share;
	__atomic_store_n(&w->woken, 0, __ATOMIC_RELAXED);
}

void mr_share_interrupt(void)
{
	share_signals.handled++;
	atomic_signal_fence(memory_order_seq_cst);
	if (share_signals.event >= 0)
		share_write_to(share_signals.event);
}

/* ---- Sleeping -------------------------------------------------------------------------------- */

static struct timespec *timeout(uint64_t until, uint64_t now, struct timespec *ts)
{
	uint64_t left = until > now ? until - now : 0;

	if (until == MR_TIME_NEVER)
		return NULL;
	ts->tv_sec = (time_t)(left / MR_NS_PER_S);
	ts->tv_nsec = (long)(left % MR_NS_PER_S);
	return ts;
}

/* ppoll(3) and poll(3) are cancellation points. They are used only where the thread sleeps, and sleep_cancelled()
 * cleans up. This is for all other places. */
static int raw_ppoll(struct pollfd *fds, unsigned nfds, const struct timespec *ts,
		     const sigset_t *sigmask)
{
	struct timespec copy; /* the system call changes it */

	if (ts)
		copy = *ts;
	return (int)syscall(SYS_ppoll, fds, nfds, ts ? &copy : NULL, sigmask, _NSIG / 8);
}

/* A confined process uses poll(2), if the architecture has it, because every filter permits it. */
static int confined_poll_now(struct pollfd *fds, unsigned nfds)
{
#ifdef SYS_poll
	return (int)syscall(SYS_poll, fds, nfds, 0);
#else
	return raw_ppoll(fds, nfds, &(const struct timespec){ 0 }, NULL);
#endif
}

static int confined_poll(struct pollfd *fds, unsigned nfds, uint64_t ns, const sigset_t *sigmask)
{
	struct timespec ts;

	if (!sigmask)
		return poll(fds, nfds, (int)((ns + MR_NS_PER_MS - 1) / MR_NS_PER_MS));
	return ppoll(fds, nfds, timeout(ns, 0, &ts), sigmask);
}

static int poll_now(const struct mr_share *share, struct pollfd *fds, unsigned nfds)
{
	static const struct timespec none;
	int n = 0;

	if (nfds)
		n = share->confined ? confined_poll_now(fds, nfds) :
				      raw_ppoll(fds, nfds, &none, NULL);
	return mr_max(n, 0);
}

/* Spin: look at the rings and for a wake-up. True: there is something to do. */
static bool spin(struct mr_share *share, struct share_thread *t, uint64_t until)
{
	const struct mr_engine *engine = share->engine;

	t->vain++;
	if (t->vain > SPINS_IN_VAIN && t->vain % SPIN_RARELY)
		return false;
	if (!engine_spin(engine, until, &t->w->woken))
		return false;
	t->vain = 0;
	return true;
}

static uint64_t longest_sleep(const struct mr_share *share, const struct mr_waiter *w)
{
	return share->events[w->index] < 0 ? EVENTLESS_NS : MR_TIME_NEVER;
}

/* Sleep for the n descriptors of set, which has room for the keeper's connection and, if this thread leads, for the
 * device's. Returns 0 or a negative errno. *device: set if a descriptor of the device is ready, which need not be a
 * packet. Without the lock, as the next function. */
static int sleep_on(struct mr_share *share, const struct mr_waiter *w, struct pollfd *set,
		    unsigned n, bool leads, uint64_t until, const sigset_t *sigmask, bool *device)
{
	const struct mr_engine *engine = share->engine;
	struct pollfd *keeper = set + n, *dev = keeper + 1;
	unsigned ndev = leads ? engine->npfds : 0;
	uint64_t now = engine_clock(share->engine), most = longest_sleep(share, w);
	struct timespec ts;
	int ret;

	*keeper = (struct pollfd){ .fd = share->keeper };
	if (ndev)
		memcpy(dev, engine->pfds, ndev * sizeof(*dev));
	if (until > now && most < until - now)
		until = now + most;
	ret = ppoll(set, n + 1 + ndev, timeout(until, now, &ts), sigmask);
	if (ret < 0 && errno == EINVAL) {
		/* More descriptors than RLIMIT_NOFILE; the program's alone may be fewer. */
		until = mr_min(until, now + EVENTLESS_NS);
		ret = ppoll(set + 1, n - 1, timeout(until, now, &ts), sigmask);
		return ret < 0 ? -errno : 0;
	}
	if (ret < 0)
		return -errno;
	if (keeper->revents) /* the keeper is gone, and with it the interface */
		return share_keeper_gone(share);
	for (unsigned i = 0; i < ndev; i++)
		*device |= dev[i].revents != 0;
	return 0;
}

/* The same in a confined process. There poll(2) may take no more descriptors than the program itself passes
 * (RLIMIT_NOFILE), so the keeper's connection is checked from time to time. A waiter without an eventfd looks often. */
static int sleep_confined(struct mr_share *share, const struct mr_waiter *w, struct pollfd *set,
			  unsigned n, uint64_t until, const sigset_t *sigmask)
{
	struct pollfd keeper = { .fd = share->keeper };
	uint64_t now = engine_clock(share->engine), left = until > now ? until - now : 0;
	uint64_t most = mr_min(longest_sleep(share, w), CONFINED_NS);
	int ret = confined_poll(set, n, mr_min(left, most), sigmask);

	if (ret < 0)
		return -errno;
	if (!ret && left > most && confined_poll_now(&keeper, 1) > 0)
		return -ENETDOWN;
	return 0;
}

/* After a sleep: read this thread's eventfd, and copy the results of the caller's descriptors. Returns how many of
 * these are ready. */
static int awake(const struct pollfd *set, struct pollfd *fds, unsigned nfds)
{
	uint64_t count;
	int ready = 0;

	if (set[0].revents) {
		ssize_t got = read(set[0].fd, &count, sizeof(count));

		(void)got;
	}
	for (unsigned i = 0; i < nfds; i++) {
		fds[i].revents = set[1 + i].revents;
		ready += fds[i].revents != 0;
	}
	return ready;
}

/* The number of fds that are ready, or a negative errno. */
static int sleep_for(struct mr_share *share, struct mr_waiter *w, struct pollfd *fds, unsigned nfds,
		     bool leads, uint64_t until, const sigset_t *sigmask, bool *device)
{
	unsigned n = 1 + nfds, most = n + 1 + share->engine->npfds;
	/* Not per thread: a signal handler may sleep within this sleep. */
	struct pollfd few[FEW_FDS], *set = most > FEW_FDS ? malloc(most * sizeof(*set)) : few;
	int ret;

	if (!set)
		return -ENOMEM;
	set[0] = (struct pollfd){ .fd = share->events[w->index], .events = POLLIN };
	if (nfds)
		memcpy(set + 1, fds, nfds * sizeof(*fds));
	pthread_cleanup_push(free, set == few ? NULL : set);
	ret = share->confined ? sleep_confined(share, w, set, n, until, sigmask) :
				sleep_on(share, w, set, n, leads, until, sigmask, device);
	if (!ret)
		ret = awake(set, fds, nfds);
	pthread_cleanup_pop(1);
	return ret;
}

/* The thread is cancelled while it sleeps: continue as if it had been woken, and take the lock, which the caller of
 * mr_share_wait() releases in a cleanup handler. */
static void sleep_cancelled(void *arg)
{
	struct share_thread *t = arg;

	share_acquire(t->share);
	t->w->asleep = false;
	mr_list_del(&t->w->node);
	share_tick(t->share);
	share_leave_wait(t->share, t->w);
}

static int sleep_as(struct mr_share *share, struct share_thread *t, struct pollfd *fds,
		    unsigned nfds, bool leads, uint64_t until, const sigset_t *sigmask,
		    bool *device)
{
	int ret;

	pthread_cleanup_push(sleep_cancelled, t);
	ret = sleep_for(share, t->w, fds, nfds, leads, until, sigmask, device);
	pthread_cleanup_pop(0);
	return ret;
}

/* The sleep that follows is on the device. */
static void rest_device(struct mr_share *share)
{
	share_drive(share);
	mr_port_rest(&share->engine->port);
}

/* One stretch of spinning or sleeping, from a round that left nothing to do. The lock is given up
 * meanwhile. The number of fds that are ready, or a negative errno. */
static int rest(struct mr_share *share, struct share_thread *t, struct pollfd *fds, unsigned nfds,
		uint64_t deadline, const sigset_t *sigmask)
{
	struct mr_engine *engine = share->engine;
	struct mr_commons *c = share->c;
	struct mr_waiter *w = t->w;
	bool leads = share_take_lead(share, w), device = false;
	uint64_t until = deadline, now = engine->st->now;
	int ret = 0, outer = share_signals.event;

	if (leads) {
		w->until = mr_engine_next(engine, now);
		until = mr_min(until, w->until);
	}
	if (until <= now)
		return 0;
	w->asleep = !leads || !engine->spin_ns;
	if (leads && w->asleep)
		rest_device(share);
	/* It is a member already if a signal handler sleeps within a sleep of its thread, or has left one by a jump. */
	mr_list_move_tail(&c->sleepers, &w->node);
	share_release(share);
	/* Set it before `handled` is read: a handler that runs in between writes it. */
	share_signals.event = share_event_of(share, w);
	atomic_signal_fence(memory_order_seq_cst);
	if (share_signals.handled != share_signals.told) {
		ret = -EINTR;
		goto back;
	}
	/* Do not wait for the answer, because this thread may lead, and the keeper may be stopped. */
	if ((share->wanted >= 0 || share->asked) && !share->confined)
		share_want_event(share);
	if (leads && engine->spin_ns) {
		if (spin(share, t, mr_min(until, now + engine->spin_ns)))
			goto back;
		share_acquire(share);
		/* The eventfd of a thread that spins is not written: look again. */
		w->until = mr_engine_next(engine, now);
		until = mr_min(until, w->until);
		w->asleep = !woken(w) && c->leader == w;
		if (w->asleep)
			rest_device(share);
		share_release(share);
		if (!w->asleep)
			goto back;
	}
	ret = sleep_as(share, t, fds, nfds, leads, until, sigmask, &device);
back:
	share_signals.event = outer;
	share_acquire(share);
	if (t->w != w) /* a handler has forked, and this is the child: w is the parent's */
		return -EINTR;
	w->asleep = false;
	mr_list_del(&w->node);
	mr_list_del(&w->awake_node);
	share_tick(share);
	if (device && !engine->dev->ops->rx_ready(engine->dev))
		mr_engine_service(engine, engine->st->now); /* the next round returns its error */
	return ret;
}

int mr_share_wait(struct mr_share *share, struct mr_waiter *w, struct pollfd *fds, unsigned nfds,
		  uint64_t deadline_ns, const sigset_t *sigmask)
{
	struct share_thread *t = share_this_thread(share);
	int ret = 0, err;
	bool looked = false;

	assert(t && t->w == w);
	share_tick(share);
	mr_share_batch(share, false);
	share_come(share, w);
	for (;;) {
		err = mr_share_round(share);
		if (err || woken(w))
			break;
		if (nfds && !looked)
			ret = poll_now(share, fds, nfds);
		looked = true;
		if (ret || share->engine->st->now >= deadline_ns)
			break;
		err = share_output_last(share);
		ret = err ?: rest(share, t, fds, nfds, deadline_ns, sigmask);
		if (t->w != w)
			return ret;
		if (ret)
			break;
	}
	share_leave_wait(share, w);
	if (err)
		return err;
	if (woken(w) && !looked && nfds)
		ret = poll_now(share, fds, nfds);
	if (ret < 0 && woken(w))
		return 0;
	if (ret == -EINTR)
		share_signals.told = share_signals.handled;
	return ret || woken(w) ? ret : -ETIMEDOUT;
}
