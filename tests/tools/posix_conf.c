// SPDX-License-Identifier: BSD-2-Clause
/*
 * posix_conf.c - what sockets answer, call by call, as text: run once on the kernel's sockets and once under
 * the shim, the two texts are to be the same.
 *
 *	posix_conf peer PATH		serve commands on a Unix socket: a peer made of kernel sockets
 *	posix_conf run PATH LOCAL PEER	every case, with that peer at the address PEER; LOCAL is where it finds us
 *	posix_conf run PATH LOCAL PEER NAME	one case
 *
 * A step is a call, printed with what came of it. Nothing is printed that depends on time or chance.
 * Not here    cases about signals, polling, messages, threads and processes: posix_conf_*.c.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix_conf.h"

/* ---- Cases ----------------------------------------------------------------------------------- */

static void case_names(void)
{
	struct conn c = active();
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	T(getpeername(c.fd, (struct sockaddr *)&ss, &len));
	SAY("family %d length %u", ss.ss_family, len);
	len = 3;
	T(getpeername(c.fd, (struct sockaddr *)&ss, &len));
	SAY("length %u", len);
	len = sizeof(ss);
	T(getsockname(c.fd, (struct sockaddr *)&ss, &len));
	SAY("family %d length %u port %d", ss.ss_family, len, port_of(c.fd) != 0);
	T(getsockname(c.fd, NULL, &len));
	T(getsockname(c.fd, (struct sockaddr *)&ss, NULL));
	len = (socklen_t)-1;
	T(getsockname(c.fd, (struct sockaddr *)&ss, &len));
	finish(c);
}

static void case_listener_calls(void)
{
	int l = listener();
	char buf[4];
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	T(getpeername(l, (struct sockaddr *)&ss, &len));
	T(recv(l, buf, sizeof(buf), 0));
	T(read(l, buf, sizeof(buf)));
	signal(SIGPIPE, SIG_IGN);
	T(send(l, "x", 1, 0));
	T(write(l, "x", 1));
	T(connect_to(l, 9));
	T(listen(l, 5));
	T(bind_any(l, 0));
	T(get_int(l, SOL_SOCKET, SO_ACCEPTCONN));
	T(get_int(l, SOL_SOCKET, SO_ERROR));
	T(get_int(l, SOL_SOCKET, SO_TYPE));
	T(get_int(l, SOL_SOCKET, SO_DOMAIN));
	T(get_int(l, SOL_SOCKET, SO_PROTOCOL));
	T(ioctl(l, FIONREAD, buf));
	T(ioctl(l, SIOCOUTQ, buf));
	ready(l);
	T(nonblocking(l));
	T(accept(l, NULL, NULL));
	T(accept4(l, NULL, NULL, 0x4));
	T(shutdown(l, SHUT_WR));
	ready(l);
	T(shutdown(l, SHUT_RD));
	ready(l);
	T(accept(l, NULL, NULL));
	close(l);
}

static void case_accept(void)
{
	int l = listener(), fd;
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	long h;

	h = peer("connect %s %d", local_addr, port_of(l));
	T(await(l, POLLIN));
	ready(l);
	fd = accept4(l, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	SAY("accepted %d family %d length %u", fd > 2, ss.ss_family, len);
	T(fcntl(fd, F_GETFL));
	T(fcntl(fd, F_GETFD));
	ready(l);
	ready(fd);
	T(get_int(fd, SOL_SOCKET, SO_ACCEPTCONN));
	T(accept(fd, NULL, NULL));
	T(listen(fd, 1));
	T(bind_any(fd, 0));
	T(connect_to(fd, 9));
	close(fd);
	peer("close %ld", h);
	close(l);
}

static void case_accept_dead(void)
{
	int l = listener(), fd;
	long h;
	char buf[4];

	h = peer("connect %s %d", local_addr, port_of(l));
	settle();
	peer("reset %ld", h);
	settle();
	ready(l);
	fd = accept(l, NULL, NULL);
	T(fd > 0);
	ready(fd);
	T(recv(fd, buf, 4, 0));
	T(recv(fd, buf, 4, 0));
	close(fd);
	close(l);
}

static void case_accept_timeout(void)
{
	int l = listener();

	T(set_time(l, SO_RCVTIMEO, 50));
	T(accept(l, NULL, NULL));
	close(l);
}

static void case_backlog(void)
{
	int l = listener(), n = 0, h[4];

	T(listen(l, 2));
	for (int i = 0; i < 3; i++)
		h[i] = (int)peer("connect %s %d", local_addr, port_of(l));
	settle();
	nonblocking(l);
	for (int fd; (fd = accept(l, NULL, NULL)) >= 0; n++)
		close(fd);
	T(n);
	for (int i = 0; i < 3; i++)
		peer("close %d", h[i]);
	close(l);
}

/* What the kernel makes of it: a negative one, and one beyond net.core.somaxconn. */
static void case_backlog_of_linux(void)
{
	static const int rows[] = { -1, 0, 1, 1000000, -1000, 7 };
	struct tcp_info info;
	int l = listener();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		socklen_t len = sizeof(info);

		T(listen(l, rows[i]));
		T(getsockopt(l, IPPROTO_TCP, TCP_INFO, &info, &len));
		T((int)info.tcpi_sacked);
	}
	close(l);
}

static void case_unconnected(void)
{
	int fd = new_socket();
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char buf[4];

	signal(SIGPIPE, SIG_IGN);
	ready(fd);
	T(recv(fd, buf, 4, 0));
	T(send(fd, "x", 1, 0));
	T(send(fd, "x", 1, MSG_NOSIGNAL));
	T(shutdown(fd, SHUT_RD));
	T(getpeername(fd, (struct sockaddr *)&ss, &len));
	T(accept(fd, NULL, NULL));
	T(ioctl(fd, FIONREAD, buf));
	close(fd);
}

static void case_refused(void)
{
	int fd = new_socket(), l = (int)peer("listen %s", peer_addr),
	    port = (int)peer("port %d", l);
	char buf[4];

	signal(SIGPIPE, SIG_IGN);
	peer("close %d", l);
	T(connect_to(fd, port));
	ready(fd);
	T(get_int(fd, SOL_SOCKET, SO_ERROR));
	T(recv(fd, buf, 4, 0));
	T(send(fd, "x", 1, 0));
	T(connect_to(fd, port));
	l = (int)peer("listen %s", peer_addr);
	port = (int)peer("port %d", l);
	T(connect_to(fd, port));
	T(connect_to(fd, port));
	ready(fd);
	close(fd);
	peer("close %d", l);
}

