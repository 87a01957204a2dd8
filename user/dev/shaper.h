/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shaper.h - a token bucket for transmit. Tokens are bytes of the Ethernet frame, with its header but without preamble
 * and inter-packet gap. It reads no clock: the time is an argument.
 */
#ifndef MR_DEV_SHAPER_H
#define MR_DEV_SHAPER_H

#include <stdint.h>

struct mr_shaper {
	uint64_t rate_bps;    /* bits per second; 0: no limit */
	uint64_t burst_bytes; /* depth of the bucket */
	uint64_t next_ns;     /* ns: when all that was sent will have left at this rate (GCRA) */
};

/* rate_bps 0: no limit. burst_bytes 0: what the rate allows in 10 ms, at least one packet of 64 KiB and its header. */
void mr_shaper_init(struct mr_shaper *s, uint64_t rate_bps, uint64_t burst_bytes, uint64_t now);
/* 0: the packet may be sent now, and was accounted for. Otherwise the time in ns at which it may be sent. */
uint64_t mr_shaper_take(struct mr_shaper *s, uint32_t bytes, uint64_t now);

#endif
