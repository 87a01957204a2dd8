/* SPDX-License-Identifier: BSD-2-Clause */
/* engine_priv.h - what the files of user/engine share. Nobody else includes it. */
#ifndef MR_ENGINE_ENGINE_PRIV_H
#define MR_ENGINE_ENGINE_PRIV_H

#include "base/addr.h"
#include "base/time.h"
#include "engine/engine.h"

#define MTU_MIN 576u /* RFC 791: the datagram that every host must accept */
#define MTU_MAX 65535u

#define SERVICE_NS MR_NS_PER_S /* how often a busy engine calls service() of its device */

/* The present time, ns. st->now is the begin of the present round or call. */
static inline uint64_t engine_clock(const struct mr_engine *engine)
{
	return engine->clock(engine->clock_user);
}

/* Log one line, if cfg->log wants its level (engine_sight.c). */
__attribute__((format(printf, 3, 4))) void engine_log(const struct mr_engine *engine, int level,
						      const char *fmt, ...);

/* mr_engine_open() with a choice of addresses and extra bytes in *scfg, whose other members it fills in
 * (engine_open.c). */
int engine_open(struct mr_engine **out, const struct mr_config *cfg, struct mr_stack_cfg *scfg,
		struct mr_error *err);

/* Take part in an engine that another process has opened. The caller has set arena, UMEM, device and capture; the
 * rest is made. engine_leave() undoes it, even if only part of it succeeded, and frees *engine (engine.c). */
int engine_join(struct mr_engine *engine);
void engine_leave(struct mr_engine *engine);

/* End the engine for all processes, before mr_engine_close(). Resets every connection; each is over with ENETDOWN.
 * Nothing is sent afterwards. The sockets stay until those who have them close them (engine.c). */
void engine_end(struct mr_engine *engine);

/* Look at the rings and at *flag until the time `until`. Returns true as soon as there is something to do
 * (engine_wait.c). */
bool engine_spin(const struct mr_engine *engine, uint64_t until, const uint32_t *flag);

/* A neighbour does not answer: connections that wait for it are treated as by an ICMP host unreachable (engine.c). */
void engine_neighbour_failed(struct mr_stack *st, const struct mr_neigh *n, uint64_t now);

#endif
