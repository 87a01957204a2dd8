/* SPDX-License-Identifier: BSD-2-Clause */
/* share_priv.h - what the files of the shared engine offer one another. Nobody else includes it. */
#ifndef MR_ENGINE_SHARE_PRIV_H
#define MR_ENGINE_SHARE_PRIV_H

#include <pthread.h>
#include <sys/types.h>
#include "engine/engine_priv.h"
#include "engine/share.h"

#define SHARE_MAGIC	  0x6d727368ull /* "mrsh" */
#define SHARE_WAITERS_MAX 8192u		/* threads that wait at once, of all processes */
#define SHARE_KWAKE_WORDS (SHARE_WAITERS_MAX / 64)

enum proc_state {
	PROC_FREE,
	PROC_FORKING, /* has a table; the child has not told of itself yet */
	PROC_LIVE,
};

/* A checksum of all headers (Makefile makes it): who has another one was built otherwise, and would find in the arena
 * what is not there. */
extern const unsigned share_layout;

static inline uint64_t share_magic(void)
{
	return SHARE_MAGIC << 32 | share_layout;
}

struct mr_waiter {
	uint32_t woken; /* atomic: read without the lock while spinning */
	uint32_t index;
	bool used;
	bool asleep;  /* its eventfd has to be written */
	bool passive; /* of a confined process: it cannot lead */
	uint16_t proc;
	uint64_t until;		   /* while it leads: when it will wake up by itself */
	uint64_t left_at;	   /* ns: returned from its last wait */
	uint64_t away_ns;	   /* how long it usually stays away between two waits */
	uint64_t seen_at;	   /* ns: the end of its last call, as far as somebody slept */
	struct mr_list node;	   /* commons.sleepers */
	struct mr_list awake_node; /* commons.awake */
};

/* What the processes have in common beside the stack. In the arena, behind it. */
struct mr_commons {
	pthread_mutex_t lock; /* robust, of all processes */
	void *root;	      /* of what stands above */
	int over;	      /* 0, or why the engine is at its end */
	uint32_t holder;      /* of the lock, or who had it last: index of a process */
	uint32_t driver;      /* whose copies of the ring indices are right: index of a process */
	struct mr_socket *hand;
	struct mr_waiter *leader; /* who polls the device while it sleeps; NULL: nobody */
	struct mr_list sleepers;  /* all that are asleep, but the keeper */
	struct mr_list awake;	  /* who has left its sleep or is about to: the latest first */
	bool counted_on;	  /* nobody leads, because they are awake */
	uint64_t gap_ns;	  /* how long there is usually no call then */
	uint64_t seen_at;	  /* ns: the end of the last call */
	uint64_t looked_at;	  /* ns: the last round, or look whether one is needed */
	uint64_t trust_at;	  /* ns: not before then is anybody counted on again */
	bool kept;		  /* there is a keeper: waiters[0] */
	bool keeper_sound;	  /* it sleeps, and will not look after the device soon */
	bool keeper_news;	  /* a process was forked: it shall look */
	bool keeper_turn;	  /* a confined process has something to send: it shall */
	uint64_t pid_ns;	  /* inode of the namespace that mr_proc.pid belongs to */
	uint64_t lives;		  /* processes so far */
	uint32_t nwaiters;	  /* those of this index and above were never used */
	uint64_t kwake[SHARE_KWAKE_WORDS]; /* waiters that the keeper shall wake */
	struct mr_proc procs[MR_SHARE_PROCS_MAX];
	struct mr_waiter waiters[SHARE_WAITERS_MAX];
};

/* What a thread has to tell its signal handlers, and they it. */
struct share_thread_signals {
	const struct mr_share *held; /* whose lock it has */
	unsigned depth;		     /* of share_enter() */
	bool owing;		     /* mr_share_owe() */
	uint32_t handled;	     /* handlers so far */
	uint32_t told; /* of them, those that were before its call, or that ended a wait of it */
	int event;     /* ends its sleep; -1: it does not sleep, or has none */
};

extern __thread struct share_thread_signals share_signals;

/* Process-local. */
struct mr_share {
	struct mr_engine *engine;
	struct mr_commons *c;
	const struct mr_share_ops *ops;
	struct mr_proc *self;
	struct mr_proc *child;	 /* between prepare and parent or child of a fork */
	pthread_mutex_t forking; /* held meanwhile */
	pthread_mutex_t talk;	 /* one question to the keeper at a time */
	bool opener;
	uint64_t secret;			 /* that came with the keeper's name */
	void (*unstick)(struct mr_share *share); /* the keeper's: the lock is not given back */
	pthread_key_t key;			 /* of this thread's struct share_thread */
	int keeper;    /* connection; -1: none, this process has opened the engine */
	void *ports;   /* the XDP program's map of ports, where it was joined */
	int log_level; /* as the keeper said */
	int wanted;    /* a waiter whose event is to be asked for; -1: none */
	bool asked;    /* the keeper was, and has not answered yet */
	int *sockets;  /* [nsockets], of the device, where it was joined; NULL */
	unsigned nsockets;
	int fd_low;    /* none of this process's descriptors below is the engine's */
	bool confined; /* see mr_share_confine() */
	bool foreign;  /* in another PID namespace than the keeper: pids mean nothing to it */
	dev_t err_dev; /* what standard error was when it joined */
	ino_t err_ino;
	bool gone_said;
	char name[108];		       /* of the keeper */
	int events[SHARE_WAITERS_MAX]; /* eventfd of each waiter; -1: not known in this process */
};

