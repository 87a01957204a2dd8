/* SPDX-License-Identifier: BSD-2-Clause */
/* sysctl.h - read the kernel's network settings. */
#ifndef MR_KERNEL_SYSCTL_H
#define MR_KERNEL_SYSCTL_H

#include <stddef.h>

/* Read the first line of /proc/sys/net/NAME, where name is such as "ipv4/tcp_congestion_control", into text, without the
 * newline; what does not fit is cut off. 0, or a negative errno with an empty text. */
int mr_sysctl_read(const char *name, char *text, size_t size);

/* Read up to n decimal numbers, separated by white space. Returns how many were read, or a negative errno; values behind
 * those read are untouched. */
int mr_sysctl_numbers(const char *name, long *values, unsigned n);

#endif
