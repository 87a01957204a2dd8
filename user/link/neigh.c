// SPDX-License-Identifier: BSD-2-Clause
/*
 * neigh.c - the neighbour cache: table, states, timers, and the packets that wait.
 * Owns        every change of mr_neigh.state, and the waiting packets' references.
 * Implements  RFC 4861 sections 7.2.5, 7.3.2 and 7.3.3, appendix C; for IPv4 with ARP in the
 *             place of solicitations.
 * Called by   ip (get, put, output), arp.c and ndisc.c (update), the engine (timer), on the
 *             engine's thread only.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "link/link_priv.h"

#define BUCKETS 1024u /* a power of two */

static struct mr_list *bucket_of(const struct mr_link *link, const struct mr_addr *addr)
{
	uint64_t h = mr_siphash(link->hash_key, addr->b, sizeof(addr->b));

	return &link->buckets[h & (link->nbuckets - 1)];
}

int mr_neigh_init(struct mr_link *link, struct mr_arena *arena)
{
	mr_list_init(&link->lru);
	link->nbuckets = BUCKETS;
	link->buckets = mr_arena_alloc(arena, sizeof(*link->buckets) * BUCKETS, 64);
	if (!link->buckets)
		return -ENOMEM;
	for (unsigned i = 0; i < BUCKETS; i++)
		mr_list_init(&link->buckets[i]);
	return mr_pool_init(&link->neighs, arena, sizeof(struct mr_neigh), MR_NEIGH_MAX);
}

/* Is it in use: a member of a list? (mr_pool_put() overwrites `next`, but not `prev`.) */
static bool to_be_kept(const struct mr_neigh *n)
{
	const struct mr_list *prev = n->hash_node.prev;

	return prev && prev != &n->hash_node && n->state != MR_NEIGH_INCOMPLETE &&
	       n->state != MR_NEIGH_FAILED;
}

/* Keep the MAC address, but as STALE, because it may have been about to change. */
static void keep(struct mr_link *link, struct mr_neigh *n)
{
	n->state = MR_NEIGH_STALE;
	n->probes = 0;
	n->refs = 0;
	n->waiting_head = n->waiting_tail = NULL;
	n->waiting_count = 0;
	mr_timer_init(&n->timer, MR_TIMER_NEIGH);
	mr_list_init(&n->lru_node);
	mr_list_init(&n->ask_node);
	mr_list_add_head(bucket_of(link, &n->addr), &n->hash_node);
	mr_list_add_tail(&link->lru, &n->lru_node);
}

void mr_neigh_salvage(struct mr_link *link)
{
	mr_list_init(&link->lru);
	mr_list_init(&link->asks);
	link->waiting = 0;
	for (unsigned i = 0; i < BUCKETS; i++)
		mr_list_init(&link->buckets[i]);
	mr_pool_salvage(&link->neighs);
	for (uint32_t i = 0; i < link->neighs.fresh; i++) {
		struct mr_neigh *n = mr_pool_at(&link->neighs, i);
		bool used = to_be_kept(n);

		if (used)
			keep(link, n);
		else
			mr_list_init(&n->hash_node);
		mr_pool_salvage_slot(&link->neighs, n, used);
	}
}

/* ---- Packets that wait ----------------------------------------------------------------------- */

static struct mr_frame *waiting_pop(struct mr_link *link, struct mr_neigh *n)
{
	struct mr_frame *f = n->waiting_head, *pos;

	if (!f)
		return NULL;
	n->waiting_head = f->txnext;
	if (!n->waiting_head)
		n->waiting_tail = NULL;
	n->waiting_count--;
	link->waiting -= f->nchunks;
	f->txnext = NULL;
	mr_frame_for_each_chunk (pos, f)
		pos->tx_refs--;
	return f;
}

/* Is there room for one more waiting packet? A peer may make us send to addresses that nobody has, and those packets
 * must not hold all frames. */
static bool room_to_wait(const struct mr_link *link, const struct mr_frame *f)
{
	return link->waiting + f->nchunks <= link->frames->nframes / MR_NEIGH_WAITING_SHARE;
}

