/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.h - packets on their way. */
#ifndef MR_TESTS_SIM_WIRE_H
#define MR_TESTS_SIM_WIRE_H

#include "sim.h"

struct sim_pkt {
	uint64_t at;
	uint64_t order;
	int to; /* host */
	uint32_t len;
	uint8_t data[];
};

/* When the next packet arrives; MR_TIME_NEVER: none is on its way. */
uint64_t sim_wire_next(const struct sim *sim);
/* Put a packet on its way to host `to`, where it arrives at `at` whatever the wire is like. */
void sim_wire_deliver(struct sim *sim, int to, uint64_t at, const uint8_t *pkt, uint32_t len);
/* Take it out; the caller frees it. There must be one. */
struct sim_pkt *sim_wire_pop(struct sim *sim);

#endif
