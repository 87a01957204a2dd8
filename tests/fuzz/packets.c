// SPDX-License-Identifier: BSD-2-Clause
/*
 * packets.c - fuzz everything below TCP: Ethernet frames of any kind into one engine with an address of
 *	       each family.
 * Input       frames, each with a byte that says which of its fields are made right, so that mutations
 *	       get past addresses, lengths and checksums, and one by which it is cut into fragments; and
 *	       time.
 * Claims      every invariant after each frame; what is sent has right checksums; no frame of the pool
 *	       is lost; nothing the peer can say makes the engine busy for ever.
 */
#include <string.h>
#include "../sim/packet.h"
#include "base/compiler.h"
#include "fuzz.h"
#include "host.h"

#define PKT_MAX	   1600u
#define STEPS_MAX  200u
#define FRAGS_MAX  64u
#define ENGINE_IP  0x0a000001u
#define PEER_IP	   0x0a000002u
#define SILENCE_NS (300 * MR_NS_PER_S)
#define ROUNDS_MAX 20000u

/* What is made right about a frame. */
#define FIX_MAC	   0x01u /* to the engine */
#define FIX_TYPE   0x02u /* IPv4, or ARP with FIX_ARP */
#define FIX_IP	   0x04u /* version, lengths, addresses */
#define FIX_SUM	   0x08u /* of the IPv4 header */
#define FIX_L4_SUM 0x10u
#define FIX_ARP	   0x20u /* with FIX_IP: IPv6 */
#define VLAN	   0x40u
#define NO_ROUND   0x80u /* the next one comes in the same batch */

struct world {
	struct fuzz_host host;
	uint64_t now;
};

static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t engine_ip6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
static const uint8_t engine_ll6[16] = { 0xfe, 0x80, [11] = 0xff, 0xfe, [15] = 1 };
static const uint8_t engine_group[16] = { 0xff, 0x02, [11] = 1, 0xff, [15] = 1 };
static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };

static void engine_sent(void *user, const uint8_t *pkt, uint32_t len)
{
	struct world *w = user;

	fuzz_trace(&w->host, "sends", pkt, len);
	FUZZ_CHECK(pkt_checksums_ok(pkt, len), "checksum of a packet sent");
	fuzz_answer_arp(&w->host, pkt, len, PEER_IP, peer_mac);
	fuzz_answer_nd(&w->host, pkt, len, peer_mac);
}

static void run(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;

	for (unsigned rounds = 0;; rounds++) {
		uint64_t next;

		FUZZ_CHECK(rounds < ROUNDS_MAX, "the engine does not come to rest");
		fuzz_host_round(&w->host);
		next = fuzz_host_next(&w->host);
		if (next > end)
			break;
		w->now = mr_max(w->now, next);
	}
	w->now = end;
}

static void fix_l4(uint8_t *ip, uint32_t hlen, uint32_t l4_len)
{
	static const struct {
		uint8_t proto, at;
		bool pseudo;
	} sums[] = { { 1, 2, false }, { 6, 16, true }, { 17, 6, true } };
	uint8_t *l4 = ip + hlen;

	for (unsigned i = 0; i < MR_ARRAY_SIZE(sums); i++) {
		uint32_t sum = 0;

		if (ip[9] != sums[i].proto || l4_len < sums[i].at + 2u)
			continue;
		if (sums[i].pseudo)
			sum = pkt_sum(ip[9] + l4_len, ip + 12, 8);
		pkt_put16(l4 + sums[i].at, 0);
		pkt_put16(l4 + sums[i].at, (uint16_t)~pkt_sum(sum, l4, l4_len));
	}
}

/* The IPv4 packet at ip, as far as `how` asks for it. */
static void fix_ipv4(uint8_t *ip, uint32_t len, uint8_t how)
{
	uint32_t hlen;

	if (len < PKT_IP_HLEN)
		return;
	if (how & FIX_IP) {
		ip[0] = (uint8_t)(0x40 | mr_min(5u + (ip[0] & 3), len / 4));
		pkt_put16(ip + 2, len - ip[1] % 4); /* or with padding behind it */
		if (ip[6] & 0x80)		    /* else a fragment may stay one */
			pkt_put16(ip + 6, 0x4000);
		pkt_put32(ip + 12, PEER_IP);
		pkt_put32(ip + 16, ENGINE_IP);
	}
	hlen = (ip[0] & 15) * 4u;
	if (hlen < PKT_IP_HLEN || hlen > len)
		return;
	if (how & FIX_L4_SUM) {
		uint32_t total = mr_min((uint32_t)pkt_get16(ip + 2), len);

		if (total > hlen)
			fix_l4(ip, hlen, total - hlen);
	}
	if (how & FIX_SUM) {
		pkt_put16(ip + 10, 0);
		pkt_put16(ip + 10, (uint16_t)~pkt_sum(0, ip, hlen));
	}
}

