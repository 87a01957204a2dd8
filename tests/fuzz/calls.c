// SPDX-License-Identifier: BSD-2-Clause
/*
 * calls.c - fuzz two engines joined by a bad wire: the input says which socket calls are made, which
 * packets are delivered, lost, doubled, overtaken or damaged, and how time passes.
 * Claims      every invariant of both stacks after each step. The streams are byte for byte what was
 *	       written. Once the wire is good again, all that was written arrives, the ends of the
 *	       streams follow, both engines come to have no connection, and no frame is lost. Excused
 *	       are the directions that the input itself has cut: by an abort, by a close before the
 *	       peer's end was read, or by a shutdown of reading.
 */
#include <errno.h>
#include <string.h>
#include "../sim/packet.h"
#include "base/compiler.h"
#include "fuzz.h"
#include "host.h"

#define PORT	   80u
#define CONNS	   3u
#define STEPS_MAX  600u
#define WIRE_MAX   256u /* packets on their way; more are lost */
#define PKT_MAX	   1514u
#define SCRIPT_NS  (20 * MR_NS_PER_S) /* the input's share of the time: too short to give up */
#define HEAL_NS	   (400 * MR_NS_PER_S)
#define SILENCE_NS (400 * MR_NS_PER_S)
#define STILL_MAX  10000u /* rounds without a move of time */

/* What one side has sent, and the other received. */
struct stream {
	uint64_t written, read;
	bool shut;    /* nothing more is written: the end follows */
	bool ended;   /* the reader has seen the end */
	bool excused; /* need not arrive */
};

struct conn {
	struct mr_socket *sock[2]; /* NULL: not accepted yet, or closed */
	struct stream from[2];
	uint16_t port; /* of side 0; 0: not used yet */
	bool accepted;
	bool cut; /* the connection may fail */
};

struct pkt {
	int to;
	uint32_t len;
	uint8_t b[PKT_MAX];
};

struct world;
struct side {
	struct world *w;
	struct fuzz_host host;
	int index;
};

struct world {
	uint64_t now;
	struct side side[2];
	struct mr_socket *listener;
	struct conn conn[CONNS];
	unsigned nconns;
	struct pkt *wire[WIRE_MAX]; /* in the order of sending */
	unsigned nwire;
};

static uint8_t stream_byte(const struct world *w, const struct conn *c, int from, uint64_t pos)
{
	uint64_t salt = (uint64_t)(c - w->conn) * 2 + (uint64_t)from;

	return (uint8_t)(pos * 31 + (pos >> 8) * 7 + (pos >> 16) + salt * 85);
}

/* ---- The wire -------------------------------------------------------------------------------- */

static void side_sent(void *user, const uint8_t *b, uint32_t len)
{
	struct side *s = user;
	struct world *w = s->w;
	struct pkt *p;

	fuzz_trace(&s->host, "sends", b, len);
	FUZZ_CHECK(len <= PKT_MAX, "%u bytes sent", len);
	FUZZ_CHECK(pkt_checksums_ok(b, len), "checksum of a packet sent");
	/* Neighbours are always found: what their loss does is another matter than TCP. */
	if (pkt_is_arp(b, len)) {
		sim_dev_deliver(w->side[!s->index].host.dev, b, len);
		return;
	}
	if (w->nwire == WIRE_MAX)
		return;
	p = malloc(sizeof(*p));
	if (!p)
		abort();
	p->to = !s->index;
	p->len = len;
	memcpy(p->b, b, len);
	w->wire[w->nwire++] = p;
}

static void wire_deliver(const struct world *w, unsigned i)
{
	const struct pkt *p = w->wire[i];

	fuzz_trace(&w->side[p->to].host, "gets", p->b, p->len);
	sim_dev_deliver(w->side[p->to].host.dev, p->b, p->len);
}

static void wire_remove(struct world *w, unsigned i)
{
	free(w->wire[i]);
	w->nwire--;
	memmove(&w->wire[i], &w->wire[i + 1], (w->nwire - i) * sizeof(w->wire[0]));
}

