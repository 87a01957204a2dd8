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
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/time.h"

#define SECOND_MS 1000
#define SETTLE_US 30000 /* for what the peer did to arrive */
#define PROBE_FD  900

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_storage address(const char *text, int port, socklen_t *len)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *sin = (void *)&ss;
	struct sockaddr_in6 *sin6 = (void *)&ss;

	if (strchr(text, ':')) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons((uint16_t)port);
		inet_pton(AF_INET6, text, &sin6->sin6_addr);
		*len = sizeof(*sin6);
	} else {
		sin->sin_family = AF_INET;
		sin->sin_port = htons((uint16_t)port);
		inet_pton(AF_INET, text, &sin->sin_addr);
		*len = sizeof(*sin);
	}
	return ss;
}

static int port_of(int fd)
{
	struct sockaddr_in6 sin6 = { 0 };
	socklen_t len = sizeof(sin6);

	if (getsockname(fd, (struct sockaddr *)&sin6, &len))
		die("getsockname");
	return ntohs(sin6.sin6_port); /* at the same place in both families */
}

/* ---- The peer -------------------------------------------------------------------------------- */

static int peer_listen(const char *addr)
{
	socklen_t len;
	struct sockaddr_storage ss = address(addr, 0, &len);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len) || listen(fd, 100))
		return -errno;
	return fd;
}

static int peer_connect(const char *addr, int port)
{
	socklen_t len;
	struct sockaddr_storage ss = address(addr, port, &len);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&ss, len)) {
		int err = errno;

		close(fd);
		return -err;
	}
	return fd;
}

static long peer_send(int fd, long n, int flags)
{
	static char buf[65536];
	long done = 0;

	memset(buf, 'p', sizeof(buf));
	while (done < n) {
		ssize_t ret = send(fd, buf, (size_t)mr_min(n - done, (long)sizeof(buf)),
				   flags | MSG_NOSIGNAL);

		if (ret < 0)
			return -errno;
		done += ret;
	}
	return done;
}

/* n < 0: to the end. */
static long peer_recv(int fd, long n)
{
	static char buf[65536];
	long done = 0;

	while (n < 0 || done < n) {
		size_t most = n < 0 ? sizeof(buf) : (size_t)mr_min(n - done, (long)sizeof(buf));
		ssize_t ret = recv(fd, buf, most, 0);

		if (ret < 0)
			return -errno;
		if (!ret)
			break;
		done += ret;
	}
	return done;
}

static long peer_reset(int fd)
{
	struct linger l = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	return close(fd);
}

static long peer_command(char *line)
{
	const char *word = strtok(line, " \n"), *addr = strtok(NULL, " \n"), *more;
	long a, b;

	if (!word || !addr)
		return -EINVAL;
	more = strtok(NULL, " \n");
	a = more ? strtol(more, NULL, 10) : 0;
	if (!strcmp(word, "listen"))
		return peer_listen(addr);
	if (!strcmp(word, "connect"))
		return peer_connect(addr, (int)a);
	b = a;
	a = strtol(addr, NULL, 10);
	if (!strcmp(word, "port"))
		return port_of((int)a);
	if (!strcmp(word, "accept"))
		return accept((int)a, NULL, NULL);
	if (!strcmp(word, "send"))
		return peer_send((int)a, b, 0);
	if (!strcmp(word, "oob"))
		return peer_send((int)a, b, MSG_OOB);
	if (!strcmp(word, "recv"))
		return peer_recv((int)a, b);
	if (!strcmp(word, "shutdown"))
		return shutdown((int)a, (int)b);
	if (!strcmp(word, "close"))
		return close((int)a);
	if (!strcmp(word, "reset"))
		return peer_reset((int)a);
	return -EINVAL;
}

static int peer_main(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int lfd = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	char line[256];
	FILE *in;

	signal(SIGPIPE, SIG_IGN);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	if (bind(lfd, (struct sockaddr *)&sun, sizeof(sun)) || listen(lfd, 1))
		die(path);
	fd = accept(lfd, NULL, NULL);
	if (fd < 0)
		die("accept");
	in = fdopen(fd, "r");
	while (in && fgets(line, sizeof(line), in)) {
		int n = snprintf(line, sizeof(line), "%ld\n", peer_command(line));

		if (write(fd, line, (size_t)n) != n)
			break;
	}
	return 0;
}

/* ---- The side that is looked at --------------------------------------------------------------- */

static int control;
static const char *local_addr, *peer_addr;
static int family;
static char note_buf[512];
static volatile int minus_one = -1, too_many = 1025; /* the compiler need not know */
static struct epoll_event *volatile no_events;

__attribute__((format(printf, 1, 2))) static long peer(const char *format, ...)
{
	char line[256];
	size_t n = 0;
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line) - 1, format, ap);
	va_end(ap);
	strcat(line, "\n");
	if (write(control, line, strlen(line)) < 0)
		die("control");
	while (n < sizeof(line) - 1 && read(control, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = 0;
	return strtol(line, NULL, 10);
}

static const char *error_name(int err)
{
	return err ? strerrorname_np(err) : "0";
}

static void show(const char *what, long ret, int err)
{
	if (ret < 0)
		printf("  %s = %ld %s\n", what, ret, error_name(err));
	else
		printf("  %s = %ld\n", what, ret);
}

/* One step. */
#define T(call)                                                                                    \
	do {                                                                                       \
		long ret_;                                                                         \
		errno = 0;                                                                         \
		ret_ = (long)(call);                                                               \
		show(#call, ret_, errno);                                                          \
	} while (0)

#define SAY(...)                                                                                   \
	do {                                                                                       \
		snprintf(note_buf, sizeof(note_buf), __VA_ARGS__);                                 \
		printf("  %s\n", note_buf);                                                        \
	} while (0)

static void settle(void);

/* What poll() says, at once. */
static void ready(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	poll(&pfd, 1, 0);
	SAY("ready:%s%s%s%s%s%s%s", pfd.revents & POLLIN ? " IN" : "",
	    pfd.revents & POLLOUT ? " OUT" : "", pfd.revents & POLLPRI ? " PRI" : "",
	    pfd.revents & POLLRDHUP ? " RDHUP" : "", pfd.revents & POLLERR ? " ERR" : "",
	    pfd.revents & POLLHUP ? " HUP" : "", pfd.revents & POLLNVAL ? " NVAL" : "");
}

static int await(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, 5 * SECOND_MS);
}

static int get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) ? -errno : value;
}

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int set_time(int fd, int name, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	return setsockopt(fd, SOL_SOCKET, name, &tv, sizeof(tv));
}

static int nonblocking(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK);
}

static int new_socket(void)
{
	return socket(family, SOCK_STREAM, 0);
}

static int bind_any(int fd, int port)
{
	socklen_t len;
	struct sockaddr_storage ss = address(family == AF_INET ? "0.0.0.0" : "::", port, &len);

	return bind(fd, (struct sockaddr *)&ss, len);
}

static int connect_to(int fd, int port)
{
	socklen_t len;
	struct sockaddr_storage ss = address(peer_addr, port, &len);

	return connect(fd, (struct sockaddr *)&ss, len);
}

static int listener(void)
{
	int fd = new_socket();

	if (bind_any(fd, 0) || listen(fd, 16))
		die("listen");
	return fd;
}

/* A connection: fd is ours, h is the peer's. */
struct conn {
	int fd, h;
};

static struct conn active(void)
{
	long l = peer("listen %s", peer_addr);
	struct conn c = { .fd = new_socket() };

	if (connect_to(c.fd, (int)peer("port %ld", l)))
		die("connect");
	c.h = (int)peer("accept %ld", l);
	peer("close %ld", l);
	return c;
}

/* For what the peer did to arrive: a while, and a byte behind it on a connection that is only for that, since on
 * a busy machine no while is long enough. */
