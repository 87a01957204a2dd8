// SPDX-License-Identifier: BSD-2-Clause
/* test_tcp_sndq.c - the send queue: what is written stands there byte for byte, summed, until
 * acknowledged. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../lib/net_fixture.h"
#include "base/compiler.h"
#include "base/csum.h"
#include "tcp/tcp_priv.h"

#define MSS 1000u

struct conn {
	struct mr_tcp tcp;
	struct mr_tcb tcb;
	struct mr_sending sending;
};

static void conn_open(struct conn *c, struct net *n, uint32_t first_seq)
{
	memset(c, 0, sizeof(*c));
	c->tcp.frames = &n->frames;
	c->tcp.ctr = &n->ctr;
	c->tcp.ip = &n->ip;
	mr_list_init(&c->tcp.pending);
	mr_list_init(&c->tcb.pending_node);
	mr_list_init(&c->tcb.in_flight);
	mr_list_init(&c->tcb.lost);
	c->tcb.state = MR_TCP_ESTABLISHED;
	c->tcb.sending = &c->sending;
	c->sending.tcb = &c->tcb;
	c->tcb.snd_mss = MSS;
	c->tcb.snd_una = c->tcb.snd_nxt = c->tcb.write_seq = first_seq;
}

static void conn_close(struct conn *c)
{
	sndq_free(&c->tcp, &c->tcb);
	mr_list_del(&c->tcb.pending_node);
	assert_int_equal(c->tcb.sndq.bytes, 0);
	assert_int_equal(c->tcb.sndq.frames, 0);
	assert_int_equal(c->tcb.lost_bytes, 0);
}

/* As output would: everything so far counts as sent at `at`. */
static void all_sent(struct conn *c, uint64_t at)
{
	for (struct mr_frame *f = c->tcb.sndq.unsent; f; f = f->next) {
		f->sent_at = at;
		mr_list_move_tail(&c->tcb.in_flight, &f->sent_node);
	}
	c->tcb.sndq.unsent = NULL;
	c->tcb.snd_nxt = c->tcb.write_seq;
}

/* As input would. */
static uint64_t acked(struct conn *c, uint32_t una)
{
	struct ack ack = { .now = 1000 };

	return sndq_ack(&c->tcp, &c->tcb, una, &ack);
}

/* The queue holds `len` bytes of `want`, and each frame's sum is that of its payload. */
static void expect_bytes(const struct conn *c, const uint8_t *want, uint32_t len)
{
	uint32_t at = 0;

	for (struct mr_frame *f = c->tcb.sndq.head; f; f = f->next) {
		assert_true(at + f->pay_len <= len);
		assert_memory_equal(f->pay, want + at, f->pay_len);
		assert_int_equal(mr_csum_fold(sndq_sum(f)),
				 mr_csum_fold(mr_csum(f->pay, f->pay_len)));
		assert_int_equal(f->seq, c->tcb.write_seq - len + at);
		at += f->pay_len;
	}
	assert_int_equal(at, len);
	assert_int_equal(c->tcb.sndq.bytes, len);
}

static void fill(uint8_t *buf, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(i * 31 + i / 256);
}

static void small_writes_share_a_frame_and_fill_whole_segments(void **state)
{
	struct net *n = *state;
	uint8_t buf[2500];
	struct conn c;

	fill(buf, sizeof(buf));
	conn_open(&c, n, 0xfffffe00u); /* wraps within */
	for (uint32_t i = 0; i < sizeof(buf);) {
		uint32_t k = mr_min(1 + i % 37, (uint32_t)sizeof(buf) - i);

		assert_int_equal(mr_tcp_write(&c.tcp, &c.tcb, buf + i, k, 0), k);
		i += k;
	}
	expect_bytes(&c, buf, sizeof(buf));
	assert_int_equal(c.tcb.sndq.frames, 3);
	assert_int_equal(c.tcb.sndq.head->pay_len, MSS);
	assert_int_equal(c.tcb.sndq.tail->pay_len, 500);
	conn_close(&c);
}

/* And a short write behind a long one that shares its last frame. */
static void a_long_write_is_summed_late_where_the_device_cuts_bursts(void **state)
{
	static uint8_t buf[20200];
	struct net *n = *state;
	struct conn c;

	fill(buf, sizeof(buf));
	conn_open(&c, n, 1);
	for (uint32_t gso = 0; gso <= UINT16_MAX; gso += UINT16_MAX) {
		n->nif.gso_bytes = gso;
		assert_int_equal(mr_tcp_write(&c.tcp, &c.tcb, buf, 20100, 0), 20100);
		assert_int_equal(mr_tcp_write(&c.tcp, &c.tcb, buf + 20100, 100, 0), 100);
		for (const struct mr_frame *f = c.tcb.sndq.head; f; f = f->next)
			assert_int_equal(!(f->flags & MR_FRAME_CSUM), gso != 0);
		expect_bytes(&c, buf, 20200);
		all_sent(&c, 5);
		acked(&c, c.tcb.write_seq);
	}
	n->nif.gso_bytes = 0;
	conn_close(&c);
}

