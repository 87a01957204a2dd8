/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posix.h - what the files of the shim share. Process-local state: the share that was joined, the table of descriptors,
 * and what is known of sockets that are not accelerated yet.
 *
 * Functions return 0 (or a count) or a negative errno. Only the interposed functions set errno.
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
extern uint32_t *px_table; /* table of this process's descriptors, in the arena; NULL: not joined */

/* Join the stack if this process may, and has not done so. False: all its sockets are kernel sockets. */
bool px_join(void);
/* Is there a stack that this process has joined or could join? */
bool px_offered(void);

/* Is this descriptor an accelerated socket or epoll instance? Read without the lock; only fd_get() is certain. */
static inline bool fd_ours(int fd)
{
	const uint32_t *table = __atomic_load_n(&px_table, __ATOMIC_RELAXED);

	return mr_unlikely(table != NULL) && (uint32_t)fd < MR_SHARE_FDS_MAX &&
	       entry_ours(__atomic_load_n(&table[fd], __ATOMIC_RELAXED));
}

/* Has the table an entry for this descriptor? */
static inline bool fd_known(int fd)
{
	const uint32_t *table = __atomic_load_n(&px_table, __ATOMIC_RELAXED);

	return mr_unlikely(table != NULL) && (uint32_t)fd < MR_SHARE_FDS_MAX &&
	       __atomic_load_n(&table[fd], __ATOMIC_RELAXED);
}

/* Take the lock and look the descriptor up. NULL: it is not (or no longer) an accelerated socket, and the lock is not
 * held. To use the file after fd_done(), hold a reference. */
struct mr_file *fd_get(int fd);
/* The same for files of any kind. */
struct mr_file *fd_get_any(int fd);
/* Release the lock. */
void fd_done(void);

/* Record why a socket is a kernel socket. */
void fd_kernel(int fd, enum mr_reason reason, const struct mr_endpoint *local,
	       const struct mr_endpoint *peer);
/* fd is about to be closed or overwritten: remove it from the table. */
void fd_forget(int fd);
/* The kernel has made `to` a copy of `from`. */
void fd_copied(int from, int to);
/* fd refers to f from now on, whatever it was. Takes over the reference. With the lock held. */
void fd_becomes(int fd, struct mr_file *f);

/* Read from a kernel socket: an int option of SOL_SOCKET, -1 if it has none; its own or its peer's address (`ask`), 0
 * or a negative errno with *ep all zeros. */
int kernel_option(int fd, int name);
int kernel_endpoint(int fd, int (*ask)(int, struct sockaddr *, socklen_t *),
		    struct mr_endpoint *ep);

/* The result of an interposed function: for a negative result of the expression `call`, -1 and errno; otherwise the
 * result, and errno as it was before. Some programs read errno after a later call that succeeded. */
#define px_result(call)                                                                            \
	({                                                                                         \
		int errno_before_ = errno;                                                         \
		ssize_t result_ = (call);                                                          \
		errno = mr_likely(result_ >= 0) ? errno_before_ : (int)-result_;                   \
		mr_likely(result_ >= 0) ? result_ : (ssize_t)-1;                                   \
	})

/* ---- Waiting (wait.c) ------------------------------------------------------------------------ */

#define FOREVER MR_SHARE_FOREVER

/* The end of a wait of that many ns that begins now; 0: no timeout (SO_RCVTIMEO). */
uint64_t deadline_after(uint64_t ns);
/* From the arguments of poll() and ppoll(). */
uint64_t deadline_ms(int timeout_ms);
uint64_t deadline_timespec(const struct timespec *ts);
/* Nanoseconds until the deadline; 0: it is over. FOREVER for FOREVER. */
uint64_t deadline_left(uint64_t deadline);
/* Would Linux accept it? */
bool timespec_valid(const struct timespec *ts);

/* This thread's waiter, or NULL. Without the lock. */
struct mr_waiter *wait_mine(void);
/* In the child of a fork: forget the waiter, which is the parent's. */
void wait_forked(void);
/* Is this still the thread's waiter, with which a call began? False: a signal handler has forked while the call
 * slept, and this is the child. Its struct mr_sleeper, too, is the parent's and has to be made anew. */
