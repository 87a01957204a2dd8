// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine.c - one stack in one arena, and the two halves of a round: input and output.
 * Owns        the pipeline from a received packet up to TCP, and the counting of input's drops.
 * Called by   mr_wait() (engine_wait.c), the simulator.
 * Not here    opening a real interface (engine_open.c), sleeping (engine_wait.c).
 *
 * Input never sends, and output never receives. What input has to send (ACKs, data that a larger window permits) is
 * sent by the next output, together with what the application has written by then.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/time.h"
#include "engine/engine_priv.h"
#include "kernel/xdp.h"

/* Packets received in one round; the rest waits, so that answers are not late. */
#define RX_BUDGET    256u
#define OUTPUT_TURNS 4u	 /* how often one round fills and empties the transmit queue */
#define CLOSE_TURNS  64u /* rounds of output at close, to send the resets */
/* When no frame was free for output: how often to try again. */
#define STUCK_NS (10 * MR_NS_PER_MS)

/* ---- Create ---------------------------------------------------------------------------------- */

static uint64_t monotonic(void *user)
{
	struct timespec ts;

	(void)user;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * MR_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Connections outlive their sockets: there may be as many orphans as sockets. */
static uint32_t max_connections(const struct mr_config *cfg)
{
	return 2 * cfg->max_sockets;
}

/* An upper bound, with the overhead of pools and alignment. Untouched pages cost nothing. */
static size_t arena_size(const struct mr_config *cfg, const struct mr_stack_cfg *scfg)
{
	const size_t pad = 64, slack = 1 << 20;
	size_t connection = sizeof(struct mr_tcb) + sizeof(struct mr_tcp_synreq) +
			    sizeof(struct mr_tcp_tw) + sizeof(struct mr_gap) +
			    sizeof(struct mr_sending) + 5 * pad + 2 * sizeof(struct mr_flow *);
	size_t sock = sizeof(struct mr_socket) + sizeof(struct mr_sock_setup) +
		      sizeof(struct mr_tcp_listener) + 3 * pad;
	size_t neigh = sizeof(struct mr_neigh) + pad + 4 * sizeof(struct mr_list);

	return slack + scfg->extra_bytes + sizeof(struct mr_stack) +
	       scfg->nframes * sizeof(struct mr_frame) + max_connections(cfg) * connection +
	       cfg->max_sockets * sock + MR_NEIGH_MAX * neigh +
	       (cfg->shared ? mr_ip_shared_bytes() : 0);
}

/* Derive keys so that nothing random that a peer sees reveals the seed. */
static uint64_t derive(uint64_t seed, const char *purpose)
{
	const uint64_t key[2] = { seed, 0x6d696c6c72616365ull /* "millrace" */ };

	return mr_siphash(key, purpose, strlen(purpose));
}

/* The configured addresses, and, if one of them is IPv6 and none is link-local, a link-local one (RFC 4291 section
 * 2.8). Returns how many. */
static unsigned own_addresses(const struct mr_config *cfg, const struct mr_stack_cfg *scfg,
			      struct mr_prefix own[MR_LINK_ADDRS_MAX])
{
	struct mr_prefix link_local = { .addr = scfg->link_local, .len = 64 };
	bool v6 = false, have = false;

	if (mr_addr_is_any(&link_local.addr))
		link_local.addr = mr_addr_link_local(scfg->mac);
	for (unsigned i = 0; i < cfg->naddrs; i++) {
		own[i] = cfg->addrs[i];
		v6 |= !mr_addr_is_v4(&own[i].addr);
		have |= mr_addr_is_link_local(&own[i].addr);
	}
	if (!v6 || have)
		return cfg->naddrs;
	own[cfg->naddrs] = link_local;
	return cfg->naddrs + 1;
}

static int stack_init(struct mr_engine *engine, const struct mr_config *cfg,
		      struct mr_stack_cfg *scfg)
{
	struct mr_stack *st = engine->st;
	struct mr_arena *arena = &engine->arena;
	struct mr_tcp_cfg tcfg = {
		.max_connections = max_connections(cfg),
		.max_listeners = cfg->max_sockets,
		.mtu_probing = cfg->mtu_probing,
	};
	struct mr_prefix own[MR_LINK_ADDRS_MAX];
	struct mr_addr addrs[MR_LINK_ADDRS_MAX];
	unsigned naddrs = own_addresses(cfg, scfg, own);
	int err;

	if (!mr_config_fastopen_keys(cfg->fastopen_key, &tcfg.tfo_keys))
		return -EINVAL;
	for (unsigned i = 0; i < naddrs; i++)
		addrs[i] = own[i].addr;
	scfg->flow_key[0] = tcfg.flow_key[0] = derive(scfg->seed, "flow key 0");
	scfg->flow_key[1] = tcfg.flow_key[1] = derive(scfg->seed, "flow key 1");
	mr_rng_init(&st->rng, derive(scfg->seed, "random numbers"));
	mr_wheel_init(&st->wheel, engine->st->now);
	err = mr_frame_pool_init(&st->frames, arena, &st->ctr, engine->umem.base, scfg->nframes,
				 scfg->chunk_size);
	if (err)
		return err;
	mr_netif_init(&st->nif, &st->frames, &st->ctr, scfg->mac, scfg->mtu, scfg->txq_limit);
	st->nif.max_chunks = scfg->max_chunks;
	err = mr_link_init(&st->link, arena, &st->nif, &st->wheel, &st->rng, &st->ctr, addrs,
			   naddrs, engine->st->now);
	if (!err && cfg->shared) {
		mr_link_use_kernel(&st->link);
		err = mr_ip_init_shared(&st->ip, arena, &st->link, &st->rng, &st->ctr,
					scfg->ifindex, engine->st->now);
	} else if (!err)
		err = mr_ip_init(&st->ip, &st->link, &st->rng, &st->ctr, own, naddrs,
				 engine->st->now);
	if (!err)
		err = mr_tcp_init(&st->tcp, arena, &st->ip, &st->wheel, &st->rng, &st->ctr, 0,
				  &tcfg);
	if (!err)
		err = mr_socks_init(&st->socks, arena, &st->tcp, &st->frames, &st->ctr, cfg,
				    scfg->dev_frames);
	return err;
}

/* On-link routes first, because gateways are reached through them. */
static int add_routes(struct mr_ip *ip, const struct mr_config *cfg)
{
	for (int via = 0; via <= 1; via++) {
		for (unsigned i = 0; i < cfg->nroutes; i++) {
			const struct mr_config_route *r = &cfg->routes[i];
			struct mr_route route = { .dst = r->dst, .gateway = r->gateway };
			int err;

			if (mr_addr_is_any(&r->gateway) != !via)
				continue;
			err = mr_route_add(ip, &route);
			/* The subnet of an address, which has its route already. */
			if (err && (via || err != -EEXIST))
				return err;
		}
	}
	return 0;
}

int mr_engine_create(struct mr_engine **out, const struct mr_config *cfg, struct mr_stack_cfg *scfg,
		     uint64_t (*clock)(void *user), void *clock_user, struct mr_error *err)
{
	struct mr_engine *engine = calloc(1, sizeof(*engine));
	size_t size = arena_size(cfg, scfg);
	int ret;

	*out = NULL;
	if (!engine)
		return mr_error_set(err, -ENOMEM, "out of memory");
	engine->arena.fd = -1;
	engine->umem.fd = -1;
	engine->groups_fd = -1;
	engine->clock = clock ?: monotonic;
	engine->clock_user = clock_user;
	engine->spin_ns = cfg->spin_us * MR_NS_PER_US;
	engine->log = cfg->log;
	engine->log_user = cfg->log_user;
	strncpy(engine->ifname, cfg->ifname ?: "", sizeof(engine->ifname) - 1);
	engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (engine->wake_fd < 0) {
		ret = mr_error_set(err, -errno, "cannot make an eventfd: %s", strerror(errno));
		goto fail;
	}
	ret = mr_arena_open_at(&engine->arena, "millrace-arena", size, scfg->arena_at);
	if (ret) {
		mr_error_set(err, ret, "cannot map %zu MiB for the stack: %s", size >> 20,
			     strerror(-ret));
		goto fail;
	}
	ret = mr_umem_open_at(&engine->umem, scfg->nframes, scfg->chunk_size, scfg->umem_at);
	if (ret) {
		mr_error_set(err, ret, "cannot map %u frames of %u bytes: %s", scfg->nframes,
			     scfg->chunk_size, strerror(-ret));
		goto fail;
	}
	engine->st = mr_arena_alloc(&engine->arena, sizeof(*engine->st), 64);
	ret = engine->st ? 0 : -ENOMEM;
	if (!ret) {
		engine->st->now = engine->clock(clock_user);
		ret = stack_init(engine, cfg, scfg);
	}
	if (ret) {
		mr_error_set(err, ret, "cannot set up the stack: %s", strerror(-ret));
		goto fail;
	}
	ret = add_routes(&engine->st->ip, cfg);
	if (ret) {
		mr_error_set(err, ret, "cannot add the routes: %s", strerror(-ret));
		goto fail;
	}
	engine->st->socks.now = engine->st->now;
	*out = engine;
	return 0;

fail:
	engine->st = NULL; /* perhaps incomplete; nothing in it has to be closed */
	mr_engine_close(engine);
	return ret;
}

/* The difference between the time of day and the engine's clock; 0 for a clock of the caller's, so that the same run
 * makes the same capture. */
static int64_t epoch_ns(const struct mr_engine *engine)
{
	struct timespec ts;

	if (engine->clock != monotonic)
		return 0;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * (int64_t)MR_NS_PER_S + ts.tv_nsec - (int64_t)monotonic(NULL);
}

static int list_fds(struct mr_engine *engine)
{
	static const unsigned max = MR_ENGINE_FDS_MAX - 2;
	int *fds = calloc(max, sizeof(*fds));
	unsigned n = 0;

	engine->pfds = calloc(MR_ENGINE_FDS_MAX, sizeof(*engine->pfds));
	if (!fds || !engine->pfds) {
		free(fds);
		return -ENOMEM;
	}
	if (engine->dev->ops->fds)
		n = engine->dev->ops->fds(engine->dev, fds, max);
	for (unsigned i = 0; i < n; i++)
		engine->pfds[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	if (engine->shared)
		engine->pfds[n++] =
			(struct pollfd){ .fd = engine->opener->fd(engine), .events = POLLIN };
	engine->pfds[n] = (struct pollfd){ .fd = engine->wake_fd, .events = POLLIN };
	engine->npfds = n + 1;
	free(fds);
	return 0;
}

int mr_engine_start(struct mr_engine *engine, const struct mr_config *cfg, struct mr_dev *dev,
		    struct mr_error *err)
{
	int ret;

	engine->dev = dev;
	ret = list_fds(engine);
	if (ret)
		return mr_error_set(err, ret, "out of memory");
	if (cfg->pcap_path) {
		ret = mr_pcapng_open(&engine->cap, cfg->pcap_path, engine->ifname,
				     cfg->pcap_snaplen, epoch_ns(engine));
		if (ret)
			return mr_error_set(
				err, ret,
				"cannot write the capture to %s (%s): choose another file",
				cfg->pcap_path, strerror(-ret));
	}
	mr_port_init(&engine->port, &engine->st->port, dev, &engine->st->nif, cfg->rate_bps,
		     engine->cap, engine->st->now);
	engine->st->service_at = engine->st->now + SERVICE_NS;
	return 0;
}

int engine_join(struct mr_engine *engine)
{
	engine->clock = monotonic;
	mr_socks_attach();
	engine->port = (struct mr_port){
		.dev = engine->dev,
		.nif = &engine->st->nif,
		.cap = engine->cap,
		.s = &engine->st->port,
	};
	return list_fds(engine);
}

void engine_leave(struct mr_engine *engine)
{
	if (!engine)
		return;
	if (engine->dev)
		engine->dev->ops->leave(engine->dev);
	mr_pcapng_close(engine->cap);
	mr_umem_close(&engine->umem);
	mr_arena_close(&engine->arena);
	free(engine->pfds);
	free(engine);
}

/* ---- Input ----------------------------------------------------------------------------------- */

static enum mr_drop input_ip(struct mr_stack *st, struct mr_frame **f, enum mr_up family,
			     uint64_t now)
{
	struct mr_icmp_err ierr;
	struct mr_ip_rx rx;
	enum mr_drop reason = MR_DROP_NONE;
	enum mr_up up = family == MR_UP_IPV4 ? mr_ipv4_input(&st->ip, f, now, &rx, &ierr, &reason) :
					       mr_ipv6_input(&st->ip, f, now, &rx, &ierr, &reason);

	switch (up) {
	case MR_UP_TCP:
		return mr_tcp_input(&st->tcp, *f, &rx, now);
	case MR_UP_ICMP_ERR:
		/* the packet was consumed; TCP's verdict is only counted */
		reason = mr_tcp_icmp(&st->tcp, &ierr, now);
		st->ctr.drop[reason] += reason != MR_DROP_NONE;
		return MR_DROP_NONE;
	case MR_UP_DROP:
		return reason;
	default:
		return MR_DROP_NONE;
	}
}

/* Process one packet. Returns MR_DROP_NONE, or the reason why it was dropped; then the frame, or the datagram
 * reassembled from it, is still the caller's. */
static enum mr_drop input_frame(struct mr_stack *st, struct mr_frame **f, uint64_t now)
{
	enum mr_drop reason = MR_DROP_NONE;
	enum mr_up up = mr_link_input(&st->link, *f, now, &reason);

	switch (up) {
	case MR_UP_IPV4:
	case MR_UP_IPV6:
		return input_ip(st, f, up, now);
	case MR_UP_DROP:
		return reason;
	default:
		return MR_DROP_NONE;
	}
}

/* A neighbour does not answer. Connections that wait for it are treated as by an ICMP host unreachable (RFC 1122
 * section 4.2.3.9). Established ones learn of it with their next segment. */
void engine_neighbour_failed(struct mr_stack *st, const struct mr_neigh *n, uint64_t now)
{
	struct mr_list *pos, *tmp;

	mr_list_for_each_safe (pos, tmp, &st->tcp.connecting) {
		const struct mr_tcb *tcb = mr_list_entry(pos, struct mr_tcb, connecting_node);
		struct mr_icmp_err ierr = {
			.src = tcb->flow.laddr,
			.dst = tcb->flow.raddr,
			.sport = tcb->flow.lport,
			.dport = tcb->flow.rport,
			.seq = tcb->snd_una,
			.err = -EHOSTUNREACH,
		};

		if (tcb->dst.neigh == n)
			mr_tcp_icmp(&st->tcp, &ierr, now);
	}
	mr_ip_neigh_failed(&st->ip, &n->addr);
}

static void arp_note(void *user, const struct mr_note_arp *note)
{
	struct mr_engine *engine = user;
	struct mr_addr addr = mr_addr_v4(note->spa);

	mr_link_arp_note(&engine->st->link, &addr, note->sha, engine->st->now);
}

static void nd_note(void *user, const struct mr_note_nd *note)
{
	struct mr_engine *engine = user;

	mr_ip_nd_note(&engine->st->ip, note, engine->st->now);
}

static const struct mr_xdp_note_ops note_ops = { .arp = arp_note, .nd = nd_note };

static void read_notes(struct mr_engine *engine)
{
	if (engine->xdp)
		engine->opener->notes(engine, &note_ops);
}

static void run_timers(struct mr_engine *engine, uint64_t now)
{
	struct mr_stack *st = engine->st;
	struct mr_timer *t;
	const struct mr_neigh *failed;

	while ((t = mr_wheel_pop(&st->wheel, now))) {
		switch ((enum mr_timer_kind)t->kind) {
		case MR_TIMER_TCB:
		case MR_TIMER_SYN:
		case MR_TIMER_TIMEWAIT:
			mr_tcp_timer(&st->tcp, t, now);
			break;
		case MR_TIMER_NEIGH:
		case MR_TIMER_ARP_ANNOUNCE:
		case MR_TIMER_ND:
			failed = mr_link_timer(&st->link, t, now);
			if (failed)
				engine_neighbour_failed(st, failed, now);
			break;
		case MR_TIMER_REASM:
			mr_reasm_timer(&st->ip, t, now);
			break;
		case MR_TIMER_ROUTER:
			read_notes(engine); /* a router may have been noted meanwhile */
			mr_ip_timer(&st->ip, now);
			break;
		}
	}
}

unsigned mr_engine_input(struct mr_engine *engine, uint64_t now)
{
	struct mr_stack *st = engine->st;
	struct mr_frame_queue q = { 0 };
	struct mr_frame *f;
	unsigned n;

	engine->st->now = now;
	engine->st->round_at = now;
	st->socks.now = now;
	MR_COUNT(&st->ctr, ENGINE_ROUNDS);
	if (engine->shared && engine->opener->due(engine, now))
		engine->opener->service(engine, now);
	engine->dev->peers = st->tcp.tcbs.used;
	n = mr_port_rx(&engine->port, &q, RX_BUDGET, now);
	while ((f = mr_frame_queue_pop(&q))) {
		enum mr_drop reason;

		if (q.head)
			__builtin_prefetch(q.head->data);
		mr_port_rx_begin(&engine->port, f, now);
		reason = input_frame(st, &f, now);
		if (reason != MR_DROP_NONE) {
			st->ctr.drop[reason]++;
			mr_frame_put_chain(&st->frames, f);
		}
		mr_port_rx_verdict(&engine->port, reason);
	}
	run_timers(engine, now);
	st->tcp.changing = NULL;
	mr_tcp_relieve(&st->tcp);
	mr_tcp_unhold(&st->tcp);
	mr_socks_unstarve(&st->socks);
	return n;
}

/* ---- Output ---------------------------------------------------------------------------------- */

static int interface_gone(struct mr_engine *engine)
{
	if (!engine->st->fatal)
		engine_log(engine, LOG_ERR, "the interface %s is gone: deleted or moved away",
			   engine->ifname);
	engine->st->fatal = -ENETDOWN;
	return engine->st->fatal;
}

int mr_engine_output(struct mr_engine *engine, uint64_t now)
{
	struct mr_stack *st = engine->st;

	if (engine->st->fatal)
		return engine->st->fatal;
	engine->st->now = now;
	st->socks.now = now;
	/* TCP stops when the transmit queue is full: continue as long as the device empties it. */
	for (unsigned i = 0; i < OUTPUT_TURNS; i++) {
		mr_tcp_flush(&st->tcp, now);
		if (engine->shared)
			engine->opener->ask(engine, now);
		if (mr_port_tx(&engine->port, now) == -ENETDOWN)
			return interface_gone(engine);
		if (!mr_tcp_owes(&st->tcp) || st->nif.txq_count)
			break;
	}
	return 0;
}

uint64_t mr_engine_next(const struct mr_engine *engine, uint64_t now)
{
	const struct mr_stack *st = engine->st;
	uint64_t port = mr_port_next(&engine->port, now);
	uint64_t next = mr_min(mr_wheel_next(&st->wheel), port);

	/* Queued since the last output, or delayed by it. */
	if ((st->nif.txq_count && port == MR_TIME_NEVER) || !mr_list_empty(&st->tcp.held))
		return now;
	/* Output waits for frames, whose return is not signalled. */
	if ((mr_tcp_owes(&st->tcp) && !st->nif.txq_count) || !mr_list_empty(&st->socks.starved))
		next = mr_min(next, now + STUCK_NS);
	return next;
}

/* ---- Changes of the interface -------------------------------------------------------------------- */

/* The smallest MTU that the families of our addresses permit. */
static uint32_t least_mtu(const struct mr_link *link)
{
	for (unsigned i = 0; i < link->naddrs; i++)
		if (!mr_addr_is_v4(&link->addrs[i]))
			return MR_IPV6_MTU_MIN;
	return MTU_MIN;
}

static void mtu_changed(struct mr_engine *engine, const struct mr_link_state *is)
{
	struct mr_stack *st = engine->st;
	uint32_t least = least_mtu(&st->link), most = mr_min(is->mtu_max, MTU_MAX);

	if (is->mtu < least || is->mtu > most) {
		engine_log(engine, LOG_ERR,
			   "the MTU of %s is now %u, but must be from %u to %u: %u stays in use",
			   engine->ifname, is->mtu, least, most, st->nif.mtu);
		return;
	}
	engine_log(engine, LOG_NOTICE, "the MTU of %s is now %u", engine->ifname, is->mtu);
	st->nif.mtu = is->mtu;
	mr_ip_mtu_changed(&st->ip);
	mr_tcp_mtu_changed(&st->tcp);
}

static void mac_changed(struct mr_engine *engine, const struct mr_link_state *is, uint64_t now)
{
	const uint8_t *m = is->mac;

	engine_log(engine, LOG_NOTICE, "the MAC address of %s is now %02x:%02x:%02x:%02x:%02x:%02x",
		   engine->ifname, m[0], m[1], m[2], m[3], m[4], m[5]);
	memcpy(engine->st->nif.mac, m, sizeof(engine->st->nif.mac));
	mr_link_mac_changed(&engine->st->link, now);
}

/* The interface has become a port of another one. Packets for addresses that stay on it still arrive, but usually the
 * addresses move away. */
static void master_changed(const struct mr_engine *engine, int master)
{
	char name[IFNAMSIZ] = "?";

	if (!master) {
		engine_log(engine, LOG_NOTICE, "%s is part of no other interface any more",
			   engine->ifname);
		return;
	}
	if_indextoname((unsigned)master, name);
	engine_log(engine, LOG_WARNING,
		   "%s has become part of %s: connections to addresses of %s are the kernel's; "
		   "start anew with -i %s, or ip link set %s nomaster",
		   engine->ifname, name, name, name, engine->ifname);
}

static void watch_link(struct mr_engine *engine, uint64_t now)
{
	struct mr_link_state is;

	if (!engine->link_state)
		return;
	engine->link_state(engine->dev, &is);
	if (is.up != engine->st->iface.up)
		engine_log(engine, is.up ? LOG_NOTICE : LOG_WARNING, "the link of %s is %s",
			   engine->ifname, is.up ? "up" : "down");
	if (is.mtu != engine->st->iface.mtu)
		mtu_changed(engine, &is);
	if (memcmp(is.mac, engine->st->iface.mac, sizeof(is.mac)) != 0)
		mac_changed(engine, &is, now);
	if (is.master != engine->st->iface.master)
		master_changed(engine, is.master);
	engine->st->nif.gso_bytes = is.gso_bytes;
	engine->st->iface = is;
}

/* Log duplicates that duplicate address detection has found (RFC 4862 section 5.4.5). */
static void watch_addresses(struct mr_engine *engine)
{
	const struct mr_link *link = &engine->st->link;
	char text[MR_ADDR_STRLEN];

	if (engine->st->nduplicates == engine->st->ctr.c[MR_CTR_ND_DUPLICATES])
		return;
	engine->st->nduplicates = engine->st->ctr.c[MR_CTR_ND_DUPLICATES];
	for (unsigned i = 0; i < link->naddrs; i++)
		if (link->addr_state[i] == MR_LADDR_DUPLICATE)
			engine_log(engine, LOG_ERR,
				   "another host on %s has the address %s: it is not used",
				   engine->ifname,
				   mr_addr_format(&link->addrs[i], text, sizeof(text)));
}

int mr_engine_service(struct mr_engine *engine, uint64_t now)
{
	int err = 0;

	if (engine->st->fatal)
		return engine->st->fatal;
	engine->st->service_at = now + SERVICE_NS;
	if (engine->dev->ops->service)
		err = engine->dev->ops->service(engine->dev);
	if (err)
		return interface_gone(engine);
	watch_link(engine, now);
	watch_addresses(engine);
	if (engine->shared)
		engine->opener->service(engine, now);
	read_notes(engine);
	return 0;
}

/* ---- Close ----------------------------------------------------------------------------------- */

/* Send a reset to every peer, as far as the device takes them. */
static void reset_connections(struct mr_engine *engine)
{
	struct mr_stack *st = engine->st;

	while (!mr_list_empty(&st->tcp.all))
		mr_tcp_abort(&st->tcp, mr_list_first(&st->tcp.all, struct mr_tcb, all_node),
			     engine->st->now);
	if (!engine->port.dev) /* mr_engine_start() failed or was not called: there are no peers */
		return;
	for (unsigned i = 0; i < CLOSE_TURNS; i++) {
		if (mr_engine_output(engine, engine_clock(engine)) || !st->nif.txq_count)
			break;
	}
}

void engine_end(struct mr_engine *engine)
{
	mr_socks_end_all(&engine->st->socks, -ENETDOWN);
	reset_connections(engine);
	engine->st->fatal = -ENETDOWN;
	engine->ended = true;
}

void mr_engine_close(struct mr_engine *engine)
{
	int err;

	if (!engine)
		return;
	if (engine->st && !engine->ended) {
		mr_socks_abort_all(&engine->st->socks);
		reset_connections(engine);
	}
	if (engine->opener) /* first: from here on the kernel gets the packets again */
		engine->opener->close(engine);
	if (engine->dev)
		engine->dev->ops->close(engine->dev);
	err = mr_pcapng_close(engine->cap);
	if (err)
		engine_log(engine, LOG_ERR, "the capture is not complete: %s", strerror(-err));
	if (engine->groups_fd >= 0)
		close(engine->groups_fd);
	if (engine->wake_fd >= 0)
		close(engine->wake_fd);
	mr_umem_close(&engine->umem);
	mr_arena_close(&engine->arena);
	free(engine->pfds);
	free(engine);
}

unsigned mr_engine_connections(const struct mr_engine *engine)
{
	return engine ? engine->st->tcp.tcbs.used : 0;
}

/* ---- Socket calls that take an engine ------------------------------------------------------------- */

int mr_socket(struct mr_engine *engine, struct mr_socket **out)
{
	if (!engine || !out)
		return -EINVAL;
	return mr_socks_open(&engine->st->socks, out);
}

int mr_engine_fastopen_key(struct mr_engine *engine, const void *key, size_t len)
{
	return engine && key && mr_tfo_keys_set(&engine->st->tcp.tfo_keys, key, len) ? 0 : -EINVAL;
}

void mr_recv_return(struct mr_engine *engine, struct mr_slice *slices, unsigned n)
{
	if (engine && slices)
		mr_socks_return(&engine->st->socks, slices, n);
}

void mr_engine_check(const struct mr_engine *engine)
{
	const struct mr_stack *st = engine->st;

	assert(st->frames.nfree <= st->frames.nframes);
	assert(!st->nif.txq_count == !st->nif.txq_head);
	mr_reasm_check(&st->ip);
	mr_tcp_check(&st->tcp);
	mr_socks_check(&st->socks);
}
