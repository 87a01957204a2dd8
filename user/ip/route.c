// SPDX-License-Identifier: BSD-2-Clause
/*
 * route.c - our addresses, routes, and the resolved destinations that connections keep.
 * Owns        the route table and its generation, which shows that a cached mr_dst is outdated.
 * Implements  RFC 1122 section 3.3.1 (next hop), with longest match as in RFC 1812 section 5.2.4.3.
 * Called by   the engine (set-up), tcp and ip (lookup), on the engine's thread only.
 * Not here    the kernel's routes (fib.c), source address selection (source.c).
 */
#include <errno.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/time.h"
#include "ip/ip_priv.h"

bool mr_ip_is_local(const struct mr_ip *ip, const struct mr_addr *addr)
{
	for (unsigned i = 0; i < ip->naddrs; i++)
		if (mr_addr_eq(&ip->addrs[i].addr, addr))
			return true;
	return false;
}

bool mr_ip_is_subnet_broadcast(const struct mr_ip *ip, const struct mr_addr *addr)
{
	for (unsigned i = 0; i < ip->naddrs; i++) {
		const struct mr_prefix *p = &ip->addrs[i];
		uint32_t mask;

		if (!mr_addr_is_v4(&p->addr) || p->len >= 31)
			continue;
		mask = (uint32_t)((1ull << (32 - p->len)) - 1);
		if ((ntohl(addr->w[3]) & mask) == mask && mr_addr_in_prefix(addr, p))
			return true;
	}
	return false;
}

/* The address of ours whose subnet contains addr, or NULL. */
static const struct mr_addr *local_beside(const struct mr_ip *ip, const struct mr_addr *addr)
{
	for (unsigned i = 0; i < ip->naddrs; i++)
		if (mr_addr_in_prefix(addr, &ip->addrs[i]))
			return &ip->addrs[i].addr;
	return NULL;
}

static const struct mr_addr *first_v4(const struct mr_ip *ip)
{
	for (unsigned i = 0; i < ip->naddrs; i++)
		if (mr_addr_is_v4(&ip->addrs[i].addr))
			return &ip->addrs[i].addr;
	return NULL;
}

static void insert(struct mr_ip *ip, const struct mr_route *route)
{
	unsigned at = 0;

	while (at < ip->nroutes && ip->routes[at].dst.len >= route->dst.len)
		at++;
	memmove(&ip->routes[at + 1], &ip->routes[at], (ip->nroutes - at) * sizeof(*route));
	ip->routes[at] = *route;
	ip->nroutes++;
}

void mr_route_changed(struct mr_ip *ip)
{
	if (++ip->route_gen == 0)
		ip->route_gen = 1;
}

const struct mr_route *mr_route_find(const struct mr_ip *ip, const struct mr_prefix *dst)
{
	for (unsigned i = 0; i < ip->nroutes; i++)
		if (ip->routes[i].dst.len == dst->len &&
		    mr_addr_eq(&ip->routes[i].dst.addr, &dst->addr))
			return &ip->routes[i];
	return NULL;
}

/* Is the gateway a neighbour? */
static bool gateway_ok(const struct mr_ip *ip, const struct mr_addr *gateway)
{
	const struct mr_route *via = mr_route_lookup(ip, gateway);

	return mr_addr_is_unicast(gateway) && !mr_ip_is_local(ip, gateway) && via &&
	       mr_addr_is_any(&via->gateway);
}

int mr_route_add(struct mr_ip *ip, const struct mr_route *route)
{
	struct mr_route r = *route;
	struct mr_addr network = mr_prefix_network(&r.dst);
	bool v4 = mr_addr_is_v4(&r.dst.addr), direct = mr_addr_is_any(&r.gateway);

	if (r.dst.len > mr_prefix_bits(&r.dst) || !mr_addr_eq(&r.dst.addr, &network))
		return -EINVAL;
	if (!direct && (mr_addr_is_v4(&r.gateway) != v4 || !gateway_ok(ip, &r.gateway)))
		return -EINVAL;
	if (!mr_addr_is_any(&r.src)) {
		if (mr_addr_is_v4(&r.src) != v4 || !mr_ip_is_local(ip, &r.src))
			return -EINVAL;
	} else if (v4) {
		const struct mr_addr *src = local_beside(ip, direct ? &r.dst.addr : &r.gateway);

		if (!src)
			src = first_v4(ip);
		if (!src)
			return -EINVAL;
		r.src = *src;
	}
	if (mr_route_find(ip, &r.dst))
		return -EEXIST;
	if (ip->nroutes == MR_ROUTES_MAX)
		return -ENOSPC;
	insert(ip, &r);
	mr_route_changed(ip);
	return 0;
}

int mr_route_del(struct mr_ip *ip, const struct mr_prefix *dst)
{
	const struct mr_route *r = mr_route_find(ip, dst);
	size_t i;

	if (!r)
		return -ENOENT;
	i = (size_t)(r - ip->routes);
	ip->nroutes--;
	memmove(&ip->routes[i], &ip->routes[i + 1], (ip->nroutes - i) * sizeof(*r));
	mr_route_changed(ip);
	return 0;
}

const struct mr_route *mr_route_lookup(const struct mr_ip *ip, const struct mr_addr *dst)
{
	if (ip->fib)
		return mr_fib_ours(ip, dst);
	for (unsigned i = 0; i < ip->nroutes; i++)
		if (mr_addr_in_prefix(dst, &ip->routes[i].dst))
			return &ip->routes[i];
	return NULL;
}

