// SPDX-License-Identifier: BSD-2-Clause
/* hist_fastopen.c - TCP Fast Open, both sides. RFC 7413. */
#include <errno.h>
#include <string.h>
#include "base/compiler.h"
#include "hist.h"
#include "tcp/tcp.h"

#define COOKIE 8u

static uint64_t counter(const struct hist *h, enum mr_counter_id id)
{
	return h->engine->st->ctr.c[id];
}

static const struct pkt_tcp *next_out(struct hist *h)
{
	CHECK(h, h->next < h->nout);
	h->last = h->out[h->next++].t;
	return &h->last;
}

static uint32_t ack_of(const struct hist *h)
{
	return h->last.ack - h->pisn;
}

/* ---- Server ---------------------------------------------------------------------------------- */

static void listen_fast(struct hist *h, unsigned pending)
{
	CHECK_EQ(h, mr_socket(h->engine, &h->listener), 0);
	CHECK_EQ(h, mr_set_option(h->listener, MR_OPT_FASTOPEN, pending), 0);
	hist_listen(h, 16);
}

/* A first connection, which asks for the cookie. */
static void get_cookie(struct hist *h, struct hist_seg *syn)
{
	INJECT(h, .flags = SYN, .mss = 1460, .has_tfo = true);
	next_out(h);
	CHECK(h, h->last.has_tfo && h->last.ntfo == COOKIE && ack_of(h) == 1);
	INJECT(h, .flags = RST, .seq = 1);
	*syn = (struct hist_seg){
		.flags = SYN, .mss = 1460, .len = 100, .has_tfo = true, .ntfo = COOKIE
	};
	memcpy(syn->tfo, h->last.tfo, COOKIE);
	h->pport++;
	h->pisn += 100000;
}

TEST(rfc7413_4_2_2_data_of_a_syn_is_served_before_the_handshake_is_complete)
{
	struct hist_seg syn;

	listen_fast(h, 4);
	get_cookie(h, &syn);
	hist_inject(h, &syn);
	next_out(h);
	CHECK(h, (h->last.flags & (SYN | ACK)) == (SYN | ACK) && ack_of(h) == 101);
	hist_accept(h);
	CHECK_EQ(h, hist_state(h), MR_TCP_SYN_RECEIVED);
	hist_read(h, 100);
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 101, .len = 10);
	CHECK_EQ(h, h->engine->st->tcp.tfo_pending, 1);
	/* One ACK for both: the handshake and the answer. */
	INJECT(h, .flags = ACK, .seq = 101, .ack = 11);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	CHECK_EQ(h, h->engine->st->tcp.tfo_pending, 0);
	CHECK_EQ(h, h->sock->tcb->snd_una, h->sock->tcb->snd_nxt);
	INJECT(h, .flags = PSH | ACK, .seq = 101, .ack = 11, .len = 5);
	hist_skip(h);
	hist_read(h, 5);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_TFO_IN), 1);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_RETRANS), 0);
}

TEST(rfc7413_4_2_2_reset_before_the_handshake_is_complete_is_the_peers)
{
	struct hist_seg syn;
	char byte;

	listen_fast(h, 4);
	get_cookie(h, &syn);
	hist_inject(h, &syn);
	next_out(h);
	hist_accept(h);
	hist_read(h, 100);
	INJECT(h, .flags = RST | ACK, .seq = 101, .ack = 1);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), -ECONNRESET);
	CHECK_EQ(h, h->engine->st->tcp.tfo_pending, 0);
}

