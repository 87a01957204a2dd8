/* SPDX-License-Identifier: BSD-2-Clause */
/* share_priv.h - what the files of the shared engine share. Nobody else includes it. */
#ifndef MR_ENGINE_SHARE_PRIV_H
#define MR_ENGINE_SHARE_PRIV_H

#include <pthread.h>
#include <sys/types.h>
#include "engine/engine_priv.h"
#include "engine/share.h"

#define SHARE_MAGIC	  0x6d727368ull /* "mrsh" */
#define SHARE_WAITERS_MAX 8192u		/* threads that wait at once, of all processes */
#define SHARE_KWAKE_WORDS (SHARE_WAITERS_MAX / 64)
#define SHARE_WAKES	  32u /* threads that one release of the lock wakes */

enum proc_state {
	PROC_FREE,
	PROC_FORKING, /* its slot and table exist; the child has not said HELLO yet */
	PROC_LIVE,
};

/* A checksum of all headers, made by the Makefile. A process with another one was built from other headers, so that
 * the layout of the arena may differ: it is not admitted. */
extern const unsigned share_layout;

static inline uint64_t share_magic(void)
{
	return SHARE_MAGIC << 32 | share_layout;
}

/* What a sleeping thread is known by, in every process. In the arena. The lock protects it. */
struct mr_waiter {
	uint32_t woken; /* atomic, because it is read without the lock while spinning */
	uint32_t index;
	bool used;
	bool asleep;  /* its eventfd has to be written to wake it */
	bool passive; /* of a confined process: it cannot lead */
	uint16_t proc;
	uint64_t until;		   /* ns: while it leads, when it will wake up by itself */
	uint64_t left_at;	   /* ns: end of its last wait */
	uint64_t away_ns;	   /* ns: mean time between the end of a wait and the next wait */
	uint64_t seen_at;	   /* ns: end of its last call while threads slept */
	struct mr_list node;	   /* commons.sleepers */
	struct mr_list awake_node; /* commons.awake */
};

/* What the processes share beside the stack. In the arena, behind it. */
struct mr_commons {
	pthread_mutex_t lock; /* robust and process-shared */
	void *root;	      /* root object of the layer above */
	int over;	      /* 0, or a negative errno: why the engine is over */
	uint32_t holder;      /* index of the process that has the lock, or had it last */
	/* Index of the process that last drove the device, whose copies of the ring indices are valid. */
	uint32_t driver;
	/* The socket that the holder of the lock is changing; NULL: none. */
	struct mr_socket *changing;
	struct mr_waiter *leader; /* the thread that polls the device while it sleeps; NULL: none */
	struct mr_list sleepers;  /* all waiters that are asleep, except the keeper's */
	/* Waiters that have left their sleep or are about to, the latest first. */
	struct mr_list awake;
	bool counted_on;    /* nobody leads, because threads that are awake run the rounds */
	uint64_t gap_ns;    /* ns: mean time between their calls */
	uint64_t seen_at;   /* ns: end of the last call */
	uint64_t looked_at; /* ns: last round, or last check whether one is needed */
	uint64_t trust_at;  /* ns: until then threads that are awake are not relied upon */
	bool kept;	    /* there is a keeper, whose waiter is waiters[0] */
	bool keeper_sound;  /* the keeper is in a long sleep, and does not look after the device */
	bool keeper_news;   /* a process was forked: the keeper has to watch it */
	bool keeper_turn;  /* a confined process has queued something that the keeper has to send */
	uint64_t pid_ns;   /* inode of the PID namespace of mr_proc.pid */
	uint64_t lives;	   /* how often a slot was taken so far */
	uint32_t nwaiters; /* waiters from this index on were never used */
	uint64_t kwake[SHARE_KWAKE_WORDS]; /* bit map: waiters that the keeper has to wake */
	struct mr_proc procs[MR_SHARE_PROCS_MAX];
	struct mr_waiter waiters[SHARE_WAITERS_MAX];
};

/* State of a thread that its signal handlers use. */
struct share_thread_signals {
	const struct mr_share *held; /* whose lock this thread holds */
	unsigned depth;		     /* nesting depth of share_enter() */
	bool owing;		     /* mr_share_owe() was called */
	uint32_t handled;	     /* how many handlers have called mr_share_interrupt() */
	uint32_t told; /* how many of them ran before the present call, or ended one of its waits */
	int event;     /* eventfd that ends its sleep; -1: it does not sleep, or has none */
};

