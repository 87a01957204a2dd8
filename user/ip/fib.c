// SPDX-License-Identifier: BSD-2-Clause
/*
 * fib.c - the kernel's routes, in shared mode: those of all interfaces, because the best one may be on another.
 * Implements  what Linux does without policy rules other than the default ones: table local before table main, in
 *             each the longest prefix, of these the smallest metric.
 * Called by   route.c (lookup), the engine (changes).
 */
#include <errno.h>
#include <stdlib.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "ip/ip_priv.h"

/* Table local has this host's addresses, and broadcasts; table main has the other routes. */
static bool is_local_table(const struct mr_route *r)
{
	return r->kind == MR_ROUTE_LOCAL || r->kind == MR_ROUTE_BROADCAST;
}

/* Order of routes: those that are examined first come first; of the same destination, the best. */
struct place {
	bool local, v4;
	uint8_t len;
	struct mr_addr dst;
};

static int place_compare(const struct place *p, const struct mr_route *r)
{
	bool v4 = mr_addr_is_v4(&r->dst.addr), local = is_local_table(r);

	if (p->v4 != v4)
		return p->v4 ? -1 : 1;
	if (p->local != local)
		return p->local ? -1 : 1;
	if (p->len != r->dst.len)
		return p->len > r->dst.len ? -1 : 1;
	return memcmp(p->dst.b, r->dst.addr.b, sizeof(p->dst.b));
}

static int fib_compare(const void *a, const void *b)
{
	const struct mr_route *ra = a, *rb = b;
	const struct place p = { is_local_table(ra), mr_addr_is_v4(&ra->dst.addr), ra->dst.len,
				 ra->dst.addr };
	int order = place_compare(&p, rb);

	if (order)
		return order;
	if (ra->metric != rb->metric)
		return ra->metric < rb->metric ? -1 : 1;
	if (ra->pref != rb->pref)
		return ra->pref > rb->pref ? -1 : 1;
	return (ra->oif > rb->oif) - (ra->oif < rb->oif);
}

/* The first route at position p or behind it. */
static unsigned lower_bound(const struct mr_fib *fib, const struct place *p)
{
	unsigned from = 0, end = fib->n;

	while (from < end) {
		unsigned mid = (from + end) / 2;

		if (place_compare(p, &fib->routes[mid]) > 0)
			from = mid + 1;
		else
			end = mid;
	}
	return from;
}

/* Lookup in one table, for each prefix length that it has, the longest first. */
static const struct mr_route *table_lookup(const struct mr_fib *fib, const struct mr_addr *dst,
					   bool local)
{
	bool v4 = mr_addr_is_v4(dst);
	struct mr_prefix whole = { .addr = *dst, .len = v4 ? 32 : 128 };

	for (;;) {
		struct place p = { local, v4, whole.len, mr_prefix_network(&whole) };
		unsigned at = lower_bound(fib, &p);
		const struct mr_route *r = &fib->routes[at];

		if (at == fib->n || mr_addr_is_v4(&r->dst.addr) != v4 || is_local_table(r) != local)
			return NULL;
		if (mr_addr_in_prefix(dst, &r->dst))
			return r;
		if (r->dst.len == whole.len) { /* another route of this length */
			if (!whole.len)
				return NULL;
			whole.len--;
		} else {
			whole.len = r->dst.len;
		}
	}
}

const struct mr_route *mr_fib_lookup(const struct mr_fib *fib, const struct mr_addr *dst)
{
	return table_lookup(fib, dst, true) ?: table_lookup(fib, dst, false);
}

const struct mr_route *mr_fib_ours(const struct mr_ip *ip, const struct mr_addr *dst)
{
	const struct mr_route *r = mr_fib_lookup(ip->fib, dst);

	return r && r->kind == MR_ROUTE_UNICAST && r->oif == ip->ifindex ? r : NULL;
}

int mr_fib_set(struct mr_ip *ip, const struct mr_route *routes, unsigned nroutes)
{
	struct mr_fib *fib = ip->fib;

	fib->n = mr_min(nroutes, MR_FIB_MAX);
	memcpy(fib->routes, routes, fib->n * sizeof(*routes));
	qsort(fib->routes, fib->n, sizeof(*fib->routes), fib_compare);
	mr_route_changed(ip);
	return fib->n < nroutes ? -ENOSPC : 0;
}
