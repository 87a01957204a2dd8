// SPDX-License-Identifier: BSD-2-Clause
/* test_neigh.c - the neighbour cache: states, timers, packets that wait, eviction. */
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

static const uint8_t to_all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static struct mr_neigh *get(struct net *n, const char *text)
{
	struct mr_addr a = addr(text);
	struct mr_neigh *neigh = mr_neigh_get(&n->link, &a, n->now);

	assert_non_null(neigh);
	return neigh;
}

static int output(struct net *n, struct mr_neigh *neigh, uint8_t mark)
{
	uint8_t buf[30];

	memset(buf, mark, sizeof(buf));
	return mr_link_output(&n->link, net_frame(n, buf, sizeof(buf), 0), neigh, ETH_P_IP, n->now);
}

static void answer(struct net *n, const char *spa)
{
	uint8_t buf[64];
	uint32_t len = build_arp(buf, net_mac, 2, peer_mac, spa, net_mac, "10.0.0.1");

	assert_int_equal(net_input_bytes(n, buf, len), MR_UP_DONE);
}

static void assert_sent_request(struct net *n, const uint8_t *dst, const char *tpa)
{
	static const uint8_t nobody[6];
	uint8_t buf[64], want[64];
	uint32_t len = build_arp(want, dst, 1, net_mac, "10.0.0.1", nobody, tpa);

	assert_int_equal(net_sent(n, buf, sizeof(buf)), len);
	assert_memory_equal(buf, want, len);
}

static void assert_sent_packet(struct net *n, uint8_t mark)
{
	uint8_t buf[64], want[14];

	build_eth(want, peer_mac, net_mac, ETH_P_IP);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 44);
	assert_memory_equal(buf, want, 14);
	assert_int_equal(buf[14], mark);
}

static void assert_sent_nothing(struct net *n)
{
	assert_null(mr_netif_txq_peek(&n->nif));
}

static void rfc1122_2_3_2_2_packets_wait_for_the_answer_in_order(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(output(n, neigh, i), 0);
	assert_int_equal(neigh->state, MR_NEIGH_INCOMPLETE);
	assert_sent_request(n, to_all, "10.0.0.2"); /* one, not three */
	assert_sent_nothing(n);
	answer(n, "10.0.0.2");
	assert_int_equal(neigh->state, MR_NEIGH_REACHABLE);
	for (uint8_t i = 1; i <= 3; i++)
		assert_sent_packet(n, i);
	assert_int_equal(output(n, neigh, 4), 0);
	assert_sent_packet(n, 4);
	mr_neigh_put(&n->link, neigh);
}

static void a_waiting_packet_counts_as_being_sent_and_keeps_its_place(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");
	uint8_t bytes[30] = { 7 };
	struct mr_frame *f = net_frame(n, bytes, sizeof(bytes), 20),
			*later = net_frame(n, bytes, 9, 0);

	f->next = later; /* as a send buffer links them, with references of its own */
	mr_frame_hold(f);
	mr_frame_hold(f->frag);
	assert_int_equal(mr_link_output(&n->link, f, neigh, ETH_P_IP, n->now), 0);
	assert_int_equal(f->tx_refs, 1);
	assert_int_equal(f->frag->tx_refs, 1);
	assert_sent_request(n, to_all, "10.0.0.2");
	answer(n, "10.0.0.2");
	assert_int_equal(f->tx_refs, 1); /* now the transmit queue's */
	assert_ptr_equal(f->next, later);
	assert_sent_packet(n, 7);
	assert_int_equal(f->tx_refs, 0);
	assert_int_equal(f->refs, 1);
	mr_frame_put_chain(&n->frames, f);
	mr_frame_put(&n->frames, later);
	mr_neigh_put(&n->link, neigh);
}

