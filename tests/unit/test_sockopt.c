// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_sockopt.c - what Linux programs ask of TCP beyond sending and receiving: options, readiness,
 * half-closed and disconnected sockets, TCP_INFO (user/socket/), over two engines joined in memory.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/tcp.h>
#include <string.h>
#include "../lib/pair.h"
#include "base/compiler.h"

static struct pair p;
static struct mr_socket *c, *s;
static uint8_t buf[1 << 16];

static void open_pair(const struct pair_cfg *cfg)
{
	pair_open(&p, cfg);
	pair_connect(&p, &c, &s);
}

/* The same, with a listener whose children never offer more. */
static void open_clamped(uint32_t clamp)
{
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(p.engine[1], &p.listener), 0);
	assert_int_equal(mr_set_option(p.listener, MR_OPT_WINDOW_CLAMP, clamp), 0);
	assert_int_equal(mr_bind(p.listener, &p.addr[1]), 0);
	assert_int_equal(mr_listen(p.listener, 1), 0);
	pair_connect(&p, &c, &s);
}

static int64_t option(const struct mr_socket *sock, enum mr_opt opt)
{
	int64_t v = -99;

	assert_int_equal(mr_get_option(sock, opt, &v), 0);
	return v;
}

static void set(struct mr_socket *sock, enum mr_opt opt, int64_t value)
{
	assert_int_equal(mr_set_option(sock, opt, value), 0);
}

static void send_bytes(struct mr_socket *sock, size_t n)
{
	assert_int_equal(mr_send(sock, buf, n, 0), n);
	pair_pump(&p);
}

/* ---- Keys ------------------------------------------------------------------------------------- */

static void rfc7413_4_1_1_a_key_is_16_or_32_bytes_and_told_again(void **state)
{
	static const uint8_t keys[33] = "0123456789abcdefghijklmnopqrstuv";
	uint8_t told[40], engines[16];
	struct mr_socket *l;

	(void)state;
	open_pair(NULL);
	assert_int_equal(mr_socket(p.engine[0], &l), 0);
	assert_int_equal(mr_get_fastopen_key(l, engines, sizeof(engines)), 16);
	for (size_t len = 0; len <= sizeof(keys); len++)
		assert_int_equal(mr_set_fastopen_key(l, keys, len),
				 len == 16 || len == 32 ? 0 : -EINVAL);
	assert_int_equal(mr_get_fastopen_key(l, told, sizeof(told)), 32);
	assert_memory_equal(told, keys, 32);
	assert_int_equal(mr_get_fastopen_key(l, told, 7), 7); /* as Linux: what there is room for */
	assert_int_equal(mr_set_fastopen_key(c, keys, 16), -EINVAL);
	/* A connection has none: the engine's is told. */
	assert_int_equal(mr_get_fastopen_key(c, told, sizeof(told)), 16);
	assert_memory_equal(told, engines, 16);
	assert_int_equal(mr_engine_fastopen_key(p.engine[0], keys, 15), -EINVAL);
	assert_int_equal(mr_engine_fastopen_key(p.engine[0], keys, 32), 0);
	assert_int_equal(mr_get_fastopen_key(c, told, sizeof(told)), 32);
	assert_memory_equal(told, keys, 32);
	mr_close(l);
	pair_close(&p);
}

/* ---- Options that are one number there and another one here ---------------------------------- */

static void a_listener_changes_the_congestion_control_of_what_comes(void **state)
{
	int reno = mr_congestion_index("newreno");

	(void)state;
	open_pair(NULL);
	assert_int_not_equal(option(s, MR_OPT_CONGESTION), reno);
	assert_int_equal(mr_set_option(s, MR_OPT_CONGESTION, reno), -EINVAL);
	set(p.listener, MR_OPT_CONGESTION, reno);
	pair_connect(&p, &c, &s);
	assert_int_equal(option(s, MR_OPT_CONGESTION), reno);
	assert_int_not_equal(option(c, MR_OPT_CONGESTION), reno);
}

static void a_listener_bounds_the_mss_of_what_comes(void **state)
{
	(void)state;
	open_pair(NULL);
	set(p.listener, MR_OPT_MAXSEG, 1000);
	assert_int_equal(mr_set_option(p.listener, MR_OPT_MAXSEG, 87), -EINVAL);
	pair_connect(&p, &c, &s);
	assert_int_equal(s->tcb->adv_mss, 1000);
	assert_int_equal(c->tcb->snd_mss, 1000 - MR_TCP_TS_LEN);
	set(p.listener, MR_OPT_MAXSEG, 0);
	pair_connect(&p, &c, &s);
	assert_int_equal(s->tcb->adv_mss, 1460);
	pair_close(&p);
}

