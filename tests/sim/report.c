// SPDX-License-Identifier: BSD-2-Clause
/*
 * report.c - what one bulk transfer gets of a path, for each congestion control, loss rate, RTT and share
 * of reordered packets, beside what a textbook says that it must get.
 * Called by   `make sim-report`.
 */
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/compiler.h"
#include "flow.h"
#include "report.h"

#define RATE_BPS    MBIT(100)
#define MSS	    1448.0 /* with timestamps */
#define PACKET	    1514.0 /* the same on the wire */
#define FULL	    0.95   /* of the link counts as full */
#define SEEDS	    2u
#define LOSSES	    5u
#define RTTS	    4u
#define REORDERS    3u
#define CONTROLS    3u
#define CELLS	    (CONTROLS * REORDERS * RTTS * LOSSES)
#define REAL_TIME_S 100u

static const char *const controls[CONTROLS] = { "cubic", "bbr", "newreno" };
static const uint32_t losses_ppm[LOSSES] = { 0, 100, 1000, 10000, 50000 };
static const unsigned rtts_ms[RTTS] = { 1, 20, 100, 300 };
static const uint32_t reorders_ppm[REORDERS] = { 0, 10000, 100000 };

struct cell {
	unsigned control, reorder, rtt, loss;
};

/* Written by the workers. */
struct shared {
	uint32_t next;
	double goodput[CELLS][SEEDS]; /* Mbit/s; negative: the run failed */
};

static struct shared *shared;

static struct cell cell_of(unsigned i)
{
	return (struct cell){
		.loss = i % LOSSES,
		.rtt = i / LOSSES % RTTS,
		.reorder = i / (LOSSES * RTTS) % REORDERS,
		.control = i / (LOSSES * RTTS * REORDERS),
	};
}

