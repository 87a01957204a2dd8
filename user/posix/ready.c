// SPDX-License-Identifier: BSD-2-Clause
/*
 * ready.c - readiness: epoll instances, and threads that sleep.
 * Owns        struct mr_epitem and struct mr_sleeper.
 * Called by   rounds, through mr_posix_ops; epoll_ctl(), epoll_wait(), every call that sleeps; with the engine's lock
 *             held.
 *
 * As in Linux, a registration is put on its instance's ready list when something happens to its file, and is examined
 * again when events are collected: an edge-triggered one leaves the list then, a level-triggered one when it is not
 * ready. Room in a send buffer is reported only to those who asked when there was none (the kernel's SOCK_NOSPACE):
 * not every ACK is an edge.
 */
#include <errno.h>
#include <signal.h>
#include "base/compiler.h"
#include "base/time.h"
#include "posix/file.h"

/* ---- Bits ------------------------------------------------------------------------------------ */

static uint32_t stream_ready(const struct mr_file *f)
{
	uint32_t ready = mr_ready(f->sock), bits = 0;

	if (ready & MR_IN)
		bits |= EPOLLIN | EPOLLRDNORM;
	if (ready & MR_OUT)
		bits |= EPOLLOUT | EPOLLWRNORM;
	if (ready & MR_RDHUP)
		bits |= EPOLLRDHUP;
	if (ready & MR_ERR)
		bits |= EPOLLERR;
	if (ready & MR_HUP)
		bits |= EPOLLHUP;
	if (f->sock->urgent == MR_URGENT_UNREAD)
		bits |= EPOLLPRI;
	return bits;
}

static uint32_t item_ready(struct mr_epitem *item)
{
	return file_ready(item->file) & item->events & ~(uint32_t)EPOLL_FLAGS;
}

/* Remove what is not ready from the list. */
static bool ep_ready(struct mr_file *ep)
{
	struct mr_list *pos, *tmp;

	mr_list_for_each_safe (pos, tmp, &ep->ready) {
		struct mr_epitem *item = mr_list_entry(pos, struct mr_epitem, ready_node);

		if (item_ready(item))
			return true;
		mr_list_del(&item->ready_node);
		file_want(item->file, item->events);
	}
	return false;
}

uint32_t file_ready(struct mr_file *f)
{
	if (f->kind == FILE_STREAM)
		return stream_ready(f);
	return f->kind == FILE_EPOLL && ep_ready(f) ? EPOLLIN | EPOLLRDNORM : 0;
}