static void zero_or_less_is_the_default(void **state)
{
	struct mr_socket *sock;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(p.engine[0], &sock), 0);
	set(sock, MR_OPT_TTL, 9);
	set(sock, MR_OPT_TTL, -1);
	assert_int_equal(option(sock, MR_OPT_TTL), 64);
	assert_int_equal(mr_set_option(sock, MR_OPT_TTL, 0), -EINVAL);
	set(sock, MR_OPT_TOS, 0x10);
	set(sock, MR_OPT_TOS, -1);
	assert_int_equal(option(sock, MR_OPT_TOS), 0);
	set(sock, MR_OPT_SYNCNT, 3);
	assert_int_equal(option(sock, MR_OPT_SYNCNT), 3);
	set(sock, MR_OPT_SYNCNT, 0);
	assert_int_equal(option(sock, MR_OPT_SYNCNT), 6);
	set(sock, MR_OPT_LINGER2, 0);
	assert_int_equal(option(sock, MR_OPT_LINGER2), 60);
	set(sock, MR_OPT_LINGER2, -1);
	assert_int_equal(option(sock, MR_OPT_LINGER2), -1);
	assert_int_equal(mr_set_option(sock, MR_OPT_LINGER2, 121), -EINVAL);
	assert_int_equal(mr_set_option(sock, MR_OPT_ATMARK, 0), -ENOPROTOOPT);
	assert_int_equal(mr_set_option(sock, MR_OPT_OUTQ_UNSENT, 0), -ENOPROTOOPT);
	pair_close(&p);
}

/* 1, 3, 7, 15, 31, 63, 127 and then 120 more each: the retransmission times of a SYN,ACK. */
static void defer_accept_is_rounded_up_as_in_linux(void **state)
{
	static const int64_t rows[][2] = { { 0, 0 },	 { 1, 1 },     { 2, 3 },
					   { 3, 3 },	 { 4, 7 },     { 30, 31 },
					   { 127, 127 }, { 128, 247 }, { 248, 367 } };
	struct mr_socket *sock;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(p.engine[0], &sock), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		set(sock, MR_OPT_DEFER_ACCEPT, rows[i][0]);
		assert_int_equal(option(sock, MR_OPT_DEFER_ACCEPT), rows[i][1]);
	}
	pair_close(&p);
}

static void reuse_and_v6only_come_before_bind(void **state)
{
	struct mr_endpoint ep = { .port = 99 };
	struct mr_socket *sock;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(p.engine[0], &sock), 0);
	assert_int_equal(mr_bind(sock, &ep), 0);
	assert_int_equal(mr_set_option(sock, MR_OPT_REUSEADDR, 1), -EINVAL);
	assert_int_equal(mr_set_option(sock, MR_OPT_REUSEPORT, 1), -EINVAL);
	assert_int_equal(mr_set_option(sock, MR_OPT_V6ONLY, 1), -EINVAL);
	pair_close(&p);
}

/* ---- Sharing a port -------------------------------------------------------------------------- */

static const struct mr_endpoint any6 = { .port = 99 };
static const struct mr_endpoint any4 = { .addr.b = { [10] = 0xff, [11] = 0xff }, .port = 99 };

static struct mr_socket *with(bool reuseaddr, bool reuseport, bool v6only)
{
	struct mr_socket *sock;

	assert_int_equal(mr_socket(p.engine[1], &sock), 0);
	set(sock, MR_OPT_REUSEADDR, reuseaddr);
	set(sock, MR_OPT_REUSEPORT, reuseport);
	set(sock, MR_OPT_V6ONLY, v6only);
	return sock;
}

