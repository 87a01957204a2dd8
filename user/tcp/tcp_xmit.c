// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_xmit.c - makes one packet of a connection, with or without payload, and sends it.
 * Owns        the TCP headers of a connection; the window that was advertised (rcv_wnd).
 * Implements  RFC 9293 section 3.8.6.2.2 (silly window avoidance of the receiver).
 * Called by   tcp_output.c. tcp_user.c and tcp_timer.c send resets.
 * Not here    what is sent and when (tcp_output.c), packets without a TCB (tcp_reply.c).
 */
#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "base/csum.h"
#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

/* ---- Headers ---------------------------------------------------------------------------------- */

uint32_t tcp_select_window(const struct mr_tcb *tcb)
{
	uint32_t cur = tcb->rcv_wnd, wnd = tcb->rcv_space;
	uint32_t step =
		mr_min(mr_tcp_rcv_limit(&tcb->opts) / 2, mr_max((uint32_t)tcb->rcv_mss, 1u));

	/* The right edge never moves left (RFC 9293 section 3.8.6). It moves right only by at least a segment
	 * (section 3.8.6.2.2). */
	if (wnd < cur || wnd - cur < step)
		wnd = cur;
	return mr_min(wnd, (uint32_t)UINT16_MAX << tcb->rcv_wscale);
}

/* Fill in the header fields of every segment of a connection, and advertise a window, which sets rcv_wnd. */
static void seg_fill(struct mr_tcb *tcb, struct mr_seg *seg, uint32_t seq, uint8_t flags,
		     uint64_t now)
{
	*seg = (struct mr_seg){
		.sport = tcb->flow.lport,
		.dport = tcb->flow.rport,
		.seq = seq,
		.ack = tcb->rcv_nxt,
		.flags = flags,
	};
	if (flags & MR_TCP_SYN) {
		seg->wnd = (uint16_t)tcb->rcv_wnd;
	} else {
		tcb->rcv_wnd = tcp_select_window(tcb);
		/* The scaled window is rounded down. Rounded up, the right edge would move with every ACK, and a
		 * sender of single bytes would never reach it. RFC 7323 section 2.4 allows that the edge which the
		 * peer sees moves left by less than one unit; what was sent up to the old edge is accepted. */
		seg->wnd = (uint16_t)(tcb->rcv_wnd >> tcb->rcv_wscale);
	}
	if (tcb->ts_ok || (tcb->state == MR_TCP_SYN_SENT && flags & MR_TCP_SYN)) {
		seg->opts |= MR_TCPOPT_TS;
		seg->tsval = tcp_ts_now(tcb->ts_offset, now);
		seg->tsecr = flags & MR_TCP_ACK ? tcb->ts_recent : 0;
	}
	if (tcb->urg_out && seq_gt(tcb->snd_up, seq)) {
		uint32_t up = seq_diff(tcb->snd_up, seq);

		/* RFC 6093 section 3.1: an urgent byte more than 64 KiB ahead is announced by a later segment. */
		if (up <= UINT16_MAX) {
			seg->flags |= MR_TCP_URG;
			seg->up = (uint16_t)up;
		}
	}
}

static struct mr_ip_tx ip_tx(const struct mr_tcb *tcb, bool new_data)
{
	return (struct mr_ip_tx){
		.src = tcb->flow.laddr,
		.dst = tcb->flow.raddr,
		.proto = IPPROTO_TCP,
		.tos = ecn_tos(tcb, new_data),
		.ttl = tcb->opts.ttl,
		.df = true,
	};
}

/* An ACK was sent, in any segment. */
static void acked(struct mr_tcb *tcb)
{
	tcb->ack_now = false;
	tcb->update_owed = false;
	tcb->unacked_bytes = 0;
	tcb->unacked_segs = 0;
	tcb->last_ack_sent = tcb->rcv_nxt;
	tcb_timer_clear(tcb, MR_TT_DELACK);
}

/* The options that a SYN offers, or that a SYN,ACK accepts. */
static void syn_options(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_seg *seg, uint64_t now)
{
	bool offer = !(seg->flags & MR_TCP_ACK);

	seg->opts |= MR_TCPOPT_MSS;
	seg->mss = tcb->adv_mss;
	if (offer || tcb->sack_ok)
		seg->opts |= MR_TCPOPT_SACK_PERM;
	if (offer || tcb->wscale_ok) {
		seg->opts |= MR_TCPOPT_WSCALE;
		seg->wscale = tcb->rcv_wscale;
	}
	if (offer)
		tfo_syn(tcp, tcb, seg, now);
	else if (tcb->tfo_renew && !tcb->retrans)
		tfo_grant(tcp,
			  listener_lookup(tcp, &tcb->flow.laddr, tcb->flow.lport, tcb->flow.hash),
			  &tcb->flow, seg);
	if (offer)
		ecn_offer(tcb, seg);
	else
		ecn_synack(tcb->ecn.mode, tcb->ecn.peer_syn_ecn, tcb->retrans, true, seg);
}

