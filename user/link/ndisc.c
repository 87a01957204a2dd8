// SPDX-License-Identifier: BSD-2-Clause
/*
 * ndisc.c - neighbour discovery: solicitations, advertisements, duplicate address detection, router solicitations.
 * Owns        link.addr_state: which of our IPv6 addresses are usable.
 * Implements  RFC 4861 (hosts), RFC 4862 section 5.4 (duplicate address detection), RFC 7527 (recognising our own
 *             solicitations), RFC 2464 (over Ethernet).
 * Called by   ip (input), neigh.c (solicitations), mr_link_timer(), on the engine's thread only.
 * Not here    the states of a neighbour (neigh.c), the default route (ip/router.c).
 *
 * Departures. Detection begins at once, and not after a random delay (RFC 4862 section 5.4.2): an engine is started
 * by somebody who waits for it, not by the return of power in a building. Redirects and prefixes are ignored: routes
 * and addresses are configured.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"
#include "base/time.h"
#include "link/link_priv.h"

#define ND_ROUTER_SOLICIT 133
#define ND_ROUTER_ADVERT  134
#define ND_SOLICIT	  135
#define ND_ADVERT	  136

#define ND_HLIM	      255 /* RFC 4861 section 3.1: it was not forwarded */
#define ND_LEN_ROUTER 16u /* router advertisement without options */
#define ND_LEN_TARGET 24u /* neighbour solicitation or advertisement without options */

#define NA_ROUTER    0x80000000u
#define NA_SOLICITED 0x40000000u
#define NA_OVERRIDE  0x20000000u

#define OPT_SOURCE_MAC 1
#define OPT_TARGET_MAC 2
#define OPT_MTU	       5
#define OPT_NONCE      14 /* RFC 3971 section 5.3.2, as RFC 7527 uses it */
#define OPT_LEN	       8  /* of each of these, in bytes */

#define TICK_NS		   MR_NS_PER_S	      /* RFC 4861 section 10: RETRANS_TIMER */
#define DEFEND_INTERVAL_NS (10 * MR_NS_PER_S) /* as for IPv4, RFC 5227 section 1.1 */

/* Ticks of link.nd. DupAddrDetectTransmits is 1, MAX_RTR_SOLICITATIONS 3, and
 * RTR_SOLICITATION_INTERVAL 4 s (RFC 4862 section 5.1, RFC 4861 section 10). */
enum {
	TICK_PROBE,
	TICK_USABLE,
	TICK_SOLICIT_2 = TICK_USABLE + 4,
	TICK_SOLICIT_3 = TICK_SOLICIT_2 + 4,
	TICK_LAST = TICK_SOLICIT_3 + 4,
};

/* ---- Addresses of ours ----------------------------------------------------------------------- */

/* Index of this address of ours, or -1. */
static int find_ours(const struct mr_link *link, const struct mr_addr *addr)
{
	for (unsigned i = 0; i < link->naddrs; i++)
		if (mr_addr_eq(&link->addrs[i], addr))
			return (int)i;
	return -1;
}

bool mr_link_usable(const struct mr_link *link, const struct mr_addr *addr)
{
	int at = find_ours(link, addr);

	return at >= 0 && link->addr_state[at] == MR_LADDR_USABLE;
}

static bool is_usable_v6(const struct mr_link *link, unsigned i)
{
	return !mr_addr_is_v4(&link->addrs[i]) && link->addr_state[i] == MR_LADDR_USABLE;
}

bool mr_nd_is_group_mac(const struct mr_link *link, const uint8_t mac[6])
{
	if (mac[0] != 0x33 || mac[1] != 0x33)
		return false;
	for (unsigned i = 0; i < link->naddrs; i++) {
		const struct mr_addr *a = &link->addrs[i];

		if (mr_addr_is_v4(a))
			continue;
		if (mac[2] == 0xff && !memcmp(mac + 3, a->b + 13, 3)) /* solicited-node */
			return true;
		/* All nodes: we are in it if we have an address. */
		if (!memcmp(mac + 2, "\0\0\0\1", 4))
			return true;
	}
	return false;
}

static void set_state(struct mr_link *link, unsigned i, enum mr_laddr_state state)
{
	link->nunusable -= link->addr_state[i] != MR_LADDR_USABLE;
	link->addr_state[i] = (uint8_t)state;
	link->nunusable += state != MR_LADDR_USABLE;
}

