// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_afxdp_tx.c - sending, with rings in plain memory and the doorbell in the test's hands:
 * sendto() below takes the place of the C library's and answers from a script.
 */
#include <errno.h>
#include <sys/socket.h>
#include "fake_xsk.h"

/* What one doorbell does: take `packets` from the TX ring, complete them if so, answer err. */
struct answer {
	int err; /* 0: success */
	unsigned packets;
	bool late_index; /* as kernels before 6.17: the ring's index does not show it */
	bool complete;
};

static struct fake_xsk *kernel; /* whose rings the doorbell is about */
static const struct answer *script;
static unsigned nscript, rung;
static uint32_t taken[FAKE_QUEUES]; /* entries that the kernel has taken */

static uint64_t take_chunk(unsigned queue, bool *more)
{
	const struct fake_ring *r = &kernel->ring[queue][MR_XSK_TX];
	const struct xdp_desc *desc = &r->entries[taken[queue]++ % FAKE_RING];

	*more = desc->options & XDP_PKT_CONTD;
	return desc->addr;
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
	       socklen_t addrlen)
{
	/* past the end the last answer is repeated */
	const struct answer *a = &script[mr_min(rung, nscript - 1)];
	unsigned queue = (unsigned)fd - 1000;
	struct fake_ring *r = &kernel->ring[queue][MR_XSK_TX];

	assert_true(queue < FAKE_QUEUES);
	assert_true(!buf && !len && flags == MSG_DONTWAIT && !addr && !addrlen);
	rung++;
	for (unsigned i = 0; i < a->packets && taken[queue] != r->producer; i++) {
		bool more = true;

		while (more) {
			uint64_t chunk = take_chunk(queue, &more);

			if (a->complete)
				kernel_complete(kernel, queue, chunk);
		}
	}
	if (!a->late_index)
		r->consumer = taken[queue];
	errno = a->err;
	return a->err ? -1 : 0;
}

static void play(struct fake_xsk *x, const struct answer *answers, unsigned n)
{
	kernel = x;
	script = answers;
	nscript = n;
	rung = 0;
	memset(taken, 0, sizeof(taken));
	for (unsigned q = 0; q < FAKE_QUEUES; q++)
		x->ring[q][MR_XSK_TX].flags = XDP_RING_NEED_WAKEUP;
}

static struct mr_frame *make_packet(struct fake_xsk *x, unsigned chunks, uint32_t len)
{
	struct mr_frame *head = NULL, **link = &head;
	unsigned n = 0;

	do {
		struct mr_frame *f = mr_frame_get(&x->frames);

		assert_non_null(f);
		f->len = len;
		f->tx_refs = 1;
		*link = f;
		link = &f->frag;
	} while (++n < chunks);
	head->pkt_len = chunks * len;
	head->nchunks = (uint8_t)chunks;
	return head;
}

static void send_packets(struct fake_xsk *x, unsigned n)
{
	while (n--)
		assert_int_equal(mr_afxdp_tx(&x->d->dev, make_packet(x, 1, 100), 0), 0);
}

static void chain_becomes_continued_descriptors(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *f = make_packet(x, 3, 500);
	const struct fake_ring *r = &x->ring[1][MR_XSK_TX];

	f->queue = 3; /* modulo two queues */
	assert_int_equal(mr_afxdp_tx(&x->d->dev, f, 0), 0);
	assert_int_equal(r->producer, 3);
	for (unsigned i = 0; i < 3; i++, f = f->frag) {
		assert_int_equal(r->entries[i].addr, f->data - x->umem);
		assert_int_equal(r->entries[i].len, 500);
		assert_int_equal(r->entries[i].options, i < 2 ? XDP_PKT_CONTD : 0);
		assert_true(f->flags & MR_FRAME_IN_DEV);
	}
	assert_int_equal(x->ctr.c[MR_CTR_DEV_TX_PACKETS], 1);
	assert_int_equal(x->ctr.c[MR_CTR_DEV_TX_BYTES], 1500);
}

