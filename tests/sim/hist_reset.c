// SPDX-License-Identifier: BSD-2-Clause
/* hist_reset.c - RST in each state, and RFC 5961's defence against blind ones. */
#include <errno.h>
#include "hist.h"

#define FIRST_WND 65535u

static void check_reset(struct hist *h)
{
	uint8_t byte;

	CHECK(h, mr_ready(h->sock) & MR_ERR);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ECONNRESET);
	CHECK_EQ(h, mr_sock_error(h->sock), 0); /* told once */
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
	EXPECT_NOTHING(h);
}

TEST(rfc9293_3_5_3_rst_in_syn_received_returns_to_listen)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	INJECT(h, .flags = RST, .seq = 1);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = RST, .seq = 1);
	CHECK_EQ(h, mr_accept(h->listener, &h->sock, NULL), -EAGAIN);
}

TEST(rfc5961_3_2_rst_in_established_resets)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = RST, .seq = 1);
	check_reset(h);
}

TEST(rfc9293_3_10_7_4_rst_in_fin_wait_1_resets)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_FIN_WAIT1);
	INJECT(h, .flags = RST | ACK, .seq = 1, .ack = 1);
	check_reset(h);
}

TEST(rfc9293_3_10_7_4_rst_in_fin_wait_2_resets)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 2);
	CHECK_EQ(h, hist_state(h), MR_TCP_FIN_WAIT2);
	INJECT(h, .flags = RST, .seq = 1);
	check_reset(h);
}

TEST(rfc9293_3_10_7_4_rst_in_close_wait_resets)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 2);
	CHECK_EQ(h, hist_state(h), MR_TCP_CLOSE_WAIT);
	INJECT(h, .flags = RST, .seq = 2);
	CHECK(h, mr_ready(h->sock) & MR_ERR);
	CHECK(h, mr_send(h->sock, "x", 1, 0) < 0);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
}

/* macOS gives the RST that follows a FIN the FIN's own number; as Linux, that is taken for what it is. */
TEST(rfc5961_3_2_rst_with_the_number_of_the_fin_resets)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = RST, .seq = 0);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 2);
	INJECT(h, .flags = RST, .seq = 1);
	EXPECT_NOTHING(h);
	CHECK(h, mr_ready(h->sock) & MR_ERR);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
}

/* Something in front of the RST was lost: it stands behind what came before it all the same. As Linux. */
TEST(rfc5961_3_2_rst_behind_what_was_reported_resets)
{
	hist_established(h, &(struct hist_peer){ .sack = true });
	INJECT(h, .flags = ACK, .seq = 1001, .ack = 1, .len = 500);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = RST, .seq = 1500);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	INJECT(h, .flags = RST, .seq = 1501);
	check_reset(h);
}

TEST(rfc9293_3_10_7_4_rst_in_closing_ends_the_connection)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 2);
	CHECK_EQ(h, hist_state(h), MR_TCP_CLOSING);
	INJECT(h, .flags = RST, .seq = 2);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
	CHECK_EQ(h, h->engine->st->tcp.tws.used, 0);
}

TEST(rfc9293_3_10_7_4_rst_in_last_ack_ends_the_connection)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 2);
	hist_close(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 2);
	INJECT(h, .flags = RST, .seq = 2);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
}

TEST(rfc1337_3_rst_does_not_end_time_wait)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 2);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 2);
	INJECT(h, .flags = RST, .seq = 2);
	CHECK_EQ(h, h->engine->st->tcp.tws.used, 1); /* RFC 1337 */
}

/* ---- RFC 5961 -------------------------------------------------------------------------------- */

TEST(rfc5961_3_2_rst_in_the_window_that_misses_rcv_nxt_is_challenged)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = RST, .seq = 2);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	/* A real peer answers the challenge with the right number. */
	INJECT(h, .flags = RST, .seq = 1);
	check_reset(h);
}

TEST(rfc5961_3_2_rst_outside_of_the_window_is_dropped)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = RST, .seq = 0);
	INJECT(h, .flags = RST, .seq = 1 + FIRST_WND + 1);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

TEST(rfc5961_4_2_syn_in_established_is_challenged_whatever_its_number)
{
	static const uint32_t seq[] = { 0, 1, 1000, 1u << 30 };

	hist_established(h, &(struct hist_peer){ 0 });
	for (unsigned i = 0; i < 4; i++) {
		INJECT(h, .flags = SYN, .seq = seq[i], .mss = 1460);
		EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
		CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
		hist_run(h, SEC(1)); /* beyond the limit of challenges */
	}
}

TEST(rfc5961_5_2_ack_of_what_was_never_sent_is_challenged_and_its_data_dropped)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 2, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK(h, !(mr_ready(h->sock) & MR_IN));
}

