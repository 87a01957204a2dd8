/* SPDX-License-Identifier: BSD-2-Clause */
/* pass.h - descriptors in messages of the kernel's sockets (SCM_RIGHTS). */
#ifndef MR_POSIX_PASS_H
#define MR_POSIX_PASS_H

#include <sys/socket.h>

/* Before such a message is sent. 0, or -ETOOMANYREFS and nothing is changed. */
int pass_begin(const struct msghdr *msg);
/* It was not sent after all. */
void pass_failed(const struct msghdr *msg);
/* A message has come, by a call with these flags: with MSG_PEEK it will come again. */
void pass_received(const struct msghdr *msg, int flags);

#endif
