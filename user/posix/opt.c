// SPDX-License-Identifier: BSD-2-Clause
/*
 * opt.c - getsockopt and setsockopt.
 * Owns        which option means what in the stack, which ones are the kernel's to remember, and which ones
 *	       keep a socket with the kernel.
 * Called by   the program; listen() and connect(), when a socket is about to be accelerated.
 *
 * The kernel's socket behind every one of ours is asked first: what it refuses is refused, with its error.
 * What it takes is then done in the stack. An option that has a meaning for TCP which the stack does not
 * have is refused (-ENOPROTOOPT) on an accelerated socket; set before, it keeps the socket with the kernel.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/in6.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <syslog.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix/congestion.h"
#include "posix/libc.h"
#include "posix/posix.h"

/* Younger than some headers. */
#ifndef SO_RCVTIMEO_NEW
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67
#endif
#ifndef SO_RCVPRIORITY
#define SO_RCVPRIORITY 82
#endif
#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif
#ifndef TCP_RTO_MIN_US
#define TCP_RTO_MIN_US 45
#endif
#ifndef TCP_DELACK_MAX_US
#define TCP_DELACK_MAX_US 46
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#define SNDBUF_FACTOR  2    /* Linux doubles what is asked for, and tells the double */
#define CLAMP_LEAST    1152 /* Linux's least TCP_WINDOW_CLAMP: half of SOCK_MIN_RCVBUF */
#define MSS_OF_NO_PATH 536  /* what Linux tells where there is no connection */
#define OLD_BYTES      64   /* of a value that is put back */
#define CC_NAME_BYTES  16   /* TCP_CA_NAME_MAX */

/* ---- What is known of an option -------------------------------------------------------------- */

enum how {
	AS_NUMBER, /* an int, the same in the stack */
	AS_BOOL,   /* an int, 0 or not 0 */
	AS_HELD, /* an int, 0 or not 0, until the socket is bound; the kernel's socket remembers it */
	AS_NAME, /* of a congestion control: of those that the stack has the first four letters differ */
	AS_BUFFER, /* an int, SNDBUF_FACTOR times what the stack has; up to here value_of_new() is asked */
	AS_LINGER, /* struct linger */
	AS_TIME,   /* struct timeval, the file's */
	AS_RATE,   /* bytes per second, int or 64 bits; all ones: not bounded */
	AS_INQ,	   /* an int, 0 or not 0, the file's */
	/* From here on the kernel's socket tells the value. */
	AS_FASTOPEN, /* a listener's queue, where the system lets servers have it */
	DEVICE,	     /* fine as long as it is the stack's own, or none */
	REMEMBERED,  /* by the kernel, and without a meaning for TCP, or a hint */
	EARLY,	     /* as NEUTRAL before the socket is accelerated, afterwards without a meaning */
	NEUTRAL,     /* the same as long as the value is the one of a new socket */
	NONE,	     /* the same as long as there is nothing */
	REFUSED,     /* not in the stack */
};

struct option {
	int level, name;
	enum how how;
	enum mr_opt opt;
	bool replay; /* taken over from the kernel's socket when it is accelerated */
};

