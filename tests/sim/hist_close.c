// SPDX-License-Identifier: BSD-2-Clause
/* hist_close.c - closing in every order, and TIME-WAIT. RFC 9293 sections 3.6 and 3.10.4. */
#include <errno.h>
#include "hist.h"

static uint32_t time_waits(const struct hist *h)
{
	return h->engine->st->tcp.tws.used;
}

static uint32_t tcbs(const struct hist *h)
{
	return h->engine->st->tcp.tcbs.used;
}

/* The engine closes first; its connection is in TIME-WAIT with snd_nxt 2 and rcv_nxt 2. */
static void to_time_wait(struct hist *h)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_close(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 2);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 2);
	CHECK_EQ(h, time_waits(h), 1);
	CHECK_EQ(h, tcbs(h), 0);
	hist_zero(h);
}

TEST(rfc9293_3_6_active_close_passes_fin_wait_1_and_2_to_time_wait_for_60_seconds)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_FIN_WAIT1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 2);
	CHECK_EQ(h, hist_state(h), MR_TCP_FIN_WAIT2);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 2);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 2);
	hist_run(h, SEC(59.9));
	CHECK_EQ(h, time_waits(h), 1);
	hist_run(h, SEC(0.2));
	CHECK_EQ(h, time_waits(h), 0);
}

TEST(rfc9293_3_6_passive_close_passes_close_wait_and_last_ack)
{
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 2);
	CHECK_EQ(h, hist_state(h), MR_TCP_CLOSE_WAIT);
	CHECK(h, mr_ready(h->sock) & MR_RDHUP);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), 0);
	hist_close(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 2);
	CHECK_EQ(h, tcbs(h), 1);
	INJECT(h, .flags = ACK, .seq = 2, .ack = 2);
	CHECK_EQ(h, tcbs(h), 0);
	CHECK_EQ(h, time_waits(h), 0);
}

TEST(rfc9293_3_6_simultaneous_close_passes_closing_to_time_wait)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 2);
	CHECK_EQ(h, hist_state(h), MR_TCP_CLOSING);
	INJECT(h, .flags = ACK, .seq = 2, .ack = 2);
	hist_skip(h); /* TIME-WAIT may repeat its ACK */
	CHECK_EQ(h, time_waits(h), 1);
	CHECK_EQ(h, tcbs(h), 0);
}

TEST(rfc9293_3_6_1_half_closed_engine_still_receives)
{
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ 0 });
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, mr_send(h->sock, "x", 1, 0), -EPIPE);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 2);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 2, .len = 1000);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 1001);
	hist_read(h, 1000);
	INJECT(h, .flags = FIN | ACK, .seq = 1001, .ack = 2);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 1002);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), 0);
}

TEST(rfc9293_3_6_1_half_closed_peer_still_receives)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 2);
	hist_write(h, 1000);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 2, .len = 1000);
	INJECT(h, .flags = ACK, .seq = 2, .ack = 1001);
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1001, .ack = 2);
	CHECK_EQ(h, hist_state(h), MR_TCP_LAST_ACK);
	INJECT(h, .flags = ACK, .seq = 2, .ack = 1002);
	CHECK_EQ(h, tcbs(h), 0);
}

TEST(fin_rides_on_the_last_data)
{
	hist_established(h, &(struct hist_peer){ 0 });
	CHECK_EQ(h, mr_send(h->sock, "\x01", 1, 0), 1);
	hist_close(h);
	EXPECT(h, .flags = FIN | PSH | ACK, .seq = 1, .ack = 1, .len = 1);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 3);
	EXPECT(h, .flags = ACK, .seq = 3, .ack = 2);
}

TEST(fin_is_sent_again_until_it_is_acknowledged)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_shutdown(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	hist_until(h, SEC(3.1));
	EXPECT_AT(h, MS(200), .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT_AT(h, MS(600), .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT_AT(h, MS(1400), .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT_AT(h, MS(3000), .flags = FIN | ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 2);
	CHECK_EQ(h, hist_state(h), MR_TCP_FIN_WAIT2);
	hist_run(h, SEC(20));
	EXPECT_NOTHING(h);
}

TEST(closed_connection_whose_fin_nobody_acknowledges_ends_after_8_tries)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_close(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	hist_until(h, SEC(102));
	for (unsigned i = 1; i <= 8; i++)
		EXPECT_AT(h, MS(200) * ((1u << i) - 1), .flags = FIN | ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, tcbs(h), 1);
	hist_until(h, SEC(102.3)); /* 200 ms * (2^9 - 1) = 102.2 s */
	CHECK_EQ(h, tcbs(h), 0);
}

TEST(rfc9293_3_6_1_fin_wait_2_without_an_application_ends_after_60_seconds)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_close(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 2);
	hist_run(h, SEC(59.9));
	CHECK_EQ(h, tcbs(h), 1);
	hist_run(h, SEC(0.2));
	CHECK_EQ(h, tcbs(h), 0);
}

TEST(rfc9293_3_10_7_4_fin_out_of_order_waits_for_what_is_missing)
{
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = FIN | PSH | ACK, .seq = 101, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	CHECK(h, !(mr_ready(h->sock) & MR_RDHUP));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 202);
	CHECK_EQ(h, hist_state(h), MR_TCP_CLOSE_WAIT);
	hist_read(h, 200);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), 0);
}

