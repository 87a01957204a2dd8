/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * packet.h - what the steps share about the packet, and the result of a step.
 */
#ifndef MR_BPF_PACKET_H
#define MR_BPF_PACKET_H

#include "cursor.h"

/* Protocol numbers that the kernel defines only as macros, which BTF does not have. */
#define ETH_P_IP     0x0800
#define ETH_P_ARP    0x0806
#define ETH_P_8021Q  0x8100
#define ETH_P_IPV6   0x86dd
#define ETH_P_8021AD 0x88a8

#define NEXTHDR_HOP	 0
#define NEXTHDR_ROUTING	 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_ICMP	 58
#define NEXTHDR_DEST	 60

/* IPv4 addresses are stored as mapped IPv6 addresses, ::ffff:a.b.c.d. */
#define V4_MAPPED bpf_htonl(0xffff)

struct packet {
	struct xdp_md *ctx;
	struct cursor c;

	__be32 saddr[4], daddr[4];
	__be16 sport, dport, tcp_check; /* TCP only: set by check_tcp() */

	__be16 eth_proto; /* Ethernet type of the L3 header */
	bool eth_group;	  /* the Ethernet destination is a broadcast or multicast address */

	/* The first fault of the IP header and of the length of what follows it. It is acted on only if the packet
	 * turns out to be ours; others' packets are left to the kernel. */
	enum mr_drop fault;

	__u8 l4_proto;	      /* IPPROTO_*; 0: it could not be determined */
	__u8 hlim;	      /* IPv6 */
	__u16 l3_off, l4_off; /* from the first byte of the Ethernet header */
	__u32 l3_hlen;	      /* IPv4: bytes of the header */
	__u32 l4_len;	      /* bytes of L4 header and payload; 0 if fault is about that */
	__u16 pay_off, pay_len;

	__u16 flags; /* MR_META_* */
	enum mr_csum_verdict csum;
	enum mr_xdp_verdict redirect; /* how it is counted if it is redirected to the engine */
};

/*
 * The result of a step: NEXT (no objection, continue with the next step), or how the packet leaves.
 * Bits 0-7: enum mr_xdp_verdict; 8-15: enum mr_drop; 16-23: if it is redirected, the verdict on its checksum
 * (MR_XDP_CSUM_*, 0 for ARP). EXIT distinguishes all of these from NEXT.
 */
#define NEXT			0
#define EXIT			(1u << 24)
#define PASS(name)		(EXIT | MR_XDP_PASS_##name)
#define DROP_FOR(reason)	(EXIT | MR_XDP_DROP | (reason) << 8)
#define DROP(name)		DROP_FOR(MR_DROP_##name)
#define REDIRECT(verdict, csum) (EXIT | (verdict) | (csum) << 16)

static __always_inline bool is_ipv4(const struct packet *p)
{
	return p->eth_proto == bpf_htons(ETH_P_IP);
}

#endif
