/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.c - counters as an aligned table, a heading per layer, zeros left out. */
#include "cli/stats.h"

#include <stdlib.h>
#include <string.h>

#include "cli/units.h"

static size_t layer_len(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? (size_t)(dot - name) : 0;
}

static const char *short_name(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? dot + 1 : name;
}

void cli_stats_format(FILE *out, const struct mr_counter *counters, unsigned n)
{
	size_t name_width = 0, value_width = 0;
	const char *layer = "";
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
		size_t len = layer_len(name);

		if (!counters[i].value)
			continue;
		if (len != layer_len(layer) || strncmp(name, layer, len) != 0) {
			fprintf(out, "%.*s\n", (int)len, name);
			layer = name;
		}
		fprintf(out, "  %-*s  %*s  %s\n", (int)name_width, short_name(name),
			(int)value_width, cli_format_grouped(counters[i].value, value),
			counters[i].text);
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
