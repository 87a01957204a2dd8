/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * csum.h - the Internet checksum (RFC 1071) of IPv4 headers, TCP, ICMP and ICMPv6, over all bytes of a packet, also
 * of a multi-buffer one.
 *
 * Sums are of words in memory order, so no byte is swapped, and in 64 bits, which cannot overflow with the 16384
 * 32-bit words of a packet. Including the checksum field, the sum of a correct packet folds to 0xffff.
 *
 * The linear part is summed in place, one block per bounds check. The rest, which programs cannot address, is copied
 * out in pieces and summed there. (bpf_csum_diff() is slower at the 512 bytes that it is limited to before Linux
 * 6.13.) All are global functions, so that the verifier walks each loop once, and not once for each way to reach it.
 */
#ifndef MR_BPF_CSUM_H
#define MR_BPF_CSUM_H

#include "check.h"

const volatile struct mr_xdp_cfg mr_cfg;

#define CSUM_BLOCK	32
#define CSUM_BLOCKS_MAX 128    /* 4096 bytes: more than a linear part holds on 4 KiB pages */
#define CSUM_OFF_MAX	0x7fff /* mask: more than the longest headers and CSUM_BLOCKS_MAX */
#define CSUM_PIECE	2048   /* bytes copied out at once */
/* For 64 KiB, more than an IP packet has, and one more to detect the end. */
#define CSUM_PIECES_MAX 33

struct csum_block {
	__u32 w[CSUM_BLOCK / 4];
};

/* The bytes that were copied out, and one more block for the zeros behind them. */
struct csum_scratch {
	struct csum_block block[CSUM_PIECE / CSUM_BLOCK + 1];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct csum_scratch);
} mr_scratch SEC(".maps");

/* Hide what the compiler knows about x, so that the bounds checks that are written here stay, for the verifier. */
#define opaque(x) asm volatile("" : "+r"(x))

static __always_inline __u32 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u32)((sum & 0xffff) + (sum >> 16));
}

static __always_inline __u64 sum_block(const struct csum_block *block)
{
	const __u32 *w = block->w;
	__u64 sum = w[0];

	sum += w[1];
	sum += w[2];
	sum += w[3];
	sum += w[4];
	sum += w[5];
	sum += w[6];
	sum += w[7];
	return sum;
}

/* Sum of the first nblocks blocks of the scratch; folded. */
__noinline int sum_scratch(__u32 nblocks)
{
	__u32 key = 0;
	struct csum_scratch *s = bpf_map_lookup_elem(&mr_scratch, &key);
	__u64 sum = 0;

	for (__u32 i = 0; s && i < CSUM_PIECE / CSUM_BLOCK; i++) {
		if (i >= nblocks)
			break;
		sum += sum_block(&s->block[i]);
	}
	return (int)csum_fold(sum);
}

/* Sum of len bytes from off on, by copies; folded. -1: the packet is shorter. */
__noinline int sum_copied(struct xdp_md *ctx, __u32 off, __u32 len)
{
	__u32 key = 0, n;
	struct csum_scratch *s = bpf_map_lookup_elem(&mr_scratch, &key);
	__u64 sum = 0;

	for (int i = 0; s && i < CSUM_PIECES_MAX; i++) {
		if (!len)
			return (int)csum_fold(sum);
		n = len < CSUM_PIECE ? len : CSUM_PIECE;
		/* Zeros behind the last byte, up to the end of its block. */
		__builtin_memset(&s->block[n / CSUM_BLOCK], 0, CSUM_BLOCK);
		if (bpf_xdp_load_bytes(ctx, off, s->block, n))
			break;
		sum += sum_scratch((n + CSUM_BLOCK - 1) / CSUM_BLOCK);
		off += n;
		len -= n;
	}
	return -1;
}

