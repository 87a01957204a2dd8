// SPDX-License-Identifier: BSD-2-Clause
/* test_reasm.c - datagrams that come in fragments, and long echo replies that go out in them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "../lib/net_fixture.h"
#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"

#define US4   "10.0.0.1"
#define PEER4 "10.0.0.2"
#define US6   "2001:db8::1"
#define PEER6 "2001:db8::9"

#define CE   3
#define ECT0 2
#define ECT1 1

static uint8_t packet[4096], sent[4096], whole[65536];

/* A datagram: TCP header without options, then bytes that tell where they stood. */
static void make_whole(void)
{
	for (uint32_t i = 0; i < sizeof(whole); i++)
		whole[i] = (uint8_t)(i * 7 + (i >> 8));
	whole[12] = 5 << 4;
}

struct frag {
	bool v6;
	const char *src; /* NULL: the peer */
	uint32_t id;
	uint32_t off, len; /* of the datagram */
	bool more;
	uint8_t tos;
	uint8_t proto;	     /* 0: TCP */
	uint32_t chunk;	     /* of the frame; 0: one chunk */
	const uint8_t *from; /* the datagram; NULL: whole */
};

static enum mr_up input(struct net *n, const struct frag *fr, struct mr_frame **up)
{
	const uint8_t *from = fr->from ? fr->from : whole;
	uint8_t proto = fr->proto ? fr->proto : IPPROTO_TCP, pay[2048];
	uint32_t len;

	if (fr->v6) {
		uint16_t field = (uint16_t)(fr->off | fr->more);

		assert_true(fr->len + 8 <= sizeof(pay));
		memset(pay, 0, 8);
		pay[0] = proto;
		pay[2] = (uint8_t)(field >> 8);
		pay[3] = (uint8_t)field;
		memcpy(pay + 4, &fr->id, 4);
		memcpy(pay + 8, from + fr->off, fr->len);
		len = build_ipv6(packet, fr->src ? fr->src : PEER6, US6, IPPROTO_FRAGMENT, 64, pay,
				 fr->len + 8);
		packet[15] = (uint8_t)(fr->tos << 4);
	} else {
		uint16_t field = (uint16_t)(fr->off / 8 | (fr->more ? 0x2000 : 0));

		len = build_ipv4(packet, fr->src ? fr->src : PEER4, US4, proto, from + fr->off,
				 fr->len);
		packet[14 + 1] = fr->tos;
		packet[14 + 4] = (uint8_t)(fr->id >> 8);
		packet[14 + 5] = (uint8_t)fr->id;
		packet[14 + 6] = (uint8_t)(field >> 8);
		packet[14 + 7] = (uint8_t)field;
		fix_ip_csum(packet + 14);
	}
	return net_input(n, net_frame(n, packet, len, fr->chunk), up);
}

static void kept(struct net *n, const struct frag *fr)
{
	assert_int_equal(input(n, fr, NULL), MR_UP_DONE);
	mr_reasm_check(&n->ip);
}

static void dropped(struct net *n, const struct frag *fr, enum mr_drop reason)
{
	assert_int_equal(input(n, fr, NULL), MR_UP_DROP);
	assert_string_equal(mr_drop_name(n->reason), mr_drop_name(reason));
	mr_reasm_check(&n->ip);
}

static void completes(struct net *n, const struct frag *fr, uint32_t total)
{
	static uint8_t got[65536];
	struct mr_frame *f, *pos;
	uint32_t chunks = 0, bytes = 0;

	assert_int_equal(input(n, fr, &f), MR_UP_TCP);
	mr_frame_for_each_chunk (pos, f) {
		chunks++;
		bytes += pos->len;
	}
	assert_int_equal(f->pkt_len, total);
	assert_int_equal(bytes, total);
	assert_int_equal(f->nchunks, chunks);
	assert_int_equal(n->rx.l4_len, total);
	assert_int_equal(n->rx.proto, IPPROTO_TCP);
	assert_false(n->rx.csum_ok);
	assert_int_equal(mr_frame_copy_out(f, 0, got, sizeof(got)), total);
	assert_memory_equal(got, whole, total);
	mr_frame_put_chain(&n->frames, f);
	mr_reasm_check(&n->ip);
}

