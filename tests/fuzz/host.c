// SPDX-License-Identifier: BSD-2-Clause
/*
 * host.c - one engine on the simulated device, for fuzz targets.
 * Asserts     the invariants of every layer after each half of a round, the rules of the device
 *	       interface, and at the end that no frame is held by nobody.
 */
#include <string.h>
#include "../sim/packet.h"
#include "base/compiler.h"
#include "fuzz.h"
#include "host.h"

#define MTU   1500u
#define CHUNK 2048u

/* The tables are walked only so often: they are large, and mostly empty. */
#define CHECK_ALL 32u

static uint64_t host_clock(void *user)
{
	return *((const struct fuzz_host *)user)->now;
}

static void host_broken(void *user, const char *what)
{
	(void)user;
	FUZZ_CHECK(false, "device: %s", what);
}

static void discard(void *user, const uint8_t *pkt, uint32_t len)
{
	(void)user;
	(void)pkt;
	(void)len;
}

void fuzz_host_open(struct fuzz_host *h, const struct fuzz_host_cfg *fc, const uint64_t *now)
{
	const struct sim_dev_cfg dc = {
		.tx_ring = 64,
		.kick_budget = 32,
		.rx_ring = 1024,
		.max_chunks = MR_FRAME_MAX_CHUNKS,
		.completion_ns = 20 * MR_NS_PER_US,
		.ragged = fc->ragged,
		.gso = fc->gso,
		.pad = fc->pad,
		.seed = 1,
	};
	struct mr_stack_cfg scfg = {
		.mac = { 2, 0, 0, 0, 0, fc->mac_end },
		.mtu = MTU,
		.nframes = fc->nframes,
		.chunk_size = CHUNK,
		.max_chunks = MR_FRAME_MAX_CHUNKS,
		.txq_limit = 64,
		.seed = fc->mac_end,
	};
	struct mr_error err = { 0 };
	struct mr_config cfg;
	int ret;

	*h = (struct fuzz_host){ .now = now };
	memcpy(h->mac, scfg.mac, sizeof(h->mac));
	mr_config_init(&cfg);
	cfg.ifname = "fuzz";
	cfg.max_sockets = 8;
	cfg.sndbuf = fc->sndbuf;
	cfg.rcvbuf = fc->rcvbuf;
	cfg.congestion = fc->congestion;
	cfg.ecn = fc->ecn;
	cfg.mtu_probing = fc->mtu_probing;
	ret = mr_config_add_address(&cfg, fc->prefix);
	FUZZ_CHECK(!ret, "mr_config_add_address: %d", ret);
	if (fc->prefix6)
		ret = mr_config_add_address(&cfg, fc->prefix6);
	FUZZ_CHECK(!ret, "mr_config_add_address: %d", ret);
	h->addr = cfg.addrs[0].addr;
	ret = mr_engine_create(&h->engine, &cfg, &scfg, host_clock, h, &err);
	FUZZ_CHECK(!ret, "mr_engine_create: %d %s", ret, err.text);
	h->dev = sim_dev_new(&dc, &h->engine->st->frames, &h->engine->st->ctr, h->now);
	h->dev->send = fc->sent;
	h->dev->user = fc->user;
	h->dev->broken = host_broken;
	ret = mr_engine_start(h->engine, &cfg, &h->dev->base, &err);
	FUZZ_CHECK(!ret, "mr_engine_start: %d %s", ret, err.text);
	h->engine->st->nif.gso_bytes = fc->gso ? UINT16_MAX : 0;
}

void fuzz_host_check(struct fuzz_host *h)
{
	const struct mr_stack *st = h->engine->st;
	const struct mr_list *pos;

	if (h->nchecks++ % CHECK_ALL == 0) {
		mr_engine_check(h->engine);
		return;
	}
	mr_list_for_each (pos, &st->tcp.all)
		mr_tcb_check(&st->tcp, mr_list_entry(pos, struct mr_tcb, all_node));
	mr_socks_check(&st->socks);
}

void fuzz_host_round(struct fuzz_host *h)
{
	mr_engine_input(h->engine, *h->now);
	fuzz_host_check(h);
	mr_engine_output(h->engine, *h->now);
	fuzz_host_check(h);
}

uint64_t fuzz_host_next(const struct fuzz_host *h)
{
	return mr_min(mr_engine_next(h->engine, *h->now), sim_dev_next(h->dev));
}

void fuzz_host_close(struct fuzz_host *h)
{
	const struct mr_frame_pool *frames = &h->engine->st->frames;

	FUZZ_CHECK(frames->nfree == frames->nframes, "%u of %u frames are lost",
		   frames->nframes - frames->nfree, frames->nframes);
	h->dev->send = discard;
	mr_engine_close(h->engine);
	h->engine = NULL;
}

void fuzz_trace(const struct fuzz_host *h, const char *what, const uint8_t *pkt, uint32_t len)
{
	uint64_t us = (*h->now - FUZZ_START_NS) / MR_NS_PER_US;
	char text[256];

	if (getenv("FUZZ_TRACE"))
		fprintf(stderr, "%llu.%06llu %u %s %s\n", (unsigned long long)us / 1000000,
			(unsigned long long)us % 1000000, h->mac[5], what,
			pkt_format(pkt, len, text, sizeof(text)));
}

void fuzz_answer_arp(struct fuzz_host *h, const uint8_t *pkt, uint32_t len, uint32_t ip,
		     const uint8_t mac[6])
{
	uint8_t reply[PKT_ARP_REPLY_LEN];

	if (pkt_arp_reply(reply, pkt, len, ip, mac))
		sim_dev_deliver(h->dev, reply, sizeof(reply));
}

void fuzz_answer_nd(struct fuzz_host *h, const uint8_t *pkt, uint32_t len, const uint8_t mac[6])
{
	static const uint8_t nowhere[16];
	const uint8_t *ip = pkt + PKT_ETH_HLEN, *nd = ip + 40;
	uint8_t reply[86] = { 0 };
	uint8_t *out = reply + PKT_ETH_HLEN;

	if (len < 78 || pkt_get16(pkt + 12) != 0x86dd || ip[6] != 58 || nd[0] != 135 ||
	    !memcmp(ip + 8, nowhere, 16))
		return;
	memcpy(reply, h->mac, 6);
	memcpy(reply + 6, mac, 6);
	pkt_put16(reply + 12, 0x86dd);
	out[0] = 0x60;
	out[5] = 32;
	out[6] = 58;
	out[7] = 255;
	memcpy(out + 8, nd + 8, 16);
	memcpy(out + 24, ip + 8, 16);
	out[40] = 136;
	out[44] = 0x60; /* solicited, override */
	memcpy(out + 48, nd + 8, 16);
	out[64] = 2;
	out[65] = 1;
	memcpy(out + 66, mac, 6);
	pkt_put16(out + 42, (uint16_t)~pkt_sum(pkt_sum(58 + 32, out + 8, 32), out + 40, 32));
	sim_dev_deliver(h->dev, reply, sizeof(reply));
}
