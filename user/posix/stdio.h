/* SPDX-License-Identifier: BSD-2-Clause */
/* stdio.h - standard I/O streams on accelerated sockets. */
#ifndef MR_POSIX_STDIO_H
#define MR_POSIX_STDIO_H

/* Standard input, output and error were inherited: replace the streams of those that are accelerated sockets. */
void stdio_adopt(void);
/* fd refers to another file now. If it is a TCP socket, and fd is that of a standard stream, the stream is replaced,
 * and belongs to the program from then on. Without the lock. */
void stdio_follow(int fd);

#endif
