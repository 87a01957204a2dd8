/* SPDX-License-Identifier: BSD-2-Clause */
/* scenario.h - what is drawn from a seed, and how long such a run may take. */
#ifndef MR_TESTS_SIM_SCENARIO_H
#define MR_TESTS_SIM_SCENARIO_H

#include "workload.h"

enum sim_fault {
	FAULT_LOSS = 1 << 0,
	FAULT_DUP = 1 << 1,
	FAULT_REORDER = 1 << 2,
	FAULT_CORRUPT = 1 << 3,
	FAULT_DELAY = 1 << 4,
	FAULT_BANDWIDTH = 1 << 5,
	FAULT_DEVICE = 1 << 6, /* slow completions, few frames, a short ring */
	FAULT_BURST = 1 << 7,  /* losses in bursts */
	FAULT_ACKS = 1 << 8,   /* ACKs lost, or coming in clumps */
	FAULT_SWAP = 1 << 9,   /* reordering by count */
	FAULT_ASYMMETRIC = 1 << 10,
	FAULT_ALL = (1 << 11) - 1,
	FAULT_BOX = 1 << 11,  /* a middlebox: options, ECN bits, SYNs */
	FAULT_PATH = 1 << 12, /* a link on the way that is narrower than the hosts' */
};

struct run {
	struct sim_host_cfg host[2];
	struct sim_wire_cfg wire[2];
	struct sim_box box[2];
	struct workload wl;
	uint64_t limit_ns;
};

/* The virtual time that a run may take until its last connection has ended (bound.c). */
uint64_t sim_bound_ns(const struct run *run);

#endif
