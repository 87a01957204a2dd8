/* SPDX-License-Identifier: BSD-2-Clause */
/* pass.h - file descriptors in messages of kernel sockets (SCM_RIGHTS). */
#ifndef MR_POSIX_PASS_H
#define MR_POSIX_PASS_H

#include <sys/socket.h>

/* To be called before a message is sent. Returns 0; or -ETOOMANYREFS, and nothing was changed. */
int pass_begin(const struct msghdr *msg);
/* The message was not sent. */
void pass_failed(const struct msghdr *msg);
/* A message was received with these flags. With MSG_PEEK it will be received again. */
void pass_received(const struct msghdr *msg, int flags);

#endif