/* Sum of len bytes from off on; folded. -1: the packet is shorter. */
__noinline int sum_packet(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *pos = (void *)(long)ctx->data + (off & CSUM_OFF_MAX);
	void *end = (void *)(long)ctx->data_end;
	__u32 left = len;
	__u64 sum = 0;
	int rest;

	for (int i = 0; i < CSUM_BLOCKS_MAX; i++, pos += CSUM_BLOCK, left -= CSUM_BLOCK) {
		if (left < CSUM_BLOCK || pos + CSUM_BLOCK > end)
			break;
		sum += sum_block(pos);
	}
	/* Computed anew, so that the verifier does not follow each way out of the loop separately. */
	opaque(left);
	pos = (void *)(long)ctx->data + ((off + len - left) & CSUM_OFF_MAX);
	for (int i = 0; i < CSUM_BLOCK / 4; i++, pos += 4, left -= 4) {
		if (left < 4 || pos + 4 > end)
			break;
		sum += *(__u32 *)pos;
	}
	if (left >= 2 && pos + 2 <= end) {
		sum += *(__u16 *)pos;
		pos += 2;
		left -= 2;
	}
	if (left == 1 && pos + 1 <= end) {
		sum += bpf_htons(*(__u8 *)pos << 8);
		left = 0;
	}
	if (!left)
		return (int)csum_fold(sum);
	rest = sum_copied(ctx, off + len - left, left);
	return rest < 0 ? -1 : (int)csum_fold(sum + (__u32)rest);
}

/* RFC 9293 section 3.1 and RFC 8200 section 8.1: both sum the same words, since the prefix of a
 * mapped address sums to 0xffff, which is 0 here. */
static __always_inline __u64 sum_pseudo(const struct packet *p)
{
	__u64 sum = bpf_htonl(p->l4_proto);

	sum += bpf_htonl(p->l4_len);
#pragma unroll
	for (int i = 0; i < 4; i++) {
		sum += p->saddr[i];
		sum += p->daddr[i];
	}
	return sum;
}

#define CSUM_VALID 0xffff

static __always_inline int verify_ipv4(const struct packet *p)
{
	struct cursor c = cursor_at(p->ctx, p->l3_off);
	const __u32 *w;
	__u64 sum;

	if (!is_ipv4(p))
		return NEXT;
	/* Almost all headers have no options: sum these without a call. */
	w = cursor_take(&c, sizeof(struct iphdr));
	if (w && p->l3_hlen == sizeof(struct iphdr)) {
		sum = (__u64)w[0] + w[1] + w[2] + w[3] + w[4];
		return csum_fold(sum) == CSUM_VALID ? NEXT : DROP(IP_BAD_CSUM);
	}
	if (sum_packet(p->ctx, p->l3_off, p->l3_hlen) != CSUM_VALID)
		return DROP(IP_BAD_CSUM);
	return NEXT;
}

/*
 * A sender on this host leaves TCP checksums partial: the field has only the sum of the pseudo-header. No flag says
 * so, so the value has to be compared. That needs no payload, and is done first. A packet with this value whose
 * checksum is nevertheless complete is correct, and rightly accepted here.
 */
static __always_inline int verify_l4(struct packet *p)
{
	bool is_tcp = p->redirect == MR_XDP_REDIRECT_TCP;
	__u64 pseudo = 0;
	int sum;

	if (mr_cfg.csum_policy == MR_CSUM_OFF || (!is_tcp && p->redirect != MR_XDP_REDIRECT_ICMP))
		return NEXT;
	if (is_tcp || p->l4_proto == NEXTHDR_ICMP)
		pseudo = sum_pseudo(p);
	if (is_tcp && mr_cfg.csum_policy == MR_CSUM_VERIFY_PARTIAL &&
	    p->tcp_check == csum_fold(pseudo)) {
		p->csum = MR_CSUM_PARTIAL;
		return NEXT;
	}
	sum = sum_packet(p->ctx, p->l4_off, p->l4_len);
	if (sum < 0 || csum_fold(pseudo + (__u32)sum) != CSUM_VALID)
		return is_tcp ? DROP(TCP_BAD_CSUM) : DROP(ICMP_BAD_CSUM);
	p->csum = MR_CSUM_GOOD;
	return NEXT;
}

#endif
