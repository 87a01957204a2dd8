// SPDX-License-Identifier: BSD-2-Clause
/*
 * steer.c - which TCP ports of shared addresses are steered to this engine.
 * Owns        struct mr_steer, and every word of the XDP program's map of ports.
 * Called by   tcp (flows, listeners), the socket layer (held ports), the engine (addresses, busy ports).
 * Not here    the connections that the kernel has on a port (kernel/ports_busy.c).
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/addr.h"
#include "ip/steer.h"

/* Families of a listener on any address: the rows of mr_steer.any. */
static const uint64_t any_slots[] = { MR_STEER_V4 | MR_STEER_V6, MR_STEER_V4, MR_STEER_V6 };
enum { ANY_BOTH, ANY_V4, ANY_V6 };

struct mr_steer *mr_steer_open(struct mr_arena *arena)
{
	return mr_arena_alloc(arena, sizeof(struct mr_steer), 64);
}

/* ---- What the XDP program reads ---------------------------------------------------------------- */

static bool is_busy(const struct mr_steer *s, uint16_t port)
{
	return s->busy[port / 64] >> port % 64 & 1;
}

/* Write the words of a port. divert, which lets packets bypass the kernel, comes last: the XDP program must not see it
 * with an older listen. */
static void publish(struct mr_steer *s, uint16_t port)
{
	uint64_t listen = 0, divert;

	if (s->frozen)
		return;
	for (unsigned i = 0; i < 3; i++)
		listen |= s->any[i][port] ? any_slots[i] : 0;
	for (unsigned slot = 0; slot < MR_STEER_SLOTS; slot++)
		listen |= s->used[slot] && s->one[slot][port] ? 1ull << slot : 0;
	divert = listen;
	for (unsigned slot = 0; slot < MR_STEER_SLOTS; slot++)
		divert |= s->used[slot] && s->flows[slot][port] ? 1ull << slot : 0;
	if (divert && (!s->held[port] || is_busy(s, port)))
		divert |= MR_STEER_KERNEL;
	__atomic_store_n(&s->map[port].listen, listen, __ATOMIC_RELAXED);
	__atomic_store_n(&s->map[port].divert, divert, __ATOMIC_RELEASE);
}

/* ---- Addresses --------------------------------------------------------------------------------- */

static int slot_of(const struct mr_steer *s, const struct mr_addr *addr)
{
	for (unsigned slot = 0; slot < MR_STEER_SLOTS; slot++)
		if (s->used[slot] && mr_addr_eq(&s->addrs[slot], addr))
			return (int)slot;
	return -ENOENT;
}

int mr_steer_addr_add(struct mr_steer *s, const struct mr_addr *addr)
{
	bool v4 = mr_addr_is_v4(addr);
	unsigned first = v4 ? 0 : MR_STEER_SLOTS4, end = v4 ? MR_STEER_SLOTS4 : MR_STEER_SLOTS;
	int slot = slot_of(s, addr);

	for (unsigned i = first; slot < 0 && i < end; i++)
		if (!s->used[i])
			slot = (int)i;
	if (slot < 0)
		return -ENOSPC;
	s->addrs[slot] = *addr;
	s->used[slot] = s->present[slot] = true;
	return slot;
}

bool mr_steer_has(const struct mr_steer *s, const struct mr_addr *addr)
{
	int slot = slot_of(s, addr);

	return slot >= 0 && s->present[slot];
}

/* The slot has no flows and listeners of its own any more, so nothing of it is left in the counts. */
static void slot_release(struct mr_steer *s, unsigned slot)
{
	if (!s->present[slot] && !s->nusers[slot])
		s->used[slot] = false;
}

int mr_steer_addr_del(struct mr_steer *s, const struct mr_addr *addr)
{
	int slot = slot_of(s, addr);

	if (slot < 0 || !s->present[slot])
		return -ENOENT;
	s->present[slot] = false;
	slot_release(s, (unsigned)slot);
	return slot;
}

/* ---- Listeners and flows ----------------------------------------------------------------------- */

