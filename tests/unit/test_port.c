// SPDX-License-Identifier: BSD-2-Clause
/* test_port.c - the way between transmit queue and device, with a device made of arrays. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "base/compiler.h"
#include "base/time.h"
#include "dev/port.h"

#define NFRAMES 64u
#define CHUNK	2048u
#define T0	(100 * MR_NS_PER_S)
#define LOG_MAX 256u

/* Ring and outside world of the fake device. What it was asked to do is written to `log`, one
 * letter each: t(x taken), f(ull), r(efused), k(ick), d(oorbell without the lock), c(omplete), x (rx). */
struct fake {
	struct mr_dev dev;
	unsigned ring; /* descriptors it has */
	struct mr_frame *held[NFRAMES];
	unsigned nheld;	     /* in the ring, not sent */
	unsigned sent;	     /* frames sent by kicks */
	unsigned done;	     /* of held, the first so many are sent and wait for reap */
	int kick_result[16]; /* in order; 0 after the last */
	unsigned kicks;
	bool kick_sends; /* a kick that gives 0 sends everything */
	int refuse;	 /* errno with which tx drops */
	struct mr_frame *incoming[8];
	unsigned nincoming;
	char log[LOG_MAX];
};

struct bench {
	struct mr_arena arena;
	struct mr_counters ctr;
	struct mr_frame_pool frames;
	struct mr_netif nif;
	struct mr_port port;
	struct mr_port_state port_state;
	struct fake fake;
	uint8_t *umem;
};

static void note(struct fake *k, char what)
{
	size_t n = strlen(k->log);

	assert_true(n + 1 < LOG_MAX);
	k->log[n] = what;
}

static struct fake *to_fake(struct mr_dev *dev)
{
	return mr_container_of(dev, struct fake, dev);
}

static unsigned fake_rx(struct mr_dev *dev, struct mr_frame_queue *q, unsigned budget, uint64_t now)
{
	struct fake *k = to_fake(dev);
	unsigned n = 0;

	(void)now;
	note(k, 'x');
	while (n < budget && n < k->nincoming)
		mr_frame_queue_push(q, k->incoming[n++]);
	k->nincoming -= n;
	return n;
}

static int fake_tx(struct mr_dev *dev, struct mr_frame *f, uint64_t now)
{
	struct fake *k = to_fake(dev);

	(void)now;
	if (k->refuse) {
		note(k, 'r');
		mr_netif_tx_done(dev->frames, f);
		return k->refuse;
	}
	if (k->nheld == k->ring) {
		note(k, 'f');
		return -EAGAIN;
	}
	note(k, 't');
	k->held[k->nheld++] = f;
	return 0;
}

static int fake_kick(struct mr_dev *dev)
{
	struct fake *k = to_fake(dev);
	int ret = k->kicks < MR_ARRAY_SIZE(k->kick_result) ? k->kick_result[k->kicks] : 0;

	note(k, 'k');
	k->kicks++;
	if (!ret && k->kick_sends)
		k->done = k->nheld;
	return ret;
}

static int fake_ring(const struct mr_dev *dev)
{
	struct fake *k = mr_container_of(dev, struct fake, dev);

	note(k, 'd');
	k->done = k->nheld;
	return 0;
}

static void fake_reap(struct mr_dev *dev)
{
	struct fake *k = to_fake(dev);

	note(k, 'c');
	for (unsigned i = 0; i < k->done; i++)
		mr_netif_tx_done(dev->frames, k->held[i]);
	for (unsigned i = k->done; i < k->nheld; i++)
		k->held[i - k->done] = k->held[i];
	k->sent += k->done;
	k->nheld -= k->done;
	k->done = 0;
}

static const struct mr_dev_ops FAKE_OPS = {
	.rx = fake_rx,
	.tx = fake_tx,
	.kick = fake_kick,
	.ring = fake_ring,
	.reap = fake_reap,
};

static int bench_open(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct bench *b = calloc(1, sizeof(*b));

	b->umem = calloc(NFRAMES, CHUNK);
	assert_int_equal(mr_arena_open(&b->arena, "test", 1 << 20), 0);
	assert_int_equal(
		mr_frame_pool_init(&b->frames, &b->arena, &b->ctr, b->umem, NFRAMES, CHUNK), 0);
	mr_netif_init(&b->nif, &b->frames, &b->ctr, mac, 1500, NFRAMES);
	b->fake = (struct fake){
		.dev = { .ops = &FAKE_OPS, .frames = &b->frames, .ctr = &b->ctr },
		.ring = 8,
		.kick_sends = true,
	};
	mr_port_init(&b->port, &b->port_state, &b->fake.dev, &b->nif, 0, NULL, T0);
	*state = b;
	return 0;
}

