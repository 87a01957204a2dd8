// SPDX-License-Identifier: BSD-2-Clause
/*
 * opt.c - getsockopt and setsockopt.
 * Owns        the results of both calls on an accelerated socket.
 * Called by   the program.
 * Not here    which options there are (opt_table.c); their effect in the stack (opt_set.c); sockets that are not
 *             accelerated yet (opt_take.c).
 *
 * setsockopt() is first called on the kernel socket behind an accelerated one: what that refuses is refused, with its
 * error. What it accepts is then done in the stack. An option whose effect on TCP the stack does not have is refused
 * (-ENOPROTOOPT) on an accelerated socket; if it was set before, the socket stays a kernel socket.
 */
#include <limits.h>
#include <string.h>
#include <syslog.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix/congestion.h"
#include "posix/libc.h"
#include "posix/opt_priv.h"

#define MSS_OF_NO_PATH 536 /* what Linux returns without a connection */
#define OLD_BYTES      64  /* most bytes of a value that is restored */
#define TOLD_MAX       32u /* so many refused options are logged once each; others each time */

/* ---- setsockopt ------------------------------------------------------------------------------ */

/* Options that Linux accepts only on a socket without connection; the kernel socket never has one. */
static bool too_late(const struct mr_file *f, int level, int name)
{
	return level == IPPROTO_TCP && f->sock->tcb &&
	       (name == TCP_FASTOPEN || name == TCP_FASTOPEN_CONNECT ||
		name == TCP_FASTOPEN_NO_COOKIE);
}

/* A boolean of the connection, for which the kernel accepts any number: the kernel socket need not have it. (A
 * listener's must, because the kernel accepts connections, too.) */
static bool is_switch(const struct mr_file *f, const struct option *o, const void *val,
		      socklen_t len)
{
	return o && o->how == AS_BOOL && val && len <= INT_MAX && len >= sizeof(int) &&
	       f->sock->kind == MR_SOCK_STREAM && f->sock->tcb &&
	       (o->opt == MR_OPT_NODELAY || o->opt == MR_OPT_CORK || o->opt == MR_OPT_QUICKACK ||
		o->opt == MR_OPT_KEEPALIVE);
}

/* Log it once for each option, because a server sets it on each of its connections. With the lock held. */
static void tell_refused(int level, int name)
{
	static struct {
		int level, name;
	} told[TOLD_MAX];
	static unsigned ntold;

	for (unsigned i = 0; i < ntold; i++)
		if (told[i].level == level && told[i].name == name)
			return;
	if (ntold < TOLD_MAX) {
		told[ntold].level = level;
		told[ntold++].name = name;
	}
	mr_share_log(px_share, LOG_WARNING,
		     "option %d of level %d was set on an accelerated socket and refused", name,
		     level);
}

static int set(int fd, struct mr_file *f, int level, int name, const void *val, socklen_t len)
{
	const struct option *o = opt_find(level, name);
	uint8_t old[OLD_BYTES];
	socklen_t old_len = sizeof(old);
	bool undo = o && (o->how == NEUTRAL || o->how == NONE || o->how == DEVICE) &&
		    !REAL(getsockopt)(fd, level, name, old, &old_len);
	int ret;

	if (is_switch(f, o, val, len))
		return opt_apply(f, fd, o, val, len);
	if (level == IPPROTO_TCP && name == TCP_ULP) /* as a kernel without the module */
		return -ENOENT;
	if (too_late(f, level, name))
		return -EINVAL;
	ret = stand_apart(fd);
	if (ret)
		return ret;
	if (REAL(setsockopt)(fd, level, name, val, len) < 0)
		return -errno;
	ret = o ? opt_apply(f, fd, o, val, len) : -ENOPROTOOPT;
	if (ret != -ENOPROTOOPT) {
		if (!ret && o && opt_is_inherited(o))
			opt_mark_inherited(f, o);
		return ret;
	}
	if (undo)
		REAL(setsockopt)(fd, level, name, old, old_len);
	else if (level == SOL_SOCKET && (name == SO_ATTACH_FILTER || name == SO_ATTACH_BPF))
		REAL(setsockopt)(fd, level, SO_DETACH_FILTER, old, sizeof(int));
	tell_refused(level, name);
	return ret;
}

PUBLIC int setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	struct mr_file *f = fd_ours(fd) ? fd_get(fd) : NULL;
	int ret;

	if (!f) {
		ret = REAL(setsockopt)(fd, level, name, val, len);
		if (!ret && early_known(fd))
			opt_set_early(fd, level, name);
		return ret;
	}
	ret = (int)px_result(set(fd, f, level, name, val, len));
	fd_done();
	return ret;
}

/* ---- getsockopt ------------------------------------------------------------------------------ */

static int give(const void *value, size_t size, void *val, socklen_t *len)
{
	if ((int)*len < 0)
		return -EINVAL;
	*len = (socklen_t)mr_min((size_t)*len, size);
	memcpy(val, value, *len);
	return 0;
}

static int give_int(int value, int level, void *val, socklen_t *len)
{
	uint8_t byte = (uint8_t)value;

	/* Old IP options were bytes: a program with room for one byte gets one. */
	if (level == IPPROTO_IP && *len > 0 && *len < sizeof(int) && value >= 0 && value <= 255)
		return give(&byte, 1, val, len);
	return give(&value, sizeof(value), val, len);
}

static int give_time(const struct mr_file *f, int name, void *val, socklen_t *len)
{
	uint64_t ns = name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW ? f->rcv_ns : f->snd_ns;
	int64_t tv[2] = { (int64_t)(ns / MR_NS_PER_S), (int64_t)(ns % MR_NS_PER_S / MR_NS_PER_US) };

	return give(tv, sizeof(tv), val, len);
}

