// SPDX-License-Identifier: BSD-2-Clause
/*
 * route_get.c - which way would the kernel go?
 * Authority   rtnetlink(7), RTM_GETROUTE.
 * Called by   the engine, also in programs under `millrace run`, which are not to be linked with libmnl.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/addr.h"
#include "kernel/mirror.h"

#define ANSWER_BYTES 4096

struct request {
	struct nlmsghdr nlh;
	struct rtmsg rtm;
	struct rtattr rta;
	uint8_t dst[16];
};

static enum mr_mirror_kind kind_of(uint8_t type)
{
	switch (type) {
	case RTN_UNICAST:
		return MR_MIRROR_UNICAST;
	case RTN_LOCAL:
		return MR_MIRROR_LOCAL;
	case RTN_BROADCAST:
	case RTN_MULTICAST:
	case RTN_ANYCAST:
		return MR_MIRROR_BROADCAST;
	default:
		return MR_MIRROR_UNREACHABLE;
	}
}

static int read_answer(const struct nlmsghdr *nlh, size_t len, enum mr_mirror_kind *kind, int *oif)
{
	const struct nlmsgerr *error = NLMSG_DATA(nlh);
	const struct rtmsg *rtm = NLMSG_DATA(nlh);
	const struct rtattr *rta;
	size_t left;

	if (len < sizeof(*nlh) || nlh->nlmsg_len > len)
		return -EPROTO;
	if (nlh->nlmsg_type == NLMSG_ERROR && nlh->nlmsg_len >= NLMSG_LENGTH(sizeof(*error)))
		return error->error ?: -EPROTO;
	if (nlh->nlmsg_type != RTM_NEWROUTE || nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*rtm)))
		return -EPROTO;
	*kind = kind_of(rtm->rtm_type);
	*oif = 0;
	rta = RTM_RTA(rtm);
	left = nlh->nlmsg_len - NLMSG_LENGTH(sizeof(*rtm));
	while (left >= sizeof(*rta) && rta->rta_len >= sizeof(*rta) && rta->rta_len <= left) {
		size_t whole = RTA_ALIGN(rta->rta_len);

		if (rta->rta_type == RTA_OIF && rta->rta_len == RTA_LENGTH(sizeof(*oif)))
			memcpy(oif, RTA_DATA(rta), sizeof(*oif));
		if (whole >= left)
			break;
		left -= whole;
		rta = (const void *)((const uint8_t *)rta + whole);
	}
	return 0;
}

int mr_mirror_route_get(const struct mr_addr *dst, enum mr_mirror_kind *kind, int *oif)
{
	bool v4 = mr_addr_is_v4(dst);
	unsigned bytes = v4 ? 4 : 16;
	struct request rq = {
		.nlh = { .nlmsg_len = (uint32_t)(offsetof(struct request, dst) + bytes),
			 .nlmsg_type = RTM_GETROUTE,
			 .nlmsg_flags = NLM_F_REQUEST,
			 .nlmsg_seq = 1 },
		.rtm = { .rtm_family = v4 ? AF_INET : AF_INET6,
			 .rtm_dst_len = (uint8_t)(bytes * 8) },
		.rta = { .rta_type = RTA_DST, .rta_len = (uint16_t)RTA_LENGTH(bytes) },
	};
	_Alignas(struct nlmsghdr) uint8_t buf[ANSWER_BYTES];
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), ret;
	ssize_t n;

	if (sock < 0)
		return -errno;
	memcpy(rq.dst, v4 ? (const void *)&dst->w[3] : dst->b, bytes);
	n = send(sock, &rq, rq.nlh.nlmsg_len, 0);
	if (n > 0)
		n = recv(sock, buf, sizeof(buf), 0);
	ret = n < 0 ? -errno : read_answer((const void *)buf, (size_t)n, kind, oif);
	close(sock);
	return ret;
}
