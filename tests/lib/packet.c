// SPDX-License-Identifier: BSD-2-Clause
/* packet.c - see packet.h. */
#include <arpa/inet.h>
#include <assert.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "packet.h"

static void put8(struct packet *p, unsigned v)
{
	assert(p->len < PACKET_MAX);
	p->b[p->len++] = (uint8_t)v;
}

static void put16(struct packet *p, unsigned v)
{
	put8(p, v >> 8 & 0xff);
	put8(p, v & 0xff);
}

static void put32(struct packet *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p, v & 0xffff);
}

static void put_bytes(struct packet *p, const void *bytes, uint32_t n)
{
	assert(p->len + n <= PACKET_MAX);
	memcpy(p->b + p->len, bytes, n);
	p->len += n;
}

static void set16(struct packet *p, uint32_t at, unsigned v)
{
	p->b[at] = v >> 8 & 0xff;
	p->b[at + 1] = v & 0xff;
}

static void put_addr(struct packet *p, bool v6, const char *text)
{
	uint8_t b[16];

	assert(inet_pton(v6 ? AF_INET6 : AF_INET, text, b) == 1);
	put_bytes(p, b, v6 ? 16 : 4);
}

/* Sum of big-endian words (RFC 1071 section 1), folded. */
static uint32_t sum_words(const uint8_t *b, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++) {
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static uint8_t proto_of(const struct desc *d)
{
	return d->proto ? d->proto : IPPROTO_TCP;
}

static void apply(struct packet *p, const struct patch *patches, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct patch *x = &patches[i];
		uint32_t base = x->layer == L3 ? p->l3 : x->layer == L4 ? p->l4 : p->quote;

		if (x->layer != NOWHERE)
			p->b[(x->layer == L2 ? 0 : base) + x->off] = x->value;
	}
}

static void put_eth(struct packet *p, const struct desc *d)
{
	static const uint8_t dst[] = { 2, 0, 0, 0, 0, 1 }, src[] = { 2, 0, 0, 0, 0, 9 };

	put_bytes(p, dst, sizeof(dst));
	put_bytes(p, src, sizeof(src));
	if (d->group)
		p->b[0] = d->v6 ? 0x33 : 0x01;
	for (unsigned i = 0; i < d->nvlan; i++) {
		put16(p, i + 1 < d->nvlan ? 0x88a8 : ETHERTYPE_VLAN);
		put16(p, d->tci[i]);
	}
	put16(p, d->ethertype ? d->ethertype : d->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
}

static void put_ipv4(struct packet *p, const struct desc *d)
{
	put8(p, 0x40 | (5u + d->ip_opt));
	put8(p, 0);
	put16(p, 0); /* total length: later */
	put16(p, 0x1234);
	put16(p, d->frag);
	put8(p, 64);
	put8(p, proto_of(d));
	put16(p, 0); /* checksum: later */
	put_addr(p, false, d->src ? d->src : "10.0.0.9");
	put_addr(p, false, d->dst ? d->dst : "10.0.0.1");
	for (unsigned i = 0; i < d->ip_opt * 4u; i++)
		put8(p, 1); /* NOP */
}

static uint8_t ext_number(char kind)
{
	switch (kind) {
	case 'H':
		return IPPROTO_HOPOPTS;
	case 'R':
		return IPPROTO_ROUTING;
	case 'D':
		return IPPROTO_DSTOPTS;
	case 'a':
	case 'f':
		return IPPROTO_FRAGMENT;
	default:
		return IPPROTO_AH;
	}
}

static void put_ipv6(struct packet *p, const struct desc *d)
{
	const char *ext = d->ext ? d->ext : "";

	put32(p, 0x60000000);
	put16(p, 0); /* payload length: later */
	put8(p, *ext ? ext_number(*ext) : proto_of(d));
	put8(p, 64);
	put_addr(p, true, d->src ? d->src : "fd00::9");
	put_addr(p, true, d->dst ? d->dst : "fd00::1");
	for (; *ext; ext++) {
		bool is_frag = *ext == 'a' || *ext == 'f';

		put8(p, ext[1] ? ext_number(ext[1]) : proto_of(d));
		put8(p, is_frag ? 0 : d->ext_words);
		put16(p, *ext == 'f' ? 0x0001 : 0);
		put32(p, 0);
		for (unsigned i = 0; !is_frag && i < d->ext_words * 8u; i++)
			put8(p, 0);
	}
}

static void put_tcp(struct packet *p, const struct desc *d)
{
	put16(p, d->zero_sport ? 0 : d->sport ? d->sport : 4000);
	put16(p, d->zero_dport ? 0 : d->dport ? d->dport : 80);
	put32(p, 0x01020304);
	put32(p, 0x05060708);
	put8(p, (5u + d->tcp_opt) << 4);
	put8(p, d->no_flags ? 0 : d->flags ? d->flags : 0x10);
	put16(p, 512);
	put16(p, 0); /* checksum: later */
	put16(p, 0);
	for (unsigned i = 0; i < d->tcp_opt * 4u; i++)
		put8(p, 1); /* NOP */
}

static void put_icmp(struct packet *p, const struct desc *d)
{
	put8(p, d->icmp_type);
	put8(p, 0);
	put16(p, 0); /* checksum: later */
	put32(p, 0);
	p->quote = p->len;
	if (d->nd_target)
		put_addr(p, true, d->nd_target);
	if (d->quote) {
		struct packet q;
		uint32_t n;

		packet_make(&q, d->quote);
		n = q.l4 - q.l3 + 8;
		put_bytes(p, q.b + q.l3, n < q.len - q.l3 ? n : q.len - q.l3);
	}
}

/* Where the L4 checksum stands, from l4 on; -1: there is none that we make. */
static int csum_at(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return -1;
	}
}

