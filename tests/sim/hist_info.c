// SPDX-License-Identifier: BSD-2-Clause
/* hist_info.c - Linux's TCP_INFO, field by field, of what only a peer and time can bring about. */
#include <linux/tcp.h>
#include "base/time.h"
#include "hist.h"

#define MSS 1460u

static struct tcp_info info_of(struct hist *h)
{
	struct tcp_info ti;

	hist_round(h); /* which tells the time */
	CHECK_EQ(h, mr_tcp_info(h->sock, &ti, sizeof(ti)), sizeof(ti));
	return ti;
}

/* What is counted in whole milliseconds. */
#define CHECK_ABOUT_MS(h, us, ms)                                                                  \
	CHECK(h, (us) + 1000 >= (ms)*1000ull && (us) <= ((ms) + 1) * 1000ull)

static const struct hist_peer with_sack = { .sack = true };

/* ---- What the sender waits for ---------------------------------------------------------------- */

TEST(rfc4898_4_tcp_info_busy_time_runs_while_something_is_not_acknowledged)
{
	hist_established(h, &with_sack);
	hist_run(h, SEC(3));
	CHECK_EQ(h, info_of(h).tcpi_busy_time, 0);
	for (unsigned i = 0; i < 2; i++) {
		hist_write(h, 100);
		hist_skip(h);
		hist_run(h, MS(30));
		CHECK_ABOUT_MS(h, info_of(h).tcpi_busy_time, (i + 1) * 30);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + (i + 1) * 100);
		hist_run(h, SEC(2));
		CHECK_ABOUT_MS(h, info_of(h).tcpi_busy_time, (i + 1) * 30);
	}
	CHECK_EQ(h, info_of(h).tcpi_rwnd_limited, 0);
	CHECK_EQ(h, info_of(h).tcpi_sndbuf_limited, 0);
}

TEST(rfc4898_4_tcp_info_rwnd_limited_is_the_time_that_the_peers_window_takes)
{
	hist_established(h, &(struct hist_peer){ .sack = true, .wnd = 2 * MSS });
	hist_write(h, 4 * MSS);
	hist_skip(h);
	hist_run(h, MS(40));
	CHECK_ABOUT_MS(h, info_of(h).tcpi_rwnd_limited, 40);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 2 * MSS, .wnd = 60000);
	hist_skip(h);
	hist_run(h, MS(20));
	CHECK_ABOUT_MS(h, info_of(h).tcpi_rwnd_limited, 40);
	CHECK_ABOUT_MS(h, info_of(h).tcpi_busy_time, 60); /* that is busy, too */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 4 * MSS);
	CHECK_EQ(h, info_of(h).tcpi_snd_wnd, 60000);
}

/* A window that is closed from the start on, and one that is too small for what is written. */
TEST(rfc4898_4_tcp_info_rwnd_limited_begins_with_the_write)
{
	hist_connected(h, &(struct hist_peer){ .wnd = WND_ZERO });
	hist_run(h, MS(50));
	CHECK_EQ(h, info_of(h).tcpi_rwnd_limited, 0);
	hist_write(h, 1000);
	hist_run(h, MS(100));
	CHECK_ABOUT_MS(h, info_of(h).tcpi_rwnd_limited, 100);
	hist_run(h, MS(100));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = 2000);
	CHECK_ABOUT_MS(h, info_of(h).tcpi_rwnd_limited, 200);
	hist_run(h, MS(30));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1001, .wnd = 10);
	hist_skip(h);
	hist_write(h, 1000);
	hist_run(h, MS(100));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1001, .wnd = 2000);
	CHECK_ABOUT_MS(h, info_of(h).tcpi_rwnd_limited, 300);
	CHECK_ABOUT_MS(h, info_of(h).tcpi_busy_time, 330);
	hist_skip(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 2001);
}

