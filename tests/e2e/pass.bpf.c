// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* pass.bpf.c - an XDP program that lets everything pass: what millrace finds when it comes second, and what any XDP
 * program costs at the least (scripts/bench-bystander). */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("xdp.frags")
int xdp_pass_frags(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
