/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * notes.h - packets that both the kernel and the engine need: gratuitous ARP (arp.h), advertisements by IPv6
 * multicast, and queries of multicast routers. A packet cannot be given to both, so it is passed to the kernel, and a
 * copy is noted for the engine.
 */
#ifndef MR_BPF_NOTES_H
#define MR_BPF_NOTES_H

#include "packet.h"

/* The engine reads the notes about once a second, and is not woken for them. The ring has room for 50 advertisements
 * or 800 gratuitous ARPs; a flood loses notes, which is harmless. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16384);
} mr_notes SEC(".maps");

/* Number of own addresses, set by user space. 0: nobody reads notes. */
volatile __u32 mr_naddrs;

#define MLD_QUERY	 130
#define ND_ROUTER_ADVERT 134
#define ND_SOLICIT	 135
#define ND_ADVERT	 136

#define ND_HLIM	   255 /* RFC 4861 section 7.1: a forwarded message must be ignored */
#define ND_LEN_MIN 16  /* of a router advertisement, the shorter one */

#define MLD_HLIM 1 /* RFC 3810 section 6.2: only a neighbour may query, */

/* and the packet has a router alert option (RFC 2711), before or behind padding. */
#define OPT_ROUTER_ALERT 5

struct hop_by_hop {
	__u8 nexthdr, len; /* len 0: 8 bytes */
	__u8 options[6];
};

static __always_inline bool has_router_alert(const struct packet *p)
{
	struct cursor c = cursor_at(p->ctx, p->l4_off - sizeof(struct hop_by_hop));
	struct hop_by_hop *h = cursor_take(&c, sizeof(*h));

	return h && h->nexthdr == NEXTHDR_ICMP && !h->len &&
	       ((h->options[0] == OPT_ROUTER_ALERT && h->options[1] == 2) ||
		(h->options[2] == OPT_ROUTER_ALERT && h->options[3] == 2));
}

static __always_inline bool is_noted(const struct packet *p, __u8 type)
{
	if (type == MLD_QUERY)
		return p->hlim == MLD_HLIM && has_router_alert(p);
	return (type == ND_ROUTER_ADVERT || type == ND_ADVERT) && p->hlim == ND_HLIM;
}

/* Note an advertisement to a group, or a query. The engine checks the checksum and the rest, because such packets are
 * rare. */
static __always_inline bool note_nd(struct packet *p)
{
	struct cursor c = p->c;
	struct mr_note_nd *note;
	__u8 *type = cursor_take(&c, ND_LEN_MIN);
	__u32 len = p->l4_len;

	if (!type || !is_noted(p, *type) || p->fault || !mr_naddrs || len < ND_LEN_MIN ||
	    len > MR_NOTE_ND_BYTES)
		return false;
	note = bpf_ringbuf_reserve(&mr_notes, sizeof(*note), 0);
	if (!note)
		return false;
	__builtin_memcpy(note->src, p->saddr, sizeof(note->src));
	__builtin_memcpy(note->dst, p->daddr, sizeof(note->dst));
	note->len = len;
	if (bpf_xdp_load_bytes(p->ctx, p->l4_off, note->msg, len)) {
		bpf_ringbuf_discard(note, BPF_RB_NO_WAKEUP);
		return false;
	}
	bpf_ringbuf_submit(note, BPF_RB_NO_WAKEUP);
	return true;
}

#endif
