// SPDX-License-Identifier: BSD-2-Clause
/*
 * posix_conf_lib.c - what all cases of posix_conf use: the peer, steps, and connections to it.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/compiler.h"
#include "posix_conf.h"

_Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

struct sockaddr_storage address(const char *text, int port, socklen_t *len)
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

int port_of(int fd)
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

int peer_main(const char *path)
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

int control;
const char *local_addr, *peer_addr;
int family;
char note_buf[512];
volatile int minus_one = -1, too_many = 1025; /* the compiler need not know */
struct epoll_event *volatile no_events;

__attribute__((format(printf, 1, 2))) long peer(const char *format, ...)
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

const char *error_name(int err)
{
	return err ? strerrorname_np(err) : "0";
}

void show(const char *what, long ret, int err)
{
	if (ret < 0)
		printf("  %s = %ld %s\n", what, ret, error_name(err));
	else if (
		err) /* what succeeds leaves errno alone: programs look at it after the next call, too */
		printf("  %s = %ld, errno is %s\n", what, ret, error_name(err));
	else
		printf("  %s = %ld\n", what, ret);
}

/* What poll() says, at once. */
void ready(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	poll(&pfd, 1, 0);
	SAY("ready:%s%s%s%s%s%s%s", pfd.revents & POLLIN ? " IN" : "",
	    pfd.revents & POLLOUT ? " OUT" : "", pfd.revents & POLLPRI ? " PRI" : "",
	    pfd.revents & POLLRDHUP ? " RDHUP" : "", pfd.revents & POLLERR ? " ERR" : "",
	    pfd.revents & POLLHUP ? " HUP" : "", pfd.revents & POLLNVAL ? " NVAL" : "");
}

int await(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, 5 * SECOND_MS);
}

int get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) ? -errno : value;
}

int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

int set_time(int fd, int name, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	return setsockopt(fd, SOL_SOCKET, name, &tv, sizeof(tv));
}

int nonblocking(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK);
}

int new_socket(void)
{
	return socket(family, SOCK_STREAM, 0);
}

int bind_any(int fd, int port)
{
	socklen_t len;
	struct sockaddr_storage ss = address(family == AF_INET ? "0.0.0.0" : "::", port, &len);

	return bind(fd, (struct sockaddr *)&ss, len);
}

int connect_to(int fd, int port)
{
	socklen_t len;
	struct sockaddr_storage ss = address(peer_addr, port, &len);

	return connect(fd, (struct sockaddr *)&ss, len);
}

int listener(void)
{
	int fd = new_socket();

	if (bind_any(fd, 0) || listen(fd, 16))
		die("listen");
	return fd;
}

struct conn active(void)
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
void settle(void)
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

int ep_ctl(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	return epoll_ctl(ep, op, fd, &e);
}

/* The first event, its bits; 0: none. */
int ep_wait(int ep, int timeout)
{
	struct epoll_event e;
	int n = epoll_wait(ep, &e, 1, timeout);

	return n < 0 ? -errno : n ? (int)e.events : 0;
}

struct conn passive(void)
{
	int l = listener();
	struct conn c = { .h = (int)peer("connect %s %d", local_addr, port_of(l)) };

	c.fd = accept(l, NULL, NULL);
	if (c.fd < 0)
		die("accept");
	close(l);
	return c;
}

void finish(struct conn c)
{
	close(c.fd);
	peer("close %d", c.h);
}

volatile int signals;

void catch (int sig, int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	signals = 0;
	sigaction(sig, &sa, NULL);
}

/* Again and again, 0: no more: a single one might come before the call that it shall interrupt. */
void alarm_every(int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	struct itimerval it = { tv, tv };

	setitimer(ITIMER_REAL, &it, NULL);
}

sigjmp_buf jumped;

void on_jump(int sig)
{
	siglongjmp(jumped, sig);
}

void *send_late(void *arg)
{
	usleep(100000);
	peer("send %d 5", *(int *)arg);
	return NULL;
}
