// SPDX-License-Identifier: BSD-2-Clause
/*
 * garbage.c - send frames that no honest host sends, from a seed, as fast as AF_PACKET takes them.
 *
 *	garbage IF COUNT SEED DST_MAC DST_IP DST_PORT
 *
 * Kinds       random bytes; ARP, IPv4 with TCP, UDP and ICMP (echo, and errors that quote a TCP
 *             header), fragments and IPv6, each made valid and then changed in some field; any of
 *             these behind VLAN tags, cut short or with bytes behind the end.
 * Checksums   In half of the frames they are made right again after the change, so that the change
 *             gets past the checksum and meets the code behind it.
 * Sources     Addresses of the /24 of DST_IP, its host part from 128 on: never one that a test uses,
 *             so that forged ARP takes no honest host's traffic away.
 * Prints      the number of frames that the interface took and that it refused.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/compiler.h"
#include "base/csum.h"
#include "base/rng.h"

#define FRAME_MAX 1514 /* with the Ethernet header, at MTU 1500 */
#define BATCH	  64

struct target {
	struct ether_addr mac, own_mac;
	uint32_t ip; /* host byte order */
	uint16_t port;
};

struct frame {
	size_t len;
	size_t l3, l4;		  /* offsets for mending checksums; 0: there is none */
	uint8_t align[2];	  /* so that what follows the Ethernet header is aligned */
	uint8_t b[FRAME_MAX + 8]; /* and two VLAN tags */
};

static struct mr_rng rng;
static struct target target;

static uint32_t below(uint32_t bound)
{
	return mr_rng_below(&rng, bound);
}

static bool one_in(uint32_t n)
{
	return below(n) == 0;
}

static void random_bytes(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)mr_rng_u64(&rng);
}

static uint32_t source_ip(void)
{
	return htonl((target.ip & ~0xffu) | 128 | below(127));
}

/* ---- Valid packets --------------------------------------------------------------------------- */

static void *append(struct frame *f, size_t len)
{
	void *p = f->b + f->len;

	memset(p, 0, len);
	f->len += len;
	return p;
}

static void append_random(struct frame *f, size_t len)
{
	random_bytes(append(f, len), len);
}

/* At most what leaves room for the longest headers of all. */
static void append_payload(struct frame *f)
{
	static const uint32_t limits[] = { 1, 64, 600, 1300 };

	append_random(f, below(limits[below(MR_ARRAY_SIZE(limits))]));
}

static void eth(struct frame *f, uint16_t type)
{
	struct ether_header *h = append(f, sizeof(*h));

	memcpy(h->ether_dhost, &target.mac, ETH_ALEN);
	memcpy(h->ether_shost, &target.own_mac, ETH_ALEN);
	h->ether_type = htons(type);
}

static void ip4(struct frame *f, uint8_t proto)
{
	struct iphdr *h;
	size_t options = one_in(8) ? 4 * below(11) : 0;

	eth(f, ETHERTYPE_IP);
	f->l3 = f->len;
	h = append(f, sizeof(*h));
	h->version = 4;
	h->ihl = (sizeof(*h) + options) / 4 & 0xfu;
	h->ttl = 64;
	h->id = (uint16_t)mr_rng_u64(&rng);
	h->frag_off = htons(IP_DF);
	h->protocol = proto;
	h->saddr = source_ip();
	h->daddr = htonl(target.ip);
	append_random(f, options);
	f->l4 = f->len;
}

static void ip4_end(struct frame *f)
{
	struct iphdr *h = (struct iphdr *)(void *)(f->b + f->l3);

	h->tot_len = htons((uint16_t)(f->len - f->l3));
}

static void tcp_header(struct frame *f)
{
	static const uint8_t flags[] = {
		TH_SYN, TH_SYN,		 TH_ACK,	  TH_ACK | TH_PUSH,
		TH_RST, TH_RST | TH_ACK, TH_FIN | TH_ACK, TH_SYN | TH_ACK
	};
	struct tcphdr *h;
	size_t options = 4 * below(one_in(2) ? 11 : 1);

	h = append(f, sizeof(*h));
	h->source = (uint16_t)mr_rng_u64(&rng);
	h->dest = htons(one_in(8) ? (uint16_t)mr_rng_u64(&rng) : target.port);
	h->seq = (uint32_t)mr_rng_u64(&rng);
	h->th_flags = flags[below(MR_ARRAY_SIZE(flags))];
	h->ack_seq = h->th_flags & TH_ACK ? (uint32_t)mr_rng_u64(&rng) : 0;
	h->doff = (sizeof(*h) + options) / 4 & 0xfu;
	h->window = (uint16_t)mr_rng_u64(&rng);
	append_random(f, options);
}

