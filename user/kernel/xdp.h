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
	void *ports_at;	      /* where mr_xdp_ports() is to be mapped; NULL: anywhere */
};

/* Load the program with its maps, not attached yet. On success *out is the caller's until
 * mr_xdp_close(). On failure *out is NULL and err (may be NULL) says in one sentence what is wrong
 * and what to do. -EPERM (capabilities), -EOPNOTSUPP (kernel too old), -ENOMEM, or the kernel's. */
int mr_xdp_open(struct mr_xdp **out, const struct mr_xdp_params *p, struct mr_error *err);

/* Attach to the interface. 0, -EBUSY (another XDP program is there), -EOPNOTSUPP (the driver has no
 * native XDP), -ERANGE (MTU too large for the driver), -ENODEV, -EPERM; err as above. */
int mr_xdp_attach(struct mr_xdp *xdp, struct mr_error *err);

/* Is it still attached? Whoever may can detach it by force (bpftool link detach), and nothing tells of that. True also
 * where the kernel does not say. Attaching again is possible. */
bool mr_xdp_is_attached(const struct mr_xdp *xdp);

/* Detach and unload. NULL is fine. */
void mr_xdp_close(struct mr_xdp *xdp);

/* What is steered to the engine: MR_ADDR_OWN, or MR_ADDR_WITH_SLOT(); set again to change it.
 * 0, -ENOSPC (full), -ENOENT (del of what is not there). */
int mr_xdp_addr_set(struct mr_xdp *xdp, const struct mr_addr *addr, uint32_t value);
int mr_xdp_addr_del(struct mr_xdp *xdp, const struct mr_addr *addr);

/* The TCP ports of shared addresses, by number (host order): memory that the program reads, mapped until
 * mr_xdp_close(). Other processes map the descriptor, which stays xdp's, by themselves. */
#define MR_XDP_PORTS_BYTES (65536u * sizeof(struct mr_steer_port))
struct mr_steer_port *mr_xdp_ports(const struct mr_xdp *xdp);
int mr_xdp_ports_fd(const struct mr_xdp *xdp);

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
