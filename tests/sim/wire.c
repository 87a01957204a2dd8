// SPDX-License-Identifier: BSD-2-Clause
/*
 * wire.c - what happens to a packet between two hosts: the order of things.
 * Not here    what each of them does, see wire.h; delivery (world.c).
 * Asserts     that a host sends no packet longer than its peer takes, and none with a bad checksum.
 */
#include <stdlib.h>
#include "base/compiler.h"
#include "packet.h"
#include "tcp/tcp_wire.h"
#include "wire.h"

/* Behind the bottleneck. */
static const char *(*const stages[])(struct passing *p) = {
	wire_loss, wire_order, wire_duplicate, wire_corrupt, wire_hold,
};

static void note_first_seq(struct sim *sim, int from, const uint8_t *pkt, uint32_t len)
{
	struct pkt_tcp t;

	if (sim->first_seq_seen[from] || !pkt_tcp_parse(pkt, len, &t) || !(t.flags & MR_TCP_SYN))
		return;
	sim->first_seq_seen[from] = true;
	sim->first_seq[from] = t.seq;
}

static uint64_t hash_packet(uint64_t h, uint64_t at, const uint8_t *pkt, uint32_t len)
{
	uint64_t word;

	h = sim_mix(h ^ at);
	h = sim_mix(h ^ len);
	for (; len >= sizeof(word); pkt += sizeof(word), len -= (uint32_t)sizeof(word)) {
		memcpy(&word, pkt, sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	while (len--)
		h = (h ^ *pkt++) * 0x100000001b3ull;
	return h;
}

static void trace_packet(const struct sim *sim, const struct sim_pkt *p, const char *fate)
{
	char text[256];

	if (!sim->verbose)
		return;
	pkt_format(p->data, p->len, text, sizeof(text));
	if (fate)
		sim_trace(sim, "%c  %s  [%s]", sim->host[!p->to].name, text, fate);
	else
		sim_trace(sim, "%c  %s", sim->host[!p->to].name, text);
}

/* Of what is not TCP every second packet: who asks for an address gives up after three tries, and that is
 * another subject. */
static bool spared(struct sim_wire *w, const struct sim_pkt *pkt)
{
	struct pkt_tcp t;

	return !pkt_tcp_parse(pkt->data, pkt->len, &t) && w->others++ & 1;
}

/* What the rest of the path does to a packet that left the bottleneck at `at`. */
static void cross(struct sim *sim, struct sim_pkt *pkt, uint64_t at)
{
	struct sim_wire *w = &sim->wire[!pkt->to];
	struct passing p = { .sim = sim, .w = w, .pkt = pkt, .spared = spared(w, pkt) };
	const uint64_t reordered = w->reordered;
	const char *fate = NULL;

	pkt->at = at;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(stages) && !fate; i++)
		fate = stages[i](&p);
	trace_packet(sim, pkt, fate || w->reordered == reordered ? fate : "late");
	if (fate) {
		free(pkt);
		return;
	}
	flight_add(sim, pkt);
	wire_release(&p);
}

void sim_wire_send(struct sim *sim, int from, const uint8_t *pkt, uint32_t len)
{
	struct sim_wire *w = &sim->wire[from];
	struct sim_pkt *p;

	sim->trace_hash = hash_packet(sim->trace_hash, sim->now, pkt, len);
	SIM_CHECK(sim, len > PKT_ETH_HLEN && len <= PKT_ETH_HLEN + w->cfg.mtu,
		  "host %c sent a packet of %u bytes to one whose MTU is %u", sim->host[from].name,
		  len, w->cfg.mtu);
	SIM_CHECK(sim, pkt_checksums_ok(pkt, len), "host %c sent a packet with a bad checksum",
		  sim->host[from].name);
	note_first_seq(sim, from, pkt, len);
	w->sent++;
	p = flight_packet(!from, pkt, len);
	if (w->box && !sim_box_pass(sim, from, w->box, p->data, &p->len)) {
		trace_packet(sim, p, "middlebox");
		free(p);
		return;
	}
	if (!w->cfg.queue.rate_bps) {
		cross(sim, p, sim->now + 1);
	} else if (!sim_queue_put(&w->queue, p, sim->now)) {
		trace_packet(sim, p, "queue full");
		free(p);
	}
}

uint64_t sim_wire_deliver(struct sim *sim, int to, uint64_t at, const uint8_t *pkt, uint32_t len)
{
	struct sim_pkt *p = flight_packet(to, pkt, len);

	p->at = at;
	return flight_add(sim, p);
}

uint64_t sim_wire_next(const struct sim *sim)
{
	uint64_t t = sim->heap_len ? sim->heap[0]->at : MR_TIME_NEVER;

	for (int i = 0; i < 2; i++)
		t = mr_min(t, sim->wire[i].queue.done_at);
	return t;
}

struct sim_pkt *sim_wire_arrived(struct sim *sim)
{
	struct sim_pkt *p;

	for (int i = 0; i < 2; i++)
		while ((p = sim_queue_take(&sim->wire[i].queue, sim->now)))
			cross(sim, p, sim->now);
	return sim->heap_len && sim->heap[0]->at <= sim->now ? flight_pop(sim) : NULL;
}

void sim_wire_clear(struct sim *sim)
{
	while (sim->heap_len)
		free(flight_pop(sim));
	for (int i = 0; i < 2; i++)
		sim_queue_free(&sim->wire[i].queue);
}
