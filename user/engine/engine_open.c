/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine_open.c - mr_engine_open(): an engine on a real interface.
 * Owns        the order of opening: ask the kernel, make the stack, the sockets, the XDP program
 *with its maps, and only then attach, so that from the first packet on everything is in place.
 * Called by   the application.
 * Not here    checks of the configuration alone (config.c); undoing (mr_engine_close()).
 */
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>
#include "base/compiler.h"
#include "base/error.h"
#include "base/hash.h"
#include "dev/afxdp.h"
#include "engine/engine_priv.h"
#include "kernel/ifinfo.h"
#include "kernel/xdp.h"

static int prefix_len(const struct sockaddr *netmask)
{
	struct sockaddr_in sin;

	if (!netmask)
		return 32;
	memcpy(&sin, netmask, sizeof(sin));
	return __builtin_popcount(sin.sin_addr.s_addr);
}

/* An address must be the engine's alone: the kernel would answer for it, too, with RST. */
static int check_not_kernels(const struct mr_config *cfg, struct mr_error *err)
{
	struct ifaddrs *list;
	int ret = 0;

	if (getifaddrs(&list) < 0)
		return mr_error_set(err, -errno, "cannot read the addresses of this host: %s",
				    strerror(errno));
	for (const struct ifaddrs *ifa = list; ifa && !ret; ifa = ifa->ifa_next) {
		struct sockaddr_in sin;
		struct mr_addr addr;

		if (!ifa->ifa_addr || ifa->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&sin, ifa->ifa_addr, sizeof(sin));
		addr = mr_addr_v4(sin.sin_addr.s_addr);
		for (unsigned i = 0; i < cfg->naddrs && !ret; i++) {
			char text[MR_ADDR_STRLEN];

			if (!mr_addr_eq(&cfg->addrs[i].addr, &addr))
				continue;
			mr_addr_format(&addr, text, sizeof(text));
			ret = mr_error_set(
				err, -EADDRINUSE,
				"the kernel has the address %s on %s and would answer "
				"for it: choose another one, or ip addr del %s/%d dev %s",
				text, ifa->ifa_name, text, prefix_len(ifa->ifa_netmask),
				ifa->ifa_name);
		}
	}
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

static int open_device(struct mr_engine *engine, const struct mr_config *cfg,
		       const struct mr_ifinfo *info, const struct mr_plan *plan, uint32_t cookie,
		       struct mr_error *err)
{
	const struct mr_afxdp_cfg ac = {
		.ifname = cfg->ifname,
		.ifindex = info->ifindex,
		.nqueues = info->queues,
		.rx_ring = cfg->rx_ring,
		.tx_ring = cfg->tx_ring,
		.native = plan->native,
		.zero_copy = plan->zero_copy,
		.cookie = cookie,
	};
	struct mr_dev *dev;
	char line[256];
	int ret =
		mr_afxdp_open(&dev, &ac, &engine->umem, &engine->st->frames, &engine->st->ctr, err);

	if (ret)
		return ret;
	engine->st->nif.max_chunks = mr_afxdp_max_chunks(dev);
	engine->link_up = mr_afxdp_link_up;
	engine->link_was_up = mr_afxdp_link_up(dev);
	if (!info->up)
		engine_log(engine, LOG_WARNING, "the interface %s is down: ip link set %s up",
			   cfg->ifname, cfg->ifname);
	else if (!engine->link_was_up)
		engine_log(engine, LOG_WARNING, "the link of %s is down", cfg->ifname);
	engine_log(engine, LOG_INFO, "%s", mr_afxdp_describe(dev, line, sizeof(line)));
	return mr_engine_start(engine, cfg, dev, err);
}

static int open_xdp(struct mr_engine *engine, const struct mr_config *cfg,
		    const struct mr_ifinfo *info, const struct mr_plan *plan,
		    const uint64_t flow_key[2], uint32_t cookie, struct mr_error *err)
{
	const struct mr_xdp_params params = {
		.ifindex = info->ifindex,
		.ifname = engine->ifname,
		.native = plan->native,
		.csum = plan->csum,
		.hash_key = { flow_key[0], flow_key[1] },
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
	for (unsigned i = 0; !ret && i < cfg->naddrs; i++) {
		ret = mr_xdp_addr_set(engine->xdp, &cfg->addrs[i].addr, MR_ADDR_OWN);
		if (ret)
			mr_error_set(err, ret, "cannot steer the engine's addresses: %s",
				     strerror(-ret));
	}
	return ret ?: mr_xdp_attach(engine->xdp, err);
}

int mr_engine_open(struct mr_engine **out, const struct mr_config *cfg, struct mr_error *err)
{
	struct mr_stack_cfg scfg = { .max_chunks = 1 };
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
	ret = ret ?: check_not_kernels(cfg, err);
	ret = ret ?: choose_seed(cfg, &scfg.seed, err);
	if (ret)
		return ret;
	memcpy(scfg.mac, info.mac, sizeof(scfg.mac));
	scfg.mtu = info.mtu;
	scfg.nframes = plan.nframes;
	scfg.chunk_size = plan.chunk_size;
	scfg.dev_frames = plan.dev_frames;
	scfg.txq_limit = cfg->tx_ring;
	ret = mr_engine_create(&engine, cfg, &scfg, NULL, NULL, err);
	if (ret)
		return ret;
	cookie = (uint32_t)mr_siphash(scfg.flow_key, "cookie", 6);
	ret = open_device(engine, cfg, &info, &plan, cookie, err);
	ret = ret ?: open_xdp(engine, cfg, &info, &plan, scfg.flow_key, cookie, err);
	if (ret) {
		mr_engine_close(engine);
		return ret;
	}
	*out = engine;
	return 0;
}
