// SPDX-License-Identifier: BSD-2-Clause
/* test_afxdp_rx.c - receiving, with rings in plain memory. */
#include "fake_xsk.h"
#include "base/time.h"

static uint32_t fill_level(const struct fake_xsk *x, unsigned queue)
{
	const struct fake_ring *r = &x->ring[queue][MR_XSK_FILL];

	return r->producer - r->consumer;
}

static struct mr_frame *rx_one(struct fake_xsk *x)
{
	struct mr_frame_queue q = { 0 };

	assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 1, 0), 1);
	assert_int_equal(q.count, 1);
	return q.head;
}

static unsigned rx_none(struct fake_xsk *x)
{
	struct mr_frame_queue q = { 0 };

	return mr_afxdp_rx(&x->d->dev, &q, 64, 0);
}

static void fill_rings_are_full_from_the_start_with_different_chunks(void **state)
{
	struct fake_xsk *x = *state;
	bool seen[FAKE_FRAMES] = { false };

	mr_afxdp_rx_init(x->d);
	for (unsigned q = 0; q < FAKE_QUEUES; q++) {
		assert_int_equal(fill_level(x, q), FAKE_RING);
		for (unsigned i = 0; i < FAKE_RING; i++) {
			uint64_t addr = kernel_take_fill(x, q);

			assert_int_equal(addr % FAKE_CHUNK, 0);
			assert_true(addr / FAKE_CHUNK < FAKE_FRAMES);
			assert_false(seen[addr / FAKE_CHUNK]);
			seen[addr / FAKE_CHUNK] = true;
		}
	}
	assert_int_equal(x->frames.nfree, FAKE_FRAMES - FAKE_QUEUES * FAKE_RING);
}

static void descriptor_becomes_a_frame_in_place(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *f;
	uint64_t addr;

	mr_afxdp_rx_init(x->d);
	addr = kernel_rx(x, 1, 777, 0);
	f = rx_one(x);
	assert_ptr_equal(f->data, x->umem + addr);
	assert_int_equal(f->len, 777);
	assert_int_equal(f->pkt_len, 777);
	assert_int_equal(f->nchunks, 1);
	assert_int_equal(f->refs, 1);
	assert_int_equal(f->flags, 0);
	assert_int_equal(f->queue, 1);
	assert_null(f->frag);
	assert_int_equal(x->ring[1][MR_XSK_RX].consumer, 1);
	assert_int_equal(x->ctr.c[MR_CTR_DEV_RX_PACKETS], 1);
	assert_int_equal(x->ctr.c[MR_CTR_DEV_RX_BYTES], 777);
}

static void chain_may_come_in_pieces(void **state)
{
	struct fake_xsk *x = *state;
	const uint32_t lens[] = { 1792, 1792, 500 };
	struct mr_frame *f, *chunk;
	unsigned i = 0;

	mr_afxdp_rx_init(x->d);
	kernel_rx(x, 0, lens[0], XDP_PKT_CONTD);
	assert_int_equal(rx_none(x), 0);
	assert_int_equal(x->ring[0][MR_XSK_RX].consumer, 1); /* taken, and kept */
	kernel_rx(x, 0, lens[1], XDP_PKT_CONTD);
	kernel_rx(x, 1, 60, 0); /* another queue's packet does not mix with it */
	f = rx_one(x);
	assert_int_equal(f->queue, 1);
	assert_int_equal(rx_none(x), 0);
	kernel_rx(x, 0, lens[2], 0);
	f = rx_one(x);
	assert_int_equal(f->queue, 0);
	assert_int_equal(f->pkt_len, 1792 + 1792 + 500);
	assert_int_equal(f->nchunks, 3);
	mr_frame_for_each_chunk (chunk, f) {
		if (i < MR_ARRAY_SIZE(lens))
			assert_int_equal(chunk->len, lens[i]);
		i++;
	}
	assert_int_equal(i, 3);
	assert_int_equal(x->ctr.c[MR_CTR_DEV_RX_CHUNKS], 4);
	assert_int_equal(x->ctr.c[MR_CTR_DEV_RX_PACKETS], 2);
}

static void budget_counts_packets_not_chunks(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame_queue q = { 0 };

	mr_afxdp_rx_init(x->d);
	for (unsigned i = 0; i < 5; i++) {
		kernel_rx(x, 0, 1792, XDP_PKT_CONTD);
		kernel_rx(x, 0, 100, 0);
	}
	assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 2, 0), 2);
	assert_int_equal(x->ring[0][MR_XSK_RX].consumer, 4);
	assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 64, 0), 3);
	assert_int_equal(q.count, 5);
}

/* A queue that always has enough for the whole budget must not keep the other one waiting. */
static void busy_queue_does_not_starve_the_other(void **state)
{
	struct fake_xsk *x = *state;
	unsigned got[FAKE_QUEUES] = { 0 };

	mr_afxdp_rx_init(x->d);
	for (unsigned i = 0; i < 40; i++)
		kernel_rx(x, 0, 100, 0);
	kernel_rx(x, 1, 100, 0);
	for (unsigned i = 0; i < 4; i++)
		got[rx_one(x)->queue]++;
	assert_int_equal(got[1], 1);
	assert_int_equal(got[0], 3);
}

