// SPDX-License-Identifier: BSD-2-Clause
/*
 * config.c - the configuration: defaults, parsing, checks, and what is chosen from it and from the interface.
 * Owns        the choice of attach mode, checksum policy, chunk size and number of frames.
 * Called by   the application (init, add); mr_engine_open() (check, plan).
 * Not here    anything that makes a system call (engine_open.c).
 */
#include <endian.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/error.h"
#include "engine/engine_priv.h"
#include "kernel/ifinfo.h"

#define RING_DEFAULT	    2048u
#define RING_MIN	    64u
#define RING_MAX	    32768u
#define FRAMES_DEFAULT	    16384u /* at least; 64 MiB in chunks of 4096 */
#define FRAMES_PER_QUEUE    256u /* at least: with fewer, a single 64 KiB packet may find no room */
#define FRAMES_MAX	    (1u << 22)
#define MAX_SOCKETS_DEFAULT 16384u
#define MAX_SOCKETS_MAX	    (1u << 20)
#define BUF_MIN		    2048u /* as for MR_OPT_SNDBUF and MR_OPT_RCVBUF */
#define BUF_MAX		    (16u << 20)
#define SPIN_US_DEFAULT	    50u /* about the cost of sleeping and waking up */
#define SPIN_US_MAX	    1000000u
#define XDP_HEADROOM	    256u /* the kernel's headroom in every received chunk */
#define L2_BYTES	    22u	 /* Ethernet and two VLAN tags */

void mr_config_init(struct mr_config *cfg)
{
	if (!cfg)
		return;
	*cfg = (struct mr_config){
		.rx_ring = RING_DEFAULT,
		.tx_ring = RING_DEFAULT,
		.max_sockets = MAX_SOCKETS_DEFAULT,
		.spin_us = SPIN_US_DEFAULT,
		.mtu_probing = MR_MTU_PROBING_SUSPECT,
		.ecn = MR_ECN_ACCURATE,
	};
}

int mr_config_add_address(struct mr_config *cfg, const char *text)
{
	struct mr_prefix p;
	int err;

	if (!cfg || !text)
		return -EINVAL;
	err = mr_prefix_parse(text, &p);
	if (err)
		return err;
	if (cfg->naddrs >= MR_CONFIG_ADDRS_MAX)
		return -ENOSPC;
	cfg->addrs[cfg->naddrs++] = p;
	return 0;
}

int mr_config_add_route(struct mr_config *cfg, const char *text)
{
	char dst[MR_ADDR_STRLEN + 4], gateway[MR_ADDR_STRLEN], rest;
	struct mr_config_route route = { 0 };
	int fields;

	if (!cfg || !text)
		return -EINVAL;
	fields = sscanf(text, "%49s via %45s %c", dst, gateway, &rest);
	_Static_assert(sizeof(dst) == 50 && sizeof(gateway) == 46, "the widths above");
	if (fields < 2) /* on-link, or "via" and nothing behind it */
		fields = sscanf(text, "%49s %c", dst, &rest) == 1 ? 1 : 0;
	if (fields < 1 || fields > 2 || mr_prefix_parse(dst, &route.dst))
		return -EINVAL;
	if (fields == 2 &&
	    (mr_addr_parse(gateway, &route.gateway) || mr_addr_is_any(&route.gateway)))
		return -EINVAL;
	if (cfg->nroutes >= MR_CONFIG_ROUTES_MAX)
		return -ENOSPC;
	cfg->routes[cfg->nroutes++] = route;
	return 0;
}

/* ---- Checks ---------------------------------------------------------------------------------- */

