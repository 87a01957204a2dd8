/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror.h - what the kernel knows of an interface and of the ways out of it, over rtnetlink, live:
 * addresses, the routes of tables main and local, neighbours.
 *
 * One descriptor to poll. mr_mirror_read() takes the messages, asks anew for what they concern, and
 * says what is another now; the caller then carries that over to where it is used. Messages about
 * addresses and routes only say that something happened: what is there now is asked for (the kernel
 * does not tell of every route that goes with a link or an address). So lost messages cost nothing
 * but the same question.
 *
 * Process-local; one thread at a time. Nothing here waits for anybody but the kernel's answer.
 */
#ifndef MR_KERNEL_MIRROR_H
#define MR_KERNEL_MIRROR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"

struct mr_mirror;

struct mr_mirror_addr {
	struct mr_prefix prefix; /* the address with the length of its on-link prefix */
	bool secondary;		 /* IPv4: not to be chosen as a source */
	bool temporary;		 /* IPv6 (RFC 8981) */
	bool deprecated;
};

enum mr_mirror_kind {
	MR_MIRROR_UNICAST,
	MR_MIRROR_LOCAL,       /* an address of this host */
	MR_MIRROR_BROADCAST,   /* or multicast, anycast: no destination of TCP */
	MR_MIRROR_UNREACHABLE, /* unreachable, prohibit, blackhole */
};

struct mr_mirror_route {
	struct mr_prefix dst;
	struct mr_addr gateway; /* any: on-link */
	struct mr_addr src;	/* preferred source; any: not said */
	uint32_t metric;	/* lower is better */
	uint32_t mtu;		/* 0: not said */
	int oif;		/* interface; 0: none (kinds other than unicast) */
	uint8_t kind;		/* enum mr_mirror_kind */
	uint8_t pref;		/* RFC 4191: 0 low, 1 medium, 2 high */
};

/* Everything that is there now, until the next mr_mirror_read(). */
struct mr_mirror_view {
	const struct mr_mirror_addr *addrs; /* of the interface, those that may be used */
	unsigned naddrs;
	const struct mr_mirror_route *routes; /* of all interfaces; link-local ones of this one */
	unsigned nroutes;
	bool rules;	       /* there are policy rules beside the three of every system */
	bool prefer_temporary; /* net.ipv6.conf.*.use_tempaddr is 2 */
	uint32_t mtu6; /* of IPv6 on the interface, by router advertisements; 0: not known */
};

enum mr_mirror_nud {
	MR_MIRROR_NUD_NONE, /* the kernel has no entry */
	MR_MIRROR_NUD_INCOMPLETE,
	MR_MIRROR_NUD_REACHABLE, /* also PERMANENT and NOARP */
	MR_MIRROR_NUD_STALE,
	MR_MIRROR_NUD_DELAY,
	MR_MIRROR_NUD_PROBE,
	MR_MIRROR_NUD_FAILED,
};

struct mr_mirror_neigh {
	struct mr_addr addr;
	uint8_t mac[6];
	enum mr_mirror_nud nud;
};

struct mr_error;

/* Listen, and ask for everything once. On failure *out is NULL and *err says why. */
int mr_mirror_open(struct mr_mirror **out, int ifindex, struct mr_error *err);
void mr_mirror_close(struct mr_mirror *m);

int mr_mirror_fd(const struct mr_mirror *m); /* readable: mr_mirror_read() is due */

#define MR_MIRROR_VIEW	 0x1u /* mr_mirror_view() is another one */
#define MR_MIRROR_NEIGHS 0x2u /* mr_mirror_next_neigh() has something */
#define MR_MIRROR_LOST	 0x4u /* news of neighbours were lost: ask for those that matter */

/* Take what has come. MR_MIRROR_* or, when the kernel does not answer any more, a negative errno. */
int mr_mirror_read(struct mr_mirror *m);

void mr_mirror_view(const struct mr_mirror *m, struct mr_mirror_view *view);
/* News of neighbours, oldest first. False: no more. */
bool mr_mirror_next_neigh(struct mr_mirror *m, struct mr_mirror_neigh *n);

/* Ask for a neighbour: USE makes the kernel resolve it, or check one that is stale, as if it had sent
 * a packet there; CONFIRM says that TCP had an answer from there (RFC 4861 section 7.3.1). What the
 * kernel has then comes by mr_mirror_read(), and what becomes of it. 0 or a negative errno. */
enum mr_mirror_ask { MR_MIRROR_USE, MR_MIRROR_CONFIRM };
int mr_mirror_ask(struct mr_mirror *m, const struct mr_addr *addr, enum mr_mirror_ask ask);

/* The kernel's own choice of a route, policy rules included, to a destination that has none by the
 * mirror's tables or where view.rules is set. 0, or -ENETUNREACH, -EHOSTUNREACH, -EACCES, as the kernel says.
 * Needs no mirror, no privilege and no library (route_get.c). */
int mr_mirror_route_get(const struct mr_addr *dst, enum mr_mirror_kind *kind, int *oif);

#endif
