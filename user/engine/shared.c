// SPDX-License-Identifier: BSD-2-Clause
/*
 * shared.c - an engine that shares the addresses of its interface with the kernel.
 * Owns        the mirror, and copying it into the stack: addresses, routes, neighbours, the slots of addresses in the
 *             XDP program's maps.
 * Called by   engine_open.c, the engine's rounds (engine.c), a keeper.
 * Not here    requests to the kernel (kernel/mirror.c, kernel/ports_busy.c); what other processes do with such an
 *             engine (shared_any.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/error.h"
#include "engine/engine_priv.h"
#include "engine/shared.h"
#include "kernel/firewall.h"
#include "kernel/ports.h"
#include "kernel/sysctl.h"
#include "kernel/xdp.h"

/* How often a busy engine, which does not sleep, reads the mirror. */
#define READ_NS	     (1 * MR_NS_PER_MS)
#define BUSY_NS	     MR_NS_PER_S	/* interval of checking busy ports, */
#define BUSY_NS_MAX  (16 * MR_NS_PER_S) /* up to this, if they are always the same */
#define BUSY_AT_ONCE 64u

struct mr_shared {
	struct mr_mirror *mirror;
	unsigned pending; /* MR_MIRROR_*: read, but not copied yet */
	uint64_t read_at;
	/* Ports on which the kernel may have connections: checked in read, applied in apply. */
	uint16_t ports[BUSY_AT_ONCE];
	bool free[BUSY_AT_ONCE];
	unsigned nports, nasked;
	uint64_t ports_at, ports_every;
	uint32_t nbusy;
	int failed;   /* the mirror's error that was last logged */
	bool none;    /* it was logged that there is no address */
	bool full[3]; /* it was logged that something did not fit: slots, addresses, routes */
};

/* ---- Copying the mirror: addresses ----------------------------------------------------------------- */

static void tell_address(const struct mr_engine *engine, const struct mr_addr *addr,
			 const char *what)
{
	char text[MR_ADDR_STRLEN];

	engine_log(engine, LOG_INFO, "%s: the address %s %s", engine->ifname,
		   mr_addr_format(addr, text, sizeof(text)), what);
}

static void tell_full(struct mr_engine *engine, unsigned which, bool full, const char *what)
{
	struct mr_shared *sh = engine->shared;

	if (full && !sh->full[which])
		engine_log(engine, LOG_ERR,
			   "%s has more %s than Millrace can hold: some are not used",
			   engine->ifname, what);
	sh->full[which] = full;
}

static void tell_none(struct mr_engine *engine, bool none)
{
	struct mr_shared *sh = engine->shared;

	if (none && !sh->none)
		engine_log(engine, LOG_WARNING,
			   "%s has no address: every connection is the kernel's until it has one "
			   "(ip addr add ADDRESS/LENGTH dev %s)",
			   engine->ifname, engine->ifname);
	sh->none = none;
}

static bool view_has(const struct mr_mirror_view *view, const struct mr_addr *addr)
{
	for (unsigned i = 0; i < view->naddrs; i++)
		if (mr_addr_eq(&view->addrs[i].prefix.addr, addr))
			return true;
	return false;
}

/* Tell the XDP program first if an address is removed, and last if it is added: what it steers must be ours. */
static void apply_slots(struct mr_engine *engine, const struct mr_mirror_view *view)
{
	struct mr_steer *s = engine->st->ip.steer;
	bool full = false;

	for (unsigned slot = 0; slot < MR_STEER_SLOTS; slot++) {
		struct mr_addr addr = s->addrs[slot];

		if (!s->present[slot] || view_has(view, &addr))
			continue;
		mr_xdp_addr_del(engine->xdp, &addr);
		mr_steer_addr_del(s, &addr);
		tell_address(engine, &addr, "is gone");
	}
	for (unsigned i = 0; i < view->naddrs; i++) {
		const struct mr_addr *addr = &view->addrs[i].prefix.addr;
		bool known = mr_steer_has(s, addr);
		int slot = mr_steer_addr_add(s, addr);

		full |= slot < 0;
		if (slot < 0 || known)
			continue;
		if (mr_xdp_addr_set(engine->xdp, addr, MR_ADDR_WITH_SLOT((uint32_t)slot)))
			full = true;
		else
			tell_address(engine, addr, "is there");
	}
	tell_full(engine, 0, full, "addresses");
}

