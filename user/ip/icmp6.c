// SPDX-License-Identifier: BSD-2-Clause
/*
 * icmp6.c - ICMPv6: echo replies, errors about our TCP packets, sending of errors, and passing neighbour discovery on.
 * Implements  RFC 4443; RFC 8201 section 4 (packet too big).
 * Not here    neighbour discovery (link/ndisc.c) and its effect on routes (router.c); the effect of an error on a
 *             connection, and whether its sequence number is in flight (RFC 5927): tcp. The rate limit is ICMP's
 *             (icmp.c).
 */
#include <errno.h>
#include <netinet/in.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"
#include "ip/ip_priv.h"

#define ICMP6_HLEN	 8u
#define ICMP6_ECHO	 128
#define ICMP6_ECHO_REPLY 129
#define ICMP6_REDIRECT	 137
#define ICMP6_INFO	 0x80 /* bit of the type: no error message */

/* Checksum of the message in f, with its pseudo-header (RFC 4443 section 2.3). */
static uint16_t message_sum(const struct mr_frame *f, const struct mr_addr *src,
			    const struct mr_addr *dst)
{
	return mr_csum_fold(mr_csum_add(mr_frame_csum(f, 0, f->pkt_len),
					mr_csum_pseudo(src, dst, IPPROTO_ICMPV6, f->pkt_len)));
}

static void set_csum(struct mr_frame *f, const struct mr_ip_tx *tx)
{
	uint16_t csum;

	memset(f->data + 2, 0, 2);
	csum = (uint16_t)~message_sum(f, &tx->src, &tx->dst);
	memcpy(f->data + 2, &csum, 2);
}

/* ---- Echo ------------------------------------------------------------------------------------ */

static enum mr_up echo(struct mr_ip *ip, struct mr_frame *f, uint64_t now,
		       const struct mr_ip_rx *rx, enum mr_drop *reason)
{
	struct mr_ip_tx tx = {
		.src = rx->dst,
		.dst = rx->src,
		.proto = IPPROTO_ICMPV6,
		.tos = rx->tos,
		.ttl = MR_IP_TTL,
	};
	struct mr_frame *reply;

	*reason = MR_DROP_IP_MARTIAN_SRC;
	if (!mr_addr_is_unicast(&rx->src) || mr_ip_is_local(ip, &rx->src))
		return MR_UP_DROP;
	*reason = MR_DROP_IP_NO_ROUTE;
	if (mr_addr_is_multicast6(&tx.src) && mr_ip_source(ip, &tx.dst, &tx.src))
		return MR_UP_DROP;
	*reason = MR_DROP_NO_FRAME;
	reply = mr_icmp_reply_frame(ip, f, MR_IPV6_HLEN);
	if (!reply)
		return MR_UP_DROP;
	reply->data[0] = ICMP6_ECHO_REPLY;
	set_csum(reply, &tx);
	MR_COUNT(ip->ctr, ICMP_ECHO_IN);
	mr_ip_reply(ip, reply, &tx, now);
	return MR_UP_DONE;
}

/* ---- Errors about our packets ---------------------------------------------------------------- */

/* Linux's errno for each code of destination unreachable. */
static int unreachable_errno(uint8_t code)
{
	static const int by_code[] = {
		-ENETUNREACH,  -EACCES, -EHOSTUNREACH, -EHOSTUNREACH,
		-ECONNREFUSED, -EACCES, -EACCES,
	};

	return code < MR_ARRAY_SIZE(by_code) ? by_code[code] : -EPROTO;
}

static void classify(const uint8_t *icmp, struct mr_icmp_err *e)
{
	switch (icmp[0]) {
	case MR_ICMP6_UNREACHABLE:
		e->err = unreachable_errno(icmp[1]);
		break;
	case MR_ICMP6_TOO_BIG:
		e->err = -EMSGSIZE;
		e->mtu = (uint32_t)mr_load16(icmp + 4) << 16 | mr_load16(icmp + 6);
		break;
	case MR_ICMP6_TIME_EXCEEDED:
		e->err = -EHOSTUNREACH;
		break;
	default:
		e->err = -EPROTO;
		break;
	}
}

/* The quoted packet is what we once sent, or what somebody says that we did: every length is checked.
 * We send no extension headers, so none is looked behind. */
static enum mr_drop parse_error(const struct mr_ip *ip, const struct mr_frame *f,
				struct mr_icmp_err *e)
{
	const uint8_t *q = f->data + ICMP6_HLEN, *tcp = q + MR_IPV6_HLEN;

