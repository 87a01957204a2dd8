// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine_open.c - mr_engine_open(): an engine on a real interface.
 * Owns        the order of opening: query the kernel, make the stack, the sockets, the XDP program with its maps, and
 *             attach it last, so that everything is in place when the first packet arrives.
 * Called by   the application.
 * Not here    checks of the configuration alone (config.c), closing (mr_engine_close()).
 */
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>
#include <time.h>
#include "base/compiler.h"
#include "base/error.h"
#include "base/hash.h"
#include "dev/afxdp.h"
#include "dev/fill_depth.h"
#include "engine/engine_priv.h"
#include "engine/shared.h"
#include "kernel/groups.h"
#include "kernel/ifinfo.h"
#include "kernel/sysctl.h"
#include "kernel/xdp.h"
#include "kernel/xdp_owner.h"

#define OWNER_LOOKS   10
#define OWNER_LOOK_NS 100000000L

static int prefix_len(const struct ifaddrs *ifa)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;
	int len = 0;

	if (ifa->ifa_addr->sa_family == AF_INET) {
		if (!ifa->ifa_netmask)
			return 32;
		memcpy(&sin, ifa->ifa_netmask, sizeof(sin));
		return __builtin_popcount(sin.sin_addr.s_addr);
	}
	if (!ifa->ifa_netmask)
		return 128;
	memcpy(&sin6, ifa->ifa_netmask, sizeof(sin6));
	for (int i = 0; i < 16; i++)
		len += __builtin_popcount(sin6.sin6_addr.s6_addr[i]);
	return len;
}

/* The address of one getifaddrs() entry. false: it is neither IPv4 nor IPv6. */
static bool kernels_addr(const struct ifaddrs *ifa, struct mr_addr *addr)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;

	if (!ifa->ifa_addr)
		return false;
	switch (ifa->ifa_addr->sa_family) {
	case AF_INET:
		memcpy(&sin, ifa->ifa_addr, sizeof(sin));
		*addr = mr_addr_v4(sin.sin_addr.s_addr);
		return true;
	case AF_INET6:
		memcpy(&sin6, ifa->ifa_addr, sizeof(sin6));
		memcpy(addr->b, &sin6.sin6_addr, sizeof(addr->b));
		return true;
	default:
		return false;
	}
}

/* The kernel's entry of this address; NULL: the kernel does not have it. Link-local addresses count only on the
 * engine's own interface: elsewhere they are different addresses (RFC 4007 section 5). */
static const struct ifaddrs *kernel_has(const struct ifaddrs *list, const struct mr_addr *wanted,
					const char *ifname)
{
	struct mr_addr addr;

	for (const struct ifaddrs *ifa = list; ifa; ifa = ifa->ifa_next)
		if (kernels_addr(ifa, &addr) && mr_addr_eq(&addr, wanted) &&
		    (!mr_addr_is_link_local(wanted) || !strcmp(ifa->ifa_name, ifname)))
			return ifa;
	return NULL;
}

/* Is IPv6 enabled on this interface? */
static bool kernel_has_ipv6(const char *ifname)
{
	char setting[32 + IFNAMSIZ];
	long disabled;

	snprintf(setting, sizeof(setting), "ipv6/conf/%s/disable_ipv6", ifname);
	return mr_sysctl_numbers(setting, &disabled, 1) == 1 && !disabled;
}

/* A link-local address for the engine, if the kernel uses the one that is derived from the MAC address. It is the
 * same from run to run (RFC 7217 section 5), derived from the MAC address and the engine's first address. */
static void choose_link_local(const struct mr_config *cfg, const struct ifaddrs *list,
			      struct mr_stack_cfg *scfg)
{
	const uint64_t key[2] = { 0x6c696e6b2d6c6f63ull, 0x616c206164647273ull };
	uint8_t name[6 + 16 + 1] = { 0 };

	scfg->link_local = mr_addr_link_local(scfg->mac);
	if (!kernel_has_ipv6(cfg->ifname))
		return;
	memcpy(name, scfg->mac, 6);
	memcpy(name + 6, cfg->addrs[0].addr.b, 16);
	do {
		uint64_t id = mr_siphash(key, name, sizeof(name));

		memcpy(scfg->link_local.b + 8, &id, sizeof(id));
		name[22]++; /* RFC 7217 section 6: the DAD counter */
	} while (kernel_has(list, &scfg->link_local, cfg->ifname));
}

/* The engine's own addresses must not be the kernel's, too: it would answer their packets with RST. */
static int check_not_kernels(const struct mr_config *cfg, struct mr_stack_cfg *scfg,
			     struct mr_error *err)
{
	struct ifaddrs *list;
	int ret = 0;

