/* SPDX-License-Identifier: BSD-2-Clause */
/* error.h - fill a struct mr_error: the one sentence that a user reads. */
#ifndef MR_BASE_ERROR_H
#define MR_BASE_ERROR_H

#include "millrace.h"

/* Set err (may be NULL) to code and the text; returns code, so that a caller can return it on. */
int mr_error_set(struct mr_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
