/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dev.h - the device interface: moves packets between frames and a wire. Its implementations are AF_XDP (afxdp.h) and
 * the simulator of the tests. A struct mr_dev is not in the arena; every process has its own.
 * All calls are made on the engine's thread, and none blocks.
 */
#ifndef MR_DEV_DEV_H
#define MR_DEV_DEV_H

#include "frame/frame.h"

struct mr_dev;

/* What may change on an interface while it is in use. */
struct mr_link_state {
	bool up; /* administratively up, and with carrier */
	uint8_t mac[6];
	uint32_t mtu;	  /* bytes of the L3 packet */
	uint32_t mtu_max; /* the largest MTU that the device can carry */
	/* Length in bytes of the longest L3 packet that the device cuts into TCP segments itself; 0: it does not. */
	uint32_t gso_bytes;
	int master; /* ifindex of the bridge or bond that the interface is a port of; 0: none */
};

struct mr_dev_ops {
	/* Take up to budget received packets and append them to q. Each is a chain with data, len, pkt_len, nchunks
	 * and queue set, one reference per chunk, and MR_FRAME_META if it has valid metadata. Returns how many. */
	unsigned (*rx)(struct mr_dev *dev, struct mr_frame_queue *q, unsigned budget, uint64_t now);

	/* Give one packet to the device. When the device is done with a chunk, it calls mr_netif_tx_done() for it,
	 * which releases the reference that mr_netif_tx() took over. Returns 0, or -EAGAIN: there is no room, nothing
	 * was done, try again after reap(); or another negative errno: the device has dropped and counted the packet
	 * and released its references. */
	int (*tx)(struct mr_dev *dev, struct mr_frame *f, uint64_t now);

	/* Ring the doorbell for the packets that tx() took. Returns 0, or -EAGAIN: some still wait, call it again
	 * later; or -ENETDOWN: the device is gone for good. */
	int (*kick)(struct mr_dev *dev);

	/* Ring the doorbell without the engine's lock, while another thread may drive the device: changes nothing but
	 * the kernel's state. Returns 0, or a negative errno: kick() has to follow; after -EBUSY the device has
	 * dropped a packet. NULL: this device needs the lock. */
	int (*ring)(const struct mr_dev *dev);

	/* Release the frames that the device has finished with, and give it free frames for receiving. */
	void (*reap)(struct mr_dev *dev);

	/* Are received packets waiting, or sent ones not finished? Only reads memory. */
	bool (*rx_ready)(const struct mr_dev *dev);

	/* Nobody will call rx() before something has come or some time has passed: make room for all that may come
	 * until then. NULL: there always is. */
	void (*rest)(struct mr_dev *dev);

	/* Write up to max descriptors to poll() for POLLIN into fds. Returns how many. */
	unsigned (*fds)(const struct mr_dev *dev, int *fds, unsigned max);

	/* Process rare events: changes of the link state, the end of the interface. Called when a descriptor of fds()
	 * that is not a ring is readable, and once a second. Returns 0, or -ENETDOWN: the device is gone for good. */
	int (*service)(struct mr_dev *dev);

	/* Call each() for every named counter of the device and the kernel ("dev.rx_ring_full", "xdp.redirect_tcp",
	 * drops of the XDP program). May make system calls. */
	void (*counters)(struct mr_dev *dev,
			 void (*each)(void *user, const char *name, const char *text,
				      uint64_t value),
			 void *user);

	/* Another process has driven the device since this one did: read the ring indices anew. NULL: not needed. */
	void (*adopt)(struct mr_dev *dev);

	/* Repair after a process died, perhaps in a call of the device. Afterwards exactly the frames that the kernel
	 * holds have MR_FRAME_IN_DEV. Packets that were received but not yet returned by rx() are lost. */
	void (*salvage)(struct mr_dev *dev);

	/* End this process's part and free it; the device goes on for the others. NULL: the device cannot be shared. */
	void (*leave)(struct mr_dev *dev);

	/* Close and free the device. The frames that the kernel held are free afterwards. */
	void (*close)(struct mr_dev *dev);
};

struct mr_dev {
	const struct mr_dev_ops *ops;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	uint32_t peers; /* connections that may bring packets: told by the engine with each round */
};

#endif
