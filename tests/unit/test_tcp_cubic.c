// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_tcp_cubic.c - CUBIC against the formulas of RFC 9438, computed here in floating point.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

#define MS  MR_NS_PER_MS
#define MSS 1000u

/* A sender that cwnd alone holds back, on a path of constant RTT, ACKed two segments at a time. */
struct path {
	struct mr_tcb tcb;
	struct mr_sending sending;
	uint64_t now, rtt_ns;
};

static void path_open(struct path *p, uint32_t mss, uint64_t rtt_ns)
{
	memset(p, 0, sizeof(*p));
	p->tcb.snd_mss = (uint16_t)mss;
	p->tcb.srtt_ns = rtt_ns;
	p->tcb.sending = &p->sending;
	p->sending.cwv.limited = true;
	p->rtt_ns = rtt_ns;
	p->now = 1000 * MS;
	mr_cong_cubic.init(&p->tcb, p->now);
}

static void path_ack(struct path *p, uint32_t acked)
{
	p->now += p->rtt_ns * acked / p->tcb.cwnd;
	p->tcb.snd_una += acked;
	p->tcb.snd_nxt = p->tcb.snd_una + p->tcb.cwnd;
	mr_cong_cubic.acked(&p->tcb, acked, p->rtt_ns, p->now);
}

static void path_run(struct path *p, uint64_t ns)
{
	uint64_t end = p->now + ns;

	while (p->now < end)
		path_ack(p, 2u * p->tcb.snd_mss);
}

/* A loss with cwnd at `segs`, and its recovery. The first ACK after it begins the epoch. */
static void path_lose(struct path *p, uint32_t segs)
{
	p->tcb.cwnd = segs * p->tcb.snd_mss;
	p->tcb.ssthresh = mr_cong_cubic.ssthresh(&p->tcb, p->tcb.cwnd, p->now);
	p->tcb.cwnd = p->tcb.ssthresh;
	path_ack(p, p->tcb.snd_mss);
}

static double cube_root(double x)
{
	double r = x > 1 ? x : 1;

	for (int i = 0; i < 200; i++)
		r = (2 * r + x / (r * r)) / 3;
	return x > 0 ? r : 0;
}

/* RFC 9438 section 4.2, in segments and seconds. */
static double curve(double w_max, double cwnd_epoch, double t)
{
	double d = t - cube_root((w_max - cwnd_epoch) / 0.4);

	return 0.4 * d * d * d + w_max;
}

static void assert_near(double is, double want, double part)
{
	if (is < want * (1 - part) || is > want * (1 + part))
		fail_msg("is %.3f, and should be %.3f", is, want);
}

static double segs(const struct path *p)
{
	return (double)p->tcb.cwnd / p->tcb.snd_mss;
}

/* ---- Sections 4.2, 4.4, 4.5 ------------------------------------------------------------------ */

static void rfc9438_4_2_cwnd_follows_the_cubic_curve_within_1_percent(void **state)
{
	static const struct {
		uint32_t mss, w_max;
		uint64_t rtt_ms;
	} rows[] = {
		{ 1448, 150, 300 },  { 1448, 300, 100 },   { 1448, 1000, 100 },
		{ 1448, 1000, 50 },  { 88, 1000, 100 },	   { 8948, 1000, 50 },
		{ 1448, 10000, 50 }, { 536, 100000, 100 }, { 65483, 500, 80 },
	};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		double w = rows[i].w_max, k = cube_root(w * 0.3 / 0.4);
		struct path p;
		uint64_t began;

		path_open(&p, rows[i].mss, rows[i].rtt_ms * MS);
		path_lose(&p, rows[i].w_max);
		began = p.now;
		/* From the concave part through the plateau far into the convex one. */
		for (int step = 1; step <= 18; step++) {
			double t;

			path_run(&p, (uint64_t)(k / 10 * 1e9));
			t = (double)(p.now - began) / 1e9;
			assert_near(segs(&p), curve(w, 0.7 * w, t), 0.01);
		}
	}
}

/* An RTT so long that the target, the curve one RTT ahead, is far above. */
static void rfc9438_4_2_each_ack_adds_half_of_what_it_acknowledges_at_most(void **state)
{
	struct path p;

	(void)state;
	path_open(&p, MSS, 5000 * MS);
	path_lose(&p, 20);
	for (int i = 0; i < 100; i++) {
		uint32_t before = p.tcb.cwnd;

		path_ack(&p, 2 * MSS);
		assert_in_range(p.tcb.cwnd, before + MSS - 1, before + MSS);
	}
}

