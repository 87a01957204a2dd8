// SPDX-License-Identifier: BSD-2-Clause
/* test_addr.c - addresses as text, prefixes, who may be a peer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "base/addr.h"
#include "base/compiler.h"

static void addresses_survive_the_round_trip(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} rows[] = {
		{ "10.0.0.1", "10.0.0.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::", "::" },
		{ "2001:DB8:0:0::1", "2001:db8::1" },
		{ "::ffff:1.2.3.4", "1.2.3.4" },
		{ "", NULL },
		{ "10.0.0", NULL },
		{ "10.0.0.256", NULL },
		{ "10.0.0.1 ", NULL },
		{ "fe80::1%eth0", NULL },
		{ "example.org", NULL },
	};
	char buf[MR_ADDR_STRLEN];

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_addr a = { .w = { 1, 2, 3, 4 } };

		if (rows[i].out) {
			assert_int_equal(mr_addr_parse(rows[i].in, &a), 0);
			assert_string_equal(mr_addr_format(&a, buf, sizeof(buf)), rows[i].out);
		} else {
			assert_int_equal(mr_addr_parse(rows[i].in, &a), -EINVAL);
			assert_int_equal(a.w[3], 4);
		}
	}
}

static void endpoints_survive_the_round_trip(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = {
		{ "10.0.0.1:80", true },
		{ "0.0.0.0:0", true },
		{ "[2001:db8::1]:65535", true },
		{ "10.0.0.1", false },
		{ "10.0.0.1:", false },
		{ "10.0.0.1:65536", false },
		{ "10.0.0.1:+8", false },
		{ "10.0.0.1:8x", false },
		{ "::1:80", false },
		{ "[::1]80", false },
		{ "[10.0.0.1]:80", false },
		{ "[::1:80", false },
		{ "[:80", false },
		{ "", false },
		{ ":80", false },
	};
	char buf[MR_ENDPOINT_STRLEN];

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_endpoint ep = { .port = 7 };

		assert_int_equal(mr_endpoint_parse(rows[i].text, &ep), rows[i].ok ? 0 : -EINVAL);
		if (rows[i].ok)
			assert_string_equal(mr_endpoint_format(&ep, buf, sizeof(buf)),
					    rows[i].text);
		else
			assert_int_equal(ep.port, 7);
	}
}

static void rfc4007_11_a_zone_is_the_engines_interface(void **state)
{
	static const struct {
		const char *text, *ifname;
		int err;
	} rows[] = {
		{ "[fe80::1%eth0]:80", "eth0", 0 },
		{ "[fe80::1%a23456789012345]:1", "a23456789012345", 0 },
		{ "[fe80::1%eth1]:80", "eth0", -ENODEV },
		{ "[fe80::1%]:80", "eth0", -ENODEV },
		{ "[fe80::1%eth0]:80", NULL, -ENODEV },
		{ "[fe80::1%a-name-longer-than-any-of-an-interface-may-ever-be-and-more]:80",
		  "eth0", -EINVAL },
		{ "[2001:db8::1%eth0]:80", "eth0", -EINVAL }, /* it is everywhere */
		{ "10.0.0.1%eth0:80", "eth0", -EINVAL },
		{ "fe80::1%eth0:80", "eth0", -EINVAL },
		{ "[2001:db8::1]:80", "eth0", 0 },
		{ "10.0.0.1:80", "eth0", 0 },
	};
	char buf[MR_ENDPOINT_STRLEN + MR_ZONE_STRLEN];
	struct mr_endpoint ep;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		ep = (struct mr_endpoint){ .port = 7 };
		assert_int_equal(mr_endpoint_parse_zone(rows[i].text, rows[i].ifname, &ep),
				 rows[i].err);
		if (rows[i].err)
			assert_int_equal(ep.port, 7);
		else
			assert_string_equal(
				mr_endpoint_format_zone(&ep, rows[i].ifname, buf, sizeof(buf)),
				rows[i].text);
	}
	/* The zone may be left out: there is but one. */
	assert_int_equal(mr_endpoint_parse_zone("[fe80::1]:80", "eth0", &ep), 0);
	assert_string_equal(mr_endpoint_format(&ep, buf, sizeof(buf)), "[fe80::1]:80");
	assert_int_equal(mr_endpoint_parse("[fe80::1%eth0]:80", &ep), -EINVAL);
}

static void text_is_truncated_and_terminated(void **state)
{
	struct mr_addr a = mr_addr_v4(htonl(0x0a0b0c0d));
	char buf[6] = "xxxxx";

	(void)state;
	assert_string_equal(mr_addr_format(&a, buf, sizeof(buf)), "10.11");
}

