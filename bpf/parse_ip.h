/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * parse_ip.h - IPv4 with options and IPv6 with extension headers, up to the L4 header.
 *
 * Nothing is dropped here. Addresses are read where the Ethernet type says they are. Any fault of the rest is
 * recorded in p->fault, and check_ip() acts on it if the packet is ours. A packet whose header is too short for a
 * destination is passed.
 *
 * Headers must be in the linear part of a multi-buffer packet. Generic XDP and drivers put everything there that fits
 * (3520 bytes on veth).
 */
#ifndef MR_BPF_PARSE_IP_H
#define MR_BPF_PARSE_IP_H

#include "packet.h"

#define IP_MF	  0x2000 /* in frag_off: more fragments */
#define IP_OFFSET 0x1fff

#define IP6_MF	   0x0001 /* in frag_off (RFC 8200 section 4.5) */
#define IP6_OFFSET 0xfff8

#define EXTHDRS_MAX 6 /* RFC 8200 section 4.1 has six that may precede the L4 header */

static __always_inline void note_fault(struct packet *p, enum mr_drop fault)
{
	if (!p->fault)
		p->fault = fault;
}

/* Has the frame len bytes from l3_off on? For almost all packets comparing pointers is sufficient. */
static __always_inline bool frame_holds(const struct packet *p, __u32 len)
{
	void *data = (void *)(long)p->ctx->data;
	__u32 end = p->l3_off + len;

	if (data + end <= p->c.end)
		return true;
	return end <= bpf_xdp_get_buff_len(p->ctx);
}

/* Set the offset of the L4 header. Its contents are checked by later steps. */
static __always_inline void found_l4(struct packet *p, __u8 proto, __u32 off, __u32 len)
{
	p->c = cursor_at(p->ctx, off);
	p->l4_off = off;
	p->l4_len = len;
	p->l4_proto = proto;
}

static __always_inline int parse_ipv4(struct packet *p)
{
	struct iphdr *ip = cursor_take(&p->c, sizeof(*ip));
	__u32 version, tot_len;

	if (!ip)
		return PASS(NOT_OURS);
	/* The header's bit fields have the byte order of the machine on which vmlinux.h was made. */
	version = *(__u8 *)ip >> 4;
	p->l3_hlen = (*(__u8 *)ip & 0xf) * 4;
	tot_len = bpf_ntohs(ip->tot_len);
	p->saddr[2] = p->daddr[2] = V4_MAPPED;
	p->saddr[3] = ip->saddr;
	p->daddr[3] = ip->daddr;

	if (version != 4)
		note_fault(p, MR_DROP_IP_BAD_VERSION);
	if (p->l3_hlen < sizeof(*ip)) {
		note_fault(p, MR_DROP_IP_BAD_HDRLEN);
		return NEXT;
	}
	if (tot_len < p->l3_hlen) {
		note_fault(p, MR_DROP_IP_BAD_LEN);
		return NEXT;
	}
	if (!frame_holds(p, tot_len))
		note_fault(p, MR_DROP_IP_TRUNCATED);
	if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET))
		p->flags |= MR_META_FRAGMENT;
	found_l4(p, ip->protocol, p->l3_off + p->l3_hlen, tot_len - p->l3_hlen);
	return NEXT;
}

/* Is this an extension header that can be skipped? What follows any other one is not examined. */
static __always_inline bool is_skippable(__u32 nexthdr)
{
	return nexthdr == NEXTHDR_HOP || nexthdr == NEXTHDR_ROUTING || nexthdr == NEXTHDR_DEST ||
	       nexthdr == NEXTHDR_FRAGMENT;
}

/* Result of step_over_exthdrs(): bits 0-7 protocol, 8 fragment, 16-31 offset, 32-47 length. */
#define EXT_FRAGMENT		   (1u << 8)
#define EXT_FOUND(proto, off, len) ((__s64)((__u64)(len) << 32 | (off) << 16 | (proto)))

/* Skip the extension headers at off. nexthdr: type of the first one; left: bytes from off to the end of the packet.
 * Negative: they are malformed or too many. A global function, so that the verifier does not follow each combination
 * of headers through the rest of the program. */
__noinline __s64 step_over_exthdrs(struct xdp_md *ctx, __u32 off, __u32 nexthdr, __u32 left)
{
	struct cursor c = cursor_at(ctx, off);

	for (int i = 0; i < EXTHDRS_MAX; i++) {
		struct frag_hdr *frag; /* the first 8 bytes, which every extension header has */
		__u32 len = sizeof(*frag);

		if (!is_skippable(nexthdr))
			return EXT_FOUND(nexthdr, off, left);
		frag = cursor_take(&c, sizeof(*frag));
		if (!frag || (nexthdr == NEXTHDR_HOP && i > 0))
			return -1;
		if (nexthdr != NEXTHDR_FRAGMENT)
			/* In this position: length beyond the first 8 bytes. */
			len += frag->reserved * 8;
		if (len > left)
			return -1;
		left -= len;
		off += len;
		/* an atomic fragment (RFC 6946) is a whole packet */
		if (nexthdr == NEXTHDR_FRAGMENT && frag->frag_off & bpf_htons(IP6_MF | IP6_OFFSET))
			return EXT_FOUND(frag->nexthdr | EXT_FRAGMENT, off, left);
		nexthdr = frag->nexthdr;
		c = cursor_at(ctx, off);
	}
	return is_skippable(nexthdr) ? -1 : EXT_FOUND(nexthdr, off, left);
}

static __always_inline int parse_ipv6(struct packet *p)
{
	struct ipv6hdr *ip6 = cursor_take(&p->c, sizeof(*ip6));
	__u32 pay_len;
	__s64 l4;

	if (!ip6)
		return PASS(NOT_OURS);
	pay_len = bpf_ntohs(ip6->payload_len);
	p->hlim = ip6->hop_limit;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		p->saddr[i] = ip6->saddr.in6_u.u6_addr32[i];
		p->daddr[i] = ip6->daddr.in6_u.u6_addr32[i];
	}
	/* A mapped address must not appear in packets (RFC 4291 section 2.5.5.2), and would be confused with the IPv4
	 * address in our maps. */
	if (!p->daddr[0] && !p->daddr[1] && p->daddr[2] == V4_MAPPED)
		return PASS(NOT_OURS);

	if (*(__u8 *)ip6 >> 4 != 6)
		note_fault(p, MR_DROP_IP_BAD_VERSION);
	if (!frame_holds(p, sizeof(*ip6) + pay_len))
		note_fault(p, MR_DROP_IP_TRUNCATED);
	l4 = step_over_exthdrs(p->ctx, p->c.off, ip6->nexthdr, pay_len);
	if (l4 < 0) {
		note_fault(p, MR_DROP_IP_EXTHDR);
		return NEXT;
	}
	if (l4 & EXT_FRAGMENT)
		p->flags |= MR_META_FRAGMENT;
	found_l4(p, (__u8)l4, l4 >> 16 & 0xffff, l4 >> 32);
	return NEXT;
}

static __always_inline int parse_ip(struct packet *p)
{
	if (is_ipv4(p))
		return parse_ipv4(p);
	if (p->eth_proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(p);
	return PASS(NOT_IP);
}

#endif
