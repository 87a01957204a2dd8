// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_afxdp.c - the AF_XDP device on a real veth pair: v0, the device's end, in one namespace, v1
 * with packet sockets in another. Both namespaces have no name and die with the process. A small
 * XDP program of its own redirects whatever arrives, so that nothing but the device is tested.
 * Needs root; exits 77 with the reason otherwise.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "base/compiler.h"
#include "base/time.h"
#include "dev/afxdp.h"
#include "dev/netif.h"

#define NFRAMES	  4096u
#define CHUNK	  2048u
#define RING	  512u
#define COOKIE	  0xc00c1e5u
#define ETHERTYPE 0x88b5    /* local experiments (IEEE 802) */
#define XDP_FRAGS (1u << 5) /* BPF_F_XDP_HAS_FRAGS */

#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1u << 1)
#endif

static int ns_dev = -1, ns_peer = -1; /* namespaces of v0 and v1 */

struct bench {
	struct mr_arena arena;
	struct mr_counters ctr;
	struct mr_umem umem;
	struct mr_frame_pool frames;
	struct mr_netif nif;
	struct mr_dev *dev;
	struct mr_error err;
	int ifindex;
	int peer; /* packet socket on v1, -1: none */
	int map, prog, link;
	uint32_t fill_least;
};

/* ---- Ground ---------------------------------------------------------------------------------- */

static void enter(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

static int __attribute__((format(printf, 1, 2))) sh(const char *fmt, ...)
{
	char cmd[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

static int own_ns(void)
{
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* A fresh pair with the given queues on each side. No address, no IPv6: only our frames are on it. */
static void make_pair(unsigned queues, unsigned tx_queues, unsigned mtu)
{
	enter(ns_dev);
	assert_int_equal(
		sh("ip link add v0 mtu %u numrxqueues %u numtxqueues %u type veth peer name v1 "
		   "mtu %u numrxqueues %u numtxqueues %u netns /proc/%d/fd/%d",
		   mtu, queues, tx_queues, mtu, queues, queues, getpid(), ns_peer),
		0);
	assert_int_equal(sh("sysctl -qw net.ipv6.conf.v0.disable_ipv6=1; ip link set v0 up"), 0);
	enter(ns_peer);
	assert_int_equal(sh("sysctl -qw net.ipv6.conf.v1.disable_ipv6=1; ip link set v1 up"), 0);
	enter(ns_dev);
}

static void remove_pair(void)
{
	enter(ns_peer);
	sh("ip link del v1 2>/dev/null");
	enter(ns_dev);
}

static int peer_socket(void)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE) };
	int fd, size = 8 << 20;

	enter(ns_peer);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	sll.sll_ifindex = (int)if_nametoindex("v1");
	assert_true(sll.sll_ifindex > 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	assert_int_equal(bind(fd, (struct sockaddr *)&sll, sizeof(sll)), 0);
	enter(ns_dev);
	return fd;
}

static uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- XDP program: mr_rx_meta with magic and cookie, then into the socket of the queue -------- */

#define I(c, d, s, o, i)                                                                           \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define META (int)sizeof(struct mr_rx_meta)

static int load_redirect(int map)
{
	const struct bpf_insn prog[] = {
		I(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),
		I(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, -META),
		I(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_xdp_adjust_meta),
		I(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 9, 0),
		I(BPF_LDX | BPF_MEM | BPF_W, 2, 6, offsetof(struct xdp_md, data_meta), 0),
		I(BPF_LDX | BPF_MEM | BPF_W, 3, 6, offsetof(struct xdp_md, data), 0),
		I(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0),
		I(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, META),
		I(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 4, 0),
		I(BPF_ST | BPF_MEM | BPF_W, 2, 0, offsetof(struct mr_rx_meta, magic),
		  MR_RX_META_MAGIC),
		I(BPF_ST | BPF_MEM | BPF_W, 2, 0, offsetof(struct mr_rx_meta, cookie), COOKIE),
		I(BPF_LDX | BPF_MEM | BPF_W, 5, 6, offsetof(struct xdp_md, rx_queue_index), 0),
		I(BPF_STX | BPF_MEM | BPF_H, 2, 5, offsetof(struct mr_rx_meta, rx_queue), 0),
		I(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map),
		I(0, 0, 0, 0, 0),
		I(BPF_LDX | BPF_MEM | BPF_W, 2, 6, offsetof(struct xdp_md, rx_queue_index), 0),
		I(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, XDP_PASS),
		I(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map),
		I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	char log[8192] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = XDP_FRAGS, .log_buf = log,
		    .log_size = sizeof(log), .log_level = 1);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "mr_test", "Dual BSD/GPL", prog,
			       MR_ARRAY_SIZE(prog), &opts);

	if (fd < 0)
		fail_msg("cannot load the test's XDP program: %s\n%s", strerror(errno), log);
	return fd;
}

/* Attach, with the sockets of the device in the map. */
static void attach(struct bench *b, unsigned queues, bool native)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);

	b->map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "mr_test", 4, 4, queues, NULL);
	assert_true(b->map >= 0);
	for (unsigned i = 0; i < queues; i++) {
		int fd = mr_afxdp_fd(b->dev, i);

		assert_int_equal(bpf_map_update_elem(b->map, &i, &fd, 0), 0);
	}
	b->prog = load_redirect(b->map);
	b->link = bpf_link_create(b->prog, b->ifindex, BPF_XDP, &opts);
	if (b->link < 0)
		fail_msg("cannot attach: %s", strerror(errno));
}

/* ---- Bench ----------------------------------------------------------------------------------- */

static struct mr_afxdp_cfg config(const struct bench *b, unsigned queues)
{
	return (struct mr_afxdp_cfg){
		.ifname = "v0",
		.ifindex = b->ifindex,
		.nqueues = queues,
		.rx_ring = RING,
		.tx_ring = RING,
		.fill_least = b->fill_least,
		.cookie = COOKIE,
	};
}