static int check_address(const struct mr_config *cfg, unsigned i, struct mr_error *err)
{
	const struct mr_prefix *p = &cfg->addrs[i];
	struct mr_addr network = mr_prefix_network(p);
	char text[MR_ADDR_STRLEN];

	mr_addr_format(&p->addr, text, sizeof(text));
	if (!mr_addr_is_unicast(&p->addr) || p->len > mr_prefix_bits(p))
		return mr_error_set(err, -EINVAL, "%s/%u cannot be the address of a host", text,
				    p->len);
	if (!mr_prefix_is_host(p))
		return mr_error_set(err, -EINVAL,
				    "%s/%u is the %s address of its subnet, not one of a host",
				    text, p->len,
				    !mr_addr_eq(&p->addr, &network) ? "broadcast" :
				    mr_addr_is_v4(&p->addr)	    ? "network" :
								      "anycast");
	for (unsigned j = 0; j < i; j++)
		if (mr_addr_eq(&cfg->addrs[j].addr, &p->addr))
			return mr_error_set(err, -EINVAL, "the address %s is given twice", text);
	return 0;
}

static bool on_link(const struct mr_config *cfg, const struct mr_addr *addr)
{
	bool v6 = false;

	for (unsigned i = 0; i < cfg->naddrs; i++) {
		if (mr_addr_in_prefix(addr, &cfg->addrs[i]))
			return true;
		v6 |= !mr_addr_is_v4(&cfg->addrs[i].addr);
	}
	if (v6 && mr_addr_is_link_local(addr)) /* the engine gets a link-local address, too */
		return true;
	for (unsigned i = 0; i < cfg->nroutes; i++)
		if (mr_addr_is_any(&cfg->routes[i].gateway) &&
		    mr_addr_in_prefix(addr, &cfg->routes[i].dst))
			return true;
	return false;
}

static int check_route(const struct mr_config *cfg, unsigned i, struct mr_error *err)
{
	const struct mr_config_route *r = &cfg->routes[i];
	struct mr_addr network = mr_prefix_network(&r->dst);
	char dst[MR_ADDR_STRLEN], gw[MR_ADDR_STRLEN];

	mr_addr_format(&r->dst.addr, dst, sizeof(dst));
	mr_addr_format(&r->gateway, gw, sizeof(gw));
	if (!mr_addr_is_any(&r->gateway) &&
	    mr_addr_is_v4(&r->gateway) != mr_addr_is_v4(&r->dst.addr))
		return mr_error_set(
			err, -EINVAL,
			"the route to %s/%u and its gateway %s are of different address families",
			dst, r->dst.len, gw);
	if (r->dst.len > mr_prefix_bits(&r->dst) || !mr_addr_eq(&r->dst.addr, &network))
		return mr_error_set(err, -EINVAL,
				    "the route to %s/%u has bits set beyond its prefix", dst,
				    r->dst.len);
	for (unsigned j = 0; j < i; j++)
		if (cfg->routes[j].dst.len == r->dst.len &&
		    mr_addr_eq(&cfg->routes[j].dst.addr, &r->dst.addr))
			return mr_error_set(err, -EINVAL, "the route to %s/%u is given twice", dst,
					    r->dst.len);
	if (mr_addr_is_any(&r->gateway))
		return 0;
	for (unsigned j = 0; j < cfg->naddrs; j++)
		if (mr_addr_eq(&cfg->addrs[j].addr, &r->gateway))
			return mr_error_set(err, -EINVAL,
					    "the gateway %s is the engine's own address", gw);
	if (!mr_addr_is_unicast(&r->gateway) || !on_link(cfg, &r->gateway))
		return mr_error_set(err, -EINVAL,
				    "the gateway %s of the route to %s/%u is in no subnet of the "
				    "engine's addresses",
				    gw, dst, r->dst.len);
	return 0;
}

static int check_range(const char *what, uint32_t value, uint32_t least, uint32_t most,
		       struct mr_error *err)
{
	if (value >= least && value <= most)
		return 0;
	return mr_error_set(err, -EINVAL, "%s is %u: it must be from %u to %u", what, value, least,
			    most);
}

