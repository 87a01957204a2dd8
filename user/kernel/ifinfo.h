/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ifinfo.h - what the kernel says of a network interface, asked once at start.
 */
#ifndef MR_KERNEL_IFINFO_H
#define MR_KERNEL_IFINFO_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "millrace.h"

struct mr_ifinfo {
	int ifindex;
	char name[IFNAMSIZ];
	uint8_t mac[6];
	uint32_t mtu;	 /* bytes of the L3 packet */
	unsigned queues; /* receive queues in use, at least 1 */
	char driver[32]; /* "veth", "ixgbe", ...; "" where it does not say */
	bool veth;
	bool up;	/* administratively; the caller may warn */
	bool xdp;	/* an XDP program is attached */
	bool zero_copy; /* the driver has AF_XDP zero copy (told since Linux 6.3, else false) */
	/* What it belongs to, "" where it stands by itself, and what that is: "bridge", "bond", "vrf", ...; "": not said. */
	char master[IFNAMSIZ], master_kind[16];
	int master_index;
};

/* 0; -ENODEV (no such interface in this network namespace) or -EINVAL (not Ethernet), with one
 * sentence in *err (may be NULL); or the error of a system call. *out is set only on success. */
int mr_ifinfo_get(const char *ifname, struct mr_ifinfo *out, struct mr_error *err);

#endif
