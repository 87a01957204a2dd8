// SPDX-License-Identifier: BSD-2-Clause
/* hist_path.c - the path's MTU: told by ICMP, remembered and forgotten, and found where nobody tells.
 * RFC 1191, RFC 4821, RFC 5927, RFC 8899. */
#include <errno.h>
#include "base/compiler.h"
#include "hist.h"

#define MSS		 1460u
#define HEADERS		 40u
#define ICMP_UNREACH	 3
#define ICMP_FRAG_NEEDED 4

static uint64_t counter(const struct hist *h, enum mr_counter_id id)
{
	return h->engine->st->ctr.c[id];
}

static uint32_t snd_mss(struct hist *h)
{
	struct mr_sock_info info;

	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	return info.snd_mss;
}

/* ---- Told ------------------------------------------------------------------------------------ */

/* The same peer from another port: a new connection of the engine to the same destination. */
static void second_connection(struct hist *h)
{
	mr_abort(h->sock);
	h->sock = NULL;
	hist_round(h);
	hist_skip(h);
	h->pport++;
	h->pisn += 100000;
	hist_established(h, &(struct hist_peer){ 0 });
}

TEST(rfc1191_6_3_path_mtu_is_remembered_for_ten_minutes)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_FRAG_NEEDED, 1000, 1);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = 960);
	EXPECT(h, .flags = PSH | ACK, .seq = 961, .ack = 1, .len = 500);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1461);
	CHECK_EQ(h, counter(h, MR_CTR_IP_PMTU_LEARNT), 1);
	second_connection(h);
	CHECK_EQ(h, snd_mss(h), 960);
	hist_run(h, SEC(601));
	/* It has been forgotten, and the next output tries what the interface takes. */
	h->written = 0;
	hist_write(h, MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = MSS);
	CHECK_EQ(h, snd_mss(h), MSS);
}

TEST(rfc1191_5_router_that_does_not_say_how_much)
{
	static const uint32_t len[] = { 1492, 1006, 576 };

	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = MSS);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(len); i++) {
		hist_inject_icmp(h, ICMP_UNREACH, ICMP_FRAG_NEEDED, 0, 1);
		EXPECT(h, .flags = ACK, .seq = 1, .ack = 1, .len = len[i] - HEADERS);
		hist_skip(h);
	}
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_FRAG_NEEDED, 0, 1);
	CHECK_EQ(h, snd_mss(h), 576 - HEADERS);
	hist_skip(h);
}

TEST(rfc5927_7_an_mtu_that_is_no_news_changes_nothing)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = MSS);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_FRAG_NEEDED, 1500, 1);
	hist_inject_icmp(h, ICMP_UNREACH, ICMP_FRAG_NEEDED, 9000, 1);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, counter(h, MR_CTR_IP_PMTU_LEARNT), 0);
}

/* Section 4.1: of 10,000 errors with numbers that are not in flight none is believed. */
TEST(rfc5927_4_1_forged_errors_are_not_believed)
{
	hist_established(h, &(struct hist_peer){ 0 });
	hist_write(h, MSS);
	EXPECT(h, .flags = PSH | ACK, .seq = 1, .ack = 1, .len = MSS);
	for (uint32_t i = 0; i < 10000; i++)
		hist_inject_icmp(h, ICMP_UNREACH, ICMP_FRAG_NEEDED, 600, 1 + MSS + i * 400009u);
	EXPECT_NOTHING(h);
	CHECK_EQ(h, snd_mss(h), MSS);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_PMTU_ICMP), 0);
}

/* ---- Found ----------------------------------------------------------------------------------- */

/* The receiver behind a link that swallows what is too long. One hole at a time is enough of it. */
struct narrow {
	uint32_t mtu;
	uint32_t rcv_nxt, from, to; /* [from, to) came behind a hole */
	uint32_t swallowed;
};

static void arrives(struct hist *h, struct narrow *n, const struct pkt_tcp *t)
{
	uint32_t seq = t->seq - h->eisn, end = seq + t->len;

	if (!t->len)
		return;
	if (t->len + HEADERS > n->mtu) {
		n->swallowed++;
		return;
	}
	if (seq <= n->rcv_nxt) {
		n->rcv_nxt = mr_max(n->rcv_nxt, end);
		if (n->to && n->rcv_nxt >= n->from) {
			n->rcv_nxt = mr_max(n->rcv_nxt, n->to);
			n->from = n->to = 0;
		}
	} else if (!n->to) {
		n->from = seq;
		n->to = end;
	} else if (seq <= n->to) {
		n->to = mr_max(n->to, end);
	}
	GIVE(h, .flags = ACK, .seq = 1, .ack = n->rcv_nxt,
	     .sack = { { n->to ? n->from : 0, n->to } });
}

