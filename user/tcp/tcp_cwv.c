// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_cwv.c - congestion window validation: a cwnd that is not used up does not grow, and shrinks with time.
 * Owns        tcb->sending->cwv; reduces cwnd after idle times, and while the application is the limit.
 * Implements  RFC 2861 as Linux has it, where RFC 5681 section 4.1 would restart with the initial window after one
 *             idle RTO; no growth of an unused window is also RFC 7661 section 4.3.
 * Called by   output.
 * Not here    RFC 7661's pipeACK, which would keep an unused window for five minutes: programs are tuned to Linux,
 *             which does not have it. Congestion controls with a model of the path (BBR) are exempt.
 */
#include "tcp/tcp_priv.h"

/* Remember the window in ssthresh, so that it grows back fast (RFC 2861 section 2). */
static void remember(struct mr_tcb *tcb)
{
	tcb->ssthresh = mr_max(tcb->ssthresh, tcb->cwnd / 4 * 3);
}

static bool has_model(const struct mr_tcb *tcb)
{
	return mr_cong(tcb->opts.congestion)->control != NULL;
}

void cwv_send_begin(struct mr_tcb *tcb, uint64_t now)
{
	uint32_t iw = mr_min(mr_cong_initial_window(tcb->snd_mss), tcb->cwnd);
	uint64_t idle = now - tcb->last_sent_at, rto = rtt_rto(tcb);

	/* Time in which the peer's window was closed is not idle: the application had more to send (as Linux). */
	if (!tcb_sends(tcb) || tcb->snd_una != tcb->snd_nxt || !tcb->last_sent_at || idle <= rto ||
	    tcb->persist || has_model(tcb))
		return;
	remember(tcb);
	/* Halve cwnd for each RTO, down to the initial window. */
	for (; idle > rto && tcb->cwnd > iw; idle -= rto)
		tcb->cwnd /= 2;
	tcb->cwnd = mr_max(tcb->cwnd, iw);
	tcb->sending->cwv.full_at = now;
	tcb->sending->cwv.used = 0;
}

/* Less than cwnd was in flight for a whole RTO: move half way towards what was. */
static void adapt(struct mr_tcb *tcb, uint64_t now)
{
	struct mr_cwv *v = &tcb->sending->cwv;
	uint32_t used = mr_max(v->used, mr_cong_initial_window(tcb->snd_mss));

	if (used < tcb->cwnd) {
		remember(tcb);
		tcb->cwnd = (uint32_t)(((uint64_t)tcb->cwnd + used) / 2);
	}
	v->full_at = now;
	v->used = 0;
}

void cwv_output(struct mr_tcb *tcb, bool limited, bool app, uint64_t now)
{
	uint32_t flight = tcb_in_flight(tcb);
	struct mr_cwv *v = &tcb->sending->cwv;

	if (!tcb_sends(tcb)) /* a SYN,ACK */
		return;
	if (limited || !seq_lt(tcb->snd_una, v->round_end) ||
	    (!v->limited && flight > v->max_flight)) {
		v->limited = limited;
		v->max_flight = flight;
		v->round_end = tcb->snd_nxt;
	}
	if (cwv_may_grow(tcb)) {
		v->full_at = now;
		v->used = 0;
		return;
	}
	v->used = mr_max(v->used, flight);
	if (app && tcb->loss == MR_LOSS_OPEN && now - v->full_at >= rtt_rto(tcb) && !has_model(tcb))
		adapt(tcb, now);
}

bool cwv_may_grow(const struct mr_tcb *tcb)
{
	/* In slow start half of the window in use is enough, because slow start doubles it. */
	if (tcb->cwnd < tcb->ssthresh)
		return tcb->cwnd < 2 * (uint64_t)tcb->sending->cwv.max_flight;
	return tcb->sending->cwv.limited;
}
