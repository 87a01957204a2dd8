/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * groups.h - the multicast groups that an interface listens to for the engine's IPv6 addresses.
 */
#ifndef MR_KERNEL_GROUPS_H
#define MR_KERNEL_GROUPS_H

#include "base/addr.h"

/* Let the interface receive what neighbours send to all nodes and to the solicited-node group of each
 * IPv6 address, until the descriptor is closed. The descriptor, which receives nothing itself; -ENOENT
 * where no address is IPv6; or the error of a system call. */
int mr_groups_join(int ifindex, const struct mr_prefix *addrs, unsigned naddrs);

#endif
