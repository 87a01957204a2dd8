// SPDX-License-Identifier: BSD-2-Clause
/* test_neigh_kernel.c - neighbours that the kernel knows: what it is asked, and what follows from what it
 * says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>
#include "../lib/net_fixture.h"
#include "base/addr.h"
#include "link/link_priv.h"

#define SEC MR_NS_PER_S

static const uint8_t other_mac[6] = { 0x02, 0, 0, 0, 0, 0x77 };

static struct mr_neigh *get(struct net *n, const char *text)
{
	struct mr_addr a = addr(text);
	struct mr_neigh *neigh = mr_neigh_get(&n->link, &a, n->now);

	assert_non_null(neigh);
	return neigh;
}

/* One IP packet; version says of which family. */
static int output(struct net *n, struct mr_neigh *neigh, uint8_t version)
{
	uint8_t buf[30] = { (uint8_t)(version << 4) };

	return mr_link_output(&n->link, net_frame(n, buf, sizeof(buf), 0), neigh,
			      version == 4 ? ETH_P_IP : ETH_P_IPV6, n->now);
}

static struct mr_neigh *learn(struct net *n, struct mr_neigh *neigh, enum mr_neigh_state state,
			      const uint8_t *mac)
{
	static const uint8_t none[6];

	return mr_neigh_learned(&n->link, &neigh->addr, state, false, mac ? mac : none, n->now);
}

static void forget(struct net *n, struct mr_neigh *neigh)
{
	assert_null(mr_neigh_learned(&n->link, &neigh->addr, MR_NEIGH_INCOMPLETE, true, peer_mac,
				     n->now));
}

static void expect_ask(struct net *n, const struct mr_neigh *neigh, enum mr_neigh_ask want)
{
	enum mr_neigh_ask ask;

	assert_ptr_equal(mr_neigh_next_ask(&n->link, &ask), neigh);
	assert_int_equal(ask, want);
}

static void expect_no_ask(struct net *n)
{
	enum mr_neigh_ask ask;

	assert_null(mr_neigh_next_ask(&n->link, &ask));
}

static void expect_sent(struct net *n, const uint8_t *mac, uint16_t type)
{
	uint8_t buf[64], want[14];

	build_eth(want, mac, net_mac, type);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 44);
	assert_memory_equal(buf, want, 14);
}

static void expect_nothing_sent(struct net *n)
{
	assert_null(mr_netif_txq_peek(&n->nif));
}

static void a_missing_neighbour_is_asked_for_once_and_packets_wait(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	assert_int_equal(output(n, neigh, 4), 0);
	assert_int_equal(output(n, neigh, 4), 0);
	expect_ask(n, neigh, MR_NEIGH_USE);
	expect_no_ask(n);
	expect_nothing_sent(n);					 /* no ARP of ours */
	assert_null(learn(n, neigh, MR_NEIGH_INCOMPLETE, NULL)); /* it is on it */
	expect_nothing_sent(n);
	assert_null(learn(n, neigh, MR_NEIGH_REACHABLE, peer_mac));
	expect_sent(n, peer_mac, ETH_P_IP);
	expect_sent(n, peer_mac, ETH_P_IP);
	assert_int_equal(output(n, neigh, 4), 0);
	expect_sent(n, peer_mac, ETH_P_IP);
	expect_no_ask(n);
	mr_neigh_put(&n->link, neigh);
}

static void an_ipv4_packet_may_wait_for_a_next_hop_of_ipv6(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "fe80::1");

	assert_int_equal(output(n, neigh, 4), 0);
	assert_int_equal(output(n, neigh, 6), 0);
	expect_ask(n, neigh, MR_NEIGH_USE);
	assert_null(learn(n, neigh, MR_NEIGH_REACHABLE, peer_mac));
	expect_sent(n, peer_mac, ETH_P_IP);
	expect_sent(n, peer_mac, ETH_P_IPV6);
	mr_neigh_put(&n->link, neigh);
}

static void when_the_kernel_gives_up_the_waiting_packets_fail(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	assert_int_equal(output(n, neigh, 4), 0);
	expect_ask(n, neigh, MR_NEIGH_USE);
	n->now += MR_NEIGH_ANSWER_NS;
	assert_ptr_equal(learn(n, neigh, MR_NEIGH_FAILED, NULL), neigh);
	assert_int_equal(n->ctr.drop[MR_DROP_NEIGH_FAILED], 1);
	assert_int_equal(output(n, neigh, 4), -EHOSTUNREACH);
	net_run(n, n->now + MR_NEIGH_FAILED_NS + SEC / 10);
	assert_int_equal(output(n, neigh, 4), 0); /* and is asked anew */
	expect_ask(n, neigh, MR_NEIGH_USE);
	n->now += MR_NEIGH_ANSWER_NS;
	assert_ptr_equal(learn(n, neigh, MR_NEIGH_FAILED, NULL), neigh);
	mr_neigh_put(&n->link, neigh);
}

