// SPDX-License-Identifier: BSD-2-Clause
/* test_route.c - own addresses, longest prefix, gateways, cached destinations. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "../lib/net_fixture.h"
#include "base/addr.h"
#include "base/compiler.h"

static int add(struct net *n, const char *dst, const char *gateway, const char *src, uint32_t mtu)
{
	struct mr_route r = { .dst = prefix(dst), .mtu = mtu };

	if (gateway)
		r.gateway = addr(gateway);
	if (src)
		r.src = addr(src);
	return mr_route_add(&n->ip, &r);
}

static void own_addresses_are_checked(void **state)
{
	static const struct {
		const char *addr;
		int err;
	} rows[] = {
		{ "10.0.0.1/24", 0 },
		{ "10.0.0.1/32", 0 },
		{ "10.0.0.0/31", 0 },
		{ "10.0.0.1/31", 0 },
		{ "10.0.0.0/24", -EINVAL },
		{ "10.0.0.255/24", -EINVAL },
		{ "10.0.0.3/30", -EINVAL },
		{ "127.0.0.1/8", -EINVAL },
		{ "224.0.0.1/24", -EINVAL },
		{ "0.0.0.0/0", -EINVAL },
		{ "255.255.255.255/32", -EINVAL },
		{ "2001:db8::1/64", 0 },
		{ "fe80::1/64", 0 },
		{ "2001:db8::/127", 0 },
		{ "2001:db8::/64", -EINVAL }, /* every router's */
		{ "2001:db8::ffff:ffff:ffff:ffff/64", 0 },
		{ "ff02::1/64", -EINVAL },
		{ "::1/128", -EINVAL },
		{ "::/0", -EINVAL },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_prefix p = prefix(rows[i].addr);
		struct mr_ip ip;

		assert_int_equal(mr_ip_init(&ip, &n->link, &n->rng, &n->ctr, &p, 1, n->now),
				 rows[i].err);
	}
	assert_int_equal(mr_ip_init(&n->ip, &n->link, &n->rng, &n->ctr, NULL, 0, n->now), -EINVAL);
}

static void two_addresses_of_one_subnet_share_its_route(void **state)
{
	struct mr_prefix own[2] = { prefix("10.0.0.1/24"), prefix("10.0.0.2/24") };
	struct net *n = *state;

	assert_int_equal(mr_ip_init(&n->ip, &n->link, &n->rng, &n->ctr, own, 2, n->now), 0);
	assert_int_equal(n->ip.nroutes, 1);
	assert_true(mr_ip_is_local(&n->ip, &own[0].addr));
	assert_true(mr_ip_is_local(&n->ip, &own[1].addr));
}

static void rfc1122_3_3_1_the_longest_prefix_wins_whatever_the_order(void **state)
{
	static const char *const order[][4] = {
		{ "0.0.0.0/0", "192.168.0.0/16", "192.168.7.0/24", "192.168.7.9/32" },
		{ "192.168.7.9/32", "192.168.7.0/24", "192.168.0.0/16", "0.0.0.0/0" },
		{ "192.168.0.0/16", "192.168.7.9/32", "0.0.0.0/0", "192.168.7.0/24" },
	};
	static const struct {
		const char *dst;
		uint8_t len;
	} rows[] = {
		{ "192.168.7.9", 32 }, { "192.168.7.8", 24 }, { "192.168.8.9", 16 },
		{ "192.169.0.1", 0 },  { "10.0.0.77", 24 },
	};
	struct net *n = *state;

	for (size_t o = 0; o < MR_ARRAY_SIZE(order); o++) {
		for (int i = 0; i < 4; i++)
			assert_int_equal(add(n, order[o][i], "10.0.0.254", NULL, 0), 0);
		for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
			struct mr_addr dst = addr(rows[i].dst);
			const struct mr_route *r = mr_route_lookup(&n->ip, &dst);

			assert_non_null(r);
			assert_int_equal(r->dst.len, rows[i].len);
		}
		for (int i = 0; i < 4; i++) {
			struct mr_prefix p = prefix(order[o][i]);

			assert_int_equal(mr_route_del(&n->ip, &p), 0);
			assert_int_equal(mr_route_del(&n->ip, &p), -ENOENT);
		}
		assert_int_equal(n->ip.nroutes, 1);
	}
}

static void routes_are_checked(void **state)
{
	struct net *n = *state;

	assert_int_equal(add(n, "0.0.0.0/0", "10.9.0.1", NULL, 0), -EINVAL); /* not on-link */
	assert_int_equal(add(n, "0.0.0.0/0", "10.0.0.1", NULL, 0), -EINVAL); /* ourselves */
	assert_int_equal(add(n, "10.5.0.1/16", "10.0.0.2", NULL, 0), -EINVAL);
	assert_int_equal(add(n, "10.5.0.0/16", "10.0.0.2", "10.0.0.9", 0), -EINVAL);
	assert_int_equal(add(n, "2001:db8::1/32", NULL, NULL, 0), -EINVAL);
	assert_int_equal(add(n, "2001:db8::/32", "10.0.0.2", NULL, 0), -EINVAL);
	assert_int_equal(add(n, "10.5.0.0/16", "2001:db8::2", NULL, 0), -EINVAL);
	assert_int_equal(add(n, "2001:db8::/32", NULL, "10.0.0.1", 0), -EINVAL);
	assert_int_equal(add(n, "0.0.0.0/0", "10.0.0.2", NULL, 0), 0);
	assert_int_equal(add(n, "0.0.0.0/0", "10.0.0.3", NULL, 0), -EEXIST);
	assert_int_equal(add(n, "10.0.0.0/25", NULL, NULL, 0), 0); /* beside 10.0.0.0/24 */
	/* The default route makes no address a neighbour. */
	assert_int_equal(add(n, "10.7.0.0/16", "10.8.0.1", NULL, 0), -EINVAL);
	for (unsigned i = n->ip.nroutes; i < MR_ROUTES_MAX; i++) {
		struct mr_route r = { .dst = prefix("172.16.0.0/32") };

		r.dst.addr.b[15] = (uint8_t)i;
		assert_int_equal(mr_route_add(&n->ip, &r), 0);
	}
	assert_int_equal(add(n, "10.7.0.0/16", NULL, NULL, 0), -ENOSPC);
}

