/* SPDX-License-Identifier: BSD-2-Clause */
/* run.h - what the files of `millrace run` share. */
#ifndef MR_CLI_RUN_H
#define MR_CLI_RUN_H

#include "cli/args.h"
#include "engine/share.h"

struct run_args {
	struct cli_args common;
	const char *user;     /* --user; NULL: unchanged */
	const char *log_path; /* --log; NULL: standard error */
	bool strict;
	uid_t uid;	/* of the program */
	pid_t main_pid; /* the program's process */
	char **program; /* its argv */
};

/* Start the keeper: a process in a session of its own. When this returns, it has opened the engine. Writes the value
 * of MR_SHARE_ENV for the program into stack. This process then has a descriptor that the program has to inherit: the
 * keeper serves until its last copy is closed. If another command that was started at the same moment is first, joins
 * its stack. Returns 0; or a negative errno, after printing one sentence. */
int run_keeper_start(struct run_args *args, char *stack, size_t size);

/* Let the program join a stack that the interface has already. Like run_keeper_start(), without privileges. Returns
 * -ENOENT if there is none that it could join, and nothing is printed. */
int run_join(const struct run_args *args, char *stack, size_t size);
/* Tell the user that he has joined a stack, if he gave options that are ignored for that reason. */
void run_tell_joined(const struct run_args *args);
/* Give the program a write end of the lifeline to inherit: fd, which is closed here. Returns 0; or a negative errno,
 * after printing one sentence. */
int run_lifeline(int fd);

/* The callbacks that the shim and the keeper share. */
extern const struct mr_share_ops *const run_share_ops;

#endif