/* ---- Out ------------------------------------------------------------------------------------- */

/* A message to send. */
struct nd_out {
	uint8_t type;
	uint32_t flags;
	struct mr_addr src, dst;
	const struct mr_addr *target; /* NULL: the type has none */
	uint8_t opt;		      /* 0: none */
	const uint8_t *opt_bytes;     /* 6 of them */
};

struct nd_wire { /* IPv6 header (RFC 8200 section 3), then ICMPv6 */
	uint32_t version;
	uint16_t len;
	uint8_t nexthdr, hlim;
	uint8_t src[16], dst[16];
	uint8_t type, code;
	uint16_t csum;
	uint32_t flags;
};
_Static_assert(sizeof(struct nd_wire) == 48, "as on the wire");

/* NULL: no frame is free (counted). */
static struct mr_frame *build(struct mr_link *link, const struct nd_out *o)
{
	struct mr_frame *f = mr_frame_get(link->frames);
	struct nd_wire h = {
		.version = htonl(6u << 28),
		.nexthdr = IPPROTO_ICMPV6,
		.hlim = ND_HLIM,
		.type = o->type,
		.flags = htonl(o->flags),
	};
	uint32_t n = sizeof(h), icmp_len;
	uint16_t csum;

	if (!f) {
		link->ctr->drop[MR_DROP_NO_FRAME]++;
		return NULL;
	}
	if (o->target) {
		memcpy(f->data + n, o->target->b, 16);
		n += 16;
	}
	if (o->opt) {
		f->data[n] = o->opt;
		f->data[n + 1] = OPT_LEN / 8;
		memcpy(f->data + n + 2, o->opt_bytes, 6);
		n += OPT_LEN;
	}
	icmp_len = n - (uint32_t)offsetof(struct nd_wire, type);
	h.len = htons((uint16_t)icmp_len);
	memcpy(h.src, o->src.b, 16);
	memcpy(h.dst, o->dst.b, 16);
	memcpy(f->data, &h, sizeof(h));
	csum = (uint16_t)~mr_csum_fold(
		mr_csum_add(mr_csum(f->data + offsetof(struct nd_wire, type), icmp_len),
			    mr_csum_pseudo(&o->src, &o->dst, IPPROTO_ICMPV6, icmp_len)));
	memcpy(f->data + offsetof(struct nd_wire, csum), &csum, sizeof(csum));
	f->len = n;
	f->pkt_len = n;
	return f;
}

/* mac NULL: to the Ethernet address of the group that is the destination. */
static void send_nd(struct mr_link *link, const struct nd_out *o, const uint8_t *mac)
{
	const uint8_t *d = o->dst.b;
	const uint8_t group[6] = { 0x33, 0x33, d[12], d[13], d[14], d[15] };
	struct mr_frame *f = build(link, o);

	if (f)
		mr_eth_send(link, f, mac ? mac : group, ETH_P_IPV6);
}

void mr_nd_solicit(struct mr_link *link, const struct mr_addr *addr, const uint8_t *mac)
{
	struct nd_out o = {
		.type = ND_SOLICIT,
		.dst = mac ? *addr : mr_addr_solicited_node(addr),
		.target = addr,
		.opt = OPT_SOURCE_MAC,
		.opt_bytes = link->nif->mac,
	};
	const struct mr_addr *best = NULL;

	/* Of our addresses, the one with the longest common prefix is the source: the neighbour has to answer it, and
	 * most likely has it on-link. */
	for (unsigned i = 0; i < link->naddrs; i++)
		if (is_usable_v6(link, i) && (!best || mr_addr_common_bits(addr, &link->addrs[i]) >
							       mr_addr_common_bits(addr, best)))
			best = &link->addrs[i];
	if (!best) /* none is usable yet: the request is repeated within a second */
		return;
	o.src = *best;
	send_nd(link, &o, mac);
	MR_COUNT(link->ctr, ND_SOLICITS_OUT);
}

/* Advertise an address of ours: unsolicited, or to a node that has no address yet (RFC 4861 section 7.2.6). */
static void announce(struct mr_link *link, const struct mr_addr *addr)
{
	const struct nd_out o = {
		.type = ND_ADVERT,
		.flags = NA_OVERRIDE,
		.src = *addr,
		.dst = mr_addr_all_nodes(),
		.target = addr,
		.opt = OPT_TARGET_MAC,
		.opt_bytes = link->nif->mac,
	};

	send_nd(link, &o, NULL);
	MR_COUNT(link->ctr, ND_ADVERTS_OUT);
}

