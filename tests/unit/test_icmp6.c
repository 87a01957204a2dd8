// SPDX-License-Identifier: BSD-2-Clause
/* test_icmp6.c - ICMPv6: echo, errors read and sent, one limit for both families. */
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
#define BIG  16384u

static uint8_t message[BIG], packet[BIG], sent[BIG], pay[BIG];

static uint32_t build(const char *src, const char *dst, uint8_t type, uint8_t code, uint32_t rest,
		      const void *bytes, uint32_t len)
{
	len = build_icmp6(message, src, dst, type, code, rest, bytes, len);
	return build_ipv6(packet, src, dst, IPPROTO_ICMPV6, 64, message, len);
}

static void fill(uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		pay[i] = (uint8_t)(i * 7 + (i >> 8));
}

/* What was sent is ICMPv6 from us to the peer with a good checksum. Returns its length. */
static uint32_t take_icmp(struct net *n)
{
	struct mr_addr us = addr(US), peer = addr(PEER);
	uint32_t len = net_sent(n, sent, sizeof(sent));

	if (!len)
		return 0;
	assert_memory_equal(sent, peer_mac, 6);
	assert_int_equal(sent[20], IPPROTO_ICMPV6);
	assert_int_equal(sent[18] << 8 | sent[19], len - 54);
	assert_memory_equal(sent + 22, us.b, 16);
	assert_memory_equal(sent + 38, peer.b, 16);
	assert_int_equal(mr_csum_fold(mr_csum_add(mr_csum(sent + 54, len - 54),
						  mr_csum_pseudo(&us, &peer, 58, len - 54))),
			 0xffff);
	return len - 54;
}

static void rfc4443_4_2_echo_requests_of_every_size_are_answered(void **state)
{
	struct net *n = *state;

	net_learn6(n, PEER);
	fill(NET_MTU);
	for (uint32_t len = 0; len <= NET_MTU - 48; len++) {
		assert_int_equal(
			net_input_bytes(n, packet, build(PEER, US, 128, 0, 0x12340001, pay, len)),
			MR_UP_DONE);
		assert_int_equal(take_icmp(n), 8 + len);
		assert_int_equal(sent[54], 129);
		assert_int_equal(sent[21], 64);
		assert_memory_equal(sent + 58, "\x12\x34\0\1", 4);
		assert_memory_equal(sent + 62, pay, len);
	}
	assert_int_equal(n->ctr.c[MR_CTR_ICMP_ECHO_IN], NET_MTU - 48 + 1);
	assert_int_equal(
		net_input(n,
			  net_frame(n, packet, build(PEER, US, 128, 0, 1, pay, NET_MTU - 47), 1536),
			  NULL),
		MR_UP_DONE);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 14 + 40 + 8 + 1448);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 14 + 40 + 8 + NET_MTU - 47 + 8 - 1448);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 0);
}

static void rfc4443_4_2_echo_works_over_chunks_of_any_length(void **state)
{
	static const uint32_t chunks[] = { 1100, 1101, 1536, 1792 };
	struct net *n = *state;

	n->nif.mtu = n->ip.mtu6 = 9000;
	net_learn6(n, PEER);
	fill(8952);
	for (size_t i = 0; i < MR_ARRAY_SIZE(chunks); i++) {
		uint32_t len = build(PEER, US, 128, 0, 7, pay, 8952 - (uint32_t)i);

		assert_int_equal(net_input(n, net_frame(n, packet, len, chunks[i]), NULL),
				 MR_UP_DONE);
		assert_int_equal(take_icmp(n), 8 + 8952 - i);
		assert_memory_equal(sent + 62, pay, 8952 - i);
	}
}

static void bad_icmp_is_dropped(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t len;
		bool corrupt;
		enum mr_drop reason;
	} rows[] = {
		{ 128, 30, true, MR_DROP_ICMP_BAD_CSUM }, { 128, 31, true, MR_DROP_ICMP_BAD_CSUM },
		{ 135, 30, true, MR_DROP_ICMP_BAD_CSUM }, { 129, 8, false, MR_DROP_ICMP_TYPE },
		{ 132, 16, false, MR_DROP_ICMP_TYPE },	  { 0, 60, false, MR_DROP_ICMP_TYPE },
		{ 5, 60, false, MR_DROP_ICMP_TYPE },	  { 255, 0, false, MR_DROP_ICMP_TYPE },
		{ 1, 0, false, MR_DROP_ICMP_TRUNCATED },  { 1, 47, false, MR_DROP_ICMP_TRUNCATED },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		static const uint8_t quote[64] = { 0x60 };
		uint32_t len = build(PEER, US, rows[i].type, 0, 0, quote, rows[i].len);

		if (rows[i].corrupt)
			packet[len - 1] ^= 1;
		assert_int_equal(net_input_bytes(n, packet, len), MR_UP_DROP);
		assert_string_equal(mr_drop_name(n->reason), mr_drop_name(rows[i].reason));
	}
	for (uint32_t cut = 0; cut < 8; cut++) {
		build_icmp6(message, PEER, US, 128, 0, 0, NULL, 0);
		assert_int_equal(
			net_input_bytes(n, packet,
					build_ipv6(packet, PEER, US, 58, 64, message, cut)),
			MR_UP_DROP);
		assert_int_equal(n->reason, MR_DROP_ICMP_TRUNCATED);
	}
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 0);
}