static void case_refused_nonblocking(void)
{
	int fd = new_socket(), l = (int)peer("listen %s", peer_addr),
	    port = (int)peer("port %d", l);

	peer("close %d", l);
	nonblocking(fd);
	T(connect_to(fd, port));
	T(await(fd, POLLOUT));
	ready(fd);
	T(get_int(fd, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
	T(get_int(fd, SOL_SOCKET, SO_ERROR));
	ready(fd);
	close(fd);

	fd = new_socket();
	nonblocking(fd);
	T(connect_to(fd, port));
	T(await(fd, POLLOUT));
	T(connect_to(fd, port));
	T(get_int(fd, SOL_SOCKET, SO_ERROR));
	close(fd);
}

static void case_connect_nonblocking(void)
{
	int fd = new_socket(), l = (int)peer("listen %s", peer_addr),
	    port = (int)peer("port %d", l);

	nonblocking(fd);
	T(connect_to(fd, port));
	T(await(fd, POLLOUT));
	ready(fd);
	T(get_int(fd, SOL_SOCKET, SO_ERROR));
	T(connect_to(fd, port));
	T(connect_to(fd, port));
	close(fd);
	peer("close %d", l);
}

/* Nobody answers there. */
/* A connect() that has not ended is given up, and the socket used anew. */
static void given_up(int fd)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };
	int l = (int)peer("listen %s", peer_addr), port = (int)peer("port %d", l);

	T(connect(fd, &sa, sizeof(sa)));
	ready(fd);
	T(connect_to(fd, port));
	T(await(fd, POLLOUT));
	T(connect_to(fd, port));
	T(connect_to(fd, port));
	peer("close %d", l);
}

static void case_connect_waiting(void)
{
	const char *nowhere = family == AF_INET ? "10.77.0.200" : "fd77::200";
	socklen_t len;
	struct sockaddr_storage ss = address(nowhere, 9, &len);
	int fd = new_socket();
	char buf[4];

	nonblocking(fd);
	T(connect(fd, (struct sockaddr *)&ss, len));
	T(connect(fd, (struct sockaddr *)&ss, len));
	ready(fd);
	T(recv(fd, buf, 4, 0));
	T(send(fd, "x", 1, 0));
	T(get_int(fd, SOL_SOCKET, SO_ERROR));
	close(fd);
	fd = new_socket();
	T(set_time(fd, SO_SNDTIMEO, 50));
	T(connect(fd, (struct sockaddr *)&ss, len));
	T(connect(fd, (struct sockaddr *)&ss, len));
	close(fd);
	fd = new_socket();
	T(nonblocking(fd));
	T(connect(fd, (struct sockaddr *)&ss, len));
	given_up(fd);
	close(fd);
	fd = new_socket();
	catch (SIGALRM, 0);
	alarm_every(50);
	T(connect(fd, (struct sockaddr *)&ss, len));
	alarm_every(0);
	close(fd);
}

static void case_connect_arguments(void)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = new_socket();

	ss = address(peer_addr, 9, &len);
	T(connect(fd, (struct sockaddr *)&ss, 3));
	T(connect(fd, (struct sockaddr *)&ss, 0));
	ss.ss_family = 77;
	T(connect(fd, (struct sockaddr *)&ss, len));
	ss.ss_family = AF_UNSPEC;
	T(connect(fd, (struct sockaddr *)&ss, len));
	ss = address(family == AF_INET ? "255.255.255.255" : "ff02::1", 9, &len);
	T(connect(fd, (struct sockaddr *)&ss, len));
	close(fd);
	T(connect(fd, (struct sockaddr *)&ss, len));
}

static void case_disconnect(void)
{
	struct conn c = active();
	struct sockaddr sa = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int l;

	T(connect(c.fd, &sa, sizeof(sa)));
	T(getpeername(c.fd, (struct sockaddr *)&ss, &len));
	T(peer("recv %d 1", c.h) == -ECONNRESET);
	ready(c.fd);
	T(send(c.fd, "x", 1, MSG_NOSIGNAL));
	T(send(c.fd, "x", 1, MSG_NOSIGNAL));
	l = (int)peer("listen %s", peer_addr);
	T(connect_to(c.fd, (int)peer("port %d", l)));
	ready(c.fd);
	peer("close %d", l);
	finish(c);
	l = listener();
	T(connect(l, &sa, sizeof(sa)));
	T(get_int(l, SOL_SOCKET, SO_ACCEPTCONN));
	T(peer("connect %s %d", local_addr, port_of(l)));
	T(accept4(l, NULL, NULL, SOCK_NONBLOCK));
	T(listen(l, 4));
	T(peer("connect %s %d", local_addr, port_of(l)) >= 0);
	T(await(l, POLLIN));
	close(l);
}

static void case_read_write(void)
{
	struct conn c = active();
	char buf[64];
	struct iovec iov[3] = { { buf, 3 }, { buf + 3, 0 }, { buf + 3, 30 } };

	T(read(c.fd, buf, 0));
	T(write(c.fd, buf, 0));
	T(write(c.fd, "hello", 5));
	T(peer("recv %d 5", c.h));
	T(writev(c.fd, iov, 3));
	T(peer("recv %d 33", c.h));
	T(writev(c.fd, iov, 0));
	T(writev(c.fd, iov, minus_one));
	T(writev(c.fd, iov, too_many));
	T(readv(c.fd, iov, too_many));
	peer("send %d 10", c.h);
	T(await(c.fd, POLLIN));
	settle();
	T(read(c.fd, buf, 4));
	T(readv(c.fd, iov, 3));
	nonblocking(c.fd);
	T(read(c.fd, buf, 4));
	T(read(c.fd, buf, 0));
	T(readv(c.fd, iov, 2));
	T(pread(c.fd, buf, 4, 0));
	T(pwrite(c.fd, buf, 4, 0));
	T(preadv(c.fd, iov, 1, 0));
	T(pwritev(c.fd, iov, 1, 0));
	T(preadv2(c.fd, iov, 1, -1, 0));
	T(pwritev2(c.fd, iov, 1, -1, 0));
	T(lseek(c.fd, 0, SEEK_SET));
	peer("close %d", c.h);
	T(await(c.fd, POLLIN));
	T(read(c.fd, buf, 4));
	T(read(c.fd, buf, 4));
	close(c.fd);
	T(read(c.fd, buf, 4));
}

static void case_flags(void)
{
	struct conn c = passive();
	char buf[64];

	peer("send %d 10", c.h);
	T(await(c.fd, POLLIN));
	T(recv(c.fd, buf, 4, MSG_PEEK));
	T(recv(c.fd, buf, 64, MSG_PEEK));
	T(recv(c.fd, NULL, 3, MSG_TRUNC));
	T(recv(c.fd, buf, 7, MSG_WAITALL));
	T(recv(c.fd, buf, 7, MSG_DONTWAIT));
	T(recv(c.fd, buf, 7, MSG_DONTWAIT | MSG_PEEK));
	T(recv(c.fd, buf, 7, MSG_DONTWAIT | MSG_WAITALL));
	T(recv(c.fd, buf, 7, MSG_ERRQUEUE));
	T(recv(c.fd, buf, 7, MSG_OOB));
	T(recvfrom(c.fd, buf, 7, MSG_DONTWAIT, NULL, NULL));
	T(send(c.fd, "abc", 3, MSG_MORE));
	T(send(c.fd, "def", 3, 0));
	T(peer("recv %d 6", c.h));
	T(send(c.fd, "abc", 3, MSG_DONTWAIT | MSG_EOR | MSG_CONFIRM | MSG_DONTROUTE));
	T(peer("recv %d 3", c.h));
	T(send(c.fd, "abc", 3, MSG_ZEROCOPY));
	T(peer("recv %d 3", c.h));
	T(sendto(c.fd, "abc", 3, 0, (struct sockaddr *)buf, 64));
	T(peer("recv %d 3", c.h));
	T(sendto(c.fd, "abc", 3, 0, (struct sockaddr *)buf, 1000));
	T(send(c.fd, "abc", 3, MSG_FASTOPEN));
	finish(c);
}

