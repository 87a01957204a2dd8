/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.h - Ethernet and ARP: frames in are demultiplexed, ARP is answered and learned from, frames out
 * get their header from the neighbour cache.
 */
#ifndef MR_LINK_LINK_H
#define MR_LINK_LINK_H

#include "dev/netif.h"
#include "link/neigh.h"

#define MR_ETH_HLEN	  14u
#define MR_LINK_ADDRS_MAX MR_CONFIG_ADDRS_MAX

struct mr_link {
	struct mr_netif *nif;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	struct mr_wheel *wheel;
	struct mr_rng *rng;
	uint64_t hash_key[2];
	struct mr_addr addrs[MR_LINK_ADDRS_MAX]; /* ours: ARP answers for these */
	unsigned naddrs;
	struct mr_pool neighs;
	struct mr_list *buckets; /* [nbuckets] */
	uint32_t nbuckets;
	struct mr_list lru; /* entries without holders, least recently used first */
	struct mr_timer
		announce; /* gratuitous ARP: 2 announcements 2 s apart (RFC 5227 section 2.3) */
	uint8_t announcements_left;
	uint64_t defend_at; /* ns: an address conflict is answered again from then on */
};

/* 0 or -ENOMEM. Announcements start with the first timer. */
int mr_link_init(struct mr_link *link, struct mr_arena *arena, struct mr_netif *nif,
		 struct mr_wheel *wheel, struct mr_rng *rng, struct mr_counters *ctr,
		 const struct mr_addr *addrs, unsigned naddrs, uint64_t now);

/* What a layer's input found. On a drop the caller still owns the frame, counts the reason and puts the
 * chain; otherwise the frame is consumed (MR_UP_DONE) or goes to the layer that is named. */
enum mr_up {
	MR_UP_DONE,
	MR_UP_IPV4, /* link: data points to the IP header */
	MR_UP_IPV6,
	MR_UP_TCP,	/* ip: struct mr_ip_rx is filled, data points to the TCP header */
	MR_UP_ICMP_ERR, /* ip: struct mr_icmp_err is filled; the frame is consumed */
	MR_UP_DROP,
};

/* An Ethernet frame from the device. Handles ARP itself. *reason is set on MR_UP_DROP. */
enum mr_up mr_link_input(struct mr_link *link, struct mr_frame *f, uint64_t now,
			 enum mr_drop *reason);

/* A gratuitous ARP that was seen elsewhere (the XDP program's notes): refresh the cache. */
void mr_link_arp_note(struct mr_link *link, const struct mr_addr *addr, const uint8_t mac[6],
		      uint64_t now);

/* Find or make the entry of a next hop and take a reference. NULL: cache full of entries in use. */
struct mr_neigh *mr_neigh_get(struct mr_link *link, const struct mr_addr *addr, uint64_t now);
void mr_neigh_put(struct mr_link *link, struct mr_neigh *n);

/* The upper layer had forward progress from this neighbour (RFC 4861 section 7.3.1). Cheap. */
void mr_neigh_confirm(struct mr_link *link, struct mr_neigh *n, uint64_t now);

/* Send an IP packet to a neighbour: puts the Ethernet header in front and queues it on the interface,
 * or lets it wait for ARP. ethertype is in host order. Takes over one reference of every chunk, always,
 * counted in tx_refs until it is sent. 0; -EHOSTUNREACH (the neighbour is FAILED) or -ENOBUFS: dropped
 * and counted. */
int mr_link_output(struct mr_link *link, struct mr_frame *f, struct mr_neigh *n, uint16_t ethertype,
		   uint64_t now);

/* MR_TIMER_NEIGH and MR_TIMER_ARP_ANNOUNCE expired. Returns the neighbour that became FAILED with this
 * call (so that connections in SYN-SENT may hear of it), else NULL. */
struct mr_neigh *mr_link_timer(struct mr_link *link, struct mr_timer *t, uint64_t now);

#endif