static void waiting_push(struct mr_link *link, struct mr_neigh *n, struct mr_frame *f)
{
	struct mr_frame *pos;

	/* RFC 1122 section 2.3.2.2: keep the latest. */
	while (n->waiting_head &&
	       (n->waiting_count == MR_NEIGH_QUEUE_MAX || !room_to_wait(link, f))) {
		mr_frame_put_chain(link->frames, waiting_pop(link, n));
		link->ctr->drop[MR_DROP_NEIGH_QUEUE_FULL]++;
	}
	if (!room_to_wait(link, f)) {
		mr_frame_put_chain(link->frames, f);
		link->ctr->drop[MR_DROP_NEIGH_QUEUE_FULL]++;
		return;
	}
	assert(!f->tx_refs);
	mr_frame_for_each_chunk (pos, f)
		pos->tx_refs++;
	f->txnext = NULL;
	if (n->waiting_tail)
		n->waiting_tail->txnext = f;
	else
		n->waiting_head = f;
	n->waiting_tail = f;
	n->waiting_count++;
	link->waiting += f->nchunks;
}

static void waiting_drop(struct mr_link *link, struct mr_neigh *n, enum mr_drop reason)
{
	struct mr_frame *f;

	while ((f = waiting_pop(link, n))) {
		mr_frame_put_chain(link->frames, f);
		link->ctr->drop[reason]++;
	}
}

/* ---- States ---------------------------------------------------------------------------------- */

static void arm(struct mr_link *link, struct mr_neigh *n, uint64_t expires)
{
	mr_timer_arm(link->wheel, &n->timer, expires);
}

/* RFC 4861 section 6.3.2: a random factor of 0.5 to 1.5, so that hosts are not synchronised. */
static uint64_t reachable_ns(struct mr_link *link)
{
	uint32_t ms = (uint32_t)(MR_NEIGH_REACHABLE_NS / MR_NS_PER_MS);

	return (ms / 2 + mr_rng_below(link->rng, ms)) * MR_NS_PER_MS;
}

static void enter_reachable(struct mr_link *link, struct mr_neigh *n, uint64_t now)
{
	n->state = MR_NEIGH_REACHABLE;
	n->confirmed_at = now;
	arm(link, n, now + reachable_ns(link));
}

static void enter_stale(struct mr_link *link, struct mr_neigh *n)
{
	n->state = MR_NEIGH_STALE;
	mr_timer_cancel(link->wheel, &n->timer);
}

static void enter_failed(struct mr_link *link, struct mr_neigh *n, uint64_t now)
{
	n->state = MR_NEIGH_FAILED;
	MR_COUNT(link->ctr, NEIGH_FAILED);
	waiting_drop(link, n, MR_DROP_NEIGH_FAILED);
	arm(link, n, now + MR_NEIGH_FAILED_NS);
}

/* Queue a question or a confirmation for the kernel. CONFIRM includes what USE does, so it replaces it. */
static void queue_ask(struct mr_link *link, struct mr_neigh *n, enum mr_neigh_ask what)
{
	if (mr_list_empty(&n->ask_node)) {
		mr_list_add_tail(&link->asks, &n->ask_node);
		n->ask = MR_NEIGH_USE;
	}
	if (what == MR_NEIGH_CONFIRM)
		n->ask = MR_NEIGH_CONFIRM;
}

/* Send one more request: multicast or broadcast, or in PROBE to the last known MAC address. */
static void ask(struct mr_link *link, struct mr_neigh *n, uint64_t now)
{
	const uint8_t *mac = n->state == MR_NEIGH_PROBE ? n->mac : NULL;

	if (!n->probes++)
		n->asked_at = now;
	if (link->kernel)
		queue_ask(link, n, MR_NEIGH_USE);
	else if (mr_addr_is_v4(&n->addr))
		mr_arp_request(link, &n->addr, mac);
	else
		mr_nd_solicit(link, &n->addr, mac);
	arm(link, n, now + MR_NEIGH_RETRANS_NS);
}

