// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_socket.c - socket, bind, listen, connect, accept, shutdown and names; decides whether a socket is accelerated.
 * Owns        the decision, in listen() and connect(), whether a socket is the stack's or the kernel's.
 * Called by   the program.
 *
 * Until listen() or connect() a socket is only the kernel's. Then its options, its address and its epoll
 * registrations are taken over. If a socket stays a kernel socket, the reason is recorded.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/addr.h"
#include "base/time.h"
#include "engine/shared.h"
#include "posix/confine.h"
#include "posix/libc.h"
#include "posix/posix.h"
#include "posix/process.h"
#include "posix/stdio.h"

#define BIND_TRIES 64 /* how many local ports are tried */

static bool is_tcp(int fd)
{
	return kernel_option(fd, SO_PROTOCOL) == IPPROTO_TCP &&
	       kernel_option(fd, SO_TYPE) == SOCK_STREAM;
}

PUBLIC int socket(int domain, int type, int protocol)
{
	int fd = REAL(socket)(domain, type, protocol);

	if (fd < 0 || (domain != AF_INET && domain != AF_INET6) || !px_offered())
		return fd;
	if (px_confined())
		fd_kernel(fd, REASON_CONFINED, NULL, NULL);
	else if ((type & 0xf) == SOCK_STREAM && (!protocol || protocol == IPPROTO_TCP))
		early_fresh(fd, domain);
	else if (px_share)
		fd_kernel(fd, REASON_UDP, NULL, NULL);
	stdio_follow(fd);
	return fd;
}

PUBLIC int bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (mr_unlikely(fd_ours(fd))) /* it has had a local address since it was accelerated */
		return (int)px_result(-EINVAL);
	early_touched(fd);
	return REAL(bind)(fd, sa, len);
}

/* ---- Becoming the stack's -------------------------------------------------------------------- */

