/* SPDX-License-Identifier: BSD-2-Clause */
/* tcp_hystart.h - HyStart++ (RFC 9406), as part of a congestion control's private state. */
#ifndef MR_TCP_TCP_HYSTART_H
#define MR_TCP_TCP_HYSTART_H

#include "tcp/tcp.h"

struct hystart {
	/* Smallest RTT of the last round and of this one, ns; MR_TIME_NEVER: no sample. */
	uint64_t last_min_ns, min_ns;
	/* cssBaselineMinRtt, ns; MR_TIME_NEVER: not in conservative slow start. */
	uint64_t baseline_ns;
	uint32_t window_end; /* the round ends when this sequence number is acknowledged */
	uint8_t samples;     /* RTT samples in this round, up to N_RTT_SAMPLE */
	uint8_t css_rounds;  /* rounds of conservative slow start that have ended */
};

void hystart_init(struct hystart *h, const struct mr_tcb *tcb);

/* New data was acknowledged in the first slow start, while ssthresh is still arbitrarily high. The arguments are
 * those of mr_cong_ops.acked(). Lets cwnd grow. If the RTT has risen for long enough, ssthresh becomes cwnd, which
 * ends slow start. */
void hystart_acked(struct hystart *h, struct mr_tcb *tcb, uint32_t acked, uint64_t rtt_ns);

#endif
