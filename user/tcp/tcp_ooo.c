// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_ooo.c - the reassembly queue: data that was received out of order.
 * Owns        tcb->gap and its queue. Its packets are sorted by sequence number and do not overlap.
 * Implements  RFC 9293 section 3.10.7.4, seventh step ("segments with higher beginning sequence numbers should be
 *             held for later processing").
 * Called by   input.
 * Not here    data in order (tcp_input.c).
 *
 * The payload of a received packet is its data with all headers pulled: data, len, pkt_len.
 *
 * Adjacent packets without a hole between them form a row, which is skipped in one step. So a segment finds its place
 * in as many steps as there are holes before it, however many packets that are. Only the first packet of a row is
 * ever removed.
 */
#include <string.h>

#include "base/compiler.h"
#include "tcp/tcp_priv.h"

static uint32_t span(const struct mr_frame *f)
{
	return f->pkt_len + !!(f->tcp_flags & MR_TCP_FIN);
}

static uint32_t end(const struct mr_frame *f)
{
	return f->seq + span(f);
}

#define SMALL_SEGMENT 512u /* bytes: a window of larger segments always has room */
#define WALK_MAX      512u /* rows visited to find a place; a segment further away is dropped */
#define ALL_SHARE     8u   /* all reassembly queues together may hold one in so many frames */

/* Is there room for another segment? Each takes a chunk, however small it is. So their number is limited, per
 * connection and for all, to leave frames for others. The peer retransmits what is dropped. */
static bool room_for(const struct mr_tcp *tcp, const struct mr_tcb *tcb, const struct mr_frame *f)
{
	uint32_t limit = mr_max(64u, tcb->opts.rcvbuf / SMALL_SEGMENT);
	uint32_t held = tcb->gap ? tcb->gap->q.frames : 0;

	return held + f->nchunks <= limit &&
	       tcp->ooo_frames + f->nchunks <= tcp->frames->nframes / ALL_SHARE;
}

/* NULL: no memory. */
static struct mr_gap *gap_get(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	struct mr_gap *gap = tcb->gap ?: mr_pool_get(&tcp->gap_pool);

	if (gap && !tcb->gap) {
		gap->tcb = tcb;
		mr_list_add_tail(&tcp->gaps, &gap->node);
		tcb->gap = gap;
	}
	return gap;
}

static void gap_put_if_closed(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	if (!tcb->gap || tcb->gap->q.head)
		return;
	mr_list_del(&tcb->gap->node);
	mr_pool_put(&tcp->gap_pool, tcb->gap);
	tcb->gap = NULL;
}

static void account(struct mr_tcp *tcp, struct mr_oooq *q, const struct mr_frame *f, bool add)
{
	q->bytes = add ? q->bytes + f->pkt_len : q->bytes - f->pkt_len;
	q->frames = add ? q->frames + f->nchunks : q->frames - f->nchunks;
	tcp->ooo_frames = add ? tcp->ooo_frames + f->nchunks : tcp->ooo_frames - f->nchunks;
}

/* Remove f, the first of a row. prev: the last packet of the row before it, or NULL. */
static void unlink_first(struct mr_tcp *tcp, struct mr_oooq *q, struct mr_frame *prev,
			 struct mr_frame *f)
{
	account(tcp, q, f, false);
	if (f->row != f) { /* the row begins with the next one now */
		f->next->row = f->row;
		f->row->row = f->next;
	}
	if (q->hint == f)
		q->hint = f->row != f ? f->next : prev ? prev->row : NULL;
	if (prev)
		prev->next = f->next;
	else
		q->head = f->next;
	if (q->tail == f)
		q->tail = prev;
	f->next = NULL;
}

struct mr_frame *pay_trim_front(struct mr_frame_pool *pool, struct mr_frame *f, uint32_t n)
{
	uint32_t seq = f->seq + n;

	assert(n <= f->pkt_len);
	while (f->frag && n >= f->len) {
		struct mr_frame *next = f->frag;

		n -= f->len;
		next->pkt_len = f->pkt_len - f->len;
		next->nchunks = (uint8_t)(f->nchunks - 1);
		next->tcp_flags = f->tcp_flags;
		f->frag = NULL;
		mr_frame_put(pool, f);
		f = next;
	}
	mr_frame_pull(f, n);
	f->seq = seq;
	return f;
}

/* Set *prev to the last packet of the last row that begins at or before seq; NULL: there is none. The search starts
 * where the last segment was inserted, because retransmissions arrive in order. false: it is too far away. */
static bool find_place(struct mr_tcp *tcp, const struct mr_oooq *q, uint32_t seq,
		       struct mr_frame **prev)
{
	struct mr_frame *next = q->head;
	uint32_t walked = 0;

	*prev = NULL;
	if (q->tail && seq_geq(seq, q->tail->row->seq)) /* the usual case: behind all others */
		next = q->tail->row;
	else if (q->hint && seq_leq(q->hint->seq, seq))
		next = q->hint;
	for (; next && seq_leq(next->seq, seq) && walked < WALK_MAX; walked++) {
		*prev = next->row;
		next = (*prev)->next;
	}
	MR_COUNT_N(tcp->ctr, TCP_OOO_WALKED, walked);
	return !next || seq_gt(next->seq, seq);
}

/* f is the last of a row: join it with the next row if that continues it. */
static void join(struct mr_oooq *q, struct mr_frame *f)
{
	struct mr_frame *next = f->next, *first = f->row, *last;

	if (!next || end(f) != next->seq)
		return;
	last = next->row;
	if (q->hint == next)
		q->hint = first;
	first->row = last;
	last->row = first;
}

/* Copy a small segment behind the packet that it continues, so that it takes no chunk. On success f is freed. */
static bool append(struct mr_tcp *tcp, struct mr_oooq *q, struct mr_frame *prev, struct mr_frame *f)
{
	struct mr_frame *last = prev;

	if (f->pkt_len > SMALL_SEGMENT || f->frag || prev->tcp_flags & MR_TCP_FIN)
		return false;
	while (last->frag)
		last = last->frag;
	if (last->refs != 1 || mr_frame_tailroom(tcp->frames, last) < f->len)
		return false;
	memcpy(last->data + last->len, f->data, f->len);
	last->len += f->len;
	prev->pkt_len += f->len;
	prev->tcp_flags |= f->tcp_flags & MR_TCP_FIN;
	q->bytes += f->len;
	mr_frame_put(tcp->frames, f);
	MR_COUNT(tcp->ctr, TCP_COLLAPSED);
	return true;
}

enum mr_drop ooo_insert(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f)
{
	struct mr_gap *gap = room_for(tcp, tcb, f) ? gap_get(tcp, tcb) : NULL;
	struct mr_frame *prev, *next;
	struct mr_oooq *q;

	if (!gap)
		return MR_DROP_TCP_OOO_FULL;
	q = &gap->q;
	if (!find_place(tcp, q, f->seq, &prev))
		return MR_DROP_TCP_OOO_FULL;
	next = prev ? prev->next : q->head;
	if (prev && seq_geq(end(prev), end(f)))
		return MR_DROP_TCP_DUPLICATE;
	/* Queued packets stay. Only what is new in f is inserted; packets that f covers completely are removed. */
	if (prev && seq_gt(end(prev), f->seq))
		f = pay_trim_front(tcp->frames, f, seq_diff(end(prev), f->seq));
	while (next && seq_leq(end(next), end(f))) {
		struct mr_frame *covered = next;

		next = next->next;
		unlink_first(tcp, q, prev, covered);
		mr_frame_put_chain(tcp->frames, covered);
	}
	if (next && seq_gt(end(f), next->seq)) {
		mr_frame_trim(tcp->frames, f, seq_diff(next->seq, f->seq));
		/* Next continues, so f has no FIN at its end. */
		f->tcp_flags &= (uint8_t)~MR_TCP_FIN;
	}
	MR_COUNT(tcp->ctr, TCP_OOO_QUEUED);
	if (prev && end(prev) == f->seq && append(tcp, q, prev, f)) {
		q->hint = prev->row;
		join(q, prev);
		return MR_DROP_NONE;
	}
	f->flags &= (uint8_t)~MR_FRAME_META; /* `row` shares memory with the metadata */
	f->row = f;
	f->next = next;
	if (prev)
		prev->next = f;
	else
		q->head = f;
	if (!next)
		q->tail = f;
	account(tcp, q, f, true);
	join(q, f);
	q->hint = f;
	if (prev && end(prev) == f->seq) {
		q->hint = prev->row;
		join(q, prev);
	}
	return MR_DROP_NONE;
}

struct mr_frame *ooo_take(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	struct mr_frame *f, *taken = NULL;

	while (!taken && (f = ooo_head(tcb)) && seq_leq(f->seq, tcb->rcv_nxt)) {
		unlink_first(tcp, &tcb->gap->q, NULL, f);
		gap_put_if_closed(tcp, tcb);
		if (seq_gt(end(f), tcb->rcv_nxt))
			taken = pay_trim_front(tcp->frames, f,
					       mr_min(seq_diff(tcb->rcv_nxt, f->seq), f->pkt_len));
		else
			mr_frame_put_chain(tcp->frames, f);
	}
	return taken;
}

void ooo_free(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	struct mr_frame *f;

	while ((f = ooo_head(tcb))) {
		unlink_first(tcp, &tcb->gap->q, NULL, f);
		mr_frame_put_chain(tcp->frames, f);
		gap_put_if_closed(tcp, tcb);
	}
}

void mr_tcp_relieve(struct mr_tcp *tcp)
{
	if (mr_unlikely(tcp->mtu_cursor != UINT32_MAX))
		tcp_tell_mtu(tcp);
	while (!mr_list_empty(&tcp->gaps) && tcp_frames_low(tcp))
		ooo_free(tcp, mr_list_first(&tcp->gaps, struct mr_gap, node)->tcb);
}
