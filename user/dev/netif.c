// SPDX-License-Identifier: BSD-2-Clause
/*
 * netif.c - the transmit queue between the layers and the device.
 * Owns        tx_refs of what is queued, until the device calls mr_netif_tx_done().
 * Not here    the device end: shaper, capture, rings (port.c).
 */
#include <errno.h>
#include <string.h>
#include "base/compiler.h"
#include "dev/netif.h"

void mr_netif_init(struct mr_netif *nif, struct mr_frame_pool *frames, struct mr_counters *ctr,
		   const uint8_t mac[6], uint32_t mtu, uint32_t txq_limit)
{
	*nif = (struct mr_netif){
		.max_chunks = MR_FRAME_MAX_CHUNKS,
		.mtu = mtu,
		.txq_limit = txq_limit,
		.frames = frames,
		.ctr = ctr,
	};
	memcpy(nif->mac, mac, sizeof(nif->mac));
}

/* What is queued without asking for room, because it would not be repeated soon (the answer to a SYN or FIN, ARP),
 * finds some when data has filled the queue: one part in so many more. */
#define RESERVE_SHARE 4u

int mr_netif_tx(struct mr_netif *nif, struct mr_frame *f)
{
	struct mr_frame *pos;

	if (mr_unlikely(nif->txq_count >= nif->txq_limit + nif->txq_limit / RESERVE_SHARE)) {
		nif->ctr->drop[MR_DROP_TX_QUEUE_FULL]++;
		mr_frame_put_chain(nif->frames, f);
		return -ENOBUFS;
	}
	assert(!f->tx_refs); /* the device may be reading its headers, and txnext may be in use */
	mr_frame_for_each_chunk (pos, f)
		pos->tx_refs++;
	f->txnext = NULL;
	if (nif->txq_tail)
		nif->txq_tail->txnext = f;
	else
		nif->txq_head = f;
	nif->txq_tail = f;
	nif->txq_count++;
	return 0;
}

struct mr_frame *mr_netif_txq_pop(struct mr_netif *nif)
{
	struct mr_frame *f = nif->txq_head;

	if (!f)
		return NULL;
	nif->txq_head = f->txnext;
	if (!nif->txq_head)
		nif->txq_tail = NULL;
	nif->txq_count--;
	f->txnext = NULL;
	return f;
}

void mr_netif_salvage(struct mr_netif *nif)
{
	nif->txq_head = nif->txq_tail = NULL;
	nif->txq_count = 0;
}
