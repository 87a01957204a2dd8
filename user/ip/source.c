// SPDX-License-Identifier: BSD-2-Clause
/*
 * source.c - source address selection, if neither the application nor the route determines it.
 * Implements  RFC 6724 section 5, rules 2, 3, 6, 7 and 8, with the policy table of section 2.1; for IPv4 as Linux: an
 *             address of the next hop's subnet, else the first.
 * Called by   route.c.
 */
#include <errno.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "ip/ip_priv.h"

/* RFC 6724 section 2.1: labels. Longest prefix first. */
static unsigned label(const struct mr_addr *a)
{
	static const struct {
		uint8_t prefix[2], len, label;
	} rows[] = {
		{ { 0x20, 0x02 }, 16, 2 }, /* 6to4 */
		{ { 0x3f, 0xfe }, 16, 12 },
		{ { 0xfe, 0xc0 }, 10, 11 }, /* site-local */
		{ { 0xfc, 0x00 }, 7, 13 },  /* unique local */
	};
	unsigned word = (unsigned)(a->b[0] << 8 | a->b[1]);

	if (word == 0x2001 && !a->b[2] && !a->b[3]) /* Teredo */
		return 5;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++)
		if (!((word ^ (unsigned)(rows[i].prefix[0] << 8 | rows[i].prefix[1])) >>
		      (16 - rows[i].len)))
			return rows[i].label;
	return 1;
}

/* Is it to be avoided (rule 3): deprecated, or tentative? */
static bool avoided(const struct mr_ip *ip, unsigned i)
{
	return ip->link->addr_state[i] != MR_LADDR_USABLE ||
	       ip->addr_flags[i] & MR_IPADDR_DEPRECATED;
}

static bool is_better_source(const struct mr_ip *ip, unsigned a, unsigned b,
			     const struct mr_addr *dst)
{
	const struct mr_addr *addr_a = &ip->addrs[a].addr, *addr_b = &ip->addrs[b].addr;
	bool temporary_a = ip->addr_flags[a] & MR_IPADDR_TEMPORARY;
	bool temporary_b = ip->addr_flags[b] & MR_IPADDR_TEMPORARY;
	unsigned want = label(dst);

	if (mr_addr_is_link_local(addr_a) != mr_addr_is_link_local(addr_b))
		return mr_addr_is_link_local(addr_a) == mr_addr_is_link_local(dst);
	if (avoided(ip, a) != avoided(ip, b))
		return avoided(ip, b);
	if ((label(addr_a) == want) != (label(addr_b) == want))
		return label(addr_a) == want;
	if (temporary_a != temporary_b)
		return temporary_a == ip->prefer_temporary;
	return mr_addr_common_bits(addr_a, dst) > mr_addr_common_bits(addr_b, dst);
}

/* A link-local source is not reachable from beyond the link: use it only if there is no other. */
static int choose_v6(const struct mr_ip *ip, const struct mr_addr *dst)
{
	int best = -1;

	for (unsigned i = 0; i < ip->naddrs; i++)
		if (!mr_addr_is_v4(&ip->addrs[i].addr) &&
		    ip->link->addr_state[i] != MR_LADDR_DUPLICATE &&
		    (best < 0 || is_better_source(ip, i, (unsigned)best, dst)))
			best = (int)i;
	return best;
}

static int choose_v4(const struct mr_ip *ip, const struct mr_addr *next_hop)
{
	int first = -1;

	for (unsigned i = 0; i < ip->naddrs; i++) {
		if (!mr_addr_is_v4(&ip->addrs[i].addr) || ip->addr_flags[i] & MR_IPADDR_SECONDARY)
			continue;
		if (mr_addr_in_prefix(next_hop, &ip->addrs[i]))
			return (int)i;
		if (first < 0)
			first = (int)i;
	}
	return first;
}

int mr_source_choose(const struct mr_ip *ip, const struct mr_route *r, const struct mr_addr *dst,
		     struct mr_addr *src)
{
	const struct mr_addr *next_hop = mr_addr_is_any(&r->gateway) ? dst : &r->gateway;
	int i = mr_addr_is_v4(dst) ? choose_v4(ip, next_hop) : choose_v6(ip, dst);

	if (i < 0)
		return -EADDRNOTAVAIL;
	*src = ip->addrs[i].addr;
	return 0;
}
