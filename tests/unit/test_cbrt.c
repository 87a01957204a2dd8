// SPDX-License-Identifier: BSD-2-Clause
/* test_cbrt.c - the integer cube root is exact over its whole range. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cbrt.h"

#define ROOT_MAX 2642245ull /* its cube is the last below 2^64 */

/* The root changes at cubes and nowhere else, so both sides of each cube say it all. */
static void the_root_changes_exactly_at_each_cube(void **state)
{
	(void)state;
	for (uint64_t r = 1; r <= ROOT_MAX; r++) {
		if (mr_cbrt(r * r * r) != r || mr_cbrt(r * r * r - 1) != r - 1)
			fail_msg("at the cube of %u", (unsigned)r);
	}
}

static void the_ends_of_the_range_have_roots(void **state)
{
	(void)state;
	assert_int_equal(mr_cbrt(0), 0);
	assert_int_equal(mr_cbrt(1), 1);
	assert_int_equal(mr_cbrt(7), 1);
	assert_int_equal(mr_cbrt(UINT64_MAX), ROOT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_root_changes_exactly_at_each_cube),
		cmocka_unit_test(the_ends_of_the_range_have_roots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
