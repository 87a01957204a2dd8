/* SPDX-License-Identifier: BSD-2-Clause */
/* share_keep_priv.h - what the files of the keeper share. Nobody else includes it. */
#ifndef MR_ENGINE_SHARE_KEEP_PRIV_H
#define MR_ENGINE_SHARE_KEEP_PRIV_H

#include "engine/share_priv.h"

/* A process has so long to join again after an exec, or to say HELLO after a fork. */
#define KEEP_ADOPT_NS (10 * MR_NS_PER_S)
#define KEEP_NO_SLOT  UINT32_MAX

/* What an event of the keeper's epoll instance is about. */
enum keep_source { KEEP_LISTEN = 1, KEEP_CONN, KEEP_PROC, KEEP_LIFE, KEEP_MAIN };

struct keep_conn {
	int fd; /* -1: unused */
	pid_t pid;
	uid_t uid;
	uint32_t slot; /* KEEP_NO_SLOT: it has not joined */
	uint64_t nth;  /* serial number: the smallest is the oldest connection */
};

struct keep_watch {
	int pidfd; /* -1: not watched */
	pid_t pid; /* of the process */
	/* It has a connection, whose end shows that it has executed another program. */
	bool connected;
	uint64_t until; /* ns: released at this time unless it joins; 0: no limit */
};

struct mr_keeper {
	struct mr_share *share;
	struct mr_keeper_cfg cfg;
	char name[108];
	uint64_t secret;
	int listener, epoll;
	/* Descriptor that is closed for a moment when a process has no other left; -1: none. */
	int spare;
	uint64_t hear_at;      /* ns: listen again at this time; 0: it listens */
	uint64_t tell_at;      /* ns: do not log before this time that no process can be taken */
	int main;	       /* pidfd of cfg.main_pid; -1: not watched (any more) */
	uint64_t main_told_at; /* ns: when its end was reported; 0: it was not */
	struct keep_conn *conns;
	unsigned nconns;
	uint64_t nconnected; /* connections so far */
	struct keep_watch watch[MR_SHARE_PROCS_MAX];
	bool life_over; /* no process has the write end of cfg.life_fd any more */
	bool had_process;
	uint64_t linger_until; /* ns; 0: not lingering */
	uint64_t rounds;       /* counter of rounds when it last looked */
	unsigned calm;	       /* looks in a row at which a thread led */
	bool suspect;	       /* at the last look the leader was late */
	uint64_t attached_at;  /* ns: next check that the XDP program is attached */
	/* ns: next try for processes that could not be watched; 0: there are none. */
	uint64_t watch_at;
};

/* ---- share_keep.c */
/* Add fd to the epoll instance; index tells which one of its kind it is. Returns 0 or a negative errno. */
int keep_watch_fd(struct mr_keeper *k, int fd, enum keep_source source, uint32_t index);

/* ---- share_keep_watch.c. With the lock held, except keep_proc_ended(). */
/* Release everything that the process in this slot held. */
void keep_release(struct mr_keeper *k, uint32_t slot);
/* Watch for the end of a process that has a connection. */
void keep_watch_connected(struct mr_keeper *k, uint32_t slot);
/* Watch the children that parents have announced. */
void keep_watch_children(struct mr_keeper *k);
/* Try again to watch processes for which it failed. Returns when to call it next, ns. */
uint64_t keep_watch_again(struct mr_keeper *k, uint64_t now);
/* The pidfd of this slot is readable: the process has ended. */
void keep_proc_ended(struct mr_keeper *k, uint32_t slot);
/* Release processes whose time is over. Returns when the next one's is, ns. */
uint64_t keep_expire(struct mr_keeper *k, uint64_t now);

/* ---- share_keep_serve.c. The first two without the lock. */
/* Accept a connection. */
void keep_on_connect(struct mr_keeper *k);
/* Answer the requests of a process. */
void keep_on_requests(struct mr_keeper *k, struct keep_conn *conn);
/* Listen again after a pause, if it is over. Returns when it is, ns. */
uint64_t keep_hear_again(struct mr_keeper *k, uint64_t now);

#endif
