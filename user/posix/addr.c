// SPDX-License-Identifier: BSD-2-Clause
/*
 * addr.c - struct sockaddr_in and sockaddr_in6 to and from struct mr_endpoint.
 * Called by   the calls that take or give addresses.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "posix/addr.h"

/* An IPv6 address may come without its scope (RFC 2133's shorter structure): Linux takes it, too. */
#define SIN6_LEN_RFC2133 24

int addr_to_endpoint(const struct sockaddr *sa, socklen_t len, struct mr_endpoint *ep,
		     uint32_t *scope_id)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6 = { 0 };
	sa_family_t family;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, sa, sizeof(family));
	if (scope_id)
		*scope_id = 0;
	switch (family) {
	case AF_INET:
		if (len < sizeof(sin))
			return -EINVAL;
		memcpy(&sin, sa, sizeof(sin));
		*ep = (struct mr_endpoint){ mr_addr_v4(sin.sin_addr.s_addr), ntohs(sin.sin_port) };
		return 0;
	case AF_INET6:
		if (len < SIN6_LEN_RFC2133)
			return -EINVAL;
		memcpy(&sin6, sa, mr_min((size_t)len, sizeof(sin6)));
		ep->port = ntohs(sin6.sin6_port);
		memcpy(ep->addr.b, &sin6.sin6_addr, sizeof(ep->addr.b));
		if (scope_id)
			*scope_id = sin6.sin6_scope_id;
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

static void give(const void *whole, socklen_t size, struct sockaddr *sa, socklen_t *len)
{
	memcpy(sa, whole, mr_min(*len, size));
	*len = size;
}

void addr_from_endpoint(int family, const struct mr_endpoint *ep, uint32_t scope_id,
			struct sockaddr *sa, socklen_t *len)
{
	if (family == AF_INET) {
		struct sockaddr_in sin = {
			.sin_family = AF_INET,
			.sin_port = htons(ep->port),
			.sin_addr.s_addr = ep->addr.w[3],
		};

		give(&sin, sizeof(sin), sa, len);
	} else {
		struct sockaddr_in6 sin6 = {
			.sin6_family = AF_INET6,
			.sin6_port = htons(ep->port),
			.sin6_scope_id = mr_addr_is_link_local(&ep->addr) ? scope_id : 0,
		};

		memcpy(&sin6.sin6_addr, ep->addr.b, sizeof(ep->addr.b));
		give(&sin6, sizeof(sin6), sa, len);
	}
}
