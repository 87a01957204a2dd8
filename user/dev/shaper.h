/* SPDX-License-Identifier: BSD-2-Clause */
/* shaper.h - token bucket on transmit. Tokens are bytes on the Ethernet link (header included,
 * preamble and gap not); pure arithmetic on `now`. */
#ifndef MR_DEV_SHAPER_H
#define MR_DEV_SHAPER_H

#include <stdint.h>

struct mr_shaper {
	uint64_t rate_bps;    /* bits per second; 0: no limit */
	uint64_t burst_bytes; /* depth of the bucket */
	uint64_t next_ns;     /* virtual finish time of what was sent (GCRA) */
};

/* burst 0: 10 ms worth of the rate, at least one packet of 64 KiB + header. */
void mr_shaper_init(struct mr_shaper *s, uint64_t rate_bps, uint64_t burst_bytes, uint64_t now);
/* 0: the packet may go now and is accounted; else the time (ns) at which it may. */
uint64_t mr_shaper_take(struct mr_shaper *s, uint32_t bytes, uint64_t now);

#endif
