// SPDX-License-Identifier: BSD-2-Clause
/*
 * real.c - finds the C library's functions behind the shim's.
 * Owns        their table.
 * Called by   every interposed function, through real_get().
 *
 * dlsym() may allocate, and may be running in another thread when a call is made: so the first caller fills the
 * table, perhaps several at once, always with the same values.
 */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include "posix/real.h"

struct real real_table;
int real_ready;

static void find(void *slot, const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	memcpy(slot, &f, sizeof(f)); /* ISO C has no conversion between the two kinds of pointers */
}

void real_load(void)
{
	int saved = errno;

#define X(result, name, args) find(&real_table.name, #name);
	MR_REAL_LIST(X)
#undef X
	__atomic_store_n(&real_ready, 1, __ATOMIC_RELEASE);
	errno = saved;
}
