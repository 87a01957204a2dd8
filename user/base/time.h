/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * time.h - the unit of time. Below the engine nobody reads a clock: `now` is an argument, nanoseconds
 * of a monotonic clock that the engine (or the simulator) owns. Names carry their unit: _ns, _us, _ms.
 */
#ifndef MR_BASE_TIME_H
#define MR_BASE_TIME_H

#include <stdint.h>

#define MR_NS_PER_US 1000ull
#define MR_NS_PER_MS 1000000ull
#define MR_NS_PER_S  1000000000ull
#define MR_US_PER_S  1000000ull

#define MR_TIME_NEVER UINT64_MAX

#endif
