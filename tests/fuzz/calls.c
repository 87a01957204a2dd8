// SPDX-License-Identifier: BSD-2-Clause
/*
 * calls.c - fuzz two engines joined by a bad wire.
 * Input       four bytes of set-up (memory, the device, the address family, policies), then steps: which socket
 *	       calls are made, which packets are delivered, lost, doubled, overtaken, marked or damaged, how
 *	       much the path carries, and how time passes.
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
#define STILL_MAX  10000u	     /* rounds without a move of time */
#define DAD_NS	   (2 * MR_NS_PER_S) /* until addresses of IPv6 are usable */
#define MTU	   1500u
#define PROBED_MTU 1100u /* 1024 bytes and headers: what a black hole is got round with first */
#define LISTENERS  2u

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
	bool cut;    /* the connection may fail */
	bool low[2]; /* a side has chosen when it is readable */
};

struct pkt {
	struct pkt *next; /* in spare */
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
	struct mr_socket *listener[LISTENERS]; /* on one port; the second may be NULL */
	bool fastopen, heals;		       /* a black hole is found by whoever sends into it */
	uint32_t mtu;			       /* of the path */
	bool told;			       /* who sends more than that hears of it */
	struct conn conn[CONNS];
	unsigned nconns;
	struct pkt *wire[WIRE_MAX]; /* in the order of sending */
	unsigned nwire;
};

/* Packets are of one size, and many: those that have arrived serve again. */
static struct pkt *spare;

static uint8_t stream_byte(const struct world *w, const struct conn *c, int from, uint64_t pos)
{
	uint64_t salt = (uint64_t)(c - w->conn) * 2 + (uint64_t)from;

	return (uint8_t)(pos * 31 + (pos >> 8) * 7 + (pos >> 16) + salt * 85);
}

/* ---- The wire -------------------------------------------------------------------------------- */

static bool is_tcp(const uint8_t *b, uint32_t len)
{
	bool v6 = pkt_get16(b + 12) == 0x86dd;

	return len > 54 && (v6 || pkt_get16(b + 12) == 0x0800) &&
	       b[PKT_ETH_HLEN + (v6 ? 6 : 9)] == 6;
}

