// SPDX-License-Identifier: BSD-2-Clause
/* test_umem.c - the packet memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/mman.h>
#include <cmocka.h>
#include "base/compiler.h"
#include "dev/umem.h"

static unsigned long free_huge_pages(void)
{
	FILE *fp = fopen("/proc/meminfo", "r");
	unsigned long n = 0;
	const char *key = "HugePages_Free:";
	char line[128];

	while (fp && fgets(line, sizeof(line), fp))
		if (!strncmp(line, key, strlen(key)))
			n = strtoul(line + strlen(key), NULL, 10);
	if (fp)
		fclose(fp);
	return n;
}

static void memory_is_there_zeroed_and_shared(void **state)
{
	static const struct {
		uint32_t nframes, chunk;
	} rows[] = { { 1, 2048 }, { 64, 2048 }, { 4096, 4096 }, { 3, 2048 } };

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		size_t want = (size_t)rows[i].nframes * rows[i].chunk;
		struct mr_umem u;
		uint8_t *again;

		assert_int_equal(mr_umem_open(&u, rows[i].nframes, rows[i].chunk), 0);
		assert_true(u.size >= want && u.size % 4096 == 0);
		assert_int_equal((uintptr_t)u.base % 4096, 0);
		for (size_t k = 0; k < want; k += 512)
			assert_int_equal(((uint8_t *)u.base)[k], 0);
		/* another mapping of the file, as another process would have it */
		again = mmap(NULL, u.size, PROT_READ, MAP_SHARED, u.fd, 0);
		assert_ptr_not_equal(again, MAP_FAILED);
		memset(u.base, 0xa5, want);
		assert_int_equal(again[want - 1], 0xa5);
		munmap(again, u.size);
		mr_umem_close(&u);
	}
}

static void huge_says_what_it_is_made_of(void **state)
{
	struct mr_umem u;
	unsigned long before = free_huge_pages(), taken;

	(void)state;
	assert_int_equal(mr_umem_open(&u, 1024, 2048), 0);
	memset(u.base, 1, u.size);
	taken = before - free_huge_pages();
	assert_int_equal(u.huge, taken > 0);
	if (!before)
		assert_false(u.huge);
	mr_umem_close(&u);
}

static void nothing_asked_for_is_an_error_and_close_is_harmless(void **state)
{
	struct mr_umem u;

	(void)state;
	assert_int_equal(mr_umem_open(&u, 0, 2048), -EINVAL);
	assert_null(u.base);
	assert_int_equal(u.fd, -1);
	mr_umem_close(&u);
	mr_umem_close(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_there_zeroed_and_shared),
		cmocka_unit_test(huge_says_what_it_is_made_of),
		cmocka_unit_test(nothing_asked_for_is_an_error_and_close_is_harmless),
	};

	return cmocka_run_group_tests_name("umem", tests, NULL, NULL);
}
