// SPDX-License-Identifier: BSD-2-Clause
/* test_share.c - one engine for many: lock, waiting, waking (user/engine/share*.c). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "../lib/pair.h"
#include "engine/share_keep_priv.h"
#include "engine/share_priv.h"
#include "engine/share_proto.h"
#include "engine/shared.h"

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

static unsigned nforked, nreleased, nsalvaged, noutside;

static void on_fork(struct mr_share *s, const struct mr_proc *parent, struct mr_proc *child)
{
	(void)s;
	nforked += parent != child;
}

static void on_release(struct mr_share *s, struct mr_proc *proc)
{
	(void)s;
	nreleased += proc != NULL;
}

static void on_salvage(struct mr_share *s)
{
	nsalvaged += s == share;
}

/* As a handler that was put off: it may use the stack. */
static void on_outside(struct mr_share *s)
{
	assert_false(mr_share_inside());
	mr_share_lock(s, NULL);
	mr_share_unlock(s);
	noutside++;
	mr_share_interrupt();
}

static const struct mr_share_ops ops = {
	.outside = on_outside,
	.ready = on_ready,
	.fork = on_fork,
	.release = on_release,
	.salvage = on_salvage,
};

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
	nready = nforked = nreleased = nsalvaged = noutside = 0;
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

/* The interface is gone, or the keeper is told to end, while programs have sockets in their hands. */
static void who_has_sockets_of_a_stack_that_ends_may_go_on_asking_them(void **state)
{
	struct mr_socket *l, *c, *s, *late;
	struct mr_endpoint ep;
	struct mr_event ev;
	char buf[4];

	(void)state;
	listen_and_connect(&l, &c);
	for (int i = 0; i < 10 && !nready; i++)
		look();
	assert_int_equal(mr_accept(l, &s, NULL), 0);
	nready = 0;
	share_end(share);
	assert_true(nready); /* who waits for it is told */
	assert_int_equal(mr_share_lock(share, NULL), -ENETDOWN);
	assert_int_equal(mr_ready(l), 0);
	assert_int_equal(mr_accept(l, &late, NULL), -EAGAIN);
	assert_int_equal(mr_local(l, &ep), 0);
	assert_int_equal(ep.port, p.addr[1].port);
	assert_true(mr_ready(s) & MR_ERR);
	assert_int_equal(mr_local(s, &ep), 0);
	assert_int_equal(ep.port, p.addr[1].port);
	assert_int_equal(mr_peer(s, &ep), -ENOTCONN);
	assert_int_equal(mr_set_option(s, MR_OPT_NODELAY, 1), 0);
	assert_int_equal(mr_recv(s, buf, sizeof(buf), 0), -ENETDOWN);
	assert_int_equal(mr_recv(s, buf, sizeof(buf), 0), 0);
	assert_int_equal(mr_send(s, buf, sizeof(buf), 0), -EPIPE);
	mr_close(s);
	mr_close(l);
	mr_share_unlock(share);
	while (mr_wait(p.engine[0], &ev, 1, 0) > 0 && mr_ready(c) & MR_OUT &&
	       !(mr_ready(c) & MR_ERR))
		;
	assert_int_equal(mr_sock_error(c), -ECONNRESET);
}

/* As the keeper does when the kernel tells it of the link, long before the next look that is due anyway. */
static void
an_interface_that_is_found_gone_between_the_rounds_ends_the_stack_in_the_next(void **state)
{
	struct mr_engine *engine = mr_share_engine(share);

	(void)state;
	assert_int_equal(look(), -ETIMEDOUT);
	p.dev[1]->gone = true;
	mr_share_lock(share, NULL);
	assert_int_equal(mr_engine_service(engine, engine->st->now), -ENETDOWN);
	assert_int_equal(mr_share_round(share), -ENETDOWN);
	mr_share_unlock(share);
	assert_int_equal(mr_share_lock(share, NULL), -ENETDOWN);
	mr_share_unlock(share);
}

/* A call that ends so long after the last round. Does it make one? */
static bool call_makes_a_round(uint64_t after_ns)
{
	struct mr_stack *st = mr_share_engine(share)->st;
	uint64_t rounds = st->ctr.c[MR_CTR_ENGINE_ROUNDS];

	mr_share_lock(share, NULL);
	st->round_at = st->now - after_ns;
	mr_share_unlock(share);
	return st->ctr.c[MR_CTR_ENGINE_ROUNDS] != rounds;
}

static void who_is_busy_with_calls_that_do_not_wait_looks_at_the_device_in_them(void **state)
{
	(void)state;
	assert_false(call_makes_a_round(100 * MR_NS_PER_US));
	assert_true(call_makes_a_round(MR_NS_PER_MS)); /* the keeper waits for twice as long */
	share->c->leader = waiter;
	assert_false(call_makes_a_round(MR_NS_PER_MS)); /* it is that one's to do */
	share->c->leader = NULL;
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

static sigjmp_buf out;
static bool jumps;

static void jump(int signo)
{
	(void)signo;
	if (jumps)
		siglongjmp(out, 1);
}

/* As wget's time limit does. The signal is blocked but for the sleep. */
static void a_sleep_that_a_signal_handler_jumps_out_of_leaves_the_sleepers_in_order(void **state)
{
	struct sigaction sa = { .sa_handler = jump }, old;
	sigset_t usr1, none;

	(void)state;
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	sigaction(SIGUSR1, &sa, &old);
	jumps = true;
	if (!sigsetjmp(out, 1)) {
		raise(SIGUSR1);
		mr_share_lock(share, NULL);
		mr_share_wait_begin(share, waiter);
		mr_share_wait(share, waiter, NULL, 0, MR_SHARE_FOREVER, &none);
		fail();
	}
	jumps = false;
	raise(SIGUSR1);
	mr_share_lock(share, NULL);
	mr_share_wait_begin(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, NULL, 0, MR_SHARE_FOREVER, &none), -EINTR);
	sigaction(SIGUSR1, &old, NULL);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	assert_true(mr_list_empty(&share->c->sleepers));
	mr_share_unlock(share);
}

static int wait_for_ever(void)
{
	mr_share_wait_begin(share, waiter);
	return mr_share_wait(share, waiter, NULL, 0, MR_SHARE_FOREVER, NULL);
}

static void what_is_put_off_inside_comes_once_when_the_thread_is_outside(void **state)
{
	(void)state;
	assert_false(mr_share_inside());
	mr_share_lock(share, NULL);
	assert_true(mr_share_inside());
	mr_share_owe();
	assert_int_equal(noutside, 0);
	mr_share_unlock(share);
	assert_int_equal(noutside, 1);
	mr_share_lock(share, NULL);
	mr_share_unlock(share);
	assert_int_equal(noutside, 1);
}

/* The signal came in the call, but not in its sleep. */
static void a_handler_that_was_put_off_ends_the_sleep_that_follows(void **state)
{
	(void)state;
	mr_share_lock(share, NULL);
	mr_share_owe();
	assert_int_equal(wait_for_ever(), -EINTR);
	assert_int_equal(noutside, 1);
	mr_share_unlock(share);
}

