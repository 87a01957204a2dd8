// SPDX-License-Identifier: BSD-2-Clause
/* hist_sack.c - selective acknowledgments, on both sides, and what they make possible. RFC 2018, 2883,
 * 8985. */
#include <errno.h>
#include "hist.h"
#include "tcp/tcp_priv.h"

#define MSS 1460u

static const struct hist_peer with_sack = { .sack = true };

static void expect_segments(struct hist *h, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		EXPECT(h, .flags = (uint8_t)(i == first + n - 1 ? PSH | ACK : ACK),
		       .seq = 1 + i * MSS, .ack = 1, .len = MSS);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

TEST(rfc2018_2_sack_is_permitted_in_answer_only_when_offered)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	CHECK(h, !h->last.sack_perm);
	INJECT(h, .flags = SYN, .mss = 1460, .sport = 5001, .sack_perm = true);
	EXPECT(h, .flags = SYN | ACK, .any_seq = true, .ack = 1, .rport = 5001);
	CHECK(h, h->last.sack_perm);
}

TEST(rfc2018_4_segments_out_of_order_are_reported_most_recent_first)
{
	hist_established(h, &with_sack);
	INJECT(h, .flags = ACK, .seq = 101, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .check_sack = true, .sack = { { 101, 201 } });
	INJECT(h, .flags = ACK, .seq = 301, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .check_sack = true,
	       .sack = { { 301, 401 }, { 101, 201 } });
	/* The first block grows, and is the most recent again. */
	INJECT(h, .flags = ACK, .seq = 201, .ack = 1, .len = 50);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .check_sack = true,
	       .sack = { { 101, 251 }, { 301, 401 } });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 251, .check_sack = true, .sack = { { 301, 401 } });
	INJECT(h, .flags = ACK, .seq = 251, .ack = 1, .len = 50);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 401, .check_sack = true);
	hist_read(h, 400);
}

TEST(rfc2883_4_duplicate_is_reported_by_dsack)
{
	hist_established(h, &with_sack);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 101, .check_sack = true);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 101, .check_sack = true, .sack = { { 1, 101 } });
	/* Once: the next ACK does not repeat it (RFC 2883 section 4). */
	INJECT(h, .flags = ACK, .seq = 101, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 201, .check_sack = true);
}

/* Two duplicates that come together and do not touch: an ACK for each. */
TEST(rfc2883_4_duplicates_that_come_together_have_an_ack_each)
{
	hist_established(h, &with_sack);
	for (unsigned i = 0; i < 3; i++)
		GIVE(h, .flags = ACK, .seq = 1 + 100 * i, .ack = 1, .len = 100);
	hist_round(h);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 301, .check_sack = true);
	GIVE(h, .flags = ACK, .seq = 1, .ack = 1, .len = 100);
	GIVE(h, .flags = ACK, .seq = 201, .ack = 1, .len = 100);
	hist_round(h);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 301, .check_sack = true, .sack = { { 1, 101 } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 301, .check_sack = true, .sack = { { 201, 301 } });
	EXPECT_NOTHING(h);
	/* Out of order it is the same, and each ACK is the duplicate ACK, too. */
	for (unsigned i = 4; i < 7; i++)
		GIVE(h, .flags = ACK, .seq = 1 + 100 * i, .ack = 1, .len = 100);
	hist_round(h);
	hist_skip(h);
	GIVE(h, .flags = ACK, .seq = 401, .ack = 1, .len = 100);
	GIVE(h, .flags = ACK, .seq = 601, .ack = 1, .len = 100);
	hist_round(h);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 301, .check_sack = true,
	       .sack = { { 401, 501 }, { 401, 701 } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 301, .check_sack = true,
	       .sack = { { 601, 701 }, { 401, 701 } });
	EXPECT_NOTHING(h);
	hist_read(h, 300);
}

