/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - the connection of the stack with the device. Transmit: queue of the netif -> shaper -> capture -> device.
 * Receive: device -> capture -> stack. A port belongs to a process, like the device; its state is in the arena.
 */
#ifndef MR_DEV_PORT_H
#define MR_DEV_PORT_H

#include "dev/dev.h"
#include "dev/netif.h"
#include "dev/pcapng.h"
#include "dev/shaper.h"

/* State of the port that all processes of the engine share. In the arena. */
struct mr_port_state {
	struct mr_shaper shaper;
	uint64_t shaped_until; /* ns: the shaper allows the next packet; 0: it holds nothing back */
	uint64_t retry_at;     /* ns: try the busy device again; 0: it is not busy */
	uint64_t backoff_ns; /* delay of the next retry; doubles until the device makes progress */
	bool kick_pending;   /* the doorbell returned -EAGAIN and has to be rung again */
	bool head_paid;	     /* the shaper has accounted for the first packet of the queue */
	bool head_waited;    /* the first packet of the queue was counted as shaped */
};

struct mr_port {
	struct mr_dev *dev;
	struct mr_netif *nif;
	struct mr_pcapng *cap; /* NULL: no capture */
	struct mr_port_state *s;
	/* Set around mr_port_tx() by a caller that calls mr_port_take_owed() next: if only the doorbell remains to be
	 * done, it is left to that caller. */
	bool leaves;
	bool owed; /* a doorbell was left; mr_port_tx() without `leaves` rings it */
};

/* Initialise *port and *state. The caller keeps ownership of dev and cap, and closes them when the port is no longer
 * in use. */
void mr_port_init(struct mr_port *port, struct mr_port_state *state, struct mr_dev *dev,
		  struct mr_netif *nif, uint64_t rate_bps, struct mr_pcapng *cap, uint64_t now);

/* Reap, then receive up to budget packets into q. Returns how many. For each of them the caller calls
 * mr_port_rx_begin(), the stack's input, and mr_port_rx_verdict(). */
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

/* Before a sleep: nobody will look at the device for a while. */
static inline void mr_port_rest(const struct mr_port *port)
{
	if (port->dev->ops->rest)
		port->dev->ops->rest(port->dev);
}

/* Move queued packets to the device, as far as shaper and ring allow, ring the doorbell, and reap. If the ring was
 * full and the doorbell made room in it, do so again. Returns 0, or -ENETDOWN: the device is gone for good. */
int mr_port_tx(struct mr_port *port, uint64_t now);

/* With the lock, just before it is released: is a doorbell owed? If so, the caller has to ring it. */
bool mr_port_take_owed(struct mr_port *port);
/* Ring the doorbell without the lock. Returns 0, or a negative errno to be passed to mr_port_missed(). */
int mr_port_ring(const struct mr_port *port);
/* With the lock: a doorbell without the lock has failed (err), or the process that had to ring it has ended (0). The
 * next mr_port_tx() rings, and is due now. */
void mr_port_missed(struct mr_port *port, int err, uint64_t now);

/* ns: when mr_port_tx() has to be called again even if nothing new is queued (shaper, busy ring); MR_TIME_NEVER: not
 * at all. */
uint64_t mr_port_next(const struct mr_port *port, uint64_t now);

#endif
