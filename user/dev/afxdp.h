/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * afxdp.h - the AF_XDP device behind the interface of dev.h: one socket on every queue of a network interface, all of
 * them with one UMEM. The XDP program that redirects packets to the sockets is not part of it (kernel/xdp.h).
 */
#ifndef MR_DEV_AFXDP_H
#define MR_DEV_AFXDP_H

#include "dev/dev.h"
#include "dev/umem.h"
#include "millrace.h"

struct mr_afxdp_cfg {
	const char *ifname;
	int ifindex;
	unsigned nqueues; /* RX queues of the interface, each with one socket */
	/* Descriptors per queue, powers of two; FILL rings have rx_ring entries, COMPLETION rings tx_ring. */
	uint32_t rx_ring, tx_ring;
	/* Chunks that a FILL ring has at the least; ops->rest() must then be called before a sleep (dev.h). 0: it is
	 * always full. */
	uint32_t fill_least;
	bool native;	/* how the XDP program is attached; used only in texts */
	bool zero_copy; /* bind with zero copy, and fail if the driver cannot; false: copy mode */
	bool gso; /* TCP segmentation offload (afxdp_gso.c); opening fails if the kernel cannot */
	uint32_t cookie; /* that the XDP program writes into struct mr_rx_meta */
	int master; /* ifindex of the bridge or bond that the interface is a port of; 0: none */
};

/* Open the sockets and fill the FILL rings. ops->fds() returns the sockets in the order of the queues, then a
 * descriptor of link events; when that is readable, ops->service() has to be called. The frames must lie on *umem and
 * be used for this device alone, and both must outlive it. Sleeps up to a second if a queue still belongs to a
 * process that has just died. Returns 0: the caller owns *out until (*out)->ops->close(). Otherwise a negative errno:
 * *out is NULL, and *err (may be NULL) says in one sentence what failed and what to do. */
int mr_afxdp_open(struct mr_dev **out, const struct mr_afxdp_cfg *cfg, struct mr_arena *arena,
		  const struct mr_umem *umem, struct mr_frame_pool *frames, struct mr_counters *ctr,
		  struct mr_error *err);

/* Take part in a device that another process has opened. state: mr_afxdp_shared() of that process, in an arena that
 * is mapped at the same address here. sockets: duplicates of its mr_afxdp_sockets() sockets; those that are taken
 * over become -1 in the array, even if the call fails. This process gets no link events; it reads the opener's link
 * state in *state. (*out)->ops->leave() ends it. Returns 0 or a negative errno. */
int mr_afxdp_join(struct mr_dev **out, void *state, int *sockets, struct mr_frame_pool *frames,
		  struct mr_counters *ctr);
/* The device's state in the arena, for mr_afxdp_join(). */
void *mr_afxdp_shared(const struct mr_dev *dev);
unsigned mr_afxdp_queues(const struct mr_dev *dev);
/* How many sockets the device has: one for each queue, then the packet socket if there is one. */
unsigned mr_afxdp_sockets(const struct mr_dev *dev);

/* Socket i: for i < mr_afxdp_queues() that of queue i, for the XDP program's map; then the packet socket. The device
 * keeps ownership. */
int mr_afxdp_fd(const struct mr_dev *dev, unsigned i);

/* The link state at the last ops->service(). */
void mr_afxdp_link_state(const struct mr_dev *dev, struct mr_link_state *state);
static inline bool mr_afxdp_link_up(const struct mr_dev *dev)
{
	struct mr_link_state state;

	mr_afxdp_link_state(dev, &state);
	return state.up;
}

/* How many descriptors a transmitted packet may have; 1: kernel or driver has no multi-buffer support. */
uint16_t mr_afxdp_max_chunks(const struct mr_dev *dev);

/* Write into buf what was negotiated, as one line for a log, with every fallback: "v0: generic XDP, copy mode, 2
 * queues, multi-buffer, ...". Returns buf. */
char *mr_afxdp_describe(const struct mr_dev *dev, char *buf, size_t size);

#endif
