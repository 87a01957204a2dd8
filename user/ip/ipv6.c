// SPDX-License-Identifier: BSD-2-Clause
/*
 * ipv6.c - IPv6 headers with the extension headers that a host must process: parsing and checks on input, writing on
 * output.
 * Implements  RFC 8200 sections 3, 4 and 8; RFC 4291 section 2 (valid sources, our groups); RFC 5095 (routing header
 *             0 is refused); RFC 6437 (flow label); RFC 6946 (atomic fragments), RFC 7112 (all headers in the first
 *             fragment).
 * Called by   the engine's receive pipeline (input) and output.c, on the engine's thread only.
 * Not here    ICMPv6 (icmp6.c), next hops (route.c), reassembly (reasm.c).
 */
#include <linux/if_ether.h>
#include <netinet/in.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "ip/ip_priv.h"

#define EXTHDRS_MAX 6 /* as the XDP program: RFC 8200 section 4.1 names six */

#define OPT_PAD1	 0
#define OPT_ROUTER_ALERT 5
#define OPT_ACTION(type) ((type) >> 6) /* RFC 8200 section 4.2: what to do with an unknown type */
#define ACTION_SKIP	 0
#define ACTION_DISCARD	 1
#define ACTION_REPORT	 2 /* discard, and send an error */
#define ACTION_REPORT_1	 3 /* the same, unless the packet was multicast */

/* The walk over the headers of one packet. */
struct walk {
	struct mr_ip *ip;
	struct mr_frame *f;
	uint8_t *iph;
	uint64_t now;
	bool multicast;
	uint32_t off;	     /* offset of the present header, from iph */
	uint32_t nexthdr_at; /* offset of the byte that has its type */
	bool fragmented;     /* there was a fragment header */
	bool whole;	     /* put together */
	bool router_alert;
};

static enum mr_drop complain(const struct walk *w, uint8_t code, uint32_t pointer)
{
	mr_icmp6_error(w->ip, w->f, w->iph, MR_ICMP6_PARAM_PROBLEM, code, pointer, w->now);
	return MR_DROP_IP_OPTION;
}

/* Process the options of a hop-by-hop or destination header that is len bytes long. None of the known ones matters to
 * a host; unknown ones are treated as their type demands. */
static enum mr_drop check_options(struct walk *w, uint32_t len)
{
	const uint8_t *h = w->iph + w->off;

	for (uint32_t at = 2; at < len;) {
		if (h[at] == OPT_PAD1) {
			at++;
			continue;
		}
		if (len - at < 2 || h[at + 1] > len - at - 2)
			return MR_DROP_IP_EXTHDR;
		w->router_alert |= h[at] == OPT_ROUTER_ALERT && h[at + 1] == 2;
		switch (OPT_ACTION(h[at])) {
		case ACTION_SKIP:
			break;
		case ACTION_REPORT_1:
			if (w->multicast)
				return MR_DROP_IP_OPTION;
			/* fall through */
		case ACTION_REPORT:
			return complain(w, MR_ICMP6_BAD_OPTION, w->off + at);
		default:
			return MR_DROP_IP_OPTION;
		}
		at += 2u + h[at + 1];
	}
	return MR_DROP_NONE;
}

/* Is this a fragment, and not a whole datagram? */
static bool is_part(const uint8_t *h)
{
	return mr_load16(h + IPV6_FRAG_OFF) & (IPV6_FRAG_MORE | IPV6_FRAG_MASK);
}

/* Process the present extension header, which has len bytes. */
static enum mr_drop check_exthdr(struct walk *w, uint8_t kind, uint32_t len)
{
	const uint8_t *h = w->iph + w->off;

	switch (kind) {
	case IPPROTO_HOPOPTS:
		if (w->off != MR_IPV6_HLEN) /* RFC 8200 section 4.1: only as the first header */
			return complain(w, MR_ICMP6_BAD_NEXTHDR, w->nexthdr_at);
		return check_options(w, len);
	case IPPROTO_DSTOPTS:
		return check_options(w, len);
	case IPPROTO_ROUTING:
		/* No routing type is supported. With segments left, the packet is not for us but to be forwarded. */
		return h[3] ? complain(w, MR_ICMP6_BAD_FIELD, w->off + 2) : MR_DROP_NONE;
	default: /* an atomic fragment (RFC 6946), or of a reassembled datagram */
		return is_part(h) ? MR_DROP_IP_EXTHDR : MR_DROP_NONE;
	}
}

