/* SPDX-License-Identifier: BSD-2-Clause */
/* sysctl.h - reads the kernel's network settings. */
#ifndef MR_KERNEL_SYSCTL_H
#define MR_KERNEL_SYSCTL_H

#include <stddef.h>

/* Read the first line of /proc/sys/net/NAME into text, without the newline, cut off at size. name: for example
 * "ipv4/tcp_congestion_control". Returns 0; or a negative errno, and text is "". */
int mr_sysctl_read(const char *name, char *text, size_t size);

/* Read up to n decimal numbers, separated by white space. Returns how many were read, or a negative errno; the other
 * values are not changed. */
int mr_sysctl_numbers(const char *name, long *values, unsigned n);

#endif
