// SPDX-License-Identifier: BSD-2-Clause
/*
 * afxdp_tx.c - transmit: frames become TX descriptors, the doorbell is rung, completions release references.
 * Owns        the producer side of TX and the consumer side of COMPLETION; MR_FRAME_IN_DEV of frames there.
 * Authority   Documentation/networking/af_xdp.rst; __xsk_sendmsg() and __xsk_generic_xmit() in net/xdp/xsk.c for the
 *             meaning of each errno.
 * Called by   the engine's round, through dev.h.
 */
#include <errno.h>
#include <sys/socket.h>
#include "dev/afxdp_int.h"

/* How often one kick() rings a queue's doorbell, so that a slow device, or one that drops each frame, does not stop
 * the engine; and how often in a row without visible progress. */
#define DOORBELLS_MAX  64u
#define DOORBELLS_IDLE 2u

/* The packet is not sent: count it, and release it. */
static int refuse(struct mr_afxdp *d, struct mr_frame *f, enum mr_drop reason, int err)
{
	d->dev.ctr->drop[reason]++;
	mr_netif_tx_packet_done(d->dev.frames, f);
	return err;
}

/* An invalid descriptor is worse than a lost packet, because the kernel completes its invalid address. */
static bool chunk_ok(const struct mr_frame_pool *frames, const struct mr_frame *f)
{
	return f->len && f->data >= f->chunk && f->data + f->len <= f->chunk + frames->chunk_size;
}

uint32_t mr_afxdp_complete(struct mr_afxdp *d, struct mr_afxdp_queue *q)
{
	struct mr_frame_pool *frames = d->dev.frames;
	struct mr_xsk_ring *ring = &q->xsk.ring[MR_XSK_COMPLETION];
	uint32_t idx, n = mr_xsk_ring_peek(ring, ring->size, &idx);

	for (uint32_t i = 0; i < n; i++) {
		struct mr_frame *f = mr_frame_at(frames, *mr_xsk_ring_addr(ring, idx + i));

		if (mr_unlikely(!f || !(f->flags & MR_FRAME_IN_DEV) || !f->tx_refs)) {
			MR_COUNT(d->dev.ctr, DEV_COMPLETION_BAD);
			continue;
		}
		f->flags &= (uint8_t)~MR_FRAME_IN_DEV;
		mr_netif_tx_done(frames, f);
	}
	if (n)
		mr_xsk_ring_release(ring, n);
	return n;
}

