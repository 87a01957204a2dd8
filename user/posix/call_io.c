// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_io.c - read, write, send, recv and their variants.
 * Owns        when such a call blocks, for how long, and how much data is enough to return.
 * Called by   the program.
 *
 * In the simple case, a call on an accelerated socket looks at the table, takes the lock, copies once, and releases
 * the lock.
 */
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix/confine.h"
#include "posix/pass.h"
#include "posix/posix.h"

#define RW_MAX 0x7ffff000u /* Linux transfers no more in one call */

/* Why fd_get() failed: it is an epoll instance, or another thread has just closed it. */
static int no_socket(int fd)
{
	return fd_ours(fd) ? -ENOTSOCK : -EBADF;
}

/* The same for read(2) and write(2), for which an epoll instance is no file to read or write. */
static ssize_t no_file(ssize_t ret)
{
	return ret == -ENOTSOCK ? -EINVAL : ret;
}

/* ---- Vectors --------------------------------------------------------------------------------- */

/* -1: Linux would refuse it as too large, or as too many. */
static ssize_t iov_bytes(const struct iovec *iov, size_t n)
{
	size_t sum = 0;

	if (n > IOV_MAX || (!iov && n))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (iov[i].iov_len > SSIZE_MAX - sum)
			return -1;
		sum += iov[i].iov_len;
	}
	return (ssize_t)sum;
}

/* A copy of the vector without its first `done` bytes, because the caller's must not be changed. */
static int iov_rest(struct iovec *to, const struct iovec *iov, int n, size_t done)
{
	int left = 0;

	for (int i = 0; i < n; i++) {
		if (done >= iov[i].iov_len) {
			done -= iov[i].iov_len;
			continue;
		}
		to[left].iov_base = (uint8_t *)iov[i].iov_base + done;
		to[left++].iov_len = iov[i].iov_len - done;
		done = 0;
	}
	return left;
}

/* ---- Receiving ------------------------------------------------------------------------------- */

struct recv_call {
	const struct iovec *iov;
	int n;
	size_t len;
	int flags; /* MSG_* */
};

static unsigned recv_flags(int flags)
{
	return (flags & MSG_PEEK ? MR_RECV_PEEK : 0) | (flags & MSG_OOB ? MR_RECV_OOB : 0) |
	       (flags & MSG_TRUNC ? MR_RECV_TRUNC : 0);
}

/* One attempt, behind `done` bytes that were read before. */
static ssize_t recv_once(const struct mr_file *f, const struct recv_call *c, size_t done)
{
	struct iovec rest[IOV_MAX];

	if (!done)
		return mr_recvv(f->sock, c->iov, c->n, recv_flags(c->flags));
	return mr_recvv(f->sock, rest, iov_rest(rest, c->iov, c->n, done), recv_flags(c->flags));
}

/* Is this enough to return? */
static bool recv_enough(const struct recv_call *c, ssize_t got, size_t done)
{
	if (got <= 0)
		return got != -EAGAIN;
	return !(c->flags & MSG_WAITALL) || c->flags & MSG_OOB || done >= c->len;
}

/* Read: wait until there is something; with MSG_WAITALL, until everything is there. */
static ssize_t recv_wait(struct mr_file *f, const struct recv_call *c)
{
	struct wait w;
	size_t done = 0;
	ssize_t got = 0;
	int err = wait_open(&w, f, EPOLLIN | EPOLLRDHUP, f->rcv_ns);

	while (!err) {
		wait_look(&w);
		got = recv_once(f, c, c->flags & MSG_PEEK ? 0 : done);
		if (got > 0)
			done = c->flags & MSG_PEEK ? (size_t)got : done + (size_t)got;
		if (recv_enough(c, got, done))
			break;
		if (got > 0 && !(c->flags & MSG_PEEK))
			continue;
		err = wait_sleep(&w, NULL, 0);
	}
	wait_close(&w);
	if (done)
		return (ssize_t)done;
	return err ?: got;
}

