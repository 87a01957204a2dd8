// SPDX-License-Identifier: BSD-2-Clause
/* hist_rtx.c - timeouts and fast retransmission. RFC 6298, RFC 5681, RFC 6582, RFC 3042. */
#include <errno.h>
#include "hist.h"

#define MSS 1460u

static void expect_segments(struct hist *h, unsigned first, unsigned n, bool last)
{
	for (unsigned i = 0; i < n; i++)
		EXPECT(h, .flags = (uint8_t)(last && i == n - 1 ? PSH | ACK : ACK),
		       .seq = 1 + (first + i) * MSS, .ack = 1, .len = MSS);
}

/* ---- Timeouts -------------------------------------------------------------------------------- */

TEST(rfc1122_4_2_3_1_rto_doubles_on_each_timeout)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_until(h, SEC(6.3));
	for (unsigned i = 1; i <= 5; i++)
		EXPECT_AT(h, MS(200) * ((1u << i) - 1), .flags = PSH | ACK, .seq = 1, .ack = 1,
			  .len = 100);
}

TEST(rfc1122_4_2_3_5_connection_is_given_up_after_15_retransmissions)
{
	uint64_t at = 0;
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_until(h, SEC(924));
	for (unsigned i = 0; i < 15; i++) {
		/* 0.2 s doubled, at most 120 s: 924.6 s in all, as Linux's tcp_retries2. */
		at += i < 10 ? MS(200) << i : SEC(120);
		EXPECT_AT(h, at, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	}
	CHECK(h, !(mr_ready(h->sock) & MR_ERR));
	hist_until(h, SEC(925));
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ETIMEDOUT);
}

TEST(rfc6298_3_rto_returns_to_normal_after_an_ack_of_something_new)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_until(h, SEC(1));
	EXPECT_AT(h, MS(200), .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT_AT(h, MS(600), .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
	hist_zero(h);
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 100);
	/* Karn: the ACK of what was sent thrice, 1 s after the first, is no sample. */
	hist_until(h, MS(300));
	EXPECT_AT(h, MS(200), .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 100);
}

TEST(rfc6298_2_2_rto_follows_the_round_trip_time)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_run(h, MS(160));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
	hist_zero(h);
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 100);
	/* First sample 0 (the handshake), second 160 ms: SRTT 20 ms, RTTVAR 40 ms; 4 * RTTVAR is below
	 * the floor of 200 ms. */
	hist_until(h, MS(300));
	EXPECT_AT(h, MS(220), .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 100);
}

TEST(rfc6298_5_3_ack_of_a_part_restarts_the_rto)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 6 * MSS);
	expect_segments(h, 0, 6, true);
	hist_run(h, MS(8));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	hist_zero(h);
	hist_until(h, MS(205));
	/* SRTT 8 ms / 8; RFC 6298 (5.3): from the ACK, not from the transmission. */
	EXPECT_AT(h, MS(201), .flags = ACK, .seq = 1 + MSS, .ack = 1, .len = MSS);
}

TEST(rfc7765_4_rto_of_the_last_few_segments_counts_from_their_transmission)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 2 * MSS);
	expect_segments(h, 0, 2, true);
	hist_run(h, MS(8));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	hist_until(h, MS(205));
	/* RFC 7765: the same RTO, but not a round trip later than need be. */
	EXPECT_AT(h, MS(201), .flags = PSH | ACK, .seq = 1 + MSS, .ack = 1, .len = MSS);
}

TEST(rfc1122_4_2_3_1_after_a_timeout_one_segment_goes_then_slow_start)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 4 * MSS);
	expect_segments(h, 0, 4, true);
	hist_until(h, MS(250));
	EXPECT_AT(h, MS(200), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	expect_segments(h, 1, 2, false);
	EXPECT_NOTHING(h);
	/* The peer had the other two all along: nothing more is sent. */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 4 * MSS);
	hist_run(h, SEC(5));
	EXPECT_NOTHING(h);
}

/* ---- Windows --------------------------------------------------------------------------------- */

TEST(rfc6928_2_initial_window_is_ten_segments)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 20 * MSS);
	expect_segments(h, 0, 10, false);
	EXPECT_NOTHING(h);
}

