// SPDX-License-Identifier: BSD-2-Clause
/*
 * port.c - between the interface's transmit queue and the device.
 * Owns        the order: a packet is shaped, captured and given to the device, once each.
 * Called by   the engine, twice per round.
 */
#include <errno.h>
#include "base/compiler.h"
#include "base/time.h"
#include "dev/port.h"

/* A busy device is tried again after this time, then after twice that, and so on. The first is about the time of 64
 * packets on a 10 Gbit/s link; the last costs an engine nothing. */
#define BACKOFF_MIN_NS (50 * MR_NS_PER_US)
#define BACKOFF_MAX_NS (10 * MR_NS_PER_MS)

void mr_port_init(struct mr_port *port, struct mr_port_state *state, struct mr_dev *dev,
		  struct mr_netif *nif, uint64_t rate_bps, struct mr_pcapng *cap, uint64_t now)
{
	*port = (struct mr_port){ .dev = dev, .nif = nif, .cap = cap, .s = state };
	*state = (struct mr_port_state){ 0 };
	mr_shaper_init(&port->s->shaper, rate_bps, 0, now);
}

unsigned mr_port_rx(struct mr_port *port, struct mr_frame_queue *q, unsigned budget, uint64_t now)
{
	port->dev->ops->reap(port->dev);
	return port->dev->ops->rx(port->dev, q, budget, now);
}

/* Does the shaper permit the queue's first packet now? It is accounted for only once, however often the ring is
 * full. */
static bool shaper_passes(struct mr_port *port, const struct mr_frame *f, uint64_t now)
{
	uint64_t at;

	if (port->s->head_paid)
		return true;
	at = mr_shaper_take(&port->s->shaper, f->pkt_len, now);
	port->s->shaped_until = at;
	if (!at) {
		port->s->head_paid = true;
		return true;
	}
	if (!port->s->head_waited)
		MR_COUNT(port->dev->ctr, DEV_SHAPED);
	port->s->head_waited = true;
	return false;
}

/* Give the queue's first packet to the device. 0, or -EAGAIN: it stays in the queue. */
static int send_head(struct mr_port *port, struct mr_frame *f, uint64_t now)
{
	struct mr_frame_pool *frames = port->dev->frames;
	int ret;

	/* Capture before tx(), because the device may be done with the bytes when it returns; and hold the frame,
	 * which leaves the queue after that. */
	if (port->cap)
		mr_pcapng_packet(port->cap, f, MR_PCAPNG_OUT, now);
	mr_frame_hold(f);
	ret = port->dev->ops->tx(port->dev, f, now);
	if (ret != -EAGAIN) {
		mr_netif_txq_pop(port->nif);
		port->s->head_paid = false;
		port->s->head_waited = false;
		if (port->cap)
			mr_pcapng_verdict(port->cap, ret ? MR_DROP_TX_DEVICE : MR_DROP_NONE);
	}
	mr_frame_put(frames, f);
	return ret == -EAGAIN ? ret : 0;
}

/* Move packets from the queue to the ring. *moved: at least one left the queue. -EAGAIN: the ring is full. */
static int move_packets(struct mr_port *port, uint64_t now, bool *moved)
{
	struct mr_frame *f;

	*moved = false;
	while ((f = mr_netif_txq_peek(port->nif)) && shaper_passes(port, f, now)) {
		int ret = send_head(port, f, now);

		if (ret)
			return ret;
		*moved = true;
	}
	return 0;
}

static void back_off(struct mr_port *port, bool moved, uint64_t now)
{
	if (moved || !port->s->backoff_ns)
		port->s->backoff_ns = BACKOFF_MIN_NS;
	else if (now >= port->s->retry_at) /* an early call is no failed try */
		port->s->backoff_ns = mr_min(2 * port->s->backoff_ns, (uint64_t)BACKOFF_MAX_NS);
	else
		return;
	port->s->retry_at = now + port->s->backoff_ns;
}

int mr_port_tx(struct mr_port *port, uint64_t now)
{
	const struct mr_dev_ops *ops = port->dev->ops;
	bool moved, again, must, first = true, any = false;
	int full, kicked = 0;

	/* Repeat as long as the doorbell makes room in a full ring. The queue becomes shorter each time, except the
	 * first time, if the ring was full before. */
	do {
		full = move_packets(port, now, &moved);
		again = full && (moved || first);
		first = false;
		any |= moved;
		port->owed |= moved;
		must = full || port->s->kick_pending;
		if (must || (port->owed && !port->leaves)) {
			port->owed = false;
			kicked = ops->kick(port->dev);
			port->s->kick_pending = kicked == -EAGAIN;
		}
		/* Reap now, and not at the next receive, so that freed frames go to the FILL rings before the
		 * application can take them for sending. */
		ops->reap(port->dev);
	} while (again && !kicked);

	if (kicked == -ENETDOWN)
		return -ENETDOWN;
	if (full || kicked) {
		back_off(port, any, now);
	} else {
		port->s->retry_at = 0;
		port->s->backoff_ns = 0;
	}
	return 0;
}

bool mr_port_take_owed(struct mr_port *port)
{
	bool owed = port->owed;

	port->owed = false;
	if (owed)
		MR_COUNT(port->dev->ctr, DEV_TX_DOORBELLS);
	return owed;
}

int mr_port_ring(const struct mr_port *port)
{
	return port->dev->ops->ring(port->dev);
}

void mr_port_missed(struct mr_port *port, int err, uint64_t now)
{
	if (err == -EBUSY)
		port->dev->ctr->drop[MR_DROP_TX_DEVICE]++;
	port->s->kick_pending = true;
	port->s->retry_at = now;
}

uint64_t mr_port_next(const struct mr_port *port, uint64_t now)
{
	uint64_t at = MR_TIME_NEVER;

	if (port->s->shaped_until)
		at = port->s->shaped_until;
	if (port->s->retry_at)
		at = mr_min(at, port->s->retry_at);
	return at == MR_TIME_NEVER ? at : mr_max(at, now);
}