bool wait_is_mine(const struct mr_waiter *w);
/* In that child: make waiter and sleeper anew, for one file. NULL: out of memory. With the lock held. */
struct mr_sleeper *wait_anew(struct mr_waiter **w, struct mr_file *f, uint32_t events,
			     const void *call);

/* A call that sleeps for one file: wait_open(), then wait_look() and wait_sleep() in turns, then wait_close(). */
struct wait {
	struct mr_waiter *waiter;
	struct mr_file *file;
	uint32_t events;
	struct mr_sleeper *link;
	uint64_t deadline;
	bool timed; /* it has a timeout: not restarted after a signal */
	struct handled handled;
};
/* All of these with the lock held. Returns 0 or -ENOMEM. */
int wait_open(struct wait *w, struct mr_file *f, uint32_t events, uint64_t timeout_ns);
/* Look at the file after this call: what becomes ready from now on wakes the thread. */
void wait_look(struct wait *w);
/* Returns 0: look again; -EAGAIN: timeout; -EINTR: a handler without SA_RESTART has run; -ENETDOWN; -EBADF, or
 * -EINTR: a handler has closed the file, which no longer exists. */
int wait_sleep(struct wait *w, struct pollfd *fds, unsigned nfds);
void wait_close(struct wait *w);
/* The last descriptor of f is about to be closed; the caller holds f. If this thread still sleeps for f, then in
 * calls that a signal handler has left by a jump, or has interrupted: those will return. With the lock held. */
void wait_abandon(struct mr_file *f);

/* Calls that may wait are cancellation points. They begin with wait_point(). If they sleep by other means than
 * wait_sleep(), they release everything when the thread is cancelled. */
static inline void wait_point(void)
{
	pthread_testcancel();
}

/* ---- Sockets before they are accelerated (early.c) ------------------------------------------- */

/* A TCP socket was made, which may be accelerated later. */
void early_socket(int fd);
bool early_known(int fd);
/* The same for a socket that the kernel has just made. It stays fresh as long as this process knows everything that
 * was done to it; afterwards its family is 0. */
void early_fresh(int fd, int family);
int early_family(int fd);
void early_touched(int fd);
/* A forked process has them, too, or they are in a message: none is fresh any more. */
void early_shared(void);
/* An option of a fresh socket was set (its index in opt_table); return the options that were set, and how many. */
#define EARLY_OPTIONS 6 /* with more options a socket is no longer fresh */
void early_option(int fd, uint8_t option);
int early_options(int fd, const uint8_t **list_of);
void early_forget(int fd);
void early_copied(int from, int to);
/* Something was set that only a kernel socket can do, or with REASON_NONE no longer. */
void early_keep(int fd, enum mr_reason reason);
enum mr_reason early_kept(int fd);
/* fd was registered with an epoll instance of the kernel, changed there or removed. */
void early_epoll(int epfd, int op, int fd, const struct epoll_event *event);
/* In the child of a fork, when a thread of the parent may have held the lock of early.c. */
void early_forked(void);
/* fd is f now: move its epoll registrations into the stack. With the lock held. */
void early_accelerated(int fd, struct mr_file *f);

/* ---- The kernel's descriptors of accepted connections (stand.c) --------------------------------- */

/* A descriptor for an accepted connection: the lowest number; or -1 with errno. With the lock held. */
int stand_new(int family, bool cloexec);
bool stand_is(int fd);
/* Give fd a kernel socket of its own, if it has none. Returns 0 or a negative errno. With or without the lock. */
int stand_apart(int fd);
int stand_apart_locked(int fd);
void stand_apart_all(void); /* without the lock */
/* fd is about to be closed. With the lock held. */
void stand_forget(int fd);
/* The common socket that such descriptors are copies of, which the program must not close; -1: none. */
int stand_common(bool v6);

/* ---- Families of calls ----------------------------------------------------------------------- */

/* The file of an epoll instance; made if there is none. With the lock held. NULL: out of memory, or epfd is too large
 * for the table. */
struct mr_file *ep_of_fd(int epfd);

/* Options (opt_take.c). */
void opt_take(int fd, struct mr_file *f); /* apply the kernel socket's options */
bool opt_refuses(int fd, enum mr_reason *reason);
/* What connections of a listener inherit: record it for listener f, which is fd; apply it to the accepted connection
 * `to`. */
void opt_listener(int fd, struct mr_file *f);
void opt_inherit(int from, const struct mr_file *listener, int to);

#endif
