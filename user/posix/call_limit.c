// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_limit.c - setrlimit, getrlimit, prlimit: the limit of address space.
 * Called by   the program.
 *
 * The stack's memory is mapped in the program, hundreds of MiB of addresses, most of which nothing stands behind.
 * A program that limits its own has not counted them: once it has joined, what it sets and sees is without them.
 * A limit that was set before (ulimit -v) holds for all.
 */
#include <sys/resource.h>
#include <unistd.h>
#include "base/compiler.h"
#include "engine/share_priv.h"
#include "kernel/xdp.h"
#include "posix/posix.h"

static rlim64_t mapped(void)
{
	const struct mr_engine *engine = px_share ? mr_share_engine(px_share) : NULL;

	return engine ? engine->arena.size + engine->umem.size + MR_XDP_PORTS_BYTES : 0;
}

static rlim64_t with_ours(rlim64_t limit)
{
	return limit > RLIM64_INFINITY - mapped() ? RLIM64_INFINITY : limit + mapped();
}

static rlim64_t without_ours(rlim64_t limit)
{
	return limit == RLIM64_INFINITY ? limit : limit - mr_min(limit, mapped());
}

PUBLIC int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *set,
		     struct rlimit64 *old)
{
	struct rlimit64 changed;
	bool own = resource == RLIMIT_AS && (!pid || pid == getpid());
	int ret;

	if (own && set) {
		changed.rlim_cur = with_ours(set->rlim_cur);
		changed.rlim_max = with_ours(set->rlim_max);
		set = &changed;
	}
	ret = REAL(prlimit64)(pid, resource, set, old);
	if (!ret && own && old) {
		old->rlim_cur = without_ours(old->rlim_cur);
		old->rlim_max = without_ours(old->rlim_max);
	}
	return ret;
}

/* The two structures are one where a long has 64 bits. */
_Static_assert(sizeof(struct rlimit) == sizeof(struct rlimit64), "one structure");

PUBLIC int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *set,
		   struct rlimit *old)
{
	return prlimit64(pid, resource, (const struct rlimit64 *)set, (struct rlimit64 *)old);
}

PUBLIC int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *set)
{
	return prlimit64(0, resource, set, NULL);
}

PUBLIC int setrlimit(__rlimit_resource_t resource, const struct rlimit *set)
{
	return setrlimit64(resource, (const struct rlimit64 *)set);
}

PUBLIC int getrlimit64(__rlimit_resource_t resource, struct rlimit64 *old)
{
	return prlimit64(0, resource, NULL, old);
}

PUBLIC int getrlimit(__rlimit_resource_t resource, struct rlimit *old)
{
	return getrlimit64(resource, (struct rlimit64 *)old);
}