/* As inet_csk_bind_conflict(). */
static void rfc6056_3_3_3_a_port_is_shared_by_linuxs_rules(void **state)
{
	static const struct {
		bool addr_a, port_a, listens_a, addr_b, port_b;
		int bind_b, listen_b;
	} rows[] = {
		{ false, false, false, false, false, -EADDRINUSE, 0 },
		{ true, false, false, false, false, -EADDRINUSE, 0 },
		{ true, false, false, true, false, 0, 0 },
		{ true, false, true, true, false, -EADDRINUSE, 0 },
		{ false, true, true, false, false, -EADDRINUSE, 0 },
		{ false, true, true, true, false, -EADDRINUSE, 0 },
		{ false, true, true, false, true, 0, 0 },
		{ true, true, true, true, true, 0, 0 },
	};

	(void)state;
	pair_open(&p, NULL);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_socket *a = with(rows[i].addr_a, rows[i].port_a, false);
		struct mr_socket *b = with(rows[i].addr_b, rows[i].port_b, false);

		assert_int_equal(mr_bind(a, &any6), 0);
		if (rows[i].listens_a)
			assert_int_equal(mr_listen(a, 1), 0);
		assert_int_equal(mr_bind(b, &any6), rows[i].bind_b);
		if (!rows[i].bind_b)
			assert_int_equal(mr_listen(b, 1), rows[i].listen_b);
		/* Who shared it for binding only finds that another one listens by now. */
		if (!rows[i].bind_b && !rows[i].listens_a)
			assert_int_equal(mr_listen(a, 1), -EADDRINUSE);
		mr_close(a);
		mr_close(b);
	}
	pair_close(&p);
}

static void v6only_leaves_ipv4_to_another(void **state)
{
	struct mr_socket *four, *six, *both;

	(void)state;
	pair_open(&p, NULL);
	six = with(false, false, true);
	four = with(false, false, false);
	both = with(false, false, false);
	assert_int_equal(mr_bind(six, &any4), -EINVAL);
	assert_int_equal(mr_bind(six, &any6), 0);
	assert_int_equal(mr_bind(both, &any6), -EADDRINUSE);
	assert_int_equal(mr_bind(four, &any4), 0);
	assert_int_equal(mr_listen(six, 1), 0);
	/* Nobody listens for IPv4 yet. */
	assert_int_equal(mr_socket(p.engine[0], &c), 0);
	assert_int_equal(mr_connect(c, &(struct mr_endpoint){ p.addr[1].addr, 99 }), -EINPROGRESS);
	pair_pump(&p);
	assert_int_equal(mr_sock_error(c), -ECONNREFUSED);
	assert_int_equal(mr_listen(four, 1), 0);
	assert_int_equal(mr_connect(c, &(struct mr_endpoint){ p.addr[1].addr, 99 }), -EINPROGRESS);
	pair_pump(&p);
	assert_int_equal(mr_accept(four, &s, NULL), 0);
	assert_int_equal(mr_accept(six, &s, NULL), -EAGAIN);
	pair_close(&p);
}

static void a_port_in_time_wait_needs_reuseaddr(void **state)
{
	struct mr_socket *again;

	(void)state;
	open_pair(NULL);
	mr_close(s); /* closes first: the TIME-WAIT is at the listener's side */
	pair_pump(&p);
	mr_close(c);
	mr_close(p.listener);
	pair_pump(&p);
	again = with(false, false, false);
	assert_int_equal(mr_bind(again, &p.addr[1]), -EADDRINUSE);
	mr_close(again);
	again = with(true, false, false);
	assert_int_equal(mr_bind(again, &p.addr[1]), 0);
	assert_int_equal(mr_listen(again, 1), 0);
	mr_close(again);
	pair_run(&p, 61 * MR_NS_PER_S);
	again = with(false, false, false);
	assert_int_equal(mr_bind(again, &p.addr[1]), 0);
	pair_close(&p);
}

static void a_connected_socket_holds_the_port_that_it_was_bound_to(void **state)
{
	struct mr_socket *a, *b;

	(void)state;
	open_pair(NULL);
	assert_int_equal(mr_socket(p.engine[0], &a), 0);
	assert_int_equal(mr_socket(p.engine[0], &b), 0);
	assert_int_equal(mr_bind(a, &any6), 0);
	assert_int_equal(mr_connect(a, &p.addr[1]), -EINPROGRESS);
	pair_pump(&p);
	assert_true(mr_ready(a) & MR_OUT);
	assert_int_equal(mr_bind(b, &any6), -EADDRINUSE);
	mr_abort(a);
	assert_int_equal(mr_bind(b, &any6), 0);
	pair_close(&p);
}

