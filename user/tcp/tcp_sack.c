// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_sack.c - selective acknowledgment, in both directions.
 * Owns        the flag MR_FRAME_SACKED and sacked_bytes; the blocks that we report (tcb->gap->sack, dsack).
 * Implements  RFC 2018, RFC 2883 (D-SACK).
 * Called by   input: for data out of order or received twice, and for the peer's blocks.
 * Not here    loss detection (tcp_rack.c).
 *
 * A block only marks frames that it covers completely: segments consist of whole frames, and a report about part of
 * one may be ignored (SACK is advisory, RFC 2018 section 8).
 *
 * Adjacent SACKed frames form a row, which is skipped in one step. The search for a block starts at the nearest of
 * the frames where recent blocks were found, because an ACK repeats the blocks of earlier ones. So an ACK costs what
 * is new in it. Blocks at hostile places cost a bounded number of steps; the next ACK continues the search.
 */
#include <string.h>

#include "tcp/tcp_priv.h"

#define WALK_MAX 512u /* most frames and rows that are visited for one ACK, 5 us */

/* ---- Blocks that we report -------------------------------------------------------------------- */

/* RFC 2018 section 4: the first block has the segment that caused this ACK; then the most recent ones. */
void sack_received(struct mr_tcb *tcb, uint32_t start, uint32_t end)
{
	struct mr_sack_block fresh = { start, end }, old[MR_TCP_SACK_BLOCKS];
	struct mr_gap *gap = tcb->gap;
	uint8_t nold = 0, n = 1;

	if (!tcb->sack_ok || !gap)
		return;
	for (uint8_t i = 0; i < gap->nsack; i++) {
		const struct mr_sack_block *b = &gap->sack[i];

		if (seq_leq(b->start, fresh.end) && seq_geq(b->end, fresh.start)) {
			fresh.start = seq_lt(b->start, fresh.start) ? b->start : fresh.start;
			fresh.end = seq_max(b->end, fresh.end);
		} else {
			old[nold++] = *b;
		}
	}
	gap->sack[0] = fresh;
	for (uint8_t i = 0; i < nold && n < MR_TCP_SACK_BLOCKS; i++)
		gap->sack[n++] = old[i];
	gap->nsack = n;
}

void sack_forget(struct mr_tcb *tcb)
{
	struct mr_gap *gap = tcb->gap;
	uint8_t n = 0;

	if (!gap)
		return;
	for (uint8_t i = 0; i < gap->nsack; i++)
		if (seq_gt(gap->sack[i].end, tcb->rcv_nxt) &&
		    seq_gt(gap->sack[i].start, tcb->rcv_nxt))
			gap->sack[n++] = gap->sack[i];
	gap->nsack = n;
}

/* A block that continues the one to be reported is merged with it (as Linux). Otherwise the earlier one gets an ACK
 * of its own. */
void sack_duplicate(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t start, uint32_t end)
{
	if (!tcb->sack_ok || !seq_lt(start, end))
		return;
	if (tcb->dsack_owed && start == tcb->dsack.end) {
		tcb->dsack.end = end;
		return;
	}
	if (tcb->dsack_owed) {
		if (tcp->ndsacks == MR_TCP_DSACKS)
			return;
		tcp->dsacks[tcp->ndsacks++] =
			(struct mr_tcp_dsack){ .tcb = tcb, .block = tcb->dsack };
		tcb->dsack_more = true;
	}
	tcb->dsack = (struct mr_sack_block){ start, end };
	tcb->dsack_owed = true;
}

bool sack_next_duplicate(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_sack_block *block)
{
	uint32_t i = 0;

	while (i < tcp->ndsacks && tcp->dsacks[i].tcb != tcb)
		i++;
	if (i == tcp->ndsacks) {
		tcb->dsack_more = false;
		return false;
	}
	*block = tcp->dsacks[i].block;
	tcp->ndsacks--;
	memmove(&tcp->dsacks[i], &tcp->dsacks[i + 1], (tcp->ndsacks - i) * sizeof(tcp->dsacks[0]));
	return true;
}

