// SPDX-License-Identifier: BSD-2-Clause
/*
 * hist_attack.c - what an attacker gets for his packets: nothing, at a cost that is bounded. The numbers are
 * printed; what is asserted are counts of operations and of memory, never time.
 * RFC 5961 (blind guesses), RFC 2018 section 8 and RFC 9293 (holes, small segments, closed windows, ACKs
 * of what was not received yet), RFC 4987 (SYNs).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include "base/compiler.h"
#include "hist.h"
#include "rng.h"
#include "tcp/tcp.h"

#define MSS   1460u
#define BATCH 256u /* packets that are given before the engine looks */

static uint64_t counter(const struct hist *h, enum mr_counter_id id)
{
	return h->engine->st->ctr.c[id];
}

static uint32_t frames_used(const struct hist *h)
{
	return h->engine->st->frames.nframes - h->engine->st->frames.nfree;
}

static uint32_t frames_all(const struct hist *h)
{
	return h->engine->st->frames.nframes;
}

static void batch_done(struct hist *h, uint32_t i)
{
	if ((i + 1) % BATCH == 0) {
		hist_round(h);
		hist_skip(h);
	}
}

/* ---- Blind guesses --------------------------------------------------------------------------- */

#define GUESSES 1000000u

/* A packet of somebody who knows addresses, ports and the window, but not the numbers in it. */
static void guess(struct hist *h, struct sim_rng *r)
{
	struct hist_seg s = { .seq = h->read + 1 + (uint32_t)sim_range(r, 1, HIST_PEER_WND - 2) };

	switch (sim_below(r, 3)) {
	case 0:
		s.flags = RST;
		break;
	case 1:
		s.flags = SYN;
		s.seq = (uint32_t)sim_rand(r);
		break;
	default:
		s.flags = ACK;
		s.ack = (uint32_t)sim_rand(r);
		break;
	}
	hist_give(h, &s);
}

/* Sections 3.2, 4.2, 5.2 and 7. Between the guesses the connection goes on. */
TEST(rfc5961_3_4_5_a_million_blind_guesses)
{
	struct sim_rng r = { .s = 5961 };
	uint64_t sent, begin;
	unsigned exchanges = 0;

	hist_established(h, &(struct hist_peer){ 0 });
	h->quiet = true;
	begin = h->now;
	sent = counter(h, MR_CTR_TCP_SEGS_OUT);
	for (uint32_t i = 0; i < GUESSES; i++) {
		guess(h, &r);
		if ((i + 1) % BATCH)
			continue;
		hist_run(h, MS(5));
		hist_skip(h);
		if (i / BATCH % 64)
			continue;
		INJECT(h, .flags = PSH | ACK, .seq = h->read + 1, .ack = h->written + 1,
		       .len = 100);
		hist_read(h, 100);
		hist_write(h, 100);
		INJECT(h, .flags = ACK, .seq = h->read + 1, .ack = h->written + 1);
		exchanges++;
	}
	hist_run(h, MS(100));
	hist_skip(h);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	CHECK_EQ(h, h->read, 100 * exchanges);
	CHECK_EQ(h, h->sock->tcb->snd_una, h->sock->tcb->snd_nxt);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_RETRANS), 0);
	sent = counter(h, MR_CTR_TCP_SEGS_OUT) - sent;
	printf("# %u blind RST, SYN and ACK in %.0f s: not reset, %u exchanges in between; %" PRIu64
	       " segments sent, %" PRIu64 " of them challenge ACKs, %" PRIu64 " withheld\n",
	       GUESSES, (double)(h->now - begin) / 1e9, exchanges, sent,
	       counter(h, MR_CTR_TCP_CHALLENGE_ACK), counter(h, MR_CTR_TCP_CHALLENGE_LIMITED));
	/* Two in a second (section 7), and an ACK and a segment for each exchange. */
	CHECK(h, counter(h, MR_CTR_TCP_CHALLENGE_ACK) <= 2 * (h->now - begin) / MR_NS_PER_S + 1);
	CHECK(h, sent <= counter(h, MR_CTR_TCP_CHALLENGE_ACK) + 3 * exchanges);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 1);
}

/* Somebody who sees the connection feeds each end a byte in the name of the other (Abramov and Herzberg 2011):
 * each ACK is then of something never sent, and its number is the one before what is expected. Two such ends must
 * not answer each other for ever. What a peer asks with true numbers is answered every time. */
TEST(rfc5961_5_2_ends_that_were_fed_a_byte_each_do_not_storm)
{
	uint64_t sent;

	hist_established(h, &(struct hist_peer){ 0 });
	h->quiet = true;
	INJECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 1); /* not the peer's */
	hist_run(h, MS(100));
	hist_skip(h);
	sent = counter(h, MR_CTR_TCP_SEGS_OUT);
	for (unsigned i = 0; i < 10000; i++) {
		INJECT(h, .flags = ACK, .seq = 1, .ack = 2);
		hist_skip(h);
		hist_run(h, MR_NS_PER_MS);
	}
	sent = counter(h, MR_CTR_TCP_SEGS_OUT) - sent;
	printf("# 10000 ACKs of an end that was led astray in 10 s: %" PRIu64 " answers\n", sent);
	CHECK(h, sent <= 2 * 10 + 1);
	sent = counter(h, MR_CTR_TCP_SEGS_OUT);
	for (unsigned i = 0; i < 10; i++) {
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
		hist_skip(h);
	}
	CHECK_EQ(h, counter(h, MR_CTR_TCP_SEGS_OUT) - sent, 10);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

