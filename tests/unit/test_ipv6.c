// SPDX-License-Identifier: BSD-2-Clause
/* test_ipv6.c - IPv6 headers and extension headers in, headers out, source addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "../lib/net_fixture.h"
#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"

#define US   "2001:db8::1"
#define PEER "2001:db8::9"

static uint8_t packet[4096], sent[4096], message6[256], error6[256];

static void assert_dropped(struct net *n, enum mr_up up, enum mr_drop reason)
{
	assert_int_equal(up, MR_UP_DROP);
	assert_string_equal(mr_drop_name(n->reason), mr_drop_name(reason));
}

static void rfc8200_3_tcp_goes_up_with_what_ip_knows(void **state)
{
	uint8_t pay[64] = { 1, 2, 3 };
	struct mr_addr src = addr(PEER), dst = addr(US);
	struct net *n = *state;
	struct mr_frame *f;
	uint32_t len = build_ipv6(packet, PEER, US, IPPROTO_TCP, 61, pay, sizeof(pay));

	packet[14] = 0x6b; /* traffic class 0xb8, flow label 0x12345 */
	packet[15] = 0x81;
	packet[16] = 0x23;
	packet[17] = 0x45;
	memset(packet + len, 0xa5, 7); /* link-layer padding */
	assert_int_equal(net_input(n, net_frame(n, packet, len + 7, 0), &f), MR_UP_TCP);
	assert_true(mr_addr_eq(&n->rx.src, &src));
	assert_true(mr_addr_eq(&n->rx.dst, &dst));
	assert_int_equal(n->rx.proto, IPPROTO_TCP);
	assert_int_equal(n->rx.l4_len, sizeof(pay));
	assert_int_equal(n->rx.tos, 0xb8);
	assert_int_equal(n->rx.ttl, 61);
	assert_false(n->rx.csum_ok);
	assert_int_equal(f->pkt_len, sizeof(pay));
	assert_memory_equal(f->data, pay, sizeof(pay));
	mr_frame_put_chain(&n->frames, f);
}

static void rfc2464_7_headers_are_checked(void **state)
{
	static const struct {
		const char *name, *src, *dst;
		unsigned at; /* of the IPv6 header; 0: nothing is changed */
		uint8_t value;
		enum mr_drop reason;
	} rows[] = {
		{ "version 4", PEER, US, 40, 0x40, MR_DROP_IP_BAD_VERSION }, /* 40: stands for 0 */
		{ "longer than the frame", PEER, US, 5, 21, MR_DROP_IP_TRUNCATED },
		{ "to another", PEER, "2001:db8::2", 0, 0, MR_DROP_IP_NOT_OURS },
		{ "to a group of others", PEER, "ff02::fb", 0, 0, MR_DROP_ETH_NOT_OURS },
		{ "TCP to all nodes", PEER, "ff02::1", 0, 0, MR_DROP_IP_NOT_OURS },
		{ "TCP to our group", PEER, "ff02::1:ff00:1", 0, 0, MR_DROP_IP_NOT_OURS },
		{ "to a mapped address", PEER, "::ffff:10.0.0.1", 0, 0, MR_DROP_IP_NOT_OURS },
		{ "from a group", "ff02::1", US, 0, 0, MR_DROP_IP_MARTIAN_SRC },
		{ "from loopback", "::1", US, 0, 0, MR_DROP_IP_MARTIAN_SRC },
		{ "from nowhere", "::", US, 0, 0, MR_DROP_IP_MARTIAN_SRC },
		{ "from a mapped address", "::ffff:10.0.0.2", US, 0, 0, MR_DROP_IP_MARTIAN_SRC },
		{ "from us", "fe80::1", US, 0, 0, MR_DROP_IP_MARTIAN_SRC },
		{ "land", US, US, 0, 0, MR_DROP_IP_MARTIAN_SRC },
	};
	static const uint8_t pay[20];
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint32_t len = build_ipv6(packet, rows[i].src, rows[i].dst, IPPROTO_TCP, 64, pay,
					  sizeof(pay));

		if (rows[i].at)
			packet[14 + rows[i].at % 40] = rows[i].value;
		assert_dropped(n, net_input_bytes(n, packet, len), rows[i].reason);
	}
	for (uint32_t cut = 14; cut < 54; cut++) {
		build_ipv6(packet, PEER, US, IPPROTO_TCP, 64, pay, 0);
		assert_dropped(n, net_input_bytes(n, packet, cut), MR_DROP_IP_TRUNCATED);
	}
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 0);
}

