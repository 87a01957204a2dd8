// SPDX-License-Identifier: BSD-2-Clause
/* test_units.c - numbers with units: what is taken, what is refused, what is shown. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "base/compiler.h"
#include "cli/units.h"

#define REFUSED UINT64_MAX

static void sizes_are_powers_of_1024(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
		{ "0", 0 },
		{ "1500", 1500 },
		{ "64k", 65536 },
		{ "64K", 65536 },
		{ "1.5m", 3u << 19 },
		{ "2g", 2ull << 30 },
		{ "0.001k", 1 },
		{ "17179869183g", 17179869183ull << 30 },
		{ "17179869184g", REFUSED }, /* 2^64 */
		{ "18446744073709551616", REFUSED },
		{ "", REFUSED },
		{ "k", REFUSED },
		{ "-1", REFUSED },
		{ "+1", REFUSED },
		{ " 1", REFUSED },
		{ "1 k", REFUSED },
		{ "1.", REFUSED },
		{ ".5k", REFUSED },
		{ "1.5.5k", REFUSED },
		{ "1.1234567890k", REFUSED }, /* more digits than are exact */
		{ "64kb", REFUSED },
		{ "0x10", REFUSED },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint64_t bytes = REFUSED;
		int err = cli_parse_size(rows[i].text, &bytes);

		assert_int_equal(err, rows[i].bytes == REFUSED ? -EINVAL : 0);
		assert_true(bytes == rows[i].bytes);
	}
}

static void rates_need_a_unit_and_are_powers_of_1000(void **state)
{
	static const struct {
		const char *text;
		uint64_t bps;
	} rows[] = {
		{ "9600bit", 9600 },	   { "64kbit", 64000 },
		{ "100mbit", 100000000 },  { "100Mbit", 100000000 },
		{ "2.5gbit", 2500000000 }, { "0.5kbit", 500 },
		{ "100", REFUSED },	   { "100m", REFUSED },
		{ "100mbps", REFUSED },	   { "99999999999999gbit", REFUSED },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint64_t bps = REFUSED;
		int err = cli_parse_rate(rows[i].text, &bps);

		assert_int_equal(err, rows[i].bps == REFUSED ? -EINVAL : 0);
		assert_true(bps == rows[i].bps);
	}
}

static void numbers_stay_in_their_range(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(cli_parse_number("80", 1, 65535, &v), 0);
	assert_int_equal(v, 80);
	assert_int_equal(cli_parse_number("1", 1, 65535, &v), 0);
	assert_int_equal(cli_parse_number("65535", 1, 65535, &v), 0);
	v = 7;
	assert_int_equal(cli_parse_number("0", 1, 65535, &v), -EINVAL);
	assert_int_equal(cli_parse_number("65536", 1, 65535, &v), -EINVAL);
	assert_int_equal(cli_parse_number("80x", 1, 65535, &v), -EINVAL);
	assert_int_equal(cli_parse_number("", 0, 65535, &v), -EINVAL);
	assert_int_equal(v, 7);
	assert_int_equal(cli_parse_number("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
}

static void thousands_are_grouped(void **state)
{
	char buf[CLI_GROUPED_LEN];

	(void)state;
	assert_string_equal(cli_format_grouped(0, buf), "0");
	assert_string_equal(cli_format_grouped(999, buf), "999");
	assert_string_equal(cli_format_grouped(1000, buf), "1,000");
	assert_string_equal(cli_format_grouped(123456, buf), "123,456");
	assert_string_equal(cli_format_grouped(UINT64_MAX, buf), "18,446,744,073,709,551,615");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_powers_of_1024),
		cmocka_unit_test(rates_need_a_unit_and_are_powers_of_1000),
		cmocka_unit_test(numbers_stay_in_their_range),
		cmocka_unit_test(thousands_are_grouped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
