/* SPDX-License-Identifier: BSD-2-Clause */
/* ss_summary.h - `millrace ss --summary`: how much of the stack's resources is in use. */
#ifndef MR_CLI_SS_SUMMARY_H
#define MR_CLI_SS_SUMMARY_H

#include <json-c/json.h>

#include "engine/share.h"

enum ss_resource {
	SS_PROCESSES,
	SS_FILES,
	SS_SOCKETS,
	SS_LISTENERS,
	SS_CONNECTIONS,
	SS_HALF_OPEN,
	SS_TIMEWAIT,
	SS_PORTS,
	SS_FRAMES,
	SS_NEIGHBOURS,
	SS_RESOURCES
};

struct ss_summary {
	char stack[108];
	struct {
		uint32_t used, max;
	} of[SS_RESOURCES];
};

/* The present state. With the lock held. The process that looks is not counted. */
void ss_summary_take(struct ss_summary *s, struct mr_share *share, const char *stack);
void ss_summary_print(const struct ss_summary *s);
json_object *ss_summary_json(const struct ss_summary *s);

#endif
