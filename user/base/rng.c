// SPDX-License-Identifier: BSD-2-Clause
/*
 * rng.c - xoshiro256** (Blackman and Vigna, 2018), its state filled by splitmix64 from one seed.
 */
#include "base/rng.h"

static inline uint64_t rotl(uint64_t x, unsigned k)
{
	return x << k | x >> (64 - k);
}

static uint64_t splitmix64(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void mr_rng_init(struct mr_rng *rng, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		rng->s[i] = splitmix64(&seed);
}

uint64_t mr_rng_u64(struct mr_rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

/* Multiply and take the high half; the few low halves that would favour some results are drawn
 * again (Lemire, "Fast random integer generation in an interval", 2019). */
uint32_t mr_rng_below(struct mr_rng *rng, uint32_t bound)
{
	uint64_t m = (mr_rng_u64(rng) >> 32) * bound;

	if ((uint32_t)m < bound) {
		uint32_t unfair = -bound % bound;

		while ((uint32_t)m < unfair)
			m = (mr_rng_u64(rng) >> 32) * bound;
	}
	return (uint32_t)(m >> 32);
}
