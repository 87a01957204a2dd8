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
#define MR_FRAME_PSH	 (1u << 3) /* TCP: has the last byte of a write, so its segment has PSH set */
#define MR_FRAME_LENT	 (1u << 4) /* lent to the application by mr_recv_borrow() */
#define MR_FRAME_IN_DEV	 (1u << 5) /* the kernel owns the chunk (FILL or TX ring) */
/* TCP: found lost and not sent again since, counted in tcb.lost_bytes. */
#define MR_FRAME_LOST	(1u << 6)
#define MR_FRAME_SACKED (1u << 7) /* TCP: selectively acknowledged, counted in tcb.sacked_bytes */

/* The state of a connection when a frame was sent, from which its ACK computes the delivery rate (tcp_rate.c). Bytes;
 * delivered and lost wrap. */
struct mr_sent {
	uint32_t delivered, lost; /* struct mr_rate's at that time */
	uint32_t in_flight;	  /* including the segment of this frame */
	/* Time that had passed since data was last delivered, and since the transmission at which the sample begins, in
	 * units of 64 ns. */
	uint32_t since_delivered;
	uint32_t since_first;
	bool app_limited; /* the application, not the path, limited the rate */
};

struct mr_frame {
	struct mr_frame *
		next; /* next packet in the queue that holds it: receive, reassembly or send buffer */
	struct mr_frame *frag;	 /* next chunk of the same packet; NULL at the last */
	struct mr_frame *txnext; /* next packet in the transmit queue */
	uint8_t *chunk;		 /* first byte of the chunk; constant */
	uint8_t *data;		 /* first byte of the packet (or of this chunk's part of it) */
	uint32_t len;		 /* bytes at data, in this chunk */
	uint32_t pkt_len;	 /* first chunk of a packet: bytes in the whole chain */
	uint16_t refs;
	uint16_t tx_refs;
	uint8_t nchunks; /* first chunk of a packet: length of the chain */
	uint8_t flags;	 /* MR_FRAME_* */
	uint16_t queue;	 /* device queue that it was received from or is to be sent to */

	/* TCP: the payload [pay, pay + pay_len), and its place in the sequence space. */
	uint8_t *pay;
	uint32_t pay_len;
	uint32_t seq;	   /* sequence number of the first payload byte */
	uint32_t csum;	   /* sum of the payload (base/csum.h), see MR_FRAME_CSUM */
	uint8_t tcp_flags; /* received: the flags of the segment; MR_TCP_FIN follows the payload */
	/* First chunk of a packet to transmit. 0: the packet is put into the TX ring as it is. Otherwise it is sent
	 * through a packet socket, with a partial TCP checksum, and the kernel cuts it into segments of gso_size
	 * payload bytes. */
	uint16_t gso_size;
	union {
		uint64_t sent_at; /* sent: time of the last transmission, ns */
		/* Received, with MR_FRAME_LENT: identifies the socket that has lent it. */
		uint64_t lent_by;
	};

	union {
		/* Received: what the XDP program found; valid with MR_FRAME_META. */
		struct mr_rx_meta meta;
		struct {
			struct mr_list sent_node; /* TCP: tcb.in_flight or tcb.lost */
			union {
				/* TCP: valid from sending until it is acknowledged or SACKed. */
				struct mr_sent sent;
				/* A row is a run of neighbouring SACKED frames in the send queue, or of packets
				 * without a hole between them in the reassembly queue. The first and the last frame
				 * of a row point to each other, so that a search steps over the whole row. */
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
		nspared; /* free ones that the device does without for now: it may take them at any time */
	uint32_t chunk_size; /* power of two */
	uint32_t chunk_shift;
	struct mr_counters *ctr;
};

/* Free frames that are nobody's. */
static inline uint32_t mr_frame_pool_unclaimed(const struct mr_frame_pool *pool)
{
	return pool->nfree > pool->nspared ? pool->nfree - pool->nspared : 0;
}

/* umem: nframes * chunk_size bytes, owned by the caller and outliving the pool. 0 or -ENOMEM. */
int mr_frame_pool_init(struct mr_frame_pool *pool, struct mr_arena *arena, struct mr_counters *ctr,
		       void *umem, uint32_t nframes, uint32_t chunk_size);

/* A free frame: refs 1, len 0, data at MR_FRAME_HEADROOM into the chunk, no chain, flags 0. NULL when
 * the UMEM is used up (the caller counts what it dropped for that). Never blocks. */
struct mr_frame *mr_frame_get(struct mr_frame_pool *pool);

/* Repair after a process died in the middle of a change: reference counts and the free list are rebuilt. Between the
 * two calls every holder of a frame calls mr_frame_salvage_hold(); frames that the kernel owns are known by
 * MR_FRAME_IN_DEV and tx_refs. Frames that nobody holds are free afterwards. */
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
/* A copy of [off, off + n) of the packet, in as few chunks as possible. n is not 0, and the packet has these bytes.
 * NULL: too few frames are free, or more than MR_FRAME_MAX_CHUNKS chunks would be needed. */
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