static bool nothing_waits(const struct net *n)
{
	return !n->ip.reasm.used && n->frames.nfree == NET_FRAMES;
}

/* Both families, each with the fixture of its own. The peer's address is known. */
static struct net *net_of(void **state, bool *v6)
{
	struct net *n = *state;

	*v6 = n->v6;
	make_whole();
	if (n->v6)
		net_learn6(n, PEER6);
	else
		net_resolve(n, PEER4);
	while (net_sent(n, sent, sizeof(sent)))
		;
	return n;
}

/* ---- What belongs together ------------------------------------------------------------------- */

static void rfc791_3_2_fragments_in_any_order_make_the_datagram(void **state)
{
	static const uint8_t orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
					     { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	bool v6;
	struct net *n = net_of(state, &v6);

	for (size_t i = 0; i < MR_ARRAY_SIZE(orders); i++) {
		for (unsigned k = 0; k < 3; k++) {
			uint32_t at = orders[i][k];
			const struct frag fr = { .v6 = v6,
						 .id = (uint32_t)i,
						 .off = at * 1200,
						 .len = at == 2 ? 77 : 1200,
						 .more = at != 2 };

			if (k < 2)
				kept(n, &fr);
			else
				completes(n, &fr, 2477);
		}
		assert_true(nothing_waits(n));
	}
	assert_int_equal(n->ctr.c[MR_CTR_IP_REASSEMBLED], 6);
	assert_int_equal(n->ctr.c[MR_CTR_IP_FRAGS_IN], 18);
}

static void fragments_of_several_chunks_are_joined(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);
	struct frag fr = { .v6 = v6, .off = 1200, .len = 1001, .chunk = 300 };

	kept(n, &fr);
	fr = (struct frag){ .v6 = v6, .len = 1200, .more = true, .chunk = 500 };
	completes(n, &fr, 2201);
	assert_true(nothing_waits(n));
}

static void rfc791_3_2_datagrams_are_told_apart(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);
	struct frag fr = { .v6 = v6, .id = 1, .len = 104, .more = true };
	struct frag last = { .v6 = v6, .id = 1, .off = 104, .len = 9 };

	kept(n, &fr);
	last.id = 2;
	kept(n, &last);
	last.id = 1;
	last.src = v6 ? "2001:db8::a" : "10.0.0.3";
	kept(n, &last);
	if (!v6) { /* RFC 791 section 3.2: the protocol, too */
		last.src = NULL;
		last.proto = IPPROTO_UDP;
		kept(n, &last);
		last.proto = 0;
	}
	last.src = NULL;
	completes(n, &last, 113);
	net_run(n, n->now + 61 * MR_NS_PER_S);
	assert_true(nothing_waits(n));
}

static void rfc791_3_2_the_largest_datagram_is_taken(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);
	/* IPv4's header counts, IPv6's does not. */
	uint32_t total = v6 ? 65535 : 65515, step = v6 ? 1400 : 1480;
	uint32_t off;

	n->ip.reasm.chunks_max = NET_FRAMES; /* the fixture has few frames */
	for (off = 0; off + step < total; off += step) {
		const struct frag fr = { .v6 = v6, .off = off, .len = step, .more = true };

		kept(n, &fr);
	}
	completes(n, &(struct frag){ .v6 = v6, .off = off, .len = total - off }, total);
	assert_true(nothing_waits(n));
}

static void rfc6946_an_atomic_fragment_is_a_whole_packet(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);

	/* Even while fragments wait with the same identification (section 4). */
	kept(n, &(struct frag){ .v6 = true, .id = 5, .len = 104, .more = true });
	completes(n, &(struct frag){ .v6 = true, .id = 5, .len = 200 }, 200);
	completes(n, &(struct frag){ .v6 = true, .id = 5, .off = 104, .len = 20 }, 124);
	assert_true(nothing_waits(n));
}

