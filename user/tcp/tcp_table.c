// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_table.c - from a 4-tuple to its flow.
 * Owns        the hash table.
 * Called by   input (lookups), opens and closes (changes).
 * Not here    what the flows are; local ports (tcp_port.c).
 */
#include <arpa/inet.h>
#include <errno.h>

#include "base/hash.h"
#include "tcp/tcp_priv.h"

int tcp_table_init(struct mr_tcp *tcp, struct mr_arena *arena, uint32_t flows)
{
	uint32_t n = 64;

	while (n < flows)
		n *= 2;
	tcp->buckets = mr_arena_alloc(arena, n * sizeof(*tcp->buckets), 64);
	tcp->port_use = mr_arena_alloc(arena, MR_TCP_PORTS * sizeof(*tcp->port_use), 64);
	if (!tcp->buckets || !tcp->port_use)
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
	tcp->port_use[flow->lport]++;
	if (tcp->ip->steer)
		flow->steer = mr_steer_flow_add(tcp->ip->steer, &flow->laddr, flow->lport);
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
	tcp->port_use[flow->lport]--;
	if (tcp->ip->steer)
		mr_steer_flow_del(tcp->ip->steer, flow->steer, flow->lport);
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
