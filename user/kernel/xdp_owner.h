/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_owner.h - which process holds the XDP program that is attached to an interface?
 */
#ifndef MR_KERNEL_XDP_OWNER_H
#define MR_KERNEL_XDP_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* What a keeper calls itself once no program needs it any more: who waits for the interface need not give up. */
#define MR_KEEPER_NAME	 "millrace-keeper"
#define MR_KEEPER_ENDING "millrace-ending"

struct mr_xdp_owner {
	pid_t pid;
	char command[96]; /* its command line, as far as it fits; no control characters */
	bool millrace;	  /* one of ours */
	bool ending;	  /* it gives the interface back by itself, soon */
};

/* Look for a process that holds a bpf_link on the interface, in this network namespace. False: there is none that may
 * be seen (others' processes need CAP_SYS_PTRACE), or the program is held by the interface itself. Looks at the
 * descriptors of every process. */
bool mr_xdp_owner_find(int ifindex, struct mr_xdp_owner *owner);

#endif