/* Each connection belongs to one of the group, from its SYN to its last ACK; all get some. */
static void a_group_of_listeners_shares_the_connections(void **state)
{
	enum { GROUP = 4, N = 200 };
	struct pair_cfg cfg = { .max_sockets = 2 * N };
	struct mr_socket *l[GROUP], *sock;
	unsigned total = 0;

	(void)state;
	pair_open(&p, &cfg);
	for (int i = 0; i < GROUP; i++) {
		l[i] = with(false, true, false);
		assert_int_equal(mr_bind(l[i], &p.addr[1]), 0);
		assert_int_equal(mr_listen(l[i], N), 0);
	}
	for (int i = 0; i < N; i++) {
		assert_int_equal(mr_socket(p.engine[0], &sock), 0);
		assert_int_equal(mr_connect(sock, &p.addr[1]), -EINPROGRESS);
		pair_pump(&p);
		assert_true(mr_ready(sock) & MR_OUT);
	}
	for (int i = 0; i < GROUP; i++) {
		unsigned n = 0;

		while (!mr_accept(l[i], &sock, NULL))
			n++;
		assert_in_range(n, N / GROUP / 2, N / GROUP * 2);
		total += n;
	}
	assert_int_equal(total, N);
	/* Who leaves the group is asked no more. */
	mr_close(l[0]);
	assert_int_equal(mr_socket(p.engine[0], &sock), 0);
	assert_int_equal(mr_connect(sock, &p.addr[1]), -EINPROGRESS);
	pair_pump(&p);
	assert_true(mr_ready(sock) & MR_OUT);
	pair_close(&p);
}

/* ---- How much makes a socket ready ----------------------------------------------------------- */

static void rcvlowat_holds_back_the_event_but_not_the_data(void **state)
{
	struct mr_event ev;

	(void)state;
	open_pair(NULL);
	set(s, MR_OPT_RCVLOWAT, 100);
	send_bytes(c, 99);
	assert_false(mr_ready(s) & MR_IN);
	assert_int_equal(pair_events(&p, 1, &ev, 1), 0);
	send_bytes(c, 1);
	assert_true(mr_ready(s) & MR_IN);
	assert_int_equal(pair_events(&p, 1, &ev, 1), 1);
	assert_int_equal(mr_recv(s, buf, 60, 0), 60);
	assert_false(mr_ready(s) & MR_IN);
	assert_int_equal(mr_recv(s, buf, 60, 0), 40);
	send_bytes(c, 5);
	assert_int_equal(mr_shutdown(c, MR_SHUT_WR), 0);
	pair_pump(&p);
	assert_true(mr_ready(s) & MR_IN); /* no more can come */
	pair_close(&p);
}

static void rcvlowat_is_at_most_half_of_a_fixed_buffer(void **state)
{
	(void)state;
	open_pair(&(struct pair_cfg){ .tuned = true });
	set(s, MR_OPT_RCVBUF, 8000);
	set(s, MR_OPT_RCVLOWAT, 7000);
	assert_int_equal(option(s, MR_OPT_RCVLOWAT), 4000);
	assert_int_equal(option(s, MR_OPT_RCVBUF), 8000);
	/* Where the application did not choose the size, the buffer grows for it. */
	set(c, MR_OPT_RCVLOWAT, 300000);
	assert_int_equal(option(c, MR_OPT_RCVLOWAT), 300000);
	assert_true(option(c, MR_OPT_RCVBUF) >= 600000);
	pair_close(&p);
}

/* A reader that waits for more than the window lets in must be woken, or both wait for ever. */
static void a_closed_window_is_ready_below_rcvlowat(void **state)
{
	(void)state;
	open_clamped(3000);
	set(s, MR_OPT_RCVLOWAT, 30000);
	set(c, MR_OPT_NODELAY, 1);
	assert_int_equal(mr_send(c, buf, 60000, 0), 60000);
	pair_run(&p, 2 * MR_NS_PER_S);
	assert_true(option(s, MR_OPT_INQ) < 60000);
	while (option(c, MR_OPT_OUTQ)) {
		assert_true(mr_ready(s) & MR_IN);
		assert_true(mr_recv(s, buf, sizeof(buf), 0) > 0);
		pair_run(&p, 2 * MR_NS_PER_S);
	}
	pair_close(&p);
}

static void notsent_lowat_bounds_what_is_not_sent(void **state)
{
	struct mr_event ev;

	(void)state;
	open_pair(&(struct pair_cfg){ .rcvbuf = 4096 });
	set(c, MR_OPT_NOTSENT_LOWAT, 10000);
	mr_set_interest(c, MR_OUT, 0);
	p.dev[1]->cut = true;
	assert_true(mr_send(c, buf, sizeof(buf), 0) < 12000);
	assert_int_equal(mr_send(c, buf, 1, 0), -EAGAIN);
	assert_int_equal(option(c, MR_OPT_OUTQ_UNSENT), option(c, MR_OPT_OUTQ));
	assert_false(mr_ready(c) & MR_OUT);
	assert_int_equal(pair_events(&p, 0, &ev, 1), 0);
	/* Sending alone makes room: nothing was acknowledged. */
	mr_engine_output(p.engine[0], p.now);
	assert_true(option(c, MR_OPT_OUTQ_UNSENT) < option(c, MR_OPT_OUTQ));
	p.dev[1]->cut = false;
	for (int i = 0; i < 20 && 2 * option(c, MR_OPT_OUTQ_UNSENT) >= 10000; i++) {
		assert_false(mr_ready(c) & MR_OUT);
		pair_run(&p, MR_NS_PER_S);
		assert_true(mr_recv(s, buf, sizeof(buf), 0) > 0);
	}
	assert_true(mr_ready(c) & MR_OUT);
	assert_int_equal(pair_events(&p, 0, &ev, 1), 1);
	pair_close(&p);
}

