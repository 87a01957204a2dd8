// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_keep.c - the keeper: its loop; it drives the engine when no program does.
 * Owns        the listening socket, and the descriptors it waits for.
 * Called by   the launcher's keeper process, which has one thread, and has opened the engine.
 * Not here    letting processes join (share_keep_serve.c), noticing their end (share_keep_watch.c).
 *
 * The device is polled, in this order of preference: by a sleeping thread of a program; by nobody, while the programs
 * are busy and call often enough; by the keeper. In the second case the keeper checks every few milliseconds that
 * they do. While a thread leads for long, the keeper checks only now and then, because the process may have been
 * stopped.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/error.h"
#include "dev/afxdp.h"
#include "engine/share_keep_priv.h"
#include "engine/shared.h"
#include "kernel/xdp_owner.h"

#define TICK_NS (2 * MR_NS_PER_MS) /* interval of checks while nobody leads */
/* So many checks in a row with a leader, before the keeper begins a long sleep. */
#define CALM_TICKS 25u
#define SOUND_NS   (250 * MR_NS_PER_MS) /* interval of checks then, while timers are armed */
/* A leader that is later than this is taken for stopped. */
#define LATE_NS (20 * MR_NS_PER_MS)
/* Delay of main_ended(): the keeper's own end may come first, and explains more. */
#define MAIN_ENDED_NS (50 * MR_NS_PER_MS)
#define LINGER_NS     (5 * MR_NS_PER_S) /* to send what the last process has left */
#define ATTACHED_NS   MR_NS_PER_S
#define BACKLOG	      128
#define EVENTS_MAX    64

/* ---- A stopped process that holds the lock ----------------------------------------------------- */

static char state_of(pid_t pid)
{
	char path[64], text[256], *end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return '\0';
	end = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	fclose(f);
	return end && end[1] ? end[2] : '\0';
}

/* Continue the process (SIGCONT). It is not stopped again afterwards: if somebody else had continued it in the
 * meantime, it would then stay stopped for ever, which is worse than a stop that is lost. */
static void unstick(struct mr_share *share)
{
	const struct mr_commons *c = share->c;
	uint32_t holder = __atomic_load_n(&c->holder, __ATOMIC_RELAXED);
	pid_t pid = holder < MR_SHARE_PROCS_MAX ? c->procs[holder].pid : 0;

	if (pid <= 0 || pid == getpid() || state_of(pid) != 'T')
		return;
	engine_log(
		share->engine, LOG_WARNING,
		"%s (process %d) was stopped inside the stack, which blocks all others: continued",
		c->procs[holder].comm, (int)pid);
	kill(pid, SIGCONT);
}

/* ---- Open ------------------------------------------------------------------------------------ */

int keep_watch_fd(struct mr_keeper *k, int fd, enum keep_source source, uint32_t index)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (uint64_t)source << 32 | index };

	return epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int listen_as(struct mr_keeper *k)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(k->name);

	k->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (k->listener < 0)
		return -errno;
	memcpy(addr.sun_path + 1, k->name, len);
	if (bind(k->listener, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) < 0 ||
	    listen(k->listener, BACKLOG) < 0)
		return -errno;
	return keep_watch_fd(k, k->listener, KEEP_LISTEN, 0);
}

int mr_keeper_open(struct mr_keeper **out, struct mr_share *share, const struct mr_keeper_cfg *cfg,
		   struct mr_error *err)
{
	struct mr_keeper *k = calloc(1, sizeof(*k));
	int ret;

	*out = NULL;
	if (!k)
		return mr_error_set(err, -ENOMEM, "out of memory");
	k->share = share;
	k->cfg = *cfg;
	k->listener = k->main = -1;
	k->spare = eventfd(0, EFD_CLOEXEC);
	snprintf(k->name, sizeof(k->name), "millrace/%s/%d-%08x", share->engine->ifname,
		 (int)getpid(), (unsigned)mr_rng_u64(&share->engine->st->rng));
	for (unsigned i = 0; i < MR_SHARE_PROCS_MAX; i++)
		k->watch[i].pidfd = -1;
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	ret = k->epoll < 0 ? -errno : listen_as(k);
	/* Not from the engine's random numbers, which --seed makes known. */
	if (getrandom(&k->secret, sizeof(k->secret), 0) != sizeof(k->secret))
		ret = -EIO;
	if (!ret && cfg->life_fd >= 0)
		ret = keep_watch_fd(k, cfg->life_fd, KEEP_LIFE, 0);
	if (!ret && cfg->main_pid) {
		k->main = (int)syscall(SYS_pidfd_open, cfg->main_pid, 0);
		ret = k->main < 0 ? -errno : keep_watch_fd(k, k->main, KEEP_MAIN, 0);
	}
	if (ret) {
		mr_keeper_close(k);
		return mr_error_set(
			err, ret,
			"the keeper cannot wait for programs (%s): raise the limit of open files "
			"(ulimit -n)",
			strerror(-ret));
	}
	share->c->kept = true;
	share->unstick = unstick;
	*out = k;
	return 0;
}

char *mr_keeper_name(const struct mr_keeper *k, char *buf, size_t size)
{
	return share_env(buf, size, k->name, k->secret);
}

