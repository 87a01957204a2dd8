// SPDX-License-Identifier: BSD-2-Clause
/*
 * wire_flight.c - packets that are under way.
 * Owns        a heap by time of arrival, ties in the order of sending.
 * Not here    delivery (world.c).
 */
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "wire.h"

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

static void rise(struct sim *sim, unsigned i)
{
	for (; i && earlier(sim->heap[i], sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap_swap(sim, i, (i - 1) / 2);
}

static void sink(struct sim *sim, unsigned i)
{
	unsigned least, kid;

	for (;; i = least) {
		least = i;
		for (kid = 2 * i + 1; kid <= 2 * i + 2; kid++)
			if (kid < sim->heap_len && earlier(sim->heap[kid], sim->heap[least]))
				least = kid;
		if (least == i)
			return;
		heap_swap(sim, i, least);
	}
}

struct sim_pkt *flight_packet(int to, const uint8_t *pkt, uint32_t len)
{
	struct sim_pkt *p = malloc(sizeof(*p) + len);

	if (!p)
		abort();
	*p = (struct sim_pkt){ .to = to, .len = len };
	memcpy(p->data, pkt, len);
	return p;
}

uint64_t flight_add(struct sim *sim, struct sim_pkt *p)
{
	unsigned i = sim->heap_len++;

	if (i == sim->heap_size) {
		sim->heap_size = sim->heap_size ? 2 * sim->heap_size : 256;
		sim->heap = realloc(sim->heap, sim->heap_size * sizeof(sim->heap[0]));
		if (!sim->heap)
			abort();
	}
	p->order = sim->order++;
	sim->heap[i] = p;
	rise(sim, i);
	return p->order;
}

void flight_hasten(struct sim *sim, uint64_t order, uint64_t at)
{
	for (unsigned i = 0; i < sim->heap_len; i++) {
		if (sim->heap[i]->order != order)
			continue;
		sim->heap[i]->at = mr_min(sim->heap[i]->at, at);
		sim->heap[i]->order = sim->order++;
		rise(sim, i);
		sink(sim, i);
		return;
	}
}

struct sim_pkt *flight_pop(struct sim *sim)
{
	struct sim_pkt *top = sim->heap[0];

	sim->heap[0] = sim->heap[--sim->heap_len];
	sink(sim, 0);
	return top;
}
