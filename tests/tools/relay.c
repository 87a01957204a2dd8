// SPDX-License-Identifier: BSD-2-Clause
/*
 * relay.c - a bad wire between two interfaces, on our own device layer.
 *
 *	relay IF_A IF_B [--seed N] [--generic] [--ab | --ba | --both] [FAULT ...] ...
 *
 * Every frame that comes in at one interface goes out of the other. --ab, --ba and --both (which is how it
 * begins) say for which direction the following faults are:
 *
 *	--delay-ms D		propagation
 *	--rate-mbit R, --queue-kb K	a bottleneck, with a drop-tail queue (256 KiB unless said otherwise)
 *	--loss P		percent, each frame by itself
 *	--burst B,E		percent: of frames at which a burst of losses begins, and ends
 *	--reorder P, --reorder-ms T	percent of frames that come up to T ms later (5 unless said otherwise)
 *	--dup P			percent that come twice
 *	--corrupt P		percent with one bit flipped behind the Ethernet header
 *
 * Faults are for TCP; what else passes (ARP, neighbour discovery) is only delayed.
 * Limits	A frame longer than the MTU is dropped and counted, as the veth pair would drop it: with
 *		segmentation offload on, hosts send such, and with checksum offload they send checksums that
 *		are not finished. Turn both off at the far ends (ethtool -K IF tx off tso off gso off).
 * Prints	"ready" when frames pass; at SIGTERM or SIGINT a line of counts for each direction.
 */
#include <bpf/bpf.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "../sim/rng.h"
#include "base/compiler.h"
#include "base/time.h"
#include "dev/afxdp.h"
#include "dev/port.h"
#include "kernel/ifinfo.h"

#define CHUNK	      4096u
#define RING	      2048u
#define FRAMES	      (4 * RING)
#define BUDGET	      256u
#define ARENA_SPARE   (1u << 20) /* the device's own state */
#define FRAME_MAX     (14u + 65536u)
#define L2_BYTES      22u /* Ethernet and two VLAN tags */
#define SERVICE_NS    MR_NS_PER_S
#define REORDER_NS    (5 * MR_NS_PER_MS)
#define QUEUE_DEFAULT (256u << 10)

/* ---- Two interfaces -------------------------------------------------------------------------- */

struct side {
	const char *ifname;
	struct mr_ifinfo info;
	struct mr_umem umem;
	struct mr_arena arena;
	struct mr_frame_pool frames;
	struct mr_counters ctr;
	struct mr_dev *dev;
	struct mr_netif nif;
	struct mr_port_state port_state;
	struct mr_port port;
	int link_fd;
};

/* Everything to the socket of the queue that it came in on: five instructions. */
static int load_program(int map_fd)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W,
		  .dst_reg = BPF_REG_2,
		  .src_reg = BPF_REG_1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		{ .code = BPF_LD | BPF_IMM | BPF_DW,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = map_fd },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_DROP },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS);

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "relay", "BSD", insns, MR_ARRAY_SIZE(insns), &opts);
}

static void attach(struct side *s, bool native)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int map_fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "relay", 4, 4, s->info.queues, NULL);
	int prog_fd = map_fd < 0 ? -1 : load_program(map_fd);

	if (prog_fd < 0)
		err(1, "%s: cannot load the XDP program", s->ifname);
	for (uint32_t i = 0; i < s->info.queues; i++) {
		int fd = mr_afxdp_fd(s->dev, i);

		if (bpf_map_update_elem(map_fd, &i, &fd, 0))
			err(1, "%s: cannot steer queue %u", s->ifname, i);
	}
	s->link_fd = bpf_link_create(prog_fd, s->info.ifindex, BPF_XDP, &opts);
	if (s->link_fd < 0)
		err(1, "%s: cannot attach the XDP program", s->ifname);
	close(prog_fd); /* the link holds it, and it holds the map */
	close(map_fd);
}

