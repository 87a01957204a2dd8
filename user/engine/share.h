/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share.h - one engine driven by many processes and threads: who may touch it, who sleeps for it, and
 * what is left when one of them dies.
 *
 * Arena and UMEM are mapped at the same addresses everywhere, so a struct mr_socket * (or any other
 * pointer into the arena) means the same in every process. struct mr_share itself, like struct
 * mr_engine, is the process's own. The keeper opens the engine (mr_share_open()), programs join it
 * (mr_share_join()), forked children go on with it (mr_share_fork_*()).
 *
 * Lock      One lock for everything in the arena. Every call on an engine or a socket, and every look at
 *	     shared objects, is made between mr_share_lock() and mr_share_unlock(). Never held while
 *	     spinning, sleeping or in a system call that may block. Not to be taken twice by one thread.
 * Progress  mr_share_unlock() sees to it that what the calls queued is sent, at once or soon; there is nothing to
 *	     flush.
 *	     Rounds are run by whoever waits, and by the keeper when nobody does.
 * Death     A process killed with the lock held leaves the arena half changed. The next one to take the lock
 *	     repairs it before mr_share_lock() returns: all layers of the stack, then ops->salvage().
 *	     What the dead process held without the lock, the keeper gives back by ops->release().
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

#define MR_SHARE_ENV "MILLRACE_STACK" /* environment: the keeper's name, for mr_share_join() */
#define MR_SHARE_LIFE_ENV                                                                          \
	"MILLRACE_LIFELINE" /* environment: the descriptor by which the keeper sees that                   \
			     * somebody is there who may still join, and its inode: "number:inode" */
#define MR_SHARE_PROCS_MAX 1024u
#define MR_SHARE_FDS_MAX   65536u /* descriptor numbers that a process's table knows */

/* ---- Processes ------------------------------------------------------------------------------- */

/* A process that uses the engine. In the arena. */
struct mr_proc {
	uint32_t state;	 /* the engine's */
	uint32_t index;	 /* 0 .. MR_SHARE_PROCS_MAX - 1 */
	uint32_t parent; /* index of the process that forked it */
	uint64_t life;	 /* which of all that have had this place; no two have the same */
	pid_t pid; /* as the keeper sees it; 0: not known yet (a child that is being forked) */
	/* For the owner of the table: no entry of fds[] at or behind this is in use. */
	uint32_t fd_end;
	/* [MR_SHARE_FDS_MAX], zeroed at first use; what an entry means is the owner's. */
	uint32_t *fds;
	char comm[16]; /* name of the program, for `millrace ss` */
};

/* ---- What stands above (the shim) ------------------------------------------------------------ */

/* One socket of one process, for `millrace ss` and `inspect`. */
struct mr_share_entry {
	const struct mr_proc *proc;
	int fd;
	const struct mr_socket *sock; /* NULL: the kernel's */
	const char *reason;	      /* why it is the kernel's; NULL: accelerated */
	uint64_t cookie;	      /* SO_COOKIE of the kernel socket behind it */
	/* Of the kernel's, as far as known; else any and port 0. */
	struct mr_endpoint local, peer;
	const void *file; /* the open file description */
	uint32_t refs;	  /* of it */
	uint32_t flags;	  /* of it, O_NONBLOCK and so on */
};

/* Code cannot be in the arena: every process, the keeper too, brings the same table of its own. All of
 * them, but outside(), run with the lock held, must not block, and must not lock, unlock or wait. NULL: nothing
 * to do. */
struct mr_share_ops {
	/* Keeper, at open: how many bytes of the arena setup() will take. */
	size_t (*arena_bytes)(const struct mr_config *cfg);
	/* Keeper, at open: make the pools in the arena. *root is what mr_share_root() will give in every
	 * process. 0 or a negative errno. */
	int (*setup)(struct mr_share *share, struct mr_arena *arena, const struct mr_config *cfg,
		     void **root);
	/* The readiness of a socket (mr_ready()) may have grown: data, room, a connection to accept, an
	 * error, the end. Once per round and socket, in whatever process runs the round. Wakes who
	 * waits for it: mr_share_wake(). Every socket is reported, whatever its mr_set_interest(). */
	void (*ready)(struct mr_share *share, struct mr_socket *sock);
	/* Parent, in mr_share_fork_prepare(): the child gets what the parent has. */
	void (*fork)(struct mr_share *share, const struct mr_proc *parent, struct mr_proc *child);
	/* A process is gone (or has become another by exec): drop the references of its table and
	 * clear it. */
	void (*release)(struct mr_share *share, struct mr_proc *proc);
	/* Keeper: drop what of the released had still some time, if that is over. Returns when the next one's is;
	 * MR_TIME_NEVER: there is none. */
	uint64_t (*expire)(struct mr_share *share, uint64_t now);
	/* A process died inside the lock, the stack is repaired: put your objects right. Sockets in
	 * hand were reset (-ECONNRESET is pending). A socket that nothing of yours refers to is yours to
	 * close: mr_share_socket_next(). */
	void (*salvage)(struct mr_share *share);
	/* Without the lock, in the thread that has just given it back, or given up: mr_share_owe() was called
	 * meanwhile. May lock, wait, and not return (siglongjmp). */
	void (*outside)(struct mr_share *share);
	/* Call back for every socket of every process. */
	void (*list)(struct mr_share *share,
		     void (*each)(void *user, const struct mr_share_entry *e), void *user);
};