static void make_random(struct frame *f)
{
	append_random(f, ETH_HLEN + below(FRAME_MAX - ETH_HLEN + 1));
	if (one_in(2))
		memcpy(f->b, &target.mac, ETH_ALEN);
}

static void make_arp(struct frame *f)
{
	struct {
		struct ether_arp arp;
		uint8_t padding[18];
	} * h;
	uint32_t ip = htonl(target.ip), from = source_ip();

	eth(f, ETHERTYPE_ARP);
	h = append(f, sizeof(*h));
	h->arp.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
	h->arp.ea_hdr.ar_pro = htons(ETHERTYPE_IP);
	h->arp.ea_hdr.ar_hln = ETH_ALEN;
	h->arp.ea_hdr.ar_pln = sizeof(ip);
	h->arp.ea_hdr.ar_op = htons(one_in(2) ? ARPOP_REQUEST : ARPOP_REPLY);
	memcpy(h->arp.arp_sha, &target.own_mac, ETH_ALEN);
	memcpy(h->arp.arp_spa, &from, sizeof(from));
	memcpy(h->arp.arp_tpa, &ip, sizeof(ip));
}

static void make_tcp(struct frame *f)
{
	ip4(f, IPPROTO_TCP);
	tcp_header(f);
	append_payload(f);
	ip4_end(f);
}

static void make_udp(struct frame *f)
{
	struct udphdr *h;

	ip4(f, IPPROTO_UDP);
	h = append(f, sizeof(*h));
	h->source = (uint16_t)mr_rng_u64(&rng);
	h->dest = htons(target.port);
	append_payload(f);
	h->len = htons((uint16_t)(f->len - f->l4));
	ip4_end(f);
}

static void make_echo(struct frame *f)
{
	struct icmphdr *h;

	ip4(f, IPPROTO_ICMP);
	h = append(f, sizeof(*h));
	h->type = one_in(2) ? ICMP_ECHO : ICMP_ECHOREPLY;
	append_payload(f);
	ip4_end(f);
}

/* An ICMP error: it quotes an IP header and some bytes of TCP, as if the target had sent them. */
static void make_icmp_error(struct frame *f)
{
	static const uint8_t types[] = { ICMP_DEST_UNREACH, ICMP_SOURCE_QUENCH, ICMP_REDIRECT,
					 ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB };
	struct icmphdr *h;
	struct iphdr *quoted;

	ip4(f, IPPROTO_ICMP);
	h = append(f, sizeof(*h));
	h->type = types[below(MR_ARRAY_SIZE(types))];
	h->code = (uint8_t)below(16);
	h->un.frag.mtu = (uint16_t)mr_rng_u64(&rng);
	quoted = append(f, sizeof(*quoted));
	quoted->version = 4;
	quoted->ihl = 5;
	quoted->protocol = IPPROTO_TCP;
	quoted->tot_len = (uint16_t)mr_rng_u64(&rng);
	quoted->saddr = htonl(target.ip);
	quoted->daddr = source_ip();
	tcp_header(f);
	if (one_in(2))
		f->len = (size_t)((uint8_t *)(quoted + 1) - f->b) + 8;
	ip4_end(f);
}

static void make_fragment(struct frame *f)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP };
	struct iphdr *h;

	ip4(f, protos[below(MR_ARRAY_SIZE(protos))]);
	append_payload(f);
	ip4_end(f);
	h = (struct iphdr *)(void *)(f->b + f->l3);
	h->frag_off = htons((uint16_t)(below(0x2000) | (one_in(2) ? IP_MF : 0)));
	f->l4 = 0;
}

static void make_other_ip(struct frame *f)
{
	ip4(f, (uint8_t)mr_rng_u64(&rng));
	append_payload(f);
	ip4_end(f);
	f->l4 = 0;
}

