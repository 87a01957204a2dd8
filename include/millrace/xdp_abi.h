/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * xdp_abi.h - everything that the XDP program (bpf/) and user space (user/) both know.
 * Included by BPF code after vmlinux.h, by user space after <linux/types.h>: only __u8 .. __u64 and
 * __be16/__be32 are used here. A change here is a change of both sides: they are built together.
 */
#ifndef MILLRACE_XDP_ABI_H
#define MILLRACE_XDP_ABI_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/*
 * Why a packet was dropped. One list for the whole stack: the XDP program uses the first part (up
 * to MR_DROP_XDP_LAST), the engine all of it. X(NAME, "public.name", "text a user can read"). A new
 * reason of the XDP program goes at the end of the first part.
 */
#define MR_DROP_LIST_XDP(X)                                                                        \
	X(NONE, "drop.none", "not dropped")                                                        \
	X(ETH_TRUNCATED, "drop.eth_truncated", "Ethernet or VLAN header cut short")                \
	X(ARP_BAD, "drop.arp_bad", "malformed ARP packet")                                         \
	X(IP_TRUNCATED, "drop.ip_truncated", "packet shorter than its IP header says")             \
	X(IP_BAD_VERSION, "drop.ip_bad_version",                                                   \
	  "IP version field does not match the Ethernet type")                                     \
	X(IP_BAD_HDRLEN, "drop.ip_bad_hdrlen",                                                     \
	  "IP header length below 20 bytes or beyond the packet")                                  \
	X(IP_BAD_LEN, "drop.ip_bad_len", "IP total length below its header length")                \
	X(IP_BAD_CSUM, "drop.ip_bad_csum", "IPv4 header checksum wrong")                           \
	X(IP_MARTIAN_SRC, "drop.ip_martian_src",                                                   \
	  "source address that no host may send from (RFC 1122 3.2.1.3)")                          \
	X(IP_EXTHDR, "drop.ip_exthdr", "IPv6 extension headers malformed or too many")             \
	X(TCP_TRUNCATED, "drop.tcp_truncated", "TCP header cut short")                             \
	X(TCP_BAD_HDRLEN, "drop.tcp_bad_hdrlen",                                                   \
	  "TCP data offset below 5 words or beyond the packet")                                    \
	X(TCP_BAD_FLAGS, "drop.tcp_bad_flags",                                                     \
	  "TCP flag combination that no sender makes (SYN+FIN, none, ...)")                        \
	X(TCP_LAND, "drop.tcp_land", "source equals destination (land attack)")                    \
	X(TCP_PORT_ZERO, "drop.tcp_port_zero", "TCP port 0")                                       \
	X(TCP_BAD_CSUM, "drop.tcp_bad_csum", "TCP checksum wrong")                                 \
	X(ICMP_TRUNCATED, "drop.icmp_truncated", "ICMP message cut short")                         \
	X(ICMP_BAD_CSUM, "drop.icmp_bad_csum", "ICMP checksum wrong")                              \
	X(XDP_META, "drop.xdp_meta",                                                               \
	  "no room for the receive metadata (bpf_xdp_adjust_meta failed)")                         \
	X(XDP_NO_XSK, "drop.xdp_no_xsk", "no AF_XDP socket on the packet's receive queue")

