// SPDX-License-Identifier: BSD-2-Clause
/* tcp_cong.c - the table of congestion controls. */
#include "tcp/tcp_cong.h"

#include <errno.h>
#include <string.h>

static const struct mr_cong_ops *const table[MR_CONG_MAX] = {
	[MR_CONG_NEWRENO] = &mr_cong_newreno,
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
