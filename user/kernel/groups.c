// SPDX-License-Identifier: BSD-2-Clause
/*
 * groups.c - multicast groups: a packet socket holds the memberships (packet(7)), so that the filter of
 * a network card lets neighbour discovery pass though the kernel knows nothing of our addresses. A veth
 * has no such filter.
 * Called by   the engine at start.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/groups.h"

/* RFC 2464 section 7. */
static int join(int fd, int ifindex, const struct mr_addr *group)
{
	const struct packet_mreq mreq = {
		.mr_ifindex = ifindex,
		.mr_type = PACKET_MR_MULTICAST,
		.mr_alen = 6,
		.mr_address = { 0x33, 0x33, group->b[12], group->b[13], group->b[14],
				group->b[15] },
	};

	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) ? -errno : 0;
}

int mr_groups_join(int ifindex, const struct mr_prefix *addrs, unsigned naddrs)
{
	const struct mr_addr all_nodes = mr_addr_all_nodes();
	int fd = -ENOENT, err = 0;

	for (unsigned i = 0; i < naddrs && !err; i++) {
		struct mr_addr group = mr_addr_solicited_node(&addrs[i].addr);

		if (mr_addr_is_v4(&addrs[i].addr))
			continue;
		if (fd < 0) {
			/* Protocol 0: no packet is ever given to it. */
			fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
			if (fd < 0)
				return -errno;
			err = join(fd, ifindex, &all_nodes);
		}
		if (!err)
			err = join(fd, ifindex, &group);
	}
	if (!err)
		return fd;
	close(fd);
	return err;
}