static void memory_open(struct bench *b)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };

	*b = (struct bench){ .peer = -1, .map = -1, .prog = -1, .link = -1 };
	assert_int_equal(mr_arena_open(&b->arena, "test", 8 << 20), 0);
	assert_int_equal(mr_umem_open(&b->umem, NFRAMES, CHUNK), 0);
	assert_int_equal(
		mr_frame_pool_init(&b->frames, &b->arena, &b->ctr, b->umem.base, NFRAMES, CHUNK),
		0);
	mr_netif_init(&b->nif, &b->frames, &b->ctr, mac, 1500, NFRAMES);
}

static void memory_close(struct bench *b)
{
	mr_arena_close(&b->arena);
	mr_umem_close(&b->umem);
}

static int bench_new(void **state)
{
	*state = calloc(1, sizeof(struct bench));
	memory_open(*state);
	return 0;
}

static void bench_open(struct bench *b, unsigned queues, unsigned mtu, bool native)
{
	struct mr_afxdp_cfg cfg;

	make_pair(queues, queues, mtu);
	b->ifindex = (int)if_nametoindex("v0");
	cfg = config(b, queues);
	cfg.native = native;
	if (mr_afxdp_open(&b->dev, &cfg, &b->arena, &b->umem, &b->frames, &b->ctr, &b->err))
		fail_msg("%s", b->err.text);
	attach(b, queues, native);
	b->peer = peer_socket();
}

