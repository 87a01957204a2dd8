// SPDX-License-Identifier: BSD-2-Clause
/* flow_bbr.c - BBR over one bottleneck: draft-ietf-ccwg-bbr, among others the test cases of its appendix. */
#include "base/compiler.h"
#include "flow.h"
#include "tcp/tcp_priv.h"

#define PAYLOAD (1448.0 / 1514.0) /* of the link's rate */

static const struct flow_cfg bbr = { .control = "bbr" };
static const struct path slow_path = { .rate_bps = MBIT(20), .rtt_ns = MS(50) };

static struct flow *start(struct flows *fl, const struct path *path, uint64_t ns)
{
	struct flow *f;

	flows_open(fl, path, 1);
	f = flow_add(fl, &bbr);
	flows_until(fl, ns);
	flow_mark(fl, f);
	return f;
}

static double pacing_mbit(const struct flow *f)
{
	return (double)flow_tcb(f)->sending->pace.rate * 8 / 1e6;
}

/* Bytes that are on the way without a queue. */
static double bdp(const struct path *path)
{
	return (double)path->rate_bps / 8 * PAYLOAD * (double)path->rtt_ns / 1e9;
}

/* "Exiting STARTUP on Bandwidth Plateau": within 2 %, at rates and RTTs far apart. */
FLOW_TEST(bbr_finds_the_bandwidth_of_the_path_within_2_percent)
{
	static const struct path paths[] = {
		{ .rate_bps = MBIT(10), .rtt_ns = MS(1) },
		{ .rate_bps = MBIT(50), .rtt_ns = MS(40) },
		{ .rate_bps = MBIT(20), .rtt_ns = MS(600) },
	};

	for (unsigned i = 0; i < MR_ARRAY_SIZE(paths); i++) {
		const struct path *p = &paths[i];
		double rate = (double)p->rate_bps * PAYLOAD / 1e6, most = 0, least = 1e9;
		struct flow *f = start(fl, p, 20 * p->rtt_ns + SEC(2));
		uint64_t t = fl->sim.now;

		/* While cruising it is 99 % of the estimate. */
		for (unsigned k = 0; k < 50; k++) {
			flows_until(fl, t += MS(100));
			most = mr_max(most, pacing_mbit(f));
			least = mr_min(least, pacing_mbit(f));
		}
		FLOW_CHECK(fl, most < 1.02 * 1.25 * rate && least > 0.98 * 0.99 * 0.9 * rate,
			   "%.2f to %.2f of %.2f Mbit/s", least, most, rate);
		FLOW_CHECK(fl, flow_goodput(fl, f) > 0.9 * rate * 1e6, "%.2f of %.2f Mbit/s",
			   flow_goodput(fl, f) / 1e6, rate);
		flows_close(fl);
	}
}

/* "Correctly Managing Sub-Packet BDPs": the least cwnd keeps the pipe full, and there is no more queue than
 * that and the quanta of section 5.5.7 make. */
FLOW_TEST(bbr_fills_a_path_whose_bdp_is_less_than_a_packet)
{
	const struct path path = { .rate_bps = MBIT(0.2), .rtt_ns = MS(40) };
	struct flow *f = start(fl, &path, SEC(10));
	unsigned cruising = 0, most = 0, looks = 100;
	uint64_t t = SEC(20);

	for (unsigned i = 0; i < looks; i++) {
		flows_until(fl, t += MS(200));
		cruising += flow_tcb(f)->cwnd <= 9u * flow_tcb(f)->snd_mss;
		most = mr_max(most, flow_tcb(f)->cwnd / flow_tcb(f)->snd_mss);
	}
	FLOW_CHECK(fl, flow_goodput(fl, f) > 0.9 * MBIT(0.2), "%.3f Mbit/s",
		   flow_goodput(fl, f) / 1e6);
	/* More than that only while it probes for bandwidth. */
	FLOW_CHECK(fl, cruising > looks / 2 && most <= 12, "%u of %u looks, at most %u segments",
		   cruising, looks, most);
	flows_close(fl);
}

