/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire.h - packets on their way: through a middlebox (middlebox.c) and the bottleneck (queue.c), then through
 * the stages of wire.c in their order, each in a file of its own; at last it is under way to the other host
 * (wire_flight.c).
 */
#ifndef MR_TESTS_SIM_WIRE_H
#define MR_TESTS_SIM_WIRE_H

#include "packet.h"
#include "sim.h"

struct sim_pkt {
	struct sim_pkt *next; /* in the bottleneck's queue */
	uint64_t at;	      /* ns: of arrival at the host; in the queue, of arrival there */
	uint64_t order;
	int to; /* host */
	uint32_t len;
	uint8_t data[];
};

/* When something happens next: a packet leaves a bottleneck or arrives; MR_TIME_NEVER: nothing is on
 * its way. */
uint64_t sim_wire_next(const struct sim *sim);
/* Put a packet on its way to host `to`, where it arrives at `at` whatever the wire is like. Returns its
 * order, by which it is known. */
uint64_t sim_wire_deliver(struct sim *sim, int to, uint64_t at, const uint8_t *pkt, uint32_t len);
/* A packet that has arrived by now; the caller frees it. NULL: none. */
struct sim_pkt *sim_wire_arrived(struct sim *sim);
/* Throw away all that is on its way. */
void sim_wire_clear(struct sim *sim);

/* ---- Stages ---------------------------------------------------------------------------------- */

/* A packet on its way through them. */
struct passing {
	struct sim *sim;
	struct sim_wire *w;
	struct sim_pkt *pkt; /* at, data and len may be changed */
	bool spared;	     /* neither lost nor corrupted */
};

/* A stage: NULL, and the packet goes on; or why the wire has none of it any more, for the trace. */
const char *wire_loss(struct passing *p);  /* wire_loss.c */
const char *wire_order(struct passing *p); /* wire_order.c */
const char *wire_duplicate(struct passing *p);
const char *wire_hold(struct passing *p);
const char *wire_corrupt(struct passing *p); /* wire_corrupt.c */

/* Another packet of this direction has passed: those that were held back for it go on. */
void wire_release(struct passing *p);

/* A TCP segment that is nothing but an ACK? Then *t is what it says. (wire_loss.c) */
bool wire_is_pure_ack(const struct sim_pkt *pkt, struct pkt_tcp *t);

/* ---- Under way (wire_flight.c) --------------------------------------------------------------- */

struct sim_pkt *flight_packet(int to, const uint8_t *pkt, uint32_t len);
/* Takes the packet over; it arrives at p->at. Returns its order. */
uint64_t flight_add(struct sim *sim, struct sim_pkt *p);
/* Let it arrive at `at` at the latest, behind all that was added before. Nothing happens when it has
 * arrived. */
void flight_hasten(struct sim *sim, uint64_t order, uint64_t at);
/* The one that arrives first, taken out. There must be one. */
struct sim_pkt *flight_pop(struct sim *sim);

#endif
