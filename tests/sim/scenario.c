// SPDX-License-Identifier: BSD-2-Clause
/*
 * scenario.c - what a seed stands for: hosts, wires and workload drawn from it; and the run itself, from
 * the first event until the last trace of every connection is gone.
 * Asserts     the end of all connections within a bound of virtual time; that nothing is left over;
 *             that a clean wire sees no retransmission; that a run repeats bit for bit.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "scenario.h"
#include "tcp/tcp_wire.h"

const struct sim_scenario sim_scenarios[] = {
	{ .name = "clean", .seeds = 250 },
	{ .name = "loss", .seeds = 250, .faults = FAULT_LOSS },
	{ .name = "dup", .seeds = 250, .faults = FAULT_DUP },
	{ .name = "reorder", .seeds = 250, .faults = FAULT_REORDER },
	{ .name = "corrupt", .seeds = 250, .faults = FAULT_CORRUPT },
	{ .name = "delay", .seeds = 250, .faults = FAULT_DELAY },
	{ .name = "bandwidth", .seeds = 250, .faults = FAULT_BANDWIDTH },
	{ .name = "device", .seeds = 250, .faults = FAULT_DEVICE },
	{ .name = "burst", .seeds = 250, .faults = FAULT_BURST },
	{ .name = "acks", .seeds = 250, .faults = FAULT_ACKS },
	{ .name = "swap", .seeds = 250, .faults = FAULT_SWAP },
	{ .name = "asymmetric", .seeds = 250, .faults = FAULT_ASYMMETRIC },
	{ .name = "all", .seeds = 350, .faults = FAULT_ALL },
	{ .name = "box", .seeds = 250, .faults = FAULT_BOX },
	{ .name = "path", .seeds = 250, .faults = FAULT_PATH },
	{ .name = "wrap", .seeds = 100, .faults = FAULT_LOSS | FAULT_REORDER, .wrap = true },
	{ .name = "repeat", .seeds = 20, .faults = FAULT_ALL, .twice = true },
};
const unsigned sim_nscenarios = MR_ARRAY_SIZE(sim_scenarios);

/* RFC 6528: the clock's part of an ISN counts 4 us. */
#define ISN_TICK_NS 4000ull
/* One seed of so many runs over IPv6, where the MTU allows it; it begins when addresses are usable. */
#define V6_SHARE    3
#define V6_START_NS (2 * MR_NS_PER_S)

/* After the last close: 2 MSL, and an orphan's retransmissions before that. */
#define DRAIN_NS (400 * MR_NS_PER_S)

/* ---- From the seed --------------------------------------------------------------------------- */

static uint32_t draw_mtu(struct sim_rng *r)
{
	switch (sim_below(r, 20)) {
	case 0:
		return 65535;
	case 1 ... 3:
		return 9000;
	case 4 ... 5:
		return 576;
	case 6 ... 10:
		return (uint32_t)sim_range(r, 576, 9000);
	default:
		return 1500;
	}
}

static void draw_host(struct sim_rng *r, struct sim_host_cfg *h, unsigned faults)
{
	static const uint16_t chunks[] = { 1, 2, 4, 18, 18 };
	static const uint64_t completion[] = { 0, 10 * MR_NS_PER_US, MR_NS_PER_MS };

	h->chunk_size = sim_one_in(r, 2) ? 2048 : 4096;
	h->nframes = 8192;
	h->sndbuf = 2048 + (uint32_t)sim_log(r, 256u << 10);
	h->rcvbuf = 2048 + (uint32_t)sim_log(r, 256u << 10);
	h->epoch_ns = sim_log(r, 1ull << 50);
	h->seed = sim_rand(r) | 1;
	h->dev = (struct sim_dev_cfg){
		.tx_ring = SIM_DEV_RING_MAX,
		.kick_budget = 32,
		.rx_ring = 4096,
		.max_chunks = chunks[sim_below(r, MR_ARRAY_SIZE(chunks))],
		.completion_ns = completion[sim_below(r, MR_ARRAY_SIZE(completion))],
		.ragged = sim_one_in(r, 2),
		.gso = sim_one_in(r, 2),
		.pad = sim_one_in(r, 2),
		.seed = sim_rand(r),
	};
	if (!(faults & FAULT_DEVICE))
		return;
	if (sim_one_in(r, 2))
		h->nframes = (uint32_t)sim_range(r, 512, 4096);
	h->dev.tx_ring = (uint32_t)sim_range(r, 1, 64);
	h->dev.kick_budget = (uint32_t)sim_range(r, 1, 32);
	h->dev.rx_ring = (uint32_t)sim_range(r, 8, 512);
	h->dev.completion_ns = sim_log(r, 20 * MR_NS_PER_MS);
}

