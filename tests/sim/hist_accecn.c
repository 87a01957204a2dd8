// SPDX-License-Identifier: BSD-2-Clause
/* hist_accecn.c - accurate ECN feedback: RFC 9768, its handshake tables, counters, option and fallbacks. */
#include <errno.h>
#include "base/compiler.h"
#include "hist.h"
#include "tcp/tcp.h"

#define MSS	1460u
#define NOT_ECT 0u
#define ECT1	1u
#define ECT0	2u
#define CE	3u

/* AE, CWR and ECE as one number. */
static unsigned ace_of(const struct pkt_tcp *t)
{
	return (t->ae ? 4u : 0) | (t->flags & CWR ? 2u : 0) | (t->flags & ECE ? 1u : 0);
}

static uint8_t low(unsigned ace)
{
	return (uint8_t)((ace & 2 ? CWR : 0) | (ace & 1 ? ECE : 0));
}

static const struct pkt_tcp *next_out(struct hist *h)
{
	CHECK(h, h->next < h->nout);
	h->last = h->out[h->next++].t;
	return &h->last;
}

static uint64_t counter(const struct hist *h, enum mr_counter_id id)
{
	return h->engine->st->ctr.c[id];
}

/* The connection's TCB: the only one. */
static const struct mr_ecn *ecn(struct hist *h)
{
	return &h->sock->tcb->ecn;
}

static const struct hist_peer grants = { .ecn = CWR }; /* 010: the SYN came Not-ECT */

static void connected(struct hist *h, const struct hist_peer *peer)
{
	hist_connect(h);
	hist_syn_ack(h, peer);
	next_out(h);
	CHECK_EQ(h, ecn(h)->mode, MR_ECN_MODE_ACCURATE);
	hist_zero(h);
}

/* An ACK that told less would be taken for three marks. */
TEST(rfc9768_3_2_2_acks_of_time_wait_have_the_counter_too)
{
	connected(h, &grants);
	hist_close(h);
	next_out(h);
	INJECT(h, .flags = FIN | ACK | ECE, .ae = true, .seq = 1, .ack = 2);
	CHECK_EQ(h, h->engine->st->tcp.tws.used, 1);
	CHECK_EQ(h, ace_of(next_out(h)), 5);
	hist_run(h, SEC(1));
	INJECT(h, .flags = FIN | ACK | ECE, .ae = true, .seq = 1, .ack = 2);
	CHECK_EQ(h, ace_of(next_out(h)), 5);
}

/* ---- Section 3.1: negotiation ---------------------------------------------------------------- */

/* Table 2, blocks 1, 2 and 4, and section 3.1.3: what the client makes of each SYN,ACK. */
TEST(rfc9768_3_1_2_table_2_client)
{
	static const struct {
		unsigned ace;
		enum mr_ecn_mode mode;
		bool ect; /* it goes on to send ECT */
	} rows[] = {
		{ 0, MR_ECN_MODE_NONE, false },	    { 1, MR_ECN_MODE_CLASSIC, true },
		{ 2, MR_ECN_MODE_ACCURATE, true },  { 3, MR_ECN_MODE_ACCURATE, false },
		{ 4, MR_ECN_MODE_ACCURATE, false }, { 5, MR_ECN_MODE_ACCURATE, true },
		{ 6, MR_ECN_MODE_ACCURATE, false }, { 7, MR_ECN_MODE_NONE, false },
	};

	for (unsigned i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct hist_peer p = { .ecn = low(rows[i].ace), .ae = rows[i].ace & 4 };

		hist_connect(h);
		CHECK_EQ(h, ace_of(&h->last), 7);
		CHECK_EQ(h, h->last.tos & 3, NOT_ECT);
		hist_syn_ack(h, &p);
		next_out(h);
		CHECK_EQ(h, ecn(h)->mode, rows[i].mode);
		h->written = 0;
		hist_write(h, 10);
		CHECK_EQ(h, next_out(h)->tos & 3, rows[i].ect ? ECT0 : NOT_ECT);
		mr_abort(h->sock);
		h->sock = NULL;
		hist_round(h);
		hist_skip(h);
	}
}

