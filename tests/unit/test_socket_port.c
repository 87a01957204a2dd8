// SPDX-License-Identifier: BSD-2-Clause
/* test_socket_port.c - ports that the kernel gives out: a made-up kernel, and what is counted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include "../lib/pair.h"
#include "base/addr.h"

static struct pair p;
static struct mr_steer *steer;
static int out;		   /* descriptors that are held */
static int refuse;	   /* what the kernel says, if not 0 */
static uint16_t next_port; /* what it chooses */

static int hold(const struct mr_ip *ip, const struct mr_addr *addr, const struct mr_tcp_opts *opts,
		uint16_t *port)
{
	(void)ip;
	(void)addr;
	(void)opts;
	if (refuse)
		return refuse;
	if (!*port)
		*port = next_port++;
	out++;
	return 100;
}

static void drop(int fd)
{
	assert_int_equal(fd, 100);
	out--;
}

static const struct mr_arbiter arbiter = { .hold = hold, .drop = drop };

static int setup(void **state)
{
	(void)state;
	pair_open(&p, NULL);
	steer = calloc(1, sizeof(*steer));
	assert_non_null(steer);
	steer->map = calloc(MR_STEER_PORTS, sizeof(*steer->map));
	assert_non_null(steer->map);
	mr_steer_addr_add(steer, &p.addr[0].addr);
	p.engine[0]->st->ip.steer = steer;
	p.engine[0]->st->socks.arbitrated = true;
	mr_socks_arbiter_set(&arbiter);
	out = refuse = 0;
	next_port = 40000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pair_close(&p);
	assert_int_equal(out, 0);
	for (uint32_t port = 0; port < MR_STEER_PORTS; port++)
		assert_int_equal(steer->held[port], 0);
	free(steer->map);
	free(steer);
	return 0;
}

static void a_bound_port_is_held_until_its_socket_is_closed(void **state)
{
	const struct mr_endpoint ep = { .port = 80 };
	struct mr_socket *s;

	(void)state;
	assert_int_equal(mr_socket(p.engine[0], &s), 0);
	assert_int_equal(mr_bind(s, &ep), 0);
	assert_int_equal(out, 1);
	assert_int_equal(steer->held[80], 1);
	assert_int_equal(mr_listen(s, 1), 0);
	assert_int_equal(out, 1);
	assert_true(steer->map[80].listen);
	mr_close(s);
	assert_int_equal(out, 0);
	assert_false(steer->map[80].divert);
}

static void what_the_kernel_refuses_is_refused(void **state)
{
	const struct mr_endpoint ep = { .port = 80 };
	struct mr_socket *s;

	(void)state;
	refuse = -EACCES;
	assert_int_equal(mr_socket(p.engine[0], &s), 0);
	assert_int_equal(mr_bind(s, &ep), -EACCES);
	assert_int_equal(mr_connect(s, &p.addr[1]), -EACCES);
	assert_int_equal(mr_listen(s, 1), -EACCES);
	refuse = 0;
	assert_int_equal(mr_bind(s, &ep), 0); /* nothing was left of the first attempt */
	mr_close(s);
}

static void a_connect_takes_the_port_that_the_kernel_chooses(void **state)
{
	struct mr_endpoint local;
	struct mr_socket *a, *b;

	(void)state;
	assert_int_equal(mr_socket(p.engine[0], &a), 0);
	assert_int_equal(mr_connect(a, &p.addr[1]), -EINPROGRESS);
	assert_int_equal(mr_local(a, &local), 0);
	assert_int_equal(local.port, 40000);
	assert_int_equal(steer->map[40000].divert, 1);
	/* A port with a connection of ours to the same peer: the next one. */
	next_port = 40000;
	assert_int_equal(mr_socket(p.engine[0], &b), 0);
	assert_int_equal(mr_connect(b, &p.addr[1]), -EINPROGRESS);
	assert_int_equal(mr_local(b, &local), 0);
	assert_int_equal(local.port, 40001);
	assert_int_equal(out, 2);
	mr_abort(a);
	mr_abort(b);
}

