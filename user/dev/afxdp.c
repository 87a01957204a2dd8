// SPDX-License-Identifier: BSD-2-Clause
/*
 * afxdp.c - the AF_XDP device as every process has it: join it, leave it, report on it.
 * Owns        struct mr_afxdp and its sockets.
 * Authority   Documentation/networking/af_xdp.rst, in particular XDP_SHARED_UMEM.
 * Called by   the engine; traffic goes through the operations (dev.h).
 * Not here    opening (afxdp_open.c), one socket (xsk.c), receiving (afxdp_rx.c), sending (afxdp_tx.c), link state
 *	       (afxdp_link.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/error.h"
#include "dev/afxdp_int.h"

void mr_afxdp_reap(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	for (unsigned i = 0; i < d->s->ntx; i++)
		mr_afxdp_complete(d, &d->q[i]);
	mr_afxdp_refill(d);
}

/* Prefetch descriptor, frame and bytes of the next packet at the begin of the round, because another processor has
 * just written them. Their addresses are known before the descriptor is read, since the kernel uses FILL entries in
 * order; a wrong guess is harmless. */
static void expect_packet(const struct mr_afxdp *d, const struct mr_afxdp_queue *q)
{
	const struct mr_xsk_ring *rx = &q->xsk.ring[MR_XSK_RX], *fill = &q->xsk.ring[MR_XSK_FILL];
	uint64_t chunk = *mr_xsk_ring_addr(fill, fill->cached_prod - q->s->fill_out);
	const uint8_t *f = (const void *)mr_frame_at(d->dev.frames, chunk), *data;

	__builtin_prefetch(mr_xsk_ring_desc(rx, rx->cached_cons));
	if (!f)
		return;
	data = d->dev.frames->umem + chunk + MR_XDP_HEADROOM;
	__builtin_prefetch(data - sizeof(struct mr_rx_meta));
	__builtin_prefetch(data);
	__builtin_prefetch(data + 64);
	__builtin_prefetch(data + 128);
	__builtin_prefetch(f, 1);
	__builtin_prefetch(f + 64, 1);
}

/* Descriptors that wait for a doorbell do not count: while the link is down, they may wait for long. */
bool mr_afxdp_rx_ready(const struct mr_dev *dev)
{
	const struct mr_afxdp *d = to_afxdp(dev);

	for (unsigned i = 0; i < d->s->cfg.nqueues; i++) {
		if (mr_xsk_ring_has_entries(&d->q[i].xsk.ring[MR_XSK_RX])) {
			expect_packet(d, &d->q[i]);
			return true;
		}
		if (i < d->s->ntx && mr_xsk_ring_has_entries(&d->q[i].xsk.ring[MR_XSK_COMPLETION]))
			return true;
	}
	return false;
}

unsigned mr_afxdp_fds(const struct mr_dev *dev, int *fds, unsigned max)
{
	const struct mr_afxdp *d = to_afxdp(dev);
	unsigned n = 0;

	for (unsigned i = 0; i < d->s->cfg.nqueues && n < max; i++)
		fds[n++] = d->q[i].xsk.fd;
	return n;
}

/* Sum over the queues. A kernel before 5.9 fills only the first three fields. */
static void read_statistics(struct mr_afxdp *d)
{
	struct xdp_statistics sum = { 0 }, one;
	socklen_t len;

	for (unsigned i = 0; i < d->s->cfg.nqueues; i++) {
		memset(&one, 0, sizeof(one));
		len = sizeof(one);
		if (getsockopt(d->q[i].xsk.fd, SOL_XDP, XDP_STATISTICS, &one, &len))
			return;
		sum.rx_dropped += one.rx_dropped;
		sum.rx_invalid_descs += one.rx_invalid_descs;
		sum.tx_invalid_descs += one.tx_invalid_descs;
		sum.rx_ring_full += one.rx_ring_full;
		sum.rx_fill_ring_empty_descs += one.rx_fill_ring_empty_descs;
		sum.tx_ring_empty_descs += one.tx_ring_empty_descs;
	}
	d->stats = sum;
}

void mr_afxdp_counters(struct mr_dev *dev,
		       void (*each)(void *user, const char *name, const char *text, uint64_t value),
		       void *user)
{
	struct mr_afxdp *d = to_afxdp(dev);
	const struct xdp_statistics *s = &d->stats;

	read_statistics(d);
	each(user, "dev.rx_dropped", "packets the kernel could not put into an RX ring",
	     s->rx_dropped);
	each(user, "dev.rx_ring_full", "of them: the RX ring was full", s->rx_ring_full);
	each(user, "dev.rx_fill_ring_empty", "times the kernel found a FILL ring empty",
	     s->rx_fill_ring_empty_descs);
	each(user, "dev.rx_invalid_descs", "FILL entries the kernel found invalid",
	     s->rx_invalid_descs);
	each(user, "dev.tx_invalid_descs", "TX descriptors the kernel found invalid",
	     s->tx_invalid_descs);
	each(user, "dev.tx_ring_empty", "times the kernel found a TX ring empty",
	     s->tx_ring_empty_descs);
}

void mr_afxdp_free(struct mr_afxdp *d)
{
	for (unsigned i = 0; i < d->s->cfg.nqueues; i++)
		mr_xsk_close(&d->q[i].xsk);
	mr_afxdp_gso_close(d);
	free(d);
}

static void afxdp_leave(struct mr_dev *dev)
{
	mr_afxdp_free(to_afxdp(dev));
}

void mr_afxdp_adopt(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	for (unsigned i = 0; i < d->s->cfg.nqueues; i++)
		for (unsigned k = 0; k < MR_XSK_RINGS; k++)
			if (d->q[i].xsk.ring[k].size)
				mr_xsk_ring_adopt(&d->q[i].xsk.ring[k]);
}

