/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_conn.h - one HTTP connection of `millrace serve`, and the server. Shared by serve.c (event loop and states),
 * http_reply.c (responses), http_get.c (files) and http_put.c (uploads).
 */
#ifndef MR_CLI_HTTP_CONN_H
#define MR_CLI_HTTP_CONN_H

#include "base/list.h"
#include "cli/http_parse.h"
#include "cli/session.h"

#define HTTP_TARGET_SHOWN  127	       /* bytes of the request target in the log */
#define HTTP_SCRATCH_BYTES (64u << 10) /* small enough for the second-level cache */

struct server {
	struct cli_session *session;
	struct mr_socket *listener;
	int root_fd;
	int upload_fd;	       /* -1: no uploads */
	uint64_t upload_limit; /* bytes per upload */
	uint64_t now_ms;
	/* When to try accept() again after a lack of sockets; 0: accept() is not paused. */
	uint64_t accept_at_ms;
	time_t date_at; /* the second that `date` is valid for */
	char date[HTTP_DATE_LEN];
	struct mr_list idle;	  /* connections by deadline; timeout HTTP_IDLE_MS */
	struct mr_list lingering; /* connections by deadline; timeout HTTP_LINGER_MS */
	char *scratch;		  /* HTTP_SCRATCH_BYTES, used within one step */
};

enum conn_state {
	CONN_HEAD,   /* reads a request head */
	CONN_BODY,   /* reads the body of an upload */
	CONN_SEND,   /* sends a response */
	CONN_LINGER, /* has sent FIN, waits for the peer's */
};

/* Result of a step, for the loop in serve.c. */
enum step {
	STEP_ON,    /* the state may have changed: call again */
	STEP_IN,    /* wait for input */
	STEP_OUT,   /* wait for room to send */
	STEP_CLOSE, /* close the connection */
	STEP_ABORT, /* reset the connection, so that the peer notices the failure */
};

struct upload;

struct conn {
	struct server *srv;
	struct mr_socket *sock;
	struct mr_endpoint peer;
	struct mr_list timeout_node;
	uint64_t deadline_ms;
	uint32_t interest; /* last mr_set_interest() */
	enum conn_state state;
	enum conn_state after_send;

	size_t in_len;
	char in[HTTP_HEAD_MAX];

	/* The response: the text in out, then the bytes [file_off, file_off + file_left) of the file. */
	char *out;
	size_t out_len, out_off, out_cap;
	bool out_failed; /* out of memory: the response is incomplete */
	int file_fd;	 /* -1: none */
	uint64_t file_off, file_left;

	struct upload *upload; /* NULL: none */
};

/* ---- http_reply.c ---------------------------------------------------------------------------- */

void __attribute__((format(printf, 2, 3))) reply_printf(struct conn *c, const char *fmt, ...);
void reply_append(struct conn *c, const char *data, size_t len);

/* Append status line, Date and Server. Header fields follow with reply_printf(), then reply_end(). */
void reply_begin(struct conn *c, const struct http_request *req, unsigned status);
/* Append the Connection field if needed and the empty line. Sets the state that follows the response. */
void reply_end(struct conn *c, const struct http_request *req, bool close);
/* Make a whole response with a small text as body. fields: further header fields, each with CRLF, or "". req NULL:
 * the request could not be parsed. close: the connection ends after the response. */
void reply_status(struct conn *c, const struct http_request *req, unsigned status,
		  const char *fields, bool close);
/* Send "HTTP/1.1 100 Continue". The state after it is CONN_BODY. */
void reply_continue(struct conn *c);

/* Must the connection be closed after the response to this request? */
bool request_wants_close(const struct http_request *req);

/* ---- http_get.c ------------------------------------------------------------------------------ */

/* Answer a GET or HEAD request. */
void get_start(struct conn *c, const struct http_request *req);

/* ---- http_put.c ------------------------------------------------------------------------------ */

/* Begin an upload. The state becomes CONN_BODY; or CONN_SEND, if the upload is refused. */
void put_start(struct conn *c, const struct http_request *req);
/* Process received bytes of the body. */
enum step put_step(struct conn *c);
/* Abort an upload that is not complete, and remove its file. No effect without one. */
void put_cancel(struct conn *c);

#endif
