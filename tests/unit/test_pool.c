// SPDX-License-Identifier: BSD-2-Clause
/* test_pool.c - arena and pool. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "base/arena.h"
#include "base/pool.h"

static void the_arena_aligns_zeroes_and_ends(void **state)
{
	struct mr_arena arena;
	uint8_t *a, *b;

	(void)state;
	assert_int_equal(mr_arena_open(&arena, "test", 5000), 0);
	assert_int_equal(arena.size % 4096, 0);
	assert_true(arena.size >= 5000);
	a = mr_arena_alloc(&arena, 3, 1);
	b = mr_arena_alloc(&arena, 100, 64);
	assert_non_null(a);
	assert_int_equal((uintptr_t)b % 64, 0);
	assert_true(b >= a + 3);
	for (int i = 0; i < 100; i++)
		assert_int_equal(b[i], 0);
	assert_null(mr_arena_alloc(&arena, arena.size, 1));
	assert_null(mr_arena_alloc(&arena, SIZE_MAX, 1));
	assert_non_null(mr_arena_alloc(&arena, arena.size - arena.used, 1));
	assert_null(mr_arena_alloc(&arena, 1, 1));
	mr_arena_close(&arena);
	assert_int_equal(arena.fd, -1);
	mr_arena_close(&arena);
	assert_int_equal(mr_arena_open(&arena, "test", 0), -EINVAL);
	assert_int_equal(arena.fd, -1);
}

static void a_pool_gives_up_to_its_limit_and_reuses(void **state)
{
	struct mr_arena arena;
	struct mr_pool pool;
	uint8_t *obj[4];

	(void)state;
	assert_int_equal(mr_arena_open(&arena, "test", 8192), 0);
	assert_int_equal(mr_pool_init(&pool, &arena, 70, 4), 0);
	assert_int_equal(pool.size, 72); /* whole cache lines would be nearly twice as much */
	assert_int_equal(mr_pool_init(&pool, &arena, 126, 4), 0);
	assert_int_equal(pool.size, 128);
	for (uint32_t i = 0; i < 4; i++) {
		obj[i] = mr_pool_get(&pool);
		assert_non_null(obj[i]);
		assert_int_equal((uintptr_t)obj[i] % 64, 0);
		assert_int_equal(mr_pool_index(&pool, obj[i]), i);
		memset(obj[i], 0xaa, 126);
	}
	assert_null(mr_pool_get(&pool));
	mr_pool_put(&pool, obj[1]);
	mr_pool_put(&pool, obj[2]);
	assert_int_equal(pool.used, 2);
	assert_ptr_equal(mr_pool_get(&pool), obj[2]);
	for (int i = 0; i < 120; i++)
		assert_int_equal(obj[2][i], 0);
	assert_ptr_equal(mr_pool_get(&pool), obj[1]);
	assert_null(mr_pool_get(&pool));
	mr_arena_close(&arena);
}

static void a_pool_that_does_not_fit_says_so(void **state)
{
	struct mr_arena arena;
	struct mr_pool pool;

	(void)state;
	assert_int_equal(mr_arena_open(&arena, "test", 4096), 0);
	assert_int_equal(mr_pool_init(&pool, &arena, 64, 65), -ENOMEM);
	assert_int_equal(mr_pool_init(&pool, &arena, SIZE_MAX / 2, 3), -ENOMEM);
	assert_int_equal(mr_pool_init(&pool, &arena, 8, 1), 0);
	mr_arena_close(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_arena_aligns_zeroes_and_ends),
		cmocka_unit_test(a_pool_gives_up_to_its_limit_and_reuses),
		cmocka_unit_test(a_pool_that_does_not_fit_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
