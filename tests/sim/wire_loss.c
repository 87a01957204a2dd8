// SPDX-License-Identifier: BSD-2-Clause
/*
 * wire_loss.c - packets that do not arrive: each by itself, in bursts, and ACKs.
 *
 * Bursts are a Gilbert-Elliott chain of two states that is asked once for each packet. A bad state ends
 * by its own odds or after burst_ns, whichever is first: what fades does so in time, also when hardly
 * anything is sent, and a handshake must not be lost in it whole.
 */
#include "base/compiler.h"
#include "packet.h"
#include "tcp/tcp_wire.h"
#include "wire.h"

static bool burst_eats(struct passing *p)
{
	struct sim_wire *w = p->w;

	if (!w->cfg.burst_begin_ppm)
		return false;
	if (w->bad && (p->sim->now >= w->bad_until || sim_ppm(&w->rng, w->cfg.burst_end_ppm))) {
		w->bad = false;
	} else if (!w->bad && sim_ppm(&w->rng, w->cfg.burst_begin_ppm)) {
		w->bad = true;
		w->bad_until = p->sim->now + w->cfg.burst_ns;
		w->bursts++;
	}
	return w->bad && sim_ppm(&w->rng, w->cfg.burst_loss_ppm);
}

bool wire_is_pure_ack(const struct sim_pkt *pkt, struct pkt_tcp *t)
{
	return pkt_tcp_parse(pkt->data, pkt->len, t) && t->flags == MR_TCP_ACK && !t->len;
}

/* The same ACK is not lost twice in a row: what must be said again was needed, and a handshake whose ACK
 * never comes is another subject. */
static bool ack_eaten(struct passing *p)
{
	struct sim_wire *w = p->w;
	struct pkt_tcp t;
	uint32_t *last;

	if (!sim_ppm(&w->rng, w->cfg.ack_loss_ppm) || !wire_is_pure_ack(p->pkt, &t))
		return false;
	last = &w->lost_ack[(t.sport ^ t.dport) % SIM_ACKS];
	if (*last == t.ack)
		return false;
	*last = t.ack;
	return true;
}

const char *wire_loss(struct passing *p)
{
	struct sim_wire *w = p->w;

	if (p->spared)
		return NULL;
	if (sim_ppm(&w->rng, w->cfg.loss_ppm)) {
		w->lost++;
		return "lost";
	}
	if (burst_eats(p)) {
		w->lost++;
		return "lost in a burst";
	}
	if (ack_eaten(p)) {
		w->lost++;
		return "ACK lost";
	}
	return NULL;
}
