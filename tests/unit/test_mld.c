// SPDX-License-Identifier: BSD-2-Clause
/* test_mld.c - which groups multicast routers are told of, and when. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "../lib/net_fixture.h"
#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"
#include "link/link_priv.h"

#define S  MR_NS_PER_S
#define MS MR_NS_PER_MS

#define QUERY	  130
#define REPORT	  131
#define REPORT_V2 143

#define IS_EXCLUDE 2
#define TO_EXCLUDE 4

static uint8_t buf[2048];

/* A report that was sent, taken apart; every one is checked for what all have in common. */
struct report {
	uint8_t type, kind;
	struct mr_addr src, dst;
	unsigned ngroups;
	struct mr_addr group[64];
};

static void take_apart(struct report *r, uint32_t len)
{
	const uint8_t *ip = buf + 14, *hbh = ip + 40, *icmp = hbh + 8;
	uint32_t icmp_len = len - 14 - 48;

	memset(r, 0, sizeof(*r));
	assert_memory_equal(buf, ((uint8_t[]){ 0x33, 0x33, ip[36], ip[37], ip[38], ip[39] }), 6);
	assert_memory_equal(buf + 6, net_mac, 6);
	assert_int_equal(ip[4] << 8 | ip[5], len - 54);
	assert_int_equal(ip[6], 0); /* hop-by-hop options: */
	assert_int_equal(ip[7], 1);
	assert_memory_equal(hbh, "\x3a\0\5\2\0\0\1\0",
			    8); /* a router alert, value 0, and padding */
	memcpy(r->src.b, ip + 8, 16);
	memcpy(r->dst.b, ip + 24, 16);
	assert_int_equal(mr_csum_fold(mr_csum_add(mr_csum(icmp, icmp_len),
						  mr_csum_pseudo(&r->src, &r->dst, 58, icmp_len))),
			 0xffff);
	r->type = icmp[0];
	assert_int_equal(icmp[1], 0);
	if (r->type == REPORT) {
		assert_int_equal(icmp_len, 24);
		r->ngroups = 1;
		memcpy(r->group[0].b, icmp + 8, 16);
		assert_true(mr_addr_eq(&r->group[0], &r->dst));
		return;
	}
	assert_int_equal(r->type, REPORT_V2);
	r->ngroups = (unsigned)(icmp[6] << 8 | icmp[7]);
	assert_int_equal(icmp_len, 8 + 20 * r->ngroups);
	assert_true(len - 14 <= 1280);
	r->kind = icmp[8];
	for (unsigned i = 0; i < r->ngroups; i++) {
		assert_int_equal(icmp[8 + 20 * i], r->kind);
		assert_memory_equal(icmp + 9 + 20 * i, "\0\0\0", 3); /* no sources */
		memcpy(r->group[i].b, icmp + 12 + 20 * i, 16);
	}
}

/* The next report; packets of neighbour discovery before it are skipped, and counted. */
static bool take(struct net *n, struct report *r, unsigned *others)
{
	uint32_t len;

	*others = 0;
	while ((len = net_sent(n, buf, sizeof(buf)))) {
		if (buf[20] == 0) {
			take_apart(r, len);
			return true;
		}
		(*others)++;
	}
	return false;
}

static void assert_no_report(struct net *n)
{
	struct report r;
	unsigned others;

	assert_false(take(n, &r, &others));
}

static void assert_addr(const struct mr_addr *got, const char *want)
{
	char text[MR_ADDR_STRLEN];

	assert_string_equal(mr_addr_format(got, text, sizeof(text)), want);
}

/* ---- Joining --------------------------------------------------------------------------------- */

static struct net *fresh(const char *a, const char *b)
{
	const struct mr_prefix own[2] = { prefix(a), prefix(b) };
	static struct net n;

	net_open_raw(&n, own, 2);
	n.link.announcements_left = 1; /* nothing is announced by ARP */
	return &n;
}

