/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * csum.h - the Internet checksum (RFC 1071) as arithmetic. A "sum" is an unfolded one's complement sum
 * of 16-bit words in memory order; it may be added to another with mr_csum_add(). Only mr_csum_fold()
 * makes what goes into a header field, after complement.
 */
#ifndef MR_BASE_CSUM_H
#define MR_BASE_CSUM_H

#include <stddef.h>
#include <stdint.h>
#include "millrace.h"

static inline uint32_t mr_csum_add(uint32_t a, uint32_t b)
{
	a += b;
	return a + (a < b);
}

/* Fold to 16 bits, not complemented. A correct packet folds to 0xffff over all, checksum included. */
static inline uint16_t mr_csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The contribution of a block's sum to the sum of a packet in which the block begins at this offset. */
static inline uint32_t mr_csum_shift(uint32_t sum, size_t offset)
{
	return offset & 1 ? (sum << 8) | (sum >> 24) : sum;
}

/* Sum of len bytes at any alignment; an odd last byte counts as if a zero followed. */
uint32_t mr_csum(const void *buf, size_t len);
/* Copy len bytes, and return their sum. */
uint32_t mr_csum_copy(void *dst, const void *src, size_t len);
/* The pseudo-header: RFC 9293 3.1 for IPv4-mapped addresses, RFC 8200 8.1 otherwise (both sums are
 * over the same words once the family is chosen from the addresses). len: L4 header and payload. */
uint32_t mr_csum_pseudo(const struct mr_addr *src, const struct mr_addr *dst, uint8_t proto,
			uint32_t len);

#endif
