// SPDX-License-Identifier: BSD-2-Clause
/*
 * report.c - what one bulk transfer gets of a path, for each congestion control, loss rate, RTT and share
 * of reordered packets, beside what a textbook says that it must get.
 * Called by   `make sim-report`; flow_report.c for a few of its cells.
 * Not here    the textbook (textbook.c).
 */
#include <assert.h>
#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/compiler.h"
#include "flow.h"
#include "report.h"
#include "textbook.h"

#define RATE_BPS  MBIT(100)
#define MSS	  1448.0 /* with timestamps */
#define PACKET	  1514.0 /* the same on the wire */
#define QUEUE_MIN 16.0	 /* packets: flow.c's queue is at least that */
#define FULL	  0.95	 /* of the link counts as full */
/* Below, what Mathis leaves out weighs more than that losses are independent. */
#define FEW_SEGMENTS 20.0
#define PEAKS	     2.0  /* of windows, over their mean, where losses are independent */
#define BBR_LOSS     0.02 /* what BBR bears while it probes */
#define RTO_MIN_S    0.2
#define LOSSES	     5u
#define RTTS	     4u
#define REORDERS     3u
#define CONTROLS     3u
#define CELLS	     (CONTROLS * REORDERS * RTTS * LOSSES)
#define BATCH	     4u /* runs of a cell before it is looked at */
#define BATCHES	     8u /* of cells that stay close to their bound */
#define RUNS	     (BATCH * BATCHES)
#define SURE	     3.0 /* standard errors above the bound are enough */
#define CHANCE	     2.0 /* standard errors below it may be chance */
#define CPU_TIME_S   100 /* of one run: it takes a second */

static const char *const controls[CONTROLS] = { "cubic", "bbr", "newreno" };
static const uint32_t losses_ppm[LOSSES] = { 0, 100, 1000, 10000, 50000 };
static const unsigned rtts_ms[RTTS] = { 1, 20, 100, 300 };
static const uint32_t reorders_ppm[REORDERS] = { 0, 10000, 100000 };

struct cell {
	unsigned control, reorder, rtt, loss;
};

/* What one run got, and what happened meanwhile. */
struct result {
	bool done;
	double goodput; /* Mbit/s */
	double sent, lost, overflowed, retrans, recoveries, timeouts, probes, undone, dsacks, old;
};

/* Written by the workers. */
struct shared {
	uint32_t next;
	struct result result[CELLS][RUNS];
};

static struct shared *shared;
static unsigned runs_of[CELLS]; /* that were asked for */
static const char *pattern;	/* NULL: all cells */

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

static const char *name_of(struct cell c)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s/%ums/%g%%/%g%%", controls[c.control], rtts_ms[c.rtt],
		 losses_ppm[c.loss] / 1e4, reorders_ppm[c.reorder] / 1e4);
	return name;
}

static bool chosen(unsigned i)
{
	return !pattern || !fnmatch(pattern, name_of(cell_of(i)), 0);
}

