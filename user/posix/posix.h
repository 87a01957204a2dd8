/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posix.h - what the files of the shim offer one another. Process-local state: the share that was joined,
 * the table of descriptors, and what is known of sockets that are not accelerated yet.
 *
 * Functions here return 0 (or a count) or a negative errno; only the interposed functions set errno.
 */
#ifndef MR_POSIX_POSIX_H
#define MR_POSIX_POSIX_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include "posix/addr.h"
#include "posix/file.h"
#include "posix/handlers.h"
#include "posix/real.h"

#define PUBLIC __attribute__((visibility("default")))

/* ---- The process (process.c) ----------------------------------------------------------------- */

extern struct mr_share *px_share; /* NULL: not joined */
extern uint32_t *px_table;	  /* this process's descriptors, in the arena; NULL: not joined */

/* Join the stack if this process may and has not yet. False: its sockets are the kernel's. */
bool px_join(void);
/* Is there a stack to join, joined or not? */
bool px_offered(void);

/* Is this descriptor a file of ours? A look without the lock: only fd_get() knows for sure. */
static inline bool fd_ours(int fd)
{
	const uint32_t *table = __atomic_load_n(&px_table, __ATOMIC_RELAXED);

	return mr_unlikely(table != NULL) && (uint32_t)fd < MR_SHARE_FDS_MAX &&
	       entry_ours(__atomic_load_n(&table[fd], __ATOMIC_RELAXED));
}

/* Is there anything at all to remember of this descriptor? */
static inline bool fd_known(int fd)
{
	const uint32_t *table = __atomic_load_n(&px_table, __ATOMIC_RELAXED);

	return mr_unlikely(table != NULL) && (uint32_t)fd < MR_SHARE_FDS_MAX &&
	       __atomic_load_n(&table[fd], __ATOMIC_RELAXED);
}

/* Take the lock and look the descriptor up. NULL: it is no accelerated socket (any more), and the lock is
 * not held. A file that is used beyond fd_done() must be held. */
struct mr_file *fd_get(int fd);
/* The same for files of any kind. */
struct mr_file *fd_get_any(int fd);
void fd_done(void);

/* Remember why a socket is the kernel's. */
void fd_kernel(int fd, enum mr_reason reason, const struct mr_endpoint *local,
	       const struct mr_endpoint *peer);
/* Forget what is known of fd: it is about to be closed or overwritten. */
void fd_forget(int fd);
/* to is a copy of from, made by the kernel. */
void fd_copied(int from, int to);
/* The number is f's from now on, whatever it was: the reference goes over. With the lock held. */
void fd_becomes(int fd, struct mr_file *f);

/* What the kernel says of a socket: an option of SOL_SOCKET, -1 if it has none; its name, or its peer's (`ask`), 0 or
 * a negative errno with *ep all zeros. */
int kernel_option(int fd, int name);
int kernel_endpoint(int fd, int (*ask)(int, struct sockaddr *, socklen_t *),
		    struct mr_endpoint *ep);

/* What call, an expression, gives back to the program: of a negative result -1, and errno. What succeeds leaves errno
 * as it was before, whatever was tried on the way: there are programs that look at it one call later. */
#define px_result(call)                                                                            \
	({                                                                                         \
		int errno_before_ = errno;                                                         \
		ssize_t result_ = (call);                                                          \
		errno = mr_likely(result_ >= 0) ? errno_before_ : (int)-result_;                   \
		mr_likely(result_ >= 0) ? result_ : (ssize_t)-1;                                   \
	})

/* ---- Waiting (wait.c) ------------------------------------------------------------------------ */

#define FOREVER MR_SHARE_FOREVER

/* When a wait of so many ns that begins now ends; 0 ns: never (SO_RCVTIMEO). */
uint64_t deadline_after(uint64_t ns);
/* From the arguments of poll() and of ppoll(). */
uint64_t deadline_ms(int timeout_ms);
uint64_t deadline_timespec(const struct timespec *ts);
/* Nanoseconds until then; 0: it is over. FOREVER stays what it is. */
uint64_t deadline_left(uint64_t deadline);
/* As Linux checks it. */
bool timespec_valid(const struct timespec *ts);

/* This thread's waiter, or NULL. Without the lock. */
struct mr_waiter *wait_mine(void);
/* This thread is the child of a fork: its waiter is the parent's. */
void wait_forked(void);
/* Is it the one that a call began with? No: a signal handler has forked in its sleep, and this is the child. What it
 * sleeps for is the parent's, too, and must be made anew. */
