// SPDX-License-Identifier: BSD-2-Clause
/*
 * echo.c - `millrace echo`: send back what arrives (RFC 862), or throw it away (RFC 863).
 * Backpressure is exact: received frames are borrowed and given back when the send buffer has taken
 * them, so a peer that does not read its echo soon finds our receive window closed.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/session.h"

#define SLICES_MAX    32
#define EVENTS_MAX    256
#define STOP_DRAIN_MS 2000

struct echo_args {
	struct cli_args *common;
	uint16_t port;
	bool discard;
};

struct echo_conn {
	struct mr_socket *sock;
	struct echo_conn *next, **pprev; /* of all connections */
	struct mr_slice slices[SLICES_MAX];
	unsigned nslices, first; /* slices[first..nslices) are borrowed */
	uint32_t off;		 /* bytes of slices[first] that have been sent */
	bool eof;
};

struct echo_server {
	struct cli_session *session;
	struct mr_socket *listener;
	struct echo_conn *conns;
	bool discard;
};

static void conn_close(struct echo_server *srv, struct echo_conn *c)
{
	mr_recv_return(srv->session->engine, c->slices + c->first, c->nslices - c->first);
	mr_close(c->sock);
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
	free(c);
}

/* Send what is borrowed. 0 when all of it was taken, -EAGAIN, or the connection's error. */
static int send_borrowed(struct echo_server *srv, struct echo_conn *c)
{
	while (c->first < c->nslices) {
		struct mr_slice *slice = &c->slices[c->first];
		const uint8_t *data = slice->data;
		ssize_t n = mr_send(c->sock, data + c->off, slice->len - c->off,
				    c->first + 1 < c->nslices ? MR_SEND_MORE : 0);

		if (n < 0)
			return (int)n;
		c->off += (uint32_t)n;
		if (c->off < slice->len)
			continue;
		mr_recv_return(srv->session->engine, slice, 1);
		c->off = 0;
		c->first++;
	}
	return 0;
}

/* One turn: what is borrowed goes out, then what has arrived is borrowed and goes out. */
static void conn_run(struct echo_server *srv, struct echo_conn *c)
{
	int n = srv->discard ? 0 : send_borrowed(srv, c);

	if (!n && !c->eof) {
		n = mr_recv_borrow(c->sock, c->slices, SLICES_MAX);
		c->eof = !n;
		if (n > 0) {
			c->first = 0;
			c->nslices = (unsigned)n;
			if (srv->discard) {
				mr_recv_return(srv->session->engine, c->slices, c->nslices);
				c->first = c->nslices;
			}
			n = send_borrowed(srv, c);
		}
	}
	if ((n < 0 && n != -EAGAIN) || (c->eof && c->first == c->nslices)) {
		conn_close(srv, c);
		return;
	}
	mr_set_interest(c->sock, c->first < c->nslices ? MR_OUT : MR_IN, (uint64_t)(uintptr_t)c);
}

static void accept_all(struct echo_server *srv)
{
	struct mr_socket *sock;

	while (!mr_accept(srv->listener, &sock, NULL)) {
		struct echo_conn *c = calloc(1, sizeof(*c));

		if (!c) {
			mr_abort(sock);
			return;
		}
		c->sock = sock;
		c->next = srv->conns;
		c->pprev = &srv->conns;
		if (c->next)
			c->next->pprev = &c->next;
		srv->conns = c;
		mr_set_option(sock, MR_OPT_NODELAY, 1);
		mr_set_interest(sock, MR_IN, (uint64_t)(uintptr_t)c);
	}
}

static int echo_loop(struct echo_server *srv)
{
	struct mr_event events[EVENTS_MAX];

	while (!cli_session_stopping()) {
		int n = cli_session_wait(srv->session, events, EVENTS_MAX, -1);

		if (n < 0)
			return CLI_FAILED;
		for (int i = 0; i < n; i++) {
			struct echo_conn *c = (struct echo_conn *)(uintptr_t)events[i].user;

			if (events[i].sock == srv->listener)
				accept_all(srv);
			else if (events[i].ready & (MR_ERR | MR_HUP))
				conn_close(srv, c);
			else
				conn_run(srv, c);
		}
	}
	return CLI_OK;
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct echo_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->common;
		break;
	case 'p':
		args->port = (uint16_t)cli_number_arg(state, "--port", arg, 1, 65535);
		break;
	case 'd':
		args->discard = true;
		break;
	case ARGP_KEY_ARG:
		cli_usage_error(state, "\"%s\" is too much: options are all it takes", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "Echoing:", 1 },
	{ "port", 'p', "PORT", 0, "Listen on this port (default 7)", 0 },
	{ "discard", 'd', NULL, 0, "Send nothing back", 0 },
	{ 0 },
};

static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse_opt,
	.doc = "Send back received data.",
	.children = children,
};

int cmd_echo(int argc, char **argv)
{
	struct cli_session session = { .name = argv[0] };
	struct echo_args args = { .common = &session.args, .port = 7 };
	struct echo_server srv = { .session = &session };
	struct mr_endpoint local = { 0 };
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	srv.discard = args.discard;
	status = cli_session_open(&session);
	if (status)
		return status;
	local.port = args.port;
	status = cli_session_listen(&session, &local, 1024, &srv.listener);
	if (status == CLI_OK) {
		cli_announce(&session, args.discard ? "discarding" : "echoing", &local);
		status = echo_loop(&srv);
		mr_close(srv.listener);
		while (srv.conns)
			conn_close(&srv, srv.conns);
		if (status == CLI_OK) {
			cli_session_clear_stop();
			cli_session_drain(&session, STOP_DRAIN_MS);
		}
	}
	cli_session_close(&session);
	return status;
}
