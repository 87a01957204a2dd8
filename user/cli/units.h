/* SPDX-License-Identifier: BSD-2-Clause */
/* units.h - numbers with units, as a command line has them. */
#ifndef MR_CLI_UNITS_H
#define MR_CLI_UNITS_H

#include <stdint.h>

/* A decimal number from min to max and nothing else. 0, or -EINVAL with *value untouched. */
int cli_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);
/* Bytes: "1500", "64k", "1.5m", "2g" (powers of 1024). 0, or -EINVAL with *bytes untouched. */
int cli_parse_size(const char *text, uint64_t *bytes);
/* Bits per second: "9600bit", "64kbit", "100mbit", "2.5gbit" (powers of 1000, as tc(8)). The unit
 * is required: "100" alone is too easily meant as something else. 0, or -EINVAL with *bps
 * untouched. */
int cli_parse_rate(const char *text, uint64_t *bps);

/* "1,234,567" for people. buf holds at least CLI_GROUPED_LEN bytes; returns buf. */
#define CLI_GROUPED_LEN 27
char *cli_format_grouped(uint64_t value, char *buf);

#endif
