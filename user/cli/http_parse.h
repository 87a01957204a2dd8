/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_parse.h - parses HTTP/1.1 requests (RFC 9110, RFC 9112). Knows no connection, file or clock.
 */
#ifndef MR_CLI_HTTP_PARSE_H
#define MR_CLI_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define HTTP_HEAD_MAX	8192u /* bytes of a request head, including the empty line */
#define HTTP_FIELDS_MAX 100u

/* Part of the caller's buffer, not NUL-terminated. p NULL: absent. */
struct http_slice {
	const char *p;
	size_t len;
};

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_PUT,
	HTTP_NOT_ALLOWED, /* another method of RFC 9110 */
};

struct http_request {
	enum http_method method;
	struct http_slice method_name;
	struct http_slice target; /* as sent: origin form, absolute form or "*" */
	unsigned minor;		  /* HTTP/1.minor */
	bool keep_alive;	  /* the client wants to keep the connection */
	bool expect_continue;	  /* Expect: 100-continue */
	bool chunked;		  /* Transfer-Encoding: chunked */
	bool has_length;	  /* Content-Length */
	bool content_range;	  /* Content-Range (a PUT with it must be refused) */
	uint64_t content_length;  /* 0 if there is no Content-Length */
	struct http_slice host;
	/* Value of Range, not parsed, because that needs the size of the file. */
	struct http_slice range;
	struct http_slice if_range;
	struct http_slice if_none_match;
	struct http_slice if_modified_since;
};

/* Parse the request head at the begin of buf. Returns its length in bytes (the body follows it); 0: it is incomplete;
 * or the negative status to answer with: -400, -414, -417, -431, -501, -505. Slices point into buf. An incomplete
 * head of HTTP_HEAD_MAX bytes or more is an error. */
int http_parse_request(const char *buf, size_t len, struct http_request *req);

/* The path of a target, without the query: the target itself in origin form, what follows the authority in absolute
 * form. p NULL: neither. */
struct http_slice http_target_path(struct http_slice target);

enum http_range_kind {
	HTTP_RANGE_WHOLE,	  /* no range, or one to be ignored: answer 200 */
	HTTP_RANGE_PART,	  /* [first, last]: answer 206 */
	HTTP_RANGE_UNSATISFIABLE, /* answer 416 */
};

/* RFC 9110 section 14.1.2, for a file of size bytes. For several ranges the result is the whole file. */
enum http_range_kind http_parse_range(struct http_slice range, uint64_t size, uint64_t *first,
				      uint64_t *last);

/* Parse a date in any of the three formats of RFC 9110 section 5.6.7. Returns 0; or -EINVAL, and *t is not changed. */
int http_parse_date(struct http_slice text, time_t *t);
/* Format as "Sun, 06 Nov 1994 08:49:37 GMT". Returns buf. */
#define HTTP_DATE_LEN 30
char *http_format_date(time_t t, char buf[HTTP_DATE_LEN]);

/* Does a list of entity tags ("*", or "a", W/"b") contain this one? Weak comparison (RFC 9110 section 8.8.3.2). */
bool http_etag_listed(struct http_slice list, const char *etag);

/* ---- Bodies ---------------------------------------------------------------------------------- */

enum http_body_state {
	HTTP_BODY_SIZE,	    /* chunked: in the size line of a chunk */
	HTTP_BODY_DATA,	    /* `left` bytes of data follow */
	HTTP_BODY_DATA_END, /* chunked: in the CRLF behind the data of a chunk */
	HTTP_BODY_TRAILER,  /* chunked: in the fields behind the last chunk */
	HTTP_BODY_DONE,
};

struct http_body {
	enum http_body_state state;
	bool chunked;
	bool size_seen;	   /* chunked: the size line had a digit */
	bool in_extension; /* chunked: behind the ';' of a size line */
	uint64_t left;	   /* data bytes that follow (of this chunk) */
	uint32_t line;	   /* length of the present size line or trailer field */
	uint32_t trailer;  /* length of all trailer fields */
};

void http_body_init(struct http_body *body, const struct http_request *req);

/* Consume framing, and then at most one run of data from buf. Returns how many bytes were consumed; *data and
 * *data_len are the data (data_len 0: there was none). -400: malformed; -431: trailers too long. Call it again as
 * long as it consumes something and the state is not DONE. */
int http_body_feed(struct http_body *body, const char *buf, size_t len, const char **data,
		   size_t *data_len);

/* In state DATA: the caller has read n bytes of the data itself (n <= left), without http_body_feed(). */
void http_body_skip(struct http_body *body, uint64_t n);

#endif
