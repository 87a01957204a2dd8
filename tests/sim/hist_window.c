// SPDX-License-Identifier: BSD-2-Clause
/* hist_window.c - flow control: closed windows, silly windows, Nagle, cork, delayed ACKs.
 * RFC 9293 sections 3.7.4, 3.8.6; RFC 1122 section 4.2.3.2 to 4.2.3.4. */
#include <errno.h>
#include "hist.h"

#define MSS 1460u

/* ---- The peer's window ----------------------------------------------------------------------- */

TEST(rfc1122_4_2_2_17_closed_window_is_probed_with_back_off)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	hist_write(h, 100);
	EXPECT_NOTHING(h);
	for (unsigned i = 1; i <= 8; i++) {
		hist_until(h, MS(200) * ((1u << i) - 1) + MS(2));
		/* A number that was acknowledged already, so that the peer must answer. */
		EXPECT_AT(h, MS(200) * ((1u << i) - 1), .flags = ACK, .seq = 0, .ack = 1);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
		EXPECT_NOTHING(h);
	}
}

TEST(rfc1122_4_2_2_17_peer_that_answers_probes_is_waited_for_without_end)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	hist_write(h, 100);
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned s = 0; s < 1300 && h->next == h->nout; s++)
			hist_run(h, MS(100)); /* 120 s apart at the most */
		CHECK_EQ(h, h->next + 1, h->nout);
		EXPECT_AT(h, h->out[h->next].at - h->zero, .flags = ACK, .seq = 0, .ack = 1);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	}
	CHECK(h, h->now - h->zero > SEC(3600));
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = HIST_PEER_WND);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
}

TEST(rfc9293_3_8_6_1_peer_that_answers_no_probe_is_given_up)
{
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	hist_write(h, 100);
	hist_run(h, SEC(1000));
	hist_skip(h);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ETIMEDOUT);
}

TEST(rfc9293_3_8_6_opened_window_is_used_at_once)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	hist_write(h, 100);
	hist_run(h, MS(100));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = HIST_PEER_WND);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
	hist_run(h, SEC(5));
	EXPECT_NOTHING(h);
}

TEST(rfc9293_3_8_6_no_byte_goes_beyond_the_peers_window)
{
	hist_established(h, &(struct hist_peer){ .wnd = 3 * MSS });
	hist_write(h, 10 * MSS);
	for (unsigned i = 0; i < 3; i++)
		EXPECT(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	EXPECT(h, .flags = ACK, .seq = 1 + 3 * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
}

TEST(rfc9293_3_8_6_old_segment_does_not_change_the_window)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10, .wnd = 30000);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	/* Sent before, arrived after (SND.WL1). */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	hist_skip(h);
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 11, .len = 100);
}

/* ---- Silly windows --------------------------------------------------------------------------- */

TEST(rfc9293_3_8_6_2_sender_does_not_fill_a_silly_window)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = 1000);
	hist_write(h, MSS);
	EXPECT_NOTHING(h);
	/* But not for ever: the override timeout. */
	hist_until(h, MS(250));
	EXPECT_AT(h, MS(200), .flags = ACK, .seq = 1, .ack = 1, .len = 1000);
}

/* The RTO may be minutes, the override is a second at most. */
TEST(rfc9293_3_8_6_2_1_override_comes_within_a_second_whatever_the_rto)
{
	hist_connect(h);
	hist_until(h, SEC(1.5));
	EXPECT_AT(h, SEC(1), .flags = SYN, .seq = 0);
	hist_syn_ack(h, &(struct hist_peer){ 0 }); /* the RTO is 3 s now (RFC 6298 5.7) */
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = 1000);
	hist_zero(h);
	hist_write(h, MSS);
	EXPECT_NOTHING(h);
	hist_until(h, SEC(1.1));
	EXPECT_AT(h, SEC(1), .flags = ACK, .seq = 1, .ack = 1, .len = 1000);
}

TEST(rfc9293_3_8_6_2_1_override_of_a_window_that_was_closed_does_not_wait_for_the_next_probe)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	hist_write(h, MSS);
	hist_until(h, MS(6300)); /* the next probe is due at 12.6 s */
	hist_skip(h);
	hist_zero(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = 1000);
	for (unsigned i = 1; i < 9; i++) { /* ACKs that come meanwhile do not put it off */
		hist_until(h, MS(100 * i));
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = 1000);
	}
	EXPECT_NOTHING(h);
	hist_until(h, SEC(1.1));
	EXPECT_AT(h, SEC(1), .flags = ACK, .seq = 1, .ack = 1, .len = 1000);
}

