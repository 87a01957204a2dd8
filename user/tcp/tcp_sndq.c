// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_sndq.c - the send queue: frames with headroom that hold what was written and is not acknowledged.
 * Owns        tcb->sndq, write_seq and lost_bytes.
 * Called by   the socket layer (write), output (split), ACK processing (ack), loss recovery (mark).
 * Not here    when something is sent (tcp_output.c).
 *
 * Nothing is appended to a frame that was sent. So a retransmission is the same segment again, and headers are
 * written in place in front of the payload.
 */
#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "base/csum.h"
#include "tcp/tcp_priv.h"

/* A write of at least so many bytes is sent in bursts that the device cuts. Its payload is not summed while it is
 * copied: whoever cuts the burst computes the checksum, if it is needed at all. */
#define BURST_WRITE (16u << 10)

uint32_t mr_tcp_fill_size(const struct mr_tcp *tcp, const struct mr_tcb *tcb)
{
	uint32_t room = tcp->frames->chunk_size - MR_FRAME_HEADROOM;
	uint32_t chunks;

	if (mr_likely(tcb->snd_mss <= room))
		return tcb->snd_mss;
	chunks = (tcb->snd_mss + room - 1) / room;
	return tcb->snd_mss / chunks; /* so that a full segment has whole frames */
}

static struct mr_frame *frame_get(struct mr_tcp *tcp)
{
	struct mr_frame *f = mr_frame_get(tcp->frames);

	if (!f)
		return NULL;
	f->pay = f->data;
	f->pay_len = 0;
	f->csum = 0;
	f->flags |= MR_FRAME_CSUM;
	mr_list_init(&f->sent_node);
	return f;
}

/* The payload has changed: its sum is computed when a packet needs it. */
static void unsum(struct mr_frame *f)
{
	f->flags &= (uint8_t)~MR_FRAME_CSUM;
}

uint32_t sndq_sum(struct mr_frame *f)
{
	if (!(f->flags & MR_FRAME_CSUM)) {
		f->csum = mr_csum(f->pay, f->pay_len);
		f->flags |= MR_FRAME_CSUM;
	}
	return f->csum;
}

/* Append n bytes to f. */
static void append(struct mr_frame *f, const uint8_t *src, uint32_t n, bool sum)
{
	uint8_t *at = f->pay + f->pay_len;

	if (sum && f->flags & MR_FRAME_CSUM) {
		f->csum = mr_csum_add(f->csum, mr_csum_shift(mr_csum_copy(at, src, n), f->pay_len));
	} else {
		memcpy(at, src, n);
		unsum(f);
	}
	f->pay_len += n;
}

static void queue_tail(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f)
{
	struct mr_sndq *q = &tcb->sndq;

	f->next = NULL;
	f->seq = tcb->write_seq;
	if (q->tail)
		q->tail->next = f;
	else
		q->head = f;
	q->tail = f;
	if (!q->unsent)
		q->unsent = f;
	q->frames++;
	tcp->sndq_frames++;
}

static void wrote(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t n, unsigned flags)
{
	tcb->more = (flags & MR_SEND_MORE) != 0;
	if (!n)
		return;
	if (!tcb->more)
		tcb->sndq.tail->flags |=
			MR_FRAME_PSH; /* RFC 9293 section 3.9.1.2: push the end of a write */
	if (flags & MR_SEND_OOB) {
		tcb->urg_out = true;
		tcb->snd_up = tcb->write_seq;
	}
	tcb_mark(tcp, tcb);
}

/* Bytes that can be appended to the last frame. A frame that a SYN carried, and whose front was acknowledged, begins
 * further behind in its chunk than others. */
static uint32_t tail_room(const struct mr_tcp *tcp, const struct mr_tcb *tcb, uint32_t fill)
{
	const struct mr_frame *f = tcb->sndq.tail;
	uint32_t used;

	if (!tcb->sndq.unsent || f->refs != 1 || f->pay_len >= fill)
		return 0;
	used = (uint32_t)(f->pay - f->chunk) + f->pay_len;
	return mr_min(fill - f->pay_len, tcp->frames->chunk_size - used);
}