static unsigned index_of(struct cell c)
{
	return ((c.control * REORDERS + c.reorder) * RTTS + c.rtt) * LOSSES + c.loss;
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

/* Payload of a full link, Mbit/s. */
static double link_mbit(void)
{
	return (double)RATE_BPS / 1e6 * MSS / PACKET;
}

/* Mbit/s of a window of so many segments. */
static double window_mbit(double segments, double rtt_s)
{
	return segments * MSS * 8 / rtt_s / 1e6;
}

/* Mathis et al. 1997: sqrt(3/2) / sqrt(p) segments are sent in an RTT; so many of them arrive. */
static double mathis(double p, double rtt_s)
{
	return window_mbit(sqrt(1.5 / p), rtt_s) * (1 - p);
}

/* RFC 9438 section 5.1, with C = 0.4 and beta = 0.7: 1.054 * RTT^0.75 / p^0.75 segments; never less than
 * Reno (section 4.3). */
static double cubic(double p, double rtt_s)
{
	double segments = pow(0.4 * 3.7 / (4 * 0.3), 0.25) * pow(rtt_s, 0.75) / pow(p, 0.75);

	return fmax(window_mbit(segments, rtt_s) * (1 - p), mathis(p, rtt_s));
}

/* draft-ietf-ccwg-bbr section 5.3.3.5.2: of what was found when probing, a rate of (1 - p)^N is left after
 * N rounds of cruising with loss. A cycle is 63 rounds, or 2.5 s if that is less. Every 5 s half of it is
 * given up to probe the RTT (5.3.4), for 200 ms and a round trip on either side. Above the loss rate that it
 * bears while probing (2 %) BBR takes loss for a full queue, as Reno would. */
static double bbr(double p, double rtt_s)
{
	double rounds = fmin(63, fmax(2.5 / rtt_s, 1));
	double mean = p > 0 ? (1 - pow(1 - p, rounds)) / (p * rounds) : 1;
	double probe_rtt = 0.5 * (0.2 + 2 * rtt_s) / 5;

	if (p > 0.02)
		return fmin(mathis(p, rtt_s), link_mbit());
	return link_mbit() * mean * (1 - p) * (1 - probe_rtt);
}

/* Seconds: that of the path, and the time that a packet takes to get onto the link. */
static double rtt(struct cell c)
{
	return rtts_ms[c.rtt] / 1e3 + PACKET * 8 / (double)RATE_BPS;
}

static double bound(struct cell c)
{
	double p = losses_ppm[c.loss] / 1e6, rtt_s = rtts_ms[c.rtt] / 1e3,
	       most = FULL * link_mbit();

	if (!strcmp(controls[c.control], "bbr"))
		return fmin(bbr(p, rtt_s) * FULL, most);
	if (!losses_ppm[c.loss])
		return most;
	return fmin(!strcmp(controls[c.control], "cubic") ? cubic(p, rtt_s) : mathis(p, rtt_s),
		    most);
}

/* Mathis leaves out that windows are whole segments, and that a recovery takes a round trip in which nothing
 * grows: a fifth at 5 % of loss. What a control that multiplies by beta, and grows by `slow` segments a round
 * up to where it was and by one beyond, gets of such a world: segments that arrive, per RTT. */
static double ideal_window(double p, double beta, double slow)
{
	const unsigned rounds = 100000;
	struct sim_rng rng = { .s = 1 };
	double w = 10, prior = 10;
	uint64_t arrived = 0;
	bool recovery = false;

	for (unsigned i = 0; i < rounds; i++) {
		unsigned n = (unsigned)w, lost = 0;

		for (unsigned k = 0; k < n; k++)
			lost += sim_ppm(&rng, (uint32_t)(p * 1e6));
		arrived += n - lost;
		if (lost) {
			prior = w;
			w = fmax(w * beta, 2);
		} else if (!recovery) {
			w += w < prior ? slow : 1;
		}
		recovery = lost;
	}
	return (double)arrived / rounds;
}

static double ideal(struct cell c)
{
	double p = losses_ppm[c.loss] / 1e6;
	bool is_cubic = !strcmp(controls[c.control], "cubic");

	return window_mbit(is_cubic ? ideal_window(p, 0.7, 9.0 / 17) : ideal_window(p, 0.5, 1),
			   rtt(c));
}

/* ---- Runs ------------------------------------------------------------------------------------ */

/* Long enough for 40 losses at the bound, between 10 and 150 s. */
static uint64_t duration(struct cell c)
{
	double p = losses_ppm[c.loss] / 1e6, packets_per_s = bound(c) * 1e6 / 8 / MSS;
	double s = p > 0 ? 40 / p / packets_per_s : 0;

	return (uint64_t)(fmin(fmax(s, 10), 150) * 1e9);
}

static double run(struct cell c, uint64_t seed)
{
	const uint64_t rtt_ns = rtts_ms[c.rtt] * MR_NS_PER_MS;
	const uint64_t warm_up = 5 * MR_NS_PER_S + 60 * rtt_ns;
	static struct flows fl;
	struct flow *f;
	double goodput;

	memset(&fl, 0, sizeof(fl));
	fl.sim.scenario = "report";
	flows_open(&fl,
		   &(struct path){ .rate_bps = RATE_BPS,
				   .rtt_ns = rtt_ns,
				   .loss_ppm = losses_ppm[c.loss],
				   .reorder_ppm = reorders_ppm[c.reorder],
				   .reorder_ns = rtt_ns / 2 },
		   seed);
	f = flow_add(&fl, &(struct flow_cfg){ .control = controls[c.control] });
	flows_until(&fl, warm_up);
	flow_mark(&fl, f);
	flows_until(&fl, warm_up + duration(c));
	goodput = flow_goodput(&fl, f) / 1e6;
	flows_close(&fl);
	return goodput;
}

static void worker(void)
{
	uint32_t i;

	while ((i = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED)) < CELLS * SEEDS) {
		unsigned cell = i / SEEDS;

		shared->goodput[cell][i % SEEDS] = -1;
		alarm(REAL_TIME_S);
		shared->goodput[cell][i % SEEDS] = run(cell_of(cell), 1 + i % SEEDS);
		alarm(0);
		if (isatty(STDERR_FILENO) && i % 20 == 0)
			fprintf(stderr, "\r%u of %u runs ", i, CELLS * SEEDS);
	}
	_exit(0);
}

static bool run_all(unsigned workers)
{
	unsigned running = 0;
	bool ok = true;
	int status;

	fflush(NULL);
	while (running < workers || shared->next < CELLS * SEEDS) {
		if (running == workers) { /* one has died of its run: another goes on */
			wait(&status);
			ok &= WIFEXITED(status) && !WEXITSTATUS(status);
			running--;
		}
		if (!fork())
			worker();
		running++;
	}
	while (running--) {
		wait(&status);
		ok &= WIFEXITED(status) && !WEXITSTATUS(status);
	}
	return ok;
}

static double mean(struct cell c)
{
	double sum = 0;

	for (unsigned s = 0; s < SEEDS; s++)
		sum += shared->goodput[index_of(c)][s];
	return sum / SEEDS;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static FILE *file;

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	if (!file)
		return;
	va_start(ap, fmt);
	vfprintf(file, fmt, ap);
	va_end(ap);
}

