/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.h - what every fuzz target stands on: the entry that libFuzzer and replay.c call, and a reader
 * that turns the input into decisions. An input that has ended reads as zeros.
 *
 * A target is deterministic: the same bytes do the same, whatever ran before in the process.
 */
#ifndef MR_TESTS_FUZZ_FUZZ_H
#define MR_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_in {
	const uint8_t *p, *end;
};

static inline bool fuzz_more(const struct fuzz_in *in)
{
	return in->p < in->end;
}

static inline uint8_t fuzz_u8(struct fuzz_in *in)
{
	return fuzz_more(in) ? *in->p++ : 0;
}

static inline uint16_t fuzz_u16(struct fuzz_in *in)
{
	uint16_t high = fuzz_u8(in);

	return (uint16_t)(high << 8 | fuzz_u8(in));
}

/* An entry of a table, chosen by a byte. */
#define FUZZ_PICK(table, byte) ((table)[(byte) % (sizeof(table) / sizeof((table)[0]))])

/* What the target claims of the code. A false claim is a finding. */
#define FUZZ_CHECK(cond, ...)                                                                      \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #cond);         \
			fprintf(stderr, __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
