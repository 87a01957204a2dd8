// SPDX-License-Identifier: BSD-2-Clause
/*
 * serve.c - `millrace serve`: a static HTTP/1.1 server, all connections on one engine and one
 * thread.
 * Owns        the listener, every connection and its state; the other http_*.c files fill in
 *             answers.
 * Bounds      one request head and one answer in memory per connection, HTTP_IDLE_MS without
 *             progress, --max-sockets connections. File data is read into one scratch buffer and
 *             copied by mr_send(), which sums the checksum while it copies: that is one system call
 *             for 64 KiB, where filling frames with pread() would be one for each segment.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/http_conn.h"

#define HTTP_IDLE_MS	60000u
#define HTTP_LINGER_MS	5000u /* after our FIN, for the peer's */
#define STOP_DRAIN_MS	2000
#define ACCEPT_PAUSE_MS 50u /* when no socket is left */
/* Scratch buffers that one connection may send before it is the others' turn. */
#define SENDS_PER_TURN 8
#define EVENTS_MAX     256

struct serve_args {
	struct cli_args *common;
	uint16_t port;
	const char *root, *upload;
	uint64_t upload_limit;
};

/* ---- Connections ----------------------------------------------------------------------------- */

static void touch(struct conn *c)
{
	struct server *srv = c->srv;
	bool lingers = c->state == CONN_LINGER;

	c->deadline_ms = srv->now_ms + (lingers ? HTTP_LINGER_MS : HTTP_IDLE_MS);
	mr_list_move_tail(lingers ? &srv->lingering : &srv->idle, &c->timeout_node);
}

static void conn_free(struct conn *c)
{
	put_cancel(c);
	if (c->file_fd >= 0)
		close(c->file_fd);
	mr_list_del(&c->timeout_node);
	free(c->out);
	free(c);
}

static void conn_close(struct conn *c)
{
	mr_close(c->sock);
	conn_free(c);
}

static void conn_abort(struct conn *c)
{
	mr_abort(c->sock);
	conn_free(c);
}

static void want(struct conn *c, uint32_t interest)
{
	if (c->interest == interest)
		return;
	c->interest = interest;
	mr_set_interest(c->sock, interest, (uint64_t)(uintptr_t)c);
}

static void dispatch(struct conn *c, const struct http_request *req)
{
	switch (req->method) {
	case HTTP_GET:
	case HTTP_HEAD:
		get_start(c, req);
		break;
	case HTTP_PUT:
		put_start(c, req);
		break;
	case HTTP_NOT_ALLOWED:
		reply_status(c, req, 405,
			     c->srv->upload_fd < 0 ? "Allow: GET, HEAD\r\n" :
						     "Allow: GET, HEAD, PUT\r\n",
			     request_wants_close(req));
		break;
	}
}

static enum step head_step(struct conn *c)
{
	struct http_request req;
	ssize_t n;
	int head_len = c->in_len ? http_parse_request(c->in, c->in_len, &req) : 0;

	if (head_len < 0) {
		reply_status(c, NULL, (unsigned)-head_len, "", true);
		return STEP_ON;
	}
	if (head_len > 0) {
		dispatch(c, &req);
		c->in_len -= (size_t)head_len;
		memmove(c->in, c->in + head_len, c->in_len);
		touch(c);
		return STEP_ON;
	}
	n = mr_recv(c->sock, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
	if (n == -EAGAIN)
		return STEP_IN;
	if (n <= 0)
		return STEP_CLOSE;
	c->in_len += (size_t)n;
	return STEP_ON;
}

static enum step body_step(struct conn *c)
{
	enum step step = put_step(c);

	if (step == STEP_ON)
		touch(c);
	return step;
}

/* What a send's result means. */
static enum step sent(struct conn *c, ssize_t n, size_t len)
{
	if (n == -EAGAIN)
		return STEP_OUT;
	if (n < 0)
		return STEP_CLOSE;
	touch(c);
	return (size_t)n < len ? STEP_OUT : STEP_ON;
}

static enum step send_text(struct conn *c)
{
	size_t len = c->out_len - c->out_off;
	ssize_t n = mr_send(c->sock, c->out + c->out_off, len, c->file_left ? MR_SEND_MORE : 0);

	if (n > 0)
		c->out_off += (size_t)n;
	return sent(c, n, len);
}

static enum step send_file(struct conn *c)
{
	size_t len = c->file_left < HTTP_SCRATCH_BYTES ? (size_t)c->file_left : HTTP_SCRATCH_BYTES;
	ssize_t n = pread(c->file_fd, c->srv->scratch, len, (off_t)c->file_off);