/* Round trips of 10 ms, until the time is over. */
static void behind_narrow(struct hist *h, struct narrow *n, uint64_t ns)
{
	uint64_t end = h->now + ns;

	while (h->now < end) {
		hist_run(h, MS(10));
		for (unsigned i = h->next; i < h->nout; i++)
			arrives(h, n, &h->out[i].t);
		hist_skip(h);
		hist_round(h);
	}
}

static void write_all(struct hist *h, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += 10 * MSS)
		hist_write(h, mr_min(n - i, 10 * MSS));
}

/* n bytes, in portions that the send buffer takes; all of them arrive. */
static void transfer(struct hist *h, struct narrow *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += 100 * MSS) {
		write_all(h, 100 * MSS);
		behind_narrow(h, p, SEC(1));
	}
	CHECK_EQ(h, p->rcv_nxt, h->written + 1);
}

static const struct hist_peer with_sack = { .sack = true };

TEST(rfc4821_7_7_black_hole_is_got_round_and_its_size_found)
{
	struct narrow n = { .mtu = 1400, .rcv_nxt = 1 };
	struct mr_sock_info info;

	hist_established(h, &with_sack);
	write_all(h, 200000);
	behind_narrow(h, &n, SEC(2.9));
	CHECK_EQ(h, n.rcv_nxt, 1);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_MTU_SUSPECTED), 0);
	behind_narrow(h, &n, SEC(5));
	CHECK_EQ(h, n.rcv_nxt, 200001);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_MTU_SUSPECTED), 1);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_RTO), 4);
	/* Probes that are lost alone are no congestion. */
	CHECK(h, counter(h, MR_CTR_TCP_MTU_PROBES_LOST) >= 3);
	CHECK(h, counter(h, MR_CTR_TCP_MTU_PROBES_OK) >= 2);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_FAST_RETRANS), 0);
	/* Nearer than eight bytes, and never beyond. */
	transfer(h, &n, 1000000);
	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	CHECK(h, info.snd_mss + HEADERS > 1400 - 8 && info.snd_mss + HEADERS <= 1400);
	/* RFC 4821 section 5.2: who comes later begins with that. */
	second_connection(h);
	CHECK_EQ(h, snd_mss(h), info.snd_mss);
}

/* The path failed for a while, and its length had nothing to do with it: one probe finds that out. */
TEST(rfc8899_5_3_suspicion_that_was_wrong_costs_one_probe)
{
	struct narrow n = { .mtu = 0, .rcv_nxt = 1 };

	hist_established(h, &with_sack);
	write_all(h, 100000);
	behind_narrow(h, &n, SEC(4));
	CHECK_EQ(h, counter(h, MR_CTR_TCP_MTU_SUSPECTED), 1);
	n.mtu = 1500;
	behind_narrow(h, &n, SEC(10));
	CHECK_EQ(h, n.rcv_nxt, 100001);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_MTU_PROBES), 1);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_MTU_PROBES_OK), 1);
	CHECK_EQ(h, snd_mss(h), MSS);
	CHECK_EQ(h, counter(h, MR_CTR_IP_PMTU_LEARNT), 0);
}

/* RFC 8899 section 5.3.3, PMTU_RAISE_TIMER. */
TEST(rfc8899_5_3_3_path_that_became_wide_is_found_after_ten_minutes)
{
	struct narrow n = { .mtu = 1200, .rcv_nxt = 1 };

	hist_established(h, &with_sack);
	write_all(h, 200000);
	behind_narrow(h, &n, SEC(8));
	transfer(h, &n, 1000000);
	CHECK(h, snd_mss(h) + HEADERS <= 1200);
	n.mtu = 1500;
	hist_run(h, SEC(601));
	transfer(h, &n, 400000);
	CHECK_EQ(h, snd_mss(h), MSS);
}

/* RFC 8201 section 4 forbids to go below 1280; over IPv4 the least is 296, and segments that are as short
 * as that are not what a path swallows. */
TEST(rfc4821_7_7_short_segments_are_no_suspects)
{
	struct narrow n = { .mtu = 0, .rcv_nxt = 1 };

	hist_established(h, &with_sack);
	hist_write(h, 256);
	behind_narrow(h, &n, SEC(30));
	CHECK_EQ(h, counter(h, MR_CTR_TCP_MTU_SUSPECTED), 0);
	CHECK_EQ(h, snd_mss(h), MSS);
}

/* Without SACK the third duplicate ACK tells of a lost probe. */
TEST(rfc4821_7_6_2_lost_probe_without_sack)
{
	struct narrow n = { .mtu = 1300, .rcv_nxt = 1 };

	hist_established(h, &(struct hist_peer){ 0 });
	write_all(h, 200000);
	behind_narrow(h, &n, SEC(10));
	CHECK_EQ(h, n.rcv_nxt, 200001);
	CHECK(h, counter(h, MR_CTR_TCP_MTU_PROBES_LOST) >= 3);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_FAST_RETRANS), 0);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_RTO), 4);
}