uint32_t mr_tcp_write(struct mr_tcp *tcp, struct mr_tcb *tcb, const void *buf, uint32_t len,
		      unsigned flags)
{
	uint32_t fill = mr_tcp_fill_size(tcp, tcb), done = 0;
	bool sum = len < BURST_WRITE || !tcp->ip->nif->gso_bytes;
	const uint8_t *src = buf;

	rate_check_app_limited(tcb);
	while (done < len) {
		uint32_t room = tail_room(tcp, tcb, fill), n;
		struct mr_frame *f;

		if (!room) {
			f = frame_get(tcp);
			if (!f)
				break;
			queue_tail(tcp, tcb, f);
			room = fill;
		}
		f = tcb->sndq.tail;
		n = mr_min(len - done, room);
		append(f, src + done, n, sum);
		tcb->sndq.bytes += n;
		tcb->write_seq += n;
		done += n;
	}
	/* Something was not written: then neither the urgent byte nor the end of the write is in the queue yet. */
	wrote(tcp, tcb, done, done == len ? flags : (flags & ~MR_SEND_OOB));
	return done;
}

struct mr_frame *mr_tcp_frame_get(struct mr_tcp *tcp, const struct mr_tcb *tcb, uint32_t *room)
{
	struct mr_frame *f = frame_get(tcp);

	*room = mr_tcp_fill_size(tcp, tcb);
	return f;
}

void mr_tcp_frame_queue(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, unsigned flags)
{
	rate_check_app_limited(tcb);
	unsum(f);
	queue_tail(tcp, tcb, f);
	tcb->sndq.bytes += f->pay_len;
	tcb->write_seq += f->pay_len;
	wrote(tcp, tcb, f->pay_len, flags);
}

static int cut(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, uint32_t at)
{
	struct mr_frame *rest = frame_get(tcp);

	assert(at && at < f->pay_len && !(f->flags & MR_FRAME_SACKED));
	if (!rest)
		return -ENOBUFS;
	rest->pay_len = f->pay_len - at;
	rest->csum = mr_csum_copy(rest->pay, f->pay + at, rest->pay_len);
	rest->seq = f->seq + at;
	rest->sent_at = f->sent_at;
	rest->sent = f->sent;
	rest->flags |= f->flags & (MR_FRAME_PSH | MR_FRAME_RETRANS | MR_FRAME_LOST);
	if (!mr_list_empty(&f->sent_node))
		mr_list_add_head(&f->sent_node, &rest->sent_node); /* right behind f */
	rest->next = f->next;
	f->next = rest;
	f->pay_len = at;
	unsum(f);
	f->flags &= (uint8_t)~MR_FRAME_PSH;
	if (tcb->sndq.tail == f)
		tcb->sndq.tail = rest;
	tcb->sndq.frames++;
	tcp->sndq_frames++;
	return 0;
}

/* May a frame be split? That takes a frame beyond those that writers may use (socket/socket_send.c). A queue may not
 * hold more frames than it leaves free; if frames are scarce, only the head is split, which the next ACK frees; the
 * last frames are for ACKs. */
static bool may_split(const struct mr_tcp *tcp, const struct mr_tcb *tcb, const struct mr_frame *f)
{
	if (f == tcb->sndq.head)
		return !tcp_frames_low(tcp);
	return !tcp_frames_scarce(tcp) && tcb->sndq.frames < tcp->frames->nfree;
}

int sndq_split(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, uint32_t at)
{
	return may_split(tcp, tcb, f) ? cut(tcp, tcb, f, at) : -ENOBUFS;
}

/* Move the first n bytes of the next frame to the end of f. Neither was ever sent. */
static void pull_next(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, uint32_t n)
{
	struct mr_frame *g = f->next;

	memcpy(f->pay + f->pay_len, g->pay, n);
	f->pay_len += n;
	g->pay_len -= n;
	g->seq += n;
	memmove(g->pay, g->pay + n, g->pay_len);
	unsum(g);
	if (g->pay_len)
		return;
	f->flags |= g->flags & MR_FRAME_PSH;
	f->next = g->next;
	if (tcb->sndq.tail == g)
		tcb->sndq.tail = f;
	tcb->sndq.frames--;
	tcp->sndq_frames--;
	mr_frame_put(tcp->frames, g);
}

int sndq_pack(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t len)
{
	for (struct mr_frame *f = tcb->sndq.unsent; len; f = f->next) {
		uint32_t room = (uint32_t)(f->chunk + tcp->frames->chunk_size - f->pay);
		uint32_t want = mr_min(room, len);

		while (f->pay_len < want)
			pull_next(tcp, tcb, f, mr_min(want - f->pay_len, f->next->pay_len));
		unsum(f);
		if (f->pay_len > want && cut(tcp, tcb, f, want))
			return -ENOBUFS;
		len -= want;
	}
	return 0;
}

