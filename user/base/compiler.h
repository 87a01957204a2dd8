/* SPDX-License-Identifier: BSD-2-Clause */
/* compiler.h - the few macros that every file uses. */
#ifndef MR_BASE_COMPILER_H
#define MR_BASE_COMPILER_H

#include <stddef.h>

#define mr_likely(x)   __builtin_expect(!!(x), 1)
#define mr_unlikely(x) __builtin_expect(!!(x), 0)

#define MR_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A compiler barrier. If this process is killed between a write before it and a write after it, another process finds
 * only the first of them in the shared memory, never only the second. (It orders nothing between two processors that
 * run at the same time.) */
#define mr_in_order() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#define mr_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define mr_min(a, b)                                                                               \
	({                                                                                         \
		__typeof__(a) mr_min_a_ = (a);                                                     \
		__typeof__(b) mr_min_b_ = (b);                                                     \
		mr_min_a_ < mr_min_b_ ? mr_min_a_ : mr_min_b_;                                     \
	})
#define mr_max(a, b)                                                                               \
	({                                                                                         \
		__typeof__(a) mr_max_a_ = (a);                                                     \
		__typeof__(b) mr_max_b_ = (b);                                                     \
		mr_max_a_ > mr_max_b_ ? mr_max_a_ : mr_max_b_;                                     \
	})

#endif
