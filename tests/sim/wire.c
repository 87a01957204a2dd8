// SPDX-License-Identifier: BSD-2-Clause
/*
 * wire.c - what happens to a packet between two hosts.
 * Owns        packets on their way: in the bottleneck's queue (queue.c), then in a heap by time of
 *             arrival, ties in the order of sending.
 * Not here    delivery (world.c).
 */
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "packet.h"
#include "tcp/tcp_wire.h"
#include "wire.h"

/* ---- Heap ------------------------------------------------------------------------------------ */

static bool earlier(const struct sim_pkt *a, const struct sim_pkt *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_swap(struct sim *sim, unsigned a, unsigned b)
{
	struct sim_pkt *tmp = sim->heap[a];

	sim->heap[a] = sim->heap[b];
	sim->heap[b] = tmp;
}

static void heap_push(struct sim *sim, struct sim_pkt *p)
{
	unsigned i = sim->heap_len++;

	if (i == sim->heap_size) {
		sim->heap_size = sim->heap_size ? 2 * sim->heap_size : 256;
		sim->heap = realloc(sim->heap, sim->heap_size * sizeof(sim->heap[0]));
		if (!sim->heap)
			abort();
	}
	sim->heap[i] = p;
	for (; i && earlier(sim->heap[i], sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap_swap(sim, i, (i - 1) / 2);
}

static struct sim_pkt *heap_pop(struct sim *sim)
{
	struct sim_pkt *top = sim->heap[0];
	unsigned i = 0, least, kid;

	sim->heap[0] = sim->heap[--sim->heap_len];
	for (;;) {
		least = i;
		for (kid = 2 * i + 1; kid <= 2 * i + 2; kid++)
			if (kid < sim->heap_len && earlier(sim->heap[kid], sim->heap[least]))
				least = kid;
		if (least == i)
			return top;
		heap_swap(sim, i, least);
		i = least;
	}
}

static struct sim_pkt *packet(int to, const uint8_t *pkt, uint32_t len)
{
	struct sim_pkt *p = malloc(sizeof(*p) + len);

	if (!p)
		abort();
	*p = (struct sim_pkt){ .to = to, .len = len };
	memcpy(p->data, pkt, len);
	return p;
}

static void arrive(struct sim *sim, struct sim_pkt *p, uint64_t at)
{
	p->at = at;
	p->order = sim->order++;
	heap_push(sim, p);
}

void sim_wire_deliver(struct sim *sim, int to, uint64_t at, const uint8_t *pkt, uint32_t len)
{
	arrive(sim, packet(to, pkt, len), at);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static void flip(struct sim_rng *rng, uint8_t *pkt, uint32_t from, uint32_t to)
{
	pkt[sim_range(rng, from, to - 1)] ^= (uint8_t)(1u << sim_below(rng, 8));
}

/*
 * Flip bits anywhere, or just in the headers, or cut the end off. A 16-bit sum does not see every
 * change (two flips may cancel out), so flip on until it sees this one: what goes on to the stack is
 * what checksums can catch, and it must. Ethernet's FCS is not simulated, so a change to the Ethernet
 * header (a type that is not IPv4, say) or to padding may pass, and does no harm. ARP has nothing but
 * the FCS: it is dropped. Returns the new length; 0: dropped.
 */
static uint32_t corrupt(struct sim_rng *rng, uint8_t *pkt, uint32_t len)
{
	const uint32_t hdr = mr_min(len, PKT_ETH_HLEN + PKT_IP_HLEN + MR_TCP_HLEN);
	uint8_t *before;
	uint32_t n;

	if (pkt_is_arp(pkt, len))
		return 0;
	if (sim_one_in(rng, 8))
		return (uint32_t)sim_range(rng, PKT_ETH_HLEN, len - 1);
	before = malloc(len);
	if (!before)
		abort();
	memcpy(before, pkt, len);
	n = (uint32_t)sim_log(rng, 64);
	if (sim_one_in(rng, 2))
		while (n--)
			flip(rng, pkt, 0, hdr);
	else
		while (n--)
			flip(rng, pkt, 0, len);
	while (!memcmp(before + 12, pkt + 12, 2) &&
	       memcmp(before + PKT_ETH_HLEN, pkt + PKT_ETH_HLEN, len - PKT_ETH_HLEN) != 0 &&
	       pkt_checksums_ok(pkt, len))
		flip(rng, pkt, PKT_ETH_HLEN, hdr);
	free(before);
	return len;
}

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
	h = sim_mix(h ^ at);
	h = sim_mix(h ^ len);
	for (uint32_t i = 0; i < len; i++)
		h = (h ^ pkt[i]) * 0x100000001b3ull;
	return h;
}

static void trace_packet(const struct sim *sim, int from, const uint8_t *pkt, uint32_t len,
			 const char *fate)
{
	char text[256];

	if (sim->verbose)
		sim_trace(sim, "%c  %s%s", sim->host[from].name,
			  pkt_format(pkt, len, text, sizeof(text)), fate);
}

/* Behind the bottleneck: what the rest of the path does to a packet that left it at `at`. */
static void cross(struct sim *sim, int from, struct sim_pkt *p, uint64_t at)
{
	struct sim_wire *w = &sim->wire[from];
	struct sim_rng *rng = &w->rng;
	bool late;

	if (sim_ppm(rng, w->cfg.loss_ppm)) {
		w->lost++;
		trace_packet(sim, from, p->data, p->len, "  [lost]");
		free(p);
		return;
	}
	at += w->cfg.delay_ns;
	if (w->cfg.jitter_ns && sim_one_in(rng, 8))
		at += sim_log(rng, w->cfg.jitter_ns);
	late = sim_ppm(rng, w->cfg.reorder_ppm);
	if (late) {
		w->reordered++;
		at += sim_log(rng, w->cfg.reorder_ns);
	} else {
		at = mr_max(at, w->last_at);
		w->last_at = at;
	}
	trace_packet(sim, from, p->data, p->len, late ? "  [late]" : "");
	if (sim_ppm(rng, w->cfg.dup_ppm)) {
		w->duplicated++;
		sim_wire_deliver(sim, p->to, at + sim_below(rng, w->cfg.reorder_ns + 1), p->data,
				 p->len);
	}
	if (sim_ppm(rng, w->cfg.corrupt_ppm)) {
		w->corrupted++;
		p->len = corrupt(rng, p->data, p->len);
		if (!p->len) {
			free(p);
			return;
		}
	}
	arrive(sim, p, at);
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
	p = packet(!from, pkt, len);
	if (w->box && !sim_box_pass(sim, from, w->box, p->data, &p->len)) {
		trace_packet(sim, from, p->data, p->len, "  [middlebox]");
		free(p);
		return;
	}
	if (!w->cfg.queue.rate_bps) {
		cross(sim, from, p, sim->now + 1);
	} else if (!sim_queue_put(&w->queue, p, sim->now)) {
		trace_packet(sim, from, p->data, p->len, "  [queue full]");
		free(p);
	}
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
			cross(sim, i, p, sim->now);
	return sim->heap_len && sim->heap[0]->at <= sim->now ? heap_pop(sim) : NULL;
}

void sim_wire_clear(struct sim *sim)
{
	while (sim->heap_len)
		free(heap_pop(sim));
	for (int i = 0; i < 2; i++)
		sim_queue_free(&sim->wire[i].queue);
}