int mr_ip_source(const struct mr_ip *ip, const struct mr_addr *dst, struct mr_addr *src)
{
	const struct mr_route *r = mr_route_lookup(ip, dst);

	if (!r)
		return -ENETUNREACH;
	if (mr_addr_is_any(&r->src))
		return mr_source_choose(ip, r, dst, src);
	*src = r->src;
	return 0;
}

static int resolve(struct mr_ip *ip, struct mr_dst *dst, const struct mr_addr *daddr, uint64_t now)
{
	uint32_t link_mtu = mr_addr_is_v4(daddr) ? ip->nif->mtu : ip->mtu6;
	const struct mr_route *r;

	/* These are no addresses of other hosts; the loopback is not on this interface. */
	if (!mr_addr_is_unicast(daddr) || mr_ip_is_local(ip, daddr) ||
	    mr_ip_is_subnet_broadcast(ip, daddr))
		return -ENETUNREACH;
	r = mr_route_lookup(ip, daddr);
	if (!r)
		return -ENETUNREACH;
	dst->neigh = mr_neigh_get(ip->link, mr_addr_is_any(&r->gateway) ? daddr : &r->gateway, now);
	if (!dst->neigh)
		return -ENOBUFS;
	dst->gen = ip->route_gen;
	dst->mtu = r->mtu ? mr_min(r->mtu, link_mtu) : link_mtu;
	mr_pmtu_apply(ip, daddr, now, dst);
	return 0;
}

int mr_dst_resolve(struct mr_ip *ip, struct mr_dst *dst, const struct mr_addr *daddr, uint64_t now)
{
	bool aged = dst->pmtu_until_s && dst->pmtu_until_s <= now / MR_NS_PER_S;

	if (mr_likely(dst->neigh && dst->gen == ip->route_gen && !aged))
		return 0;
	mr_dst_put(ip, dst);
	return resolve(ip, dst, daddr, now);
}

void mr_dst_put(struct mr_ip *ip, struct mr_dst *dst)
{
	if (dst->neigh)
		mr_neigh_put(ip->link, dst->neigh);
	*dst = (struct mr_dst){ 0 };
}

static void init(struct mr_ip *ip, struct mr_link *link, struct mr_rng *rng,
		 struct mr_counters *ctr, unsigned naddrs, uint64_t now)
{
	*ip = (struct mr_ip){
		.link = link,
		.nif = link->nif,
		.frames = link->frames,
		.ctr = ctr,
		.rng = rng,
		.naddrs = naddrs,
		.route_gen = 1,
		.icmp_tokens = MR_ICMP_BURST,
		.icmp_refill_at = now,
		.mtu6 = link->nif->mtu,
		.label_key = { mr_rng_u64(rng), mr_rng_u64(rng) },
		.pmtu_age_s = MR_PMTU_AGE_S,
	};
	mr_timer_init(&ip->router_timer, MR_TIMER_ROUTER);
	mr_reasm_init(ip);
}

int mr_ip_init(struct mr_ip *ip, struct mr_link *link, struct mr_rng *rng, struct mr_counters *ctr,
	       const struct mr_prefix *addrs, unsigned naddrs, uint64_t now)
{
	if (!naddrs || naddrs > MR_LINK_ADDRS_MAX)
		return -EINVAL;
	init(ip, link, rng, ctr, naddrs, now);
	for (unsigned i = 0; i < naddrs; i++) {
		if (!mr_prefix_is_host(&addrs[i]))
			return -EINVAL;
		ip->addrs[i] = addrs[i];
	}
	for (unsigned i = 0; i < naddrs; i++) {
		struct mr_route r = { .dst = addrs[i] };
		int err;

		if (mr_addr_is_v4(&addrs[i].addr))
			r.src = addrs[i].addr;
		r.dst.addr = mr_prefix_network(&addrs[i]);
		err = mr_route_add(ip, &r);
		if (err && err != -EEXIST) /* a second address of the same subnet */
			return err;
	}
	return 0;
}

/* ---- Addresses that are the kernel's, too ------------------------------------------------------- */

size_t mr_ip_shared_bytes(void)
{
	return sizeof(struct mr_steer) + sizeof(struct mr_fib) + 2 * 64;
}

int mr_ip_init_shared(struct mr_ip *ip, struct mr_arena *arena, struct mr_link *link,
		      struct mr_rng *rng, struct mr_counters *ctr, int ifindex, uint64_t now)
{
	init(ip, link, rng, ctr, 0, now);
	ip->ifindex = ifindex;
	ip->steer = mr_steer_open(arena);
	ip->fib = mr_arena_alloc(arena, sizeof(*ip->fib), 64);
	return ip->steer && ip->fib ? 0 : -ENOMEM;
}

int mr_ip_set_addrs(struct mr_ip *ip, const struct mr_prefix *addrs, const uint8_t *flags,
		    unsigned naddrs)
{
	unsigned n = mr_min(naddrs, MR_LINK_ADDRS_MAX), kept = 0;

	for (unsigned i = 0; i < ip->naddrs; i++)
		for (unsigned j = 0; j < n; j++)
			kept += mr_addr_eq(&ip->addrs[i].addr, &addrs[j].addr);
	ip->addrs_gone |= kept < ip->naddrs;
	for (unsigned i = 0; i < n; i++) {
		ip->addrs[i] = addrs[i];
		ip->addr_flags[i] = flags[i];
	}
	ip->naddrs = n;
	mr_link_set_addrs(ip->link, addrs, n);
	mr_route_changed(ip);
	return n < naddrs ? -ENOSPC : 0;
}
