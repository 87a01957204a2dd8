// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_program.c - the XDP program by BPF_PROG_TEST_RUN: a packet in, the verdict, the counters and
 * the metadata out. Every packet must be counted exactly once; at the end, every verdict and every
 * drop reason must have been seen.
 *
 * Every packet also goes through the program built without the short way (bpf/quick.h), and nothing may differ.
 *
 * The addresses: 10.0.0.1 and fd00::1 are own; 10.0.0.2, 10.0.0.4 and fd00::2 are shared, with port 80 of
 * the first and the last, port 8080 of any address and 8081 of any IPv4 one; whatever else is the kernel's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/packet.h"
#include "base/addr.h"
#include "base/compiler.h"
#include "base/counters.h"
#include "long_way.skel.h"
#include "millrace.skel.h"

#define EXIT_SKIPPED 77

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10
#define URG 0x20
#define ECE 0x40
#define CWR 0x80

#define COOKIE 0xc0017e5u
static const uint64_t hash_key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

/* One loaded program for each checksum policy, and what they were seen to do. */
static struct millrace_bpf *progs[MR_CSUM_OFF + 1];
static struct mr_xdp_stats seen;

/* The same without the short way. Its maps are those of progs, but for what it counts and notes. */
static struct long_way_bpf *long_ways[MR_CSUM_OFF + 1];
static struct ring_buffer *long_notes[MR_CSUM_OFF + 1];

/* The slots of the shared addresses. */
#define SLOT4 0u
#define SLOT6 MR_STEER_SLOTS4

static void set_port(struct millrace_bpf *prog, uint16_t port, __u64 divert, __u64 listen)
{
	const struct mr_steer_port value = { .divert = divert, .listen = listen };
	uint32_t key = port;

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(prog->maps.mr_ports), &key, &value, BPF_ANY), 0);
}

/* ---- Running one packet ---------------------------------------------------------------------- */

struct result {
	uint32_t action;
	struct mr_xdp_stats count;     /* what this packet was counted as */
	const struct mr_rx_meta *meta; /* NULL: none was written */
	uint32_t len;		       /* of out: metadata and packet */
	uint8_t out[PACKET_MAX + 256];
};

static void read_stats(int map, struct mr_xdp_stats *sum)
{
	int ncpus = libbpf_num_possible_cpus();
	struct mr_xdp_stats *percpu = calloc((size_t)ncpus, sizeof(*percpu));
	uint32_t key = 0;

	assert_int_equal(bpf_map_lookup_elem(map, &key, percpu), 0);
	memset(sum, 0, sizeof(*sum));
	for (int cpu = 0; cpu < ncpus; cpu++)
		for (size_t i = 0; i < sizeof(*sum) / sizeof(__u64); i++)
			((__u64 *)sum)[i] += ((__u64 *)&percpu[cpu])[i];
	free(percpu);
}

static void run_program(const struct bpf_program *xdp, const struct bpf_map *stats,
			const void *packet, uint32_t len, uint32_t meta_len, struct result *r)
{
	static uint8_t in[PACKET_MAX + 256];
	struct xdp_md ctx_in = { .data = meta_len, .data_end = meta_len + len }, ctx_out = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = meta_len + len,
		    .data_out = r->out, .data_size_out = sizeof(r->out), .ctx_in = &ctx_in,
		    .ctx_size_in = sizeof(ctx_in), .ctx_out = &ctx_out,
		    .ctx_size_out = sizeof(ctx_out));
	struct mr_xdp_stats before;
	int ret;

	memset(in, 0, meta_len);
	memcpy(in + meta_len, packet, len);
	read_stats(bpf_map__fd(stats), &before);
	ret = bpf_prog_test_run_opts(bpf_program__fd(xdp), &opts);
	if (ret)
		fail_msg("BPF_PROG_TEST_RUN of %u bytes: %s", len, strerror(-ret));
	read_stats(bpf_map__fd(stats), &r->count);
	for (size_t i = 0; i < sizeof(before) / sizeof(__u64); i++)
		((__u64 *)&r->count)[i] -= ((__u64 *)&before)[i];
	r->action = opts.retval;
	r->meta = ctx_out.data > meta_len ? (const void *)r->out : NULL;
	r->len = opts.data_size_out;
	if (r->action == XDP_REDIRECT) {
		assert_int_equal(ctx_out.data, sizeof(*r->meta) + meta_len);
		assert_int_equal(r->len, ctx_out.data + len);
	}
	/* Whatever was decided, the packet itself is untouched. */
	assert_memory_equal(r->out + ctx_out.data, packet, len);
}

static void fail_with_packet(const char *what, const uint8_t *packet, uint32_t len)
{
	for (uint32_t i = 0; i < len && i < 128; i++)
		print_error("%02x%s", packet[i], i % 32 == 31 ? "\n" : "");
	fail_msg("%s, a packet of %u bytes", what, len);
}

/* meta_len: bytes of metadata that the packet has already when the program gets it. */
static void run_on(struct millrace_bpf *prog, const void *packet, uint32_t len, uint32_t meta_len,
		   struct result *r)
{
	static struct result other;
	struct long_way_bpf *long_way = NULL;

	for (size_t i = 0; i < MR_ARRAY_SIZE(progs); i++)
		if (progs[i] == prog)
			long_way = long_ways[i];
	run_program(prog->progs.mr_xdp, prog->maps.mr_stats, packet, len, meta_len, r);
	for (size_t i = 0; i < sizeof(seen) / sizeof(__u64); i++)
		((__u64 *)&seen)[i] += ((__u64 *)&r->count)[i];

	run_program(long_way->progs.mr_xdp, long_way->maps.mr_stats, packet, len, meta_len, &other);
	if (other.action != r->action || memcmp(&other.count, &r->count, sizeof(r->count)) != 0)
		fail_with_packet("the short way decides otherwise", packet, len);
	if (!other.meta != !r->meta || other.len != r->len ||
	    memcmp(other.out, r->out, r->len) != 0)
		fail_with_packet("the short way delivers something else", packet, len);
}

/* How many notes there are, and ring's callback has seen them; the long way noted the same. */
static int consume_notes(enum mr_csum_policy policy, struct ring_buffer *ring)
{
	int n = ring_buffer__consume(ring);

	assert_int_equal(ring_buffer__consume(long_notes[policy]), n);
	return n;
}

/* The one verdict that a packet was counted as; the checksum counters go along with it. */
static enum mr_xdp_verdict verdict_of(const struct result *r)
{
	enum mr_xdp_verdict verdict = MR_XDP_VERDICT_MAX;
	uint64_t verdicts = 0, drops = 0, csums = 0;

	for (int i = 0; i < MR_XDP_VERDICT_MAX; i++) {
		if (i >= MR_XDP_CSUM_GOOD && i <= MR_XDP_CSUM_UNVERIFIED) {
			csums += r->count.verdict[i];
			continue;
		}
		verdicts += r->count.verdict[i];
		if (r->count.verdict[i])
			verdict = (enum mr_xdp_verdict)i;
	}
	for (int i = 0; i < MR_DROP_XDP_LAST; i++)
		drops += r->count.drop[i];
	assert_int_equal(verdicts, 1);
	assert_int_equal(drops, verdict == MR_XDP_DROP);
	assert_int_equal(csums, verdict == MR_XDP_REDIRECT_TCP || verdict == MR_XDP_REDIRECT_ICMP ||
					verdict == MR_XDP_REDIRECT_OTHER);
	return verdict;
}

static enum mr_drop drop_of(const struct result *r)
{
	for (int i = 0; i < MR_DROP_XDP_LAST; i++)
		if (r->count.drop[i])
			return (enum mr_drop)i;
	return MR_DROP_NONE;
}

static uint32_t action_for(enum mr_xdp_verdict verdict)
{
	switch (verdict) {
	case MR_XDP_DROP:
		return XDP_DROP;
	case MR_XDP_REDIRECT_TCP:
	case MR_XDP_REDIRECT_ARP:
	case MR_XDP_REDIRECT_ICMP:
	case MR_XDP_REDIRECT_OTHER:
		return XDP_REDIRECT;
	default:
		return XDP_PASS;
	}
}

static void expect_on(enum mr_csum_policy policy, const struct packet *p, const char *claim,
		      enum mr_xdp_verdict verdict, enum mr_drop drop, struct result *r)
{
	enum mr_xdp_verdict got;

	run_on(progs[policy], p->b, p->len, 0, r);
	got = verdict_of(r);
	if (got != verdict || drop_of(r) != drop || r->action != action_for(verdict))
		fail_msg("%s: %s %s, wanted %s %s", claim, mr_xdp_verdict_name(got),
			 mr_drop_name(drop_of(r)), mr_xdp_verdict_name(verdict),
			 mr_drop_name(drop));
}

/* ---- Verdicts -------------------------------------------------------------------------------- */

#define PASSED(name) .verdict = MR_XDP_PASS_##name
#define REDIR(name)  .verdict = MR_XDP_REDIRECT_##name
#define DROPPED(why) .verdict = MR_XDP_DROP, .drop = MR_DROP_##why
#define OWN6	     .v6 = true
#define SHARED4	     .dst = "10.0.0.2"
#define SHARED6	     .v6 = true, .dst = "fd00::2"
#define ICMP4	     .proto = IPPROTO_ICMP
#define ICMP6	     .v6 = true, .proto = IPPROTO_ICMPV6

/* Packets of ours, as ICMP errors quote them. */
static const struct desc sent4 = {
	.src = "10.0.0.2", .dst = "10.0.0.9", .sport = 80, .dport = 4000
};
static const struct desc sent4_opt = {
	.src = "10.0.0.2", .dst = "10.0.0.9", .sport = 80, .ip_opt = 10
};
static const struct desc sent4_any = { .src = "10.0.0.2", .dst = "10.0.0.9", .sport = 8080 };
static const struct desc sent4_other = { .src = "10.0.0.2", .dst = "10.0.0.9", .sport = 81 };
static const struct desc sent4_own = { .src = "10.0.0.1", .dst = "10.0.0.9", .sport = 80 };
static const struct desc sent4_frag = {
	.src = "10.0.0.2", .dst = "10.0.0.9", .sport = 80, .frag = 9
};
static const struct desc sent4_udp = { .src = "10.0.0.2", .dst = "10.0.0.9", .proto = IPPROTO_UDP };
static const struct desc sent6 = { .v6 = true, .src = "fd00::2", .dst = "fd00::9", .sport = 80 };
static const struct desc sent6_other = {
	.v6 = true, .src = "fd00::2", .dst = "fd00::9", .sport = 81
};
static const struct desc sent6_own = {
	.v6 = true, .src = "fd00::1", .dst = "fd00::9", .sport = 80
};
static const struct desc sent6_ext = {
	.v6 = true, .src = "fd00::2", .dst = "fd00::9", .sport = 80, .ext = "D"
};