static void draw_wire(struct sim_rng *r, struct sim_wire_cfg *w, unsigned faults)
{
	/* Together they stay below what six SYNs survive. */
	const uint32_t most = faults == FAULT_ALL ? 40000 : 90000;

	w->delay_ns = sim_log(r, 10 * MR_NS_PER_MS);
	w->reorder_ns = MR_NS_PER_MS;
	if (faults & FAULT_LOSS)
		w->loss_ppm = (uint32_t)sim_log(r, most);
	if (faults & FAULT_CORRUPT)
		w->corrupt_ppm = (uint32_t)sim_log(r, most);
	if (faults & FAULT_DUP) {
		w->dup_ppm = (uint32_t)sim_log(r, 300000);
		/* Within one tick of its clock an ISN stays the same: a copy of a whole handshake would make
		 * a second connection of it. */
		w->delay_ns = mr_max(w->delay_ns, 2 * ISN_TICK_NS);
	}
	if (faults & FAULT_REORDER)
		w->reorder_ppm = (uint32_t)sim_log(r, 300000);
	if (faults & (FAULT_REORDER | FAULT_DUP))
		w->reorder_ns = sim_log(r, 100 * MR_NS_PER_MS);
	if (faults & FAULT_DELAY) {
		w->delay_ns = sim_log(r, 500 * MR_NS_PER_MS);
		w->jitter_ns = sim_log(r, 500 * MR_NS_PER_MS);
	}
	if (faults & FAULT_BANDWIDTH) {
		w->queue.rate_bps = 256000 + sim_log(r, 100000000);
		w->queue.limit = 4 * w->mtu + (uint32_t)sim_log(r, 65536);
	}
	if (faults & FAULT_BURST) {
		w->burst_begin_ppm = (uint32_t)sim_log(r, most / 10);
		w->burst_end_ppm = 50000 + (uint32_t)sim_log(r, 500000);
		w->burst_loss_ppm =
			sim_one_in(r, 2) ? 1000000 : 100000 + (uint32_t)sim_log(r, 800000);
		w->burst_ns = sim_log(r, 500 * MR_NS_PER_MS);
	}
	if (faults & FAULT_ACKS) {
		w->ack_loss_ppm = (uint32_t)sim_log(r, 500000);
		if (sim_one_in(r, 2))
			w->ack_gather_ns = sim_log(r, 50 * MR_NS_PER_MS);
	}
	if (faults & FAULT_SWAP) {
		w->hold_ppm = (uint32_t)sim_log(r, 200000);
		w->hold_most = (uint32_t)sim_log(r, 64);
		w->hold_ns = sim_log(r, 100 * MR_NS_PER_MS);
	}
}

