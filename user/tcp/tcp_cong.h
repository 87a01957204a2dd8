/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_cong.h - the congestion control interface. A control decides how cwnd grows and how far it
 * falls; when, is the business of loss recovery (tcp_loss.c). Chosen by index, so that a TCB holds
 * no pointer to code. Private state is tcb->cc_priv, zeroed before init.
 */
#ifndef MR_TCP_TCP_CONG_H
#define MR_TCP_TCP_CONG_H

#include "tcp/tcp.h"

struct mr_cong_ops {
	const char *name;
	void (*init)(struct mr_tcb *tcb, uint64_t now);
	/* New data was acknowledged outside of recovery, and cwnd was the limit. acked: bytes;
	 * rtt_ns 0: no sample. Grows tcb->cwnd. */
	void (*acked)(struct mr_tcb *tcb, uint32_t acked, uint64_t rtt_ns, uint64_t now);
	/* Loss was found: the new ssthresh in bytes, given what is in flight. cwnd still has its
	 * old value. */
	uint32_t (*ssthresh)(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now);
	/* NULL, or: the loss was found by a timeout. Comes after ssthresh() for the same loss. */
	void (*timeout)(struct mr_tcb *tcb, uint64_t now);
	/* NULL, or: the loss of the last ssthresh() was none. The caller has put back cwnd and
	 * ssthresh as they were before; this does so with the private state. */
	void (*undo)(struct mr_tcb *tcb, uint64_t now);
};

enum mr_cong { MR_CONG_NEWRENO, MR_CONG_CUBIC, MR_CONG_MAX };

const struct mr_cong_ops *mr_cong(unsigned index);
extern const struct mr_cong_ops mr_cong_newreno, mr_cong_cubic;

/* RFC 5681 (1): the initial window in bytes, with RFC 6928's ten segments. */
uint32_t mr_cong_initial_window(uint32_t mss);

/* RFC 5681 (2): let cwnd grow by the bytes acknowledged, up to ssthresh. */
void mr_cong_slow_start(struct mr_tcb *tcb, uint32_t acked);

#endif
