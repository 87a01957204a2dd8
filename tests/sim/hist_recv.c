// SPDX-License-Identifier: BSD-2-Clause
/* hist_recv.c - receiving out of order, old timestamps, urgent data. RFC 5681 section 4.2, RFC 9293
 * section 3.8.5, RFC 7323 section 5. */
#include <errno.h>
#include "hist.h"
#include "tcp/tcp_priv.h"

#define MSS 1460u

/* ---- Reassembly ------------------------------------------------------------------------------ */

TEST(rfc5681_4_2_each_segment_out_of_order_is_answered_by_a_duplicate_ack)
{
	hist_established(h, &(struct hist_peer){ 0 });
	for (unsigned i = 1; i <= 4; i++) {
		INJECT(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
		EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	}
	CHECK(h, !(mr_ready(h->sock) & MR_IN));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1 + 5 * MSS);
	hist_read(h, 5 * MSS);
}

TEST(rfc5681_4_2_duplicate_acks_of_one_batch_are_not_merged)
{
	hist_established(h, &(struct hist_peer){ 0 });
	for (unsigned i = 1; i <= 3; i++)
		GIVE(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
	hist_round(h);
	for (unsigned i = 1; i <= 3; i++)
		EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
}

TEST(acks_in_order_of_one_batch_are_merged)
{
	hist_established(h, &(struct hist_peer){ 0 });
	for (unsigned i = 0; i < 8; i++)
		GIVE(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
	hist_round(h);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1 + 8 * MSS);
	hist_read(h, 8 * MSS);
	hist_skip(h); /* a window update */
}

TEST(rfc5681_4_2_a_row_of_small_segments_is_not_acknowledged_by_the_clock_alone)
{
	uint32_t n = 0;

	hist_established(h, &(struct hist_peer){ 0 });
	h->sock->tcb->quickacks = 0;
	for (; n < MR_TCP_SMALL_ACKED - 1; n++) {
		INJECT(h, .flags = ACK | PSH, .seq = 1 + n, .ack = 1, .len = 1);
		EXPECT_NOTHING(h);
	}
	INJECT(h, .flags = ACK | PSH, .seq = 1 + n, .ack = 1, .len = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1 + MR_TCP_SMALL_ACKED);
	INJECT(h, .flags = ACK | PSH, .seq = 2 + n, .ack = 1, .len = 1); /* they are counted anew */
	EXPECT_NOTHING(h);
	hist_read(h, MR_TCP_SMALL_ACKED + 1);
}

TEST(rfc5681_4_2_partly_filled_gap_is_acknowledged_at_once)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 201, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 401, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 200);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 301);
	INJECT(h, .flags = ACK, .seq = 301, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 501);
	hist_read(h, 500);
}

TEST(rfc9293_3_10_7_4_overlapping_segments_are_put_together)
{
	/* Each row: a segment; they overlap in front, behind, within, around. */
	static const struct {
		uint32_t seq, len;
	} segs[] = {
		{ 201, 100 }, { 251, 100 }, { 151, 100 }, { 220, 20 },
		{ 101, 400 }, { 601, 100 }, { 451, 300 },
	};

	hist_established(h, &(struct hist_peer){ 0 });
	for (unsigned i = 0; i < sizeof(segs) / sizeof(segs[0]); i++) {
		INJECT(h, .flags = ACK, .seq = segs[i].seq, .ack = 1, .len = segs[i].len);
		EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	}
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 150);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 751);
	hist_read(h, 750);
}

TEST(rfc9293_3_10_7_4_segment_that_reaches_back_brings_only_what_is_new)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 101);
	INJECT(h, .flags = ACK, .seq = 51, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 151);
	hist_read(h, 150);
}

TEST(rfc9293_3_10_7_4_old_duplicate_is_acknowledged_and_not_delivered)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 101);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 101);
	hist_read(h, 100);
	CHECK(h, !(mr_ready(h->sock) & MR_IN));
}

TEST(rfc9293_3_10_7_4_text_beyond_the_window_is_cut_off)
{
	CHECK_EQ(h, mr_socket(h->engine, &h->listener), 0);
	CHECK_EQ(h, mr_set_option(h->listener, MR_OPT_RCVBUF, 3000), 0);
	hist_listen(h, 16);
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1 + MSS, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1 + 2 * MSS, .ack = 1, .len = MSS);
	hist_skip(h);
	CHECK_EQ(h, h->last.ack - h->pisn, 3001);
	CHECK_EQ(h, h->last.wnd, 0);
	hist_read(h, 3000);
	hist_skip(h);
}

