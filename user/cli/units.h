/* SPDX-License-Identifier: BSD-2-Clause */
/* units.h - parses and formats numbers with units. */
#ifndef MR_CLI_UNITS_H
#define MR_CLI_UNITS_H

#include <stdint.h>

/* Parse a decimal number from min to max. Returns 0; or -EINVAL, and *value is not changed. */
int cli_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);
/* Parse bytes: "1500", "64k", "1.5m", "2g" (powers of 1024). Returns 0; or -EINVAL, and *bytes is not changed. */
int cli_parse_size(const char *text, uint64_t *bytes);
/* Parse bits per second: "9600bit", "64kbit", "100mbit", "2.5gbit" (powers of 1000, as tc(8)). The unit is required,
 * because "100" alone is easily misread. Returns 0; or -EINVAL, and *bps is not changed. */
int cli_parse_rate(const char *text, uint64_t *bps);

/* Format as "1,234,567". buf has at least CLI_GROUPED_LEN bytes. Returns buf. */
#define CLI_GROUPED_LEN 27
char *cli_format_grouped(uint64_t value, char *buf);

#endif
