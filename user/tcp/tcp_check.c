// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_check.c - the invariants of a TCB and of the layer, as assertions.
 * Called by   tests, simulator and fuzzers, after every step. Not by the engine: it walks
 * everything.
 */
#include <string.h>

#include "tcp/tcp_priv.h"

void mr_tcb_check_sndq(const struct mr_tcp *tcp, const struct mr_tcb *tcb)
{
	const struct mr_sndq *q = &tcb->sndq;
	uint32_t bytes = 0, frames = 0, lost = 0, sacked = 0, again = 0, flying = 0, seq;
	const struct mr_frame *row_end = NULL;
	struct mr_list *pos;
	bool unsent = false;
	int hints = 0;

	seq = tcb->write_seq - q->bytes;
	for (const struct mr_frame *f = q->head; f; f = f->next) {
		assert(f->seq == seq && f->pay_len && f->refs > f->tx_refs);
		assert(f->pay >= f->chunk &&
		       f->pay + f->pay_len <= f->chunk + tcp->frames->chunk_size);
		if (f == q->unsent) {
			unsent = true;
			assert(f->seq == tcb->snd_nxt || !tcb_synchronized(tcb));
		}
		if (f->flags & MR_FRAME_LOST) {
			assert(!unsent);
			lost += f->pay_len;
		}
		if (f->flags & MR_FRAME_SACKED)
			sacked += f->pay_len;
		if ((f->flags & (MR_FRAME_RETRANS | MR_FRAME_LOST | MR_FRAME_SACKED)) ==
		    MR_FRAME_RETRANS)
			again += f->pay_len;
		/* Sent and not SACKed: in flight or lost. */
		assert(mr_list_empty(&f->sent_node) == (unsent || (f->flags & MR_FRAME_SACKED)));
		flying += !mr_list_empty(&f->sent_node);
		if (f->flags & MR_FRAME_SACKED && !row_end) {
			row_end = f->row;
			assert(row_end->row == f);
		}
		assert(!row_end || f->flags & MR_FRAME_SACKED);
		for (unsigned i = 0; i < MR_TCP_SACK_HINTS; i++)
			if (f == tcb->sending->sack_hint[i]) { /* never within a row */
				hints++;
				assert(!row_end || row_end->row == f);
			}
		if (f == row_end)
			row_end = NULL;
		seq += f->pay_len;
		bytes += f->pay_len;
		frames++;
		assert(f->next || f == q->tail);
	}
	if (tcb_synchronized(tcb) || tcb->tfo == MR_TFO_PENDING) {
		mr_list_for_each (pos, &tcb->in_flight)
			flying--;
		mr_list_for_each (pos, &tcb->lost) {
			assert(mr_list_entry(pos, struct mr_frame, sent_node)->flags &
			       MR_FRAME_LOST);
			flying--;
		}
	}
	assert(!flying && again == tcb->retrans_out && sacked == tcb->sacked_bytes && !row_end);
	for (unsigned i = 0; i < MR_TCP_SACK_HINTS; i++)
		hints -= tcb->sending->sack_hint[i] != NULL;
	assert(!hints);
	assert(unsent == (q->unsent != NULL));
	assert(seq == tcb->write_seq && bytes == q->bytes && frames == q->frames &&
	       lost == tcb->lost_bytes);
	/* All that is unacknowledged is in the queue. */
	if (tcb_synchronized(tcb) && q->head && q->head != q->unsent)
		assert(q->head->seq == tcb->snd_una);
	if (tcb_synchronized(tcb) && !q->unsent)
		assert(tcb->write_seq + tcb->fin_sent == tcb->snd_nxt);
	assert(!tcb->fin_sent || (tcb->fin_queued && !q->unsent));
}

static void check_oooq(const struct mr_tcb *tcb)
{
	const struct mr_frame *first = NULL;
	const struct mr_oooq *q;
	uint32_t bytes = 0, frames = 0, at = tcb->rcv_nxt;

	if (!tcb->gap)
		return;
	q = &tcb->gap->q;
	assert(tcb->gap->tcb == tcb && q->head);
	for (const struct mr_frame *f = q->head; f; f = f->next) {
		uint32_t len = 0, chunks = 0;

		for (const struct mr_frame *c = f; c; c = c->frag) {
			len += c->len;
			chunks++;
		}
		assert(len == f->pkt_len && chunks == f->nchunks);
		assert(f == q->head ? seq_gt(f->seq, at) : seq_geq(f->seq, at));
		if (!first || f->seq != at) { /* rows are as long as they can be */
			assert(!first || first->row->next == f);
			assert(f->row->row == f);
			first = f;
		} else {
			assert(q->hint != f);
		}
		at = f->seq + f->pkt_len + !!(f->tcp_flags & MR_TCP_FIN);
		bytes += f->pkt_len;
		frames += f->nchunks;
		assert(f->next || f == q->tail);
	}
	assert(first->row == q->tail);
	assert(bytes == q->bytes && frames == q->frames);
}

