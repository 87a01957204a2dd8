// SPDX-License-Identifier: BSD-2-Clause
/*
 * ifinfo.c - reads the properties of an interface: rtnetlink for the link, ethtool for driver and channels, the
 * netdev family of generic netlink for AF_XDP zero copy.
 * Called by   the engine, at start. Blocks for the time of a few system calls.
 * Not here    changes of the link while the engine runs (user/dev/).
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "kernel/ifinfo.h"
#include "kernel/netlink.h"

/* <linux/netdev.h> came with Linux 6.3, and is missing on older build systems. */
#define NETDEV_GENL_NAME	    "netdev"
#define NETDEV_GENL_VERSION	    1
#define NETDEV_CMD_DEV_GET	    1
#define NETDEV_A_DEV_IFINDEX	    1
#define NETDEV_A_DEV_XDP_FEATURES   3
#define NETDEV_XDP_ACT_XSK_ZEROCOPY (1u << 3)

/* ---- Netlink: one request, one reply --------------------------------------------------------- */

/* Send nlh, and call cb for the reply. Returns 0 or a negative errno, which may be the kernel's. */
static int ask(int bus, struct nlmsghdr *nlh, mnl_cb_t cb, void *data)
{
	struct mnl_socket *sock = mnl_socket_open2(bus, SOCK_CLOEXEC);
	int ret;

	if (!sock)
		return -errno;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	ret = mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	ret = ret ?: netlink_ask(sock, nlh, cb, data);
	mnl_socket_close(sock);
	return ret;
}

/* ---- The link -------------------------------------------------------------------------------- */

struct link {
	struct mr_ifinfo *info;
	unsigned short type; /* ARPHRD_* */
};

static int on_kind(const struct nlattr *attr, void *data)
{
	struct mr_ifinfo *info = data;

	if (mnl_attr_validate(attr, MNL_TYPE_STRING))
		return MNL_CB_OK;
	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		info->veth = !strcmp(mnl_attr_get_str(attr), "veth");
	else if (mnl_attr_get_type(attr) == IFLA_INFO_SLAVE_KIND)
		snprintf(info->master_kind, sizeof(info->master_kind), "%s",
			 mnl_attr_get_str(attr));
	return MNL_CB_OK;
}

static int on_xdp(const struct nlattr *attr, void *data)
{
	struct mr_ifinfo *info = data;

	if (mnl_attr_get_type(attr) == IFLA_XDP_ATTACHED)
		info->xdp = mnl_attr_get_u8(attr) != XDP_ATTACHED_NONE;
	return MNL_CB_OK;
}

static int on_link_attr(const struct nlattr *attr, void *data)
{
	struct mr_ifinfo *info = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == sizeof(info->mac))
			memcpy(info->mac, mnl_attr_get_payload(attr), sizeof(info->mac));
		break;
	case IFLA_MTU:
		info->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_NUM_RX_QUEUES:
		info->queues = mnl_attr_get_u32(attr);
		break;
	case IFLA_LINKINFO:
		return mnl_attr_parse_nested(attr, on_kind, info);
	case IFLA_XDP:
		return mnl_attr_parse_nested(attr, on_xdp, info);
	case IFLA_MASTER:
		info->master_index = (int)mnl_attr_get_u32(attr);
		if (!if_indextoname(mnl_attr_get_u32(attr), info->master))
			snprintf(info->master, sizeof(info->master), "%d", info->master_index);
		break;
	}
	return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct link *link = data;

	link->type = ifi->ifi_type;
	link->info->ifindex = ifi->ifi_index;
	link->info->up = ifi->ifi_flags & IFF_UP;
	return mnl_attr_parse(nlh, sizeof(*ifi), on_link_attr, link->info);
}

static int ask_link(struct link *link)
{
	char buf[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = RTM_GETLINK;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, link->info->name);
	return ask(NETLINK_ROUTE, nlh, on_link, link);
}

/* ---- Zero copy ------------------------------------------------------------------------------- */

static int on_family_attr(const struct nlattr *attr, void *data)
{
	uint16_t *family = data;

	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
		*family = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static int on_family(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), on_family_attr, data);
}

static int on_features_attr(const struct nlattr *attr, void *data)
{
	uint64_t *features = data;

	if (mnl_attr_get_type(attr) == NETDEV_A_DEV_XDP_FEATURES)
		*features = mnl_attr_get_u64(attr);
	return MNL_CB_OK;
}

