/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * parse_eth.h - Ethernet, with up to two VLAN tags (802.1Q, 802.1ad).
 *
 * The engine uses untagged Ethernet. A priority tag (VLAN ID 0) only has a priority, so such a packet is steered like
 * an untagged one. A packet with any other VLAN ID belongs to a VLAN interface of the kernel, and is passed, whatever
 * its addresses.
 *
 * Only a tag in the packet is seen. A sender with tag offload (a veth peer, unless `ethtool -K PEER tx-vlan-offload
 * off`) keeps it beside the packet, where XDP cannot read it.
 */
#ifndef MR_BPF_PARSE_ETH_H
#define MR_BPF_PARSE_ETH_H

#include "packet.h"

#define VLAN_TAGS_MAX 2
#define VLAN_VID_MASK 0x0fff

static __always_inline bool is_vlan(__be16 eth_proto)
{
	return eth_proto == bpf_htons(ETH_P_8021Q) || eth_proto == bpf_htons(ETH_P_8021AD);
}

/* A frame that ends before the Ethernet type of its payload has no address: pass it. */
static __always_inline int parse_eth(struct packet *p)
{
	struct ethhdr *eth = cursor_take(&p->c, sizeof(*eth));
	__be16 tci = 0;

	if (!eth)
		return PASS(NOT_IP);
	p->eth_group = eth->h_dest[0] & 1;
	p->eth_proto = eth->h_proto;

#pragma unroll
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan_hdr *tag;

		if (!is_vlan(p->eth_proto))
			break;
		tag = cursor_take(&p->c, sizeof(*tag));
		if (!tag)
			return PASS(NOT_IP);
		tci |= tag->h_vlan_TCI;
		p->eth_proto = tag->h_vlan_encapsulated_proto;
		p->flags |= MR_META_VLAN;
	}
	if (tci & bpf_htons(VLAN_VID_MASK))
		return PASS(NOT_OURS);
	p->l3_off = p->c.off;
	return NEXT;
}

#endif
