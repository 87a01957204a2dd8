/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp.h - the XDP program: load it, fill its maps, attach it, read its counters.
 *
 * The order is open, fill the maps, attach: from the first packet on, every receive queue has its
 * socket. The attachment is a bpf_link, which the kernel undoes when its last holder is gone, so
 * the death of the process by any means gives the interface back.
 *
 * Calls from any thread, one at a time. None blocks but for the kernel's verifier in mr_xdp_open().
 */
#ifndef MR_KERNEL_XDP_H
#define MR_KERNEL_XDP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "millrace/xdp_abi.h"

struct mr_xdp;

struct mr_xdp_params {
	int ifindex;
	const char *ifname; /* for the text of errors; read by open and attach, kept until close */
	bool native;	    /* driver mode; else generic (skb) mode */
	enum mr_csum_policy csum;
	uint64_t hash_key[2]; /* of mr_flow_hash() */
	uint32_t cookie;      /* of struct mr_rx_meta */
	unsigned nqueues;     /* receive queues of the interface, at least 1 */
};

/* Load the program with its maps, not attached yet. On success *out is the caller's until
 * mr_xdp_close(). On failure *out is NULL and err (may be NULL) says in one sentence what is wrong
 * and what to do. -EPERM (capabilities), -EOPNOTSUPP (kernel too old), -ENOMEM, or the kernel's. */
int mr_xdp_open(struct mr_xdp **out, const struct mr_xdp_params *p, struct mr_error *err);

/* Attach to the interface. 0, -EBUSY (another XDP program is there), -EOPNOTSUPP (the driver has no
 * native XDP), -ERANGE (MTU too large for the driver), -ENODEV, -EPERM; err as above. */
int mr_xdp_attach(struct mr_xdp *xdp, struct mr_error *err);

/* Detach and unload. NULL is fine. */
void mr_xdp_close(struct mr_xdp *xdp);

/* What is steered to the engine. flags: MR_ADDR_OWN or MR_ADDR_SHARED; set again to change them.
 * 0, -ENOSPC (full), -ENOENT (del of what is not there). */
int mr_xdp_addr_set(struct mr_xdp *xdp, const struct mr_addr *addr, uint32_t flags);
int mr_xdp_addr_del(struct mr_xdp *xdp, const struct mr_addr *addr);
/* A TCP port (host order) of one shared address, or of all of them where addr is NULL or all zeros.
 * 0, -ENOSPC, -ENOENT; adding twice is fine. */
int mr_xdp_port_add(struct mr_xdp *xdp, const struct mr_addr *addr, uint16_t port);
int mr_xdp_port_del(struct mr_xdp *xdp, const struct mr_addr *addr, uint16_t port);
/* The AF_XDP socket that gets the packets of a receive queue. 0, -ERANGE (queue >= nqueues),
 * -EOPNOTSUPP (not an AF_XDP socket). */
int mr_xdp_xsk_set(struct mr_xdp *xdp, unsigned queue, int xsk_fd);

/* Sum of the counters of all CPUs. 0 or the kernel's error. */
int mr_xdp_stats(struct mr_xdp *xdp, struct mr_xdp_stats *sum);

/* Call back for each packet noted since the last call: gratuitous ARP, and advertisements of routers
 * and neighbours. Call this about once a second. Returns how many. */
struct mr_xdp_note_ops {
	void (*arp)(void *user, const struct mr_note_arp *note);
	void (*nd)(void *user, const struct mr_note_nd *note);
};
int mr_xdp_notes(struct mr_xdp *xdp, const struct mr_xdp_note_ops *ops, void *user);

#endif
