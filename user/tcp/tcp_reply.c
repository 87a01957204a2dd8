// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_reply.c - segments without payload, and those without a TCB: RST for unexpected segments, SYN,ACK of a request,
 * ACK of TIME-WAIT.
 * Implements  RFC 9293 section 3.5.2 and 3.10.7.1 (reset generation), RFC 5961 section 7 (limits).
 * Called by   input and the timers.
 */
#include <errno.h>

#include "base/csum.h"
#include "tcp/tcp_priv.h"

#define CHALLENGES_PER_SEC 1000u /* Linux tcp_challenge_ack_limit before 6.x */
/* Per connection; Linux tcp_invalid_ratelimit. */
#define CHALLENGE_INTERVAL_NS (500 * MR_NS_PER_MS)

void tcp_xmit_bare(struct mr_tcp *tcp, const struct mr_seg *seg, const struct mr_ip_tx *tx,
		   struct mr_dst *dst, uint64_t now)
{
	uint32_t hlen = mr_tcp_header_len(seg);
	struct mr_frame *f = mr_frame_get(tcp->frames);
	uint32_t sum;
	uint8_t *hdr;

	if (!f) {
		tcp->ctr->drop[MR_DROP_NO_FRAME]++;
		return;
	}
	f->nchunks = 1;
	f->pkt_len = 0;
	hdr = mr_frame_push(f, hlen);
	sum = mr_csum_pseudo(&tx->src, &tx->dst, IPPROTO_TCP, hlen);
	mr_tcp_write_csum(hdr, mr_csum_add(sum, mr_tcp_write_header(hdr, hlen, seg)));
	MR_COUNT(tcp->ctr, TCP_SEGS_OUT);
	mr_ip_output(tcp->ip, f, tx, dst, now);
}

static struct mr_ip_tx flow_tx(const struct mr_flow *flow)
{
	return (struct mr_ip_tx){
		.src = flow->laddr,
		.dst = flow->raddr,
		.proto = IPPROTO_TCP,
		.ttl = 64,
		.df = true,
	};
}

void tcp_reply_rst(struct mr_tcp *tcp, const struct mr_ip_rx *rx, const struct mr_seg *seg,
		   uint64_t now)
{
	struct mr_seg rst = { .sport = seg->dport, .dport = seg->sport, .flags = MR_TCP_RST };
	struct mr_ip_tx tx = {
		.src = rx->dst, .dst = rx->src, .proto = IPPROTO_TCP, .ttl = 64, .df = true
	};
	struct mr_dst dst = { 0 };

	if (seg->flags & MR_TCP_RST)
		return;
	if (seg->flags & MR_TCP_ACK) {
		rst.seq = seg->ack;
	} else {
		rst.flags |= MR_TCP_ACK;
		rst.ack = seg->seq + mr_seg_span(seg);
	}
	if (mr_dst_resolve(tcp->ip, &dst, &tx.dst, now))
		return;
	MR_COUNT(tcp->ctr, TCP_RST_OUT);
	tcp_xmit_bare(tcp, &rst, &tx, &dst, now);
	mr_dst_put(tcp->ip, &dst);
}

static void reply_request(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint8_t flags,
			  uint64_t now)
{
	struct mr_ip_tx tx = flow_tx(&req->flow);
	struct mr_seg seg = {
		.sport = req->flow.lport,
		.dport = req->flow.rport,
		.seq = req->iss,
		.ack = req->irs + 1,
		.flags = flags,
		.wnd = (uint16_t)req->rcv_wnd,
		.mss = req->adv_mss,
		.wscale = req->rcv_wscale,
		.tsval = tcp_ts_now(req->ts_offset, now),
		.tsecr = req->ts_recent,
	};

	seg.opts = req->ts_ok ? MR_TCPOPT_TS : 0;
	if (flags & MR_TCP_SYN) {
		seg.opts |= (uint8_t)(MR_TCPOPT_MSS | (req->wscale_ok ? MR_TCPOPT_WSCALE : 0) |
				      (req->sack_ok ? MR_TCPOPT_SACK_PERM : 0));
		if (req->tfo_cookie &&
		    /* RFC 7413 section 4.1.3.1: the option may be the cause of the loss. */
		    !req->retries)
			tfo_grant(tcp, req->listener, &req->flow, &seg);
		ecn_synack(req->ecn_mode, req->ecn_syn, req->retries, !req->ecn_no_option, &seg);
	} else {
		seg.seq = req->iss + 1;
		seg.wnd = (uint16_t)(req->rcv_wnd >> req->rcv_wscale);
	}
	if (mr_dst_resolve(tcp->ip, &req->dst, &tx.dst, now))
		return;
	tx.tos = req->listener->opts.tos;
	tx.ttl = req->listener->opts.ttl;
	tcp_xmit_bare(tcp, &seg, &tx, &req->dst, now);
}

void tcp_reply_synack(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint64_t now)
{
	reply_request(tcp, req, MR_TCP_SYN | MR_TCP_ACK, now);
}

void tcp_reply_syn_ack_ack(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint64_t now)
{
	reply_request(tcp, req, MR_TCP_ACK, now);
}

void tcp_reply_tw_ack(struct mr_tcp *tcp, struct mr_tcp_tw *tw, uint64_t now)
{
	struct mr_ip_tx tx = flow_tx(&tw->flow);
	struct mr_seg seg = {
		.sport = tw->flow.lport,
		.dport = tw->flow.rport,
		.seq = tw->snd_nxt,
		.ack = tw->rcv_nxt,
		.flags = MR_TCP_ACK,
		.wnd = tw->rcv_wnd,
		.opts = tw->ts_ok ? MR_TCPOPT_TS : 0,
		.tsval = tcp_ts_now(tw->ts_offset, now),
		.tsecr = tw->ts_recent,
	};

	ecn_set_ace(&seg, tw->ace);
	if (!mr_dst_resolve(tcp->ip, &tw->dst, &tx.dst, now))
		tcp_xmit_bare(tcp, &seg, &tx, &tw->dst, now);
}

bool tcp_challenge_allowed(struct mr_tcp *tcp, uint64_t *next, uint64_t now)
{
	if (now >= tcp->challenge_refill_at) {
		/* The limit is random, so that nobody can count our challenge ACKs (CVE-2016-5696). */
		tcp->challenge_tokens =
			CHALLENGES_PER_SEC / 2 + mr_rng_below(tcp->rng, CHALLENGES_PER_SEC);
		tcp->challenge_refill_at = now + MR_NS_PER_S;
	}
	if (!tcp->challenge_tokens || now < *next) {
		MR_COUNT(tcp->ctr, TCP_CHALLENGE_LIMITED);
		return false;
	}
	tcp->challenge_tokens--;
	*next = now + CHALLENGE_INTERVAL_NS;
	MR_COUNT(tcp->ctr, TCP_CHALLENGE_ACK);
	return true;
}
