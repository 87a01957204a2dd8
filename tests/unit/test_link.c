// SPDX-License-Identifier: BSD-2-Clause
/* test_link.c - Ethernet demultiplexing and ARP: who is answered, who is learned from. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/if_ether.h>
#include <string.h>
#include "../lib/net_fixture.h"
#include "base/addr.h"
#include "base/compiler.h"
#include "link/link_priv.h"

#define REQUEST 1
#define REPLY	2

static const uint8_t to_all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t other_mac[6] = { 0x02, 0, 0, 0, 0, 0x55 };
static const uint8_t nobody[6];

static void rfc894_frames_are_told_apart(void **state)
{
	static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0, 0, 1 };
	static const struct {
		const char *name;
		const uint8_t *dst;
		uint16_t type;
		uint8_t tags[8]; /* behind the type */
		uint32_t ntags, cut;
		enum mr_up up;
		enum mr_drop reason;
	} rows[] = {
		{ "IPv4", net_mac, ETH_P_IP, { 0 }, 0, 0, MR_UP_IPV4, 0 },
		{ "IPv6", net_mac, ETH_P_IPV6, { 0 }, 0, 0, MR_UP_IPV6, 0 },
		{ "other host",
		  other_mac,
		  ETH_P_IP,
		  { 0 },
		  0,
		  0,
		  MR_UP_DROP,
		  MR_DROP_ETH_NOT_OURS },
		{ "multicast", group, ETH_P_IP, { 0 }, 0, 0, MR_UP_DROP, MR_DROP_ETH_NOT_OURS },
		{ "IPv4 by broadcast",
		  to_all,
		  ETH_P_IP,
		  { 0 },
		  0,
		  0,
		  MR_UP_DROP,
		  MR_DROP_ETH_NOT_OURS },
		{ "unknown type", net_mac, 0x88cc, { 0 }, 0, 0, MR_UP_DROP, MR_DROP_ETH_TYPE },
		{ "802.3 length", net_mac, 100, { 0 }, 0, 0, MR_UP_DROP, MR_DROP_ETH_TYPE },
		{ "priority tag", net_mac, ETH_P_8021Q, { 0xe0, 0, 8, 0 }, 1, 0, MR_UP_IPV4, 0 },
		{ "VLAN 5",
		  net_mac,
		  ETH_P_8021Q,
		  { 0, 5, 8, 0 },
		  1,
		  0,
		  MR_UP_DROP,
		  MR_DROP_ETH_TYPE },
		{ "two priority tags",
		  net_mac,
		  ETH_P_8021AD,
		  { 0, 0, 0x81, 0, 0, 0, 0x86, 0xdd },
		  2,
		  0,
		  MR_UP_IPV6,
		  0 },
		{ "inner VLAN 1",
		  net_mac,
		  ETH_P_8021AD,
		  { 0, 0, 0x81, 0, 0, 1, 8, 0 },
		  2,
		  0,
		  MR_UP_DROP,
		  MR_DROP_ETH_TYPE },
		{ "tag cut short",
		  net_mac,
		  ETH_P_8021Q,
		  { 0 },
		  0,
		  17,
		  MR_UP_DROP,
		  MR_DROP_ETH_TRUNCATED },
		{ "header cut short",
		  net_mac,
		  ETH_P_IP,
		  { 0 },
		  0,
		  13,
		  MR_UP_DROP,
		  MR_DROP_ETH_TRUNCATED },
		{ "empty", net_mac, ETH_P_IP, { 0 }, 0, 1, MR_UP_DROP, MR_DROP_ETH_TRUNCATED },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t buf[64] = { 0 };
		uint32_t len = build_eth(buf, rows[i].dst, peer_mac, rows[i].type);
		enum mr_drop reason = MR_DROP_NONE;
		struct mr_frame *f;

		memcpy(buf + len, rows[i].tags, rows[i].ntags * 4);
		len += rows[i].ntags * 4;
		f = net_frame(n, buf, rows[i].cut ? rows[i].cut : len + 20, 0);
		assert_int_equal(mr_link_input(&n->link, f, n->now, &reason), rows[i].up);
		assert_int_equal(reason, rows[i].reason);
		if (rows[i].up != MR_UP_DROP)
			assert_int_equal(f->pkt_len, 20);
		mr_frame_put_chain(&n->frames, f);
	}
}

