// SPDX-License-Identifier: BSD-2-Clause
/* test_pmtu.c - the cache of path MTUs: what goes in, what comes out, and that it ends. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "../lib/net_fixture.h"
#include "base/addr.h"
#include "base/compiler.h"
#include "base/time.h"

static uint32_t mtu_to(struct net *n, const struct mr_addr *daddr)
{
	struct mr_dst dst = { 0 };
	uint32_t mtu;

	assert_int_equal(mr_dst_resolve(&n->ip, &dst, daddr, n->now), 0);
	mtu = dst.mtu;
	mr_dst_put(&n->ip, &dst);
	return mtu;
}

static void rfc1191_3_what_is_learnt_holds_for_that_destination(void **state)
{
	struct mr_addr one = addr("10.0.0.9"), other = addr("10.0.0.8");
	struct net *n = *state;

	assert_true(mr_pmtu_learn(&n->ip, &one, 1400, n->now));
	assert_int_equal(mtu_to(n, &one), 1400);
	assert_int_equal(mtu_to(n, &other), NET_MTU);
	assert_false(mr_pmtu_learn(&n->ip, &one, 1450, n->now)); /* it was less already */
	assert_true(mr_pmtu_learn(&n->ip, &one, 1300, n->now));
	assert_int_equal(mtu_to(n, &one), 1300);
	assert_int_equal(n->ctr.c[MR_CTR_IP_PMTU_LEARNT], 2);
}

static void rfc1191_6_3_it_is_forgotten_and_holders_notice(void **state)
{
	struct mr_addr one = addr("10.0.0.9");
	struct net *n = *state;
	struct mr_dst dst = { 0 };

	assert_true(mr_pmtu_learn(&n->ip, &one, 1400, n->now));
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &one, n->now), 0);
	assert_int_equal(dst.mtu, 1400);
	n->now += (MR_PMTU_AGE_S - 1) * MR_NS_PER_S;
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &one, n->now), 0);
	assert_int_equal(dst.mtu, 1400);
	n->now += 2 * MR_NS_PER_S;
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &one, n->now), 0);
	assert_int_equal(dst.mtu, NET_MTU);
	mr_dst_put(&n->ip, &dst);
}

static void what_no_path_may_be_accused_of_is_not_believed(void **state)
{
	struct mr_addr v4 = addr("10.0.0.9");
	struct net *n = *state;

	mr_pmtu_learn(&n->ip, &v4, 68, n->now);
	assert_int_equal(mtu_to(n, &v4), MR_PMTU_MIN4);
}

static void rfc1191_7_1_plateaus(void **state)
{
	static const uint32_t rows[][2] = {
		{ 65535, 32000 }, { 9000, 8166 }, { 1500, 1492 },
		{ 1492, 1006 },	  { 1006, 576 },  { 576, 576 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++)
		assert_int_equal(mr_pmtu_guess(rows[i][0]), rows[i][1]);
}

/* However many destinations: the memory is that of the cache, and the newest are in it. */
static void many_destinations_take_the_place_of_old_ones(void **state)
{
	struct net *n = *state;
	unsigned known = 0;

	for (uint32_t i = 0; i < 100000; i++) {
		struct mr_addr a = mr_addr_v4(0x0b000000u + i);

		mr_pmtu_learn(&n->ip, &a, 1400, n->now);
		n->now += MR_NS_PER_MS;
	}
	for (unsigned s = 0; s < MR_PMTU_SETS; s++)
		for (unsigned w = 0; w < MR_PMTU_WAYS; w++)
			known += n->ip.pmtu[s][w].until_s > n->now / MR_NS_PER_S;
	assert_int_equal(known, MR_PMTU_SETS * MR_PMTU_WAYS);
}

#define NET_TEST(f) cmocka_unit_test_setup_teardown(f, net_setup, net_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(rfc1191_3_what_is_learnt_holds_for_that_destination),
		NET_TEST(rfc1191_6_3_it_is_forgotten_and_holders_notice),
		NET_TEST(what_no_path_may_be_accused_of_is_not_believed),
		NET_TEST(rfc1191_7_1_plateaus),
		NET_TEST(many_destinations_take_the_place_of_old_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
