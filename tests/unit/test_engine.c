// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_engine.c - the rhythm, waiting and waking, the end, counters (user/engine/). Where a call must
 * sleep the clock is the real one, and the device has no descriptor: only timers and mr_wakeup() wake.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "../lib/pair.h"
#include "base/addr.h"
#include "base/compiler.h"
#include "engine/shared.h"

static struct pair p;
static uint8_t buf[1 << 17];

struct lines {
	unsigned n;
	int level;
	char last[512];
};

static void note_line(void *user, int level, const char *line)
{
	struct lines *l = user;

	l->n++;
	l->level = level;
	snprintf(l->last, sizeof(l->last), "%s", line);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * MR_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void open_real(void)
{
	struct pair_cfg cfg = { .real_clock = true };

	pair_open(&p, &cfg);
}

/* A connection under the real clock, driven by mr_wait() on both sides. */
static void connect_real(struct mr_socket **c, struct mr_socket **s)
{
	struct mr_event ev;

	assert_int_equal(mr_socket(p.engine[1], &p.listener), 0);
	assert_int_equal(mr_bind(p.listener, &p.addr[1]), 0);
	assert_int_equal(mr_listen(p.listener, 4), 0);
	assert_int_equal(mr_socket(p.engine[0], c), 0);
	assert_int_equal(mr_connect(*c, &p.addr[1]), -EINPROGRESS);
	for (int i = 0; i < 10 && mr_accept(p.listener, s, NULL); i++) {
		assert_in_range(mr_wait(p.engine[0], &ev, 1, 0), 0, 1);
		assert_in_range(mr_wait(p.engine[1], &ev, 1, 0), 0, 1);
	}
	assert_int_equal(mr_engine_connections(p.engine[1]), 1);
}

/* ---- Waiting ------------------------------------------------------------------------------------ */

static void a_wait_ends_at_its_timeout(void **state)
{
	uint64_t before, took;
	struct mr_event ev;

	(void)state;
	open_real();
	before = clock_ns(CLOCK_MONOTONIC);
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, 30000), 0);
	took = clock_ns(CLOCK_MONOTONIC) - before;
	assert_in_range(took, 30 * MR_NS_PER_MS, 2 * MR_NS_PER_S);
	assert_true(pair_counter(&p, 0, MR_CTR_ENGINE_SLEEPS) > 0);
	before = pair_counter(&p, 0, MR_CTR_ENGINE_SLEEPS);
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, 0), 0); /* one round, no sleep */
	assert_int_equal(pair_counter(&p, 0, MR_CTR_ENGINE_SLEEPS), before);
	pair_close(&p);
}

/* So that it makes room for what may come meanwhile. */
static void the_device_is_told_of_each_sleep_and_of_the_connections(void **state)
{
	struct mr_socket *c, *s;
	struct mr_event ev;
	uint64_t sleeps;
	uint32_t rests;

	(void)state;
	open_real();
	assert_int_equal(p.dev[0]->dev.peers, 0);
	connect_real(&c, &s);
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, 0), 0);
	assert_int_equal(p.dev[0]->dev.peers, 1);
	rests = p.dev[0]->rests;
	sleeps = pair_counter(&p, 0, MR_CTR_ENGINE_SLEEPS);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mr_wait(p.engine[0], &ev, 1, 5000), 0);
	assert_true(p.dev[0]->rests >= rests + 3);
	assert_int_equal(p.dev[0]->rests - rests,
			 pair_counter(&p, 0, MR_CTR_ENGINE_SLEEPS) - sleeps);
	rests = p.dev[0]->rests;
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, 0), 0);
	assert_int_equal(p.dev[0]->rests, rests);
	pair_close(&p);
}

static void an_idle_engine_costs_next_to_nothing(void **state)
{
	struct mr_socket *c, *s;
	uint64_t cpu, sleeps;
	struct mr_event ev;

	(void)state;
	open_real();
	connect_real(&c, &s);
	/* Announcements (2 s apart) and delayed ACKs of the beginning may still be there. */
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	sleeps = pair_counter(&p, 0, MR_CTR_ENGINE_SLEEPS);
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, 500000), 0);
	assert_true(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu < 25 * MR_NS_PER_MS);
	assert_true(pair_counter(&p, 0, MR_CTR_ENGINE_SLEEPS) - sleeps < 20);
	pair_close(&p);
}

static void a_wait_receives_answers_and_tells(void **state)
{
	struct mr_socket *c, *s;
	struct mr_event ev[4];

	(void)state;
	open_real();
	connect_real(&c, &s);
	mr_set_interest(s, MR_IN, 42);
	assert_int_equal(mr_send(c, "ping", 4, 0), 4);
	assert_int_equal(mr_wait(p.engine[0], ev, 4, 0), 0); /* sends */
	assert_int_equal(mr_wait(p.engine[1], ev, 4, -1), 1);
	assert_ptr_equal(ev[0].sock, s);
	assert_int_equal(ev[0].user, 42);
	assert_int_equal(ev[0].ready, MR_IN);
	assert_int_equal(mr_wait(p.engine[1], ev, 4, -1), 1); /* again, until it is read */
	assert_int_equal(mr_recv(s, buf, 10, 0), 4);
	assert_int_equal(mr_wait(p.engine[1], ev, 4, 0), 0);
	pair_close(&p);
}