/* It has been told, or was before the call. */
static void a_handler_ends_one_sleep(void **state)
{
	uint64_t soon;

	(void)state;
	mr_share_interrupt();
	mr_share_lock(share, NULL);
	mr_share_owe();
	assert_int_equal(wait_for_ever(), -EINTR);
	soon = mr_share_now(share) + MR_NS_PER_MS;
	mr_share_wait_begin(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, NULL, 0, soon, NULL), -ETIMEDOUT);
	mr_share_unlock(share);
	mr_share_interrupt();
	mr_share_lock(share, NULL);
	soon = mr_share_now(share) + MR_NS_PER_MS;
	mr_share_wait_begin(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, NULL, 0, soon, NULL), -ETIMEDOUT);
	mr_share_unlock(share);
}

static void a_wake_up_comes_before_a_handler_which_is_told_with_the_next_sleep(void **state)
{
	(void)state;
	mr_share_lock(share, NULL);
	mr_share_wait_begin(share, waiter);
	mr_share_wake(share, waiter);
	mr_share_owe();
	mr_share_unlock(share); /* as in a sleep: the call goes on */
	share_acquire(share);
	assert_int_equal(mr_share_wait(share, waiter, NULL, 0, MR_SHARE_FOREVER, NULL), 0);
	assert_int_equal(wait_for_ever(), -EINTR);
	mr_share_unlock(share);
}

/* Between the last look and the sleep: the handler sleeps there, too, for more than the call does. */
static void a_handler_that_sleeps_where_the_thread_is_about_to_ends_its_sleep(void **state)
{
	struct pollfd pfd = { .events = POLLOUT };
	int fds[2], event = share->events[waiter->index];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pfd.fd = fds[1];
	share_signals.event = event; /* it is on its way into a sleep */
	mr_share_lock(share, NULL);
	mr_share_wait_begin(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, &pfd, 1, MR_SHARE_FOREVER, NULL), 1);
	mr_share_unlock(share);
	assert_int_equal(share_signals.event, event);
	mr_share_interrupt();
	share_acquire(share);
	assert_int_equal(wait_for_ever(), -EINTR);
	mr_share_unlock(share);
	share_signals.event = -1;
	close(fds[0]);
	close(fds[1]);
}

/* How often the keeper was rung. */
static uint64_t rings(void)
{
	uint64_t count = 0;

	return read(share->events[0], &count, sizeof(count)) < 0 ? 0 : count;
}

/* ---- Putting off ----------------------------------------------------------------------------- */

static uint64_t a_time; /* ns */

static uint64_t told_time(void *user)
{
	(void)user;
	return a_time;
}

/* A connection that a thread was told of; there is a keeper; it is a second later. */
static struct mr_socket *told_of_a_connection(void)
{
	struct mr_socket *l, *c, *s;
	struct mr_endpoint peer;

	listen_and_connect(&l, &c);
	for (int i = 0; i < 10 && !nready; i++)
		look();
	share->c->kept = true;
	mr_share_lock(share, NULL);
	assert_int_equal(mr_accept(l, &s, &peer), 0);
	assert_int_equal(mr_set_option(s, MR_OPT_NODELAY, 1), 0);
	mr_share_unlock(share);
	a_time = share->engine->st->now + MR_NS_PER_S;
	share->engine->clock = told_time;
	mr_share_lock(share, NULL);
	mr_share_round(share);
	mr_share_batch(share, true);
	mr_share_unlock(share);
	return s;
}

static uint64_t segments(void)
{
	return p.engine[1]->st->ctr.c[MR_CTR_TCP_SEGS_OUT];
}

static void answer(struct mr_socket *s)
{
	mr_share_lock(share, s);
	assert_int_equal(mr_send(s, "x", 1, 0), 1);
	mr_share_unlock(share);
}

static void an_answer_and_the_end_go_as_one_segment_with_the_wait(void **state)
{
	struct mr_socket *s = told_of_a_connection();
	uint64_t before = segments();

	(void)state;
	answer(s);
	mr_share_lock(share, s);
	assert_true(mr_share_puts_off(share));
	mr_close(s);
	mr_share_unlock(share);
	assert_int_equal(segments(), before);
	look();
	assert_int_equal(segments(), before + 1);
	assert_false(mr_share_puts_off(share));
}

static void who_has_waited_in_vain_sends_at_once(void **state)
{
	struct mr_socket *s = told_of_a_connection();
	uint64_t before = segments();

	(void)state;
	look();
	answer(s);
	assert_int_equal(segments(), before + 1);
}

static void what_was_put_off_goes_with_a_later_call_when_its_time_is_over(void **state)
{
	struct mr_socket *s = told_of_a_connection();
	uint64_t before = segments();
	unsigned n = 0;

	(void)state;
	while (segments() == before && n < 1000) {
		answer(s);
		a_time += 20 * MR_NS_PER_US;
		n++;
	}
	assert_in_range(n, 3, 50);
}

static void nothing_is_put_off_where_another_one_leads(void **state)
{
	struct mr_socket *s = told_of_a_connection();
	uint64_t before = segments();

	(void)state;
	share->c->leader = &share->c->waiters[2];
	answer(s);
	assert_int_equal(segments(), before + 1);
	share->c->leader = NULL;
}

static void another_threads_call_sends_what_was_put_off(void **state)
{
	struct mr_socket *s = told_of_a_connection();
	uint64_t before = segments();

	(void)state;
	answer(s);
	assert_int_equal(segments(), before);
	mr_share_batch(share, false); /* as in a thread that was told of nothing, the keeper */
	mr_share_lock(share, NULL);
	mr_share_unlock(share);
	assert_int_equal(segments(), before + 1);
}

static void who_often_comes_late_sends_at_once_and_tries_again_later(void **state)
{
	struct mr_socket *s = told_of_a_connection();
	unsigned at_once = 0, put_off = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		uint64_t before = segments();

		mr_share_lock(share, NULL);
		mr_share_batch(share, true);
		mr_share_unlock(share);
		answer(s);
		if (segments() == before)
			put_off++;
		else
			at_once++;
		a_time += MR_NS_PER_MS; /* it computes */
		look();
	}
	assert_in_range(put_off, 3, 10);
	assert_in_range(at_once, 90, 97);
}

static void the_keeper_leaves_the_lead_to_one_that_is_back(void **state)
{
	(void)state;
	told_of_a_connection();
	rings();
	share->c->leader = share_keeper(share->c);
	share->c->leader->asleep = true;
	mr_share_lock(share, NULL);
	mr_share_batch(share, true);
	mr_share_unlock(share);
	assert_null(share->c->leader);
	assert_int_equal(rings(), 1);
}

/* ---- Confined processes ---------------------------------------------------------------------- */

/* As mr_share_confine() leaves it; there is no keeper to be asked. */
static void confine(void)
{
	share->c->kept = true;
	share->confined = true;
}

static void confining_needs_a_keeper(void **state)
{
	(void)state;
	assert_int_equal(mr_share_confine(share), -ENOTSUP);
	assert_false(mr_share_confined(share));
}