static void settle(void)
{
	static struct conn probe;
	char byte;
	int fd;

	usleep(SETTLE_US);
	if (!probe.fd) {
		probe = active();
		fd = fcntl(probe.fd, F_DUPFD_CLOEXEC, PROBE_FD); /* where nobody closes ranges */
		close(probe.fd);
		probe.fd = fd;
	}
	if (peer("send %d 1", probe.h) != 1 || recv(probe.fd, &byte, 1, 0) != 1)
		die("settle");
}

static int ep_ctl(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	return epoll_ctl(ep, op, fd, &e);
}

/* The first event, its bits; 0: none. */
static int ep_wait(int ep, int timeout)
{
	struct epoll_event e;
	int n = epoll_wait(ep, &e, 1, timeout);

	return n < 0 ? -errno : n ? (int)e.events : 0;
}

static struct conn passive(void)
{
	int l = listener();
	struct conn c = { .h = (int)peer("connect %s %d", local_addr, port_of(l)) };

	c.fd = accept(l, NULL, NULL);
	if (c.fd < 0)
		die("accept");
	close(l);
	return c;
}

static void finish(struct conn c)
{
	close(c.fd);
	peer("close %d", c.h);
}

static volatile int signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void catch (int sig, int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	signals = 0;
	sigaction(sig, &sa, NULL);
}

/* Again and again, 0: no more: a single one might come before the call that it shall interrupt. */
static void alarm_every(int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	struct itimerval it = { tv, tv };

	setitimer(ITIMER_REAL, &it, NULL);
}

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

static sigjmp_buf jumped;

static void on_jump(int sig)
{
	siglongjmp(jumped, sig);
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

static void *send_late(void *arg)
{
	usleep(100000);
	peer("send %d 5", *(int *)arg);
	return NULL;
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

/* ---- Signal handlers that use sockets, whatever they interrupt ---- */

static int handlers_fd;		    /* a connection of the handler's own */
static volatile long handlers_sent; /* what it has sent there */
static volatile bool handlers_fail;

static bool send_one(int fd)
{
	ssize_t n = send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		handlers_fail = true;
	return n == 1;
}

static void on_use(int sig)
{
	int saved = errno, fd;
	char c;

	(void)sig;
	handlers_sent += send_one(handlers_fd);
	if (recv(handlers_fd, &c, 1, MSG_DONTWAIT) != -1)
		handlers_fail = true;
	fd = dup(handlers_fd);
	handlers_sent += send_one(fd);
	if (close(fd))
		handlers_fail = true;
	signals++;
	errno = saved;
}

struct command {
	const char *word;
	int h;
	long n;
};

/* In a thread of its own, without signals. */
static void *command(void *arg)
{
	const struct command *c = arg;

	return (void *)peer("%s %d %ld", c->word, c->h, c->n);
}

static pthread_t begin_command(struct command *c)
{
	pthread_t thread;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_create(&thread, NULL, command, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return thread;
}

static long end_command(pthread_t thread)
{
	void *ret;

	pthread_join(thread, &ret);
	return (long)ret;
}

#define MANY_SIGNALS 300

static char bulk[65536];

/* Until so many signals have come. The bytes that went out. */
static long send_under_signals(int fd, int until)
{
	long sent = 0;

	while (signals < until) {
		ssize_t n = send(fd, bulk, sizeof(bulk), 0);

		if (n > 0)
			sent += n;
		else if (errno != EINTR)
			return -errno;
	}
	return sent;
}

static long receive_under_signals(int fd, long n)
{
	long got = 0;

	while (got < n) {
		ssize_t ret = recv(fd, bulk, sizeof(bulk), 0);

		if (ret > 0)
			got += ret;
		else if (!ret || errno != EINTR)
			break;
	}
	return got;
}

static void bulk_under_signals(int flags)
{
	struct conn c = passive(), d = passive();
	struct sigaction sa = { .sa_handler = on_use, .sa_flags = flags };
	struct command drain = { "recv", c.h, -1 }, fill = { "send", c.h, 64 << 20 };
	pthread_t thread;
	long sent, got;

	handlers_fd = d.fd;
	handlers_sent = signals = 0;
	sigaction(SIGALRM, &sa, NULL);
	thread = begin_command(&fill);
	alarm_every(1);
	got = receive_under_signals(c.fd, 64 << 20);
	end_command(thread);
	thread = begin_command(&drain);
	sent = send_under_signals(c.fd, MANY_SIGNALS);
	alarm_every(0);
	T(got);
	T(shutdown(c.fd, SHUT_WR));
	T(sent > 0 && end_command(thread) == sent);
	T(handlers_fail);
	T(peer("recv %d %ld", d.h, handlers_sent) == handlers_sent);
	finish(c);
	finish(d);
}

static void case_handlers(void)
{
	bulk_under_signals(0);
	bulk_under_signals(SA_RESTART);
}

/* Out of whatever it interrupts. */
static void on_jump_often(int sig)
{
	on_use(sig);
	siglongjmp(jumped, sig);
}

static void case_handlers_jump(void)
{
	struct conn c = passive(), d = passive();
	struct sigaction sa = { .sa_handler = on_jump_often };
	struct command drain = { "recv", c.h, -1 };
	pthread_t thread = begin_command(&drain);

	handlers_fd = d.fd;
	handlers_sent = signals = 0;
	sigaction(SIGALRM, &sa, NULL);
	alarm_every(1);
	while (signals < MANY_SIGNALS)
		if (!sigsetjmp(jumped, 1))
			send_under_signals(c.fd, MANY_SIGNALS);
	alarm_every(0);
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	T(shutdown(c.fd, SHUT_WR));
	T(end_command(thread) > 0);
	T(handlers_fail);
	T(peer("recv %d %ld", d.h, handlers_sent) == handlers_sent);
	finish(c);
	finish(d);
}

static void on_fork(int sig)
{
	int saved = errno, status = -1;
	pid_t pid = fork();

	(void)sig;
	if (!pid)
		_exit(send(handlers_fd, "x", 1, 0) == 1 ? 0 : 1);
	if (waitpid(pid, &status, 0) != pid || status)
		handlers_fail = true;
	handlers_sent++;
	signals++;
	errno = saved;
}

static void case_handlers_fork(void)
{
	struct conn c = passive(), d = passive();
	struct sigaction sa = { .sa_handler = on_fork };
	struct command drain = { "recv", c.h, -1 };
	pthread_t thread = begin_command(&drain);
	long sent;

	handlers_fd = d.fd;
	handlers_sent = signals = 0;
	sigaction(SIGALRM, &sa, NULL);
	alarm_every(3);
	sent = send_under_signals(c.fd, 60);
	alarm_every(0);
	T(shutdown(c.fd, SHUT_WR));
	T(sent > 0 && end_command(thread) == sent);
	T(handlers_fail);
	T(peer("recv %d %ld", d.h, handlers_sent) == handlers_sent);
	finish(c);
	finish(d);
}

static void on_fork_and_return(int sig)
{
	(void)sig;
	signals++;
	if (!fork())
		signals = 100;
}

/* The child of a handler's fork returns into the call that was interrupted, and waits there as the parent does. */
static void return_twice(int (*wait_for_byte)(int fd))
{
	struct conn c = active();
	struct sigaction sa = { .sa_handler = on_fork_and_return, .sa_flags = SA_RESTART };
	struct itimerval once = { .it_value = { 0, 50000 } };
	pid_t me = getpid();
	pthread_t thread;
	int got, status;

	signals = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &once, NULL);
	pthread_create(&thread, NULL, send_late, &c.h);
	while ((got = wait_for_byte(c.fd)) < 0 && errno == EINTR)
		;
	if (getpid() != me)
		_exit(got == 1 ? 7 : 1);
	T(got);
	T(signals);
	pthread_join(thread, NULL);
	wait(&status);
	T(WEXITSTATUS(status));
	signal(SIGALRM, SIG_DFL);
	finish(c);
}

static int receive_byte(int fd)
{
	char byte;

	return (int)recv(fd, &byte, 1, 0);
}

static int poll_byte(int fd)
{
	return await(fd, POLLIN);
}

static int epoll_byte(int fd)
{
	int ep = epoll_create1(0), n;
	struct epoll_event event;

	ep_ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN);
	n = epoll_wait(ep, &event, 1, 5 * SECOND_MS);
	close(ep);
	return n;
}

static void case_handlers_fork_and_return(void)
{
	return_twice(receive_byte);
	return_twice(poll_byte);
	return_twice(epoll_byte);
}

static volatile long values, strangers;
static volatile pid_t sender;

static void on_value(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	signals++;
	values += info->si_value.sival_int;
	strangers += info->si_pid != sender || info->si_code != SI_QUEUE;
	send_one(handlers_fd);
}

#define QUEUED 2000

static void queue_values(void)
{
	for (int i = 1; i <= QUEUED; i++) {
		while (sigqueue(getppid(), SIGRTMIN + 1, (union sigval){ .sival_int = i }))
			usleep(100);
		usleep(50);
	}
}

/* Each of those that are queued comes, with what was said with it. */
static void case_handlers_queued(void)
{
	struct conn c = passive(), d = passive();
	struct sigaction sa = { .sa_sigaction = on_value, .sa_flags = SA_SIGINFO };
	struct command drain = { "recv", c.h, -1 };
	pthread_t thread = begin_command(&drain);
	int go[2];
	char byte;

	handlers_fd = d.fd;
	signals = 0;
	values = strangers = 0;
	T(pipe(go));
	sigaction(SIGRTMIN + 1, &sa, NULL);
	sender = fork();
	if (!sender) {
		if (read(go[0], &byte, 1) == 1)
			queue_values();
		_exit(0);
	}
	T(write(go[1], "x", 1));
	send_under_signals(c.fd, QUEUED);
	T(waitpid(sender, NULL, 0) == sender);
	T(signals);
	T(values);
	T(strangers);
	T(handlers_fail);
	T(shutdown(c.fd, SHUT_WR));
	T(end_command(thread) > 0);
	close(go[0]);
	close(go[1]);
	finish(c);
	finish(d);
}

static char other_stack[65536];
static volatile int elsewhere;

static void on_other_stack(int sig)
{
	char here;

	on_use(sig);
	elsewhere += (uintptr_t)&here - (uintptr_t)other_stack >= sizeof(other_stack);
}

static void case_handlers_stack(void)
{
	struct conn c = passive(), d = passive();
	struct sigaction sa = { .sa_handler = on_other_stack, .sa_flags = SA_ONSTACK };
	stack_t ss = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) };
	struct command drain = { "recv", c.h, -1 };
	pthread_t thread = begin_command(&drain);

	handlers_fd = d.fd;
	signals = elsewhere = 0;
	T(sigaltstack(&ss, NULL));
	sigaction(SIGALRM, &sa, NULL);
	alarm_every(1);
	send_under_signals(c.fd, MANY_SIGNALS);
	alarm_every(0);
	T(elsewhere);
	T(handlers_fail);
	T(shutdown(c.fd, SHUT_WR));
	T(end_command(thread) > 0);
	ss.ss_flags = SS_DISABLE;
	T(sigaltstack(&ss, NULL));
	finish(c);
	finish(d);
}

