// SPDX-License-Identifier: BSD-2-Clause
/* test_steer.c - from listeners and flows to the words that the XDP program reads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "ip/steer.h"

static const struct mr_addr any6;

struct world {
	struct mr_arena arena;
	struct mr_steer *s;
	struct mr_steer_port *map;
};

static struct mr_addr addr_of(const char *text)
{
	struct mr_addr a;

	assert_int_equal(mr_addr_parse(text, &a), 0);
	return a;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	assert_int_equal(mr_arena_open(&w->arena, "test", sizeof(struct mr_steer) + 4096), 0);
	w->s = mr_steer_open(&w->arena);
	assert_non_null(w->s);
	w->map = w->s->map = calloc(MR_STEER_PORTS, sizeof(*w->map));
	assert_non_null(w->map);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (uint32_t port = 0; port < MR_STEER_PORTS; port++)
		assert_int_equal(w->map[port].divert, 0); /* each test takes back what it opened */
	free(w->map);
	mr_arena_close(&w->arena);
	free(w);
	return 0;
}

#define EXPECT_PORT(w, port, want_divert, want_listen)                                             \
	do {                                                                                       \
		assert_int_equal((w)->map[port].divert, want_divert);                              \
		assert_int_equal((w)->map[port].listen, want_listen);                              \
	} while (0)

static void slots_of_a_family_stand_together(void **state)
{
	struct world *w = *state;
	struct mr_addr a = addr_of("10.0.0.1"), b = addr_of("fd00::1");
	int v4 = 0, v6 = 0;

	for (int i = 0; i < 64; i++, a.b[15]++, b.b[15]++) {
		int slot4 = mr_steer_addr_add(w->s, &a), slot6 = mr_steer_addr_add(w->s, &b);

		assert_true(slot4 == -ENOSPC || MR_STEER_V4 >> slot4 & 1);
		assert_true(slot6 == -ENOSPC || MR_STEER_V6 >> slot6 & 1);
		v4 += slot4 >= 0;
		v6 += slot6 >= 0;
	}
	assert_int_equal(v4, MR_STEER_SLOTS4);
	assert_int_equal(v6, MR_STEER_SLOTS - MR_STEER_SLOTS4);
}

static void a_listener_on_any_address_takes_all_that_come_later_too(void **state)
{
	static const struct {
		const char *addr;
		bool v6only;
		uint64_t slots;
	} rows[] = {
		{ "::", false, MR_STEER_V4 | MR_STEER_V6 },
		{ "::", true, MR_STEER_V6 },
		{ "0.0.0.0", false, MR_STEER_V4 },
	};
	struct world *w = *state;

	mr_steer_hold(w->s, 80);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_addr a = addr_of(rows[i].addr);

		mr_steer_listen(w->s, &a, rows[i].v6only, 80);
		mr_steer_not_busy(w->s, 80);
		EXPECT_PORT(w, 80, rows[i].slots, rows[i].slots);
		mr_steer_unlisten(w->s, &a, rows[i].v6only, 80);
		EXPECT_PORT(w, 80, 0, 0);
	}
	mr_steer_release(w->s, 80);
}

static void a_listener_on_one_address_takes_no_other(void **state)
{
	struct world *w = *state;
	struct mr_addr a = addr_of("10.0.0.1"), b = addr_of("10.0.0.2");
	int slot_a = mr_steer_addr_add(w->s, &a), slot_b = mr_steer_addr_add(w->s, &b);

	mr_steer_hold(w->s, 80);
	mr_steer_listen(w->s, &b, false, 80);
	mr_steer_not_busy(w->s, 80);
	assert_int_not_equal(slot_a, slot_b);
	EXPECT_PORT(w, 80, 1ull << slot_b, 1ull << slot_b);
	mr_steer_unlisten(w->s, &b, false, 80);
	EXPECT_PORT(w, 80, 0, 0);
	mr_steer_release(w->s, 80);
}

static void a_port_is_diverted_until_its_last_flow_is_gone(void **state)
{
	struct world *w = *state;
	struct mr_addr a = addr_of("10.0.0.1");
	uint64_t bit = 1ull << mr_steer_addr_add(w->s, &a);
	uint8_t one, two;

	mr_steer_hold(w->s, 40000);
	one = mr_steer_flow_add(w->s, &a, 40000);
	two = mr_steer_flow_add(w->s, &a, 40000);
	EXPECT_PORT(w, 40000, bit, 0); /* nobody listens: no SYNs */
	mr_steer_flow_del(w->s, one, 40000);
	EXPECT_PORT(w, 40000, bit, 0);
	mr_steer_flow_del(w->s, two, 40000);
	EXPECT_PORT(w, 40000, 0, 0);
	mr_steer_release(w->s, 40000);
}

static void the_kernel_is_asked_once_nobody_holds_the_port(void **state)
{
	struct world *w = *state;
	struct mr_addr a = addr_of("fd00::1");
	uint64_t bit = 1ull << mr_steer_addr_add(w->s, &a);
	uint8_t flow;

	mr_steer_hold(w->s, 40000);
	mr_steer_hold(w->s, 40000);
	flow = mr_steer_flow_add(w->s, &a, 40000);
	mr_steer_release(w->s, 40000);
	EXPECT_PORT(w, 40000, bit, 0);
	mr_steer_release(w->s, 40000);
	EXPECT_PORT(w, 40000, bit | MR_STEER_KERNEL, 0);
	mr_steer_hold(w->s, 40000);
	EXPECT_PORT(w, 40000, bit, 0);
	mr_steer_release(w->s, 40000);
	mr_steer_flow_del(w->s, flow, 40000);
	EXPECT_PORT(w, 40000, 0, 0);
}