	if (f->len < ICMP6_HLEN + MR_IPV6_HLEN + 8 || q[0] >> 4 != 6)
		return MR_DROP_ICMP_TRUNCATED;
	*e = (struct mr_icmp_err){
		.src = mr_load_v6(q + IPV6_SRC),
		.dst = mr_load_v6(q + IPV6_DST),
	};
	/* A mapped address must not appear in packets, and must not lead to an IPv4 connection. */
	if (q[IPV6_NEXTHDR] != IPPROTO_TCP || mr_addr_is_v4(&e->src) ||
	    !mr_ip_is_local(ip, &e->src))
		return MR_DROP_ICMP_NO_FLOW;
	e->sport = mr_load16(tcp);
	e->dport = mr_load16(tcp + 2);
	e->seq = (uint32_t)mr_load16(tcp + 4) << 16 | mr_load16(tcp + 6);
	classify(f->data, e);
	/* RFC 8201 section 4: a message with less than the minimum link MTU is discarded. */
	return e->err == -EMSGSIZE && e->mtu < MR_IPV6_MTU_MIN ? MR_DROP_ICMP_MTU : MR_DROP_NONE;
}

/* ---- In -------------------------------------------------------------------------------------- */

/* Consumed where it was of use. */
static enum mr_up discovery(struct mr_ip *ip, struct mr_frame *f, uint64_t now,
			    const struct mr_ip_rx *rx, enum mr_drop *reason)
{
	const struct mr_nd_packet pkt = {
		.src = rx->src,
		.dst = rx->dst,
		.hlim = rx->ttl,
		.msg = f->data,
		.len = f->len,
	};
	struct mr_nd_news news;

	*reason = MR_DROP_ND_BAD;
	/* No valid message is longer than a chunk, and RFC 6980 section 5 forbids fragments. */
	if (f->frag || rx->fragmented)
		return MR_UP_DROP;
	*reason = mr_nd_input(ip->link, &pkt, now, &news);
	if (*reason != MR_DROP_NONE)
		return MR_UP_DROP;
	mr_router_news(ip, &news, now);
	mr_frame_put_chain(ip->frames, f);
	return MR_UP_DONE;
}

/* Consumed where it was of use. */
static enum mr_up listener_query(struct mr_ip *ip, struct mr_frame *f, uint64_t now,
				 const struct mr_ip_rx *rx, enum mr_drop *reason)
{
	const struct mr_mld_packet pkt = {
		.src = rx->src,
		.hlim = rx->ttl,
		.router_alert = rx->router_alert,
		.msg = f->data,
		.len = f->pkt_len,
	};

	*reason = MR_DROP_MLD_BAD;
	if (f->len < mr_min(f->pkt_len, 28u) ||
	    rx->fragmented) /* the message must be in one chunk */
		return MR_UP_DROP;
	*reason = mr_mld_input(ip->link, &pkt, now);
	if (*reason != MR_DROP_NONE)
		return MR_UP_DROP;
	mr_frame_put_chain(ip->frames, f);
	return MR_UP_DONE;
}

enum mr_up mr_icmp6_input(struct mr_ip *ip, struct mr_frame *f, uint64_t now,
			  const struct mr_ip_rx *rx, struct mr_icmp_err *ierr, enum mr_drop *reason)
{
	uint8_t type;

	*reason = MR_DROP_ICMP_TRUNCATED;
	if (f->len < ICMP6_HLEN)
		return MR_UP_DROP;
	*reason = MR_DROP_ICMP_BAD_CSUM;
	if (message_sum(f, &rx->src, &rx->dst) != 0xffff)
		return MR_UP_DROP;

	type = f->data[0];
	if (type == ICMP6_ECHO)
		return echo(ip, f, now, rx, reason);
	if (type >= MR_ND_TYPE_FIRST && type <= MR_ND_TYPE_LAST)
		return discovery(ip, f, now, rx, reason);
	if (type == MR_MLD_QUERY)
		return listener_query(ip, f, now, rx, reason);
	*reason = MR_DROP_ICMP_TYPE;
	if (type < MR_ICMP6_UNREACHABLE || type > MR_ICMP6_PARAM_PROBLEM)
		return MR_UP_DROP;
	*reason = parse_error(ip, f, ierr);
	if (*reason != MR_DROP_NONE)
		return MR_UP_DROP;
	MR_COUNT(ip->ctr, ICMP_ERRORS_IN);
	mr_frame_put_chain(ip->frames, f);
	return MR_UP_ICMP_ERR;
}

/* The XDP program has checked what it has noted. */
static enum mr_drop query_note(struct mr_ip *ip, const struct mr_nd_packet *pkt, uint64_t now)
{
	const struct mr_mld_packet query = {
		.src = pkt->src,
		.hlim = 1,
		.router_alert = true,
		.msg = pkt->msg,
		.len = pkt->len,
	};