static void fix_arp(uint8_t *arp, uint32_t len)
{
	static const uint8_t head[] = { 0, 1, 8, 0, 6, 4, 0 };

	if (len < 28)
		return;
	memcpy(arp, head, sizeof(head));
	arp[7] = (uint8_t)(1 + arp[7] % 2);
	if (arp[24] & 1) /* else for somebody else */
		pkt_put32(arp + 24, ENGINE_IP);
	if (arp[14] & 1)
		pkt_put32(arp + 14, PEER_IP + (arp[17] & 7u));
}

/* Where the upper layer's header begins, and what it is; 0: behind a fragment header or nowhere. */
static uint32_t find_l4_6(const uint8_t *ip, uint32_t len, uint8_t *proto)
{
	uint32_t off = 40;

	*proto = ip[6];
	while (*proto == 0 || *proto == 43 || *proto == 60) {
		if (len < off + 8)
			return 0;
		*proto = ip[off];
		off += 8 + ip[off + 1] * 8u;
	}
	return off < len ? off : 0;
}

static void fix_ipv6(uint8_t *ip, uint32_t len, uint8_t how)
{
	static const uint8_t *const to[] = { engine_ip6, engine_ll6, engine_group, all_nodes };
	uint8_t proto;
	uint32_t l4;

	if (len < 40)
		return;
	ip[0] = (uint8_t)(0x60 | (ip[0] & 15));
	pkt_put16(ip + 4, len - 40 - (ip[1] % 4 < len - 40 ? ip[1] % 4 : 0));
	if (ip[8] & 1) /* else the unspecified address, or anything */
		memcpy(ip + 8, ip[23] & 1 ? engine_ip6 : engine_ll6, 15);
	memcpy(ip + 24, FUZZ_PICK(to, ip[24]), 16);
	l4 = find_l4_6(ip, 40u + pkt_get16(ip + 4), &proto);
	if (proto == 58 && l4 && ip[l4] >= 133)
		ip[7] = 255;
	if (how & FIX_L4_SUM && l4) {
		uint32_t l4_len = 40u + pkt_get16(ip + 4) - l4;
		uint32_t at = proto == 6 ? 16 : proto == 17 ? 6 : 2;
		uint32_t sum = pkt_sum(proto + l4_len, ip + 8, 32);

		if (l4_len < at + 2 || (proto != 6 && proto != 17 && proto != 58))
			return;
		pkt_put16(ip + l4 + at, 0);
		pkt_put16(ip + l4 + at, (uint16_t)~pkt_sum(sum, ip + l4, l4_len));
	}
}

static void deliver(struct world *w, const uint8_t *pkt, uint32_t len)
{
	fuzz_trace(&w->host, "gets", pkt, len);
	sim_dev_deliver(w->host.dev, pkt, len);
}

/* Bytes [off, off + n) of the L3 payload as a fragment. l3: offset of the IP header. */
static void deliver_fragment(struct world *w, const uint8_t *pkt, uint32_t l3, uint32_t off,
			     uint32_t n, bool more)
{
	uint8_t out[PKT_MAX + 8], *ip = out + l3;
	uint32_t hlen = pkt[l3] >> 4 == 6 ? 40 : 20;

	memcpy(out, pkt, l3 + hlen);
	if (hlen == 40) {
		memset(ip + 40, 0, 8);
		ip[40] = ip[6];
		ip[6] = 44;
		pkt_put16(ip + 42, off | more);
		hlen += 8;
		pkt_put16(ip + 4, n + 8);
		memcpy(ip + 48, pkt + l3 + 40 + off, n);
	} else {
		pkt_put16(ip + 2, n + 20);
		pkt_put16(ip + 6, off / 8 | (more ? 0x2000u : 0));
		pkt_put16(ip + 10, 0);
		pkt_put16(ip + 10, (uint16_t)~pkt_sum(0, ip, 20));
		memcpy(ip + 20, pkt + l3 + 20 + off, n);
	}
	deliver(w, out, l3 + hlen + n);
}