/* An extension header: the first byte is filled in by the next one's number. */
struct ext {
	uint8_t kind, len8; /* 8-byte units beyond the first */
	uint8_t rest[6];    /* of the first 8 bytes; what is beyond is PadN */
};

static uint32_t build_ext(const char *dst, const struct ext *exts, unsigned nexts, uint8_t proto,
			  uint32_t l4_len)
{
	static uint8_t pay[2048];
	uint32_t at = 0;

	memset(pay, 0, sizeof(pay));
	for (unsigned i = 0; i < nexts; i++) {
		pay[at] = i + 1 < nexts ? exts[i + 1].kind : proto;
		pay[at + 1] = exts[i].len8;
		memcpy(pay + at + 2, exts[i].rest, 6);
		at += 8;
		for (unsigned k = 0; exts[i].kind != IPPROTO_FRAGMENT && k < exts[i].len8; k++) {
			pay[at] = 1;
			pay[at + 1] = 6;
			at += 8;
		}
	}
	memset(pay + at, 0xee, l4_len);
	return build_ipv6(packet, PEER, dst, nexts ? exts[0].kind : proto, 64, pay, at + l4_len);
}

#define PAD                                                                                        \
	{                                                                                          \
		1, 4                                                                               \
	}
#define HOP	IPPROTO_HOPOPTS
#define DEST	IPPROTO_DSTOPTS
#define ROUTE	IPPROTO_ROUTING
#define FRAG	IPPROTO_FRAGMENT
#define NO_ICMP 255

