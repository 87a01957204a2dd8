// SPDX-License-Identifier: BSD-2-Clause
/* stats.c - counters as an aligned table, a heading per layer, zeros left out. */
#include "cli/stats.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/units.h"

static size_t layer_len(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? (size_t)(dot - name) : 0;
}

static bool same_layer(const char *a, const char *b)
{
	return layer_len(a) == layer_len(b) && !strncmp(a, b, layer_len(a));
}

static const char *short_name(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? dot + 1 : name;
}

/* Is counters[i] the first of its layer that is shown? */
static bool opens_layer(const struct mr_counter *counters, unsigned i)
{
	for (unsigned k = 0; k < i; k++) {
		if (counters[k].value && same_layer(counters[k].name, counters[i].name))
			return false;
	}
	return true;
}

void cli_stats_format(FILE *out, const struct mr_counter *counters, unsigned n)
{
	size_t name_width = 0, value_width = 0;
	char value[CLI_GROUPED_LEN];

	for (unsigned i = 0; i < n; i++) {
		size_t name_len = strlen(short_name(counters[i].name));
		size_t value_len = strlen(cli_format_grouped(counters[i].value, value));

		if (!counters[i].value)
			continue;
		name_width = name_len > name_width ? name_len : name_width;
		value_width = value_len > value_width ? value_len : value_width;
	}
	for (unsigned i = 0; i < n; i++) {
		const char *name = counters[i].name;

		if (!counters[i].value || !opens_layer(counters, i))
			continue;
		fprintf(out, "%.*s\n", (int)layer_len(name), name);
		for (unsigned k = i; k < n; k++) {
			if (!counters[k].value || !same_layer(counters[k].name, name))
				continue;
			fprintf(out, "  %-*s  %*s  %s\n", (int)name_width,
				short_name(counters[k].name), (int)value_width,
				cli_format_grouped(counters[k].value, value), counters[k].text);
		}
	}
	if (!name_width)
		fputs("every counter is zero\n", out);
	fflush(out);
}

void cli_stats_print(FILE *out, struct mr_engine *engine)
{
	unsigned n = mr_counters(engine, NULL, 0);
	struct mr_counter *counters = calloc(n ? n : 1, sizeof(*counters));

	if (!counters) {
		fputs("no memory for the counters\n", out);
		return;
	}
	mr_counters(engine, counters, n);
	cli_stats_format(out, counters, n);
	free(counters);
}
