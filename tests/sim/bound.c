// SPDX-License-Identifier: BSD-2-Clause
/*
 * bound.c - how long a run may take: an upper bound from what was drawn, so that a stack that recovers too
 * slowly fails, and not only one that has stopped.
 *
 *	T = T_fix + T_app + sum over connections and directions of (T_wire + T_turns + T_loss + T_pace)
 *
 *	T_fix	130 s: a handshake whose every try but the last is lost (RFC 6298, doubled from 1 s),
 *		or one segment that is lost as often
 *	T_app	twice every pause of the applications: a window that was closed so long is probed with a
 *		delay as long; and the delays before their ends
 *	T_wire	2 * 8 * (bytes + 100 * n) / rate: all of it twice at the bottleneck's rate
 *	T_turns (bytes / w + 20) * (RTT + 40 ms): a window in each round trip, and a delayed ACK. Where a
 *		window is less than two segments, RTO in place of the 40 ms: silly windows are waited out
 *	T_loss	3 * (p * n + 3 * sqrt(p * n) + 3) * RTO: each loss is waited for alone, and retransmissions
 *		are lost, too
 *	T_pace	2 * (bytes + MSS * losses as above) / pace: where the application has set a rate
 *
 * with, for a direction of so many bytes,
 *	MSS	what the smaller MTU leaves
 *	n	bytes / MSS + 10 segments: and SYN, FIN, window probes
 *	w	half of the smaller of the two buffers
 *	p	the odds of a segment or of its ACK to be lost (in bursts: all of them), corrupted, or, one in
 *		a full queue, dropped at the bottleneck or by the receiving device
 *	RTT	both ways' delay, jitter, the latest a reordered or held packet comes, ACK clumps, and both
 *		queues full
 *	RTO	200 ms + 3 * RTT: the variance term follows the jitter
 */
#include "base/compiler.h"
#include "scenario.h"

#define FIX_NS	   (130 * MR_NS_PER_S)
#define HEADERS	   100u
#define EXTRA_SEGS 10u
#define TURNS	   20u
#define PPM	   1000000ull

static uint64_t root(uint64_t v)
{
	uint64_t r = 0;

	while ((r + 1) * (r + 1) <= v)
		r++;
	return r;
}

/* Of the narrowest link between the hosts. */
static uint32_t path_mtu(const struct run *run)
{
	uint32_t mtu = mr_min(run->wire[0].mtu, run->wire[1].mtu);

	for (unsigned i = 0; i < 2; i++)
		if (run->box[i].mtu)
			mtu = mr_min(mtu, run->box[i].mtu);
	return mtu;
}

static uint64_t one_way_ns(const struct sim_wire_cfg *w)
{
	uint64_t t = w->delay_ns + w->jitter_ns + w->ack_gather_ns;

	if (w->reorder_ppm || w->dup_ppm)
		t += w->reorder_ns;
	if (w->hold_ppm)
		t += w->hold_ns;
	if (w->queue.rate_bps)
		t += (w->queue.limit + w->mtu) * 8ull * MR_NS_PER_S / w->queue.rate_bps;
	return t;
}

/* Of a segment that passes this wire, in millionths. */
static uint64_t loss_ppm(const struct sim_wire_cfg *w, const struct sim_host_cfg *to, uint32_t mss)
{
	uint64_t p = (uint64_t)w->loss_ppm + w->corrupt_ppm + w->ack_loss_ppm;

	if (w->burst_begin_ppm) /* the share of packets in a bad time */
		p += PPM * w->burst_begin_ppm / (w->burst_begin_ppm + w->burst_end_ppm);
	if (w->queue.rate_bps)
		p += PPM * mss / mr_max(w->queue.limit, mss);
	if (to->dev.rx_ring < 4096 || to->nframes < 8192)
		p += PPM / mr_min(to->dev.rx_ring, 64u);
	return mr_min(p, PPM / 2);
}

static uint32_t window(const struct run *run, const struct wl_side *from, const struct wl_side *to)
{
	const struct sim_host_cfg *h = run->host;
	uint32_t snd = from->plan.sndbuf ? from->plan.sndbuf : h[from->host->index].sndbuf;
	uint32_t rcv = to->plan.rcvbuf ? to->plan.rcvbuf : h[to->host->index].rcvbuf;

	if (!to->active && run->wl.listen_rcvbuf[to->host->index])
		rcv = mr_min(rcv, run->wl.listen_rcvbuf[to->host->index]);
	return mr_min(snd, rcv) / 2;
}

static uint64_t direction_ns(const struct run *run, const struct wl_side *from,
			     const struct wl_side *to, int data)
{
	const struct sim_wire_cfg *there = &run->wire[data], *back = &run->wire[!data];
	const uint32_t mss = path_mtu(run) - HEADERS;
	const uint64_t bytes = from->plan.tx_total, n = bytes / mss + EXTRA_SEGS;
	const uint64_t w = window(run, from, to);
	const uint64_t rtt = one_way_ns(there) + one_way_ns(back);
	const uint64_t rto = MR_TCP_RTO_MIN_NS + 3 * rtt;
	const uint64_t p =
		loss_ppm(there, &run->host[!data], mss) + loss_ppm(back, &run->host[data], mss);
	const uint64_t losses = n * p / PPM, waits = 3 * (losses + 3 * root(losses) + 3);
	uint64_t t;

	t = (bytes / w + TURNS) * (w < 2 * mss ? rtt + rto : rtt + MR_TCP_DELACK_NS);
	if (there->queue.rate_bps)
		t += 2 * 8 * (bytes + HEADERS * n) * MR_NS_PER_S / there->queue.rate_bps;
	if (p || run->box[0].mtu || run->box[1].mtu)
		t += waits * rto;
	if (from->plan.pacing)
		t += 2 * (bytes + mss * waits) * MR_NS_PER_S / from->plan.pacing;
	return t;
}

uint64_t sim_bound_ns(const struct run *run)
{
	uint64_t t = FIX_NS;

	for (unsigned i = 0; i < run->wl.nconns; i++) {
		const struct wl_side *side = run->wl.conn[i].side;

		for (unsigned k = 0; k < 2; k++) {
			t += 2 * side[k].plan.pauses_left * side[k].plan.pause_max_ns +
			     side[k].plan.end_delay_ns;
			t += direction_ns(run, &side[k], &side[!k], side[k].host->index);
		}
	}
	return t;
}
