/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ip.h - the interface of the Internet layer. Received packets are checked and passed on by protocol; ICMP is answered
 * here. Packets to be sent get a route and an IP header. Both families use struct mr_addr, IPv4 as mapped addresses;
 * "any" is the unspecified address of either family. `now` is the engine's clock in nanoseconds.
 */
#ifndef MR_IP_IP_H
#define MR_IP_IP_H

#include "ip/steer.h"
#include "link/link.h"

#define MR_IPV4_HLEN	20u
#define MR_IPV6_HLEN	40u
#define MR_IPV6_MTU_MIN 1280u /* RFC 8200 section 5: what every link carries */

/* ---- Routes ---------------------------------------------------------------------------------- */

struct mr_route {
	struct mr_prefix dst;
	struct mr_addr gateway; /* any: the destinations are on-link */
	struct mr_addr src;	/* preferred source; any (IPv6 only): chosen for each destination */
	uint32_t mtu;		/* bytes of the IP packet; 0: the interface's */
	/* Only in routes of the kernel (fib.c): */
	/* Of several routes to the same prefix the one with the least metric is taken. */
	uint32_t metric;
	int oif;      /* index of the interface */
	uint8_t kind; /* enum mr_route_kind */
	uint8_t pref; /* decides between equal metrics (RFC 4191 section 2.1): 0 low, 1 medium, 2 high */
};

enum mr_route_kind {
	MR_ROUTE_UNICAST,
	MR_ROUTE_LOCAL,	      /* an address of this host */
	MR_ROUTE_BROADCAST,   /* broadcast, multicast or anycast */
	MR_ROUTE_UNREACHABLE, /* unreachable, prohibited or blackhole */
};

#define MR_ROUTES_MAX 64u

/* A resolved destination, which each connection caches. Valid while gen equals mr_ip.route_gen; mr_dst_resolve() sees
 * to that. Holds a reference on the neighbour, which mr_dst_put() releases. All zeros: not resolved yet. */
struct mr_dst {
	struct mr_neigh *neigh; /* the next hop */
	uint32_t gen;
	uint32_t mtu; /* bytes of the IP packet */
	/* mtu is the learned path MTU, until this second of the clock; 0: mtu is the route's. */
	uint32_t pmtu_until_s;
	uint32_t label; /* IPv6 flow label of the connection (RFC 6437); 0: not computed yet */
};

/* A destination whose path MTU is less than that of the route (pmtu.c). */
struct mr_pmtu {
	struct mr_addr daddr;
	uint32_t mtu;	  /* bytes of the IP packet */
	uint32_t until_s; /* seconds of the engine's clock; 0: the entry is unused */
};

#define MR_PMTU_SETS 128u
#define MR_PMTU_WAYS 4u
/* The least IPv4 path MTU that is believed: RFC 791 guarantees it to every host. */
#define MR_PMTU_MIN4  576u
#define MR_PMTU_AGE_S 600u /* RFC 1191 section 6.3, RFC 8201 section 5.3: about 10 minutes */

/* A default router that has advertised itself (RFC 4861 section 6.3.4). */
struct mr_router {
	struct mr_addr addr;
	uint64_t expires; /* ns */
};

#define MR_ROUTERS_MAX 4u

/* What IP input found in a packet that it passes to the next layer. */
struct mr_ip_rx {
	struct mr_addr src, dst;
	uint32_t l4_len; /* bytes of transport header and payload */
	uint8_t proto;
	uint8_t tos;	   /* TOS byte or traffic class, including the ECN bits */
	uint8_t ttl;	   /* TTL or hop limit */
	bool csum_ok;	   /* the transport checksum need not be verified any more */
	bool fragmented;   /* the packet had a fragment header (RFC 6980) */
	bool router_alert; /* the packet had the Router Alert option (RFC 2711) */
};

/* ---- Reassembly ------------------------------------------------------------------------------ */

#define MR_REASM_DATAGRAMS  256u
#define MR_REASM_PER_SOURCE 64u /* incomplete datagrams of one source; as Linux: ipfrag_max_dist */
/* Frames in reassembly: at most this, and at most an eighth of all. */
#define MR_REASM_CHUNKS_ALL   2048u
#define MR_REASM_SOURCE_SHARE 4u /* one source may occupy 1/4 of that */
/* Frames of one datagram: 64 KiB in fragments of IPv4's least MTU. */
#define MR_REASM_CHUNKS_ONE 128u
#define MR_REASM_V4_NS	    (30 * MR_NS_PER_S) /* as Linux: ipfrag_time */
#define MR_REASM_V6_NS	    (60 * MR_NS_PER_S) /* RFC 8200 section 4.5 */
#define MR_REASM_BUCKETS    64u

