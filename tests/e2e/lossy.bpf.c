// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * lossy.bpf.c - a bad wire for tc: of the packets that pass, 2 in 100 are lost and 1 in 100 comes
 * twice. Attached at the peer's end of a veth pair, ingress and egress, so that both directions
 * suffer: what an AF_XDP socket sends and receives never sees tc on its own end.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#define LOSS_PERCENT	  2
#define DUPLICATE_PERCENT 1

#define TC_ACT_OK     0
#define TC_ACT_STOLEN 4 /* unlike TC_ACT_SHOT: the sending kernel is not told, as on a real wire */
#define BPF_F_INGRESS 1

/* Set on a copy while it takes the same way again, so that a copy is neither lost nor copied. */
#define COPY_MARK 0x6d726470

enum lossy_count { LOSSY_SEEN, LOSSY_LOST, LOSSY_DUPLICATED, LOSSY_COUNTS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSSY_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} lossy_counts SEC(".maps");

static void count(enum lossy_count what)
{
	__u32 key = what;
	__u64 *n = bpf_map_lookup_elem(&lossy_counts, &key);

	if (n)
		*n += 1;
}

static int lossy(struct __sk_buff *skb, __u64 redirect_flags)
{
	__u32 dice;

	if (skb->mark == COPY_MARK) {
		skb->mark = 0;
		return TC_ACT_OK;
	}
	count(LOSSY_SEEN);
	dice = bpf_get_prandom_u32() % 100;
	if (dice < LOSS_PERCENT) {
		count(LOSSY_LOST);
		return TC_ACT_STOLEN;
	}
	if (dice < LOSS_PERCENT + DUPLICATE_PERCENT) {
		__u32 mark = skb->mark;

		skb->mark = COPY_MARK;
		if (!bpf_clone_redirect(skb, skb->ifindex, redirect_flags))
			count(LOSSY_DUPLICATED);
		skb->mark = mark;
	}
	return TC_ACT_OK;
}

SEC("tc/ingress")
int lossy_ingress(struct __sk_buff *skb)
{
	return lossy(skb, BPF_F_INGRESS);
}

SEC("tc/egress")
int lossy_egress(struct __sk_buff *skb)
{
	return lossy(skb, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
