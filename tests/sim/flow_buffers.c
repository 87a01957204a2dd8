// SPDX-License-Identifier: BSD-2-Clause
/* flow_buffers.c - buffers that find their own size: large enough that they are not the limit, and no larger. */
#include "base/compiler.h"
#include "flow.h"

#define START (256u << 10) /* MR_TCP_SNDBUF, MR_TCP_RCVBUF */

static uint32_t rcvbuf(const struct flow *f)
{
	return f->to->tcb->opts.rcvbuf;
}

static uint32_t sndbuf(const struct flow *f)
{
	return f->from->tcb->opts.sndbuf;
}

static struct flow *run(struct flows *fl, const struct path *path, const struct flow_cfg *cfg,
			uint64_t from, uint64_t to)
{
	struct flow *f;

	flows_open(fl, path, 1);
	f = flow_add(fl, cfg);
	flows_until(fl, from);
	flow_mark(fl, f);
	flows_until(fl, to);
	return f;
}

/* 1.25 MB are under way at 100 Mbit/s and 100 ms; 64 KiB would give 5 Mbit/s. 1448 of 1514 bytes are payload. */
FLOW_TEST(tuned_buffers_fill_a_path_of_100_ms)
{
	const struct path path = { .rate_bps = MBIT(100), .rtt_ns = MS(100), .tuned = true };
	struct flow *f = run(fl, &path, &(struct flow_cfg){ 0 }, SEC(5), SEC(15));

	FLOW_CHECK(fl, flow_goodput(fl, f) > 0.98 * MBIT(100) * 1448 / 1514, "goodput %.0f",
		   flow_goodput(fl, f));
	FLOW_CHECK(fl, rcvbuf(f) > 1250000 && rcvbuf(f) <= MR_TCP_RCVBUF_MAX, "rcvbuf %u",
		   rcvbuf(f));
	FLOW_CHECK(fl, sndbuf(f) > 1250000 && sndbuf(f) <= MR_TCP_SNDBUF_MAX, "sndbuf %u",
		   sndbuf(f));
	flows_close(fl);
}

/* The receive buffer keeps ahead of slow start: the transfer is as fast as with buffers that are no limit. */
FLOW_TEST(tuned_buffers_do_not_slow_down_slow_start)
{
	uint64_t received[2];

	for (int tuned = 0; tuned < 2; tuned++) {
		const struct path path = { .rate_bps = MBIT(100),
					   .rtt_ns = MS(100),
					   .tuned = tuned };
		struct flow *f = run(fl, &path, &(struct flow_cfg){ 0 }, 0, SEC(2));

		received[tuned] = f->received;
		flows_close(fl);
	}
	FLOW_CHECK(fl, received[1] > received[0] * 9 / 10, "%llu of %llu bytes",
		   (unsigned long long)received[1], (unsigned long long)received[0]);
}

/* Who reads slowly is not given a larger buffer: more would only wait in it. */
FLOW_TEST(tuned_receive_buffer_does_not_grow_for_a_slow_reader)
{
	const struct path path = { .rate_bps = MBIT(100), .rtt_ns = MS(20), .tuned = true };
	struct flow *f = run(fl, &path, &(struct flow_cfg){ .read_bps = MBIT(4) }, 0, SEC(10));

	FLOW_CHECK(fl, rcvbuf(f) == START, "rcvbuf %u", rcvbuf(f));
	FLOW_CHECK(fl, f->received > MBIT(4) / 8 * 9, "%llu bytes",
		   (unsigned long long)f->received);
	flows_close(fl);
}

/* Linux: SO_RCVBUF set by the application ends the tuning. */
FLOW_TEST(receive_buffer_that_was_set_stays)
{
	const struct path path = { .rate_bps = MBIT(100), .rtt_ns = MS(100), .tuned = true };
	struct flow *f = run(fl, &path, &(struct flow_cfg){ .rcvbuf = 64 << 10 }, SEC(5), SEC(10));

	FLOW_CHECK(fl, rcvbuf(f) == 64 << 10, "rcvbuf %u", rcvbuf(f));
	FLOW_CHECK(fl, flow_goodput(fl, f) < 8.0 * (64 << 10) * 10 * 1.02, "goodput %.0f",
		   flow_goodput(fl, f));
	flows_close(fl);
}
