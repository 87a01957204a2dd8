/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * deliver.h - redirects a packet to the engine: writes the results of the steps in front of it (struct mr_rx_meta),
 * and sends it to the AF_XDP socket of its receive queue.
 */
#ifndef MR_BPF_DELIVER_H
#define MR_BPF_DELIVER_H

#include "csum.h"
#include "stats.h"

/* User space sets the size to the number of receive queues. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} mr_xsks SEC(".maps");

/* The metadata area is empty when the program starts, so ours is directly in front of the packet. Packet pointers are
 * invalid afterwards. */
static __always_inline int write_meta(struct packet *p)
{
	struct mr_rx_meta *meta;

	if (bpf_xdp_adjust_meta(p->ctx, -(int)sizeof(*meta)))
		return DROP(XDP_META);
	meta = (void *)(long)p->ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)p->ctx->data)
		return DROP(XDP_META);
	*meta = (struct mr_rx_meta){
		.magic = MR_RX_META_MAGIC,
		.cookie = mr_cfg.cookie,
		.l3_off = p->l3_off,
		.l4_off = p->l4_off,
		.pay_off = p->pay_off,
		.pay_len = p->pay_len,
		.eth_proto = p->eth_proto,
		.l4_proto = p->l4_proto,
		.csum = p->csum,
		.flags = p->flags,
		.rx_queue = p->ctx->rx_queue_index,
	};
	if (p->flags & MR_META_TCP) {
		/* Volatile reads, because the compiler may otherwise use the zeros that mr_cfg has before user space
		 * sets it. */
		const __u64 key[2] = { mr_cfg.hash_key[0], mr_cfg.hash_key[1] };

		meta->hash = mr_flow_hash(key, p->saddr, p->daddr, p->sport, p->dport);
	}
	return NEXT;
}

static __always_inline __u32 csum_counter(const struct packet *p)
{
	if (p->redirect == MR_XDP_REDIRECT_ARP)
		return 0;
	if (p->csum == MR_CSUM_GOOD)
		return MR_XDP_CSUM_GOOD;
	return p->csum == MR_CSUM_PARTIAL ? MR_XDP_CSUM_PARTIAL : MR_XDP_CSUM_UNVERIFIED;
}

static __always_inline int redirect(const struct packet *p)
{
	if (bpf_redirect_map(&mr_xsks, p->ctx->rx_queue_index, XDP_DROP) != XDP_REDIRECT)
		return DROP(XDP_NO_XSK);
	return REDIRECT(p->redirect, csum_counter(p));
}

#endif