static void rfc826_a_request_for_us_is_answered_and_learned(void **state)
{
	struct net *n = *state;
	struct mr_addr peer = addr("10.0.0.2");
	struct mr_neigh *neigh;
	uint8_t buf[64], want[64];
	uint32_t len = build_arp(buf, to_all, REQUEST, peer_mac, "10.0.0.2", nobody, "10.0.0.1");

	assert_int_equal(net_input_bytes(n, buf, len), MR_UP_DONE);
	len = build_arp(want, peer_mac, REPLY, net_mac, "10.0.0.1", peer_mac, "10.0.0.2");
	assert_int_equal(net_sent(n, buf, sizeof(buf)), len);
	assert_memory_equal(buf, want, len);
	neigh = mr_neigh_find(&n->link, &peer);
	assert_non_null(neigh);
	assert_int_equal(neigh->state, MR_NEIGH_STALE);
	assert_memory_equal(neigh->mac, peer_mac, 6);
	assert_int_equal(n->ctr.c[MR_CTR_ARP_REQUESTS_IN], 1);
	assert_int_equal(n->ctr.c[MR_CTR_ARP_REPLIES_OUT], 1);
}

static void rfc5227_1_1_a_probe_for_our_address_is_answered_but_not_learned(void **state)
{
	struct net *n = *state;
	struct mr_addr any = addr("0.0.0.0");
	uint8_t buf[64];
	uint32_t len = build_arp(buf, to_all, REQUEST, peer_mac, "0.0.0.0", nobody, "10.0.0.1");

	assert_int_equal(net_input_bytes(n, buf, len), MR_UP_DONE);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 42);
	assert_int_equal(buf[21], REPLY);
	assert_null(mr_neigh_find(&n->link, &any));
	assert_int_equal(n->link.neighs.used, 0);
}

static void rfc826_who_did_not_ask_for_us_is_not_learned(void **state)
{
	static const struct {
		uint16_t op;
		const char *spa, *tpa;
		enum mr_up up;
		enum mr_drop reason;
	} rows[] = {
		{ REQUEST, "10.0.0.2", "10.0.0.3", MR_UP_DROP, MR_DROP_ARP_NOT_OURS },
		{ REPLY, "10.0.0.2", "10.0.0.3", MR_UP_DROP, MR_DROP_ARP_NOT_OURS },
		{ REPLY, "10.0.0.2", "10.0.0.1", MR_UP_DONE, MR_DROP_NONE }, /* nobody had asked */
		{ REQUEST, "10.0.0.2", "10.0.0.2", MR_UP_DONE, MR_DROP_NONE }, /* gratuitous */
		{ REPLY, "10.0.0.2", "10.0.0.2", MR_UP_DONE, MR_DROP_NONE },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t buf[64];
		uint32_t len = build_arp(buf, net_mac, rows[i].op, peer_mac, rows[i].spa, net_mac,
					 rows[i].tpa);

		assert_int_equal(net_input_bytes(n, buf, len), rows[i].up);
		if (rows[i].up == MR_UP_DROP)
			assert_int_equal(n->reason, rows[i].reason);
		assert_int_equal(n->link.neighs.used, 0);
		assert_int_equal(net_sent(n, buf, sizeof(buf)), 0);
	}
	assert_int_equal(n->ctr.c[MR_CTR_ARP_GRATUITOUS_IN], 2);
	assert_int_equal(n->ctr.c[MR_CTR_ARP_REPLIES_IN], 1);
}

static void a_gratuitous_arp_moves_a_known_neighbour(void **state)
{
	struct net *n = *state;
	struct mr_addr peer = addr("10.0.0.2");
	struct mr_neigh *neigh;
	uint8_t buf[64];
	uint32_t len;

	net_resolve(n, "10.0.0.2");
	neigh = mr_neigh_find(&n->link, &peer);
	len = build_arp(buf, to_all, REQUEST, peer_mac, "10.0.0.2", nobody, "10.0.0.2");
	assert_int_equal(net_input_bytes(n, buf, len), MR_UP_DONE);
	assert_int_equal(neigh->state, MR_NEIGH_REACHABLE); /* nothing new */
	len = build_arp(buf, to_all, REQUEST, other_mac, "10.0.0.2", nobody, "10.0.0.2");
	assert_int_equal(net_input_bytes(n, buf, len), MR_UP_DONE);
	assert_int_equal(neigh->state, MR_NEIGH_STALE);
	assert_memory_equal(neigh->mac, other_mac, 6);
	mr_link_arp_note(&n->link, &peer, peer_mac, n->now);
	assert_memory_equal(neigh->mac, peer_mac, 6);
}