TEST(rfc9293_3_10_7_4_text_beyond_the_peers_fin_is_never_delivered)
{
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 2);
	INJECT(h, .flags = PSH | ACK, .seq = 2, .ack = 1, .len = 10);
	hist_skip(h);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), 0);
	CHECK_EQ(h, hist_state(h), MR_TCP_CLOSE_WAIT);
}

/* ---- TIME-WAIT ------------------------------------------------------------------------------- */

TEST(rfc9293_3_10_7_4_time_wait_acknowledges_a_repeated_fin_and_starts_anew)
{
	to_time_wait(h);
	hist_run(h, SEC(50));
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 2);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 2);
	hist_run(h, SEC(59.9));
	CHECK_EQ(h, time_waits(h), 1);
	hist_run(h, SEC(0.2));
	CHECK_EQ(h, time_waits(h), 0);
}

TEST(rfc1122_4_2_2_13_time_wait_gives_way_to_a_new_syn_with_a_higher_number)
{
	uint32_t old_nxt;

	to_time_wait(h);
	old_nxt = h->last.seq;
	INJECT(h, .flags = SYN, .seq = 3, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK, .any_seq = true, .ack = 4);
	CHECK(h, (int32_t)(h->last.seq - old_nxt) > 65535);
	CHECK_EQ(h, time_waits(h), 0);
	INJECT(h, .flags = ACK, .seq = 4, .ack = 1);
	hist_accept(h);
}

/* With timestamps they decide, whatever the numbers: a later one begins anew, an older one does not. */
TEST(rfc6191_2_time_wait_gives_way_to_a_later_timestamp)
{
	hist_established(h, &(struct hist_peer){ .tsval = 1000 });
	hist_close(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 2, .tsval = 1010);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 2);
	CHECK_EQ(h, time_waits(h), 1);
	INJECT(h, .flags = SYN, .seq = 5000, .mss = 1460, .tsval = 1009);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 2);
	CHECK_EQ(h, time_waits(h), 1);
	INJECT(h, .flags = SYN, .seq = (uint32_t)-5000, .mss = 1460, .tsval = 1011);
	EXPECT(h, .flags = SYN | ACK, .any_seq = true, .ack = (uint32_t)-4999);
	CHECK_EQ(h, time_waits(h), 0);
}

TEST(rfc1122_4_2_2_13_time_wait_does_not_give_way_to_a_syn_with_an_old_number)
{
	to_time_wait(h);
	INJECT(h, .flags = SYN, .seq = 2, .mss = 1460);
	EXPECT(h, .flags = ACK, .seq = 2, .ack = 2);
	CHECK_EQ(h, time_waits(h), 1);
}

TEST(time_wait_does_not_answer_a_plain_ack_in_order)
{
	to_time_wait(h);
	INJECT(h, .flags = ACK, .seq = 2, .ack = 2);
	EXPECT_NOTHING(h);
}

static void bound_socket(struct hist *h, uint16_t port)
{
	struct mr_endpoint local = { .port = port };

	CHECK_EQ(h, mr_socket(h->engine, &h->sock), 0);
	CHECK_EQ(h, mr_set_option(h->sock, MR_OPT_REUSEADDR, 1), 0);
	CHECK_EQ(h, mr_bind(h->sock, &local), 0);
}

static void connect_from(struct hist *h, uint16_t port, const struct hist_peer *peer)
{
	bound_socket(h, port);
	hist_connect(h);
	hist_syn_ack(h, peer);
	hist_skip(h);
}

/* Client side, as Linux's tcp_tw_reuse: not within the second in which timestamps could be the same. */
TEST(rfc6191_2_active_open_takes_over_a_time_wait_by_timestamps)
{
	struct mr_endpoint peer;
	uint32_t old_isn, old_tsval;

	connect_from(h, 7777, &(struct hist_peer){ .tsval = 1000 });
	CHECK_EQ(h, mr_peer(h->sock, &peer), 0);
	old_isn = h->eisn;
	hist_close(h);
	hist_skip(h);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 2);
	hist_skip(h);
	old_tsval = h->last.tsval;
	CHECK_EQ(h, h->engine->st->tcp.tws.used, 1);

	bound_socket(h, 7777);
	hist_run(h, MS(900));
	hist_round(h); /* the engine's clock */
	CHECK_EQ(h, mr_connect(h->sock, &peer), -EADDRINUSE);
	hist_run(h, MS(200));
	hist_round(h);
	hist_connect(h);
	CHECK_EQ(h, h->engine->st->tcp.tws.used, 0);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_TIMEWAIT_REUSED], 1);
	CHECK(h, (int32_t)(h->eisn - (old_isn + 2 + 65535)) > 0);
	CHECK(h, (int32_t)(h->last.tsval - old_tsval) > 0);
}

TEST(rfc6191_2_active_open_leaves_a_time_wait_without_timestamps_alone)
{
	struct mr_endpoint peer;

	connect_from(h, 7777, &(struct hist_peer){ 0 });
	CHECK_EQ(h, mr_peer(h->sock, &peer), 0);
	hist_close(h);
	hist_skip(h);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 2);
	hist_skip(h);
	bound_socket(h, 7777);
	hist_run(h, SEC(50));
	hist_round(h);
	CHECK_EQ(h, mr_connect(h->sock, &peer), -EADDRINUSE);
	hist_run(h, SEC(20));
	hist_round(h);
	CHECK_EQ(h, mr_connect(h->sock, &peer), -EINPROGRESS);
	hist_round(h);
	hist_skip(h);
}
