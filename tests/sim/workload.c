// SPDX-License-Identifier: BSD-2-Clause
/*
 * workload.c - applications on the public socket calls, driven by readiness events and own timers only,
 * so that a lost wake-up shows as a connection that never ends.
 * Asserts     every byte of each stream by its position; that a stream ends exactly where its writer
 *             ended it; that an error is seen only after an abort; that a short write means a full
 *             buffer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "workload.h"

#define LISTEN_PORT  80
#define CLOSED_PORT  81
#define BOTH_PORT    4000
#define IO_MAX	     65536u
#define CALLS_MAX    2048u /* reads or writes of a stream, about */
#define LISTENER_TAG UINT64_MAX
#define EVENTS	     32u
/* A peer that lost our RST finds out by itself. */
#define FASTOPEN_PENDING  4 /* fewer than connections may come at once */
#define ABORT_KEEPIDLE_S  2
#define ABORT_KEEPINTVL_S 1

/* ---- The pattern: a byte is a function of connection, direction and position ----------------- */

static uint64_t pattern_word(uint64_t key, uint32_t word)
{
	return sim_mix(key + word * 0x9e3779b97f4a7c15ull);
}

static uint64_t stream_key(const struct wl_side *writer)
{
	return sim_mix((uint64_t)writer->conn->id * 2 + (writer == &writer->conn->side[1]) + 77);
}

static void pattern_fill(const struct wl_side *writer, uint32_t pos, uint8_t *buf, uint32_t len)
{
	const uint64_t key = stream_key(writer);
	uint64_t w = pattern_word(key, pos >> 3);

	for (uint32_t i = 0; i < len; i++, pos++) {
		if (!(pos & 7))
			w = pattern_word(key, pos >> 3);
		buf[i] = (uint8_t)(w >> (pos & 7) * 8);
	}
}

static struct wl_side *other(struct wl_side *s)
{
	return &s->conn->side[s == &s->conn->side[0]];
}

static void check_bytes(struct sim *sim, struct wl_side *s, uint32_t pos, const uint8_t *buf,
			uint32_t len)
{
	struct wl_side *w = other(s);
	uint8_t want[IO_MAX];

	SIM_CHECK(sim, len <= w->tx - pos && pos <= w->tx,
		  "conn %d host %c: %u bytes at %u, but only %u were sent", s->conn->id,
		  s->host->name, len, pos, w->tx);
	pattern_fill(w, pos, want, len);
	if (!memcmp(want, buf, len))
		return;
	for (uint32_t i = 0;; i++)
		SIM_CHECK(sim, want[i] == buf[i], "conn %d host %c: byte %u is 0x%02x, not 0x%02x",
			  s->conn->id, s->host->name, pos + i, buf[i], want[i]);
}

/* ---- Plans ----------------------------------------------------------------------------------- */

static uint32_t plan_total(struct sim_rng *r)
{
	switch (sim_below(r, 40)) {
	case 0:
		return (uint32_t)sim_range(r, 1, 2u << 20);
	case 1 ... 5:
		return (uint32_t)sim_log(r, 256u << 10);
	case 6 ... 10:
		return 0;
	default:
		return (uint32_t)sim_log(r, 32u << 10);
	}
}

