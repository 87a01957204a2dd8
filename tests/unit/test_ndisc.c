// SPDX-License-Identifier: BSD-2-Clause
/* test_ndisc.c - IPv6 addresses before use, solicitations, advertisements, routers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/if_ether.h>
#include <string.h>
#include "../lib/net_fixture.h"
#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"
#include "link/link_priv.h"

#define RS 133
#define RA 134
#define NS 135
#define NA 136

#define SOLICITED 0x40000000u
#define OVERRIDE  0x20000000u
#define ROUTER	  0x80000000u

#define S MR_NS_PER_S

static const uint8_t other_mac[6] = { 0x02, 0, 0, 0, 0, 0x55 };
static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t mld_routers_mac[6] = { 0x33, 0x33, 0, 0, 0, 0x16 };
static uint8_t buf[512];

/* One packet that was sent, taken apart; every one is checked for what all have in common. */
struct sent {
	uint8_t eth_dst[6], type;
	struct mr_addr src, dst, target;
	uint32_t flags;
	uint8_t opt, opt_bytes[6];
};

static bool take(struct net *n, struct sent *s)
{
	const uint8_t *ip = buf + 14, *icmp = ip + 40;
	uint32_t len, opt_at;

	do /* reports of groups are test_mld.c's */
		len = net_sent(n, buf, sizeof(buf));
	while (len && !memcmp(buf, mld_routers_mac, 6));
	memset(s, 0, sizeof(*s));
	if (!len)
		return false;
	assert_int_equal(buf[12] << 8 | buf[13], ETH_P_IPV6);
	assert_memory_equal(buf + 6, net_mac, 6);
	assert_int_equal(ip[0] >> 4, 6);
	assert_int_equal(ip[4] << 8 | ip[5], len - 54);
	assert_int_equal(ip[6], 58);
	assert_int_equal(ip[7], 255);
	memcpy(s->eth_dst, buf, 6);
	memcpy(s->src.b, ip + 8, 16);
	memcpy(s->dst.b, ip + 24, 16);
	assert_int_equal(mr_csum_fold(mr_csum_add(mr_csum(icmp, len - 54),
						  mr_csum_pseudo(&s->src, &s->dst, 58, len - 54))),
			 0xffff);
	s->type = icmp[0];
	assert_int_equal(icmp[1], 0);
	s->flags = (uint32_t)icmp[4] << 24;
	opt_at = s->type == RS ? 8 : 24;
	if (s->type != RS)
		memcpy(s->target.b, icmp + 8, 16);
	if (len > 54 + opt_at) {
		assert_int_equal(len, 54 + opt_at + 8);
		s->opt = icmp[opt_at];
		assert_int_equal(icmp[opt_at + 1], 1);
		memcpy(s->opt_bytes, icmp + opt_at + 2, 6);
	}
	return true;
}

static void assert_addr(const struct mr_addr *got, const char *want)
{
	char text[MR_ADDR_STRLEN];

	assert_string_equal(mr_addr_format(got, text, sizeof(text)), want);
}

static void assert_nothing_sent(struct net *n)
{
	struct sent s;

	assert_false(take(n, &s));
}

static enum mr_up input_nd(struct net *n, const char *src, const char *dst, uint8_t type,
			   uint32_t flags, const char *target, uint8_t opt, const uint8_t *mac)
{
	return net_input_bytes(n, buf, build_nd(buf, src, dst, type, flags, target, opt, mac));
}

static void assert_dropped(struct net *n, enum mr_up up, enum mr_drop reason)
{
	assert_int_equal(up, MR_UP_DROP);
	assert_string_equal(mr_drop_name(n->reason), mr_drop_name(reason));
}

/* ---- Before use ------------------------------------------------------------------------------ */

static struct net *fresh(void)
{
	const struct mr_prefix own[2] = { prefix("2001:db8::1/64"), prefix("fe80::1/64") };
	static struct net n;

	net_open_raw(&n, own, 2);
	n.link.announcements_left = 1; /* no IPv4 address here: nothing is announced by ARP */
	return &n;
}