/* First use of a STALE entry: the upper layer has this time to confirm it. */
static void enter_delay(struct mr_link *link, struct mr_neigh *n, uint64_t now)
{
	n->state = MR_NEIGH_DELAY;
	arm(link, n, now + MR_NEIGH_DELAY_NS);
	if (link->kernel)
		queue_ask(link, n, MR_NEIGH_USE);
}

static void send_waiting(struct mr_link *link, struct mr_neigh *n, uint64_t now)
{
	bool v4 = mr_addr_is_v4(&n->addr);
	struct mr_frame *f;

	if (n->waiting_head && n->state == MR_NEIGH_STALE)
		enter_delay(link, n, now);
	/* The next hop of an IPv4 packet may be IPv6 (RFC 8950). */
	while ((f = waiting_pop(link, n)))
		mr_eth_send(link, f, n->mac, v4 || *f->data >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6);
}

void mr_neigh_update(struct mr_link *link, struct mr_neigh *n, const uint8_t mac[6],
		     enum mr_neigh_news news, uint64_t now)
{
	bool resolved = n->state != MR_NEIGH_INCOMPLETE && n->state != MR_NEIGH_FAILED;
	bool asked = n->state == MR_NEIGH_PROBE ||
		     (n->state == MR_NEIGH_INCOMPLETE && mr_timer_armed(&n->timer));
	bool moved = !resolved || memcmp(n->mac, mac, 6) != 0;

	if (resolved && moved)
		n->moved_at = now;
	memcpy(n->mac, mac, 6);
	if (news == MR_NEIGH_ANSWERED && asked)
		enter_reachable(link, n, now);
	else if (moved)
		enter_stale(link, n);
	send_waiting(link, n, now);
}

void mr_neigh_advertised(struct mr_link *link, struct mr_neigh *n, const uint8_t *mac,
			 bool solicited, bool override, uint64_t now)
{
	bool resolved = n->state != MR_NEIGH_INCOMPLETE && n->state != MR_NEIGH_FAILED;
	bool moved = !resolved || (mac && memcmp(n->mac, mac, 6) != 0);

	if (!resolved && !mac)
		return;
	if (resolved && moved && !override) {
		/* It contradicts the entry, without the override flag: probe before believing either. */
		if (n->state == MR_NEIGH_REACHABLE)
			enter_stale(link, n);
		return;
	}
	if (resolved && moved)
		n->moved_at = now;
	if (mac)
		memcpy(n->mac, mac, 6);
	if (solicited)
		enter_reachable(link, n, now);
	else if (moved)
		enter_stale(link, n);
	send_waiting(link, n, now);
}

/* Tell the kernel, so that it need not probe (RFC 4861 section 7.3.1). Once per second, in case it disagrees. */
static void confirm_to_kernel(struct mr_link *link, struct mr_neigh *n, uint64_t now)
{
	if (n->confirm_at && now - n->confirm_at < MR_NS_PER_S)
		return;
	n->confirm_at = now;
	queue_ask(link, n, MR_NEIGH_CONFIRM);
}

void mr_neigh_confirm(struct mr_link *link, struct mr_neigh *n, uint64_t now)
{
	if (!n) /* the route is not, or no longer, cached */
		return;
	/* An ACK soon after a change of the MAC address may be for what was sent to the old one. It must not confirm
	 * the new one, which may come from a forged ARP packet. */
	if (n->moved_at && now - n->moved_at < MR_NEIGH_SETTLE_NS)
		return;
	n->confirmed_at = now;
	if (n->state != MR_NEIGH_STALE && n->state != MR_NEIGH_DELAY && n->state != MR_NEIGH_PROBE)
		return;
	if (link->kernel)
		confirm_to_kernel(link, n, now);
	else
		enter_reachable(link, n, now);
}

/* true: the entry became FAILED. */
static bool kernel_timer(struct mr_link *link, struct mr_neigh *n, uint64_t now)
{
	if (n->state == MR_NEIGH_DELAY) { /* the next use tells the kernel again */
		enter_stale(link, n);
	} else if (n->state == MR_NEIGH_INCOMPLETE) {
		if (n->probes == MR_NEIGH_KERNEL_ASKS) {
			enter_failed(link, n, now);
			return true;
		}
		ask(link, n, now);
	}
	return false;
}

