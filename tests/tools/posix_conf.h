/* SPDX-License-Identifier: BSD-2-Clause */
/* posix_conf.h - what the cases of posix_conf have in common, and those that the table (posix_conf.c) has from other
 * files. */
#ifndef MR_TOOLS_POSIX_CONF_H
#define MR_TOOLS_POSIX_CONF_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND_MS 1000
#define SETTLE_US 30000 /* for what the peer did to arrive */
#define PROBE_FD  900	/* settle() has its own connection there, or right behind it */

/* ---- posix_conf_lib.c -------------------------------------------------------------------------- */

/* Where we are found, and where the peer is; their family. The connection to the peer, for commands. */
extern const char *local_addr, *peer_addr;
extern int family, control;
/* Arguments of which the compiler need not know that they are wrong. */
extern volatile int minus_one, too_many;
extern struct epoll_event *volatile no_events;

void die(const char *what) __attribute__((noreturn));
/* Serve the peer's commands on a Unix socket of this name. */
int peer_main(const char *path);
/* Have the peer do something. Its answer, a number. */
__attribute__((format(printf, 1, 2))) long peer(const char *format, ...);

/* One step: a call, and what came of it. */
#define T(call)                                                                                    \
	do {                                                                                       \
		long ret_;                                                                         \
		errno = 0;                                                                         \
		ret_ = (long)(call);                                                               \
		show(#call, ret_, errno);                                                          \
	} while (0)

/* Something to be compared, beside what calls return. */
#define SAY(...)                                                                                   \
	do {                                                                                       \
		snprintf(note_buf, sizeof(note_buf), __VA_ARGS__);                                 \
		printf("  %s\n", note_buf);                                                        \
	} while (0)

extern char note_buf[512];
const char *error_name(int err);
void show(const char *what, long ret, int err);
/* Show what poll() says, at once. */
void ready(int fd);

struct sockaddr_storage address(const char *text, int port, socklen_t *len);
int port_of(int fd);
int await(int fd, short events);
int get_int(int fd, int level, int name);
int set_int(int fd, int level, int name, int value);
int set_time(int fd, int name, int ms);
int nonblocking(int fd);
int new_socket(void);
int bind_any(int fd, int port);
int connect_to(int fd, int port);
int listener(void);

/* A connection: fd is ours, h is the peer's. */
struct conn {
	int fd, h;
};
struct conn active(void);
struct conn passive(void);
void finish(struct conn c);
/* Until what the peer did has arrived. */
void settle(void);

int ep_ctl(int ep, int op, int fd, uint32_t events);
/* The first event, its bits; 0: none. */
int ep_wait(int ep, int timeout);

/* Count a signal, which may come again and again (0 ms: no more). Here, so that the analyzer sees in each file that it
 * is a harmless handler. */
extern volatile int signals;
static inline void on_signal(int sig)
{
	(void)sig;
	signals++;
}
void catch (int sig, int flags);
void alarm_every(int ms);
/* A handler that jumps, and where to. */
extern sigjmp_buf jumped;
void on_jump(int sig);
void *send_late(void *arg);

/* ---- posix_conf_signal.c --------------------------------------------------------------------- */

void case_handlers(void);
void case_handlers_jump(void);
void case_handlers_close(void);
void case_handlers_fork(void);
void case_handlers_fork_and_return(void);
void case_handlers_queued(void);
void case_handlers_stack(void);
void case_handler_names(void);
void case_handler_sigset(void);
void case_handler_flags(void);
void case_handlers_confined(void);

/* ---- posix_conf_poll.c ----------------------------------------------------------------------- */

void case_poll(void);
void case_select_all(void);
void case_poll_signals(void);
void case_select(void);
void case_epoll_level(void);
void case_epoll_edge(void);
void case_epoll_oneshot(void);
void case_epoll_exclusive(void);
void case_epoll_mixed(void);
void case_epoll_events_nowhere(void);
void case_epoll_nested(void);
void case_epoll_duplicate(void);
void case_epoll_instance_duplicate(void);
void case_epoll_turns(void);
void case_epoll_no_socket(void);
void case_epoll_before(void);
void case_epoll_late(void);
void case_epoll_late_exact(void);
void case_epoll_late_kernel(void);

/* ---- posix_conf_pass.c ----------------------------------------------------------------------- */

void case_passed(void);
void case_passed_and_peeked(void);
void case_inodes(void);
void case_passed_to_child(void);
void case_passed_late(void);
void case_passed_beside_exec(void);

/* ---- posix_conf_thread.c --------------------------------------------------------------------- */

void case_close_while_reading(void);
void case_close_while_polling(void);
void case_shutdown_while_reading(void);
void case_cancel(void);

/* ---- posix_conf_process.c -------------------------------------------------------------------- */

void case_fork(void);
void case_clone(void);
void case_clone_function(void);
void case_fork_often(void);
void case_fork_handlers(void);
void case_fork_listen(void);
void case_fork_accept(void);
void case_exec(void);
void case_system(void);
void case_popen(void);
void case_fork_beside_popen(void);
void case_exec_others(void);
void case_exec_bare(void);
void case_streams_move(void);
void case_streams_accepted(void);
void case_address_space(void);

#endif
