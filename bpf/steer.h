/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * steer.h - is the packet ours? Decided from the maps that user space fills, before any payload is
 * read. What is not provably ours, the malformed included, is the kernel's to judge.
 *
 *	MR_ADDR_OWN	the whole address is ours, whatever the protocol
 *	MR_ADDR_SHARED	of it only TCP to a port in mr_ports, and ICMP errors about such TCP
 */
#ifndef MR_BPF_STEER_H
#define MR_BPF_STEER_H

#include "notes.h"

/* Capacity: addresses of one interface; ports, with each outgoing connection taking one. */
#define ADDRS_MAX 256
#define PORTS_MAX 65536

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ADDRS_MAX);
	__type(key, struct mr_addr_key);
	__type(value, __u32); /* MR_ADDR_* */
} mr_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* most engines open a handful */
	__type(key, struct mr_port_key);
	__type(value, __u32);
} mr_ports SEC(".maps");

static __always_inline __u32 addr_flags(const __be32 addr[4])
{
	__u32 *flags = bpf_map_lookup_elem(&mr_addrs, addr);

	return flags ? *flags : 0;
}

static __always_inline bool is_our_port(const __be32 addr[4], __be16 port)
{
	struct mr_port_key key = { { addr[0], addr[1], addr[2], addr[3] }, port, 0 };

	if (bpf_map_lookup_elem(&mr_ports, &key))
		return true;
	__builtin_memset(key.addr, 0, sizeof(key.addr)); /* any address of ours */
	return bpf_map_lookup_elem(&mr_ports, &key);
}

struct ports {
	__be16 source, dest;
};

/* ICMP errors that an end host acts on (RFC 1122 section 3.2.2, RFC 4443 section 3). A redirect
 * concerns routes: on a shared address these are the kernel's. */
static __always_inline bool is_icmp_error(const struct packet *p, __u8 type)
{
	if (p->l4_proto == NEXTHDR_ICMP)
		return type >= 1 && type <= 4;
	return type == 3 || type == 11 || type == 12;
}

/* Does an ICMP error quote TCP that was sent from a port of ours? The quoted source must be the
 * address that the error came to. Quoted IPv6 with extension headers is not: we send none. */
static __always_inline bool quotes_ours(struct packet *p)
{
	struct cursor c = p->c;
	struct ports *ports;
	__u8 *type = cursor_take(&c, 8); /* all ICMP error headers are 8 bytes long */

	if (!type || !is_icmp_error(p, *type))
		return false;
	if (p->l4_proto == NEXTHDR_ICMP) {
		struct ipv6hdr *ip6 = cursor_take(&c, sizeof(*ip6));

		if (!ip6 || ip6->nexthdr != IPPROTO_TCP)
			return false;
#pragma unroll
		for (int i = 0; i < 4; i++)
			if (ip6->saddr.in6_u.u6_addr32[i] != p->daddr[i])
				return false;
	} else {
		struct iphdr *ip = cursor_take(&c, sizeof(*ip));
		__u32 hlen;

		if (!ip || ip->protocol != IPPROTO_TCP || ip->saddr != p->daddr[3] ||
		    ip->frag_off & bpf_htons(IP_OFFSET))
			return false;
		hlen = (*(__u8 *)ip & 0xf) * 4;
		if (hlen < sizeof(*ip))
			return false;
		c = cursor_at(p->ctx, c.off - sizeof(*ip) + hlen);
	}
	ports = cursor_take(&c, sizeof(*ports));
	return ports && is_our_port(p->daddr, ports->source);
}

static __always_inline bool is_our_tcp(struct packet *p)
{
	struct cursor c = p->c;
	struct ports *ports = cursor_take(&c, sizeof(*ports));

	return ports && p->l4_len >= sizeof(*ports) && is_our_port(p->daddr, ports->dest);
}

static __always_inline bool is_icmp(const struct packet *p)
{
	return p->l4_proto == (is_ipv4(p) ? IPPROTO_ICMP : NEXTHDR_ICMP);
}

/* Neighbour discovery about an own address comes by multicast: a solicitation to the solicited-node
 * group, an advertisement of somebody who claims the address to all nodes (RFC 4861 section 7.2).
 * Such a claim concerns nobody else. Other advertisements are the kernel's, and noted. */
struct nd_msg {
	__u8 type, code;
	__be16 csum;
	__be32 flags;
	__be32 target[4];
};

static __always_inline bool is_nd_of_ours(struct packet *p)
{
	struct cursor c = p->c;
	struct nd_msg *nd;
	__be32 target[4];

	nd = cursor_take(&c, sizeof(*nd));
	if (!nd || (nd->type != ND_SOLICIT && nd->type != ND_ADVERT))
		return false;
	__builtin_memcpy(target, nd->target, sizeof(target)); /* a map key stands on the stack */
	return addr_flags(target) & MR_ADDR_OWN;
}

static __always_inline bool is_multicast(const struct packet *p)
{
	if (is_ipv4(p)) /* 224.0.0.0/4, and 240.0.0.0/4 with the broadcast address */
		return *(__u8 *)&p->daddr[3] >= 224;
	return *(__u8 *)p->daddr == 0xff;
}

static __always_inline int steer_ip(struct packet *p)
{
	__u32 flags;

	if (p->eth_group || is_multicast(p)) {
		if (is_ipv4(p) || !is_icmp(p) || p->flags & MR_META_FRAGMENT)
			return PASS(MULTICAST);
		if (!is_nd_of_ours(p))
			return note_nd(p) ? EXIT | MR_XDP_ND_NOTED : PASS(MULTICAST);
		p->redirect = MR_XDP_REDIRECT_ICMP;
		return NEXT;
	}
	flags = addr_flags(p->daddr);
	if (!flags)
		return PASS(NOT_OURS);
	if (!(flags & MR_ADDR_OWN) && p->flags & MR_META_FRAGMENT)
		return PASS(FRAGMENT);

	p->redirect = MR_XDP_REDIRECT_OTHER;
	if (p->flags & MR_META_FRAGMENT)
		return NEXT;
	if (p->l4_proto == IPPROTO_TCP) {
		p->redirect = MR_XDP_REDIRECT_TCP;
		return flags & MR_ADDR_OWN || is_our_tcp(p) ? NEXT : PASS(NOT_OURS);
	}
	if (is_icmp(p)) {
		p->redirect = MR_XDP_REDIRECT_ICMP;
		return flags & MR_ADDR_OWN || quotes_ours(p) ? NEXT : PASS(NOT_OURS);
	}
	return flags & MR_ADDR_OWN ? NEXT : PASS(NOT_OURS);
}

#endif