bool mr_neigh_timer(struct mr_link *link, struct mr_neigh *n, uint64_t now)
{
	uint64_t until;

	if (link->kernel)
		return kernel_timer(link, n, now);
	switch ((enum mr_neigh_state)n->state) {
	case MR_NEIGH_REACHABLE:
		/* It may have been confirmed in the meantime. */
		until = n->confirmed_at + reachable_ns(link);
		if (until > now)
			arm(link, n, until);
		else
			enter_stale(link, n);
		return false;
	case MR_NEIGH_DELAY:
		n->state = MR_NEIGH_PROBE;
		n->probes = 0;
		ask(link, n, now);
		return false;
	case MR_NEIGH_INCOMPLETE:
	case MR_NEIGH_PROBE:
		if (n->probes < MR_NEIGH_PROBES) {
			ask(link, n, now);
			return false;
		}
		enter_failed(link, n, now);
		return true;
	case MR_NEIGH_STALE:
	case MR_NEIGH_FAILED: /* the time is over: the next packet starts a new request */
		return false;
	}
	return false;
}

/* ---- Neighbours that the kernel knows ------------------------------------------------------------ */

const struct mr_neigh *mr_neigh_next_ask(struct mr_link *link, enum mr_neigh_ask *what)
{
	struct mr_neigh *n;

	if (mr_list_empty(&link->asks))
		return NULL;
	n = mr_list_first(&link->asks, struct mr_neigh, ask_node);
	mr_list_del(&n->ask_node);
	*what = (enum mr_neigh_ask)n->ask;
	return n;
}

/* The kernel has no MAC address for it: ask again if packets wait. */
static void unlearn(struct mr_link *link, struct mr_neigh *n, uint64_t now)
{
	if (n->state != MR_NEIGH_INCOMPLETE) {
		n->state = MR_NEIGH_INCOMPLETE;
		n->probes = 0;
		mr_timer_cancel(link->wheel, &n->timer);
	}
	if (!n->waiting_head)
		return;
	if (mr_timer_armed(&n->timer))
		queue_ask(link, n, MR_NEIGH_USE); /* the same question */
	else
		ask(link, n, now);
}

struct mr_neigh *mr_neigh_learned(struct mr_link *link, const struct mr_addr *addr,
				  enum mr_neigh_state state, bool forgotten, const uint8_t mac[6],
				  uint64_t now)
{
	struct mr_neigh *n = mr_neigh_find(link, addr);
	bool resolved;

	if (!n)
		return NULL;
	resolved = n->state != MR_NEIGH_INCOMPLETE && n->state != MR_NEIGH_FAILED;
	if (forgotten) {
		if (n->state != MR_NEIGH_FAILED)
			unlearn(link, n, now);
		return NULL;
	}
	switch (state) {
	case MR_NEIGH_INCOMPLETE:
		if (resolved)
			unlearn(link, n, now);
		return NULL;
	case MR_NEIGH_FAILED:
		/* The kernel also reports this for an entry that somebody deletes. That is no answer to our question,
		 * which takes the kernel longer. */
		if (resolved) {
			unlearn(link, n, now);
		} else if (n->state == MR_NEIGH_INCOMPLETE && mr_timer_armed(&n->timer)) {
			if (now - n->asked_at >= MR_NEIGH_ANSWER_NS) {
				enter_failed(link, n, now);
				return n;
			}
			queue_ask(link, n, MR_NEIGH_USE);
		}
		return NULL;
	case MR_NEIGH_DELAY:
		arm(link, n, now + MR_NEIGH_DELAY_NS);
		break;
	case MR_NEIGH_REACHABLE:
	case MR_NEIGH_STALE:
	case MR_NEIGH_PROBE:
		mr_timer_cancel(link->wheel, &n->timer);
		break;
	}
	if (resolved && memcmp(n->mac, mac, 6) != 0)
		n->moved_at = now;
	memcpy(n->mac, mac, 6);
	n->state = (uint8_t)state;
	send_waiting(link, n, now);
	return NULL;
}

