// SPDX-License-Identifier: BSD-2-Clause
/* hist_ecn.c - explicit congestion notification: who offers it, which packets carry it, what a mark does.
 * RFC 3168. */
#include <errno.h>
#include "hist.h"

#define MSS	1460u
#define NOT_ECT 0u
#define ECT0	2u
#define CE	3u

static const struct hist_peer offers = { .ecn = ECE | CWR };
static const struct hist_peer grants = { .ecn = ECE };

static void expect_tos(struct hist *h, uint8_t tos)
{
	CHECK_EQ(h, h->last.tos, tos);
}

/* Section 6.1.1. */
TEST(rfc3168_6_1_1_1_ecn_is_offered_in_a_connect_but_not_in_its_repetition)
{
	hist_connect(h);
	CHECK_EQ(h, h->last.flags, SYN | ECE | CWR);
	expect_tos(h, NOT_ECT);
	hist_until(h, MS(1500));
	EXPECT_AT(h, SEC(1), .flags = SYN, .seq = 0);
	CHECK_EQ(h, h->last.flags, SYN); /* in case a middlebox ate the first: section 6.1.1.1 */
	hist_syn_ack(h, &grants);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	expect_tos(h, NOT_ECT);
}

TEST(rfc3168_6_1_1_ecn_offer_is_accepted)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN | ECE | CWR, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK | ECE, .seq = 0, .ack = 1);
	expect_tos(h, NOT_ECT);
}

TEST(rfc3168_6_1_1_syn_without_offer_gets_no_ecn)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	expect_tos(h, NOT_ECT);
	/* A mark is nobody's business then. */
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 11, .len = 10, .tos = CE);
	EXPECT(h, .flags = ACK, .seq = 11, .ack = 11);
	hist_read(h, 10);
}

/* A SYN,ACK with both flags mirrors what it was sent, and knows nothing of ECN. */
TEST(rfc3168_6_1_1_mirrored_flags_are_no_consent)
{
	CHECK_EQ(h, mr_socket(h->engine, &h->sock), 0);
	CHECK_EQ(h, mr_set_option(h->sock, MR_OPT_ECN, MR_ECN_CLASSIC), 0);
	hist_connect(h);
	hist_syn_ack(h, &offers);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	expect_tos(h, NOT_ECT);
}

/* Sections 6.1.2, 6.1.4 and 6.1.5. */
TEST(rfc3168_6_1_4_only_new_data_is_ect)
{
	hist_connected(h, &grants);
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	expect_tos(h, ECT0);
	hist_until(h, MS(250));
	EXPECT_AT(h, MS(200), .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	expect_tos(h, NOT_ECT);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 11, .len = 5);
	EXPECT(h, .flags = ACK, .seq = 11, .ack = 6);
	expect_tos(h, NOT_ECT);
	hist_read(h, 5);
}

/* Section 6.1.3. */
TEST(rfc3168_6_1_3_mark_is_echoed_until_the_sender_has_reduced)
{
	hist_established(h, &offers);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 10, .tos = CE);
	EXPECT(h, .flags = ACK | ECE, .seq = 1, .ack = 11);
	INJECT(h, .flags = ACK, .seq = 11, .ack = 1, .len = 10, .tos = ECT0);
	EXPECT(h, .flags = ACK | ECE, .seq = 1, .ack = 21);
	INJECT(h, .flags = ACK | CWR, .seq = 21, .ack = 1, .len = 10, .tos = ECT0);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 31);
	/* One that carries CWR and was marked itself begins anew. */
	INJECT(h, .flags = ACK | CWR, .seq = 31, .ack = 1, .len = 10, .tos = CE);
	EXPECT(h, .flags = ACK | ECE, .seq = 1, .ack = 41);
	hist_read(h, 40);
}

/* Section 6.1.2: as for a loss, but nothing is sent again, and once for each window. */
TEST(rfc3168_6_1_2_echoed_mark_reduces_the_window_once_per_round_trip)
{
	struct mr_sock_info info;

	hist_established(h, &offers);
	hist_write(h, 10 * MSS);
	for (unsigned i = 0; i < 10; i++)
		EXPECT(h, .flags = (uint8_t)(i == 9 ? PSH | ACK : ACK), .seq = 1 + i * MSS,
		       .ack = 1, .len = MSS);
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK | ECE, .seq = 1, .ack = 1 + 2 * MSS);
	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	CHECK(h, info.ssthresh < 10 * MSS && info.cwnd == info.ssthresh);
	INJECT(h, .flags = ACK | ECE, .seq = 1, .ack = 1 + 4 * MSS);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_ECN_REDUCED], 1);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_RETRANS], 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	/* CWR goes with the first new data, and only there. */
	hist_write(h, 2 * MSS);
	EXPECT(h, .flags = ACK | CWR, .seq = 1 + 10 * MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1 + 11 * MSS, .ack = 1, .len = MSS);
	INJECT(h, .flags = ACK | ECE, .seq = 1, .ack = 1 + 11 * MSS);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_ECN_REDUCED], 2);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 12 * MSS);
}

/* Sequence numbers wrap: the last reduction, or the beginning, of 2.5 GiB ago is no reason to wait. */
TEST(rfc9293_3_4_mark_counts_however_long_ago_the_last_reduction_was)
{
	hist_established(h, &offers);
	for (unsigned i = 0; i < 5; i++) {
		h->sock->tcb->ecn.reduced_at -= 1u << 29; /* as if so much had been sent */
		hist_write(h, 10);
		hist_skip(h);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + h->written);
	}
	hist_write(h, 10 * MSS);
	hist_skip(h);
	INJECT(h, .flags = ACK | ECE, .seq = 1, .ack = 1 + h->written - 8 * MSS);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_ECN_REDUCED], 1);
	hist_skip(h);
}

