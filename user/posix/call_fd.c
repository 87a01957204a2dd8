// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_fd.c - descriptors: close, dup, fcntl, ioctl.
 * Owns        keeping the table in step with the kernel's descriptors.
 * Called by   the program.
 *
 * The table is changed before the kernel closes a descriptor, because right afterwards another thread may get the
 * same number.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <linux/close_range.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix/libc.h"
#include "posix/posix.h"
#include "posix/process.h"

/* ---- close ----------------------------------------------------------------------------------- */

/* SO_LINGER with a timeout: wait until everything is acknowledged; as in Linux, even if the socket is non-blocking. */
static void linger(struct mr_file *f)
{
	struct wait w;
	int64_t seconds = -1;
	int err, state;

	if (f->refs > 1 || f->sock->kind != MR_SOCK_STREAM ||
	    mr_get_option(f->sock, MR_OPT_LINGER, &seconds) || seconds <= 0 ||
	    mr_linger(f->sock) != -EINPROGRESS)
		return;
	/* The descriptor has to be closed in any case. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	err = wait_open(&w, f, EPOLLOUT, (uint64_t)seconds * MR_NS_PER_S);
	while (!err) {
		wait_look(&w);
		if (mr_linger(f->sock) != -EINPROGRESS)
			break;
		err = wait_sleep(&w, NULL, 0);
	}
	wait_close(&w);
	pthread_setcancelstate(state, NULL);
}

static void forget_and_linger(int fd)
{
	struct mr_file *f = fd_ours(fd) ? fd_get(fd) : NULL;

	if (f) {
		file_hold(f);
		wait_abandon(f);
		stand_forget(fd);
		table_clear(px_share, mr_share_proc(px_share), fd);
		linger(f);
		file_put(px_share, f);
		fd_done();
	}
	fd_forget(fd);
}

PUBLIC int close(int fd)
{
	if (mr_unlikely(process_owns_fd(fd)))
		return (int)px_result(-EBADF);
	forget_and_linger(fd);
	return REAL(close)(fd);
}

/* Close [first, last] without the stack's descriptors, range by range. */
static int close_around(unsigned first, unsigned last, int flags)
{
	unsigned from = first, fd;

	if (!(flags & (int)CLOSE_RANGE_CLOEXEC))
		for (fd = first; fd <= mr_min(last, MR_SHARE_FDS_MAX - 1); fd++)
			forget_and_linger((int)fd);
	while (from <= mr_min(last, (unsigned)INT_MAX)) {
		int ours = process_fd_next((int)from);

		fd = (unsigned)ours;
		if (ours < 0 || fd > last)
			break;
		if (fd > from && REAL(close_range)(from, fd - 1, flags) < 0)
			return -1;
		from = fd + 1;
	}
	return from <= last ? REAL(close_range)(from, last, flags) : 0;
}

PUBLIC int close_range(unsigned first, unsigned last, int flags)
{
	if (first > last)
		return (int)px_result(-EINVAL);
	if (process_fd_next(0) < 0)
		return REAL(close_range)(first, last, flags);
	return close_around(first, last, flags);
}

PUBLIC void closefrom(int first)
{
	if (process_fd_next(0) < 0)
		REAL(closefrom)(first);
	else
		close_around((unsigned)mr_max(first, 0), ~0u, 0);
}

/* ---- dup ------------------------------------------------------------------------------------- */

PUBLIC int dup(int fd)
{
	int to = stand_apart_locked(fd);

	if (to)
		return (int)px_result(to);
	to = REAL(dup)(fd);
	if (to >= 0)
		fd_copied(fd, to);
	return to;
}

static int dup_onto(int from, int to, int flags, bool three)
{
	int ret;

	if (mr_unlikely(process_owns_fd(to) || process_owns_fd(from)))
		return (int)px_result(-EBADF);
	if (from == to)
		return three ? REAL(dup3)(from, to, flags) : REAL(dup2)(from, to);
	/* Only a dup2() that succeeds closes the other descriptor. */
	if (fd_known(to) && REAL(fcntl64)(from, F_GETFD) < 0)
		return -1;
	ret = stand_apart_locked(from);
	if (ret)
		return (int)px_result(ret);
	forget_and_linger(to);
	ret = three ? REAL(dup3)(from, to, flags) : REAL(dup2)(from, to);
	if (ret >= 0)
		fd_copied(from, to);
	return ret;
}

PUBLIC int dup2(int from, int to)
{
	return dup_onto(from, to, 0, false);
}

PUBLIC int dup3(int from, int to, int flags)
{
	if (flags & ~O_CLOEXEC)
		return (int)px_result(-EINVAL);
	return dup_onto(from, to, flags, true);
}

/* ---- fstat ----------------------------------------------------------------------------------- */

/* Programs recognise a socket by its inode, even one from another process. */
PUBLIC int fstat(int fd, struct stat *st)
{
	int ret = stand_apart_locked(fd);

	return ret ? (int)px_result(ret) : libc_fstat(fd, st);
}

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one structure");

PUBLIC int fstat64(int fd, struct stat64 *st)
{
	return fstat(fd, (struct stat *)st);
}

/* The names of both functions in programs built with a C library before version 2.33. */
int __fxstat(int version, int fd, struct stat *st);
int __fxstat64(int version, int fd, struct stat64 *st);

PUBLIC int __fxstat(int version, int fd, struct stat *st)
{
	int ret = stand_apart_locked(fd);

	return ret ? (int)px_result(ret) : REAL(__fxstat)(version, fd, st);
}

PUBLIC int __fxstat64(int version, int fd, struct stat64 *st)
{
	return __fxstat(version, fd, (struct stat *)st);
}

PUBLIC int statx(int fd, const char *restrict path, int flags, unsigned mask,
		 struct statx *restrict st)
{
	int ret = flags & AT_EMPTY_PATH ? stand_apart_locked(fd) : 0;

	return ret ? (int)px_result(ret) : REAL(statx)(fd, path, flags, mask, st);
}

/* ---- fcntl ----------------------------------------------------------------------------------- */

#define SETTABLE (O_APPEND | O_DIRECT | O_NOATIME) /* besides O_NONBLOCK and O_ASYNC */

/* O_NONBLOCK is in the file. O_ASYNC is refused, because nobody sends its signals. */
static int set_flags(struct mr_file *f, int fd, int flags)
{
	int kernel = REAL(fcntl64)(fd, F_GETFL), err;

	if (kernel < 0)
		return -errno;
	if (flags & O_ASYNC)
		return -EINVAL;
	f->nonblock = flags & O_NONBLOCK;
	if (!((flags ^ kernel) & SETTABLE))
		return 0;
	err = stand_apart(fd);
	if (err)
		return err;
	/* The kernel socket keeps its own O_NONBLOCK: accept() must not wait for a listener's. */
	return REAL(fcntl64)(fd, F_SETFL, (flags & ~O_NONBLOCK) | (kernel & O_NONBLOCK)) < 0 ?
		       -errno :
		       0;
}

static int fcntl_ours(int fd, int cmd, long arg)
{
	struct mr_file *f = fd_get(fd);
	int ret;

	if (!f)
		return REAL(fcntl64)(fd, cmd, arg);
	if (cmd == F_GETFL) {
		ret = REAL(fcntl64)(fd, F_GETFL);
		if (ret >= 0)
			ret = (ret & ~O_NONBLOCK) | (f->nonblock ? O_NONBLOCK : 0);
		else
			ret = -errno;
	} else {
		ret = set_flags(f, fd, (int)arg);
	}
	fd_done();
	return (int)px_result(ret);
}

/* Set the owner of the kernel socket, too, which sends it no signals. */
static void note_owner(int fd)
{
	struct mr_file *f = fd_ours(fd) ? fd_get(fd) : NULL;

	if (!f)
		return;
	f->owner = mr_share_foreign(px_share) ? 0 : REAL(fcntl64)(fd, F_GETOWN);
	fd_done();
}

PUBLIC int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	long arg;
	int ret;

	/* As in the kernel, a missing argument is not read. */
	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	switch (cmd) {
	case F_GETFL:
	case F_SETFL:
		return fd_ours(fd) ? fcntl_ours(fd, cmd, arg) : REAL(fcntl64)(fd, cmd, arg);
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		ret = stand_apart_locked(fd);
		if (ret)
			return (int)px_result(ret);
		ret = REAL(fcntl64)(fd, cmd, arg);
		if (ret >= 0)
			fd_copied(fd, ret);
		return ret;
	case F_SETOWN:
	case F_SETOWN_EX:
		ret = REAL(fcntl64)(fd, cmd, arg);
		if (!ret)
			note_owner(fd);
		return ret;
	case F_SETFD:
		if (mr_unlikely(process_owns_fd(fd)))
			return (int)px_result(-EBADF);
		return REAL(fcntl64)(fd, cmd, arg);
	case F_GETFD:
		return REAL(fcntl64)(fd, cmd, arg);
	default:
		ret = stand_apart_locked(fd);
		if (ret)
			return (int)px_result(ret);
		return REAL(fcntl64)(fd, cmd, arg);
	}
}

