// SPDX-License-Identifier: BSD-2-Clause
/*
 * afxdp.c - open and close the AF_XDP device, and report on it.
 * Owns        struct mr_afxdp and its sockets.
 * Authority   Documentation/networking/af_xdp.rst, in particular XDP_SHARED_UMEM.
 * Called by   the engine; traffic goes through the operations (dev.h).
 * Not here    one socket (xsk.c), receiving (afxdp_rx.c), sending (afxdp_tx.c), link state
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

#define BUSY_TRIES  100 /* of 10 ms each */
#define RING_MIN    64u
#define RING_MAX    32768u
#define HEADER_ROOM 256u /* XDP_PACKET_HEADROOM, lost at the front of every received chunk */
#define L2_BYTES    22u	 /* Ethernet and two VLAN tags, beyond the MTU */
#define MAX_QUEUES  1024u

static void afxdp_reap(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	for (unsigned i = 0; i < d->s->ntx; i++)
		mr_afxdp_complete(d, &d->q[i]);
	mr_afxdp_refill(d);
}

/* Descriptors that wait for a doorbell do not count: with the link down they may wait for long. */
static bool afxdp_rx_ready(const struct mr_dev *dev)
{
	const struct mr_afxdp *d = to_afxdp(dev);

	for (unsigned i = 0; i < d->s->cfg.nqueues; i++)
		if (mr_xsk_ring_has_entries(&d->q[i].xsk.ring[MR_XSK_RX]) ||
		    (i < d->s->ntx &&
		     mr_xsk_ring_has_entries(&d->q[i].xsk.ring[MR_XSK_COMPLETION])))
			return true;
	return false;
}

/* The rings, then the netlink socket: a poll() on a ring is not woken when the interface dies. */
static unsigned afxdp_fds(const struct mr_dev *dev, int *fds, unsigned max)
{
	const struct mr_afxdp *d = to_afxdp(dev);
	unsigned n = 0;

	for (unsigned i = 0; i < d->s->cfg.nqueues && n < max; i++)
		fds[n++] = d->q[i].xsk.fd;
	if (n < max && d->nl)
		fds[n++] = mr_afxdp_link_fd(d);
	return n;
}

/* Sums over the queues. A kernel before 5.9 fills only the first three fields. */
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

