// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_hystart.c - HyStart++: ends the first slow start before it overruns the path's queue. When the RTT rises,
 * growth is reduced to a quarter (conservative slow start, CSS), and ends unless the RTT falls again.
 * Implements  RFC 9406, with its recommended constants.
 * Called by   congestion controls, for each ACK while ssthresh has its initial value: later slow starts end at
 *             ssthresh.
 * Departs     from section 4.2: growth per ACK has no limit L, because our ACKs, and those of peers that merge
 * segments, are for batches.
 */
#include "tcp/tcp_cong.h"
#include "tcp/tcp_hystart.h"

/* RFC 9406 section 4.3. */
#define MIN_RTT_THRESH_NS  (4 * MR_NS_PER_MS)
#define MAX_RTT_THRESH_NS  (16 * MR_NS_PER_MS)
#define MIN_RTT_DIVISOR	   8u
#define N_RTT_SAMPLE	   8u
#define CSS_GROWTH_DIVISOR 4u
#define CSS_ROUNDS	   5u

void hystart_init(struct hystart *h, const struct mr_tcb *tcb)
{
	*h = (struct hystart){
		.last_min_ns = MR_TIME_NEVER,
		.min_ns = MR_TIME_NEVER,
		.baseline_ns = MR_TIME_NEVER,
		.window_end = tcb->snd_una,
	};
}

static bool in_css(const struct hystart *h)
{
	return h->baseline_ns != MR_TIME_NEVER;
}

static void round_begin(struct hystart *h, const struct mr_tcb *tcb)
{
	h->last_min_ns = h->min_ns;
	h->min_ns = MR_TIME_NEVER;
	h->samples = 0;
	h->window_end = tcb->snd_nxt;
}

static bool rtt_has_risen(const struct hystart *h)
{
	uint64_t thresh = mr_max(MIN_RTT_THRESH_NS,
				 mr_min(h->last_min_ns / MIN_RTT_DIVISOR, MAX_RTT_THRESH_NS));

	return h->last_min_ns != MR_TIME_NEVER && h->min_ns >= h->last_min_ns + thresh;
}

static void take_sample(struct hystart *h, uint64_t rtt_ns)
{
	h->min_ns = mr_min(h->min_ns, rtt_ns);
	if (h->samples < N_RTT_SAMPLE)
		h->samples++;
	if (h->samples < N_RTT_SAMPLE)
		return;
	if (!in_css(h) && rtt_has_risen(h)) {
		h->baseline_ns = h->min_ns;
		h->css_rounds = 0;
	} else if (in_css(h) && h->min_ns < h->baseline_ns) {
		h->baseline_ns = MR_TIME_NEVER; /* the RTT has fallen: slow start resumes */
	}
}

void hystart_acked(struct hystart *h, struct mr_tcb *tcb, uint32_t acked, uint64_t rtt_ns)
{
	/* Before the first round, and after a long time in which cwnd was not the limit, the end of the round is not
	 * in flight. */
	if (seq_leq(h->window_end, tcb->snd_una - acked) || seq_gt(h->window_end, tcb->snd_nxt))
		round_begin(h, tcb);
	mr_cong_slow_start(tcb, in_css(h) ? acked / CSS_GROWTH_DIVISOR : acked);
	if (rtt_ns)
		take_sample(h, rtt_ns);
	if (seq_lt(tcb->snd_una, h->window_end))
		return;
	/* The round in which CSS began counts as one of CSS. */
	if (in_css(h) && ++h->css_rounds == CSS_ROUNDS)
		tcb->ssthresh = tcb->cwnd;
	round_begin(h, tcb);
}