TEST(rfc7413_4_2_2_wrong_cookie_gets_a_right_one_and_no_service)
{
	struct hist_seg syn;

	listen_fast(h, 4);
	get_cookie(h, &syn);
	syn.tfo[3] ^= 1;
	hist_inject(h, &syn);
	next_out(h);
	CHECK(h, ack_of(h) == 1 && h->last.ntfo == COOKIE);
	CHECK(h, h->last.tfo[3] == (syn.tfo[3] ^ 1));
	CHECK_EQ(h, counter(h, MR_CTR_TCP_TFO_REFUSED), 1);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
	/* The handshake goes on as any other. */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	hist_accept(h);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

/* Section 5.1. */
TEST(rfc7413_5_1_unconfirmed_connections_are_limited)
{
	struct hist_seg syn;

	listen_fast(h, 2);
	get_cookie(h, &syn);
	for (unsigned i = 0; i < 5; i++) {
		hist_inject(h, &syn);
		next_out(h);
		CHECK_EQ(h, ack_of(h), i < 2 ? 101 : 1);
		h->pport++;
	}
	CHECK_EQ(h, h->engine->st->tcp.tfo_pending, 2);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_TFO_REFUSED), 3);
	/* Who never confirms is given up (RFC 9293 section 3.8.3). */
	hist_run(h, SEC(140));
	hist_skip(h);
	CHECK_EQ(h, h->engine->st->tcp.tfo_pending, 0);
}

/* The cookie is stolen: its true owner resets what he never asked for, and makes no room for more by that. */
TEST(rfc7413_5_1_connections_that_were_reset_count_for_a_minute)
{
	struct hist_seg syn;

	listen_fast(h, 2);
	get_cookie(h, &syn);
	for (unsigned i = 0; i < 5; i++) {
		hist_inject(h, &syn);
		next_out(h);
		CHECK_EQ(h, ack_of(h), i < 2 ? 101 : 1);
		INJECT(h, .flags = RST, .seq = i < 2 ? 101 : 1);
		h->pport++;
	}
	CHECK_EQ(h, h->engine->st->tcp.tfo_pending, 0);
	hist_run(h, SEC(120));
	hist_inject(h, &syn);
	next_out(h);
	CHECK_EQ(h, ack_of(h), 101);
}

TEST(rfc7413_4_2_2_syn_once_more_gets_the_syn_ack_once_more)
{
	struct hist_seg syn;

	listen_fast(h, 4);
	get_cookie(h, &syn);
	hist_inject(h, &syn);
	CHECK_EQ(h, (next_out(h), ack_of(h)), 101);
	INJECT(h, .flags = SYN, .mss = 1460); /* without data and cookie: section 4.2.1 */
	next_out(h);
	CHECK(h, (h->last.flags & (SYN | ACK)) == (SYN | ACK) && ack_of(h) == 101);
	hist_accept(h);
	INJECT(h, .flags = ACK, .seq = 101, .ack = 1);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	hist_read(h, 100);
	hist_skip(h);
}

TEST(rfc7413_4_2_2_listener_without_it_leaves_the_data_alone)
{
	struct hist_seg syn = { .flags = SYN, .mss = 1460, .len = 100, .has_tfo = true };

	hist_listen(h, 16);
	hist_inject(h, &syn);
	next_out(h);
	CHECK(h, ack_of(h) == 1 && !h->last.has_tfo);
}

/* The client's FIN comes with the ACK of the handshake: the application reads the SYN's data, and the end. */
TEST(rfc7413_4_2_2_fin_with_the_ack_of_the_handshake_follows_the_data_of_the_syn)
{
	struct hist_seg syn;
	char byte;

	listen_fast(h, 4);
	get_cookie(h, &syn);
	hist_inject(h, &syn);
	next_out(h);
	INJECT(h, .flags = FIN | ACK, .seq = 101, .ack = 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 102);
	hist_accept(h);
	CHECK_EQ(h, hist_state(h), MR_TCP_CLOSE_WAIT);
	hist_read(h, 100);
	CHECK_EQ(h, mr_recv(h->sock, &byte, 1, 0), 0);
	hist_close(h);
	EXPECT(h, .flags = FIN | ACK, .seq = 1, .ack = 102);
	INJECT(h, .flags = ACK, .seq = 102, .ack = 2);
	EXPECT_NOTHING(h);
}

/* Nobody has accepted it yet, and nobody will. */
TEST(rfc7413_4_2_2_closed_listener_resets_what_a_cookie_let_in)
{
	struct hist_seg syn;

	listen_fast(h, 4);
	get_cookie(h, &syn);
	hist_inject(h, &syn);
	next_out(h);
	mr_close(h->listener);
	h->listener = NULL;
	hist_round(h);
	EXPECT(h, .flags = RST | ACK, .seq = 1, .ack = 101);
	CHECK_EQ(h, h->engine->st->tcp.tfo_pending, 0);
	CHECK_EQ(h, h->engine->st->tcp.tcbs.used, 0);
}

