/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libc.h - functions that the stack calls instead of those that the shim interposes, and that the shim calls while it
 * holds the lock (libc.c). The Makefile reads the names from this file.
 */
#ifndef MR_POSIX_LIBC_H
#define MR_POSIX_LIBC_H

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

int libc_socket(int domain, int type, int protocol);
int libc_bind(int fd, const struct sockaddr *sa, socklen_t len);
int libc_listen(int fd, int backlog);
int libc_accept(int fd, struct sockaddr *sa, socklen_t *len);
int libc_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int libc_connect(int fd, const struct sockaddr *sa, socklen_t len);
int libc_shutdown(int fd, int how);
int libc_getsockname(int fd, struct sockaddr *sa, socklen_t *len);
int libc_getpeername(int fd, struct sockaddr *sa, socklen_t *len);
int libc_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
int libc_setsockopt(int fd, int level, int name, const void *val, socklen_t len);
ssize_t libc_read(int fd, void *buf, size_t len);
ssize_t libc_write(int fd, const void *buf, size_t len);
ssize_t libc_writev(int fd, const struct iovec *iov, int n);
ssize_t libc_recv(int fd, void *buf, size_t len, int flags);
ssize_t libc_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *sa,
		      socklen_t *salen);
ssize_t libc_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t libc_send(int fd, const void *buf, size_t len, int flags);
ssize_t libc_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *sa,
		    socklen_t salen);
ssize_t libc_sendmsg(int fd, const struct msghdr *msg, int flags);
int libc_close(int fd);
int libc_dup(int fd);
int libc_dup2(int from, int to);
int libc_dup3(int from, int to, int flags);
int libc_fstat(int fd, struct stat *st);
int libc_fcntl(int fd, int cmd, ...);
int libc_ioctl(int fd, unsigned long request, ...);
int libc_poll(struct pollfd *fds, nfds_t n, int timeout);
int libc_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);
FILE *libc_fdopen(int fd, const char *mode);
long libc_syscall(long nr, ...);

#endif
