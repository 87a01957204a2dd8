/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.h - converts between socket addresses of the C library and endpoints of the stack. */
#ifndef MR_POSIX_ADDR_H
#define MR_POSIX_ADDR_H

#include <stdint.h>
#include <sys/socket.h>
#include "millrace.h"

/* Convert an address that the program has passed. scope_id may be NULL. Returns 0, -EINVAL (too short) or
 * -EAFNOSUPPORT (neither IPv4 nor IPv6). */
int addr_to_endpoint(const struct sockaddr *sa, socklen_t len, struct mr_endpoint *ep,
		     uint32_t *scope_id);

/* Convert an endpoint to the address that a socket of this family (AF_INET, AF_INET6) shows. As in the kernel, it is
 * cut off at *len, and then *len is the full length. scope_id is used only for link-local addresses. */
void addr_from_endpoint(int family, const struct mr_endpoint *ep, uint32_t scope_id,
			struct sockaddr *sa, socklen_t *len);

#endif
