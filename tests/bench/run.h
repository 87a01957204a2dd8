/* SPDX-License-Identifier: BSD-2-Clause */
/* run.h - the clock and the end of a run, for every program that measures. */
#ifndef MR_BENCH_RUN_H
#define MR_BENCH_RUN_H

#include <stdbool.h>
#include <stdint.h>

/* From now on SIGINT and SIGTERM end the run: they interrupt what sleeps, and bench_stopping() tells. */
void bench_catch_signals(void);
bool bench_stopping(void);

/* ns of a clock that only goes forward. */
uint64_t bench_now(void);

#endif