static void nothing_overflows_at_the_ends_of_the_ranges(void **state)
{
	static const uint32_t mss[] = { 88, 1448, 65483 };

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(mss); i++) {
		struct path p;
		uint32_t before;

		path_open(&p, mss[i], 60000 * MS);
		path_lose(&p, (1u << 30) / mss[i]);
		before = p.tcb.cwnd;
		for (int k = 0; k < 1000 && p.tcb.cwnd < 1u << 30; k++) {
			path_ack(&p, p.tcb.cwnd / 4);
			assert_true(p.tcb.cwnd >= before && p.tcb.cwnd - before <= before / 2);
			before = p.tcb.cwnd;
		}
	}
}

/* ---- Section 4.3 ----------------------------------------------------------------------------- */

static void rfc9438_4_3_at_a_small_bdp_cwnd_grows_as_renos_does(void **state)
{
	struct path p;

	(void)state;
	path_open(&p, MSS, 10 * MS);
	path_lose(&p, 40);
	/* 9/17 of a segment per RTT, up to what cwnd was before the loss. */
	path_run(&p, 20 * p.rtt_ns);
	assert_near(segs(&p), 28 + 20 * 9 / 17.0, 0.02);
	path_run(&p, 2 * p.rtt_ns + p.rtt_ns * 2 / 3);
	assert_near(segs(&p), 40, 0.02);
	/* Then one. */
	path_run(&p, 30 * p.rtt_ns);
	assert_near(segs(&p), 70, 0.02);
}

/* ---- Sections 4.6 to 4.8 --------------------------------------------------------------------- */

static void rfc9438_4_6_a_loss_leaves_seven_tenths_of_the_window_in_use(void **state)
{
	static const struct {
		bool limited;
		uint32_t cwnd, in_flight, ssthresh;
	} rows[] = {
		{ true, 100 * MSS, 100 * MSS, 70 * MSS },
		{ true, 100 * MSS, 55 * MSS, 70 * MSS },  /* the batch has emptied the pipe */
		{ false, 100 * MSS, 40 * MSS, 28 * MSS }, /* cwnd was never tried */
		{ false, 100 * MSS, 103 * MSS, 70 * MSS },
		{ true, 2 * MSS, 2 * MSS, 2 * MSS }, /* the least */
		{ true, UINT32_MAX, UINT32_MAX, 3006477106 },
	};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct path p;

		path_open(&p, MSS, 100 * MS);
		p.sending.cwv.limited = rows[i].limited;
		p.tcb.cwnd = rows[i].cwnd;
		assert_int_equal(mr_cong_cubic.ssthresh(&p.tcb, rows[i].in_flight, p.now),
				 rows[i].ssthresh);
		assert_int_equal(p.tcb.cwnd, rows[i].cwnd);
	}
}

static void rfc9438_4_7_a_loss_below_the_plateau_lowers_the_plateau_to_85_percent(void **state)
{
	struct path p;
	uint64_t began;

	(void)state;
	path_open(&p, MSS, 100 * MS);
	path_lose(&p, 1000);
	path_lose(&p, 800);
	began = p.now;
	path_run(&p, 6 * MR_NS_PER_S);
	assert_near(segs(&p), curve(680, 560, (double)(p.now - began) / 1e9), 0.01);
	path_lose(&p, 900); /* above: the plateau is where the loss was */
	began = p.now;
	path_run(&p, 6 * MR_NS_PER_S);
	assert_near(segs(&p), curve(900, 630, (double)(p.now - began) / 1e9), 0.01);
}

static void rfc9438_4_8_after_a_timeout_the_curve_begins_at_its_plateau(void **state)
{
	struct path p;
	uint64_t began;

	(void)state;
	path_open(&p, MSS, 100 * MS);
	p.tcb.cwnd = 1000 * MSS;
	p.tcb.ssthresh = mr_cong_cubic.ssthresh(&p.tcb, p.tcb.cwnd, p.now);
	mr_cong_cubic.timeout(&p.tcb, p.now);
	assert_int_equal(p.tcb.ssthresh, 700 * MSS);
	p.tcb.cwnd = MSS;
	while (p.tcb.cwnd < p.tcb.ssthresh)
		path_ack(&p, MSS);
	assert_int_equal(p.tcb.cwnd, 700 * MSS);
	path_ack(&p, MSS);
	began = p.now;
	path_run(&p, 8 * MR_NS_PER_S);
	assert_near(segs(&p), curve(700, 700, (double)(p.now - began) / 1e9), 0.01);
}