static void side_open(struct side *s, const char *ifname, bool native, uint64_t now)
{
	struct mr_error e = { 0 };
	struct mr_afxdp_cfg cfg = {
		.ifname = ifname, .rx_ring = RING, .tx_ring = RING, .native = native
	};

	s->ifname = ifname;
	if (mr_ifinfo_get(ifname, &s->info, &e))
		errx(1, "%s", e.text);
	cfg.ifindex = s->info.ifindex;
	cfg.nqueues = s->info.queues;
	if (mr_umem_open(&s->umem, FRAMES * s->info.queues, CHUNK) ||
	    mr_arena_open(&s->arena, "relay",
			  FRAMES * s->info.queues * sizeof(struct mr_frame) + ARENA_SPARE) ||
	    mr_frame_pool_init(&s->frames, &s->arena, &s->ctr, s->umem.base,
			       FRAMES * s->info.queues, CHUNK))
		errx(1, "no memory for the frames of %s", ifname);
	if (mr_afxdp_open(&s->dev, &cfg, &s->arena, &s->umem, &s->frames, &s->ctr, &e))
		errx(1, "%s", e.text);
	mr_netif_init(&s->nif, &s->frames, &s->ctr, s->info.mac, s->info.mtu, RING);
	s->nif.max_chunks = mr_afxdp_max_chunks(s->dev);
	mr_port_init(&s->port, &s->port_state, s->dev, &s->nif, 0, NULL, now);
	attach(s, native);
}

static void side_close(struct side *s)
{
	close(s->link_fd);
	s->dev->ops->close(s->dev);
	mr_arena_close(&s->arena);
	mr_umem_close(&s->umem);
}

/* Queue a frame for transmission. False: there was no room. */
static bool side_send(struct side *s, const uint8_t *data, uint32_t len)
{
	struct mr_frame *first = NULL, *last = NULL, *f;
	uint32_t off = 0;
	uint8_t n = 0;

	if (!mr_netif_tx_room(&s->nif, 1))
		return false;
	while (off < len) {
		f = mr_frame_get(&s->frames);
		if (!f) {
			if (first)
				mr_frame_put_chain(&s->frames, first);
			return false;
		}
		f->len = mr_min(len - off, CHUNK - MR_FRAME_HEADROOM);
		memcpy(f->data, data + off, f->len);
		off += f->len;
		n++;
		if (last)
			last->frag = f;
		else
			first = f;
		last = f;
	}
	if (!first)
		return false;
	first->pkt_len = len;
	first->nchunks = n;
	return !mr_netif_tx(&s->nif, first);
}

/* ---- The wire -------------------------------------------------------------------------------- */

struct faults {
	uint32_t loss_ppm, burst_begin_ppm, burst_end_ppm, reorder_ppm, dup_ppm, corrupt_ppm;
	uint64_t delay_ns, reorder_ns, rate_bps;
	uint32_t queue_bytes;
};

struct direction {
	struct faults faults;
	struct sim_rng rng;
	bool bad;	     /* a burst of losses is on */
	uint64_t busy_until; /* ns: the last bit that waits for the rate leaves */
	uint64_t last_at;    /* ns: departure of the last frame in order */
	uint64_t seen, sent, lost, overflowed, reordered, doubled, corrupted, too_long, no_room;
};

struct held {
	uint64_t at, order;
	int dir;
	uint32_t len;
	uint8_t data[];
};

struct relay {
	struct side side[2];
	struct direction dir[2]; /* [i]: what comes in at side i */
	struct held **heap;
	unsigned heap_len, heap_size;
	uint64_t order;
};

static bool earlier(const struct held *a, const struct held *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct relay *r, unsigned a, unsigned b)
{
	struct held *tmp = r->heap[a];

	r->heap[a] = r->heap[b];
	r->heap[b] = tmp;
}

