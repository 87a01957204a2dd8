// SPDX-License-Identifier: BSD-2-Clause
/*
 * ports_busy.c - has the kernel connections on a port?
 * Authority   sock_diag(7).
 * Called by   the engine's opener, once a second. Unprivileged.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include "base/addr.h"
#include "kernel/netlink.h"
#include "kernel/ports.h"

/* All states that have a peer. */
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
