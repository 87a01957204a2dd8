/* SPDX-License-Identifier: BSD-2-Clause */
/* confine.h - what calls do otherwise in a process with a seccomp filter of its own (call_confine.c). */
#ifndef MR_POSIX_CONFINE_H
#define MR_POSIX_CONFINE_H

#include <stdbool.h>

bool px_confined(void);

/* sigaction(2) and tgkill(2) may be forbidden: what the handlers said when the filter came, and SIGPIPE for
 * this thread by another way. */
bool confined_restart(void);
void confined_sigpipe(void);

/* The system call. */
long confined_seccomp(long operation, long flags, long args);

#endif
