// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_lead.c - which thread polls the device and runs the rounds, for all threads of all processes.
 * Owns        mr_commons.leader and awake, and the statistics of how threads come and go.
 *
 * At most one of the sleeping threads leads: it polls the device while it sleeps, and runs the rounds for all.
 *
 * The last thread that goes to sleep takes the lead. While another thread is awake and calls often, nobody leads:
 * that thread runs the rounds, when it waits or within its calls (share_round_in_passing()). So a packet only wakes
 * the thread that waits for it. If its calls turn out to be too far apart, the next thread that goes to sleep leads
 * again, and for a while no thread is relied upon like this (share_distrust()).
 *
 * A leader that wakes up with work of its own, as the last one awake, hands the lead over only if it usually stays
 * away for long: for a server that is back after a few microseconds, that would cost two wake-ups per request. While
 * nobody leads, the keeper looks at the device every few milliseconds.
 */
#include "base/compiler.h"
#include "engine/share_priv.h"

#define AWAY_LONG_NS (200 * MR_NS_PER_US) /* longer than this: another thread is woken to lead */
#define AWAY_SHIFT   2u			  /* weight of the newest sample: 1/4 */

/* A thread whose last call is not longer ago will soon call again. */
#define AROUND_NS    (100 * MR_NS_PER_US)
#define AROUND_LOOKS 4u			 /* how many of the awake threads are examined */
#define LOOK_NS	     (20 * MR_NS_PER_US) /* time between two checks of the device */
/* Longest time without a round; less than the keeper's wait. */
#define ROUND_NS (500 * MR_NS_PER_US)
/* If the mean time between calls is longer, the awake threads are not relied upon for DISTRUST_NS. */
#define GAP_LONG_NS (60 * MR_NS_PER_US)
#define DISTRUST_NS (100 * MR_NS_PER_MS)
#define GAP_MOST_NS (300 * MR_NS_PER_US) /* limit for a single sample */
#define GAP_SHIFT   3u			 /* weight of the newest sample: 1/8 */

/* ---- Who is awake ---------------------------------------------------------------------------- */

/* w's thread is busy in its program from now on. A thread of a confined process does not count, because it cannot run
 * rounds. */
void share_stay_awake(struct mr_share *share, struct mr_waiter *w)
{
	mr_list_del(&w->awake_node);
	if (w->passive)
		return;
	w->seen_at = share->engine->st->now;
	mr_list_add_head(&share->c->awake, &w->awake_node);
}

/* Is a thread awake that has called a moment ago, and so will soon call again? */
static bool somebody_is_around(const struct mr_share *share)
{
	const struct mr_commons *c = share->c;
	uint64_t now = share->engine->st->now;
	const struct mr_list *pos;
	unsigned looks = 0;

	if (!c->kept || now < c->trust_at)
		return false;
	mr_list_for_each (pos, &c->awake) {
		if (now - mr_list_entry(pos, struct mr_waiter, awake_node)->seen_at < AROUND_NS)
			return true;
		if (++looks == AROUND_LOOKS)
			break;
	}
	return false;
}

void share_distrust(struct mr_share *share)
{
	struct mr_commons *c = share->c;

	c->trust_at = share->engine->st->now + DISTRUST_NS;
	c->gap_ns = 0;
	c->counted_on = false;
}

void share_round_seen(struct mr_share *share)
{
	struct mr_commons *c = share->c;
	uint64_t now = share->engine->st->now;

	if (c->counted_on) {
		c->gap_ns += (mr_min(now - c->seen_at, GAP_MOST_NS) >> GAP_SHIFT) -
			     (c->gap_ns >> GAP_SHIFT);
		if (c->gap_ns > GAP_LONG_NS)
			share_distrust(share);
	}
	c->looked_at = now;
}

void share_seen_off(struct mr_share *share)
{
	struct mr_commons *c = share->c;
	const struct share_thread *t;
	uint64_t now;

	if (mr_list_empty(&c->sleepers) || share->confined)
		return;
	now = engine_clock(share->engine);
	c->seen_at = now;
	t = pthread_getspecific(share->key);
	if (t && t->w)
		t->w->seen_at = now;
}

