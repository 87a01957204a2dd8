// SPDX-License-Identifier: BSD-2-Clause
/*
 * pmtu.c - the path MTU cache: destinations whose path has a smaller MTU than the interface.
 * Owns        ip.pmtu, a cache of limited size, whose entries expire.
 * Implements  RFC 1191 sections 3, 5 (routers that do not report an MTU) and 6.3 (ageing); RFC 8201 sections 4 and
 *             5.2. Departs from RFC 1191 in that a path with an MTU of 68 bytes is not supported: MR_PMTU_MIN4.
 * Called by   route.c (every new destination), tcp: for an ICMP error that it believes, or the result of a search.
 * Not here    whether to believe an error (RFC 5927), the search (RFC 8899): tcp.
 */
#include "base/addr.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "base/time.h"
#include "ip/ip_priv.h"

static struct mr_pmtu *set_of(struct mr_ip *ip, const struct mr_addr *daddr)
{
	const uint64_t key[2] = { ip->label_key[0], ip->label_key[1] };

	return ip->pmtu[mr_siphash(key, daddr, sizeof(*daddr)) % MR_PMTU_SETS];
}

static struct mr_pmtu *find(struct mr_ip *ip, const struct mr_addr *daddr, uint64_t now)
{
	struct mr_pmtu *set = set_of(ip, daddr);

	for (unsigned i = 0; i < MR_PMTU_WAYS; i++)
		if (set[i].until_s > now / MR_NS_PER_S && mr_addr_eq(&set[i].daddr, daddr))
			return &set[i];
	return NULL;
}

void mr_pmtu_apply(struct mr_ip *ip, const struct mr_addr *daddr, uint64_t now, struct mr_dst *dst)
{
	const struct mr_pmtu *p = find(ip, daddr, now);

	dst->pmtu_until_s = 0;
	if (!p || p->mtu >= dst->mtu)
		return;
	dst->mtu = p->mtu;
	dst->pmtu_until_s = p->until_s;
}

/* The entry of this set that is replaced first. */
static struct mr_pmtu *oldest(struct mr_ip *ip, const struct mr_addr *daddr)
{
	struct mr_pmtu *set = set_of(ip, daddr), *p = &set[0];

	for (unsigned i = 1; i < MR_PMTU_WAYS; i++)
		if (set[i].until_s < p->until_s)
			p = &set[i];
	return p;
}

bool mr_pmtu_learn(struct mr_ip *ip, const struct mr_addr *daddr, uint32_t mtu, uint64_t now)
{
	uint32_t least = mr_addr_is_v4(daddr) ? MR_PMTU_MIN4 : MR_IPV6_MTU_MIN;
	struct mr_pmtu *p = find(ip, daddr, now);

	mtu = mr_max(mtu, least);
	if (p && p->mtu <= mtu)
		return false;
	if (!p)
		p = oldest(ip, daddr);
	*p = (struct mr_pmtu){
		.daddr = *daddr,
		.mtu = mtu,
		.until_s = (uint32_t)(now / MR_NS_PER_S) + ip->pmtu_age_s,
	};
	MR_COUNT(ip->ctr, IP_PMTU_LEARNT);
	mr_route_changed(ip); /* holders of a struct mr_dst look it up again */
	return true;
}

uint32_t mr_pmtu_guess(uint32_t mtu)
{
	/* RFC 1191 section 7.1, table 7-1: MTUs of common links. */
	static const uint16_t plateaus[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1006 };

	for (unsigned i = 0; i < MR_ARRAY_SIZE(plateaus); i++)
		if (plateaus[i] < mtu)
			return plateaus[i];
	return MR_PMTU_MIN4;
}
