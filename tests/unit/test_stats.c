// SPDX-License-Identifier: BSD-2-Clause
/* test_stats.c - the table of counters: grouped, aligned, without zeros. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/compiler.h"
#include "cli/stats.h"

static char *format(const struct mr_counter *counters, unsigned n)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	cli_stats_format(out, counters, n);
	fclose(out);
	return text;
}

static void layers_have_headings_and_values_line_up(void **state)
{
	static const struct mr_counter counters[] = {
		{ "dev.rx_packets", "packets taken", 1234567 },
		{ "dev.tx_eagain", "busy doorbells", 0 },
		{ "arp.replies_out", "ARP replies sent", 0 },
		{ "tcp.rto", "timeouts", 3 },
		{ "tcp.segs_out", "segments sent", 42000 },
		{ "dev.ring_full", "of the device itself", 5 },
	};
	char *text = format(counters, MR_ARRAY_SIZE(counters));

	(void)state;
	assert_string_equal(text, "dev\n"
				  "  rx_packets  1,234,567  packets taken\n"
				  "  ring_full           5  of the device itself\n"
				  "tcp\n"
				  "  rto                 3  timeouts\n"
				  "  segs_out       42,000  segments sent\n");
	free(text);
}

static void nothing_counted_is_said(void **state)
{
	static const struct mr_counter counters[] = { { "ip.in", "packets", 0 } };
	char *text = format(counters, 1);

	(void)state;
	assert_string_equal(text, "every counter is zero\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_have_headings_and_values_line_up),
		cmocka_unit_test(nothing_counted_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
