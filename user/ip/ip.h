/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ip.h - the Internet layer: packets in are checked and demultiplexed, packets out get a route and a
 * header; ICMP is answered here.
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
	struct mr_addr gateway; /* any: on-link */
	struct mr_addr src;	/* preferred source; any (IPv6 only): chosen for each destination */
	uint32_t mtu;		/* 0: the interface's */
	/* Of the kernel's tables (fib.c): */
	uint32_t metric; /* of several to the same destination the least is taken */
	int oif;	 /* interface */
	uint8_t kind;	 /* enum mr_route_kind */
	uint8_t pref; /* RFC 4191 section 2.1: 0 low, 1 medium, 2 high; before the metric's equals */
};

enum mr_route_kind {
	MR_ROUTE_UNICAST,
	MR_ROUTE_LOCAL,	      /* an address of this host */
	MR_ROUTE_BROADCAST,   /* or multicast, or anycast */
	MR_ROUTE_UNREACHABLE, /* or prohibited, or a black hole */
};

#define MR_ROUTES_MAX 64u

/* A resolved destination, cached by a connection: valid while gen is the table's. Holds a reference on
 * the neighbour: release with mr_dst_put(). All zeros is "none yet". */
struct mr_dst {
	struct mr_neigh *neigh;
	uint32_t gen;
	uint32_t mtu;	       /* bytes of the L3 packet */
	uint32_t pmtu_until_s; /* mtu is the path's, as far as known, until then; 0: the route's */
	uint32_t label; /* IPv6 flow label of the holder's flow (RFC 6437); 0: not computed yet */
};

/* A destination behind a link that carries less than ours (pmtu.c). */
struct mr_pmtu {
	struct mr_addr daddr;
	uint32_t mtu;	  /* bytes of the L3 packet */
	uint32_t until_s; /* seconds of the engine's clock; 0: unused */
};

#define MR_PMTU_SETS  128u
#define MR_PMTU_WAYS  4u
#define MR_PMTU_MIN4  576u /* less is not believed: RFC 791 promises every host that much */
#define MR_PMTU_AGE_S 600u /* RFC 1191 section 6.3, RFC 8201 section 5.3: about 10 minutes */

/* A default router that has advertised itself (RFC 4861 section 6.3.4). */
struct mr_router {
	struct mr_addr addr;
	uint64_t expires; /* ns */
};

#define MR_ROUTERS_MAX 4u

/* What IP found in a packet that goes up. */
struct mr_ip_rx {
	struct mr_addr src, dst;
	uint32_t l4_len; /* L4 header and payload */
	uint8_t proto;
	uint8_t tos; /* or traffic class, with the ECN bits */
	uint8_t ttl;
	bool csum_ok;	   /* L4 checksum is verified, or accepted as partial */
	bool fragmented;   /* a fragment header was there (RFC 6980) */
	bool router_alert; /* that option was there (RFC 2711) */
};

/* ---- Reassembly ------------------------------------------------------------------------------ */

#define MR_REASM_DATAGRAMS    256u
#define MR_REASM_PER_SOURCE   64u   /* of them; as Linux: ipfrag_max_dist */
#define MR_REASM_CHUNKS_ALL   2048u /* frames that may wait, and at most an eighth of all ... */
#define MR_REASM_SOURCE_SHARE 4u    /* ... of which one sender may have a fourth */
#define MR_REASM_CHUNKS_ONE   128u  /* of one datagram: 64 KiB at the least MTU of IPv4 */
#define MR_REASM_V4_NS	      (30 * MR_NS_PER_S) /* as Linux: ipfrag_time */
#define MR_REASM_V6_NS	      (60 * MR_NS_PER_S) /* RFC 8200 section 4.5 */
#define MR_REASM_BUCKETS      64u