static void plan_side(struct sim_rng *r, struct wl_plan *p, bool aborts)
{
	static const uint64_t pauses[] = { 2 * MR_NS_PER_MS, 50 * MR_NS_PER_MS, 3 * MR_NS_PER_S };

	p->tx_total = plan_total(r);
	/* Tiny calls only for streams that are not long. */
	p->write_max = mr_max((uint32_t)sim_log(r, IO_MAX), p->tx_total / CALLS_MAX);
	p->read_max = (uint32_t)sim_log(r, IO_MAX);
	p->pauses_left = (unsigned)sim_below(r, 20);
	p->pause_max_ns = pauses[sim_below(r, MR_ARRAY_SIZE(pauses))];
	if (sim_one_in(r, 2))
		p->pause_write_ppm = (uint32_t)sim_log(r, 500000);
	if (sim_one_in(r, 2))
		p->pause_read_ppm = (uint32_t)sim_log(r, 500000);
	p->end_delay_ns = sim_one_in(r, 3) ? sim_log(r, MR_NS_PER_S) : 0;
	p->end = sim_one_in(r, 3) ? WL_END_EARLY : WL_END_SHUTDOWN;
	if (aborts && sim_one_in(r, 12)) {
		p->abort = (enum wl_abort)sim_range(r, WL_ABORT_CALL, WL_ABORT_CLOSE);
		p->abort_at = sim_one_in(r, 4) ? 0 : (uint32_t)sim_log(r, p->tx_total + 1000);
	}
	p->zc_send = sim_one_in(r, 4);
	p->zc_recv = sim_one_in(r, 4);
	p->nodelay = sim_one_in(r, 3);
	p->fastopen = sim_one_in(r, 3) && p->tx_total;
	p->cork = sim_one_in(r, 8);
	p->more = sim_one_in(r, 8);
	p->vectors = sim_one_in(r, 4);
	if (sim_one_in(r, 2))
		p->sndbuf = 2048 + (uint32_t)sim_log(r, 256u << 10);
	if (sim_one_in(r, 2))
		p->rcvbuf = 2048 + (uint32_t)sim_log(r, 256u << 10);
}

void wl_plan(struct workload *wl, struct sim *sim, bool faults, bool aborts)
{
	struct sim_rng *r = &wl->rng;

	wl->nconns = (unsigned)sim_log(r, WL_CONNS_MAX);
	wl->backlog = faults && sim_one_in(r, 4) ? (int)sim_log(r, 8) : WL_BACKLOG;
	for (int h = 0; h < 2; h++)
		wl->listen_rcvbuf[h] =
			sim_one_in(r, 2) ? 2048 + (uint32_t)sim_log(r, 256u << 10) : 0;
	for (unsigned i = 0; i < wl->nconns; i++) {
		struct wl_conn *c = &wl->conn[i];
		unsigned flip = (unsigned)sim_below(r, 2);
		uint64_t start = sim_one_in(r, 2) ? 0 : sim_log(r, 200 * MR_NS_PER_MS);

		*c = (struct wl_conn){ .id = (int)i, .may_fail = faults };
		c->open = sim_one_in(r, 8)  ? WL_OPEN_BOTH :
			  sim_one_in(r, 16) ? WL_OPEN_REFUSED :
					      WL_OPEN_PASSIVE;
		for (unsigned s = 0; s < 2; s++) {
			struct wl_side *side = &c->side[s];

			side->conn = c;
			side->host = &sim->host[s ^ flip];
			side->active = s == 0 || c->open == WL_OPEN_BOTH;
			side->start_at = start;
			plan_side(r, &side->plan, aborts && c->open == WL_OPEN_PASSIVE);
		}
		for (unsigned s = 0; s < 2; s++)
			c->side[s].plan.read_max = mr_max(c->side[s].plan.read_max,
							  c->side[!s].plan.tx_total / CALLS_MAX);
		if (sim_one_in(r, 4) && !c->side[1].plan.abort)
			c->side[0].plan.end = WL_END_AT_EOF;
		/* A SYN cookie is sent once. When the ACK that brings it back is lost, only what the client
		 * sends next can bring it again. */
		if (wl->backlog < WL_BACKLOG)
			c->side[0].plan.tx_total = mr_max(c->side[0].plan.tx_total, 1u);
	}
}

uint64_t wl_bytes(const struct workload *wl)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < wl->nconns; i++)
		n += wl->conn[i].side[0].plan.tx_total + wl->conn[i].side[1].plan.tx_total;
	return n;
}

/* ---- The life of one side -------------------------------------------------------------------- */