/* RFC 4862 section 5.4.2, RFC 3590 section 4: before anything else, from nowhere. */
static void rfc3590_4_groups_are_reported_before_addresses_are_probed(void **state)
{
	struct net *n = fresh("2001:db8::1/64", "fe80::2/64");
	struct report r;
	unsigned others, before = 0, after = 0;

	(void)state;
	net_run(n, n->now + MS);
	assert_true(take(n, &r, &others));
	assert_int_equal(others, 0);
	assert_true(mr_addr_is_any(&r.src));
	assert_addr(&r.dst, "ff02::16");
	assert_int_equal(r.type, REPORT_V2);
	assert_int_equal(r.kind, TO_EXCLUDE);
	assert_int_equal(r.ngroups, 2);
	assert_addr(&r.group[0], "ff02::1:ff00:1");
	assert_addr(&r.group[1], "ff02::1:ff00:2");
	assert_false(take(n, &r, &others));
	assert_int_equal(others, 2); /* the probes */
	/* RFC 3810 section 6.1: once more within a second; and all of it when there is an address. */
	for (int ms = 0; ms < 5000; ms += 10) {
		net_run(n, n->now + 10 * MS);
		while (take(n, &r, &others)) {
			bool usable = mr_link_usable(&n->link, &n->link.addrs[1]);

			assert_int_equal(r.kind, TO_EXCLUDE);
			assert_int_equal(r.ngroups, 2);
			if (usable)
				assert_addr(&r.src, "fe80::2");
			else
				assert_true(mr_addr_is_any(&r.src));
			before += !usable;
			after += usable;
		}
	}
	assert_int_equal(before, 1);
	assert_int_equal(after, 2);
	assert_int_equal(n->ctr.c[MR_CTR_MLD_REPORTS_OUT], 4);
	net_run(n, n->now + 60 * S);
	assert_no_report(n);
	net_close(n);
}

static void rfc3810_6_addresses_that_share_a_group_make_one_record(void **state)
{
	struct net *n = fresh("2001:db8::7:1/64", "fe80::7:1/64");
	struct report r;
	unsigned others;

	(void)state;
	net_run(n, n->now + MS);
	assert_true(take(n, &r, &others));
	assert_int_equal(r.ngroups, 1);
	assert_addr(&r.group[0], "ff02::1:ff07:1");
	net_run(n, n->now + 60 * S);
	while (take(n, &r, &others))
		assert_int_equal(r.ngroups, 1);
	net_close(n);
}

static void rfc3810_5_2_many_groups_make_several_reports(void **state)
{
	struct mr_prefix own[MR_LINK_ADDRS_MAX];
	static struct net n;
	struct report r;
	unsigned others, seen = 0;

	(void)state;
	for (unsigned i = 0; i < MR_LINK_ADDRS_MAX; i++) {
		own[i] = prefix("2001:db8::1/64");
		own[i].addr.b[14] = (uint8_t)i;
	}
	net_open_raw(&n, own, MR_LINK_ADDRS_MAX);
	n.link.announcements_left = 1;
	net_run(&n, n.now + MS);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(take(&n, &r, &others));
		for (unsigned g = 0; g < r.ngroups; g++, seen++)
			assert_int_equal(r.group[g].b[14], seen);
	}
	assert_int_equal(seen, MR_LINK_ADDRS_MAX);
	assert_no_report(&n);
	net_run(&n, n.now + 60 * S);
	while (take(&n, &r, &others))
		;
	net_close(&n);
}

static void rfc3810_6_without_ipv6_nothing_is_reported(void **state)
{
	const struct mr_prefix own = prefix("10.0.0.1/24");
	static struct net n;

	(void)state;
	net_open_raw(&n, &own, 1);
	n.link.announcements_left = 1;
	net_run(&n, n.now + 10 * S);
	while (net_sent(&n, buf, sizeof(buf)))
		assert_int_equal(buf[12] << 8 | buf[13], 0x0806);
	assert_int_equal(n.ctr.c[MR_CTR_MLD_REPORTS_OUT], 0);
	net_close(&n);
}

/* ---- Queries --------------------------------------------------------------------------------- */

/* How a query departs from a right one. */
struct query {
	const char *src, *dst, *group;
	uint16_t code;
	uint16_t len; /* of the message; 0: 28 */
	uint8_t hlim; /* 0: 1 */
	bool no_alert;
	uint16_t nsources; /* that it names */
};

static enum mr_up ask(struct net *n, const struct query *q)
{
	const char *src = q->src ? q->src : "fe80::9", *dst = q->dst ? q->dst : "ff02::1";
	uint8_t pay[8 + 28 + 16 * 3] = { 58, 0, 5, 2, 0, 0, 1, 0 }, *icmp = pay + 8;
	struct mr_addr s = addr(src), d = addr(dst), group = addr(q->group ? q->group : "::");
	uint32_t len = q->len ? q->len : 28 + 16u * q->nsources;
	uint16_t csum;