static const struct {
	const char *claim;
	struct desc desc;
	enum mr_xdp_verdict verdict;
	enum mr_drop drop;
} ip_rows[] = {
	/* What is whose. */
	{ "TCP to an own address, any port", { .dport = 9 }, REDIR(TCP) },
	{ "the same in IPv6", { OWN6, .dport = 9 }, REDIR(TCP) },
	{ "TCP to another address", { .dst = "10.0.0.3" }, PASSED(NOT_OURS) },
	{ "the same in IPv6", { .v6 = true, .dst = "fd00::3" }, PASSED(NOT_OURS) },
	{ "TCP to a shared address, listed port", { SHARED4 }, REDIR(TCP) },
	{ "the same in IPv6", { SHARED6 }, REDIR(TCP) },
	{ "TCP to a shared address, port listed for any", { SHARED4, .dport = 8080 }, REDIR(TCP) },
	{ "the same in IPv6", { SHARED6, .dport = 8080 }, REDIR(TCP) },
	{ "a port listed for one address, on another one",
	  { .dst = "10.0.0.4", .dport = 80 },
	  PASSED(NOT_OURS) },
	{ "a port listed for any, on another one",
	  { .dst = "10.0.0.4", .dport = 8080 },
	  REDIR(TCP) },
	{ "a port listed for IPv4", { SHARED4, .dport = 8081 }, REDIR(TCP) },
	{ "the same in IPv6", { SHARED6, .dport = 8081 }, PASSED(NOT_OURS) },
	{ "TCP to a shared address, other port", { SHARED4, .dport = 81 }, PASSED(NOT_OURS) },
	{ "the same in IPv6", { SHARED6, .dport = 81 }, PASSED(NOT_OURS) },
	{ "a port listed for any, on a foreign address",
	  { .dst = "10.0.0.3", .dport = 8080 },
	  PASSED(NOT_OURS) },
	{ "a listed port as source", { SHARED4, .sport = 80, .dport = 81 }, PASSED(NOT_OURS) },
	{ "a wrong checksum that is not ours",
	  { .dst = "10.0.0.3", .csum = CSUM_WRONG },
	  PASSED(NOT_OURS) },
	{ "UDP to an own address", { .proto = IPPROTO_UDP }, REDIR(OTHER) },
	{ "the same in IPv6", { OWN6, .proto = IPPROTO_UDP }, REDIR(OTHER) },
	{ "UDP to a shared address", { SHARED4, .proto = IPPROTO_UDP }, PASSED(NOT_OURS) },
	{ "the same in IPv6", { SHARED6, .proto = IPPROTO_UDP }, PASSED(NOT_OURS) },
	{ "an unknown protocol to an own address", { .proto = 200 }, REDIR(OTHER) },
	{ "ICMPv6 over IPv4 is some protocol", { .proto = IPPROTO_ICMPV6 }, REDIR(OTHER) },
	{ "ICMP over IPv6 is some protocol", { OWN6, .proto = IPPROTO_ICMP }, REDIR(OTHER) },
	{ "IPv6 to a mapped own address",
	  { .v6 = true, .dst = "::ffff:10.0.0.1" },
	  PASSED(NOT_OURS) },

	/* Broadcast and multicast. */
	{ "Ethernet multicast to an own address", { .group = true }, PASSED(MULTICAST) },
	{ "the same in IPv6", { OWN6, .group = true }, PASSED(MULTICAST) },
	{ "Ethernet multicast to another address",
	  { .group = true, .dst = "10.0.0.3" },
	  PASSED(MULTICAST) },
	{ "IPv4 multicast", { .dst = "224.0.0.1" }, PASSED(MULTICAST) },
	{ "limited broadcast",
	  { .dst = "255.255.255.255", .proto = IPPROTO_UDP },
	  PASSED(MULTICAST) },
	{ "IPv6 multicast", { .v6 = true, .dst = "ff02::1", .group = true }, PASSED(MULTICAST) },

	/* Ethernet and VLAN. */
	{ "neither IP nor ARP", { .ethertype = 0x88cc }, PASSED(NOT_IP) },
	{ "an IEEE 802.3 length", { .ethertype = 100 }, PASSED(NOT_IP) },
	{ "one priority tag", { .nvlan = 1, .tci = { 0xe000 } }, REDIR(TCP) },
	{ "two priority tags", { .nvlan = 2, .tci = { 0xe000, 0x2000 } }, REDIR(TCP) },
	{ "two priority tags and IPv6", { OWN6, .nvlan = 2 }, REDIR(TCP) },
	{ "VLAN 1", { .nvlan = 1, .tci = { 1 } }, PASSED(NOT_OURS) },
	{ "VLAN 4095 with priority", { .nvlan = 1, .tci = { 0xffff } }, PASSED(NOT_OURS) },
	{ "VLAN 2 in VLAN 0", { .nvlan = 2, .tci = { 0, 2 } }, PASSED(NOT_OURS) },
	{ "VLAN 0 in VLAN 2", { .nvlan = 2, .tci = { 2, 0 } }, PASSED(NOT_OURS) },
	{ "three tags", { .nvlan = 3 }, PASSED(NOT_IP) },
	{ "a tag cut short", { .nvlan = 1, .cut = 17 }, PASSED(NOT_IP) },
	{ "a second tag cut short", { .nvlan = 2, .cut = 21 }, PASSED(NOT_IP) },
	{ "a tagged wrong checksum", { .nvlan = 1, .csum = CSUM_WRONG }, DROPPED(TCP_BAD_CSUM) },

	/* The IPv4 header. */
	{ "all option words", { .ip_opt = 10 }, REDIR(TCP) },
	{ "options, shared", { SHARED4, .ip_opt = 1 }, REDIR(TCP) },
	{ "options, shared, other port", { SHARED4, .ip_opt = 1, .dport = 81 }, PASSED(NOT_OURS) },
	{ "version 5", { .before = { { L3, 0, 0x55 } } }, DROPPED(IP_BAD_VERSION) },
	{ "version 6 where the Ethernet type says 4",
	  { .before = { { L3, 0, 0x65 } } },
	  DROPPED(IP_BAD_VERSION) },
	{ "version 5, shared",
	  { SHARED4, .before = { { L3, 0, 0x55 } } },
	  DROPPED(IP_BAD_VERSION) },
	{ "version 5, another's",
	  { .dst = "10.0.0.3", .before = { { L3, 0, 0x55 } } },
	  PASSED(NOT_OURS) },
	{ "header of 4 words", { .before = { { L3, 0, 0x44 } } }, DROPPED(IP_BAD_HDRLEN) },
	{ "header of 0 words", { .before = { { L3, 0, 0x40 } } }, DROPPED(IP_BAD_HDRLEN) },
	{ "header of 4 words hides the port",
	  { SHARED4, .before = { { L3, 0, 0x44 } } },
	  PASSED(NOT_OURS) },
	{ "total length 19", { .before = { { L3, 3, 19 } } }, DROPPED(IP_BAD_LEN) },
	{ "total length 0", { .before = { { L3, 3, 0 } } }, DROPPED(IP_BAD_LEN) },
	{ "total length below the options",
	  { .ip_opt = 3, .before = { { L3, 3, 28 } } },
	  DROPPED(IP_BAD_LEN) },
	{ "total length below the header hides the port",
	  { SHARED4, .before = { { L3, 3, 19 } } },
	  PASSED(NOT_OURS) },
	{ "total length one above the frame",
	  { .payload = 10, .before = { { L3, 3, 51 } } },
	  DROPPED(IP_TRUNCATED) },
	{ "total length 65535",
	  { .before = { { L3, 2, 0xff }, { L3, 3, 0xff } } },
	  DROPPED(IP_TRUNCATED) },
	{ "the same, shared", { SHARED4, .before = { { L3, 2, 0xff } } }, DROPPED(IP_TRUNCATED) },
	{ "padding behind the packet", { .pad = 6 }, REDIR(TCP) },
	{ "padding and an odd payload", { .payload = 3, .pad = 30 }, REDIR(TCP) },
	{ "header checksum wrong",
	  { .after = { { L3, 10, 0 }, { L3, 11, 0 } } },
	  DROPPED(IP_BAD_CSUM) },
	{ "TTL changed", { .after = { { L3, 8, 63 } } }, DROPPED(IP_BAD_CSUM) },
	{ "an option changed", { .ip_opt = 10, .after = { { L3, 59, 0 } } }, DROPPED(IP_BAD_CSUM) },
	{ "header checksum wrong, shared",
	  { SHARED4, .after = { { L3, 8, 63 } } },
	  DROPPED(IP_BAD_CSUM) },
	{ "header checksum wrong, another's",
	  { .dst = "10.0.0.3", .after = { { L3, 8, 63 } } },
	  PASSED(NOT_OURS) },

	/* Sources that no host may send from. */
	{ "from 0.0.0.0", { .src = "0.0.0.0" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from 0.1.2.3", { .src = "0.1.2.3" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from 127.0.0.1", { .src = "127.0.0.1" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from 224.0.0.1", { .src = "224.0.0.1" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from 240.0.0.1", { .src = "240.0.0.1" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from 255.255.255.255", { .src = "255.255.255.255" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from 126.0.0.1", { .src = "126.0.0.1" }, REDIR(TCP) },
	{ "from 128.0.0.1", { .src = "128.0.0.1" }, REDIR(TCP) },
	{ "from 223.255.255.254", { .src = "223.255.255.254" }, REDIR(TCP) },
	{ "from loopback, shared", { SHARED4, .src = "127.0.0.1" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from ::1", { OWN6, .src = "::1" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from ::", { OWN6, .src = "::" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from ff02::1", { OWN6, .src = "ff02::1" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from ::ffff:10.0.0.9", { OWN6, .src = "::ffff:10.0.0.9" }, DROPPED(IP_MARTIAN_SRC) },
	{ "from ::2", { OWN6, .src = "::2" }, REDIR(TCP) },
	{ "from fe80::9", { OWN6, .src = "fe80::9" }, REDIR(TCP) },
	{ "TCP from its own destination", { .src = "10.0.0.1" }, DROPPED(TCP_LAND) },
	{ "the same in IPv6", { OWN6, .src = "fd00::1" }, DROPPED(TCP_LAND) },
	{ "the same, shared", { SHARED4, .src = "10.0.0.2" }, DROPPED(TCP_LAND) },
	{ "UDP from its own destination",
	  { .src = "10.0.0.1", .proto = IPPROTO_UDP },
	  DROPPED(IP_MARTIAN_SRC) },

	/* Fragments. */
	{ "first fragment, own", { .frag = 0x2000, .payload = 8 }, REDIR(OTHER) },
	{ "last fragment, own", { .frag = 0x0001, .payload = 8 }, REDIR(OTHER) },
	{ "last fragment, shared, before the first",
	  { SHARED4, .frag = 0x0001 },
	  PASSED(FRAGMENT) },
	{ "first fragment, shared, listed port", { SHARED4, .frag = 0x2000 }, REDIR(OTHER) },
	{ "last fragment, shared, after the first", { SHARED4, .frag = 0x0001 }, REDIR(OTHER) },
	{ "first fragment, shared, other port, with the ID of one of ours before",
	  { SHARED4, .dport = 81, .frag = 0x2000 },
	  PASSED(FRAGMENT) },
	{ "last fragment of that", { SHARED4, .frag = 0x0001 }, PASSED(FRAGMENT) },
	{ "last fragment of another datagram",
	  { SHARED4, .frag = 0x0001, .before = { { L3, 5, 1 } } },
	  PASSED(FRAGMENT) },
	{ "last fragment from another host",
	  { SHARED4, .src = "10.0.0.8", .frag = 0x0001 },
	  PASSED(FRAGMENT) },
	{ "first fragment, shared, other port",
	  { SHARED4, .dport = 81, .frag = 0x2000, .before = { { L3, 5, 2 } } },
	  PASSED(FRAGMENT) },
	{ "last fragment of it",
	  { SHARED4, .frag = 0x0001, .before = { { L3, 5, 2 } } },
	  PASSED(FRAGMENT) },
	{ "a fragment of UDP, shared",
	  { SHARED4, .proto = IPPROTO_UDP, .frag = 0x2000 },
	  PASSED(FRAGMENT) },
	{ "a fragment of another's", { .dst = "10.0.0.3", .frag = 0x2000 }, PASSED(NOT_OURS) },
	{ "DF is no fragment", { .frag = 0x4000 }, REDIR(TCP) },
	{ "a fragment's header is verified",
	  { .frag = 0x2000, .after = { { L3, 8, 1 } } },
	  DROPPED(IP_BAD_CSUM) },
	{ "IPv6 fragment, own", { OWN6, .ext = "f" }, REDIR(OTHER) },
	{ "last IPv6 fragment, shared, before the first",
	  { SHARED6, .ext = "f", .before = { { L3, 43, 8 } } },
	  PASSED(FRAGMENT) },
	{ "first IPv6 fragment, shared, other port",
	  { SHARED6, .ext = "f", .dport = 81 },
	  PASSED(FRAGMENT) },
	{ "first IPv6 fragment, shared, listed port", { SHARED6, .ext = "f" }, REDIR(OTHER) },
	{ "last IPv6 fragment, shared, after the first",
	  { SHARED6, .ext = "f", .before = { { L3, 43, 8 } } },
	  REDIR(OTHER) },
	{ "last IPv6 fragment of another datagram",
	  { SHARED6, .ext = "f", .before = { { L3, 43, 8 }, { L3, 47, 1 } } },
	  PASSED(FRAGMENT) },
	{ "an atomic fragment is whole", { SHARED6, .ext = "a" }, REDIR(TCP) },

	/* IPv6 and its extension headers. */
	{ "version 5 in IPv6", { OWN6, .before = { { L3, 0, 0x50 } } }, DROPPED(IP_BAD_VERSION) },
	{ "payload length one above the frame",
	  { OWN6, .before = { { L3, 5, 21 } } },
	  DROPPED(IP_TRUNCATED) },
	{ "hop-by-hop", { SHARED6, .ext = "H" }, REDIR(TCP) },
	{ "hop-by-hop, routing, destination", { SHARED6, .ext = "HRD" }, REDIR(TCP) },
	{ "extension headers of 64 bytes", { SHARED6, .ext = "HRD", .ext_words = 7 }, REDIR(TCP) },
	{ "the longest extension header", { OWN6, .ext = "H", .ext_words = 255 }, REDIR(TCP) },
	{ "six extension headers", { OWN6, .ext = "HDDDDD" }, REDIR(TCP) },
	{ "seven extension headers", { OWN6, .ext = "HDDDDDD" }, DROPPED(IP_EXTHDR) },
	{ "seven hide the port", { SHARED6, .ext = "HDDDDDD" }, PASSED(NOT_OURS) },
	{ "hop-by-hop not first", { OWN6, .ext = "DH" }, DROPPED(IP_EXTHDR) },
	{ "extension header beyond the packet",
	  { OWN6, .ext = "D", .before = { { L3, 41, 9 } } },
	  DROPPED(IP_EXTHDR) },
	{ "extension header beyond the payload length",
	  { OWN6, .ext = "D", .payload = 80, .before = { { L3, 5, 7 } } },
	  DROPPED(IP_EXTHDR) },
	{ "an authentication header is not read", { OWN6, .ext = "A" }, REDIR(OTHER) },
	{ "and hides the port", { SHARED6, .ext = "A" }, PASSED(NOT_OURS) },
	{ "wrong checksum behind extension headers",
	  { SHARED6, .ext = "HD", .csum = CSUM_WRONG },
	  DROPPED(TCP_BAD_CSUM) },

	/* TCP. */
	{ "40 bytes of options", { .tcp_opt = 10, .payload = 5 }, REDIR(TCP) },
	{ "data offset 4", { .before = { { L4, 12, 0x40 } } }, DROPPED(TCP_BAD_HDRLEN) },
	{ "data offset beyond the packet",
	  { .before = { { L4, 12, 0x60 } } },
	  DROPPED(TCP_BAD_HDRLEN) },
	{ "data offset up to the end",
	  { .payload = 4, .before = { { L4, 12, 0x60 } } },
	  REDIR(TCP) },
	{ "19 bytes of TCP", { .before = { { L3, 3, 39 } } }, DROPPED(TCP_TRUNCATED) },
	{ "19 bytes of TCP, shared",
	  { SHARED4, .before = { { L3, 3, 39 } } },
	  DROPPED(TCP_TRUNCATED) },
	{ "no byte of TCP, own", { .before = { { L3, 3, 20 } } }, DROPPED(TCP_TRUNCATED) },
	{ "3 bytes of TCP name no port",
	  { SHARED4, .before = { { L3, 3, 23 } } },
	  PASSED(NOT_OURS) },
	{ "source port 0", { .zero_sport = true }, DROPPED(TCP_PORT_ZERO) },
	{ "destination port 0", { .zero_dport = true }, DROPPED(TCP_PORT_ZERO) },
	{ "source port 0, shared", { SHARED4, .zero_sport = true }, DROPPED(TCP_PORT_ZERO) },
	{ "no flags", { .no_flags = true }, DROPPED(TCP_BAD_FLAGS) },
	{ "FIN alone", { .flags = FIN }, DROPPED(TCP_BAD_FLAGS) },
	{ "PSH URG", { .flags = PSH | URG }, DROPPED(TCP_BAD_FLAGS) },
	{ "FIN PSH URG (Xmas)", { .flags = FIN | PSH | URG }, DROPPED(TCP_BAD_FLAGS) },
	{ "SYN FIN", { .flags = SYN | FIN }, DROPPED(TCP_BAD_FLAGS) },
	{ "SYN FIN ACK", { .flags = SYN | FIN | ACK }, DROPPED(TCP_BAD_FLAGS) },
	{ "SYN RST", { .flags = SYN | RST }, DROPPED(TCP_BAD_FLAGS) },
	{ "RST FIN ACK", { .flags = RST | FIN | ACK }, DROPPED(TCP_BAD_FLAGS) },
	{ "all flags", { .flags = 0xff }, DROPPED(TCP_BAD_FLAGS) },
	{ "SYN FIN to a port that is not ours",
	  { SHARED4, .dport = 81, .flags = SYN | FIN },
	  PASSED(NOT_OURS) },
	{ "SYN", { .flags = SYN }, REDIR(TCP) },
	{ "SYN ECE CWR", { .flags = SYN | ECE | CWR }, REDIR(TCP) },
	{ "SYN ACK", { .flags = SYN | ACK }, REDIR(TCP) },
	{ "RST", { .flags = RST }, REDIR(TCP) },
	{ "RST ACK", { .flags = RST | ACK }, REDIR(TCP) },
	{ "FIN ACK", { .flags = FIN | ACK }, REDIR(TCP) },
	{ "FIN PSH URG ACK", { .flags = FIN | PSH | URG | ACK }, REDIR(TCP) },
	{ "reserved bits", { .before = { { L4, 12, 0x5f } } }, REDIR(TCP) },
	{ "checksum wrong", { .csum = CSUM_WRONG }, DROPPED(TCP_BAD_CSUM) },
	{ "checksum wrong in IPv6", { OWN6, .csum = CSUM_WRONG }, DROPPED(TCP_BAD_CSUM) },
	{ "checksum wrong, shared", { SHARED4, .csum = CSUM_WRONG }, DROPPED(TCP_BAD_CSUM) },
	{ "first payload byte changed",
	  { .payload = 9, .after = { { L4, 20, 0 } } },
	  DROPPED(TCP_BAD_CSUM) },
	{ "last payload byte changed",
	  { .payload = 9, .after = { { L4, 28, 0 } } },
	  DROPPED(TCP_BAD_CSUM) },

	/* ICMP. */
	{ "echo request to an own address", { ICMP4, .icmp_type = 8, .payload = 56 }, REDIR(ICMP) },
	{ "the same in IPv6", { ICMP6, .icmp_type = 128, .payload = 56 }, REDIR(ICMP) },
	{ "echo request to a shared address",
	  { ICMP4, SHARED4, .icmp_type = 8 },
	  PASSED(NOT_OURS) },
	{ "the same in IPv6", { ICMP6, .dst = "fd00::2", .icmp_type = 128 }, PASSED(NOT_OURS) },
	{ "echo request with a wrong checksum",
	  { ICMP4, .icmp_type = 8, .csum = CSUM_WRONG },
	  DROPPED(ICMP_BAD_CSUM) },
	{ "the same in IPv6",
	  { ICMP6, .icmp_type = 128, .csum = CSUM_WRONG },
	  DROPPED(ICMP_BAD_CSUM) },
	{ "ICMP of 7 bytes",
	  { ICMP4, .icmp_type = 8, .before = { { L3, 3, 27 } } },
	  DROPPED(ICMP_TRUNCATED) },
	{ "unreachable about our TCP",
	  { ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4 },
	  REDIR(ICMP) },
	{ "time exceeded about our TCP",
	  { ICMP4, SHARED4, .icmp_type = 11, .quote = &sent4 },
	  REDIR(ICMP) },
	{ "parameter problem about our TCP",
	  { ICMP4, SHARED4, .icmp_type = 12, .quote = &sent4 },
	  REDIR(ICMP) },
	{ "quoted IP options",
	  { ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4_opt },
	  REDIR(ICMP) },
	{ "quoted port listed for any",
	  { ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4_any },
	  REDIR(ICMP) },
	{ "quoted port not listed",
	  { ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4_other },
	  PASSED(NOT_OURS) },
	{ "quoted source is not where it was sent",
	  { ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4_own },
	  PASSED(NOT_OURS) },
	{ "quoted fragment without ports",
	  { ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4_frag },
	  PASSED(NOT_OURS) },
	{ "quoted UDP", { ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4_udp }, PASSED(NOT_OURS) },
	{ "quoted header of 4 words",
	  { ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4, .before = { { QUOTE, 0, 0x44 } } },
	  PASSED(NOT_OURS) },
	{ "a redirect is the kernel's",
	  { ICMP4, SHARED4, .icmp_type = 5, .quote = &sent4 },
	  PASSED(NOT_OURS) },
	{ "an error about ours with a wrong checksum",
	  { ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4, .csum = CSUM_WRONG },
	  DROPPED(ICMP_BAD_CSUM) },
	{ "an error to an own address",
	  { ICMP4, .icmp_type = 3, .quote = &sent4_own },
	  REDIR(ICMP) },
	{ "packet too big about our TCP",
	  { ICMP6, .dst = "fd00::2", .icmp_type = 2, .quote = &sent6 },
	  REDIR(ICMP) },
	{ "ICMPv6 quoted port not listed",
	  { ICMP6, .dst = "fd00::2", .icmp_type = 1, .quote = &sent6_other },
	  PASSED(NOT_OURS) },
	{ "ICMPv6 quoted source is not where it was sent",
	  { ICMP6, .dst = "fd00::2", .icmp_type = 1, .quote = &sent6_own },
	  PASSED(NOT_OURS) },
	{ "ICMPv6 quoted extension header",
	  { ICMP6, .dst = "fd00::2", .icmp_type = 1, .quote = &sent6_ext },
	  PASSED(NOT_OURS) },
	{ "ICMPv6 type 5",
	  { ICMP6, .dst = "fd00::2", .icmp_type = 5, .quote = &sent6 },
	  PASSED(NOT_OURS) },

	/* Neighbour discovery. */
	{ "solicitation for an own address",
	  { ICMP6, .group = true, .dst = "ff02::1:ff00:1", .icmp_type = 135,
	    .nd_target = "fd00::1" },
	  REDIR(ICMP) },
	{ "duplicate address detection of an own address",
	  { ICMP6, .group = true, .src = "::", .dst = "ff02::1:ff00:1", .icmp_type = 135,
	    .nd_target = "fd00::1" },
	  REDIR(ICMP) },
	{ "somebody advertises an own address",
	  { ICMP6, .group = true, .dst = "ff02::1", .icmp_type = 136, .nd_target = "fd00::1" },
	  REDIR(ICMP) },
	{ "unicast solicitation",
	  { ICMP6, .icmp_type = 135, .nd_target = "fd00::1" },
	  REDIR(ICMP) },
	{ "solicitation for a shared address",
	  { ICMP6, .group = true, .dst = "ff02::1:ff00:2", .icmp_type = 135,
	    .nd_target = "fd00::2" },
	  PASSED(MULTICAST) },
	{ "solicitation for another address",
	  { ICMP6, .group = true, .dst = "ff02::1:ff00:3", .icmp_type = 135,
	    .nd_target = "fd00::3" },
	  PASSED(MULTICAST) },
	{ "router solicitation",
	  { ICMP6, .group = true, .dst = "ff02::2", .icmp_type = 133 },
	  PASSED(MULTICAST) },
	{ "solicitation with a wrong checksum",
	  { ICMP6, .group = true, .dst = "ff02::1:ff00:1", .icmp_type = 135, .nd_target = "fd00::1",
	    .csum = CSUM_WRONG },
	  DROPPED(ICMP_BAD_CSUM) },
};

static void every_ip_packet_gets_its_verdict(void **state)
{
	static struct packet p;
	static struct result r;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(ip_rows); i++) {
		packet_make(&p, &ip_rows[i].desc);
		expect_on(MR_CSUM_VERIFY, &p, ip_rows[i].claim, ip_rows[i].verdict, ip_rows[i].drop,
			  &r);
	}
}

static const struct {
	const char *claim;
	struct arp_desc desc;
	enum mr_xdp_verdict verdict;
	enum mr_drop drop;
} arp_rows[] = {
	{ "request for an own address", { .spa = "10.0.0.9", .tpa = "10.0.0.1" }, REDIR(ARP) },
	{ "probe for an own address", { .spa = "0.0.0.0", .tpa = "10.0.0.1" }, REDIR(ARP) },
	{ "reply to an own address",
	  { .spa = "10.0.0.9", .tpa = "10.0.0.1", .op = 2 },
	  REDIR(ARP) },
	{ "claim of an own address", { .spa = "10.0.0.1", .tpa = "10.0.0.9" }, REDIR(ARP) },
	{ "gratuitous claim of an own address",
	  { .spa = "10.0.0.1", .tpa = "10.0.0.1" },
	  REDIR(ARP) },
	{ "request for a shared address",
	  { .spa = "10.0.0.9", .tpa = "10.0.0.2" },
	  PASSED(NOT_OURS) },
	{ "request for another address",
	  { .spa = "10.0.0.9", .tpa = "10.0.0.3" },
	  PASSED(NOT_OURS) },
	{ "gratuitous, another's",
	  { .spa = "10.0.0.3", .tpa = "10.0.0.3" },
	  .verdict = MR_XDP_ARP_NOTED },
	{ "gratuitous, a shared address",
	  { .spa = "10.0.0.2", .tpa = "10.0.0.2" },
	  .verdict = MR_XDP_ARP_NOTED },
	{ "gratuitous but malformed",
	  { .spa = "10.0.0.3", .tpa = "10.0.0.3", .patch = { L3, 4, 8 } },
	  PASSED(NOT_OURS) },
	{ "cut short", { .spa = "10.0.0.9", .tpa = "10.0.0.1", .cut = 41 }, PASSED(NOT_OURS) },
	{ "not Ethernet",
	  { .spa = "10.0.0.9", .tpa = "10.0.0.1", .patch = { L3, 1, 6 } },
	  DROPPED(ARP_BAD) },
	{ "not IPv4",
	  { .spa = "10.0.0.9", .tpa = "10.0.0.1", .patch = { L3, 2, 0x86 } },
	  DROPPED(ARP_BAD) },
	{ "hardware length 8",
	  { .spa = "10.0.0.9", .tpa = "10.0.0.1", .patch = { L3, 4, 8 } },
	  DROPPED(ARP_BAD) },
	{ "protocol length 16",
	  { .spa = "10.0.0.9", .tpa = "10.0.0.1", .patch = { L3, 5, 16 } },
	  DROPPED(ARP_BAD) },
	{ "operation 3", { .spa = "10.0.0.9", .tpa = "10.0.0.1", .op = 3 }, DROPPED(ARP_BAD) },
	{ "sender with a group address",
	  { .spa = "10.0.0.9", .tpa = "10.0.0.1", .patch = { L3, 8, 1 } },
	  DROPPED(ARP_BAD) },
	{ "sender 127.0.0.1", { .spa = "127.0.0.1", .tpa = "10.0.0.1" }, DROPPED(ARP_BAD) },
	{ "sender 255.255.255.255",
	  { .spa = "255.255.255.255", .tpa = "10.0.0.1" },
	  DROPPED(ARP_BAD) },
	{ "malformed, another's",
	  { .spa = "10.0.0.9", .tpa = "10.0.0.3", .op = 3 },
	  PASSED(NOT_OURS) },
};

static void every_arp_packet_gets_its_verdict(void **state)
{
	static struct packet p;
	static struct result r;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(arp_rows); i++) {
		packet_make_arp(&p, &arp_rows[i].desc);
		expect_on(MR_CSUM_VERIFY, &p, arp_rows[i].claim, arp_rows[i].verdict,
			  arp_rows[i].drop, &r);
	}
}

static int keep_note(void *ctx, void *data, size_t size)
{
	struct mr_note_arp *last = ctx;

	assert_int_equal(size, sizeof(*last));
	memcpy(last, data, sizeof(*last));
	return 0;
}

static void gratuitous_arp_of_others_is_noted(void **state)
{
	struct millrace_bpf *prog = progs[MR_CSUM_OFF];
	struct mr_note_arp note = { 0 };
	struct ring_buffer *ring =
		ring_buffer__new(bpf_map__fd(prog->maps.mr_notes), keep_note, &note, NULL);
	uint32_t naddrs = prog->bss->mr_naddrs;
	static struct packet p;
	static struct result r;

	(void)state;
	assert_non_null(ring);
	packet_make_arp(&p, &(struct arp_desc){ "10.0.0.7", "10.0.0.7", .op = 2 });
	expect_on(MR_CSUM_OFF, &p, "gratuitous", MR_XDP_ARP_NOTED, MR_DROP_NONE, &r);
	assert_int_equal(consume_notes(MR_CSUM_OFF, ring), 1);
	assert_memory_equal(note.sha, "\2\0\0\0\0\x9", 6);
	assert_int_equal(note.spa, inet_addr("10.0.0.7"));

	/* The ring fills up: nothing breaks, notes are lost. */
	for (int i = 0; i < 1000; i++) {
		run_on(prog, p.b, p.len, 0, &r);
		if (verdict_of(&r) != MR_XDP_ARP_NOTED)
			break;
	}
	assert_int_equal(verdict_of(&r), MR_XDP_PASS_NOT_OURS);
	assert_true(consume_notes(MR_CSUM_OFF, ring) > 100);

	prog->bss->mr_naddrs = 0;
	expect_on(MR_CSUM_OFF, &p, "no address: no note", MR_XDP_PASS_NOT_OURS, MR_DROP_NONE, &r);
	prog->bss->mr_naddrs = naddrs;
	ring_buffer__free(ring);
}

static int keep_nd_note(void *ctx, void *data, size_t size)
{
	struct mr_note_nd *last = ctx;

	assert_int_equal(size, sizeof(*last));
	memcpy(last, data, sizeof(*last));
	return 0;
}

static void rfc3810_6_2_advertisements_and_queries_to_groups_are_noted(void **state)
{
#define QUERY MULTICAST_ND(130), .payload = 20, .ext = "H"
#define ALERT_AT(at)                                                                               \
	{ L3, (at), 5 },                                                                           \
	{                                                                                          \
		L3, (at) + 1, 2                                                                    \
	}
#define MULTICAST_ND(kind)                                                                         \
	.v6 = true, .group = true, .src = "fe80::9", .dst = "ff02::1", .proto = IPPROTO_ICMPV6,    \
	.icmp_type = (kind)
#define HLIM_255 L3, 7, 255
	static const struct {
		const char *claim;
		struct desc desc;
		enum mr_xdp_verdict verdict;
	} rows[] = {
		{ "router",
		  { MULTICAST_ND(134), .payload = 56, .before = { { HLIM_255 } } },
		  MR_XDP_ND_NOTED },
		{ "router, least",
		  { MULTICAST_ND(134), .payload = 8, .before = { { HLIM_255 } } },
		  MR_XDP_ND_NOTED },
		{ "router, most",
		  { MULTICAST_ND(134), .payload = 248, .before = { { HLIM_255 } } },
		  MR_XDP_ND_NOTED },
		{ "other's neighbour advertisement",
		  { MULTICAST_ND(136), .nd_target = "fd00::77", .before = { { HLIM_255 } } },
		  MR_XDP_ND_NOTED },
		{ "forwarded", { MULTICAST_ND(134), .payload = 56 }, MR_XDP_PASS_MULTICAST },
		{ "too short",
		  { MULTICAST_ND(134), .payload = 7, .before = { { HLIM_255 } } },
		  MR_XDP_PASS_MULTICAST },
		{ "too long",
		  { MULTICAST_ND(134), .payload = 249, .before = { { HLIM_255 } } },
		  MR_XDP_PASS_MULTICAST },
		{ "a solicitation for others",
		  { MULTICAST_ND(135), .nd_target = "fd00::77", .before = { { HLIM_255 } } },
		  MR_XDP_PASS_MULTICAST },
		{ "router solicitation",
		  { MULTICAST_ND(133), .payload = 8, .before = { { HLIM_255 } } },
		  MR_XDP_PASS_MULTICAST },
		{ "redirect",
		  { MULTICAST_ND(137), .payload = 32, .before = { { HLIM_255 } } },
		  MR_XDP_PASS_MULTICAST },
		{ "RFC 3810 6.2: a query with a router alert",
		  { QUERY, .before = { { L3, 7, 1 }, ALERT_AT(42) } },
		  MR_XDP_ND_NOTED },
		{ "the same, padding in front",
		  { QUERY, .before = { { L3, 7, 1 }, ALERT_AT(44) } },
		  MR_XDP_ND_NOTED },
		{ "a query without an alert",
		  { QUERY, .before = { { L3, 7, 1 } } },
		  MR_XDP_PASS_MULTICAST },
		{ "a query without options",
		  { MULTICAST_ND(130), .payload = 20, .before = { { L3, 7, 1 } } },
		  MR_XDP_PASS_MULTICAST },
		{ "a query that was forwarded",
		  { QUERY, .before = { { L3, 7, 2 }, ALERT_AT(42) } },
		  MR_XDP_PASS_MULTICAST },
		{ "an advertisement with a query's hop limit",
		  { MULTICAST_ND(134), .payload = 56, .ext = "H",
		    .before = { { L3, 7, 1 }, ALERT_AT(42) } },
		  MR_XDP_PASS_MULTICAST },
	};
	struct millrace_bpf *prog = progs[MR_CSUM_OFF];
	struct mr_note_nd note = { 0 };
	struct ring_buffer *ring =
		ring_buffer__new(bpf_map__fd(prog->maps.mr_notes), keep_nd_note, &note, NULL);
	uint32_t naddrs = prog->bss->mr_naddrs;
	static struct packet p;
	static struct result r;

	(void)state;
	assert_non_null(ring);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		bool noted = rows[i].verdict == MR_XDP_ND_NOTED;

		packet_make(&p, &rows[i].desc);
		expect_on(MR_CSUM_OFF, &p, rows[i].claim, rows[i].verdict, MR_DROP_NONE, &r);
		assert_int_equal(consume_notes(MR_CSUM_OFF, ring), noted);
		if (!noted)
			continue;
		assert_int_equal(note.len, p.len - p.l4);
		assert_memory_equal(note.msg, p.b + p.l4, note.len);
		assert_memory_equal(note.src, p.b + p.l3 + 8, 16);
		assert_memory_equal(note.dst, p.b + p.l3 + 24, 16);
	}
	packet_make(&p, &rows[0].desc);
	prog->bss->mr_naddrs = 0;
	expect_on(MR_CSUM_OFF, &p, "no address: no note", MR_XDP_PASS_MULTICAST, MR_DROP_NONE, &r);
	prog->bss->mr_naddrs = naddrs;
	ring_buffer__free(ring);
}

/* ---- Checksums ------------------------------------------------------------------------------- */

static void the_policy_decides_which_tcp_checksum_passes(void **state)
{
	static const struct {
		enum mr_csum_policy policy;
		enum csum_kind csum;
		int counted; /* enum mr_xdp_verdict; MR_XDP_DROP: dropped */
		enum mr_csum_verdict verdict;
	} rows[] = {
		{ MR_CSUM_VERIFY, CSUM_OK, MR_XDP_CSUM_GOOD, MR_CSUM_GOOD },
		{ MR_CSUM_VERIFY, CSUM_LEFT_PARTIAL, MR_XDP_DROP, 0 },
		{ MR_CSUM_VERIFY, CSUM_WRONG, MR_XDP_DROP, 0 },
		{ MR_CSUM_VERIFY_PARTIAL, CSUM_OK, MR_XDP_CSUM_GOOD, MR_CSUM_GOOD },
		{ MR_CSUM_VERIFY_PARTIAL, CSUM_LEFT_PARTIAL, MR_XDP_CSUM_PARTIAL, MR_CSUM_PARTIAL },
		{ MR_CSUM_VERIFY_PARTIAL, CSUM_WRONG, MR_XDP_DROP, 0 },
		{ MR_CSUM_OFF, CSUM_OK, MR_XDP_CSUM_UNVERIFIED, MR_CSUM_UNVERIFIED },
		{ MR_CSUM_OFF, CSUM_LEFT_PARTIAL, MR_XDP_CSUM_UNVERIFIED, MR_CSUM_UNVERIFIED },
		{ MR_CSUM_OFF, CSUM_WRONG, MR_XDP_CSUM_UNVERIFIED, MR_CSUM_UNVERIFIED },
	};
	/* Payloads that fill the last word and not, the linear part and not (3520 bytes and where
	 * the test run puts its end), one piece of what is copied out and not, an IP packet to its
	 * end. */
	static const uint32_t payloads[] = { 0,	   1,	  2,	 3,	4,    5,    31,	  32,
					     33,   1460,  3400,	 3466,	3467, 3500, 3519, 3520,
					     3521, 3600,  3978,	 3979,	4000, 8960, 8961, 9000,
					     9001, 20000, 60000, 60001, 65470 };
	static struct packet p;
	static struct result r;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		for (size_t j = 0; j < 2 * MR_ARRAY_SIZE(payloads); j++) {
			bool v6 = j & 1, dropped = rows[i].counted == MR_XDP_DROP;
			char claim[64];

			snprintf(claim, sizeof(claim), "policy %d, checksum %d, IPv%c, %u bytes",
				 rows[i].policy, rows[i].csum, v6 ? '6' : '4', payloads[j / 2]);
			packet_make(&p, &(struct desc){ .v6 = v6,
							.payload = payloads[j / 2],
							.csum = rows[i].csum });
			expect_on(rows[i].policy, &p, claim,
				  dropped ? MR_XDP_DROP : MR_XDP_REDIRECT_TCP,
				  dropped ? MR_DROP_TCP_BAD_CSUM : MR_DROP_NONE, &r);
			if (dropped)
				continue;
			assert_int_equal(r.count.verdict[rows[i].counted], 1);
			assert_int_equal(r.meta->csum, rows[i].verdict);
		}
	}
}

static void one_changed_byte_anywhere_in_a_long_packet_is_found(void **state)
{
	static const uint32_t lens[] = { 3000, 9000, 60000 };
	static struct packet p;
	static struct result r;

	(void)state;
	for (size_t i = 0; i < 2 * MR_ARRAY_SIZE(lens); i++) {
		packet_make(&p, &(struct desc){ .v6 = i & 1, .payload = lens[i / 2] });
		for (uint32_t at = p.pay; at < p.len; at += at % 97 + 61) {
			p.b[at] ^= 0x20;
			expect_on(MR_CSUM_VERIFY_PARTIAL, &p, "a changed byte", MR_XDP_DROP,
				  MR_DROP_TCP_BAD_CSUM, &r);
			p.b[at] ^= 0x20;
		}
		p.b[p.len - 1] ^= 1;
		expect_on(MR_CSUM_VERIFY_PARTIAL, &p, "the last byte changed", MR_XDP_DROP,
			  MR_DROP_TCP_BAD_CSUM, &r);
	}
}

static void no_icmp_checksum_is_accepted_as_partial(void **state)
{
	static struct packet p;
	static struct result r;

	(void)state;
	packet_make(&p, &(struct desc){ ICMP6, .icmp_type = 128, .payload = 9000,
					.csum = CSUM_LEFT_PARTIAL });
	expect_on(MR_CSUM_VERIFY_PARTIAL, &p, "ICMPv6", MR_XDP_DROP, MR_DROP_ICMP_BAD_CSUM, &r);
	packet_make(&p, &(struct desc){ ICMP4, .icmp_type = 8, .payload = 9001 });
	expect_on(MR_CSUM_VERIFY_PARTIAL, &p, "ICMP", MR_XDP_REDIRECT_ICMP, MR_DROP_NONE, &r);
	assert_int_equal(r.meta->csum, MR_CSUM_GOOD);
	p.b[p.len - 1] ^= 1;
	expect_on(MR_CSUM_OFF, &p, "ICMP", MR_XDP_REDIRECT_ICMP, MR_DROP_NONE, &r);
	assert_int_equal(r.meta->csum, MR_CSUM_UNVERIFIED);
}

/* ---- Metadata -------------------------------------------------------------------------------- */

static struct mr_addr addr_of(const char *text)
{
	struct mr_addr addr;

	assert_int_equal(mr_addr_parse(text, &addr), 0);
	return addr;
}

static void the_metadata_says_what_the_packet_is(void **state)
{
	static const struct {
		const char *claim;
		struct desc desc;
		uint16_t l3, l4, pay, pay_len, proto, flags;
		uint8_t l4_proto, csum;
	} rows[] = {
		{ "TCP", { .payload = 11 }, 14, 34, 54, 11, 0x0800, MR_META_TCP, 6, MR_CSUM_GOOD },
		{ "padding is no payload",
		  { .payload = 1, .pad = 5 },
		  14,
		  34,
		  54,
		  1,
		  0x0800,
		  MR_META_TCP,
		  6,
		  MR_CSUM_GOOD },
		{ "options",
		  { .ip_opt = 2, .tcp_opt = 3, .payload = 100 },
		  14,
		  42,
		  74,
		  100,
		  0x0800,
		  MR_META_TCP,
		  6,
		  MR_CSUM_GOOD },
		{ "IPv6",
		  { .v6 = true, .payload = 7 },
		  14,
		  54,
		  74,
		  7,
		  0x86dd,
		  MR_META_TCP,
		  6,
		  MR_CSUM_GOOD },
		{ "extension headers",
		  { .v6 = true, .ext = "HD", .ext_words = 1, .tcp_opt = 1 },
		  14,
		  86,
		  110,
		  0,
		  0x86dd,
		  MR_META_TCP,
		  6,
		  MR_CSUM_GOOD },
		{ "one tag",
		  { .nvlan = 1, .payload = 1 },
		  18,
		  38,
		  58,
		  1,
		  0x0800,
		  MR_META_TCP | MR_META_VLAN,
		  6,
		  MR_CSUM_GOOD },
		{ "two tags, IPv6",
		  { .v6 = true, .nvlan = 2 },
		  22,
		  62,
		  82,
		  0,
		  0x86dd,
		  MR_META_TCP | MR_META_VLAN,
		  6,
		  MR_CSUM_GOOD },
		{ "multi-buffer",
		  { .payload = 60000 },
		  14,
		  34,
		  54,
		  60000,
		  0x0800,
		  MR_META_TCP,
		  6,
		  MR_CSUM_GOOD },
		{ "partial",
		  { .payload = 60000, .csum = CSUM_LEFT_PARTIAL },
		  14,
		  34,
		  54,
		  60000,
		  0x0800,
		  MR_META_TCP,
		  6,
		  MR_CSUM_PARTIAL },
		{ "ICMP", { ICMP4, .icmp_type = 8 }, 14, 34, 0, 0, 0x0800, 0, 1, MR_CSUM_GOOD },
		{ "ICMPv6",
		  { ICMP6, .icmp_type = 128 },
		  14,
		  54,
		  0,
		  0,
		  0x86dd,
		  0,
		  58,
		  MR_CSUM_GOOD },
		{ "UDP",
		  { .proto = IPPROTO_UDP },
		  14,
		  34,
		  0,
		  0,
		  0x0800,
		  0,
		  17,
		  MR_CSUM_UNVERIFIED },
		{ "fragment",
		  { .frag = 0x2000, .payload = 8 },
		  14,
		  34,
		  0,
		  0,
		  0x0800,
		  MR_META_FRAGMENT,
		  6,
		  MR_CSUM_UNVERIFIED },
	};
	static struct packet p;
	static struct result r;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		const struct mr_rx_meta *m;
		struct mr_rx_meta want = {
			.magic = MR_RX_META_MAGIC,
			.cookie = COOKIE,
			.l3_off = rows[i].l3,
			.l4_off = rows[i].l4,
			.pay_off = rows[i].pay,
			.pay_len = rows[i].pay_len,
			.eth_proto = htons(rows[i].proto),
			.l4_proto = rows[i].l4_proto,
			.csum = rows[i].csum,
			.flags = rows[i].flags,
		};
		bool v6 = rows[i].desc.v6;
		struct mr_addr src = addr_of(v6 ? "fd00::9" : "10.0.0.9");
		struct mr_addr dst = addr_of(v6 ? "fd00::1" : "10.0.0.1");

		if (want.flags & MR_META_TCP)
			want.hash = mr_flow_hash((const __u64 *)hash_key, src.w, dst.w, htons(4000),
						 htons(80));
		packet_make(&p, &rows[i].desc);
		run_on(progs[MR_CSUM_VERIFY_PARTIAL], p.b, p.len, 0, &r);
		m = r.meta;
		if (!m || m->magic != want.magic || m->cookie != want.cookie ||
		    m->hash != want.hash || m->l3_off != want.l3_off || m->l4_off != want.l4_off ||
		    m->pay_off != want.pay_off || m->pay_len != want.pay_len ||
		    m->eth_proto != want.eth_proto || m->l4_proto != want.l4_proto ||
		    m->csum != want.csum || m->flags != want.flags || m->rx_queue != want.rx_queue)
			fail_msg("%s: the metadata differs", rows[i].claim);
	}
}