static bool is(struct cell c, const char *control)
{
	return !strcmp(controls[c.control], control);
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

/* Where a bound comes from, as the tables tell it. */
enum model { LINK, MATHIS, CUBIC, ROUNDS, BBR, MODELS };

static const char *const signs[MODELS] = {
	[LINK] = "l", [MATHIS] = "m", [CUBIC] = "c", [ROUNDS] = "r", [BBR] = "b",
};

struct bound {
	double mbit;
	enum model model;
};

static struct tb_path path_of(struct cell c)
{
	struct tb_path path = {
		.p = losses_ppm[c.loss] / 1e6,
		.rtt_s = rtts_ms[c.rtt] / 1e3 + PACKET * 8 / (double)RATE_BPS,
		.rate_bps = (double)RATE_BPS,
		.mss = MSS,
		.packet = PACKET,
	};

	path.queue_packets = fmax(tb_bdp(&path), QUEUE_MIN);
	return path;
}

static struct bound loss_based(struct cell c, bool cubic)
{
	static double rounds[2][RTTS][LOSSES]; /* takes a while, and reordering is no part of it */
	struct tb_path path = path_of(c);
	double window = cubic ? tb_cubic_window(path.p, path.rtt_s) : tb_mathis_window(path.p);
	double *r = &rounds[cubic][c.rtt][c.loss];

	/* The formulas speak of a mean window. Peaks must not be cut off by the link: the mean of what is the
	 * least of two is not the least of their means. */
	if (window >= FEW_SEGMENTS && window * PEAKS <= tb_bdp(&path))
		return (struct bound){ tb_of_window(&path, window), cubic ? CUBIC : MATHIS };
	if (!(*r > 0))
		*r = tb_rounds(&path, cubic ? &tb_cubic_reno : &tb_reno);
	return (struct bound){ *r, ROUNDS };
}

static struct bound bound(struct cell c)
{
	struct tb_path path = path_of(c);
	double most = FULL * tb_link(&path);
	struct bound b = { most, LINK };

	if (is(c, "bbr") && path.p <= BBR_LOSS)
		return (struct bound){ FULL * tb_bbr(&path), BBR };
	if (path.p > 0)
		b = loss_based(c, is(c, "cubic"));
	return b.mbit < most ? b : (struct bound){ most, LINK };
}

/* ---- Runs ------------------------------------------------------------------------------------ */

/* Long enough for 500 losses at the bound, or 120,000 packets; at least for ten seconds and a hundred round
 * trips. */
static uint64_t duration(struct cell c)
{
	double p = losses_ppm[c.loss] / 1e6, packets_per_s = bound(c).mbit * 1e6 / 8 / MSS;
	double s = p > 0 ? fmin(500 / p, 120000) / packets_per_s : 0;

	return (uint64_t)(fmax(fmax(s, 10), rtts_ms[c.rtt] / 10.0) * 1e9);
}

static struct result look(const struct flows *fl)
{
	const struct mr_counters *a = &fl->sim.host[0].engine->st->ctr,
				 *b = &fl->sim.host[1].engine->st->ctr;

	return (struct result){
		.sent = (double)fl->sim.wire[0].sent,
		.lost = (double)fl->sim.wire[0].lost,
		.overflowed = (double)fl->sim.wire[0].queue.overflowed,
		.retrans = (double)a->c[MR_CTR_TCP_RETRANS],
		.recoveries = (double)a->c[MR_CTR_TCP_FAST_RETRANS],
		.timeouts = (double)a->c[MR_CTR_TCP_RTO],
		.probes = (double)a->c[MR_CTR_TCP_TLP],
		.undone = (double)a->c[MR_CTR_TCP_UNDO],
		.dsacks = (double)a->c[MR_CTR_TCP_DSACK_IN],
		.old = (double)b->drop[MR_DROP_TCP_PAWS],
	};
}

/* sum += sign * r */
static void add(struct result *sum, const struct result *r, double sign)
{
	sum->goodput += sign * r->goodput;
	sum->sent += sign * r->sent;
	sum->lost += sign * r->lost;
	sum->overflowed += sign * r->overflowed;
	sum->retrans += sign * r->retrans;
	sum->recoveries += sign * r->recoveries;
	sum->timeouts += sign * r->timeouts;
	sum->probes += sign * r->probes;
	sum->undone += sign * r->undone;
	sum->dsacks += sign * r->dsacks;
	sum->old += sign * r->old;
}

static struct result run(struct cell c, uint64_t seed)
{
	const uint64_t rtt_ns = rtts_ms[c.rtt] * MR_NS_PER_MS;
	const uint64_t warm_up = 5 * MR_NS_PER_S + 60 * rtt_ns;
	static struct flows fl;
	struct result before, r;
	struct flow *f;

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
	before = look(&fl);
	flows_until(&fl, warm_up + duration(c));
	r = look(&fl);
	add(&r, &before, -1);
	r.goodput = flow_goodput(&fl, f) / 1e6;
	r.done = true;
	flows_close(&fl);
	return r;
}

double sim_report_cell(const char *name, unsigned runs, double *least)
{
	double sum = 0;
	unsigned i = 0;

	while (strcmp(name, name_of(cell_of(i))) != 0) {
		i++;
		assert(i < CELLS);
	}
	for (unsigned s = 1; s <= runs; s++)
		sum += run(cell_of(i), s).goodput;
	*least = bound(cell_of(i)).mbit;
	return sum / runs;
}

static void worker(void)
{
	const struct itimerval limit = { .it_value.tv_sec = CPU_TIME_S };
	uint32_t i;

	while ((i = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED)) < CELLS * RUNS) {
		unsigned cell = i / RUNS, n = i % RUNS;

		if (n >= runs_of[cell] || shared->result[cell][n].done)
			continue;
		setitimer(ITIMER_PROF, &limit, NULL); /* SIGPROF ends this process */
		shared->result[cell][n] = run(cell_of(cell), 1 + n);
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\r%-24s run %-3u", name_of(cell_of(cell)), 1 + n);
	}
	_exit(0);
}

/* All that runs_of asks for and is not there yet. False: a run failed. */
static bool run_batch(unsigned workers)
{
	bool ok = true;
	int status;

	fflush(NULL);
	shared->next = 0;
	for (unsigned i = 0; i < workers; i++)
		if (!fork())
			worker();
	while (workers--) {
		wait(&status);
		ok &= WIFEXITED(status) && !WEXITSTATUS(status);
	}
	return ok;
}