static void wire_flush(struct world *w)
{
	while (w->nwire) {
		wire_deliver(w, 0);
		wire_remove(w, 0);
	}
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void round_both(struct world *w)
{
	fuzz_host_round(&w->side[0].host);
	fuzz_host_round(&w->side[1].host);
}

static void read_all(struct world *w);

/* Time passes; what is on the wire stays there unless it is good. */
static void run(struct world *w, uint64_t ns, bool good)
{
	uint64_t end = w->now + ns, next;
	unsigned still = 0, rounds = 0;

	for (;;) {
		round_both(w);
		if (good) {
			read_all(w);
			wire_flush(w);
		}
		next = mr_min(fuzz_host_next(&w->side[0].host), fuzz_host_next(&w->side[1].host));
		/* While sends wait for frames the engine looks every millisecond. */
		if (++rounds > 2000)
			next = mr_max(next, w->now + 20 * MR_NS_PER_MS);
		if (next > end)
			break;
		still = next > w->now ? 0 : still + 1;
		FUZZ_CHECK(still < STILL_MAX, "time stands still");
		w->now = mr_max(w->now, next);
	}
	w->now = end;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* The connection may fail from here on, and nothing more need arrive. */
static void cut(struct conn *c)
{
	c->cut = true;
	c->from[0].excused = c->from[1].excused = true;
}

static void do_connect(struct world *w)
{
	struct mr_endpoint peer = { w->side[1].host.addr, PORT }, local;
	struct conn *c = &w->conn[w->nconns];
	int err;

	if (w->nconns == CONNS)
		return;
	err = mr_socket(w->side[0].host.engine, &c->sock[0]);
	FUZZ_CHECK(!err, "mr_socket: %d", err);
	/* From the first byte on: what was urgent before would leave the stream. */
	mr_set_option(c->sock[0], MR_OPT_OOBINLINE, 1);
	err = mr_connect(c->sock[0], &peer);
	FUZZ_CHECK(err == -EINPROGRESS, "mr_connect: %d", err);
	err = mr_local(c->sock[0], &local);
	FUZZ_CHECK(!err && local.port, "mr_local: %d", err);
	c->port = local.port;
	w->nconns++;
}

static void do_accept(struct world *w)
{
	struct mr_endpoint peer;
	struct mr_socket *sock;

	if (!w->listener || mr_accept(w->listener, &sock, &peer))
		return;
	for (unsigned i = 0; i < w->nconns; i++) {
		struct conn *c = &w->conn[i];

		if (c->port != peer.port)
			continue;
		/* A late SYN of a connection that is over may begin a half of a new one. */
		if (c->accepted) {
			FUZZ_CHECK(c->cut || c->from[0].ended, "accepted twice");
			break;
		}
		c->accepted = true;
		c->sock[1] = sock;
		return;
	}
	mr_abort(sock);
}

static void do_send(const struct world *w, struct conn *c, int s, uint32_t len, unsigned flags)
{
	struct stream *st = &c->from[s];
	uint8_t buf[8192];
	ssize_t n;

	len = mr_min(len, (uint32_t)sizeof(buf));
	for (uint32_t i = 0; i < len; i++)
		buf[i] = stream_byte(w, c, s, st->written + i);
	n = mr_send(c->sock[s], buf, len, flags);
	if (n > 0) {
		FUZZ_CHECK(n <= (ssize_t)len, "mr_send took %zd of %u", n, len);
		FUZZ_CHECK(!st->shut, "mr_send after the end");
		st->written += (uint64_t)n;
		return;
	}
	FUZZ_CHECK(n == -EAGAIN || n == -ENOTCONN || (n == -EPIPE && st->shut) || c->cut,
		   "mr_send: %zd", n);
}

static void do_reserve(const struct world *w, struct conn *c, int s, uint32_t len)
{
	struct stream *st = &c->from[s];
	struct mr_sendbuf buf;
	int err;

	if (mr_send_reserve(c->sock[s], &buf))
		return;
	len = mr_min(len, buf.room);
	if (len % 5 == 4) {
		mr_send_cancel(c->sock[s], &buf);
		return;
	}
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)buf.data)[i] = stream_byte(w, c, s, st->written + i);
	err = mr_send_commit(c->sock[s], &buf, len, 0);
	FUZZ_CHECK(!err || c->cut, "mr_send_commit: %d", err);
	if (!err)
		st->written += len;
}

static void check_bytes(const struct world *w, const struct conn *c, int from, const uint8_t *p,
			uint64_t n)
{
	const struct stream *st = &c->from[from];

	FUZZ_CHECK(st->read + n <= st->written, "%lu+%lu bytes read, %lu written", st->read, n,
		   st->written);
	for (uint64_t i = 0; i < n; i++)
		FUZZ_CHECK(p[i] == stream_byte(w, c, from, st->read + i), "byte %lu read",
			   st->read + i);
}

/* What a call to receive said, other than bytes. */
static void no_bytes(struct conn *c, int s, ssize_t n)
{
	struct stream *st = &c->from[!s];

	if (n == 0) {
		FUZZ_CHECK((st->shut && st->read == st->written) || st->excused || c->cut,
			   "end after %lu of %lu bytes", st->read, st->written);
		/* Where reading was shut down, more may come all the same. */
		st->ended = !st->excused;
		return;
	}
	FUZZ_CHECK(n == -EAGAIN || n == -ENOTCONN || c->cut, "mr_recv: %zd", n);
}

