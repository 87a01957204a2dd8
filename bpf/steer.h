/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * steer.h - decides whether a packet is for the engine ("ours"), from the maps that user space fills, before any
 * payload is read. What is not certainly ours, malformed packets included, is passed to the kernel.
 *
 *	MR_ADDR_OWN	the whole address is ours, for every protocol
 *	MR_ADDR_SHARED	ours are: TCP to a port in mr_ports, also in fragments, and ICMP errors about such TCP; except
 *			what belongs to a connection of the kernel
 */
#ifndef MR_BPF_STEER_H
#define MR_BPF_STEER_H

#include "notes.h"

#define ADDRS_MAX 256
#define PORTS_MAX 65536

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ADDRS_MAX);
	__type(key, struct mr_addr_key);
	__type(value, __u32); /* MR_ADDR_*, with the slot of a shared address */
} mr_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct mr_steer_port);
} mr_ports SEC(".maps");

static __always_inline __u32 addr_flags(const __be32 addr[4])
{
	__u32 *flags = bpf_map_lookup_elem(&mr_addrs, addr);

	return flags ? *flags : 0;
}

/* ---- Ports of shared addresses --------------------------------------------------------------- */

/* The 4-tuple of a TCP segment, or of the one that an ICMP error quotes. */
struct flow {
	__be32 remote[4], local[4];
	__be16 rport, lport;
};

/* Has the kernel this connection, in any state except LISTEN? Looks it up in the interface's network namespace.
 * TIME-WAIT counts, too, even for a SYN: the kernel answers, the peer sends a reset, and its next SYN is ours. A
 * global function, so that the verifier walks it once, and not once for each caller. */
__noinline int kernel_has(struct xdp_md *ctx, const struct flow *f)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	__u32 size, state;

	if (!f)
		return 0;
	if (f->local[2] == V4_MAPPED && !f->local[0] && !f->local[1]) {
		t.ipv4.saddr = f->remote[3];
		t.ipv4.daddr = f->local[3];
		t.ipv4.sport = f->rport;
		t.ipv4.dport = f->lport;
		size = sizeof(t.ipv4);
	} else {
		__builtin_memcpy(t.ipv6.saddr, f->remote, sizeof(t.ipv6.saddr));
		__builtin_memcpy(t.ipv6.daddr, f->local, sizeof(t.ipv6.daddr));
		t.ipv6.sport = f->rport;
		t.ipv6.dport = f->lport;
		size = sizeof(t.ipv6);
	}
	sk = bpf_skc_lookup_tcp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state != BPF_TCP_LISTEN;
}

/* Is a segment to a shared address with this slot ours? syn: it opens a connection. */
static __always_inline int steer_port(struct packet *p, __u32 slot, const struct flow *f, bool syn)
{
	__u32 key = bpf_ntohs(f->lport);
	struct mr_steer_port *port = bpf_map_lookup_elem(&mr_ports, &key);
	__u64 bit = 1ull << (slot & 63), divert;

	if (!port)
		return PASS(NOT_OURS);
	divert = *(volatile __u64 *)&port->divert;
	if (!(divert & bit))
		return PASS(NOT_OURS);
	if (divert & MR_STEER_KERNEL &&
	    ((syn && !(*(volatile __u64 *)&port->listen & bit)) || kernel_has(p->ctx, f)))
		return PASS(KERNEL);
	return NEXT;
}

/* ICMP errors that a host processes (RFC 1122 section 3.2.2, RFC 4443 section 3). A redirect is about routes, which
 * on a shared address are the kernel's. */
static __always_inline bool is_icmp_error(const struct packet *p, __u8 type)
{
	if (p->l4_proto == NEXTHDR_ICMP)
		return type >= 1 && type <= 4;
	return type == 3 || type == 11 || type == 12;
}

struct ports {
	__be16 source, dest;
};

/* The flow of the segment that an ICMP error quotes, if it was sent from the error's destination. Quoted IPv6 packets
 * with extension headers are not ours, because we send none. */
static __always_inline bool quoted_flow(struct packet *p, struct flow *f)
{
	struct cursor c = p->c;
	struct ports *ports;
	__u8 *type = cursor_take(&c, 8); /* all ICMP error headers are 8 bytes long */

	if (!type || !is_icmp_error(p, *type))
		return false;
	__builtin_memcpy(f->local, p->daddr, sizeof(f->local));
	if (p->l4_proto == NEXTHDR_ICMP) {
		struct ipv6hdr *ip6 = cursor_take(&c, sizeof(*ip6));

		if (!ip6 || ip6->nexthdr != IPPROTO_TCP)
			return false;
#pragma unroll
		for (int i = 0; i < 4; i++) {
			if (ip6->saddr.in6_u.u6_addr32[i] != p->daddr[i])
				return false;
			f->remote[i] = ip6->daddr.in6_u.u6_addr32[i];
		}
	} else {
		struct iphdr *ip = cursor_take(&c, sizeof(*ip));
		__u32 hlen;

		if (!ip || ip->protocol != IPPROTO_TCP || ip->saddr != p->daddr[3] ||
		    ip->frag_off & bpf_htons(IP_OFFSET))
			return false;
		hlen = (*(__u8 *)ip & 0xf) * 4;
		if (hlen < sizeof(*ip))
			return false;
		f->remote[2] = V4_MAPPED;
		f->remote[3] = ip->daddr;
		c = cursor_at(p->ctx, c.off - sizeof(*ip) + hlen);
	}
	ports = cursor_take(&c, sizeof(*ports));
	if (!ports)
		return false;
	f->lport = ports->source;
	f->rport = ports->dest;
	return true;
}