#define MR_DROP_LIST_USER(X)                                                                       \
	X(ETH_NOT_OURS, "drop.eth_not_ours", "Ethernet destination is another host")               \
	X(ETH_TYPE, "drop.eth_type", "Ethernet type not handled")                                  \
	X(ARP_NOT_OURS, "drop.arp_not_ours", "ARP for another host")                               \
	X(ARP_CONFLICT, "drop.arp_conflict", "another host claims our address")                    \
	X(ND_BAD, "drop.nd_bad", "malformed neighbour discovery message (RFC 4861 6.1, 7.1)")      \
	X(ND_NOT_OURS, "drop.nd_not_ours", "neighbour discovery about an address not ours")        \
	X(ND_CONFLICT, "drop.nd_conflict", "another host has or claims our IPv6 address")          \
	X(NEIGH_QUEUE_FULL, "drop.neigh_queue_full",                                               \
	  "too many packets wait for an unresolved neighbour")                                     \
	X(NEIGH_FAILED, "drop.neigh_failed", "neighbour did not answer ARP or ND")                 \
	X(NEIGH_TABLE_FULL, "drop.neigh_table_full", "neighbour cache full")                       \
	X(IP_NOT_OURS, "drop.ip_not_ours", "IP destination is not an address of this engine")      \
	X(IP_TENTATIVE, "drop.ip_tentative",                                                       \
	  "IPv6 address of ours not in use: duplicate, or not yet known to be none")               \
	X(IP_SRC_GONE, "drop.ip_src_gone", "source address was taken away from the interface")     \
	X(IP_NO_NEXT, "drop.ip_no_next", "IPv6 packet without a payload (no next header)")         \
	X(IP_OPTION, "drop.ip_option", "IPv6 option or routing header that forbids to go on")      \
	X(IP_FRAG_BAD, "drop.ip_frag_bad", "IP fragment of an impossible length or offset")        \
	X(IP_FRAG_FIRST, "drop.ip_frag_first",                                                     \
	  "first fragment that does not hold all headers (RFC 7112, RFC 1858)")                    \
	X(IP_FRAG_OVERLAP, "drop.ip_frag_overlap",                                                 \
	  "fragments of a datagram in which some overlap (RFC 5722)")                              \
	X(IP_FRAG_DUPLICATE, "drop.ip_frag_duplicate", "IP fragment that was there already")       \
	X(IP_FRAG_ECN, "drop.ip_frag_ecn",                                                         \
	  "fragments of a datagram that disagree on ECN (RFC 3168 5.3)")                           \
	X(IP_FRAG_LIMIT, "drop.ip_frag_limit",                                                     \
	  "fragments given up to make room for others, or of a datagram in too many pieces")       \
	X(IP_FRAG_TIMEOUT, "drop.ip_frag_timeout",                                                 \
	  "fragments whose datagram did not become whole in time")                                 \
	X(IP_NO_ROUTE, "drop.ip_no_route", "no route to the destination")                          \
	X(IP_TOO_BIG, "drop.ip_too_big", "packet larger than the route's MTU and DF set")          \
	X(IP_PROTO, "drop.ip_proto",                                                               \
	  "IP protocol not handled (answered with protocol unreachable)")                          \
	X(UDP_NO_PORT, "drop.udp_no_port", "UDP is not handled (answered with port unreachable)")  \
	X(ICMP_TYPE, "drop.icmp_type", "ICMP type not handled")                                    \
	X(ICMP_NO_FLOW, "drop.icmp_no_flow",                                                       \
	  "ICMP error quotes no connection of ours or a sequence not in flight")                   \
	X(ICMP_MTU, "drop.icmp_mtu",                                                               \
	  "ICMPv6 packet too big that names an MTU below 1280 (RFC 8201 4)")                       \
	X(MLD_BAD, "drop.mld_bad", "query of no multicast router on this link (RFC 3810 6.2)")     \
	X(ICMP_RATE, "drop.icmp_rate", "answer withheld by the ICMP rate limit")                   \
	X(NO_FRAME, "drop.no_frame", "no free frame (UMEM exhausted)")                             \
	X(NO_MEMORY, "drop.no_memory", "arena exhausted")                                          \
	X(TX_QUEUE_FULL, "drop.tx_queue_full", "transmit queue full")                              \
	X(TX_DEVICE, "drop.tx_device", "device refused the packet (link or peer down, too long)")  \
	X(TX_INVALID, "drop.tx_invalid", "kernel found the transmit descriptor invalid")           \
	X(TCP_NO_SOCKET, "drop.tcp_no_socket",                                                     \
	  "no connection and no listener (answered with RST)")                                     \
	X(TCP_PAWS, "drop.tcp_paws", "timestamp older than the connection's (PAWS, RFC 7323 5.3)") \
	X(TCP_SEQ, "drop.tcp_seq", "sequence number outside the window")                           \
	X(TCP_ACK_INVALID, "drop.tcp_ack_invalid", "acknowledgment of something never sent")       \
	X(TCP_ACK_OLD, "drop.tcp_ack_old", "acknowledgment too old (RFC 5961 5.2)")                \
	X(TCP_NO_ACK, "drop.tcp_no_ack", "segment without ACK in a state that needs it")           \
	X(TCP_RST_INVALID, "drop.tcp_rst_invalid",                                                 \
	  "RST not at RCV.NXT (challenged, RFC 5961 3.2)")                                         \
	X(TCP_SYN_CHALLENGE, "drop.tcp_syn_challenge",                                             \
	  "SYN in a synchronized state (challenged, RFC 5961 4.2)")                                \
	X(TCP_COOKIE, "drop.tcp_cookie", "no SYN cookie of ours, while such are out")              \
	X(TCP_ECN, "drop.tcp_ecn",                                                                 \
	  "SYN once more that asks for another kind of ECN (answered with RST, RFC 9768 3.1.5)")   \
	X(TCP_ACCEPT_BACKLOG, "drop.tcp_accept_backlog", "accept queue full")                      \
	X(TCP_DUPLICATE, "drop.tcp_duplicate", "nothing new in the segment")                       \
	X(TCP_OOO_FULL, "drop.tcp_ooo_full", "reassembly queue full")                              \
	X(TCP_CLOSED, "drop.tcp_closed", "data after the application closed (answered with RST)")  \
	X(TCP_TIMEWAIT, "drop.tcp_timewait", "segment for a connection in TIME-WAIT")

