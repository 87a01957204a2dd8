// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_thread.c - what a thread needs to sleep: a waiter in the arena, and that waiter's eventfd.
 * Owns        which waiters are in use, and by whom; this process's eventfds of waiters.
 * Not here    sleeping and waking up (share_wait.c), who polls the device (share_lead.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include "base/compiler.h"
#include "engine/share_priv.h"

#define SPARE_WAITERS                                                                              \
	4u /* how many eventfds a process fetches before it can no longer ask the keeper */

/* For the first share. Not allocated, because signal handlers may sleep, and must not allocate. */
static __thread struct share_thread first;

void share_waiter_free(struct mr_share *share, struct mr_waiter *w)
{
	if (share->c->leader == w)
		share->c->leader = NULL;
	mr_list_del(&w->node);
	mr_list_del(&w->awake_node);
	w->used = w->asleep = false;
}

static void thread_free(struct share_thread *t)
{
	if (t == &first)
		first.share = NULL;
	else
		free(t);
}

static void thread_exit(void *arg)
{
	struct share_thread *t = arg;

	if (t->w) {
		share_acquire(t->share);
		share_waiter_free(t->share, t->w);
		share_release(t->share);
	}
	thread_free(t);
}

int share_threads_init(struct mr_share *share)
{
	return -pthread_key_create(&share->key, thread_exit);
}

void share_threads_exit(struct mr_share *share)
{
	struct share_thread *t = pthread_getspecific(share->key);

	thread_free(t);
	pthread_key_delete(share->key);
}

struct share_thread *share_this_thread(struct mr_share *share)
{
	struct share_thread *t = pthread_getspecific(share->key);

	if (t)
		return t;
	t = first.share ? malloc(sizeof(*t)) : &first;
	if (!t)
		return NULL;
	*t = (struct share_thread){ .share = share };
	if (pthread_setspecific(share->key, t)) {
		thread_free(t);
		return NULL;
	}
	return t;
}

/* known: only one whose eventfd this process has. */
static struct mr_waiter *waiter_new(struct mr_share *share, bool known)
{
	struct mr_commons *c = share->c;

	for (uint32_t i = 0; i < SHARE_WAITERS_MAX; i++) {
		struct mr_waiter *w = &c->waiters[i];

		if (w->used || (known && share->events[i] < 0))
			continue;
		*w = (struct mr_waiter){
			.index = i,
			.used = true,
			.proc = (uint16_t)share->self->index,
		};
		mr_list_init(&w->node);
		mr_list_init(&w->awake_node);
		c->nwaiters = mr_max(c->nwaiters, i + 1);
		return w;
	}
	return NULL;
}

/* If there is a keeper but it cannot be reached (other network namespace), an eventfd made here would never be
 * written, so none is made. */
int share_event_of(struct mr_share *share, const struct mr_waiter *w)
{
	int *fd = &share->events[w->index];

	if (*fd >= 0 || share->confined)
		return *fd;
	if (share->keeper >= 0)
		share_ask_event(share, w->index);
	else if (share->opener || !share->c->kept)
		*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *fd;
}

struct mr_waiter *mr_share_waiter(struct mr_share *share)
{
	struct share_thread *t = share_this_thread(share);
	struct mr_waiter *w;

	if (!t)
		return NULL;
	if (t->w)
		return t->w;
	share_enter();
	share_acquire(share);
	w = share->confined || share->keeper < 0 ? waiter_new(share, true) : NULL;
	w = w ?: waiter_new(share, false);
	share_release(share);
	if (w)
		share_event_of(share, w);
	t->w = w;
	share_leave(share);
	return w;
}

struct mr_waiter *mr_share_waiter_made(struct mr_share *share)
{
	const struct share_thread *t = pthread_getspecific(share->key);

	return t ? t->w : NULL;
}

void share_threads_forked(struct mr_share *share)
{
	struct share_thread *t = pthread_getspecific(share->key);

	if (!t || !t->w)
		return;
	t->w = NULL;		/* the parent's */
	mr_share_waiter(share); /* now, while the keeper can be asked: a sandbox may follow */
}

/* ---- Confinement ----------------------------------------------------------------------------- */

void mr_share_spare(struct mr_share *share)
{
	struct mr_commons *c = share->c;
	unsigned spare = 0;

	for (uint32_t i = 1; i < SHARE_WAITERS_MAX && spare < SPARE_WAITERS; i++) {
		if (__atomic_load_n(&c->waiters[i].used, __ATOMIC_RELAXED))
			continue;
		if (share_event_of(share, &c->waiters[i]) < 0)
			break; /* no descriptor is left */
		spare++;
	}
}

/* Fetch eventfds for this thread, and for other threads and children. */
int mr_share_confine(struct mr_share *share)
{
	if (!share->c->kept || share->keeper < 0)
		return -ENOTSUP;
	if (!mr_share_waiter(share))
		return -ENOMEM;
	mr_share_spare(share);
	share->confined = true;
	return 0;
}

void mr_share_unconfine(struct mr_share *share)
{
	share->confined = false;
}

bool mr_share_confined(const struct mr_share *share)
{
	return share->confined;
}
