// SPDX-License-Identifier: BSD-2-Clause
/*
 * hash.c - SipHash-2-4.
 * Implements  Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, section 2.
 */
#include <endian.h>
#include <string.h>
#include "base/hash.h"
#include "millrace/xdp_abi.h"

uint64_t mr_siphash(const uint64_t key[2], const void *data, size_t len)
{
	uint64_t v0 = key[0] ^ 0x736f6d6570736575ull, v1 = key[1] ^ 0x646f72616e646f6dull;
	uint64_t v2 = key[0] ^ 0x6c7967656e657261ull, v3 = key[1] ^ 0x7465646279746573ull;
	const uint8_t *p = data;
	size_t left = len;
	uint64_t m;

	for (; left >= sizeof(m); left -= sizeof(m), p += sizeof(m)) {
		memcpy(&m, p, sizeof(m));
		m = le64toh(m);
		v3 ^= m;
		MR_SIPROUND(v0, v1, v2, v3);
		MR_SIPROUND(v0, v1, v2, v3);
		v0 ^= m;
	}
	/* The last block: what is left, and the length's low byte on top. */
	m = 0;
	if (left)
		memcpy(&m, p, left);
	m = le64toh(m) | (uint64_t)len << 56;
	v3 ^= m;
	MR_SIPROUND(v0, v1, v2, v3);
	MR_SIPROUND(v0, v1, v2, v3);
	v0 ^= m;

	v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		MR_SIPROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}
