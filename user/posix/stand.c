// SPDX-License-Identifier: BSD-2-Clause
/*
 * stand.c - what stands in the kernel for a connection that was accepted.
 * Owns        one socket of each family that stands for all of them; which descriptors are copies of it.
 *	       Process-local.
 * Called by   accept(); the calls that would change the kernel's socket or tell one from another.
 *
 * Making a socket and closing it again takes the kernel longer than the stack needs for a short connection. So the
 * descriptor of one is a copy (as by dup()) of a socket that stands for all, until that could be noticed: before
 * anything is set on it, before it is copied, passed or inherited it gets one of its own.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include "posix/confine.h"
#include "posix/fdset.h"
#include "posix/libc.h"
#include "posix/posix.h"
#include "posix/process.h"

static int common[2] = { -1, -1 }; /* [AF_INET6] */
static struct fdset copies;

bool stand_is(int fd)
{
	return fdset_has(&copies, fd);
}

void stand_forget(int fd)
{
	if (stand_is(fd))
		fdset_del(&copies, fd);
}

/* Out of the program's way, where there is room. */
static int make_common(int family)
{
	int fd = REAL(socket)(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP), high;

	if (fd < 0)
		return -1;
	high = REAL(fcntl64)(fd, F_DUPFD_CLOEXEC, mr_share_fd_next(px_share, 0));
	if (high < 0)
		return fd;
	libc_close(fd);
	return high;
}

int stand_new(int family, bool cloexec)
{
	int *from = &common[family == AF_INET6], fd;

	if (px_confined()) /* copying is not among its calls */
		return REAL(socket)(family, SOCK_STREAM | (cloexec ? SOCK_CLOEXEC : 0),
				    IPPROTO_TCP);
	if (*from < 0)
		*from = make_common(family);
	fd = *from < 0 ? -1 : REAL(fcntl64)(*from, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	if (fd >= 0 && (uint32_t)fd < MR_SHARE_FDS_MAX)
		fdset_add(&copies, fd);
	return fd;
}

/* Its family, if the number still is what it was: the program may have closed it without the C library. */
static int family_of(int fd)
{
	struct stat is, was;

	for (int i = 0; i < 2; i++)
		if (common[i] >= 0 && !libc_fstat(fd, &is) && !libc_fstat(common[i], &was) &&
		    is.st_dev == was.st_dev && is.st_ino == was.st_ino)
			return i ? AF_INET6 : AF_INET;
	return AF_UNSPEC;
}

int stand_apart(int fd)
{
	int family, own, flags, ret;

	if (!stand_is(fd))
		return 0;
	family = family_of(fd);
	own = family ? REAL(socket)(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP) : -1;
	if (own < 0)
		return family ? -errno : 0;
	flags = REAL(fcntl64)(fd, F_GETFD);
	ret = REAL(dup3)(own, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0 ? -errno : 0;
	libc_close(own);
	if (!ret)
		stand_forget(fd);
	return ret;
}

int stand_apart_locked(int fd)
{
	int ret;

	if (!stand_is(fd))
		return 0;
	mr_share_lock(px_share, NULL);
	ret = stand_apart(fd);
	mr_share_unlock(px_share);
	return ret;
}

void stand_apart_all(void)
{
	fdset_for_each (fd, &copies)
		stand_apart_locked(fd);
}

int stand_common(bool v6)
{
	return common[v6];
}