/* Section 3.1: it does not fill the queue, as loss-based controls must. */
FLOW_TEST(bbr_leaves_a_deep_queue_nearly_empty)
{
	const struct path path = { .rate_bps = MBIT(50), .rtt_ns = MS(20), .queue = 2u << 20 };
	struct flow *f = start(fl, &path, SEC(3));
	uint64_t sum = 0, t = fl->sim.now;

	for (unsigned i = 0; i < 200; i++) {
		flows_until(fl, t += MS(50));
		sum += flow_tcb(f)->srtt_ns;
	}
	FLOW_CHECK(fl, sum / 200 < MS(24), "the mean RTT is %llu us", sum / 200 / MR_NS_PER_US);
	FLOW_CHECK(fl, !flow_tcb(f)->retrans, "%u retransmissions", flow_tcb(f)->retrans);
	flows_close(fl);
}

/* How often BBR probes the RTT in that time; *low: for how many spells of 10 ms in all. */
static unsigned rtt_probes(struct flows *fl, struct flow *f, uint64_t ns, unsigned *low)
{
	unsigned probes = 0;
	bool was = false;

	*low = 0;
	for (uint64_t end = fl->sim.now + ns; fl->sim.now < end;) {
		bool is;

		flows_until(fl, fl->sim.now + MS(10));
		is = tcb_in_flight(flow_tcb(f)) < 0.6 * bdp(&fl->path);
		*low += is;
		probes += is && !was;
		was = is;
	}
	return probes;
}

/* Section 5.3.4: half a BDP for at least 200 ms, every 5 s if the least RTT is not seen by itself. */
FLOW_TEST(bbr_probes_the_rtt_every_5_seconds)
{
	struct flow *f = start(fl, &slow_path, SEC(2));
	unsigned low, probes = rtt_probes(fl, f, SEC(20), &low);

	FLOW_CHECK(fl, probes >= 2 && probes <= 4, "%u probes in 20 s", probes);
	FLOW_CHECK(fl, low >= 18 * probes, "%u0 ms in %u probes", low, probes);
	flows_close(fl);
}

/* Its stamps are milliseconds in 32 bits: after 25 days of silence they must not stand ahead of the time. */
FLOW_TEST(bbr_probes_the_rtt_behind_a_month_of_silence)
{
	struct flow *f = start(fl, &slow_path, SEC(2));
	unsigned low, probes;

	flow_limit(fl, f, 1);
	flows_until(fl, fl->sim.now + SEC(20)); /* what was written is sent */
	FLOW_CHECK(fl, !tcb_in_flight(flow_tcb(f)), "not silent");
	fl->sim.now += SEC(30ull * 86400);
	flow_limit(fl, f, 0);
	flows_until(fl, fl->sim.now + SEC(2));
	probes = rtt_probes(fl, f, SEC(20), &low);
	FLOW_CHECK(fl, probes >= 2 && probes <= 4, "%u probes in 20 s", probes);
	flows_close(fl);
}

/* Section 5.3.3.5.2: random loss of 1 % is borne. What is left is what the
 * section's model says: 74 % on the average. */
FLOW_TEST(bbr_bears_one_percent_of_random_loss)
{
	const struct path path = { .rate_bps = MBIT(50), .rtt_ns = MS(40), .loss_ppm = 10000 };
	struct flow *f = start(fl, &path, SEC(3));

	flows_until(fl, SEC(23));
	FLOW_CHECK(fl, flow_goodput(fl, f) > 0.65 * MBIT(50), "%.1f Mbit/s",
		   flow_goodput(fl, f) / 1e6);
	flows_close(fl);
}

/* Section 5.3.4 takes back what losses had lowered when ProbeRTT ends. What was delivered meanwhile is half of
 * what the path can, and no measure for the losses of the round that follows. */