static void write_meta(struct fake_xsk *x, uint64_t addr, uint32_t magic, uint32_t cookie)
{
	struct mr_rx_meta m = { .magic = magic, .cookie = cookie, .l4_off = 34 };

	memcpy(x->umem + addr - sizeof(m), &m, sizeof(m));
}

static void metadata_is_believed_with_magic_and_cookie_only(void **state)
{
	static const struct {
		const char *what;
		uint32_t magic, cookie;
		bool valid;
	} rows[] = {
		{ "both right", MR_RX_META_MAGIC, FAKE_COOKIE, true },
		{ "another load's cookie", MR_RX_META_MAGIC, FAKE_COOKIE + 1, false },
		{ "no magic", 0, FAKE_COOKIE, false },
		{ "nothing there", 0, 0, false },
	};
	struct fake_xsk *x = *state;

	mr_afxdp_rx_init(x->d);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_frame *f;

		write_meta(x, kernel_rx(x, 0, 100, 0), rows[i].magic, rows[i].cookie);
		f = rx_one(x);
		if (!!(f->flags & MR_FRAME_META) != rows[i].valid)
			fail_msg("%s", rows[i].what);
		if (rows[i].valid)
			assert_int_equal(f->meta.l4_off, 34);
	}
}

static void metadata_counts_for_one_packet(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *f;
	uint64_t addr;

	mr_afxdp_rx_init(x->d);
	addr = kernel_rx(x, 0, 100, 0);
	write_meta(x, addr, MR_RX_META_MAGIC, FAKE_COOKIE);
	f = rx_one(x);
	assert_true(f->flags & MR_FRAME_META);
	/* the same chunk comes again, with a packet for which the program wrote nothing */
	f->flags |= MR_FRAME_IN_DEV;
	x->d->s->q[0].fill_out++;
	kernel_rx_at(x, 0, addr, 100, 0);
	assert_ptr_equal(rx_one(x), f);
	assert_false(f->flags & MR_FRAME_META);
}

static void address_that_was_not_out_is_counted_and_left_alone(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *mine;

	mr_afxdp_rx_init(x->d);
	mine = mr_frame_get(&x->frames);
	x->d->s->q[0].fill_out += 2; /* so that the books stay balanced */
	kernel_rx_at(x, 0, (uint64_t)FAKE_FRAMES * FAKE_CHUNK, 100, 0); /* beyond the UMEM */
	kernel_rx_at(x, 0, mr_frame_umem_off(&x->frames, mine), 100, 0);
	kernel_rx(x, 0, 60, 0);
	assert_int_equal(rx_one(x)->len, 60);
	assert_int_equal(x->ctr.c[MR_CTR_DEV_COMPLETION_BAD], 2);
	assert_int_equal(mine->refs, 1);
	assert_int_equal(mine->len, 0);
}

static void used_chunks_are_replaced(void **state)
{
	struct fake_xsk *x = *state;

	mr_afxdp_rx_init(x->d);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < 20; i++)
			kernel_rx(x, round % 2, 100, 0);
		for (unsigned i = 0; i < 20; i++)
			mr_frame_put_chain(&x->frames, rx_one(x));
		mr_afxdp_refill(x->d);
		assert_int_equal(fill_level(x, 0), FAKE_RING);
		assert_int_equal(fill_level(x, 1), FAKE_RING);
		assert_int_equal(x->frames.nfree, FAKE_FRAMES - FAKE_QUEUES * FAKE_RING);
	}
	assert_int_equal(x->ctr.c[MR_CTR_DEV_FILL_EMPTY], 0);
}

/* What the kernel still has in RX counts as out: the ring must not be overfilled behind it. */
static void unread_packets_count_against_the_target(void **state)
{
	struct fake_xsk *x = *state;

	mr_afxdp_rx_init(x->d);
	for (unsigned i = 0; i < 30; i++)
		kernel_rx(x, 0, 100, 0);
	mr_afxdp_refill(x->d);
	assert_int_equal(fill_level(x, 0), FAKE_RING - 30);
}

/* Rounds of a busy engine for a second, one packet in each on queue 0. */
static void calm_second(struct fake_xsk *x, uint64_t *now)
{
	for (unsigned i = 0; i < 20000; i++) {
		struct mr_frame_queue q = { 0 };

		kernel_rx(x, 0, 100, 0);
		*now += 50 * MR_NS_PER_US;
		assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 64, *now), 1);
		mr_frame_put_chain(&x->frames, q.head);
		mr_afxdp_refill(x->d);
	}
}

