// SPDX-License-Identifier: BSD-2-Clause
/* test_http_parse.c - request heads, ranges, dates and entity tags. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "cli/http_parse.h"

#define H "Host: a\r\n"

static struct http_slice slice(const char *text)
{
	return (struct http_slice){ text, strlen(text) };
}

static void assert_slice(struct http_slice s, const char *text)
{
	assert_int_equal(s.len, strlen(text));
	assert_memory_equal(s.p, text, s.len);
}

static void heads_are_taken_whole_refused_or_waited_for(void **state)
{
	enum { WHOLE = -1, MORE = 0 };
	static const struct {
		const char *text;
		int expect; /* WHOLE: all of text; MORE; else the status */
	} rows[] = {
		{ "GET / HTTP/1.1\r\n" H "\r\n", WHOLE },
		{ "GET / HTTP/1.0\r\n\r\n", WHOLE },
		{ "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", WHOLE },
		{ "GET / HTTP/1.1\n" H "\n", WHOLE }, /* RFC 9112 section 2.2 */
		{ "GET http://a/b HTTP/1.1\r\n" H "\r\n", WHOLE },
		{ "GET / HTTP/1.9\r\n" H "\r\n", WHOLE },
		{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", WHOLE },
		{ "", MORE },
		{ "\r\n", MORE },
		{ "GET", MORE },
		{ "GET / HTTP/1.1\r\n", MORE },
		{ "GET / HTTP/1.1\r\n" H "\r", MORE },
		{ "GET / HTTP/1.1\r\n\r\n", 400 }, /* no Host */
		{ "GET / HTTP/1.1\r\n" H H "\r\n", 400 },
		{ "GET /\r\n" H "\r\n", 400 }, /* HTTP/0.9 */
		{ "GET  / HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET / HTTP/1.1 \r\n" H "\r\n", 400 },
		{ "GET /a b HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET /a\tb HTTP/1.1\r\n" H "\r\n", 400 },
		{ " GET / HTTP/1.1\r\n" H "\r\n", 400 },
		{ "G(T / HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "a\rb: c\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "space : x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H " folded\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H ": x\r\n\r\n", 400 },
		{ "GET / http/1.1\r\n" H "\r\n", 400 },
		{ "GET / HTTP/11\r\n" H "\r\n", 400 },
		{ "GET / HTTP/2.0\r\n" H "\r\n", 505 },
		{ "GET / HTTP/0.9\r\n" H "\r\n", 505 },
		{ "FROB / HTTP/1.1\r\n" H "\r\n", 501 },
		{ "get / HTTP/1.1\r\n" H "\r\n", 501 }, /* methods are case-sensitive */
		{ "PUT / HTTP/1.1\r\n" H "Content-Length: x\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\n" H "Content-Length: 1, 2\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", WHOLE },
		{ "PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		  400 },
		{ "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
		{ "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", 400 },
		{ "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\n" H "Expect: tea\r\n\r\n", 417 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct http_request req;
		size_t len = strlen(rows[i].text);
		int got = http_parse_request(rows[i].text, len, &req);
		int expect = rows[i].expect == WHOLE ? (int)len :
			     rows[i].expect == MORE  ? 0 :
						       -rows[i].expect;

		if (got != expect)
			print_error("row %zu: \"%s\"\n", i, rows[i].text);
		assert_int_equal(got, expect);
	}
}

static void a_nul_byte_is_refused(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
	struct http_request req;

	(void)state;
	assert_int_equal(http_parse_request(text, sizeof(text) - 1, &req), -400);
}

/* Cut at every byte: never taken early, never refused, never read beyond what is there. */
static void every_prefix_of_a_head_is_waited_for(void **state)
{
	static const char text[] = "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
				   "Expect: 100-continue\r\nRange: bytes=1-2\r\n\r\n";
	struct http_request req;

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *copy = malloc(n ? n : 1); /* exactly n bytes, so that a sanitizer sees more */

		memcpy(copy, text, n);
		assert_int_equal(http_parse_request(copy, n, &req), 0);
		free(copy);
	}
	assert_int_equal(http_parse_request(text, sizeof(text) - 1, &req), sizeof(text) - 1);
}

static void what_a_head_says_is_found(void **state)
{
	static const char text[] = "PUT /a?b HTTP/1.1\r\nhost: example\r\nCONTENT-LENGTH:  12 \r\n"
				   "Expect: 100-Continue\r\nX-Other: y\r\nRange: bytes=0-1\r\n"
				   "If-None-Match: \"e\"\r\n\r\nbody";
	struct http_request req;

	(void)state;
	assert_int_equal(http_parse_request(text, strlen(text), &req), strlen(text) - 4);
	assert_int_equal(req.method, HTTP_PUT);
	assert_slice(req.target, "/a?b");
	assert_int_equal(req.minor, 1);
	assert_true(req.keep_alive);
	assert_true(req.expect_continue);
	assert_false(req.chunked);
	assert_true(req.has_length);
	assert_int_equal(req.content_length, 12);
	assert_slice(req.host, "example");
	assert_slice(req.range, "bytes=0-1");
	assert_slice(req.if_none_match, "\"e\"");
	assert_null(req.if_range.p);
}

static void keep_alive_follows_version_and_connection_field(void **state)
{
	static const struct {
		const char *text;
		bool keep_alive;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n" H "\r\n", true },
		{ "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\n" H "Connection: TE, Close\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\n" H "Connection: keep-alive\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct http_request req;

		assert_true(http_parse_request(rows[i].text, strlen(rows[i].text), &req) > 0);
		assert_int_equal(req.keep_alive, rows[i].keep_alive);
	}
}

static void heads_have_limits(void **state)
{
	static char text[2 * HTTP_HEAD_MAX];
	struct http_request req;
	size_t n;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	assert_int_equal(http_parse_request(text, HTTP_HEAD_MAX - 1, &req), 0);
	assert_int_equal(http_parse_request(text, HTTP_HEAD_MAX, &req), -414);

	n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: ");
	text[n] = 'a';
	assert_int_equal(http_parse_request(text, HTTP_HEAD_MAX - 1, &req), 0);
	assert_int_equal(http_parse_request(text, HTTP_HEAD_MAX, &req), -431);

	/* A head that ends just behind the limit is too long, one that ends at it is not. */
	memcpy(text + HTTP_HEAD_MAX - 3, "\r\n\r\n", 4);
	assert_int_equal(http_parse_request(text, HTTP_HEAD_MAX + 1, &req), -431);
	memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(http_parse_request(text, HTTP_HEAD_MAX, &req), HTTP_HEAD_MAX);

	n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (unsigned i = 1; i < HTTP_FIELDS_MAX; i++)
		n += (size_t)sprintf(text + n, "A: b\r\n");
	memcpy(text + n, "\r\n", 2);
	assert_int_equal(http_parse_request(text, n + 2, &req), n + 2);
	memcpy(text + n, "A: b\r\n\r\n", 8);
	assert_int_equal(http_parse_request(text, n + 8, &req), -431);
}

static void the_path_is_what_stands_before_the_query(void **state)
{
	static const struct {
		const char *target, *path;
	} rows[] = {
		{ "/", "/" },
		{ "/a/b?c/d?e", "/a/b" },
		{ "http://host", "/" },
		{ "http://host:80/a?b", "/a" },
		{ "HTTP://host/a", "/a" },
		{ "http://host?b=/c", "/" },
		{ "http://", NULL },
		{ "http:///a", NULL },
		{ "http://?a", NULL },
		{ "*", NULL },
		{ "host:80", NULL },
		{ "ftp://host/a", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct http_slice path = http_target_path(slice(rows[i].target));

		if (rows[i].path)
			assert_slice(path, rows[i].path);
		else
			assert_null(path.p);
	}
}

static void ranges_follow_rfc_9110(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
		enum http_range_kind kind;
		uint64_t first, last;
	} rows[] = {
		{ "bytes=0-499", 10000, HTTP_RANGE_PART, 0, 499 },
		{ "bytes=9500-", 10000, HTTP_RANGE_PART, 9500, 9999 },
		{ "bytes=-500", 10000, HTTP_RANGE_PART, 9500, 9999 },
		{ "Bytes= 0-0", 10000, HTTP_RANGE_PART, 0, 0 },
		{ "bytes=9999-9999", 10000, HTTP_RANGE_PART, 9999, 9999 },
		{ "bytes=0-99999", 10000, HTTP_RANGE_PART, 0, 9999 },
		{ "bytes=-99999", 10000, HTTP_RANGE_PART, 0, 9999 },
		{ "bytes=5-99999999999999999999999", 10, HTTP_RANGE_PART, 5, 9 },
		{ "bytes=5000000000-5000000001", 6000000000, HTTP_RANGE_PART, 5000000000,
		  5000000001 },
		{ "bytes=10000-", 10000, HTTP_RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=99999999999999999999999-", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=-0", 10000, HTTP_RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=0-", 0, HTTP_RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=-5", 0, HTTP_RANGE_WHOLE, 0, 0 },
		{ "bytes=5-4", 10000, HTTP_RANGE_WHOLE, 0, 0 }, /* invalid: ignored */
		{ "bytes=0-1,5-6", 10000, HTTP_RANGE_WHOLE, 0, 0 },
		{ "bytes=a-b", 10000, HTTP_RANGE_WHOLE, 0, 0 },
		{ "bytes=-", 10000, HTTP_RANGE_WHOLE, 0, 0 },
		{ "bytes=1", 10000, HTTP_RANGE_WHOLE, 0, 0 },
		{ "bytes=", 10000, HTTP_RANGE_WHOLE, 0, 0 },
		{ "lines=0-1", 10000, HTTP_RANGE_WHOLE, 0, 0 },
		{ "", 10000, HTTP_RANGE_WHOLE, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint64_t first = 0, last = 0;
		enum http_range_kind kind =
			http_parse_range(slice(rows[i].text), rows[i].size, &first, &last);

		if (kind != rows[i].kind)
			print_error("row %zu: \"%s\"\n", i, rows[i].text);
		assert_int_equal(kind, rows[i].kind);
		assert_int_equal(first, rows[i].first);
		assert_int_equal(last, rows[i].last);
	}
}

static void all_three_date_formats_are_read(void **state)
{
	static const char *const same[] = {
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
	};
	char buf[HTTP_DATE_LEN];
	time_t t;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(same); i++) {
		t = 0;
		assert_int_equal(http_parse_date(slice(same[i]), &t), 0);
		assert_int_equal(t, 784111777);
	}
	assert_string_equal(http_format_date(784111777, buf), same[0]);
	assert_int_equal(http_parse_date(slice("yesterday"), &t), -EINVAL);
	assert_int_equal(http_parse_date(slice("Sun, 06 Nov 1994 08:49:37 GMT+1"), &t), -EINVAL);
	assert_int_equal(http_parse_date(slice(""), &t), -EINVAL);
}

static void entity_tags_are_found_in_lists(void **state)
{
	static const struct {
		const char *list;
		bool found;
	} rows[] = {
		{ "\"x\"", true },	   { "\"a\", \"x\"", true },
		{ "W/\"x\"", true },	   { "*", true },
		{ "\"a\",,\"b\"", false }, { "x", false },
		{ "\"xx\"", false },	   { "", false },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++)
		assert_int_equal(http_etag_listed(slice(rows[i].list), "\"x\""), rows[i].found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_are_taken_whole_refused_or_waited_for),
		cmocka_unit_test(a_nul_byte_is_refused),
		cmocka_unit_test(every_prefix_of_a_head_is_waited_for),
		cmocka_unit_test(what_a_head_says_is_found),
		cmocka_unit_test(keep_alive_follows_version_and_connection_field),
		cmocka_unit_test(heads_have_limits),
		cmocka_unit_test(the_path_is_what_stands_before_the_query),
		cmocka_unit_test(ranges_follow_rfc_9110),
		cmocka_unit_test(all_three_date_formats_are_read),
		cmocka_unit_test(entity_tags_are_found_in_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
