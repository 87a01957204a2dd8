// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_after.c - what a thread does right after it has released the lock: wake other threads, ring the doorbell.
 * Owns        mr_share.wakes and mr_share.rings.
 * Called by   share_release(). Signal handlers that use the stack are put off meanwhile.
 *
 * A doorbell takes as long as the receiver of the packets: on veth, the kernel runs the peer's whole TCP in it. If the
 * lock were held meanwhile, threads that have a connection each would sleep for the lock, which costs each of them two
 * system calls and a context switch. For the same reason a thread is not woken before the lock is free.
 *
 * Doorbell    mr_share_unlock() and a wait that is about to sleep leave it to the release, because both do release the
 *	       lock. A round rings at once, and so does the next output if the release does not come (mr_port.owed).
 *	       Threads that wait with epoll ring with the lock held: they are few and busy, and would wait for each
 *	       other in the kernel instead. They also wake other threads at once, which then start during the doorbell.
 *	       A thread that finds another thread of its process ringing leaves its packets to that one.
 * Death       The packets are in the ring before the lock is released, and every doorbell covers the whole ring. When a
 *	       process ends, the keeper rings for it (keep_release()). If a process is stopped before it rings, the next
 *	       doorbell of any process or a retransmission sends its packets.
 * Wake-ups    Only for threads of the own process, which are stopped and end together with this thread. Threads of
 *	       other processes are woken at once.
 */
#include "base/compiler.h"
#include "engine/share_priv.h"

#define RING_TURNS 4u /* doorbells in a row, the later ones for other threads */

bool share_acts_after(const struct mr_share *share)
{
	return share->engine->dev->ops->ring && !share_serves() &&
	       !(share->opener && share->c->kept);
}

bool share_wake_after(struct mr_share *share, const struct mr_waiter *w)
{
	int event = share->events[w->index];

	if (event < 0 || share->nwakes == SHARE_WAKES || !share->self ||
	    w->proc != share->self->index || !share_acts_after(share))
		return false;
	share->wakes[share->nwakes++] = event;
	return true;
}

/* The thread that raises the count from 0 rings until the count is 0 again. Packets are in the ring before they are
 * counted. After RING_TURNS doorbells another thread takes over. */
static int ring(struct mr_share *share)
{
	const struct mr_port *port = &share->engine->port;
	uint32_t n;
	int err = 0;

	if (__atomic_fetch_add(&share->rings, 1, __ATOMIC_SEQ_CST))
		return 0;
	for (unsigned turn = 0; turn < RING_TURNS && !err; turn++) {
		n = __atomic_load_n(&share->rings, __ATOMIC_SEQ_CST);
		err = mr_port_ring(port);
		if (__atomic_fetch_sub(&share->rings, n, __ATOMIC_SEQ_CST) == n)
			return err;
	}
	__atomic_store_n(&share->rings, 0, __ATOMIC_SEQ_CST);
	return err ?: mr_port_ring(port);
}

/* The doorbell has failed: do it with the lock, which is needed to count a dropped packet or to try again later. */
static void ring_again(struct mr_share *share, int err)
{
	share_acquire(share);
	share_tick(share);
	mr_port_missed(&share->engine->port, err, share->engine->st->now);
	share_output(share);
	share_leader_check(share);
	share_release(share);
}

void share_after_take(struct mr_share *share, struct share_after *after)
{
	after->ring = mr_port_take_owed(&share->engine->port);
	after->nwakes = share->nwakes;
	for (unsigned i = 0; i < share->nwakes; i++)
		after->wakes[i] = share->wakes[i];
	share->nwakes = 0;
}

void share_after(struct mr_share *share, const struct share_after *after)
{
	int err;

	for (unsigned i = 0; i < after->nwakes; i++)
		share_write_to(after->wakes[i]);
	if (!after->ring)
		return;
	err = ring(share);
	if (mr_unlikely(err))
		ring_again(share, err);
}
