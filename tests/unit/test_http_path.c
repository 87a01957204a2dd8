// SPDX-License-Identifier: BSD-2-Clause
/* test_http_path.c - requests stay in their directory; names are decoded and escaped. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/compiler.h"
#include "cli/http_path.h"

static void paths_are_decoded_and_relative(void **state)
{
	static const struct {
		const char *path, *out; /* out NULL: 400 */
	} rows[] = {
		{ "/", "." },
		{ "//", "." },
		{ "/a", "a" },
		{ "/a/b/", "a/b/" },
		{ "//a", "a" },
		{ "/a%20b", "a b" },
		{ "/%41%7e%C3%a4", "A~\xc3\xa4" },
		{ "/%2fetc", "etc" }, /* not absolute either */
		{ "/%2F%2Fetc", "etc" },
		{ "/a%2e%2E/b", "a../b" },
		{ "/..", ".." }, /* http_path_open() refuses it */
		{ "/a+b", "a+b" },
		{ "/%25", "%" },
		{ "/%00", NULL },
		{ "/a%00b", NULL },
		{ "/%", NULL },
		{ "/%4", NULL },
		{ "/%4g", NULL },
		{ "/%g4", NULL },
		{ "/%%41", NULL },
	};
	char out[HTTP_PATH_MAX];

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct http_slice path = { rows[i].path, strlen(rows[i].path) };

		if (rows[i].out) {
			assert_int_equal(http_path_decode(path, out), 0);
			assert_string_equal(out, rows[i].out);
		} else {
			assert_int_equal(http_path_decode(path, out), -400);
		}
	}
}

static void long_paths_are_refused(void **state)
{
	static char text[HTTP_PATH_MAX + 1];
	char out[HTTP_PATH_MAX];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	assert_int_equal(http_path_decode((struct http_slice){ text, HTTP_PATH_MAX }, out), 0);
	assert_int_equal(strlen(out), HTTP_PATH_MAX - 1);
	assert_int_equal(http_path_decode((struct http_slice){ text, HTTP_PATH_MAX + 1 }, out),
			 -414);
}

/* A directory with "in", "sub/", links that stay inside and links that leave; "secret" beside it. */
static int make_tree(void **state)
{
	char dir[] = "/tmp/millrace-test-XXXXXX";
	int fd;

	assert_non_null(mkdtemp(dir));
	*state = strdup(dir);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("root", 0755), 0);
	assert_int_equal(mkdir("root/sub", 0755), 0);
	fd = open("secret", O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	close(fd);
	fd = open("root/in", O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(symlink("../in", "root/sub/inside"), 0);
	assert_int_equal(symlink("../../secret", "root/sub/outside"), 0);
	assert_int_equal(symlink("/etc/passwd", "root/absolute"), 0);
	assert_int_equal(symlink("..", "root/up"), 0);
	assert_int_equal(symlink("loop", "root/loop"), 0);
	return 0;
}

static int remove_tree(void **state)
{
	static const char *const names[] = {
		"root/sub/inside", "root/sub/outside", "root/absolute", "root/up",
		"root/loop",	   "root/in",	       "secret",
	};
	char *dir = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++)
		unlink(names[i]);
	rmdir("root/sub");
	rmdir("root");
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
	free(dir);
	return 0;
}

static void no_path_leaves_the_directory(void **state)
{
	static const struct {
		const char *path;
		int err; /* 0: it opens */
	} rows[] = {
		{ "in", 0 },
		{ ".", 0 },
		{ "sub/../in", 0 },
		{ "sub/inside", 0 },
		{ "./././in", 0 },
		{ "nothing", -ENOENT },
		{ "in/below", -ENOTDIR },
		{ "in/", -ENOTDIR },
		{ "..", -EXDEV },
		{ "../secret", -EXDEV },
		{ "sub/../../secret", -EXDEV },
		{ "../root/in", -EXDEV },
		{ "/etc/passwd", -EXDEV },
		{ "sub/outside", -EXDEV },
		{ "absolute", -EXDEV },
		{ "up/secret", -EXDEV },
		{ "up/root/in", -EXDEV },
		{ "loop", -ELOOP },
	};
	int root = open("root", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_true(root >= 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		int fd = http_path_open(root, rows[i].path, O_RDONLY);

		if (fd >= 0)
			close(fd);
		if ((fd < 0 ? fd : 0) != rows[i].err)
			print_error("row %zu: %s\n", i, rows[i].path);
		assert_int_equal(fd < 0 ? fd : 0, rows[i].err);
	}
	close(root);
}

static void paths_split_into_directory_and_name(void **state)
{
	static const struct {
		const char *path, *dir, *name; /* dir NULL: refused */
	} rows[] = {
		{ "a", ".", "a" },     { "a/b", "a", "b" },    { "a/b/c.d", "a/b", "c.d" },
		{ ".", NULL, NULL },   { "..", NULL, NULL },   { "a/", NULL, NULL },
		{ "a/.", NULL, NULL }, { "a/..", NULL, NULL }, { "a/...", "a", "..." },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		const char *dir, *name;
		char path[16];

		strcpy(path, rows[i].path);
		if (rows[i].dir) {
			assert_int_equal(http_path_split(path, &dir, &name), 0);
			assert_string_equal(dir, rows[i].dir);
			assert_string_equal(name, rows[i].name);
		} else {
			assert_int_equal(http_path_split(path, &dir, &name), -400);
		}
	}
}

static void names_are_harmless_in_pages_and_links(void **state)
{
	char out[64];

	(void)state;
	assert_true(http_escape_html("<a href=\"x\">&'", out, sizeof(out)) > 0);
	assert_string_equal(out, "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
	assert_true(http_escape_url("a b/c?d#e%:\"\xc3\xa4~", out, sizeof(out)) > 0);
	assert_string_equal(out, "a%20b%2Fc%3Fd%23e%25%3A%22%C3%A4~");

	assert_int_equal(http_escape_html("abc", out, 4), 3);
	assert_int_equal(http_escape_html("abc", out, 3), -1);
	assert_int_equal(http_escape_html("&", out, 5), -1);
	assert_int_equal(http_escape_url("abc", out, 4), 3);
	assert_int_equal(http_escape_url("abc", out, 3), -1);
	assert_int_equal(http_escape_url(" ", out, 3), -1);
	assert_int_equal(http_escape_url("", out, 0), -1);
}

static void types_go_by_extension(void **state)
{
	(void)state;
	assert_string_equal(http_mime_type("index.html"), "text/html; charset=utf-8");
	assert_string_equal(http_mime_type("a/B.PNG"), "image/png");
	assert_string_equal(http_mime_type("a.tar.gz"), "application/gzip");
	assert_string_equal(http_mime_type("README"), "application/octet-stream");
	assert_string_equal(http_mime_type("dir.html/file"), "application/octet-stream");
	assert_string_equal(http_mime_type("x."), "application/octet-stream");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_decoded_and_relative),
		cmocka_unit_test(long_paths_are_refused),
		cmocka_unit_test_setup_teardown(no_path_leaves_the_directory, make_tree,
						remove_tree),
		cmocka_unit_test(paths_split_into_directory_and_name),
		cmocka_unit_test(names_are_harmless_in_pages_and_links),
		cmocka_unit_test(types_go_by_extension),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
