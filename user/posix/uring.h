/* SPDX-License-Identifier: BSD-2-Clause */
/* uring.h - io_uring, which a program on the stack does not get. */
#ifndef MR_POSIX_URING_H
#define MR_POSIX_URING_H

#include <stdbool.h>

/* Must io_uring_setup(2) fail in this process? Logs it once. */
bool uring_refused(void);

#endif
