// SPDX-License-Identifier: BSD-2-Clause
/* test_timer.c - the timer wheel: never early, never late by a tick, right at the levels' borders. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/compiler.h"
#include "base/rng.h"
#include "base/time.h"
#include "base/timer.h"

static struct mr_wheel wheel;

static void arm_at(struct mr_timer *t, uint64_t expires)
{
	mr_timer_init(t, MR_TIMER_TCB);
	mr_timer_arm(&wheel, t, expires);
}

/* Sleep from deadline to deadline as the engine does; the time at which t came out. */
static uint64_t run_until_popped(const struct mr_timer *t)
{
	for (unsigned wakeups = 0; wakeups < 16; wakeups++) {
		uint64_t now = mr_wheel_next(&wheel);
		struct mr_timer *got;

		assert_true(now != MR_TIME_NEVER);
		got = mr_wheel_pop(&wheel, now);
		if (got) {
			assert_ptr_equal(got, t);
			return now;
		}
	}
	fail_msg("16 wake-ups and no expiry");
	return 0;
}

static void expiry_is_exact_to_the_tick_at_every_border(void **state)
{
	/* Where the wheel stands, in ticks: fresh, just before and at borders of levels, and just
	 * before the whole wheel has turned once. */
	static const uint64_t starts[] = { 0,
					   1,
					   62,
					   63,
					   64,
					   65,
					   4095,
					   4096,
					   262143,
					   16777215,
					   (1ull << 30) - 1,
					   (1ull << 36) - 1,
					   (1ull << 36) - 64,
					   1ull << 36,
					   (1ull << 37) + 12345 };
	static const uint64_t delays[] = { 1,	       2,	 63,	     64,
					   65,	       127,	 128,	     4032,
					   4095,       4096,	 4097,	     262144,
					   262145,     16777216, 1ull << 30, (1ull << 30) + 1,
					   62ull << 30 };

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(starts); i++) {
		for (size_t j = 0; j < MR_ARRAY_SIZE(delays); j++) {
			for (unsigned ns = 0; ns <= 2; ns++) {
				uint64_t now = starts[i] * MR_TICK_NS;
				uint64_t expires = now + delays[j] * MR_TICK_NS - 1 + ns;
				struct mr_timer t;
				uint64_t at;

				mr_wheel_init(&wheel, now);
				arm_at(&t, expires);
				at = run_until_popped(&t);
				assert_true(at >= expires);
				assert_true(at < expires + MR_TICK_NS);
				assert_false(mr_timer_armed(&t));
				assert_int_equal(wheel.armed, 0);
				assert_true(mr_wheel_next(&wheel) == MR_TIME_NEVER);
			}
		}
	}
}

static void a_deadline_beyond_the_reach_is_kept_and_never_early(void **state)
{
	uint64_t day = 86400 * MR_NS_PER_S, now = 51 * day;
	struct mr_timer t, never;

	(void)state;
	mr_wheel_init(&wheel, now);
	arm_at(&never, MR_TIME_NEVER);
	arm_at(&t, now + 200 * day);
	assert_ptr_equal(mr_wheel_pop(&wheel, now + 100 * day), NULL);
	assert_ptr_equal(mr_wheel_pop(&wheel, now + 200 * day - MR_TICK_NS), NULL);
	assert_ptr_equal(mr_wheel_pop(&wheel, now + 200 * day + MR_TICK_NS), &t);
	assert_ptr_equal(mr_wheel_pop(&wheel, now + 4000 * day), NULL);
	assert_true(mr_timer_armed(&never));
}

static void the_past_expires_at_the_next_pop(void **state)
{
	uint64_t now = 5 * MR_NS_PER_S;
	struct mr_timer a, b;

	(void)state;
	mr_wheel_init(&wheel, now);
	assert_ptr_equal(mr_wheel_pop(&wheel, now), NULL);
	arm_at(&a, 0);
	arm_at(&b, now - MR_NS_PER_S);
	assert_true(mr_wheel_next(&wheel) <= now);
	assert_ptr_equal(mr_wheel_pop(&wheel, now), &a);
	assert_ptr_equal(mr_wheel_pop(&wheel, now), &b);
	assert_ptr_equal(mr_wheel_pop(&wheel, now), NULL);
}