void xmit_empty(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t seq, uint8_t flags, uint64_t now)
{
	struct mr_ip_tx tx = ip_tx(tcb, false);
	struct mr_seg seg;

	seg_fill(tcb, &seg, seq, flags, now);
	if (flags & MR_TCP_SYN)
		syn_options(tcp, tcb, &seg, now);
	else if (!(flags & MR_TCP_RST)) {
		sack_fill(tcb, &seg);
		ecn_fill(tcb, &seg, true, false);
		accecn_ack_option(tcb, &seg);
	}
	tcb->segs_out++;
	/* The peer may ignore the ACK of a segment that it takes for an old one: a probe, or a repeated FIN. */
	if (flags & MR_TCP_ACK && (flags & MR_TCP_SYN || seq_geq(seq, tcb->snd_nxt)))
		acked(tcb);
	tcp_xmit_bare(tcp, &seg, &tx, &tcb->dst, now);
}

void tcp_send_rst(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	MR_COUNT(tcp->ctr, TCP_RST_OUT);
	xmit_empty(tcp, tcb, tcb->snd_nxt, MR_TCP_RST | MR_TCP_ACK, now);
}

void xmit_ecn_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_ecn_ack *a, uint64_t now)
{
	struct mr_ip_tx tx = ip_tx(tcb, false);
	struct mr_seg seg;

	seg_fill(tcb, &seg, tcb->snd_nxt, MR_TCP_ACK, now);
	seg.ack = a->ack;
	seg.flags |= a->ece ? MR_TCP_ECE : 0;
	tcb->segs_out++;
	tcp_xmit_bare(tcp, &seg, &tx, &tcb->dst, now);
}

/* ---- Payload ---------------------------------------------------------------------------------- */

/* May f be part of a run of this kind? */
static bool belongs(const struct mr_tcb *tcb, const struct mr_frame *f, enum run_kind kind)
{
	return kind != RUN_LOST || (f->flags & MR_FRAME_LOST && f != tcb->sndq.unsent);
}

bool xmit_gather(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, uint32_t limit,
		 enum run_kind kind, struct run *r)
{
	uint32_t max_chunks = kind == RUN_BURST ? MR_FRAME_GSO_CHUNKS : tcp->ip->nif->max_chunks;

	*r = (struct run){ .kind = kind, .first = f };
	for (; f && r->chunks < max_chunks && r->len < limit; f = f->next) {
		if (r->chunks && !belongs(tcb, f, kind))
			break;
		/* A frame longer than any segment is split, to fill this one. */
		if (f->pay_len > limit && sndq_split(tcp, tcb, f, limit - r->len)) {
			if (!r->chunks)
				return false;
			break;
		}
		if (r->len + f->pay_len > limit)
			break;
		r->len += f->pay_len;
		r->chunks++;
		r->busy |= f->tx_refs != 0;
		r->psh |= (f->flags & MR_FRAME_PSH) != 0;
	}
	r->next = f;
	return true;
}

/* Copy the frames of a run, because the device still reads them. NULL: no frame is free. */
static struct mr_frame *clone(struct mr_tcp *tcp, const struct run *r)
{
	struct mr_frame *first = NULL, *last = NULL;

	for (const struct mr_frame *f = r->first; f != r->next; f = f->next) {
		struct mr_frame *c = mr_frame_get(tcp->frames);

		if (!c) {
			if (first)
				mr_frame_put_chain(tcp->frames, first);
			return NULL;
		}
		c->len = f->pay_len;
		c->csum = mr_csum_copy(c->data, f->pay, f->pay_len);
		c->flags |= MR_FRAME_CSUM;
		if (last)
			last->frag = c;
		else
			first = c;
		last = c;
	}
	MR_COUNT(tcp->ctr, TCP_TX_CLONES);
	return first;
}

/* The frames of the run themselves, with one more reference each, for the device. */
static struct mr_frame *borrow(const struct run *r)
{
	for (struct mr_frame *f = r->first; f != r->next; f = f->next) {
		f->data = f->pay;
		f->len = f->pay_len;
		f->frag = f->next == r->next ? NULL : f->next;
		mr_frame_hold(f);
	}
	return r->first;
}

/* Write the TCP header in front of the payload of packet p. sum: of the payload; partial: the device adds it. */
static void put_header(const struct mr_tcb *tcb, struct mr_frame *p, const struct mr_seg *seg,
		       const struct mr_ip_tx *tx, uint32_t sum, bool partial)
{
	uint32_t hlen = mr_tcp_header_len(seg), hsum;
	uint32_t pseudo = mr_csum_pseudo(&tx->src, &tx->dst, IPPROTO_TCP, hlen + p->pkt_len);
	uint8_t *hdr = mr_frame_push(p, hlen);

	p->queue = (uint16_t)tcb->flow.hash;
	hsum = mr_tcp_write_header(hdr, hlen, seg);
	if (partial)
		mr_tcp_write_csum_partial(hdr, pseudo);
	else
		mr_tcp_write_csum(hdr, mr_csum_add(mr_csum_add(pseudo, sum), hsum));
}