void mr_neigh_ask_all(struct mr_link *link, uint64_t now)
{
	struct mr_list *pos;

	for (uint32_t i = 0; i < link->nbuckets; i++) {
		mr_list_for_each (pos, &link->buckets[i]) {
			struct mr_neigh *n = mr_list_entry(pos, struct mr_neigh, hash_node);

			if (n->state == MR_NEIGH_FAILED)
				continue;
			if (n->refs)
				queue_ask(link, n, MR_NEIGH_USE);
			else
				unlearn(link, n, now);
		}
	}
}

int mr_link_output(struct mr_link *link, struct mr_frame *f, struct mr_neigh *n, uint16_t ethertype,
		   uint64_t now)
{
	switch ((enum mr_neigh_state)n->state) {
	case MR_NEIGH_FAILED:
		if (mr_timer_armed(&n->timer)) {
			link->ctr->drop[MR_DROP_NEIGH_FAILED]++;
			mr_frame_put_chain(link->frames, f);
			return -EHOSTUNREACH;
		}
		n->state = MR_NEIGH_INCOMPLETE;
		/* fall through */
	case MR_NEIGH_INCOMPLETE:
		waiting_push(link, n, f);
		if (!mr_timer_armed(&n->timer)) {
			n->probes = 0;
			ask(link, n, now);
		}
		return 0;
	case MR_NEIGH_STALE:
		enter_delay(link, n, now);
		break;
	case MR_NEIGH_REACHABLE:
	case MR_NEIGH_DELAY:
	case MR_NEIGH_PROBE:
		break;
	}
	return mr_eth_send(link, f, n->mac, ethertype);
}

/* ---- The table ------------------------------------------------------------------------------- */

struct mr_neigh *mr_neigh_find(const struct mr_link *link, const struct mr_addr *addr)
{
	struct mr_list *bucket = bucket_of(link, addr), *pos;

	mr_list_for_each (pos, bucket) {
		struct mr_neigh *n = mr_list_entry(pos, struct mr_neigh, hash_node);

		if (mr_addr_eq(&n->addr, addr))
			return n;
	}
	return NULL;
}

static bool evict_one(struct mr_link *link)
{
	struct mr_neigh *n;

	if (mr_list_empty(&link->lru))
		return false;
	n = mr_list_first(&link->lru, struct mr_neigh, lru_node);
	waiting_drop(link, n, MR_DROP_NEIGH_TABLE_FULL);
	mr_timer_cancel(link->wheel, &n->timer);
	mr_list_del(&n->hash_node);
	mr_list_del(&n->lru_node);
	mr_list_del(&n->ask_node);
	mr_pool_put(&link->neighs, n);
	MR_COUNT(link->ctr, NEIGH_EVICTED);
	return true;
}

struct mr_neigh *mr_neigh_make(struct mr_link *link, const struct mr_addr *addr)
{
	struct mr_neigh *n = mr_neigh_find(link, addr);

	if (n)
		return n;
	n = mr_pool_get(&link->neighs);
	if (!n && evict_one(link))
		n = mr_pool_get(&link->neighs);
	if (!n)
		return NULL;
	n->addr = *addr;
	n->state = MR_NEIGH_INCOMPLETE; /* no request was sent yet: the first packet causes it */
	mr_timer_init(&n->timer, MR_TIMER_NEIGH);
	mr_list_init(&n->lru_node);
	mr_list_init(&n->ask_node);
	mr_list_add_head(bucket_of(link, addr), &n->hash_node);
	mr_list_add_tail(&link->lru, &n->lru_node);
	MR_COUNT(link->ctr, NEIGH_CREATED);
	return n;
}

struct mr_neigh *mr_neigh_get(struct mr_link *link, const struct mr_addr *addr, uint64_t now)
{
	struct mr_neigh *n = mr_neigh_make(link, addr);

	(void)now;
	if (!n)
		return NULL;
	n->refs++;
	mr_list_del(&n->lru_node);
	return n;
}

void mr_neigh_put(struct mr_link *link, struct mr_neigh *n)
{
	assert(n->refs);
	if (--n->refs == 0)
		mr_list_add_tail(&link->lru, &n->lru_node);
}
