/* SPDX-License-Identifier: BSD-2-Clause */
/* stacks.h - finds the stacks of `millrace run` in this network namespace. */
#ifndef MR_CLI_STACKS_H
#define MR_CLI_STACKS_H

#define CLI_STACKS_MAX 64

struct cli_stacks {
	char name[CLI_STACKS_MAX][108]; /* names of their keepers, as for mr_share_join() */
	unsigned n;
};

/* Find those of this interface that root or this user keeps; NULL: of all interfaces. Returns 0, or a negative errno: /proc/net/unix cannot be read. */
int cli_stacks_find(struct cli_stacks *stacks, const char *ifname);

#endif