static void arp_has_metadata_too(void **state)
{
	static struct packet p;
	static struct result r;

	(void)state;
	packet_make_arp(&p, &arp_rows[0].desc);
	run_on(progs[MR_CSUM_VERIFY], p.b, p.len, 0, &r);
	assert_non_null(r.meta);
	assert_int_equal(r.meta->magic, MR_RX_META_MAGIC);
	assert_int_equal(r.meta->cookie, COOKIE);
	assert_int_equal(r.meta->eth_proto, htons(0x0806));
	assert_int_equal(r.meta->l3_off, 14);
	assert_int_equal(r.meta->l4_proto, 0);
	assert_int_equal(r.meta->flags, 0);
	assert_int_equal(r.meta->hash, 0);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

/* All kinds of packets that are redirected when whole. */
static const struct desc whole[] = {
	{ .payload = 20 },
	{ OWN6, .payload = 20 },
	{ SHARED4, .ip_opt = 10, .tcp_opt = 10, .payload = 5 },
	{ SHARED6, .ext = "HRD", .ext_words = 1, .tcp_opt = 10, .payload = 5 },
	{ .nvlan = 2, .payload = 5 },
	{ .v6 = true, .nvlan = 2, .ext = "a", .payload = 5 },
	{ .proto = IPPROTO_UDP, .payload = 5 },
	{ .frag = 0x2000, .payload = 16 },
	{ OWN6, .ext = "f", .payload = 16 },
	{ ICMP4, .icmp_type = 8, .payload = 56 },
	{ ICMP6, .icmp_type = 128, .payload = 56 },
	{ ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4_opt },
	{ ICMP6, .dst = "fd00::2", .icmp_type = 2, .quote = &sent6 },
	{ ICMP6, .group = true, .dst = "ff02::1:ff00:1", .icmp_type = 135, .nd_target = "fd00::1" },
	{ .payload = 9000, .csum = CSUM_LEFT_PARTIAL },
};

static void a_packet_cut_at_any_byte_never_reaches_the_engine(void **state)
{
	static struct packet p;
	static struct result r;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(whole) + 1; i++) {
		if (i < MR_ARRAY_SIZE(whole))
			packet_make(&p, &whole[i]);
		else
			packet_make_arp(&p, &arp_rows[0].desc);
		run_on(progs[MR_CSUM_VERIFY_PARTIAL], p.b, p.len, 0, &r);
		assert_int_equal(r.action, XDP_REDIRECT);
		/* The kernel gives no program less than an Ethernet header. */
		for (uint32_t len = 14; len < p.len; len += len < 300 ? 1 : 101) {
			run_on(progs[MR_CSUM_VERIFY_PARTIAL], p.b, len, 0, &r);
			verdict_of(&r);
			if (r.action != XDP_PASS && r.action != XDP_DROP)
				fail_msg("packet %zu cut to %u bytes: action %u", i, len, r.action);
		}
	}
}

