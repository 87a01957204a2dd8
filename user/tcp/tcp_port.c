// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_port.c - local ports: who holds them (bound or listening), lookup of listeners, and the choice of ports.
 * Owns        the table of ports (tcp.ports), the port counter.
 * Implements  RFC 6056 section 3.3.3 (algorithm 3, simple hash-based port selection); SO_REUSEADDR and SO_REUSEPORT
 *             as Linux has them.
 * Called by   the socket layer (bind, listen), opens, input (lookup).
 * Not here    connections, which use a port without holding it (tcp_table.c counts them).
 */
#include <errno.h>

#include "base/hash.h"
#include "tcp/tcp_priv.h"

static const struct mr_list *bucket(const struct mr_tcp *tcp, uint16_t port)
{
	return &tcp->ports[port % MR_TCP_PORT_BUCKETS];
}

/* 0.0.0.0 stands for IPv4, :: for both families (RFC 3493 section 3.7), unless v6only is set. */
static bool takes_v4(const struct mr_addr *addr, bool v6only)
{
	return mr_addr_is_v4(addr) || (mr_addr_is_any(addr) && !v6only);
}

/* Could one packet be for both? */
static bool overlap(const struct mr_tcp_listener *l, const struct mr_addr *addr, bool v6only)
{
	bool both_v4 = takes_v4(&l->laddr, l->opts.v6only) && takes_v4(addr, v6only);
	bool both_v6 = !mr_addr_is_v4(&l->laddr) && !mr_addr_is_v4(addr);

	return (both_v4 || both_v6) &&
	       (mr_addr_is_any(&l->laddr) || mr_addr_is_any(addr) || mr_addr_eq(&l->laddr, addr));
}

/* Linux's rule (inet_csk_bind_conflict()): both share the port, or both have SO_REUSEADDR and the other one is no
 * listener. */
static bool may_share(const struct mr_tcp_listener *l, const struct mr_tcp_opts *opts)
{
	return (opts->reuseport && l->opts.reuseport) ||
	       (opts->reuseaddr && l->opts.reuseaddr && !l->listening);
}

static bool conflicts(const struct mr_tcp *tcp, const struct mr_tcp_listener *self,
		      const struct mr_addr *laddr, uint16_t lport, const struct mr_tcp_opts *opts)
{
	const struct mr_list *pos, *head = bucket(tcp, lport);

	mr_list_for_each (pos, head) {
		const struct mr_tcp_listener *l = mr_list_entry(pos, struct mr_tcp_listener, node);

		/* clang's analyzer takes an entry for NULL where self is */
		if ((!self || l != self) && l->lport == lport && overlap(l, laddr, opts->v6only) &&
		    !may_share(l, opts))
			return true;
	}
	return false;
}

int mr_tcp_hold(struct mr_tcp *tcp, const struct mr_addr *laddr, uint16_t lport,
		const struct mr_tcp_opts *opts, struct mr_tcp_listener **out)
{
	struct mr_tcp_listener *l;

	/* Without SO_REUSEADDR, connections of a former owner (mostly in TIME-WAIT) prevent the bind. */
	if (conflicts(tcp, NULL, laddr, lport, opts) ||
	    (tcp->port_use[lport] && !opts->reuseaddr && !opts->reuseport))
		return -EADDRINUSE;
	l = mr_pool_get(&tcp->listeners);
	if (!l)
		return -ENOBUFS;
	l->laddr = *laddr;
	l->lport = lport;
	l->opts = *opts;
	l->held = true;
	mr_list_init(&l->reqs);
	mr_list_add_tail(&tcp->ports[lport % MR_TCP_PORT_BUCKETS], &l->node);
	*out = l;
	return 0;
}

void mr_tcp_release(struct mr_tcp *tcp, struct mr_tcp_listener *l)
{
	assert(!l->listening);
	mr_list_del(&l->node);
	l->held = false;
	mr_pool_put(&tcp->listeners, l);
}

bool tcp_may_listen(const struct mr_tcp *tcp, const struct mr_tcp_listener *l)
{
	return !conflicts(tcp, l, &l->laddr, l->lport, &l->opts);
}

/* How well a listener fits: 2: bound to the address, 1: to any address, 0: not at all. */
static unsigned fit(const struct mr_tcp_listener *l, const struct mr_addr *laddr, uint16_t lport)
{
	if (!l->listening || l->lport != lport)
		return 0;
	if (mr_addr_eq(&l->laddr, laddr))
		return 2;
	return mr_addr_is_any(&l->laddr) &&
	       (mr_addr_is_v4(laddr) ? takes_v4(&l->laddr, l->opts.v6only) :
				       !mr_addr_is_v4(&l->laddr));
}

