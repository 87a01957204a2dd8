// SPDX-License-Identifier: BSD-2-Clause
/* test_frame.c - frames: references, moving headers, packets over several chunks; the transmit
 * queue. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "base/compiler.h"
#include "base/csum.h"
#include "dev/netif.h"
#include "frame/frame.h"

#define NFRAMES 8u
#define CHUNK	2048u

static struct mr_arena arena;
static struct mr_counters ctr;
static struct mr_frame_pool pool;
static uint8_t umem[NFRAMES * CHUNK];

static int setup(void **state)
{
	(void)state;
	memset(&ctr, 0, sizeof(ctr));
	return mr_arena_open(&arena, "test", 65536) ||
	       mr_frame_pool_init(&pool, &arena, &ctr, umem, NFRAMES, CHUNK);
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(pool.nfree, NFRAMES); /* no test leaks a frame */
	mr_arena_close(&arena);
	return 0;
}

/* A packet of the bytes 0, 1, 2 ... in chunks of the given lengths. */
static struct mr_frame *make_chain(const uint32_t *lens, unsigned n)
{
	struct mr_frame *first = NULL, **link = &first;
	uint8_t byte = 0;
	uint32_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		struct mr_frame *f = mr_frame_get(&pool);

		assert_non_null(f);
		f->len = lens[i];
		for (uint32_t k = 0; k < lens[i]; k++)
			f->data[k] = byte++;
		total += lens[i];
		*link = f;
		link = &f->frag;
	}
	assert_non_null(first);
	first->pkt_len = total;
	first->nchunks = (uint8_t)n;
	return first;
}

static void a_fresh_frame_is_empty_and_has_headroom(void **state)
{
	struct mr_frame *f = mr_frame_get(&pool);

	(void)state;
	assert_ptr_equal(f, &pool.frames[0]);
	assert_ptr_equal(f->chunk, umem);
	assert_int_equal(mr_frame_headroom(f), MR_FRAME_HEADROOM);
	assert_int_equal(mr_frame_tailroom(&pool, f), CHUNK - MR_FRAME_HEADROOM);
	assert_int_equal(f->refs, 1);
	assert_int_equal(f->nchunks, 1);
	f->flags = MR_FRAME_LENT;
	f->seq = 9;
	mr_frame_put(&pool, f);
	assert_ptr_equal(mr_frame_get(&pool), f); /* last in, first out, and clean again */
	assert_int_equal(f->flags, 0);
	assert_int_equal(f->seq, 0);
	mr_frame_put(&pool, f);
}

static void the_pool_ends_and_recovers(void **state)
{
	struct mr_frame *f[NFRAMES];

	(void)state;
	for (unsigned i = 0; i < NFRAMES; i++) {
		f[i] = mr_frame_get(&pool);
		assert_non_null(f[i]);
		assert_ptr_equal(f[i], &pool.frames[i]);
	}
	assert_null(mr_frame_get(&pool));
	for (unsigned i = 0; i < NFRAMES; i++)
		mr_frame_put(&pool, f[i]);
}

static void the_last_reference_frees(void **state)
{
	struct mr_frame *f = mr_frame_get(&pool);

	(void)state;
	mr_frame_hold(f);
	mr_frame_put(&pool, f);
	assert_int_equal(pool.nfree, NFRAMES - 1);
	mr_frame_put(&pool, f);
	assert_int_equal(pool.nfree, NFRAMES);
}

static void offsets_and_frames_find_each_other(void **state)
{
	struct mr_frame *f;

	(void)state;
	mr_frame_put(&pool, mr_frame_get(&pool));
	f = &pool.frames[5];
	assert_ptr_equal(mr_frame_at(&pool, 5 * CHUNK), f);
	assert_ptr_equal(mr_frame_at(&pool, 6 * CHUNK - 1), f);
	assert_null(mr_frame_at(&pool, NFRAMES * CHUNK));
	assert_null(mr_frame_at(&pool, UINT64_MAX));
}

