// SPDX-License-Identifier: BSD-2-Clause
/* test_ipv4.c - IPv4 headers in (every check, truncated anywhere) and out. */
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

#define TOTAL 60u /* of the test packet: IP header and 40 bytes */

/* A TCP packet to us whose IP header starts at buf + 14. Returns the frame's length. */
static uint32_t build(uint8_t *buf)
{
	uint8_t pay[40];

	for (unsigned i = 0; i < sizeof(pay); i++)
		pay[i] = (uint8_t)(i + 1);
	return build_ipv4(buf, "10.0.0.2", "10.0.0.1", IPPROTO_TCP, pay, sizeof(pay));
}

static void rfc791_3_1_every_header_field_is_checked(void **state)
{
	static const struct {
		const char *name;
		uint8_t off, value, off2, value2; /* written into the IP header */
		bool keep_csum;
		enum mr_drop reason; /* NONE: goes up to TCP */
	} rows[] = {
		{ "as built", 1, 0, 1, 0, false, MR_DROP_NONE },
		{ "ECN and DSCP are for TCP", 1, 0x2b, 1, 0x2b, false, MR_DROP_NONE },
		{ "reserved flag bit", 6, 0x80, 6, 0x80, false, MR_DROP_NONE },
		{ "version 6", 0, 0x65, 0, 0x65, false, MR_DROP_IP_BAD_VERSION },
		{ "version 0", 0, 0x05, 0, 0x05, false, MR_DROP_IP_BAD_VERSION },
		{ "IHL 4", 0, 0x44, 0, 0x44, false, MR_DROP_IP_BAD_HDRLEN },
		{ "IHL 0", 0, 0x40, 0, 0x40, false, MR_DROP_IP_BAD_HDRLEN },
		{ "total below header", 2, 0, 3, 19, false, MR_DROP_IP_BAD_LEN },
		{ "total is the header", 2, 0, 3, 20, false, MR_DROP_NONE },
		{ "total beyond packet", 2, 0, 3, TOTAL + 1, false, MR_DROP_IP_TRUNCATED },
		{ "checksum", 8, 9, 8, 9, true, MR_DROP_IP_BAD_CSUM },
		{ "source loopback", 12, 127, 12, 127, false, MR_DROP_IP_MARTIAN_SRC },
		{ "source this network", 12, 0, 12, 0, false, MR_DROP_IP_MARTIAN_SRC },
		{ "source multicast", 12, 224, 12, 224, false, MR_DROP_IP_MARTIAN_SRC },
		{ "source subnet broadcast", 15, 255, 15, 255, false, MR_DROP_IP_MARTIAN_SRC },
		{ "source is our own", 15, 1, 15, 1, false, MR_DROP_IP_MARTIAN_SRC },
		{ "another host", 19, 2, 19, 2, false, MR_DROP_IP_NOT_OURS },
		{ "subnet broadcast", 19, 255, 19, 255, false, MR_DROP_IP_NOT_OURS },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t buf[128];
		uint32_t len = build(buf);
		enum mr_up up;

		buf[14 + rows[i].off] = rows[i].value;
		buf[14 + rows[i].off2] = rows[i].value2;
		if (!rows[i].keep_csum && (buf[14] & 0xf) == 5)
			fix_ip_csum(buf + 14);
		up = net_input_bytes(n, buf, len);
		if (rows[i].reason == MR_DROP_NONE) {
			assert_int_equal(up, MR_UP_TCP);
		} else {
			assert_int_equal(up, MR_UP_DROP);
			assert_string_equal(mr_drop_name(n->reason), mr_drop_name(rows[i].reason));
		}
		assert_null(mr_netif_txq_peek(&n->nif)); /* none of these is answered */
	}
}