	if (q->no_alert)
		memcpy(pay + 2, "\1\4\0\0\0\0", 6); /* nothing but padding */
	icmp[0] = QUERY;
	icmp[4] = (uint8_t)(q->code >> 8);
	icmp[5] = (uint8_t)q->code;
	memcpy(icmp + 8, group.b, 16);
	icmp[27] = (uint8_t)q->nsources;
	csum = (uint16_t)~mr_csum_fold(
		mr_csum_add(mr_csum(icmp, len), mr_csum_pseudo(&s, &d, 58, len)));
	memcpy(icmp + 2, &csum, 2);
	return net_input_bytes(n, buf,
			       build_ipv6(buf, src, dst, 0, q->hlim ? q->hlim : 1, pay, 8 + len));
}

#define ASK(n, ...) ask(n, &(struct query){ __VA_ARGS__ })

/* The one report within this time, and how late it was. */
static uint64_t answer(struct net *n, uint64_t within, struct report *r)
{
	uint64_t begin = n->now;
	unsigned others;

	while (n->now < begin + within) {
		net_run(n, n->now + MS);
		if (take(n, r, &others)) {
			assert_no_report(n);
			return n->now - begin;
		}
	}
	fail_msg("no report came");
	*r = (struct report){ 0 };
	return 0;
}

static void rfc3810_6_2_general_query_is_answered_after_a_random_delay(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;
	struct net *n = *state;
	struct report r;

	for (int i = 0; i < 20; i++) {
		uint64_t late;

		net_run(n, n->now + 10 * S);
		assert_int_equal(ASK(n, .code = 10000), MR_UP_DONE);
		late = answer(n, 10 * S + MS, &r);
		least = mr_min(least, late);
		most = mr_max(most, late);
		assert_int_equal(r.kind, IS_EXCLUDE);
		assert_addr(&r.src, "fe80::1");
		assert_addr(&r.dst, "ff02::16");
		assert_int_equal(r.ngroups, 1); /* both addresses have this one */
		assert_addr(&r.group[0], "ff02::1:ff00:1");
	}
	assert_true(least < 3 * S && most > 7 * S);
	net_run(n, n->now + 60 * S);
	assert_no_report(n);
	assert_int_equal(n->ctr.c[MR_CTR_MLD_QUERIES_IN], 20);
}

static void rfc3810_6_2_query_about_a_group_is_answered_if_it_is_ours(void **state)
{
	struct net *n = *state;
	struct report r;

	assert_int_equal(ASK(n, .group = "ff02::1:ff00:1", .dst = "ff02::1:ff00:1", .code = 1000),
			 MR_UP_DONE);
	answer(n, S + MS, &r);
	assert_int_equal(r.ngroups, 1);
	/* About certain sources: every one is wanted. */
	assert_int_equal(ASK(n, .group = "ff02::1:ff00:1", .dst = "ff02::1:ff00:1", .nsources = 3,
			     .code = 1000),
			 MR_UP_DONE);
	answer(n, S + MS, &r);
	assert_int_equal(r.kind, IS_EXCLUDE);
	/* Others, and all nodes, which are never reported (section 6). */
	assert_int_equal(ASK(n, .group = "ff02::1:ff00:2", .code = 1), MR_UP_DONE);
	assert_int_equal(ASK(n, .group = "ff02::1", .code = 1), MR_UP_DONE);
	net_run(n, n->now + 10 * S);
	assert_no_report(n);
}

static void rfc3810_6_2_an_answer_that_is_due_sooner_does_for_both(void **state)
{
	struct net *n = *state;
	struct report r;

	assert_int_equal(ASK(n, .code = 0x8fff), MR_UP_DONE); /* up to 65 s: section 5.1.3 */
	assert_int_equal(ASK(n, .code = 100), MR_UP_DONE);
	answer(n, 101 * MS, &r);
	net_run(n, n->now + 100 * S);
	assert_no_report(n);
}

static void rfc3810_5_1_3_long_delays_are_written_with_an_exponent(void **state)
{
	struct net *n = *state;
	struct report r;
	uint64_t most = 0;

	for (int i = 0; i < 20; i++) { /* 0x1000 << 4 ms */
		assert_int_equal(ASK(n, .code = 0x9000), MR_UP_DONE);
		most = mr_max(most, answer(n, 66 * S, &r));
		net_run(n, n->now + S);
	}
	assert_true(most > 40 * S);
}

static void rfc3810_6_2_bad_queries_are_dropped(void **state)
{
	static const struct query rows[] = {
		{ .src = "2001:db8::9" }, /* no neighbour's */
		{ .src = "::" },
		{ .hlim = 2 },
		{ .hlim = 255 },
		{ .no_alert = true },
		{ .len = 16 },
		{ .len = 25 },
		{ .len = 27 },
		{ .group = "2001:db8::1" }, /* no group */
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		if (ask(n, &rows[i]) != MR_UP_DROP || n->reason != MR_DROP_MLD_BAD)
			fail_msg("row %zu was not dropped, or for another reason", i);
	}
	net_run(n, n->now + 60 * S);
	assert_no_report(n);
	assert_int_equal(n->ctr.c[MR_CTR_MLD_QUERIES_IN], 0);
}