static void side_error(struct sim *sim, struct wl_side *s, const char *call, int err)
{
	struct wl_conn *c = s->conn;
	bool expected = c->aborted && (err == -ECONNRESET || err == -EPIPE || err == -ENOTCONN);

	/* With Fast Open the server may abort before the client has its SYN,ACK. */
	expected |= c->aborted && s->active && s->plan.fastopen && err == -ECONNREFUSED;
	if (c->open == WL_OPEN_REFUSED)
		expected = err == -ECONNREFUSED;
	sim_trace(sim, "%c  conn %d: %s: %s", s->host->name, c->id, call, strerror(-err));
	SIM_CHECK(sim, expected, "conn %d host %c: %s: %s (sent %u received %u, peer sent %u)",
		  c->id, s->host->name, call, strerror(-err), s->tx, s->rx, other(s)->tx);
}

static void return_slices(struct sim *sim, struct wl_side *s)
{
	struct workload *wl = sim->app;

	/* In any order. */
	while (s->nheld) {
		unsigned i = (unsigned)sim_below(&wl->rng, s->nheld);

		mr_recv_return(s->host->engine, &s->held[i], 1);
		s->held[i] = s->held[--s->nheld];
	}
}

static void side_close(struct sim *sim, struct wl_side *s)
{
	sim_trace(sim, "%c  conn %d: close (sent %u received %u)", s->host->name, s->conn->id,
		  s->tx, s->rx);
	s->fin = true;
	mr_close(s->sock);
	s->sock = NULL;
	s->state = WL_DONE;
}

static void side_fail(struct sim *sim, struct wl_side *s, const char *call, int err)
{
	side_error(sim, s, call, err);
	side_close(sim, s);
}

static uint64_t pause_until(struct sim *sim, struct wl_side *s, uint32_t ppm)
{
	struct workload *wl = sim->app;

	if (!s->plan.pauses_left || !sim_ppm(&wl->rng, ppm))
		return 0;
	s->plan.pauses_left--;
	return sim->now + sim_log(&wl->rng, s->plan.pause_max_ns);
}

static void set_options(struct sim *sim, struct wl_side *s)
{
	const struct wl_plan *p = &s->plan;
	int err = 0;

	err = err ?: mr_set_option(s->sock, MR_OPT_NODELAY, p->nodelay);
	err = err ?: mr_set_option(s->sock, MR_OPT_CORK, p->cork);
	/* The SYN may wait for data and take it along; accepted sockets cannot choose any more. */
	if (p->fastopen && s->active && s->conn->open == WL_OPEN_PASSIVE)
		err = err ?: mr_set_option(s->sock, MR_OPT_FASTOPEN_CONNECT, 1);
	if (p->sndbuf)
		err = err ?: mr_set_option(s->sock, MR_OPT_SNDBUF, p->sndbuf);
	if (p->rcvbuf)
		err = err ?: mr_set_option(s->sock, MR_OPT_RCVBUF, p->rcvbuf);
	if (p->pacing)
		err = err ?: mr_set_option(s->sock, MR_OPT_MAX_PACING_RATE, (int64_t)p->pacing);
	if (p->abort || other(s)->plan.abort) {
		err = err ?: mr_set_option(s->sock, MR_OPT_KEEPIDLE, ABORT_KEEPIDLE_S);
		err = err ?: mr_set_option(s->sock, MR_OPT_KEEPINTVL, ABORT_KEEPINTVL_S);
		err = err ?: mr_set_option(s->sock, MR_OPT_KEEPALIVE, 1);
	}
	SIM_CHECK(sim, !err, "conn %d host %c: mr_set_option: %s", s->conn->id, s->host->name,
		  strerror(-err));
}

