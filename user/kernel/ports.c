// SPDX-License-Identifier: BSD-2-Clause
/*
 * ports.c - holds a local TCP port with a kernel socket.
 * Authority   ip(7), ipv6(7) for bind().
 * Called by   the socket layer's arbiter, in any process. Unprivileged, except for ports below 1024.
 * Not here    the connections that the kernel has on a port (ports_busy.c).
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/addr.h"
#include "kernel/ports.h"

static socklen_t to_sockaddr(struct sockaddr_storage *ss, const struct mr_addr *addr, uint16_t port,
			     int ifindex)
{
	*ss = (struct sockaddr_storage){ 0 };
	if (mr_addr_is_v4(addr)) {
		struct sockaddr_in sin = { .sin_family = AF_INET,
					   .sin_port = htons(port),
					   .sin_addr.s_addr = addr->w[3] };

		memcpy(ss, &sin, sizeof(sin));
		return sizeof(sin);
	} else {
		struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

		memcpy(&sin6.sin6_addr, addr->b, sizeof(addr->b));
		if (mr_addr_is_link_local(addr))
			sin6.sin6_scope_id = (uint32_t)ifindex;
		memcpy(ss, &sin6, sizeof(sin6));
		return sizeof(sin6);
	}
}

static uint16_t port_of(const struct sockaddr_storage *ss)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;

	if (ss->ss_family == AF_INET) {
		memcpy(&sin, ss, sizeof(sin));
		return ntohs(sin.sin_port);
	}
	memcpy(&sin6, ss, sizeof(sin6));
	return ntohs(sin6.sin6_port);
}

static int hold(int fd, const struct sockaddr_storage *ss, socklen_t len, bool v6only,
		bool reuseport, bool chosen)
{
	int reuse = chosen, only = v6only, group = reuseport, none = 0;

	if (ss->ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)))
		return -errno;
	/* SO_REUSEADDR, as servers use it: connections of an earlier process do not keep the port. After bind() it is
	 * cleared, so that nobody else can use it to get our port. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &group, sizeof(group)) ||
	    bind(fd, (const struct sockaddr *)ss, len) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &none, sizeof(none)))
		return -errno;
	return 0;
}

int mr_port_hold(const struct mr_addr *addr, bool v6only, bool reuseport, int ifindex,
		 uint16_t *port)
{
	static const struct mr_addr any4 = { .b = { [10] = 0xff, 0xff } };
	bool both = !mr_addr_is_v4(addr) && mr_addr_is_any(addr) && !v6only;
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(&ss, addr, *port, ifindex);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0 && errno == EAFNOSUPPORT && both) { /* the kernel has no IPv6 */
		len = to_sockaddr(&ss, &any4, *port, ifindex);
		fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		return -errno;
	err = hold(fd, &ss, len, !both, reuseport, *port != 0);
	if (!err && getsockname(fd, (struct sockaddr *)&ss, &len))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	*port = port_of(&ss);
	return fd;
}