static void an_answer_carries_the_acknowledgment(void **state)
{
	struct mr_socket *c, *s;
	struct mr_event ev;
	uint32_t sent;

	(void)state;
	pair_open(&p, NULL); /* time stands still: no timer may send meanwhile */
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_send(c, "ping", 4, 0), 4);
	assert_int_equal(mr_flush(p.engine[0]), 0);
	sent = p.dev[1]->sent;
	assert_int_equal(mr_wait(p.engine[1], &ev, 1, -1), 1);
	assert_int_equal(p.dev[1]->sent, sent); /* what is owed waits for the application */
	assert_int_equal(mr_recv(s, buf, 10, 0), 4);
	assert_int_equal(mr_send(s, "pong", 4, 0), 4);
	assert_int_equal(mr_flush(p.engine[1]), 0);
	assert_int_equal(p.dev[1]->sent, sent + 1);
	pair_close(&p);
}

/* A SYN, and the request with the ACK of the SYN,ACK: the listener is ready, and the request unheard of. */
static void connect_with_request(struct mr_socket **c, struct mr_socket **s)
{
	struct mr_event ev;

	pair_open(&p, NULL); /* time stands still */
	assert_int_equal(mr_socket(p.engine[1], &p.listener), 0);
	assert_int_equal(mr_bind(p.listener, &p.addr[1]), 0);
	assert_int_equal(mr_listen(p.listener, 4), 0);
	assert_int_equal(mr_socket(p.engine[0], c), 0);
	assert_int_equal(mr_connect(*c, &p.addr[1]), -EINPROGRESS);
	mr_set_interest(*c, MR_OUT, 0);
	for (int i = 0; i < 10 && !mr_wait(p.engine[0], &ev, 1, 0); i++)
		assert_int_equal(mr_wait(p.engine[1], &ev, 1, 0), 0);
	assert_int_equal(mr_send(*c, "ping", 4, 0), 4);
	assert_int_equal(mr_flush(p.engine[0]), 0);
	assert_int_equal(mr_wait(p.engine[1], &ev, 1, 0), 1);
	assert_ptr_equal(ev.sock, p.listener);
	assert_int_equal(mr_accept(p.listener, s, NULL), 0);
	assert_int_equal(mr_set_option(*s, MR_OPT_NODELAY, 1), 0);
	mr_set_interest(*s, MR_IN, 0);
}

static void the_first_answer_of_an_accepted_connection_carries_the_acknowledgment(void **state)
{
	struct mr_socket *c, *s;
	struct mr_event ev;
	uint32_t sent;

	(void)state;
	connect_with_request(&c, &s);
	sent = p.dev[1]->sent;
	assert_int_equal(mr_wait(p.engine[1], &ev, 1, -1), 1); /* tells of the request */
	assert_ptr_equal(ev.sock, s);
	assert_int_equal(p.dev[1]->sent, sent);
	assert_int_equal(mr_recv(s, buf, 10, 0), 4);
	assert_int_equal(mr_send(s, "pong", 4, 0), 4);
	assert_int_equal(mr_wait(p.engine[1], &ev, 1, 0), 0);
	assert_int_equal(p.dev[1]->sent, sent + 1);
	pair_close(&p);
}

/* Who looks at it and says nothing, or does not look at all, does not keep the peer waiting. */
static void an_accepted_connection_that_is_not_answered_is_acknowledged_a_round_later(void **state)
{
	struct mr_socket *c, *s;
	struct mr_event ev;
	uint32_t sent;

	(void)state;
	for (uint32_t interest = 0; interest <= MR_IN; interest += MR_IN) {
		connect_with_request(&c, &s);
		mr_set_interest(s, interest, 0);
		sent = p.dev[1]->sent;
		assert_int_equal(mr_wait(p.engine[1], &ev, 1, 0), interest ? 1 : 0);
		assert_int_equal(p.dev[1]->sent, interest ? sent : sent + 1);
		mr_wait(p.engine[1], &ev, 1, 0);
		assert_int_equal(p.dev[1]->sent, sent + 1);
		pair_close(&p);
	}
}

static void *wake_later(void *arg)
{
	(void)arg;
	usleep(20000);
	mr_wakeup(p.engine[0]);
	return NULL;
}

static void a_wakeup_ends_a_wait_from_another_thread(void **state)
{
	struct mr_event ev;
	pthread_t thread;

	(void)state;
	open_real();
	assert_int_equal(pthread_create(&thread, NULL, wake_later, NULL), 0);
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, -1), 0);
	pthread_join(thread, NULL);
	mr_wakeup(p.engine[0]); /* before the wait: the next one returns */
	mr_wakeup(p.engine[0]);
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, -1), 0);
	/* Both are used up. */
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, 5000), 0);
	mr_wakeup(NULL);
	pair_close(&p);
}

static void on_alarm(int signo)
{
	(void)signo;
}

static void a_signal_ends_a_wait(void **state)
{
	struct itimerval once = { .it_value.tv_usec = 20000 };
	struct sigaction sa = { .sa_handler = on_alarm };
	struct mr_event ev;

	(void)state;
	open_real();
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &once, NULL);
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, -1), 0);
	pair_close(&p);
}

