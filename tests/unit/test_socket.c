// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_socket.c - buffers, accept queues, readiness, options (user/socket/), over two engines that are
 * joined in memory.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include "../lib/pair.h"
#include "base/addr.h"
#include "base/compiler.h"

static struct pair p;
static uint8_t buf[1 << 20];

static void fill(uint64_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = pair_byte(from + i);
}

static void assert_stream(const void *data, size_t n, uint64_t from)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < n; i++)
		if (b[i] != pair_byte(from + i))
			fail_msg("byte %zu of the stream is wrong", (size_t)from + i);
}

/* Write until the buffer is full, `step` bytes at a time. Returns what was taken. */
static uint64_t send_until_full(struct mr_socket *s, uint64_t from, size_t step)
{
	uint64_t sent = 0;
	ssize_t n;

	do {
		fill(from + sent, step);
		n = mr_send(s, buf, step, 0);
		if (n > 0)
			sent += (uint64_t)n;
	} while (n == (ssize_t)step);
	if (n < 0)
		assert_int_equal(n, -EAGAIN);
	return sent;
}

/* Read all that is there. Returns how much; checks the bytes. */
static uint64_t recv_all(struct mr_socket *s, uint64_t from, size_t step)
{
	uint64_t got = 0;
	ssize_t n;

	while ((n = mr_recv(s, buf, step, 0)) > 0) {
		assert_stream(buf, (size_t)n, from + got);
		got += (uint64_t)n;
	}
	return got;
}

static uint32_t nfree(int side)
{
	return p.engine[side]->st->frames.nfree;
}

static enum mr_tcp_state state_of(const struct mr_socket *s)
{
	struct mr_sock_info info;

	assert_int_equal(mr_sock_info(s, &info), 0);
	return info.state;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static void a_full_send_buffer_is_exact(void **state)
{
	struct pair_cfg cfg = { .sndbuf = 10000 };
	struct mr_socket *c, *s;
	int64_t outq;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	fill(0, 10500);
	assert_int_equal(mr_send(c, buf, 9000, 0), 9000);
	assert_int_equal(mr_send(c, buf + 9000, 1500, 0), 1000); /* short write */
	assert_int_equal(mr_send(c, buf, 1, 0), -EAGAIN);
	assert_int_equal(mr_get_option(c, MR_OPT_OUTQ, &outq), 0);
	assert_int_equal(outq, 10000);
	assert_false(mr_ready(c) & MR_OUT);
	pair_run(&p, MR_NS_PER_S);
	assert_true(mr_ready(c) & MR_OUT);
	assert_int_equal(recv_all(s, 0, 777), 10000);
	pair_close(&p);
}

static void writable_again_when_a_third_is_free(void **state)
{
	struct pair_cfg cfg = { .sndbuf = 30000, .rcvbuf = 9000 };
	struct mr_socket *c, *s;
	struct mr_event ev;
	int64_t outq = 30000;
	uint64_t got = 0;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	mr_set_interest(c, MR_OUT, 7);
	assert_int_equal(pair_events(&p, 0, &ev, 1), 1);
	assert_int_equal(ev.ready, MR_OUT);
	assert_int_equal(ev.user, 7);
	assert_int_equal(send_until_full(c, 0, 1000), 30000);
	assert_int_equal(pair_events(&p, 0, &ev, 1), 0);
	while (outq > 0) {
		pair_run(&p, MR_NS_PER_S);
		assert_int_equal(mr_get_option(c, MR_OPT_OUTQ, &outq), 0);
		/* Exactly: from 20000 on there is the event, and not before. */
		assert_int_equal(pair_events(&p, 0, &ev, 1), outq <= 20000);
		got += recv_all(s, got, 500);
	}
	assert_int_equal(got, 30000);
	pair_close(&p);
}

static void single_bytes_do_not_pin_the_umem(void **state)
{
	struct pair_cfg cfg = { .nframes = 2048, .sndbuf = 14480 };
	struct mr_socket *c, *s;
	uint32_t before;
	unsigned sent = 0;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_set_option(c, MR_OPT_NODELAY, 1), 0);
	before = nfree(0);
	p.dev[1]->cut = true;
	for (; sent < 5000; sent++) {
		uint8_t byte = pair_byte(sent);

		if (mr_send(c, &byte, 1, 0) != 1)
			break;
		mr_engine_output(p.engine[0], p.now);
		/* What has to wait for the window is collected in frames: only what went out counts. */
	}
	assert_true(before - nfree(0) <= 2 * (14480 / 1448) + 32);
	p.dev[1]->cut = false;
	pair_run(&p, 10 * MR_NS_PER_S);
	assert_int_equal(recv_all(s, 0, 100), sent);
	pair_close(&p);
}

/* Far more senders than frames for all: no one is left behind, however they wake each other. */
static void forty_senders_on_few_frames_all_finish(void **state)
{
	enum { N = 40, TOTAL = 100000 };
	struct pair_cfg cfg = { .nframes = 256, .max_sockets = 2 * N, .unsafe = true };
	struct mr_socket *c[N], *s[N];
	uint64_t sent[N] = { 0 }, got[N] = { 0 };
	struct mr_event ev[N];
	unsigned done = 0;

	(void)state;
	pair_open(&p, &cfg);
	for (unsigned i = 0; i < N; i++) {
		pair_connect(&p, &c[i], &s[i]);
		mr_set_interest(c[i], MR_OUT, i);
	}
	for (unsigned round = 0; round < 4000 && done < N; round++) {
		unsigned n = pair_events(&p, 0, ev, N);

		for (unsigned k = 0; k < n; k++) {
			uint64_t i = ev[k].user;

			if (sent[i] < TOTAL)
				sent[i] += send_until_full(c[i], sent[i], 4096);
			else
				mr_set_interest(c[i], 0, i);
		}
		pair_run(&p, MR_NS_PER_MS);
		done = 0;
		for (unsigned i = 0; i < N; i++) {
			got[i] += recv_all(s[i], got[i], sizeof(buf));
			done += got[i] >= TOTAL;
		}
	}
	assert_int_equal(done, N);
	pair_close(&p);
}

/* Readers that never read hold their share, and no more: who comes after them is served. */
static void senders_that_are_stuck_leave_room_for_others(void **state)
{
	enum { N = 30 };
	struct pair_cfg cfg = {
		.nframes = 512, .max_sockets = 2 * N, .rcvbuf = 2048, .sndbuf = 1 << 20
	};
	struct mr_socket *c[N], *s[N];

	(void)state;
	pair_open(&p, &cfg);
	for (unsigned i = 0; i < N; i++) {
		pair_connect(&p, &c[i], &s[i]);
		if (i < N - 1)
			send_until_full(c[i], 0, 4096); /* nobody reads s[i] */
		pair_run(&p, MR_NS_PER_MS);
	}
	fill(0, 1000);
	assert_int_equal(mr_send(c[N - 1], buf, 1000, 0), 1000);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(recv_all(s[N - 1], 0, 4096), 1000);
	pair_close(&p);
}

/* Those that are closed by their programs make room soon, whatever their peers do. */
static void orphans_that_are_stuck_give_way_where_frames_are_few(void **state)
{
	enum { N = 10 };
	struct pair_cfg cfg = {
		.nframes = 512, .max_sockets = 2 * N, .rcvbuf = 2048, .sndbuf = 1 << 20
	};
	struct mr_socket *c[N], *s[N];

	(void)state;
	pair_open(&p, &cfg);
	for (unsigned i = 0; i < N; i++) {
		pair_connect(&p, &c[i], &s[i]);
		send_until_full(c[i], 0, 4096); /* nobody reads s[i] */
		pair_run(&p, MR_NS_PER_MS);
		mr_close(c[i]);
	}
	assert_true(nfree(0) < 512 / 2);
	pair_run(&p, 10 * MR_NS_PER_S);
	assert_true(nfree(0) > 512 / 16 * 5);
	pair_close(&p);
}