/* A datagram of which fragments have come. */
struct mr_datagram {
	struct mr_list bucket_node;
	struct mr_list age_node; /* of reasm.age or reasm.free */
	struct mr_timer timer;
	struct mr_ip_rx rx; /* of the first fragment, once that is there */
	uint32_t id;
	struct mr_frame *head, *tail; /* by offset, which is in seq; linked by next */
	uint8_t *iph;		      /* IP header of the first fragment; NULL: it is not there */
	uint32_t bytes, chunks;
	uint32_t end;  /* bytes of the whole; 0: the last fragment is not there */
	uint16_t dead; /* enum mr_drop: given up; what comes of it is dropped for that */
	uint8_t ecn;   /* set of the codepoints seen */
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

/* What an address of the kernel's says beside its prefix. */
#define MR_IPADDR_SECONDARY  0x1u /* IPv4: no source address, unless asked for */
#define MR_IPADDR_DEPRECATED 0x2u
#define MR_IPADDR_TEMPORARY  0x4u

/* The kernel's tables local and main, of all interfaces. In the arena. */
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
	bool addrs_gone;	/* addresses were taken away: a connection may still be on one */
	bool policy_rules;	/* the kernel has rules that fib does not know */
	bool prefer_temporary;	/* RFC 6724 rule 7; Linux: use_tempaddr */
	struct mr_steer *steer; /* which ports come to us; NULL: whole addresses do */
	struct mr_fib *fib;	/* the kernel's routes; NULL: routes[] */
	int ifindex;		/* with fib */
	struct mr_route routes[MR_ROUTES_MAX]; /* longest prefix first */
	unsigned nroutes;
	uint32_t route_gen;			  /* changes with the table; never 0 */
	struct mr_router routers[MR_ROUTERS_MAX]; /* the one in use first */
	unsigned nrouters;
	bool router_route;	      /* the default route is routers[0]'s */
	struct mr_timer router_timer; /* for the router that expires first */
	uint32_t router_mtu;	      /* bytes; what routers say of the link; 0: nothing */
	uint32_t mtu6;		      /* of IPv6 packets: the router's, at most the interface's */
	__u64 label_key[2];
	struct mr_pmtu pmtu[MR_PMTU_SETS][MR_PMTU_WAYS];
	uint32_t pmtu_age_s; /* MR_PMTU_AGE_S, unless changed after mr_ip_init() */
	/* token bucket of ICMP errors we send (RFC 1122 3.2.2, RFC 4443 2.4 f) */
	uint32_t icmp_tokens;
	uint64_t icmp_refill_at;
	struct mr_reasm reasm;
};

#define MR_ICMP_BURST	50u   /* as Linux: icmp_msgs_burst */
#define MR_ICMP_PER_SEC 1000u /* as Linux: icmp_msgs_per_sec */

/* Instead of mr_ip_init(): addresses and routes are the kernel's on this interface, and yet to come. 0 or
 * -ENOMEM. */
int mr_ip_init_shared(struct mr_ip *ip, struct mr_arena *arena, struct mr_link *link,
		      struct mr_rng *rng, struct mr_counters *ctr, int ifindex, uint64_t now);
/* What it takes of the arena. */
size_t mr_ip_shared_bytes(void);
/* The kernel's addresses and routes are these now. What does not fit is left out: -ENOSPC. */
int mr_ip_set_addrs(struct mr_ip *ip, const struct mr_prefix *addrs, const uint8_t *flags,
		    unsigned naddrs);
int mr_fib_set(struct mr_ip *ip, const struct mr_route *routes, unsigned nroutes);
/* What the kernel's tables say of a destination, whatever the interface. NULL: nothing. */
const struct mr_route *mr_fib_lookup(const struct mr_fib *fib, const struct mr_addr *dst);

/* Own addresses get their on-link routes. 0 or -EINVAL (an address that no host can have). They must
 * be those that link has. */
int mr_ip_init(struct mr_ip *ip, struct mr_link *link, struct mr_rng *rng, struct mr_counters *ctr,
	       const struct mr_prefix *addrs, unsigned naddrs, uint64_t now);

/* src may be any: chosen. 0, -EEXIST, -ENOSPC, -EINVAL (gateway not on-link or of the other family,
 * bits set behind the prefix, src not ours). */
int mr_route_add(struct mr_ip *ip, const struct mr_route *route);
/* 0 or -ENOENT. */
int mr_route_del(struct mr_ip *ip, const struct mr_prefix *dst);
/* Longest prefix; NULL: no route. */
const struct mr_route *mr_route_lookup(const struct mr_ip *ip, const struct mr_addr *dst);

bool mr_ip_is_local(const struct mr_ip *ip, const struct mr_addr *addr);
/* Fill *src with the address to use towards dst. 0, -ENETUNREACH, or -EADDRNOTAVAIL (no address of
 * dst's family and scope). IPv6: RFC 6724 section 5, of which rules 1 to 3 and 8 can decide here. */
int mr_ip_source(const struct mr_ip *ip, const struct mr_addr *dst, struct mr_addr *src);