static void side_connect(struct sim *sim, struct wl_side *s)
{
	struct wl_conn *c = s->conn;
	struct mr_endpoint peer = { .addr = other(s)->host->addr, .port = LISTEN_PORT };
	struct mr_endpoint local = { .port = (uint16_t)(BOTH_PORT + c->id) };
	int err;

	err = mr_socket(s->host->engine, &s->sock);
	SIM_CHECK(sim, !err, "mr_socket: %s", strerror(-err));
	set_options(sim, s);
	if (c->open == WL_OPEN_BOTH) {
		err = mr_bind(s->sock, &local);
		SIM_CHECK(sim, !err, "mr_bind: %s", strerror(-err));
		peer.port = local.port;
	} else if (c->open == WL_OPEN_REFUSED) {
		peer.port = CLOSED_PORT;
	}
	err = mr_connect(s->sock, &peer);
	SIM_CHECK(sim, err == -EINPROGRESS || (!err && s->plan.fastopen), "mr_connect: %s",
		  strerror(-err));
	err = mr_local(s->sock, &local);
	SIM_CHECK(sim, !err && local.port, "mr_local after mr_connect: %s", strerror(-err));
	s->port = local.port;
	s->state = WL_OPENING;
	sim_trace(sim, "%c  conn %d: connect from port %u", s->host->name, c->id, s->port);
}

static void side_abort(struct sim *sim, struct wl_side *s)
{
	enum wl_abort how = s->plan.abort;

	sim_trace(sim, "%c  conn %d: abort %d (sent %u received %u)", s->host->name, s->conn->id,
		  how, s->tx, s->rx);
	s->conn->aborted = true;
	if (how == WL_ABORT_CALL) {
		mr_abort(s->sock);
	} else {
		if (how == WL_ABORT_LINGER)
			mr_set_option(s->sock, MR_OPT_LINGER, 0);
		else
			s->fin = true;
		mr_close(s->sock);
	}
	s->sock = NULL;
	s->state = WL_DONE;
}

/* Bytes that this call shall carry. */
static uint32_t io_size(struct sim_rng *r, uint32_t max)
{
	return sim_one_in(r, 2) ? max : (uint32_t)sim_log(r, max);
}

static ssize_t send_zero_copy(struct sim *sim, struct wl_side *s, uint32_t len)
{
	struct workload *wl = sim->app;
	struct mr_sendbuf sb;
	int err = mr_send_reserve(s->sock, &sb);

	if (err)
		return err;
	SIM_CHECK(sim, sb.room > 0, "mr_send_reserve gave no room");
	if (sim_one_in(&wl->rng, 8)) {
		mr_send_cancel(s->sock, &sb);
		err = mr_send_reserve(s->sock, &sb);
		SIM_CHECK(sim, !err, "mr_send_reserve after cancel: %s", strerror(-err));
	}
	len = mr_min(len, sb.room);
	pattern_fill(s, s->tx, sb.data, len);
	err = mr_send_commit(s->sock, &sb, len, 0);
	return err ? err : (ssize_t)len;
}

static ssize_t send_some(struct sim *sim, struct wl_side *s, uint32_t len)
{
	struct workload *wl = sim->app;
	bool last = s->tx + len == s->plan.tx_total;
	unsigned flags = s->plan.more && !last ? MR_SEND_MORE : 0;
	uint8_t buf[IO_MAX];
	uint32_t cut = (uint32_t)sim_below(&wl->rng, len + 1);
	struct iovec iov[2] = { { buf, cut }, { buf + cut, len - cut } };
	ssize_t n;

	if (s->plan.zc_send && sim_one_in(&wl->rng, 2))
		return send_zero_copy(sim, s, len);
	pattern_fill(s, s->tx, buf, len);
	n = s->plan.vectors ? mr_sendv(s->sock, iov, 2, flags) : mr_send(s->sock, buf, len, flags);
	if (n > 0 && (uint32_t)n < len) {
		/* A short write says: full, and so does the next one. */
		ssize_t again = mr_send(s->sock, buf + n, 1, 0);

		SIM_CHECK(sim, again == -EAGAIN,
			  "conn %d host %c: %zd of %u bytes taken, then mr_send gave %zd",
			  s->conn->id, s->host->name, n, len, again);
	}
	return n;
}

