/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shared.h - an engine that shares the addresses of its interface with the kernel (cfg.shared).
 *
 * Addresses, routes and neighbours are the kernel's. One process, which needs the privilege, owns the mirror
 * (kernel/mirror.h) and copies its contents into the arena. All others only read the arena. Questions about neighbours
 * are queued on link.asks for the owner of the mirror.
 *
 * For every port of ours there is a kernel socket that holds it, so that the kernel gives the port to nobody else:
 * either the engine's own socket (native API), or the caller's (mr_bind_held()). Packets that arrive on the interface
 * for such a port and a shared address are the engine's; see ip/steer.h.
 */
#ifndef MR_ENGINE_SHARED_H
#define MR_ENGINE_SHARED_H

#include "engine/engine.h"
#include "kernel/mirror.h"

/* ---- Opening ------------------------------------------------------------------------------------- */

/* Open the mirror: after mr_engine_create(), and before the XDP program is opened. Returns 0 or a negative errno. */
int mr_shared_open(struct mr_engine *engine, int ifindex, struct mr_error *err);
bool mr_shared_has_address(const struct mr_engine *engine); /* one that is not link-local */
/* Fill the maps of the XDP program, before it is attached. */
void mr_shared_start(struct mr_engine *engine, bool ignore_firewall);
void mr_shared_close(struct mr_engine *engine);

/* For a process that did not open the engine, and lets the engine hold ports (see struct mr_arbiter). */
void mr_shared_use_arbiter(void);

/* ---- For the owner of the mirror ------------------------------------------------------------ */

/* The descriptor to poll; when it is readable, call mr_shared_service(). -1: there is no mirror. */
int mr_shared_fd(const struct mr_engine *engine);

/* Read what the kernel reports, and check ports that are in use by others. Needs no lock; makes system calls. */
void mr_shared_read(struct mr_engine *engine, uint64_t now);
/* Copy the mirror into the arena and into the XDP program's map of addresses. With the lock held. */
void mr_shared_apply(struct mr_engine *engine, uint64_t now);
/* Ask the kernel about the neighbours on link.asks. With the lock held; makes some system calls. */
void mr_shared_ask(struct mr_engine *engine, uint64_t now);
/* All three, for an engine without a lock. */
void mr_shared_service(struct mr_engine *engine, uint64_t now);

/* Is mr_shared_service() due even if nothing is readable? Always false without a mirror. */
bool mr_shared_due(const struct mr_engine *engine, uint64_t now);
/* Is something on link.asks? A process that does not own the mirror then wakes the owner. */
bool mr_shared_wants(const struct mr_engine *engine);

/* ---- Through which interface is a destination reached? --------------------------------------- */

enum mr_way {
	MR_WAY_OURS,  /* through the engine's interface: mr_connect() can be used */
	MR_WAY_LOCAL, /* an address of this host, including loopback: a kernel socket is needed */
	MR_WAY_OTHER, /* through another interface: a kernel socket is needed */
	MR_WAY_UNREACHABLE, /* there is no route, or TCP cannot have this destination */
};

struct mr_way_answer {
	enum mr_way way;
	int ifindex;	    /* MR_WAY_OURS, MR_WAY_OTHER */
	char reason[64];    /* "over wg0", "an address of this host", ...: for `millrace ss` */
	struct mr_addr src; /* MR_WAY_OURS: the source address of a connection */
};

/* scope_id: sin6_scope_id of a link-local destination; 0: not given. Reads the arena, with the lock held; asks the
 * kernel if the host has policy rules. */
void mr_engine_way(const struct mr_engine *engine, const struct mr_addr *dst, uint32_t scope_id,
		   struct mr_way_answer *answer);

#endif
