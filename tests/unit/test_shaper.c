// SPDX-License-Identifier: BSD-2-Clause
/* test_shaper.c - the token bucket against a hand-made clock. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/compiler.h"
#include "base/time.h"
#include "dev/shaper.h"

#define MBIT 1000000ull
#define T0   (5 * MR_NS_PER_S)

static void rate_zero_never_waits(void **state)
{
	struct mr_shaper s;

	(void)state;
	mr_shaper_init(&s, 0, 0, T0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(mr_shaper_take(&s, 65535, T0), 0);
}

static void burst_goes_at_once_then_packets_wait_their_turn(void **state)
{
	struct mr_shaper s;
	uint64_t at;

	(void)state;
	mr_shaper_init(&s, 8 * MBIT, 10000, T0); /* one byte per microsecond */
	for (int i = 0; i < 10; i++)
		assert_int_equal(mr_shaper_take(&s, 1000, T0), 0);
	at = mr_shaper_take(&s, 1000, T0);
	assert_int_equal(at, T0 + 1000 * MR_NS_PER_US);
	/* asking again costs nothing */
	assert_int_equal(mr_shaper_take(&s, 1000, at - 1), at);
	assert_int_equal(mr_shaper_take(&s, 1000, at), 0);
	assert_int_equal(mr_shaper_take(&s, 1000, at), at + 1000 * MR_NS_PER_US);
}

static void idle_time_fills_the_bucket_up_to_its_depth_only(void **state)
{
	struct mr_shaper s;
	uint64_t later = T0 + 3600 * MR_NS_PER_S;

	(void)state;
	mr_shaper_init(&s, 8 * MBIT, 3000, T0);
	assert_int_equal(mr_shaper_take(&s, 3000, T0), 0);
	assert_int_equal(mr_shaper_take(&s, 3000, later), 0);
	assert_int_not_equal(mr_shaper_take(&s, 1, later), 0);
}

static void packet_beyond_the_bucket_goes_when_it_is_full(void **state)
{
	struct mr_shaper s;

	(void)state;
	mr_shaper_init(&s, 8 * MBIT, 1000, T0);
	assert_int_equal(mr_shaper_take(&s, 5000, T0), 0);
	assert_int_equal(mr_shaper_take(&s, 5000, T0), T0 + 5000 * MR_NS_PER_US);
	assert_int_equal(mr_shaper_take(&s, 5000, T0 + 5000 * MR_NS_PER_US), 0);
}

static void default_burst_is_10_ms_but_holds_the_longest_packet(void **state)
{
	static const struct {
		const char *what;
		uint64_t rate, burst;
	} rows[] = {
		{ "a slow link: one packet of 64 KiB", 1 * MBIT, 65536 + 18 },
		{ "52.4 Mbit/s: still the packet", 52 * MBIT, 65536 + 18 },
		{ "1 Gbit/s: 1.25 MB", 1000 * MBIT, 1250000 },
		{ "100 Gbit/s", 100000 * MBIT, 125000000 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_shaper s;

		mr_shaper_init(&s, rows[i].rate, 0, T0);
		if (s.burst_bytes != rows[i].burst)
			fail_msg("%s: burst is %llu", rows[i].what,
				 (unsigned long long)s.burst_bytes);
	}
}

/* A sender that always has a packet: what leaves is the burst plus the rate, never more, and not
 * less than 1% below. */
static void long_run_keeps_the_rate(void **state)
{
	static const uint64_t rates[] = { 64000, 10 * MBIT, 100 * MBIT, 1000 * MBIT, 9973 * MBIT };
	static const uint32_t sizes[] = { 60, 1514, 9014, 333 };

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rates); i++) {
		struct mr_shaper s;
		uint64_t now = T0, sent = 0, allowed;
		unsigned n = 0;

		mr_shaper_init(&s, rates[i], 20000, T0);
		while (n < 20000) {
			uint32_t bytes = sizes[n % MR_ARRAY_SIZE(sizes)];
			uint64_t at = mr_shaper_take(&s, bytes, now);

			if (at) {
				assert_true(at > now);
				now = at;
				continue;
			}
			sent += bytes;
			n++;
		}
		allowed = 20000 +
			  (uint64_t)((unsigned __int128)(now - T0) * rates[i] / 8 / MR_NS_PER_S);
		assert_true(sent <= allowed);
		assert_true(sent + 20000 >= allowed - allowed / 100);
	}
}

static void extreme_values_do_not_overflow(void **state)
{
	struct mr_shaper s;
	uint64_t at;

	(void)state;
	mr_shaper_init(&s, 1, 0, T0);
	assert_int_equal(mr_shaper_take(&s, 65535, T0), 0);
	at = mr_shaper_take(&s, 65535, T0); /* 1 bit/s: a bucket of 65554, 19 bytes left */
	assert_int_equal(at, T0 + (65535 - 19) * 8 * MR_NS_PER_S);
	mr_shaper_init(&s, UINT64_MAX, 0, T0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(mr_shaper_take(&s, 65535, T0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate_zero_never_waits),
		cmocka_unit_test(burst_goes_at_once_then_packets_wait_their_turn),
		cmocka_unit_test(idle_time_fills_the_bucket_up_to_its_depth_only),
		cmocka_unit_test(packet_beyond_the_bucket_goes_when_it_is_full),
		cmocka_unit_test(default_burst_is_10_ms_but_holds_the_longest_packet),
		cmocka_unit_test(long_run_keeps_the_rate),
		cmocka_unit_test(extreme_values_do_not_overflow),
	};

	return cmocka_run_group_tests_name("shaper", tests, NULL, NULL);
}
