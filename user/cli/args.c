// SPDX-License-Identifier: BSD-2-Clause
/*
 * args.c - the common options, from argv into struct mr_config.
 * Not here    what only one command knows (serve.c, nc.c, echo.c).
 */
#include "cli/args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/units.h"

enum {
	OPT_GATEWAY = 0x100,
	OPT_SHARED,
	OPT_IGNORE_FIREWALL,
	OPT_ROUTE,
	OPT_XDP_MODE,
	OPT_RX_CSUM,
	OPT_TSO,
	OPT_RX_RING,
	OPT_TX_RING,
	OPT_UMEM_FRAMES,
	OPT_CHUNK_SIZE,
	OPT_MAX_SOCKETS,
	OPT_SNDBUF,
	OPT_RCVBUF,
	OPT_CONGESTION,
	OPT_SPIN,
	OPT_RATE,
	OPT_PCAP,
	OPT_SNAPLEN,
	OPT_SEED,
	OPT_STATS,
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "Network:", 10 },
	{ "interface", 'i', "IF", 0, "Attach to this network interface (required)", 0 },
	{ "address", 'a', "ADDR/LEN", 0,
	  "An address for the engine, which the kernel must not have: 10.0.0.5/24, 2001:db8::5/64 "
	  "(repeatable; this or --shared is required, but \"run\" shares by default)",
	  0 },
	{ "shared", OPT_SHARED, NULL, 0,
	  "Use the addresses, routes and neighbours that the interface has in the kernel; all "
	  "traffic except for TCP ports in use here stays with the kernel",
	  0 },
	{ "ignore-firewall", OPT_IGNORE_FIREWALL, NULL, 0,
	  "Do not warn that --shared bypasses this host's firewall", 0 },
	{ "gateway", OPT_GATEWAY, "ADDR", 0, "Default route", 0 },
	{ "route", OPT_ROUTE, "ROUTE", 0, "\"10.9.0.0/16 via 10.0.0.1\" (repeatable)", 0 },
	{ NULL, 0, NULL, 0, "Device:", 20 },
	{ "xdp-mode", OPT_XDP_MODE, "MODE", 0, "auto, native or generic (default auto)", 0 },
	{ "rx-csum", OPT_RX_CSUM, "POLICY", 0,
	  "Checksums of received packets: auto, verify, partial (also accept partial ones of "
	  "senders on this host) or off (default auto: partial on veth or in generic mode)",
	  0 },
	{ "tso", OPT_TSO, "WHEN", 0,
	  "Send bursts of segments as one packet that the kernel segments: auto, on or off "
	  "(default auto: on veth)",
	  0 },
	{ "rx-ring", OPT_RX_RING, "N", 0, "Receive descriptors per queue, a power of two", 0 },
	{ "tx-ring", OPT_TX_RING, "N", 0, "Transmit descriptors per queue, a power of two", 0 },
	{ "umem-frames", OPT_UMEM_FRAMES, "N", 0, "Number of packet buffers, for all queues", 0 },
	{ "chunk-size", OPT_CHUNK_SIZE, "BYTES", 0, "Size of a packet buffer: 2048 or 4096", 0 },
	{ "spin", OPT_SPIN, "US", 0, "Poll this many microseconds before sleeping", 0 },
	{ "rate", OPT_RATE, "RATE", 0, "Limit the transmit rate: 64kbit, 100mbit, 2.5gbit", 0 },
	{ NULL, 0, NULL, 0, "Connections:", 30 },
	{ "max-sockets", OPT_MAX_SOCKETS, "N", 0, "Maximum number of listeners and connections",
	  0 },
	{ "sndbuf", OPT_SNDBUF, "SIZE", 0, "Send buffer of a connection: 2k to 16m", 0 },
	{ "rcvbuf", OPT_RCVBUF, "SIZE", 0, "Receive buffer of a connection: 2k to 16m", 0 },
	{ "congestion", OPT_CONGESTION, "NAME", 0,
	  "Congestion control: cubic, bbr, newreno or dctcp (default cubic; \"run\": the system's)",
	  0 },
	{ "seed", OPT_SEED, "N", 0, "Seed of all random numbers (default: from the kernel)", 0 },
	{ NULL, 0, NULL, 0, "Observation:", 40 },
	{ "pcap", OPT_PCAP, "FILE", 0,
	  "Capture all packets, sent and received, into this file (pcapng)", 0 },
	{ "snaplen", OPT_SNAPLEN, "BYTES", 0, "Bytes kept of each captured packet", 0 },
	{ "stats", OPT_STATS, NULL, 0,
	  "Print the counters of every layer at the end (SIGUSR1 prints them at any time)", 0 },
	{ "verbose", 'v', NULL, 0, "Print more messages; twice: all", 0 },
	{ NULL, 0, NULL, 0, "Help:", -1 },
	{ 0 },
};

