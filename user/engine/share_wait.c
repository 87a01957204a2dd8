// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_wait.c - sleeping and waking up, for many threads of many processes on one engine.
 * Owns        struct mr_waiter; who leads.
 *
 * Of those who sleep at most one leads: it polls the device too, and runs the rounds, for all. The
 * others sleep on an eventfd of their own, which is written when a round made them ready.
 *
 * The lead belongs to who goes to sleep last. As long as others are awake, and come by often, nobody sleeps
 * on the device: they run the rounds, when they wait or in passing (share_call_in()), and a packet wakes the
 * thread that it is for, not one that would have to wake that. Who has been let down by them, or has not seen
 * them for a moment, leads. So does not lead a thread that sleeps for long while another one works.
 *
 * A leader that leaves with work of its own, and is the last one awake, hands over, but only if it usually stays
 * away for long: a server that is back in a few microseconds would pay for two wake-ups with each request. Where
 * nobody leads the keeper looks after the rest.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/compiler.h"
#include "engine/share_priv.h"

#define AWAY_LONG_NS  (200 * MR_NS_PER_US) /* worth a wake-up of another thread */
#define AWAY_SHIFT    2u		   /* weight of the newest: a quarter */
#define SPINS_IN_VAIN 8u		   /* so often in a row, and spinning is tried rarely */
#define SPIN_RARELY   32u

#define AROUND_NS    (100 * MR_NS_PER_US) /* who has been seen so lately is counted on */
#define AROUND_LOOKS 4u			  /* so many of those who are awake are looked at */
#define CALL_IN_NS   (20 * MR_NS_PER_US)  /* between two rounds in passing */
#define GAP_LONG_NS                                                                                \
	(60 * MR_NS_PER_US) /* usually without a call: they should not have been counted on, */
#define DISTRUST_NS (100 * MR_NS_PER_MS) /* and are not for so long */
#define GAP_MOST_NS (300 * MR_NS_PER_US) /* more than that says no more, if there is one */
#define GAP_SHIFT   3u			 /* weight of the newest: an eighth */

#define FEW_FDS 64u /* a sleep for no more needs no memory */

#define EVENTLESS_NS MR_NS_PER_MS /* how long a waiter without an event sleeps at a time */

/* Waiters that a process can be sure of which cannot ask the keeper, and how often a confined one's sleeper asks whether
 * that is there. */
#define SPARE_WAITERS 4u
#define CONFINED_NS   MR_NS_PER_S

/* What a thread has of its own. */
struct share_thread {
	struct mr_share *share;
	struct mr_waiter *w;
	unsigned vain; /* spins in a row that ended in sleep */
};

/* The first share's: signal handlers may sleep, and must not allocate. */
static __thread struct share_thread first;

/* ---- Threads --------------------------------------------------------------------------------- */

void share_waiter_free(struct mr_share *share, struct mr_waiter *w)
{
	if (share->c->leader == w)
		share->c->leader = NULL;
	mr_list_del(&w->node);
	mr_list_del(&w->awake_node);
	w->used = w->asleep = false;
}

static void thread_free(struct share_thread *t)
{
	if (t == &first)
		first.share = NULL;
	else
		free(t);
}

static void thread_exit(void *arg)
{
	struct share_thread *t = arg;

	if (t->w) {
		share_acquire(t->share);
		share_waiter_free(t->share, t->w);
		share_release(t->share);
	}
	thread_free(t);
}

int share_threads_init(struct mr_share *share)
{
	return -pthread_key_create(&share->key, thread_exit);
}

void share_threads_exit(struct mr_share *share)
{
	struct share_thread *t = pthread_getspecific(share->key);

	thread_free(t);
	pthread_key_delete(share->key);
}

static struct share_thread *this_thread(struct mr_share *share)
{
	struct share_thread *t = pthread_getspecific(share->key);

	if (t)
		return t;
	t = first.share ? malloc(sizeof(*t)) : &first;
	if (!t)
		return NULL;
	*t = (struct share_thread){ .share = share };
	if (pthread_setspecific(share->key, t)) {
		thread_free(t);
		return NULL;
	}
	return t;
}