static void a_kernel_that_says_nothing_is_asked_each_second_and_then_no_more(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");
	unsigned asks = 0;

	assert_int_equal(output(n, neigh, 4), 0);
	for (int s = 0; s < 20 && neigh->state == MR_NEIGH_INCOMPLETE; s++) {
		enum mr_neigh_ask ask;

		asks += mr_neigh_next_ask(&n->link, &ask) != NULL;
		if (net_run(n, n->now + SEC))
			break;
	}
	assert_int_equal(asks, MR_NEIGH_KERNEL_ASKS);
	assert_int_equal(neigh->state, MR_NEIGH_FAILED);
	mr_neigh_put(&n->link, neigh);
}

/* `ip neigh flush` makes the kernel say FAILED, and then that the entry is gone. */
static void a_flushed_neighbour_is_asked_for_again_and_fails_nobody(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	assert_int_equal(output(n, neigh, 4), 0);
	expect_ask(n, neigh, MR_NEIGH_USE);
	assert_null(learn(n, neigh, MR_NEIGH_REACHABLE, peer_mac));
	expect_sent(n, peer_mac, ETH_P_IP);
	assert_null(learn(n, neigh, MR_NEIGH_FAILED, NULL));
	forget(n, neigh);
	expect_no_ask(n); /* nobody needs it */
	assert_int_equal(output(n, neigh, 4), 0);
	expect_nothing_sent(n);
	expect_ask(n, neigh, MR_NEIGH_USE);
	assert_null(learn(n, neigh, MR_NEIGH_STALE, other_mac));
	expect_sent(n, other_mac, ETH_P_IP);
	mr_neigh_put(&n->link, neigh);
}

static void a_neighbour_flushed_while_packets_wait_is_asked_for_at_once(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	assert_int_equal(output(n, neigh, 4), 0);
	expect_ask(n, neigh, MR_NEIGH_USE);
	forget(n, neigh);
	expect_ask(n, neigh, MR_NEIGH_USE);
	/* And again, just after the kernel was asked: it had no time to look for the neighbour. */
	for (int i = 0; i < 20; i++) {
		assert_null(learn(n, neigh, MR_NEIGH_FAILED, NULL));
		expect_ask(n, neigh, MR_NEIGH_USE);
		forget(n, neigh);
		expect_ask(n, neigh, MR_NEIGH_USE);
		n->now += SEC / 50;
	}
	n->now += MR_NEIGH_ANSWER_NS;
	assert_ptr_equal(learn(n, neigh, MR_NEIGH_FAILED, NULL), neigh);
	mr_neigh_put(&n->link, neigh);
}

static void a_stale_neighbour_is_used_and_the_kernel_told_once_in_five_seconds(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	assert_null(learn(n, neigh, MR_NEIGH_STALE, peer_mac));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++) {
			assert_int_equal(output(n, neigh, 4), 0);
			expect_sent(n, peer_mac, ETH_P_IP);
		}
		expect_ask(n, neigh, MR_NEIGH_USE);
		expect_no_ask(n);
		assert_null(net_run(n, n->now + MR_NEIGH_DELAY_NS + SEC / 10));
	}
	mr_neigh_put(&n->link, neigh);
}

static void the_upper_layers_progress_is_told_to_the_kernel_once_a_second(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	assert_null(learn(n, neigh, MR_NEIGH_REACHABLE, peer_mac));
	n->now += 2 * SEC; /* its address has settled */
	mr_neigh_confirm(&n->link, neigh, n->now);
	expect_no_ask(n); /* it knows */
	assert_null(learn(n, neigh, MR_NEIGH_STALE, peer_mac));
	assert_int_equal(output(n, neigh, 4), 0);
	mr_neigh_confirm(&n->link, neigh, n->now);
	mr_neigh_confirm(&n->link, neigh, n->now);
	expect_ask(n, neigh, MR_NEIGH_CONFIRM); /* instead of the check that the use asked for */
	expect_no_ask(n);
	assert_null(learn(n, neigh, MR_NEIGH_PROBE, peer_mac)); /* it does not believe it */
	mr_neigh_confirm(&n->link, neigh, n->now + SEC / 2);
	expect_no_ask(n);
	mr_neigh_confirm(&n->link, neigh, n->now + SEC);
	expect_ask(n, neigh, MR_NEIGH_CONFIRM);
	expect_sent(n, peer_mac, ETH_P_IP);
	mr_neigh_put(&n->link, neigh);
}