static void the_window_stays_below_its_clamp(void **state)
{
	(void)state;
	open_clamped(5000);
	send_bytes(c, 20000);
	pair_run(&p, MR_NS_PER_S);
	assert_in_range(option(s, MR_OPT_INQ), 5000 - 128, 5000); /* in units of the scale */
	pair_close(&p);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void trunc_takes_bytes_without_copying(void **state)
{
	uint8_t got[4];

	(void)state;
	open_pair(NULL);
	for (unsigned i = 0; i < 10; i++)
		buf[i] = (uint8_t)i;
	send_bytes(c, 10);
	assert_int_equal(mr_recv(s, NULL, 6, MR_RECV_TRUNC | MR_RECV_PEEK), 6);
	assert_int_equal(mr_recv(s, NULL, 6, MR_RECV_TRUNC), 6);
	assert_int_equal(mr_recv(s, got, 4, 0), 4);
	assert_int_equal(got[0], 6);
	assert_int_equal(mr_recv(s, NULL, 6, MR_RECV_TRUNC), -EAGAIN);
	pair_close(&p);
}

static void the_mark_is_told_and_pri_until_it_is_read(void **state)
{
	uint8_t byte;

	(void)state;
	open_pair(NULL);
	send_bytes(c, 3);
	assert_int_equal(mr_send(c, "u", 1, MR_SEND_OOB), 1);
	assert_int_equal(mr_send(c, buf, 2, 0), 2);
	pair_pump(&p);
	assert_true(mr_ready(s) & MR_PRI);
	assert_int_equal(option(s, MR_OPT_ATMARK), 0);
	assert_int_equal(option(s, MR_OPT_INQ), 3); /* up to the mark */
	assert_int_equal(mr_recv(s, buf, 10, 0), 3);
	assert_int_equal(option(s, MR_OPT_ATMARK), 1);
	assert_int_equal(mr_recv(s, &byte, 1, MR_RECV_OOB), 1);
	assert_int_equal(byte, 'u');
	assert_false(mr_ready(s) & MR_PRI);
	assert_int_equal(option(s, MR_OPT_ATMARK), 1);
	assert_int_equal(mr_recv(s, buf, 10, 0), 2);
	assert_int_equal(option(s, MR_OPT_ATMARK), 0);
	pair_close(&p);
}

/* ---- The end of a connection ----------------------------------------------------------------- */

static void linger_ends_with_the_acknowledgment_of_the_fin(void **state)
{
	struct mr_event ev;

	(void)state;
	open_pair(NULL);
	set(c, MR_OPT_LINGER, 5);
	assert_int_equal(option(c, MR_OPT_LINGER), 5);
	mr_set_interest(c, MR_DONE, 0);
	p.dev[1]->cut = true;
	assert_int_equal(mr_send(c, buf, 1000, 0), 1000);
	assert_int_equal(mr_linger(c), -EINPROGRESS);
	pair_pump(&p);
	assert_int_equal(pair_events(&p, 0, &ev, 1), 0);
	p.dev[1]->cut = false;
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(pair_events(&p, 0, &ev, 1), 1);
	assert_true(ev.ready & MR_DONE);
	assert_int_equal(mr_linger(c), 0);
	mr_close(c);
	pair_pump(&p);
	assert_int_equal(mr_recv(s, buf, sizeof(buf), 0), 1000);
	assert_int_equal(mr_recv(s, buf, sizeof(buf), 0), 0);
	pair_close(&p);
}

static void linger_does_not_wait_where_close_resets(void **state)
{
	(void)state;
	open_pair(NULL);
	send_bytes(c, 10); /* s will not read it */
	set(s, MR_OPT_LINGER, 5);
	assert_int_equal(mr_linger(s), 0);
	mr_close(s);
	pair_pump(&p);
	assert_int_equal(mr_sock_error(c), -ECONNRESET);
	pair_close(&p);
}

static void linger2_below_zero_leaves_no_fin_wait_2(void **state)
{
	(void)state;
	open_pair(NULL);
	set(c, MR_OPT_LINGER2, -1);
	mr_close(c);
	pair_pump(&p);
	assert_int_equal(mr_engine_connections(p.engine[0]), 0);
	assert_int_equal(mr_sock_error(s), -EPIPE);
	pair_close(&p);
}

static void linger2_is_the_time_in_fin_wait_2(void **state)
{
	(void)state;
	open_pair(NULL);
	set(c, MR_OPT_LINGER2, 5);
	mr_close(c);
	pair_run(&p, 4 * MR_NS_PER_S);
	assert_int_equal(mr_engine_connections(p.engine[0]), 1);
	pair_run(&p, 2 * MR_NS_PER_S);
	assert_int_equal(mr_engine_connections(p.engine[0]), 0);
	pair_close(&p);
}

static void names_stay_as_in_linux_when_a_connection_is_over(void **state)
{
	struct mr_endpoint ep;

	(void)state;
	open_pair(NULL);
	assert_int_equal(mr_peer(c, &ep), 0);
	mr_abort(s);
	pair_pump(&p);
	assert_int_equal(mr_peer(c, &ep), -ENOTCONN);
	assert_int_equal(mr_local(c, &ep), 0);
	assert_memory_equal(&ep.addr, &p.addr[0].addr, sizeof(ep.addr));
	assert_int_not_equal(ep.port, 0);
	pair_close(&p);
}

static void a_half_closed_connection_still_sends(void **state)
{
	(void)state;
	open_pair(NULL);
	assert_int_equal(mr_shutdown(c, MR_SHUT_WR), 0);
	pair_pump(&p);
	assert_int_equal(mr_send(c, buf, 1, 0), -EPIPE);
	assert_int_equal(mr_ready(s), MR_IN | MR_OUT | MR_RDHUP);
	assert_int_equal(mr_ready(c), MR_OUT);
	assert_int_equal(mr_recv(s, buf, 1, 0), 0);
	send_bytes(s, 7);
	assert_int_equal(mr_ready(c), MR_IN | MR_OUT);
	assert_int_equal(mr_recv(c, buf, 10, 0), 7);
	assert_int_equal(mr_shutdown(s, MR_SHUT_WR), 0);
	pair_pump(&p);
	assert_int_equal(mr_ready(c), MR_IN | MR_OUT | MR_RDHUP | MR_HUP);
	assert_int_equal(mr_ready(s), MR_IN | MR_OUT | MR_RDHUP | MR_HUP);
	pair_close(&p);
}

static void a_reset_connection_is_ready_for_everything(void **state)
{
	(void)state;
	open_pair(NULL);
	mr_abort(s);
	pair_pump(&p);
	assert_int_equal(mr_ready(c), MR_IN | MR_OUT | MR_RDHUP | MR_ERR | MR_HUP);
	assert_int_equal(mr_sock_error(c), -ECONNRESET);
	assert_int_equal(mr_sock_error(c), 0);
	assert_int_equal(mr_ready(c), MR_IN | MR_OUT | MR_RDHUP | MR_HUP);
	assert_int_equal(mr_recv(c, buf, 1, 0), 0);
	assert_int_equal(mr_send(c, buf, 1, 0), -EPIPE);
	pair_close(&p);
}

static void a_disconnected_socket_can_be_used_anew(void **state)
{
	struct mr_socket *again;

	(void)state;
	open_pair(NULL);
	set(c, MR_OPT_NODELAY, 1);
	mr_disconnect(c);
	pair_pump(&p);
	assert_int_equal(mr_sock_error(s), -ECONNRESET);
	assert_int_equal(mr_sock_error(c), -ECONNRESET);
	assert_int_equal(mr_ready(c), MR_OUT | MR_HUP);
	assert_int_equal(mr_recv(c, buf, 1, 0), -ENOTCONN);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EINPROGRESS);
	pair_pump(&p);
	assert_int_equal(mr_accept(p.listener, &again, NULL), 0);
	assert_int_equal(option(c, MR_OPT_NODELAY), 1);
	send_bytes(c, 5);
	assert_int_equal(mr_recv(again, buf, 10, 0), 5);
	pair_close(&p);
}

