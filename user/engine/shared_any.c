// SPDX-License-Identifier: BSD-2-Clause
/*
 * shared_any.c - what any process does with an engine on the kernel's addresses, its opener or not: ports are
 * held, ways are looked up. Goes into programs under `millrace run`: no library but the C library.
 * Called by   the shim, the opener.
 */
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>
#include "base/addr.h"
#include "engine/engine_priv.h"
#include "engine/shared.h"
#include "kernel/ports.h"

bool mr_shared_wants(const struct mr_engine *engine)
{
	return !mr_list_empty(&engine->st->link.asks);
}

/* ---- Holding ports ----------------------------------------------------------------------------------- */

static int hold_port(const struct mr_ip *ip, const struct mr_addr *addr,
		     const struct mr_tcp_opts *opts, uint16_t *port)
{
	return mr_port_hold(addr, opts->v6only, opts->reuseport, ip->ifindex, port);
}

static void drop_port(int fd)
{
	close(fd);
}

static const struct mr_arbiter arbiter = { .hold = hold_port, .drop = drop_port };

void mr_shared_use_arbiter(void)
{
	mr_socks_arbiter_set(&arbiter);
}

/* ---- Which way is a destination? ----------------------------------------------------------------------- */

static void answer_other(struct mr_way_answer *a, int ifindex)
{
	char name[IFNAMSIZ] = "?";

	if_indextoname((unsigned)ifindex, name);
	a->way = MR_WAY_OTHER;
	a->ifindex = ifindex;
	snprintf(a->reason, sizeof(a->reason), "over %s", name);
}

static void answer(struct mr_way_answer *a, enum mr_way way, const char *reason)
{
	a->way = way;
	snprintf(a->reason, sizeof(a->reason), "%s", reason);
}

/* By what the tables say; kind and oif may be the kernel's own choice. */
static void answer_route(const struct mr_ip *ip, const struct mr_addr *dst, enum mr_route_kind kind,
			 int oif, struct mr_way_answer *a)
{
	if (kind == MR_ROUTE_LOCAL)
		answer(a, MR_WAY_LOCAL, "an address of this host");
	else if (kind != MR_ROUTE_UNICAST)
		answer(a, MR_WAY_UNREACHABLE,
		       kind == MR_ROUTE_BROADCAST ? "no destination for TCP" : "unreachable");
	else if (ip->fib && oif != ip->ifindex)
		answer_other(a, oif);
	else if (!mr_addr_is_unicast(dst) || mr_ip_source(ip, dst, &a->src))
		answer(a, MR_WAY_UNREACHABLE, "no address of ours to speak from");
	else
		a->way = MR_WAY_OURS;
}

void mr_engine_way(const struct mr_engine *engine, const struct mr_addr *dst, uint32_t scope_id,
		   struct mr_way_answer *a)
{
	const struct mr_ip *ip = &engine->st->ip;
	enum mr_mirror_kind kind;
	int oif;
	const struct mr_route *r;

	*a = (struct mr_way_answer){ .ifindex = ip->ifindex };
	if (mr_addr_is_any(dst) || mr_ip_is_local(ip, dst)) {
		answer(a, MR_WAY_LOCAL, "an address of this host");
		return;
	}
	if (!mr_addr_is_v4(dst) && mr_addr_is_link_local(dst) &&
	    scope_id != (uint32_t)ip->ifindex) {
		if (scope_id)
			answer_other(a, (int)scope_id);
		else
			answer(a, MR_WAY_UNREACHABLE, "link-local, and on no interface");
		return;
	}
	r = ip->fib ? mr_fib_lookup(ip->fib, dst) : mr_route_lookup(ip, dst);
	if (ip->policy_rules && (!r || r->kind != MR_ROUTE_LOCAL)) {
		if (mr_mirror_route_get(dst, &kind, &oif))
			answer(a, MR_WAY_UNREACHABLE, "no route");
		else if (oif == ip->ifindex && !(r && r->oif == ip->ifindex))
			answer(a, MR_WAY_OTHER, "by a policy routing rule");
		else
			answer_route(ip, dst, (enum mr_route_kind)kind, oif, a);
		return;
	}
	if (r)
		answer_route(ip, dst, (enum mr_route_kind)r->kind, r->oif, a);
	else
		answer(a, MR_WAY_UNREACHABLE, "no route");
}
