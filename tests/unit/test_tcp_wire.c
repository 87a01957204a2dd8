// SPDX-License-Identifier: BSD-2-Clause
/* test_tcp_wire.c - segments as bytes: what is read, what is refused, what is written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/csum.h"
#include "tcp/tcp_wire.h"

/* 1000 -> 2000, seq 0x01020304, ack 0x05060708, window 0x1122, urgent 0x0033. */
static const uint8_t base[MR_TCP_HLEN] = {
	0x03, 0xe8, 0x07, 0xd0, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, MR_TCP_ACK, 0x11, 0x22, 0, 0, 0, 0x33,
};

/* The base header with flags and options; returns its length. */
static uint32_t header(uint8_t *out, uint8_t flags, const uint8_t *opts, uint32_t nopts)
{
	memcpy(out, base, sizeof(base));
	if (nopts)
		memcpy(out + sizeof(base), opts, nopts);
	out[12] = (uint8_t)((sizeof(base) + nopts) / 4 << 4);
	out[13] = flags;
	return (uint32_t)sizeof(base) + nopts;
}

static void rfc9293_3_1_every_field_of_the_header_is_read(void **state)
{
	uint8_t buf[64];
	uint32_t n = header(buf, MR_TCP_ACK | MR_TCP_URG, NULL, 0);
	struct mr_seg seg;

	(void)state;
	assert_int_equal(mr_tcp_parse(buf, n, n + 7, &seg), MR_DROP_NONE);
	assert_int_equal(seg.sport, 1000);
	assert_int_equal(seg.dport, 2000);
	assert_int_equal(seg.seq, 0x01020304);
	assert_int_equal(seg.ack, 0x05060708);
	assert_int_equal(seg.wnd, 0x1122);
	assert_int_equal(seg.up, 0x33);
	assert_int_equal(seg.len, 7);
	assert_int_equal(seg.hlen, 20);
	assert_int_equal(seg.opts, 0);
}

static void flags_that_no_sender_makes_are_refused(void **state)
{
	static const struct {
		const char *what;
		uint8_t flags;
		enum mr_drop want;
	} rows[] = {
		{ "none", 0, MR_DROP_TCP_BAD_FLAGS },
		{ "SYN FIN", MR_TCP_SYN | MR_TCP_FIN, MR_DROP_TCP_BAD_FLAGS },
		{ "SYN RST", MR_TCP_SYN | MR_TCP_RST, MR_DROP_TCP_BAD_FLAGS },
		{ "RST FIN", MR_TCP_RST | MR_TCP_FIN, MR_DROP_TCP_BAD_FLAGS },
		{ "FIN without ACK", MR_TCP_FIN, MR_DROP_TCP_BAD_FLAGS },
		{ "Christmas tree", MR_TCP_FIN | MR_TCP_PSH | MR_TCP_URG, MR_DROP_TCP_BAD_FLAGS },
		{ "SYN", MR_TCP_SYN, MR_DROP_NONE },
		{ "SYN ACK", MR_TCP_SYN | MR_TCP_ACK, MR_DROP_NONE },
		{ "SYN ECE CWR (RFC 3168)", MR_TCP_SYN | MR_TCP_ECE | MR_TCP_CWR, MR_DROP_NONE },
		{ "RST", MR_TCP_RST, MR_DROP_NONE },
		{ "RST ACK", MR_TCP_RST | MR_TCP_ACK, MR_DROP_NONE },
		{ "FIN ACK", MR_TCP_FIN | MR_TCP_ACK, MR_DROP_NONE },
		{ "PSH without ACK (for the fifth step)", MR_TCP_PSH, MR_DROP_NONE },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t buf[64];
		struct mr_seg seg;
		uint32_t n = header(buf, rows[i].flags, NULL, 0);

		if (mr_tcp_parse(buf, n, n, &seg) != rows[i].want)
			fail_msg("%s", rows[i].what);
	}
}