static void rfc4862_5_4_an_address_is_tentative_for_a_second(void **state)
{
	struct net *n = fresh();
	struct mr_addr a = addr("2001:db8::1"), peer = addr("2001:db8::9");
	struct mr_neigh *neigh;
	struct sent s;

	(void)state;
	net_run(n, n->now + 1);
	net_run(n, n->now + MR_NS_PER_MS);
	for (int i = 0; i < 2; i++) {
		assert_true(take(n, &s));
		assert_int_equal(s.type, NS);
		assert_true(mr_addr_is_any(&s.src));
		assert_addr(&s.dst, "ff02::1:ff00:1");
		assert_memory_equal(s.eth_dst, "\x33\x33\xff\0\0\1", 6);
		assert_addr(&s.target, i ? "fe80::1" : "2001:db8::1");
		assert_int_equal(s.opt, 14); /* a nonce, and not our MAC address */
	}
	assert_nothing_sent(n);
	assert_false(mr_link_usable(&n->link, &a));

	/* Nothing is answered, nobody is asked, no packet goes out. */
	assert_dropped(
		n, input_nd(n, "2001:db8::9", "ff02::1:ff00:1", NS, 0, "2001:db8::1", 1, peer_mac),
		MR_DROP_IP_TENTATIVE);
	assert_dropped(n,
		       input_nd(n, "2001:db8::9", "2001:db8::1", NS, 0, "2001:db8::1", 1, peer_mac),
		       MR_DROP_IP_TENTATIVE);
	neigh = mr_neigh_get(&n->link, &peer, n->now);
	assert_int_equal(
		mr_link_output(&n->link, net_frame(n, buf, 60, 0), neigh, ETH_P_IPV6, n->now), 0);
	assert_nothing_sent(n);

	net_run(n, n->now + S + 10 * MR_NS_PER_MS);
	assert_true(mr_link_usable(&n->link, &a));
	for (int i = 0; i < 2; i++) { /* now everybody is told */
		assert_true(take(n, &s));
		assert_int_equal(s.type, NA);
		assert_int_equal(s.flags, OVERRIDE);
		assert_addr(&s.dst, "ff02::1");
		assert_memory_equal(s.eth_dst, all_nodes_mac, 6);
		assert_int_equal(s.opt, 2);
		assert_memory_equal(s.opt_bytes, net_mac, 6);
	}
	assert_true(take(n, &s));
	assert_int_equal(s.type, RS);
	assert_true(take(n, &s)); /* and the packet's neighbour is asked for */
	assert_int_equal(s.type, NS);
	assert_addr(&s.target, "2001:db8::9");
	assert_nothing_sent(n);
	mr_neigh_put(&n->link, neigh);
	net_run(n, n->now + 60 * S);
	while (take(n, &s))
		;
	net_close(n);
}

static void rfc4862_5_4_a_duplicate_stays_unused(void **state)
{
	static const struct {
		const char *name, *src, *dst;
		uint8_t type;
		uint32_t flags;
		uint8_t opt;
		bool duplicate;
	} rows[] = {
		{ "another probes", "::", "ff02::1:ff00:1", NS, 0, 0, true },
		{ "with another nonce", "::", "ff02::1:ff00:1", NS, 0, 14, true },
		{ "has it", "2001:db8::1", "ff02::1", NA, OVERRIDE, 2, true },
		{ "has it, without saying where", "fe80::7", "ff02::1", NA, 0, 0, true },
		{ "looks for it", "2001:db8::9", "ff02::1:ff00:1", NS, 0, 1, false },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct net *n = fresh();
		struct mr_addr a = addr("2001:db8::1"), other = addr("fe80::1"), src;
		struct mr_addr far = addr("2001:db8::9");
		struct sent s;

		net_run(n, n->now + MR_NS_PER_MS);
		/* Its source is ours: such a claim comes as a note or by a switch that is misled. */
		if (!strcmp(rows[i].src, "2001:db8::1"))
			assert_dropped(n,
				       input_nd(n, rows[i].src, rows[i].dst, rows[i].type,
						rows[i].flags, "2001:db8::1", rows[i].opt,
						other_mac),
				       MR_DROP_ND_CONFLICT);
		else
			assert_dropped(
				n,
				input_nd(n, rows[i].src, rows[i].dst, rows[i].type, rows[i].flags,
					 "2001:db8::1", rows[i].opt, other_mac),
				rows[i].duplicate ? MR_DROP_ND_CONFLICT : MR_DROP_IP_TENTATIVE);
		net_run(n, n->now + 20 * S);
		assert_int_equal(mr_link_usable(&n->link, &a), !rows[i].duplicate);
		assert_true(mr_link_usable(&n->link, &other));
		assert_int_equal(n->ctr.c[MR_CTR_ND_DUPLICATES], rows[i].duplicate);
		assert_int_equal(mr_ip_source(&n->ip, &far, &src), 0);
		assert_addr(&src, rows[i].duplicate ? "fe80::1" : "2001:db8::1");
		while (take(n, &s))
			;
		net_close(n);
	}
}