static void prefixes_hold_what_they_should(void **state)
{
	static const struct {
		const char *prefix, *addr;
		bool in;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "11.0.0.1", false },
		{ "10.0.0.5/24", "10.0.0.200", true },
		{ "10.0.0.128/25", "10.0.0.127", false },
		{ "10.0.0.128/25", "10.0.0.128", true },
		{ "10.0.0.1/32", "10.0.0.1", true },
		{ "10.0.0.1/32", "10.0.0.0", false },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "10.0.0.1", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_prefix p;
		struct mr_addr a;

		assert_int_equal(mr_prefix_parse(rows[i].prefix, &p), 0);
		assert_int_equal(mr_addr_parse(rows[i].addr, &a), 0);
		assert_int_equal(mr_addr_in_prefix(&a, &p), rows[i].in);
	}
}

static void bad_prefixes_are_refused(void **state)
{
	static const char *const rows[] = { "10.0.0.1", "10.0.0.1/",   "10.0.0.1/33",	"::1/129",
					    "/24",	"10.0.0.1/-1", "10.0.0.1/24/8", "x/8" };
	struct mr_prefix p;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++)
		assert_int_equal(mr_prefix_parse(rows[i], &p), -EINVAL);
}

static void rfc1122_3_2_1_3_only_unicast_addresses_are_peers(void **state)
{
	static const struct {
		const char *addr;
		bool ok;
	} rows[] = {
		{ "10.0.0.1", true },
		{ "240.0.0.1", true },
		{ "0.0.0.0", false },
		{ "0.1.2.3", false },
		{ "127.0.0.1", false },
		{ "224.0.0.1", false },
		{ "239.255.255.255", false },
		{ "255.255.255.255", false },
		{ "::", false },
		{ "::1", false },
		{ "ff02::1", false },
		{ "fe80::1", true },
		{ "2001:db8::1", true },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_addr a;

		assert_int_equal(mr_addr_parse(rows[i].addr, &a), 0);
		assert_int_equal(mr_addr_is_unicast(&a), rows[i].ok);
	}
}

static void rfc4291_addresses_are_derived(void **state)
{
	static const uint8_t mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };
	static const struct {
		const char *addr, *group;
	} rows[] = {
		{ "2001:db8::1", "ff02::1:ff00:1" },
		{ "fe80::11:22ff:fe33:4455", "ff02::1:ff33:4455" },
		{ "4037::01:800:200e:8c6c", "ff02::1:ff0e:8c6c" }, /* RFC 4291 section 2.7.1 */
	};
	struct mr_addr a = mr_addr_link_local(mac);
	char text[MR_ADDR_STRLEN];

	(void)state;
	assert_string_equal(mr_addr_format(&a, text, sizeof(text)), "fe80::11:22ff:fe33:4455");
	assert_true(mr_addr_is_link_local(&a));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mr_addr group;

		assert_int_equal(mr_addr_parse(rows[i].addr, &a), 0);
		group = mr_addr_solicited_node(&a);
		assert_string_equal(mr_addr_format(&group, text, sizeof(text)), rows[i].group);
	}
}

static void common_bits_and_networks(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned bits;
	} rows[] = {
		{ "2001:db8::1", "2001:db8::1", 128 }, { "2001:db8::1", "2001:db8::", 127 },
		{ "fe80::1", "2001:db8::1", 0 },       { "fd00::1", "fc00::1", 7 },
		{ "10.0.0.1", "10.0.0.129", 120 },
	};
	static const struct {
		const char *prefix, *network;
	} nets[] = {
		{ "2001:db8::1/64", "2001:db8::" }, { "2001:db8:ffff::1/33", "2001:db8:8000::" },
		{ "2001:db8::1/0", "::" },	    { "2001:db8::1/128", "2001:db8::1" },
		{ "10.1.2.3/8", "10.0.0.0" },	    { "10.1.2.3/0", "0.0.0.0" },
		{ "10.1.2.255/25", "10.1.2.128" },
	};
	char text[MR_ADDR_STRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mr_addr a, b;

		assert_int_equal(mr_addr_parse(rows[i].a, &a), 0);
		assert_int_equal(mr_addr_parse(rows[i].b, &b), 0);
		assert_int_equal(mr_addr_common_bits(&a, &b), rows[i].bits);
	}
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		struct mr_prefix p;
		struct mr_addr network;

		assert_int_equal(mr_prefix_parse(nets[i].prefix, &p), 0);
		network = mr_prefix_network(&p);
		assert_string_equal(mr_addr_format(&network, text, sizeof(text)), nets[i].network);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_survive_the_round_trip),
		cmocka_unit_test(endpoints_survive_the_round_trip),
		cmocka_unit_test(rfc4007_11_a_zone_is_the_engines_interface),
		cmocka_unit_test(text_is_truncated_and_terminated),
		cmocka_unit_test(prefixes_hold_what_they_should),
		cmocka_unit_test(bad_prefixes_are_refused),
		cmocka_unit_test(rfc1122_3_2_1_3_only_unicast_addresses_are_peers),
		cmocka_unit_test(rfc4291_addresses_are_derived),
		cmocka_unit_test(common_bits_and_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