/* Table 2, block 3, and section 3.1.3: what the server answers, by its policy. */
TEST(rfc9768_3_1_2_table_2_server)
{
	static const struct {
		enum mr_ecn_policy policy;
		unsigned syn, tos, synack;
	} rows[] = {
		{ MR_ECN_ACCURATE, 7, NOT_ECT, 2 },
		{ MR_ECN_ACCURATE, 7, ECT1, 3 },
		{ MR_ECN_ACCURATE, 7, ECT0, 4 },
		{ MR_ECN_ACCURATE, 7, CE, 6 },
		{ MR_ECN_ACCURATE, 3, NOT_ECT, 1 },
		{ MR_ECN_ACCURATE, 0, NOT_ECT, 0 },
		{ MR_ECN_ACCURATE, 1, NOT_ECT, 2 }, /* section 3.1.3: as if it were 7 */
		{ MR_ECN_ACCURATE, 2, NOT_ECT, 2 },
		{ MR_ECN_ACCURATE, 4, NOT_ECT, 2 },
		{ MR_ECN_ACCURATE, 5, NOT_ECT, 2 },
		{ MR_ECN_ACCURATE, 6, NOT_ECT, 2 },
		{ MR_ECN_ACCURATE_PASSIVE, 7, NOT_ECT, 2 },
		{ MR_ECN_CLASSIC, 7, NOT_ECT, 1 },
		{ MR_ECN_CLASSIC_PASSIVE, 3, NOT_ECT, 1 },
		{ MR_ECN_CLASSIC, 4, NOT_ECT, 0 },
		{ MR_ECN_OFF, 7, NOT_ECT, 0 },
		{ MR_ECN_OFF, 3, NOT_ECT, 0 },
	};

	for (unsigned i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		CHECK_EQ(h, mr_socket(h->engine, &h->listener), 0);
		CHECK_EQ(h, mr_set_option(h->listener, MR_OPT_ECN, rows[i].policy), 0);
		hist_listen(h, 16);
		h->pport++;
		INJECT(h, .flags = SYN | low(rows[i].syn), .ae = rows[i].syn & 4, .mss = 1460,
		       .tos = (uint8_t)rows[i].tos);
		CHECK_EQ(h, ace_of(next_out(h)), rows[i].synack);
		CHECK_EQ(h, h->last.tos & 3, NOT_ECT);
		/* Section 3.2.3.2.1: the option goes with a SYN,ACK that grants AccECN. */
		CHECK_EQ(h, h->last.accecn_kind, rows[i].synack > 1 ? 172 : 0);
		mr_close(h->listener);
		h->listener = NULL;
		hist_round(h);
		hist_skip(h);
	}
}

TEST(rfc9768_3_1_4_1_lost_syn_is_repeated_without)
{
	hist_connect(h);
	CHECK_EQ(h, ace_of(&h->last), 7);
	hist_until(h, MS(1500));
	EXPECT_AT(h, SEC(1), .flags = SYN, .seq = 0);
	CHECK_EQ(h, ace_of(&h->last), 0);
	/* The answer to the first may come all the same: the first SYN,ACK decides. */
	hist_syn_ack(h, &grants);
	next_out(h);
	CHECK_EQ(h, ecn(h)->mode, MR_ECN_MODE_ACCURATE);
	hist_write(h, 10);
	CHECK_EQ(h, next_out(h)->tos & 3, ECT0); /* a client may (section 3.1.4.1) */
}

