/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - where the stack meets the device: transmit queue -> shaper -> capture tap -> device
 * ring, and device ring -> capture tap -> stack. A port is process-local, like the device; its state
 * is the engine's.
 */
#ifndef MR_DEV_PORT_H
#define MR_DEV_PORT_H

#include "dev/dev.h"
#include "dev/netif.h"
#include "dev/pcapng.h"
#include "dev/shaper.h"

/* Of the engine, in the arena. */
struct mr_port_state {
	struct mr_shaper shaper;
	uint64_t shaped_until; /* ns; 0: the shaper holds nothing back */
	uint64_t retry_at;     /* ns; 0: the device is not busy */
	uint64_t backoff_ns;   /* doubles from try to try, until the device moves on */
	bool kick_pending;     /* doorbell said -EAGAIN: ring it again */
	bool head_paid;	       /* the shaper has let the queue's first packet through */
	bool head_waited;      /* it was counted as shaped */
};

struct mr_port {
	struct mr_dev *dev;
	struct mr_netif *nif;
	struct mr_pcapng *cap; /* NULL: no capture */
	struct mr_port_state *s;
};

/* Does not take over dev or cap: the caller closes them after the port is out of use. *state begins anew. */
void mr_port_init(struct mr_port *port, struct mr_port_state *state, struct mr_dev *dev,
		  struct mr_netif *nif, uint64_t rate_bps, struct mr_pcapng *cap, uint64_t now);

/* Reap, then receive up to budget packets into q. Returns how many. The caller takes them one by
 * one: mr_port_rx_begin(), the stack's input, mr_port_rx_verdict(). */
unsigned mr_port_rx(struct mr_port *port, struct mr_frame_queue *q, unsigned budget, uint64_t now);
static inline void mr_port_rx_begin(struct mr_port *port, const struct mr_frame *f, uint64_t now)
{
	if (port->cap)
		mr_pcapng_packet(port->cap, f, MR_PCAPNG_IN, now);
}
static inline void mr_port_rx_verdict(struct mr_port *port, enum mr_drop reason)
{
	if (port->cap)
		mr_pcapng_verdict(port->cap, reason);
}

/* Move what is queued to the device as far as shaper and ring allow, ring the doorbell once (again
 * only for what found the ring full before), reap. 0, or -ENETDOWN: the device is gone for good. */
int mr_port_tx(struct mr_port *port, uint64_t now);

/* When mr_port_tx() should be called again although nothing new was queued: shaper or a busy ring.
 * MR_TIME_NEVER when there is no need. */
uint64_t mr_port_next(const struct mr_port *port, uint64_t now);

#endif
