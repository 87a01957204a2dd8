// SPDX-License-Identifier: BSD-2-Clause
/* flow_dctcp.c - DCTCP over a switch that marks above a threshold: RFC 8257. */
#include "base/compiler.h"
#include "flow.h"
#include "tcp/tcp_priv.h"

#define K (40u * 1514u) /* bytes: where the switch begins to mark */

static const struct path path = {
	.rate_bps = MBIT(200),
	.rtt_ns = MS(1),
	.queue = 1u << 20,
	.mark_above = K,
};

/* Mean of the bytes that wait, from now on for 2 s. */
static double mean_queue(struct flows *fl)
{
	uint64_t t = fl->sim.now;
	double sum = 0;

	for (unsigned i = 0; i < 2000; i++) {
		flows_until(fl, t += MS(1));
		sum += fl->sim.wire[0].queue.bytes;
	}
	return sum / 2000;
}

/* Section 1: the queue stays about the threshold, the link stays full, and nothing is lost. */
FLOW_TEST(rfc8257_3_1_dctcp_keeps_the_queue_at_the_threshold_and_the_link_full)
{
	double queue, sum = 0;

	flows_open(fl, &path, 1);
	for (unsigned i = 0; i < 3; i++)
		flow_add(fl, &(struct flow_cfg){ .control = "dctcp" });
	flows_until(fl, SEC(1));
	for (unsigned i = 0; i < 3; i++)
		flow_mark(fl, &fl->flow[i]);
	queue = mean_queue(fl);
	for (unsigned i = 0; i < 3; i++)
		sum += flow_goodput(fl, &fl->flow[i]);
	FLOW_CHECK(fl, queue > 0.25 * K && queue < 1.5 * K, "%.0f bytes wait", queue);
	FLOW_CHECK(fl, sum > 0.94 * MBIT(200), "%.1f Mbit/s", sum / 1e6);
	FLOW_CHECK(fl, !fl->sim.wire[0].queue.overflowed, "the queue overflowed");
	for (unsigned i = 0; i < 3; i++)
		FLOW_CHECK(fl, !flow_tcb(&fl->flow[i])->retrans, "something was sent again");
	flows_close(fl);
}

FLOW_TEST(dctcp_flows_share_a_bottleneck_with_jain_above_95_percent)
{
	flows_open(fl, &path, 1);
	for (unsigned i = 0; i < 4; i++)
		flow_add(fl, &(struct flow_cfg){ .control = "dctcp", .start_ns = i * MS(300) });
	flows_until(fl, SEC(3));
	for (unsigned i = 0; i < 4; i++)
		flow_mark(fl, &fl->flow[i]);
	flows_until(fl, SEC(13));
	FLOW_CHECK(fl, flows_jain(fl) > 0.95, "Jain's index is %.3f", flows_jain(fl));
	flows_close(fl);
}

/* RFC 3168 section 6.1.2 cuts to a part that does not depend on how many marks there were, so that a single
 * flow over so short a queue leaves the link idle; DCTCP's cut is as small as they are few (section 3.3). */
FLOW_TEST(rfc8257_3_1_dctcp_fills_a_link_that_reno_with_ecn_leaves_idle)
{
	static const char *const controls[] = { "newreno", "dctcp" };
	double got[2];

	for (unsigned i = 0; i < 2; i++) {
		struct path p = path;
		struct flow *f;

		p.rtt_ns = MS(4);
		p.mark_above = 20 * 1514;
		flows_open(fl, &p, 1);
		f = flow_add(fl, &(struct flow_cfg){ .control = controls[i] });
		flows_until(fl, SEC(2));
		flow_mark(fl, f);
		flows_until(fl, SEC(7));
		got[i] = flow_goodput(fl, f) / MBIT(200);
		flows_close(fl);
	}
	FLOW_CHECK(fl, got[0] < 0.87 && got[1] > 0.9, "NewReno %.3f, DCTCP %.3f", got[0], got[1]);
}