/* The ACK of the handshake is lost, and so is the front of what was sent before it: the first that comes completes
 * the one and begins the recovery of the other. */
TEST(rfc7413_4_2_2_first_ack_completes_the_handshake_and_reports_a_loss)
{
	struct hist_seg syn;
	struct mr_sock_info info;

	listen_fast(h, 4);
	get_cookie(h, &syn);
	syn.sack_perm = true;
	hist_inject(h, &syn);
	next_out(h);
	hist_accept(h);
	hist_read(h, 100);
	hist_run(h, MS(10));
	hist_write(h, 10 * 1460);
	hist_skip(h);
	hist_run(h, MS(10));
	INJECT(h, .flags = ACK, .seq = 101, .ack = 1, .sack = { { 1 + 2 * 1460, 1 + 5 * 1460 } });
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	hist_run(h, MS(3)); /* the reordering window */
	CHECK_EQ(h, next_out(h)->seq - h->eisn, 1);
	CHECK_EQ(h, h->last.len, 1460);
	CHECK_EQ(h, next_out(h)->seq - h->eisn, 1 + 1460);
	hist_skip(h);
	CHECK_EQ(h, h->sock->tcb->loss, MR_LOSS_RECOVERY);
	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	CHECK(h, info.ssthresh < 10 * 1460);
	INJECT(h, .flags = ACK, .seq = 101, .ack = 1 + 10 * 1460);
	CHECK_EQ(h, h->sock->tcb->loss, MR_LOSS_OPEN);
	CHECK_EQ(h, h->sock->tcb->retrans_out, 0);
	hist_skip(h);
}

/* ---- Keys (section 4.1.1) -------------------------------------------------------------------- */

static const uint8_t keys[2][16] = { "the present one.", "the one before.." };

/* Listens with a key of its own. */
static void listen_with_key(struct hist *h)
{
	listen_fast(h, 4);
	CHECK_EQ(h, mr_set_fastopen_key(h->listener, keys[1], 16), 0);
}

/* The SYN,ACK of one whose data is taken; the next one comes from another port. */
static void served(struct hist *h, const struct hist_seg *syn)
{
	hist_inject(h, syn);
	next_out(h);
	CHECK(h, (h->last.flags & (SYN | ACK)) == (SYN | ACK) && ack_of(h) == 101);
	h->pport++;
	h->pisn += 100000;
}

TEST(rfc7413_4_1_1_cookie_of_the_key_before_is_good_and_renewed)
{
	struct hist_seg syn, renewed;

	listen_with_key(h);
	get_cookie(h, &syn);
	CHECK_EQ(h, mr_set_fastopen_key(h->listener, keys, 32), 0);
	served(h, &syn);
	CHECK(h, h->last.has_tfo && h->last.ntfo == COOKIE);
	CHECK(h, memcmp(h->last.tfo, syn.tfo, COOKIE) != 0);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_TFO_RENEWED), 1);
	renewed = syn;
	memcpy(renewed.tfo, h->last.tfo, COOKIE);
	/* The new one is what a SYN that asks gets, too; it is not given again to who has it. */
	served(h, &renewed);
	CHECK(h, !h->last.has_tfo);
	INJECT(h, .flags = SYN, .mss = 1460, .has_tfo = true);
	CHECK(h, !memcmp(next_out(h)->tfo, renewed.tfo, COOKIE));
	h->pport++;
	/* Once the old key is gone, so is what it made. */
	CHECK_EQ(h, mr_set_fastopen_key(h->listener, keys[0], 16), 0);
	hist_inject(h, &syn);
	CHECK(h, (next_out(h), ack_of(h)) == 1);
	CHECK(h, !memcmp(h->last.tfo, renewed.tfo, COOKIE));
	h->pport++;
	served(h, &renewed);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_TFO_IN), 3);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_TFO_RENEWED), 1);
}

