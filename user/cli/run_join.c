// SPDX-License-Identifier: BSD-2-Clause
/*
 * run_join.c - a program for whose interface an earlier `millrace run` has made a stack already: it joins that one.
 * Owns        asking the keepers, and what the user is told.
 * Called by   run.c, before a keeper is started; run_keeper.c, while one is being started. Needs no privilege.
 * Not here    the keeper's side (engine/share_keep_serve.c).
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/run.h"
#include "cli/stacks.h"

int run_join(const struct run_args *args, char *stack, size_t size)
{
	const char *ifname = args->common.cfg.ifname;
	struct cli_stacks stacks;
	int err = -ENOENT, life;

	if (!args->common.cfg.shared || cli_stacks_find(&stacks, ifname))
		return -ENOENT;
	for (unsigned i = 0; i < stacks.n && err; i++) {
		err = mr_share_enter(stacks.name[i], args->uid, stack, size, &life);
		if (err != -EPERM)
			continue;
		fprintf(stderr,
			"millrace run: the stack on %s is for programs of another user, and all "
			"on one stack can read each other's data: give --user that user, or "
			"choose another interface\n",
			ifname);
		return err;
	}
	if (err)
		return -ENOENT;
	return run_lifeline(life);
}

void run_tell_joined(const struct run_args *args)
{
	if (args->common.tuned || args->log_path)
		fprintf(stderr,
			"millrace run: %s has a stack already, which this program joins: options "
			"of the stack, such as --spin, --log and --stats, count when it is "
			"started, and were ignored\n",
			args->common.cfg.ifname);
}
