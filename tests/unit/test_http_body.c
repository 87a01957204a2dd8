// SPDX-License-Identifier: BSD-2-Clause
/* test_http_body.c - where bodies end, however they are cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/compiler.h"
#include "cli/http_parse.h"

/* Feed text in pieces of at most `piece` bytes. Bytes consumed or the negative status; the data in
 * out, NUL-terminated. */
static int feed(struct http_body *body, const char *text, size_t piece, char *out)
{
	size_t len = strlen(text), pos = 0;

	*out = '\0';
	while (pos < len && body->state != HTTP_BODY_DONE) {
		size_t n = len - pos < piece ? len - pos : piece, data_len;
		const char *data;
		int used = http_body_feed(body, text + pos, n, &data, &data_len);

		if (used < 0)
			return used;
		assert_in_range(used, 1, n);
		if (data_len)
			strncat(out, data, data_len);
		pos += (size_t)used;
	}
	return (int)pos;
}

static void chunked_bodies_are_decoded_in_any_pieces(void **state)
{
	static const char text[] =
		"4\r\nWiki\r\n5;name=\"v\"\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n"
		"0\r\nTrailer: x\r\n\r\nGET /next";
	const struct http_request req = { .chunked = true };

	(void)state;
	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		struct http_body body;
		char out[64];

		http_body_init(&body, &req);
		assert_int_equal(feed(&body, text, piece, out), sizeof(text) - 1 - 9);
		assert_int_equal(body.state, HTTP_BODY_DONE);
		assert_string_equal(out, "Wikipedia in\r\n\r\nchunks.");
	}
}

static void a_length_ends_the_body_exactly(void **state)
{
	struct http_request req = { .has_length = true, .content_length = 5 };
	struct http_body body;
	char out[16];

	(void)state;
	http_body_init(&body, &req);
	assert_int_equal(feed(&body, "helloGET", 3, out), 5);
	assert_int_equal(body.state, HTTP_BODY_DONE);
	assert_string_equal(out, "hello");

	req.content_length = 0;
	http_body_init(&body, &req);
	assert_int_equal(body.state, HTTP_BODY_DONE);
}

static void data_taken_past_the_decoder_is_accounted(void **state)
{
	const struct http_request req = { .chunked = true };
	struct http_body body;
	char out[16];

	(void)state;
	http_body_init(&body, &req);
	assert_int_equal(feed(&body, "ffff\r\n", 64, out), 6);
	assert_int_equal(body.state, HTTP_BODY_DATA);
	assert_int_equal(body.left, 65535);
	http_body_skip(&body, 65000);
	assert_int_equal(body.state, HTTP_BODY_DATA);
	http_body_skip(&body, 535);
	assert_int_equal(feed(&body, "\r\n0\r\n\r\n", 64, out), 7);
	assert_int_equal(body.state, HTTP_BODY_DONE);
}

static void malformed_chunks_are_refused(void **state)
{
	static const struct {
		const char *text;
		int expect;
	} rows[] = {
		{ "\r\n", -400 },
		{ "x\r\n", -400 },
		{ "-1\r\n", -400 },
		{ "0x10\r\n", -400 },
		{ ";ext\r\n", -400 },
		{ "2\r\nabc\r\n", -400 },	   /* longer than it said */
		{ "80000000000000000\r\n", -400 }, /* 2^67 */
	};
	const struct http_request req = { .chunked = true };

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct http_body body;
		char out[64];

		http_body_init(&body, &req);
		assert_int_equal(feed(&body, rows[i].text, 64, out), rows[i].expect);
	}
}

static void framing_has_limits(void **state)
{
	const struct http_request req = { .chunked = true };
	struct http_body body;
	const char *data;
	size_t len;
	int got = 0;

	(void)state;
	http_body_init(&body, &req);
	for (unsigned i = 0; i < 1000 && got >= 0; i++)
		got = http_body_feed(&body, "0", 1, &data, &len);
	assert_int_equal(got, -400); /* a size line without end */

	http_body_init(&body, &req);
	got = http_body_feed(&body, "0\r\n", 3, &data, &len);
	for (unsigned i = 0; i < 2 * HTTP_HEAD_MAX && got >= 0; i++)
		got = http_body_feed(&body, "a\r\n", 3, &data, &len);
	assert_int_equal(got, -431); /* trailers without end */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunked_bodies_are_decoded_in_any_pieces),
		cmocka_unit_test(a_length_ends_the_body_exactly),
		cmocka_unit_test(data_taken_past_the_decoder_is_accounted),
		cmocka_unit_test(malformed_chunks_are_refused),
		cmocka_unit_test(framing_has_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