/* Bytes of an IPv6 header that no checksum covers and that a correct sender may set freely: traffic
 * class, flow label, hop limit; and the next header, which makes it another correct packet. */
static bool is_free_in_ipv6(const struct packet *p, uint32_t at)
{
	uint32_t off = at - p->l3;

	return off <= 3 || off == 6 || off == 7;
}

static void no_single_flipped_bit_is_delivered(void **state)
{
	static struct packet p;
	static struct result r;
	static const struct desc descs[] = {
		{ .ip_opt = 2, .tcp_opt = 3, .payload = 9 },
		{ OWN6, .tcp_opt = 3, .payload = 9 },
		{ SHARED4, .payload = 9 },
		{ ICMP4, .icmp_type = 8, .payload = 9 },
		{ ICMP4, SHARED4, .icmp_type = 3, .quote = &sent4 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(descs); i++) {
		packet_make(&p, &descs[i]);
		for (uint32_t bit = p.l3 * 8; bit < p.len * 8; bit++) {
			uint32_t at = bit / 8;

			p.b[at] ^= (uint8_t)(1 << bit % 8);
			run_on(progs[MR_CSUM_VERIFY], p.b, p.len, 0, &r);
			verdict_of(&r);
			if (r.action == XDP_REDIRECT && !(descs[i].v6 && is_free_in_ipv6(&p, at)))
				fail_msg("packet %zu, bit %u of byte %u", i, bit % 8, at);
			p.b[at] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void every_value_of_every_header_byte_is_counted_once(void **state)
{
	static struct packet p;
	static struct result r;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(whole); i++) {
		packet_make(&p, &whole[i]);
		for (uint32_t at = 0; at < p.pay && at < 200; at++) {
			uint8_t was = p.b[at];

			for (unsigned v = 0; v < 256; v += 15) {
				p.b[at] = (uint8_t)v;
				run_on(progs[MR_CSUM_OFF], p.b, p.len, 0, &r);
				verdict_of(&r);
				assert_true(r.action == XDP_PASS || r.action == XDP_DROP ||
					    r.action == XDP_REDIRECT);
			}
			p.b[at] = was;
		}
	}
}

static void random_bytes_are_counted_once(void **state)
{
	static struct packet p;
	static struct result r;
	uint64_t x = 88172645463325252u; /* xorshift64 */

	(void)state;
	for (int i = 0; i < 20000; i++) {
		packet_make(&p, &whole[(size_t)i % MR_ARRAY_SIZE(whole)]);
		for (uint32_t at = (i & 1) ? p.l3 : 12; at < p.len && at < 400; at++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			/* Leave some of the packet as it was, to come further than the first check.
			 */
			if ((i >> 1 & 7) == 0 || !(x >> 32 & 15))
				p.b[at] = (uint8_t)x;
		}
		run_on(progs[i & 1 ? MR_CSUM_OFF : MR_CSUM_VERIFY_PARTIAL], p.b, p.len, 0, &r);
		verdict_of(&r);
	}
}

/* ---- The short way and the long one ---------------------------------------------------------- */

static uint32_t random_u32(uint64_t *x)
{
	*x ^= *x << 13; /* xorshift64 */
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint32_t)(*x >> 16);
}

#define ONE_OF(x, array) ((array)[random_u32(x) % MR_ARRAY_SIZE(array)])

static bool once_in(uint64_t *x, uint32_t n)
{
	return random_u32(x) % n == 0;
}

static struct patch random_patch(uint64_t *x)
{
	enum layer layer = once_in(x, 2) ? L3 : L4;

	/* Not beyond the shortest header, ICMP's, more often than not. */
	return (struct patch){ layer, random_u32(x) % (layer == L3 || once_in(x, 4) ? 20 : 8),
			       (uint8_t)random_u32(x) };
}

/* Mostly one thing is unusual about a packet, sometimes none or several. */
static struct desc random_desc(uint64_t *x)
{
	static const char *const dst4[] = { "10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.3",
					    "224.0.0.1" };
	static const char *const dst6[] = { "fd00::1", "fd00::2", "fd00::3", "ff02::1" };
	static const char *const src4[] = { "10.0.0.1", "10.0.0.2", "127.0.0.1", "0.0.0.0",
					    "240.0.0.1" };
	static const char *const src6[] = { "fd00::1", "fd00::2", "::1", "ff02::1" };
	static const char *const ext[] = { "H", "D", "HRD", "f", "a", "A", "DDDDDDD" };
	static const uint16_t ports[] = { 80, 80, 81, 8080, 8081, 8082 };
	static const uint16_t frags[] = { 0x4000, 0x4000, 0x8000, 0x2000, 0x2005, 0x0005 };
	static const uint16_t tags[] = { 0, 0xe000, 1, 0xffff };
	static const uint8_t protos[] = { IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, 200 };
	static const enum csum_kind csums[] = { CSUM_LEFT_PARTIAL, CSUM_WRONG };
	static const uint32_t payloads[] = { 0, 1, 7, 100, 1446, 1460, 3600, 9000 };
	struct desc d = { .v6 = once_in(x, 6), .payload = ONE_OF(x, payloads) };

	d.dst = d.v6 ? ONE_OF(x, dst6) : ONE_OF(x, dst4);
	d.dport = ONE_OF(x, ports);
	d.sport = (uint16_t)random_u32(x);
	if (once_in(x, 8))
		d.src = d.v6 ? ONE_OF(x, src6) : ONE_OF(x, src4);
	if (once_in(x, 10)) {
		d.nvlan = (uint8_t)(1 + random_u32(x) % 3);
		for (int i = 0; i < 3; i++)
			d.tci[i] = ONE_OF(x, tags);
	}
	d.group = once_in(x, 16);
	if (once_in(x, 10))
		d.proto = ONE_OF(x, protos);
	if (d.proto == IPPROTO_ICMPV6)
		d.icmp_type = (uint8_t)(128 + random_u32(x) % 10);
	if (once_in(x, 10))
		d.ip_opt = (uint8_t)(random_u32(x) % 11);
	if (once_in(x, 3))
		d.ext = ONE_OF(x, ext);
	if (once_in(x, 6))
		d.frag = ONE_OF(x, frags);
	d.zero_sport = once_in(x, 32);
	d.zero_dport = once_in(x, 32);
	if (once_in(x, 4))
		d.flags = (uint8_t)random_u32(x);
	d.no_flags = once_in(x, 32);
	d.tcp_opt = (uint8_t)(once_in(x, 3) ? 3 : random_u32(x) % 11);
	if (once_in(x, 2))
		d.csum = ONE_OF(x, csums);
	if (once_in(x, 8))
		d.pad = random_u32(x) % 50;
	if (once_in(x, 4))
		d.before[0] = random_patch(x);
	if (once_in(x, 8))
		d.after[0] = random_patch(x);
	if (once_in(x, 10))
		d.cut = 14 + random_u32(x) % 46; /* no packet of these is shorter than 60 bytes */
	return d;
}

/* run_on() compares the two. */
static void the_short_way_decides_as_the_long_one(void **state)
{
	const struct mr_xdp_stats before = seen;
	static const enum mr_xdp_verdict often[] = { MR_XDP_PASS_NOT_OURS, MR_XDP_REDIRECT_TCP,
						     MR_XDP_DROP, MR_XDP_CSUM_GOOD,
						     MR_XDP_CSUM_PARTIAL };
	uint64_t x = 88172645463325252u;
	static struct packet p;
	static struct result r;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(progs); i++)
		set_port(progs[i], 8082, MR_STEER_KERNEL | MR_STEER_V4 | MR_STEER_V6, 0);
	for (int i = 0; i < 20000; i++) {
		struct desc d = random_desc(&x);

		packet_make(&p, &d);
		run_on(ONE_OF(&x, progs), p.b, p.len, 0, &r);
		verdict_of(&r);
	}
	for (size_t i = 0; i < MR_ARRAY_SIZE(progs); i++)
		set_port(progs[i], 8082, 0, 0);
	/* Not all of them came to the first question only. */
	for (size_t i = 0; i < MR_ARRAY_SIZE(often); i++)
		assert_true(seen.verdict[often[i]] - before.verdict[often[i]] > 200);
}

/* ---- What the way to the engine can lack ----------------------------------------------------- */

static void xsk_set(struct millrace_bpf *prog, int fd)
{
	uint32_t queue = 0;

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(prog->maps.mr_xsks), &queue, &fd, BPF_ANY),
			 0);
}

