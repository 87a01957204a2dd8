/* SPDX-License-Identifier: BSD-2-Clause */
/* stdio.h - standard I/O on accelerated sockets. */
#ifndef MR_POSIX_STDIO_H
#define MR_POSIX_STDIO_H

/* Standard input, output and error were inherited: where they are ours, their streams are made anew. */
void stdio_adopt(void);
/* fd has become another file: where that is a TCP socket, and fd a standard stream's, the stream is made anew, and is the
 * program's from then on. Without the lock. */
void stdio_follow(int fd);

#endif