/* Everything that was queued has left and come back: no frame is lost. */
static int bench_close(void **state)
{
	struct bench *b = *state;
	uint32_t nfree = b->frames.nfree;

	mr_arena_close(&b->arena);
	free(b->umem);
	free(b);
	return nfree == NFRAMES ? 0 : -1;
}

static void queue_packets(struct bench *b, unsigned n, uint32_t len)
{
	while (n--) {
		struct mr_frame *f = mr_frame_get(&b->frames);

		assert_non_null(f);
		f->len = len;
		f->pkt_len = len;
		assert_int_equal(mr_netif_tx(&b->nif, f), 0);
	}
}

static void expect_log(struct bench *b, const char *want)
{
	assert_string_equal(b->fake.log, want);
	memset(b->fake.log, 0, sizeof(b->fake.log));
}

static void idle_port_rings_no_doorbell(void **state)
{
	struct bench *b = *state;

	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "c");
	assert_true(mr_port_next(&b->port, T0) == MR_TIME_NEVER);
}

static void batch_costs_one_doorbell(void **state)
{
	struct bench *b = *state;

	queue_packets(b, 5, 1000);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "tttttkc");
	assert_int_equal(b->nif.txq_count, 0);
	assert_int_equal(b->fake.sent, 5);
	assert_true(mr_port_next(&b->port, T0) == MR_TIME_NEVER);
}

static void doorbell_is_left_to_who_will_ring_it_without_the_lock(void **state)
{
	struct bench *b = *state;

	b->port.leaves = true;
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "c");
	assert_false(mr_port_take_owed(&b->port));
	queue_packets(b, 2, 1000);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "ttc");
	assert_true(mr_port_next(&b->port, T0) == MR_TIME_NEVER);
	assert_true(mr_port_take_owed(&b->port));
	assert_false(mr_port_take_owed(&b->port));
	assert_int_equal(b->ctr.c[MR_CTR_DEV_TX_DOORBELLS], 1);
	assert_int_equal(mr_port_ring(&b->port), 0);
	expect_log(b, "d");
	b->port.dev->ops->reap(b->port.dev);
	assert_int_equal(b->fake.sent, 2);
}

/* Who had left it did not give the lock back, but went on with rounds: nothing of them was sent. */
static void doorbell_that_was_left_is_rung_by_the_next_that_leaves_none(void **state)
{
	struct bench *b = *state;

	b->port.leaves = true;
	queue_packets(b, 2, 1000);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	b->port.leaves = false;
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "ttckc");
	assert_int_equal(b->fake.sent, 2);
	assert_false(mr_port_take_owed(&b->port));
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "c");
}

static void full_ring_is_rung_at_once_whoever_would_ring_later(void **state)
{
	struct bench *b = *state;

	b->port.leaves = true;
	queue_packets(b, 10, 1000);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "ttttttttfkcttc");
	assert_true(mr_port_take_owed(&b->port));
	assert_int_equal(mr_port_ring(&b->port), 0);
	b->port.dev->ops->reap(b->port.dev);
	assert_int_equal(b->fake.sent, 10);
}

static void doorbell_that_went_wrong_is_rung_with_the_lock_and_told_of(void **state)
{
	struct bench *b = *state;

	b->port.leaves = true;
	b->fake.kick_sends = false;
	queue_packets(b, 1, 1000);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "tc");
	b->fake.kick_sends = true;
	mr_port_missed(&b->port, -EBUSY, T0);
	assert_int_equal(b->ctr.drop[MR_DROP_TX_DEVICE], 1);
	assert_true(mr_port_next(&b->port, T0) == T0);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "kc");
	assert_int_equal(b->fake.sent, 1);
	assert_true(mr_port_next(&b->port, T0) == MR_TIME_NEVER);
}