TEST(rfc9768_3_2_3_2_2_syn_ack_falls_back_step_by_step)
{
	static const unsigned ace[] = { 2, 2, 0, 0 };

	hist_listen(h, 16);
	INJECT(h, .flags = SYN | CWR | ECE, .ae = true, .mss = 1460);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(ace); i++) {
		CHECK_EQ(h, ace_of(next_out(h)), ace[i]);
		CHECK_EQ(h, h->last.accecn_kind, i ? 0 : 172);
		hist_run(h, SEC(1u << i) + MS(10));
	}
	/* It has sent one without: no ECT any more, but it feeds back (section 3.1.5). */
	INJECT(h, .flags = ACK | CWR, .seq = 1, .ack = 1);
	hist_accept(h);
	CHECK_EQ(h, ecn(h)->mode, MR_ECN_MODE_ACCURATE);
	hist_skip(h);
	hist_write(h, 10);
	CHECK_EQ(h, next_out(h)->tos & 3, NOT_ECT);
	CHECK_EQ(h, ace_of(&h->last), 5);
}

TEST(rfc9768_3_1_5_two_kinds_of_syn_end_the_handshake)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN | CWR | ECE, .ae = true, .mss = 1460);
	next_out(h);
	INJECT(h, .flags = SYN | CWR | ECE, .mss = 1460);
	CHECK(h, next_out(h)->flags & RST);
	CHECK_EQ(h, h->engine->st->tcp.synreqs.used, 0);
}

TEST(rfc9768_3_1_5_syn_without_after_one_with)
{
	hist_listen(h, 16);
	INJECT(h, .flags = SYN | CWR | ECE, .ae = true, .mss = 1460);
	CHECK_EQ(h, ace_of(next_out(h)), 2);
	INJECT(h, .flags = SYN, .mss = 1460);
	CHECK_EQ(h, ace_of(next_out(h)), 2); /* it stays in its mode */
	INJECT(h, .flags = ACK | CWR, .seq = 1, .ack = 1);
	hist_accept(h);
	hist_write(h, 10);
	CHECK_EQ(h, next_out(h)->tos & 3, NOT_ECT);
}

/* Section 3.1.2, "simultaneous open". */
TEST(rfc9768_3_1_2_simultaneous_open_answers_as_a_server)
{
	hist_connect(h);
	INJECT(h, .flags = SYN | CWR | ECE, .ae = true, .mss = 1460, .tos = ECT0);
	CHECK(h, next_out(h)->flags & SYN && h->last.flags & ACK);
	CHECK_EQ(h, ace_of(&h->last), 4);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK_EQ(h, ecn(h)->mode, MR_ECN_MODE_ACCURATE);
	hist_skip(h);
}

/* ---- Section 3.2.2: the ACE field ------------------------------------------------------------ */

/* Table 3, and the option that goes with it (section 3.2.3.2.1). */
TEST(rfc9768_3_2_2_1_table_3_ack_of_the_syn_ack)
{
	static const unsigned ace[] = { [NOT_ECT] = 2, [ECT1] = 3, [ECT0] = 4, [CE] = 6 };

	for (unsigned tos = 0; tos < 4; tos++) {
		hist_connect(h);
		INJECT(h, .flags = SYN | ACK | CWR, .ack = 1, .mss = 1460, .tos = (uint8_t)tos);
		CHECK_EQ(h, ace_of(next_out(h)), ace[tos]);
		CHECK_EQ(h, h->last.accecn_kind, 172);
		/* The counter from then on, which a CE has raised, once. */
		h->written = 0;
		hist_write(h, 10);
		CHECK_EQ(h, ace_of(next_out(h)), tos == CE ? 6 : 5);
		CHECK_EQ(h, h->last.accecn_kind, 172);
		/* The SYN,ACK once more: told again, not counted again. */
		INJECT(h, .flags = SYN | ACK | CWR, .ack = 1, .mss = 1460, .tos = CE);
		CHECK_EQ(h, ace_of(next_out(h)), 6);
		CHECK_EQ(h, ecn(h)->r_cep, 6);
		mr_abort(h->sock);
		h->sock = NULL;
		hist_round(h);
		hist_skip(h);
	}
}

/* The SYN,ACK comes, and the application writes at once. */
static void written_when_connected(struct hist *h)
{
	hist_connect(h);
	GIVE(h, .flags = SYN | ACK | CWR, .ack = 1, .mss = 1460);
	mr_engine_input(h->engine, h->now);
	hist_write(h, 10);
}

