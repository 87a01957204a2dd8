// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_keep_watch.c - the keeper notices the end of processes, and releases what they held.
 * Owns        a pidfd of each process.
 * Called by   the keeper's loop (share_keep.c), and its answers to requests (share_keep_serve.c).
 *
 * A process has ended when its pidfd is readable. It has executed another program when its connection is closed, but
 * it lives: then it may join again within some time, and adopt what it had.
 */
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/compiler.h"
#include "engine/share_keep_priv.h"

#define WATCH_NS MR_NS_PER_S /* interval of tries to watch a process that has no pidfd */

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
	if (proc->state == PROC_FREE)
		return;
	share_proc_free(k->share, proc);
	/* It may have left a doorbell to be rung after its last release of the lock. */
	mr_port_missed(&k->share->engine->port, 0, k->share->engine->st->now);
}

/* Watch for the end of a process. With the lock held. If it has ended already, it is released at once. If it cannot
 * be watched for lack of descriptors, that is tried again. */
static void watch_proc(struct mr_keeper *k, uint32_t slot)
{
	pid_t pid = k->share->c->procs[slot].pid;
	struct keep_watch *w = &k->watch[slot];
	int err;

	if (w->pidfd >= 0 && w->pid == pid)
		return;
	if (w->pidfd >= 0) /* of an earlier process in this slot */
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

/* The same for a process that has a connection. */
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
		if (!c->procs[i].pid) /* being forked, or in another PID namespace */
			continue;
		watch_proc(k, i);
	}
}

static bool has_ended(int pidfd)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&pfd, 1, 0) > 0;
}

/* The event may be about an earlier process in this slot, which was released meanwhile. */
void keep_proc_ended(struct mr_keeper *k, uint32_t slot)
{
	struct mr_proc *procs = k->share->c->procs;
	uint64_t until;

	if (!has_ended(k->watch[slot].pidfd))
		return;
	mr_share_lock(k->share, NULL);
	until = k->share->engine->st->now + KEEP_ADOPT_NS;
	/* A child that it was forking: nobody but the child itself could announce it, if it lives. */
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (procs[i].state == PROC_FORKING && procs[i].parent == slot && !procs[i].pid)
			k->watch[i].until = until;
	if (procs[slot].pid == k->watch[slot].pid)
		keep_release(k, slot);
	else
		forget(k, slot);
	mr_share_unlock(k->share);
}

/* Release processes whose time is over. With the lock held. Returns when the next one's is, ns. */
uint64_t keep_expire(struct mr_keeper *k, uint64_t now)
{
	struct mr_commons *c = k->share->c;
	uint64_t next = MR_TIME_NEVER;

	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++) {
		struct keep_watch *w = &k->watch[i];

		if (!w->until)
			continue;
		if (c->procs[i].state == PROC_LIVE && !w->connected)
			w->until = 0; /* a forked child that has joined */
		else if (now >= w->until)
			keep_release(k, i);
		else
			next = mr_min(next, w->until);
	}
	if (k->share->ops->expire)
		next = mr_min(next, k->share->ops->expire(k->share, now));
	return next;
}