static void case_waitall(void)
{
	struct conn c = active();
	char buf[64];

	peer("send %d 10", c.h);
	settle();
	T(set_time(c.fd, SO_RCVTIMEO, 50));
	T(recv(c.fd, buf, 64, MSG_WAITALL));
	T(recv(c.fd, buf, 64, MSG_WAITALL));
	peer("send %d 10", c.h);
	peer("shutdown %d 1", c.h);
	T(recv(c.fd, buf, 64, MSG_WAITALL));
	T(recv(c.fd, buf, 64, MSG_WAITALL));
	finish(c);
}

static void case_messages(void)
{
	struct conn c = active();
	char buf[64], control_buf[64];
	struct sockaddr_storage ss;
	struct iovec iov[2] = { { buf, 4 }, { buf + 4, 60 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct mmsghdr vec[3] = { { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 1 } },
				  { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 1 } },
				  { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 1 } } };
	struct timespec none = { 0, 0 };

	T(sendmsg(c.fd, &msg, 0));
	T(peer("recv %d 64", c.h));
	T(sendmmsg(c.fd, vec, 3, 0));
	T(vec[2].msg_len);
	T(peer("recv %d 12", c.h));
	msg.msg_iovlen = 2000;
	T(sendmsg(c.fd, &msg, 0));
	T(recvmsg(c.fd, &msg, 0));
	msg.msg_iovlen = 2;
	peer("send %d 10", c.h);
	settle();
	msg.msg_name = &ss;
	msg.msg_namelen = sizeof(ss);
	msg.msg_control = control_buf;
	msg.msg_controllen = sizeof(control_buf);
	msg.msg_flags = 0x55;
	T(recvmsg(c.fd, &msg, 0));
	SAY("name %u control %zu flags %x", msg.msg_namelen, msg.msg_controllen, msg.msg_flags);
	peer("send %d 10", c.h);
	settle();
	T(recvmsg(c.fd, &msg, MSG_TRUNC));
	SAY("flags %x", msg.msg_flags);
	msg.msg_namelen = (socklen_t)-1;
	T(recvmsg(c.fd, &msg, MSG_DONTWAIT));
	T(sendmsg(c.fd, &msg, 0));
	peer("send %d 10", c.h);
	settle();
	T(recvmmsg(c.fd, vec, 3, MSG_DONTWAIT, NULL));
	T(vec[0].msg_len);
	peer("send %d 10", c.h);
	settle();
	T(recvmmsg(c.fd, vec, 2, MSG_WAITFORONE, &none));
	T(recvmmsg(c.fd, vec, 1, MSG_DONTWAIT, NULL));
	T(recvmmsg(c.fd, vec, 1, MSG_DONTWAIT, NULL));
	T(recvmmsg(c.fd, vec, 1, MSG_DONTWAIT, NULL));
	/* Only the first one comes, or goes: no error is told of. */
	peer("send %d 4", c.h);
	settle();
	T(recvmmsg(c.fd, vec, 3, MSG_DONTWAIT, NULL));
	vec[1].msg_hdr.msg_iovlen = 2000;
	T(sendmmsg(c.fd, vec, 3, 0));
	T(peer("recv %d 4", c.h));
	finish(c);
}

static ssize_t send_with(int fd, int level, int type, size_t len)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(16)];
	} extra = { .header = {
			    .cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(len) } };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &extra,
			      .msg_controllen = CMSG_SPACE(len) };

	return sendmsg(fd, &msg, 0);
}

/* The end of the stream is as many messages as are asked for. */
static void case_messages_at_end(void)
{
	struct conn c = active();
	char buf[8];
	struct iovec iov = { buf, sizeof(buf) };
	struct mmsghdr vec[3] = { 0 };
	struct timespec limit = { 0, MR_NS_PER_S };
	socklen_t len = 5;

	for (int i = 0; i < 3; i++)
		vec[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 },
					   .msg_len = 7 };
	T(recvfrom(c.fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)buf, &len));
	T(len);
	peer("send %d 3", c.h);
	peer("shutdown %d 1", c.h);
	settle();
	T(recvmmsg(c.fd, vec, 3, 0, NULL));
	SAY("%u %u %u", vec[0].msg_len, vec[1].msg_len, vec[2].msg_len);
	T(recvmmsg(c.fd, vec, 1, 0, &limit));
	limit = (struct timespec){ .tv_sec = 5 };
	T(recvmmsg(c.fd, vec, 2, 0, &limit));
	T(limit.tv_sec);
	finish(c);
}

/* Where files are read at a position, a socket has the present one, -1. */
static void case_positions(void)
{
	struct conn c = active();
	char buf[8] = "abcdefg";
	struct iovec iov = { buf, 3 };

	T(preadv2(c.fd, &iov, 1, 0, 0));
	T(preadv2(c.fd, &iov, 1, -1, RWF_NOWAIT));
	T(preadv2(c.fd, &iov, 1, -1, 0x40000000));
	T(pwritev2(c.fd, &iov, 1, -1, RWF_NOWAIT));
	T(pwritev2(c.fd, &iov, 1, -1, RWF_DSYNC));
	T(peer("recv %d 6", c.h));
	peer("send %d 3", c.h);
	settle();
	T(preadv2(c.fd, &iov, 1, -1, RWF_NOWAIT));
	finish(c);
}

static void case_control(void)
{
	struct conn c = active();

	T(send_with(c.fd, SOL_SOCKET, SCM_RIGHTS, 4));
	T(send_with(c.fd, SOL_SOCKET, SCM_CREDENTIALS, 12));
	T(send_with(c.fd, SOL_SOCKET, SO_PRIORITY, 4));
	T(send_with(c.fd, SOL_SOCKET, SCM_TXTIME, 8));
	T(send_with(c.fd, SOL_SOCKET, 99, 4));
	T(send_with(c.fd, IPPROTO_IP, IP_TTL, 4));
	T(send_with(c.fd, IPPROTO_TCP, TCP_INQ, 4));
	finish(c);
}