	if (getifaddrs(&list) < 0)
		return mr_error_set(err, -errno, "cannot read the addresses of this host: %s",
				    strerror(errno));
	for (unsigned i = 0; i < cfg->naddrs && !ret; i++) {
		const struct ifaddrs *ifa = kernel_has(list, &cfg->addrs[i].addr, cfg->ifname);
		char text[MR_ADDR_STRLEN];

		if (!ifa)
			continue;
		mr_addr_format(&cfg->addrs[i].addr, text, sizeof(text));
		ret = mr_error_set(err, -EADDRINUSE,
				   "the kernel has the address %s on %s and would answer "
				   "for it: choose another one, or ip addr del %s/%d dev %s",
				   text, ifa->ifa_name, text, prefix_len(ifa), ifa->ifa_name);
	}
	choose_link_local(cfg, list, scfg);
	freeifaddrs(list);
	return ret;
}

static int choose_seed(const struct mr_config *cfg, uint64_t *seed, struct mr_error *err)
{
	*seed = cfg->seed;
	if (*seed)
		return 0;
	if (getrandom(seed, sizeof(*seed), 0) != sizeof(*seed))
		return mr_error_set(err, -errno, "cannot get random numbers: %s", strerror(errno));
	return 0;
}

static int open_shared(struct mr_engine *engine, const struct mr_ifinfo *info, struct mr_error *err)
{
	int ret = mr_shared_open(engine, info->ifindex, err);

	return ret ?: mr_config_check_master(info, mr_shared_has_address(engine), err);
}

/* Wait for a keeper that has the interface and is about to end: it was told to, or it still tries to send what
 * programs have left. */
static int check_free(const struct mr_ifinfo *info, struct mr_error *err)
{
	const struct timespec pause = { .tv_nsec = OWNER_LOOK_NS };
	struct mr_xdp_owner owner;

	if (!info->xdp)
		return 0;
	for (unsigned i = 0; i < OWNER_LOOKS; i++) {
		if (i)
			nanosleep(&pause, NULL);
		if (!mr_xdp_owner_find(info->ifindex, &owner) || owner.ending)
			return 0;
	}
	if (!owner.millrace)
		return mr_error_set(err, -EBUSY,
				    "another XDP program is attached to %s, by process %d (%s): "
				    "stop that process, or choose another interface",
				    info->name, (int)owner.pid, owner.command);
	return mr_error_set(err, -EBUSY,
			    "%s is in use by process %d (%s), and an interface has one stack only: "
			    "stop that program, start both from one \"millrace run -i %s -- sh -c "
			    "...\", or choose another interface",
			    info->name, (int)owner.pid, owner.command, info->name);
}

static int open_device(struct mr_engine *engine, const struct mr_config *cfg,
		       const struct mr_ifinfo *info, const struct mr_plan *plan, uint32_t cookie,
		       struct mr_error *err)
{
	const struct mr_afxdp_cfg ac = {
		.ifname = cfg->ifname,
		.ifindex = info->ifindex,
		.nqueues = info->queues,
		.rx_ring = cfg->rx_ring,
		/* A driver with zero copy takes what lies there for its own ring. */
		.fill_least = plan->zero_copy ? 0 : MR_FILL_LEAST,
		.tx_ring = cfg->tx_ring,
		.native = plan->native,
		.zero_copy = plan->zero_copy,
		.gso = plan->gso,
		.cookie = cookie,
		.master = info->master_index,
	};
	struct mr_dev *dev;
	char line[256];
	int ret = mr_afxdp_open(&dev, &ac, &engine->arena, &engine->umem, &engine->st->frames,
				&engine->st->ctr, err);

	if (ret)
		return ret;
	engine->st->nif.max_chunks = mr_afxdp_max_chunks(dev);
	engine->link_state = mr_afxdp_link_state;
	mr_afxdp_link_state(dev, &engine->st->iface);
	engine->st->nif.gso_bytes = engine->st->iface.gso_bytes;
	/* The first service finds what has changed since the stack was made. */
	engine->st->iface.mtu = info->mtu;
	memcpy(engine->st->iface.mac, info->mac, sizeof(engine->st->iface.mac));
	if (!info->up)
		engine_log(engine, LOG_WARNING, "the interface %s is down: ip link set %s up",
			   cfg->ifname, cfg->ifname);
	else if (!engine->st->iface.up)
		engine_log(engine, LOG_WARNING, "the link of %s is down", cfg->ifname);
	engine_log(engine, LOG_INFO, "%s", mr_afxdp_describe(dev, line, sizeof(line)));
	return mr_engine_start(engine, cfg, dev, err);
}

static int open_xdp(struct mr_engine *engine, const struct mr_config *cfg,
		    const struct mr_ifinfo *info, const struct mr_plan *plan,
		    const struct mr_stack_cfg *scfg, uint32_t cookie, struct mr_error *err)
{
	const struct mr_xdp_params params = {
		.ifindex = info->ifindex,
		.ifname = engine->ifname,
		.native = plan->native,
		.csum = plan->csum,
		.hash_key = { scfg->flow_key[0], scfg->flow_key[1] },
		.ports_at = scfg->ports_at,
		.cookie = cookie,
		.nqueues = info->queues,
	};
	int ret = mr_xdp_open(&engine->xdp, &params, err);

	for (unsigned i = 0; !ret && i < info->queues; i++) {
		ret = mr_xdp_xsk_set(engine->xdp, i, mr_afxdp_fd(engine->dev, i));
		if (ret)
			mr_error_set(err, ret, "cannot steer receive queue %u of %s: %s", i,
				     cfg->ifname, strerror(-ret));
	}
	if (!ret && engine->shared)
		mr_shared_start(engine, cfg->ignore_firewall);
	for (unsigned i = 0; !ret && !engine->shared && i < engine->st->ip.naddrs; i++) {
		ret = mr_xdp_addr_set(engine->xdp, &engine->st->ip.addrs[i].addr, MR_ADDR_OWN);
		if (ret)
			mr_error_set(err, ret, "cannot steer the engine's addresses: %s",
				     strerror(-ret));
	}
	return ret ?: mr_xdp_attach(engine->xdp, err);
}

