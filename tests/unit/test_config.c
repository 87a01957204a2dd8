// SPDX-License-Identifier: BSD-2-Clause
/* test_config.c - parsing, checks and what is chosen from them (user/engine/config.c). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "engine/engine.h"
#include "kernel/ifinfo.h"

static struct mr_config good_config(void)
{
	struct mr_config cfg;

	mr_config_init(&cfg);
	cfg.ifname = "eth0";
	assert_int_equal(mr_config_add_address(&cfg, "10.0.0.5/24"), 0);
	return cfg;
}

static void defaults_with_interface_and_address_pass(void **state)
{
	struct mr_config cfg = good_config();
	struct mr_error err = { 0 };

	(void)state;
	assert_int_equal(mr_config_check(&cfg, &err), 0);
}

static void addresses_are_parsed_and_bounded(void **state)
{
	static const char *const bad[] = { "", "10.0.0.5", "10.0.0.5/33", "10.0.0/24", "x/24" };
	struct mr_config cfg;

	(void)state;
	mr_config_init(&cfg);
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++)
		assert_int_equal(mr_config_add_address(&cfg, bad[i]), -EINVAL);
	assert_int_equal(cfg.naddrs, 0);
	for (unsigned i = 0; i < MR_CONFIG_ADDRS_MAX; i++)
		assert_int_equal(mr_config_add_address(&cfg, "10.0.0.5/24"), 0);
	assert_int_equal(mr_config_add_address(&cfg, "10.0.0.5/24"), -ENOSPC);
	assert_int_equal(mr_config_add_address(NULL, "10.0.0.5/24"), -EINVAL);
	assert_int_equal(mr_config_add_address(&cfg, NULL), -EINVAL);
}

static void routes_are_parsed(void **state)
{
	static const struct {
		const char *text;
		int result;
		bool gateway;
	} rows[] = {
		{ "0.0.0.0/0 via 10.0.0.1", 0, true },
		{ "10.9.0.0/16", 0, false },
		{ "  10.9.0.0/16   via   10.0.0.1 ", 0, true },
		{ "10.9.0.0/16 via", -EINVAL, false },
		{ "10.9.0.0/16 via 10.0.0.1 dev eth0", -EINVAL, false },
		{ "10.9.0.0/16 via 0.0.0.0", -EINVAL, false },
		{ "10.9.0.0/16 by 10.0.0.1", -EINVAL, false },
		{ "10.9.0.0", -EINVAL, false },
		{ "", -EINVAL, false },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_config cfg;

		mr_config_init(&cfg);
		assert_int_equal(mr_config_add_route(&cfg, rows[i].text), rows[i].result);
		assert_int_equal(cfg.nroutes, rows[i].result ? 0 : 1);
		if (!rows[i].result)
			assert_int_equal(!mr_addr_is_any(&cfg.routes[0].gateway), rows[i].gateway);
	}
}

/* Each changes one thing of a good configuration. */
static void no_ifname(struct mr_config *c)
{
	c->ifname = NULL;
}
static void long_ifname(struct mr_config *c)
{
	c->ifname = "a-name-of-sixteen";
}
static void unknown_congestion(struct mr_config *c)
{
	c->congestion = "vegas";
}
static void newreno(struct mr_config *c)
{
	c->congestion = "newreno";
}
static void odd_ecn(struct mr_config *c)
{
	c->ecn = (enum mr_ecn_policy)6;
}
static void odd_fastopen_key(struct mr_config *c)
{
	c->fastopen_key = "00112233-44556677-8899aabb";
}
static void two_fastopen_keys(struct mr_config *c)
{
	c->fastopen_key = "0-1-2-3,00112233-44556677-8899aabb-CCDDEEFF";
}
static void odd_probing(struct mr_config *c)
{
	c->mtu_probing = (enum mr_mtu_probing)3;
}
static void no_address(struct mr_config *c)
{
	c->naddrs = 0;
}
static void v6_address(struct mr_config *c)
{
	assert_int_equal(mr_config_add_address(c, "2001:db8::5/64"), 0);
}
static void v6_anycast_address(struct mr_config *c)
{
	assert_int_equal(mr_config_add_address(c, "2001:db8::/64"), 0);
}
static void v6_loopback(struct mr_config *c)
{
	assert_int_equal(mr_config_add_address(c, "::1/128"), 0);
}
static void v6_link_local_gateway(struct mr_config *c)
{
	v6_address(c);
	assert_int_equal(mr_config_add_route(c, "::/0 via fe80::1"), 0);
}
static void v6_gateway_without_v6(struct mr_config *c)
{
	assert_int_equal(mr_config_add_route(c, "::/0 via fe80::1"), 0);
}
static void families_mixed(struct mr_config *c)
{
	v6_address(c);
	assert_int_equal(mr_config_add_route(c, "2001:db8:1::/48 via 10.0.0.1"), 0);
}
static void v6_route_with_host_bits(struct mr_config *c)
{
	v6_address(c);
	assert_int_equal(mr_config_add_route(c, "2001:db8:1::1/48"), 0);
}
static void network_address(struct mr_config *c)
{
	assert_int_equal(mr_config_add_address(c, "10.1.0.0/24"), 0);
}
static void broadcast_address(struct mr_config *c)
{
	assert_int_equal(mr_config_add_address(c, "10.1.0.255/24"), 0);
}
static void multicast_address(struct mr_config *c)
{
	assert_int_equal(mr_config_add_address(c, "224.0.0.1/24"), 0);
}
static void point_to_point(struct mr_config *c)
{
	assert_int_equal(mr_config_add_address(c, "10.1.0.0/31"), 0);
}
static void host_route(struct mr_config *c)
{
	assert_int_equal(mr_config_add_address(c, "10.1.0.0/32"), 0);
}
static void same_address_twice(struct mr_config *c)
{
	assert_int_equal(mr_config_add_address(c, "10.0.0.5/8"), 0);
}
static void gateway_elsewhere(struct mr_config *c)
{
	assert_int_equal(mr_config_add_route(c, "0.0.0.0/0 via 10.0.1.1"), 0);
}
static void gateway_behind_route(struct mr_config *c)
{
	assert_int_equal(mr_config_add_route(c, "0.0.0.0/0 via 10.0.1.1"), 0);
	assert_int_equal(mr_config_add_route(c, "10.0.1.0/24"), 0);
}
static void gateway_is_us(struct mr_config *c)
{
	assert_int_equal(mr_config_add_route(c, "0.0.0.0/0 via 10.0.0.5"), 0);
}
static void route_with_host_bits(struct mr_config *c)
{
	assert_int_equal(mr_config_add_route(c, "10.9.0.1/16"), 0);
}
static void route_twice(struct mr_config *c)
{
	assert_int_equal(mr_config_add_route(c, "10.9.0.0/16"), 0);
	assert_int_equal(mr_config_add_route(c, "10.9.0.0/16 via 10.0.0.1"), 0);
}
static void odd_ring(struct mr_config *c)
{
	c->rx_ring = 1000;
}
static void small_ring(struct mr_config *c)
{
	c->tx_ring = 32;
}
static void large_ring(struct mr_config *c)
{
	c->tx_ring = 65536;
}
static void odd_chunk(struct mr_config *c)
{
	c->chunk_size = 8192;
}
static void no_sockets(struct mr_config *c)
{
	c->max_sockets = 0;
}
static void tiny_buffer(struct mr_config *c)
{
	c->sndbuf = 2047;
}
static void huge_buffer(struct mr_config *c)
{
	c->rcvbuf = (16 << 20) + 1;
}

