/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * notes.h - what the kernel keeps but an engine wants to know of: where neighbours are (arp.h), and
 * advertisements by IPv6 multicast. The kernel needs them as much as the engine, and a packet cannot
 * be given to both: it is passed, and a copy noted.
 */
#ifndef MR_BPF_NOTES_H
#define MR_BPF_NOTES_H

#include "packet.h"

/* Notes wait in a ring that the engine reads about once a second, so nobody is woken for one. It holds
 * 50 advertisements or 800 of gratuitous ARP; a flood loses notes, which is harmless. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16384);
} mr_notes SEC(".maps");

/* Entries of mr_addrs, kept by user space: while it is 0 there is nobody to read notes. */
volatile __u32 mr_naddrs;

#define ND_ROUTER_ADVERT 134
#define ND_SOLICIT	 135
#define ND_ADVERT	 136

#define ND_HLIM	   255 /* RFC 4861 section 7.1: what was forwarded is not to be believed */
#define ND_LEN_MIN 16  /* of a router advertisement, the shorter one */

/* An advertisement to a group. Its checksum and the rest are left to the engine: this is rare. */
static __always_inline bool note_nd(struct packet *p)
{
	struct cursor c = p->c;
	struct mr_note_nd *note;
	__u8 *type = cursor_take(&c, ND_LEN_MIN);
	__u32 len = p->l4_len;

	if (!type || (*type != ND_ROUTER_ADVERT && *type != ND_ADVERT) || p->hlim != ND_HLIM ||
	    p->fault || !mr_naddrs || len < ND_LEN_MIN || len > MR_NOTE_ND_BYTES)
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