/* A program that has stopped reading, and writes something first, which the peer waits for: iperf3 -R does. */
static void what_nobody_reads_leaves_a_frame_to_write_with(void **state)
{
	enum { N = 10 };
	struct pair_cfg cfg = {
		.nframes = 512, .max_sockets = 2 * N, .rcvbuf = 1 << 20, .sndbuf = 1 << 20
	};
	struct mr_socket *c[N], *s[N];
	struct mr_frame *held[512];
	uint64_t got = 0;
	unsigned n = 0;

	(void)state;
	pair_open(&p, &cfg);
	for (unsigned i = 0; i < N; i++)
		pair_connect(&p, &c[i], &s[i]);
	for (unsigned turn = 0; turn < 20; turn++) {
		for (unsigned i = 0; i < N - 1; i++)
			send_until_full(s[i], 0, 4096); /* nobody reads c[i] */
		pair_run(&p, MR_NS_PER_S);
	}
	while (nfree(0) >= p.engine[0]->st->socks.tx_reserve / 2)
		held[n++] = mr_frame_get(&p.engine[0]->st->frames);
	fill(0, 5000);
	for (uint64_t sent = 0; sent < 5000; got += recv_all(s[N - 1], got, 4096)) {
		ssize_t len = mr_send(c[N - 1], buf + sent, 5000 - sent, 0);

		assert_true(len > 0);
		sent += (uint64_t)len;
		pair_run(&p, 50 * MR_NS_PER_MS);
	}
	assert_int_equal(got, 5000);
	while (n)
		mr_frame_put(&p.engine[0]->st->frames, held[--n]);
	pair_close(&p);
}

/* A window of less than a segment: each of those that are stuck has a frame cut in two, beyond its share, and
 * keeps both while no ACK comes. */
static void frames_cut_for_a_thousand_small_windows_leave_the_last_ones(void **state)
{
	enum { N = 1000 };
	struct pair_cfg cfg = {
		.mtu = 3000,
		.nframes = 1024,
		.max_sockets = N + 8,
		.rcvbuf = 2048,
		.sndbuf = 1 << 20,
		.unsafe = true,
	};
	static struct mr_socket *c[N], *s[N];
	static uint32_t sent[N], got[N];
	uint32_t least = cfg.nframes;

	(void)state;
	pair_open(&p, &cfg);
	for (unsigned i = 0; i < N; i++)
		pair_connect(&p, &c[i], &s[i]);
	for (unsigned i = 0; i < N; i++) {
		fill(0, 1400);
		assert_int_equal(mr_send(c[i], buf, 1400, 0), 1400); /* what is left is too small */
		pair_pump(&p);
	}
	p.dev[0]->cut = true;
	for (unsigned i = 0; i < N; i++) {
		fill(1400, 1400);
		sent[i] = 1400 + (mr_send(c[i], buf, 1400, 0) == 1400 ? 1400 : 0);
	}
	assert_true(nfree(0) <= cfg.nframes / 4); /* with what writers may have */
	for (unsigned k = 0; k < 100; k++) {	  /* the override of RFC 9293 section 3.8.6.2.1 */
		pair_run(&p, 10 * MR_NS_PER_MS);
		least = mr_min(least, nfree(0));
	}
	assert_int_equal(least, cfg.nframes / 32 - 1);
	p.dev[0]->cut = false;
	for (unsigned k = 0; k < 10; k++) { /* and all of them finish */
		for (unsigned i = 0; i < N; i++)
			got[i] += (uint32_t)recv_all(s[i], got[i], 4096);
		pair_run(&p, MR_NS_PER_S);
	}
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(got[i], sent[i]);
	pair_close(&p);
}

static void sends_leave_frames_for_receiving_and_wake_in_turn(void **state)
{
	struct pair_cfg cfg = { .nframes = 512, .sndbuf = 1 << 20, .rcvbuf = 1 << 20 };
	struct mr_socket *c[3], *s[3];
	struct mr_event ev[3];
	uint64_t sent[3] = { 0 }, got[3] = { 0 }, before = 0;
	uint32_t reserve;

	(void)state;
	pair_open(&p, &cfg);
	for (int i = 0; i < 3; i++) {
		pair_connect(&p, &c[i], &s[i]);
		mr_set_interest(c[i], MR_OUT, (uint64_t)i);
	}
	reserve = p.engine[0]->st->socks.tx_reserve;
	assert_in_range(reserve, 512 / 4, 512 / 2);
	p.dev[1]->cut = true;
	sent[0] = send_until_full(c[0], 0, 4096);
	assert_true(sent[0] > 0 && sent[0] < 1 << 20);
	assert_int_equal(pair_counter(&p, 0, MR_CTR_SOCK_NO_FRAME) > 0, 1);
	/* It has left as much as it took; the others take half of what is there then, and so on. */
	for (int i = 1; i < 3; i++) {
		before = nfree(0) - reserve;
		sent[i] = send_until_full(c[i], 0, 4096);
		assert_in_range(nfree(0) - reserve, before / 2 - 2, before / 2 + 2);
	}
	assert_int_equal(pair_events(&p, 0, ev, 3), 0);
	p.dev[1]->cut = false;
	/* With the wire back everyone gets his turn: no one is left behind. */
	for (int round = 0; round < 400; round++) {
		unsigned n;

		pair_run(&p, 50 * MR_NS_PER_MS);
		for (int i = 0; i < 3; i++)
			got[i] += recv_all(s[i], got[i], sizeof(buf));
		n = pair_events(&p, 0, ev, 3);
		for (unsigned k = 0; k < n; k++) {
			uint64_t i = ev[k].user;

			assert_int_equal(ev[k].ready, MR_OUT);
			if (sent[i] < 2 << 20)
				sent[i] += send_until_full(c[i], sent[i], 4096);
			else
				mr_set_interest(c[i], 0, i);
		}
		if (round == 20)
			for (int i = 1; i < 3; i++)
				assert_true(got[i] > before);
	}
	for (int i = 0; i < 3; i++) {
		assert_true(sent[i] >= 2 << 20);
		assert_int_equal(got[i], sent[i]);
	}
	pair_close(&p);
}

static void an_iovec_is_one_write(void **state)
{
	struct mr_socket *c, *s;
	struct iovec iov[4];

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	fill(0, 3000);
	iov[0] = (struct iovec){ buf, 1 };
	iov[1] = (struct iovec){ NULL, 0 };
	iov[2] = (struct iovec){ buf + 1, 2000 };
	iov[3] = (struct iovec){ buf + 2001, 999 };
	assert_int_equal(mr_sendv(c, iov, 4, 0), 3000);
	pair_run(&p, MR_NS_PER_S);
	iov[0] = (struct iovec){ buf + 5000, 1000 };
	iov[1] = (struct iovec){ buf + 6000, 2500 };
	memset(buf, 0, sizeof(buf));
	assert_int_equal(mr_recvv(s, iov, 2, 0), 3000);
	assert_stream(buf + 5000, 3000, 0);
	pair_close(&p);
}

static void a_frame_is_filled_in_place(void **state)
{
	struct pair_cfg cfg = { .sndbuf = 4000 };
	struct mr_socket *c, *s;
	struct mr_sendbuf sb, other;
	uint64_t sent = 0;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	while (!mr_send_reserve(c, &sb)) {
		uint32_t n = mr_min(sb.room, 1000u);

		assert_int_equal(mr_send_reserve(c, &other), -EINVAL);
		assert_int_equal(mr_send(c, "x", 1, 0), -EINVAL); /* nothing in between */
		fill(sent, n);
		memcpy(sb.data, buf, n);
		assert_int_equal(mr_send_commit(c, &sb, n, 0), 0);
		assert_null(sb.data);
		sent += n;
	}
	assert_int_equal(sent, 4000); /* as exact as copying */
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(recv_all(s, 0, 4096), 4000);

	assert_int_equal(mr_send_reserve(c, &sb), 0);
	mr_send_cancel(c, &sb);
	assert_int_equal(mr_send_reserve(c, &sb), 0);
	assert_int_equal(mr_send_commit(c, &sb, sb.room + 1, 0), -EINVAL);
	assert_int_equal(mr_send_commit(c, &sb, 1, 0), -EINVAL); /* gone */
	assert_int_equal(mr_send_reserve(c, &sb), 0);		 /* and left to close() */
	mr_close(c);
	pair_close(&p);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static void the_window_closes_at_rcvbuf_and_reading_opens_it(void **state)
{
	struct pair_cfg cfg = { .nframes = 1024, .sndbuf = 100000, .rcvbuf = 20000 };
	struct mr_socket *c, *s;
	uint64_t got = 0;
	int64_t inq;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	assert_int_equal(send_until_full(c, 0, 5000), 100000);
	pair_run(&p, 2 * MR_NS_PER_S);
	assert_int_equal(mr_get_option(s, MR_OPT_INQ, &inq), 0);
	assert_in_range(inq, 20000 - 1460, 20000);
	while (got < 100000) {
		uint64_t n = recv_all(s, got, 3000);

		assert_true(n > 0);
		got += n;
		pair_run(&p, 2 * MR_NS_PER_S);
		assert_int_equal(mr_get_option(s, MR_OPT_INQ, &inq), 0);
		assert_true(inq <= 20000);
	}
	pair_close(&p);
}

/* Each ACK tells the window in units of 128 bytes (RFC 7323): were it rounded up, its edge would creep
 * by a little with each of these. */
static void single_bytes_close_the_window_at_rcvbuf_too(void **state)
{
	struct pair_cfg cfg = { .nframes = 1024, .sndbuf = 100000, .rcvbuf = 4096 };
	struct mr_socket *c, *s;
	int64_t inq;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_set_option(c, MR_OPT_NODELAY, 1), 0);
	for (unsigned i = 0; i < 5000; i++) {
		fill(i, 1);
		if (mr_send(c, buf, 1, 0) == 1)
			pair_run(&p, 2 * MR_NS_PER_MS);
	}
	assert_int_equal(mr_get_option(s, MR_OPT_INQ, &inq), 0);
	assert_in_range(inq, 4096 - 256, 4096);
	pair_close(&p);
}

