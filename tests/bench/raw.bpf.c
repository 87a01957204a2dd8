// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* raw.bpf.c - every packet to the AF_XDP socket of its queue: no parsing, no check, no metadata. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} raw_xsks SEC(".maps");

SEC("xdp.frags")
int raw_xdp(struct xdp_md *ctx)
{
	return bpf_redirect_map(&raw_xsks, ctx->rx_queue_index, XDP_PASS);
}
