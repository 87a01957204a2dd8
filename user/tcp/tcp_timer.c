// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_timer.c - the timers of a TCB: retransmission, window probes, keepalive, and giving up.
 * Owns        backoff, probes, stalled_since.
 * Implements  RFC 6298 section 5, RFC 9293 sections 3.8.3 (R1, R2), 3.8.4 (keepalive), 3.8.6.1 (window probes).
 * Called by   the engine for each expired timer of TCP.
 */
#include <errno.h>

#include "tcp/tcp_priv.h"

/* In 16ths of all frames: with fewer free, sending takes hardly any more (socket/socket_send.c leaves 9 of 32). */
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

/* How often to retry. If others lack frames, an orphan that holds some is given up earlier (as Linux:
 * tcp_out_of_resources()). */
static unsigned tries_max(const struct mr_tcp *tcp, const struct mr_tcb *tcb)
{
	if (tcb->owner)
		return MR_TCP_RETRIES2;
	return tcb->sndq.head && tcp->frames->nfree < tcp->frames->nframes / 16 * TIGHT_16TH ?
		       ORPHAN_RETRIES_TIGHT :
		       MR_TCP_ORPHAN_RETRIES;
}

/* Has the connection made no progress for too long, after `tries` unanswered tries? */
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
	/* A SYN that was answered by an old connection was not lost. */
	if (!tcb->syn_met_old || tcb->backoff)
		tcb->retrans++;
	back_off(tcb);
	tcb->syn_owed = true;
	tcb_mark(tcp, tcb);
	tcp_arm_rtx(tcp, tcb, now);
	return true;
}

/* Window probe. A peer that answers is alive, however long its window stays closed: ACKs reset tcb->probes (RFC 9293
 * section 3.8.6.1). */
static bool probe(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	/* Without an application each probe counts, whether it was answered or not. */
	if (too_long(tcp, tcb, tcb->owner ? tcb->probes : tcb->backoff, now) ||
	    (!tcb->owner && tcb->backoff >= tries_max(tcp, tcb))) {
		give_up(tcp, tcb);
		return false;
	}
	tcb->probes++;
	back_off(tcb);
	if (tcb->snd_wnd)
		/* Override timeout of silly window avoidance (RFC 9293 section 3.8.6.2.1). */
		tcb->push_small = true;
	else
		tcb->probe_owed = true;
	tcb_mark(tcp, tcb);
	tcp_arm_rtx(tcp, tcb, now);
	return true;
}

/* When the data that has timed out first was sent (RFC 5482 counts from there). */
static uint64_t unanswered_since(const struct mr_tcb *tcb, uint64_t now)
{
	const struct mr_frame *f = tcb->sndq.head;

	if (!tcb_synchronized(tcb))
		return tcb->last_sent_at;
	return f && f != tcb->sndq.unsent ? f->sent_at : now;
}

/* A peer that has closed its window on data in flight, and still answers, is alive: the retransmission is then a
 * window probe. But as for other probes, the application may have set a limit; and without an application there is
 * one, or a peer could keep the data for ever. */
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
	if (tcb->snd_una == tcb->snd_nxt) { /* there was no route: output tries again */
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
			0); /* the peer has not closed its side, and nobody here waits for it */
		return false;
	}
	if (!tcb->opts.keepalive || !tcb_synchronized(tcb))
		return true;
	/* RFC 1122 section 4.2.3.6: only if nothing is in flight or queued */
	if (idle < idle_ns || tcb->sndq.head) {
		tcb->probes = tcb->sndq.head ? tcb->probes : 0;
		tcb_timer_set(tcp, tcb, MR_TT_KEEP,
			      idle < idle_ns ? tcb->last_rcv_at + idle_ns : now + MR_NS_PER_S);
		return true;
	}
	/* As Linux, a user timeout replaces the number of probes. */
	if (tcb->opts.user_timeout_ms ?
		    tcb->probes && idle >= tcb->opts.user_timeout_ms * MR_NS_PER_MS :
		    tcb->probes >= tcb->opts.keepcnt) {
		/* As Linux, send a reset: if the peer is alive after all, it must not keep half a connection. */
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

/* The connection has not sent for so long that what is known of the path is obsolete: cwnd is at the initial window
 * by now (tcp_cwv.c), and congestion control starts anew from that and ssthresh. A model of the path is kept. */
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
			/* The application sent no data that could carry it. */
			tcb->pingpong = false;
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
