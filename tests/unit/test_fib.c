// SPDX-License-Identifier: BSD-2-Clause
/* test_fib.c - routes and addresses that are the kernel's: the way out, and the source address. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "../lib/net_fixture.h"
#include "base/addr.h"
#include "base/compiler.h"

#define OURS  NET_IFINDEX
#define OTHER 9

struct row {
	const char *dst, *gateway, *src;
	uint32_t metric;
	int oif;
	uint8_t kind, pref;
	uint32_t mtu;
};

static void set_routes(struct net *n, const struct row *rows, unsigned count)
{
	struct mr_route routes[32] = { 0 };

	assert_true(count <= MR_ARRAY_SIZE(routes));
	for (unsigned i = 0; i < count; i++) {
		routes[i] = (struct mr_route){
			.dst = prefix(rows[i].dst),
			.metric = rows[i].metric,
			.oif = rows[i].oif,
			.kind = rows[i].kind,
			.pref = rows[i].pref,
			.mtu = rows[i].mtu,
		};
		if (rows[i].gateway)
			routes[i].gateway = addr(rows[i].gateway);
		if (rows[i].src)
			routes[i].src = addr(rows[i].src);
	}
	assert_int_equal(mr_fib_set(&n->ip, routes, count), 0);
}

static void set_addrs(struct net *n, const char *const *texts, const uint8_t *flags, unsigned count)
{
	struct mr_prefix addrs[MR_LINK_ADDRS_MAX];
	uint8_t none[MR_LINK_ADDRS_MAX] = { 0 };

	for (unsigned i = 0; i < count; i++)
		addrs[i] = prefix(texts[i]);
	assert_int_equal(mr_ip_set_addrs(&n->ip, addrs, flags ? flags : none, count), 0);
}

static const struct row table[] = {
	{ "127.0.0.0/8", .kind = MR_ROUTE_LOCAL, .oif = 1 },
	{ "10.0.0.3/32", .kind = MR_ROUTE_LOCAL, .oif = OURS },
	{ "10.9.0.1/32", .kind = MR_ROUTE_LOCAL, .oif = OTHER },
	{ "10.0.0.255/32", .kind = MR_ROUTE_BROADCAST, .oif = OURS },
	{ "10.0.0.0/24", .src = "10.0.0.3", .oif = OURS },
	{ "10.9.0.0/16", .oif = OTHER },
	{ "10.9.7.0/24", "10.0.0.1", .oif = OURS },
	{ "10.9.7.128/25", .kind = MR_ROUTE_UNREACHABLE },
	{ "0.0.0.0/0", "10.9.0.254", .metric = 200, .oif = OTHER },
	{ "0.0.0.0/0", "10.0.0.1", .metric = 100, .oif = OURS },
	{ "172.16.0.0/12", "10.9.0.254", .metric = 10, .oif = OTHER },
	{ "172.16.0.0/12", "10.0.0.1", .metric = 20, .oif = OURS },
	{ "::1/128", .kind = MR_ROUTE_LOCAL, .oif = 1 },
	{ "fd77::3/128", .kind = MR_ROUTE_LOCAL, .oif = OURS },
	{ "fd77::/64", .metric = 256, .oif = OURS },
	{ "fe80::/64", .metric = 256, .oif = OURS },
	{ "::/0", "fe80::1", .metric = 1024, .oif = OURS, .pref = 1 },
	{ "::/0", "fe80::2", .metric = 1024, .oif = OURS, .pref = 2 },
	{ "::/0", "fd00::9", .metric = 1024, .oif = OTHER, .pref = 0 },
	{ "192.0.2.0/24", "fe80::1", .oif = OURS },
};

static void the_best_route_of_all_interfaces_decides(void **state)
{
	static const struct {
		const char *dst;
		const char *next_hop; /* NULL: not out of our interface */
	} rows[] = {
		{ "10.0.0.9", "10.0.0.9" },   /* on-link */
		{ "10.0.0.3", NULL },	      /* ourselves */
		{ "10.9.0.1", NULL },	      /* this host, on another interface */
		{ "10.0.0.255", NULL },	      /* broadcast */
		{ "127.0.0.1", NULL },	      /* loopback */
		{ "10.9.0.2", NULL },	      /* over another interface */
		{ "10.9.7.1", "10.0.0.1" },   /* but of it a part is ours */
		{ "10.9.7.129", NULL },	      /* and of that a part unreachable */
		{ "8.8.8.8", "10.0.0.1" },    /* two defaults: the metric decides */
		{ "172.16.5.5", NULL },	      /* here the other one is better */
		{ "fd77::9", "fd77::9" },     /* on-link */
		{ "fd77::3", NULL },	      /* ourselves */
		{ "fe80::5", "fe80::5" },     /* on-link */
		{ "2001:db8::1", "fe80::2" }, /* the router's own preference decides */
		{ "192.0.2.7", "fe80::1" },   /* a next hop of the other family (RFC 8950) */
	};
	static const char *const own[] = { "10.0.0.3/24", "fd77::3/64" };
	struct net *n = *state;

	set_addrs(n, own, NULL, 2);
	set_routes(n, table, MR_ARRAY_SIZE(table));
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_addr a = addr(rows[i].dst), via;
		struct mr_dst dst = { 0 };
		int err = mr_dst_resolve(&n->ip, &dst, &a, n->now);

		if (err != (rows[i].next_hop ? 0 : -ENETUNREACH))
			fail_msg("%s: %d", rows[i].dst, err);
		if (err)
			continue;
		via = addr(rows[i].next_hop);
		if (!mr_addr_eq(&dst.neigh->addr, &via))
			fail_msg("%s: another next hop", rows[i].dst);
		mr_dst_put(&n->ip, &dst);
	}
}

