// SPDX-License-Identifier: BSD-2-Clause
/* test_tcp_hystart.c - RFC 9406: when slow start is left, how, and when that is taken back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "tcp/tcp_hystart.h"

#define MS  MR_NS_PER_MS
#define MSS 1000u

struct start {
	struct mr_tcb tcb;
	struct hystart h;
};

/* cwnd 20 segments, all of them in flight, nothing acknowledged. */
static void start_open(struct start *s)
{
	memset(s, 0, sizeof(*s));
	s->tcb.snd_mss = MSS;
	s->tcb.cwnd = 20 * MSS;
	s->tcb.ssthresh = UINT32_MAX;
	s->tcb.snd_una = s->tcb.snd_nxt = 0u - 30 * MSS; /* wraps soon */
	hystart_init(&s->h, &s->tcb);
	s->tcb.snd_nxt += s->tcb.cwnd;
}

static void start_ack(struct start *s, uint32_t acked, uint64_t rtt_ns)
{
	s->tcb.snd_una += acked;
	hystart_acked(&s->h, &s->tcb, acked, rtt_ns);
	s->tcb.snd_nxt = s->tcb.snd_una + s->tcb.cwnd;
}

/* One round, segment by segment; returns the bytes that it acknowledged. It ends with the
 * last byte that had been sent when it began. */
static uint32_t start_round(struct start *s, uint64_t rtt_ns)
{
	uint32_t begin = s->tcb.snd_una;
	uint32_t end = s->h.window_end == begin ? s->tcb.snd_nxt : s->h.window_end;

	while (seq_lt(s->tcb.snd_una, end))
		start_ack(s, mr_min(seq_diff(end, s->tcb.snd_una), MSS), rtt_ns);
	return end - begin;
}

static bool in_css(const struct start *s)
{
	return s->h.baseline_ns != MR_TIME_NEVER;
}

static void cwnd_doubles_in_each_round_of_constant_rtt(void **state)
{
	struct start s;

	(void)state;
	start_open(&s);
	for (uint32_t i = 1; i <= 12; i++) {
		uint32_t cwnd = s.tcb.cwnd, acked = start_round(&s, 100 * MS);

		assert_int_equal(s.tcb.cwnd, cwnd + acked);
		assert_true(acked >= cwnd - 2 * MSS);
	}
	assert_int_equal(s.tcb.ssthresh, UINT32_MAX);
}

/* Section 4.2: an eighth of the round before, but between 4 and 16 ms. */
static void rfc9406_4_2_a_rise_of_the_rtt_by_the_threshold_begins_css(void **state)
{
	static const struct {
		uint64_t base_ns, rise_ns;
		bool css;
	} rows[] = {
		{ 1 * MS, 4 * MS - 1, false },	  { 1 * MS, 4 * MS, true },
		{ 32 * MS, 4 * MS - 1, false },	  { 32 * MS, 4 * MS, true },
		{ 64 * MS, 8 * MS - 1, false },	  { 64 * MS, 8 * MS, true },
		{ 128 * MS, 16 * MS - 1, false }, { 128 * MS, 16 * MS, true },
		{ 800 * MS, 16 * MS - 1, false }, { 800 * MS, 16 * MS, true },
	};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct start s;

		start_open(&s);
		start_round(&s, rows[i].base_ns);
		start_round(&s, rows[i].base_ns + rows[i].rise_ns);
		assert_int_equal(in_css(&s), rows[i].css);
		assert_int_equal(s.tcb.ssthresh, UINT32_MAX);
	}
}

static void rfc9406_4_2_fewer_than_eight_samples_in_a_round_say_nothing(void **state)
{
	struct start s;

	(void)state;
	start_open(&s);
	start_round(&s, 100 * MS);
	for (int i = 0; i < 7; i++)
		start_ack(&s, MSS, 200 * MS);
	for (int i = 0; i < 20; i++)
		start_ack(&s, MSS, 0); /* Karn: no sample */
	assert_false(in_css(&s));
	start_ack(&s, MSS, 200 * MS);
	assert_true(in_css(&s));
}

/* One sample as low as before is enough: a queue would delay all of them. */
static void the_least_rtt_of_the_round_decides(void **state)
{
	struct start s;

	(void)state;
	start_open(&s);
	start_round(&s, 100 * MS);
	start_ack(&s, MSS, 101 * MS);
	start_round(&s, 300 * MS);
	assert_false(in_css(&s));
}

static void rfc9406_4_2_css_grows_by_a_quarter_and_ends_slow_start_after_five_rounds(void **state)
{
	struct start s;
	uint32_t cwnd, acked;

	(void)state;
	start_open(&s);
	start_round(&s, 100 * MS);
	start_round(&s, 150 * MS); /* the eighth ACK begins CSS: this is its first round */
	assert_true(in_css(&s));
	for (int i = 2; i <= 5; i++) {
		assert_int_equal(s.tcb.ssthresh, UINT32_MAX);
		cwnd = s.tcb.cwnd;
		acked = start_round(&s, 150 * MS);
		assert_in_range(s.tcb.cwnd, cwnd + acked / 4 - 1, cwnd + acked / 4);
	}
	assert_int_equal(s.tcb.ssthresh, s.tcb.cwnd);
}

static void rfc9406_4_2_an_rtt_below_the_baseline_resumes_slow_start(void **state)
{
	struct start s;
	uint32_t cwnd, acked;

	(void)state;
	start_open(&s);
	start_round(&s, 100 * MS);
	start_round(&s, 150 * MS);
	start_round(&s, 150 * MS);
	assert_true(in_css(&s));
	start_round(&s, 149 * MS);
	assert_false(in_css(&s));
	cwnd = s.tcb.cwnd;
	acked = start_round(&s, 149 * MS);
	assert_int_equal(s.tcb.cwnd, cwnd + acked);
	/* And a new rise begins a new CSS, which has all its rounds. */
	start_round(&s, 200 * MS);
	for (int i = 2; i <= 5; i++) {
		assert_true(in_css(&s));
		assert_int_equal(s.tcb.ssthresh, UINT32_MAX);
		start_round(&s, 200 * MS);
	}
	assert_int_equal(s.tcb.ssthresh, s.tcb.cwnd);
}

/* While cwnd is no limit nobody calls; the sequence numbers go on, even round once. */
static void a_round_that_was_left_long_ago_is_over(void **state)
{
	static const uint32_t jumps[] = { 10000 * MSS, 0x7fffffff, 0x80000000, 0xf0000000 };

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(jumps); i++) {
		struct start s;

		start_open(&s);
		start_round(&s, 100 * MS);
		start_ack(&s, MSS, 100 * MS);
		s.tcb.snd_una += jumps[i];
		s.tcb.snd_nxt = s.tcb.snd_una + s.tcb.cwnd;
		start_ack(&s, MSS, 0);
		assert_int_equal(s.h.window_end, s.tcb.snd_nxt - MSS - MSS);
		assert_int_equal(s.h.samples, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cwnd_doubles_in_each_round_of_constant_rtt),
		cmocka_unit_test(rfc9406_4_2_a_rise_of_the_rtt_by_the_threshold_begins_css),
		cmocka_unit_test(rfc9406_4_2_fewer_than_eight_samples_in_a_round_say_nothing),
		cmocka_unit_test(the_least_rtt_of_the_round_decides),
		cmocka_unit_test(
			rfc9406_4_2_css_grows_by_a_quarter_and_ends_slow_start_after_five_rounds),
		cmocka_unit_test(rfc9406_4_2_an_rtt_below_the_baseline_resumes_slow_start),
		cmocka_unit_test(a_round_that_was_left_long_ago_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