static void rfc894_what_goes_up_is_described_and_trimmed(void **state)
{
	struct net *n = *state;
	struct mr_addr src = addr("10.0.0.2"), dst = addr("10.0.0.1");
	uint8_t buf[160];
	uint32_t len = build(buf);
	struct mr_frame *f;

	buf[15] = 0x2b;
	fix_ip_csum(buf + 14);
	memset(buf + len, 0xee, 10); /* link-layer padding, as behind a short packet */
	assert_int_equal(net_input(n, net_frame(n, buf, len + 10, 0), &f), MR_UP_TCP);
	assert_true(mr_addr_eq(&n->rx.src, &src));
	assert_true(mr_addr_eq(&n->rx.dst, &dst));
	assert_int_equal(n->rx.l4_len, 40);
	assert_int_equal(n->rx.proto, IPPROTO_TCP);
	assert_int_equal(n->rx.tos, 0x2b);
	assert_int_equal(n->rx.ttl, 61);
	assert_false(n->rx.csum_ok);
	assert_int_equal(f->pkt_len, 40);
	assert_int_equal(f->len, 40);
	assert_int_equal(f->data[0], 1);
	assert_int_equal(n->ctr.c[MR_CTR_IP_IN], 1);
	mr_frame_put_chain(&n->frames, f);
}

static void rfc894_padding_in_a_chunk_of_its_own_is_given_back(void **state)
{
	struct net *n = *state;
	uint8_t buf[160] = { 0 };
	uint32_t len = build(buf);
	struct mr_frame *f;

	assert_int_equal(net_input(n, net_frame(n, buf, len + 10, len), &f), MR_UP_TCP);
	assert_int_equal(f->nchunks, 1);
	assert_null(f->frag);
	assert_int_equal(n->frames.nfree, NET_FRAMES - 1);
	mr_frame_put_chain(&n->frames, f);
}

static void rfc791_3_1_a_packet_cut_short_anywhere_is_dropped(void **state)
{
	struct net *n = *state;
	uint8_t buf[128];
	uint32_t len = build(buf);

	for (uint32_t cut = 1; cut < len; cut++) {
		assert_int_equal(net_input_bytes(n, buf, cut), MR_UP_DROP);
		assert_int_equal(n->reason,
				 cut < 14 ? MR_DROP_ETH_TRUNCATED : MR_DROP_IP_TRUNCATED);
	}
}

static void a_header_split_over_chunks_is_no_crash(void **state)
{
	struct net *n = *state;
	uint8_t buf[128];
	uint32_t len = build(buf);

	/* Devices keep headers in the first chunk; one that does not gets no service. */
	for (uint32_t chunk = 14; chunk < 34; chunk++)
		assert_int_equal(net_input(n, net_frame(n, buf, len, chunk), NULL), MR_UP_DROP);
	assert_int_equal(net_input(n, net_frame(n, buf, len, 34), NULL), MR_UP_TCP);
}

static void the_xdp_verdict_is_believed_only_with_metadata(void **state)
{
	static const struct {
		uint8_t flags, csum;
		bool bad_header;
		enum mr_up up;
		bool csum_ok;
	} rows[] = {
		{ MR_FRAME_META, MR_CSUM_GOOD, false, MR_UP_TCP, true },
		{ MR_FRAME_META, MR_CSUM_PARTIAL, false, MR_UP_TCP, true },
		{ MR_FRAME_META, MR_CSUM_UNVERIFIED, false, MR_UP_TCP, false },
		{ 0, MR_CSUM_GOOD, false, MR_UP_TCP, false },
		{ MR_FRAME_META, MR_CSUM_GOOD, true, MR_UP_TCP, true }, /* not summed again */
		{ MR_FRAME_META, MR_CSUM_UNVERIFIED, true, MR_UP_DROP, false },
		{ 0, MR_CSUM_GOOD, true, MR_UP_DROP, false },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t buf[128];
		uint32_t len = build(buf);
		struct mr_frame *f;

		if (rows[i].bad_header)
			buf[24] ^= 0xff;
		f = net_frame(n, buf, len, 0);
		f->flags = rows[i].flags;
		f->meta.csum = rows[i].csum;
		assert_int_equal(net_input(n, f, NULL), rows[i].up);
		if (rows[i].up == MR_UP_TCP)
			assert_int_equal(n->rx.csum_ok, rows[i].csum_ok);
	}
}