void file_want(struct mr_file *f, uint32_t events)
{
	if (f->sock && events & EPOLLOUT && !(mr_ready(f->sock) & MR_OUT))
		f->sock->interest |= MR_OUT;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static void wake_sleepers(struct mr_share *share, const struct mr_file *f, uint32_t bits)
{
	struct mr_list *pos;

	mr_list_for_each (pos, &f->waits) {
		const struct mr_sleeper *link = mr_list_entry(pos, struct mr_sleeper, node);

		if (link->waiter && bits & (link->events | EPOLLERR | EPOLLHUP))
			mr_share_wake(share, link->waiter);
	}
}

static void item_fire(struct mr_share *share, struct mr_epitem *item)
{
	struct mr_file *ep = item->ep;

	if (!mr_list_empty(&item->ready_node))
		/* To the end of the list, so that each gets its turn. */
		mr_list_del(&item->ready_node);
	mr_list_add_tail(&ep->ready, &item->ready_node);
	wake_sleepers(share, ep, EPOLLIN);
	for (struct mr_list *pos = ep->items.next; pos != &ep->items; pos = pos->next)
		item_fire(share, mr_list_entry(pos, struct mr_epitem, file_node));
}

/* Of a file's exclusive registrations (EPOLLEXCLUSIVE) only one is woken, if possible one whose instance a thread
 * sleeps in; the next time it is another's turn. */
static void fire_exclusive(struct mr_share *share, struct mr_file *f, uint32_t bits)
{
	struct mr_epitem *chosen = NULL;
	struct mr_list *pos;

	mr_list_for_each (pos, &f->items) {
		struct mr_epitem *item = mr_list_entry(pos, struct mr_epitem, file_node);

		if (!(item->events & EPOLLEXCLUSIVE) || !(bits & item->events))
			continue;
		if (!chosen || !mr_list_empty(&item->ep->waits))
			chosen = item;
		if (!mr_list_empty(&item->ep->waits))
			break;
	}
	if (!chosen)
		return;
	mr_list_move_tail(&f->items, &chosen->file_node);
	item_fire(share, chosen);
}

/* Send SIGURG to the owner of the socket, as far as this process may. */
static void tell_owner(const struct mr_share *share, struct mr_file *f)
{
	if (f->sock->urgent_seq == f->urgent_told)
		return;
	f->urgent_told = f->sock->urgent_seq;
	if (f->owner && !mr_share_foreign(share) && !mr_share_confined(share))
		kill(f->owner, SIGURG);
}

void file_notify(struct mr_share *share, struct mr_file *f)
{
	uint32_t bits = file_ready(f);
	bool exclusive = false;
	struct mr_list *pos;

	if (mr_unlikely(bits & EPOLLPRI) && f->sock)
		tell_owner(share, f);
	if (f->sock && bits & EPOLLOUT)
		f->sock->interest &= (uint8_t)~MR_OUT;
	if (!bits)
		return;
	wake_sleepers(share, f, bits);
	mr_list_for_each (pos, &f->items) {
		struct mr_epitem *item = mr_list_entry(pos, struct mr_epitem, file_node);

		if (item->events & EPOLLEXCLUSIVE)
			exclusive = true;
		else if (bits & item->events)
			item_fire(share, item);
	}
	if (exclusive)
		fire_exclusive(share, f, bits);
}

/* ---- Sleeping -------------------------------------------------------------------------------- */

struct mr_sleeper *sleeper_new(struct mr_share *share, struct mr_file *f, uint32_t events,
			       struct mr_waiter *w, const void *call)
{
	struct mr_posix *px = mr_share_root(share);
	struct mr_sleeper *link = mr_pool_get(&px->links);

	if (!link)
		return NULL;
	file_hold(f);
	link->events = events;
	link->waiter = w;
	link->call = call;
	link->proc = mr_share_proc(share)->index;
	mr_in_order(); /* because the repair trusts links that have a file */
	link->file = f;
	mr_list_add_tail(&f->waits, &link->node);
	mr_list_add_tail(&px->all_links, &link->all_node);
	file_want(f, events);
	return link;
}

bool sleeper_is(const struct mr_sleeper *link, const struct mr_waiter *w, const void *call)
{
	return link->waiter == w && link->call == call;
}

void sleeper_free(struct mr_share *share, struct mr_sleeper *link)
{
	struct mr_posix *px = mr_share_root(share);
	struct mr_file *f = link->file;

	mr_list_del(&link->node);
	mr_list_del(&link->all_node);
	link->file = NULL;
	link->call = NULL;
	mr_pool_put(&px->links, link);
	file_put(share, f);
}

/* ---- In messages ----------------------------------------------------------------------------- */

/* How long a message in flight is kept after its sender has ended. */
#define FLIGHT_NS (60 * MR_NS_PER_S)

bool file_fly(struct mr_share *share, struct mr_file *f)
{
	return sleeper_new(share, f, 0, NULL, NULL) != NULL;
}

void file_land(struct mr_share *share, struct mr_file *f)
{
	struct mr_list *pos;

	mr_list_for_each (pos, &f->waits) {
		struct mr_sleeper *link = mr_list_entry(pos, struct mr_sleeper, node);

		if (link->waiter)
			continue;
		sleeper_free(share, link);
		return;
	}
}

void flight_orphan(struct mr_share *share, struct mr_sleeper *link)
{
	struct mr_posix *px = mr_share_root(share);

	link->until = mr_share_now(share) + FLIGHT_NS;
	mr_list_move_tail(&px->orphans, &link->all_node);
}

uint64_t flights_expire(struct mr_share *share, uint64_t now)
{
	struct mr_posix *px = mr_share_root(share);

	while (!mr_list_empty(&px->orphans)) {
		struct mr_sleeper *link = mr_list_first(&px->orphans, struct mr_sleeper, all_node);

		if (now < link->until)
			return link->until;
		sleeper_free(share, link);
	}
	return MR_TIME_NEVER;
}

/* ---- epoll ----------------------------------------------------------------------------------- */

struct mr_epitem *ep_find(struct mr_file *ep, const struct mr_file *file, int fd)
{
	const struct mr_list *pos;

	/* Search the file's registrations: a file has few, but an instance may have many. */
	mr_list_for_each (pos, &file->items) {
		struct mr_epitem *item = mr_list_entry(pos, struct mr_epitem, file_node);

		if (item->ep == ep && item->fd == fd)
			return item;
	}
	return NULL;
}

static void ep_set(struct mr_share *share, struct mr_epitem *item, const struct epoll_event *event)
{
	item->events = event->events | EPOLLERR | EPOLLHUP;
	item->data = event->data.u64;
	file_want(item->file, item->events);
	if (item_ready(item))
		item_fire(share, item);
}

int ep_add(struct mr_share *share, struct mr_file *ep, struct mr_file *file, int fd,
	   const struct epoll_event *event)
{
	struct mr_posix *px = mr_share_root(share);
	struct mr_epitem *item = mr_pool_get(&px->items);

	if (!item)
		return -ENOSPC;
	item->ep = ep;
	item->file = file;
	item->fd = fd;
	mr_list_init(&item->ready_node);
	mr_list_add_tail(&file->items, &item->file_node);
	mr_list_add_tail(&ep->watched, &item->ep_node);
	ep_set(share, item, event);
	return 0;
}

void ep_modify(struct mr_share *share, struct mr_epitem *item, const struct epoll_event *event)
{
	ep_set(share, item, event);
}

void ep_remove(struct mr_share *share, struct mr_epitem *item)
{
	struct mr_posix *px = mr_share_root(share);
	struct mr_file *file = item->file;
	bool told = item->events & EPOLLEXCLUSIVE && !mr_list_empty(&item->ready_node);

	mr_list_del(&item->file_node);
	mr_list_del(&item->ep_node);
	mr_list_del(&item->ready_node);
	item->ep = NULL;
	mr_pool_put(&px->items, item);
	if (told && file->refs) /* only this one was woken: wake another one */
		file_notify(share, file);
}

int ep_collect(struct mr_file *ep, struct epoll_event *events, int max)
{
	struct mr_list seen;
	int n = 0;

	mr_list_init(&seen);
	while (n < max && !mr_list_empty(&ep->ready)) {
		struct mr_epitem *item = mr_list_first(&ep->ready, struct mr_epitem, ready_node);
		uint32_t ready = item_ready(item);

		mr_list_del(&item->ready_node);
		/* If there is no room, it has to be asked for again. */
		file_want(item->file, item->events);
		if (!ready)
			continue;
		events[n].events = ready;
		events[n].data.u64 = item->data;
		n++;
		if (item->events & EPOLLONESHOT)
			item->events &= EPOLL_FLAGS;
		else if (!(item->events & EPOLLET))
			mr_list_add_tail(&seen, &item->ready_node);
	}
	while (!mr_list_empty(&seen))
		mr_list_move_tail(&ep->ready, seen.next);
	return n;
}