/* known: one whose event this process has. */
static struct mr_waiter *waiter_new(struct mr_share *share, bool known)
{
	struct mr_commons *c = share->c;

	for (uint32_t i = 0; i < SHARE_WAITERS_MAX; i++) {
		struct mr_waiter *w = &c->waiters[i];

		if (w->used || (known && share->events[i] < 0))
			continue;
		*w = (struct mr_waiter){
			.index = i,
			.used = true,
			.proc = (uint16_t)share->self->index,
		};
		mr_list_init(&w->node);
		mr_list_init(&w->awake_node);
		c->nwaiters = mr_max(c->nwaiters, i + 1);
		return w;
	}
	return NULL;
}

/* The eventfd of a waiter lives as long as the engine, whoever has the waiter. Asks the keeper where it
 * is not known yet: not with the lock held, which the keeper may want. -1 where the process may have no
 * descriptor more, or cannot reach the keeper (from another network namespace): one of its own would be written
 * by nobody, and it will have to look again and again. */
static int event_of(struct mr_share *share, const struct mr_waiter *w)
{
	int *fd = &share->events[w->index];

	if (*fd >= 0 || share->confined)
		return *fd;
	if (share->keeper >= 0)
		share_ask_event(share, w->index);
	else if (share->opener || !share->c->kept)
		*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *fd;
}

struct mr_waiter *mr_share_waiter(struct mr_share *share)
{
	struct share_thread *t = this_thread(share);
	struct mr_waiter *w;

	if (!t)
		return NULL;
	if (t->w)
		return t->w;
	share_enter();
	share_acquire(share);
	w = share->confined || share->keeper < 0 ? waiter_new(share, true) : NULL;
	w = w ?: waiter_new(share, false);
	share_release(share);
	if (w)
		event_of(share, w);
	t->w = w;
	share_leave(share);
	return w;
}

struct mr_waiter *mr_share_waiter_made(struct mr_share *share)
{
	const struct share_thread *t = pthread_getspecific(share->key);

	return t ? t->w : NULL;
}

void share_threads_forked(struct mr_share *share)
{
	struct share_thread *t = pthread_getspecific(share->key);

	if (!t || !t->w)
		return;
	t->w = NULL;		/* the parent's */
	mr_share_waiter(share); /* now, while the keeper may be asked: a sandbox may follow */
}

/* ---- Who is awake ---------------------------------------------------------------------------- */

/* w is busy in its program from now on. Of a confined process it is no help to the others. */
static void stay_awake(struct mr_share *share, struct mr_waiter *w)
{
	mr_list_del(&w->awake_node);
	if (w->passive)
		return;
	w->seen_at = share->engine->st->now;
	mr_list_add_head(&share->c->awake, &w->awake_node);
}

/* Is somebody awake who has been seen a moment ago, and so will be soon again? */
static bool somebody_is_around(const struct mr_share *share)
{
	const struct mr_commons *c = share->c;
	uint64_t now = share->engine->st->now;
	const struct mr_list *pos;
	unsigned looks = 0;

	if (!c->kept || now < c->trust_at)
		return false;
	mr_list_for_each (pos, &c->awake) {
		if (now - mr_list_entry(pos, struct mr_waiter, awake_node)->seen_at < AROUND_NS)
			return true;
		if (++looks == AROUND_LOOKS)
			break;
	}
	return false;
}

void share_distrust(struct mr_share *share)
{
	struct mr_commons *c = share->c;

	c->trust_at = share->engine->st->now + DISTRUST_NS;
	c->gap_ns = 0;
	c->counted_on = false;
}

void share_round_seen(struct mr_share *share)
{
	struct mr_commons *c = share->c;
	uint64_t now = share->engine->st->now;

	if (c->counted_on) {
		c->gap_ns += (mr_min(now - c->seen_at, GAP_MOST_NS) >> GAP_SHIFT) -
			     (c->gap_ns >> GAP_SHIFT);
		if (c->gap_ns > GAP_LONG_NS)
			share_distrust(share);
	}
	c->looked_at = now;
}

