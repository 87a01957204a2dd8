/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.h - objects of one size, taken from the arena when first needed, up to a limit fixed at the
 * start. O(1) both ways. A free object's first word links the free list. */
#ifndef MR_BASE_POOL_H
#define MR_BASE_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"

struct mr_pool {
	uint8_t *slab;	/* max * size bytes of the arena */
	void *free;	/* singly linked */
	uint32_t size;	/* bytes per object; whole cache lines where that adds little */
	uint32_t max;	/* objects at the most */
	uint32_t fresh; /* objects [fresh, max) were never used */
	uint32_t used;	/* objects out now */
};

/* Reserve room for max objects. 0, or -ENOMEM. */
int mr_pool_init(struct mr_pool *pool, struct mr_arena *arena, size_t size, uint32_t max);
/* A zeroed object, or NULL at the limit. */
void *mr_pool_get(struct mr_pool *pool);
void mr_pool_put(struct mr_pool *pool, void *obj);
/* After a death (engine/share_salvage.c): begin, then tell of every object that was ever taken, in any order, whether
 * it is in use. */
void mr_pool_salvage(struct mr_pool *pool);
void mr_pool_salvage_slot(struct mr_pool *pool, void *obj, bool used);
static inline void *mr_pool_at(const struct mr_pool *pool, uint32_t i)
{
	return pool->slab + (size_t)i * pool->size;
}
/* Number of an object within its pool (0..max-1): a compact handle. */
uint32_t mr_pool_index(const struct mr_pool *pool, const void *obj);

#endif