/* ---- What a program sees of its handlers ---- */

static void on_info(int sig, siginfo_t *info, void *context)
{
	(void)context;
	SAY("signal %d %d code %d", sig == info->si_signo, sig, info->si_code);
}

static const char *handler_name(const struct sigaction *sa)
{
	if (sa->sa_handler == SIG_DFL)
		return "default";
	if (sa->sa_handler == SIG_IGN)
		return "ignore";
	if (sa->sa_handler == on_signal)
		return "on_signal";
	return sa->sa_sigaction == on_info ? "on_info" : "another";
}

static void show_action(int sig)
{
	struct sigaction sa = { 0 };

	T(sigaction(sig, NULL, &sa));
	SAY("%s flags %x mask %d %d", handler_name(&sa), (unsigned)sa.sa_flags,
	    sigismember(&sa.sa_mask, SIGUSR1), sigismember(&sa.sa_mask, SIGUSR2));
}

static int blocked(int sig)
{
	sigset_t now;

	sigprocmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, sig);
}

/* The kernel's structure. */
struct raw_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static void by_number(void)
{
	struct raw_action ra = { 0 }, old = { 0 };

	signal(SIGUSR1, on_signal);
	T(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &ra, 8));
	SAY("%d flags %lx", (void *)ra.handler == (void *)on_signal, ra.flags & ~0x04000000ul);
	ra.handler = on_info;
	ra.flags |= SA_SIGINFO | SA_NODEFER;
	T(syscall(SYS_rt_sigaction, SIGUSR1, &ra, &old, 8));
	SAY("%d", (void *)old.handler == (void *)on_signal);
	show_action(SIGUSR1);
	T(raise(SIGUSR1));
	T(syscall(SYS_rt_sigaction, SIGUSR1, &ra, NULL, 4));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static void case_handler_names(void)
{
	struct sigaction sa = { .sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP },
			 old;
	struct conn c = passive(); /* it is in the stack */

	sigaddset(&sa.sa_mask, SIGUSR2);
	show_action(SIGUSR1);
	T(sigaction(SIGUSR1, &sa, &old));
	SAY("%s", handler_name(&old));
	show_action(SIGUSR1);
	T(raise(SIGUSR1));
	sa.sa_flags |= (int)SA_RESETHAND;
	T(sigaction(SIGUSR1, &sa, &old));
	SAY("%s flags %x", handler_name(&old), (unsigned)old.sa_flags);
	show_action(SIGUSR1);
	T(raise(SIGUSR1));
	show_action(SIGUSR1);
	T(signal(SIGUSR1, on_signal) == SIG_DFL);
	show_action(SIGUSR1);
	T(siginterrupt(SIGUSR1, 1));
	show_action(SIGUSR1);
	T(signal(SIGUSR1, SIG_IGN) == on_signal);
	T(signal(SIGUSR1, on_signal) == SIG_IGN);
	show_action(SIGUSR1);
	T(siginterrupt(SIGUSR1, 0));
	show_action(SIGUSR1);
	T(sysv_signal(SIGUSR1, on_signal) == on_signal);
	show_action(SIGUSR1);
	T(raise(SIGUSR1));
	show_action(SIGUSR1);
	T(signal(SIGKILL, on_signal) == SIG_ERR);
	T(signal(SIGUSR1, SIG_ERR) == SIG_ERR);
	T(signal(99, on_signal) == SIG_ERR);
	T(sigaction(SIGSTOP, &sa, &old));
	T(sigaction(0, &sa, &old));
	T(sigaction(65, &sa, &old));
	by_number();
	signal(SIGUSR1, SIG_DFL);
	close(c.fd);
	peer("close %d", c.h);
}

static void case_handler_sigset(void)
{
	struct conn c = passive();
	sighandler_t hold = (sighandler_t)2;

	T(sigset(SIGUSR1, on_signal) == SIG_DFL);
	show_action(SIGUSR1);
	T(sigset(SIGUSR1, hold) == on_signal);
	T(blocked(SIGUSR1));
	T(sigset(SIGUSR1, hold) == hold);
	signals = 0;
	T(raise(SIGUSR1));
	T(signals);
	T(sigset(SIGUSR1, on_signal) == hold);
	T(signals);
	T(blocked(SIGUSR1));
	T(sigset(SIGUSR1, SIG_DFL) == on_signal);
	T(sigset(99, on_signal) == SIG_ERR);
	finish(c);
}

#pragma GCC diagnostic pop

static volatile int depth, deepest, runs;