static void rfc4861_7_3_2_no_answer_to_three_requests_fails_it_for_three_seconds(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");
	uint64_t start = n->now;

	assert_int_equal(output(n, neigh, 1), 0);
	assert_int_equal(output(n, neigh, 2), 0);
	assert_sent_request(n, to_all, "10.0.0.2");
	assert_null(net_run(n, start + SEC / 2));
	assert_sent_nothing(n);
	assert_null(net_run(n, start + 3 * SEC / 2));
	assert_sent_request(n, to_all, "10.0.0.2");
	assert_null(net_run(n, start + 5 * SEC / 2));
	assert_sent_request(n, to_all, "10.0.0.2");
	assert_ptr_equal(net_run(n, start + 7 * SEC / 2), neigh);
	assert_sent_nothing(n);
	assert_int_equal(neigh->state, MR_NEIGH_FAILED);
	assert_int_equal(n->ctr.drop[MR_DROP_NEIGH_FAILED], 2);
	assert_int_equal(n->ctr.c[MR_CTR_NEIGH_FAILED], 1);

	assert_int_equal(output(n, neigh, 3), -EHOSTUNREACH);
	assert_int_equal(n->ctr.drop[MR_DROP_NEIGH_FAILED], 3);
	assert_sent_nothing(n);
	net_run(n, start + 13 * SEC / 2);
	assert_int_equal(output(n, neigh, 4), 0);
	assert_sent_request(n, to_all, "10.0.0.2");
	answer(n, "10.0.0.2");
	assert_sent_packet(n, 4);
	mr_neigh_put(&n->link, neigh);
}

static void rfc1122_2_3_2_1_silence_makes_it_stale_and_use_makes_it_probe(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh;
	uint64_t start;

	net_resolve(n, "10.0.0.2");
	start = n->now;
	neigh = get(n, "10.0.0.2");
	net_run(n, start + 15 * SEC - SEC / 10); /* not before 0.5 * 30 s */
	assert_int_equal(neigh->state, MR_NEIGH_REACHABLE);
	net_run(n, start + 46 * SEC); /* not after 1.5 * 30 s */
	assert_int_equal(neigh->state, MR_NEIGH_STALE);
	assert_sent_nothing(n);

	start = n->now;
	assert_int_equal(output(n, neigh, 1), 0);
	assert_sent_packet(n, 1);
	assert_int_equal(neigh->state, MR_NEIGH_DELAY);
	net_run(n, start + 51 * SEC / 10);
	assert_int_equal(neigh->state, MR_NEIGH_PROBE);
	assert_sent_request(n, peer_mac, "10.0.0.2"); /* to that station only */
	assert_int_equal(output(n, neigh, 2), 0);
	assert_sent_packet(n, 2);
	answer(n, "10.0.0.2");
	assert_int_equal(neigh->state, MR_NEIGH_REACHABLE);
	mr_neigh_put(&n->link, neigh);
}

static void rfc1122_2_3_2_1_three_probes_without_an_answer_fail_it(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh;

	net_resolve(n, "10.0.0.2");
	neigh = get(n, "10.0.0.2");
	net_run(n, n->now + 46 * SEC);
	assert_int_equal(output(n, neigh, 1), 0);
	assert_sent_packet(n, 1);
	assert_ptr_equal(net_run(n, n->now + 5 * SEC + 31 * SEC / 10), neigh);
	for (int i = 0; i < 3; i++)
		assert_sent_request(n, peer_mac, "10.0.0.2");
	assert_sent_nothing(n);
	assert_int_equal(output(n, neigh, 2), -EHOSTUNREACH);
	mr_neigh_put(&n->link, neigh);
}

static void rfc4861_7_3_1_the_upper_layers_progress_confirms(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh;

	net_resolve(n, "10.0.0.2");
	neigh = get(n, "10.0.0.2");
	for (int i = 0; i < 20; i++) {
		net_run(n, n->now + 10 * SEC);
		assert_int_equal(neigh->state, MR_NEIGH_REACHABLE); /* 15 s from confirmation on */
		mr_neigh_confirm(&n->link, neigh, n->now);
		assert_int_equal(output(n, neigh, 1), 0);
		assert_sent_packet(n, 1);
		assert_int_equal(neigh->state, MR_NEIGH_REACHABLE);
	}
	net_run(n, n->now + 50 * SEC);
	assert_int_equal(output(n, neigh, 1), 0);
	assert_sent_packet(n, 1);
	assert_int_equal(neigh->state, MR_NEIGH_DELAY);
	mr_neigh_confirm(&n->link, neigh, n->now);
	assert_int_equal(neigh->state, MR_NEIGH_REACHABLE);
	net_run(n, n->now + 6 * SEC);
	assert_sent_nothing(n); /* DELAY's timer is gone */
	mr_neigh_put(&n->link, neigh);
}

