/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * caps.h - which Linux capabilities this process lacks, so that an EPERM can be explained.
 * The XDP program takes CAP_BPF, CAP_PERFMON (for pointer arithmetic that the verifier else
 * refuses) and CAP_NET_ADMIN, AF_XDP sockets take CAP_NET_RAW.
 */
#ifndef MR_KERNEL_CAPS_H
#define MR_KERNEL_CAPS_H

#include <stddef.h>

/* Write the missing ones of these four into buf as "CAP_BPF, CAP_NET_RAW", truncated to size.
 * Returns how many are missing; buf is "" for none. */
unsigned mr_caps_missing(char *buf, size_t size);

#endif