/* A datagram of which some fragments have arrived. */
struct mr_datagram {
	struct mr_list bucket_node;
	struct mr_list age_node; /* reasm.age or reasm.free */
	struct mr_timer timer;
	/* Of the first fragment, or of another one until the first has arrived. */
	struct mr_ip_rx rx;
	uint32_t id;
	struct mr_frame *head,
		*tail;		/* fragments by offset, which is kept in seq; linked by next */
	uint8_t *iph;		/* IP header of the first fragment; NULL: it has not arrived */
	uint32_t bytes, chunks; /* received so far */
	uint32_t end; /* bytes of the whole datagram; 0: the last fragment has not arrived */
	/* Enum mr_drop: not 0: the datagram was given up, and its fragments are dropped for this reason. */
	uint16_t dead;
	uint8_t ecn; /* bit i: a fragment had ECN field i */
};

struct mr_reasm {
	uint64_t hash_key[2];
	struct mr_list buckets[MR_REASM_BUCKETS]; /* by source; oldest first */
	struct mr_list age;			  /* those in use, oldest first */
	struct mr_list free;
	uint32_t used, chunks, chunks_max;
	struct mr_datagram table[MR_REASM_DATAGRAMS];
};

/* ---- The layer ------------------------------------------------------------------------------- */

/* Flags of an address of the kernel: Linux's IFA_F_SECONDARY, IFA_F_DEPRECATED, IFA_F_TEMPORARY. */
#define MR_IPADDR_SECONDARY  0x1u /* IPv4: not chosen as a source address */
#define MR_IPADDR_DEPRECATED 0x2u
#define MR_IPADDR_TEMPORARY  0x4u

/* The kernel's routing tables `local` and `main`, with the routes of all interfaces. In the arena. */
#define MR_FIB_MAX 8192u
struct mr_fib {
	unsigned n;
	struct mr_route routes[MR_FIB_MAX]; /* as fib_compare() orders them */
};

struct mr_ip {
	struct mr_link *link;
	struct mr_netif *nif;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	struct mr_rng *rng;
	/* Own addresses with their on-link prefix length. */
	struct mr_prefix addrs[MR_LINK_ADDRS_MAX];
	unsigned naddrs;
	uint8_t addr_flags[MR_LINK_ADDRS_MAX]; /* MR_IPADDR_* */
	bool addrs_gone;   /* an address was removed: connections may still use it */
	bool policy_rules; /* the kernel has routing rules, which fib does not take into account */
	bool prefer_temporary; /* RFC 6724 rule 7; Linux: use_tempaddr */
	struct mr_steer *
		steer; /* shared addresses: the ports of the stack; NULL: the addresses are the stack's alone */
	struct mr_fib *fib; /* shared addresses: the kernel's routes; NULL: routes[] is used */
	int ifindex;	    /* with fib: our interface */
	struct mr_route routes[MR_ROUTES_MAX]; /* longest prefix first */
	unsigned nroutes;
	/* Incremented when anything changes that a struct mr_dst depends on; never 0. */
	uint32_t route_gen;
	struct mr_router routers[MR_ROUTERS_MAX]; /* the one in use first */
	unsigned nrouters;
	bool router_route;	      /* the IPv6 default route goes to routers[0] */
	struct mr_timer router_timer; /* for the router that expires first */
	/* The link's MTU according to router advertisements, bytes; 0: none said it. */
	uint32_t router_mtu;
	uint32_t mtu6;	    /* MTU of IPv6 packets: the lesser of router_mtu and the interface's */
	__u64 label_key[2]; /* secret for flow labels and for the hash of pmtu[] */
	struct mr_pmtu pmtu[MR_PMTU_SETS][MR_PMTU_WAYS];
	uint32_t pmtu_age_s; /* MR_PMTU_AGE_S, unless changed after mr_ip_init() */
	/* Token bucket that limits the ICMP errors we send (RFC 1122 3.2.2, RFC 4443 2.4 f). */
	uint32_t icmp_tokens;
	uint64_t icmp_refill_at;
	struct mr_reasm reasm;
};

#define MR_ICMP_BURST	50u   /* as Linux: icmp_msgs_burst */
#define MR_ICMP_PER_SEC 1000u /* as Linux: icmp_msgs_per_sec */

