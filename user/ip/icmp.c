// SPDX-License-Identifier: BSD-2-Clause
/*
 * icmp.c - ICMP for IPv4: echo replies, errors about our TCP packets, sending of unreachables.
 * Implements  RFC 792; RFC 1122 section 3.2.2; RFC 1191 section 4 (next-hop MTU); RFC 1812 section 4.3.2.3 (how much is
 *             quoted).
 * Not here    the effect of an error on a connection, and whether its sequence number is in flight (RFC 5927): tcp.
 *             Source quench and redirects are ignored (RFC 6633; routes are configured).
 */
#include <errno.h>
#include <netinet/in.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"
#include "base/time.h"
#include "ip/ip_priv.h"

#define ICMP_HLEN 8u

#define ICMP_ECHO_REPLY	   0
#define ICMP_UNREACHABLE   3
#define ICMP_ECHO	   8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAM_PROBLEM 12

#define ICMP_REASSEMBLY_TIME 1 /* code of TIME_EXCEEDED */

#define ICMP_ERROR_MAX 576u /* bytes of the whole datagram that carries an error */

/* ---- Echo ------------------------------------------------------------------------------------ */

/* May the frame of the request be used for the reply? Only if nobody else holds or reads it, and if it can be sent as
 * it is or will be copied into fragments. */
static bool can_turn_round(const struct mr_ip *ip, const struct mr_frame *f, uint32_t ip_hlen)
{
	const struct mr_frame *pos;

	if (f->pkt_len + ip_hlen > ip->nif->mtu)
		return f->refs == 1 && !f->tx_refs;
	if (f->nchunks > ip->nif->max_chunks || mr_frame_headroom(f) < MR_ETH_HLEN + ip_hlen)
		return false;
	mr_frame_for_each_chunk (pos, f)
		if (pos->refs != 1 || pos->tx_refs)
			return false;
	return true;
}

struct mr_frame *mr_icmp_reply_frame(struct mr_ip *ip, struct mr_frame *f, uint32_t ip_hlen)
{
	struct mr_frame *reply = f;

	if (!can_turn_round(ip, f, ip_hlen)) {
		reply = mr_frame_copy(ip->frames, f, 0, f->pkt_len);
		if (!reply)
			return NULL;
		mr_frame_put_chain(ip->frames, f);
	}
	reply->flags &= (uint8_t)~MR_FRAME_META;
	return reply;
}

static enum mr_up echo(struct mr_ip *ip, struct mr_frame *f, uint64_t now,
		       const struct mr_ip_rx *rx, enum mr_drop *reason)
{
	const struct mr_ip_tx tx = {
		.src = rx->dst,
		.dst = rx->src,
		.proto = IPPROTO_ICMP,
		.tos = rx->tos,
		.ttl = MR_IP_TTL,
		.df = true,
	};
	uint16_t csum, was, is;
	struct mr_frame *reply;

	reply = mr_icmp_reply_frame(ip, f, MR_IPV4_HLEN);
	if (!reply) {
		*reason = MR_DROP_NO_FRAME;
		return MR_UP_DROP;
	}

	/* Only the type changes: RFC 1624 section 3, equation 3. It yields 0 for a reply of zeros alone, which needs
	 * 0xffff; anywhere else both are right. */
	memcpy(&was, reply->data, 2);
	reply->data[0] = ICMP_ECHO_REPLY;
	memcpy(&is, reply->data, 2);
	memcpy(&csum, reply->data + 2, 2);
	csum = (uint16_t)~mr_csum_fold((uint32_t)(uint16_t)~csum + (uint16_t)~was + is);
	csum = csum ?: 0xffff;
	memcpy(reply->data + 2, &csum, 2);

	MR_COUNT(ip->ctr, ICMP_ECHO_IN);
	mr_ip_reply(ip, reply, &tx, now);
	return MR_UP_DONE;
}

/* ---- Errors about our packets ---------------------------------------------------------------- */

