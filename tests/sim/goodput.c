// SPDX-License-Identifier: BSD-2-Clause
/*
 * goodput.c - a report, not a test: what one bulk transfer gets of a long fat path, by congestion
 * control and loss rate.
 */
#include <errno.h>
#include <string.h>
#include "base/compiler.h"
#include "goodput.h"

#define RATE_BPS   100000000ull
#define DELAY_NS   (50 * MR_NS_PER_MS) /* each way */
#define QUEUE	   1250000u	       /* bytes: one bandwidth-delay product */
#define BUFFER	   (8u << 20)	       /* socket buffers: never the limit */
#define RUN_NS	   (60 * MR_NS_PER_S)
#define SEEDS	   5u
#define PORT	   80
#define WRITE_SIZE 65536u

struct bulk {
	const char *control;
	struct mr_socket *listener, *from, *to;
	uint64_t received; /* bytes */
};

static void bulk_open(struct sim *sim, struct bulk *b)
{
	struct mr_endpoint local = { .port = PORT };
	struct mr_endpoint peer = { .addr = sim->host[1].addr, .port = PORT };
	int err;

	err = mr_socket(sim->host[1].engine, &b->listener);
	err = err ?: mr_bind(b->listener, &local);
	err = err ?: mr_listen(b->listener, 1);
	err = err ?: mr_socket(sim->host[0].engine, &b->from);
	err = err ?: mr_set_option(b->from, MR_OPT_CONGESTION, mr_congestion_index(b->control));
	SIM_CHECK(sim, !err, "sockets: %s", strerror(-err));
	err = mr_connect(b->from, &peer);
	SIM_CHECK(sim, err == -EINPROGRESS, "mr_connect: %s", strerror(-err));
}

/* Whatever is possible, whether an event says so or not: the events are only taken away. */
static bool bulk_run(struct sim *sim, struct sim_host *h)
{
	static uint8_t buf[WRITE_SIZE];
	struct mr_event events[8];
	struct bulk *b = sim->app;
	struct mr_endpoint peer;
	ssize_t n;

	mr_socks_events(&h->engine->st->socks, events, MR_ARRAY_SIZE(events));
	if (!h->index) {
		while (mr_send(b->from, buf, sizeof(buf), 0) > 0)
			;
		return false;
	}
	if (!b->to && mr_accept(b->listener, &b->to, &peer))
		return false;
	while ((n = mr_recv(b->to, buf, sizeof(buf), 0)) > 0)
		b->received += (uint64_t)n;
	return false;
}

static uint64_t bulk_next(const struct sim *sim, const struct sim_host *h)
{
	(void)sim;
	(void)h;
	return MR_TIME_NEVER;
}

/* Bytes received in RUN_NS. */
static uint64_t bulk_transfer(const char *control, uint32_t loss_ppm, uint64_t seed)
{
	struct sim_host_cfg host = {
		.mtu = 1500,
		.chunk_size = 2048,
		.nframes = 32768,
		.sndbuf = BUFFER,
		.rcvbuf = BUFFER,
		.dev = { .tx_ring = SIM_DEV_RING_MAX,
			 .kick_budget = SIM_DEV_RING_MAX,
			 .rx_ring = 4096,
			 .max_chunks = 1 },
	};
	struct sim_wire_cfg wire[2] = {
		{ .mtu = 1500,
		  .loss_ppm = loss_ppm,
		  .delay_ns = DELAY_NS,
		  .queue = { .rate_bps = RATE_BPS, .limit = QUEUE } },
		{ .mtu = 1500, .delay_ns = DELAY_NS },
	};
	struct sim_host_cfg hosts[2] = { host, host };
	struct bulk b = { .control = control };
	static struct sim sim;

	memset(&sim, 0, sizeof(sim));
	sim.scenario = "goodput";
	sim.unchecked = true;
	sim.seed = seed;
	sim.app = &b;
	sim.app_run = bulk_run;
	sim.app_next = bulk_next;
	hosts[0].seed = 2 * seed + 1;
	hosts[1].seed = 2 * seed + 2;
	sim_open(&sim, hosts, wire, seed, NULL);
	bulk_open(&sim, &b);
	sim.host[0].busy = true;
	while (sim_step(&sim, RUN_NS))
		;
	sim_close(&sim);
	return b.received;
}

void sim_goodput(FILE *to)
{
	static const char *const controls[] = { "newreno", "cubic" };
	static const uint32_t losses[] = { 0, 10, 100, 1000, 10000 };

	fprintf(to,
		"Goodput of one transfer, Mbit/s: a path of %llu Mbit/s and %llu ms, queue of one\n"
		"bandwidth-delay product, the mean of %u runs of %llu s.\n\nloss %%  ",
		RATE_BPS / 1000000, 2 * DELAY_NS / MR_NS_PER_MS, SEEDS, RUN_NS / MR_NS_PER_S);
	for (unsigned c = 0; c < MR_ARRAY_SIZE(controls); c++)
		fprintf(to, "%10s", controls[c]);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(losses); i++) {
		fprintf(to, "\n%6.3f  ", losses[i] / 1e4);
		for (unsigned c = 0; c < MR_ARRAY_SIZE(controls); c++) {
			uint64_t bytes = 0;

			for (uint64_t seed = 1; seed <= SEEDS; seed++)
				bytes += bulk_transfer(controls[c], losses[i], seed);
			fprintf(to, "%10.1f", (double)bytes * 8e3 / (double)(SEEDS * RUN_NS));
			fflush(to);
		}
	}
	fputc('\n', to);
}