static void a_confined_process_rings_once_for_what_it_has_to_send(void **state)
{
	const struct mr_stack *st = p.engine[1]->st;
	struct mr_socket *s;

	(void)state;
	confine();
	for (int i = 0; i < 2; i++) {
		mr_share_lock(share, NULL);
		assert_int_equal(mr_socket(mr_share_engine(share), &s), 0);
		assert_int_equal(mr_connect(s, &p.addr[0]), -EINPROGRESS);
		mr_share_unlock(share);
	}
	assert_int_equal(rings(), 1);
	assert_true(share->c->keeper_turn);
	assert_true(mr_tcp_owes(&st->tcp));
	mr_share_unconfine(share);
	mr_share_lock(share, NULL);
	mr_share_unlock(share);
	assert_false(mr_tcp_owes(&st->tcp));
}

static void a_confined_sleeper_leaves_the_lead_to_the_keeper(void **state)
{
	uint64_t soon;

	(void)state;
	confine();
	mr_share_lock(share, NULL);
	soon = mr_share_now(share) + 2 * MR_NS_PER_MS;
	mr_share_wait_begin(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, NULL, 0, soon, NULL), -ETIMEDOUT);
	assert_ptr_equal(share->c->leader, share_keeper(share->c));
	assert_true(waiter->passive);
	mr_share_unlock(share);
	assert_int_equal(rings(), 1);
}

static void a_confined_sleeper_is_woken_and_sees_the_callers_descriptor(void **state)
{
	struct pollfd pfd = { .events = POLLIN };
	int fds[2];

	(void)state;
	confine();
	assert_int_equal(pipe(fds), 0);
	pfd.fd = fds[0];
	assert_int_equal(write(fds[1], "x", 1), 1);
	mr_share_lock(share, NULL);
	mr_share_wait_begin(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, &pfd, 1, MR_SHARE_FOREVER, NULL), 1);
	assert_int_equal(pfd.revents, POLLIN);
	mr_share_wait_begin(share, waiter);
	mr_share_wake(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, NULL, 0, MR_SHARE_FOREVER, NULL), 0);
	mr_share_unlock(share);
	close(fds[0]);
	close(fds[1]);
}

static void a_waiter_without_an_event_looks_again_and_again(void **state)
{
	int event = share->events[waiter->index];
	uint64_t soon;

	(void)state;
	share->events[waiter->index] = -1;
	share->confined = true; /* so that no new one is made */
	mr_share_lock(share, NULL);
	soon = mr_share_now(share) + 3 * MR_NS_PER_MS;
	mr_share_wait_begin(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, NULL, 0, soon, NULL), -ETIMEDOUT);
	mr_share_unlock(share);
	share->events[waiter->index] = event;
}

/* Nobody would write it: it is the keeper who makes them. */
static void who_cannot_reach_the_keeper_makes_no_event_of_its_own(void **state)
{
	int event = share->events[waiter->index];
	uint64_t soon;

	(void)state;
	share->events[waiter->index] = -1;
	share->c->kept = true;
	share->opener = false;
	mr_share_lock(share, NULL);
	soon = mr_share_now(share) + 3 * MR_NS_PER_MS;
	mr_share_wait_begin(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, NULL, 0, soon, NULL), -ETIMEDOUT);
	mr_share_unlock(share);
	assert_int_equal(share->events[waiter->index], -1);
	share->events[waiter->index] = event;
	share->opener = true;
	share->c->kept = false;
}

/* As a sleeper of another process: its event is unknown here. */
static struct mr_waiter *strange_sleeper(void)
{
	struct mr_waiter *other = &share->c->waiters[waiter->index + 1];

	*other = (struct mr_waiter){ .index = waiter->index + 1, .used = true, .asleep = true };
	mr_list_init(&other->node);
	mr_list_init(&other->awake_node);
	mr_list_add_tail(&share->c->sleepers, &other->node);
	return other;
}

static int sleep_for_a_moment(void)
{
	int ret;

	mr_share_lock(share, NULL);
	mr_share_wait_begin(share, waiter);
	ret = mr_share_wait(share, waiter, NULL, 0, mr_share_now(share) + MR_NS_PER_MS, NULL);
	mr_share_unlock(share);
	return ret;
}

/* It may be stopped, and who waited for it would be the one who drives the device. */
static void nobody_waits_for_the_keeper_to_tell_the_event_of_another(void **state)
{
	struct share_answer answer = { .nfds = 1 };
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), fds[2];
	struct mr_waiter *other = strange_sleeper();
	struct share_request rq;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	share->keeper = fds[0];
	mr_share_lock(share, NULL);
	mr_share_wake(share, other);
	mr_share_unlock(share);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sleep_for_a_moment(), -ETIMEDOUT);
	assert_int_equal(recv(fds[1], &rq, sizeof(rq), MSG_DONTWAIT), sizeof(rq));
	assert_int_equal(rq.op, SHARE_EVENT);
	assert_int_equal(rq.arg, other->index);
	assert_int_equal(recv(fds[1], &rq, sizeof(rq), MSG_DONTWAIT), -1); /* once */
	answer.waiter = other->index;
	assert_int_equal(share_send(fds[1], &answer, sizeof(answer), &event, 1), 0);
	assert_int_equal(sleep_for_a_moment(), -ETIMEDOUT);
	assert_true(share->events[other->index] >= 0);
	mr_list_del(&other->node);
	other->used = false;
	share->keeper = -1;
	close(fds[0]);
	close(fds[1]);
	close(event);
}

static void *try_to_talk(void *result)
{
	int err = pthread_mutex_trylock(&share->talk);

	if (!err)
		pthread_mutex_unlock(&share->talk);
	*(int *)result = err;
	return NULL;
}

static int another_thread_talks(void)
{
	pthread_t thread;
	int err = -1;

	assert_int_equal(pthread_create(&thread, NULL, try_to_talk, &err), 0);
	pthread_join(thread, NULL);
	return err;
}

/* The child has the descriptors of a moment before its memory: it wrote wake-ups to its connection to the keeper, which
 * had got the number of an eventfd that came in between. Threads of the parent slept on, and the keeper closed the
 * connection. */
static void no_thread_receives_an_event_while_another_forks(void **state)
{
	(void)state;
	assert_int_equal(another_thread_talks(), 0);
	mr_share_fork_prepare(share);
	assert_int_equal(another_thread_talks(), EBUSY);
	assert_int_equal(pthread_mutex_trylock(&share->talk),
			 0); /* the one that forks may, in a handler */
	pthread_mutex_unlock(&share->talk);
	mr_share_fork_parent(share, -1);
	assert_int_equal(another_thread_talks(), 0);
}

/* The one whose event is unknown could only be woken by the keeper. */
static void the_lead_goes_to_one_that_can_be_woken(void **state)
{
	struct mr_waiter *strange = strange_sleeper(), *known = &share->c->waiters[3];

	(void)state;
	*known = (struct mr_waiter){ .index = 3, .used = true, .asleep = true };
	mr_list_init(&known->node);
	mr_list_init(&known->awake_node);
	share->events[3] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(strange->index < 3);
	assert_int_equal(sleep_for_a_moment(), -ETIMEDOUT);
	assert_null(share->c->leader);
	mr_list_add_tail(&share->c->sleepers, &known->node);
	assert_int_equal(sleep_for_a_moment(), -ETIMEDOUT);
	assert_ptr_equal(share->c->leader, known);
	mr_list_del(&strange->node);
	mr_list_del(&known->node);
	strange->used = known->used = false;
	share->c->leader = NULL;
}

/* ---- Who leads ------------------------------------------------------------------------------- */