static void rfc7527_our_own_probe_is_no_duplicate(void **state)
{
	struct net *n = fresh();
	struct mr_addr a = addr("2001:db8::1");
	struct sent s;

	(void)state;
	net_run(n, n->now + MR_NS_PER_MS);
	assert_true(take(n, &s)); /* it is in buf */
	assert_dropped(n, net_input_bytes(n, buf, 14 + 40 + 24 + 8), MR_DROP_ND_NOT_OURS);
	net_run(n, n->now + 20 * S);
	assert_true(mr_link_usable(&n->link, &a));
	while (take(n, &s))
		;
	net_close(n);
}

/* ---- Solicitations --------------------------------------------------------------------------- */

static void rfc2464_7_solicitations_for_us_are_answered(void **state)
{
	struct mr_addr asker = addr("2001:db8::9");
	struct net *n = *state;
	struct sent s;

	assert_int_equal(
		input_nd(n, "2001:db8::9", "ff02::1:ff00:1", NS, 0, "2001:db8::1", 1, peer_mac),
		MR_UP_DONE);
	assert_true(take(n, &s));
	assert_int_equal(s.type, NA);
	assert_int_equal(s.flags, SOLICITED | OVERRIDE);
	assert_addr(&s.src, "2001:db8::1");
	assert_addr(&s.dst, "2001:db8::9");
	assert_addr(&s.target, "2001:db8::1");
	assert_memory_equal(s.eth_dst, peer_mac, 6);
	assert_int_equal(s.opt, 2);
	assert_memory_equal(s.opt_bytes, net_mac, 6);
	assert_int_equal(mr_neigh_find(&n->link, &asker)->state, MR_NEIGH_STALE);
	assert_int_equal(n->ctr.c[MR_CTR_ND_SOLICITS_IN], 1);

	/* One who has no address yet is told by way of everybody. */
	assert_int_equal(input_nd(n, "::", "ff02::1:ff00:1", NS, 0, "fe80::1", 0, NULL),
			 MR_UP_DONE);
	assert_true(take(n, &s));
	assert_int_equal(s.flags, OVERRIDE);
	assert_addr(&s.dst, "ff02::1");
	assert_addr(&s.target, "fe80::1");

	/* One who does not say where it is, is answered where it was last. */
	assert_int_equal(input_nd(n, "2001:db8::9", "2001:db8::1", NS, 0, "2001:db8::1", 0, NULL),
			 MR_UP_DONE);
	assert_true(take(n, &s));
	assert_int_equal(s.flags, SOLICITED | OVERRIDE);
	assert_memory_equal(s.eth_dst, peer_mac, 6);
	assert_nothing_sent(n);
	/* And if that is not known, it is asked for. */
	assert_int_equal(input_nd(n, "2001:db8::8", "2001:db8::1", NS, 0, "2001:db8::1", 0, NULL),
			 MR_UP_DONE);
	assert_true(take(n, &s));
	assert_int_equal(s.type, NS);
	assert_addr(&s.target, "2001:db8::8");
	net_run(n, n->now + 10 * S);
	while (take(n, &s))
		;
}

