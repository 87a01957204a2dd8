// SPDX-License-Identifier: BSD-2-Clause
/* test_tcp_sack.c - RFC 2018 and 2883 both ways: which blocks are told, what the peer's blocks mark. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../lib/net_fixture.h"
#include "base/compiler.h"
#include "tcp/tcp_priv.h"

#define MSS 100u
#define UNA 1000u

#define SEGMENTS 60u

struct conn {
	struct mr_tcp tcp;
	struct mr_tcb tcb;
	struct mr_sending sending;
};

/* Segments of MSS bytes are sent, one millisecond apart from time 1 ms. */
static void conn_send(struct conn *c, uint32_t segments)
{
	uint8_t buf[MSS] = { 0 };

	for (uint32_t i = 0; i < segments; i++) {
		struct mr_frame *f;

		assert_int_equal(mr_tcp_write(&c->tcp, &c->tcb, buf, MSS, 0), MSS);
		f = c->tcb.sndq.unsent;
		f->sent_at = (1 + i) * MR_NS_PER_MS;
		mr_list_add_tail(&c->tcb.in_flight, &f->sent_node);
		c->tcb.sndq.unsent = NULL;
		c->tcb.snd_nxt = c->tcb.write_seq;
	}
}

/* So many segments in flight from UNA on. */
static void conn_open(struct conn *c, struct net *n, uint32_t segments)
{
	memset(c, 0, sizeof(*c));
	c->tcp.frames = &n->frames;
	c->tcp.ctr = &n->ctr;
	c->tcp.wheel = &n->wheel;
	mr_list_init(&c->tcp.pending);
	mr_list_init(&c->tcb.pending_node);
	mr_list_init(&c->tcb.in_flight);
	mr_list_init(&c->tcb.lost);
	mr_timer_init(&c->tcb.timer, MR_TIMER_TCB);
	for (int i = 0; i < MR_TT_MAX; i++)
		c->tcb.timers[i] = MR_TIME_NEVER;
	c->tcb.state = MR_TCP_ESTABLISHED;
	c->tcb.sending = &c->sending;
	c->sending.tcb = &c->tcb;
	c->tcb.sack_ok = true;
	c->tcb.rto_ns = MR_TCP_RTO_INIT_NS;
	c->tcb.snd_mss = MSS;
	c->tcb.snd_una = c->tcb.snd_nxt = c->tcb.write_seq = UNA;
	conn_send(c, segments);
}

static void conn_close(struct conn *c)
{
	mr_timer_cancel(c->tcp.wheel, &c->tcb.timer);
	sndq_free(&c->tcp, &c->tcb);
	mr_list_del(&c->tcb.pending_node);
	assert_int_equal(c->tcb.sacked_bytes, 0);
	assert_int_equal(c->tcb.lost_bytes, 0);
	assert_true(mr_list_empty(&c->tcb.in_flight));
}

/* Which segments carry a mark, as letters: S SACKed, L lost, . in flight. */
static const char *marks(const struct conn *c)
{
	static char text[64];
	uint32_t i = 0;

	for (const struct mr_frame *f = c->tcb.sndq.head; f && i < sizeof(text) - 1; f = f->next)
		text[i++] = f->flags & MR_FRAME_SACKED ? 'S' : f->flags & MR_FRAME_LOST ? 'L' : '.';
	text[i] = 0;
	return text;
}

/* Blocks in units of segments from UNA. */
static struct ack take(struct conn *c, uint64_t now, uint32_t ack_at, unsigned n,
		       const uint32_t (*b)[2])
{
	struct mr_seg seg = { .ack = UNA + ack_at, .opts = MR_TCPOPT_SACK, .nsack = (uint8_t)n };
	struct ack ack = { .now = now };

	for (unsigned i = 0; i < n; i++)
		seg.sack[i] = (struct mr_sack_block){ UNA + b[i][0], UNA + b[i][1] };
	sack_dsack(&c->tcp, &c->tcb, &seg, &ack);
	sack_input(&c->tcp, &c->tcb, &seg, &ack);
	return ack;
}

