/* SPDX-License-Identifier: BSD-2-Clause */
/* tcp_hystart.h - HyStart++ (RFC 9406): part of a congestion control's private state. */
#ifndef MR_TCP_TCP_HYSTART_H
#define MR_TCP_TCP_HYSTART_H

#include "tcp/tcp.h"

struct hystart {
	/* Least RTT of the round before and of this one, ns; MR_TIME_NEVER: no sample. */
	uint64_t last_min_ns, min_ns;
	uint64_t baseline_ns; /* cssBaselineMinRtt; MR_TIME_NEVER: not in conservative slow start */
	uint32_t window_end;  /* the round ends when this is acknowledged */
	uint8_t samples;      /* in this round, no more than are asked for */
	uint8_t css_rounds;   /* that have ended */
};

void hystart_init(struct hystart *h, const struct mr_tcb *tcb);

/* New data was acknowledged in the first slow start, with tcb->ssthresh still arbitrarily high; the
 * arguments are those of mr_cong_ops.acked. Grows cwnd; when the queue on the path has been found
 * to grow for long enough, ssthresh becomes cwnd and slow start is over. */
void hystart_acked(struct hystart *h, struct mr_tcb *tcb, uint32_t acked, uint64_t rtt_ns);

#endif
