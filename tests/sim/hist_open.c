// SPDX-License-Identifier: BSD-2-Clause
/* hist_open.c - opening: three-way handshakes, simultaneous open, lost and refused ones, backlogs,
 * options. RFC 9293 sections 3.5 and 3.10.7.1 to 3.10.7.3. */
#include <errno.h>
#include "hist.h"

static uint64_t dropped(const struct hist *h, enum mr_drop reason)
{
	return h->engine->st->ctr.drop[reason];
}

/* ---- Passive --------------------------------------------------------------------------------- */

TEST(rfc9293_3_5_listener_completes_a_three_way_handshake)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	CHECK_EQ(h, mr_accept(h->listener, &h->sock, NULL), -EAGAIN);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	EXPECT_NOTHING(h);
	hist_accept(h);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

TEST(rfc9293_3_8_3_syn_ack_is_sent_again_after_1_3_7_15_and_31_seconds_and_then_forgotten)
{
	static const double at[] = { 0, 1, 3, 7, 15, 31 };

	hist_listen(h, 16);
	INJECT(h, .flags = SYN, .mss = 1460);
	hist_until(h, SEC(200));
	for (unsigned i = 0; i < 6; i++)
		EXPECT_AT(h, SEC(at[i]), .flags = SYN | ACK, .seq = 0, .ack = 1);
	CHECK_EQ(h, h->engine->st->tcp.synreqs.used, 0);
}

TEST(rfc9293_3_10_7_2_repeated_syn_is_answered_with_the_same_syn_ack)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	uint32_t isn = h->last.seq;

	hist_run(h, MS(500));
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	CHECK_EQ(h, h->last.seq, isn);
}

TEST(rfc9293_3_10_7_2_data_on_a_syn_is_not_acknowledged_and_taken_when_sent_again)
{
	hist_listen(h, 16);
	/* One byte of sequence space is the SYN's: payload begins at 1. */
	INJECT(h, .flags = SYN, .mss = 1460, .len = 10, .fill = 'x');
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	hist_accept(h);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	hist_read(h, 10);
}

TEST(data_with_the_ack_of_the_handshake_is_taken)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 101);
	hist_accept(h);
	hist_read(h, 100);
}

TEST(rfc9293_3_10_7_4_lost_ack_of_the_handshake_is_made_good_by_data)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	/* The ACK is lost; the first segment is, too. */
	INJECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 201);
	hist_accept(h);
	hist_read(h, 200);
}

/* ---- SYN cookies (RFC 4987) ---------------------------------------------------------------------- */

static uint64_t counted(const struct hist *h, enum mr_counter_id id)
{
	return h->engine->st->ctr.c[id];
}

/* One SYN fills the queue, the next one (from port 5001) gets a cookie. */
static void cookie_syn(struct hist *h, uint32_t tsval)
{
	hist_listen(h, 1);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	INJECT(h, .flags = SYN, .sport = 5001, .mss = 1300, .has_wscale = true, .wscale = 3,
	       .sack_perm = true, .tsval = tsval);
	EXPECT(h, .flags = SYN | ACK, .any_seq = true, .ack = 1, .rport = 5001);
	CHECK_EQ(h, counted(h, MR_CTR_TCP_COOKIES_OUT), 1);
	CHECK_EQ(h, h->engine->st->tcp.synreqs.used, 1);
	h->pport = 5001; /* whom the rest is about */
}

/* The queue's SYN,ACK is sent again meanwhile, and shows another ISN. */
static void cookie_waits(struct hist *h, uint64_t until)
{
	uint32_t isn = h->eisn;

	hist_until(h, until);
	hist_skip(h);
	h->eisn = isn;
}