static double mean(struct cell c)
{
	unsigned i = index_of(c);
	double sum = 0;

	for (unsigned n = 0; n < runs_of[i]; n++)
		sum += shared->result[i][n].goodput;
	return sum / runs_of[i];
}

/* The standard error of the mean. */
static double error(struct cell c)
{
	unsigned i = index_of(c);
	double m = mean(c), sum = 0;

	for (unsigned n = 0; n < runs_of[i]; n++)
		sum += pow(shared->result[i][n].goodput - m, 2);
	return sqrt(sum / runs_of[i] / (runs_of[i] - 1));
}

/* Is the cell below its bound? Not if that may be chance: but it is said. */
static const char *verdict(struct cell c)
{
	if (mean(c) >= bound(c).mbit)
		return "";
	return mean(c) + CHANCE * error(c) < bound(c).mbit ? "<" : "~";
}

static bool is_below(struct cell c)
{
	return *verdict(c) == '<';
}

/* Every cell; those that may be below their bound, or seem so by chance, again and again. */
static bool run_all(unsigned workers)
{
	bool ok = true, more = true;

	for (unsigned batch = 0; ok && more && batch < BATCHES; batch++) {
		more = false;
		for (unsigned i = 0; i < CELLS; i++) {
			struct cell c = cell_of(i);

			if (!chosen(i) || (batch && mean(c) - SURE * error(c) > bound(c).mbit))
				continue;
			runs_of[i] += BATCH;
			more = true;
		}
		if (more)
			ok = run_batch(workers);
	}
	return ok;
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
	struct tb_path path = path_of((struct cell){ 0 });

	say("# Goodput in the simulator\n\n"
	    "Made by `make sim-report`; do not edit. One transfer over a link of %llu Mbit/s with "
	    "a "
	    "drop-tail\n"
	    "queue of one bandwidth-delay product (at least 16 packets), data lost behind it at "
	    "random, each\n"
	    "packet by itself. Of the data packets a share comes late, by up to half of the RTT "
	    "(small delays are\n"
	    "as likely as large ones). The RTT has a packet's transmission in it.\n\n"
	    "A cell is the mean of %u runs or more, in Mbit/s of payload after a warm-up, its "
	    "standard error, and\n"
	    "the bound. Cells less than %.0f standard errors above their bound were run up to %u "
	    "times. A cell that\n"
	    "is below its bound has a `<`; a `~` if that is within %.0f standard errors, and may "
	    "be "
	    "chance.\n\n"
	    "Bounds are of what arrives, (1 - p) of what the models say is sent; none is above "
	    "%.0f "
	    "%% of the link's\n"
	    "payload (%.1f Mbit/s), which counts as full. Reordering has no part in them. Which "
	    "model it is, a\n"
	    "letter says:\n"
	    "- l, the link: full.\n"
	    "- m, Mathis et al. 1997, equation (3): MSS / RTT * sqrt(3 / 2) / sqrt(p).\n"
	    "- c, RFC 9438 section 5.1, and Reno's (m) where that is more (section 4.3).\n"
	    "- r, rounds: where those formulas mean windows of less than %.0f segments, or windows "
	    "whose peaks the\n"
	    "  link cuts off. Theirs is for light to moderate loss, fractions of segments, "
	    "recoveries that take no\n"
	    "  time and a link that is never the limit. This is the process that they simplify, "
	    "played round by\n"
	    "  round (Padhye et al. 2000, section II): whole segments, independent losses, a round "
	    "trip without\n"
	    "  growth in each recovery, the link and its queue; no timeouts "
	    "(tests/sim/textbook.c).\n"
	    "- b, BBR: draft-ietf-ccwg-bbr section 5.3.3.5.2 says that a rate of (1 - p)^N is left "
	    "after N rounds of\n"
	    "  cruising with a loss rate p; the bound is 95 %% of the mean over a cycle of 63 "
	    "rounds "
	    "or 2.5 s, less\n"
	    "  what probing the RTT gives up (5.3.4: half the rate for 200 ms and two RTTs, every "
	    "5 "
	    "s). No literature\n"
	    "  has a response function of version 3. Above the 2 %% that it bears while it probes, "
	    "BBR takes loss for\n"
	    "  congestion, and Reno's bound is taken.\n",
	    (unsigned long long)(RATE_BPS / 1000000), BATCH, SURE, RUNS, CHANCE, FULL * 100,
	    FULL * tb_link(&path), FEW_SEGMENTS);
}