/* For addresses shared with the kernel, instead of mr_ip_init(): addresses and routes are set later, by
 * mr_ip_set_addrs() and mr_fib_set(). 0 or -ENOMEM. */
int mr_ip_init_shared(struct mr_ip *ip, struct mr_arena *arena, struct mr_link *link,
		      struct mr_rng *rng, struct mr_counters *ctr, int ifindex, uint64_t now);
/* Bytes of the arena that mr_ip_init_shared() needs. */
size_t mr_ip_shared_bytes(void);
/* Replace the addresses (flags: MR_IPADDR_*), or the routes, by those that the kernel has now. 0; -ENOSPC: there are
 * too many, and the last ones were left out. */
int mr_ip_set_addrs(struct mr_ip *ip, const struct mr_prefix *addrs, const uint8_t *flags,
		    unsigned naddrs);
int mr_fib_set(struct mr_ip *ip, const struct mr_route *routes, unsigned nroutes);
/* The kernel's route to a destination, through whatever interface. NULL: there is none. */
const struct mr_route *mr_fib_lookup(const struct mr_fib *fib, const struct mr_addr *dst);

/* For addresses of the stack alone: the same addresses that mr_link_init() got, with their prefix lengths. Adds their
 * on-link routes. 0, or -EINVAL: one of them cannot be the address of a host. */
int mr_ip_init(struct mr_ip *ip, struct mr_link *link, struct mr_rng *rng, struct mr_counters *ctr,
	       const struct mr_prefix *addrs, unsigned naddrs, uint64_t now);

/* src may be any: it is chosen then. 0; -EEXIST; -ENOSPC; -EINVAL: the gateway is not on-link or of the other family,
 * the destination has bits set beyond its prefix length, or src is not an address of ours. */
int mr_route_add(struct mr_ip *ip, const struct mr_route *route);
/* 0 or -ENOENT. */
int mr_route_del(struct mr_ip *ip, const struct mr_prefix *dst);
/* The route with the longest matching prefix; NULL: there is none. */
const struct mr_route *mr_route_lookup(const struct mr_ip *ip, const struct mr_addr *dst);

/* Is it one of our addresses? */
bool mr_ip_is_local(const struct mr_ip *ip, const struct mr_addr *addr);
/* Set *src to the source address for packets to dst. 0; -ENETUNREACH; -EADDRNOTAVAIL: we have no address of dst's
 * family and scope. IPv6: by RFC 6724 section 5. */
int mr_ip_source(const struct mr_ip *ip, const struct mr_addr *dst, struct mr_addr *src);

/* Make *dst valid for the destination; does nothing if it is. 0; -ENETUNREACH; -ENOBUFS: the neighbour cache is full of
 * entries in use. */
int mr_dst_resolve(struct mr_ip *ip, struct mr_dst *dst, const struct mr_addr *daddr, uint64_t now);
void mr_dst_put(struct mr_ip *ip, struct mr_dst *dst);

/* nif->mtu has changed: every struct mr_dst becomes invalid. */
void mr_ip_mtu_changed(struct mr_ip *ip);

/* Repair after a process died in the middle of a change, when the timer wheel is empty: fragments are discarded. Every
 * holder of a struct mr_dst must zero it, without mr_dst_put(). */
void mr_ip_salvage(struct mr_ip *ip);

/* MR_TIMER_REASM expired: give up a datagram that is incomplete. */
void mr_reasm_timer(struct mr_ip *ip, struct mr_timer *t, uint64_t now);
/* For tests: assert the invariants of reassembly. */
void mr_reasm_check(const struct mr_ip *ip);

/* The path to daddr carries IP packets of up to mtu bytes. Remembered for ip->pmtu_age_s; mtu is raised to MR_PMTU_MIN4
 * or MR_IPV6_MTU_MIN if it is less. true: this is less than was known, and every struct mr_dst becomes invalid. */
bool mr_pmtu_learn(struct mr_ip *ip, const struct mr_addr *daddr, uint32_t mtu, uint64_t now);
/* A router could not forward an IPv4 packet of mtu bytes and did not report the next hop's MTU: the next smaller MTU
 * that is common (RFC 1191 section 7.1). */
uint32_t mr_pmtu_guess(uint32_t mtu);

