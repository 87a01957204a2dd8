// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_isn.c - initial sequence numbers and timestamp offsets that a blind attacker cannot guess.
 * Implements  RFC 6528 section 3 (clock of 4 us plus keyed hash of the 4-tuple), RFC 7323 section
 *             5.4.
 * Called by   active and passive open.
 * Not here    local ports (tcp_table.c).
 */
#include "base/hash.h"
#include "tcp/tcp_priv.h"

#define ISN_TICK_NS (4 * MR_NS_PER_US)

static uint64_t tuple_hash(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t purpose)
{
	struct {
		struct mr_addr laddr, raddr;
		uint16_t lport, rport;
		uint32_t purpose;
	} in = { flow->laddr, flow->raddr, flow->lport, flow->rport, purpose };

	_Static_assert(sizeof(in) == 40, "no padding may enter the hash");
	return mr_siphash(tcp->secret, &in, sizeof(in));
}

uint32_t tcp_isn(const struct mr_tcp *tcp, const struct mr_flow *flow, uint64_t now)
{
	return (uint32_t)(now / ISN_TICK_NS) + (uint32_t)tuple_hash(tcp, flow, 0);
}

uint32_t tcp_ts_offset(const struct mr_tcp *tcp, const struct mr_flow *flow)
{
	return (uint32_t)tuple_hash(tcp, flow, 1);
}

uint64_t tcp_ts_rtt(uint32_t offset, uint32_t tsecr, uint64_t now)
{
	uint32_t ms = tcp_ts_now(offset, now) - tsecr;

	/* More than 10 minutes is an echo of something never sent. Below the clock's grain counts
	 * as one grain, so that 0 can say "no sample". */
	if (ms > 600 * 1000)
		return 0;
	return mr_max(ms, 1u) * MR_NS_PER_MS;
}