static void small_segments_share_a_frame(void **state)
{
	struct mr_socket *c, *s;
	uint32_t before;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_set_option(c, MR_OPT_NODELAY, 1), 0);
	before = nfree(1);
	for (unsigned i = 0; i < 1000; i++) {
		fill(i * 10, 10);
		assert_int_equal(mr_send(c, buf, 10, 0), 10);
		pair_run(&p, MR_NS_PER_MS);
	}
	assert_in_range(before - nfree(1), 5, 7); /* 10000 bytes in chunks of 2048 */
	assert_in_range(pair_counter(&p, 1, MR_CTR_TCP_COLLAPSED), 990, 1000);
	assert_int_equal(recv_all(s, 0, 4096), 10000);
	assert_int_equal(nfree(1), before);
	pair_close(&p);
}

static void short_frames_shrink_windows_but_an_empty_buffer_keeps_one(void **state)
{
	struct pair_cfg cfg = { .nframes = 512, .sndbuf = 1 << 20, .rcvbuf = 1 << 20 };
	struct mr_frame *held[512];
	struct mr_socket *c, *s;
	unsigned n = 0;
	uint64_t got = 0;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	while (nfree(1) > 40) /* somebody else has nearly all */
		held[n++] = mr_frame_get(&p.engine[1]->st->frames);
	assert_int_equal(mr_send(c, buf, 1, 0), 1);
	fill(0, 1);
	mr_abort(c); /* not this one: begin with what the window is when frames are short */
	mr_close(s);
	pair_run(&p, MR_NS_PER_S);
	pair_connect(&p, &c, &s);
	for (uint64_t sent = 0; got < 200000;) {
		if (sent < 200000) {
			fill(sent, mr_min(200000 - sent, 5000ul));
			sent += (uint64_t)mr_max(mr_send(c, buf, mr_min(200000 - sent, 5000ul), 0),
						 0l);
		}
		pair_run(&p, 500 * MR_NS_PER_MS);
		got += recv_all(s, got, 1000); /* never stuck, however long it takes */
		assert_true(s->tcb->rcv_space >= 4096);
		assert_true(s->tcb->rcv_space < 1 << 18);
	}
	while (n)
		mr_frame_put(&p.engine[1]->st->frames, held[--n]);
	pair_close(&p);
}

/* Too large to be put together while frames are plenty; when they are scarce it is done after all. */
static void a_queue_of_half_empty_frames_collapses_when_frames_are_scarce(void **state)
{
	enum { SIZE = 600, N = 40 };
	struct pair_cfg cfg = { .nframes = 512 };
	struct mr_frame *held[512];
	struct mr_socket *c, *s;
	unsigned n = 0;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_set_option(c, MR_OPT_NODELAY, 1), 0);
	fill(0, (N + 1) * SIZE);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(mr_send(c, buf + i * SIZE, SIZE, 0), SIZE);
		pair_pump(&p);
	}
	assert_int_equal(s->rcvq.frames, N);
	while (nfree(1) > 50)
		held[n++] = mr_frame_get(&p.engine[1]->st->frames);
	assert_int_equal(mr_send(c, buf + N * SIZE, SIZE, 0), SIZE);
	pair_pump(&p);
	assert_true(s->rcvq.frames <= N / 2 + 1);
	assert_int_equal(recv_all(s, 0, 1000), (N + 1) * SIZE);
	while (n)
		mr_frame_put(&p.engine[1]->st->frames, held[--n]);
	pair_close(&p);
}

/* Frames are short: what is left is shared by those who use it. */
static void idle_connections_take_nothing_from_the_windows_of_others(void **state)
{
	enum { IDLE = 50 };
	struct pair_cfg cfg = { .nframes = 512, .max_sockets = 128, .rcvbuf = 1 << 20 };
	struct mr_socket *c, *s, *idle[2];
	struct mr_frame *held[512];
	unsigned n = 0;

	(void)state;
	pair_open(&p, &cfg);
	for (int i = 0; i < IDLE; i++)
		pair_connect(&p, &idle[0], &idle[1]);
	pair_run(&p, MR_NS_PER_S); /* until then they might all begin to send */
	while (nfree(1) > 100)
		held[n++] = mr_frame_get(&p.engine[1]->st->frames);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_send(c, "ab", 2, 0), 2);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(mr_recv(s, buf, 1, 0), 1); /* the space is reckoned anew */
	assert_true(s->tcb->rcv_space > 100 * 512 / 4);
	while (n)
		mr_frame_put(&p.engine[1]->st->frames, held[--n]);
	pair_close(&p);
}

/* A window once announced may come at once, whoever else's does. */
static void what_all_announce_together_finds_frames(void **state)
{
	enum { N = 20, RCVBUF = 1 << 20 };
	struct pair_cfg cfg = { .nframes = 2048, .max_sockets = 2 * N, .rcvbuf = RCVBUF };
	struct mr_socket *c[N], *s[N];
	uint64_t announced = 0;

	(void)state;
	pair_open(&p, &cfg);
	for (unsigned i = 0; i < N; i++)
		pair_connect(&p, &c[i], &s[i]);
	fill(0, 4000);
	for (unsigned turn = 0; turn < 2;
	     turn++) { /* nobody has read when the second is reckoned */
		for (unsigned i = 0; i < N; i++) {
			assert_int_equal(mr_send(c[i], buf + 2000 * turn, 2000, 0), 2000);
			pair_run(&p, MR_NS_PER_MS);
		}
	}
	for (unsigned i = 0; i < N; i++)
		announced += s[i]->tcb->rcv_space;
	assert_true(announced < (uint64_t)nfree(1) * 1448); /* the least that a frame has had */
	assert_true(announced > N * 10000);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(recv_all(s[i], 0, 4000), 4000);
	for (unsigned turn = 0; turn < 2; turn++) { /* a second later one of them is alone */
		pair_run(&p, MR_NS_PER_S);
		fill(4000 + turn, 1);
		assert_int_equal(mr_send(c[0], buf, 1, 0), 1);
		pair_run(&p, MR_NS_PER_MS);
		assert_int_equal(recv_all(s[0], 4000 + turn, 1), 1);
	}
	assert_true(s[0]->tcb->rcv_space > RCVBUF / 2); /* as much stays promised to nobody */
	pair_close(&p);
}

/* 100 peers send all that they may, and nobody reads yet: what does not fit stays with them, and nothing has to be
 * thrown away and wait for their timeouts. Then every one is served, none long after the others. */