	/* Content-Length has been promised: a file that shrank or fails ends in a reset. */
	if (n <= 0)
		return STEP_ABORT;
	len = (size_t)n;
	n = mr_send(c->sock, c->srv->scratch, len, c->file_left > len ? MR_SEND_MORE : 0);
	if (n > 0) {
		c->file_off += (uint64_t)n;
		c->file_left -= (uint64_t)n;
	}
	return sent(c, n, len);
}

/* The answer is out: free what it held, go on to what comes next. */
static enum step send_done(struct conn *c)
{
	if (c->file_fd >= 0)
		close(c->file_fd);
	c->file_fd = -1;
	c->out_len = c->out_off = 0;
	if (c->out_cap > 4096) { /* it was a long listing */
		free(c->out);
		c->out = NULL;
		c->out_cap = 0;
	}
	c->state = c->after_send;
	touch(c);
	if (c->state == CONN_LINGER && mr_shutdown(c->sock, MR_SHUT_WR))
		return STEP_CLOSE;
	return STEP_ON;
}

static enum step send_step(struct conn *c)
{
	if (c->out_failed)
		return STEP_ABORT;
	if (c->out_off < c->out_len)
		return send_text(c);
	if (c->file_left)
		return send_file(c);
	return send_done(c);
}

/* Our FIN is out. Closing with unread input would be a reset that may overtake the answer (RFC 9112
 * section 9.6), so input is thrown away until the peer's FIN. */
static enum step linger_step(struct conn *c)
{
	ssize_t n = mr_recv(c->sock, c->srv->scratch, HTTP_SCRATCH_BYTES, 0);

