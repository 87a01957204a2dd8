// SPDX-License-Identifier: BSD-2-Clause
/* hist_undo.c - retransmissions that turn out to have been needless, and what a recovery may send.
 * RFC 3522, 4015, 3708, 5682, 6937bis; reneging, RFC 2018 section 8. */
#include <errno.h>
#include "hist.h"
#include "tcp/tcp.h"

#define MSS    1460u
#define MSS_TS 1448u /* with timestamps */

static struct mr_sock_info info_of(struct hist *h)
{
	struct mr_sock_info info;

	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	return info;
}

static uint64_t count(struct hist *h, enum mr_counter_id id)
{
	return h->engine->st->ctr.c[id];
}

/* How many segments have come out that nobody expected yet; they are forgotten. */
static unsigned came_out(struct hist *h)
{
	unsigned n = h->nout - h->next;

	hist_skip(h);
	return n;
}

/* Ten segments of the mss are out; time zero is when. Returns their timestamp. */
static uint32_t ten_out(struct hist *h, const struct hist_peer *peer, uint32_t mss)
{
	hist_established(h, peer);
	hist_write(h, 10 * mss);
	for (unsigned i = 0; i < 10; i++)
		EXPECT(h, .flags = (uint8_t)(i == 9 ? PSH | ACK : ACK), .seq = 1 + i * mss,
		       .ack = 1, .len = mss);
	hist_run(h, MS(5));
	return h->last.tsval;
}

/* ---- Eifel ----------------------------------------------------------------------------------- */

static const struct hist_peer with_timestamps = { .sack = true, .tsval = 1000 };

/* What was taken for lost was late: the ACK answers the segment that was sent first. Everything is as
 * before (RFC 4015 section 3.2). */
TEST(rfc3522_3_2_ack_of_the_first_transmission_takes_the_recovery_back)
{
	uint32_t first = ten_out(h, &with_timestamps, MSS_TS), cwnd = info_of(h).cwnd;

	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + MSS_TS, 1 + 4 * MSS_TS } },
	       .tsval = 1001, .tsecr = first);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS_TS);
	CHECK(h, h->last.tsval > first);
	CHECK(h, info_of(h).ssthresh < cwnd);
	hist_run(h, MS(1));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 4 * MSS_TS, .tsval = 1002, .tsecr = first);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 1);
	CHECK(h, info_of(h).cwnd >= cwnd);
	CHECK(h, info_of(h).ssthresh >= cwnd);
	/* And it was late for what had been sent after it (RFC 8985 section 6.2 step 3): the path reorders. */
	CHECK(h, h->sock->tcb->rack.reordering_seen);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS_TS, .tsval = 1003, .tsecr = first);
	hist_run(h, SEC(2));
	EXPECT_NOTHING(h);
}

TEST(rfc3522_3_2_ack_of_the_retransmission_takes_nothing_back)
{
	uint32_t first = ten_out(h, &with_timestamps, MSS_TS), cwnd = info_of(h).cwnd;

	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + MSS_TS, 1 + 4 * MSS_TS } },
	       .tsval = 1001, .tsecr = first);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS_TS);
	hist_run(h, MS(1));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS_TS, .tsval = 1002,
	       .tsecr = h->last.tsval);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 0);
	CHECK(h, info_of(h).cwnd < cwnd);
}

/* ---- D-SACK ---------------------------------------------------------------------------------- */

TEST(rfc3708_3_report_of_every_retransmission_as_a_duplicate_takes_the_recovery_back)
{
	uint32_t cwnd;

	ten_out(h, &(struct hist_peer){ .sack = true }, MSS);
	cwnd = info_of(h).cwnd;
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + MSS, 1 + 4 * MSS } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_run(h, MS(1));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 0);
	CHECK(h, info_of(h).cwnd < cwnd);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS, .sack = { { 1, 1 + MSS } });
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 1);
	CHECK(h, info_of(h).ssthresh >= cwnd);
}

