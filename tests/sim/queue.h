/* SPDX-License-Identifier: BSD-2-Clause */
/* queue.h - the bottleneck of a wire: packets wait for their turn on a link of a given rate. */
#ifndef MR_TESTS_SIM_QUEUE_H
#define MR_TESTS_SIM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

struct sim_pkt;

struct sim_queue_cfg {
	uint64_t rate_bps;   /* 0: no bottleneck, nothing waits */
	uint32_t limit;	     /* bytes that wait at the most; what comes beyond is dropped */
	uint32_t mark_above; /* bytes: who finds more in front gets CE, if ECT (RFC 8257); 0: off */
	bool codel;	     /* RFC 8289, which marks what is ECT instead of dropping it */
};

struct sim_codel {
	uint64_t above_since, drop_next;
	uint32_t count, last_count;
	bool dropping;
};

struct sim_queue {
	struct sim_queue_cfg cfg;
	struct sim_pkt *head, *tail; /* the head is on the link while done_at says so */
	uint32_t bytes;
	uint64_t done_at; /* ns: the last bit of the head leaves; MR_TIME_NEVER: the link is idle */
	struct sim_codel codel;
	uint64_t overflowed, dropped, marked;
	uint32_t most_bytes; /* that ever waited */
};

void sim_queue_init(struct sim_queue *q, const struct sim_queue_cfg *cfg);
/* Takes the packet over. False: the queue is full, and it is still the caller's. */
bool sim_queue_put(struct sim_queue *q, struct sim_pkt *p, uint64_t now);
/* The packet whose last bit has left by now, out of the queue; NULL: none. */
struct sim_pkt *sim_queue_take(struct sim_queue *q, uint64_t now);
void sim_queue_free(struct sim_queue *q);

#endif
