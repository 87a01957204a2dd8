// SPDX-License-Identifier: BSD-2-Clause
/* hist_life.c - keepalive, user timeout, and what ICMP may and may not do. RFC 1122 section 4.2.3.6,
 * RFC 5482, RFC 5927, RFC 1191. */
#include <errno.h>
#include "hist.h"

#define ICMP_UNREACH	      3
#define ICMP_HOST_UNREACH     1
#define ICMP_PORT_UNREACH     3
#define ICMP_FRAG_NEEDED      4
#define ICMP_PROTO_UNREACH    2
#define ICMP_HOST_PROHIBITED  10
#define ICMP_ADMIN_PROHIBITED 13
#define ICMP_TIME_EXCEEDED    11

#define MSS 1460u

/* ---- Keepalive ------------------------------------------------------------------------------- */

static void with_keepalive(struct hist *h)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_KEEPIDLE, 10);
	hist_option(h, MR_OPT_KEEPINTVL, 5);
	hist_option(h, MR_OPT_KEEPCNT, 3);
	hist_option(h, MR_OPT_KEEPALIVE, 1);
}

TEST(rfc1122_4_2_3_6_silent_peer_is_probed_and_given_up)
{
	uint8_t byte;

	with_keepalive(h);
	hist_until(h, SEC(24.9));
	for (unsigned i = 0; i < 3; i++)
		EXPECT_AT(h, SEC(10 + 5 * i), .flags = ACK, .seq = 0, .ack = 1);
	CHECK(h, !(mr_ready(h->sock) & MR_ERR));
	hist_until(h, SEC(25.1));
	EXPECT_AT(h, SEC(25), .flags = RST | ACK, .seq = 1,
		  .ack = 1); /* should it hear us after all */
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ETIMEDOUT);
}

TEST(rfc1122_4_2_3_6_peer_that_answers_keepalives_stays)
{
	with_keepalive(h);
	for (unsigned i = 1; i <= 20; i++) {
		hist_until(h, SEC(10) * i + MS(2) * i);
		CHECK_EQ(h, h->next + 1, h->nout);
		hist_skip(h);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	}
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

TEST(rfc1122_4_2_3_6_idle_time_begins_with_what_came_last)
{
	with_keepalive(h);
	hist_until(h, SEC(0.5));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	hist_until(h, SEC(10.9));
	EXPECT_AT(h, SEC(10.5), .flags = ACK, .seq = 0, .ack = 1);
}

/* Who knows no number of the connection's is not its peer, and keeps no dead one alive. */
TEST(rfc1122_4_2_3_6_segments_that_anybody_could_send_are_no_sign_of_life)
{
	uint8_t byte;

	with_keepalive(h);
	for (unsigned i = 0; i < 60 && !(mr_ready(h->sock) & MR_ERR); i++) {
		hist_run(h, MS(500));
		INJECT(h, .flags = ACK, .seq = 1, .ack = 0x40000000);
		INJECT(h, .flags = ACK, .seq = 0x40000000, .ack = 1);
		INJECT(h, .flags = RST, .seq = 100);
	}
	hist_skip(h);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ETIMEDOUT);
}

TEST(rfc1122_4_2_3_6_keepalive_is_off_unless_asked_for)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_run(h, SEC(86400));
	EXPECT_NOTHING(h);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

TEST(rfc1122_4_2_3_6_peers_keepalive_is_answered)
{
	hist_established(h, &(struct hist_peer){ 0 });
	for (unsigned i = 0; i < 3; i++) {
		hist_run(h, SEC(100));
		INJECT(h, .flags = ACK, .seq = 0, .ack = 1);
		EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	}
	/* Old stacks send one byte of garbage with it. */
	hist_run(h, SEC(100));
	INJECT(h, .flags = ACK, .seq = 0, .ack = 1, .len = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK(h, !(mr_ready(h->sock) & MR_IN));
}

/* ---- User timeout ---------------------------------------------------------------------------- */

TEST(rfc5482_3_user_timeout_ends_a_connection_whose_data_nobody_acknowledges)
{
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_USER_TIMEOUT, 5000);
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_until(h, MS(4900));
	for (unsigned i = 1; i <= 4; i++)
		EXPECT_AT(h, MS(200) * ((1u << i) - 1), .flags = PSH | ACK, .seq = 1, .ack = 1,
			  .len = 100);
	CHECK(h, !(mr_ready(h->sock) & MR_ERR));
	hist_until(h, MS(5100));
	EXPECT_NOTHING(h);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ETIMEDOUT);
}