static const struct option options[] = {
	{ SOL_SOCKET, SO_KEEPALIVE, AS_BOOL, MR_OPT_KEEPALIVE, true },
	{ SOL_SOCKET, SO_OOBINLINE, AS_BOOL, MR_OPT_OOBINLINE, true },
	{ SOL_SOCKET, SO_LINGER, AS_LINGER, MR_OPT_LINGER, true },
	{ SOL_SOCKET, SO_SNDBUF, AS_BUFFER, MR_OPT_SNDBUF, true },
	{ SOL_SOCKET, SO_RCVBUF, AS_BUFFER, MR_OPT_RCVBUF, true },
	{ SOL_SOCKET, SO_SNDBUFFORCE, AS_BUFFER, MR_OPT_SNDBUF, false },
	{ SOL_SOCKET, SO_RCVBUFFORCE, AS_BUFFER, MR_OPT_RCVBUF, false },
	{ SOL_SOCKET, SO_RCVLOWAT, AS_NUMBER, MR_OPT_RCVLOWAT, true },
	{ SOL_SOCKET, SO_REUSEADDR, AS_HELD, MR_OPT_REUSEADDR, true },
	{ SOL_SOCKET, SO_REUSEPORT, AS_HELD, MR_OPT_REUSEPORT, true },
	{ SOL_SOCKET, SO_MAX_PACING_RATE, AS_RATE, MR_OPT_MAX_PACING_RATE, true },
	{ SOL_SOCKET, SO_RCVTIMEO_OLD, AS_TIME, 0, true },
	{ SOL_SOCKET, SO_SNDTIMEO_OLD, AS_TIME, 0, true },
	{ SOL_SOCKET, SO_RCVTIMEO_NEW, AS_TIME, 0, false },
	{ SOL_SOCKET, SO_SNDTIMEO_NEW, AS_TIME, 0, false },
	{ SOL_SOCKET, SO_DEBUG, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_BROADCAST, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_PRIORITY, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_BSDCOMPAT, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_NO_CHECK, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_PASSCRED, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_PASSSEC, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_BUSY_POLL, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_PREFER_BUSY_POLL, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_BUSY_POLL_BUDGET, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_INCOMING_CPU, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_SELECT_ERR_QUEUE, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_DETACH_FILTER, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_LOCK_FILTER, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_RXQ_OVFL, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_WIFI_STATUS, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_NOFCS, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_CNX_ADVICE, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_TXTIME, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_BUF_LOCK, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_RESERVE_MEM, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_TXREHASH, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_RCVMARK, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_RCVPRIORITY, REMEMBERED, 0, false },
	{ SOL_SOCKET, SO_BINDTODEVICE, DEVICE, 0, false },
	{ SOL_SOCKET, SO_BINDTOIFINDEX, DEVICE, 0, false },
	{ SOL_SOCKET, SO_ATTACH_FILTER, REFUSED, 0, false },
	{ SOL_SOCKET, SO_ATTACH_BPF, REFUSED, 0, false },
	{ SOL_SOCKET, SO_MARK, NEUTRAL, 0, false },
	{ SOL_SOCKET, SO_DONTROUTE, NEUTRAL, 0, false },
	{ SOL_SOCKET, SO_TIMESTAMP_OLD, NEUTRAL, 0, false },
	{ SOL_SOCKET, SO_TIMESTAMPNS_OLD, NEUTRAL, 0, false },
	{ SOL_SOCKET, SO_TIMESTAMPING_OLD, NEUTRAL, 0, false },
	{ SOL_SOCKET, SO_TIMESTAMP_NEW, NEUTRAL, 0, false },
	{ SOL_SOCKET, SO_TIMESTAMPNS_NEW, NEUTRAL, 0, false },
	{ SOL_SOCKET, SO_TIMESTAMPING_NEW, NEUTRAL, 0, false },
	{ SOL_SOCKET, SO_ZEROCOPY, NEUTRAL, 0, false },
	{ SOL_SOCKET, SO_PEEK_OFF, NEUTRAL, 0, false },
	{ IPPROTO_TCP, TCP_NODELAY, AS_BOOL, MR_OPT_NODELAY, true },
	{ IPPROTO_TCP, TCP_CORK, AS_BOOL, MR_OPT_CORK, true },
	{ IPPROTO_TCP, TCP_QUICKACK, AS_BOOL, MR_OPT_QUICKACK, false },
	{ IPPROTO_TCP, TCP_MAXSEG, AS_NUMBER, MR_OPT_MAXSEG, true },
	{ IPPROTO_TCP, TCP_KEEPIDLE, AS_NUMBER, MR_OPT_KEEPIDLE, true },
	{ IPPROTO_TCP, TCP_KEEPINTVL, AS_NUMBER, MR_OPT_KEEPINTVL, true },
	{ IPPROTO_TCP, TCP_KEEPCNT, AS_NUMBER, MR_OPT_KEEPCNT, true },
	{ IPPROTO_TCP, TCP_SYNCNT, AS_NUMBER, MR_OPT_SYNCNT, true },
	{ IPPROTO_TCP, TCP_LINGER2, AS_NUMBER, MR_OPT_LINGER2, true },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, AS_NUMBER, MR_OPT_DEFER_ACCEPT, true },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, AS_NUMBER, MR_OPT_WINDOW_CLAMP, true },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, AS_NUMBER, MR_OPT_USER_TIMEOUT, true },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, AS_NUMBER, MR_OPT_NOTSENT_LOWAT, true },
	{ IPPROTO_TCP, TCP_CONGESTION, AS_NAME, MR_OPT_CONGESTION, true },
	{ IPPROTO_TCP, TCP_FASTOPEN, AS_FASTOPEN, MR_OPT_FASTOPEN, true },
	{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, AS_BOOL, MR_OPT_FASTOPEN_CONNECT, true },
	{ IPPROTO_TCP, TCP_FASTOPEN_KEY, REMEMBERED, 0, false },
	{ IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, REMEMBERED, 0, false },
	{ IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, REMEMBERED, 0, false },
	{ IPPROTO_TCP, TCP_THIN_DUPACK, REMEMBERED, 0, false },
	{ IPPROTO_TCP, TCP_INQ, AS_INQ, 0, true },
	{ IPPROTO_TCP, TCP_REPAIR, NEUTRAL, 0, false },
	{ IPPROTO_TCP, TCP_SAVE_SYN, NEUTRAL, 0, false },
	{ IPPROTO_TCP, TCP_TX_DELAY, NEUTRAL, 0, false },
	{ IPPROTO_TCP, TCP_RTO_MAX_MS, NEUTRAL, 0, false },
	{ IPPROTO_TCP, TCP_RTO_MIN_US, NEUTRAL, 0, false },
	{ IPPROTO_TCP, TCP_DELACK_MAX_US, NEUTRAL, 0, false },
	{ IPPROTO_IP, IP_TOS, AS_NUMBER, MR_OPT_TOS, true },
	{ IPPROTO_IP, IP_TTL, AS_NUMBER, MR_OPT_TTL, true },
	{ IPPROTO_IP, IP_RECVTTL, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_RECVTOS, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_RECVOPTS, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_RETOPTS, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_PKTINFO, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_PASSSEC, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_ORIGDSTADDR, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_CHECKSUM, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_RECVFRAGSIZE, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_FREEBIND, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_MULTICAST_TTL, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_MULTICAST_IF, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_MULTICAST_ALL, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_ADD_MEMBERSHIP, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_DROP_MEMBERSHIP, REMEMBERED, 0, false },
	{ IPPROTO_IP, IP_LOCAL_PORT_RANGE, EARLY, 0, false },
	{ IPPROTO_IP, IP_UNICAST_IF, NEUTRAL, 0, false },
	{ IPPROTO_IP, IP_OPTIONS, NONE, 0, false },
	{ IPPROTO_IP, IP_RECVERR, NEUTRAL, 0, false },
	{ IPPROTO_IP, IP_RECVERR_RFC4884, NEUTRAL, 0, false },
	{ IPPROTO_IP, IP_TRANSPARENT, NEUTRAL, 0, false },
	{ IPPROTO_IP, IP_MTU_DISCOVER, NEUTRAL, 0, false },
	{ IPPROTO_IP, IP_MINTTL, NEUTRAL, 0, false },
	{ IPPROTO_IPV6, IPV6_V6ONLY, AS_BOOL, MR_OPT_V6ONLY, true },
	{ IPPROTO_IPV6, IPV6_TCLASS, AS_NUMBER, MR_OPT_TOS, true },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, AS_NUMBER, MR_OPT_TTL, true },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_2292PKTINFO, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_2292HOPLIMIT, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVRTHDR, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_2292RTHDR, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVHOPOPTS, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_2292HOPOPTS, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVDSTOPTS, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_2292DSTOPTS, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVPATHMTU, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVFRAGSIZE, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_ROUTER_ALERT_ISOLATE, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_FLOWINFO, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_DONTFRAG, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_MULTICAST_IF, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_MULTICAST_ALL, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_FREEBIND, REMEMBERED, 0, false },
	{ IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, EARLY, 0, false },
	{ IPPROTO_IPV6, IPV6_UNICAST_IF, NEUTRAL, 0, false },
	{ IPPROTO_IPV6, IPV6_FLOWINFO_SEND, NEUTRAL, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVERR, NEUTRAL, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVERR_RFC4884, NEUTRAL, 0, false },
	{ IPPROTO_IPV6, IPV6_TRANSPARENT, NEUTRAL, 0, false },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, NEUTRAL, 0, false },
	{ IPPROTO_IPV6, IPV6_MTU, NEUTRAL, 0, false },
	{ IPPROTO_IPV6, IPV6_MINHOPCOUNT, NEUTRAL, 0, false },
};