static void apply_addresses(struct mr_engine *engine, const struct mr_mirror_view *view)
{
	struct mr_prefix addrs[MR_LINK_ADDRS_MAX];
	uint8_t flags[MR_LINK_ADDRS_MAX];
	struct mr_ip *ip = &engine->st->ip;
	unsigned n = mr_min(view->naddrs, MR_LINK_ADDRS_MAX);

	for (unsigned i = 0; i < n; i++) {
		const struct mr_mirror_addr *a = &view->addrs[i];

		addrs[i] = a->prefix;
		flags[i] = (uint8_t)((a->secondary ? MR_IPADDR_SECONDARY : 0) |
				     (a->deprecated ? MR_IPADDR_DEPRECATED : 0) |
				     (a->temporary ? MR_IPADDR_TEMPORARY : 0));
	}
	ip->prefer_temporary = view->prefer_temporary;
	mr_ip_set_addrs(ip, addrs, flags, n);
	tell_full(engine, 1, n < view->naddrs, "addresses");
	apply_slots(engine, view);
	tell_none(engine, !n);
}

/* ---- Copying the mirror: routes -------------------------------------------------------------------- */

static void apply_routes(struct mr_engine *engine, const struct mr_mirror_view *view)
{
	struct mr_route *routes = calloc(view->nroutes + 1, sizeof(*routes));
	struct mr_ip *ip = &engine->st->ip;

	_Static_assert((int)MR_MIRROR_UNICAST == MR_ROUTE_UNICAST &&
			       (int)MR_MIRROR_LOCAL == MR_ROUTE_LOCAL &&
			       (int)MR_MIRROR_BROADCAST == MR_ROUTE_BROADCAST &&
			       (int)MR_MIRROR_UNREACHABLE == MR_ROUTE_UNREACHABLE,
		       "the same kinds");
	if (!routes) {
		engine_log(engine, LOG_ERR,
			   "no memory for %u routes: the previous ones stay in use", view->nroutes);
		return;
	}
	for (unsigned i = 0; i < view->nroutes; i++) {
		const struct mr_mirror_route *r = &view->routes[i];

		routes[i] = (struct mr_route){
			.dst = r->dst,
			.gateway = r->gateway,
			.src = r->src,
			.mtu = r->mtu,
			.metric = r->metric,
			.oif = r->oif,
			.kind = r->kind,
			.pref = r->pref,
		};
	}
	tell_full(engine, 2, mr_fib_set(ip, routes, view->nroutes) < 0, "routes");
	free(routes);
	if (view->rules && !ip->policy_rules)
		engine_log(engine, LOG_WARNING,
			   "this host has policy routing rules (ip rule), which Millrace does not "
			   "follow: packets are routed by the main table");
	ip->policy_rules = view->rules;
	if (ip->router_mtu != view->mtu6) {
		ip->router_mtu = view->mtu6;
		mr_ip_mtu_changed(ip);
	}
}

/* ---- Copying the mirror: neighbours ---------------------------------------------------------------- */

static void apply_neighbour(struct mr_engine *engine, const struct mr_mirror_neigh *news,
			    uint64_t now)
{
	static const enum mr_neigh_state states[] = {
		[MR_MIRROR_NUD_NONE] = MR_NEIGH_INCOMPLETE,
		[MR_MIRROR_NUD_INCOMPLETE] = MR_NEIGH_INCOMPLETE,
		[MR_MIRROR_NUD_REACHABLE] = MR_NEIGH_REACHABLE,
		[MR_MIRROR_NUD_STALE] = MR_NEIGH_STALE,
		[MR_MIRROR_NUD_DELAY] = MR_NEIGH_DELAY,
		[MR_MIRROR_NUD_PROBE] = MR_NEIGH_PROBE,
		[MR_MIRROR_NUD_FAILED] = MR_NEIGH_FAILED,
	};
	const struct mr_neigh *failed =
		mr_neigh_learned(&engine->st->link, &news->addr, states[news->nud],
				 news->nud == MR_MIRROR_NUD_NONE, news->mac, now);

	if (failed)
		engine_neighbour_failed(engine->st, failed, now);
}

