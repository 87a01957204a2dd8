// SPDX-License-Identifier: BSD-2-Clause
/* test_tcp_rate.c - delivery rate samples: draft-ietf-ccwg-bbr section 4.1. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "tcp/tcp_priv.h"

#define MS     MR_NS_PER_MS
#define MSS    1000u
#define FRAMES 64u

/* A sender with a queue of segments, and the time. */
struct path {
	struct mr_tcb tcb;
	struct mr_sending sending;
	struct mr_frame frame[FRAMES];
	uint32_t sent;
	uint64_t now;
};

static void path_open(struct path *p)
{
	memset(p, 0, sizeof(*p));
	p->tcb.state = MR_TCP_ESTABLISHED;
	p->tcb.sending = &p->sending;
	p->sending.tcb = &p->tcb;
	p->tcb.snd_mss = MSS;
	p->tcb.cwnd = 100 * MSS;
	p->sending.rate.delivered = 0u - 3 * MSS; /* wraps soon */
	p->tcb.write_seq = FRAMES * MSS;
	p->now = 1000 * MS;
}

static void path_send(struct path *p)
{
	struct mr_frame *f = &p->frame[p->sent++];
	uint32_t flight = tcb_in_flight(&p->tcb);

	f->seq = p->tcb.snd_nxt;
	f->pay_len = MSS;
	rate_send_begin(&p->tcb, p->now);
	f->sent_at = p->now;
	rate_sent(&p->tcb, f, flight + MSS, p->now);
	p->tcb.snd_nxt += MSS;
}

/* Frames [from, to) are acknowledged at once. */
static struct mr_rate_sample path_ack(struct path *p, uint32_t from, uint32_t to)
{
	struct ack ack = { .now = p->now };

	rate_check_app_limited(&p->tcb);
	for (uint32_t i = from; i < to; i++) {
		ack.delivered += MSS;
		rate_delivered(&p->tcb, &p->frame[i], &ack);
	}
	p->tcb.snd_una = to * MSS;
	rate_generate(&p->tcb, &ack);
	return ack.rs;
}

static void assert_rate(uint64_t rate, uint64_t want)
{
	assert_in_range(rate, want - want / 100, want + want / 100);
}

static void sample_is_what_was_delivered_since_the_segment_was_sent(void **state)
{
	struct mr_rate_sample rs = { 0 };
	struct path p;

	(void)state;
	path_open(&p);
	/* One segment each ms, acknowledged 20 ms later: 1 MB/s. */
	for (uint32_t i = 0; i < 50; i++, p.now += MS) {
		if (i >= 20)
			rs = path_ack(&p, i - 20, i - 19);
		path_send(&p);
	}
	assert_int_equal(rs.delivered, 20 * MSS);
	assert_int_equal(rs.rtt_ns, 20 * MS);
	assert_int_equal(rs.tx_in_flight, 20 * MSS);
	assert_rate(rs.rate, 1000000);
	assert_false(rs.app_limited);
}

/* Section 4.1.1.2.3: ACKs that come in a heap do not make the path faster than what was sent. */
static void compressed_acks_give_no_more_than_the_send_rate(void **state)
{
	struct mr_rate_sample rs;
	struct path p;

	(void)state;
	path_open(&p);
	for (uint32_t i = 0; i < 40; i++, p.now += MS)
		path_send(&p);
	path_ack(&p, 0, 20);
	path_send(&p);
	p.now += MS / 10;
	rs = path_ack(&p, 20, 40);
	assert_true(rs.rate <= 1000000);
	assert_true(rs.interval_ns >= 19 * MS);
}

/* Section 4.1.2.4. */
static void samples_of_what_was_sent_in_a_bubble_are_marked(void **state)
{
	struct mr_rate_sample rs;
	struct path p;

	(void)state;
	path_open(&p);
	p.tcb.write_seq = 0; /* nothing more to send */
	rate_check_app_limited(&p.tcb);
	p.tcb.write_seq = FRAMES * MSS;
	path_send(&p);
	path_send(&p);
	p.now += 10 * MS;
	rs = path_ack(&p, 0, 1);
	assert_true(rs.app_limited);
	path_send(&p); /* the bubble has been acknowledged */
	p.now += 10 * MS;
	rs = path_ack(&p, 1, 2);
	assert_true(rs.app_limited);
	p.now += MS;
	rs = path_ack(&p, 2, 3);
	assert_false(rs.app_limited);
}

static void a_full_window_is_not_the_applications_limit(void **state)
{
	struct path p;

	(void)state;
	path_open(&p);
	p.tcb.cwnd = 2 * MSS;
	path_send(&p);
	path_send(&p);
	p.tcb.write_seq = p.tcb.snd_nxt;
	rate_check_app_limited(&p.tcb);
	assert_int_equal(p.sending.rate.app_limited, 0);
	p.tcb.cwnd = 3 * MSS;
	p.tcb.lost_bytes = MSS; /* to be sent again: no bubble either */
	rate_check_app_limited(&p.tcb);
	assert_int_equal(p.sending.rate.app_limited, 0);
	p.tcb.lost_bytes = 0;
	rate_check_app_limited(&p.tcb);
	assert_int_not_equal(p.sending.rate.app_limited, 0);
}

/* Section 4.1.2.3: an interval below the least RTT is that of an ACK of the first transmission. */
static void an_interval_below_the_least_rtt_gives_no_rate(void **state)
{
	struct mr_rate_sample rs;
	struct path p;

	(void)state;
	path_open(&p);
	p.tcb.rack.min_rtt[0] = 10 * MS / 16;
	path_send(&p);
	p.now += 9 * MS;
	p.frame[0].flags |= MR_FRAME_RETRANS;
	rs = path_ack(&p, 0, 1);
	assert_true(rs.has_data);
	assert_int_equal(rs.rate, 0);
	assert_int_equal(rs.rtt_ns, 0);
}

static void losses_since_the_transmission_are_told(void **state)
{
	struct mr_rate_sample rs;
	struct path p;

	(void)state;
	path_open(&p);
	path_send(&p);
	p.sending.rate.lost += 5 * MSS;
	path_send(&p);
	p.sending.rate.lost += 2 * MSS;
	p.now += MS;
	rs = path_ack(&p, 0, 1);
	assert_int_equal(rs.lost, 7 * MSS);
	rs = path_ack(&p, 1, 2);
	assert_int_equal(rs.lost, 2 * MSS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample_is_what_was_delivered_since_the_segment_was_sent),
		cmocka_unit_test(compressed_acks_give_no_more_than_the_send_rate),
		cmocka_unit_test(samples_of_what_was_sent_in_a_bubble_are_marked),
		cmocka_unit_test(a_full_window_is_not_the_applications_limit),
		cmocka_unit_test(an_interval_below_the_least_rtt_gives_no_rate),
		cmocka_unit_test(losses_since_the_transmission_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
