/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.h - the shim's objects in the arena: open file descriptions, epoll registrations, and who waits for what.
 * Everything here is called with the engine's lock held, in any process. The keeper has this part of the shim, too
 * (mr_posix_ops).
 */
#ifndef MR_POSIX_FILE_H
#define MR_POSIX_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include "base/list.h"
#include "base/pool.h"
#include "engine/share.h"
#include "posix/reason.h"

enum file_kind {
	FILE_STREAM = 1, /* an accelerated socket: listener or connection */
	FILE_EPOLL,	 /* an epoll instance that watches FILE_STREAM files */
	FILE_KERNEL,	 /* a kernel socket, recorded only for `millrace ss` */
};

/* An open file description of the stack. */
struct mr_file {
	/* From descriptors of all processes, waits in progress, and messages in flight (SCM_RIGHTS). */
	uint32_t refs;
	uint8_t kind;	/* enum file_kind */
	uint8_t reason; /* FILE_KERNEL: enum mr_reason */
	uint16_t family;
	bool nonblock; /* O_NONBLOCK, as the program has set it */
	bool v6only;
	bool inq;	 /* TCP_INQ */
	uint8_t held;	 /* as the program has set them: 1 SO_REUSEADDR, 2 SO_REUSEPORT */
	bool connecting; /* the result of connect() was not reported yet */
	bool told;	 /* FILE_EPOLL: it was logged that a program has inherited it */
	/* FILE_EPOLL: the last call returned only events of FILE_STREAM files, so the kernel's come first. */
	bool kernels_turn;
	uint32_t urgent_told;	 /* sequence number of the urgent byte that SIGURG was sent for */
	int32_t owner;		 /* F_SETOWN: a process, or if negative a process group; 0: none */
	uint32_t scope_id;	 /* for link-local addresses */
	uint64_t cookie;	 /* SO_COOKIE of the kernel socket behind it; 0: not read yet */
	uint64_t rcv_ns, snd_ns; /* SO_RCVTIMEO, SO_SNDTIMEO; 0: no timeout */
	/* listener: options that the kernel socket has, and accepted ones inherit. */
	uint64_t inherited[3];
	struct mr_socket *sock;		/* FILE_STREAM */
	struct mr_endpoint local, peer; /* FILE_KERNEL: as far as known */
	struct mr_list items;		/* struct mr_epitem.file_node: registrations of this file */
	struct mr_list waits;	/* struct mr_sleeper.node: threads that sleep for this file */
	struct mr_list watched; /* FILE_EPOLL: struct mr_epitem.ep_node */
	struct mr_list ready;	/* FILE_EPOLL: struct mr_epitem.ready_node */
	struct mr_list all_node;
};

/* A registration in an epoll instance. */
struct mr_epitem {
	struct mr_list file_node, ep_node, ready_node;
	struct mr_file *ep, *file;
	/* EPOLLERR and EPOLLHUP are always set. If only flags (EPOLL_FLAGS) are set, it is a one-shot registration
	 * that has fired. */
	uint32_t events;
	int fd;
	uint64_t data;
};

/* A thread that sleeps for a file, or a message in flight that contains the file. Holds a reference to it. */
struct mr_sleeper {
	struct mr_list node; /* member of mr_file.waits */
	struct mr_list all_node;
	struct mr_file *file;
	struct mr_waiter *waiter; /* NULL: a message */
	const void *call;	  /* the call of that thread that it belongs to, see sleeper_is() */
	uint32_t events;	  /* EPOLL* */
	uint32_t proc;		  /* index of its process */
	uint64_t until; /* ns: a message whose sender has ended is kept until then; else 0 */
};

/* The root object of the shim in the arena. */
struct mr_posix {
	struct mr_pool files, items, links;
	struct mr_list all_files, all_links;
	struct mr_list orphans; /* messages whose sender has ended, the oldest first */
};

/* The bits of an epoll registration that are no events. */
#define EPOLL_FLAGS (EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE)

extern const struct mr_share_ops mr_posix_ops;

/* ---- Descriptions (file.c) ------------------------------------------------------------------- */

/* An entry of a process's table of descriptors is 1 + the index of the file, with ENTRY_KERNEL if it is a kernel
 * socket; 0: unused. */
#define ENTRY_KERNEL 0x80000000u

static inline bool entry_ours(uint32_t entry)
{
	return entry && !(entry & ENTRY_KERNEL);
}

struct mr_file *file_of_entry(const struct mr_posix *px, uint32_t entry);

/* Returns a file with one reference; NULL: too many. */
struct mr_file *file_new(struct mr_posix *px, enum file_kind kind);
static inline void file_hold(struct mr_file *f)
{
	f->refs++;
}
void file_put(struct mr_share *share, struct mr_file *f);

/* Set an unused entry of a table to f, whose reference it takes over. */
void table_set(struct mr_share *share, struct mr_proc *proc, int fd, struct mr_file *f);
/* Clear the entry, and release its reference. */
void table_clear(struct mr_share *share, struct mr_proc *proc, int fd);

/* ---- Repair after a process died with the lock held (salvage.c) -------------------------------- */

/* mr_share_ops.salvage. */
void posix_salvage(struct mr_share *share);

/* ---- Readiness (ready.c) --------------------------------------------------------------------- */

/* The EPOLL* events that are ready now. */
uint32_t file_ready(struct mr_file *f);
/* Somebody waits for these events: report them, if they are not ready now, when they are. */
void file_want(struct mr_file *f, uint32_t events);
/* The file may have become ready: wake those who wait. */
void file_notify(struct mr_share *share, struct mr_file *f);

/* Register this thread as sleeping for f. NULL: too many. */
struct mr_sleeper *sleeper_new(struct mr_share *share, struct mr_file *f, uint32_t events,
			       struct mr_waiter *w, const void *call);
/* Does link still belong to this call of w's thread? False: a signal handler has closed the last descriptor of the
 * file while the call slept, so that the file is gone (wait_abandon()). */
bool sleeper_is(const struct mr_sleeper *link, const struct mr_waiter *w, const void *call);
void sleeper_free(struct mr_share *share, struct mr_sleeper *link);

/* f is in a message to another process. The message holds a reference until it is received, or for some time after
 * its sender has ended. False: too many. */
bool file_fly(struct mr_share *share, struct mr_file *f);
/* f was received from a message, if it was in one. */
void file_land(struct mr_share *share, struct mr_file *f);
/* The sender of the message has ended. */
void flight_orphan(struct mr_share *share, struct mr_sleeper *link);
/* Drop the messages whose time is over. Returns when the next one's is; MR_TIME_NEVER: there is none. */
uint64_t flights_expire(struct mr_share *share, uint64_t now);

struct mr_epitem *ep_find(struct mr_file *ep, const struct mr_file *file, int fd);
/* Returns 0 or -ENOSPC. */
int ep_add(struct mr_share *share, struct mr_file *ep, struct mr_file *file, int fd,
	   const struct epoll_event *event);
void ep_modify(struct mr_share *share, struct mr_epitem *item, const struct epoll_event *event);
void ep_remove(struct mr_share *share, struct mr_epitem *item);
/* Write up to max ready events, and continue there with the next call. Returns how many. */
int ep_collect(struct mr_file *ep, struct epoll_event *events, int max);

#endif
