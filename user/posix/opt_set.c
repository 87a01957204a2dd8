// SPDX-License-Identifier: BSD-2-Clause
/*
 * opt_set.c - applies an option that the kernel socket has accepted in the stack.
 * Owns        the conversion of Linux's values into those of mr_set_option(), or fields of the file.
 * Called by   setsockopt() (opt.c), and when a socket is accelerated (opt_take.c).
 */
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix/congestion.h"
#include "posix/libc.h"
#include "posix/opt_priv.h"

#define CLAMP_LEAST 1152 /* Linux's smallest TCP_WINDOW_CLAMP: half of SOCK_MIN_RCVBUF */

int opt_congestion(const char *name)
{
	return mr_congestion_index(congestion_ours(name));
}

static int set_name(struct mr_file *f, const void *val, socklen_t len)
{
	char name[CC_NAME_BYTES] = { 0 };
	int64_t now = -1;
	int index;

	memcpy(name, val, mr_min((size_t)len, sizeof(name) - 1));
	index = opt_congestion(name);
	if (index < 0)
		return -ENOENT;
	mr_get_option(f->sock, MR_OPT_CONGESTION, &now);
	/* It cannot be changed any more: refuse it as an algorithm that this user may not use. */
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
			     /* As Linux: with a negative time the call does not wait; a long one is no timeout. */
			     0;
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
		opt_find(SOL_SOCKET, o->opt == MR_OPT_SNDBUF ? SO_SNDBUF : SO_RCVBUF);
	int value;

	if (!opt_kernel_value(fd, told, &value))
		return -errno;
	/* Values too large for the stack are limited, as the kernel limits them to net.core.*mem_max. */
	return mr_set_option(f->sock, o->opt,
			     mr_max(2048, mr_min(value / SNDBUF_FACTOR, 16 << 20)));
}

/* Values out of range for which Linux takes the nearest valid one, or a default. */
static int64_t as_linux_takes(enum mr_opt opt, int value)
{
	switch (opt) {
	case MR_OPT_NOTSENT_LOWAT:
		return (uint32_t)value;
	case MR_OPT_RCVLOWAT:
		return value < 0 ? INT32_MAX : value ?: 1;
	case MR_OPT_LINGER2:
		return value < 0 ? -1 : mr_min(value, 120);
	case MR_OPT_TOS:
		return value < 0 ? -1 : value & ~3; /* TCP sets the ECN bits */
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

/* Empty, or 0, removes the binding. */
bool opt_our_device(int name, const void *val, socklen_t len)
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

int opt_apply(struct mr_file *f, int fd, const struct option *o, const void *val, socklen_t len)
{
	int value;

	switch (o->how) {
	case AS_NUMBER:
		if (o->opt == MR_OPT_MAXSEG && f->sock->tcb) /* accepted, without effect */
			return 0;
		return mr_set_option(f->sock, o->opt, as_linux_takes(o->opt, number(val, len)));
	case AS_HELD:
		/* It has no effect if the socket is bound; getsockopt() returns the kernel socket's value. */
		if (number(val, len))
			f->held |= opt_held_bit(o);
		else
			f->held &= (uint8_t)~opt_held_bit(o);
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
		return opt_our_device(o->name, val, len) ? 0 : -ENOPROTOOPT;
	case REMEMBERED:
	case EARLY:
		return 0;
	case NEUTRAL:
		if (opt_kernel_value(fd, o, &value) && value == opt_value_of_new(f->family, o))
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