static void rfc6980_neighbour_discovery_in_fragments_is_dropped(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x99 };
	bool v6;
	struct net *n = net_of(state, &v6);
	uint32_t len = build_nd(packet, PEER6, US6, 135, 0, US6, 1, mac), half;
	uint8_t nd[200];
	struct frag fr = { .v6 = true, .proto = IPPROTO_ICMPV6, .from = nd };

	len -= 54;
	memcpy(nd, packet + 54, len);
	fr.len = len; /* atomic */
	packet[21] = 255;
	for (int atomic = 1; atomic >= 0; atomic--) {
		half = atomic ? 0 : 16;
		if (half) {
			fr.len = half;
			fr.more = true;
			kept(n, &fr);
			fr.off = half;
			fr.len = len - half;
			fr.more = false;
		}
		dropped(n, &fr, MR_DROP_ND_BAD);
	}
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 0);
	assert_true(nothing_waits(n));
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void rfc5722_an_overlap_ends_the_datagram(void **state)
{
	static const struct {
		const char *name;
		uint32_t off, len;
		bool more;
	} rows[] = {
		{ "end of the first", 192, 400, true },
		{ "begin of the last", 304, 800, true },
		{ "around", 0, 1200, true },
		{ "within", 8, 16, true },
		{ "the same begin", 0, 104, true },
		{ "the same end", 104, 96, true },
		{ "an end before what is there", 208, 100, false },
		{ "another end", 1008, 200, false },
		{ "beyond the end", 1104, 8, true },
	};
	bool v6;
	struct net *n = net_of(state, &v6);

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct frag first = { .v6 = v6, .id = (uint32_t)i, .len = 200, .more = true };
		struct frag last = { .v6 = v6, .id = (uint32_t)i, .off = 1000, .len = 100 };
		struct frag middle = {
			.v6 = v6, .id = (uint32_t)i, .off = 200, .len = 800, .more = true
		};
		struct frag bad = { .v6 = v6,
				    .id = (uint32_t)i,
				    .off = rows[i].off,
				    .len = rows[i].len,
				    .more = rows[i].more };
		uint64_t before = n->ctr.drop[MR_DROP_IP_FRAG_OVERLAP];

		kept(n, &first);
		kept(n, &last);
		dropped(n, &bad, MR_DROP_IP_FRAG_OVERLAP);
		assert_int_equal(n->frames.nfree, NET_FRAMES);
		/* Including what is still to come (RFC 5722 section 4), begin and end as well. */
		dropped(n, &middle, MR_DROP_IP_FRAG_OVERLAP);
		dropped(n, &first, MR_DROP_IP_FRAG_OVERLAP);
		dropped(n, &last, MR_DROP_IP_FRAG_OVERLAP);
		assert_int_equal(n->ctr.drop[MR_DROP_IP_FRAG_OVERLAP] - before, 6);
	}
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 0); /* in silence */
	/* Then the identification is free for another datagram. */
	net_run(n, n->now + 61 * MR_NS_PER_S);
	assert_true(nothing_waits(n));
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 0);
	kept(n, &(struct frag){ .v6 = v6, .len = 200, .more = true });
	completes(n, &(struct frag){ .v6 = v6, .off = 200, .len = 1 }, 201);
}

static void rfc5722_4_a_duplicate_fragment_does_no_harm(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);
	struct frag first = { .v6 = v6, .len = 200, .more = true };
	struct frag middle = { .v6 = v6, .off = 200, .len = 104, .more = true };
	struct frag last = { .v6 = v6, .off = 304, .len = 8 };

	kept(n, &first);
	dropped(n, &first, MR_DROP_IP_FRAG_DUPLICATE);
	kept(n, &last);
	dropped(n, &last, MR_DROP_IP_FRAG_DUPLICATE);
	dropped(n, &first, MR_DROP_IP_FRAG_DUPLICATE);
	completes(n, &middle, 312);
	assert_true(nothing_waits(n));
}

static void rfc791_3_2_impossible_lengths_are_dropped(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);

	dropped(n, &(struct frag){ .v6 = v6, .len = 101, .more = true }, MR_DROP_IP_FRAG_BAD);
	dropped(n, &(struct frag){ .v6 = v6, .len = 0, .more = true }, MR_DROP_IP_FRAG_BAD);
	dropped(n, &(struct frag){ .v6 = v6, .off = 8, .len = 0 }, MR_DROP_IP_FRAG_BAD);
	/* "Ping of death": the end lies behind the largest packet's. */
	dropped(n, &(struct frag){ .v6 = v6, .off = v6 ? 65528 : 65512, .len = v6 ? 8 : 4 },
		MR_DROP_IP_FRAG_BAD);
	while (net_sent(n, sent, sizeof(sent)))
		;
	assert_true(nothing_waits(n));
}

