/* SPDX-License-Identifier: BSD-2-Clause */
/* nlattr.h - loops over netlink attributes; libmnl's own do not pass -Wconversion. */
#ifndef MR_KERNEL_NLATTR_H
#define MR_KERNEL_NLATTR_H

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

#endif
