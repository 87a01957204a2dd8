// SPDX-License-Identifier: BSD-2-Clause
/*
 * pass.c - descriptors in messages (SCM_RIGHTS): accelerated sockets that one process sends to another.
 * Called by   sendmsg(), recvmsg() and variants, on kernel sockets.
 *
 * The kernel passes the kernel socket behind an accelerated one, and the receiver recognises that by its cookie, as
 * after an exec. The sender may close its own descriptor meanwhile, so the message has a reference (file_fly()). That
 * is released when the message has been received, or some time after its sender has ended, because nobody reports
 * messages that are lost.
 */
#include <limits.h>
#include <string.h>
#include "base/compiler.h"
#include "posix/confine.h"
#include "posix/pass.h"
#include "posix/posix.h"
#include "posix/process.h"

/* Is the control message within the buffer? The kernel refuses a message if one is not. */
static bool is_inside(const struct msghdr *msg, const struct cmsghdr *c)
{
	size_t before = (size_t)((const uint8_t *)c - (const uint8_t *)msg->msg_control);

	return c->cmsg_len <= msg->msg_controllen - before;
}

/* Call each() for at most *n descriptors in the message, until it fails. *n is then how many succeeded. */
static int each_fd(const struct msghdr *msg, unsigned *n, int (*each)(int fd))
{
	/* CMSG_NXTHDR() takes no const pointer. */
	struct msghdr *m = (struct msghdr *)(uintptr_t)msg;
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

/* Only descriptors of the stack need it; the kernel keeps the others. */
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