/* 0: autotuning. */
static int check_buffer(const char *what, uint32_t bytes, struct mr_error *err)
{
	return bytes ? check_range(what, bytes, BUF_MIN, BUF_MAX, err) : 0;
}

static int check_ring(const char *what, uint32_t n, struct mr_error *err)
{
	int ret = check_range(what, n, RING_MIN, RING_MAX, err);

	if (!ret && n & (n - 1))
		ret = mr_error_set(err, -EINVAL, "%s is %u: it must be a power of two", what, n);
	return ret;
}

static int check_sizes(const struct mr_config *cfg, struct mr_error *err)
{
	int ret = check_ring("the receive ring's size", cfg->rx_ring, err);

	ret = ret ?: check_ring("the transmit ring's size", cfg->tx_ring, err);
	ret = ret ?: check_range("the number of UMEM frames", cfg->umem_frames, 0, FRAMES_MAX, err);
	if (!ret)
		ret = check_range("the number of sockets", cfg->max_sockets, 1, MAX_SOCKETS_MAX,
				  err);
	ret = ret ?: check_buffer("the send buffer's size", cfg->sndbuf, err);
	ret = ret ?: check_buffer("the receive buffer's size", cfg->rcvbuf, err);
	ret = ret ?: check_range("the spin time in us", cfg->spin_us, 0, SPIN_US_MAX, err);
	if (!ret && cfg->chunk_size && cfg->chunk_size != 2048 && cfg->chunk_size != 4096)
		ret = mr_error_set(err, -EINVAL, "the chunk size is %u: it must be 2048 or 4096",
				   cfg->chunk_size);
	return ret;
}

static int check_congestion(const char *name, struct mr_error *err)
{
	char known[128] = "";

	if (!name || mr_congestion_index(name) >= 0)
		return 0;
	for (int i = 0; mr_congestion_name(i); i++) {
		strncat(known, i ? ", " : "", sizeof(known) - strlen(known) - 1);
		strncat(known, mr_congestion_name(i), sizeof(known) - strlen(known) - 1);
	}
	return mr_error_set(err, -EINVAL,
			    "the congestion control \"%.32s\" is unknown; there are: %s", name,
			    known);
}

/* Parse four words of up to eight hexadecimal digits, as in Linux's sysctl: each has four bytes of the key in
 * little-endian order. Returns what follows them; NULL: syntax error. */
static const char *read_key(const char *text, uint8_t key[MR_TFO_KEY_LEN])
{
	for (unsigned i = 0; i < 4; i++) {
		size_t digits = strspn(text, "0123456789abcdefABCDEF");
		uint32_t word;

		if (!digits || digits > 8)
			return NULL;
		word = htole32((uint32_t)strtoul(text, NULL, 16));
		memcpy(key + i * sizeof(word), &word, sizeof(word));
		text += digits;
		if (i < 3 && *text++ != '-')
			return NULL;
	}
	return text;
}

bool mr_config_fastopen_keys(const char *text, struct mr_tfo_keys *keys)
{
	uint8_t key[2 * MR_TFO_KEY_LEN];
	size_t len = MR_TFO_KEY_LEN;

	*keys = (struct mr_tfo_keys){ 0 };
	if (!text)
		return true;
	text = read_key(text, key);
	if (text && *text == ',') {
		text = read_key(text + 1, key + len);
		len *= 2;
	}
	return text && !*text && mr_tfo_keys_set(keys, key, len);
}

static int check_fastopen(const char *text, struct mr_error *err)
{
	struct mr_tfo_keys keys;

	if (mr_config_fastopen_keys(text, &keys))
		return 0;
	return mr_error_set(
		err, -EINVAL,
		"the Fast Open key is not of the form aaaaaaaa-bbbbbbbb-cccccccc-dddddddd, "
		"or two such with a comma between them");
}