/* The exception that the section makes: nothing is between neighbours that would change the field. What comes
 * behind the data has the counter, or it would be read as three marks less. */
TEST(rfc9768_3_2_2_1_data_answers_the_syn_ack_of_a_neighbour)
{
	written_when_connected(h);
	CHECK_EQ(h, next_out(h)->len, 10);
	CHECK_EQ(h, ace_of(&h->last), 5);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = FIN | ACK | ECE, .ae = true, .seq = 1, .ack = 11);
	CHECK_EQ(h, ace_of(next_out(h)), 5);
	CHECK_EQ(h, h->last.len, 0);
}

/* The peer has not seen that data, and says SYN,ACK again: the pure ACK tells how it came. */
TEST(rfc9768_3_2_2_1_syn_ack_once_more_after_data_is_told)
{
	written_when_connected(h);
	next_out(h);
	INJECT(h, .flags = SYN | ACK | CWR, .ack = 1, .mss = 1460, .tos = ECT1);
	CHECK_EQ(h, next_out(h)->len, 0);
	CHECK_EQ(h, ace_of(&h->last), 3);
}

TEST(rfc9768_3_2_2_1_behind_a_router_a_pure_ack_goes_before_data)
{
	hist_route_peer(h);
	written_when_connected(h);
	CHECK_EQ(h, next_out(h)->len, 0);
	CHECK_EQ(h, ace_of(&h->last), 2);
	CHECK_EQ(h, next_out(h)->len, 10);
	CHECK_EQ(h, ace_of(&h->last), 5);
}

/* Table 4, and the test for mangling of section 3.2.2.3. */
TEST(rfc9768_3_2_2_1_table_4_server_reads_the_ack)
{
	static const struct {
		unsigned ace, s_cep;
		bool ect, deaf;
	} rows[] = {
		{ 0, 5, false, true },	{ 1, 5, true, false },	{ 2, 5, true, false },
		{ 3, 5, false, false }, { 4, 5, false, false }, { 5, 5, true, false },
		{ 6, 6, false, false }, { 7, 5, true, false },
	};

	hist_listen(h, 16);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		h->pport++;
		h->pisn += 10000;
		INJECT(h, .flags = SYN | CWR | ECE, .ae = true, .mss = 1460);
		next_out(h);
		INJECT(h, .flags = ACK | low(rows[i].ace), .ae = rows[i].ace & 4, .seq = 1,
		       .ack = 1);
		hist_accept(h);
		CHECK_EQ(h, ecn(h)->s_cep, rows[i].s_cep);
		CHECK_EQ(h, ecn(h)->deaf, rows[i].deaf);
		CHECK_EQ(h, ecn(h)->no_ect, !rows[i].ect);
		mr_abort(h->sock);
		h->sock = NULL;
		hist_round(h);
		hist_skip(h);
	}
}

TEST(rfc9768_3_2_2_2_every_marked_packet_is_counted)
{
	connected(h, &grants);
	INJECT(h, .flags = ACK, .ae = true, .seq = 1, .ack = 1, .len = 100, .tos = CE);
	CHECK_EQ(h, ace_of(next_out(h)), 6);
	/* Payload that came before counts as well: it passed the same queue. */
	INJECT(h, .flags = ACK, .ae = true, .seq = 1, .ack = 1, .len = 100, .tos = CE);
	CHECK_EQ(h, ecn(h)->r_cep, 6); /* but was not acceptable */
	hist_skip(h);
	INJECT(h, .flags = ACK, .ae = true, .seq = 201, .ack = 1, .len = 100, .tos = CE);
	CHECK_EQ(h, ace_of(next_out(h)), 7);
	INJECT(h, .flags = ACK, .ae = true, .seq = 101, .ack = 1, .len = 100, .tos = CE);
	CHECK_EQ(h, ace_of(next_out(h)), 0);
	hist_read(h, 300);
	hist_skip(h);
}