static void rfc8200_4_5_bad_fragments_are_complained_about(void **state)
{
	static const struct {
		const char *name;
		uint32_t off, len;
		bool more;
		uint8_t proto, code, pointer;
	} rows[] = {
		{ "not a multiple of 8", 0, 101, true, IPPROTO_TCP, 0, 4 },
		{ "beyond 65535", 65528, 8, false, IPPROTO_TCP, 0, 42 },
		{ "TCP header cut", 0, 16, true, IPPROTO_TCP, 3, 0 },
		{ "no extension header", 0, 8, true, IPPROTO_DSTOPTS, 3, 0 },
	};
	bool v6;
	struct net *n = net_of(state, &v6);

	whole[1] = 9; /* as an extension header: its length */
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		dropped(n,
			&(struct frag){ .v6 = true,
					.off = rows[i].off,
					.len = rows[i].len,
					.more = rows[i].more,
					.proto = rows[i].proto },
			rows[i].code == 3 ? MR_DROP_IP_FRAG_FIRST : MR_DROP_IP_FRAG_BAD);
		assert_true(net_sent(n, sent, sizeof(sent)) > 62);
		assert_int_equal(sent[54], 4);
		assert_int_equal(sent[55], rows[i].code);
		assert_int_equal(sent[61], rows[i].pointer);
	}
	assert_true(nothing_waits(n));
}

/* RFC 7112; RFC 1858 and 3128 for IPv4: whoever filters must be able to see what it is. */
static void rfc7112_the_first_fragment_holds_all_headers(void **state)
{
	static const struct {
		const char *name;
		uint8_t proto, doff;
		uint32_t len;
		bool ok;
	} rows[] = {
		{ "TCP, half a header", IPPROTO_TCP, 5, 16, false },
		{ "TCP header", IPPROTO_TCP, 5, 24, true },
		{ "TCP without its options", IPPROTO_TCP, 8, 24, false },
		{ "TCP with its options", IPPROTO_TCP, 8, 32, true },
		{ "UDP", IPPROTO_UDP, 0, 8, true },
	};
	bool v6;
	struct net *n = net_of(state, &v6);

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		const struct frag fr = { .v6 = v6,
					 .id = (uint32_t)i,
					 .proto = rows[i].proto,
					 .len = rows[i].len,
					 .more = true };

		whole[12] = (uint8_t)(rows[i].doff << 4);
		if (rows[i].ok)
			kept(n, &fr);
		else
			dropped(n, &fr, MR_DROP_IP_FRAG_FIRST);
	}
	/* RFC 3128: offset 8 would write over the flags. */
	whole[12] = 5 << 4;
	kept(n, &(struct frag){ .v6 = v6, .id = 99, .len = 24, .more = true });
	dropped(n, &(struct frag){ .v6 = v6, .id = 99, .off = 8, .len = 24 },
		MR_DROP_IP_FRAG_OVERLAP);
	/* And until the neighbour, who does not answer, is given up. */
	net_run(n, n->now + 71 * MR_NS_PER_S);
	while (net_sent(n, sent, sizeof(sent)))
		;
	assert_true(nothing_waits(n));
}

static void rfc3168_5_3_congestion_of_one_fragment_is_the_datagrams(void **state)
{
	static const struct {
		uint8_t a, b, whole; /* ECN */
		bool ok;
	} rows[] = {
		{ 0, 0, 0, true },	{ ECT0, ECT0, ECT0, true }, { ECT1, ECT1, ECT1, true },
		{ CE, CE, CE, true },	{ ECT0, CE, CE, true },	    { CE, ECT0, CE, true },
		{ ECT1, CE, CE, true }, { 0, CE, 0, false },	    { CE, 0, 0, false },
		{ 0, ECT0, 0, false },
	};
	bool v6;
	struct net *n = net_of(state, &v6);

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct frag first = {
			.v6 = v6, .id = (uint32_t)i, .len = 104, .more = true, .tos = rows[i].a
		};
		struct frag last = {
			.v6 = v6, .id = (uint32_t)i, .off = 104, .len = 8, .tos = rows[i].b
		};

		kept(n, &first);
		if (!rows[i].ok) {
			dropped(n, &last, MR_DROP_IP_FRAG_ECN);
			continue;
		}
		completes(n, &last, 112);
		assert_int_equal(n->rx.tos, rows[i].whole);
	}
	assert_int_equal(n->frames.nfree, NET_FRAMES);
	net_run(n, n->now + 61 * MR_NS_PER_S);
	assert_true(nothing_waits(n));
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