TEST(rfc3465_2_1_slow_start_sends_two_segments_for_each_acknowledged_one)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 40 * MSS);
	expect_segments(h, 0, 10, false);
	for (unsigned i = 0; i < 5; i++) {
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + (i + 1) * MSS);
		expect_segments(h, 10 + 2 * i, 2, false);
	}
	EXPECT_NOTHING(h);
}

/* ---- Fast retransmit and recovery ------------------------------------------------------------ */

static void ten_in_flight(struct hist *h)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10, true);
}

static void dup_acks(struct hist *h, unsigned n)
{
	while (n--)
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
}

TEST(rfc5681_3_2_third_duplicate_ack_sends_the_missing_segment_again)
{
	ten_in_flight(h);
	dup_acks(h, 2);
	EXPECT_NOTHING(h);
	dup_acks(h, 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	dup_acks(h, 6);
	EXPECT_NOTHING(h); /* once */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	hist_run(h, SEC(5));
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_FAST_RETRANS], 1);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_RTO], 0);
}

/* Sequence numbers wrap: RFC 6582's recover of 2.5 GiB ago, or the ISN, is behind all the same. */
TEST(rfc9293_3_4_duplicate_acks_count_however_long_ago_the_last_loss_was)
{
	hist_established(h, &(struct hist_peer){ 0 });
	for (unsigned i = 0; i < 5; i++) {
		h->sock->tcb->recover -= 1u << 29; /* as if so much had been sent */
		hist_write(h, 10);
		hist_skip(h);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + h->written);
	}
	hist_write(h, 10 * MSS);
	hist_skip(h);
	for (unsigned i = 0; i < 3; i++)
		INJECT(h, .flags = ACK, .seq = 1, .ack = 51);
	EXPECT(h, .flags = ACK, .seq = 51, .ack = 1, .len = MSS);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_FAST_RETRANS], 1);
}

/* RFC 6298 (5.1), as Linux reads it: a copy of the first segment has its time from when it was sent, or the
 * timeout would come while it is being answered. */
TEST(rfc6298_5_1_fast_retransmission_starts_the_timer_anew)
{
	ten_in_flight(h);
	hist_run(h, MS(150));
	dup_acks(h, 3);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_until(h, MS(450));
	EXPECT_AT(h, MS(350), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_RTO], 1);
}

TEST(rfc5681_3_2_three_duplicate_acks_in_one_batch_count_as_three)
{
	ten_in_flight(h);
	for (unsigned i = 0; i < 3; i++)
		GIVE(h, .flags = ACK, .seq = 1, .ack = 1);
	hist_round(h);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
}

TEST(rfc5681_2_ack_with_data_or_another_window_is_no_duplicate)
{
	ten_in_flight(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = 60000);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = 60001);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = 60002);
	EXPECT_NOTHING(h);
	for (unsigned i = 0; i < 4; i++) {
		INJECT(h, .flags = ACK, .seq = 1 + i * 10, .ack = 1, .len = 10);
		EXPECT(h, .flags = ACK, .seq = 1 + 10 * MSS, .ack = 11 + i * 10);
	}
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_FAST_RETRANS], 0);
}

TEST(rfc6582_3_2_partial_ack_in_recovery_sends_the_next_hole_at_once)
{
	ten_in_flight(h);
	dup_acks(h, 3);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_run(h, MS(10));
	/* Segments 0 and 3 were lost. */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 3 * MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 3 * MSS, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_FAST_RETRANS], 1);
}

TEST(rfc3042_2_first_two_duplicate_acks_let_new_segments_go)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 12 * MSS);
	expect_segments(h, 0, 10, false);
	dup_acks(h, 1); /* RFC 3042 */
	expect_segments(h, 10, 1, false);
	dup_acks(h, 1);
	expect_segments(h, 11, 1, true);
	dup_acks(h, 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
}

TEST(rfc6937_6_a_fast_retransmit_leaves_seven_tenths_of_cwnd)
{
	struct mr_sock_info info;

	ten_in_flight(h);
	dup_acks(h, 3);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	CHECK_EQ(h, info.ssthresh, 7 * MSS); /* RFC 9438 section 4.6 */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	CHECK(h, info.cwnd <= 7 * MSS);
}

TEST(rfc8961_4_retransmission_that_is_lost_too_waits_for_the_timeout)
{
	ten_in_flight(h);
	dup_acks(h, 3);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	dup_acks(h, 6);
	hist_until(h, MS(300));
	EXPECT_AT(h, MS(200), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
}
