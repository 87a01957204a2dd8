/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.h - one engine for a fuzz target, on the simulated device (tests/sim/simdev.h) and on virtual
 * time. It is made anew for each input, so that nothing is left over from the one before.
 */
#ifndef MR_TESTS_FUZZ_HOST_H
#define MR_TESTS_FUZZ_HOST_H

#include "../sim/simdev.h"
#include "engine/engine.h"
#include "millrace.h"

#define FUZZ_START_NS (1000 * MR_NS_PER_S) /* the clock when an input begins */

struct fuzz_host_cfg {
	const char *prefix;  /* the engine's address, "10.0.0.1/24" */
	const char *prefix6; /* and a second one, or NULL */
	uint8_t mac_end;     /* last byte of its MAC address 02:00:00:00:00:xx */
	uint32_t nframes;
	uint32_t sndbuf, rcvbuf;
	bool ragged, pad, gso;	/* of the device */
	const char *congestion; /* NULL: the default */
	enum mr_ecn_policy ecn;
	enum mr_mtu_probing mtu_probing;
	/* What it transmits, complete packets. */
	void (*sent)(void *user, const uint8_t *pkt, uint32_t len);
	void *user;
};

struct fuzz_host {
	const uint64_t *now; /* ns, shared by all hosts of an input */
	struct mr_engine *engine;
	struct sim_dev *dev;
	struct mr_addr addr;
	uint8_t mac[6];
	unsigned nchecks;
};

void fuzz_host_open(struct fuzz_host *h, const struct fuzz_host_cfg *cfg, const uint64_t *now);
/* Every invariant of every connection and socket, and now and then of all tables. */
void fuzz_host_check(struct fuzz_host *h);
/* One round: input, then output; every invariant is checked after each. */
void fuzz_host_round(struct fuzz_host *h);
/* When it wants to run again; MR_TIME_NEVER: never. */
uint64_t fuzz_host_next(const struct fuzz_host *h);
/* Close it. Every frame must be free by then: the target has aborted its sockets and let time pass. */
void fuzz_host_close(struct fuzz_host *h);

/* With FUZZ_TRACE in the environment: a line about a packet, for who looks into a finding. */
void fuzz_trace(const struct fuzz_host *h, const char *what, const uint8_t *pkt, uint32_t len);

/* Answer `pkt`, an ARP request, if it asks for `ip` (host byte order), as a host with this MAC. */
void fuzz_answer_arp(struct fuzz_host *h, const uint8_t *pkt, uint32_t len, uint32_t ip,
		     const uint8_t mac[6]);

/* Answer `pkt`, a neighbour solicitation, if its target is not the sender's own, as a host with this MAC
 * that has every address. */
void fuzz_answer_nd(struct fuzz_host *h, const uint8_t *pkt, uint32_t len, const uint8_t mac[6]);

#endif