static void rfc7413_4_1_1_keys_are_read_as_linux_writes_them(void **state)
{
	static const struct {
		const char *text;
		uint8_t n; /* 0: refused */
	} rows[] = {
		{ "00112233-44556677-8899aabb-ccddeeff", 1 },
		{ "0-1-2-3,00112233-44556677-8899aabb-CCDDEEFF", 2 },
		{ "", 0 },
		{ "1-2-3", 0 },
		{ "1-2-3-4-5", 0 },
		{ "1-2-3-4,", 0 },
		{ "1-2-3-4,5-6-7-8,9-a-b-c", 0 },
		{ "001122334-44556677-8899aabb-ccddeeff", 0 },
		{ "1-2-3-g", 0 },
		{ "-1-2-3-4", 0 },
		{ "0x1-2-3-4", 0 },
	};
	static const uint8_t key[16] = { 0x33, 0x22, 0x11, 0x00, 0x77, 0x66, 0x55, 0x44,
					 0xbb, 0xaa, 0x99, 0x88, 0xff, 0xee, 0xdd, 0xcc };
	struct mr_tfo_keys keys;

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		if (mr_config_fastopen_keys(rows[i].text, &keys) != (rows[i].n != 0) ||
		    keys.n != rows[i].n)
			fail_msg("\"%s\" gives %u keys", rows[i].text, keys.n);
		if (keys.n)
			assert_memory_equal(keys.key[keys.n - 1], key, sizeof(key));
	}
	assert_true(mr_config_fastopen_keys(NULL, &keys));
	assert_int_equal(keys.n, 0);
}

