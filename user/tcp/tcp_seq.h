/* SPDX-License-Identifier: BSD-2-Clause */
/* tcp_seq.h - sequence numbers wrap (RFC 9293 section 3.4): they meet only through these. */
#ifndef MR_TCP_TCP_SEQ_H
#define MR_TCP_TCP_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool seq_gt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline bool seq_geq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_gt(a, b) ? a : b;
}

/* Bytes from a up to b; b must not be behind a. */
static inline uint32_t seq_diff(uint32_t b, uint32_t a)
{
	return b - a;
}

#endif