static void without_a_socket_a_packet_is_dropped(void **state)
{
	struct millrace_bpf *prog = progs[MR_CSUM_OFF];
	int *xsk = *state;
	uint32_t queue = 0;
	static struct packet p;
	static struct result r;

	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(prog->maps.mr_xsks), &queue), 0);
	packet_make(&p, &(struct desc){ .payload = 5 });
	expect_on(MR_CSUM_OFF, &p, "no socket", MR_XDP_DROP, MR_DROP_XDP_NO_XSK, &r);
	packet_make(&p, &(struct desc){ .dst = "10.0.0.3" });
	expect_on(MR_CSUM_OFF, &p, "not ours", MR_XDP_PASS_NOT_OURS, MR_DROP_NONE, &r);
	xsk_set(prog, *xsk);
}

static void without_room_for_metadata_a_packet_is_dropped(void **state)
{
	static struct packet p;
	static struct result r;

	(void)state;
	packet_make(&p, &(struct desc){ .payload = 5 });
	/* 200 bytes of metadata are there already; 216 is the most that the kernel allows. */
	run_on(progs[MR_CSUM_OFF], p.b, p.len, 200, &r);
	assert_int_equal(r.action, XDP_DROP);
	assert_int_equal(verdict_of(&r), MR_XDP_DROP);
	assert_int_equal(drop_of(&r), MR_DROP_XDP_META);
}

