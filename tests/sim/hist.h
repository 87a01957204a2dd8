/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hist.h - scripted histories: one engine, and a peer that is a script. The script gives hand-made
 * segments, calls the socket API, lets virtual time pass, and says of every segment that comes out
 * what it must be and when. A segment that no line of the script expects is a failure.
 *
 *	TEST(rfc1122_4_2_3_1_rto_doubles_on_each_timeout)
 *	{
 *		hist_established(h, &(struct hist_peer){ .wnd = 65535 });
 *		hist_write(h, 100);
 *		EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
 *		hist_run(h, MS(1200));
 *		EXPECT_AT(h, MS(200), .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
 *		...
 *
 * Sequence numbers in a script count from the ISN of whose they are: the engine's SYN is seq 0, the
 * script's SYN is seq 0 too.
 */
#ifndef MR_TESTS_SIM_HIST_H
#define MR_TESTS_SIM_HIST_H

#include <stdio.h>
#include "millrace.h"
#include "engine/engine.h"
#include "packet.h"
#include "simdev.h"
#include "tcp/tcp_wire.h"

#define FIN MR_TCP_FIN
#define SYN MR_TCP_SYN
#define RST MR_TCP_RST
#define PSH MR_TCP_PSH
#define ACK MR_TCP_ACK
#define URG MR_TCP_URG
#define ECE MR_TCP_ECE
#define CWR MR_TCP_CWR

#define MS(n)  ((uint64_t)((n)*1e6))
#define SEC(n) ((uint64_t)((n)*1e9))

#define HIST_ENGINE_PORT 80	     /* where the engine listens */
#define HIST_PEER_PORT	 5000	     /* the script's */
#define HIST_PEER_ISN	 0xfffff000u /* so that every long history wraps */

#define HIST_PEER_WND 65534u /* unless the script says otherwise */

/* What the script's side offers in its SYN or SYN-ACK. Zeros: no such option. */
struct hist_peer {
	uint16_t mss;	/* 0: 1460 is offered; MSS_NONE: no option; MSS_ZERO: one of 0 */
	uint16_t wnd;	/* 0: HIST_PEER_WND */
	uint8_t wscale; /* with has_wscale */
	bool has_wscale;
	bool sack;	/* SACK is permitted */
	uint32_t tsval; /* not 0: timestamps are offered */
	uint8_t ecn;	/* ECE and CWR of the SYN or SYN-ACK */
	bool ae;	/* and AE */
};
#define MSS_NONE 1
#define MSS_ZERO 2

/* A segment of the script. */
struct hist_seg {
	uint8_t flags;
	uint32_t seq, ack; /* relative, see above; ack only with ACK */
	uint32_t len;
	uint16_t wnd; /* 0: what was used last; WND_ZERO: zero */
	uint16_t up, mss;
	uint8_t wscale;
	bool has_wscale;
	bool sack_perm;
	uint32_t sack[4][2];   /* blocks, counted as ack; {0, 0} ends them */
	uint32_t tsval, tsecr; /* tsval not 0: the option is there */
	uint16_t sport, dport; /* 0: those of the connection */
	uint8_t fill;	       /* payload: 0: the pattern of the position, else this byte */
	uint8_t tos;	       /* of the packet, with the ECN bits */
	bool ae;
	uint8_t accecn_kind; /* 172, 174; 0: no such option */
	uint8_t naccecn;
	uint32_t accecn[3];
	bool has_tfo;
	uint8_t ntfo, tfo[16];
};
#define WND_ZERO 0xffff

/* What a segment of the engine must be. flags, seq, ack and len are always compared, but ECE and CWR of a
 * SYN only if one of them is wanted (histories of ECN). */
struct hist_want {
	uint8_t flags;
	uint32_t seq, ack, len;
	bool check_wnd;
	uint16_t wnd, up;
	uint16_t mss; /* 0: not compared */
	bool check_wscale;
	uint8_t wscale;
	bool check_sack;
	uint32_t sack[4][2]; /* blocks, counted as ack; {0, 0} ends them */
	bool any_seq;	     /* an ISN, say, which the script takes over as the engine's */
	uint16_t rport;	     /* 0: the script's port of the connection */
};

struct hist_out {
	uint64_t at; /* ns since the history's zero */
	uint32_t pkt_len;
	uint8_t *pkt;
	struct pkt_tcp t;
};

struct hist {
	const char *name;
	bool verbose;
	bool v6;
	uint64_t now;  /* virtual, ns */
	uint64_t zero; /* what the script calls 0: set by hist_zero() */
	struct mr_engine *engine;
	struct sim_dev *dev;
	struct mr_socket *sock, *listener;
	uint16_t eport, pport; /* the engine's and the script's */
	uint32_t eisn, pisn;
	bool eisn_known;
	uint16_t last_wnd;
	uint32_t tsval;		/* of the last segment given; 0: no timestamps */
	uint32_t written, read; /* bytes by hist_write(), hist_read() */
	struct hist_out *out;
	unsigned nout, out_size, next; /* next: first one not yet expected */
	struct pkt_tcp last;	       /* last one expected */
	uint64_t others; /* packets that were neither TCP nor ARP nor neighbour discovery */
	bool quiet;	 /* nothing is written to the log: a long history */
	FILE *log;	 /* what happened so far, for a failure */
	char *log_text;
	size_t log_len;
};

struct hist_test {
	const char *name, *file; /* as __FILE__ has it */
	bool v6;
	void (*run)(struct hist *h);
	struct hist_test *next;
};

void hist_register(struct hist_test *test);
extern struct hist_test *hist_tests; /* in the order of registration */
void hist_run_test(const struct hist_test *test, bool verbose, const char *pcap);

/* A history is registered by being there. */
#define TEST(id)  HIST_TEST(id, false)
#define TEST6(id) HIST_TEST(id, true) /* over IPv6 */
#define HIST_TEST(id, is_v6)                                                                       \
	static void id(struct hist *h);                                                            \
	static struct hist_test id##_test = {                                                      \
		.name = #id, .file = __FILE__, .v6 = is_v6, .run = id                              \
	};                                                                                         \
	__attribute__((constructor)) static void id##_register(void)                               \
	{                                                                                          \
		hist_register(&id##_test);                                                         \
	}                                                                                          \
	static void id(struct hist *h)

void hist_fail(struct hist *h, const char *file, int line, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 4, 5)));