static void rfc4861_7_1_what_is_malformed_is_dropped(void **state)
{
	static const uint8_t group_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const struct {
		const char *name, *src, *dst;
		uint8_t type;
		uint32_t flags;
		const char *target;
		uint8_t opt;
		const uint8_t *mac;
		unsigned at; /* a byte of the frame, replaced before the checksum is mended */
		uint8_t value;
		enum mr_drop reason;
	} rows[] = {
		{ "hop limit", "fe80::9", "fe80::1", NS, 0, "fe80::1", 1, peer_mac, 21, 254,
		  MR_DROP_ND_BAD },
		{ "code", "fe80::9", "fe80::1", NS, 0, "fe80::1", 1, peer_mac, 55, 1,
		  MR_DROP_ND_BAD },
		{ "no target", "fe80::9", "fe80::1", NS, 0, NULL, 0, NULL, 0, 0, MR_DROP_ND_BAD },
		{ "multicast target", "fe80::9", "fe80::1", NS, 0, "ff02::1", 1, peer_mac, 0, 0,
		  MR_DROP_ND_BAD },
		{ "option of length 0", "fe80::9", "fe80::1", NS, 0, "fe80::1", 1, peer_mac, 79, 0,
		  MR_DROP_ND_BAD },
		{ "option beyond the end", "fe80::9", "fe80::1", NS, 0, "fe80::1", 1, peer_mac, 79,
		  2, MR_DROP_ND_BAD },
		{ "group for a station", "fe80::9", "fe80::1", NS, 0, "fe80::1", 1, group_mac, 0, 0,
		  MR_DROP_ND_BAD },
		{ "probe with an address", "::", "ff02::1:ff00:1", NS, 0, "fe80::1", 1, peer_mac, 0,
		  0, MR_DROP_ND_BAD },
		{ "probe to one station", "::", "fe80::1", NS, 0, "fe80::1", 0, NULL, 0, 0,
		  MR_DROP_ND_BAD },
		{ "for another", "fe80::9", "ff02::1:ff00:1", NS, 0, "fe80::2", 1, peer_mac, 0, 0,
		  MR_DROP_ND_NOT_OURS },
		{ "solicited by all", "fe80::9", "ff02::1", NA, SOLICITED, "fe80::9", 2, peer_mac,
		  0, 0, MR_DROP_ND_BAD },
		{ "of nobody we know", "fe80::9", "ff02::1", NA, 0, "fe80::9", 2, peer_mac, 0, 0,
		  MR_DROP_ND_NOT_OURS },
		{ "router from afar", "2001:db8::9", "ff02::1", RA, 0x00000708, "::", 0, NULL, 0, 0,
		  MR_DROP_ND_BAD },
		{ "router, short", "fe80::9", "ff02::1", RA, 0x00000708, NULL, 0, NULL, 0, 0,
		  MR_DROP_ND_BAD },
		{ "we are no router", "fe80::9", "ff02::1", RS, 0, NULL, 1, peer_mac, 0, 0,
		  MR_DROP_ICMP_TYPE },
		{ "redirect", "fe80::9", "fe80::1", 137, 0, "fe80::1", 0, NULL, 0, 0,
		  MR_DROP_ICMP_TYPE },
	};
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_addr src = addr(rows[i].src), dst = addr(rows[i].dst);
		uint32_t len = build_nd(buf, rows[i].src, rows[i].dst, rows[i].type, rows[i].flags,
					rows[i].target, rows[i].opt, rows[i].mac);
		uint16_t csum;

		if (rows[i].at) {
			buf[rows[i].at] = rows[i].value;
			memset(buf + 56, 0, 2);
			csum = (uint16_t)~mr_csum_fold(
				mr_csum_add(mr_csum(buf + 54, len - 54),
					    mr_csum_pseudo(&src, &dst, 58, len - 54)));
			memcpy(buf + 56, &csum, 2);
		}
		assert_dropped(n, net_input_bytes(n, buf, len), rows[i].reason);
		assert_nothing_sent(n);
	}
	assert_int_equal(n->ip.nrouters, 0);
}

/* ---- Advertisements -------------------------------------------------------------------------- */

