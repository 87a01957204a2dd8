// SPDX-License-Identifier: BSD-2-Clause
/*
 * idle.c - a report, not a test: what a connection that is idle costs, in bytes, and what the others pay for it in
 * time. One engine on a device without hardware; the peers are hand-made packets from behind a router.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/compiler.h"
#include "engine/engine.h"
#include "idle.h"
#include "packet.h"
#include "simdev.h"
#include "tcp/tcp_wire.h"

#define ACTIVE	    64u	  /* connections that work */
#define ROUNDS	    2000u /* requests and responses of each of them */
#define BATCH	    64u	  /* handshakes at a time */
#define PORT	    80
#define ENGINE_IP   0x0a000001u /* 10.0.0.1 */
#define ROUTER_IP   0x0a000002u
#define PEERS	    0x0b000000u /* 11.0.0.0 and up, PORTS connections each */
#define PORTS	    16384u
#define FIRST_PORT  1024u
#define PEER_ISN    0x1000u
#define REQUEST	    100u /* bytes, of a response, too */
#define HEADERS	    (PKT_ETH_HLEN + PKT_IP_HLEN + 20u)
#define SYN_OPTIONS 20u

struct peer {
	uint32_t iss;	    /* the engine's */
	uint32_t sent, got; /* bytes */
	bool answered;	    /* the engine's SYN,ACK is here */
};

struct idle {
	uint64_t now; /* ns */
	struct mr_engine *engine;
	struct sim_dev *dev;
	struct mr_socket *listener;
	struct peer *peer;
	uint32_t n, accepted;
	uint64_t resets;
};