void sack_fill(struct mr_tcb *tcb, struct mr_seg *seg)
{
	uint8_t room = seg->opts & MR_TCPOPT_TS ? MR_TCP_SACK_BLOCKS - 1 : MR_TCP_SACK_BLOCKS;

	uint8_t nsack = tcb->gap ? tcb->gap->nsack : 0;

	if (!tcb->sack_ok || (!nsack && !tcb->dsack_owed))
		return;
	if (tcb->dsack_owed)
		seg->sack[seg->nsack++] = tcb->dsack;
	tcb->dsack_owed = false;
	for (uint8_t i = 0; i < nsack && seg->nsack < room; i++)
		seg->sack[seg->nsack++] = tcb->gap->sack[i];
	seg->opts |= MR_TCPOPT_SACK;
}

/* ---- Blocks that the peer reports ---------------------------------------------------------------- */

/* RFC 2883 section 4: the first block is a D-SACK if it is below the cumulative ACK, or within the second block. */
static bool is_dsack(const struct mr_seg *seg)
{
	const struct mr_sack_block *b = &seg->sack[0];

	if (!seq_lt(b->start, b->end))
		return false;
	if (seq_lt(b->start, seg->ack))
		return seq_leq(b->end, seg->ack);
	return seg->nsack > 1 && seq_geq(b->start, seg->sack[1].start) &&
	       seq_leq(b->end, seg->sack[1].end);
}

/* Is the block within the data that was sent and is not acknowledged? */
static bool plausible(const struct mr_tcb *tcb, const struct mr_seg *seg,
		      const struct mr_sack_block *b)
{
	return seq_lt(b->start, b->end) && seq_gt(b->start, seg->ack) &&
	       seq_gt(b->start, tcb->snd_una) && seq_leq(b->end, tcb->snd_nxt);
}

/* Remember f, where a block was found. f is the first of its row, or not SACKed. */
static void remember(struct mr_tcb *tcb, struct mr_frame *f)
{
	struct mr_frame *push = f;

	for (unsigned i = 0; i < MR_TCP_SACK_HINTS && push; i++) {
		struct mr_frame *out = tcb->sending->sack_hint[i];

		tcb->sending->sack_hint[i] = push;
		push = out == f ? NULL : out;
	}
}

/* The nearest remembered frame at or before seq, to start a search. */
static struct mr_frame *recall(const struct mr_tcb *tcb, uint32_t seq)
{
	struct mr_frame *best = tcb->sndq.head;

	for (unsigned i = 0; i < MR_TCP_SACK_HINTS; i++) {
		struct mr_frame *h = tcb->sending->sack_hint[i];

		if (h && seq_leq(h->seq, seq) && seq_gt(h->seq, best->seq))
			best = h;
	}
	return best;
}

/* Replace `from` among the remembered frames by `to`, or by NULL. */
static void forget(struct mr_tcb *tcb, const struct mr_frame *from, struct mr_frame *to)
{
	for (unsigned i = 0; i < MR_TCP_SACK_HINTS; i++)
		if (tcb->sending->sack_hint[i] == from)
			tcb->sending->sack_hint[i] = to;
}

/* Add f to the row that ends with prev, and join the row that begins behind it. Returns the row's last frame. */
static struct mr_frame *join(struct mr_tcb *tcb, struct mr_frame *prev, struct mr_frame *f)
{
	struct mr_frame *next = f->next, *first = f, *last = f;

	if (prev && prev->flags & MR_FRAME_SACKED) {
		first = prev->row;
		forget(tcb, f, NULL);
	}
	if (next && next->flags & MR_FRAME_SACKED) {
		last = next->row;
		forget(tcb, next, NULL);
	}
	first->row = last;
	last->row = first;
	remember(tcb, first);
	return last;
}