static void afxdp_counters(struct mr_dev *dev,
			   void (*each)(void *user, const char *name, const char *text,
					uint64_t value),
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

/* With the sockets closed the kernel holds no chunk any more, whatever ring it was in. */
static void reclaim_frames(struct mr_afxdp *d)
{
	struct mr_frame_pool *frames = d->dev.frames;

	for (unsigned i = 0; i < d->s->cfg.nqueues; i++) {
		if (d->s->q[i].part)
			mr_frame_put_chain(frames, d->s->q[i].part);
	}
	for (uint32_t i = 0; i < frames->nframes; i++) {
		struct mr_frame *f = &frames->frames[i];

		if (!(f->flags & MR_FRAME_IN_DEV))
			continue;
		f->flags &= (uint8_t)~MR_FRAME_IN_DEV;
		if (f->tx_refs)
			mr_netif_tx_done(frames, f);
		else
			mr_frame_put(frames, f);
	}
}

/* What this process has: mappings and descriptors. */
static void free_process(struct mr_afxdp *d)
{
	for (unsigned i = 0; i < d->s->cfg.nqueues; i++)
		mr_xsk_close(&d->q[i].xsk);
	mr_afxdp_gso_close(d);
	mr_afxdp_link_close(d);
	free(d);
}

static void afxdp_leave(struct mr_dev *dev)
{
	free_process(to_afxdp(dev));
}

static void afxdp_adopt(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	for (unsigned i = 0; i < d->s->cfg.nqueues; i++)
		for (unsigned k = 0; k < MR_XSK_RINGS; k++)
			if (d->q[i].xsk.ring[k].size)
				mr_xsk_ring_adopt(&d->q[i].xsk.ring[k]);
}

static void afxdp_close(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	for (unsigned i = 0; i < d->s->cfg.nqueues; i++)
		mr_xsk_close(&d->q[i].xsk);
	reclaim_frames(d);
	free_process(d);
}

static const struct mr_dev_ops AFXDP_OPS = {
	.rx = mr_afxdp_rx,
	.tx = mr_afxdp_tx,
	.kick = mr_afxdp_kick,
	.reap = afxdp_reap,
	.rx_ready = afxdp_rx_ready,
	.fds = afxdp_fds,
	.service = mr_afxdp_service,
	.counters = afxdp_counters,
	.adopt = afxdp_adopt,
	.salvage = mr_afxdp_salvage,
	.leave = afxdp_leave,
	.close = afxdp_close,
};

static bool ring_size_ok(uint32_t n)
{
	return n >= RING_MIN && n <= RING_MAX && !(n & (n - 1));
}

static int check_cfg(const struct mr_afxdp_cfg *cfg, struct mr_error *err)
{
	if (!cfg->nqueues || cfg->nqueues > MAX_QUEUES)
		return mr_error_set(err, -EINVAL, "%s has %u receive queues: 1 to %u can be served",
				    cfg->ifname, cfg->nqueues, MAX_QUEUES);
	if (!ring_size_ok(cfg->rx_ring) || !ring_size_ok(cfg->tx_ring))
		return mr_error_set(
			err, -EINVAL,
			"ring sizes must be powers of two from %u to %u, not %u (RX) and %u (TX)",
			RING_MIN, RING_MAX, cfg->rx_ring, cfg->tx_ring);
	return 0;
}

static int open_queues(struct mr_afxdp *d, const struct mr_umem *umem, struct mr_error *err)
{
	int patience = BUSY_TRIES;
	struct mr_xsk_cfg xc = {
		.ifname = d->s->ifname,
		.ifindex = d->s->cfg.ifindex,
		.size = { [MR_XSK_FILL] = d->s->cfg.rx_ring,
			  [MR_XSK_COMPLETION] = d->s->cfg.tx_ring,
			  [MR_XSK_RX] = d->s->cfg.rx_ring },
		.zero_copy = d->s->cfg.zero_copy,
		.umem = umem->base,
		.umem_size = (size_t)d->dev.frames->nframes * d->dev.frames->chunk_size,
		.chunk_size = d->dev.frames->chunk_size,
		.shared_fd = -1,
		.patience = &patience,
	};

	d->s->ntx = mr_min(mr_afxdp_link_tx_queues(d), d->s->cfg.nqueues);
	for (unsigned i = 0; i < d->s->cfg.nqueues; i++) {
		int ret;

		xc.queue = i;
		/* bind() takes a TX ring beyond the transmit queues as well (seen on Linux 6.18):
		 * it looks at the larger of both numbers. Nothing must be sent there. */
		xc.size[MR_XSK_TX] = i < d->s->ntx ? d->s->cfg.tx_ring : 0;
		ret = mr_xsk_open(&d->q[i].xsk, &xc, err);
		if (ret)
			return ret;
		xc.shared_fd = d->q[0].xsk.fd;
	}
	d->s->multibuf = d->q[0].xsk.multibuf;
	d->s->budget = d->q[0].xsk.budget;
	return 0;
}

/* Without multi-buffer the kernel would drop what does not fit one chunk, and only count it. */
static int check_mtu(struct mr_afxdp *d, struct mr_error *err)
{
	uint32_t room = d->dev.frames->chunk_size - HEADER_ROOM - L2_BYTES;

	d->s->link.mtu_max = d->s->multibuf ? UINT16_MAX : room;
	if (d->s->link.mtu <= d->s->link.mtu_max || d->s->multibuf)
		return 0;
	return mr_error_set(
		err, -EMSGSIZE,
		"the MTU of %s is %u, but chunks of %u bytes take %u and %s has no multi-buffer "
		"AF_XDP (Linux 6.6): ip link set %s mtu %u",
		d->s->ifname, d->s->link.mtu, d->dev.frames->chunk_size, room,
		d->s->cfg.zero_copy ? "the driver" : "the kernel", d->s->ifname, room);
}

static int open_gso(struct mr_afxdp *d, struct mr_error *err)
{
	int ret;

	if (!d->s->cfg.gso)
		return 0;
	ret = mr_afxdp_gso_open(d);
	if (ret)
		return mr_error_set(
			err, ret,
			"cannot open a packet socket on %s for segmentation by the kernel: %s; "
			"it can do without (--tso off)",
			d->s->ifname, strerror(-ret));
	d->s->link.gso_bytes = UINT16_MAX;
	return 0;
}

/* This process's part, all of it closed. */
static struct mr_afxdp *afxdp_new(struct mr_afxdp_state *s, struct mr_frame_pool *frames,
				  struct mr_counters *ctr)
{
	struct mr_afxdp *d = calloc(1, sizeof(*d) + s->cfg.nqueues * sizeof(d->q[0]));

	if (!d)
		return NULL;
	d->dev.ops = &AFXDP_OPS;
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

int mr_afxdp_open(struct mr_dev **out, const struct mr_afxdp_cfg *cfg, struct mr_arena *arena,
		  const struct mr_umem *umem, struct mr_frame_pool *frames, struct mr_counters *ctr,
		  struct mr_error *err)
{
	struct mr_afxdp_state *s;
	struct mr_afxdp *d;
	int ret;

	*out = NULL;
	assert(frames->umem == umem->base);
	ret = check_cfg(cfg, err);
	if (ret)
		return ret;
	s = mr_arena_alloc(arena, sizeof(*s) + cfg->nqueues * sizeof(s->q[0]), 64);
	if (!s)
		return mr_error_set(err, -ENOMEM, "out of memory");
	s->cfg = *cfg;
	s->huge = umem->huge;
	snprintf(s->ifname, sizeof(s->ifname), "%s", cfg->ifname);
	s->cfg.ifname = s->ifname;
	d = afxdp_new(s, frames, ctr);
	if (!d)
		return mr_error_set(err, -ENOMEM, "out of memory");

	ret = mr_afxdp_link_open(d, err);
	ret = ret ?: open_queues(d, umem, err);
	ret = ret ?: check_mtu(d, err);
	ret = ret ?: open_gso(d, err);
	if (ret) {
		afxdp_close(&d->dev);
		return ret;
	}
	mr_afxdp_rx_init(d);
	*out = &d->dev;
	return 0;
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
	struct mr_afxdp *d = afxdp_new(state, frames, ctr);
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
		free_process(d);
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

	/* A zero-copy driver has a limit of its own that only netdev netlink tells: not asked. */
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
		 d->s->cfg.gso ? "TSO" : "no TSO");
	return buf;
}