FLOW_TEST(bbr_does_not_take_the_rate_of_its_rtt_probe_for_the_paths)
{
	const struct path path = { .rate_bps = MBIT(50), .rtt_ns = MS(100), .loss_ppm = 10000 };
	struct flow *f = start(fl, &path, SEC(6));
	uint64_t t = fl->sim.now, probed = 0;
	double least = 1e9;
	unsigned after = 0;

	for (unsigned i = 0; i < 5000; i++) {
		flows_until(fl, t += MS(5));
		if (tcb_in_flight(flow_tcb(f)) < 0.6 * bdp(&path)) {
			probed = t;
		} else if (probed && t - probed < MS(500)) {
			least = mr_min(least, pacing_mbit(f));
			after++;
		}
	}
	FLOW_CHECK(fl, after >= 200, "%u ms after a probe", 5 * after);
	FLOW_CHECK(fl, least > 0.8 * 50 * PAYLOAD, "%.1f Mbit/s", least);
	flows_close(fl);
}

/* Section 5.5.10: what it bears is 2 % of a round trip, however long RACK waits for late packets before it judges
 * (RFC 8985 section 6.2). Of four runs, because some leave Startup early by chance. */
FLOW_TEST(bbr_bears_random_loss_where_packets_come_late)
{
	const struct path path = { .rate_bps = MBIT(100),
				   .rtt_ns = MS(100),
				   .loss_ppm = 13000,
				   .reorder_ppm = 20000,
				   .reorder_ns = MS(50) };
	double mean = 0;

	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct flow *f;

		flows_open(fl, &path, seed);
		f = flow_add(fl, &bbr);
		flows_until(fl, SEC(10));
		flow_mark(fl, f);
		flows_until(fl, SEC(25));
		mean += flow_goodput(fl, f) / 4e6;
		flows_close(fl);
	}
	FLOW_CHECK(fl, mean > 68, "%.1f Mbit/s", mean);
}

/* "Increasing Bandwidth 10x and Ensuring Full Bandwidth is Reached" */
FLOW_TEST(bbr_finds_ten_times_the_bandwidth_within_seconds)
{
	const struct path path = { .rate_bps = MBIT(5), .rtt_ns = MS(40), .queue = 250000 };
	struct flow *f = start(fl, &path, SEC(5));

	fl->sim.wire[0].queue.cfg.rate_bps = MBIT(50);
	flows_until(fl, SEC(15));
	flow_mark(fl, f);
	flows_until(fl, SEC(20));
	FLOW_CHECK(fl, flow_goodput(fl, f) > 0.85 * MBIT(50), "%.1f Mbit/s",
		   flow_goodput(fl, f) / 1e6);
	flows_close(fl);
}

/* "Decreasing Bandwidth 10x and Ensuring Max Bandwidth Adapts Down" */
FLOW_TEST(bbr_adapts_to_a_tenth_of_the_bandwidth)
{
	const struct path path = { .rate_bps = MBIT(50), .rtt_ns = MS(40), .queue = 250000 };
	struct flow *f = start(fl, &path, SEC(5));
	uint64_t overflowed;

	fl->sim.wire[0].queue.cfg.rate_bps = MBIT(5);
	flows_until(fl, SEC(20));
	flow_mark(fl, f);
	overflowed = fl->sim.wire[0].queue.overflowed;
	flows_until(fl, SEC(30));
	FLOW_CHECK(fl, pacing_mbit(f) < 1.3 * 5, "paces at %.1f Mbit/s", pacing_mbit(f));
	FLOW_CHECK(fl, flow_goodput(fl, f) > 0.85 * MBIT(5), "%.2f Mbit/s",
		   flow_goodput(fl, f) / 1e6);
	overflowed = fl->sim.wire[0].queue.overflowed - overflowed;
	FLOW_CHECK(fl, overflowed < 200, "%llu packets overflowed", (unsigned long long)overflowed);
	flows_close(fl);
}