static const struct option *find_option(int level, int name)
{
	for (size_t i = 0; i < MR_ARRAY_SIZE(options); i++)
		if (options[i].level == level && options[i].name == name)
			return &options[i];
	return NULL;
}

/* The value that a new socket of the kernel has; asked of one, once for each option. -1: unknown. */
static int64_t value_of_new(int family, const struct option *o)
{
	static int64_t cache[2][MR_ARRAY_SIZE(options)]; /* 1 + the value; 0: not asked yet */
	int64_t *at = &cache[family == AF_INET6][o - options];
	int64_t known = __atomic_load_n(at, __ATOMIC_RELAXED);
	socklen_t len = sizeof(int);
	int fd, value = -2;

	if (known)
		return known - 1;
	fd = REAL(socket)(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -1;
	if (REAL(getsockopt)(fd, o->level, o->name, &value, &len) < 0)
		value = -2;
	libc_close(fd);
	__atomic_store_n(at, (int64_t)value + 1, __ATOMIC_RELAXED);
	return value;
}

static bool kernel_value(int fd, const struct option *o, int *value)
{
	socklen_t len = sizeof(*value);

	*value = 0;
	return !REAL(getsockopt)(fd, o->level, o->name, value, &len) && len == sizeof(*value);
}

/* ---- Into the stack -------------------------------------------------------------------------- */

static int congestion_index(const char *name)
{
	return mr_congestion_index(congestion_ours(name));
}

static int set_name(struct mr_file *f, const void *val, socklen_t len)
{
	char name[CC_NAME_BYTES] = { 0 };
	int64_t now = -1;
	int index;

	memcpy(name, val, mr_min((size_t)len, sizeof(name) - 1));
	index = congestion_index(name);
	if (index < 0)
		return -ENOENT;
	mr_get_option(f->sock, MR_OPT_CONGESTION, &now);
	/* It cannot be changed any more: refused as an algorithm that this user may not have. */
	return index == now || !mr_set_option(f->sock, MR_OPT_CONGESTION, index) ? 0 : -EPERM;
}

static int set_linger(struct mr_file *f, const void *val)
{
	struct linger l;

	memcpy(&l, val, sizeof(l));
	return mr_set_option(f->sock, MR_OPT_LINGER, l.l_onoff ? mr_min(l.l_linger, 65535) : -1);
}

/* The kernel has checked it. */
static void set_time(struct mr_file *f, int name, const void *val)
{
	/* struct timeval, and the kernel's with 64 bits: the same on 64-bit machines. */
	int64_t tv[2];
	uint64_t ns;

	_Static_assert(sizeof(tv) == sizeof(struct timeval), "SO_RCVTIMEO_OLD and _NEW agree");
	memcpy(tv, val, sizeof(tv));
	if (tv[0] < 0 || (uint64_t)tv[0] > INT32_MAX)
		ns = tv[0] < 0 ?
			     1 :
			     0; /* as Linux: a negative time does not wait; a long one is for ever */
	else
		ns = (uint64_t)tv[0] * MR_NS_PER_S + (uint64_t)tv[1] * MR_NS_PER_US;
	if (name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW)
		f->rcv_ns = ns;
	else
		f->snd_ns = ns;
}

static int set_rate(struct mr_file *f, const void *val, socklen_t len)
{
	uint64_t rate = 0;
	bool none;

	memcpy(&rate, val, len >= sizeof(rate) ? sizeof(rate) : sizeof(uint32_t));
	none = rate == (len >= sizeof(rate) ? UINT64_MAX : UINT32_MAX);
	return mr_set_option(f->sock, MR_OPT_MAX_PACING_RATE,
			     none ? 0 : (int64_t)(rate & INT64_MAX));
}

/* IP options may come as one byte. */
static int number(const void *val, socklen_t len)
{
	int value = 0;

	if (len >= sizeof(value))
		memcpy(&value, val, sizeof(value));
	else if (len)
		value = *(const uint8_t *)val;
	return value;
}

static int set_buffer(struct mr_file *f, int fd, const struct option *o)
{
	const struct option *told =
		find_option(SOL_SOCKET, o->opt == MR_OPT_SNDBUF ? SO_SNDBUF : SO_RCVBUF);
	int value;

	if (!kernel_value(fd, told, &value))
		return -errno;
	/* What is too much for the stack is bounded, as the kernel bounds it by net.core.*mem_max. */
	return mr_set_option(f->sock, o->opt,
			     mr_max(2048, mr_min(value / SNDBUF_FACTOR, 16 << 20)));
}

/* Values out of range that Linux takes for the nearest one, or for a default. */
static int as_linux_takes(enum mr_opt opt, int value)
{
	switch (opt) {
	case MR_OPT_RCVLOWAT:
		return value < 0 ? INT32_MAX : value ?: 1;
	case MR_OPT_LINGER2:
		return value < 0 ? -1 : mr_min(value, 120);
	case MR_OPT_TOS:
		return value < 0 ? -1 : value & ~3; /* the ECN bits are TCP's */
	case MR_OPT_WINDOW_CLAMP:
		return value ? mr_max(value, CLAMP_LEAST) : 0;
	default:
		return value;
	}
}

static int set_fastopen(struct mr_file *f, int queue)
{
	int fd = (int)REAL(syscall)(SYS_openat, AT_FDCWD, "/proc/sys/net/ipv4/tcp_fastopen",
				    O_RDONLY | O_CLOEXEC);
	char text[16] = "";
	const long servers = 2;

	if (fd >= 0) {
		if (libc_read(fd, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
		libc_close(fd);
	}
	if (strtol(text, NULL, 10) & servers)
		return mr_set_option(f->sock, MR_OPT_FASTOPEN, mr_max(0, mr_min(queue, 65535)));
	return 0;
}

/* Empty or 0 takes the binding away. */
static bool is_our_device(int name, const void *val, socklen_t len)
{
	const char *ifname = mr_share_engine(px_share)->ifname;
	char device[16] = "";
	int index;

	if (name == SO_BINDTOIFINDEX) {
		index = number(val, len);
		return !index || (index > 0 && (unsigned)index == if_nametoindex(ifname));
	}
	memcpy(device, val, mr_min((size_t)len, sizeof(device) - 1));
	return !*device || !strcmp(device, ifname);
}

/* What is accepted tells what its listener had. */
static uint8_t held_bit(const struct option *o)
{
	return o->name == SO_REUSEADDR ? 1 : 2;
}

/* val was taken by the kernel's socket. */
static int apply(struct mr_file *f, int fd, const struct option *o, const void *val, socklen_t len)
{
	int value;

	switch (o->how) {
	case AS_NUMBER:
		return mr_set_option(f->sock, o->opt, as_linux_takes(o->opt, number(val, len)));
	case AS_HELD:
		/* Of no effect any more where the socket is bound; told as the kernel's socket has it. */
		if (number(val, len))
			f->held |= held_bit(o);
		else
			f->held &= (uint8_t)~held_bit(o);
		mr_set_option(f->sock, o->opt, number(val, len) != 0);
		return 0;
	case AS_BOOL:
		return mr_set_option(f->sock, o->opt, number(val, len) != 0);
	case AS_BUFFER:
		return set_buffer(f, fd, o);
	case AS_LINGER:
		return set_linger(f, val);
	case AS_NAME:
		return set_name(f, val, len);
	case AS_TIME:
		set_time(f, o->name, val);
		return 0;
	case AS_RATE:
		return set_rate(f, val, len);
	case AS_INQ:
		f->inq = number(val, len) != 0;
		return 0;
	case AS_FASTOPEN:
		return set_fastopen(f, number(val, len));
	case DEVICE:
		return is_our_device(o->name, val, len) ? 0 : -ENOPROTOOPT;
	case REMEMBERED:
	case EARLY:
		return 0;
	case NEUTRAL:
		if (kernel_value(fd, o, &value) && value == value_of_new(f->family, o))
			return 0;
		break;
	case NONE:
		if (!len)
			return 0;
		break;
	case REFUSED:
		break;
	}
	return -ENOPROTOOPT;
}

/* ---- Before a socket is accelerated ---------------------------------------------------------- */

static bool set_by_program(int fd, int family, const struct option *o)
{
	int value;

	return kernel_value(fd, o, &value) && value != value_of_new(family, o);
}

static void take_one(int fd, struct mr_file *f, const struct option *o)
{
	union {
		int number;
		char name[16];
		struct linger linger;
		struct timeval time;
		uint64_t rate;
	} value = { 0 };
	socklen_t len = sizeof(value);

	if (o->how <= AS_BUFFER && !set_by_program(fd, f->family, o))
		return;
	if (REAL(getsockopt)(fd, o->level, o->name, &value, &len) < 0)
		return;
	if (o->how == AS_NAME && congestion_index(value.name) < 0)
		return; /* the kernel's default may be one that the stack does not have */
	apply(f, fd, o, &value, len);
}

/* Everything was asked of a fresh socket of this family, and nothing kept it with the kernel. So it is with all: what
 * is not set on them is as it was (a control group may set options of every new socket, as for a VRF). */
static bool plain[2]; /* [AF_INET6] */

static bool is_plain(int family)
{
	return family && __atomic_load_n(&plain[family == AF_INET6], __ATOMIC_RELAXED);
}

/* The options that were set, and the congestion control, which is the system's. */
static void take_of_plain(int fd, struct mr_file *f)
{
	const uint8_t *set;
	int n = early_options(fd, &set);

	take_one(fd, f, find_option(IPPROTO_TCP, TCP_CONGESTION));
	for (int i = 0; i < n; i++)
		if (options[set[i]].replay)
			take_one(fd, f, &options[set[i]]);
}

void opt_take(int fd, struct mr_file *f)
{
	if (is_plain(early_family(fd))) {
		take_of_plain(fd, f);
		return;
	}
	for (size_t i = 0; i < MR_ARRAY_SIZE(options); i++)
		if (options[i].replay &&
		    (options[i].level != IPPROTO_IPV6 || f->family == AF_INET6))
			take_one(fd, f, &options[i]);
}

/* What the kernel can tell of an option that keeps a socket with it. */
static bool keeps_with_kernel(int fd, int family, const struct option *o)
{
	char text[64];
	socklen_t len = sizeof(text);
	bool told;

	if (o->level == IPPROTO_IPV6 && family != AF_INET6)
		return false;
	switch (o->how) {
	case NEUTRAL:
	case EARLY:
		return set_by_program(fd, family, o);
	case NONE:
	case DEVICE:
		told = !REAL(getsockopt)(fd, o->level, o->name, text, &len) && len;
		return told && (o->how == NONE || !is_our_device(o->name, text, len));
	case REFUSED:
		/* SO_GET_FILTER has the same number: how many instructions, -EACCES where it is no classic one. */
		if (o->name != SO_ATTACH_FILTER)
			return false;
		len = 0;
		return REAL(getsockopt)(fd, o->level, o->name, NULL, &len) ? errno == EACCES :
									     len != 0;
	default:
		return false;
	}
}

static enum mr_reason reason_of(int level, int name)
{
	static const struct {
		int level, name;
		enum mr_reason reason;
	} reasons[] = {
		{ SOL_SOCKET, SO_BINDTODEVICE, REASON_BOUND_DEVICE },
		{ SOL_SOCKET, SO_BINDTOIFINDEX, REASON_BOUND_DEVICE },
		{ SOL_SOCKET, SO_ATTACH_FILTER, REASON_FILTER },
		{ SOL_SOCKET, SO_ATTACH_BPF, REASON_FILTER },
		{ SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, REASON_FILTER },
		{ SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, REASON_FILTER },
		{ SOL_SOCKET, SO_MARK, REASON_MARK },
		{ SOL_SOCKET, SO_TIMESTAMP_OLD, REASON_TIMESTAMPS },
		{ SOL_SOCKET, SO_TIMESTAMPNS_OLD, REASON_TIMESTAMPS },
		{ SOL_SOCKET, SO_TIMESTAMPING_OLD, REASON_TIMESTAMPS },
		{ SOL_SOCKET, SO_ZEROCOPY, REASON_ZEROCOPY },
		{ IPPROTO_TCP, TCP_MD5SIG, REASON_SIGNED },
		{ IPPROTO_TCP, TCP_MD5SIG_EXT, REASON_SIGNED },
		{ IPPROTO_TCP, TCP_REPAIR, REASON_REPAIR },
		{ IPPROTO_IP, IP_TRANSPARENT, REASON_TRANSPARENT },
		{ IPPROTO_IPV6, IPV6_TRANSPARENT, REASON_TRANSPARENT },
		{ IPPROTO_IP, IP_OPTIONS, REASON_IP_OPTIONS },
	};

	for (size_t i = 0; i < MR_ARRAY_SIZE(reasons); i++)
		if (reasons[i].level == level && reasons[i].name == name)
			return reasons[i].reason;
	return REASON_OPTION;
}

static bool refused_by(int fd, int family, size_t option, enum mr_reason *reason)
{
	if (!keeps_with_kernel(fd, family, &options[option]))
		return false;
	*reason = reason_of(options[option].level, options[option].name);
	return true;
}

bool opt_refuses(int fd, enum mr_reason *reason)
{
	int family = early_family(fd);
	bool is_fresh = family;
	const uint8_t *set;
	int n;

	*reason = early_kept(fd);
	if (*reason)
		return true;
	if (is_plain(family)) {
		n = early_options(fd, &set);
		for (int i = 0; i < n; i++)
			if (refused_by(fd, family, set[i], reason))
				return true;
		return false;
	}
	family = family ?: kernel_option(fd, SO_DOMAIN);
	for (size_t i = 0; i < MR_ARRAY_SIZE(options); i++)
		if (refused_by(fd, family, i, reason))
			return true;
	if (is_fresh)
		__atomic_store_n(&plain[family == AF_INET6], true, __ATOMIC_RELAXED);
	return false;
}

_Static_assert(MR_ARRAY_SIZE(options) <= UINT8_MAX, "early_option() takes a byte");

/* An option that was set on a socket which is the kernel's yet, and that nobody can be asked for later. */
static void set_early(int fd, int level, int name)
{
	const struct option *o = find_option(level, name);

	if (o)
		early_option(fd, (uint8_t)(o - options));
	if (level == SOL_SOCKET && name == SO_DETACH_FILTER)
		early_keep(fd, REASON_NONE);
	else if (!o || o->how == REFUSED)
		early_keep(fd, reason_of(level, name));
}

/* ---- From a listener to what it accepts ------------------------------------------------------- */

/* The stack's sockets inherit by themselves; what only the kernel remembers is passed on here. */
static bool is_inherited(const struct option *o)
{
	bool never = o->level == SOL_SOCKET && o->name == SO_PRIORITY; /* nor with the kernel */

	return !never && (o->how == REMEMBERED || o->how == EARLY || o->how == AS_BUFFER);
}

_Static_assert(MR_ARRAY_SIZE(options) <= 8 * sizeof(((struct mr_file *)0)->inherited),
	       "a bit for each option");

static void mark_inherited(struct mr_file *f, const struct option *o)
{
	size_t i = (size_t)(o - options);

	f->inherited[i / 64] |= 1ull << i % 64;
}

void opt_listener(int fd, struct mr_file *f)
{
	for (size_t i = 0; i < MR_ARRAY_SIZE(options); i++)
		if (is_inherited(&options[i]) &&
		    (options[i].level != IPPROTO_IPV6 || f->family == AF_INET6) &&
		    set_by_program(fd, f->family, &options[i]))
			mark_inherited(f, &options[i]);
}

void opt_inherit(int from, const struct mr_file *listener, int to)
{
	for (size_t word = 0; word < MR_ARRAY_SIZE(listener->inherited); word++) {
		for (uint64_t bits = listener->inherited[word]; bits; bits &= bits - 1) {
			const struct option *o =
				&options[word * 64 + (size_t)__builtin_ctzll(bits)];
			int value;

			if (!kernel_value(from, o, &value))
				continue;
			if (stand_apart(to))
				return;
			if (o->how == AS_BUFFER)
				value /= SNDBUF_FACTOR;
			REAL(setsockopt)(to, o->level, o->name, &value, sizeof(value));
		}
	}
}

/* ---- setsockopt ------------------------------------------------------------------------------ */

/* Options that Linux takes of a socket without a connection only: the kernel's socket never has one. */
static bool too_late(const struct mr_file *f, int level, int name)
{
	return level == IPPROTO_TCP && f->sock->tcb &&
	       (name == TCP_FASTOPEN || name == TCP_FASTOPEN_CONNECT ||
		name == TCP_FASTOPEN_NO_COOKIE);
}

/* A switch of the connection's that the kernel takes with any number: its own socket need not know. (A listener's
 * does: there are connections that the kernel accepts.) */
static bool is_switch(const struct mr_file *f, const struct option *o, const void *val,
		      socklen_t len)
{
	return o && o->how == AS_BOOL && val && len <= INT_MAX && len >= sizeof(int) &&
	       f->sock->kind == MR_SOCK_STREAM && f->sock->tcb &&
	       (o->opt == MR_OPT_NODELAY || o->opt == MR_OPT_CORK || o->opt == MR_OPT_QUICKACK ||
		o->opt == MR_OPT_KEEPALIVE);
}

static int set(int fd, struct mr_file *f, int level, int name, const void *val, socklen_t len)
{
	const struct option *o = find_option(level, name);
	uint8_t old[OLD_BYTES];
	socklen_t old_len = sizeof(old);
	bool undo = o && (o->how == NEUTRAL || o->how == NONE || o->how == DEVICE) &&
		    !REAL(getsockopt)(fd, level, name, old, &old_len);
	int ret;

	if (is_switch(f, o, val, len))
		return apply(f, fd, o, val, len);
	if (level == IPPROTO_TCP && name == TCP_ULP) /* as a kernel without the module answers */
		return -ENOENT;
	if (too_late(f, level, name))
		return -EINVAL;
	ret = stand_apart(fd);
	if (ret)
		return ret;
	if (REAL(setsockopt)(fd, level, name, val, len) < 0)
		return -errno;
	ret = o ? apply(f, fd, o, val, len) : -ENOPROTOOPT;
	if (ret != -ENOPROTOOPT) {
		if (!ret && o && is_inherited(o))
			mark_inherited(f, o);
		return ret;
	}
	if (undo)
		REAL(setsockopt)(fd, level, name, old, old_len);
	else if (level == SOL_SOCKET && (name == SO_ATTACH_FILTER || name == SO_ATTACH_BPF))
		REAL(setsockopt)(fd, level, SO_DETACH_FILTER, old, sizeof(int));
	mr_share_log(px_share, LOG_WARNING,
		     "option %d of level %d was set on an accelerated socket and refused", name,
		     level);
	return ret;
}

PUBLIC int setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	struct mr_file *f = fd_ours(fd) ? fd_get(fd) : NULL;
	int ret;

	if (!f) {
		ret = REAL(setsockopt)(fd, level, name, val, len);
		if (!ret && early_known(fd))
			set_early(fd, level, name);
		return ret;
	}
	ret = set(fd, f, level, name, val, len);
	fd_done();
	return (int)px_result(ret);
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

	/* The IP options of old were bytes: who has room for one only gets one. */
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
		if (!value && !(f->held & held_bit(o)))
			kernel_value(fd, o, &kernel);
		return give_int(value || f->held & held_bit(o) || kernel, o->level, val, len);
	case AS_BUFFER:
		/* What the program asked for is told as the kernel rounds it. */
		if (set_by_program(fd, f->family, o) && kernel_value(fd, o, &kernel))
			return give_int(kernel, o->level, val, len);
		return give_int((int)value * SNDBUF_FACTOR, o->level, val, len);
	case AS_RATE:
		value = value ?: (*len >= sizeof(value) ? -1 : (int64_t)UINT32_MAX);
		return give(&value, *len >= sizeof(value) ? sizeof(value) : sizeof(int), val, len);
	default:
		return give_int((int)value, o->level, val, len);
	}
}

/* All of it, or nothing. */
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

/* Options that are only told, and ones whose value is more than what was set. Positive: none. */
static int give_state(struct mr_file *f, int level, int name, void *val, socklen_t *len)
{
	struct mr_sock_info info;
	int64_t mss;
	struct {
		struct sockaddr_in6 addr;
		uint32_t mtu;
	} path = { 0 }; /* struct ip6_mtuinfo */
	uint8_t tcpi[sizeof(struct tcp_info)];

	if (level == SOL_SOCKET && name == SO_ERROR)
		return give_int(-mr_sock_error(f->sock), level, val, len);
	if (level == SOL_SOCKET && name == SO_ACCEPTCONN)
		return give_int(f->sock->kind == MR_SOCK_LISTENER, level, val, len);
	if (level == IPPROTO_TCP && name == TCP_INFO) {
		memset(tcpi, 0, sizeof(tcpi));
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
	/* As a kernel without it: the program reads by recv(). */
	if (level == IPPROTO_TCP && name == TCP_ZEROCOPY_RECEIVE)
		return -ENOPROTOOPT;
	if (level == SOL_SOCKET && name == SO_PEERNAME)
		return give_peer(f, val, len);
	return 1;
}

static int get(int fd, struct mr_file *f, int level, int name, void *val, socklen_t *len)
{
	const struct option *o = find_option(level, name);
	int ret;

	if (!val || !len)
		return -EFAULT;
	ret = give_state(f, level, name, val, len);
	if (ret <= 0)
		return ret;
	if (o && o->how <= AS_INQ &&
	    (o->how != AS_BUFFER || o->replay)) /* SO_SNDBUFFORCE tells nothing */
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
	ret = get(fd, f, level, name, val, len);
	fd_done();
	return (int)px_result(ret);
}