TEST(rfc4987_3_6_syn_beyond_the_syn_queue_is_answered_with_a_cookie_that_keeps_its_options)
{
	const struct mr_tcb *tcb;

	cookie_syn(h, 1000);
	CHECK(h, h->last.sack_perm && h->last.has_wscale && h->last.has_ts);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100, .wnd = 1000, .tsval = 1001,
	       .tsecr = h->last.tsval);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 101);
	hist_accept(h);
	hist_read(h, 100);
	CHECK_EQ(h, counted(h, MR_CTR_TCP_COOKIES_IN), 1);
	tcb = mr_list_first(&h->engine->st->tcp.all, struct mr_tcb, all_node);
	CHECK_EQ(h, tcb->peer_mss, 1300);
	CHECK_EQ(h, tcb->snd_wscale, 3);
	CHECK_EQ(h, tcb->snd_wnd, 8000);
	CHECK(h, tcb->sack_ok && tcb->ts_ok && tcb->ecn.mode == MR_ECN_MODE_NONE);
	hist_skip(h);
}

TEST(rfc4987_3_6_cookie_without_timestamps_keeps_the_mss_alone)
{
	const struct mr_tcb *tcb;

	cookie_syn(h, 0);
	CHECK(h, !h->last.sack_perm && !h->last.has_wscale && !h->last.has_ts);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = 1000);
	hist_accept(h);
	tcb = mr_list_first(&h->engine->st->tcp.all, struct mr_tcb, all_node);
	CHECK_EQ(h, tcb->peer_mss, 1300);
	CHECK_EQ(h, tcb->snd_wnd, 1000);
	CHECK(h, !tcb->sack_ok && !tcb->wscale_ok);
	hist_skip(h);
}

/* An ACK that belongs to no connection: a keepalive of one that is gone, say, whose peer must hear of it. */
TEST(rfc9293_3_10_7_2_ack_that_carries_no_cookie_is_reset)
{
	cookie_syn(h, 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1000);
	EXPECT(h, .flags = RST, .seq = 1000, .rport = 5001);
	INJECT(h, .flags = ACK, .seq = 0, .ack = 1);
	EXPECT(h, .flags = RST, .seq = 1, .rport = 5001);
	INJECT(h, .flags = ACK, .sport = 5002, .seq = 1, .ack = 1);
	EXPECT(h, .flags = RST, .seq = 1, .rport = 5002);
	/* Text, whose number says that it is not behind a cookie. */
	INJECT(h, .flags = ACK, .seq = 101, .ack = 0x12345678, .len = 100);
	EXPECT(h, .flags = RST, .seq = 0x12345678, .rport = 5001);
	CHECK_EQ(h, counted(h, MR_CTR_TCP_COOKIES_BAD), 4);
	CHECK_EQ(h, dropped(h, MR_DROP_TCP_COOKIE), 4);
	INJECT(h, .flags = RST, .seq = 1, .ack = 1000); /* is answered by nothing */
	EXPECT_NOTHING(h);
}

/* The first one alone tells the peer's ISN; a reset of the second would end what the first, sent again,
 * completes. */
TEST(rfc4987_3_6_second_segment_does_not_end_what_the_first_will_complete)
{
	cookie_syn(h, 0);
	INJECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 100);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 101);
	hist_accept(h);
	hist_read(h, 100);
	hist_skip(h);
}

/* The SYN,ACK came twice, and the peer's answer to the second one overtakes all that it has sent. Later the same
 * would be a sign of life of a connection that is gone. */
TEST(rfc4987_3_6_answer_to_a_second_syn_ack_is_not_reset)
{
	uint32_t tsval;

	cookie_syn(h, 1000);
	tsval = h->last.tsval;
	INJECT(h, .flags = ACK, .seq = 101, .ack = 1, .tsval = 1001, .tsecr = tsval);
	EXPECT_NOTHING(h);
	cookie_waits(h, SEC(4));
	INJECT(h, .flags = ACK, .seq = 101, .ack = 1, .tsval = 5001, .tsecr = tsval);
	EXPECT(h, .flags = RST, .seq = 1);
	/* Text is waited for as long as the cookie is good. */
	INJECT(h, .flags = ACK, .seq = 101, .ack = 1, .len = 10, .tsval = 5001, .tsecr = tsval);
	EXPECT_NOTHING(h);
}