/* prev: the frame before f, or NULL if unknown. Returns the last frame of the row that f now belongs to. */
static struct mr_frame *mark(struct mr_tcb *tcb, struct mr_frame *prev, struct mr_frame *f,
			     struct ack *ack)
{
	ack->delivered += f->pay_len;
	rate_delivered(tcb, f, ack);
	rack_delivered(tcb, f, ack);
	if (f->flags & MR_FRAME_LOST)
		tcb->lost_bytes -= f->pay_len;
	else if (f->flags & MR_FRAME_RETRANS)
		tcb->retrans_out -= f->pay_len;
	mr_list_del(&f->sent_node);
	f->flags = (uint8_t)((f->flags & ~MR_FRAME_LOST) | MR_FRAME_SACKED);
	tcb->sacked_bytes += f->pay_len;
	return join(tcb, prev, f);
}

void sack_popped(struct mr_tcb *tcb, struct mr_frame *f)
{
	forget(tcb, f, NULL);
	if (!(f->flags & MR_FRAME_SACKED) || f->row == f)
		return;
	f->next->row = f->row; /* the row now begins with the next frame */
	f->row->row = f->next;
}

/* Mark the frames that one block covers. Returns how many steps are left. */
static uint32_t take_block(struct mr_tcb *tcb, const struct mr_sack_block *b, bool news,
			   uint32_t steps, struct ack *ack)
{
	struct mr_frame *f = tcb->sndq.head ? recall(tcb, b->start) : NULL, *prev = NULL;

	for (; f && f != tcb->sndq.unsent && seq_lt(f->seq, b->end); prev = f, f = f->next) {
		if (!(f->flags & MR_FRAME_SACKED) && seq_geq(f->seq, b->start) &&
		    seq_leq(f->seq + f->pay_len, b->end)) {
			/* Happens once for each frame: needs no bound. */
			f = mark(tcb, prev, f, ack);
			continue;
		}
		if (!steps) {
			if (news)
				remember(tcb, f);
			break;
		}
		steps--;
		if (f->flags & MR_FRAME_SACKED)
			f = f->row;
	}
	return steps;
}

void sack_dsack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, struct ack *ack)
{
	uint32_t segs;

	if (!tcb->sack_ok || !(seg->opts & MR_TCPOPT_SACK) || !is_dsack(seg))
		return;
	MR_COUNT(tcp->ctr, TCP_DSACK_IN);
	ack->dsack = true;
	ack->dsack_block = seg->sack[0];
	segs = (seq_diff(seg->sack[0].end, seg->sack[0].start) + tcb->snd_mss - 1) / tcb->snd_mss;
	segs += tcb->rack.dsack_dups;
	tcb->rack.dsack_dups = (uint16_t)mr_min(segs, (uint32_t)UINT16_MAX);
}

void sack_input(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, struct ack *ack)
{
	uint32_t steps = WALK_MAX;

	if (!tcb->sack_ok || !(seg->opts & MR_TCPOPT_SACK))
		return;
	/* The first block is new; the others were reported before (RFC 2018 section 4). */
	for (uint8_t i = ack->dsack ? 1 : 0; i < seg->nsack; i++)
		if (plausible(tcb, seg, &seg->sack[i]))
			steps = take_block(tcb, &seg->sack[i], i == ack->dsack, steps, ack);
	MR_COUNT_N(tcp->ctr, TCP_SACK_WALKED, WALK_MAX - steps);
}

/* RFC 2018 section 8: after a timeout the peer may have discarded everything that was SACKed. */
void sack_renege(struct mr_tcb *tcb)
{
	for (struct mr_frame *f = tcb->sndq.head; f && f != tcb->sndq.unsent; f = f->next) {
		if (!(f->flags & MR_FRAME_SACKED))
			continue;
		f->flags &= (uint8_t)~MR_FRAME_SACKED;
		tcb->sacked_bytes -= f->pay_len;
		if (f->flags & MR_FRAME_RETRANS)
			tcb->retrans_out += f->pay_len;
		mr_list_add_tail(&tcb->in_flight, &f->sent_node);
		rate_sent(tcb, f, 0, f->sent_at); /* its record for the delivery rate is gone */
	}
	memset(tcb->sending->sack_hint, 0, sizeof(tcb->sending->sack_hint));
}