/* What is left behind each piece, and at the end. */
static void case_inq(void)
{
	struct conn c = active();
	char data[8], extra[64];
	struct iovec iov = { data, 3 };

	T(set_int(c.fd, IPPROTO_TCP, TCP_INQ, 1));
	peer("send %d 8", c.h);
	peer("shutdown %d 1", c.h);
	settle();
	for (int i = 0; i < 4; i++) {
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = extra,
				      .msg_controllen = sizeof(extra) };
		struct cmsghdr *header;
		int left = -1;

		T(recvmsg(c.fd, &msg, 0));
		header = CMSG_FIRSTHDR(&msg);
		if (header && header->cmsg_level == IPPROTO_TCP && header->cmsg_type == TCP_CM_INQ)
			memcpy(&left, CMSG_DATA(header), sizeof(left));
		SAY("left %d, control %zu, flags %d", left, msg.msg_controllen, msg.msg_flags);
	}
	finish(c);
}

static void case_urgent(void)
{
	struct conn c = passive();
	char buf[64];
	int mark = 7;

	peer("send %d 3", c.h);
	settle();
	peer("oob %d 1", c.h);
	settle();
	peer("send %d 2", c.h);
	settle();
	ready(c.fd);
	T(ioctl(c.fd, SIOCATMARK, &mark));
	T(mark);
	T(recv(c.fd, buf, 64, MSG_PEEK));
	T(recv(c.fd, buf, 64, 0));
	T(ioctl(c.fd, SIOCATMARK, &mark));
	T(mark);
	T(recv(c.fd, buf, 64, MSG_OOB | MSG_PEEK));
	T(recv(c.fd, buf, 64, MSG_OOB));
	T(recv(c.fd, buf, 64, MSG_OOB));
	ready(c.fd);
	T(recv(c.fd, buf, 64, 0));
	T(send(c.fd, "xyz", 3, MSG_OOB));
	T(peer("recv %d 2", c.h));
	T(set_int(c.fd, SOL_SOCKET, SO_OOBINLINE, 1));
	peer("oob %d 2", c.h);
	settle();
	ready(c.fd);
	T(recv(c.fd, buf, 64, 0));
	T(sockatmark(c.fd));
	T(recv(c.fd, buf, 64, MSG_OOB));
	T(recv(c.fd, buf, 64, 0));
	T(recv(c.fd, buf, 64, MSG_DONTWAIT));
	finish(c);
}

/* Who owns the socket is sent a signal when urgent data comes. */
static void case_urgent_signal(void)
{
	struct conn c = active();
	struct f_owner_ex ex = { F_OWNER_PID, getpid() };
	int owner = getpid();
	char buf[8];

	catch (SIGURG, SA_RESTART);
	peer("oob %d 1", c.h);
	settle();
	T(signals);
	T(recv(c.fd, buf, sizeof(buf), MSG_OOB));
	for (int way = 0; way < 3; way++) {
		if (way == 0)
			T(fcntl(c.fd, F_SETOWN, owner));
		else if (way == 1)
			T(ioctl(c.fd, FIOSETOWN, &owner));
		else
			T(fcntl(c.fd, F_SETOWN_EX, &ex));
		peer("oob %d 1", c.h);
		settle();
		T(signals);
		T(recv(c.fd, buf, sizeof(buf), MSG_OOB));
	}
	T(fcntl(c.fd, F_SETOWN, 0));
	peer("oob %d 1", c.h);
	settle();
	T(signals);
	signal(SIGURG, SIG_DFL);
	finish(c);
}

static void case_shutdown(void)
{
	struct conn c = active();
	char buf[16];

	signal(SIGPIPE, SIG_IGN);
	T(shutdown(c.fd, 7));
	T(shutdown(c.fd, SHUT_WR));
	ready(c.fd);
	T(send(c.fd, "x", 1, 0));
	T(peer("recv %d -1", c.h));
	peer("send %d 3", c.h);
	T(await(c.fd, POLLIN));
	ready(c.fd);
	T(recv(c.fd, buf, 16, 0));
	T(shutdown(c.fd, SHUT_WR));
	peer("close %d", c.h);
	T(await(c.fd, POLLIN));
	settle();
	ready(c.fd);
	T(recv(c.fd, buf, 16, 0));
	T(shutdown(c.fd, SHUT_RD));
	T(shutdown(c.fd, SHUT_RDWR));
	close(c.fd);
}

static void case_shutdown_read(void)
{
	struct conn c = passive();
	char buf[16];
	int queued = -1;

	peer("send %d 5", c.h);
	settle();
	T(shutdown(c.fd, SHUT_RD));
	ready(c.fd);
	T(recv(c.fd, buf, 2, 0));
	T(recv(c.fd, buf, 16, 0));
	T(recv(c.fd, buf, 16, 0));
	peer("send %d 3", c.h);
	settle();
	T(ioctl(c.fd, FIONREAD, &queued));
	T(queued);
	T(recv(c.fd, buf, 16, 0));
	T(recv(c.fd, buf, 16, 0));
	T(send(c.fd, "abc", 3, 0));
	T(peer("recv %d 3", c.h));
	T(shutdown(c.fd, SHUT_WR));
	ready(c.fd);
	T(peer("recv %d -1", c.h));
	finish(c);
}

static void case_reset(void)
{
	struct conn c = active();
	char buf[16];

	signal(SIGPIPE, SIG_IGN);
	peer("send %d 3", c.h);
	settle();
	peer("reset %d", c.h);
	settle();
	ready(c.fd);
	T(recv(c.fd, buf, 16, 0));
	T(recv(c.fd, buf, 16, 0));
	T(recv(c.fd, buf, 16, 0));
	T(send(c.fd, "x", 1, 0));
	ready(c.fd);
	T(get_int(c.fd, SOL_SOCKET, SO_ERROR));
	T(shutdown(c.fd, SHUT_WR));
	T(getpeername(c.fd, (struct sockaddr *)buf, &(socklen_t){ 16 }));
	close(c.fd);
}

static void case_reset_error(void)
{
	struct conn c = passive();
	char buf[16];

	signal(SIGPIPE, SIG_IGN);
	peer("reset %d", c.h);
	settle();
	ready(c.fd);
	T(get_int(c.fd, SOL_SOCKET, SO_ERROR) == ECONNRESET);
	T(get_int(c.fd, SOL_SOCKET, SO_ERROR));
	ready(c.fd);
	T(recv(c.fd, buf, 16, 0));
	T(send(c.fd, "x", 1, 0));
	close(c.fd);
}

static void case_broken_pipe(void)
{
	struct conn c = active();

	catch (SIGPIPE, 0);
	peer("reset %d", c.h);
	settle();
	T(send(c.fd, "x", 1, 0));
	T(send(c.fd, "x", 1, MSG_NOSIGNAL));
	T(signals);
	T(send(c.fd, "x", 1, 0));
	T(signals);
	T(write(c.fd, "x", 1));
	T(signals);
	close(c.fd);
	signal(SIGPIPE, SIG_IGN);
}

static void case_write_after_close(void)
{
	struct conn c = active();
	char buf[4];

	signal(SIGPIPE, SIG_IGN);
	peer("close %d", c.h);
	settle();
	ready(c.fd);
	T(send(c.fd, "x", 1, 0));
	settle();
	ready(c.fd);
	T(send(c.fd, "x", 1, 0));
	T(recv(c.fd, buf, 4, 0));
	T(recv(c.fd, buf, 4, 0));
	close(c.fd);
}

