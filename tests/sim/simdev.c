// SPDX-License-Identifier: BSD-2-Clause
/*
 * simdev.c - the simulated device behind struct mr_dev_ops.
 * Owns        a reference of every chunk between tx() and its completion in reap().
 * Asserts     that nobody writes into a chunk while the device holds it, and that a packet has no more
 *             chunks than the device said it takes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "base/time.h"
#include "dev/netif.h"
#include "gso.h"
#include "simdev.h"

#define ETH_MIN_LEN 60u /* without FCS */
/* Enough for every header of a packet: the stack parses in the first chunk only. */
#define FIRST_CHUNK_MIN 1024u

static struct sim_dev *to_sim(struct mr_dev *dev)
{
	return mr_container_of(dev, struct sim_dev, base);
}

static uint64_t hash_bytes(uint64_t h, const uint8_t *p, uint32_t len)
{
	uint64_t w;

	for (; len >= sizeof(w); p += sizeof(w), len -= (uint32_t)sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	while (len--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

static uint64_t hash_tx(const struct sim_tx *tx)
{
	uint64_t h = 0;

	for (unsigned i = 0; i < tx->nchunks; i++)
		h = hash_bytes(h, tx->chunk[i].data, tx->chunk[i].len);
	return h;
}

/* ---- Receive --------------------------------------------------------------------------------- */

/* How much of the `left` bytes goes into the next chunk. */
static uint32_t chunk_fill(struct sim_dev *dev, uint32_t left, bool first)
{
	uint32_t room = dev->base.frames->chunk_size - SIM_DEV_HEADROOM;
	uint32_t least = first ? mr_min(left, FIRST_CHUNK_MIN) : 1;
	uint32_t most = mr_min(left, room);

	if (!dev->cfg.ragged)
		return most;
	/* A large packet keeps to large chunks: a real one has less than 64 of them. */
	if (left > 16 * room || !sim_one_in(&dev->rng, 4))
		least = mr_max(least, mr_min(most, room / 2));
	return (uint32_t)sim_range(&dev->rng, least, most);
}

/* NULL: not enough frames. */
static struct mr_frame *receive_one(struct sim_dev *dev, const struct sim_rx *rx)
{
	struct mr_frame *first = NULL, **link = &first, *f;
	uint32_t off = 0;
	uint8_t n = 0;

	while (off < rx->len) {
		f = mr_frame_get(dev->base.frames);
		if (!f) {
			if (first)
				mr_frame_put_chain(dev->base.frames, first);
			return NULL;
		}
		f->data = f->chunk + SIM_DEV_HEADROOM;
		f->len = chunk_fill(dev, rx->len - off, off == 0);
		memcpy(f->data, rx->data + off, f->len);
		off += f->len;
		f->frag = NULL;
		*link = f;
		link = &f->frag;
		n++;
	}
	assert(first); /* no packet on the wire is empty */
	first->pkt_len = rx->len;
	first->nchunks = n;
	first->queue = 0;
	return first;
}

static unsigned simdev_rx(struct mr_dev *base, struct mr_frame_queue *q, unsigned budget,
			  uint64_t now)
{
	struct sim_dev *dev = to_sim(base);
	unsigned n = 0;

	(void)now;
	while (n < budget && dev->rx_head) {
		struct sim_rx *rx = dev->rx_head;
		struct mr_frame *f = receive_one(dev, rx);

		dev->rx_head = rx->next;
		if (!dev->rx_head)
			dev->rx_tail = NULL;
		dev->rx_count--;
		free(rx);
		if (!f) {
			dev->dropped_no_frame++;
			MR_COUNT(base->ctr, DEV_FILL_EMPTY);
			continue;
		}
		mr_frame_queue_push(q, f);
		n++;
	}
	return n;
}

void sim_dev_deliver(struct sim_dev *dev, const uint8_t *pkt, uint32_t len)
{
	uint32_t padded = dev->cfg.pad ? mr_max(len, ETH_MIN_LEN) : len;
	struct sim_rx *rx;

	if (dev->rx_count >= dev->cfg.rx_ring) {
		dev->dropped_ring_full++;
		return;
	}
	rx = malloc(sizeof(*rx) + padded);
	if (!rx)
		abort();
	rx->next = NULL;
	rx->len = padded;
	memcpy(rx->data, pkt, len);
	/* Padding has no defined value; anything but zero shows who takes it for data. */
	memset(rx->data + len, 0xa5, padded - len);
	if (dev->rx_tail)
		dev->rx_tail->next = rx;
	else
		dev->rx_head = rx;
	dev->rx_tail = rx;
	dev->rx_count++;
}

/* ---- Transmit -------------------------------------------------------------------------------- */

static struct sim_tx *tx_slot(struct sim_dev *dev, unsigned i)
{
	return &dev->tx[i % dev->cfg.tx_ring];
}

static int simdev_tx(struct mr_dev *base, struct mr_frame *f, uint64_t now)
{
	struct sim_dev *dev = to_sim(base);
	struct sim_tx *tx;
	struct mr_frame *c;
	uint32_t total = 0;

	(void)now;
	if (dev->tx_queued - dev->tx_reaped >= dev->cfg.tx_ring) {
		MR_COUNT(base->ctr, DEV_TX_RING_FULL);
		return -EAGAIN;
	}
	tx = tx_slot(dev, dev->tx_queued);
	tx->nchunks = 0;
	tx->gso_size = f->gso_size;
	if (f->gso_size && !dev->cfg.gso)
		dev->broken(dev->user, "a packet is to be cut by a device that cannot");
	mr_frame_for_each_chunk (c, f) {
		if (tx->nchunks == (f->gso_size ? MR_FRAME_GSO_CHUNKS : dev->cfg.max_chunks))
			dev->broken(dev->user, "packet has more chunks than the device takes");
		if (!c->tx_refs || c->refs < c->tx_refs)
			dev->broken(dev->user, "chunk without a reference for the device");
		if (!c->len || c->data < c->chunk ||
		    c->data + c->len > c->chunk + base->frames->chunk_size)
			dev->broken(dev->user, "chunk is empty or reaches over its end");
		tx->chunk[tx->nchunks++] = (struct sim_tx_chunk){ c, c->data, c->len };
		total += c->len;
	}
	if (total != f->pkt_len)
		dev->broken(dev->user, "pkt_len is not the sum of the chunks");
	if (tx->nchunks != f->nchunks)
		dev->broken(dev->user, "nchunks is not the length of the chain");
	tx->hash = hash_tx(tx);
	dev->tx_queued++;
	return 0;
}

static void send_chain(struct sim_dev *dev, const struct sim_tx *tx)
{
	uint8_t pkt[MR_FRAME_MAX_CHUNKS * 4096];
	uint32_t len = 0;

	_Static_assert(sizeof(pkt) > UINT16_MAX + 14, "the largest packet");

	for (unsigned i = 0; i < tx->nchunks; i++) {
		memcpy(pkt + len, tx->chunk[i].data, tx->chunk[i].len);
		len += tx->chunk[i].len;
	}
	dev->cut += tx->gso_size != 0;
	if (tx->gso_size)
		sim_gso_cut(pkt, len, tx->gso_size, dev->send, dev->user);
	else
		dev->send(dev->user, pkt, len);
}

static void send_one(struct sim_dev *dev, const struct sim_tx *tx)
{
	if (tx->nchunks == 1 && !tx->gso_size)
		dev->send(dev->user, tx->chunk[0].data, tx->chunk[0].len);
	else
		send_chain(dev, tx);
}

static int simdev_kick(struct mr_dev *base)
{
	struct sim_dev *dev = to_sim(base);
	uint64_t last = 0;

	if (dev->tx_kicked != dev->tx_reaped)
		last = tx_slot(dev, dev->tx_kicked - 1)->done_at;
	for (uint32_t n = 0; n < dev->cfg.kick_budget && dev->tx_kicked != dev->tx_queued; n++) {
		struct sim_tx *tx = tx_slot(dev, dev->tx_kicked++);

		tx->done_at = *dev->clock + sim_below(&dev->rng, dev->cfg.completion_ns + 1);
		tx->done_at = mr_max(tx->done_at, last); /* completed in the order of the ring */
		last = tx->done_at;
		send_one(dev, tx);
	}
	return dev->tx_kicked != dev->tx_queued ? -EAGAIN : 0;
}

static void release(struct sim_dev *dev, const struct sim_tx *tx)
{
	for (unsigned i = 0; i < tx->nchunks; i++)
		mr_netif_tx_done(dev->base.frames, tx->chunk[i].f);
}

static void simdev_reap(struct mr_dev *base)
{
	struct sim_dev *dev = to_sim(base);

	while (dev->tx_reaped != dev->tx_kicked) {
		struct sim_tx *tx = tx_slot(dev, dev->tx_reaped);

		if (tx->done_at > *dev->clock)
			break;
		if (hash_tx(tx) != tx->hash)
			dev->broken(dev->user, "bytes changed while the device held the frame");
		dev->tx_reaped++;
		release(dev, tx);
	}
}

/* ---- The rest -------------------------------------------------------------------------------- */

static bool simdev_rx_ready(const struct mr_dev *base)
{
	const struct sim_dev *dev = mr_container_of(base, const struct sim_dev, base);

	return dev->rx_head || dev->tx_kicked != dev->tx_queued;
}

static unsigned simdev_fds(const struct mr_dev *base, int *fds, unsigned max)
{
	(void)base;
	(void)fds;
	(void)max;
	return 0;
}

static int simdev_service(struct mr_dev *base)
{
	(void)base;
	return 0;
}

static void simdev_counters(struct mr_dev *base,
			    void (*each)(void *user, const char *name, const char *text,
					 uint64_t value),
			    void *user)
{
	(void)base;
	(void)each;
	(void)user;
}

static void simdev_close(struct mr_dev *base)
{
	struct sim_dev *dev = to_sim(base);
	struct sim_rx *rx;

	while (dev->tx_reaped != dev->tx_queued)
		release(dev, tx_slot(dev, dev->tx_reaped++));
	while ((rx = dev->rx_head)) {
		dev->rx_head = rx->next;
		free(rx);
	}
	free(dev);
}

static const struct mr_dev_ops simdev_ops = {
	.rx = simdev_rx,
	.tx = simdev_tx,
	.kick = simdev_kick,
	.reap = simdev_reap,
	.rx_ready = simdev_rx_ready,
	.fds = simdev_fds,
	.service = simdev_service,
	.counters = simdev_counters,
	.close = simdev_close,
};

uint64_t sim_dev_next(const struct sim_dev *dev)
{
	if (dev->rx_head)
		return *dev->clock;
	if (dev->tx_reaped != dev->tx_kicked)
		return dev->tx[dev->tx_reaped % dev->cfg.tx_ring].done_at;
	return MR_TIME_NEVER;
}

struct sim_dev *sim_dev_new(const struct sim_dev_cfg *cfg, struct mr_frame_pool *frames,
			    struct mr_counters *ctr, const uint64_t *clock)
{
	struct sim_dev *dev = malloc(sizeof(*dev) + cfg->tx_ring * sizeof(dev->tx[0]));

	if (!dev)
		abort();
	*dev = (struct sim_dev){
		.base = { .ops = &simdev_ops, .frames = frames, .ctr = ctr },
		.cfg = *cfg,
		.rng.s = cfg->seed,
		.clock = clock,
	};
	return dev;
}