static void rfc826_malformed_arp_is_dropped(void **state)
{
	static const struct {
		uint32_t off;
		uint8_t value;
	} rows[] = {
		{ 15, 6 },			       /* hardware type */
		{ 16, 0x86 },			       /* protocol type */
		{ 18, 8 },			       /* hardware address length */
		{ 19, 16 },			       /* protocol address length */
		{ 21, 0 },			       /* operation */
		{ 21, 3 },    { 20, 1 }, { 22, 0x03 }, /* sender's address is a group */
		{ 28, 127 },			       /* sender is loopback */
		{ 28, 224 },
	};
	struct net *n = *state;
	uint8_t buf[64];
	uint32_t len;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		len = build_arp(buf, to_all, REQUEST, peer_mac, "10.0.0.2", nobody, "10.0.0.1");
		buf[rows[i].off] = rows[i].value;
		assert_int_equal(net_input_bytes(n, buf, len), MR_UP_DROP);
		assert_int_equal(n->reason, MR_DROP_ARP_BAD);
	}
	for (uint32_t cut = 14; cut < 42; cut++) {
		build_arp(buf, to_all, REQUEST, peer_mac, "10.0.0.2", nobody, "10.0.0.1");
		assert_int_equal(net_input_bytes(n, buf, cut), MR_UP_DROP);
		assert_int_equal(n->reason, MR_DROP_ARP_BAD);
	}
	len = build_arp(buf, to_all, REQUEST, nobody, "10.0.0.2", nobody, "10.0.0.1");
	assert_int_equal(net_input_bytes(n, buf, len), MR_UP_DROP);
	assert_int_equal(n->reason, MR_DROP_ARP_BAD);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 0);
}

static void rfc5227_2_4_a_conflict_is_defended_once_in_ten_seconds(void **state)
{
	struct net *n = *state;
	uint8_t buf[64], claim[64], want[64];
	uint32_t len = build_arp(claim, to_all, REQUEST, peer_mac, "10.0.0.1", nobody, "10.0.0.1");
	uint32_t want_len =
		build_arp(want, to_all, REQUEST, net_mac, "10.0.0.1", nobody, "10.0.0.1");

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++) {
			assert_int_equal(net_input_bytes(n, claim, len), MR_UP_DROP);
			assert_int_equal(n->reason, MR_DROP_ARP_CONFLICT);
		}
		assert_int_equal(net_sent(n, buf, sizeof(buf)), want_len);
		assert_memory_equal(buf, want, want_len);
		assert_int_equal(net_sent(n, buf, sizeof(buf)), 0);
		net_run(n, n->now + 10 * MR_NS_PER_S);
	}
	/* Our own, come back through a loop, is no conflict. */
	assert_int_equal(net_input_bytes(n, want, want_len), MR_UP_DROP);
	assert_int_equal(n->reason, MR_DROP_ARP_NOT_OURS);
}

static void rfc5227_2_1_an_address_is_announced_twice_two_seconds_apart(void **state)
{
	struct net *n = *state;
	struct mr_addr own[2] = { addr("10.0.0.1"), addr("10.1.0.1") };
	uint64_t start = n->now;
	uint8_t buf[64];

	assert_int_equal(mr_link_init(&n->link, &n->arena, &n->nif, &n->wheel, &n->rng, &n->ctr,
				      own, 2, n->now),
			 0);
	net_run(n, start + MR_NS_PER_S);
	assert_int_equal(n->nif.txq_count, 2);
	net_run(n, start + 3 * MR_NS_PER_S);
	assert_int_equal(n->nif.txq_count, 4);
	net_run(n, start + 60 * MR_NS_PER_S);
	assert_int_equal(n->nif.txq_count, 4);
	assert_int_equal(n->ctr.c[MR_CTR_ARP_ANNOUNCE_OUT], 4);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 42);
	assert_memory_equal(buf, to_all, 6);
	assert_memory_equal(buf + 28, own[0].b + 12, 4);
	assert_memory_equal(buf + 38, own[0].b + 12, 4);
}

int main(void)
{
#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
	const struct CMUnitTest tests[] = {
		NET_TEST(rfc894_frames_are_told_apart),
		NET_TEST(rfc826_a_request_for_us_is_answered_and_learned),
		NET_TEST(rfc5227_1_1_a_probe_for_our_address_is_answered_but_not_learned),
		NET_TEST(rfc826_who_did_not_ask_for_us_is_not_learned),
		NET_TEST(a_gratuitous_arp_moves_a_known_neighbour),
		NET_TEST(rfc826_malformed_arp_is_dropped),
		NET_TEST(rfc5227_2_4_a_conflict_is_defended_once_in_ten_seconds),
		NET_TEST(rfc5227_2_1_an_address_is_announced_twice_two_seconds_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
