// SPDX-License-Identifier: BSD-2-Clause
/*
 * pass.c - descriptors in messages (SCM_RIGHTS): sockets of ours that one process gives another.
 * Called by   sendmsg(), recvmsg() and their kin, on sockets of the kernel's.
 *
 * The kernel passes the socket behind one of ours, and who receives it knows ours by its cookie, as after exec.
 * Meanwhile the sender may close its own: the message has a reference (file_fly()). It is given back when the
 * message has been received, or a while after the end of the process that sent it: nobody tells of messages that
 * are lost.
 */
#include <limits.h>
#include <string.h>
#include "base/compiler.h"
#include "posix/confine.h"
#include "posix/pass.h"
#include "posix/posix.h"
#include "posix/process.h"

/* The kernel refuses a message with one that is not. */
static bool is_inside(const struct msghdr *msg, const struct cmsghdr *c)
{
	size_t before = (size_t)((const uint8_t *)c - (const uint8_t *)msg->msg_control);

	return c->cmsg_len <= msg->msg_controllen - before;
}

/* Call each for the descriptors in the message, *n at most, until one says that it cannot. *n is then for how many
 * it could. */
static int each_fd(const struct msghdr *msg, unsigned *n, int (*each)(int fd))
{
	struct msghdr *m = (struct msghdr *)(uintptr_t)msg; /* CMSG_NXTHDR() wants it so */
	unsigned max = *n;
	int err, fd;

	*n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c && is_inside(m, c); c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(fd) <= c->cmsg_len; at += sizeof(fd)) {
			if (*n == max)
				return 0;
			memcpy(&fd, (uint8_t *)c + at, sizeof(fd));
			err = each(fd);
			if (err)
				return err;
			++*n;
		}
	}
	return 0;
}

static bool may_pass(const struct msghdr *msg)
{
	return msg && msg->msg_control && msg->msg_controllen && !px_confined();
}

/* Only the stack's own need it: the others the kernel keeps. */
static int begin(int fd)
{
	struct mr_file *f = fd_known(fd) ? fd_get_any(fd) : NULL;
	int err = 0;

	early_touched(fd);
	if (!f)
		return 0;
	if (f->kind != FILE_EPOLL)
		f->cookie = f->cookie ?: process_cookie(fd);
	if (f->kind == FILE_STREAM)
		err = file_fly(px_share, f) ? 0 : -ETOOMANYREFS;
	fd_done();
	return err;
}

static int failed(int fd)
{
	struct mr_file *f = fd_known(fd) ? fd_get_any(fd) : NULL;

	if (f) {
		file_land(px_share, f);
		fd_done();
	}
	return 0;
}

static int received(int fd)
{
	process_adopt(fd, true);
	return 0;
}

static int peeked(int fd)
{
	process_adopt(fd, false);
	return 0;
}

int pass_begin(const struct msghdr *msg)
{
	unsigned n = UINT_MAX;
	int err;

	if (!px_share || !may_pass(msg))
		return 0;
	err = each_fd(msg, &n, begin);
	if (err)
		each_fd(msg, &n, failed);
	return err;
}

void pass_failed(const struct msghdr *msg)
{
	unsigned n = UINT_MAX;

	if (px_share && may_pass(msg))
		each_fd(msg, &n, failed);
}

void pass_received(const struct msghdr *msg, int flags)
{
	unsigned n = UINT_MAX;

	if (px_offered() && may_pass(msg))
		each_fd(msg, &n, flags & MSG_PEEK ? peeked : received);
}
