/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.h - an allocator for objects of one size, whose number is limited when the pool is made. Get and put are O(1).
 * The first word of a free object is the link of the free list; the rest keeps what the object had. */
#ifndef MR_BASE_POOL_H
#define MR_BASE_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"

struct mr_pool {
	uint8_t *slab;	/* max * size bytes of the arena */
	void *free;	/* singly linked list of free objects */
	uint32_t size;	/* bytes per object; rounded up to cache lines where that adds little */
	uint32_t max;	/* limit of objects */
	uint32_t fresh; /* objects with index fresh to max - 1 were never used */
	uint32_t used;	/* objects in use */
};

/* Reserve room for max objects. 0, or -ENOMEM. */
int mr_pool_init(struct mr_pool *pool, struct mr_arena *arena, size_t size, uint32_t max);
/* A zeroed object, or NULL at the limit. */
void *mr_pool_get(struct mr_pool *pool);
void mr_pool_put(struct mr_pool *pool, void *obj);
/* Repair after a process died in the middle of a change (engine/share_salvage.c): call mr_pool_salvage(), then
 * mr_pool_salvage_slot() once for each object with an index below fresh, in any order. */
void mr_pool_salvage(struct mr_pool *pool);
void mr_pool_salvage_slot(struct mr_pool *pool, void *obj, bool used);
/* The object with index i. */
static inline void *mr_pool_at(const struct mr_pool *pool, uint32_t i)
{
	return pool->slab + (size_t)i * pool->size;
}
/* The index of an object in its pool, 0 to max - 1. */
uint32_t mr_pool_index(const struct mr_pool *pool, const void *obj);

#endif
