// SPDX-License-Identifier: BSD-2-Clause
/*
 * raw.c - raw AF_XDP without any protocol: the physical limit that the stacks are held against. Frames
 * are made by hand, nothing is parsed, nothing is checked.
 *
 *	bench_raw reflect -i v0		swap the MAC addresses, send back
 *	bench_raw ping -i v1 -w 64	keep 64 frames under way, count those that come back
 *	bench_raw sink -i v0		count and drop
 *	bench_raw source -i v1 -z 1514	send as fast as the device takes
 */
#include <argp.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "dev/umem.h"
#include "dev/xsk.h"
#include "latency.h"
#include "run.h"

#define RING	   2048u
#define NFRAMES	   (4u * RING)
#define CHUNK	   4096u
#define HEADROOM   256u /* of a frame that is made here: as XDP leaves it in front of received ones */
#define BATCH	   64u
#define ETH_P_TEST 0x88b5 /* IEEE 802: local experimental */

enum mode { REFLECT, PING, SINK, SOURCE };

static const char *const mode_names[] = { "reflect", "ping", "sink", "source" };

struct raw {
	enum mode mode;
	const char *ifname, *object;
	unsigned window;
	uint32_t size;
	double seconds, warmup;
	bool native;
	struct mr_umem umem;
	struct mr_xsk xsk;
	struct bpf_object *obj;
	uint64_t free[NFRAMES]; /* chunks nobody holds */
	uint32_t nfree;
	struct latency latency;
	uint64_t frames, bytes;
};

static int fail(const char *what, int err)
{
	fprintf(stderr, "bench_raw: %s: %s\n", what, strerror(-err));
	return err;
}

static int raw_open(struct raw *r)
{
	int ifindex = (int)if_nametoindex(r->ifname), patience = 100, err, fd;
	struct mr_xsk_cfg cfg = {
		.ifname = r->ifname,
		.ifindex = ifindex,
		.size = { RING, RING, RING, RING },
		.chunk_size = CHUNK,
		.shared_fd = -1,
		.patience = &patience,
	};
	struct bpf_program *prog;
	struct mr_error text;

	if (!ifindex)
		return fail(r->ifname, -errno);
	err = mr_umem_open(&r->umem, NFRAMES, CHUNK);
	if (err)
		return fail("UMEM", err);
	cfg.umem = r->umem.base;
	cfg.umem_size = r->umem.size;
	err = mr_xsk_open(&r->xsk, &cfg, &text);
	if (err) {
		fprintf(stderr, "bench_raw: %s\n", text.text);
		return err;
	}
	for (uint64_t i = 0; i < NFRAMES; i++)
		r->free[r->nfree++] = i * CHUNK;
	r->obj = bpf_object__open_file(r->object, NULL);
	if (!r->obj || bpf_object__load(r->obj))
		return fail(r->object, -errno);
	fd = bpf_object__find_map_fd_by_name(r->obj, "raw_xsks");
	if (bpf_map_update_elem(fd, &(uint32_t){ 0 }, &r->xsk.fd, BPF_ANY))
		return fail("the map of sockets", -errno);
	prog = bpf_object__find_program_by_name(r->obj, "raw_xdp");
	/* The attachment ends with the process: XDP would outlive it without a link. */
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = r->native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	if (bpf_link_create(bpf_program__fd(prog), ifindex, BPF_XDP, &opts) < 0)
		return fail("attaching", -errno);
	return 0;
}

/* ---- Rings ----------------------------------------------------------------------------------- */

/* One batch of chunks for receiving. False: there is no room, or none to spare. */
static bool fill(struct raw *r)
{
	struct mr_xsk_ring *ring = &r->xsk.ring[MR_XSK_FILL];
	uint32_t idx;

	/* Half of the chunks are for sending. */
	if (r->nfree < RING + BATCH || !mr_xsk_ring_reserve(ring, BATCH, &idx))
		return false;
	for (uint32_t i = 0; i < BATCH; i++)
		*mr_xsk_ring_addr(ring, idx + i) = r->free[--r->nfree];
	mr_xsk_ring_submit(ring);
	return true;
}

