/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_parse.h - bytes into HTTP/1.1 requests (RFC 9110, RFC 9112). Pure: no connection, no file,
 * no clock.
 */
#ifndef MR_CLI_HTTP_PARSE_H
#define MR_CLI_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define HTTP_HEAD_MAX	8192u /* bytes of request line and fields, blank line included */
#define HTTP_FIELDS_MAX 100u

/* Bytes inside the caller's buffer, without a NUL. p NULL: absent. */
struct http_slice {
	const char *p;
	size_t len;
};

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_PUT,
	HTTP_NOT_ALLOWED, /* a method of RFC 9110 that no resource here has */
};

struct http_request {
	enum http_method method;
	struct http_slice method_name;
	struct http_slice target; /* as sent: origin form, absolute form or "*" */
	unsigned minor;		  /* HTTP/1.minor */
	bool keep_alive;	  /* the client's wish */
	bool expect_continue;	  /* Expect: 100-continue */
	bool chunked;		  /* Transfer-Encoding: chunked */
	bool has_length;	  /* Content-Length */
	bool content_range;	  /* Content-Range was there (PUT must refuse it) */
	uint64_t content_length;  /* 0 without Content-Length */
	struct http_slice host;
	struct http_slice range; /* Range, unparsed: its meaning needs the file's size */
	struct http_slice if_range;
	struct http_slice if_none_match;
	struct http_slice if_modified_since;
};

/* Parse the request head at the start of buf. Its length in bytes (the body follows there); 0: not
 * complete yet; or the negative status to answer: -400, -414, -417, -431, -501, -505. Slices point
 * into buf. An incomplete head of HTTP_HEAD_MAX bytes or more is an error. */
int http_parse_request(const char *buf, size_t len, struct http_request *req);

/* The path of a target, without query: in origin form as it is, in absolute form what follows the
 * authority. p NULL when it is neither. */
struct http_slice http_target_path(struct http_slice target);

enum http_range_kind {
	HTTP_RANGE_WHOLE,	  /* no range, or one that is to be ignored: answer 200 */
	HTTP_RANGE_PART,	  /* [first, last]: answer 206 */
	HTTP_RANGE_UNSATISFIABLE, /* answer 416 */
};

/* RFC 9110 section 14.1.2 for a file of size bytes. Several ranges are answered with the whole. */
enum http_range_kind http_parse_range(struct http_slice range, uint64_t size, uint64_t *first,
				      uint64_t *last);

/* All three formats of RFC 9110 section 5.6.7, GMT. 0, or -EINVAL with *t untouched. */
int http_parse_date(struct http_slice text, time_t *t);
/* "Sun, 06 Nov 1994 08:49:37 GMT"; returns buf. */
#define HTTP_DATE_LEN 30
char *http_format_date(time_t t, char buf[HTTP_DATE_LEN]);

/* Does a field that lists entity tags ("*" or "a", W/"b") contain this one? Weak comparison, RFC
 * 9110 section 8.8.3.2. */
bool http_etag_listed(struct http_slice list, const char *etag);

/* ---- Bodies ---------------------------------------------------------------------------------- */

enum http_body_state {
	HTTP_BODY_SIZE,	    /* chunked: in a chunk's size line */
	HTTP_BODY_DATA,	    /* left bytes of data follow */
	HTTP_BODY_DATA_END, /* chunked: the CRLF behind a chunk's data */
	HTTP_BODY_TRAILER,  /* chunked: fields behind the last chunk */
	HTTP_BODY_DONE,
};

struct http_body {
	enum http_body_state state;
	bool chunked;
	bool size_seen;	   /* chunked: the size line has a digit */
	bool in_extension; /* chunked: behind the ';' of a size line */
	uint64_t left;	   /* data bytes to come (of this chunk) */
	uint32_t line;	   /* bytes of the present size line or trailer */
	uint32_t trailer;  /* bytes of all trailers */
};

void http_body_init(struct http_body *body, const struct http_request *req);

/* Take framing and then at most one run of data from buf. Returns the bytes consumed, framing
 * included; *data, *data_len are the run (data_len 0: none in what was consumed). -400: malformed;
 * -431: trailers too long. Call again while it consumes something and state is not DONE. */
int http_body_feed(struct http_body *body, const char *buf, size_t len, const char **data,
		   size_t *data_len);

/* In state DATA: n bytes of it (n <= left) were taken past http_body_feed(). */
void http_body_skip(struct http_body *body, uint64_t n);

#endif