/* Section 6.1.1.1 speaks of SYNs; a middlebox that eats the answer is as likely. */
TEST(rfc3168_6_1_1_1_syn_ack_of_a_simultaneous_open_is_repeated_without_ecn)
{
	hist_connect(h);
	INJECT(h, .flags = SYN | ECE | CWR, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK | ECE, .seq = 0, .ack = 1);
	hist_until(h, MS(1100));
	EXPECT_AT(h, SEC(1), .flags = SYN | ACK, .seq = 0, .ack = 1);
	CHECK_EQ(h, h->last.flags, SYN | ACK);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
}

/* The answer may be what a middlebox eats. */
TEST(rfc3168_6_1_1_1_syn_ack_is_repeated_without_ecn)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN | ECE | CWR, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK | ECE, .seq = 0, .ack = 1);
	hist_zero(h);
	hist_run(h, MS(1100));
	EXPECT_AT(h, SEC(1), .flags = SYN | ACK, .seq = 0, .ack = 1);
	CHECK_EQ(h, h->last.flags, SYN | ACK);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	/* Which of them arrived is unknown, so nothing of ours is ECT (RFC 3168 section 6.1.1). */
	hist_accept(h);
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	expect_tos(h, NOT_ECT);
}

/* ---- DCTCP (RFC 8257) ------------------------------------------------------------------------ */

static void dctcp_established(struct hist *h)
{
	CHECK_EQ(h, mr_socket(h->engine, &h->listener), 0);
	CHECK_EQ(h, mr_set_option(h->listener, MR_OPT_CONGESTION, mr_congestion_index("dctcp")), 0);
	hist_listen(h, 16);
	INJECT(h, .flags = SYN | ECE | CWR, .mss = 1460);
	EXPECT(h, .flags = SYN | ACK | ECE, .seq = 0, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	hist_accept(h);
	hist_option(h, MR_OPT_QUICKACK, 0);
	hist_zero(h);
}

/* Section 3.2: what came before a change is acknowledged with what was true of it, even of one batch. */
TEST(rfc8257_3_2_dctcp_receiver_tells_exactly_where_marks_begin_and_end)
{
	dctcp_established(h);
	GIVE(h, .flags = ACK, .seq = 1, .ack = 1, .len = 10, .tos = ECT0);
	GIVE(h, .flags = ACK, .seq = 11, .ack = 1, .len = 10, .tos = CE);
	GIVE(h, .flags = ACK, .seq = 21, .ack = 1, .len = 10, .tos = CE);
	GIVE(h, .flags = ACK, .seq = 31, .ack = 1, .len = 10, .tos = ECT0);
	hist_round(h);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 11);
	EXPECT(h, .flags = ACK | ECE, .seq = 1, .ack = 31);
	EXPECT_NOTHING(h); /* the last one's ACK is delayed */
	hist_until(h, MS(60));
	EXPECT_AT(h, MS(40), .flags = ACK, .seq = 1, .ack = 41);
	/* With nothing unacknowledged a change needs no ACK of its own. (An ACK that waited in vain has ended the
	 * waiting.) */
	hist_option(h, MR_OPT_QUICKACK, 0);
	INJECT(h, .flags = ACK, .seq = 41, .ack = 1, .len = 10, .tos = CE);
	EXPECT_NOTHING(h);
	hist_until(h, MS(120));
	EXPECT_AT(h, MS(100), .flags = ACK | ECE, .seq = 1, .ack = 51);
	hist_read(h, 50);
}

/* Section 3.2: not CWR but the absence of marks ends the echo. */
TEST(rfc8257_3_2_dctcp_receiver_does_not_ask_for_cwr)
{
	dctcp_established(h);
	INJECT(h, .flags = PSH | ACK | CWR, .seq = 1, .ack = 1, .len = 10, .tos = CE);
	hist_until(h, MS(50));
	EXPECT_AT(h, MS(40), .flags = ACK | ECE, .seq = 1, .ack = 11);
	hist_option(h, MR_OPT_QUICKACK, 0);
	INJECT(h, .flags = PSH | ACK, .seq = 11, .ack = 1, .len = 10, .tos = ECT0);
	hist_until(h, MS(100));
	EXPECT_AT(h, MS(90), .flags = ACK, .seq = 1, .ack = 21);
	hist_read(h, 20);
}

/* Section 3.6: all but SYN and RST, where RFC 3168 has new data only. */
TEST(rfc8257_3_6_dctcp_acks_and_retransmissions_are_ect)
{
	dctcp_established(h);
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	expect_tos(h, ECT0);
	hist_until(h, MS(250));
	EXPECT_AT(h, MS(200), .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 10);
	expect_tos(h, ECT0);
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 11, .len = 5, .tos = ECT0);
	hist_run(h, MS(50));
	EXPECT_AT(h, MS(290), .flags = ACK, .seq = 11, .ack = 6);
	expect_tos(h, ECT0);
	hist_read(h, 5);
}

/* Section 3.3: with alpha at its first value 1 a mark halves; and once for each window. */
TEST(rfc8257_3_3_dctcp_first_mark_halves_the_window_once)
{
	struct mr_sock_info info;

	dctcp_established(h);
	hist_write(h, 10 * MSS);
	hist_skip(h);
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK | ECE, .seq = 1, .ack = 1 + 2 * MSS);
	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	CHECK(h, info.cwnd >= 5 * MSS && info.cwnd <= 6 * MSS);
	INJECT(h, .flags = ACK | ECE, .seq = 1, .ack = 1 + 4 * MSS);
	CHECK_EQ(h, h->engine->st->ctr.c[MR_CTR_TCP_ECN_REDUCED], 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	hist_skip(h);
}