/* Section 3.2.2.5.1: a mark after none is told at once, and every second one. */
TEST(rfc9768_3_2_2_5_1_marks_trigger_acks)
{
	connected(h, &grants);
	hist_option(h, MR_OPT_QUICKACK, 0);
	INJECT(h, .flags = ACK, .ae = true, .seq = 1, .ack = 1, .len = 10, .tos = ECT0);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .ae = true, .seq = 11, .ack = 1, .len = 10, .tos = CE);
	CHECK_EQ(h, ace_of(next_out(h)), 6);
	INJECT(h, .flags = ACK, .ae = true, .seq = 21, .ack = 1, .len = 10, .tos = CE);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .ae = true, .seq = 31, .ack = 1, .len = 10, .tos = CE);
	CHECK_EQ(h, ace_of(next_out(h)), 0);
	/* Without data every third. */
	for (unsigned i = 0; i < 2; i++)
		INJECT(h, .flags = ACK, .ae = true, .seq = 41, .ack = 1, .tos = CE);
	EXPECT_NOTHING(h);
	INJECT(h, .flags = ACK, .ae = true, .seq = 41, .ack = 1, .tos = CE);
	CHECK_EQ(h, ace_of(next_out(h)), 3);
	hist_read(h, 40);
	hist_skip(h);
}

static void write_segments(struct hist *h, unsigned n)
{
	hist_write(h, n * MSS);
	hist_skip(h);
}

/* Once per window, as for a loss; CWR is no answer here (section 3.1.5). */
TEST(rfc9768_3_1_5_marks_told_reduce_the_window_once_per_round_trip)
{
	struct mr_sock_info info;

	connected(h, &grants);
	write_segments(h, 10);
	hist_run(h, MS(5));
	INJECT(h, .flags = ACK | CWR, .ae = true, .seq = 1, .ack = 1 + 2 * MSS); /* 6: one */
	CHECK_EQ(h, counter(h, MR_CTR_TCP_ECN_CE_ECHOED), 1);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_ECN_REDUCED), 1);
	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	CHECK(h, info.ssthresh < 10 * MSS && info.cwnd == info.ssthresh);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 4 * MSS); /* 0: two more */
	CHECK_EQ(h, counter(h, MR_CTR_TCP_ECN_CE_ECHOED), 3);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_ECN_REDUCED), 1);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_RETRANS), 0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS);
	hist_write(h, 10);
	CHECK_EQ(h, ace_of(next_out(h)), 5); /* the counter, and no CWR */
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + 10 * MSS + 10);
}

/* Appendix A.2: ten segments at once, and the field has gone round: the safest case, unless the option knows. */
TEST(rfc9768_3_2_2_5_2_field_that_may_have_wrapped)
{
	connected(h, &grants);
	write_segments(h, 10);
	hist_run(h, MS(5));
	/* 6: one more, or nine. */
	INJECT(h, .flags = ACK | CWR, .ae = true, .seq = 1, .ack = 1 + 10 * MSS);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_ECN_CE_ECHOED), 9);
	write_segments(h, 10);
	/* 7: one more, or nine; the option counts bytes, and says one. */
	INJECT(h, .flags = ACK | CWR | ECE, .ae = true, .seq = 1, .ack = 1 + 20 * MSS,
	       .accecn_kind = 172, .naccecn = 2, .accecn = { 1, MSS });
	CHECK_EQ(h, counter(h, MR_CTR_TCP_ECN_CE_ECHOED), 10);
	CHECK_EQ(h, ecn(h)->delivered_ce, 10 * MSS);
}

TEST(rfc9768_3_2_2_4_field_that_is_zeroed)
{
	connected(h, &grants);
	hist_write(h, MSS);
	CHECK_EQ(h, next_out(h)->tos & 3, ECT0);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1 + MSS);
	CHECK(h, ecn(h)->deaf);
	hist_write(h, MSS);
	CHECK_EQ(h, next_out(h)->tos & 3, NOT_ECT);
	INJECT(h, .flags = ACK | ECE, .seq = 1, .ack = 1 + 2 * MSS);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_ECN_REDUCED), 0);
}

