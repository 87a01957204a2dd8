// SPDX-License-Identifier: BSD-2-Clause
/* flow_report.c - cells of the report (report.c) that take a second or two: none below its bound. */
#include "base/compiler.h"
#include "flow.h"
#include "report.h"

static void expect_not_below(struct flows *fl, const char *const *names, unsigned n, unsigned runs)
{
	for (unsigned i = 0; i < n; i++) {
		double least, got = sim_report_cell(names[i], runs, &least);

		FLOW_CHECK(fl, got >= least, "%s: %.2f of %.2f Mbit/s", names[i], got, least);
	}
}

/* Independent losses, windows of five to forty segments. */
FLOW_TEST(goodput_under_loss_is_what_textbooks_say)
{
	static const char *const names[] = {
		"newreno/20ms/5%/0%", "newreno/100ms/5%/0%", "cubic/100ms/5%/0%",
		"cubic/20ms/1%/0%",   "cubic/300ms/1%/0%",   "cubic/1ms/5%/0%",
		"bbr/20ms/1%/0%",
	};

	expect_not_below(fl, names, MR_ARRAY_SIZE(names), 2);
}

/* RFC 8985 section 6.2, RFC 3522: late packets are no losses, on long paths either, where thousands of others are
 * behind the first hole. */
FLOW_TEST(reordering_without_loss_leaves_long_paths_full)
{
	static const char *const names[] = { "cubic/100ms/0%/10%", "newreno/300ms/0%/1%",
					     "bbr/100ms/0%/10%" };

	expect_not_below(fl, names, MR_ARRAY_SIZE(names), 1);
}

FLOW_TEST(light_reordering_costs_less_than_a_tenth)
{
	static const char *const names[3][2] = { { "cubic/20ms/0%/0%", "cubic/20ms/0%/1%" },
						 { "bbr/20ms/0%/0%", "bbr/20ms/0%/1%" },
						 { "newreno/20ms/0%/0%", "newreno/20ms/0%/1%" } };

	for (unsigned i = 0; i < MR_ARRAY_SIZE(names); i++) {
		double least, without = sim_report_cell(names[i][0], 1, &least);
		double with = sim_report_cell(names[i][1], 1, &least);

		FLOW_CHECK(fl, with > 0.9 * without, "%s: %.1f, without %.1f", names[i][1], with,
			   without);
	}
}