enum mr_drop {
#define X(id, name, text) MR_DROP_##id,
	MR_DROP_LIST_XDP(X) MR_DROP_XDP_LAST,
	MR_DROP_USER_FIRST = MR_DROP_XDP_LAST - 1, /* so that the numbers continue without a gap */
	MR_DROP_LIST_USER(X)
#undef X
		MR_DROP_MAX
};

/* What the XDP program did with a packet. X(NAME, "public.name", "text"). The reasons of DROP are counted by
 * mr_drop. */
#define MR_XDP_VERDICT_LIST(X)                                                                     \
	X(PASS_NOT_IP, "xdp.pass_not_ip", "passed to the kernel: neither IP nor ARP")              \
	X(PASS_NOT_OURS, "xdp.pass_not_ours", "passed to the kernel: not our address or port")     \
	X(PASS_FRAGMENT, "xdp.pass_fragment",                                                      \
	  "passed to the kernel: IP fragment of a shared address, not known to be of TCP of ours") \
	X(PASS_MULTICAST, "xdp.pass_multicast", "passed to the kernel: broadcast or multicast")    \
	X(PASS_KERNEL, "xdp.pass_kernel",                                                          \
	  "passed to the kernel: a connection of its own on a port of ours")                       \
	X(REDIRECT_TCP, "xdp.redirect_tcp", "redirected to the engine: TCP")                       \
	X(REDIRECT_ARP, "xdp.redirect_arp", "redirected to the engine: ARP")                       \
	X(REDIRECT_ICMP, "xdp.redirect_icmp", "redirected to the engine: ICMP or ICMPv6")          \
	X(REDIRECT_OTHER, "xdp.redirect_other",                                                    \
	  "redirected to the engine: other protocol to an own address")                            \
	X(DROP, "xdp.drop", "dropped, see the drop reasons")                                       \
	X(CSUM_GOOD, "xdp.csum_good", "of the redirected: checksum verified")                      \
	X(CSUM_PARTIAL, "xdp.csum_partial",                                                        \
	  "of the redirected: checksum left partial by a local sender, accepted")                  \
	X(CSUM_UNVERIFIED, "xdp.csum_unverified",                                                  \
	  "of the redirected: checksum left to the engine")                                        \
	X(ARP_NOTED, "xdp.arp_noted",                                                              \
	  "gratuitous ARP of a neighbour, noted and passed to the kernel")                         \
	X(ND_NOTED, "xdp.nd_noted",                                                                \
	  "advertisement of a router or neighbour, noted and passed to the kernel")

enum mr_xdp_verdict {
#define X(id, name, text) MR_XDP_##id,
	MR_XDP_VERDICT_LIST(X)
#undef X
		MR_XDP_VERDICT_MAX
};

/* Per-CPU counters: the only value of the map mr_stats. */
struct mr_xdp_stats {
	__u64 verdict[MR_XDP_VERDICT_MAX];
	__u64 drop[MR_DROP_XDP_LAST];
};

/* Checksum policy, load-time data. Senders on this host leave TCP checksums partial. */
enum mr_csum_policy {
	MR_CSUM_VERIFY,		/* verify; a partial checksum is wrong */
	MR_CSUM_VERIFY_PARTIAL, /* verify; accept a field that has only the pseudo-header sum */
	MR_CSUM_OFF,		/* the engine verifies in user space */
};

