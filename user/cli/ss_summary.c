// SPDX-License-Identifier: BSD-2-Clause
/* ss_summary.c - what of a stack is in use, and how much of it there is: what leaks shows here. */
#include "cli/ss_summary.h"

#include <stdio.h>

#include "engine/engine.h"
#include "posix/file.h"

static const struct {
	const char *key, *text;
} resources[] = {
	[SS_PROCESSES] = { "processes", "processes that have joined, the keeper among them" },
	[SS_FILES] = { "files", "open files: sockets and epoll instances" },
	[SS_SOCKETS] = { "sockets", "sockets" },
	[SS_LISTENERS] = { "bound", "bound and listening sockets" },
	[SS_CONNECTIONS] = { "connections", "connections, those included that are being closed" },
	[SS_HALF_OPEN] = { "half_open", "connections in SYN-RECEIVED" },
	[SS_TIMEWAIT] = { "time_wait", "connections in TIME-WAIT" },
	[SS_PORTS] = { "ports", "ports whose packets come to the stack" },
	[SS_FRAMES] = { "frames", "packet buffers, those included that wait to be filled" },
	[SS_NEIGHBOURS] = { "neighbours", "neighbours" },
};

static void take_pool(struct ss_summary *s, enum ss_resource r, const struct mr_pool *pool)
{
	s->of[r].used = pool->used;
	s->of[r].max = pool->max;
}

static uint32_t ports_in_use(const struct mr_stack *st)
{
	const struct mr_steer *steer = st->ip.steer;
	uint32_t n = 0;

	for (uint32_t port = 0; port < MR_STEER_PORTS; port++)
		n += steer ? steer->map[port].divert != 0 : st->tcp.port_use[port] != 0;
	return n;
}

void ss_summary_take(struct ss_summary *s, struct mr_share *share, const char *stack)
{
	const struct mr_stack *st = mr_share_engine(share)->st;
	const struct mr_posix *px = mr_share_root(share);
	struct mr_proc *proc = NULL;

	*s = (struct ss_summary){ 0 };
	snprintf(s->stack, sizeof(s->stack), "%s", stack);
	while ((proc = mr_share_proc_next(share, proc)))
		s->of[SS_PROCESSES].used += proc != mr_share_proc(share);
	s->of[SS_PROCESSES].max = MR_SHARE_PROCS_MAX;
	take_pool(s, SS_FILES, &px->files);
	take_pool(s, SS_SOCKETS, &st->socks.pool);
	take_pool(s, SS_LISTENERS, &st->tcp.listeners);
	take_pool(s, SS_CONNECTIONS, &st->tcp.tcbs);
	take_pool(s, SS_HALF_OPEN, &st->tcp.synreqs);
	take_pool(s, SS_TIMEWAIT, &st->tcp.tws);
	s->of[SS_PORTS].used = ports_in_use(st);
	s->of[SS_PORTS].max = MR_STEER_PORTS;
	s->of[SS_FRAMES].used = st->frames.nframes - st->frames.nfree;
	s->of[SS_FRAMES].max = st->frames.nframes;
	take_pool(s, SS_NEIGHBOURS, &st->link.neighs);
}

void ss_summary_print(const struct ss_summary *s)
{
	printf("%s\n", s->stack);
	for (unsigned i = 0; i < SS_RESOURCES; i++)
		printf("  %8u of %8u  %s\n", s->of[i].used, s->of[i].max, resources[i].text);
}

json_object *ss_summary_json(const struct ss_summary *s)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "stack", json_object_new_string(s->stack));
	for (unsigned i = 0; i < SS_RESOURCES; i++) {
		json_object *pair = json_object_new_object();

		json_object_object_add(pair, "used", json_object_new_int64(s->of[i].used));
		json_object_object_add(pair, "max", json_object_new_int64(s->of[i].max));
		json_object_object_add(o, resources[i].key, pair);
	}
	return o;
}
