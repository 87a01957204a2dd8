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
	bool multibuf; /* bound with XDP_USE_SG: a packet may have several descriptors */
	/* One sendto() sends a whole TX ring (XDP_MAX_TX_SKB_BUDGET), else the kernel's default of 32 packets. */
	bool budget;
};

struct mr_xsk_cfg {
	const char *ifname; /* for error messages */
	int ifindex;
	uint32_t queue;
	/* Entries, powers of two; TX may be 0: the socket only receives. */
	uint32_t size[MR_XSK_RINGS];
	bool zero_copy;
	void *umem; /* the first socket registers it; the others share it */
	size_t umem_size;
	uint32_t chunk_size;
	int shared_fd; /* the first socket; -1: this is the first */
	int *patience; /* how often, over all queues, a busy queue is tried again after 10 ms */
};

/* Open, map and bind the socket. Sleeps while the queue still belongs to a process that has just died, see patience.
 * Returns 0, or a negative errno: *xsk is closed, and *err (may be NULL) has one sentence. */
int mr_xsk_open(struct mr_xsk *xsk, const struct mr_xsk_cfg *cfg, struct mr_error *err);
/* Map the rings of a socket that another process has opened. Takes over fd, even if it fails. Returns 0 or a negative
 * errno. */
int mr_xsk_join(struct mr_xsk *xsk, int fd, const uint32_t size[MR_XSK_RINGS]);
/* Close what is open. The kernel frees the queue some 30 ms later. */
void mr_xsk_close(struct mr_xsk *xsk);

#endif