static int on_features(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), on_features_attr, data);
}

static struct nlmsghdr *put_genl(void *buf, uint16_t family, uint8_t cmd, uint8_t version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));

	nlh->nlmsg_type = family;
	genl->cmd = cmd;
	genl->version = version;
	return nlh;
}

/* False also if the kernel does not know. */
static bool has_zero_copy(int ifindex)
{
	char buf[NETLINK_REQUEST_BYTES];
	uint64_t features = 0;
	uint16_t family = 0;
	struct nlmsghdr *nlh = put_genl(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, NETDEV_GENL_NAME);
	if (ask(NETLINK_GENERIC, nlh, on_family, &family) || !family)
		return false;
	nlh = put_genl(buf, family, NETDEV_CMD_DEV_GET, NETDEV_GENL_VERSION);
	mnl_attr_put_u32(nlh, NETDEV_A_DEV_IFINDEX, (uint32_t)ifindex);
	if (ask(NETLINK_GENERIC, nlh, on_features, &features))
		return false;
	return features & NETDEV_XDP_ACT_XSK_ZEROCOPY;
}

/* ---- ethtool --------------------------------------------------------------------------------- */

static bool ethtool(const char *ifname, void *cmd)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_data = cmd };
	bool ok;

	if (fd < 0)
		return false;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	ok = !ioctl(fd, SIOCETHTOOL, &ifr);
	close(fd);
	return ok;
}

static void ask_ethtool(struct mr_ifinfo *info)
{
	struct ethtool_drvinfo drv = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };

	if (ethtool(info->name, &drv)) {
		_Static_assert(sizeof(info->driver) == sizeof(drv.driver), "copied whole");
		memcpy(info->driver, drv.driver, sizeof(info->driver));
		info->driver[sizeof(info->driver) - 1] = '\0';
	}
	/* rtnetlink counts allocated queues, not all of which need be in use. */
	if (ethtool(info->name, &ch) && ch.rx_count + ch.combined_count)
		info->queues = ch.rx_count + ch.combined_count;
}

/* ---- The public function --------------------------------------------------------------------- */

/* Write "eth0, eth1, ..." as far as it fits, without the loopback interface. */
static char *list_interfaces(char *buf, size_t size)
{
	struct if_nameindex *all = if_nameindex();
	size_t used = 0;

	buf[0] = '\0';
	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		if (!strcmp(i->if_name, "lo"))
			continue;
		if (used + strlen(i->if_name) + sizeof(", ...") >= size) {
			snprintf(buf + used, size - used, ", ...");
			break;
		}
		used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "",
					 i->if_name);
	}
	if (all)
		if_freenameindex(all);
	if (!used)
		snprintf(buf, size, "none, since there is only the loopback");
	return buf;
}

int mr_ifinfo_get(const char *ifname, struct mr_ifinfo *out, struct mr_error *err)
{
	struct mr_ifinfo info = { .queues = 1 };
	struct link link = { .info = &info };
	char names[160];
	int ret;

	snprintf(info.name, sizeof(info.name), "%s", ifname);
	ret = !*ifname || strcmp(info.name, ifname) != 0 ? -ENODEV : ask_link(&link);
	if (ret == -ENODEV) {
		return mr_error_set(err, ret,
				    "there is no interface \"%.32s\" in this network namespace: "
				    "choose one of %s",
				    ifname, list_interfaces(names, sizeof(names)));
	}
	if (ret)
		return mr_error_set(err, ret, "interface %s cannot be looked up: %s", ifname,
				    strerror(-ret));
	if (link.type == ARPHRD_LOOPBACK)
		return mr_error_set(
			err, -EINVAL,
			"%s is the loopback, which stays with the kernel: choose the Ethernet "
			"interface by which other hosts come: one of %s",
			ifname, list_interfaces(names, sizeof(names)));
	if (link.type != ARPHRD_ETHER)
		return mr_error_set(
			err, -EINVAL,
			"interface %s is not an Ethernet interface: choose one that is, "
			"such as one end of a veth pair",
			ifname);
	if (!info.queues)
		info.queues = 1;
	ask_ethtool(&info);
	info.zero_copy = has_zero_copy(info.ifindex);
	*out = info;
	return 0;
}
