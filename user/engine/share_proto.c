// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_proto.c - messages with descriptors (unix(7), SCM_RIGHTS).
 * Called by   share_join.c (a process) and share_keep.c (the keeper).
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "engine/share_proto.h"

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * SHARE_FDS_PER_MESSAGE)];
};

int share_send(int sock, const void *msg, size_t len, const int *fds, unsigned nfds)
{
	union control control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)msg, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t n;

	if (nfds) {
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
	}
	do
		n = sendmsg(sock, &mh, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

ssize_t share_recv(int sock, void *msg, size_t len, int *fds, unsigned *nfds, int flags)
{
	union control control;
	struct iovec iov = { msg, len };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	*nfds = 0;
	do
		n = recvmsg(sock, &mh, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		*nfds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *nfds * sizeof(int));
	}
	if (mh.msg_flags & MSG_CTRUNC) { /* this process may have no more descriptors */
		while (*nfds)
			close(fds[--*nfds]);
		return -EMFILE;
	}
	return n;
}
