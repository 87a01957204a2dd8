/* SPDX-License-Identifier: BSD-2-Clause */
/* run.h - what the files of `millrace run` share. */
#ifndef MR_CLI_RUN_H
#define MR_CLI_RUN_H

#include "cli/args.h"
#include "engine/share.h"

struct run_args {
	struct cli_args common;
	const char *user;     /* --user; NULL: who we are */
	const char *log_path; /* NULL: standard error */
	bool strict;
	uid_t uid;	/* of the program */
	pid_t main_pid; /* its process */
	char **program; /* its argv */
};

/* Start the keeper: a process of its own session that has opened the engine when this returns. stack is
 * the value of MR_SHARE_ENV for the program. This process has a descriptor from now on that the program
 * shall inherit: with its last copy the keeper's work ends. 0; or negative, after one sentence. */
int run_keeper_start(struct run_args *args, char *stack, size_t size);

/* The table that the shim and the keeper have in common. */
extern const struct mr_share_ops *const run_share_ops;

#endif