TEST(rfc4898_4_tcp_info_sndbuf_limited_is_the_time_that_a_full_buffer_takes)
{
	static uint8_t buf[8192];

	hist_established(h, &with_sack);
	hist_option(h, MR_OPT_SNDBUF, 4096);
	hist_option(h, MR_OPT_NODELAY, 1);
	CHECK_EQ(h, mr_send(h->sock, buf, sizeof(buf), 0), 4096);
	hist_round(h);
	h->next = h->nout; /* no pattern */
	hist_run(h, MS(50));
	CHECK_ABOUT_MS(h, info_of(h).tcpi_sndbuf_limited, 50);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 4097);
	/* An application that writes what the buffer takes is not held up by it. */
	CHECK_EQ(h, mr_send(h->sock, buf, 1000, 0), 1000);
	hist_round(h);
	h->next = h->nout;
	hist_run(h, MS(20));
	CHECK_ABOUT_MS(h, info_of(h).tcpi_sndbuf_limited, 50);
	CHECK_ABOUT_MS(h, info_of(h).tcpi_busy_time, 70);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 5097);
}

/* ---- What the path does ------------------------------------------------------------------------ */

TEST(rfc4898_4_tcp_info_delivery_rate_is_the_last_that_the_application_did_not_limit)
{
	uint64_t rate;

	hist_established(h, &with_sack);
	hist_write(h, 30 * MSS);
	hist_skip(h);
	hist_run(h, MS(10));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	rate = info_of(h).tcpi_delivery_rate;
	CHECK(h, rate > 1459900 && rate <= 1460000); /* ten segments in ten milliseconds, */
	CHECK_EQ(h, info_of(h).tcpi_delivery_rate_app_limited, 1); /* after which it was idle */
	hist_skip(h);
	hist_run(h, MS(10));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 30 * MSS);
	hist_skip(h);
	rate = info_of(h).tcpi_delivery_rate;
	CHECK(h, rate > 2919900 && rate <= 2920000);
	CHECK_EQ(h, info_of(h).tcpi_delivery_rate_app_limited, 0);
	/* One segment in a round trip is less, and the application's doing: it does not count. */
	hist_write(h, MSS);
	hist_skip(h);
	hist_run(h, MS(10));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 31 * MSS);
	CHECK_EQ(h, info_of(h).tcpi_delivery_rate, rate);
	CHECK_EQ(h, info_of(h).tcpi_delivery_rate_app_limited, 0);
	/* More than what is known counts, and is told to be the application's. */
	hist_write(h, 10 * MSS);
	hist_skip(h);
	hist_run(h, MS(10));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 41 * MSS);
	CHECK_EQ(h, info_of(h).tcpi_delivery_rate, rate);
	hist_write(h, 30 * MSS);
	hist_skip(h);
	hist_run(h, MS(10));
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 71 * MSS);
	CHECK(h, info_of(h).tcpi_delivery_rate > rate);
	CHECK_EQ(h, info_of(h).tcpi_delivery_rate_app_limited, 1);
	CHECK_EQ(h, info_of(h).tcpi_delivered, 71);
	CHECK_EQ(h, info_of(h).tcpi_bytes_acked, 71 * MSS);
}

TEST(rfc4898_4_tcp_info_counts_reordering_and_duplicates)
{
	hist_established(h, &with_sack);
	hist_write(h, 10 * MSS);
	hist_skip(h);
	hist_run(h, MS(5));
	CHECK_EQ(h, info_of(h).tcpi_unacked, 10);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + 3 * MSS, 1 + 4 * MSS } });
	CHECK_EQ(h, info_of(h).tcpi_sacked, 1);
	CHECK_EQ(h, info_of(h).tcpi_delivered, 1);
	CHECK_EQ(h, info_of(h).tcpi_retrans, 1);
	hist_skip(h);
	CHECK_EQ(h, info_of(h).tcpi_reord_seen, 0);
	/* The second and the third come behind the fourth, and were not sent again. */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .sack = { { 1 + MSS, 1 + 4 * MSS } });
	hist_skip(h);
	CHECK_EQ(h, info_of(h).tcpi_reord_seen, 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	hist_skip(h);
	CHECK_EQ(h, info_of(h).tcpi_dsack_dups, 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS, .sack = { { 1, 1 + 2 * MSS } });
	CHECK_EQ(h, info_of(h).tcpi_dsack_dups, 2);
	CHECK_EQ(h, info_of(h).tcpi_retrans, 0);
	CHECK(h, info_of(h).tcpi_total_retrans > 0);
	CHECK_EQ(h, info_of(h).tcpi_bytes_sent, 10 * MSS + info_of(h).tcpi_bytes_retrans);
}