/* MR_TIMER_ROUTER expired: remove default routers whose lifetime is over. */
void mr_ip_timer(struct mr_ip *ip, uint64_t now);
/* A neighbour became FAILED: if it is a default router, another one is used. */
void mr_ip_neigh_failed(struct mr_ip *ip, const struct mr_addr *addr);

/* ---- Packets --------------------------------------------------------------------------------- */

/* An ICMP error that quotes a TCP segment of ours (RFC 1122 3.2.2.1, RFC 5927). */
struct mr_icmp_err {
	struct mr_addr src, dst; /* of the quoted packet: src is ours */
	uint16_t sport, dport;	 /* host order: sport is ours */
	uint32_t seq;		 /* of the quoted segment */
	int err; /* negative errno that the error stands for: -ECONNREFUSED, -EHOSTUNREACH, -EMSGSIZE ... */
	uint32_t mtu; /* with -EMSGSIZE: the next hop's MTU; 0: the router did not report it */
};

/* Process an IPv4 packet; (*f)->data points to its header. Answers echo requests, and sends ICMP errors. A fragment is
 * kept; if it completes its datagram, *f is the whole datagram on return. The result and the ownership of *f are as
 * enum mr_up says (link.h); *rx, *ierr and *reason are set with MR_UP_TCP, MR_UP_ICMP_ERR and MR_UP_DROP. */
enum mr_up mr_ipv4_input(struct mr_ip *ip, struct mr_frame **f, uint64_t now, struct mr_ip_rx *rx,
			 struct mr_icmp_err *ierr, enum mr_drop *reason);

/* The same for IPv6. */
enum mr_up mr_ipv6_input(struct mr_ip *ip, struct mr_frame **f, uint64_t now, struct mr_ip_rx *rx,
			 struct mr_icmp_err *ierr, enum mr_drop *reason);

/* A router or neighbour advertisement that went to the kernel, and of which the XDP program left a note. */
void mr_ip_nd_note(struct mr_ip *ip, const struct mr_note_nd *note, uint64_t now);

/* The fields of the IP header of a packet to be sent. */
struct mr_ip_tx {
	struct mr_addr src, dst;
	uint8_t proto;
	uint8_t tos; /* TOS byte or traffic class */
	uint8_t ttl; /* TTL or hop limit */
	bool df;     /* IPv4: Don't Fragment */
};

/* Put an IP header in front of f, a packet that begins with a complete transport header, and send it to dst->neigh. f
 * may be a chain. Takes over one reference of every chunk, also on failure. 0; or an error of mr_link_output(), or
 * -EMSGSIZE (the packet is longer than dst->mtu): then the packet was dropped and counted. */
int mr_ip_output(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx,
		 struct mr_dst *dst, uint64_t now);

/* Codes of ICMP destination unreachable (RFC 792). */
#define MR_ICMP_PROTO_UNREACH 2u
#define MR_ICMP_PORT_UNREACH  3u
#define MR_ICMP_FRAG_NEEDED   4u

/* Types and codes of ICMPv6 errors (RFC 4443 section 3). */
#define MR_ICMP6_UNREACHABLE   1u
#define MR_ICMP6_TOO_BIG       2u
#define MR_ICMP6_TIME_EXCEEDED 3u
#define MR_ICMP6_PARAM_PROBLEM 4u

#define MR_ICMP6_PORT_UNREACH	 4u /* of UNREACHABLE */
#define MR_ICMP6_REASSEMBLY_TIME 1u /* of TIME_EXCEEDED */
#define MR_ICMP6_BAD_FIELD	 0u /* of PARAM_PROBLEM */
#define MR_ICMP6_BAD_NEXTHDR	 1u
#define MR_ICMP6_BAD_OPTION	 2u
#define MR_ICMP6_INCOMPLETE	 3u /* RFC 7112 section 5: the first fragment has not all headers */

/* Send ICMP destination unreachable about the received packet f, whose IP header is at iph. Nothing is sent about
 * packets for which RFC 1122 section 3.2.2 forbids it, or beyond the rate limit. */
void mr_icmp_unreachable(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph,
			 uint8_t code, uint64_t now);

/* Send an ICMPv6 error about the received packet f, whose IPv6 header is at iph. Nothing is sent about packets for
 * which RFC 4443 section 2.4 (e) forbids it, or beyond the rate limit, which is shared with ICMP. pointer: the 32 bits
 * behind the checksum, whose meaning depends on the type. */
void mr_icmp6_error(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph, uint8_t type,
		    uint8_t code, uint32_t pointer, uint64_t now);

#endif