static void one_wrong_thing_is_one_sentence(void **state)
{
	static const struct {
		void (*spoil)(struct mr_config *cfg);
		const char *says; /* NULL: nothing is wrong */
	} rows[] = {
		{ no_ifname, "no interface" },
		{ long_ifname, "too long" },
		{ odd_ecn, "ECN policy" },
		{ odd_probing, "probing" },
		{ odd_fastopen_key, "Fast Open key" },
		{ two_fastopen_keys, NULL },
		{ no_address, "no address is given" },
		{ v6_address, NULL },
		{ v6_anycast_address, "anycast address" },
		{ v6_loopback, "cannot be the address of a host" },
		{ v6_link_local_gateway, NULL },
		{ v6_gateway_without_v6, "in no subnet" },
		{ families_mixed, "different address families" },
		{ v6_route_with_host_bits, "beyond its prefix" },
		{ network_address, "network address" },
		{ broadcast_address, "broadcast address" },
		{ multicast_address, "cannot be the address of a host" },
		{ point_to_point, NULL },
		{ host_route, NULL },
		{ same_address_twice, "given twice" },
		{ gateway_elsewhere, "in no subnet" },
		{ gateway_behind_route, NULL },
		{ gateway_is_us, "own address" },
		{ route_with_host_bits, "beyond its prefix" },
		{ route_twice, "given twice" },
		{ odd_ring, "power of two" },
		{ small_ring, "from 64 to 32768" },
		{ large_ring, "from 64 to 32768" },
		{ odd_chunk, "2048 or 4096" },
		{ no_sockets, "number of sockets" },
		{ tiny_buffer, "send buffer" },
		{ huge_buffer, "receive buffer" },
		{ unknown_congestion, "there are: newreno, cubic, bbr, dctcp" },
		{ newreno, NULL },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_config cfg = good_config();
		struct mr_error err = { 0 };

		rows[i].spoil(&cfg);
		assert_int_equal(mr_config_check(&cfg, &err), rows[i].says ? -EINVAL : 0);
		if (!rows[i].says)
			continue;
		assert_int_equal(err.code, -EINVAL);
		if (!strstr(err.text, rows[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].says);
		assert_null(strchr(err.text, '\n'));
	}
}

static void mode_policy_and_chunks_follow_the_interface(void **state)
{
	static const struct {
		const char *name;
		enum mr_xdp_mode mode;
		enum mr_rx_csum rx_csum;
		uint32_t mtu, chunk_given;
		bool veth, has_zero_copy;
		bool native, zero_copy;
		enum mr_csum_policy csum;
		uint32_t chunk;
	} rows[] = {
		{ "veth", MR_XDP_AUTO, MR_RX_CSUM_AUTO, 1500, 0, true, false, false, false,
		  MR_CSUM_VERIFY_PARTIAL, 4096 },
		{ "veth, native by force", MR_XDP_NATIVE, MR_RX_CSUM_AUTO, 1500, 0, true, false,
		  true, false, MR_CSUM_VERIFY_PARTIAL, 2048 },
		{ "native, jumbo", MR_XDP_NATIVE, MR_RX_CSUM_AUTO, 9000, 0, true, false, true,
		  false, MR_CSUM_VERIFY_PARTIAL, 4096 },
		{ "native, largest for 2048", MR_XDP_NATIVE, MR_RX_CSUM_VERIFY, 1770, 0, true,
		  false, true, false, MR_CSUM_VERIFY, 2048 },
		{ "native, one more", MR_XDP_NATIVE, MR_RX_CSUM_VERIFY, 1771, 0, true, false, true,
		  false, MR_CSUM_VERIFY, 4096 },
		{ "zero-copy driver", MR_XDP_AUTO, MR_RX_CSUM_AUTO, 1500, 0, false, true, true,
		  true, MR_CSUM_VERIFY, 2048 },
		{ "zero-copy driver, generic", MR_XDP_GENERIC, MR_RX_CSUM_OFF, 1500, 0, false, true,
		  false, false, MR_CSUM_OFF, 4096 },
		{ "other driver", MR_XDP_AUTO, MR_RX_CSUM_PARTIAL, 1500, 2048, false, false, false,
		  false, MR_CSUM_VERIFY_PARTIAL, 2048 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_config cfg = good_config();
		struct mr_ifinfo info = {
			.mtu = rows[i].mtu,
			.queues = 1,
			.veth = rows[i].veth,
			.zero_copy = rows[i].has_zero_copy,
		};
		struct mr_plan plan;

		print_message("   %s\n", rows[i].name);
		cfg.xdp_mode = rows[i].mode;
		cfg.rx_csum = rows[i].rx_csum;
		cfg.chunk_size = rows[i].chunk_given;
		assert_int_equal(mr_config_plan(&cfg, &info, &plan, NULL), 0);
		assert_int_equal(plan.native, rows[i].native);
		assert_int_equal(plan.zero_copy, rows[i].zero_copy);
		assert_int_equal(plan.csum, rows[i].csum);
		assert_int_equal(plan.chunk_size, rows[i].chunk);
	}
}

static void frames_follow_queues_and_rings(void **state)
{
	static const struct {
		unsigned queues;
		uint32_t rx_ring, tx_ring, given;
		int result;
		uint32_t nframes, dev_frames;
	} rows[] = {
		{ 1, 2048, 2048, 0, 0, 16384, 2048 },
		{ 2, 2048, 2048, 0, 0, 16384, 4096 },
		{ 3, 2048, 2048, 0, 0, 18432, 6144 },
		{ 4, 64, 64, 0, 0, 16384, 256 },
		{ 1, 2048, 2048, 1024, 0, 1024, 768 }, /* three quarters at the most */
		{ 1, 2048, 2048, 255, -EINVAL, 0, 0 },
		{ 4, 2048, 2048, 1023, -EINVAL, 0, 0 },
		{ 4, 64, 64, 1024, 0, 1024, 256 },
		{ 1024, 32768, 32768, 0, 0, 1 << 22, 3 << 20 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_config cfg = good_config();
		struct mr_ifinfo info = { .mtu = 1500, .queues = rows[i].queues };
		struct mr_plan plan;

		cfg.rx_ring = rows[i].rx_ring;
		cfg.tx_ring = rows[i].tx_ring;
		cfg.umem_frames = rows[i].given;
		assert_int_equal(mr_config_plan(&cfg, &info, &plan, NULL), rows[i].result);
		if (rows[i].result)
			continue;
		assert_int_equal(plan.nframes, rows[i].nframes);
		assert_int_equal(plan.dev_frames, rows[i].dev_frames);
	}
}

static void an_mtu_out_of_range_is_refused_with_advice(void **state)
{
	static const struct {
		uint32_t mtu;
		int result;
	} rows[] = {
		{ 68, -EINVAL }, { 575, -EINVAL }, { 576, 0 }, { 65535, 0 }, { 65536, -EINVAL }
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_config cfg = good_config();
		struct mr_ifinfo info = { .mtu = rows[i].mtu, .queues = 1 };
		struct mr_error err = { 0 };
		struct mr_plan plan;

		assert_int_equal(mr_config_plan(&cfg, &info, &plan, &err), rows[i].result);
		if (rows[i].result)
			assert_non_null(strstr(err.text, "ip link set eth0 mtu"));
	}
}

static void
an_interface_that_belongs_to_another_is_refused_where_that_one_has_the_addresses(void **state)
{
	static const struct {
		const char *master, *kind;
		bool has_address;
		const char *says; /* NULL: it is accepted */
	} rows[] = {
		{ "", "", false, NULL }, /* it may get an address any time */
		{ "br0", "bridge", true, NULL },
		{ "br0", "bridge", false, "a port of the bridge br0" },
		{ "bond0", "bond", false, "use -i bond0" },
		{ "team0", "team", false, "use -i team0" },
		{ "ovs-system", "openvswitch", false, "part of ovs-system" },
		{ "blue", "vrf", true, "the VRF blue" },
		{ "blue", "vrf", false, "the VRF blue" },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_ifinfo info = { .name = "eth0" };
		struct mr_error err = { 0 };

		snprintf(info.master, sizeof(info.master), "%s", rows[i].master);
		snprintf(info.master_kind, sizeof(info.master_kind), "%s", rows[i].kind);
		assert_int_equal(mr_config_check_master(&info, rows[i].has_address, &err),
				 rows[i].says ? -EINVAL : 0);
		if (rows[i].says)
			assert_non_null(strstr(err.text, rows[i].says));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_with_interface_and_address_pass),
		cmocka_unit_test(addresses_are_parsed_and_bounded),
		cmocka_unit_test(routes_are_parsed),
		cmocka_unit_test(rfc7413_4_1_1_keys_are_read_as_linux_writes_them),
		cmocka_unit_test(one_wrong_thing_is_one_sentence),
		cmocka_unit_test(mode_policy_and_chunks_follow_the_interface),
		cmocka_unit_test(frames_follow_queues_and_rings),
		cmocka_unit_test(an_mtu_out_of_range_is_refused_with_advice),
		cmocka_unit_test(
			an_interface_that_belongs_to_another_is_refused_where_that_one_has_the_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
