// SPDX-License-Identifier: BSD-2-Clause
/*
 * posix_conf_pass.c - cases of posix_conf: sockets in messages from process to process.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "posix_conf.h"

union rights {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

/* Says of itself that it is so long. */
static int give_long(int by, int fd, size_t len)
{
	union rights extra = {
		.header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = len }
	};
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &extra,
			      .msg_controllen = CMSG_LEN(sizeof(fd)) };

	memcpy(CMSG_DATA(&extra.header), &fd, sizeof(fd));
	return sendmsg(by, &msg, 0) == 1 ? 0 : -1;
}

static int give(int by, int fd)
{
	return give_long(by, fd, CMSG_LEN(sizeof(fd)));
}

static int take_as(int by, int flags)
{
	union rights extra;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &extra,
			      .msg_controllen = sizeof(extra) };
	int fd = -1;

	if (recvmsg(by, &msg, flags) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static int take(int by)
{
	return take_as(by, 0);
}

/* A connection, which its giver closes at once, and a listener. */
void case_passed(void)
{
	int pair[2], fd, l = listener(), port = port_of(l);
	struct conn c = active();
	char buf[8];
	long h;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	for (int i = 0; i < 2; i++) {
		T(give(pair[i], c.fd));
		close(c.fd);
		c.fd = take(pair[!i]);
		T(send(c.fd, "abc", 3, 0));
		T(peer("recv %d 3", c.h));
		peer("send %d 2", c.h);
		T(recv(c.fd, buf, sizeof(buf), 0));
	}
	give(pair[0], c.fd);
	fd = take(pair[1]);
	close(c.fd);
	ready(fd);
	peer("shutdown %d 1", c.h);
	T(recv(fd, buf, sizeof(buf), 0));
	close(fd);
	T(peer("recv %d 1", c.h));
	peer("close %d", c.h);
	give(pair[0], l);
	close(l);
	l = take(pair[1]);
	h = peer("connect %s %d", local_addr, port);
	T((fd = accept(l, NULL, NULL)) >= 0);
	T(send(fd, "abc", 3, 0));
	T(peer("recv %ld 3", h));
	peer("close %ld", h);
	close(fd);
	T(give(-1, l));
	T(give_long(pair[0], l, (size_t)1 << 40));
	close(l);
	T(peer("connect %s %d", local_addr, port));
	close(pair[0]);
	close(pair[1]);
}

/* Whoever looks at the message without taking it has the socket, too, and it stays in the message. */
void case_passed_and_peeked(void)
{
	int pair[2], fd;
	struct conn c = active();

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	T(give(pair[0], c.fd));
	close(c.fd);
	for (int i = 0; i < 3; i++) {
		fd = take_as(pair[1], i < 2 ? MSG_PEEK : 0);
		T(send(fd, "abc", 3, 0));
		T(peer("recv %d 3", c.h));
		close(fd);
	}
	T(peer("recv %d 1", c.h));
	peer("close %d", c.h);
	close(pair[0]);
	close(pair[1]);
}

static ino_t inode(int fd)
{
	struct stat st = { 0 };

	T(fstat(fd, &st));
	return st.st_ino;
}

/* Programs know a socket by its inode: it is no other one's, and stays what it is. */
void case_inodes(void)
{
	struct conn a = passive(), b = passive();
	ino_t first = inode(a.fd);
	struct statx stx = { 0 };
	int pair[2], fd = dup(a.fd), v = 1;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	T(first != inode(b.fd));
	T(first == inode(fd));
	close(fd);
	T(setsockopt(a.fd, SOL_SOCKET, SO_KEEPALIVE, &v, sizeof(v)));
	give(pair[0], a.fd);
	fd = take(pair[1]);
	T(first == inode(a.fd));
	T(first == inode(fd));
	close(a.fd);
	a.fd = fd;
	T(peer("send %d 3", a.h));
	T(await(fd, POLLIN));
	T(recv(fd, note_buf, 8, 0));
	finish(b);
	b = passive();
	T(statx(b.fd, "", AT_EMPTY_PATH, STATX_INO, &stx));
	T(stx.stx_ino != first);
	T(stx.stx_ino == inode(b.fd));
	T(fstat(-1, (struct stat *)note_buf));
	finish(a);
	finish(b);
	close(pair[0]);
	close(pair[1]);
}

/* To another process, which has not been in the stack when it was made. */
void case_passed_to_child(void)
{
	int pair[2], status = 0;
	struct conn c;
	char buf[8];
	pid_t pid;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	pid = fork();
	if (!pid) {
		int fd = take(pair[1]);

		_exit(recv(fd, buf, sizeof(buf), 0) == 3 && send(fd, "ab", 2, 0) == 2 ? 7 : 1);
	}
	c = active();
	T(give(pair[0], c.fd));
	close(c.fd);
	settle();
	peer("send %d 3", c.h);
	T(peer("recv %d -1", c.h));
	waitpid(pid, &status, 0);
	T(WEXITSTATUS(status));
	peer("close %d", c.h);
	close(pair[0]);
	close(pair[1]);
}

/* What was given to `from` is a connection as before. */
static void use_taken(int from, int h)
{
	int fd = take(from);

	T(send(fd, "abc", 3, 0));
	T(peer("recv %d 3", h));
	close(fd);
	T(peer("recv %d 1", h));
	peer("close %d", h);
}

/* Who gave it has ended when it is taken. */
void case_passed_late(void)
{
	int pair[2], status = 0;
	struct conn c = active();
	char byte;
	pid_t pid;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	pid = fork();
	if (!pid)
		_exit(!give(pair[1], c.fd) && read(pair[1], &byte, 1) == 1 ? 7 : 1);
	close(c.fd);
	T(write(pair[0], "x", 1));
	waitpid(pid, &status, 0);
	T(WEXITSTATUS(status));
	settle();
	use_taken(pair[0], c.h);
	close(pair[0]);
	close(pair[1]);
}

/* Meanwhile a program was executed that has it, too. */
void case_passed_beside_exec(void)
{
	int pair[2], status = 0;
	struct conn c = active();
	pid_t pid;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	T(give(pair[0], c.fd));
	pid = fork();
	if (!pid) {
		execlp("true", "true", NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	T(status);
	close(c.fd);
	settle();
	use_taken(pair[1], c.h);
	close(pair[0]);
	close(pair[1]);
}