static void within_one_tick_the_order_is_that_of_arming(void **state)
{
	uint64_t expires = 70 * 64 * MR_TICK_NS;
	struct mr_timer t[3];

	(void)state;
	mr_wheel_init(&wheel, 0);
	arm_at(&t[0], expires - 5);
	assert_ptr_equal(mr_wheel_pop(&wheel, expires / 2), NULL); /* t[0] may have moved inwards */
	arm_at(&t[1], expires - 9);
	assert_ptr_equal(mr_wheel_pop(&wheel, expires - 3 * MR_TICK_NS), NULL);
	arm_at(&t[2], expires - 7);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(mr_wheel_pop(&wheel, expires), &t[i]);
}

static void cancel_and_move_leave_nothing_behind(void **state)
{
	struct mr_timer a, b;

	(void)state;
	mr_wheel_init(&wheel, 0);
	arm_at(&a, 10 * MR_NS_PER_S);
	arm_at(&b, 10 * MR_NS_PER_S);
	mr_timer_arm(&wheel, &a, 20 * MR_NS_PER_S);
	mr_timer_cancel(&wheel, &b);
	mr_timer_cancel(&wheel, &b);
	assert_int_equal(wheel.armed, 1);
	assert_ptr_equal(mr_wheel_pop(&wheel, 15 * MR_NS_PER_S), NULL);
	assert_ptr_equal(mr_wheel_pop(&wheel, 21 * MR_NS_PER_S), &a);
	assert_true(mr_wheel_next(&wheel) == MR_TIME_NEVER);

	/* On the due list, not popped yet. */
	arm_at(&a, 22 * MR_NS_PER_S);
	arm_at(&b, 22 * MR_NS_PER_S);
	assert_ptr_equal(mr_wheel_pop(&wheel, 23 * MR_NS_PER_S), &a);
	mr_timer_cancel(&wheel, &b);
	assert_int_equal(wheel.armed, 0);
	assert_ptr_equal(mr_wheel_pop(&wheel, 24 * MR_NS_PER_S), NULL);
}

/* Many timers, random moves, cancels and steps of the clock, against a plain array. */
static void a_thousand_timers_agree_with_a_plain_search(void **state)
{
	enum { N = 1000, STEPS = 3000 };
	static struct mr_timer t[N];
	uint64_t now = ((1ull << 36) - 5000) * MR_TICK_NS; /* the wheel turns over on the way */
	struct mr_rng rng;

	(void)state;
	mr_rng_init(&rng, 42);
	mr_wheel_init(&wheel, now);
	for (int i = 0; i < N; i++)
		mr_timer_init(&t[i], MR_TIMER_TCB);
	for (int step = 0; step < STEPS; step++) {
		uint64_t earliest = MR_TIME_NEVER;
		struct mr_timer *got;
		uint64_t last = 0;

		for (int k = 0; k < 8; k++) {
			struct mr_timer *x = &t[mr_rng_below(&rng, N)];
			unsigned bits = mr_rng_below(&rng, 40);

			if (mr_rng_below(&rng, 4) == 0)
				mr_timer_cancel(&wheel, x);
			else
				mr_timer_arm(&wheel, x,
					     now + (mr_rng_u64(&rng) & ((1ull << bits) - 1)));
		}
		for (int i = 0; i < N; i++)
			if (mr_timer_armed(&t[i]))
				earliest = mr_min(earliest, t[i].expires);
		if (earliest == MR_TIME_NEVER)
			assert_true(mr_wheel_next(&wheel) == MR_TIME_NEVER);
		else
			assert_true(mr_wheel_next(&wheel) < earliest + MR_TICK_NS);

		now += mr_rng_u64(&rng) & ((1ull << mr_rng_below(&rng, 36)) - 1);
		while ((got = mr_wheel_pop(&wheel, now))) {
			uint64_t tick = (got->expires + MR_TICK_NS - 1) >> MR_TICK_SHIFT;

			assert_true(got->expires <= now);
			assert_true(tick >= last);
			last = tick;
		}
		for (int i = 0; i < N; i++)
			if (mr_timer_armed(&t[i]))
				assert_true(t[i].expires + MR_TICK_NS > now);
		assert_true(mr_wheel_next(&wheel) > now);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expiry_is_exact_to_the_tick_at_every_border),
		cmocka_unit_test(a_deadline_beyond_the_reach_is_kept_and_never_early),
		cmocka_unit_test(the_past_expires_at_the_next_pop),
		cmocka_unit_test(within_one_tick_the_order_is_that_of_arming),
		cmocka_unit_test(cancel_and_move_leave_nothing_behind),
		cmocka_unit_test(a_thousand_timers_agree_with_a_plain_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
