/* SPDX-License-Identifier: BSD-2-Clause */
/* congestion.h - Linux's names of congestion controls and ours. */
#ifndef MR_POSIX_CONGESTION_H
#define MR_POSIX_CONGESTION_H

#include <string.h>

/* What Linux calls reno is RFC 6582's here. */
static inline const char *congestion_ours(const char *theirs)
{
	return strcmp(theirs, "reno") ? theirs : "newreno";
}

static inline const char *congestion_theirs(const char *ours)
{
	return strcmp(ours, "newreno") ? ours : "reno";
}

#endif