static void rings_are_shallow_while_little_comes_and_full_before_a_rest(void **state)
{
	enum { LEAST = FAKE_RING / 4 };
	struct fake_xsk *x = *state;
	uint64_t now = MR_NS_PER_S;
	uint32_t unclaimed;

	x->d->s->cfg.fill_least = LEAST;
	mr_afxdp_rx_init(x->d);
	assert_int_equal(fill_level(x, 0), FAKE_RING);
	unclaimed = mr_frame_pool_unclaimed(&x->frames);
	calm_second(x, &now);
	assert_int_equal(fill_level(x, 0), LEAST);
	assert_int_equal(fill_level(x, 1), FAKE_RING); /* what lies there is only used up */
	assert_int_equal(x->frames.nready, LEAST + FAKE_RING);
	/* What the rings lack is free, but for nobody else to take. */
	assert_int_equal(mr_frame_pool_unclaimed(&x->frames), unclaimed);
	assert_int_equal(x->frames.nfree, unclaimed + FAKE_RING - LEAST);
	mr_afxdp_rest(&x->d->dev);
	assert_int_equal(fill_level(x, 0), FAKE_RING);
	assert_int_equal(mr_frame_pool_unclaimed(&x->frames), unclaimed);
	assert_int_equal(x->ctr.c[MR_CTR_DEV_FILL_EMPTY], 0);
}

static void shallow_rings_grow_in_the_round_that_finds_more(void **state)
{
	enum { LEAST = FAKE_RING / 4 };
	struct fake_xsk *x = *state;
	struct mr_frame_queue q = { 0 };
	uint64_t now = MR_NS_PER_S;

	x->d->s->cfg.fill_least = LEAST;
	mr_afxdp_rx_init(x->d);
	calm_second(x, &now);
	for (unsigned i = 0; i < 8; i++)
		kernel_rx(x, 0, 100, 0);
	assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 1, now + 1), 1); /* the budget hides nothing */
	mr_afxdp_refill(x->d);
	assert_int_equal(fill_level(x, 0), FAKE_RING - 7);

	assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 64, now + 2), 7);
	calm_second(x, &now);
	assert_int_equal(fill_level(x, 0), LEAST);
	kernel_rx(x, 0, 1500, XDP_PKT_CONTD);
	assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 64, now + 1), 0);
	mr_afxdp_refill(x->d);
	assert_int_equal(fill_level(x, 0), FAKE_RING);

	kernel_rx(x, 0, 100, 0);
	assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 64, now + 2), 1);
	calm_second(x, &now);
	assert_int_equal(fill_level(x, 0), LEAST);
	x->d->dev.peers = FAKE_RING;
	assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 64, now + 1), 0);
	mr_afxdp_refill(x->d);
	assert_int_equal(fill_level(x, 0), FAKE_RING);
}

static void shares_are_equal_when_frames_are_few(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *f;
	unsigned n;

	/* as a UMEM of 64 frames would be: 48 for receiving, 24 for each queue */
	x->frames.nframes = 64;
	for (n = 0; n < FAKE_FRAMES - 64; n++) {
		f = mr_frame_get(&x->frames);
		assert_non_null(f);
	}
	mr_afxdp_rx_init(x->d);
	assert_int_equal(fill_level(x, 0), 24);
	assert_int_equal(fill_level(x, 1), 24);
	assert_int_equal(x->frames.nfree, 16);
}

static void last_frames_go_to_receiving_rather_than_nowhere(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *f = NULL, *last = NULL;

	mr_afxdp_rx_init(x->d);
	while ((f = mr_frame_get(&x->frames)))
		last = f;
	for (unsigned i = 0; i < FAKE_RING; i++)
		kernel_rx(x, 0, 100, 0);
	for (unsigned i = 0; i < FAKE_RING; i++)
		rx_one(x); /* and kept by the application */
	mr_afxdp_refill(x->d);
	assert_int_equal(fill_level(x, 0), 0);
	assert_int_equal(x->ctr.c[MR_CTR_DEV_FILL_EMPTY], 1);
	mr_frame_put(&x->frames, last);
	mr_afxdp_refill(x->d);
	assert_int_equal(fill_level(x, 0), 1);
}

#define RX_TEST(f) cmocka_unit_test_setup_teardown(f, fake_open, fake_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RX_TEST(fill_rings_are_full_from_the_start_with_different_chunks),
		RX_TEST(descriptor_becomes_a_frame_in_place),
		RX_TEST(chain_may_come_in_pieces),
		RX_TEST(budget_counts_packets_not_chunks),
		RX_TEST(busy_queue_does_not_starve_the_other),
		RX_TEST(metadata_is_believed_with_magic_and_cookie_only),
		RX_TEST(metadata_counts_for_one_packet),
		RX_TEST(address_that_was_not_out_is_counted_and_left_alone),
		RX_TEST(used_chunks_are_replaced),
		RX_TEST(unread_packets_count_against_the_target),
		RX_TEST(rings_are_shallow_while_little_comes_and_full_before_a_rest),
		RX_TEST(shallow_rings_grow_in_the_round_that_finds_more),
		RX_TEST(shares_are_equal_when_frames_are_few),
		RX_TEST(last_frames_go_to_receiving_rather_than_nowhere),
	};

	return cmocka_run_group_tests_name("afxdp_rx", tests, NULL, NULL);
}