extern __thread struct share_thread_signals share_signals;

/* One process's part of a shared engine. */
struct mr_share {
	struct mr_engine *engine;
	struct mr_commons *c;
	const struct mr_share_ops *ops;
	struct mr_proc *self;
	struct mr_proc *child;	 /* slot of the child, during a fork */
	pthread_mutex_t forking; /* held during a fork */
	/* Held during a request to the keeper, and during a fork; recursive. */
	pthread_mutex_t talk;
	bool opener;
	uint64_t secret; /* from the keeper's name */
	/* In the keeper: lets a stopped process (SIGSTOP) that holds the lock go on. */
	void (*unstick)(struct mr_share *share);
	pthread_key_t key; /* of the thread's struct share_thread */
	int keeper;    /* connection to the keeper; -1: none, this process has opened the engine */
	void *ports;   /* mapping of the XDP program's map of ports, in a process that has joined */
	int log_level; /* from the keeper */
	int wanted;    /* index of the waiter whose eventfd is to be requested; -1: none */
	bool asked;    /* a request for an eventfd is not answered yet */
	/* Under the engine's lock: threads to wake after the release, see struct share_after. */
	unsigned nwakes;
	int wakes[SHARE_WAKES];
	/* atomic: doorbells owed by threads of this process, one of which is ringing */
	uint32_t rings;
	int *sockets; /* sockets of the device, in a process that has joined; else NULL */
	unsigned nsockets;
	int fd_low;    /* the engine uses no descriptor below this one */
	bool confined; /* see mr_share_confine() */
	bool foreign;  /* in another PID namespace than the keeper, so that pids have no meaning */
	dev_t err_dev; /* of standard error, when it joined */
	ino_t err_ino;
	/* share_keeper_gone() has logged it. */
	bool gone_said;
	char name[108];		       /* the keeper's name */
	int events[SHARE_WAITERS_MAX]; /* eventfds of the waiters; -1: not known in this process */
};

/* ---- share.c */
/* Bytes of the arena that are needed beside the stack. */
size_t share_bytes(const struct mr_config *cfg, const struct mr_share_ops *ops);
/* Choose addresses for the mappings that are free in every process that will join: high in the address space, but
 * below programs, libraries and stacks (on x86-64 the kernel loads position-independent programs, with their heaps
 * behind them, from two thirds of 128 TiB on). */
void share_choose_addresses(uint64_t random, struct mr_stack_cfg *scfg);
/* Allocate, with nothing but its tables. NULL: no memory. */
struct mr_share *share_new(const struct mr_share_ops *ops);
/* Close and free this process's part. */
void share_free(struct mr_share *share);
/* Make a share around an open engine. On failure the engine stays the caller's. */
int share_create(struct mr_share **out, struct mr_engine *engine, const struct mr_config *cfg,
		 const struct mr_share_ops *ops, struct mr_error *err);
/* Set st->now to the present time. */
void share_tick(struct mr_share *share);
/* Mark a section in which a signal handler must not use the stack: what handlers want to do is put off until the last
 * share_leave(). */
void share_enter(void);
void share_leave(struct mr_share *share);
/* The lock alone. If its owner has died, the stack is repaired before share_acquire() returns. */
void share_acquire(struct mr_share *share);
void share_release(struct mr_share *share);
/* To be called before the rings are read or changed: takes their indices over if another process drove the device. */
void share_drive(struct mr_share *share);
/* End the engine for all processes, see engine_end(). Without the lock. */
void share_end(struct mr_share *share);
/* Send what is queued. Returns 0 or -ENETDOWN. */
int share_output(struct mr_share *share);
/* The same, for a caller that calls share_release() next: may leave the doorbell to it. */
int share_output_last(struct mr_share *share);
/* Did one of this thread's last two waits return events of epoll, see mr_share_batch()? */
bool share_serves(void);

/* ---- share_after.c */
/* What a thread does right after it has released the lock. */
struct share_after {
	bool ring;
	unsigned nwakes;
	int wakes[SHARE_WAKES]; /* eventfds to write */
};
/* May this thread leave work until after the release? */
bool share_acts_after(const struct mr_share *share);
/* With the lock held: note that w is to be woken. False: it cannot be left until later, wake it now. */
bool share_wake_after(struct mr_share *share, const struct mr_waiter *w);
/* With the lock held: move what is to be done to *after. */
void share_after_take(struct mr_share *share, struct share_after *after);
/* With the lock released: do it. */
void share_after(struct mr_share *share, const struct share_after *after);

