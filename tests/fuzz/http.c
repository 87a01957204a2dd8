// SPDX-License-Identifier: BSD-2-Clause
/*
 * http.c - fuzz the reading of HTTP requests: head, fields and body.
 * Input       a byte that says where the bytes are cut, then a request as it comes from the wire.
 * Claims      slices stay within the request; a head that was taken is incomplete up to its last byte;
 *	       a body reads the same however its bytes come in; numbers keep their order; a path never
 *	       has a NUL, escapes never have what they escape.
 */
#include <string.h>
#include "cli/http_path.h"
#include "fuzz.h"

#define BODY_MAX 65536u

static void check_slice(const char *buf, int len, struct http_slice s)
{
	FUZZ_CHECK(!s.p || (s.p >= buf && s.p + s.len <= buf + len), "slice");
}

static void check_head(const char *buf, int len, const struct http_request *req)
{
	struct http_request part;

	check_slice(buf, len, req->method_name);
	check_slice(buf, len, req->target);
	check_slice(buf, len, req->host);
	check_slice(buf, len, req->range);
	check_slice(buf, len, req->if_range);
	check_slice(buf, len, req->if_none_match);
	check_slice(buf, len, req->if_modified_since);
	FUZZ_CHECK(!req->chunked || !req->has_length, "both framings");
	FUZZ_CHECK(req->has_length || !req->content_length, "a length without the field");
	for (int n = 0; n < len; n++)
		FUZZ_CHECK(!http_parse_request(buf, (size_t)n, &part), "complete at %d of %d", n,
			   len);
}

static void check_fields(const struct http_request *req, uint64_t size)
{
	uint64_t first = 0, last = 0;
	char date[HTTP_DATE_LEN];
	time_t t, again;

	if (req->range.p && http_parse_range(req->range, size, &first, &last) == HTTP_RANGE_PART)
		FUZZ_CHECK(first <= last && last < size, "range");
	if (req->if_modified_since.p && !http_parse_date(req->if_modified_since, &t)) {
		struct http_slice s = { http_format_date(t, date), strlen(date) };

		/* Years of four digits are all that the format can say. */
		if (t >= 0 && t < 253402300800)
			FUZZ_CHECK(!http_parse_date(s, &again) && again == t, "date %s", date);
	}
	if (req->if_none_match.p)
		http_etag_listed(req->if_none_match, "\"5f-1\"");
}

static void check_path(const struct http_request *req)
{
	static char path[HTTP_PATH_MAX], out[6 * HTTP_PATH_MAX + 1];
	struct http_slice s = http_target_path(req->target);
	const char *dir, *name;
	int n;

	if (!s.p)
		return;
	FUZZ_CHECK(s.len && s.p[0] == '/', "path");
	if (http_path_decode(s, path))
		return;
	FUZZ_CHECK(path[0] && path[0] != '/', "decoded path");
	http_mime_type(path);
	n = http_escape_html(path, out, sizeof(out));
	FUZZ_CHECK(n >= 0 && (size_t)n == strlen(out) && !strpbrk(out, "<>\""), "HTML");
	n = http_escape_url(path, out, sizeof(out));
	FUZZ_CHECK(n >= 0 && (size_t)n == strlen(out) && !strpbrk(out, "<>\" ?#"), "URL");
	if (!http_path_split(path, &dir, &name))
		FUZZ_CHECK(name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
				   !strchr(name, '/'),
			   "name");
}

struct body {
	char bytes[BODY_MAX];
	size_t len, taken;
	int err;
	enum http_body_state state;
};

/* All of it, in pieces of at most `piece` bytes. */
static void read_body(struct body *b, const struct http_request *req, const char *buf, size_t len,
		      size_t piece)
{
	struct http_body body;

	b->len = b->taken = 0;
	b->err = 0;
	http_body_init(&body, req);
	while (b->taken < len && body.state != HTTP_BODY_DONE) {
		size_t n = len - b->taken < piece ? len - b->taken : piece, data_len;
		const char *data;
		int got = http_body_feed(&body, buf + b->taken, n, &data, &data_len);

		if (got < 0) {
			b->err = got;
			return;
		}
		FUZZ_CHECK(got > 0 && (size_t)got <= n, "%d of %zu bytes consumed", got, n);
		FUZZ_CHECK(!data_len || (data >= buf + b->taken &&
					 data + data_len <= buf + b->taken + got),
			   "data");
		if (data_len && b->len + data_len <= sizeof(b->bytes))
			memcpy(b->bytes + b->len, data, data_len);
		b->len += data_len;
		b->taken += (size_t)got;
	}
	b->state = body.state;
}

static void check_body(const struct http_request *req, const char *buf, size_t len, size_t piece)
{
	static struct body whole, pieces;

	read_body(&whole, req, buf, len, len ? len : 1);
	read_body(&pieces, req, buf, len, piece);
	FUZZ_CHECK(whole.err == pieces.err, "errors %d %d", whole.err, pieces.err);
	FUZZ_CHECK(whole.len == pieces.len, "%zu bytes, in pieces %zu", whole.len, pieces.len);
	if (whole.len <= sizeof(whole.bytes))
		FUZZ_CHECK(!memcmp(whole.bytes, pieces.bytes, whole.len), "bytes");
	if (whole.err)
		return;
	FUZZ_CHECK(whole.state == pieces.state && whole.taken == pieces.taken, "ends differ");
	if (req->has_length && whole.state == HTTP_BODY_DONE)
		FUZZ_CHECK(whole.len == req->content_length, "length");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };
	size_t piece = 1u + fuzz_u8(&in) % 16;
	const char *buf = (const char *)in.p;
	size_t len = (size_t)(in.end - in.p);
	struct http_request req;
	int head = http_parse_request(buf, len, &req);

	FUZZ_CHECK(head <= (int)len, "%d of %zu bytes", head, len);
	if (head <= 0)
		return 0;
	check_head(buf, head, &req);
	check_fields(&req, piece * 100);
	check_path(&req);
	check_body(&req, buf + head, len - (size_t)head, piece);
	return 0;
}
