// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_cookie.c - SYN cookies: a SYN,ACK that remembers by itself what a full SYN queue cannot.
 * Implements  RFC 4987 section 3.6 and appendix A, in Linux's layout: eight bits of a clock of 64 s, and
 *             24 bits that hold an index into a table of MSS values, both under keyed hashes of the
 *             4-tuple. Window scale, SACK and ECN travel in the low bits of our timestamp, if the peer
 *             echoes those.
 * Called by   tcp_listen.c, when a SYN finds no room.
 */
#include "base/hash.h"
#include "tcp/tcp_priv.h"

#define COOKIE_PERIOD_NS (64 * MR_NS_PER_S)
#define COOKIE_AGE_MAX	 2u /* periods: 64 to 128 s */
#define DATA_BITS	 24
#define DATA_MASK	 ((1u << DATA_BITS) - 1)

#define TS_BITS	  6
#define TS_MASK	  ((1u << TS_BITS) - 1)
#define TS_WSCALE 0xfu /* MR_TCP_MAX_WSCALE is 14, so 15 says "none" */
#define TS_SACK	  0x10u
#define TS_ECN	  0x20u

static const uint16_t mss_table[] = { 88, 536, 1220, 1300, 1440, 1460, 8960, 65483 };

/* The peer's ISN enters the hash of the data, and is not added to it as in Linux: a later segment of the
 * connection that comes first, a byte or two beyond the ISN, would pass for one with another MSS. The clock
 * can be read without it, whatever segment comes first. */
static uint32_t hash(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t irs,
		     uint32_t count, uint32_t purpose)
{
	struct {
		struct mr_addr laddr, raddr;
		uint16_t lport, rport;
		uint32_t irs, count, purpose;
	} in = { flow->laddr, flow->raddr, flow->lport, flow->rport, irs, count, purpose };

	_Static_assert(sizeof(in) == 48, "no padding may enter the hash");
	return (uint32_t)mr_siphash(tcp->secret, &in, sizeof(in));
}

#define FIXED_PART  2u /* tcp_isn.c uses 0 and 1 */
#define PERIOD_PART 3u

uint32_t cookie_make(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t irs,
		     uint16_t mss, uint64_t now)
{
	uint32_t count = (uint32_t)(now / COOKIE_PERIOD_NS), data = 0;

	while (data + 1 < MR_ARRAY_SIZE(mss_table) && mss_table[data + 1] <= mss)
		data++;
	return hash(tcp, flow, 0, 0, FIXED_PART) + (count << DATA_BITS) +
	       ((hash(tcp, flow, irs, count, PERIOD_PART) + data) & DATA_MASK);
}

/* In periods; COOKIE_AGE_MAX or more: none of ours. */
static uint32_t age_of(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t cookie,
		       uint64_t now)
{
	uint32_t count = (uint32_t)(now / COOKIE_PERIOD_NS);

	cookie -= hash(tcp, flow, 0, 0, FIXED_PART);
	return (count - (cookie >> DATA_BITS)) & (UINT32_MAX >> DATA_BITS);
}

bool cookie_is_recent(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t cookie,
		      uint64_t now)
{
	return age_of(tcp, flow, cookie, now) < COOKIE_AGE_MAX;
}

uint16_t cookie_check(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t irs,
		      uint32_t cookie, uint64_t now)
{
	uint32_t count = (uint32_t)(now / COOKIE_PERIOD_NS), data;
	uint32_t age = age_of(tcp, flow, cookie, now);

	if (age >= COOKIE_AGE_MAX)
		return 0;
	cookie -= hash(tcp, flow, 0, 0, FIXED_PART);
	data = (cookie - hash(tcp, flow, irs, count - age, PERIOD_PART)) & DATA_MASK;
	return data < MR_ARRAY_SIZE(mss_table) ? mss_table[data] : 0;
}

uint32_t cookie_ts(const struct mr_tcp_synreq *req, uint64_t now)
{
	uint32_t ts = tcp_ts_now(req->ts_offset, now), bits;

	bits = req->wscale_ok ? req->snd_wscale : TS_WSCALE;
	bits |= (req->sack_ok ? TS_SACK : 0) | (req->ecn_mode == MR_ECN_MODE_CLASSIC ? TS_ECN : 0);
	ts = (ts & ~TS_MASK) | bits;
	/* Never ahead of the clock: what follows must not be older. */
	return seq_gt(ts, tcp_ts_now(req->ts_offset, now)) ? ts - (TS_MASK + 1) : ts;
}

void cookie_ts_read(struct mr_tcp_synreq *req, uint32_t tsecr)
{
	uint32_t wscale = tsecr & TS_WSCALE;

	req->wscale_ok = wscale <= MR_TCP_MAX_WSCALE;
	req->snd_wscale = req->wscale_ok ? (uint8_t)wscale : 0;
	req->sack_ok = (tsecr & TS_SACK) != 0;
	req->ecn_mode = tsecr & TS_ECN ? MR_ECN_MODE_CLASSIC : MR_ECN_MODE_NONE;
}