static void case_close_unread(void)
{
	struct conn c = passive();

	peer("send %d 3", c.h);
	settle();
	close(c.fd);
	T(peer("recv %d 1", c.h) == -ECONNRESET);
	peer("close %d", c.h);
}

/* A call that a signal handler jumps out of does not keep what is closed then: wget's time limit is made so. */
static void case_close_after_jump(void)
{
	struct sigaction sa = { .sa_handler = on_jump };
	struct conn c = passive();
	struct pollfd pfd = { .fd = c.fd, .events = POLLIN };
	sigset_t usr1, none;

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1); /* for who unblocks it: the sleeping call */
	if (!sigsetjmp(jumped, 1))
		T(ppoll(&pfd, 1, NULL, &none));
	signal(SIGUSR1, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	T(close(c.fd));
	T(peer("recv %d 1", c.h));
	peer("close %d", c.h);
}

static void case_linger(void)
{
	struct conn c = active();
	struct linger l = { 1, 0 };
	socklen_t len = sizeof(l);

	T(getsockopt(c.fd, SOL_SOCKET, SO_LINGER, &l, &len));
	SAY("linger %d %d", l.l_onoff, l.l_linger);
	l = (struct linger){ 1, 0 };
	T(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	T(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &l, 4));
	T(getsockopt(c.fd, SOL_SOCKET, SO_LINGER, &l, &len));
	SAY("linger %d %d", l.l_onoff, l.l_linger);
	close(c.fd);
	T(peer("recv %d 1", c.h) == -ECONNRESET);
	peer("close %d", c.h);
	c = active();
	l = (struct linger){ 1, 2 };
	T(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	T(send(c.fd, "abc", 3, 0));
	T(close(c.fd));
	T(peer("recv %d -1", c.h));
	peer("close %d", c.h);
}

static void case_duplicates(void)
{
	struct conn c = passive();
	int d = dup(c.fd), e;
	char buf[4];

	T(d > c.fd);
	T(nonblocking(d));
	T(fcntl(c.fd, F_GETFL) & O_NONBLOCK);
	T(recv(c.fd, buf, 4, 0));
	close(c.fd);
	T(recv(c.fd, buf, 4, 0));
	T(send(d, "abc", 3, 0));
	T(peer("recv %d 3", c.h));
	e = fcntl(d, F_DUPFD_CLOEXEC, 100);
	T(e);
	T(fcntl(e, F_GETFD));
	T(dup2(e, 120));
	T(fcntl(120, F_GETFD));
	T(dup2(e, e));
	T(dup3(e, e, 0));
	T(dup3(e, 121, O_CLOEXEC));
	T(dup3(e, 121, 1));
	T(dup2(-1, 121));
	T(send(121, "abc", 3, 0));
	close(d);
	close(e);
	close(120);
	T(peer("recv %d 3", c.h));
	T(dup2(0, 121));
	T(peer("recv %d -1", c.h));
	close(121);
	peer("close %d", c.h);
}

/* Copies that are made before the socket is connected or listens. */
static void case_dup_before(void)
{
	int s = new_socket(), d = dup(s), l = (int)peer("listen %s", peer_addr),
	    ep = epoll_create1(0);
	long h;
	char buf[4];

	T(ep_ctl(ep, EPOLL_CTL_ADD, d, EPOLLIN));
	T(connect_to(s, (int)peer("port %d", l)));
	h = peer("accept %d", l);
	peer("close %d", l);
	T(send(d, "abc", 3, 0));
	T(peer("recv %ld 3", h));
	peer("send %ld 2", h);
	T(ep_wait(ep, 5 * SECOND_MS));
	T(recv(d, buf, sizeof(buf), 0));
	close(s);
	T(send(d, "abc", 3, 0));
	T(peer("recv %ld 3", h));
	close(d);
	T(peer("recv %ld 3", h));
	peer("close %ld", h);
	s = new_socket();
	d = dup(s);
	T(bind_any(s, 0));
	T(listen(d, 3));
	h = peer("connect %s %d", local_addr, port_of(s));
	T(await(s, POLLIN));
	T(close(accept(s, NULL, NULL)));
	peer("close %ld", h);
	close(s);
	close(d);
	close(ep);
}

static void case_dup_onto(void)
{
	struct conn c = passive(), d = active();

	T(dup2(c.fd, d.fd) == d.fd);
	T(peer("recv %d -1", d.h));
	T(send(d.fd, "abc", 3, 0));
	T(peer("recv %d 3", c.h));
	finish(d);
	T(send(c.fd, "abc", 3, 0));
	T(peer("recv %d 3", c.h));
	T((int)syscall(SYS_close, c.fd));
	T(peer("recv %d -1", c.h));
	peer("close %d", c.h);
}

static void case_close_range(void)
{
	struct conn c = passive(), d = active();
	int lo = c.fd < d.fd ? c.fd : d.fd, hi = c.fd < d.fd ? d.fd : c.fd;

	T(close_range((unsigned)hi, (unsigned)lo - 1, 0));
	T(close_range((unsigned)lo, (unsigned)hi, 0));
	T(peer("recv %d -1", c.h));
	T(peer("recv %d -1", d.h));
	peer("close %d", c.h);
	peer("close %d", d.h);
}

static void case_status_flags(void)
{
	struct conn c = active();
	int on = 1, n = -1;

	T(fcntl(c.fd, F_GETFL));
	T(fcntl(c.fd, F_SETFL, O_NONBLOCK | O_RDWR));
	T(fcntl(c.fd, F_GETFL));
	on = 0;
	T(ioctl(c.fd, FIONBIO, &on));
	T(fcntl(c.fd, F_GETFL));
	T(fcntl(c.fd, F_SETFD, FD_CLOEXEC));
	T(fcntl(c.fd, F_GETFD));
	T(ioctl(c.fd, FIONCLEX));
	T(fcntl(c.fd, F_GETFD));
	T(fcntl(c.fd, F_SETOWN, getpid()));
	T(fcntl(c.fd, F_GETOWN) == getpid());
	T(fcntl(c.fd, 9999));
	peer("send %d 7", c.h);
	settle();
	T(ioctl(c.fd, FIONREAD, &n));
	T(n);
	T(ioctl(c.fd, SIOCOUTQ, &n));
	T(n);
	T(ioctl(c.fd, SIOCOUTQNSD, &n));
	T(n);
	T(ioctl(c.fd, 0x5401 /* TCGETS */, &n));
	T(isatty(c.fd));
	finish(c);
}

static void option(int fd, const char *name, int level, int opt, int value)
{
	int err = set_int(fd, level, opt, value) ? errno : 0;

	SAY("%s set %d: %s, now %d", name, value, error_name(err), get_int(fd, level, opt));
}

#define O(fd, level, opt, value) option(fd, #opt, level, opt, value)

static void options_of(int fd)
{
	O(fd, SOL_SOCKET, SO_KEEPALIVE, 5);
	O(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	O(fd, SOL_SOCKET, SO_RCVLOWAT, 3);
	O(fd, SOL_SOCKET, SO_RCVLOWAT, 0);
	O(fd, SOL_SOCKET, SO_SNDLOWAT, 3);
	O(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	O(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	O(fd, SOL_SOCKET, SO_SNDBUF, 100000);
	O(fd, SOL_SOCKET, SO_SNDBUF, 1);
	O(fd, SOL_SOCKET, SO_RCVBUF, 100000);
	O(fd, SOL_SOCKET, SO_RCVBUF, 1);
	O(fd, SOL_SOCKET, SO_PRIORITY, 3);
	O(fd, SOL_SOCKET, SO_BROADCAST, 1);
	O(fd, SOL_SOCKET, SO_TYPE, 1);
	O(fd, SOL_SOCKET, SO_ERROR, 1);
	O(fd, SOL_SOCKET, 12345, 1);
	O(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	O(fd, IPPROTO_TCP, TCP_NODELAY, 0);
	O(fd, IPPROTO_TCP, TCP_CORK, 1);
	O(fd, IPPROTO_TCP, TCP_CORK, 0);
	O(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
	O(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0);
	O(fd, IPPROTO_TCP, TCP_KEEPIDLE, 40000);
	O(fd, IPPROTO_TCP, TCP_KEEPINTVL, 30);
	O(fd, IPPROTO_TCP, TCP_KEEPINTVL, 40000);
	O(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	O(fd, IPPROTO_TCP, TCP_KEEPCNT, 200);
	O(fd, IPPROTO_TCP, TCP_SYNCNT, 3);
	O(fd, IPPROTO_TCP, TCP_SYNCNT, 0);
	O(fd, IPPROTO_TCP, TCP_LINGER2, 10);
	O(fd, IPPROTO_TCP, TCP_LINGER2, -5);
	O(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 3);
	O(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
	O(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
	O(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, -1);
	O(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
	O(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 5000);
	O(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, -1);
	O(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0);
	O(fd, IPPROTO_TCP, TCP_MAXSEG, 87);
	O(fd, IPPROTO_TCP, TCP_MAXSEG, 1000);
	O(fd, IPPROTO_TCP, TCP_MAXSEG, 0);
	O(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 50000);
	O(fd, IPPROTO_TCP, 12345, 1);
	O(fd, IPPROTO_IP, IP_TOS, 0x10);
	O(fd, IPPROTO_IP, IP_TTL, 33);
	O(fd, IPPROTO_IP, IP_TTL, 0);
	O(fd, IPPROTO_IP, IP_TTL, 256);
	O(fd, IPPROTO_IP, IP_TTL, -1);
	O(fd, IPPROTO_IP, 12345, 1);
	if (family == AF_INET6) {
		O(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 33);
		O(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256);
		O(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1);
		O(fd, IPPROTO_IPV6, IPV6_TCLASS, 0x20);
		O(fd, IPPROTO_IPV6, IPV6_TCLASS, 256);
		O(fd, IPPROTO_IPV6, IPV6_TCLASS, -1);
	}
	O(fd, 77, 1, 1);
}

static void case_options(void)
{
	struct conn c = active();
	int value = 1;
	socklen_t len;

	options_of(c.fd);
	T(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &value, 2));
	T(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, NULL, 4));
	T(setsockopt(c.fd, IPPROTO_IP, IP_TOS, &value, 1));
	len = 2;
	T(getsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &value, &len));
	T(len);
	len = 100;
	T(getsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &value, &len));
	T(len);
	len = (socklen_t)-1;
	T(getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &value, &len));
	len = 1;
	T(getsockopt(c.fd, IPPROTO_IP, IP_TTL, &value, &len));
	T(len);
	T(setsockopt(c.fd, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8));
	finish(c);
}

static void case_options_accepted(void)
{
	int l = listener(), fd;
	long h;
	struct timeval tv;
	socklen_t len = sizeof(tv);

	set_int(l, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(l, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(l, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set_int(l, SOL_SOCKET, SO_SNDBUF, 50000);
	set_time(l, SO_RCVTIMEO, 1500);
	nonblocking(l);
	h = peer("connect %s %d", local_addr, port_of(l));
	await(l, POLLIN);
	fd = accept(l, NULL, NULL);
	T(get_int(fd, SOL_SOCKET, SO_KEEPALIVE));
	T(get_int(fd, IPPROTO_TCP, TCP_NODELAY));
	T(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE));
	T(get_int(fd, SOL_SOCKET, SO_SNDBUF));
	T(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len));
	SAY("%ld %ld", tv.tv_sec, tv.tv_usec);
	T(fcntl(fd, F_GETFL));
	T(get_int(fd, SOL_SOCKET, SO_PROTOCOL));
	close(fd);
	close(l);
	peer("close %ld", h);
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

/* What is done to one that was accepted is not done to the other. */
static void case_accepted_apart(void)
{
	int l = listener(), fds[2], d;
	long h[2];

	nonblocking(l);
	for (int i = 0; i < 2; i++) {
		h[i] = peer("connect %s %d", local_addr, port_of(l));
		await(l, POLLIN);
		fds[i] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	}
	T(fds[1] - fds[0]);
	T(fcntl(fds[0], F_SETFL, O_APPEND | O_NONBLOCK));
	T(fcntl(fds[0], F_GETFL));
	T(fcntl(fds[1], F_GETFL));
	T(set_int(fds[1], SOL_SOCKET, SO_PRIORITY, 5));
	T(get_int(fds[0], SOL_SOCKET, SO_PRIORITY));
	T(get_int(fds[1], SOL_SOCKET, SO_PRIORITY));
	T(fcntl(fds[0], F_GETFD));
	d = dup(fds[1]);
	T(fcntl(d, F_GETFD));
	T(cookie_of(d) == cookie_of(fds[1]));
	T(cookie_of(fds[0]) == cookie_of(fds[1]));
	T(fcntl(fds[0], F_SETOWN, getpid()));
	T(fcntl(fds[1], F_GETOWN));
	T(fcntl(d, F_GETOWN));
	close(fds[0]);
	T(write(fds[1], "x", 1));
	close(fds[1]);
	T(write(d, "x", 1));
	close(d);
	close(l);
	peer("close %ld", h[0]);
	peer("close %ld", h[1]);
}

static void set_by_child(int fd, int idle)
{
	pid_t pid = fork();

	if (!pid) {
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* By itself, through a copy, by another process: whoever sets an option, the connection has it. */
static void case_options_before_by(void)
{
	int l = (int)peer("listen %s", peer_addr), fd, d;

	for (int by = 0; by < 4; by++) {
		fd = new_socket();
		d = by == 1 ? dup(fd) : -1;
		if (by < 2)
			set_int(d < 0 ? fd : d, IPPROTO_TCP, TCP_KEEPIDLE, 77 + by);
		else if (by == 2)
			set_by_child(fd, 77 + by);
		set_time(fd, SO_SNDTIMEO, 1500 + by * 100);
		if (d >= 0)
			close(d);
		nonblocking(fd);
		connect_to(fd, (int)peer("port %d", l));
		await(fd, POLLOUT);
		T(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE));
		T(get_int(fd, IPPROTO_TCP, TCP_NODELAY));
		T(get_int(fd, SOL_SOCKET, SO_LINGER));
		close(fd);
	}
	peer("close %d", l);
}

static void case_options_before(void)
{
	int fd = new_socket(), l = (int)peer("listen %s", peer_addr);

	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set_int(fd, SOL_SOCKET, SO_RCVBUF, 50000);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1234);
	set_time(fd, SO_SNDTIMEO, 1500);
	nonblocking(fd);
	connect_to(fd, (int)peer("port %d", l));
	await(fd, POLLOUT);
	T(get_int(fd, SOL_SOCKET, SO_KEEPALIVE));
	T(get_int(fd, IPPROTO_TCP, TCP_NODELAY));
	T(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE));
	T(get_int(fd, SOL_SOCKET, SO_RCVBUF));
	T(get_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT));
	T(fcntl(fd, F_GETFL));
	close(fd);
	peer("close %d", l);
}

static void case_tcp_info(void)
{
	struct conn c = active();
	struct tcp_info info;
	socklen_t len = sizeof(info);

	send(c.fd, "abc", 3, 0);
	peer("recv %d 3", c.h);
	settle();
	T(getsockopt(c.fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	SAY("state %d rto %d mss %d rtt %d", info.tcpi_state, info.tcpi_rto > 0,
	    info.tcpi_snd_mss > 500, info.tcpi_rtt > 0);
	len = 1;
	T(getsockopt(c.fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	T(len);
	finish(c);
}

static void case_timeouts(void)
{
	struct conn c = active();
	char buf[4];
	struct timeval tv = { 0, 0 };
	socklen_t len = sizeof(tv);

	T(set_time(c.fd, SO_RCVTIMEO, 50));
	T(recv(c.fd, buf, 4, 0));
	T(getsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len));
	SAY("%ld %d", tv.tv_sec, tv.tv_usec >= 48000);
	tv = (struct timeval){ 0, 2000000 };
	T(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	T(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, 4));
	finish(c);
}

static void case_full(void)
{
	struct conn c = active();
	static char big[1 << 20];
	long total = 0;

	nonblocking(c.fd);
	for (int full = 0; full < 10;) { /* what was sent makes room when it is acknowledged */
		long n = send(c.fd, big, sizeof(big), 0);

		if (n > 0) {
			total += n;
			full = 0;
		} else {
			settle();
			full++;
		}
	}
	T(send(c.fd, big, sizeof(big), 0));
	ready(c.fd);
	T(total > 16384);
	T(fcntl(c.fd, F_SETFL, 0));
	T(set_time(c.fd, SO_SNDTIMEO, 50));
	T(send(c.fd, big, 10, 0));
	T(peer("recv %d %ld", c.h, total) == total);
	T(await(c.fd, POLLOUT));
	ready(c.fd);
	finish(c);
}

static void case_interrupted(void)
{
	struct conn c = active();
	char buf[16];
	pthread_t thread;
	struct pollfd pfd = { .fd = c.fd, .events = POLLIN };

	catch (SIGALRM, 0);
	alarm_every(50);
	T(recv(c.fd, buf, 16, 0));
	T(signals > 0);
	T(poll(&pfd, 1, 1000));
	catch (SIGALRM, SA_RESTART);
	T(poll(&pfd, 1, 1000));
	pthread_create(&thread, NULL, send_late, &c.h);
	T(recv(c.fd, buf, 16, 0));
	alarm_every(0);
	T(signals > 0);
	pthread_join(thread, NULL);
	T(set_time(c.fd, SO_RCVTIMEO, 1000));
	alarm_every(50);
	T(recv(c.fd, buf, 16, 0));
	alarm_every(0);
	finish(c);
}

/* What is no file to send from, and what is no place to send to. */
static void case_sendfile_refused(void)
{
	struct conn c = active();
	char path[] = "/tmp/posix-conf-XXXXXX";
	int file = mkstemp(path), wronly = open("/dev/null", O_WRONLY), fds[2];
	off_t off = 0;
	char buf[8];

	unlink(path);
	T(pipe(fds));
	T(sendfile(c.fd, fds[0], NULL, 5));
	T(sendfile(c.fd, fds[0], &off, 5));
	T(sendfile(c.fd, fds[1], NULL, 5));
	T(sendfile(c.fd, wronly, NULL, 5));
	T(sendfile(c.fd, -1, NULL, 5));
	off = -1;
	T(sendfile(c.fd, file, &off, 5));
	off = 0;
	T(sendfile(file, c.fd, NULL, 5));
	T(sendfile(fds[1], c.fd, &off, 5));
	peer("send %d 5", c.h);
	settle();
	T(sendfile(fds[1], c.fd, NULL, 3));
	T(read(fds[0], buf, sizeof(buf)));
	T(sendfile(c.fd, file, NULL, (size_t)-1));
	T(splice(c.fd, NULL, fds[0], NULL, 1, 0));
	T(splice(fds[1], NULL, c.fd, NULL, 1, 0));
	T(splice(c.fd, NULL, fds[1], NULL, 1, 0x100));
	T(recv(c.fd, buf, sizeof(buf), 0));
	close(fds[0]);
	close(fds[1]);
	close(wronly);
	close(file);
	finish(c);
}

static void case_sendfile(void)
{
	struct conn c = active();
	char path[] = "/tmp/posix-conf-XXXXXX";
	int file = mkstemp(path), pipe_fds[2];
	off_t off = 10;
	char buf[64];

	unlink(path);
	T(ftruncate(file, 100000));
	T(sendfile(c.fd, file, &off, 50));
	T(off);
	T(sendfile(c.fd, file, NULL, 200000));
	T(lseek(file, 0, SEEK_CUR));
	T(sendfile(c.fd, file, NULL, 10));
	T(peer("recv %d 100050", c.h));
	T(sendfile(c.fd, c.fd, NULL, 10));
	T(sendfile(file, c.fd, NULL, 10));
	T(pipe(pipe_fds));
	T(write(pipe_fds[1], "hello", 5));
	T(splice(pipe_fds[0], NULL, c.fd, NULL, 100, 0));
	T(peer("recv %d 5", c.h));
	peer("send %d 6", c.h);
	settle();
	T(splice(c.fd, NULL, pipe_fds[1], NULL, 100, 0));
	T(read(pipe_fds[0], buf, 64));
	T(nonblocking(c.fd));
	T(splice(c.fd, NULL, pipe_fds[1], NULL, 100, 0));
	T(splice(c.fd, NULL, file, NULL, 100, 0));
	peer("close %d", c.h);
	settle();
	T(splice(c.fd, NULL, pipe_fds[1], NULL, 100, 0));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(file);
	close(c.fd);
}

static void case_streams(void)
{
	struct conn c = active();
	FILE *f = fdopen(c.fd, "r+");
	char line[64];

	T(f != NULL);
	T(fileno(f) == c.fd);
	T(fprintf(f, "hello\n"));
	T(fflush(f));
	T(peer("recv %d 6", c.h));
	T(dprintf(c.fd, "%s %d\n", "number", 7));
	T(peer("recv %d 9", c.h));
	peer("send %d 5", c.h);
	peer("close %d", c.h);
	settle();
	T(fread(line, 1, 64, f));
	T(feof(f) != 0);
	T(fclose(f));
}

static void case_syscall(void)
{
	struct conn c = active();
	char buf[16];

	T(syscall(SYS_write, c.fd, "abc", 3));
	T(syscall(SYS_sendto, c.fd, "def", 3, 0, NULL, 0));
	T(peer("recv %d 6", c.h));
	peer("send %d 5", c.h);
	settle();
	T(syscall(SYS_recvfrom, c.fd, buf, 2, MSG_PEEK, NULL, NULL));
	T(syscall(SYS_read, c.fd, buf, 16));
	T(syscall(SYS_read, -1, buf, 16));
	T(syscall(SYS_fcntl, c.fd, F_SETFL, O_NONBLOCK));
	T(syscall(SYS_fcntl, c.fd, F_GETFL) & O_NONBLOCK);
	T(syscall(SYS_read, c.fd, buf, 16));
	T(syscall(SYS_fcntl, c.fd, F_DUPFD, PROBE_FD - 1));
	T(send(PROBE_FD - 1, "ghi", 3, 0));
	T(peer("recv %d 3", c.h));
	close(PROBE_FD - 1);
	T(syscall(SYS_close, c.fd));
	T(peer("recv %d -1", c.h));
	peer("close %d", c.h);
}

static void case_bind(void)
{
	int a = new_socket(), b = new_socket(), port;
	socklen_t len;
	struct sockaddr_storage ss = address(family == AF_INET ? "1.2.3.4" : "fd99::1", 0, &len);

	T(bind(a, (struct sockaddr *)&ss, len));
	T(bind_any(a, 0));
	T(bind_any(a, 0));
	T(listen(a, 5));
	port = port_of(a);
	T(bind_any(b, port));
	T(set_int(b, SOL_SOCKET, SO_REUSEADDR, 1));
	T(bind_any(b, port));
	close(a);
	T(bind_any(b, port));
	T(listen(b, 5));
	close(b);
}

static void case_rebind(void)
{
	int a = new_socket(), b, port, fd;
	long h;

	T(set_int(a, SOL_SOCKET, SO_REUSEADDR, 1));
	T(bind_any(a, 0));
	T(listen(a, 5));
	port = port_of(a);
	h = peer("connect %s %d", local_addr, port);
	fd = accept(a, NULL, NULL);

	close(fd); /* our FIN is first: TIME-WAIT is ours */
	close(a);
	peer("recv %ld -1", h);
	peer("close %ld", h);
	settle();
	/* Without the option the kernel refuses, because of TIME-WAIT; the stack's it does not know. */
	b = new_socket();
	T(set_int(b, SOL_SOCKET, SO_REUSEADDR, 1));
	T(bind_any(b, port));
	T(listen(b, 5));
	h = peer("connect %s %d", local_addr, port);
	T(h > 0);
	fd = accept(b, NULL, NULL);
	T(fd > 0);
	close(fd);
	close(b);
	peer("close %ld", h);
}

static void case_big(void)
{
	struct conn c = passive();
	static char big[1 << 20];
	long got = 0, n;

	T(peer("send %d 100000", c.h));
	while (got < 100000 && (n = recv(c.fd, big, sizeof(big), 0)) > 0)
		got += n;
	T(got);
	finish(c);
}

static const struct test_case {
	const char *name;
	void (*run)(void);
} cases[] = {
#define C(name)                                                                                    \
	{                                                                                          \
#name, case_##name                                                                 \
	}
	C(names),
	C(listener_calls),
	C(accept),
	C(accept_dead),
	C(accept_timeout),
	C(backlog),
	C(backlog_of_linux),
	C(unconnected),
	C(refused),
	C(refused_nonblocking),
	C(connect_nonblocking),
	C(connect_waiting),
	C(connect_arguments),
	C(disconnect),
	C(read_write),
	C(flags),
	C(waitall),
	C(messages),
	C(messages_at_end),
	C(positions),
	C(control),
	C(inq),
	C(urgent),
	C(urgent_signal),
	C(shutdown),
	C(shutdown_read),
	C(reset),
	C(reset_error),
	C(broken_pipe),
	C(write_after_close),
	C(close_unread),
	C(close_after_jump),
	C(linger),
	C(duplicates),
	C(dup_before),
	C(dup_onto),
	C(close_range),
	C(status_flags),
	C(options),
	C(options_accepted),
	C(options_before),
	C(options_before_by),
	C(accepted_apart),
	C(tcp_info),
	C(timeouts),
	C(full),
	C(interrupted),
	C(handlers),
	C(handlers_jump),
	C(handlers_close),
	C(handlers_fork),
	C(handlers_fork_and_return),
	C(handlers_queued),
	C(handlers_stack),
	C(handlers_confined),
	C(handler_names),
	C(handler_sigset),
	C(handler_flags),
	C(poll),
	C(poll_signals),
	C(select_all),
	C(select),
	C(epoll_level),
	C(epoll_edge),
	C(epoll_oneshot),
	C(epoll_exclusive),
	C(epoll_mixed),
	C(epoll_events_nowhere),
	C(epoll_nested),
	C(epoll_duplicate),
	C(epoll_instance_duplicate),
	C(epoll_turns),
	C(epoll_no_socket),
	C(epoll_before),
	C(epoll_late),
	C(epoll_late_exact),
	C(epoll_late_kernel),
	C(address_space),
	C(passed),
	C(passed_and_peeked),
	C(inodes),
	C(passed_to_child),
	C(passed_late),
	C(passed_beside_exec),
	C(close_while_reading),
	C(close_while_polling),
	C(shutdown_while_reading),
	C(cancel),
	C(sendfile),
	C(sendfile_refused),
	C(streams),
	C(syscall),
	C(fork),
	C(clone),
	C(clone_function),
	C(fork_often),
	C(fork_handlers),
	C(fork_listen),
	C(fork_accept),
	C(exec),
	C(exec_bare),
	C(streams_move),
	C(streams_accepted),
	C(exec_others),
	C(system),
	C(popen),
	C(fork_beside_popen),
	C(bind),
	C(rebind),
	C(big),
#undef C
};

static int run_main(const char *path, const char *only)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	control = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(control, (struct sockaddr *)&sun, sizeof(sun)))
		die(path);
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		if (only && strcmp(only, cases[i].name) != 0)
			continue;
		printf("%s\n", cases[i].name);
		alarm(0);
		cases[i].run();
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "peer"))
		return peer_main(argv[2]);
	if (argc != 5 && argc != 6)
		return 2;
	local_addr = argv[3];
	peer_addr = argv[4];
	family = strchr(peer_addr, ':') ? AF_INET6 : AF_INET;
	return run_main(argv[2], argv[5]);
}