void share_seen_off(struct mr_share *share)
{
	struct mr_commons *c = share->c;
	const struct share_thread *t;
	uint64_t now;

	if (mr_list_empty(&c->sleepers) || share->confined)
		return;
	now = engine_clock(share->engine);
	c->seen_at = now;
	t = pthread_getspecific(share->key);
	if (t && t->w)
		t->w->seen_at = now;
}

void share_call_in(struct mr_share *share)
{
	struct mr_engine *engine = share->engine;
	struct mr_commons *c = share->c;
	uint64_t now = engine->st->now;

	if (mr_list_empty(&c->sleepers) || share->confined || c->over || c->leader ||
	    now - c->looked_at < CALL_IN_NS)
		return;
	share_round_seen(share);
	share_drive(share);
	if (engine->dev->ops->rx_ready(engine->dev) || mr_engine_next(engine, now) <= now)
		mr_engine_input(engine, now);
}

/* ---- Waking ---------------------------------------------------------------------------------- */

static void write_to(int fd)
{
	int saved = errno;
	ssize_t n = write(fd, &(uint64_t){ 1 }, sizeof(uint64_t));

	(void)n; /* EAGAIN: it is readable already */
	errno = saved;
}

/* Another process's waiter may be unknown here. The keeper writes for us, and is asked for the descriptor
 * when there is time. */
void share_write_event(struct mr_share *share, struct mr_waiter *w)
{
	w->asleep = false;
	if (share->events[w->index] >= 0) {
		write_to(share->events[w->index]);
		return;
	}
	share->wanted = (int)w->index;
	share->c->kwake[w->index / 64] |= 1ull << w->index % 64;
	write_to(share->events[0]);
}

void mr_share_wake(struct mr_share *share, struct mr_waiter *w)
{
	__atomic_store_n(&w->woken, 1, __ATOMIC_RELAXED);
	if (!w->asleep)
		return;
	stay_awake(share, w);
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

	/* Who sleeps finds out by waking up, and goes to sleep anew. */
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
		write_to(share_signals.event);
}

void share_leader_check(struct mr_share *share)
{
	struct mr_waiter *leader = share->c->leader;

	if (leader && leader->asleep &&
	    mr_engine_next(share->engine, share->engine->st->now) < leader->until)
		share_write_event(share, leader);
}

/* ---- Leading --------------------------------------------------------------------------------- */

/* The one that has slept longest of those that can, and that can be woken from here, leads from now on. The keeper
 * would wake the others, too, but should it be stopped nobody would lead. */
static void hand_over(struct mr_share *share)
{
	struct mr_commons *c = share->c;
	struct mr_list *pos;

	mr_list_for_each (pos, &c->sleepers) {
		struct mr_waiter *w = mr_list_entry(pos, struct mr_waiter, node);

		if (w->passive)
			continue;
		if (w->asleep && share->events[w->index] < 0) {
			share->wanted = (int)w->index;
			continue;
		}
		c->leader = w;
		break;
	}
	if (!c->leader)
		return;
	c->counted_on = false;
	c->leader->until = 0;
	if (c->leader->asleep)
		share_write_event(share, c->leader);
}

/* This thread leads, perhaps in the keeper's place, which then sleeps on other terms. */
static void lead(struct mr_share *share, struct mr_waiter *w)
{
	struct mr_commons *c = share->c;

	if (c->leader == share_keeper(c) && c->leader->asleep)
		share_write_event(share, c->leader);
	c->leader = w;
	c->counted_on = false;
}

/* Who is awake does the work until it sleeps, too. */
static void count_on_others(struct mr_share *share)
{
	struct mr_commons *c = share->c;

	c->leader = NULL;
	c->counted_on = true;
	if (c->keeper_sound)
		share_write_event(share, share_keeper(c));
}

