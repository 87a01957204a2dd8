// SPDX-License-Identifier: BSD-2-Clause
/*
 * pump.c - see pump.h. One producer and one consumer: indices change under the lock, the bytes
 * between them belong to the consumer, the others to the producer, so nothing is copied under the
 * lock.
 */
#include "cli/pump.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

static size_t used(const struct pump *p)
{
	return p->head - p->tail;
}

/* Bytes from the index on that lie in one piece, at most n. */
static size_t in_one_piece(size_t index, size_t n)
{
	size_t to_end = PUMP_BYTES - index % PUMP_BYTES;

	return n < to_end ? n : to_end;
}

size_t pump_peek(struct pump *p, const char **data)
{
	size_t n;

	pthread_mutex_lock(&p->lock);
	n = in_one_piece(p->tail, used(p));
	*data = p->buf + p->tail % PUMP_BYTES;
	pthread_mutex_unlock(&p->lock);
	return n;
}

size_t pump_room(struct pump *p, char **data)
{
	size_t n;

	pthread_mutex_lock(&p->lock);
	n = p->error ? 0 : in_one_piece(p->head, PUMP_BYTES - used(p));
	*data = p->buf + p->head % PUMP_BYTES;
	pthread_mutex_unlock(&p->lock);
	return n;
}

void pump_consume(struct pump *p, size_t n)
{
	pthread_mutex_lock(&p->lock);
	p->tail += n;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void pump_produce(struct pump *p, size_t n)
{
	pthread_mutex_lock(&p->lock);
	p->head += n;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void pump_end(struct pump *p)
{
	pthread_mutex_lock(&p->lock);
	p->eof = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

bool pump_done(struct pump *p)
{
	bool done;

	pthread_mutex_lock(&p->lock);
	done = p->finished && (p->error || !used(p));
	pthread_mutex_unlock(&p->lock);
	return done;
}

int pump_error(struct pump *p)
{
	int error;

	pthread_mutex_lock(&p->lock);
	error = p->error;
	pthread_mutex_unlock(&p->lock);
	return error;
}

static void wake_engine(struct pump *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->engine)
		mr_wakeup(p->engine);
	pthread_mutex_unlock(&p->lock);
}

void pump_stop(struct pump *p)
{
	pthread_mutex_lock(&p->lock);
	p->engine = NULL;
	pthread_mutex_unlock(&p->lock);
}

/* The thread's last act. */
static void finish(struct pump *p, int error)
{
	pthread_mutex_lock(&p->lock);
	p->eof = p->finished = true;
	p->error = error;
	pthread_mutex_unlock(&p->lock);
	wake_engine(p);
}

static void *read_loop(void *arg)
{
	struct pump *p = arg;

	for (;;) {
		ssize_t n;
		char *data;
		size_t room;

		pthread_mutex_lock(&p->lock);
		while (used(p) == PUMP_BYTES)
			pthread_cond_wait(&p->changed, &p->lock);
		pthread_mutex_unlock(&p->lock);

		room = pump_room(p, &data);
		n = read(p->fd, data, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			finish(p, n < 0 ? -errno : 0);
			return NULL;
		}
		pump_produce(p, (size_t)n);
		wake_engine(p);
	}
}

static void *write_loop(void *arg)
{
	struct pump *p = arg;

	for (;;) {
		const char *data;
		size_t len;
		ssize_t n;

		pthread_mutex_lock(&p->lock);
		while (!used(p) && !p->eof)
			pthread_cond_wait(&p->changed, &p->lock);
		pthread_mutex_unlock(&p->lock);

		len = pump_peek(p, &data);
		if (!len) {
			finish(p, 0);
			return NULL;
		}
		n = write(p->fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			finish(p, -errno);
			return NULL;
		}
		pump_consume(p, (size_t)n);
		wake_engine(p);
	}
}

/* Signals are the main thread's: here they would not end its mr_wait(). */
static int start(struct pump *p, struct mr_engine *engine, int fd, void *(*loop)(void *))
{
	sigset_t all, old;
	pthread_t thread;
	int err;

	p->engine = engine;
	p->fd = fd;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, NULL, loop, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_detach(thread);
	return -err;
}

int pump_start_reader(struct pump *p, struct mr_engine *engine, int fd)
{
	return start(p, engine, fd, read_loop);
}

int pump_start_writer(struct pump *p, struct mr_engine *engine, int fd)
{
	return start(p, engine, fd, write_loop);
}
