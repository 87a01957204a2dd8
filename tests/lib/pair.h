/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pair.h - two engines joined in memory, for unit tests of sockets and engine. The wire is perfect and
 * takes no time; a test may cut it. Time stands still but in pair_run(). For bad wires see tests/sim.
 */
#ifndef MR_TESTS_LIB_PAIR_H
#define MR_TESTS_LIB_PAIR_H

#include "base/time.h"
#include "engine/engine.h"

#define PAIR_INBOX 4096u
#define PAIR_PORT  80

struct pair;

struct pair_packet {
	uint32_t len;
	uint8_t *bytes;
};

struct pair_dev {
	struct mr_dev dev;
	struct pair *pair;
	int side;
	struct pair_packet inbox[PAIR_INBOX]; /* a ring of packets on their way to this side */
	uint32_t head, tail;
	bool cut;		   /* what is sent to this side is lost */
	bool gone;		   /* the interface was deleted */
	struct mr_link_state link; /* what the next service() finds; see pair_set_mtu() */
	uint32_t sent;		   /* packets that this side gave to the wire */
	uint32_t closed;	   /* calls of close() */
	uint32_t rests;		   /* calls of rest() */
};

struct pair_cfg {
	uint32_t mtu, nframes, chunk_size, max_sockets, sndbuf, rcvbuf;
	size_t extra_bytes; /* in the arena, beside the stack */
	bool real_clock;    /* CLOCK_MONOTONIC, for mr_wait(); else time is pair.now */
	bool tuned;	    /* buffers of the default size, which grow */
	bool unsafe;	    /* do not check invariants after each step (for speed) */
	void (*log)(void *user, int level, const char *line);
	void *log_user;
	const char *pcap_path;
};

struct pair {
	struct pair_cfg cfg;
	uint64_t now; /* ns, of both engines */
	struct mr_engine *engine[2];
	struct pair_dev *dev[2];
	struct mr_endpoint addr[2]; /* 10.0.0.1 and 10.0.0.2, PAIR_PORT */
	struct mr_socket *listener; /* of pair_connect(), on side 1 */
};

/* cfg NULL, or fields that are 0: MTU 1500, 512 frames of 2048 bytes, 64 sockets, buffers of 64 KiB. */
void pair_open(struct pair *p, const struct pair_cfg *cfg);
/* Closes the engines that are not NULL, and fails the test if a frame is left that nobody holds. */
void pair_close(struct pair *p);

/* Rounds of both engines until nothing moves, without time passing. */
void pair_pump(struct pair *p);
/* The same with time passing: `ns` of it, in steps from timer to timer. */
void pair_run(struct pair *p, uint64_t ns);

/* A listener at side 1 (made when there is none yet) and an established connection from side 0. */
void pair_connect(struct pair *p, struct mr_socket **client, struct mr_socket **server);

/* The interface of one side gets another MTU, and its engine looks. A longer packet that this side
 * sends then fails the test. */
void pair_set_mtu(struct pair *p, int side, uint32_t mtu);

/* The events of one side. */
unsigned pair_events(struct pair *p, int side, struct mr_event *events, unsigned max);

uint64_t pair_counter(const struct pair *p, int side, enum mr_counter_id id);

/* Byte i of the stream that pair_send() writes. */
static inline uint8_t pair_byte(uint64_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

#endif