bool wait_is_mine(const struct mr_waiter *w);
/* What the child sleeps with, for one file, in this call. NULL: out of memory. With the lock held. */
struct mr_sleeper *wait_anew(struct mr_waiter **w, struct mr_file *f, uint32_t events,
			     const void *call);

/* A call that sleeps for one file: opens, then looks and sleeps in turns, closes. */
struct wait {
	struct mr_waiter *waiter;
	struct mr_file *file;
	uint32_t events;
	struct mr_sleeper *link;
	uint64_t deadline;
	bool timed; /* a time limit: no restart after a signal */
	struct handled handled;
};
/* With the lock held, in this order, any number of sleeps in between. 0 or -ENOMEM. */
int wait_open(struct wait *w, struct mr_file *f, uint32_t events, uint64_t timeout_ns);
/* Look at the file after this: what comes later wakes. */
void wait_look(struct wait *w);
/* 0: look again; -EAGAIN: timeout; -EINTR (a handler ran that does not restart); -ENETDOWN. -EBADF, or -EINTR: a
 * handler has closed the file, which is not there any more. */
int wait_sleep(struct wait *w, struct pollfd *fds, unsigned nfds);
void wait_close(struct wait *w);
/* A descriptor of f, which the caller holds, is about to be closed: what this thread still waits for there are calls
 * that a signal handler has jumped out of, or that it has interrupted, and that find out. With the lock held. */
void wait_abandon(struct mr_file *f);

/* The calls that may wait are points of cancellation: they begin with wait_point(), and where they sleep
 * otherwise than by wait_sleep() they let go of everything before the thread ends. */
static inline void wait_point(void)
{
	pthread_testcancel();
}

/* ---- Sockets before they are accelerated (early.c) ------------------------------------------- */

/* A TCP socket was made: it may be accelerated. */
void early_socket(int fd);
bool early_known(int fd);
/* The same of one that the kernel has just made. It stays fresh until something may have happened to it that this
 * process would not know of: then its family is 0. */
void early_fresh(int fd, int family);
int early_family(int fd);
void early_touched(int fd);
/* A process that was forked has all of them, too, or they are in a message. */
void early_shared(void);
/* An option of a fresh one was set (its index in opt_table). Which were, and how many? */
#define EARLY_OPTIONS 6 /* if there are more it is not fresh any more */
void early_option(int fd, uint8_t option);
int early_options(int fd, const uint8_t **list_of);
void early_forget(int fd);
void early_copied(int from, int to);
/* Something was set that only the kernel's socket can do, or (REASON_NONE) no longer. */
void early_keep(int fd, enum mr_reason reason);
enum mr_reason early_kept(int fd);
/* It was registered with the kernel's epoll instance, changed, removed. */
void early_epoll(int epfd, int op, int fd, const struct epoll_event *event);
/* This process is the child of a fork: a thread of the parent's may have been in here. */
void early_forked(void);
/* It is f now: its registrations move into the stack. With the lock held. */
void early_accelerated(int fd, struct mr_file *f);

/* ---- What stands in the kernel for accepted connections (stand.c) ------------------------------ */

/* A descriptor for a connection: the lowest, or -1 with errno. With the lock held. */
int stand_new(int family, bool cloexec);
bool stand_is(int fd);
/* fd gets a kernel socket of its own, if it has none. 0 or a negative errno. With the lock held, or without. */
int stand_apart(int fd);
int stand_apart_locked(int fd);
void stand_apart_all(void); /* without the lock */
/* fd is about to be closed. With the lock held. */
void stand_forget(int fd);
/* The socket that stands for all, which the program must not close; -1: none. */
int stand_common(bool v6);

/* ---- Families of calls ----------------------------------------------------------------------- */

/* The file of an epoll instance, made if there is none yet. With the lock held. NULL: no memory, or epfd is
 * beyond the table. */
struct mr_file *ep_of_fd(int epfd);

/* Options (opt_take.c). */
void opt_take(int fd, struct mr_file *f); /* the kernel socket's, before it is accelerated */
bool opt_refuses(int fd, enum mr_reason *reason);
/* What the connections that come from listener f, which is fd, inherit; and one, to, inherits it. */
void opt_listener(int fd, struct mr_file *f);
void opt_inherit(int from, const struct mr_file *listener, int to);

#endif