static void chain_without_room_changes_nothing(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *f;

	send_packets(x, FAKE_RING - 2);
	f = make_packet(x, 3, 500);
	assert_int_equal(mr_afxdp_tx(&x->d->dev, f, 0), -EAGAIN);
	assert_int_equal(x->ring[0][MR_XSK_TX].producer, FAKE_RING - 2);
	assert_int_equal(f->tx_refs, 1);
	assert_int_equal(f->flags, 0);
	assert_int_equal(x->ctr.c[MR_CTR_DEV_TX_RING_FULL], 1);
}

static void bad_packets_are_refused_released_and_counted(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *f;

	f = make_packet(x, 19, 100);
	assert_int_equal(mr_afxdp_tx(&x->d->dev, f, 0), -EMSGSIZE);
	assert_int_equal(x->ctr.drop[MR_DROP_TX_DEVICE], 1);
	f = make_packet(x, 2, 100);
	f->frag->len = 0;
	assert_int_equal(mr_afxdp_tx(&x->d->dev, f, 0), -EINVAL);
	f = make_packet(x, 1, 100);
	f->data = f->chunk + FAKE_CHUNK - 99;
	assert_int_equal(mr_afxdp_tx(&x->d->dev, f, 0), -EINVAL);
	f = make_packet(x, 1, 100);
	f->data = f->chunk - 1;
	assert_int_equal(mr_afxdp_tx(&x->d->dev, f, 0), -EINVAL);
	assert_int_equal(x->ctr.drop[MR_DROP_TX_INVALID], 3);
	x->d->s->multibuf = false;
	assert_int_equal(mr_afxdp_tx(&x->d->dev, make_packet(x, 2, 100), 0), -EMSGSIZE);
	assert_int_equal(x->ring[0][MR_XSK_TX].producer, 0);
	assert_int_equal(x->frames.nfree, FAKE_FRAMES);
}

static void socket_keeps_its_reference_through_completion(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *f = make_packet(x, 1, 100);

	mr_frame_hold(f); /* the send buffer, until the ACK */
	assert_int_equal(mr_afxdp_tx(&x->d->dev, f, 0), 0);
	kernel_complete(x, 0, mr_frame_umem_off(&x->frames, f));
	assert_int_equal(mr_afxdp_complete(x->d, &x->d->q[0]), 1);
	assert_int_equal(f->refs, 1);
	assert_int_equal(f->tx_refs, 0);
	assert_int_equal(f->flags, 0);
	assert_int_equal(x->frames.nfree, FAKE_FRAMES - 1);
	assert_int_equal(mr_afxdp_tx(&x->d->dev, (f->tx_refs = 1, f), 0), 0); /* retransmission */
}

static void bad_completions_free_nothing(void **state)
{
	struct fake_xsk *x = *state;
	struct mr_frame *mine = mr_frame_get(&x->frames), *f = make_packet(x, 1, 100), *fill;

	assert_int_equal(mr_afxdp_tx(&x->d->dev, f, 0), 0);
	fill = mr_frame_get(&x->frames);
	fill->flags |= MR_FRAME_IN_DEV; /* as in a FILL ring */
	kernel_complete(x, 0, UINT64_MAX);
	kernel_complete(x, 0, (uint64_t)FAKE_FRAMES * FAKE_CHUNK);
	kernel_complete(x, 0, mr_frame_umem_off(&x->frames, mine));
	kernel_complete(x, 0, mr_frame_umem_off(&x->frames, fill));
	kernel_complete(x, 0, mr_frame_umem_off(&x->frames, f));
	kernel_complete(x, 0, mr_frame_umem_off(&x->frames, f)); /* a second time */
	assert_int_equal(mr_afxdp_complete(x->d, &x->d->q[0]), 6);
	assert_int_equal(x->ctr.c[MR_CTR_DEV_COMPLETION_BAD], 5);
	assert_int_equal(mine->refs, 1);
	assert_int_equal(fill->refs, 1);
	assert_int_equal(x->frames.nfree, FAKE_FRAMES - 2);
	assert_int_equal(x->ring[0][MR_XSK_COMPLETION].consumer, 6);
}

