// SPDX-License-Identifier: BSD-2-Clause
/* test_afxdp_salvage.c - what the kernel holds after a process died between two steps of the device. */
#include "fake_xsk.h"

/* What the next process does first. Returns the frames that the device holds. */
static uint32_t salvage(struct fake_xsk *x)
{
	for (unsigned q = 0; q < FAKE_QUEUES; q++)
		for (unsigned k = 0; k < MR_XSK_RINGS; k++)
			mr_xsk_ring_adopt(&x->d->q[q].xsk.ring[k]);
	mr_afxdp_salvage(&x->d->dev);
	mr_frame_pool_salvage_begin(&x->frames);
	mr_frame_pool_salvage_end(&x->frames);
	return x->frames.nframes - x->frames.nfree;
}

static struct mr_frame *packet_to_send(struct fake_xsk *x)
{
	struct mr_frame *f = mr_frame_get(&x->frames);

	f->len = f->pkt_len = 60;
	f->tx_refs = 1;
	return f;
}

static void what_lies_in_fill_stays_the_kernels(void **state)
{
	struct fake_xsk *x = *state;

	mr_afxdp_rx_init(x->d);
	assert_int_equal(salvage(x), FAKE_QUEUES * FAKE_RING);
	for (unsigned q = 0; q < FAKE_QUEUES; q++)
		assert_int_equal(x->d->s->q[q].fill_out, FAKE_RING);
}

/* Ten entries were to be published; four were written when the end came. */
static void fill_entries_that_were_not_published_are_ours(void **state)
{
	struct fake_xsk *x = *state;
	struct fake_ring *r = &x->ring[0][MR_XSK_FILL];
	const uint64_t *entries = (const uint64_t *)(const void *)r->entries;

	mr_afxdp_rx_init(x->d);
	r->producer -= 10;
	x->d->s->filling =
		(struct mr_afxdp_unpublished){ .n = 10, .first = r->producer, .done = 4 };
	for (uint32_t i = 4; i < 10; i++)
		mr_frame_at(&x->frames, entries[(r->producer + i) % FAKE_RING])->flags = 0;
	assert_int_equal(salvage(x), FAKE_QUEUES * FAKE_RING - 10);
	assert_int_equal(x->d->s->q[0].fill_out, FAKE_RING - 10);
	mr_afxdp_refill(x->d);
	assert_int_equal(r->producer - r->consumer, FAKE_RING);
}

static void fill_entries_that_were_published_are_the_kernels(void **state)
{
	struct fake_xsk *x = *state;
	uint32_t before = x->ring[1][MR_XSK_FILL].producer;

	mr_afxdp_rx_init(x->d);
	x->d->s->filling = (struct mr_afxdp_unpublished){
		.n = FAKE_RING, .queue = 1, .first = before, .done = FAKE_RING
	};
	assert_int_equal(salvage(x), FAKE_QUEUES * FAKE_RING);
}

static void a_packet_is_the_kernels_once_it_is_published(void **state)
{
	struct fake_xsk *x = *state;
	uint32_t *producer = &x->ring[0][MR_XSK_TX].producer;

	for (int published = 0; published <= 1; published++) {
		struct mr_frame *f = packet_to_send(x);

		f->flags |= MR_FRAME_IN_DEV;
		x->d->s->sending =
			(struct mr_afxdp_unpublished){ .n = 1, .first = *producer, .tx = f };
		*producer += (uint32_t)published;
		assert_int_equal(salvage(x), published);
		assert_int_equal(f->tx_refs, published);
	}
}

/* The frame of the first was taken already, and freed; nothing is received of either. */
static void what_was_received_is_lost_and_received_only_once(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame_queue q = { 0 };
	uint64_t first;

	mr_afxdp_rx_init(x->d);
	first = kernel_rx(x, 0, 100, 0);
	kernel_rx(x, 0, 200, 0);
	mr_frame_at(&x->frames, first)->flags = 0;
	assert_int_equal(salvage(x), FAKE_QUEUES * FAKE_RING - 2);
	assert_int_equal(x->d->s->q[0].fill_out, FAKE_RING - 2);
	assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 64, 0), 0);
}

static void completions_count_only_once(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *f[2];

	for (int i = 0; i < 2; i++) {
		f[i] = packet_to_send(x);
		assert_int_equal(mr_afxdp_tx(&x->d->dev, f[i], 0), 0);
		kernel_complete(x, 0, mr_frame_umem_off(&x->frames, f[i]));
	}
	x->ring[0][MR_XSK_TX].consumer = x->ring[0][MR_XSK_TX].producer;
	/* The first was looked at, its frame put, taken again and sent. */
	f[0]->flags &= (uint8_t)~MR_FRAME_IN_DEV;
	assert_int_equal(salvage(x), 0);
	assert_int_equal(mr_afxdp_complete(x->d, &x->d->q[0]), 0);
}

static void half_a_packet_is_forgotten(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame_queue q = { 0 };

	mr_afxdp_rx_init(x->d);
	kernel_rx(x, 0, 1500, XDP_PKT_CONTD);
	assert_int_equal(mr_afxdp_rx(&x->d->dev, &q, 64, 0), 0);
	assert_non_null(x->d->s->q[0].part);
	assert_int_equal(salvage(x), FAKE_QUEUES * FAKE_RING - 1);
	assert_null(x->d->s->q[0].part);
}

#define SALVAGE_TEST(f) cmocka_unit_test_setup_teardown(f, fake_open, fake_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SALVAGE_TEST(what_lies_in_fill_stays_the_kernels),
		SALVAGE_TEST(fill_entries_that_were_not_published_are_ours),
		SALVAGE_TEST(fill_entries_that_were_published_are_the_kernels),
		SALVAGE_TEST(a_packet_is_the_kernels_once_it_is_published),
		SALVAGE_TEST(what_was_received_is_lost_and_received_only_once),
		SALVAGE_TEST(completions_count_only_once),
		SALVAGE_TEST(half_a_packet_is_forgotten),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