static uint64_t time_now;	      /* passes while somebody looks at it */
static bool asleep;		      /* waiter was, when it was looked at: */
static const struct mr_waiter *leads; /* led then, at first */

static uint64_t watch_clock(void *user)
{
	(void)user;
	if (!asleep && !mr_list_empty(&waiter->node)) {
		asleep = true;
		leads = share->c->leader;
	}
	return time_now += 5 * MR_NS_PER_US;
}

/* Waiter 2, which a call has just woken, of a share that has a keeper. */
static struct mr_waiter *one_is_awake(void)
{
	struct mr_waiter *other = strange_sleeper();

	share->events[other->index] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	share->c->kept = true;
	time_now = p.engine[1]->clock(p.engine[1]->clock_user);
	p.engine[1]->clock = watch_clock;
	mr_share_lock(share, NULL);
	mr_share_wake(share, other);
	mr_list_del(&other->node);
	mr_share_unlock(share);
	return other;
}

/* Who leads while the waiter sleeps? */
static const struct mr_waiter *leader_of_a_sleep(void)
{
	asleep = false;
	assert_int_equal(sleep_for_a_moment(), -ETIMEDOUT);
	assert_true(asleep);
	return leads;
}

static bool keeper_was_rung(void)
{
	uint64_t count;

	return read(share->events[0], &count, sizeof(count)) == sizeof(count);
}

static void who_goes_to_sleep_while_others_are_awake_does_not_lead(void **state)
{
	(void)state;
	one_is_awake();
	assert_null(leader_of_a_sleep());
}

/* Who leads sleeps for all, after spinning or at once. */
static void the_device_is_told_of_a_leaders_sleep(void **state)
{
	static const uint64_t spins[] = { 0, 50 * MR_NS_PER_US };

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(spins); i++) {
		uint32_t rests = p.dev[1]->rests;

		p.engine[1]->spin_ns = spins[i];
		mr_share_lock(share, NULL);
		mr_share_wait_begin(share, waiter);
		assert_int_equal(mr_share_wait(share, waiter, NULL, 0,
					       p.engine[1]->st->now + 5 * MR_NS_PER_MS, NULL),
				 -ETIMEDOUT);
		mr_share_unlock(share);
		assert_true(p.dev[1]->rests > rests);
	}
	p.engine[1]->spin_ns = 0;
}

static void who_goes_to_sleep_last_leads(void **state)
{
	struct mr_waiter *other = one_is_awake();

	(void)state;
	mr_share_lock(share, NULL);
	share_waiter_free(share, other); /* its thread has ended */
	mr_share_unlock(share);
	assert_ptr_equal(leader_of_a_sleep(), waiter);
}

static void one_that_has_not_been_seen_lately_is_not_counted_on(void **state)
{
	struct mr_waiter *other = one_is_awake();

	(void)state;
	other->seen_at -= MR_NS_PER_S;
	assert_ptr_equal(leader_of_a_sleep(), waiter);
}

static void without_a_keeper_nobody_is_counted_on(void **state)
{
	(void)state;
	one_is_awake();
	share->c->kept = false;
	assert_ptr_equal(leader_of_a_sleep(), waiter);
}

/* Of the neighbour only the keeper's kernel knows. The first segment to it is a SYN-ACK, which input makes: with it waiting
 * for the neighbour nothing is owed to TCP or to the device, and nobody else has a reason to ring. */
static void who_makes_an_answer_that_waits_for_a_neighbour_rings_the_keeper_at_once(void **state)
{
	struct mr_link *link = &p.engine[1]->st->link;
	const uint8_t none[6] = { 0 };
	struct mr_socket *l, *c;

	(void)state;
	listen_and_connect(&l, &c);
	for (int i = 0; i < 10 && !nready; i++)
		look(); /* the peer knows this side's MAC address now */
	share->c->kept = true;
	link->kernel = true;
	mr_neigh_learned(link, &p.addr[0].addr, MR_NEIGH_INCOMPLETE, true, none,
			 p.engine[1]->st->now);
	assert_int_equal(mr_socket(p.engine[0], &c), 0);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EINPROGRESS);
	assert_int_equal(mr_flush(p.engine[0]), 0);
	keeper_was_rung();
	assert_false(mr_shared_wants(p.engine[1]));
	look();
	assert_true(mr_shared_wants(p.engine[1]));
	assert_true(keeper_was_rung());
}

/* It runs no rounds. */
static void one_of_a_confined_process_is_not_counted_on(void **state)
{
	struct mr_waiter *other = one_is_awake();

	(void)state;
	other->passive = other->asleep = true;
	mr_share_lock(share, NULL);
	mr_share_wake(share, other);
	mr_share_unlock(share);
	assert_ptr_equal(leader_of_a_sleep(), waiter);
}

static void a_keeper_that_sleeps_sound_hears_that_nobody_leads(void **state)
{
	(void)state;
	one_is_awake();
	keeper_was_rung();
	leader_of_a_sleep();
	assert_false(keeper_was_rung());
	share->c->keeper_sound = true;
	leader_of_a_sleep();
	assert_true(keeper_was_rung());
}

/* As the keeper says of those who did nothing for a whole tick. */
static void those_who_let_others_wait_are_not_counted_on_for_a_while(void **state)
{
	struct mr_waiter *other = one_is_awake();

	(void)state;
	share_distrust(share);
	assert_ptr_equal(leader_of_a_sleep(), waiter);
	time_now += MR_NS_PER_S;
	other->seen_at = time_now;
	assert_null(leader_of_a_sleep());
}

/* So they are where each thread has much to compute for a request. */
static void where_calls_are_far_between_nobody_is_counted_on(void **state)
{
	struct mr_commons *c = share->c;
	unsigned n = 0;

	(void)state;
	one_is_awake();
	mr_share_lock(share, NULL);
	for (c->counted_on = true; c->counted_on; n++) {
		assert_true(n < 100);
		share_tick(share);
		c->seen_at = mr_share_now(share) - MR_NS_PER_MS;
		share_round_seen(share);
	}
	mr_share_unlock(share);
	assert_true(n > 1); /* once is no rule: it may have been without the processor */
	assert_ptr_equal(leader_of_a_sleep(), waiter);
}

static void where_calls_are_close_together_others_stay_counted_on(void **state)
{
	struct mr_commons *c = share->c;

	(void)state;
	one_is_awake();
	mr_share_lock(share, NULL);
	c->counted_on = true;
	for (unsigned n = 0; n < 1000; n++) {
		share_tick(share);
		c->seen_at = mr_share_now(share) - 20 * MR_NS_PER_US;
		share_round_seen(share);
	}
	mr_share_unlock(share);
	assert_true(c->counted_on);
}

static void after_a_salvage_nobody_is_counted_on(void **state)
{
	(void)state;
	one_is_awake();
	mr_share_lock(share, NULL);
	share_waiters_salvage(share);
	mr_share_unlock(share);
	assert_true(mr_list_empty(&share->c->awake));
	assert_ptr_equal(leader_of_a_sleep(), waiter);
}

/* A connection is to be accepted, of which the engine will know by the next round. */
static void packet_comes(void)
{
	struct mr_socket *l, *c;

	listen_and_connect(&l, &c);
	for (int i = 0; i < 4; i++)
		look();
	assert_int_equal(mr_socket(p.engine[0], &c), 0);
	assert_int_equal(mr_connect(c, &p.addr[1]), -EINPROGRESS);
	look();
	assert_int_equal(nready, 1);
}