static void rfc1122_3_3_2_what_does_not_become_whole_is_given_up(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);
	uint64_t wait = v6 ? 60 * MR_NS_PER_S : 30 * MR_NS_PER_S, begun = n->now;

	kept(n, &(struct frag){ .v6 = v6, .off = 200, .len = 104, .more = true });
	net_run(n, begun + wait - MR_NS_PER_S);
	/* A late one does not make it live longer (RFC 8200 section 4.5: the first to arrive). */
	kept(n, &(struct frag){ .v6 = v6, .off = 400, .len = 104 });
	assert_int_equal(n->ip.reasm.used, 1);
	net_run(n, begun + wait + MR_NS_PER_S / 10);
	assert_true(nothing_waits(n));
	assert_int_equal(n->ctr.drop[MR_DROP_IP_FRAG_TIMEOUT], 2);
	/* Nobody has seen a first fragment: nothing can be quoted (RFC 1122 section 3.3.2). */
	assert_int_equal(net_sent(n, sent, sizeof(sent)), 0);
}

/* RFC 792; RFC 1122 section 3.3.2; RFC 8200 section 4.5; RFC 4443 section 3.3. */
static void rfc792_time_exceeded_is_said_with_the_first_fragment(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);
	const uint8_t *icmp = sent + (v6 ? 54 : 34);

	kept(n, &(struct frag){ .v6 = v6, .id = 77, .len = 104, .more = true });
	/* The neighbour that is asked for it again meanwhile is another matter. */
	while (n->ip.reasm.used) {
		net_run(n, n->now + MR_NS_PER_S);
		while (net_sent(n, sent, sizeof(sent)) && n->ip.reasm.used)
			;
	}
	assert_int_equal(icmp[0], v6 ? 3 : 11);
	assert_int_equal(icmp[1], 1);
	assert_memory_equal(icmp + 4, "\0\0\0\0", 4);
	assert_memory_equal(icmp + 8, packet + 14, v6 ? 40 : 20); /* the header that came */
	assert_int_equal(n->ctr.c[MR_CTR_ICMP_TIME_OUT], 1);
	assert_int_equal(n->ctr.c[MR_CTR_ICMP_UNREACH_OUT], 0);
	while (net_sent(n, sent, sizeof(sent)))
		;
	assert_true(nothing_waits(n));
}

/* RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e): no error about an error. */
static void rfc1122_3_2_2_no_time_exceeded_about_icmp_errors(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);
	struct frag fr = { .v6 = v6, .len = 104, .more = true };

	fr.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	whole[0] = v6 ? 1 : 3;
	kept(n, &fr);
	net_run(n, n->now + 61 * MR_NS_PER_S);
	assert_true(nothing_waits(n));
	assert_int_equal(n->ctr.c[MR_CTR_ICMP_TIME_OUT], 0);
}

static void rfc4963_5_one_sender_cannot_take_what_others_need(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);
	struct frag other = { .v6 = v6, .id = 1, .len = 104, .more = true };
	uint32_t most = n->ip.reasm.chunks_max / MR_REASM_SOURCE_SHARE;

	other.src = v6 ? "2001:db8::a" : "10.0.0.3";
	kept(n, &other);
	for (uint32_t id = 0; id < 1000; id++) {
		const struct frag fr = { .v6 = v6, .id = id, .len = 104, .more = true };

		kept(n, &fr);
		assert_true(n->ip.reasm.chunks <= most + 1);
		assert_true(n->ip.reasm.used <= MR_REASM_PER_SOURCE + 1);
	}
	assert_int_equal(n->ctr.drop[MR_DROP_IP_FRAG_LIMIT], 1000 - most);
	other.off = 104;
	other.more = false;
	other.len = 8;
	completes(n, &other, 112);
	/* The newest of the busy one is there, too: the oldest made room. */
	completes(n, &(struct frag){ .v6 = v6, .id = 999, .off = 104, .len = 8 }, 112);
	net_run(n, n->now + 61 * MR_NS_PER_S);
	while (net_sent(n, sent, sizeof(sent)))
		;
	assert_int_equal(n->ip.reasm.used, 0);
}