/* ---- share_thread.c */
/* State of a thread. Process-local. */
struct share_thread {
	struct mr_share *share;
	struct mr_waiter *w;
	unsigned vain; /* consecutive spins that found nothing */
};
int share_threads_init(struct mr_share *share);
void share_threads_exit(struct mr_share *share);
/* In the child of a fork: this thread has no waiter yet. */
void share_threads_forked(struct mr_share *share);
/* NULL: no memory. */
struct share_thread *share_this_thread(struct mr_share *share);
void share_waiter_free(struct mr_share *share, struct mr_waiter *w);
/* The eventfd of a waiter. It exists as long as the engine, whoever uses the waiter. Asks the keeper if this process
 * does not have it yet; not with the lock held, because the keeper may need the lock. -1: the process has no
 * descriptor left, or cannot reach the keeper. A thread that sleeps without an eventfd has to poll. */
int share_event_of(struct mr_share *share, const struct mr_waiter *w);
/* The keeper's waiter. */
static inline struct mr_waiter *share_keeper(struct mr_commons *c)
{
	return &c->waiters[0];
}

/* ---- share_lead.c. With the lock held. */
/* Threads that are awake were relied upon to run the rounds, and left sleeping threads waiting. */
void share_distrust(struct mr_share *share);
/* A round is run, or it is checked whether one is needed. */
void share_round_seen(struct mr_share *share);
/* This thread releases the lock: the time until now does not count as absence. */
void share_seen_off(struct mr_share *share);
/* This thread is in a call that does not wait: run a round if one is due and no thread leads. */
void share_round_in_passing(struct mr_share *share);
/* w begins to wait. */
void share_come(struct mr_share *share, struct mr_waiter *w);
/* w returns from its wait. */
void share_leave_wait(struct mr_share *share, struct mr_waiter *w);
/* w's thread is busy in its program from now on. */
void share_stay_awake(struct mr_share *share, struct mr_waiter *w);
/* w is about to sleep. Returns true if it leads: it then polls the device in its sleep. */
bool share_take_lead(struct mr_share *share, struct mr_waiter *w);
/* Wake the leader if a timer is due before it would wake up by itself. */
void share_leader_check(struct mr_share *share);

/* ---- share_wait.c */
/* Make the lists of waiters anew after a process was killed in the middle of a change. Wakes all of them. */
void share_waiters_salvage(struct mr_share *share);
/* Wake w by writing its eventfd, or let the keeper do it if this process does not have the eventfd. */
void share_write_event(struct mr_share *share, struct mr_waiter *w);
/* Write an eventfd. Leaves errno alone. */
void share_write_to(int fd);
/* Wake all sleepers: the engine is over. */
void share_wake_all(struct mr_share *share);

/* ---- share_proc.c */
/* NULL: too many processes. */
struct mr_proc *share_proc_new(struct mr_share *share, enum proc_state state, pid_t pid);
/* Inode of this process's PID namespace; 0: unknown (no /proc). */
uint64_t share_pid_ns(void);
/* Release everything that a process held, and its slot. */
void share_proc_free(struct mr_share *share, struct mr_proc *proc);

/* ---- share_salvage.c */
/* Repair the stack after a process died with the lock held. */
void share_salvage(struct mr_share *share);

/* ---- share_join.c */
/* Move this descriptor to a high number, out of the program's way. Returns the new one; on failure, the old one. */
int share_fd_high(int fd);
/* Write the value of MR_SHARE_ENV into buf. Returns buf. */
char *share_env(char *buf, size_t size, const char *name, uint64_t secret);
/* Recursive, because the program's pthread_atfork() handlers may use the stack in the parent while it is held. */
void share_talk_init(struct mr_share *share);
/* Get the eventfd of a waiter from the keeper, and wait for the answer. If there is none, share->events[] stays -1. */
void share_ask_event(struct mr_share *share, uint32_t waiter);
/* The same for share->wanted, without waiting: a later call takes the answer. */
void share_want_event(struct mr_share *share);
/* In the child of a fork: connect to the keeper. */
void share_join_child(struct mr_share *share);
/* The keeper is gone. Logs it once. Returns -ENETDOWN. */
int share_keeper_gone(struct mr_share *share);

#endif
