// SPDX-License-Identifier: BSD-2-Clause
/*
 * run_keeper.c - the process that keeps the stack of `millrace run`.
 * Owns        its birth and its end. It is nobody's child and in no terminal's session, so that what happens to
 *	       the program (signals of a terminal, job control, the death of its parent) does not happen to it.
 * Called by   run.c.
 * Not here    what it does meanwhile (engine/share_keep.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/run.h"
#include "cli/stats.h"
#include "kernel/sysctl.h"
#include "kernel/xdp_owner.h"
#include "posix/congestion.h"
#include "posix/file.h"

const struct mr_share_ops *const run_share_ops = &mr_posix_ops;

/* What the keeper tells of its start. */
struct report {
	int code;
	char text[384]; /* the error */
	char stack[128];
};

#define JOIN_LOOK_MS 100
#define LIFE_HIGH    16u /* so many lifelines of nested commands fit */

static volatile sig_atomic_t stop;
static bool to_syslog;

static void on_term(int signo)
{
	(void)signo;
	stop = 1;
}

static void log_line(void *user, int level, const char *line)
{
	static const int shown[] = { LOG_NOTICE, LOG_INFO, LOG_DEBUG };
	const struct run_args *args = user;

	if (level > shown[mr_min(args->common.verbose, 2)])
		return;
	if (to_syslog)
		syslog(level, "%s", line);
	else
		fprintf(stderr, "millrace: %s\n", line);
}

/* The command is over for who started it, also where it has left processes that go on: somebody may read what
 * it wrote, up to the end. Counters that were asked for are part of it. */
static void main_ended(void *user)
{
	const struct run_args *args = user;
	struct stat st;
	int null;

	if (args->log_path || args->common.stats || fstat(STDERR_FILENO, &st) < 0 ||
	    !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		return;
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, STDERR_FILENO);
	close(null);
	openlog("millrace", LOG_PID, LOG_DAEMON);
	to_syslog = true;
}

static int log_level(const struct run_args *args)
{
	return LOG_NOTICE + mr_min(args->common.verbose, 2);
}