/* A forged gratuitous ARP in mid-transfer: the ACKs that still arrive are answers to what went to the
 * true address. */
static void progress_does_not_confirm_an_address_that_has_just_changed(void **state)
{
	static const uint8_t forged[6] = { 2, 0, 0, 0, 0, 0x66 };
	struct net *n = *state;
	struct mr_addr a = addr("10.0.0.2");
	struct mr_neigh *neigh;

	net_resolve(n, "10.0.0.2");
	neigh = get(n, "10.0.0.2");
	net_run(n, n->now + SEC);
	mr_link_arp_note(&n->link, &a, forged, n->now);
	assert_int_equal(neigh->state, MR_NEIGH_STALE);
	mr_neigh_confirm(&n->link, neigh, n->now + SEC / 2);
	assert_int_equal(neigh->state, MR_NEIGH_STALE);
	net_run(n, n->now + 2 * SEC);
	mr_neigh_confirm(&n->link, neigh, n->now);
	assert_int_equal(neigh->state, MR_NEIGH_REACHABLE);
	mr_neigh_put(&n->link, neigh);
}

static void an_unresolved_neighbour_cannot_be_confirmed(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	mr_neigh_confirm(&n->link, neigh, n->now);
	assert_int_equal(neigh->state, MR_NEIGH_INCOMPLETE);
	assert_int_equal(output(n, neigh, 1), 0);
	assert_sent_request(n, to_all, "10.0.0.2");
	net_run(n, n->now + 4 * SEC);
	mr_neigh_put(&n->link, neigh);
}

static void a_request_of_the_peer_resolves_it_too(void **state)
{
	static const uint8_t nobody[6];
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");
	uint8_t buf[64];
	uint32_t len;

	assert_int_equal(output(n, neigh, 1), 0);
	assert_sent_request(n, to_all, "10.0.0.2");
	len = build_arp(buf, to_all, 1, peer_mac, "10.0.0.2", nobody, "10.0.0.1");
	assert_int_equal(net_input_bytes(n, buf, len), MR_UP_DONE);
	assert_int_equal(neigh->state, MR_NEIGH_DELAY); /* it hears us not, for all we know */
	assert_sent_packet(n, 1);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 42);
	mr_neigh_put(&n->link, neigh);
}

static void rfc1122_2_3_2_2_the_oldest_waiting_packet_makes_room(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	for (uint32_t i = 0; i < MR_NEIGH_QUEUE_MAX + 2; i++)
		assert_int_equal(output(n, neigh, (uint8_t)i), 0);
	assert_int_equal(neigh->waiting_count, MR_NEIGH_QUEUE_MAX);
	assert_int_equal(n->ctr.drop[MR_DROP_NEIGH_QUEUE_FULL], 2);
	assert_sent_request(n, to_all, "10.0.0.2");
	answer(n, "10.0.0.2");
	for (uint32_t i = 2; i < MR_NEIGH_QUEUE_MAX + 2; i++)
		assert_sent_packet(n, (uint8_t)i);
	assert_sent_nothing(n);
	mr_neigh_put(&n->link, neigh);
}

/* Whoever asks us in the name of many: the answers wait for neighbours that are not there. */
static void packets_that_wait_take_a_quarter_of_the_frames(void **state)
{
	const uint32_t room = NET_FRAMES / MR_NEIGH_WAITING_SHARE, each = 4;
	struct net *n = *state;
	struct mr_neigh *late, *first = get(n, "10.0.1.0");
	uint8_t buf[64];

	for (uint32_t i = 0; i < room; i++) {
		struct mr_addr a = mr_addr_v4(htonl(0x0a000100 + i / each));
		struct mr_neigh *neigh = mr_neigh_get(&n->link, &a, n->now);

		assert_int_equal(output(n, neigh, (uint8_t)i), 0);
		mr_neigh_put(&n->link, neigh);
		if (i % each == 0)
			assert_int_equal(net_sent(n, buf, sizeof(buf)), 42);
	}
	assert_int_equal(n->link.waiting, room);
	assert_int_equal(n->ctr.drop[MR_DROP_NEIGH_QUEUE_FULL], 0);
	/* One more of a neighbour that has some takes the place of its oldest; a new one is asked for. */
	assert_int_equal(output(n, first, 200), 0);
	assert_int_equal(first->waiting_count, each);
	late = get(n, "10.0.2.2");
	assert_int_equal(output(n, late, 1), 0);
	assert_int_equal(late->waiting_count, 0);
	assert_sent_request(n, to_all, "10.0.2.2");
	assert_int_equal(n->link.waiting, room);
	assert_int_equal(n->ctr.drop[MR_DROP_NEIGH_QUEUE_FULL], 2);
	mr_neigh_put(&n->link, first);
	mr_neigh_put(&n->link, late);
	for (unsigned s = 0; s < 10; s++) {
		net_run(n, n->now + SEC);
		while (mr_netif_txq_peek(&n->nif))
			net_sent(n, buf, sizeof(buf));
	}
	assert_int_equal(n->link.waiting, 0);
}

