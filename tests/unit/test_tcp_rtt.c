// SPDX-License-Identifier: BSD-2-Clause
/* test_tcp_rtt.c - RFC 6298, the clock of timestamps, NewReno's growth. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

#define MS MR_NS_PER_MS

static void rfc6298_2_2_the_first_sample_sets_srtt_and_half_of_it_as_variance(void **state)
{
	struct mr_tcb tcb = { .rto_ns = MR_TCP_RTO_INIT_NS };

	(void)state;
	rtt_sample(&tcb, 300 * MS);
	assert_int_equal(tcb.srtt_ns, 300 * MS);
	assert_int_equal(tcb.rttvar_ns, 150 * MS);
	assert_int_equal(tcb.rto_ns, (300 + 4 * 150) * MS);
}

/* (2.3): RTTVAR first, from the old SRTT: 3/4*150 + 1/4*|300-380|, 7/8*300 + 1/8*380. */
static void rfc6298_2_2_later_samples_are_smoothed(void **state)
{
	struct mr_tcb tcb = { .rto_ns = MR_TCP_RTO_INIT_NS };

	(void)state;
	rtt_sample(&tcb, 300 * MS);
	rtt_sample(&tcb, 380 * MS);
	assert_int_equal(tcb.rttvar_ns, 132500 * MR_NS_PER_US);
	assert_int_equal(tcb.srtt_ns, 310 * MS);
	assert_int_equal(tcb.rto_ns, 310 * MS + 4 * 132500 * MR_NS_PER_US);
}

static void rfc6298_2_4_the_rto_never_falls_below_srtt_plus_200_ms(void **state)
{
	struct mr_tcb tcb = { .rto_ns = MR_TCP_RTO_INIT_NS };

	(void)state;
	for (int i = 0; i < 200; i++)
		rtt_sample(&tcb, 10 * MR_NS_PER_US);
	assert_true(tcb.rto_ns >= MR_TCP_RTO_MIN_NS && tcb.rto_ns < MR_TCP_RTO_MIN_NS + MS);
}

static void rfc6298_5_5_each_back_off_doubles_up_to_120_s(void **state)
{
	struct mr_tcb tcb = { .rto_ns = MR_TCP_RTO_INIT_NS };

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		tcb.backoff = (uint8_t)i;
		assert_int_equal(rtt_rto(&tcb), mr_min(1ull << i, 120ull) * MR_NS_PER_S);
	}
	tcb.backoff = 255;
	assert_int_equal(rtt_rto(&tcb), MR_TCP_RTO_MAX_NS);
}

static void rfc6298_3_an_echo_of_something_never_sent_is_no_sample(void **state)
{
	uint64_t now = 5000 * MR_NS_PER_S;

	(void)state;
	assert_int_equal(tcp_ts_rtt(77, tcp_ts_now(77, now - 30 * MS), now), 30 * MS);
	assert_int_equal(tcp_ts_rtt(77, tcp_ts_now(77, now), now),
			 MS); /* below the clock's grain */
	assert_int_equal(tcp_ts_rtt(77, tcp_ts_now(77, now) + 1, now), 0);
	assert_int_equal(tcp_ts_rtt(77, 0, now), 0);
}

static void rfc3465_2_1_slow_start_doubles_and_avoidance_adds_one_segment_per_window(void **state)
{
	struct mr_sending sending = { 0 };
	struct mr_tcb tcb = { .snd_mss = 1000, .sending = &sending };
	uint32_t before;

	(void)state;
	mr_cong_newreno.init(&tcb, 0);
	assert_int_equal(tcb.cwnd, 10000); /* RFC 6928 */
	for (int i = 0; i < 10; i++)
		mr_cong_newreno.acked(&tcb, 1000, 0, 0);
	assert_int_equal(tcb.cwnd, 20000);
	tcb.ssthresh = 20000;
	before = tcb.cwnd;
	/* RFC 5681 (3): SMSS * SMSS / cwnd for each, of a cwnd that grows meanwhile. */
	for (int i = 0; i < 20; i++)
		mr_cong_newreno.acked(&tcb, 1000, 0, 0);
	assert_in_range(tcb.cwnd, before + 970, before + 1000);
}

static void rfc5681_3_1_slow_start_ends_at_ssthresh_exactly(void **state)
{
	struct mr_sending sending = { 0 };
	struct mr_tcb tcb = { .snd_mss = 1000, .sending = &sending };

	(void)state;
	mr_cong_newreno.init(&tcb, 0);
	tcb.ssthresh = 12500;
	mr_cong_newreno.acked(&tcb, 10000, 0, 0);
	assert_int_equal(tcb.cwnd, 12500);
}

static void rfc5681_3_1_loss_halves_the_flight_but_leaves_two_segments(void **state)
{
	struct mr_sending sending = { 0 };
	struct mr_tcb tcb = { .snd_mss = 1000, .cwnd = 50000, .sending = &sending };

	(void)state;
	assert_int_equal(mr_cong_newreno.ssthresh(&tcb, 50000, 0), 25000);
	assert_int_equal(mr_cong_newreno.ssthresh(&tcb, 90000, 0), 25000);
	assert_int_equal(mr_cong_newreno.ssthresh(&tcb, 3000, 0), 2000);
}

static void rfc6928_2_the_initial_window_is_that_of_rfc_6928(void **state)
{
	(void)state;
	assert_int_equal(mr_cong_initial_window(536), 5360);
	assert_int_equal(mr_cong_initial_window(1460), 14600);
	assert_int_equal(mr_cong_initial_window(2000), 14600);
	assert_int_equal(mr_cong_initial_window(9000), 18000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc6298_2_2_the_first_sample_sets_srtt_and_half_of_it_as_variance),
		cmocka_unit_test(rfc6298_2_2_later_samples_are_smoothed),
		cmocka_unit_test(rfc6298_2_4_the_rto_never_falls_below_srtt_plus_200_ms),
		cmocka_unit_test(rfc6298_5_5_each_back_off_doubles_up_to_120_s),
		cmocka_unit_test(rfc6298_3_an_echo_of_something_never_sent_is_no_sample),
		cmocka_unit_test(
			rfc3465_2_1_slow_start_doubles_and_avoidance_adds_one_segment_per_window),
		cmocka_unit_test(rfc5681_3_1_slow_start_ends_at_ssthresh_exactly),
		cmocka_unit_test(rfc5681_3_1_loss_halves_the_flight_but_leaves_two_segments),
		cmocka_unit_test(rfc6928_2_the_initial_window_is_that_of_rfc_6928),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