/* Nobody else does. */
static void let_keeper_lead(struct mr_share *share)
{
	struct mr_commons *c = share->c;

	if (c->leader)
		return;
	c->leader = share_keeper(c);
	c->leader->until = 0;
	share_write_event(share, c->leader);
}

static void come(struct mr_share *share, struct mr_waiter *w)
{
	uint64_t away = share->engine->st->now - w->left_at;

	w->passive = share->confined;
	mr_list_del(&w->awake_node);
	if (w->left_at)
		w->away_ns += (away >> AWAY_SHIFT) - (w->away_ns >> AWAY_SHIFT);
}

static void leave(struct mr_share *share, struct mr_waiter *w)
{
	struct mr_commons *c = share->c;
	bool others = somebody_is_around(share);

	w->left_at = share->engine->st->now;
	stay_awake(share, w);
	if (c->leader != w)
		return;
	c->leader = NULL;
	c->counted_on = others;
	if (!others && (w->away_ns > AWAY_LONG_NS || !c->kept))
		hand_over(share);
	if (!c->leader && c->kept && c->keeper_sound)
		share_write_event(share, share_keeper(c));
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

/* ppoll(3) and poll(3) are points of cancellation: used where the thread sleeps, and lets go of everything
 * before it ends (sleep_cancelled()). This is for all other places. */
static int raw_ppoll(struct pollfd *fds, unsigned nfds, const struct timespec *ts,
		     const sigset_t *sigmask)
{
	struct timespec copy; /* the system call changes it */

	if (ts)
		copy = *ts;
	return (int)syscall(SYS_ppoll, fds, nfds, ts ? &copy : NULL, sigmask, _NSIG / 8);
}

/* What a confined process may call: poll(2) where the machine has it, which every filter knows. */
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

/* Look at the rings, or for a wake-up, for a while. True: there is something to do. */
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

/* Without the lock, as the next one: sleep for set, which has n descriptors and room for the keeper's end and for
 * the device, which is the leader's. 0 or a negative errno. *device: what is ready of it is perhaps no packet. */
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
		/* More than RLIMIT_NOFILE, which the program's alone need not be. */
		until = mr_min(until, now + EVENTLESS_NS);
		ret = ppoll(set + 1, n - 1, timeout(until, now, &ts), sigmask);
		return ret < 0 ? -errno : 0;
	}
	if (ret < 0)
		return -errno;
	if (keeper->revents) /* it is gone, and with it the interface */
		return share_keeper_gone(share);
	for (unsigned i = 0; i < ndev; i++)
		*device |= dev[i].revents != 0;
	return 0;
}

/* The same in a confined process, where poll(2) may take no more descriptors than the program asks for
 * (RLIMIT_NOFILE): whether the keeper is there is asked from time to time. A waiter without an event looks
 * often. */
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

/* After a sleep for this thread's event, which is taken, and the caller's descriptors: how many of these are
 * ready. */
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
	/* Not the thread's: a signal handler may sleep in this sleep. */
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

/* The thread is being cancelled in its sleep: it goes as if it had been woken, with the lock, which who
 * called mr_share_wait() gives back. */
