/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * latency.h - a histogram of latencies with a bounded relative error: 32 buckets for each power of two of
 * nanoseconds, so a percentile is at most 3 % too high.
 */
#ifndef MR_BENCH_LATENCY_H
#define MR_BENCH_LATENCY_H

#include <stdint.h>
#include <stdio.h>

#define LATENCY_SUB	32u
#define LATENCY_BUCKETS (64u * LATENCY_SUB)

struct latency {
	uint64_t count, sum_ns, max_ns;
	uint64_t bucket[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, uint64_t ns);
/* The latency that `fraction` (0..1) of all samples do not exceed, ns; 0 without samples. */
uint64_t latency_quantile(const struct latency *l, double fraction);
/* As members of a JSON object, without braces: percentiles in microseconds, and "cdf" as pairs of
 * microseconds and fraction. */
void latency_print_json(const struct latency *l, FILE *out);

#endif
