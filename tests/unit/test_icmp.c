// SPDX-License-Identifier: BSD-2-Clause
/* test_icmp.c - echo of every size, errors read and sent, the rate limit. */
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

#define BIG 16384u

static uint8_t message[BIG], packet[BIG], sent[BIG];

static void fill(uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 8));
}

/* An echo request with len bytes behind the ICMP header. Returns the frame's length. */
static uint32_t build_echo(uint32_t len)
{
	static uint8_t pay[BIG];

	fill(pay, len);
	return build_ipv4(packet, "10.0.0.2", "10.0.0.1", IPPROTO_ICMP, message,
			  build_icmp(message, 8, 0, 0x12340001, pay, len));
}

static void assert_echo_reply(struct net *n, uint32_t len)
{
	static uint8_t pay[BIG], want[BIG];
	uint32_t icmp_len;

	fill(pay, len);
	icmp_len = build_icmp(want, 0, 0, 0x12340001, pay, len);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 14 + 20 + icmp_len);
	assert_memory_equal(sent, peer_mac, 6);
	assert_int_equal(mr_csum_fold(mr_csum(sent + 14, 20)), 0xffff);
	assert_int_equal(sent[22], 64);
	assert_memory_equal(sent + 26, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	assert_memory_equal(sent + 34, want, icmp_len);
}

static void rfc792_echo_requests_of_every_size_are_answered(void **state)
{
	struct net *n = *state;

	net_resolve(n, "10.0.0.2");
	for (uint32_t len = 0; len <= NET_MTU - 28; len++) {
		assert_int_equal(net_input_bytes(n, packet, build_echo(len)), MR_UP_DONE);
		assert_echo_reply(n, len);
	}
	assert_int_equal(n->ctr.c[MR_CTR_ICMP_ECHO_IN], NET_MTU - 28 + 1);
}

/* Identifier, sequence number and data 0: the difference of RFC 1624 leads to 0, where the sum of nothing is 0xffff. */
static void rfc1624_3_the_reply_to_an_echo_of_zeros_has_a_right_checksum(void **state)
{
	static const uint8_t zeros[56];
	struct net *n = *state;
	uint32_t len = build_ipv4(packet, "10.0.0.2", "10.0.0.1", IPPROTO_ICMP, message,
				  build_icmp(message, 8, 0, 0, zeros, sizeof(zeros)));

	net_resolve(n, "10.0.0.2");
	assert_int_equal(net_input_bytes(n, packet, len), MR_UP_DONE);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), len);
	assert_int_equal(sent[34], 0);
	assert_int_equal(mr_csum_fold(mr_csum(sent + 34, len - 34)), 0xffff);
}

static void echo_works_over_chunks_of_any_length(void **state)
{
	static const uint32_t chunks[] = { 1100, 1101, 1536, 1792 };
	static const uint32_t lens[] = { 1060, 1061, 1067, 3000, 3001, 8972 };
	struct net *n = *state;

	n->nif.mtu = 9000;
	net_resolve(n, "10.0.0.2");
	for (size_t i = 0; i < MR_ARRAY_SIZE(chunks); i++) {
		for (size_t k = 0; k < MR_ARRAY_SIZE(lens); k++) {
			uint32_t len = build_echo(lens[k]);

			assert_int_equal(net_input(n, net_frame(n, packet, len, chunks[i]), NULL),
					 MR_UP_DONE);
			assert_echo_reply(n, lens[k]);
		}
	}
}

static void an_echo_that_somebody_holds_is_copied_and_left_as_it_was(void **state)
{
	struct net *n = *state;
	struct mr_frame *f, *second;
	uint32_t len;

	n->nif.mtu = 9000;
	net_resolve(n, "10.0.0.2");
	len = build_echo(5000);
	f = net_frame(n, packet, len, 1536);
	second = f->frag;
	mr_frame_hold(f);
	mr_frame_hold(second);
	assert_int_equal(net_input(n, f, NULL), MR_UP_DONE);
	assert_echo_reply(n, 5000);
	assert_int_equal(f->refs, 1);
	assert_int_equal(f->data[0], 8); /* still a request */
	mr_frame_put(&n->frames, f);
	mr_frame_put(&n->frames, second);
}