static void a_hundred_senders_on_few_frames_lose_nothing(void **state)
{
	enum { N = 100, TOTAL = 100000, MSECS = 1000 };
	struct pair_cfg cfg = { .nframes = 2048, .max_sockets = 2 * N };
	const uint64_t *drop;
	struct mr_socket *c[N], *s[N];
	uint64_t sent[N] = { 0 }, got[N] = { 0 }, retrans = 0;
	unsigned done = 0, first = 0, ms;

	(void)state;
	pair_open(&p, &cfg);
	drop = p.engine[1]->st->ctr.drop;
	for (unsigned i = 0; i < N; i++) {
		pair_connect(&p, &c[i], &s[i]);
		sent[i] = send_until_full(c[i], 0, 4096);
	}
	for (unsigned i = 0; i < 10; i++) {
		pair_run(&p, 10 * MR_NS_PER_MS);
		for (unsigned k = 0; k < N; k++)
			sent[k] += send_until_full(c[k], sent[k], 4096);
	}
	assert_int_equal(drop[MR_DROP_NO_FRAME], 0);
	for (ms = 0; ms < MSECS && done < N; ms++) {
		done = 0;
		for (unsigned i = 0; i < N; i++) {
			got[i] += recv_all(s[i], got[i], sizeof(buf));
			if (sent[i] < TOTAL)
				sent[i] += send_until_full(c[i], sent[i], 4096);
			done += got[i] >= TOTAL;
		}
		first = first ?: done ? ms : 0;
		pair_run(&p, MR_NS_PER_MS);
	}
	assert_int_equal(done, N);
	assert_true(ms < first + MSECS / 2);
	for (unsigned i = 0; i < N; i++)
		retrans += c[i]->tcb->retrans;
	assert_int_equal(retrans, 0);
	assert_int_equal(drop[MR_DROP_NO_FRAME] + drop[MR_DROP_TCP_OOO_FULL], 0);
	pair_close(&p);
}

static uint64_t recv_once(struct mr_socket *s, uint64_t from, size_t most)
{
	ssize_t n = mr_recv(s, buf, most, 0);

	if (n <= 0)
		return 0;
	assert_stream(buf, (size_t)n, from);
	return (uint64_t)n;
}

/* What a connection holds counts as its share: one whose program reads slowly does not take what is left, bit by bit. */
static void a_slow_reader_holds_half_of_the_frames_at_most(void **state)
{
	struct pair_cfg cfg = { .nframes = 2048, .rcvbuf = 8 << 20, .sndbuf = 8 << 20 };
	struct mr_socket *c[2], *s[2];
	uint64_t sent = 0, got = 0, all;

	(void)state;
	pair_open(&p, &cfg);
	all = nfree(1);
	pair_connect(&p, &c[0], &s[0]);
	for (unsigned i = 0; i < 200; i++) {
		sent += send_until_full(c[0], sent, 4096);
		pair_run(&p, 5 * MR_NS_PER_MS);
		got += recv_once(s[0], got, 100);
	}
	assert_true(s[0]->rcvq.frames > all / 8);
	assert_true(s[0]->rcvq.frames <= all / 2);
	pair_connect(&p, &c[1], &s[1]);
	fill(0, 2000);
	assert_int_equal(mr_send(c[1], buf, 2000, 0), 2000);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(recv_all(s[1], 0, 2000), 2000);
	assert_true(s[1]->tcb->rcv_space > all * 1448 / 16);
	pair_close(&p);
}

/* Every fourth of them reads slowly. No window promises what is not there, nobody waits for a timeout, and those who
 * read at once do not wait for the others. */
static void two_hundred_readers_slow_and_fast_share_few_frames(void **state)
{
	enum { N = 200, TOTAL = 60000, SLOW = 150, FAST_MS = 300, SLOW_MS = TOTAL / SLOW + 100 };
	struct pair_cfg cfg = { .nframes = 2048, .max_sockets = 2 * N };
	struct mr_socket *c[N], *s[N];
	uint64_t sent[N] = { 0 }, got[N] = { 0 };
	uint64_t announced;
	unsigned done = 0, fast_done = 0, ms;
	const uint64_t *drop;

	(void)state;
	pair_open(&p, &cfg);
	drop = p.engine[1]->st->ctr.drop;
	for (unsigned i = 0; i < N; i++)
		pair_connect(&p, &c[i], &s[i]);
	for (ms = 0; ms < SLOW_MS && done < N; ms++) {
		done = fast_done = 0;
		announced = 0;
		for (unsigned i = 0; i < N; i++) {
			bool slow = i % 4 == 0;

			if (sent[i] < TOTAL)
				sent[i] += send_until_full(c[i], sent[i], 2048);
			got[i] += slow ? recv_once(s[i], got[i], SLOW) :
					 recv_all(s[i], got[i], sizeof(buf));
			done += got[i] >= TOTAL;
			fast_done += !slow && got[i] >= TOTAL;
		}
		assert_true(ms < FAST_MS || fast_done == N - N / 4);
		pair_run(&p, MR_NS_PER_MS);
		for (unsigned i = 0; i < N; i++) /* idle connections do not count */
			announced += got[i] < TOTAL ? s[i]->tcb->rcv_wnd : 0;
		assert_true(announced <= (uint64_t)nfree(1) * 1448);
	}
	assert_int_equal(done, N);
	assert_int_equal(drop[MR_DROP_NO_FRAME] + drop[MR_DROP_TCP_OOO_FULL], 0);
	pair_close(&p);
}

static void a_peek_leaves_everything(void **state)
{
	struct mr_socket *c, *s;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	fill(0, 100);
	assert_int_equal(mr_send(c, buf, 100, 0), 100);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(mr_recv(s, buf, 60, MR_RECV_PEEK), 60);
	assert_stream(buf, 60, 0);
	assert_int_equal(mr_recv(s, buf, 1000, MR_RECV_PEEK), 100);
	mr_abort(c);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(recv_all(s, 0, 33), 100); /* ends with the error */
	pair_close(&p);
}

static void borrowed_frames_fill_the_buffer_until_returned(void **state)
{
	struct pair_cfg cfg = { .sndbuf = 60000, .rcvbuf = 10000 };
	struct mr_socket *c, *s;
	struct mr_slice sl[32];
	uint64_t got = 0;
	int n, more;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	assert_int_equal(send_until_full(c, 0, 6000), 60000);
	pair_run(&p, MR_NS_PER_S);
	n = mr_recv_borrow(s, sl, 32);
	assert_in_range(n, 1, 8);
	for (int i = 0; i < n; i++) {
		assert_stream(sl[i].data, sl[i].len, got);
		got += sl[i].len;
	}
	assert_int_equal(mr_recv(s, buf, 100, 0), -EAGAIN); /* the stream has moved on */
	pair_run(&p, 20 * MR_NS_PER_S);
	/* The peer's window did not open but for what SWS rounding left. */
	assert_int_equal(mr_recv_borrow(s, sl + n, 1) <= 0 || got + sl[n].len <= 10000, 1);
	more = sl[n].frame ? 1 : 0;
	if (more)
		got += sl[n].len;
	/* In any order, with data and len already used up by the application. */
	for (int i = n + more - 1; i >= 0; i--) {
		sl[i].data = NULL;
		sl[i].len = 0;
		mr_recv_return(p.engine[1], &sl[i], 1);
		assert_null(sl[i].frame);
	}
	mr_recv_return(p.engine[1], sl, (unsigned)n); /* twice is harmless */
	assert_int_equal(s->rcvq.lent, 0);
	while (got < 60000) {
		pair_run(&p, MR_NS_PER_S);
		got += recv_all(s, got, sizeof(buf));
	}
	pair_close(&p);
}

static void borrowed_frames_outlive_their_socket(void **state)
{
	struct mr_socket *c, *s, *c2, *s2;
	struct mr_slice sl[4];
	uint32_t before;
	int n;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	before = nfree(1);
	fill(0, 3000);
	assert_int_equal(mr_send(c, buf, 3000, 0), 3000);
	pair_run(&p, MR_NS_PER_S);
	n = mr_recv_borrow(s, sl, 4);
	assert_in_range(n, 1, 4);
	mr_abort(s);
	pair_run(&p, MR_NS_PER_S);
	pair_connect(&p, &c2, &s2); /* takes the same memory */
	assert_ptr_equal(s2, s);
	assert_stream(sl[0].data, sl[0].len, 0);
	mr_recv_return(p.engine[1], sl, (unsigned)n);
	assert_int_equal(s2->rcvq.lent, 0);
	assert_int_equal(nfree(1), before);
	pair_close(&p);
}

