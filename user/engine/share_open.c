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

/* Somewhere high in the address space, where neither programs nor their libraries and heaps are, and the
 * same place in every process that joins. */
static int choose_addresses(struct mr_stack_cfg *scfg)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -errno;
	/* From 32 TiB on, in steps of 256 GiB: none of the three is larger than what it has of them. */
	random = 0x200000000000ull + ((random & 0xff) << 38);
	scfg->arena_at = (void *)(uintptr_t)random;
	scfg->ports_at = (void *)(uintptr_t)(random + (1ull << 36));
	scfg->umem_at = (void *)(uintptr_t)(random + (1ull << 37));
	return 0;
}

int mr_share_open(struct mr_share **out, const struct mr_config *cfg,
		  const struct mr_share_ops *ops, struct mr_error *err)
{
	struct mr_stack_cfg scfg = { .extra_bytes = share_bytes(cfg, ops) };
	struct mr_engine *engine;
	int ret = choose_addresses(&scfg);

	*out = NULL;
	if (ret)
		return mr_error_set(err, ret, "cannot get random numbers: %s", strerror(-ret));
	ret = engine_open(&engine, cfg, &scfg, err);
	if (ret)
		return ret;
	ret = share_create(out, engine, cfg, ops, err);
	if (ret)
		mr_engine_close(engine);
	return ret;
}
