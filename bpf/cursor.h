/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * cursor.h - a bounds-checked walk over the linear part of a packet.
 * The offset is counted beside the pointer, so that it is a number with bounds from the start.
 * Pointers that move by a number from the packet are what the program needs CAP_PERFMON for: without
 * it the verifier guards against speculative reads by refusing them.
 */
#ifndef MR_BPF_CURSOR_H
#define MR_BPF_CURSOR_H

struct cursor {
	void *pos;
	void *end; /* of the linear part; the packet may go on in fragments */
	__u32 off; /* of pos, from the first byte of the Ethernet header */
};

/* The next size (a constant) bytes, and step over them; NULL where the linear part is too short.
 * The pointer that was checked is the one returned: that is the one the verifier follows. */
static __always_inline void *cursor_take(struct cursor *c, __u32 size)
{
	void *p = c->pos;

	if (p + size > c->end)
		return NULL;
	c->pos = p + size;
	c->off += size;
	return p;
}

#define CURSOR_OFF_MAX 0x3fff /* mask: headers end before, a bound that the verifier sees */

/* A cursor at a given offset, which may lie behind the end: the next cursor_take() sees that. */
static __always_inline struct cursor cursor_at(struct xdp_md *ctx, __u32 off)
{
	return (struct cursor){
		.pos = (void *)(long)ctx->data + (off & CURSOR_OFF_MAX),
		.end = (void *)(long)ctx->data_end,
		.off = off,
	};
}

#endif
