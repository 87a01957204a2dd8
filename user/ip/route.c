// SPDX-License-Identifier: BSD-2-Clause
/*
 * route.c - own addresses, routes, and the resolved destinations that connections keep.
 * Owns        the route table and its generation, by which a cached mr_dst knows that it is old.
 * Implements  RFC 1122 section 3.3.1 (next hop), with longest match as in RFC 1812 section 5.2.4.3.
 * Called by   the engine (set-up), tcp and ip (look-up), on the engine's thread only.
 */
#include <errno.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "ip/ip_priv.h"

/* The host part of an IPv4 address under a prefix length, in host order. */
static uint32_t host_mask(uint8_t len)
{
	return len ? (uint32_t)((1ull << (32 - len)) - 1) : UINT32_MAX;
}

static uint32_t host_part(const struct mr_prefix *p)
{
	return ntohl(p->addr.w[3]) & host_mask(p->len);
}

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
		uint32_t mask = host_mask(p->len);

		if (p->len < 31 && mr_addr_in_prefix(addr, p) && (ntohl(addr->w[3]) & mask) == mask)
			return true;
	}
	return false;
}

/* The address of ours whose subnet holds addr, else NULL. */
static const struct mr_addr *local_beside(const struct mr_ip *ip, const struct mr_addr *addr)
{
	for (unsigned i = 0; i < ip->naddrs; i++)
		if (mr_addr_in_prefix(addr, &ip->addrs[i]))
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

static void table_changed(struct mr_ip *ip)
{
	if (++ip->route_gen == 0)
		ip->route_gen = 1;
}

static struct mr_route *find(struct mr_ip *ip, const struct mr_prefix *dst)
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

	return mr_addr_is_v4(gateway) && mr_addr_is_unicast(gateway) &&
	       !mr_ip_is_local(ip, gateway) && via && mr_addr_is_any(&via->gateway);
}

int mr_route_add(struct mr_ip *ip, const struct mr_route *route)
{
	struct mr_route r = *route;
	const struct mr_addr *src;

	if (!mr_addr_is_v4(&r.dst.addr))
		return -EAFNOSUPPORT;
	if (r.dst.len > 32 || host_part(&r.dst) ||
	    (!mr_addr_is_any(&r.gateway) && !gateway_ok(ip, &r.gateway)))
		return -EINVAL;
	if (mr_addr_is_any(&r.src)) {
		src = local_beside(ip, mr_addr_is_any(&r.gateway) ? &r.dst.addr : &r.gateway);
		r.src = src ? *src : ip->addrs[0].addr;
	} else if (!mr_ip_is_local(ip, &r.src)) {
		return -EINVAL;
	}
	if (find(ip, &r.dst))
		return -EEXIST;
	if (ip->nroutes == MR_ROUTES_MAX)
		return -ENOSPC;
	insert(ip, &r);
	table_changed(ip);
	return 0;
}

int mr_route_del(struct mr_ip *ip, const struct mr_prefix *dst)
{
	struct mr_route *r = find(ip, dst);

	if (!r)
		return -ENOENT;
	ip->nroutes--;
	memmove(r, r + 1, (size_t)(&ip->routes[ip->nroutes] - r) * sizeof(*r));
	table_changed(ip);
	return 0;
}

const struct mr_route *mr_route_lookup(const struct mr_ip *ip, const struct mr_addr *dst)
{
	for (unsigned i = 0; i < ip->nroutes; i++)
		if (mr_addr_in_prefix(dst, &ip->routes[i].dst))
			return &ip->routes[i];
	return NULL;
}

int mr_ip_source(const struct mr_ip *ip, const struct mr_addr *dst, struct mr_addr *src)
{
	const struct mr_route *r;

	if (!mr_addr_is_v4(dst))
		return -EAFNOSUPPORT;
	r = mr_route_lookup(ip, dst);
	if (!r)
		return -ENETUNREACH;
	*src = r->src;
	return 0;
}

static int resolve(struct mr_ip *ip, struct mr_dst *dst, const struct mr_addr *daddr, uint64_t now)
{
	const struct mr_route *r;

	if (!mr_addr_is_v4(daddr))
		return -EAFNOSUPPORT;
	/* No host can be reached over the wire at these; loopback is not this interface's. */
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
	dst->mtu = r->mtu ? mr_min(r->mtu, ip->nif->mtu) : ip->nif->mtu;
	return 0;
}

int mr_dst_resolve(struct mr_ip *ip, struct mr_dst *dst, const struct mr_addr *daddr, uint64_t now)
{
	if (mr_likely(dst->neigh && dst->gen == ip->route_gen))
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

/* An address that a host on this subnet can have (RFC 1122 section 3.2.1.3; RFC 3021 for /31). */
static int check_own_address(const struct mr_prefix *p)
{
	uint32_t mask;

	if (!mr_addr_is_v4(&p->addr))
		return -EAFNOSUPPORT;
	if (p->len > 32 || !mr_addr_is_unicast(&p->addr))
		return -EINVAL;
	mask = host_mask(p->len);
	if (p->len < 31 && (host_part(p) == 0 || host_part(p) == mask))
		return -EINVAL;
	return 0;
}

int mr_ip_init(struct mr_ip *ip, struct mr_link *link, struct mr_rng *rng, struct mr_counters *ctr,
	       const struct mr_prefix *addrs, unsigned naddrs, uint64_t now)
{
	if (!naddrs || naddrs > MR_LINK_ADDRS_MAX)
		return -EINVAL;
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
	};
	for (unsigned i = 0; i < naddrs; i++) {
		int err = check_own_address(&addrs[i]);

		if (err)
			return err;
		ip->addrs[i] = addrs[i];
	}
	for (unsigned i = 0; i < naddrs; i++) {
		struct mr_route r = { .dst = addrs[i], .src = addrs[i].addr };
		int err;

		r.dst.addr.w[3] &= htonl(~host_mask(r.dst.len));
		err = mr_route_add(ip, &r);
		if (err && err != -EEXIST) /* a second address of the same subnet */
			return err;
	}
	return 0;
}
