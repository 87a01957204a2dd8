/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pump.h - reads or writes a file descriptor without ever blocking the engine: a thread copies between the descriptor
 * and a ring buffer, and wakes the engine when that has changed.
 */
#ifndef MR_CLI_PUMP_H
#define MR_CLI_PUMP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "millrace.h"

#define PUMP_BYTES (256u << 10) /* a power of two */

struct pump {
	/* Protects all members but the bytes of buf, which have one owner at a time. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct mr_engine *engine; /* NULL: stopped */
	int fd;
	size_t head, tail; /* total number of bytes put in and taken out */
	bool eof;	   /* nothing more will be put in */
	bool finished;	   /* the thread has ended */
	int error;	   /* negative errno of read(2) or write(2); 0: none */
	char buf[PUMP_BYTES];
};

#define PUMP_INIT                                                                                  \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER             \
	}

/* Start a thread that copies from fd into the pump, or from the pump to fd. Returns 0 or a negative errno. The pump
 * must never be freed, because its thread may be blocked in the kernel for ever. */
int pump_start_reader(struct pump *p, struct mr_engine *engine, int fd);
int pump_start_writer(struct pump *p, struct mr_engine *engine, int fd);

/* Stop waking the engine, so that it can be closed. No effect on a pump that was never started. */
void pump_stop(struct pump *p);

/* Reader, on the engine's side: the contiguous bytes that can be read. */
size_t pump_peek(struct pump *p, const char **data);
/* Take n of them out. */
void pump_consume(struct pump *p, size_t n);
/* Writer, on the engine's side: contiguous room. */
size_t pump_room(struct pump *p, char **data);
/* n bytes were written into it. */
void pump_produce(struct pump *p, size_t n);
void pump_end(struct pump *p); /* nothing more follows */

/* Reader: end of file, and everything was consumed. Writer: pump_end(), and everything was written. Both: failed. */
bool pump_done(struct pump *p);
int pump_error(struct pump *p);

#endif
