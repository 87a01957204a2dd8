// SPDX-License-Identifier: BSD-2-Clause
/*
 * addr.c - addresses as text, prefixes, and which address may be a peer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/addr.h"

/* Decimal digits and nothing else, at most max. 0 or -EINVAL. */
static int parse_number(const char *text, unsigned max, unsigned *out)
{
	unsigned n = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		n = n * 10 + (unsigned)(*text - '0');
		if (n > max)
			return -EINVAL;
	}
	*out = n;
	return 0;
}

int mr_addr_parse(const char *text, struct mr_addr *addr)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		*addr = mr_addr_v4(v4.s_addr);
	else if (inet_pton(AF_INET6, text, &v6) == 1)
		memcpy(addr->b, &v6, sizeof(addr->b));
	else
		return -EINVAL;
	return 0;
}

int mr_addr_parse_zone(const char *text, const char *ifname, struct mr_addr *addr)
{
	const char *zone = strchr(text, '%');
	size_t len = zone ? (size_t)(zone - text) : strlen(text);
	char host[MR_ADDR_STRLEN];
	struct mr_addr a;

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (mr_addr_parse(host, &a) < 0 || (zone && !mr_addr_is_link_local(&a)))
		return -EINVAL;
	if (zone && (!ifname || strcmp(zone + 1, ifname) != 0))
		return -ENODEV;
	*addr = a;
	return 0;
}

int mr_endpoint_parse_zone(const char *text, const char *ifname, struct mr_endpoint *ep)
{
	const char *colon = strrchr(text, ':');
	bool bracket = text[0] == '[';
	char host[MR_ADDR_STRLEN + MR_ZONE_STRLEN];
	struct mr_addr addr;
	unsigned port;
	size_t len;
	int err;

	if (!colon || parse_number(colon + 1, UINT16_MAX, &port) < 0)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (bracket) {
		if (len < 2 || text[len - 1] != ']')
			return -EINVAL;
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	/* Without brackets an IPv6 address and its port cannot be told apart. */
	if (bracket != !!strchr(host, ':'))
		return -EINVAL;
	err = mr_addr_parse_zone(host, ifname, &addr);
	if (err)
		return err;
	*ep = (struct mr_endpoint){ .addr = addr, .port = (uint16_t)port };
	return 0;
}

int mr_endpoint_parse(const char *text, struct mr_endpoint *ep)
{
	return mr_endpoint_parse_zone(text, NULL, ep) ? -EINVAL : 0;
}

char *mr_addr_format(const struct mr_addr *addr, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	if (mr_addr_is_v4(addr))
		inet_ntop(AF_INET, &addr->w[3], text, sizeof(text));
	else
		inet_ntop(AF_INET6, addr->b, text, sizeof(text));
	snprintf(buf, size, "%s", text);
	return buf;
}

char *mr_endpoint_format_zone(const struct mr_endpoint *ep, const char *ifname, char *buf,
			      size_t size)
{
	bool zone = ifname && mr_addr_is_link_local(&ep->addr);
	char host[MR_ADDR_STRLEN];

	mr_addr_format(&ep->addr, host, sizeof(host));
	if (mr_addr_is_v4(&ep->addr))
		snprintf(buf, size, "%s:%u", host, ep->port);
	else
		snprintf(buf, size, "[%s%s%s]:%u", host, zone ? "%" : "", zone ? ifname : "",
			 ep->port);
	return buf;
}

char *mr_endpoint_format(const struct mr_endpoint *ep, char *buf, size_t size)
{
	return mr_endpoint_format_zone(ep, NULL, buf, size);
}

int mr_prefix_parse(const char *text, struct mr_prefix *prefix)
{
	const char *slash = strchr(text, '/');
	char host[MR_ADDR_STRLEN];
	struct mr_addr addr;
	unsigned len;

	if (!slash || (size_t)(slash - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	if (mr_addr_parse(host, &addr) < 0 ||
	    parse_number(slash + 1, mr_addr_is_v4(&addr) ? 32 : 128, &len) < 0)
		return -EINVAL;
	*prefix = (struct mr_prefix){ .addr = addr, .len = (uint8_t)len };
	return 0;
}

bool mr_addr_in_prefix(const struct mr_addr *a, const struct mr_prefix *prefix)
{
	bool v4 = mr_addr_is_v4(&prefix->addr);
	unsigned bits = prefix->len + (v4 ? 96u : 0u);
	unsigned whole = bits / 8, rest = bits % 8;

	/* ::/0 holds all of IPv6, not the mapped form in which IPv4 is kept here. */
	if (mr_addr_is_v4(a) != v4)
		return false;
	return !memcmp(a->b, prefix->addr.b, whole) &&
	       (!rest || (a->b[whole] ^ prefix->addr.b[whole]) >> (8 - rest) == 0);
}

bool mr_addr_is_unicast(const struct mr_addr *a)
{
	static const uint8_t loopback6[16] = { [15] = 1 };

	if (mr_addr_is_any(a))
		return false;
	if (mr_addr_is_v4(a)) {
		uint8_t net = a->b[12];

		/* 0/8 "this network", 127/8, 224/4; 240/4 is reserved but for the limited
		 * broadcast, and as a host address Linux takes it. */
		return net != 0 && net != 127 && (net & 0xf0) != 0xe0 && a->w[3] != 0xffffffffu;
	}
	return a->b[0] != 0xff && memcmp(a->b, loopback6, sizeof(loopback6)) != 0;
}

struct mr_addr mr_addr_all_nodes(void)
{
	return (struct mr_addr){ .b = { 0xff, 0x02, [15] = 0x01 } };
}

struct mr_addr mr_addr_solicited_node(const struct mr_addr *a)
{
	return (struct mr_addr){ .b = { 0xff, 0x02, [11] = 0x01, 0xff, a->b[13], a->b[14],
					a->b[15] } };
}

struct mr_addr mr_addr_link_local(const uint8_t mac[6])
{
	return (struct mr_addr){ .b = { 0xfe, 0x80, [8] = mac[0] ^ 0x02, mac[1], mac[2], 0xff, 0xfe,
					mac[3], mac[4], mac[5] } };
}

unsigned mr_addr_common_bits(const struct mr_addr *a, const struct mr_addr *b)
{
	unsigned n = 0;

	while (n < 128 && !((a->b[n / 8] ^ b->b[n / 8]) & 0x80 >> n % 8))
		n++;
	return n;
}

struct mr_addr mr_prefix_network(const struct mr_prefix *p)
{
	unsigned bits = p->len + 128 - mr_prefix_bits(p);
	struct mr_addr a = p->addr;

	for (unsigned n = bits; n < 128; n++)
		a.b[n / 8] &= (uint8_t) ~(0x80 >> n % 8);
	return a;
}

bool mr_prefix_is_host(const struct mr_prefix *p)
{
	struct mr_addr network = mr_prefix_network(p);
	unsigned bits = mr_prefix_bits(p);

	if (p->len > bits || !mr_addr_is_unicast(&p->addr))
		return false;
	if (p->len >= bits - 1)
		return true;
	if (mr_addr_eq(&p->addr, &network))
		return false;
	/* All ones behind the prefix is the broadcast address; IPv6 has none. */
	return bits != 32 ||
	       (ntohl(p->addr.w[3]) | ~(uint32_t)((1ull << (32 - p->len)) - 1)) != UINT32_MAX;
}
