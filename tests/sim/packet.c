// SPDX-License-Identifier: BSD-2-Clause
/*
 * packet.c - the tests' own reading of a packet.
 * Implements  RFC 791 and RFC 8200 (headers, no extension headers: the stack sends none), RFC 9293 section 3.1, RFC 7323 sections 2.2 and 3.2, RFC 1071, as
 *             plainly as can be: nothing here is shared with the stack.
 */
#include <stdio.h>
#include <string.h>
#include "packet.h"
#include "tcp/tcp_wire.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP  0x0806
#define ETHERTYPE_IPV6 0x86dd
#define PROTO_ICMP     1
#define PROTO_ICMPV6   58
#define PROTO_FRAGMENT 44
#define PROTO_HOPOPTS  0
#define IPV6_HLEN      40u
#define ICMP_HLEN      8u
#define PROTO_TCP      6
#define TCP_HLEN       20u

uint16_t pkt_sum(uint32_t start, const uint8_t *p, size_t len)
{
	uint64_t sum = start;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += pkt_get16(p + i);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static bool is_type(const uint8_t *pkt, uint32_t len, uint16_t type)
{
	return len >= PKT_ETH_HLEN && pkt_get16(pkt + 12) == type;
}

bool pkt_is_arp(const uint8_t *pkt, uint32_t len)
{
	return is_type(pkt, len, ETHERTYPE_ARP);
}

bool pkt_arp_reply(uint8_t reply[PKT_ARP_REPLY_LEN], const uint8_t *req, uint32_t len, uint32_t ip,
		   const uint8_t mac[6])
{
	/* Only a question (operation 1) for that address. */
	if (len < 42 || !pkt_is_arp(req, len) || pkt_get16(req + 20) != 1 ||
	    pkt_get32(req + 38) != ip)
		return false;
	memset(reply, 0, PKT_ARP_REPLY_LEN);
	memcpy(reply, req + 6, 6);
	memcpy(reply + 6, mac, 6);
	memcpy(reply + 12, req + 12, 8);
	pkt_put16(reply + 20, 2);
	memcpy(reply + 22, mac, 6);
	pkt_put32(reply + 28, ip);
	memcpy(reply + 32, req + 22, 10);
	return true;
}

/* The L4 part of a sound IPv4 packet; false: something is wrong with its header. */
static bool ipv4_l4(const uint8_t *pkt, uint32_t len, const uint8_t **l4, uint32_t *l4_len)
{
	const uint8_t *ip = pkt + PKT_ETH_HLEN;
	uint32_t hlen, total;

	if (len < PKT_ETH_HLEN + PKT_IP_HLEN || ip[0] >> 4 != 4)
		return false;
	hlen = (ip[0] & 15u) * 4;
	total = pkt_get16(ip + 2);
	if (hlen < PKT_IP_HLEN || total < hlen || total > len - PKT_ETH_HLEN)
		return false;
	if (pkt_sum(0, ip, hlen) != 0xffff)
		return false;
	*l4 = ip + hlen;
	*l4_len = total - hlen;
	return true;
}

/* The same of IPv6. Its header has no checksum; what it says must at least be possible. */
static bool ipv6_l4(const uint8_t *pkt, uint32_t len, const uint8_t **l4, uint32_t *l4_len)
{
	const uint8_t *ip = pkt + PKT_ETH_HLEN;

	if (len < PKT_ETH_HLEN + IPV6_HLEN || ip[0] >> 4 != 6)
		return false;
	*l4 = ip + IPV6_HLEN;
	*l4_len = pkt_get16(ip + 4);
	return *l4_len <= len - PKT_ETH_HLEN - IPV6_HLEN;
}

/* A report of groups has a router alert in front (RFC 3810 section 5). */
static bool report_checksum_ok(const uint8_t *ip, const uint8_t *l4, uint32_t l4_len)
{
	return l4_len > 8 && l4[0] == PROTO_ICMPV6 && !l4[1] &&
	       pkt_sum(pkt_sum(PROTO_ICMPV6 + l4_len - 8, ip + 8, 32), l4 + 8, l4_len - 8) ==
		       0xffff;
}

/* TCP or ICMPv6 and nothing else: the pseudo-header guards the addresses, the length, the protocol. A
 * fragment alone has no checksum. */
static bool ipv6_checksum_ok(const uint8_t *pkt, uint32_t len)
{
	const uint8_t *ip = pkt + PKT_ETH_HLEN, *l4;
	uint32_t l4_len;

	if (ipv6_l4(pkt, len, &l4, &l4_len) && ip[6] == PROTO_FRAGMENT)
		return l4_len > 8;
	if (ipv6_l4(pkt, len, &l4, &l4_len) && ip[6] == PROTO_HOPOPTS)
		return report_checksum_ok(ip, l4, l4_len);
	return ipv6_l4(pkt, len, &l4, &l4_len) && (ip[6] == PROTO_TCP || ip[6] == PROTO_ICMPV6) &&
	       pkt_sum(pkt_sum(ip[6] + l4_len, ip + 8, 32), l4, l4_len) == 0xffff;
}

bool pkt_checksums_ok(const uint8_t *pkt, uint32_t len)
{
	const uint8_t *ip = pkt + PKT_ETH_HLEN, *l4;
	uint32_t l4_len;

	if (is_type(pkt, len, ETHERTYPE_IPV6))
		return ipv6_checksum_ok(pkt, len);
	if (!is_type(pkt, len, ETHERTYPE_IPV4))
		return true;
	if (!ipv4_l4(pkt, len, &l4, &l4_len))
		return false;
	if (pkt_get16(ip + 6) & 0x3fff) /* more fragments, or an offset */
		return true;
	if (ip[9] == PROTO_ICMP)
		return pkt_sum(0, l4, l4_len) == 0xffff;
	if (ip[9] == PROTO_TCP)
		return pkt_sum(pkt_sum(PROTO_TCP + l4_len, ip + 12, 8), l4, l4_len) == 0xffff;
	return true;
}

bool pkt_set_ce(uint8_t *pkt, uint32_t len)
{
	uint8_t *ip = pkt + PKT_ETH_HLEN;

	if (is_type(pkt, len, ETHERTYPE_IPV6) && len >= PKT_ETH_HLEN + IPV6_HLEN) {
		if (!(ip[1] & 0x30)) /* the traffic class begins in the first byte's lower half */
			return false;
		ip[1] |= 0x30;
		return true;
	}
	if (!is_type(pkt, len, ETHERTYPE_IPV4) || len < PKT_ETH_HLEN + PKT_IP_HLEN || !(ip[1] & 3))
		return false;
	ip[1] |= 3;
	pkt_put16(ip + 10, 0);
	pkt_put16(ip + 10, (uint16_t)~pkt_sum(0, ip, (size_t)(ip[0] & 15) * 4));
	return true;
}

static bool parse_options(const uint8_t *o, uint32_t len, struct pkt_tcp *t)
{
	while (len) {
		if (o[0] == 0)
			return true;
		if (o[0] == 1) {
			o++;
			len--;
			continue;
		}
		if (len < 2 || o[1] < 2 || o[1] > len)
			return false;
		if (o[0] == 2 && o[1] == 4)
			t->mss = pkt_get16(o + 2);
		if (o[0] == 3 && o[1] == 3) {
			t->has_wscale = true;
			t->wscale = o[2];
		}
		if (o[0] == 8 && o[1] == 10) {
			t->has_ts = true;
			t->tsval = pkt_get32(o + 2);
			t->tsecr = pkt_get32(o + 6);
		}
		if (o[0] == 4 && o[1] == 2)
			t->sack_perm = true;
		for (uint8_t i = 2; o[0] == 5 && i + 8 <= o[1] && t->nsack < 4;
		     i += 8, t->nsack++) {
			t->sack[t->nsack][0] = pkt_get32(o + i);
			t->sack[t->nsack][1] = pkt_get32(o + i + 4);
		}
		if (o[0] == 34 && o[1] <= 18) {
			t->has_tfo = true;
			t->ntfo = (uint8_t)(o[1] - 2);
			memcpy(t->tfo, o + 2, t->ntfo);
		}
		if (o[0] == 172 || o[0] == 174) {
			t->accecn_kind = o[0];
			for (uint8_t i = 2; i + 3 <= o[1] && t->naccecn < 3; i += 3)
				t->accecn[t->naccecn++] =
					(uint32_t)o[i] << 16 | pkt_get16(o + i + 1);
		}
		len -= o[1];
		o += o[1];
	}
	return true;
}

bool pkt_tcp_parse(const uint8_t *pkt, uint32_t len, struct pkt_tcp *t)
{
	const uint8_t *ip = pkt + PKT_ETH_HLEN, *l4;
	uint32_t l4_len, hlen;

	memset(t, 0, sizeof(*t));
	if (is_type(pkt, len, ETHERTYPE_IPV6)) {
		if (!ipv6_l4(pkt, len, &l4, &l4_len) || ip[6] != PROTO_TCP)
			return false;
		t->saddr = pkt_get32(ip + 20);
		t->daddr = pkt_get32(ip + 36);
		t->tos = (uint8_t)(pkt_get16(ip) >> 4);
		t->ttl = ip[7];
	} else {
		if (!is_type(pkt, len, ETHERTYPE_IPV4) || !ipv4_l4(pkt, len, &l4, &l4_len) ||
		    ip[9] != PROTO_TCP)
			return false;
		t->saddr = pkt_get32(ip + 12);
		t->daddr = pkt_get32(ip + 16);
		t->tos = ip[1];
		t->ttl = ip[8];
		t->df = ip[6] & 0x40;
	}
	if (l4_len < TCP_HLEN || !pkt_checksums_ok(pkt, len))
		return false;
	hlen = (uint32_t)(l4[12] >> 4) * 4;
	if (hlen < TCP_HLEN || hlen > l4_len)
		return false;
	t->sport = pkt_get16(l4);
	t->dport = pkt_get16(l4 + 2);
	t->seq = pkt_get32(l4 + 4);
	t->ack = pkt_get32(l4 + 8);
	t->flags = l4[13];
	t->ae = l4[12] & 1;
	t->wnd = pkt_get16(l4 + 14);
	t->up = pkt_get16(l4 + 18);
	t->payload = l4 + hlen;
	t->len = l4_len - hlen;
	return parse_options(l4 + TCP_HLEN, hlen - TCP_HLEN, t);
}

uint32_t pkt_too_big(uint8_t error[PKT_TOO_BIG_LEN], const uint8_t *pkt, uint32_t mtu)
{
	const uint8_t *about = pkt + PKT_ETH_HLEN;
	bool v6 = about[0] >> 4 == 6;
	uint32_t ip_hlen = v6 ? IPV6_HLEN : PKT_IP_HLEN;
	uint32_t quoted = (v6 ? IPV6_HLEN : (about[0] & 15u) * 4) + 8, n = ICMP_HLEN + quoted;
	uint8_t *ip = error + PKT_ETH_HLEN, *icmp = ip + ip_hlen;

	memset(error, 0, PKT_TOO_BIG_LEN);
	memcpy(error, pkt + 6, 6);
	memcpy(error + 6, pkt, 6);
	memcpy(error + 12, pkt + 12, 2);
	memcpy(icmp + ICMP_HLEN, about, quoted);
	pkt_put32(icmp + 4, mtu);
	if (v6) {
		icmp[0] = 2;
		ip[0] = 0x60;
		pkt_put16(ip + 4, n);
		ip[6] = PROTO_ICMPV6;
		ip[7] = 64;
		memcpy(ip + 8, about + 24, 16); /* as if the peer were the router */
		memcpy(ip + 24, about + 8, 16);
		pkt_put16(icmp + 2,
			  (uint16_t)~pkt_sum(pkt_sum(PROTO_ICMPV6 + n, ip + 8, 32), icmp, n));
	} else {
		icmp[0] = 3;
		icmp[1] = 4;
		ip[0] = 0x45;
		pkt_put16(ip + 2, ip_hlen + n);
		ip[8] = 64;
		ip[9] = 1;
		memcpy(ip + 12, about + 16, 4);
		memcpy(ip + 16, about + 12, 4);
		pkt_put16(ip + 10, (uint16_t)~pkt_sum(0, ip, ip_hlen));
		pkt_put16(icmp + 2, (uint16_t)~pkt_sum(0, icmp, n));
	}
	return PKT_ETH_HLEN + ip_hlen + n;
}

static void format_flags(uint8_t flags, char out[9])
{
	static const struct {
		uint8_t bit;
		char name;
	} names[] = {
		{ MR_TCP_SYN, 'S' }, { MR_TCP_FIN, 'F' }, { MR_TCP_RST, 'R' }, { MR_TCP_PSH, 'P' },
		{ MR_TCP_URG, 'U' }, { MR_TCP_ACK, '.' }, { MR_TCP_ECE, 'E' }, { MR_TCP_CWR, 'W' },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (flags & names[i].bit)
			out[n++] = names[i].name;
	out[n] = 0;
}

char *pkt_format(const uint8_t *pkt, uint32_t len, char *buf, size_t size)
{
	struct pkt_tcp t;
	char flags[9], opts[160] = "";
	int n = 0;

	if (!pkt_tcp_parse(pkt, len, &t)) {
		snprintf(buf, size, "%s, %u bytes",
			 pkt_is_arp(pkt, len)	    ? "ARP" :
			 pkt_checksums_ok(pkt, len) ? "not TCP" :
						      "bad checksum",
			 len);
		return buf;
	}
	if (t.mss)
		n += snprintf(opts + n, sizeof(opts) - (size_t)n, " mss %u", t.mss);
	if (t.has_wscale)
		n += snprintf(opts + n, sizeof(opts) - (size_t)n, " wscale %u", t.wscale);
	for (uint8_t i = 0; i < t.nsack; i++)
		n += snprintf(opts + n, sizeof(opts) - (size_t)n, " sack %u:%u", t.sack[i][0],
			      t.sack[i][1]);
	if (t.has_ts)
		snprintf(opts + n, sizeof(opts) - (size_t)n, " ts %u:%u", t.tsval, t.tsecr);
	format_flags(t.flags, flags);
	snprintf(buf, size, "%u > %u %s seq %u len %u ack %u win %u%s", t.sport, t.dport, flags,
		 t.seq, t.len, t.ack, t.wnd, opts);
	return buf;
}