/* RFC 4861 appendix C, the part that is about advertisements. */
static void rfc4861_7_2_5_advertisements_move_the_state(void **state)
{
	enum { NEW = 1, SAME, NONE };
	static const struct {
		enum mr_neigh_state from;
		int mac;
		uint32_t flags;
		enum mr_neigh_state to;
		bool taken; /* the MAC address is the new one afterwards */
	} rows[] = {
		{ MR_NEIGH_INCOMPLETE, NEW, SOLICITED, MR_NEIGH_REACHABLE, true },
		{ MR_NEIGH_INCOMPLETE, NEW, 0, MR_NEIGH_STALE, true },
		{ MR_NEIGH_INCOMPLETE, NEW, OVERRIDE, MR_NEIGH_STALE, true },
		{ MR_NEIGH_INCOMPLETE, NONE, SOLICITED, MR_NEIGH_INCOMPLETE, false },
		{ MR_NEIGH_REACHABLE, NEW, 0, MR_NEIGH_STALE, false },
		{ MR_NEIGH_REACHABLE, NEW, SOLICITED, MR_NEIGH_STALE, false },
		{ MR_NEIGH_REACHABLE, NEW, OVERRIDE, MR_NEIGH_STALE, true },
		{ MR_NEIGH_REACHABLE, NEW, SOLICITED | OVERRIDE, MR_NEIGH_REACHABLE, true },
		{ MR_NEIGH_REACHABLE, SAME, 0, MR_NEIGH_REACHABLE, false },
		{ MR_NEIGH_STALE, NEW, SOLICITED, MR_NEIGH_STALE, false },
		{ MR_NEIGH_STALE, NEW, OVERRIDE, MR_NEIGH_STALE, true },
		{ MR_NEIGH_STALE, SAME, SOLICITED, MR_NEIGH_REACHABLE, false },
		{ MR_NEIGH_STALE, NONE, SOLICITED, MR_NEIGH_REACHABLE, false },
		{ MR_NEIGH_PROBE, SAME, SOLICITED, MR_NEIGH_REACHABLE, false },
		{ MR_NEIGH_PROBE, NEW, 0, MR_NEIGH_PROBE, false },
		{ MR_NEIGH_FAILED, NEW, OVERRIDE, MR_NEIGH_STALE, true },
	};
	struct mr_addr peer = addr("2001:db8::9");
	struct net *n = *state;
	struct mr_neigh *neigh = mr_neigh_get(&n->link, &peer, n->now);

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		const uint8_t *mac = rows[i].mac == NEW ? other_mac : peer_mac;

		neigh->state = (uint8_t)rows[i].from;
		memcpy(neigh->mac, peer_mac, 6);
		assert_int_equal(input_nd(n, "2001:db8::9", "2001:db8::1", NA, rows[i].flags,
					  "2001:db8::9", rows[i].mac == NONE ? 0 : 2, mac),
				 MR_UP_DONE);
		assert_int_equal(neigh->state, rows[i].to);
		assert_memory_equal(neigh->mac, rows[i].taken ? other_mac : peer_mac, 6);
	}
	mr_neigh_put(&n->link, neigh);
}

static void rfc4861_7_2_2_a_packet_waits_for_the_answer(void **state)
{
	struct mr_addr peer = addr("fe80::9");
	struct net *n = *state;
	struct mr_neigh *neigh = mr_neigh_get(&n->link, &peer, n->now);
	struct sent s;

	assert_int_equal(
		mr_link_output(&n->link, net_frame(n, buf, 60, 0), neigh, ETH_P_IPV6, n->now), 0);
	assert_true(take(n, &s));
	assert_int_equal(s.type, NS);
	assert_addr(&s.src, "fe80::1"); /* of ours the one most like it */
	assert_addr(&s.dst, "ff02::1:ff00:9");
	assert_memory_equal(s.eth_dst, "\x33\x33\xff\0\0\x9", 6);
	assert_int_equal(s.opt, 1);
	assert_memory_equal(s.opt_bytes, net_mac, 6);
	assert_nothing_sent(n);
	assert_int_equal(
		input_nd(n, "fe80::9", "fe80::1", NA, SOLICITED | OVERRIDE, "fe80::9", 2, peer_mac),
		MR_UP_DONE);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 74);
	assert_memory_equal(buf, peer_mac, 6);
	assert_int_equal(buf[12] << 8 | buf[13], ETH_P_IPV6);
	assert_int_equal(neigh->state, MR_NEIGH_REACHABLE);

	/* Unreachability detection: used while stale, not confirmed, asked by unicast, gone. */
	net_run(n, n->now + 46 * S);
	assert_int_equal(neigh->state, MR_NEIGH_STALE);
	assert_int_equal(
		mr_link_output(&n->link, net_frame(n, buf, 60, 0), neigh, ETH_P_IPV6, n->now), 0);
	assert_int_equal(net_sent(n, buf, sizeof(buf)), 74);
	assert_ptr_equal(net_run(n, n->now + 9 * S), neigh);
	for (int i = 0; i < 3; i++) {
		assert_true(take(n, &s));
		assert_int_equal(s.type, NS);
		assert_addr(&s.dst, "fe80::9");
		assert_memory_equal(s.eth_dst, peer_mac, 6);
	}
	assert_nothing_sent(n);
	assert_int_equal(neigh->state, MR_NEIGH_FAILED);
	mr_neigh_put(&n->link, neigh);
}