static bool is_exthdr(uint8_t kind)
{
	return kind == IPPROTO_HOPOPTS || kind == IPPROTO_DSTOPTS || kind == IPPROTO_ROUTING ||
	       kind == IPPROTO_FRAGMENT;
}

/* Process all extension headers up to the L4 header or a fragment header, at which w->off is on success. They must be
 * in the first chunk, as everything that decisions depend on (RFC 7112). */
static enum mr_drop walk_exthdrs(struct walk *w, uint8_t *kind)
{
	uint32_t room = w->f->len;

	for (int i = 0; is_exthdr(*kind); i++) {
		const uint8_t *h = w->iph + w->off;
		enum mr_drop reason;
		uint32_t len = 8;

		if (i == EXTHDRS_MAX || room - w->off < len)
			return MR_DROP_IP_EXTHDR;
		if (*kind != IPPROTO_FRAGMENT)
			len += h[1] * 8u;
		if (len > room - w->off)
			return MR_DROP_IP_EXTHDR;
		if (*kind == IPPROTO_FRAGMENT && is_part(h) && !w->whole)
			return MR_DROP_NONE;
		reason = check_exthdr(w, *kind, len);
		if (reason != MR_DROP_NONE)
			return reason;
		w->fragmented |= *kind == IPPROTO_FRAGMENT;
		*kind = h[0];
		w->nexthdr_at = w->off;
		w->off += len;
	}
	return MR_DROP_NONE;
}

/* Is it a group that we are in: all-nodes, or the solicited-node group of an address of ours? */
static bool is_our_group(const struct mr_ip *ip, const struct mr_addr *addr)
{
	struct mr_addr group = mr_addr_all_nodes();

	if (mr_addr_eq(addr, &group))
		return true;
	for (unsigned i = 0; i < ip->naddrs; i++) {
		if (mr_addr_is_v4(&ip->addrs[i].addr))
			continue;
		group = mr_addr_solicited_node(&ip->addrs[i].addr);
		if (mr_addr_eq(addr, &group))
			return true;
	}
	return false;
}

/* Is the source valid (RFC 4291 sections 2.5 and 2.7)? The unspecified address is used by nodes without an address,
 * but only in neighbour discovery, which checks that. */
static enum mr_drop check_addresses(const struct mr_ip *ip, const struct mr_ip_rx *rx)
{
	/* A mapped address must not appear in packets, and would be confused with the IPv4 address. */
	if (mr_addr_is_v4(&rx->dst))
		return MR_DROP_IP_NOT_OURS;
	if (mr_addr_is_v4(&rx->src) || (!mr_addr_is_any(&rx->src) && !mr_addr_is_unicast(&rx->src)))
		return MR_DROP_IP_MARTIAN_SRC;
	/* Not dropped: a host with the same address as ours announces that to all nodes, from that address, and
	 * neighbour discovery must see it. */
	if (mr_addr_is_multicast6(&rx->dst))
		return is_our_group(ip, &rx->dst) ? MR_DROP_NONE : MR_DROP_IP_NOT_OURS;
	if (mr_ip_is_local(ip, &rx->src))
		return MR_DROP_IP_MARTIAN_SRC;
	if (!mr_ip_is_local(ip, &rx->dst))
		return MR_DROP_IP_NOT_OURS;
	if (ip->link->nunusable && !mr_link_usable(ip->link, &rx->dst))
		return MR_DROP_IP_TENTATIVE;
	return MR_DROP_NONE;
}

/* On success rx is filled in, except l4_len and proto, and what follows the payload is removed. */
static enum mr_drop check_header(struct mr_ip *ip, struct mr_frame *f, struct mr_ip_rx *rx)
{
	const uint8_t *h = f->data;
	enum mr_drop reason;
	uint32_t tot;

