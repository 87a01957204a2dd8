/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * afxdp.h - AF_XDP behind the device interface (dev.h): one socket on every queue of an interface,
 * all sharing one UMEM. The XDP program that redirects into the sockets is somebody else's
 * (kernel/xdp.h).
 */
#ifndef MR_DEV_AFXDP_H
#define MR_DEV_AFXDP_H

#include "dev/dev.h"
#include "dev/umem.h"
#include "millrace.h"

struct mr_afxdp_cfg {
	const char *ifname;
	int ifindex;
	unsigned nqueues;	   /* RX queues of the interface: a socket goes on each */
	uint32_t rx_ring, tx_ring; /* descriptors per queue, powers of two; FILL has rx_ring
				    * entries, COMPLETION tx_ring */
	bool native;		   /* how the XDP program is attached; only named in descriptions */
	bool zero_copy;		   /* demanded of the driver; false: copy mode */
	bool gso; /* take bursts of TCP segments in one packet (afxdp_gso.c); an error where the kernel cannot */
	uint32_t cookie; /* of mr_rx_meta: that of the XDP program's load */
	int master;	 /* index of the interface that it is part of; 0: of none */
};

/* Open the sockets and fill the FILL rings. fds() of the device gives the sockets in the order of
 * the queues, then one descriptor of link events: when that is readable, service() is due. frames
 * must lie on *umem and serve this device alone; both must outlive it. Sleeps up to a second where
 * a queue still belongs to a process that has just died. 0: *out is the caller's, until
 * (*out)->ops->close(). On failure *out is NULL and *err (may be NULL) says in one sentence what
 * and what to do. */
int mr_afxdp_open(struct mr_dev **out, const struct mr_afxdp_cfg *cfg, struct mr_arena *arena,
		  const struct mr_umem *umem, struct mr_frame_pool *frames, struct mr_counters *ctr,
		  struct mr_error *err);

/* Take part in a device that another process has opened: state is what mr_afxdp_shared() gave there, in an
 * arena that is mapped at the same address; sockets are its mr_afxdp_sockets(), duplicates for this process.
 * Those that are taken over become -1 in the array, also where it fails. It hears of no link events; state
 * tells what the opener has heard. (*out)->ops->leave() ends it. 0 or a negative errno. */
int mr_afxdp_join(struct mr_dev **out, void *state, int *sockets, struct mr_frame_pool *frames,
		  struct mr_counters *ctr);
void *mr_afxdp_shared(const struct mr_dev *dev);
unsigned mr_afxdp_queues(const struct mr_dev *dev);
/* One for each queue, and behind them the packet socket where there is one. */
unsigned mr_afxdp_sockets(const struct mr_dev *dev);

/* One of the sockets: that of queue i, for the XDP program's map, or the packet socket. It stays the device's. */
int mr_afxdp_fd(const struct mr_dev *dev, unsigned i);

/* As of the last service(). */
void mr_afxdp_link_state(const struct mr_dev *dev, struct mr_link_state *state);
static inline bool mr_afxdp_link_up(const struct mr_dev *dev)
{
	struct mr_link_state state;

	mr_afxdp_link_state(dev, &state);
	return state.up;
}

/* Descriptors that one packet may have on transmit: 1 where kernel or driver has no multi-buffer. */
uint16_t mr_afxdp_max_chunks(const struct mr_dev *dev);

/* What was negotiated, as one line for a log: "v0: generic XDP, copy mode, 2 queues, multi-buffer,
 * ...". Fallbacks are named. Returns buf. */
char *mr_afxdp_describe(const struct mr_dev *dev, char *buf, size_t size);

#endif
