/* SPDX-License-Identifier: BSD-2-Clause */
/* rng.h - the engine's only source of randomness: seeded, repeatable (xoshiro256**, seeded by
 * splitmix64). Not for secrets that a peer could work out from outputs: those are hashed with a key
 * (hash.h). */
#ifndef MR_BASE_RNG_H
#define MR_BASE_RNG_H

#include <stdint.h>

struct mr_rng {
	uint64_t s[4];
};

void mr_rng_init(struct mr_rng *rng, uint64_t seed);
uint64_t mr_rng_u64(struct mr_rng *rng);
/* Uniform in [0, bound); bound 0 gives 0. */
uint32_t mr_rng_below(struct mr_rng *rng, uint32_t bound);

#endif