static void rfc6724_5_the_source_is_the_one_beside_the_next_hop(void **state)
{
	struct mr_prefix own[2] = { prefix("10.0.0.1/24"), prefix("10.1.0.1/24") };
	struct mr_addr src, far = addr("8.8.8.8"), near = addr("10.1.0.9");
	struct mr_addr v6 = addr("2001:db8::1");
	struct net *n = *state;

	assert_int_equal(mr_ip_init(&n->ip, &n->link, &n->rng, &n->ctr, own, 2, n->now), 0);
	assert_int_equal(mr_ip_source(&n->ip, &near, &src), 0);
	assert_true(mr_addr_eq(&src, &own[1].addr));
	assert_int_equal(mr_ip_source(&n->ip, &far, &src), -ENETUNREACH);
	assert_int_equal(mr_ip_source(&n->ip, &v6, &src), -ENETUNREACH);
	assert_int_equal(add(n, "0.0.0.0/0", "10.1.0.254", NULL, 0), 0);
	assert_int_equal(mr_ip_source(&n->ip, &far, &src), 0);
	assert_true(mr_addr_eq(&src, &own[1].addr));
}

static void rfc1122_3_3_1_a_destination_is_its_neighbour_and_mtu(void **state)
{
	struct mr_addr near = addr("10.0.0.9"), far = addr("192.168.1.1"), gw = addr("10.0.0.254");
	struct net *n = *state;
	struct mr_dst dst = { 0 };

	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &near, n->now), 0);
	assert_true(mr_addr_eq(&dst.neigh->addr, &near));
	assert_int_equal(dst.mtu, NET_MTU);
	mr_dst_put(&n->ip, &dst);
	assert_null(dst.neigh);
	mr_dst_put(&n->ip, &dst);

	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &far, n->now), -ENETUNREACH);
	assert_int_equal(add(n, "192.168.0.0/16", "10.0.0.254", NULL, 1400), 0);
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &far, n->now), 0);
	assert_true(mr_addr_eq(&dst.neigh->addr, &gw));
	assert_int_equal(dst.mtu, 1400);
	mr_dst_put(&n->ip, &dst);

	assert_int_equal(add(n, "192.168.9.0/24", "10.0.0.254", NULL, 9000), 0);
	far = addr("192.168.9.1");
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &far, n->now), 0);
	assert_int_equal(dst.mtu, NET_MTU); /* never more than the interface's */
	mr_dst_put(&n->ip, &dst);
}

static void a_cached_destination_follows_the_table(void **state)
{
	struct mr_addr far = addr("192.168.1.1"), gw2 = addr("10.0.0.253");
	struct mr_prefix def = prefix("0.0.0.0/0");
	struct net *n = *state;
	struct mr_dst dst = { 0 };
	struct mr_neigh *first;

	assert_int_equal(add(n, "0.0.0.0/0", "10.0.0.254", NULL, 0), 0);
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &far, n->now), 0);
	first = dst.neigh;
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &far, n->now), 0);
	assert_int_equal(first->refs, 1);
	assert_int_equal(add(n, "192.168.0.0/16", "10.0.0.253", NULL, 0), 0);
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &far, n->now), 0);
	assert_true(mr_addr_eq(&dst.neigh->addr, &gw2));
	assert_int_equal(first->refs, 0);
	first = dst.neigh;
	assert_int_equal(mr_route_del(&n->ip, &n->ip.routes[1].dst), 0);
	assert_int_equal(mr_route_del(&n->ip, &def), 0);
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &far, n->now), -ENETUNREACH);
	assert_null(dst.neigh);
	assert_int_equal(first->refs, 0);
}

static void what_is_no_host_is_not_reached(void **state)
{
	static const struct {
		const char *dst;
		int err;
	} rows[] = {
		{ "10.0.0.1", -ENETUNREACH },	     { "10.0.0.255", -ENETUNREACH },
		{ "127.0.0.1", -ENETUNREACH },	     { "224.0.0.1", -ENETUNREACH },
		{ "255.255.255.255", -ENETUNREACH }, { "0.0.0.0", -ENETUNREACH },
		{ "2001:db8::1", -ENETUNREACH },
	};
	struct net *n = *state;

	assert_int_equal(add(n, "0.0.0.0/0", "10.0.0.254", NULL, 0), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_addr a = addr(rows[i].dst);
		struct mr_dst dst = { 0 };

		assert_int_equal(mr_dst_resolve(&n->ip, &dst, &a, n->now), rows[i].err);
	}
}

int main(void)
{
#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
	const struct CMUnitTest tests[] = {
		NET_TEST(own_addresses_are_checked),
		NET_TEST(two_addresses_of_one_subnet_share_its_route),
		NET_TEST(rfc1122_3_3_1_the_longest_prefix_wins_whatever_the_order),
		NET_TEST(routes_are_checked),
		NET_TEST(rfc6724_5_the_source_is_the_one_beside_the_next_hop),
		NET_TEST(rfc1122_3_3_1_a_destination_is_its_neighbour_and_mtu),
		NET_TEST(a_cached_destination_follows_the_table),
		NET_TEST(what_is_no_host_is_not_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