static void set_l4_csum(struct packet *p, const struct desc *d)
{
	uint8_t proto = proto_of(d);
	uint32_t l4_len = p->len - p->l4, sum = 0;
	int at = csum_at(proto);

	if (at < 0 || l4_len < (uint32_t)at + 2)
		return;
	if (proto != IPPROTO_ICMP) {
		sum = sum_words(p->b + p->l3 + (d->v6 ? 8 : 12), d->v6 ? 32 : 8, proto);
		sum = sum_words((uint8_t[]){ (uint8_t)(l4_len >> 8), (uint8_t)l4_len }, 2, sum);
	}
	if (d->csum == CSUM_LEFT_PARTIAL) {
		set16(p, p->l4 + (uint32_t)at, sum);
		return;
	}
	set16(p, p->l4 + (uint32_t)at, 0);
	sum = sum_words(p->b + p->l4, l4_len, sum);
	set16(p, p->l4 + (uint32_t)at, (~sum & 0xffff) ^ (d->csum == CSUM_WRONG ? 0x0101 : 0));
}

void packet_make(struct packet *p, const struct desc *d)
{
	uint8_t proto = proto_of(d);
	uint32_t ip_len;

	p->len = 0;
	put_eth(p, d);
	p->l3 = p->len;
	if (d->v6)
		put_ipv6(p, d);
	else
		put_ipv4(p, d);
	p->l4 = p->quote = p->len;
	if (proto == IPPROTO_TCP)
		put_tcp(p, d);
	else if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		put_icmp(p, d);
	else if (proto == IPPROTO_UDP)
		put_bytes(p, "\x0f\xa0\x00\x35\x00\x08\x00\x00", 8);
	p->pay = p->len;
	for (uint32_t i = 0; i < d->payload; i++)
		put8(p, (i * 7 + (i >> 8) * 13 + 1) & 0xff);

	ip_len = p->len - p->l3;
	set16(p, p->l3 + (d->v6 ? 4 : 2), d->v6 ? ip_len - 40 : ip_len);
	apply(p, d->before, 3);
	if (!d->v6)
		set16(p, p->l3 + 10, ~sum_words(p->b + p->l3, 20u + d->ip_opt * 4u, 0) & 0xffff);
	set_l4_csum(p, d);
	apply(p, d->after, 3);

	for (uint32_t i = 0; i < d->pad; i++)
		put8(p, 0xa5);
	if (d->cut)
		p->len = d->cut;
}

void packet_make_arp(struct packet *p, const struct arp_desc *d)
{
	p->len = 0;
	put_eth(p, &(struct desc){ .ethertype = ETHERTYPE_ARP });
	p->l3 = p->l4 = p->pay = p->quote = p->len;
	put16(p, 1);
	put16(p, ETHERTYPE_IP);
	put8(p, 6);
	put8(p, 4);
	put16(p, d->op ? d->op : 1);
	put_bytes(p, p->b + 6, 6);
	put_addr(p, false, d->spa);
	put_bytes(p, "\0\0\0\0\0\0", 6);
	put_addr(p, false, d->tpa);
	apply(p, &d->patch, 1);
	if (d->cut)
		p->len = d->cut;
}
