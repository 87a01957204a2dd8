/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.h - kernel sockets that hold local TCP ports, and the kernel's connections on a port.
 */
#ifndef MR_KERNEL_PORTS_H
#define MR_KERNEL_PORTS_H

#include "base/addr.h"

/* Hold a port at an address, or at any address: :: (both families unless v6only) or 0.0.0.0. *port 0: the kernel
 * chooses one, and *port is set. ifindex: the interface of a link-local address. reuseport: other sockets of this
 * user with SO_REUSEPORT may hold it, too. Returns a socket that neither listens nor connects, which the caller owns:
 * while it is open, the kernel gives the port to nobody else. Or a negative errno: -EADDRINUSE, -EACCES (below 1024),
 * -EADDRNOTAVAIL. */
int mr_port_hold(const struct mr_addr *addr, bool v6only, bool reuseport, int ifindex,
		 uint16_t *port);

/* Has the kernel TCP connections, in any state, on this port at one of these addresses to another host? Returns 1, 0
 * or a negative errno. */
int mr_port_busy(const struct mr_addr *addrs, unsigned naddrs, uint16_t port);

#endif