TEST(rfc4898_4_tcp_info_counts_marks_that_accurate_ecn_tells)
{
	hist_connect(h);
	hist_syn_ack(h, &(struct hist_peer){ .ecn = CWR, .sack = true });
	hist_skip(h);
	CHECK(h, info_of(h).tcpi_options & TCPI_OPT_ECN);
	hist_write(h, 4 * MSS);
	hist_skip(h);
	INJECT(h, .flags = ACK | CWR | ECE, .ae = true, .seq = 1,
	       .ack = 1 + 4 * MSS); /* 7: two more */
	CHECK_EQ(h, info_of(h).tcpi_delivered_ce, 2);
	CHECK_EQ(h, info_of(h).tcpi_delivered, 4);
}

/* ---- The receiver ------------------------------------------------------------------------------ */

TEST(rfc4898_4_tcp_info_counts_what_comes_out_of_order)
{
	hist_established(h, &with_sack);
	INJECT(h, .flags = ACK, .seq = 101, .ack = 1, .len = 100);
	INJECT(h, .flags = ACK, .seq = 301, .ack = 1, .len = 100);
	CHECK_EQ(h, info_of(h).tcpi_rcv_ooopack, 2);
	CHECK_EQ(h, info_of(h).tcpi_bytes_received, 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 100);
	CHECK_EQ(h, info_of(h).tcpi_rcv_ooopack, 2);
	CHECK_EQ(h, info_of(h).tcpi_bytes_received, 200);
	CHECK_EQ(h, info_of(h).tcpi_data_segs_in, 3);
	hist_read(h, 200);
	hist_skip(h);
}

/* ---- Rates ------------------------------------------------------------------------------------- */

TEST(rfc4898_4_tcp_info_pacing_rate_is_what_is_paced_at)
{
	hist_established(h, &with_sack);
	CHECK_EQ(h, info_of(h).tcpi_pacing_rate, UINT64_MAX);
	CHECK_EQ(h, info_of(h).tcpi_max_pacing_rate, UINT64_MAX);
	hist_option(h, MR_OPT_MAX_PACING_RATE, 100000);
	CHECK_EQ(h, info_of(h).tcpi_max_pacing_rate, 100000);
	CHECK_EQ(h, info_of(h).tcpi_pacing_rate, 100000);
	hist_write(h, 10 * MSS);
	hist_skip(h);
	CHECK(h, info_of(h).tcpi_notsent_bytes > 0);
	CHECK_EQ(h, info_of(h).tcpi_notsent_bytes + info_of(h).tcpi_unacked * MSS, 10 * MSS);
}

/* ---- Fast Open --------------------------------------------------------------------------------- */

static void fast_connect(struct hist *h)
{
	CHECK_EQ(h, mr_socket(h->engine, &h->sock), 0);
	CHECK_EQ(h, mr_set_option(h->sock, MR_OPT_FASTOPEN_CONNECT, 1), 0);
	hist_connect(h);
}

TEST(rfc4898_4_tcp_info_says_why_no_data_went_with_the_syn)
{
	fast_connect(h);
	hist_syn_ack(h, &with_sack);
	hist_skip(h);
	CHECK_EQ(h, info_of(h).tcpi_fastopen_client_fail, 1); /* TFO_COOKIE_UNAVAILABLE */
	CHECK(h, !(info_of(h).tcpi_options & TCPI_OPT_SYN_DATA));
}

TEST(rfc4898_4_tcp_info_says_that_the_syn_had_to_be_sent_again)
{
	fast_connect(h);
	hist_run(h, MS(1100));
	hist_skip(h);
	hist_syn_ack(h, &with_sack);
	hist_skip(h);
	CHECK_EQ(h, info_of(h).tcpi_fastopen_client_fail, 3); /* TFO_SYN_RETRANSMITTED */
}