/* RFC 5482 section 3 with Linux's TCP_USER_TIMEOUT: a window that stays closed is no progress, though the peer
 * answers every probe. */
TEST(rfc5482_3_user_timeout_ends_a_connection_whose_window_stays_closed)
{
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_USER_TIMEOUT, 5000);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	hist_write(h, 100);
	for (unsigned i = 0; i < 60; i++) {
		hist_run(h, MS(100));
		if (h->next == h->nout)
			continue;
		hist_skip(h);
		if (i < 48)
			INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	}
	hist_skip(h);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ETIMEDOUT);
}

/* The same where data is in flight that the window was closed over: what is sent again and again is answered, and
 * never taken. */
TEST(rfc5482_3_user_timeout_ends_a_connection_whose_window_was_closed_over_data)
{
	uint8_t byte;

	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_USER_TIMEOUT, 5000);
	hist_write(h, 100);
	for (unsigned i = 0; i < 60; i++) {
		hist_skip(h);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
		hist_run(h, MS(100));
	}
	hist_skip(h);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ETIMEDOUT);
}

/* As Linux: it outlives the application, which has chosen how long its connection is worth waiting for. */
TEST(rfc5482_3_user_timeout_ends_an_orphan)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_option(h, MR_OPT_USER_TIMEOUT, 1000);
	hist_write(h, 100);
	hist_close(h);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	EXPECT(h, .flags = FIN | ACK, .seq = 101, .ack = 1);
	hist_until(h, MS(900));
	for (unsigned i = 1; i <= 2; i++)
		EXPECT_AT(h, MS(200) * ((1u << i) - 1), .flags = FIN | PSH | ACK, .seq = 1,
			  .ack = 1, .len = 100);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 1);
	hist_until(h, MS(1100));
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
}

/* The same for keepalives: the timeout decides, not the number of probes. */
TEST(rfc5482_3_user_timeout_takes_the_place_of_the_keepalive_count)
{
	uint8_t byte;

	with_keepalive(h);
	hist_option(h, MR_OPT_USER_TIMEOUT, 32000);
	hist_until(h, SEC(34.9));
	for (unsigned i = 0; i < 5; i++)
		EXPECT_AT(h, SEC(10 + 5 * i), .flags = ACK, .seq = 0, .ack = 1);
	CHECK(h, !(mr_ready(h->sock) & MR_ERR));
	hist_until(h, SEC(35.1));
	hist_skip(h);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ETIMEDOUT);
}

/* RFC 1122 section 4.2.3.6: only an idle connection is probed. Data under way is looked after by its own timer. */
TEST(rfc1122_4_2_3_6_keepalive_waits_while_data_is_under_way)
{
	with_keepalive(h);
	hist_run(h, SEC(9.9));
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_run(h, SEC(0.3)); /* past the idle time: a retransmission, and no probe */
	EXPECT_AT(h, SEC(10.1), .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
	hist_run(h, SEC(9));
	EXPECT_NOTHING(h);
	hist_run(h, SEC(2));
	CHECK_EQ(h, h->next + 1, h->nout);
	hist_skip(h);
}

/* ---- ICMP ------------------------------------------------------------------------------------ */

TEST(rfc792_port_unreachable_refuses_a_connect)
{
	hist_connect(h);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_PORT_UNREACH, 0, 0);
	CHECK_EQ(h, mr_sock_error(h->sock), -ECONNREFUSED);
}

TEST(rfc5927_4_1_icmp_about_a_number_not_in_flight_is_ignored)
{
	hist_connect(h);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_PORT_UNREACH, 0, 1);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_PORT_UNREACH, 0, 0u - 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_SYN_SENT);
	CHECK_EQ(h, mr_sock_error(h->sock), 0);
	CHECK_EQ(h, h->engine->st->ctr.drop[MR_DROP_ICMP_NO_FLOW], 2);
}

