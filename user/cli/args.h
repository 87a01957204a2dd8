/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * args.h - the options that all commands have in common: interface, addresses, sizes of the engine, output.
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
	/* Set by a command before parsing: without --address the engine shares the kernel's addresses. */
	bool shared_by_default;
	bool tuned;  /* an option was given that says how the stack is to be */
	bool stats;  /* print counters at the end */
	int verbose; /* 0: errors and warnings; 1: notices, too; 2: everything */
};

/* argp child for these options; its input is a struct cli_args, which it initialises. If an option is wrong or a
 * required one is missing, it prints one sentence and exits with CLI_USAGE. */
extern const struct argp cli_common_argp;

/* Print "millrace serve: <sentence>" to stderr and exit with CLI_USAGE. state may be NULL after parsing. */
void __attribute__((format(printf, 2, 3), noreturn))
cli_usage_error(const struct argp_state *state, const char *fmt, ...);

/* Parse the value of an option; if it is wrong, cli_usage_error(). */
uint64_t cli_number_arg(const struct argp_state *state, const char *option, const char *text,
			uint64_t min, uint64_t max);
uint64_t cli_size_arg(const struct argp_state *state, const char *option, const char *text,
		      uint64_t min, uint64_t max);

#endif