/* ---- Timestamps ------------------------------------------------------------------------------ */

TEST(rfc7323_3_2_timestamps_are_echoed)
{
	hist_established(h, &(struct hist_peer){ .tsval = 1000 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	CHECK(h, h->last.has_ts);
	CHECK_EQ(h, h->last.tsecr, 1010);
	/* RFC 7323 section 4.3: a segment beyond the last ACK does not count. */
	INJECT(h, .flags = PSH | ACK, .seq = 21, .ack = 1, .len = 10, .tsval = 1020);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	CHECK_EQ(h, h->last.tsecr, 1010);
}

TEST(rfc7323_3_2_timestamp_clock_ticks_once_in_a_millisecond)
{
	uint32_t before;

	hist_established(h, &(struct hist_peer){ .tsval = 1000 });
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	before = h->last.tsval;
	INJECT(h, .flags = ACK, .seq = 1, .ack = 11);
	hist_run(h, MS(5000));
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 11, .ack = 1, .len = 10);
	CHECK_EQ(h, h->last.tsval - before, 5000);
}

TEST(rfc7323_5_3_older_timestamp_is_dropped_and_acknowledged)
{
	hist_established(h, &(struct hist_peer){ .tsval = 1000 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	INJECT(h, .flags = PSH | ACK, .seq = 11, .ack = 1, .len = 10, .tsval = 1009);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	hist_read(h, 10);
	CHECK(h, !(mr_ready(h->sock) & MR_IN));
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_TCP_PAWS], 1);
	INJECT(h, .flags = PSH | ACK, .seq = 11, .ack = 1, .len = 10, .tsval = 1011);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 21);
}

/* RFC 7323 section 5.3, RFC 2883: an original that comes after what was sent again for it is dropped for its
 * age, and is a duplicate. The sender takes back what it did only if it is told. */
TEST(rfc2883_4_duplicate_with_an_older_timestamp_is_reported)
{
	hist_established(h, &(struct hist_peer){ .sack = true, .tsval = 1000 });
	INJECT(h, .flags = ACK, .seq = 11, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .check_sack = true, .sack = { { 11, 21 } });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 10, .tsval = 1020);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 21, .check_sack = true);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 10, .tsval = 1009);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 21, .check_sack = true, .sack = { { 1, 11 } });
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_TCP_PAWS], 1);
	/* No more than was received. */
	INJECT(h, .flags = ACK, .seq = 16, .ack = 1, .len = 10, .tsval = 1009);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 21, .check_sack = true, .sack = { { 16, 21 } });
	hist_read(h, 20);
	CHECK(h, !(mr_ready(h->sock) & MR_IN));
}

/* Two holes, and the first is filled by what was sent again: the original for the second is no older than
 * what was received before, only later than what was sent after it. */
TEST(rfc7323_5_3_original_for_a_hole_is_taken_behind_a_retransmission_that_overtook_it)
{
	hist_established(h, &(struct hist_peer){ .sack = true, .tsval = 1000 });
	INJECT(h, .flags = ACK, .seq = 11, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .check_sack = true, .sack = { { 11, 21 } });
	INJECT(h, .flags = ACK, .seq = 31, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .check_sack = true,
	       .sack = { { 31, 41 }, { 11, 21 } });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 10, .tsval = 1020);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 21, .check_sack = true, .sack = { { 31, 41 } });
	INJECT(h, .flags = ACK, .seq = 21, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 41, .check_sack = true);
	/* The newest is still what is echoed, and compared with: behind the last hole R1 is as it was. */
	CHECK_EQ(h, h->last.tsecr, 1020);
	INJECT(h, .flags = ACK, .seq = 41, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 41, .check_sack = true);
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_TCP_PAWS], 1);
	hist_read(h, 40);
}

/* A timestamp from before 2^30 bytes may be one of the last round of sequence numbers: R1, hole or not. */
TEST(rfc7323_5_3_text_for_a_hole_with_a_timestamp_of_the_last_round_is_dropped)
{
	struct mr_tcb *tcb;

	hist_established(h, &(struct hist_peer){ .sack = true, .tsval = 1000 });
	tcb = mr_list_first(&h->engine->st->tcp.all, struct mr_tcb, all_node);
	/* As if half a GiB had come before each of these. */
	tcb->ts_past_seq = tcb->rcv_nxt - (1u << 29);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 10, .tsval = 1010);
	hist_skip(h);
	tcb->ts_past_seq = tcb->rcv_nxt - (1u << 29);
	INJECT(h, .flags = ACK, .seq = 11, .ack = 1, .len = 10, .tsval = 1020);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 31, .ack = 1, .len = 10, .tsval = 1030);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 21, .ack = 1, .len = 5, .tsval = 1009);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 21, .check_sack = true, .sack = { { 31, 41 } });
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_TCP_PAWS], 1);
	INJECT(h, .flags = ACK, .seq = 21, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 41);
	hist_read(h, 40);
}

