// SPDX-License-Identifier: BSD-2-Clause
/*
 * share.c - the shared engine: its root object in the arena, the lock, rounds, and delaying output.
 * Owns        struct mr_commons, except waiters (share_thread.c, share_wait.c, share_lead.c) and processes
 *             (share_proc.c).
 * Called by   the shim and the keeper, from any thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/error.h"
#include "engine/share_priv.h"
#include "engine/shared.h"
#include "kernel/xdp.h"

/* ---- Open and close -------------------------------------------------------------------------- */

size_t share_bytes(const struct mr_config *cfg, const struct mr_share_ops *ops)
{
	size_t tables = MR_SHARE_PROCS_MAX * (size_t)MR_SHARE_FDS_MAX * sizeof(uint32_t);

	return sizeof(struct mr_commons) + tables + 4096 +
	       (ops->arena_bytes ? ops->arena_bytes(cfg) : 0);
}

static int lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;
	int err = pthread_mutexattr_init(&attr);

	if (err)
		return -err;
	err = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	err = err ?: pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	err = err ?: pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return -err;
}

static int commons_init(struct mr_share *share, const struct mr_config *cfg)
{
	struct mr_arena *arena = &share->engine->arena;
	struct mr_commons *c = mr_arena_alloc(arena, sizeof(*c), 64);
	uint32_t *fds = mr_arena_alloc(
		arena, MR_SHARE_PROCS_MAX * (size_t)MR_SHARE_FDS_MAX * sizeof(*fds), 64);
	int err;

	if (!c || !fds)
		return -ENOMEM;
	share->c = c;
	err = lock_init(&c->lock);
	if (err)
		return err;
	c->pid_ns = share_pid_ns();
	mr_list_init(&c->sleepers);
	mr_list_init(&c->awake);
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++) {
		c->procs[i].index = i;
		c->procs[i].fds = fds + (size_t)i * MR_SHARE_FDS_MAX;
	}
	for (uint32_t i = 0; i < SHARE_WAITERS_MAX; i++) {
		c->waiters[i].index = i;
		mr_list_init(&c->waiters[i].node);
		mr_list_init(&c->waiters[i].awake_node);
	}
	share_keeper(c)->used = true;
	c->nwaiters = 1;
	share->engine->st->socks.reported = true;
	if (share->ops->setup)
		err = share->ops->setup(share, arena, cfg, &c->root);
	return err;
}

struct mr_share *share_new(const struct mr_share_ops *ops)
{
	struct mr_share *share = calloc(1, sizeof(*share));

	if (!share)
		return NULL;
	share->ops = ops;
	share->keeper = share->wanted = -1;
	for (unsigned i = 0; i < SHARE_WAITERS_MAX; i++)
		share->events[i] = -1;
	pthread_mutex_init(&share->forking, NULL);
	share_talk_init(share);
	if (share_threads_init(share)) {
		free(share);
		return NULL;
	}
	return share;
}

void share_free(struct mr_share *share)
{
	if (!share)
		return;
	share_threads_exit(share);
	if (share->opener)
		mr_engine_close(share->engine);
	else
		engine_leave(share->engine);
	for (unsigned i = 0; i < SHARE_WAITERS_MAX; i++)
		if (share->events[i] >= 0)
			close(share->events[i]);
	free(share->sockets);
	if (share->ports)
		munmap(share->ports, MR_XDP_PORTS_BYTES);
	if (share->keeper >= 0)
		close(share->keeper);
	free(share);
}