static void a_probe_that_fails_makes_the_next_packet_ask_everybody(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	assert_null(learn(n, neigh, MR_NEIGH_DELAY, peer_mac));
	assert_null(learn(n, neigh, MR_NEIGH_PROBE, peer_mac));
	assert_int_equal(output(n, neigh, 4), 0);
	expect_sent(n, peer_mac, ETH_P_IP);
	assert_null(learn(n, neigh, MR_NEIGH_FAILED, NULL));
	expect_no_ask(n);
	assert_int_equal(output(n, neigh, 4), 0);
	expect_nothing_sent(n);
	expect_ask(n, neigh, MR_NEIGH_USE);
	assert_null(learn(n, neigh, MR_NEIGH_REACHABLE, other_mac));
	expect_sent(n, other_mac, ETH_P_IP);
	mr_neigh_put(&n->link, neigh);
}

static void strangers_are_ignored_and_a_move_is_followed(void **state)
{
	struct net *n = *state;
	struct mr_addr stranger = addr("10.0.0.3");
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	assert_null(
		mr_neigh_learned(&n->link, &stranger, MR_NEIGH_FAILED, false, peer_mac, n->now));
	assert_null(mr_neigh_find(&n->link, &stranger));
	assert_null(learn(n, neigh, MR_NEIGH_REACHABLE, peer_mac));
	assert_null(learn(n, neigh, MR_NEIGH_STALE, other_mac));
	assert_int_equal(output(n, neigh, 4), 0);
	expect_sent(n, other_mac, ETH_P_IP);
	/* An ACK may have been sent to the old one. */
	mr_neigh_confirm(&n->link, neigh, n->now + SEC / 2);
	expect_ask(n, neigh, MR_NEIGH_USE);
	mr_neigh_put(&n->link, neigh);
}

static void after_lost_news_the_kernel_is_asked_for_what_is_in_use(void **state)
{
	struct net *n = *state;
	struct mr_neigh *used = get(n, "10.0.0.2"), *unused = get(n, "10.0.0.3");

	assert_null(learn(n, used, MR_NEIGH_REACHABLE, peer_mac));
	assert_null(learn(n, unused, MR_NEIGH_REACHABLE, peer_mac));
	mr_neigh_put(&n->link, unused);
	mr_neigh_ask_all(&n->link, n->now);
	expect_ask(n, used, MR_NEIGH_USE);
	expect_no_ask(n);
	assert_int_equal(output(n, used, 4), 0); /* what is known is used meanwhile */
	expect_sent(n, peer_mac, ETH_P_IP);
	unused = get(n, "10.0.0.3");
	assert_int_equal(output(n, unused, 4), 0);
	expect_nothing_sent(n);
	expect_ask(n, unused, MR_NEIGH_USE);
	assert_null(learn(n, unused, MR_NEIGH_REACHABLE, peer_mac));
	expect_sent(n, peer_mac, ETH_P_IP);
	mr_neigh_put(&n->link, unused);
	mr_neigh_put(&n->link, used);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup_shared, net_teardown)
	const struct CMUnitTest tests[] = {
		T(a_missing_neighbour_is_asked_for_once_and_packets_wait),
		T(an_ipv4_packet_may_wait_for_a_next_hop_of_ipv6),
		T(when_the_kernel_gives_up_the_waiting_packets_fail),
		T(a_kernel_that_says_nothing_is_asked_each_second_and_then_no_more),
		T(a_flushed_neighbour_is_asked_for_again_and_fails_nobody),
		T(a_neighbour_flushed_while_packets_wait_is_asked_for_at_once),
		T(a_stale_neighbour_is_used_and_the_kernel_told_once_in_five_seconds),
		T(the_upper_layers_progress_is_told_to_the_kernel_once_a_second),
		T(a_probe_that_fails_makes_the_next_packet_ask_everybody),
		T(strangers_are_ignored_and_a_move_is_followed),
		T(after_lost_news_the_kernel_is_asked_for_what_is_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