/* What is done to options, flags and SYNs; both directions may know different middleboxes. */
static void draw_box(struct sim_rng *r, struct sim_box *b)
{
	static const uint8_t kinds[] = { 2, 4, 5, 34, 172, 174 };
	unsigned n = 0;

	for (unsigned i = 0; i < MR_ARRAY_SIZE(kinds); i++)
		if (sim_one_in(r, 4))
			b->strip[n++] = kinds[i];
	if (sim_one_in(r, 4))
		b->clear_flags = (uint16_t)((sim_one_in(r, 2) ? MR_TCP_ECE : 0) |
					    (sim_one_in(r, 2) ? MR_TCP_CWR : 0) |
					    (sim_one_in(r, 2) ? SIM_BOX_AE : 0));
	b->mangle_ecn = sim_one_in(r, 6);
	b->ecn = (uint8_t)sim_below(r, 4);
	if (sim_one_in(r, 2))
		b->ce_ppm = (uint32_t)sim_log(r, 1000000);
	if (sim_one_in(r, 4)) /* AccECN options, in every segment or in handshakes */
		memcpy(sim_one_in(r, 2) ? b->eat : b->eat_syn, (uint8_t[]){ 172, 174 }, 2);
	b->eat_ecn_syn = sim_one_in(r, 6);
	b->eat_syn_data = sim_one_in(r, 6);
	b->cut_syn_data = sim_one_in(r, 6);
}

/* A link that becomes narrow while the connections live, whether or not anybody says so. */
static void draw_path(struct sim_rng *r, struct sim_box *b, bool v6, uint32_t mtu)
{
	uint32_t least = v6 ? MR_IPV6_MTU_MIN : 576;

	b->mtu = (uint32_t)sim_range(r, least, mr_max(mtu, least));
	b->mtu_at = sim_log(r, 4 * MR_NS_PER_S);
	b->icmp = sim_one_in(r, 2);
	b->icmp_no_mtu = sim_one_in(r, 4);
	if (sim_one_in(r, 4))
		b->mtu_end = b->mtu_at + sim_log(r, 60 * MR_NS_PER_S);
	if (sim_one_in(r, 4))
		b->forge_ppm = (uint32_t)sim_log(r, 300000);
}

/* One way is thin and slow, and the ACKs of the other way's data come through it. */
static void draw_asymmetry(struct sim_rng *r, struct sim_wire_cfg wire[2])
{
	struct sim_wire_cfg *thin = &wire[sim_below(r, 2)];

	thin->queue.rate_bps = 256000 + sim_log(r, 10000000);
	/* Room for the bursts of all connections: a thin link with a short queue starves those that do not
	 * fill it themselves, keepalives and all, and that is another subject. */
	thin->queue.limit = 32 * thin->mtu + (uint32_t)sim_log(r, 65536);
	thin->delay_ns = sim_log(r, 500 * MR_NS_PER_MS);
	thin->loss_ppm = mr_max(thin->loss_ppm, (uint32_t)sim_log(r, 20000));
}

/* What either side has been told to do, from randomness of its own, so that all else that a seed stands for
 * stays as it was. */
static void draw_policies(struct run *run, uint64_t seed, bool path)
{
	struct sim_rng r = { .s = seed };

	for (int i = 0; i < 2; i++) {
		struct sim_host_cfg *h = &run->host[i];

		h->ecn = sim_one_in(&r, 2) ? MR_ECN_ACCURATE :
					     (enum mr_ecn_policy)sim_range(&r, MR_ECN_OFF,
									   MR_ECN_ACCURATE_PASSIVE);
		/* Who never looks does not find out of a black hole. */
		h->mtu_probing = (enum mr_mtu_probing)sim_range(
			&r, path ? MR_MTU_PROBING_SUSPECT : MR_MTU_PROBING_OFF,
			MR_MTU_PROBING_ALWAYS);
		h->congestion = mr_congestion_name((int)sim_below(&r, 4));
		if (!h->congestion)
			abort();
	}
	for (unsigned i = 0; i < run->wl.nconns; i++)
		for (unsigned k = 0; k < 2; k++)
			if (sim_one_in(&r, 8))
				run->wl.conn[i].side[k].plan.pacing =
					20000 + sim_log(&r, 100u << 20);
}