static void urgent_byte_is_out_of_line(void **state)
{
	struct mr_socket *c, *s;
	uint8_t b;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_recv(s, &b, 1, MR_RECV_OOB), -EINVAL); /* there is none */
	assert_int_equal(mr_send(c, "abcU", 4, MR_SEND_OOB), 4);
	assert_int_equal(mr_send(c, "def", 3, 0), 3);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_recv(s, &b, 1, MR_RECV_OOB | MR_RECV_PEEK), 1);
	assert_int_equal(b, 'U');
	assert_int_equal(mr_recv(s, &b, 1, MR_RECV_OOB), 1);
	assert_int_equal(b, 'U');
	assert_int_equal(mr_recv(s, &b, 1, MR_RECV_OOB), -EINVAL); /* once */
	assert_int_equal(mr_recv(s, buf, 100, 0), 3);		   /* stops at the mark */
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(mr_recv(s, buf, 100, MR_RECV_PEEK), 3); /* and steps over it */
	assert_int_equal(mr_recv(s, buf, 100, 0), 3);
	assert_memory_equal(buf, "def", 3);
	assert_int_equal(mr_recv(s, buf, 100, 0), -EAGAIN);
	pair_close(&p);
}

static void urgent_byte_alone_is_nothing_to_read(void **state)
{
	struct mr_socket *c, *s;
	uint8_t b;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_send(c, "U", 1, MR_SEND_OOB), 1);
	pair_run(&p, MR_NS_PER_S);
	assert_false(mr_ready(s) & MR_IN);
	assert_int_equal(mr_recv(s, &b, 1, 0), -EAGAIN);
	assert_int_equal(mr_recv(s, &b, 1, MR_RECV_OOB), 1);
	assert_int_equal(b, 'U');
	assert_int_equal(mr_shutdown(c, MR_SHUT_WR), 0);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_recv(s, &b, 1, 0), 0);
	mr_close(s); /* nothing unread: FIN, no RST */
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_sock_error(c), 0);
	pair_close(&p);
}

static void urgent_byte_in_line_stays_in_the_stream(void **state)
{
	struct mr_socket *c, *s;
	uint8_t b;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_set_option(s, MR_OPT_OOBINLINE, 1), 0);
	assert_int_equal(mr_send(c, "abcU", 4, MR_SEND_OOB), 4);
	assert_int_equal(mr_send(c, "def", 3, 0), 3);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_recv(s, &b, 1, MR_RECV_OOB), -EINVAL);
	assert_int_equal(mr_recv(s, buf, 100, 0), 3);
	assert_int_equal(mr_recv(s, buf, 100, 0), 4);
	assert_memory_equal(buf, "Udef", 4);
	pair_close(&p);
}

static void borrowing_stops_at_the_mark_too(void **state)
{
	struct mr_socket *c, *s;
	struct mr_slice sl[2];
	uint32_t before;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	before = nfree(1);
	assert_int_equal(mr_send(c, "abcU", 4, MR_SEND_OOB), 4);
	assert_int_equal(mr_send(c, "def", 3, 0), 3);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_recv_borrow(s, &sl[0], 1), 1);
	assert_int_equal(sl[0].len, 3);
	/* Two slices of one frame: nothing is copied behind it while it is lent. */
	assert_int_equal(mr_send(c, "ghi", 3, 0), 3);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_recv_borrow(s, &sl[1], 1), 1);
	assert_memory_equal(sl[0].data, "abc", 3);
	assert_int_equal(sl[1].len, 3);
	assert_memory_equal(sl[1].data, "def", 3);
	mr_recv_return(p.engine[1], sl, 2);
	assert_int_equal(s->rcvq.lent, 0);
	assert_int_equal(s->rcvq.lent_frames, 0);
	assert_int_equal(mr_recv(s, buf, 10, 0), 3);
	assert_memory_equal(buf, "ghi", 3);
	assert_int_equal(nfree(1), before);
	pair_close(&p);
}

/* ---- Listening ------------------------------------------------------------------------------- */

static void a_backlog_of_n_lets_n_plus_one_wait(void **state)
{
	struct mr_socket *c[4], *s;
	struct mr_endpoint peer;
	struct mr_event ev;
	unsigned n = 0;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(p.engine[1], &p.listener), 0);
	assert_int_equal(mr_bind(p.listener, &p.addr[1]), 0);
	assert_int_equal(mr_listen(p.listener, 2), 0);
	assert_int_equal(mr_accept(p.listener, &s, NULL), -EAGAIN);
	assert_int_equal(pair_events(&p, 1, &ev, 1), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(mr_socket(p.engine[0], &c[i]), 0);
		assert_int_equal(mr_connect(c[i], &p.addr[1]), -EINPROGRESS);
		pair_run(&p, MR_NS_PER_MS);
	}
	assert_int_equal(mr_engine_connections(p.engine[1]), 3);
	assert_int_equal(pair_events(&p, 1, &ev, 1), 1);
	assert_ptr_equal(ev.sock, p.listener);
	assert_int_equal(ev.ready, MR_IN);
	for (; !mr_accept(p.listener, &s, &peer); n++) {
		struct mr_endpoint local;

		assert_int_equal(mr_local(c[n], &local), 0); /* in the order of their coming */
		assert_int_equal(peer.port, local.port);
		assert_true(mr_addr_eq(&peer.addr, &p.addr[0].addr));
	}
	assert_int_equal(n, 3);
	assert_int_equal(pair_events(&p, 1, &ev, 1), 0);
	pair_run(&p, 5 * MR_NS_PER_S); /* the fourth asks again, and finds room */
	assert_int_equal(mr_accept(p.listener, &s, NULL), 0);
	assert_true(mr_ready(c[3]) & MR_OUT);
	pair_close(&p);
}

static void listener_has_the_backlog_that_linux_would_make_of_the_argument(void **state)
{
	static const struct {
		int asked;
		uint32_t backlog;
	} rows[] = { { -1, 65535 },    { 0, 0 },	  { 1, 1 },
		     { 65535, 65535 }, { 100000, 65535 }, { INT_MIN, 65535 } };
	struct tcp_info ti;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(p.engine[1], &p.listener), 0);
	assert_int_equal(mr_bind(p.listener, &p.addr[1]), 0);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(mr_listen(p.listener, rows[i].asked), 0);
		mr_tcp_info(p.listener, &ti, sizeof(ti));
		assert_int_equal(ti.tcpi_sacked, rows[i].backlog);
	}
	pair_close(&p);
}

static void listener_with_a_backlog_of_0_accepts_one_connection_at_a_time(void **state)
{
	struct mr_socket *c[2], *s;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(p.engine[1], &p.listener), 0);
	assert_int_equal(mr_bind(p.listener, &p.addr[1]), 0);
	assert_int_equal(mr_listen(p.listener, 0), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mr_socket(p.engine[0], &c[i]), 0);
		assert_int_equal(mr_connect(c[i], &p.addr[1]), -EINPROGRESS);
		pair_run(&p, MR_NS_PER_MS);
	}
	assert_int_equal(mr_accept(p.listener, &s, NULL), 0);
	assert_int_equal(mr_accept(p.listener, &s, NULL), -EAGAIN);
	pair_run(&p, 5 * MR_NS_PER_S);
	assert_int_equal(mr_accept(p.listener, &s, NULL), 0);
	pair_close(&p);
}

static void who_waits_to_be_accepted_is_no_event_of_its_own(void **state)
{
	struct mr_socket *c, *s;
	struct mr_event ev[2];

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s); /* makes the listener */
	mr_close(s);
	assert_int_equal(mr_socket(p.engine[0], &c), 0);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EINPROGRESS);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(mr_send(c, "early", 5, 0), 5);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(pair_events(&p, 1, ev, 2), 1);
	assert_ptr_equal(ev[0].sock, p.listener);
	assert_int_equal(mr_accept(p.listener, &s, NULL), 0);
	assert_int_equal(pair_events(&p, 1, ev, 2), 1); /* what came before is told now */
	assert_ptr_equal(ev[0].sock, s);
	assert_int_equal(ev[0].ready, MR_IN);
	pair_close(&p);
}

static void closing_a_listener_resets_who_waits(void **state)
{
	struct mr_socket *c, *s;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_socket(p.engine[0], &c), 0);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EINPROGRESS);
	pair_run(&p, MR_NS_PER_MS);
	mr_close(p.listener);
	p.listener = NULL;
	pair_run(&p, MR_NS_PER_MS);
	assert_true(mr_ready(c) & MR_ERR);
	assert_int_equal(mr_sock_error(c), -ECONNRESET);
	assert_int_equal(mr_sock_error(c), 0);
	assert_int_equal(mr_send(s, "x", 1, 0), 1); /* accepted ones live on */
	pair_close(&p);
}

