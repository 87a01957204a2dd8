/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * groups.h - membership of an interface in the multicast groups of the engine's IPv6 addresses.
 */
#ifndef MR_KERNEL_GROUPS_H
#define MR_KERNEL_GROUPS_H

#include "base/addr.h"

/* Let the interface receive the multicast groups all-nodes and the solicited-node group of each IPv6 address, until
 * the returned descriptor is closed; nothing can be read from it. -ENOENT: no address is IPv6; or another negative
 * errno. */
int mr_groups_join(int ifindex, const struct mr_prefix *addrs, unsigned naddrs);

#endif
