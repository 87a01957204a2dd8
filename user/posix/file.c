// SPDX-License-Identifier: BSD-2-Clause
/*
 * file.c - open file descriptions in the arena, and the tables of the processes that refer to them.
 * Owns        struct mr_file and its references; what happens to them when a process forks or dies.
 * Called by   the interposed calls, the keeper; with the engine's lock held.
 * Not here    readiness and epoll (ready.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include "base/compiler.h"
#include "posix/file.h"

#define LINKS_EXTRA 4096u /* in addition to one wait per socket */

static const char *const reasons[] = {
#define X(id, text) [REASON_##id] = text,
	MR_REASON_LIST(X)
#undef X
};

const char *reason_text(enum mr_reason reason)
{
	return reasons[reason];
}

/* ---- Descriptions ---------------------------------------------------------------------------- */

struct mr_file *file_of_entry(const struct mr_posix *px, uint32_t entry)
{
	uint32_t n = (entry & ~ENTRY_KERNEL) - 1;

	return (void *)(px->files.slab + (size_t)n * px->files.size);
}

static uint32_t file_entry(const struct mr_posix *px, const struct mr_file *f)
{
	uint32_t entry = mr_pool_index(&px->files, f) + 1;

	return f->kind == FILE_KERNEL ? entry | ENTRY_KERNEL : entry;
}

struct mr_file *file_new(struct mr_posix *px, enum file_kind kind)
{
	struct mr_file *f = mr_pool_get(&px->files);

	if (!f)
		return NULL;
	f->refs = 1;
	f->kind = (uint8_t)kind;
	mr_list_init(&f->items);
	mr_list_init(&f->waits);
	mr_list_init(&f->watched);
	mr_list_init(&f->ready);
	mr_list_add_tail(&px->all_files, &f->all_node);
	return f;
}

void file_put(struct mr_share *share, struct mr_file *f)
{
	struct mr_posix *px = mr_share_root(share);

	if (--f->refs)
		return;
	while (!mr_list_empty(&f->items))
		ep_remove(share, mr_list_first(&f->items, struct mr_epitem, file_node));
	while (!mr_list_empty(&f->watched))
		ep_remove(share, mr_list_first(&f->watched, struct mr_epitem, ep_node));
	if (f->sock) {
		mr_share_touch(share, f->sock);
		f->sock->user = 0;
		mr_close(f->sock);
		mr_share_touch(share, NULL);
	}
	mr_list_del(&f->all_node);
	f->kind = 0;
	mr_pool_put(&px->files, f);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

void table_set(struct mr_share *share, struct mr_proc *proc, int fd, struct mr_file *f)
{
	proc->fds[fd] = file_entry(mr_share_root(share), f);
	if ((uint32_t)fd >= proc->fd_end)
		proc->fd_end = (uint32_t)fd + 1;
}

void table_clear(struct mr_share *share, struct mr_proc *proc, int fd)
{
	uint32_t entry = proc->fds[fd];

	if (!entry)
		return;
	proc->fds[fd] = 0;
	file_put(share, file_of_entry(mr_share_root(share), entry));
	while (proc->fd_end && !proc->fds[proc->fd_end - 1])
		proc->fd_end--;
}

/* ---- Operations of the share ----------------------------------------------------------------- */

static size_t arena_bytes(const struct mr_config *cfg)
{
	const size_t pad = 64, n = cfg->max_sockets;

	return sizeof(struct mr_posix) + 2 * n * (sizeof(struct mr_file) + pad) +
	       2 * n * (sizeof(struct mr_epitem) + pad) +
	       (n + LINKS_EXTRA) * (sizeof(struct mr_sleeper) + pad) + 4096;
}

static int setup(struct mr_share *share, struct mr_arena *arena, const struct mr_config *cfg,
		 void **root)
{
	struct mr_posix *px = mr_arena_alloc(arena, sizeof(*px), 64);
	int err;

	(void)share;
	if (!px)
		return -ENOMEM;
	mr_list_init(&px->all_files);
	mr_list_init(&px->all_links);
	mr_list_init(&px->orphans);
	err = mr_pool_init(&px->files, arena, sizeof(struct mr_file), 2 * cfg->max_sockets);
	err = err   ?:
		      mr_pool_init(&px->items, arena, sizeof(struct mr_epitem),
				   2 * cfg->max_sockets);
	err = err   ?:
		      mr_pool_init(&px->links, arena, sizeof(struct mr_sleeper),
				   cfg->max_sockets + LINKS_EXTRA);
	*root = px;
	return err;
}

static void socket_ready(struct mr_share *share, struct mr_socket *sock)
{
	struct mr_file *f = (void *)(uintptr_t)sock->user;

	if (f)
		file_notify(share, f);
}

static void fork_table(struct mr_share *share, const struct mr_proc *parent, struct mr_proc *child)
{
	const struct mr_posix *px = mr_share_root(share);

	for (uint32_t fd = 0; fd < parent->fd_end; fd++) {
		child->fds[fd] = parent->fds[fd];
		if (parent->fds[fd])
			file_hold(file_of_entry(px, parent->fds[fd]));
	}
	child->fd_end = parent->fd_end;
}

static void release(struct mr_share *share, struct mr_proc *proc)
{
	struct mr_posix *px = mr_share_root(share);
	struct mr_list *pos, *tmp;

	mr_list_for_each_safe (pos, tmp, &px->all_links) {
		struct mr_sleeper *link = mr_list_entry(pos, struct mr_sleeper, all_node);

		if (link->proc != proc->index)
			continue;
		if (link->waiter)
			sleeper_free(share, link);
		else
			flight_orphan(share, link);
	}
	for (uint32_t fd = proc->fd_end; fd-- > 0;)
		table_clear(share, proc, (int)fd);
}

static void list_process(const struct mr_posix *px, const struct mr_proc *proc,
			 void (*each)(void *user, const struct mr_share_entry *e), void *user)
{
	for (uint32_t fd = 0; fd < proc->fd_end; fd++) {
		const struct mr_file *f = file_of_entry(px, proc->fds[fd]);

		if (!proc->fds[fd] || f->kind == FILE_EPOLL)
			continue;
		each(user, &(struct mr_share_entry){
				   .proc = proc,
				   .fd = (int)fd,
				   .sock = f->sock,
				   .reason = f->kind == FILE_KERNEL ? reason_text(f->reason) : NULL,
				   .cookie = f->cookie,
				   .local = f->local,
				   .peer = f->peer,
				   .file = f,
				   .refs = f->refs,
				   .flags = f->nonblock ? O_NONBLOCK : 0,
			   });
	}
}

static void list(struct mr_share *share, void (*each)(void *user, const struct mr_share_entry *e),
		 void *user)
{
	struct mr_proc *proc = NULL;

	while ((proc = mr_share_proc_next(share, proc)))
		list_process(mr_share_root(share), proc, each, user);
}

const struct mr_share_ops mr_posix_ops = {
	.arena_bytes = arena_bytes,
	.setup = setup,
	.ready = socket_ready,
	.fork = fork_table,
	.release = release,
	.expire = flights_expire,
	.list = list,
	.salvage = posix_salvage,
};
