// SPDX-License-Identifier: BSD-2-Clause
/* test_fill_depth.c - how many chunks lie ready, against a hand-made clock. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/compiler.h"
#include "base/time.h"
#include "dev/fill_depth.h"

#define LEAST 256u
#define MOST  2048u
#define T0    (5 * MR_NS_PER_S)
#define LOOK  (10 * MR_NS_PER_US) /* between two looks of a busy engine */
#define FALL  (100 * MR_NS_PER_MS)

/* With short packets. */
static void look(struct mr_fill_depth *d, uint32_t waiting, uint32_t peers, uint64_t now)
{
	const struct mr_fill_seen seen = { .waiting = waiting, .longest = 1100, .peers = peers };

	mr_fill_depth_look(d, &seen, now);
}

/* Looks in a row for so long, one chunk in each; returns the time of the last. */
static uint64_t look_for(struct mr_fill_depth *d, uint64_t now, uint64_t ns, uint64_t between)
{
	for (uint64_t end = now + ns; now < end;) {
		now += between;
		look(d, 1, 1, now);
	}
	return now;
}

/* After so long that it is at its least. */
static uint64_t calm(struct mr_fill_depth *d)
{
	uint64_t now;

	mr_fill_depth_init(d, LEAST, MOST);
	now = look_for(d, T0, MR_NS_PER_S, LOOK);
	assert_int_equal(d->now, LEAST);
	return now;
}

static void without_a_least_it_is_always_the_most(void **state)
{
	static const uint32_t leasts[] = { 0, MOST, MOST + 1, UINT32_MAX };
	struct mr_fill_depth d;

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(leasts); i++) {
		mr_fill_depth_init(&d, leasts[i], MOST);
		assert_int_equal(d.now, MOST);
		look_for(&d, T0, MR_NS_PER_S, LOOK);
		assert_int_equal(d.now, MOST);
		mr_fill_depth_rest(&d);
		assert_int_equal(d.now, MOST);
	}
}

static void begins_with_the_most_and_falls_by_half_after_a_while(void **state)
{
	static const uint32_t steps[] = { MOST, MOST / 2, MOST / 4, MOST / 8, MOST / 8 };
	struct mr_fill_depth d;
	uint64_t now = T0;

	(void)state;
	mr_fill_depth_init(&d, LEAST, MOST);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(steps); i++) {
		assert_int_equal(d.now, steps[i]);
		now = look_for(&d, now, FALL - 10 * LOOK, LOOK);
		assert_int_equal(d.now, steps[i]);
		now = look_for(&d, now, 12 * LOOK, LOOK);
	}
}

/* What was found in one look finds room eight times, and what each connection may send after idleness. */
static void grows_at_once_with_packets_and_with_connections(void **state)
{
	static const struct {
		uint32_t waiting, peers, depth;
	} rows[] = {
		{ 0, 0, LEAST },      { 1, 1, LEAST },	       { 32, 25, LEAST },
		{ 33, 1, 264 },	      { 64, 1, 512 },	       { 100, 64, 800 },
		{ 256, 1, MOST },     { UINT32_MAX, 1, MOST }, { 1, 26, 260 },
		{ 1, 64, 640 },	      { 64, 100, 1000 },       { 1, 205, MOST },
		{ 1, 1000000, MOST }, { 1, UINT32_MAX, MOST },
	};
	struct mr_fill_depth d;

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		uint64_t now = calm(&d);

		look(&d, rows[i].waiting, rows[i].peers, now + LOOK);
		assert_int_equal(d.now, rows[i].depth);
	}
}

/* Who sends full segments may send many of them, until he has been idle for 200 ms. */
static void is_full_from_the_first_full_segment_on_and_for_200_ms_after_the_last(void **state)
{
	struct mr_fill_depth d;
	uint64_t now = calm(&d);

	(void)state;
	mr_fill_depth_look(&d, &(struct mr_fill_seen){ 1, 1279, 1 }, now + LOOK);
	assert_int_equal(d.now, LEAST);
	mr_fill_depth_look(&d, &(struct mr_fill_seen){ 1, 1280, 1 }, now + 2 * LOOK);
	assert_int_equal(d.now, MOST);
	now = look_for(&d, now + 2 * LOOK, FALL - 2 * LOOK, LOOK);
	assert_int_equal(d.now, MOST);
	now = look_for(&d, now, FALL, LOOK);
	assert_int_equal(d.now, MOST / 2);
	look_for(&d, now, 2 * FALL, LOOK);
	assert_int_equal(d.now, LEAST);
}