/* ---- Ports on which the kernel may have connections ------------------------------------------------ */

static void ask_ports(struct mr_engine *engine, struct mr_shared *sh)
{
	const struct mr_ip *ip = &engine->st->ip;
	struct mr_addr addrs[MR_LINK_ADDRS_MAX];
	unsigned n = mr_min(ip->naddrs, MR_LINK_ADDRS_MAX);

	for (unsigned i = 0; i < n; i++)
		addrs[i] = ip->addrs[i].addr;
	for (; sh->nasked < sh->nports; sh->nasked++)
		sh->free[sh->nasked] = mr_port_busy(addrs, n, sh->ports[sh->nasked]) == 0;
}

/* Apply the results of the last check, and choose the next ports: those that have been busy for one interval at
 * least, so that packets which were in flight when the port was opened have made their connections. */
static void apply_ports(struct mr_engine *engine, struct mr_shared *sh, uint64_t now)
{
	struct mr_steer *s = engine->st->ip.steer;

	for (unsigned i = 0; i < sh->nasked; i++)
		if (sh->free[i])
			mr_steer_not_busy(s, sh->ports[i]);
	if (sh->nasked == sh->nports)
		sh->nasked = sh->nports = 0;
	if (sh->nbusy != s->nbusy) {
		sh->nbusy = s->nbusy;
		sh->ports_every = BUSY_NS;
		sh->ports_at = mr_min(sh->ports_at, now + BUSY_NS);
	}
	if (!s->nbusy || now < sh->ports_at || sh->nports)
		return;
	for (uint32_t port = 0; sh->nports < BUSY_AT_ONCE; port++) {
		port = mr_steer_next_busy(s, port);
		if (port == MR_STEER_PORTS)
			break;
		sh->ports[sh->nports++] = (uint16_t)port;
	}
	sh->ports_every = mr_min(2 * sh->ports_every, BUSY_NS_MAX);
	sh->ports_at = now + sh->ports_every;
}

/* ---- Service ---------------------------------------------------------------------------------------- */

void mr_shared_read(struct mr_engine *engine, uint64_t now)
{
	struct mr_shared *sh = engine->shared;
	int ret = mr_mirror_read(sh->mirror);

	sh->read_at = now + READ_NS;
	if (ret < 0 && ret != sh->failed)
		engine_log(engine, LOG_ERR,
			   "the kernel's addresses and routes cannot be read any more: %s",
			   strerror(-ret));
	sh->failed = mr_min(ret, 0);
	sh->pending |= (unsigned)mr_max(ret, 0);
	ask_ports(engine, sh);
}

void mr_shared_apply(struct mr_engine *engine, uint64_t now)
{
	struct mr_shared *sh = engine->shared;
	struct mr_mirror_neigh news;
	struct mr_mirror_view view;
	unsigned pending = sh->pending;

	sh->pending = 0;
	if (pending & MR_MIRROR_VIEW) {
		mr_mirror_view(sh->mirror, &view);
		apply_addresses(engine, &view);
		apply_routes(engine, &view);
	}
	while (mr_mirror_next_neigh(sh->mirror, &news))
		apply_neighbour(engine, &news, now);
	if (pending & MR_MIRROR_LOST)
		mr_neigh_ask_all(&engine->st->link, now);
	apply_ports(engine, sh, now);
}

void mr_shared_ask(struct mr_engine *engine, uint64_t now)
{
	const struct mr_neigh *n;
	enum mr_neigh_ask ask;

	if (!mr_shared_wants(engine))
		return;
	/* A report from before the question is no answer to it. */
	mr_shared_read(engine, now);
	mr_shared_apply(engine, now);
	while ((n = mr_neigh_next_ask(&engine->st->link, &ask)))
		mr_mirror_ask(engine->shared->mirror, &n->addr,
			      ask == MR_NEIGH_CONFIRM ? MR_MIRROR_CONFIRM : MR_MIRROR_USE);
	mr_shared_read(engine, now);
	mr_shared_apply(engine, now);
}