/* Each row: what is queued on queue 0, how the doorbell answers, what comes of it. */
static void every_answer_of_the_doorbell_is_normal_life(void **state)
{
	static const struct {
		const char *what;
		unsigned packets, nanswers;
		struct answer answers[4];
		int ret;
		unsigned rung, out, dropped; /* out: frames that are not back */
	} rows[] = {
		{ "all sent", 5, 1, { { 0, 5, false, true } }, 0, 1, 0, 0 },
		{ "all sent, completions come later",
		  5,
		  1,
		  { { 0, 5, false, false } },
		  0,
		  1,
		  5,
		  0 },
		{ "nothing to send", 0, 1, { { 0 } }, 0, 0, 0, 0 },
		{ "budget of 32",
		  40,
		  2,
		  { { EAGAIN, 32, false, true }, { 0, 8, false, true } },
		  0,
		  2,
		  0,
		  0 },
		{ "budget, on a kernel that shows it late",
		  40,
		  2,
		  { { EAGAIN, 32, true, true }, { 0, 8, false, true } },
		  0,
		  2,
		  0,
		  0 },
		{ "EAGAIN for ever", 5, 1, { { EAGAIN, 0, false, false } }, -EAGAIN, 2, 5, 0 },
		{ "EAGAIN once, then sent",
		  5,
		  2,
		  { { EAGAIN, 0, false, false }, { 0, 5, false, true } },
		  0,
		  2,
		  0,
		  0 },
		{ "device drops the first packet",
		  3,
		  2,
		  { { EBUSY, 1, false, true }, { 0, 2, false, true } },
		  0,
		  2,
		  0,
		  1 },
		{ "device drops every packet", 3, 1, { { EBUSY, 1, false, true } }, 0, 3, 0, 3 },
		{ "device drops every packet, index late",
		  3,
		  3,
		  { { EBUSY, 1, true, true }, { EBUSY, 1, true, true }, { EBUSY, 1, false, true } },
		  0,
		  3,
		  0,
		  3 },
		{ "busy, and nothing dropped",
		  3,
		  1,
		  { { EBUSY, 0, false, false } },
		  -EAGAIN,
		  2,
		  3,
		  0 },
		{ "no memory", 3, 1, { { ENOBUFS, 0, false, false } }, -EAGAIN, 1, 3, 0 },
		{ "no memory, the other way",
		  3,
		  1,
		  { { ENOMEM, 0, false, false } },
		  -EAGAIN,
		  1,
		  3,
		  0 },
		{ "interface down", 3, 1, { { ENETDOWN, 0, false, false } }, 0, 1, 3, 0 },
		{ "interface gone", 3, 1, { { ENXIO, 0, false, false } }, -ENETDOWN, 1, 3, 0 },
		{ "socket of no use", 3, 1, { { EINVAL, 0, false, false } }, -ENETDOWN, 1, 3, 0 },
	};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct fake_xsk *x;
		uint32_t out;
		int ret;

		fake_open((void **)&x);
		play(x, rows[i].answers, rows[i].nanswers);
		send_packets(x, rows[i].packets);
		ret = mr_afxdp_kick(&x->d->dev);
		mr_afxdp_complete(x->d, &x->d->q[0]); /* as reap() does */
		out = FAKE_FRAMES - x->frames.nfree;
		if (ret != rows[i].ret || rung != rows[i].rung || out != rows[i].out ||
		    x->ctr.drop[MR_DROP_TX_DEVICE] != rows[i].dropped)
			fail_msg("%s: returned %d, rung %u times, %u frames out, %llu dropped",
				 rows[i].what, ret, rung, out,
				 (unsigned long long)x->ctr.drop[MR_DROP_TX_DEVICE]);
		assert_int_equal(x->ctr.c[MR_CTR_DEV_TX_DOORBELLS], rung);
		fake_close((void **)&x);
	}
}

static void no_call_where_the_driver_is_awake(void **state)
{
	static const struct answer sent = { 0, 64, false, true };
	struct fake_xsk *x = *state;

	play(x, &sent, 1);
	x->ring[0][MR_XSK_TX].flags = 0;
	send_packets(x, 3);
	assert_int_equal(mr_afxdp_kick(&x->d->dev), 0);
	assert_int_equal(rung, 0);
}

