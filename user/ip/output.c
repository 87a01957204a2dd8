// SPDX-License-Identifier: BSD-2-Clause
/*
 * output.c - output of both families: may the packet be sent, does it fit, then on to the neighbour.
 * Called by   tcp, icmp.c and icmp6.c, on the engine's thread only.
 * Not here    headers (ipv4.c, ipv6.c), next hops (route.c). Only replies to fragmented packets are fragmented: all
 *             other senders know dst->mtu.
 */
#include <errno.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "ip/ip_priv.h"

static int drop(struct mr_ip *ip, struct mr_frame *f, enum mr_drop reason, int err)
{
	ip->ctr->drop[reason]++;
	mr_frame_put_chain(ip->frames, f);
	return err;
}

/* RFC 4862 section 5.4: no packet may have a tentative source address, except those that wait for a neighbour, for
 * which no request is sent before there is a usable address. */
static bool source_ok(const struct mr_ip *ip, const struct mr_ip_tx *tx, const struct mr_dst *dst)
{
	return mr_addr_is_v4(&tx->src) || mr_link_usable(ip->link, &tx->src) ||
	       dst->neigh->state == MR_NEIGH_INCOMPLETE;
}

static int output_part(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx,
		       struct mr_dst *dst, const struct mr_ip_part *part, uint64_t now)
{
	bool v4 = mr_addr_is_v4(&tx->dst);
	uint32_t tot = f->pkt_len + (v4 ? MR_IPV4_HLEN : MR_IPV6_HLEN);
	uint16_t type;

	if (mr_addr_is_v4(&tx->src) != v4)
		return drop(ip, f, MR_DROP_IP_NO_ROUTE, -EAFNOSUPPORT);
	if ((tot > dst->mtu && !f->gso_size) || tot > UINT16_MAX)
		return drop(ip, f, MR_DROP_IP_TOO_BIG, -EMSGSIZE);
	if (mr_unlikely(ip->link->nunusable) && !source_ok(ip, tx, dst))
		return drop(ip, f, MR_DROP_IP_TENTATIVE, -EADDRNOTAVAIL);
	/* As Linux: the connection stays, in case its address comes back, but sends nothing until then. */
	if (mr_unlikely(ip->addrs_gone) && !mr_ip_is_local(ip, &tx->src))
		return drop(ip, f, MR_DROP_IP_SRC_GONE, -EADDRNOTAVAIL);
	type = v4 ? mr_ipv4_push(ip, f, tx, part) : mr_ipv6_push(ip, f, tx, dst, part);
	MR_COUNT(ip->ctr, IP_OUT);
	return mr_link_output(ip->link, f, dst->neigh, type, now);
}

int mr_ip_output(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx,
		 struct mr_dst *dst, uint64_t now)
{
	return output_part(ip, f, tx, dst, NULL, now);
}

/* Send f, which stays the caller's, in fragments. The identification is random (RFC 7739 section 5.3). */
static void output_fragments(struct mr_ip *ip, const struct mr_frame *f, const struct mr_ip_tx *tx,
			     struct mr_dst *dst, uint64_t now)
{
	uint32_t hlen = mr_addr_is_v4(&tx->dst) ? MR_IPV4_HLEN : MR_IPV6_HLEN + IPV6_FRAG_HLEN;
	uint32_t room = (dst->mtu - hlen) & ~7u, n;
	struct mr_ip_part part = { .id = (uint32_t)mr_rng_u64(ip->rng) };

	for (uint32_t off = 0; off < f->pkt_len; off += n) {
		struct mr_frame *piece;

		n = mr_min(room, f->pkt_len - off);
		piece = mr_frame_copy(ip->frames, f, off, n);
		if (!piece) {
			ip->ctr->drop[MR_DROP_NO_FRAME]++;
			return;
		}
		part.off = (uint16_t)off;
		part.more = off + n < f->pkt_len;
		MR_COUNT(ip->ctr, IP_FRAGS_OUT);
		if (output_part(ip, piece, tx, dst, &part, now))
			return;
	}
}

void mr_ip_reply(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx, uint64_t now)
{
	uint32_t hlen = mr_addr_is_v4(&tx->dst) ? MR_IPV4_HLEN : MR_IPV6_HLEN;
	struct mr_dst dst = { 0 };
	int err = mr_dst_resolve(ip, &dst, &tx->dst, now);

	if (err) {
		drop(ip, f, err == -ENOBUFS ? MR_DROP_NEIGH_TABLE_FULL : MR_DROP_IP_NO_ROUTE, err);
	} else if (f->pkt_len + hlen > dst.mtu) {
		output_fragments(ip, f, tx, &dst, now);
		mr_frame_put_chain(ip->frames, f);
	} else {
		mr_ip_output(ip, f, tx, &dst, now);
	}
	mr_dst_put(ip, &dst);
}
