// SPDX-License-Identifier: BSD-2-Clause
/*
 * http_body.c - where a request's body ends: by Content-Length, or chunk by chunk.
 * Implements  RFC 9112 sections 6.2 and 7.1. Chunk extensions and trailers are read and ignored.
 */
#include <string.h>

#include "cli/http_parse.h"

#define SIZE_LINE_MAX 256u /* with extensions, which nobody sends */

void http_body_init(struct http_body *body, const struct http_request *req)
{
	memset(body, 0, sizeof(*body));
	body->chunked = req->chunked;
	body->left = req->content_length;
	if (req->chunked)
		body->state = HTTP_BODY_SIZE;
	else
		body->state = body->left ? HTTP_BODY_DATA : HTTP_BODY_DONE;
}

void http_body_skip(struct http_body *body, uint64_t n)
{
	body->left -= n;
	if (!body->left)
		body->state = body->chunked ? HTTP_BODY_DATA_END : HTTP_BODY_DONE;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One byte of "1a2b;extension\r\n". */
static int size_byte(struct http_body *body, char c)
{
	if (++body->line > SIZE_LINE_MAX)
		return -400;
	if (c == '\n') {
		if (!body->size_seen)
			return -400;
		body->state = body->left ? HTTP_BODY_DATA : HTTP_BODY_TRAILER;
		body->line = 0;
		body->size_seen = body->in_extension = false;
		return 0;
	}
	if (body->in_extension || c == '\r')
		return 0;
	if (c == ';' || c == ' ' || c == '\t') {
		body->in_extension = true;
		return 0;
	}
	if (hex_value(c) < 0 || body->left >> 59) /* sizes stay below 2^63 */
		return -400;
	body->left = body->left << 4 | (uint64_t)hex_value(c);
	body->size_seen = true;
	return 0;
}

/* One byte of the fields behind the last chunk; an empty line ends them. */
static int trailer_byte(struct http_body *body, char c)
{
	if (++body->trailer > HTTP_HEAD_MAX)
		return -431;
	if (c == '\n') {
		if (!body->line)
			body->state = HTTP_BODY_DONE;
		body->line = 0;
	} else if (c != '\r') {
		body->line++;
	}
	return 0;
}

int http_body_feed(struct http_body *body, const char *buf, size_t len, const char **data,
		   size_t *data_len)
{
	size_t pos = 0;
	int err = 0;

	*data = NULL;
	*data_len = 0;
	while (pos < len && body->state != HTTP_BODY_DONE) {
		char c = buf[pos];

		switch (body->state) {
		case HTTP_BODY_SIZE:
			err = size_byte(body, c);
			break;
		case HTTP_BODY_DATA_END:
			if (c == '\n')
				body->state = HTTP_BODY_SIZE;
			else if (c != '\r')
				err = -400;
			break;
		case HTTP_BODY_TRAILER:
			err = trailer_byte(body, c);
			break;
		case HTTP_BODY_DATA:
			*data = buf + pos;
			*data_len = len - pos < body->left ? len - pos : (size_t)body->left;
			http_body_skip(body, *data_len);
			return (int)(pos + *data_len);
		case HTTP_BODY_DONE:
			break;
		}
		if (err)
			return err;
		pos++;
	}
	return (int)pos;
}