/* Section 4.1.3.1: the option may be why the SYN,ACK got lost. */
TEST(rfc7413_4_1_1_renewed_cookie_is_not_repeated)
{
	struct hist_seg syn;

	listen_with_key(h);
	get_cookie(h, &syn);
	CHECK_EQ(h, mr_set_fastopen_key(h->listener, keys, 32), 0);
	served(h, &syn);
	CHECK(h, h->last.has_tfo);
	hist_run(h, MS(1100));
	CHECK(h, next_out(h)->flags & SYN && !h->last.has_tfo);
}

/* What listeners have no key of their own for, the engine's decides. */
TEST(rfc7413_4_1_1_key_of_the_engine_is_changed_in_the_same_way)
{
	struct hist_seg syn, before;
	uint8_t key[32];

	listen_fast(h, 4);
	get_cookie(h, &before); /* by a key that was made up */
	CHECK_EQ(h, mr_get_fastopen_key(h->listener, key, sizeof(key)), 16);
	memmove(key + 16, key, 16);
	memcpy(key, keys[0], 16);
	CHECK_EQ(h, mr_engine_fastopen_key(h->engine, key, 32), 0);
	served(h, &before);
	CHECK(h, h->last.has_tfo);
	syn = before;
	memcpy(syn.tfo, h->last.tfo, COOKIE);
	CHECK_EQ(h, mr_engine_fastopen_key(h->engine, keys[0], 16), 0);
	served(h, &syn);
	CHECK_EQ(h, mr_set_fastopen_key(h->listener, keys[1], 16), 0);
	hist_inject(h, &syn);
	CHECK(h, (next_out(h), ack_of(h)) == 1);
}

static const uint8_t linux_key[16] = { /* 00112233-44556677-8899aabb-ccddeeff */
				       0x33, 0x22, 0x11, 0x00, 0x77, 0x66, 0x55, 0x44,
				       0xbb, 0xaa, 0x99, 0x88, 0xff, 0xee, 0xdd, 0xcc
};

static void expect_cookie(struct hist *h, const uint8_t cookie[COOKIE])
{
	listen_fast(h, 4);
	CHECK_EQ(h, mr_set_fastopen_key(h->listener, linux_key, 16), 0);
	INJECT(h, .flags = SYN, .mss = 1460, .has_tfo = true);
	CHECK(h, !memcmp(next_out(h)->tfo, cookie, COOKIE));
}

/* As given by Linux 6.18 with that key at 10.0.0.1 to 10.0.0.2, and at fd00::1 to fd00::2. */
TEST(rfc7413_4_1_1_servers_that_share_a_key_take_each_others_cookies)
{
	expect_cookie(h, (const uint8_t[]){ 0xdc, 0x60, 0xbf, 0x54, 0x7b, 0xe9, 0xbb, 0x12 });
}

TEST6(rfc7413_4_1_1_servers_that_share_a_key_take_each_others_cookies_over_ipv6)
{
	expect_cookie(h, (const uint8_t[]){ 0x18, 0x9a, 0xa7, 0x9a, 0x43, 0x16, 0x15, 0x3b });
}

/* ---- Client ---------------------------------------------------------------------------------- */

static struct mr_endpoint server(void)
{
	return (struct mr_endpoint){ .addr = mr_addr_v4(htonl(0x0a000002u)),
				     .port = HIST_PEER_PORT };
}

static void fast_socket(struct hist *h)
{
	if (h->sock)
		mr_abort(h->sock);
	h->sock = NULL;
	hist_round(h);
	hist_skip(h);
	h->written = 0;
	CHECK_EQ(h, mr_socket(h->engine, &h->sock), 0);
	CHECK_EQ(h, mr_set_option(h->sock, MR_OPT_FASTOPEN_CONNECT, 1), 0);
}

/* The SYN,ACK to the SYN that came out last. */
static void answer(struct hist *h, uint32_t acked, uint8_t ncookie)
{
	h->eport = h->last.sport;
	INJECT(h, .flags = SYN | ACK, .ack = acked, .mss = 1400, .has_tfo = ncookie != 0,
	       .ntfo = ncookie, .tfo = { 1, 2, 3, 4, 5, 6, 7, 8 });
}