static void table(unsigned control, unsigned reorder)
{
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
			int digits = bound(c).mbit < 10 ? bound(c).mbit < 1 ? 3 : 2 : 1;

			say(" %s %.*f ± %.*f / %.*f%s |", verdict(c), digits, mean(c), digits,
			    error(c), digits, bound(c).mbit, signs[bound(c).model]);
		}
	}
	say("\n");
}

static unsigned list_below(void)
{
	unsigned below = 0;

	for (unsigned i = 0; i < CELLS; i++)
		below += is_below(cell_of(i));
	say("\n## Below their bound: %u of %u cells\n\n", below, CELLS);
	for (unsigned i = 0; i < CELLS; i++) {
		struct cell c = cell_of(i);

		if (*verdict(c))
			say("- %s %s: %.3f ± %.3f of %.3f Mbit/s\n", verdict(c), name_of(c),
			    mean(c), error(c), bound(c).mbit);
	}
	return below;
}

/* Where closed formulas end: what each of them says. */
static void few_segments(void)
{
	say("\n## Windows of few segments: 1 and 5 %% loss, no reordering\n\n"
	    "What closed formulas say there, Mbit/s that arrive: Mathis, and RFC 9438 section 5.1 "
	    "for "
	    "CUBIC, both without\n"
	    "the link; PFTK's T(p) with a first timeout of RTT + 200 ms, as the engine has it, and "
	    "the same with no\n"
	    "timeouts.\n\n"
	    "| control | loss | RTT | Mbit/s | bound | Mathis, RFC 9438 | PFTK | PFTK without "
	    "timeouts "
	    "| timeouts for 1000 losses |\n"
	    "|---|---|---|---|---|---|---|---|---|\n");
	for (unsigned i = 0; i < CELLS; i++) {
		struct cell c = cell_of(i);
		struct tb_path path = path_of(c);
		double window = is(c, "cubic") ? tb_cubic_window(path.p, path.rtt_s) :
						 tb_mathis_window(path.p);
		struct result sum = { 0 };

		if (is(c, "bbr") || c.reorder || path.p < 0.01)
			continue;
		for (unsigned n = 0; n < runs_of[i]; n++)
			add(&sum, &shared->result[i][n], 1);
		say("| %s | %g %% | %u ms | %.3f | %.3f%s | %.3f | %.3f | %.3f | %.1f |\n",
		    controls[c.control], path.p * 100, rtts_ms[c.rtt], mean(c), bound(c).mbit,
		    signs[bound(c).model], tb_of_window(&path, window),
		    tb_pftk(&path, path.rtt_s + RTO_MIN_S), tb_pftk(&path, 0),
		    1000 * sum.timeouts / (sum.lost + sum.overflowed));
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

/* Chosen cells, and what happened in them for each 100 packets that the path took. False: one is below. */
static bool details(void)
{
	bool ok = true;

	printf("%-22s %9s %8s %9s %9s %8s | for 100 lost: %s\n", "cell", "Mbit/s", "error", "bound",
	       "sent", "lost", "resent recoveries timeouts probes undone D-SACKs old");
	for (unsigned i = 0; i < CELLS; i++) {
		struct cell c = cell_of(i);
		struct result sum = { 0 };
		double unit;

		if (!chosen(i))
			continue;
		for (unsigned n = 0; n < runs_of[i]; n++)
			add(&sum, &shared->result[i][n], 1);
		unit = fmax(1, sum.lost + sum.overflowed) / 100;
		printf("%-22s %9.3f %8.3f %8.3f%s %9.0f %8.0f | %20.1f %10.1f %8.1f %6.1f %6.1f "
		       "%7.1f %3.1f %s\n",
		       name_of(c), mean(c), error(c), bound(c).mbit, signs[bound(c).model],
		       sum.sent, sum.lost + sum.overflowed, sum.retrans / unit,
		       sum.recoveries / unit, sum.timeouts / unit, sum.probes / unit,
		       sum.undone / unit, sum.dsacks / unit, sum.old / unit,
		       is_below(c) ? "  <" : "");
		ok &= !is_below(c);
	}
	return ok;
}

bool sim_report(const char *path, const char *cells, unsigned workers)
{
	unsigned below;
	bool light;

	pattern = cells;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || !run_all(workers))
		return false;
	if (cells)
		return details();
	file = path ? fopen(path, "w") : NULL;
	head();
	for (unsigned k = 0; k < CONTROLS; k++)
		for (unsigned o = 0; o < REORDERS; o++)
			table(k, o);
	light = light_reordering();
	few_segments();
	below = list_below();
	if (path && (!file || fclose(file)))
		return false;
	return !below && light;
}