/* Returns true when something was done. */
static bool side_write(struct sim *sim, struct wl_side *s)
{
	struct workload *wl = sim->app;
	uint32_t left = s->plan.tx_total - s->tx;
	ssize_t n;

	if (s->state != WL_OPEN || !s->writable || !left || s->fin || sim->now < s->write_at)
		return false;
	n = send_some(sim, s, mr_min(left, io_size(&wl->rng, s->plan.write_max)));
	s->writable = n != -EAGAIN;
	if (n == -EAGAIN)
		return false;
	if (n < 0) {
		side_fail(sim, s, "send", (int)n);
		return true;
	}
	SIM_CHECK(sim, n > 0 && (uint32_t)n <= left, "mr_send gave %zd of %u", n, left);
	s->tx += (uint32_t)n;
	s->write_at = pause_until(sim, s, s->plan.pause_write_ppm);
	return true;
}

static void side_eof(struct sim *sim, struct wl_side *s)
{
	struct wl_side *w = other(s);
	uint8_t byte;

	SIM_CHECK(sim, w->fin && s->rx == w->tx,
		  "conn %d host %c: end of stream after %u bytes; sent %u, %s", s->conn->id,
		  s->host->name, s->rx, w->tx, w->fin ? "ended" : "not ended");
	s->eof = true;
	sim_trace(sim, "%c  conn %d: end of stream after %u", s->host->name, s->conn->id, s->rx);
	SIM_CHECK(sim, mr_recv(s->sock, &byte, 1, 0) == 0, "the end of a stream did not last");
}

static ssize_t recv_zero_copy(struct sim *sim, struct wl_side *s)
{
	struct workload *wl = sim->app;
	unsigned max = (unsigned)sim_range(&wl->rng, 1, WL_HELD_MAX);
	uint32_t total = 0;
	int n;

	if (s->nheld)
		return_slices(sim, s);
	n = mr_recv_borrow(s->sock, s->held, max);
	if (n <= 0)
		return n;
	SIM_CHECK(sim, (unsigned)n <= max, "mr_recv_borrow gave %d of %u slices", n, max);
	for (int i = 0; i < n; i++) {
		SIM_CHECK(sim, s->held[i].len > 0, "mr_recv_borrow gave an empty slice");
		check_bytes(sim, s, s->rx + total, s->held[i].data, s->held[i].len);
		total += s->held[i].len;
	}
	s->nheld = (unsigned)n;
	s->return_at = 0;
	if (s->plan.pauses_left && sim_one_in(&wl->rng, 2)) {
		s->plan.pauses_left--;
		s->return_at = sim->now + sim_log(&wl->rng, s->plan.pause_max_ns);
	}
	if (!s->return_at)
		return_slices(sim, s);
	return total;
}

static ssize_t recv_some(struct sim *sim, struct wl_side *s, uint32_t len)
{
	struct workload *wl = sim->app;
	uint8_t buf[IO_MAX], peek[64];
	uint32_t cut = (uint32_t)sim_below(&wl->rng, len + 1);
	struct iovec iov[2] = { { buf, cut }, { buf + cut, len - cut } };
	ssize_t n, peeked = 0;

	if (s->plan.zc_recv && sim_one_in(&wl->rng, 2))
		return recv_zero_copy(sim, s);
	if (sim_one_in(&wl->rng, 16))
		peeked = mr_recv(s->sock, peek, mr_min(len, sizeof(peek)), MR_RECV_PEEK);
	if (peeked < 0)
		return peeked; /* an error is told once */
	n = s->plan.vectors ? mr_recvv(s->sock, iov, 2, 0) : mr_recv(s->sock, buf, len, 0);
	SIM_CHECK(sim, peeked <= 0 || (n >= peeked && !memcmp(buf, peek, (size_t)peeked)),
		  "conn %d host %c: peeked %zd bytes, then read %zd others", s->conn->id,
		  s->host->name, peeked, n);
	if (n > 0) {
		SIM_CHECK(sim, (size_t)n <= len, "mr_recv gave %zd of %u", n, len);
		check_bytes(sim, s, s->rx, buf, (uint32_t)n);
	}
	return n;
}