static void every_prefix_length_is_found_whatever_else_is_there(void **state)
{
	struct net *n = *state;
	struct mr_route routes[33 + 129] = { 0 };
	struct mr_addr v4 = addr("203.0.113.77"), v6 = addr("2001:db8:5:6:7:8:9:a");
	unsigned count = 0;

	for (uint8_t len = 0; len <= 128; len++) {
		struct mr_prefix p4 = { v4, len }, p6 = { v6, len };

		if (len <= 32)
			routes[count++] = (struct mr_route){ .dst = { mr_prefix_network(&p4), len },
							     .oif = len };
		routes[count++] =
			(struct mr_route){ .dst = { mr_prefix_network(&p6), len }, .oif = len };
	}
	assert_int_equal(mr_fib_set(&n->ip, routes, count), 0);
	for (uint8_t len = 0; len <= 128; len++) {
		struct mr_addr a = v6;

		if (len < 128)
			a.b[len / 8] ^= (uint8_t)(0x80 >> len % 8); /* common up to there */
		assert_int_equal(mr_fib_lookup(n->ip.fib, &a)->oif, len);
		if (len > 32)
			continue;
		a = v4;
		if (len < 32)
			a.b[12 + len / 8] ^= (uint8_t)(0x80 >> len % 8);
		assert_int_equal(mr_fib_lookup(n->ip.fib, &a)->oif, len);
	}
}

static void without_routes_nothing_is_reached(void **state)
{
	struct net *n = *state;
	struct mr_addr v4 = addr("10.0.0.1"), v6 = addr("fd00::1");

	assert_null(mr_fib_lookup(n->ip.fib, &v4));
	assert_null(mr_fib_lookup(n->ip.fib, &v6));
}

static void more_routes_than_fit_are_left_out(void **state)
{
	struct net *n = *state;
	struct mr_route *routes = test_calloc(MR_FIB_MAX + 1, sizeof(*routes));

	for (unsigned i = 0; i <= MR_FIB_MAX; i++)
		routes[i] = (struct mr_route){ .dst = { mr_addr_v4(htonl(i << 8)), 24 } };
	assert_int_equal(mr_fib_set(&n->ip, routes, MR_FIB_MAX + 1), -ENOSPC);
	assert_int_equal(mr_fib_set(&n->ip, routes, MR_FIB_MAX), 0);
	test_free(routes);
}

static void a_change_is_seen_by_cached_destinations(void **state)
{
	static const char *const own[] = { "10.0.0.3/24" };
	struct row one = { "0.0.0.0/0", "10.0.0.1", .oif = OURS, .mtu = 1400 };
	struct net *n = *state;
	struct mr_addr a = addr("8.8.8.8"), want;
	struct mr_dst dst = { 0 };

	set_addrs(n, own, NULL, 1);
	set_routes(n, &one, 1);
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &a, n->now), 0);
	assert_int_equal(dst.mtu, 1400);
	one.gateway = "10.0.0.2";
	one.mtu = 0;
	set_routes(n, &one, 1);
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &a, n->now), 0);
	want = addr("10.0.0.2");
	assert_true(mr_addr_eq(&dst.neigh->addr, &want));
	assert_int_equal(dst.mtu, NET_MTU);
	one.oif = OTHER;
	set_routes(n, &one, 1);
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &a, n->now), -ENETUNREACH);
	assert_null(dst.neigh);
}

