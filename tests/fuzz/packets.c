// SPDX-License-Identifier: BSD-2-Clause
/*
 * packets.c - fuzz everything below TCP: Ethernet frames of any kind into one engine.
 * Input       frames, each with a byte that says which of its fields are made right, so that mutations
 *	       get past addresses, lengths and checksums; and time.
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
#define ENGINE_IP  0x0a000001u
#define PEER_IP	   0x0a000002u
#define SILENCE_NS (300 * MR_NS_PER_S)
#define ROUNDS_MAX 20000u

/* What is made right about a frame. */
#define FIX_MAC	   0x01u /* to the engine */
#define FIX_TYPE   0x02u /* IPv4, or ARP with FIX_ARP */
#define FIX_IP	   0x04u /* version, lengths, addresses */
#define FIX_SUM	   0x08u /* of the IP header */
#define FIX_L4_SUM 0x10u
#define FIX_ARP	   0x20u
#define VLAN	   0x40u
#define NO_ROUND   0x80u /* the next one comes in the same batch */

struct world {
	struct fuzz_host host;
	uint64_t now;
};

static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 2 };

static void engine_sent(void *user, const uint8_t *pkt, uint32_t len)
{
	struct world *w = user;

	fuzz_trace(&w->host, "sends", pkt, len);
	FUZZ_CHECK(pkt_checksums_ok(pkt, len), "checksum of a packet sent");
	fuzz_answer_arp(&w->host, pkt, len, PEER_IP, peer_mac);
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

/* The IP packet at ip, as far as `how` asks for it. */
static void fix_ip(uint8_t *ip, uint32_t len, uint8_t how)
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

static void step_frame(struct world *w, struct fuzz_in *in)
{
	uint8_t pkt[PKT_MAX], how = fuzz_u8(in);
	uint32_t len = fuzz_u8(in), l3 = how & VLAN ? 18 : 14, real;

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
		pkt_put16(pkt + l3 - 2, how & FIX_ARP ? 0x0806 : 0x0800);
	}
	if (len > l3 && how & FIX_ARP)
		fix_arp(pkt + l3, len - l3);
	else if (len > l3)
		fix_ip(pkt + l3, len - l3, how);
	fuzz_trace(&w->host, "gets", pkt, len);
	sim_dev_deliver(w->host.dev, pkt, len);
	if (how & NO_ROUND)
		return;
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
		.mac_end = 1,
		.nframes = 64,
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
	run(&w, MR_NS_PER_MS);
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