/* The report comes when the connection has been idle for so long that congestion control has been forgotten. */
TEST(rfc3708_3_report_after_the_window_was_forgotten_takes_nothing_back)
{
	uint32_t cwnd;

	ten_out(h, &(struct hist_peer){ .sack = true }, MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + MSS, 1 + 4 * MSS } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_run(h, MS(1));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	CHECK(h, h->sock->tcb->undo.armed);
	hist_run(h, 2 * MR_TCP_FORGET_NS);
	CHECK(h, h->sock->tcb->sending == &h->engine->st->tcp.not_sending);
	cwnd = info_of(h).cwnd;
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS, .sack = { { 1, 1 + MSS } });
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 0);
	CHECK_EQ(h, info_of(h).cwnd, cwnd);
}

/* Two segments were sent again for nothing, and the reports come in one batch: both count for the undo, and
 * for the reordering window they are one round trip's (RFC 8985 section 6.2 step 4). */
TEST(rfc3708_3_two_reports_that_come_together_both_count)
{
	struct mr_tcb *tcb;
	uint32_t cwnd;

	ten_out(h, &(struct hist_peer){ .sack = true }, MSS);
	cwnd = info_of(h).cwnd;
	tcb = h->sock->tcb;
	tcb->rack.reordering_seen = true; /* as if it had been seen before */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1,
	       .sack = { { 1 + 3 * MSS, 1 + 6 * MSS }, { 1 + MSS, 1 + 2 * MSS } });
	hist_run(h, MS(2)); /* the reordering window */
	CHECK_EQ(h, h->nout - h->next, 2);
	CHECK_EQ(h, h->out[h->next].t.seq - h->eisn, 1);
	CHECK_EQ(h, h->out[h->next + 1].t.seq - h->eisn, 1 + 2 * MSS);
	hist_skip(h);
	CHECK_EQ(h, tcb->undo.retrans, 2 * MSS);
	GIVE(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS, .sack = { { 1, 1 + MSS } });
	GIVE(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS,
	     .sack = { { 1 + 2 * MSS, 1 + 3 * MSS } });
	hist_round(h);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 1);
	CHECK(h, info_of(h).ssthresh >= cwnd);
	CHECK_EQ(h, tcb->rack.reo_mult, 2);
}

/* The same report after a minute of silence, when what the congestion control knew has been given back: there is
 * nothing to take back any more, least of all in what all silent connections share (mr_engine_check()). */
TEST(rfc3708_3_report_after_a_minute_of_silence_takes_nothing_back)
{
	uint32_t cwnd;

	ten_out(h, &(struct hist_peer){ .sack = true }, MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + MSS, 1 + 4 * MSS } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_run(h, MS(1));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	cwnd = info_of(h).cwnd;
	hist_run(h, MR_TCP_FORGET_NS + SEC(1));
	CHECK_EQ(h, h->engine->st->tcp.sendings.used, 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS, .sack = { { 1, 1 + MSS } });
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 0);
	CHECK_EQ(h, info_of(h).cwnd, cwnd);
	EXPECT_NOTHING(h);
}

/* A report of a duplicate before anything was sent is no word of the path: BBR has no model of it yet. */
TEST(rfc2883_5_report_before_anything_was_sent_leaves_the_initial_window)
{
	uint32_t cwnd;

	CHECK_EQ(h, mr_socket(h->engine, &h->listener), 0);
	hist_option(h, MR_OPT_CONGESTION, mr_congestion_index("bbr"));
	hist_established(h, &(struct hist_peer){ .sack = true });
	cwnd = info_of(h).cwnd;
	CHECK_EQ(h, cwnd, 10 * MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 0, 1 } });
	CHECK_EQ(h, count(h, MR_CTR_TCP_DSACK_IN), 1);
	CHECK_EQ(h, info_of(h).cwnd, cwnd);
}

/* ---- F-RTO ----------------------------------------------------------------------------------- */

