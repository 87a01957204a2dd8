// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_uring.c - io_uring is refused, as by a kernel without it.
 * Called by   the program, through the shared library liburing or syscall().
 *
 * What a program asks of a socket in a ring, the kernel does with the socket behind ours, where nothing ever
 * arrives. Libraries that use rings where there are any (libuv: also for epoll_ctl()) do without them. liburing
 * makes the system call by itself, so that its functions are taken instead. Where it is linked statically into
 * the program nothing of it is seen.
 */
#include <dlfcn.h>
#include <errno.h>
#include <syslog.h>
#include "posix/posix.h"
#include "posix/uring.h"

struct io_uring;
struct io_uring_params;

int io_uring_setup(unsigned entries, struct io_uring_params *params);
int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
			       struct io_uring_params *params);
int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring, struct io_uring_params *params,
			    void *buf, size_t size);

bool uring_refused(void)
{
	static bool told;

	if (!px_offered())
		return false;
	if (!__atomic_exchange_n(&told, true, __ATOMIC_RELAXED) && px_join())
		mr_share_log(px_share, LOG_NOTICE,
			     "io_uring is refused: the stack does not see what goes through it");
	return true;
}

/* liburing's functions return negative errnos. */
#define OR_REFUSE(name, ...)                                                                       \
	({                                                                                         \
		__typeof__(&(name)) real_ = uring_refused() ? NULL : dlsym(RTLD_NEXT, #name);      \
		real_ ? real_(__VA_ARGS__) : -ENOSYS;                                              \
	})

PUBLIC int io_uring_setup(unsigned entries, struct io_uring_params *params)
{
	return OR_REFUSE(io_uring_setup, entries, params);
}

PUBLIC int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	return OR_REFUSE(io_uring_queue_init, entries, ring, flags);
}

PUBLIC int io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *params)
{
	return OR_REFUSE(io_uring_queue_init_params, entries, ring, params);
}

PUBLIC int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring,
				   struct io_uring_params *params, void *buf, size_t size)
{
	return OR_REFUSE(io_uring_queue_init_mem, entries, ring, params, buf, size);
}