static void hold(struct relay *r, int dir, uint64_t at, const uint8_t *data, uint32_t len)
{
	struct held *h = malloc(sizeof(*h) + len);
	unsigned i = r->heap_len++;

	if (!h)
		err(1, "malloc");
	*h = (struct held){ .at = at, .order = r->order++, .dir = dir, .len = len };
	memcpy(h->data, data, len);
	if (i == r->heap_size) {
		r->heap_size = r->heap_size ? 2 * r->heap_size : 1024;
		r->heap = realloc(r->heap, r->heap_size * sizeof(r->heap[0]));
		if (!r->heap)
			err(1, "realloc");
	}
	r->heap[i] = h;
	for (; i && earlier(r->heap[i], r->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(r, i, (i - 1) / 2);
}

static struct held *pop(struct relay *r)
{
	struct held *top = r->heap[0];
	unsigned i = 0, least, kid;

	r->heap[0] = r->heap[--r->heap_len];
	for (;; i = least) {
		least = i;
		for (kid = 2 * i + 1; kid <= 2 * i + 2; kid++)
			if (kid < r->heap_len && earlier(r->heap[kid], r->heap[least]))
				least = kid;
		if (least == i)
			return top;
		swap(r, i, least);
	}
}

static void depart(struct relay *r, int dir, const uint8_t *data, uint32_t len)
{
	struct direction *d = &r->dir[dir];

	if (side_send(&r->side[!dir], data, len))
		d->sent++;
	else
		d->no_room++;
}

static bool is_tcp(const uint8_t *p, uint32_t len)
{
	uint32_t type = len > 34 ? (uint32_t)(p[12] << 8 | p[13]) : 0;

	return (type == 0x0800 && p[23] == 6) || (type == 0x86dd && p[20] == 6);
}

/* When the frame has left the bottleneck; 0: its queue is full. */
static uint64_t serialize(struct direction *d, uint32_t len, uint64_t now)
{
	const struct faults *f = &d->faults;
	uint64_t backlog;

	if (!f->rate_bps)
		return now;
	d->busy_until = mr_max(d->busy_until, now);
	backlog = (d->busy_until - now) * (f->rate_bps / 8) / MR_NS_PER_S;
	if (backlog && backlog + len > f->queue_bytes)
		return 0;
	d->busy_until += len * 8ull * MR_NS_PER_S / f->rate_bps;
	return d->busy_until;
}

static bool is_lost(struct direction *d)
{
	const struct faults *f = &d->faults;

	if (sim_ppm(&d->rng, d->bad ? f->burst_end_ppm : f->burst_begin_ppm))
		d->bad = !d->bad;
	return d->bad || sim_ppm(&d->rng, f->loss_ppm);
}

static void pass(struct relay *r, int dir, uint8_t *data, uint32_t len, uint64_t now)
{
	struct direction *d = &r->dir[dir];
	const struct faults *f = &d->faults;
	uint64_t at;

	d->seen++;
	if (len > r->side[!dir].info.mtu + L2_BYTES) {
		d->too_long++;
		return;
	}
	at = serialize(d, len, now);
	if (!at) {
		d->overflowed++;
		return;
	}
	at += f->delay_ns;
	if (is_tcp(data, len)) {
		if (is_lost(d)) {
			d->lost++;
			return;
		}
		if (sim_ppm(&d->rng, f->corrupt_ppm)) {
			d->corrupted++;
			data[sim_range(&d->rng, 14, len - 1)] ^=
				(uint8_t)(1u << sim_below(&d->rng, 8));
		}
		if (sim_ppm(&d->rng, f->dup_ppm)) {
			d->doubled++;
			hold(r, dir, at + sim_below(&d->rng, f->reorder_ns), data, len);
		}
		if (sim_ppm(&d->rng, f->reorder_ppm)) {
			d->reordered++;
			hold(r, dir, at + sim_below(&d->rng, f->reorder_ns), data, len);
			return;
		}
	}
	at = mr_max(at, d->last_at);
	d->last_at = at;
	if (at <= now)
		depart(r, dir, data, len);
	else
		hold(r, dir, at, data, len);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop;

static void on_signal(int signo)
{
	(void)signo;
	stop = 1;
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * MR_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static unsigned receive(struct relay *r, int i, uint64_t now)
{
	static uint8_t buf[FRAME_MAX];
	struct side *s = &r->side[i];
	struct mr_frame_queue q = { 0 };
	unsigned n = mr_port_rx(&s->port, &q, BUDGET, now);
	struct mr_frame *f;

	while ((f = mr_frame_queue_pop(&q))) {
		uint32_t len = mr_frame_copy_out(f, 0, buf, mr_min(f->pkt_len, FRAME_MAX));

		mr_frame_put_chain(&s->frames, f);
		pass(r, i, buf, len, now);
	}
	return n;
}

static void sleep_until(struct relay *r, uint64_t at, uint64_t now)
{
	uint64_t ns = at > now ? mr_min(at - now, SERVICE_NS) : 0;
	struct timespec ts = { (time_t)(ns / MR_NS_PER_S), (long)(ns % MR_NS_PER_S) };
	struct pollfd fds[2 * 64];
	unsigned n = 0;

	for (int i = 0; i < 2; i++) {
		const struct mr_dev *dev = r->side[i].dev;
		int fd[64];
		unsigned more = dev->ops->fds(dev, fd, MR_ARRAY_SIZE(fd));

		for (unsigned k = 0; k < more; k++)
			fds[n++] = (struct pollfd){ .fd = fd[k], .events = POLLIN };
		if (dev->ops->rx_ready(dev))
			return;
	}
	/* A signal between the look at `stop` and this is seen a second later. */
	ppoll(fds, n, &ts, NULL);
}

/* False: an interface is gone. */
static bool round_trip(struct relay *r, uint64_t now, bool *idle)
{
	unsigned got = 0;

	for (int i = 0; i < 2; i++)
		got += receive(r, i, now);
	while (r->heap_len && r->heap[0]->at <= now) {
		struct held *h = pop(r);

		depart(r, h->dir, h->data, h->len);
		free(h);
	}
	for (int i = 0; i < 2; i++)
		if (mr_port_tx(&r->side[i].port, now))
			return false;
	*idle = !got;
	return true;
}

static bool run(struct relay *r)
{
	uint64_t now = clock_ns(), service_at = now + SERVICE_NS, at;
	bool idle;

	while (!stop) {
		if (!round_trip(r, now, &idle))
			return false;
		if (now >= service_at) {
			for (int i = 0; i < 2; i++)
				if (r->side[i].dev->ops->service(r->side[i].dev))
					return false;
			service_at = now + SERVICE_NS;
		}
		at = service_at;
		if (r->heap_len)
			at = mr_min(at, r->heap[0]->at);
		for (int i = 0; i < 2; i++)
			at = mr_min(at, mr_port_next(&r->side[i].port, now));
		if (idle)
			sleep_until(r, at, clock_ns());
		now = clock_ns();
	}
	return true;
}

static void report(const struct direction *d, const char *from, const char *to)
{
	printf("%s>%s: seen %llu sent %llu lost %llu overflowed %llu reordered %llu doubled %llu "
	       "corrupted %llu too_long %llu no_room %llu\n",
	       from, to, (unsigned long long)d->seen, (unsigned long long)d->sent,
	       (unsigned long long)d->lost, (unsigned long long)d->overflowed,
	       (unsigned long long)d->reordered, (unsigned long long)d->doubled,
	       (unsigned long long)d->corrupted, (unsigned long long)d->too_long,
	       (unsigned long long)d->no_room);
}

/* ---- Command line ---------------------------------------------------------------------------- */

static void usage(void)
{
	errx(2, "usage: relay IF_A IF_B [--seed N] [--generic] [--ab | --ba | --both]\n"
		"       [--delay-ms D] [--rate-mbit R] [--queue-kb K] [--loss P] [--burst B,E]\n"
		"       [--reorder P] [--reorder-ms T] [--dup P] [--corrupt P]");
}

static double number(const char *text, char **end)
{
	double v;

	errno = 0;
	v = strtod(text, end);
	if (*end == text || errno || v < 0 || v > 1e9)
		usage();
	return v;
}

static uint32_t percent(const char *text, char **end)
{
	double v = number(text, end);

	if (v > 100)
		usage();
	return (uint32_t)(v * 1e4);
}

static void set_fault(struct faults *f, int option, const char *text)
{
	char *end;

	switch (option) {
	case 'd':
		f->delay_ns = (uint64_t)(number(text, &end) * 1e6);
		break;
	case 'r':
		f->rate_bps = (uint64_t)(number(text, &end) * 1e6);
		break;
	case 'q':
		f->queue_bytes = (uint32_t)mr_min(number(text, &end), 1e6) * 1024;
		break;
	case 'l':
		f->loss_ppm = percent(text, &end);
		break;
	case 'b':
		f->burst_begin_ppm = percent(text, &end);
		if (*end != ',')
			usage();
		f->burst_end_ppm = percent(end + 1, &end);
		break;
	case 'o':
		f->reorder_ppm = percent(text, &end);
		break;
	case 't':
		f->reorder_ns = (uint64_t)(number(text, &end) * 1e6);
		break;
	case 'u':
		f->dup_ppm = percent(text, &end);
		break;
	default:
		f->corrupt_ppm = percent(text, &end);
		break;
	}
	if (*end)
		usage();
}

static void parse(int argc, char **argv, struct relay *r, bool *native, uint64_t *seed)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "generic", no_argument, NULL, 'g' },
		{ "ab", no_argument, NULL, 'A' },
		{ "ba", no_argument, NULL, 'B' },
		{ "both", no_argument, NULL, '2' },
		{ "delay-ms", required_argument, NULL, 'd' },
		{ "rate-mbit", required_argument, NULL, 'r' },
		{ "queue-kb", required_argument, NULL, 'q' },
		{ "loss", required_argument, NULL, 'l' },
		{ "burst", required_argument, NULL, 'b' },
		{ "reorder", required_argument, NULL, 'o' },
		{ "reorder-ms", required_argument, NULL, 't' },
		{ "dup", required_argument, NULL, 'u' },
		{ "corrupt", required_argument, NULL, 'c' },
		{ 0 },
	};
	unsigned dirs = 3;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		switch (c) {
		case 's':
			*seed = (uint64_t)number(optarg, &end);
			break;
		case 'g':
			*native = false;
			break;
		case 'A':
			dirs = 1;
			break;
		case 'B':
			dirs = 2;
			break;
		case '2':
			dirs = 3;
			break;
		case '?':
			usage();
			break;
		default:
			for (unsigned i = 0; i < 2; i++)
				if (dirs & 1u << i)
					set_fault(&r->dir[i].faults, c, optarg);
			break;
		}
	}
	if (argc - optind != 2)
		usage();
}

int main(int argc, char **argv)
{
	static struct relay r;
	struct sigaction sa = { .sa_handler = on_signal };
	uint64_t seed = 1;
	bool native = true, ok;

	for (int i = 0; i < 2; i++)
		r.dir[i].faults =
			(struct faults){ .reorder_ns = REORDER_NS, .queue_bytes = QUEUE_DEFAULT };
	parse(argc, argv, &r, &native, &seed);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	prctl(PR_SET_TIMERSLACK, 1ul);
	for (int i = 0; i < 2; i++) {
		r.dir[i].rng.s = sim_mix(seed * 2 + (unsigned)i + 1);
		side_open(&r.side[i], argv[optind + i], native, clock_ns());
	}
	puts("ready");
	fflush(stdout);
	ok = run(&r);
	for (int i = 0; i < 2; i++)
		report(&r.dir[i], r.side[i].ifname, r.side[!i].ifname);
	while (r.heap_len)
		free(pop(&r));
	free(r.heap);
	for (int i = 0; i < 2; i++)
		side_close(&r.side[i]);
	if (!ok)
		warnx("an interface is gone");
	return ok ? 0 : 1;
}
