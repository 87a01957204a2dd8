/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netif.h - the network interface as the layers above see it: its properties, and the transmit queue. It lies in the
 * arena and knows no device: layers append packets to the queue, and once per round the engine moves them through
 * shaper, capture and device (port.h). So everything above is built and tested without a device.
 */
#ifndef MR_DEV_NETIF_H
#define MR_DEV_NETIF_H

#include <stdbool.h>
#include "frame/frame.h"

struct mr_netif {
	uint8_t mac[6];
	/* The device takes packets of up to so many descriptors, 1..MR_FRAME_MAX_CHUNKS. */
	uint16_t max_chunks;
	uint32_t mtu; /* bytes of the L3 packet */
	/* Bytes of the longest L3 packet that the device cuts into TCP segments itself; 0: it does not. */
	uint32_t gso_bytes;
	uint32_t txq_limit; /* packets up to which mr_netif_tx_room() reports room */
	uint32_t txq_count;
	struct mr_frame *txq_head, *txq_tail; /* packets, linked by txnext */
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
};

void mr_netif_init(struct mr_netif *nif, struct mr_frame_pool *frames, struct mr_counters *ctr,
		   const uint8_t mac[6], uint32_t mtu, uint32_t txq_limit);

/* Queue a packet, complete with Ethernet header, for transmission. Always takes over one reference of every chunk,
 * and counts it in tx_refs until the device is done with it. The queue takes a quarter more than txq_limit, for
 * callers that did not ask mr_netif_tx_room(). Returns 0, or -ENOBUFS: the queue is full, and the packet was dropped
 * (MR_DROP_TX_QUEUE_FULL). */
int mr_netif_tx(struct mr_netif *nif, struct mr_frame *f);

/* Is there room for n more packets? TCP asks before it makes segments, and otherwise waits. */
static inline bool mr_netif_tx_room(const struct mr_netif *nif, uint32_t n)
{
	return nif->txq_count + n <= nif->txq_limit;
}

/* For port.h: the first packet of the queue, which stays there; NULL: the queue is empty. */
static inline struct mr_frame *mr_netif_txq_peek(const struct mr_netif *nif)
{
	return nif->txq_head;
}
/* Remove and return the first packet; NULL: the queue is empty. */
struct mr_frame *mr_netif_txq_pop(struct mr_netif *nif);

/* Empty the queue after a process died. The references of the packets are not released: the caller counts all anew. */
void mr_netif_salvage(struct mr_netif *nif);

/* The device is done with one chunk (not with the chain): release the reference that mr_netif_tx() took over. */
static inline void mr_netif_tx_done(struct mr_frame_pool *pool, struct mr_frame *f)
{
	assert(f->tx_refs);
	f->tx_refs--;
	mr_frame_put(pool, f);
}
/* The same for every chunk of a packet. */
static inline void mr_netif_tx_packet_done(struct mr_frame_pool *pool, struct mr_frame *f)
{
	struct mr_frame *frag;

	for (; f; f = frag) {
		frag = f->frag;
		mr_netif_tx_done(pool, f);
	}
}

#endif