/* Places for such duplicates are for all connections: one whose peer has no route keeps none. */
TEST(rfc2883_4_duplicates_without_a_way_back_take_no_place)
{
	struct mr_prefix subnet = { .addr = mr_addr_v4(htonl(0x0a000000)), .len = 24 };
	struct mr_route route = { .dst = subnet };
	struct mr_ip *ip = &h->engine->st->ip;

	hist_established(h, &with_sack);
	for (unsigned i = 0; i < 3; i++)
		GIVE(h, .flags = ACK, .seq = 1 + 100 * i, .ack = 1, .len = 100);
	hist_round(h);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 301);
	hist_read(h, 300);
	CHECK_EQ(h, mr_route_del(ip, &subnet), 0);
	for (unsigned i = 0; i < 10; i++) {
		GIVE(h, .flags = ACK, .seq = 1, .ack = 1, .len = 100);
		GIVE(h, .flags = ACK, .seq = 201, .ack = 1, .len = 100);
		GIVE(h, .flags = ACK, .seq = 401, .ack = 1, .len = 100);
		hist_round(h);
		CHECK_EQ(h, h->engine->st->tcp.ndsacks, 0);
	}
	EXPECT_NOTHING(h);
	CHECK_EQ(h, mr_route_add(ip, &route), 0);
	hist_run(h, SEC(2));
	EXPECT_AT(h, MS(200), .flags = ACK, .seq = 1, .ack = 301, .check_sack = true,
		  .sack = { { 401, 501 }, { 401, 501 } });
	EXPECT_NOTHING(h);
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* RFC 7323 section 4.1, RFC 2883: the ACK answers the retransmission, whatever its TSecr says. */
TEST(ack_that_reports_a_duplicate_is_no_rtt_sample)
{
	const struct mr_tcb *tcb;
	uint32_t tsval;

	hist_established(h, &(struct hist_peer){ .sack = true, .tsval = 1 });
	tcb = mr_list_first(&h->engine->st->tcp.all, struct mr_tcb, all_node);
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	tsval = h->last.tsval;
	hist_until(h, SEC(2));
	hist_skip(h); /* timeouts */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101, .sack = { { 1, 101 } }, .tsval = 2,
	       .tsecr = tsval);
	CHECK(h, tcb->snd_una == tcb->snd_nxt);
	CHECK(h, tcb->srtt_ns < MS(10));
	/* Without it, such an ACK is one. */
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 100);
	tsval = h->last.tsval;
	hist_run(h, SEC(2));
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 201, .tsval = 3, .tsecr = tsval);
	CHECK(h, tcb->srtt_ns > MS(100));
}

/* RFC 8985 section 6.2 step 3: what was acknowledged cumulatively came before what the block reports. */
TEST(rfc2883_5_ack_that_advances_and_reports_is_no_reordering)
{
	const struct mr_tcb *tcb;

	hist_established(h, &with_sack);
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10);
	hist_run(h, MS(5));
	tcb = mr_list_first(&h->engine->st->tcp.all, struct mr_tcb, all_node);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 2 * MSS,
	       .sack = { { 1 + 3 * MSS, 1 + 4 * MSS } });
	CHECK(h, !tcb->rack.reordering_seen);
	/* The hole fills late: that is. */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 4 * MSS);
	CHECK(h, tcb->rack.reordering_seen);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
}

TEST(rfc6675_4_three_segments_reported_beyond_a_hole_send_it_again)
{
	hist_established(h, &with_sack);
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10);
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + 1 * MSS, 1 + 4 * MSS } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	hist_run(h, SEC(5));
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_RTO], 0);
}

TEST(rfc2018_5_all_holes_are_sent_again_without_waiting_for_partial_acks)
{
	hist_established(h, &with_sack);
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10);
	hist_run(h, MS(5));
	/* Segments 0, 2 and 5 are missing. */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1,
	       .sack = { { 1 + 6 * MSS, 1 + 10 * MSS },
			 { 1 + 3 * MSS, 1 + 5 * MSS },
			 { 1 + 1 * MSS, 1 + 2 * MSS } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 2 * MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 5 * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
}

TEST(rfc2018_5_sack_outside_of_what_was_sent_is_ignored)
{
	hist_established(h, &with_sack);
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10);
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + 5 * MSS, 1 + 11 * MSS } });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1u << 30, (1u << 30) + 10 } });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + 5 * MSS, 1 + 2 * MSS } });
	EXPECT_NOTHING(h);
}