	if (n == -EAGAIN)
		return STEP_IN;
	return n > 0 ? STEP_ON : STEP_CLOSE;
}

/* Run a connection until it has to wait, or has had its turn. */
static void conn_run(struct conn *c)
{
	static enum step (*const steps[])(struct conn * c) = {
		[CONN_HEAD] = head_step,
		[CONN_BODY] = body_step,
		[CONN_SEND] = send_step,
		[CONN_LINGER] = linger_step,
	};

	for (int turn = 0; turn < 4 * SENDS_PER_TURN; turn++) {
		switch (steps[c->state](c)) {
		case STEP_ON:
			break;
		case STEP_IN:
			want(c, MR_IN);
			return;
		case STEP_OUT:
			want(c, MR_OUT);
			return;
		case STEP_CLOSE:
			conn_close(c);
			return;
		case STEP_ABORT:
			conn_abort(c);
			return;
		}
	}
	/* Level-triggered: with both asked for, it is reported again at once. */
	want(c, MR_IN | MR_OUT);
}

static void accept_all(struct server *srv)
{
	struct mr_endpoint peer;
	struct mr_socket *sock;
	struct conn *c;
	int err;

	while (!(err = mr_accept(srv->listener, &sock, &peer))) {
		c = calloc(1, sizeof(*c));
		if (!c) {
			mr_abort(sock);
			return;
		}
		c->srv = srv;
		c->sock = sock;
		c->peer = peer;
		c->file_fd = -1;
		mr_list_init(&c->timeout_node);
		/* Whole answers are handed over; MR_SEND_MORE says where they go on. */
		mr_set_option(sock, MR_OPT_NODELAY, 1);
		want(c, MR_IN);
		touch(c);
		conn_run(c);
	}
	if (err == -ENOBUFS) { /* --max-sockets: the rest waits in the accept queue */
		srv->accept_at_ms = srv->now_ms + ACCEPT_PAUSE_MS;
		mr_set_interest(srv->listener, 0, 0);
	}
}

static void accept_resume(struct server *srv)
{
	if (srv->accept_at_ms && srv->accept_at_ms <= srv->now_ms) {
		srv->accept_at_ms = 0;
		mr_set_interest(srv->listener, MR_IN, 0);
	}
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void expire(struct server *srv, struct mr_list *list)
{
	while (!mr_list_empty(list)) {
		struct conn *c = mr_list_first(list, struct conn, timeout_node);

		if (c->deadline_ms > srv->now_ms)
			return;
		/* Between requests nothing is lost by FIN; in the middle of one the peer must
		 * notice. */
		if (c->state == CONN_HEAD && !c->in_len)
			conn_close(c);
		else
			conn_abort(c);
	}
}

/* Microseconds until the first deadline; -1: there is none. */
static int64_t next_timeout_us(const struct server *srv)
{
	const struct mr_list *lists[] = { &srv->idle, &srv->lingering };
	uint64_t first = srv->accept_at_ms ? srv->accept_at_ms : UINT64_MAX;

	for (size_t i = 0; i < MR_ARRAY_SIZE(lists); i++) {
		if (!mr_list_empty(lists[i]))
			first = mr_min(
				first,
				mr_list_first(lists[i], struct conn, timeout_node)->deadline_ms);
	}
	if (first == UINT64_MAX)
		return -1;
	return first > srv->now_ms ? (int64_t)(first - srv->now_ms) * 1000 : 0;
}

static void on_event(struct server *srv, const struct mr_event *event)
{
	struct conn *c = (struct conn *)(uintptr_t)event->user;

	if (event->sock == srv->listener) {
		accept_all(srv);
		return;
	}
	/* Before we have sent FIN, "both directions over" can only be a reset. */
	if ((event->ready & MR_ERR) || ((event->ready & MR_HUP) && c->state != CONN_LINGER))
		conn_close(c);
	else
		conn_run(c);
}

static int serve_loop(struct server *srv)
{
	struct mr_event events[EVENTS_MAX];

	while (!cli_session_stopping()) {
		int n;

		srv->now_ms = cli_now_ms();
		expire(srv, &srv->idle);
		expire(srv, &srv->lingering);
		accept_resume(srv);
		n = cli_session_wait(srv->session, events, EVENTS_MAX, next_timeout_us(srv));
		if (n < 0)
			return CLI_FAILED;
		srv->now_ms = cli_now_ms();
		for (int i = 0; i < n; i++)
			on_event(srv, &events[i]);
	}
	return CLI_OK;
}

/* Connections between two requests end with FIN, those in the middle of one with RST. */
static void close_all(struct server *srv)
{
	struct mr_list *lists[] = { &srv->idle, &srv->lingering };

	for (size_t i = 0; i < MR_ARRAY_SIZE(lists); i++) {
		while (!mr_list_empty(lists[i])) {
			struct conn *c = mr_list_first(lists[i], struct conn, timeout_node);

			if (c->state == CONN_LINGER || (c->state == CONN_HEAD && !c->in_len))
				conn_close(c);
			else
				conn_abort(c);
		}
	}
}

/* ---- The command ----------------------------------------------------------------------------- */

static int open_dir(const struct cli_session *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		cli_log(s, LOG_ERR,
			"cannot open the directory %s (%s): name one that this user may read", path,
			strerror(errno));
	return fd;
}

/* A file for each connection: as many as the system lets us have. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int serve(struct server *srv, const struct serve_args *args)
{
	struct cli_session *s = srv->session;
	char what[PATH_MAX];
	struct mr_endpoint local = { .port = args->port };
	int status = cli_session_listen(s, &local, 1024, &srv->listener);

	if (status)
		return status;
	snprintf(what, sizeof(what), "serving %s", args->root);
	cli_announce(s, what, &local);
	status = serve_loop(srv);
	mr_close(srv->listener);
	srv->listener = NULL;
	close_all(srv);
	if (status == CLI_OK) {
		cli_session_clear_stop();
		cli_session_drain(s, STOP_DRAIN_MS);
	}
	return status;
}

enum { OPT_UPLOAD = 0x200, OPT_UPLOAD_LIMIT };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "Serving:", 1 },
	{ "port", 'p', "PORT", 0, "Listen on this port (default 80)", 0 },
	{ "upload", OPT_UPLOAD, "DIR", 0, "Store what is sent with PUT below this directory", 0 },
	{ "upload-limit", OPT_UPLOAD_LIMIT, "SIZE", 0, "Refuse larger uploads (default 64g)", 0 },
	{ 0 },
};

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct serve_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->common;
		break;
	case 'p':
		args->port = (uint16_t)cli_number_arg(state, "--port", arg, 1, 65535);
		break;
	case OPT_UPLOAD:
		args->upload = arg;
		break;
	case OPT_UPLOAD_LIMIT:
		args->upload_limit = cli_size_arg(state, "--upload-limit", arg, 0, INT64_MAX);
		break;
	case ARGP_KEY_ARG:
		if (args->root)
			cli_usage_error(state, "one directory can be served, not also \"%s\"", arg);
		args->root = arg;
		break;
	case ARGP_KEY_END:
		if (!args->root)
			cli_usage_error(state, "which directory? Name it last, for example: "
					       "millrace serve -i eth0 -a 10.0.0.5/24 /srv/www");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse_opt,
	.args_doc = "DIR",
	.doc = "Serve the files of DIR over HTTP/1.1.",
	.children = children,
};

int cmd_serve(int argc, char **argv)
{
	struct cli_session session = { .name = argv[0] };
	struct serve_args args = {
		.common = &session.args,
		.port = 80,
		.upload_limit = 64ull << 30,
	};
	struct server srv = { .session = &session, .root_fd = -1, .upload_fd = -1 };
	int status = CLI_FAILED;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	mr_list_init(&srv.idle);
	mr_list_init(&srv.lingering);
	srv.upload_limit = args.upload_limit;
	srv.scratch = malloc(HTTP_SCRATCH_BYTES);
	srv.root_fd = open_dir(&session, args.root);
	if (args.upload && srv.root_fd >= 0)
		srv.upload_fd = open_dir(&session, args.upload);

	raise_file_limit();
	if (srv.scratch && srv.root_fd >= 0 && (!args.upload || srv.upload_fd >= 0) &&
	    cli_session_open(&session) == CLI_OK) {
		status = serve(&srv, &args);
		cli_session_close(&session);
	}
	if (srv.root_fd >= 0)
		close(srv.root_fd);
	if (srv.upload_fd >= 0)
		close(srv.upload_fd);
	free(srv.scratch);
	return status;
}
