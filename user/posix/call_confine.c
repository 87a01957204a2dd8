// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_confine.c - prctl and seccomp: a program gives up system calls.
 * Owns        what has to be read before that, because it cannot be read afterwards.
 * Called by   the program; the calls that would otherwise read it.
 *
 * A seccomp filter is written for the program's own calls. So afterwards a call on an accelerated socket makes no
 * other system calls than read, write, poll and futex (mr_share_confine()). The stack is joined before that, if it
 * was not yet, and sockets that are made afterwards stay kernel sockets.
 */
#include <linux/seccomp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>
#include "posix/confine.h"
#include "posix/posix.h"
#include "posix/process.h"

static bool restart; /* handlers_restart() at that time */

bool px_confined(void)
{
	return px_share && mr_share_confined(px_share);
}

bool confined_restart(void)
{
	return restart;
}

void confined_sigpipe(void)
{
	ssize_t n = REAL(write)(process_broken_pipe(), "", 1);

	(void)n; /* EPIPE */
}

/* If this fails, the program continues as before, and its filter decides what happens. */
static void prepare(void)
{
	int err;

	handlers_confine(true);
	restart = handlers_restart();
	err = mr_share_confine(px_share);
	if (!err)
		return;
	handlers_confine(false);
	mr_share_log(
		px_share, LOG_ERR,
		"nothing is prepared for the program's seccomp filter (%s), which may end it "
		"at its next socket call: start it without the filter, or with more memory and "
		"descriptors",
		strerror(-err));
}

/* Prepare, install the filter with `call`, and undo the preparation if that fails. */
static long confine(long (*call)(long, long, long, long, long), long a, long b, long c, long d,
		    long e, bool strict)
{
	bool was = px_confined();
	int saved = errno;
	long ret;

	if (!px_offered() || !px_join())
		return call(a, b, c, d, e);
	if (strict)
		mr_share_log(px_share, LOG_WARNING,
			     "seccomp's strict mode allows no poll: the program cannot wait for "
			     "its sockets");
	if (!was)
		prepare();
	errno = saved;
	ret = call(a, b, c, d, e);
	saved = errno;
	if (ret < 0 && !was && px_confined()) {
		mr_share_unconfine(px_share);
		handlers_confine(false);
	}
	errno = saved;
	return ret;
}

static long real_prctl(long option, long b, long c, long d, long e)
{
	return REAL(prctl)((int)option, b, c, d, e);
}

static long real_seccomp(long operation, long flags, long args, long d, long e)
{
	(void)d;
	(void)e;
	return REAL(syscall)(SYS_seccomp, operation, flags, args);
}

PUBLIC int prctl(int option, ...)
{
	long arg[4];
	va_list ap;

	/* As with fcntl(): a missing argument is not read. */
	va_start(ap, option);
	for (int i = 0; i < 4; i++)
		arg[i] = va_arg(ap, long);
	va_end(ap);
	if (option != PR_SET_SECCOMP)
		return REAL(prctl)(option, arg[0], arg[1], arg[2], arg[3]);
	return (int)confine(real_prctl, option, arg[0], arg[1], arg[2], arg[3],
			    arg[0] == SECCOMP_MODE_STRICT);
}

long confined_seccomp(long operation, long flags, long args)
{
	if (operation != SECCOMP_SET_MODE_STRICT && operation != SECCOMP_SET_MODE_FILTER)
		return real_seccomp(operation, flags, args, 0, 0);
	return confine(real_seccomp, operation, flags, args, 0, 0,
		       operation == SECCOMP_SET_MODE_STRICT);
}