TEST(rfc9293_3_8_6_2_sender_fills_a_window_that_is_half_of_the_largest_seen)
{
	hist_established(h, &(struct hist_peer){ .wnd = 1000 });
	hist_write(h, MSS);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 1000);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1001);
	EXPECT(h, .flags = PSH | ACK, .seq = 1001, .ack = 1, .len = MSS - 1000);
}

#define SMALL_BUF (6 * MSS)

/* The peer has filled a receive buffer of six segments: the window is 0. */
static void fill_receive_buffer(struct hist *h)
{
	CHECK_EQ(h, mr_socket(h->engine, &h->listener), 0);
	CHECK_EQ(h, mr_set_option(h->listener, MR_OPT_RCVBUF, SMALL_BUF), 0);
	hist_listen(h, 16);
	hist_established(h, &(struct hist_peer){ 0 });
	for (unsigned i = 0; i < 6; i++) {
		INJECT(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
		EXPECT(h, .flags = ACK, .seq = 1, .ack = 1 + (i + 1) * MSS, .check_wnd = true,
		       .wnd = (uint16_t)(SMALL_BUF - (i + 1) * MSS));
	}
}

TEST(rfc9293_3_8_6_2_receiver_opens_its_window_only_by_a_segment_or_more)
{
	fill_receive_buffer(h);
	hist_read(h, MSS - 1);
	EXPECT_NOTHING(h);
	hist_read(h, 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1 + SMALL_BUF, .check_wnd = true, .wnd = MSS);
}

TEST(rfc9293_3_8_6_1_closed_window_answers_probes_and_takes_no_text)
{
	fill_receive_buffer(h);
	INJECT(h, .flags = ACK, .seq = SMALL_BUF, .ack = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1 + SMALL_BUF, .check_wnd = true, .wnd = 0);
	hist_run(h, SEC(1));
	INJECT(h, .flags = ACK, .seq = 1 + SMALL_BUF, .ack = 1, .len = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1 + SMALL_BUF, .check_wnd = true, .wnd = 0);
	hist_read(h, SMALL_BUF);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1 + SMALL_BUF, .check_wnd = true,
	       .wnd = SMALL_BUF);
}

TEST(rfc9293_3_10_7_4_closed_window_still_takes_acks)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	/* RFC 9293 section 3.10.7.4: "special allowance should be made". */
	for (unsigned i = 0; i < 45; i++) {
		uint32_t n = i < 44 ? MSS : 65535 - 44 * MSS;

		GIVE(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = n);
	}
	hist_round(h);
	hist_skip(h);
	CHECK_EQ(h, h->last.wnd, 0);
	INJECT(h, .flags = ACK, .seq = 65536, .ack = 101);
	hist_run(h, SEC(5));
	EXPECT_NOTHING(h);
}

/* ---- Nagle ----------------------------------------------------------------------------------- */

TEST(rfc1122_4_2_3_4_second_small_write_waits_for_the_ack_of_the_first)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_write(h, 50);
	hist_write(h, 50);
	EXPECT_NOTHING(h);
	hist_run(h, MS(50));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
	EXPECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 100);
}

TEST(rfc9293_3_7_4_full_segment_does_not_wait)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_write(h, MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = MSS);
}

/* RFC 9293 section 3.7.4 with Minshall's change (Linux): only a small segment that is out holds back another. */
TEST(rfc9293_3_7_4_small_rest_of_a_large_write_does_not_wait)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 2 * MSS);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1 + MSS, .ack = 1, .len = MSS);
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1 + 2 * MSS, .ack = 1, .len = 100);
	hist_write(h, 100);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 2 * MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101 + 2 * MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 101 + 2 * MSS, .ack = 1, .len = 100);
}

TEST(rfc1122_4_2_3_4_nodelay_sends_each_small_write)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_NODELAY, 1);
	for (unsigned i = 0; i < 3; i++) {
		hist_write(h, 100);
		EXPECT(h, .flags = PSH | ACK, .seq = 1 + i * 100, .ack = 1, .len = 100);
	}
}