/* Several fit equally well only if they share the port (SO_REUSEPORT): the flow's hash chooses, so that SYN and ACK
 * of a handshake go to the same one. */
struct mr_tcp_listener *listener_lookup(const struct mr_tcp *tcp, const struct mr_addr *laddr,
					uint16_t lport, uint32_t hash)
{
	const struct mr_list *pos, *head = bucket(tcp, lport);
	struct mr_tcp_listener *first = NULL;
	unsigned best = 0;
	uint64_t n = 0, k;

	mr_list_for_each (pos, head) {
		struct mr_tcp_listener *l = mr_list_entry(pos, struct mr_tcp_listener, node);
		unsigned f = fit(l, laddr, lport);

		if (f > best) {
			best = f;
			first = l;
			n = 0;
		}
		n += f && f == best;
	}
	if (n < 2)
		return first;
	k = (hash * n) >> 32;
	for (pos = &first->node; pos != head; pos = pos->next) {
		struct mr_tcp_listener *l = mr_list_entry(pos, struct mr_tcp_listener, node);

		if (fit(l, laddr, lport) == best && !k--)
			return l;
	}
	return first;
}

/* May the port be used for a connection, or by a listener that has not chosen one? */
static bool unused(const struct mr_tcp *tcp, const struct mr_addr *laddr, uint16_t port)
{
	static const struct mr_tcp_opts shares_nothing;

	return !conflicts(tcp, NULL, laddr, port, &shares_nothing);
}

void mr_tcp_ports_set(struct mr_tcp *tcp, uint16_t first, uint16_t last)
{
	assert(first && first <= last);
	tcp->port_first = first;
	tcp->port_last = last;
}

static uint32_t count_ephemeral(const struct mr_tcp *tcp)
{
	uint32_t n = tcp->port_last - tcp->port_first + 1u;

	assert(n);
	return n;
}

/* The ports from the nth on, continuing with the first after the last. */
static uint16_t ephemeral(const struct mr_tcp *tcp, uint32_t n)
{
	return (uint16_t)(tcp->port_first + n % count_ephemeral(tcp));
}

uint16_t mr_tcp_port_pick(struct mr_tcp *tcp, const struct mr_addr *laddr)
{
	uint32_t n = count_ephemeral(tcp), start = mr_rng_below(tcp->rng, n);

	for (uint32_t i = 0; i < n; i++) {
		uint16_t port = ephemeral(tcp, start + i);

		if (!tcp->port_use[port] && unused(tcp, laddr, port))
			return port;
	}
	return 0;
}

/* Is the 4-tuple unused, or in TIME-WAIT and may be reused? */
static bool tuple_free(const struct mr_tcp *tcp, const struct mr_addr *laddr, uint16_t port,
		       const struct mr_addr *raddr, uint16_t rport, bool take_over, uint64_t now)
{
	uint32_t hash = flow_hash(tcp, laddr, port, raddr, rport);
	const struct mr_flow *flow = flow_lookup(tcp, hash, laddr, port, raddr, rport);

	return !flow || (take_over && flow->kind == MR_FLOW_TIMEWAIT &&
			 timewait_spent((const struct mr_tcp_tw *)flow, now));
}

uint16_t mr_tcp_port_pick_to(struct mr_tcp *tcp, const struct mr_addr *laddr,
			     const struct mr_endpoint *peer, uint64_t now)
{
	uint16_t port = mr_tcp_port_pick(tcp, laddr);
	struct mr_addr from = *laddr;
	uint32_t n = count_ephemeral(tcp), start;

	if (port || (mr_addr_is_any(&from) && mr_ip_source(tcp->ip, &peer->addr, &from)))
		return port;
	start = mr_rng_below(tcp->rng, n);
	for (uint32_t i = 0; i < n; i++) {
		port = ephemeral(tcp, start + i);
		if (unused(tcp, laddr, port) &&
		    tuple_free(tcp, &from, port, &peer->addr, peer->port, true, now))
			return port;
	}
	return 0;
}

uint16_t tcp_ephemeral_port(struct mr_tcp *tcp, const struct mr_addr *laddr,
			    const struct mr_addr *raddr, uint16_t rport, uint64_t now)
{
	struct {
		struct mr_addr laddr, raddr;
		uint32_t rport;
	} in = { *laddr, *raddr, rport };
	uint32_t offset = (uint32_t)mr_siphash(tcp->secret, &in, sizeof(in));
	uint32_t n = count_ephemeral(tcp);

	/* TIME-WAIT is only reused if no other port is free. */
	for (uint32_t i = 0; i < 2 * n; i++) {
		uint16_t port = ephemeral(tcp, offset + tcp->port_counter++);

		if (unused(tcp, laddr, port) &&
		    tuple_free(tcp, laddr, port, raddr, rport, i >= n, now))
			return port;
	}
	return 0;
}
