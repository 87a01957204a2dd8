// SPDX-License-Identifier: BSD-2-Clause
/*
 * arp.c - ARP: replies, requests, announcements, defence of our addresses, and learning of neighbours.
 * Implements  RFC 826 ("Packet Reception"); RFC 5227 sections 2.3 (announcing) and 2.4 (defending, in form (b):
 *             defend, but not more often than once per DEFEND_INTERVAL).
 * Not here    the states of a neighbour (neigh.c). Probing before the first use (RFC 5227 section 2.1) is not done: a
 *             configured address is used at once, as in Linux.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/time.h"
#include "link/link_priv.h"

struct arp_packet { /* RFC 826 for Ethernet and IPv4 */
	uint16_t hrd, pro;
	uint8_t hln, pln;
	uint16_t op;
	uint8_t sha[6], spa[4];
	uint8_t tha[6], tpa[4];
};
_Static_assert(sizeof(struct arp_packet) == 28, "as on the wire");

#define ARP_HRD_ETHER 1
#define ARP_REQUEST   1
#define ARP_REPLY     2

#define ANNOUNCE_INTERVAL_NS (2 * MR_NS_PER_S)	/* RFC 5227 section 1.1 */
#define DEFEND_INTERVAL_NS   (10 * MR_NS_PER_S) /* RFC 5227 section 1.1 */

static struct mr_addr load_addr(const uint8_t b[4])
{
	uint32_t word;

	memcpy(&word, b, sizeof(word));
	return mr_addr_v4(word);
}

static bool is_ours(const struct mr_link *link, const struct mr_addr *addr)
{
	for (unsigned i = 0; i < link->naddrs; i++)
		if (mr_addr_eq(&link->addrs[i], addr))
			return true;
	return false;
}

static void send_arp(struct mr_link *link, uint16_t op, const struct mr_addr *spa,
		     const uint8_t tha[6], const struct mr_addr *tpa, const uint8_t eth_dst[6])
{
	struct mr_frame *f = mr_frame_get(link->frames);
	struct arp_packet arp = {
		.hrd = htons(ARP_HRD_ETHER),
		.pro = htons(ETH_P_IP),
		.hln = 6,
		.pln = 4,
		.op = htons(op),
	};

	if (!f) {
		link->ctr->drop[MR_DROP_NO_FRAME]++;
		return;
	}
	memcpy(arp.sha, link->nif->mac, 6);
	memcpy(arp.spa, &spa->w[3], 4);
	memcpy(arp.tha, tha, 6);
	memcpy(arp.tpa, &tpa->w[3], 4);
	memcpy(f->data, &arp, sizeof(arp));
	f->len = sizeof(arp);
	f->pkt_len = sizeof(arp);
	mr_eth_send(link, f, eth_dst, ETH_P_ARP);
}

static void announce(struct mr_link *link, const struct mr_addr *addr)
{
	static const uint8_t nobody[6];

	send_arp(link, ARP_REQUEST, addr, nobody, addr, mr_eth_broadcast);
	MR_COUNT(link->ctr, ARP_ANNOUNCE_OUT);
}

void mr_arp_announce_timer(struct mr_link *link, uint64_t now)
{
	for (unsigned i = 0; i < link->naddrs; i++)
		if (mr_addr_is_v4(&link->addrs[i]))
			announce(link, &link->addrs[i]);
	if (--link->announcements_left)
		mr_timer_arm(link->wheel, &link->announce, now + ANNOUNCE_INTERVAL_NS);
}

/* Of our addresses, the one with the longest common prefix is the sender address: it is most likely in the target's
 * subnet. */
static const struct mr_addr *ask_as(const struct mr_link *link, const struct mr_addr *target)
{
	const struct mr_addr *best = NULL;
	uint32_t best_diff = UINT32_MAX;

	for (unsigned i = 0; i < link->naddrs; i++) {
		uint32_t diff = ntohl(link->addrs[i].w[3] ^ target->w[3]);

		if (mr_addr_is_v4(&link->addrs[i]) && (!best || diff < best_diff)) {
			best = &link->addrs[i];
			best_diff = diff;
		}
	}
	return best;
}

