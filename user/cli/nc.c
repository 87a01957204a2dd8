// SPDX-License-Identifier: BSD-2-Clause
/*
 * nc.c - `millrace nc`: one TCP connection, standard input into it and standard output out of it.
 * End of input is sent as FIN; the command ends when both directions have.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/commands.h"
#include "cli/pump.h"
#include "cli/session.h"

struct nc_args {
	struct cli_args *common;
	bool listen;
	const char *host, *port_text;
	struct mr_endpoint remote; /* with listen: the local one */
};

struct nc {
	struct cli_session *session;
	struct mr_socket *sock;
	struct pump *in, *out;
	char peer[MR_ENDPOINT_STRLEN];
	bool fin_sent, fin_received;
};

static int fail(const struct nc *nc, int err)
{
	static const struct {
		int err;
		const char *advice;
	} advices[] = {
		{ -ECONNREFUSED, "start who listens there" },
		{ -ENETUNREACH, "no route leads there by this interface: --gateway or --route "
				"makes one, and this host's "
				"own addresses are never reached by it" },
		{ -EHOSTUNREACH, "check the address, and the way to it" },
		{ -ETIMEDOUT,
		  "nothing has answered: check the address, and the firewalls on the way" },
		{ -ECONNRESET, "who listens there has ended the connection" },
	};
	const char *advice = "try again";

	for (size_t i = 0; i < MR_ARRAY_SIZE(advices); i++)
		if (advices[i].err == err)
			advice = advices[i].advice;
	cli_log(nc->session, LOG_ERR, "%s: %s: %s", nc->peer, strerror(-err), advice);
	return err;
}

static int start_pumps(struct nc *nc)
{
	int err = pump_start_reader(nc->in, nc->session->engine, STDIN_FILENO);

	return err ? err : pump_start_writer(nc->out, nc->session->engine, STDOUT_FILENO);
}

/* Input to the connection. 0, -EAGAIN (no room), or an error. */
static int push(struct nc *nc)
{
	const char *data;
	size_t len;

	while (!nc->fin_sent && (len = pump_peek(nc->in, &data)) > 0) {
		ssize_t n = mr_send(nc->sock, data, len, 0);

		if (n < 0)
			return (int)n;
		pump_consume(nc->in, (size_t)n);
	}
	if (!nc->fin_sent && pump_done(nc->in)) {
		nc->fin_sent = true;
		return mr_shutdown(nc->sock, MR_SHUT_WR);
	}
	return 0;
}

/* The connection to the output. 0, -EAGAIN (nothing there, or the output is slow), or an error. */
static int pull(struct nc *nc)
{
	while (!nc->fin_received) {
		char *data;
		size_t room = pump_room(nc->out, &data);
		ssize_t n;

		if (!room)
			return -EAGAIN;
		n = mr_recv(nc->sock, data, room, 0);
		if (n < 0)
			return (int)n;
		if (n == 0) {
			nc->fin_received = true;
			pump_end(nc->out);
		}
		pump_produce(nc->out, (size_t)n);
	}
	return 0;
}

/* Ask only for what can be used now; a pump that changes wakes the engine. */
static void set_interest(struct nc *nc)
{
	const char *data;
	char *room;
	uint32_t mask = 0;

	if (!nc->fin_sent && pump_peek(nc->in, &data))
		mask |= MR_OUT;
	if (!nc->fin_received && pump_room(nc->out, &room))
		mask |= MR_IN;
	mr_set_interest(nc->sock, mask, 0);
}

/* Until both directions have ended. 0, or the error that was reported; -EINTR: told to stop. */
static int transfer(struct nc *nc)
{
	struct mr_event event;
	int err;

	for (;;) {
		err = push(nc);
		if (!err || err == -EAGAIN)
			err = pull(nc);
		if (err && err != -EAGAIN)
			return fail(nc, err);
		if (pump_error(nc->out)) {
			cli_log(nc->session, LOG_ERR, "standard output: %s",
				strerror(-pump_error(nc->out)));
			return pump_error(nc->out);
		}
		if (nc->fin_sent && nc->fin_received && pump_done(nc->out))
			return 0;
		/* MR_ERR and MR_HUP are reported for ever: with nothing left to move until standard
		 * output takes more, look again every 10 ms. */
		if (mr_ready(nc->sock) & (MR_ERR | MR_HUP))
			usleep(10000);
		if (cli_session_stopping())
			return -EINTR;
		set_interest(nc);
		err = cli_session_wait(nc->session, &event, 1, -1);
		if (err < 0)
			return err;
	}
}

