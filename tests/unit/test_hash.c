// SPDX-License-Identifier: BSD-2-Clause
/* test_hash.c - SipHash, the flow hash and the random numbers against published values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "base/rng.h"
#include "millrace/xdp_abi.h"

static const uint64_t key[2] = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull };

static void siphash_gives_the_published_vectors(void **state)
{
	/* Key and message are 00 01 02 ...: appendix A of the SipHash paper (15 bytes), and the
	 * reference implementation's vectors. */
	static const struct {
		size_t len;
		uint64_t hash;
	} rows[] = {
		{ 0, 0x726fdb47dd0e0e31ull },
		{ 1, 0x74f839c593dc67fdull },
		{ 8, 0x93f5f5799a932462ull },
		{ 15, 0xa129ca6149be45e5ull },
	};
	uint8_t msg[16];

	(void)state;
	for (unsigned i = 0; i < sizeof(msg); i++)
		msg[i] = (uint8_t)i;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++)
		assert_true(mr_siphash(key, msg, rows[i].len) == rows[i].hash);
}

static void the_flow_hash_depends_on_every_part(void **state)
{
	struct mr_addr a = mr_addr_v4(htonl(0x0a000001)), b = mr_addr_v4(htonl(0x0a000002));
	const __u64 fkey[2] = { key[0], key[1] }, other[2] = { key[0], key[1] + 1 };
	uint32_t h = mr_flow_hash(fkey, a.w, b.w, 1, 2);

	(void)state;
	assert_int_not_equal(h, 0);
	assert_int_equal(h, mr_flow_hash(fkey, a.w, b.w, 1, 2));
	assert_int_not_equal(h, mr_flow_hash(fkey, b.w, a.w, 1, 2));
	assert_int_not_equal(h, mr_flow_hash(fkey, a.w, b.w, 2, 1));
	assert_int_not_equal(h, mr_flow_hash(fkey, a.w, b.w, 1, 3));
	assert_int_not_equal(h, mr_flow_hash(other, a.w, b.w, 1, 2));
}

static void xoshiro_gives_the_published_sequence(void **state)
{
	struct mr_rng rng = { { 1, 2, 3, 4 } };

	(void)state;
	assert_true(mr_rng_u64(&rng) == 11520);
	assert_true(mr_rng_u64(&rng) == 0);
	assert_true(mr_rng_u64(&rng) == 1509978240);
	assert_true(mr_rng_u64(&rng) == 1215971899390074240ull);
	mr_rng_init(&rng, 0);
	assert_true(rng.s[0] == 0xe220a8397b1dcdafull); /* splitmix64, seed 0 */
}

static void below_stays_below_and_reaches_all(void **state)
{
	unsigned seen[7] = { 0 };
	struct mr_rng rng;

	(void)state;
	mr_rng_init(&rng, 7);
	assert_int_equal(mr_rng_below(&rng, 0), 0);
	assert_int_equal(mr_rng_below(&rng, 1), 0);
	for (int i = 0; i < 7000; i++) {
		uint32_t x = mr_rng_below(&rng, 7);

		assert_true(x < 7);
		seen[x]++;
	}
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 850, 1150);
	for (int i = 0; i < 1000; i++)
		assert_true(mr_rng_below(&rng, 0x80000001u) <= 0x80000000u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_gives_the_published_vectors),
		cmocka_unit_test(the_flow_hash_depends_on_every_part),
		cmocka_unit_test(xoshiro_gives_the_published_sequence),
		cmocka_unit_test(below_stays_below_and_reaches_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