/* The network doubled the SYN, and its second copy found room: the peer answers the first SYN,ACK. */
TEST(rfc4987_3_6_cookie_is_good_although_its_syn_came_again_and_found_room)
{
	uint32_t isn;

	cookie_syn(h, 0);
	isn = h->eisn;
	hist_run(h, MS(10)); /* another ISN */
	INJECT(h, .flags = RST, .sport = 5000, .seq = 1);
	CHECK_EQ(h, h->engine->st->tcp.synreqs.used, 0);
	INJECT(h, .flags = SYN, .mss = 1300);
	EXPECT(h, .flags = SYN | ACK, .any_seq = true, .ack = 1);
	CHECK(h, h->eisn != isn);
	/* Not a reset: the peer's second segment, which cannot be checked, may come before the first. */
	h->eisn = isn;
	INJECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 100);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->engine->st->tcp.synreqs.used, 1);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 101);
	CHECK_EQ(h, h->engine->st->tcp.synreqs.used, 0);
	CHECK_EQ(h, counted(h, MR_CTR_TCP_COOKIES_IN), 1);
	hist_accept(h);
	hist_read(h, 100);
}

TEST(rfc4987_3_6_cookie_is_good_for_a_minute)
{
	cookie_syn(h, 0);
	cookie_waits(h, SEC(60));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, counted(h, MR_CTR_TCP_COOKIES_IN), 1);
	hist_accept(h);
}

TEST(rfc4987_3_6_cookie_expires)
{
	cookie_syn(h, 0);
	cookie_waits(h, SEC(130));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = RST, .seq = 1);
	CHECK_EQ(h, counted(h, MR_CTR_TCP_COOKIES_IN), 0);
}

/* A backlog of n lets n + 1 completed connections wait, as in Linux. */
TEST(syn_is_dropped_while_the_accept_queue_is_full)
{
	hist_listen(h, 1);
	for (uint16_t port = 5001; port <= 5002; port++) {
		INJECT(h, .flags = SYN, .mss = 1460, .sport = port);
		EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1, .rport = port);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sport = port);
	}
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, dropped(h, MR_DROP_TCP_ACCEPT_BACKLOG), 1);
	h->pport = 5001;
	hist_accept(h);
	h->pport = HIST_PEER_PORT;
	hist_run(h, SEC(1));
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	/* The one that was not accepted is reset with its listener. */
	mr_close(h->listener);
	h->listener = NULL;
	hist_round(h);
	EXPECT(h, .flags = RST | ACK, .any_seq = true, .ack = 1, .rport = 5002);
}

/* ---- Active ---------------------------------------------------------------------------------- */