/* The RFC would have it dropped; Linux takes it, for middleboxes that strip options. */
TEST(rfc7323_3_2_segment_without_its_timestamp_is_taken)
{
	hist_established(h, &(struct hist_peer){ .tsval = 1000 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	CHECK(h, h->last.has_ts);
	hist_read(h, 10);
}

/* The peer's clock may have come round since. */
TEST(rfc7323_5_5_timestamp_of_24_days_ago_is_not_compared)
{
	hist_established(h, &(struct hist_peer){ .tsval = 1000 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	hist_run(h, SEC(25.0 * 24 * 3600));
	INJECT(h, .flags = PSH | ACK, .seq = 11, .ack = 1, .len = 10, .tsval = 1009);
	hist_run(h, MS(50));
	hist_skip(h);
	hist_read(h, 20);
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_TCP_PAWS], 0);
	INJECT(h, .flags = PSH | ACK, .seq = 21, .ack = 1, .len = 10, .tsval = 1008);
	hist_skip(h);
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_TCP_PAWS], 1);
}

/* Duplicate ACKs that changed places: each of them is one, as Linux (tcp_disordered_ack). */
TEST(rfc7323_5_3_duplicate_ack_that_was_overtaken_is_read_and_not_answered)
{
	hist_established(h, &(struct hist_peer){ .sack = true, .tsval = 1000 });
	hist_write(h, 5 * 1448);
	hist_skip(h);
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .tsval = 1012,
	       .sack = { { 1 + 3 * 1448, 1 + 4 * 1448 } });
	CHECK_EQ(h, h->sock->tcb->sacked_bytes, 1448);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 1448);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .tsval = 1010,
	       .sack = { { 1 + 4 * 1448, 1 + 5 * 1448 } });
	CHECK_EQ(h, h->sock->tcb->sacked_bytes, 2 * 1448);
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_TCP_PAWS], 0);
	CHECK_EQ(h, h->sock->tcb->ts_recent, 1012);
	EXPECT(h, .flags = ACK, .seq = 1449, .ack = 1, .len = 1448); /* recovery goes on */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 5 * 1448, .tsval = 1020);
}

/* ACKs from before the peer's last text: they say nothing that is not known, and ask nothing. */
TEST(rfc7323_5_3_old_acks_without_text_are_not_answered)
{
	hist_established(h, &(struct hist_peer){ .tsval = 1000 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	hist_read(h, 10);
	for (unsigned i = 0; i < 100; i++) {
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .tsval = 1005);
		hist_run(h, SEC(1));
	}
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_TCP_PAWS], 100);
}

/* What is none of these is answered, within the limit of challenge ACKs: of one who has lost the thread, it
 * may be all that he sends. */
TEST(rfc7323_5_3_acks_that_are_older_than_a_timeout_are_answered_twice_a_second)
{
	unsigned n;

	hist_established(h, &(struct hist_peer){ .tsval = 100000 });
	for (unsigned i = 0; i < 100; i++) {
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .tsval = 100000 - 1201);
		hist_run(h, MS(20));
	}
	n = h->nout - h->next;
	CHECK(h, n >= 4 && n <= 5);
	hist_skip(h);
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_TCP_PAWS], 100);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .tsval = 100000 - 200); /* the RTO is 204 ms */
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_TCP_PAWS], 100);
}

/* RFC 7323 section 3.2: with the time of sending, not of what was sent last. */
TEST(rfc7323_3_2_reset_has_the_present_time)
{
	uint32_t before;

	hist_established(h, &(struct hist_peer){ .tsval = 1000 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	before = h->last.tsval;
	hist_run(h, SEC(1));
	hist_round(h); /* which tells the time */
	hist_close(h); /* unread */
	EXPECT(h, .flags = RST | ACK, .seq = 1, .ack = 11);
	CHECK_EQ(h, h->last.tsval - before, 1000);
	CHECK_EQ(h, h->last.tsecr, 1010);
}

/* RFC 5961 section 5, RFC 7323 section 4.3: who does not know our numbers cannot move TS.Recent, or he would cut
 * the peer off by it. */
TEST(rfc7323_4_3_segment_with_an_impossible_ack_leaves_the_timestamp)
{
	hist_established(h, &(struct hist_peer){ .tsval = 1000 });
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 9999, .tsval = 2000000);
	hist_skip(h);
	CHECK_EQ(h, h->sock->tcb->ts_recent, 1000);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10, .tsval = 1001);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	hist_read(h, 10);
}