/* ---- Coming and going ------------------------------------------------------------------------ */

/* Open an engine to be shared: the keeper, or a program alone with it (tests). The caller is its first
 * process. 0 or a negative errno, *err (may be NULL) explains. */
int mr_share_open(struct mr_share **out, const struct mr_config *cfg,
		  const struct mr_share_ops *ops, struct mr_error *err);
/* Join the engine of the keeper that is called name. -ECONNREFUSED: there is none (any more);
 * -EEXIST: its addresses are taken in this process; -EACCES: another user's; -EUSERS: too many
 * processes. */
int mr_share_join(struct mr_share **out, const char *name, const struct mr_share_ops *ops,
		  struct mr_error *err);
/* After mr_share_join(), when this process's table is filled with what it inherited through exec: what
 * the program before the exec held may be released now. */
void mr_share_adopted(struct mr_share *share);
/* End this process's part (the opener: the engine). Releases its table. */
void mr_share_close(struct mr_share *share);

/* For pthread_atfork(), in this order; vfork counts as fork. prepare gives the child its slot and table
 * (ops->fork) before it exists. pid < 0: the fork failed. After child() the share is the child's. When
 * that fails (a negative errno), the share is of no use and its sockets fail. */
void mr_share_fork_prepare(struct mr_share *share);
void mr_share_fork_parent(struct mr_share *share, pid_t pid);
int mr_share_fork_child(struct mr_share *share);

/* A child is about to be made that will not reach the keeper (in another network namespace): fetch now what its threads
 * need to sleep, a few of them. Those who have nothing look again and again. */
void mr_share_spare(struct mr_share *share);

/* This process is about to give up most system calls (seccomp(2)). From now on it, and what it forks, only
 * reads, writes, polls one descriptor of its own at a time, waits for futexes and asks for the time: it
 * never drives the device, the keeper does, whom it rings. What that takes is fetched now, for the calling
 * thread and a few more. 0 or a negative errno: -ENOTSUP without a keeper. */
int mr_share_confine(struct mr_share *share);
/* It kept its system calls after all. */
void mr_share_unconfine(struct mr_share *share);
bool mr_share_confined(const struct mr_share *share);
/* Is this process in another PID namespace than the keeper? Numbers of processes mean something else there. */
bool mr_share_foreign(const struct mr_share *share);

/* ---- The lock -------------------------------------------------------------------------------- */

/* sock: the socket that is about to be changed, NULL where there is none (yet): should this process die
 * now, it is reset, and no other. Time stands still until the unlock (mr_share_now()). 0, or -ENETDOWN:
 * the engine is over (interface or keeper gone); the lock is held all the same. */
int mr_share_lock(struct mr_share *share, struct mr_socket *sock);
/* The next one, with the lock held. */
void mr_share_touch(struct mr_share *share, struct mr_socket *sock);
void mr_share_unlock(struct mr_share *share);

/* ---- With the lock held ---------------------------------------------------------------------- */

struct mr_engine *mr_share_engine(struct mr_share *share);
void *mr_share_root(struct mr_share *share);
struct mr_proc *mr_share_proc(struct mr_share *share); /* this process */
uint64_t mr_share_now(const struct mr_share *share);   /* ns, CLOCK_MONOTONIC */
/* Run one round now: send, receive, timers; ops->ready() for what came of it. 0 or -ENETDOWN. */
int mr_share_round(struct mr_share *share);
/* This thread was told of events, and will wait anew when it has answered them: what its calls queue until then may be
 * sent together, with that wait at the latest if it comes soon, by the keeper if it does not. Threads that often come
 * late send at once. Not told: it has waited in vain. */