static void rfc8200_4_extension_headers_are_walked(void **state)
{
	static const struct {
		const char *name, *dst;
		struct ext ext[8];
		unsigned n;
		uint8_t proto;
		enum mr_drop reason; /* NONE: TCP goes up */
		uint8_t code;	     /* of the parameter problem that is answered, or NO_ICMP */
		uint32_t pointer;
	} rows[] = {
		{ "none", US, { { 0 } }, 0, IPPROTO_TCP, MR_DROP_NONE, NO_ICMP, 0 },
		{ "hop-by-hop", US, { { HOP, 0, PAD } }, 1, IPPROTO_TCP, MR_DROP_NONE, NO_ICMP, 0 },
		{ "long ones",
		  US,
		  { { HOP, 3, PAD }, { DEST, 31, PAD } },
		  2,
		  IPPROTO_TCP,
		  MR_DROP_NONE,
		  NO_ICMP,
		  0 },
		{ "Pad1 only",
		  US,
		  { { DEST, 0, { 0 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_NONE,
		  NO_ICMP,
		  0 },
		{ "all kinds",
		  US,
		  { { HOP, 0, PAD },
		    { DEST, 0, PAD },
		    { ROUTE, 0, { 0, 0 } },
		    { FRAG, 0, { 0 } },
		    { DEST, 0, PAD } },
		  5,
		  IPPROTO_TCP,
		  MR_DROP_NONE,
		  NO_ICMP,
		  0 },
		{ "six",
		  US,
		  { { DEST, 0, PAD },
		    { DEST, 0, PAD },
		    { DEST, 0, PAD },
		    { DEST, 0, PAD },
		    { DEST, 0, PAD },
		    { DEST, 0, PAD } },
		  6,
		  IPPROTO_TCP,
		  MR_DROP_NONE,
		  NO_ICMP,
		  0 },
		{ "seven",
		  US,
		  { { DEST, 0, PAD },
		    { DEST, 0, PAD },
		    { DEST, 0, PAD },
		    { DEST, 0, PAD },
		    { DEST, 0, PAD },
		    { DEST, 0, PAD },
		    { DEST, 0, PAD } },
		  7,
		  IPPROTO_TCP,
		  MR_DROP_IP_EXTHDR,
		  NO_ICMP,
		  0 },
		{ "hop-by-hop second",
		  US,
		  { { DEST, 0, PAD }, { HOP, 0, PAD } },
		  2,
		  IPPROTO_TCP,
		  MR_DROP_IP_OPTION,
		  1,
		  40 },
		{ "source route of type 0",
		  US,
		  { { ROUTE, 0, { 0, 1 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_IP_OPTION,
		  0,
		  42 },
		{ "source route at its end",
		  US,
		  { { ROUTE, 0, { 0, 0 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_NONE,
		  NO_ICMP,
		  0 },
		{ "segment routing",
		  US,
		  { { HOP, 0, PAD }, { ROUTE, 2, { 4, 3 } } },
		  2,
		  IPPROTO_TCP,
		  MR_DROP_IP_OPTION,
		  0,
		  50 },
		{ "option to skip",
		  US,
		  { { DEST, 0, { 0x1e, 4 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_NONE,
		  NO_ICMP,
		  0 },
		{ "option to discard",
		  US,
		  { { DEST, 0, { 0x5e, 4 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_IP_OPTION,
		  NO_ICMP,
		  0 },
		{ "option to report",
		  US,
		  { { DEST, 0, { 0, 0x9e, 3 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_IP_OPTION,
		  2,
		  43 },
		{ "option to report if not multicast",
		  US,
		  { { HOP, 0, { 0xde, 4 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_IP_OPTION,
		  2,
		  42 },
		{ "option to report, multicast",
		  "ff02::1",
		  { { DEST, 0, { 0x9e, 4 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_IP_OPTION,
		  2,
		  42 },
		{ "option to report if not, multicast",
		  "ff02::1",
		  { { HOP, 0, { 0xde, 4 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_IP_OPTION,
		  NO_ICMP,
		  0 },
		{ "option beyond its header",
		  US,
		  { { DEST, 0, { 1, 5 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_IP_EXTHDR,
		  NO_ICMP,
		  0 },
		{ "option without length",
		  US,
		  { { DEST, 0, { 1, 3, 0, 0, 0, 1 } } },
		  1,
		  IPPROTO_TCP,
		  MR_DROP_IP_EXTHDR,
		  NO_ICMP,
		  0 },
		{ "no next header",
		  US,
		  { { DEST, 0, PAD } },
		  1,
		  IPPROTO_NONE,
		  MR_DROP_IP_NO_NEXT,
		  NO_ICMP,
		  0 },
		{ "unknown", US, { { 0 } }, 0, IPPROTO_SCTP, MR_DROP_IP_PROTO, 1, 6 },
		{ "unknown behind two",
		  US,
		  { { HOP, 1, PAD }, { DEST, 0, PAD } },
		  2,
		  IPPROTO_AH,
		  MR_DROP_IP_PROTO,
		  1,
		  56 },
	};
	struct net *n = *state;

	net_learn6(n, PEER);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint32_t len = build_ext(rows[i].dst, rows[i].ext, rows[i].n, rows[i].proto, 24);
		enum mr_up up;

		n->now += MR_NS_PER_S / 10; /* for the limit of errors */
		up = net_input_bytes(n, packet, len);
		if (rows[i].reason == MR_DROP_NONE) {
			assert_int_equal(up, MR_UP_TCP);
			assert_int_equal(n->rx.l4_len, 24);
		} else {
			assert_dropped(n, up, rows[i].reason);
		}
		len = net_sent(n, sent, sizeof(sent));
		if (rows[i].code == NO_ICMP) {
			assert_int_equal(len, 0);
			continue;
		}
		assert_int_not_equal(len, 0);
		assert_int_equal(sent[54], 4);
		assert_int_equal(sent[55], rows[i].code);
		assert_memory_equal(sent + 58, "\0\0\0", 3);
		assert_int_equal(sent[61], rows[i].pointer);
	}
}

static void rfc8200_4_1_no_length_of_an_extension_header_is_believed(void **state)
{
	static const uint8_t kinds[] = { HOP, DEST, ROUTE, FRAG };
	struct net *n = *state;

	for (size_t k = 0; k < sizeof(kinds); k++) {
		for (unsigned room = 0; room < 40; room++) {
			for (unsigned len8 = 0; len8 < 256; len8 += len8 < 8 ? 1 : 31) {
				uint8_t pay[40] = { IPPROTO_TCP, (uint8_t)len8 };
				uint32_t need = kinds[k] == FRAG ? 8 : 8 + len8 * 8;
				uint32_t len =
					build_ipv6(packet, PEER, US, kinds[k], 64, pay, room);
				enum mr_up up = net_input_bytes(n, packet, len);

				if (room < need)
					assert_dropped(n, up, MR_DROP_IP_EXTHDR);
				else
					assert_int_equal(up, MR_UP_TCP);
			}
		}
	}
}

/* A packet whose L4 header is `ports` and 16 bytes more, sent to dst. Returns its flow label. */
static uint32_t send_flow(struct net *n, const char *src, const char *dst, const uint8_t ports[4],
			  struct mr_dst *d)
{
	struct mr_ip_tx tx = {
		.src = addr(src), .dst = addr(dst), .proto = IPPROTO_TCP, .tos = 0xb9, .ttl = 77
	};
	uint8_t l4[20] = { 0 };
	struct mr_frame *f;

	memcpy(l4, ports, 4);
	f = net_frame(n, l4, sizeof(l4), 0);
	assert_int_equal(mr_dst_resolve(&n->ip, d, &tx.dst, n->now), 0);
	assert_int_equal(mr_ip_output(&n->ip, f, &tx, d, n->now), 0);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 74);
	assert_int_equal(sent[14] >> 4, 6);
	assert_int_equal((sent[14] & 15) << 4 | sent[15] >> 4, 0xb9);
	assert_int_equal(sent[18] << 8 | sent[19], 20);
	assert_int_equal(sent[20], IPPROTO_TCP);
	assert_int_equal(sent[21], 77);
	assert_memory_equal(sent + 22, tx.src.b, 16);
	assert_memory_equal(sent + 38, tx.dst.b, 16);
	assert_memory_equal(sent + 54, l4, sizeof(l4));
	return (uint32_t)(sent[15] & 15) << 16 | (uint32_t)sent[16] << 8 | sent[17];
}

static void rfc6437_a_flow_has_its_label(void **state)
{
	static const uint8_t one[4] = { 0, 80, 200, 1 }, two[4] = { 0, 80, 200, 2 };
	struct mr_dst a = { 0 }, b = { 0 };
	struct net *n = *state;
	uint32_t label;

	net_learn6(n, PEER);
	label = send_flow(n, US, PEER, one, &a);
	assert_int_not_equal(label, 0);
	assert_int_equal(send_flow(n, US, PEER, one, &a), label);
	mr_dst_put(&n->ip, &a); /* the route is looked up anew: it stays the same */
	assert_int_equal(send_flow(n, US, PEER, one, &a), label);
	assert_int_not_equal(send_flow(n, US, PEER, two, &b), label);
	mr_dst_put(&n->ip, &a);
	mr_dst_put(&n->ip, &b);
}

static void output_is_refused_where_it_cannot_work(void **state)
{
	struct mr_ip_tx tx = {
		.src = addr(US), .dst = addr(PEER), .proto = IPPROTO_TCP, .ttl = 64
	};
	static uint8_t pay[NET_MTU];
	struct mr_dst dst = { 0 };
	struct net *n = *state;

	net_learn6(n, PEER);
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &tx.dst, n->now), 0);
	assert_int_equal(
		mr_ip_output(&n->ip, net_frame(n, pay, NET_MTU - 40, 0), &tx, &dst, n->now), 0);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 14 + NET_MTU);
	assert_int_equal(
		mr_ip_output(&n->ip, net_frame(n, pay, NET_MTU - 39, 0), &tx, &dst, n->now),
		-EMSGSIZE);
	assert_int_equal(n->ctr.drop[MR_DROP_IP_TOO_BIG], 1);
	tx.src = addr("10.0.0.1");
	assert_int_equal(mr_ip_output(&n->ip, net_frame(n, pay, 20, 0), &tx, &dst, n->now),
			 -EAFNOSUPPORT);
	mr_dst_put(&n->ip, &dst);
}

static void rfc6724_the_source_suits_the_destination(void **state)
{
	const struct mr_prefix own[4] = { prefix("fe80::1/64"), prefix("fd00::1/64"),
					  prefix("2001:db8::1/64"), prefix("10.0.0.1/24") };
	static const struct {
		const char *dst, *src;
	} rows[] = {
		{ "fe80::9", "fe80::1" },   { "2001:db8::9", "2001:db8::1" },
		{ "fd00::9", "fd00::1" },   { "2600::9", "2001:db8::1" },
		{ "fd00:1::9", "fd00::1" }, { "10.0.0.9", "10.0.0.1" },
	};
	struct mr_route def = { .dst = prefix("::/0"), .gateway = addr("fe80::9") };
	struct mr_addr src, away = addr("192.0.2.1");
	struct net n;

	(void)state;
	net_open_raw(&n, own, 4);
	assert_int_equal(mr_route_add(&n.ip, &def), 0);
	for (int settled = 0; settled <= 1; settled++) {
		for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
			struct mr_addr dst = addr(rows[i].dst);
			char text[MR_ADDR_STRLEN];

			assert_int_equal(mr_ip_source(&n.ip, &dst, &src), 0);
			assert_string_equal(mr_addr_format(&src, text, sizeof(text)), rows[i].src);
		}
		net_run(&n, n.now + 20 * MR_NS_PER_S);
	}
	assert_int_equal(mr_ip_source(&n.ip, &away, &src), -ENETUNREACH);
	while (net_sent(&n, sent, sizeof(sent)))
		;
	net_close(&n);
}

static void rfc4007_2_5_what_is_no_host_is_not_reached(void **state)
{
	static const char *const rows[] = { US, "fe80::1", "ff02::1", "::1", "::", "2600::1" };
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_addr a = addr(rows[i]);
		struct mr_dst dst = { 0 };

		assert_int_equal(mr_dst_resolve(&n->ip, &dst, &a, n->now), -ENETUNREACH);
	}
}

/* Put the right checksum into an ICMPv6 message that stands right behind the IPv6 header. */
static void mend_csum(uint32_t len)
{
	struct mr_addr src, dst;
	uint16_t csum;

	if (packet[20] != IPPROTO_ICMPV6 || len < 54 + 8)
		return;
	memcpy(src.b, packet + 22, 16);
	memcpy(dst.b, packet + 38, 16);
	memset(packet + 56, 0, 2);
	csum = (uint16_t)~mr_csum_fold(mr_csum_add(mr_csum(packet + 54, len - 54),
						   mr_csum_pseudo(&src, &dst, 58, len - 54)));
	memcpy(packet + 56, &csum, 2);
}

/* Sound packets of all kinds with a few bytes changed or the end cut off. What is claimed: nothing
 * breaks, every frame comes back, and every drop has a reason. */
static void no_damaged_packet_does_harm(void **state)
{
	static const uint8_t opts[] = { 0, 1, 2, 5, 14 };
	static const char *const dsts[] = { US, "fe80::1", "ff02::1", "ff02::1:ff00:1" };
	/* The last one is an option in a router advertisement: an MTU of 1400. */
	static const char *const targets[] = { US, "fe80::9", "2001:db8::501:0:0:578" };
	struct net *n = *state;
	struct mr_rng rng;

	mr_rng_init(&rng, 7);
	for (unsigned i = 0; i < 100000; i++) {
		const char *dst = dsts[mr_rng_below(&rng, 4)];
		struct ext exts[4];
		uint32_t len, changes = mr_rng_below(&rng, 4);
		enum mr_up up;

		switch (mr_rng_below(&rng, 3)) {
		case 0:
			len = build_nd(packet, mr_rng_below(&rng, 4) ? "fe80::9" : "::", dst,
				       (uint8_t)(133 + mr_rng_below(&rng, 5)),
				       (uint32_t)mr_rng_u64(&rng), targets[mr_rng_below(&rng, 3)],
				       opts[mr_rng_below(&rng, 5)], peer_mac);
			break;
		case 1:
			for (int k = 0; k < 4; k++)
				exts[k] = (struct ext){ (uint8_t[]){ HOP, DEST, ROUTE,
								     FRAG }[mr_rng_below(&rng, 4)],
							(uint8_t)mr_rng_below(&rng, 3), PAD };
			len = build_ext(dst, exts, mr_rng_below(&rng, 5), IPPROTO_TCP, 24);
			break;
		default:
			len = build_ipv6(message6, US, "2600::9", IPPROTO_TCP, 64, message6, 20);
			len = build_icmp6(error6, PEER, dst, (uint8_t)mr_rng_below(&rng, 6), 0,
					  1400, message6 + 14, len - 14);
			len = build_ipv6(packet, PEER, dst, IPPROTO_ICMPV6, 64, error6, len);
			break;
		}
		while (changes--)
			packet[14 + mr_rng_below(&rng, len - 14)] = (uint8_t)mr_rng_u64(&rng);
		if (!mr_rng_below(&rng, 8))
			len = 14 + mr_rng_below(&rng, len - 14);
		if (mr_rng_below(&rng, 4))
			mend_csum(len);
		n->reason = MR_DROP_NONE;
		up = net_input(n, net_frame(n, packet, len, mr_rng_below(&rng, 8) ? 0 : 64), NULL);
		assert_true(up != MR_UP_DROP || n->reason != MR_DROP_NONE);
		net_run(n, n->now + MR_NS_PER_MS);
		while (net_sent(n, sent, sizeof(sent)))
			;
	}
	net_run(n, n->now + 20000 * MR_NS_PER_S); /* what waited for neighbours, and routers */
	while (net_sent(n, sent, sizeof(sent)))
		;
}

int main(void)
{
#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, net_setup6, net_teardown)
	const struct CMUnitTest tests[] = {
		NET_TEST(rfc8200_3_tcp_goes_up_with_what_ip_knows),
		NET_TEST(rfc2464_7_headers_are_checked),
		NET_TEST(rfc8200_4_extension_headers_are_walked),
		NET_TEST(rfc8200_4_1_no_length_of_an_extension_header_is_believed),
		NET_TEST(rfc6437_a_flow_has_its_label),
		NET_TEST(output_is_refused_where_it_cannot_work),
		cmocka_unit_test(rfc6724_the_source_suits_the_destination),
		NET_TEST(rfc4007_2_5_what_is_no_host_is_not_reached),
		NET_TEST(no_damaged_packet_does_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