/* One doorbell of one queue. 0: nothing more to do now; 1: ring again; negative: as kick(). */
static int ring_doorbell(struct mr_afxdp *d, struct mr_afxdp_queue *q, unsigned *idle)
{
	const struct mr_xsk_ring *ring = &q->xsk.ring[MR_XSK_TX];
	struct mr_counters *ctr = d->dev.ctr;
	uint32_t untaken = mr_xsk_ring_untaken(ring);
	bool progress;
	int err;

	MR_COUNT(ctr, DEV_TX_DOORBELLS);
	err = sendto(q->xsk.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ? errno : 0;
	switch (err) {
	case 0:
		return 0;
	case EAGAIN: /* budget used up, COMPLETION ring full, or the device's queue full */
		MR_COUNT(ctr, DEV_TX_AGAIN);
		break;
	case EBUSY: /* the device has dropped the first packet, or (zero copy) is busy */
		break;
	case ENETDOWN: /* administratively down: nothing was taken; service() rings when it is up */
		MR_COUNT(ctr, DEV_TX_DOWN);
		return 0;
	case ENOBUFS: /* no memory for an skb: try later */
	case ENOMEM:
	case EINTR:
		MR_COUNT(ctr, DEV_TX_NOBUFS);
		return -EAGAIN;
	default: /* ENXIO: unbound, the device is gone; EINVAL: the socket is of no use any more */
		d->s->gone = true;
		return -ENETDOWN;
	}
	/* Progress: a dropped packet is completed, too. Older kernels publish their ring index late, so either sign
	 * is sufficient. */
	progress = mr_afxdp_complete(d, q) || mr_xsk_ring_untaken(ring) != untaken;
	if (progress && err == EBUSY)
		ctr->drop[MR_DROP_TX_DEVICE]++;
	*idle = progress ? 0 : *idle + 1;
	return *idle < DOORBELLS_IDLE ? 1 : -EAGAIN;
}

static int kick_queue(struct mr_afxdp *d, struct mr_afxdp_queue *q)
{
	const struct mr_xsk_ring *ring = &q->xsk.ring[MR_XSK_TX];
	unsigned idle = 0;
	int ret;

	for (unsigned n = 0; n < DOORBELLS_MAX; n++) {
		if (!mr_xsk_ring_untaken(ring) || !mr_xsk_ring_needs_wakeup(ring))
			return 0;
		ret = ring_doorbell(d, q, &idle);
		if (ret <= 0)
			return ret;
	}
	return -EAGAIN;
}

/* Send a packet that the kernel has to cut. What is in the TX ring was queued earlier, and is sent first. */
static int tx_gso(struct mr_afxdp *d, struct mr_afxdp_queue *q, struct mr_frame *f)
{
	uint32_t bytes = f->pkt_len;
	int err = 0;

	if (d->gso_fd < 0)
		return refuse(d, f, MR_DROP_TX_INVALID, -EOPNOTSUPP);
	if (mr_xsk_ring_untaken(&q->xsk.ring[MR_XSK_TX]))
		err = kick_queue(d, q);
	if (err)
		return err == -EAGAIN ? err : refuse(d, f, MR_DROP_TX_DEVICE, err);
	err = mr_afxdp_gso_tx(d, f);
	switch (err) {
	case 0:
		MR_COUNT(d->dev.ctr, DEV_TX_GSO);
		MR_COUNT_N(d->dev.ctr, DEV_TX_BYTES, bytes);
		return 0;
	case -EAGAIN: /* the socket's buffer is full, or memory is short: try later */
	case -ENOMEM:
	case -EINTR:
		return -EAGAIN;
	case -EINVAL: /* the kernel refuses such packets: make no more of them */
	case -EMSGSIZE:
	case -EOPNOTSUPP:
		d->s->link.gso_bytes = 0;
		return refuse(d, f, MR_DROP_TX_INVALID, err);
	default: /* ENETDOWN; ENOBUFS: the device dropped it */
		return refuse(d, f, MR_DROP_TX_DEVICE, err);
	}
}

int mr_afxdp_tx(struct mr_dev *dev, struct mr_frame *f, uint64_t now)
{
	struct mr_afxdp *d = to_afxdp(dev);
	struct mr_afxdp_queue *q = &d->q[f->queue % d->s->ntx];
	struct mr_xsk_ring *ring = &q->xsk.ring[MR_XSK_TX];
	struct mr_afxdp_unpublished *entries = &d->s->sending;
	struct mr_frame *chunk;
	uint32_t n = 0, idx;

	(void)now;
	if (mr_unlikely(d->s->gone))
		return refuse(d, f, MR_DROP_TX_DEVICE, -ENETDOWN);
	if (f->gso_size)
		return tx_gso(d, q, f);
	mr_frame_for_each_chunk (chunk, f) {
		if (mr_unlikely(!chunk_ok(dev->frames, chunk)))
			return refuse(d, f, MR_DROP_TX_INVALID, -EINVAL);
		n++;
	}
	if (mr_unlikely(n > mr_afxdp_max_chunks(dev)))
		return refuse(d, f, MR_DROP_TX_DEVICE, -EMSGSIZE);
	if (!mr_xsk_ring_reserve(ring, n, &idx)) {
		MR_COUNT(dev->ctr, DEV_TX_RING_FULL);
		return -EAGAIN;
	}
	*entries = (struct mr_afxdp_unpublished){ .queue = f->queue % d->s->ntx,
						  .first = idx,
						  .tx = f };
	mr_in_order();
	entries->n = n;
	mr_in_order();
	mr_frame_for_each_chunk (chunk, f) {
		/* A frame that the device still holds must be sent as a copy (frame.h), because its second completion
		 * could not be told from an invalid one. */
		assert(chunk->tx_refs && !(chunk->flags & MR_FRAME_IN_DEV));
		chunk->flags |= MR_FRAME_IN_DEV;
		*mr_xsk_ring_desc(ring, idx++) = (struct xdp_desc){
			.addr = mr_frame_umem_off(dev->frames, chunk),
			.len = chunk->len,
			.options = chunk->frag ? XDP_PKT_CONTD : 0,
		};
	}
	mr_xsk_ring_submit(ring);
	mr_in_order();
	entries->n = 0;
	MR_COUNT(dev->ctr, DEV_TX_PACKETS);
	MR_COUNT_N(dev->ctr, DEV_TX_BYTES, f->pkt_len);
	return 0;
}

int mr_afxdp_kick(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);
	int ret = 0;

	for (unsigned i = 0; i < d->s->ntx && !d->s->gone; i++) {
		int one = kick_queue(d, &d->q[i]);

		ret = one ? one : ret;
	}
	return d->s->gone ? -ENETDOWN : ret;
}

/* Reads only the indices in the ring itself, which are valid in every process. */
int mr_afxdp_ring(const struct mr_dev *dev)
{
	const struct mr_afxdp *d = to_afxdp(dev);
	int err = 0;

	for (unsigned i = 0; i < d->s->ntx; i++) {
		const struct mr_xsk *xsk = &d->q[i].xsk;
		const struct mr_xsk_ring *ring = &xsk->ring[MR_XSK_TX];

		if (mr_xsk_ring_untaken(ring) && mr_xsk_ring_needs_wakeup(ring) &&
		    sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0)
			err = -errno;
	}
	return err;
}
