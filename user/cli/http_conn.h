/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_conn.h - one HTTP connection of `millrace serve`, and the server it belongs to. Internal to
 * serve.c (loop and states), http_reply.c (answers), http_get.c (files) and http_put.c (uploads).
 */
#ifndef MR_CLI_HTTP_CONN_H
#define MR_CLI_HTTP_CONN_H

#include "base/list.h"
#include "cli/http_parse.h"
#include "cli/session.h"

#define HTTP_TARGET_SHOWN  127	       /* bytes of a request's target in the log */
#define HTTP_SCRATCH_BYTES (64u << 10) /* stays in the second-level cache */

struct server {
	struct cli_session *session;
	struct mr_socket *listener;
	int root_fd;
	int upload_fd;	       /* -1: no uploads */
	uint64_t upload_limit; /* bytes of one upload */
	uint64_t now_ms;
	uint64_t accept_at_ms; /* no socket was left: try again then; 0: not paused */
	time_t date_at;	       /* the second that date stands for */
	char date[HTTP_DATE_LEN];
	struct mr_list idle; /* connections by their deadline, all HTTP_IDLE_MS after a touch */
	struct mr_list lingering; /* the same, HTTP_LINGER_MS */
	char *scratch;		  /* HTTP_SCRATCH_BYTES, used within one step */
};

enum conn_state {
	CONN_HEAD,   /* wants a request head */
	CONN_BODY,   /* wants the body of an upload */
	CONN_SEND,   /* has something to send */
	CONN_LINGER, /* has sent FIN, waits for the peer's */
};

/* What a step found; the loop in serve.c acts on it. */
enum step {
	STEP_ON,    /* the state may have changed: run again */
	STEP_IN,    /* wait for input */
	STEP_OUT,   /* wait for room to send */
	STEP_CLOSE, /* over, in order */
	STEP_ABORT, /* over, and the peer must notice: RST */
};

struct upload;

struct conn {
	struct server *srv;
	struct mr_socket *sock;
	struct mr_endpoint peer;
	struct mr_list timeout_node;
	uint64_t deadline_ms;
	uint32_t interest; /* as given to mr_set_interest() */
	enum conn_state state;
	enum conn_state after_send;

	size_t in_len;
	char in[HTTP_HEAD_MAX];

	/* The answer: text, then [file_off, file_off + file_left) of the file. */
	char *out;
	size_t out_len, out_off, out_cap;
	bool out_failed; /* no memory: the answer is not whole */
	int file_fd;	 /* -1: none */
	uint64_t file_off, file_left;

	struct upload *upload; /* NULL: none */
};

/* ---- http_reply.c ---------------------------------------------------------------------------- */

void __attribute__((format(printf, 2, 3))) reply_printf(struct conn *c, const char *fmt, ...);
void reply_append(struct conn *c, const char *data, size_t len);

/* Status line, Date, Server. Fields follow with reply_printf(), then reply_end(). */
void reply_begin(struct conn *c, const struct http_request *req, unsigned status);
/* "Connection" if need be and the empty line; what comes after the answer. */
void reply_end(struct conn *c, const struct http_request *req, bool close);
/* A whole answer with a small text as body; fields: further header lines, each with CRLF, or "".
 * req NULL: the request could not be parsed. close: the connection ends after it. */
void reply_status(struct conn *c, const struct http_request *req, unsigned status,
		  const char *fields, bool close);
/* "HTTP/1.1 100 Continue"; the state after it is CONN_BODY. */
void reply_continue(struct conn *c);

/* Does the connection have to end after the answer to this request? */
bool request_wants_close(const struct http_request *req);

/* ---- http_get.c ------------------------------------------------------------------------------ */

/* Answer GET or HEAD. */
void get_start(struct conn *c, const struct http_request *req);

/* ---- http_put.c ------------------------------------------------------------------------------ */

/* Begin an upload: the state becomes CONN_BODY, or CONN_SEND with a refusal. */
void put_start(struct conn *c, const struct http_request *req);
/* Take what has arrived of the body. */
enum step put_step(struct conn *c);
/* Give up an upload that is not complete: its file is removed. Harmless without one. */
void put_cancel(struct conn *c);

#endif
