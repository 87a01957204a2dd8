/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * real.h - the C library's functions behind those that the shim interposes.
 */
#ifndef MR_POSIX_REAL_H
#define MR_POSIX_REAL_H

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include "base/compiler.h"

/* X(result, name, parameters) of every interposed function. */
#define MR_REAL_LIST(X)                                                                            \
	X(int, socket, (int, int, int))                                                            \
	X(int, bind, (int, const struct sockaddr *, socklen_t))                                    \
	X(int, listen, (int, int))                                                                 \
	X(int, accept, (int, struct sockaddr *, socklen_t *))                                      \
	X(int, accept4, (int, struct sockaddr *, socklen_t *, int))                                \
	X(int, connect, (int, const struct sockaddr *, socklen_t))                                 \
	X(int, shutdown, (int, int))                                                               \
	X(int, getsockname, (int, struct sockaddr *, socklen_t *))                                 \
	X(int, getpeername, (int, struct sockaddr *, socklen_t *))                                 \
	X(int, getsockopt, (int, int, int, void *, socklen_t *))                                   \
	X(int, setsockopt, (int, int, int, const void *, socklen_t))                               \
	X(int, sockatmark, (int))                                                                  \
	X(ssize_t, read, (int, void *, size_t))                                                    \
	X(ssize_t, write, (int, const void *, size_t))                                             \
	X(ssize_t, readv, (int, const struct iovec *, int))                                        \
	X(ssize_t, writev, (int, const struct iovec *, int))                                       \
	X(ssize_t, pread64, (int, void *, size_t, off64_t))                                        \
	X(ssize_t, pwrite64, (int, const void *, size_t, off64_t))                                 \
	X(ssize_t, preadv64, (int, const struct iovec *, int, off64_t))                            \
	X(ssize_t, pwritev64, (int, const struct iovec *, int, off64_t))                           \
	X(ssize_t, preadv64v2, (int, const struct iovec *, int, off64_t, int))                     \
	X(ssize_t, pwritev64v2, (int, const struct iovec *, int, off64_t, int))                    \
	X(ssize_t, recv, (int, void *, size_t, int))                                               \
	X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))           \
	X(ssize_t, recvmsg, (int, struct msghdr *, int))                                           \
	X(int, recvmmsg, (int, struct mmsghdr *, unsigned, int, struct timespec *))                \
	X(ssize_t, send, (int, const void *, size_t, int))                                         \
	X(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t))   \
	X(ssize_t, sendmsg, (int, const struct msghdr *, int))                                     \
	X(int, sendmmsg, (int, struct mmsghdr *, unsigned, int))                                   \
	X(ssize_t, sendfile64, (int, int, off64_t *, size_t))                                      \
	X(ssize_t, splice, (int, off64_t *, int, off64_t *, size_t, unsigned))                     \
	X(int, close, (int))                                                                       \
	X(int, close_range, (unsigned, unsigned, int))                                             \
	X(void, closefrom, (int))                                                                  \
	X(int, dup, (int))                                                                         \
	X(int, dup2, (int, int))                                                                   \
	X(int, dup3, (int, int, int))                                                              \
	X(int, fstat, (int, struct stat *))                                                        \
	X(int, __fxstat, (int, int, struct stat *))                                                \
	X(int, statx, (int, const char *restrict, int, unsigned, struct statx *restrict))          \
	X(int, fcntl64, (int, int, ...))                                                           \
	X(int, ioctl, (int, unsigned long, ...))                                                   \
	X(int, poll, (struct pollfd *, nfds_t, int))                                               \
	X(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))        \
	X(int, select, (int, fd_set *, fd_set *, fd_set *, struct timeval *))                      \
	X(int, pselect,                                                                            \
	  (int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *))          \
	X(int, epoll_create, (int))                                                                \
	X(int, epoll_create1, (int))                                                               \
	X(int, epoll_ctl, (int, int, int, struct epoll_event *))                                   \
	X(int, epoll_wait, (int, struct epoll_event *, int, int))                                  \
	X(int, epoll_pwait, (int, struct epoll_event *, int, int, const sigset_t *))               \
	X(int, epoll_pwait2,                                                                       \
	  (int, struct epoll_event *, int, const struct timespec *, const sigset_t *))             \
	X(pid_t, fork, (void))                                                                     \
	X(pid_t, _Fork, (void))                                                                    \
	X(int, clone, (int (*)(void *), void *, int, void *, ...))                                 \
	X(int, execve, (const char *, char *const[], char *const[]))                               \
	X(int, execvpe, (const char *, char *const[], char *const[]))                              \
	X(int, fexecve, (int, char *const[], char *const[]))                                       \
	X(int, system, (const char *))                                                             \
	X(FILE *, popen, (const char *, const char *))                                             \
	X(int, pclose, (FILE *))                                                                   \
	X(int, fclose, (FILE *))                                                                   \
	X(int, posix_spawn,                                                                        \
	  (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,   \
	   char *const[], char *const[]))                                                          \
	X(int, posix_spawnp,                                                                       \
	  (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,   \
	   char *const[], char *const[]))                                                          \
	X(int, sigaction, (int, const struct sigaction *, struct sigaction *))                     \
	X(int, prctl, (int, ...))                                                                  \
	X(int, prlimit64,                                                                          \
	  (pid_t, enum __rlimit_resource, const struct rlimit64 *, struct rlimit64 *))             \
	X(FILE *, fdopen, (int, const char *))                                                     \
	X(long, syscall, (long, ...))

struct real {
#define X(result, name, args) result(*name) args;
	MR_REAL_LIST(X)
#undef X
};

extern struct real real_table;
extern int real_ready; /* 0 until real_table is filled in */

void real_load(void);

/* The table, filled in at the first call, because constructors of other libraries may run before ours. */
static inline const struct real *real_get(void)
{
	if (mr_unlikely(!__atomic_load_n(&real_ready, __ATOMIC_ACQUIRE)))
		real_load();
	return &real_table;
}

#define REAL(name) (real_get()->name)

#endif
