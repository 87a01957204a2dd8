/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.h - what stands in the arena above the sockets: open file descriptions, epoll registrations, and
 * who waits for what. Everything here is called with the engine's lock held, in any process; the keeper
 * has this part of the shim, too (mr_posix_ops).
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
	FILE_EPOLL,	 /* an epoll instance that watches such sockets */
	FILE_KERNEL,	 /* the kernel's socket; only remembered, for `millrace ss` */
};

/* An open file description. */
struct mr_file {
	uint32_t refs;	/* entries of all processes' tables, waits in progress, and flights */
	uint8_t kind;	/* enum file_kind */
	uint8_t reason; /* enum mr_reason, FILE_KERNEL */
	uint16_t family;
	bool nonblock; /* O_NONBLOCK as the program sees it */
	bool v6only;
	bool inq;		 /* TCP_INQ */
	uint8_t held;		 /* SO_REUSEADDR 1, SO_REUSEPORT 2: as told */
	bool connecting;	 /* connect() has not told yet how it ended */
	bool told;		 /* FILE_EPOLL: the log has it that a program inherited this */
	bool kernels_turn;	 /* FILE_EPOLL: ours have taken all the room of a call */
	uint32_t urgent_told;	 /* sequence number of the urgent byte for which SIGURG was sent */
	int32_t owner;		 /* whom: a process, or negative, a group (F_SETOWN); 0: nobody */
	uint32_t scope_id;	 /* of link-local addresses */
	uint64_t cookie;	 /* SO_COOKIE of the kernel socket behind it; 0: not asked yet */
	uint64_t rcv_ns, snd_ns; /* SO_RCVTIMEO, SO_SNDTIMEO; 0: for ever */
	uint64_t inherited[3];	 /* of a listener: options that the kernel's socket has */
	struct mr_socket *sock;	 /* FILE_STREAM */
	struct mr_endpoint local, peer; /* FILE_KERNEL: as far as known */
	struct mr_list items;		/* struct mr_epitem.file_node: who watches this file */
	struct mr_list waits;		/* struct mr_sleeper.node: who sleeps for it */
	struct mr_list watched;		/* FILE_EPOLL: struct mr_epitem.ep_node */
	struct mr_list ready;		/* FILE_EPOLL: struct mr_epitem.ready_node */
	struct mr_list all_node;
};

/* One registration in an epoll instance. */
struct mr_epitem {
	struct mr_list file_node, ep_node, ready_node;
	struct mr_file *ep, *file;
	/* EPOLLERR and EPOLLHUP are always in it. If there are only flags: a one-shot that has fired. */
	uint32_t events;
	int fd;
	uint64_t data;
};

/* A thread that sleeps for a file, or the file is in a message. It holds a reference of the file. */
struct mr_sleeper {
	struct mr_list node; /* mr_file.waits */
	struct mr_list all_node;
	struct mr_file *file;
	struct mr_waiter *waiter; /* NULL: a message */
	const void *call;	  /* of the waiter's thread: whose it is (sleeper_is()) */
	uint32_t events;	  /* EPOLL* */
	uint32_t proc;		  /* index of its process */
	uint64_t until;		  /* a message whose sender is gone: kept so long; 0: all others */
};

/* The root in the arena. */
struct mr_posix {
	struct mr_pool files, items, links;
	struct mr_list all_files, all_links;
	struct mr_list orphans; /* messages whose sender is gone, the oldest first */
};

/* What the flags of an epoll registration are, beside the events. */
#define EPOLL_FLAGS (EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE)

extern const struct mr_share_ops mr_posix_ops;

/* ---- Descriptions (file.c) ------------------------------------------------------------------- */

/* An entry of a process's table: 1 + the file's number, and whether the kernel has the socket. 0: free. */
#define ENTRY_KERNEL 0x80000000u

static inline bool entry_ours(uint32_t entry)
{
	return entry && !(entry & ENTRY_KERNEL);
}

struct mr_file *file_of_entry(const struct mr_posix *px, uint32_t entry);

/* With one reference, or NULL: too many. */
struct mr_file *file_new(struct mr_posix *px, enum file_kind kind);
static inline void file_hold(struct mr_file *f)
{
	f->refs++;
}
void file_put(struct mr_share *share, struct mr_file *f);

/* Put f, whose reference goes over, under a number in a table where nothing is; take it out again. */
void table_set(struct mr_share *share, struct mr_proc *proc, int fd, struct mr_file *f);
void table_clear(struct mr_share *share, struct mr_proc *proc, int fd);

/* ---- After a death inside the lock (salvage.c) ------------------------------------------------ */

void posix_salvage(struct mr_share *share);

/* ---- Readiness (ready.c) --------------------------------------------------------------------- */

/* EPOLL* bits that hold now. */
uint32_t file_ready(struct mr_file *f);
/* Somebody waits for these events: those that do not hold now are told when they come. */
void file_want(struct mr_file *f, uint32_t events);
/* Tell who waits that the readiness may have grown. */
void file_notify(struct mr_share *share, struct mr_file *f);

/* Sleep for f: NULL when there are too many. */
struct mr_sleeper *sleeper_new(struct mr_share *share, struct mr_file *f, uint32_t events,
			       struct mr_waiter *w, const void *call);
/* Is it still what that call of w's thread has made? No: a signal handler has closed the file's last descriptor in the
 * call's sleep, and with it the file is gone (wait_abandon()). */
bool sleeper_is(const struct mr_sleeper *link, const struct mr_waiter *w, const void *call);
void sleeper_free(struct mr_share *share, struct mr_sleeper *link);

/* f is in a message to another process, which has a reference until it is received, or for some time after the
 * process that sends it has ended. False: too many. */
bool file_fly(struct mr_share *share, struct mr_file *f);
/* It has arrived, if it was in one. */
void file_land(struct mr_share *share, struct mr_file *f);
/* The process that sent it is gone. */
void flight_orphan(struct mr_share *share, struct mr_sleeper *link);
/* End those whose time is over. Returns the next one's. */
uint64_t flights_expire(struct mr_share *share, uint64_t now);

struct mr_epitem *ep_find(struct mr_file *ep, const struct mr_file *file, int fd);
/* 0, or -ENOSPC. */
int ep_add(struct mr_share *share, struct mr_file *ep, struct mr_file *file, int fd,
	   const struct epoll_event *event);
void ep_modify(struct mr_share *share, struct mr_epitem *item, const struct epoll_event *event);
void ep_remove(struct mr_share *share, struct mr_epitem *item);
/* Fill events with what is ready, in turns. */
int ep_collect(struct mr_file *ep, struct epoll_event *events, int max);

#endif