/* Bind the kernel socket. -EADDRINUSE: another socket has the port. */
static int kernel_bind(int fd, int family, const struct mr_endpoint *ep)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	addr_from_endpoint(family, ep, 0, (struct sockaddr *)&ss, &len);
	return REAL(bind)(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

/* Make a file with a socket of the stack, which gets the kernel socket's options. With the lock held. */
static struct mr_file *stream_new(int fd, int family)
{
	struct mr_file *f = file_new(mr_share_root(px_share), FILE_STREAM);

	if (!f)
		return NULL;
	f->family = (uint16_t)family;
	if (mr_socket(mr_share_engine(px_share), &f->sock)) {
		file_put(px_share, f);
		return NULL;
	}
	mr_share_touch(px_share, f->sock);
	f->nonblock = REAL(fcntl64)(fd, F_GETFL) & O_NONBLOCK;
	f->sock->user = (uintptr_t)f;
	opt_take(fd, f);
	return f;
}

/* Why a socket cannot be accelerated, although its addresses would permit it; REASON_NONE: it can. */
static enum mr_reason refusal(int fd)
{
	enum mr_reason reason;

	if ((uint32_t)fd >= MR_SHARE_FDS_MAX)
		return REASON_DESCRIPTOR;
	return opt_refuses(fd, &reason) ? reason : REASON_NONE;
}

static enum mr_reason reason_of_error(int err)
{
	switch (err) {
	case -EADDRINUSE:
		return REASON_PORT;
	case -EADDRNOTAVAIL:
		return REASON_ADDRESS;
	case -ENETUNREACH:
		return REASON_ROUTE;
	default:
		return REASON_FULL;
	}
}

/* Make or find the file that listens. Another process may have the same socket, and listen on it already, if workers
 * are forked after bind(). With the lock held. */
static int listen_file(int fd, const struct mr_endpoint *local, int family, int backlog,
		       struct mr_file **out)
{
	uint64_t cookie = process_cookie(fd);
	struct mr_file *f = cookie ? process_file(cookie) : NULL;

	if (f && f->kind == FILE_STREAM) {
		file_hold(f);
		*out = f;
		return mr_listen(f->sock, backlog);
	}
	*out = f = stream_new(fd, family);
	if (!f)
		return -ENOBUFS;
	f->cookie = cookie;
	return mr_bind_held(f->sock, local, false) ?: mr_listen(f->sock, backlog);
}

/* The kernel socket listens already: make it a listener of the stack, too. */
static enum mr_reason accelerate_listener(int fd, const struct mr_endpoint *local, int family,
					  int backlog)
{
	struct mr_file *f;
	int err;

	mr_share_lock(px_share, NULL);
	err = listen_file(fd, local, family, backlog, &f);
	if (!err) {
		fd_becomes(fd, f);
		early_accelerated(fd, f);
		opt_listener(fd, f);
	} else if (f) {
		file_put(px_share, f);
	}
	mr_share_unlock(px_share);
	if (err)
		return reason_of_error(err);
	/* accept() must not wait for the kernel socket; the program's O_NONBLOCK is in the file. */
	REAL(fcntl64)(fd, F_SETFL, REAL(fcntl64)(fd, F_GETFL) | O_NONBLOCK);
	return REASON_NONE;
}

/* The backlog that the kernel's listener has: what was asked for, at most net.core.somaxconn, of which a negative
 * one is as much. */
static int kernel_backlog(int fd, int asked)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return REAL(getsockopt)(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? asked :
									  (int)info.tcpi_sacked;
}

/* In a confined process a socket that could be accelerated stays a kernel socket. */
static void keep_if_confined(int fd)
{
	if (!px_confined() || !early_known(fd))
		return;
	early_forget(fd);
	fd_kernel(fd, REASON_CONFINED, NULL, NULL);
}

/* 0 or a negative errno. */
static int listen_any(int fd, int backlog)
{
	struct mr_endpoint local;
	enum mr_reason reason;
	struct mr_file *f;
	bool joined;
	int ret;

	f = fd_ours(fd) ? fd_get(fd) : NULL;
	if (f) {
		ret = mr_listen(f->sock, backlog);
		if (!ret) {
			REAL(listen)(fd, backlog);
			mr_listen(f->sock, kernel_backlog(fd, backlog));
		}
		fd_done();
		return ret;
	}
	early_touched(fd);
	/* First, because joining takes time: whoever connected in the meantime would be the kernel's. */
	joined = px_offered() && !px_confined() && is_tcp(fd) && px_join();
	if (REAL(listen)(fd, backlog) < 0)
		return -errno;
	keep_if_confined(fd);
	if (!joined)
		return 0;
	if (kernel_endpoint(fd, REAL(getsockname), &local))
		return 0;
	reason = refusal(fd);
	if (!reason && !mr_addr_is_any(&local.addr) && !mr_addr_is_unicast(&local.addr))
		reason = REASON_LOOPBACK;
	if (!reason)
		reason = accelerate_listener(fd, &local, kernel_option(fd, SO_DOMAIN),
					     kernel_backlog(fd, backlog));
	if (reason)
		fd_kernel(fd, reason, &local, NULL);
	return 0;
}

PUBLIC int listen(int fd, int backlog)
{
	return (int)px_result(listen_any(fd, backlog));
}

/* ---- connect --------------------------------------------------------------------------------- */

static enum mr_reason route_reason(const struct mr_endpoint *peer, uint32_t scope_id)
{
	struct mr_way_answer answer;

	mr_engine_way(mr_share_engine(px_share), &peer->addr, scope_id, &answer);
	switch (answer.way) {
	case MR_WAY_OURS:
		return REASON_NONE;
	case MR_WAY_LOCAL:
		return REASON_LOOPBACK;
	case MR_WAY_OTHER:
	case MR_WAY_UNREACHABLE:
		break;
	}
	return REASON_ROUTE;
}

/* Begin to connect f from the port of the kernel socket. Returns 0 or -EINPROGRESS if it has begun. */
static int connect_begin(struct mr_file *f, const struct mr_endpoint *peer,
			 const struct mr_endpoint *local, bool fresh)
{
	return mr_bind_held(f->sock, local, fresh) ?: mr_connect(f->sock, peer);
}

/* The same from a port that is chosen here. Both the kernel and the stack have to agree to it: the kernel does not
 * know the stack's connections in TIME-WAIT, and the stack does not know the ports of kernel sockets. */
static int connect_any_port(int fd, struct mr_file *f, const struct mr_endpoint *peer,
			    const struct mr_endpoint *local)
{
	struct mr_endpoint ep = *local;

	for (unsigned i = 0; i < BIND_TRIES; i++) {
		int err;

		ep.port = mr_tcp_port_pick_to(&mr_share_engine(px_share)->st->tcp, &ep.addr, peer,
					      mr_share_now(px_share));
		if (!ep.port)
			break;
		err = kernel_bind(fd, f->family, &ep);
		if (err != -EADDRINUSE)
			return err ?: connect_begin(f, peer, &ep, true);
	}
	return -EADDRNOTAVAIL;
}

struct target {
	struct mr_endpoint peer, local;
	uint32_t scope_id;
	int family;
};

/* *begun: the result of mr_connect(). */
static enum mr_reason accelerate_connection(int fd, const struct target *to, int *begun)
{
	enum mr_reason reason;
	struct mr_file *f = NULL;
	int err;

	mr_share_lock(px_share, NULL);
	reason = route_reason(&to->peer, to->scope_id);
	if (!reason) {
		f = stream_new(fd, to->family);
		reason = f ? REASON_NONE : REASON_FULL;
	}
	if (f) {
		err = to->local.port ? connect_begin(f, &to->peer, &to->local, false) :
				       connect_any_port(fd, f, &to->peer, &to->local);
		if (err == -EINPROGRESS || err == 0) {
			f->scope_id = to->scope_id;
			f->connecting = true;
			fd_becomes(fd, f);
			early_accelerated(fd, f);
			*begun = err;
		} else {
			file_put(px_share, f);
			reason = reason_of_error(err);
		}
	}
	mr_share_unlock(px_share);
	return reason;
}

/* The connection attempt has ended: report the result, once. A socket that failed can be used again. */
static int connect_ended(struct mr_file *f)
{
	int err;

	f->connecting = false;
	if (f->sock->connected)
		return 0;
	err = mr_sock_error(f->sock) ?: -ECONNABORTED;
	mr_disconnect(f->sock);
	return err;
}

/* Wait until the connection attempt has ended. With the lock held. */
static int connect_wait(struct mr_file *f)
{
	struct wait w;
	int err = wait_open(&w, f, EPOLLOUT, f->snd_ns);

	while (!err) {
		wait_look(&w);
		if (f->sock->connected || f->sock->err || !f->sock->tcb) {
			err = connect_ended(f);
			break;
		}
		err = wait_sleep(&w, NULL, 0);
		if (err == -EAGAIN)
			err = -EINPROGRESS;
	}
	wait_close(&w);
	return err;
}

/* connect() on a socket that is accelerated already. With the lock held. */
static int connect_again(int fd, struct mr_file *f, const struct sockaddr *sa, socklen_t len)
{
	struct mr_endpoint peer;
	uint32_t scope_id;
	int err;

	if (len >= sizeof(sa->sa_family) && sa->sa_family == AF_UNSPEC) {
		if (f->sock->kind == MR_SOCK_LISTENER)
			libc_connect(fd, sa, len); /* the kernel socket stops listening, too */
		mr_disconnect(f->sock);
		f->connecting = false;
		return 0;
	}
	if (f->sock->kind == MR_SOCK_STREAM && f->sock->tcb && !f->sock->connected) {
		err = f->nonblock ? -EALREADY : connect_wait(f);
		return err == -EINPROGRESS ? -EALREADY : err;
	}
	if (f->connecting)
		return connect_ended(f);
	if (f->sock->kind == MR_SOCK_LISTENER || f->sock->connected)
		return -EISCONN;
	err = addr_to_endpoint(sa, len, &peer, &scope_id);
	err = err ?: mr_connect(f->sock, &peer);
	f->connecting = err == -EINPROGRESS;
	return err == -EINPROGRESS && !f->nonblock ? connect_wait(f) : err;
}

/* What happened to a socket that is not accelerated since it was made, as far as connect() needs to know. */
static bool may_connect(int fd, struct target *to)
{
	to->family = early_family(fd);
	if (to->family) { /* fresh: neither bound nor listening */
		to->local.addr =
			to->family == AF_INET ? mr_addr_v4(INADDR_ANY) : (struct mr_addr){ 0 };
		return true;
	}
	to->family = kernel_option(fd, SO_DOMAIN);
	return is_tcp(fd) && !kernel_option(fd, SO_ACCEPTCONN) &&
	       !kernel_endpoint(fd, REAL(getsockname), &to->local);
}

/* Decide whether to accelerate a socket. Positive: let the kernel connect it. */
static int connect_first(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct target to = { 0 };
	enum mr_reason reason;
	int begun = 0;

	if (len < sizeof(sa->sa_family) || !px_offered() || px_confined() ||
	    (sa->sa_family != AF_INET && sa->sa_family != AF_INET6) ||
	    addr_to_endpoint(sa, len, &to.peer, &to.scope_id) || !to.peer.port ||
	    !may_connect(fd, &to))
		return 1;
	/* An IPv4 address for an IPv6 socket is mapped; the other case is refused by the kernel. */
	if (to.family == AF_INET && sa->sa_family != AF_INET)
		return 1;
	if (!px_join())
		return 1;
	if (to.family == AF_INET6 && sa->sa_family == AF_INET)
		return 1;
	reason = refusal(fd) ?: accelerate_connection(fd, &to, &begun);
	if (!reason)
		return begun;
	fd_kernel(fd, reason, &to.local, &to.peer);
	return 1;
}

static int connect_kernel(int fd, const struct sockaddr *sa, socklen_t len)
{
	return REAL(connect)(fd, sa, len) < 0 ? -errno : 0;
}

/* 0 or a negative errno. */
static int connect_any(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct mr_file *f;
	int ret = -EINPROGRESS;

	if (!fd_ours(fd)) {
		ret = sa ? connect_first(fd, sa, len) : 1;
		if (ret > 0) {
			keep_if_confined(fd);
			early_forget(fd);
			return connect_kernel(fd, sa, len);
		}
	} else {
		ret = 1;
	}
	f = fd_get(fd);
	if (!f)
		return connect_kernel(fd, sa, len);
	if (ret > 0)
		ret = sa ? connect_again(fd, f, sa, len) : -EFAULT;
	else if (ret == -EINPROGRESS && !f->nonblock)
		ret = connect_wait(f);
	fd_done();
	return ret;
}

PUBLIC int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	wait_point();
	return (int)px_result(connect_any(fd, sa, len));
}