/* Linux's errno for each code of destination unreachable (RFC 792, 1122, 1812). */
static int unreachable_errno(uint8_t code)
{
	static const int by_code[] = {
		-ENETUNREACH,  -EHOSTUNREACH, -ENOPROTOOPT,  -ECONNREFUSED,
		-EMSGSIZE,     -EOPNOTSUPP,   -ENETUNREACH,  -EHOSTDOWN,
		-ENONET,       -ENETUNREACH,  -EHOSTUNREACH, -ENETUNREACH,
		-EHOSTUNREACH, -EHOSTUNREACH, -EHOSTUNREACH, -EHOSTUNREACH,
	};

	return code < MR_ARRAY_SIZE(by_code) ? by_code[code] : -EHOSTUNREACH;
}

static void classify(const uint8_t *icmp, struct mr_icmp_err *e)
{
	switch (icmp[0]) {
	case ICMP_UNREACHABLE:
		e->err = unreachable_errno(icmp[1]);
		if (icmp[1] == MR_ICMP_FRAG_NEEDED)
			e->mtu = mr_load16(icmp + 6);
		break;
	case ICMP_TIME_EXCEEDED:
		e->err = -EHOSTUNREACH;
		break;
	default:
		e->err = -EPROTO;
		break;
	}
}

/* The quoted packet is what we once sent, or what somebody says that we did: every length is
 * checked. The quote must reach over the ports and the sequence number. */
static enum mr_drop parse_error(const struct mr_ip *ip, const struct mr_frame *f,
				struct mr_icmp_err *e)
{
	const uint8_t *q = f->data + ICMP_HLEN, *tcp;
	uint32_t room = f->len - ICMP_HLEN, hlen;

	if (room < MR_IPV4_HLEN)
		return MR_DROP_ICMP_TRUNCATED;
	hlen = (q[0] & 0xfu) * 4;
	if (q[0] >> 4 != 4 || hlen < MR_IPV4_HLEN || room < hlen + 8)
		return MR_DROP_ICMP_TRUNCATED;
	*e = (struct mr_icmp_err){
		.src = mr_load_v4(q + IPV4_SRC),
		.dst = mr_load_v4(q + IPV4_DST),
	};
	if (q[IPV4_PROTO] != IPPROTO_TCP || !mr_ip_is_local(ip, &e->src) ||
	    (mr_load16(q + IPV4_FRAG) & IPV4_OFFSET_MASK))
		return MR_DROP_ICMP_NO_FLOW;
	tcp = q + hlen;
	e->sport = mr_load16(tcp);
	e->dport = mr_load16(tcp + 2);
	e->seq = (uint32_t)mr_load16(tcp + 4) << 16 | mr_load16(tcp + 6);
	classify(f->data, e);
	return MR_DROP_NONE;
}

enum mr_up mr_icmp_input(struct mr_ip *ip, struct mr_frame *f, uint64_t now,
			 const struct mr_ip_rx *rx, struct mr_icmp_err *ierr, enum mr_drop *reason)
{
	*reason = MR_DROP_ICMP_TRUNCATED;
	if (f->len < ICMP_HLEN)
		return MR_UP_DROP;
	*reason = MR_DROP_ICMP_BAD_CSUM;
	if (mr_csum_fold(mr_frame_csum(f, 0, f->pkt_len)) != 0xffff)
		return MR_UP_DROP;

	switch (f->data[0]) {
	case ICMP_ECHO:
		return echo(ip, f, now, rx, reason);
	case ICMP_UNREACHABLE:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAM_PROBLEM:
		*reason = parse_error(ip, f, ierr);
		if (*reason != MR_DROP_NONE)
			return MR_UP_DROP;
		MR_COUNT(ip->ctr, ICMP_ERRORS_IN);
		mr_frame_put_chain(ip->frames, f);
		return MR_UP_ICMP_ERR;
	default:
		*reason = MR_DROP_ICMP_TYPE;
		return MR_UP_DROP;
	}
}

/* ---- Errors that we send --------------------------------------------------------------------- */

