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

/* The block size of a memfd is its page size, with MFD_HUGETLB that of the system's huge pages. */
static int umem_map(struct mr_umem *u, size_t size, unsigned memfd_flags)
{
	struct stat st;
	size_t page;
	int err;

	u->fd = memfd_create("millrace-umem", MFD_CLOEXEC | memfd_flags);
	if (u->fd < 0 || fstat(u->fd, &st) < 0)
		goto fail;
	page = (size_t)st.st_blksize;
	u->size = (size + page - 1) / page * page;
	if (ftruncate(u->fd, (off_t)u->size) < 0)
		goto fail;
	u->base = mmap(NULL, u->size, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, 0);
	if (u->base == MAP_FAILED)
		goto fail;
	u->huge = memfd_flags & MFD_HUGETLB;
	return 0;

fail:
	err = -errno;
	if (u->fd >= 0)
		close(u->fd);
	*u = UMEM_CLOSED;
	return err;
}

int mr_umem_open(struct mr_umem *u, uint32_t nframes, uint32_t chunk_size)
{
	size_t size = (size_t)nframes * chunk_size;

	*u = UMEM_CLOSED;
	if (!size)
		return -EINVAL;
	/* mmap() reserves the huge pages: it fails here rather than with SIGBUS at first touch. */
	if (!umem_map(u, size, MFD_HUGETLB))
		return 0;
	return umem_map(u, size, 0);
}

void mr_umem_close(struct mr_umem *u)
{
	if (u->base)
		munmap(u->base, u->size);
	if (u->fd >= 0)
		close(u->fd);
	*u = UMEM_CLOSED;
}