/* Verdict on the L4 checksum, in mr_rx_meta. */
enum mr_csum_verdict {
	MR_CSUM_UNVERIFIED,
	MR_CSUM_GOOD,
	MR_CSUM_PARTIAL,
};

/* mr_rx_meta.flags */
#define MR_META_VLAN	 (1u << 0) /* there was at least one VLAN tag before the L3 header */
#define MR_META_FRAGMENT (1u << 1) /* IP fragment: l4_off is meaningless */
#define MR_META_TCP	 (1u << 2) /* TCP, every header check passed, l4_off and pay_off are valid */

#define MR_RX_META_MAGIC 0x4d524d54u /* "MRMT" */

/*
 * Written by the XDP program directly in front of the packet (bpf_xdp_adjust_meta()). Without that, these bytes are
 * stale, so user space uses them only if magic and cookie match. Offsets are from the first byte of the Ethernet
 * header. Host byte order.
 */
struct mr_rx_meta {
	__u32 magic;	  /* MR_RX_META_MAGIC */
	__u32 cookie;	  /* mr_xdp_cfg.cookie, random for each load */
	__u32 hash;	  /* mr_flow_hash() of the packet's flow, 0 unless MR_META_TCP */
	__u16 l3_off;	  /* IPv4/IPv6/ARP header */
	__u16 l4_off;	  /* TCP/ICMP/... header */
	__u16 pay_off;	  /* first byte behind the TCP header, options included */
	__u16 pay_len;	  /* TCP payload bytes; link-layer padding does not count */
	__be16 eth_proto; /* of the L3 header, wire order (ETH_P_IP, ETH_P_IPV6, ETH_P_ARP) */
	__u8 l4_proto;	  /* IPPROTO_*, 0 for ARP */
	__u8 csum;	  /* enum mr_csum_verdict */
	__u16 flags;	  /* MR_META_* */
	__u16 rx_queue;
};
_Static_assert(sizeof(struct mr_rx_meta) == 28, "adjust_meta wants a multiple of 4, at most 216");

/* Load-time data (const volatile in .rodata). */
struct mr_xdp_cfg {
	__u64 hash_key[2]; /* key of mr_flow_hash() */
	__u32 cookie;	   /* see mr_rx_meta */
	__u32 csum_policy; /* enum mr_csum_policy */
};

/* Key of the hash map mr_addrs: the local addresses that are ours or shared. IPv4 as ::ffff:a.b.c.d. */
struct mr_addr_key {
	__be32 addr[4];
};
_Static_assert(sizeof(struct mr_addr_key) == 16, "no hidden padding in a map key");

/* The kernel does not have it: ARP, ICMP and every port are ours. */
#define MR_ADDR_OWN    (1u << 0)
#define MR_ADDR_SHARED (1u << 1) /* the kernel has it: only the ports in mr_ports are ours */

/* The value for a shared address also has a slot: its bit in struct mr_steer_port. The slots of each family are
 * adjacent, so that a mask can stand for all of its addresses, including future ones. */
#define MR_STEER_SLOTS		63u
#define MR_STEER_SLOTS4		32u /* the first ones are for IPv4 */
#define MR_STEER_V4		((1ull << MR_STEER_SLOTS4) - 1)
#define MR_STEER_V6		(((1ull << MR_STEER_SLOTS) - 1) & ~MR_STEER_V4)
#define MR_STEER_KERNEL		(1ull << MR_STEER_SLOTS)
#define MR_ADDR_SLOT_OF(v)	((v) >> 8)
#define MR_ADDR_WITH_SLOT(slot) (MR_ADDR_SHARED | (slot) << 8)

/* Value of the map mr_ports, an array indexed by port in host byte order. User space has it mapped: opening a port is
 * a write to memory. Both words are written and read atomically. */
struct mr_steer_port {
	/* Bit s: TCP to this port of the address with slot s is ours; with MR_STEER_KERNEL, except for connections of
	 * the kernel. */
	__u64 divert;
	/* Bit s: there is a listener of ours, so SYNs are ours, too; read only with MR_STEER_KERNEL. */
	__u64 listen;
};
_Static_assert(sizeof(struct mr_steer_port) == 16, "an array's values are padded to 8 bytes");