/* How threads wake another one out of accept(). */
static void shutting_down_a_listener_ends_it(void **state)
{
	struct mr_socket *waiting;

	(void)state;
	open_pair(NULL);
	assert_int_equal(mr_socket(p.engine[0], &waiting), 0);
	assert_int_equal(mr_connect(waiting, &p.addr[1]), -EINPROGRESS);
	pair_pump(&p);
	assert_int_equal(mr_shutdown(p.listener, MR_SHUT_WR), 0);
	assert_int_equal(mr_ready(p.listener), MR_IN);
	assert_int_equal(mr_shutdown(p.listener, MR_SHUT_RDWR), 0);
	assert_int_equal(mr_ready(p.listener), MR_OUT | MR_HUP);
	assert_int_equal(mr_accept(p.listener, &s, NULL), -EINVAL);
	pair_pump(&p);
	assert_int_equal(mr_sock_error(waiting), -ECONNRESET);
	assert_int_equal(mr_listen(p.listener, 1), 0); /* on the same port: it was bound */
	assert_int_equal(mr_connect(waiting, &p.addr[1]), -EISCONN);
	mr_disconnect(waiting);
	assert_int_equal(mr_connect(waiting, &p.addr[1]), -EINPROGRESS);
	pair_pump(&p);
	assert_int_equal(mr_accept(p.listener, &s, NULL), 0);
	pair_close(&p);
}

