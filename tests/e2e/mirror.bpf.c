// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * mirror.bpf.c - generic XDP at the peer's end of a veth pair: TCP comes back, its two ends exchanged. Who connects
 * to the peer connects to himself, and the connection goes over the wire twice. The sum of the addresses stays
 * the same, and with it every checksum. (What tc sends back generic XDP at the other end does not look at.)
 */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

static void exchange(void *a, void *b, __u32 words)
{
	__u16 *x = a, *y = b;

	for (__u32 i = 0; i < words; i++) {
		__u16 t = x[i];

		x[i] = y[i];
		y[i] = t;
	}
}

SEC("xdp.frags")
int mirror(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip4 = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);

	if ((void *)(ip4 + 1) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP) && ip4->protocol == IPPROTO_TCP) {
		exchange(&ip4->saddr, &ip4->daddr, 2);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (void *)(ip6 + 1) <= end &&
		   ip6->nexthdr == IPPROTO_TCP) {
		exchange(&ip6->saddr, &ip6->daddr, 8);
	} else {
		return XDP_PASS;
	}
	exchange(eth->h_source, eth->h_dest, 3);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
