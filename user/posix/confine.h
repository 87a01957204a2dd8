/* SPDX-License-Identifier: BSD-2-Clause */
/* confine.h - what calls do differently in a process with a seccomp filter of its own (call_confine.c). */
#ifndef MR_POSIX_CONFINE_H
#define MR_POSIX_CONFINE_H

#include <stdbool.h>

bool px_confined(void);

/* sigaction(2) and tgkill(2) may be forbidden. confined_restart(): handlers_restart() when the filter was installed.
 * confined_sigpipe(): raises SIGPIPE in this thread without tgkill(2). */
bool confined_restart(void);
void confined_sigpipe(void);

/* The system call seccomp(2). */
long confined_seccomp(long operation, long flags, long args);

#endif
