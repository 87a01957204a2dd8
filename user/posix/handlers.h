/* SPDX-License-Identifier: BSD-2-Clause */
/* handlers.h - what the other calls have to know of the program's signal handlers (call_signal.c). */
#ifndef MR_POSIX_HANDLERS_H
#define MR_POSIX_HANDLERS_H

#include <signal.h>
#include <stdbool.h>
#include "engine/share.h"

/* How many handlers have run in this thread. */
struct handled {
	unsigned all;
	unsigned ending; /* of them, without SA_RESTART: they end a call */
};
struct handled handlers_seen(void);

/* Would a call that a handler interrupted go on, which is none of those? All that there are agree. */
bool handlers_restart(void);

/* Block signals, where what follows must not be interrupted by a handler that uses the stack. False: there is no
 * need, or no way; *saved is not set. */
bool handlers_block(sigset_t *saved);

/* mr_share_ops.outside. */
void handlers_owed(struct mr_share *share);

/* This process may not call sigaction(2) any more, and SA_RESETHAND is the kernel's to do; or it may again. */
void handlers_confine(bool confined);

/* rt_sigaction(2), with the kernel's structures. */
long handlers_action(int sig, const void *new, void *old, size_t size);

#endif