/* ---- share.c */
/* Bytes of an arena that are needed beside the stack. */
size_t share_bytes(const struct mr_config *cfg, const struct mr_share_ops *ops);
/* Where the stack is mapped, the same place in every process that joins: high in the address space, but below all
 * programs (on x86-64 the kernel loads those that are position-independent from two thirds of 128 TiB on, their heaps
 * behind them), libraries and stacks. */
void share_choose_addresses(uint64_t random, struct mr_stack_cfg *scfg);
/* Closed but for its tables. NULL: no memory. */
struct mr_share *share_new(const struct mr_share_ops *ops);
/* Close and free what this process has. */
void share_free(struct mr_share *share);
/* Around an engine that is open. */
int share_create(struct mr_share **out, struct mr_engine *engine, const struct mr_config *cfg,
		 const struct mr_share_ops *ops, struct mr_error *err);
/* Bring the clock up to date. */
void share_tick(struct mr_share *share);
/* Around what a signal handler that uses the stack must not interrupt: it is put off until the last
 * share_leave(). */
void share_enter(void);
void share_leave(struct mr_share *share);
/* The lock alone, repaired where its owner died. */
void share_acquire(struct mr_share *share);
void share_release(struct mr_share *share);
/* This process is going to look at the rings or change them. */
void share_drive(struct mr_share *share);
/* The stack is over for all who take part: see engine_end(). Without the lock. */
void share_end(struct mr_share *share);
/* Send what is queued. 0 or -ENETDOWN. */
int share_output(struct mr_share *share);

/* ---- share_thread.c */
/* What a thread has of its own. */
struct share_thread {
	struct mr_share *share;
	struct mr_waiter *w;
	unsigned vain; /* spins in a row that ended in sleep */
};
int share_threads_init(struct mr_share *share);
void share_threads_exit(struct mr_share *share);
/* The child of a fork: this thread has no waiter yet. */
void share_threads_forked(struct mr_share *share);
/* NULL: no memory. */
struct share_thread *share_this_thread(struct mr_share *share);
void share_waiter_free(struct mr_share *share, struct mr_waiter *w);
/* The eventfd of a waiter, which lives as long as the engine, whoever has the waiter. Asks the keeper where it is not
 * known yet, so not with the lock held, which the keeper may want. -1: the process may have no more descriptors, or
 * cannot reach the keeper; a thread that sleeps without one has to look again and again. */
int share_event_of(struct mr_share *share, const struct mr_waiter *w);
/* The keeper's waiter. */
static inline struct mr_waiter *share_keeper(struct mr_commons *c)
{
	return &c->waiters[0];
}

/* ---- share_lead.c; all with the lock held */
/* A thread that was relied upon to run the rounds has let the sleeping ones wait. */
void share_distrust(struct mr_share *share);
/* A round is being run, or somebody looks whether one is needed. */
void share_round_seen(struct mr_share *share);
/* This thread gives the lock back: the time until now was no absence. */
void share_seen_off(struct mr_share *share);
/* This thread is in a call that does not wait: it runs a round if one is due and nobody leads. */
void share_round_in_passing(struct mr_share *share);
/* w begins to wait, and returns from it. */
void share_come(struct mr_share *share, struct mr_waiter *w);
void share_leave_wait(struct mr_share *share, struct mr_waiter *w);
/* w has something to do in its program from now on. */
void share_stay_awake(struct mr_share *share, struct mr_waiter *w);
/* w is about to sleep. True: it leads, and polls the device in its sleep. */
bool share_take_lead(struct mr_share *share, struct mr_waiter *w);
/* Something may be due before the leader's time: let it look. */
void share_leader_check(struct mr_share *share);

/* ---- share_wait.c */
/* Lists that a killed process may have left half linked. Everybody is woken. */
void share_waiters_salvage(struct mr_share *share);
void share_write_event(struct mr_share *share, struct mr_waiter *w);
/* Tell those who sleep that the engine is at its end. */
void share_wake_all(struct mr_share *share);

/* ---- share_proc.c */
struct mr_proc *share_proc_new(struct mr_share *share, enum proc_state state, pid_t pid);
/* Inode of this process's PID namespace; 0: it cannot be told (no /proc). */
uint64_t share_pid_ns(void);
/* Whatever a process had. */
void share_proc_free(struct mr_share *share, struct mr_proc *proc);

/* ---- share_salvage.c */
void share_salvage(struct mr_share *share);

/* ---- share_join.c */
/* A number out of the program's way for this descriptor, which it replaces. */
int share_fd_high(int fd);
/* Get the eventfd of a waiter from the keeper, and wait for it. It stays unknown where there is none to be had. */
void share_ask_event(struct mr_share *share, uint32_t waiter);
/* The same for share->wanted, and not wait: the answer is taken by the next call. */
void share_want_event(struct mr_share *share);
void share_join_child(struct mr_share *share);
/* The keeper is not there any more. Says so, once. -ENETDOWN. */
int share_keeper_gone(struct mr_share *share);

#endif
