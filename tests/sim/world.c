// SPDX-License-Identifier: BSD-2-Clause
/*
 * world.c - virtual time and what lives in it: two engines, each in the rhythm that mr_wait() has
 * (receive, application, transmit), and the packets between them.
 * Asserts     every invariant of the stack after each half of a round; that time moves.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "wire.h"

/* Rounds at one moment: more is a loop that waits for something that does not come. */
#define STEPS_NOW_MAX 100000u

static void print_now(const struct sim *sim, FILE *to)
{
	fprintf(to, "%llu.%06llu ", sim->now / MR_NS_PER_S, sim->now % MR_NS_PER_S / MR_NS_PER_US);
}

void sim_fail(struct sim *sim, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "# %s seed %" PRIu64 " at ", sim->scenario, sim->seed);
	print_now(sim, stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	for (int i = 0; i < 2; i++)
		if (sim->host[i].engine && sim->host[i].engine->cap)
			mr_pcapng_flush(sim->host[i].engine->cap);
	_exit(1); /* what is open is no leak to report */
}

void sim_trace(const struct sim *sim, const char *fmt, ...)
{
	va_list ap;

	if (!sim->verbose)
		return;
	print_now(sim, stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- Hosts ----------------------------------------------------------------------------------- */

static uint64_t host_now(const struct sim_host *h)
{
	return h->sim->now + h->epoch_ns;
}

static uint64_t host_clock(void *user)
{
	return host_now(user);
}

static void host_send(void *user, const uint8_t *pkt, uint32_t len)
{
	struct sim_host *h = user;

	sim_wire_send(h->sim, h->index, pkt, len);
}

static void host_broken(void *user, const char *what)
{
	struct sim_host *h = user;

	sim_fail(h->sim, "host %c: device: %s", h->name, what);
}

static void host_log(void *user, int level, const char *line)
{
	const struct sim_host *h = user;

	(void)level;
	sim_trace(h->sim, "%c  log: %s", h->name, line);
}

static void host_open(struct sim *sim, int i, const struct sim_host_cfg *hc, const char *pcap)
{
	static const char *const prefix[2][2] = { { "10.0.0.1/24", "10.0.0.2/24" },
						  { "2001:db8::1/64", "2001:db8::2/64" } };
	struct sim_host *h = &sim->host[i];
	char pcap_path[4096];
	struct mr_stack_cfg scfg = {
		.mac = { 0x02, 0, 0, 0, 0, (uint8_t)(i + 1) },
		.mtu = hc->mtu,
		.nframes = hc->nframes,
		.chunk_size = hc->chunk_size,
		.max_chunks = hc->dev.max_chunks,
		.txq_limit = 128,
		.seed = hc->seed,
	};
	struct mr_config cfg;
	struct mr_error err = { 0 };

	h->sim = sim;
	h->index = i;
	h->name = (char)('A' + i);
	h->epoch_ns = hc->epoch_ns;
	mr_config_init(&cfg);
	cfg.ifname = i ? "simB" : "simA";
	SIM_CHECK(sim, !mr_config_add_address(&cfg, prefix[hc->v6][i]),
		  "mr_config_add_address failed");
	h->addr = cfg.addrs[0].addr;
	cfg.umem_frames = hc->nframes;
	cfg.chunk_size = hc->chunk_size;
	cfg.max_sockets = 64;
	cfg.sndbuf = hc->sndbuf;
	cfg.rcvbuf = hc->rcvbuf;
	cfg.congestion = hc->congestion;
	cfg.ecn = hc->ecn;
	cfg.mtu_probing = hc->mtu_probing;
	cfg.seed = hc->seed;
	cfg.log = host_log;
	cfg.log_user = h;
	if (pcap) {
		snprintf(pcap_path, sizeof(pcap_path), "%s.%c.pcapng", pcap, h->name);
		cfg.pcap_path = pcap_path;
	}
	SIM_CHECK(sim, !mr_engine_create(&h->engine, &cfg, &scfg, host_clock, h, &err),
		  "mr_engine_create: %d %s", err.code, err.text);
	h->dev = sim_dev_new(&hc->dev, &h->engine->st->frames, &h->engine->st->ctr, &sim->now);
	h->dev->send = host_send;
	h->dev->broken = host_broken;
	h->dev->user = h;
	SIM_CHECK(sim, !mr_engine_start(h->engine, &cfg, &h->dev->base, &err),
		  "mr_engine_start: %d %s", err.code, err.text);
	h->engine->st->nif.gso_bytes = hc->dev.gso ? UINT16_MAX : 0;
}

/* When host h wants to run: time of the run, not of its own clock. */
static uint64_t host_next(const struct sim *sim, const struct sim_host *h)
{
	uint64_t t = mr_engine_next(h->engine, host_now(h));

	if (h->busy)
		return sim->now;
	if (t != MR_TIME_NEVER)
		t = t > h->epoch_ns ? t - h->epoch_ns : 0;
	t = mr_min(t, sim_dev_next(h->dev));
	return sim->app_next ? mr_min(t, sim->app_next(sim, h)) : t;
}

/* With -v: what TCP counted in this round that a trace of packets does not show. */
static void trace_counters(const struct sim *sim, const struct sim_host *h,
			   const struct mr_counters *before)
{
	const struct mr_counters *ctr = &h->engine->st->ctr;

	for (unsigned i = MR_CTR_TCP_RETRANS; i < MR_CTR_MAX; i++)
		if (i != MR_CTR_ENGINE_ROUNDS && ctr->c[i] != before->c[i])
			sim_trace(sim, "%c  + %s", h->name, mr_counter_id_name(i));
	for (unsigned i = 0; i < MR_DROP_MAX; i++)
		if (ctr->drop[i] != before->drop[i])
			sim_trace(sim, "%c  + %s", h->name, mr_drop_name(i));
}

static void host_round(struct sim *sim, struct sim_host *h)
{
	struct mr_counters before = h->engine->st->ctr;

	mr_engine_input(h->engine, host_now(h));
	if (!sim->unchecked)
		mr_engine_check(h->engine);
	h->busy = sim->app_run && sim->app_run(sim, h);
	SIM_CHECK(sim, !mr_engine_output(h->engine, host_now(h)), "mr_engine_output failed");
	if (!sim->unchecked)
		mr_engine_check(h->engine);
	if (sim->verbose)
		trace_counters(sim, h, &before);
}

/* ---- Time ------------------------------------------------------------------------------------ */

bool sim_step(struct sim *sim, uint64_t limit)
{
	uint64_t next[2], t = sim_wire_next(sim);
	struct sim_pkt *p;

	for (int i = 0; i < 2; i++) {
		next[i] = host_next(sim, &sim->host[i]);
		t = mr_min(t, next[i]);
	}
	if (t == MR_TIME_NEVER || t > limit)
		return false;
	if (t > sim->now) {
		sim->now = t;
		sim->steps_now = 0;
	}
	sim->steps++;
	SIM_CHECK(sim, ++sim->steps_now < STEPS_NOW_MAX, "time stands still: A %d B %d",
		  next[0] <= sim->now, next[1] <= sim->now);
	while ((p = sim_wire_arrived(sim))) {
		sim_dev_deliver(sim->host[p->to].dev, p->data, p->len);
		free(p);
	}
	for (int i = 0; i < 2; i++)
		if (next[i] <= sim->now || sim_dev_next(sim->host[i].dev) <= sim->now)
			host_round(sim, &sim->host[i]);
	return true;
}

void sim_open(struct sim *sim, const struct sim_host_cfg host[2], const struct sim_wire_cfg wire[2],
	      uint64_t seed, const char *pcap)
{
	for (int i = 0; i < 2; i++) {
		sim->wire[i].cfg = wire[i];
		sim->wire[i].rng.s = sim_mix(seed + 1 + (unsigned)i);
		sim_queue_init(&sim->wire[i].queue, &wire[i].queue);
		host_open(sim, i, &host[i], pcap);
	}
}

void sim_close(struct sim *sim)
{
	sim_wire_clear(sim);
	for (int i = 0; i < 2; i++) {
		mr_engine_close(sim->host[i].engine);
		sim->host[i].engine = NULL;
	}
	sim_wire_clear(sim);
	free(sim->heap);
	sim->heap = NULL;
	sim->heap_size = 0;
}
