/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.h - Ethernet, ARP and neighbour discovery: frames in are demultiplexed, ARP is answered and
 * learned from, frames out get their header from the neighbour cache.
 *
 * Neighbour discovery does for IPv6 what ARP does for IPv4, but its messages are ICMPv6. So they come
 * in by way of ip, which checks the packet and hands the message down (mr_nd_input()); what they say
 * of routers is handed back, since routes are ip's. Going out, link builds the few bytes by itself.
 */
#ifndef MR_LINK_LINK_H
#define MR_LINK_LINK_H

#include "dev/netif.h"
#include "link/neigh.h"

#define MR_ETH_HLEN 14u
/* Of an engine of its own: MR_CONFIG_ADDRS_MAX and a link-local one. */
#define MR_LINK_ADDRS_MAX 64u

/* RFC 4862 section 5.4. An IPv4 address is used at once (arp.c). */
enum mr_laddr_state {
	MR_LADDR_USABLE,
	MR_LADDR_TENTATIVE, /* nobody has objected so far */
	MR_LADDR_DUPLICATE, /* somebody has: it stays unused */
};

/* What multicast routers are to be told (mld.c). */
struct mr_mld {
	struct mr_timer timer;
	uint64_t asked;	     /* bit i: the group that address i stands for */
	uint64_t not_before; /* ns: the next report */
	uint32_t v1_until_s; /* of the clock: until then somebody asks who only knows version 1 */
	uint8_t again;	     /* reports of having joined that are still to come */
};

struct mr_link {
	struct mr_netif *nif;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	struct mr_wheel *wheel;
	struct mr_rng *rng;
	uint64_t hash_key[2];
	struct mr_addr addrs[MR_LINK_ADDRS_MAX]; /* ours: ARP and ND answer for these */
	uint8_t addr_state[MR_LINK_ADDRS_MAX];	 /* enum mr_laddr_state */
	unsigned naddrs;
	unsigned nunusable; /* addresses that are not MR_LADDR_USABLE: mostly 0, and nobody looks */
	struct mr_pool neighs;
	struct mr_list *buckets; /* [nbuckets] */
	uint32_t nbuckets;
	struct mr_list lru; /* entries without holders, least recently used first */
	/* Gratuitous ARP: 2 announcements 2 s apart (RFC 5227 section 2.3). */
	struct mr_timer announce;
	uint8_t announcements_left;
	uint64_t defend_at; /* ns: an address conflict is answered again from then on */
	struct mr_timer nd; /* once a second after the start, see ndisc.c */
	uint8_t nd_tick;
	bool router_heard; /* no more solicitations */
	struct mr_mld mld;
	uint8_t dad_nonce[6]; /* by which a solicitation of ours is known when it comes back */
	bool kernel; /* addresses and neighbours are the kernel's: nothing is asked or said here */
	uint32_t waiting;    /* chunks of packets that wait for an answer, of all neighbours */
	struct mr_list asks; /* then: neighbours to ask the kernel for, see mr_neigh_next_ask() */
};

/* 0 or -ENOMEM. Announcements and duplicate address detection start with the first timer. */
int mr_link_init(struct mr_link *link, struct mr_arena *arena, struct mr_netif *nif,
		 struct mr_wheel *wheel, struct mr_rng *rng, struct mr_counters *ctr,
		 const struct mr_addr *addrs, unsigned naddrs, uint64_t now);

/* Put right after a process died in the middle of a change, on a wheel without timers: of the cache stays where
 * neighbours are, as STALE; the packets that waited for others are lost. Nobody may hold an entry any more. */
void mr_link_salvage(struct mr_link *link);

/* Just after mr_link_init() without addresses: the kernel speaks ARP and neighbour discovery on this
 * interface, and knows the neighbours. */
void mr_link_use_kernel(struct mr_link *link);
/* Its addresses are these now. */
void mr_link_set_addrs(struct mr_link *link, const struct mr_prefix *addrs, unsigned naddrs);

/* What to ask the kernel for: the neighbour whose turn it is, or NULL. MR_NEIGH_USE: resolve it, or
 * check it if it is stale; MR_NEIGH_CONFIRM: TCP has just had an answer from it. */
enum mr_neigh_ask { MR_NEIGH_USE, MR_NEIGH_CONFIRM };
const struct mr_neigh *mr_neigh_next_ask(struct mr_link *link, enum mr_neigh_ask *ask);
/* What the kernel says of a neighbour, in the words of enum mr_neigh_state; forgotten: it knows nothing
 * of it (any more). Neighbours that nobody here has to do with are ignored. Returns the neighbour if it
 * has become FAILED by this, else NULL. */
