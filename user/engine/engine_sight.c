// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine_sight.c - the counters of every layer by name, the addresses, and the log.
 * Owns        the order of mr_counters(): user space's counters and drops, then the XDP program's,
 *             then the device's.
 * Called by   the application.
 */
#include <stdarg.h>
#include <stdio.h>
#include "engine/engine_priv.h"
#include "kernel/xdp.h"

void engine_log(const struct mr_engine *engine, int level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!engine->log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	engine->log(engine->log_user, level, line);
}

/* The engine and the XDP program drop for some of the same reasons. Each has its own counter, so
 * that a reader sees where it happened: "drop.tcp_bad_csum" and "xdp.drop.tcp_bad_csum". */
static const char *const xdp_drop_names[] = {
#define X(id, name, text) [MR_DROP_##id] = "xdp." name,
	MR_DROP_LIST_XDP(X)
#undef X
};

struct list {
	struct mr_counter *out;
	unsigned max, n;
};

unsigned mr_engine_addresses(const struct mr_engine *engine, struct mr_prefix *out, unsigned max)
{
	const struct mr_ip *ip;

	if (!engine)
		return 0;
	ip = &engine->st->ip;
	for (unsigned i = 0; out && i < ip->naddrs && i < max; i++)
		out[i] = ip->addrs[i];
	return ip->naddrs;
}

static void add(void *user, const char *name, const char *text, uint64_t value)
{
	struct list *l = user;

	if (l->n < l->max)
		l->out[l->n] = (struct mr_counter){ name, text, value };
	l->n++;
}

static void add_xdp(struct list *l, const struct mr_engine *engine)
{
	struct mr_xdp_stats stats = { 0 };

	if (!engine->xdp || engine->opener->stats(engine, &stats))
		stats = (struct mr_xdp_stats){ 0 };
	for (unsigned i = 0; i < MR_XDP_VERDICT_MAX; i++)
		add(l, mr_xdp_verdict_name(i), mr_xdp_verdict_text(i), stats.verdict[i]);
	for (unsigned i = MR_DROP_NONE + 1; i < MR_DROP_XDP_LAST; i++)
		add(l, xdp_drop_names[i], mr_drop_text(i), stats.drop[i]);
}

unsigned mr_counters(struct mr_engine *engine, struct mr_counter *out, unsigned max)
{
	struct list l = { out, out ? max : 0, 0 };
	const struct mr_counters *ctr;

	if (!engine)
		return 0;
	ctr = &engine->st->ctr;
	for (unsigned i = 0; i < MR_CTR_MAX; i++)
		add(&l, mr_counter_id_name(i), mr_counter_id_text(i), ctr->c[i]);
	for (unsigned i = MR_DROP_NONE + 1; i < MR_DROP_MAX; i++)
		add(&l, mr_drop_name(i), mr_drop_text(i), ctr->drop[i]);
	add_xdp(&l, engine);
	if (engine->dev && engine->dev->ops->counters)
		engine->dev->ops->counters(engine->dev, add, &l);
	return l.n;
}
