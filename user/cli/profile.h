/* SPDX-License-Identifier: BSD-2-Clause */
/* profile.h - options from a profile file and from the environment. */
#ifndef MR_CLI_PROFILE_H
#define MR_CLI_PROFILE_H

#include <argp.h>

/* Read a profile. A line has an option without its dashes and its value ("spin 20", "strict"); # begins a comment.
 * Appends "--spin=20" to list (grown with realloc(); *n entries). Returns 0; -EINVAL: line number *line is no option
 * of argp; or another negative errno. */
int profile_read(const char *path, const struct argp *argp, char ***list, int *n, int *line);

/* The arguments for argp_parse(): argv[0], those of the profile that argv or MILLRACE_PROFILE names, those of the
 * environment, then the rest of argv. If a profile is wrong, prints one sentence and exits. */
char **run_arguments(int argc, char **argv, const struct argp *argp, int *all_argc);

#endif