static void an_opened_port_is_busy_until_the_kernel_has_said_no(void **state)
{
	struct world *w = *state;

	mr_steer_hold(w->s, 22);
	mr_steer_hold(w->s, 65535);
	mr_steer_listen(w->s, &any6, false, 22);
	mr_steer_listen(w->s, &any6, false, 65535);
	EXPECT_PORT(w, 22, MR_STEER_KERNEL | MR_STEER_V4 | MR_STEER_V6, MR_STEER_V4 | MR_STEER_V6);
	assert_int_equal(mr_steer_next_busy(w->s, 0), 22);
	assert_int_equal(mr_steer_next_busy(w->s, 22), 22);
	assert_int_equal(mr_steer_next_busy(w->s, 23), 65535);
	mr_steer_not_busy(w->s, 22);
	assert_int_equal(mr_steer_next_busy(w->s, 0), 65535);
	mr_steer_not_busy(w->s, 65535);
	assert_int_equal(mr_steer_next_busy(w->s, 0), MR_STEER_PORTS);
	EXPECT_PORT(w, 22, MR_STEER_V4 | MR_STEER_V6, MR_STEER_V4 | MR_STEER_V6);
	mr_steer_unlisten(w->s, &any6, false, 22);
	mr_steer_unlisten(w->s, &any6, false, 65535);
	mr_steer_release(w->s, 22);
	mr_steer_release(w->s, 65535);
}

static void a_slot_with_flows_outlives_its_address(void **state)
{
	struct world *w = *state;
	struct mr_addr a = addr_of("10.0.0.1"), b = addr_of("10.0.0.2");
	int slot = mr_steer_addr_add(w->s, &a);
	uint8_t flow = mr_steer_flow_add(w->s, &a, 1000);

	assert_int_equal(mr_steer_addr_del(w->s, &a), slot);
	assert_int_equal(mr_steer_addr_del(w->s, &a), -ENOENT);
	assert_int_not_equal(mr_steer_addr_add(w->s, &b), slot);
	assert_int_equal(mr_steer_addr_add(w->s, &a), slot); /* it is back, and finds its flow */
	assert_int_equal(mr_steer_addr_del(w->s, &a), slot);
	mr_steer_flow_del(w->s, flow, 1000);
	assert_int_equal(mr_steer_addr_del(w->s, &b), slot + 1);
	assert_int_equal(mr_steer_addr_add(w->s, &b), slot);
}

static void a_flow_from_no_address_of_the_interface_is_not_steered(void **state)
{
	struct world *w = *state;
	struct mr_addr a = addr_of("10.0.0.1");
	uint8_t flow = mr_steer_flow_add(w->s, &a, 1000);

	assert_int_equal(flow, 0);
	EXPECT_PORT(w, 1000, 0, 0);
	assert_int_equal(mr_steer_addr_add(w->s, &a), 0);
	mr_steer_flow_del(w->s, flow, 1000);
	mr_steer_listen(w->s, &(struct mr_addr){ .b = { 0xfd, [15] = 9 } }, false, 1000);
	EXPECT_PORT(w, 1000, 0, 0);
	mr_steer_unlisten(w->s, &(struct mr_addr){ .b = { 0xfd, [15] = 9 } }, false, 1000);
}

static void counts_made_anew_change_nothing_on_the_way(void **state)
{
	struct world *w = *state;
	struct mr_addr a = addr_of("10.0.0.1"), gone = addr_of("10.0.0.2");
	uint64_t bit = 1ull << mr_steer_addr_add(w->s, &a);
	uint8_t flow;

	mr_steer_addr_add(w->s, &gone);
	mr_steer_flow_add(w->s, &a, 1000);
	mr_steer_flow_add(w->s, &gone, 1001);
	mr_steer_addr_del(w->s, &gone);
	mr_steer_hold(w->s, 1000);
	mr_steer_hold(w->s, 1002);
	mr_steer_listen(w->s, &any6, false, 1002);
	mr_steer_not_busy(w->s, 1002);
	mr_steer_salvage_begin(w->s);
	EXPECT_PORT(w, 1000, bit, 0);
	EXPECT_PORT(w, 1002, MR_STEER_V4 | MR_STEER_V6, MR_STEER_V4 | MR_STEER_V6);
	mr_steer_hold(w->s, 1000);
	flow = mr_steer_flow_add(w->s, &a, 1000);
	EXPECT_PORT(w, 1000, bit, 0);
	mr_steer_salvage_end(w->s);
	EXPECT_PORT(w, 1000, bit, 0);
	EXPECT_PORT(w, 1001, 0, 0); /* that flow died */
	EXPECT_PORT(w, 1002, 0, 0); /* and that listener */
	assert_int_equal(mr_steer_addr_add(w->s, &gone), 1);
	mr_steer_flow_del(w->s, flow, 1000);
	mr_steer_release(w->s, 1000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(slots_of_a_family_stand_together),
		T(a_listener_on_any_address_takes_all_that_come_later_too),
		T(a_listener_on_one_address_takes_no_other),
		T(a_port_is_diverted_until_its_last_flow_is_gone),
		T(the_kernel_is_asked_once_nobody_holds_the_port),
		T(an_opened_port_is_busy_until_the_kernel_has_said_no),
		T(a_slot_with_flows_outlives_its_address),
		T(counts_made_anew_change_nothing_on_the_way),
		T(a_flow_from_no_address_of_the_interface_is_not_steered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
