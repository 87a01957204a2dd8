/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ip.h - the Internet layer: packets in are checked and demultiplexed, packets out get a route and a
 * header; ICMP is answered here. IPv4 today; every type is ready for IPv6.
 */
#ifndef MR_IP_IP_H
#define MR_IP_IP_H

#include "link/link.h"

#define MR_IPV4_HLEN 20u

/* ---- Routes ---------------------------------------------------------------------------------- */

struct mr_route {
	struct mr_prefix dst;
	struct mr_addr gateway; /* any: on-link */
	struct mr_addr src;	/* preferred source */
	uint32_t mtu;		/* 0: the interface's */
};

#define MR_ROUTES_MAX 64u

/* A resolved destination, cached by a connection: valid while gen is the table's. Holds a reference on
 * the neighbour: release with mr_dst_put(). All zeros is "none yet". */
struct mr_dst {
	struct mr_neigh *neigh;
	uint32_t gen;
	uint32_t mtu; /* bytes of the L3 packet */
};

struct mr_ip {
	struct mr_link *link;
	struct mr_netif *nif;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	struct mr_rng *rng;
	struct mr_prefix
		addrs[MR_LINK_ADDRS_MAX]; /* own addresses with their on-link prefix length */
	unsigned naddrs;
	struct mr_route routes[MR_ROUTES_MAX]; /* longest prefix first */
	unsigned nroutes;
	uint32_t route_gen; /* changes with the table; never 0 */
	/* token bucket of ICMP errors we send (RFC 1122 3.2.2, RFC 4443 2.4 f) */
	uint32_t icmp_tokens;
	uint64_t icmp_refill_at;
};

#define MR_ICMP_BURST	50u   /* as Linux: icmp_msgs_burst */
#define MR_ICMP_PER_SEC 1000u /* as Linux: icmp_msgs_per_sec */

/* Own addresses get their on-link routes. 0, -EINVAL (an address that no host can have) or, for IPv6
 * here and below, -EAFNOSUPPORT. */
int mr_ip_init(struct mr_ip *ip, struct mr_link *link, struct mr_rng *rng, struct mr_counters *ctr,
	       const struct mr_prefix *addrs, unsigned naddrs, uint64_t now);

/* src may be any: chosen. 0, -EEXIST, -ENOSPC, -EINVAL (gateway not on-link, bits set behind the
 * prefix, src not ours). */
int mr_route_add(struct mr_ip *ip, const struct mr_route *route);
/* 0 or -ENOENT. */
int mr_route_del(struct mr_ip *ip, const struct mr_prefix *dst);
/* Longest prefix; NULL: no route. */
const struct mr_route *mr_route_lookup(const struct mr_ip *ip, const struct mr_addr *dst);

bool mr_ip_is_local(const struct mr_ip *ip, const struct mr_addr *addr);
/* Fill *src with the address to use towards dst. 0 or -ENETUNREACH. */
int mr_ip_source(const struct mr_ip *ip, const struct mr_addr *dst, struct mr_addr *src);

/* Make *dst valid for the destination (cheap when it is). 0, -ENETUNREACH, -ENOBUFS (neighbour cache). */
int mr_dst_resolve(struct mr_ip *ip, struct mr_dst *dst, const struct mr_addr *daddr, uint64_t now);
void mr_dst_put(struct mr_ip *ip, struct mr_dst *dst);

/* ---- Packets --------------------------------------------------------------------------------- */

/* What IP found in a packet that goes up. */
struct mr_ip_rx {
	struct mr_addr src, dst;
	uint32_t l4_len; /* L4 header and payload */
	uint8_t proto;
	uint8_t tos; /* or traffic class, with the ECN bits */
	uint8_t ttl;
	bool csum_ok; /* L4 checksum is verified, or accepted as partial */
};

/* An ICMP error that quotes a TCP segment of ours (RFC 1122 3.2.2.1, RFC 5927). */
struct mr_icmp_err {
	struct mr_addr src, dst; /* of the quoted packet: src is ours */
	uint16_t sport, dport;	 /* host order: sport is ours */
	uint32_t seq;
	int err;   /* negative errno it stands for: -ECONNREFUSED, -EHOSTUNREACH, -EMSGSIZE ... */
	bool hard; /* may end a connection in SYN-SENT */
	uint32_t mtu; /* with -EMSGSIZE: next-hop MTU, 0 if the router did not say */
};

/* An IPv4 packet whose header f->data points to. Answers echo and sends unreachables itself. */
enum mr_up mr_ipv4_input(struct mr_ip *ip, struct mr_frame *f, uint64_t now, struct mr_ip_rx *rx,
			 struct mr_icmp_err *ierr, enum mr_drop *reason);

/* How a packet goes out; a connection keeps one. */
struct mr_ip_tx {
	struct mr_addr src, dst;
	uint8_t proto;
	uint8_t tos;
	uint8_t ttl;
	bool df;
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

/* ICMP destination unreachable about a received packet whose IP header stands at `iph` within f
 * (RFC 1122 3.2.2: never about ICMP errors, fragments, broadcast, ...; rate limited). */
void mr_icmp_unreachable(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph,
			 uint8_t code, uint64_t now);

#endif