static void call(void)
{
	mr_share_lock(share, NULL);
	mr_share_unlock(share);
}

static uint64_t rounds(void)
{
	return p.engine[1]->st->ctr.c[MR_CTR_ENGINE_ROUNDS];
}

static void a_call_runs_a_round_for_those_who_sleep_if_nobody_leads(void **state)
{
	struct mr_waiter *other = strange_sleeper();
	struct mr_event ev;
	uint64_t before;

	(void)state;
	packet_comes();
	mr_wait(p.engine[0], &ev, 1, 0); /* sends */
	before = rounds();
	share->c->leader = other;
	share->c->looked_at = 0;
	call();
	assert_int_equal(rounds(), before); /* it will wake up by itself */
	share->c->leader = NULL;
	call();
	assert_int_equal(rounds(), before + 1);
	call(); /* nothing has come since */
	assert_int_equal(rounds(), before + 1);
	mr_list_del(&other->node);
}

static void a_call_runs_no_round_where_nobody_sleeps(void **state)
{
	struct mr_event ev;
	uint64_t before;

	(void)state;
	packet_comes();
	mr_wait(p.engine[0], &ev, 1, 0);
	before = rounds();
	share->c->looked_at = 0;
	call();
	assert_int_equal(rounds(), before);
}

static unsigned nkicks;

static int kick(struct mr_dev *dev)
{
	(void)dev;
	nkicks++;
	return 0;
}

/* The ring may hold what nothing else will be sent after. Who waited turned round and round, with the lock. */
static void a_doorbell_that_was_turned_away_is_rung_again_though_nothing_new_is_sent(void **state)
{
	const struct mr_dev_ops *before = p.engine[1]->dev->ops;
	struct mr_dev_ops counting = *before;
	struct mr_port_state *port = &p.engine[1]->st->port;

	(void)state;
	assert_int_equal(sleep_for_a_moment(), -ETIMEDOUT); /* what there was to send is sent */
	counting.kick = kick;
	p.engine[1]->dev->ops = &counting;
	nkicks = 0;
	port->kick_pending = true;
	port->retry_at = 1; /* is over */
	assert_int_equal(sleep_for_a_moment(), -ETIMEDOUT);
	assert_int_equal(nkicks, 1);
	p.engine[1]->dev->ops = before;
}

static unsigned nrings;
static int ring_result;

static int ring(const struct mr_dev *dev)
{
	(void)dev;
	assert_int_equal(pthread_mutex_trylock(&share->c->lock), 0); /* nobody has it */
	pthread_mutex_unlock(&share->c->lock);
	nrings++;
	return ring_result;
}

static void send_something(void)
{
	struct mr_socket *c;

	mr_share_lock(share, NULL);
	assert_int_equal(mr_socket(p.engine[1], &c), 0);
	assert_int_equal(mr_connect(c, &p.addr[0]), -EINPROGRESS);
	mr_share_unlock(share);
}

/* Not told of events lately. */
static void know_the_neighbour(void)
{
	mr_share_batch(share, false);
	mr_share_batch(share, false);
	send_something();
	look();
	look();
}

static const struct mr_dev_ops *uncounted;

static void count_doorbells(struct mr_dev_ops *counting)
{
	uncounted = p.engine[1]->dev->ops;
	*counting = *uncounted;
	counting->kick = kick;
	counting->ring = ring;
	p.engine[1]->dev->ops = counting;
	nkicks = nrings = 0;
	ring_result = 0;
}

static void count_no_more(void)
{
	p.engine[1]->dev->ops = uncounted;
}

/* A doorbell takes long: other threads slept for the lock meanwhile, and each of them took a switch of tasks more. */
static void who_waits_for_one_socket_rings_without_the_lock(void **state)
{
	struct mr_dev_ops counting;

	(void)state;
	know_the_neighbour();
	count_doorbells(&counting);
	send_something();
	assert_int_equal(nrings, 1);
	assert_int_equal(nkicks, 0);
	mr_share_batch(share, true); /* as epoll_wait() does: it serves events */
	send_something();
	assert_int_equal(nrings, 1);
	assert_int_equal(nkicks, 1);
	mr_share_batch(share, false);
	mr_share_batch(share, true); /* of all its waits the last told of events */
	mr_share_batch(share, false);
	send_something();
	assert_int_equal(nrings, 1);
	mr_share_batch(share, false);
	send_something();
	assert_int_equal(nrings, 2);
	count_no_more();
}

static void what_the_doorbell_refused_without_the_lock_is_tried_again_with_it(void **state)
{
	struct mr_dev_ops counting;
	struct mr_counters *ctr = &p.engine[1]->st->ctr;
	uint64_t dropped = ctr->drop[MR_DROP_TX_DEVICE];

	(void)state;
	know_the_neighbour();
	count_doorbells(&counting);
	ring_result = -EAGAIN;
	send_something();
	assert_int_equal(nrings, 1);
	assert_int_equal(nkicks, 1);
	assert_int_equal(ctr->drop[MR_DROP_TX_DEVICE], dropped);
	ring_result = -EBUSY; /* the device has dropped it */
	send_something();
	assert_int_equal(nrings, 2);
	assert_int_equal(nkicks, 2);
	assert_int_equal(ctr->drop[MR_DROP_TX_DEVICE], dropped + 1);
	count_no_more();
}

/* close() with SO_LINGER ran rounds for ever: nothing of them was sent. */
static void a_round_rings_what_was_left_to_the_release_of_the_lock(void **state)
{
	struct mr_dev_ops counting;
	struct mr_socket *c;

	(void)state;
	know_the_neighbour();
	count_doorbells(&counting);
	mr_share_lock(share, NULL);
	assert_int_equal(mr_socket(p.engine[1], &c), 0);
	assert_int_equal(mr_connect(c, &p.addr[0]), -EINPROGRESS);
	assert_int_equal(share_output_last(share), 0);
	assert_int_equal(nkicks, 0);
	assert_int_equal(mr_share_round(share), 0);
	assert_int_equal(nkicks, 1);
	mr_share_unlock(share);
	assert_int_equal(nkicks, 1);
	assert_int_equal(nrings, 0);
	count_no_more();
}

/* As another thread would that comes while this one is in the kernel. */
static int ring_while_another_sends(const struct mr_dev *dev)
{
	if (!nrings)
		send_something();
	return ring(dev);
}

static void who_finds_another_one_ringing_leaves_its_packets_to_that_one(void **state)
{
	struct mr_dev_ops counting;

	(void)state;
	know_the_neighbour();
	count_doorbells(&counting);
	counting.ring = ring_while_another_sends;
	send_something();
	assert_int_equal(nrings, 2); /* once more: the first may have come too early for them */
	assert_int_equal(share->rings, 0);
	count_no_more();
}

static int ring_while_others_send_on_and_on(const struct mr_dev *dev)
{
	int ret = ring(dev);

	if (nrings < 100 && share->rings)
		send_something();
	return ret;
}

