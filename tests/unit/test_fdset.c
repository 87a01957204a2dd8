// SPDX-License-Identifier: BSD-2-Clause
/* test_fdset.c - sets of descriptors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "posix/fdset.h"

static void every_member_is_found_once_in_order(void **state)
{
	static const int members[] = { 0, 1, 63, 64, 130, MR_SHARE_FDS_MAX - 1 };
	static struct fdset set;
	size_t n = 0;

	(void)state;
	for (size_t i = MR_ARRAY_SIZE(members); i-- > 0;)
		fdset_add(&set, members[i]);
	fdset_for_each (fd, &set) {
		assert_true(n < MR_ARRAY_SIZE(members));
		assert_int_equal(fd, members[n++]);
	}
	assert_int_equal(n, MR_ARRAY_SIZE(members));
}

static void one_that_is_taken_out_on_the_way_hides_no_other(void **state)
{
	static struct fdset set;
	unsigned seen = 0;

	(void)state;
	for (int fd = 60; fd < 70; fd++)
		fdset_add(&set, fd);
	fdset_for_each (fd, &set) {
		fdset_del(&set, fd);
		assert_false(fdset_has(&set, fd));
		seen++;
	}
	assert_int_equal(seen, 10);
	assert_int_equal(fdset_next(&set, 0), -1);
}

static void what_is_no_number_of_a_descriptor_is_in_none(void **state)
{
	static struct fdset set;

	(void)state;
	fdset_add(&set, MR_SHARE_FDS_MAX - 1);
	assert_true(fdset_has(&set, MR_SHARE_FDS_MAX - 1));
	assert_false(fdset_has(&set, MR_SHARE_FDS_MAX));
	assert_false(fdset_has(&set, -1));
	assert_int_equal(fdset_next(&set, MR_SHARE_FDS_MAX), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_member_is_found_once_in_order),
		cmocka_unit_test(one_that_is_taken_out_on_the_way_hides_no_other),
		cmocka_unit_test(what_is_no_number_of_a_descriptor_is_in_none),
	};

	return cmocka_run_group_tests_name("fdset", tests, NULL, NULL);
}
