// SPDX-License-Identifier: BSD-2-Clause
/* test_csum.c - the Internet checksum against a plain 16-bit loop, at every alignment and length. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"
#include "base/rng.h"

/* RFC 1071 section 4.1, byte by byte, in network order. */
static uint16_t reference(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (unsigned)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* 0 and 0xffff are one number in one's complement. */
static void assert_same_sum(uint16_t a, uint16_t b)
{
	assert_int_equal(a % 0xffff, b % 0xffff);
}

static void rfc9293_3_1_every_length_and_alignment_agrees_with_the_plain_loop(void **state)
{
	uint8_t buf[320], out[320];
	struct mr_rng rng;

	(void)state;
	mr_rng_init(&rng, 1);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)mr_rng_u64(&rng);
	for (size_t align = 0; align < 9; align++) {
		for (size_t len = 0; len < 300; len++) {
			uint16_t want = reference(buf + align, len);

			assert_same_sum(ntohs(mr_csum_fold(mr_csum(buf + align, len))), want);
			memset(out, 0xee, sizeof(out));
			assert_same_sum(
				ntohs(mr_csum_fold(mr_csum_copy(out + 3, buf + align, len))), want);
			assert_memory_equal(out + 3, buf + align, len);
			assert_int_equal(out[2], 0xee);
			assert_int_equal(out[3 + len], 0xee);
		}
	}
}

static void carries_of_all_ones_are_not_lost(void **state)
{
	static uint8_t buf[65536];

	(void)state;
	memset(buf, 0xff, sizeof(buf));
	for (size_t len = 2; len <= sizeof(buf); len = len * 2 + 2)
		assert_int_equal(mr_csum_fold(mr_csum(buf, len)), 0xffff);
	buf[0] = 0;
	buf[1] = 1;
	assert_same_sum(ntohs(mr_csum_fold(mr_csum(buf, sizeof(buf)))), 1);

	/* Twice 2^64 - 1, and 1: the end-around carry itself carries. */
	memset(buf, 0xff, 16);
	memset(buf + 16, 0, 8);
	buf[16] = 1;
	assert_same_sum(ntohs(mr_csum_fold(mr_csum(buf, 24))), reference(buf, 24));
}

static void sums_of_parts_add_up_wherever_the_border_is(void **state)
{
	uint8_t buf[97];

	(void)state;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 37 + 11);
	for (size_t cut = 0; cut <= sizeof(buf); cut++) {
		uint32_t sum = mr_csum(buf, cut);

		sum = mr_csum_add(sum, mr_csum_shift(mr_csum(buf + cut, sizeof(buf) - cut), cut));
		assert_same_sum(ntohs(mr_csum_fold(sum)), reference(buf, sizeof(buf)));
	}
}

static void rfc8200_8_1_pseudo_header_is_that_of_the_family(void **state)
{
	/* RFC 9293 section 3.1: source, destination, zero, protocol, TCP length. */
	static const uint8_t v4[12] = { 10, 0, 0, 1, 192, 168, 255, 254, 0, 6, 0x12, 0x34 };
	/* RFC 8200 section 8.1: source, destination, 32-bit length, zeros, next header. */
	uint8_t v6[40] = { 0 };
	struct mr_addr a, b;

	(void)state;
	assert_int_equal(mr_addr_parse("10.0.0.1", &a), 0);
	assert_int_equal(mr_addr_parse("192.168.255.254", &b), 0);
	assert_same_sum(ntohs(mr_csum_fold(mr_csum_pseudo(&a, &b, 6, 0x1234))),
			reference(v4, sizeof(v4)));

	assert_int_equal(mr_addr_parse("2001:db8::1", &a), 0);
	assert_int_equal(mr_addr_parse("fe80::ffff:1:2", &b), 0);
	memcpy(v6, a.b, 16);
	memcpy(v6 + 16, b.b, 16);
	v6[33] = 1; /* 65536 + 0x0203 bytes: more than 16 bits */
	v6[34] = 2;
	v6[35] = 3;
	v6[39] = 6;
	assert_same_sum(ntohs(mr_csum_fold(mr_csum_pseudo(&a, &b, 6, 0x10203))),
			reference(v6, sizeof(v6)));
}

static void known_ipv4_header_checks(void **state)
{
	static const uint8_t hdr[20] = {
		0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
		0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7
	};

	(void)state;
	assert_int_equal(mr_csum_fold(mr_csum(hdr, sizeof(hdr))), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc9293_3_1_every_length_and_alignment_agrees_with_the_plain_loop),
		cmocka_unit_test(carries_of_all_ones_are_not_lost),
		cmocka_unit_test(sums_of_parts_add_up_wherever_the_border_is),
		cmocka_unit_test(rfc8200_8_1_pseudo_header_is_that_of_the_family),
		cmocka_unit_test(known_ipv4_header_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