static void a_timer_is_run_while_waiting(void **state)
{
	struct mr_socket *c, *s;
	struct mr_event ev;
	uint64_t rtos;

	(void)state;
	open_real();
	connect_real(&c, &s);
	p.dev[1]->cut = true;
	assert_int_equal(mr_send(c, "lost", 4, 0), 4);
	rtos = pair_counter(&p, 0, MR_CTR_TCP_RETRANS);
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, 600000), 0);
	assert_true(pair_counter(&p, 0, MR_CTR_TCP_RETRANS) > rtos);
	assert_true(pair_counter(&p, 0, MR_CTR_ENGINE_SLEEPS) < 50);
	pair_close(&p);
}

/* ---- The end ------------------------------------------------------------------------------------ */

static void a_lost_interface_is_told_and_logged_once(void **state)
{
	struct lines lines = { 0 };
	struct pair_cfg cfg = { .real_clock = true, .log = note_line, .log_user = &lines };
	struct mr_socket *c;
	struct mr_event ev;

	(void)state;
	pair_open(&p, &cfg);
	assert_int_equal(mr_socket(p.engine[0], &c), 0);
	p.dev[0]->gone = true;
	assert_int_equal(mr_connect(c, &p.addr[1]), -EINPROGRESS);
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, -1), -ENETDOWN);
	assert_int_equal(mr_wait(p.engine[0], &ev, 1, -1), -ENETDOWN);
	assert_int_equal(mr_flush(p.engine[0]), -ENETDOWN);
	assert_int_equal(lines.n, 1);
	assert_non_null(strstr(lines.last, "pair"));
	pair_close(&p);
}

static void an_idle_engine_learns_of_the_loss_from_service(void **state)
{
	(void)state;
	pair_open(&p, NULL);
	assert_int_equal(mr_engine_service(p.engine[0], p.now), 0);
	p.dev[0]->gone = true;
	assert_int_equal(mr_engine_service(p.engine[0], p.now), -ENETDOWN);
	assert_int_equal(mr_engine_output(p.engine[0], p.now), -ENETDOWN);
	pair_close(&p);
}

/* Send what fits from c, take what came from s, and count both in *sent and *got. */
static void move(struct mr_socket *c, struct mr_socket *s, uint64_t *sent, uint64_t *got)
{
	int64_t n;

	for (uint32_t i = 0; i < 20000; i++)
		buf[i] = pair_byte(*sent + i);
	n = mr_send(c, buf, 20000, 0);
	if (n > 0)
		*sent += (uint64_t)n;
	pair_run(&p, 50 * MR_NS_PER_MS);
	while ((n = mr_recv(s, buf, sizeof(buf), 0)) > 0) {
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(buf[i], pair_byte(*got + i));
		*got += (uint64_t)n;
	}
	assert_int_equal(n, -EAGAIN);
}

static void a_transfer_goes_on_with_every_new_mtu(void **state)
{
	static const uint32_t mtus[] = { 1400, 576, 1500, 9000, 4000, 1499 };
	struct lines lines = { 0 };
	struct pair_cfg cfg = {
		.mtu = 9000, .nframes = 2048, .log = note_line, .log_user = &lines
	};
	struct mr_socket *c, *s;
	uint64_t sent = 0, got = 0;

	(void)state;
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(mtus); i++) {
		uint64_t before;
		char wanted[16];

		move(c, s, &sent, &got);
		/* Something is on its way, and lost with the change. */
		p.dev[1]->cut = true;
		for (uint32_t j = 0; j < 30000; j++)
			buf[j] = pair_byte(sent + j);
		assert_int_equal(mr_send(c, buf, 30000, 0), 30000);
		sent += 30000;
		pair_pump(&p);
		p.dev[1]->cut = false;
		for (int side = 0; side < 2; side++)
			pair_set_mtu(&p, side, mtus[i]);
		snprintf(wanted, sizeof(wanted), " %u", mtus[i]);
		assert_non_null(strstr(lines.last, wanted));
		assert_int_equal(lines.n, 2 * (i + 1));
		/* At once, without the retransmission timer, if segments became shorter. */
		before = got;
		if (!i) {
			pair_run(&p, MR_NS_PER_MS);
			assert_true(mr_ready(s) & MR_IN);
		}
		for (int turn = 0; turn < 10; turn++)
			move(c, s, &sent, &got);
		assert_true(got - before >= 30000);
	}
	assert_int_equal(p.engine[0]->st->ctr.drop[MR_DROP_IP_TOO_BIG], 0);
	pair_close(&p);
}

static void rfc8200_5_an_impossible_mtu_is_told_once_and_not_used(void **state)
{
	struct lines lines = { 0 };
	struct pair_cfg cfg = { .log = note_line, .log_user = &lines };

	(void)state;
	pair_open(&p, &cfg);
	pair_set_mtu(&p, 0, 575);
	assert_int_equal(lines.level, LOG_ERR);
	assert_non_null(strstr(lines.last, "575"));
	pair_set_mtu(&p, 0, 575);
	assert_int_equal(lines.n, 1);
	p.dev[0]->link.mtu_max = 1770; /* one chunk of 2048 bytes */
	pair_set_mtu(&p, 0, 1771);
	assert_int_equal(lines.n, 2);
	assert_int_equal(p.engine[0]->st->nif.mtu, 1500);
	pair_set_mtu(&p, 0, 1770);
	assert_int_equal(lines.n, 3);
	assert_int_equal(lines.level, LOG_NOTICE);
	assert_int_equal(p.engine[0]->st->nif.mtu, 1770);
	pair_close(&p);
}