int share_create(struct mr_share **out, struct mr_engine *engine, const struct mr_config *cfg,
		 const struct mr_share_ops *ops, struct mr_error *err)
{
	struct mr_share *share = share_new(ops);
	int ret = -ENOMEM;

	*out = NULL;
	if (share) {
		share->engine = engine;
		ret = commons_init(share, cfg);
	}
	if (!ret) {
		share->events[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ret = share->events[0] < 0 ? -errno : 0;
	}
	if (ret) {
		if (share)
			share->engine = NULL; /* stays the caller's */
		share_free(share);
		return mr_error_set(err, ret, "cannot share the engine: %s", strerror(-ret));
	}
	share->opener = true;
	share->self = share_proc_new(share, PROC_LIVE, getpid());
	share->c->driver = share->self->index;
	*out = share;
	return 0;
}

void mr_share_close(struct mr_share *share)
{
	if (!share)
		return;
	if (share->opener)
		share_end(share);
	mr_share_lock(share, NULL);
	share_proc_free(share, share->self);
	mr_share_unlock(share);
	share_free(share);
}

/* ---- The lock -------------------------------------------------------------------------------- */

void share_tick(struct mr_share *share)
{
	struct mr_engine *engine = share->engine;

	engine->st->now = engine_clock(engine);
	engine->st->socks.now = engine->st->now;
}

/* A process that holds the lock for longer than this was probably stopped (SIGSTOP). Only the keeper can help. */
#define LOCK_PATIENCE_NS (50 * MR_NS_PER_MS)

__thread struct share_thread_signals share_signals = { .event = -1 };

void share_enter(void)
{
	share_signals.depth++;
	atomic_signal_fence(memory_order_seq_cst);
}

void share_leave(struct mr_share *share)
{
	atomic_signal_fence(memory_order_seq_cst);
	share_signals.depth--;
	atomic_signal_fence(memory_order_seq_cst);
	if (mr_likely(!share_signals.owing) || share_signals.depth)
		return;
	share_signals.owing = false;
	if (share->ops->outside)
		share->ops->outside(share);
}

/* A signal handler that was not deferred has interrupted this thread while it held the lock, and uses the stack.
 * Waiting for the lock would stop every process of the stack for ever. So end this process; the others repair what it
 * leaves. */
__attribute__((noreturn)) static void entered_twice(void)
{
	dprintf(STDERR_FILENO,
		"millrace: %s: a signal handler used the stack in the middle of a call that it had "
		"interrupted: ended, or all its programs would stop\n",
		program_invocation_short_name);
	signal(SIGABRT, SIG_DFL);
	abort();
}

static int wait_for_lock(struct mr_share *share)
{
	struct timespec until;
	int err;

	if (share_signals.held == share)
		entered_twice();
	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += (long)LOCK_PATIENCE_NS;
		until.tv_sec += until.tv_nsec / (long)MR_NS_PER_S;
		until.tv_nsec %= (long)MR_NS_PER_S;
		err = pthread_mutex_clocklock(&share->c->lock, CLOCK_MONOTONIC, &until);
		if (err != ETIMEDOUT)
			return err;
		if (share->unstick)
			share->unstick(share);
		else
			share_write_event(share, share_keeper(share->c));
	}
}

void share_acquire(struct mr_share *share)
{
	struct mr_commons *c = share->c;
	int err;

	share_enter(); /* before trylock: a handler in between would wait for ever */
	err = pthread_mutex_trylock(&c->lock);
	if (err == EBUSY)
		err = wait_for_lock(share);
	if (err == EOWNERDEAD) {
		share_salvage(share);
		pthread_mutex_consistent(&c->lock);
	}
	share_signals.held = share;
	c->holder = share->self ? share->self->index : MR_SHARE_PROCS_MAX;
	share->engine->st->tcp.changing = NULL;
}

void share_release(struct mr_share *share)
{
	struct share_after after;

	share->c->changing = NULL;
	share_after_take(share, &after);
	share_seen_off(share);
	if (share->engine->cap) /* before another process writes to it */
		mr_pcapng_flush(share->engine->cap);
	pthread_mutex_unlock(&share->c->lock);
	share_signals.held = NULL; /* not before the unlock, for the same reason */
	share_after(share, &after);
	share_leave(share);
}

bool mr_share_inside(void)
{
	return share_signals.depth;
}

void mr_share_owe(void)
{
	share_signals.owing = true;
}

int mr_share_lock(struct mr_share *share, struct mr_socket *sock)
{
	share_signals.told = share_signals.handled;
	share_acquire(share);
	share_tick(share);
	share->c->changing = sock;
	return share->c->over;
}

void mr_share_touch(struct mr_share *share, struct mr_socket *sock)
{
	share->c->changing = sock;
}

static void report(struct mr_share *share)
{
	struct mr_socks *socks = &share->engine->st->socks;
	struct mr_socket *sock;

	while ((sock = mr_socks_changed(socks)))
		if (share->ops->ready)
			share->ops->ready(share, sock);
}

