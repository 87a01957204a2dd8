// SPDX-License-Identifier: BSD-2-Clause
/*
 * session.c - the life of a command's engine, from open to the counters at the end.
 * Owns        the signal handlers: they note the signal and wake the engine, nothing else.
 */
#include "cli/session.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/compiler.h"
#include "cli/stats.h"

static volatile sig_atomic_t stop_wanted, stats_wanted;
static struct mr_engine *volatile signalled; /* the engine that handlers wake; NULL: none */

static void on_signal(int signo)
{
	if (signo == SIGUSR1)
		stats_wanted = 1;
	else
		stop_wanted = 1;
	if (signalled)
		mr_wakeup(signalled);
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
}

/* A reader of the log, of the capture or of standard output that goes away, or a file that meets its
 * limit of size, is an error of that write(2) and no reason to drop every connection. */
static void ignore_write_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

uint64_t cli_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void cli_log(const struct cli_session *s, int level, const char *fmt, ...)
{
	static const int shown[] = { LOG_NOTICE, LOG_INFO, LOG_DEBUG };
	va_list ap;

	if (level > shown[s->args.verbose < 2 ? s->args.verbose : 2])
		return;
	fprintf(stderr, "%s: ", s->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void log_line(void *user, int level, const char *line)
{
	cli_log(user, level, "%s", line);
}

int cli_session_open(struct cli_session *s)
{
	struct mr_error err;

	s->args.cfg.log = log_line;
	s->args.cfg.log_user = s;
	ignore_write_signals(); /* opening logs, too */
	if (mr_engine_open(&s->engine, &s->args.cfg, &err) < 0) {
		cli_log(s, LOG_ERR, "%s", err.text);
		return CLI_FAILED;
	}
	signalled = s->engine;
	catch_signals();
	return CLI_OK;
}

int cli_session_wait(struct cli_session *s, struct mr_event *events, unsigned max,
		     int64_t timeout_us)
{
	int n = mr_wait(s->engine, events, max, timeout_us);

	if (stats_wanted) {
		stats_wanted = 0;
		cli_stats_print(stderr, s->engine);
	}
	return n;
}

bool cli_session_stopping(void)
{
	return stop_wanted;
}

void cli_session_clear_stop(void)
{
	stop_wanted = 0;
}

int cli_session_drain(struct cli_session *s, int timeout_ms)
{
	uint64_t deadline = cli_now_ms() + (timeout_ms < 0 ? 0 : (uint64_t)timeout_ms);

	while (mr_engine_connections(s->engine)) {
		struct mr_event event;

		if (cli_session_stopping())
			return -EINTR;
		if (timeout_ms >= 0 && cli_now_ms() >= deadline)
			return -ETIMEDOUT;
		/* The end of a closed connection is no event: look again every 10 ms. */
		if (cli_session_wait(s, &event, 1, 10000) < 0)
			return -ENETDOWN;
	}
	return 0;
}

void cli_session_close(struct cli_session *s)
{
	if (s->args.stats)
		cli_stats_print(stderr, s->engine);
	signalled = NULL;
	mr_engine_close(s->engine);
	s->engine = NULL;
}

int cli_session_listen(struct cli_session *s, const struct mr_endpoint *local, int backlog,
		       struct mr_socket **out)
{
	char text[MR_ENDPOINT_STRLEN];
	struct mr_socket *sock;
	int err = mr_socket(s->engine, &sock);

	if (!err) {
		err = mr_bind(sock, local);
		if (!err)
			err = mr_listen(sock, backlog);
		if (err)
			mr_close(sock);
	}
	if (err) {
		cli_log(s, LOG_ERR, "cannot listen on %s (%s): %s",
			mr_endpoint_format(local, text, sizeof(text)), strerror(-err),
			err == -EADDRINUSE ?
				"choose another port, or stop who has it (ss -ltnp)" :
			err == -EADDRNOTAVAIL ?
				"choose one of the engine's addresses, or none for all" :
				"free some memory");
		return CLI_FAILED;
	}
	*out = sock;
	return CLI_OK;
}

void cli_announce(const struct cli_session *s, const char *what, const struct mr_endpoint *local)
{
	static const struct mr_addr any;
	struct mr_prefix own[64]; /* a shared interface may have many */
	unsigned n = mr_engine_addresses(s->engine, own, MR_ARRAY_SIZE(own));
	bool all = !memcmp(&local->addr, &any, sizeof(any));

	for (unsigned i = 0; i < (all ? n : 1); i++) {
		struct mr_endpoint shown = *local;
		char text[MR_ENDPOINT_STRLEN];

		if (all)
			shown.addr = own[i].addr;
		fprintf(stderr, "%s: %s on %s (%s)\n", s->name, what,
			mr_endpoint_format(&shown, text, sizeof(text)), s->args.cfg.ifname);
	}
}