static bool side_read(struct sim *sim, struct wl_side *s)
{
	struct workload *wl = sim->app;
	ssize_t n;

	if (s->state != WL_OPEN || !s->readable || s->eof || sim->now < s->read_at)
		return false;
	n = recv_some(sim, s, io_size(&wl->rng, s->plan.read_max));
	s->readable = n != -EAGAIN;
	if (n == -EAGAIN)
		return false;
	if (n < 0) {
		side_fail(sim, s, "recv", (int)n);
		return true;
	}
	if (n == 0)
		side_eof(sim, s);
	s->rx += (uint32_t)n;
	s->read_at = pause_until(sim, s, s->plan.pause_read_ppm);
	return true;
}

/* Is this side's stream complete, and the plan says to end it now? */
static bool wants_end(const struct wl_side *s)
{
	const struct wl_side *w = &s->conn->side[s == &s->conn->side[0]];

	if (s->tx < s->plan.tx_total)
		return false;
	switch (s->plan.end) {
	case WL_END_SHUTDOWN:
		return s->eof || !s->fin;
	case WL_END_AT_EOF:
		return s->eof;
	case WL_END_EARLY:
		return s->eof || s->rx == w->plan.tx_total;
	}
	return false;
}

static bool side_end(struct sim *sim, struct wl_side *s)
{
	int err;

	if (s->state != WL_OPEN)
		return false;
	if (s->plan.abort && s->tx + s->rx >= s->plan.abort_at) {
		side_abort(sim, s);
		return true;
	}
	if (!wants_end(s))
		return false;
	if (!s->end_set) {
		s->end_set = true;
		s->end_at = sim->now + s->plan.end_delay_ns;
	}
	if (sim->now < s->end_at)
		return false;
	s->end_set = false;
	if (s->plan.end == WL_END_SHUTDOWN && !s->fin) {
		sim_trace(sim, "%c  conn %d: shutdown (sent %u)", s->host->name, s->conn->id,
			  s->tx);
		s->fin = true;
		err = mr_shutdown(s->sock, MR_SHUT_WR);
		if (err)
			side_fail(sim, s, "shutdown", err);
		return true;
	}
	side_close(sim, s);
	return true;
}

/* Everything that is possible now, one call of each kind. */
static bool side_work(struct sim *sim, struct wl_side *s)
{
	bool did = false;

	if (s->nheld && (sim->now >= s->return_at || s->state == WL_DONE)) {
		return_slices(sim, s);
		did = true;
	}
	if (s->state == WL_WAIT && s->active && sim->now >= s->start_at) {
		side_connect(sim, s);
		did = true;
	}
	did |= side_read(sim, s);
	did |= side_write(sim, s);
	did |= side_end(sim, s);
	return did;
}

/* Ask for what the side waits for. Returns true when that is more than before: as with mr_wait(),
 * the next look at the events may tell. */
static bool side_interest(struct wl_side *s, const struct sim *sim)
{
	uint32_t mask = 0, more;

	if (!s->sock)
		return false;
	if (s->state == WL_OPENING)
		mask = MR_OUT;
	if (s->state == WL_OPEN && !s->eof && sim->now >= s->read_at)
		mask |= MR_IN | MR_RDHUP;
	if (s->state == WL_OPEN && !s->fin && s->tx < s->plan.tx_total && sim->now >= s->write_at)
		mask |= MR_OUT;
	more = mask & ~s->interest;
	if (mask != s->interest)
		mr_set_interest(s->sock, mask, (uint64_t)(uintptr_t)s);
	s->interest = mask;
	return more;
}

