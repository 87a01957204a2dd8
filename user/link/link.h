/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.h - Ethernet, ARP, neighbour discovery and multicast listener discovery, and the interface of the neighbour
 * cache.
 *
 * Input demultiplexes Ethernet frames and handles ARP. Output puts an Ethernet header in front of an IP packet, with
 * the MAC address from the neighbour cache.
 *
 * Neighbour discovery and MLD are ICMPv6. Their messages come in through ip, which checks the packet and calls
 * mr_nd_input() or mr_mld_input(). What they say about routers is returned to ip, because ip owns the routes. On
 * output link builds these packets itself.
 *
 * `now` is the engine's monotonic clock in ns. Functions are called on the engine's thread and never block.
 */
#ifndef MR_LINK_LINK_H
#define MR_LINK_LINK_H

#include "dev/netif.h"
#include "link/neigh.h"

#define MR_ETH_HLEN 14u
/* Addresses of an engine that does not share the kernel's: MR_CONFIG_ADDRS_MAX and one link-local address. */
#define MR_LINK_ADDRS_MAX 64u

/* State of an address of ours, for duplicate address detection (RFC 4862 section 5.4). IPv4 addresses are usable at
 * once (arp.c). */
enum mr_laddr_state {
	MR_LADDR_USABLE,
	MR_LADDR_TENTATIVE, /* duplicate address detection is going on */
	MR_LADDR_DUPLICATE, /* another host has this address: it is not used */
};

/* MLD state: which reports multicast routers have to get (mld.c). */
struct mr_mld {
	struct mr_timer timer;
	uint64_t asked;	     /* bit i: a query asks for the group that addrs[i] stands for */
	uint64_t not_before; /* ns: no report is sent before this time */
	/* Of the clock: a querier that only knows MLDv1 is assumed until then. */
	uint32_t v1_until_s;
	uint8_t again; /* unsolicited reports of joining that are still to be sent */
};

struct mr_link {
	struct mr_netif *nif;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	struct mr_wheel *wheel;
	struct mr_rng *rng;
	uint64_t hash_key[2];
	/* Ours: ARP and neighbour discovery answer for them. */
	struct mr_addr addrs[MR_LINK_ADDRS_MAX];
	uint8_t addr_state[MR_LINK_ADDRS_MAX]; /* enum mr_laddr_state */
	unsigned naddrs;
	/* How many addresses are not MR_LADDR_USABLE; 0: addr_state need not be read. */
	unsigned nunusable;
	struct mr_pool neighs;
	struct mr_list *buckets; /* hash table of neighbours, [nbuckets] */
	uint32_t nbuckets;
	struct mr_list lru; /* neighbours with refs 0, least recently used first */
	/* Gratuitous ARP: two announcements, 2 s apart (RFC 5227 section 2.3). */
	struct mr_timer announce;
	uint8_t announcements_left;
	/* ns: no ARP conflict is answered before this time (RFC 5227 section 2.4). */
	uint64_t defend_at;
	/* Duplicate address detection and router solicitations, once a second after the start (ndisc.c). */
	struct mr_timer nd;
	uint8_t nd_tick;
	bool router_heard; /* a router advertisement was received: no more router solicitations */
	struct mr_mld mld;
	/* Nonce of our solicitations (RFC 7527): recognises those that are looped back. */
	uint8_t dad_nonce[6];
	/* Shared mode: the kernel does ARP and neighbour discovery on this interface. */
	bool kernel;
	uint32_t waiting; /* chunks of all packets that wait for a neighbour's MAC address */
	/* Shared mode: neighbours to ask the kernel about, see mr_neigh_next_ask(). */
	struct mr_list asks;
};

/* Returns 0 or -ENOMEM. Announcements and duplicate address detection begin when the first timer expires. */
int mr_link_init(struct mr_link *link, struct mr_arena *arena, struct mr_netif *nif,
		 struct mr_wheel *wheel, struct mr_rng *rng, struct mr_counters *ctr,
		 const struct mr_addr *addrs, unsigned naddrs, uint64_t now);

/* Repair the layer after a process died while it changed it. The wheel must be empty, and nobody may still hold a
 * reference to a neighbour. Neighbours with a known MAC address are kept as STALE; the others are freed, and the
 * packets that waited for them are lost. */
void mr_link_salvage(struct mr_link *link);

/* Switch to shared mode (link->kernel). Call it right after mr_link_init(), which must have got no addresses. */
void mr_link_use_kernel(struct mr_link *link);
/* Shared mode: replace our addresses. */
void mr_link_set_addrs(struct mr_link *link, const struct mr_prefix *addrs, unsigned naddrs);

/* Shared mode: take the next neighbour from link->asks; NULL: there is none. MR_NEIGH_USE: the caller has to make the
 * kernel resolve it, or probe it if it is stale. MR_NEIGH_CONFIRM: the caller has to tell the kernel that the
 * neighbour is reachable, because TCP had forward progress. */
enum mr_neigh_ask { MR_NEIGH_USE, MR_NEIGH_CONFIRM };
const struct mr_neigh *mr_neigh_next_ask(struct mr_link *link, enum mr_neigh_ask *ask);
/* Shared mode: the kernel has reported a neighbour in this state. forgotten: the kernel has deleted its entry.
 * Neighbours that have no entry here are ignored. Returns the neighbour if it became FAILED now, else NULL. */