static void rfc2018_5_blocks_mark_the_segments_that_they_cover_whole(void **state)
{
	static const struct {
		const char *what;
		uint32_t b[4][2];
		unsigned n;
		const char *want;
		uint32_t delivered;
	} rows[] = {
		{ "one", { { 200, 300 } }, 1, "..S.......", 100 },
		{ "several segments", { { 200, 500 } }, 1, "..SSS.....", 300 },
		{ "two blocks in any order", { { 700, 800 }, { 200, 300 } }, 2, "..S....S..", 200 },
		{ "four",
		  { { 100, 200 }, { 300, 400 }, { 900, 1000 }, { 500, 600 } },
		  4,
		  ".S.S.S...S",
		  400 },
		{ "parts of a segment say nothing", { { 150, 250 } }, 1, "..........", 0 },
		{ "a whole one within parts", { { 150, 350 } }, 1, "..S.......", 100 },
		{ "overlapping blocks count once",
		  { { 200, 400 }, { 300, 500 } },
		  2,
		  "..SSS.....",
		  300 },
		{ "upside down", { { 500, 200 } }, 1, "..........", 0 },
		{ "beyond what was sent", { { 800, 1100 } }, 1, "..........", 0 },
		{ "below the cumulative ACK", { { 0, 100 } }, 1, "..........", 0 },
		{ "all but the first", { { 100, 1000 } }, 1, ".SSSSSSSSS", 900 },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct conn c;
		struct ack ack;

		conn_open(&c, n, 10);
		ack = take(&c, 50 * MR_NS_PER_MS, 0, rows[i].n, rows[i].b);
		if (strcmp(marks(&c), rows[i].want) != 0 || ack.delivered != rows[i].delivered ||
		    c.tcb.sacked_bytes != rows[i].delivered)
			fail_msg("%s: %s, %u delivered", rows[i].what, marks(&c), ack.delivered);
		ack = take(&c, 50 * MR_NS_PER_MS, 0, rows[i].n, rows[i].b);
		assert_int_equal(ack.delivered, 0); /* the same again is no news */
		conn_close(&c);
	}
}

static void rfc2018_5_without_permission_blocks_are_ignored(void **state)
{
	static const uint32_t b[][2] = { { 200, 300 } };
	struct conn c;

	conn_open(&c, *state, 10);
	c.tcb.sack_ok = false;
	assert_int_equal(take(&c, 1, 0, 1, b).delivered, 0);
	assert_string_equal(marks(&c), "..........");
	conn_close(&c);
}

/* RFC 2883 section 4. */
static void rfc2883_5_a_block_below_the_ack_or_within_the_next_is_a_dsack(void **state)
{
	static const struct {
		const char *what;
		uint32_t ack, b[2][2];
		unsigned n;
		bool want;
	} rows[] = {
		{ "below the ACK", 300, { { 100, 200 } }, 1, true },
		{ "up to the ACK", 300, { { 200, 300 } }, 1, true },
		{ "across the ACK", 300, { { 200, 400 } }, 1, false },
		{ "above it", 300, { { 400, 500 } }, 1, false },
		{ "within the second block", 100, { { 400, 500 }, { 300, 600 } }, 2, true },
		{ "of nothing", 300, { { 200, 200 } }, 1, false },
		{ "that ends before it begins", 300, { { 200, 100 } }, 1, false },
		{ "beside the second block", 100, { { 700, 800 }, { 300, 600 } }, 2, false },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct conn c;

		conn_open(&c, n, 10);
		if (take(&c, 1, rows[i].ack, rows[i].n, rows[i].b).dsack != rows[i].want)
			fail_msg("%s", rows[i].what);
		conn_close(&c);
	}
}

/* RFC 2018 section 8. */
static void rfc2018_8_after_reneging_nothing_counts_as_sacked(void **state)
{
	static const uint32_t b[][2] = { { 200, 500 } };
	struct conn c;

	conn_open(&c, *state, 10);
	take(&c, 20 * MR_NS_PER_MS, 0, 1, b);
	sack_renege(&c.tcb);
	assert_string_equal(marks(&c), "..........");
	assert_int_equal(c.tcb.sacked_bytes, 0);
	conn_close(&c);
}