static void many_senders_share_a_bounded_table(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);

	for (uint32_t i = 0; i < 2000; i++) {
		struct frag fr = { .v6 = v6, .off = 104, .len = 8, .more = true };
		char src[64];

		snprintf(src, sizeof(src), v6 ? "2001:db8::1:%x" : "10.0.%u.7", i % 200 + 2);
		if (!v6)
			snprintf(src, sizeof(src), "10.1.%u.%u", i / 200, i % 200 + 2);
		else
			snprintf(src, sizeof(src), "2001:db8::1:%x", i);
		fr.src = src;
		kept(n, &fr);
		assert_true(n->ip.reasm.used <= MR_REASM_DATAGRAMS);
		assert_true(n->ip.reasm.chunks <= NET_FRAMES / 8);
	}
	net_run(n, n->now + 61 * MR_NS_PER_S);
	assert_true(nothing_waits(n));
	assert_int_equal(n->ctr.drop[MR_DROP_IP_FRAG_TIMEOUT] + n->ctr.drop[MR_DROP_IP_FRAG_LIMIT],
			 2000);
}

static void rfc791_3_2_a_datagram_in_too_many_pieces_is_given_up(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);
	uint32_t i = 0;

	n->ip.reasm.chunks_max = 8 * MR_REASM_CHUNKS_ONE;
	for (; i < MR_REASM_CHUNKS_ONE; i++)
		kept(n, &(struct frag){ .v6 = v6, .off = i * 24, .len = 24, .more = true });
	dropped(n, &(struct frag){ .v6 = v6, .off = i * 24, .len = 24 }, MR_DROP_IP_FRAG_LIMIT);
	assert_int_equal(n->frames.nfree, NET_FRAMES);
	dropped(n, &(struct frag){ .v6 = v6, .len = 24, .more = true }, MR_DROP_IP_FRAG_LIMIT);
	net_run(n, n->now + 61 * MR_NS_PER_S);
}

static void a_fragment_larger_than_all_room_is_dropped(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);

	n->ip.reasm.chunks_max = 8;
	dropped(n, &(struct frag){ .v6 = v6, .len = 1200, .more = true, .chunk = 100 },
		MR_DROP_IP_FRAG_LIMIT);
	assert_int_equal(n->frames.nfree, NET_FRAMES);
	net_run(n, n->now + 61 * MR_NS_PER_S);
	assert_true(nothing_waits(n));
}

/* ---- What answers ---------------------------------------------------------------------------- */

