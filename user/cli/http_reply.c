// SPDX-License-Identifier: BSD-2-Clause
/* http_reply.c - the text of answers: status line, fields, short bodies. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/compiler.h"
#include "cli/http_conn.h"

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 304, "Not Modified" },
	{ 400, "Bad Request" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 409, "Conflict" },
	{ 411, "Length Required" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

static const char *reason_of(unsigned status)
{
	for (size_t i = 0; i < MR_ARRAY_SIZE(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Error";
}

/* Room for len more bytes and a NUL. */
static bool reserve(struct conn *c, size_t len)
{
	size_t cap = c->out_cap ? c->out_cap : 512;
	char *out;

	while (cap - c->out_len <= len)
		cap *= 2;
	if (cap == c->out_cap)
		return true;
	out = realloc(c->out, cap);
	if (!out) {
		c->out_failed = true;
		return false;
	}
	c->out = out;
	c->out_cap = cap;
	return true;
}

void reply_append(struct conn *c, const char *data, size_t len)
{
	if (c->out_failed || !reserve(c, len))
		return;
	memcpy(c->out + c->out_len, data, len);
	c->out_len += len;
}

void reply_printf(struct conn *c, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (c->out_failed || n < 0 || !reserve(c, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(c->out + c->out_len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	c->out_len += (size_t)n;
}

bool request_wants_close(const struct http_request *req)
{
	/* A body that nobody reads would be taken for the next request. */
	bool unread_body = req->method != HTTP_PUT && (req->chunked || req->content_length);

	return !req->keep_alive || unread_body;
}

/* One line per request with -v. What a client chose is shown only where it is printable. */
static void log_request(const struct conn *c, const struct http_request *req, unsigned status)
{
	char peer[MR_ENDPOINT_STRLEN], target[HTTP_TARGET_SHOWN + 1];
	size_t n;

	if (!c->srv->session->args.verbose)
		return;
	mr_endpoint_format(&c->peer, peer, sizeof(peer));
	if (!req || !req->target.p) {
		cli_log(c->srv->session, LOG_INFO, "%s %u %s", peer, status, reason_of(status));
		return;
	}
	n = req->target.len < sizeof(target) ? req->target.len : sizeof(target) - 1;
	for (size_t i = 0; i < n; i++) {
		unsigned char ch = (unsigned char)req->target.p[i];

		target[i] = ch > 0x20 && ch < 0x7f ? (char)ch : '?';
	}
	target[n] = '\0';
	cli_log(c->srv->session, LOG_INFO, "%s %.*s %s %u %s", peer, (int)req->method_name.len,
		req->method_name.p, target, status, reason_of(status));
}

void reply_begin(struct conn *c, const struct http_request *req, unsigned status)
{
	struct server *srv = c->srv;
	time_t now = time(NULL);

	if (now != srv->date_at) {
		srv->date_at = now;
		http_format_date(now, srv->date);
	}
	log_request(c, req, status);
	reply_printf(c, "HTTP/1.1 %u %s\r\nDate: %s\r\nServer: millrace/" MR_VERSION "\r\n", status,
		     reason_of(status), srv->date);
}

void reply_end(struct conn *c, const struct http_request *req, bool close)
{
	if (close)
		reply_printf(c, "Connection: close\r\n\r\n");
	else if (req && req->minor == 0)
		reply_printf(c, "Connection: keep-alive\r\n\r\n");
	else
		reply_printf(c, "\r\n");
	c->state = CONN_SEND;
	c->after_send = close ? CONN_LINGER : CONN_HEAD;
}

void reply_status(struct conn *c, const struct http_request *req, unsigned status,
		  const char *fields, bool close)
{
	bool has_body = status != 204 && status != 304;
	char body[96];
	int len = snprintf(body, sizeof(body), "%u %s\n", status, reason_of(status));

	reply_begin(c, req, status);
	reply_printf(c, "%s", fields);
	if (has_body)
		reply_printf(c, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n",
			     len);
	reply_end(c, req, close);
	if (has_body && !(req && req->method == HTTP_HEAD))
		reply_append(c, body, (size_t)len);
}

void reply_continue(struct conn *c)
{
	reply_printf(c, "HTTP/1.1 100 Continue\r\n\r\n");
	c->state = CONN_SEND;
	c->after_send = CONN_BODY;
}
