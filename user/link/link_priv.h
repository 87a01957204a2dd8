/* SPDX-License-Identifier: BSD-2-Clause */
/* link_priv.h - what the files of user/link/ share with each other. */
#ifndef MR_LINK_LINK_PRIV_H
#define MR_LINK_LINK_PRIV_H

#include "link/link.h"

extern const uint8_t mr_eth_broadcast[6];

/* link.c: put the Ethernet header in front and queue. References as in mr_link_output(). */
int mr_eth_send(struct mr_link *link, struct mr_frame *f, const uint8_t dst[6], uint16_t ethertype);

/* arp.c: as mr_link_input(), with data at the ARP packet. */
enum mr_up mr_arp_input(struct mr_link *link, struct mr_frame *f, uint64_t now,
			enum mr_drop *reason);
/* Ask for addr: mac NULL asks everybody, else that station only. */
void mr_arp_request(struct mr_link *link, const struct mr_addr *addr, const uint8_t *mac);
void mr_arp_announce_timer(struct mr_link *link, uint64_t now);

/* ndisc.c: as mr_arp_request(). */
void mr_nd_solicit(struct mr_link *link, const struct mr_addr *addr, const uint8_t *mac);
/* Begin duplicate address detection, if there is an IPv6 address. */
void mr_nd_start(struct mr_link *link, uint64_t now);
void mr_nd_timer(struct mr_link *link, uint64_t now);
/* Say where those of our IPv6 addresses are that may be used. */
void mr_nd_announce(struct mr_link *link);
/* mld.c: say which groups we are in; before addresses are probed, and again when they may be used. */
void mr_mld_joined(struct mr_link *link, uint64_t now);
void mr_mld_timer(struct mr_link *link, uint64_t now);
/* The Ethernet address of a multicast group that we are in? (RFC 2464 section 7) */
bool mr_nd_is_group_mac(const struct mr_link *link, const uint8_t mac[6]);

/* What an ARP packet or a neighbour solicitation proves about its sender. */
enum mr_neigh_news {
	MR_NEIGH_ANSWERED, /* it answers: reachable, if we had asked */
	MR_NEIGH_HEARD,	   /* it says where it is, which says nothing about our way to it */
};

/* neigh.c. NULL: no entry. */
struct mr_neigh *mr_neigh_find(const struct mr_link *link, const struct mr_addr *addr);
/* Find or make, without taking a reference. NULL: cache full of entries in use. */
struct mr_neigh *mr_neigh_make(struct mr_link *link, const struct mr_addr *addr);
void mr_neigh_update(struct mr_link *link, struct mr_neigh *n, const uint8_t mac[6],
		     enum mr_neigh_news news, uint64_t now);
/* A neighbour advertisement (RFC 4861 section 7.2.5). mac NULL: it did not say. */
void mr_neigh_advertised(struct mr_link *link, struct mr_neigh *n, const uint8_t *mac,
			 bool solicited, bool override, uint64_t now);
int mr_neigh_init(struct mr_link *link, struct mr_arena *arena);
void mr_neigh_salvage(struct mr_link *link);
/* true: the entry became FAILED. */
bool mr_neigh_timer(struct mr_link *link, struct mr_neigh *n, uint64_t now);

#endif
