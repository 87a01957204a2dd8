/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * check.h - sanity checks of packets that are ours: drops what no correct sender sends, each with its own reason. These
 * checks read headers only; the checksums are in csum.h.
 */
#ifndef MR_BPF_CHECK_H
#define MR_BPF_CHECK_H

#include "packet.h"

/* The fields of struct tcphdr, with the flags as one byte. */
struct tcp_wire {
	__be16 source, dest;
	__be32 seq, ack;
	__u8 doff; /* data offset in words, upper four bits */
	__u8 flags;
	__be16 window, check, urg;
};
_Static_assert(sizeof(struct tcp_wire) == 20, "RFC 9293 section 3.1");

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* RFC 1122 section 3.2.1.3: this network, loopback, class D and E with the limited broadcast. */
static __always_inline bool is_martian_v4(__be32 addr)
{
	__u8 first = *(__u8 *)&addr;

	return first == 0 || first == 127 || first >= 224;
}

/* RFC 4291 section 2.5: multicast, loopback, mapped; unspecified only in ICMPv6 (duplicate address
 * detection, RFC 4862 section 5.4). */
static __always_inline bool is_martian_v6(const struct packet *p)
{
	const __be32 *a = p->saddr;

	if (*(__u8 *)a == 0xff)
		return true;
	if (a[0] || a[1])
		return false;
	if (a[2])
		return a[2] == V4_MAPPED;
	return a[3] == bpf_htonl(1) || (!a[3] && p->l4_proto != NEXTHDR_ICMP);
}

static __always_inline int check_ip(const struct packet *p)
{
	if (p->fault)
		return DROP_FOR(p->fault);
	if (is_ipv4(p) ? is_martian_v4(p->saddr[3]) : is_martian_v6(p))
		return DROP(IP_MARTIAN_SRC);
	/* For all ports: a packet that arrives on an interface was not sent by its own address. */
	if (p->saddr[0] == p->daddr[0] && p->saddr[1] == p->daddr[1] &&
	    p->saddr[2] == p->daddr[2] && p->saddr[3] == p->daddr[3])
		return p->redirect == MR_XDP_REDIRECT_TCP ? DROP(TCP_LAND) : DROP(IP_MARTIAN_SRC);
	return NEXT;
}

/* Correct segments have at least one of SYN, RST and ACK, and at most one of SYN, RST and FIN (RFC 9293 section
 * 3.10.7 has no case for others). PSH, URG, ECE and CWR may be set in any; reserved bits are ignored. */
static __always_inline bool are_flags_impossible(__u8 flags)
{
	if (!(flags & (TCP_SYN | TCP_RST | TCP_ACK)))
		return true;
	if (flags & TCP_SYN)
		return flags & (TCP_RST | TCP_FIN);
	return (flags & TCP_RST) && (flags & TCP_FIN);
}

static __always_inline int check_tcp(struct packet *p)
{
	struct tcp_wire *tcp = cursor_take(&p->c, sizeof(*tcp));
	__u32 hlen;

	if (!tcp || p->l4_len < sizeof(*tcp))
		return DROP(TCP_TRUNCATED);
	hlen = (tcp->doff >> 4) * 4;
	if (hlen < sizeof(*tcp) || hlen > p->l4_len)
		return DROP(TCP_BAD_HDRLEN);
	if (are_flags_impossible(tcp->flags))
		return DROP(TCP_BAD_FLAGS);
	p->tcp_check = tcp->check;
	p->sport = tcp->source;
	p->dport = tcp->dest;
	if (!p->sport || !p->dport)
		return DROP(TCP_PORT_ZERO);
	p->pay_off = p->l4_off + hlen;
	p->pay_len = p->l4_len - hlen;
	p->flags |= MR_META_TCP;
	return NEXT;
}

#define ICMP_HLEN 8

static __always_inline int check_icmp(struct packet *p)
{
	if (!cursor_take(&p->c, ICMP_HLEN) || p->l4_len < ICMP_HLEN)
		return DROP(ICMP_TRUNCATED);
	return NEXT;
}

static __always_inline int check_l4(struct packet *p)
{
	if (p->redirect == MR_XDP_REDIRECT_TCP)
		return check_tcp(p);
	if (p->redirect == MR_XDP_REDIRECT_ICMP)
		return check_icmp(p);
	return NEXT;
}

#endif
