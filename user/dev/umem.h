/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * umem.h - the memory of all packet bytes: a shared mapping (memfd) that is registered with the
 * kernel as UMEM, and that other processes of the same engine may map.
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
	bool huge;   /* made of huge pages; false: there were none, or too few */
};

/* Map nframes chunks of chunk_size bytes, zeroed; huge pages where the system has enough of them
 * reserved, normal pages otherwise (u->huge tells). 0, or a negative errno with *u closed. */
int mr_umem_open(struct mr_umem *u, uint32_t nframes, uint32_t chunk_size);
/* The same at this address and no other; -EEXIST: something is there. NULL: anywhere. */
int mr_umem_open_at(struct mr_umem *u, uint32_t nframes, uint32_t chunk_size, void *at);
/* Another process's, at the address that it has there. Takes over fd. */
int mr_umem_map(struct mr_umem *u, int fd, void *at, size_t size);
/* Harmless on a closed one. No device may use it any more. */
void mr_umem_close(struct mr_umem *u);

#endif