static void data_in_flight_survives_a_route_that_goes_and_comes_back(void **state)
{
	struct mr_prefix subnet = { .addr = mr_addr_v4(htonl(0x0a000000)), .len = 24 };
	struct mr_route route = { .dst = subnet };
	struct mr_socket *c, *s;
	struct mr_ip *ip;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	ip = &p.engine[0]->st->ip;
	assert_int_equal(mr_send(c, "first", 5, 0), 5);
	assert_int_equal(mr_engine_output(p.engine[0], p.now), 0);
	assert_int_equal(mr_engine_input(p.engine[1], p.now), 1);
	p.now += 50 * MR_NS_PER_MS; /* the ACK is on its way when the route goes */
	mr_engine_input(p.engine[1], p.now);
	assert_int_equal(mr_engine_output(p.engine[1], p.now), 0);
	assert_int_equal(mr_route_del(ip, &subnet), 0);
	assert_int_equal(mr_send(c, "second", 6, 0), 6);
	assert_int_equal(mr_engine_output(p.engine[0], p.now), 0);
	assert_int_equal(mr_engine_input(p.engine[0], p.now), 1);
	assert_int_equal(mr_route_add(ip, &route), 0);
	pair_run(&p, 3 * MR_NS_PER_S);
	assert_int_equal(mr_recv(s, buf, sizeof(buf), 0), 11);
	pair_close(&p);
}

static void the_way_of_a_destination_is_told(void **state)
{
	static const struct {
		const char *dst;
		enum mr_way way;
	} rows[] = {
		{ "10.0.0.2", MR_WAY_OURS },	     { "10.0.0.1", MR_WAY_LOCAL },
		{ "0.0.0.0", MR_WAY_LOCAL },	     { "::", MR_WAY_LOCAL },
		{ "192.0.2.1", MR_WAY_UNREACHABLE }, { "2001:db8::1", MR_WAY_UNREACHABLE },
		{ "fe80::1", MR_WAY_UNREACHABLE }, /* on no interface */
	};
	struct mr_way_answer a;
	struct mr_addr dst;

	(void)state;
	pair_open(&p, NULL);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		assert_int_equal(mr_addr_parse(rows[i].dst, &dst), 0);
		mr_engine_way(p.engine[0], &dst, 0, &a);
		if (a.way != rows[i].way)
			fail_msg("%s: %d (%s)", rows[i].dst, (int)a.way, a.reason);
		assert_int_equal(!a.reason[0], a.way == MR_WAY_OURS);
	}
	pair_close(&p);
}

static void rfc4861_7_2_6_a_new_mac_address_is_announced_and_used(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 9, 9, 9 };
	struct mr_socket *c, *s;
	uint64_t sent = 0, got = 0, announced;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	pair_run(&p, 10 * MR_NS_PER_S); /* announcements are over */
	announced = pair_counter(&p, 0, MR_CTR_ARP_ANNOUNCE_OUT);
	memcpy(p.dev[0]->link.mac, mac, sizeof(mac));
	assert_int_equal(mr_engine_service(p.engine[0], p.now), 0);
	move(c, s, &sent, &got);
	assert_int_equal(got, 20000);
	pair_run(&p, 10 * MR_NS_PER_S);
	assert_int_equal(pair_counter(&p, 0, MR_CTR_ARP_ANNOUNCE_OUT), announced + 2);
	pair_close(&p);
}

static void closing_the_engine_resets_every_peer(void **state)
{
	struct mr_socket *c[3], *s[3];

	(void)state;
	pair_open(&p, NULL);
	for (int i = 0; i < 3; i++)
		pair_connect(&p, &c[i], &s[i]);
	memset(buf, 1, sizeof(buf));
	assert_true(mr_send(c[2], buf, sizeof(buf), 0) > 0);
	mr_close(c[2]); /* an orphan with data to send */
	mr_engine_close(p.engine[0]);
	p.engine[0] = NULL;
	mr_engine_input(p.engine[1], p.now);
	for (int i = 0; i < 3; i++)
		assert_int_equal(mr_sock_error(s[i]), -ECONNRESET);
	assert_int_equal(mr_engine_connections(p.engine[1]), 0);
	mr_engine_close(p.engine[1]);
	free(p.dev[0]);
	free(p.dev[1]);
}

static void every_frame_comes_back(void **state)
{
	struct mr_socket *c[8], *s[8];
	uint32_t before[2];

	(void)state;
	pair_open(&p, NULL);
	pair_run(&p, 10 * MR_NS_PER_S); /* announcements are over */
	for (int i = 0; i < 2; i++)
		before[i] = p.engine[i]->st->frames.nfree;
	for (int i = 0; i < 8; i++) {
		pair_connect(&p, &c[i], &s[i]);
		assert_true(mr_send(c[i], buf, 5000, 0) == 5000);
		assert_true(mr_send(s[i], buf, 7000, 0) == 7000);
	}
	pair_run(&p, MR_NS_PER_S);
	for (int i = 0; i < 8; i++) {
		if (i & 1)
			assert_int_equal(mr_recv(s[i], buf, sizeof(buf), 0), 5000);
		(i & 2 ? mr_abort : mr_close)(c[i]);
		mr_close(s[i]);
	}
	pair_run(&p, 120 * MR_NS_PER_S); /* TIME-WAIT, too */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(p.engine[i]->st->frames.nfree, before[i]);
		assert_int_equal(mr_engine_connections(p.engine[i]), 0);
		assert_int_equal(p.engine[i]->st->tcp.tws.used, 0);
	}
	pair_close(&p);
}

