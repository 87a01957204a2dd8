// SPDX-License-Identifier: BSD-2-Clause
/*
 * counters.c - names and texts of everything that is counted, from the lists in counters.h and
 * millrace/xdp_abi.h.
 */
#include <assert.h>
#include "base/counters.h"

struct label {
	const char *name, *text;
};

static const struct label counter_labels[MR_CTR_MAX] = {
#define X(id, name, text) [MR_CTR_##id] = { name, text },
	MR_COUNTER_LIST(X)
#undef X
};

static const struct label drop_labels[MR_DROP_MAX] = {
#define X(id, name, text) [MR_DROP_##id] = { name, text },
	MR_DROP_LIST_XDP(X) MR_DROP_LIST_USER(X)
#undef X
};

static const struct label verdict_labels[MR_XDP_VERDICT_MAX] = {
#define X(id, name, text) [MR_XDP_##id] = { name, text },
	MR_XDP_VERDICT_LIST(X)
#undef X
};

const char *mr_counter_id_name(enum mr_counter_id id)
{
	assert(id < MR_CTR_MAX);
	return counter_labels[id].name;
}

const char *mr_counter_id_text(enum mr_counter_id id)
{
	assert(id < MR_CTR_MAX);
	return counter_labels[id].text;
}

const char *mr_drop_name(enum mr_drop reason)
{
	assert(reason < MR_DROP_MAX);
	return drop_labels[reason].name;
}

const char *mr_drop_text(enum mr_drop reason)
{
	assert(reason < MR_DROP_MAX);
	return drop_labels[reason].text;
}

const char *mr_xdp_verdict_name(enum mr_xdp_verdict verdict)
{
	assert(verdict < MR_XDP_VERDICT_MAX);
	return verdict_labels[verdict].name;
}

const char *mr_xdp_verdict_text(enum mr_xdp_verdict verdict)
{
	assert(verdict < MR_XDP_VERDICT_MAX);
	return verdict_labels[verdict].text;
}