/* Every rule of rows, at random: blocks from anywhere, cumulative ACKs, against a model that only knows
 * bytes. */
static void any_sequence_of_blocks_marks_what_a_model_marks(void **state)
{
	uint64_t x = 1;

	for (unsigned run = 0; run < 300; run++) {
		bool model[SEGMENTS] = { 0 };
		uint32_t una = 0;
		struct conn c;

		conn_open(&c, *state, SEGMENTS);
		for (unsigned step = 0; step < 40 && una < SEGMENTS; step++) {
			uint32_t b[3][2], from = una;
			struct ack ack = { .now = MR_NS_PER_S };

			for (unsigned i = 0; i < 3; i++) {
				x = x * 6364136223846793005ull + 1442695040888963407ull;
				b[i][0] = una + 1 + (uint32_t)(x >> 33) % (SEGMENTS - una);
				b[i][1] = mr_min(b[i][0] + 1 + (uint32_t)(x >> 53) % 6, SEGMENTS);
				for (uint32_t k = b[i][0]; k < b[i][1]; k++)
					model[k] = true;
				b[i][0] *= MSS;
				b[i][1] *= MSS;
			}
			take(&c, MR_NS_PER_S, una * MSS, 3, b);
			if (x >> 60 == 0) /* the hole at the front is filled, and more */
				una += 1 + (uint32_t)(x >> 40) % 3;
			while (una != from && una < SEGMENTS && model[una])
				una++;
			una = mr_min(una, SEGMENTS);
			sndq_ack(&c.tcp, &c.tcb, UNA + una * MSS, &ack);
			c.tcb.snd_una = UNA + una * MSS;
			mr_tcb_check_sndq(&c.tcp, &c.tcb);
			for (uint32_t k = una; k < SEGMENTS; k++)
				if ((marks(&c)[k - una] == 'S') != model[k])
					fail_msg("run %u, step %u: segment %u", run, step, k);
		}
		conn_close(&c);
	}
}

/* A walk that does not reach the block is taken up again by the next ACK. */
static void a_block_behind_many_holes_is_found_by_and_by(void **state)
{
	enum { MANY = 2400, CHUNK = 256 };
	static const uint32_t last[][2] = { { (MANY - 1) * MSS, MANY * MSS } };
	static uint8_t umem[MANY * CHUNK];
	struct mr_frame_pool pool;
	struct mr_arena arena;
	struct net *n = *state;
	uint32_t acks = 0;
	struct conn c;

	assert_int_equal(mr_arena_open(&arena, "many-frames", 1 << 20), 0);
	assert_int_equal(mr_frame_pool_init(&pool, &arena, &n->ctr, umem, MANY, CHUNK), 0);
	conn_open(&c, n, 0);
	c.tcp.frames = &pool;
	conn_send(&c, MANY);
	for (uint32_t i = 1; i < MANY - 10; i += 2)
		take(&c, MR_NS_PER_S, 0, 1, (const uint32_t[][2]){ { i * MSS, (i + 1) * MSS } });
	memset(c.sending.sack_hint, 0,
	       sizeof(c.sending.sack_hint)); /* as if this were the first one */
	while (!(c.tcb.sndq.tail->flags & MR_FRAME_SACKED) && acks++ < 10)
		take(&c, MR_NS_PER_S, 0, 1, last);
	assert_in_range(acks, 2, 6);
	mr_tcb_check_sndq(&c.tcp, &c.tcb);
	conn_close(&c);
	mr_arena_close(&arena);
}

/* ---- What we tell ---------------------------------------------------------------------------- */

static void told(const struct conn *c, const char *what, unsigned n, const uint32_t (*want)[2])
{
	struct mr_tcb copy = c->tcb;
	struct mr_seg seg = { 0 };

	sack_fill(&copy, &seg);
	if (seg.nsack != n)
		fail_msg("%s: %u blocks", what, seg.nsack);
	for (unsigned i = 0; i < n; i++)
		if (seg.sack[i].start != want[i][0] || seg.sack[i].end != want[i][1])
			fail_msg("%s: block %u is [%u, %u)", what, i, seg.sack[i].start,
				 seg.sack[i].end);
}