static void side_event(struct sim *sim, struct wl_side *s, uint32_t ready)
{
	int err;

	if (s->state == WL_OPENING) {
		if (ready & MR_ERR) {
			err = mr_sock_error(s->sock);
			SIM_CHECK(sim, err < 0, "MR_ERR, but mr_sock_error gave %d", err);
			side_fail(sim, s, "connect", err);
			return;
		}
		if (!(ready & MR_OUT))
			return;
		SIM_CHECK(sim, s->conn->open != WL_OPEN_REFUSED, "connected to a closed port");
		sim_trace(sim, "%c  conn %d: connected", s->host->name, s->conn->id);
		s->state = WL_OPEN;
		return;
	}
	s->readable |= ready & (MR_IN | MR_RDHUP | MR_ERR | MR_HUP);
	s->writable |= ready & (MR_OUT | MR_ERR | MR_HUP);
	/* With an error pending, read first what is there; the read then tells the error. A side
	 * that is in a pause, or has read everything, is told here. */
	if (s->state == WL_OPEN && (ready & MR_ERR) && (s->eof || sim->now < s->read_at)) {
		err = mr_sock_error(s->sock);
		if (err)
			side_fail(sim, s, "event", err);
	}
}

/* ---- Listeners ------------------------------------------------------------------------------- */

static struct wl_side *side_of_peer(struct workload *wl, struct sim_host *h, uint16_t port)
{
	for (unsigned i = 0; i < wl->nconns; i++) {
		struct wl_conn *c = &wl->conn[i];

		if (c->open == WL_OPEN_PASSIVE && c->side[1].host == h &&
		    c->side[1].state == WL_WAIT && c->side[0].port == port)
			return &c->side[1];
	}
	return NULL;
}

static void accept_all(struct sim *sim, struct sim_host *h)
{
	struct workload *wl = sim->app;
	struct mr_endpoint peer;
	struct mr_socket *sock;
	struct wl_side *s;
	int err;

	while (!(err = mr_accept(wl->listener[h->index], &sock, &peer))) {
		s = side_of_peer(wl, h, peer.port);
		/* A late ACK may carry a cookie that is good once more (RFC 4987 section 3.6), and so may a late
		 * copy of a SYN with data (RFC 7413 section 2.1). */
		if (!s && (h->engine->st->ctr.c[MR_CTR_TCP_COOKIES_IN] ||
			   h->engine->st->ctr.c[MR_CTR_TCP_TFO_IN])) {
			mr_abort(sock);
			continue;
		}
		SIM_CHECK(sim, s, "host %c accepted a connection from port %u that nobody made",
			  h->name, peer.port);
		s->sock = sock;
		s->state = WL_OPEN;
		sim_trace(sim, "%c  conn %d: accepted", h->name, s->conn->id);
		set_options(sim, s);
	}
	SIM_CHECK(sim, err == -EAGAIN, "mr_accept: %s", strerror(-err));
}

void wl_stop(struct workload *wl, struct sim *sim)
{
	(void)sim;
	for (int i = 0; i < 2; i++) {
		mr_close(wl->listener[i]);
		wl->listener[i] = NULL;
	}
}

/* ---- Hooks ----------------------------------------------------------------------------------- */

static bool wl_run(struct sim *sim, struct sim_host *h)
{
	struct workload *wl = sim->app;
	struct mr_event ev[EVENTS];
	unsigned n = mr_socks_events(&h->engine->st->socks, ev, EVENTS);
	bool did = false;

	for (unsigned i = 0; i < n; i++) {
		if (ev[i].user == LISTENER_TAG)
			accept_all(sim, h);
		else
			side_event(sim, (struct wl_side *)(uintptr_t)ev[i].user, ev[i].ready);
	}
	for (unsigned i = 0; i < wl->nconns; i++)
		for (unsigned k = 0; k < 2; k++)
			if (wl->conn[i].side[k].host == h) {
				struct wl_side *s = &wl->conn[i].side[k];

				did |= side_work(sim, s);
				did |= side_interest(s, sim);
			}
	return did;
}