TEST(rfc7323_5_3_rst_is_not_subject_to_paws)
{
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ .tsval = 1000 });
	INJECT(h, .flags = RST, .seq = 1, .tsval = 1);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ECONNRESET);
}

/* ---- Urgent data ----------------------------------------------------------------------------- */

TEST(rfc6093_3_urgent_byte_is_taken_out_of_the_stream)
{
	uint8_t byte, buf[16];

	hist_established(h, &(struct hist_peer){ 0 });
	/* The pointer is behind the urgent byte (Linux): the fifth of ten, position 4. */
	INJECT(h, .flags = URG | PSH | ACK, .seq = 1, .ack = 1, .len = 10, .up = 5, .fill = 'd');
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, MR_RECV_OOB), 1);
	CHECK_EQ(h, byte, 'd');
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, MR_RECV_OOB), -EINVAL);
	CHECK_EQ(h, mr_recv(h->sock, buf, sizeof(buf), 0), 4); /* up to the mark */
	CHECK_EQ(h, mr_recv(h->sock, buf, sizeof(buf), 0), 5);
}

/* Sequence numbers wrap: a mark of 3 GiB ago looks as if it stood ahead of the stream. */
TEST(rfc9293_3_4_urgent_pointer_counts_whenever_the_last_one_was)
{
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = URG | PSH | ACK, .seq = 1, .ack = 1, .len = 1, .up = 1, .fill = 'a');
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 2);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, MR_RECV_OOB), 1);
	h->sock->tcb->rcv_up -= 3u << 30; /* as if so much had come in between */
	INJECT(h, .flags = URG | PSH | ACK, .seq = 2, .ack = 1, .len = 1, .up = 1, .fill = 'b');
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 3);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, MR_RECV_OOB), 1);
	CHECK_EQ(h, byte, 'b');
}

TEST(rfc6093_3_urgent_byte_stays_in_the_stream_with_oobinline)
{
	uint8_t buf[16];
	ssize_t n;

	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_OOBINLINE, 1);
	INJECT(h, .flags = URG | PSH | ACK, .seq = 1, .ack = 1, .len = 10, .up = 5);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	n = mr_recv(h->sock, buf, sizeof(buf), 0);
	CHECK(h, n == 4 || n == 10); /* it may stop at the mark */
	if (n == 4)
		CHECK_EQ(h, mr_recv(h->sock, buf, sizeof(buf), 0), 6);
}

TEST(rfc6093_3_urgent_write_sets_the_pointer_behind_its_last_byte)
{
	hist_established(h, &(struct hist_peer){ 0 });
	CHECK_EQ(h, mr_send(h->sock, "\x01\x08\x0f", 3, MR_SEND_OOB), 3);
	hist_round(h);
	EXPECT(h, .flags = URG | PSH | ACK, .seq = 1, .ack = 1, .len = 3, .up = 3);
}

/* ---- A reader that waits for many bytes ------------------------------------------------------ */

static unsigned events(struct hist *h)
{
	struct mr_event ev[2];

	return mr_socks_events(&h->engine->st->socks, ev, 2);
}

/* SO_RCVLOWAT: where frames have become scarce what it waits for does not come, so what is there has to do. */
TEST(reader_that_waits_for_more_than_frames_allow_is_woken)
{
	struct mr_frame_pool *frames = &h->engine->st->frames;
	struct mr_frame *taken = NULL, *f;

	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_RCVLOWAT, 20000);
	mr_set_interest(h->sock, MR_IN, 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_skip(h);
	CHECK_EQ(h, events(h), 0);
	while (frames->nfree > frames->nframes / 32 + 1) {
		f = mr_frame_get(frames);
		f->next = taken;
		taken = f;
	}
	hist_round(h);
	CHECK_EQ(h, events(h), 0);
	INJECT(h, .flags = ACK, .seq = 1 + MSS, .ack = 1, .len = MSS); /* refused */
	hist_skip(h);
	CHECK_EQ(h, h->sock->rcvq.bytes, MSS);
	CHECK_EQ(h, events(h), 1);
	hist_read(h, MSS);
	while ((f = taken)) {
		taken = f->next;
		mr_frame_put(frames, f);
	}
	hist_skip(h);
}