static int give_option(int fd, struct mr_file *f, const struct option *o, void *val, socklen_t *len)
{
	struct linger l = { 0 };
	char name[CC_NAME_BYTES] = { 0 };
	int64_t value;
	int err, kernel;

	if (o->how == AS_TIME)
		return give_time(f, o->name, val, len);
	if (o->how == AS_INQ)
		return give_int(f->inq, o->level, val, len);
	err = mr_get_option(f->sock, o->opt, &value);
	if (err)
		return err;
	switch (o->how) {
	case AS_LINGER:
		l.l_onoff = value >= 0;
		l.l_linger = (int)mr_max(value, (int64_t)0);
		return give(&l, sizeof(l), val, len);
	case AS_NAME:
		snprintf(name, sizeof(name), "%s",
			 congestion_theirs(mr_congestion_name((int)value)));
		return give(name, sizeof(name), val, len);
	case AS_HELD:
		kernel = 0;
		if (!value && !(f->held & opt_held_bit(o)))
			opt_kernel_value(fd, o, &kernel);
		return give_int(value || f->held & opt_held_bit(o) || kernel, o->level, val, len);
	case AS_BUFFER:
		/* Return what the program has set, as the kernel rounds it. */
		if (opt_set_by_program(fd, f->family, o) && opt_kernel_value(fd, o, &kernel))
			return give_int(kernel, o->level, val, len);
		return give_int((int)value * SNDBUF_FACTOR, o->level, val, len);
	case AS_RATE:
		value = value ?: (*len >= sizeof(value) ? -1 : (int64_t)UINT32_MAX);
		return give(&value, *len >= sizeof(value) ? sizeof(value) : sizeof(int), val, len);
	default:
		return give_int((int)value, o->level, val, len);
	}
}

/* The whole value, or nothing. */
static int give_peer(const struct mr_file *f, void *val, socklen_t *len)
{
	struct sockaddr_storage ss;
	socklen_t whole = sizeof(ss);
	struct mr_endpoint ep;
	int err = mr_peer(f->sock, &ep);

	if (err)
		return err;
	addr_from_endpoint(f->family, &ep, f->scope_id, (struct sockaddr *)&ss, &whole);
	return whole < *len ? -EINVAL : give(&ss, whole, val, len);
}

/* Options that can only be read, and those whose value is more than what was set. Positive: it is none of them. */
static int give_state(struct mr_file *f, int level, int name, void *val, socklen_t *len)
{
	struct mr_sock_info info;
	int64_t mss;
	struct {
		struct sockaddr_in6 addr;
		uint32_t mtu;
	} path = { 0 }; /* struct ip6_mtuinfo */
	uint8_t tcpi[MR_TCP_INFO_BYTES];

	if (level == SOL_SOCKET && name == SO_ERROR)
		return give_int(-mr_sock_error(f->sock), level, val, len);
	if (level == SOL_SOCKET && name == SO_ACCEPTCONN)
		return give_int(f->sock->kind == MR_SOCK_LISTENER, level, val, len);
	if (level == IPPROTO_TCP && name == TCP_INFO) {
		mr_tcp_info(f->sock, tcpi, sizeof(tcpi));
		return give(tcpi, sizeof(tcpi), val, len);
	}
	if (level == IPPROTO_TCP && name == TCP_MAXSEG && f->sock->tcb) {
		mr_sock_info(f->sock, &info);
		return give_int((int)info.snd_mss, level, val, len);
	}
	if (level == IPPROTO_TCP && name == TCP_MAXSEG &&
	    !mr_get_option(f->sock, MR_OPT_MAXSEG, &mss) && !mss)
		return give_int(MSS_OF_NO_PATH, level, val, len);
	if (f->sock->tcb && ((level == IPPROTO_IP && name == IP_MTU) ||
			     (level == IPPROTO_IPV6 && name == IPV6_MTU)))
		return give_int((int)f->sock->tcb->dst.mtu, level, val, len);
	if (f->sock->tcb && level == IPPROTO_IPV6 && name == IPV6_PATHMTU) {
		path.mtu = f->sock->tcb->dst.mtu;
		return give(&path, sizeof(path), val, len);
	}
	/* As a kernel without it: the program then reads with recv(). */
	if (level == IPPROTO_TCP && name == TCP_ZEROCOPY_RECEIVE)
		return -ENOPROTOOPT;
	if (level == SOL_SOCKET && name == SO_PEERNAME)
		return give_peer(f, val, len);
	return 1;
}

static int get(int fd, struct mr_file *f, int level, int name, void *val, socklen_t *len)
{
	const struct option *o = opt_find(level, name);
	int ret;

	if (!val || !len)
		return -EFAULT;
	ret = give_state(f, level, name, val, len);
	if (ret <= 0)
		return ret;
	if (o && o->how <= AS_INQ &&
	    (o->how != AS_BUFFER || o->replay)) /* SO_SNDBUFFORCE cannot be read */
		return give_option(fd, f, o, val, len);
	if (level == SOL_SOCKET && name == SO_COOKIE && stand_apart(fd))
		return -ENOBUFS;
	return REAL(getsockopt)(fd, level, name, val, len) < 0 ? -errno : 0;
}

PUBLIC int getsockopt(int fd, int level, int name, void *restrict val, socklen_t *restrict len)
{
	struct mr_file *f = fd_ours(fd) ? fd_get(fd) : NULL;
	int ret;

	if (!f)
		return REAL(getsockopt)(fd, level, name, val, len);
	ret = (int)px_result(get(fd, f, level, name, val, len));
	fd_done();
	return ret;
}
