// SPDX-License-Identifier: BSD-2-Clause
/*
 * mld.c - multicast listener discovery: reports the solicited-node groups of our IPv6 addresses to multicast routers,
 * and to switches with MLD snooping, which would otherwise not forward neighbour solicitations to us.
 * Owns        link.mld.
 * Implements  RFC 3810 (MLDv2, as a listener), RFC 3590 (source :: while no address is usable), RFC 2710 while a
 *             querier only knows version 1 (RFC 3810 section 8.2.1).
 * Called by   ndisc.c (before an address is probed, and when it becomes usable), ip (queries), mr_link_timer().
 * Not here    IGMP: no IPv4 group is joined except all hosts (224.0.0.1), which is never reported; groups that
 *             programs join, which is for UDP, and the kernel's.
 *
 * All sources are accepted for every group, and groups do not change when addresses are usable: so there are no
 * source lists, and the only change to report is joining. There is one timer; a report that answers one query also
 * answers another that is due later. Departures: a query about certain sources is answered as one about the group; a
 * report of another listener does not suppress ours in version 1 (the sender may ignore it). The group of an address
 * that is a duplicate is left without a report: queries are not answered.
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

#define MLD_REPORT    131 /* of version 1 */
#define MLD_REPORT_V2 143

#define LEN_V1	     24u /* of every version 1 message */
#define LEN_V2_QUERY 28u /* at least */
#define LEN_RECORD   20u /* without sources */
#define RECORDS_MAX  60u /* as many as fit into IPv6's minimum MTU */

/* Section 5.2.12: all sources except the listed ones, of which there are none. */
#define IS_EXCLUDE 2
#define TO_EXCLUDE 4

#define ROBUSTNESS     2u    /* section 9.1: how often a change is reported */
#define UNSOLICITED_MS 1000u /* section 9.11 */
#define V1_PRESENT_S   260u  /* section 9.12, with the default query interval and maximum delay */
/* Minimum interval of reports, however many queries arrive. */
#define LEAST_GAP_NS (100 * MR_NS_PER_MS)

struct mld_wire { /* IPv6 header, hop-by-hop options with a router alert (RFC 2711), ICMPv6 */
	uint32_t version;
	uint16_t len;
	uint8_t nexthdr, hlim;
	uint8_t src[16], dst[16];
	uint8_t options[8];
	uint8_t type, code;
	uint16_t csum;
	uint16_t zero, nrecords;
};
_Static_assert(sizeof(struct mld_wire) == 56, "as on the wire");

static const uint8_t router_alert[8] = { IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 };

/* ---- Groups ---------------------------------------------------------------------------------- */

/* Does address i stand for its group: is it the first of those that share one? */
static bool stands_for_group(const struct mr_link *link, unsigned i)
{
	const struct mr_addr *a = &link->addrs[i];

	if (mr_addr_is_v4(a) || link->addr_state[i] == MR_LADDR_DUPLICATE)
		return false;
	for (unsigned j = 0; j < i; j++)
		if (!mr_addr_is_v4(&link->addrs[j]) &&
		    !memcmp(link->addrs[j].b + 13, a->b + 13, 3) &&
		    link->addr_state[j] != MR_LADDR_DUPLICATE)
			return false;
	return true;
}

/* The groups that a query asks for, as bits of the addresses that stand for them. */
static uint64_t groups_asked(const struct mr_link *link, const struct mr_addr *group)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < link->naddrs; i++) {
		struct mr_addr ours = mr_addr_solicited_node(&link->addrs[i]);

		if (stands_for_group(link, i) &&
		    (mr_addr_is_any(group) || mr_addr_eq(group, &ours)))
			found |= 1ull << i;
	}
	return found;
}

/* ---- Out ------------------------------------------------------------------------------------- */

/* Section 5.2.13: a usable link-local address, or ::. */
static struct mr_addr source(const struct mr_link *link)
{
	for (unsigned i = 0; i < link->naddrs; i++)
		if (mr_addr_is_link_local(&link->addrs[i]) &&
		    link->addr_state[i] == MR_LADDR_USABLE)
			return link->addrs[i];
	return (struct mr_addr){ 0 };
}

/* Complete and send f, whose body follows the headers; type and number of records are set. */
static void send_report(struct mr_link *link, struct mr_frame *f, uint32_t body,
			const struct mr_addr *dst)
{
	const uint8_t mac[6] = { 0x33, 0x33, dst->b[12], dst->b[13], dst->b[14], dst->b[15] };
	struct mld_wire *h = (struct mld_wire *)(void *)f->data;
	uint32_t icmp_len = (uint32_t)(sizeof(*h) - offsetof(struct mld_wire, type)) + body;
	struct mr_addr src = source(link);
	uint16_t csum;

	h->version = htonl(6u << 28);
	h->len = htons((uint16_t)(sizeof(h->options) + icmp_len));
	h->nexthdr = IPPROTO_HOPOPTS;
	h->hlim = 1;
	memcpy(h->src, src.b, 16);
	memcpy(h->dst, dst->b, 16);
	memcpy(h->options, router_alert, sizeof(h->options));
	h->csum = 0;
	csum = (uint16_t)~mr_csum_fold(
		mr_csum_add(mr_csum(f->data + offsetof(struct mld_wire, type), icmp_len),
			    mr_csum_pseudo(&src, dst, IPPROTO_ICMPV6, icmp_len)));
	memcpy(&h->csum, &csum, sizeof(csum));
	f->len = f->pkt_len = (uint32_t)sizeof(*h) + body;
	MR_COUNT(link->ctr, MLD_REPORTS_OUT);
	mr_eth_send(link, f, mac, ETH_P_IPV6);
}

