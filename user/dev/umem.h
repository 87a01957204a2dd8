/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * umem.h - the memory of all packet buffers: a memfd mapping that is registered with the kernel as UMEM, and that other
 * processes of the same engine can map, too.
 */
#ifndef MR_DEV_UMEM_H
#define MR_DEV_UMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mr_umem {
	void *base;  /* NULL when closed */
	size_t size; /* bytes mapped: nframes * chunk_size, rounded up to whole pages */
	int fd;	     /* the memfd; -1 when closed */
	bool huge;   /* mapped with huge pages */
};

/* Map nframes zeroed chunks of chunk_size bytes: with huge pages if the system has enough of them reserved, else with
 * normal pages. Returns 0, or a negative errno, and *u is closed. */
int mr_umem_open(struct mr_umem *u, uint32_t nframes, uint32_t chunk_size);
/* The same at the address `at`; NULL: anywhere. -EEXIST: something is mapped there. */
int mr_umem_open_at(struct mr_umem *u, uint32_t nframes, uint32_t chunk_size, void *at);
/* Map the UMEM of another process at the address that it has there. Takes over fd. Returns 0 or a negative errno. */
int mr_umem_map(struct mr_umem *u, int fd, void *at, size_t size);
/* Unmap and close. No effect on a closed one. No device may use the UMEM any more. */
void mr_umem_close(struct mr_umem *u);

#endif
