/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share.h - one engine that many processes and threads use: its lock, waiting, and the repair when one of them dies.
 *
 * Arena and UMEM are mapped at the same addresses everywhere, so a pointer into the arena, such as a struct
 * mr_socket *, is valid in every process. struct mr_share itself, like struct mr_engine, belongs to one process. The
 * keeper opens the engine (mr_share_open()), programs join it (mr_share_join()), and forked children continue with it
 * (mr_share_fork_*()).
 *
 * Lock      One lock protects everything in the arena. Every call of an engine or socket function, and every access to
 *	     shared objects, is made between mr_share_lock() and mr_share_unlock(). It is never held while spinning,
 *	     sleeping or in a system call that may block. A thread must not take it twice.
 * Progress  What calls queue is sent by mr_share_unlock(), or soon after it; there is no flush call. Rounds are run by
 *	     threads that wait, and by the keeper when none does.
 * Death     A process killed with the lock held leaves the arena half changed. The next one to take the lock repairs it
 *	     before mr_share_lock() returns: first all layers of the stack, then ops->salvage(). References that a dead
 *	     process held are released by the keeper with ops->release().
 */
#ifndef MR_ENGINE_SHARE_H
#define MR_ENGINE_SHARE_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/arena.h"
#include "engine/engine.h"

struct mr_share;

/* Environment variable: the keeper's name, for mr_share_join(). */
#define MR_SHARE_ENV "MILLRACE_STACK"
/* Environment variable, "number:inode": a pipe's descriptor and inode. While a process has it open, the keeper knows
 * that somebody may still join. */
#define MR_SHARE_LIFE_ENV  "MILLRACE_LIFELINE"
#define MR_SHARE_PROCS_MAX 1024u
#define MR_SHARE_FDS_MAX   65536u /* size of a process's table of descriptors */

/* ---- Processes ------------------------------------------------------------------------------- */

/* A process that uses the engine. In the arena. */
struct mr_proc {
	uint32_t state;	 /* enum proc_state */
	uint32_t index;	 /* 0 .. MR_SHARE_PROCS_MAX - 1 */
	uint32_t parent; /* index of the process that forked it */
	uint64_t life;	 /* number of this use of the slot; never used twice */
	/* In the keeper's PID namespace; 0: not known yet (a child that is being forked). */
	pid_t pid;
	/* For the owner of the table: all entries of fds[] from this one on are unused. */
	uint32_t fd_end;
	/* [MR_SHARE_FDS_MAX], zeroed at first use. The layer above defines the entries. */
	uint32_t *fds;
	char comm[16]; /* program name, for `millrace ss` */
};

/* ---- Interface of the layer above (the shim) ---------------------------------------------------- */

/* One socket of one process, for `millrace ss` and `inspect`. */
struct mr_share_entry { /* One socket of one process, for `millrace ss` and `inspect`. */
	const struct mr_proc *proc;
	int fd;
	const struct mr_socket *sock; /* NULL: a kernel socket */
	const char *reason;	      /* why it is a kernel socket; NULL: it is accelerated */
	uint64_t cookie;	      /* SO_COOKIE of the kernel socket behind it */
	/* Addresses of a kernel socket, if known; otherwise any, and port 0. */
	struct mr_endpoint local, peer;
	const void *file; /* the open file description */
	uint32_t refs;	  /* of the open file description */
	uint32_t flags;	  /* file status flags of the open file description (O_NONBLOCK ...) */
};

/* Callbacks of the layer above. Code cannot lie in the arena, so every process, and the keeper, passes its own copy
 * of the same table. Except outside(), they run with the lock held, must not block, and must not lock, unlock or
 * wait. NULL: nothing to do. */
