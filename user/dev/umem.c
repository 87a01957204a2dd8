// SPDX-License-Identifier: BSD-2-Clause
/*
 * umem.c - the shared mapping that holds all packet bytes.
 * Owns        the memfd and its mapping; its life must enclose that of the device.
 * Called by   the engine, at open and close.
 * Not here    registering it with the kernel (xsk.c), handing out chunks (frame/frame.c).
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dev/umem.h"

static const struct mr_umem UMEM_CLOSED = { .fd = -1 };

static int map(struct mr_umem *u, void *at)
{
	int flags = MAP_SHARED | (at ? MAP_FIXED_NOREPLACE : 0);

	u->base = mmap(at, u->size, PROT_READ | PROT_WRITE, flags, u->fd, 0);
	if (u->base == MAP_FAILED)
		return -errno;
	/* Linux before 4.17 ignores the flag, and takes the address only as a hint. */
	if (at && u->base != at) {
		munmap(u->base, u->size);
		return -EEXIST;
	}
	return 0;
}

/* The block size of a memfd is its page size: with MFD_HUGETLB that of the huge pages. */
static int umem_make(struct mr_umem *u, size_t size, unsigned memfd_flags, void *at)
{
	struct stat st;
	size_t page;
	int err;

	u->fd = memfd_create("millrace-umem", MFD_CLOEXEC | memfd_flags);
	if (u->fd < 0 || fstat(u->fd, &st) < 0) {
		err = -errno;
		goto fail;
	}
	page = (size_t)st.st_blksize;
	u->size = (size + page - 1) / page * page;
	err = ftruncate(u->fd, (off_t)u->size) < 0 ? -errno : map(u, at);
	if (err)
		goto fail;
	u->huge = memfd_flags & MFD_HUGETLB;
	return 0;

fail:
	if (u->fd >= 0)
		close(u->fd);
	*u = UMEM_CLOSED;
	return err;
}

int mr_umem_open_at(struct mr_umem *u, uint32_t nframes, uint32_t chunk_size, void *at)
{
	size_t size = (size_t)nframes * chunk_size;

	*u = UMEM_CLOSED;
	if (!size)
		return -EINVAL;
	/* mmap() reserves the huge pages, and fails here if there are too few, instead of a SIGBUS later. */
	if (!umem_make(u, size, MFD_HUGETLB, at))
		return 0;
	return umem_make(u, size, 0, at);
}

int mr_umem_open(struct mr_umem *u, uint32_t nframes, uint32_t chunk_size)
{
	return mr_umem_open_at(u, nframes, chunk_size, NULL);
}

int mr_umem_map(struct mr_umem *u, int fd, void *at, size_t size)
{
	int err;

	*u = (struct mr_umem){ .fd = fd, .size = size };
	err = map(u, at);
	if (err) {
		close(fd);
		*u = UMEM_CLOSED;
	}
	return err;
}

void mr_umem_close(struct mr_umem *u)
{
	if (u->base)
		munmap(u->base, u->size);
	if (u->fd >= 0)
		close(u->fd);
	*u = UMEM_CLOSED;
}