	return mr_mld_input(ip->link, &query, now);
}

void mr_ip_nd_note(struct mr_ip *ip, const struct mr_note_nd *note, uint64_t now)
{
	struct mr_nd_packet pkt = {
		.hlim = 255, /* the XDP program has checked it */
		.msg = note->msg,
		.len = note->len,
	};
	enum mr_drop reason = MR_DROP_ICMP_TRUNCATED;
	struct mr_nd_news news = { .about = MR_ND_NEIGHBOUR };

	memcpy(pkt.src.w, note->src, sizeof(note->src));
	memcpy(pkt.dst.w, note->dst, sizeof(note->dst));
	if (note->len >= ICMP6_HLEN && note->len <= sizeof(note->msg))
		reason = MR_DROP_ICMP_BAD_CSUM;
	if (reason == MR_DROP_ICMP_BAD_CSUM &&
	    mr_csum_fold(mr_csum_add(
		    mr_csum(note->msg, note->len),
		    mr_csum_pseudo(&pkt.src, &pkt.dst, IPPROTO_ICMPV6, note->len))) == 0xffff)
		reason = note->msg[0] == MR_MLD_QUERY ? query_note(ip, &pkt, now) :
							mr_nd_input(ip->link, &pkt, now, &news);
	if (reason == MR_DROP_NONE)
		mr_router_news(ip, &news, now);
	else
		ip->ctr->drop[reason]++;
}

/* ---- Errors that we send --------------------------------------------------------------------- */

/* RFC 4443 section 2.4 (e). Extension headers other than a fragment header are not examined: an error about an error
 * behind one would not be answered by anybody. */
static bool may_complain(const uint8_t *iph, const uint8_t *end, uint8_t type, uint8_t code)
{
	struct mr_addr src = mr_load_v6(iph + IPV6_SRC), dst = mr_load_v6(iph + IPV6_DST);
	const uint8_t *icmp = iph + MR_IPV6_HLEN;
	uint8_t nexthdr = iph[IPV6_NEXTHDR];

	if (nexthdr == IPPROTO_FRAGMENT && icmp + IPV6_FRAG_HLEN <= end) {
		nexthdr = icmp[0];
		icmp += IPV6_FRAG_HLEN;
	}

	if (!mr_addr_is_unicast(&src) || mr_addr_is_v4(&src))
		return false;
	if (mr_addr_is_multicast6(&dst) &&
	    !(type == MR_ICMP6_PARAM_PROBLEM && code == MR_ICMP6_BAD_OPTION))
		return false;
	return nexthdr != IPPROTO_ICMPV6 ||
	       (icmp < end && (icmp[0] & ICMP6_INFO) && icmp[0] != ICMP6_REDIRECT);
}

void mr_icmp6_error(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph, uint8_t type,
		    uint8_t code, uint32_t pointer, uint64_t now)
{
	const uint8_t *end = f->data + f->len; /* the first chunk is enough to quote */
	uint32_t quote = mr_min((uint32_t)(end - iph), MR_IPV6_MTU_MIN - MR_IPV6_HLEN - ICMP6_HLEN);
	struct mr_ip_tx tx = {
		.src = mr_load_v6(iph + IPV6_DST),
		.dst = mr_load_v6(iph + IPV6_SRC),
		.proto = IPPROTO_ICMPV6,
		.ttl = MR_IP_TTL,
	};
	struct mr_frame *e;

	if (!may_complain(iph, end, type, code) || !mr_icmp_may_send(ip, now))
		return;
	if (mr_addr_is_multicast6(&tx.src) && mr_ip_source(ip, &tx.dst, &tx.src))
		return;
	e = mr_frame_get(ip->frames);
	if (!e) {
		ip->ctr->drop[MR_DROP_NO_FRAME]++;
		return;
	}
	quote = mr_min(quote, mr_frame_tailroom(ip->frames, e) - ICMP6_HLEN);
	e->data[0] = type;
	e->data[1] = code;
	mr_store16(e->data + 4, (uint16_t)(pointer >> 16));
	mr_store16(e->data + 6, (uint16_t)pointer);
	memcpy(e->data + ICMP6_HLEN, iph, quote);
	e->len = ICMP6_HLEN + quote;
	e->pkt_len = e->len;
	set_csum(e, &tx);
	if (type == MR_ICMP6_TIME_EXCEEDED)
		MR_COUNT(ip->ctr, ICMP_TIME_OUT);
	else
		MR_COUNT(ip->ctr, ICMP_UNREACH_OUT);
	mr_ip_reply(ip, e, &tx, now);
}