/* The IPv6 header and the first eight bytes of TCP that we sent to 2600::9. */
static void build_quote(uint8_t q[48])
{
	static const uint8_t tcp[8] = { 0x1f, 0x90, 0x00, 0x50, 0x89, 0xab, 0xcd, 0xef };
	uint8_t buf[64];

	build_ipv6(buf, US, "2600::9", IPPROTO_TCP, 64, tcp, sizeof(tcp));
	memcpy(q, buf + 14, 48);
}

static void rfc4443_3_errors_about_our_segments_are_read(void **state)
{
	static const struct {
		uint8_t type, code;
		uint32_t rest;
		int err;
		uint32_t mtu;
	} rows[] = {
		{ 1, 0, 0, -ENETUNREACH, 0 },	 { 1, 1, 0, -EACCES, 0 },
		{ 1, 2, 0, -EHOSTUNREACH, 0 },	 { 1, 3, 0, -EHOSTUNREACH, 0 },
		{ 1, 4, 0, -ECONNREFUSED, 0 },	 { 1, 5, 0, -EACCES, 0 },
		{ 1, 6, 0, -EACCES, 0 },	 { 1, 200, 0, -EPROTO, 0 },
		{ 2, 0, 1400, -EMSGSIZE, 1400 }, { 2, 0, 0x00010000, -EMSGSIZE, 0x10000 },
		{ 2, 0, 1280, -EMSGSIZE, 1280 }, { 3, 0, 0, -EHOSTUNREACH, 0 },
		{ 4, 0, 4, -EPROTO, 0 },	 { 4, 1, 6, -EPROTO, 0 },
	};
	struct mr_addr src = addr(US), dst = addr("2600::9");
	struct net *n = *state;
	uint8_t quote[48];

	build_quote(quote);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		assert_int_equal(net_input_bytes(n, packet,
						 build(PEER, US, rows[i].type, rows[i].code,
						       rows[i].rest, quote, sizeof(quote))),
				 MR_UP_ICMP_ERR);
		assert_true(mr_addr_eq(&n->ierr.src, &src));
		assert_true(mr_addr_eq(&n->ierr.dst, &dst));
		assert_int_equal(n->ierr.sport, 8080);
		assert_int_equal(n->ierr.dport, 80);
		assert_int_equal(n->ierr.seq, 0x89abcdef);
		assert_int_equal(n->ierr.err, rows[i].err);
		assert_int_equal(n->ierr.mtu, rows[i].mtu);
	}
	assert_int_equal(n->ctr.c[MR_CTR_ICMP_ERRORS_IN], MR_ARRAY_SIZE(rows));
}

static void rfc8201_4_less_than_every_link_carries_is_discarded(void **state)
{
	struct net *n = *state;
	uint8_t quote[48];

	build_quote(quote);
	assert_int_equal(
		net_input_bytes(n, packet, build(PEER, US, 2, 0, 1279, quote, sizeof(quote))),
		MR_UP_DROP);
	assert_int_equal(n->reason, MR_DROP_ICMP_MTU);
	assert_int_equal(n->ctr.c[MR_CTR_ICMP_ERRORS_IN], 0);
}

static void rfc4443_3_errors_that_quote_nothing_of_ours_are_dropped(void **state)
{
	static const struct {
		const char *name;
		uint8_t off, value;
		uint32_t len;
		enum mr_drop reason;
	} rows[] = {
		{ "IPv4 inside", 0, 0x45, 48, MR_DROP_ICMP_TRUNCATED },
		{ "seven bytes of TCP", 0, 0x60, 47, MR_DROP_ICMP_TRUNCATED },
		{ "UDP", 6, IPPROTO_UDP, 48, MR_DROP_ICMP_NO_FLOW },
		{ "a fragment", 6, IPPROTO_FRAGMENT, 48, MR_DROP_ICMP_NO_FLOW },
		{ "not sent by us", 23, 7, 48, MR_DROP_ICMP_NO_FLOW },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t quote[48];

		build_quote(quote);
		quote[rows[i].off] = rows[i].value;
		assert_int_equal(
			net_input_bytes(n, packet, build(PEER, US, 1, 4, 0, quote, rows[i].len)),
			MR_UP_DROP);
		assert_string_equal(mr_drop_name(n->reason), mr_drop_name(rows[i].reason));
	}
}