static ssize_t file_recv(struct mr_file *f, const struct recv_call *c)
{
	bool wait = !f->nonblock && !(c->flags & MSG_DONTWAIT);
	ssize_t got;

	if (c->flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (wait && c->flags & MSG_WAITALL)
		return recv_wait(f, c);
	got = recv_once(f, c, 0);
	/* As in Linux, the call does not wait for urgent data. */
	if (got == -EAGAIN && wait && !(c->flags & MSG_OOB))
		return recv_wait(f, c);
	return got;
}

static ssize_t fd_recv(int fd, const struct iovec *iov, int n, size_t len, int flags)
{
	const struct recv_call c = { .iov = iov, .n = n, .len = len, .flags = flags };
	struct mr_file *f;
	ssize_t ret;

	wait_point();
	f = fd_get(fd);
	if (!f)
		return no_socket(fd);
	ret = file_recv(f, &c);
	fd_done();
	return ret;
}

static ssize_t recv_buf(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = { .iov_base = buf, .iov_len = mr_min(len, (size_t)RW_MAX) };

	return fd_recv(fd, &iov, 1, iov.iov_len, flags);
}

PUBLIC ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (!fd_ours(fd))
		return REAL(recv)(fd, buf, len, flags);
	return px_result(recv_buf(fd, buf, len, flags));
}

PUBLIC ssize_t recvfrom(int fd, void *restrict buf, size_t len, int flags,
			struct sockaddr *restrict sa, socklen_t *restrict salen)
{
	ssize_t ret;

	if (!fd_ours(fd))
		return REAL(recvfrom)(fd, buf, len, flags, sa, salen);
	ret = px_result(recv_buf(fd, buf, len, flags));
	if (ret >= 0 && sa && salen) /* as in Linux, TCP sets no address */
		*salen = 0;
	return ret;
}

PUBLIC ssize_t read(int fd, void *buf, size_t len)
{
	if (!fd_ours(fd))
		return REAL(read)(fd, buf, len);
	return len ? px_result(no_file(recv_buf(fd, buf, len, 0))) : 0;
}

static ssize_t read_vector(int fd, const struct iovec *iov, int n, int flags)
{
	ssize_t len = n < 0 ? -1 : iov_bytes(iov, (size_t)n);

	if (len <= 0)
		return px_result(len ? -EINVAL : 0);
	return px_result(no_file(fd_recv(fd, iov, n, (size_t)len, flags)));
}

PUBLIC ssize_t readv(int fd, const struct iovec *iov, int n)
{
	return fd_ours(fd) ? read_vector(fd, iov, n, 0) : REAL(readv)(fd, iov, n);
}

/* TCP_INQ: how many bytes are left to read; the end of the stream counts as one, as in Linux. -1: the program has not
 * set TCP_INQ. */
static int inq_hint(int fd)
{
	const struct mr_file *f = fd_get(fd);
	int64_t n = -1;

	if (!f)
		return -1;
	if (f->inq && !mr_get_option(f->sock, MR_OPT_INQ, &n) && mr_ready(f->sock) & MR_RDHUP)
		n++;
	fd_done();
	return (int)n;
}

static void recv_control(int fd, struct msghdr *msg)
{
	size_t room = msg->msg_control ? msg->msg_controllen : 0;
	int inq = room ? inq_hint(fd) : -1;
	struct cmsghdr *c = msg->msg_control;

	msg->msg_controllen = 0;
	if (inq < 0)
		return;
	if (room < CMSG_LEN(sizeof(inq))) {
		msg->msg_flags |= MSG_CTRUNC;
		return;
	}
	c->cmsg_level = SOL_TCP;
	c->cmsg_type = TCP_CM_INQ;
	c->cmsg_len = CMSG_LEN(sizeof(inq));
	memcpy(CMSG_DATA(c), &inq, sizeof(inq));
	msg->msg_controllen = mr_min(room, CMSG_SPACE(sizeof(inq)));
}

static ssize_t recv_msg(int fd, struct msghdr *msg, int flags)
{
	ssize_t len = iov_bytes(msg->msg_iov, msg->msg_iovlen), ret;

	if (len < 0)
		return msg->msg_iovlen > IOV_MAX ? -EMSGSIZE : -EINVAL;
	if ((int)msg->msg_namelen < 0)
		return -EINVAL;
	ret = fd_recv(fd, msg->msg_iov, (int)msg->msg_iovlen, (size_t)len, flags);
	if (ret < 0)
		return ret;
	msg->msg_namelen = 0;
	msg->msg_flags = flags & MSG_OOB && ret ? MSG_OOB : 0;
	recv_control(fd, msg);
	return ret;
}

PUBLIC ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t ret;

	if (fd_ours(fd))
		return px_result(recv_msg(fd, msg, flags));
	ret = REAL(recvmsg)(fd, msg, flags);
	if (ret >= 0)
		pass_received(msg, flags);
	return ret;
}

static int recv_kernel(int fd, struct mmsghdr *vec, unsigned n, int flags, struct timespec *timeout)
{
	int done = REAL(recvmmsg)(fd, vec, n, flags, timeout);

	for (int i = 0; i < done; i++)
		pass_received(&vec[i].msg_hdr, flags);
	return done;
}