static void make_ip6(struct frame *f)
{
	static const uint8_t chain[] = { IPPROTO_HOPOPTS,  IPPROTO_DSTOPTS, IPPROTO_ROUTING,
					 IPPROTO_FRAGMENT, IPPROTO_NONE,    IPPROTO_ICMPV6 };
	struct ip6_hdr *h;
	uint8_t *next;

	eth(f, ETHERTYPE_IPV6);
	f->l3 = f->len;
	h = append(f, sizeof(*h));
	h->ip6_vfc = 6 << 4;
	h->ip6_hlim = 64;
	random_bytes(h->ip6_src.s6_addr, sizeof(h->ip6_src));
	random_bytes(h->ip6_dst.s6_addr, sizeof(h->ip6_dst));
	next = &h->ip6_nxt;
	for (uint32_t n = below(5); n > 0; n--) {
		struct ip6_ext *ext = append(f, 8);

		*next = chain[below(MR_ARRAY_SIZE(chain))];
		ext->ip6e_len = (uint8_t)below(3);
		next = &ext->ip6e_nxt;
	}
	*next = IPPROTO_TCP;
	tcp_header(f);
	append_payload(f);
	h->ip6_plen = htons((uint16_t)(f->len - f->l3 - sizeof(*h)));
}

/* ---- What is done to them -------------------------------------------------------------------- */

/* One bit, one byte, or two bytes of the headers; extremes are likelier than chance makes them. */
static void change(struct frame *f)
{
	static const uint8_t extremes[] = { 0x00, 0xff, 0x01, 0x80, 0x7f, 0xfe, 0x0f, 0xf0 };
	size_t headers = mr_min(f->len, (size_t)114);
	size_t at = below(8) ? ETH_HLEN + below((uint32_t)(headers - ETH_HLEN + 1)) :
			       below((uint32_t)headers);

	if (at + 2 > f->len)
		return;
	switch (below(4)) {
	case 0:
		f->b[at] ^= (uint8_t)(1 << below(8));
		break;
	case 1:
		f->b[at] = (uint8_t)mr_rng_u64(&rng);
		break;
	case 2:
		f->b[at] = extremes[below(MR_ARRAY_SIZE(extremes))];
		break;
	default:
		random_bytes(f->b + at, 2);
		break;
	}
}

static void put_csum(uint8_t *field, uint32_t sum)
{
	uint16_t folded = (uint16_t)~mr_csum_fold(sum);

	memcpy(field, &folded, sizeof(folded));
}

/* Checksums over what the frame really holds; a length field that was changed stays wrong. */
static void mend_checksums(struct frame *f)
{
	static const uint8_t offsets[256] = {
		[IPPROTO_TCP] = 16, [IPPROTO_UDP] = 6, [IPPROTO_ICMP] = 2
	};
	struct iphdr *h = (struct iphdr *)(void *)(f->b + f->l3);
	size_t header_len, l4_len, offset;
	uint32_t sum = 0;

	if (!f->l3 || h->version != 4 || f->l3 + sizeof(*h) > f->len)
		return;
	header_len = mr_min((size_t)h->ihl * 4, f->len - f->l3);
	h->check = 0;
	put_csum((uint8_t *)&h->check, mr_csum(h, header_len));
	if (!f->l4)
		return;
	l4_len = f->len - f->l4;
	offset = offsets[h->protocol];
	if (!offset || l4_len < offset + 2)
		return;
	memset(f->b + f->l4 + offset, 0, 2);
	if (h->protocol != IPPROTO_ICMP) {
		sum = mr_csum(&h->saddr, 8);
		sum = mr_csum_add(sum, htons(h->protocol));
		sum = mr_csum_add(sum, htons((uint16_t)l4_len));
	}
	put_csum(f->b + f->l4 + offset, mr_csum_add(sum, mr_csum(f->b + f->l4, l4_len)));
}

static void tag(struct frame *f)
{
	static const uint16_t tpids[] = { 0x8100, 0x88a8, 0x9100 };
	uint16_t words[2] = { htons(tpids[below(MR_ARRAY_SIZE(tpids))]),
			      (uint16_t)mr_rng_u64(&rng) };

	memmove(f->b + 16, f->b + 12, f->len - 12);
	memcpy(f->b + 12, words, sizeof(words));
	f->len += 4;
}