static void probe(struct mr_link *link, const struct mr_addr *addr)
{
	const struct nd_out o = {
		.type = ND_SOLICIT,
		.dst = mr_addr_solicited_node(addr),
		.target = addr,
		.opt = OPT_NONCE,
		.opt_bytes = link->dad_nonce,
	};

	send_nd(link, &o, NULL);
	MR_COUNT(link->ctr, ND_SOLICITS_OUT);
}

/* Solicit routers, from a link-local address if one is usable. */
static void solicit_routers(struct mr_link *link)
{
	struct nd_out o = {
		.type = ND_ROUTER_SOLICIT,
		.dst = { .b = { 0xff, 0x02, [15] = 0x02 } },
	};

	for (unsigned i = 0; i < link->naddrs; i++) {
		if (is_usable_v6(link, i) && mr_addr_is_link_local(&link->addrs[i])) {
			o.src = link->addrs[i];
			o.opt = OPT_SOURCE_MAC;
			o.opt_bytes = link->nif->mac;
			break;
		}
	}
	send_nd(link, &o, NULL);
	MR_COUNT(link->ctr, ND_ROUTER_SOLICITS_OUT);
}

/* ---- Time ------------------------------------------------------------------------------------ */

void mr_nd_start(struct mr_link *link, uint64_t now)
{
	uint64_t nonce = mr_rng_u64(link->rng);
	bool any = false;

	memcpy(link->dad_nonce, &nonce, sizeof(link->dad_nonce));
	mr_timer_init(&link->nd, MR_TIMER_ND);
	mr_timer_init(&link->mld.timer, MR_TIMER_ND);
	for (unsigned i = 0; i < link->naddrs; i++) {
		if (mr_addr_is_v4(&link->addrs[i]))
			continue;
		set_state(link, i, MR_LADDR_TENTATIVE);
		any = true;
	}
	if (any)
		mr_timer_arm(link->wheel, &link->nd, now);
}

void mr_nd_timer(struct mr_link *link, uint64_t now)
{
	bool usable = false;

	/* RFC 4862 section 5.4.2: join the groups first, so that whoever defends the address is heard. */
	if (link->nd_tick == TICK_PROBE)
		mr_mld_joined(link, now);
	for (unsigned i = 0; i < link->naddrs; i++) {
		if (link->addr_state[i] != MR_LADDR_TENTATIVE)
			continue;
		if (link->nd_tick == TICK_PROBE) {
			probe(link, &link->addrs[i]);
		} else {
			set_state(link, i, MR_LADDR_USABLE);
			announce(link, &link->addrs[i]);
			usable = true;
		}
	}
	if (usable) /* RFC 3590 section 4: report again, from a usable address */
		mr_mld_joined(link, now);
	if (!link->router_heard && link->nd_tick >= TICK_USABLE && link->nd_tick < TICK_LAST &&
	    (link->nd_tick - TICK_USABLE) % (TICK_SOLICIT_2 - TICK_USABLE) == 0)
		solicit_routers(link);
	/* Answers may arrive as notes of the XDP program, which wake nobody: the timer makes the engine read them. */
	if (link->nd_tick == TICK_LAST || (link->router_heard && link->nd_tick >= TICK_USABLE))
		return;
	link->nd_tick++;
	mr_timer_arm(link->wheel, &link->nd, now + TICK_NS);
}

void mr_nd_announce(struct mr_link *link)
{
	for (unsigned i = 0; i < link->naddrs; i++)
		if (is_usable_v6(link, i))
			announce(link, &link->addrs[i]);
}

/* ---- In -------------------------------------------------------------------------------------- */

struct nd_options {
	const uint8_t *source_mac, *target_mac, *nonce;
	uint32_t mtu;
};

/* Unknown options, and those with an unexpected length, are skipped; one of length 0 makes the message invalid (RFC
 * 4861 section 4.6). */