static void a_listener_gives_its_options_to_its_children(void **state)
{
	struct mr_socket *c, *s;
	int64_t v;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(p.engine[1], &p.listener), 0);
	assert_int_equal(mr_set_option(p.listener, MR_OPT_NODELAY, 1), 0);
	assert_int_equal(mr_set_option(p.listener, MR_OPT_LINGER, 0), 0);
	assert_int_equal(mr_bind(p.listener, &p.addr[1]), 0);
	assert_int_equal(mr_listen(p.listener, 1), 0);
	assert_int_equal(mr_set_option(p.listener, MR_OPT_RCVBUF, 12345), 0); /* also later */
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_get_option(s, MR_OPT_NODELAY, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(mr_get_option(s, MR_OPT_RCVBUF, &v), 0);
	assert_int_equal(v, 12345);
	assert_int_equal(s->tcb->opts.rcvbuf, 12345);
	mr_close(s);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(mr_sock_error(c), -ECONNRESET); /* linger 0 */
	pair_close(&p);
}

static void a_port_is_bound_once(void **state)
{
	struct mr_endpoint any = { .port = 90 }, one = p.addr[1], other = { .port = 90 };
	struct mr_socket *a, *b;

	(void)state;
	pair_open(&p, NULL);
	one = (struct mr_endpoint){ p.addr[1].addr, 90 };
	assert_int_equal(mr_addr_parse("10.0.0.77", &other.addr), 0);
	assert_int_equal(mr_socket(p.engine[1], &a), 0);
	assert_int_equal(mr_socket(p.engine[1], &b), 0);
	assert_int_equal(mr_bind(a, &other), -EADDRNOTAVAIL);
	assert_int_equal(mr_bind(a, &any), 0);
	assert_int_equal(mr_bind(a, &any), -EINVAL);
	assert_int_equal(mr_bind(b, &one), -EADDRINUSE); /* bound is enough */
	assert_int_equal(mr_listen(a, 1), 0);
	assert_int_equal(mr_bind(b, &one), -EADDRINUSE);
	assert_int_equal(mr_listen(b, 1), 0); /* a port is chosen */
	assert_int_equal(mr_local(b, &one), 0);
	assert_in_range(one.port, 32768, 60999);
	mr_close(a);
	assert_int_equal(mr_socket(p.engine[1], &a), 0);
	assert_int_equal(mr_bind(a, &any), 0);
	pair_close(&p);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void connect_refused_can_be_tried_again(void **state)
{
	struct mr_socket *c, *s;
	struct mr_event ev;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(p.engine[0], &c), 0);
	assert_int_equal(mr_recv(c, buf, 1, 0), -ENOTCONN);
	assert_int_equal(mr_send(c, buf, 1, 0), -ENOTCONN);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EINPROGRESS);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EALREADY);
	assert_int_equal(mr_recv(c, buf, 1, 0), -EAGAIN);
	assert_int_equal(mr_send(c, buf, 1, 0), -EAGAIN);
	assert_int_equal(mr_ready(c), 0);
	pair_run(&p, MR_NS_PER_MS);
	mr_set_interest(c, 0, 1); /* errors are told all the same */
	assert_int_equal(pair_events(&p, 0, &ev, 1), 1);
	assert_true(ev.ready & MR_ERR && ev.ready & MR_HUP);
	assert_int_equal(mr_sock_error(c), -ECONNREFUSED);
	assert_int_equal(state_of(c), MR_TCP_CLOSED);

	assert_int_equal(mr_socket(p.engine[1], &p.listener), 0);
	assert_int_equal(mr_bind(p.listener, &p.addr[1]), 0);
	assert_int_equal(mr_listen(p.listener, 1), 0);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EINPROGRESS);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(mr_accept(p.listener, &s, NULL), 0);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EISCONN);
	pair_close(&p);
}

static void connect_to_nobody_says_so(void **state)
{
	struct mr_endpoint silent = { .port = 80 }, away = { .port = 80 };
	struct mr_socket *c;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_addr_parse("10.0.0.77", &silent.addr), 0);
	assert_int_equal(mr_addr_parse("192.0.2.1", &away.addr), 0);
	assert_int_equal(mr_socket(p.engine[0], &c), 0);
	assert_int_equal(mr_connect(c, &away), -ENETUNREACH);
	assert_int_equal(mr_connect(c, &p.addr[0]), -ENETUNREACH); /* ourselves */
	assert_int_equal(mr_connect(c, &(struct mr_endpoint){ p.addr[1].addr, 0 }), -EINVAL);
	assert_int_equal(mr_connect(c, &silent), -EINPROGRESS);
	pair_run(&p, 5 * MR_NS_PER_S); /* three ARP requests, a second apart */
	assert_true(mr_ready(c) & MR_ERR);
	assert_int_equal(mr_sock_error(c), -EHOSTUNREACH);
	assert_int_equal(mr_engine_connections(p.engine[0]), 0);
	pair_close(&p);
}

/* ---- Endings --------------------------------------------------------------------------------- */

static void a_stream_ends_behind_its_data(void **state)
{
	struct mr_socket *c, *s;
	struct mr_event ev;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	mr_set_interest(s, MR_IN | MR_RDHUP, 0);
	fill(0, 5000);
	assert_int_equal(mr_send(c, buf, 5000, 0), 5000);
	assert_int_equal(mr_shutdown(c, MR_SHUT_WR), 0);
	assert_int_equal(mr_send(c, buf, 1, 0), -EPIPE);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(pair_events(&p, 1, &ev, 1), 1);
	assert_int_equal(ev.ready, MR_IN | MR_RDHUP);
	assert_int_equal(state_of(s), MR_TCP_CLOSE_WAIT);
	assert_int_equal(recv_all(s, 0, 999), 5000);
	assert_int_equal(mr_recv(s, buf, 1, 0), 0);
	assert_int_equal(mr_recv(s, buf, 1, 0), 0);
	assert_int_equal(pair_events(&p, 1, &ev, 1), 1); /* the end stays readable */
	/* The other direction is alive. */
	fill(0, 3000);
	assert_int_equal(mr_send(s, buf, 3000, 0), 3000);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(recv_all(c, 0, 999), 3000);
	assert_int_equal(mr_shutdown(s, MR_SHUT_WR), 0);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(state_of(c), MR_TCP_TIME_WAIT);
	assert_int_equal(state_of(s), MR_TCP_CLOSED);
	assert_true(mr_ready(c) & MR_HUP && mr_ready(s) & MR_HUP);
	assert_false((mr_ready(c) | mr_ready(s)) & MR_ERR);
	assert_int_equal(mr_recv(c, buf, 1, 0), 0);
	assert_int_equal(mr_shutdown(c, MR_SHUT_WR), -ENOTCONN);
	assert_int_equal(mr_engine_connections(p.engine[0]), 0);
	pair_close(&p);
}

static void a_reset_leaves_the_data_and_is_told_once(void **state)
{
	struct mr_socket *c, *s;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	fill(0, 2000);
	assert_int_equal(mr_send(c, buf, 2000, 0), 2000);
	pair_run(&p, MR_NS_PER_S);
	mr_abort(c);
	pair_run(&p, MR_NS_PER_S);
	assert_true(mr_ready(s) & MR_ERR && mr_ready(s) & MR_HUP && mr_ready(s) & MR_IN);
	assert_int_equal(mr_recv(s, buf, 1500, 0), 1500);
	assert_int_equal(mr_recv(s, buf, 1500, 0), 500);
	assert_int_equal(mr_recv(s, buf, 1, MR_RECV_PEEK), -ECONNRESET);
	assert_int_equal(mr_recv(s, buf, 1, 0), -ECONNRESET);
	assert_int_equal(mr_recv(s, buf, 1, 0), 0);
	assert_int_equal(mr_send(s, buf, 1, 0), -EPIPE);
	assert_false(mr_ready(s) & MR_ERR);
	pair_close(&p);
}

static void a_send_is_told_of_the_reset_once(void **state)
{
	struct mr_socket *c, *s;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	mr_abort(c);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_send(s, buf, 1, 0), -ECONNRESET);
	assert_int_equal(mr_send(s, buf, 1, 0), -EPIPE);
	pair_close(&p);
}