TEST(setting_nodelay_sends_what_waited)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_write(h, 50);
	EXPECT_NOTHING(h);
	hist_option(h, MR_OPT_NODELAY, 1);
	EXPECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 50);
}

TEST(rfc9293_3_7_4_fin_does_not_wait_for_nagle)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_write(h, 50);
	EXPECT_NOTHING(h);
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | PSH | ACK, .seq = 101, .ack = 1, .len = 50);
}

TEST(corked_partial_segment_waits_200_ms)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_CORK, 1);
	hist_write(h, MSS + 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	hist_until(h, MS(250));
	EXPECT_AT(h, MS(200), .flags = PSH | ACK, .seq = 1 + MSS, .ack = 1, .len = 100);
}

/* The buffer takes less than a segment. Each turn would take 200 ms. */
TEST(corked_data_does_not_wait_where_the_buffer_takes_no_more)
{
	h->engine->st->nif.mtu = 9000;
	mr_ip_mtu_changed(&h->engine->st->ip);
	hist_established(h, &(struct hist_peer){ .mss = 8960 });
	hist_option(h, MR_OPT_CORK, 1);
	hist_option(h, MR_OPT_SNDBUF, 4096);
	hist_write(h, 4096);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, mr_send(h->sock, "x", 1, 0), -EAGAIN);
	hist_round(h);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 4096);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 4097);
	hist_write(h, 1000); /* there is room again */
	EXPECT_NOTHING(h);
}

TEST(uncorking_sends_the_partial_segment)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_CORK, 1);
	hist_write(h, 100);
	EXPECT_NOTHING(h);
	hist_run(h, MS(10));
	hist_option(h, MR_OPT_CORK, 0);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
}

/* ---- Delayed ACKs ---------------------------------------------------------------------------- */

/* Beyond the first segments, which are acknowledged at once. Returns the next sequence number. */
static uint32_t past_quickacks_of(struct hist *h, uint32_t len)
{
	uint32_t seq = 1;

	hist_established(h, &(struct hist_peer){ 0 });
	for (unsigned i = 0; i < MR_TCP_QUICKACKS; i++, seq += len) {
		INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .len = len);
		EXPECT(h, .flags = ACK, .seq = 1, .ack = seq + len);
	}
	hist_read(h, seq - 1);
	hist_skip(h); /* a window update, perhaps */
	hist_zero(h);
	return seq;
}

static uint32_t past_quickacks(struct hist *h)
{
	return past_quickacks_of(h, MSS);
}

TEST(rfc1122_4_2_3_2_single_segment_is_acknowledged_after_40_ms)
{
	uint32_t seq = past_quickacks(h);

	INJECT(h, .flags = PSH | ACK, .seq = seq, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	hist_run(h, MS(100));
	EXPECT_AT(h, MS(40), .flags = ACK, .seq = 1, .ack = seq + MSS);
}

/* RFC 5681 section 4.2, as Linux: our ACK was lost or late, and the sender's window is small now. */
TEST(segment_behind_a_duplicate_is_acknowledged_at_once)
{
	uint32_t seq = past_quickacks(h);

	INJECT(h, .flags = ACK, .seq = seq - MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = seq);
	for (unsigned i = 0; i < MR_TCP_QUICKACKS; i++, seq += MSS) {
		INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .len = MSS);
		EXPECT(h, .flags = ACK, .seq = 1, .ack = seq + MSS);
	}
	INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
}

/* The same after a gap: in a window of five segments, say, the fifth would wait for the next round trip, or
 * for 40 ms. */
TEST(rfc5681_4_2_segments_behind_a_gap_that_was_filled_are_acknowledged_at_once)
{
	uint32_t seq = past_quickacks(h);

	INJECT(h, .flags = ACK, .seq = seq + MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = seq);
	INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .len = MSS);
	seq += 2 * MSS;
	EXPECT(h, .flags = ACK, .seq = 1, .ack = seq);
	/* The ACK that filled the gap was one of them. */
	for (unsigned i = 1; i < MR_TCP_QUICKACKS_LOSS; i++, seq += MSS) {
		INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .len = MSS);
		EXPECT(h, .flags = ACK, .seq = 1, .ack = seq + MSS);
		hist_read(h, MSS);
		hist_skip(h); /* a window update, perhaps */
	}
	INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
}