static uint32_t *listener_count(struct mr_steer *s, const struct mr_addr *addr, bool v6only,
				uint16_t port, int *slot)
{
	*slot = -1;
	if (mr_addr_is_any(addr))
		return &s->any[mr_addr_is_v4(addr) ? ANY_V4 : v6only ? ANY_V6 : ANY_BOTH][port];
	*slot = slot_of(s, addr);
	return *slot < 0 ? NULL : &s->one[*slot][port];
}

void mr_steer_listen(struct mr_steer *s, const struct mr_addr *addr, bool v6only, uint16_t port)
{
	int slot;
	uint32_t *count = listener_count(s, addr, v6only, port, &slot);

	mr_steer_set_busy(s, port);
	if (!count) /* the address was removed after the bind: nothing arrives for it */
		return;
	(*count)++;
	if (slot >= 0)
		s->nusers[slot]++;
	publish(s, port);
}

void mr_steer_unlisten(struct mr_steer *s, const struct mr_addr *addr, bool v6only, uint16_t port)
{
	int slot;
	uint32_t *count = listener_count(s, addr, v6only, port, &slot);

	if (!count || !*count)
		return;
	(*count)--;
	publish(s, port);
	if (slot >= 0) {
		s->nusers[slot]--;
		slot_release(s, (unsigned)slot);
	}
}

uint8_t mr_steer_flow_add(struct mr_steer *s, const struct mr_addr *laddr, uint16_t lport)
{
	int slot = slot_of(s, laddr);

	if (slot < 0)
		return 0;
	s->nusers[slot]++;
	if (!s->flows[slot][lport]++)
		publish(s, lport);
	return (uint8_t)(slot + 1);
}

void mr_steer_flow_del(struct mr_steer *s, uint8_t slot, uint16_t lport)
{
	if (!slot)
		return;
	slot--;
	assert(s->flows[slot][lport] && s->nusers[slot]);
	if (!--s->flows[slot][lport])
		publish(s, lport);
	s->nusers[slot]--;
	slot_release(s, slot);
}

/* ---- What the kernel has on a port --------------------------------------------------------------- */

void mr_steer_hold(struct mr_steer *s, uint16_t port)
{
	s->held[port]++;
	publish(s, port);
}

void mr_steer_release(struct mr_steer *s, uint16_t port)
{
	assert(s->held[port]);
	s->held[port]--;
	publish(s, port);
}

void mr_steer_set_busy(struct mr_steer *s, uint16_t port)
{
	if (is_busy(s, port))
		return;
	s->busy[port / 64] |= 1ull << port % 64;
	s->nbusy++;
	publish(s, port);
}

void mr_steer_not_busy(struct mr_steer *s, uint16_t port)
{
	if (!is_busy(s, port))
		return;
	s->busy[port / 64] &= ~(1ull << port % 64);
	s->nbusy--;
	publish(s, port);
}

uint32_t mr_steer_next_busy(const struct mr_steer *s, uint32_t from)
{
	for (uint32_t i = from / 64; i < MR_STEER_PORTS / 64 && s->nbusy; i++) {
		uint64_t word = s->busy[i];

		if (i == from / 64)
			word &= ~0ull << from % 64;
		if (word)
			return i * 64 + (uint32_t)__builtin_ctzll(word);
	}
	return MR_STEER_PORTS;
}

/* ---- After a death --------------------------------------------------------------------------------- */

void mr_steer_salvage_begin(struct mr_steer *s)
{
	s->frozen = true;
	memset(s->any, 0, sizeof(s->any));
	memset(s->held, 0, sizeof(s->held));
	memset(s->nusers, 0, sizeof(s->nusers));
	for (unsigned slot = 0; slot < MR_STEER_SLOTS; slot++) {
		if (!s->used[slot])
			continue;
		memset(s->one[slot], 0, sizeof(s->one[slot]));
		memset(s->flows[slot], 0, sizeof(s->flows[slot]));
	}
	s->nbusy = 0;
	for (unsigned i = 0; i < MR_STEER_PORTS / 64; i++)
		s->nbusy += (uint32_t)__builtin_popcountll(s->busy[i]);
}

void mr_steer_salvage_end(struct mr_steer *s)
{
	s->frozen = false;
	for (uint32_t port = 0; port < MR_STEER_PORTS; port++)
		publish(s, (uint16_t)port);
	for (unsigned slot = 0; slot < MR_STEER_SLOTS; slot++)
		slot_release(s, slot);
}
