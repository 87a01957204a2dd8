// SPDX-License-Identifier: BSD-2-Clause
/* test_counters.c - every counter has a name of its own, drop names are the enum's in lower case. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <string.h>
#include "base/compiler.h"
#include "base/counters.h"

static void assert_is_lower_case_of(const char *name, const char *prefix, const char *id)
{
	size_t n = strlen(prefix);

	assert_int_equal(strncmp(name, prefix, n), 0);
	assert_int_equal(strlen(name + n), strlen(id));
	for (size_t i = 0; id[i]; i++)
		assert_int_equal(name[n + i], tolower(id[i]));
}

static void drop_and_verdict_names_follow_the_enums(void **state)
{
	(void)state;
#define X(id, name, text) assert_is_lower_case_of(mr_drop_name(MR_DROP_##id), "drop.", #id);
	MR_DROP_LIST_XDP(X)
	MR_DROP_LIST_USER(X)
#undef X
#define X(id, name, text) assert_is_lower_case_of(mr_xdp_verdict_name(MR_XDP_##id), "xdp.", #id);
	MR_XDP_VERDICT_LIST(X)
#undef X
	assert_string_equal(mr_drop_name(MR_DROP_TCP_BAD_CSUM), "drop.tcp_bad_csum");
	assert_string_equal(mr_xdp_verdict_name(MR_XDP_REDIRECT_TCP), "xdp.redirect_tcp");
	assert_string_equal(mr_counter_id_name(MR_CTR_TCP_RETRANS), "tcp.retrans_segs");
}

static void the_two_drop_lists_number_without_a_gap(void **state)
{
	(void)state;
	assert_int_equal(MR_DROP_NONE, 0);
	assert_int_equal(MR_DROP_ETH_NOT_OURS, MR_DROP_XDP_LAST);
	for (unsigned i = 0; i < MR_DROP_MAX; i++) {
		assert_non_null(mr_drop_name(i));
		assert_non_null(mr_drop_text(i));
	}
}

static void no_two_counters_share_a_name(void **state)
{
	const char *names[MR_CTR_MAX + MR_DROP_MAX + MR_XDP_VERDICT_MAX];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < MR_CTR_MAX; i++) {
		assert_non_null(mr_counter_id_text(i));
		names[n++] = mr_counter_id_name(i);
	}
	for (unsigned i = 0; i < MR_DROP_MAX; i++)
		names[n++] = mr_drop_name(i);
	for (unsigned i = 0; i < MR_XDP_VERDICT_MAX; i++) {
		assert_non_null(mr_xdp_verdict_text(i));
		names[n++] = mr_xdp_verdict_name(i);
	}
	assert_int_equal(n, MR_ARRAY_SIZE(names));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drop_and_verdict_names_follow_the_enums),
		cmocka_unit_test(the_two_drop_lists_number_without_a_gap),
		cmocka_unit_test(no_two_counters_share_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