struct mr_share_ops {
	/* Keeper, at open: bytes of the arena that setup() needs. */
	size_t (*arena_bytes)(const struct mr_config *cfg);
	/* Keeper, at open: make the pools in the arena. mr_share_root() returns *root in every process. Returns 0 or
	 * a negative errno. */
	int (*setup)(struct mr_share *share, struct mr_arena *arena, const struct mr_config *cfg,
		     void **root);
	/* A socket may have become ready (mr_ready()): data, room, a connection to accept, an error, the end. Called
	 * once per round and socket, in whichever process runs the round, whatever mr_set_interest() says. Has to
	 * call mr_share_wake() for those who wait for the socket. */
	void (*ready)(struct mr_share *share, struct mr_socket *sock);
	/* Parent, in mr_share_fork_prepare(): give the child the same descriptors as the parent. */
	void (*fork)(struct mr_share *share, const struct mr_proc *parent, struct mr_proc *child);
	/* A process has ended, or has executed another program: release the references of its table, and clear it. */
	void (*release)(struct mr_share *share, struct mr_proc *proc);
	/* Keeper: drop released objects that were kept for some time, if that time is over. Returns when the next
	 * one's time is over; MR_TIME_NEVER: there is none. */
	uint64_t (*expire)(struct mr_share *share, uint64_t now);
	/* A process died with the lock held, and the stack has been repaired: repair your objects. Sockets that were
	 * being changed were reset (-ECONNRESET is pending). Close the sockets that no object of yours refers to
	 * (mr_share_socket_next()). */
	void (*salvage)(struct mr_share *share);
	/* mr_share_owe() was called while this thread was inside. Called without the lock, right after the thread has
	 * released it. May lock, wait, and not return (siglongjmp()). */
	void (*outside)(struct mr_share *share);
	/* Call each() for every socket of every process. */
	void (*list)(struct mr_share *share,
		     void (*each)(void *user, const struct mr_share_entry *e), void *user);
};

/* ---- Open, join, fork, close ------------------------------------------------------------------- */

/* Open an engine that is shared: by the keeper, or in tests by a program alone. The caller is its first process.
 * Returns 0, or a negative errno with an explanation in *err (may be NULL). */
int mr_share_open(struct mr_share **out, const struct mr_config *cfg,
		  const struct mr_share_ops *ops, struct mr_error *err);
/* Join the engine of the keeper with this name. -ECONNREFUSED: there is none (any more); -EEXIST: its addresses are
 * in use in this process; -EACCES: it belongs to another user; -EUSERS: too many processes. */
int mr_share_join(struct mr_share **out, const char *name, const struct mr_share_ops *ops,
		  struct mr_error *err);
/* Ask the keeper with this name to let a further program of user uid join, as those that it was started for: writes
 * the value of MR_SHARE_ENV for the program into env, and *life becomes a write end of the lifeline, which the program
 * has to inherit. -EPERM: the programs are another user's; -EACCES: so are the keeper or this process; -EOPNOTSUPP: the
 * engine has addresses of its own, or the keeper cannot see this process, in another PID namespace; -ESHUTDOWN,
 * -ECONNREFUSED: it is ending, or has ended; -EPROTO: another build; -EAGAIN: no answer within seconds. */
int mr_share_enter(const char *name, uid_t uid, char *env, size_t size, int *life);
/* Does root or this user keep the socket of this name, and answers? Does not wait. */
bool mr_share_is_keeper(const char *name);
/* To be called after mr_share_join(), when this process's table has been filled with what it inherited through exec.
 * What the program before the exec held may be released now. */
void mr_share_adopted(struct mr_share *share);
/* End this process's part: release its table. In the process that opened the engine: end the engine, too. */
void mr_share_close(struct mr_share *share);

/* For pthread_atfork(), and around vfork(). prepare makes the child's slot and table (ops->fork) before the child
 * exists. pid < 0: the fork failed. After child() the share is the child's; if that fails (negative errno), the share
 * and its sockets cannot be used. */
void mr_share_fork_prepare(struct mr_share *share);
void mr_share_fork_parent(struct mr_share *share, pid_t pid);
int mr_share_fork_child(struct mr_share *share);

/* To be called before the fork of a child that will not reach the keeper (in another network namespace): get eventfds
 * for a few of its threads now. A thread without one has to poll when it sleeps. */
