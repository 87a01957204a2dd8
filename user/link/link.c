// SPDX-License-Identifier: BSD-2-Clause
/*
 * link.c - Ethernet: demultiplexes received frames, and adds headers to sent ones.
 * Implements  RFC 894 (IP over Ethernet II), RFC 1122 section 2.3; RFC 2464; IEEE 802.1Q priority tags.
 * Called by   the engine's receive pipeline (input) and ip (output), on the engine's thread only.
 * Not here    ARP (arp.c), neighbour discovery (ndisc.c), the neighbour cache (neigh.c).
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "link/link_priv.h"

#define VLAN_HLEN     4u
#define VLAN_VID_MASK 0x0fff
#define VLAN_TAGS_MAX 2

#define ANNOUNCEMENTS 2 /* RFC 5227 section 1.1: ANNOUNCE_NUM */

const uint8_t mr_eth_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static enum mr_up drop(enum mr_drop *reason, enum mr_drop why)
{
	*reason = why;
	return MR_UP_DROP;
}

int mr_link_init(struct mr_link *link, struct mr_arena *arena, struct mr_netif *nif,
		 struct mr_wheel *wheel, struct mr_rng *rng, struct mr_counters *ctr,
		 const struct mr_addr *addrs, unsigned naddrs, uint64_t now)
{
	assert(naddrs <= MR_LINK_ADDRS_MAX);
	*link = (struct mr_link){
		.nif = nif,
		.frames = nif->frames,
		.ctr = ctr,
		.wheel = wheel,
		.rng = rng,
		.hash_key = { mr_rng_u64(rng), mr_rng_u64(rng) },
		.naddrs = naddrs,
		.announcements_left = ANNOUNCEMENTS,
	};
	for (unsigned i = 0; i < naddrs; i++)
		link->addrs[i] = addrs[i];
	mr_list_init(&link->asks);
	mr_timer_init(&link->announce, MR_TIMER_ARP_ANNOUNCE);
	mr_timer_arm(wheel, &link->announce, now);
	mr_nd_start(link, now);
	return mr_neigh_init(link, arena);
}

void mr_link_salvage(struct mr_link *link)
{
	mr_timer_salvage(link->wheel, &link->announce);
	mr_timer_salvage(link->wheel, &link->nd);
	mr_timer_salvage(link->wheel, &link->mld.timer);
	mr_neigh_salvage(link);
}

void mr_link_use_kernel(struct mr_link *link)
{
	assert(!link->naddrs);
	link->kernel = true;
	mr_timer_cancel(link->wheel, &link->announce);
}

void mr_link_set_addrs(struct mr_link *link, const struct mr_prefix *addrs, unsigned naddrs)
{
	assert(link->kernel && naddrs <= MR_LINK_ADDRS_MAX);
	for (unsigned i = 0; i < naddrs; i++) {
		link->addrs[i] = addrs[i].addr;
		/* The kernel only reports usable addresses. */
		link->addr_state[i] = MR_LADDR_USABLE;
	}
	link->naddrs = naddrs;
}

void mr_link_mac_changed(struct mr_link *link, uint64_t now)
{
	if (link->kernel)
		return;
	link->announcements_left = ANNOUNCEMENTS;
	mr_timer_arm(link->wheel, &link->announce, now);
	mr_nd_announce(link);
}

enum mr_up mr_link_input(struct mr_link *link, struct mr_frame *f, uint64_t now,
			 enum mr_drop *reason)
{
	uint32_t hlen = MR_ETH_HLEN;
	bool to_us, to_all, to_group;
	uint16_t type;

	if (f->len < MR_ETH_HLEN)
		return drop(reason, MR_DROP_ETH_TRUNCATED);
	to_us = !memcmp(f->data, link->nif->mac, 6);
	to_all = !to_us && !memcmp(f->data, mr_eth_broadcast, 6);
	to_group = !to_us && !to_all && mr_nd_is_group_mac(link, f->data);
	if (!to_us && !to_all && !to_group)
		return drop(reason, MR_DROP_ETH_NOT_OURS);

	type = load16(f->data + 12);
	/* A tag with VLAN ID 0 only has a priority, and counts as untagged. */
	for (int i = 0; i < VLAN_TAGS_MAX && (type == ETH_P_8021Q || type == ETH_P_8021AD); i++) {
		if (f->len < hlen + VLAN_HLEN)
			return drop(reason, MR_DROP_ETH_TRUNCATED);
		if (load16(f->data + hlen) & VLAN_VID_MASK)
			break;
		type = load16(f->data + hlen + 2);
		hlen += VLAN_HLEN;
	}

	switch (type) {
	case ETH_P_ARP:
		mr_frame_pull(f, hlen);
		return mr_arp_input(link, f, now, reason);
	case ETH_P_IP:
	case ETH_P_IPV6:
		/* RFC 1122 section 3.3.6: an IPv4 packet to a unicast address must not arrive by link-layer
		 * broadcast, and all our addresses are unicast. */
		if (to_all || (to_group && type != ETH_P_IPV6))
			return drop(reason, MR_DROP_ETH_NOT_OURS);
		mr_frame_pull(f, hlen);
		return type == ETH_P_IP ? MR_UP_IPV4 : MR_UP_IPV6;
	default:
		return drop(reason, MR_DROP_ETH_TYPE);
	}
}

int mr_eth_send(struct mr_link *link, struct mr_frame *f, const uint8_t dst[6], uint16_t ethertype)
{
	uint8_t *eth = mr_frame_push(f, MR_ETH_HLEN);

	memcpy(eth, dst, 6);
	memcpy(eth + 6, link->nif->mac, 6);
	eth[12] = (uint8_t)(ethertype >> 8);
	eth[13] = (uint8_t)ethertype;
	return mr_netif_tx(link->nif, f);
}

struct mr_neigh *mr_link_timer(struct mr_link *link, struct mr_timer *t, uint64_t now)
{
	struct mr_neigh *n;

	if (t == &link->announce) {
		mr_arp_announce_timer(link, now);
		return NULL;
	}
	if (t == &link->nd) {
		mr_nd_timer(link, now);
		return NULL;
	}
	if (t == &link->mld.timer) {
		mr_mld_timer(link, now);
		return NULL;
	}
	n = mr_container_of(t, struct mr_neigh, timer);
	return mr_neigh_timer(link, n, now) ? n : NULL;
}
