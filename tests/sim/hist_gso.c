// SPDX-License-Identifier: BSD-2-Clause
/* hist_gso.c - a device that cuts segments itself gets bursts; what the peer sees is the same. */
#include "hist.h"

#define MSS 1460u

static const struct hist_peer with_sack = { .sack = true };

static void device_cuts(struct hist *h)
{
	h->dev->cfg.gso = true;
	h->engine->st->nif.gso_bytes = UINT16_MAX;
}

static void expect_segments(struct hist *h, unsigned first, unsigned n, uint32_t last_len)
{
	for (unsigned i = first; i < first + n; i++) {
		bool last = i == first + n - 1;

		EXPECT(h, .flags = (uint8_t)(last ? PSH | ACK : ACK), .seq = 1 + i * MSS, .ack = 1,
		       .len = last ? last_len : MSS);
	}
}

TEST(gso_burst_is_one_packet_for_the_device)
{
	hist_established(h, &with_sack);
	device_cuts(h);
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10, MSS);
	CHECK_EQ(h, h->dev->cut, 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	EXPECT_NOTHING(h);
}

TEST(gso_single_segment_is_not_cut)
{
	hist_established(h, &with_sack);
	device_cuts(h);
	hist_write(h, MSS);
	expect_segments(h, 0, 1, MSS);
	CHECK_EQ(h, h->dev->cut, 0);
}

/* A segment that takes many chunks is copied in one piece, and nobody sums it. Once more it goes the other way:
 * then it is summed (the player looks at the checksum of whatever comes). */
TEST(gso_very_long_segment_goes_as_a_burst_of_one)
{
	h->engine->st->nif.mtu = 9000;
	mr_ip_mtu_changed(&h->engine->st->ip);
	hist_established(h, &(struct hist_peer){ .sack = true, .mss = 8960 });
	device_cuts(h);
	hist_write(h, 2 * 8960);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 8960);
	EXPECT(h, .flags = PSH | ACK, .seq = 8961, .ack = 1, .len = 8960);
	CHECK_EQ(h, h->dev->cut, 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 2 * 8960);
	hist_write(h, 8960);
	EXPECT(h, .flags = PSH | ACK, .seq = 17921, .ack = 1, .len = 8960);
	CHECK_EQ(h, h->dev->cut, 2);
	hist_run(h, MS(450)); /* not acknowledged: a probe with the last chunk, and the timeout */
	EXPECT_AT(h, MS(200), .flags = PSH | ACK, .seq = 25089, .ack = 1, .len = 1792);
	EXPECT_AT(h, MS(400), .flags = PSH | ACK, .seq = 17921, .ack = 1, .len = 8960);
	CHECK_EQ(h, h->dev->cut, 2);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 3 * 8960);
	hist_write(h, 8000);
	EXPECT(h, .flags = PSH | ACK, .seq = 26881, .ack = 1, .len = 8000);
	CHECK_EQ(h, h->dev->cut, 2);
}

TEST(gso_last_segment_may_be_short)
{
	hist_established(h, &with_sack);
	device_cuts(h);
	hist_write(h, 4 * MSS + 100);
	expect_segments(h, 0, 5, 100);
	CHECK_EQ(h, h->dev->cut, 1);
}

/* RFC 9293 section 3.7.4: Nagle holds a short segment back while another is on its way. */
TEST(gso_leaves_behind_what_nagle_holds)
{
	hist_established(h, &with_sack);
	device_cuts(h);
	hist_write(h, 100);
	expect_segments(h, 0, 1, 100);
	mr_set_option(h->sock, MR_OPT_NODELAY, 0);
	hist_write(h, 4 * MSS + 50);
	for (unsigned i = 0; i < 4; i++)
		EXPECT(h, .flags = ACK, .seq = 101 + i * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->dev->cut, 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101 + 4 * MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 101 + 4 * MSS, .ack = 1, .len = 50);
}