static void a_port_that_the_caller_holds_is_counted_and_not_asked_for(void **state)
{
	const struct mr_endpoint fresh = { .port = 5000 }, old = { .port = 5001 };
	struct mr_socket *a, *b;

	(void)state;
	assert_int_equal(mr_socket(p.engine[0], &a), 0);
	assert_int_equal(mr_socket(p.engine[0], &b), 0);
	assert_int_equal(mr_bind_held(a, &fresh, true), 0);
	assert_int_equal(mr_bind_held(a, &fresh, true), -EINVAL);
	assert_int_equal(mr_bind_held(b, &old, false), 0);
	assert_int_equal(out, 0);
	assert_int_equal(steer->held[5000], 1);
	assert_int_equal(mr_steer_next_busy(steer, 0),
			 5001); /* the kernel may have something there */
	mr_close(a);
	mr_close(b);
}

static void count_ports(uint32_t by)
{
	struct mr_tcp *tcp = &p.engine[0]->st->tcp;

	for (uint32_t port = MR_TCP_PORT_FIRST; port <= MR_TCP_PORT_LAST; port++)
		tcp->port_use[port] += by;
}

static void ephemeral_ports_are_those_that_were_set(void **state)
{
	struct mr_tcp *tcp = &p.engine[0]->st->tcp;
	static const struct mr_addr any;
	struct mr_socket *socks[3];
	uint16_t seen = 0;

	(void)state;
	mr_tcp_ports_set(tcp, 65533, 65535);
	for (unsigned i = 0; i < 3; i++) {
		const struct mr_endpoint local = { .port = mr_tcp_port_pick(tcp, &any) };

		assert_in_range(local.port, 65533, 65535);
		seen |= (uint16_t)(1u << (local.port - 65533));
		assert_int_equal(mr_socket(p.engine[0], &socks[i]), 0);
		assert_int_equal(mr_bind_held(socks[i], &local, true), 0);
		assert_int_equal(mr_connect(socks[i], &p.addr[1]), -EINPROGRESS);
	}
	assert_int_equal(seen, 7);
	assert_int_equal(mr_tcp_port_pick(tcp, &any), 0);
	assert_int_equal(mr_tcp_port_pick_to(tcp, &any, &p.addr[1], 0), 0);
	for (unsigned i = 0; i < 3; i++)
		mr_abort(socks[i]);
	mr_tcp_ports_set(tcp, MR_TCP_PORT_FIRST, MR_TCP_PORT_LAST);
}

/* As after 28,232 connections to somewhere, which left their TIME-WAITs. */
static void with_a_connection_on_each_port_there_is_one_for_another_peer(void **state)
{
	struct mr_tcp *tcp = &p.engine[0]->st->tcp;
	static const struct mr_addr any;
	struct mr_endpoint local = { 0 };
	struct mr_socket *a, *b, *listener;

	(void)state;
	count_ports(1);
	assert_int_equal(mr_tcp_port_pick(tcp, &any), 0);
	local.port = mr_tcp_port_pick_to(tcp, &any, &p.addr[1], 0);
	assert_int_not_equal(local.port, 0);
	assert_int_equal(mr_socket(p.engine[0], &a), 0);
	assert_int_equal(mr_bind_held(a, &local, true), 0);
	assert_int_equal(mr_connect(a, &p.addr[1]), -EINPROGRESS);
	assert_int_equal(mr_socket(p.engine[0], &b), 0);
	assert_int_equal(mr_bind_held(b, &local, true), 0);
	assert_int_equal(mr_connect(b, &p.addr[1]), -EADDRINUSE);
	/* To listen, too, whoever the kernel gives it to: it does not know of what is left here. */
	assert_int_equal(mr_socket(p.engine[0], &listener), 0);
	local.port++;
	assert_int_equal(mr_bind_held(listener, &local, false), 0);
	assert_int_equal(mr_listen(listener, 1), 0);
	mr_close(listener);
	mr_abort(a);
	mr_abort(b);
	count_ports(-1u);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_bound_port_is_held_until_its_socket_is_closed),
		T(what_the_kernel_refuses_is_refused),
		T(a_connect_takes_the_port_that_the_kernel_chooses),
		T(a_port_that_the_caller_holds_is_counted_and_not_asked_for),
		T(ephemeral_ports_are_those_that_were_set),
		T(with_a_connection_on_each_port_there_is_one_for_another_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
