/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.h - what every command does with its engine: open it, handle signals, wait, print counters, close it.
 */
#ifndef MR_CLI_SESSION_H
#define MR_CLI_SESSION_H

#include "cli/args.h"

struct cli_session {
	const char *name; /* "millrace serve": begins every message */
	struct cli_args args;
	struct mr_engine *engine;
};

/* Open the engine according to s->args, and handle SIGINT, SIGTERM (end) and SIGUSR1 (print counters). Returns
 * CLI_OK; or CLI_FAILED, after printing one sentence. */
int cli_session_open(struct cli_session *s);

/* mr_wait(), and what signals have asked for. Returns the number of events, 0 also after a signal; or -ENETDOWN,
 * which the engine's log has explained. */
int cli_session_wait(struct cli_session *s, struct mr_event *events, unsigned max,
		     int64_t timeout_us);

/* Did SIGINT or SIGTERM arrive since the start or the last cli_session_clear_stop()? */
bool cli_session_stopping(void);
void cli_session_clear_stop(void);

/* Let closed connections send the data that they still have, until none is left, timeout_ms (negative: no limit) have
 * passed, or a signal asks to end. Returns 0; -ETIMEDOUT or -EINTR: connections are left; -ENETDOWN. */
int cli_session_drain(struct cli_session *s, int timeout_ms);

/* Print counters if --stats was given, then close the engine. */
void cli_session_close(struct cli_session *s);

/* Print "<name>: ..." to stderr, if -v permits this level (of syslog(3)). */
void __attribute__((format(printf, 3, 4)))
cli_log(const struct cli_session *s, int level, const char *fmt, ...);

/* Make a listening socket. Returns CLI_OK; or CLI_FAILED, after printing one sentence. */
int cli_session_listen(struct cli_session *s, const struct mr_endpoint *local, int backlog,
		       struct mr_socket **out);

/* Print "millrace echo: echoing on 10.0.0.5:7 (eth0)" to stderr: the command is ready. If the local address is any,
 * one line for each address of the engine. */
void cli_announce(const struct cli_session *s, const char *what, const struct mr_endpoint *local);

/* Milliseconds of a monotonic clock. */
uint64_t cli_now_ms(void);

#endif
