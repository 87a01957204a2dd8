// SPDX-License-Identifier: BSD-2-Clause
/*
 * fill_depth.c - the rule for the depth of the FILL rings: it grows at once, and falls by half after a time in which
 * less was needed.
 * Authority   RFC 6928 (initial window) and RFC 2861 (it applies again after idleness) for what one peer sends at once.
 * Called by   afxdp_rx.c, once a round.
 */
#include "base/compiler.h"
#include "base/time.h"
#include "dev/fill_depth.h"

/* Chunks for each that was found. A sender in slow start doubles what it sends in a round trip. */
#define BURST 8u
/* Chunks for each connection: a peer that has not sent full segments lately may send ten of them at once, and no more. */
#define INITIAL_WINDOW 10u
/* No segment that is shorter than this is full: the least MTU of IPv6. A packet of several chunks fills all but the
 * last. */
#define FULL_BYTES 1280u
/* The depth falls no sooner than this after it changed last: after the last full segment three times, before it is at
 * an eighth, which is longer than Linux's shortest retransmission timeout, after which a sender begins anew. */
#define LOWER_NS (100 * MR_NS_PER_MS)
/* Who looks no more often than this is late. Then the application computes, or other programs have the processor;
 * when that takes more than an eighth of the time, the next burst meets it, too. */
#define LATE_NS	  (256 * MR_NS_PER_US)
#define LATE_MOST (LOWER_NS / 8)

void mr_fill_depth_init(struct mr_fill_depth *d, uint32_t least, uint32_t most)
{
	*d = (struct mr_fill_depth){
		.now = most,
		.least = least ? mr_min(least, most) : most,
		.most = most,
	};
}

static void set(struct mr_fill_depth *d, uint32_t depth, uint64_t now)
{
	d->now = mr_max(depth, d->least);
	d->needed = 0;
	d->late_ns = 0;
	d->lower_at = now + LOWER_NS;
}

static uint32_t need(const struct mr_fill_depth *d, const struct mr_fill_seen *seen)
{
	uint64_t more = (uint64_t)BURST * seen->waiting;
	uint64_t idle = (uint64_t)INITIAL_WINDOW * seen->peers, n = mr_max(more, idle);

	if (seen->longest >= FULL_BYTES || d->late_ns > LATE_MOST)
		return d->most;
	return (uint32_t)mr_min(n, (uint64_t)d->most);
}

void mr_fill_depth_look(struct mr_fill_depth *d, const struct mr_fill_seen *seen, uint64_t now)
{
	uint64_t since;

	if (d->least == d->most)
		return;
	if (!d->looked_at) { /* the ring was full for whatever time that was */
		d->looked_at = now;
		set(d, d->now, now);
	}
	since = now - d->looked_at;
	d->looked_at = now;
	if (since > LATE_NS)
		d->late_ns += since;
	d->needed = mr_max(d->needed, need(d, seen));
	if (d->needed >= d->now)
		set(d, d->needed, now);
	else if (now >= d->lower_at)
		set(d, mr_max(d->needed, d->now / 2), now);
}

void mr_fill_depth_rest(struct mr_fill_depth *d)
{
	d->now = d->most;
	d->looked_at = 0;
}
