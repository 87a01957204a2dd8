/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * arp.h - ARP (RFC 826) over Ethernet for IPv4, all steps in one: it is short and has no checksum.
 * Ours is a packet that asks for an address of our own, or claims one. All others are passed to the kernel, also
 * those about shared addresses; a gratuitous ARP among them is noted for the engine's neighbour cache.
 */
#ifndef MR_BPF_ARP_H
#define MR_BPF_ARP_H

#include "steer.h"

#define ARPHRD_ETHER  1
#define ARPOP_REQUEST 1
#define ARPOP_REPLY   2

struct arp_packet {
	struct arphdr h;
	__u8 sha[6];
	__be32 spa;
	__u8 tha[6];
	__be32 tpa;
} __attribute__((packed));
_Static_assert(sizeof(struct arp_packet) == 28, "as on the wire");

static __always_inline bool is_own_v4(__be32 addr)
{
	__be32 key[4] = { 0, 0, V4_MAPPED, addr };

	return addr_flags(key) & MR_ADDR_OWN;
}

static __always_inline bool arp_is_sane(const struct arp_packet *arp)
{
	__u8 spa0 = *(__u8 *)&arp->spa;

	return arp->h.ar_hrd == bpf_htons(ARPHRD_ETHER) && arp->h.ar_pro == bpf_htons(ETH_P_IP) &&
	       arp->h.ar_hln == sizeof(arp->sha) && arp->h.ar_pln == sizeof(arp->spa) &&
	       (arp->h.ar_op == bpf_htons(ARPOP_REQUEST) ||
		arp->h.ar_op == bpf_htons(ARPOP_REPLY)) &&
	       !(arp->sha[0] & 1) &&	  /* a sender's address is never a group address */
	       spa0 != 127 && spa0 < 224; /* 0.0.0.0 is a probe (RFC 5227 section 2.1.1) */
}

static __always_inline int note_arp(const struct arp_packet *arp)
{
	struct mr_note_arp note = { .spa = arp->spa };

	__builtin_memcpy(note.sha, arp->sha, sizeof(note.sha));
	if (bpf_ringbuf_output(&mr_notes, &note, sizeof(note), BPF_RB_NO_WAKEUP))
		return PASS(NOT_OURS);
	return EXIT | MR_XDP_ARP_NOTED;
}

static __always_inline int steer_arp(struct packet *p)
{
	struct arp_packet *arp = cursor_take(&p->c, sizeof(*arp));

	if (!arp)
		return PASS(NOT_OURS);
	if (is_own_v4(arp->tpa) || is_own_v4(arp->spa)) {
		p->redirect = MR_XDP_REDIRECT_ARP;
		return arp_is_sane(arp) ? NEXT : DROP(ARP_BAD);
	}
	if (arp->spa == arp->tpa && mr_naddrs && arp_is_sane(arp))
		return note_arp(arp);
	return PASS(NOT_OURS);
}

#endif