/* ---- accept ---------------------------------------------------------------------------------- */

/* Take the oldest connection from the stack's accept queue, with a new descriptor. With the lock held. */
static int accept_ours(int lfd, struct mr_file *listener, int flags, struct mr_endpoint *peer)
{
	struct mr_socket *sock;
	struct mr_file *f;
	int fd;

	if (!(mr_ready(listener->sock) & MR_IN))
		return -EAGAIN;
	/* Do first what can fail: a connection that was taken off the queue must not be lost. */
	fd = stand_new(listener->family, flags & SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	f = (uint32_t)fd < MR_SHARE_FDS_MAX ? file_new(mr_share_root(px_share), FILE_STREAM) : NULL;
	if (!f || mr_accept(listener->sock, &sock, peer)) {
		if (f)
			file_put(px_share, f);
		stand_forget(fd);
		libc_close(fd);
		return f ? -EAGAIN : -ENFILE;
	}
	f->sock = sock;
	f->sock->user = (uintptr_t)f;
	f->family = listener->family;
	f->v6only = listener->v6only;
	f->nonblock = flags & SOCK_NONBLOCK;
	f->rcv_ns = listener->rcv_ns;
	f->snd_ns = listener->snd_ns;
	f->inq = listener->inq;
	f->held = listener->held;
	mr_set_option(sock, MR_OPT_DEFER_ACCEPT, 0); /* only for the listener */
	opt_inherit(lfd, listener, fd);
	fd_becomes(fd, f);
	return fd;
}

/* Has the kernel socket a connection to accept? Its own O_NONBLOCK does not suffice, because another process that
 * shares the socket may have cleared it. No cancellation point. */
static bool kernel_has_one(int lfd)
{
	struct pollfd pfd = { .fd = lfd, .events = POLLIN };

#ifdef SYS_poll
	return REAL(syscall)(SYS_poll, &pfd, 1, 0);
#else
	return REAL(syscall)(SYS_ppoll, &pfd, 1, &(struct timespec){ 0 }, NULL, _NSIG / 8);
#endif
}

/* Accept a connection of either kind, without waiting. *kernel: it is a kernel socket, and *sa is filled in. */
static int accept_once(int lfd, struct mr_file *listener, int flags, struct mr_endpoint *peer,
		       struct sockaddr *sa, socklen_t *len, bool *kernel)
{
	int fd;

	*kernel = false;
	if (listener->sock->kind != MR_SOCK_LISTENER)
		return -EINVAL;
	fd = accept_ours(lfd, listener, flags, peer);
	if (fd != -EAGAIN)
		return fd;
	if (!kernel_has_one(lfd))
		return -EAGAIN;
	fd = libc_accept4(lfd, sa, len, flags);
	*kernel = fd >= 0;
	return fd < 0 ? -errno : fd;
}

static int accept_any(int lfd, struct mr_file *f, struct sockaddr *sa, socklen_t *len, int flags,
		      bool *kernel)
{
	struct pollfd pfd = { .fd = lfd, .events = POLLIN };
	socklen_t whole = len ? *len : 0;
	struct mr_endpoint peer;
	struct wait w;
	int fd = accept_once(lfd, f, flags, &peer, sa, len, kernel), err;

	if (fd == -EAGAIN && !f->nonblock) {
		err = wait_open(&w, f, EPOLLIN, f->rcv_ns);
		while (!err) {
			wait_look(&w);
			fd = accept_once(lfd, f, flags, &peer, sa, len, kernel);
			if (fd != -EAGAIN)
				break;
			err = wait_sleep(&w, &pfd, 1);
		}
		wait_close(&w);
		if (err)
			fd = err;
	}
	if (fd >= 0 && sa && len && !*kernel) {
		*len = whole;
		addr_from_endpoint(f->family, &peer, f->scope_id, sa, len);
	}
	return fd;
}

/* accept() on a listener of the stack, whose file is f. Releases the lock. */
static int accept_locked(int fd, struct mr_file *f, struct sockaddr *sa, socklen_t *len, int flags)
{
	bool kernel = false;
	int ret;

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		ret = -EINVAL;
	else
		ret = accept_any(fd, f, sa, len, flags, &kernel);
	fd_done();
	if (ret >= 0 && kernel)
		fd_kernel(ret, REASON_CAME_BY_KERNEL, NULL, NULL);
	stdio_follow(ret);
	return ret;
}

PUBLIC int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct mr_file *f;

	wait_point();
	f = fd_ours(fd) ? fd_get(fd) : NULL;
	if (!f)
		return REAL(accept4)(fd, sa, len, flags);
	return (int)px_result(accept_locked(fd, f, sa, len, flags));
}