/* RFC 1122 section 3.2.2.6 and RFC 4443 section 4.2: all data of the request is in the reply. */
static void rfc1122_3_2_2_6_a_long_echo_is_answered_in_fragments(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);
	uint32_t total = 20001, step = v6 ? 1400 : 1480, front = v6 ? 62 : 34, at = 0, id = 0;
	static uint8_t message[20001], got[20001];
	uint16_t csum;
	uint32_t len;

	memcpy(message, whole, total);
	message[0] = v6 ? 128 : 8;
	message[1] = message[2] = message[3] = 0;
	csum = (uint16_t)~mr_csum_fold(mr_csum(message, total));
	if (v6) {
		struct mr_addr src = addr(PEER6), dst = addr(US6);

		csum = (uint16_t)~mr_csum_fold(
			mr_csum_add(mr_csum(message, total),
				    mr_csum_pseudo(&src, &dst, IPPROTO_ICMPV6, total)));
	}
	memcpy(message + 2, &csum, 2);
	n->ip.reasm.chunks_max = NET_FRAMES;
	for (uint32_t off = 0; off < total; off += step) {
		uint32_t part = off + step < total ? step : total - off;
		const struct frag fr = { .v6 = v6,
					 .off = off,
					 .len = part,
					 .more = off + part < total,
					 .proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
					 .from = message };

		kept(n, &fr);
	}
	while ((len = net_sent(n, sent, sizeof(sent)))) {
		uint32_t part = len - front, off, this_id;
		bool more;

		assert_true(len <= 14 + NET_MTU);
		if (v6) {
			off = (uint32_t)(sent[56] << 8 | sent[57]);
			more = off & 1;
			off &= 0xfff8;
			memcpy(&this_id, sent + 58, 4);
			assert_int_equal(sent[20], IPPROTO_FRAGMENT);
			assert_int_equal(sent[54], IPPROTO_ICMPV6);
		} else {
			off = (uint32_t)(sent[20] << 8 | sent[21]);
			more = off & 0x2000;
			off = (off & 0x1fff) * 8;
			this_id = (uint32_t)(sent[18] << 8 | sent[19]);
		}
		assert_true(!at || this_id == id);
		id = this_id;
		assert_int_equal(off, at);
		memcpy(got + at, sent + front, part);
		at += part;
		assert_int_equal(more, at < total);
		assert_true(!more || part % 8 == 0);
	}
	assert_int_equal(at, total);
	assert_int_equal(got[0], v6 ? 129 : 0);
	assert_memory_equal(got + 4, message + 4, total - 4);
	if (v6) {
		struct mr_addr src = addr(US6), dst = addr(PEER6);

		assert_int_equal(mr_csum_fold(mr_csum_add(
					 mr_csum(got, total),
					 mr_csum_pseudo(&src, &dst, IPPROTO_ICMPV6, total))),
				 0xffff);
	} else {
		assert_int_equal(mr_csum_fold(mr_csum(got, total)), 0xffff);
	}
	assert_true(nothing_waits(n));
}

static void udp_in_fragments_is_refused_with_its_first_one(void **state)
{
	bool v6;
	struct net *n = net_of(state, &v6);

	kept(n, &(struct frag){ .v6 = v6, .off = 104, .len = 8, .proto = IPPROTO_UDP });
	dropped(n, &(struct frag){ .v6 = v6, .len = 104, .more = true, .proto = IPPROTO_UDP },
		MR_DROP_UDP_NO_PORT);
	assert_true(net_sent(n, sent, sizeof(sent)) > 62);
	assert_memory_equal(sent + (v6 ? 62 : 42), packet + 14, v6 ? 40 : 20);
	assert_true(nothing_waits(n));
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, net_setup, net_teardown),                            \
	{                                                                                          \
#test "_6", test, net_setup6, net_teardown, NULL                                   \
	}
#define V6(test) cmocka_unit_test_setup_teardown(test, net_setup6, net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(rfc791_3_2_fragments_in_any_order_make_the_datagram),
		BOTH(fragments_of_several_chunks_are_joined),
		BOTH(rfc791_3_2_datagrams_are_told_apart),
		BOTH(rfc791_3_2_the_largest_datagram_is_taken),
		V6(rfc6946_an_atomic_fragment_is_a_whole_packet),
		V6(rfc6980_neighbour_discovery_in_fragments_is_dropped),
		BOTH(rfc5722_an_overlap_ends_the_datagram),
		BOTH(rfc5722_4_a_duplicate_fragment_does_no_harm),
		BOTH(rfc791_3_2_impossible_lengths_are_dropped),
		V6(rfc8200_4_5_bad_fragments_are_complained_about),
		BOTH(rfc7112_the_first_fragment_holds_all_headers),
		BOTH(rfc3168_5_3_congestion_of_one_fragment_is_the_datagrams),
		BOTH(rfc1122_3_3_2_what_does_not_become_whole_is_given_up),
		BOTH(rfc792_time_exceeded_is_said_with_the_first_fragment),
		BOTH(rfc1122_3_2_2_no_time_exceeded_about_icmp_errors),
		BOTH(rfc4963_5_one_sender_cannot_take_what_others_need),
		BOTH(many_senders_share_a_bounded_table),
		BOTH(rfc791_3_2_a_datagram_in_too_many_pieces_is_given_up),
		BOTH(a_fragment_larger_than_all_room_is_dropped),
		BOTH(rfc1122_3_2_2_6_a_long_echo_is_answered_in_fragments),
		BOTH(udp_in_fragments_is_refused_with_its_first_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
