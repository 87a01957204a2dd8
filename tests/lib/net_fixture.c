// SPDX-License-Identifier: BSD-2-Clause
/* net_fixture.c - see net_fixture.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include "base/addr.h"
#include "base/csum.h"
#include "net_fixture.h"

const uint8_t net_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };
const uint8_t peer_mac[6] = { 0x02, 0, 0, 0, 0, 0x99 };

struct mr_addr addr(const char *text)
{
	struct mr_addr a;

	assert_int_equal(mr_addr_parse(text, &a), 0);
	return a;
}

struct mr_prefix prefix(const char *text)
{
	struct mr_prefix p;

	assert_int_equal(mr_prefix_parse(text, &p), 0);
	return p;
}

static void open_link(struct net *n, size_t arena, const struct mr_prefix *own, unsigned nown)
{
	struct mr_addr addrs[MR_LINK_ADDRS_MAX];

	memset(n, 0, sizeof(*n));
	n->now = 1000 * MR_NS_PER_S;
	assert_int_equal(mr_arena_open(&n->arena, "test", arena), 0);
	n->umem = malloc((size_t)NET_FRAMES * NET_CHUNK);
	assert_non_null(n->umem);
	assert_int_equal(
		mr_frame_pool_init(&n->frames, &n->arena, &n->ctr, n->umem, NET_FRAMES, NET_CHUNK),
		0);
	mr_rng_init(&n->rng, 1);
	mr_wheel_init(&n->wheel, n->now);
	mr_netif_init(&n->nif, &n->frames, &n->ctr, net_mac, NET_MTU, 128);
	for (unsigned i = 0; i < nown; i++) {
		addrs[i] = own[i].addr;
		n->v6 |= !mr_addr_is_v4(&addrs[i]);
	}
	assert_int_equal(mr_link_init(&n->link, &n->arena, &n->nif, &n->wheel, &n->rng, &n->ctr,
				      addrs, nown, n->now),
			 0);
}

void net_open_raw(struct net *n, const struct mr_prefix *own, unsigned nown)
{
	open_link(n, 4 << 20, own, nown);
	assert_int_equal(mr_ip_init(&n->ip, &n->link, &n->rng, &n->ctr, own, nown, n->now), 0);
}

int net_setup_shared(void **state)
{
	struct net *n = malloc(sizeof(*n));

	if (!n)
		return -1;
	open_link(n, (4 << 20) + mr_ip_shared_bytes(), NULL, 0);
	mr_link_use_kernel(&n->link);
	assert_int_equal(mr_ip_init_shared(&n->ip, &n->arena, &n->link, &n->rng, &n->ctr,
					   NET_IFINDEX, n->now),
			 0);
	*state = n;
	return 0;
}

static void settle(struct net *n)
{
	uint8_t buf[NET_CHUNK];

	net_run(n, n->now + 15 * MR_NS_PER_S);
	while (net_sent(n, buf, sizeof(buf)))
		;
	memset(&n->ctr, 0, sizeof(n->ctr));
}

void net_open(struct net *n)
{
	struct mr_prefix own = prefix("10.0.0.1/24");

	net_open_raw(n, &own, 1);
	settle(n);
}

void net_close(struct net *n)
{
	uint8_t buf[64];

	while (net_sent(n, buf, sizeof(buf)))
		;
	assert_int_equal(n->frames.nfree, NET_FRAMES);
	free(n->umem);
	mr_arena_close(&n->arena);
}

int net_setup(void **state)
{
	struct net *n = malloc(sizeof(*n));

	if (!n)
		return -1;
	net_open(n);
	*state = n;
	return 0;
}

int net_setup6(void **state)
{
	const struct mr_prefix own[2] = { prefix("2001:db8::1/64"), prefix("fe80::1/64") };
	struct net *n = malloc(sizeof(*n));

	if (!n)
		return -1;
	net_open_raw(n, own, 2);
	settle(n);
	*state = n;
	return 0;
}

int net_teardown(void **state)
{
	net_close(*state);
	free(*state);
	return 0;
}

struct mr_frame *net_frame(struct net *n, const void *bytes, uint32_t len, uint32_t chunk)
{
	struct mr_frame *first = NULL, **link = &first;
	const uint8_t *p = bytes;
	uint32_t off = 0;
	uint8_t count = 0;

	do {
		struct mr_frame *f = mr_frame_get(&n->frames);
		uint32_t part = len - off;

		assert_non_null(f);
		if (chunk && part > chunk)
			part = chunk;
		assert_true(part <= mr_frame_tailroom(&n->frames, f));
		memcpy(f->data, p + off, part);
		f->len = part;
		off += part;
		count++;
		*link = f;
		link = &f->frag;
	} while (off < len);
	first->pkt_len = len;
	first->nchunks = count;
	return first;
}

enum mr_up net_input(struct net *n, struct mr_frame *f, struct mr_frame **up)
{
	enum mr_up v = mr_link_input(&n->link, f, n->now, &n->reason);

	if (v == MR_UP_IPV4)
		v = mr_ipv4_input(&n->ip, &f, n->now, &n->rx, &n->ierr, &n->reason);
	else if (v == MR_UP_IPV6 && n->v6)
		v = mr_ipv6_input(&n->ip, &f, n->now, &n->rx, &n->ierr, &n->reason);
	if (v == MR_UP_DROP)
		n->ctr.drop[n->reason]++;
	if (v == MR_UP_TCP && up)
		*up = f;
	else if (v == MR_UP_DROP || v == MR_UP_TCP || v == MR_UP_IPV6)
		mr_frame_put_chain(&n->frames, f);
	return v;
}

enum mr_up net_input_bytes(struct net *n, const void *bytes, uint32_t len)
{
	return net_input(n, net_frame(n, bytes, len, 0), NULL);
}

uint32_t net_sent(struct net *n, uint8_t *buf, uint32_t size)
{
	struct mr_frame *f = mr_netif_txq_pop(&n->nif), *next;
	uint32_t len;

	if (!f)
		return 0;
	len = f->pkt_len;
	mr_frame_copy_out(f, 0, buf, size);
	for (; f; f = next) {
		next = f->frag;
		mr_netif_tx_done(&n->frames, f);
	}
	return len;
}

struct mr_neigh *net_run(struct net *n, uint64_t until)
{
	struct mr_neigh *failed = NULL;

	while (n->now < until) {
		uint64_t next = mr_wheel_next(&n->wheel);
		struct mr_timer *t;

		n->now = next < until ? next : until;
		while ((t = mr_wheel_pop(&n->wheel, n->now))) {
			struct mr_neigh *f = NULL;

			if (t->kind == MR_TIMER_ROUTER)
				mr_ip_timer(&n->ip, n->now);
			else if (t->kind == MR_TIMER_REASM)
				mr_reasm_timer(&n->ip, t, n->now);
			else
				f = mr_link_timer(&n->link, t, n->now);
			failed = f ? f : failed;
		}
	}
	return failed;
}

uint32_t build_eth(uint8_t *buf, const uint8_t *dst, const uint8_t *src, uint16_t type)
{
	memcpy(buf, dst, 6);
	memcpy(buf + 6, src, 6);
	buf[12] = (uint8_t)(type >> 8);
	buf[13] = (uint8_t)type;
	return 14;
}

uint32_t build_arp(uint8_t *buf, const uint8_t *eth_dst, uint16_t op, const uint8_t *sha,
		   const char *spa, const uint8_t *tha, const char *tpa)
{
	static const uint8_t fixed[6] = { 0, 1, 8, 0, 6, 4 };
	struct mr_addr s = addr(spa), t = addr(tpa);
	uint32_t at = build_eth(buf, eth_dst, sha, ETH_P_ARP);

	memcpy(buf + at, fixed, 6);
	buf[at + 6] = 0;
	buf[at + 7] = (uint8_t)op;
	memcpy(buf + at + 8, sha, 6);
	memcpy(buf + at + 14, s.b + 12, 4);
	memcpy(buf + at + 18, tha, 6);
	memcpy(buf + at + 24, t.b + 12, 4);
	return at + 28;
}

void fix_ip_csum(uint8_t *ip_header)
{
	uint16_t csum;

	memset(ip_header + 10, 0, 2);
	csum = (uint16_t)~mr_csum_fold(mr_csum(ip_header, (ip_header[0] & 0xfu) * 4));
	memcpy(ip_header + 10, &csum, 2);
}

uint32_t build_ipv4(uint8_t *buf, const char *src, const char *dst, uint8_t proto, const void *pay,
		    uint32_t len)
{
	struct mr_addr s = addr(src), d = addr(dst);
	uint32_t at = build_eth(buf, net_mac, peer_mac, ETH_P_IP);
	uint8_t *h = buf + at;

	memset(h, 0, 20);
	h[0] = 0x45;
	h[2] = (uint8_t)((20 + len) >> 8);
	h[3] = (uint8_t)(20 + len);
	h[6] = 0x40;
	h[8] = 61;
	h[9] = proto;
	memcpy(h + 12, s.b + 12, 4);
	memcpy(h + 16, d.b + 12, 4);
	fix_ip_csum(h);
	if (len)
		memcpy(h + 20, pay, len);
	return at + 20 + len;
}

uint32_t build_icmp(uint8_t *buf, uint8_t type, uint8_t code, uint32_t rest, const void *pay,
		    uint32_t len)
{
	uint32_t word = htonl(rest);
	uint16_t csum;

	buf[0] = type;
	buf[1] = code;
	memset(buf + 2, 0, 2);
	memcpy(buf + 4, &word, 4);
	if (len)
		memcpy(buf + 8, pay, len);
	csum = (uint16_t)~mr_csum_fold(mr_csum(buf, 8 + len));
	memcpy(buf + 2, &csum, 2);
	return 8 + len;
}

uint32_t build_ipv6(uint8_t *buf, const char *src, const char *dst, uint8_t nexthdr, uint8_t hlim,
		    const void *pay, uint32_t len)
{
	struct mr_addr s = addr(src), d = addr(dst);
	const uint8_t group[6] = { 0x33, 0x33, d.b[12], d.b[13], d.b[14], d.b[15] };
	uint32_t at = build_eth(buf, d.b[0] == 0xff ? group : net_mac, peer_mac, ETH_P_IPV6);
	uint8_t *h = buf + at;

	memset(h, 0, 40);
	h[0] = 0x60;
	h[4] = (uint8_t)(len >> 8);
	h[5] = (uint8_t)len;
	h[6] = nexthdr;
	h[7] = hlim;
	memcpy(h + 8, s.b, 16);
	memcpy(h + 24, d.b, 16);
	if (len)
		memcpy(h + 40, pay, len);
	return at + 40 + len;
}

uint32_t build_icmp6(uint8_t *buf, const char *src, const char *dst, uint8_t type, uint8_t code,
		     uint32_t rest, const void *pay, uint32_t len)
{
	struct mr_addr s = addr(src), d = addr(dst);
	uint16_t csum;

	build_icmp(buf, type, code, rest, pay, len);
	memset(buf + 2, 0, 2);
	csum = (uint16_t)~mr_csum_fold(
		mr_csum_add(mr_csum(buf, 8 + len), mr_csum_pseudo(&s, &d, 58, 8 + len)));
	memcpy(buf + 2, &csum, 2);
	return 8 + len;
}

uint32_t build_nd(uint8_t *buf, const char *src, const char *dst, uint8_t type, uint32_t flags,
		  const char *target, uint8_t opt, const uint8_t *opt_bytes)
{
	uint8_t pay[24], msg[32];
	uint32_t n = 0;

	if (target) {
		struct mr_addr t = addr(target);

		memcpy(pay, t.b, 16);
		n = 16;
	}
	if (opt) {
		pay[n] = opt;
		pay[n + 1] = 1;
		memcpy(pay + n + 2, opt_bytes, 6);
		n += 8;
	}
	n = build_icmp6(msg, src, dst, type, 0, flags, pay, n);
	return build_ipv6(buf, src, dst, 58, 255, msg, n);
}

void net_resolve(struct net *n, const char *text)
{
	struct mr_addr a = addr(text);
	struct mr_neigh *neigh = mr_neigh_get(&n->link, &a, n->now);
	struct mr_frame *f = mr_frame_get(&n->frames);
	uint8_t buf[64];

	assert_non_null(neigh);
	assert_int_equal(mr_link_output(&n->link, f, neigh, ETH_P_IP, n->now), 0);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 42);
	assert_int_equal(
		net_input_bytes(n, buf,
				build_arp(buf, net_mac, 2, peer_mac, text, net_mac, "10.0.0.1")),
		MR_UP_DONE);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 14);
	assert_int_equal(neigh->state, MR_NEIGH_REACHABLE);
	mr_neigh_put(&n->link, neigh);
	memset(&n->ctr, 0, sizeof(n->ctr));
}

void net_learn6(struct net *n, const char *text)
{
	uint8_t buf[128];

	assert_int_equal(net_input_bytes(n, buf,
					 build_nd(buf, text, "2001:db8::1", 135, 0, "2001:db8::1",
						  1, peer_mac)),
			 MR_UP_DONE);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 14 + 40 + 32);
	memset(&n->ctr, 0, sizeof(n->ctr));
}
