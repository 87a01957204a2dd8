/* SPDX-License-Identifier: BSD-2-Clause */
/* rng.h - the simulator's own randomness (splitmix64), apart from the engines': a change in how an
 * engine draws numbers does not change what the wire does to it. */
#ifndef MR_TESTS_SIM_RNG_H
#define MR_TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct sim_rng {
	uint64_t s;
};

static inline uint64_t sim_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint64_t sim_rand(struct sim_rng *r)
{
	r->s += 0x9e3779b97f4a7c15ull;
	return sim_mix(r->s);
}

/* Uniform in [0, n); 0 for n == 0. The bias of the modulus does not matter here. */
static inline uint64_t sim_below(struct sim_rng *r, uint64_t n)
{
	return n ? sim_rand(r) % n : 0;
}

/* Uniform in [lo, hi]. */
static inline uint64_t sim_range(struct sim_rng *r, uint64_t lo, uint64_t hi)
{
	return lo + sim_below(r, hi - lo + 1);
}

/* True once in n. */
static inline bool sim_one_in(struct sim_rng *r, uint64_t n)
{
	return sim_below(r, n) == 0;
}

static inline bool sim_ppm(struct sim_rng *r, uint32_t ppm)
{
	return ppm && sim_below(r, 1000000) < ppm;
}

/* In [1, max], every order of magnitude equally likely: small values are as common as large ones. */
static inline uint64_t sim_log(struct sim_rng *r, uint64_t max)
{
	unsigned bits = 0;
	uint64_t v;

	while (max >> bits)
		bits++;
	v = 1ull << sim_below(r, bits);
	v += sim_below(r, v);
	return v < max ? v : max;
}

#endif