static int set_over(struct mr_share *share, int err)
{
	if (err && !share->c->over) {
		share->c->over = err;
		share_wake_all(share);
	}
	return share->c->over;
}

void share_end(struct mr_share *share)
{
	mr_share_lock(share, NULL);
	engine_end(share->engine);
	set_over(share, -ENETDOWN);
	mr_share_unlock(share);
}

void share_drive(struct mr_share *share)
{
	const struct mr_dev *dev = share->engine->dev;

	if (share->c->driver == share->self->index)
		return;
	share->c->driver = share->self->index;
	if (dev->ops->adopt)
		dev->ops->adopt(share->engine->dev);
}

/* Let the keeper send what a confined process has queued. It is woken once for all that is queued until then. */
static void call_keeper(struct mr_share *share)
{
	if (share->c->keeper_turn)
		return;
	share->c->keeper_turn = true;
	share_write_event(share, share_keeper(share->c));
}

/* Is there anything to send? A question for the kernel counts, too: the packet that waits for the answer, such as a
 * SYN,ACK, is in no queue of the device. */
static bool owes(const struct mr_share *share)
{
	const struct mr_stack *st = share->engine->st;

	return mr_tcp_owes(&st->tcp) || st->nif.txq_count || mr_shared_wants(share->engine);
}

/* Did the device have no room before, and is it time to try again? */
static bool retry_is_due(const struct mr_engine *engine)
{
	return engine->st->port.kick_pending &&
	       mr_port_next(&engine->port, engine->st->now) <= engine->st->now;
}

static int output(struct mr_share *share, bool leaves)
{
	struct mr_engine *engine = share->engine;
	int err;

	if (share->c->over || (!owes(share) && !engine->port.owed && !retry_is_due(engine)))
		return share->c->over;
	if (share->confined) {
		call_keeper(share);
		return 0;
	}
	share_drive(share);
	engine->port.leaves = leaves;
	err = mr_engine_output(engine, engine->st->now);
	engine->port.leaves = false;
	/* Only the keeper, which owns the mirror, can ask the kernel. */
	if (!engine->shared && share->c->kept && mr_shared_wants(engine))
		share_write_event(share, share_keeper(share->c));
	return set_over(share, err);
}

int share_output(struct mr_share *share)
{
	return output(share, false);
}

/* ---- Delaying output ------------------------------------------------------------------------------ */

#define BATCH_NS (100 * MR_NS_PER_US) /* longest delay, while the thread makes calls */
/* Output is late if the next call comes after more than this. */
#define GAP_NS	   (50 * MR_NS_PER_US)
#define LATE_COSTS 8u /* so many calls in time outweigh one that was late */
#define LATE_MOST  64u
#define LATE_MANY  16u /* a thread with so many points delays output only one time in RARELY */
#define RARELY	   32u

/* The output that this thread delays while it answers events. */
static __thread struct {
	bool on;	/* its wait has returned events, and it has not waited again */
	bool was_told;	/* the last wait returned events */
	bool serves;	/* the last wait or the one before returned events */
	bool unsent;	/* some output is delayed */
	uint64_t since; /* ns: when the first of it was delayed */
	uint64_t last;	/* ns: the last call that delayed output */
	unsigned late;	/* points for calls that were late recently */
	unsigned told;	/* waits with events while `late` is at least LATE_MANY */
} batch;

bool share_serves(void)
{
	return batch.serves;
}

void mr_share_batch(struct mr_share *share, bool told)
{
	struct mr_commons *c = share->c;

	batch.serves = told || batch.was_told;
	batch.was_told = told;
	batch.on = told && (batch.late < LATE_MANY || ++batch.told % RARELY == 0);
	/* The keeper leads because this thread seemed to stay away: then each packet would wake the keeper. */
	if (batch.on && c->kept && c->leader == share_keeper(c)) {
		if (c->leader->asleep)
			share_write_event(share, c->leader);
		c->leader = NULL;
	}
}

