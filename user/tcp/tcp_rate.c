// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_rate.c - delivery rate: one sample for each ACK, from a record in each frame of when it was sent.
 * Owns        tcb->sending->rate, the records in frames (struct mr_sent).
 * Implements  draft-ietf-ccwg-bbr section 4.1 (before: draft-cheng-iccrg-delivery-rate-estimation).
 * Called by   output (sent), ACK processing (delivered, generated), and where the application may be the limit
 *             (write, ACKs, timers).
 *
 * The two times in a frame's record are distances from when it was sent, in units of 64 ns: 32 bits suffice for 274
 * s, more than any RTO.
 */
#include "tcp/tcp_priv.h"

#define UNIT_SHIFT 6

static uint32_t distance(uint64_t from, uint64_t to)
{
	uint64_t d = to > from ? (to - from) >> UNIT_SHIFT : 0;

	return (uint32_t)mr_min(d, (uint64_t)UINT32_MAX);
}

static uint64_t to_ns(uint32_t d)
{
	return (uint64_t)d << UNIT_SHIFT;
}

void rate_send_begin(struct mr_tcb *tcb, uint64_t now)
{
	if (!tcb_in_flight(tcb))
		tcb->sending->rate.first_sent_at = tcb->sending->rate.delivered_at = now;
}

void rate_sent(const struct mr_tcb *tcb, struct mr_frame *f, uint32_t in_flight, uint64_t now)
{
	const struct mr_rate *r = &tcb->sending->rate;

	f->sent = (struct mr_sent){
		.delivered = r->delivered,
		.lost = r->lost,
		.in_flight = in_flight,
		.since_delivered = distance(r->delivered_at, now),
		.since_first = distance(r->first_sent_at, now),
		.app_limited = r->app_limited != 0,
	};
}

void rate_delivered(struct mr_tcb *tcb, const struct mr_frame *f, struct ack *ack)
{
	struct mr_rate_sample *rs = &ack->rs;
	struct mr_rate *r = &tcb->sending->rate;
	uint32_t end = f->seq + f->pay_len;

	r->delivered += f->pay_len;
	r->delivered_at = ack->now;
	if (f->flags & MR_FRAME_RETRANS) {
		/* The timestamp shows that this acknowledges the first transmission, but the record is of the last
		 * one. */
		if (ack->ts_valid && seq_lt(ack->tsecr, tcp_ts_now(tcb->ts_offset, f->sent_at)))
			return;
	} else {
		uint64_t rtt = ack->now - f->sent_at;

		rs->rtt_ns = rs->rtt_ns ? mr_min(rs->rtt_ns, rtt) : mr_max(rtt, (uint64_t)1);
	}
	/* The record of the newest frame counts. */
	if (rs->has_data && (f->sent_at < r->first_sent_at ||
			     (f->sent_at == r->first_sent_at && seq_lt(end, ack->newest_end))))
		return;
	rs->has_data = true;
	rs->prior_delivered = f->sent.delivered;
	rs->prior_lost = f->sent.lost;
	rs->tx_in_flight = f->sent.in_flight;
	rs->app_limited = f->sent.app_limited;
	rs->interval_ns = mr_max(to_ns(f->sent.since_first),
				 ack->now - f->sent_at + to_ns(f->sent.since_delivered));
	r->first_sent_at = f->sent_at;
	ack->newest_end = end;
}

/* For TCP_INFO, as Linux: a sample that the application limited counts only if it is larger. */
static void tell(struct mr_tcb *tcb, const struct mr_rate_sample *rs)
{
	uint32_t told = (uint32_t)mr_min(rs->rate >> 6, (uint64_t)UINT32_MAX);

	if (!rs->rate || (rs->app_limited && told < tcb->sending->rate.told))
		return;
	tcb->sending->rate.told = told;
	tcb->told_app_limited = rs->app_limited;
}

void rate_generate(struct mr_tcb *tcb, struct ack *ack)
{
	struct mr_rate_sample *rs = &ack->rs;
	struct mr_rate *r = &tcb->sending->rate;

	/* everything sent while the application was the limit is delivered */
	if (r->app_limited && seq_gt(r->delivered, r->app_limited))
		r->app_limited = 0;
	rs->now = ack->now;
	rs->newly_acked = ack->delivered;
	rs->lost = r->lost - rs->prior_lost;
	if (!rs->has_data)
		return;
	rs->delivered = r->delivered - rs->prior_delivered;
	/* An interval shorter than any RTT is invalid: the first copy of a retransmission had arrived. */
	if (rs->interval_ns && rs->interval_ns >= mr_tcp_min_rtt(tcb))
		rs->rate = (uint64_t)rs->delivered * MR_NS_PER_S / rs->interval_ns;
	tell(tcb, rs);
}

void rate_app_limited(struct mr_tcb *tcb)
{
	uint32_t until = tcb->sending->rate.delivered + tcb_in_flight(tcb);

	tcb->sending->rate.app_limited = until ?: 1;
}

void rate_check_app_limited(struct mr_tcb *tcb)
{
	/* What is left is less than a segment, and waits for more (as Linux counts). */
	bool nothing = seq_lt(tcb->write_seq, tcb->snd_nxt + tcb->snd_mss);

	if (tcb_sends(tcb) && tcb_synchronized(tcb) && nothing && !tcb->lost_bytes &&
	    tcb_in_flight(tcb) < tcb->cwnd)
		rate_app_limited(tcb);
}