PUBLIC int accept(int fd, struct sockaddr *sa, socklen_t *len)
{
	if (!fd_ours(fd))
		return REAL(accept)(fd, sa, len);
	return accept4(fd, sa, len, 0);
}

/* ---- The rest -------------------------------------------------------------------------------- */

PUBLIC int shutdown(int fd, int how)
{
	struct mr_file *f = fd_ours(fd) ? fd_get(fd) : NULL;
	bool listener;
	int ret;

	if (!f)
		return REAL(shutdown)(fd, how);
	listener = f->sock->kind == MR_SOCK_LISTENER;
	switch (how) {
	case SHUT_RD:
		ret = mr_shutdown(f->sock, MR_SHUT_RD);
		break;
	case SHUT_WR:
		ret = mr_shutdown(f->sock, MR_SHUT_WR);
		break;
	case SHUT_RDWR:
		ret = mr_shutdown(f->sock, MR_SHUT_RDWR);
		break;
	default:
		ret = -EINVAL;
	}
	file_notify(px_share, f);
	fd_done();
	if (listener)
		REAL(shutdown)(fd, how);
	return (int)px_result(ret);
}

/* Programs call getpeername() to find out whether they are still connected: process what has arrived before. */
static int name_of(int fd, struct sockaddr *sa, socklen_t *len,
		   int (*get)(const struct mr_socket *sock, struct mr_endpoint *ep))
{
	struct mr_file *f = fd_get(fd);
	struct mr_endpoint ep;
	int ret;

	if (!f)
		return 1;
	if (get == mr_peer) {
		mr_share_round(px_share);
		mr_share_touch(px_share, f->sock);
	}
	ret = !sa || !len ? -EFAULT : (int)*len < 0 ? -EINVAL : get(f->sock, &ep);
	if (!ret)
		addr_from_endpoint(f->family, &ep, f->scope_id, sa, len);
	fd_done();
	return ret;
}

PUBLIC int getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	int ret = fd_ours(fd) ? name_of(fd, sa, len, mr_local) : 1;

	return ret > 0 ? REAL(getsockname)(fd, sa, len) : (int)px_result(ret);
}

PUBLIC int getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
	int ret = fd_ours(fd) ? name_of(fd, sa, len, mr_peer) : 1;

	return ret > 0 ? REAL(getpeername)(fd, sa, len) : (int)px_result(ret);
}
