// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_rtt.c - the smoothed round-trip time and the retransmission timeout.
 * Owns        srtt_ns, rttvar_ns, rto_ns of a TCB.
 * Implements  RFC 6298 section 2.
 * Called by   ACK processing (samples), the timers (back-off through tcb->backoff).
 */
#include "tcp/tcp_priv.h"

#define CLOCK_GRANULARITY_NS MR_TICK_NS

void rtt_sample(struct mr_tcb *tcb, uint64_t rtt_ns)
{
	uint64_t var;

	if (!tcb->srtt_ns) { /* (2.2) */
		tcb->srtt_ns = rtt_ns;
		tcb->rttvar_ns = rtt_ns / 2;
	} else { /* (2.3), alpha 1/8, beta 1/4 */
		uint64_t delta =
			tcb->srtt_ns > rtt_ns ? tcb->srtt_ns - rtt_ns : rtt_ns - tcb->srtt_ns;

		tcb->rttvar_ns = tcb->rttvar_ns - tcb->rttvar_ns / 4 + delta / 4;
		tcb->srtt_ns = tcb->srtt_ns - tcb->srtt_ns / 8 + rtt_ns / 8;
	}
	tcb->srtt_ns = mr_max(tcb->srtt_ns, (uint64_t)1);
	/* Linux's reading of the 200 ms floor: it bounds the variance term, not the sum, so that a
	 * long steady path does not run with an RTO of just its RTT. */
	var = mr_max(4 * tcb->rttvar_ns, (uint64_t)CLOCK_GRANULARITY_NS);
	tcb->rto_ns = mr_min(tcb->srtt_ns + mr_max(var, (uint64_t)MR_TCP_RTO_MIN_NS),
			     (uint64_t)MR_TCP_RTO_MAX_NS);
}

void rtt_by_timestamp(struct mr_tcb *tcb, const struct mr_seg *seg, uint64_t now)
{
	uint64_t rtt = seg->opts & MR_TCPOPT_TS && seg->tsecr ?
			       tcp_ts_rtt(tcb->ts_offset, seg->tsecr, now) :
			       0;

	if (rtt)
		rtt_sample(tcb, rtt);
}

uint64_t rtt_rto(const struct mr_tcb *tcb)
{
	uint64_t rto = tcb->rto_ns;

	if (tcb->backoff >= 20)
		return MR_TCP_RTO_MAX_NS;
	rto <<= tcb->backoff; /* RFC 6298 (5.5) */
	return mr_min(rto, (uint64_t)MR_TCP_RTO_MAX_NS);
}
