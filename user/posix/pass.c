// SPDX-License-Identifier: BSD-2-Clause
/*
 * pass.c - descriptors in messages (SCM_RIGHTS): sockets of ours that one process gives another.
 * Called by   sendmsg(), recvmsg() and their kin, on sockets of the kernel's.
 *
 * The kernel passes the socket behind one of ours, and who receives it knows ours by its cookie, as after exec.
 * Meanwhile the sender may close its own: the message has a reference (file_fly()). It is given back when the
 * message has been received, or with the end of the process that sent it: nobody tells of messages that are lost.
 */
#include <string.h>
#include "base/compiler.h"
#include "posix/confine.h"
#include "posix/pass.h"
#include "posix/posix.h"
#include "posix/process.h"

/* Call each for every descriptor in the message, until one says that it cannot. */
static int each_fd(const struct msghdr *msg, int (*each)(int fd))
{
	struct msghdr *m = (struct msghdr *)(uintptr_t)msg; /* CMSG_NXTHDR() wants it so */
	int err = 0, fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c && !err; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); !err && at + sizeof(fd) <= c->cmsg_len;
		     at += sizeof(fd)) {
			memcpy(&fd, (uint8_t *)c + at, sizeof(fd));
			err = each(fd);
		}
	}
	return err;
}

static bool may_pass(const struct msghdr *msg)
{
	return msg && msg->msg_control && msg->msg_controllen && !px_confined();
}

static int begin(int fd)
{
	struct mr_file *f = fd_known(fd) ? fd_get_any(fd) : NULL;
	int err = 0;

	if (!f)
		return 0;
	if (f->kind != FILE_EPOLL) {
		f->cookie = f->cookie ?: process_cookie(fd);
		err = file_fly(px_share, f) ? 0 : -ETOOMANYREFS;
	}
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
	process_adopt(fd);
	return 0;
}

int pass_begin(const struct msghdr *msg)
{
	return px_share && may_pass(msg) ? each_fd(msg, begin) : 0;
}

void pass_failed(const struct msghdr *msg)
{
	if (px_share && may_pass(msg))
		each_fd(msg, failed);
}

void pass_received(const struct msghdr *msg)
{
	if (px_offered() && may_pass(msg))
		each_fd(msg, received);
}
