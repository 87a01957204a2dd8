/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shared.h - an engine on the addresses that an interface has in the kernel (cfg.shared).
 *
 * Addresses, routes and neighbours are the kernel's: one process, which needs the privilege, owns the
 * mirror (kernel/mirror.h) and carries what it says over into the arena. All others only read the
 * arena; what they want to know of a neighbour waits on link.asks for the mirror's owner.
 *
 * Every port of ours is held by a kernel socket as well, so that the kernel gives it to nobody else:
 * one that the engine makes by itself (the native API), or the caller's (mr_bind_held()). What comes
 * to such a port, over the interface, to a shared address, is the engine's; see ip/steer.h.
 */
#ifndef MR_ENGINE_SHARED_H
#define MR_ENGINE_SHARED_H

#include "engine/engine.h"
#include "kernel/mirror.h"

/* ---- Opening ------------------------------------------------------------------------------------- */

/* Open the mirror, between mr_engine_create() and the XDP program's opening; fill that program's maps,
 * before it is attached; and the end. */
int mr_shared_open(struct mr_engine *engine, int ifindex, struct mr_error *err);
bool mr_shared_has_address(const struct mr_engine *engine); /* beyond link-local ones */
void mr_shared_start(struct mr_engine *engine, bool ignore_firewall);
void mr_shared_close(struct mr_engine *engine);

/* For a process that did not open the engine and lets it hold ports (see struct mr_arbiter). */
void mr_shared_use_arbiter(void);

/* ---- The mirror's owner ---------------------------------------------------------------------- */

/* The descriptor to poll; when it is readable, mr_shared_service() is due. -1: no mirror here. */
int mr_shared_fd(const struct mr_engine *engine);

/* System calls only, no lock: take what the kernel says, and look after busy ports. */
void mr_shared_read(struct mr_engine *engine, uint64_t now);
/* The arena only (and the XDP program's map of addresses), under the engine's lock: carry it over. */
void mr_shared_apply(struct mr_engine *engine, uint64_t now);
/* Under the lock: ask the kernel for what waits on link.asks. Some system calls. */
void mr_shared_ask(struct mr_engine *engine, uint64_t now);
/* All three, for an engine without a lock. */
void mr_shared_service(struct mr_engine *engine, uint64_t now);

/* It is time for mr_shared_service() though nothing may be readable (never without a mirror). */
bool mr_shared_due(const struct mr_engine *engine, uint64_t now);
/* Is something on link.asks? Who does not own the mirror wakes its owner then. */
bool mr_shared_wants(const struct mr_engine *engine);

/* ---- Which way is a destination? --------------------------------------------------------------- */

enum mr_way {
	MR_WAY_OURS,	    /* out of the engine's interface: mr_connect() may be used */
	MR_WAY_LOCAL,	    /* an address of this host, loopback included: the kernel's */
	MR_WAY_OTHER,	    /* over another interface: the kernel's */
	MR_WAY_UNREACHABLE, /* no route, or no destination for TCP */
};

struct mr_way_answer {
	enum mr_way way;
	int ifindex;	    /* MR_WAY_OURS, MR_WAY_OTHER */
	char reason[64];    /* "over wg0", "an address of this host", ...: for `millrace ss` */
	struct mr_addr src; /* MR_WAY_OURS: the source address that a connect would get */
};

/* scope_id: sin6_scope_id of a link-local destination, 0: not said. Reads the arena (under the lock);
 * where the host has policy rules the kernel is asked, too. */
void mr_engine_way(const struct mr_engine *engine, const struct mr_addr *dst, uint32_t scope_id,
		   struct mr_way_answer *answer);

#endif