TEST(rfc9293_3_5_connect_completes_a_three_way_handshake)
{
	hist_connect(h);
	CHECK_EQ(h, h->last.mss, 1460);
	CHECK(h, h->last.has_wscale);
	CHECK(h, h->last.has_ts);
	CHECK_EQ(h, hist_state(h), MR_TCP_SYN_SENT);
	CHECK(h, !(mr_ready(h->sock) & MR_OUT));
	INJECT(h, .flags = SYN | ACK, .ack = 1, .mss = 1460);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK(h, mr_ready(h->sock) & MR_OUT);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

TEST(rfc1122_4_2_3_5_syn_is_sent_again_after_1_3_7_15_31_and_63_seconds_and_given_up_after_127)
{
	static const double at[] = { 1, 3, 7, 15, 31, 63 };

	hist_connect(h);
	hist_until(h, SEC(126.9));
	for (unsigned i = 0; i < 6; i++)
		EXPECT_AT(h, SEC(at[i]), .flags = SYN, .seq = 0);
	CHECK_EQ(h, mr_sock_error(h->sock), 0);
	hist_until(h, SEC(127.1));
	CHECK(h, mr_ready(h->sock) & MR_ERR);
	CHECK_EQ(h, mr_sock_error(h->sock), -ETIMEDOUT);
}

/* The path has lost a SYN, or is so slow that 1 s was too short: nobody knows which. */
TEST(rfc6298_5_7_rto_is_3_seconds_after_a_syn_that_was_sent_again)
{
	hist_connect(h);
	hist_until(h, SEC(1.5));
	EXPECT_AT(h, SEC(1), .flags = SYN, .seq = 0);
	hist_syn_ack(h, &(struct hist_peer){ 0 });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	hist_zero(h);
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_until(h, SEC(4));
	EXPECT_AT(h, SEC(3), .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
}

/* With timestamps it is known: which SYN was answered, and so how long the path takes. */
static uint32_t connect_in_two_tries(struct hist *h, bool second)
{
	uint32_t tsval[2];

	hist_connect(h);
	tsval[0] = h->last.tsval;
	hist_until(h, SEC(1.2));
	EXPECT_AT(h, SEC(1), .flags = SYN, .seq = 0);
	tsval[1] = h->last.tsval;
	INJECT(h, .flags = SYN | ACK, .ack = 1, .mss = 1460, .tsval = 1, .tsecr = tsval[second]);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	return h->sock->tcb->cwnd / h->sock->tcb->snd_mss;
}

TEST(rfc7323_4_1_rtt_is_known_after_a_syn_that_was_lost)
{
	CHECK_EQ(h, connect_in_two_tries(h, true), 1); /* RFC 5681 section 3.1 */
	CHECK(h, h->sock->tcb->srtt_ns >= MS(199) && h->sock->tcb->srtt_ns <= MS(202));
	CHECK(h, h->sock->tcb->rto_ns < SEC(1));
}

TEST(rfc3522_3_2_syn_that_was_sent_again_for_nothing_leaves_the_initial_window)
{
	CHECK_EQ(h, connect_in_two_tries(h, false), 10);
	CHECK(h, h->sock->tcb->srtt_ns >= MS(1199) && h->sock->tcb->srtt_ns <= MS(1202));
}

TEST(rfc7323_4_1_rtt_is_known_after_a_syn_ack_that_was_lost)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN, .mss = 1460, .tsval = 1);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	hist_zero(h);
	hist_until(h, SEC(1.1));
	EXPECT_AT(h, SEC(1), .flags = SYN | ACK, .seq = 0, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .tsval = 2, .tsecr = h->last.tsval);
	hist_accept(h);
	CHECK(h, h->sock->tcb->srtt_ns >= MS(99) && h->sock->tcb->srtt_ns <= MS(102));
}

TEST(rfc9293_3_5_2_syn_ack_that_acknowledges_something_else_is_reset)
{
	hist_connect(h);
	INJECT(h, .flags = SYN | ACK, .ack = 100, .mss = 1460);
	EXPECT(h, .flags = RST, .seq = 100);
	CHECK_EQ(h, hist_state(h), MR_TCP_SYN_SENT);
}

TEST(rfc9293_3_10_7_3_syn_that_met_an_old_connection_of_the_peers_is_sent_again_behind_the_reset_once)
{
	hist_connect(h);
	INJECT(h, .flags = ACK, .seq = 7777, .ack = 100);
	EXPECT(h, .flags = RST, .seq = 100);
	hist_until(h, MS(10));
	EXPECT_AT(h, MS(2), .flags = SYN, .seq = 0);
	/* The peer keeps its old connection for all that (RFC 1337): now it is left to the timeout. */
	INJECT(h, .flags = ACK, .seq = 7777, .ack = 100);
	EXPECT(h, .flags = RST, .seq = 100);
	hist_until(h, MS(1000));
	EXPECT_NOTHING(h);
	hist_until(h, MS(2100));
	EXPECT_AT(h, MS(2002), .flags = SYN, .seq = 0);
	hist_skip(h);
}

