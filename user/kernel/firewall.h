/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * firewall.h - has this host a firewall that an engine on its addresses would pass by?
 */
#ifndef MR_KERNEL_FIREWALL_H
#define MR_KERNEL_FIREWALL_H

#include <stddef.h>

/* Look for rules, and policies, that can stop packets which come in by the interface for this host, or
 * which this host sends: nftables, with what iptables keeps there, and the tables of the older iptables.
 * Which of them would stop which packet is not found out. Returns how many there are, 0 also where that
 * cannot be read; buf gets where they are, as "inet filter input (3), ip filter INPUT (1)". */
unsigned mr_firewall_find(const char *ifname, char *buf, size_t size);

#endif
