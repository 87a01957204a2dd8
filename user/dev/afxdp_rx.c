// SPDX-License-Identifier: BSD-2-Clause
/*
 * afxdp_rx.c - receive: RX descriptors become frames in place, free frames go to the FILL rings.
 * Owns        the consumer side of RX and the producer side of FILL; MR_FRAME_IN_DEV of frames
 *             there.
 * Authority   Documentation/networking/af_xdp.rst, "Multi-Buffer Support" for XDP_PKT_CONTD.
 * Called by   the engine's round, through dev.h.
 * Not here    what a packet means: the metadata is only copied.
 */
#include <string.h>
#include <sys/socket.h>
#include "dev/afxdp_int.h"

/* Enough for one 64 KiB packet in chunks of 2048 (kernel and headroom leave at least 1536 of each).
 */
#define FILL_LOW 64u
#define PREFETCH 4u /* packets */

/* At most three quarters of the frames are given to the FILL rings, equally for each queue. The others are for
 * transmit: a burst that arrives must not take the frames that the answers need. */
void mr_afxdp_rx_init(struct mr_afxdp *d)
{
	uint32_t nframes = d->dev.frames->nframes, most;

	d->s->fill_spare = nframes / 4;
	most = mr_min(d->s->cfg.rx_ring, (nframes - d->s->fill_spare) / d->s->cfg.nqueues);
	mr_fill_depth_init(&d->s->depth, d->s->cfg.fill_least, most);
	d->s->fill_low = mr_min(most, FILL_LOW);
	mr_afxdp_refill(d);
}

/* How many frames this queue may take now. The first fill_low come from the reserve, too: if senders hold all other
 * frames, only an arriving ACK can free some. */
static uint32_t fill_allowance(const struct mr_afxdp *d, const struct mr_afxdp_queue *q)
{
	uint32_t nfree = d->dev.frames->nfree;
	uint32_t above = nfree > d->s->fill_spare ? nfree - d->s->fill_spare : 0;
	uint32_t urgent = q->s->fill_out < d->s->fill_low ? d->s->fill_low - q->s->fill_out : 0;

	return mr_max(above, mr_min(urgent, nfree));
}