int mr_config_check(const struct mr_config *cfg, struct mr_error *err)
{
	int ret;

	if (!cfg->ifname || !cfg->ifname[0])
		return mr_error_set(
			err, -EINVAL,
			"no interface is given: name one, such as eth0 (\"ip link\" lists them)");
	if (strlen(cfg->ifname) >= IFNAMSIZ)
		return mr_error_set(err, -EINVAL, "\"%.32s\" is too long for an interface's name",
				    cfg->ifname);
	if ((unsigned)cfg->xdp_mode > MR_XDP_GENERIC)
		return mr_error_set(err, -EINVAL, "the XDP mode %d is unknown", (int)cfg->xdp_mode);
	if ((unsigned)cfg->rx_csum > MR_RX_CSUM_OFF)
		return mr_error_set(err, -EINVAL, "the checksum policy %d is unknown",
				    (int)cfg->rx_csum);
	if ((unsigned)cfg->tso > MR_TSO_OFF)
		return mr_error_set(err, -EINVAL, "the TSO setting %d is unknown", (int)cfg->tso);
	if ((unsigned)cfg->ecn > MR_ECN_ACCURATE_PASSIVE)
		return mr_error_set(err, -EINVAL, "the ECN policy %d is unknown", (int)cfg->ecn);
	if ((unsigned)cfg->mtu_probing > MR_MTU_PROBING_ALWAYS)
		return mr_error_set(err, -EINVAL, "the way %d of probing the path MTU is unknown",
				    (int)cfg->mtu_probing);
	ret = check_sizes(cfg, err)			     ?:
		      check_congestion(cfg->congestion, err) ?:
							       check_fastopen(cfg->fastopen_key, err);
	if (ret)
		return ret;
	if (cfg->shared && (cfg->naddrs || cfg->nroutes))
		return mr_error_set(
			err, -EINVAL,
			"a shared engine has the addresses and routes that %s has in the "
			"kernel: it takes no others",
			cfg->ifname);
	if (!cfg->naddrs && !cfg->shared)
		return mr_error_set(err, -EINVAL,
				    "no address is given: the engine needs one of its own, such as "
				    "10.0.0.5/24");
	if (cfg->naddrs > MR_CONFIG_ADDRS_MAX || cfg->nroutes > MR_CONFIG_ROUTES_MAX)
		return mr_error_set(
			err, -EINVAL, "%u addresses and %u routes are more than %u and %u",
			cfg->naddrs, cfg->nroutes, MR_CONFIG_ADDRS_MAX, MR_CONFIG_ROUTES_MAX);
	for (unsigned i = 0; !ret && i < cfg->naddrs; i++)
		ret = check_address(cfg, i, err);
	for (unsigned i = 0; !ret && i < cfg->nroutes; i++)
		ret = check_route(cfg, i, err);
	return ret;
}

/* ---- Bridges and bonds --------------------------------------------------------------------- */

int mr_config_check_master(const struct mr_ifinfo *info, bool has_address, struct mr_error *err)
{
	static const char *const part_of[][2] = {
		{ "bridge", "a port of the bridge" },
		{ "bond", "part of the bond" },
		{ "team", "part of the team" },
	};
	const char *what = "part of";

	if (!*info->master)
		return 0;
	if (!strcmp(info->master_kind, "vrf"))
		return mr_error_set(err, -EINVAL,
				    "%s belongs to the VRF %s, and Millrace knows the routes of "
				    "table main only: use --address, or an interface outside of it",
				    info->name, info->master);
	if (has_address)
		return 0;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(part_of); i++)
		if (!strcmp(info->master_kind, part_of[i][0]))
			what = part_of[i][1];
	return mr_error_set(err, -EINVAL,
			    "%s is %s %s and has no address of its own, so every connection would "
			    "be the kernel's: use -i %s, which has the addresses",
			    info->name, what, info->master, info->master);
}

/* ---- Plan ------------------------------------------------------------------------------------ */