/* ---- Sight -------------------------------------------------------------------------------------- */

static uint64_t value_of(const struct mr_counter *c, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(c[i].name, name))
			return c[i].value;
	fail_msg("there is no counter %s", name);
	return 0;
}

static void counters_have_names_of_their_own(void **state)
{
	struct mr_socket *c, *s;
	struct mr_counter *ctr;
	unsigned n;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &c, &s);
	n = mr_counters(p.engine[1], NULL, 0);
	assert_in_range(n, MR_CTR_MAX + MR_DROP_MAX, 1000);
	ctr = calloc(n, sizeof(*ctr));
	assert_non_null(ctr);
	assert_int_equal(mr_counters(p.engine[1], ctr, 1), n);
	assert_null(ctr[1].name); /* no more than there is room for */
	assert_int_equal(mr_counters(p.engine[1], ctr, n), n);
	for (unsigned i = 0; i < n; i++) {
		assert_true(ctr[i].name[0] && ctr[i].text[0]);
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(ctr[i].name, ctr[k].name))
				fail_msg("two counters are named %s", ctr[i].name);
	}
	assert_int_equal(value_of(ctr, n, "tcp.passive_opens"), 1);
	assert_int_equal(value_of(ctr, n, "dev.pair_sent"), p.dev[1]->sent);
	assert_int_equal(value_of(ctr, n, "drop.tcp_bad_csum"), 0);
	assert_int_equal(value_of(ctr, n, "xdp.drop.tcp_bad_csum"), 0);
	assert_int_equal(value_of(ctr, n, "xdp.redirect_tcp"), 0);
	assert_int_equal(mr_counters(NULL, NULL, 0), 0);
	free(ctr);
	pair_close(&p);
}

/* A frame that arrives from nowhere. */
static void inject(int side, const void *bytes, uint32_t len)
{
	struct pair_dev *d = p.dev[side];
	struct pair_packet *slot = &d->inbox[d->tail++ % PAIR_INBOX];

	slot->len = len;
	slot->bytes = malloc(len);
	assert_non_null(slot->bytes);
	memcpy(slot->bytes, bytes, len);
}

/* What a connection needs for sending is there from its first data until a minute after its last. */
static void a_connection_that_is_silent_gives_its_sending_state_back(void **state)
{
	const struct mr_pool *pool[2];
	struct mr_socket *client, *server;

	(void)state;
	pair_open(&p, NULL);
	for (int i = 0; i < 2; i++)
		pool[i] = &p.engine[i]->st->tcp.sendings;
	pair_connect(&p, &client, &server);
	assert_int_equal(pool[0]->used + pool[1]->used, 0);
	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(mr_send(client, "hello", 5, 0), 5);
		pair_pump(&p);
		assert_int_equal(mr_recv(server, buf, sizeof(buf), 0), 5);
		pair_run(&p, MR_TCP_FORGET_NS - MR_NS_PER_S);
		assert_int_equal(pool[0]->used, 1);
		assert_int_equal(pool[1]->used, 0); /* it has only received */
		pair_run(&p, 2 * MR_NS_PER_S);
		assert_int_equal(pool[0]->used, 0);
	}
	/* Not while something waits for its acknowledgment. */
	p.dev[1]->cut = true;
	assert_int_equal(mr_send(client, "hello", 5, 0), 5);
	pair_run(&p, 3 * MR_TCP_FORGET_NS);
	assert_int_equal(pool[0]->used, 1);
	p.dev[1]->cut = false;
	pair_run(&p, MR_TCP_RTO_MAX_NS);
	assert_int_equal(mr_recv(server, buf, sizeof(buf), 0), 5);
	mr_close(client);
	mr_close(server);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(pool[0]->used + pool[1]->used, 0);
	pair_close(&p);
}

/* Nor does a connection take it again for the ACKs that it sends when all of its own data is through. */
static void a_half_closed_connection_that_only_receives_has_no_sending_state(void **state)
{
	struct mr_socket *client, *server;
	const struct mr_pool *pool;

	(void)state;
	pair_open(&p, NULL);
	pool = &p.engine[0]->st->tcp.sendings;
	pair_connect(&p, &client, &server);
	assert_int_equal(mr_send(client, "hello", 5, 0), 5);
	assert_int_equal(mr_shutdown(client, MR_SHUT_WR), 0);
	pair_pump(&p);
	assert_int_equal(pool->used, 1);
	pair_run(&p, MR_TCP_FORGET_NS + MR_NS_PER_S);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(pool->used, 0);
		assert_int_equal(mr_send(server, "hello", 5, 0), 5);
		pair_pump(&p);
		assert_int_equal(mr_recv(client, buf, sizeof(buf), 0), 5);
	}
	pair_close(&p);
}

/* What the shared engine does with its stack when a process has died (share_salvage.c). */
static void salvage(struct mr_stack *st, uint64_t now)
{
	mr_netif_salvage(&st->nif);
	mr_wheel_init(&st->wheel, now);
	mr_frame_pool_salvage_begin(&st->frames);
	mr_ip_salvage(&st->ip);
	mr_link_salvage(&st->link);
	mr_tcp_salvage_begin(&st->tcp);
	mr_socks_salvage(&st->socks, NULL);
	mr_tcp_salvage(&st->tcp);
	mr_frame_pool_salvage_end(&st->frames);
	mr_tcp_salvage_reset(&st->tcp, now);
}