static void the_echos_tos_comes_back(void **state)
{
	struct net *n = *state;
	uint32_t len = build_echo(8);

	net_resolve(n, "10.0.0.2");
	packet[15] = 0xb8;
	fix_ip_csum(packet + 14);
	assert_int_equal(net_input_bytes(n, packet, len), MR_UP_DONE);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), len);
	assert_int_equal(sent[15], 0xb8);
}

static void an_echo_beyond_the_mtu_is_answered_in_fragments(void **state)
{
	struct net *n = *state;

	net_resolve(n, "10.0.0.2");
	assert_int_equal(net_input(n, net_frame(n, packet, build_echo(NET_MTU - 27), 1536), NULL),
			 MR_UP_DONE);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 14 + NET_MTU);
	assert_memory_equal(sent + 20, "\x20\0", 2); /* more fragments */
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 34 + 1);
	assert_int_equal(sent[20] << 8 | sent[21], 1480 / 8);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 0);
}

static void an_echo_from_nowhere_is_counted(void **state)
{
	struct net *n = *state;
	uint32_t len = build_ipv4(packet, "8.8.8.8", "10.0.0.1", IPPROTO_ICMP, message,
				  build_icmp(message, 8, 0, 1, NULL, 0));

	assert_int_equal(net_input_bytes(n, packet, len), MR_UP_DONE);
	assert_int_equal(n->ctr.drop[MR_DROP_IP_NO_ROUTE], 1);
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 0);
}

static void rfc792_bad_icmp_is_dropped(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t len;
		bool corrupt;
		enum mr_drop reason;
	} rows[] = {
		{ 8, 30, true, MR_DROP_ICMP_BAD_CSUM },	  { 8, 31, true, MR_DROP_ICMP_BAD_CSUM },
		{ 0, 8, false, MR_DROP_ICMP_TYPE },   /* an echo reply: we never asked */
		{ 5, 28, false, MR_DROP_ICMP_TYPE },  /* redirect */
		{ 4, 28, false, MR_DROP_ICMP_TYPE },  /* source quench */
		{ 13, 12, false, MR_DROP_ICMP_TYPE }, /* timestamp */
		{ 255, 0, false, MR_DROP_ICMP_TYPE },	  { 3, 0, false, MR_DROP_ICMP_TRUNCATED },
		{ 3, 27, false, MR_DROP_ICMP_TRUNCATED },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		static const uint8_t quote[64] = { 0x45 };
		uint32_t len = build_icmp(message, rows[i].type, 0, 0, quote, rows[i].len);

		if (rows[i].corrupt)
			message[len - 1] ^= 1;
		len = build_ipv4(packet, "10.0.0.2", "10.0.0.1", IPPROTO_ICMP, message, len);
		assert_int_equal(net_input_bytes(n, packet, len), MR_UP_DROP);
		assert_string_equal(mr_drop_name(n->reason), mr_drop_name(rows[i].reason));
	}
	for (uint32_t cut = 0; cut < 8; cut++) {
		build_icmp(message, 8, 0, 0, NULL, 0);
		assert_int_equal(net_input_bytes(n, packet,
						 build_ipv4(packet, "10.0.0.2", "10.0.0.1",
							    IPPROTO_ICMP, message, cut)),
				 MR_UP_DROP);
		assert_int_equal(n->reason, MR_DROP_ICMP_TRUNCATED);
	}
	assert_null(mr_netif_txq_peek(&n->nif));
}

/* The IP header and the first eight bytes of a TCP packet that we sent to 192.0.2.9. */
static uint32_t build_quote(uint8_t *q)
{
	static const uint8_t tcp[8] = { 0x1f, 0x90, 0x00, 0x50, 0x89, 0xab, 0xcd, 0xef };
	uint8_t buf[64];

	build_ipv4(buf, "10.0.0.1", "192.0.2.9", IPPROTO_TCP, tcp, sizeof(tcp));
	memcpy(q, buf + 14, 28);
	return 28;
}

static enum mr_up input_error(struct net *n, uint8_t type, uint8_t code, uint32_t rest,
			      const uint8_t *quote, uint32_t len)
{
	len = build_icmp(message, type, code, rest, quote, len);
	return net_input_bytes(
		n, packet,
		build_ipv4(packet, "10.0.0.254", "10.0.0.1", IPPROTO_ICMP, message, len));
}