/* ---- Ports on which the kernel has connections ------------------------------------------------- */

/* The sockets are real ones, in the network namespace of this process; their packets go over lo. */
static socklen_t kernel_addr(struct sockaddr_storage *ss, const char *text, uint16_t port)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *sin = (struct sockaddr_in *)ss;

	*ss = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET6, text, &sin6->sin6_addr) == 1) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(port);
		return sizeof(*sin6);
	}
	assert_int_equal(inet_pton(AF_INET, text, &sin->sin_addr), 1);
	sin->sin_family = AF_INET;
	sin->sin_port = htons(port);
	return sizeof(*sin);
}

static int kernel_socket(const char *laddr, uint16_t lport)
{
	struct sockaddr_storage ss;
	socklen_t len = kernel_addr(&ss, laddr, lport);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static int kernel_connect(int fd, const char *raddr, uint16_t rport)
{
	struct sockaddr_storage ss;
	socklen_t len = kernel_addr(&ss, raddr, rport);

	return connect(fd, (struct sockaddr *)&ss, len) ? -errno : 0;
}

struct kernel_pair {
	int listener, client, server;
};

static struct kernel_pair kernel_pair(const char *client, uint16_t cport, const char *server,
				      uint16_t sport)
{
	struct kernel_pair k = { .listener = kernel_socket(server, sport),
				 .client = kernel_socket(client, cport) };

	assert_int_equal(listen(k.listener, 8), 0);
	assert_int_equal(kernel_connect(k.client, server, sport), 0);
	k.server = accept(k.listener, NULL, NULL);
	assert_true(k.server >= 0);
	return k;
}

#define KPORT	7000u /* both shared addresses have it diverted; nobody of ours listens */
#define LPORT	7001u /* here somebody does */
#define KERNEL4 .src = "10.0.0.9", .dst = "10.0.0.2"
#define KERNEL6 .v6 = true, .src = "fd00::9", .dst = "fd00::2"

/* What the kernel's connection from 10.0.0.9:4100 (and in IPv6) to a port sent. */
static const struct desc kernels4 = {
	.src = "10.0.0.2", .dst = "10.0.0.9", .sport = KPORT, .dport = 4100
};
static const struct desc kernels6 = {
	.v6 = true, .src = "fd00::2", .dst = "fd00::9", .sport = KPORT, .dport = 4100
};
static const struct desc not_kernels4 = {
	.src = "10.0.0.2", .dst = "10.0.0.9", .sport = KPORT, .dport = 4101
};
static const struct desc not_kernels6 = {
	.v6 = true, .src = "fd00::2", .dst = "fd00::9", .sport = KPORT, .dport = 4101
};

struct kernel_row {
	const char *claim;
	struct desc desc;
	enum mr_xdp_verdict verdict;
};

static void check_kernel_rows(const struct kernel_row *rows, size_t n)
{
	static struct packet p;
	static struct result r;

	for (size_t i = 0; i < n; i++) {
		packet_make(&p, &rows[i].desc);
		expect_on(MR_CSUM_VERIFY, &p, rows[i].claim, rows[i].verdict, MR_DROP_NONE, &r);
	}
}

static void connections_that_the_kernel_has_stay_with_it(void **state)
{
	static const struct kernel_row while_open[] = {
		{ "a segment of the kernel's connection",
		  { KERNEL4, .sport = 4100, .dport = KPORT },
		  PASSED(KERNEL) },
		{ "the same in IPv6", { KERNEL6, .sport = 4100, .dport = KPORT }, PASSED(KERNEL) },
		{ "the same from another port",
		  { KERNEL4, .sport = 4101, .dport = KPORT },
		  REDIR(TCP) },
		{ "the same in IPv6", { KERNEL6, .sport = 4101, .dport = KPORT }, REDIR(TCP) },
		{ "a SYN where nobody of ours listens",
		  { KERNEL4, .sport = 4101, .dport = KPORT, .flags = SYN },
		  PASSED(KERNEL) },
		{ "SYN ACK is no SYN",
		  { KERNEL4, .sport = 4101, .dport = KPORT, .flags = SYN | ACK },
		  REDIR(TCP) },
		{ "a SYN where the kernel listens and one of ours does",
		  { KERNEL4, .sport = 4101, .dport = LPORT, .flags = SYN },
		  REDIR(TCP) },
		{ "the same in IPv6",
		  { KERNEL6, .sport = 4101, .dport = LPORT, .flags = SYN },
		  REDIR(TCP) },
		{ "a segment of the kernel's connection there",
		  { KERNEL4, .sport = 4102, .dport = LPORT },
		  PASSED(KERNEL) },
		{ "its SYN, repeated",
		  { KERNEL4, .sport = 4102, .dport = LPORT, .flags = SYN },
		  PASSED(KERNEL) },
		{ "the answer to a connect of the kernel's",
		  { .src = "10.0.0.50",
		    .dst = "10.0.0.2",
		    .sport = 90,
		    .dport = KPORT,
		    .flags = SYN | ACK },
		  PASSED(KERNEL) },
		{ "an ICMP error about the kernel's connection",
		  { KERNEL4, ICMP4, .icmp_type = 3, .quote = &kernels4 },
		  PASSED(KERNEL) },
		{ "the same in IPv6",
		  { KERNEL6, .proto = IPPROTO_ICMPV6, .icmp_type = 1, .quote = &kernels6 },
		  PASSED(KERNEL) },
		{ "an ICMP error about another connection",
		  { KERNEL4, ICMP4, .icmp_type = 3, .quote = &not_kernels4 },
		  REDIR(ICMP) },
		{ "the same in IPv6",
		  { KERNEL6, .proto = IPPROTO_ICMPV6, .icmp_type = 1, .quote = &not_kernels6 },
		  REDIR(ICMP) },
		{ "an address of ours that does not have the port",
		  { .src = "10.0.0.9", .dst = "10.0.0.4", .sport = 4100, .dport = KPORT },
		  PASSED(NOT_OURS) },
	};
	static const struct kernel_row unmarked[] = {
		{ "a port that is not marked is not looked up",
		  { KERNEL4, .sport = 4100, .dport = KPORT },
		  REDIR(TCP) },
		{ "nor are SYNs told apart",
		  { KERNEL4, .sport = 4101, .dport = KPORT, .flags = SYN },
		  REDIR(TCP) },
	};
	static const struct kernel_row elsewhere[] = {
		{ "a connection of another network namespace is not the kernel's here",
		  { KERNEL4, .sport = 4100, .dport = KPORT },
		  REDIR(TCP) },
		{ "the same in IPv6", { KERNEL6, .sport = 4100, .dport = KPORT }, REDIR(TCP) },
	};
	static const struct kernel_row time_wait[] = {
		{ "TIME-WAIT is the kernel's as well",
		  { KERNEL4, .sport = 4103, .dport = KPORT },
		  PASSED(KERNEL) },
	};
	struct millrace_bpf *prog = progs[MR_CSUM_VERIFY];
	__u64 both = 1ull << SLOT4 | 1ull << SLOT6;
	struct kernel_pair con4, con6, con_l, con_tw;
	int syn_sent;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(
		system("ip link set lo up && ip addr add 10.0.0.2/32 dev lo && "
		       "ip addr add 10.0.0.9/32 dev lo && ip route add 10.0.0.50 dev lo && "
		       "ip addr add fd00::2/128 dev lo nodad && "
		       "ip addr add fd00::9/128 dev lo nodad"),
		0);
	con4 = kernel_pair("10.0.0.9", 4100, "10.0.0.2", KPORT);
	con6 = kernel_pair("fd00::9", 4100, "fd00::2", KPORT);
	con_l = kernel_pair("10.0.0.9", 4102, "10.0.0.2", LPORT);
	close(con4.listener); /* as sshd that ended, and its connections did not */
	close(con6.listener);
	con_tw = kernel_pair("10.0.0.9", 4103, "10.0.0.2", KPORT);
	close(con_tw.listener);
	syn_sent = kernel_socket("10.0.0.2", KPORT);
	fcntl(syn_sent, F_SETFL, O_NONBLOCK);
	assert_int_equal(kernel_connect(syn_sent, "10.0.0.50", 90), -EINPROGRESS);

	set_port(prog, KPORT, both | MR_STEER_KERNEL, 0);
	set_port(prog, LPORT, both | MR_STEER_KERNEL, both);
	check_kernel_rows(while_open, MR_ARRAY_SIZE(while_open));
	close(con_tw.server);
	close(con_tw.client);
	check_kernel_rows(time_wait, MR_ARRAY_SIZE(time_wait));
	set_port(prog, KPORT, both, 0);
	check_kernel_rows(unmarked, MR_ARRAY_SIZE(unmarked));
	set_port(prog, KPORT, both | MR_STEER_KERNEL, both);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	check_kernel_rows(elsewhere, MR_ARRAY_SIZE(elsewhere));

	close(syn_sent);
	close(con4.client);
	close(con4.server);
	close(con6.client);
	close(con6.server);
	close(con_l.client);
	close(con_l.server);
	close(con_l.listener);
}

/* ---- Cost, and what was seen ----------------------------------------------------------------- */

static void cost(const char *what, enum mr_csum_policy policy, const struct desc *d)
{
	static struct packet p;
	uint32_t best = UINT32_MAX;

	packet_make(&p, d);
	for (int i = 0; i < 3; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p.b, .data_size_in = p.len,
			    .repeat = p.len > 4096 ? 10000 : 50000);

		assert_int_equal(
			bpf_prog_test_run_opts(bpf_program__fd(progs[policy]->progs.mr_xdp), &opts),
			0);
		best = mr_min(best, opts.duration);
	}
	print_message("             %-38s %6u bytes %6u ns\n", what, p.len, best);
}