static void draw_run(struct sim *sim, struct run *run, const struct sim_scenario *sc, uint64_t seed)
{
	struct sim_rng r = { .s = sim_mix(seed * 64 + (uint64_t)(sc - sim_scenarios)) };
	uint32_t mtu = draw_mtu(&r);
	bool aborts = sim_one_in(&r, 2);

	memset(run, 0, sizeof(*run));
	for (int i = 0; i < 2; i++) {
		draw_host(&r, &run->host[i], sc->faults);
		run->host[i].mtu = sim_one_in(&r, 8) ? draw_mtu(&r) : mtu;
	}
	for (int i = 0; i < 2; i++)
		run->host[i].v6 = !(seed % V6_SHARE) &&
				  mr_min(run->host[0].mtu, run->host[1].mtu) >= MR_IPV6_MTU_MIN;
	for (int i = 0; i < 2; i++) {
		run->wire[i].mtu = run->host[!i].mtu;
		draw_wire(&r, &run->wire[i], sc->faults);
		if (sc->faults & FAULT_BOX)
			draw_box(&r, &run->box[i]);
		if (sc->faults & FAULT_PATH)
			draw_path(&r, &run->box[i], run->host[i].v6, run->wire[i].mtu);
	}
	if (sc->faults & FAULT_ASYMMETRIC && (sc->faults != FAULT_ALL || sim_one_in(&r, 4)))
		draw_asymmetry(&r, run->wire);
	run->wl.rng.s = sim_rand(&r);
	wl_plan(&run->wl, sim, sc->faults, aborts);
	/* A cookie keeps the window scale in the timestamp: where a box takes that off the SYN,ACK the ends
	 * disagree about the scale for good, and a window of 2 KiB is one of 16 bytes. */
	if (sc->faults & FAULT_BOX)
		run->wl.backlog = WL_BACKLOG;
	if (sc->wrap) {
		run->wl.nconns = 1;
		run->wl.conn[0].open = WL_OPEN_PASSIVE;
		run->wl.conn[0].side[1].active = false;
	}
	draw_policies(run, sim_mix(seed * 64 + (uint64_t)(sc - sim_scenarios) + (1ull << 63)),
		      sc->faults & FAULT_PATH);
	run->limit_ns = sim_bound_ns(run) + (run->host[0].v6 ? V6_START_NS : 0);
}

/* ---- The run --------------------------------------------------------------------------------- */

static bool host_quiet(const struct sim_host *h)
{
	const struct mr_stack *st = h->engine->st;

	return !st->tcp.tcbs.used && !st->tcp.synreqs.used && !st->tcp.tws.used &&
	       h->dev->tx_reaped == h->dev->tx_queued && st->frames.nfree == st->frames.nframes;
}

static void check_nothing_left(struct sim *sim, const struct sim_host *h)
{
	const struct mr_stack *st = h->engine->st;

	SIM_CHECK(sim, !st->tcp.tcbs.used, "host %c: %u TCBs left", h->name, st->tcp.tcbs.used);
	SIM_CHECK(sim, !st->tcp.synreqs.used, "host %c: %u SYN-RECEIVED left", h->name,
		  st->tcp.synreqs.used);
	SIM_CHECK(sim, !st->tcp.tws.used, "host %c: %u TIME-WAIT left", h->name, st->tcp.tws.used);
	SIM_CHECK(sim, !st->tcp.listeners.used, "host %c: %u listeners left", h->name,
		  st->tcp.listeners.used);
	SIM_CHECK(sim, !st->socks.pool.used, "host %c: %u sockets left", h->name,
		  st->socks.pool.used);
	SIM_CHECK(sim, st->frames.nfree == st->frames.nframes, "host %c: %u frames leaked", h->name,
		  st->frames.nframes - st->frames.nfree);
}

static void drain(struct sim *sim)
{
	uint64_t limit = sim->now + DRAIN_NS;

	while (!(host_quiet(&sim->host[0]) && host_quiet(&sim->host[1])) && sim_step(sim, limit))
		;
	check_nothing_left(sim, &sim->host[0]);
	check_nothing_left(sim, &sim->host[1]);
}