static void rfc9293_3_1_a_header_cut_short_anywhere_is_refused(void **state)
{
	static const uint8_t ts[] = { 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2 };
	uint8_t buf[64];
	uint32_t n = header(buf, MR_TCP_ACK, ts, sizeof(ts));
	struct mr_seg seg;

	(void)state;
	for (uint32_t cut = 0; cut < n; cut++) {
		assert_int_not_equal(mr_tcp_parse(buf, cut, cut, &seg), MR_DROP_NONE);
		assert_int_not_equal(mr_tcp_parse(buf, n, cut, &seg), MR_DROP_NONE);
	}
	assert_int_equal(mr_tcp_parse(buf, n, n, &seg), MR_DROP_NONE);
	buf[12] = 4 << 4;
	assert_int_equal(mr_tcp_parse(buf, n, n, &seg), MR_DROP_TCP_BAD_HDRLEN);
}

static void port_zero_is_refused(void **state)
{
	uint8_t buf[64];
	uint32_t n = header(buf, MR_TCP_ACK, NULL, 0);
	struct mr_seg seg;

	(void)state;
	buf[0] = buf[1] = 0;
	assert_int_equal(mr_tcp_parse(buf, n, n, &seg), MR_DROP_TCP_PORT_ZERO);
	header(buf, MR_TCP_ACK, NULL, 0);
	buf[2] = buf[3] = 0;
	assert_int_equal(mr_tcp_parse(buf, n, n, &seg), MR_DROP_TCP_PORT_ZERO);
}

/* What leads nowhere ends the list, as in Linux: a segment is not lost by it. */
static void rfc9293_3_1_options_are_read_or_skipped(void **state)
{
	static const struct {
		const char *what;
		uint8_t flags, opts[12], n, want;
	} rows[] = {
		{ "MSS in a SYN", MR_TCP_SYN, { 2, 4, 5, 0xb4 }, 4, MR_TCPOPT_MSS },
		{ "MSS of 0", MR_TCP_SYN, { 2, 4, 0, 0 }, 4, 0 },
		{ "MSS elsewhere", MR_TCP_ACK, { 2, 4, 5, 0xb4 }, 4, 0 },
		{ "MSS of wrong length", MR_TCP_SYN, { 2, 3, 5, 1 }, 4, 0 },
		{ "window scale", MR_TCP_SYN, { 1, 3, 3, 7 }, 4, MR_TCPOPT_WSCALE },
		{ "unknown", MR_TCP_SYN, { 250, 4, 9, 9, 2, 4, 1, 0 }, 8, MR_TCPOPT_MSS },
		{ "behind the end", MR_TCP_SYN, { 0, 2, 4, 1, 2, 4, 1, 0 }, 8, 0 },
		{ "length 0", MR_TCP_SYN, { 8, 0, 0, 0, 2, 4, 1, 0 }, 8, 0 },
		{ "length 1", MR_TCP_SYN, { 8, 1, 0, 0, 2, 4, 1, 0 }, 8, 0 },
		{ "length beyond the header", MR_TCP_ACK, { 8, 10, 0, 0 }, 4, 0 },
		{ "kind without a length", MR_TCP_ACK, { 1, 1, 1, 8 }, 4, 0 },
		{ "before a wrong length", MR_TCP_SYN, { 2, 4, 5, 0xb4, 3, 0 }, 8, MR_TCPOPT_MSS },
		{ "timestamps",
		  MR_TCP_ACK,
		  { 1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6 },
		  12,
		  MR_TCPOPT_TS },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t buf[64];
		struct mr_seg seg = { 0 };
		uint32_t n = header(buf, rows[i].flags, rows[i].opts, rows[i].n);
		enum mr_drop got = mr_tcp_parse(buf, n, n, &seg);

		if (got || seg.opts != rows[i].want)
			fail_msg("%s: drop %d, options %#x", rows[i].what, got, seg.opts);
	}
}