TEST(rfc1122_4_2_3_2_second_full_segment_is_acknowledged_at_once)
{
	uint32_t seq = past_quickacks(h);

	INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .len = MSS);
	hist_run(h, MS(10));
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = seq + MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = seq + 2 * MSS);
	hist_run(h, MS(100));
	EXPECT_NOTHING(h);
}

/* RFC 5681 section 4.2, with segments of the size that the peer sends: its path, or its memory, may be too
 * narrow for what it could have sent by our MSS option. */
TEST(second_full_segment_of_a_peer_with_smaller_ones_is_acknowledged_at_once)
{
	uint32_t seq = past_quickacks_of(h, 700);

	INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .len = 700);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = seq + 700, .ack = 1, .len = 700);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = seq + 1400);
}

/* The path has become narrow, or the peer tries what it carries: two of 1024 bytes are two full segments. */
TEST(rfc5681_4_2_full_segments_that_have_become_shorter_are_acknowledged_in_pairs)
{
	uint32_t seq = past_quickacks(h);

	/* The first two tell, after the usual delay. */
	INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .len = 1024);
	INJECT(h, .flags = ACK, .seq = seq + 1024, .ack = 1, .len = 1024);
	hist_run(h, MS(100));
	hist_skip(h);
	for (seq += 2048; seq < 20000; seq += 2048) {
		INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .len = 1024);
		EXPECT_NOTHING(h);
		INJECT(h, .flags = ACK, .seq = seq + 1024, .ack = 1, .len = 1024);
		EXPECT(h, .flags = ACK, .seq = 1, .ack = seq + 2048);
	}
	/* What ends a write, or is small, does not count as one. */
	INJECT(h, .flags = PSH | ACK, .seq = seq, .ack = 1, .len = 100);
	INJECT(h, .flags = PSH | ACK, .seq = seq + 100, .ack = 1, .len = 100);
	EXPECT_NOTHING(h);
}

/* What is not acceptable by RFC 9293 section 3.10.7.4 need not be looked at: the peer has not seen the ACK
 * of a probe, or of a segment that it has already. */
TEST(delayed_ack_is_not_replaced_by_a_window_probe)
{
	uint32_t seq = past_quickacks(h);

	INJECT(h, .flags = ACK, .seq = seq, .ack = 1, .wnd = WND_ZERO);
	hist_zero(h);
	hist_write(h, 100);
	hist_until(h, MS(180));
	EXPECT_NOTHING(h);
	INJECT(h, .flags = PSH | ACK, .seq = seq, .ack = 1, .len = 10, .wnd = WND_ZERO);
	hist_until(h, MS(230));
	EXPECT_AT(h, MS(200), .flags = ACK, .seq = 0, .ack = seq + 10);
	EXPECT_AT(h, MS(220), .flags = ACK, .seq = 1, .ack = seq + 10);
}

TEST(delayed_ack_is_not_replaced_by_a_retransmission)
{
	uint32_t seq = past_quickacks(h);

	hist_zero(h);
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = seq, .len = 100);
	hist_until(h, MS(180));
	INJECT(h, .flags = PSH | ACK, .seq = seq, .ack = 1, .len = 10);
	hist_until(h, MS(230));
	EXPECT_AT(h, MS(200), .flags = PSH | ACK, .seq = 1, .ack = seq + 10, .len = 100);
	EXPECT_AT(h, MS(220), .flags = ACK, .seq = 101, .ack = seq + 10);
}

TEST(two_small_segments_are_acknowledged_by_one_delayed_ack)
{
	uint32_t seq = past_quickacks(h);

	INJECT(h, .flags = PSH | ACK, .seq = seq, .ack = 1, .len = 10);
	hist_run(h, MS(20));
	INJECT(h, .flags = PSH | ACK, .seq = seq + 10, .ack = 1, .len = 10);
	hist_run(h, MS(100));
	EXPECT_AT(h, MS(40), .flags = ACK, .seq = 1, .ack = seq + 20);
}

TEST(rfc9293_3_8_6_3_response_carries_the_ack_of_its_request)
{
	uint32_t seq = past_quickacks(h);

	INJECT(h, .flags = PSH | ACK, .seq = seq, .ack = 1, .len = 100);
	hist_read(h, 100);
	EXPECT_NOTHING(h);
	hist_write(h, 200);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = seq + 100, .len = 200);
	INJECT(h, .flags = ACK, .seq = seq + 100, .ack = 201);
	hist_run(h, MS(100));
	EXPECT_NOTHING(h);
}