/* Account for a run that is sent as segs segments, with `flight` bytes in flight before it. */
static void count_sent(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct run *r, uint32_t segs,
		       uint32_t flight, uint64_t now)
{
	bool new_data = seq_geq(r->first->seq, tcb->snd_nxt);

	for (struct mr_frame *f = r->first; f != r->next; f = f->next) {
		f->sent_at = now;
		rate_sent(tcb, f, flight + r->len, now);
		mr_list_move_tail(&tcb->in_flight, &f->sent_node);
	}
	pace_sent(tcb, r->len, now);
	if (tcb->loss == MR_LOSS_RECOVERY)
		tcb->sending->prr.out += r->len;
	MR_COUNT_N(tcp->ctr, TCP_SEGS_OUT, segs);
	tcb->segs_out += segs;
	tcb->data_segs_out += segs;
	/* New data soon after data was received is taken for a response to it. */
	tcb->pingpong |=
		new_data && tcb->last_data_at && now - tcb->last_data_at < MR_TCP_DELACK_NS;
	tcb->bytes_retrans += new_data ? 0 : r->len;
	tcb->last_sent_at = now;
}

bool xmit_run(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct run *r, uint8_t flags,
	      uint64_t now)
{
	const struct mr_cong_ops *control = mr_cong(tcb->opts.congestion);
	bool new_data = seq_geq(r->first->seq, tcb->snd_nxt);
	bool gso = r->kind == RUN_BURST;
	uint32_t segs = gso ? (r->len + tcb->snd_mss - 1) / tcb->snd_mss : 1;
	uint32_t flight = tcb_in_flight(tcb);
	struct mr_ip_tx tx = ip_tx(tcb, new_data);
	uint32_t sum = 0, off = 0;
	struct mr_frame *p;
	struct mr_seg seg;

	if (!mr_netif_tx_room(tcp->ip->nif, 1))
		return false;
	p = r->busy ? clone(tcp, r) : borrow(r);
	if (!p)
		return false;
	if (!flight && control->send_begin)
		control->send_begin(tcb, now);
	rate_send_begin(tcb, now);
	seg_fill(tcb, &seg, r->first->seq, flags, now);
	ecn_fill(tcb, &seg, false, new_data);
	if (new_data && r->len < tcb->snd_mss) { /* a full segment has no room for more options */
		accecn_option(tcb, &seg, tcb->snd_mss - r->len, false);
		tcb->ecn.opt_data |= tcb->ecn.opt_last;
	}
	for (struct mr_frame *f = gso ? NULL : p; f; off += f->len, f = f->frag)
		sum = mr_csum_add(sum, mr_csum_shift(sndq_sum(f), off));
	p->pkt_len = r->len;
	p->nchunks = r->chunks;
	p->gso_size = gso ? tcb->snd_mss : 0;
	put_header(tcb, p, &seg, &tx, sum, gso);
	count_sent(tcp, tcb, r, segs, flight, now);
	/* A D-SACK needs a segment without payload. And if this is a retransmission, the peer may have received the
	 * first copy, and ignore the ACK of the second. */
	if (!tcb->dsack_owed && new_data)
		acked(tcb);
	/* A packet dropped on output is like a lost one. Only an unreachable neighbour is recorded. */
	if (mr_ip_output(tcp->ip, p, &tx, &tcb->dst, now) == -EHOSTUNREACH)
		tcb->soft_err = -EHOSTUNREACH;
	return true;
}

bool xmit_syn_data(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_ip_tx tx = ip_tx(tcb, false);
	struct mr_frame *p = mr_frame_get(tcp->frames);
	struct mr_seg seg;
	uint32_t room;

	if (!p)
		return false;
	tcb->tfo = MR_TFO_SENT;
	seg_fill(tcb, &seg, tcb->iss, MR_TCP_SYN, now);
	syn_options(tcp, tcb, &seg, now);
	room = tfo_room(tcp, tcb, &seg, now);
	for (const struct mr_frame *f = tcb->sndq.head; f && p->len < room; f = f->next) {
		uint32_t n = mr_min(f->pay_len, room - p->len);

		memcpy(p->data + p->len, f->pay, n);
		p->len += n;
	}
	tcb->tfo_len = (uint16_t)p->len;
	p->pkt_len = p->len;
	p->nchunks = 1;
	put_header(tcb, p, &seg, &tx, mr_csum(p->data, p->len), false);
	MR_COUNT(tcp->ctr, TCP_SEGS_OUT);
	tcb->segs_out++;
	mr_ip_output(tcp->ip, p, &tx, &tcb->dst, now);
	return true;
}
