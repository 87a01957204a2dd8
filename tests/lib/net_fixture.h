/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net_fixture.h - link and ip without a device: memory for frames, an interface whose transmit
 * queue the test reads, and builders of the packets that a neighbour would send.
 */
#ifndef MR_TESTS_NET_FIXTURE_H
#define MR_TESTS_NET_FIXTURE_H

#include "ip/ip.h"

#define NET_FRAMES 256u
#define NET_CHUNK  2048u
#define NET_MTU	   1500u

struct net {
	uint64_t now;
	struct mr_arena arena;
	uint8_t *umem;
	struct mr_frame_pool frames;
	struct mr_counters ctr;
	struct mr_rng rng;
	struct mr_wheel wheel;
	struct mr_netif nif;
	struct mr_link link;
	struct mr_ip ip;
	enum mr_drop reason;
	struct mr_ip_rx rx;
	struct mr_icmp_err ierr;
	bool v6; /* IPv6 packets go to ip; else link says that there is one */
};

extern const uint8_t net_mac[6];  /* ours */
extern const uint8_t peer_mac[6]; /* a neighbour's */

/* Fresh state with 10.0.0.1/24 as our only address; announcements are over and not counted. */
void net_open(struct net *n);
/* Free everything; fails the test when a frame is still held. */
void net_close(struct net *n);
/* cmocka's set-up and tear-down around each test: *state is a struct net. */
int net_setup(void **state);
/* The same with 2001:db8::1/64 and fe80::1/64, of which it is known that nobody else has them. */
int net_setup6(void **state);
/* Like net_open(), with any addresses, and before the first timer. */
void net_open_raw(struct net *n, const struct mr_prefix *own, unsigned nown);
/* The same with addresses and neighbours that are the kernel's, of which there are none yet. */
#define NET_IFINDEX 7
int net_setup_shared(void **state);
int net_teardown(void **state);

struct mr_addr addr(const char *text);
struct mr_prefix prefix(const char *text);

/* A received packet. chunk > 0: cut into chunks of that many bytes. */
struct mr_frame *net_frame(struct net *n, const void *bytes, uint32_t len, uint32_t chunk);
/* Through link (and ip) input; drops are counted and put as the engine does. The frame of MR_UP_TCP
 * is handed to *up (put it with mr_frame_put_chain()); up NULL puts it. */
enum mr_up net_input(struct net *n, struct mr_frame *f, struct mr_frame **up);
enum mr_up net_input_bytes(struct net *n, const void *bytes, uint32_t len);

/* Take the oldest packet off the transmit queue, as the device would. Returns its length, 0: none. */
uint32_t net_sent(struct net *n, uint8_t *buf, uint32_t size);
/* Let the clock run to until, with timers. Returns the neighbour that failed last, or NULL. */
struct mr_neigh *net_run(struct net *n, uint64_t until);

/* Builders: return the length of the whole frame. */
uint32_t build_eth(uint8_t *buf, const uint8_t *dst, const uint8_t *src, uint16_t type);
uint32_t build_arp(uint8_t *buf, const uint8_t *eth_dst, uint16_t op, const uint8_t *sha,
		   const char *spa, const uint8_t *tha, const char *tpa);
/* IPv4 with payload, to us by link unicast, checksum right. */
uint32_t build_ipv4(uint8_t *buf, const char *src, const char *dst, uint8_t proto, const void *pay,
		    uint32_t len);
void fix_ip_csum(uint8_t *ip_header);
/* ICMP message with its checksum; rest: the four bytes behind the checksum. */
uint32_t build_icmp(uint8_t *buf, uint8_t type, uint8_t code, uint32_t rest, const void *pay,
		    uint32_t len);

/* IPv6 with payload, to us or to the group that dst is. */
uint32_t build_ipv6(uint8_t *buf, const char *src, const char *dst, uint8_t nexthdr, uint8_t hlim,
		    const void *pay, uint32_t len);
/* ICMPv6 message with its checksum; rest: the four bytes behind the checksum. */
uint32_t build_icmp6(uint8_t *buf, const char *src, const char *dst, uint8_t type, uint8_t code,
		     uint32_t rest, const void *pay, uint32_t len);
/* Neighbour discovery, whole frame: opt 0: no option, else one of 8 bytes that holds opt_bytes. */
uint32_t build_nd(uint8_t *buf, const char *src, const char *dst, uint8_t type, uint32_t flags,
		  const char *target, uint8_t opt, const uint8_t *opt_bytes);

/* The peer answers ARP for text: its entry is REACHABLE afterwards. Puts the reference. */
void net_resolve(struct net *n, const char *text);
/* The peer sends a solicitation from text: its entry is STALE, and usable, afterwards. */
void net_learn6(struct net *n, const char *text);

#endif