static struct mr_frame *begin(struct mr_link *link, uint8_t type, uint16_t nrecords)
{
	struct mr_frame *f = mr_frame_get(link->frames);
	struct mld_wire h = { .type = type, .nrecords = htons(nrecords) };

	if (f)
		memcpy(f->data, &h, sizeof(h));
	else
		link->ctr->drop[MR_DROP_NO_FRAME]++;
	return f;
}

/* RFC 2710 section 3: one message per group, sent to the group. */
static void report_v1(struct mr_link *link, uint64_t groups)
{
	for (unsigned i = 0; i < link->naddrs; i++) {
		struct mr_addr group = mr_addr_solicited_node(&link->addrs[i]);
		struct mr_frame *f = groups >> i & 1 ? begin(link, MLD_REPORT, 0) : NULL;

		if (!f)
			continue;
		memcpy(f->data + sizeof(struct mld_wire), group.b, 16);
		send_report(link, f, 16, &group);
	}
}

static void report_v2(struct mr_link *link, uint64_t groups, uint8_t kind)
{
	static const struct mr_addr routers = { .b = { 0xff, 0x02, [15] = 0x16 } };
	unsigned i = 0;

	while (groups) {
		uint16_t left =
			(uint16_t)mr_min((uint32_t)__builtin_popcountll(groups), RECORDS_MAX);
		struct mr_frame *f = begin(link, MLD_REPORT_V2, left);
		uint8_t *at = f ? f->data + sizeof(struct mld_wire) : NULL;
		uint32_t body = left * LEN_RECORD;

		if (!f)
			return;
		for (; left; i++) {
			struct mr_addr group = mr_addr_solicited_node(&link->addrs[i]);

			if (!(groups >> i & 1))
				continue;
			memset(at, 0, 4);
			at[0] = kind;
			memcpy(at + 4, group.b, 16);
			at += LEN_RECORD;
			groups &= ~(1ull << i);
			left--;
		}
		send_report(link, f, body, &routers);
	}
}

static void report(struct mr_link *link, uint64_t groups, uint8_t kind, uint64_t now)
{
	if (now / MR_NS_PER_S < link->mld.v1_until_s)
		report_v1(link, groups);
	else
		report_v2(link, groups, kind);
	link->mld.not_before = now + LEAST_GAP_NS;
}

/* ---- Time ------------------------------------------------------------------------------------ */

/* Send a report within delay_ms, at a random time, or earlier if one is due. */
static void owe(struct mr_link *link, uint32_t delay_ms, uint64_t now)
{
	uint64_t at = now;

	if (delay_ms)
		at += mr_rng_below(link->rng, delay_ms) * MR_NS_PER_MS;
	at = mr_max(at, link->mld.not_before);
	if (!mr_timer_armed(&link->mld.timer) || at < link->mld.timer.expires)
		mr_timer_arm(link->wheel, &link->mld.timer, at);
}

void mr_mld_joined(struct mr_link *link, uint64_t now)
{
	static const struct mr_addr any;

	if (!groups_asked(link, &any))
		return;
	report(link, groups_asked(link, &any), TO_EXCLUDE, now);
	link->mld.again = ROBUSTNESS - 1;
	owe(link, UNSOLICITED_MS, now);
}

void mr_mld_timer(struct mr_link *link, uint64_t now)
{
	static const struct mr_addr any;
	uint64_t all = groups_asked(link, &any);

	if (link->mld.again) { /* a report of a change answers a query, too */
		link->mld.again--;
		report(link, all, TO_EXCLUDE, now);
	} else {
		report(link, link->mld.asked & all, IS_EXCLUDE, now);
	}
	link->mld.asked = 0;
	if (link->mld.again)
		owe(link, UNSOLICITED_MS, now);
}

/* ---- In -------------------------------------------------------------------------------------- */

/* Section 5.1.3: maximum response delay in ms; version 1 has the number itself. */
static uint32_t most_delay(const struct mr_mld_packet *pkt)
{
	uint32_t code = (uint32_t)pkt->msg[4] << 8 | pkt->msg[5];

	if (pkt->len == LEN_V1 || code < 0x8000)
		return code;
	return ((code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3);
}

enum mr_drop mr_mld_input(struct mr_link *link, const struct mr_mld_packet *pkt, uint64_t now)
{
	struct mr_addr group;
	uint64_t asked;

	/* Section 6.2: a query must come from a neighbour, and have a router alert. */
	if (!pkt->router_alert || pkt->hlim != 1 || !mr_addr_is_link_local(&pkt->src) ||
	    (pkt->len != LEN_V1 && pkt->len < LEN_V2_QUERY))
		return MR_DROP_MLD_BAD;
	memcpy(group.b, pkt->msg + 8, 16);
	if (!mr_addr_is_any(&group) && !mr_addr_is_multicast6(&group))
		return MR_DROP_MLD_BAD;
	MR_COUNT(link->ctr, MLD_QUERIES_IN);
	if (pkt->len == LEN_V1)
		link->mld.v1_until_s = (uint32_t)(now / MR_NS_PER_S) + V1_PRESENT_S;
	asked = groups_asked(link, &group);
	if (asked) {
		link->mld.asked |= asked;
		owe(link, most_delay(pkt), now);
	}
	return MR_DROP_NONE;
}