struct mr_neigh *mr_neigh_learned(struct mr_link *link, const struct mr_addr *addr,
				  enum mr_neigh_state state, bool forgotten, const uint8_t mac[6],
				  uint64_t now);
/* Shared mode: reports of the kernel were lost. Puts every neighbour that is in use on link->asks. */
void mr_neigh_ask_all(struct mr_link *link, uint64_t now);

/* Result of a layer's input. MR_UP_DROP: the caller still owns the frame, counts the reason and releases the chain.
 * MR_UP_DONE: the frame was consumed. Else the frame goes on to the layer that the result names. */
enum mr_up {
	MR_UP_DONE,
	MR_UP_IPV4, /* from link: data is at the IP header */
	MR_UP_IPV6,
	MR_UP_TCP,	/* from ip: struct mr_ip_rx is filled in, data is at the TCP header */
	MR_UP_ICMP_ERR, /* from ip: struct mr_icmp_err is filled in, the frame was consumed */
	MR_UP_DROP,
};

/* Process an Ethernet frame from the device. ARP is handled here. Multicast frames are dropped, except IPv6 for
 * groups that we are in (RFC 2464 section 7). *reason is set if the result is MR_UP_DROP. */
enum mr_up mr_link_input(struct mr_link *link, struct mr_frame *f, uint64_t now,
			 enum mr_drop *reason);

/* The XDP program has reported a gratuitous ARP: update an existing entry of the neighbour cache. */
void mr_link_arp_note(struct mr_link *link, const struct mr_addr *addr, const uint8_t mac[6],
		      uint64_t now);

/* nif->mac has changed: announce it to the neighbours (RFC 5227 section 2.3, RFC 4861 section 7.2.6). */
void mr_link_mac_changed(struct mr_link *link, uint64_t now);

/* A packet with a neighbour discovery message, as ip has parsed it. */
struct mr_nd_packet {
	struct mr_addr src, dst;
	uint8_t hlim;
	const uint8_t *msg; /* from the ICMPv6 type on; the checksum was verified */
	uint32_t len;
};

/* What a neighbour discovery message says about routes. */
enum mr_nd_about {
	MR_ND_NEIGHBOUR,    /* nothing */
	MR_ND_ROUTER,	    /* the sender is a default router for lifetime_s; 0: it no longer is */
	MR_ND_NOT_A_ROUTER, /* the sender is a host: it is not, or no longer, a router */
};

struct mr_nd_news {
	enum mr_nd_about about;
	struct mr_addr router;
	uint16_t lifetime_s;
	uint32_t mtu; /* MTU option of the router; 0: there was none */
};

/* ICMPv6 types of neighbour discovery (RFC 4861 section 4). */
#define MR_ND_TYPE_FIRST 133
#define MR_ND_TYPE_LAST	 137

/* Process a neighbour discovery message: answer it and update the neighbour cache. *news tells ip what it says about
 * routes. The caller keeps the packet. Returns MR_DROP_NONE, or the reason why the message was ignored. */
enum mr_drop mr_nd_input(struct mr_link *link, const struct mr_nd_packet *pkt, uint64_t now,
			 struct mr_nd_news *news);

/* A packet with an MLD query, as ip has parsed it. */
struct mr_mld_packet {
	struct mr_addr src;
	uint8_t hlim;
	bool router_alert;
	const uint8_t *msg; /* from the ICMPv6 type on; the checksum was verified */
	uint32_t len;
};
#define MR_MLD_QUERY 130 /* ICMPv6 type */

/* Process an MLD query. The caller keeps the packet. Returns MR_DROP_NONE, or the reason why it was ignored. */
enum mr_drop mr_mld_input(struct mr_link *link, const struct mr_mld_packet *pkt, uint64_t now);

/* Is this an IPv6 address of ours, and usable (not tentative, not a duplicate)? */
bool mr_link_usable(const struct mr_link *link, const struct mr_addr *addr);

/* Find or make the entry of a next hop, and take a reference to it. NULL: the cache is full, and all entries are in
 * use. */
struct mr_neigh *mr_neigh_get(struct mr_link *link, const struct mr_addr *addr, uint64_t now);
void mr_neigh_put(struct mr_link *link, struct mr_neigh *n);
/* Release a reference. */

/* The upper layer had forward progress through this neighbour (RFC 4861 section 7.3.1). */
void mr_neigh_confirm(struct mr_link *link, struct mr_neigh *n, uint64_t now);

/* Send an IP packet to a neighbour: put the Ethernet header in front of it and queue it on the interface, or let it
 * wait until the neighbour is resolved. ethertype is in host byte order. Always takes over one reference of every
 * chunk, and counts it in tx_refs until the chunk is sent. Returns 0, or -EHOSTUNREACH (the neighbour is FAILED) or
 * -ENOBUFS: the packet was dropped and counted. */
int mr_link_output(struct mr_link *link, struct mr_frame *f, struct mr_neigh *n, uint16_t ethertype,
		   uint64_t now);

/* A timer of link (MR_TIMER_NEIGH, MR_TIMER_ARP_ANNOUNCE, MR_TIMER_ND) has expired. Returns the
 * neighbour that became FAILED now, so that connections in SYN-SENT can be told; else NULL. */
struct mr_neigh *mr_link_timer(struct mr_link *link, struct mr_timer *t, uint64_t now);

#endif
