/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netif.h - the network interface as the layers above see it: what it can do, and the transmit queue.
 * It lives in the arena and knows no device: layers append packets to the queue (that is "dev_tx"),
 * the engine moves them through shaper, capture tap and device (port.h) once per round. So everything
 * above is built and tested without a device.
 */
#ifndef MR_DEV_NETIF_H
#define MR_DEV_NETIF_H

#include <stdbool.h>
#include "frame/frame.h"

struct mr_netif {
	uint8_t mac[6];
	/* Descriptors per packet that the device takes: 1..MR_FRAME_MAX_CHUNKS. */
	uint16_t max_chunks;
	uint32_t mtu;	    /* bytes of the L3 packet */
	uint32_t gso_bytes; /* L3 packet that the device cuts into segments itself; 0: it cannot */
	uint32_t txq_limit; /* packets for which mr_netif_tx_room() says that there is room */
	uint32_t txq_count;
	struct mr_frame *txq_head, *txq_tail; /* packets, linked by txnext */
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
};

void mr_netif_init(struct mr_netif *nif, struct mr_frame_pool *frames, struct mr_counters *ctr,
		   const uint8_t mac[6], uint32_t mtu, uint32_t txq_limit);

/* Queue a packet (complete with Ethernet header) for transmission. Takes over one reference of every
 * chunk of it, always, and counts it in tx_refs until the device is done. 0, or -ENOBUFS when the
 * queue was full, and a reserve of a quarter beyond txq_limit, too: then the packet was dropped as
 * MR_DROP_TX_QUEUE_FULL and the references put. */
int mr_netif_tx(struct mr_netif *nif, struct mr_frame *f);

/* Is there room for n more packets? TCP asks before it makes segments, and waits otherwise. */
static inline bool mr_netif_tx_room(const struct mr_netif *nif, uint32_t n)
{
	return nif->txq_count + n <= nif->txq_limit;
}

/* For port.h: the first packet (stays queued), and taking it off. NULL when empty. */
static inline struct mr_frame *mr_netif_txq_peek(const struct mr_netif *nif)
{
	return nif->txq_head;
}
struct mr_frame *mr_netif_txq_pop(struct mr_netif *nif);

/* Forget what is queued: its references are nobody's any more. */
void mr_netif_salvage(struct mr_netif *nif);

/* The device is done with one chunk (not the chain): tx_refs and refs go down. */
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