/* As Linux: the peer had said that it sends no more, and now refuses what is sent to it. */
static void a_reset_in_close_wait_is_a_broken_pipe(void **state)
{
	struct mr_socket *c, *s;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	mr_close(c);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_send(s, "x", 1, 0), 1);
	pair_run(&p, MR_NS_PER_S);
	assert_true(mr_ready(s) & MR_ERR && mr_ready(s) & MR_HUP);
	assert_int_equal(mr_sock_error(s), -EPIPE);
	pair_close(&p);
}

static void closing_with_unread_data_resets(void **state)
{
	struct mr_socket *c, *s;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_send(c, "unread", 6, 0), 6);
	pair_run(&p, MR_NS_PER_S);
	mr_close(s);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_sock_error(c), -ECONNRESET);
	pair_close(&p);
}

static void a_close_sends_what_is_queued(void **state)
{
	struct mr_socket *c, *s;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	fill(0, 50000);
	assert_int_equal(mr_send(c, buf, 50000, 0), 50000);
	mr_close(c);
	assert_int_equal(mr_engine_connections(p.engine[0]), 1); /* an orphan */
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(recv_all(s, 0, 4000), 50000);
	assert_int_equal(mr_recv(s, buf, 1, 0), 0);
	mr_close(s);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_engine_connections(p.engine[0]), 0); /* TIME-WAIT does not count */
	assert_int_equal(mr_engine_connections(p.engine[1]), 0);
	pair_close(&p);
}

static void shut_for_reading_a_read_waits_for_nothing_and_takes_what_comes(void **state)
{
	struct mr_socket *c, *s;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	fill(0, 4000);
	assert_int_equal(mr_send(c, buf, 4000, 0), 4000);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_shutdown(s, MR_SHUT_RD), 0);
	assert_int_equal(mr_ready(s), MR_IN | MR_OUT | MR_RDHUP);
	assert_int_equal(recv_all(s, 0, 999), 4000);
	assert_int_equal(mr_recv(s, buf, 1, 0), 0);
	fill(4000, 3000);
	assert_int_equal(mr_send(c, buf, 3000, 0), 3000);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(recv_all(s, 4000, 999), 3000);
	assert_int_equal(mr_recv(s, buf, 1, 0), 0);
	pair_close(&p);
}

/* ---- Readiness ------------------------------------------------------------------------------- */

static void events_repeat_until_the_cause_is_gone(void **state)
{
	struct mr_socket *c, *s;
	struct mr_event ev[4];

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	assert_int_equal(pair_events(&p, 1, ev, 4), 0);
	assert_true(mr_list_empty(&p.engine[1]->st->socks.ready)); /* and costs nothing */
	assert_int_equal(mr_send(c, "ab", 2, 0), 2);
	pair_run(&p, MR_NS_PER_S);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pair_events(&p, 1, ev, 4), 1);
		assert_ptr_equal(ev[0].sock, s);
		assert_int_equal(ev[0].ready, MR_IN);
	}
	assert_int_equal(mr_recv(s, buf, 1, 0), 1);
	assert_int_equal(pair_events(&p, 1, ev, 4), 1);
	assert_int_equal(mr_recv(s, buf, 1, 0), 1);
	assert_int_equal(pair_events(&p, 1, ev, 4), 0);
	mr_set_interest(s, MR_IN | MR_OUT, 5); /* ready all along */
	assert_int_equal(pair_events(&p, 1, ev, 4), 1);
	assert_int_equal(ev[0].ready, MR_OUT);
	mr_set_interest(s, 0, 5);
	assert_int_equal(pair_events(&p, 1, ev, 4), 0);
	pair_close(&p);
}

static void with_room_for_one_event_everyone_gets_a_turn(void **state)
{
	struct mr_socket *c[5], *s[5];
	unsigned told[5] = { 0 };
	struct mr_event ev;

	(void)state;
	pair_open(&p, NULL);
	for (uint64_t i = 0; i < 5; i++) {
		pair_connect(&p, &c[i], &s[i]);
		mr_set_interest(s[i], MR_IN, i);
		assert_int_equal(mr_send(c[i], "x", 1, 0), 1);
	}
	pair_run(&p, MR_NS_PER_S);
	for (int round = 0; round < 50; round++) {
		assert_int_equal(pair_events(&p, 1, &ev, 1), 1);
		told[ev.user]++;
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(told[i], 10);
	pair_close(&p);
}

/* ---- Options and misuse ---------------------------------------------------------------------- */

static void options_have_ranges(void **state)
{
	static const struct {
		enum mr_opt opt;
		int64_t least, most;
	} rows[] = {
		{ MR_OPT_NODELAY, 0, 1 },
		{ MR_OPT_CORK, 0, 1 },
		{ MR_OPT_LINGER, -1, INT32_MAX },
		{ MR_OPT_SNDBUF, 2048, 16 << 20 },
		{ MR_OPT_RCVBUF, 2048, 16 << 20 },
		{ MR_OPT_MAXSEG, 88, 32767 },
		{ MR_OPT_KEEPALIVE, 0, 1 },
		{ MR_OPT_KEEPIDLE, 1, 32767 },
		{ MR_OPT_KEEPINTVL, 1, 32767 },
		{ MR_OPT_KEEPCNT, 1, 127 },
		{ MR_OPT_USER_TIMEOUT, 0, INT32_MAX },
		{ MR_OPT_OOBINLINE, 0, 1 },
		{ MR_OPT_NOTSENT_LOWAT, 0, UINT32_MAX },
		{ MR_OPT_REUSEADDR, 0, 1 },
		{ MR_OPT_REUSEPORT, 0, 1 },
		{ MR_OPT_V6ONLY, 0, 1 },
	};
	struct mr_socket *s;
	int64_t v;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(p.engine[0], &s), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		assert_int_equal(mr_set_option(s, rows[i].opt, rows[i].least - 1), -EINVAL);
		assert_int_equal(mr_set_option(s, rows[i].opt, rows[i].most + 1), -EINVAL);
		assert_int_equal(mr_set_option(s, rows[i].opt, rows[i].least), 0);
		assert_int_equal(mr_get_option(s, rows[i].opt, &v), 0);
		assert_int_equal(v, rows[i].least);
		assert_int_equal(mr_set_option(s, rows[i].opt, rows[i].most), 0);
		assert_int_equal(mr_get_option(s, rows[i].opt, &v), 0);
		assert_int_equal(v, rows[i].most);
	}
	assert_int_equal(mr_set_option(s, MR_OPT_CONGESTION, mr_congestion_index("newreno")), 0);
	assert_int_equal(mr_set_option(s, MR_OPT_CONGESTION, 200), -EINVAL);
	assert_int_equal(mr_set_option(s, MR_OPT_INQ, 0), -ENOPROTOOPT);
	assert_int_equal(mr_set_option(s, MR_OPT_OUTQ, 0), -ENOPROTOOPT);
	assert_int_equal(mr_set_option(s, (enum mr_opt)99, 0), -ENOPROTOOPT);
	assert_int_equal(mr_get_option(s, (enum mr_opt)99, &v), -ENOPROTOOPT);
	pair_close(&p);
}

static void some_options_come_too_late(void **state)
{
	struct mr_socket *c, *s;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_set_option(c, MR_OPT_MAXSEG, 500), -EINVAL);
	assert_int_equal(mr_set_option(c, MR_OPT_CONGESTION, 0), -EINVAL);
	assert_int_equal(mr_set_option(c, MR_OPT_TTL, 3), 0);
	assert_int_equal(c->tcb->opts.ttl, 3);
	pair_close(&p);
}

static void a_larger_send_buffer_is_an_event(void **state)
{
	struct pair_cfg cfg = { .sndbuf = 4000 };
	struct mr_socket *c, *s;
	struct mr_event ev;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	mr_set_interest(c, MR_OUT, 0);
	assert_int_equal(send_until_full(c, 0, 1000), 4000);
	assert_int_equal(pair_events(&p, 0, &ev, 1), 0);
	assert_int_equal(mr_set_option(c, MR_OPT_SNDBUF, 8000), 0);
	assert_int_equal(pair_events(&p, 0, &ev, 1), 1);
	assert_int_equal(send_until_full(c, 4000, 1000), 4000);
	pair_close(&p);
}