/* RFC 2018 section 4 and its examples. */
static void rfc2018_4_the_most_recent_block_comes_first_and_neighbours_merge(void **state)
{
	struct mr_gap gap = { 0 };
	struct conn c;

	conn_open(&c, *state, 0);
	c.tcb.rcv_nxt = 100;
	c.tcb.gap = &gap; /* something is held, whatever */
	sack_received(&c.tcb, 200, 300);
	told(&c, "one", 1, (const uint32_t[][2]){ { 200, 300 } });
	sack_received(&c.tcb, 400, 500);
	told(&c, "another in front", 2, (const uint32_t[][2]){ { 400, 500 }, { 200, 300 } });
	sack_received(&c.tcb, 300, 350);
	told(&c, "grown", 2, (const uint32_t[][2]){ { 200, 350 }, { 400, 500 } });
	sack_received(&c.tcb, 350, 400);
	told(&c, "joined", 1, (const uint32_t[][2]){ { 200, 500 } });
	for (uint32_t i = 1; i <= 5; i++)
		sack_received(&c.tcb, 500 + 100 * i, 550 + 100 * i);
	told(&c, "at most four", 4,
	     (const uint32_t[][2]){ { 1000, 1050 }, { 900, 950 }, { 800, 850 }, { 700, 750 } });
	c.tcb.rcv_nxt = 850;
	sack_forget(&c.tcb);
	told(&c, "passed ones are not told", 2,
	     (const uint32_t[][2]){ { 1000, 1050 }, { 900, 950 } });
	c.tcb.gap = NULL;
	sack_forget(&c.tcb);
	told(&c, "nothing held, nothing told", 0, NULL);
	conn_close(&c);
}

static void rfc2883_4_a_duplicate_is_told_once_in_front(void **state)
{
	struct mr_gap gap = { 0 };
	struct mr_seg seg = { .opts = MR_TCPOPT_TS };
	struct conn c;

	conn_open(&c, *state, 0);
	c.tcb.rcv_nxt = 1000;
	c.tcb.gap = &gap;
	for (uint32_t i = 1; i <= 4; i++)
		sack_received(&c.tcb, 1000 + 100 * i, 1050 + 100 * i);
	sack_duplicate(&c.tcp, &c.tcb, 500, 600);
	sack_fill(&c.tcb, &seg);
	assert_int_equal(seg.nsack, 3); /* beside timestamps */
	assert_int_equal(seg.sack[0].start, 500);
	assert_int_equal(seg.sack[0].end, 600);
	assert_int_equal(seg.sack[1].start, 1400);
	seg = (struct mr_seg){ 0 };
	sack_fill(&c.tcb, &seg);
	assert_int_equal(seg.nsack, 4);
	assert_int_equal(seg.sack[0].start, 1400);
	c.tcb.gap = NULL;
	conn_close(&c);
}

static void rfc2883_4_a_duplicate_joins_the_one_it_follows(void **state)
{
	struct mr_seg seg = { 0 };
	struct conn c;

	conn_open(&c, *state, 0);
	c.tcb.rcv_nxt = 1000;
	sack_duplicate(&c.tcp, &c.tcb, 500, 600);
	sack_duplicate(&c.tcp, &c.tcb, 600, 700);
	sack_fill(&c.tcb, &seg);
	assert_int_equal(seg.nsack, 1);
	assert_int_equal(seg.sack[0].start, 500);
	assert_int_equal(seg.sack[0].end, 700);
	assert_false(c.tcb.dsack_more);
	conn_close(&c);
}

