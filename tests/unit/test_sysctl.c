// SPDX-License-Identifier: BSD-2-Clause
/* test_sysctl.c - the kernel's parameters (user/kernel/sysctl.c). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include "kernel/sysctl.h"

static void numbers_are_read_as_far_as_there_are_any(void **state)
{
	long values[3] = { -1, -1, -1 };

	(void)state;
	assert_int_equal(mr_sysctl_numbers("ipv4/ip_local_port_range", values, 3), 2);
	assert_true(values[0] > 0 && values[0] <= values[1] && values[1] < 65536);
	assert_int_equal(values[2], -1);
	values[1] = -1;
	assert_int_equal(mr_sysctl_numbers("ipv4/ip_local_port_range", values, 1), 1);
	assert_int_equal(values[1], -1);
	assert_int_equal(mr_sysctl_numbers("ipv4/tcp_congestion_control", values, 1), 0);
}

static void a_text_is_one_line_cut_to_the_buffer(void **state)
{
	char text[64], cut[3];

	(void)state;
	assert_int_equal(mr_sysctl_read("ipv4/tcp_congestion_control", text, sizeof(text)), 0);
	assert_true(strlen(text) >= sizeof(cut));
	assert_null(strchr(text, '\n'));
	assert_int_equal(mr_sysctl_read("ipv4/tcp_congestion_control", cut, sizeof(cut)), 0);
	assert_int_equal(strlen(cut), 2);
	assert_memory_equal(text, cut, 2);
}

static void what_the_kernel_has_not_is_an_error(void **state)
{
	char text[8] = "before";
	long value = 7;

	(void)state;
	assert_int_equal(mr_sysctl_read("ipv4/tcp_of_tomorrow", text, sizeof(text)), -ENOENT);
	assert_string_equal(text, "");
	assert_int_equal(mr_sysctl_numbers("ipv4/tcp_of_tomorrow", &value, 1), -ENOENT);
	assert_int_equal(value, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_read_as_far_as_there_are_any),
		cmocka_unit_test(a_text_is_one_line_cut_to_the_buffer),
		cmocka_unit_test(what_the_kernel_has_not_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
