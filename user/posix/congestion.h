/* SPDX-License-Identifier: BSD-2-Clause */
/* congestion.h - names of congestion controls: Linux's and ours. */
#ifndef MR_POSIX_CONGESTION_H
#define MR_POSIX_CONGESTION_H

#include <string.h>

/* Linux's reno is NewReno (RFC 6582). */
static inline const char *congestion_ours(const char *theirs)
{
	return strcmp(theirs, "reno") ? theirs : "newreno";
}

static inline const char *congestion_theirs(const char *ours)
{
	return strcmp(ours, "newreno") ? ours : "reno";
}

#endif