void mr_shared_service(struct mr_engine *engine, uint64_t now)
{
	mr_shared_read(engine, now);
	mr_shared_apply(engine, now);
	mr_shared_ask(engine, now);
}

bool mr_shared_due(const struct mr_engine *engine, uint64_t now)
{
	return engine->shared && now >= engine->shared->read_at;
}

int mr_shared_fd(const struct mr_engine *engine)
{
	return engine->shared ? mr_mirror_fd(engine->shared->mirror) : -1;
}

/* ---- Opening ------------------------------------------------------------------------------------------ */

/* Use the kernel's range of ephemeral ports (ip-sysctl.rst): other programs may depend on other ports being unused,
 * or need more. */
static void use_kernels_ports(struct mr_tcp *tcp)
{
	long range[2];

	if (mr_sysctl_numbers("ipv4/ip_local_port_range", range, 2) == 2 && range[0] > 0 &&
	    range[0] <= range[1] && range[1] <= UINT16_MAX)
		mr_tcp_ports_set(tcp, (uint16_t)range[0], (uint16_t)range[1]);
}

/* Returns the setting if it is within 1..most, most if it is larger, and fallback if it cannot be read. */
static long kernels_time(const char *name, long most, long fallback)
{
	long value;

	return mr_sysctl_numbers(name, &value, 1) == 1 && value > 0 ? mr_min(value, most) :
								      fallback;
}

/* New sockets get the kernel's defaults. The limits are those of the socket options (socket_opt.c). */
static void use_kernels_times(struct mr_tcp_opts *opts)
{
	opts->keepidle_s =
		(uint16_t)kernels_time("ipv4/tcp_keepalive_time", 32767, opts->keepidle_s);
	opts->keepintvl_s =
		(uint16_t)kernels_time("ipv4/tcp_keepalive_intvl", 32767, opts->keepintvl_s);
	opts->keepcnt = (uint8_t)kernels_time("ipv4/tcp_keepalive_probes", 127, opts->keepcnt);
	opts->syn_retries = (uint8_t)kernels_time("ipv4/tcp_syn_retries", 127, opts->syn_retries);
	opts->linger2_s = (int8_t)kernels_time("ipv4/tcp_fin_timeout", 127, opts->linger2_s);
}

int mr_shared_open(struct mr_engine *engine, int ifindex, struct mr_error *err)
{
	struct mr_shared *sh = calloc(1, sizeof(*sh));
	int ret;

	if (!sh)
		return mr_error_set(err, -ENOMEM, "out of memory");
	ret = mr_mirror_open(&sh->mirror, ifindex, err);
	if (ret) {
		free(sh);
		return ret;
	}
	sh->ports_every = BUSY_NS;
	engine->shared = sh;
	mr_shared_use_arbiter();
	engine->st->socks.arbitrated = true;
	use_kernels_ports(&engine->st->tcp);
	use_kernels_times(&engine->st->socks.defaults);
	return 0;
}

bool mr_shared_has_address(const struct mr_engine *engine)
{
	struct mr_mirror_view view;

	mr_mirror_view(engine->shared->mirror, &view);
	for (unsigned i = 0; i < view.naddrs; i++)
		if (!mr_addr_is_link_local(&view.addrs[i].prefix.addr))
			return true;
	return false;
}

static void tell_firewall(const struct mr_engine *engine)
{
	char where[160];
	unsigned n = mr_firewall_find(engine->ifname, where, sizeof(where));

	if (n)
		engine_log(
			engine, LOG_WARNING,
			"this host's firewall has %u rule%s that can stop packets: %s; packets of "
			"Millrace's connections bypass it (--ignore-firewall suppresses this)",
			n, n == 1 ? "" : "s", where);
}

void mr_shared_start(struct mr_engine *engine, bool ignore_firewall)
{
	engine->st->ip.steer->map = mr_xdp_ports(engine->xdp);
	engine->shared->pending = MR_MIRROR_VIEW;
	mr_shared_apply(engine, engine->st->now);
	if (!ignore_firewall)
		tell_firewall(engine);
}

void mr_shared_close(struct mr_engine *engine)
{
	if (!engine->shared)
		return;
	mr_mirror_close(engine->shared->mirror);
	free(engine->shared);
	engine->shared = NULL;
}