static void complete(struct raw *r)
{
	struct mr_xsk_ring *ring = &r->xsk.ring[MR_XSK_COMPLETION];
	uint32_t idx, n = mr_xsk_ring_peek(ring, RING, &idx);

	for (uint32_t i = 0; i < n; i++)
		r->free[r->nfree++] = *mr_xsk_ring_addr(ring, idx + i) & ~(uint64_t)(CHUNK - 1);
	if (n)
		mr_xsk_ring_release(ring, n);
}

static bool put(struct raw *r, uint64_t addr, uint32_t len)
{
	struct mr_xsk_ring *ring = &r->xsk.ring[MR_XSK_TX];
	uint32_t idx;

	if (!mr_xsk_ring_reserve(ring, 1, &idx))
		return false;
	*mr_xsk_ring_desc(ring, idx) = (struct xdp_desc){ .addr = addr, .len = len };
	return true;
}

static void kick(struct raw *r)
{
	mr_xsk_ring_submit(&r->xsk.ring[MR_XSK_TX]);
	sendto(r->xsk.fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
	complete(r);
}

static uint8_t *bytes_at(const struct raw *r, uint64_t addr)
{
	return (uint8_t *)r->umem.base + addr;
}

/* Send a frame of our own making. */
static bool send_frame(struct raw *r)
{
	uint64_t addr;
	uint8_t *p;

	if (!r->nfree)
		return false;
	addr = r->free[r->nfree - 1] + HEADROOM;
	p = bytes_at(r, addr);
	memset(p, 0xff, 6); /* broadcast: no ARP is needed */
	memset(p + 6, 0x02, 6);
	p[12] = ETH_P_TEST >> 8;
	p[13] = ETH_P_TEST & 0xff;
	memcpy(p + 14, &(uint64_t){ bench_now() }, 8);
	if (!put(r, addr, r->size))
		return false;
	r->nfree--;
	return true;
}

/* ---- Modes ----------------------------------------------------------------------------------- */

static void handle(struct raw *r, const struct xdp_desc *desc, uint64_t now, bool measuring)
{
	uint8_t *p = bytes_at(r, desc->addr), mac[6];
	/* The kernels at both ends have a word, too: that must not bounce for ever. */
	bool ours = desc->len >= 22 && p[12] == ETH_P_TEST >> 8 && p[13] == (ETH_P_TEST & 0xff);
	uint64_t sent_at;

	if (measuring && ours) {
		r->frames++;
		r->bytes += desc->len;
	}
	if (r->mode == REFLECT && ours) {
		memcpy(mac, p, 6);
		memcpy(p, p + 6, 6);
		memcpy(p + 6, mac, 6);
		if (put(r, desc->addr, desc->len))
			return;
	}
	if (r->mode == PING && ours) {
		memcpy(&sent_at, p + 14, 8);
		if (measuring)
			latency_add(&r->latency, now - sent_at);
		memcpy(p + 14, &now, 8);
		if (put(r, desc->addr, desc->len))
			return;
	}
	r->free[r->nfree++] = desc->addr & ~(uint64_t)(CHUNK - 1);
}

static void receive(struct raw *r, uint64_t now, bool measuring)
{
	struct mr_xsk_ring *ring = &r->xsk.ring[MR_XSK_RX];
	uint32_t idx, n = mr_xsk_ring_peek(ring, BATCH, &idx);

	if (!n)
		return;
	for (uint32_t i = 0; i < n; i++)
		handle(r, mr_xsk_ring_desc(ring, idx + i), now, measuring);
	mr_xsk_ring_release(ring, n);
	fill(r);
	if (r->mode == REFLECT || r->mode == PING)
		kick(r);
}

static void run(struct raw *r)
{
	bool generator = r->mode == PING || r->mode == SOURCE;
	uint64_t from = bench_now() + (uint64_t)(r->warmup * 1e9);
	uint64_t until = from + (uint64_t)(r->seconds * 1e9);

	while (fill(r))
		;
	for (unsigned i = 0; r->mode == PING && i < r->window; i++)
		send_frame(r);
	if (r->mode == PING)
		kick(r);
	while (!bench_stopping()) {
		uint64_t now = bench_now();
		bool measuring = now >= from && now < until;

		if (generator && now >= until)
			return;
		receive(r, now, generator ? measuring : true);
		if (r->mode != SOURCE)
			continue;
		for (unsigned i = 0; i < BATCH && send_frame(r); i++) {
			r->frames += measuring;
			r->bytes += measuring ? r->size : 0;
		}
		kick(r);
	}
}

static void report(const struct raw *r)
{
	double s = r->mode == PING || r->mode == SOURCE ? r->seconds : 0;

	printf("{\"mode\": \"%s\", \"size\": %u, \"window\": %u, \"frames\": %llu",
	       mode_names[r->mode], r->size, r->window, (unsigned long long)r->frames);
	if (s > 0)
		printf(", \"per_s\": %.1f, \"gbit_s\": %.4f", (double)r->frames / s,
		       (double)r->bytes * 8 / s / 1e9);
	if (r->mode == PING) {
		printf(", ");
		latency_print_json(&r->latency, stdout);
	}
	printf("}\n");
}

/* ---- Command line ---------------------------------------------------------------------------- */

static const struct argp_option options[] = {
	{ "interface", 'i', "NAME", 0, "the interface; its queue 0", 0 },
	{ "object", 'o', "FILE", 0, "raw.bpf.o", 0 },
	{ "window", 'w', "N", 0, "ping: frames under way (default 1)", 0 },
	{ "size", 'z', "BYTES", 0, "of a frame, Ethernet header included (default 130)", 0 },
	{ "time", 't', "S", 0, "seconds that are measured (default 2)", 0 },
	{ "native", 'n', NULL, 0, "attach in driver mode", 0 },
	{ 0 },
};

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct raw *r = state->input;
	unsigned i;

	switch (key) {
	case 'i':
		r->ifname = arg;
		break;
	case 'o':
		r->object = arg;
		break;
	case 'w':
		r->window = (unsigned)strtoul(arg, NULL, 10);
		break;
	case 'z':
		r->size = (uint32_t)strtoul(arg, NULL, 10);
		break;
	case 't':
		r->seconds = strtod(arg, NULL);
		break;
	case 'n':
		r->native = true;
		break;
	case ARGP_KEY_ARG:
		for (i = 0; i < MR_ARRAY_SIZE(mode_names) && strcmp(arg, mode_names[i]) != 0; i++)
			;
		if (i == MR_ARRAY_SIZE(mode_names))
			argp_error(state, "\"%s\" is none of reflect, ping, sink and source", arg);
		r->mode = (enum mode)i;
		break;
	case ARGP_KEY_END:
		if (!state->arg_num || !r->ifname || !r->object)
			argp_error(state, "a mode, -i and -o are needed");
		if (r->size < 22 || r->size > CHUNK - HEADROOM || !r->window ||
		    r->window > RING / 2 || !(r->seconds > 0))
			argp_error(state, "size, window or time is out of range");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { .options = options,
					  .parser = parse_opt,
					  .args_doc = "reflect|ping|sink|source",
					  .doc = "Raw AF_XDP, no protocol." };
	static struct raw r = {
		.window = 1, .size = 130, .seconds = 2, .warmup = 0.3, .xsk.fd = -1
	};

	argp_parse(&argp, argc, argv, 0, NULL, &r);
	bench_catch_signals();
	if (raw_open(&r))
		return 1;
	fprintf(stderr, "ready\n");
	run(&r);
	report(&r);
	mr_xsk_close(&r.xsk);
	bpf_object__close(r.obj);
	mr_umem_close(&r.umem);
	return 0;
}