void sndq_mark_lost(struct mr_tcb *tcb, struct mr_frame *f)
{
	if (f->flags & (MR_FRAME_LOST | MR_FRAME_SACKED))
		return;
	if (f->flags & MR_FRAME_RETRANS)
		tcb->retrans_out -= f->pay_len;
	f->flags |= MR_FRAME_LOST;
	tcb->lost_bytes += f->pay_len;
	mr_list_del(&f->sent_node);
	/* Append: frames are found lost in the order of sending. A retransmission that is lost again goes to the
	 * front, so that the first frame of the queue is always first. */
	if (!mr_list_empty(&tcb->lost) &&
	    seq_lt(f->seq, mr_list_first(&tcb->lost, struct mr_frame, sent_node)->seq))
		mr_list_add_head(&tcb->lost, &f->sent_node);
	else
		mr_list_add_tail(&tcb->lost, &f->sent_node);
}

void sndq_unmark_lost(struct mr_tcb *tcb)
{
	while (!mr_list_empty(&tcb->lost)) {
		struct mr_frame *f = mr_list_first(&tcb->lost, struct mr_frame, sent_node);

		f->flags &= (uint8_t)~MR_FRAME_LOST;
		tcb->lost_bytes -= f->pay_len;
		if (f->flags & MR_FRAME_RETRANS)
			tcb->retrans_out += f->pay_len;
		/* sent_at is kept, but not its place in the list, so that RACK only looks at it later. */
		mr_list_move_tail(&tcb->in_flight, &f->sent_node);
	}
	tcb->fin_lost = false;
}

/* f loses n bytes: adjust the counts for its flags. */
static void unaccount(struct mr_tcb *tcb, const struct mr_frame *f, uint32_t n)
{
	if (f->flags & MR_FRAME_LOST)
		tcb->lost_bytes -= n;
	if (f->flags & MR_FRAME_SACKED)
		tcb->sacked_bytes -= n;
	if ((f->flags & (MR_FRAME_RETRANS | MR_FRAME_LOST | MR_FRAME_SACKED)) == MR_FRAME_RETRANS)
		tcb->retrans_out -= n;
	tcb->sndq.bytes -= n;
}

static void pop_head(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	struct mr_sndq *q = &tcb->sndq;
	struct mr_frame *f = q->head;

	unaccount(tcb, f, f->pay_len);
	mr_list_del(&f->sent_node);
	sack_popped(tcb, f);
	q->frames--;
	tcp->sndq_frames--;
	q->head = f->next;
	if (!q->head)
		q->tail = NULL;
	f->next = NULL;
	mr_frame_put(tcp->frames, f); /* if the device holds it, it lives until completion */
}

uint64_t sndq_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t una, struct ack *ack)
{
	struct mr_sndq *q = &tcb->sndq;
	uint64_t sent_at = 0;

	/* The ACK is caused by what arrived at the front. */
	if (q->head && q->head->flags & MR_FRAME_RETRANS && ack->ts_valid)
		ack->first_copy = seq_lt(ack->tsecr, tcp_ts_now(tcb->ts_offset, q->head->sent_at));
	while (q->head && q->head != q->unsent && seq_leq(q->head->seq + q->head->pay_len, una)) {
		struct mr_frame *f = q->head;

		if (!(f->flags & MR_FRAME_SACKED)) {
			ack->delivered += f->pay_len;
			rate_delivered(tcb, f, ack);
			rack_delivered(tcb, f, ack);
			/* Karn: the ACK of a retransmission is ambiguous */
			sent_at = f->flags & MR_FRAME_RETRANS ? 0 : mr_max(sent_at, f->sent_at);
		}
		pop_head(tcp, tcb);
	}
	/* The peer may acknowledge part of a frame (it split or resegmented). Remove that part by moving pay: the
	 * bytes stay as they are, because the device may hold the frame. */
	if (q->head && q->head != q->unsent && seq_lt(q->head->seq, una)) {
		struct mr_frame *f = q->head;
		uint32_t n = seq_diff(una, f->seq);

		unaccount(tcb, f, n);
		f->pay += n;
		f->pay_len -= n;
		f->seq = una;
		unsum(f);
		ack->delivered += n;
		tcb->sending->rate.delivered += n;
		tcb->sending->rate.delivered_at = ack->now;
	}
	return sent_at;
}

void sndq_drop(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t n)
{
	struct mr_frame *f;

	while (n && (f = tcb->sndq.head) && f->pay_len <= n) {
		n -= f->pay_len;
		tcb->sndq.unsent = f->next;
		pop_head(tcp, tcb);
	}
	if (!n)
		return;
	f = tcb->sndq.head;
	assert(f); /* the queue has at least n bytes */
	f->pay += n;
	f->pay_len -= n;
	f->seq += n;
	unsum(f);
	tcb->sndq.bytes -= n;
}

void sndq_free(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	tcb->sndq.unsent = NULL;
	while (tcb->sndq.head)
		pop_head(tcp, tcb);
}
