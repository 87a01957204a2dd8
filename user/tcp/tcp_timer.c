// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_timer.c - what happens when nothing arrives.
 * Owns        backoff, probes, stalled_since; the giving up.
 * Implements  RFC 6298 section 5, RFC 9293 sections 3.8.3 (R1, R2), 3.8.4 (keepalive), 3.8.6.1
 *             (probes).
 * Called by   the engine for each expired timer of TCP.
 */
#include <errno.h>

#include "tcp/tcp_priv.h"

/* Where fewer frames than this are free, of 16, sends take hardly any (socket/socket_send.c leaves 9 of 32). */
#define TIGHT_16TH	     5u
#define ORPHAN_RETRIES_TIGHT 3u

static void back_off(struct mr_tcb *tcb)
{
	if (tcb->backoff < UINT8_MAX)
		tcb->backoff++;
}

static void give_up(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	int err = tcb->soft_err ? tcb->soft_err : -ETIMEDOUT;

	if (tcb_synchronized(tcb))
		MR_COUNT(tcp->ctr, TCP_ESTAB_TIMEOUTS);
	else
		MR_COUNT(tcp->ctr, TCP_ATTEMPT_FAILS);
	tcb_end(tcp, tcb, err);
}

/* How often it is tried again. What an orphan holds nobody here waits for any more: where others lack it, they go
 * before (as Linux: tcp_out_of_resources()). */
static unsigned tries_max(const struct mr_tcp *tcp, const struct mr_tcb *tcb)
{
	if (tcb->owner)
		return MR_TCP_RETRIES2;
	return tcb->sndq.head && tcp->frames->nfree < tcp->frames->nframes / 16 * TIGHT_16TH ?
		       ORPHAN_RETRIES_TIGHT :
		       MR_TCP_ORPHAN_RETRIES;
}

/* Has this connection been stuck for too long, with `tries` unanswered tries behind it? */
static bool too_long(const struct mr_tcp *tcp, const struct mr_tcb *tcb, unsigned tries,
		     uint64_t now)
{
	if (tcb->opts.user_timeout_ms)
		return tcb->stalled_since &&
		       now - tcb->stalled_since >= tcb->opts.user_timeout_ms * MR_NS_PER_MS;
	return tries >= tries_max(tcp, tcb);
}

/* false: the TCB is gone. */
static bool rtx_handshake(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	unsigned most = tcb->opts.syn_retries ?: MR_TCP_SYN_RETRIES;

	if (tcb->state != MR_TCP_SYN_SENT)
		most = MR_TCP_SYNACK_RETRIES;
	if (tcb->backoff >= most ||
	    (tcb->opts.user_timeout_ms && too_long(tcp, tcb, tcb->backoff, now))) {
		give_up(tcp, tcb);
		return false;
	}
	MR_COUNT(tcp->ctr, TCP_RETRANS);
	/* A SYN that met an old connection was not lost. */
	if (!tcb->syn_met_old || tcb->backoff)
		tcb->retrans++;
	back_off(tcb);
	tcb->syn_owed = true;
	tcb_mark(tcp, tcb);
	tcp_arm_rtx(tcp, tcb, now);
	return true;
}

/* Zero-window probe. A peer that answers is alive, however long its window stays closed: ACKs reset
 * tcb->probes (RFC 9293 section 3.8.6.1). */
static bool probe(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	/* Without an application nobody waits for that peer: each probe counts, answered or not. */
	if (too_long(tcp, tcb, tcb->owner ? tcb->probes : tcb->backoff, now) ||
	    (!tcb->owner && tcb->backoff >= tries_max(tcp, tcb))) {
		give_up(tcp, tcb);
		return false;
	}
	tcb->probes++;
	back_off(tcb);
	if (tcb->snd_wnd)
		tcb->push_small = true; /* the sender's SWS override timeout (RFC 9293 3.8.6.2.1) */
	else
		tcb->probe_owed = true;
	tcb_mark(tcp, tcb);
	tcp_arm_rtx(tcp, tcb, now);
	return true;
}

/* Since when what the first timeout is about has been on its way (RFC 5482 counts from there). */
static uint64_t unanswered_since(const struct mr_tcb *tcb, uint64_t now)
{
	const struct mr_frame *f = tcb->sndq.head;

	if (!tcb_synchronized(tcb))
		return tcb->last_sent_at;
	return f && f != tcb->sndq.unsent ? f->sent_at : now;
}

/* A peer that closed its window over what is in flight, and still answers, is alive: a retransmission is a
 * window probe then, whatever else it looks like. But as with other probes the application may have set a limit,
 * and where it is gone nobody waits for that window: else a peer could keep what was sent to it for ever. */
static bool closed_and_alive(const struct mr_tcb *tcb, uint64_t now)
{
	return !tcb->snd_wnd && tcb->owner && !tcb->opts.user_timeout_ms &&
	       now - tcb->last_rcv_at < MR_TCP_RTO_MAX_NS;
}

static bool rtx(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	if (!tcb->stalled_since)
		tcb->stalled_since = unanswered_since(tcb, now);
	if (!tcb_synchronized(tcb))
		return rtx_handshake(tcp, tcb, now);
	if (tcb->persist)
		return probe(tcp, tcb, now);
	if (tcb->snd_una == tcb->snd_nxt) { /* there was no route: try again to send */
		tcb_mark(tcp, tcb);
		return true;
	}
	if (!closed_and_alive(tcb, now) && too_long(tcp, tcb, tcb->backoff, now)) {
		give_up(tcp, tcb);
		return false;
	}
	loss_rto(tcp, tcb, now);
	mtup_timeout(tcp, tcb);
	back_off(tcb); /* RFC 6298 (5.5) */
	tcp_arm_rtx(tcp, tcb, now);
	return true;
}

