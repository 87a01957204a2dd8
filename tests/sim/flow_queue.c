// SPDX-License-Identifier: BSD-2-Clause
/* flow_queue.c - what the bottleneck's queue does to flows, and flows to it. */
#include "base/compiler.h"
#include "flow.h"

/* RFC 8289 section 3: not above its target of 5 ms for longer than it takes to tell a sender. */
FLOW_TEST(codel_keeps_a_standing_queue_short_that_drop_tail_lets_grow)
{
	uint64_t srtt[2];

	for (int codel = 0; codel < 2; codel++) {
		struct flow *f;

		flows_open(fl,
			   &(struct path){ .rate_bps = MBIT(20),
					   .rtt_ns = MS(20),
					   .queue = 1 << 20,
					   .codel = codel },
			   1);
		f = flow_add(fl, &(struct flow_cfg){ .control = "newreno" });
		flows_until(fl, SEC(5));
		flow_mark(fl, f);
		flows_until(fl, SEC(15));
		srtt[codel] = flow_tcb(f)->srtt_ns;
		FLOW_CHECK(fl, flow_goodput(fl, f) > 0.8 * MBIT(20), "goodput %.0f",
			   flow_goodput(fl, f));
		FLOW_CHECK(fl, !codel == !fl->sim.wire[0].queue.marked, "%llu marks",
			   (unsigned long long)fl->sim.wire[0].queue.marked);
		flows_close(fl);
	}
	FLOW_CHECK(fl, srtt[0] > MS(100) && srtt[1] < MS(45), "%llu and %llu us",
		   srtt[0] / MR_NS_PER_US, srtt[1] / MR_NS_PER_US);
}

/* RFC 9438 section 1 and 4.1: in the long run two of them share one bottleneck equally. */
FLOW_TEST(rfc9438_5_2_two_cubic_flows_share_a_bottleneck_with_jain_above_95_percent)
{
	double jain = 0;

	for (uint64_t seed = 1; seed <= 3; seed++) {
		flows_open(fl, &(struct path){ .rate_bps = MBIT(50), .rtt_ns = MS(20) }, seed);
		flow_add(fl, &(struct flow_cfg){ .control = "cubic" });
		flow_add(fl, &(struct flow_cfg){ .control = "cubic", .start_ns = MS(5000) });
		flows_until(fl, SEC(10));
		flow_mark(fl, &fl->flow[0]);
		flow_mark(fl, &fl->flow[1]);
		flows_until(fl, SEC(70));
		FLOW_CHECK(fl,
			   flow_goodput(fl, &fl->flow[0]) + flow_goodput(fl, &fl->flow[1]) >
				   0.9 * MBIT(50),
			   "the link is not full");
		jain += flows_jain(fl) / 3;
		flows_close(fl);
	}
	FLOW_CHECK(fl, jain > 0.95, "Jain's index is %.3f", jain);
}

/* SO_MAX_PACING_RATE: the rate to within 2 %, and never more in the queue than a quantum of 1 ms (and what a
 * tick of the timer wheel adds to it). */
FLOW_TEST(pacing_keeps_its_rate_and_the_queue_nearly_empty)
{
	static const uint64_t rates[] = { MBIT(0.5) / 8, MBIT(5) / 8, MBIT(40) / 8 };

	for (unsigned i = 0; i < MR_ARRAY_SIZE(rates); i++) {
		double want = (double)rates[i] * 8;
		struct flow *f;

		flows_open(fl, &(struct path){ .rate_bps = MBIT(50), .rtt_ns = MS(30) }, 1);
		f = flow_add(fl, &(struct flow_cfg){ .control = "cubic", .pacing = rates[i] });
		flows_until(fl, SEC(2));
		flow_mark(fl, f);
		flows_until(fl, SEC(12));
		FLOW_CHECK(fl,
			   flow_goodput(fl, f) > 0.98 * want && flow_goodput(fl, f) < 1.02 * want,
			   "%.2f of %.2f Mbit/s", flow_goodput(fl, f) / 1e6, want / 1e6);
		FLOW_CHECK(fl, fl->sim.wire[0].queue.most_bytes < 3 * 1514 + rates[i] / 1000,
			   "%u bytes waited", fl->sim.wire[0].queue.most_bytes);
		flows_close(fl);
	}
}
