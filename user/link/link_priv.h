/* SPDX-License-Identifier: BSD-2-Clause */
/* link_priv.h - functions that the files of user/link call in one another. Nothing outside of user/link includes it. */
#ifndef MR_LINK_LINK_PRIV_H
#define MR_LINK_LINK_PRIV_H

#include "link/link.h"

extern const uint8_t mr_eth_broadcast[6];

/* link.c: put the Ethernet header in front of f and queue it. References are as in mr_link_output(). */
int mr_eth_send(struct mr_link *link, struct mr_frame *f, const uint8_t dst[6], uint16_t ethertype);

/* arp.c: as mr_link_input(); f->data is at the ARP packet. */
enum mr_up mr_arp_input(struct mr_link *link, struct mr_frame *f, uint64_t now,
			enum mr_drop *reason);
/* Send an ARP request for addr: a broadcast, or to mac alone unless that is NULL. */
void mr_arp_request(struct mr_link *link, const struct mr_addr *addr, const uint8_t *mac);
void mr_arp_announce_timer(struct mr_link *link, uint64_t now);

/* ndisc.c: send a neighbour solicitation for addr: multicast, or to mac alone unless that is NULL. */
void mr_nd_solicit(struct mr_link *link, const struct mr_addr *addr, const uint8_t *mac);
/* Begin duplicate address detection, if we have an IPv6 address. */
void mr_nd_start(struct mr_link *link, uint64_t now);
void mr_nd_timer(struct mr_link *link, uint64_t now);
/* Send unsolicited advertisements of our usable IPv6 addresses (RFC 4861 section 7.2.6). */
void mr_nd_announce(struct mr_link *link);
/* mld.c: report the groups that we are in. Called before addresses are probed, and again when they become usable. */
void mr_mld_joined(struct mr_link *link, uint64_t now);
void mr_mld_timer(struct mr_link *link, uint64_t now);
/* Is this the Ethernet address of a multicast group that we are in (RFC 2464 section 7)? */
bool mr_nd_is_group_mac(const struct mr_link *link, const uint8_t mac[6]);

/* What an ARP packet or a neighbour solicitation proves about its sender. */
enum mr_neigh_news {
	MR_NEIGH_ANSWERED, /* it answers: it is reachable, if we had asked */
	MR_NEIGH_HEARD,	   /* it says its MAC address, but not that it can hear us */
};

/* neigh.c: the entry of addr, or NULL. */
struct mr_neigh *mr_neigh_find(const struct mr_link *link, const struct mr_addr *addr);
/* Find or make the entry of addr, without a reference. NULL: the cache is full, and all entries are in use. */
struct mr_neigh *mr_neigh_make(struct mr_link *link, const struct mr_addr *addr);
void mr_neigh_update(struct mr_link *link, struct mr_neigh *n, const uint8_t mac[6],
		     enum mr_neigh_news news, uint64_t now);
/* Process a neighbour advertisement (RFC 4861 section 7.2.5). mac NULL: it has no link-layer address option. */
void mr_neigh_advertised(struct mr_link *link, struct mr_neigh *n, const uint8_t *mac,
			 bool solicited, bool override, uint64_t now);
int mr_neigh_init(struct mr_link *link, struct mr_arena *arena);
void mr_neigh_salvage(struct mr_link *link);
/* Returns true if the entry became FAILED. */
bool mr_neigh_timer(struct mr_link *link, struct mr_neigh *n, uint64_t now);

#endif