/* Make *dst valid for the destination (cheap when it is). 0, -ENETUNREACH, -ENOBUFS (neighbour cache). */
int mr_dst_resolve(struct mr_ip *ip, struct mr_dst *dst, const struct mr_addr *daddr, uint64_t now);
void mr_dst_put(struct mr_ip *ip, struct mr_dst *dst);

/* nif->mtu is another one: every struct mr_dst is made anew when it is used next. */
void mr_ip_mtu_changed(struct mr_ip *ip);

/* Put right after a process died in the middle of a change, on a wheel without timers: fragments are forgotten.
 * The holder of a struct mr_dst must zero it. */
void mr_ip_salvage(struct mr_ip *ip);

/* MR_TIMER_REASM expired: a datagram did not become whole. */
void mr_reasm_timer(struct mr_ip *ip, struct mr_timer *t, uint64_t now);
/* Its invariants (tests). */
void mr_reasm_check(const struct mr_ip *ip);

/* The path to daddr carries packets of mtu bytes and no longer ones, for the next ip->pmtu_age_s. What no
 * path may be accused of counts as the least that is possible. true: that is news, and every struct
 * mr_dst is made anew when it is used next. */
bool mr_pmtu_learn(struct mr_ip *ip, const struct mr_addr *daddr, uint32_t mtu, uint64_t now);
/* A router could not forward an IPv4 packet of mtu bytes and did not say how much it could (RFC 1191
 * section 5): the next smaller size that is likely. */
uint32_t mr_pmtu_guess(uint32_t mtu);

/* MR_TIMER_ROUTER expired. */
void mr_ip_timer(struct mr_ip *ip, uint64_t now);
/* A neighbour became FAILED: if it is the default router, another one is tried. */
void mr_ip_neigh_failed(struct mr_ip *ip, const struct mr_addr *addr);

/* ---- Packets --------------------------------------------------------------------------------- */

/* An ICMP error that quotes a TCP segment of ours (RFC 1122 3.2.2.1, RFC 5927). */
struct mr_icmp_err {
	struct mr_addr src, dst; /* of the quoted packet: src is ours */
	uint16_t sport, dport;	 /* host order: sport is ours */
	uint32_t seq;
	int err;   /* negative errno it stands for: -ECONNREFUSED, -EHOSTUNREACH, -EMSGSIZE ... */
	bool hard; /* may end a connection in SYN-SENT */
	uint32_t mtu; /* with -EMSGSIZE: next-hop MTU, 0 if the router did not say */
};

/* An IPv4 packet whose header (*f)->data points to. Answers echo and sends unreachables itself. A
 * fragment is kept, or makes a datagram whole: that is *f then, for whoever is named or, on a drop, for
 * the caller. */
enum mr_up mr_ipv4_input(struct mr_ip *ip, struct mr_frame **f, uint64_t now, struct mr_ip_rx *rx,
			 struct mr_icmp_err *ierr, enum mr_drop *reason);

/* The same of IPv6. */
enum mr_up mr_ipv6_input(struct mr_ip *ip, struct mr_frame **f, uint64_t now, struct mr_ip_rx *rx,
			 struct mr_icmp_err *ierr, enum mr_drop *reason);

/* An advertisement of a router or neighbour that was seen elsewhere (the XDP program's notes). */
void mr_ip_nd_note(struct mr_ip *ip, const struct mr_note_nd *note, uint64_t now);

/* How a packet goes out; a connection keeps one. */
struct mr_ip_tx {
	struct mr_addr src, dst;
	uint8_t proto;
	uint8_t tos; /* or traffic class */
	uint8_t ttl; /* or hop limit */
	bool df;     /* IPv4 */
};

/* Put an IP header in front of f->data (which points to a complete L4 header and payload; pkt_len may
 * span a chain) and send it to dst->neigh. Takes over one reference of every chunk, always. 0, or the
 * error of mr_link_output(), or -EMSGSIZE (larger than dst->mtu): dropped and counted. */
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

/* ICMP destination unreachable about a received packet whose IP header stands at `iph` within f
 * (RFC 1122 3.2.2: never about ICMP errors, fragments, broadcast, ...; rate limited). */
void mr_icmp_unreachable(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph,
			 uint8_t code, uint64_t now);

/* An ICMPv6 error about a received packet whose IPv6 header stands at `iph` within f (RFC 4443 section
 * 2.4 (e): never about ICMPv6 errors, multicast, ...; the rate limit is ICMP's). pointer: the four
 * bytes behind the checksum. */
void mr_icmp6_error(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph, uint8_t type,
		    uint8_t code, uint32_t pointer, uint64_t now);

#endif
