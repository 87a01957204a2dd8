// SPDX-License-Identifier: BSD-2-Clause
/*
 * afxdp_open.c - open and close the AF_XDP device.
 * Owns        the sockets' sizes and numbers, the link's netlink socket.
 * Authority   Documentation/networking/af_xdp.rst, in particular XDP_SHARED_UMEM.
 * Called by   the engine's opener. Not in programs under `millrace run`, which join what is open (afxdp.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "dev/afxdp_int.h"

/* Tries of 10 ms each: longer than a keeper stays to send what its last process has left (share_keep.c), and the
 * kernel's cleanup may be delayed, too. */
#define BUSY_TRIES 600
#define RING_MIN   64u
#define RING_MAX   32768u
#define L2_BYTES   22u /* Ethernet and two VLAN tags, beyond the MTU */
#define MAX_QUEUES 1024u

/* The sockets, then the netlink socket, because a poll() on a socket is not woken when the interface goes away. */
static unsigned opener_fds(const struct mr_dev *dev, int *fds, unsigned max)
{
	unsigned n = mr_afxdp_fds(dev, fds, max);

	if (n < max)
		fds[n++] = mr_afxdp_link_fd(to_afxdp(dev));
	return n;
}

static void opener_leave(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	mr_afxdp_link_close(d);
	mr_afxdp_free(d);
}

/* The sockets are closed, so the kernel holds no chunk any more. */
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

static void afxdp_close(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	for (unsigned i = 0; i < d->s->cfg.nqueues; i++)
		mr_xsk_close(&d->q[i].xsk);
	reclaim_frames(d);
	mr_afxdp_link_close(d);
	mr_afxdp_free(d);
}

static const struct mr_dev_ops OPENER_OPS = {
	.rx = mr_afxdp_rx,
	.tx = mr_afxdp_tx,
	.kick = mr_afxdp_kick,
	.ring = mr_afxdp_ring,
	.reap = mr_afxdp_reap,
	.rx_ready = mr_afxdp_rx_ready,
	.rest = mr_afxdp_rest,
	.fds = opener_fds,
	.service = mr_afxdp_service,
	.counters = mr_afxdp_counters,
	.adopt = mr_afxdp_adopt,
	.salvage = mr_afxdp_salvage,
	.leave = opener_leave,
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
		/* bind() accepts a TX ring for a queue that only receives (seen on Linux 6.18: it checks against the
		 * larger of both numbers). Nothing must be sent there. */
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

/* Without multi-buffer the kernel drops what does not fit into one chunk, and only counts it. */
static int check_mtu(struct mr_afxdp *d, struct mr_error *err)
{
	uint32_t room = d->dev.frames->chunk_size - MR_XDP_HEADROOM - L2_BYTES;

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
	mr_afxdp_link_gso(d);
	return 0;
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
	s->link.master = cfg->master;
	d = mr_afxdp_new(s, &OPENER_OPS, frames, ctr);
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
