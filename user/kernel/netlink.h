/* SPDX-License-Identifier: BSD-2-Clause */
/* netlink.h - loops over netlink attributes (those of libmnl do not compile with -Wconversion), and requests. */
#ifndef MR_KERNEL_NETLINK_H
#define MR_KERNEL_NETLINK_H

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>

static inline bool attr_ok(const struct nlattr *attr, const void *end)
{
	size_t left = (size_t)((const char *)end - (const char *)attr);

	return (const void *)attr < end && left >= sizeof(*attr) &&
	       attr->nla_len >= sizeof(*attr) && attr->nla_len <= left;
}

static inline const struct nlattr *attr_next(const struct nlattr *attr)
{
	return (const void *)((const char *)attr + NLA_ALIGN(attr->nla_len));
}

#define for_each_attr(attr, start, end)                                                            \
	for ((attr) = (const void *)(start); attr_ok(attr, end); (attr) = attr_next(attr))
#define for_each_attr_of(attr, nlh, header)                                                        \
	for_each_attr (attr, mnl_nlmsg_get_payload_offset(nlh, sizeof(header)),                    \
		       mnl_nlmsg_get_payload_tail(nlh))
#define for_each_attr_in(attr, nest)                                                               \
	for_each_attr (attr, mnl_attr_get_payload(nest),                                           \
		       (const char *)mnl_attr_get_payload(nest) + mnl_attr_get_payload_len(nest))

#define NETLINK_REQUEST_BYTES 256
#define NETLINK_REPLY_BYTES   32768 /* netlink(7): no message is longer than the buffer of a dump */

/* Send nlh, and call cb for each message of the answer. Returns 0 or a negative errno, which may be the kernel's.
 * Blocks until the kernel has answered. */
static inline int netlink_ask(struct mnl_socket *sock, const struct nlmsghdr *nlh, mnl_cb_t cb,
			      void *data)
{
	_Alignas(struct nlmsghdr) char buf[NETLINK_REPLY_BYTES];
	unsigned port = mnl_socket_get_portid(sock);
	int ret;

	if (mnl_socket_sendto(sock, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t n = mnl_socket_recvfrom(sock, buf, sizeof(buf));

		ret = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, nlh->nlmsg_seq, port, cb, data);
	} while (ret > MNL_CB_STOP);
	return ret < 0 ? -errno : 0;
}

#endif