TEST(rfc8985_7_silence_after_the_last_segments_is_probed_before_the_timeout)
{
	hist_established(h, &with_sack);
	hist_write(h, 2 * MSS);
	expect_segments(h, 0, 2);
	/* TLP: two round trips, here 0, at least 10 ms; the RTO counts from the probe. */
	hist_until(h, MS(220));
	EXPECT_AT(h, MS(10), .flags = PSH | ACK, .seq = 1 + MSS, .ack = 1, .len = MSS);
	EXPECT_AT(h, MS(210), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
}

TEST(rfc8985_7_answered_probe_repairs_a_lost_tail_without_a_timeout)
{
	hist_established(h, &with_sack);
	hist_write(h, 3 * MSS);
	expect_segments(h, 0, 3);
	hist_run(h, MS(1));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	hist_run(h, MS(20));
	EXPECT_AT(h, MS(11), .flags = PSH | ACK, .seq = 1 + 2 * MSS, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS, .sack = { { 1 + 2 * MSS, 1 + 3 * MSS } });
	hist_run(h, MS(5));
	EXPECT_AT(h, MS(21), .flags = ACK, .seq = 1 + MSS, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 3 * MSS);
	hist_run(h, SEC(5));
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_RTO], 0);
}

/* RFC 3522 section 3.2: what an ACK answers must be told from the retransmissions of an earlier recovery,
 * which are older than the first one of this recovery, and no sign that this one was needless. */
TEST(rfc3522_3_2_retransmission_of_an_earlier_recovery_does_not_undo_the_next_one)
{
	const struct hist_peer peer = { .sack = true, .tsval = 1000 };
	const uint32_t mss = MSS - 12;
	uint32_t first, second;

	hist_established(h, &peer);
	hist_write(h, 20 * mss);
	hist_skip(h);
	/* Segment 0 is lost, and sent again; segments 10 to 15 follow. */
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .tsval = 1001,
	       .tsecr = h->out[h->nout - 1].t.tsval, .sack = { { 1 + mss, 1 + 10 * mss } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = mss);
	first = h->last.tsval;
	hist_skip(h);
	CHECK_EQ(h, h->out[h->nout - 1].t.seq - h->eisn, 1 + 15 * mss);
	/* So is segment 10, within the same recovery; and the copy of 0, it seems. */
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .tsval = 1002, .tsecr = first,
	       .sack = { { 1 + 11 * mss, 1 + 14 * mss }, { 1 + mss, 1 + 10 * mss } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = mss);
	EXPECT(h, .flags = ACK, .seq = 1 + 10 * mss, .ack = 1, .len = mss);
	second = h->last.tsval;
	hist_skip(h);
	/* What the recovery began with is acknowledged. Segment 14 is lost, too: another recovery. */
	hist_run(h, MS(2));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * mss, .tsval = 1003, .tsecr = first,
	       .sack = { { 1 + 11 * mss, 1 + 14 * mss } });
	hist_skip(h);
	hist_run(h, MS(2));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * mss, .tsval = 1004, .tsecr = first,
	       .sack = { { 1 + 15 * mss, 1 + 16 * mss }, { 1 + 11 * mss, 1 + 14 * mss } });
	EXPECT(h, .flags = ACK, .seq = 1 + 14 * mss, .ack = 1, .len = mss);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_FAST_RETRANS], 2);
	hist_skip(h);
	/* The second copy of segment 10 has arrived. */
	hist_run(h, MS(2));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 14 * mss, .tsval = 1005, .tsecr = second,
	       .sack = { { 1 + 15 * mss, 1 + 16 * mss } });
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_UNDO], 0);
	hist_skip(h);
}

/* RFC 8985 section 7.2: a single segment may be waited for by a delayed ACK, so that the RTO would be first.
 * The probe comes at that time, in its place. */
TEST(rfc8985_7_lone_segment_is_probed_when_the_timeout_would_be)
{
	hist_established(h, &with_sack);
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_until(h, MS(300));
	EXPECT_AT(h, MS(200), .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_TLP], 1);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_RTO], 0);
	/* The timeout counts from the probe. */
	hist_until(h, MS(450));
	EXPECT_AT(h, MS(400), .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_RTO], 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
}

