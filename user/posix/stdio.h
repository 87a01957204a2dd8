/* SPDX-License-Identifier: BSD-2-Clause */
/* stdio.h - standard I/O on accelerated sockets. */
#ifndef MR_POSIX_STDIO_H
#define MR_POSIX_STDIO_H

/* Standard input, output and error were inherited: where they are ours, their streams are made anew. */
void stdio_adopt(void);

#endif