static __always_inline int steer_quoted(struct packet *p, __u32 slot)
{
	struct flow f = {};

	return quoted_flow(p, &f) ? steer_port(p, slot, &f, false) : PASS(NOT_OURS);
}

#define TCP_FLAGS_AT 13 /* RFC 9293 section 3.1 */
#define SYN_ALONE    0x02
#define SYN_AND_ACK  0x12

static __always_inline int steer_tcp(struct packet *p, __u32 slot)
{
	struct cursor c = p->c;
	struct ports *ports = cursor_take(&c, sizeof(*ports));
	struct flow f = {};
	__u8 *rest;

	if (!ports || p->l4_len < sizeof(*ports))
		return PASS(NOT_OURS);
	__builtin_memcpy(f.remote, p->saddr, sizeof(f.remote));
	__builtin_memcpy(f.local, p->daddr, sizeof(f.local));
	f.rport = ports->source;
	f.lport = ports->dest;
	rest = cursor_take(&c, TCP_FLAGS_AT + 1 - sizeof(*ports));
	return steer_port(p, slot, &f,
			  rest && (rest[TCP_FLAGS_AT - sizeof(*ports)] & SYN_AND_ACK) == SYN_ALONE);
}

/* ---- Fragments ------------------------------------------------------------------------------- */

/* Only the first fragment has the port. Later ones are recognised by the datagram's ID. A fragment that arrives
 * before the first one goes to the kernel, which drops it when reassembly times out. */
struct fragment_key {
	__be32 saddr[4], daddr[4];
	__be32 id;
};

#define FRAGMENTED_MAX 1024

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENTED_MAX);
	__type(key, struct fragment_key);
	__type(value, __u8);
} mr_fragmented SEC(".maps");

static __always_inline bool fragment_of(struct packet *p, struct fragment_key *key, bool *first)
{
	struct cursor c =
		cursor_at(p->ctx, is_ipv4(p) ? p->l3_off : p->l4_off - sizeof(struct frag_hdr));

	__builtin_memcpy(key->saddr, p->saddr, sizeof(key->saddr));
	__builtin_memcpy(key->daddr, p->daddr, sizeof(key->daddr));
	if (is_ipv4(p)) {
		struct iphdr *ip = cursor_take(&c, sizeof(*ip));

		if (!ip)
			return false;
		key->id = ip->id;
		*first = !(ip->frag_off & bpf_htons(IP_OFFSET));
	} else {
		struct frag_hdr *frag = cursor_take(&c, sizeof(*frag));

		if (!frag)
			return false;
		key->id = frag->identification;
		*first = !(frag->frag_off & bpf_htons(IP6_OFFSET));
	}
	return true;
}

static __always_inline int steer_fragment(struct packet *p, __u32 slot)
{
	struct fragment_key key = {};
	__u8 any = 0;
	bool first;

	if (p->l4_proto != IPPROTO_TCP || !fragment_of(p, &key, &first))
		return PASS(FRAGMENT);
	if (!first)
		return bpf_map_lookup_elem(&mr_fragmented, &key) ? NEXT : PASS(FRAGMENT);
	if (steer_tcp(p, slot)) {
		/* A datagram of ours may have had this ID before. */
		bpf_map_delete_elem(&mr_fragmented, &key);
		return PASS(FRAGMENT);
	}
	bpf_map_update_elem(&mr_fragmented, &key, &any, BPF_ANY);
	return NEXT;
}

/* ---- The decision ---------------------------------------------------------------------------------- */

static __always_inline bool is_icmp(const struct packet *p)
{
	return p->l4_proto == (is_ipv4(p) ? IPPROTO_ICMP : NEXTHDR_ICMP);
}

/* Neighbour discovery about an address of our own arrives by multicast: solicitations at the solicited-node group,
 * and an advertisement of another host that claims the address at all-nodes (RFC 4861 section 7.2). Such a claim is
 * only for us. Other advertisements are passed to the kernel, and noted. */
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
	__builtin_memcpy(target, nd->target, sizeof(target)); /* a map key has to be on the stack */
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
	p->redirect = MR_XDP_REDIRECT_OTHER;
	if (p->flags & MR_META_FRAGMENT)
		return flags & MR_ADDR_OWN ? NEXT : steer_fragment(p, MR_ADDR_SLOT_OF(flags));
	if (p->l4_proto == IPPROTO_TCP) {
		p->redirect = MR_XDP_REDIRECT_TCP;
		return flags & MR_ADDR_OWN ? NEXT : steer_tcp(p, MR_ADDR_SLOT_OF(flags));
	}
	if (is_icmp(p)) {
		p->redirect = MR_XDP_REDIRECT_ICMP;
		return flags & MR_ADDR_OWN ? NEXT : steer_quoted(p, MR_ADDR_SLOT_OF(flags));
	}
	return flags & MR_ADDR_OWN ? NEXT : PASS(NOT_OURS);
}

#endif