/* While threads sleep, check the device for them every LOOK_NS. While none sleeps, the awake ones make calls that do
 * not wait: then a round every ROUND_NS is enough to keep the keeper away, which would take the lock for each packet.
 * That round is run even if nothing has arrived, because it also returns buffers that the program has freed to the
 * device. */
void share_round_in_passing(struct mr_share *share)
{
	struct mr_engine *engine = share->engine;
	struct mr_commons *c = share->c;
	uint64_t now = engine->st->now;
	bool overdue = now - engine->st->round_at >= ROUND_NS;
	bool look = !mr_list_empty(&c->sleepers) && now - c->looked_at >= LOOK_NS;

	if (share->confined || c->over || c->leader || (!overdue && !look))
		return;
	share_round_seen(share);
	share_drive(share);
	if (overdue || engine->dev->ops->rx_ready(engine->dev) ||
	    mr_engine_next(engine, now) <= now)
		mr_engine_input(engine, now);
}

/* ---- Leading --------------------------------------------------------------------------------- */

/* The lead passes to the thread that has slept longest, of those that can lead and can be woken from this process.
 * The keeper could wake the others, but if it is stopped, nobody would lead. */
static void hand_over(struct mr_share *share)
{
	struct mr_commons *c = share->c;
	struct mr_list *pos;

	mr_list_for_each (pos, &c->sleepers) {
		struct mr_waiter *w = mr_list_entry(pos, struct mr_waiter, node);

		if (w->passive)
			continue;
		if (w->asleep && share->events[w->index] < 0) {
			share->wanted = (int)w->index;
			continue;
		}
		c->leader = w;
		break;
	}
	if (!c->leader)
		return;
	c->counted_on = false;
	c->leader->until = 0;
	if (c->leader->asleep)
		share_write_event(share, c->leader);
}

/* This thread leads. If the keeper led so far, wake it, because it sleeps differently now. */
static void lead(struct mr_share *share, struct mr_waiter *w)
{
	struct mr_commons *c = share->c;

	if (c->leader == share_keeper(c) && c->leader->asleep)
		share_write_event(share, c->leader);
	c->leader = w;
	c->counted_on = false;
}

/* Nobody leads: the awake threads run the rounds until they sleep, too. */
static void count_on_others(struct mr_share *share)
{
	struct mr_commons *c = share->c;

	c->leader = NULL;
	c->counted_on = true;
	if (c->keeper_sound)
		share_write_event(share, share_keeper(c));
}

/* The keeper leads, if nobody else does. */
static void let_keeper_lead(struct mr_share *share)
{
	struct mr_commons *c = share->c;

	if (c->leader)
		return;
	c->leader = share_keeper(c);
	c->leader->until = 0;
	share_write_event(share, c->leader);
}

bool share_take_lead(struct mr_share *share, struct mr_waiter *w)
{
	struct mr_commons *c = share->c;
	const struct mr_waiter *keeper = share_keeper(c);

	if (w->passive) {
		let_keeper_lead(share);
		return false;
	}
	if (c->leader && c->leader != w && c->leader != keeper)
		return false;
	if (c->leader != keeper && somebody_is_around(share)) {
		count_on_others(share);
		return false;
	}
	lead(share, w);
	return true;
}

void share_leader_check(struct mr_share *share)
{
	struct mr_waiter *leader = share->c->leader;

	if (leader && leader->asleep &&
	    mr_engine_next(share->engine, share->engine->st->now) < leader->until)
		share_write_event(share, leader);
}

void share_come(struct mr_share *share, struct mr_waiter *w)
{
	uint64_t away = share->engine->st->now - w->left_at;

	w->passive = share->confined;
	mr_list_del(&w->awake_node);
	if (w->left_at)
		w->away_ns += (away >> AWAY_SHIFT) - (w->away_ns >> AWAY_SHIFT);
}

void share_leave_wait(struct mr_share *share, struct mr_waiter *w)
{
	struct mr_commons *c = share->c;
	bool others = somebody_is_around(share);

	w->left_at = share->engine->st->now;
	share_stay_awake(share, w);
	if (c->leader != w)
		return;
	c->leader = NULL;
	c->counted_on = others;
	if (!others && (w->away_ns > AWAY_LONG_NS || !c->kept))
		hand_over(share);
	if (!c->leader && c->kept && c->keeper_sound)
		share_write_event(share, share_keeper(c));
}
