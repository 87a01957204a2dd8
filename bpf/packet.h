/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * packet.h - what the steps know of the packet at hand, and how a step says what is to be done.
 */
#ifndef MR_BPF_PACKET_H
#define MR_BPF_PACKET_H

#include "cursor.h"

/* Numbers of the wire that the kernel has only as macros, which BTF does not carry. */
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

/* Addresses of the two families in one type; an IPv4 one is ::ffff:a.b.c.d. */
#define V4_MAPPED bpf_htonl(0xffff)

struct packet {
	struct xdp_md *ctx;
	struct cursor c;

	__be32 saddr[4], daddr[4];
	__be16 sport, dport, tcp_check; /* of TCP, once check_tcp() has run */

	__be16 eth_proto; /* of the L3 header */
	bool eth_group;	  /* the Ethernet destination is a broadcast or multicast address */

	/* The first thing wrong with the IP header and the length of what follows it. It is kept,
	 * not acted on, until the packet proves to be ours: others' packets are the kernel's to
	 * judge. */
	enum mr_drop fault;

	__u8 l4_proto;	      /* IPPROTO_*, 0 where it could not be found */
	__u8 hlim;	      /* IPv6 */
	__u16 l3_off, l4_off; /* from the first byte of the Ethernet header */
	__u32 l3_hlen;	      /* IPv4: bytes of the header */
	__u32 l4_len;	      /* bytes of L4 header and payload; 0 where fault says so */
	__u16 pay_off, pay_len;

	__u16 flags; /* MR_META_* */
	enum mr_csum_verdict csum;
	enum mr_xdp_verdict redirect; /* what it counts as when it goes to the engine */
};

/*
 * What a step returns: NEXT (no objection, ask the following step) or how the packet leaves.
 * Bits 0-7: enum mr_xdp_verdict; 8-15: enum mr_drop; 16-23: of a packet that is redirected, the
 * verdict on its checksum (MR_XDP_CSUM_*, 0 for ARP); EXIT tells all of it from NEXT.
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
