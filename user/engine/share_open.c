// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_open.c - open an engine that others will join.
 * Called by   the keeper. Not in programs under `millrace run`, which only join one (share_join.c).
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include "base/error.h"
#include "engine/share_priv.h"

void share_choose_addresses(uint64_t random, struct mr_stack_cfg *scfg)
{
	/* From 32 TiB to 64, in steps of 256 GiB: none of the three is larger than what it has of them. */
	uint64_t at = 0x200000000000ull + ((random & 0x7f) << 38);

	scfg->arena_at = (void *)(uintptr_t)at;
	scfg->ports_at = (void *)(uintptr_t)(at + (1ull << 36));
	scfg->umem_at = (void *)(uintptr_t)(at + (1ull << 37));
}

int mr_share_open(struct mr_share **out, const struct mr_config *cfg,
		  const struct mr_share_ops *ops, struct mr_error *err)
{
	struct mr_stack_cfg scfg = { .extra_bytes = share_bytes(cfg, ops) };
	struct mr_engine *engine;
	uint64_t random;
	int ret;

	*out = NULL;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return mr_error_set(err, -errno, "cannot get random numbers: %s", strerror(errno));
	share_choose_addresses(random, &scfg);
	ret = engine_open(&engine, cfg, &scfg, err);
	if (ret)
		return ret;
	ret = share_create(out, engine, cfg, ops, err);
	if (ret)
		mr_engine_close(engine);
	return ret;
}
