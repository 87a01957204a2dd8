/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steer.h - which TCP ports of shared addresses come to this engine: counts in the arena, and what
 * follows from them in the XDP program's map of ports, which is memory as well. So a port opens and
 * closes without a system call, in whatever process that has both mapped at their addresses.
 *
 *	a listener on any address	all slots, or those of a family
 *	a listener on one address	that address's slot
 *	a flow (connection, SYN-RECEIVED, TIME-WAIT)	its local address's slot, but no SYNs
 *
 * The kernel is looked up for each packet of a port (MR_STEER_KERNEL) while it may have connections
 * there: after a port was opened, until sock_diag has found none; and as soon as no kernel socket of
 * ours holds the port any more, since from then on the kernel may give it to others.
 */
#ifndef MR_IP_STEER_H
#define MR_IP_STEER_H

#include "base/addr.h"
#include "base/arena.h"
#include "millrace/xdp_abi.h"

#define MR_STEER_PORTS 65536u

/* In the arena. Under the engine's lock. */
struct mr_steer {
	struct mr_steer_port *map; /* [MR_STEER_PORTS], the XDP program's; at this address in every
				    * process that uses the arena */
	struct mr_addr addrs[MR_STEER_SLOTS];
	bool used[MR_STEER_SLOTS]; /* addrs[] says whose the slot is, perhaps of an address that is
				       * gone while flows of it are left */
	bool present[MR_STEER_SLOTS];	 /* the interface has the address */
	uint32_t nusers[MR_STEER_SLOTS]; /* flows, and listeners on the address alone */
	/* Listeners on any address: of both families, of IPv4, of IPv6. */
	uint32_t any[3][MR_STEER_PORTS];
	uint32_t one[MR_STEER_SLOTS][MR_STEER_PORTS];	/* listeners on one address */
	uint32_t flows[MR_STEER_SLOTS][MR_STEER_PORTS]; /* rows of unused slots are never touched */
	uint32_t held[MR_STEER_PORTS];	    /* kernel sockets of ours that hold the port */
	uint64_t busy[MR_STEER_PORTS / 64]; /* bit: the kernel may have connections there */
	uint32_t nbusy;
	bool frozen; /* the counts are being made anew: the map stays as it is */
};

/* NULL: the arena is too small. map may be set later, before the first count. */
struct mr_steer *mr_steer_open(struct mr_arena *arena);

/* A shared address comes or goes. The slot for the XDP program's map of addresses, -ENOSPC, or of an
 * address that is not there -ENOENT. */
int mr_steer_addr_add(struct mr_steer *s, const struct mr_addr *addr);
int mr_steer_addr_del(struct mr_steer *s, const struct mr_addr *addr);

/* After a death in the middle of a change: begin, count every listener, flow and held port again, end. */
void mr_steer_salvage_begin(struct mr_steer *s);
void mr_steer_salvage_end(struct mr_steer *s);

/* Has the interface the address? */
bool mr_steer_has(const struct mr_steer *s, const struct mr_addr *addr);

/* A listener opens or closes. Any address: :: is both families, 0.0.0.0 is IPv4's; v6only makes :: only
 * IPv6's. An opened port is taken for busy (see mr_steer_not_busy()). */
void mr_steer_listen(struct mr_steer *s, const struct mr_addr *addr, bool v6only, uint16_t port);
void mr_steer_unlisten(struct mr_steer *s, const struct mr_addr *addr, bool v6only, uint16_t port);

/* A flow comes. What mr_steer_flow_del() wants to know; 0: the address has no slot. */
uint8_t mr_steer_flow_add(struct mr_steer *s, const struct mr_addr *laddr, uint16_t lport);
void mr_steer_flow_del(struct mr_steer *s, uint8_t slot, uint16_t lport);

/* A kernel socket holds the port for us (bound, so that the kernel gives it to nobody else), or does no
 * longer. */
void mr_steer_hold(struct mr_steer *s, uint16_t port);
void mr_steer_release(struct mr_steer *s, uint16_t port);

/* The kernel may have connections on a port that was not fresh from the kernel; and it was asked, and
 * has none. */
void mr_steer_set_busy(struct mr_steer *s, uint16_t port);
void mr_steer_not_busy(struct mr_steer *s, uint16_t port);
/* The next busy port from `from` on; MR_STEER_PORTS: none. */
uint32_t mr_steer_next_busy(const struct mr_steer *s, uint32_t from);

#endif