static void on_nested(int sig)
{
	if (++depth > deepest)
		deepest = depth;
	if (runs++ < 3)
		raise(sig);
	depth--;
}

/* Once, and then as by default; again in itself, if it may. */
static void case_handler_flags(void)
{
	struct conn c = passive();
	struct sigaction sa = { .sa_handler = on_nested };
	int status;
	pid_t pid = fork();

	if (!pid) {
		sa.sa_handler = on_signal;
		sa.sa_flags = (int)SA_RESETHAND;
		sigaction(SIGUSR1, &sa, NULL);
		raise(SIGUSR1);
		raise(SIGUSR1);
		_exit(0);
	}
	T(waitpid(pid, &status, 0) == pid);
	T(status);
	sigaction(SIGUSR1, &sa, NULL);
	deepest = depth = runs = 0;
	T(raise(SIGUSR1));
	T(deepest);
	sa.sa_flags = SA_NODEFER;
	sigaction(SIGUSR1, &sa, NULL);
	deepest = depth = runs = 0;
	T(raise(SIGUSR1));
	T(deepest);
	pid = fork(); /* it keeps them */
	if (!pid) {
		deepest = depth = runs = 0;
		raise(SIGUSR1);
		_exit(deepest);
	}
	T(waitpid(pid, &status, 0) == pid);
	T(WEXITSTATUS(status));
	signal(SIGUSR1, SIG_DFL);
	finish(c);
}

/* From now on this process must not call what handlers are installed and signals are sent with. */
static long forbid_signals(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigprocmask, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_tgsigqueueinfo, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { .len = MR_ARRAY_SIZE(code), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ?:
		       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Handlers that were installed before a filter go on, each in its way. */
static void case_handlers_confined(void)
{
	const int flags[] = { 0, SA_RESTART };

	for (size_t i = 0; i < MR_ARRAY_SIZE(flags); i++) {
		struct conn c = active();
		struct command late = { "send", c.h, 5 };
		char buf[16];
		int status;
		pid_t pid = fork();

		if (!pid) {
			signals = 0;
			sigaction(SIGALRM,
				  &(struct sigaction){ .sa_handler = on_signal,
						       .sa_flags = flags[i] },
				  NULL);
			/* One that does otherwise, and does not run. */
			sigaction(SIGUSR2,
				  &(struct sigaction){ .sa_handler = on_signal,
						       .sa_flags = flags[i] ^ SA_RESTART },
				  NULL);
			alarm_every(20);
			T(forbid_signals());
			T(recv(c.fd, buf, sizeof(buf), 0));
			T(signals > 0);
			_exit(0);
		}
		usleep(150000);
		end_command(begin_command(&late));
		T(waitpid(pid, &status, 0) == pid);
		T(status);
		finish(c);
	}
}

static void case_poll(void)
{
	struct conn c = active(), d = passive();
	int pipe_fds[2];
	struct pollfd fds[5];

	T(pipe(pipe_fds));
	fds[0] = (struct pollfd){ .fd = c.fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = pipe_fds[0], .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = -1, .events = POLLIN, .revents = 7 };
	fds[3] = (struct pollfd){ .fd = d.fd, .events = POLLOUT };
	fds[4] = (struct pollfd){ .fd = 987, .events = POLLOUT };
	T(poll(fds, 5, 0));
	SAY("%x %x %x %x %x", fds[0].revents, fds[1].revents, fds[2].revents, fds[3].revents,
	    fds[4].revents);
	fds[3].events = 0;
	T(poll(fds, 4, 20));
	T(write(pipe_fds[1], "x", 1));
	T(poll(fds, 4, 1000));
	SAY("%x %x %x %x", fds[0].revents, fds[1].revents, fds[2].revents, fds[3].revents);
	peer("send %d 1", c.h);
	settle();
	T(poll(fds, 4, 1000));
	SAY("%x %x", fds[0].revents, fds[1].revents);
	peer("reset %d", d.h);
	settle();
	T(poll(fds, 4, 1000));
	SAY("%x %x %x", fds[0].revents, fds[1].revents, fds[3].revents);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	finish(c);
	close(d.fd);
}

/* Programs give as many descriptors as they could have, with sets that hold fewer. */
static void case_select_all(void)
{
	struct conn c = active();
	struct rlimit limit, before;
	struct timeval tv = { 5, 0 };
	struct {
		fd_set set;
		char other[8192];
	} rd;
	int pipe_fds[2], changed = 0;

	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	limit.rlim_cur = mr_min((rlim_t)20000, limit.rlim_max);
	T(setrlimit(RLIMIT_NOFILE, &limit));
	T(pipe(pipe_fds));
	T(write(pipe_fds[1], "x", 1));
	peer("send %d 1", c.h);
	settle();
	for (int i = 0; i < 2; i++) {
		int fd = i ? c.fd : pipe_fds[0];

		memset(&rd, 0, sizeof(rd));
		memset(rd.other, 'A', sizeof(rd.other));
		FD_SET(fd, &rd.set);
		T(select(getdtablesize(), &rd.set, NULL, NULL, &tv));
		T(FD_ISSET(fd, &rd.set) != 0);
		for (size_t at = 0; at < sizeof(rd.other); at++)
			changed += rd.other[at] != 'A';
	}
	T(changed);
	setrlimit(RLIMIT_NOFILE, &before);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	finish(c);
}

/* Signals that come by a call's own mask end it also where it does not wait, unless something is ready. */
static void case_poll_signals(void)
{
	struct conn c = active();
	struct pollfd pfd = { .fd = c.fd, .events = POLLIN };
	struct timespec zero = { 0 };
	sigset_t usr1, none;
	fd_set rd;

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	catch (SIGUSR1, 0);
	raise(SIGUSR1);
	T(ppoll(&pfd, 1, &zero, &none));
	T(signals);
	raise(SIGUSR1);
	FD_ZERO(&rd);
	FD_SET(c.fd, &rd);
	T(pselect(c.fd + 1, &rd, NULL, NULL, &zero, &none));
	T(signals);
	raise(SIGUSR1);
	pfd.events = POLLOUT;
	T(ppoll(&pfd, 1, &zero, &none));
	T(signals);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	T(signals);
	signal(SIGUSR1, SIG_DFL);
	finish(c);
}

static void case_select(void)
{
	struct conn c = active();
	struct timeval tv = { 0, 20000 };
	fd_set rd, wr, ex;

	FD_ZERO(&rd);
	FD_ZERO(&wr);
	FD_ZERO(&ex);
	FD_SET(c.fd, &rd);
	FD_SET(c.fd, &wr);
	FD_SET(c.fd, &ex);
	T(select(c.fd + 1, &rd, &wr, &ex, &tv));
	SAY("%d %d %d", FD_ISSET(c.fd, &rd), FD_ISSET(c.fd, &wr), FD_ISSET(c.fd, &ex));
	FD_ZERO(&rd);
	FD_SET(c.fd, &rd);
	T(select(c.fd + 1, &rd, NULL, NULL, &tv));
	SAY("%d left %ld", FD_ISSET(c.fd, &rd), tv.tv_usec);
	peer("oob %d 1", c.h);
	settle();
	FD_SET(c.fd, &rd);
	FD_SET(c.fd, &ex);
	tv.tv_sec = 1;
	T(select(c.fd + 1, &rd, NULL, &ex, &tv));
	SAY("%d %d", FD_ISSET(c.fd, &rd), FD_ISSET(c.fd, &ex));
	peer("close %d", c.h);
	settle();
	FD_ZERO(&rd);
	FD_SET(c.fd, &rd);
	T(select(c.fd + 1, &rd, NULL, NULL, NULL));
	tv.tv_sec = -1;
	T(select(c.fd + 1, &rd, NULL, NULL, &tv));
	close(c.fd);
	FD_ZERO(&rd);
	FD_SET(c.fd, &rd);
	T(select(c.fd + 1, &rd, NULL, NULL, NULL));
}

static void case_epoll_level(void)
{
	struct conn c = active();
	int ep = epoll_create1(0);
	char buf[4];

	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_DEL, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(ep, 77, c.fd, EPOLLIN));
	T(ep_ctl(c.fd, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(c.fd, EPOLL_CTL_ADD, ep, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, 987, EPOLLIN));
	T(epoll_ctl(ep, EPOLL_CTL_MOD, c.fd, NULL));
	T(epoll_wait(c.fd, no_events, 1, 0));
	T(ep_wait(ep, 20));
	peer("send %d 2", c.h);
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 1000));
	T(read(c.fd, buf, 1));
	T(ep_wait(ep, 1000));
	T(read(c.fd, buf, 1));
	T(ep_wait(ep, 0));
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN | EPOLLOUT));
	T(ep_wait(ep, 0));
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN | EPOLLRDHUP));
	peer("shutdown %d 1", c.h);
	T(ep_wait(ep, 1000));
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, 0));
	T(ep_wait(ep, 20));
	T(shutdown(c.fd, SHUT_WR));
	T(ep_wait(ep, 1000));
	T(ep_ctl(ep, EPOLL_CTL_DEL, c.fd, 0));
	T(ep_wait(ep, 0));
	close(ep);
	finish(c);
}