TEST(rfc9293_3_10_7_3_syn_that_met_an_old_connection_counts_as_no_loss)
{
	const struct mr_tcb *tcb;

	hist_connect(h);
	INJECT(h, .flags = ACK, .seq = 7777, .ack = 100);
	EXPECT(h, .flags = RST, .seq = 100);
	hist_until(h, MS(10));
	EXPECT_AT(h, MS(2), .flags = SYN, .seq = 0);
	hist_syn_ack(h, &(struct hist_peer){ 0 });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	tcb = mr_list_first(&h->engine->st->tcp.all, struct mr_tcb, all_node);
	CHECK_EQ(h, tcb->cwnd, 10 * tcb->snd_mss);
	CHECK_EQ(h, tcb->rto_ns, MR_TCP_RTO_INIT_NS); /* not the 3 s of RFC 6298 (5.7) */
}

TEST(rfc9293_3_5_3_refused_connect_ends_with_econnrefused)
{
	hist_connect(h);
	INJECT(h, .flags = RST | ACK, .seq = 0, .ack = 1);
	CHECK(h, mr_ready(h->sock) & MR_ERR);
	CHECK_EQ(h, mr_sock_error(h->sock), -ECONNREFUSED);
}

TEST(rfc9293_3_5_3_rst_in_syn_sent_counts_only_if_it_acknowledges_the_syn)
{
	hist_connect(h);
	INJECT(h, .flags = RST, .seq = 0);
	INJECT(h, .flags = RST | ACK, .seq = 0, .ack = 2);
	INJECT(h, .flags = RST | ACK, .seq = 0, .ack = 0);
	CHECK_EQ(h, hist_state(h), MR_TCP_SYN_SENT);
	CHECK_EQ(h, mr_sock_error(h->sock), 0);
}

TEST(rfc9293_3_10_7_3_data_on_a_syn_ack_is_taken)
{
	hist_connect(h);
	INJECT(h, .flags = SYN | ACK | PSH, .ack = 1, .mss = 1460, .len = 50, .fill = 'x');
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 51);
	CHECK(h, mr_ready(h->sock) & MR_IN);
}

TEST(data_written_while_connecting_follows_the_handshake)
{
	uint8_t byte;

	hist_connect(h);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -EAGAIN);
	hist_syn_ack(h, &(struct hist_peer){ 0 });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
}

TEST(window_scale_is_what_the_syn_said_whatever_becomes_of_the_buffer)
{
	hist_connect(h);
	CHECK(h, h->last.has_wscale);
	CHECK_EQ(h, h->last.wscale, 7); /* for up to 4 MiB at least */
	hist_option(h, MR_OPT_RCVBUF, 16 << 20);
	hist_until(h, SEC(1.1));
	EXPECT_AT(h, SEC(1), .flags = SYN, .seq = 0, .check_wscale = true, .wscale = 7);
	INJECT(h, .flags = SYN | ACK, .ack = 1, .mss = 1460, .has_wscale = true, .wscale = 2);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, mr_list_first(&h->engine->st->tcp.all, struct mr_tcb, all_node)->rcv_wscale, 7);
}

TEST(rfc7323_2_2_window_is_not_scaled_if_the_peer_did_not_offer_it)
{
	hist_connect(h);
	hist_option(h, MR_OPT_RCVBUF, 16 << 20);
	INJECT(h, .flags = SYN | ACK, .ack = 1, .mss = 1460);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .check_wnd = true, .wnd = 65535);
}

/* ---- Simultaneous open (RFC 9293 figure 7) --------------------------------------------------- */

TEST(rfc9293_3_5_simultaneous_open_ends_in_established)
{
	hist_connect(h);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_SYN_RECEIVED);
	INJECT(h, .flags = SYN | ACK, .ack = 1, .mss = 1460);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	hist_skip(h); /* an ACK is allowed here and not needed */
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
}

TEST(simultaneous_open_ends_in_established_by_a_plain_ack)
{
	hist_connect(h);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	EXPECT_NOTHING(h);
}