static void the_least_recently_used_unheld_entry_makes_room(void **state)
{
	struct net *n = *state;
	struct mr_addr a[3] = { addr("10.0.0.2"), addr("10.0.0.3"), addr("10.0.0.4") }, extra;
	struct mr_neigh *held = mr_neigh_get(&n->link, &a[0], n->now);

	for (uint32_t i = 1; i < MR_NEIGH_MAX; i++) {
		struct mr_addr x = mr_addr_v4(htonl(0x0a000002 + i));

		mr_neigh_put(&n->link, mr_neigh_get(&n->link, &x, n->now));
	}
	assert_int_equal(n->link.neighs.used, MR_NEIGH_MAX);
	mr_neigh_put(&n->link, mr_neigh_get(&n->link, &a[1], n->now)); /* used again: young */
	extra = addr("10.0.99.1");
	mr_neigh_put(&n->link, mr_neigh_get(&n->link, &extra, n->now));
	assert_int_equal(n->ctr.c[MR_CTR_NEIGH_EVICTED], 1);
	assert_ptr_equal(mr_neigh_find(&n->link, &a[0]), held);
	assert_non_null(mr_neigh_find(&n->link, &a[1]));
	assert_null(mr_neigh_find(&n->link, &a[2]));
	mr_neigh_put(&n->link, held);
}

static void a_cache_of_held_entries_is_full(void **state)
{
	struct net *n = *state;
	struct mr_addr x, learn = addr("10.0.0.2");
	static const uint8_t nobody[6];
	struct mr_neigh *first = NULL;
	uint8_t buf[64];
	uint32_t len;

	for (uint32_t i = 0; i < MR_NEIGH_MAX; i++) {
		struct mr_neigh *neigh;

		x = mr_addr_v4(htonl(0x0a010000 + i));
		neigh = mr_neigh_get(&n->link, &x, n->now);
		assert_non_null(neigh);
		first = first ? first : neigh;
	}
	x = addr("10.9.0.1");
	assert_null(mr_neigh_get(&n->link, &x, n->now));
	/* A request is answered all the same, just not learned. */
	len = build_arp(buf, to_all, 1, peer_mac, "10.0.0.2", nobody, "10.0.0.1");
	assert_int_equal(net_input_bytes(n, buf, len), MR_UP_DONE);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 42);
	assert_null(mr_neigh_find(&n->link, &learn));
	mr_neigh_put(&n->link, first);
	assert_non_null(mr_neigh_get(&n->link, &x, n->now));
}

static void an_evicted_entry_takes_its_packets_along(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");

	assert_int_equal(output(n, neigh, 1), 0);
	assert_sent_request(n, to_all, "10.0.0.2");
	mr_neigh_put(&n->link, neigh);
	for (uint32_t i = 0; i < MR_NEIGH_MAX; i++) {
		struct mr_addr x = mr_addr_v4(htonl(0x0a010000 + i));

		mr_neigh_put(&n->link, mr_neigh_get(&n->link, &x, n->now));
	}
	assert_int_equal(n->ctr.drop[MR_DROP_NEIGH_TABLE_FULL], 1);
	assert_int_equal(n->wheel.armed, 0);
}

