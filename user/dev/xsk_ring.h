/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xsk_ring.h - the four rings that user space shares with an AF_XDP socket. Each has one producer
 * and one consumer, a power-of-two number of entries, and two free-running 32-bit indices that
 * wrap. FILL and TX are produced here and consumed by the kernel, RX and COMPLETION the other way
 * round. Own copies of the indices (cached_*) keep the shared cache lines out of the way.
 * Authority   Documentation/networking/af_xdp.rst ("Rings"); the kernel's half is
 *             net/xdp/xsk_queue.h, whose comment on memory barriers (A to D) the comments below
 *             refer to.
 * Not here    making and mapping the rings (xsk.c).
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
	uint32_t cached_prod; /* producing: next to reserve; consuming: producer as last seen */
	uint32_t cached_cons; /* consuming: next to read; producing: consumer as last seen */
};

static inline struct xdp_desc *mr_xsk_ring_desc(const struct mr_xsk_ring *r, uint32_t idx)
{
	return (struct xdp_desc *)r->entries + (idx & (r->size - 1));
}

static inline uint64_t *mr_xsk_ring_addr(const struct mr_xsk_ring *r, uint32_t idx)
{
	return (uint64_t *)r->entries + (idx & (r->size - 1));
}

/* Another process has used this ring: its indices tell where it stands. All that was reserved has been
 * published there, and all that was read released. */
static inline void mr_xsk_ring_adopt(struct mr_xsk_ring *r)
{
	r->cached_prod = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
	r->cached_cons = __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
}

/* ---- Producing: FILL and TX ------------------------------------------------------------------ */

/* Free entries; looks at the kernel's index only when fewer than `want` are known to be free. */
static inline uint32_t mr_xsk_ring_room(struct mr_xsk_ring *r, uint32_t want)
{
	uint32_t room = r->size - (r->cached_prod - r->cached_cons);

	if (room >= want)
		return room;
	/* Pairs with the kernel's release of the consumer index (barrier D): it has read the
	 * entries that are about to be written again. */
	r->cached_cons = __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
	return r->size - (r->cached_prod - r->cached_cons);
}

/* Reserve n entries, all or none: *idx is the first, the others follow it. The kernel sees nothing
 * of them before mr_xsk_ring_submit(). */
static inline bool mr_xsk_ring_reserve(struct mr_xsk_ring *r, uint32_t n, uint32_t *idx)
{
	if (mr_xsk_ring_room(r, n) < n)
		return false;
	*idx = r->cached_prod;
	r->cached_prod += n;
	return true;
}

/* Publish all that was reserved. */
static inline void mr_xsk_ring_submit(struct mr_xsk_ring *r)
{
	/* Pairs with the kernel's acquire of the producer index (barrier B): the entries are
	 * written before the index that publishes them. */
	__atomic_store_n(r->producer, r->cached_prod, __ATOMIC_RELEASE);
}

/* Entries published that the kernel has not taken yet. Kernels before 6.17 move their index late
 * when a doorbell stops half way, so this may be too many, never too few. */
static inline uint32_t mr_xsk_ring_untaken(const struct mr_xsk_ring *r)
{
	return *r->producer - __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
}

/* Does the kernel want a system call before it looks at this ring (XDP_USE_NEED_WAKEUP)? */
static inline bool mr_xsk_ring_needs_wakeup(const struct mr_xsk_ring *r)
{
	/* Set is set, however old the look: at worst one call is too many. In copy mode a TX ring's is
	 * always set, so that the barrier below is not paid for. */
	if (__atomic_load_n(r->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP)
		return true;
	/* The index published before must be visible to the driver before its flag is read here:
	 * else it goes to sleep on the old index while we read the old flag. Store before load
	 * needs a full barrier. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(r->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP;
}

/* ---- Consuming: RX and COMPLETION ------------------------------------------------------------ */

/* How many entries, at most max, can be read from *idx on. They stay ours until released. */
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

/* Give the first n entries of those that were peeked at back to the kernel. */
static inline void mr_xsk_ring_release(struct mr_xsk_ring *r, uint32_t n)
{
	r->cached_cons += n;
	/* Pairs with the kernel's acquire of the consumer index (barrier D): we have read the
	 * entries before it may write them again. */
	__atomic_store_n(r->consumer, r->cached_cons, __ATOMIC_RELEASE);
}

/* Is there anything to read? */
static inline bool mr_xsk_ring_has_entries(const struct mr_xsk_ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_RELAXED) != r->cached_cons;
}

#endif