/* A timeout because of a delay: what was never sent again arrives. */
TEST(rfc5682_3_delivery_of_what_was_not_sent_again_takes_the_timeout_back)
{
	uint32_t cwnd;

	ten_out(h, &(struct hist_peer){ .sack = true }, MSS);
	cwnd = info_of(h).cwnd;
	hist_until(h, SEC(1.2));
	CHECK_EQ(h, count(h, MR_CTR_TCP_RTO) > 0, true);
	CHECK_EQ(h, info_of(h).cwnd, MSS);
	hist_skip(h);
	/* The first was sent again; the second and third were not. */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS, .sack = { { 1 + 2 * MSS, 1 + 3 * MSS } });
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 1);
	CHECK(h, info_of(h).cwnd >= cwnd);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
}

TEST(rfc5682_3_delivery_of_what_was_sent_again_takes_nothing_back)
{
	ten_out(h, &(struct hist_peer){ .sack = true }, MSS);
	hist_until(h, SEC(1.2));
	CHECK_EQ(h, count(h, MR_CTR_TCP_RTO) > 0, true);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 0);
	CHECK(h, info_of(h).cwnd <= 3 * MSS);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
}

/* A timeout without SACK and without timestamps because of a delay: the ACKs of what was sent first come one after
 * the other. Behind the first of them goes new data, the second one takes the timeout back. */
TEST(rfc5682_2_1_second_ack_that_advances_takes_the_timeout_back)
{
	uint32_t cwnd;

	ten_out(h, &(struct hist_peer){ 0 }, MSS);
	cwnd = info_of(h).cwnd;
	hist_write(h, 10 * MSS);
	EXPECT_NOTHING(h);
	hist_until(h, MS(300));
	EXPECT_AT(h, MS(200), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 10 * MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 11 * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 2 * MSS);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 1);
	CHECK(h, info_of(h).cwnd >= cwnd && info_of(h).ssthresh >= cwnd);
	for (unsigned i = 0; h->next < h->nout; i++) /* nothing was sent again */
		EXPECT(h, .flags = ACK, .seq = 1 + (12 + i) * MSS, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 12 * MSS);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 20 * MSS);
	hist_run(h, SEC(2));
	EXPECT_NOTHING(h);
	CHECK_EQ(h, count(h, MR_CTR_TCP_RETRANS), 1);
}

/* Step 3a: the new data meets a hole. Everything is lost after all, and three segments go at the most. */
TEST(rfc5682_2_1_duplicate_ack_of_the_new_data_means_that_the_timeout_was_real)
{
	ten_out(h, &(struct hist_peer){ 0 }, MSS);
	hist_write(h, 10 * MSS);
	hist_until(h, MS(300));
	EXPECT_AT(h, MS(200), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 10 * MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 11 * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 0);
	CHECK(h, info_of(h).cwnd <= 3 * MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + MSS, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 2 * MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 2 * MSS, .ack = 1, .len = MSS);
	hist_skip(h);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 0);
}

/* Step 2a: a duplicate ACK first. What was lost goes again, in slow start. */
TEST(rfc5682_2_1_duplicate_ack_first_means_that_the_timeout_was_real)
{
	ten_out(h, &(struct hist_peer){ 0 }, MSS);
	hist_write(h, 10 * MSS);
	hist_until(h, MS(300));
	EXPECT_AT(h, MS(200), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 2 * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 0);
	hist_skip(h);
}

/* Step 2b without anything new to send, or without a window for it. */
TEST(rfc5682_2_1_without_new_data_what_was_lost_goes_again)
{
	ten_out(h, &(struct hist_peer){ .wnd = 10 * MSS }, MSS);
	hist_until(h, MS(300));
	EXPECT_AT(h, MS(200), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 2 * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	hist_zero(h);
	/* Once more, with data that the window does not take. */
	hist_write(h, 20 * MSS);
	hist_skip(h);
	hist_until(h, MS(500));
	CHECK_EQ(h, count(h, MR_CTR_TCP_RTO), 2);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 11 * MSS, .wnd = MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 11 * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 12 * MSS, .wnd = 20 * MSS);
	hist_skip(h);
}