/* ---- Section 4.9 ----------------------------------------------------------------------------- */

static void rfc4015_3_2_after_undo_the_curve_goes_on_as_if_there_had_been_no_loss(void **state)
{
	for (int timeout = 0; timeout < 2; timeout++) {
		struct path p;
		uint32_t cwnd, ssthresh;
		uint64_t began;

		(void)state;
		path_open(&p, MSS, 100 * MS);
		path_lose(&p, 1000);
		began = p.now;
		path_run(&p, 4 * MR_NS_PER_S);
		cwnd = p.tcb.cwnd;
		ssthresh = p.tcb.ssthresh;
		p.tcb.ssthresh = mr_cong_cubic.ssthresh(&p.tcb, cwnd, p.now);
		if (timeout)
			mr_cong_cubic.timeout(&p.tcb, p.now);
		p.tcb.cwnd = timeout ? MSS : p.tcb.ssthresh;
		p.now += 150 * MS;
		began += 150 * MS;
		p.tcb.cwnd = cwnd;
		p.tcb.ssthresh = ssthresh;
		mr_cong_cubic.undo(&p.tcb, p.now);
		path_run(&p, 8 * MR_NS_PER_S);
		assert_near(segs(&p), curve(1000, 700, (double)(p.now - began) / 1e9), 0.01);
	}
}

/* ---- Section 5.8, and idle time -------------------------------------------------------------- */

static void rfc7661_4_3_time_in_which_cwnd_was_no_limit_does_not_count(void **state)
{
	struct path p;
	uint64_t began;

	(void)state;
	path_open(&p, MSS, 100 * MS);
	path_lose(&p, 1000);
	began = p.now;
	path_run(&p, 5 * MR_NS_PER_S);
	p.now += 3600 * MR_NS_PER_S;
	began += 3600 * MR_NS_PER_S - 2 * p.rtt_ns; /* two RTTs of any silence do */
	path_run(&p, 6 * MR_NS_PER_S);
	assert_near(segs(&p), curve(1000, 700, (double)(p.now - began) / 1e9), 0.01);
}

static void after_an_idle_restart_slow_start_leads_to_a_new_epoch(void **state)
{
	struct path p;
	uint64_t began;

	(void)state;
	path_open(&p, MSS, 100 * MS);
	path_lose(&p, 1000);
	path_run(&p, 9 * MR_NS_PER_S); /* the plateau */
	p.now += 60 * MR_NS_PER_S;
	p.tcb.cwnd = mr_cong_initial_window(MSS);
	while (p.tcb.cwnd < p.tcb.ssthresh)
		path_ack(&p, 2 * MSS);
	assert_int_equal(p.tcb.cwnd, 700 * MSS);
	path_ack(&p, 2 * MSS);
	began = p.now;
	path_run(&p, 6 * MR_NS_PER_S);
	assert_near(segs(&p), curve(1000, 700, (double)(p.now - began) / 1e9), 0.01);
}

static void an_idle_restart_above_ssthresh_does_not_jump_back_to_the_old_curve(void **state)
{
	struct path p;
	uint64_t began;

	(void)state;
	path_open(&p, MSS, 200 * MS);
	path_lose(&p, 13);
	path_run(&p, 20 * MR_NS_PER_S);
	assert_true(p.tcb.cwnd > 500 * MSS); /* cubed seconds behind the plateau */
	p.now += 60 * MR_NS_PER_S;
	p.tcb.cwnd = mr_cong_initial_window(MSS); /* 10 segments; ssthresh is 9.1 */
	path_ack(&p, MSS);
	began = p.now;
	path_run(&p, 3 * MR_NS_PER_S);
	/* Reno is above the young curve: 17/3 RTTs to the 13 segments from before the loss, and then
	 * a segment per RTT. */
	assert_near(segs(&p), 13 - 17 / 3.0 + (double)(p.now - began) / 200e6, 0.03);
}

/* ---- Section 4.10 ---------------------------------------------------------------------------- */

