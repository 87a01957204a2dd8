/* SPDX-License-Identifier: BSD-2-Clause */
/* profile.h - options that are not on the command line: a profile file, the environment. */
#ifndef MR_CLI_PROFILE_H
#define MR_CLI_PROFILE_H

#include <argp.h>

/* Read a profile: a line is an option without its dashes, and its value ("spin 20", "strict"); # begins a
 * comment. Adds "--spin=20" to list (grown by realloc, *n entries). 0, or -EINVAL with *line the number of
 * a line that is no option of argp; or the error of reading. */
int profile_read(const char *path, const struct argp *argp, char ***list, int *n, int *line);

/* Arguments for argp_parse(): argv[0], those of the profile that argv or MILLRACE_PROFILE names, those of the
 * environment, then the rest of argv. Ends the process with one sentence where a profile is no good. */
char **run_arguments(int argc, char **argv, const struct argp *argp, int *all_argc);

#endif