/* SIGTERM is for the keeper itself; what a terminal or a broken pipe may send is not. */
static void set_signals(sigset_t *asleep)
{
	static const int ignored[] = { SIGINT,	SIGQUIT, SIGHUP,  SIGPIPE,
				       SIGXFSZ, SIGTSTP, SIGUSR1, SIGUSR2 };
	struct sigaction sa = { .sa_handler = on_term };
	sigset_t term;

	for (unsigned i = 0; i < MR_ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigaction(SIGTERM, &sa, NULL);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	sigemptyset(asleep); /* whatever was blocked by who started us */
}

enum { LIFE_FD = 3, TELL_FD };

static int dup_to(int fd, int wanted)
{
	int ret = dup3(fd, wanted, O_CLOEXEC);

	if (ret >= 0)
		close(fd);
	return ret;
}

/* Descriptors of the program's are none of ours: a pipe would not end with it. Standard error stays, for
 * messages, unless there is a log. */
static int settle(const struct run_args *args, int *life, int *tell)
{
	int null, log, life_high, tell_high;
	struct rlimit lim;

	if (!getrlimit(RLIMIT_NOFILE, &lim)) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	life_high = fcntl(*life, F_DUPFD_CLOEXEC, TELL_FD + 1);
	tell_high = fcntl(*tell, F_DUPFD_CLOEXEC, TELL_FD + 1);
	if (null < 0 || life_high < 0 || tell_high < 0)
		return -errno; /* *tell is as it was: that can be told */
	*life = life_high;
	*tell = tell_high;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (args->log_path) {
		log = open(args->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (log < 0)
			return -errno;
		dup2(log, STDERR_FILENO);
	}
	/* All but the two: at numbers where the rest is one range. */
	*life = dup_to(*life, LIFE_FD);
	*tell = dup_to(*tell, TELL_FD);
	syscall(SYS_close_range, TELL_FD + 1, ~0u, 0);
	return 0;
}

static int keep(const struct run_args *args, struct mr_share *share, int life,
		struct report *report, int tell)
{
	sigset_t asleep;
	struct mr_keeper_cfg kc = {
		.uid = args->uid,
		.life_fd = life,
		.log_level = log_level(args),
		.main_pid = args->main_pid,
		.main_ended = main_ended,
		.user = (void *)(uintptr_t)args,
		.sigmask = &asleep,
		.stop = &stop,
	};
	struct mr_error err;
	struct mr_keeper *k;
	int ret;

	set_signals(&asleep);
	ret = mr_keeper_open(&k, share, &kc, &err);
	if (ret) {
		snprintf(report->text, sizeof(report->text), "%s", err.text);
		return ret;
	}
	mr_keeper_name(k, report->stack, sizeof(report->stack));
	if (write(tell, report, sizeof(*report)) == sizeof(*report)) {
		close(tell);
		mr_keeper_run(k);
	}
	mr_keeper_close(k);
	return 0;
}

/* The name of the congestion control that the kernel gives its sockets, where the stack has it too; else NULL. */
static const char *system_congestion(char *buf, size_t size)
{
	const char *name;

	if (mr_sysctl_read("ipv4/tcp_congestion_control", buf, size))
		return NULL;
	name = congestion_ours(buf);
	return mr_congestion_index(name) < 0 ? NULL : name;
}

/* The kernel's policy of ECN; the numbers are the same. */
static enum mr_ecn_policy system_ecn(enum mr_ecn_policy fallback)
{
	long value;

	if (mr_sysctl_numbers("ipv4/tcp_ecn", &value, 1) != 1 || value < MR_ECN_OFF ||
	    value > MR_ECN_ACCURATE_PASSIVE)
		return fallback;
	return (enum mr_ecn_policy)value;
}

static _Noreturn void keeper(struct run_args args, int life, int tell)
{
	char congestion[64];
	struct report report = { 0 };
	struct mr_error err = { 0 };
	struct mr_share *share = NULL;

	prctl(PR_SET_NAME, MR_KEEPER_NAME);
	args.common.cfg.log = log_line;
	args.common.cfg.log_user = &args;
	if (!args.common.cfg.congestion)
		args.common.cfg.congestion = system_congestion(congestion, sizeof(congestion));
	args.common.cfg.ecn = system_ecn(args.common.cfg.ecn);
	report.code = settle(&args, &life, &tell);
	if (report.code) {
		snprintf(report.text, sizeof(report.text),
			 "cannot write the log %s (%s): choose another --log", args.log_path ?: "",
			 strerror(-report.code));
	} else {
		report.code = mr_share_open(&share, &args.common.cfg, run_share_ops, &err);
		snprintf(report.text, sizeof(report.text), "%s", err.text);
	}
	if (!report.code) {
		if (chdir("/") < 0)
			fputs("millrace: the keeper stays in its directory\n", stderr);
		report.code = keep(&args, share, life, &report, tell);
		if (args.common.stats)
			cli_stats_print(stderr, mr_share_engine(share));
		mr_share_close(share);
	}
	if (report.code == -EMFILE) /* whatever could not be opened */
		snprintf(report.text, sizeof(report.text),
			 "the keeper may not open as many files as the stack needs (%s): raise the "
			 "hard limit of open files (ulimit -Hn)",
			 strerror(EMFILE));
	/* If nobody reads it (EPIPE), the command has been killed, or has joined another stack. */
	if (report.code && send(tell, &report, sizeof(report), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		fprintf(stderr, "millrace run: %s\n", report.text);
	_exit(report.code ? 1 : 0);
}

/* By way of a child that ends at once, so that the keeper is the child of no one who might wait for it. */
static int fork_keeper(const struct run_args *args, int life, int tell)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child) {
		setsid();
		child = fork();
		if (!child)
			keeper(*args, life, tell);
		_exit(child < 0 ? errno : 0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* Inherited by all that the program starts, at a number that is in nobody's way: there is one for each command within
 * whose program this one runs. */
static int inherit_lifeline(int fd)
{
	struct rlimit lim;
	struct stat st;
	char text[48];
	rlim_t end;
	int high;

	if (getrlimit(RLIMIT_NOFILE, &lim) || fstat(fd, &st))
		return -errno;
	end = mr_min(lim.rlim_cur, (rlim_t)65536);
	high = fcntl(fd, F_DUPFD, (int)(end - mr_min(end / 4, (rlim_t)LIFE_HIGH)));
	close(fd);
	if (high < 0)
		return -errno;
	snprintf(text, sizeof(text), "%d:%llu", high, (unsigned long long)st.st_ino);
	return setenv(MR_SHARE_LIFE_ENV, text, 1) ? -ENOMEM : 0;
}

int run_lifeline(int fd)
{
	int err = inherit_lifeline(fd);

	if (err)
		fprintf(stderr,
			"millrace run: the program cannot be given a descriptor by which the "
			"keeper sees its end (%s): raise the limit of open files (ulimit -n)\n",
			strerror(-err));
	return err;
}

/* Wait for the keeper's report. A command that was started at the same moment may have been first with the interface:
 * then this keeper will be refused it, but only after seconds, and the other one's stack is there sooner. Returns
 * true, and *err as of run_join(), if that was joined. */
static bool joins_meanwhile(const struct run_args *args, int tell, struct report *report,
			    char *stack, size_t size, int *err)
{
	struct pollfd pfd = { .fd = tell, .events = POLLIN };
	int ready;

	do {
		ready = poll(&pfd, 1, JOIN_LOOK_MS);
		if (ready && (recv(tell, report, sizeof(*report), 0) != sizeof(*report) ||
			      report->code != -EBUSY))
			return false;
		*err = run_join(args, stack, size);
	} while (*err == -ENOENT && !ready);
	if (*err == -ENOENT)
		return false;
	/* If it is our own one, which was ready meanwhile, then nothing was ignored. */
	if (!*err &&
	    (ready || recv(tell, report, sizeof(*report), MSG_DONTWAIT) < 0 || report->code))
		run_tell_joined(args);
	return true;
}

int run_keeper_start(struct run_args *args, char *stack, size_t size)
{
	struct report report = { .code = -EPIPE };
	int life[2], tell[2], err, joined;

	if (pipe2(life, O_CLOEXEC) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, tell) < 0) {
		err = -errno;
		fprintf(stderr,
			"millrace run: the keeper cannot be talked to, as no descriptors can be "
			"had (%s): raise the limit of open files (ulimit -n)\n",
			strerror(-err));
		return err;
	}
	fflush(stderr);
	args->main_pid = getpid();
	err = fork_keeper(args, life[0], tell[1]);
	close(life[0]);
	close(tell[1]);
	if (!err && joins_meanwhile(args, tell[0], &report, stack, size, &joined)) {
		close(tell[0]);
		close(life[1]);
		return joined;
	}
	close(tell[0]);
	if (!err && report.code == -EPIPE) {
		fputs("millrace run: the keeper has died before the stack was up: the kernel's log "
		      "(dmesg) tells if it ran out of memory\n",
		      stderr);
	} else if (err) {
		fprintf(stderr,
			"millrace run: the keeper cannot be started (%s): raise the limits of "
			"processes (ulimit -u) and of memory\n",
			strerror(-err));
	} else if (report.code) {
		fprintf(stderr, "millrace run: %s\n", report.text);
	}
	if (err || report.code)
		return err ?: report.code;
	snprintf(stack, size, "%s", report.stack);
	return run_lifeline(life[1]);
}
