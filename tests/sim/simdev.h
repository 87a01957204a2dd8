/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simdev.h - a device without hardware: what the engine transmits goes to a function, what is given
 * to sim_dev_deliver() is received. It behaves like an AF_XDP socket in copy mode: a bounded ring,
 * a doorbell with a budget, completions that come later, packets received in several chunks.
 */
#ifndef MR_TESTS_SIM_SIMDEV_H
#define MR_TESTS_SIM_SIMDEV_H

#include "dev/dev.h"
#include "rng.h"

#define SIM_DEV_RING_MAX 256u
#define SIM_DEV_HEADROOM 256u /* bytes in front of a received packet, as XDP leaves them */

struct sim_dev_cfg {
	uint32_t tx_ring;	/* packets that are not completed, at most SIM_DEV_RING_MAX */
	uint32_t kick_budget;	/* packets that one doorbell sends */
	uint32_t rx_ring;	/* packets that wait to be received */
	uint16_t max_chunks;	/* of a transmitted packet */
	uint64_t completion_ns; /* a chunk comes back at most this long after it was sent */
	bool ragged;		/* received packets are cut into chunks at random places */
	bool gso;		/* cuts packets with gso_size into segments */
	bool pad;		/* short packets arrive padded to 60 bytes, as on Ethernet */
	uint64_t seed;
};

struct sim_tx_chunk {
	struct mr_frame *f;
	const uint8_t *data;
	uint32_t len;
};

struct sim_tx {
	struct sim_tx_chunk chunk[MR_FRAME_GSO_CHUNKS];
	unsigned nchunks;
	uint16_t gso_size;
	uint64_t hash;	  /* of the bytes when they were handed over: they must not change */
	uint64_t done_at; /* ns of virtual time */
};

struct sim_rx {
	struct sim_rx *next;
	uint32_t len;
	uint8_t data[];
};

struct sim_dev {
	struct mr_dev base;
	struct sim_dev_cfg cfg;
	struct sim_rng rng;
	const uint64_t *clock; /* virtual time, ns */
	void (*send)(void *user, const uint8_t *pkt, uint32_t len);
	/* A rule of the device interface was broken; does not return. */
	void (*broken)(void *user, const char *what);
	void *user;
	/* Free running: [reaped, kicked) are sent and not completed, [kicked, queued) not sent. */
	unsigned tx_reaped, tx_kicked, tx_queued;
	struct sim_rx *rx_head, *rx_tail;
	uint32_t rx_count;
	uint64_t cut; /* packets that were cut into segments */
	uint64_t dropped_no_frame, dropped_ring_full;
	struct sim_tx tx[]; /* cfg.tx_ring of them */
};

/* The engine that is started with &dev->base owns and frees it. frames and ctr are the engine's. */
struct sim_dev *sim_dev_new(const struct sim_dev_cfg *cfg, struct mr_frame_pool *frames,
			    struct mr_counters *ctr, const uint64_t *clock);
/* A packet arrives (bytes are copied). */
void sim_dev_deliver(struct sim_dev *dev, const uint8_t *pkt, uint32_t len);
/* When the device has something for the engine; MR_TIME_NEVER: nothing on its way. */
uint64_t sim_dev_next(const struct sim_dev *dev);

#endif
