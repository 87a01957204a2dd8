// SPDX-License-Identifier: BSD-2-Clause
/*
 * ipv4.c - IPv4 headers: parsing and checks on input, writing on output.
 * Implements  RFC 791; RFC 1122 section 3.2.1; RFC 6864 section 4.1 (atomic datagrams: DF, ID 0).
 * Called by   the engine's receive pipeline (input) and output.c, on the engine's thread only.
 * Not here    ICMP (icmp.c), next hops (route.c), reassembly (reasm.c).
 */
#include <linux/if_ether.h>
#include <netinet/in.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"
#include "ip/ip_priv.h"

#define OPT_END	 0
#define OPT_NOP	 1
#define OPT_LSRR 0x83
#define OPT_SSRR 0x89

/* Options are skipped, but must be well-formed. A source route with a hop left means that the packet is not for us
 * but to be forwarded, which we never do (RFC 7126 section 4.3). */
static enum mr_drop check_options(const uint8_t *opt, uint32_t len)
{
	while (len) {
		uint32_t n = 1;

		if (opt[0] == OPT_END)
			break;
		if (opt[0] != OPT_NOP) {
			if (len < 2 || opt[1] < 2 || opt[1] > len)
				return MR_DROP_IP_BAD_HDRLEN;
			n = opt[1];
			if ((opt[0] == OPT_LSRR || opt[0] == OPT_SSRR) && n > 2 && opt[2] <= n)
				return MR_DROP_IP_NOT_OURS;
		}
		opt += n;
		len -= n;
	}
	return MR_DROP_NONE;
}

/* Has the XDP program verified the header? It verifies the L4 checksum only after the header. */
static bool verified_by_xdp(const struct mr_frame *f)
{
	return (f->flags & MR_FRAME_META) &&
	       (f->meta.csum == MR_CSUM_GOOD || f->meta.csum == MR_CSUM_PARTIAL);
}

/* RFC 1122 section 3.2.1, in an order in which each check only uses what was checked before. On success rx is filled
 * in, padding is removed and *hlen is the length of the header. */
static enum mr_drop check_header(struct mr_ip *ip, struct mr_frame *f, struct mr_ip_rx *rx,
				 uint32_t *hlen)
{
	const uint8_t *h = f->data;
	uint32_t tot;

	if (f->len < MR_IPV4_HLEN)
		return MR_DROP_IP_TRUNCATED;
	if (h[0] >> 4 != 4)
		return MR_DROP_IP_BAD_VERSION;
	*hlen = (h[0] & 0xfu) * 4;
	if (*hlen < MR_IPV4_HLEN || *hlen > f->len)
		return MR_DROP_IP_BAD_HDRLEN;
	tot = mr_load16(h + IPV4_LEN);
	if (tot < *hlen)
		return MR_DROP_IP_BAD_LEN;
	if (tot > f->pkt_len)
		return MR_DROP_IP_TRUNCATED;
	if (!verified_by_xdp(f) && mr_csum_fold(mr_csum(h, *hlen)) != 0xffff)
		return MR_DROP_IP_BAD_CSUM;

	*rx = (struct mr_ip_rx){
		.src = mr_load_v4(h + IPV4_SRC),
		.dst = mr_load_v4(h + IPV4_DST),
		.l4_len = tot - *hlen,
		.proto = h[IPV4_PROTO],
		.tos = h[IPV4_TOS],
		.ttl = h[IPV4_TTL],
		.csum_ok = verified_by_xdp(f),
	};
	if (!mr_addr_is_unicast(&rx->src) || mr_ip_is_local(ip, &rx->src) ||
	    mr_ip_is_subnet_broadcast(ip, &rx->src))
		return MR_DROP_IP_MARTIAN_SRC;
	if (!mr_ip_is_local(ip, &rx->dst))
		return MR_DROP_IP_NOT_OURS;
	mr_frame_trim(ip->frames, f, tot);
	return check_options(h + MR_IPV4_HLEN, *hlen - MR_IPV4_HLEN);
}