/* Section 3.2.2.3: marks on all there is, four round trips long, are no congestion. */
TEST(rfc9768_3_2_2_3_path_that_marks_everything)
{
	unsigned cep = 5;

	connected(h, &grants);
	for (unsigned i = 1; i <= 5; i++) {
		CHECK(h, !ecn(h)->deaf);
		hist_write(h, MSS);
		CHECK_EQ(h, next_out(h)->tos & 3, ECT0);
		hist_run(h, MS(5));
		cep++;
		INJECT(h, .flags = ACK | low(cep), .ae = cep & 4, .seq = 1, .ack = 1 + i * MSS);
		if (ecn(h)->deaf)
			break;
	}
	CHECK(h, ecn(h)->deaf);
	hist_write(h, MSS);
	CHECK_EQ(h, next_out(h)->tos & 3, NOT_ECT);
}

/* ---- Section 3.2.3: the option --------------------------------------------------------------- */

TEST(rfc9768_3_2_3_fields_that_have_counted_are_sent)
{
	connected(h, &grants);
	/* ECT(0) alone: one field. */
	INJECT(h, .flags = ACK, .ae = true, .seq = 1, .ack = 1, .len = 100, .tos = ECT0);
	next_out(h);
	CHECK(h, h->last.accecn_kind == 172 && h->last.naccecn == 1 && h->last.accecn[0] == 101);
	INJECT(h, .flags = ACK, .ae = true, .seq = 101, .ack = 1, .len = 50, .tos = CE);
	next_out(h);
	CHECK(h, h->last.accecn_kind == 172 && h->last.naccecn == 2 && h->last.accecn[0] == 101 &&
			 h->last.accecn[1] == 50);
	INJECT(h, .flags = ACK, .ae = true, .seq = 151, .ack = 1, .len = 10, .tos = ECT1);
	next_out(h);
	CHECK(h, h->last.naccecn == 3 && h->last.accecn[2] == 11);
	/* Nothing has counted: no option. */
	INJECT(h, .flags = ACK, .ae = true, .seq = 161, .ack = 1, .len = 10, .tos = NOT_ECT);
	next_out(h);
	CHECK_EQ(h, h->last.accecn_kind, 0);
	hist_read(h, 170);
	hist_skip(h);
}

TEST(rfc9768_3_2_3_ect1_alone_takes_the_other_order)
{
	connected(h, &grants);
	INJECT(h, .flags = ACK, .ae = true, .seq = 1, .ack = 1, .len = 100, .tos = ECT1);
	next_out(h);
	CHECK(h, h->last.accecn_kind == 174 && h->last.naccecn == 1 && h->last.accecn[0] == 101);
	INJECT(h, .flags = ACK, .ae = true, .seq = 101, .ack = 1, .len = 50, .tos = CE);
	next_out(h);
	CHECK(h, h->last.accecn_kind == 174 && h->last.naccecn == 2 && h->last.accecn[1] == 50);
	hist_read(h, 150);
	hist_skip(h);
}

/* Section 3.2.3.3: two SACK blocks come first; the third makes way. */
TEST(rfc9768_3_2_3_3_two_sack_blocks_go_before_the_option)
{
	connected(h, &(struct hist_peer){ .ecn = CWR, .sack = true, .tsval = 1000 });
	for (unsigned i = 0; i < 3; i++) {
		INJECT(h, .flags = ACK, .ae = true, .seq = 101 + 200 * i, .ack = 1, .len = 100,
		       .tos = CE);
		next_out(h);
		CHECK_EQ(h, h->last.nsack, mr_min(i + 1, 2u));
		CHECK_EQ(h, h->last.accecn_kind, 172);
		CHECK_EQ(h, h->last.accecn[1], 100 * (i + 1));
	}
}

