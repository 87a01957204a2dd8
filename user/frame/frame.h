/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame.h - the frame: this stack's sk_buff.
 *
 * A frame stands for one chunk of the UMEM (the memory shared with the kernel's AF_XDP rings). The
 * struct is in the arena, one for each chunk, found from the chunk's number; the bytes are in the
 * chunk. Headers are added and removed by moving `data`, never the bytes. A packet longer than a chunk
 * is a chain through `frag`; the first frame's pkt_len counts all of it.
 *
 * References. mr_frame_get() gives refs = 1 to the caller. Every holder (socket buffer, transmit
 * queue, device, a slice lent to the application) has one of its own; the last mr_frame_put() frees
 * the chunk. tx_refs counts those of them that belong to the transmit queue or the device: while it is
 * not 0 the bytes from `data` on may be read by the kernel at any time and must not change.
 * A chain is freed frame by frame: mr_frame_put_chain() puts each.
 */
#ifndef MR_FRAME_FRAME_H
#define MR_FRAME_FRAME_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/counters.h"
#include "base/list.h"

/* Room kept in front of outgoing payload: Ethernet 14 + two VLAN tags 8 + IPv6 40 + TCP 60 = 122. */
#define MR_FRAME_HEADROOM 128u

/* Descriptors of one packet at the most: 1 + MAX_SKB_FRAGS of the kernel's copy mode. */
#define MR_FRAME_MAX_CHUNKS 18u
/* Chunks of a packet that the device cuts into segments itself (gso_size): 64 KiB at an MTU of 1500, and some
 * more for small writes. */
#define MR_FRAME_GSO_CHUNKS 64u

/* frame.flags */
#define MR_FRAME_CSUM	 (1u << 0) /* csum is the sum of the payload view [pay, pay + pay_len) */
#define MR_FRAME_META	 (1u << 1) /* received: meta is valid */
#define MR_FRAME_RETRANS (1u << 2) /* TCP: was sent more than once */
#define MR_FRAME_PSH	 (1u << 3) /* TCP: last byte of a write: the segment gets PSH */
#define MR_FRAME_LENT	 (1u << 4) /* lent to the application */
#define MR_FRAME_IN_DEV	 (1u << 5) /* device: the kernel owns the chunk (FILL or TX ring) */
#define MR_FRAME_LOST	 (1u << 6) /* TCP: judged lost, counted in tcb.lost_bytes */
#define MR_FRAME_SACKED	 (1u << 7) /* TCP: selectively acknowledged, counted in tcb.sacked_bytes */

/* What TCP notes of a frame when it is sent, so that its ACK tells how fast data was delivered
 * (tcp_rate.c). Bytes, and counts of bytes that wrap. */
struct mr_sent {
	uint32_t delivered, lost; /* in all, by then */
	uint32_t in_flight;	  /* with this frame */
	uint32_t since_delivered; /* 64 ns: how long the last delivery was ago, */
	uint32_t since_first;	  /* and the transmission that the sample begins with */
	bool app_limited;	  /* the application was the limit */
};

struct mr_frame {
	/* Of whatever queue holds the packet: receive, reassembly or send buffer. */
	struct mr_frame *next;
	struct mr_frame *frag;	 /* next chunk of the same packet; NULL at the last */
	struct mr_frame *txnext; /* transmit queue */
	uint8_t *chunk;		 /* first byte of the chunk; constant */
	uint8_t *data;		 /* first byte of the packet (or of this chunk's part of it) */
	uint32_t len;		 /* bytes at data, in this chunk */
	uint32_t pkt_len;	 /* first chunk of a packet: bytes in the whole chain */
	uint16_t refs;
	uint16_t tx_refs;
	uint8_t nchunks; /* first chunk of a packet: length of the chain */
	uint8_t flags;	 /* MR_FRAME_* */
	uint16_t queue;	 /* device queue it came from or goes to */

	/* TCP's view of it: the payload, and where it stands in the sequence space. */
	uint8_t *pay;
	uint32_t pay_len;
	uint32_t seq;	   /* of the first payload byte */
	uint32_t csum;	   /* sum of the payload (base/csum.h), see MR_FRAME_CSUM */
	uint8_t tcp_flags; /* FIN that follows the payload, in a receive or reassembly queue */
	/* First chunk of a packet to transmit. 0: it goes through the TX ring as it is. Else it goes through the packet
	 * socket, with a partial TCP checksum, and is cut into segments of so many payload bytes, if it has more. */
	uint16_t gso_size;
	union {
		uint64_t sent_at; /* sent: ns, last transmission */
		/* Received, MR_FRAME_LENT: the socket layer's mark of its owner. */
		uint64_t lent_by;
	};

	union {
		/* Received: what the XDP program found; valid with MR_FRAME_META. */
		struct mr_rx_meta meta;
		struct {
			/* TCP: what is in flight, by time; what is lost. */
			struct mr_list sent_node;
			union {
				struct mr_sent sent; /* until it is acknowledged */
				/* Of the first and last frame of a row: its other end. A row is of SACKED frames, or
				 * in the reassembly queue of packets without a hole between them. */
				struct mr_frame *row;
			};
		};
	};
};
_Static_assert(sizeof(struct mr_frame) <= 128, "two cache lines");

struct mr_frame_pool {
	struct mr_frame *frames; /* [nframes] */
	struct mr_frame *free;	 /* linked by next; last in, first out: warm in the cache */
	uint8_t *umem;		 /* first byte of the UMEM mapping, not of the arena */
	uint32_t nframes, nfree;
	uint32_t nready; /* chunks that the device has for receiving: neither free nor filled */
	uint32_t
		nwanted; /* of them, what may come at once as far as is known: the device has its own minimum */
	uint32_t chunk_size; /* power of two */
	uint32_t chunk_shift;
	struct mr_counters *ctr;
};

/* umem: nframes * chunk_size bytes, owned by the caller and outliving the pool. 0 or -ENOMEM. */
int mr_frame_pool_init(struct mr_frame_pool *pool, struct mr_arena *arena, struct mr_counters *ctr,
		       void *umem, uint32_t nframes, uint32_t chunk_size);

/* A free frame: refs 1, len 0, data at MR_FRAME_HEADROOM into the chunk, no chain, flags 0. NULL when
 * the UMEM is used up (the caller counts what it dropped for that). Never blocks. */
struct mr_frame *mr_frame_get(struct mr_frame_pool *pool);

/* Put right after a process died in the middle of a change. Between the two calls every holder says what
 * it holds, with mr_frame_salvage_hold(); the device's part is known by MR_FRAME_IN_DEV, with tx_refs for
 * transmit. What nobody holds is free. */
void mr_frame_pool_salvage_begin(struct mr_frame_pool *pool);
void mr_frame_pool_salvage_end(struct mr_frame_pool *pool);
static inline void mr_frame_salvage_hold(struct mr_frame *f)
{
	f->refs++;
}

/* One reference less; at zero this one chunk (not its chain) is free again. */
void mr_frame_put(struct mr_frame_pool *pool, struct mr_frame *f);
/* mr_frame_put() on every chunk of the packet. */
void mr_frame_put_chain(struct mr_frame_pool *pool, struct mr_frame *f);

static inline void mr_frame_hold(struct mr_frame *f)
{
	assert(f->refs && f->refs < UINT16_MAX);
	f->refs++;
}

/* UMEM offset (as in a descriptor) -> frame; NULL when the offset lies outside of the UMEM. */
static inline struct mr_frame *mr_frame_at(const struct mr_frame_pool *pool, uint64_t umem_off)
{
	uint64_t i = umem_off >> pool->chunk_shift;

	return i < pool->nframes ? &pool->frames[i] : NULL;
}

static inline uint64_t mr_frame_umem_off(const struct mr_frame_pool *pool, const struct mr_frame *f)
{
	return (uint64_t)(f->data - pool->umem);
}

static inline uint32_t mr_frame_headroom(const struct mr_frame *f)
{
	return (uint32_t)(f->data - f->chunk);
}

static inline uint32_t mr_frame_tailroom(const struct mr_frame_pool *pool, const struct mr_frame *f)
{
	return pool->chunk_size - mr_frame_headroom(f) - f->len;
}

/* Put a header of n bytes in front; returns its first byte. There must be headroom. */
static inline void *mr_frame_push(struct mr_frame *f, uint32_t n)
{
	assert(mr_frame_headroom(f) >= n);
	f->data -= n;
	f->len += n;
	f->pkt_len += n;
	return f->data;
}

/* Take n bytes off the front of the first chunk. n <= f->len. */
static inline void mr_frame_pull(struct mr_frame *f, uint32_t n)
{
	assert(n <= f->len);
	f->data += n;
	f->len -= n;
	f->pkt_len -= n;
}

#define mr_frame_for_each_chunk(pos, first) for ((pos) = (first); (pos); (pos) = (pos)->frag)

/* Shorten the packet to len bytes (link-layer padding, say); whole chunks behind it are put. */
void mr_frame_trim(struct mr_frame_pool *pool, struct mr_frame *f, uint32_t len);
/* Copy [off, off + n) of the packet out, over chunk borders. Returns bytes copied (less at its end). */
uint32_t mr_frame_copy_out(const struct mr_frame *f, uint32_t off, void *dst, uint32_t n);
/* A copy of [off, off + n) of the packet in frames filled to the end, which takes no more descriptors
 * than needed. NULL: no frames, or it would take more than MR_FRAME_MAX_CHUNKS. n is not 0, and the
 * packet is that long. */
struct mr_frame *mr_frame_copy(struct mr_frame_pool *pool, const struct mr_frame *f, uint32_t off,
			       uint32_t n);
/* Sum (base/csum.h) over [off, off + n) of the packet, over chunk borders; it must be that long. */
uint32_t mr_frame_csum(const struct mr_frame *f, uint32_t off, uint32_t n);

/* Packets in a row, linked by next. */
struct mr_frame_queue {
	struct mr_frame *head, *tail;
	uint32_t count;
};

static inline void mr_frame_queue_push(struct mr_frame_queue *q, struct mr_frame *f)
{
	f->next = NULL;
	if (q->tail)
		q->tail->next = f;
	else
		q->head = f;
	q->tail = f;
	q->count++;
}

static inline struct mr_frame *mr_frame_queue_pop(struct mr_frame_queue *q)
{
	struct mr_frame *f = q->head;

	if (!f)
		return NULL;
	q->head = f->next;
	if (!q->head)
		q->tail = NULL;
	q->count--;
	f->next = NULL;
	return f;
}

#endif