/* Section 3.1 step 2b: with SACK new data goes first, too, and what was delivered late is not sent again. */
TEST(rfc5682_3_1_new_data_goes_before_what_was_taken_for_lost)
{
	ten_out(h, &(struct hist_peer){ .sack = true }, MSS);
	hist_write(h, 10 * MSS);
	hist_until(h, SEC(1));
	CHECK_EQ(h, count(h, MR_CTR_TCP_RTO) > 0, true);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 11 * MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 12 * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 3 * MSS);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 1);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 13 * MSS);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 20 * MSS);
}

/* Section 3.1 step 2, unlike 2.1: with SACK a duplicate ACK before that of what was sent again is waited out. */
TEST(rfc5682_3_1_duplicate_ack_first_does_not_end_it)
{
	ten_out(h, &(struct hist_peer){ .sack = true }, MSS);
	hist_write(h, 10 * MSS);
	hist_until(h, SEC(1));
	CHECK_EQ(h, count(h, MR_CTR_TCP_RTO) > 0, true);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 11 * MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 12 * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 3 * MSS);
	CHECK_EQ(h, count(h, MR_CTR_TCP_UNDO), 1);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 13 * MSS);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 20 * MSS);
}

/* ---- Proportional rate reduction ------------------------------------------------------------- */

/* Over a recovery seven tenths of what is delivered goes out, evenly, and the window ends there. */
TEST(rfc6937_6_recovery_sends_seven_tenths_of_what_is_delivered)
{
	unsigned out = 0;

	ten_out(h, &(struct hist_peer){ .sack = true }, MSS);
	hist_write(h, 40 * MSS); /* there is more to send than may be sent */
	EXPECT_NOTHING(h);
	for (unsigned k = 4; k <= 10; k++) { /* of which the first is lost */
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + MSS, 1 + k * MSS } });
		out += came_out(h);
		/* Delivered are k - 1 segments. The retransmission goes at once. */
		CHECK(h, out >= 1 && out <= 1 + ((k - 1) * 7 + 9) / 10);
		hist_run(h, MS(1) / 10);
	}
	CHECK(h, out >= 6);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	CHECK_EQ(h, info_of(h).ssthresh, 7 * MSS);
	CHECK(h, info_of(h).cwnd >= 7 * MSS && info_of(h).cwnd <= 8 * MSS);
	hist_skip(h);
}

/* RFC 5681 section 3.1, as Linux: the ACK that ends a recovery is one of congestion avoidance already. What it
 * delivers counts, which is the retransmission; not what was reported before. */
TEST(rfc5681_3_1_ack_that_ends_a_recovery_counts_for_growth)
{
	CHECK_EQ(h, mr_socket(h->engine, &h->listener), 0);
	CHECK_EQ(h, mr_set_option(h->listener, MR_OPT_CONGESTION, mr_congestion_index("newreno")),
		 0);
	hist_listen(h, 16);
	hist_established(h, &(struct hist_peer){ .sack = true });
	hist_write(h, 50 * MSS);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + MSS, 1 + 10 * MSS } });
	hist_skip(h);
	CHECK_EQ(h, info_of(h).ssthresh, 5 * MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	CHECK_EQ(h, info_of(h).cwnd, 5 * MSS + MSS / 5);
	hist_skip(h);
}

/* ---- Reneging -------------------------------------------------------------------------------- */

/* The peer throws away what it has reported: it is sent all the same in the end. */
TEST(rfc2018_8_data_that_was_reported_and_thrown_away_is_sent_again)
{
	unsigned seen = 0;

	ten_out(h, &(struct hist_peer){ .sack = true }, MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + MSS, 1 + 10 * MSS } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS); /* and of the rest it knows nothing */
	hist_until(h, SEC(60));
	for (; h->next < h->nout; h->next++)
		seen += h->out[h->next].t.seq == h->eisn + 1 + MSS && h->out[h->next].t.len;
	CHECK(h, seen > 0);
	CHECK(h, count(h, MR_CTR_TCP_RENEGED) > 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 2 * MSS);
	hist_run(h, SEC(1));
	CHECK(h, came_out(h) > 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	hist_run(h, SEC(5));
	EXPECT_NOTHING(h);
}
