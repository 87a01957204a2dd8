/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror.h - a live copy of the kernel's addresses of an interface, of the routes in the tables main and local, and of
 * its reports about neighbours, read over rtnetlink.
 *
 * There is one descriptor to poll. mr_mirror_read() reads the messages and says what has changed; the caller then
 * copies that to where it is used. A message about an address or a route only causes the mirror to read them all again,
 * because the kernel does not report every route that disappears together with a link or an address. So a lost message
 * causes no more than another such reading.
 *
 * Process-local; used by one thread at a time. Calls block only until the kernel has answered.
 */
#ifndef MR_KERNEL_MIRROR_H
#define MR_KERNEL_MIRROR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"

struct mr_mirror;

struct mr_mirror_addr {
	struct mr_prefix prefix; /* the address, with the length of its on-link prefix */
	bool secondary;		 /* IPv4: not chosen as source address */
	bool temporary;		 /* IPv6: temporary address (RFC 8981) */
	bool deprecated;
};

enum mr_mirror_kind {
	MR_MIRROR_UNICAST,
	MR_MIRROR_LOCAL,       /* an address of this host */
	MR_MIRROR_BROADCAST,   /* broadcast, multicast or anycast: no destination for TCP */
	MR_MIRROR_UNREACHABLE, /* unreachable, prohibit, blackhole */
};

struct mr_mirror_route {
	struct mr_prefix dst;
	struct mr_addr gateway; /* any: on-link */
	struct mr_addr src;	/* preferred source address; any: none */
	uint32_t metric;	/* lower is better */
	uint32_t mtu;		/* 0: none */
	int oif;		/* outgoing interface; 0: none (kinds other than unicast) */
	uint8_t kind;		/* enum mr_mirror_kind */
	uint8_t pref;		/* router preference (RFC 4191): 0 low, 1 medium, 2 high */
};

/* The present contents. Valid until the next mr_mirror_read(). */
struct mr_mirror_view {
	const struct mr_mirror_addr *addrs; /* usable addresses of the interface */
	unsigned naddrs;
	/* Of all interfaces, except link-local routes, which are those of this one. */
	const struct mr_mirror_route *routes;
	unsigned nroutes;
	bool rules;	       /* there are policy rules besides the kernel's three default ones */
	bool prefer_temporary; /* net.ipv6.conf.*.use_tempaddr is 2 */
	uint32_t mtu6; /* MTU for IPv6 on the interface, from router advertisements; 0: unknown */
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

/* Subscribe to rtnetlink messages, and read everything once. Returns 0 or a negative errno; on failure *out is NULL
 * and *err has one sentence. */
int mr_mirror_open(struct mr_mirror **out, int ifindex, struct mr_error *err);
void mr_mirror_close(struct mr_mirror *m);

int mr_mirror_fd(const struct mr_mirror *m); /* readable: mr_mirror_read() is due */

#define MR_MIRROR_VIEW	 0x1u /* the contents have changed: see mr_mirror_view() */
#define MR_MIRROR_NEIGHS 0x2u /* neighbours have changed: see mr_mirror_next_neigh() */
/* Reports about neighbours were lost: mr_mirror_ask() for those in use. */
#define MR_MIRROR_LOST 0x4u

/* Read the messages that have arrived. Returns MR_MIRROR_* flags; or a negative errno if the kernel no longer
 * answers. */
int mr_mirror_read(struct mr_mirror *m);

/* Get the present contents. */
void mr_mirror_view(const struct mr_mirror *m, struct mr_mirror_view *view);
/* The next neighbour that has changed, the oldest report first. False: no more. */
bool mr_mirror_next_neigh(struct mr_mirror *m, struct mr_mirror_neigh *n);

/* Tell the kernel about a neighbour. USE: resolve it, or probe it if it is stale, as if the kernel had sent a packet
 * to it. CONFIRM: TCP had forward progress (RFC 4861 section 7.3.1). mr_mirror_read() then reports the kernel's entry
 * and its changes. Returns 0 or a negative errno. */
enum mr_mirror_ask { MR_MIRROR_USE, MR_MIRROR_CONFIRM };
int mr_mirror_ask(struct mr_mirror *m, const struct mr_addr *addr, enum mr_mirror_ask ask);

/* Ask the kernel for its route to a destination, with its policy rules: for destinations without a route in the
 * mirror, or if view.rules is set. Returns 0, or -ENETUNREACH, -EHOSTUNREACH or -EACCES, as the kernel says. Needs no
 * mirror, no privilege and no library (route_get.c). */
int mr_mirror_route_get(const struct mr_addr *dst, enum mr_mirror_kind *kind, int *oif);

#endif