static void rfc791_3_1_options_are_skipped_unless_they_route(void **state)
{
	static const struct {
		const char *name;
		uint8_t opt[8];
		enum mr_drop reason;
	} rows[] = {
		{ "end", { 0 }, MR_DROP_NONE },
		{ "NOPs", { 1, 1, 1, 1, 1, 1, 1, 1 }, MR_DROP_NONE },
		{ "router alert", { 0x94, 4, 0, 0, 1, 1, 1, 0 }, MR_DROP_NONE },
		{ "end hides garbage", { 0, 0x44, 99 }, MR_DROP_NONE },
		{ "length 0", { 0x44, 0 }, MR_DROP_IP_BAD_HDRLEN },
		{ "length 1", { 0x44, 1 }, MR_DROP_IP_BAD_HDRLEN },
		{ "length beyond", { 0x44, 9 }, MR_DROP_IP_BAD_HDRLEN },
		{ "no room for a length", { 1, 1, 1, 1, 1, 1, 1, 0x44 }, MR_DROP_IP_BAD_HDRLEN },
		{ "source route with a hop left",
		  { 0x83, 7, 4, 10, 0, 0, 9 },
		  MR_DROP_IP_NOT_OURS },
		{ "strict one", { 0x89, 7, 4, 10, 0, 0, 9 }, MR_DROP_IP_NOT_OURS },
		{ "source route at its end", { 0x83, 7, 8, 10, 0, 0, 9 }, MR_DROP_NONE },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t buf[128];
		uint32_t len = build(buf);
		enum mr_up up;

		memmove(buf + 34 + 8, buf + 34, 40);
		memcpy(buf + 34, rows[i].opt, 8);
		buf[14] = 0x47;
		buf[17] = TOTAL + 8;
		fix_ip_csum(buf + 14);
		up = net_input_bytes(n, buf, len + 8);
		if (rows[i].reason == MR_DROP_NONE) {
			assert_int_equal(up, MR_UP_TCP);
			assert_int_equal(n->rx.l4_len, 40);
		} else {
			assert_int_equal(up, MR_UP_DROP);
			assert_string_equal(mr_drop_name(n->reason), mr_drop_name(rows[i].reason));
		}
	}
}

static struct mr_ip_tx tx_to_peer(void)
{
	return (struct mr_ip_tx){
		.src = addr("10.0.0.1"),
		.dst = addr("10.0.0.2"),
		.proto = IPPROTO_TCP,
		.tos = 0x02,
		.ttl = 64,
		.df = true,
	};
}

static void rfc6864_4_1_output_writes_an_atomic_datagram(void **state)
{
	static const uint8_t want[20] = { 0x45, 0x02, 0,  50, 0, 0, 0x40, 0, 64, 6,
					  0,	0,    10, 0,  0, 1, 10,	  0, 0,	 2 };
	struct net *n = *state;
	struct mr_ip_tx tx = tx_to_peer();
	struct mr_dst dst = { 0 };
	uint8_t pay[30] = { 0xaa }, buf[128];

	net_resolve(n, "10.0.0.2");
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &tx.dst, n->now), 0);
	assert_int_equal(mr_ip_output(&n->ip, net_frame(n, pay, 30, 12), &tx, &dst, n->now), 0);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 64);
	assert_int_equal(mr_csum_fold(mr_csum(buf + 14, 20)), 0xffff);
	memset(buf + 24, 0, 2);
	assert_memory_equal(buf + 14, want, 20);
	assert_int_equal(buf[34], 0xaa);
	assert_int_equal(n->ctr.c[MR_CTR_IP_OUT], 1);

	tx.df = false;
	assert_int_equal(mr_ip_output(&n->ip, net_frame(n, pay, 30, 0), &tx, &dst, n->now), 0);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 64);
	assert_int_equal(buf[20], 0);
	assert_int_equal(mr_csum_fold(mr_csum(buf + 14, 20)), 0xffff);
	mr_dst_put(&n->ip, &dst);
}