/* ---- Holes ----------------------------------------------------------------------------------- */

#define HOLES 65536u

enum order { UPWARDS, DOWNWARDS, ANYHOW };

static void holes(struct hist *h, enum order order)
{
	struct hist_peer peer = { .sack = true, .has_wscale = true, .wscale = 7 };
	struct sim_rng r = { .s = 2018 };
	uint64_t walked;
	uint32_t most = 0;

	CHECK_EQ(h, mr_socket(h->engine, &h->listener), 0);
	CHECK_EQ(h, mr_set_option(h->listener, MR_OPT_RCVBUF, 16 << 20), 0);
	hist_established(h, &peer);
	h->quiet = true;
	/* The window is opened by what is read of it. */
	walked = counter(h, MR_CTR_TCP_OOO_WALKED);
	for (uint32_t i = 0; i < HOLES; i++) {
		uint32_t at = order == UPWARDS	 ? i :
			      order == DOWNWARDS ? HOLES - 1 - i :
						   (uint32_t)sim_below(&r, HOLES);

		GIVE(h, .flags = ACK, .seq = 3 + 2 * (at % 32000), .ack = 1, .len = 1);
		batch_done(h, i);
		most = mr_max(most, frames_used(h));
	}
	walked = counter(h, MR_CTR_TCP_OOO_WALKED) - walked;
	printf("# %u holes of one byte, %s: at most %u of %u frames held, %.1f steps for each\n",
	       HOLES,
	       order == UPWARDS	  ? "upwards" :
	       order == DOWNWARDS ? "downwards" :
				    "anyhow",
	       most, frames_all(h), (double)walked / HOLES);
	CHECK(h, h->engine->st->tcp.ooo_frames <= frames_all(h) / 8);
	CHECK(h, most <= frames_all(h) / 8 + BATCH + 2);
	CHECK(h, walked <= (uint64_t)HOLES * (frames_all(h) / 8));
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	/* It still takes what fits. */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 2);
	hist_skip(h);
	CHECK(h, h->sock->rcvq.bytes >= 2);
	mr_abort(h->sock);
	h->sock = NULL;
	hist_round(h);
	hist_skip(h);
}

TEST(rfc9293_3_10_7_4_holes_upwards_are_bounded)
{
	holes(h, UPWARDS);
}

TEST(rfc9293_3_10_7_4_holes_downwards_are_bounded)
{
	holes(h, DOWNWARDS);
}

TEST(rfc9293_3_10_7_4_holes_anywhere_are_bounded)
{
	holes(h, ANYHOW);
}

/* The peer's side of it: ACKs whose blocks punch holes into all that is in flight, as small as it goes. */
TEST(rfc2018_8_sack_blocks_that_punch_65536_holes)
{
	struct hist_peer peer = { .sack = true, .has_wscale = true, .wscale = 7 };
	struct sim_rng r = { .s = 65536 };
	uint32_t inflight, used;
	uint64_t walked;

	hist_established(h, &peer);
	h->quiet = true;
	hist_option(h, MR_OPT_NODELAY, 1);
	hist_option(h, MR_OPT_SNDBUF, 16 << 20);
	while (mr_send(h->sock, "x", 1, 0) == 1) /* one segment each */
		hist_round(h);
	hist_skip(h);
	inflight = h->sock->tcb->snd_nxt - h->sock->tcb->snd_una;
	used = frames_used(h);
	walked = counter(h, MR_CTR_TCP_SACK_WALKED);
	for (uint32_t i = 0; i < HOLES / 4; i++) {
		uint32_t una = h->sock->tcb->snd_una - h->sock->tcb->iss;
		struct hist_seg s = { .flags = ACK, .seq = 1, .ack = una };

		for (unsigned k = 0; k < 4; k++) {
			uint32_t at =
				una + 1 + (uint32_t)sim_below(&r, mr_max(inflight, 3u) - 2) / 2 * 2;

			s.sack[k][0] = at;
			s.sack[k][1] = at + 1;
		}
		hist_give(h, &s);
		batch_done(h, i);
	}
	walked = counter(h, MR_CTR_TCP_SACK_WALKED) - walked;
	printf("# %u SACK blocks into %u segments of one byte: %u frames held before, %u after, "
	       "%.1f "
	       "steps for each ACK\n",
	       HOLES, inflight, used, frames_used(h), 4.0 * (double)walked / HOLES);
	CHECK(h, walked <= HOLES / 4 * 4096ull);
	CHECK(h, frames_used(h) <= used + BATCH);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	mr_abort(h->sock);
	h->sock = NULL;
	hist_round(h);
	hist_skip(h);
}

/* ---- Small segments, closed windows, early ACKs ---------------------------------------------- */

