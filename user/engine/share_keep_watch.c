// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_keep_watch.c - the keeper's eye on processes: it sees them end, and releases what they had.
 * Owns        a pidfd of each process.
 * Called by   the keeper's loop (share_keep.c), and its answers to requests (share_keep_serve.c).
 *
 * A process is gone when its pidfd says so. It has become another by exec when its connection is closed and
 * it lives: then it may come again and adopt what it left, for a while.
 */
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/compiler.h"
#include "engine/share_keep_priv.h"

#define WATCH_NS MR_NS_PER_S /* between two tries to watch a process without a descriptor */

static void forget(struct mr_keeper *k, uint32_t slot)
{
	struct keep_watch *w = &k->watch[slot];

	if (w->pidfd >= 0)
		close(w->pidfd);
	*w = (struct keep_watch){ .pidfd = -1 };
}

/* With the lock held. */
void keep_release(struct mr_keeper *k, uint32_t slot)
{
	struct mr_proc *proc = &k->share->c->procs[slot];

	forget(k, slot);
	if (proc->state != PROC_FREE)
		share_proc_free(k->share, proc);
}

/* Hear of its end. With the lock held. A process that is gone already is released at once. One that cannot be
 * watched, for lack of descriptors, has done nothing wrong: it is tried again. */
static void watch_proc(struct mr_keeper *k, uint32_t slot)
{
	pid_t pid = k->share->c->procs[slot].pid;
	struct keep_watch *w = &k->watch[slot];
	int err;

	if (w->pidfd >= 0 && w->pid == pid)
		return;
	if (w->pidfd >= 0) /* of a process that has left */
		forget(k, slot);
	w->pid = pid;
	w->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	err = w->pidfd < 0 ? -errno : keep_watch_fd(k, w->pidfd, KEEP_PROC, slot);
	if (!err)
		return;
	if (err == -ESRCH) {
		keep_release(k, slot);
		return;
	}
	if (w->pidfd >= 0)
		close(w->pidfd);
	w->pidfd = -1;
	k->watch_at = k->share->engine->st->now + WATCH_NS;
}

/* The same, of one that has a connection. */
void keep_watch_connected(struct mr_keeper *k, uint32_t slot)
{
	watch_proc(k, slot);
	k->watch[slot].connected = k->share->c->procs[slot].state != PROC_FREE;
}

static bool is_unwatched(const struct mr_keeper *k, uint32_t slot)
{
	const struct mr_proc *proc = &k->share->c->procs[slot];
	const struct keep_watch *w = &k->watch[slot];

	return proc->state != PROC_FREE && proc != k->share->self && proc->pid &&
	       (w->pidfd < 0 || w->pid != proc->pid);
}

/* With the lock held. Returns when to try again. */
uint64_t keep_watch_again(struct mr_keeper *k, uint64_t now)
{
	if (k->watch_at && now >= k->watch_at) {
		k->watch_at = 0;
		for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
			if (is_unwatched(k, i))
				watch_proc(k, i);
	}
	return k->watch_at ?: MR_TIME_NEVER;
}

/* Parents have told of children. With the lock held. */
void keep_watch_children(struct mr_keeper *k)
{
	struct mr_commons *c = k->share->c;

	if (!c->keeper_news)
		return;
	c->keeper_news = false;
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++) {
		if (c->procs[i].state == PROC_FREE || &c->procs[i] == k->share->self ||
		    (k->watch[i].pidfd >= 0 && k->watch[i].pid == c->procs[i].pid))
			continue;
		if (c->procs[i].state == PROC_FORKING)
			k->watch[i].until = k->share->engine->st->now + KEEP_ADOPT_NS;
		if (!c->procs[i].pid) /* being forked, or of another PID namespace */
			continue;
		watch_proc(k, i);
	}
}

static bool has_ended(int pidfd)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&pfd, 1, 0) > 0;
}

/* The event may be of one that had the slot before, and was let go while it was under way. */
void keep_proc_ended(struct mr_keeper *k, uint32_t slot)
{
	struct mr_proc *procs = k->share->c->procs;
	uint64_t until;

	if (!has_ended(k->watch[slot].pidfd))
		return;
	mr_share_lock(k->share, NULL);
	until = k->share->engine->st->now + KEEP_ADOPT_NS;
	/* A child that it was about to fork: nobody will tell of it, but itself if it lives. */
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (procs[i].state == PROC_FORKING && procs[i].parent == slot && !procs[i].pid)
			k->watch[i].until = until;
	if (procs[slot].pid == k->watch[slot].pid)
		keep_release(k, slot);
	else
		forget(k, slot);
	mr_share_unlock(k->share);
}

/* The times that are over. With the lock held. Returns the next one. */
uint64_t keep_expire(struct mr_keeper *k, uint64_t now)
{
	struct mr_commons *c = k->share->c;
	uint64_t next = MR_TIME_NEVER;

	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++) {
		struct keep_watch *w = &k->watch[i];

		if (!w->until)
			continue;
		if (c->procs[i].state == PROC_LIVE && !w->connected)
			w->until = 0; /* a forked child that has come to life */
		else if (now >= w->until)
			keep_release(k, i);
		else
			next = mr_min(next, w->until);
	}
	if (k->share->ops->expire)
		next = mr_min(next, k->share->ops->expire(k->share, now));
	return next;
}
