// SPDX-License-Identifier: BSD-2-Clause
/*
 * main.c - bench: one end of one benchmark run, on one stack. scripts/bench starts the two ends, in
 * two namespaces, each on a processor of its own.
 *
 *	bench server --stack millrace -i v0 --address 10.0.0.2/24
 *	bench client --stack kernel --server 10.0.0.2 --workload rr --conns 64 --size 64
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "work.h"

enum { OPT_ADDRESS = 256, OPT_SPIN, OPT_BUSY, OPT_IDLE_PORTS, OPT_RATE, OPT_WARMUP, OPT_NATIVE };

static const struct argp_option options[] = {
	{ "stack", 's', "NAME", 0, "millrace, kernel, or none (a client alone)", 0 },
	{ "interface", 'i', "NAME", 0, "Millrace: the interface", 0 },
	{ "address", OPT_ADDRESS, "ADDR/LEN", 0, "Millrace: the engine's address", 0 },
	{ "spin", OPT_SPIN, "US", 0, "Millrace: spin before sleeping (default 1000000)", 0 },
	{ "native", OPT_NATIVE, NULL, 0, "Millrace: attach in driver mode", 0 },
	{ "busy-poll", OPT_BUSY, "US", 0, "kernel: SO_BUSY_POLL", 0 },
	{ "server", 'S', "ADDR", 0, "client: the server's address", 0 },
	{ "port", 'p', "PORT", 0, "first of the ports (default 5200)", 0 },
	{ "workload", 'w', "NAME", 0, "client: rr, crr, tx, rx or idle", 0 },
	{ "conns", 'c', "N", 0, "connections (default 1)", 0 },
	{ "idle-ports", OPT_IDLE_PORTS, "N", 0, "ports that idle connections are spread over", 0 },
	{ "size", 'z', "BYTES", 0, "of a request and of its answer (default 64)", 0 },
	{ "time", 't', "S", 0, "seconds that are measured (default 2)", 0 },
	{ "warmup", OPT_WARMUP, "S", 0, "seconds before (default 0.3)", 0 },
	{ "rate", OPT_RATE, "N", 0, "rr: requests per second that are offered", 0 },
	{ 0 },
};

static double number(struct argp_state *state, const char *name, const char *text, double least,
		     double most)
{
	char *end;
	double value = strtod(text, &end);

	if (*end || end == text || value < least || value > most)
		argp_error(state, "%s wants a number from %g to %g, not \"%s\"", name, least, most,
			   text);
	return value;
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct bench_args *args = state->input;

	switch (key) {
	case 's':
		args->stack = !strcmp(arg, "millrace") ? &bench_millrace :
			      !strcmp(arg, "kernel")   ? &bench_kernel :
			      !strcmp(arg, "none")     ? &bench_none :
							 NULL;
		if (!args->stack)
			argp_error(state, "the stack \"%s\" is unknown: millrace, kernel or none",
				   arg);
		break;
	case 'i':
		args->opt.ifname = arg;
		break;
	case OPT_ADDRESS:
		args->opt.address = arg;
		break;
	case OPT_SPIN:
		args->opt.spin_us = (unsigned)number(state, "--spin", arg, 0, 1e9);
		break;
	case OPT_NATIVE:
		args->opt.native = true;
		break;
	case OPT_BUSY:
		args->opt.busy_poll_us = (unsigned)number(state, "--busy-poll", arg, 0, 1e6);
		break;
	case 'S':
		if (mr_addr_parse(arg, &args->server.addr))
			argp_error(state, "\"%s\" is not an address", arg);
		break;
	case 'p':
		args->server.port = (uint16_t)number(state, "--port", arg, 1, 65000);
		break;
	case 'w':
		args->workload = arg;
		break;
	case 'c':
		args->conns = (unsigned)number(state, "--conns", arg, 1, BENCH_CONNS_MAX);
		break;
	case OPT_IDLE_PORTS:
		args->idle_ports = (unsigned)number(state, "--idle-ports", arg, 0, 500);
		break;
	case 'z':
		args->size = (uint32_t)number(state, "--size", arg, 1, BENCH_MAX_SIZE);
		break;
	case 't':
		args->seconds = number(state, "--time", arg, 0.01, 600);
		break;
	case OPT_WARMUP:
		args->warmup = number(state, "--warmup", arg, 0, 60);
		break;
	case OPT_RATE:
		args->rate = number(state, "--rate", arg, 1, 1e9);
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
					  .args_doc = "",
					  .doc = "bench server|client: one end of a benchmark." };
	struct bench_args args = {
		.opt.spin_us = 1000000,
		.server.port = BENCH_PORT,
		.workload = "rr",
		.conns = 1,
		.size = 64,
		.seconds = 2,
		.warmup = 0.3,
	};
	bool server;
	int status;

	if (argc < 2 || (strcmp(argv[1], "server") != 0 && strcmp(argv[1], "client") != 0)) {
		fprintf(stderr, "bench: the first argument is \"server\" or \"client\"\n");
		return 2;
	}
	server = !strcmp(argv[1], "server");
	argp_parse(&argp, argc - 1, argv + 1, 0, NULL, &args);
	if (!args.stack) {
		fprintf(stderr, "bench: --stack millrace, kernel or none must be given\n");
		return 2;
	}
	if (args.stack == &bench_millrace && (!args.opt.ifname || !args.opt.address)) {
		fprintf(stderr, "bench: Millrace needs -i and --address\n");
		return 2;
	}
	if (args.stack == &bench_none && server) {
		fprintf(stderr, "bench: no stack has no server, only a client\n");
		return 2;
	}
	bench_catch_signals();
	args.opt.connections = args.conns;
	if (args.stack->open(&args.opt))
		return 1;
	status = server ? bench_server(&args) : bench_client(&args);
	args.stack->close();
	return status;
}
