// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_pace.c - pacing: data is sent at a rate, and not in bursts.
 * Owns        tcb->sending->pace.next.
 * Implements  draft-ietf-ccwg-bbr section 5.6.2 (departure times); SO_MAX_PACING_RATE as Linux has it.
 * Called by   output, around each segment; MR_TT_PACE fires when the next one may be sent.
 *
 * The timer is late by up to a tick of the wheel. So each departure time is computed from the one before: what a late
 * timer has missed is sent with it, and the rate is exact. But the time that is made up for is limited, or an idle
 * connection could send a burst.
 */
#include "tcp/tcp_priv.h"

#define BURST_NS MR_NS_PER_MS /* longest burst, as time at the rate: BBR's send quantum */

/* The pacing rate without a model of the path, as Linux: twice cwnd per RTT in slow start, else 1.2 times. */
static uint64_t window_rate(const struct mr_tcb *tcb)
{
	uint64_t window = mr_max(tcb->cwnd, tcb_in_flight(tcb));
	uint64_t percent = tcb->cwnd < tcb->ssthresh / 2 ? 200 : 120;

	if (!tcb->srtt_ns)
		return UINT64_MAX;
	return window * percent / 100 * MR_NS_PER_S / tcb->srtt_ns;
}

uint64_t mr_tcp_pacing_rate(const struct mr_tcb *tcb)
{
	uint64_t most = tcb->opts.max_pacing_rate;

	if (!most)
		return tcb->sending->pace.rate;
	return mr_max(mr_min(most, tcb->sending->pace.rate ?: window_rate(tcb)), (uint64_t)1);
}

bool pace_allows(const struct mr_tcb *tcb, uint64_t now)
{
	return tcb->sending->pace.next <= now || !mr_tcp_pacing_rate(tcb);
}

uint32_t pace_burst(const struct mr_tcb *tcb)
{
	uint64_t rate = mr_tcp_pacing_rate(tcb);

	return rate ? (uint32_t)mr_min(rate / (MR_NS_PER_S / BURST_NS), (uint64_t)UINT16_MAX) :
		      UINT32_MAX;
}

void pace_sent(struct mr_tcb *tcb, uint32_t bytes, uint64_t now)
{
	uint64_t rate = mr_tcp_pacing_rate(tcb), earliest = now > BURST_NS ? now - BURST_NS : 0;

	if (rate)
		tcb->sending->pace.next =
			mr_max(tcb->sending->pace.next, earliest) + bytes * MR_NS_PER_S / rate;
}