/* From init until slow start is over or cwnd is large, with an RTT that the queue adds to. */
static void slow_start(struct path *p, uint64_t rtt_ns, uint64_t queue_ns_per_seg)
{
	while (p->tcb.cwnd < p->tcb.ssthresh && p->tcb.cwnd < 4000 * MSS) {
		uint64_t queued = p->tcb.cwnd / MSS;

		queued = queued > 500 ? queued - 500 : 0;
		p->rtt_ns = rtt_ns + queued * queue_ns_per_seg;
		path_ack(p, 2 * MSS);
	}
}

static void
rfc9438_4_10_the_first_slow_start_ends_when_the_rtt_rises_and_the_curve_begins(void **state)
{
	struct path p;
	uint64_t began;
	double cwnd;

	(void)state;
	path_open(&p, MSS, 100 * MS);
	slow_start(&p, 100 * MS, 200 * MR_NS_PER_US);
	assert_true(p.tcb.cwnd < 2000 * MSS);
	assert_int_equal(p.tcb.cwnd, p.tcb.ssthresh);
	p.rtt_ns = 100 * MS;
	path_ack(&p, MSS);
	cwnd = segs(&p);
	began = p.now;
	path_run(&p, 8 * MR_NS_PER_S);
	assert_near(segs(&p), curve(cwnd, cwnd, (double)(p.now - began) / 1e9), 0.01);
}

static void the_first_slow_start_goes_on_while_the_rtt_is_flat(void **state)
{
	struct path p;

	(void)state;
	path_open(&p, MSS, 100 * MS);
	slow_start(&p, 100 * MS, 0);
	assert_int_equal(p.tcb.cwnd, 4000 * MSS);
	assert_int_equal(p.tcb.ssthresh, UINT32_MAX);
}

static void rfc9438_4_10_later_slow_starts_end_at_ssthresh_whatever_the_rtt(void **state)
{
	struct path p;

	(void)state;
	path_open(&p, MSS, 100 * MS);
	p.tcb.ssthresh = 3000 * MSS;
	slow_start(&p, 100 * MS, MS);
	assert_int_equal(p.tcb.cwnd, 3000 * MSS);
}

/* ---- By name --------------------------------------------------------------------------------- */

static void cubic_is_the_default_and_has_a_name(void **state)
{
	struct mr_tcp_opts opts;

	(void)state;
	mr_tcp_opts_default(&opts);
	assert_int_equal(opts.congestion, mr_congestion_index("cubic"));
	assert_string_equal(mr_congestion_name(mr_congestion_index("cubic")), "cubic");
	assert_string_equal(mr_congestion_name(mr_congestion_index("newreno")), "newreno");
	assert_true(mr_congestion_index("vegas") < 0);
	assert_null(mr_congestion_name(MR_CONG_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc9438_4_2_cwnd_follows_the_cubic_curve_within_1_percent),
		cmocka_unit_test(rfc9438_4_2_each_ack_adds_half_of_what_it_acknowledges_at_most),
		cmocka_unit_test(nothing_overflows_at_the_ends_of_the_ranges),
		cmocka_unit_test(rfc9438_4_3_at_a_small_bdp_cwnd_grows_as_renos_does),
		cmocka_unit_test(rfc9438_4_6_a_loss_leaves_seven_tenths_of_the_window_in_use),
		cmocka_unit_test(
			rfc9438_4_7_a_loss_below_the_plateau_lowers_the_plateau_to_85_percent),
		cmocka_unit_test(rfc9438_4_8_after_a_timeout_the_curve_begins_at_its_plateau),
		cmocka_unit_test(
			rfc4015_3_2_after_undo_the_curve_goes_on_as_if_there_had_been_no_loss),
		cmocka_unit_test(rfc7661_4_3_time_in_which_cwnd_was_no_limit_does_not_count),
		cmocka_unit_test(after_an_idle_restart_slow_start_leads_to_a_new_epoch),
		cmocka_unit_test(
			an_idle_restart_above_ssthresh_does_not_jump_back_to_the_old_curve),
		cmocka_unit_test(
			rfc9438_4_10_the_first_slow_start_ends_when_the_rtt_rises_and_the_curve_begins),
		cmocka_unit_test(the_first_slow_start_goes_on_while_the_rtt_is_flat),
		cmocka_unit_test(rfc9438_4_10_later_slow_starts_end_at_ssthresh_whatever_the_rtt),
		cmocka_unit_test(cubic_is_the_default_and_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