TEST(rfc5961_5_2_ack_older_than_the_largest_window_is_challenged)
{
	const uint32_t wnd = 10000, acked = 20000;

	hist_established(h, &(struct hist_peer){ .wnd = wnd });
	for (unsigned i = 1; i <= acked / wnd; i++) {
		hist_write(h, wnd);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + i * wnd);
	}
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + acked - wnd - 1);
	EXPECT(h, .flags = ACK, .seq = 1 + acked, .ack = 1);
	hist_run(h, SEC(1));
	/* Within it: an old duplicate, nothing to answer. */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + acked - wnd);
	EXPECT_NOTHING(h);
}

/* RFC 5961 section 5.2 goes by the window alone; as Linux since 6.7, numbers from before our ISN are none of ours. */
TEST(rfc5961_5_2_ack_of_what_was_never_sent_before_is_challenged)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1); /* an old one, and of ours */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 0, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 101, .ack = 1);
	CHECK(h, !(mr_ready(h->sock) & MR_IN));
}

TEST(rfc5961_7_challenges_of_one_connection_are_limited_to_two_in_a_second)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = RST, .seq = 2);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = RST, .seq = 2);
	EXPECT_NOTHING(h);
	hist_run(h, MS(501));
	INJECT(h, .flags = RST, .seq = 2);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
}

/* Of all together there is a number of chance in each second, so that counting them tells nothing of another
 * connection's (CVE-2016-5696). */
TEST(rfc5961_7_challenges_of_all_are_limited_to_a_number_of_chance)
{
	const uint64_t *sent = &h->engine->st->ctr.c[MR_CTR_TCP_CHALLENGE_ACK];
	uint64_t first;

	hist_listen(h, 16);
	h->quiet = true;
	INJECT(h, .flags = SYN, .mss = 1460); /* a request has no limit of its own */
	for (unsigned i = 0; i < 2000; i++) {
		INJECT(h, .flags = RST, .seq = 2);
		hist_skip(h);
	}
	first = *sent;
	CHECK(h, first >= 500 && first < 1500);
	hist_run(h, MS(1001));
	for (unsigned i = 0; i < 2000; i++) {
		INJECT(h, .flags = RST, .seq = 2);
		hist_skip(h);
	}
	CHECK(h, *sent - first >= 500 && *sent - first < 1500);
	CHECK(h, *sent != 2 * first);
}

TEST(rfc9293_3_10_7_4_segment_outside_of_the_window_is_answered_with_an_ack)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = PSH | ACK, .seq = 1 + (1u << 20), .ack = 1, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK(h, !(mr_ready(h->sock) & MR_IN));
}

/* ---- What the application does --------------------------------------------------------------- */

TEST(rfc9293_3_10_5_abort_sends_rst)
{
	hist_established(h, &(struct hist_peer){ 0 });
	mr_abort(h->sock);
	h->sock = NULL;
	hist_round(h);
	EXPECT(h, .flags = RST | ACK, .seq = 1, .ack = 1);
}

TEST(rfc9293_3_6_1_close_with_unread_data_sends_rst)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	hist_close(h);
	EXPECT(h, .flags = RST | ACK, .seq = 1, .ack = 11);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
}

TEST(rfc9293_3_10_5_close_with_linger_0_sends_rst)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_LINGER, 0);
	hist_close(h);
	EXPECT(h, .flags = RST | ACK, .seq = 1, .ack = 1);
}

/* The application has not closed, but said that it neither reads nor writes any more. */
TEST(rfc1122_4_2_2_13_data_after_both_directions_were_shut_is_answered_with_rst)
{
	hist_established(h, &(struct hist_peer){ 0 });
	CHECK_EQ(h, mr_shutdown(h->sock, MR_SHUT_RDWR), 0);
	hist_round(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 2);
	CHECK_EQ(h, hist_state(h), MR_TCP_FIN_WAIT2);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 2, .len = 10);
	EXPECT(h, .flags = RST | ACK, .seq = 2, .ack = 1);
	CHECK_EQ(h, mr_sock_error(h->sock), -ECONNRESET);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
}

/* Who reads no more but writes still, leaves the peer in peace. */
TEST(rfc1122_4_2_2_13_data_after_reading_was_shut_is_acknowledged)
{
	hist_established(h, &(struct hist_peer){ 0 });
	CHECK_EQ(h, mr_shutdown(h->sock, MR_SHUT_RD), 0);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 11);
	INJECT(h, .flags = FIN | ACK, .seq = 11, .ack = 2);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 12);
}

TEST(rfc9293_3_6_1_data_after_close_is_answered_with_rst)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_close(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 2, .len = 10);
	CHECK_EQ(h, h->next + 1, h->nout);
	CHECK(h, h->out[h->next].t.flags & RST);
	hist_skip(h);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
}