static void a_silent_connection_gives_its_sending_state_back_after_a_salvage_too(void **state)
{
	struct mr_socket *client, *server;
	const struct mr_pool *pool;

	(void)state;
	pair_open(&p, NULL);
	pool = &p.engine[0]->st->tcp.sendings;
	pair_connect(&p, &client, &server);
	assert_int_equal(mr_send(client, "hello", 5, 0), 5);
	pair_pump(&p);
	assert_int_equal(mr_recv(server, buf, sizeof(buf), 0), 5);
	pair_run(&p, MR_NS_PER_S);
	salvage(p.engine[0]->st, p.now);
	assert_int_equal(pool->used, 1);
	pair_run(&p, MR_TCP_FORGET_NS);
	assert_int_equal(pool->used, 0);
	assert_int_equal(mr_send(client, "world", 5, 0), 5);
	pair_run(&p, MR_NS_PER_S);
	assert_int_equal(mr_recv(server, buf, sizeof(buf), 0), 5);
	pair_close(&p);
}

/* TCP Fast Open: the server answers before the handshake is complete, so the connection is in SYN-RECEIVED and has data
 * in flight when the process dies. */
static void a_fast_open_connection_in_syn_received_keeps_its_data_through_a_salvage(void **state)
{
	struct mr_socket *client, *server;
	struct mr_tcp *tcp;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &client, &server);
	assert_int_equal(mr_set_option(p.listener, MR_OPT_FASTOPEN, 16), 0);
	for (int turn = 0; turn < 2; turn++) { /* the first time the client only gets a cookie */
		assert_int_equal(mr_socket(p.engine[0], &client), 0);
		assert_int_equal(mr_set_option(client, MR_OPT_FASTOPEN_CONNECT, 1), 0);
		mr_connect(client, &p.addr[1]);
		if (turn)
			break;
		pair_run(&p, MR_NS_PER_MS);
		assert_int_equal(mr_accept(p.listener, &server, NULL), 0);
	}
	assert_int_equal(mr_send(client, "hello", 5, 0), 5);
	mr_engine_output(p.engine[0], p.now);
	mr_engine_input(p.engine[1], p.now);
	tcp = &p.engine[1]->st->tcp;
	assert_int_equal(tcp->tfo_pending, 1);
	assert_int_equal(mr_accept(p.listener, &server, NULL), 0);
	assert_int_equal(mr_send(server, "world", 5, 0), 5);
	p.dev[0]->cut = true;
	mr_engine_output(p.engine[1], p.now);
	p.dev[0]->cut = false;
	assert_int_equal(server->tcb->state, MR_TCP_SYN_RECEIVED);
	assert_false(mr_list_empty(&server->tcb->in_flight));
	salvage(p.engine[1]->st, p.now);
	assert_true(mr_list_empty(&tcp->connecting));
	mr_tcp_check(tcp);
	pair_run(&p, 5 * MR_NS_PER_S);
	assert_int_equal(mr_recv(server, buf, sizeof(buf), 0), 5);
	assert_int_equal(mr_recv(client, buf, sizeof(buf), 0), 5);
	assert_memory_equal(buf, "world", 5);
	assert_int_equal(tcp->tfo_pending, 0);
	mr_tcp_check(tcp);
	pair_close(&p);
}

/* A client that is connected, as it sees it, while the server, which did not get the last ACK, has the request. */
static struct mr_tcp_synreq *half_connect(struct mr_socket **client)
{
	struct mr_tcp *tcp = &p.engine[1]->st->tcp;

	assert_int_equal(mr_socket(p.engine[0], client), 0);
	assert_int_equal(mr_connect(*client, &p.addr[1]), -EINPROGRESS);
	mr_engine_output(p.engine[0], p.now);
	mr_engine_input(p.engine[1], p.now);
	assert_int_equal(tcp->synreqs.used, 1);
	p.dev[1]->cut = true;
	pair_pump(&p);
	p.dev[1]->cut = false;
	return mr_pool_at(&tcp->synreqs, 0);
}

/* As when a process dies while it makes a connection of a request: who waits for the server's first word would wait
 * for ever, and nothing that it has said would be answered by a reset. */
static void a_request_in_hand_at_a_death_is_made_a_connection_after_it(void **state)
{
	struct mr_socket *client, *server;
	struct mr_tcp_synreq *req;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &client, &server);
	req = half_connect(&client);
	p.engine[1]->st->tcp.changing = &req->flow;
	salvage(p.engine[1]->st, p.now);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(mr_accept(p.listener, &server, NULL), 0);
	assert_int_equal(mr_send(server, "hello", 5, 0), 5);
	pair_pump(&p);
	assert_int_equal(mr_recv(client, buf, sizeof(buf), 0), 5);
	pair_close(&p);
}

/* The wheel has given its timer out, and the process is killed before it says whose it is. */
static void a_request_whose_timer_has_just_run_out_at_a_death_stays(void **state)
{
	struct mr_socket *client, *server;
	struct mr_tcp_synreq *req;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &client, &server);
	req = half_connect(&client);
	mr_timer_cancel(&p.engine[1]->st->wheel, &req->timer);
	salvage(p.engine[1]->st, p.now);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(mr_accept(p.listener, &server, NULL), 0);
	pair_close(&p);
}