TEST(rfc9293_3_5_simultaneous_open_whose_syns_come_together_is_acknowledged)
{
	hist_connect(h);
	GIVE(h, .flags = SYN, .mss = 1460);
	INJECT(h, .flags = SYN | ACK, .ack = 1, .mss = 1460);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

TEST(rfc9293_3_5_rst_in_syn_received_of_a_simultaneous_open_refuses_the_connect)
{
	hist_connect(h);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	INJECT(h, .flags = RST, .seq = 1);
	CHECK_EQ(h, mr_sock_error(h->sock), -ECONNREFUSED);
}

/* As Linux does with what answers an earlier connection, or a guess. */
TEST(rfc7323_3_2_syn_ack_that_echoes_a_time_of_no_syn_is_reset)
{
	uint32_t ours;

	hist_connect(h);
	ours = h->last.tsval;
	hist_run(h, MS(20));
	INJECT(h, .flags = SYN | ACK, .ack = 1, .mss = 1460, .tsval = 1, .tsecr = ours - 1);
	EXPECT(h, .flags = RST, .seq = 1);
	INJECT(h, .flags = SYN | ACK, .ack = 1, .mss = 1460, .tsval = 1, .tsecr = ours + 100);
	EXPECT(h, .flags = RST, .seq = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_SYN_SENT);
	INJECT(h, .flags = SYN | ACK, .ack = 1, .mss = 1460, .tsval = 1, .tsecr = ours);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

/* ---- No connection --------------------------------------------------------------------------- */

/* The first SYN,ACK's number for a peer's port; the connection is forgotten. */
static uint32_t isn_for(struct hist *h, uint16_t port)
{
	uint32_t isn;

	INJECT(h, .flags = SYN, .mss = 1460, .sport = port);
	EXPECT(h, .flags = SYN | ACK, .any_seq = true, .ack = 1, .rport = port);
	isn = h->last.seq;
	INJECT(h, .flags = RST, .seq = 1, .sport = port);
	return isn;
}

/* RFC 9293 section 3.4.1: a clock of 4 us, so that incarnations follow one another; and for each pair of
 * ends another beginning, which no other pair's tells. */
TEST(rfc6528_3_isn_is_a_clock_with_a_beginning_of_its_own_for_each_pair_of_ends)
{
	uint32_t a, b, c;

	hist_listen(h, 16);
	a = isn_for(h, 6000);
	b = isn_for(h, 6001);
	c = isn_for(h, 6002);
	CHECK(h, a != b && b != c && b - a != c - b);
	hist_run(h, SEC(1));
	CHECK_EQ(h, isn_for(h, 6000) - a, 250000);
	CHECK_EQ(h, isn_for(h, 6001) - b, 250000);
}

TEST(rfc9293_3_5_2_syn_to_a_closed_port_is_answered_with_rst_ack)
{
	h->eport = 81;
	INJECT(h, .flags = SYN, .mss = 1460, .seq = 7);
	EXPECT(h, .flags = RST | ACK, .seq = 0u - h->eisn, .ack = 8);
}

TEST(rfc9293_3_5_2_ack_without_a_connection_is_answered_with_rst_at_its_number)
{
	h->eport = 81;
	INJECT(h, .flags = ACK, .seq = 7, .ack = 1234);
	EXPECT(h, .flags = RST, .seq = 1234);
	INJECT(h, .flags = FIN | ACK, .seq = 7, .ack = 1235);
	EXPECT(h, .flags = RST, .seq = 1235);
}

TEST(rfc9293_3_5_2_rst_is_never_answered)
{
	h->eport = 81;
	INJECT(h, .flags = RST, .seq = 7);
	INJECT(h, .flags = RST | ACK, .seq = 7, .ack = 1234);
	EXPECT_NOTHING(h);
}

TEST(rfc9293_3_10_7_2_ack_to_a_listener_is_answered_with_rst)
{
	hist_listen(h, 16);
	INJECT(h, .flags = ACK, .seq = 7, .ack = 1234);
	EXPECT(h, .flags = RST, .seq = 1234);
	INJECT(h, .flags = RST, .seq = 7);
	EXPECT_NOTHING(h);
}

/* ---- Options --------------------------------------------------------------------------------- */

TEST(rfc6691_2_segments_are_not_larger_than_the_peers_mss)
{
	hist_established(h, &(struct hist_peer){ .mss = 500 });
	hist_write(h, 1200);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 500);
	EXPECT(h, .flags = ACK, .seq = 501, .ack = 1, .len = 500);
	EXPECT(h, .flags = PSH | ACK, .seq = 1001, .ack = 1, .len = 200);
}

TEST(rfc9293_3_7_1_without_an_mss_option_segments_have_536_bytes)
{
	hist_established(h, &(struct hist_peer){ .mss = MSS_NONE });
	hist_write(h, 1072);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 536);
	EXPECT(h, .flags = PSH | ACK, .seq = 537, .ack = 1, .len = 536);
}

