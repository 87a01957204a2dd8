// SPDX-License-Identifier: BSD-2-Clause
/* test_tcp_ooo.c - the reassembly queue: order, overlaps, FIN, limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../lib/net_fixture.h"
#include "base/compiler.h"
#include "tcp/tcp_priv.h"

#define NEXT 1000u /* rcv_nxt throughout */

/* The byte that belongs at a sequence number. */
static uint8_t pattern(uint32_t seq)
{
	return (uint8_t)(seq * 7 + (seq >> 8));
}

struct queue {
	struct mr_tcp tcp;
	struct mr_tcb tcb;
};

static void queue_open(struct queue *q, struct net *n)
{
	memset(q, 0, sizeof(*q));
	q->tcp.frames = &n->frames;
	q->tcp.mtu_cursor = UINT32_MAX;
	mr_list_init(&q->tcp.gaps);
	assert_int_equal(mr_pool_init(&q->tcp.gap_pool, &n->arena, sizeof(struct mr_gap), 1), 0);
	q->tcp.ctr = &n->ctr;
	q->tcb.rcv_nxt = NEXT;
	q->tcb.opts.rcvbuf = 65536;
}

/* Payload [seq, seq + len) in chunks of `chunk` bytes (0: one). */
static struct mr_frame *segment(struct net *n, uint32_t seq, uint32_t len, uint8_t flags,
				uint32_t chunk)
{
	uint8_t buf[4096];
	struct mr_frame *f;

	for (uint32_t i = 0; i < len; i++)
		buf[i] = pattern(seq + i);
	f = net_frame(n, buf, len, chunk);
	f->seq = seq;
	f->tcp_flags = flags;
	return f;
}

static enum mr_drop insert(struct net *n, struct queue *q, uint32_t seq, uint32_t len,
			   uint8_t flags, uint32_t chunk)
{
	struct mr_frame *f = segment(n, seq, len, flags, chunk);
	enum mr_drop why = ooo_insert(&q->tcp, &q->tcb, f);

	if (why != MR_DROP_NONE)
		mr_frame_put_chain(&n->frames, f);
	return why;
}

/* Everything from rcv_nxt on that is contiguous; checks each byte. Returns the end. */
static uint32_t drain(struct net *n, struct queue *q, bool *fin)
{
	struct mr_frame *f;

	*fin = false;
	while ((f = ooo_take(&q->tcp, &q->tcb))) {
		assert_int_equal(f->seq, q->tcb.rcv_nxt);
		for (struct mr_frame *c = f; c; c = c->frag)
			for (uint32_t i = 0; i < c->len; i++)
				assert_int_equal(c->data[i], pattern(q->tcb.rcv_nxt++));
		*fin |= (f->tcp_flags & MR_TCP_FIN) != 0;
		mr_frame_put_chain(&n->frames, f);
	}
	return q->tcb.rcv_nxt;
}

