// SPDX-License-Identifier: BSD-2-Clause
/*
 * frame.c - the frame pool, and what reaches over the chunks of a packet.
 * Owns        the free list and the reset of a frame that is taken from it.
 * Called by   every layer, on the engine's thread only.
 * Not here    the rings (dev/afxdp.c): to the pool a chunk that the kernel holds is just not free.
 */
#include <errno.h>
#include <string.h>
#include "base/compiler.h"
#include "base/csum.h"
#include "frame/frame.h"

int mr_frame_pool_init(struct mr_frame_pool *pool, struct mr_arena *arena, struct mr_counters *ctr,
		       void *umem, uint32_t nframes, uint32_t chunk_size)
{
	assert(chunk_size >= 2 * MR_FRAME_HEADROOM && !(chunk_size & (chunk_size - 1)));
	*pool = (struct mr_frame_pool){
		.umem = umem,
		.nframes = nframes,
		.chunk_size = chunk_size,
		.chunk_shift = (uint32_t)__builtin_ctz(chunk_size),
		.ctr = ctr,
	};
	pool->frames = mr_arena_alloc(arena, sizeof(*pool->frames) * nframes, 64);
	if (!pool->frames)
		return -ENOMEM;
	for (uint32_t i = nframes; i-- > 0;) { /* the first chunk ends up on top */
		struct mr_frame *f = &pool->frames[i];

		f->chunk = pool->umem + (size_t)i * chunk_size;
		f->next = pool->free;
		pool->free = f;
	}
	pool->nfree = nframes;
	return 0;
}

struct mr_frame *mr_frame_get(struct mr_frame_pool *pool)
{
	struct mr_frame *f = pool->free;

	if (mr_unlikely(!f))
		return NULL;
	pool->free = f->next;
	pool->nfree--;
	*f = (struct mr_frame){
		.chunk = f->chunk,
		.data = f->chunk + MR_FRAME_HEADROOM,
		.refs = 1,
		.nchunks = 1,
	};
	return f;
}

void mr_frame_put(struct mr_frame_pool *pool, struct mr_frame *f)
{
	assert(f->refs);
	if (--f->refs)
		return;
	assert(!f->tx_refs); /* those are among refs */
	f->next = pool->free;
	pool->free = f;
	pool->nfree++;
}

void mr_frame_pool_salvage_begin(struct mr_frame_pool *pool)
{
	for (uint32_t i = 0; i < pool->nframes; i++) {
		struct mr_frame *f = &pool->frames[i];
		bool out = f->flags & MR_FRAME_IN_DEV;

		/* A frame is wiped as it is taken, and this may have been gone at that moment. */
		f->chunk = pool->umem + (size_t)i * pool->chunk_size;
		f->refs = out ? 1 : 0;
		f->tx_refs = out && f->tx_refs ? 1 : 0;
	}
}

void mr_frame_pool_salvage_end(struct mr_frame_pool *pool)
{
	pool->free = NULL;
	pool->nfree = 0;
	for (uint32_t i = pool->nframes; i-- > 0;) {
		struct mr_frame *f = &pool->frames[i];

		if (f->refs)
			continue;
		f->flags = 0;
		f->next = pool->free;
		pool->free = f;
		pool->nfree++;
	}
}

void mr_frame_put_chain(struct mr_frame_pool *pool, struct mr_frame *f)
{
	while (f) {
		struct mr_frame *frag = f->frag;

		mr_frame_put(pool, f);
		f = frag;
	}
}

void mr_frame_trim(struct mr_frame_pool *pool, struct mr_frame *f, uint32_t len)
{
	struct mr_frame *last = f;
	uint32_t left = len;
	uint8_t chunks = 1;

	if (len >= f->pkt_len)
		return;
	while (left > last->len) {
		left -= last->len;
		last = last->frag;
		chunks++;
	}
	last->len = left;
	mr_frame_put_chain(pool, last->frag);
	last->frag = NULL;
	f->pkt_len = len;
	f->nchunks = chunks;
}

uint32_t mr_frame_copy_out(const struct mr_frame *f, uint32_t off, void *dst, uint32_t n)
{
	uint8_t *to = dst;
	uint32_t done = 0;

	for (; f && done < n; f = f->frag) {
		uint32_t part;

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		part = mr_min(f->len - off, n - done);
		memcpy(to + done, f->data + off, part);
		done += part;
		off = 0;
	}
	return done;
}

struct mr_frame *mr_frame_copy(struct mr_frame_pool *pool, const struct mr_frame *f, uint32_t off,
			       uint32_t n)
{
	struct mr_frame *first = NULL, **link = &first;
	uint32_t done = 0;
	uint8_t chunks = 0;

	while (done < n) {
		struct mr_frame *c = chunks < MR_FRAME_MAX_CHUNKS ? mr_frame_get(pool) : NULL;

		if (!c) {
			mr_frame_put_chain(pool, first);
			return NULL;
		}
		c->len = mr_frame_copy_out(f, off + done, c->data,
					   mr_min(n - done, mr_frame_tailroom(pool, c)));
		assert(c->len);
		done += c->len;
		chunks++;
		*link = c;
		link = &c->frag;
	}
	assert(first);
	first->pkt_len = n;
	first->nchunks = chunks;
	return first;
}

uint32_t mr_frame_csum(const struct mr_frame *f, uint32_t off, uint32_t n)
{
	uint32_t sum = 0, done = 0;

	for (; f && done < n; f = f->frag) {
		uint32_t part;

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		part = mr_min(f->len - off, n - done);
		sum = mr_csum_add(sum, mr_csum_shift(mr_csum(f->data + off, part), done));
		done += part;
		off = 0;
	}
	assert(done == n);
	return sum;
}
