// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_proc.c - processes of a shared engine: their slots, fork, and what the dead leave.
 * Owns        commons.procs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
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
		proc->fd_end = 0;
		snprintf(proc->comm, sizeof(proc->comm), "%.15s", program_invocation_short_name);
		proc->state = state;
		return proc;
	}
	return NULL;
}

/* ---- Fork ------------------------------------------------------------------------------------ */

void mr_share_fork_prepare(struct mr_share *share)
{
	share_acquire(share);
	share->child = share_proc_new(share, PROC_FORKING, 0);
	if (share->child && share->ops->fork)
		share->ops->fork(share, share->self, share->child);
	share_release(share);
}

void mr_share_fork_parent(struct mr_share *share, pid_t pid)
{
	struct mr_proc *child = share->child;

	share->child = NULL;
	if (pid >= 0 || !child)
		return;
	share_acquire(share);
	share_proc_free(share, child);
	share_release(share);
}

int mr_share_fork_child(struct mr_share *share)
{
	share_threads_forked(share);
	share->self = share->child;
	share->child = NULL;
	share->opener = false;
	if (!share->self)
		return -EUSERS;
	share->self->pid = getpid();
	share->self->state = PROC_LIVE;
	return 0;
}

/* ---- Death ----------------------------------------------------------------------------------- */

void share_proc_free(struct mr_share *share, struct mr_proc *proc)
{
	struct mr_commons *c = share->c;

	if (share->ops->release)
		share->ops->release(share, proc);
	for (uint32_t i = 0; i < SHARE_WAITERS_MAX; i++) {
		struct mr_waiter *w = &c->waiters[i];

		if (!w->used || w->proc != proc->index)
			continue;
		if (c->leader == w)
			c->leader = NULL;
		mr_list_del(&w->node);
		w->used = false;
	}
	proc->state = PROC_FREE;
}
