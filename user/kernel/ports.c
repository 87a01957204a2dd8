// SPDX-License-Identifier: BSD-2-Clause
/*
 * ports.c - local TCP ports as the kernel sees them.
 * Authority   ip(7), ipv6(7) for bind(); sock_diag(7) for what is there.
 * Called by   the socket layer's arbiter (hold), the engine once a second (busy). Unprivileged, but for
 *             ports below 1024.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/addr.h"
#include "kernel/netlink.h"
#include "kernel/ports.h"

/* ---- Holding ------------------------------------------------------------------------------------- */

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
	/* As every server does it: connections that an earlier one has left do not keep the port from
	 * us. Behind bind() nobody else may say the same of ours. */
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

	if (fd < 0 && errno == EAFNOSUPPORT && both) { /* a kernel without IPv6 */
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

/* ---- What the kernel has ------------------------------------------------------------------------- */

/* All states but those without a peer. */
#define STATES_CONNECTED (0x1fffu & ~(1u << 0 | 1u << TCP_LISTEN | 1u << TCP_CLOSE))

struct search {
	const struct mr_addr *addrs;
	unsigned naddrs;
	bool found;
};

static struct mr_addr diag_addr(uint8_t family, const __be32 words[4])
{
	struct mr_addr a;

	if (family == AF_INET)
		return mr_addr_v4(words[0]);
	memcpy(a.w, words, sizeof(a.w));
	return a;
}

static bool among(const struct search *s, const struct mr_addr *addr)
{
	for (unsigned i = 0; i < s->naddrs; i++)
		if (mr_addr_eq(&s->addrs[i], addr))
			return true;
	return false;
}

static int on_socket(const struct nlmsghdr *nlh, void *data)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct search *s = data;
	struct mr_addr local, peer;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg))
		return MNL_CB_OK;
	local = diag_addr(msg->idiag_family, msg->id.idiag_src);
	peer = diag_addr(msg->idiag_family, msg->id.idiag_dst);
	s->found |= among(s, &local) && !among(s, &peer);
	return MNL_CB_OK;
}

static int search(struct mnl_socket *sock, uint8_t family, uint16_t port, struct search *s)
{
	_Alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req->sdiag_family = family;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = STATES_CONNECTED;
	req->id.idiag_sport = htons(port);
	return netlink_ask(sock, nlh, on_socket, s);
}

int mr_port_busy(const struct mr_addr *addrs, unsigned naddrs, uint16_t port)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct search s = { .addrs = addrs, .naddrs = naddrs };
	int err;

	if (!sock)
		return -errno;
	err = mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	err = err ?: search(sock, AF_INET, port, &s);
	err = err ?: search(sock, AF_INET6, port, &s);
	mnl_socket_close(sock);
	return err ?: s.found;
}