static void rfc4861_7_3_1_acks_do_not_confirm_what_an_advertisement_has_just_changed(void **state)
{
	struct mr_addr peer = addr("2001:db8::9");
	struct net *n = *state;
	struct mr_neigh *neigh = mr_neigh_get(&n->link, &peer, n->now);

	net_learn6(n, "2001:db8::9");
	mr_neigh_confirm(&n->link, neigh, n->now);
	assert_int_equal(neigh->state, MR_NEIGH_REACHABLE);
	assert_int_equal(
		input_nd(n, "2001:db8::9", "ff02::1", NA, OVERRIDE, "2001:db8::9", 2, other_mac),
		MR_UP_DONE);
	mr_neigh_confirm(&n->link, neigh, n->now + S / 2);
	assert_int_equal(neigh->state, MR_NEIGH_STALE);
	mr_neigh_confirm(&n->link, neigh, n->now + S);
	assert_int_equal(neigh->state, MR_NEIGH_REACHABLE);
	mr_neigh_put(&n->link, neigh);
}

static void an_address_in_use_is_defended_but_not_for_ever(void **state)
{
	struct net *n = *state;
	struct sent s;

	for (int i = 0; i < 5; i++)
		assert_dropped(n,
			       input_nd(n, "fe80::7", "ff02::1", NA, OVERRIDE, "2001:db8::1", 2,
					other_mac),
			       MR_DROP_ND_CONFLICT);
	assert_true(take(n, &s));
	assert_int_equal(s.type, NA);
	assert_int_equal(s.flags, OVERRIDE);
	assert_addr(&s.target, "2001:db8::1");
	assert_nothing_sent(n);
	assert_int_equal(n->ctr.c[MR_CTR_ND_DUPLICATES], 0);
	/* Our own, come back, is no conflict. */
	assert_dropped(n,
		       input_nd(n, "fe80::7", "ff02::1", NA, OVERRIDE, "2001:db8::1", 2, net_mac),
		       MR_DROP_ND_NOT_OURS);
}

/* ---- Routers --------------------------------------------------------------------------------- */

static enum mr_up input_ra(struct net *n, const char *src, uint16_t lifetime, uint32_t mtu)
{
	uint8_t pay[8 + 8] = { 0 }, msg[64];
	uint32_t len = 8;

	if (mtu) {
		const uint8_t opt[8] = { 5,
					 1,
					 0,
					 0,
					 (uint8_t)(mtu >> 24),
					 (uint8_t)(mtu >> 16),
					 (uint8_t)(mtu >> 8),
					 (uint8_t)mtu };

		memcpy(pay + 8, opt, 8);
		len += 8;
	}
	len = build_icmp6(msg, src, "ff02::1", RA, 0, 64u << 24 | lifetime, pay, len);
	return net_input_bytes(n, buf, build_ipv6(buf, src, "ff02::1", 58, 255, msg, len));
}

static const char *gateway(struct net *n)
{
	static char text[MR_ADDR_STRLEN];
	struct mr_addr far = addr("2600::1");
	const struct mr_route *r = mr_route_lookup(&n->ip, &far);

	return r ? mr_addr_format(&r->gateway, text, sizeof(text)) : "none";
}

static void rfc4861_6_3_7_routers_are_asked_for_three_times(void **state)
{
	struct net *n = fresh();
	unsigned asked = 0;
	struct sent s;

	(void)state;
	net_run(n, n->now + 60 * S);
	while (take(n, &s)) {
		if (s.type != RS)
			continue;
		asked++;
		assert_addr(&s.src, "fe80::1");
		assert_addr(&s.dst, "ff02::2");
		assert_memory_equal(s.eth_dst, "\x33\x33\0\0\0\2", 6);
		assert_int_equal(s.opt, 1);
	}
	assert_int_equal(asked, 3);
	assert_int_equal(n->wheel.armed, 0);
	net_close(n);

	n = fresh();
	net_run(n, n->now + 2 * S);
	assert_int_equal(input_ra(n, "fe80::9", 1800, 0), MR_UP_DONE);
	net_run(n, n->now + 60 * S);
	for (asked = 0; take(n, &s);)
		asked += s.type == RS;
	assert_int_equal(asked, 1);
	net_close(n);
}