static void a_frame_that_was_sent_is_not_appended_to(void **state)
{
	struct net *n = *state;
	uint8_t buf[200];
	struct conn c;

	fill(buf, sizeof(buf));
	conn_open(&c, n, 1);
	mr_tcp_write(&c.tcp, &c.tcb, buf, 100, 0);
	all_sent(&c, 5);
	mr_tcp_write(&c.tcp, &c.tcb, buf + 100, 100, 0);
	assert_int_equal(c.tcb.sndq.frames, 2);
	assert_ptr_equal(c.tcb.sndq.unsent, c.tcb.sndq.tail);
	expect_bytes(&c, buf, 200);
	conn_close(&c);
}

static void an_acknowledgment_removes_frames_and_trims_the_one_it_ends_in(void **state)
{
	struct net *n = *state;
	uint8_t buf[3000];
	struct conn c;

	fill(buf, sizeof(buf));
	conn_open(&c, n, 1);
	mr_tcp_write(&c.tcp, &c.tcb, buf, sizeof(buf), 0);
	all_sent(&c, 777);
	assert_int_equal(acked(&c, 1 + 1000), 777);
	expect_bytes(&c, buf + 1000, 2000);
	acked(&c, 1 + 1333); /* an odd place: the sum is made anew */
	expect_bytes(&c, buf + 1333, 1667);
	assert_int_equal(acked(&c, 1 + 3000), 777);
	assert_null(c.tcb.sndq.head);
	conn_close(&c);
}

static void what_was_not_sent_cannot_be_acknowledged_away(void **state)
{
	struct net *n = *state;
	uint8_t buf[100];
	struct conn c;

	fill(buf, sizeof(buf));
	conn_open(&c, n, 1);
	mr_tcp_write(&c.tcp, &c.tcb, buf, 100, 0);
	acked(&c, 101);
	expect_bytes(&c, buf, 100);
	conn_close(&c);
}

/* Karn: an ACK whose newest segment was sent twice measures nothing. */
static void rfc6298_3_retransmitted_frames_give_no_sample(void **state)
{
	struct net *n = *state;
	uint8_t buf[3000];
	struct conn c;

	fill(buf, sizeof(buf));
	conn_open(&c, n, 1);
	mr_tcp_write(&c.tcp, &c.tcb, buf, sizeof(buf), 0);
	all_sent(&c, 777);
	c.tcb.sndq.head->flags |= MR_FRAME_RETRANS;
	assert_int_equal(acked(&c, 1 + 1000), 0);
	c.tcb.sndq.tail->flags |= MR_FRAME_RETRANS;
	assert_int_equal(acked(&c, 1 + 3000), 0);
	conn_close(&c);
}

static void a_split_keeps_bytes_sums_marks_and_accounts(void **state)
{
	struct net *n = *state;

	for (uint32_t at = 1; at < 300; at += 7) {
		uint8_t buf[300];
		struct conn c;
		struct mr_frame *f;

		fill(buf, sizeof(buf));
		conn_open(&c, n, 1);
		mr_tcp_write(&c.tcp, &c.tcb, buf, sizeof(buf), 0);
		all_sent(&c, 3);
		f = c.tcb.sndq.head;
		sndq_mark_lost(&c.tcb, f);
		assert_int_equal(sndq_split(&c.tcp, &c.tcb, f, at), 0);
		expect_bytes(&c, buf, sizeof(buf));
		assert_int_equal(c.tcb.sndq.frames, 2);
		assert_int_equal(f->pay_len, at);
		assert_int_equal(c.tcb.lost_bytes, 300);
		assert_false(f->flags & MR_FRAME_PSH);
		assert_true(f->next->flags & MR_FRAME_PSH);
		assert_true(f->next->flags & MR_FRAME_LOST);
		conn_close(&c);
	}
}

/* Leave `left` frames in the pool; what was taken is chained behind the one returned. */
static struct mr_frame *hoard(struct net *n, struct mr_frame *taken, uint32_t left)
{
	while (n->frames.nfree > left) {
		struct mr_frame *f = mr_frame_get(&n->frames);

		f->frag = taken;
		taken = f;
	}
	return taken;
}

