// SPDX-License-Identifier: BSD-2-Clause
/* pair.c - two engines joined in memory (see pair.h). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "pair.h"

#define RX_HEADROOM 256u /* as the kernel leaves in front of a received packet */

static struct pair_dev *to_dev(const struct mr_dev *dev)
{
	return mr_container_of(dev, struct pair_dev, dev);
}

static void deliver(struct pair_dev *to, const struct mr_frame *f)
{
	struct pair_packet *slot = &to->inbox[to->tail % PAIR_INBOX];

	if (to->cut || to->closed || to->tail - to->head == PAIR_INBOX)
		return;
	slot->len = f->pkt_len;
	slot->bytes = malloc(slot->len);
	assert_non_null(slot->bytes);
	assert_int_equal(mr_frame_copy_out(f, 0, slot->bytes, slot->len), slot->len);
	to->tail++;
}

static int dev_tx(struct mr_dev *dev, struct mr_frame *f, uint64_t now)
{
	struct pair_dev *d = to_dev(dev);

	(void)now;
	assert_true(f->pkt_len <= d->link.mtu + MR_ETH_HLEN);
	deliver(d->pair->dev[!d->side], f);
	d->sent++;
	while (f) {
		struct mr_frame *frag = f->frag;

		mr_netif_tx_done(dev->frames, f);
		f = frag;
	}
	return 0;
}

/* A packet into as many chunks as it needs. NULL: no frame; the packet waits. */
static struct mr_frame *receive(struct mr_frame_pool *frames, const struct pair_packet *pkt)
{
	struct mr_frame *first = NULL, *last = NULL;
	uint32_t done = 0;

	while (done < pkt->len) {
		struct mr_frame *f = mr_frame_get(frames);

		if (!f) {
			if (first)
				mr_frame_put_chain(frames, first);
			return NULL;
		}
		f->data = f->chunk + RX_HEADROOM;
		f->len = mr_min(pkt->len - done, frames->chunk_size - RX_HEADROOM);
		memcpy(f->data, pkt->bytes + done, f->len);
		done += f->len;
		if (last)
			last->frag = f;
		else
			first = f;
		last = f;
		first->nchunks = (uint8_t)(first == f ? 1 : first->nchunks + 1);
		first->pkt_len = done;
	}
	return first;
}

static unsigned dev_rx(struct mr_dev *dev, struct mr_frame_queue *q, unsigned budget, uint64_t now)
{
	struct pair_dev *d = to_dev(dev);
	unsigned n = 0;

	(void)now;
	while (n < budget && d->head != d->tail) {
		struct pair_packet *pkt = &d->inbox[d->head % PAIR_INBOX];
		struct mr_frame *f = receive(dev->frames, pkt);

		if (!f)
			break;
		free(pkt->bytes);
		d->head++;
		mr_frame_queue_push(q, f);
		n++;
	}
	return n;
}

static int dev_kick(struct mr_dev *dev)
{
	return to_dev(dev)->gone ? -ENETDOWN : 0;
}

static void dev_reap(struct mr_dev *dev)
{
	(void)dev;
}

static bool dev_rx_ready(const struct mr_dev *dev)
{
	const struct pair_dev *d = to_dev(dev);

	return d->head != d->tail;
}

static void dev_rest(struct mr_dev *dev)
{
	to_dev(dev)->rests++;
}

static unsigned dev_fds(const struct mr_dev *dev, int *fds, unsigned max)
{
	(void)dev;
	(void)fds;
	(void)max;
	return 0;
}

static int dev_service(struct mr_dev *dev)
{
	return to_dev(dev)->gone ? -ENETDOWN : 0;
}

static void dev_counters(struct mr_dev *dev,
			 void (*each)(void *user, const char *name, const char *text,
				      uint64_t value),
			 void *user)
{
	each(user, "dev.pair_sent", "packets given to the wire", to_dev(dev)->sent);
}

/* The pair frees it, after a look at what it says. */
static void dev_close(struct mr_dev *dev)
{
	struct pair_dev *d = to_dev(dev);

	d->closed++;
	for (; d->head != d->tail; d->head++)
		free(d->inbox[d->head % PAIR_INBOX].bytes);
}

static const struct mr_dev_ops ops = {
	.rx = dev_rx,
	.tx = dev_tx,
	.kick = dev_kick,
	.reap = dev_reap,
	.rx_ready = dev_rx_ready,
	.rest = dev_rest,
	.fds = dev_fds,
	.service = dev_service,
	.counters = dev_counters,
	.close = dev_close,
};

static void link_state(const struct mr_dev *dev, struct mr_link_state *state)
{
	*state = to_dev(dev)->link;
}

static uint64_t pair_clock(void *user)
{
	return ((struct pair *)user)->now;
}

static void set_defaults(struct pair_cfg *cfg)
{
	cfg->mtu = cfg->mtu ?: 1500;
	cfg->nframes = cfg->nframes ?: 512;
	cfg->chunk_size = cfg->chunk_size ?: 2048;
	cfg->max_sockets = cfg->max_sockets ?: 64;
	if (!cfg->tuned) {
		cfg->sndbuf = cfg->sndbuf ?: 64 << 10;
		cfg->rcvbuf = cfg->rcvbuf ?: 64 << 10;
	}
}

