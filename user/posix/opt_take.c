// SPDX-License-Identifier: BSD-2-Clause
/*
 * opt_take.c - options when a socket is accelerated: which are taken over, which prevent it, and what accepted
 * connections inherit.
 * Owns        which options keep a socket with the kernel, and the reason that is recorded.
 * Called by   listen(), connect() and accept(); setsockopt() on a socket that is not accelerated yet.
 */
#include <errno.h>
#include <string.h>
#include "base/compiler.h"
#include "posix/libc.h"
#include "posix/opt_priv.h"

/* ---- Before a socket is accelerated ---------------------------------------------------------- */

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

	if (o->how <= AS_BUFFER && !opt_set_by_program(fd, f->family, o))
		return;
	if (REAL(getsockopt)(fd, o->level, o->name, &value, &len) < 0)
		return;
	if (o->how == AS_NAME && opt_congestion(value.name) < 0)
		return; /* the kernel's default may be unknown to the stack */
	opt_apply(f, fd, o, &value, len);
}

/* All options of a fresh socket of this family were read, and none prevented acceleration. That holds for all fresh
 * sockets, except for options that were set since (a control group may set options of every new socket, as for a
 * VRF). */
static bool plain[2]; /* [AF_INET6] */

static bool is_plain(int family)
{
	return family && __atomic_load_n(&plain[family == AF_INET6], __ATOMIC_RELAXED);
}

/* Take over the options that were set, and the congestion control, whose default is the system's. */
static void take_of_plain(int fd, struct mr_file *f)
{
	const uint8_t *set;
	int n = early_options(fd, &set);

	take_one(fd, f, opt_find(IPPROTO_TCP, TCP_CONGESTION));
	for (int i = 0; i < n; i++)
		if (opt_table[set[i]].replay)
			take_one(fd, f, &opt_table[set[i]]);
}

void opt_take(int fd, struct mr_file *f)
{
	if (is_plain(early_family(fd))) {
		take_of_plain(fd, f);
		return;
	}
	for (size_t i = 0; i < opt_count; i++)
		if (opt_table[i].replay &&
		    (opt_table[i].level != IPPROTO_IPV6 || f->family == AF_INET6))
			take_one(fd, f, &opt_table[i]);
}

/* Is an option set in the kernel that keeps the socket there? */
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
		return opt_set_by_program(fd, family, o);
	case NONE:
	case DEVICE:
		told = !REAL(getsockopt)(fd, o->level, o->name, text, &len) && len;
		return told && (o->how == NONE || !opt_our_device(o->name, text, len));
	case REFUSED:
		/* SO_GET_FILTER has the same number: it returns the number of instructions, or -EACCES if it is no
		 * classic filter. */
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
	if (!keeps_with_kernel(fd, family, &opt_table[option]))
		return false;
	*reason = reason_of(opt_table[option].level, opt_table[option].name);
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
	for (size_t i = 0; i < opt_count; i++)
		if (refused_by(fd, family, i, reason))
			return true;
	if (is_fresh)
		__atomic_store_n(&plain[family == AF_INET6], true, __ATOMIC_RELAXED);
	return false;
}

void opt_set_early(int fd, int level, int name)
{
	const struct option *o = opt_find(level, name);

	if (o)
		early_option(fd, (uint8_t)(o - opt_table));
	if (level == SOL_SOCKET && name == SO_DETACH_FILTER)
		early_keep(fd, REASON_NONE);
	else if (!o || o->how == REFUSED)
		early_keep(fd, reason_of(level, name));
}

/* ---- From a listener to what it accepts ------------------------------------------------------- */

/* Sockets of the stack inherit by themselves; this is for options that only the kernel socket has. */
bool opt_is_inherited(const struct option *o)
{
	/* The kernel does not, either. */
	bool never = o->level == SOL_SOCKET && o->name == SO_PRIORITY;

	return !never && (o->how == REMEMBERED || o->how == EARLY || o->how == AS_BUFFER);
}

void opt_mark_inherited(struct mr_file *f, const struct option *o)
{
	size_t i = (size_t)(o - opt_table);

	f->inherited[i / 64] |= 1ull << i % 64;
}

void opt_listener(int fd, struct mr_file *f)
{
	for (size_t i = 0; i < opt_count; i++)
		if (opt_is_inherited(&opt_table[i]) &&
		    (opt_table[i].level != IPPROTO_IPV6 || f->family == AF_INET6) &&
		    opt_set_by_program(fd, f->family, &opt_table[i]))
			opt_mark_inherited(f, &opt_table[i]);
}

void opt_inherit(int from, const struct mr_file *listener, int to)
{
	for (size_t word = 0; word < MR_ARRAY_SIZE(listener->inherited); word++) {
		for (uint64_t bits = listener->inherited[word]; bits; bits &= bits - 1) {
			const struct option *o =
				&opt_table[word * 64 + (size_t)__builtin_ctzll(bits)];
			int value;

			if (!opt_kernel_value(from, o, &value))
				continue;
			if (stand_apart(to))
				return;
			if (o->how == AS_BUFFER)
				value /= SNDBUF_FACTOR;
			REAL(setsockopt)(to, o->level, o->name, &value, sizeof(value));
		}
	}
}