/* As Linux. */
TEST(rfc9293_3_7_1_mss_option_of_0_counts_as_none)
{
	hist_established(h, &(struct hist_peer){ .mss = MSS_ZERO });
	hist_write(h, 536);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 536);
}

/* What is sure to arrive: the least IPv6 MTU of 1280 bytes, less the headers. */
TEST6(rfc9293_3_7_1_without_an_mss_option_segments_over_ipv6_have_1220_bytes)
{
	hist_established(h, &(struct hist_peer){ .mss = MSS_NONE });
	hist_write(h, 2440);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 1220);
	EXPECT(h, .flags = PSH | ACK, .seq = 1221, .ack = 1, .len = 1220);
}

TEST6(rfc9293_3_7_1_active_open_over_ipv6_takes_1220_bytes_without_an_mss_option)
{
	hist_connected(h, &(struct hist_peer){ .mss = MSS_NONE });
	hist_write(h, 2440);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 1220);
	EXPECT(h, .flags = PSH | ACK, .seq = 1221, .ack = 1, .len = 1220);
}

TEST6(rfc9293_3_7_1_segments_over_ipv6_are_not_larger_than_the_peers_mss)
{
	hist_established(h, &(struct hist_peer){ .mss = 536 });
	hist_write(h, 600);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 536);
	EXPECT(h, .flags = PSH | ACK, .seq = 537, .ack = 1, .len = 64);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 601, .len = 100);
	hist_read(h, 100);
	hist_skip(h);
}

TEST(rfc6691_2_an_absurdly_small_mss_counts_as_88)
{
	hist_established(h, &(struct hist_peer){ .mss = 10 });
	hist_write(h, 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 88);
	EXPECT(h, .flags = PSH | ACK, .seq = 89, .ack = 1, .len = 12);
}

TEST(rfc7323_2_2_options_are_only_answered_when_offered)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	CHECK(h, !h->last.has_wscale && !h->last.has_ts);
	INJECT(h, .flags = SYN, .mss = 1460, .sport = 5001, .has_wscale = true, .wscale = 3,
	       .tsval = 1000);
	EXPECT(h, .flags = SYN | ACK, .any_seq = true, .ack = 1, .rport = 5001);
	CHECK(h, h->last.has_wscale && h->last.has_ts);
	CHECK_EQ(h, h->last.tsecr, 1000);
}

TEST(rfc7323_2_2_the_window_of_a_syn_is_not_scaled_but_all_later_ones_are)
{
	/* 100 << 5 is 3200 bytes: two full segments, and 280 that wait (silly windows). */
	hist_established(h, &(struct hist_peer){ .wnd = 100, .has_wscale = true, .wscale = 5 });
	hist_write(h, 4380);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 1460);
	EXPECT(h, .flags = ACK, .seq = 1461, .ack = 1, .len = 1460);
	EXPECT_NOTHING(h);
}

TEST(rfc7323_2_2_a_window_scale_above_14_counts_as_14)
{
	hist_established(h, &(struct hist_peer){ .wnd = 1, .has_wscale = true, .wscale = 200 });
	hist_write(h, 11 * 1460);
	for (unsigned i = 0; i < 10; i++)
		EXPECT(h, .flags = ACK, .seq = 1 + i * 1460, .ack = 1, .len = 1460);
	EXPECT_NOTHING(h); /* the initial window, not the peer's: RFC 6928 */
}