void mr_keeper_close(struct mr_keeper *k)
{
	if (!k)
		return;
	for (unsigned i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (k->watch[i].pidfd >= 0)
			close(k->watch[i].pidfd);
	for (unsigned i = 0; i < k->nconns; i++)
		if (k->conns[i].fd >= 0)
			close(k->conns[i].fd);
	free(k->conns);
	if (k->listener >= 0)
		close(k->listener);
	if (k->main >= 0)
		close(k->main);
	if (k->epoll >= 0)
		close(k->epoll);
	if (k->spare >= 0)
		close(k->spare);
	free(k);
}

/* ---- Events --------------------------------------------------------------------------------------- */

static void serve(struct mr_keeper *k)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(k->epoll, events, EVENTS_MAX, 0);

	for (int i = 0; i < n; i++) {
		uint32_t index = (uint32_t)events[i].data.u64;

		switch ((enum keep_source)(events[i].data.u64 >> 32)) {
		case KEEP_LISTEN:
			keep_on_connect(k);
			break;
		case KEEP_CONN:
			if (k->conns[index].fd >= 0)
				keep_on_requests(k, &k->conns[index]);
			break;
		case KEEP_PROC:
			keep_proc_ended(k, index);
			break;
		case KEEP_LIFE:
			k->life_over = true;
			epoll_ctl(k->epoll, EPOLL_CTL_DEL, k->cfg.life_fd, NULL);
			break;
		case KEEP_MAIN:
			close(k->main);
			k->main = -1;
			k->main_told_at = engine_clock(k->share->engine) + MAIN_ENDED_NS;
			break;
		}
	}
}

/* ---- Driving --------------------------------------------------------------------------------- */

static void wake_asked(struct mr_keeper *k)
{
	struct mr_commons *c = k->share->c;

	for (uint32_t i = 0; i < SHARE_KWAKE_WORDS; i++) {
		uint64_t bits = c->kwake[i];

		c->kwake[i] = 0;
		for (; bits; bits &= bits - 1) {
			uint32_t w = i * 64 + (uint32_t)__builtin_ctzll(bits);

			if (k->share->events[w] >= 0)
				share_write_event(k->share, &c->waiters[w]);
		}
	}
}

static bool rounds_go_on(struct mr_keeper *k)
{
	uint64_t rounds = k->share->engine->st->ctr.c[MR_CTR_ENGINE_ROUNDS];
	bool more = rounds != k->rounds;

	k->rounds = rounds;
	return more;
}

/* Is something overdue that the sleeping leader should have done? */
static bool leader_is_late(struct mr_keeper *k, uint64_t now)
{
	struct mr_engine *engine = k->share->engine;

	share_drive(k->share);
	return engine->dev->ops->rx_ready(engine->dev) ||
	       mr_engine_next(engine, now) + LATE_NS < now;
}

/* Send what confined processes have queued. Does not count as a round. */
static void take_turn(struct mr_keeper *k)
{
	if (!k->share->c->keeper_turn)
		return;
	k->share->c->keeper_turn = false;
	mr_share_round(k->share);
	k->rounds++;
}

/* Do everything that can be done now. Returns when there is more, ns. */
static uint64_t drive(struct mr_keeper *k)
{
	struct mr_share *share = k->share;

	if (mr_share_round(share) || share_output(share))
		return MR_TIME_NEVER;
	rounds_go_on(k);
	if (share->engine->dev->ops->rx_ready(share->engine->dev))
		return share->engine->st->now;
	mr_port_rest(&share->engine->port);
	return mr_engine_next(share->engine, share->engine->st->now);
}

/* Decide who drives until the next check. Returns its time, ns. With the lock held. */
static uint64_t look_after_driving(struct mr_keeper *k, uint64_t now)
{
	struct mr_commons *c = k->share->c;
	const struct mr_stack *st = k->share->engine->st;
	struct mr_waiter *me = share_keeper(c);
	bool go_on = rounds_go_on(k);

	c->keeper_sound = false;
	if (!c->leader) {
		k->calm = 0;
		if (go_on)
			return now + TICK_NS;
		if (c->counted_on)
			share_distrust(k->share);
		c->leader = me;
	} else if (c->leader != me && !go_on && leader_is_late(k, now)) {
		if (k->suspect)
			c->leader = me;
		k->suspect = true;
		if (c->leader != me)
			return now + TICK_NS;
	}
	k->suspect = false;
	if (c->leader == me) {
		me->until = drive(k);
		me->asleep = true;
		return me->until;
	}
	if (k->calm < CALM_TICKS) {
		k->calm++;
		return now + TICK_NS;
	}
	c->keeper_sound = true;
	return st->tcp.tcbs.used || st->wheel.armed ? now + SOUND_NS : MR_TIME_NEVER;
}

/* Sleep, without the lock. The device's descriptors are the last ones; without the lead, only that of link events is
 * polled. */