TEST(rfc1122_4_2_3_9_icmp_does_not_end_an_established_connection)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_PORT_UNREACH, 0, 1);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_HOST_UNREACH, 0, 1);
	hist_inject_icmp(h, ICMP_TIME_EXCEEDED, 0, 0, 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
	CHECK_EQ(h, mr_sock_error(h->sock), 0);
}

/* What Linux tells a program for each (RFC 1122 section 4.2.3.9 calls most of them soft). */
TEST(rfc5461_4_any_icmp_error_ends_a_connect_but_fragmentation_needed)
{
	static const struct {
		uint8_t type, code;
		int err;
	} rows[] = {
		{ ICMP_UNREACH, 0, -ENETUNREACH },
		{ ICMP_UNREACH, ICMP_HOST_UNREACH, -EHOSTUNREACH },
		{ ICMP_UNREACH, ICMP_PROTO_UNREACH, -ENOPROTOOPT },
		{ ICMP_UNREACH, ICMP_HOST_PROHIBITED, -EHOSTUNREACH },
		{ ICMP_UNREACH, ICMP_ADMIN_PROHIBITED, -EHOSTUNREACH },
		{ ICMP_TIME_EXCEEDED, 0, -EHOSTUNREACH },
		{ ICMP_UNREACH, ICMP_FRAG_NEEDED, 0 },
	};

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		hist_connect(h);
		hist_inject_icmp(h, rows[i].type, rows[i].code, 0, 0);
		CHECK_EQ(h, mr_sock_error(h->sock), rows[i].err);
		CHECK_EQ(h, hist_state(h), rows[i].err ? MR_TCP_CLOSED : MR_TCP_SYN_SENT);
		hist_skip(h);
	}
}

TEST(rfc5461_4_1_icmp_tells_why_a_connection_was_given_up)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 100);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_HOST_UNREACH, 0, 1);
	CHECK_EQ(h, mr_sock_error(h->sock), 0);
	hist_run(h, SEC(1200));
	hist_skip(h);
	CHECK_EQ(h, mr_sock_error(h->sock), -EHOSTUNREACH);
}

TEST(rfc1191_6_4_fragmentation_needed_makes_segments_smaller_and_sends_again)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_FRAG_NEEDED, 1000, 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 960);
	EXPECT(h, .flags = PSH | ACK, .seq = 961, .ack = 1, .len = 500);
}

TEST(rfc5927_4_1_fragmentation_needed_about_a_number_not_in_flight_is_ignored)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_FRAG_NEEDED, 1000, 1);
	hist_write(h, MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = MSS);
}

TEST(rfc1191_3_absurdly_small_mtu_counts_as_576)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_FRAG_NEEDED, 68, 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 536);
	EXPECT(h, .flags = ACK, .seq = 537, .ack = 1, .len = 536);
	EXPECT(h, .flags = PSH | ACK, .seq = 1073, .ack = 1, .len = MSS - 1072);
}

/* The application is gone, and the peer keeps its window closed for ever: it may answer as often as it
 * likes, the connection does not outlive MR_TCP_ORPHAN_RETRIES probes. */
TEST(rfc1122_4_2_2_17_orphan_gives_up_on_a_window_that_stays_closed)
{
	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	hist_write(h, 1000);
	mr_close(h->sock);
	h->sock = NULL;
	for (unsigned i = 0; i < 30 && h->engine->st->tcp.tcbs.used; i++) {
		hist_run(h, SEC(5));
		hist_skip(h);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	}
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
	CHECK(h, h->engine->st->ctr.c[MR_CTR_TCP_ZERO_WINDOW_PROBES] >= MR_TCP_ORPHAN_RETRIES);
	hist_skip(h);
}

/* The same where it closed the window over what was in flight: each retransmission is answered, and never taken. */
TEST(rfc1122_4_2_2_17_orphan_gives_up_on_a_window_that_was_closed_over_data)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 1000);
	mr_close(h->sock);
	h->sock = NULL;
	for (unsigned i = 0; i < 100 && h->engine->st->tcp.tcbs.used; i++) {
		hist_skip(h);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
		hist_run(h, SEC(5));
	}
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
	hist_skip(h);
}

/* Where somebody does wait for it, it lasts as long as it answers. */
TEST(rfc1122_4_2_2_17_window_that_was_closed_over_data_is_waited_for_without_end)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		hist_skip(h);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
		hist_run(h, SEC(5));
	}
	hist_skip(h);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}