/* A cut is not counted against any writer's share: the pool's last frames are not for it. */
static void when_frames_are_scarce_only_the_front_is_cut_and_never_with_the_last(void **state)
{
	struct net *n = *state;
	struct mr_frame *taken;
	uint8_t buf[3 * MSS];
	struct conn c;

	fill(buf, sizeof(buf));
	conn_open(&c, n, 1);
	mr_tcp_write(&c.tcp, &c.tcb, buf, sizeof(buf), 0);
	taken = hoard(n, NULL, NET_FRAMES / 8 - 1);
	assert_int_equal(sndq_split(&c.tcp, &c.tcb, c.tcb.sndq.head->next, 10), -ENOBUFS);
	assert_int_equal(sndq_split(&c.tcp, &c.tcb, c.tcb.sndq.tail, 10), -ENOBUFS);
	assert_int_equal(c.tcb.sndq.frames, 3);
	assert_int_equal(sndq_split(&c.tcp, &c.tcb, c.tcb.sndq.head, 10), 0);
	taken = hoard(n, taken, NET_FRAMES / 32 - 1);
	assert_int_equal(sndq_split(&c.tcp, &c.tcb, c.tcb.sndq.head, 5), -ENOBUFS);
	assert_int_equal(c.tcb.sndq.frames, 4);
	assert_int_equal(n->frames.nfree, NET_FRAMES / 32 - 1);
	expect_bytes(&c, buf, sizeof(buf));
	mr_frame_put_chain(&n->frames, taken);
	assert_int_equal(sndq_split(&c.tcp, &c.tcb, c.tcb.sndq.tail, 10), 0);
	expect_bytes(&c, buf, sizeof(buf));
	conn_close(&c);
}

/* Whatever makes a queue's frames too long, an MSS that shrinks, say: cutting them leaves half of the pool. */
static void cuts_of_one_queue_take_no_more_than_they_leave(void **state)
{
	struct net *n = *state;
	static uint8_t buf[100 * MSS];
	struct mr_frame *f, *next;
	uint32_t cuts = 0;
	struct conn c;

	fill(buf, sizeof(buf));
	conn_open(&c, n, 1);
	mr_tcp_write(&c.tcp, &c.tcb, buf, sizeof(buf), 0);
	for (f = c.tcb.sndq.head; f; f = next) {
		next = f->next;
		cuts += !sndq_split(&c.tcp, &c.tcb, f, MSS / 2);
	}
	assert_int_equal(cuts, NET_FRAMES / 2 - 100);
	assert_int_equal(n->frames.nfree, NET_FRAMES / 2);
	expect_bytes(&c, buf, sizeof(buf));
	conn_close(&c);
}

static void a_write_without_frames_is_short_and_changes_no_more_than_it_says(void **state)
{
	struct net *n = *state;
	static uint8_t buf[NET_FRAMES * MSS + 1];
	struct conn c;

	fill(buf, sizeof(buf));
	conn_open(&c, n, 1);
	assert_int_equal(mr_tcp_write(&c.tcp, &c.tcb, buf, sizeof(buf), 0), NET_FRAMES * MSS);
	assert_int_equal(mr_tcp_write(&c.tcp, &c.tcb, buf, 1, 0), 0);
	expect_bytes(&c, buf, NET_FRAMES * MSS);
	conn_close(&c);
}

/* A segment of several chunks divides evenly, so that whole frames make whole segments. */
static void jumbo_segments_are_made_of_even_frames(void **state)
{
	struct net *n = *state;
	struct conn c;
	uint32_t size;

	conn_open(&c, n, 1);
	c.tcb.snd_mss = 8948;
	size = mr_tcp_fill_size(&c.tcp, &c.tcb);
	assert_true(size <= NET_CHUNK - MR_FRAME_HEADROOM);
	assert_int_equal(size, 8948 / 5);
	conn_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
		T(small_writes_share_a_frame_and_fill_whole_segments),
		T(a_long_write_is_summed_late_where_the_device_cuts_bursts),
		T(a_frame_that_was_sent_is_not_appended_to),
		T(an_acknowledgment_removes_frames_and_trims_the_one_it_ends_in),
		T(what_was_not_sent_cannot_be_acknowledged_away),
		T(rfc6298_3_retransmitted_frames_give_no_sample),
		T(a_split_keeps_bytes_sums_marks_and_accounts),
		T(when_frames_are_scarce_only_the_front_is_cut_and_never_with_the_last),
		T(cuts_of_one_queue_take_no_more_than_they_leave),
		T(a_write_without_frames_is_short_and_changes_no_more_than_it_says),
		T(jumbo_segments_are_made_of_even_frames),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
