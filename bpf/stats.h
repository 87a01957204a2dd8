/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * stats.h - the counters, and the single exit of the program, so that every packet is counted.
 */
#ifndef MR_BPF_STATS_H
#define MR_BPF_STATS_H

#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mr_xdp_stats);
} mr_stats SEC(".maps");

/* Count a packet according to the result of a step, and return the XDP action. */
static __always_inline int leave(__u32 exit)
{
	__u32 verdict = exit & 0xff, reason = exit >> 8 & 0xff, csum = exit >> 16 & 0xff, key = 0;
	struct mr_xdp_stats *stats = bpf_map_lookup_elem(&mr_stats, &key);

	if (stats && verdict < MR_XDP_VERDICT_MAX)
		stats->verdict[verdict]++;
	if (stats && csum && csum < MR_XDP_VERDICT_MAX)
		stats->verdict[csum]++;
	switch (verdict) {
	case MR_XDP_DROP:
		if (stats && reason < MR_DROP_XDP_LAST)
			stats->drop[reason]++;
		return XDP_DROP;
	case MR_XDP_REDIRECT_TCP:
	case MR_XDP_REDIRECT_ARP:
	case MR_XDP_REDIRECT_ICMP:
	case MR_XDP_REDIRECT_OTHER:
		return XDP_REDIRECT;
	default:
		return XDP_PASS;
	}
}

#endif