static void nobody_rings_for_the_others_for_ever(void **state)
{
	struct mr_dev_ops counting;

	(void)state;
	know_the_neighbour();
	count_doorbells(&counting);
	counting.ring = ring_while_others_send_on_and_on;
	send_something();
	assert_in_range(nrings, 3, 10);
	assert_int_equal(share->rings, 0);
	count_no_more();
}

static bool is_written(const struct mr_waiter *w)
{
	struct pollfd pfd = { .fd = share->events[w->index], .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

/* Woken before, it found the lock held. */
static void a_thread_of_this_process_is_woken_when_the_lock_is_free(void **state)
{
	struct mr_waiter *other = strange_sleeper();
	struct mr_dev_ops counting;

	(void)state;
	count_doorbells(&counting);
	other->proc = (uint16_t)share->self->index;
	assert_true(share_event_of(share, other) >= 0);
	mr_share_batch(share, false);
	mr_share_batch(share, false);
	mr_share_lock(share, NULL);
	mr_share_wake(share, other);
	assert_false(other->asleep);
	assert_false(is_written(other));
	mr_share_unlock(share);
	assert_true(is_written(other));
	mr_list_del(&other->node);
	count_no_more();
}

/* This one may be stopped before it comes to that, and serves events: the other is on its way during the doorbell. */
static void another_process_and_who_is_woken_by_a_server_of_events_are_woken_at_once(void **state)
{
	struct mr_waiter *other = strange_sleeper();
	struct mr_dev_ops counting;
	uint64_t count;

	(void)state;
	count_doorbells(&counting);
	assert_true(share_event_of(share, other) >= 0);
	mr_share_batch(share, false);
	mr_share_batch(share, false);
	mr_share_lock(share, NULL);
	other->proc = (uint16_t)(share->self->index + 1);
	mr_share_wake(share, other);
	assert_true(is_written(other));
	assert_int_equal(read(share->events[other->index], &count, sizeof(count)), sizeof(count));
	other->proc = (uint16_t)share->self->index;
	other->asleep = true;
	mr_share_batch(share, true);
	mr_share_wake(share, other);
	assert_true(is_written(other));
	mr_share_batch(share, false);
	mr_share_batch(share, false);
	mr_share_unlock(share);
	mr_list_del(&other->node);
	count_no_more();
}

/* Programs that want no descriptor any more set their number to 0; poll() takes no more than that. */
static void a_sleeper_needs_no_descriptors_of_the_programs(void **state)
{
	struct rlimit few, before;
	uint64_t soon;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	mr_share_lock(share, NULL);
	soon = mr_share_now(share) + 3 * MR_NS_PER_MS;
	mr_share_wait_begin(share, waiter);
	assert_int_equal(mr_share_wait(share, waiter, NULL, 0, soon, NULL), -ETIMEDOUT);
	mr_share_unlock(share);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* ---- Fork ------------------------------------------------------------------------------------ */

static struct mr_proc *forked_child(void)
{
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (&share->c->procs[i] != share->self && share->c->procs[i].state != PROC_FREE)
			return &share->c->procs[i];
	return NULL;
}

/* In the child: 0, or the number of the step that failed. */
static int be_child(const struct mr_proc *parent)
{
	if (mr_share_fork_child(share))
		return 1;
	if (share->self == parent || share->self->parent != parent->index)
		return 2;
	if (mr_share_lock(share, NULL) || share->self->state != PROC_LIVE ||
	    share->self->pid != getpid())
		return 3;
	mr_share_unlock(share);
	if (!mr_share_waiter(share) || mr_share_waiter(share) == waiter)
		return 4;
	return 0;
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* As a signal handler would that interrupts a call. */
static void who_enters_twice_is_ended_and_the_others_go_on(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		mr_share_lock(share, NULL);
		mr_share_lock(share, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_int_equal(mr_share_lock(share, NULL), 0);
	assert_int_equal(nsalvaged, 1);
	mr_share_unlock(share);
}

static void a_forked_child_has_a_place_a_table_and_a_waiter_of_its_own(void **state)
{
	struct mr_proc *child;
	pid_t pid;

	(void)state;
	mr_share_fork_prepare(share);
	child = forked_child();
	assert_non_null(child);
	assert_int_equal(child->state, PROC_FORKING);
	assert_int_equal(nforked, 1);
	assert_ptr_not_equal(child->fds, share->self->fds);
	pid = fork();
	if (!pid)
		_exit(be_child(share->self));
	mr_share_fork_parent(share, pid);
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(child->state, PROC_LIVE); /* until the keeper sees its end */
	assert_int_equal(child->pid, pid);
	assert_true(share->c->keeper_news);
	assert_int_equal(mr_share_lock(share, NULL), 0);
	mr_share_unlock(share);
}

static void a_fork_that_fails_gives_the_place_back(void **state)
{
	(void)state;
	mr_share_fork_prepare(share);
	mr_share_fork_parent(share, -1);
	assert_null(forked_child());
	assert_int_equal(nreleased, 1);
	mr_share_fork_prepare(share); /* another one may begin */
	assert_int_equal(nforked, 2);
	mr_share_fork_parent(share, -1);
}

static void a_child_for_which_there_is_no_place_is_told(void **state)
{
	pid_t pid;

	(void)state;
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (&share->c->procs[i] != share->self)
			share->c->procs[i].state = PROC_LIVE;
	mr_share_fork_prepare(share);
	pid = fork();
	if (!pid)
		_exit(mr_share_fork_child(share) == -EUSERS ? 0 : 1);
	mr_share_fork_parent(share, pid);
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(nforked, 0);
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (&share->c->procs[i] != share->self)
			share->c->procs[i].state = PROC_FREE;
}

/* Of what a dead process had of waiters, however many there were before. */
static void the_waiters_of_one_that_is_gone_are_free_again(void **state)
{
	struct mr_proc *proc;

	(void)state;
	mr_share_lock(share, NULL);
	proc = share_proc_new(share, PROC_LIVE, 1);
	for (uint32_t i = waiter->index + 1; i < 2000; i++) {
		share->c->waiters[i].used = true;
		share->c->waiters[i].proc = (uint16_t)proc->index;
	}
	share->c->nwaiters = 2000;
	share_proc_free(share, proc);
	for (uint32_t i = 0; i < 2000; i++)
		assert_int_equal(share->c->waiters[i].used, i <= waiter->index);
	mr_share_unlock(share);
}

static void a_number_of_another_pid_namespace_is_not_told(void **state)
{
	struct mr_proc *child;

	(void)state;
	share->foreign = true;
	mr_share_fork_prepare(share);
	child = forked_child();
	mr_share_fork_parent(share, 2);
	assert_int_equal(child->state, PROC_FORKING);
	assert_int_equal(child->pid, 0);
	child->state = PROC_FREE;
}

/* A child dies with the lock: who is next puts it right and goes on. */
static void a_child_that_dies_inside_the_lock_leaves_it_to_be_repaired(void **state)
{
	pid_t pid;

	(void)state;
	mr_share_fork_prepare(share);
	pid = fork();
	if (!pid) {
		if (mr_share_fork_child(share) || mr_share_lock(share, NULL))
			_exit(1);
		_exit(0);
	}
	mr_share_fork_parent(share, pid);
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(mr_share_lock(share, NULL), 0);
	mr_share_unlock(share);
	assert_int_equal(nsalvaged, 1);
}

static int die(const struct mr_dev *dev)
{
	(void)dev;
	_exit(7);
}

static void who_dies_before_it_rings_has_left_the_lock_and_the_keeper_rings(void **state)
{
	struct mr_keeper *k = calloc(1, sizeof(*k));
	struct mr_dev_ops counting;
	struct mr_proc *child;
	uint32_t slot;
	pid_t pid;

	(void)state;
	know_the_neighbour();
	count_doorbells(&counting);
	counting.ring = die;
	mr_share_fork_prepare(share);
	child = forked_child();
	slot = child->index;
	pid = fork();
	if (!pid) {
		if (!mr_share_fork_child(share))
			send_something();
		_exit(0);
	}
	mr_share_fork_parent(share, pid);
	assert_int_equal(status_of(pid), 7);
	assert_int_equal(mr_share_lock(share, NULL), 0);
	k->share = share;
	k->watch[slot].pidfd = -1;
	keep_release(k, slot);
	mr_share_unlock(share);
	assert_int_equal(nsalvaged, 0);
	assert_int_equal(nkicks, 1);
	count_no_more();
	free(k);
}

/* The child ends when this thread already waits for the lock, or is about to. */
static void a_death_inside_the_lock_is_repaired_by_who_waits_for_it(void **state)
{
	const struct timespec ms = { .tv_nsec = 2 * MR_NS_PER_MS };
	int fds[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	mr_share_fork_prepare(share);
	pid = fork();
	if (!pid) {
		if (mr_share_fork_child(share) || mr_share_lock(share, NULL) ||
		    write(fds[1], "x", 1) != 1)
			_exit(1);
		nanosleep(&ms, NULL);
		_exit(0);
	}
	mr_share_fork_parent(share, pid);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	mr_share_lock(share, NULL);
	mr_share_unlock(share);
	assert_int_equal(nsalvaged, 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fds[0]);
	close(fds[1]);
}

/* The copies of the ring indices that were right are gone with their process. */
static void who_gets_the_place_of_the_last_driver_does_not_pass_for_it(void **state)
{
	struct mr_proc *child;

	(void)state;
	mr_share_fork_prepare(share);
	child = forked_child();
	share->c->driver = child->index;
	mr_share_fork_parent(share, -1);
	mr_share_fork_prepare(share);
	assert_ptr_equal(forked_child(), child);
	assert_int_not_equal(share->c->driver, child->index);
	mr_share_fork_parent(share, -1);
}

/* Who puts it right may be killed, too, before it sends anything. */
static void the_peer_of_what_was_in_hand_is_told_before_anything_else(void **state)
{
	struct mr_socket *l, *c, *s;
	struct mr_event ev;
	char buf[4];
	ssize_t n;

	(void)state;
	listen_and_connect(&l, &c);
	for (int i = 0; i < 10 && !nready; i++)
		look();
	mr_share_lock(share, NULL);
	assert_int_equal(mr_accept(l, &s, NULL), 0);
	mr_share_touch(share, s);
	share_salvage(share);
	mr_wait(p.engine[0], &ev, 1, 0);
	n = mr_recv(c, buf, sizeof(buf), 0);
	mr_share_unlock(share);
	assert_int_equal(n, -ECONNRESET);
}

static uint64_t an_hour_later(void *user)
{
	struct timespec ts;

	(void)user;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec + 3600) * MR_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* A segment is lost, and when the process dies it should have been sent again long ago. */
static void what_was_overdue_at_a_death_is_done_after_it(void **state)
{
	struct mr_socket *l, *c, *s;
	char buf[4];
	ssize_t n = -EAGAIN;

	(void)state;
	listen_and_connect(&l, &c);
	for (int i = 0; i < 10 && !nready; i++)
		look();
	mr_share_lock(share, NULL);
	assert_int_equal(mr_accept(l, &s, NULL), 0);
	p.dev[0]->cut = true;
	assert_int_equal(mr_send(s, "abc", 3, 0), 3);
	mr_share_unlock(share);
	p.dev[0]->cut = false;
	p.engine[1]->clock = an_hour_later;
	mr_share_lock(share, NULL);
	share_salvage(share);
	mr_engine_check(p.engine[1]);
	mr_share_unlock(share);
	for (int i = 0; i < 10 && n == -EAGAIN; i++) {
		look();
		n = mr_recv(c, buf, sizeof(buf), 0);
	}
	assert_int_equal(n, 3);
	mr_abort(c);
}

/* In the place of a keeper, one end of a pair of which the other is closed. */
static void lose_keeper(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	close(ends[1]);
	share->keeper = ends[0];
}

/* Bytes on a standard error that was another file when the process joined, or the same. */
static long said_at_the_keepers_end(bool same)
{
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct stat st;

	dup2(fileno(f), STDERR_FILENO);
	fstat(STDERR_FILENO, &st);
	share->err_dev = st.st_dev;
	share->err_ino = st.st_ino + !same;
	for (int i = 0; i < 2; i++) {
		mr_share_lock(share, NULL);
		mr_share_wait_begin(share, waiter);
		assert_int_equal(mr_share_wait(share, waiter, NULL, 0, MR_SHARE_FOREVER, NULL),
				 -ENETDOWN);
		mr_share_unlock(share);
	}
	dup2(saved, STDERR_FILENO);
	close(saved);
	fstat(fileno(f), &st);
	fclose(f);
	return st.st_size;
}

static void the_keepers_end_is_said_once_and_only_on_standard_error(void **state)
{
	(void)state;
	lose_keeper();
	share->log_level = LOG_NOTICE;
	assert_int_equal(said_at_the_keepers_end(false), 0);
	share->gone_said = false;
	assert_in_range(said_at_the_keepers_end(true), 1, 250);
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static void the_engines_descriptors_are_found_in_order(void **state)
{
	int fd = -1, last, n = 0, packet = dup(STDERR_FILENO);

	(void)state;
	share->sockets = malloc(sizeof(int)); /* one that is not polled */
	share->sockets[0] = packet;
	share->nsockets = 1;
	do {
		last = fd;
		fd = mr_share_fd_next(share, last + 1);
		assert_true(fd < 0 || (fd > last && mr_share_owns_fd(share, fd)));
		n += fd >= 0;
	} while (fd >= 0);
	assert_true(n >= 3); /* two events, and the engine's own */
	assert_true(mr_share_owns_fd(share, share->events[waiter->index]));
	assert_true(mr_share_owns_fd(share, packet));
	close(packet);
	assert_false(mr_share_owns_fd(share, STDERR_FILENO));
	assert_false(mr_share_owns_fd(share, -1));
	assert_int_equal(mr_share_fd_next(share, last + 1), -1);
}

#define SHARE_TEST(f) cmocka_unit_test_setup_teardown(f, open_share, close_share)

static int receive_with_few_descriptors(int sock)
{
	int lowest = dup(sock), fds[SHARE_FDS_PER_MESSAGE];
	struct rlimit lim = { (rlim_t)lowest + 2, (rlim_t)lowest + 2 };
	unsigned nfds;
	char byte;

	close(lowest);
	if (lowest < 0 || setrlimit(RLIMIT_NOFILE, &lim))
		return 1;
	if (share_recv(sock, &byte, 1, fds, &nfds, 0) != -EMFILE || nfds)
		return 2;
	return dup(sock) == lowest ? 0 : 3;
}

static void descriptors_for_which_there_is_no_room_are_told_of_and_none_is_kept(void **state)
{
	int pair[2], three[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(share_send(pair[0], "x", 1, three, 3), 0);
	pid = fork();
	if (!pid)
		_exit(receive_with_few_descriptors(pair[1]));
	assert_int_equal(status_of(pid), 0);
	close(pair[0]);
	close(pair[1]);
}

/* Linux's ELF_ET_DYN_BASE. A heap begins behind its program. */
#define FIRST_PROGRAM 0x555555554000ull

static void no_stack_is_mapped_where_a_program_may_be(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4096; i++) {
		uint64_t random = i < 2048 ? i : UINT64_MAX - i;
		struct mr_stack_cfg scfg = { 0 };
		uint64_t arena, ports, umem;

		share_choose_addresses(random, &scfg);
		arena = (uintptr_t)scfg.arena_at;
		ports = (uintptr_t)scfg.ports_at;
		umem = (uintptr_t)scfg.umem_at;
		assert_true(arena >= 1ull << 45 && arena < ports && ports < umem);
		assert_true(umem + (umem - arena) <= FIRST_PROGRAM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHARE_TEST(a_round_tells_whose_readiness_has_grown),
		SHARE_TEST(who_has_sockets_of_a_stack_that_ends_may_go_on_asking_them),
		SHARE_TEST(
			an_interface_that_is_found_gone_between_the_rounds_ends_the_stack_in_the_next),
		SHARE_TEST(who_is_busy_with_calls_that_do_not_wait_looks_at_the_device_in_them),
		SHARE_TEST(a_wake_up_before_the_wait_is_not_lost),
		SHARE_TEST(a_descriptor_of_the_callers_ends_the_sleep),
		SHARE_TEST(a_sleep_that_a_signal_handler_jumps_out_of_leaves_the_sleepers_in_order),
		SHARE_TEST(what_is_put_off_inside_comes_once_when_the_thread_is_outside),
		SHARE_TEST(a_handler_that_was_put_off_ends_the_sleep_that_follows),
		SHARE_TEST(a_handler_ends_one_sleep),
		SHARE_TEST(a_wake_up_comes_before_a_handler_which_is_told_with_the_next_sleep),
		SHARE_TEST(a_handler_that_sleeps_where_the_thread_is_about_to_ends_its_sleep),
		SHARE_TEST(an_answer_and_the_end_go_as_one_segment_with_the_wait),
		SHARE_TEST(who_has_waited_in_vain_sends_at_once),
		SHARE_TEST(what_was_put_off_goes_with_a_later_call_when_its_time_is_over),
		SHARE_TEST(nothing_is_put_off_where_another_one_leads),
		SHARE_TEST(another_threads_call_sends_what_was_put_off),
		SHARE_TEST(the_keeper_leaves_the_lead_to_one_that_is_back),
		SHARE_TEST(who_often_comes_late_sends_at_once_and_tries_again_later),
		SHARE_TEST(confining_needs_a_keeper),
		SHARE_TEST(a_confined_process_rings_once_for_what_it_has_to_send),
		SHARE_TEST(a_confined_sleeper_leaves_the_lead_to_the_keeper),
		SHARE_TEST(a_confined_sleeper_is_woken_and_sees_the_callers_descriptor),
		SHARE_TEST(a_waiter_without_an_event_looks_again_and_again),
		SHARE_TEST(who_cannot_reach_the_keeper_makes_no_event_of_its_own),
		SHARE_TEST(nobody_waits_for_the_keeper_to_tell_the_event_of_another),
		SHARE_TEST(no_thread_receives_an_event_while_another_forks),
		SHARE_TEST(the_lead_goes_to_one_that_can_be_woken),
		SHARE_TEST(who_goes_to_sleep_while_others_are_awake_does_not_lead),
		SHARE_TEST(the_device_is_told_of_a_leaders_sleep),
		SHARE_TEST(who_goes_to_sleep_last_leads),
		SHARE_TEST(one_that_has_not_been_seen_lately_is_not_counted_on),
		SHARE_TEST(without_a_keeper_nobody_is_counted_on),
		SHARE_TEST(who_makes_an_answer_that_waits_for_a_neighbour_rings_the_keeper_at_once),
		SHARE_TEST(one_of_a_confined_process_is_not_counted_on),
		SHARE_TEST(a_keeper_that_sleeps_sound_hears_that_nobody_leads),
		SHARE_TEST(those_who_let_others_wait_are_not_counted_on_for_a_while),
		SHARE_TEST(where_calls_are_far_between_nobody_is_counted_on),
		SHARE_TEST(where_calls_are_close_together_others_stay_counted_on),
		SHARE_TEST(after_a_salvage_nobody_is_counted_on),
		SHARE_TEST(a_call_runs_a_round_for_those_who_sleep_if_nobody_leads),
		SHARE_TEST(a_call_runs_no_round_where_nobody_sleeps),
		SHARE_TEST(
			a_doorbell_that_was_turned_away_is_rung_again_though_nothing_new_is_sent),
		SHARE_TEST(who_waits_for_one_socket_rings_without_the_lock),
		SHARE_TEST(what_the_doorbell_refused_without_the_lock_is_tried_again_with_it),
		SHARE_TEST(a_round_rings_what_was_left_to_the_release_of_the_lock),
		SHARE_TEST(who_finds_another_one_ringing_leaves_its_packets_to_that_one),
		SHARE_TEST(nobody_rings_for_the_others_for_ever),
		SHARE_TEST(who_dies_before_it_rings_has_left_the_lock_and_the_keeper_rings),
		SHARE_TEST(a_thread_of_this_process_is_woken_when_the_lock_is_free),
		SHARE_TEST(
			another_process_and_who_is_woken_by_a_server_of_events_are_woken_at_once),
		SHARE_TEST(a_sleeper_needs_no_descriptors_of_the_programs),
		SHARE_TEST(a_forked_child_has_a_place_a_table_and_a_waiter_of_its_own),
		SHARE_TEST(a_fork_that_fails_gives_the_place_back),
		SHARE_TEST(a_child_for_which_there_is_no_place_is_told),
		SHARE_TEST(the_waiters_of_one_that_is_gone_are_free_again),
		SHARE_TEST(a_number_of_another_pid_namespace_is_not_told),
		SHARE_TEST(a_child_that_dies_inside_the_lock_leaves_it_to_be_repaired),
		SHARE_TEST(a_death_inside_the_lock_is_repaired_by_who_waits_for_it),
		SHARE_TEST(who_gets_the_place_of_the_last_driver_does_not_pass_for_it),
		SHARE_TEST(the_peer_of_what_was_in_hand_is_told_before_anything_else),
		SHARE_TEST(what_was_overdue_at_a_death_is_done_after_it),
		SHARE_TEST(the_keepers_end_is_said_once_and_only_on_standard_error),
		SHARE_TEST(who_enters_twice_is_ended_and_the_others_go_on),
		SHARE_TEST(the_engines_descriptors_are_found_in_order),
		cmocka_unit_test(no_stack_is_mapped_where_a_program_may_be),
		cmocka_unit_test(
			descriptors_for_which_there_is_no_room_are_told_of_and_none_is_kept),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
