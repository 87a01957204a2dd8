// SPDX-License-Identifier: BSD-2-Clause
/* cbrt.c - the cube root by Newton's method. */
#include "base/cbrt.h"

uint32_t mr_cbrt(uint64_t x)
{
	uint64_t r, next;

	if (!x)
		return 0;
	/* Begin above the root: from there Newton's method only falls. */
	r = 1ull << (64 - (unsigned)__builtin_clzll(x) + 2) / 3;
	for (;;) {
		next = (2 * r + x / (r * r)) / 3;
		if (next >= r)
			return (uint32_t)r;
		r = next;
	}
}
