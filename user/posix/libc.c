// SPDX-License-Identifier: BSD-2-Clause
/*
 * libc.c - the C library for the stack itself. In the shim's library, the stack's own calls of interposed functions
 * must not enter the shim. The Makefile renames them (libc_close for close, and so on, from libc.h); here they call
 * the C library, or make the system call directly.
 *
 * Directly, because functions of the C library are cancellation points, and the stack calls these with its lock held.
 * Only poll() and ppoll(), with which a thread sleeps, are cancellation points here, too.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include "posix/libc.h"
#include "posix/real.h"

/* Calls whose result is an int. */
#define RAW(name, ...) ((int)REAL(syscall)(SYS_##name, __VA_ARGS__))

int libc_socket(int domain, int type, int protocol)
{
	return REAL(socket)(domain, type, protocol);
}

int libc_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	return REAL(bind)(fd, sa, len);
}

int libc_listen(int fd, int backlog)
{
	return REAL(listen)(fd, backlog);
}

int libc_accept(int fd, struct sockaddr *sa, socklen_t *len)
{
	return RAW(accept4, fd, sa, len, 0);
}

int libc_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	return RAW(accept4, fd, sa, len, flags);
}

int libc_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return RAW(connect, fd, sa, len);
}

int libc_shutdown(int fd, int how)
{
	return REAL(shutdown)(fd, how);
}

int libc_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	return REAL(getsockname)(fd, sa, len);
}

int libc_getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
	return REAL(getpeername)(fd, sa, len);
}

int libc_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	return REAL(getsockopt)(fd, level, name, val, len);
}

int libc_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	return REAL(setsockopt)(fd, level, name, val, len);
}

ssize_t libc_read(int fd, void *buf, size_t len)
{
	return REAL(syscall)(SYS_read, fd, buf, len);
}

ssize_t libc_write(int fd, const void *buf, size_t len)
{
	return REAL(syscall)(SYS_write, fd, buf, len);
}

ssize_t libc_writev(int fd, const struct iovec *iov, int n)
{
	return REAL(syscall)(SYS_writev, fd, iov, n);
}

ssize_t libc_recv(int fd, void *buf, size_t len, int flags)
{
	return REAL(syscall)(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}

ssize_t libc_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *sa,
		      socklen_t *salen)
{
	return REAL(syscall)(SYS_recvfrom, fd, buf, len, flags, sa, salen);
}

ssize_t libc_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return REAL(syscall)(SYS_recvmsg, fd, msg, flags);
}

ssize_t libc_send(int fd, const void *buf, size_t len, int flags)
{
	return REAL(syscall)(SYS_sendto, fd, buf, len, flags, NULL, 0);
}

ssize_t libc_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *sa,
		    socklen_t salen)
{
	return REAL(syscall)(SYS_sendto, fd, buf, len, flags, sa, salen);
}

ssize_t libc_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return REAL(syscall)(SYS_sendmsg, fd, msg, flags);
}

int libc_close(int fd)
{
	return RAW(close, fd);
}

int libc_dup(int fd)
{
	return REAL(dup)(fd);
}

int libc_dup2(int from, int to)
{
	return REAL(dup2)(from, to);
}

int libc_dup3(int from, int to, int flags)
{
	return REAL(dup3)(from, to, flags);
}

/* Before version 2.33 the C library had fstat() only under another name. */
int libc_fstat(int fd, struct stat *st)
{
	if (!REAL(fstat))
		return REAL(__fxstat)(1, fd, st);
	return REAL(fstat)(fd, st);
}

int libc_fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return REAL(fcntl64)(fd, cmd, arg);
}

int libc_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	return REAL(ioctl)(fd, request, arg);
}

int libc_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return REAL(poll)(fds, n, timeout);
}

int libc_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	return REAL(ppoll)(fds, n, timeout, mask);
}

FILE *libc_fdopen(int fd, const char *mode)
{
	return REAL(fdopen)(fd, mode);
}

long libc_syscall(long nr, ...)
{
	long w[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		w[i] = va_arg(ap, long);
	va_end(ap);
	return REAL(syscall)(nr, w[0], w[1], w[2], w[3], w[4], w[5]);
}