static void head(void)
{
	say("# Goodput in the simulator\n\n"
	    "Made by `make sim-report`; do not edit. One transfer over a link of %llu Mbit/s with "
	    "a drop-tail\n"
	    "queue of one bandwidth-delay product (at least 16 packets), data lost behind it at "
	    "random. Of the\n"
	    "data packets a share comes late, by up to half of the RTT (small delays are as likely "
	    "as large\n"
	    "ones). The mean of %u seeds in Mbit/s of payload, after a warm-up, / the bound of "
	    "that cell.\n\n"
	    "Bounds are of what arrives, so (1 - p) of what the models say is sent; none is above "
	    "%.0f %% of the\n"
	    "link's payload (%.1f Mbit/s), which counts as full. The RTT has a packet's "
	    "transmission in it.\n"
	    "- NewReno: Mathis et al. 1997, MSS / RTT * sqrt(3 / 2) / sqrt(p).\n"
	    "- CUBIC: RFC 9438 section 5.1, and Reno's where that is more (section 4.3).\n"
	    "- BBR: draft-ietf-ccwg-bbr section 5.3.3.5.2 says that a rate of (1 - p)^N is left "
	    "after N rounds\n"
	    "  of cruising with a loss rate p; the bound is 95 %% of the mean over a cycle of 63 "
	    "rounds or\n"
	    "  2.5 s, less what probing the RTT gives up (5.3.4: half the rate for 200 ms and two "
	    "RTTs, every\n"
	    "  5 s). Above the 2 %% that it bears while it probes, BBR takes loss for congestion, "
	    "and Reno's\n"
	    "  bound is taken:\n"
	    "  no literature has a response function of version 3 there.\n\n"
	    "Reordering has no part in the bounds. A cell below its bound has a `<`.\n",
	    (unsigned long long)(RATE_BPS / 1000000), SEEDS, FULL * 100, FULL * link_mbit());
}

static unsigned table(unsigned control, unsigned reorder)
{
	unsigned below = 0;

	say("\n## %s, %g %% reordered\n\n| RTT |", controls[control], reorders_ppm[reorder] / 1e4);
	for (unsigned l = 0; l < LOSSES; l++)
		say(" loss %g %% |", losses_ppm[l] / 1e4);
	say("\n|---|");
	for (unsigned l = 0; l < LOSSES; l++)
		say("---|");
	for (unsigned r = 0; r < RTTS; r++) {
		say("\n| %u ms |", rtts_ms[r]);
		for (unsigned l = 0; l < LOSSES; l++) {
			struct cell c = { control, reorder, r, l };
			bool low = mean(c) < bound(c);

			say(" %s%.1f / %.1f |", low ? "`<` " : "", mean(c), bound(c));
			below += low;
		}
	}
	say("\n");
	return below;
}

/* Which cells are below, and what there is to be had. */
static void explain(unsigned below)
{
	say("\n## Below their bound: %u of %u cells\n\n", below, CELLS);
	if (!below)
		return;
	say("Heavy loss: Mathis's formula has windows of any fraction of a segment and recoveries "
	    "that take no\n"
	    "time; at 5.5 segments (5 %%) both count. `ideal` is the model that it simplifies: "
	    "whole segments,\n"
	    "independent losses, a round trip without growth in each recovery, nothing else.\n\n"
	    "Reordering on long paths: what arrives late while a hole is being filled has an older "
	    "timestamp\n"
	    "than the retransmission that filled it, and RFC 7323 section 5.3 (R1, PAWS) makes the "
	    "receiver\n"
	    "drop it: 0.6 %% of the packets of CUBIC at 100 ms with 10 %% late. That is loss, and "
	    "is taken for it.\n\n");
	say("| control | reordered | RTT | loss | Mbit/s | bound | ideal "
	    "|\n|---|---|---|---|---|---|---|\n");
	for (unsigned i = 0; i < CELLS; i++) {
		struct cell c = cell_of(i);
		bool models = losses_ppm[c.loss] >= 1000 && strcmp(controls[c.control], "bbr") != 0;

		if (mean(c) >= bound(c))
			continue;
		say("| %s | %g %% | %u ms | %g %% | %.2f | %.2f |", controls[c.control],
		    reorders_ppm[c.reorder] / 1e4, rtts_ms[c.rtt], losses_ppm[c.loss] / 1e4,
		    mean(c), bound(c));
		if (models)
			say(" %.2f |\n", fmin(ideal(c), link_mbit()));
		else
			say(" |\n");
	}
}

/* What 1 %% of reordering costs at 20 ms without loss: less than a tenth. */
static bool light_reordering(void)
{
	bool ok = true;

	say("\n## What light reordering costs: 1 %% at 20 ms, no loss\n\n");
	for (unsigned k = 0; k < CONTROLS; k++) {
		double without = mean((struct cell){ k, 0, 1, 0 });
		double with = mean((struct cell){ k, 1, 1, 0 });

		say("- %s: %.1f %% (%.1f to %.1f Mbit/s)\n", controls[k],
		    100 * (1 - with / without), without, with);
		ok &= with > 0.9 * without;
	}
	return ok;
}

bool sim_report(const char *path, unsigned workers)
{
	unsigned below = 0;
	bool ran, light;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return false;
	ran = run_all(workers);
	file = path ? fopen(path, "w") : NULL;
	head();
	for (unsigned k = 0; k < CONTROLS; k++)
		for (unsigned o = 0; o < REORDERS; o++)
			below += table(k, o);
	light = light_reordering();
	explain(below);
	if (file)
		fclose(file);
	return ran && light && (file || !path);
}
