/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.h - all memory of one engine: a shared mapping (memfd), sized at start, handed out from its
 * front and never given back. Objects that come and go live in pools (pool.h) on top of it.
 * Nothing in an arena points outside of it, except to the UMEM, a shared mapping of the same kind.
 */
#ifndef MR_BASE_ARENA_H
#define MR_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct mr_arena {
	uint8_t *base;
	size_t size; /* bytes mapped; pages are taken from the system when first touched */
	size_t used;
	int fd; /* the memfd; -1 when closed */
};

/* Map size bytes (rounded up to pages), zeroed. 0, or a negative errno with *arena closed. */
int mr_arena_open(struct mr_arena *arena, const char *name, size_t size);
/* The same at the address `at`; -EEXIST: something else is mapped there. NULL: at any address. */
int mr_arena_open_at(struct mr_arena *arena, const char *name, size_t size, void *at);
/* Map the arena of another process (its memfd and size) at the address `at` that it has there. Takes over fd. Nothing
 * can be allocated from this mapping. */
int mr_arena_map(struct mr_arena *arena, int fd, void *at, size_t size);
void mr_arena_close(struct mr_arena *arena);

/* Zeroed memory, aligned to align (a power of two); NULL when the arena is used up. */
void *mr_arena_alloc(struct mr_arena *arena, size_t size, size_t align);

#endif