static void check_timers(const struct mr_tcb *tcb)
{
	uint64_t least = MR_TIME_NEVER;

	for (int i = 0; i < MR_TT_MAX; i++)
		least = mr_min(least, tcb->timers[i]);
	if (least != MR_TIME_NEVER)
		assert(mr_timer_armed(&tcb->timer) && tcb->timer.expires <= least);
	/* Something outstanding and nothing owed: only a timer can save a lost segment. */
	if (mr_list_empty(&tcb->pending_node) && (tcb->snd_una != tcb->snd_nxt || tcb->persist))
		assert(tcb->timers[MR_TT_RTX] != MR_TIME_NEVER);
}

void mr_tcb_check(const struct mr_tcp *tcp, const struct mr_tcb *tcb)
{
	assert(tcb->state > MR_TCP_LISTEN && tcb->state < MR_TCP_TIME_WAIT);
	assert(tcb->flow.kind == MR_FLOW_TCB && tcb->flow.hash);
	assert(!tcb->ack_held || (tcb->ack_now && !mr_list_empty(&tcb->pending_node)));
	assert(seq_leq(tcb->snd_una, tcb->snd_nxt));
	assert(seq_leq(tcb->snd_nxt, tcb->write_seq + 1));
	assert(tcb->snd_mss);
	assert(tcb->sending == &tcp->not_sending || tcb->sending->tcb == tcb);
	assert(tcb_sends(tcb) || !tcb->undo.armed);
	/* All of this is made or judged by what it knows. */
	assert(tcb_sends(tcb) || !tcb_synchronized(tcb) || tcb->snd_una == tcb->snd_nxt);
	if (tcb_synchronized(tcb)) {
		assert(tcb->cwnd);
		assert(tcb->fin_rcvd == (tcb->state >= MR_TCP_CLOSE_WAIT));
		assert(tcb->fin_queued ==
		       (tcb->state != MR_TCP_ESTABLISHED && tcb->state != MR_TCP_CLOSE_WAIT));
	}
	assert(tcb->rto_ns >= MR_TCP_RTO_MIN_NS && tcb->rto_ns <= MR_TCP_RTO_MAX_NS);
	mr_tcb_check_sndq(tcp, tcb);
	check_oooq(tcb);
	check_timers(tcb);
}

/* Returns its requests. */
static uint32_t check_listener(const struct mr_tcp_listener *l)
{
	const struct mr_list *r;
	uint32_t n = 0;

	mr_list_for_each (r, &l->reqs)
		n++;
	assert(n == l->nreqs && n <= l->backlog);
	assert(l->listening || !n);
	return n;
}

/* All bytes, those between the members, too: each equals its neighbour, and the first is 0. */
static bool is_zero(const void *object, size_t size)
{
	const uint8_t *b = object;

	return !b[0] && !memcmp(b, b + 1, size - 1);
}

void mr_tcp_check(const struct mr_tcp *tcp)
{
	uint32_t sendings = 0, tcbs = 0, reqs = 0, flows = 0, ooo = 0, gaps = 0, held = 0,
		 queued = 0;
	struct mr_list *pos;

	mr_list_for_each (pos, &tcp->all) {
		const struct mr_tcb *tcb = mr_list_entry(pos, struct mr_tcb, all_node);

		mr_tcb_check(tcp, tcb);
		ooo += tcb->gap ? tcb->gap->q.frames : 0;
		gaps += tcb->gap != NULL;
		queued += tcb->sndq.frames;
		sendings += tcb_sends(tcb);
		tcbs++;
	}
	for (unsigned i = 0; i < MR_TCP_PORT_BUCKETS; i++) {
		const struct mr_list *node;

		mr_list_for_each (node, &tcp->ports[i]) {
			held++;
			reqs += check_listener(mr_list_entry(node, struct mr_tcp_listener, node));
		}
	}
	for (uint32_t i = 0; i < tcp->nbuckets; i++)
		for (const struct mr_flow *f = tcp->buckets[i]; f; f = f->next)
			flows++;
	assert(tcp->ndsacks <= MR_TCP_DSACKS);
	for (uint32_t i = 0; i < tcp->ndsacks; i++)
		assert(tcp->dsacks[i].tcb->dsack_more);
	assert(ooo == tcp->ooo_frames && gaps == tcp->gap_pool.used);
	assert(sendings == tcp->sendings.used);
	assert(is_zero(&tcp->not_sending, sizeof(tcp->not_sending)));
	assert(held == tcp->listeners.used && queued == tcp->sndq_frames);
	assert(tcbs == tcp->tcbs.used && reqs == tcp->synreqs.used);
	assert(flows == tcbs + reqs + tcp->tws.used);
}