static void output_refuses_what_exceeds_the_mtu(void **state)
{
	static uint8_t pay[NET_MTU];
	struct net *n = *state;
	struct mr_ip_tx tx = tx_to_peer();
	struct mr_dst dst = { 0 };
	uint8_t buf[64];

	net_resolve(n, "10.0.0.2");
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &tx.dst, n->now), 0);
	assert_int_equal(
		mr_ip_output(&n->ip, net_frame(n, pay, NET_MTU - 20, 0), &tx, &dst, n->now), 0);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), NET_MTU + 14);
	assert_int_equal(
		mr_ip_output(&n->ip, net_frame(n, pay, NET_MTU - 19, 700), &tx, &dst, n->now),
		-EMSGSIZE);
	assert_int_equal(n->ctr.drop[MR_DROP_IP_TOO_BIG], 1);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 0);
	tx.dst = addr("2001:db8::1");
	assert_int_equal(mr_ip_output(&n->ip, net_frame(n, pay, 20, 0), &tx, &dst, n->now),
			 -EAFNOSUPPORT);
	mr_dst_put(&n->ip, &dst);
}

/* Whatever the bytes are: no crash, a reason for each, no frame lost (net_close() checks). */
static void garbage_is_survived_and_counted(void **state)
{
	struct net *n = *state;
	uint64_t drops = 0;
	struct mr_rng rng;
	uint8_t sent[2048];

	mr_rng_init(&rng, 99);
	for (int i = 0; i < 20000; i++) {
		uint8_t buf[128];
		uint32_t len = build(buf);

		for (uint32_t k = mr_rng_below(&rng, 4); k > 0; k--)
			buf[14 + mr_rng_below(&rng, 24)] = (uint8_t)mr_rng_u64(&rng);
		if (mr_rng_below(&rng, 2) && (buf[14] & 0xf) >= 5 && (buf[14] & 0xf) <= 15)
			fix_ip_csum(buf + 14);
		if (mr_rng_below(&rng, 8) == 0)
			len = 1 + mr_rng_below(&rng, len);
		if (net_input(n, net_frame(n, buf, len, mr_rng_below(&rng, 3) ? 0 : 64), NULL) ==
		    MR_UP_DROP) {
			assert_int_not_equal(n->reason, MR_DROP_NONE);
			drops++;
		}
		n->now += MR_NS_PER_MS;
		while (net_sent(n, sent, sizeof(sent)))
			;
	}
	assert_true(drops > 1000);
	net_run(n, n->now + 60 * MR_NS_PER_S); /* what waits for the made-up sources is given up */
	while (net_sent(n, sent, sizeof(sent)))
		;
}

int main(void)
{
#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
	const struct CMUnitTest tests[] = {
		NET_TEST(rfc791_3_1_every_header_field_is_checked),
		NET_TEST(rfc894_what_goes_up_is_described_and_trimmed),
		NET_TEST(rfc894_padding_in_a_chunk_of_its_own_is_given_back),
		NET_TEST(rfc791_3_1_a_packet_cut_short_anywhere_is_dropped),
		NET_TEST(a_header_split_over_chunks_is_no_crash),
		NET_TEST(the_xdp_verdict_is_believed_only_with_metadata),
		NET_TEST(rfc791_3_1_options_are_skipped_unless_they_route),
		NET_TEST(rfc6864_4_1_output_writes_an_atomic_datagram),
		NET_TEST(output_refuses_what_exceeds_the_mtu),
		NET_TEST(garbage_is_survived_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