struct mr_neigh *mr_neigh_learned(struct mr_link *link, const struct mr_addr *addr,
				  enum mr_neigh_state state, bool forgotten, const uint8_t mac[6],
				  uint64_t now);
/* News of the kernel were lost: it is asked for every neighbour in use. */
void mr_neigh_ask_all(struct mr_link *link, uint64_t now);

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

/* An Ethernet frame from the device. Handles ARP itself. *reason is set on MR_UP_DROP. Of multicast
 * only IPv6 comes up, and only what is for groups of ours (RFC 2464 section 7). */
enum mr_up mr_link_input(struct mr_link *link, struct mr_frame *f, uint64_t now,
			 enum mr_drop *reason);

/* A gratuitous ARP that was seen elsewhere (the XDP program's notes): refresh the cache. */
void mr_link_arp_note(struct mr_link *link, const struct mr_addr *addr, const uint8_t mac[6],
		      uint64_t now);

/* nif->mac is another one: tell the neighbours (RFC 5227 section 2.3, RFC 4861 section 7.2.6). */
void mr_link_mac_changed(struct mr_link *link, uint64_t now);

/* What ip knows of a packet that carries a neighbour discovery message. */
struct mr_nd_packet {
	struct mr_addr src, dst;
	uint8_t hlim;
	const uint8_t *msg; /* from the ICMPv6 type on; the checksum is right */
	uint32_t len;
};

/* What a message says that concerns routes. */
enum mr_nd_about {
	MR_ND_NEIGHBOUR,    /* nothing */
	MR_ND_ROUTER,	    /* the sender is a default router for lifetime_s, or with 0 no longer */
	MR_ND_NOT_A_ROUTER, /* the sender says that it is (now) a host */
};

struct mr_nd_news {
	enum mr_nd_about about;
	struct mr_addr router;
	uint16_t lifetime_s;
	uint32_t mtu; /* of the link; 0: not said */
};

/* Types of ICMPv6 that are neighbour discovery's (RFC 4861 section 4). */
#define MR_ND_TYPE_FIRST 133
#define MR_ND_TYPE_LAST	 137

/* A neighbour discovery message. Answers, learns, and says in *news what ip should know; the packet
 * stays the caller's. MR_DROP_NONE, or why it was of no use. */
enum mr_drop mr_nd_input(struct mr_link *link, const struct mr_nd_packet *pkt, uint64_t now,
			 struct mr_nd_news *news);

/* What ip knows of a packet that carries a query of a multicast router. */
struct mr_mld_packet {
	struct mr_addr src;
	uint8_t hlim;
	bool router_alert;
	const uint8_t *msg; /* from the ICMPv6 type on; the checksum is right */
	uint32_t len;
};
#define MR_MLD_QUERY 130 /* type of ICMPv6 */

/* A query. The packet stays the caller's. MR_DROP_NONE, or why it was of no use. */
enum mr_drop mr_mld_input(struct mr_link *link, const struct mr_mld_packet *pkt, uint64_t now);

/* May this IPv6 address of ours be used? False also for one that is not ours. */
bool mr_link_usable(const struct mr_link *link, const struct mr_addr *addr);

/* Find or make the entry of a next hop and take a reference. NULL: cache full of entries in use. */
struct mr_neigh *mr_neigh_get(struct mr_link *link, const struct mr_addr *addr, uint64_t now);
void mr_neigh_put(struct mr_link *link, struct mr_neigh *n);

/* The upper layer had forward progress from this neighbour (RFC 4861 section 7.3.1). Cheap. */
void mr_neigh_confirm(struct mr_link *link, struct mr_neigh *n, uint64_t now);

/* Send an IP packet to a neighbour: puts the Ethernet header in front and queues it on the interface,
 * or lets it wait for ARP or ND. ethertype is in host order. Takes over one reference of every chunk, always,
 * counted in tx_refs until it is sent. 0; -EHOSTUNREACH (the neighbour is FAILED) or -ENOBUFS: dropped
 * and counted. */
int mr_link_output(struct mr_link *link, struct mr_frame *f, struct mr_neigh *n, uint16_t ethertype,
		   uint64_t now);

/* MR_TIMER_NEIGH, MR_TIMER_ARP_ANNOUNCE or MR_TIMER_ND expired. Returns the neighbour that became FAILED with this
 * call (so that connections in SYN-SENT may hear of it), else NULL. */
struct mr_neigh *mr_link_timer(struct mr_link *link, struct mr_timer *t, uint64_t now);

#endif
