// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_proc.c - processes of a shared engine: their slots, fork, and releasing what a dead process held.
 * Owns        commons.procs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "engine/share_priv.h"

struct mr_proc *share_proc_new(struct mr_share *share, enum proc_state state, pid_t pid)
{
	struct mr_commons *c = share->c;

	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++) {
		struct mr_proc *proc = &c->procs[i];

		if (proc->state != PROC_FREE)
			continue;
		proc->pid = pid;
		proc->life = ++c->lives;
		proc->fd_end = 0;
		snprintf(proc->comm, sizeof(proc->comm), "%.15s", program_invocation_short_name);
		/* If the slot's former process has driven last, only its copies of the ring indices were valid. */
		if (c->driver == i)
			c->driver = MR_SHARE_PROCS_MAX;
		proc->state = state;
		return proc;
	}
	return NULL;
}

uint64_t share_pid_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : st.st_ino;
}

bool mr_share_foreign(const struct mr_share *share)
{
	return share->foreign;
}

struct mr_proc *mr_share_proc_next(struct mr_share *share, struct mr_proc *after)
{
	for (uint32_t i = after ? after->index + 1 : 0; i < MR_SHARE_PROCS_MAX; i++)
		if (share->c->procs[i].state != PROC_FREE)
			return &share->c->procs[i];
	return NULL;
}

/* ---- Fork ------------------------------------------------------------------------------------ */

void mr_share_fork_prepare(struct mr_share *share)
{
	pthread_mutex_lock(&share->forking);
	mr_share_lock(share, NULL);
	share->child = share_proc_new(share, PROC_FORKING, 0);
	if (share->child)
		share->child->parent = share->self->index;
	if (share->child && share->ops->fork)
		share->ops->fork(share, share->self, share->child);
	mr_share_unlock(share);
	/* The kernel copies the descriptors before the memory. An eventfd that another thread received in between would
	 * be a number in the child for something else, and what wakes its thread would be written there. */
	pthread_mutex_lock(&share->talk);
}

void mr_share_fork_parent(struct mr_share *share, pid_t pid)
{
	struct mr_proc *child = share->child;

	pthread_mutex_unlock(&share->talk);
	share->child = NULL;
	if (child) {
		mr_share_lock(share, NULL);
		if (pid < 0) {
			share_proc_free(share, child);
		} else if (child->state != PROC_FREE && !child->pid) {
			/* The child may already live, in another PID namespace, and end before it can announce
			 * itself. A pid of ours means something to the keeper only in its own namespace; otherwise
			 * only the child can announce itself. */
			child->pid = share->foreign ? 0 : pid;
			share->c->keeper_news = true;
			if (share->c->kept)
				share_write_event(share, share_keeper(share->c));
		}
		mr_share_unlock(share);
	}
	pthread_mutex_unlock(&share->forking);
}

int mr_share_fork_child(struct mr_share *share)
{
	struct mr_proc *self = share->child;
	uint64_t pid_ns;

	/* Other threads of the parent may have held these locks, and do not exist here. */
	pthread_mutex_init(&share->forking, NULL);
	share_talk_init(share);
	share->child = NULL;
	share->opener = false;
	/* Other threads of the parent may have counted on doing these, and are not here. */
	share->rings = share->nwakes = 0;
	if (!self)
		return -EUSERS;
	share->self = self;
	pid_ns = share->confined ? 0 : share_pid_ns();
	if (pid_ns)
		share->foreign = pid_ns != share->c->pid_ns;
	mr_share_lock(share, NULL);
	if (!share->foreign)
		self->pid = getpid();
	self->state = PROC_LIVE;
	share->c->keeper_news = true; /* in case the parent is gone and no connection can be made */
	mr_share_unlock(share);
	share_join_child(share);
	share_threads_forked(share);
	return 0;
}

/* ---- Death ----------------------------------------------------------------------------------- */

void share_proc_free(struct mr_share *share, struct mr_proc *proc)
{
	struct mr_commons *c = share->c;

	if (share->ops->release)
		share->ops->release(share, proc);
	for (uint32_t i = 1; i < c->nwaiters; i++) {
		struct mr_waiter *w = &c->waiters[i];

		if (w->used && w->proc == proc->index)
			share_waiter_free(share, w);
	}
	proc->pid = 0;
	proc->state = PROC_FREE;
}