static void sleep_cancelled(void *arg)
{
	struct share_thread *t = arg;

	share_acquire(t->share);
	t->w->asleep = false;
	mr_list_del(&t->w->node);
	share_tick(t->share);
	leave(t->share, t->w);
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

/* One stretch of spinning or sleeping, from a round that left nothing to do. The lock is given up
 * meanwhile. The number of fds that are ready, or a negative errno. */
static int rest(struct mr_share *share, struct share_thread *t, struct pollfd *fds, unsigned nfds,
		uint64_t deadline, const sigset_t *sigmask)
{
	struct mr_engine *engine = share->engine;
	struct mr_commons *c = share->c;
	struct mr_waiter *w = t->w;
	bool leads = !c->leader || c->leader == w || c->leader == share_keeper(c), device = false;
	uint64_t until = deadline, now = engine->st->now;
	int ret = 0, outer = share_signals.event;

	if (w->passive) {
		leads = false;
		let_keeper_lead(share);
	}

	if (leads && c->leader != share_keeper(c) && somebody_is_around(share)) {
		leads = false;
		count_on_others(share);
	}
	if (leads) {
		lead(share, w);
		w->until = mr_engine_next(engine, now);
		until = mr_min(until, w->until);
	}
	if (until <= now)
		return 0;
	w->asleep = !leads || !engine->spin_ns;
	/* It is there already if a signal handler sleeps in a sleep of its thread, or has jumped out of one. */
	mr_list_move_tail(&c->sleepers, &w->node);
	share_release(share);
	/* Known before a handler looks for it: asked for later it would be one that the handler had not written. */
	share_signals.event = event_of(share, w);
	atomic_signal_fence(memory_order_seq_cst);
	if (share_signals.handled != share_signals.told) {
		ret = -EINTR;
		goto back;
	}
	/* Not waiting for the answer: it leads, perhaps, and the keeper may be stopped. */
	if ((share->wanted >= 0 || share->asked) && !share->confined)
		share_want_event(share);
	if (leads && engine->spin_ns) {
		if (spin(share, t, mr_min(until, now + engine->spin_ns)))
			goto back;
		share_acquire(share);
		/* Nobody writes the event of one who spins. */
		w->until = mr_engine_next(engine, now);
		until = mr_min(until, w->until);
		w->asleep = !woken(w) && c->leader == w;
		share_release(share);
		if (!w->asleep)
			goto back;
	}
	ret = sleep_as(share, t, fds, nfds, leads, until, sigmask, &device);
back:
	share_signals.event = outer;
	share_acquire(share);
	if (t->w != w) /* a handler has forked, and this is the child: the waiter is the parent's */
		return -EINTR;
	w->asleep = false;
	mr_list_del(&w->node);
	mr_list_del(&w->awake_node);
	share_tick(share);
	if (device && !engine->dev->ops->rx_ready(engine->dev))
		mr_engine_service(engine,
				  engine->st->now); /* its error comes with the next round */
	return ret;
}

int mr_share_wait(struct mr_share *share, struct mr_waiter *w, struct pollfd *fds, unsigned nfds,
		  uint64_t deadline_ns, const sigset_t *sigmask)
{
	struct share_thread *t = this_thread(share);
	int ret = 0, err;
	bool looked = false;

	assert(t && t->w == w);
	share_tick(share);
	mr_share_batch(share, false);
	come(share, w);
	for (;;) {
		err = mr_share_round(share);
		if (err || woken(w))
			break;
		if (nfds && !looked)
			ret = poll_now(share, fds, nfds);
		looked = true;
		if (ret || share->engine->st->now >= deadline_ns)
			break;
		err = share_output(share);
		ret = err ?: rest(share, t, fds, nfds, deadline_ns, sigmask);
		if (t->w != w)
			return ret;
		if (ret)
			break;
	}
	leave(share, w);
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

/* ---- Confinement ----------------------------------------------------------------------------- */

void mr_share_spare(struct mr_share *share)
{
	struct mr_commons *c = share->c;
	unsigned spare = 0;

	for (uint32_t i = 1; i < SHARE_WAITERS_MAX && spare < SPARE_WAITERS; i++) {
		if (__atomic_load_n(&c->waiters[i].used, __ATOMIC_RELAXED))
			continue;
		if (event_of(share, &c->waiters[i]) < 0)
			break; /* no descriptor is to be had any more */
		spare++;
	}
}

/* Waiters for this thread, and for others and children to come. */
int mr_share_confine(struct mr_share *share)
{
	if (!share->c->kept || share->keeper < 0)
		return -ENOTSUP;
	if (!mr_share_waiter(share))
		return -ENOMEM;
	mr_share_spare(share);
	share->confined = true;
	return 0;
}

void mr_share_unconfine(struct mr_share *share)
{
	share->confined = false;
}

bool mr_share_confined(const struct mr_share *share)
{
	return share->confined;
}