static uint64_t counter(const struct sim_host *h, enum mr_counter_id id)
{
	return h->engine->st->ctr.c[id];
}

/* Nothing was lost on the way, at the device, or for a full accept queue: so nothing may be sent twice. */
static void check_clean(struct sim *sim)
{
	for (int i = 0; i < 2; i++)
		if (sim->host[i].dev->dropped_no_frame || sim->host[i].dev->dropped_ring_full ||
		    sim->host[i].engine->st->ctr.drop[MR_DROP_TCP_ACCEPT_BACKLOG])
			return;
	for (int i = 0; i < 2; i++) {
		const struct sim_host *h = &sim->host[i];

		SIM_CHECK(sim, !counter(h, MR_CTR_TCP_RTO), "host %c: a timeout on a clean wire",
			  h->name);
		/* A probe is sent after two round trips, and the ACK of less than two full segments may be delayed for
		 * longer (RFC 8985 section 7.2, RFC 9293 section 3.8.6.3). */
		SIM_CHECK(sim, counter(h, MR_CTR_TCP_RETRANS) <= counter(h, MR_CTR_TCP_TLP),
			  "host %c: a retransmission on a clean wire", h->name);
	}
}

/* The clocks at which both sides' sequence numbers wrap after a few KiB: learnt from a first run. */
static void choose_epochs(const struct sim *sim, struct run *run)
{
	for (int i = 0; i < 2; i++) {
		uint32_t target = 0u - (uint32_t)sim_log(&run->wl.rng, 30000);
		uint32_t ticks = target - sim->first_seq[i];

		if (sim->first_seq_seen[i])
			run->host[i].epoch_ns += ticks * ISN_TICK_NS;
	}
}

static void run_once(struct sim *sim, struct run *run, const struct sim_scenario *sc, uint64_t seed,
		     const struct sim_opts *opts)
{
	sim_open(sim, run->host, run->wire, seed, opts->pcap);
	for (int i = 0; sc->faults & (FAULT_BOX | FAULT_PATH) && i < 2; i++)
		sim->wire[i].box = &run->box[i];
	while (run->host[0].v6 && sim_step(sim, V6_START_NS))
		;
	wl_start(&run->wl, sim);
	while (!wl_done(&run->wl))
		if (!sim_step(sim, run->limit_ns)) {
			wl_dump(&run->wl, sim);
			sim_fail(sim, "connections do not end: nothing happens until %" PRIu64 " s",
				 (uint64_t)(run->limit_ns / MR_NS_PER_S));
		}
	wl_stop(&run->wl, sim);
	drain(sim);
	if (!sc->faults)
		check_clean(sim);
	sim_close(sim);
}

static void sim_begin(struct sim *sim, const struct sim_scenario *sc, uint64_t seed,
		      const struct sim_opts *opts)
{
	memset(sim, 0, sizeof(*sim));
	sim->scenario = sc->name;
	sim->seed = seed;
	sim->verbose = opts->verbose;
	sim->host[1].index = 1; /* the bound asks whose buffers are whose, before sim_open() */
}

void sim_run_seed(const struct sim_scenario *sc, uint64_t seed, const struct sim_opts *opts)
{
	static struct run run;
	static struct sim sim, first;
	const struct sim_opts quiet = { 0 };

	if (sc->wrap || sc->twice) {
		sim_begin(&first, sc, seed, &quiet);
		draw_run(&first, &run, sc, seed);
		run_once(&first, &run, sc, seed, &quiet);
	}
	sim_begin(&sim, sc, seed, opts);
	draw_run(&sim, &run, sc, seed);
	if (sc->wrap)
		choose_epochs(&first, &run);
	run_once(&sim, &run, sc, seed, opts);
	SIM_CHECK(&sim, !sc->twice || sim.trace_hash == first.trace_hash,
		  "the second run of the same seed sent other packets");
}
