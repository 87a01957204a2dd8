// SPDX-License-Identifier: BSD-2-Clause
/*
 * caps.c - which Linux capabilities this process lacks.
 * Owns        nothing; reads the effective set of the calling thread (capabilities(7)).
 * Called by   what makes privileged calls, after one was refused.
 * Not here    whether they would have sufficed: user namespaces and lockdown refuse as well.
 */
#include <stdbool.h>
#include <stdio.h>
#include <sys/capability.h>

#include "base/compiler.h"
#include "kernel/caps.h"

#ifndef CAP_BPF
#define CAP_BPF 39 /* Linux 5.8 */
#endif
#ifndef CAP_PERFMON
#define CAP_PERFMON 38 /* Linux 5.8 */
#endif

static bool has_cap(cap_t caps, cap_value_t cap)
{
	cap_flag_value_t value = CAP_CLEAR;

	return !cap_get_flag(caps, cap, CAP_EFFECTIVE, &value) && value == CAP_SET;
}

unsigned mr_caps_missing(char *buf, size_t size)
{
	/* CAP_SYS_ADMIN stands in for all but the last, as it did before Linux 5.8. */
	static const struct {
		cap_value_t cap;
		bool or_sys_admin;
		const char *name;
	} needed[] = {
		{ CAP_BPF, true, "CAP_BPF" },
		{ CAP_PERFMON, true, "CAP_PERFMON" },
		{ CAP_NET_ADMIN, true, "CAP_NET_ADMIN" },
		{ CAP_NET_RAW, false, "CAP_NET_RAW" },
	};
	cap_t caps = cap_get_proc();
	unsigned missing = 0;
	size_t used = 0;

	buf[0] = '\0';
	if (!caps)
		return 0;
	for (size_t i = 0; i < MR_ARRAY_SIZE(needed); i++) {
		if (has_cap(caps, needed[i].cap) ||
		    (needed[i].or_sys_admin && has_cap(caps, CAP_SYS_ADMIN)))
			continue;
		if (used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s",
						 missing ? ", " : "", needed[i].name);
		missing++;
	}
	cap_free(caps);
	return missing;
}
