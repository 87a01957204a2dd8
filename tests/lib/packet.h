/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packet.h - packets for the tests of the XDP program, made from a short description. Lengths and
 * checksums come out right unless the description asks for something else. The checksum arithmetic
 * is the slowest and plainest one, so that it shares no mistake with the code under test.
 */
#ifndef MR_TESTS_LIB_PACKET_H
#define MR_TESTS_LIB_PACKET_H

#include <stdbool.h>
#include <stdint.h>

enum { PACKET_MAX = 66000 };

enum csum_kind { CSUM_OK, CSUM_LEFT_PARTIAL, CSUM_WRONG };

/* Where a patch counts from. */
enum layer { NOWHERE, L2, L3, L4, QUOTE };

struct patch {
	enum layer layer;
	unsigned off;
	uint8_t value;
};

/* All zeros: TCP ACK 10.0.0.9:4000 -> 10.0.0.1:80 (an own address) without payload. */
struct desc {
	bool v6;
	uint8_t nvlan;
	uint16_t tci[3];
	uint16_t ethertype; /* 0: as the rest says */
	bool group;	    /* Ethernet destination is a multicast address */
	const char *src, *dst;
	uint8_t proto;	/* 0: TCP */
	uint8_t ip_opt; /* words of IPv4 options */
	const char
		*ext; /* IPv6 extension headers: H(op) R(outing) D(est) a(tomic) f(ragment) A(H) */
	uint8_t ext_words; /* each H, R, D is 8 bytes and this many times 8 more */
	uint16_t frag;	   /* IPv4 frag_off, host order */

	uint16_t sport, dport; /* 0: 4000, 80; see zero_sport */
	bool zero_sport, zero_dport;
	uint8_t flags; /* TCP; 0: ACK; see no_flags */
	bool no_flags;
	uint8_t tcp_opt; /* words of TCP options */
	uint8_t icmp_type;
	const struct desc *quote; /* ICMP error: IP header and 8 bytes of this packet */
	const char *nd_target;	  /* ICMPv6: neighbour discovery about this address */
	uint32_t payload;	  /* bytes */

	struct patch before[3]; /* applied before the checksums are made */
	struct patch after[3];	/* and after */
	enum csum_kind csum;
	uint32_t cut; /* not 0: this is all that is left of the packet */
	uint32_t pad; /* bytes of link-layer padding, not zeros */
};

struct packet {
	uint8_t b[PACKET_MAX];
	uint32_t len;
	uint32_t l3, l4, pay, quote;
};

struct arp_desc {
	const char *spa, *tpa;
	uint16_t op; /* 0: request */
	struct patch patch;
	uint32_t cut;
};

void packet_make(struct packet *p, const struct desc *d);
void packet_make_arp(struct packet *p, const struct arp_desc *d);

#endif
