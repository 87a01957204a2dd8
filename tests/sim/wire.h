/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.h - packets on their way. */
#ifndef MR_TESTS_SIM_WIRE_H
#define MR_TESTS_SIM_WIRE_H

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
/* Put a packet on its way to host `to`, where it arrives at `at` whatever the wire is like. */
void sim_wire_deliver(struct sim *sim, int to, uint64_t at, const uint8_t *pkt, uint32_t len);
/* A packet that has arrived by now; the caller frees it. NULL: none. */
struct sim_pkt *sim_wire_arrived(struct sim *sim);
/* Throw away all that is on its way. */
void sim_wire_clear(struct sim *sim);

#endif