static void dev_close(struct bench *b)
{
	if (b->dev)
		b->dev->ops->close(b->dev);
	b->dev = NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Whatever a test did: after the close every frame is free again. */
static int bench_free(void **state)
{
	struct bench *b = *state;
	uint32_t nfree;

	close_fd(&b->link);
	close_fd(&b->prog);
	close_fd(&b->map);
	close_fd(&b->peer);
	dev_close(b);
	nfree = b->frames.nfree;
	if (nfree != NFRAMES)
		print_error("%u of %u frames are free at the end\n", nfree, NFRAMES);
	memory_close(b);
	free(b);
	remove_pair();
	return nfree == NFRAMES ? 0 : -1;
}

/* ---- Packets --------------------------------------------------------------------------------- */

/* Byte i of packet `id`: position and packet can be told from it. */
static uint8_t pattern(unsigned id, uint32_t i)
{
	return (uint8_t)(id * 31 + i + (i >> 8) * 7);
}

static void eth_header(uint8_t *p)
{
	memset(p, 0xff, 6);
	memcpy(p + 6, "\x02\0\0\0\0\1", 6);
	p[12] = ETHERTYPE >> 8;
	p[13] = ETHERTYPE & 0xff;
}

static void make_bytes(uint8_t *p, unsigned id, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = pattern(id, i);
	eth_header(p);
}

static void check_bytes(const uint8_t *p, unsigned id, uint32_t len)
{
	for (uint32_t i = ETH_HLEN; i < len; i++)
		if (p[i] != pattern(id, i))
			fail_msg("packet %u of %u bytes differs at byte %u", id, len, i);
}

/* A packet of len bytes in chunks of at most part bytes, as a layer would queue it. */
static struct mr_frame *make_packet(struct bench *b, unsigned id, uint32_t len, uint32_t part)
{
	static uint8_t bytes[65536];
	struct mr_frame *head = NULL, **link = &head;
	uint32_t off = 0;
	uint8_t chunks = 0;

	assert_true(len <= sizeof(bytes));
	make_bytes(bytes, id, len);
	do {
		struct mr_frame *f = mr_frame_get(&b->frames);

		assert_non_null(f);
		f->len = mr_min(part, len - off);
		memcpy(f->data, bytes + off, f->len);
		f->tx_refs = 1;
		off += f->len;
		*link = f;
		link = &f->frag;
		chunks++;
	} while (off < len);
	head->pkt_len = len;
	head->nchunks = chunks;
	return head;
}

/* Frames of ours that the peer gets within a moment; the last one's bytes and length are left. */
static unsigned peer_receive(struct bench *b, unsigned want, uint8_t *buf, size_t size,
			     ssize_t *len)
{
	struct pollfd pfd = { .fd = b->peer, .events = POLLIN };
	unsigned n = 0;

	while (n < want && poll(&pfd, 1, 500) > 0) {
		*len = recv(b->peer, buf, size, 0);
		if (*len < 0)
			break;
		n++;
	}
	return n;
}

static int peer_send(struct bench *b, unsigned id, uint32_t len)
{
	static uint8_t bytes[65536];

	make_bytes(bytes, id, len);
	return (int)send(b->peer, bytes, len, 0);
}

/* Receive until `want` packets came or half a second passed. */
static unsigned dev_receive(struct bench *b, struct mr_frame_queue *q, unsigned want,
			    unsigned budget)
{
	uint64_t end = clock_ms() + 500;
	unsigned n = 0;

	while (n < want && clock_ms() < end) {
		b->dev->ops->reap(b->dev);
		n += b->dev->ops->rx(b->dev, q, budget, 0);
	}
	return n;
}

struct counted {
	const char *name;
	uint64_t value;
	bool seen;
};

static void count_one(void *user, const char *name, const char *text, uint64_t value)
{
	struct counted *c = user;

	assert_non_null(text);
	if (strcmp(c->name, name) != 0)
		return;
	assert_false(c->seen);
	c->seen = true;
	c->value = value;
}

static uint64_t counter(struct bench *b, const char *name)
{
	struct counted c = { .name = name };

	b->dev->ops->counters(b->dev, count_one, &c);
	assert_true(c.seen);
	return c.value;
}

static int open_again(struct bench *b, const struct mr_afxdp_cfg *cfg, struct mr_error *err)
{
	struct bench other;
	struct mr_dev *dev = (struct mr_dev *)b;
	int ret;

	memory_open(&other);
	ret = mr_afxdp_open(&dev, cfg, &other.arena, &other.umem, &other.frames, &other.ctr, err);
	if (ret) {
		assert_null(dev);
		assert_int_equal(err->code, ret);
		assert_null(strchr(err->text, '\n'));
	} else {
		dev->ops->close(dev);
	}
	assert_int_equal(other.frames.nfree, NFRAMES);
	memory_close(&other);
	return ret;
}

/* Wait on the descriptors as an engine does; then service. */
static int wait_and_service(struct bench *b)
{
	struct pollfd pfd[4];
	int fds[4];
	unsigned n = b->dev->ops->fds(b->dev, fds, 4);

	for (unsigned i = 0; i < n; i++)
		pfd[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	assert_true(poll(pfd, n, 2000) > 0);
	return b->dev->ops->service(b->dev);
}

static void wait_for_link(struct bench *b)
{
	for (unsigned i = 0; i < 20 && !mr_afxdp_link_up(b->dev); i++)
		assert_int_equal(wait_and_service(b), 0);
	assert_true(mr_afxdp_link_up(b->dev));
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void open_tells_what_it_got(void **state)
{
	struct bench *b = *state;
	char line[256];
	int fds[8];

	bench_open(b, 1, 1500, false);
	mr_afxdp_describe(b->dev, line, sizeof(line));
	print_message("%s\n", line);
	assert_non_null(strstr(line, "v0: generic XDP, copy mode, 1 receive and 1 transmit queue"));
	wait_for_link(b); /* the kernel tells of the carrier some time after it is there */
	assert_int_equal(b->dev->ops->fds(b->dev, fds, 8), 2);
	assert_int_equal(fds[0], mr_afxdp_fd(b->dev, 0));
	assert_int_equal(b->dev->ops->fds(b->dev, fds, 1), 1);
	assert_int_equal(b->frames.nfree, NFRAMES - RING); /* the FILL ring is full */
	assert_int_equal(b->dev->ops->service(b->dev), 0);
}

static void packets_of_every_size_go_out_whole(void **state)
{
	static const struct {
		const char *what;
		uint32_t len, part;
	} rows[] = {
		{ "smallest", 60, 1920 },
		{ "one chunk", 1514, 1920 },
		{ "one chunk, full", 1920, 1920 },
		{ "two chunks", 2000, 1920 },
		{ "header apart from payload", 1514, 54 * 10 },
		{ "jumbo in 5 chunks", 9014, 1920 },
		{ "18 chunks, the most there can be", 9014, 510 },
	};
	struct bench *b = *state;
	uint8_t buf[65536];
	ssize_t len = 0;
	unsigned id = 0;

	bench_open(b, 1, 9000, false);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++, id++) {
		struct mr_frame *f = make_packet(b, id, rows[i].len, rows[i].part);

		assert_int_equal(b->dev->ops->tx(b->dev, f, 0), 0);
		assert_int_equal(b->dev->ops->kick(b->dev), 0);
		if (peer_receive(b, 1, buf, sizeof(buf), &len) != 1 || len != (ssize_t)rows[i].len)
			fail_msg("%s: got %zd bytes", rows[i].what, len);
		check_bytes(buf, id, rows[i].len);
		b->dev->ops->reap(b->dev);
		assert_int_equal(b->frames.nfree, NFRAMES - RING);
	}
	assert_int_equal(b->ctr.c[MR_CTR_DEV_TX_PACKETS], MR_ARRAY_SIZE(rows));
	assert_int_equal(b->ctr.c[MR_CTR_DEV_COMPLETION_BAD], 0);
}

static void too_many_chunks_are_refused_and_counted(void **state)
{
	struct bench *b = *state;

	bench_open(b, 1, 9000, false);
	assert_int_equal(mr_afxdp_max_chunks(b->dev), 18);
	assert_int_equal(b->dev->ops->tx(b->dev, make_packet(b, 1, 1900, 100), 0), -EMSGSIZE);
	assert_int_equal(b->ctr.drop[MR_DROP_TX_DEVICE], 1);
	assert_int_equal(b->frames.nfree, NFRAMES - RING);
}

static void invalid_chunks_never_reach_the_kernel(void **state)
{
	struct bench *b = *state;
	struct mr_frame *f;

	bench_open(b, 1, 1500, false);
	f = make_packet(b, 1, 200, 100);
	f->frag->len = 0;
	assert_int_equal(b->dev->ops->tx(b->dev, f, 0), -EINVAL);
	f = make_packet(b, 1, 200, 200);
	f->len = CHUNK;
	assert_int_equal(b->dev->ops->tx(b->dev, f, 0), -EINVAL);
	assert_int_equal(b->ctr.drop[MR_DROP_TX_INVALID], 2);
	assert_int_equal(b->frames.nfree, NFRAMES - RING);
}

/* More packets than the kernel's budget of one doorbell, and in order. */
static void full_ring_goes_out_with_one_kick(void **state)
{
	struct bench *b = *state;
	uint8_t buf[2048];
	ssize_t len = 0;

	bench_open(b, 1, 1500, false);
	for (unsigned i = 0; i < RING; i++)
		assert_int_equal(b->dev->ops->tx(b->dev, make_packet(b, i, 200, 1500), 0), 0);
	{
		struct mr_frame *f = make_packet(b, RING, 200, 1500);

		assert_int_equal(b->dev->ops->tx(b->dev, f, 0), -EAGAIN);
		assert_int_equal(b->ctr.c[MR_CTR_DEV_TX_RING_FULL], 1);
		mr_netif_tx_done(&b->frames, f);
	}
	assert_int_equal(b->dev->ops->kick(b->dev), 0);
	for (unsigned i = 0; i < RING; i++) {
		assert_int_equal(peer_receive(b, 1, buf, sizeof(buf), &len), 1);
		assert_int_equal(len, 200);
		check_bytes(buf, i, 200);
	}
	b->dev->ops->reap(b->dev);
	assert_int_equal(b->frames.nfree, NFRAMES - RING);
	assert_int_equal(b->ctr.drop[MR_DROP_TX_DEVICE], 0);
}

static void chain_needs_room_for_all_of_it(void **state)
{
	struct bench *b = *state;
	struct mr_frame *f;

	bench_open(b, 1, 9000, false);
	for (unsigned i = 0; i < RING - 3; i++)
		assert_int_equal(b->dev->ops->tx(b->dev, make_packet(b, i, 100, 1500), 0), 0);
	f = make_packet(b, 0, 4000, 1000);
	assert_int_equal(b->dev->ops->tx(b->dev, f, 0), -EAGAIN);
	assert_int_equal(f->tx_refs, 1); /* nothing happened to it */
	assert_int_equal(b->dev->ops->kick(b->dev), 0);
	b->dev->ops->reap(b->dev);
	assert_int_equal(b->dev->ops->tx(b->dev, f, 0), 0);
	assert_int_equal(b->dev->ops->kick(b->dev), 0);
	b->dev->ops->reap(b->dev);
	assert_int_equal(b->frames.nfree, NFRAMES - RING);
}

static void what_the_peer_does_not_take_is_counted_as_dropped(void **state)
{
	struct bench *b = *state;
	uint8_t buf[4096];
	ssize_t len = 0;

	bench_open(b, 1, 1500, false);
	for (unsigned i = 0; i < 10; i++) /* every other one beyond the peer's MTU */
		assert_int_equal(
			b->dev->ops->tx(b->dev, make_packet(b, i, i % 2 ? 3000 : 300, 1900), 0), 0);
	assert_int_equal(b->dev->ops->kick(b->dev), 0);
	assert_int_equal(peer_receive(b, 6, buf, sizeof(buf), &len), 5);
	b->dev->ops->reap(b->dev);
	assert_int_equal(b->ctr.drop[MR_DROP_TX_DEVICE], 5);
	assert_int_equal(b->frames.nfree, NFRAMES - RING);

	enter(ns_peer);
	assert_int_equal(sh("ip link set v1 down"), 0);
	enter(ns_dev);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(b->dev->ops->tx(b->dev, make_packet(b, i, 300, 1900), 0), 0);
	for (unsigned i = 0; i < 100 && b->dev->ops->kick(b->dev) == -EAGAIN; i++)
		;
	assert_int_equal(b->dev->ops->kick(b->dev), 0);
	b->dev->ops->reap(b->dev);
	assert_int_equal(b->ctr.drop[MR_DROP_TX_DEVICE], 205);
	assert_int_equal(b->frames.nfree, NFRAMES - RING);
}

static void received_packets_are_whole_and_carry_metadata(struct bench *b, uint32_t mtu)
{
	const uint32_t sizes[] = { 60, 500, 1514, 1792, 1793, 4000, mtu + ETH_HLEN };
	struct mr_frame_queue q = { 0 };
	uint8_t buf[65536];
	unsigned id = 0;

	for (size_t i = 0; i < MR_ARRAY_SIZE(sizes) && sizes[i] <= mtu + ETH_HLEN; i++, id++) {
		struct mr_frame *f, *chunk;
		uint32_t total = 0;
		unsigned chunks = 0;

		assert_int_equal(peer_send(b, id, sizes[i]), sizes[i]);
		assert_int_equal(dev_receive(b, &q, 1, 64), 1);
		f = mr_frame_queue_pop(&q);
		assert_int_equal(f->pkt_len, sizes[i]);
		mr_frame_for_each_chunk (chunk, f) {
			assert_int_equal(chunk->refs, 1);
			assert_int_equal(chunk->flags & MR_FRAME_IN_DEV, 0);
			total += chunk->len;
			chunks++;
		}
		assert_int_equal(total, sizes[i]);
		assert_int_equal(chunks, f->nchunks);
		assert_true(sizes[i] <= 1792 || chunks > 1);
		assert_int_equal(mr_frame_copy_out(f, 0, buf, sizes[i]), sizes[i]);
		check_bytes(buf, id, sizes[i]);
		assert_true(f->flags & MR_FRAME_META);
		assert_int_equal(f->meta.cookie, COOKIE);
		assert_int_equal(f->meta.rx_queue, f->queue);
		/* what a chunk left behind must not be believed a second time */
		assert_memory_not_equal(f->data - sizeof(f->meta), "TMRM", 4);
		mr_frame_put_chain(&b->frames, f);
	}
	assert_int_equal(b->ctr.c[MR_CTR_DEV_RX_PACKETS], id);
}

static void receive_generic_1500(void **state)
{
	bench_open(*state, 1, 1500, false);
	received_packets_are_whole_and_carry_metadata(*state, 1500);
}

static void receive_generic_9000(void **state)
{
	bench_open(*state, 1, 9000, false);
	received_packets_are_whole_and_carry_metadata(*state, 9000);
}

static void receive_native_9000(void **state)
{
	bench_open(*state, 1, 9000, true);
	received_packets_are_whole_and_carry_metadata(*state, 9000);
}

static void receive_generic_60000(void **state)
{
	bench_open(*state, 1, 60000, false);
	received_packets_are_whole_and_carry_metadata(*state, 60000);
}

static void stale_cookie_is_not_believed(void **state)
{
	struct bench *b = *state;
	struct mr_frame_queue q = { 0 };
	struct mr_afxdp_cfg cfg;
	struct mr_frame *f;

	make_pair(1, 1, 1500);
	b->ifindex = (int)if_nametoindex("v0");
	cfg = config(b, 1);
	cfg.cookie = COOKIE + 1;
	assert_int_equal(
		mr_afxdp_open(&b->dev, &cfg, &b->arena, &b->umem, &b->frames, &b->ctr, &b->err), 0);
	attach(b, 1, false);
	b->peer = peer_socket();
	assert_int_equal(peer_send(b, 1, 100), 100);
	assert_int_equal(dev_receive(b, &q, 1, 1), 1);
	f = mr_frame_queue_pop(&q);
	assert_false(f->flags & MR_FRAME_META);
	mr_frame_put_chain(&b->frames, f);
}

/* Budgets of one, and packets that lie in the ring when the device is closed: none leaks. */
static void budget_is_kept_and_unread_packets_come_back(void **state)
{
	struct bench *b = *state;
	struct mr_frame_queue q = { 0 };
	struct mr_frame *f;

	bench_open(b, 1, 9000, false);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(peer_send(b, i, 9014), 9014);
	usleep(20000);
	assert_true(b->dev->ops->rx_ready(b->dev));
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(b->dev->ops->rx(b->dev, &q, 1, 0), 1);
		f = mr_frame_queue_pop(&q);
		assert_int_equal(f->pkt_len, 9014);
		mr_frame_put_chain(&b->frames, f);
	}
	assert_true(b->dev->ops->rx_ready(b->dev));
}

/* A sender and a receiver at the same time, over many turns of every ring. What the receiver is too
 * slow for is dropped by the kernel, and counted: nothing else is missing, nothing is cut. */
static void jumbo_packets_stay_whole_while_the_rings_turn(void **state)
{
	const unsigned sent = 3000;
	struct bench *b = *state;
	struct mr_frame_queue q = { 0 };
	uint8_t buf[9014];
	unsigned got = 0;
	bool sending = true;
	pid_t child;

	bench_open(b, 1, 9000, false);
	child = fork();
	if (!child) {
		for (unsigned i = 0; i < sent; i++) {
			if (peer_send(b, i % 251, sizeof(buf)) != sizeof(buf))
				_exit(1);
			if (i % 32 == 31)
				usleep(500);
		}
		_exit(0);
	}
	for (;;) {
		struct mr_frame *f;
		int status;

		b->dev->ops->reap(b->dev);
		if (!b->dev->ops->rx(b->dev, &q, 64, 0) && !sending)
			break;
		while ((f = mr_frame_queue_pop(&q))) {
			assert_int_equal(f->pkt_len, sizeof(buf));
			assert_int_equal(mr_frame_copy_out(f, 0, buf, sizeof(buf)), sizeof(buf));
			for (uint32_t i = ETH_HLEN + 1; i < sizeof(buf); i++)
				assert_int_equal((uint8_t)(buf[i] - buf[ETH_HLEN]),
						 (uint8_t)(pattern(0, i) - pattern(0, ETH_HLEN)));
			mr_frame_put_chain(&b->frames, f);
			got++;
		}
		if (sending && waitpid(child, &status, WNOHANG) == child) {
			assert_int_equal(status, 0);
			sending = false;
		}
	}
	print_message("%u of %u jumbo packets, %llu dropped by the kernel\n", got, sent,
		      (unsigned long long)counter(b, "dev.rx_dropped"));
	assert_true(got > sent / 10);
	assert_int_equal(got + counter(b, "dev.rx_dropped"), sent);
}

static void both_queues_receive_and_send(void **state)
{
	struct bench *b = *state;
	struct mr_frame_queue q = { 0 };
	unsigned by_queue[2] = { 0 }, n = 0;
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	uint8_t pkt[100], buf[2048];
	ssize_t len = 0;

	bench_open(b, 2, 1500, true);
	enter(ns_peer);
	to.sll_ifindex = (int)if_nametoindex("v1");
	enter(ns_dev);
	assert_int_equal(b->frames.nfree, NFRAMES - 2 * RING);
	for (unsigned i = 0; i < 64; i++) {
		/* UDP over IPv4, so that the peer spreads the flows over its queues */
		static const uint8_t ip[28] = { 0x45, 0, 0, 86, 0, 0, 0, 0, 64, 17, 0, 0, 10,
						0,    0, 1, 10, 0, 0, 2, 0, 0,	0,  9, 0, 66 };

		memset(pkt, 0, sizeof(pkt));
		eth_header(pkt);
		pkt[12] = 8;
		pkt[13] = 0;
		memcpy(pkt + 14, ip, sizeof(ip));
		pkt[14 + 21] = (uint8_t)i;
		assert_int_equal(
			sendto(b->peer, pkt, sizeof(pkt), 0, (struct sockaddr *)&to, sizeof(to)),
			sizeof(pkt));
	}
	n = dev_receive(b, &q, 64, 16);
	assert_int_equal(n, 64);
	while (q.head) {
		struct mr_frame *f = mr_frame_queue_pop(&q);

		assert_true(f->queue < 2);
		assert_int_equal(f->meta.rx_queue, f->queue);
		by_queue[f->queue]++;
		mr_frame_put_chain(&b->frames, f);
	}
	print_message("%u packets on queue 0, %u on queue 1\n", by_queue[0], by_queue[1]);
	assert_true(by_queue[0] && by_queue[1]);

	for (unsigned i = 0; i < 20; i++) {
		struct mr_frame *f = make_packet(b, i, 100, 1500);

		f->queue = (uint16_t)i; /* modulo the queues that there are */
		assert_int_equal(b->dev->ops->tx(b->dev, f, 0), 0);
	}
	assert_int_equal(b->dev->ops->kick(b->dev), 0);
	assert_int_equal(b->ctr.c[MR_CTR_DEV_TX_DOORBELLS], 2);
	assert_int_equal(peer_receive(b, 20, buf, sizeof(buf), &len), 20);
	b->dev->ops->reap(b->dev);
	assert_int_equal(b->frames.nfree, NFRAMES - 2 * RING);
}

static void fewer_transmit_than_receive_queues_will_do(void **state)
{
	struct bench *b = *state;
	struct mr_afxdp_cfg cfg;
	uint8_t buf[2048];
	ssize_t len = 0;
	char line[256];

	make_pair(3, 1, 1500);
	b->ifindex = (int)if_nametoindex("v0");
	cfg = config(b, 3);
	if (mr_afxdp_open(&b->dev, &cfg, &b->arena, &b->umem, &b->frames, &b->ctr, &b->err))
		fail_msg("%s", b->err.text);
	mr_afxdp_describe(b->dev, line, sizeof(line));
	print_message("%s\n", line);
	assert_non_null(strstr(line, "3 receive and 1 transmit queue"));
	b->peer = peer_socket();
	for (unsigned i = 0; i < 3; i++) {
		struct mr_frame *f = make_packet(b, i, 100, 1500);

		f->queue = (uint16_t)i;
		assert_int_equal(b->dev->ops->tx(b->dev, f, 0), 0);
	}
	assert_int_equal(b->dev->ops->kick(b->dev), 0);
	assert_int_equal(peer_receive(b, 3, buf, sizeof(buf), &len), 3);
}

static void senders_holding_every_frame_leave_receiving_alive(void **state)
{
	struct bench *b = *state;
	struct mr_frame_queue q = { 0 };
	struct mr_frame *held = NULL, *f;

	bench_open(b, 1, 1500, false);
	/* everything that is free is taken, and all of the FILL ring is used up */
	for (unsigned round = 0; round < 2 * RING / 64; round++) {
		while ((f = mr_frame_get(&b->frames))) {
			f->next = held;
			held = f;
		}
		for (unsigned i = 0; i < 64; i++)
			peer_send(b, i, 100);
		b->dev->ops->reap(b->dev);
		b->dev->ops->rx(b->dev, &q, 64, 0);
		while ((f = mr_frame_queue_pop(&q)))
			mr_frame_put_chain(&b->frames, f);
		b->dev->ops->reap(b->dev); /* before the next sender: as port.c does */
	}
	assert_true(b->ctr.c[MR_CTR_DEV_FILL_EMPTY] > 0);
	peer_send(b, 1, 100);
	assert_int_equal(dev_receive(b, &q, 1, 1), 1);
	mr_frame_put_chain(&b->frames, mr_frame_queue_pop(&q));
	while ((f = held)) {
		held = f->next;
		mr_frame_put(&b->frames, f);
	}
	b->dev->ops->reap(b->dev);
	assert_int_equal(b->frames.nfree, NFRAMES - RING);
}

static void a_burst_leaves_a_quarter_for_transmit(void **state)
{
	struct bench *b = *state;
	struct mr_frame *f, *held = NULL;
	struct mr_frame_queue q = { 0 };

	bench_open(b, 1, 1500, false);
	while (b->frames.nfree > NFRAMES / 4 + 10) {
		f = mr_frame_get(&b->frames);
		f->next = held;
		held = f;
	}
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(peer_send(b, i, 100), 100);
	assert_int_equal(b->dev->ops->rx(b->dev, &q, RING, 0), 200); /* and nobody reads them */
	b->dev->ops->reap(b->dev);
	assert_int_equal(b->frames.nfree, NFRAMES / 4);
	assert_int_equal(b->ctr.c[MR_CTR_DEV_FILL_EMPTY], 1);

	while ((f = mr_frame_queue_pop(&q)))
		mr_frame_put_chain(&b->frames, f);
	while ((f = held)) {
		held = f->next;
		mr_frame_put(&b->frames, f);
	}
}

static void kernels_drops_show_in_the_counters(void **state)
{
	struct bench *b = *state;
	struct mr_frame_queue q = { 0 };
	struct mr_frame *f;

	bench_open(b, 1, 1500, false);
	assert_int_equal(counter(b, "dev.rx_dropped"), 0);
	for (unsigned i = 0; i < RING + 50; i++) /* nobody reaps: FILL runs dry */
		assert_int_equal(peer_send(b, i, 100), 100);
	assert_int_equal(counter(b, "dev.rx_fill_ring_empty"), 50);
	assert_int_equal(counter(b, "dev.rx_dropped"), 50);
	assert_int_equal(counter(b, "dev.rx_ring_full"), 0);
	assert_int_equal(counter(b, "dev.tx_invalid_descs"), 0);
	assert_int_equal(dev_receive(b, &q, RING, RING), RING);
	while ((f = mr_frame_queue_pop(&q)))
		mr_frame_put_chain(&b->frames, f);
}

/* Rounds of a busy engine for a second of its own time, a packet in each. */
static uint64_t calm_second(struct bench *b)
{
	struct mr_frame_queue q = { 0 };
	uint64_t now = MR_NS_PER_S;

	for (unsigned i = 0; i < 10000; i++) {
		now += 100 * MR_NS_PER_US;
		assert_int_equal(peer_send(b, i, 100), 100);
		b->dev->ops->reap(b->dev);
		assert_int_equal(b->dev->ops->rx(b->dev, &q, 64, now), 1);
		mr_frame_put_chain(&b->frames, mr_frame_queue_pop(&q));
	}
	b->dev->ops->reap(b->dev);
	return now;
}

static void burst_is_received_whole(struct bench *b, unsigned n, uint64_t now)
{
	struct mr_frame_queue q = { 0 };
	unsigned got = 0;

	while (got < n) {
		unsigned more = b->dev->ops->rx(b->dev, &q, 64, now);

		assert_true(more > 0);
		got += more;
		for (; more; more--)
			mr_frame_put_chain(&b->frames, mr_frame_queue_pop(&q));
		b->dev->ops->reap(b->dev);
		now += 10 * MR_NS_PER_US;
	}
	assert_int_equal(counter(b, "dev.rx_dropped"), 0);
	assert_int_equal(counter(b, "dev.rx_fill_ring_empty"), 0);
}

static void shallow_rings_hold_every_burst_that_full_ones_hold(void **state)
{
	enum { LEAST = RING / 4 };
	struct bench *b = *state;
	uint64_t now;

	b->fill_least = LEAST;
	bench_open(b, 1, 1500, false);
	/* while the engine sleeps */
	calm_second(b);
	assert_int_equal(b->frames.nfree, NFRAMES - LEAST);
	b->dev->ops->rest(b->dev);
	for (unsigned i = 0; i < RING; i++)
		assert_int_equal(peer_send(b, i, 100), 100);
	burst_is_received_whole(b, RING, 2 * MR_NS_PER_S);
	/* while it looks, from senders that double what they send each time */
	now = calm_second(b);
	assert_int_equal(b->frames.nfree, NFRAMES - LEAST);
	for (unsigned n = 10; n <= RING; n *= 2) {
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(peer_send(b, i, 100), 100);
		burst_is_received_whole(b, n, now);
		now += MR_NS_PER_MS / 10;
	}
}

static void link_down_holds_packets_and_link_up_sends_them(void **state)
{
	struct bench *b = *state;
	struct mr_frame_queue q = { 0 };
	uint8_t buf[2048];
	ssize_t len = 0;

	bench_open(b, 1, 1500, false);
	assert_int_equal(b->dev->ops->service(b->dev), 0);
	assert_int_equal(sh("ip link set v0 down"), 0);
	assert_int_equal(wait_and_service(b), 0);
	assert_false(mr_afxdp_link_up(b->dev));
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(b->dev->ops->tx(b->dev, make_packet(b, i, 100, 1500), 0), 0);
	assert_int_equal(b->dev->ops->kick(b->dev), 0); /* not fatal, nothing to retry at once */
	assert_int_equal(b->ctr.c[MR_CTR_DEV_TX_DOWN], 1);
	assert_false(b->dev->ops->rx_ready(b->dev)); /* nor a reason to spin */

	assert_int_equal(sh("ip link set v0 up"), 0);
	wait_for_link(b);
	assert_int_equal(b->dev->ops->service(b->dev), 0);
	assert_int_equal(peer_receive(b, 5, buf, sizeof(buf), &len), 5);
	b->dev->ops->reap(b->dev);
	assert_int_equal(b->frames.nfree, NFRAMES - RING);

	close_fd(&b->peer); /* the old one has heard ENETDOWN */
	b->peer = peer_socket();
	assert_int_equal(peer_send(b, 3, 100), 100);
	assert_int_equal(dev_receive(b, &q, 1, 1), 1);
	mr_frame_put_chain(&b->frames, mr_frame_queue_pop(&q));
}

static void carrier_of_the_peer_is_the_link_state(void **state)
{
	struct bench *b = *state;

	bench_open(b, 1, 1500, false);
	b->dev->ops->service(b->dev);
	enter(ns_peer);
	assert_int_equal(sh("ip link set v1 down"), 0);
	for (unsigned i = 0; i < 20 && mr_afxdp_link_up(b->dev); i++)
		assert_int_equal(wait_and_service(b), 0);
	assert_false(mr_afxdp_link_up(b->dev));
	assert_int_equal(sh("ip link set v1 up"), 0);
	enter(ns_dev);
	wait_for_link(b);
}

static uint32_t link_gso_bytes(struct bench *b)
{
	struct mr_link_state is;

	mr_afxdp_link_state(b->dev, &is);
	return is.gso_bytes;
}

static void without_tso_of_the_device_no_packet_is_made_to_be_cut(void **state)
{
	struct bench *b = *state;
	struct mr_afxdp_cfg cfg;

	make_pair(1, 1, 1500);
	b->ifindex = (int)if_nametoindex("v0");
	assert_int_equal(sh("ethtool -K v0 tx off >/dev/null"), 0);
	cfg = config(b, 1);
	cfg.gso = true;
	if (mr_afxdp_open(&b->dev, &cfg, &b->arena, &b->umem, &b->frames, &b->ctr, &b->err))
		fail_msg("%s", b->err.text);
	assert_int_equal(link_gso_bytes(b), 0);
	assert_int_equal(sh("ethtool -K v0 tx on tso on >/dev/null"), 0);
	for (unsigned i = 0; i < 20 && !link_gso_bytes(b); i++)
		assert_int_equal(wait_and_service(b), 0);
	assert_int_equal(link_gso_bytes(b), UINT16_MAX);
	assert_int_equal(sh("ethtool -K v0 tso off >/dev/null"), 0);
	for (unsigned i = 0; i < 20 && link_gso_bytes(b); i++)
		assert_int_equal(wait_and_service(b), 0);
	assert_int_equal(link_gso_bytes(b), 0);
}

/* The interface is gone: everything says so, nothing crashes, and no frame is lost. */
static void expect_gone(struct bench *b)
{
	int ret = 0;

	for (unsigned i = 0; i < 20 && !ret; i++)
		ret = wait_and_service(b);
	assert_int_equal(ret, -ENETDOWN);
	assert_int_equal(b->dev->ops->service(b->dev), -ENETDOWN); /* and stays so */
	assert_int_equal(b->dev->ops->kick(b->dev), -ENETDOWN);
	assert_int_equal(b->dev->ops->tx(b->dev, make_packet(b, 1, 100, 1500), 0), -ENETDOWN);
	assert_false(mr_afxdp_link_up(b->dev));
	b->dev->ops->reap(b->dev);
	counter(b, "dev.rx_dropped");
}

static void deleted_peer_is_the_end(void **state)
{
	struct bench *b = *state;

	bench_open(b, 1, 1500, false);
	assert_int_equal(b->dev->ops->tx(b->dev, make_packet(b, 1, 100, 1500), 0), 0);
	enter(ns_peer);
	assert_int_equal(sh("ip link del v1"), 0);
	enter(ns_dev);
	expect_gone(b);
}

static void doorbell_notices_the_end_without_service(void **state)
{
	struct bench *b = *state;
	uint64_t end;

	bench_open(b, 1, 1500, false);
	enter(ns_peer);
	assert_int_equal(sh("ip link del v1"), 0);
	enter(ns_dev);
	end = clock_ms() + 1000;
	assert_int_equal(b->dev->ops->tx(b->dev, make_packet(b, 1, 100, 1500), 0), 0);
	while (b->dev->ops->kick(b->dev) != -ENETDOWN)
		assert_true(clock_ms() < end);
}

static void interface_moved_away_is_the_end(void **state)
{
	struct bench *b = *state;

	bench_open(b, 1, 1500, false);
	close_fd(&b->link);
	assert_int_equal(sh("ip link set v0 netns /proc/%d/fd/%d", getpid(), ns_peer), 0);
	expect_gone(b);
}

static void busy_queue_is_named(void **state)
{
	struct bench *b = *state;
	struct mr_afxdp_cfg cfg;
	struct mr_error err = { 0 };
	uint64_t t0 = clock_ms();

	bench_open(b, 1, 1500, false);
	cfg = config(b, 1);
	assert_int_equal(open_again(b, &cfg, &err), -EBUSY);
	assert_true(clock_ms() - t0 >= 5000); /* it waited for a stack that is about to end */
	print_message("%s\n", err.text);
	assert_non_null(strstr(err.text, "queue 0 of v0 is in use by another AF_XDP socket"));
}

static void queue_of_a_device_just_closed_is_waited_for(void **state)
{
	struct bench *b = *state;
	struct mr_afxdp_cfg cfg;

	bench_open(b, 2, 1500, false);
	for (unsigned i = 0; i < 3; i++) {
		dev_close(b);
		assert_int_equal(b->frames.nfree, NFRAMES);
		cfg = config(b, 2);
		if (mr_afxdp_open(&b->dev, &cfg, &b->arena, &b->umem, &b->frames, &b->ctr, &b->err))
			fail_msg("%s", b->err.text);
	}
}

static void open_failures_are_one_clear_sentence(void **state)
{
	struct bench *b = *state;
	struct mr_afxdp_cfg good;
	struct {
		const char *want;
		struct mr_afxdp_cfg cfg;
		int ret;
	} rows[5];
	struct mr_error err;

	make_pair(1, 1, 1500);
	b->ifindex = (int)if_nametoindex("v0");
	good = config(b, 1);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++)
		rows[i].cfg = good;
	rows[0].cfg.ifindex = 99999;
	rows[0].ret = -ENODEV;
	rows[0].want = "there is no interface v0 (index 99999)";
	rows[1].cfg.nqueues = 3;
	rows[1].ret = -EINVAL;
	rows[1].want = "queue 1 of v0: the queue does not exist";
	rows[2].cfg.zero_copy = true;
	rows[2].ret = -EOPNOTSUPP;
	rows[2].want = "the driver of v0 has no zero copy";
	rows[3].cfg.rx_ring = 1000;
	rows[3].ret = -EINVAL;
	rows[3].want = "ring sizes must be powers of two";
	rows[4].cfg.nqueues = 0;
	rows[4].ret = -EINVAL;
	rows[4].want = "v0 has 0 receive queues";
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		memset(&err, 0, sizeof(err));
		if (open_again(b, &rows[i].cfg, &err) != rows[i].ret ||
		    !strstr(err.text, rows[i].want))
			fail_msg("wanted '%s', got %d '%s'", rows[i].want, err.code, err.text);
	}
}