/* "Never Exiting PROBE_UP (or STARTUP) When Application-Limited With No Loss"; section 5.5.4: samples of
 * the application's rate do not lower the estimate. */
FLOW_TEST(bbr_does_not_take_the_applications_rate_for_the_paths)
{
	const struct path path = { .rate_bps = MBIT(50), .rtt_ns = MS(40) };
	double before;
	struct flow *f = start(fl, &path, SEC(4));

	before = pacing_mbit(f);
	flow_limit(fl, f, MBIT(2));
	flows_until(fl, SEC(12));
	FLOW_CHECK(fl, pacing_mbit(f) > 0.85 * before, "%.1f, before %.1f Mbit/s", pacing_mbit(f),
		   before);
	flow_limit(fl, f, 0);
	flow_mark(fl, f);
	flows_until(fl, SEC(13));
	FLOW_CHECK(fl, flow_goodput(fl, f) > 0.75 * MBIT(50), "%.1f Mbit/s of late",
		   flow_goodput(fl, f) / 1e6);
	flows_close(fl);
}

/* "Handling Spurious Fast Recovery": packets that are only late are no loss. */
FLOW_TEST(bbr_is_not_slowed_down_by_reordering)
{
	const struct path path = {
		.rate_bps = MBIT(50), .rtt_ns = MS(40), .reorder_ppm = 20000, .reorder_ns = MS(15)
	};
	struct flow *f = start(fl, &path, SEC(3));

	flows_until(fl, SEC(13));
	FLOW_CHECK(fl, flow_goodput(fl, f) > 0.85 * MBIT(50), "%.1f Mbit/s",
		   flow_goodput(fl, f) / 1e6);
	flows_close(fl);
}

/* Section 5.3.3: in the long run those that have much give to those that have little. */
FLOW_TEST(two_bbr_flows_share_a_bottleneck_with_jain_above_90_percent)
{
	double jain = 0;

	for (uint64_t seed = 1; seed <= 3; seed++) {
		flows_open(fl, &(struct path){ .rate_bps = MBIT(50), .rtt_ns = MS(20) }, seed);
		flow_add(fl, &bbr);
		flow_add(fl, &(struct flow_cfg){ .control = "bbr", .start_ns = MS(3000) });
		flows_until(fl, SEC(15));
		flow_mark(fl, &fl->flow[0]);
		flow_mark(fl, &fl->flow[1]);
		flows_until(fl, SEC(60));
		jain += flows_jain(fl) / 3;
		flows_close(fl);
	}
	FLOW_CHECK(fl, jain > 0.9, "Jain's index is %.3f", jain);
}

/* Section 5.3.3.5.1: neither starves the other. */
FLOW_TEST(bbr_and_cubic_each_keep_a_share_of_one_bottleneck)
{
	for (unsigned bdps = 1; bdps <= 4; bdps *= 2) {
		flows_open(fl,
			   &(struct path){
				   .rate_bps = MBIT(50), .rtt_ns = MS(30), .queue = 187500 * bdps },
			   1);
		flow_add(fl, &bbr);
		flow_add(fl, &(struct flow_cfg){ .control = "cubic" });
		flows_until(fl, SEC(10));
		flow_mark(fl, &fl->flow[0]);
		flow_mark(fl, &fl->flow[1]);
		flows_until(fl, SEC(60));
		for (unsigned i = 0; i < 2; i++)
			FLOW_CHECK(fl, flow_goodput(fl, &fl->flow[i]) > 0.1 * MBIT(50),
				   "queue of %u BDP: BBR %.1f, CUBIC %.1f Mbit/s", bdps,
				   flow_goodput(fl, &fl->flow[0]) / 1e6,
				   flow_goodput(fl, &fl->flow[1]) / 1e6);
		flows_close(fl);
	}
}