void mr_share_spare(struct mr_share *share);

/* This process is about to give up most system calls (seccomp(2)). From now on this process and its children only
 * read, write, poll one descriptor of their own at a time, wait for futexes and read the clock. They never drive the
 * device: the keeper does it for them. Eventfds for the calling thread and a few more are fetched now. Returns 0 or a
 * negative errno; -ENOTSUP: there is no keeper. */
int mr_share_confine(struct mr_share *share);
/* The process did not give up its system calls after all. */
void mr_share_unconfine(struct mr_share *share);
bool mr_share_confined(const struct mr_share *share);
/* Is this process in another PID namespace than the keeper? Then struct mr_proc.pid has no meaning here. */
bool mr_share_foreign(const struct mr_share *share);

/* ---- The lock -------------------------------------------------------------------------------- */

/* Take the lock. sock: the socket that is going to be changed; NULL: none (yet). If this process is killed before the
 * unlock, that socket is reset, and no other. The time stands still until the unlock (mr_share_now()). Returns 0, or
 * -ENETDOWN: the engine is over (interface or keeper gone); the lock is held in any case. */
int mr_share_lock(struct mr_share *share, struct mr_socket *sock);
/* With the lock held: sock is the next one that is going to be changed. */
/* Send what the calls have queued (see mr_share_batch()), and release the lock. */
void mr_share_touch(struct mr_share *share, struct mr_socket *sock);
void mr_share_unlock(struct mr_share *share);

/* ---- With the lock held ---------------------------------------------------------------------- */

struct mr_engine *mr_share_engine(struct mr_share *share);
void *mr_share_root(struct mr_share *share);
struct mr_proc *mr_share_proc(struct mr_share *share); /* this process */
uint64_t mr_share_now(const struct mr_share *share);   /* ns, CLOCK_MONOTONIC */
/* Run one round now: send, receive, run timers, call ops->ready(). Returns 0 or -ENETDOWN. */
int mr_share_round(struct mr_share *share);
/* told: this thread has just got events to answer, and will wait again after that. What its calls queue until then
 * may be sent together: by that wait, or by the keeper if the wait does not come soon. For threads that are often
 * late it is sent at once. Not told: the wait ended without events. */
void mr_share_batch(struct mr_share *share, bool told);
/* Is something unsent because of mr_share_batch(), and not late yet? Then events that are ready can be returned
 * without a round. */
bool mr_share_puts_off(const struct mr_share *share);
/* Iterate over all processes, including this one: NULL begins; NULL: no more. */
struct mr_proc *mr_share_proc_next(struct mr_share *share, struct mr_proc *after);
/* Iterate over all sockets, in no order: NULL begins; NULL: no more. */
struct mr_socket *mr_share_socket_next(struct mr_share *share, struct mr_socket *after);

/* ---- Waiting --------------------------------------------------------------------------------- */

/* A thread that may sleep. In the arena; ops->ready() finds it through the objects of the layer above. */
struct mr_waiter;

/* This thread's waiter. Made at first use, freed when the thread ends. NULL: too many. */
struct mr_waiter *mr_share_waiter(struct mr_share *share);
/* This thread's waiter if it was made already, else NULL. With or without the lock. */
struct mr_waiter *mr_share_waiter_made(struct mr_share *share);

/* With the lock held: make w's thread, in whichever process it is, return from mr_share_wait(), even if it has not
 * called it yet. Cheap if the thread is awake. */
void mr_share_wake(struct mr_share *share, struct mr_waiter *w);
/* Clear earlier wake-ups. Then check the condition, then call mr_share_wait(). */
void mr_share_wait_begin(struct mr_share *share, struct mr_waiter *w);

#define MR_SHARE_FOREVER UINT64_MAX

