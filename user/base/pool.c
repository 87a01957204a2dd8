// SPDX-License-Identifier: BSD-2-Clause
/*
 * pool.c - fixed-size objects on top of the arena.
 * Owns        the slab and its free list. Memory is touched only when an object is first taken.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/pool.h"

#define CACHE_LINE 64u

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) & ~(unit - 1);
}

int mr_pool_init(struct mr_pool *pool, struct mr_arena *arena, size_t size, uint32_t max)
{
	size_t unit = size > CACHE_LINE ? CACHE_LINE : sizeof(void *);
	size_t rounded = round_up(size, unit);

	if (rounded - size > size / 32) /* whole cache lines would cost too much of the memory */
		rounded = round_up(size, sizeof(void *));
	*pool = (struct mr_pool){ 0 };
	if (!size || rounded > UINT32_MAX || (max && rounded > SIZE_MAX / max))
		return -ENOMEM;
	pool->slab = mr_arena_alloc(arena, rounded * max, CACHE_LINE);
	if (!pool->slab)
		return -ENOMEM;
	pool->size = (uint32_t)rounded;
	pool->max = max;
	return 0;
}

void *mr_pool_get(struct mr_pool *pool)
{
	void *obj = pool->free;

	if (obj) {
		memcpy(&pool->free, obj, sizeof(pool->free));
		memset(obj, 0, pool->size);
	} else if (pool->fresh < pool->max) {
		obj = pool->slab + (size_t)pool->fresh++ * pool->size; /* the arena is zeroed */
	} else {
		return NULL;
	}
	pool->used++;
	return obj;
}

void mr_pool_put(struct mr_pool *pool, void *obj)
{
	assert(pool->used && mr_pool_index(pool, obj) < pool->fresh);
	memcpy(obj, &pool->free, sizeof(pool->free));
	pool->free = obj;
	pool->used--;
}

uint32_t mr_pool_index(const struct mr_pool *pool, const void *obj)
{
	size_t off = (size_t)((const uint8_t *)obj - pool->slab);

	assert(off % pool->size == 0);
	return (uint32_t)(off / pool->size);
}

void mr_pool_salvage(struct mr_pool *pool)
{
	pool->free = NULL;
	pool->used = 0;
}

void mr_pool_salvage_slot(struct mr_pool *pool, void *obj, bool used)
{
	pool->used++;
	if (!used)
		mr_pool_put(pool, obj);
}