/* Senders that double what they send from look to look. */
static void slow_start_never_finds_it_too_shallow(void **state)
{
	struct mr_fill_depth d;
	uint64_t now = calm(&d);

	(void)state;
	for (uint32_t burst = 10; burst <= MOST; burst *= 2) {
		assert_true(burst <= d.now);
		now += LOOK;
		look(&d, burst, 1, now);
	}
}

/* An application that computes between its calls, or one that shares the processor. */
static void is_the_most_while_looks_are_late(void **state)
{
	static const uint64_t gaps[] = { MR_NS_PER_MS / 2, MR_NS_PER_MS, 5 * MR_NS_PER_MS,
					 MR_NS_PER_S };
	struct mr_fill_depth d;

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(gaps); i++) {
		uint64_t now = calm(&d);

		now = look_for(&d, now, 30 * MR_NS_PER_MS, gaps[i]);
		assert_int_equal(d.now, MOST);
		now = look_for(&d, now, 2 * MR_NS_PER_S, gaps[i]);
		assert_int_equal(d.now, MOST);
		look_for(&d, now, MR_NS_PER_S, LOOK);
		assert_int_equal(d.now, LEAST);
	}
}

/* Now and then something holds up every program. */
static void a_single_look_that_is_late_changes_nothing(void **state)
{
	struct mr_fill_depth d;
	uint64_t now = calm(&d);

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		now += 4 * MR_NS_PER_MS;
		look(&d, 1, 1, now);
		now = look_for(&d, now, 50 * MR_NS_PER_MS, LOOK);
		assert_int_equal(d.now, LEAST);
	}
}

static void does_not_fall_while_as_much_is_needed_now_and_then(void **state)
{
	struct mr_fill_depth d;
	uint64_t now = calm(&d);

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		now += LOOK;
		look(&d, 100, 1, now);
		assert_int_equal(d.now, 800);
		now = look_for(&d, now, FALL / 2, LOOK);
		assert_int_equal(d.now, 800);
	}
}

static void falls_to_what_was_needed_meanwhile(void **state)
{
	struct mr_fill_depth d;
	uint64_t now = calm(&d);

	(void)state;
	look(&d, MOST, 1, now + LOOK);
	assert_int_equal(d.now, MOST);
	for (unsigned i = 0; i < 50; i++) {
		now = look_for(&d, now + LOOK, FALL / 2, LOOK);
		look(&d, 90, 1, now + LOOK);
	}
	assert_int_equal(d.now, 720);
}

/* Who sleeps time and again has it so each time, and however long he sleeps he is not late. */
static void is_the_most_while_nobody_looks(void **state)
{
	struct mr_fill_depth d;
	uint64_t now = calm(&d);

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		mr_fill_depth_rest(&d);
		assert_int_equal(d.now, MOST);
		now = look_for(&d, now + MR_NS_PER_S, FALL / 2, LOOK);
		assert_int_equal(d.now, MOST);
	}
	now = look_for(&d, now, FALL / 2 + LOOK, LOOK);
	assert_int_equal(d.now, MOST / 2);
	look_for(&d, now, 2 * FALL + LOOK, LOOK);
	assert_int_equal(d.now, LEAST);
}

/* Nothing foretells them: there was one connection, and the engine is held up for once. */
static void a_thousand_connections_that_begin_at_once_find_room(void **state)
{
	struct mr_fill_depth d;

	(void)state;
	mr_fill_depth_init(&d, MR_FILL_LEAST, MOST);
	look_for(&d, T0, MR_NS_PER_S, LOOK);
	assert_in_range(d.now, 1000, MOST / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_least_it_is_always_the_most),
		cmocka_unit_test(begins_with_the_most_and_falls_by_half_after_a_while),
		cmocka_unit_test(grows_at_once_with_packets_and_with_connections),
		cmocka_unit_test(
			is_full_from_the_first_full_segment_on_and_for_200_ms_after_the_last),
		cmocka_unit_test(slow_start_never_finds_it_too_shallow),
		cmocka_unit_test(is_the_most_while_looks_are_late),
		cmocka_unit_test(a_single_look_that_is_late_changes_nothing),
		cmocka_unit_test(does_not_fall_while_as_much_is_needed_now_and_then),
		cmocka_unit_test(falls_to_what_was_needed_meanwhile),
		cmocka_unit_test(is_the_most_while_nobody_looks),
		cmocka_unit_test(a_thousand_connections_that_begin_at_once_find_room),
	};

	return cmocka_run_group_tests_name("fill_depth", tests, NULL, NULL);
}
