/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dev.h - the device interface: what moves packets between frames and a wire. Behind it stand AF_XDP
 * (afxdp.h) and, in tests, the simulator. A device lives outside of the arena, one per process.
 * Called on the engine's thread only; no call blocks.
 */
#ifndef MR_DEV_DEV_H
#define MR_DEV_DEV_H

#include "frame/frame.h"

struct mr_dev;

/* What may change of an interface while it is in use. */
struct mr_link_state {
	bool up; /* administratively, and with carrier */
	uint8_t mac[6];
	uint32_t mtu;	  /* bytes of the L3 packet */
	uint32_t mtu_max; /* what the device can carry */
	/* L3 packet that the device cuts into TCP segments itself; 0: it cannot. */
	uint32_t gso_bytes;
	int master; /* index of the interface that it is part of (a bridge, a bond); 0: of none */
};

struct mr_dev_ops {
	/* Take up to budget received packets and append them to q, each a chain with data, len,
	 * pkt_len, nchunks, queue set, one reference per chunk, and MR_FRAME_META where valid.
	 * Returns how many. */
	unsigned (*rx)(struct mr_dev *dev, struct mr_frame_queue *q, unsigned budget, uint64_t now);

	/* Hand one packet to the device. The references that came with it through mr_netif_tx() are
	 * released by mr_netif_tx_done() on each chunk when the device is done. 0, -EAGAIN (no room:
	 * nothing happened, try after reap), or another error: the packet was dropped and counted by
	 * the device, its references are released. */
	int (*tx)(struct mr_dev *dev, struct mr_frame *f, uint64_t now);

	/* Ring the doorbell for what tx() took. 0, -EAGAIN (call again later: more is waiting) or
	 * -ENETDOWN: gone for good. */
	int (*kick)(struct mr_dev *dev);

	/* Release what the device finished; give it free chunks for receiving. */
	void (*reap)(struct mr_dev *dev);

	/* Is something received waiting, or transmit unfinished? Cheap: memory reads only. */
	bool (*rx_ready)(const struct mr_dev *dev);

	/* Descriptors to poll() for POLLIN; fills up to max, returns how many. */
	unsigned (*fds)(const struct mr_dev *dev, int *fds, unsigned max);

	/* Look after rare things (link state, death of the interface), when one of fds() that is not a
	 * ring became ready, or once a second. 0, or -ENETDOWN: gone for good. */
	int (*service)(struct mr_dev *dev);

	/* Named counters of device and kernel ("dev.rx_ring_full", "xdp.redirect_tcp", drops of the XDP
	 * program): calls back one by one. May make system calls. */
	void (*counters)(struct mr_dev *dev,
			 void (*each)(void *user, const char *name, const char *text,
				      uint64_t value),
			 void *user);

	/* Another process has driven the device since this one did: what is remembered of the rings here
	 * is out of date. NULL: nothing is. */
	void (*adopt)(struct mr_dev *dev);

	/* A process died in the middle of a call, perhaps. Frames are told apart by MR_FRAME_IN_DEV after
	 * this: what the kernel holds has it. What was received and not handed over is lost. */
	void (*salvage)(struct mr_dev *dev);

	/* End this process's part and free it; the device stays as it is. NULL: it cannot be shared. */
	void (*leave)(struct mr_dev *dev);

	/* Closes and frees the device. Chunks that the kernel held are free afterwards. */
	void (*close)(struct mr_dev *dev);
};

struct mr_dev {
	const struct mr_dev_ops *ops;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
};

#endif