static void without_a_frame_the_request_is_counted_as_dropped(void **state)
{
	struct net *n = *state;
	struct mr_neigh *neigh = get(n, "10.0.0.2");
	struct mr_frame *all[NET_FRAMES + 1] = { NULL };
	unsigned count = 0;

	while ((all[count] = mr_frame_get(&n->frames)))
		count++;
	assert_int_equal(mr_link_output(&n->link, all[--count], neigh, ETH_P_IP, n->now), 0);
	assert_int_equal(n->ctr.drop[MR_DROP_NO_FRAME], 1);
	while (count)
		mr_frame_put(&n->frames, all[--count]);
	net_run(n, n->now + 11 * SEC / 10);
	assert_sent_request(n, to_all, "10.0.0.2"); /* the next one gets through */
	answer(n, "10.0.0.2");
	mr_neigh_put(&n->link, neigh);
}

/* A process died: who holds what is not known, but where a neighbour is; of those that are on the free list nothing
 * is. */
static void a_salvage_remembers_where_neighbours_are_and_has_it_confirmed(void **state)
{
	struct net *n = *state;
	struct mr_addr known = addr("10.0.0.2"), asked = addr("10.0.0.3"), gone = addr("10.0.0.4");
	struct mr_neigh *neigh;

	(void)get(n, "10.0.0.2");
	answer(n, "10.0.0.2");
	(void)get(n, "10.0.0.3");
	mr_neigh_put(&n->link, get(n, "10.0.0.4"));
	answer(n, "10.0.0.4");
	for (uint32_t i = 0; i < MR_NEIGH_MAX; i++) { /* until it is evicted */
		struct mr_addr x = mr_addr_v4(htonl(0x0a010000 + i));

		if (mr_neigh_find(&n->link, &gone))
			mr_neigh_put(&n->link, mr_neigh_get(&n->link, &x, n->now));
	}
	assert_null(mr_neigh_find(&n->link, &gone));
	for (int deaths = 0; deaths < 2; deaths++) {
		mr_wheel_init(&n->wheel, n->now);
		mr_link_salvage(&n->link);
		assert_null(mr_neigh_find(&n->link, &asked));
		assert_null(mr_neigh_find(&n->link, &gone));
		assert_int_equal(n->link.neighs.used, 1);
		assert_ptr_equal(mr_list_first(&n->link.lru, struct mr_neigh, lru_node),
				 mr_neigh_find(&n->link, &known));
	}
	neigh = get(n, "10.0.0.2");
	assert_int_equal(neigh->refs, 1);
	assert_int_equal(output(n, neigh, 1), 0);
	assert_sent_packet(n, 1); /* at once */
	assert_sent_nothing(n);
	assert_int_equal(neigh->state, MR_NEIGH_DELAY);
	mr_neigh_put(&n->link, neigh);
}

int main(void)
{
#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
	const struct CMUnitTest tests[] = {
		NET_TEST(rfc1122_2_3_2_2_packets_wait_for_the_answer_in_order),
		NET_TEST(a_waiting_packet_counts_as_being_sent_and_keeps_its_place),
		NET_TEST(rfc4861_7_3_2_no_answer_to_three_requests_fails_it_for_three_seconds),
		NET_TEST(rfc1122_2_3_2_1_silence_makes_it_stale_and_use_makes_it_probe),
		NET_TEST(rfc1122_2_3_2_1_three_probes_without_an_answer_fail_it),
		NET_TEST(rfc4861_7_3_1_the_upper_layers_progress_confirms),
		NET_TEST(progress_does_not_confirm_an_address_that_has_just_changed),
		NET_TEST(an_unresolved_neighbour_cannot_be_confirmed),
		NET_TEST(a_request_of_the_peer_resolves_it_too),
		NET_TEST(rfc1122_2_3_2_2_the_oldest_waiting_packet_makes_room),
		NET_TEST(packets_that_wait_take_a_quarter_of_the_frames),
		NET_TEST(the_least_recently_used_unheld_entry_makes_room),
		NET_TEST(a_cache_of_held_entries_is_full),
		NET_TEST(an_evicted_entry_takes_its_packets_along),
		NET_TEST(without_a_frame_the_request_is_counted_as_dropped),
		NET_TEST(a_salvage_remembers_where_neighbours_are_and_has_it_confirmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
