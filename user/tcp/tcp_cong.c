// SPDX-License-Identifier: BSD-2-Clause
/* tcp_cong.c - the table of congestion controls, and what they share. */
#include "tcp/tcp_cong.h"

#include <errno.h>
#include <string.h>

static const struct mr_cong_ops *const table[MR_CONG_MAX] = {
	[MR_CONG_NEWRENO] = &mr_cong_newreno,
	[MR_CONG_CUBIC] = &mr_cong_cubic,
	[MR_CONG_BBR] = &mr_cong_bbr,
	[MR_CONG_DCTCP] = &mr_cong_dctcp,
};

const struct mr_cong_ops *mr_cong(unsigned index)
{
	assert(index < MR_CONG_MAX);
	return table[index];
}

int mr_congestion_index(const char *name)
{
	for (int i = 0; name && i < MR_CONG_MAX; i++)
		if (!strcmp(table[i]->name, name))
			return i;
	return -ENOENT;
}

const char *mr_congestion_name(int index)
{
	return index >= 0 && index < MR_CONG_MAX ? table[index]->name : NULL;
}

uint32_t mr_cong_initial_window(uint32_t mss)
{
	/* RFC 6928 (1): min(10 * MSS, max(2 * MSS, 14600)). */
	return mr_min(MR_TCP_INIT_WND * mss, mr_max(2 * mss, 14600u));
}

void mr_cong_slow_start(struct mr_tcb *tcb, uint32_t acked)
{
	/* After a timeout one ACK may cover a whole window of earlier data: L = 1 then (RFC 3465 section 2.3).
	 * Otherwise an ACK counts for all that it covers, as in Linux, because ours may be for a batch. */
	uint32_t grow = tcb->loss == MR_LOSS_RTO ? mr_min(acked, (uint32_t)tcb->snd_mss) : acked;

	tcb->cwnd += mr_min(grow, tcb->ssthresh - tcb->cwnd);
}

void mr_cong_grow(struct mr_tcb *tcb, uint32_t acked, uint32_t *part)
{
	uint64_t grow = (uint64_t)acked * tcb->snd_mss + *part;

	if (tcb->cwnd < tcb->ssthresh) {
		mr_cong_slow_start(tcb, acked);
		return;
	}
	*part = (uint32_t)(grow % tcb->cwnd);
	tcb->cwnd += (uint32_t)(grow / tcb->cwnd);
}

uint32_t mr_cong_used(const struct mr_tcb *tcb, uint32_t in_flight)
{
	return tcb->sending->cwv.limited ? tcb->cwnd : mr_min(tcb->cwnd, in_flight);
}
