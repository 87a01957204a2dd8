// SPDX-License-Identifier: BSD-2-Clause
/*
 * afxdp_link.c - link events: does the interface still exist, is its link up, what are its MTU and MAC address, is TSO on?
 * Owns        the rtnetlink socket, d->s->link and d->s->gone (the doorbell sets gone, too).
 * Authority   rtnetlink(7). A poll() that sleeps on an AF_XDP socket is not woken when the device goes away;
 *             therefore the netlink socket is among the descriptors to poll.
 * Called by   the engine, through service(), when that socket is readable, and once a second.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "base/error.h"
#include "dev/afxdp_int.h"

#define LINK_MESSAGES_MAX 64u	/* datagrams read in one call; the others stay readable */
#define LINK_BUFFER_BYTES 16384 /* a link with its attributes takes about 2 KiB */

static void link_flags(struct mr_afxdp *d, unsigned flags)
{
	d->s->link.up = (flags & IFF_UP) && (flags & IFF_RUNNING);
}

void mr_afxdp_link_gso(struct mr_afxdp *d)
{
	struct ethtool_value tso = { .cmd = ETHTOOL_GTSO };
	struct ifreq ifr = { .ifr_data = (void *)&tso };

	if (!d->s->cfg.gso)
		return;
	memcpy(ifr.ifr_name, d->s->ifname, sizeof(ifr.ifr_name));
	if (ioctl(mr_afxdp_link_fd(d), SIOCETHTOOL, &ifr) == 0)
		d->s->link.gso_bytes = tso.data ? UINT16_MAX : 0;
}

/* Query the link state: at the start, and after messages were lost. The name may have changed. */
static int link_query(struct mr_afxdp *d)
{
	struct ifreq ifr = { .ifr_ifindex = d->s->cfg.ifindex };
	int fd = mr_afxdp_link_fd(d);

	if (ioctl(fd, SIOCGIFNAME, &ifr) < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	link_flags(d, (unsigned short)ifr.ifr_flags);
	if (ioctl(fd, SIOCGIFMTU, &ifr) < 0)
		return -errno;
	d->s->link.mtu = (uint32_t)ifr.ifr_mtu;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	memcpy(d->s->link.mac, ifr.ifr_hwaddr.sa_data, sizeof(d->s->link.mac));
	mr_afxdp_link_gso(d);
	return 0;
}

int mr_afxdp_link_fd(const struct mr_afxdp *d)
{
	return mnl_socket_get_fd(d->nl);
}

unsigned mr_afxdp_link_tx_queues(const struct mr_afxdp *d)
{
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq ifr = { .ifr_data = (void *)&ch };

	memcpy(ifr.ifr_name, d->s->ifname, sizeof(ifr.ifr_name));
	if (ioctl(mr_afxdp_link_fd(d), SIOCETHTOOL, &ifr) < 0)
		return 1;
	return mr_max(ch.tx_count + ch.combined_count, 1u);
}

int mr_afxdp_link_open(struct mr_afxdp *d, struct mr_error *err)
{
	int ret;

	d->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!d->nl || mnl_socket_bind(d->nl, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0)
		return mr_error_set(err, -errno, "cannot listen for link events: %s",
				    strerror(errno));
	ret = link_query(d); /* after the bind, so that no event between the two is lost */
	if (ret == -ENODEV || ret == -ENXIO)
		return mr_error_set(err, -ENODEV, "there is no interface %s (index %d)",
				    d->s->ifname, d->s->cfg.ifindex);
	if (ret)
		return mr_error_set(err, ret, "cannot read the state of %s: %s", d->s->ifname,
				    strerror(-ret));
	return 0;
}

void mr_afxdp_link_close(struct mr_afxdp *d)
{
	if (d->nl)
		mnl_socket_close(d->nl);
	d->nl = NULL;
}

static int link_attr(const struct nlattr *attr, void *data)
{
	struct mr_afxdp *d = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_MTU:
		if (!mnl_attr_validate(attr, MNL_TYPE_U32))
			d->s->link.mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_MASTER:
		if (!mnl_attr_validate(attr, MNL_TYPE_U32))
			d->s->link.master = (int)mnl_attr_get_u32(attr);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == sizeof(d->s->link.mac))
			memcpy(d->s->link.mac, mnl_attr_get_payload(attr), sizeof(d->s->link.mac));
		break;
	}
	return MNL_CB_OK;
}

static int link_event(const struct nlmsghdr *nlh, void *data)
{
	struct mr_afxdp *d = data;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	/* Bridges send the same messages for their ports, with the family AF_BRIDGE. */
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) || ifi->ifi_family != AF_UNSPEC ||
	    ifi->ifi_index != d->s->cfg.ifindex)
		return MNL_CB_OK;
	if (nlh->nlmsg_type == RTM_NEWLINK) {
		link_flags(d, ifi->ifi_flags);
		mr_afxdp_link_gso(d);  /* the message does not say which offloads have changed */
		d->s->link.master = 0; /* unless the message has one */
		return mnl_attr_parse(nlh, sizeof(*ifi), link_attr, d);
	}
	if (nlh->nlmsg_type == RTM_DELLINK) /* deleted, or moved to another namespace */
		d->s->gone = true;
	return MNL_CB_OK;
}

static void link_events(struct mr_afxdp *d)
{
	_Alignas(struct nlmsghdr) uint8_t buf[LINK_BUFFER_BYTES];

	for (unsigned i = 0; i < LINK_MESSAGES_MAX; i++) {
		ssize_t len = mnl_socket_recvfrom(d->nl, buf, sizeof(buf));

		if (len < 0 && errno == EAGAIN)
			return;
		/* Messages were lost (ENOBUFS) or truncated (ENOSPC): query the present state. */
		if (len < 0 || mnl_cb_run(buf, (size_t)len, 0, 0, link_event, d) < 0) {
			if (link_query(d) == -ENODEV)
				d->s->gone = true;
		}
	}
}

/* The kernel sets this error when the device is deleted, or moved to another namespace. */
static void check_sockets(struct mr_afxdp *d)
{
	for (unsigned i = 0; i < d->s->cfg.nqueues; i++) {
		int error = 0;
		socklen_t len = sizeof(error);

		if (!getsockopt(d->q[i].xsk.fd, SOL_SOCKET, SO_ERROR, &error, &len) && error)
			d->s->gone = true;
	}
}

int mr_afxdp_service(struct mr_dev *dev)
{
	struct mr_afxdp *d = to_afxdp(dev);

	link_events(d);
	check_sockets(d);
	return mr_afxdp_service_rings(dev);
}