/* Records of the ring buffer mr_notes: passed packets that an engine has to know of. They are distinguished by their
 * size. */
struct mr_note_arp {
	__u8 sha[6];
	__u16 zero;
	__be32 spa;
};

#define MR_NOTE_ND_BYTES 256 /* a longer message is not noted */

/* A multicast ICMPv6 message: an advertisement with hop limit 255, or a query of a multicast router with hop limit 1
 * and a router alert. Its checksum is not verified yet. */
struct mr_note_nd {
	__be32 src[4], dst[4];
	__u32 len;
	__u8 msg[MR_NOTE_ND_BYTES]; /* from the ICMPv6 type on */
};

/*
 * The flow hash: SipHash-1-3 over (remote address, local address, remote port, local port), with a secret key, so
 * that an attacker cannot fill one bucket. XDP program and engine must agree on it. Addresses are four words in
 * network byte order; of mapped IPv4 addresses only the last word is hashed, which halves the work. The last word of
 * the message has the ports and, as in SipHash, the length of the message. Never 0, which means "no hash".
 */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MR_V4_MAPPED 0xffff0000u
#else
#define MR_V4_MAPPED 0x0000ffffu
#endif
#define MR_ROTL64(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define MR_SIPROUND(v0, v1, v2, v3)                                                                \
	do {                                                                                       \
		(v0) += (v1);                                                                      \
		(v1) = MR_ROTL64(v1, 13);                                                          \
		(v1) ^= (v0);                                                                      \
		(v0) = MR_ROTL64(v0, 32);                                                          \
		(v2) += (v3);                                                                      \
		(v3) = MR_ROTL64(v3, 16);                                                          \
		(v3) ^= (v2);                                                                      \
		(v0) += (v3);                                                                      \
		(v3) = MR_ROTL64(v3, 21);                                                          \
		(v3) ^= (v0);                                                                      \
		(v2) += (v1);                                                                      \
		(v1) = MR_ROTL64(v1, 17);                                                          \
		(v1) ^= (v2);                                                                      \
		(v2) = MR_ROTL64(v2, 32);                                                          \
	} while (0)

#define MR_SIPWORD(v0, v1, v2, v3, word)                                                           \
	do {                                                                                       \
		__u64 w_ = (word);                                                                 \
		(v3) ^= w_;                                                                        \
		MR_SIPROUND(v0, v1, v2, v3);                                                       \
		(v0) ^= w_;                                                                        \
	} while (0)

static inline __attribute__((always_inline)) __u32 mr_flow_hash(const __u64 key[2],
								const __be32 remote[4],
								const __be32 local[4], __be16 rport,
								__be16 lport)
{
	__u64 v0 = key[0] ^ 0x736f6d6570736575ull, v1 = key[1] ^ 0x646f72616e646f6dull;
	__u64 v2 = key[0] ^ 0x6c7967656e657261ull, v3 = key[1] ^ 0x7465646279746573ull;
	__u64 last = (__u64)rport << 16 | lport, h;

	if (remote[2] == MR_V4_MAPPED && local[2] == MR_V4_MAPPED && !remote[0] && !remote[1] &&
	    !local[0] && !local[1]) {
		MR_SIPWORD(v0, v1, v2, v3, (__u64)remote[3] << 32 | local[3]);
		last |= (__u64)12 << 56;
	} else {
		MR_SIPWORD(v0, v1, v2, v3, (__u64)remote[0] << 32 | remote[1]);
		MR_SIPWORD(v0, v1, v2, v3, (__u64)remote[2] << 32 | remote[3]);
		MR_SIPWORD(v0, v1, v2, v3, (__u64)local[0] << 32 | local[1]);
		MR_SIPWORD(v0, v1, v2, v3, (__u64)local[2] << 32 | local[3]);
		last |= (__u64)36 << 56;
	}
	MR_SIPWORD(v0, v1, v2, v3, last);
	v2 ^= 0xff;
	MR_SIPROUND(v0, v1, v2, v3);
	MR_SIPROUND(v0, v1, v2, v3);
	MR_SIPROUND(v0, v1, v2, v3);
	h = v0 ^ v1 ^ v2 ^ v3;
	h ^= h >> 32;
	return (__u32)h ? (__u32)h : 1;
}

#endif