TEST(quickack_acknowledges_at_once)
{
	uint32_t seq = past_quickacks(h);

	INJECT(h, .flags = PSH | ACK, .seq = seq, .ack = 1, .len = 10);
	EXPECT_NOTHING(h);
	hist_option(h, MR_OPT_QUICKACK, 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = seq + 10);
}

/* Linux's pingpong: from the first response on, the ACK of a request waits for the next one, although segments at the
 * beginning are acknowledged at once else. */
TEST(rfc1122_4_2_3_2_interactive_connection_lets_responses_carry_its_acks)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	hist_run(h, MS(5));
	hist_write(h, 20);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 11, .len = 20);
	INJECT(h, .flags = PSH | ACK, .seq = 11, .ack = 21, .len = 10);
	hist_run(h, MS(30));
	EXPECT_NOTHING(h);
	hist_write(h, 20);
	EXPECT(h, .flags = PSH | ACK, .seq = 21, .ack = 21, .len = 20);
	INJECT(h, .flags = ACK, .seq = 21, .ack = 41);
	hist_run(h, MS(100));
	EXPECT_NOTHING(h);
}

/* A request without a response ends it: the ACK comes late once, and at once from then on. */
TEST(rfc1122_4_2_3_2_ack_that_waited_in_vain_ends_the_waiting)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	hist_write(h, 20);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 11, .len = 20);
	hist_zero(h);
	INJECT(h, .flags = PSH | ACK, .seq = 11, .ack = 21, .len = 10);
	hist_run(h, MS(60));
	EXPECT_AT(h, MS(40), .flags = ACK, .seq = 21, .ack = 21);
	INJECT(h, .flags = PSH | ACK, .seq = 21, .ack = 21, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 21, .ack = 31);
}

/* RFC 5681 section 4.1: a sender that paused begins with few segments; each ACK matters to it. */
TEST(rfc5681_4_1_sender_that_paused_is_acknowledged_at_once_again)
{
	uint32_t seq = past_quickacks(h);

	INJECT(h, .flags = PSH | ACK, .seq = seq, .ack = 1, .len = 10);
	hist_run(h, MS(100));
	EXPECT_AT(h, MS(40), .flags = ACK, .seq = 1, .ack = seq + 10);
	hist_run(h, SEC(5));
	INJECT(h, .flags = PSH | ACK, .seq = seq + 10, .ack = 1, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = seq + 20);
}

/* ---- When frames are scarce ------------------------------------------------------------------ */

/* All but `left` frames of the engine go; they come back with mr_frame_put_chain(). */
static struct mr_frame *hoard(struct hist *h, uint32_t left)
{
	struct mr_frame_pool *pool = &h->engine->st->frames;
	struct mr_frame *f, *taken = NULL;

	while (pool->nfree > left && (f = mr_frame_get(pool))) {
		f->frag = taken;
		taken = f;
	}
	return taken;
}

/* A window smaller than a segment takes a frame for the cut. Without one the data waits, not the ACK of what
 * arrives; when there are frames again it goes by itself. */
TEST(rfc9293_3_8_6_small_window_does_not_take_the_last_frames)
{
	struct mr_frame_pool *pool = &h->engine->st->frames;
	struct mr_frame *taken;

	hist_established(h, &(struct hist_peer){ .wnd = 700 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	hist_write(h, 3 * MSS);
	EXPECT_NOTHING(h);
	taken = hoard(h, pool->nframes / 32 - 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = 700);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1, .wnd = 700);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 2);
	hist_run(h, SEC(5));
	EXPECT_NOTHING(h);
	mr_frame_put_chain(pool, taken);
	for (unsigned i = 0; i < 20 && h->next == h->nout; i++)
		hist_run(h, MS(100));
	CHECK(h, h->next < h->nout);
	EXPECT_AT(h, h->out[h->next].at - h->zero, .flags = ACK, .seq = 1, .ack = 2, .len = 700);
	INJECT(h, .flags = ACK, .seq = 2, .ack = 701);
	EXPECT(h, .flags = ACK, .seq = 701, .ack = 2, .len = 700);
}