static void shutting_down_while_connecting_disconnects(void **state)
{
	(void)state;
	pair_open(&p, NULL);
	p.dev[1]->cut = true;
	assert_int_equal(mr_socket(p.engine[0], &c), 0);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EINPROGRESS);
	assert_int_equal(mr_shutdown(c, MR_SHUT_WR), 0);
	assert_int_equal(mr_ready(c), MR_OUT | MR_HUP | MR_ERR);
	assert_int_equal(mr_engine_connections(p.engine[0]), 0);
	assert_int_equal(mr_sock_error(c), -ECONNRESET);
	assert_int_equal(mr_shutdown(c, MR_SHUT_WR), -ENOTCONN);
	pair_close(&p);
}

static void nodelay_set_anew_pushes_what_is_corked(void **state)
{
	(void)state;
	open_pair(NULL);
	set(c, MR_OPT_CORK, 1);
	send_bytes(c, 10);
	assert_int_equal(option(s, MR_OPT_INQ), 0);
	set(c, MR_OPT_NODELAY, 1);
	pair_pump(&p);
	assert_int_equal(option(s, MR_OPT_INQ), 10);
	send_bytes(c, 10); /* the cork is still in */
	assert_int_equal(option(s, MR_OPT_INQ), 10);
	set(c, MR_OPT_CORK, 0);
	pair_pump(&p);
	assert_int_equal(option(s, MR_OPT_INQ), 20);
	pair_close(&p);
}

/* ---- TCP_INFO -------------------------------------------------------------------------------- */

static void rfc4898_4_tcp_info_says_what_happened(void **state)
{
	struct tcp_info ti;

	(void)state;
	open_pair(NULL);
	assert_int_equal(mr_tcp_info(p.listener, &ti, sizeof(ti)), sizeof(ti));
	assert_int_equal(ti.tcpi_state, 10); /* TCP_LISTEN */
	send_bytes(c, 10000);
	p.dev[1]->cut = true;
	send_bytes(c, 3000);
	assert_int_equal(mr_tcp_info(c, &ti, sizeof(ti)), sizeof(ti));
	assert_int_equal(ti.tcpi_state, 1); /* TCP_ESTABLISHED */
	assert_int_equal(ti.tcpi_ca_state, TCP_CA_Open);
	assert_int_equal(ti.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE),
			 TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
	assert_int_equal(ti.tcpi_snd_mss, 1448);
	assert_int_equal(ti.tcpi_advmss, 1448);
	assert_int_equal(ti.tcpi_pmtu, 1500);
	assert_int_equal(ti.tcpi_unacked, 3);
	assert_int_equal(ti.tcpi_bytes_acked, 10000);
	assert_int_equal(ti.tcpi_bytes_sent, 13000);
	assert_int_equal(ti.tcpi_notsent_bytes, 0);
	assert_int_equal(ti.tcpi_total_retrans, 0);
	assert_int_equal(ti.tcpi_data_segs_out, 10); /* 6 full ones and a rest; 2 and a rest */
	assert_int_equal(ti.tcpi_data_segs_in, 0);
	assert_true(ti.tcpi_snd_cwnd >= 10);
	assert_int_equal(ti.tcpi_snd_ssthresh, INT32_MAX);
	pair_run(&p, 3 * MR_NS_PER_S);
	assert_int_equal(mr_tcp_info(c, &ti, sizeof(ti)), sizeof(ti));
	assert_int_equal(ti.tcpi_ca_state, TCP_CA_Loss);
	assert_true(ti.tcpi_retransmits >= 2);
	assert_true(ti.tcpi_bytes_retrans > 0);
	assert_true(ti.tcpi_last_ack_recv >= 2900 && ti.tcpi_last_ack_recv <= 3000);
	assert_int_equal(mr_tcp_info(s, &ti, sizeof(ti)), sizeof(ti));
	assert_int_equal(ti.tcpi_bytes_received, 10000);
	assert_int_equal(ti.tcpi_data_segs_in, 7);
	pair_close(&p);
}