static void side_sent(void *user, const uint8_t *b, uint32_t len)
{
	struct side *s = user;
	struct world *w = s->w;
	struct pkt *p;

	fuzz_trace(&s->host, "sends", b, len);
	FUZZ_CHECK(len <= PKT_MAX, "%u bytes sent", len);
	FUZZ_CHECK(pkt_checksums_ok(b, len), "checksum of a packet sent");
	/* Neighbours are always found: what their loss does is another matter than TCP. */
	if (!is_tcp(b, len)) {
		sim_dev_deliver(w->side[!s->index].host.dev, b, len);
		return;
	}
	if (len > PKT_ETH_HLEN + w->mtu) {
		uint8_t error[PKT_TOO_BIG_LEN];

		if (w->told)
			sim_dev_deliver(s->host.dev, error, pkt_too_big(error, b, w->mtu));
		return;
	}
	if (w->nwire == WIRE_MAX)
		return;
	p = spare;
	if (p)
		spare = p->next;
	else
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
	w->wire[i]->next = spare;
	spare = w->wire[i];
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

/* What only a socket that is new can be told. */
static void set_early(struct mr_socket *sock, uint8_t how)
{
	static const uint16_t mss[] = { 88, 536, 1000, 1280 };

	if (how & 0x80)
		mr_set_option(sock, MR_OPT_MAXSEG, FUZZ_PICK(mss, how));
	if (how & 0x40) /* the window is scaled */
		mr_set_option(sock, MR_OPT_RCVBUF, 1 << 20);
	if (how & 0x20)
		mr_set_option(sock, MR_OPT_CONGESTION, how & 3);
	if (how & 0x10)
		mr_set_option(sock, MR_OPT_ECN, (how & 15) % (MR_ECN_ACCURATE_PASSIVE + 1));
}

/* With Fast Open, where a cookie is there, data goes with the SYN: at once, or with what is sent first. */
static ssize_t begin(const struct world *w, struct conn *c, uint8_t how)
{
	const struct mr_endpoint peer = { w->side[1].host.addr, PORT };
	uint8_t data[1000];

	if (!w->fastopen || !(how & 3))
		return mr_connect(c->sock[0], &peer);
	if (how & 1) {
		mr_set_option(c->sock[0], MR_OPT_FASTOPEN_CONNECT, 1);
		return mr_connect(c->sock[0], &peer) ?: -EINPROGRESS;
	}
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = stream_byte(w, c, 0, i);
	return mr_send_fastopen(c->sock[0], &peer, data, how & 4 ? 7 : sizeof(data), 0);
}

static void do_connect(struct world *w, uint8_t how, uint8_t early)
{
	struct mr_endpoint local;
	struct conn *c = &w->conn[w->nconns];
	ssize_t n;
	int err;

	if (w->nconns == CONNS)
		return;
	err = mr_socket(w->side[0].host.engine, &c->sock[0]);
	FUZZ_CHECK(!err, "mr_socket: %d", err);
	/* From the first byte on: what was urgent before would leave the stream. */
	mr_set_option(c->sock[0], MR_OPT_OOBINLINE, 1);
	set_early(c->sock[0], early);
	n = begin(w, c, how);
	/* -EAGAIN: the frames have run out, the data may come later. */
	FUZZ_CHECK(n == -EINPROGRESS || n == -EAGAIN || n > 0, "connect: %zd", n);
	c->from[0].written = n > 0 ? (uint64_t)n : 0;
	err = mr_local(c->sock[0], &local);
	FUZZ_CHECK(!err && local.port, "mr_local: %d", err);
	c->port = local.port;
	w->nconns++;
}

static void do_accept(struct world *w)
{
	struct mr_endpoint peer;
	struct mr_socket *sock;
	unsigned l = 0;

	while (l < LISTENERS && (!w->listener[l] || mr_accept(w->listener[l], &sock, &peer)))
		l++;
	if (l == LISTENERS)
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

static void do_send(const struct world *w, struct conn *c, int s, uint32_t len, unsigned flags,
		    bool vector)
{
	struct stream *st = &c->from[s];
	uint8_t buf[8192];
	ssize_t n;

	len = mr_min(len, (uint32_t)sizeof(buf));
	for (uint32_t i = 0; i < len; i++)
		buf[i] = stream_byte(w, c, s, st->written + i);
	if (vector)
		n = mr_sendv(c->sock[s],
			     (struct iovec[]){ { buf, len / 3 }, { buf + len / 3, len - len / 3 } },
			     2, flags);
	else
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

static ssize_t do_recv(const struct world *w, struct conn *c, int s, uint32_t len, unsigned flags,
		       bool vector)
{
	uint8_t buf[8192];
	bool ready = mr_ready(c->sock[s]) & MR_IN;
	ssize_t n;

	len = mr_min(len, (uint32_t)sizeof(buf));
	if (vector)
		n = mr_recvv(c->sock[s],
			     (struct iovec[]){ { buf, len / 2 }, { buf + len / 2, len - len / 2 } },
			     2, flags);
	else
		n = mr_recv(c->sock[s], buf, len, flags);
	FUZZ_CHECK(n != -EAGAIN || !ready, "MR_IN, and nothing is there");
	FUZZ_CHECK(n < 0 || ready || c->low[s], "%zd bytes, and no MR_IN", n);
	if (n <= 0) {
		no_bytes(c, s, n);
		return n;
	}
	if (!(flags & MR_RECV_TRUNC))
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

/* Bytes that still come are answered by a reset. */
static void cut_if_both_shut(struct conn *c, int s)
{
	if (c->from[!s].excused && c->from[s].shut && !c->from[!s].ended)
		cut(c);
}

static void do_shutdown(struct conn *c, int s, bool reading)
{
	struct mr_endpoint peer;
	int err = mr_shutdown(c->sock[s], reading ? MR_SHUT_RD : MR_SHUT_WR);

	if (err)
		return;
	if (mr_peer(c->sock[s], &peer)) /* it was not complete, and is no more */
		cut(c);
	if (reading)
		c->from[!s].excused = true;
	else
		c->from[s].shut = true;
	cut_if_both_shut(c, s);
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
	static const struct {
		enum mr_opt opt;
		int64_t base, unit;
		uint8_t mask; /* of the value */
		bool cuts;    /* the connection may end because of it */
	} opts[] = {
		{ MR_OPT_NODELAY, 0, 1, 1, false },
		{ MR_OPT_CORK, 0, 1, 1, false },
		{ MR_OPT_QUICKACK, 0, 1, 1, false },
		{ MR_OPT_SNDBUF, 2048, 128, 255, false },
		{ MR_OPT_RCVBUF, 2048, 128, 255, false },
		{ MR_OPT_LINGER, -1, 1, 1, false },
		{ MR_OPT_KEEPALIVE, 0, 1, 1, false },
		{ MR_OPT_WINDOW_CLAMP, 0, 64, 255, false },
		{ MR_OPT_RCVLOWAT, 1, 100, 255, false },
		{ MR_OPT_NOTSENT_LOWAT, 0, 100, 255, false },
		{ MR_OPT_MAX_PACING_RATE, 20000, 10000, 255, false },
		{ MR_OPT_TOS, -1, 1, 255, false },
		{ MR_OPT_TTL, 1, 1, 63, false },
		{ MR_OPT_LINGER2, -1, 1, 127, false },
		{ MR_OPT_SNDBUF, 1 << 20, 0, 0, false },
		{ MR_OPT_RCVBUF, 1 << 20, 0, 0, false },
		{ MR_OPT_MAX_PACING_RATE, 0, 0, 0, false },
		{ MR_OPT_KEEPIDLE, 1, 1, 15, true },
		{ MR_OPT_KEEPINTVL, 1, 1, 15, true },
		{ MR_OPT_KEEPCNT, 1, 1, 7, true },
		{ MR_OPT_USER_TIMEOUT, 0, 50, 255, true },
	};
	const unsigned i = which % MR_ARRAY_SIZE(opts);

	if (opts[i].cuts)
		cut(c);
	if (opts[i].opt == MR_OPT_RCVLOWAT)
		c->low[s] = true;
	mr_set_option(c->sock[s], opts[i].opt,
		      opts[i].base + (value & opts[i].mask) * opts[i].unit);
}

/* What asks, and what is rare. */
static void do_other(const struct world *w, struct conn *c, int s, uint8_t which, uint8_t arg)
{
	struct mr_event events[4];
	struct mr_sock_info info;
	uint8_t buf[256];

	switch (which) {
	case 0:
		FUZZ_CHECK(!mr_sock_info(c->sock[s], &info), "mr_sock_info");
		break;
	case 1:
		mr_tcp_info(c->sock[s], buf, arg);
		break;
	case 2:
		mr_set_interest(c->sock[s], arg, arg);
		break;
	case 3:
		mr_socks_events(&w->side[s].host.engine->st->socks, events, MR_ARRAY_SIZE(events));
		break;
	case 4:
		mr_linger(c->sock[s]);
		if (!c->sock[s]->shut_wr)
			break;
		c->from[s].shut = true;
		cut_if_both_shut(c, s);
		break;
	case 5:
		if (arg < 250)
			break;
		cut(c);
		c->from[s].shut = true;
		mr_disconnect(c->sock[s]);
		break;
	default:
		if (mr_sock_error(c->sock[s]))
			FUZZ_CHECK(c->cut, "an error");
	}
}

static void read_all(struct world *w)
{
	do_accept(w);
	for (unsigned i = 0; i < w->nconns; i++)
		for (int s = 0; s < 2; s++)
			while (w->conn[i].sock[s] && do_recv(w, &w->conn[i], s, 8192, 0, false) > 0)
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
		do_connect(w, arg, fuzz_u8(in));
	} else if ((what & 15) == 14) {
		do_accept(w);
	} else if (c->sock[s]) {
		switch (what & 15) {
		case 0 ... 4:
			do_send(w, c, s, n, arg >> 6, what & 0x10);
			break;
		case 5 ... 7:
			do_recv(w, c, s, n,
				(arg & 0x80 ? MR_RECV_PEEK : 0) | (what & 0x20 ? MR_RECV_TRUNC : 0),
				what & 0x10);
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
		case 13:
			do_other(w, c, s, what >> 4 & 7, arg);
			break;
		default:
			do_option(c, s, arg, fuzz_u8(in));
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
	bit = op >> 4 == 15 ? fuzz_u8(in) : op >> 4;
	i = (bit & 0x7fu) % w->nwire;
	p = w->wire[i];
	if (bit & 0x80)
		pkt_set_ce(p->b, p->len);
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

/* The path becomes narrow, or wide, and may say so. */
static void step_path(struct world *w, struct fuzz_in *in)
{
	static const uint16_t mtu[] = { 1500, 1280, 1400, 1000, 576, 1492, 1300, 700 };
	uint8_t how = fuzz_u8(in);
	bool v6 = !mr_addr_is_v4(&w->side[0].host.addr);

	w->mtu = mr_max((uint32_t)FUZZ_PICK(mtu, how & 7), v6 ? MR_IPV6_MTU_MIN : 0);
	w->told = how & 8;
}

/* A while on a good wire. */
static void step_rounds(struct world *w, uint8_t op)
{
	for (unsigned n = op & 3; n <= 3; n++) {
		wire_flush(w);
		round_both(w);
	}
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void settle(struct world *w)
{
	bool hole = w->mtu < MTU && !w->told;

	/* Where probing finds out of it, with the first guess. */
	if (hole && (!w->heals || w->mtu < PROBED_MTU))
		w->mtu = MTU;
	/* Where the SYN waits for data. */
	for (unsigned i = 0; i < w->nconns; i++)
		if (w->conn[i].sock[0] && !w->conn[i].from[0].shut && !w->conn[i].from[0].written)
			do_send(w, &w->conn[i], 0, 1, 0, false);
	/* It takes some timeouts, doubled as far as they go. */
	for (unsigned i = 0; i < (hole ? 3 : 1); i++)
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
	for (unsigned i = 0; i < LISTENERS; i++) {
		if (w->listener[i])
			mr_abort(w->listener[i]);
		w->listener[i] = NULL;
	}
	run(w, SILENCE_NS, true);
	for (int s = 0; s < 2; s++)
		FUZZ_CHECK(!mr_engine_connections(w->side[s].host.engine),
			   "side %d: a connection lives for ever", s);
}

/* What both sides have in common, and what each is told. Zeros are the engine's defaults. */
#define SETUP_V6	0x01u
#define SETUP_PROBING	0x06u
#define SETUP_REUSE	0x08u
#define SETUP_FASTOPEN	0x10u
#define SIDE_ECN	0x07u
#define SIDE_CONGESTION 0x18u
#define SIDE_GSO	0x20u

static void open_side(struct world *w, int s, uint8_t setup, uint8_t how, uint8_t policy)
{
	static const char *const prefix[2][2] = { { "10.0.0.1/24", "10.0.0.2/24" },
						  { "2001:db8::1/64", "2001:db8::2/64" } };
	static const enum mr_mtu_probing probing[] = { MR_MTU_PROBING_SUSPECT,
						       MR_MTU_PROBING_ALWAYS, MR_MTU_PROBING_OFF,
						       MR_MTU_PROBING_ALWAYS };
	const struct fuzz_host_cfg cfg = {
		.prefix = prefix[setup & SETUP_V6][s],
		.mtu_probing = probing[(setup & SETUP_PROBING) >> 1],
		.ecn = (enum mr_ecn_policy)((MR_ECN_ACCURATE + (policy & SIDE_ECN)) %
					    (MR_ECN_ACCURATE_PASSIVE + 1)),
		.congestion = mr_congestion_name((policy & SIDE_CONGESTION) >> 3),
		.gso = policy & SIDE_GSO,
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
	w->heals = cfg.mtu_probing != MR_MTU_PROBING_OFF;
	fuzz_host_open(&w->side[s].host, &cfg, &w->now);
}

static void listen_one(struct world *w, unsigned i, uint8_t setup)
{
	const struct mr_endpoint local = { .port = PORT };
	struct mr_socket *sock;

	FUZZ_CHECK(!mr_socket(w->side[1].host.engine, &sock), "mr_socket");
	mr_set_option(sock, MR_OPT_OOBINLINE, 1); /* inherited */
	mr_set_option(sock, MR_OPT_REUSEPORT, !!(setup & SETUP_REUSE));
	if (setup & SETUP_FASTOPEN)
		mr_set_option(sock, MR_OPT_FASTOPEN, 2);
	FUZZ_CHECK(!mr_bind(sock, &local) && !mr_listen(sock, 8), "mr_listen");
	w->listener[i] = sock;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };
	struct world w = { .now = FUZZ_START_NS, .mtu = MTU };
	uint8_t how = fuzz_u8(&in), setup = fuzz_u8(&in);
	uint64_t end;

	w.fastopen = setup & SETUP_FASTOPEN;
	open_side(&w, 0, setup, how & 15, fuzz_u8(&in));
	open_side(&w, 1, setup, how >> 4, fuzz_u8(&in));
	if (setup & SETUP_V6)
		run(&w, DAD_NS, false);
	for (unsigned i = 0; i < (setup & SETUP_REUSE ? LISTENERS : 1); i++)
		listen_one(&w, i, setup);
	end = w.now + SCRIPT_NS;
	do_connect(&w, 0, 0);
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
		default:
			if (op >> 4 < 12)
				step_rounds(&w, op);
			else
				step_path(&w, &in);
		}
	}
	settle(&w);
	fuzz_host_close(&w.side[0].host);
	fuzz_host_close(&w.side[1].host);
	wire_flush(&w);
	return 0;
}
