// SPDX-License-Identifier: BSD-2-Clause
/*
 * memory.c - the arena and the UMEM of fuzz targets, in place of base/arena.c and dev/umem.c: what one input
 * is done with, the next one gets, wiped. New mappings for each, and their page faults, were a third of the
 * time.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "base/arena.h"
#include "dev/umem.h"
#include "fuzz.h"

#define REGIONS 8u
#define PAGE	4096u

static struct region {
	uint8_t *base;
	size_t size;
	bool taken;
} regions[REGIONS];

/* All zeros, at least so large. NULL: too many at a time. */
static struct region *take(size_t size)
{
	struct region *r = regions;

	size = (size + PAGE - 1) / PAGE * PAGE;
	while (r < regions + REGIONS && r->base && (r->taken || r->size != size))
		r++;
	if (r == regions + REGIONS)
		return NULL;
	if (!r->base) {
		r->base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (r->base == MAP_FAILED)
			abort();
		r->size = size;
	}
	r->taken = true;
	return r;
}

static void give_back(const uint8_t *base, size_t used)
{
	for (unsigned i = 0; base && i < REGIONS; i++)
		if (regions[i].base == base) {
			memset(regions[i].base, 0, used);
			regions[i].taken = false;
		}
}

int mr_arena_open_at(struct mr_arena *arena, const char *name, size_t size, void *at)
{
	const struct region *r = take(size);

	(void)name;
	*arena = (struct mr_arena){ .fd = -1 };
	if (!r || at)
		return -ENOMEM;
	arena->base = r->base;
	arena->size = size;
	return 0;
}

int mr_arena_open(struct mr_arena *arena, const char *name, size_t size)
{
	return mr_arena_open_at(arena, name, size, NULL);
}

void *mr_arena_alloc(struct mr_arena *arena, size_t size, size_t align)
{
	size_t off = (arena->used + align - 1) & ~(align - 1);

	if (off > arena->size || size > arena->size - off)
		return NULL;
	arena->used = off + size;
	return arena->base + off;
}

void mr_arena_close(struct mr_arena *arena)
{
	give_back(arena->base, arena->used);
	*arena = (struct mr_arena){ .fd = -1 };
}

int mr_umem_open_at(struct mr_umem *u, uint32_t nframes, uint32_t chunk_size, void *at)
{
	size_t size = (size_t)nframes * chunk_size;
	const struct region *r = take(size);

	*u = (struct mr_umem){ .fd = -1 };
	if (!r || at)
		return -ENOMEM;
	u->base = r->base;
	u->size = size;
	return 0;
}

int mr_umem_open(struct mr_umem *u, uint32_t nframes, uint32_t chunk_size)
{
	return mr_umem_open_at(u, nframes, chunk_size, NULL);
}

void mr_umem_close(struct mr_umem *u)
{
	give_back(u->base, u->size);
	*u = (struct mr_umem){ .fd = -1 };
}

/* Processes that share an engine: not here. */
int mr_arena_map(struct mr_arena *arena, int fd, void *at, size_t size)
{
	(void)fd;
	(void)at;
	(void)size;
	*arena = (struct mr_arena){ .fd = -1 };
	return -ENOSYS;
}

int mr_umem_map(struct mr_umem *u, int fd, void *at, size_t size)
{
	(void)fd;
	(void)at;
	(void)size;
	*u = (struct mr_umem){ .fd = -1 };
	return -ENOSYS;
}