/* Segments go in as listed, then the hole [NEXT, NEXT+100) is filled: what comes out in order? */
static void segments_come_out_in_order_whatever_they_overlap(void **state)
{
	static const struct {
		const char *what;
		struct {
			uint32_t off, len;
			bool fin;
		} seg[5];
		uint32_t want; /* bytes in order from NEXT */
		bool fin;
	} rows[] = {
		{ "one", { { 100, 50, false } }, 150, false },
		{ "two in order", { { 100, 50, false }, { 150, 50, false } }, 200, false },
		{ "two in reverse", { { 150, 50, false }, { 100, 50, false } }, 200, false },
		{ "a hole stays", { { 100, 50, false }, { 160, 50, false } }, 150, false },
		{ "hole filled last",
		  { { 100, 50, false }, { 200, 50, false }, { 150, 50, false } },
		  250,
		  false },
		{ "front overlaps", { { 100, 50, false }, { 120, 80, false } }, 200, false },
		{ "back overlaps", { { 150, 50, false }, { 100, 80, false } }, 200, false },
		{ "covers one whole", { { 120, 20, false }, { 100, 100, false } }, 200, false },
		{ "covers several",
		  { { 110, 10, false },
		    { 130, 10, false },
		    { 150, 10, false },
		    { 100, 100, false } },
		  200,
		  false },
		{ "bridges two",
		  { { 100, 30, false }, { 160, 40, false }, { 120, 60, false } },
		  200,
		  false },
		{ "begins before rcv_nxt's new place", { { 50, 150, false } }, 200, false },
		{ "FIN behind text", { { 100, 50, true } }, 150, true },
		{ "FIN alone", { { 100, 0, true } }, 100, true },
		{ "text before a queued FIN", { { 150, 0, true }, { 100, 50, false } }, 150, true },
		{ "FIN beyond a hole", { { 150, 10, true }, { 100, 40, false } }, 140, false },
		{ "the same again with FIN", { { 100, 50, false }, { 100, 50, true } }, 150, true },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		for (uint32_t chunk = 0; chunk <= 16; chunk += 16) {
			struct queue q;
			bool fin;

			queue_open(&q, n);
			for (int k = 0; k < 5 && (rows[i].seg[k].len || rows[i].seg[k].fin); k++)
				insert(n, &q, NEXT + rows[i].seg[k].off, rows[i].seg[k].len,
				       rows[i].seg[k].fin ? MR_TCP_FIN : 0, chunk);
			q.tcb.rcv_nxt = NEXT + 100;
			if (drain(n, &q, &fin) != NEXT + rows[i].want || fin != rows[i].fin)
				fail_msg("%s (chunk %u): %u bytes, fin %d", rows[i].what, chunk,
					 q.tcb.rcv_nxt - NEXT, fin);
			ooo_free(&q.tcp, &q.tcb);
			assert_null(q.tcb.gap);
		}
	}
}

static void what_is_there_already_is_a_duplicate(void **state)
{
	struct net *n = *state;
	struct queue q;

	queue_open(&q, n);
	assert_int_equal(insert(n, &q, NEXT + 100, 50, 0, 0), MR_DROP_NONE);
	assert_int_equal(insert(n, &q, NEXT + 100, 50, 0, 0), MR_DROP_TCP_DUPLICATE);
	assert_int_equal(insert(n, &q, NEXT + 110, 20, 0, 0), MR_DROP_TCP_DUPLICATE);
	assert_int_equal(insert(n, &q, NEXT + 140, 10, 0, 0), MR_DROP_TCP_DUPLICATE);
	ooo_free(&q.tcp, &q.tcb);
}

static void sequence_numbers_wrap(void **state)
{
	struct net *n = *state;
	struct queue q;
	bool fin;

	queue_open(&q, n);
	q.tcb.rcv_nxt = 0xffffff00u;
	assert_int_equal(insert(n, &q, 0x00000010u, 16, 0, 0), MR_DROP_NONE);
	assert_int_equal(insert(n, &q, 0xfffffff0u, 32, 0, 0), MR_DROP_NONE);
	q.tcb.rcv_nxt = 0xfffffff0u;
	assert_int_equal(drain(n, &q, &fin), 0x00000020u);
}

static void one_byte_segments_cannot_pin_the_umem(void **state)
{
	struct net *n = *state;
	struct queue q;
	uint32_t taken = 0;

	queue_open(&q, n);
	q.tcb.opts.rcvbuf = 16384;
	for (uint32_t i = 1; i < NET_FRAMES - 40; i++)
		taken += insert(n, &q, NEXT + 2 * i, 1, 0, 0) == MR_DROP_NONE;
	assert_int_equal(taken, NET_FRAMES / 8); /* for all connections; of one, 64 here */
	assert_int_equal(q.tcp.ooo_frames, NET_FRAMES / 8);
	ooo_free(&q.tcp, &q.tcb);
}