TEST(rfc9768_3_2_3_2_4_option_that_is_zeroed_is_not_believed)
{
	hist_connect(h);
	INJECT(h, .flags = SYN | ACK | CWR, .ack = 1, .mss = 1460, .accecn_kind = 172, .naccecn = 3,
	       .accecn = { 0, 0, 0 });
	next_out(h);
	CHECK(h, ecn(h)->opt_in && ecn(h)->opt_zeroed);
	write_segments(h, 1);
	INJECT(h, .flags = ACK | ECE, .ae = true, .seq = 1, .ack = 1 + MSS, .accecn_kind = 172,
	       .naccecn = 2, .accecn = { 1, MSS });
	CHECK_EQ(h, ecn(h)->delivered_ce, 0);
}

/* Section 3.2.3.2.2: what we acknowledge comes again and again. */
TEST(rfc9768_3_2_3_2_2_acks_with_the_option_that_vanish)
{
	connected(h, &grants);
	for (unsigned i = 0; i < 2; i++) {
		INJECT(h, .flags = ACK, .ae = true, .seq = 1 + 100 * i, .ack = 1, .len = 100,
		       .tos = ECT0);
		CHECK_EQ(h, next_out(h)->accecn_kind, 172);
		INJECT(h, .flags = ACK, .ae = true, .seq = 1 + 100 * i, .ack = 1, .len = 100);
		CHECK_EQ(h, next_out(h)->accecn_kind, 0);
	}
	CHECK(h, ecn(h)->opt_off);
	INJECT(h, .flags = ACK, .ae = true, .seq = 201, .ack = 1, .len = 100, .tos = CE);
	CHECK_EQ(h, next_out(h)->accecn_kind, 0);
	CHECK_EQ(h, ace_of(&h->last), 6); /* the field goes on */
	hist_read(h, 300);
	hist_skip(h);
}

TEST(rfc9768_3_2_3_2_2_first_data_with_the_option_that_is_lost)
{
	connected(h, &grants);
	hist_write(h, 10);
	CHECK_EQ(h, next_out(h)->accecn_kind, 172);
	hist_until(h, MS(250));
	next_out(h);
	CHECK_EQ(h, h->last.accecn_kind, 0);
	CHECK(h, ecn(h)->opt_off);
	INJECT(h, .flags = ACK | ECE, .ae = true, .seq = 1, .ack = 11);
}

/* A full segment has no room; it must not become longer than the path carries. */
TEST(rfc9768_3_2_3_full_segments_carry_no_option)
{
	connected(h, &grants);
	hist_option(h, MR_OPT_NODELAY, 1);
	hist_write(h, MSS);
	CHECK(h, next_out(h)->accecn_kind == 0 && h->last.len == MSS);
	hist_write(h, MSS - 3);
	CHECK(h, next_out(h)->accecn_kind == 0 && h->last.len == MSS - 3);
	/* Four bytes are enough for the empty one (table 5). */
	hist_write(h, MSS - 4);
	CHECK(h, next_out(h)->accecn_kind == 172 && h->last.naccecn == 0);
	INJECT(h, .flags = ACK | ECE, .ae = true, .seq = 1, .ack = 3 * MSS - 6);
}

/* Section 5.1: a cookie does not remember; the ACK itself shows it. */
TEST(rfc9768_5_1_cookie_and_accecn)
{
	hist_listen(h, 1);
	INJECT(h, .flags = SYN, .mss = 1460);
	next_out(h);
	h->pport++;
	INJECT(h, .flags = SYN | CWR | ECE, .ae = true, .mss = 1460);
	CHECK_EQ(h, ace_of(next_out(h)), 2);
	CHECK_EQ(h, counter(h, MR_CTR_TCP_COOKIES_OUT), 1);
	INJECT(h, .flags = ACK | CWR, .seq = 1, .ack = 1);
	hist_accept(h);
	CHECK_EQ(h, ecn(h)->mode, MR_ECN_MODE_ACCURATE);
	hist_run(h, SEC(70)); /* the first one is given up */
	hist_skip(h);
}
