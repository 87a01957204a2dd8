// SPDX-License-Identifier: BSD-2-Clause
/* hist_options.c - socket options that are seen on the wire, as Linux has them: TCP_DEFER_ACCEPT,
 * TCP_SYNCNT, IP_TOS and IP_TTL of what has no TCB yet. */
#include <errno.h>
#include "hist.h"

static void listen_deferred(struct hist *h, int64_t seconds)
{
	CHECK_EQ(h, mr_socket(h->engine, &h->listener), 0);
	CHECK_EQ(h, mr_set_option(h->listener, MR_OPT_DEFER_ACCEPT, seconds), 0);
	hist_listen(h, 16);
	INJECT(h, .flags = SYN, .seq = 0, .mss = 1460, .wnd = HIST_PEER_WND);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1, .any_seq = true);
	hist_zero(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	EXPECT_NOTHING(h);
}

static bool acceptable(struct hist *h)
{
	return (mr_ready(h->listener) & MR_IN) != 0;
}

TEST(deferred_connection_is_accepted_with_its_data)
{
	listen_deferred(h, 10);
	CHECK(h, !acceptable(h));
	hist_run(h, MS(500));
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 50);
	CHECK(h, acceptable(h));
	hist_accept(h);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 51);
	hist_read(h, 50);
}

/* What the peer takes to say something is not the path's. */
TEST(rfc6298_2_2_deferred_connection_knows_the_round_trip_time_of_its_handshake)
{
	listen_deferred(h, 10);
	hist_run(h, MS(900));
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 50);
	hist_accept(h);
	CHECK(h, h->sock->tcb->srtt_ns && h->sock->tcb->srtt_ns < MS(1));
	hist_skip(h);
}

TEST(deferred_connection_is_accepted_with_its_fin)
{
	listen_deferred(h, 10);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 1);
	CHECK(h, acceptable(h));
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 2);
}

/* 3 s are two retransmissions: at 1 s it is silent, at 3 s the SYN,ACK comes once more, and its ACK is taken. */
TEST(deferred_connection_without_data_is_asked_once_more_and_accepted)
{
	listen_deferred(h, 3);
	hist_until(h, MS(3000) + MS(5));
	EXPECT_AT(h, SEC(3), .flags = SYN | ACK, .seq = 0, .ack = 1);
	CHECK(h, !acceptable(h));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK(h, acceptable(h));
}

/* A peer that says nothing at all is forgotten in the end. */
TEST(deferred_connection_without_any_answer_ends)
{
	listen_deferred(h, 3);
	hist_run(h, SEC(200));
	hist_skip(h);
	CHECK(h, !acceptable(h));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	EXPECT(h, .flags = RST, .seq = 1);
}

TEST(syncnt_is_the_number_of_retransmissions_of_a_syn)
{
	CHECK_EQ(h, mr_socket(h->engine, &h->sock), 0);
	CHECK_EQ(h, mr_set_option(h->sock, MR_OPT_SYNCNT, 2), 0);
	hist_connect(h);
	hist_run(h, SEC(100));
	EXPECT_AT(h, SEC(1), .flags = SYN, .seq = 0);
	EXPECT_AT(h, SEC(3), .flags = SYN, .seq = 0);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, mr_sock_error(h->sock), -ETIMEDOUT);
}
