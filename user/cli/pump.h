/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pump.h - a file descriptor at the engine's side without ever blocking the engine: a thread copies
 * between the descriptor and a ring buffer, and wakes the engine when that changed.
 */
#ifndef MR_CLI_PUMP_H
#define MR_CLI_PUMP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "millrace.h"

#define PUMP_BYTES (256u << 10) /* a power of two */

struct pump {
	pthread_mutex_t lock; /* over all that follows, not over the bytes: each has one owner */
	pthread_cond_t changed;
	struct mr_engine *engine; /* NULL: stopped */
	int fd;
	size_t head, tail; /* bytes ever put in and taken out */
	bool eof;	   /* nothing more is put in */
	bool finished;	   /* the thread has ended */
	int error;	   /* negative errno of read(2) or write(2), 0: none */
	char buf[PUMP_BYTES];
};

#define PUMP_INIT                                                                                  \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER             \
	}

/* Start copying from fd into the pump, or out of it to fd. 0 or a negative errno. The pump must
 * live as long as the process, for its thread may be blocked in the kernel for ever. */
int pump_start_reader(struct pump *p, struct mr_engine *engine, int fd);
int pump_start_writer(struct pump *p, struct mr_engine *engine, int fd);

/* The engine is not woken any more, and may be closed. Harmless on a pump that never started. */
void pump_stop(struct pump *p);

/* The engine's side of a reader: the bytes that are there, in one piece; consume some of them. */
size_t pump_peek(struct pump *p, const char **data);
void pump_consume(struct pump *p, size_t n);
/* ... and of a writer: room in one piece; what of it was filled. */
size_t pump_room(struct pump *p, char **data);
void pump_produce(struct pump *p, size_t n);
void pump_end(struct pump *p); /* nothing follows */

/* A reader: end of file and all consumed. A writer: pump_end() and all written. Either: failed. */
bool pump_done(struct pump *p);
int pump_error(struct pump *p);

#endif