static bool parse_options(const uint8_t *p, uint32_t len, struct nd_options *opts)
{
	*opts = (struct nd_options){ 0 };
	while (len) {
		uint32_t n = len < OPT_LEN ? 0 : p[1] * 8u;

		if (!n || n > len)
			return false;
		if (n == OPT_LEN && p[0] == OPT_SOURCE_MAC)
			opts->source_mac = p + 2;
		else if (n == OPT_LEN && p[0] == OPT_TARGET_MAC)
			opts->target_mac = p + 2;
		else if (n == OPT_LEN && p[0] == OPT_NONCE)
			opts->nonce = p + 2;
		else if (n == OPT_LEN && p[0] == OPT_MTU)
			opts->mtu = (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 |
				    (uint32_t)p[6] << 8 | p[7];
		p += n;
		len -= n;
	}
	/* A unicast address, or none. */
	return !(opts->source_mac && opts->source_mac[0] & 1) &&
	       !(opts->target_mac && opts->target_mac[0] & 1);
}

static struct mr_addr load_target(const uint8_t *msg)
{
	struct mr_addr a;

	memcpy(a.b, msg + 8, sizeof(a.b));
	return a;
}

/* RFC 4862 section 5.4.5. */
static enum mr_drop duplicate(struct mr_link *link, unsigned i)
{
	if (link->addr_state[i] == MR_LADDR_TENTATIVE) {
		set_state(link, i, MR_LADDR_DUPLICATE);
		MR_COUNT(link->ctr, ND_DUPLICATES);
	}
	return MR_DROP_ND_CONFLICT;
}

/* Answer a solicitation (RFC 4861 section 7.2.4). */
static void answer(struct mr_link *link, const struct mr_addr *asker, const struct mr_addr *target,
		   const uint8_t *mac, uint64_t now)
{
	const struct nd_out o = {
		.type = ND_ADVERT,
		.flags = NA_SOLICITED | NA_OVERRIDE,
		.src = *target,
		.dst = *asker,
		.target = target,
		.opt = OPT_TARGET_MAC,
		.opt_bytes = link->nif->mac,
	};
	struct mr_neigh *n = mr_neigh_make(link, asker);
	struct mr_frame *f;

	MR_COUNT(link->ctr, ND_ADVERTS_OUT);
	if (mac) {
		if (n)
			mr_neigh_update(link, n, mac, MR_NEIGH_HEARD, now);
		send_nd(link, &o, mac);
		return;
	}
	/* The solicitation has no source link-layer address, and we may not know it. */
	if (!n) {
		link->ctr->drop[MR_DROP_NEIGH_TABLE_FULL]++;
		return;
	}
	f = build(link, &o);
	if (f)
		mr_link_output(link, f, n, ETH_P_IPV6, now);
}

/* RFC 4861 sections 7.1.1 and 7.2.3; RFC 4862 section 5.4.3. */
static enum mr_drop solicited(struct mr_link *link, const struct mr_nd_packet *pkt, uint64_t now)
{
	struct mr_addr target, group;
	bool probing = mr_addr_is_any(&pkt->src);
	struct nd_options opts;
	int at;

	if (pkt->len < ND_LEN_TARGET ||
	    !parse_options(pkt->msg + ND_LEN_TARGET, pkt->len - ND_LEN_TARGET, &opts))
		return MR_DROP_ND_BAD;
	target = load_target(pkt->msg);
	group = mr_addr_solicited_node(&target);
	if (mr_addr_is_multicast6(&target) ||
	    (probing && (opts.source_mac || !mr_addr_eq(&pkt->dst, &group))))
		return MR_DROP_ND_BAD;
	at = find_ours(link, &target);
	if (at < 0)
		return MR_DROP_ND_NOT_OURS;
	if (probing && opts.nonce && !memcmp(opts.nonce, link->dad_nonce, sizeof(link->dad_nonce)))
		return MR_DROP_ND_NOT_OURS; /* our own, come back */
	if (find_ours(link, &pkt->src) >= 0)
		return MR_DROP_ND_CONFLICT;
	if (link->addr_state[at] != MR_LADDR_USABLE)
		return probing ? duplicate(link, (unsigned)at) : MR_DROP_IP_TENTATIVE;

	MR_COUNT(link->ctr, ND_SOLICITS_IN);
	if (probing)
		announce(link, &target);
	else
		answer(link, &pkt->src, &target, opts.source_mac, now);
	return MR_DROP_NONE;
}

/* Another station claims an address of ours that is usable: advertise it again. */
static enum mr_drop defend(struct mr_link *link, const struct mr_addr *addr, uint64_t now)
{
	if (now >= link->defend_at) {
		link->defend_at = now + DEFEND_INTERVAL_NS;
		announce(link, addr);
	}
	return MR_DROP_ND_CONFLICT;
}

/* RFC 4861 sections 7.1.2 and 7.2.5; RFC 4862 section 5.4.4. */
static enum mr_drop advertised(struct mr_link *link, const struct mr_nd_packet *pkt, uint64_t now,
			       struct mr_nd_news *news)
{
	struct nd_options opts;
	struct mr_addr target;
	struct mr_neigh *n;
	uint32_t flags;
	int at;

	if (pkt->len < ND_LEN_TARGET ||
	    !parse_options(pkt->msg + ND_LEN_TARGET, pkt->len - ND_LEN_TARGET, &opts))
		return MR_DROP_ND_BAD;
	target = load_target(pkt->msg);
	flags = (uint32_t)pkt->msg[4] << 24;
	if (mr_addr_is_multicast6(&target) ||
	    (mr_addr_is_multicast6(&pkt->dst) && flags & NA_SOLICITED))
		return MR_DROP_ND_BAD;
	at = find_ours(link, &target);
	if (at >= 0) {
		if (opts.target_mac && !memcmp(opts.target_mac, link->nif->mac, 6))
			return MR_DROP_ND_NOT_OURS; /* our own, come back */
		return link->addr_state[at] == MR_LADDR_USABLE ? defend(link, &target, now) :
								 duplicate(link, (unsigned)at);
	}
	n = mr_neigh_find(link, &target);
	if (!n) /* nobody here uses it */
		return MR_DROP_ND_NOT_OURS;
	MR_COUNT(link->ctr, ND_ADVERTS_IN);
	mr_neigh_advertised(link, n, opts.target_mac, flags & NA_SOLICITED, flags & NA_OVERRIDE,
			    now);
	if (!(flags & NA_ROUTER)) {
		news->about = MR_ND_NOT_A_ROUTER;
		news->router = target;
	}
	return MR_DROP_NONE;
}

/* RFC 4861 sections 6.1.2 and 6.3.4. */
static enum mr_drop router_advertised(struct mr_link *link, const struct mr_nd_packet *pkt,
				      uint64_t now, struct mr_nd_news *news)
{
	struct nd_options opts;
	struct mr_neigh *n;

	if (pkt->len < ND_LEN_ROUTER || !mr_addr_is_link_local(&pkt->src) ||
	    !parse_options(pkt->msg + ND_LEN_ROUTER, pkt->len - ND_LEN_ROUTER, &opts))
		return MR_DROP_ND_BAD;
	if (find_ours(link, &pkt->src) >= 0)
		return MR_DROP_ND_CONFLICT;
	MR_COUNT(link->ctr, ND_ROUTER_ADVERTS_IN);
	*news = (struct mr_nd_news){
		.about = MR_ND_ROUTER,
		.router = pkt->src,
		.lifetime_s = (uint16_t)(pkt->msg[6] << 8 | pkt->msg[7]),
		.mtu = opts.mtu,
	};
	if (news->lifetime_s)
		link->router_heard = true;
	n = opts.source_mac ? mr_neigh_make(link, &pkt->src) : NULL;
	if (n)
		mr_neigh_update(link, n, opts.source_mac, MR_NEIGH_HEARD, now);
	return MR_DROP_NONE;
}

enum mr_drop mr_nd_input(struct mr_link *link, const struct mr_nd_packet *pkt, uint64_t now,
			 struct mr_nd_news *news)
{
	*news = (struct mr_nd_news){ .about = MR_ND_NEIGHBOUR };
	if (pkt->hlim != ND_HLIM || pkt->len < 8 || pkt->msg[1] != 0)
		return MR_DROP_ND_BAD;
	switch (pkt->msg[0]) {
	case ND_SOLICIT:
		return solicited(link, pkt, now);
	case ND_ADVERT:
		return advertised(link, pkt, now, news);
	case ND_ROUTER_ADVERT:
		return router_advertised(link, pkt, now, news);
	default: /* a router solicitation, or a redirect */
		return MR_DROP_ICMP_TYPE;
	}
}
