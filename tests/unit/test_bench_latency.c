// SPDX-License-Identifier: BSD-2-Clause
/* test_bench_latency.c - the histogram of tests/bench: percentiles that are at most 3 % too high. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../bench/latency.h"

static void nothing_has_no_percentile(void **state)
{
	struct latency l = { 0 };

	(void)state;
	assert_int_equal(latency_quantile(&l, 0.5), 0);
}

static void one_sample_is_every_percentile(void **state)
{
	static const uint64_t values[] = { 1, 31, 32, 33, 4711, 1000000007, UINT64_MAX / 2 };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct latency l = { 0 };

		latency_add(&l, values[i]);
		assert_int_equal(latency_quantile(&l, 0.01), values[i]);
		assert_int_equal(latency_quantile(&l, 0.999), values[i]);
	}
}

static void percentiles_are_at_most_3_percent_too_high(void **state)
{
	struct latency l = { 0 };

	(void)state;
	for (uint64_t ns = 1; ns <= 1000000; ns++)
		latency_add(&l, ns);
	for (unsigned percent = 1; percent <= 100; percent++) {
		uint64_t exact = percent * 10000ull, got = latency_quantile(&l, percent / 100.0);

		assert_true(got >= exact - 1 && got <= exact + exact * 3 / 100 + 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_has_no_percentile),
		cmocka_unit_test(one_sample_is_every_percentile),
		cmocka_unit_test(percentiles_are_at_most_3_percent_too_high),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
