// SPDX-License-Identifier: BSD-2-Clause
/*
 * stand.c - the kernel's descriptors of accepted connections.
 * Owns        one common socket for each family; which descriptors are copies of it. Process-local.
 * Called by   accept(); calls that would change the kernel socket, or show which one it is.
 *
 * Making and closing a kernel socket takes longer than the stack needs for a short connection. So the descriptor of
 * an accepted connection is a copy (as by dup()) of a common socket, as long as nobody can notice: before an option
 * is set on it, and before it is copied, passed or inherited, it gets a kernel socket of its own.
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

/* At a high number, out of the program's way, if possible. */
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

	if (px_confined()) /* dup() may not be permitted */
		return REAL(socket)(family, SOCK_STREAM | (cloexec ? SOCK_CLOEXEC : 0),
				    IPPROTO_TCP);
	if (*from < 0)
		*from = make_common(family);
	fd = *from < 0 ? -1 : REAL(fcntl64)(*from, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	if (fd >= 0 && (uint32_t)fd < MR_SHARE_FDS_MAX)
		fdset_add(&copies, fd);
	return fd;
}

/* The family of this copy, if it still is one: the program may have closed it without the C library. */
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
