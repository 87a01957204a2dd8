/* SPDX-License-Identifier: BSD-2-Clause */
/* afxdp_int.h - what the files of the AF_XDP device share. Not for others. */
#ifndef MR_DEV_AFXDP_INT_H
#define MR_DEV_AFXDP_INT_H

#include <net/if.h>
#include "base/compiler.h"
#include "dev/afxdp.h"
#include "dev/netif.h"
#include "dev/xsk.h"

struct mnl_socket;

#define MR_XDP_HEADROOM 256u /* in front of every received chunk: XDP_PACKET_HEADROOM */

/* What the processes of one engine have in common of a queue, and of the device. In the arena. */
struct mr_afxdp_qstate {
	struct mr_frame *part, *part_tail; /* packet whose last descriptor has not come yet */
	uint32_t fill_out;		   /* chunks the kernel holds for receiving: FILL to RX */
};

/* Entries that are being written and not published yet, should their writer die. n 0: none. */
struct mr_afxdp_hand {
	uint32_t n, queue;
	uint32_t first;	     /* index of the first entry */
	uint32_t done;	     /* FILL: so many are written */
	struct mr_frame *tx; /* TX: the packet */
};

/* Every chunk that the kernel holds has MR_FRAME_IN_DEV: with tx_refs those of the TX side, without
 * those of FILL and RX. */
struct mr_afxdp_state {
	struct mr_afxdp_cfg cfg;
	char ifname[IF_NAMESIZE];
	bool huge;		   /* of the UMEM, for the description */
	bool gone;		   /* interface deleted or moved to another namespace: for good */
	struct mr_link_state link; /* mtu_max is known when the sockets are open */
	bool multibuf;		   /* XDP_USE_SG is in force */
	bool budget;		   /* one doorbell sends a whole TX ring */
	unsigned ntx;		   /* queues [0, ntx) transmit */
	unsigned turn;		   /* which queue is served first; moves on, so that none starves */
	uint32_t fill_target;	   /* chunks for receiving, per queue */
	uint32_t fill_low;	   /* of those, so many are taken even out of the reserve */
	uint32_t fill_spare;	   /* free frames that receiving leaves for transmit */
	struct mr_afxdp_hand filling, sending;
	struct mr_afxdp_qstate q[]; /* [cfg.nqueues] */
};

/* A queue, and the device, as a process has them mapped. */
struct mr_afxdp_queue {
	struct mr_xsk xsk;
	struct mr_afxdp_qstate *s;
};

struct mr_afxdp {
	struct mr_dev dev;
	struct mr_afxdp_state *s;
	struct mnl_socket *nl;
	struct xdp_statistics stats; /* of all queues, as last read */
	int gso_fd;		     /* packet socket for packets that are to be cut; -1: none */
	struct mr_afxdp_queue q[];   /* [s->cfg.nqueues] */
};

static inline struct mr_afxdp *to_afxdp(const struct mr_dev *dev)
{
	return mr_container_of(dev, struct mr_afxdp, dev);
}

/* ---- afxdp.c */
/* This process's part, all of it closed; and the end of it. */
struct mr_afxdp *mr_afxdp_new(struct mr_afxdp_state *s, const struct mr_dev_ops *ops,
			      struct mr_frame_pool *frames, struct mr_counters *ctr);
void mr_afxdp_free(struct mr_afxdp *d);
/* Operations of dev.h. */
void mr_afxdp_reap(struct mr_dev *dev);
bool mr_afxdp_rx_ready(const struct mr_dev *dev);
unsigned mr_afxdp_fds(const struct mr_dev *dev, int *fds, unsigned max);
int mr_afxdp_service_rings(struct mr_dev *dev);
void mr_afxdp_counters(struct mr_dev *dev,
		       void (*each)(void *user, const char *name, const char *text, uint64_t value),
		       void *user);
void mr_afxdp_adopt(struct mr_dev *dev);

/* ---- afxdp_rx.c */
void mr_afxdp_rx_init(struct mr_afxdp *d);
unsigned mr_afxdp_rx(struct mr_dev *dev, struct mr_frame_queue *out, unsigned budget, uint64_t now);
/* Give free frames to the FILL rings. */
void mr_afxdp_refill(struct mr_afxdp *d);

/* ---- afxdp_tx.c */
int mr_afxdp_tx(struct mr_dev *dev, struct mr_frame *f, uint64_t now);
int mr_afxdp_kick(struct mr_dev *dev);
/* Release what a queue completed; returns how many chunks. */
uint32_t mr_afxdp_complete(struct mr_afxdp *d, struct mr_afxdp_queue *q);

/* ---- afxdp_salvage.c */
void mr_afxdp_salvage(struct mr_dev *dev);

/* ---- afxdp_gso.c */
/* Open gso_fd. 0 or a negative errno. */
int mr_afxdp_gso_open(struct mr_afxdp *d);
void mr_afxdp_gso_close(struct mr_afxdp *d);
/* Send a packet with gso_size at once; results and references as tx() of dev.h. */
int mr_afxdp_gso_tx(struct mr_afxdp *d, struct mr_frame *f);

/* ---- afxdp_link.c */
int mr_afxdp_link_open(struct mr_afxdp *d, struct mr_error *err);
void mr_afxdp_link_close(struct mr_afxdp *d);
int mr_afxdp_link_fd(const struct mr_afxdp *d);
/* Transmit queues in use; 1 where the driver does not say. */
unsigned mr_afxdp_link_tx_queues(const struct mr_afxdp *d);
int mr_afxdp_service(struct mr_dev *dev);

#endif
