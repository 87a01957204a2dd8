/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.h - prints the counters of an engine. */
#ifndef MR_CLI_STATS_H
#define MR_CLI_STATS_H

#include <stdio.h>

#include "millrace.h"

/* Print every counter that is not zero. Makes a system call for those of the device. */
void cli_stats_print(FILE *out, struct mr_engine *engine);

/* The same for an array: one heading per layer (what precedes the dot of a name), values aligned and with thousands
 * separators, the explanation beside each. */
void cli_stats_format(FILE *out, const struct mr_counter *counters, unsigned n);

#endif