/* Wait until the socket is ready for the first time. 0, -EINTR, -ENETDOWN. */
static int wait_ready(struct nc *nc, struct mr_event *event)
{
	int n;

	do {
		n = cli_session_wait(nc->session, event, 1, -1);
		if (n < 0)
			return n;
		if (cli_session_stopping())
			return -EINTR;
	} while (!n);
	return 0;
}

static int open_connect(struct nc *nc, const struct nc_args *args)
{
	struct mr_event event;
	int err;

	mr_endpoint_format(&args->remote, nc->peer, sizeof(nc->peer));
	err = mr_socket(nc->session->engine, &nc->sock);
	if (err)
		return fail(nc, err);
	mr_set_interest(nc->sock, MR_OUT, 0);
	err = mr_connect(nc->sock, &args->remote);
	if (err && err != -EINPROGRESS)
		return fail(nc, err);
	err = wait_ready(nc, &event);
	if (err)
		return err;
	err = mr_sock_error(nc->sock);
	if (err)
		return fail(nc, err);
	cli_log(nc->session, LOG_INFO, "connected to %s", nc->peer);
	return 0;
}

static int open_listen(struct nc *nc, const struct nc_args *args)
{
	struct mr_socket *listener;
	struct mr_endpoint peer;
	struct mr_event event;
	int err;

	if (cli_session_listen(nc->session, &args->remote, 1, &listener) != CLI_OK)
		return -EADDRINUSE;
	cli_announce(nc->session, "listening", &args->remote);
	do {
		err = wait_ready(nc, &event);
		if (!err)
			err = mr_accept(listener, &nc->sock, &peer);
	} while (err == -EAGAIN);
	mr_close(listener);
	if (err)
		return err;
	mr_endpoint_format(&peer, nc->peer, sizeof(nc->peer));
	cli_log(nc->session, LOG_INFO, "connection from %s", nc->peer);
	return 0;
}

static int run(struct nc *nc, const struct nc_args *args)
{
	int err = args->listen ? open_listen(nc, args) : open_connect(nc, args);

	if (!err) {
		err = start_pumps(nc);
		err = err ? fail(nc, err) : transfer(nc);
	}
	if (nc->sock) {
		if (err)
			mr_abort(nc->sock);
		else
			mr_close(nc->sock);
	}
	pump_stop(nc->in);
	pump_stop(nc->out);
	/* The last bytes and the FIN count as sent when they are acknowledged. */
	if (!err)
		err = cli_session_drain(nc->session, -1);
	return err ? CLI_FAILED : CLI_OK;
}

enum { OPT_LISTEN = 'l' };

/* "HOST PORT", or with -l also "PORT" alone: then on every address of the engine. */
static void parse_endpoint(const struct argp_state *state, struct nc_args *args)
{
	if (args->listen && args->host && !args->port_text) {
		args->port_text = args->host;
		args->host = NULL;
	}
	if (!args->port_text)
		cli_usage_error(state, "%s",
				args->listen ? "which port? For example: -l 9000" :
					       "which host and port? For example: 10.0.0.1 9000");
	if (args->host &&
	    mr_addr_parse_zone(args->host, args->common->cfg.ifname, &args->remote.addr))
		cli_usage_error(state,
				"\"%s\" is not an address such as 10.0.0.1 (names are not "
				"looked up)",
				args->host);
	args->remote.port = (uint16_t)cli_number_arg(state, "the port", args->port_text, 1, 65535);
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct nc_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->common;
		break;
	case OPT_LISTEN:
		args->listen = true;
		break;
	case ARGP_KEY_ARG:
		if (!args->host)
			args->host = arg;
		else if (!args->port_text)
			args->port_text = arg;
		else
			cli_usage_error(state, "\"%s\" is too much: a host and a port are enough",
					arg);
		break;
	case ARGP_KEY_END:
		parse_endpoint(state, args);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "Connection:", 1 },
	{ "listen", OPT_LISTEN, NULL, 0, "Take one connection instead of making one", 0 },
	{ 0 },
};

static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse_opt,
	.args_doc = "HOST PORT\n-l [HOST] PORT",
	.doc = "Connect standard input and output to a TCP connection to HOST, or from it.",
	.children = children,
};

int cmd_nc(int argc, char **argv)
{
	static struct pump in = PUMP_INIT,
			   out = PUMP_INIT; /* their threads may outlive this function */
	struct cli_session session = { .name = argv[0] };
	struct nc_args args = { .common = &session.args };
	struct nc nc = { .session = &session, .in = &in, .out = &out };
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	status = cli_session_open(&session);
	if (status)
		return status;
	status = run(&nc, &args);
	cli_session_close(&session);
	return status;
}
