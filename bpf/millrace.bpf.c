// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * millrace.bpf.c - the XDP program: which packets are the engine's, and are they sound?
 *
 *	quick	 the packet that almost all are, in one step; else			quick.h
 *	parse	 Ethernet, VLAN, ARP, IP; what is wrong is noted, not judged	parse_eth.h parse_ip.h
 *	steer	 ours? else XDP_PASS, before any payload was read		steer.h arp.h
 *	check	 header fields that no correct sender emits			check.h
 *	verify	 IPv4 header checksum, then that of TCP or ICMP			csum.h
 *	deliver	 metadata in front, redirect to the queue's AF_XDP socket	deliver.h
 *
 * Every packet leaves through leave() (stats.h), counted. Policy is user space's: the maps, and
 * mr_cfg before loading (user/kernel/xdp.c). No kernel type is read but the UAPI's, so nothing is
 * relocated. It needs Linux 5.18 (multi-buffer XDP), and the kernel's BTF, by which the verifier
 * recognises the context in a global function's arguments.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "millrace/xdp_abi.h"
#include "parse_eth.h"
#include "parse_ip.h"
#include "arp.h"
#include "check.h"
#include "csum.h"
#include "deliver.h"
#include "quick.h"

/* A test also builds the program without the fast path, and gives each packet to both. */
#ifndef MR_QUICK
#define MR_QUICK true
#endif

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int handle_ip(struct packet *p)
{
	/* clang-format off */ /* one step a line */
	return parse_ip(p) ?:
	       steer_ip(p) ?:
	       check_ip(p) ?:
	       check_l4(p) ?:
	       verify_ipv4(p) ?:
	       verify_l4(p);
	/* clang-format on */
}

static __always_inline struct packet packet_begin(struct xdp_md *ctx)
{
	return (struct packet){
		.ctx = ctx,
		.c = { .pos = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end },
	};
}

static __always_inline int handle_any(struct packet *p)
{
	int exit = parse_eth(p);

	if (exit)
		return exit;
	return p->eth_proto == bpf_htons(ETH_P_ARP) ? steer_arp(p) : handle_ip(p);
}

SEC("xdp.frags")
int mr_xdp(struct xdp_md *ctx)
{
	struct packet p = packet_begin(ctx);
	int exit = MR_QUICK ? quick(&p) : LONG_WAY;

	if (exit == LONG_WAY) {
		p = packet_begin(ctx);
		exit = handle_any(&p);
	}
	return leave(exit ?: write_meta(&p) ?: redirect(&p));
}