/* An ACK tells of one: the others wait for theirs, as many as there is room for in all. */
static void rfc2883_4_duplicates_apart_are_told_in_their_order(void **state)
{
	struct mr_sack_block b;
	struct mr_seg seg = { 0 };
	struct mr_tcb other = { .sack_ok = true };
	struct conn c;

	conn_open(&c, *state, 0);
	c.tcb.rcv_nxt = 100000;
	sack_duplicate(&c.tcp, &other, 1, 2);
	sack_duplicate(&c.tcp, &other, 3, 4);
	for (uint32_t i = 0; i < 2 * MR_TCP_DSACKS; i++)
		sack_duplicate(&c.tcp, &c.tcb, 100 * i, 100 * i + 50);
	assert_int_equal(c.tcp.ndsacks, MR_TCP_DSACKS);
	for (uint32_t i = 0; i < MR_TCP_DSACKS - 1; i++) {
		assert_true(sack_next_duplicate(&c.tcp, &c.tcb, &b));
		assert_int_equal(b.start, 100 * i);
		assert_int_equal(b.end, 100 * i + 50);
	}
	assert_false(sack_next_duplicate(&c.tcp, &c.tcb, &b));
	assert_false(c.tcb.dsack_more);
	sack_fill(&c.tcb, &seg);
	assert_int_equal(seg.sack[0].start, 100 * (MR_TCP_DSACKS - 1));
	assert_true(sack_next_duplicate(&c.tcp, &other, &b));
	assert_int_equal(b.start, 1);
	assert_false(sack_next_duplicate(&c.tcp, &other, &b));
	assert_int_equal(c.tcp.ndsacks, 0);
	conn_close(&c);
}

/* ---- RACK (RFC 8985) ------------------------------------------------------------------------- */

/* Segments sent at 1..10 ms; at 50 ms blocks tell what arrived. With an RTT of 50 ms - (its sending) for
 * the newest delivered, what was sent before it and is still missing is lost once the window has passed. */
static void rfc8985_6_2_what_was_sent_before_what_arrived_is_lost_after_the_window(void **state)
{
	static const uint32_t tail[][2] = { { 700, 1000 } }, one[][2] = { { 200, 300 } };
	struct conn c;

	conn_open(&c, *state, 10);
	take(&c, 50 * MR_NS_PER_MS, 0, 1, tail);
	assert_true(
		rack_detect(&c.tcp, &c.tcb, 50 * MR_NS_PER_MS)); /* 3 segments SACKed: no waiting */
	assert_string_equal(marks(&c), "LLLLLLLSSS");
	conn_close(&c);

	conn_open(&c, *state, 10);
	c.tcb.srtt_ns = 48 * MR_NS_PER_MS;
	rack_rtt(&c.tcb, 40 * MR_NS_PER_MS, 1);
	take(&c, 50 * MR_NS_PER_MS, 0, 1, one); /* sent at 3 ms: RTT 47 ms, window 40 / 4 = 10 ms */
	c.tcb.rack.reo_mult = 1;
	assert_false(rack_detect(&c.tcp, &c.tcb, 50 * MR_NS_PER_MS));
	assert_string_equal(marks(&c), "..S.......");
	assert_int_equal(c.tcb.timers[MR_TT_REO], (1 + 47 + 10) * MR_NS_PER_MS);
	assert_true(rack_detect(&c.tcp, &c.tcb,
				58 * MR_NS_PER_MS)); /* only the one sent at 1 ms is due */
	assert_string_equal(marks(&c), "L.S.......");
	assert_true(rack_detect(&c.tcp, &c.tcb, 59 * MR_NS_PER_MS));
	assert_string_equal(marks(&c), "LLS.......");
	conn_close(&c);
}

/* A wide window may end after the RTO: the timeout waits for it, though not longer than an RTO. */
static void rfc8985_6_3_reordering_is_waited_for_before_the_timeout(void **state)
{
	static const uint32_t one[][2] = { { 200, 300 } };
	const uint64_t ms = MR_NS_PER_MS;
	struct conn c;

	conn_open(&c, *state, 10);
	c.tcb.srtt_ns = 40 * ms;
	c.tcb.rto_ns = 200 * ms;
	rack_rtt(&c.tcb, 40 * ms, 1);
	c.tcb.timers[MR_TT_RTX] = 85 * ms;
	take(&c, 50 * ms, 0, 1, one);
	c.tcb.rack.reo_mult = 20; /* 20 * 40 / 4, but at most SRTT */
	assert_false(rack_detect(&c.tcp, &c.tcb, 50 * ms));
	assert_int_equal(c.tcb.timers[MR_TT_REO], (1 + 47 + 40) * ms);
	assert_int_equal(c.tcb.timers[MR_TT_RTX], (1 + 47 + 40 + 200) * ms);
	c.tcb.rto_ns = 10 * ms; /* never so short, but as an RTT may be long */
	assert_false(rack_detect(&c.tcp, &c.tcb, 50 * ms));
	assert_int_equal(c.tcb.timers[MR_TT_REO], (50 + 10) * ms);
	conn_close(&c);
}