static void case_epoll_edge(void)
{
	struct conn c = passive();
	int ep = epoll_create1(0);
	char buf[64];
	static char big[1 << 20];

	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET));
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 20));
	peer("send %d 2", c.h);
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 20));
	peer("send %d 2", c.h);
	T(ep_wait(ep, 1000));
	T(read(c.fd, buf, 64));
	T(ep_wait(ep, 20));
	T(send(c.fd, "abc", 3, 0));
	T(peer("recv %d 3", c.h));
	settle();
	T(ep_wait(ep, 20));
	nonblocking(c.fd);
	while (send(c.fd, big, sizeof(big), 0) > 0)
		;
	peer("recv %d 150000",
	     c.h); /* how much fits, and when there is room again, is not compared */
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN | EPOLLRDHUP | EPOLLET));
	T(ep_wait(ep, 20));
	peer("send %d 2", c.h);
	settle();
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN | EPOLLRDHUP | EPOLLET));
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 20));
	close(ep);
	finish(c);
}

static void case_epoll_oneshot(void)
{
	struct conn c = active();
	int ep = epoll_create1(0), l = listener();
	long h;

	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN | EPOLLONESHOT));
	peer("send %d 2", c.h);
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 20));
	peer("send %d 2", c.h);
	T(ep_wait(ep, 20));
	T(ep_ctl(ep, EPOLL_CTL_MOD, c.fd, EPOLLIN | EPOLLONESHOT));
	T(ep_wait(ep, 1000));
	peer("reset %d", c.h);
	settle();
	T(ep_wait(ep, 20));
	close(c.fd);
	T(ep_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLONESHOT));
	h = peer("connect %s %d", local_addr, port_of(l));
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 20));
	T(ep_ctl(ep, EPOLL_CTL_MOD, l, EPOLLIN | EPOLLONESHOT));
	T(ep_wait(ep, 1000));
	peer("close %ld", h);
	close(l);
	close(ep);
}

static void case_epoll_exclusive(void)
{
	int ep = epoll_create1(0), l = listener();
	long h;

	T(ep_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT));
	T(ep_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLEXCLUSIVE));
	T(ep_ctl(ep, EPOLL_CTL_MOD, l, EPOLLIN | EPOLLEXCLUSIVE));
	T(ep_ctl(ep, EPOLL_CTL_MOD, l, EPOLLIN));
	h = peer("connect %s %d", local_addr, port_of(l));
	T(ep_wait(ep, 1000));
	T(ep_wait(ep, 1000));
	peer("close %ld", h);
	T(close(accept(l, NULL, NULL)));
	T(ep_wait(ep, 20));
	close(l);
	close(ep);
}

static void case_epoll_mixed(void)
{
	struct conn c = active(), d = passive();
	int ep = epoll_create1(0), ev = eventfd(0, EFD_NONBLOCK);
	struct epoll_event events[8];
	uint64_t one = 1;

	T(ep_ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, d.fd, EPOLLIN));
	T(epoll_wait(ep, events, 8, 0));
	T(epoll_wait(ep, events, 8, 20));
	T(write(ev, &one, 8));
	T(epoll_wait(ep, events, 8, 1000));
	peer("send %d 2", c.h);
	peer("send %d 2", d.h);
	settle();
	T(epoll_wait(ep, events, 8, 1000));
	T(epoll_wait(ep, events, 1, 1000));
	T(epoll_wait(ep, events, 0, 1000));
	T(epoll_wait(ep, events, minus_one, 1000));
	T(read(ev, &one, 8));
	T(epoll_wait(ep, events, 8, 1000));
	close(c.fd);
	T(epoll_wait(ep, events, 8, 1000));
	peer("close %d", c.h);
	finish(d);
	T(epoll_wait(ep, events, 8, 0));
	close(ev);
	close(ep);
}