/* Nobody reads: the receive buffer fills, byte by byte. */
TEST(rfc9293_3_8_6_segments_of_one_byte_cannot_pin_memory)
{
	uint32_t most = 0, n = 60000;

	hist_established(h, &(struct hist_peer){ 0 });
	h->quiet = true;
	for (uint32_t i = 0; i < n; i++) {
		GIVE(h, .flags = ACK, .seq = 1 + i, .ack = 1, .len = 1);
		batch_done(h, i);
		most = mr_max(most, frames_used(h));
	}
	hist_round(h);
	hist_skip(h);
	printf("# %u segments of one byte, none read: at most %u of %u frames held, %u bytes in %u "
	       "frames\n",
	       n, most, frames_all(h), h->sock->rcvq.bytes, h->sock->rcvq.frames);
	CHECK_EQ(h, h->sock->rcvq.bytes, n);
	/* Twice what the bytes need, and what one round brings. */
	CHECK(h, most <= 2 * (n / 1024) + BATCH + 64);
	hist_read(h, n);
	hist_skip(h);
}

/* An hour, and the peer answers each probe. */
TEST(rfc9293_3_8_6_1_window_that_stays_closed_costs_few_probes)
{
	uint32_t used;

	hist_established(h, &(struct hist_peer){ 0 });
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1, .wnd = WND_ZERO);
	hist_write(h, 100000);
	h->quiet = true;
	used = frames_used(h);
	for (unsigned s = 0; s < 3600; s++) {
		hist_run(h, SEC(1));
		hist_skip(h);
		INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	}
	printf("# a window closed for an hour: %" PRIu64 " probes, %u frames held\n",
	       counter(h, MR_CTR_TCP_ZERO_WINDOW_PROBES), frames_used(h));
	/* Doubled from 0.2 s up to 120 s: ten, and then thirty in an hour. */
	CHECK(h, counter(h, MR_CTR_TCP_ZERO_WINDOW_PROBES) <= 10 + 30);
	CHECK(h, frames_used(h) <= used);
}

/* It acknowledges what it cannot have received yet, to make us send faster than the path carries (Savage et
 * al. 1999). What was never sent is not taken; what was sent opens no more than window and buffer allow. */
TEST(rfc5961_5_2_optimistic_acks_are_bounded)
{
	uint64_t challenges, sent = 0;
	uint32_t most = 0, used = 0;

	hist_established(h, &(struct hist_peer){ .wnd = 65000 });
	h->quiet = true;
	for (unsigned i = 0; i < 2000; i++) {
		static uint8_t buf[65536];
		ssize_t n = mr_send(h->sock, buf, sizeof(buf), 0);

		sent += n > 0 ? (uint64_t)n : 0;
		hist_round(h);
		hist_skip(h);
		most = mr_max(most, h->sock->tcb->snd_nxt - h->sock->tcb->snd_una);
		used = mr_max(used, frames_used(h));
		/* All of it, at once, and then more than all. */
		INJECT(h, .flags = ACK, .seq = 1, .ack = h->sock->tcb->snd_nxt - h->sock->tcb->iss);
		INJECT(h, .flags = ACK, .seq = 1,
		       .ack = h->sock->tcb->snd_nxt - h->sock->tcb->iss + 1000);
		hist_run(h, MS(1));
		hist_skip(h);
	}
	challenges = counter(h, MR_CTR_TCP_CHALLENGE_ACK);
	printf("# 2000 optimistic ACKs: %" PRIu64
	       " bytes written, at most %u in flight, cwnd %u, at most %u "
	       "frames held, %" PRIu64 " challenge ACKs\n",
	       sent, most, h->sock->tcb->cwnd, used, challenges);
	CHECK(h, most && most <= 65000);
	CHECK(h, h->sock->tcb->cwnd <= 3 * 65000);
	CHECK(h, challenges <= 2 * 4 + 2);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

/* ---- SYNs ------------------------------------------------------------------------------------ */

/* A flood from 65,536 ports: the queue is bounded, the rest gets cookies, and who means it gets in. */
TEST(rfc4987_3_flood_of_syns_is_bounded)
{
	hist_listen(h, 128);
	h->quiet = true;
	for (uint32_t i = 0; i < 65000; i++) {
		GIVE(h, .flags = SYN, .sport = (uint16_t)(1 + i), .mss = 1460);
		batch_done(h, i);
	}
	hist_round(h);
	hist_skip(h);
	printf("# 65000 SYNs: %u requests remembered, %" PRIu64 " cookies sent, %u frames held\n",
	       h->engine->st->tcp.synreqs.used, counter(h, MR_CTR_TCP_COOKIES_OUT), frames_used(h));
	CHECK_EQ(h, h->engine->st->tcp.synreqs.used, 128);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
	h->pport = 65500;
	hist_established(h, &(struct hist_peer){ 0 });
	CHECK_EQ(h, counter(h, MR_CTR_TCP_COOKIES_IN), 1);
	hist_run(h, SEC(130)); /* the requests give up */
	hist_skip(h);
	CHECK_EQ(h, h->engine->st->tcp.synreqs.used, 0);
}
