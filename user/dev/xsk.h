/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xsk.h - one AF_XDP socket, bound to one queue of one interface, with its four rings.
 * Authority   Documentation/networking/af_xdp.rst.
 */
#ifndef MR_DEV_XSK_H
#define MR_DEV_XSK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "dev/xsk_ring.h"
#include "millrace.h"

enum mr_xsk_ring_kind { MR_XSK_FILL, MR_XSK_COMPLETION, MR_XSK_RX, MR_XSK_TX, MR_XSK_RINGS };

struct mr_xsk {
	int fd; /* -1 when closed */
	struct mr_xsk_ring ring[MR_XSK_RINGS];
	struct {
		void *addr; /* NULL: not mapped */
		size_t len;
	} map[MR_XSK_RINGS];
	bool multibuf; /* bound with XDP_USE_SG: packets may have several descriptors */
	bool budget; /* XDP_MAX_TX_SKB_BUDGET is the TX ring's size, else the kernel's 32 packets */
};

struct mr_xsk_cfg {
	const char *ifname; /* for error texts */
	int ifindex;
	uint32_t queue;
	uint32_t size[MR_XSK_RINGS]; /* entries, powers of two; TX may be 0: receives only */
	bool zero_copy;
	void *umem; /* registered by the first socket; the others share it */
	size_t umem_size;
	uint32_t chunk_size;
	int shared_fd; /* the first socket; -1: this is the first */
	int *patience; /* tries that are left, for all queues, where the queue is busy (10 ms each) */
};

/* On failure *xsk is closed and *err (may be NULL) holds one sentence. Sleeps while the queue still
 * belongs to a process that has just died. */
int mr_xsk_open(struct mr_xsk *xsk, const struct mr_xsk_cfg *cfg, struct mr_error *err);
/* Map the rings of a socket that another process has opened, and take over fd, also where it fails. */
int mr_xsk_join(struct mr_xsk *xsk, int fd, const uint32_t size[MR_XSK_RINGS]);
/* Closes what is open; the queue is free as soon as the kernel has seen to it (some 30 ms). */
void mr_xsk_close(struct mr_xsk *xsk);

#endif