/* f has the payload of a fragment, behind its header at iph. Results are those of mr_reasm_input(). */
static enum mr_drop fragment(struct mr_ip *ip, struct mr_frame **f, uint8_t **iph,
			     struct mr_ip_rx *rx, uint64_t now)
{
	uint16_t field = mr_load16(*iph + IPV4_FRAG);
	struct mr_fragment fr = {
		.rx = rx,
		.iph = *iph,
		.id = mr_load16(*iph + IPV4_ID),
		.off = (field & IPV4_OFFSET_MASK) * 8u,
		.more = field & IPV4_MF,
	};
	uint32_t len = (*f)->pkt_len;
	enum mr_drop reason;

	MR_COUNT(ip->ctr, IP_FRAGS_IN);
	if (!len || (fr.more && len % 8) || fr.off + len > UINT16_MAX - MR_IPV4_HLEN)
		return MR_DROP_IP_FRAG_BAD;
	if (!fr.off && !mr_reasm_has_l4_header(rx->proto, (*f)->data, (*f)->len))
		return MR_DROP_IP_FRAG_FIRST;
	reason = mr_reasm_input(ip, f, &fr, now);
	*iph = fr.iph;
	return reason;
}

enum mr_up mr_ipv4_input(struct mr_ip *ip, struct mr_frame **packet, uint64_t now,
			 struct mr_ip_rx *rx, struct mr_icmp_err *ierr, enum mr_drop *reason)
{
	struct mr_frame *f = *packet;
	uint8_t *iph = f->data;
	uint32_t hlen;

	*reason = check_header(ip, f, rx, &hlen);
	if (*reason != MR_DROP_NONE)
		return MR_UP_DROP;
	MR_COUNT(ip->ctr, IP_IN);
	mr_frame_pull(f, hlen);
	if (mr_unlikely(mr_load16(iph + IPV4_FRAG) & (IPV4_MF | IPV4_OFFSET_MASK))) {
		*reason = fragment(ip, packet, &iph, rx, now);
		if (*reason != MR_DROP_NONE)
			return MR_UP_DROP;
		f = *packet;
		if (!f)
			return MR_UP_DONE;
	}

	switch (rx->proto) {
	case IPPROTO_TCP:
		return MR_UP_TCP;
	case IPPROTO_ICMP:
		return mr_icmp_input(ip, f, now, rx, ierr, reason);
	case IPPROTO_UDP:
		mr_icmp_unreachable(ip, f, iph, MR_ICMP_PORT_UNREACH, now);
		*reason = MR_DROP_UDP_NO_PORT;
		return MR_UP_DROP;
	default:
		mr_icmp_unreachable(ip, f, iph, MR_ICMP_PROTO_UNREACH, now);
		*reason = MR_DROP_IP_PROTO;
		return MR_UP_DROP;
	}
}

uint16_t mr_ipv4_push(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx,
		      const struct mr_ip_part *part)
{
	uint32_t tot = f->pkt_len + MR_IPV4_HLEN, id, frag, words[MR_IPV4_HLEN / 4], sum = 0;
	uint8_t *h = mr_frame_push(f, MR_IPV4_HLEN);
	uint16_t csum;

	/* RFC 6864 section 4.1: the ID of a datagram that is never fragmented has no meaning. */
	if (part) {
		id = part->id & 0xffff;
		frag = (part->more ? IPV4_MF : 0) | part->off / 8u;
	} else {
		id = tx->df ? 0 : mr_rng_below(ip->rng, 1u << 16);
		frag = tx->df ? IPV4_DF : 0;
	}
	words[0] = htonl(4u << 28 | MR_IPV4_HLEN / 4u << 24 | (uint32_t)tx->tos << 16 | tot);
	words[1] = htonl(id << 16 | frag);
	words[2] = htonl((uint32_t)tx->ttl << 24 | (uint32_t)tx->proto << 16);
	words[3] = tx->src.w[3];
	words[4] = tx->dst.w[3];
	/* Summed before it is written to memory (tcp_wire.c has the reason). */
	for (unsigned i = 0; i < MR_ARRAY_SIZE(words); i++) {
		sum = mr_csum_add(sum, words[i]);
		memcpy(h + 4 * i, &words[i], 4);
	}
	csum = (uint16_t)~mr_csum_fold(sum);
	memcpy(h + IPV4_CSUM, &csum, 2);
	return ETH_P_IP;
}