static void case_epoll_nested(void)
{
	struct conn c = active();
	int inner = epoll_create1(0), outer = epoll_create1(0);
	struct pollfd pfd = { .fd = inner, .events = POLLIN };
	char buf[4];

	T(ep_ctl(outer, EPOLL_CTL_ADD, inner, EPOLLIN));
	T(ep_ctl(inner, EPOLL_CTL_ADD, outer, EPOLLIN));
	T(ep_ctl(inner, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(poll(&pfd, 1, 20));
	T(ep_wait(outer, 20));
	peer("send %d 2", c.h);
	T(ep_wait(outer, 1000));
	T(poll(&pfd, 1, 1000));
	T(ep_wait(inner, 1000));
	T(read(c.fd, buf, 4));
	T(ep_wait(outer, 20));
	T(poll(&pfd, 1, 20));
	close(inner);
	close(outer);
	finish(c);
}

static void case_epoll_duplicate(void)
{
	struct conn c = active();
	int ep = epoll_create1(0), d = dup(c.fd);

	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(ep_ctl(ep, EPOLL_CTL_ADD, d, EPOLLIN));
	close(c.fd);
	peer("send %d 2", c.h);
	settle();
	T(ep_wait(ep, 1000));
	T(ep_ctl(ep, EPOLL_CTL_DEL, d, 0));
	T(ep_wait(ep, 1000)); /* the first registration lives on */
	T(ep_ctl(ep, EPOLL_CTL_DEL, c.fd, 0));
	close(d);
	T(ep_wait(ep, 20));
	close(ep);
	peer("close %d", c.h);
}

/* The same of the instance. */
static void case_epoll_instance_duplicate(void)
{
	struct conn c = active();
	int ep = epoll_create1(0), d = dup(ep);

	T(ep_ctl(d, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	peer("send %d 2", c.h);
	T(ep_wait(d, 5 * SECOND_MS));
	T(ep_wait(ep, 5 * SECOND_MS));
	close(d);
	T(ep_wait(ep, 0));
	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	close(ep);
	finish(c);
}

/* Where there is room for one event only, each has its turn, whosever it is. */
static void case_epoll_turns(void)
{
	struct conn c = active(), d = active();
	int ep = epoll_create1(0), ev = eventfd(1, EFD_NONBLOCK);
	int files[] = { ev, c.fd, d.fd }, seen[3] = { 0 };
	struct epoll_event event;

	for (int i = 0; i < 3; i++)
		ep_ctl(ep, EPOLL_CTL_ADD, files[i], EPOLLIN);
	peer("send %d 2", c.h);
	peer("send %d 2", d.h);
	settle();
	for (int n = 0; n < 12; n++) {
		T(epoll_wait(ep, &event, 1, 0));
		for (int i = 0; i < 3; i++)
			seen[i] += event.data.fd == files[i];
	}
	T(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
	close(ev);
	close(ep);
	finish(c);
	finish(d);
}

/* An instance is a file, but no socket, nor one to read. */
static void case_epoll_no_socket(void)
{
	struct conn c = active();
	int ep = epoll_create1(0);
	char buf[4];
	struct iovec iov = { buf, sizeof(buf) };

	T(ep_ctl(ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	T(read(ep, buf, sizeof(buf)));
	T(readv(ep, &iov, 1));
	T(write(ep, buf, sizeof(buf)));
	T(writev(ep, &iov, 1));
	T(recv(ep, buf, sizeof(buf), 0));
	T(send(ep, buf, sizeof(buf), 0));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, ep, no_events));
	close(ep);
	finish(c);
}

static void case_epoll_before(void)
{
	int fd = new_socket(), l = (int)peer("listen %s", peer_addr), ep = epoll_create1(0);
	int s = new_socket();
	long h;

	nonblocking(fd);
	T(ep_ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLET));
	T(ep_wait(ep, 20) & (EPOLLHUP | EPOLLOUT));
	T(connect_to(fd, (int)peer("port %d", l)));
	T(ep_wait(ep, 1000));
	h = peer("accept %d", l);
	peer("send %ld 1", h);
	T(ep_wait(ep, 1000));
	T(ep_ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN));
	T(ep_wait(ep, 1000));
	close(fd);
	peer("close %ld", h);
	peer("close %d", l);
	T(bind_any(s, 0));
	T(ep_ctl(ep, EPOLL_CTL_ADD, s, EPOLLIN));
	T(listen(s, 5));
	T(ep_wait(ep, 20));
	h = peer("connect %s %d", local_addr, port_of(s));
	T(ep_wait(ep, 1000));
	peer("close %ld", h);
	close(s);
	close(ep);
}

struct sleeper {
	int ep, got;
};

static void *sleep_in_epoll(void *arg)
{
	struct sleeper *s = arg;

	s->got = ep_wait(s->ep, 5 * SECOND_MS);
	return NULL;
}

/* A thread sleeps already when the first socket comes to its instance. */
static void case_epoll_late(void)
{
	struct sleeper s = { .ep = epoll_create1(0) };
	struct conn c = active();
	pthread_t thread;

	pthread_create(&thread, NULL, sleep_in_epoll, &s);
	settle();
	T(ep_ctl(s.ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
	peer("send %d 1", c.h);
	pthread_join(thread, NULL);
	T(s.got);
	T(ep_wait(s.ep, 1000));
	close(s.ep);
	finish(c);
}

static void *sleep_exactly(void *arg)
{
	struct timespec limit = { .tv_sec = 5 };
	struct sleeper *s = arg;
	struct epoll_event e;

	s->got = epoll_pwait2(s->ep, &e, 1, &limit, NULL);
	return NULL;
}

/* The same where the time limit is one of nanoseconds; and those that are none. */
static void case_epoll_late_exact(void)
{
	struct sleeper s = { .ep = epoll_create1(0) };
	struct conn c = active();
	struct timespec limit = { 0, MR_NS_PER_S };
	struct epoll_event e;
	pthread_t thread;

	for (int i = 0; i < 2; i++) {
		limit = (struct timespec){ 0, MR_NS_PER_S };
		T(epoll_pwait2(s.ep, &e, 1, &limit, NULL));
		limit = (struct timespec){ -1, 0 };
		T(epoll_pwait2(s.ep, &e, 1, &limit, NULL));
		limit = (struct timespec){ 0, 1 };
		T(epoll_pwait2(s.ep, &e, 1, &limit, NULL));
		if (i)
			break;
		pthread_create(&thread, NULL, sleep_exactly, &s);
		settle();
		T(ep_ctl(s.ep, EPOLL_CTL_ADD, c.fd, EPOLLIN));
		peer("send %d 1", c.h);
		pthread_join(thread, NULL);
		T(s.got);
	}
	close(s.ep);
	finish(c);
}

/* The same, when the first file of the kernel's comes to one that has sockets of ours: a listener has a part there,
 * too. */
static void case_epoll_late_kernel(void)
{
	for (int i = 0; i < 2; i++) {
		struct sleeper s = { .ep = epoll_create1(0) };
		int other = i ? listener() : eventfd(0, EFD_NONBLOCK);
		struct conn c = active();
		pthread_t thread;
		uint64_t one = 1;
		long h = 0;

		ep_ctl(s.ep, EPOLL_CTL_ADD, c.fd, EPOLLIN);
		pthread_create(&thread, NULL, sleep_in_epoll, &s);
		settle();
		T(ep_ctl(s.ep, EPOLL_CTL_ADD, other, EPOLLIN));
		settle();
		if (i)
			h = peer("connect %s %d", local_addr, port_of(other));
		else
			T(write(other, &one, sizeof(one)));
		pthread_join(thread, NULL);
		T(s.got);
		if (i)
			peer("close %ld", h);
		close(other);
		close(s.ep);
		finish(c);
	}
}

/* ---- In messages ----------------------------------------------------------------------------- */

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
static void case_passed(void)
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
static void case_passed_and_peeked(void)
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

/* To another process, which has not been in the stack when it was made. */
static void case_passed_to_child(void)
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
static void case_passed_late(void)
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
static void case_passed_beside_exec(void)
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

/* What the limit of address space leaves, in a process that has a connection. */
static void case_address_space(void)
{
	const struct rlimit limit = { 200 << 20, 300 << 20 };
	struct conn c = active();
	struct rlimit now;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		T(setrlimit(RLIMIT_AS, &limit));
		T(getrlimit(RLIMIT_AS, &now));
		SAY("%llu, %llu", (unsigned long long)now.rlim_cur,
		    (unsigned long long)now.rlim_max);
		T(prlimit(0, RLIMIT_AS, NULL, &now));
		SAY("%llu, %llu", (unsigned long long)now.rlim_cur,
		    (unsigned long long)now.rlim_max);
		T(mmap(NULL, 100 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		  MAP_FAILED);
		T(mmap(NULL, 200 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		  MAP_FAILED);
		T(send(c.fd, "abc", 3, 0));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	T(peer("recv %d 3", c.h));
	finish(c);
}

static void *receive(void *arg)
{
	char buf[16];

	return (void *)recv(*(int *)arg, buf, 16, 0);
}

/* Until the thread sleeps, in what it was made for. */
static void until_asleep(pid_t tid)
{
	char path[64], text[256] = "", *end;
	int asleep = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	while (asleep < 3) {
		FILE *f = fopen(path, "re");

		if (!f || !fgets(text, sizeof(text), f))
			die(path);
		fclose(f);
		end = strrchr(text, ')');
		asleep = end && end[2] == 'S' ? asleep + 1 : 0;
		usleep(SETTLE_US);
	}
}

static volatile pid_t reader;

static void *receive_as_reader(void *arg)
{
	reader = gettid();
	return receive(arg);
}

static void case_close_while_reading(void)
{
	struct conn c = active();
	int fd = c.fd;
	pthread_t thread;
	void *got;

	reader = 0;
	pthread_create(&thread, NULL, receive_as_reader, &fd);
	while (!reader)
		usleep(1000);
	until_asleep(reader);
	T(close(fd));
	peer("send %d 3", c.h);
	pthread_join(thread, &got);
	T((long)got);
	T(peer("recv %d -1", c.h));
	peer("close %d", c.h);
}

static void case_shutdown_while_reading(void)
{
	struct conn c = active();
	pthread_t thread;
	void *got;

	pthread_create(&thread, NULL, receive, &c.fd);
	settle();
	T(shutdown(c.fd, SHUT_RD));
	pthread_join(thread, &got);
	T((long)got);
	finish(c);
}

/* ---- Cancellation ---------------------------------------------------------------------------- */

static int cancel_fd, cancel_steps;
static volatile bool cancel_sent;

static void *cancelled_accept(void *arg)
{
	accept(cancel_fd, NULL, NULL);
	return arg;
}

static void *cancelled_connect(void *arg)
{
	char text[64];
	size_t cut = strlen(peer_addr);
	struct sockaddr_storage ss;
	socklen_t len;

	/* A neighbour that is not there. */
	while (peer_addr[cut - 1] != '.' && peer_addr[cut - 1] != ':')
		cut--;
	snprintf(text, sizeof(text), "%.*s99", (int)cut, peer_addr);
	ss = address(text, 7, &len);
	(void)!connect(cancel_fd, (struct sockaddr *)&ss, len); /* it is cancelled in there */
	return arg;
}

static void *cancelled_recv(void *arg)
{
	char buf[10];

	recv(cancel_fd, buf, sizeof(buf), 0);
	return arg;
}

static void *cancelled_send(void *arg)
{
	static char big[1 << 20];

	while (send(cancel_fd, big, sizeof(big), 0) > 0)
		;
	return arg;
}

static void *cancelled_poll(void *arg)
{
	struct pollfd pfd = { .fd = cancel_fd, .events = POLLIN };

	poll(&pfd, 1, -1);
	return arg;
}

static void *cancelled_select(void *arg)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(cancel_fd, &set);
	select(cancel_fd + 1, &set, NULL, NULL, NULL);
	return arg;
}

static void *cancelled_epoll(void *arg)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ep = epoll_create1(0);

	epoll_ctl(ep, EPOLL_CTL_ADD, cancel_fd, &event);
	epoll_wait(ep, &event, 1, -1);
	return arg;
}

/* Pending when the call comes. */
static void *cancelled_before(void *arg)
{
	while (!cancel_sent)
		usleep(1000);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	write(cancel_fd, "x", 1);
	return arg;
}

static void count_step(void *arg)
{
	(void)arg;
	cancel_steps++;
}

static void *(*cancel_call)(void *);

static void *cancel_main(void *arg)
{
	void *ret;

	if (arg)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cleanup_push(count_step, NULL);
	ret = cancel_call(arg);
	pthread_cleanup_pop(0);
	return ret;
}

/* Ends it, and the socket is as it was. */
static void cancel(const char *name, void *(*call)(void *), int fd, bool before)
{
	pthread_t thread;
	void *ret;

	cancel_fd = fd;
	cancel_call = call;
	cancel_steps = 0;
	cancel_sent = false;
	pthread_create(&thread, NULL, cancel_main, before ? &cancel_steps : NULL);
	settle();
	pthread_cancel(thread);
	cancel_sent = true;
	pthread_join(thread, &ret);
	SAY("%s: %s, handlers run: %d", name, ret == PTHREAD_CANCELED ? "cancelled" : "returned",
	    cancel_steps);
}

static void case_cancel(void)
{
	struct conn c = active();
	int l = listener(), fd;

	cancel("accept", cancelled_accept, l, false);
	fd = new_socket();
	cancel("connect", cancelled_connect, fd, false);
	T(close(fd));
	cancel("recv", cancelled_recv, c.fd, false);
	cancel("poll", cancelled_poll, c.fd, false);
	cancel("select", cancelled_select, c.fd, false);
	cancel("epoll_wait", cancelled_epoll, c.fd, false);
	cancel("write", cancelled_before, c.fd, true);
	T(send(c.fd, "hello", 5, 0));
	T(peer("recv %d 5", c.h));
	cancel("send", cancelled_send, c.fd, false);
	finish(c);
	/* The listener still is one. */
	c.h = (int)peer("connect %s %d", local_addr, port_of(l));
	T((fd = accept(l, NULL, NULL)) >= 0);
	c.fd = fd;
	finish(c);
	close(l);
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

static void case_fork(void)
{
	struct conn c = passive();
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(send(c.fd, "abc", 3, 0) == 3 ? 0 : 1);
	T(waitpid(pid, &status, 0) == pid);
	T(status);
	T(peer("recv %d 3", c.h));
	T(send(c.fd, "def", 3, 0));
	T(peer("recv %d 3", c.h));
	pid = fork();
	if (!pid) {
		usleep(100000);
		_exit(send(c.fd, "ghi", 3, 0) == 3 ? 0 : 1);
	}
	close(c.fd);
	T(peer("recv %d 3", c.h));
	T(peer("recv %d -1", c.h));
	T(waitpid(pid, &status, 0) == pid);
	peer("close %d", c.h);
}

/* ---- Processes that the C library has not made ---- */

static pid_t clone_plain(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static pid_t clone_in_namespace(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
}

static pid_t clone_third(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* The child sends and is killed at any point of it: on a connection that may not outlive that. */
static void clone_and_kill(pid_t (*make)(void))
{
	struct conn c = passive();
	int status;

	for (int i = 0; i < 60; i++) {
		pid_t pid = make();

		if (!pid)
			for (;;)
				send(c.fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (pid < 0)
			die("clone");
		usleep((useconds_t)(500 + 37 * i));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	finish(c);
}

static void case_clone(void)
{
	pid_t (*const make[])(void) = { clone_plain, clone_in_namespace, clone_third };

	for (size_t i = 0; i < MR_ARRAY_SIZE(make); i++) {
		struct conn c = passive();
		int status;
		pid_t pid = make[i]();

		if (!pid)
			_exit(send(c.fd, "abc", 3, 0) == 3 ? 0 : 1);
		T(waitpid(pid, &status, 0) == pid);
		T(status);
		T(peer("recv %d 3", c.h));
		clone_and_kill(make[i]);
		T(send(c.fd, "def", 3, 0));
		T(peer("recv %d 3", c.h));
		finish(c);
	}
}

static int close_and_end(void *arg)
{
	int fd = *(int *)arg;

	return send(fd, "abc", 3, 0) == 3 && !close(fd) ? 7 : 1;
}

/* A child with memory of its own, and one like vfork()'s, close what is the parent's, too. */
static void case_clone_function(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	const int flags[] = { SIGCHLD, CLONE_VM | CLONE_VFORK | SIGCHLD };

	for (size_t i = 0; i < MR_ARRAY_SIZE(flags); i++) {
		struct conn c = passive();
		int status;
		pid_t pid = clone(close_and_end, stack + sizeof(stack), flags[i], &c.fd);

		T(waitpid(pid, &status, 0) == pid);
		T(WEXITSTATUS(status));
		T(peer("recv %d 3", c.h));
		T(send(c.fd, "def", 3, 0));
		T(peer("recv %d 3", c.h));
		finish(c);
	}
}

/* Each child has its descriptors, however soon the one before it has ended. */
static void case_fork_often(void)
{
	struct conn c = passive();
	int status, failed = 0;

	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, &status, 0);
		pid = fork();
		if (!pid) {
			usleep(3000);
			_exit(send(c.fd, "abc", 3, MSG_NOSIGNAL) == 3 ? 0 : 1);
		}
		waitpid(pid, &status, 0);
		failed += status != 0;
	}
	T(failed);
	T(peer("recv %d 300", c.h));
	close(c.fd);
	T(peer("recv %d -1", c.h));
	peer("close %d", c.h);
}

/* Handlers of fork() use sockets. What the child's closes stays the parent's. */
static int atfork_fd = -1, atfork_sent;

static void atfork_send(int weight)
{
	if (atfork_fd >= 0)
		atfork_sent += weight * (int)send(atfork_fd, "x", 1, 0);
}

static void atfork_prepare(void)
{
	atfork_send(1);
}

static void atfork_parent(void)
{
	atfork_send(10);
}

static void atfork_child(void)
{
	atfork_send(100);
	if (atfork_fd >= 0)
		close(atfork_fd);
}

static void case_fork_handlers(void)
{
	struct conn c = active();
	int status;
	pid_t pid;

	pthread_atfork(atfork_prepare, atfork_parent, atfork_child);
	atfork_fd = c.fd;
	pid = fork();
	if (!pid)
		_exit(atfork_sent == 101 && send(c.fd, "x", 1, 0) < 0 && errno == EBADF ? 7 : 1);
	waitpid(pid, &status, 0);
	atfork_fd = -1;
	T(WEXITSTATUS(status));
	T(atfork_sent);
	T(send(c.fd, "abc", 3, 0));
	T(peer("recv %d 6", c.h));
	finish(c);
}

/* Serve `n` connections, or until no other comes. How many there were. */
static int serve_some(int l, int n)
{
	struct pollfd pfd = { .fd = l, .events = POLLIN };
	int served = 0;

	while (served < n && poll(&pfd, 1, 5 * SECOND_MS) > 0) {
		int fd = accept(l, NULL, NULL);

		if (fd < 0)
			continue;
		served += send(fd, "abc", 3, 0) == 3;
		close(fd);
	}
	return served;
}

/* Workers that are forked when the socket is bound, each of which calls listen(): they listen by the same one. Another
 * process has it that changes its flags and knows of no stack. */
static void case_fork_listen(void)
{
	int fd = new_socket(), port, fds[2], status, served = 0;
	pid_t pid[2];
	char byte;
	long h;

	T(bind_any(fd, 0));
	port = port_of(fd);
	T(pipe(fds));
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			listen(fd, 8);
			nonblocking(fd);
			if (write(fds[1], "x", 1) != 1)
				_exit(99);
			_exit(serve_some(fd, 4));
		}
		if (read(fds[0], &byte, 1) != 1)
			die("read");
	}
	T(fcntl(fd, F_SETFL, 0));
	for (int i = 0; i < 8; i++) {
		h = peer("connect %s %d", local_addr, port);
		if (peer("recv %ld 3", h) != 3)
			SAY("connection %d is not served", i);
		peer("close %ld", h);
	}
	for (int i = 0; i < 2; i++) {
		waitpid(pid[i], &status, 0);
		served += WEXITSTATUS(status);
		T(WEXITSTATUS(status));
	}
	T(served);
	close(fds[0]);
	close(fds[1]);
	close(fd);
}

static void case_fork_accept(void)
{
	int l = listener(), status;
	long h;
	pid_t pid = fork();

	if (!pid) {
		int fd = accept(l, NULL, NULL);

		_exit(fd >= 0 && send(fd, "abc", 3, 0) == 3 ? 0 : 1);
	}
	h = peer("connect %s %d", local_addr, port_of(l));
	close(l);
	T(peer("recv %ld 3", h));
	T(peer("recv %ld -1", h));
	T(waitpid(pid, &status, 0) == pid);
	T(status);
	peer("close %ld", h);
}

static void case_exec(void)
{
	struct conn c = passive();
	int status;
	pid_t pid = fork();

	if (!pid) {
		dup2(c.fd, 1);
		execlp("echo", "echo", "from", "a", "program", NULL);
		_exit(1);
	}
	close(c.fd);
	T(peer("recv %d -1", c.h));
	T(waitpid(pid, &status, 0) == pid);
	T(status);
	peer("close %d", c.h);
	c = active();
	fcntl(c.fd, F_SETFD, FD_CLOEXEC);
	pid = fork();
	if (!pid) {
		execlp("sleep", "sleep", "1", NULL);
		_exit(1);
	}
	close(c.fd);
	T(peer("recv %d -1", c.h));
	T(waitpid(pid, &status, 0) == pid);
	peer("close %d", c.h);
}

/* On descriptor 9: the shell knows numbers of one digit. */
static struct conn ninth(void)
{
	struct conn c = passive();

	dup2(c.fd, 9);
	close(c.fd);
	c.fd = 9;
	return c;
}

static void case_system(void)
{
	struct conn c = ninth();

	T(system("echo from system >&9"));
	T(peer("recv %d 12", c.h));
	T(system("exit 3") == 3 << 8);
	T(system("kill -9 $$"));
	T(system(NULL) != 0);
	/* It has the connection longer than we. */
	T(system("(sleep 0.2; echo late) >&9 &"));
	close(c.fd);
	T(peer("recv %d -1", c.h));
	peer("close %d", c.h);
}

static void case_popen(void)
{
	int (*volatile end)(FILE *) = fclose; /* the compiler warns of it, by its name */
	struct conn c = ninth();
	FILE *a, *b;
	char line[32];

	a = popen("head -c 5 <&9", "re");
	T(peer("send %d 5", c.h));
	T(fread(line, 1, sizeof(line), a));
	T(memcmp(line, "ppppp", 5));
	T(pclose(a));
	a = popen("cat >&9", "w");
	b = popen("cat >&9; exit 4", "w"); /* without the end that the other waits to be closed */
	T(fprintf(a, "abc"));
	T(fprintf(b, "def"));
	T(pclose(a));
	T(pclose(b) == 4 << 8);
	T(peer("recv %d 6", c.h));
	T(popen("true", "x") == NULL);
	a = popen("exit 5", "r");
	T(end(a) == 5 << 8); /* the same as pclose() */
	T(waitpid(-1, NULL, WNOHANG));
	a = popen("cat >&9", "w"); /* it may stand where the one before did */
	T(fprintf(a, "ghi"));
	T(end(a));
	T(peer("recv %d 3", c.h));
	T(waitpid(-1, NULL, WNOHANG));
	finish(c);
	a = popen("echo without", "r");
	T(fgets(line, sizeof(line), a) != NULL);
	T(pclose(a));
}

static void *start_commands(void *stop)
{
	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED))
		pclose(popen("true", "r"));
	return NULL;
}

/* One thread forks while another starts commands: the child can, too. */
static void case_fork_beside_popen(void)
{
	struct conn c = passive();
	int status, failed = 0;
	pthread_t thread;
	bool stop = false;

	pthread_create(&thread, NULL, start_commands, &stop);
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(30);
			_exit(system("true") ? 1 : 0);
		}
		waitpid(pid, &status, 0);
		failed += status != 0;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	T(failed);
	finish(c);
}

static int exec_at(char *const argv[])
{
	return execveat(AT_FDCWD, "/bin/echo", argv, environ, 0);
}

static int exec_by_number(char *const argv[])
{
	return (int)syscall(SYS_execve, "/bin/echo", argv, environ);
}

static void case_exec_others(void)
{
	int (*const ways[])(char *const argv[]) = { exec_at, exec_by_number };
	char echo[] = "echo", word[] = "there";
	char *const argv[] = { echo, word, NULL };

	for (size_t i = 0; i < MR_ARRAY_SIZE(ways); i++) {
		struct conn c = passive();
		pid_t pid = fork();
		int status;

		if (!pid) {
			dup2(c.fd, 1);
			_exit(ways[i](argv) ? 1 : 2);
		}
		close(c.fd);
		T(peer("recv %d -1", c.h));
		T(waitpid(pid, &status, 0) == pid);
		T(status);
		peer("close %d", c.h);
	}
}

/* The new program's environment is empty: nginx executes its successor with hardly more. */
static void case_exec_bare(void)
{
	struct conn c = passive();
	char *none[] = { NULL };
	int status;
	pid_t pid = fork();

	if (!pid) {
		dup2(c.fd, 1);
		execle("/bin/echo", "echo", "from", "a", "program", NULL, none);
		_exit(1);
	}
	close(c.fd);
	T(peer("recv %d -1", c.h));
	T(waitpid(pid, &status, 0) == pid);
	T(status);
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
	C(tcp_info),
	C(timeouts),
	C(full),
	C(interrupted),
	C(handlers),
	C(handlers_jump),
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
	C(passed_to_child),
	C(passed_late),
	C(passed_beside_exec),
	C(close_while_reading),
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
