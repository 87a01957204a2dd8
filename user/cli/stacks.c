// SPDX-License-Identifier: BSD-2-Clause
/*
 * stacks.c - finds stacks by the names of their keepers' sockets.
 * Authority   proc(5): /proc/net/unix lists the sockets of this network namespace, abstract ones with "@".
 * Called by   ss.c, run_join.c.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/stacks.h"
#include "engine/share.h"

static bool is_known(const struct cli_stacks *stacks, const char *name)
{
	for (unsigned i = 0; i < stacks->n; i++)
		if (!strcmp(stacks->name[i], name))
			return true;
	return false;
}

/* Keepers listen on abstract sockets called millrace/INTERFACE/..., one per stack; but anybody can give such a name to a
 * socket. Connections have the name, too. */
int cli_stacks_find(struct cli_stacks *stacks, const char *ifname)
{
	char line[512], prefix[64];
	FILE *f = fopen("/proc/net/unix", "re");

	stacks->n = 0;
	if (!f)
		return -errno;
	snprintf(prefix, sizeof(prefix), "@millrace/%s%s", ifname ?: "", ifname ? "/" : "");
	while (fgets(line, sizeof(line), f) && stacks->n < CLI_STACKS_MAX) {
		char *name = strstr(line, prefix);

		if (!name++)
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (!is_known(stacks, name) && mr_share_is_keeper(name))
			snprintf(stacks->name[stacks->n++], sizeof(stacks->name[0]), "%s", name);
	}
	fclose(f);
	return 0;
}
