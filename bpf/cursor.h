/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * cursor.h - a bounds-checked walk over the linear part of a packet.
 * The offset is kept beside the pointer, so that it is a number with bounds. Pointers that are moved by a number from
 * the packet are what the program needs CAP_PERFMON for: without it the verifier refuses them, to prevent speculative
 * reads.
 */
#ifndef MR_BPF_CURSOR_H
#define MR_BPF_CURSOR_H

struct cursor {
	void *pos;
	void *end; /* end of the linear part; the packet may continue in fragments */
	__u32 off; /* of pos, from the first byte of the Ethernet header */
};

/* Return the next size (a constant) bytes, and advance behind them; NULL: the linear part is too short. The pointer
 * that was checked is returned, because that is the one that the verifier tracks. */
static __always_inline void *cursor_take(struct cursor *c, __u32 size)
{
	void *p = c->pos;

	if (p + size > c->end)
		return NULL;
	c->pos = p + size;
	c->off += size;
	return p;
}

#define CURSOR_OFF_MAX 0x3fff /* mask that gives the verifier a bound; headers end before it */

/* A cursor at a given offset, which may be behind the end: the next cursor_take() checks that. */
static __always_inline struct cursor cursor_at(struct xdp_md *ctx, __u32 off)
{
	return (struct cursor){
		.pos = (void *)(long)ctx->data + (off & CURSOR_OFF_MAX),
		.end = (void *)(long)ctx->data_end,
		.off = off,
	};
}

#endif