static void open_side(struct pair *p, int side)
{
	struct mr_stack_cfg scfg = {
		.extra_bytes = p->cfg.extra_bytes,
		.mac = { 2, 0, 0, 0, 0, (uint8_t)(side + 1) },
		.mtu = p->cfg.mtu,
		.nframes = p->cfg.nframes,
		.chunk_size = p->cfg.chunk_size,
		.max_chunks = MR_FRAME_MAX_CHUNKS,
		.txq_limit = 256,
		.seed = (uint64_t)side + 1,
	};
	struct mr_config cfg;
	struct mr_error err = { 0 };

	mr_config_init(&cfg);
	cfg.ifname = "pair";
	cfg.max_sockets = p->cfg.max_sockets;
	cfg.sndbuf = p->cfg.sndbuf;
	cfg.rcvbuf = p->cfg.rcvbuf;
	cfg.log = p->cfg.log;
	cfg.log_user = p->cfg.log_user;
	cfg.pcap_path = side ? NULL : p->cfg.pcap_path;
	assert_int_equal(mr_config_add_address(&cfg, side ? "10.0.0.2/24" : "10.0.0.1/24"), 0);
	p->addr[side] = (struct mr_endpoint){ cfg.addrs[0].addr, PAIR_PORT };
	assert_int_equal(mr_engine_create(&p->engine[side], &cfg, &scfg,
					  p->cfg.real_clock ? NULL : pair_clock, p, &err),
			 0);
	p->dev[side] = calloc(1, sizeof(*p->dev[side]));
	assert_non_null(p->dev[side]);
	p->dev[side]->pair = p;
	p->dev[side]->side = side;
	p->dev[side]->dev = (struct mr_dev){
		.ops = &ops,
		.frames = &p->engine[side]->st->frames,
		.ctr = &p->engine[side]->st->ctr,
	};
	p->dev[side]->link =
		(struct mr_link_state){ .up = true, .mtu = scfg.mtu, .mtu_max = UINT16_MAX };
	memcpy(p->dev[side]->link.mac, scfg.mac, sizeof(scfg.mac));
	p->engine[side]->link_state = link_state;
	p->engine[side]->st->iface = p->dev[side]->link;
	assert_int_equal(mr_engine_start(p->engine[side], &cfg, &p->dev[side]->dev, &err), 0);
}

void pair_open(struct pair *p, const struct pair_cfg *cfg)
{
	*p = (struct pair){ .now = MR_NS_PER_S };
	if (cfg)
		p->cfg = *cfg;
	set_defaults(&p->cfg);
	open_side(p, 0);
	open_side(p, 1);
}

void pair_close(struct pair *p)
{
	for (int side = 0; side < 2; side++) {
		if (p->engine[side])
			mr_engine_close(p->engine[side]);
		assert_int_equal(p->dev[side]->closed, 1);
	}
	free(p->dev[0]);
	free(p->dev[1]);
}

static void check(const struct pair *p)
{
	if (p->cfg.unsafe)
		return;
	mr_engine_check(p->engine[0]);
	mr_engine_check(p->engine[1]);
}

void pair_pump(struct pair *p)
{
	unsigned moved;

	do {
		uint64_t now = p->engine[0]->clock(p->engine[0]->clock_user);

		moved = 0;
		for (int side = 0; side < 2; side++) {
			mr_engine_output(p->engine[side], now);
			check(p);
		}
		for (int side = 0; side < 2; side++) {
			moved += mr_engine_input(p->engine[side], now);
			check(p);
		}
	} while (moved);
	for (int side = 0; side < 2; side++)
		mr_engine_output(p->engine[side],
				 p->engine[side]->clock(p->engine[side]->clock_user));
}

void pair_run(struct pair *p, uint64_t ns)
{
	uint64_t end = p->now + ns;

	pair_pump(p);
	while (p->now < end) {
		uint64_t next = mr_min(mr_engine_next(p->engine[0], p->now),
				       mr_engine_next(p->engine[1], p->now));

		if (p->dev[0]->head != p->dev[0]->tail || p->dev[1]->head != p->dev[1]->tail)
			next = p->now; /* output of the last pump */
		p->now = mr_min(mr_max(next, p->now), end);
		pair_pump(p);
	}
}

void pair_connect(struct pair *p, struct mr_socket **client, struct mr_socket **server)
{
	if (!p->listener) {
		assert_int_equal(mr_socket(p->engine[1], &p->listener), 0);
		assert_int_equal(mr_bind(p->listener, &p->addr[1]), 0);
		assert_int_equal(mr_listen(p->listener, 16), 0);
	}
	assert_int_equal(mr_socket(p->engine[0], client), 0);
	assert_int_equal(mr_connect(*client, &p->addr[1]), -EINPROGRESS);
	pair_run(p, MR_NS_PER_MS);
	assert_int_equal(mr_accept(p->listener, server, NULL), 0);
	assert_true(mr_ready(*client) & MR_OUT);
}

void pair_set_mtu(struct pair *p, int side, uint32_t mtu)
{
	p->dev[side]->link.mtu = mtu;
	assert_int_equal(mr_engine_service(p->engine[side], p->now), 0);
}

unsigned pair_events(struct pair *p, int side, struct mr_event *events, unsigned max)
{
	return mr_socks_events(&p->engine[side]->st->socks, events, max);
}

uint64_t pair_counter(const struct pair *p, int side, enum mr_counter_id id)
{
	return p->engine[side]->st->ctr.c[id];
}