/* The connection is there and its request, too, for a moment; the socket is not. */
static void a_request_goes_on_where_its_connection_had_no_socket_yet(void **state)
{
	struct mr_socket *client, *server;
	struct mr_tcp_synreq *req, copy;
	struct mr_tcp *tcp;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &client, &server);
	req = half_connect(&client);
	copy = *req;
	tcp = &p.engine[1]->st->tcp;
	pair_run(&p, 2 * MR_NS_PER_S);
	assert_int_equal(mr_accept(p.listener, &server, NULL), 0);
	server->tcb->owner = NULL;
	assert_ptr_equal(mr_pool_get(&tcp->synreqs), req);
	*req = copy;
	tcp->changing = &req->flow;
	salvage(p.engine[1]->st, p.now);
	pair_run(&p, MR_NS_PER_MS);
	assert_int_equal(mr_recv(server, buf, sizeof(buf), 0), -ECONNRESET);
	mr_close(server);
	assert_int_equal(tcp->tcbs.used, 2);
	assert_int_equal(mr_accept(p.listener, &server, NULL), 0);
	assert_int_equal(mr_send(server, "hello", 5, 0), 5);
	pair_pump(&p);
	assert_int_equal(mr_recv(client, buf, sizeof(buf), 0), 5);
	pair_close(&p);
}

static void a_connection_that_is_nobodys_after_a_death_is_reset(void **state)
{
	struct mr_socket *client, *server;
	struct mr_tcp *tcp;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &client, &server);
	tcp = &p.engine[1]->st->tcp;
	tcp->changing = NULL;
	server->tcb->owner = NULL;
	salvage(p.engine[1]->st, p.now);
	assert_int_equal(tcp->tcbs.used, 0);
	pair_pump(&p);
	assert_int_equal(mr_recv(client, buf, sizeof(buf), 0), -ECONNRESET);
	assert_int_equal(mr_recv(server, buf, sizeof(buf), 0), -ECONNRESET);
	pair_close(&p);
}

/* Who resets it dies, too, when the socket has been told and the peer has not. */
static void a_connection_in_hand_is_reset_whoever_dies_in_between(void **state)
{
	struct mr_socket *client, *server;
	struct mr_stack *st;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &client, &server);
	st = p.engine[1]->st;
	st->tcp.changing = &server->tcb->flow;
	server->err = -ECONNRESET;
	server->tcb = NULL;
	salvage(st, p.now);
	assert_int_equal(st->tcp.tcbs.used, 0);
	pair_pump(&p);
	assert_int_equal(mr_recv(client, buf, sizeof(buf), 0), -ECONNRESET);
	pair_close(&p);
}

/* Its FIN is queued: it is one that was closed, and ends as such. */
static void a_closed_connection_stays_an_orphan_after_a_death(void **state)
{
	struct mr_socket *client, *server;
	struct mr_stack *st;

	(void)state;
	pair_open(&p, NULL);
	pair_connect(&p, &client, &server);
	st = p.engine[1]->st;
	assert_int_equal(mr_shutdown(server, MR_SHUT_WR), 0);
	server->tcb = NULL;
	salvage(st, p.now);
	assert_int_equal(st->tcp.tcbs.used, 1);
	pair_pump(&p);
	assert_int_equal(mr_recv(client, buf, sizeof(buf), 0), 0);
	mr_close(client);
	pair_pump(&p);
	assert_int_equal(st->tcp.tcbs.used, 0);
	pair_close(&p);
}

static void every_dropped_frame_has_a_reason(void **state)
{
	const struct mr_counters *ctr;
	uint64_t drops = 0;
	uint32_t before;

	(void)state;
	pair_open(&p, NULL);
	pair_pump(&p);
	ctr = &p.engine[0]->st->ctr;
	before = p.engine[0]->st->frames.nfree;
	for (uint32_t i = 0; i < 500; i++) {
		uint8_t junk[200] = { 2, 0, 0, 0, 0, 1 };

		for (size_t k = 6; k < sizeof(junk); k++)
			junk[k] = (uint8_t)rand();
		if (i % 3) {
			junk[12] = 8; /* IPv4, with something wrong */
			junk[13] = 0;
			junk[14] = 0x45;
		}
		inject(0, junk, i % sizeof(junk) + 1);
	}
	while (mr_engine_input(p.engine[0], p.now))
		;
	for (int i = MR_DROP_NONE + 1; i < MR_DROP_MAX; i++)
		drops += ctr->drop[i];
	assert_int_equal(drops, 500);
	assert_int_equal(ctr->drop[MR_DROP_NONE], 0);
	assert_int_equal(p.engine[0]->st->frames.nfree, before);
	pair_close(&p);
}

static void a_capture_is_complete_after_close(void **state)
{
	char path[] = "/tmp/mr-test-engine-XXXXXX";
	struct pair_cfg cfg = { .pcap_path = path };
	struct mr_socket *c, *s;
	struct stat st;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	pair_open(&p, &cfg);
	pair_connect(&p, &c, &s);
	assert_int_equal(mr_send(c, buf, 20000, 0), 20000);
	pair_run(&p, MR_NS_PER_S);
	pair_close(&p);
	assert_int_equal(fstat(fd, &st), 0);
	assert_in_range(st.st_size, 20000, 40000);
	close(fd);
	unlink(path);
}

/* ---- Opening ------------------------------------------------------------------------------------ */

