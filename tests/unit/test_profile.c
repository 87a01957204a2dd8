// SPDX-License-Identifier: BSD-2-Clause
/* test_profile.c - options from a file and from the environment (user/cli/profile.c). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/profile.h"

static const struct argp_option inner[] = { { "rx-ring", 1, "N", 0, "", 0 }, { 0 } };
static const struct argp inner_argp = { .options = inner };
static const struct argp_child children[] = { { .argp = &inner_argp }, { 0 } };
static const struct argp_option outer[] = {
	{ "spin", 2, "US", 0, "", 0 },
	{ "strict", 3, NULL, 0, "", 0 },
	{ "profile", 4, "FILE", 0, "", 0 },
	{ 0 },
};
static const struct argp argp = { .options = outer, .children = children };

static char path[] = "/tmp/millrace-profile-XXXXXX";

static int read_text(const char *text, char ***list, int *n, int *line)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_not_equal(fputs(text, f), EOF);
	fclose(f);
	*list = NULL;
	*n = 0;
	return profile_read(path, &argp, list, n, line);
}

static void free_list(char **list, int n)
{
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static void a_line_becomes_an_option(void **state)
{
	char **list;
	int n, line;

	(void)state;
	assert_int_equal(read_text("# all of them\n\n spin 20\t# us\nrx-ring = 512\nstrict\n",
				   &list, &n, &line),
			 0);
	assert_int_equal(n, 3);
	assert_string_equal(list[0], "--spin=20");
	assert_string_equal(list[1], "--rx-ring=512");
	assert_string_equal(list[2], "--strict");
	free_list(list, n);
}

static void what_is_no_option_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text;
		int line;
	} bad[] = {
		{ "spin 1\nspeed 3\n", 2 },
		{ "spin\n", 1 },
		{ "strict yes\n", 1 },
		{ "\nprofile x\n", 2 },
	};
	char **list;
	int n, line;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(read_text(bad[i].text, &list, &n, &line), -EINVAL);
		assert_int_equal(line, bad[i].line);
		free_list(list, n);
	}
}

static void the_command_line_comes_after_environment_and_profile(void **state)
{
	char run[] = "run", option[64], program[] = "redis-server", spin[] = "--spin=1";
	char *argv[] = { run, option, spin, program, NULL };
	char **list;
	int n, line;

	(void)state;
	assert_int_equal(read_text("spin 20\n", &list, &n, &line), 0);
	free_list(list, n);
	snprintf(option, sizeof(option), "--profile=%s", path);
	setenv("MILLRACE_SPIN", "30", 1);
	setenv("MILLRACE_STRICT", "0", 1);
	setenv("MILLRACE_RX_RING", "64", 1);
	list = run_arguments(4, argv, &argp, &n);
	assert_int_equal(n, 7);
	assert_string_equal(list[0], "run");
	assert_string_equal(list[1], "--spin=20");
	assert_string_equal(list[2], "--spin=30");
	assert_string_equal(list[3], "--rx-ring=64");
	assert_string_equal(list[4], option);
	assert_string_equal(list[5], "--spin=1");
	assert_string_equal(list[6], "redis-server");
	for (int i = 1; i <= 3; i++)
		free(list[i]);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_becomes_an_option),
		cmocka_unit_test(what_is_no_option_is_refused_with_its_line),
		cmocka_unit_test(the_command_line_comes_after_environment_and_profile),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