/* However many ask, and however hurried: ten answers in a second. */
static void rfc3810_11_a_flood_of_queries_gets_few_answers(void **state)
{
	struct net *n = *state;
	unsigned others, reports = 0;
	struct report r;

	for (int ms = 0; ms < 2000; ms++) {
		for (int i = 0; i < 10; i++)
			assert_int_equal(ASK(n, .code = 0), MR_UP_DONE);
		net_run(n, n->now + MS);
		while (take(n, &r, &others))
			reports++;
	}
	assert_true(reports >= 15 && reports <= 21);
	net_run(n, n->now + S);
	while (take(n, &r, &others))
		;
}

/* A router that only knows version 1 is answered in it, and so is everybody for a while. */
static void rfc3810_8_2_1_version_1_is_spoken_with_who_asks_in_it(void **state)
{
	struct net *n = *state;
	struct report r;

	assert_int_equal(ASK(n, .len = 24, .code = 1000), MR_UP_DONE);
	answer(n, S + MS, &r);
	assert_int_equal(r.type, REPORT);
	assert_addr(&r.dst, "ff02::1:ff00:1");
	assert_int_equal(ASK(n, .code = 1000), MR_UP_DONE);
	answer(n, S + MS, &r);
	assert_int_equal(r.type, REPORT);
	net_run(n, n->now + 261 * S);
	assert_int_equal(ASK(n, .code = 1000), MR_UP_DONE);
	answer(n, S + MS, &r);
	assert_int_equal(r.type, REPORT_V2);
}

/* What comes by a group is the kernel's as well, so the XDP program notes it. */
static void rfc3810_6_2_a_query_that_was_noted_is_as_good(void **state)
{
	struct mr_addr src = addr("fe80::9"), dst = addr("ff02::1");
	struct mr_note_nd note = { .len = 28 };
	struct net *n = *state;
	struct report r;

	memcpy(note.src, src.b, 16);
	memcpy(note.dst, dst.b, 16);
	build_icmp6(note.msg, "fe80::9", "ff02::1", QUERY, 0, 1000u << 16, (uint8_t[20]){ 0 }, 20);
	note.msg[27] ^= 1;
	mr_ip_nd_note(&n->ip, &note, n->now);
	assert_int_equal(n->ctr.drop[MR_DROP_ICMP_BAD_CSUM], 1);
	note.msg[27] ^= 1;
	mr_ip_nd_note(&n->ip, &note, n->now);
	answer(n, S + MS, &r);
	assert_int_equal(r.kind, IS_EXCLUDE);
}

/* The kernel has its own addresses and speaks for them. */
static void rfc3810_6_a_shared_engine_reports_nothing(void **state)
{
	const struct mr_prefix own = prefix("2001:db8::1/64");
	struct net *n = *state;

	mr_link_set_addrs(&n->link, &own, 1);
	net_run(n, n->now + 60 * S);
	assert_no_report(n);
}

int main(void)
{
#define T6(test) cmocka_unit_test_setup_teardown(test, net_setup6, net_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc3590_4_groups_are_reported_before_addresses_are_probed),
		cmocka_unit_test(rfc3810_6_addresses_that_share_a_group_make_one_record),
		cmocka_unit_test(rfc3810_5_2_many_groups_make_several_reports),
		cmocka_unit_test(rfc3810_6_without_ipv6_nothing_is_reported),
		T6(rfc3810_6_2_general_query_is_answered_after_a_random_delay),
		T6(rfc3810_6_2_query_about_a_group_is_answered_if_it_is_ours),
		T6(rfc3810_6_2_an_answer_that_is_due_sooner_does_for_both),
		T6(rfc3810_5_1_3_long_delays_are_written_with_an_exponent),
		T6(rfc3810_6_2_bad_queries_are_dropped),
		T6(rfc3810_11_a_flood_of_queries_gets_few_answers),
		T6(rfc3810_6_2_a_query_that_was_noted_is_as_good),
		T6(rfc3810_8_2_1_version_1_is_spoken_with_who_asks_in_it),
		cmocka_unit_test_setup_teardown(rfc3810_6_a_shared_engine_reports_nothing,
						net_setup_shared, net_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
