// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_table.c - from a 4-tuple to its flow, from a port to its listener, and the choice of local
 * ports.
 * Owns        the hash table, the listener list, the port counter.
 * Implements  RFC 6056 section 3.3.3 (algorithm 3, simple hash-based port selection).
 * Called by   input (lookups), opens and closes (changes).
 * Not here    what the flows are.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "base/hash.h"
#include "tcp/tcp_priv.h"

int tcp_table_init(struct mr_tcp *tcp, struct mr_arena *arena, uint32_t flows)
{
	uint32_t n = 1024;

	while (n < flows)
		n *= 2;
	tcp->buckets = mr_arena_alloc(arena, n * sizeof(*tcp->buckets), 64);
	if (!tcp->buckets)
		return -ENOMEM;
	tcp->nbuckets = n;
	return 0;
}

uint32_t flow_hash(const struct mr_tcp *tcp, const struct mr_addr *laddr, uint16_t lport,
		   const struct mr_addr *raddr, uint16_t rport)
{
	const __u64 key[2] = { tcp->flow_key[0], tcp->flow_key[1] };

	return mr_flow_hash(key, raddr->w, laddr->w, htons(rport), htons(lport));
}

void flow_set(const struct mr_tcp *tcp, struct mr_flow *flow, enum mr_flow_kind kind,
	      const struct mr_addr *laddr, uint16_t lport, const struct mr_addr *raddr,
	      uint16_t rport)
{
	flow->kind = (uint8_t)kind;
	flow->laddr = *laddr;
	flow->lport = lport;
	flow->raddr = *raddr;
	flow->rport = rport;
	flow->hash = flow_hash(tcp, laddr, lport, raddr, rport);
}

static struct mr_flow **bucket(const struct mr_tcp *tcp, uint32_t hash)
{
	return &tcp->buckets[hash & (tcp->nbuckets - 1)];
}

void flow_insert(struct mr_tcp *tcp, struct mr_flow *flow)
{
	struct mr_flow **b = bucket(tcp, flow->hash);

	flow->next = *b;
	*b = flow;
}

void flow_remove(struct mr_tcp *tcp, struct mr_flow *flow)
{
	struct mr_flow **b = bucket(tcp, flow->hash);

	while (*b != flow) {
		assert(*b);
		b = &(*b)->next;
	}
	*b = flow->next;
	flow->next = NULL;
}

struct mr_flow *flow_lookup(const struct mr_tcp *tcp, uint32_t hash, const struct mr_addr *laddr,
			    uint16_t lport, const struct mr_addr *raddr, uint16_t rport)
{
	struct mr_flow *f = *bucket(tcp, hash);

	while (f && !(f->hash == hash && f->lport == lport && f->rport == rport &&
		      mr_addr_eq(&f->raddr, raddr) && mr_addr_eq(&f->laddr, laddr)))
		f = f->next;
	return f;
}

struct mr_tcp_listener *listener_lookup(const struct mr_tcp *tcp, const struct mr_addr *laddr,
					uint16_t lport)
{
	struct mr_tcp_listener *any = NULL;
	struct mr_list *pos;

	mr_list_for_each (pos, &tcp->listener_list) {
		struct mr_tcp_listener *l = mr_list_entry(pos, struct mr_tcp_listener, node);

		if (l->lport != lport)
			continue;
		if (mr_addr_eq(&l->laddr, laddr))
			return l;
		/* 0.0.0.0 takes IPv4 only, :: takes both (RFC 3493 section 3.7). */
		if (mr_addr_is_any(&l->laddr) &&
		    (!mr_addr_is_v4(&l->laddr) || mr_addr_is_v4(laddr)))
			any = l;
	}
	return any;
}

bool mr_tcp_port_free(const struct mr_tcp *tcp, const struct mr_addr *laddr, uint16_t lport)
{
	struct mr_list *pos;

	mr_list_for_each (pos, &tcp->listener_list) {
		const struct mr_tcp_listener *l = mr_list_entry(pos, struct mr_tcp_listener, node);

		if (l->lport == lport && (mr_addr_is_any(laddr) || mr_addr_is_any(&l->laddr) ||
					  mr_addr_eq(&l->laddr, laddr)))
			return false;
	}
	return true;
}

#define PORT_RANGE (MR_TCP_PORT_LAST - MR_TCP_PORT_FIRST + 1)

uint16_t mr_tcp_port_pick(struct mr_tcp *tcp, const struct mr_addr *laddr)
{
	uint32_t start = mr_rng_below(tcp->rng, PORT_RANGE);

	for (uint32_t i = 0; i < PORT_RANGE; i++) {
		uint16_t port = (uint16_t)(MR_TCP_PORT_FIRST + (start + i) % PORT_RANGE);

		if (mr_tcp_port_free(tcp, laddr, port))
			return port;
	}
	return 0;
}

uint16_t tcp_ephemeral_port(struct mr_tcp *tcp, const struct mr_addr *laddr,
			    const struct mr_addr *raddr, uint16_t rport)
{
	struct {
		struct mr_addr laddr, raddr;
		uint32_t rport;
	} in = { *laddr, *raddr, rport };
	uint32_t offset = (uint32_t)mr_siphash(tcp->secret, &in, sizeof(in));

	for (uint32_t i = 0; i < PORT_RANGE; i++) {
		uint16_t port =
			(uint16_t)(MR_TCP_PORT_FIRST + (offset + tcp->port_counter++) % PORT_RANGE);

		if (mr_tcp_port_free(tcp, laddr, port) &&
		    !flow_lookup(tcp, flow_hash(tcp, laddr, port, raddr, rport), laddr, port, raddr,
				 rport))
			return port;
	}
	return 0;
}