static void fill_queue(struct mr_afxdp *d, unsigned queue)
{
	struct mr_afxdp_queue *q = &d->q[queue];
	struct mr_afxdp_unpublished *entries = &d->s->filling;
	struct mr_frame_pool *frames = d->dev.frames;
	struct mr_xsk_ring *ring = &q->xsk.ring[MR_XSK_FILL];
	uint32_t depth = d->s->depth.now, want, n, idx;

	/* What lies there already is not taken back, but used up. */
	want = depth > q->s->fill_out ? depth - q->s->fill_out : 0;
	want = mr_min(want, mr_xsk_ring_room(ring, want));
	if (!want)
		return;
	n = mr_min(want, fill_allowance(d, q));
	if (n < want)
		MR_COUNT(d->dev.ctr, DEV_FILL_EMPTY);
	if (!n || !mr_xsk_ring_reserve(ring, n, &idx))
		return;
	*entries = (struct mr_afxdp_unpublished){ .queue = queue, .first = idx };
	mr_in_order();
	entries->n = n;
	mr_in_order();
	for (uint32_t i = 0; i < n; i++) {
		struct mr_frame *f = mr_frame_get(frames);

		*mr_xsk_ring_addr(ring, idx + i) = (uint64_t)(f->chunk - frames->umem);
		f->queue = (uint16_t)queue;
		mr_in_order();
		entries->done = i + 1;
		mr_in_order();
		f->flags |= MR_FRAME_IN_DEV;
	}
	mr_xsk_ring_submit(ring);
	mr_in_order();
	entries->n = 0;
	q->s->fill_out += n;
	frames->nready += n;
	/* Only a zero-copy driver that has found the ring empty asks for this. */
	if (mr_xsk_ring_needs_wakeup(ring))
		recvfrom(q->xsk.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

void mr_afxdp_refill(struct mr_afxdp *d)
{
	const struct mr_fill_depth *depth = &d->s->depth;
	uint32_t spared = 0;

	if (d->s->gone)
		return;
	for (unsigned i = 0; i < d->s->cfg.nqueues; i++) {
		unsigned queue = (d->s->turn + i) % d->s->cfg.nqueues;

		fill_queue(d, queue);
		spared += depth->most -
			  mr_max(depth->now, mr_min(d->q[queue].s->fill_out, depth->most));
	}
	d->dev.frames->nspared = spared;
}

void mr_afxdp_rest(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	mr_fill_depth_rest(&d->s->depth);
	mr_afxdp_refill(d);
}

/* The frame of a descriptor, which is ours again. NULL: it is no chunk that was given for receiving. */
static struct mr_frame *take_chunk(struct mr_afxdp *d, unsigned queue, const struct xdp_desc *desc)
{
	struct mr_frame_pool *frames = d->dev.frames;
	struct mr_frame *f = mr_frame_at(frames, desc->addr);

	if (mr_unlikely(!f || !(f->flags & MR_FRAME_IN_DEV) || f->tx_refs)) {
		MR_COUNT(d->dev.ctr, DEV_COMPLETION_BAD);
		return NULL;
	}
	f->flags = 0;
	f->data = frames->umem + desc->addr;
	f->len = desc->len;
	f->queue = (uint16_t)queue;
	return f;
}

/* The XDP program's metadata is directly in front of the packet. */
static void take_meta(const struct mr_afxdp *d, struct mr_frame *f)
{
	struct mr_rx_meta *in;

	if (mr_frame_headroom(f) < sizeof(*in))
		return;
	in = (struct mr_rx_meta *)(void *)(f->data - sizeof(*in));
	memcpy(&f->meta, in, sizeof(f->meta));
	if (f->meta.magic != MR_RX_META_MAGIC || f->meta.cookie != d->s->cfg.cookie)
		return;
	f->flags |= MR_FRAME_META;
	/* A later packet in this chunk may come without metadata, and must not get this one's. */
	memset(in, 0, sizeof(in->magic));
}

/* Append a chunk to the incomplete packet, which may have begun in an earlier call. */
static void gather(struct mr_afxdp *d, struct mr_afxdp_queue *q, struct mr_frame *f)
{
	if (!q->s->part) {
		take_meta(d, f);
		f->pkt_len = f->len;
		f->nchunks = 1;
		q->s->part = f;
	} else {
		assert(q->s->part->nchunks < UINT8_MAX); /* 64 KiB take 43 chunks */
		q->s->part_tail->frag = f;
		q->s->part->pkt_len += f->len;
		q->s->part->nchunks++;
	}
	q->s->part_tail = f;
}

/* Prefetch the frame, metadata, headers with options, and the payload of a short request. */
static void prefetch_packet(const struct mr_afxdp *d, const struct xdp_desc *desc)
{
	const struct mr_frame *f = mr_frame_at(d->dev.frames, desc->addr);
	const uint8_t *data = d->dev.frames->umem + desc->addr;

	__builtin_prefetch(f, 1);
	__builtin_prefetch((const uint8_t *)f + 64, 1);
	__builtin_prefetch(data - sizeof(struct mr_rx_meta));
	__builtin_prefetch(data);
	__builtin_prefetch(data + 64);
	if (desc->len > 128)
		__builtin_prefetch(data + 128);
}

/* Adds to *seen what was found, but for the connections. */
static unsigned rx_queue(struct mr_afxdp *d, unsigned queue, struct mr_frame_queue *out,
			 unsigned budget, struct mr_fill_seen *seen)
{
	struct mr_afxdp_queue *q = &d->q[queue];
	struct mr_xsk_ring *ring = &q->xsk.ring[MR_XSK_RX];
	struct mr_counters *ctr = d->dev.ctr;
	uint32_t idx, n = mr_xsk_ring_peek(ring, ring->size, &idx), i;
	unsigned packets = 0;

	seen->waiting = mr_max(seen->waiting, n);
	/* Another processor has just written the packet: fetch all of its cache lines at once, and not one after the
	 * other as they are read. */
	for (i = 0; i < n && i < PREFETCH; i++)
		prefetch_packet(d, mr_xsk_ring_desc(ring, idx + i));
	for (i = 0; i < n && packets < budget; i++) {
		const struct xdp_desc *desc = mr_xsk_ring_desc(ring, idx + i);
		struct mr_frame *f = take_chunk(d, queue, desc);

		seen->longest = mr_max(seen->longest, desc->len);
		if (i + PREFETCH < n)
			prefetch_packet(d, mr_xsk_ring_desc(ring, idx + i + PREFETCH));
		/* If a chunk is missing, the packet is too short; the layers above check that. */
		if (mr_likely(f != NULL))
			gather(d, q, f);
		if ((desc->options & XDP_PKT_CONTD) || !q->s->part)
			continue;
		packets++;
		MR_COUNT_N(ctr, DEV_RX_BYTES, q->s->part->pkt_len);
		mr_frame_queue_push(out, q->s->part);
		q->s->part = NULL;
	}
	if (!i)
		return 0;
	mr_xsk_ring_release(ring, i);
	q->s->fill_out -= i;
	d->dev.frames->nready -= i;
	MR_COUNT_N(ctr, DEV_RX_CHUNKS, i);
	MR_COUNT_N(ctr, DEV_RX_PACKETS, packets);
	return packets;
}

unsigned mr_afxdp_rx(struct mr_dev *dev, struct mr_frame_queue *out, unsigned budget, uint64_t now)
{
	struct mr_afxdp *d = to_afxdp(dev);
	unsigned packets = 0;
	struct mr_fill_seen seen = { .peers = dev->peers };

	for (unsigned i = 0; i < d->s->cfg.nqueues && packets < budget; i++)
		packets += rx_queue(d, (d->s->turn + i) % d->s->cfg.nqueues, out, budget - packets,
				    &seen);
	mr_fill_depth_look(&d->s->depth, &seen, now);
	if (++d->s->turn >= d->s->cfg.nqueues)
		d->s->turn = 0;
	return packets;
}
