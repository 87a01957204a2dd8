/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.h - between the socket addresses of the C library and the endpoints of the stack. */
#ifndef MR_POSIX_ADDR_H
#define MR_POSIX_ADDR_H

#include <stdint.h>
#include <sys/socket.h>
#include "millrace.h"

/* The endpoint that an address given by the program names. scope_id may be NULL. 0, -EINVAL (too
 * short), -EAFNOSUPPORT (neither IPv4 nor IPv6). */
int addr_to_endpoint(const struct sockaddr *sa, socklen_t len, struct mr_endpoint *ep,
		     uint32_t *scope_id);

/* What a socket of the family (AF_INET, AF_INET6) calls this endpoint, written as the kernel does it:
 * cut off at *len, then *len is the whole length. scope_id is told for link-local addresses only. */
void addr_from_endpoint(int family, const struct mr_endpoint *ep, uint32_t scope_id,
			struct sockaddr *sa, socklen_t *len);

#endif