static void more_than_a_ring_goes_in_turns(void **state)
{
	struct bench *b = *state;

	queue_packets(b, 20, 1000);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "ttttttttfkcttttttttfkcttttkc");
	assert_int_equal(b->fake.sent, 20);
	assert_true(mr_port_next(&b->port, T0) == MR_TIME_NEVER);
}

static void ring_that_was_full_before_is_emptied_first(void **state)
{
	struct bench *b = *state;

	b->fake.ring = 2;
	b->fake.kick_sends = false; /* as with the link down: the doorbell takes nothing */
	queue_packets(b, 3, 100);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "ttfkcfkc");
	b->fake.kick_sends = true;
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "fkctkc");
	assert_int_equal(b->fake.sent, 3);
	assert_true(mr_port_next(&b->port, T0) == MR_TIME_NEVER);
}

static void doorbell_that_says_eagain_is_rung_again_later(void **state)
{
	struct bench *b = *state;
	uint64_t at;

	b->fake.kick_result[0] = -EAGAIN;
	queue_packets(b, 1, 100);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "tkc");
	at = mr_port_next(&b->port, T0);
	assert_true(at > T0 && at <= T0 + MR_NS_PER_MS);
	assert_int_equal(mr_port_tx(&b->port, at), 0); /* although nothing is queued */
	expect_log(b, "kc");
	assert_int_equal(b->fake.sent, 1);
	assert_true(mr_port_next(&b->port, at) == MR_TIME_NEVER);
}

static void device_that_stays_stuck_is_asked_less_and_less(void **state)
{
	struct bench *b = *state;
	uint64_t now = T0, gap = 0, end = T0 + MR_NS_PER_S;
	unsigned tries = 0;

	b->fake.ring = 1;
	b->fake.kick_sends = false;
	queue_packets(b, 2, 100);
	for (; now < end; tries++) {
		uint64_t next;

		assert_int_equal(mr_port_tx(&b->port, now), 0);
		memset(b->fake.log, 0, sizeof(b->fake.log));
		next = mr_port_next(&b->port, now);
		assert_true(next > now && next - now >= gap);
		/* calls in between, for other reasons, do not stretch the gap */
		assert_int_equal(mr_port_tx(&b->port, now + 1), 0);
		assert_true(mr_port_next(&b->port, now + 1) == next);
		gap = next - now;
		now = next;
	}
	assert_true(gap <= 10 * MR_NS_PER_MS);
	assert_in_range(tries, 90, 130);

	b->fake.kick_sends = true;
	assert_int_equal(mr_port_tx(&b->port, now), 0);
	assert_int_equal(b->fake.sent, 2);
	assert_true(mr_port_next(&b->port, now) == MR_TIME_NEVER);
}

static void dead_device_is_reported(void **state)
{
	struct bench *b = *state;

	b->fake.kick_result[0] = -ENETDOWN;
	b->fake.refuse = -ENETDOWN;
	queue_packets(b, 3, 100);
	assert_int_equal(mr_port_tx(&b->port, T0), -ENETDOWN);
	expect_log(b, "rrrkc");
	assert_int_equal(b->nif.txq_count, 0); /* the device dropped and counted them */
}

static void shaper_holds_back_and_says_until_when(void **state)
{
	struct bench *b = *state;
	uint64_t at;

	mr_port_init(&b->port, &b->port_state, &b->fake.dev, &b->nif, 8000000, NULL,
		     T0); /* a byte a microsecond */
	mr_shaper_init(&b->port_state.shaper, 8000000, 2000, T0);
	queue_packets(b, 4, 1000);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "ttkc");
	at = mr_port_next(&b->port, T0);
	assert_true(at == T0 + 1000 * MR_NS_PER_US);
	assert_int_equal(mr_port_tx(&b->port, T0 + 1), 0); /* too early */
	expect_log(b, "c");
	assert_int_equal(b->ctr.c[MR_CTR_DEV_SHAPED], 1); /* one packet waits, asked for twice */
	assert_int_equal(mr_port_tx(&b->port, at), 0);
	expect_log(b, "tkc");
	assert_int_equal(mr_port_tx(&b->port, mr_port_next(&b->port, at)), 0);
	assert_int_equal(b->ctr.c[MR_CTR_DEV_SHAPED], 2);
	assert_int_equal(b->fake.sent, 4);
	assert_true(mr_port_next(&b->port, at) == MR_TIME_NEVER);
}