static ssize_t do_recv(const struct world *w, struct conn *c, int s, uint32_t len, unsigned flags)
{
	uint8_t buf[8192];
	ssize_t n = mr_recv(c->sock[s], buf, mr_min(len, (uint32_t)sizeof(buf)), flags);

	if (n <= 0) {
		no_bytes(c, s, n);
		return n;
	}
	check_bytes(w, c, !s, buf, (uint64_t)n);
	if (!(flags & MR_RECV_PEEK))
		c->from[!s].read += (uint64_t)n;
	return n;
}

static void do_borrow(struct world *w, struct conn *c, int s)
{
	struct mr_slice slices[4];
	int n = mr_recv_borrow(c->sock[s], slices, MR_ARRAY_SIZE(slices));

	if (n <= 0) {
		no_bytes(c, s, n);
		return;
	}
	for (int i = 0; i < n; i++) {
		check_bytes(w, c, !s, slices[i].data, slices[i].len);
		c->from[!s].read += slices[i].len;
	}
	mr_recv_return(w->side[s].host.engine, slices, (unsigned)n);
}

static void do_shutdown(struct conn *c, int s, bool reading)
{
	int err = mr_shutdown(c->sock[s], reading ? MR_SHUT_RD : MR_SHUT_WR);

	if (err)
		return;
	if (reading)
		c->from[!s].excused = true;
	else
		c->from[s].shut = true;
}

static void do_close(struct conn *c, int s, bool abortive)
{
	struct mr_socket *sock = c->sock[s];
	int64_t linger = -1;

	if (!sock)
		return;
	mr_get_option(sock, MR_OPT_LINGER, &linger);
	/* Who closes with bytes still to come resets, now or when they come. */
	if (abortive || !c->from[!s].ended || linger == 0)
		cut(c);
	c->sock[s] = NULL;
	c->from[s].shut = true;
	if (abortive)
		mr_abort(sock);
	else
		mr_close(sock);
}

static void do_option(struct conn *c, int s, uint8_t which, uint8_t value)
{
	static const enum mr_opt opts[] = { MR_OPT_NODELAY,  MR_OPT_CORK,   MR_OPT_QUICKACK,
					    MR_OPT_SNDBUF,   MR_OPT_RCVBUF, MR_OPT_LINGER,
					    MR_OPT_KEEPALIVE };
	enum mr_opt opt = FUZZ_PICK(opts, which);
	int64_t v = value & 1;

	if (opt == MR_OPT_SNDBUF || opt == MR_OPT_RCVBUF)
		v = 2048 + value * 128;
	else if (opt == MR_OPT_LINGER)
		v = -v;
	mr_set_option(c->sock[s], opt, v);
}

