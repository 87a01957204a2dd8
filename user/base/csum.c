// SPDX-License-Identifier: BSD-2-Clause
/*
 * csum.c - the Internet checksum over memory.
 * Implements  RFC 1071: sections 2 (A) and (B) allow any order, any byte order and any word size,
 * so eight bytes are added at a time and the carries are kept above bit 64.
 */
#include <arpa/inet.h>
#include <string.h>
#include "base/addr.h"
#include "base/csum.h"

typedef unsigned __int128 wide_t;

/* n bytes (a constant, at most 8) as the first ones of a word in memory, the rest of it zero. */
static inline __attribute__((always_inline)) uint64_t take(uint8_t **dst, const uint8_t **src,
							   size_t n)
{
	uint64_t v = 0;

	memcpy(&v, *src, n);
	*src += n;
	if (*dst) {
		memcpy(*dst, &v, n);
		*dst += n;
	}
	return v;
}

/* End-around carries, from the top down: what remains is congruent modulo 2^16 - 1. */
static inline uint32_t fold32(wide_t acc)
{
	uint64_t low = (uint64_t)acc, high = (uint64_t)(acc >> 64);

	low += high;
	low += low < high;
	return mr_csum_add((uint32_t)low, (uint32_t)(low >> 32));
}

/* dst NULL: sum only. Inlined with dst known, so that each caller has a loop of its own. */
static inline __attribute__((always_inline)) uint32_t sum_block(uint8_t *dst, const uint8_t *src,
								size_t len)
{
	wide_t even = 0, odd = 0; /* two chains of add and adc run side by side */

	for (; len >= 32; len -= 32) {
		even += take(&dst, &src, 8);
		odd += take(&dst, &src, 8);
		even += take(&dst, &src, 8);
		odd += take(&dst, &src, 8);
	}
	even += odd;
	for (; len >= 8; len -= 8)
		even += take(&dst, &src, 8);
	if (len & 4)
		even += take(&dst, &src, 4);
	if (len & 2)
		even += take(&dst, &src, 2);
	if (len & 1) /* the first byte of a word whose second is zero, in either byte order */
		even += take(&dst, &src, 1);
	return fold32(even);
}

uint32_t mr_csum(const void *buf, size_t len)
{
	return len ? sum_block(NULL, buf, len) : 0;
}

uint32_t mr_csum_copy(void *dst, const void *src, size_t len)
{
	return len ? sum_block(dst, src, len) : 0;
}

uint32_t mr_csum_pseudo(const struct mr_addr *src, const struct mr_addr *dst, uint8_t proto,
			uint32_t len)
{
	uint64_t sum = (uint64_t)htonl(proto) + htonl(len); /* folds to what 16-bit fields would */

	/* The words of an IPv4-mapped prefix are 0 and 0xffff: both zero in one's complement. */
	if (mr_addr_is_v4(src) && mr_addr_is_v4(dst)) {
		sum += (uint64_t)src->w[3] + dst->w[3];
	} else {
		for (int i = 0; i < 4; i++)
			sum += (uint64_t)src->w[i] + dst->w[i];
	}
	return fold32(sum);
}