static void each_queue_with_work_is_rung_once(void **state)
{
	static const struct answer sent = { 0, 64, false, true };
	struct fake_xsk *x = *state;

	play(x, &sent, 1);
	for (unsigned i = 0; i < 10; i++) {
		struct mr_frame *f = make_packet(x, 2, 100);

		f->queue = (uint16_t)i;
		assert_int_equal(mr_afxdp_tx(&x->d->dev, f, 0), 0);
	}
	assert_int_equal(mr_afxdp_kick(&x->d->dev), 0);
	assert_int_equal(rung, 2);
	assert_int_equal(mr_afxdp_complete(x->d, &x->d->q[0]), 10);
	assert_int_equal(mr_afxdp_complete(x->d, &x->d->q[1]), 10);
	assert_int_equal(x->frames.nfree, FAKE_FRAMES);
}

static void doorbell_without_the_lock_rings_what_has_work_and_changes_nothing(void **state)
{
	static const struct answer answers[] = { { 0, 64, false, true },
						 { EBUSY, 1, false, true } };
	struct fake_xsk *x = *state;

	play(x, answers, 2);
	assert_int_equal(mr_afxdp_ring(&x->d->dev), 0);
	assert_int_equal(rung, 0);
	send_packets(x, 3);
	assert_int_equal(mr_afxdp_ring(&x->d->dev), 0);
	assert_int_equal(rung, 1);
	assert_int_equal(x->frames.nfree, FAKE_FRAMES - 3);
	send_packets(x, 1);
	assert_int_equal(mr_afxdp_ring(&x->d->dev), -EBUSY);
	assert_int_equal(x->ctr.drop[MR_DROP_TX_DEVICE], 0);
	assert_int_equal(mr_afxdp_complete(x->d, &x->d->q[0]), 4);
}

static void one_kick_is_bounded(void **state)
{
	/* each doorbell drops one packet, and a ring of them is waiting on both queues */
	static const struct answer drop_one = { EBUSY, 1, false, true };
	struct fake_xsk *x = *state;

	play(x, &drop_one, 1);
	for (unsigned i = 0; i < 2 * FAKE_RING; i++) {
		struct mr_frame *f = make_packet(x, 1, 100);

		f->queue = (uint16_t)i;
		assert_int_equal(mr_afxdp_tx(&x->d->dev, f, 0), 0);
	}
	mr_afxdp_kick(&x->d->dev);
	assert_true(rung <= 2 * FAKE_RING);
	while (mr_afxdp_kick(&x->d->dev) == -EAGAIN)
		;
	assert_int_equal(x->ctr.drop[MR_DROP_TX_DEVICE], 2 * FAKE_RING);
	assert_int_equal(x->frames.nfree, FAKE_FRAMES);
}

static void dead_device_drops_and_stays_dead(void **state)
{
	static const struct answer gone = { ENXIO, 0, false, false };
	struct fake_xsk *x = *state;

	play(x, &gone, 1);
	send_packets(x, 1);
	assert_int_equal(mr_afxdp_kick(&x->d->dev), -ENETDOWN);
	assert_int_equal(mr_afxdp_tx(&x->d->dev, make_packet(x, 3, 100), 0), -ENETDOWN);
	assert_int_equal(x->ctr.drop[MR_DROP_TX_DEVICE], 1);
	assert_int_equal(mr_afxdp_kick(&x->d->dev), -ENETDOWN);
	assert_int_equal(rung, 1);
	assert_int_equal(x->frames.nfree, FAKE_FRAMES - 1); /* comes back at close */
}

#define TX_TEST(f) cmocka_unit_test_setup_teardown(f, fake_open, fake_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TX_TEST(chain_becomes_continued_descriptors),
		TX_TEST(chain_without_room_changes_nothing),
		TX_TEST(bad_packets_are_refused_released_and_counted),
		TX_TEST(socket_keeps_its_reference_through_completion),
		TX_TEST(bad_completions_free_nothing),
		cmocka_unit_test(every_answer_of_the_doorbell_is_normal_life),
		TX_TEST(no_call_where_the_driver_is_awake),
		TX_TEST(each_queue_with_work_is_rung_once),
		TX_TEST(doorbell_without_the_lock_rings_what_has_work_and_changes_nothing),
		TX_TEST(one_kick_is_bounded),
		TX_TEST(dead_device_drops_and_stays_dead),
	};

	return cmocka_run_group_tests_name("afxdp_tx", tests, NULL, NULL);
}
