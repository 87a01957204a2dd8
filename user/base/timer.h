/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timer.h - hierarchical timer wheel. Arm, move and cancel are O(1); nothing is called back: the owner
 * of the wheel pops what has expired and looks at its kind. Expiry is never early, and late by less
 * than one tick (MR_TICK_NS) at level 0; deadlines far away are moved inwards as they come near, so
 * that holds for every deadline.
 */
#ifndef MR_BASE_TIMER_H
#define MR_BASE_TIMER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"

#define MR_TICK_SHIFT	   16 /* one tick is 65.536 us */
#define MR_TICK_NS	   (1ull << MR_TICK_SHIFT)
#define MR_WHEEL_LEVELS	   6
#define MR_WHEEL_SLOT_BITS 6
#define MR_WHEEL_SLOTS	   (1u << MR_WHEEL_SLOT_BITS) /* reach: 64^6 ticks, 52 days; beyond: clamped */

/* Who embeds the timer, so that the popper can find the object. */
enum mr_timer_kind {
	MR_TIMER_TCB = 1,
	MR_TIMER_SYN, /* SYN-RECEIVED request */
	MR_TIMER_TIMEWAIT,
	MR_TIMER_NEIGH,
	MR_TIMER_ARP_ANNOUNCE,
	MR_TIMER_ND,	 /* duplicate address detection, router solicitation, MLD */
	MR_TIMER_ROUTER, /* the lifetime of a default router */
	MR_TIMER_REASM,	 /* a datagram that came in fragments, not whole yet */
};

struct mr_timer {
	struct mr_list node;
	uint64_t expires; /* ns; meaningful while armed */
	uint8_t kind;	  /* enum mr_timer_kind */
	uint8_t level, slot;
	bool armed; /* for mr_timer_salvage(), when the lists may be damaged */
};

struct mr_wheel {
	uint64_t tick;			   /* all ticks before this one have been popped */
	uint64_t pending[MR_WHEEL_LEVELS]; /* bitmap of non-empty slots */
	struct mr_list slots[MR_WHEEL_LEVELS][MR_WHEEL_SLOTS];
	struct mr_list due; /* expired, not popped yet, in order of tick */
	uint32_t armed;
};

void mr_wheel_init(struct mr_wheel *w, uint64_t now);
void mr_timer_init(struct mr_timer *t, enum mr_timer_kind kind);
static inline bool mr_timer_armed(const struct mr_timer *t)
{
	return !mr_list_empty(&t->node);
}
/* Arm or move. A deadline in the past expires at the next pop. */
void mr_timer_arm(struct mr_wheel *w, struct mr_timer *t, uint64_t expires);
/* Harmless when not armed. */
void mr_timer_cancel(struct mr_wheel *w, struct mr_timer *t);

/* Repair after a process died in the middle of a change: w was initialised anew; put t back if it was armed. */
void mr_timer_salvage(struct mr_wheel *w, struct mr_timer *t);

/* The next timer with expires <= now, disarmed; NULL when there is none. Order is that of the ticks,
 * within one tick that of arming. */
struct mr_timer *mr_wheel_pop(struct mr_wheel *w, uint64_t now);

/* A time not later than the earliest deadline rounded up to its tick, and later than `now` unless
 * something is due; MR_TIME_NEVER when nothing is armed. Sleeping until then and popping makes
 * progress, though perhaps nothing expires at once (a far slot is moved inwards). */
uint64_t mr_wheel_next(const struct mr_wheel *w);

#endif