/* The first connect asks, and is given one. */
static void learn_cookie(struct hist *h)
{
	struct mr_endpoint to = server();

	fast_socket(h);
	CHECK_EQ(h, mr_connect(h->sock, &to), -EINPROGRESS);
	hist_round(h);
	CHECK(h, next_out(h)->flags & SYN && h->last.has_tfo && !h->last.ntfo && !h->last.len);
	answer(h, 1, 8);
	hist_skip(h);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
}

static void connect_with_data(struct hist *h, uint32_t n)
{
	struct mr_endpoint to = server();

	fast_socket(h);
	CHECK_EQ(h, mr_connect(h->sock, &to), 0);
	CHECK(h, mr_ready(h->sock) & MR_OUT);
	hist_run(h, MS(50));
	EXPECT_NOTHING(h); /* the SYN waits */
	hist_write(h, n);
	CHECK(h, next_out(h)->flags & SYN && h->last.ntfo == 8 && h->last.tfo[7] == 8);
	CHECK_EQ(h, h->last.payload[0], 1); /* the pattern's first byte */
}

/* Section 2: 4 to 16 bytes. The longest does not fit into a header that has all our options (40 bytes): it is asked for
 * again, and no SYN is spoiled by it. */
TEST(rfc7413_2_cookies_of_every_length_make_good_syns)
{
	struct mr_endpoint to = server();

	for (uint8_t n = MR_TCP_TFO_MIN; n <= MR_TCP_TFO_MAX; n += 2) {
		bool fits = n < MR_TCP_TFO_MAX;

		fast_socket(h);
		CHECK_EQ(h, mr_connect(h->sock, &to), n == MR_TCP_TFO_MIN ? -EINPROGRESS : 0);
		hist_round(h);
		if (n > MR_TCP_TFO_MIN)
			hist_write(h, 100);
		CHECK(h, next_out(h)->flags & SYN && h->last.has_tfo);
		CHECK_EQ(h, h->last.ntfo, n == MR_TCP_TFO_MIN ? 0 : n - 2);
		answer(h, 1 + h->last.len, n);
		hist_skip(h);
		CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
		if (fits)
			continue;
		fast_socket(h);
		CHECK_EQ(h, mr_connect(h->sock, &to), 0);
		hist_write(h, 100);
		CHECK(h, next_out(h)->flags & SYN && h->last.ntfo == n - 2 && h->last.len == 100);
	}
}

TEST(rfc7413_4_2_1_second_connect_takes_data_along)
{
	learn_cookie(h);
	connect_with_data(h, 100);
	CHECK_EQ(h, h->last.len, 100);
	answer(h, 101, 0);
	EXPECT(h, .flags = ACK, .seq = 101, .ack = 1);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_TFO_OUT), 1);
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 10);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 111);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_RETRANS), 0);
}

/* Both ends opened at once, each with data in its SYN: whoever took the other's says so in its SYN,ACK. */
TEST(rfc7413_4_2_1_data_of_a_syn_counts_in_a_simultaneous_open_too)
{
	learn_cookie(h);
	connect_with_data(h, 100);
	h->eport = h->last.sport;
	INJECT(h, .flags = SYN, .mss = 1400);
	EXPECT(h, .flags = SYN | ACK, .seq = 0, .ack = 1);
	INJECT(h, .flags = SYN | ACK, .ack = 101, .mss = 1400);
	CHECK_EQ(h, hist_state(h), MR_TCP_ESTABLISHED);
	hist_skip(h); /* an ACK is allowed here and not needed */
	hist_write(h, 10);
	EXPECT(h, .flags = PSH | ACK, .seq = 101, .ack = 1, .len = 10);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 111);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_RETRANS), 0);
}

/* As much as the server's MSS of the last time lets, and the rest behind it. */
TEST(rfc7413_4_1_3_remembered_mss_bounds_the_data_of_a_syn)
{
	uint32_t taken;

	learn_cookie(h);
	connect_with_data(h, 5000);
	taken = h->last.len;
	CHECK(h, taken < 1400 && taken > 1340);
	answer(h, 1 + taken, 0);
	CHECK_EQ(h, next_out(h)->seq - h->eisn, 1 + taken);
	hist_skip(h);
	CHECK_EQ(h, h->sock->tcb->snd_nxt - h->sock->tcb->iss, 5001);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 5001);
}