/* Write the time that is left into *ts. False: none is left. */
static bool time_left(struct timespec *ts, uint64_t deadline)
{
	uint64_t left = deadline_left(deadline);

	if (left == FOREVER)
		return true;
	ts->tv_sec = (time_t)(left / MR_NS_PER_S);
	ts->tv_nsec = (long)(left % MR_NS_PER_S);
	return left;
}

/* Returns how many messages were received, or a negative errno. */
static int recv_many(int fd, struct mmsghdr *vec, unsigned n, int flags, struct timespec *timeout)
{
	unsigned done = 0;
	uint64_t deadline;

	if (timeout && !timespec_valid(timeout))
		return -EINVAL;
	/* As in Linux, the timeout is only checked between messages. */
	deadline = deadline_timespec(timeout);
	for (; done < mr_min(n, (unsigned)IOV_MAX); done++) {
		ssize_t ret = recv_msg(fd, &vec[done].msg_hdr, flags & ~MSG_WAITFORONE);

		if (ret < 0)
			return done ? (int)done : (int)ret;
		vec[done].msg_len = (unsigned)ret;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (timeout && !time_left(timeout, deadline)) {
			done++;
			break;
		}
	}
	return (int)done;
}

PUBLIC int recvmmsg(int fd, struct mmsghdr *vec, unsigned n, int flags, struct timespec *timeout)
{
	if (!fd_ours(fd))
		return recv_kernel(fd, vec, n, flags, timeout);
	return (int)px_result(recv_many(fd, vec, n, flags, timeout));
}

/* ---- Sending --------------------------------------------------------------------------------- */

static unsigned send_flags(int flags)
{
	return (flags & MSG_MORE ? MR_SEND_MORE : 0) | (flags & MSG_OOB ? MR_SEND_OOB : 0);
}

static ssize_t send_once(struct mr_file *f, const struct iovec *iov, int n, size_t len, size_t done,
			 int flags)
{
	struct iovec rest[IOV_MAX];
	ssize_t ret;

	if (f->sock->kind != MR_SOCK_STREAM) /* as in Linux: it does not wait for a connection */
		return mr_sock_error(f->sock) ?: -EPIPE;
	if (flags & MSG_FASTOPEN)
		return -EISCONN;
	if (!done)
		ret = mr_sendv(f->sock, iov, n, send_flags(flags));
	else
		ret = mr_sendv(f->sock, rest, iov_rest(rest, iov, n, done), send_flags(flags));
	if (ret < 0 ? ret == -EAGAIN : (size_t)ret < len - done)
		file_want(f, EPOLLOUT); /* there was no room: report when there is */
	return ret;
}

/* Write: wait until everything is queued. If an error or a signal ends that, the result is what was queued before. */
static ssize_t send_wait(struct mr_file *f, const struct iovec *iov, int n, size_t len, size_t done,
			 int flags)
{
	struct wait w;
	ssize_t ret = 0;
	int err = wait_open(&w, f, EPOLLOUT, f->snd_ns);

	while (!err) {
		wait_look(&w);
		ret = send_once(f, iov, n, len, done, flags);
		if (ret < 0 && ret != -EAGAIN)
			break;
		if (ret > 0)
			done += (size_t)ret;
		if (done == len)
			break;
		if (ret == -EAGAIN)
			err = wait_sleep(&w, NULL, 0);
	}
	wait_close(&w);
	if (done)
		return (ssize_t)done;
	return err ?: ret;
}

static ssize_t file_send(struct mr_file *f, const struct iovec *iov, int n, size_t len, int flags)
{
	ssize_t ret = send_once(f, iov, n, len, 0, flags);
	size_t done = ret > 0 ? (size_t)ret : 0;

	if (ret < 0 && ret != -EAGAIN)
		return ret;
	if (done == len || f->nonblock || flags & MSG_DONTWAIT)
		return ret;
	return send_wait(f, iov, n, len, done, flags);
}

/* With EPIPE the thread that wrote gets SIGPIPE (POSIX). */
static ssize_t with_signal(ssize_t ret, int flags)
{
	if (ret == -EPIPE && !(flags & MSG_NOSIGNAL)) {
		if (px_confined())
			confined_sigpipe();
		else
			raise(SIGPIPE);
	}
	return ret;
}

