/* SPDX-License-Identifier: BSD-2-Clause */
/* handlers.h - what other calls have to know of the program's signal handlers (call_signal.c). */
#ifndef MR_POSIX_HANDLERS_H
#define MR_POSIX_HANDLERS_H

#include <signal.h>
#include <stdbool.h>
#include "engine/share.h"

/* How many signal handlers have run in this thread. */
struct handled {
	unsigned all;
	unsigned ending; /* of them without SA_RESTART: they interrupt a call */
};
struct handled handlers_seen(void);

/* Is a call that a handler has interrupted restarted, if it is not known which handler it was? True if all handlers
 * have SA_RESTART. */
bool handlers_restart(void);

/* Block the signals whose handlers may use the stack. False: there are none, or it is not possible; then *saved is
 * not set. */
bool handlers_block(sigset_t *saved);

/* mr_share_ops.outside. */
void handlers_owed(struct mr_share *share);

/* From now on this process may not (or again may) call sigaction(2). SA_RESETHAND is then left to the kernel. */
void handlers_confine(bool confined);

/* rt_sigaction(2), with the kernel's structures. */
long handlers_action(int sig, const void *new, void *old, size_t size);

#endif