/* At the recommended place, elsewhere, twice (the last one holds), and cut off there. */
static void rfc7323_3_2_timestamps_are_read_wherever_they_stand(void **state)
{
	static const struct {
		const char *what;
		uint8_t opts[24], n, want;
		uint32_t tsval, tsecr;
	} rows[] = {
		{ "in front", { 1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6 }, 12, MR_TCPOPT_TS, 5, 6 },
		{ "behind", { 8, 10, 0, 0, 0, 5, 0, 0, 0, 6, 1, 1 }, 12, MR_TCPOPT_TS, 5, 6 },
		{ "with more behind them",
		  { 1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6, 174, 5, 0, 0, 7, 1, 1, 1 },
		  20,
		  MR_TCPOPT_TS | MR_TCPOPT_ACCECN1,
		  5,
		  6 },
		{ "twice",
		  { 1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6, 1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 8 },
		  24,
		  MR_TCPOPT_TS,
		  7,
		  8 },
		{ "cut off", { 1, 1, 8, 10, 0, 0, 0, 5 }, 8, 0, 0, 0 },
		{ "of wrong length", { 1, 1, 8, 9, 0, 0, 0, 5, 0, 0, 0, 1 }, 12, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t buf[64];
		struct mr_seg seg = { 0 };
		uint32_t n = header(buf, MR_TCP_ACK, rows[i].opts, rows[i].n);
		enum mr_drop got = mr_tcp_parse(buf, n, n, &seg);

		if (got || seg.opts != rows[i].want || seg.tsval != rows[i].tsval ||
		    seg.tsecr != rows[i].tsecr)
			fail_msg("%s: drop %d, options %#x, %u, %u", rows[i].what, got, seg.opts,
				 seg.tsval, seg.tsecr);
	}
}

/* RFC 7323 section 2.3. */
static void a_window_scale_above_14_counts_as_14(void **state)
{
	static const uint8_t opt[] = { 1, 3, 3, 15 };
	uint8_t buf[64];
	uint32_t n = header(buf, MR_TCP_SYN, opt, sizeof(opt));
	struct mr_seg seg;

	(void)state;
	assert_int_equal(mr_tcp_parse(buf, n, n, &seg), MR_DROP_NONE);
	assert_int_equal(seg.wscale, 14);
}

static void what_is_written_is_read_back(void **state)
{
	static const uint8_t sets[] = {
		0,
		MR_TCPOPT_TS,
		MR_TCPOPT_MSS,
		MR_TCPOPT_MSS | MR_TCPOPT_WSCALE,
		MR_TCPOPT_MSS | MR_TCPOPT_WSCALE | MR_TCPOPT_TS,
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(sets); i++) {
		struct mr_seg out = {
			.sport = 7,
			.dport = 65535,
			.seq = 0xfffffff0,
			.ack = 0x80000001,
			.wnd = 65535,
			.up = 3,
			.flags = MR_TCP_SYN | MR_TCP_ACK | MR_TCP_URG,
			.opts = sets[i],
			.mss = sets[i] & MR_TCPOPT_MSS ? 1460 : 0,
			.wscale = sets[i] & MR_TCPOPT_WSCALE ? 9 : 0,
			.tsval = sets[i] & MR_TCPOPT_TS ? 0xdeadbeef : 0,
			.tsecr = sets[i] & MR_TCPOPT_TS ? 0x01234567 : 0,
		};
		struct mr_seg in;
		uint8_t buf[MR_TCP_HLEN_MAX];
		uint32_t n = mr_tcp_header_len(&out), sum = mr_tcp_write_header(buf, n, &out);

		assert_int_equal(n % 4, 0);
		assert_int_equal(mr_csum_fold(sum), mr_csum_fold(mr_csum(buf, n)));
		assert_int_equal(mr_tcp_parse(buf, n, n, &in), MR_DROP_NONE);
		out.hlen = (uint8_t)n;
		assert_memory_equal(&in, &out, sizeof(in));
	}
}

/* With timestamps, SACK-permitted costs nothing: 4 bytes that a SYN has for a Fast Open cookie. The order is Linux's. */
static void rfc7323_app_a_sack_permitted_stands_where_nops_would(void **state)
{
	static const uint8_t want[] = { 2, 4, 5, 180, 4,  2,  8, 10, 0, 0, 0, 7, 0, 0, 0, 9,
					1, 3, 3, 7,   34, 10, 1, 2,  3, 4, 5, 6, 7, 8, 1, 1 };
	struct mr_seg syn = {
		.sport = 1,
		.dport = 2,
		.flags = MR_TCP_SYN,
		.opts = MR_TCPOPT_MSS | MR_TCPOPT_SACK_PERM | MR_TCPOPT_TS | MR_TCPOPT_WSCALE |
			MR_TCPOPT_TFO,
		.mss = 1460,
		.wscale = 7,
		.tsval = 7,
		.tsecr = 9,
		.tfo = { 1, 2, 3, 4, 5, 6, 7, 8 },
		.ntfo = 8,
	};
	uint8_t buf[MR_TCP_HLEN_MAX];

	(void)state;
	assert_int_equal(mr_tcp_header_len(&syn), MR_TCP_HLEN + sizeof(want));
	mr_tcp_write_header(buf, MR_TCP_HLEN + sizeof(want), &syn);
	assert_memory_equal(buf + MR_TCP_HLEN, want, sizeof(want));
}

/* The example of RFC 1071's arithmetic: a header whose sum with its own checksum folds to all ones.
 */
/* Table 5, and whole fields of any other length. */
static void rfc9768_3_2_3_accecn_option_of_every_length(void **state)
{
	static const struct {
		uint8_t kind, len, fields;
	} rows[] = {
		{ 172, 11, 3 }, { 174, 11, 3 }, { 172, 8, 2 },	{ 174, 5, 1 },	{ 172, 2, 0 },
		{ 172, 3, 0 },	{ 174, 7, 1 },	{ 172, 12, 3 }, { 172, 20, 3 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint8_t hdr[60] = { 0, 1, 0, 2, [12] = 11 << 4 | 1, [13] = MR_TCP_ACK };
		struct mr_seg seg, again;
		uint8_t out[60];
		uint32_t n, sum;

		hdr[20] = rows[i].kind;
		hdr[21] = rows[i].len;
		for (uint8_t k = 2; k < rows[i].len; k++)
			hdr[20 + k] = k;
		assert_int_equal(mr_tcp_parse(hdr, sizeof(hdr), 44, &seg), MR_DROP_NONE);
		assert_true(seg.ae);
		assert_int_equal(seg.opts,
				 rows[i].kind == 172 ? MR_TCPOPT_ACCECN0 : MR_TCPOPT_ACCECN1);
		assert_int_equal(seg.naccecn, rows[i].fields);
		for (uint8_t k = 0; k < seg.naccecn; k++)
			assert_int_equal(seg.accecn[k],
					 (2u + 3u * k) << 16 | (3u + 3u * k) << 8 | (4u + 3u * k));
		n = mr_tcp_header_len(&seg);
		sum = mr_tcp_write_header(out, n, &seg);
		assert_int_equal(mr_csum_fold(sum), mr_csum_fold(mr_csum(out, n)));
		assert_int_equal(mr_tcp_parse(out, sizeof(out), n, &again), MR_DROP_NONE);
		assert_int_equal(again.opts, seg.opts);
		assert_true(again.ae);
		assert_memory_equal(again.accecn, seg.accecn, sizeof(seg.accecn));
	}
}

static void rfc9293_3_1_the_checksum_makes_the_header_sum_to_all_ones(void **state)
{
	struct mr_seg seg = { .sport = 80, .dport = 12345, .seq = 99, .flags = MR_TCP_ACK };
	uint8_t buf[MR_TCP_HLEN];
	uint32_t sum = 0;

	(void)state;
	mr_tcp_write_header(buf, sizeof(buf), &seg);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(buf[i] | buf[i + 1] << 8); /* memory order on this machine */
	mr_tcp_write_csum(buf, sum);
	sum = 0;
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(buf[i] << 8 | buf[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	assert_int_equal(sum, 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc9293_3_1_every_field_of_the_header_is_read),
		cmocka_unit_test(flags_that_no_sender_makes_are_refused),
		cmocka_unit_test(rfc9293_3_1_a_header_cut_short_anywhere_is_refused),
		cmocka_unit_test(port_zero_is_refused),
		cmocka_unit_test(rfc9293_3_1_options_are_read_or_skipped),
		cmocka_unit_test(rfc7323_3_2_timestamps_are_read_wherever_they_stand),
		cmocka_unit_test(a_window_scale_above_14_counts_as_14),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(rfc7323_app_a_sack_permitted_stands_where_nops_would),
		cmocka_unit_test(rfc9768_3_2_3_accecn_option_of_every_length),
		cmocka_unit_test(rfc9293_3_1_the_checksum_makes_the_header_sum_to_all_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