void mr_share_batch(struct mr_share *share, bool told);
/* Does something wait for that, and may still? Who is ready already is told without a round. */
bool mr_share_puts_off(const struct mr_share *share);
/* Every process, this one included: NULL begins; NULL: no more. */
struct mr_proc *mr_share_proc_next(struct mr_share *share, struct mr_proc *after);
/* Every socket, in no order: NULL begins; NULL: no more. */
struct mr_socket *mr_share_socket_next(struct mr_share *share, struct mr_socket *after);

/* ---- Waiting --------------------------------------------------------------------------------- */

/* A thread that may sleep. In the arena, known by its address everywhere: ops->ready() finds it through
 * the objects above. */
struct mr_waiter;

/* This thread's; made at first use, gone with the thread. NULL: too many. */
struct mr_waiter *mr_share_waiter(struct mr_share *share);
/* The same where it has been made, else NULL; with or without the lock. */
struct mr_waiter *mr_share_waiter_made(struct mr_share *share);

/* With the lock held: make it return from mr_share_wait(), also from one that has not begun. Cheap when
 * it is awake. In whatever process it is. */
void mr_share_wake(struct mr_share *share, struct mr_waiter *w);
/* Forget wake-ups of before: then look at what you wait for, then wait. */
void mr_share_wait_begin(struct mr_share *share, struct mr_waiter *w);

#define MR_SHARE_FOREVER UINT64_MAX

/* A point of cancellation while it sleeps: clean-up handlers find the lock held.
 * Give up the lock until w is woken, one of fds is ready (their revents are set), deadline_ns
 * (CLOCK_MONOTONIC) has come, or a signal handler has run; the lock is held again at return. The engine
 * goes on meanwhile. sigmask as in ppoll(2), or NULL.
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
 * 0: woken; > 0: so many of fds are ready (woken or not); -ETIMEDOUT, -EINTR, -ENETDOWN. With a deadline
 * that has passed (0, say) it runs a round and looks at fds, and never sleeps.
 * In the child of a fork that a signal handler made meanwhile: -EINTR, and w, the parent's, is not this thread's any
 * more (mr_share_waiter_made()). */
int mr_share_wait(struct mr_share *share, struct mr_waiter *w, struct pollfd *fds, unsigned nfds,
		  uint64_t deadline_ns, const sigset_t *sigmask);

/* ---- Signal handlers ------------------------------------------------------------------------- */

/* For signal handlers; async-signal-safe. Does this thread have the lock, or is it about to get it or to give
 * it back, or in the middle of something of the kind? Then a handler must not use the stack, and whatever does is
 * put off: */
bool mr_share_inside(void);
/* to when ops->outside() is called, once. */
void mr_share_owe(void);
/* A handler that was free to use the stack is done: if this thread waits, or has begun a call that is going
 * to, mr_share_wait() returns -EINTR. */
void mr_share_interrupt(void);

/* ---- The keeper ------------------------------------------------------------------------------ */

struct mr_keeper;

struct mr_keeper_cfg {
	uid_t uid;   /* of the programs; others join only with the secret in MR_SHARE_ENV's value */
	int life_fd; /* the read end of a pipe whose write end the programs inherit; -1: none */
	int log_level;	/* of their log, which goes where the engine's goes */
	pid_t main_pid; /* of the process that all this is for; 0: none. At its end ... */
	void (*main_ended)(void *user); /* ... this is called; others may go on */
	void *user;
	const sigset_t *sigmask;	   /* while it sleeps; NULL: as it is */
	const volatile sig_atomic_t *stop; /* end when it is set; NULL: never */
};

/* Become the keeper of an engine that this process has opened. */
int mr_keeper_open(struct mr_keeper **out, struct mr_share *share, const struct mr_keeper_cfg *cfg,
		   struct mr_error *err);
/* The value of MR_SHARE_ENV for those who shall join. Returns buf. */
char *mr_keeper_name(const struct mr_keeper *k, char *buf, size_t size);
/* Keep, until the last process is gone and nothing of theirs is unsent, or cfg.stop. 0, or -ENETDOWN: the
 * interface is gone. */
int mr_keeper_run(struct mr_keeper *k);
/* The share stays. */
void mr_keeper_close(struct mr_keeper *k);

/* ---- Without the lock ------------------------------------------------------------------------ */

/* Is this one of the descriptors that the engine needs in this process (sockets, events, memory)? The
 * program must not close them. */
bool mr_share_owns_fd(const struct mr_share *share, int fd);
/* The lowest one of them from `from` on; -1: none. */
int mr_share_fd_next(const struct mr_share *share, int from);

/* One line (no newline) for the keeper's log; level as in syslog(3). Lost where the keeper does not keep up,
 * and in a confined process. */
__attribute__((format(printf, 3, 4))) void mr_share_log(const struct mr_share *share, int level,
							const char *fmt, ...);

#endif