/* In pieces of 8 to 512 bytes, forwards or backwards, perhaps one of them twice or left out. */
static void deliver_cut(struct world *w, const uint8_t *pkt, uint32_t len, uint32_t l3, uint8_t cut)
{
	uint32_t hlen = pkt[l3] >> 4 == 6 ? 40 : 20;
	uint32_t total = len - l3 - hlen, step = 8u << (cut & 7) % 7;
	uint32_t n = mr_min((total + step - 1) / step, FRAGS_MAX);

	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = cut & 8 ? n - 1 - k : k, off = i * step;
		uint32_t part = mr_min(step, total - off);

		if (cut & 16 && k == 1) /* one is lost */
			continue;
		deliver_fragment(w, pkt, l3, off, part, off + part < total);
		if (cut & 32 && k == 0) /* one comes twice, or longer */
			deliver_fragment(w, pkt, l3, off, part, cut & 64 || off + part < total);
	}
}

static void step_frame(struct world *w, struct fuzz_in *in)
{
	uint8_t pkt[PKT_MAX], how = fuzz_u8(in), cut = 0;
	uint32_t len = fuzz_u8(in), l3 = how & VLAN ? 18 : 14, real;
	bool v6 = (how & (FIX_ARP | FIX_IP)) == (FIX_ARP | FIX_IP);

	if ((how & FIX_TYPE) && (how & FIX_IP))
		cut = fuzz_u8(in);
	/* Small lengths one by one, large ones in steps: the bytes behind the input's are zeros. */
	if (len > 200)
		len = 200 + (len - 200) * 25;
	len = mr_max(len, 1u);
	real = mr_min(len, (uint32_t)(in->end - in->p));
	memset(pkt, 0, len);
	memcpy(pkt, in->p, real);
	in->p += real;
	if (how & FIX_MAC && len >= 6)
		memcpy(pkt, w->host.mac, 6);
	if (how & FIX_TYPE && len >= l3) {
		if (how & VLAN)
			pkt_put16(pkt + 12, 0x8100);
		pkt_put16(pkt + l3 - 2, v6 ? 0x86dd : how & FIX_ARP ? 0x0806 : 0x0800);
	}
	if (len > l3 && v6)
		fix_ipv6(pkt + l3, len - l3, how);
	else if (len > l3 && how & FIX_ARP)
		fix_arp(pkt + l3, len - l3);
	else if (len > l3)
		fix_ipv4(pkt + l3, len - l3, how);
	if (cut & 128 && len > l3 + 40)
		deliver_cut(w, pkt, len, l3, cut);
	else
		deliver(w, pkt, len);
	if (!(how & NO_ROUND))
		fuzz_host_round(&w->host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t ms[] = { 1, 10, 200, 1000, 3000, 10000, 31000, 60000 };
	struct fuzz_in in = { data, data + size };
	struct world w = { .now = FUZZ_START_NS };
	uint8_t how = fuzz_u8(&in);
	const struct fuzz_host_cfg cfg = {
		.prefix = "10.0.0.1/24",
		.prefix6 = "2001:db8::1/64",
		.mac_end = 1,
		.nframes = 512,
		.ecn = MR_ECN_ACCURATE,
		.mtu_probing = MR_MTU_PROBING_SUSPECT,
		.sndbuf = 4096,
		.rcvbuf = 4096,
		.ragged = how & 1,
		.pad = how & 2,
		.sent = engine_sent,
		.user = &w,
	};
	struct mr_endpoint local = { .port = 80 };
	struct mr_endpoint peer = { .port = 5000 };
	struct mr_socket *listener, *sock;

	fuzz_host_open(&w.host, &cfg, &w.now);
	FUZZ_CHECK(!mr_socket(w.host.engine, &listener) && !mr_bind(listener, &local) &&
			   !mr_listen(listener, 4),
		   "mr_listen");
	/* A SYN that was sent: what an ICMP error may quote. Its port and number do not change. */
	mr_addr_parse(how & 4 ? "10.0.0.7" : "10.0.0.2", &peer.addr);
	local.port = 4000;
	FUZZ_CHECK(!mr_socket(w.host.engine, &sock) && !mr_bind(sock, &local), "mr_bind");
	mr_connect(sock, &peer);
	/* Addresses of IPv6 are in use, or not yet. */
	run(&w, how & 8 ? MR_NS_PER_MS : 2 * MR_NS_PER_S);
	for (unsigned i = 0; i < STEPS_MAX && fuzz_more(&in); i++) {
		step_frame(&w, &in);
		if (fuzz_more(&in) && in.p[0] >= 0xf8)
			run(&w, FUZZ_PICK(ms, fuzz_u8(&in)) * MR_NS_PER_MS);
	}
	mr_abort(listener);
	mr_abort(sock);
	run(&w, SILENCE_NS);
	FUZZ_CHECK(!mr_engine_connections(w.host.engine), "a connection lives for ever");
	fuzz_host_close(&w.host);
	return 0;
}
