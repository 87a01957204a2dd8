/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ifinfo.h - properties of a network interface, read from the kernel once at start.
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
	char driver[32]; /* "veth", "ixgbe", ...; "": unknown */
	bool veth;
	bool up;  /* administratively up */
	bool xdp; /* an XDP program is attached */
	/* The driver supports AF_XDP zero copy; false also before Linux 6.3, which does not report it. */
	bool zero_copy;
	/* The interface that this one is a port of ("": none), and its kind: "bridge", "bond", "vrf", ... ("":
	 * unknown). */
	char master[IFNAMSIZ], master_kind[16];
	int master_index;
};

/* Returns 0; -ENODEV (no such interface in this network namespace) or -EINVAL (not Ethernet), with one sentence in
 * *err (may be NULL); or another negative errno. *out is set only on success. */
int mr_ifinfo_get(const char *ifname, struct mr_ifinfo *out, struct mr_error *err);

#endif
