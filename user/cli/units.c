// SPDX-License-Identifier: BSD-2-Clause
/*
 * units.c - numbers with units: what a user types, and what a user reads.
 * Pure: text in, number out, and back.
 */
#include "cli/units.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "base/compiler.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "k", 1ull << 10 },
	{ "m", 1ull << 20 },
	{ "g", 1ull << 30 },
};

static const struct unit rate_units[] = {
	{ "bit", 1 },
	{ "kbit", 1000 },
	{ "mbit", 1000000 },
	{ "gbit", 1000000000 },
};

/* Digits at *text, which is moved behind them. 0, or -EINVAL: none, or more than 64 bits. */
static int take_digits(const char **text, uint64_t *value)
{
	const char *p = *text;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -EINVAL;
	}
	if (p == *text)
		return -EINVAL;
	*text = p;
	*value = v;
	return 0;
}

int cli_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t v;

	if (take_digits(&text, &v) || *text || v < min || v > max)
		return -EINVAL;
	*value = v;
	return 0;
}

/* Parts of a unit ("1.5m") are exact: whole bytes or bits, rounded down. */
static int parse_with_unit(const char *text, const struct unit *units, size_t nunits,
			   uint64_t *value)
{
	uint64_t whole, part = 0, scale = 1, sum;

	if (take_digits(&text, &whole))
		return -EINVAL;
	if (*text == '.') {
		const char *first = ++text;

		if (take_digits(&text, &part) || text - first > 9)
			return -EINVAL;
		for (; first < text; first++)
			scale *= 10;
	}
	for (size_t i = 0; i < nunits; i++) {
		if (strcasecmp(text, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(whole, units[i].factor, &sum) ||
		    __builtin_add_overflow(sum, part * units[i].factor / scale, &sum))
			return -EINVAL;
		*value = sum;
		return 0;
	}
	return -EINVAL;
}

int cli_parse_size(const char *text, uint64_t *bytes)
{
	return parse_with_unit(text, size_units, MR_ARRAY_SIZE(size_units), bytes);
}

int cli_parse_rate(const char *text, uint64_t *bps)
{
	return parse_with_unit(text, rate_units, MR_ARRAY_SIZE(rate_units), bps);
}

char *cli_format_grouped(uint64_t value, char *buf)
{
	char digits[21];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	char *out = buf;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return buf;
}
