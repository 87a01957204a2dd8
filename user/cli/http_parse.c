// SPDX-License-Identifier: BSD-2-Clause
/*
 * http_parse.c - the request line, the fields that this server understands, ranges, dates.
 * Implements  RFC 9112 sections 2 to 6, RFC 9110 sections 5.6.7, 8.8.3, 13.1 and 14.1.2.
 * Not here    body framing (http_body.c), what a path means (http_path.c).
 */
#include "cli/http_parse.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/compiler.h"

/* RFC 9110 section 5.6.2. */
static bool is_token_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct http_slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!is_token_char((unsigned char)s.p[i]))
			return false;
	}
	return s.len > 0;
}

static bool slice_is(struct http_slice s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.p, text, s.len);
}

static bool slice_is_nocase(struct http_slice s, const char *text)
{
	return s.len == strlen(text) && !strncasecmp(s.p, text, s.len);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct http_slice trim(struct http_slice s)
{
	while (s.len && is_blank(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

/* The next member of a comma-separated list (RFC 9110 section 5.6.1), taken off *list. False: end. */
static bool list_next(struct http_slice *list, struct http_slice *member)
{
	while (list->len) {
		const char *comma = memchr(list->p, ',', list->len);
		size_t n = comma ? (size_t)(comma - list->p) : list->len;
		size_t taken = comma ? n + 1 : n;

		*member = trim((struct http_slice){ list->p, n });
		list->p += taken;
		list->len -= taken;
		if (member->len)
			return true;
	}
	return false;
}

/* Digits and nothing else; too large a number becomes UINT64_MAX. */
static bool parse_digits(struct http_slice s, uint64_t *value)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			v = UINT64_MAX;
	}
	*value = v;
	return s.len > 0;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* The line at *pos, without its CRLF; a lone LF ends it as well (RFC 9112 section 2.2), a lone CR
 * makes it malformed. 1: taken; 0: not complete; -400. */
static int take_line(const char *buf, size_t len, size_t *pos, struct http_slice *line)
{
	const char *start = buf + *pos;
	const char *lf = memchr(start, '\n', len - *pos);
	size_t n;

	if (!lf)
		return 0;
	n = (size_t)(lf - start);
	*pos += n + 1;
	if (n && start[n - 1] == '\r')
		n--;
	if (memchr(start, '\r', n) || memchr(start, '\0', n))
		return -400;
	*line = (struct http_slice){ start, n };
	return 1;
}

static const struct {
	const char *name;
	enum http_method method;
} methods[] = {
	{ "GET", HTTP_GET },
	{ "HEAD", HTTP_HEAD },
	{ "PUT", HTTP_PUT },
	{ "POST", HTTP_NOT_ALLOWED },
	{ "DELETE", HTTP_NOT_ALLOWED },
	{ "OPTIONS", HTTP_NOT_ALLOWED },
	{ "PATCH", HTTP_NOT_ALLOWED },
	{ "TRACE", HTTP_NOT_ALLOWED },
	{ "CONNECT", HTTP_NOT_ALLOWED },
};

static int parse_version(struct http_slice s, struct http_request *req)
{
	if (s.len != 8 || memcmp(s.p, "HTTP/", 5) != 0 || s.p[5] < '0' || s.p[5] > '9' ||
	    s.p[6] != '.' || s.p[7] < '0' || s.p[7] > '9')
		return -400;
	if (s.p[5] != '1')
		return -505;
	req->minor = (unsigned)(s.p[7] - '0');
	return 0;
}

/* RFC 9112 section 3: exactly one space between the parts. */
static int parse_request_line(struct http_slice line, struct http_request *req)
{
	const char *end = line.p + line.len;
	const char *sp1 = memchr(line.p, ' ', line.len);
	const char *sp2 = sp1 ? memchr(sp1 + 1, ' ', (size_t)(end - sp1 - 1)) : NULL;
	int err;

	if (!sp2)
		return -400;
	req->method_name = (struct http_slice){ line.p, (size_t)(sp1 - line.p) };
	req->target = (struct http_slice){ sp1 + 1, (size_t)(sp2 - sp1 - 1) };
	if (!is_token(req->method_name) || !req->target.len)
		return -400;
	for (size_t i = 0; i < req->target.len; i++) {
		unsigned char c = (unsigned char)req->target.p[i];

		/* Bytes from 0x80 on are no URI, but what clients send for names that are not
		 * ASCII. */
		if (c <= 0x20 || c == 0x7f)
			return -400;
	}
	err = parse_version((struct http_slice){ sp2 + 1, (size_t)(end - sp2 - 1) }, req);
	if (err)
		return err;
	for (size_t i = 0; i < MR_ARRAY_SIZE(methods); i++) {
		if (slice_is(req->method_name, methods[i].name)) {
			req->method = methods[i].method;
			return 0;
		}
	}
	return -501;
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static int on_host(struct http_request *req, struct http_slice value)
{
	if (req->host.p)
		return -400;
	req->host = value;
	return 0;
}

/* Two lengths that differ are an attempt at request smuggling (RFC 9112 section 6.3). */
static int on_content_length(struct http_request *req, struct http_slice value)
{
	struct http_slice member;
	uint64_t n;
	bool any = false;

	while (list_next(&value, &member)) {
		if (!parse_digits(member, &n) || n == UINT64_MAX)
			return -400;
		if (req->has_length && n != req->content_length)
			return -400;
		req->has_length = any = true;
		req->content_length = n;
	}
	return any ? 0 : -400;
}

static int on_transfer_encoding(struct http_request *req, struct http_slice value)
{
	struct http_slice member;

	while (list_next(&value, &member)) {
		if (req->chunked)
			return -400; /* RFC 9112 section 6.1: chunked comes last, once */
		if (!slice_is_nocase(member, "chunked"))
			return -501;
		req->chunked = true;
	}
	return req->chunked ? 0 : -400;
}

static int on_connection(struct http_request *req, struct http_slice value)
{
	struct http_slice member;

	while (list_next(&value, &member)) {
		if (slice_is_nocase(member, "close"))
			req->keep_alive = false;
		else if (slice_is_nocase(member, "keep-alive") && req->minor == 0)
			req->keep_alive = true;
	}
	return 0;
}

static int on_expect(struct http_request *req, struct http_slice value)
{
	if (!slice_is_nocase(value, "100-continue"))
		return -417;
	req->expect_continue = req->minor > 0; /* RFC 9110 section 10.1.1 */
	return 0;
}

static int on_content_range(struct http_request *req, struct http_slice value)
{
	(void)value;
	req->content_range = true;
	return 0;
}

static int on_range(struct http_request *req, struct http_slice value)
{
	req->range = value;
	return 0;
}

static int on_if_range(struct http_request *req, struct http_slice value)
{
	req->if_range = value;
	return 0;
}

static int on_if_none_match(struct http_request *req, struct http_slice value)
{
	req->if_none_match = value;
	return 0;
}

static int on_if_modified_since(struct http_request *req, struct http_slice value)
{
	req->if_modified_since = value;
	return 0;
}

static const struct {
	const char *name;
	int (*take)(struct http_request *req, struct http_slice value);
} fields[] = {
	{ "Host", on_host },
	{ "Content-Length", on_content_length },
	{ "Transfer-Encoding", on_transfer_encoding },
	{ "Connection", on_connection },
	{ "Expect", on_expect },
	{ "Content-Range", on_content_range },
	{ "Range", on_range },
	{ "If-Range", on_if_range },
	{ "If-None-Match", on_if_none_match },
	{ "If-Modified-Since", on_if_modified_since },
};

/* RFC 9112 section 5: no space before the colon, no folded lines. */
static int parse_field(struct http_slice line, struct http_request *req)
{
	const char *colon = memchr(line.p, ':', line.len);
	struct http_slice name, value;

	if (!colon)
		return -400;
	name = (struct http_slice){ line.p, (size_t)(colon - line.p) };
	value = trim((struct http_slice){ colon + 1, line.len - name.len - 1 });
	if (!is_token(name))
		return -400;
	for (size_t i = 0; i < MR_ARRAY_SIZE(fields); i++) {
		if (slice_is_nocase(name, fields[i].name))
			return fields[i].take(req, value);
	}
	return 0;
}

/* What only the whole head can tell. */
static int check_head(const struct http_request *req)
{
	if (req->minor > 0 && !req->host.p)
		return -400; /* RFC 9112 section 3.2 */
	if (req->chunked && (req->has_length || req->minor == 0))
		return -400; /* section 6.1: smuggling, or a 1.0 client that cannot mean it */
	return 0;
}

int http_parse_request(const char *buf, size_t len, struct http_request *req)
{
	size_t pos = 0, usable = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
	struct http_slice line = { 0 };
	unsigned nfields = 0;
	int got, err;

	memset(req, 0, sizeof(*req));
	/* RFC 9112 section 2.2: empty lines in front of a request are skipped. */
	do {
		got = take_line(buf, usable, &pos, &line);
	} while (got > 0 && !line.len);
	if (got < 0)
		return got;
	if (!got)
		return len >= HTTP_HEAD_MAX ? -414 : 0;
	err = parse_request_line(line, req);
	if (err)
		return err;
	req->keep_alive = req->minor > 0;

	for (;;) {
		got = take_line(buf, usable, &pos, &line);
		if (got < 0)
			return got;
		if (!got)
			return len >= HTTP_HEAD_MAX ? -431 : 0;
		if (!line.len)
			break;
		if (++nfields > HTTP_FIELDS_MAX)
			return -431;
		err = parse_field(line, req);
		if (err)
			return err;
	}
	err = check_head(req);
	return err ? err : (int)pos;
}

struct http_slice http_target_path(struct http_slice target)
{
	static const char scheme[] = "http://";
	const size_t scheme_len = sizeof(scheme) - 1;
	const char *query;

	/* RFC 9110 section 4.2.1: a host must be there. RFC 3986 section 3.2 says where it ends. */
	if (target.len >= scheme_len && !strncasecmp(target.p, scheme, scheme_len)) {
		const char *authority = target.p + scheme_len;
		size_t left = target.len - scheme_len, n = 0;

		while (n < left && !strchr("/?#", authority[n]))
			n++;
		if (!n)
			return (struct http_slice){ NULL, 0 };
		if (n == left || authority[n] != '/')
			return (struct http_slice){ "/", 1 };
		target = (struct http_slice){ authority + n, left - n };
	}
	if (!target.len || target.p[0] != '/')
		return (struct http_slice){ NULL, 0 };
	query = memchr(target.p, '?', target.len);
	if (query)
		target.len = (size_t)(query - target.p);
	return target;
}

/* ---- Ranges, dates, tags --------------------------------------------------------------------- */

enum http_range_kind http_parse_range(struct http_slice range, uint64_t size, uint64_t *first,
				      uint64_t *last)
{
	static const char unit[] = "bytes=";
	const size_t unit_len = sizeof(unit) - 1;
	struct http_slice spec, from, to;
	const char *dash;
	uint64_t a, b;

	if (range.len < unit_len || strncasecmp(range.p, unit, unit_len) != 0)
		return HTTP_RANGE_WHOLE;
	spec = trim((struct http_slice){ range.p + unit_len, range.len - unit_len });
	dash = memchr(spec.p, '-', spec.len);
	if (!dash || memchr(spec.p, ',', spec.len))
		return HTTP_RANGE_WHOLE;
	from = (struct http_slice){ spec.p, (size_t)(dash - spec.p) };
	to = (struct http_slice){ dash + 1, spec.len - from.len - 1 };

	if (!from.len) {
		if (!parse_digits(to, &b))
			return HTTP_RANGE_WHOLE;
		if (!b)
			return HTTP_RANGE_UNSATISFIABLE;
		if (!size)
			return HTTP_RANGE_WHOLE; /* satisfiable, but a 206 cannot express no bytes */
		*first = b < size ? size - b : 0;
		*last = size - 1;
		return HTTP_RANGE_PART;
	}
	if (!parse_digits(from, &a))
		return HTTP_RANGE_WHOLE;
	b = UINT64_MAX;
	if (to.len && (!parse_digits(to, &b) || b < a))
		return HTTP_RANGE_WHOLE;
	if (a >= size)
		return HTTP_RANGE_UNSATISFIABLE;
	*first = a;
	*last = b < size ? b : size - 1;
	return HTTP_RANGE_PART;
}

int http_parse_date(struct http_slice text, time_t *t)
{
	static const char *const formats[] = {
		"%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate */
		"%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
		"%a %b %d %H:%M:%S %Y",	     /* asctime() */
	};
	char buf[64];

	if (text.len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text.p, text.len);
	buf[text.len] = '\0';
	for (size_t i = 0; i < MR_ARRAY_SIZE(formats); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(buf, formats[i], &tm);

		if (end && !*end) {
			*t = timegm(&tm);
			return 0;
		}
	}
	return -EINVAL;
}

char *http_format_date(time_t t, char buf[HTTP_DATE_LEN])
{
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(buf, HTTP_DATE_LEN, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		strcpy(buf, "Thu, 01 Jan 1970 00:00:00 GMT"); /* a year of five digits */
	return buf;
}

bool http_etag_listed(struct http_slice list, const char *etag)
{
	struct http_slice member;

	while (list_next(&list, &member)) {
		if (slice_is(member, "*"))
			return true;
		if (member.len > 2 && member.p[0] == 'W' && member.p[1] == '/') {
			member.p += 2;
			member.len -= 2;
		}
		if (slice_is(member, etag))
			return true;
	}
	return false;
}
