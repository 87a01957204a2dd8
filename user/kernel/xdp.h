/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp.h - the XDP program: load it, fill its maps, attach it, read its counters.
 *
 * The order is: open, fill the maps, attach. So every receive queue has its socket when the first packet arrives. The
 * attachment is a bpf_link. The kernel removes it when the last process that holds it ends, in whatever way, and then
 * handles all packets of the interface again.
 *
 * Calls may come from any thread, but only one at a time. None blocks, except mr_xdp_open() (kernel's verifier).
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
	const char *ifname; /* for error messages; must stay valid until close */
	bool native;	    /* driver mode; false: generic (SKB) mode */
	enum mr_csum_policy csum;
	uint64_t hash_key[2]; /* key of mr_flow_hash() */
	uint32_t cookie;      /* for struct mr_rx_meta */
	unsigned nqueues;     /* receive queues of the interface, at least 1 */
	void *ports_at;	      /* where to map mr_xdp_ports(); NULL: anywhere */
};

/* Load the program and create its maps. It is not attached yet. Returns 0: the caller owns *out until mr_xdp_close().
 * Otherwise *out is NULL, and *err (may be NULL) says in one sentence what is wrong and what to do: -EPERM
 * (capabilities), -EOPNOTSUPP (kernel too old), -ENOMEM, or another error of the kernel. */
int mr_xdp_open(struct mr_xdp **out, const struct mr_xdp_params *p, struct mr_error *err);

/* Attach to the interface. Returns 0, -EBUSY (it has another XDP program), -EOPNOTSUPP (the driver has no native
 * XDP), -ERANGE (the MTU is too large for the driver), -ENODEV or -EPERM; *err as above. */
int mr_xdp_attach(struct mr_xdp *xdp, struct mr_error *err);

/* Is it still attached? A privileged user can detach it (bpftool link detach), and the kernel does not report that.
 * Returns true, too, if the kernel cannot tell. mr_xdp_attach() can attach it again. */
bool mr_xdp_is_attached(const struct mr_xdp *xdp);

/* Detach and unload. xdp may be NULL. */
void mr_xdp_close(struct mr_xdp *xdp);

/* Set or change which packets for an address are steered to the engine: MR_ADDR_OWN or MR_ADDR_WITH_SLOT(). Returns
 * 0, -ENOSPC (the map is full), or for del -ENOENT. */
int mr_xdp_addr_set(struct mr_xdp *xdp, const struct mr_addr *addr, uint32_t value);
int mr_xdp_addr_del(struct mr_xdp *xdp, const struct mr_addr *addr);

/* Which TCP ports of shared addresses are steered to the engine: an array indexed by port in host byte order. This
 * memory is the program's map; it stays mapped until mr_xdp_close(). Other processes map the descriptor, which xdp
 * owns. */
#define MR_XDP_PORTS_BYTES (65536u * sizeof(struct mr_steer_port))
struct mr_steer_port *mr_xdp_ports(const struct mr_xdp *xdp);
int mr_xdp_ports_fd(const struct mr_xdp *xdp);

/* Set the AF_XDP socket that gets the packets of a receive queue. Returns 0, -ERANGE (queue >= nqueues) or
 * -EOPNOTSUPP (not an AF_XDP socket). */
int mr_xdp_xsk_set(struct mr_xdp *xdp, unsigned queue, int xsk_fd);

/* Sum the counters of all CPUs. Returns 0 or a negative errno. */
int mr_xdp_stats(struct mr_xdp *xdp, struct mr_xdp_stats *sum);

/* Call back for each note that the program has made since the last call: gratuitous ARP, and advertisements of
 * routers and neighbours. To be called about once a second. Returns how many. */
struct mr_xdp_note_ops {
	void (*arp)(void *user, const struct mr_note_arp *note);
	void (*nd)(void *user, const struct mr_note_nd *note);
};
int mr_xdp_notes(struct mr_xdp *xdp, const struct mr_xdp_note_ops *ops, void *user);

#endif
