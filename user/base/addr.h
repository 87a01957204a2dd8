/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.h - addresses of both families in one type (struct mr_addr of millrace.h). */
#ifndef MR_BASE_ADDR_H
#define MR_BASE_ADDR_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include "millrace.h"

static inline struct mr_addr mr_addr_v4(uint32_t wire_order)
{
	return (struct mr_addr){ .w = { 0, 0, htonl(0xffff), wire_order } };
}

static inline bool mr_addr_is_v4(const struct mr_addr *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == htonl(0xffff);
}

static inline bool mr_addr_is_any(const struct mr_addr *a)
{
	return !a->w[0] && !a->w[1] && !a->w[3] && (!a->w[2] || a->w[2] == htonl(0xffff));
}

static inline bool mr_addr_eq(const struct mr_addr *a, const struct mr_addr *b)
{
	return !memcmp(a->b, b->b, sizeof(a->b));
}

/* Do the first len bits (of the family: 0..32 for an IPv4-mapped prefix) of both agree? */
bool mr_addr_in_prefix(const struct mr_addr *a, const struct mr_prefix *prefix);

/* Unspecified, loopback, multicast or limited broadcast: no unicast peer (RFC 1122 3.2.1.3). */
bool mr_addr_is_unicast(const struct mr_addr *a);

/* RFC 4291 section 2.4, of an IPv6 address. IPv4 has neither of them here. */
static inline bool mr_addr_is_link_local(const struct mr_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static inline bool mr_addr_is_multicast6(const struct mr_addr *a)
{
	return a->b[0] == 0xff;
}

/* ff02::1, and the group in which neighbours look for an address (RFC 4291 section 2.7.1). */
struct mr_addr mr_addr_all_nodes(void);
struct mr_addr mr_addr_solicited_node(const struct mr_addr *a);

/* fe80::/64 with the modified EUI-64 of a MAC address (RFC 4291 appendix A). */
struct mr_addr mr_addr_link_local(const uint8_t mac[6]);

/* Leading bits that two addresses have in common, 0..128. */
unsigned mr_addr_common_bits(const struct mr_addr *a, const struct mr_addr *b);

/* Of the prefix's family: 32 or 128. */
static inline unsigned mr_prefix_bits(const struct mr_prefix *p)
{
	return mr_addr_is_v4(&p->addr) ? 32 : 128;
}

/* The address with all bits behind the prefix cleared. */
struct mr_addr mr_prefix_network(const struct mr_prefix *p);

/* May a host have the address p->addr, on a link with the prefix length p->len? Not if it is no
 * unicast address, or the network's own or its broadcast address (RFC 1122 section 3.2.1.3; RFC
 * 3021 for /31), or IPv6's subnet-router anycast address (RFC 4291 section 2.6.1; RFC 6164 for
 * /127). */
bool mr_prefix_is_host(const struct mr_prefix *p);

/* Parse "10.0.0.5/24". 0 or -EINVAL. */
int mr_prefix_parse(const char *text, struct mr_prefix *prefix);

#endif