static void rfc8985_6_2_reordering_that_was_seen_keeps_the_window_open(void **state)
{
	static const uint32_t late[][2] = { { 700, 1000 } }, early[][2] = { { 200, 300 } };
	struct conn c;

	conn_open(&c, *state, 10);
	c.tcb.srtt_ns = 48 * MR_NS_PER_MS;
	rack_rtt(&c.tcb, 40 * MR_NS_PER_MS, 1);
	take(&c, 50 * MR_NS_PER_MS, 0, 1, late);
	assert_false(c.tcb.rack.reordering_seen);
	take(&c, 51 * MR_NS_PER_MS, 0, 1, early);
	assert_true(c.tcb.rack.reordering_seen);
	c.tcb.rack.reo_mult = 1;
	/* Newest delivered: sent at 10 ms, RTT 40; now a window of 10 ms although 4 are SACKed. */
	assert_false(rack_detect(&c.tcp, &c.tcb, 50 * MR_NS_PER_MS));
	assert_true(rack_detect(&c.tcp, &c.tcb, 70 * MR_NS_PER_MS));
	assert_string_equal(marks(&c), "LLSLLLLSSS");
	conn_close(&c);
}

static void rfc8985_6_2_a_retransmission_that_is_lost_again_is_found(void **state)
{
	static const uint32_t rest[][2] = { { 100, 500 } }, more[][2] = { { 100, 1000 } };
	struct mr_frame *head;
	struct conn c;

	conn_open(&c, *state, 10);
	take(&c, 20 * MR_NS_PER_MS, 0, 1, rest);
	assert_true(rack_detect(&c.tcp, &c.tcb, 20 * MR_NS_PER_MS));
	assert_string_equal(marks(&c), "LSSSS.....");
	/* The head goes out again at 21 ms, and the last five again at 40 ms; those arrive. */
	head = c.tcb.sndq.head;
	head->flags = (uint8_t)((head->flags & ~MR_FRAME_LOST) | MR_FRAME_RETRANS);
	c.tcb.lost_bytes = 0;
	head->sent_at = 21 * MR_NS_PER_MS;
	mr_list_move_tail(&c.tcb.in_flight, &head->sent_node);
	for (struct mr_frame *f = head->next; f; f = f->next) {
		if (f->flags & MR_FRAME_SACKED)
			continue;
		f->sent_at = 40 * MR_NS_PER_MS;
		mr_list_move_tail(&c.tcb.in_flight, &f->sent_node);
	}
	take(&c, 60 * MR_NS_PER_MS, 0, 1, more);
	assert_true(rack_detect(&c.tcp, &c.tcb, 60 * MR_NS_PER_MS));
	assert_string_equal(marks(&c), "LSSSSSSSSS");
	conn_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
		T(rfc2018_5_blocks_mark_the_segments_that_they_cover_whole),
		T(rfc2018_5_without_permission_blocks_are_ignored),
		T(rfc2883_5_a_block_below_the_ack_or_within_the_next_is_a_dsack),
		T(rfc2018_8_after_reneging_nothing_counts_as_sacked),
		T(any_sequence_of_blocks_marks_what_a_model_marks),
		T(a_block_behind_many_holes_is_found_by_and_by),
		T(rfc2018_4_the_most_recent_block_comes_first_and_neighbours_merge),
		T(rfc2883_4_a_duplicate_is_told_once_in_front),
		T(rfc2883_4_a_duplicate_joins_the_one_it_follows),
		T(rfc2883_4_duplicates_apart_are_told_in_their_order),
		T(rfc8985_6_2_what_was_sent_before_what_arrived_is_lost_after_the_window),
		T(rfc8985_6_3_reordering_is_waited_for_before_the_timeout),
		T(rfc8985_6_2_reordering_that_was_seen_keeps_the_window_open),
		T(rfc8985_6_2_a_retransmission_that_is_lost_again_is_found),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