static ssize_t fd_send(int fd, const struct iovec *iov, int n, size_t len, int flags)
{
	struct mr_file *f;
	ssize_t ret;

	wait_point();
	f = fd_get(fd);
	if (!f)
		return no_socket(fd);
	ret = file_send(f, iov, n, len, flags);
	fd_done();
	return ret;
}

static ssize_t send_buf(int fd, const void *buf, size_t len, int flags)
{
	/* iovec has no const; the bytes are only read. */
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf,
			     .iov_len = mr_min(len, (size_t)RW_MAX) };

	return fd_send(fd, &iov, 1, iov.iov_len, flags);
}

PUBLIC ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	if (!fd_ours(fd))
		return REAL(send)(fd, buf, len, flags);
	return px_result(with_signal(send_buf(fd, buf, len, flags), flags));
}

PUBLIC ssize_t write(int fd, const void *buf, size_t len)
{
	if (!fd_ours(fd))
		return REAL(write)(fd, buf, len);
	return px_result(with_signal(no_file(send_buf(fd, buf, len, 0)), 0));
}

static ssize_t write_vector(int fd, const struct iovec *iov, int n, int flags)
{
	ssize_t len = n < 0 ? -1 : iov_bytes(iov, (size_t)n);

	if (len < 0)
		return px_result(-EINVAL);
	return px_result(with_signal(no_file(fd_send(fd, iov, n, (size_t)len, flags)), 0));
}

PUBLIC ssize_t writev(int fd, const struct iovec *iov, int n)
{
	return fd_ours(fd) ? write_vector(fd, iov, n, 0) : REAL(writev)(fd, iov, n);
}

/* MSG_FASTOPEN: connect() and the first data in one call. */
static ssize_t send_fastopen(int fd, const void *buf, size_t len, int flags,
			     const struct sockaddr *sa, socklen_t salen)
{
	const int on = 1;

	if (!sa)
		return px_result(-EINVAL);
	/* If there is a cookie of this server, the connect waits for the data. */
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on));
	if (connect(fd, sa, salen) < 0)
		return -1;
	return send(fd, buf, len, flags & ~MSG_FASTOPEN);
}

PUBLIC ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *sa,
		      socklen_t salen)
{
	if (mr_unlikely(flags & MSG_FASTOPEN && early_known(fd)))
		return send_fastopen(fd, buf, len, flags, sa, salen);
	if (!fd_ours(fd))
		return REAL(sendto)(fd, buf, len, flags, sa, salen);
	/* Already connected: as in Linux, only the length of the address is checked. */
	if (sa && salen > sizeof(struct sockaddr_storage))
		return px_result(-EINVAL);
	return px_result(with_signal(send_buf(fd, buf, len, flags), flags));
}

/* Check control messages as Linux's TCP does: of SOL_SOCKET only known ones, none of which has an effect here; those
 * of other levels are ignored. SO_MARK is refused, as for a process without the capability. */
static int send_control(const struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)msg, c)) {
		if (c->cmsg_len < sizeof(*c))
			return -EINVAL;
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		switch (c->cmsg_type) {
		case SCM_RIGHTS:
		case SCM_CREDENTIALS:
		case SO_PRIORITY:
		case SO_TIMESTAMPING_OLD:
		case SO_TIMESTAMPING_NEW:
			break;
		case SO_MARK:
			return -EPERM;
		default:
			return -EINVAL;
		}
	}
	return 0;
}

static ssize_t send_msg(int fd, const struct msghdr *msg, int flags)
{
	ssize_t len = iov_bytes(msg->msg_iov, msg->msg_iovlen);
	int err;

	if (len < 0)
		return msg->msg_iovlen > IOV_MAX ? -EMSGSIZE : -EINVAL;
	if ((int)msg->msg_namelen < 0)
		return -EINVAL;
	err = send_control(msg);
	return err ?: fd_send(fd, msg->msg_iov, (int)msg->msg_iovlen, (size_t)len, flags);
}

static ssize_t send_kernel(int fd, const struct msghdr *msg, int flags)
{
	int err = pass_begin(msg), saved;
	ssize_t ret;

	if (err)
		return px_result(err);
	ret = REAL(sendmsg)(fd, msg, flags);
	if (ret < 0) {
		saved = errno;
		pass_failed(msg);
		errno = saved;
	}
	return ret;
}

static int send_kernel_many(int fd, struct mmsghdr *vec, unsigned n, int flags)
{
	unsigned i = 0;
	int done, err = 0;

	while (i < n && !err) {
		err = pass_begin(&vec[i].msg_hdr);
		i += !err;
	}
	if (err && !i)
		return (int)px_result(err);
	done = REAL(sendmmsg)(fd, vec, i, flags);
	while (i > (unsigned)mr_max(done, 0)) {
		int saved = errno;

		pass_failed(&vec[--i].msg_hdr);
		errno = saved;
	}
	return done;
}