static void packet_that_finds_the_ring_full_pays_the_shaper_once(void **state)
{
	struct bench *b = *state;

	mr_shaper_init(&b->port_state.shaper, 8000000, 2000, T0);
	b->fake.ring = 1;
	b->fake.kick_sends = false;
	queue_packets(b, 2, 1000);
	for (int i = 0; i < 5; i++)
		assert_int_equal(mr_port_tx(&b->port, T0), 0);
	b->fake.kick_sends = true;
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	assert_int_equal(b->fake.sent, 2); /* the burst is 2000 bytes, and 2000 went */
	assert_int_equal(b->ctr.c[MR_CTR_DEV_SHAPED], 0);
}

static void receive_reaps_first_and_keeps_the_budget(void **state)
{
	struct bench *b = *state;
	struct mr_frame_queue q = { 0 };

	for (int i = 0; i < 3; i++)
		b->fake.incoming[b->fake.nincoming++] = mr_frame_get(&b->frames);
	assert_int_equal(mr_port_rx(&b->port, &q, 2, T0), 2);
	expect_log(b, "cx");
	assert_int_equal(q.count, 2);
	mr_frame_put(&b->frames, mr_frame_queue_pop(&q));
	mr_frame_put(&b->frames, mr_frame_queue_pop(&q));
	mr_frame_put(&b->frames, b->fake.incoming[2]);
}

/* Three packets out, of which one had to wait for the ring and one was refused, and one in. */
static void capture_has_each_packet_once(void **state)
{
	struct bench *b = *state;
	char path[] = "/tmp/mr-port-XXXXXX";
	struct mr_pcapng *cap;
	struct mr_frame *f;
	struct stat before, after;
	int fd = mkstemp(path);
	off_t block = 28 + 1000 + 12 + 4; /* head, bytes, flags and end option, trailing length */
	off_t comment =
		4 +
		(off_t)((strlen("dropped: ") + strlen(mr_drop_text(MR_DROP_TX_DEVICE)) + 3) & ~3ul);

	assert_true(fd >= 0);
	assert_int_equal(mr_pcapng_open(&cap, path, "v0", 0, 0), 0);
	assert_int_equal(mr_pcapng_flush(cap), 0);
	assert_int_equal(fstat(fd, &before), 0);
	b->port.cap = cap;

	b->fake.ring = 1;
	queue_packets(b, 2, 1000);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	expect_log(b, "tfkctkc");
	b->fake.refuse = -EMSGSIZE;
	queue_packets(b, 1, 1000);
	assert_int_equal(mr_port_tx(&b->port, T0), 0);
	f = mr_frame_get(&b->frames);
	f->len = f->pkt_len = 1000;
	mr_port_rx_begin(&b->port, f, T0);
	mr_port_rx_verdict(&b->port, MR_DROP_NONE);
	mr_frame_put(&b->frames, f);

	assert_int_equal(mr_pcapng_close(cap), 0);
	assert_int_equal(fstat(fd, &after), 0);
	close(fd);
	unlink(path);
	assert_int_equal(after.st_size - before.st_size, 4 * block + comment);
}

#define PORT_TEST(f) cmocka_unit_test_setup_teardown(f, bench_open, bench_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PORT_TEST(idle_port_rings_no_doorbell),
		PORT_TEST(batch_costs_one_doorbell),
		PORT_TEST(doorbell_is_left_to_who_will_ring_it_without_the_lock),
		PORT_TEST(doorbell_that_was_left_is_rung_by_the_next_that_leaves_none),
		PORT_TEST(full_ring_is_rung_at_once_whoever_would_ring_later),
		PORT_TEST(doorbell_that_went_wrong_is_rung_with_the_lock_and_told_of),
		PORT_TEST(more_than_a_ring_goes_in_turns),
		PORT_TEST(ring_that_was_full_before_is_emptied_first),
		PORT_TEST(doorbell_that_says_eagain_is_rung_again_later),
		PORT_TEST(device_that_stays_stuck_is_asked_less_and_less),
		PORT_TEST(dead_device_is_reported),
		PORT_TEST(shaper_holds_back_and_says_until_when),
		PORT_TEST(packet_that_finds_the_ring_full_pays_the_shaper_once),
		PORT_TEST(receive_reaps_first_and_keeps_the_budget),
		PORT_TEST(capture_has_each_packet_once),
	};

	return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