/* No assertion: what a packet costs depends on the machine. */
static void the_cost_per_packet_is_told(void **state)
{
	(void)state;
	cost("not ours: passed", MR_CSUM_VERIFY,
	     &(struct desc){ .dst = "10.0.0.3", .payload = 10 });
	cost("TCP, checksum verified", MR_CSUM_VERIFY, &(struct desc){ .payload = 10 });
	cost("TCP, checksum partial", MR_CSUM_VERIFY_PARTIAL,
	     &(struct desc){ .payload = 10, .csum = CSUM_LEFT_PARTIAL });
	cost("TCP, shared address, partial", MR_CSUM_VERIFY_PARTIAL,
	     &(struct desc){ SHARED4, .payload = 10, .csum = CSUM_LEFT_PARTIAL });
	set_port(progs[MR_CSUM_VERIFY_PARTIAL], 80, MR_STEER_KERNEL | 1ull << SLOT4 | 1ull << SLOT6,
		 0);
	cost("the same, kernel looked up", MR_CSUM_VERIFY_PARTIAL,
	     &(struct desc){ SHARED4, .payload = 10, .csum = CSUM_LEFT_PARTIAL });
	cost("shared address, other port: passed", MR_CSUM_VERIFY_PARTIAL,
	     &(struct desc){ SHARED4, .dport = 81, .payload = 10 });
	cost("TCP over IPv6, checksum verified", MR_CSUM_VERIFY, &(struct desc){ OWN6 });
	cost("not ours: passed", MR_CSUM_VERIFY,
	     &(struct desc){ .dst = "10.0.0.3", .payload = 1446 });
	cost("TCP, checksum verified", MR_CSUM_VERIFY, &(struct desc){ .payload = 1446 });
	cost("TCP, checksum partial", MR_CSUM_VERIFY_PARTIAL,
	     &(struct desc){ .payload = 1446, .csum = CSUM_LEFT_PARTIAL });
	cost("TCP, checksum verified", MR_CSUM_VERIFY, &(struct desc){ .payload = 8946 });
	cost("TCP, checksum partial", MR_CSUM_VERIFY_PARTIAL,
	     &(struct desc){ .payload = 8946, .csum = CSUM_LEFT_PARTIAL });
	cost("TCP, checksum verified", MR_CSUM_VERIFY, &(struct desc){ .payload = 60000 });
	cost("TCP, checksum partial", MR_CSUM_VERIFY_PARTIAL,
	     &(struct desc){ .payload = 60000, .csum = CSUM_LEFT_PARTIAL });
}