static void rfc4861_6_3_4_a_router_is_the_default_route_for_its_lifetime(void **state)
{
	struct net *n = *state;

	assert_string_equal(gateway(n), "none");
	assert_int_equal(input_ra(n, "fe80::9", 100, 0), MR_UP_DONE);
	assert_string_equal(gateway(n), "fe80::9");
	net_run(n, n->now + 99 * S);
	assert_string_equal(gateway(n), "fe80::9");
	assert_int_equal(input_ra(n, "fe80::9", 100, 0), MR_UP_DONE);
	net_run(n, n->now + 99 * S);
	assert_string_equal(gateway(n), "fe80::9");
	net_run(n, n->now + 2 * S);
	assert_string_equal(gateway(n), "none");

	assert_int_equal(input_ra(n, "fe80::9", 100, 0), MR_UP_DONE);
	assert_int_equal(input_ra(n, "fe80::9", 0, 0), MR_UP_DONE); /* it says good-bye */
	assert_string_equal(gateway(n), "none");
	assert_int_equal(n->wheel.armed, 0);
}

/* A redirect of the router in use, as RFC 4861 section 8.1 wants it: to a better first hop, to a
 * neighbour, with the MAC address of either. */
static void rfc4861_8_redirects_are_ignored(void **state)
{
	static const struct {
		const char *target, *dst;
	} rows[] = { { "fe80::7", "2001:db8:5::5" }, { "2001:db8::7", "2001:db8::7" } };
	const struct mr_addr afar = addr("2001:db8:5::5"), router = addr("fe80::9");
	struct net *n = *state;
	struct mr_dst dst = { 0 };

	assert_int_equal(input_ra(n, "fe80::9", 1800, 0), MR_UP_DONE);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_addr src = router, to = addr("fe80::1"), about = addr(rows[i].dst);
		uint32_t len = build_nd(buf, "fe80::9", "fe80::1", 137, 0, rows[i].target, 0, NULL);
		uint32_t icmp_len = len + 24 - 54;
		uint16_t csum;

		memcpy(buf + len, about.b, 16);
		memcpy(buf + len + 16, "\2\1", 2);
		memcpy(buf + len + 18, peer_mac, 6);
		buf[18] = (uint8_t)(icmp_len >> 8);
		buf[19] = (uint8_t)icmp_len;
		memset(buf + 56, 0, 2);
		csum = (uint16_t)~mr_csum_fold(mr_csum_add(
			mr_csum(buf + 54, icmp_len), mr_csum_pseudo(&src, &to, 58, icmp_len)));
		memcpy(buf + 56, &csum, 2);
		assert_dropped(n, net_input_bytes(n, buf, 54 + icmp_len), MR_DROP_ICMP_TYPE);
	}
	assert_int_equal(mr_dst_resolve(&n->ip, &dst, &afar, n->now), 0);
	assert_true(mr_addr_eq(&dst.neigh->addr, &router));
	assert_int_equal(dst.neigh->state, MR_NEIGH_INCOMPLETE);
	mr_dst_put(&n->ip, &dst);
}

static void rfc4861_6_3_6_another_router_takes_over(void **state)
{
	struct mr_addr first = addr("fe80::9");
	struct net *n = *state;

	assert_int_equal(input_ra(n, "fe80::9", 1800, 0), MR_UP_DONE);
	assert_int_equal(input_ra(n, "fe80::8", 900, 0), MR_UP_DONE);
	assert_string_equal(gateway(n), "fe80::9");
	mr_ip_neigh_failed(&n->ip, &first);
	assert_string_equal(gateway(n), "fe80::8");
	assert_int_equal(input_ra(n, "fe80::8", 0, 0), MR_UP_DONE);
	assert_string_equal(gateway(n), "fe80::9");
	/* It says that it is a host: RFC 4861 section 7.2.5. */
	mr_neigh_make(&n->link, &first);
	assert_int_equal(
		input_nd(n, "fe80::9", "fe80::1", NA, ROUTER | SOLICITED, "fe80::9", 2, peer_mac),
		MR_UP_DONE);
	assert_string_equal(gateway(n), "fe80::9");
	assert_int_equal(input_nd(n, "fe80::9", "fe80::1", NA, SOLICITED, "fe80::9", 2, peer_mac),
			 MR_UP_DONE);
	assert_string_equal(gateway(n), "none");
	for (int c = '1'; c <= '9'; c++) /* no more than there is room for */
		input_ra(n, (char[]){ 'f', 'e', '8', '0', ':', ':', 'a', (char)c, 0 }, 1800, 0);
	assert_int_equal(n->ip.nrouters, MR_ROUTERS_MAX);
	net_run(n, n->now + 1801 * S);
	assert_int_equal(n->ip.nrouters, 0);
}

