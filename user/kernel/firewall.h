/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * firewall.h - finds firewall rules of this host. They do not apply to an engine that shares its addresses.
 */
#ifndef MR_KERNEL_FIREWALL_H
#define MR_KERNEL_FIREWALL_H

#include <stddef.h>

/* Find rules and policies that can stop packets which arrive on the interface for this host, or which this host
 * sends: those of nftables (and of iptables on top of it), and those of legacy iptables. It is not evaluated which
 * packet each of them stops. Writes where they are into buf ("inet filter input (3), ip filter INPUT (1)"). Returns
 * how many there are; 0 also if that cannot be read. */
unsigned mr_firewall_find(const char *ifname, char *buf, size_t size);

#endif
