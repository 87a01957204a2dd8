// SPDX-License-Identifier: BSD-2-Clause
/* latency.c - see latency.h. */
#include "latency.h"

static unsigned bucket_of(uint64_t ns)
{
	unsigned log;

	if (ns < LATENCY_SUB)
		return (unsigned)ns;
	log = 63u - (unsigned)__builtin_clzll(ns); /* at least 5 */
	return (log - 4) * LATENCY_SUB + (unsigned)((ns >> (log - 5)) & (LATENCY_SUB - 1));
}

/* The largest latency of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
	unsigned shift;

	if (bucket < LATENCY_SUB)
		return bucket;
	shift = bucket / LATENCY_SUB - 1;
	return (((uint64_t)LATENCY_SUB + bucket % LATENCY_SUB + 1) << shift) - 1;
}

void latency_add(struct latency *l, uint64_t ns)
{
	l->count++;
	l->sum_ns += ns;
	if (ns > l->max_ns)
		l->max_ns = ns;
	l->bucket[bucket_of(ns)]++;
}

uint64_t latency_quantile(const struct latency *l, double fraction)
{
	uint64_t seen = 0, wanted = (uint64_t)((double)l->count * fraction);

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		seen += l->bucket[i];
		if (seen && seen >= wanted)
			return bucket_end(i) < l->max_ns ? bucket_end(i) : l->max_ns;
	}
	return 0;
}

static double us(uint64_t ns)
{
	return (double)ns / 1e3;
}

void latency_print_json(const struct latency *l, FILE *out)
{
	uint64_t seen = 0;
	const char *comma = "";

	fprintf(out,
		"\"samples\": %llu, \"mean_us\": %.3f, \"p50_us\": %.3f, \"p90_us\": %.3f, "
		"\"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f, \"cdf\": [",
		(unsigned long long)l->count, l->count ? us(l->sum_ns) / (double)l->count : 0,
		us(latency_quantile(l, 0.5)), us(latency_quantile(l, 0.9)),
		us(latency_quantile(l, 0.99)), us(latency_quantile(l, 0.999)), us(l->max_ns));
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		if (!l->bucket[i])
			continue;
		seen += l->bucket[i];
		fprintf(out, "%s[%.3f, %.6f]", comma, us(bucket_end(i)),
			(double)seen / (double)l->count);
		comma = ", ";
	}
	fputc(']', out);
}
