/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.h - local TCP ports as the kernel sees them: hold one, and ask what it has on one.
 */
#ifndef MR_KERNEL_PORTS_H
#define MR_KERNEL_PORTS_H

#include "base/addr.h"

/* Take a port (0: one that the kernel chooses, *port tells which) at an address, or at any: ::, which is
 * both families unless v6only, or 0.0.0.0. ifindex is the link that a link-local address is on. The
 * socket, which neither listens nor connects (nor, with reuseport, minds others of this user that say so), is
 * the caller's: while it is open the kernel gives the port to nobody else. Or a negative errno: -EADDRINUSE,
 * -EACCES (below 1024), -EADDRNOTAVAIL. */
int mr_port_hold(const struct mr_addr *addr, bool v6only, bool reuseport, int ifindex,
		 uint16_t *port);

/* Has the kernel TCP connections, whatever their state, between this port at one of these addresses and
 * another host? 1, 0 or a negative errno. */
int mr_port_busy(const struct mr_addr *addrs, unsigned naddrs, uint16_t port);

#endif