PUBLIC int fcntl(int fd, int cmd, ...) __attribute__((alias("fcntl64")));

/* ---- ioctl ----------------------------------------------------------------------------------- */

static int get_option(struct mr_file *f, enum mr_opt opt, void *arg)
{
	int64_t value;
	int err = mr_get_option(f->sock, opt, &value);

	if (!err)
		*(int *)arg = (int)value;
	return err;
}

/* Positive: the kernel socket has to answer. */
static int ioctl_stream(struct mr_file *f, unsigned long request, void *arg)
{
	bool listener = f->sock->kind == MR_SOCK_LISTENER;

	switch (request) {
	case FIONREAD: /* SIOCINQ */
		return listener ? -EINVAL : get_option(f, MR_OPT_INQ, arg);
	case SIOCOUTQ: /* TIOCOUTQ */
		return listener ? -EINVAL : get_option(f, MR_OPT_OUTQ, arg);
	case SIOCOUTQNSD:
		return listener ? -EINVAL : get_option(f, MR_OPT_OUTQ_UNSENT, arg);
	case SIOCATMARK:
		return get_option(f, MR_OPT_ATMARK, arg);
	case FIONBIO:
		f->nonblock = *(const int *)arg;
		return 0;
	case FIOASYNC:
		return *(const int *)arg ? -EINVAL : 0;
	default:
		return 1;
	}
}

PUBLIC int ioctl(int fd, unsigned long request, ...)
{
	struct mr_file *f;
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	f = fd_ours(fd) ? fd_get(fd) : NULL;
	if (!f)
		return REAL(ioctl)(fd, request, arg);
	ret = ioctl_stream(f, request, arg);
	if (ret > 0)
		ret = stand_apart(fd) ?: 1;
	fd_done();
	if (ret <= 0)
		return (int)px_result(ret);
	ret = REAL(ioctl)(fd, request, arg);
	if (!ret && (request == FIOSETOWN || request == SIOCSPGRP))
		note_owner(fd);
	return ret;
}

PUBLIC int sockatmark(int fd)
{
	int mark;

	return ioctl(fd, SIOCATMARK, &mark) < 0 ? -1 : mark;
}