static void least(uint64_t *t, uint64_t at, uint64_t now)
{
	if (at > now && at < *t)
		*t = at;
}

static uint64_t wl_next(const struct sim *sim, const struct sim_host *h)
{
	const struct workload *wl = sim->app;
	uint64_t t = MR_TIME_NEVER;

	for (unsigned i = 0; i < wl->nconns; i++)
		for (unsigned k = 0; k < 2; k++) {
			const struct wl_side *s = &wl->conn[i].side[k];

			if (s->host != h)
				continue;
			if (s->nheld)
				t = mr_min(t, mr_max(s->return_at, sim->now));
			if (s->state == WL_WAIT && s->active)
				t = mr_min(t, mr_max(s->start_at, sim->now));
			if (s->state != WL_OPEN)
				continue;
			least(&t, s->read_at, sim->now);
			least(&t, s->write_at, sim->now);
			if (s->end_set)
				least(&t, s->end_at, sim->now);
		}
	return t;
}

void wl_start(struct workload *wl, struct sim *sim)
{
	struct mr_endpoint local = { .port = LISTEN_PORT };
	int err;

	sim->app = wl;
	sim->app_run = wl_run;
	sim->app_next = wl_next;
	for (int i = 0; i < 2; i++) {
		err = mr_socket(sim->host[i].engine, &wl->listener[i]);
		if (wl->listen_rcvbuf[i])
			err = err   ?:
				      mr_set_option(wl->listener[i], MR_OPT_RCVBUF,
						    wl->listen_rcvbuf[i]);
		err = err ?: mr_bind(wl->listener[i], &local);
		err = err ?: mr_set_option(wl->listener[i], MR_OPT_FASTOPEN, FASTOPEN_PENDING);
		err = err ?: mr_listen(wl->listener[i], wl->backlog);
		SIM_CHECK(sim, !err, "listener: %s", strerror(-err));
		mr_set_interest(wl->listener[i], MR_IN, LISTENER_TAG);
		sim->host[i].busy = true;
	}
}

/* A passive side that never came into being is done when the side that wanted it is gone. */
static bool side_done(const struct wl_side *s)
{
	const struct wl_conn *c = s->conn;

	if (s->nheld)
		return false;
	if (s->state == WL_WAIT && !s->active)
		return c->side[0].state == WL_DONE && (c->aborted || c->open == WL_OPEN_REFUSED);
	return s->state == WL_DONE;
}

bool wl_done(const struct workload *wl)
{
	for (unsigned i = 0; i < wl->nconns; i++)
		if (!side_done(&wl->conn[i].side[0]) || !side_done(&wl->conn[i].side[1]))
			return false;
	return true;
}

void wl_dump(const struct workload *wl, const struct sim *sim)
{
	static const char *const states[] = { "wait", "opening", "open", "done" };

	(void)sim;
	for (unsigned i = 0; i < wl->nconns; i++)
		for (unsigned k = 0; k < 2; k++) {
			const struct wl_side *s = &wl->conn[i].side[k];
			struct mr_sock_info info = { .state = MR_TCP_CLOSED };

			if (s->sock)
				mr_sock_info(s->sock, &info);
			fprintf(stderr,
				"#   conn %u host %c: %s, sent %u of %u%s, received %u%s, %s, "
				"ready 0x%x,"
				" unacked %u unsent %u cwnd %u snd_wnd %u rcv_wnd %u\n",
				i, s->host->name, states[s->state], s->tx, s->plan.tx_total,
				s->fin ? " ended" : "", s->rx, s->eof ? " to the end" : "",
				mr_tcp_state_name(info.state), s->sock ? mr_ready(s->sock) : 0,
				info.unacked, info.unsent, info.cwnd, info.snd_wnd, info.rcv_wnd);
		}
}