static void rfc792_unreachable_errors_about_our_segments_are_read(void **state)
{
	static const struct {
		uint8_t type, code;
		uint32_t rest;
		int err;
		uint32_t mtu;
	} rows[] = {
		{ 3, 0, 0, -ENETUNREACH, 0 },
		{ 3, 1, 0, -EHOSTUNREACH, 0 },
		{ 3, 2, 0, -ENOPROTOOPT, 0 },
		{ 3, 3, 0, -ECONNREFUSED, 0 },
		{ 3, 4, 1400, -EMSGSIZE, 1400 },
		{ 3, 4, 0, -EMSGSIZE, 0 }, /* a router from before RFC 1191 */
		{ 3, 1, 1400, -EHOSTUNREACH, 0 },
		{ 3, 13, 0, -EHOSTUNREACH, 0 },
		{ 3, 200, 0, -EHOSTUNREACH, 0 },
		{ 11, 0, 0, -EHOSTUNREACH, 0 },
		{ 12, 0, 0, -EPROTO, 0 },
	};
	struct mr_addr src = addr("10.0.0.1"), dst = addr("192.0.2.9");
	struct net *n = *state;
	uint8_t quote[64];
	uint32_t len = build_quote(quote);

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		assert_int_equal(
			input_error(n, rows[i].type, rows[i].code, rows[i].rest, quote, len),
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

static void rfc1122_3_2_2_1_errors_that_quote_nothing_of_ours_are_dropped(void **state)
{
	static const struct {
		const char *name;
		uint8_t off, value;
		uint32_t len;
		enum mr_drop reason;
	} rows[] = {
		{ "IPv6 inside", 0, 0x65, 28, MR_DROP_ICMP_TRUNCATED },
		{ "IHL 4", 0, 0x44, 28, MR_DROP_ICMP_TRUNCATED },
		{ "IHL beyond", 0, 0x4f, 28, MR_DROP_ICMP_TRUNCATED },
		{ "options eat the ports", 0, 0x46, 28, MR_DROP_ICMP_TRUNCATED },
		{ "seven bytes of TCP", 0, 0x45, 27, MR_DROP_ICMP_TRUNCATED },
		{ "UDP", 9, IPPROTO_UDP, 28, MR_DROP_ICMP_NO_FLOW },
		{ "not sent by us", 15, 7, 28, MR_DROP_ICMP_NO_FLOW },
		{ "a later fragment", 7, 1, 28, MR_DROP_ICMP_NO_FLOW },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t quote[64];

		build_quote(quote);
		quote[rows[i].off] = rows[i].value;
		assert_int_equal(input_error(n, 3, 3, 0, quote, rows[i].len), MR_UP_DROP);
		assert_string_equal(mr_drop_name(n->reason), mr_drop_name(rows[i].reason));
	}
}

static void assert_unreachable(struct net *n, uint8_t code, const uint8_t *iph, uint32_t quote)
{
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 14 + 20 + 8 + quote);
	assert_memory_equal(sent, peer_mac, 6);
	assert_int_equal(sent[23], IPPROTO_ICMP);
	assert_memory_equal(sent + 26, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	assert_int_equal(sent[34], 3);
	assert_int_equal(sent[35], code);
	assert_int_equal(mr_csum_fold(mr_csum(sent + 34, 8 + quote)), 0xffff);
	assert_memory_equal(sent + 38, "\0\0\0\0", 4);
	assert_memory_equal(sent + 42, iph, quote);
}

static void rfc792_unreachable_udp_and_unknown_protocols_are_refused_politely(void **state)
{
	static const struct {
		uint8_t proto, code;
		uint32_t len, quote;
		enum mr_drop reason;
	} rows[] = {
		{ IPPROTO_UDP, 3, 8, 28, MR_DROP_UDP_NO_PORT },
		{ IPPROTO_UDP, 3, 528, 548, MR_DROP_UDP_NO_PORT }, /* 576 in all */
		{ IPPROTO_UDP, 3, 529, 548, MR_DROP_UDP_NO_PORT },
		{ IPPROTO_UDP, 3, 1480, 548, MR_DROP_UDP_NO_PORT },
		{ IPPROTO_SCTP, 2, 12, 32, MR_DROP_IP_PROTO },
		{ 255, 2, 0, 20, MR_DROP_IP_PROTO },
	};
	struct net *n = *state;

	net_resolve(n, "10.0.0.2");
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint32_t len;

		fill(message, rows[i].len);
		len = build_ipv4(packet, "10.0.0.2", "10.0.0.1", rows[i].proto, message,
				 rows[i].len);
		assert_int_equal(net_input_bytes(n, packet, len), MR_UP_DROP);
		assert_int_equal(n->reason, rows[i].reason);
		assert_unreachable(n, rows[i].code, packet + 14, rows[i].quote);
	}
	assert_int_equal(n->ctr.c[MR_CTR_ICMP_UNREACH_OUT], MR_ARRAY_SIZE(rows));
}

static void rfc1122_3_2_2_nobody_is_told_what_must_not_be_answered(void **state)
{
	static const struct {
		const char *name;
		uint8_t off, value;
		bool told;
	} rows[] = {
		{ "as built", 1, 0, true },	      { "first fragment", 6, 0x20, true },
		{ "later fragment", 7, 1, false },    { "ICMP", 9, IPPROTO_ICMP, false },
		{ "from multicast", 12, 224, false }, { "from loopback", 12, 127, false },
		{ "to broadcast", 19, 255, false },
	};
	struct net *n = *state;

	net_resolve(n, "10.0.0.2");
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint32_t len = build_ipv4(packet, "10.0.0.2", "10.0.0.1", IPPROTO_UDP, message, 8);
		struct mr_frame *f;

		packet[14 + rows[i].off] = rows[i].value;
		f = net_frame(n, packet, len, 0);
		mr_frame_pull(f, 34);
		mr_icmp_unreachable(&n->ip, f, f->data - 20, 3, n->now);
		assert_int_equal(net_sent(n, sent, sizeof(sent)) != 0, rows[i].told);
		mr_frame_put_chain(&n->frames, f);
	}
}