/* A change may have made the sender of an ARP packet one of the hosts that the test needs, and a
 * forged neighbour is no garbage: ARP has to believe it. */
static void claim_no_host(struct frame *f)
{
	const uint16_t type = htons(ETHERTYPE_ARP);
	const uint32_t net = htonl(target.ip);
	uint8_t *spa = f->b + ETH_HLEN + offsetof(struct ether_arp, arp_spa);

	if (memcmp(f->b + 2 * ETH_ALEN, &type, 2) == 0 && memcmp(spa, &net, 3) == 0)
		spa[3] |= 128;
}

static void make(struct frame *f)
{
	static void (*const makers[])(struct frame *) = {
		make_random, make_arp,	      make_tcp,	     make_tcp,	    make_tcp, make_udp,
		make_echo,   make_icmp_error, make_fragment, make_other_ip, make_ip6,
	};

	f->len = f->l3 = f->l4 = 0;
	makers[below(MR_ARRAY_SIZE(makers))](f);
	for (uint32_t n = below(3); n > 0; n--)
		change(f);
	claim_no_host(f);
	if (one_in(2))
		mend_checksums(f);
	if (one_in(10))
		f->len = ETH_HLEN + below((uint32_t)(f->len - ETH_HLEN + 1));
	else if (one_in(10))
		append_random(f, mr_min((size_t)below(46), FRAME_MAX - f->len));
	for (uint32_t n = one_in(8) ? below(3) : 0; n > 0 && f->len <= FRAME_MAX - 4; n--)
		tag(f);
}

/* ---- Sending --------------------------------------------------------------------------------- */

struct sent {
	uint64_t taken, refused;
};

static void send_batch(int fd, struct mmsghdr *msgs, unsigned n, struct sent *sent)
{
	unsigned at = 0;

	while (at < n) {
		int got = sendmmsg(fd, msgs + at, n - at, 0);

		if (got > 0) {
			sent->taken += (unsigned)got;
			at += (unsigned)got;
			continue;
		}
		if (errno == ENETDOWN || errno == ENODEV || errno == ENXIO)
			err(1, "the interface is gone or down");
		sent->refused++;
		at++;
	}
}

static int open_interface(const char *name)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	socklen_t len = sizeof(ll);
	int fd = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: receives nothing */

	if (fd < 0)
		err(1, "AF_PACKET socket");
	ll.sll_ifindex = (int)if_nametoindex(name);
	if (!ll.sll_ifindex || bind(fd, (struct sockaddr *)&ll, sizeof(ll)))
		err(1, "%s", name);
	if (getsockname(fd, (struct sockaddr *)&ll, &len))
		err(1, "%s", name);
	memcpy(&target.own_mac, ll.sll_addr, ETH_ALEN);
	return fd;
}

int main(int argc, char **argv)
{
	static struct frame frames[BATCH];
	struct mmsghdr msgs[BATCH] = { 0 };
	struct iovec iov[BATCH];
	struct sent sent = { 0 };
	struct in_addr ip;
	uint64_t count;
	int fd;

	if (argc != 7)
		errx(2, "usage: garbage IF COUNT SEED DST_MAC DST_IP DST_PORT");
	count = strtoull(argv[2], NULL, 0);
	mr_rng_init(&rng, strtoull(argv[3], NULL, 0));
	if (!ether_aton_r(argv[4], &target.mac) || !inet_aton(argv[5], &ip))
		errx(2, "%s or %s is no address", argv[4], argv[5]);
	target.ip = ntohl(ip.s_addr);
	target.port = (uint16_t)strtoul(argv[6], NULL, 0);
	fd = open_interface(argv[1]);

	for (unsigned i = 0; i < BATCH; i++)
		msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	while (count > 0) {
		unsigned n = (unsigned)mr_min(count, (uint64_t)BATCH);

		for (unsigned i = 0; i < n; i++) {
			make(&frames[i]);
			iov[i] = (struct iovec){ frames[i].b, frames[i].len };
		}
		send_batch(fd, msgs, n, &sent);
		count -= n;
	}
	printf("%llu taken, %llu refused\n", (unsigned long long)sent.taken,
	       (unsigned long long)sent.refused);
	return 0;
}