/* Programs built with the headers of Linux 6.18 read it all, those of an older kernel its beginning. */
static void rfc4898_4_tcp_info_has_the_fields_of_linux_6_18(void **state)
{
	uint8_t all[MR_TCP_INFO_BYTES];
	uint32_t word;

	(void)state;
	open_pair(NULL);
	assert_int_equal(mr_tcp_info(c, all, sizeof(all)), sizeof(all));
	memcpy(&word, all + 232, sizeof(word)); /* tcpi_rcv_wnd */
	assert_int_equal(word, c->tcb->rcv_wnd);
	pair_close(&p);
}

/* A program built against older or newer headers asks for less or more. */
static void rfc4898_4_tcp_info_is_cut_or_filled_up(void **state)
{
	uint8_t large[MR_TCP_INFO_BYTES + 40];

	(void)state;
	open_pair(NULL);
	memset(large, 0xff, sizeof(large));
	assert_int_equal(mr_tcp_info(c, large, 1), 1);
	assert_int_equal(large[0], 1);
	assert_int_equal(large[1], 0xff);
	assert_int_equal(mr_tcp_info(c, large, sizeof(large)), MR_TCP_INFO_BYTES);
	for (size_t i = MR_TCP_INFO_BYTES; i < sizeof(large); i++)
		assert_int_equal(large[i], 0);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc7413_4_1_1_a_key_is_16_or_32_bytes_and_told_again),
		cmocka_unit_test(zero_or_less_is_the_default),
		cmocka_unit_test(a_listener_changes_the_congestion_control_of_what_comes),
		cmocka_unit_test(a_listener_bounds_the_mss_of_what_comes),
		cmocka_unit_test(defer_accept_is_rounded_up_as_in_linux),
		cmocka_unit_test(reuse_and_v6only_come_before_bind),
		cmocka_unit_test(rfc6056_3_3_3_a_port_is_shared_by_linuxs_rules),
		cmocka_unit_test(v6only_leaves_ipv4_to_another),
		cmocka_unit_test(a_port_in_time_wait_needs_reuseaddr),
		cmocka_unit_test(a_connected_socket_holds_the_port_that_it_was_bound_to),
		cmocka_unit_test(a_group_of_listeners_shares_the_connections),
		cmocka_unit_test(rcvlowat_holds_back_the_event_but_not_the_data),
		cmocka_unit_test(rcvlowat_is_at_most_half_of_a_fixed_buffer),
		cmocka_unit_test(a_closed_window_is_ready_below_rcvlowat),
		cmocka_unit_test(notsent_lowat_bounds_what_is_not_sent),
		cmocka_unit_test(the_window_stays_below_its_clamp),
		cmocka_unit_test(trunc_takes_bytes_without_copying),
		cmocka_unit_test(the_mark_is_told_and_pri_until_it_is_read),
		cmocka_unit_test(linger_ends_with_the_acknowledgment_of_the_fin),
		cmocka_unit_test(linger_does_not_wait_where_close_resets),
		cmocka_unit_test(linger2_below_zero_leaves_no_fin_wait_2),
		cmocka_unit_test(linger2_is_the_time_in_fin_wait_2),
		cmocka_unit_test(names_stay_as_in_linux_when_a_connection_is_over),
		cmocka_unit_test(a_half_closed_connection_still_sends),
		cmocka_unit_test(a_reset_connection_is_ready_for_everything),
		cmocka_unit_test(a_disconnected_socket_can_be_used_anew),
		cmocka_unit_test(shutting_down_a_listener_ends_it),
		cmocka_unit_test(shutting_down_while_connecting_disconnects),
		cmocka_unit_test(nodelay_set_anew_pushes_what_is_corked),
		cmocka_unit_test(rfc4898_4_tcp_info_says_what_happened),
		cmocka_unit_test(rfc4898_4_tcp_info_has_the_fields_of_linux_6_18),
		cmocka_unit_test(rfc4898_4_tcp_info_is_cut_or_filled_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