static void misuse_is_refused(void **state)
{
	struct mr_socket *s, *child = NULL;
	struct mr_sendbuf sb = { 0 };
	struct mr_endpoint ep = { 0 };
	struct mr_slice sl = { 0 };
	struct mr_sock_info info;
	int64_t v;

	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_socket(NULL, &s), -EINVAL);
	assert_int_equal(mr_socket(p.engine[0], NULL), -EINVAL);
	assert_int_equal(mr_socket(p.engine[0], &s), 0);
	assert_int_equal(mr_bind(NULL, &ep), -EINVAL);
	assert_int_equal(mr_bind(s, NULL), -EINVAL);
	assert_int_equal(mr_listen(NULL, 1), -EINVAL);
	assert_int_equal(mr_accept(s, &child, NULL), -EINVAL); /* not a listener */
	assert_int_equal(mr_accept(NULL, &child, NULL), -EINVAL);
	assert_int_equal(mr_connect(s, NULL), -EINVAL);
	assert_int_equal(mr_send(NULL, "x", 1, 0), -EINVAL);
	assert_int_equal(mr_send(s, NULL, 1, 0), -EINVAL);
	assert_int_equal(mr_send(s, "x", 1, 0x80), -EINVAL);
	assert_int_equal(mr_sendv(s, NULL, 1, 0), -EINVAL);
	assert_int_equal(mr_recv(s, NULL, 1, 0), -EINVAL);
	assert_int_equal(mr_recvv(s, NULL, 1, 0), -EINVAL);
	assert_int_equal(mr_recv_borrow(s, NULL, 1), -EINVAL);
	assert_int_equal(mr_recv_borrow(s, &sl, 0), -EINVAL);
	assert_int_equal(mr_recv_borrow(s, &sl, 1), -ENOTCONN);
	assert_int_equal(mr_send_reserve(s, NULL), -EINVAL);
	assert_int_equal(mr_send_reserve(s, &sb), -ENOTCONN);
	assert_int_equal(mr_send_commit(s, &sb, 1, 0), -EINVAL);
	mr_send_cancel(s, &sb);
	mr_send_cancel(NULL, &sb);
	assert_int_equal(mr_shutdown(s, MR_SHUT_WR), -ENOTCONN);
	assert_int_equal(mr_shutdown(s, (enum mr_how)9), -EINVAL);
	assert_int_equal(mr_peer(s, &ep), -ENOTCONN);
	assert_int_equal(mr_set_option(NULL, MR_OPT_TTL, 1), -EINVAL);
	assert_int_equal(mr_get_option(NULL, MR_OPT_TTL, &v), -EINVAL);
	assert_int_equal(mr_sock_info(NULL, &info), -EINVAL);
	assert_int_equal(mr_ready(NULL), 0);
	assert_int_equal(mr_listen(s, 1), 0);
	assert_int_equal(mr_connect(s, &p.addr[1]), -EINVAL);
	assert_int_equal(mr_send(s, "x", 1, 0), -ENOTCONN);
	assert_int_equal(mr_recv(s, buf, 1, 0), -ENOTCONN);
	mr_recv_return(p.engine[0], &sl, 1);
	mr_recv_return(p.engine[0], &(struct mr_slice){ .frame = &p }, 1); /* no frame of ours */
	mr_recv_return(NULL, &sl, 1);
	mr_close(NULL);
	mr_abort(NULL);
	mr_set_interest(NULL, 0, 0);
	pair_close(&p);
}

static void sockets_are_counted(void **state)
{
	struct pair_cfg cfg = { .max_sockets = 3 };
	struct mr_socket *s[3], *none = (void *)&p, *c;

	(void)state;
	pair_open(&p, &cfg);
	for (int i = 0; i < 3; i++)
		assert_int_equal(mr_socket(p.engine[1], &s[i]), 0);
	assert_int_equal(mr_socket(p.engine[1], &none), -ENOBUFS);
	assert_null(none);
	/* A listener without room for another socket takes no connection. */
	assert_int_equal(mr_bind(s[0], &p.addr[1]), 0);
	assert_int_equal(mr_listen(s[0], 8), 0);
	assert_int_equal(mr_socket(p.engine[0], &c), 0);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EINPROGRESS);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(mr_accept(s[0], &none, NULL), -EAGAIN);
	mr_close(s[1]);
	pair_run(&p, 3 * MR_NS_PER_S); /* it asks again */
	assert_int_equal(mr_accept(s[0], &none, NULL), 0);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_send_buffer_is_exact),
		cmocka_unit_test(writable_again_when_a_third_is_free),
		cmocka_unit_test(single_bytes_do_not_pin_the_umem),
		cmocka_unit_test(forty_senders_on_few_frames_all_finish),
		cmocka_unit_test(senders_that_are_stuck_leave_room_for_others),
		cmocka_unit_test(orphans_that_are_stuck_give_way_where_frames_are_few),
		cmocka_unit_test(what_nobody_reads_leaves_a_frame_to_write_with),
		cmocka_unit_test(frames_cut_for_a_thousand_small_windows_leave_the_last_ones),
		cmocka_unit_test(sends_leave_frames_for_receiving_and_wake_in_turn),
		cmocka_unit_test(an_iovec_is_one_write),
		cmocka_unit_test(a_frame_is_filled_in_place),
		cmocka_unit_test(the_window_closes_at_rcvbuf_and_reading_opens_it),
		cmocka_unit_test(single_bytes_close_the_window_at_rcvbuf_too),
		cmocka_unit_test(small_segments_share_a_frame),
		cmocka_unit_test(short_frames_shrink_windows_but_an_empty_buffer_keeps_one),
		cmocka_unit_test(a_queue_of_half_empty_frames_collapses_when_frames_are_scarce),
		cmocka_unit_test(idle_connections_take_nothing_from_the_windows_of_others),
		cmocka_unit_test(what_all_announce_together_finds_frames),
		cmocka_unit_test(a_hundred_senders_on_few_frames_lose_nothing),
		cmocka_unit_test(a_slow_reader_holds_half_of_the_frames_at_most),
		cmocka_unit_test(two_hundred_readers_slow_and_fast_share_few_frames),
		cmocka_unit_test(a_peek_leaves_everything),
		cmocka_unit_test(borrowed_frames_fill_the_buffer_until_returned),
		cmocka_unit_test(borrowed_frames_outlive_their_socket),
		cmocka_unit_test(urgent_byte_is_out_of_line),
		cmocka_unit_test(urgent_byte_alone_is_nothing_to_read),
		cmocka_unit_test(urgent_byte_in_line_stays_in_the_stream),
		cmocka_unit_test(borrowing_stops_at_the_mark_too),
		cmocka_unit_test(a_backlog_of_n_lets_n_plus_one_wait),
		cmocka_unit_test(listener_has_the_backlog_that_linux_would_make_of_the_argument),
		cmocka_unit_test(listener_with_a_backlog_of_0_accepts_one_connection_at_a_time),
		cmocka_unit_test(who_waits_to_be_accepted_is_no_event_of_its_own),
		cmocka_unit_test(closing_a_listener_resets_who_waits),
		cmocka_unit_test(a_listener_gives_its_options_to_its_children),
		cmocka_unit_test(a_port_is_bound_once),
		cmocka_unit_test(connect_refused_can_be_tried_again),
		cmocka_unit_test(connect_to_nobody_says_so),
		cmocka_unit_test(a_stream_ends_behind_its_data),
		cmocka_unit_test(a_reset_leaves_the_data_and_is_told_once),
		cmocka_unit_test(a_send_is_told_of_the_reset_once),
		cmocka_unit_test(a_reset_in_close_wait_is_a_broken_pipe),
		cmocka_unit_test(closing_with_unread_data_resets),
		cmocka_unit_test(a_close_sends_what_is_queued),
		cmocka_unit_test(shut_for_reading_a_read_waits_for_nothing_and_takes_what_comes),
		cmocka_unit_test(events_repeat_until_the_cause_is_gone),
		cmocka_unit_test(with_room_for_one_event_everyone_gets_a_turn),
		cmocka_unit_test(options_have_ranges),
		cmocka_unit_test(some_options_come_too_late),
		cmocka_unit_test(a_larger_send_buffer_is_an_event),
		cmocka_unit_test(misuse_is_refused),
		cmocka_unit_test(sockets_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