static void rfc4443_3_1_udp_and_unknown_protocols_are_refused(void **state)
{
	static const struct {
		uint8_t proto, type, code;
		uint32_t len, quote;
		enum mr_drop reason;
	} rows[] = {
		{ IPPROTO_UDP, 1, 4, 8, 48, MR_DROP_UDP_NO_PORT },
		{ IPPROTO_UDP, 1, 4, 1192, 1232, MR_DROP_UDP_NO_PORT }, /* 1280 in all */
		{ IPPROTO_UDP, 1, 4, 1193, 1232, MR_DROP_UDP_NO_PORT },
		{ IPPROTO_UDP, 1, 4, 1460, 1232, MR_DROP_UDP_NO_PORT },
		{ IPPROTO_SCTP, 4, 1, 12, 52, MR_DROP_IP_PROTO },
		{ 255, 4, 1, 0, 40, MR_DROP_IP_PROTO },
	};
	struct net *n = *state;

	net_learn6(n, PEER);
	fill(NET_MTU);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint32_t len = build_ipv6(packet, PEER, US, rows[i].proto, 64, pay, rows[i].len);

		assert_int_equal(net_input_bytes(n, packet, len), MR_UP_DROP);
		assert_int_equal(n->reason, rows[i].reason);
		assert_int_equal(take_icmp(n), 8 + rows[i].quote);
		assert_int_equal(sent[54], rows[i].type);
		assert_int_equal(sent[55], rows[i].code);
		assert_int_equal(sent[61], rows[i].type == 4 ? 6 : 0);
		assert_memory_equal(sent + 62, packet + 14, rows[i].quote);
	}
	assert_int_equal(n->ctr.c[MR_CTR_ICMP_UNREACH_OUT], MR_ARRAY_SIZE(rows));
}

static void rfc4443_2_4_e_nobody_is_told_what_must_not_be_answered(void **state)
{
	static const struct {
		const char *name, *src, *dst;
		uint8_t proto, first, type, code;
		bool told;
	} rows[] = {
		{ "UDP", PEER, US, IPPROTO_UDP, 0, 1, 4, true },
		{ "an error", PEER, US, IPPROTO_ICMPV6, 1, 1, 4, false },
		{ "a redirect", PEER, US, IPPROTO_ICMPV6, 137, 1, 4, false },
		{ "an echo request", PEER, US, IPPROTO_ICMPV6, 128, 4, 0, true },
		{ "multicast", PEER, "ff02::1", IPPROTO_UDP, 0, 1, 4, false },
		{ "multicast, field", PEER, "ff02::1", IPPROTO_UDP, 0, 4, 0, false },
		{ "multicast, option", PEER, "ff02::1", IPPROTO_UDP, 0, 4, 2, true },
		{ "from multicast", "ff02::9", US, IPPROTO_UDP, 0, 1, 4, false },
		{ "from nobody", "::", US, IPPROTO_UDP, 0, 1, 4, false },
	};
	struct net *n = *state;

	net_learn6(n, PEER);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t first[8] = { rows[i].first };
		uint32_t len = build_ipv6(packet, rows[i].src, rows[i].dst, rows[i].proto, 64,
					  first, sizeof(first));
		struct mr_frame *f = net_frame(n, packet, len, 0);

		mr_frame_pull(f, 14);
		mr_icmp6_error(&n->ip, f, f->data, rows[i].type, rows[i].code, 0, n->now);
		assert_int_equal(take_icmp(n) != 0, rows[i].told);
		mr_frame_put_chain(&n->frames, f);
	}
}

static void rfc4443_2_4_f_errors_are_limited(void **state)
{
	struct net *n = *state;
	uint32_t len;
	unsigned told = 0;

	net_learn6(n, PEER);
	len = build_ipv6(packet, PEER, US, IPPROTO_UDP, 64, pay, 8);
	for (unsigned i = 0; i < 80; i++)
		net_input_bytes(n, packet, len);
	while (take_icmp(n))
		told++;
	assert_int_equal(told, MR_ICMP_BURST);
	assert_int_equal(n->ctr.drop[MR_DROP_ICMP_RATE], 80 - MR_ICMP_BURST);
}

int main(void)
{
#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, net_setup6, net_teardown)
	const struct CMUnitTest tests[] = {
		NET_TEST(rfc4443_4_2_echo_requests_of_every_size_are_answered),
		NET_TEST(rfc4443_4_2_echo_works_over_chunks_of_any_length),
		NET_TEST(bad_icmp_is_dropped),
		NET_TEST(rfc4443_3_errors_about_our_segments_are_read),
		NET_TEST(rfc8201_4_less_than_every_link_carries_is_discarded),
		NET_TEST(rfc4443_3_errors_that_quote_nothing_of_ours_are_dropped),
		NET_TEST(rfc4443_3_1_udp_and_unknown_protocols_are_refused),
		NET_TEST(rfc4443_2_4_e_nobody_is_told_what_must_not_be_answered),
		NET_TEST(rfc4443_2_4_f_errors_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