static bool take_token(struct mr_ip *ip, uint64_t now)
{
	const uint64_t per_token_ns = MR_NS_PER_S / MR_ICMP_PER_SEC;
	uint64_t fresh = now > ip->icmp_refill_at ? (now - ip->icmp_refill_at) / per_token_ns : 0;

	if (fresh >= MR_ICMP_BURST - ip->icmp_tokens) {
		ip->icmp_tokens = MR_ICMP_BURST;
		ip->icmp_refill_at = mr_max(now, ip->icmp_refill_at);
	} else {
		ip->icmp_tokens += (uint32_t)fresh;
		ip->icmp_refill_at += fresh * per_token_ns;
	}
	if (!ip->icmp_tokens)
		return false;
	ip->icmp_tokens--;
	return true;
}

bool mr_icmp_may_send(struct mr_ip *ip, uint64_t now)
{
	if (take_token(ip, now))
		return true;
	ip->ctr->drop[MR_DROP_ICMP_RATE]++;
	return false;
}

/* RFC 1122 section 3.2.2. mr_ipv4_input() has dropped most of these before, but other callers may not have. Of ICMP,
 * only an echo request may cause an error: other messages are replies, or errors themselves. */
static bool may_complain(const struct mr_ip *ip, const uint8_t *iph, uint32_t room)
{
	struct mr_addr src = mr_load_v4(iph + IPV4_SRC), dst = mr_load_v4(iph + IPV4_DST);
	uint32_t hlen = (iph[0] & 0xfu) * 4;

	return mr_addr_is_unicast(&src) && mr_ip_is_local(ip, &dst) &&
	       !(mr_load16(iph + IPV4_FRAG) & IPV4_OFFSET_MASK) &&
	       (iph[IPV4_PROTO] != IPPROTO_ICMP || (hlen < room && iph[hlen] == ICMP_ECHO));
}

/* False: it was not sent. */
static bool complain(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph, uint8_t type,
		     uint8_t code, uint64_t now)
{
	uint32_t room = (uint32_t)(f->data + f->len - iph); /* the first chunk is enough to quote */
	uint32_t quote = mr_min(room, ICMP_ERROR_MAX - MR_IPV4_HLEN - ICMP_HLEN);
	struct mr_frame *e;
	struct mr_ip_tx tx;
	uint16_t csum;

	if (!may_complain(ip, iph, room) || !mr_icmp_may_send(ip, now))
		return false;
	e = mr_frame_get(ip->frames);
	if (!e) {
		ip->ctr->drop[MR_DROP_NO_FRAME]++;
		return false;
	}
	memset(e->data, 0, ICMP_HLEN);
	e->data[0] = type;
	e->data[1] = code;
	memcpy(e->data + ICMP_HLEN, iph, quote);
	e->len = ICMP_HLEN + quote;
	e->pkt_len = e->len;
	csum = (uint16_t)~mr_csum_fold(mr_csum(e->data, e->len));
	memcpy(e->data + 2, &csum, 2);

	tx = (struct mr_ip_tx){
		.src = mr_load_v4(iph + IPV4_DST),
		.dst = mr_load_v4(iph + IPV4_SRC),
		.proto = IPPROTO_ICMP,
		.tos = 0xc0, /* RFC 1812 section 4.3.2.5: precedence 6, internetwork control */
		.ttl = MR_IP_TTL,
		.df = true,
	};
	mr_ip_reply(ip, e, &tx, now);
	return true;
}

void mr_icmp_unreachable(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph,
			 uint8_t code, uint64_t now)
{
	if (complain(ip, f, iph, ICMP_UNREACHABLE, code, now))
		MR_COUNT(ip->ctr, ICMP_UNREACH_OUT);
}

void mr_icmp_time_exceeded(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph,
			   uint64_t now)
{
	if (complain(ip, f, iph, ICMP_TIME_EXCEEDED, ICMP_REASSEMBLY_TIME, now))
		MR_COUNT(ip->ctr, ICMP_TIME_OUT);
}