static void die(const char *what)
{
	fprintf(stderr, "sim --idle: %s\n", what);
	exit(1);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- The peers ------------------------------------------------------------------------------- */

static void engine_sent(void *user, const uint8_t *pkt, uint32_t len)
{
	static const uint8_t router_mac[6] = { 2, 0, 0, 0, 0, 2 };
	uint8_t reply[PKT_ARP_REPLY_LEN];
	struct idle *id = user;
	struct pkt_tcp t;
	struct peer *p;
	uint32_t i;

	if (pkt_arp_reply(reply, pkt, len, ROUTER_IP, router_mac)) {
		sim_dev_deliver(id->dev, reply, sizeof(reply));
		return;
	}
	if (!pkt_tcp_parse(pkt, len, &t))
		return;
	i = (t.daddr - PEERS) * PORTS + t.dport - FIRST_PORT;
	if (i >= id->n)
		die("a segment for nobody");
	p = &id->peer[i];
	id->resets += (t.flags & MR_TCP_RST) != 0;
	if (t.flags & MR_TCP_SYN) {
		p->iss = t.seq;
		p->answered = true;
	}
	p->got += t.len;
}

static void device_broken(void *user, const char *what)
{
	(void)user;
	die(what);
}

static void give(struct idle *id, uint32_t i, uint8_t flags, uint32_t len)
{
	const struct peer *p = &id->peer[i];
	uint8_t pkt[HEADERS + SYN_OPTIONS + REQUEST] = { 0 };
	uint8_t *ip = pkt + PKT_ETH_HLEN, *tcp = ip + PKT_IP_HLEN;
	uint32_t opts = flags & MR_TCP_SYN ? SYN_OPTIONS : 0, l4 = 20 + opts + len, pseudo;

	memcpy(pkt, id->engine->st->nif.mac, 6);
	pkt[6] = 2;
	pkt[11] = 2;
	pkt_put16(pkt + 12, 0x0800);
	ip[0] = 0x45;
	pkt_put16(ip + 2, PKT_IP_HLEN + l4);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = 6;
	pkt_put32(ip + 12, PEERS + i / PORTS);
	pkt_put32(ip + 16, ENGINE_IP);
	pkt_put16(ip + 10, (uint16_t)~pkt_sum(0, ip, PKT_IP_HLEN));
	pkt_put16(tcp, FIRST_PORT + i % PORTS);
	pkt_put16(tcp + 2, PORT);
	pkt_put32(tcp + 4, flags & MR_TCP_SYN ? PEER_ISN : PEER_ISN + 1 + p->sent);
	pkt_put32(tcp + 8, flags & MR_TCP_SYN ? 0 : p->iss + 1 + p->got);
	tcp[12] = (uint8_t)((20 + opts) / 4 << 4);
	tcp[13] = flags;
	pkt_put16(tcp + 14, 65000);
	if (opts) { /* MSS 1460, SACK permitted, no timestamps, window scale 7 */
		static const uint8_t options[SYN_OPTIONS] = { 2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7 };

		memcpy(tcp + 20, options, sizeof(options));
	}
	pseudo = (uint32_t)pkt_sum(0, ip + 12, 8) + 6 + l4;
	pkt_put16(tcp + 16, (uint16_t)~pkt_sum(pseudo, tcp, l4));
	sim_dev_deliver(id->dev, pkt, PKT_ETH_HLEN + PKT_IP_HLEN + l4);
}

/* ---- The engine ------------------------------------------------------------------------------ */

static uint64_t idle_clock(void *user)
{
	return ((struct idle *)user)->now;
}

/* One turn of the engine and its application, an echo server. */
static void turn(struct idle *id)
{
	struct mr_event ev[BATCH];
	uint8_t buf[REQUEST];
	struct mr_socket *sock;
	ssize_t len;

	mr_engine_input(id->engine, id->now);
	for (unsigned n = mr_socks_events(&id->engine->st->socks, ev, BATCH), i = 0; i < n; i++) {
		if (ev[i].sock != id->listener) {
			while ((len = mr_recv(ev[i].sock, buf, sizeof(buf), 0)) > 0)
				if (mr_send(ev[i].sock, buf, (size_t)len, 0) != len)
					die("a response was not taken");
			continue;
		}
		while (!mr_accept(id->listener, &sock, NULL))
			id->accepted++;
	}
	mr_engine_output(id->engine, id->now);
	id->now += 20 * MR_NS_PER_US;
}

static void idle_open(struct idle *id, uint32_t n)
{
	struct mr_stack_cfg scfg = {
		.mac = { 2, 0, 0, 0, 0, 1 },
		.mtu = 1500,
		.nframes = 4096,
		.chunk_size = 2048,
		.max_chunks = 1,
		.txq_limit = 1024,
		.seed = 1,
	};
	struct sim_dev_cfg dev = {
		.tx_ring = SIM_DEV_RING_MAX,
		.kick_budget = SIM_DEV_RING_MAX,
		.rx_ring = 1024,
		.max_chunks = 1,
	};
	struct mr_endpoint local = { .port = PORT };
	struct mr_config cfg;
	struct mr_error err = { 0 };

	*id = (struct idle){ .now = MR_NS_PER_S, .n = n, .peer = calloc(n, sizeof(*id->peer)) };
	mr_config_init(&cfg);
	cfg.ifname = "idle";
	cfg.max_sockets = n + 1;
	cfg.seed = 1;
	if (!id->peer || mr_config_add_address(&cfg, "10.0.0.1/24") ||
	    mr_config_add_route(&cfg, "0.0.0.0/0 via 10.0.0.2") ||
	    mr_engine_create(&id->engine, &cfg, &scfg, idle_clock, id, &err))
		die(err.text);
	id->dev = sim_dev_new(&dev, &id->engine->st->frames, &id->engine->st->ctr, &id->now);
	id->dev->send = engine_sent;
	id->dev->broken = device_broken;
	id->dev->user = id;
	if (mr_engine_start(id->engine, &cfg, &id->dev->base, &err) ||
	    mr_socket(id->engine, &id->listener) || mr_bind(id->listener, &local) ||
	    mr_listen(id->listener, 1024))
		die("no listener");
}

/* Up to n connections; the rest of the time the engine does what it owes. Returns seconds. */
static double establish(struct idle *id)
{
	double begin = seconds();

	for (uint32_t first = 0; first < id->n; first += BATCH) {
		uint32_t end = mr_min(first + BATCH, id->n);

		for (uint32_t i = first; i < end; i++)
			give(id, i, MR_TCP_SYN, 0);
		for (unsigned k = 0; k < 8 && !id->peer[end - 1].answered; k++)
			turn(id);
		for (uint32_t i = first; i < end; i++) {
			if (!id->peer[i].answered)
				die("a SYN was not answered");
			give(id, i, MR_TCP_ACK, 0);
		}
		turn(id);
	}
	turn(id);
	if (id->accepted != id->n || id->resets)
		die("not every connection was accepted");
	return seconds() - begin;
}

/* The first ACTIVE of them ask and are answered. Returns seconds for one request and its response. */
static double work(struct idle *id)
{
	double begin = seconds();

	for (uint32_t r = 0; r < ROUNDS; r++) {
		for (uint32_t i = 0; i < ACTIVE; i++) {
			give(id, i, MR_TCP_ACK | MR_TCP_PSH, REQUEST);
			id->peer[i].sent += REQUEST;
		}
		turn(id);
	}
	for (unsigned k = 0; k < 4; k++)
		turn(id);
	for (uint32_t i = 0; i < ACTIVE; i++)
		if (id->peer[i].got != ROUNDS * REQUEST)
			die("a request was not answered");
	return (seconds() - begin) / ROUNDS / ACTIVE;
}

static void idle_close(struct idle *id)
{
	mr_engine_close(id->engine);
	free(id->peer);
}

/* Bytes that the tables of the engine have in use for its connections, frames not counted: they hold none. */
static size_t memory(const struct idle *id)
{
	const struct mr_tcp *tcp = &id->engine->st->tcp;
	const struct mr_socks *socks = &id->engine->st->socks;
	const struct mr_pool *const pools[] = { &tcp->tcbs, &tcp->gap_pool, &tcp->synreqs,
						&socks->pool, &socks->setups };
	size_t bytes = tcp->nbuckets * sizeof(*tcp->buckets);

	for (unsigned i = 0; i < MR_ARRAY_SIZE(pools); i++)
		bytes += (size_t)pools[i]->fresh * pools[i]->size;
	return bytes;
}

void sim_idle(FILE *to, uint32_t n)
{
	static struct idle few, many;
	double connect, one_of_few, one_of_many;

	n = mr_max(n, ACTIVE);
	idle_open(&few, ACTIVE);
	establish(&few);
	one_of_few = work(&few);
	idle_close(&few);
	idle_open(&many, n);
	connect = establish(&many);
	fprintf(to,
		"%u connections to one engine\n"
		"  TCB %u, socket %u, flow table %.1f bytes each; all of it %.1f bytes each\n"
		"  an established connection: %.2f us from its SYN to its accept(), peer's side "
		"included\n",
		n, many.engine->st->tcp.tcbs.size, many.engine->st->socks.pool.size,
		(double)many.engine->st->tcp.nbuckets * sizeof(void *) / n,
		(double)memory(&many) / n, connect * 1e6 / n);
	one_of_many = work(&many);
	fprintf(to,
		"  a request and its response, %u connections at work:\n"
		"    %.3f us where there are no others, %.3f us with %u idle ones\n"
		"  lists after that: %u timers armed\n",
		ACTIVE, one_of_few * 1e6, one_of_many * 1e6, n - ACTIVE,
		many.engine->st->wheel.armed);
	idle_close(&many);
}