PUBLIC ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (!fd_ours(fd))
		return send_kernel(fd, msg, flags);
	return px_result(with_signal(send_msg(fd, msg, flags), flags));
}

/* Returns how many messages were sent, or a negative errno. */
static int send_many(int fd, struct mmsghdr *vec, unsigned n, int flags)
{
	unsigned done = 0;

	for (; done < mr_min(n, (unsigned)IOV_MAX); done++) {
		ssize_t ret = send_msg(fd, &vec[done].msg_hdr, flags);

		if (ret < 0)
			return done ? (int)done : (int)with_signal(ret, flags);
		vec[done].msg_len = (unsigned)ret;
	}
	return (int)done;
}

PUBLIC int sendmmsg(int fd, struct mmsghdr *vec, unsigned n, int flags)
{
	if (!fd_ours(fd))
		return send_kernel_many(fd, vec, n, flags);
	return (int)px_result(send_many(fd, vec, n, flags));
}

/* ---- With an offset: sockets have none ------------------------------------------------------- */

PUBLIC ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	return fd_ours(fd) ? px_result(-ESPIPE) : REAL(pread64)(fd, buf, len, off);
}

PUBLIC ssize_t pread(int fd, void *buf, size_t len, off_t off) __attribute__((alias("pread64")));

PUBLIC ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	return fd_ours(fd) ? px_result(-ESPIPE) : REAL(pwrite64)(fd, buf, len, off);
}

PUBLIC ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
	__attribute__((alias("pwrite64")));

PUBLIC ssize_t preadv64(int fd, const struct iovec *iov, int n, off64_t off)
{
	return fd_ours(fd) ? px_result(-ESPIPE) : REAL(preadv64)(fd, iov, n, off);
}

PUBLIC ssize_t preadv(int fd, const struct iovec *iov, int n, off_t off)
	__attribute__((alias("preadv64")));

PUBLIC ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t off)
{
	return fd_ours(fd) ? px_result(-ESPIPE) : REAL(pwritev64)(fd, iov, n, off);
}

PUBLIC ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t off)
	__attribute__((alias("pwritev64")));

/* preadv2() with offset -1 is readv(), which works for sockets. One of the flags has a meaning here. */
#define RWF_OF_SOCKETS (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

static int check_v2(off64_t off, int flags)
{
	if (off != -1)
		return -ESPIPE;
	return flags & ~RWF_OF_SOCKETS ? -EOPNOTSUPP : 0;
}

PUBLIC ssize_t preadv64v2(int fd, const struct iovec *iov, int n, off64_t off, int flags)
{
	int err;

	if (!fd_ours(fd))
		return REAL(preadv64v2)(fd, iov, n, off, flags);
	err = check_v2(off, flags);
	if (err)
		return px_result(err);
	return read_vector(fd, iov, n, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}

PUBLIC ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t off, int flags)
	__attribute__((alias("preadv64v2")));

PUBLIC ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t off, int flags)
{
	int err;

	if (!fd_ours(fd))
		return REAL(pwritev64v2)(fd, iov, n, off, flags);
	err = check_v2(off, flags);
	if (err)
		return px_result(err);
	return write_vector(fd, iov, n, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}

PUBLIC ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags)
	__attribute__((alias("pwritev64v2")));

/* ---- What _FORTIFY_SOURCE makes of them ------------------------------------------------------ */

/* The C library's function ends the program with its own message; it is called only for that. */
void __chk_fail(void) __attribute__((noreturn));
ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t len, size_t room, int flags,
		       struct sockaddr *restrict sa, socklen_t *restrict salen);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t off, size_t room);

PUBLIC ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	if (len > room)
		__chk_fail();
	return read(fd, buf, len);
}

PUBLIC ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags)
{
	if (len > room)
		__chk_fail();
	return recv(fd, buf, len, flags);
}

PUBLIC ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t len, size_t room, int flags,
			      struct sockaddr *restrict sa, socklen_t *restrict salen)
{
	if (len > room)
		__chk_fail();
	return recvfrom(fd, buf, len, flags, sa, salen);
}

PUBLIC ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t off, size_t room)
{
	if (len > room)
		__chk_fail();
	return pread64(fd, buf, len, off);
}

PUBLIC ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t room)
	__attribute__((alias("__pread64_chk")));
