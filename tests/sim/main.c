// SPDX-License-Identifier: BSD-2-Clause
/*
 * main.c - the simulator's command: runs seeds of scenarios and scripted histories in worker
 * processes and reports in TAP. A worker that dies, fails or hangs has the job it was at marked as
 * failed, and a new worker goes on with the next.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "flow.h"
#include "hist.h"
#include "idle.h"
#include "report.h"
#include "sim.h"

#define WORKERS_MAX   64u
#define REPLAYS_SHOWN 5u
#define JOB_CPU_S     100 /* of computing, which a run does for milliseconds */
#define NO_JOB	      UINT32_MAX

enum job_state { JOB_WAITS, JOB_RUNS, JOB_OK, JOB_FAILED };

struct job {
	const struct sim_scenario *sc; /* or */
	const struct hist_test *hist;  /* or */
	const struct flow_test *flow;
	uint64_t seed;
};

/* Written by the workers, read by the parent. */
struct shared {
	uint32_t next; /* job to take */
	uint32_t at[WORKERS_MAX];
	uint8_t state[]; /* enum job_state, by job */
};

struct options {
	const char *scenario, *hist, *flow, *pcap, *report, *cells;
	uint64_t first, last;
	bool seeds_given, verbose, list;
	unsigned workers;
};

static struct job *jobs;
static uint32_t njobs;
static struct shared *shared;
static const char *self;

static void add_job(struct job j)
{
	jobs = realloc(jobs, (njobs + 1) * sizeof(*jobs));
	if (!jobs)
		abort();
	jobs[njobs++] = j;
}

static void run_job(const struct job *j, const struct options *o)
{
	const struct sim_opts so = { .verbose = o->verbose, .pcap = o->pcap };

	if (j->hist)
		hist_run_test(j->hist, o->verbose, o->pcap);
	else if (j->flow)
		flow_run_test(j->flow, o->verbose);
	else
		sim_run_seed(j->sc, j->seed, &so);
}

/* ---- Workers --------------------------------------------------------------------------------- */

/* SIGPROF when this process has computed for so long. 0: no limit. */
static void limit_cpu(time_t seconds)
{
	const struct itimerval limit = { .it_value.tv_sec = seconds };

	setitimer(ITIMER_PROF, &limit, NULL);
}

static void worker(unsigned w, const struct options *o)
{
	uint32_t i;

	for (;;) {
		shared->at[w] = NO_JOB;
		i = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED);
		if (i >= njobs)
			exit(0);
		shared->at[w] = i;
		shared->state[i] = JOB_RUNS;
		limit_cpu(JOB_CPU_S);
		run_job(&jobs[i], o);
		limit_cpu(0);
		shared->state[i] = JOB_OK;
	}
}

static pid_t start_worker(unsigned w, const struct options *o)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (!pid)
		worker(w, o);
	return pid;
}

static const char *job_name(const struct job *j)
{
	return j->hist ? j->hist->name : j->flow ? j->flow->name : j->sc->name;
}

static const char *job_kind(const struct job *j)
{
	return j->hist ? "hist" : j->flow ? "flow" : "scenario";
}

static void print_job(FILE *to, const struct job *j)
{
	fprintf(to, "%s --%s %s", self, job_kind(j), job_name(j));
	if (j->sc)
		fprintf(to, " --seed %" PRIu64, j->seed);
	fputc('\n', to);
}

/* A worker ended. True: it had failed at a job, and another must take its place. */
static bool attribute(unsigned w, int status)
{
	const uint32_t i = shared->at[w];

	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return false;
	if (i == NO_JOB) {
		/* Between jobs only what looks at a whole process speaks up: the leak checker. */
		fprintf(stderr, "# a worker ended with status 0x%x after its last job\n", status);
		exit(1);
	}
	shared->state[i] = JOB_FAILED;
	if (WIFSIGNALED(status))
		fprintf(stderr, "# %s: ",
			WTERMSIG(status) == SIGPROF ? "does not end" : strsignal(WTERMSIG(status)));
	else
		fprintf(stderr, "# failed: ");
	print_job(stderr, &jobs[i]);
	return true;
}

