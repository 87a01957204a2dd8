/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.h - what every command does around its engine: open it, hear signals, wait, show
 * counters, and end in order.
 */
#ifndef MR_CLI_SESSION_H
#define MR_CLI_SESSION_H

#include "cli/args.h"

struct cli_session {
	const char *name; /* "millrace serve": in front of every message */
	struct cli_args args;
	struct mr_engine *engine;
};

/* Open the engine as s->args say and catch SIGINT, SIGTERM (end) and SIGUSR1 (counters). CLI_OK, or
 * CLI_FAILED after one sentence on stderr. */
int cli_session_open(struct cli_session *s);

/* mr_wait(), and what signals asked for. The number of events, 0 also after a signal; -ENETDOWN, which
 * the engine's log has explained. */
int cli_session_wait(struct cli_session *s, struct mr_event *events, unsigned max,
		     int64_t timeout_us);

/* SIGINT or SIGTERM has come, since the start or since the last cli_session_clear_stop(). */
bool cli_session_stopping(void);
void cli_session_clear_stop(void);

/* Let closed connections send what they still have: until none is left, timeout_ms have passed
 * (negative: no limit) or a signal to end comes. 0; -ETIMEDOUT or -EINTR with connections left;
 * -ENETDOWN. */
int cli_session_drain(struct cli_session *s, int timeout_ms);

/* Counters if --stats was given, then close the engine. */
void cli_session_close(struct cli_session *s);

/* "<name>: ..." on stderr, if the level (of syslog(3)) is one that -v lets through. */
void __attribute__((format(printf, 3, 4)))
cli_log(const struct cli_session *s, int level, const char *fmt, ...);

/* A socket that listens. CLI_OK, or CLI_FAILED after one sentence. */
int cli_session_listen(struct cli_session *s, const struct mr_endpoint *local, int backlog,
		       struct mr_socket **out);

/* "millrace echo: echoing on 10.0.0.5:7 (eth0)" on stderr: the command is ready. A local address of
 * all zeros stands for each of the engine's, a line for each. */
void cli_announce(const struct cli_session *s, const char *what, const struct mr_endpoint *local);

/* Milliseconds of a clock that only goes forward. */
uint64_t cli_now_ms(void);

#endif