#define CHECK(h, cond)                                                                             \
	do {                                                                                       \
		if (!(cond))                                                                       \
			hist_fail(h, __FILE__, __LINE__, "not so: %s", #cond);                     \
	} while (0)

#define CHECK_EQ(h, is, want)                                                                      \
	do {                                                                                       \
		long long is_ = (long long)(is), want_ = (long long)(want);                        \
		if (is_ != want_)                                                                  \
			hist_fail(h, __FILE__, __LINE__, "%s is %lld, not %lld", #is, is_, want_); \
	} while (0)

/* ---- Time ------------------------------------------------------------------------------------ */

/* Let time pass up to `t` after the zero; the engine runs whenever it asked to. */
void hist_until(struct hist *h, uint64_t t);
/* Let `ns` pass. */
void hist_run(struct hist *h, uint64_t ns);
/* One round now. */
void hist_round(struct hist *h);
/* From now on, times count from here. */
void hist_zero(struct hist *h);

/* ---- The peer's side ------------------------------------------------------------------------- */

/* Hand it to the device; the engine sees it in its next round. */
void hist_give(struct hist *h, const struct hist_seg *seg);
#define GIVE(h, ...) hist_give(h, &(struct hist_seg){ __VA_ARGS__ })
/* The same, and a round. */
void hist_inject(struct hist *h, const struct hist_seg *seg);
#define INJECT(h, ...) hist_inject(h, &(struct hist_seg){ __VA_ARGS__ })
/* Any bytes as an Ethernet frame to the engine. */
void hist_inject_raw(struct hist *h, const uint8_t *pkt, uint32_t len);
/* An ICMP error (type, code, and the 32 bits behind the checksum) that quotes a segment of the
 * engine with the given sequence number. */
void hist_inject_icmp(struct hist *h, uint8_t type, uint8_t code, uint32_t rest, uint32_t seq);

/* The next segment that came out, at `at` after zero (late by less than two ticks of the timer
 * wheel). */
void hist_expect(struct hist *h, const char *file, int line, uint64_t at,
		 const struct hist_want *want);
#define EXPECT_AT(h, at, ...)                                                                      \
	hist_expect(h, __FILE__, __LINE__, at, &(struct hist_want){ __VA_ARGS__ })
#define EXPECT(h, ...) EXPECT_AT(h, (h)->now - (h)->zero, __VA_ARGS__)
/* Nothing came out that was not expected. */
void hist_expect_nothing(struct hist *h, const char *file, int line);
#define EXPECT_NOTHING(h) hist_expect_nothing(h, __FILE__, __LINE__)
/* Forget what came out and was not looked at. */
void hist_skip(struct hist *h);

/* ---- The engine's side ----------------------------------------------------------------------- */

/* Listen on HIST_ENGINE_PORT: h->listener. */
void hist_listen(struct hist *h, int backlog);
/* Accept: h->sock. */
void hist_accept(struct hist *h);
/* The script's host is behind a router from here on. */
void hist_route_peer(struct hist *h);
/* A passive open, up to the accept; the script has seen the SYN-ACK. Time zero is now. */
void hist_established(struct hist *h, const struct hist_peer *peer);
/* mr_socket and mr_connect to the script's port; the SYN has been expected. Time zero is now. */
void hist_connect(struct hist *h);
/* The whole active open. Time zero is now. */
void hist_connected(struct hist *h, const struct hist_peer *peer);
/* Give the answer to the engine's SYN. */
void hist_syn_ack(struct hist *h, const struct hist_peer *peer);
/* mr_send() of n bytes of the pattern, then a round. */
void hist_write(struct hist *h, uint32_t n);
/* mr_recv() of exactly n bytes, checked against the pattern, then a round. */
void hist_read(struct hist *h, uint32_t n);
void hist_close(struct hist *h);
void hist_shutdown(struct hist *h);
void hist_option(struct hist *h, enum mr_opt opt, int64_t value);
enum mr_tcp_state hist_state(struct hist *h);

#endif
