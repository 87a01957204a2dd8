/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xsk_ring.h - the four rings that user space shares with an AF_XDP socket. Each has one producer and one consumer, a
 * power-of-two number of entries, and two free-running 32-bit indices that wrap. User space produces FILL and TX, and
 * consumes RX and COMPLETION. The local copies of the indices (cached_*) avoid accesses to the shared cache lines.
 * Authority   Documentation/networking/af_xdp.rst ("Rings"). The kernel's side is net/xdp/xsk_queue.h; barriers A to D
 *             in the comments below are those of its comment on memory ordering.
 * Not here    creating and mapping the rings (xsk.c).
 */
#ifndef MR_DEV_XSK_RING_H
#define MR_DEV_XSK_RING_H

#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stdint.h>

/* Linux 6.6 and later; the UAPI header of Debian 12 does not have them. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif
/* Linux 6.17 and later. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

struct mr_xsk_ring {
	uint32_t *producer, *consumer, *flags; /* shared with the kernel */
	void *entries; /* struct xdp_desc[size] (RX, TX) or uint64_t[size] (FILL, COMPLETION) */
	uint32_t size;
	/* Producer side: next entry to reserve; consumer side: last value read of *producer. */
	uint32_t cached_prod;
	/* Consumer side: next entry to read; producer side: last value read of *consumer. */
	uint32_t cached_cons;
};

static inline struct xdp_desc *mr_xsk_ring_desc(const struct mr_xsk_ring *r, uint32_t idx)
{
	return (struct xdp_desc *)r->entries + (idx & (r->size - 1));
}

static inline uint64_t *mr_xsk_ring_addr(const struct mr_xsk_ring *r, uint32_t idx)
{
	return (uint64_t *)r->entries + (idx & (r->size - 1));
}

/* Another process has used this ring: take the positions from the shared indices. That process has left no entry
 * reserved but unpublished, or read but unreleased. */
static inline void mr_xsk_ring_adopt(struct mr_xsk_ring *r)
{
	r->cached_prod = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
	r->cached_cons = __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
}

/* ---- Producing: FILL and TX ------------------------------------------------------------------ */

/* Free entries. Reads the kernel's index only if fewer than `want` are known to be free. */
static inline uint32_t mr_xsk_ring_room(struct mr_xsk_ring *r, uint32_t want)
{
	uint32_t room = r->size - (r->cached_prod - r->cached_cons);

	if (room >= want)
		return room;
	/* Pairs with the kernel's release of the consumer index (barrier D): it has read the entries that are about
	 * to be overwritten. */
	r->cached_cons = __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
	return r->size - (r->cached_prod - r->cached_cons);
}

/* Reserve n entries, all or none. *idx is the index of the first one. The kernel does not see them before
 * mr_xsk_ring_submit(). */
static inline bool mr_xsk_ring_reserve(struct mr_xsk_ring *r, uint32_t n, uint32_t *idx)
{
	if (mr_xsk_ring_room(r, n) < n)
		return false;
	*idx = r->cached_prod;
	r->cached_prod += n;
	return true;
}

/* Publish everything that was reserved. */
static inline void mr_xsk_ring_submit(struct mr_xsk_ring *r)
{
	/* Pairs with the kernel's acquire of the producer index (barrier B): the entries are written before the index
	 * that publishes them. */
	__atomic_store_n(r->producer, r->cached_prod, __ATOMIC_RELEASE);
}

/* Published entries that the kernel has not taken yet. Kernels before 6.17 update their index late if a sendto() ends
 * early, so the result may be too large, never too small. */
static inline uint32_t mr_xsk_ring_untaken(const struct mr_xsk_ring *r)
{
	return *r->producer - __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
}

/* Does the kernel need a system call to look at this ring (XDP_USE_NEED_WAKEUP)? */
static inline bool mr_xsk_ring_needs_wakeup(const struct mr_xsk_ring *r)
{
	/* If the flag is set, an old value is harmless: at worst one system call is unnecessary. In copy mode the
	 * flag of a TX ring is always set, so that the barrier below is never reached. */
	if (__atomic_load_n(r->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP)
		return true;
	/* The index that was published must be visible to the driver before its flag is read. Otherwise it could
	 * go to sleep having read the old index, while we read the old flag. A store before a load needs a full
	 * barrier. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(r->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP;
}

/* ---- Consuming: RX and COMPLETION ------------------------------------------------------------ */

/* How many entries can be read from *idx on, at most max. They are ours until mr_xsk_ring_release(). */
static inline uint32_t mr_xsk_ring_peek(struct mr_xsk_ring *r, uint32_t max, uint32_t *idx)
{
	uint32_t n = r->cached_prod - r->cached_cons;

	if (n < max) {
		/* Pairs with the kernel's release of the producer index (barrier B). */
		r->cached_prod = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
		n = r->cached_prod - r->cached_cons;
	}
	*idx = r->cached_cons;
	return n < max ? n : max;
}

/* Give the first n of the entries that were peeked at back to the kernel. */
static inline void mr_xsk_ring_release(struct mr_xsk_ring *r, uint32_t n)
{
	r->cached_cons += n;
	/* Pairs with the kernel's acquire of the consumer index (barrier D): we have read the entries before it may
	 * overwrite them. */
	__atomic_store_n(r->consumer, r->cached_cons, __ATOMIC_RELEASE);
}

static inline bool mr_xsk_ring_has_entries(const struct mr_xsk_ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_RELAXED) != r->cached_cons;
}

#endif
