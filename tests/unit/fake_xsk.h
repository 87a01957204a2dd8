/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_xsk.h - an AF_XDP device whose rings are plain memory: the test plays the kernel, entry by
 * entry. For test_afxdp_rx.c and test_afxdp_tx.c.
 */
#ifndef TESTS_UNIT_FAKE_XSK_H
#define TESTS_UNIT_FAKE_XSK_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "dev/afxdp_int.h"

#define FAKE_FRAMES 512u
#define FAKE_CHUNK  2048u
#define FAKE_RING   64u
#define FAKE_QUEUES 2u
#define FAKE_COOKIE 0x5eedu
/* Where the kernel puts a packet in its chunk (XDP_PACKET_HEADROOM). */
#define FAKE_HEADROOM 256u

struct fake_ring {
	uint32_t producer, consumer, flags;
	struct xdp_desc entries[FAKE_RING]; /* or addresses: there is room for either */
};

struct fake_xsk {
	struct mr_arena arena;
	struct mr_counters ctr;
	struct mr_frame_pool frames;
	uint8_t *umem;
	struct mr_afxdp *d;
	struct fake_ring ring[FAKE_QUEUES][MR_XSK_RINGS];
};

static inline int fake_open(void **state)
{
	struct fake_xsk *x = calloc(1, sizeof(*x));

	x->umem = calloc(FAKE_FRAMES, FAKE_CHUNK);
	assert_int_equal(mr_arena_open(&x->arena, "test", 1 << 20), 0);
	assert_int_equal(mr_frame_pool_init(&x->frames, &x->arena, &x->ctr, x->umem, FAKE_FRAMES,
					    FAKE_CHUNK),
			 0);
	x->d = calloc(1, sizeof(*x->d) + FAKE_QUEUES * sizeof(x->d->q[0]));
	x->d->s = mr_arena_alloc(&x->arena, sizeof(*x->d->s) + FAKE_QUEUES * sizeof(x->d->s->q[0]),
				 64);
	x->d->dev.frames = &x->frames;
	x->d->dev.ctr = &x->ctr;
	x->d->s->cfg.nqueues = FAKE_QUEUES;
	x->d->s->cfg.rx_ring = FAKE_RING;
	x->d->s->cfg.tx_ring = FAKE_RING;
	x->d->s->cfg.cookie = FAKE_COOKIE;
	x->d->s->ntx = FAKE_QUEUES;
	x->d->s->multibuf = true;
	for (unsigned i = 0; i < FAKE_QUEUES; i++) {
		x->d->q[i].s = &x->d->s->q[i];
		x->d->q[i].xsk.fd = (int)(1000 + i); /* no descriptor; tells the queues apart */
		for (unsigned k = 0; k < MR_XSK_RINGS; k++)
			x->d->q[i].xsk.ring[k] = (struct mr_xsk_ring){
				.producer = &x->ring[i][k].producer,
				.consumer = &x->ring[i][k].consumer,
				.flags = &x->ring[i][k].flags,
				.entries = x->ring[i][k].entries,
				.size = FAKE_RING,
			};
	}
	*state = x;
	return 0;
}

static inline int fake_close(void **state)
{
	struct fake_xsk *x = *state;

	mr_arena_close(&x->arena);
	free(x->umem);
	free(x->d);
	free(x);
	return 0;
}

/* The kernel takes a chunk from FILL; returns its UMEM offset. */
static inline uint64_t kernel_take_fill(struct fake_xsk *x, unsigned queue)
{
	struct fake_ring *r = &x->ring[queue][MR_XSK_FILL];

	assert_int_not_equal(r->producer, r->consumer);
	return ((uint64_t *)(void *)r->entries)[r->consumer++ % FAKE_RING];
}

/* ... and puts one received chunk into RX. */
static inline void kernel_rx_at(struct fake_xsk *x, unsigned queue, uint64_t addr, uint32_t len,
				uint32_t options)
{
	struct fake_ring *r = &x->ring[queue][MR_XSK_RX];

	assert_true(r->producer - r->consumer < FAKE_RING);
	r->entries[r->producer++ % FAKE_RING] =
		(struct xdp_desc){ .addr = addr, .len = len, .options = options };
}

static inline uint64_t kernel_rx(struct fake_xsk *x, unsigned queue, uint32_t len, uint32_t options)
{
	uint64_t addr = kernel_take_fill(x, queue) + FAKE_HEADROOM;

	kernel_rx_at(x, queue, addr, len, options);
	return addr;
}

static inline void kernel_complete(struct fake_xsk *x, unsigned queue, uint64_t addr)
{
	struct fake_ring *r = &x->ring[queue][MR_XSK_COMPLETION];

	assert_true(r->producer - r->consumer < FAKE_RING);
	((uint64_t *)(void *)r->entries)[r->producer++ % FAKE_RING] = addr;
}

#endif