/* Reasons of the shared list that the program has no use for: a frame cut short within Ethernet or
 * a VLAN tag names no address, so that it is never provably ours; the kernel gets it. NONE is no
 * drop. */
static const enum mr_drop never[] = { MR_DROP_NONE, MR_DROP_ETH_TRUNCATED };

/* Runs last. */
static void every_verdict_and_every_drop_reason_was_seen(void **state)
{
	bool missed = false;

	(void)state;
	for (int i = 0; i < MR_XDP_VERDICT_MAX; i++) {
		if (!seen.verdict[i]) {
			print_error("never seen: %s\n",
				    mr_xdp_verdict_name((enum mr_xdp_verdict)i));
			missed = true;
		}
	}
	for (int i = 0; i < MR_DROP_XDP_LAST; i++) {
		bool excused = false;

		for (size_t j = 0; j < MR_ARRAY_SIZE(never); j++)
			excused |= (int)never[j] == i;
		if (excused != !seen.drop[i]) {
			print_error("%s: %s\n", excused ? "seen after all" : "never seen",
				    mr_drop_name((enum mr_drop)i));
			missed = true;
		}
	}
	assert_false(missed);
}

/* ---- Set-up ---------------------------------------------------------------------------------- */

static void add_addr(struct millrace_bpf *prog, const char *text, uint32_t flags)
{
	struct mr_addr addr = addr_of(text);

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(prog->maps.mr_addrs), &addr, &flags, BPF_ANY), 0);
	prog->bss->mr_naddrs++;
}

static int drop_note(void *ctx, void *data, size_t size)
{
	(void)ctx;
	(void)data;
	(void)size;
	return 0;
}

static void load_long_way(enum mr_csum_policy policy)
{
	struct millrace_bpf *prog = progs[policy];
	struct long_way_bpf *other = long_way_bpf__open();

	assert_non_null(other);
	other->rodata->mr_cfg = prog->rodata->mr_cfg;
	/* .bss: mr_naddrs. */
	assert_int_equal(bpf_map__reuse_fd(other->maps.bss, bpf_map__fd(prog->maps.bss)), 0);
	assert_int_equal(bpf_map__reuse_fd(other->maps.mr_addrs, bpf_map__fd(prog->maps.mr_addrs)),
			 0);
	assert_int_equal(bpf_map__reuse_fd(other->maps.mr_ports, bpf_map__fd(prog->maps.mr_ports)),
			 0);
	assert_int_equal(
		bpf_map__reuse_fd(other->maps.mr_fragmented, bpf_map__fd(prog->maps.mr_fragmented)),
		0);
	assert_int_equal(bpf_map__reuse_fd(other->maps.mr_xsks, bpf_map__fd(prog->maps.mr_xsks)),
			 0);
	assert_int_equal(long_way_bpf__load(other), 0);
	long_ways[policy] = other;
	long_notes[policy] =
		ring_buffer__new(bpf_map__fd(other->maps.mr_notes), drop_note, NULL, NULL);
	assert_non_null(long_notes[policy]);
}

static int load_all(void **state)
{
	static int xsk = -1;

	/* A socket that is not bound is enough for the map: nothing is delivered in a test run. */
	xsk = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_true(xsk >= 0);
	*state = &xsk;
	for (size_t i = 0; i < MR_ARRAY_SIZE(progs); i++) {
		struct millrace_bpf *prog = millrace_bpf__open();

		assert_non_null(prog);
		prog->rodata->mr_cfg.csum_policy = (uint32_t)i;
		prog->rodata->mr_cfg.cookie = COOKIE;
		memcpy(prog->rodata->mr_cfg.hash_key, hash_key, sizeof(hash_key));
		assert_int_equal(millrace_bpf__load(prog), 0);
		add_addr(prog, "10.0.0.1", MR_ADDR_OWN);
		add_addr(prog, "fd00::1", MR_ADDR_OWN);
		add_addr(prog, "10.0.0.2", MR_ADDR_WITH_SLOT(SLOT4));
		add_addr(prog, "fd00::2", MR_ADDR_WITH_SLOT(SLOT6));
		add_addr(prog, "10.0.0.4", MR_ADDR_WITH_SLOT(SLOT4 + 1));
		set_port(prog, 80, 1ull << SLOT4 | 1ull << SLOT6, 0);
		set_port(prog, 8080, MR_STEER_V4 | MR_STEER_V6, 0);
		set_port(prog, 8081, MR_STEER_V4, 0);
		xsk_set(prog, xsk);
		progs[i] = prog;
		load_long_way((enum mr_csum_policy)i);
	}
	return 0;
}

static int unload_all(void **state)
{
	int *xsk = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(progs); i++) {
		ring_buffer__free(long_notes[i]);
		long_way_bpf__destroy(long_ways[i]);
		millrace_bpf__destroy(progs[i]);
	}
	close(*xsk);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_ip_packet_gets_its_verdict),
		cmocka_unit_test(every_arp_packet_gets_its_verdict),
		cmocka_unit_test(gratuitous_arp_of_others_is_noted),
		cmocka_unit_test(rfc3810_6_2_advertisements_and_queries_to_groups_are_noted),
		cmocka_unit_test(the_policy_decides_which_tcp_checksum_passes),
		cmocka_unit_test(one_changed_byte_anywhere_in_a_long_packet_is_found),
		cmocka_unit_test(no_icmp_checksum_is_accepted_as_partial),
		cmocka_unit_test(the_metadata_says_what_the_packet_is),
		cmocka_unit_test(arp_has_metadata_too),
		cmocka_unit_test(a_packet_cut_at_any_byte_never_reaches_the_engine),
		cmocka_unit_test(no_single_flipped_bit_is_delivered),
		cmocka_unit_test(every_value_of_every_header_byte_is_counted_once),
		cmocka_unit_test(random_bytes_are_counted_once),
		cmocka_unit_test(the_short_way_decides_as_the_long_one),
		cmocka_unit_test(without_a_socket_a_packet_is_dropped),
		cmocka_unit_test(without_room_for_metadata_a_packet_is_dropped),
		cmocka_unit_test(connections_that_the_kernel_has_stay_with_it),
		cmocka_unit_test(the_cost_per_packet_is_told),
		cmocka_unit_test(every_verdict_and_every_drop_reason_was_seen),
	};

	if (geteuid()) {
		puts("skipped: BPF_PROG_TEST_RUN needs root");
		return EXIT_SKIPPED;
	}
	return cmocka_run_group_tests(tests, load_all, unload_all);
}