/* The call, or the wait, after one whose output was delayed. Returns false if it is late. */
static bool in_time(uint64_t now)
{
	bool early = now - batch.last <= GAP_NS;

	if (!early)
		batch.late = mr_min(batch.late + LATE_COSTS, LATE_MOST);
	else if (batch.late)
		batch.late -= batch.late < LATE_MANY ? 1 : LATE_COSTS;
	return early;
}

/* May output wait for this thread's next call? If the thread is busy for longer, the keeper sends: it looks every few
 * milliseconds while no thread leads. While one leads, the keeper may be in a long sleep. */
static bool put_off(const struct mr_share *share)
{
	const struct mr_commons *c = share->c;
	uint64_t now = share->engine->st->now;

	if (!batch.on || share->confined || !c->kept || c->leader)
		return false;
	if (batch.unsent && (!in_time(now) || now - batch.since > BATCH_NS)) {
		batch.unsent = false;
		return false;
	}
	if (!batch.unsent)
		batch.since = now;
	batch.unsent = true;
	batch.last = now;
	return true;
}

bool mr_share_puts_off(const struct mr_share *share)
{
	return batch.unsent && share->engine->st->now - batch.since <= BATCH_NS;
}

int share_output_last(struct mr_share *share)
{
	return output(share, share_acts_after(share));
}

void mr_share_unlock(struct mr_share *share)
{
	share->c->changing = NULL; /* the call is over: from here on tcp.changing applies */
	share_round_in_passing(share);
	if (!owes(share) || !put_off(share))
		share_output_last(share);
	report(share);
	share_leader_check(share);
	share_release(share);
}

int mr_share_round(struct mr_share *share)
{
	struct mr_engine *engine = share->engine;
	int err;

	share->c->changing = NULL;
	if (batch.unsent)
		in_time(engine->st->now);
	batch.unsent = false;
	/* What was found between the rounds applies to all processes. */
	err = set_over(share, engine->st->fatal) ?: share_output(share);
	if (err)
		return err;
	if (share->confined)
		return 0;
	share_drive(share);
	share_round_seen(share);
	mr_engine_input(engine, engine->st->now);
	if (share->opener && engine->st->now >= engine->st->service_at)
		err = mr_engine_service(engine, engine->st->now);
	report(share);
	return set_over(share, err);
}

/* ---- Access ---------------------------------------------------------------------------------- */

struct mr_engine *mr_share_engine(struct mr_share *share)
{
	return share->engine;
}

void *mr_share_root(struct mr_share *share)
{
	return share->c->root;
}

struct mr_proc *mr_share_proc(struct mr_share *share)
{
	return share->self;
}

uint64_t mr_share_now(const struct mr_share *share)
{
	return share->engine->st->now;
}

struct mr_socket *mr_share_socket_next(struct mr_share *share, struct mr_socket *after)
{
	struct mr_list *all = &share->engine->st->socks.all;
	struct mr_list *next = after ? after->all_node.next : all->next;

	return next == all ? NULL : mr_list_entry(next, struct mr_socket, all_node);
}

static void lower(int *least, int from, int fd)
{
	if (fd >= from && (*least < 0 || fd < *least))
		*least = fd;
}

int mr_share_fd_next(const struct mr_share *share, int from)
{
	const struct mr_engine *engine = share->engine;
	int least = -1;
	uint32_t snaplen;
	int64_t epoch_ns;

	from = mr_max(from, share->fd_low);
	lower(&least, from, engine->arena.fd);
	lower(&least, from, engine->umem.fd);
	lower(&least, from, engine->groups_fd);
	for (unsigned i = 0; i < engine->npfds; i++)
		lower(&least, from, engine->pfds[i].fd);
	for (unsigned i = 0; i < SHARE_WAITERS_MAX; i++)
		lower(&least, from, share->events[i]);
	for (unsigned i = 0; i < share->nsockets; i++)
		lower(&least, from, share->sockets[i]);
	lower(&least, from, share->keeper);
	if (engine->cap)
		lower(&least, from, mr_pcapng_fd(engine->cap, &snaplen, &epoch_ns));
	return least;
}

bool mr_share_owns_fd(const struct mr_share *share, int fd)
{
	return fd >= share->fd_low && mr_share_fd_next(share, fd) == fd;
}

void mr_share_log(const struct mr_share *share, int level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	engine_log(share->engine, level, "%s", line);
}