static void the_same_seed_is_the_same_run(void **state)
{
	uint64_t key[2][2], isn[2];

	(void)state;
	for (int run = 0; run < 2; run++) {
		struct mr_socket *c, *s;

		pair_open(&p, NULL);
		pair_connect(&p, &c, &s);
		memcpy(key[run], p.engine[0]->st->tcp.flow_key, sizeof(key[run]));
		isn[run] = (uint64_t)c->tcb->iss << 32 | s->tcb->iss;
		assert_int_not_equal(p.engine[0]->st->tcp.flow_key[0],
				     p.engine[1]->st->tcp.flow_key[0]);
		pair_close(&p);
	}
	assert_memory_equal(key[0], key[1], sizeof(key[0]));
	assert_int_equal(isn[0], isn[1]);
}

static void a_failed_open_leaves_null_and_one_sentence(void **state)
{
	struct mr_engine *engine = (void *)&p;
	struct mr_error err;
	struct mr_config cfg;

	(void)state;
	mr_config_init(&cfg);
	cfg.ifname = "mr-no-such-if";
	assert_int_equal(mr_config_add_address(&cfg, "10.0.0.5/24"), 0);
	assert_int_equal(mr_engine_open(&engine, &cfg, &err), -ENODEV);
	assert_null(engine);
	assert_int_equal(err.code, -ENODEV);
	assert_non_null(strstr(err.text, "mr-no-such-if"));
	cfg.naddrs = 0;
	assert_int_equal(mr_engine_open(&engine, &cfg, &err), -EINVAL);
	assert_int_equal(mr_engine_open(&engine, &cfg, NULL), -EINVAL);
	assert_int_equal(mr_engine_open(NULL, &cfg, &err), -EINVAL);
	assert_int_equal(mr_engine_open(&engine, NULL, &err), -EINVAL);
	mr_engine_close(NULL);
}

static void calls_on_no_engine_are_refused(void **state)
{
	struct mr_event ev;

	(void)state;
	assert_int_equal(mr_wait(NULL, &ev, 1, 0), -EINVAL);
	assert_int_equal(mr_flush(NULL), -EINVAL);
	assert_int_equal(mr_engine_connections(NULL), 0);
	pair_open(&p, NULL);
	assert_int_equal(mr_wait(p.engine[0], NULL, 1, 0), -EINVAL);
	assert_int_equal(mr_wait(p.engine[0], &ev, 0, 0), -EINVAL);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wait_ends_at_its_timeout),
		cmocka_unit_test(the_device_is_told_of_each_sleep_and_of_the_connections),
		cmocka_unit_test(an_idle_engine_costs_next_to_nothing),
		cmocka_unit_test(a_wait_receives_answers_and_tells),
		cmocka_unit_test(an_answer_carries_the_acknowledgment),
		cmocka_unit_test(
			the_first_answer_of_an_accepted_connection_carries_the_acknowledgment),
		cmocka_unit_test(
			an_accepted_connection_that_is_not_answered_is_acknowledged_a_round_later),
		cmocka_unit_test(a_wakeup_ends_a_wait_from_another_thread),
		cmocka_unit_test(a_signal_ends_a_wait),
		cmocka_unit_test(a_timer_is_run_while_waiting),
		cmocka_unit_test(a_lost_interface_is_told_and_logged_once),
		cmocka_unit_test(an_idle_engine_learns_of_the_loss_from_service),
		cmocka_unit_test(a_transfer_goes_on_with_every_new_mtu),
		cmocka_unit_test(rfc8200_5_an_impossible_mtu_is_told_once_and_not_used),
		cmocka_unit_test(data_in_flight_survives_a_route_that_goes_and_comes_back),
		cmocka_unit_test(the_way_of_a_destination_is_told),
		cmocka_unit_test(rfc4861_7_2_6_a_new_mac_address_is_announced_and_used),
		cmocka_unit_test(closing_the_engine_resets_every_peer),
		cmocka_unit_test(every_frame_comes_back),
		cmocka_unit_test(counters_have_names_of_their_own),
		cmocka_unit_test(a_connection_that_is_silent_gives_its_sending_state_back),
		cmocka_unit_test(a_half_closed_connection_that_only_receives_has_no_sending_state),
		cmocka_unit_test(
			a_silent_connection_gives_its_sending_state_back_after_a_salvage_too),
		cmocka_unit_test(
			a_fast_open_connection_in_syn_received_keeps_its_data_through_a_salvage),
		cmocka_unit_test(a_request_in_hand_at_a_death_is_made_a_connection_after_it),
		cmocka_unit_test(a_request_whose_timer_has_just_run_out_at_a_death_stays),
		cmocka_unit_test(a_request_goes_on_where_its_connection_had_no_socket_yet),
		cmocka_unit_test(a_connection_that_is_nobodys_after_a_death_is_reset),
		cmocka_unit_test(a_connection_in_hand_is_reset_whoever_dies_in_between),
		cmocka_unit_test(a_closed_connection_stays_an_orphan_after_a_death),
		cmocka_unit_test(every_dropped_frame_has_a_reason),
		cmocka_unit_test(a_capture_is_complete_after_close),
		cmocka_unit_test(the_same_seed_is_the_same_run),
		cmocka_unit_test(a_failed_open_leaves_null_and_one_sentence),
		cmocka_unit_test(calls_on_no_engine_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
