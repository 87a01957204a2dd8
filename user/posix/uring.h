/* SPDX-License-Identifier: BSD-2-Clause */
/* uring.h - rings of io_uring, which a program on the stack is not given. */
#ifndef MR_POSIX_URING_H
#define MR_POSIX_URING_H

#include <stdbool.h>

/* Is this one refused its ring? The log says so, once. */
bool uring_refused(void);

#endif
