// SPDX-License-Identifier: BSD-2-Clause
/*
 * wire_order.c - when packets arrive, and in which order: propagation, jitter, reordering by time and by
 * count, duplicates, and ACKs that arrive in clumps.
 */
#include "base/compiler.h"
#include "packet.h"
#include "wire.h"

/* ACK compression: the way back hands over what it has in one go, every so often (a shared radio
 * channel, say). What follows such an ACK cannot overtake it. */
static uint64_t gathered(const struct passing *p)
{
	const uint64_t period = p->w->cfg.ack_gather_ns;
	struct pkt_tcp t;

	if (!period || !wire_is_pure_ack(p->pkt, &t))
		return p->pkt->at;
	return (p->pkt->at / period + 1) * period;
}

const char *wire_order(struct passing *p)
{
	struct sim_wire *w = p->w;

	p->pkt->at += w->cfg.delay_ns;
	if (w->cfg.jitter_ns && sim_one_in(&w->rng, 8))
		p->pkt->at += sim_log(&w->rng, w->cfg.jitter_ns);
	if (sim_ppm(&w->rng, w->cfg.reorder_ppm)) {
		w->reordered++;
		p->pkt->at += sim_log(&w->rng, w->cfg.reorder_ns);
	} else {
		p->pkt->at = mr_max(gathered(p), w->last_at);
		w->last_at = p->pkt->at;
	}
	return NULL;
}

const char *wire_duplicate(struct passing *p)
{
	struct sim_wire *w = p->w;

	if (sim_ppm(&w->rng, w->cfg.dup_ppm)) {
		w->duplicated++;
		sim_wire_deliver(p->sim, p->pkt->to,
				 p->pkt->at + sim_below(&w->rng, w->cfg.reorder_ns + 1),
				 p->pkt->data, p->pkt->len);
	}
	return NULL;
}

/* Reordering by count: it waits for some others to pass; when none come, not longer than hold_ns. It is
 * under way from now on. */
const char *wire_hold(struct passing *p)
{
	struct sim_wire *w = p->w;

	if (!sim_ppm(&w->rng, w->cfg.hold_ppm))
		return NULL;
	for (unsigned i = 0; i < SIM_HELD_MAX; i++) {
		struct sim_held *h = &w->held[i];

		if (h->left)
			continue;
		h->left = (uint32_t)sim_log(&w->rng, w->cfg.hold_most);
		h->order = sim_wire_deliver(p->sim, p->pkt->to, p->pkt->at + w->cfg.hold_ns,
					    p->pkt->data, p->pkt->len);
		w->reordered++;
		return "held back";
	}
	return NULL;
}

void wire_release(struct passing *p)
{
	for (unsigned i = 0; i < SIM_HELD_MAX; i++) {
		struct sim_held *h = &p->w->held[i];

		if (h->left && !--h->left)
			flight_hasten(p->sim, h->order, p->pkt->at);
	}
}