/* RFC 8985 section 7.2, beyond it: what a recovery has sent again is a tail, too, when nothing follows. */
TEST(rfc8985_7_2_silence_in_a_recovery_is_probed_once_before_the_timeout)
{
	hist_established(h, &with_sack);
	hist_write(h, 4 * MSS);
	expect_segments(h, 0, 4);
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + 1 * MSS, 1 + 4 * MSS } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_until(h, MS(250));
	EXPECT_AT(h, MS(15), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_TLP], 1);
	EXPECT_AT(h, MS(215), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_RTO], 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 4 * MSS);
	hist_run(h, SEC(5));
	EXPECT_NOTHING(h);
}

TEST(rfc8985_7_2_answered_probe_of_a_recovery_ends_it_without_a_timeout)
{
	hist_established(h, &with_sack);
	hist_write(h, 4 * MSS);
	expect_segments(h, 0, 4);
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + 1 * MSS, 1 + 4 * MSS } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_run(h, MS(12));
	EXPECT_AT(h, MS(15), .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 4 * MSS);
	hist_run(h, SEC(5));
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_FAST_RETRANS], 1);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_RTO], 0);
}

/* An ACK that others have overtaken: what it acknowledges is old, what it reports is not. */
TEST(rfc2018_5_blocks_of_an_old_ack_count)
{
	const struct mr_tcb *tcb;

	hist_established(h, &with_sack);
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10);
	hist_run(h, MS(5));
	tcb = mr_list_first(&h->engine->st->tcp.all, struct mr_tcb, all_node);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 4 * MSS,
	       .sack = { { 1 + 8 * MSS, 1 + 9 * MSS } });
	CHECK_EQ(h, tcb->sacked_bytes, MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 3 * MSS,
	       .sack = { { 1 + 5 * MSS, 1 + 7 * MSS } });
	CHECK_EQ(h, tcb->sacked_bytes, 3 * MSS);
	CHECK_EQ(h, tcb->snd_una - tcb->iss, 1 + 4 * MSS);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_DSACK_IN], 0);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	hist_skip(h);
}

/* RFC 8985 section 6.2 step 4: only what a recovery sent for nothing widens the reordering window. */
TEST(rfc2883_5_duplicates_of_the_network_do_not_widen_the_reordering_window)
{
	const struct mr_tcb *tcb;

	hist_established(h, &with_sack);
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10);
	tcb = mr_list_first(&h->engine->st->tcp.all, struct mr_tcb, all_node);
	for (unsigned i = 1; i <= 5; i++)
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + i * MSS,
		       .sack = { { 1 + (i - 1) * MSS, 1 + i * MSS } });
	CHECK(h, tcb->rack.reo_mult <= 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
}

/* RFC 6937bis section 6: what was SACKed before the recovery began is not delivered in it (RecoverFS), so
 * less is sent for more. 2 segments are SACKed before it. */
TEST(rfc6937_6_prr_counts_only_what_was_in_flight_when_recovery_began)
{
	const struct mr_tcb *tcb;

	hist_established(h, &with_sack);
	tcb = mr_list_first(&h->engine->st->tcp.all, struct mr_tcb, all_node);
	hist_write(h, MSS);
	expect_segments(h, 0, 1);
	hist_run(h, MS(8));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS); /* RTT 8 ms: 2 ms for reordering */
	hist_write(h, 10 * MSS);
	expect_segments(h, 1, 10);
	hist_run(h, MS(8));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS, .sack = { { 1 + 3 * MSS, 1 + 5 * MSS } });
	CHECK_EQ(h, tcb->loss, MR_LOSS_OPEN);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS, .sack = { { 1 + 3 * MSS, 1 + 6 * MSS } });
	CHECK_EQ(h, tcb->loss, MR_LOSS_RECOVERY);
	/* 10 in flight, 3 SACKed, of which 1 by this ACK. */
	CHECK_EQ(h, tcb->sending->prr.recover_fs, 8 * MSS);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 11 * MSS);
}
