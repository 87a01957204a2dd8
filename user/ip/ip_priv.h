/* SPDX-License-Identifier: BSD-2-Clause */
/* ip_priv.h - declarations for the files of user/ip only: header offsets, and functions that they call in one another.
 * */
#ifndef MR_IP_IP_PRIV_H
#define MR_IP_IP_PRIV_H

#include <string.h>
#include "ip/ip.h"

/* Fields in network byte order, at any alignment. */
static inline uint16_t mr_load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void mr_store16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint32_t mr_load32(const uint8_t *p)
{
	return (uint32_t)mr_load16(p) << 16 | mr_load16(p + 2);
}

static inline struct mr_addr mr_load_v4(const uint8_t *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return mr_addr_v4(word);
}

/* Offsets of the IPv4 header (RFC 791 section 3.1). */
#define IPV4_TOS   1
#define IPV4_LEN   2
#define IPV4_ID	   4
#define IPV4_FRAG  6
#define IPV4_TTL   8
#define IPV4_PROTO 9
#define IPV4_CSUM  10
#define IPV4_SRC   12
#define IPV4_DST   16

#define IPV4_DF		 0x4000u
#define IPV4_MF		 0x2000u
#define IPV4_OFFSET_MASK 0x1fffu

static inline struct mr_addr mr_load_v6(const uint8_t *p)
{
	struct mr_addr a;

	memcpy(a.b, p, sizeof(a.b));
	return a;
}

/* Offsets of the IPv6 header (RFC 8200 section 3). */
#define IPV6_LEN     4
#define IPV6_NEXTHDR 6
#define IPV6_HLIM    7
#define IPV6_SRC     8
#define IPV6_DST     24

/* The fragment header (RFC 8200 section 4.5). */
#define IPV6_FRAG_HLEN 8u
#define IPV6_FRAG_OFF  2 /* offset, 2 reserved bits, M */
#define IPV6_FRAG_ID   4
#define IPV6_FRAG_MORE 0x0001u
#define IPV6_FRAG_MASK 0xfff8u

#define MR_IP_TTL 64 /* RFC 1700; TTL and hop limit of ICMP messages */

/* icmp.c: an ICMP message for us; f->data points to it. Results as those of mr_ipv4_input(). */
enum mr_up mr_icmp_input(struct mr_ip *ip, struct mr_frame *f, uint64_t now,
			 const struct mr_ip_rx *rx, struct mr_icmp_err *ierr, enum mr_drop *reason);

/* The headers of a received fragment. */
struct mr_fragment {
	struct mr_ip_rx *rx; /* proto: the next protocol according to the fragment */
	uint8_t *iph;	     /* its IP header */
	uint32_t id;	     /* identification */
	uint32_t off;	     /* offset in the datagram, bytes */
	bool more;	     /* more fragments follow */
};

/* reasm.c: reassembly. */
void mr_reasm_init(struct mr_ip *ip);
/* Do the first len bytes of a datagram, at p, contain the whole transport header? */
bool mr_reasm_has_l4_header(uint8_t proto, const uint8_t *p, uint32_t len);
/* Add a fragment. *f is its payload: at least one byte, and none beyond offset 65535. MR_DROP_NONE: it was taken over;
 * if it completed the datagram, *f is the datagram, and *fr->rx and fr->iph are the datagram's; otherwise *f is NULL.
 * Other results: the caller still owns *f. */
enum mr_drop mr_reasm_input(struct mr_ip *ip, struct mr_frame **f, struct mr_fragment *fr,
			    uint64_t now);

/* icmp.c: send "fragment reassembly time exceeded". f is the datagram's first fragment, iph its IP header. */
void mr_icmp_time_exceeded(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph,
			   uint64_t now);

/* icmp.c: a frame in which the request f can be turned into its reply: f itself, or, if there are other references to f
 * or the reply would need too many descriptors, a copy, and f is put. NULL: no frame is free; the caller still owns f.
 * */
struct mr_frame *mr_icmp_reply_frame(struct mr_ip *ip, struct mr_frame *f, uint32_t ip_hlen);
/* icmp.c: does the rate limit allow one more ICMP error? A refusal is counted. */
bool mr_icmp_may_send(struct mr_ip *ip, uint64_t now);

/* icmp6.c: the same for an ICMPv6 message. */
enum mr_up mr_icmp6_input(struct mr_ip *ip, struct mr_frame *f, uint64_t now,
			  const struct mr_ip_rx *rx, struct mr_icmp_err *ierr,
			  enum mr_drop *reason);

/* route.c: the route to exactly this prefix, or NULL. Changed: every struct mr_dst becomes invalid. */
const struct mr_route *mr_route_find(const struct mr_ip *ip, const struct mr_prefix *dst);
void mr_route_changed(struct mr_ip *ip);

/* pmtu.c: dst->mtu is the route's MTU; lower it to the path MTU, if one is known. */
void mr_pmtu_apply(struct mr_ip *ip, const struct mr_addr *daddr, uint64_t now, struct mr_dst *dst);

/* fib.c: the kernel's route to dst, or NULL if that is not a route through our interface. */
const struct mr_route *mr_fib_ours(const struct mr_ip *ip, const struct mr_addr *dst);

/* source.c: choose one of our addresses for packets to dst, by a route without a preferred source. 0 or -EADDRNOTAVAIL.
 * */
int mr_source_choose(const struct mr_ip *ip, const struct mr_route *r, const struct mr_addr *dst,
		     struct mr_addr *src);

/* router.c: process what a neighbour discovery message says about routers. */
void mr_router_news(struct mr_ip *ip, const struct mr_nd_news *news, uint64_t now);

/* The fragment fields of a packet to be sent. */
struct mr_ip_part {
	uint32_t id;
	uint16_t off; /* bytes */
	bool more;
};

/* ipv4.c, ipv6.c: put the IP header in front of f; the packet must not become longer than UINT16_MAX. part NULL: the
 * packet is no fragment. Returns the Ethernet type. */
uint16_t mr_ipv4_push(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx,
		      const struct mr_ip_part *part);
uint16_t mr_ipv6_push(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx,
		      struct mr_dst *dst, const struct mr_ip_part *part);

/* output.c: send a packet that belongs to no connection, fragmented if it is longer than the MTU. Takes over f, also on
 * failure. */
void mr_ip_reply(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx, uint64_t now);

/* route.c: is it the broadcast address of one of our subnets (RFC 1122 section 3.2.1.3 (c))? */
bool mr_ip_is_subnet_broadcast(const struct mr_ip *ip, const struct mr_addr *addr);

#endif
