/* SPDX-License-Identifier: BSD-2-Clause */
/* afxdp_int.h - what the files of the AF_XDP device share. Nobody else includes it. */
#ifndef MR_DEV_AFXDP_INT_H
#define MR_DEV_AFXDP_INT_H

#include <net/if.h>
#include "base/compiler.h"
#include "dev/afxdp.h"
#include "dev/fill_depth.h"
#include "dev/netif.h"
#include "dev/xsk.h"

struct mnl_socket;

/* the kernel leaves this in front of every received chunk: XDP_PACKET_HEADROOM */
#define MR_XDP_HEADROOM 256u

/* State of one queue that all processes of the engine share. In the arena. */
struct mr_afxdp_qstate {
	/* Received packet whose last descriptor is still missing. */
	struct mr_frame *part, *part_tail;
	/* Chunks in the FILL ring, or received into but not yet taken from the RX ring. */
	uint32_t fill_out;
};

/* Ring entries that are reserved but not published yet, for the repair if the process dies. n 0: none. */
struct mr_afxdp_unpublished {
	uint32_t n, queue;
	uint32_t first;	     /* index of the first entry */
	uint32_t done;	     /* FILL: how many of them are written */
	struct mr_frame *tx; /* TX: the packet */
};

/* State of the device that all processes of the engine share. In the arena. Every chunk that the kernel holds has
 * MR_FRAME_IN_DEV set: with tx_refs if it is in a TX or COMPLETION ring, without if it is in a FILL or RX ring. */
struct mr_afxdp_state {
	struct mr_afxdp_cfg cfg;
	char ifname[IF_NAMESIZE];
	bool huge; /* the UMEM has huge pages; used only in texts */
	bool gone; /* the interface was deleted or moved to another network namespace */
	struct mr_link_state link; /* mtu_max is valid when the sockets are open */
	bool multibuf;		   /* the sockets are bound with XDP_USE_SG */
	bool budget;		   /* one sendto() sends a whole TX ring (XDP_MAX_TX_SKB_BUDGET) */
	unsigned ntx;		   /* queues [0, ntx) transmit */
	unsigned turn; /* the queue that is served first; advances, so that none starves */
	struct mr_fill_depth depth; /* of the chunks for receiving, per queue */
	/* So many of them are taken even if fewer than fill_spare frames are free. */
	uint32_t fill_low;
	uint32_t fill_spare; /* free frames that refilling leaves for transmit */
	struct mr_afxdp_unpublished filling, sending;
	struct mr_afxdp_qstate q[]; /* [cfg.nqueues] */
};

/* One queue, as this process has it mapped. */
struct mr_afxdp_queue {
	struct mr_xsk xsk;
	struct mr_afxdp_qstate *s;
};

/* The device, as this process has it mapped. */
struct mr_afxdp {
	struct mr_dev dev;
	struct mr_afxdp_state *s;
	struct mnl_socket *nl;
	struct xdp_statistics stats; /* sums over all queues, as last read */
	int gso_fd;		     /* packet socket for packets with gso_size; -1: none */
	struct mr_afxdp_queue q[];   /* [s->cfg.nqueues] */
};

static inline struct mr_afxdp *to_afxdp(const struct mr_dev *dev)
{
	return mr_container_of(dev, struct mr_afxdp, dev);
}

/* ---- afxdp.c */
/* Allocate this process's part, with everything closed; NULL: no memory. */
struct mr_afxdp *mr_afxdp_new(struct mr_afxdp_state *s, const struct mr_dev_ops *ops,
			      struct mr_frame_pool *frames, struct mr_counters *ctr);
/* Close what is open, and free this process's part. */
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
void mr_afxdp_rest(struct mr_dev *dev);
/* Put free frames into the FILL rings. */
void mr_afxdp_refill(struct mr_afxdp *d);

/* ---- afxdp_tx.c */
int mr_afxdp_tx(struct mr_dev *dev, struct mr_frame *f, uint64_t now);
int mr_afxdp_kick(struct mr_dev *dev);
int mr_afxdp_ring(const struct mr_dev *dev);
/* Release the frames in the COMPLETION ring of a queue. Returns how many chunks. */
uint32_t mr_afxdp_complete(struct mr_afxdp *d, struct mr_afxdp_queue *q);

/* ---- afxdp_salvage.c */
void mr_afxdp_salvage(struct mr_dev *dev);

/* ---- afxdp_gso.c */
/* Open the packet socket gso_fd. Returns 0 or a negative errno. */
int mr_afxdp_gso_open(struct mr_afxdp *d);
void mr_afxdp_gso_close(struct mr_afxdp *d);
/* Send a packet with gso_size at once. Results and references are those of tx() in dev.h. */
int mr_afxdp_gso_tx(struct mr_afxdp *d, struct mr_frame *f);

/* ---- afxdp_link.c */
int mr_afxdp_link_open(struct mr_afxdp *d, struct mr_error *err);
void mr_afxdp_link_close(struct mr_afxdp *d);
/* How long a packet to be cut may be (link.gso_bytes), by what the device offloads now: asked at the
 * start and when told of a change. Nothing, if cfg.gso is not set. */
void mr_afxdp_link_gso(struct mr_afxdp *d);
int mr_afxdp_link_fd(const struct mr_afxdp *d);
/* How many transmit queues are in use; 1 if the driver does not say. */
unsigned mr_afxdp_link_tx_queues(const struct mr_afxdp *d);
int mr_afxdp_service(struct mr_dev *dev);

#endif