static enum mr_csum_policy csum_policy(enum mr_rx_csum wanted, bool veth, bool native)
{
	switch (wanted) {
	case MR_RX_CSUM_VERIFY:
		return MR_CSUM_VERIFY;
	case MR_RX_CSUM_PARTIAL:
		return MR_CSUM_VERIFY_PARTIAL;
	case MR_RX_CSUM_OFF:
		return MR_CSUM_OFF;
	case MR_RX_CSUM_AUTO:
		break;
	}
	/* A veth peer leaves checksums partial. So does the kernel's receive offload (GRO), which runs before a
	 * generic XDP program, and has verified what it merged. */
	return veth || !native ? MR_CSUM_VERIFY_PARTIAL : MR_CSUM_VERIFY;
}

static uint32_t plan_chunk(const struct mr_config *cfg, const struct mr_ifinfo *info, bool native)
{
	if (cfg->chunk_size)
		return cfg->chunk_size;
	/* Small chunks if every packet fits into one. In generic mode the peer's TSO packets arrive uncut, and large
	 * chunks need fewer descriptors. */
	return native && info->mtu + L2_BYTES <= 2048 - XDP_HEADROOM ? 2048 : 4096;
}

int mr_config_plan(const struct mr_config *cfg, const struct mr_ifinfo *info, struct mr_plan *plan,
		   struct mr_error *err)
{
	uint32_t queues = info->queues, least = queues * FRAMES_PER_QUEUE;
	uint64_t chosen = (uint64_t)queues * (2 * cfg->rx_ring + cfg->tx_ring);

	if (info->mtu < MTU_MIN)
		return mr_error_set(
			err, -EINVAL,
			"the MTU of %s is %u, and at least %u is needed: ip link set %s mtu "
			"1500",
			cfg->ifname, info->mtu, MTU_MIN, cfg->ifname);
	if (info->mtu > MTU_MAX)
		return mr_error_set(
			err, -EINVAL,
			"the MTU of %s is %u, and an IP packet has at most %u: ip link set "
			"%s mtu %u",
			cfg->ifname, info->mtu, MTU_MAX, cfg->ifname, MTU_MAX);
	for (unsigned i = 0; i < cfg->naddrs; i++)
		if (!mr_addr_is_v4(&cfg->addrs[i].addr) && info->mtu < MR_IPV6_MTU_MIN)
			return mr_error_set(
				err, -EINVAL,
				"the MTU of %s is %u, and IPv6 needs %u: ip link set %s mtu %u",
				cfg->ifname, info->mtu, MR_IPV6_MTU_MIN, cfg->ifname,
				MR_IPV6_MTU_MIN);
	if (cfg->umem_frames && cfg->umem_frames < least)
		return mr_error_set(
			err, -EINVAL,
			"%u UMEM frames are too few for %u receive queue%s of %s: at least "
			"%u are needed",
			cfg->umem_frames, queues, queues == 1 ? "" : "s", cfg->ifname, least);
	*plan = (struct mr_plan){
		.native = cfg->xdp_mode == MR_XDP_NATIVE ||
			  (cfg->xdp_mode == MR_XDP_AUTO && info->zero_copy),
	};
	plan->csum = csum_policy(cfg->rx_csum, info->veth, plan->native);
	plan->zero_copy = plan->native && info->zero_copy;
	plan->gso = !plan->zero_copy &&
		    (cfg->tso == MR_TSO_ON || (cfg->tso == MR_TSO_AUTO && info->veth));
	plan->chunk_size = plan_chunk(cfg, info, plan->native);
	plan->nframes =
		(uint32_t)mr_min(mr_max(chosen, (uint64_t)FRAMES_DEFAULT), (uint64_t)FRAMES_MAX);
	if (cfg->umem_frames)
		plan->nframes = cfg->umem_frames;
	/* As in the device: at most three quarters of all frames. */
	plan->dev_frames =
		(uint32_t)mr_min((uint64_t)queues * cfg->rx_ring, (uint64_t)plan->nframes / 4 * 3);
	return 0;
}