int mr_afxdp_service_rings(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	if (d->s->gone) {
		d->s->link.up = false;
		return -ENETDOWN;
	}
	/* What was queued while the interface was down waits for a doorbell. Another error of this doorbell is
	 * reported by the next one. */
	return mr_afxdp_kick(dev) == -ENETDOWN ? -ENETDOWN : 0;
}

/* In a process that has joined: it reads the link state that the opener has stored. */
static const struct mr_dev_ops JOINED_OPS = {
	.rx = mr_afxdp_rx,
	.tx = mr_afxdp_tx,
	.kick = mr_afxdp_kick,
	.ring = mr_afxdp_ring,
	.reap = mr_afxdp_reap,
	.rx_ready = mr_afxdp_rx_ready,
	.rest = mr_afxdp_rest,
	.fds = mr_afxdp_fds,
	.service = mr_afxdp_service_rings,
	.counters = mr_afxdp_counters,
	.adopt = mr_afxdp_adopt,
	.salvage = mr_afxdp_salvage,
	.leave = afxdp_leave,
	.close = afxdp_leave,
};

struct mr_afxdp *mr_afxdp_new(struct mr_afxdp_state *s, const struct mr_dev_ops *ops,
			      struct mr_frame_pool *frames, struct mr_counters *ctr)
{
	struct mr_afxdp *d = calloc(1, sizeof(*d) + s->cfg.nqueues * sizeof(d->q[0]));

	if (!d)
		return NULL;
	d->dev.ops = ops;
	d->dev.frames = frames;
	d->dev.ctr = ctr;
	d->s = s;
	d->gso_fd = -1;
	for (unsigned i = 0; i < s->cfg.nqueues; i++) {
		d->q[i].xsk.fd = -1;
		d->q[i].s = &s->q[i];
	}
	return d;
}

static void ring_sizes(const struct mr_afxdp_state *s, unsigned queue, uint32_t size[MR_XSK_RINGS])
{
	size[MR_XSK_FILL] = size[MR_XSK_RX] = s->cfg.rx_ring;
	size[MR_XSK_COMPLETION] = s->cfg.tx_ring;
	size[MR_XSK_TX] = queue < s->ntx ? s->cfg.tx_ring : 0;
}

int mr_afxdp_join(struct mr_dev **out, void *state, int *sockets, struct mr_frame_pool *frames,
		  struct mr_counters *ctr)
{
	struct mr_afxdp *d = mr_afxdp_new(state, &JOINED_OPS, frames, ctr);
	uint32_t size[MR_XSK_RINGS];
	int ret = 0;

	*out = NULL;
	if (!d)
		return -ENOMEM;
	for (unsigned i = 0; i < d->s->cfg.nqueues && !ret; i++) {
		ring_sizes(d->s, i, size);
		ret = mr_xsk_join(&d->q[i].xsk, sockets[i], size);
		sockets[i] = -1;
	}
	if (!ret && d->s->cfg.gso) {
		d->gso_fd = sockets[d->s->cfg.nqueues];
		sockets[d->s->cfg.nqueues] = -1;
	}
	if (ret) {
		mr_afxdp_free(d);
		return ret;
	}
	*out = &d->dev;
	return 0;
}

void *mr_afxdp_shared(const struct mr_dev *dev)
{
	return to_afxdp(dev)->s;
}

unsigned mr_afxdp_queues(const struct mr_dev *dev)
{
	return to_afxdp(dev)->s->cfg.nqueues;
}

unsigned mr_afxdp_sockets(const struct mr_dev *dev)
{
	return mr_afxdp_queues(dev) + to_afxdp(dev)->s->cfg.gso;
}

int mr_afxdp_fd(const struct mr_dev *dev, unsigned i)
{
	const struct mr_afxdp *d = to_afxdp(dev);

	assert(i < mr_afxdp_sockets(dev));
	return i < d->s->cfg.nqueues ? d->q[i].xsk.fd : d->gso_fd;
}

void mr_afxdp_link_state(const struct mr_dev *dev, struct mr_link_state *state)
{
	*state = to_afxdp(dev)->s->link;
}

uint16_t mr_afxdp_max_chunks(const struct mr_dev *dev)
{
	const struct mr_afxdp *d = to_afxdp(dev);

	/* A zero-copy driver may have a smaller limit, which only netdev netlink reports: it is not queried. */
	return d->s->multibuf && !d->s->cfg.zero_copy ? MR_FRAME_MAX_CHUNKS : 1;
}

char *mr_afxdp_describe(const struct mr_dev *dev, char *buf, size_t size)
{
	const struct mr_afxdp *d = to_afxdp(dev);

	snprintf(buf, size,
		 "%s: %s XDP, %s mode, %u receive and %u transmit queue%s, %s, %u chunks of %u "
		 "bytes in "
		 "%s pages, %s per doorbell, %s",
		 d->s->ifname, d->s->cfg.native ? "native" : "generic",
		 d->s->cfg.zero_copy ? "zero-copy" : "copy", d->s->cfg.nqueues, d->s->ntx,
		 d->s->ntx == 1 ? "" : "s",
		 d->s->multibuf ? "multi-buffer" : "no multi-buffer (Linux 6.6)",
		 d->dev.frames->nframes, d->dev.frames->chunk_size, d->s->huge ? "huge" : "normal",
		 d->s->cfg.zero_copy || d->s->budget ? "a whole ring" : "32 packets",
		 d->s->link.gso_bytes ? "TSO" : "no TSO");
	return buf;
}
