/* SPDX-License-Identifier: BSD-2-Clause */
/* share_keep_priv.h - what the files of the keeper offer one another. Nobody else includes it. */
#ifndef MR_ENGINE_SHARE_KEEP_PRIV_H
#define MR_ENGINE_SHARE_KEEP_PRIV_H

#include "engine/share_priv.h"

#define KEEP_ADOPT_NS (10 * MR_NS_PER_S) /* to come again after an exec, or at all after a fork */
#define KEEP_NO_SLOT  UINT32_MAX

/* What an event of the keeper's epoll instance is about. */
enum keep_source { KEEP_LISTEN = 1, KEEP_CONN, KEEP_PROC, KEEP_LIFE, KEEP_MAIN };

struct keep_conn {
	int fd; /* -1: free */
	pid_t pid;
	uid_t uid;
	uint32_t slot; /* KEEP_NO_SLOT: has not joined */
	uint64_t nth;  /* of all that there have been */
};

struct keep_watch {
	int pidfd;	/* -1: not watched */
	pid_t pid;	/* whose */
	bool connected; /* since when it can be seen that it has executed another program */
	uint64_t until; /* released then, unless it comes; 0: no limit */
};

struct mr_keeper {
	struct mr_share *share;
	struct mr_keeper_cfg cfg;
	char name[108];
	uint64_t secret;
	int listener, epoll;
	int spare;	       /* given up for a moment where there is no other descriptor */
	uint64_t hear_at;      /* listens again then; 0: it does */
	uint64_t tell_at;      /* says not before that it can take nobody */
	int main;	       /* pidfd; -1: not watched (any more) */
	uint64_t main_told_at; /* 0: it lives, or its end has been told */
	struct keep_conn *conns;
	unsigned nconns;
	uint64_t nconnected; /* in all */
	struct keep_watch watch[MR_SHARE_PROCS_MAX];
	bool life_over; /* no process has the other end of cfg.life_fd any more */
	bool had_process;
	uint64_t linger_until; /* 0: not lingering */
	uint64_t rounds;       /* as last looked at */
	unsigned calm;	       /* ticks in a row with a leader */
	bool suspect;	       /* the leader was late at the last look */
	uint64_t attached_at;  /* look whether the XDP program is attached */
	uint64_t watch_at;     /* try to watch those again that could not be; 0: there are none */
};

/* ---- share_keep.c */
/* Hear of fd; index says which of that kind it is. 0 or a negative errno. */
int keep_watch_fd(struct mr_keeper *k, int fd, enum keep_source source, uint32_t index);

/* ---- share_keep_watch.c. With the lock held, but for keep_proc_ended(). */
/* Whatever the process with this slot had. */
void keep_release(struct mr_keeper *k, uint32_t slot);
/* Hear of the end of a process that has a connection. */
void keep_watch_connected(struct mr_keeper *k, uint32_t slot);
/* Parents have told of children. */
void keep_watch_children(struct mr_keeper *k);
/* Watch those that could not be. Returns when to try again. */
uint64_t keep_watch_again(struct mr_keeper *k, uint64_t now);
/* Its pidfd says that it has ended. */
void keep_proc_ended(struct mr_keeper *k, uint32_t slot);
/* Release those whose time is over. Returns the next one's. */
uint64_t keep_expire(struct mr_keeper *k, uint64_t now);

/* ---- share_keep_serve.c. The first two without the lock. */
/* Somebody connects; a process has something to ask. */
void keep_on_connect(struct mr_keeper *k);
void keep_on_requests(struct mr_keeper *k, struct keep_conn *conn);
/* Returns when it will listen again, having given up for a while. */
uint64_t keep_hear_again(struct mr_keeper *k, uint64_t now);

#endif
