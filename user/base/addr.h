/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.h - addresses of both families in one type (struct mr_addr of millrace.h). */
#ifndef MR_BASE_ADDR_H
#define MR_BASE_ADDR_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include "millrace.h"

static inline struct mr_addr mr_addr_v4(uint32_t wire_order)
{
	return (struct mr_addr){ .w = { 0, 0, htonl(0xffff), wire_order } };
}

static inline bool mr_addr_is_v4(const struct mr_addr *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == htonl(0xffff);
}

static inline bool mr_addr_is_any(const struct mr_addr *a)
{
	return !a->w[0] && !a->w[1] && !a->w[3] && (!a->w[2] || a->w[2] == htonl(0xffff));
}

static inline bool mr_addr_eq(const struct mr_addr *a, const struct mr_addr *b)
{
	return !memcmp(a->b, b->b, sizeof(a->b));
}

/* Do the first len bits (of the family: 0..32 for an IPv4-mapped prefix) of both agree? */
bool mr_addr_in_prefix(const struct mr_addr *a, const struct mr_prefix *prefix);

/* Unspecified, loopback, multicast or limited broadcast: no unicast peer (RFC 1122 3.2.1.3). */
bool mr_addr_is_unicast(const struct mr_addr *a);

/* Parse "10.0.0.5/24". 0 or -EINVAL. */
int mr_prefix_parse(const char *text, struct mr_prefix *prefix);

#endif