/* 4000 random runs of segments over a window: the stream that comes out is the one that went in. */
static void rfc9293_3_10_7_4_random_segments_reassemble_to_the_stream(void **state)
{
	struct net *n = *state;
	struct mr_rng rng;

	mr_rng_init(&rng, 42);
	for (int run = 0; run < 4000; run++) {
		struct queue q;
		uint32_t total = 1 + mr_rng_below(&rng, 600), tries = 0;
		bool fin = false;

		queue_open(&q, n);
		while (q.tcb.rcv_nxt != NEXT + total || !fin) {
			uint32_t off = mr_rng_below(&rng, total + 1), len = mr_rng_below(&rng, 80);
			bool last;

			assert_true(tries++ < 100000);
			len = mr_min(len, total - off);
			last = off + len == total;
			if (!len && !last)
				continue;
			if (seq_leq(NEXT + off + len + last, q.tcb.rcv_nxt))
				continue;
			if (mr_rng_below(&rng, 4) && !seq_leq(NEXT + off, q.tcb.rcv_nxt)) {
				insert(n, &q, NEXT + off, len, last ? MR_TCP_FIN : 0,
				       1 + mr_rng_below(&rng, 40));
			} else if (seq_leq(NEXT + off, q.tcb.rcv_nxt)) {
				/* In order: as input does it, past the queue. */
				q.tcb.rcv_nxt = seq_max(q.tcb.rcv_nxt, NEXT + off + len);
				fin = last;
				if (!fin)
					drain(n, &q, &fin);
			}
		}
		ooo_free(&q.tcp, &q.tcb);
		assert_int_equal(n->frames.nfree, n->frames.nframes);
	}
}

/* RFC 9293 section 3.8.6.2: a peer that sends single bytes. Those that follow one another share a chunk; a room
 * full of chunks is not filled by them. */
static void single_bytes_in_a_row_share_a_chunk(void **state)
{
	struct net *n = *state;
	struct queue q;
	uint32_t before = n->frames.nfree;
	bool fin;

	queue_open(&q, n);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(insert(n, &q, NEXT + 100 + i, 1, i == 999 ? MR_TCP_FIN : 0, 0),
				 MR_DROP_NONE);
	assert_int_equal(q.tcb.gap->q.bytes, 1000);
	assert_true(q.tcb.gap->q.frames <= 2);
	assert_true(before - n->frames.nfree <= 2);
	assert_int_equal(insert(n, &q, NEXT, 100, 0, 0), MR_DROP_NONE);
	assert_int_equal(drain(n, &q, &fin), NEXT + 1100);
	assert_true(fin);
	assert_int_equal(n->frames.nfree, before);
}

/* What comes late, or was sent again and overtaken, has its place found in steps of holes, not of packets: on a
 * long path thousands of those are behind the first hole. */
static void place_among_many_is_found_in_steps_of_holes(void **state)
{
	struct net *n = *state;
	struct queue q;
	bool fin;

	queue_open(&q, n);
	q.tcb.opts.rcvbuf = 1 << 20;
	for (uint32_t i = 1; i <= 30; i++)
		if (i != 11 && i != 21)
			assert_int_equal(insert(n, &q, NEXT + i * 600, 600, 0, 0), MR_DROP_NONE);
	n->ctr.c[MR_CTR_TCP_OOO_WALKED] = 0;
	assert_int_equal(insert(n, &q, NEXT + 21 * 600, 600, 0, 0), MR_DROP_NONE);
	assert_int_equal(insert(n, &q, NEXT + 11 * 600, 600, 0, 0), MR_DROP_NONE);
	assert_int_equal(insert(n, &q, NEXT + 15 * 600, 600, 0, 0), MR_DROP_TCP_DUPLICATE);
	assert_true(n->ctr.c[MR_CTR_TCP_OOO_WALKED] <= 4);
	assert_ptr_equal(q.tcb.gap->q.head->row, q.tcb.gap->q.tail);
	q.tcb.rcv_nxt = NEXT + 600;
	assert_int_equal(drain(n, &q, &fin), NEXT + 31 * 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(segments_come_out_in_order_whatever_they_overlap,
						net_setup, net_teardown),
		cmocka_unit_test_setup_teardown(what_is_there_already_is_a_duplicate, net_setup,
						net_teardown),
		cmocka_unit_test_setup_teardown(sequence_numbers_wrap, net_setup, net_teardown),
		cmocka_unit_test_setup_teardown(one_byte_segments_cannot_pin_the_umem, net_setup,
						net_teardown),
		cmocka_unit_test_setup_teardown(single_bytes_in_a_row_share_a_chunk, net_setup,
						net_teardown),
		cmocka_unit_test_setup_teardown(place_among_many_is_found_in_steps_of_holes,
						net_setup, net_teardown),
		cmocka_unit_test_setup_teardown(
			rfc9293_3_10_7_4_random_segments_reassemble_to_the_stream, net_setup,
			net_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