static int join_groups(struct mr_engine *engine, const struct mr_ifinfo *info, struct mr_error *err)
{
	const struct mr_ip *ip = &engine->st->ip;
	int fd = mr_groups_join(info->ifindex, ip->addrs, ip->naddrs);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return mr_error_set(err, fd, "cannot join the IPv6 multicast groups of %s: %s",
				    engine->ifname, strerror(-fd));
	engine->groups_fd = fd;
	return 0;
}

static void close_opened(struct mr_engine *engine)
{
	mr_xdp_close(engine->xdp);
	mr_shared_close(engine);
}

static void read_notes(struct mr_engine *engine, const struct mr_xdp_note_ops *ops)
{
	mr_xdp_notes(engine->xdp, ops, engine);
}

static int read_stats(const struct mr_engine *engine, struct mr_xdp_stats *stats)
{
	return mr_xdp_stats(engine->xdp, stats);
}

/* The sockets are kept, because connections that were idle meanwhile continue. If the interface is gone, others
 * report that. */
static void keep_attached(struct mr_engine *engine)
{
	struct mr_error err;
	int ret;

	if (mr_xdp_is_attached(engine->xdp))
		return;
	ret = mr_xdp_attach(engine->xdp, &err);
	if (ret == -ENODEV)
		return;
	if (!ret)
		engine_log(engine, LOG_ERR,
			   "somebody has detached the XDP program from %s: it is attached again; "
			   "connections on which packets came meanwhile are reset by the kernel",
			   engine->ifname);
	else if (!engine->detached)
		engine_log(engine, LOG_ERR,
			   "somebody has detached the XDP program from %s, and it cannot be "
			   "attached again: %s; until then accelerated connections receive nothing "
			   "and new ones are the kernel's (tried each second)",
			   engine->ifname, err.text);
	engine->detached = ret != 0;
}

static const struct mr_engine_opener opener = {
	.keep_attached = keep_attached,
	.close = close_opened,
	.notes = read_notes,
	.stats = read_stats,
	.fd = mr_shared_fd,
	.due = mr_shared_due,
	.service = mr_shared_service,
	.ask = mr_shared_ask,
};

int engine_open(struct mr_engine **out, const struct mr_config *cfg, struct mr_stack_cfg *scfg,
		struct mr_error *err)
{
	struct mr_engine *engine;
	struct mr_ifinfo info;
	struct mr_plan plan;
	uint32_t cookie;
	int ret;

	if (err)
		*err = (struct mr_error){ 0 };
	if (!out || !cfg)
		return mr_error_set(err, -EINVAL, "no configuration is given");
	*out = NULL;
	ret = mr_config_check(cfg, err);
	ret = ret ?: mr_ifinfo_get(cfg->ifname, &info, err);
	ret = ret ?: mr_config_plan(cfg, &info, &plan, err);
	ret = ret ?: check_free(&info, err);
	if (ret)
		return ret;
	scfg->max_chunks = 1;
	memcpy(scfg->mac, info.mac, sizeof(scfg->mac));
	scfg->ifindex = info.ifindex;
	ret = cfg->shared ? 0 : check_not_kernels(cfg, scfg, err);
	ret = ret ?: choose_seed(cfg, &scfg->seed, err);
	if (ret)
		return ret;
	scfg->mtu = info.mtu;
	scfg->nframes = plan.nframes;
	scfg->chunk_size = plan.chunk_size;
	scfg->dev_frames = plan.dev_frames;
	scfg->txq_limit = cfg->tx_ring;
	ret = mr_engine_create(&engine, cfg, scfg, NULL, NULL, err);
	if (ret)
		return ret;
	engine->opener = &opener;
	cookie = (uint32_t)mr_siphash(scfg->flow_key, "cookie", 6);
	ret = cfg->shared ? open_shared(engine, &info, err) : 0;
	ret = ret ?: open_device(engine, cfg, &info, &plan, cookie, err);
	ret = ret ?: join_groups(engine, &info, err);
	ret = ret ?: open_xdp(engine, cfg, &info, &plan, scfg, cookie, err);
	if (ret) {
		mr_engine_close(engine);
		return ret;
	}
	*out = engine;
	return 0;
}

int mr_engine_open(struct mr_engine **out, const struct mr_config *cfg, struct mr_error *err)
{
	struct mr_stack_cfg scfg = { 0 };

	return engine_open(out, cfg, &scfg, err);
}