/* Release the lock until w is woken, one of fds is ready (its revents are set), deadline_ns (CLOCK_MONOTONIC) is
 * over, or a signal handler has run; then take the lock again and return. The engine goes on meanwhile. sigmask is as
 * in ppoll(2); NULL: unchanged.
 *
 *	mr_share_lock(share, sock);
 *	for (;;) {
 *		mr_share_wait_begin(share, w);
 *		ret = mr_recv(sock, buf, len, 0);	(or: look at all of a poll set)
 *		if (ret != -EAGAIN)
 *			break;
 *		ret = mr_share_wait(share, w, NULL, 0, deadline, NULL);
 *		if (ret < 0)
 *			break;
 *	}
 *	mr_share_unlock(share);
 *
 * Returns 0: woken; > 0: the number of fds that are ready (woken or not); -ETIMEDOUT, -EINTR, -ENETDOWN. If the
 * deadline is over at the call (0, for example), it runs a round and looks at fds, but never sleeps.
 * It is a cancellation point while it sleeps; cleanup handlers run with the lock held.
 * In the child of a fork that a signal handler made during the wait: -EINTR, and w is the parent's waiter, no longer
 * this thread's (mr_share_waiter_made()). */
int mr_share_wait(struct mr_share *share, struct mr_waiter *w, struct pollfd *fds, unsigned nfds,
		  uint64_t deadline_ns, const sigset_t *sigmask);

/* ---- Signal handlers ------------------------------------------------------------------------- */

/* Async-signal-safe. Does this thread hold the lock, or is it about to take or release it? Then the signal handler
 * must not use the stack; what it wanted to do has to be put off: see mr_share_owe(). */
bool mr_share_inside(void);
/* Async-signal-safe. Call ops->outside() once, when this thread is no longer inside. */
void mr_share_owe(void);
/* Async-signal-safe. A handler that was allowed to use the stack has ended: if this thread waits, or is in a call
 * that is going to wait, mr_share_wait() returns -EINTR. */
void mr_share_interrupt(void);

/* ---- The keeper ------------------------------------------------------------------------------ */

struct mr_keeper;

struct mr_keeper_cfg {
	uid_t uid; /* of the programs; other users join only with the secret in MR_SHARE_ENV */
	/* Read end of the pipe of MR_SHARE_LIFE_ENV, whose write end the programs inherit; -1: none. */
	int life_fd;
	int log_level;	/* log level of the programs, whose messages go to the engine's log */
	pid_t main_pid; /* process whose end main_ended() reports; 0: none */
	void (*main_ended)(void *user); /* other processes may go on */
	void *user;
	const sigset_t *sigmask;	   /* while it sleeps; NULL: unchanged */
	const volatile sig_atomic_t *stop; /* mr_keeper_run() ends when it is set; NULL: never */
};

/* Become the keeper of an engine that this process has opened. Returns 0, or a negative errno with an explanation in
 * *err. */
int mr_keeper_open(struct mr_keeper **out, struct mr_share *share, const struct mr_keeper_cfg *cfg,
		   struct mr_error *err);
/* Write the value of MR_SHARE_ENV into buf. Returns buf. */
char *mr_keeper_name(const struct mr_keeper *k, char *buf, size_t size);
/* Serve until the last process has ended and all of their data is sent, or until cfg.stop. Blocks. Returns 0, or
 * -ENETDOWN: the interface is gone. */
int mr_keeper_run(struct mr_keeper *k);
/* The share is not closed. */
void mr_keeper_close(struct mr_keeper *k);

/* ---- Without the lock ------------------------------------------------------------------------ */

/* Does the engine need this descriptor in this process (sockets, events, memory)? Then the program must not close
 * it. */
bool mr_share_owns_fd(const struct mr_share *share, int fd);
/* The lowest such descriptor >= from; -1: none. */
int mr_share_fd_next(const struct mr_share *share, int from);

/* Send one line (without newline) to the keeper's log; level is one of syslog(3). The line is lost if the keeper does
 * not keep up, and in a confined process. */
__attribute__((format(printf, 3, 4))) void mr_share_log(const struct mr_share *share, int level,
							const char *fmt, ...);

#endif
