/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * args.h - the options that every command has: which interface, which addresses, how the engine is
 * sized, and what is shown of it.
 */
#ifndef MR_CLI_ARGS_H
#define MR_CLI_ARGS_H

#include <argp.h>
#include <stdbool.h>

#include "millrace.h"

/* Exit statuses of every command. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_args {
	struct mr_config cfg;
	/* Set by a command before parsing: without an address of the engine's own, it shares the kernel's. */
	bool shared_by_default;
	bool stats;  /* counters at the end */
	int verbose; /* 0: errors and warnings; 1: also notices; 2: everything */
};

/* argp child; its input is a struct cli_args, which it initialises. Ends the process with CLI_USAGE
 * and one sentence on stderr when an option is wrong or a required one is missing. */
extern const struct argp cli_common_argp;

/* "millrace serve: <sentence>" on stderr, exit(CLI_USAGE). state may be NULL after parsing. */
void __attribute__((format(printf, 2, 3), noreturn))
cli_usage_error(const struct argp_state *state, const char *fmt, ...);

/* The value of an option, or the end of the process with the right sentence. */
uint64_t cli_number_arg(const struct argp_state *state, const char *option, const char *text,
			uint64_t min, uint64_t max);
uint64_t cli_size_arg(const struct argp_state *state, const char *option, const char *text,
		      uint64_t min, uint64_t max);

#endif
