// SPDX-License-Identifier: BSD-2-Clause
/*
 * early.c - sockets that may be accelerated later (TCP sockets that are neither connected nor listening), and epoll
 * instances without members of the stack. Records which epoll instances watch such a socket, because their
 * registrations move with it.
 * Owns        a bit for each descriptor, and the reason if it will never be accelerated; for fresh sockets, which
 *             options were set; a list of registrations. Process-local.
 * Called by   socket(), dup(), epoll_ctl(), close(); when a socket is accelerated.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "posix/fdset.h"
#include "posix/handlers.h"
#include "posix/posix.h"

struct early {
	struct early *next;
	int epfd, fd;
	struct epoll_event event;
};

static struct fdset known;
/* Descriptors with the same value are copies of each other. */
static uint32_t origin[MR_SHARE_FDS_MAX];
static uint32_t origins;
static struct fdset copied; /* it may have copies, or be one */
/* enum mr_reason. Valid only if the bit in `known` is set. */
static uint8_t kept[MR_SHARE_FDS_MAX];
/* Of fresh sockets: those that only this process has had, and that were neither bound nor listening. */
static struct {
	uint8_t family; /* 0: not fresh */
	uint8_t noptions;
	uint8_t options[EARLY_OPTIONS];
} fresh[MR_SHARE_FDS_MAX];
static struct early *list;
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* Block signals, because a handler that closes a socket would enter here again, in the middle of the list. Inside the
 * stack handlers are deferred anyway. */
static bool lock(sigset_t *mask)
{
	bool blocked = !mr_share_inside() && handlers_block(mask);

	pthread_mutex_lock(&mutex);
	return blocked;
}

static void unlock(bool blocked, const sigset_t *mask)
{
	pthread_mutex_unlock(&mutex);
	if (blocked)
		pthread_sigmask(SIG_SETMASK, mask, NULL);
}

bool early_known(int fd)
{
	return fdset_has(&known, fd);
}

void early_socket(int fd)
{
	if ((uint32_t)fd >= MR_SHARE_FDS_MAX)
		return;
	kept[fd] = REASON_NONE;
	fresh[fd].family = 0;
	origin[fd] = __atomic_add_fetch(&origins, 1, __ATOMIC_RELAXED);
	fdset_del(&copied, fd);
	fdset_add(&known, fd);
}

void early_fresh(int fd, int family)
{
	early_socket(fd);
	if (!early_known(fd))
		return;
	fresh[fd].family = (uint8_t)family;
	fresh[fd].noptions = 0;
}

int early_family(int fd)
{
	return early_known(fd) ? fresh[fd].family : 0;
}

void early_touched(int fd)
{
	if (early_known(fd))
		fresh[fd].family = 0;
}

void early_option(int fd, uint8_t option)
{
	if (!early_family(fd) || memchr(fresh[fd].options, option, fresh[fd].noptions))
		return;
	if (fresh[fd].noptions == EARLY_OPTIONS)
		early_touched(fd);
	else
		fresh[fd].options[fresh[fd].noptions++] = option;
}

int early_options(int fd, const uint8_t **list_of)
{
	*list_of = fresh[fd].options;
	return fresh[fd].noptions;
}

void early_shared(void)
{
	fdset_for_each (fd, &known)
		early_touched(fd);
}

void early_keep(int fd, enum mr_reason reason)
{
	if (early_known(fd))
		kept[fd] = (uint8_t)reason;
}

enum mr_reason early_kept(int fd)
{
	return early_known(fd) ? (enum mr_reason)kept[fd] : REASON_NONE;
}

static void drop_registrations(int fd, int epfd)
{
	struct early **at = &list;

	while (*at) {
		struct early *e = *at;

		if (e->fd == fd && (epfd < 0 || e->epfd == epfd)) {
			*at = e->next;
			free(e);
		} else {
			at = &e->next;
		}
	}
}

void early_forget(int fd)
{
	sigset_t mask;
	bool blocked;

	if (!early_known(fd))
		return;
	fdset_del(&known, fd);
	blocked = lock(&mask);
	drop_registrations(fd, -1);
	unlock(blocked, &mask);
}

void early_copied(int from, int to)
{
	early_forget(to);
	if (early_known(from)) {
		early_touched(from); /* what is done to one affects both */
		early_socket(to);
		early_keep(to, early_kept(from));
		origin[to] = origin[from];
		fdset_add(&copied, from);
		fdset_add(&copied, to);
	}
}

void early_forked(void)
{
	static const pthread_mutex_t unlocked = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

	mutex = unlocked;
}

void early_epoll(int epfd, int op, int fd, const struct epoll_event *event)
{
	struct early *e;
	sigset_t mask;
	bool blocked = lock(&mask);

	drop_registrations(fd, epfd);
	e = op == EPOLL_CTL_DEL ? NULL : malloc(sizeof(*e));
	if (e) {
		*e = (struct early){ .next = list, .epfd = epfd, .fd = fd, .event = *event };
		list = e;
	}
	unlock(blocked, &mask);
}

static struct early *take_registration(int fd)
{
	for (struct early **at = &list; *at; at = &(*at)->next) {
		struct early *e = *at;

		if (e->fd != fd)
			continue;
		*at = e->next;
		return e;
	}
	return NULL;
}

/* Making an instance in the arena may enter here again, for the instances that watch it. */
static void move_registrations(int fd, struct mr_file *f)
{
	bool stream = f->sock && f->sock->kind != MR_SOCK_LISTENER;
	struct early *e;

	while ((e = take_registration(fd))) {
		struct mr_file *ep = ep_of_fd(e->epfd);

		/* The kernel's registration of a listener or an instance stays. */
		if (stream)
			REAL(epoll_ctl)(e->epfd, EPOLL_CTL_DEL, fd, NULL);
		if (ep)
			ep_add(px_share, ep, f, fd, &e->event);
		free(e);
	}
}

/* A copy of a socket that has become f. */
static void share_with(int fd, struct mr_file *f)
{
	file_hold(f);
	fd_becomes(fd, f);
	move_registrations(fd, f);
	early_forget(fd);
}

static void share_with_copies(int fd, struct mr_file *f)
{
	fdset_for_each (other, &copied)
		if (other != fd && early_known(other) && origin[other] == origin[fd])
			share_with(other, f);
}

void early_accelerated(int fd, struct mr_file *f)
{
	pthread_mutex_lock(&mutex);
	move_registrations(fd, f);
	if (mr_unlikely(fdset_has(&copied, fd)) && early_known(fd))
		share_with_copies(fd, f);
	pthread_mutex_unlock(&mutex);
	early_forget(fd);
}