TEST(gso_burst_keeps_within_the_peers_window)
{
	hist_established(h, &(struct hist_peer){ .sack = true, .wnd = 4 * MSS + 700 });
	device_cuts(h);
	hist_write(h, 10 * MSS);
	for (unsigned i = 0; i < 4; i++)
		EXPECT(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 4 * MSS, .wnd = 60000);
	expect_segments(h, 4, 6, MSS);
	CHECK_EQ(h, h->dev->cut, 2);
}

/* RFC 5681 section 3.1: cwnd is ten segments, and the burst after the first ACK two more. */
TEST(gso_burst_keeps_within_cwnd)
{
	hist_established(h, &with_sack);
	device_cuts(h);
	hist_write(h, 30 * MSS);
	for (unsigned i = 0; i < 10; i++)
		EXPECT(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 2 * MSS);
	for (unsigned i = 10; i < 14; i++)
		EXPECT(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
}

TEST(gso_fin_is_on_the_last_segment)
{
	hist_established(h, &with_sack);
	device_cuts(h);
	hist_write(h, 13 * MSS + 100);
	for (unsigned i = 0; i < 10; i++)
		EXPECT(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
	hist_close(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	for (unsigned i = 10; i < 13; i++)
		EXPECT(h, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS);
	EXPECT(h, .flags = FIN | PSH | ACK, .seq = 1 + 13 * MSS, .ack = 1, .len = 100);
	CHECK_EQ(h, h->dev->cut, 2);
}

/* What a lost segment of a burst takes is that segment. */
TEST(gso_lost_segment_is_sent_again_alone)
{
	hist_established(h, &with_sack);
	device_cuts(h);
	hist_write(h, 10 * MSS);
	expect_segments(h, 0, 10, MSS);
	hist_run(h, MS(5));
	for (unsigned n = 1; n <= 3; n++)
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1,
		       .sack = { { 1 + MSS, 1 + (1 + n) * MSS } });
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = MSS);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, h->dev->cut, 1);
}

/* RFC 9768 section 3.2.2: CWR is one bit of a counter that each segment has. Whoever cuts a burst leaves it on
 * the first one only, and the peer would read another number from the rest. */
TEST(rfc9768_3_2_2_counter_with_cwr_is_not_cut)
{
	hist_connect(h);
	hist_syn_ack(h, &(struct hist_peer){ .ecn = CWR, .sack = true }); /* AccECN is granted */
	EXPECT(h, .flags = ACK | CWR, .seq = 1, .ack = 1);		  /* as the SYN,ACK came */
	device_cuts(h);
	/* A sixth marked packet, counted from the fifth: AE and CWR. */
	INJECT(h, .flags = ACK | ECE, .ae = true, .seq = 1, .ack = 1, .len = 100, .tos = 3);
	EXPECT(h, .flags = ACK | CWR, .seq = 1, .ack = 101);
	hist_write(h, 4 * MSS);
	for (unsigned i = 0; i < 4; i++) {
		EXPECT(h, .flags = (uint8_t)(ACK | CWR | (i == 3 ? PSH : 0)), .seq = 1 + i * MSS,
		       .ack = 101, .len = MSS);
		CHECK(h, h->last.ae);
	}
	CHECK_EQ(h, h->dev->cut, 0);
	/* Two more, and the bits are none of them. */
	for (unsigned i = 1; i <= 2; i++)
		GIVE(h, .flags = ACK | ECE, .ae = true, .seq = 1 + i * 100, .ack = 1 + 4 * MSS,
		     .len = 100, .tos = 3);
	hist_round(h);
	hist_skip(h);
	hist_write(h, 4 * MSS);
	for (unsigned i = 4; i < 8; i++) {
		EXPECT(h, .flags = (uint8_t)(ACK | (i == 7 ? PSH : 0)), .seq = 1 + i * MSS,
		       .ack = 301, .len = MSS);
		CHECK(h, !h->last.ae);
	}
	CHECK_EQ(h, h->dev->cut, 1);
}
