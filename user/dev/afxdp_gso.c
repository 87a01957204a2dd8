// SPDX-License-Identifier: BSD-2-Clause
/*
 * afxdp_gso.c - TCP segmentation offload: a burst of segments, or one very long segment, as one packet, which the
 * kernel or the device cuts, or passes on whole.
 * Owns        the packet socket beside the AF_XDP sockets, and the virtio_net_hdr in front of each packet.
 * Authority   packet(7); PACKET_VNET_HDR and packet_snd() in net/packet/af_packet.c; struct virtio_net_hdr in
 *             include/uapi/linux/virtio_net.h.
 * Called by   afxdp_tx.c.
 *
 * A TX descriptor cannot ask for segmentation (as of Linux 6.18), so at an MTU of 1500 every 1448 bytes of payload
 * would cost the kernel an skb. A packet socket takes 64 KiB at once. Over veth such packets reach the peer as they
 * are. Like AF_XDP, the packet socket bypasses the queueing discipline and taps, by __dev_direct_xmit(). That
 * function drops packets that the kernel would have to cut. So no such packet is sent while TSO of the device is off
 * (`ethtool -K IF tx off` switches it off, too): see afxdp_link.c.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dev/afxdp_int.h"

#ifndef PACKET_QDISC_BYPASS
#define PACKET_QDISC_BYPASS 20
#endif

#define ETH_TYPE_OFF  12u
#define IPV6_HLEN     40u
#define TCP_DATA_OFF  12u /* of the data offset field */
#define TCP_FLAGS_OFF 13u
#define TCP_CSUM_OFF  16u
#define TCP_CWR	      0x80u
#define SNDBUF_BYTES  (4 << 20)

int mr_afxdp_gso_open(struct mr_afxdp *d)
{
	const struct sockaddr_ll sll = { .sll_family = AF_PACKET,
					 .sll_ifindex = d->s->cfg.ifindex };
	int one = 1, sndbuf = SNDBUF_BYTES, err;

	/* Protocol 0: the socket receives nothing. */
	d->gso_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->gso_fd < 0)
		return -errno;
	if (setsockopt(d->gso_fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(d->gso_fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
	    bind(d->gso_fd, (const struct sockaddr *)&sll, sizeof(sll))) {
		err = -errno;
		mr_afxdp_gso_close(d);
		return err;
	}
	/* Bytes that may be queued for a slow device. If the limit is lower, the default is used. */
	setsockopt(d->gso_fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf));
	return 0;
}

void mr_afxdp_gso_close(struct mr_afxdp *d)
{
	if (d->gso_fd >= 0)
		close(d->gso_fd);
	d->gso_fd = -1;
}

/* All headers are in the first chunk, and the stack sends neither VLAN tags nor extension headers. */
static struct virtio_net_hdr describe(const struct mr_frame *f)
{
	const uint8_t *ip = f->data + ETH_HLEN;
	bool v6 = f->data[ETH_TYPE_OFF] == ETH_P_IPV6 >> 8 &&
		  f->data[ETH_TYPE_OFF + 1] == (ETH_P_IPV6 & 0xff);
	uint32_t ip_hlen = v6 ? IPV6_HLEN : (ip[0] & 0xfu) * 4;
	const uint8_t *tcp = ip + ip_hlen;
	uint32_t tcp_hlen = (uint32_t)(tcp[TCP_DATA_OFF] >> 4) * 4;
	struct virtio_net_hdr vh = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_NONE,
		.hdr_len = (uint16_t)(ETH_HLEN + ip_hlen + tcp_hlen),
		.csum_start = (uint16_t)(ETH_HLEN + ip_hlen),
		.csum_offset = TCP_CSUM_OFF,
	};

	if (f->pkt_len - vh.hdr_len > f->gso_size) { /* otherwise it is one very long segment */
		vh.gso_size = f->gso_size;
		vh.gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		if (tcp[TCP_FLAGS_OFF] & TCP_CWR)
			vh.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	}
	return vh;
}

int mr_afxdp_gso_tx(struct mr_afxdp *d, struct mr_frame *f)
{
	struct virtio_net_hdr vh = describe(f);
	struct iovec iov[1 + MR_FRAME_GSO_CHUNKS] = { { &vh, sizeof(vh) } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };
	struct mr_frame *chunk;

	mr_frame_for_each_chunk (chunk, f) {
		assert(msg.msg_iovlen < MR_ARRAY_SIZE(iov));
		iov[msg.msg_iovlen++] = (struct iovec){ chunk->data, chunk->len };
	}
	if (sendmsg(d->gso_fd, &msg, MSG_DONTWAIT) < 0)
		return -errno;
	/* The bytes were copied, so the device is done with them. */
	mr_netif_tx_packet_done(d->dev.frames, f);
	return 0;
}