static void read_all(struct world *w)
{
	do_accept(w);
	for (unsigned i = 0; i < w->nconns; i++)
		for (int s = 0; s < 2; s++)
			while (w->conn[i].sock[s] && do_recv(w, &w->conn[i], s, 8192, 0) > 0)
				;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void step_call(struct world *w, struct fuzz_in *in, uint8_t op)
{
	static const uint32_t len[] = { 1, 100, 1460, 1000, 4000, 8192, 2, 3000, 536, 10, 2920, 7 };
	uint8_t what = fuzz_u8(in), arg = fuzz_u8(in);
	struct conn *c = &w->conn[(op >> 5) % CONNS];
	int s = op >> 4 & 1;
	uint32_t n = FUZZ_PICK(len, arg & 15);

	if ((what & 15) == 15) {
		do_connect(w);
	} else if ((what & 15) == 14) {
		do_accept(w);
	} else if (c->sock[s]) {
		switch (what & 15) {
		case 0 ... 4:
			do_send(w, c, s, n, arg >> 6);
			break;
		case 5 ... 7:
			do_recv(w, c, s, n, arg >> 7);
			break;
		case 8:
			do_reserve(w, c, s, n);
			break;
		case 9:
			do_borrow(w, c, s);
			break;
		case 10:
			do_shutdown(c, s, arg == 255);
			break;
		case 11:
			if (arg > 200)
				do_close(c, s, arg > 250);
			break;
		default:
			do_option(c, s, what >> 4, arg);
		}
	}
	fuzz_host_check(&w->side[0].host);
	fuzz_host_check(&w->side[1].host);
	if (!(what & 0x80))
		round_both(w);
}

static void step_wire(struct world *w, struct fuzz_in *in, uint8_t op)
{
	unsigned i;
	struct pkt *p;
	uint8_t bit;

	if (!w->nwire)
		return;
	i = op >> 4 == 15 ? fuzz_u8(in) % w->nwire : (unsigned)(op >> 4) % w->nwire;
	p = w->wire[i];
	switch (op & 3) {
	case 0: /* the next, or one that overtakes others */
		wire_deliver(w, i);
		wire_remove(w, i);
		break;
	case 1:
		wire_remove(w, i);
		break;
	case 2: /* it comes once more, later */
		wire_deliver(w, i);
		break;
	default: /* one bit behind the Ethernet header: a checksum sees it */
		bit = fuzz_u8(in);
		p->b[PKT_ETH_HLEN + (uint32_t)(bit >> 3) * 7 % (p->len - PKT_ETH_HLEN)] ^=
			(uint8_t)(1u << (bit & 7));
		wire_deliver(w, i);
		wire_remove(w, i);
	}
	round_both(w);
}

static void step_time(struct world *w, uint8_t op, uint64_t end)
{
	static const uint64_t us[] = { 10,	100,	 1000,	5000,  20000,  41000,
				       200000,	210000,	 50000, 70000, 400000, 500000,
				       1000000, 3000000, 1,	300 };
	uint64_t ns = us[op >> 4] * MR_NS_PER_US, left = end > w->now ? end - w->now : 0;

	run(w, mr_min(ns, left), false);
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void settle(struct world *w)
{
	run(w, HEAL_NS, true);
	for (unsigned i = 0; i < w->nconns; i++) {
		for (int s = 0; s < 2; s++) {
			const struct stream *st = &w->conn[i].from[s];

			FUZZ_CHECK(st->read == st->written || st->excused || w->conn[i].cut,
				   "connection %u from %d: %lu of %lu bytes arrived", i, s,
				   st->read, st->written);
			if (w->conn[i].sock[s])
				do_shutdown(&w->conn[i], s, false);
		}
	}
	run(w, HEAL_NS, true);
	for (unsigned i = 0; i < w->nconns; i++) {
		for (int s = 0; s < 2; s++) {
			const struct stream *st = &w->conn[i].from[s];

			FUZZ_CHECK(st->ended || st->excused || w->conn[i].cut ||
					   !w->conn[i].sock[!s],
				   "connection %u from %d: no end", i, s);
			do_close(&w->conn[i], s, false);
		}
	}
	mr_abort(w->listener);
	w->listener = NULL;
	run(w, SILENCE_NS, true);
	for (int s = 0; s < 2; s++)
		FUZZ_CHECK(!mr_engine_connections(w->side[s].host.engine),
			   "side %d: a connection lives for ever", s);
}

static void open_side(struct world *w, int s, uint8_t how)
{
	const struct fuzz_host_cfg cfg = {
		.prefix = s ? "10.0.0.2/24" : "10.0.0.1/24",
		.mac_end = (uint8_t)(s + 1),
		.nframes = how & 1 ? 96 : 256,
		.sndbuf = how & 2 ? 4096 : 16384,
		.rcvbuf = how & 4 ? 4096 : 16384,
		.ragged = how & 8,
		.pad = true,
		.sent = side_sent,
		.user = &w->side[s],
	};

	w->side[s].w = w;
	w->side[s].index = s;
	fuzz_host_open(&w->side[s].host, &cfg, &w->now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };
	struct world w = { .now = FUZZ_START_NS };
	const struct mr_endpoint local = { .port = PORT };
	uint64_t end = w.now + SCRIPT_NS;
	uint8_t how = fuzz_u8(&in);

	open_side(&w, 0, how & 15);
	open_side(&w, 1, how >> 4);
	FUZZ_CHECK(!mr_socket(w.side[1].host.engine, &w.listener), "mr_socket");
	mr_set_option(w.listener, MR_OPT_OOBINLINE, 1); /* inherited */
	FUZZ_CHECK(!mr_bind(w.listener, &local) && !mr_listen(w.listener, 8), "mr_listen");
	do_connect(&w);
	for (unsigned i = 0; i < STEPS_MAX && fuzz_more(&in); i++) {
		uint8_t op = fuzz_u8(&in);

		switch (op >> 2 & 3) {
		case 0:
			step_wire(&w, &in, op);
			break;
		case 1:
			step_time(&w, op, end);
			break;
		case 2:
			step_call(&w, &in, op);
			break;
		default: /* a while on a good wire */
			for (unsigned n = op & 3; n <= 3; n++) {
				wire_flush(&w);
				round_both(&w);
			}
		}
	}
	settle(&w);
	fuzz_host_close(&w.side[0].host);
	fuzz_host_close(&w.side[1].host);
	wire_flush(&w);
	return 0;
}