void cli_usage_error(const struct argp_state *state, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", state ? state->name : "millrace");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(argp_err_exit_status); /* CLI_USAGE, or what the command has for it */
}

uint64_t cli_number_arg(const struct argp_state *state, const char *option, const char *text,
			uint64_t min, uint64_t max)
{
	uint64_t v;

	if (cli_parse_number(text, min, max, &v))
		cli_usage_error(state, "%s \"%s\" is not a number from %llu to %llu", option, text,
				(unsigned long long)min, (unsigned long long)max);
	return v;
}

uint64_t cli_size_arg(const struct argp_state *state, const char *option, const char *text,
		      uint64_t min, uint64_t max)
{
	uint64_t v;

	if (cli_parse_size(text, &v))
		cli_usage_error(state, "%s \"%s\" is not a size such as 65536, 64k or 4m", option,
				text);
	if (v < min || v > max)
		cli_usage_error(state, "%s %s is out of range: %llu to %llu bytes", option, text,
				(unsigned long long)min, (unsigned long long)max);
	return v;
}

/* The position of text among names; the end of the process when it is none of them. */
static int choice_arg(const struct argp_state *state, const char *option, const char *text,
		      const char *const names[], int n)
{
	char list[64] = "";

	for (int i = 0; i < n; i++) {
		if (!strcmp(text, names[i]))
			return i;
		strcat(list, i == 0 ? "" : i == n - 1 ? " or " : ", ");
		strcat(list, names[i]);
	}
	cli_usage_error(state, "%s \"%s\" is unknown: choose %s", option, text, list);
}

static const char *const xdp_modes[] = {
	[MR_XDP_AUTO] = "auto",
	[MR_XDP_NATIVE] = "native",
	[MR_XDP_GENERIC] = "generic",
};

static const char *const rx_csums[] = {
	[MR_RX_CSUM_AUTO] = "auto",
	[MR_RX_CSUM_VERIFY] = "verify",
	[MR_RX_CSUM_PARTIAL] = "partial",
	[MR_RX_CSUM_OFF] = "off",
};

static const char *const tsos[] = {
	[MR_TSO_AUTO] = "auto",
	[MR_TSO_ON] = "on",
	[MR_TSO_OFF] = "off",
};

static uint32_t ring_arg(const struct argp_state *state, const char *option, const char *text)
{
	uint64_t n;

	if (cli_parse_number(text, 64, 32768, &n) || (n & (n - 1)))
		cli_usage_error(state, "%s \"%s\" is not a power of two from 64 to 32768", option,
				text);
	return (uint32_t)n;
}

static void add_address(const struct argp_state *state, struct mr_config *cfg, const char *text)
{
	int err = mr_config_add_address(cfg, text);

	if (err == -ENOSPC)
		cli_usage_error(state, "too many addresses: at most %d", MR_CONFIG_ADDRS_MAX);
	if (err)
		cli_usage_error(state,
				"--address \"%s\" is not an address with its prefix length, "
				"such as 10.0.0.5/24",
				text);
}

static void add_route(const struct argp_state *state, struct mr_config *cfg, const char *option,
		      const char *text, const char *shown)
{
	int err = mr_config_add_route(cfg, text);

	if (err == -ENOSPC)
		cli_usage_error(state, "too many routes: at most %d", MR_CONFIG_ROUTES_MAX);
	if (err)
		cli_usage_error(state, "%s \"%s\" is not valid: write %s", option, shown,
				!strcmp(option, "--gateway") ?
					"an address such as 10.0.0.1" :
					"it as \"10.9.0.0/16 via 10.0.0.1\"");
}

static void add_gateway(const struct argp_state *state, struct mr_config *cfg, const char *text)
{
	struct mr_addr gateway;
	char route[MR_ADDR_STRLEN + 32];

	if (mr_addr_parse(text, &gateway))
		cli_usage_error(state, "--gateway \"%s\" is not an address such as 10.0.0.1", text);
	snprintf(route, sizeof(route), "%s via %s", strchr(text, ':') ? "::/0" : "0.0.0.0/0", text);
	add_route(state, cfg, "--gateway", route, text);
}

/* What must be there, once everything has been read. */
static void check_complete(const struct argp_state *state, struct cli_args *args)
{
	struct mr_config *cfg = &args->cfg;

	if (!cfg->ifname)
		cli_usage_error(state, "which interface? Name it with -i, for example: -i eth0 "
				       "(\"ip link\" lists them)");
	if (args->shared_by_default && !cfg->naddrs)
		cfg->shared = true;
	if (cfg->shared && (cfg->naddrs || cfg->nroutes))
		cli_usage_error(state,
				"--shared takes the addresses and routes of the kernel: leave out "
				"--address, --gateway and --route");
	if (!cfg->naddrs && !cfg->shared)
		cli_usage_error(state,
				"which address? Give the engine one of its own that no host "
				"uses, for example: --address 10.0.0.5/24; or use those that the "
				"interface has, with --shared");
	if (cfg->pcap_snaplen && !cfg->pcap_path)
		cli_usage_error(state, "--snaplen needs --pcap FILE");
}

