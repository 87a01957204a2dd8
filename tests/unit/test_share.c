/* SPDX-License-Identifier: BSD-2-Clause */
/* test_share.c - one engine for many: lock, waiting, waking (user/engine/share*.c). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "../lib/pair.h"
#include "engine/share_priv.h"

static struct pair p; /* side 1 is shared */
static struct mr_share *share;
static struct mr_waiter *waiter;
static unsigned nready;
static struct mr_socket *last_ready;

static void on_ready(struct mr_share *s, struct mr_socket *sock)
{
	nready++;
	last_ready = sock;
	mr_share_wake(s, waiter);
}

static const struct mr_share_ops ops = { .ready = on_ready };

static int open_share(void **state)
{
	struct mr_config cfg;
	struct pair_cfg pc = { .real_clock = true };

	(void)state;
	mr_config_init(&cfg);
	pc.extra_bytes = share_bytes(&cfg, &ops);
	pair_open(&p, &pc);
	assert_int_equal(share_create(&share, p.engine[1], &cfg, &ops, NULL), 0);
	p.engine[1]->spin_ns = 0;
	waiter = mr_share_waiter(share);
	assert_non_null(waiter);
	nready = 0;
	return 0;
}

static int close_share(void **state)
{
	(void)state;
	mr_share_close(share);
	p.engine[1] = NULL;
	pair_close(&p);
	return 0;
}

/* One look of the waiter, and a round of the other side, which is no part of it. */
static int look(void)
{
	struct mr_event ev;
	int ret;

	mr_share_lock(share, NULL);
	mr_share_wait_begin(share, waiter);
	ret = mr_share_wait(share, waiter, NULL, 0, 0, NULL);
	mr_share_unlock(share);
	mr_wait(p.engine[0], &ev, 1, 0);
	return ret;
}

static void listen_and_connect(struct mr_socket **l, struct mr_socket **c)
{
	assert_int_equal(mr_share_lock(share, NULL), 0);
	assert_int_equal(mr_socket(mr_share_engine(share), l), 0);
	assert_int_equal(mr_bind(*l, &p.addr[1]), 0);
	assert_int_equal(mr_listen(*l, 4), 0);
	mr_share_unlock(share);
	assert_int_equal(mr_socket(p.engine[0], c), 0);
	assert_int_equal(mr_connect(*c, &p.addr[1]), -EINPROGRESS);
}

static void a_round_tells_whose_readiness_has_grown(void **state)
{
	struct mr_socket *l, *c;

	(void)state;
	listen_and_connect(&l, &c);
	assert_int_equal(look(), -ETIMEDOUT);
	for (int i = 0; i < 10 && !nready; i++)
		look();
	assert_int_equal(nready, 1);
	assert_ptr_equal(last_ready, l);
	assert_int_equal(look(), -ETIMEDOUT); /* once, not as long as it lasts */
}

static void a_wake_up_before_the_wait_is_not_lost(void **state)
{
	(void)state;
	mr_share_lock(share, NULL);
	mr_share_wait_begin(share, waiter);
	mr_share_wake(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, NULL, 0, MR_SHARE_FOREVER, NULL), 0);
	mr_share_unlock(share);
}

static void a_descriptor_of_the_callers_ends_the_sleep(void **state)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int a[2], b[2];

	(void)state;
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	fds[0].fd = a[0];
	fds[1].fd = b[0];
	assert_int_equal(write(b[1], "x", 1), 1);
	mr_share_lock(share, NULL);
	mr_share_wait_begin(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, fds, 2, MR_SHARE_FOREVER, NULL), 1);
	mr_share_unlock(share);
	assert_int_equal(fds[0].revents, 0);
	assert_int_equal(fds[1].revents, POLLIN);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

#define SHARE_TEST(f) cmocka_unit_test_setup_teardown(f, open_share, close_share)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHARE_TEST(a_round_tells_whose_readiness_has_grown),
		SHARE_TEST(a_wake_up_before_the_wait_is_not_lost),
		SHARE_TEST(a_descriptor_of_the_callers_ends_the_sleep),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
