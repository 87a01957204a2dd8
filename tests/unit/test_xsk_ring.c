// SPDX-License-Identifier: BSD-2-Clause
/* test_xsk_ring.c - ring arithmetic on plain memory; the test plays the kernel's half. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/compiler.h"
#include "dev/xsk_ring.h"

#define SIZE 8u

struct ring_mem {
	uint32_t producer, consumer, flags;
	struct xdp_desc entries[SIZE];
	struct mr_xsk_ring r;
};

/* A ring whose indices both stand at `start`, as after that many entries. */
static void ring_at(struct ring_mem *m, uint32_t start)
{
	*m = (struct ring_mem){ .producer = start, .consumer = start };
	m->r = (struct mr_xsk_ring){
		.producer = &m->producer,
		.consumer = &m->consumer,
		.flags = &m->flags,
		.entries = m->entries,
		.size = SIZE,
		.cached_prod = start,
		.cached_cons = start,
	};
}

/* The interesting places: the start, and where the free-running index wraps. */
static const uint32_t STARTS[] = { 0, 5, UINT32_MAX - 3, UINT32_MAX, 0x7ffffffe };

static void reserve_is_all_or_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(STARTS); i++) {
		struct ring_mem m;
		uint32_t idx = 99;

		ring_at(&m, STARTS[i]);
		assert_false(mr_xsk_ring_reserve(&m.r, SIZE + 1, &idx));
		assert_int_equal(idx, 99);
		assert_true(mr_xsk_ring_reserve(&m.r, 5, &idx));
		assert_int_equal(idx, STARTS[i]);
		assert_false(mr_xsk_ring_reserve(&m.r, 4, &idx));
		assert_true(mr_xsk_ring_reserve(&m.r, 3, &idx));
		assert_int_equal(idx, STARTS[i] + 5);
		assert_false(mr_xsk_ring_reserve(&m.r, 1, &idx));
	}
}

static void nothing_is_published_before_submit(void **state)
{
	struct ring_mem m;
	uint32_t idx;

	(void)state;
	ring_at(&m, UINT32_MAX - 1);
	assert_true(mr_xsk_ring_reserve(&m.r, 3, &idx));
	assert_int_equal(m.producer, UINT32_MAX - 1);
	assert_int_equal(mr_xsk_ring_untaken(&m.r), 0);
	mr_xsk_ring_submit(&m.r);
	assert_int_equal(m.producer, 1);
	assert_int_equal(mr_xsk_ring_untaken(&m.r), 3);
	m.consumer += 2;
	assert_int_equal(mr_xsk_ring_untaken(&m.r), 1);
}

static void room_comes_back_as_the_kernel_consumes(void **state)
{
	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(STARTS); i++) {
		struct ring_mem m;
		uint32_t idx;

		ring_at(&m, STARTS[i]);
		assert_true(mr_xsk_ring_reserve(&m.r, SIZE, &idx));
		mr_xsk_ring_submit(&m.r);
		assert_int_equal(mr_xsk_ring_room(&m.r, 1), 0);
		m.consumer += 3;
		assert_int_equal(mr_xsk_ring_room(&m.r, 1), 3);
		assert_true(mr_xsk_ring_reserve(&m.r, 3, &idx));
		assert_int_equal(idx, STARTS[i] + SIZE);
		assert_false(mr_xsk_ring_reserve(&m.r, 1, &idx));
	}
}

static void entries_wrap_around_the_array(void **state)
{
	struct ring_mem m;

	(void)state;
	ring_at(&m, 0);
	assert_ptr_equal(mr_xsk_ring_desc(&m.r, 0), &m.entries[0]);
	assert_ptr_equal(mr_xsk_ring_desc(&m.r, SIZE), &m.entries[0]);
	assert_ptr_equal(mr_xsk_ring_desc(&m.r, UINT32_MAX), &m.entries[SIZE - 1]);
	assert_ptr_equal(mr_xsk_ring_addr(&m.r, SIZE + 2), (uint64_t *)(void *)m.entries + 2);
}

static void peek_shows_and_release_gives_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(STARTS); i++) {
		struct ring_mem m;
		uint32_t idx;

		ring_at(&m, STARTS[i]);
		assert_int_equal(mr_xsk_ring_peek(&m.r, SIZE, &idx), 0);
		assert_false(mr_xsk_ring_has_entries(&m.r));
		m.producer += 5;
		assert_true(mr_xsk_ring_has_entries(&m.r));
		assert_int_equal(mr_xsk_ring_peek(&m.r, 3, &idx), 3);
		assert_int_equal(idx, STARTS[i]);
		assert_int_equal(m.consumer, STARTS[i]); /* looking takes nothing */
		mr_xsk_ring_release(&m.r, 2);
		assert_int_equal(m.consumer, STARTS[i] + 2);
		m.producer += 1; /* seen by the next look */
		assert_int_equal(mr_xsk_ring_peek(&m.r, SIZE, &idx), 4);
		assert_int_equal(idx, STARTS[i] + 2);
		mr_xsk_ring_release(&m.r, 4);
		assert_int_equal(m.consumer, m.producer);
		assert_false(mr_xsk_ring_has_entries(&m.r));
	}
}

static void wakeup_flag_is_the_kernels(void **state)
{
	struct ring_mem m;

	(void)state;
	ring_at(&m, 0);
	assert_false(mr_xsk_ring_needs_wakeup(&m.r));
	m.flags = XDP_RING_NEED_WAKEUP;
	assert_true(mr_xsk_ring_needs_wakeup(&m.r));
	m.flags = ~(uint32_t)XDP_RING_NEED_WAKEUP;
	assert_false(mr_xsk_ring_needs_wakeup(&m.r));
}

/* One ring seen from both ends: what goes in comes out, in order, over the wrap of the index. */
static void values_pass_in_order_through_many_wraps(void **state)
{
	struct ring_mem m;
	struct mr_xsk_ring *prod = &m.r, cons;
	uint64_t next_in = 0, next_out = 0;
	uint32_t idx, n;

	(void)state;
	ring_at(&m, UINT32_MAX - 1000);
	cons = m.r;
	for (unsigned step = 0; step < 3000; step++) {
		uint32_t want = step % 5 + 1;

		if (mr_xsk_ring_reserve(prod, want, &idx)) {
			for (uint32_t i = 0; i < want; i++)
				*mr_xsk_ring_addr(prod, idx + i) = next_in++;
			mr_xsk_ring_submit(prod);
		}
		n = mr_xsk_ring_peek(&cons, step % 4, &idx);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(*mr_xsk_ring_addr(&cons, idx + i), next_out++);
		mr_xsk_ring_release(&cons, n);
		assert_true(next_in - next_out <= SIZE);
	}
	assert_true(next_out > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserve_is_all_or_nothing),
		cmocka_unit_test(nothing_is_published_before_submit),
		cmocka_unit_test(room_comes_back_as_the_kernel_consumes),
		cmocka_unit_test(entries_wrap_around_the_array),
		cmocka_unit_test(peek_shows_and_release_gives_back),
		cmocka_unit_test(wakeup_flag_is_the_kernels),
		cmocka_unit_test(values_pass_in_order_through_many_wraps),
	};

	return cmocka_run_group_tests_name("xsk_ring", tests, NULL, NULL);
}
