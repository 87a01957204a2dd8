// SPDX-License-Identifier: BSD-2-Clause
/*
 * arena.c - one shared mapping, handed out from its front.
 * Owns        the memfd and its mapping.
 * Called by   whoever opens an engine (or a test), once; allocation happens at start only.
 * Not here    objects that come and go (pool.c).
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/arena.h"

/* Sized for the worst case and mostly never touched: no swap is reserved for it. */
static int map(struct mr_arena *arena, int fd, void *at, size_t size)
{
	int flags = MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0);
	void *base = mmap(at, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	int err = base == MAP_FAILED ? -errno : 0;

	/* Before Linux 4.17 the flag is unknown, and the address only a wish. */
	if (!err && at && base != at) {
		munmap(base, size);
		err = -EEXIST;
	}
	if (err) {
		close(fd);
		return err;
	}
	*arena = (struct mr_arena){ .base = base, .size = size, .fd = fd };
	return 0;
}

int mr_arena_open_at(struct mr_arena *arena, const char *name, size_t size, void *at)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd, err;

	*arena = (struct mr_arena){ .fd = -1 };
	if (!size || size > SIZE_MAX / 2)
		return -EINVAL;
	size = (size + page - 1) & ~(page - 1);

	fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return map(arena, fd, at, size);
}

int mr_arena_open(struct mr_arena *arena, const char *name, size_t size)
{
	return mr_arena_open_at(arena, name, size, NULL);
}

int mr_arena_map(struct mr_arena *arena, int fd, void *at, size_t size)
{
	int err;

	*arena = (struct mr_arena){ .fd = -1 };
	err = map(arena, fd, at, size);
	if (!err)
		arena->used = size;
	return err;
}

void mr_arena_close(struct mr_arena *arena)
{
	if (arena->fd < 0)
		return;
	munmap(arena->base, arena->size);
	close(arena->fd);
	*arena = (struct mr_arena){ .fd = -1 };
}

void *mr_arena_alloc(struct mr_arena *arena, size_t size, size_t align)
{
	/* The base is page-aligned, so aligning the offset aligns the address. */
	size_t off = (arena->used + align - 1) & ~(align - 1);

	if (off < arena->used || off > arena->size || size > arena->size - off)
		return NULL;
	arena->used = off + size;
	return arena->base + off; /* fresh pages of a memfd are zero */
}
