// SPDX-License-Identifier: BSD-2-Clause
/*
 * queue.c - a link of a given rate and the queue in front of it: drop-tail, with marks above a
 * threshold (the switch of RFC 8257 section 3.1), or CoDel.
 * Implements  RFC 8289 section 5 (CoDel), with its target of 5 ms and interval of 100 ms.
 */
#include <stdlib.h>
#include "base/time.h"
#include "packet.h"
#include "queue.h"
#include "wire.h"

#define CODEL_TARGET_NS	  (5 * MR_NS_PER_MS)
#define CODEL_INTERVAL_NS (100 * MR_NS_PER_MS)
#define MTU		  1514u /* as much in the queue is no standing queue */

void sim_queue_init(struct sim_queue *q, const struct sim_queue_cfg *cfg)
{
	*q = (struct sim_queue){ .cfg = *cfg, .done_at = MR_TIME_NEVER };
}

static void mark_or_drop(struct sim_queue *q, struct sim_pkt **p)
{
	if (pkt_set_ce((*p)->data, (*p)->len)) {
		q->marked++;
		return;
	}
	q->dropped++;
	free(*p);
	*p = NULL;
}

/* ---- CoDel ----------------------------------------------------------------------------------- */

static uint64_t control_law(uint64_t t, uint32_t count)
{
	uint64_t square = (uint64_t)count << 20, root = 1;

	while ((root + 1) * (root + 1) <= square) {
		uint64_t next = (root + square / root) / 2;

		if (next == root)
			break;
		root = next;
	}
	return t + (CODEL_INTERVAL_NS << 10) / root; /* root: sqrt(count) * 2^10 */
}

static struct sim_pkt *pop(struct sim_queue *q)
{
	struct sim_pkt *p = q->head;

	if (!p)
		return NULL;
	q->head = p->next;
	if (!q->head)
		q->tail = NULL;
	q->bytes -= p->len;
	return p;
}

/* May a packet be dropped now, because there has been a standing queue for an interval? */
static bool ok_to_drop(struct sim_queue *q, const struct sim_pkt *p, uint64_t now)
{
	struct sim_codel *c = &q->codel;

	if (!p || now - p->at < CODEL_TARGET_NS || q->bytes <= MTU) {
		c->above_since = 0;
		return false;
	}
	if (!c->above_since)
		c->above_since = now + CODEL_INTERVAL_NS;
	return now >= c->above_since;
}

/* One packet leaves the queue for the link; NULL: it is empty. */
static struct sim_pkt *codel_dequeue(struct sim_queue *q, uint64_t now)
{
	struct sim_codel *c = &q->codel;
	struct sim_pkt *p = pop(q);
	bool drop = ok_to_drop(q, p, now);

	if (c->dropping && !drop)
		c->dropping = false;
	while (c->dropping && now >= c->drop_next) {
		c->count++;
		c->drop_next = control_law(c->drop_next, c->count);
		mark_or_drop(q, &p);
		if (p) /* marked: it goes */
			return p;
		p = pop(q);
		if (!ok_to_drop(q, p, now))
			c->dropping = false;
	}
	if (!c->dropping && drop && p) {
		uint32_t delta = c->count - c->last_count;

		c->dropping = true;
		c->count = delta > 1 && now - c->drop_next < 16 * CODEL_INTERVAL_NS ? delta : 1;
		c->drop_next = control_law(now, c->count);
		c->last_count = c->count;
		mark_or_drop(q, &p);
		if (!p) {
			p = pop(q);
			ok_to_drop(q, p, now);
		}
	}
	return p;
}

/* ---- The link -------------------------------------------------------------------------------- */

/* Put the next packet on the link. It stays the head while it is there. */
static void begin(struct sim_queue *q, uint64_t now)
{
	struct sim_pkt *p;

	q->done_at = MR_TIME_NEVER;
	if (q->cfg.codel) {
		p = codel_dequeue(q, now);
		if (p) {
			p->next = q->head;
			q->head = p;
			q->tail = q->tail ? q->tail : p;
			q->bytes += p->len;
		}
	}
	if (q->head)
		q->done_at = now + q->head->len * 8ull * MR_NS_PER_S / q->cfg.rate_bps;
}

bool sim_queue_put(struct sim_queue *q, struct sim_pkt *p, uint64_t now)
{
	if (q->bytes && q->bytes + p->len > q->cfg.limit) {
		q->overflowed++;
		return false;
	}
	if (q->cfg.mark_above && q->bytes > q->cfg.mark_above && pkt_set_ce(p->data, p->len))
		q->marked++;
	p->at = now;
	p->next = NULL;
	if (q->tail)
		q->tail->next = p;
	else
		q->head = p;
	q->tail = p;
	q->bytes += p->len;
	q->most_bytes = q->bytes > q->most_bytes ? q->bytes : q->most_bytes;
	if (q->done_at == MR_TIME_NEVER)
		begin(q, now);
	return true;
}

struct sim_pkt *sim_queue_take(struct sim_queue *q, uint64_t now)
{
	struct sim_pkt *p;

	if (q->done_at > now)
		return NULL;
	p = pop(q);
	begin(q, q->done_at);
	return p;
}

void sim_queue_free(struct sim_queue *q)
{
	struct sim_pkt *p;

	while ((p = pop(q)))
		free(p);
	q->done_at = MR_TIME_NEVER;
}
