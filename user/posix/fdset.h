/* SPDX-License-Identifier: BSD-2-Clause */
/* fdset.h - sets of descriptors, one bit each, which threads may read and change without a lock. */
#ifndef MR_POSIX_FDSET_H
#define MR_POSIX_FDSET_H

#include <stdbool.h>
#include <stdint.h>
#include "engine/share.h"

struct fdset {
	uint64_t word[MR_SHARE_FDS_MAX / 64];
};

static inline bool fdset_has(const struct fdset *s, int fd)
{
	return (uint32_t)fd < MR_SHARE_FDS_MAX &&
	       __atomic_load_n(&s->word[fd / 64], __ATOMIC_RELAXED) >> (fd & 63) & 1;
}

/* fd must be below MR_SHARE_FDS_MAX. */
static inline void fdset_add(struct fdset *s, int fd)
{
	__atomic_fetch_or(&s->word[fd / 64], 1ull << (fd & 63), __ATOMIC_RELAXED);
}

static inline void fdset_del(struct fdset *s, int fd)
{
	__atomic_fetch_and(&s->word[fd / 64], ~(1ull << (fd & 63)), __ATOMIC_RELAXED);
}

/* The lowest member >= from; -1: none. */
static inline int fdset_next(const struct fdset *s, int from)
{
	uint64_t above = ~0ull << (from & 63), left;

	for (uint32_t i = (uint32_t)from / 64; i < MR_SHARE_FDS_MAX / 64; i++, above = ~0ull) {
		left = __atomic_load_n(&s->word[i], __ATOMIC_RELAXED) & above;
		if (left)
			return (int)i * 64 + __builtin_ctzll(left);
	}
	return -1;
}

#define fdset_for_each(fd, s) for (int fd = fdset_next(s, 0); fd >= 0; fd = fdset_next(s, fd + 1))

#endif
