/* SPDX-License-Identifier: BSD-2-Clause */
/* cbrt.h - the cube root, in integers: the stack uses no floating point. */
#ifndef MR_BASE_CBRT_H
#define MR_BASE_CBRT_H

#include <stdint.h>

/* The largest r with r * r * r <= x. */
uint32_t mr_cbrt(uint64_t x);

#endif
