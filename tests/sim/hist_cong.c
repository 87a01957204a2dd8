// SPDX-License-Identifier: BSD-2-Clause
/* hist_cong.c - when data leaves, and how large the window is that it leaves with: pacing (Linux's
 * SO_MAX_PACING_RATE), congestion window validation (RFC 2861, RFC 7661). */
#include <errno.h>
#include "hist.h"

#define MSS 1460u

static const struct hist_peer with_sack = { .sack = true };

static uint32_t cwnd(struct hist *h)
{
	struct mr_sock_info info;

	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	return info.cwnd;
}

static void expect_segments(struct hist *h, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		EXPECT(h, .flags = (uint8_t)(i == first + n - 1 ? PSH | ACK : ACK),
		       .seq = 1 + i * MSS, .ack = 1, .len = MSS);
}

/* ---- Pacing ---------------------------------------------------------------------------------- */

/* A segment in 10 ms; of the first one's time 1 ms is taken as passed. */
TEST(segments_leave_at_the_rate_that_was_asked_for)
{
	struct mr_sock_info info;

	hist_established(h, &with_sack);
	hist_option(h, MR_OPT_MAX_PACING_RATE, 100 * MSS);
	hist_write(h, 5 * MSS);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	CHECK_EQ(h, info.pacing_rate, 100 * MSS);
	hist_until(h, MS(45));
	for (unsigned i = 1; i < 5; i++)
		EXPECT_AT(h, MS(10 * i - 1), .flags = (uint8_t)(i == 4 ? PSH | ACK : ACK),
			  .seq = 1 + i * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 5 * MSS);
}

TEST(retransmissions_are_paced_too)
{
	hist_established(h, &with_sack);
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10);
	hist_option(h, MR_OPT_MAX_PACING_RATE, 100 * MSS);
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + 3 * MSS, 1 + 10 * MSS } });
	hist_until(h, MS(30));
	for (unsigned i = 0; i < 3; i++)
		EXPECT_AT(h, i ? MS(4 + 10 * i) : MS(5), .flags = ACK, .seq = 1 + i * MSS, .ack = 1,
			  .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
}

TEST(idle_time_saves_up_no_burst)
{
	hist_established(h, &with_sack);
	hist_option(h, MR_OPT_MAX_PACING_RATE, 1000 * MSS); /* a segment in 1 ms */
	hist_write(h, MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	hist_run(h, MS(100));
	hist_write(h, 4 * MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 2 * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	hist_until(h, MS(102.5));
	EXPECT_AT(h, MS(101), .flags = ACK, .seq = 1 + 3 * MSS, .ack = 1, .len = MSS);
	EXPECT_AT(h, MS(102), .flags = PSH | ACK, .seq = 1 + 4 * MSS, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 5 * MSS);
}

TEST(pacing_ends_when_the_bound_is_taken_away)
{
	hist_established(h, &with_sack);
	hist_option(h, MR_OPT_MAX_PACING_RATE, 10 * MSS);
	hist_write(h, 5 * MSS);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_option(h, MR_OPT_MAX_PACING_RATE, 0);
	hist_round(h);
	for (unsigned i = 1; i < 5; i++)
		EXPECT(h, .flags = (uint8_t)(i == 4 ? PSH | ACK : ACK), .seq = 1 + i * MSS,
		       .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 5 * MSS);
}

/* ---- Congestion window validation ------------------------------------------------------------ */

/* A window of 40 segments: 10, then 20, then all. Acknowledged after 8 ms each. */
static uint32_t grow_to_forty(struct hist *h)
{
	uint32_t sent = 0;

	hist_established(h, &(struct hist_peer){ .sack = true, .wscale = 7, .has_wscale = true });
	for (unsigned n = 10; n <= 20; n *= 2) {
		hist_write(h, n * MSS);
		expect_segments(h, sent, n);
		hist_run(h, MS(8));
		for (unsigned i = 1; i <= n; i++)
			INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + (sent + i) * MSS, .wnd = 8192);
		sent += n;
		CHECK_EQ(h, cwnd(h), 2 * n * MSS);
	}
	return sent;
}

/* RFC 2861 section 3.2, where RFC 5681 section 4.1 would go to the initial window at once. */
TEST(rfc2861_3_2_idle_time_halves_the_window_for_each_rto)
{
	uint32_t sent = grow_to_forty(h);
	struct mr_sock_info info;

	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	hist_run(h, 2 * info.rto_us * 1000ull + MS(5)); /* counted from the last transmission */
	hist_write(h, 40 * MSS);
	CHECK_EQ(h, cwnd(h), 10 * MSS);
	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	CHECK(h, info.ssthresh >= 30 * MSS); /* and what it was is remembered */
	for (unsigned i = 0; i < 10; i++)
		EXPECT(h, .flags = ACK, .seq = 1 + (sent + i) * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	hist_skip(h);
}

TEST(rfc2861_3_2_one_idle_rto_halves_the_window_once)
{
	struct mr_sock_info info;

	grow_to_forty(h);
	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	hist_run(h, info.rto_us * 1000ull + MS(5));
	hist_write(h, 40 * MSS);
	CHECK_EQ(h, cwnd(h), 20 * MSS);
	hist_skip(h);
}

/* RFC 7661 section 4.3, RFC 9293 section 3.8.2: what is not used does not grow. */
/* As Linux: the application had more to send all the time, and it was the peer that had no room. */
TEST(rfc2861_3_2_time_with_a_closed_window_of_the_peers_is_not_idle)
{
	uint32_t before;

	hist_established(h, &with_sack);
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10);
	hist_run(h, MS(10));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS, .wnd = WND_ZERO);
	before = cwnd(h);
	CHECK_EQ(h, before, 20 * MSS);
	hist_write(h, 30 * MSS);
	hist_run(h, SEC(3));
	hist_skip(h); /* probes */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS, .wnd = 65000);
	CHECK_EQ(h, cwnd(h), before);
	for (unsigned i = 10; i < 30; i++)
		EXPECT(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
}

TEST(rfc7661_4_3_window_that_the_application_does_not_fill_does_not_grow)
{
	uint32_t sent = grow_to_forty(h);

	for (unsigned round = 0; round < 4; round++) {
		hist_write(h, 8 * MSS);
		expect_segments(h, sent, 8);
		hist_run(h, MS(8));
		for (unsigned i = 1; i <= 8; i++)
			INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + (sent + i) * MSS);
		sent += 8;
		CHECK(h, cwnd(h) <= 40 * MSS);
	}
}

/* RFC 2861 section 3.2: half way to what is used, for each RTO. */
TEST(rfc2861_3_2_window_that_is_not_filled_for_an_rto_shrinks_towards_what_is)
{
	uint32_t sent = grow_to_forty(h);

	for (unsigned round = 0; round < 30; round++) {
		hist_write(h, 8 * MSS);
		expect_segments(h, sent, 8);
		hist_run(h, MS(8));
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + (sent + 8) * MSS);
		sent += 8;
	}
	CHECK_EQ(h, cwnd(h), 25 * MSS);
}