static void run_all(const struct options *o)
{
	pid_t pid[WORKERS_MAX];
	unsigned running = 0;
	int status;

	for (unsigned w = 0; w < o->workers; w++, running++)
		pid[w] = start_worker(w, o);
	while (running) {
		pid_t p = wait(&status);

		if (p < 0 && errno == EINTR)
			continue;
		for (unsigned w = 0; w < o->workers; w++)
			if (pid[w] == p) {
				if (attribute(w, status))
					pid[w] = start_worker(w, o);
				else
					running--;
			}
	}
}

/* ---- Report ---------------------------------------------------------------------------------- */

static bool same_test(const struct job *a, const struct job *b)
{
	return a->hist == b->hist && a->flow == b->flow && a->sc == b->sc;
}

/* One TAP line for jobs [from, to). Returns true when all of them passed. */
static bool report(uint32_t from, uint32_t to)
{
	unsigned failed = 0;

	for (uint32_t i = from; i < to; i++)
		failed += shared->state[i] != JOB_OK;
	if (jobs[from].hist || jobs[from].flow)
		printf("%sok - %s %s\n", failed ? "not " : "", job_kind(&jobs[from]),
		       job_name(&jobs[from]));
	else if (failed)
		printf("not ok - sim %s: %u of %u seeds failed\n", jobs[from].sc->name, failed,
		       to - from);
	else
		printf("ok - sim %s: %u seeds\n", jobs[from].sc->name, to - from);
	for (uint32_t i = from, shown = 0; i < to && shown < REPLAYS_SHOWN; i++)
		if (shared->state[i] != JOB_OK) {
			printf("# replay: ");
			print_job(stdout, &jobs[i]);
			shown++;
		}
	return !failed;
}

static bool report_all(void)
{
	unsigned tests = 0;
	bool ok = true;

	for (uint32_t from = 0, to; from < njobs; from = to, tests++) {
		for (to = from; to < njobs && same_test(&jobs[from], &jobs[to]); to++)
			;
		ok &= report(from, to);
	}
	printf("1..%u\n", tests);
	return ok;
}

/* ---- Command line ---------------------------------------------------------------------------- */

static const char usage[] =
	"usage: sim [--scenario NAME] [--hist NAME] [--flow NAME] [--seed N | --seeds A-B]\n"
	"           [--jobs N] [--pcap FILE] [-v] [--list]\n"
	"       sim --report FILE | --cells PATTERN | --idle N\n"
	"Without a choice every scenario, every history and every test of flows runs.\n"
	"  --scenario NAME  only this scenario; \"hist\", \"flow\": only the histories, the "
	"flows;\n"
	"                   \"attack\": the histories of attackers, which print what they get\n"
	"  --hist NAME      only this history\n"
	"  --flow NAME      only this test of flows\n"
	"  --seed N         only this seed (in this process, with --scenario)\n"
	"  --seeds A-B      these seeds\n"
	"  --jobs N         worker processes (default: one for each processor)\n"
	"  --pcap FILE      write what each engine saw to FILE.A.pcapng and FILE.B.pcapng\n"
	"  -v               print each packet and what the applications do\n"
	"  --list           print the names of scenarios, histories and tests of flows\n"
	"  --report FILE    goodput by congestion control over a grid of paths; printed, and "
	"written to FILE\n"
	"  --cells PATTERN  cells of that, as \"cubic/20ms/1%/0%\" (RTT, loss, reordering), and "
	"what happened\n"
	"  --idle N         a report: what N connections cost that do nothing\n";

static void bad_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static uint64_t number(const char *text, char **end)
{
	uint64_t v;

	errno = 0;
	v = strtoull(text, end, 0);
	if (errno || *end == text)
		bad_usage();
	return v;
}