/* In a child, because capabilities and limits are given up. */
static void without_privileges_it_says_which(void **state)
{
	struct bench *b = *state;
	pid_t child;
	int status;

	make_pair(1, 1, 1500);
	b->ifindex = (int)if_nametoindex("v0");
	child = fork();
	if (!child) {
		struct mr_afxdp_cfg cfg = config(b, 1);
		struct mr_error err = { 0 };
		struct mr_dev *dev;

		if (setresuid(65534, 65534, 65534))
			_exit(2);
		if (mr_afxdp_open(&dev, &cfg, &b->arena, &b->umem, &b->frames, &b->ctr, &err) !=
		    -EPERM)
			_exit(3);
		printf("%s\n", err.text);
		fflush(stdout);
		_exit(strstr(err.text, "CAP_NET_RAW") ? 0 : 4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* No CAP_IPC_LOCK, and a limit below the size of the UMEM that nobody may raise. */
static void unlockable_memory_is_named_with_its_size(void **state)
{
	struct bench *b = *state;
	pid_t child;
	int status;

	make_pair(1, 1, 1500);
	b->ifindex = (int)if_nametoindex("v0");
	child = fork();
	if (!child) {
		const struct rlimit lim = { .rlim_cur = 64 << 10, .rlim_max = 64 << 10 };
		const cap_value_t drop[] = { CAP_IPC_LOCK };
		struct mr_afxdp_cfg cfg = config(b, 1);
		struct mr_error err = { 0 };
		cap_t caps = cap_get_proc();
		struct mr_dev *dev;

		if (setrlimit(RLIMIT_MEMLOCK, &lim) || !caps ||
		    cap_set_flag(caps, CAP_EFFECTIVE, 1, drop, CAP_CLEAR) || cap_set_proc(caps))
			_exit(2);
		if (mr_afxdp_open(&dev, &cfg, &b->arena, &b->umem, &b->frames, &b->ctr, &err) !=
		    -ENOBUFS)
			_exit(3);
		printf("%s\n", err.text);
		fflush(stdout);
		_exit(strstr(err.text, "8192 KiB") && strstr(err.text, "RLIMIT_MEMLOCK is 64 KiB") ?
			      0 :
			      4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

#define LIVE_TEST(f) cmocka_unit_test_setup_teardown(f, bench_new, bench_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE_TEST(open_tells_what_it_got),
		LIVE_TEST(packets_of_every_size_go_out_whole),
		LIVE_TEST(too_many_chunks_are_refused_and_counted),
		LIVE_TEST(invalid_chunks_never_reach_the_kernel),
		LIVE_TEST(full_ring_goes_out_with_one_kick),
		LIVE_TEST(chain_needs_room_for_all_of_it),
		LIVE_TEST(what_the_peer_does_not_take_is_counted_as_dropped),
		LIVE_TEST(receive_generic_1500),
		LIVE_TEST(receive_generic_9000),
		LIVE_TEST(receive_native_9000),
		LIVE_TEST(receive_generic_60000),
		LIVE_TEST(stale_cookie_is_not_believed),
		LIVE_TEST(budget_is_kept_and_unread_packets_come_back),
		LIVE_TEST(jumbo_packets_stay_whole_while_the_rings_turn),
		LIVE_TEST(both_queues_receive_and_send),
		LIVE_TEST(fewer_transmit_than_receive_queues_will_do),
		LIVE_TEST(senders_holding_every_frame_leave_receiving_alive),
		LIVE_TEST(a_burst_leaves_a_quarter_for_transmit),
		LIVE_TEST(kernels_drops_show_in_the_counters),
		LIVE_TEST(shallow_rings_hold_every_burst_that_full_ones_hold),
		LIVE_TEST(link_down_holds_packets_and_link_up_sends_them),
		LIVE_TEST(carrier_of_the_peer_is_the_link_state),
		LIVE_TEST(without_tso_of_the_device_no_packet_is_made_to_be_cut),
		LIVE_TEST(deleted_peer_is_the_end),
		LIVE_TEST(doorbell_notices_the_end_without_service),
		LIVE_TEST(interface_moved_away_is_the_end),
		LIVE_TEST(busy_queue_is_named),
		LIVE_TEST(queue_of_a_device_just_closed_is_waited_for),
		LIVE_TEST(open_failures_are_one_clear_sentence),
		LIVE_TEST(without_privileges_it_says_which),
		LIVE_TEST(unlockable_memory_is_named_with_its_size),
	};

	if (geteuid() || unshare(CLONE_NEWNET) || (ns_peer = own_ns()) < 0 ||
	    unshare(CLONE_NEWNET) || (ns_dev = own_ns()) < 0) {
		printf("skipped: needs root, to make network namespaces (%s)\n",
		       geteuid() ? "not root" : strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests_name("afxdp", tests, NULL, NULL);
}
