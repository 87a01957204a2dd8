/* SPDX-License-Identifier: BSD-2-Clause */
/* engine_priv.h - what the files of the engine offer one another. Nobody else includes it. */
#ifndef MR_ENGINE_ENGINE_PRIV_H
#define MR_ENGINE_ENGINE_PRIV_H

#include "base/addr.h"
#include "base/time.h"
#include "engine/engine.h"

#define MTU_MIN 576u /* RFC 791: what every host must take */
#define MTU_MAX 65535u

#define SERVICE_NS MR_NS_PER_S /* a busy engine looks after its device that often */

/* The time now, ns; st->now is when the present round or call began. */
static inline uint64_t engine_clock(const struct mr_engine *engine)
{
	return engine->clock(engine->clock_user);
}

/* One line for the operator, where cfg->log wants it (engine_sight.c). */
__attribute__((format(printf, 3, 4))) void engine_log(const struct mr_engine *engine, int level,
						      const char *fmt, ...);

/* mr_engine_open() with wishes about the memory; the rest of *scfg is filled in (engine_open.c). */
int engine_open(struct mr_engine **out, const struct mr_config *cfg, struct mr_stack_cfg *scfg,
		struct mr_error *err);

/* A process takes part in a stack that another one has opened: arena, UMEM, device and capture are there
 * already, the rest follows. engine_leave() undoes it, wholly or half done, and frees it (engine.c). */
int engine_join(struct mr_engine *engine);
void engine_leave(struct mr_engine *engine);

/* Before mr_engine_close() of a stack that others still take part in: every connection is reset and over with
 * ENETDOWN, nothing is sent any more, and the sockets stay as they are, for those who have them (engine.c). */
void engine_end(struct mr_engine *engine);

/* Look at the rings, and at *flag, until `until`. True: there is something to do before
 * (engine_wait.c). */
bool engine_spin(const struct mr_engine *engine, uint64_t until, const uint32_t *flag);

/* A neighbour does not answer: for connections that wait for it this is what an ICMP host unreachable
 * would be (engine.c). */
void engine_neighbour_failed(struct mr_stack *st, const struct mr_neigh *n, uint64_t now);

#endif
