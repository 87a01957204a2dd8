// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_clone.c - processes made by clone(2) instead of fork().
 * Called by   the program, with clone() or syscall().
 *
 * For the stack such a child is like one of fork(), but the C library has not seen it: the thread ID that it stores
 * for mutexes is the parent's, and the kernel has no list of robust mutexes. A lock that the child holds when it dies
 * would stay locked. So what fork() does for these two is done here.
 *
 * Threads are left alone. A process that shares our memory, but not our descriptors, gets a copy of the memory
 * instead, as with vfork(): it could not have a table of its own.
 */
#include <linux/futex.h>
#include <linux/sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>
#include "base/compiler.h"
#include "posix/posix.h"
#include "posix/process.h"

/* ---- What the C library and the kernel know of this thread ----------------------------------- */

struct thread_self {
	pid_t *tid; /* where the C library stores it; the kernel clears it at the thread's end */
	struct robust_list_head *robust;
	size_t robust_len;
};

static bool thread_look(struct thread_self *self)
{
	self->tid = NULL;
	return !REAL(syscall)(SYS_get_robust_list, 0, &self->robust, &self->robust_len) &&
	       !prctl(PR_GET_TID_ADDRESS, &self->tid) && self->tid && self->robust;
}

/* Make the only thread of a new process what the thread that made it was: set its ID, and its robust list. */
static void thread_renew(const struct thread_self *self)
{
	*self->tid = (pid_t)REAL(syscall)(SYS_set_tid_address, self->tid);
	self->robust->list.next = &self->robust->list;
	self->robust->list_op_pending = NULL;
	REAL(syscall)(SYS_set_robust_list, self->robust, self->robust_len);
}

/* ---- The child -------------------------------------------------------------------------------- */

/* A child that is no member of the stack could take its lock, and nobody would notice its death. */
static int refuse(void)
{
	if (px_share)
		mr_share_log(px_share, LOG_ERR,
			     "clone(2) refused: this kernel lacks PR_GET_TID_ADDRESS");
	errno = ENOSYS;
	return -1;
}

/* Is it a new process whose memory is a copy, or has to be one? */
static bool makes_process(uint64_t flags)
{
	return !(flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_FILES));
}

/* The keeper's name is only known in its network namespace. */
static void prepare_for(uint64_t flags)
{
	if (px_share && flags & CLONE_NEWNET)
		mr_share_spare(px_share);
}

long process_clone(long nr, const long arg[6])
{
	const struct clone_args *args = (const void *)(uintptr_t)arg[0];
	struct thread_self self;
	long pid;
	bool shared;

	if (!thread_look(&self))
		return refuse();
	if (nr == SYS_clone || nr == SYS_clone3)
		prepare_for(nr == SYS_clone3 ? args->flags : (uint64_t)arg[0]);
	shared = process_fork_begin();
	pid = REAL(syscall)(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	if (!pid)
		thread_renew(&self);
	process_fork_end(shared, (pid_t)pid);
	return pid;
}

bool process_clones(long nr, const long arg[6])
{
	const struct clone_args *args = (const void *)(uintptr_t)arg[0];

	if (nr == SYS_clone3)
		return !args->stack && !(args->flags & CLONE_VM) && makes_process(args->flags);
	return nr == SYS_clone && !arg[1] && !((uint64_t)arg[0] & CLONE_VM) &&
	       makes_process((uint64_t)arg[0]);
}

struct start {
	struct thread_self self;
	int (*fn)(void *);
	void *arg;
	bool shared;
};

static int start(void *arg)
{
	const struct start *s = arg;

	thread_renew(&s->self);
	process_fork_end(s->shared, 0);
	return s->fn(s->arg);
}

PUBLIC int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	struct start s = { .fn = fn, .arg = arg };
	pid_t *parent_tid, *child_tid;
	void *tls;
	va_list ap;
	int pid;

	va_start(ap, arg);
	parent_tid = va_arg(ap, pid_t *);
	tls = va_arg(ap, void *);
	child_tid = va_arg(ap, pid_t *);
	va_end(ap);
	if (!px_offered() || !makes_process((unsigned)flags))
		return REAL(clone)(fn, stack, flags, arg, parent_tid, tls, child_tid);
	if (!thread_look(&s.self))
		return refuse();
	prepare_for((unsigned)flags);
	s.shared = process_fork_begin();
	pid = REAL(clone)(start, stack, flags & ~CLONE_VM, &s, parent_tid, tls, child_tid);
	process_fork_end(s.shared, pid);
	return pid;
}