void mr_arp_request(struct mr_link *link, const struct mr_addr *addr, const uint8_t *mac)
{
	static const uint8_t unknown[6];
	const struct mr_addr *spa = ask_as(link, addr);

	if (!spa)
		return;
	send_arp(link, ARP_REQUEST, spa, unknown, addr, mac ? mac : mr_eth_broadcast);
	MR_COUNT(link->ctr, ARP_REQUESTS_OUT);
}

/* Another station claims an address of ours: announce it again. */
static void defend(struct mr_link *link, const struct mr_addr *addr, uint64_t now)
{
	if (now < link->defend_at)
		return;
	link->defend_at = now + DEFEND_INTERVAL_NS;
	announce(link, addr);
}

static bool well_formed(const struct arp_packet *arp)
{
	static const uint8_t zero[6];
	struct mr_addr spa = load_addr(arp->spa);

	return arp->hrd == htons(ARP_HRD_ETHER) && arp->pro == htons(ETH_P_IP) && arp->hln == 6 &&
	       arp->pln == 4 && (arp->op == htons(ARP_REQUEST) || arp->op == htons(ARP_REPLY)) &&
	       /* The sender's address is neither a group nor zero. */
	       !(arp->sha[0] & 1) && memcmp(arp->sha, zero, 6) != 0 &&
	       (mr_addr_is_any(&spa) || mr_addr_is_unicast(&spa));
}

/* On MR_UP_DONE the caller releases the frame. */
static enum mr_up receive(struct mr_link *link, const struct arp_packet *arp, uint64_t now,
			  enum mr_drop *reason)
{
	struct mr_addr spa = load_addr(arp->spa), tpa = load_addr(arp->tpa);
	bool reply = arp->op == htons(ARP_REPLY), for_us = is_ours(link, &tpa);
	bool probe =
		/* A probe (RFC 5227 section 1.1), which says nothing about its sender. */
		mr_addr_is_any(&spa);
	struct mr_neigh *n;

	if (is_ours(link, &spa)) {
		if (memcmp(arp->sha, link->nif->mac, 6) != 0) {
			defend(link, &spa, now);
			*reason = MR_DROP_ARP_CONFLICT;
		} else {
			*reason = MR_DROP_ARP_NOT_OURS; /* our own, come back */
		}
		return MR_UP_DROP;
	}

	/* RFC 826: update an existing entry of the sender; make a new entry only for one who asks for an address of
	 * ours, because we answer and will get packets from it. */
	n = probe ? NULL : mr_neigh_find(link, &spa);
	if (!n && !probe && !reply && for_us)
		n = mr_neigh_make(link, &spa);
	if (n)
		mr_neigh_update(link, n, arp->sha,
				reply && for_us ? MR_NEIGH_ANSWERED : MR_NEIGH_HEARD, now);

	if (!probe && mr_addr_eq(&spa, &tpa)) {
		MR_COUNT(link->ctr, ARP_GRATUITOUS_IN);
		return MR_UP_DONE;
	}
	if (!for_us) {
		*reason = MR_DROP_ARP_NOT_OURS;
		return MR_UP_DROP;
	}
	if (reply) {
		MR_COUNT(link->ctr, ARP_REPLIES_IN);
		return MR_UP_DONE;
	}
	MR_COUNT(link->ctr, ARP_REQUESTS_IN);
	send_arp(link, ARP_REPLY, &tpa, arp->sha, &spa, arp->sha);
	MR_COUNT(link->ctr, ARP_REPLIES_OUT);
	return MR_UP_DONE;
}

enum mr_up mr_arp_input(struct mr_link *link, struct mr_frame *f, uint64_t now,
			enum mr_drop *reason)
{
	struct arp_packet arp;
	enum mr_up up;

	*reason = MR_DROP_ARP_BAD;
	if (f->len < sizeof(arp))
		return MR_UP_DROP;
	memcpy(&arp, f->data, sizeof(arp));
	if (!well_formed(&arp))
		return MR_UP_DROP;
	up = receive(link, &arp, now, reason);
	if (up == MR_UP_DONE)
		mr_frame_put_chain(link->frames, f);
	return up;
}

void mr_link_arp_note(struct mr_link *link, const struct mr_addr *addr, const uint8_t mac[6],
		      uint64_t now)
{
	struct mr_neigh *n = mr_neigh_find(link, addr);

	MR_COUNT(link->ctr, ARP_GRATUITOUS_IN);
	if (n)
		mr_neigh_update(link, n, mac, MR_NEIGH_HEARD, now);
}
