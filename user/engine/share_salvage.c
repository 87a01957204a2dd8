// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_salvage.c - repairs the whole stack after a process was killed with the lock held.
 * Called by   the process that gets the lock next (share.c), before it continues. If that one is killed here, too,
 *             the next one starts again.
 *
 * Global lists, tables, counts and timers are rebuilt from the state of each object. What only saves time (cached
 * routes, fragments, data out of order, packets about to be sent) is dropped, as if it had been lost on the wire.
 * Frames belong to the object in which they are found. The one connection that was being changed is reset, because
 * its state is unknown. Its peer gets the reset at once, because it may have nothing to send that would elicit one,
 * and would wait for ever.
 */
#include <syslog.h>
#include "engine/share_priv.h"

void share_salvage(struct mr_share *share)
{
	struct mr_engine *engine = share->engine;
	struct mr_stack *st = engine->st;
	uint64_t now;

	share_tick(share);
	now = st->now;
	share->c->driver = MR_SHARE_PROCS_MAX; /* no process has valid copies of the ring indices */
	share_drive(share);
	if (engine->dev->ops->salvage)
		engine->dev->ops->salvage(engine->dev);
	mr_netif_salvage(&st->nif);
	/* The ring may have packets that wait for a doorbell. */
	st->port = (struct mr_port_state){ .shaper = st->port.shaper, .kick_pending = true };
	mr_wheel_init(&st->wheel, now);
	mr_frame_pool_salvage_begin(&st->frames);
	mr_ip_salvage(&st->ip);
	mr_link_salvage(&st->link);
	if (st->ip.steer)
		mr_steer_salvage_begin(st->ip.steer);
	mr_tcp_salvage_begin(&st->tcp);
	mr_socks_salvage(&st->socks, share->c->changing);
	mr_tcp_salvage(&st->tcp);
	if (st->ip.steer)
		mr_steer_salvage_end(st->ip.steer);
	mr_frame_pool_salvage_end(&st->frames);
	share_waiters_salvage(share);
	mr_tcp_salvage_reset(&st->tcp, now);
	share->c->changing = NULL;
	share_output(share);
	if (share->ops->salvage)
		share->ops->salvage(share);
	MR_COUNT(&st->ctr, ENGINE_SALVAGES);
	engine_log(engine, LOG_WARNING,
		   "a process was killed inside the stack: the stack was repaired");
}
