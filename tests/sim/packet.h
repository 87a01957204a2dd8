/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packet.h - packets as the tests see them: an own, second reading of Ethernet, IPv4, IPv6 and
 * TCP, so that the stack is not judged by its own parser.
 */
#ifndef MR_TESTS_SIM_PACKET_H
#define MR_TESTS_SIM_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PKT_ETH_HLEN 14u
#define PKT_IP_HLEN  20u

/* One TCP segment over IPv4 or IPv6 over Ethernet, host byte order. */
struct pkt_tcp {
	uint32_t saddr, daddr; /* of IPv6 the last four bytes */
	uint16_t sport, dport;
	uint32_t seq, ack, len;
	uint16_t wnd, up;
	uint8_t flags; /* MR_TCP_* */
	/* Options; 0 or false when absent. */
	uint16_t mss;
	uint8_t wscale;
	bool has_wscale, has_ts, sack_perm;
	uint32_t tsval, tsecr;
	uint8_t nsack;
	uint32_t sack[4][2]; /* blocks: first byte, and the one behind the last */
	bool has_tfo;
	uint8_t ntfo, tfo[16]; /* a Fast Open cookie (RFC 7413) */
	bool ae;	       /* the flag beside CWR (RFC 9768) */
	uint8_t accecn_kind;   /* 172, 174 */
	uint8_t naccecn;
	uint32_t accecn[3]; /* in the order of the option */
	const uint8_t *payload;
	uint8_t ttl, tos;
	bool df;
};

/* False: no TCP segment, or a length or checksum is wrong. */
bool pkt_tcp_parse(const uint8_t *pkt, uint32_t len, struct pkt_tcp *t);
/* Does every checksum that guards the packet agree? True for what carries none (ARP). */
bool pkt_checksums_ok(const uint8_t *pkt, uint32_t len);
bool pkt_is_arp(const uint8_t *pkt, uint32_t len);
/* What a host with this MAC says to `req` when that is an ARP request for `ip` (host byte order). False:
 * it is none, and nothing is written. */
#define PKT_ARP_REPLY_LEN 60u
bool pkt_arp_reply(uint8_t reply[PKT_ARP_REPLY_LEN], const uint8_t *req, uint32_t len, uint32_t ip,
		   const uint8_t mac[6]);
/* Mark an IP packet as having met congestion (RFC 3168). False: it is not ECT, and unchanged. */
bool pkt_set_ce(uint8_t *pkt, uint32_t len);
/* The error of a router about this IPv4 or IPv6 packet with TCP: too long, `mtu` bytes would pass (0: it does
 * not say). Returns its length. */
#define PKT_TOO_BIG_LEN 110u
uint32_t pkt_too_big(uint8_t error[PKT_TOO_BIG_LEN], const uint8_t *pkt, uint32_t mtu);
/* The RFC 1071 sum of a buffer, byte by byte; not complemented. */
uint16_t pkt_sum(uint32_t start, const uint8_t *p, size_t len);
/* One line for a trace; returns buf. size: 256 is always enough. */
char *pkt_format(const uint8_t *pkt, uint32_t len, char *buf, size_t size);

static inline uint16_t pkt_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t pkt_get32(const uint8_t *p)
{
	return (uint32_t)pkt_get16(p) << 16 | pkt_get16(p + 2);
}

static inline void pkt_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void pkt_put32(uint8_t *p, uint32_t v)
{
	pkt_put16(p, v >> 16);
	pkt_put16(p + 2, v & 0xffff);
}

#endif
