// SPDX-License-Identifier: BSD-2-Clause
/*
 * shaper.c - a token bucket as virtual scheduling: the generic cell rate algorithm of ITU-T I.371.
 * Instead of a level that is refilled, next_ns holds when all that was sent would have left at
 * exactly the rate. The bucket is full when that is not in the future, empty when it is one burst
 * ahead.
 * Called by   port.c, once per packet.
 */
#include "base/compiler.h"
#include "base/time.h"
#include "dev/shaper.h"

#define BURST_MIN_BYTES (65536u + 18u) /* the longest packet, Ethernet header and VLAN tag */

/* Time on a link of the rate, rounded up: never faster than asked. */
static uint64_t duration_ns(const struct mr_shaper *s, uint64_t bytes)
{
	unsigned __int128 bit_ns = (unsigned __int128)bytes * 8 * MR_NS_PER_S;

	return (uint64_t)((bit_ns + s->rate_bps - 1) / s->rate_bps);
}

void mr_shaper_init(struct mr_shaper *s, uint64_t rate_bps, uint64_t burst_bytes, uint64_t now)
{
	*s = (struct mr_shaper){
		.rate_bps = rate_bps,
		.burst_bytes = burst_bytes ?: mr_max(rate_bps / 8 / 100, (uint64_t)BURST_MIN_BYTES),
		.next_ns = now,
	};
}

uint64_t mr_shaper_take(struct mr_shaper *s, uint32_t bytes, uint64_t now)
{
	uint64_t depth, cost, start, finish;

	if (!s->rate_bps)
		return 0;
	cost = duration_ns(s, bytes);
	/* A packet larger than the bucket goes when the bucket is full: else it never would. */
	depth = mr_max(duration_ns(s, s->burst_bytes), cost);
	start = mr_max(s->next_ns, now);
	finish = start + cost;
	if (finish - now > depth)
		return finish - depth;
	s->next_ns = finish;
	return 0;
}
