// SPDX-License-Identifier: BSD-2-Clause
/*
 * afxdp_salvage.c - repairs MR_FRAME_IN_DEV after a process died: which chunks does the kernel hold?
 * Owns        MR_FRAME_IN_DEV of all frames, during the repair.
 * Called by   the shared engine (engine/share_salvage.c), after the ring indices were read anew.
 *
 * The flag is set before a descriptor is published, and cleared after it has come back. So it can be wrong in two
 * ways: it is set for entries that were never published (struct mr_afxdp_unpublished says which), or it is already
 * cleared for entries of a ring that were read but not released. RX and COMPLETION rings are emptied here, so that no
 * entry is read twice.
 */
#include "dev/afxdp_int.h"

/* Written but not published: ours. */
static void drop_filling(struct mr_afxdp *d)
{
	const struct mr_afxdp_unpublished *entries = &d->s->filling;
	const struct mr_xsk_ring *ring = &d->q[entries->queue].xsk.ring[MR_XSK_FILL];

	if (!entries->n || *ring->producer != entries->first)
		return;
	for (uint32_t i = 0; i < entries->done; i++) {
		struct mr_frame *f =
			mr_frame_at(d->dev.frames, *mr_xsk_ring_addr(ring, entries->first + i));

		if (f)
			f->flags &= (uint8_t)~MR_FRAME_IN_DEV;
	}
}

static void drop_sending(struct mr_afxdp *d)
{
	const struct mr_afxdp_unpublished *entries = &d->s->sending;
	struct mr_frame *f;

	if (!entries->n || *d->q[entries->queue].xsk.ring[MR_XSK_TX].producer != entries->first)
		return;
	mr_frame_for_each_chunk (f, entries->tx)
		f->flags &= (uint8_t)~MR_FRAME_IN_DEV;
}

/* An entry that has come back in a ring is no longer the kernel's, whether it was read or not. */
static void empty_ring(struct mr_afxdp *d, struct mr_xsk_ring *ring, bool addresses)
{
	uint32_t idx, n = mr_xsk_ring_peek(ring, ring->size, &idx);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = addresses ? *mr_xsk_ring_addr(ring, idx + i) :
					  mr_xsk_ring_desc(ring, idx + i)->addr;
		struct mr_frame *f = mr_frame_at(d->dev.frames, at);

		if (f && !f->tx_refs == !addresses)
			f->flags &= (uint8_t)~MR_FRAME_IN_DEV;
	}
	if (n)
		mr_xsk_ring_release(ring, n);
}

static void count_filled(struct mr_afxdp *d)
{
	struct mr_frame_pool *frames = d->dev.frames;

	frames->nready = 0;
	for (unsigned i = 0; i < d->s->cfg.nqueues; i++)
		d->s->q[i].fill_out = 0;
	for (uint32_t i = 0; i < frames->nframes; i++) {
		const struct mr_frame *f = &frames->frames[i];

		if ((f->flags & MR_FRAME_IN_DEV) && !f->tx_refs) {
			d->s->q[f->queue].fill_out++;
			frames->nready++;
		}
	}
}

void mr_afxdp_salvage(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	drop_filling(d);
	drop_sending(d);
	d->s->filling.n = d->s->sending.n = 0;
	for (unsigned i = 0; i < d->s->cfg.nqueues; i++) {
		empty_ring(d, &d->q[i].xsk.ring[MR_XSK_RX], false);
		if (i < d->s->ntx)
			empty_ring(d, &d->q[i].xsk.ring[MR_XSK_COMPLETION], true);
		d->s->q[i].part = NULL;
	}
	count_filled(d);
}
