// SPDX-License-Identifier: BSD-2-Clause
/*
 * salvage.c - repairs the shim's objects after a process was killed with the lock held.
 * Called by   whoever gets the lock next, when the stack below is repaired.
 *
 * These members are trusted: a file's kind, the file of a sleeper, both ends of a registration. They are written last
 * when an object is made, and cleared first when it is freed. All lists and counts are made anew; references are
 * counted from the tables.
 */
#include "posix/file.h"

static void files_begin(struct mr_posix *px)
{
	mr_list_init(&px->all_files);
	mr_pool_salvage(&px->files);
	for (uint32_t i = 0; i < px->files.fresh; i++) {
		struct mr_file *f = mr_pool_at(&px->files, i);

		mr_pool_salvage_slot(&px->files, f, f->kind != 0);
		if (!f->kind)
			continue;
		/* It was closed before the file: the socket may belong to another file or to none by now. */
		if (f->sock && f->sock->user != (uintptr_t)f)
			f->sock = NULL;
		f->refs = 0;
		mr_list_init(&f->items);
		mr_list_init(&f->waits);
		mr_list_init(&f->watched);
		mr_list_init(&f->ready);
		mr_list_add_tail(&px->all_files, &f->all_node);
	}
}

static void count_references(struct mr_share *share, struct mr_posix *px)
{
	struct mr_proc *proc = NULL;

	while ((proc = mr_share_proc_next(share, proc))) {
		proc->fd_end = 0;
		for (uint32_t fd = 0; fd < MR_SHARE_FDS_MAX; fd++) {
			if (!proc->fds[fd])
				continue;
			if (file_of_entry(px, proc->fds[fd])->kind)
				file_of_entry(px, proc->fds[fd])->refs++;
			else
				proc->fds[fd] = 0;
			proc->fd_end = fd + 1;
		}
	}
}

/* Some orphans may be kept longer than they should, because their order is lost. */
static void sleepers(struct mr_posix *px)
{
	mr_list_init(&px->all_links);
	mr_list_init(&px->orphans);
	mr_pool_salvage(&px->links);
	for (uint32_t i = 0; i < px->links.fresh; i++) {
		struct mr_sleeper *s = mr_pool_at(&px->links, i);
		bool used = s->file && s->file->kind;

		if (!used)
			s->file = NULL;
		mr_pool_salvage_slot(&px->links, s, used);
		if (!used)
			continue;
		file_hold(s->file);
		mr_list_add_tail(&s->file->waits, &s->node);
		mr_list_add_tail(s->until ? &px->orphans : &px->all_links, &s->all_node);
	}
}

/* Report everything that is ready again. */
static void registrations(struct mr_posix *px)
{
	mr_pool_salvage(&px->items);
	for (uint32_t i = 0; i < px->items.fresh; i++) {
		struct mr_epitem *item = mr_pool_at(&px->items, i);
		bool used =
			item->ep && item->ep->kind == FILE_EPOLL && item->file && item->file->kind;

		if (!used)
			item->ep = NULL;
		mr_pool_salvage_slot(&px->items, item, used);
		if (!used)
			continue;
		mr_list_add_tail(&item->file->items, &item->file_node);
		mr_list_add_tail(&item->ep->watched, &item->ep_node);
		mr_list_add_tail(&item->ep->ready, &item->ready_node);
	}
}

/* One that no file refers to, or NULL. */
static struct mr_socket *lost_socket(struct mr_share *share)
{
	struct mr_socket *sock = NULL;

	while ((sock = mr_share_socket_next(share, sock))) {
		const struct mr_file *f = (void *)(uintptr_t)sock->user;

		if (!sock->queued && !(f && f->kind == FILE_STREAM && f->sock == sock))
			break;
	}
	return sock;
}

/* Free files that no table refers to, and sockets that no file refers to. */
static void close_the_lost(struct mr_share *share, struct mr_posix *px)
{
	struct mr_list *pos, *tmp;
	struct mr_socket *sock;

	mr_list_for_each_safe (pos, tmp, &px->all_files) {
		struct mr_file *f = mr_list_entry(pos, struct mr_file, all_node);

		if (f->refs)
			continue;
		file_hold(f);
		file_put(share, f);
	}
	/* From the beginning again after each, because a listener closes its accept queue, too. */
	while ((sock = lost_socket(share)))
		mr_close(sock);
}

void posix_salvage(struct mr_share *share)
{
	struct mr_posix *px = mr_share_root(share);
	const struct mr_list *pos;

	files_begin(px);
	count_references(share, px);
	sleepers(px);
	registrations(px);
	close_the_lost(share, px);
	mr_list_for_each (pos, &px->all_files)
		file_notify(share, mr_list_entry(pos, struct mr_file, all_node));
}