/* Not which interface and addresses it has, but how it works. */
static bool tunes(int key)
{
	return key == OPT_IGNORE_FIREWALL || key == 'v' ||
	       (key >= OPT_XDP_MODE && key <= OPT_STATS);
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct cli_args *args = state->input;
	struct mr_config *cfg = &args->cfg;

	if (tunes(key))
		args->tuned = true;
	switch (key) {
	case ARGP_KEY_INIT:
		*args = (struct cli_args){ .shared_by_default = args->shared_by_default };
		mr_config_init(cfg);
		break;
	case 'i':
		cfg->ifname = arg;
		break;
	case 'a':
		add_address(state, cfg, arg);
		break;
	case OPT_SHARED:
		cfg->shared = true;
		break;
	case OPT_IGNORE_FIREWALL:
		cfg->ignore_firewall = true;
		break;
	case OPT_GATEWAY:
		add_gateway(state, cfg, arg);
		break;
	case OPT_ROUTE:
		add_route(state, cfg, "--route", arg, arg);
		break;
	case OPT_XDP_MODE:
		cfg->xdp_mode = (enum mr_xdp_mode)choice_arg(state, "--xdp-mode", arg, xdp_modes,
							     MR_ARRAY_SIZE(xdp_modes));
		break;
	case OPT_RX_CSUM:
		cfg->rx_csum = (enum mr_rx_csum)choice_arg(state, "--rx-csum", arg, rx_csums,
							   MR_ARRAY_SIZE(rx_csums));
		break;
	case OPT_TSO:
		cfg->tso = (enum mr_tso)choice_arg(state, "--tso", arg, tsos, MR_ARRAY_SIZE(tsos));
		break;
	case OPT_RX_RING:
		cfg->rx_ring = ring_arg(state, "--rx-ring", arg);
		break;
	case OPT_TX_RING:
		cfg->tx_ring = ring_arg(state, "--tx-ring", arg);
		break;
	case OPT_UMEM_FRAMES:
		cfg->umem_frames =
			(uint32_t)cli_number_arg(state, "--umem-frames", arg, 1, 1u << 22);
		break;
	case OPT_CHUNK_SIZE:
		cfg->chunk_size = (uint32_t)cli_size_arg(state, "--chunk-size", arg, 2048, 4096);
		if (cfg->chunk_size & (cfg->chunk_size - 1))
			cli_usage_error(state, "--chunk-size %s is neither 2048 nor 4096", arg);
		break;
	case OPT_MAX_SOCKETS:
		cfg->max_sockets =
			(uint32_t)cli_number_arg(state, "--max-sockets", arg, 1, 1u << 20);
		break;
	case OPT_SNDBUF:
		cfg->sndbuf = (uint32_t)cli_size_arg(state, "--sndbuf", arg, 2048, 16u << 20);
		break;
	case OPT_RCVBUF:
		cfg->rcvbuf = (uint32_t)cli_size_arg(state, "--rcvbuf", arg, 2048, 16u << 20);
		break;
	case OPT_CONGESTION:
		if (mr_congestion_index(arg) < 0)
			cli_usage_error(
				state,
				"--congestion \"%s\" is unknown: choose cubic, bbr, newreno or "
				"dctcp",
				arg);
		cfg->congestion = arg;
		break;
	case OPT_SPIN:
		cfg->spin_us = (uint32_t)cli_number_arg(state, "--spin", arg, 0, 1000000);
		break;
	case OPT_RATE:
		if (cli_parse_rate(arg, &cfg->rate_bps) || !cfg->rate_bps)
			cli_usage_error(state, "--rate \"%s\" is not a rate such as 100mbit", arg);
		break;
	case OPT_PCAP:
		cfg->pcap_path = arg;
		break;
	case OPT_SNAPLEN:
		cfg->pcap_snaplen = (uint32_t)cli_number_arg(state, "--snaplen", arg, 0, 262144);
		break;
	case OPT_SEED:
		cfg->seed = cli_number_arg(state, "--seed", arg, 0, UINT64_MAX);
		break;
	case OPT_STATS:
		args->stats = true;
		break;
	case 'v':
		args->verbose++;
		break;
	case ARGP_KEY_END:
		check_complete(state, args);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp cli_common_argp = { .options = options, .parser = parse_opt };
