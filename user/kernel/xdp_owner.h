/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_owner.h - finds the process that holds the XDP program which is attached to an interface.
 */
#ifndef MR_KERNEL_XDP_OWNER_H
#define MR_KERNEL_XDP_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* Process names of a keeper: while programs use it, and when it is about to end and give the interface back. */
#define MR_KEEPER_NAME	 "millrace-keeper"
#define MR_KEEPER_ENDING "millrace-ending"

struct mr_xdp_owner {
	pid_t pid;
	char command[96]; /* its command line, cut off, without control characters */
	bool millrace;	  /* it is a keeper */
	bool ending;	  /* it will give the interface back soon */
};

/* Find a process in this network namespace that holds a bpf_link on the interface. Returns false if none is visible
 * (CAP_SYS_PTRACE is needed for other users' processes), or if the interface itself holds the program. Reads the
 * descriptors of every process. */
bool mr_xdp_owner_find(int ifindex, struct mr_xdp_owner *owner);

#endif
