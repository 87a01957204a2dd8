// SPDX-License-Identifier: BSD-2-Clause
/*
 * router.c - default routers from router advertisements, and the default route through one of them.
 * Owns        ip.routers; the route ::/0, unless one is configured.
 * Implements  RFC 4861 sections 6.3.4 to 6.3.6.
 * Called by   icmp6.c (advertisements), the engine (timeouts, failed neighbours).
 */
#include <errno.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/time.h"
#include "ip/ip_priv.h"

static const struct mr_prefix everything; /* ::/0 */

/* Set the route ::/0 to routers[0]. */
static void set_route(struct mr_ip *ip)
{
	struct mr_route route = { .dst = everything, .gateway = ip->routers[0].addr };
	const struct mr_route *now = ip->router_route ? mr_route_find(ip, &everything) : NULL;

	if (now && ip->nrouters && mr_addr_eq(&now->gateway, &route.gateway))
		return;
	if (now)
		mr_route_del(ip, &everything);
	ip->router_route = ip->nrouters && !mr_route_add(ip, &route);
}

static void set_timer(struct mr_ip *ip)
{
	uint64_t first = MR_TIME_NEVER;

	for (unsigned i = 0; i < ip->nrouters; i++)
		first = mr_min(first, ip->routers[i].expires);
	if (first == MR_TIME_NEVER)
		mr_timer_cancel(ip->link->wheel, &ip->router_timer);
	else
		mr_timer_arm(ip->link->wheel, &ip->router_timer, first);
}

static void remove_at(struct mr_ip *ip, unsigned i)
{
	ip->nrouters--;
	memmove(&ip->routers[i], &ip->routers[i + 1], (ip->nrouters - i) * sizeof(ip->routers[0]));
}

/* Its index; nrouters: it is not in the list. */
static unsigned find(const struct mr_ip *ip, const struct mr_addr *addr)
{
	unsigned i = 0;

	while (i < ip->nrouters && !mr_addr_eq(&ip->routers[i].addr, addr))
		i++;
	return i;
}

static void changed(struct mr_ip *ip)
{
	set_route(ip);
	set_timer(ip);
}

void mr_ip_mtu_changed(struct mr_ip *ip)
{
	ip->mtu6 = ip->router_mtu ? mr_min(ip->router_mtu, ip->nif->mtu) : ip->nif->mtu;
	mr_route_changed(ip);
}

void mr_router_news(struct mr_ip *ip, const struct mr_nd_news *news, uint64_t now)
{
	unsigned i = find(ip, &news->router);

	switch (news->about) {
	case MR_ND_NEIGHBOUR:
		return;
	case MR_ND_NOT_A_ROUTER: /* RFC 4861 section 7.2.5 */
		if (i == ip->nrouters)
			return;
		remove_at(ip, i);
		break;
	case MR_ND_ROUTER:
		if (news->mtu >= MR_IPV6_MTU_MIN && news->mtu != ip->router_mtu) {
			ip->router_mtu = news->mtu;
			mr_ip_mtu_changed(ip);
		}
		if (!news->lifetime_s) {
			if (i == ip->nrouters)
				return;
			remove_at(ip, i);
			break;
		}
		if (i == ip->nrouters) {
			if (ip->nrouters == MR_ROUTERS_MAX)
				return;
			ip->routers[ip->nrouters++] = (struct mr_router){ .addr = news->router };
		}
		ip->routers[i].expires = now + news->lifetime_s * MR_NS_PER_S;
		break;
	}
	changed(ip);
}

void mr_ip_timer(struct mr_ip *ip, uint64_t now)
{
	for (unsigned i = ip->nrouters; i-- > 0;)
		if (ip->routers[i].expires <= now)
			remove_at(ip, i);
	changed(ip);
}

/* To the end of the list, so that all are tried in turn (RFC 4861 section 6.3.6). */
void mr_ip_neigh_failed(struct mr_ip *ip, const struct mr_addr *addr)
{
	unsigned i = find(ip, addr);
	struct mr_router router;

	if (i == ip->nrouters)
		return;
	router = ip->routers[i];
	remove_at(ip, i);
	ip->routers[ip->nrouters++] = router;
	changed(ip);
}