static void parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "scenario", required_argument, NULL, 's' },
		{ "hist", required_argument, NULL, 'H' },
		{ "flow", required_argument, NULL, 'f' },
		{ "seed", required_argument, NULL, 'n' },
		{ "seeds", required_argument, NULL, 'N' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "pcap", required_argument, NULL, 'p' },
		{ "list", no_argument, NULL, 'l' },
		{ "report", required_argument, NULL, 'r' },
		{ "cells", required_argument, NULL, 'c' },
		{ "idle", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "vh", longs, NULL)) >= 0) {
		switch (c) {
		case 's':
			o->scenario = optarg;
			break;
		case 'H':
			o->hist = optarg;
			break;
		case 'f':
			o->flow = optarg;
			break;
		case 'n':
			o->first = o->last = number(optarg, &end);
			o->seeds_given = true;
			break;
		case 'N':
			o->first = number(optarg, &end);
			if (*end != '-')
				bad_usage();
			o->last = number(end + 1, &end);
			o->seeds_given = true;
			break;
		case 'j':
			o->workers = (unsigned)number(optarg, &end);
			break;
		case 'p':
			o->pcap = optarg;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'r':
			o->report = optarg;
			break;
		case 'c':
			o->cells = optarg;
			break;
		case 'i':
			sim_idle(stdout, (uint32_t)mr_min(number(optarg, &end), (1ull << 20) - 1));
			exit(0);
		case 'l':
			o->list = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			bad_usage();
		}
	}
	if (optind != argc || !o->workers || o->workers > WORKERS_MAX || o->first > o->last)
		bad_usage();
}

/* Those that print what an attacker gets, and what it costs. */
static bool is_attack(const struct hist_test *t)
{
	static const char file[] = "hist_attack.c";
	size_t len = strlen(t->file);

	return len >= sizeof(file) - 1 && !strcmp(t->file + len - (sizeof(file) - 1), file);
}

static void choose_jobs(const struct options *o)
{
	bool one = o->hist || o->flow, all = !o->scenario && !one;

	for (unsigned i = 0; i < sim_nscenarios; i++) {
		const struct sim_scenario *sc = &sim_scenarios[i];
		uint64_t last = o->seeds_given ? o->last : sc->seeds;

		if (one || (o->scenario && strcmp(o->scenario, sc->name) != 0))
			continue;
		for (uint64_t seed = o->seeds_given ? o->first : 1; seed <= last; seed++)
			add_job((struct job){ .sc = sc, .seed = seed });
	}
	for (const struct hist_test *t = hist_tests; t; t = t->next)
		if (one ? o->hist && !strcmp(o->hist, t->name) :
			  all || !strcmp(o->scenario, "hist") ||
				    (!strcmp(o->scenario, "attack") && is_attack(t)))
			add_job((struct job){ .hist = t });
	for (const struct flow_test *t = flow_tests; t; t = t->next)
		if (one ? o->flow && !strcmp(o->flow, t->name) :
			  all || !strcmp(o->scenario, "flow"))
			add_job((struct job){ .flow = t });
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = { .workers = cpus > 0 && cpus < (long)WORKERS_MAX ? (unsigned)cpus : 1 };

	self = argv[0];
	parse_options(argc, argv, &o);
	if (o.report || o.cells)
		return !sim_report(o.report, o.cells, o.workers);
	choose_jobs(&o);
	if (!njobs) {
		fprintf(stderr,
			"sim: no such scenario, history or test of flows; --list names them\n");
		return 2;
	}
	if (o.list) {
		for (uint32_t i = 0; i < njobs; i++)
			if (!i || !same_test(&jobs[i], &jobs[i - 1]))
				printf("%s %s\n", job_kind(&jobs[i]), job_name(&jobs[i]));
		return 0;
	}
	/* One job in this very process: for debuggers. */
	if (njobs == 1) {
		run_job(&jobs[0], &o);
		printf("ok - %s\n1..1\n", job_name(&jobs[0]));
		return 0;
	}
	shared = mmap(NULL, sizeof(*shared) + njobs, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	run_all(&o);
	return report_all() ? 0 : 1;
}
