// SPDX-License-Identifier: BSD-2-Clause
/*
 * gso.c - segmentation as the kernel does it (tcp_gso_segment() in net/ipv4/tcp_offload.c): FIN and PSH only on
 * the last segment, CWR only on the first, IPv4 IDs counted up, checksums of each.
 */
#include <assert.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"
#include "gso.h"

#define FIN 0x01u
#define PSH 0x08u
#define CWR 0x80u

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

struct cut {
	const uint8_t *pkt;
	uint32_t ip_hlen, hlen; /* of all headers, Ethernet's included */
	bool v6;
	struct mr_addr src, dst;
};

static struct cut parse(const uint8_t *pkt, uint32_t len)
{
	struct cut c = { .pkt = pkt };
	const uint8_t *ip = pkt + ETH_HLEN, *tcp;
	uint16_t partial;

	c.v6 = get16(pkt + 12) == ETH_P_IPV6;
	assert(c.v6 || get16(pkt + 12) == ETH_P_IP);
	c.ip_hlen = c.v6 ? 40 : (ip[0] & 0xfu) * 4;
	assert(ip[c.v6 ? 6 : 9] == IPPROTO_TCP);
	if (c.v6) {
		memcpy(c.src.b, ip + 8, 16);
		memcpy(c.dst.b, ip + 24, 16);
		assert(get16(ip + 4) == len - ETH_HLEN - 40u);
	} else {
		__be32 addr[2];

		memcpy(addr, ip + 12, 8);
		c.src = mr_addr_v4(addr[0]);
		c.dst = mr_addr_v4(addr[1]);
		assert(get16(ip + 2) == len - ETH_HLEN);
	}
	tcp = ip + c.ip_hlen;
	c.hlen = ETH_HLEN + c.ip_hlen + (uint32_t)(tcp[12] >> 4) * 4;
	assert(c.hlen < len);
	memcpy(&partial, tcp + 16, sizeof(partial));
	assert(partial == mr_csum_fold(mr_csum_pseudo(&c.src, &c.dst, IPPROTO_TCP,
						      len - ETH_HLEN - c.ip_hlen)));
	return c;
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static void write_csum(uint8_t *field, uint32_t sum)
{
	uint16_t csum = (uint16_t)~mr_csum_fold(sum);

	memcpy(field, &csum, sizeof(csum));
}

void sim_gso_cut(const uint8_t *pkt, uint32_t len, uint16_t size,
		 void (*send)(void *user, const uint8_t *pkt, uint32_t len), void *user)
{
	const struct cut c = parse(pkt, len);
	uint8_t out[UINT16_MAX + ETH_HLEN];
	uint32_t seq = get32(pkt + ETH_HLEN + c.ip_hlen + 4);

	assert(len > c.hlen);
	for (uint32_t off = 0, n = 0; c.hlen + off < len; off += size, n++) {
		uint32_t pay = mr_min((uint32_t)size, len - c.hlen - off);
		uint8_t *ip = out + ETH_HLEN, *tcp = ip + c.ip_hlen;
		uint32_t l4_len = c.hlen - ETH_HLEN - c.ip_hlen + pay;

		memcpy(out, pkt, c.hlen);
		memcpy(out + c.hlen, pkt + c.hlen + off, pay);
		if (c.v6) {
			put16(ip + 4, l4_len);
		} else {
			put16(ip + 2, c.ip_hlen + l4_len);
			put16(ip + 4, get16(ip + 4) + n);
			memset(ip + 10, 0, 2);
			write_csum(ip + 10, mr_csum(ip, c.ip_hlen));
		}
		put32(tcp + 4, seq + off);
		if (c.hlen + off + pay < len)
			tcp[13] &= (uint8_t) ~(FIN | PSH);
		if (off)
			tcp[13] &= (uint8_t)~CWR;
		memset(tcp + 16, 0, 2);
		write_csum(tcp + 16,
			   mr_csum_add(mr_csum_pseudo(&c.src, &c.dst, IPPROTO_TCP, l4_len),
				       mr_csum(tcp, l4_len)));
		send(user, out, c.hlen + pay);
	}
}