static void the_operators_default_route_holds(void **state)
{
	struct mr_route r = { .dst = prefix("::/0"), .gateway = addr("fe80::5") };
	struct net *n = *state;

	assert_int_equal(mr_route_add(&n->ip, &r), 0);
	assert_int_equal(input_ra(n, "fe80::9", 100, 0), MR_UP_DONE);
	assert_string_equal(gateway(n), "fe80::5");
	net_run(n, n->now + 200 * S);
	assert_string_equal(gateway(n), "fe80::5");
}

static void rfc4861_6_3_4_routers_may_lower_the_mtu(void **state)
{
	static const struct {
		uint32_t said, is;
	} rows[] = { { 1400, 1400 }, { 0, 1400 }, { 1279, 1400 }, { 1280, 1280 }, { 9000, 1500 } };
	struct mr_addr near = addr("2001:db8::9");
	struct net *n = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_dst dst = { 0 };

		assert_int_equal(input_ra(n, "fe80::9", 100, rows[i].said), MR_UP_DONE);
		assert_int_equal(mr_dst_resolve(&n->ip, &dst, &near, n->now), 0);
		assert_int_equal(dst.mtu, rows[i].is);
		mr_dst_put(&n->ip, &dst);
	}
}

static void notes_are_as_good_as_packets_but_checked(void **state)
{
	struct mr_note_nd note = { .len = 16 };
	struct mr_addr src = addr("fe80::9"), dst = addr("ff02::1");
	struct net *n = *state;

	memcpy(note.src, src.b, 16);
	memcpy(note.dst, dst.b, 16);
	build_icmp6(note.msg, "fe80::9", "ff02::1", RA, 0, 1800, "\0\0\0\0\0\0\0\0", 8);
	note.msg[15] ^= 1;
	mr_ip_nd_note(&n->ip, &note, n->now);
	assert_int_equal(n->ctr.drop[MR_DROP_ICMP_BAD_CSUM], 1);
	note.msg[15] ^= 1;
	mr_ip_nd_note(&n->ip, &note, n->now);
	assert_string_equal(gateway(n), "fe80::9");
	note.len = 257;
	mr_ip_nd_note(&n->ip, &note, n->now);
	assert_int_equal(n->ctr.drop[MR_DROP_ICMP_TRUNCATED], 1);
}

int main(void)
{
#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, net_setup6, net_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4862_5_4_an_address_is_tentative_for_a_second),
		cmocka_unit_test(rfc4862_5_4_a_duplicate_stays_unused),
		cmocka_unit_test(rfc7527_our_own_probe_is_no_duplicate),
		NET_TEST(rfc2464_7_solicitations_for_us_are_answered),
		NET_TEST(rfc4861_7_1_what_is_malformed_is_dropped),
		NET_TEST(rfc4861_7_2_5_advertisements_move_the_state),
		NET_TEST(rfc4861_8_redirects_are_ignored),
		NET_TEST(rfc4861_7_2_2_a_packet_waits_for_the_answer),
		NET_TEST(rfc4861_7_3_1_acks_do_not_confirm_what_an_advertisement_has_just_changed),
		NET_TEST(an_address_in_use_is_defended_but_not_for_ever),
		cmocka_unit_test(rfc4861_6_3_7_routers_are_asked_for_three_times),
		NET_TEST(rfc4861_6_3_4_a_router_is_the_default_route_for_its_lifetime),
		NET_TEST(rfc4861_6_3_6_another_router_takes_over),
		NET_TEST(the_operators_default_route_holds),
		NET_TEST(rfc4861_6_3_4_routers_may_lower_the_mtu),
		NET_TEST(notes_are_as_good_as_packets_but_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