	if (f->len < MR_IPV6_HLEN)
		return MR_DROP_IP_TRUNCATED;
	if (h[0] >> 4 != 6)
		return MR_DROP_IP_BAD_VERSION;
	tot = MR_IPV6_HLEN + mr_load16(h + IPV6_LEN);
	if (tot > f->pkt_len)
		return MR_DROP_IP_TRUNCATED;
	*rx = (struct mr_ip_rx){
		.src = mr_load_v6(h + IPV6_SRC),
		.dst = mr_load_v6(h + IPV6_DST),
		.tos = (uint8_t)(mr_load16(h) >> 4),
		.ttl = h[IPV6_HLIM],
		.csum_ok = (f->flags & MR_FRAME_META) &&
			   (f->meta.csum == MR_CSUM_GOOD || f->meta.csum == MR_CSUM_PARTIAL),
	};
	reason = check_addresses(ip, rx);
	if (reason == MR_DROP_NONE)
		mr_frame_trim(ip->frames, f, tot);
	return reason;
}

/* RFC 7112: has the first fragment all headers? kind: type of the first one. */
static bool has_all_headers(uint8_t kind, const uint8_t *p, uint32_t len)
{
	while (is_exthdr(kind)) {
		uint32_t n = len < 8 ? 8 : kind == IPPROTO_FRAGMENT ? 8 : 8 + p[1] * 8u;

		if (n > len)
			return false;
		kind = p[0];
		p += n;
		len -= n;
	}
	return mr_reasm_has_l4_header(kind, p, len);
}

/* Process a fragment (RFC 8200 section 4.5). If the datagram is complete, continue in it, as if the fragment header
 * were that of an atomic fragment. Results are those of mr_reasm_input(). */
static enum mr_drop fragment(struct walk *w, struct mr_ip_rx *rx)
{
	const uint8_t *h = w->iph + w->off;
	uint16_t field = mr_load16(h + IPV6_FRAG_OFF);
	struct mr_fragment fr = {
		.rx = rx,
		.iph = w->iph,
		.id = mr_load32(h + IPV6_FRAG_ID),
		.off = field & IPV6_FRAG_MASK,
		.more = field & IPV6_FRAG_MORE,
	};
	uint32_t front = w->off + IPV6_FRAG_HLEN, len = w->f->pkt_len - front;
	enum mr_drop reason;

	MR_COUNT(w->ip->ctr, IP_FRAGS_IN);
	rx->proto = h[0];
	rx->fragmented = true;
	if (fr.more && len % 8) {
		complain(w, MR_ICMP6_BAD_FIELD, IPV6_LEN);
		return MR_DROP_IP_FRAG_BAD;
	}
	if (w->off - MR_IPV6_HLEN + fr.off + len > UINT16_MAX) {
		complain(w, MR_ICMP6_BAD_FIELD, w->off + IPV6_FRAG_OFF);
		return MR_DROP_IP_FRAG_BAD;
	}
	if (!len)
		return MR_DROP_IP_FRAG_BAD;
	if (!fr.off && !has_all_headers(h[0], w->iph + front, w->f->len - front)) {
		complain(w, MR_ICMP6_INCOMPLETE, 0);
		return MR_DROP_IP_FRAG_FIRST;
	}
	mr_frame_pull(w->f, front);
	reason = mr_reasm_input(w->ip, &w->f, &fr, w->now);
	if (reason != MR_DROP_NONE || !w->f)
		return reason;
	/* From here on offsets are from the first fragment's IP header. */
	w->iph = fr.iph;
	w->off = (uint32_t)(w->f->data - fr.iph);
	w->nexthdr_at = w->off - IPV6_FRAG_HLEN;
	w->whole = true;
	mr_frame_push(w->f, w->off);
	return walk_exthdrs(w, &rx->proto);
}

enum mr_up mr_ipv6_input(struct mr_ip *ip, struct mr_frame **packet, uint64_t now,
			 struct mr_ip_rx *rx, struct mr_icmp_err *ierr, enum mr_drop *reason)
{
	struct mr_frame *f = *packet;
	struct walk w = {
		.ip = ip,
		.f = f,
		.iph = f->data,
		.now = now,
		.off = MR_IPV6_HLEN,
		.nexthdr_at = IPV6_NEXTHDR,
	};