static void errors_are_limited_to_a_burst_and_a_rate(void **state)
{
	struct net *n = *state;
	uint32_t len = build_ipv4(packet, "10.0.0.2", "10.0.0.1", IPPROTO_UDP, message, 8);
	unsigned told = 0;

	net_resolve(n, "10.0.0.2");
	for (unsigned i = 0; i < 80; i++)
		net_input_bytes(n, packet, len);
	while (net_sent(n, sent, sizeof(sent)))
		told++;
	assert_int_equal(told, MR_ICMP_BURST);
	assert_int_equal(n->ctr.drop[MR_DROP_ICMP_RATE], 80 - MR_ICMP_BURST);
	assert_int_equal(n->ctr.drop[MR_DROP_UDP_NO_PORT], 80);

	/* 100 ms in steps that are no multiple of a token's time: the rate is exact over all. */
	for (unsigned i = 0; i < 333; i++) {
		n->now += 100 * MR_NS_PER_MS / 333 + 1;
		net_input_bytes(n, packet, len);
		while (net_sent(n, sent, sizeof(sent)))
			told++;
	}
	assert_int_equal(told, MR_ICMP_BURST + MR_ICMP_PER_SEC / 10);

	n->now += 10 * MR_NS_PER_S;
	told = 0;
	for (unsigned i = 0; i < 80; i++)
		net_input_bytes(n, packet, len);
	while (net_sent(n, sent, sizeof(sent)))
		told++;
	assert_int_equal(told, MR_ICMP_BURST); /* a pause saves up no more than the burst */
}

int main(void)
{
#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
	const struct CMUnitTest tests[] = {
		NET_TEST(rfc792_echo_requests_of_every_size_are_answered),
		NET_TEST(rfc1624_3_the_reply_to_an_echo_of_zeros_has_a_right_checksum),
		NET_TEST(echo_works_over_chunks_of_any_length),
		NET_TEST(an_echo_that_somebody_holds_is_copied_and_left_as_it_was),
		NET_TEST(the_echos_tos_comes_back),
		NET_TEST(an_echo_beyond_the_mtu_is_answered_in_fragments),
		NET_TEST(an_echo_from_nowhere_is_counted),
		NET_TEST(rfc792_bad_icmp_is_dropped),
		NET_TEST(rfc792_unreachable_errors_about_our_segments_are_read),
		NET_TEST(rfc1122_3_2_2_1_errors_that_quote_nothing_of_ours_are_dropped),
		NET_TEST(rfc792_unreachable_udp_and_unknown_protocols_are_refused_politely),
		NET_TEST(rfc1122_3_2_2_nobody_is_told_what_must_not_be_answered),
		NET_TEST(errors_are_limited_to_a_burst_and_a_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