static void doze(struct mr_keeper *k, bool leads, uint64_t until)
{
	struct mr_engine *engine = k->share->engine;
	struct pollfd fds[2 + MR_ENGINE_FDS_MAX] = {
		{ .fd = k->share->events[0], .events = POLLIN },
		{ .fd = k->epoll, .events = POLLIN },
	};
	uint64_t now = engine_clock(engine), left = until > now ? until - now : 0, count;
	struct timespec ts = { (time_t)(left / MR_NS_PER_S), (long)(left % MR_NS_PER_S) };
	unsigned nrings = mr_afxdp_queues(engine->dev), n = 2;
	ssize_t got;

	for (unsigned i = leads ? 0 : nrings; i < engine->npfds; i++)
		fds[n++] = engine->pfds[i];
	if (ppoll(fds, n, until == MR_TIME_NEVER ? NULL : &ts, k->cfg.sigmask) <= 0)
		return;
	if (fds[0].revents) {
		got = read(fds[0].fd, &count, sizeof(count));
		(void)got;
	}
	if (fds[1].revents)
		serve(k);
	for (unsigned i = leads ? 2 + nrings : 2; i < n; i++) {
		if (!fds[i].revents)
			continue;
		mr_share_lock(k->share, NULL);
		share_drive(k->share);
		mr_engine_service(engine, engine->st->now);
		mr_share_round(k->share);
		mr_share_unlock(k->share);
		break;
	}
}

/* ---- The end --------------------------------------------------------------------------------- */

static bool somebody_is_there(const struct mr_keeper *k)
{
	const struct mr_proc *procs = k->share->c->procs;

	if (k->cfg.life_fd >= 0 ? !k->life_over : !k->had_process)
		return true;
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (procs[i].state != PROC_FREE && &procs[i] != k->share->self)
			return true;
	return false;
}

/* Has a connection data of its program that is not sent or acknowledged? */
static bool something_unsent(const struct mr_keeper *k)
{
	const struct mr_tcp *tcp = &k->share->engine->st->tcp;
	const struct mr_list *pos;

	mr_list_for_each (pos, &tcp->all) {
		const struct mr_tcb *tcb = mr_list_entry(pos, struct mr_tcb, all_node);

		if (tcb->sndq.head || (tcb->fin_queued && tcb->snd_una != tcb->snd_nxt) ||
		    (tcb->fin_queued && !tcb->fin_sent))
			return true;
	}
	return false;
}

/* *until: when to check again, ns. */
static bool over(struct mr_keeper *k, uint64_t now, uint64_t *until)
{
	if (k->share->c->over)
		return true;
	if (somebody_is_there(k)) {
		if (k->linger_until)
			prctl(PR_SET_NAME, MR_KEEPER_NAME);
		k->linger_until = 0;
		return false;
	}
	if (!k->linger_until) {
		k->linger_until = now + LINGER_NS;
		/* A stack that waits for the interface reads this name. */
		prctl(PR_SET_NAME, MR_KEEPER_ENDING);
	}
	if (!something_unsent(k) || now >= k->linger_until)
		return true;
	*until = mr_min(*until, now + TICK_NS);
	return false;
}

/* Returns when to look again. */
static uint64_t tell_main_ended(struct mr_keeper *k, uint64_t now)
{
	if (!k->main_told_at)
		return MR_TIME_NEVER;
	if (now < k->main_told_at)
		return k->main_told_at;
	k->main_told_at = 0;
	k->cfg.main_ended(k->cfg.user);
	return MR_TIME_NEVER;
}

/* Returns when to check again, ns. Without the lock, because attaching may take long. */
static uint64_t keep_attached(struct mr_keeper *k)
{
	struct mr_engine *engine = k->share->engine;
	uint64_t now = engine_clock(engine);

	if (!engine->xdp)
		return MR_TIME_NEVER;
	if (now >= k->attached_at) {
		engine->opener->keep_attached(engine);
		k->attached_at = now + ATTACHED_NS;
	}
	return k->attached_at;
}

int mr_keeper_run(struct mr_keeper *k)
{
	struct mr_share *share = k->share;
	struct mr_commons *c = share->c;
	uint64_t now, until, attached_at;
	bool leads, end = false;

	while (!end && !(k->cfg.stop && *k->cfg.stop)) {
		attached_at = keep_attached(k);
		mr_share_lock(share, NULL);
		now = share->engine->st->now;
		wake_asked(k);
		keep_watch_children(k);
		take_turn(k);
		if (share->engine->shared)
			mr_shared_ask(share->engine, now);
		until = mr_min(keep_watch_again(k, now), keep_hear_again(k, now));
		/* Also those of the processes that it has just released. */
		until = mr_min(until, keep_expire(k, now));
		until = mr_min(until, look_after_driving(k, now));
		until = mr_min(until, tell_main_ended(k, now));
		until = mr_min(until, attached_at);
		end = over(k, now, &until);
		leads = c->leader == share_keeper(c);
		mr_share_unlock(share);
		if (!end)
			doze(k, leads, until);
		if (leads)
			share_keeper(c)->asleep = false;
	}
	if (!end && somebody_is_there(k))
		engine_log(share->engine, LOG_ERR,
			   "told to end while programs use %s: their accelerated sockets fail from "
			   "now on",
			   share->engine->ifname);
	return c->over;
}