	*reason = check_header(ip, f, rx);
	if (*reason != MR_DROP_NONE)
		return MR_UP_DROP;
	MR_COUNT(ip->ctr, IP_IN);
	w.multicast = mr_addr_is_multicast6(&rx->dst);
	rx->proto = w.iph[IPV6_NEXTHDR];
	*reason = walk_exthdrs(&w, &rx->proto);
	if (*reason == MR_DROP_NONE && rx->proto == IPPROTO_FRAGMENT) {
		*reason = fragment(&w, rx);
		*packet = f = w.f;
		if (!f)
			return MR_UP_DONE;
	}
	if (*reason != MR_DROP_NONE)
		return MR_UP_DROP;
	rx->l4_len = f->pkt_len - w.off;
	rx->fragmented |= w.fragmented;
	rx->router_alert = w.router_alert;

	if (rx->proto == IPPROTO_ICMPV6) {
		mr_frame_pull(f, w.off);
		return mr_icmp6_input(ip, f, now, rx, ierr, reason);
	}
	/* Only ICMPv6 may be sent to groups, or without a source address. */
	*reason = w.multicast ? MR_DROP_IP_NOT_OURS : MR_DROP_IP_MARTIAN_SRC;
	if (w.multicast || mr_addr_is_any(&rx->src))
		return MR_UP_DROP;
	switch (rx->proto) {
	case IPPROTO_TCP:
		mr_frame_pull(f, w.off);
		return MR_UP_TCP;
	case IPPROTO_UDP:
		mr_icmp6_error(ip, f, w.iph, MR_ICMP6_UNREACHABLE, MR_ICMP6_PORT_UNREACH, 0, now);
		*reason = MR_DROP_UDP_NO_PORT;
		return MR_UP_DROP;
	case IPPROTO_NONE:
		*reason = MR_DROP_IP_NO_NEXT;
		return MR_UP_DROP;
	default:
		mr_icmp6_error(ip, f, w.iph, MR_ICMP6_PARAM_PROBLEM, MR_ICMP6_BAD_NEXTHDR,
			       w.nexthdr_at, now);
		*reason = MR_DROP_IP_PROTO;
		return MR_UP_DROP;
	}
}

/* RFC 6437 section 3: the same for all packets of a flow, and not predictable. For protocols without ports, the bytes
 * at their place are used, except for ICMPv6, which has a checksum there. */
static uint32_t flow_label(const struct mr_ip *ip, const struct mr_frame *f,
			   const struct mr_ip_tx *tx)
{
	uint16_t ports[2] = { 0, tx->proto };
	uint32_t label;

	if (tx->proto == IPPROTO_TCP)
		memcpy(ports, f->data, sizeof(ports));
	label = mr_flow_hash(ip->label_key, tx->dst.w, tx->src.w, ports[1], ports[0]) & 0xfffff;
	return label ? label : 1;
}

static void push_fragment_header(struct mr_frame *f, uint8_t proto, const struct mr_ip_part *part)
{
	uint8_t *h = mr_frame_push(f, IPV6_FRAG_HLEN);

	h[0] = proto;
	h[1] = 0;
	mr_store16(h + IPV6_FRAG_OFF, (uint16_t)(part->off | (part->more ? IPV6_FRAG_MORE : 0)));
	mr_store16(h + IPV6_FRAG_ID, (uint16_t)(part->id >> 16));
	mr_store16(h + IPV6_FRAG_ID + 2, (uint16_t)part->id);
}

uint16_t mr_ipv6_push(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx,
		      struct mr_dst *dst, const struct mr_ip_part *part)
{
	uint32_t len;
	uint8_t *h;

	if (!dst->label)
		dst->label = flow_label(ip, f, tx);
	if (part)
		push_fragment_header(f, tx->proto, part);
	len = f->pkt_len;
	h = mr_frame_push(f, MR_IPV6_HLEN);
	mr_store16(h, (uint16_t)(6u << 12 | (uint32_t)tx->tos << 4 | dst->label >> 16));
	mr_store16(h + 2, (uint16_t)dst->label);
	mr_store16(h + IPV6_LEN, (uint16_t)len);
	h[IPV6_NEXTHDR] = part ? IPPROTO_FRAGMENT : tx->proto;
	h[IPV6_HLIM] = tx->ttl;
	memcpy(h + IPV6_SRC, tx->src.b, 16);
	memcpy(h + IPV6_DST, tx->dst.b, 16);
	return ETH_P_IPV6;
}
