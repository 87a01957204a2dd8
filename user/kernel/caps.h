/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * caps.h - which Linux capabilities this process lacks, to explain an EPERM. The XDP program needs CAP_BPF,
 * CAP_PERFMON (without it the verifier refuses its pointer arithmetic) and CAP_NET_ADMIN; AF_XDP sockets need
 * CAP_NET_RAW.
 */
#ifndef MR_KERNEL_CAPS_H
#define MR_KERNEL_CAPS_H

#include <stddef.h>

/* Write those of the four that are missing into buf ("CAP_BPF, CAP_NET_RAW"; "": none), cut off at size. Returns how
 * many are missing. */
unsigned mr_caps_missing(char *buf, size_t size);

#endif