static void the_source_is_the_routes_or_the_best_address(void **state)
{
	static const char *const own[] = {
		"10.0.0.3/24",	  "10.0.0.4/24",      "10.1.0.3/24",
		"fe80::3/64",	  "2001:db8::3/64",   "fd77::3/64",
		"2001:db8::4/64", "2001:db8:1::3/64", "2002:a00:3::1/64",
	};
	static const uint8_t flags[] = { 0, MR_IPADDR_SECONDARY,  0, 0, MR_IPADDR_TEMPORARY, 0,
					 0, MR_IPADDR_DEPRECATED, 0 };
	static const struct row routes[] = {
		{ "10.0.0.0/24", .src = "10.0.0.4", .oif = OURS },
		{ "10.1.0.0/24", .oif = OURS },
		{ "10.2.0.0/24", "10.1.0.1", .oif = OURS },
		{ "10.3.0.0/24", "10.99.0.1", .oif = OURS },
		{ "0.0.0.0/0", "10.0.0.1", .oif = OURS },
		{ "fe80::/64", .oif = OURS },
		{ "2001:db8:7::/48", .src = "fd77::3", .oif = OURS },
		{ "::/0", "fe80::1", .oif = OURS },
	};
	static const struct {
		const char *dst, *src;
	} rows[] = {
		{ "10.0.0.9", "10.0.0.4" },	    /* the route says, also a secondary one */
		{ "10.1.0.9", "10.1.0.3" },	    /* the subnet's */
		{ "10.2.0.9", "10.1.0.3" },	    /* the gateway's subnet's */
		{ "10.3.0.9", "10.0.0.3" },	    /* an on-link gateway in no subnet: the first */
		{ "8.8.8.8", "10.0.0.3" },	    /* the first of the subnet */
		{ "fe80::9", "fe80::3" },	    /* rule 2 */
		{ "2001:db8:7::1", "fd77::3" },	    /* the route says */
		{ "2001:db8:1::9", "2001:db8::4" }, /* rule 3 before 8: not the deprecated one */
		{ "fd99::1", "fd77::3" },	    /* rule 6: unique local with unique local */
		{ "2a00::1", "2001:db8::4" },	    /* rule 7: not the temporary one */
		{ "2002:b00:1::1", "2002:a00:3::1" }, /* rule 6: 6to4 with 6to4 */
	};
	struct net *n = *state;
	struct mr_addr dst = addr("2a00::1"), src, want = addr("2001:db8::3");

	set_addrs(n, own, flags, MR_ARRAY_SIZE(own));
	set_routes(n, routes, MR_ARRAY_SIZE(routes));
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_addr to = addr(rows[i].dst), from = addr(rows[i].src);
		char got[MR_ADDR_STRLEN];

		assert_int_equal(mr_ip_source(&n->ip, &to, &src), 0);
		if (!mr_addr_eq(&src, &from))
			fail_msg("to %s from %s", rows[i].dst,
				 mr_addr_format(&src, got, sizeof(got)));
	}
	n->ip.prefer_temporary = true;
	assert_int_equal(mr_ip_source(&n->ip, &dst, &src), 0);
	assert_true(mr_addr_eq(&src, &want));
}

static void without_an_address_of_the_family_there_is_no_source(void **state)
{
	static const struct row both[] = { { "0.0.0.0/0", "10.0.0.1", .oif = OURS },
					   { "::/0", "fe80::1", .oif = OURS } };
	struct net *n = *state;
	struct mr_addr v4 = addr("8.8.8.8"), v6 = addr("2001:db8::1"), src;

	set_routes(n, both, 2);
	assert_int_equal(mr_ip_source(&n->ip, &v4, &src), -EADDRNOTAVAIL);
	assert_int_equal(mr_ip_source(&n->ip, &v6, &src), -EADDRNOTAVAIL);
}

static int send_from(struct net *n, const char *src)
{
	struct mr_frame *f = mr_frame_get(&n->frames);
	struct mr_ip_tx tx = { .src = addr(src), .dst = addr("10.0.0.9"), .proto = 6, .ttl = 64 };
	struct mr_dst dst = { 0 };
	int err;

	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &tx.dst, n->now), 0);
	memset(f->data, 0, 20);
	f->len = f->pkt_len = 20;
	err = mr_ip_output(&n->ip, f, &tx, &dst, n->now);
	mr_dst_put(&n->ip, &dst);
	return err;
}

static void an_address_that_is_gone_is_not_spoken_from(void **state)
{
	static const char *const own[] = { "10.0.0.3/24", "10.0.0.4/24" };
	struct net *n = *state;
	struct mr_addr peer = addr("10.0.0.9");
	struct mr_neigh *neigh = mr_neigh_get(&n->link, &peer, n->now);
	uint8_t buf[128];

	set_addrs(n, own, NULL, 2);
	set_routes(n, table, MR_ARRAY_SIZE(table));
	assert_null(mr_neigh_learned(&n->link, &peer, MR_NEIGH_REACHABLE, false, peer_mac, n->now));
	assert_int_equal(send_from(n, "10.0.0.4"), 0);
	set_addrs(n, own, NULL, 1);
	assert_int_equal(send_from(n, "10.0.0.4"), -EADDRNOTAVAIL);
	assert_int_equal(n->ctr.drop[MR_DROP_IP_SRC_GONE], 1);
	assert_int_equal(send_from(n, "10.0.0.3"), 0);
	set_addrs(n, own, NULL, 2); /* it is back */
	assert_int_equal(send_from(n, "10.0.0.4"), 0);
	while (net_sent(n, buf, sizeof(buf)))
		;
	mr_neigh_put(&n->link, neigh);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup_shared, net_teardown)
	const struct CMUnitTest tests[] = {
		T(the_best_route_of_all_interfaces_decides),
		T(every_prefix_length_is_found_whatever_else_is_there),
		T(without_routes_nothing_is_reached),
		T(more_routes_than_fit_are_left_out),
		T(a_change_is_seen_by_cached_destinations),
		T(the_source_is_the_routes_or_the_best_address),
		T(without_an_address_of_the_family_there_is_no_source),
		T(an_address_that_is_gone_is_not_spoken_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
