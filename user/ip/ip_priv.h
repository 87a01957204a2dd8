/* SPDX-License-Identifier: BSD-2-Clause */
/* ip_priv.h - what the files of user/ip/ share with each other. */
#ifndef MR_IP_IP_PRIV_H
#define MR_IP_IP_PRIV_H

#include <string.h>
#include "ip/ip.h"

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

#define MR_IP_TTL 64 /* RFC 1700; of what this layer sends by itself */

/* icmp.c: an ICMP message to us; data points to it. As mr_ipv4_input(). */
enum mr_up mr_icmp_input(struct mr_ip *ip, struct mr_frame *f, uint64_t now,
			 const struct mr_ip_rx *rx, struct mr_icmp_err *ierr, enum mr_drop *reason);

/* What ip found in front of a fragment. */
struct mr_fragment {
	struct mr_ip_rx *rx; /* proto: what the fragment's header says */
	uint8_t *iph;
	uint32_t id;
	uint32_t off; /* bytes */
	bool more;
};

/* reasm.c. */
void mr_reasm_init(struct mr_ip *ip);
/* Does the beginning of a datagram hold the whole header of the upper layer? */
bool mr_reasm_has_l4_header(uint8_t proto, const uint8_t *p, uint32_t len);
/* *f has nothing but a fragment's bytes, at least one and none beyond 65535. MR_DROP_NONE: it was
 * taken, and *f is the whole datagram, of which fr->rx and fr->iph are then, or NULL. Else the caller
 * still owns it. */
enum mr_drop mr_reasm_input(struct mr_ip *ip, struct mr_frame **f, struct mr_fragment *fr,
			    uint64_t now);

/* icmp.c: the time for a datagram is over of which f is the first fragment and iph its IP header. */
void mr_icmp_time_exceeded(struct mr_ip *ip, const struct mr_frame *f, const uint8_t *iph,
			   uint64_t now);

/* icmp.c: a frame to turn a request in f into its reply in: f itself, or a copy (and f is put) if
 * somebody else holds it or the reply would not fit the device. NULL: no frames, f is the caller's. */
struct mr_frame *mr_icmp_reply_frame(struct mr_ip *ip, struct mr_frame *f, uint32_t ip_hlen);
/* icmp.c: may one more error be sent? If not, that is counted. */
bool mr_icmp_may_send(struct mr_ip *ip, uint64_t now);

/* icmp6.c: as mr_icmp_input(). */
enum mr_up mr_icmp6_input(struct mr_ip *ip, struct mr_frame *f, uint64_t now,
			  const struct mr_ip_rx *rx, struct mr_icmp_err *ierr,
			  enum mr_drop *reason);

/* route.c: the route to exactly this prefix, or NULL; cached destinations are to be looked up anew. */
const struct mr_route *mr_route_find(const struct mr_ip *ip, const struct mr_prefix *dst);
void mr_route_changed(struct mr_ip *ip);

/* pmtu.c: dst->mtu is the route's: lower it to what is known of the path. */
void mr_pmtu_apply(struct mr_ip *ip, const struct mr_addr *daddr, uint64_t now, struct mr_dst *dst);

/* fib.c: the kernel's route to dst, if it leaves by our interface. */
const struct mr_route *mr_fib_ours(const struct mr_ip *ip, const struct mr_addr *dst);

/* source.c: of our addresses, the one to use towards dst by a route that does not say. 0 or
 * -EADDRNOTAVAIL. */
int mr_source_choose(const struct mr_ip *ip, const struct mr_route *r, const struct mr_addr *dst,
		     struct mr_addr *src);

/* router.c: what neighbour discovery found out about routers. */
void mr_router_news(struct mr_ip *ip, const struct mr_nd_news *news, uint64_t now);

/* Which part of a datagram is sent. */
struct mr_ip_part {
	uint32_t id;
	uint16_t off; /* bytes */
	bool more;
};

/* ipv4.c, ipv6.c: put the header in front; f->pkt_len + the header's length is at most UINT16_MAX.
 * part NULL: it is the whole. Returns the Ethernet type. */
uint16_t mr_ipv4_push(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx,
		      const struct mr_ip_part *part);
uint16_t mr_ipv6_push(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx,
		      struct mr_dst *dst, const struct mr_ip_part *part);

/* output.c: send something that no connection stands behind, in fragments if need be. Takes the frame,
 * always. */
void mr_ip_reply(struct mr_ip *ip, struct mr_frame *f, const struct mr_ip_tx *tx, uint64_t now);

/* route.c: the all-ones host address of a subnet of ours (RFC 1122 section 3.2.1.3 (c))? */
bool mr_ip_is_subnet_broadcast(const struct mr_ip *ip, const struct mr_addr *addr);

#endif