static bool keep(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	uint64_t idle = now - tcb->last_rcv_at, idle_ns = tcb->opts.keepidle_s * MR_NS_PER_S;

	if (!tcb->owner && tcb->state == MR_TCP_FIN_WAIT2) {
		tcb_end(tcp, tcb,
			0); /* the peer never closed its side, and nobody here waits for it */
		return false;
	}
	if (!tcb->opts.keepalive || !tcb_synchronized(tcb))
		return true;
	/* RFC 1122 section 4.2.3.6: only when nothing else is under way. */
	if (idle < idle_ns || tcb->sndq.head) {
		tcb->probes = tcb->sndq.head ? tcb->probes : 0;
		tcb_timer_set(tcp, tcb, MR_TT_KEEP,
			      mr_max(tcb->last_rcv_at + idle_ns, now + MR_NS_PER_S));
		return true;
	}
	/* As Linux: a user timeout takes the place of the number of probes. */
	if (tcb->opts.user_timeout_ms ?
		    tcb->probes && idle >= tcb->opts.user_timeout_ms * MR_NS_PER_MS :
		    tcb->probes >= tcb->opts.keepcnt) {
		/* As Linux: should the peer live after all, it is not left with half a connection. */
		if (!mr_dst_resolve(tcp->ip, &tcb->dst, &tcb->flow.raddr, now))
			tcp_send_rst(tcp, tcb, now);
		give_up(tcp, tcb);
		return false;
	}
	tcb->probes++;
	tcb->keep_owed = true;
	tcb_mark(tcp, tcb);
	tcb_timer_set(tcp, tcb, MR_TT_KEEP, now + tcb->opts.keepintvl_s * MR_NS_PER_S);
	return true;
}

/* When what is known of the path is too old to be worth its memory: cwnd has long been down to the initial
 * window then (tcp_cwv.c), and congestion control begins anew with it and ssthresh. A model of the path is
 * kept. */
static uint64_t forget_at(const struct mr_tcb *tcb)
{
	if (!tcb_sends(tcb) || tcb->sndq.head || tcb->snd_una != tcb->snd_nxt ||
	    tcb->loss != MR_LOSS_OPEN || mr_cong(tcb->opts.congestion)->control)
		return MR_TIME_NEVER;
	return tcb->last_sent_at + MR_TCP_FORGET_NS;
}

uint64_t tcb_next_deadline(const struct mr_tcb *tcb)
{
	uint64_t next = forget_at(tcb);

	for (int i = 0; i < MR_TT_MAX; i++)
		next = mr_min(next, tcb->timers[i]);
	return next;
}

static void tcb_timer(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	uint64_t next;

	rate_check_app_limited(tcb);
	for (int i = 0; i < MR_TT_MAX; i++) {
		bool alive = true;

		if (tcb->timers[i] > now)
			continue;
		tcb->timers[i] = MR_TIME_NEVER;
		switch ((enum mr_tcb_timer)i) {
		case MR_TT_RTX:
			alive = rtx(tcp, tcb, now);
			break;
		case MR_TT_DELACK:
			MR_COUNT(tcp->ctr, TCP_ACK_DELAYED);
			tcb->pingpong = false; /* no data has come to carry it */
			tcb->ack_now = true;
			tcb_mark(tcp, tcb);
			break;
		case MR_TT_KEEP:
			alive = keep(tcp, tcb, now);
			break;
		case MR_TT_CORK:
			tcb->push_small = true;
			tcb_mark(tcp, tcb);
			break;
		case MR_TT_REO:
			loss_reorder_timeout(tcp, tcb, now);
			break;
		case MR_TT_TLP:
			tlp_fire(tcp, tcb, now);
			break;
		case MR_TT_PACE:
			tcb_mark(tcp, tcb);
			break;
		case MR_TT_MAX:
			break;
		}
		if (!alive)
			return;
	}
	if (forget_at(tcb) <= now)
		tcb_sending_end(tcp, tcb);
	next = tcb_next_deadline(tcb);
	if (next != MR_TIME_NEVER)
		mr_timer_arm(tcp->wheel, &tcb->timer, next);
}

void mr_tcp_timer(struct mr_tcp *tcp, struct mr_timer *t, uint64_t now)
{
	switch (t->kind) {
	case MR_TIMER_SYN:
		tcp->changing = &mr_container_of(t, struct mr_tcp_synreq, timer)->flow;
		synreq_timer(tcp, mr_container_of(t, struct mr_tcp_synreq, timer), now);
		break;
	case MR_TIMER_TIMEWAIT:
		tcp->changing = &mr_container_of(t, struct mr_tcp_tw, timer)->flow;
		timewait_free(tcp, mr_container_of(t, struct mr_tcp_tw, timer));
		break;
	default:
		assert(t->kind == MR_TIMER_TCB);
		tcp->changing = &mr_container_of(t, struct mr_tcb, timer)->flow;
		tcb_timer(tcp, mr_container_of(t, struct mr_tcb, timer), now);
		break;
	}
}