/* A process died in mr_frame_get(), between wiping the frame and writing what stays. */
static void salvage_knows_the_chunk_of_a_frame_that_was_being_wiped(void **state)
{
	struct mr_frame *f = mr_frame_get(&pool);
	uint8_t *chunk = f->chunk;

	(void)state;
	memset(f, 0, sizeof(*f));
	mr_frame_pool_salvage_begin(&pool);
	mr_frame_pool_salvage_end(&pool);
	assert_int_equal(pool.nfree, NFRAMES);
	assert_ptr_equal(f->chunk, chunk);
}

static void push_and_pull_move_the_start(void **state)
{
	struct mr_frame *f = make_chain((const uint32_t[]){ 10, 5 }, 2);
	uint8_t *start = f->data;

	(void)state;
	assert_ptr_equal(mr_frame_push(f, 14), start - 14);
	assert_int_equal(f->len, 24);
	assert_int_equal(f->pkt_len, 29);
	mr_frame_pull(f, 20);
	assert_int_equal(f->data[0], 6);
	assert_int_equal(f->len, 4);
	assert_int_equal(f->pkt_len, 9);
	mr_frame_put_chain(&pool, f);
}

static void trim_cuts_anywhere(void **state)
{
	static const struct {
		uint32_t len;
		uint8_t chunks;
		uint32_t last_len;
	} rows[] = {
		{ 40, 3, 11 }, { 31, 3, 11 }, { 30, 3, 10 }, { 21, 3, 1 }, { 20, 2, 10 },
		{ 11, 2, 1 },  { 10, 1, 10 }, { 1, 1, 1 },   { 0, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_frame *f = make_chain((const uint32_t[]){ 10, 10, 11 }, 3), *pos,
				*last = f;
		unsigned n = 0;

		mr_frame_trim(&pool, f, rows[i].len);
		assert_int_equal(f->pkt_len, mr_min(rows[i].len, 31u));
		assert_int_equal(f->nchunks, rows[i].chunks);
		mr_frame_for_each_chunk (pos, f) {
			last = pos;
			n++;
		}
		assert_int_equal(n, rows[i].chunks);
		assert_int_equal(last->len, rows[i].last_len);
		assert_int_equal(pool.nfree, NFRAMES - n);
		mr_frame_put_chain(&pool, f);
	}
}

static void copy_and_checksum_cross_every_border(void **state)
{
	struct mr_frame *f = make_chain((const uint32_t[]){ 7, 1, 0, 13, 9 }, 5);
	uint8_t buf[64];

	(void)state;
	for (uint32_t off = 0; off <= 30; off++) {
		for (uint32_t n = 0; off + n <= 30; n++) {
			uint32_t sum = mr_frame_csum(f, off, n);

			assert_int_equal(mr_frame_copy_out(f, off, buf, n), n);
			for (uint32_t i = 0; i < n; i++)
				assert_int_equal(buf[i], off + i);
			assert_int_equal(mr_csum_fold(sum) % 0xffff,
					 mr_csum_fold(mr_csum(buf, n)) % 0xffff);
		}
	}
	assert_int_equal(mr_frame_copy_out(f, 25, buf, 64), 5);
	assert_int_equal(mr_frame_copy_out(f, 30, buf, 64), 0);
	mr_frame_put_chain(&pool, f);
}

static void the_queue_is_first_in_first_out(void **state)
{
	struct mr_frame_queue q = { 0 };
	struct mr_frame *a = mr_frame_get(&pool), *b = mr_frame_get(&pool);

	(void)state;
	assert_null(mr_frame_queue_pop(&q));
	mr_frame_queue_push(&q, a);
	mr_frame_queue_push(&q, b);
	assert_int_equal(q.count, 2);
	assert_ptr_equal(mr_frame_queue_pop(&q), a);
	assert_ptr_equal(mr_frame_queue_pop(&q), b);
	assert_null(mr_frame_queue_pop(&q));
	assert_null(q.tail);
	mr_frame_put(&pool, a);
	mr_frame_put(&pool, b);
}

static void what_asks_for_no_room_finds_some_behind_a_queue_full_of_data(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	const uint64_t full = ctr.drop[MR_DROP_TX_QUEUE_FULL];
	struct mr_netif nif;
	struct mr_frame *f;

	(void)state;
	mr_netif_init(&nif, &pool, &ctr, mac, 1500, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(mr_netif_tx_room(&nif, 1));
		assert_int_equal(mr_netif_tx(&nif, make_chain((const uint32_t[]){ 60 }, 1)), 0);
	}
	assert_false(mr_netif_tx_room(&nif, 1));
	assert_int_equal(mr_netif_tx(&nif, make_chain((const uint32_t[]){ 60 }, 1)), 0);
	assert_int_equal(mr_netif_tx(&nif, make_chain((const uint32_t[]){ 60 }, 1)), -ENOBUFS);
	assert_int_equal(ctr.drop[MR_DROP_TX_QUEUE_FULL], full + 1);
	assert_false(mr_netif_tx_room(&nif, 1));
	while ((f = mr_netif_txq_pop(&nif)))
		mr_netif_tx_done(&pool, f);
}

static void the_transmit_queue_owns_one_reference_of_every_chunk(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct mr_frame *a = make_chain((const uint32_t[]){ 60, 40 }, 2), *b, *c, *frag;
	struct mr_netif nif;

	(void)state;
	mr_netif_init(&nif, &pool, &ctr, mac, 1500, 2);
	b = make_chain((const uint32_t[]){ 60 }, 1);
	c = make_chain((const uint32_t[]){ 60, 60 }, 2);
	mr_frame_hold(a); /* the send buffer's */
	mr_frame_hold(a->frag);
	assert_true(mr_netif_tx_room(&nif, 2));
	assert_int_equal(mr_netif_tx(&nif, a), 0);
	assert_int_equal(mr_netif_tx(&nif, b), 0);
	assert_false(mr_netif_tx_room(&nif, 1));
	assert_int_equal(mr_netif_tx(&nif, c), -ENOBUFS);
	assert_int_equal(ctr.drop[MR_DROP_TX_QUEUE_FULL], 1);
	assert_int_equal(pool.nfree, NFRAMES - 3);

	assert_ptr_equal(mr_netif_txq_peek(&nif), a);
	assert_ptr_equal(mr_netif_txq_pop(&nif), a);
	assert_ptr_equal(mr_netif_txq_pop(&nif), b);
	assert_null(mr_netif_txq_pop(&nif));
	assert_null(mr_netif_txq_peek(&nif));

	frag = a->frag;
	assert_int_equal(a->tx_refs, 1);
	assert_int_equal(frag->tx_refs, 1);
	mr_netif_tx_done(&pool, a);
	mr_netif_tx_done(&pool, frag);
	mr_netif_tx_done(&pool, b);
	assert_int_equal(a->tx_refs, 0);
	assert_int_equal(a->refs, 1);
	assert_int_equal(mr_netif_tx(&nif, a), 0); /* sent again, once the device has let go */
	assert_ptr_equal(mr_netif_txq_pop(&nif), a);
	mr_netif_tx_done(&pool, a);
	mr_netif_tx_done(&pool, frag);
}

int main(void)
{
#define FRAME_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		FRAME_TEST(a_fresh_frame_is_empty_and_has_headroom),
		FRAME_TEST(the_pool_ends_and_recovers),
		FRAME_TEST(the_last_reference_frees),
		FRAME_TEST(offsets_and_frames_find_each_other),
		FRAME_TEST(salvage_knows_the_chunk_of_a_frame_that_was_being_wiped),
		FRAME_TEST(push_and_pull_move_the_start),
		FRAME_TEST(trim_cuts_anywhere),
		FRAME_TEST(copy_and_checksum_cross_every_border),
		FRAME_TEST(the_queue_is_first_in_first_out),
		FRAME_TEST(what_asks_for_no_room_finds_some_behind_a_queue_full_of_data),
		FRAME_TEST(the_transmit_queue_owns_one_reference_of_every_chunk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
