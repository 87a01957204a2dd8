// SPDX-License-Identifier: BSD-2-Clause
/*
 * timer.c - the hierarchical timer wheel.
 * Owns        every armed timer's place: a slot of a level, or the due list.
 * Called by   the layers (arm, cancel) and the engine (pop, next), on the engine's thread only.
 *
 * A deadline is the tick that it rounds up to, read as digits of base 64. A timer stands at the
 * level of the highest digit in which its tick differs from the wheel's, in the slot of that digit.
 * So two timers of one tick always share a place (which keeps the order of arming), a slot of a
 * level above 0 comes up exactly when the wheel's lower digits are 0, and it is then spread over
 * the levels below before anything in it is due. The top level is circular: it has no digit above
 * it to agree with.
 */
#include <assert.h>
#include "base/compiler.h"
#include "base/time.h"
#include "base/timer.h"

#define SLOT_MASK (MR_WHEEL_SLOTS - 1)
#define TOP	  (MR_WHEEL_LEVELS - 1u)
#define ON_DUE	  MR_WHEEL_LEVELS /* mr_timer.level of a timer on the due list */

static inline unsigned level_shift(unsigned level)
{
	return level * MR_WHEEL_SLOT_BITS;
}

static inline unsigned digit(uint64_t tick, unsigned level)
{
	return (unsigned)(tick >> level_shift(level)) & SLOT_MASK;
}

/* Never early: the first tick that begins at or after expires. */
static inline uint64_t tick_of(uint64_t expires)
{
	return (expires >> MR_TICK_SHIFT) + !!(expires & (MR_TICK_NS - 1));
}

static void place(struct mr_wheel *w, struct mr_timer *t)
{
	uint64_t tick = tick_of(t->expires), last, diff;
	unsigned level;

	if (tick < w->tick) {
		t->level = ON_DUE;
		mr_list_add_tail(&w->due, &t->node);
		return;
	}
	/* Beyond the reach: the farthest slot; it is looked at again from there. */
	last = ((w->tick >> level_shift(TOP)) + SLOT_MASK) << level_shift(TOP);
	tick = mr_min(tick, last);
	diff = tick ^ w->tick;
	level = diff ? (unsigned)(63 - __builtin_clzll(diff)) / MR_WHEEL_SLOT_BITS : 0;
	t->level = (uint8_t)mr_min(level, TOP);
	t->slot = (uint8_t)digit(tick, t->level);
	mr_list_add_tail(&w->slots[t->level][t->slot], &t->node);
	w->pending[t->level] |= 1ull << t->slot;
}

static void unlink_timer(struct mr_wheel *w, struct mr_timer *t)
{
	mr_list_del(&t->node);
	if (t->level != ON_DUE && mr_list_empty(&w->slots[t->level][t->slot]))
		w->pending[t->level] &= ~(1ull << t->slot);
}

/* The first tick >= w->tick at which a slot comes up; UINT64_MAX when all are empty. */
static uint64_t next_tick(const struct mr_wheel *w)
{
	uint64_t best = UINT64_MAX;

	for (unsigned level = 0; level < MR_WHEEL_LEVELS; level++) {
		unsigned shift = level_shift(level), cur = digit(w->tick, level), ahead;
		uint64_t base = w->tick >> shift, bits = w->pending[level];

		if (!bits)
			continue;
		/* Turned so that bit 0 is the current slot. Below the top nothing wraps: slots
		 * before the current one are empty there. */
		bits = bits >> cur | bits << ((MR_WHEEL_SLOTS - cur) & SLOT_MASK);
		ahead = (unsigned)__builtin_ctzll(bits);
		best = mr_min(best, (base + ahead) << shift);
	}
	return best;
}

/* Move the wheel on; no slot comes up between w->tick and tick. Slots above level 0 that come up at
 * tick are spread over the levels below, the highest first since it may fill a lower one. */
static void advance(struct mr_wheel *w, uint64_t tick)
{
	if (tick <= w->tick)
		return;
	w->tick = tick;
	for (unsigned level = TOP; level > 0; level--) {
		struct mr_list *slot = &w->slots[level][digit(tick, level)];

		while (!mr_list_empty(slot)) {
			struct mr_timer *t = mr_list_first(slot, struct mr_timer, node);

			unlink_timer(w, t);
			place(w, t);
		}
	}
}

/* Level 0's slot of the current tick is due, in the order of arming. */
static void collect(struct mr_wheel *w)
{
	struct mr_list *slot = &w->slots[0][digit(w->tick, 0)];

	while (!mr_list_empty(slot)) {
		struct mr_timer *t = mr_list_first(slot, struct mr_timer, node);

		unlink_timer(w, t);
		t->level = ON_DUE;
		mr_list_add_tail(&w->due, &t->node);
	}
}

void mr_wheel_init(struct mr_wheel *w, uint64_t now)
{
	w->tick = now >> MR_TICK_SHIFT;
	w->armed = 0;
	mr_list_init(&w->due);
	for (unsigned level = 0; level < MR_WHEEL_LEVELS; level++) {
		w->pending[level] = 0;
		for (unsigned slot = 0; slot < MR_WHEEL_SLOTS; slot++)
			mr_list_init(&w->slots[level][slot]);
	}
}

void mr_timer_init(struct mr_timer *t, enum mr_timer_kind kind)
{
	*t = (struct mr_timer){ .kind = (uint8_t)kind };
	mr_list_init(&t->node);
}

void mr_timer_arm(struct mr_wheel *w, struct mr_timer *t, uint64_t expires)
{
	mr_timer_cancel(w, t);
	t->expires = expires;
	t->armed = true;
	place(w, t);
	w->armed++;
}

void mr_timer_cancel(struct mr_wheel *w, struct mr_timer *t)
{
	if (!mr_timer_armed(t))
		return;
	assert(w->armed);
	t->armed = false;
	unlink_timer(w, t);
	w->armed--;
}

void mr_timer_salvage(struct mr_wheel *w, struct mr_timer *t)
{
	bool armed = t->armed;

	mr_list_init(&t->node);
	if (armed)
		mr_timer_arm(w, t, t->expires);
}

struct mr_timer *mr_wheel_pop(struct mr_wheel *w, uint64_t now)
{
	uint64_t now_tick = now >> MR_TICK_SHIFT, tick;
	struct mr_timer *t;

	while (mr_list_empty(&w->due)) {
		if (now_tick < w->tick) /* still within the tick of the last call */
			return NULL;
		tick = next_tick(w);
		if (tick > now_tick) {
			advance(w, now_tick + 1);
			return NULL;
		}
		advance(w, tick);
		collect(w);
		advance(w, tick + 1);
	}
	t = mr_list_first(&w->due, struct mr_timer, node);
	mr_list_del(&t->node);
	t->armed = false;
	w->armed--;
	return t;
}

uint64_t mr_wheel_next(const struct mr_wheel *w)
{
	uint64_t tick;

	if (!mr_list_empty(&w->due))
		return 0;
	tick = next_tick(w);
	return tick == UINT64_MAX ? MR_TIME_NEVER : tick << MR_TICK_SHIFT;
}