TEST(rfc7413_4_2_1_data_that_the_server_did_not_take_is_sent_at_once)
{
	learn_cookie(h);
	connect_with_data(h, 100);
	answer(h, 1, 0);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_TFO_OUT), 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
}

TEST(rfc7413_4_2_1_part_of_the_data_taken)
{
	learn_cookie(h);
	connect_with_data(h, 100);
	answer(h, 41, 0);
	EXPECT(h, .flags = PSH | ACK, .seq = 41, .ack = 1, .len = 60);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
}

TEST(rfc7413_4_2_1_ack_of_more_than_the_syn_had_is_refused)
{
	learn_cookie(h);
	connect_with_data(h, 100);
	answer(h, 102, 0);
	CHECK(h, next_out(h)->flags & RST);
	CHECK_EQ(h, hist_state(h), MR_TCP_SYN_SENT);
}

/* Section 4.1.3.1: such a SYN is lost; the next one is a plain one, and that server is left alone. */
TEST(rfc7413_4_1_3_1_path_that_swallows_such_syns_is_remembered)
{
	struct mr_endpoint to = server();

	learn_cookie(h);
	connect_with_data(h, 100);
	hist_run(h, MS(1100));
	CHECK(h, next_out(h)->flags & SYN && !h->last.has_tfo && !h->last.len);
	answer(h, 1, 0);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = 100);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 101);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_TFO_AVOIDED), 1);
	fast_socket(h);
	CHECK_EQ(h, mr_connect(h->sock, &to), -EINPROGRESS);
	hist_round(h);
	CHECK(h, next_out(h)->flags & SYN && !h->last.has_tfo);
	answer(h, 1, 0);
	hist_skip(h);
}

/* As Linux's MSG_FASTOPEN. */
TEST(send_that_connects_needs_a_cookie_to_take_data)
{
	struct mr_endpoint to = server();
	uint8_t buf[100] = { 1 };

	CHECK_EQ(h, mr_socket(h->engine, &h->sock), 0);
	CHECK_EQ(h, mr_send_fastopen(h->sock, &to, buf, sizeof(buf), 0), -EINPROGRESS);
	hist_round(h);
	CHECK(h, next_out(h)->has_tfo && !h->last.len);
	answer(h, 1, 8);
	hist_skip(h);
	fast_socket(h);
	CHECK_EQ(h, mr_send_fastopen(h->sock, &to, buf, sizeof(buf), 0), 100);
	hist_round(h);
	CHECK(h, next_out(h)->flags & SYN && h->last.ntfo == 8 && h->last.len == 100);
	answer(h, 101, 0);
	EXPECT(h, .flags = ACK, .seq = 101, .ack = 1);
}

TEST(closed_at_once_the_data_of_the_syn_still_arrives)
{
	learn_cookie(h);
	connect_with_data(h, 100);
	hist_close(h);
	EXPECT_NOTHING(h);
	answer(h, 101, 0);
	EXPECT(h, .flags = FIN | ACK, .seq = 101, .ack = 1);
	INJECT(h, .flags = FIN | ACK, .seq = 1, .ack = 102);
	EXPECT(h, .flags = ACK, .seq = 102, .ack = 2);
}

/* What follows goes behind the rest as far as its chunk reaches. */
TEST(rest_of_a_syns_data_is_not_written_beyond_its_chunk)
{
	learn_cookie(h);
	connect_with_data(h, 1300);
	h->eport = h->last.sport;
	INJECT(h, .flags = SYN | ACK, .ack = 1201, .mss = 1400, .wnd = WND_ZERO);
	hist_skip(h);
	hist_write(h, 2000);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1201, .wnd = 60000);
	EXPECT(h, .flags = PSH | ACK, .seq = 1201, .ack = 1, .len = 720);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1921); /* Nagle */
	EXPECT(h, .flags = PSH | ACK, .seq = 1921, .ack = 1, .len = 1380);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 3301);
	EXPECT_NOTHING(h);
}
