// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_keep.c - the keeper: lets processes in, sees them go, and is the engine of last resort.
 * Owns        the listening socket, the connections, a pidfd of each process.
 * Called by   the launcher's keeper process, one thread, which has opened the engine.
 *
 * A process is gone when its pidfd says so. It has become another by exec when its connection is closed and
 * it lives: then it may come again and adopt what it left, for a while.
 *
 * Driving. Asleep on the device is, in this order: a thread of a program that waits anyway; nobody, while
 * the programs are busy and come by often enough; the keeper. In the second case it looks every few
 * milliseconds whether they do. When a thread leads for long the keeper looks only now and then: a process
 * may have been stopped.
 */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/error.h"
#include "dev/afxdp.h"
#include "engine/share_priv.h"
#include "engine/share_proto.h"
#include "engine/shared.h"
#include "kernel/xdp.h"

#define TICK_NS	   (2 * MR_NS_PER_MS) /* between two looks while nobody sleeps on the device */
#define CALM_TICKS 25u /* with somebody asleep there, before the keeper sleeps sound */
#define SOUND_NS   (250 * MR_NS_PER_MS) /* then it looks so often, as long as there are timers */
#define LATE_NS                                                                                    \
	(20 * MR_NS_PER_MS) /* a leader that has not come so long after its time is stopped */
#define ADOPT_NS (10 * MR_NS_PER_S) /* to come again after an exec, or at all after a fork */
#define MAIN_ENDED_NS                                                                              \
	(50 * MR_NS_PER_MS) /* the keeper's own end may come first, and tells it better */
#define LINGER_NS    (5 * MR_NS_PER_S) /* for what the last process left unsent */
#define WATCH_NS     MR_NS_PER_S /* between two tries to watch a process without a descriptor */
#define BACKLOG	     128
#define GUESTS_MAX   128 /* connections that have not joined */
#define EVENTS_MAX   64
#define REQUESTS_MAX 64 /* of one process at a time */
#define NO_SLOT	     UINT32_MAX
#define DEAF_NS	     (100 * MR_NS_PER_MS) /* listens to nobody for so long when it can take nobody */
#define TOLD_NS	     (60 * MR_NS_PER_S)	  /* between two lines of the log about that */

enum source { SOURCE_LISTEN = 1, SOURCE_CONN, SOURCE_PROC, SOURCE_LIFE, SOURCE_MAIN };

struct conn {
	int fd; /* -1: free */
	pid_t pid;
	uid_t uid;
	uint32_t slot; /* NO_SLOT: has not joined */
	uint64_t nth;  /* of all that there have been */
};

struct watch {
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
	struct conn *conns;
	unsigned nconns;
	uint64_t nconnected; /* in all */
	struct watch watch[MR_SHARE_PROCS_MAX];
	bool life_over; /* no process has the other end of cfg.life_fd any more */
	bool had_process;
	uint64_t linger_until; /* 0: not lingering */
	uint64_t rounds;       /* as last looked at */
	unsigned calm;	       /* ticks in a row with a leader */
	bool suspect;	       /* the leader was late at the last look */
	uint64_t watch_at;     /* try to watch those again that could not be; 0: there are none */
};

/* ---- A stopped process that has the lock ---------------------------------------------------------- */

static char state_of(pid_t pid)
{
	char path[64], text[256], *end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return '\0';
	end = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	fclose(f);
	return end && end[1] ? end[2] : '\0';
}

/* Let it go on. It is not stopped again afterwards: who lets it go on in earnest meanwhile would find it
 * stopped for good, which is worse than a stop that is lost. */
static void unstick(struct mr_share *share)
{
	const struct mr_commons *c = share->c;
	uint32_t holder = __atomic_load_n(&c->holder, __ATOMIC_RELAXED);
	pid_t pid = holder < MR_SHARE_PROCS_MAX ? c->procs[holder].pid : 0;

	if (pid <= 0 || pid == getpid() || state_of(pid) != 'T')
		return;
	engine_log(
		share->engine, LOG_WARNING,
		"%s (process %d) was stopped inside the stack, which all others need: it goes on",
		c->procs[holder].comm, (int)pid);
	kill(pid, SIGCONT);
}

/* ---- Open ------------------------------------------------------------------------------------ */

static int watch_fd(struct mr_keeper *k, int fd, enum source source, uint32_t index)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (uint64_t)source << 32 | index };

	return epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int listen_as(struct mr_keeper *k)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(k->name);

	k->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (k->listener < 0)
		return -errno;
	memcpy(addr.sun_path + 1, k->name, len);
	if (bind(k->listener, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) < 0 ||
	    listen(k->listener, BACKLOG) < 0)
		return -errno;
	return watch_fd(k, k->listener, SOURCE_LISTEN, 0);
}

int mr_keeper_open(struct mr_keeper **out, struct mr_share *share, const struct mr_keeper_cfg *cfg,
		   struct mr_error *err)
{
	struct mr_keeper *k = calloc(1, sizeof(*k));
	int ret;

	*out = NULL;
	if (!k)
		return mr_error_set(err, -ENOMEM, "out of memory");
	k->share = share;
	k->cfg = *cfg;
	k->listener = k->main = -1;
	k->spare = eventfd(0, EFD_CLOEXEC);
	snprintf(k->name, sizeof(k->name), "millrace/%s/%d-%08x", share->engine->ifname,
		 (int)getpid(), (unsigned)mr_rng_u64(&share->engine->st->rng));
	for (unsigned i = 0; i < MR_SHARE_PROCS_MAX; i++)
		k->watch[i].pidfd = -1;
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	ret = k->epoll < 0 ? -errno : listen_as(k);
	/* Not of the engine's randomness, which --seed makes known. */
	if (getrandom(&k->secret, sizeof(k->secret), 0) != sizeof(k->secret))
		ret = -EIO;
	if (!ret && cfg->life_fd >= 0)
		ret = watch_fd(k, cfg->life_fd, SOURCE_LIFE, 0);
	if (!ret && cfg->main_pid) {
		k->main = (int)syscall(SYS_pidfd_open, cfg->main_pid, 0);
		ret = k->main < 0 ? -errno : watch_fd(k, k->main, SOURCE_MAIN, 0);
	}
	if (ret) {
		mr_keeper_close(k);
		return mr_error_set(err, ret, "cannot wait for programs: %s", strerror(-ret));
	}
	share->c->kept = true;
	share->unstick = unstick;
	*out = k;
	return 0;
}

char *mr_keeper_name(const struct mr_keeper *k, char *buf, size_t size)
{
	snprintf(buf, size, "%s:%016llx", k->name, (unsigned long long)k->secret);
	return buf;
}

void mr_keeper_close(struct mr_keeper *k)
{
	if (!k)
		return;
	for (unsigned i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (k->watch[i].pidfd >= 0)
			close(k->watch[i].pidfd);
	for (unsigned i = 0; i < k->nconns; i++)
		if (k->conns[i].fd >= 0)
			close(k->conns[i].fd);
	free(k->conns);
	if (k->listener >= 0)
		close(k->listener);
	if (k->main >= 0)
		close(k->main);
	if (k->epoll >= 0)
		close(k->epoll);
	if (k->spare >= 0)
		close(k->spare);
	free(k);
}

/* ---- Processes ------------------------------------------------------------------------------- */

static void forget(struct mr_keeper *k, uint32_t slot)
{
	struct watch *w = &k->watch[slot];

	if (w->pidfd >= 0)
		close(w->pidfd);
	*w = (struct watch){ .pidfd = -1 };
}

/* With the lock held. */
static void release(struct mr_keeper *k, uint32_t slot)
{
	struct mr_proc *proc = &k->share->c->procs[slot];

	forget(k, slot);
	if (proc->state != PROC_FREE)
		share_proc_free(k->share, proc);
}

/* Hear of its end. With the lock held. A process that is gone already is released at once. One that cannot be
 * watched, for lack of descriptors, has done nothing wrong: it is tried again. */
static void watch_proc(struct mr_keeper *k, uint32_t slot)
{
	pid_t pid = k->share->c->procs[slot].pid;
	struct watch *w = &k->watch[slot];
	int err;

	if (w->pidfd >= 0 && w->pid == pid)
		return;
	if (w->pidfd >= 0) /* of a process that has left */
		forget(k, slot);
	w->pid = pid;
	w->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	err = w->pidfd < 0 ? -errno : watch_fd(k, w->pidfd, SOURCE_PROC, slot);
	if (!err)
		return;
	if (err == -ESRCH) {
		release(k, slot);
		return;
	}
	if (w->pidfd >= 0)
		close(w->pidfd);
	w->pidfd = -1;
	k->watch_at = k->share->engine->st->now + WATCH_NS;
}

/* The same, of one that has a connection. */
static void watch_connected(struct mr_keeper *k, uint32_t slot)
{
	watch_proc(k, slot);
	k->watch[slot].connected = k->share->c->procs[slot].state != PROC_FREE;
}

static bool is_unwatched(const struct mr_keeper *k, uint32_t slot)
{
	const struct mr_proc *proc = &k->share->c->procs[slot];
	const struct watch *w = &k->watch[slot];

	return proc->state != PROC_FREE && proc != k->share->self && proc->pid &&
	       (w->pidfd < 0 || w->pid != proc->pid);
}

/* With the lock held. Returns when to try again. */
static uint64_t watch_again(struct mr_keeper *k, uint64_t now)
{
	if (k->watch_at && now >= k->watch_at) {
		k->watch_at = 0;
		for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
			if (is_unwatched(k, i))
				watch_proc(k, i);
	}
	return k->watch_at ?: MR_TIME_NEVER;
}

/* Parents have told of children. With the lock held. */
static void watch_children(struct mr_keeper *k)
{
	struct mr_commons *c = k->share->c;

	if (!c->keeper_news)
		return;
	c->keeper_news = false;
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++) {
		if (c->procs[i].state == PROC_FREE || &c->procs[i] == k->share->self ||
		    (k->watch[i].pidfd >= 0 && k->watch[i].pid == c->procs[i].pid))
			continue;
		if (c->procs[i].state == PROC_FORKING)
			k->watch[i].until = k->share->engine->st->now + ADOPT_NS;
		if (!c->procs[i].pid) /* being forked, or of another PID namespace */
			continue;
		watch_proc(k, i);
	}
}

static bool has_ended(int pidfd)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&pfd, 1, 0) > 0;
}

/* The event may be of one that had the slot before, and was let go while it was under way. */
static void proc_ended(struct mr_keeper *k, uint32_t slot)
{
	struct mr_proc *procs = k->share->c->procs;
	uint64_t until;

	if (!has_ended(k->watch[slot].pidfd))
		return;
	mr_share_lock(k->share, NULL);
	until = k->share->engine->st->now + ADOPT_NS;
	/* A child that it was about to fork: nobody will tell of it, but itself if it lives. */
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (procs[i].state == PROC_FORKING && procs[i].parent == slot && !procs[i].pid)
			k->watch[i].until = until;
	if (procs[slot].pid == k->watch[slot].pid)
		release(k, slot);
	else
		forget(k, slot);
	mr_share_unlock(k->share);
}

/* The times that are over. With the lock held. Returns the next one. */
static uint64_t expire(struct mr_keeper *k, uint64_t now)
{
	struct mr_commons *c = k->share->c;
	uint64_t next = MR_TIME_NEVER;

	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++) {
		struct watch *w = &k->watch[i];

		if (!w->until)
			continue;
		if (c->procs[i].state == PROC_LIVE && !w->connected)
			w->until = 0; /* a forked child that has come to life */
		else if (now >= w->until)
			release(k, i);
		else
			next = mr_min(next, w->until);
	}
	if (k->share->ops->expire)
		next = mr_min(next, k->share->ops->expire(k->share, now));
	return next;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void conn_close(struct mr_keeper *k, struct conn *conn)
{
	uint32_t slot = conn->slot;

	close(conn->fd);
	conn->fd = -1;
	if (slot == NO_SLOT || k->share->c->procs[slot].pid != conn->pid)
		return;
	/* Gone, which the pidfd tells, or executing another program. */
	k->watch[slot].until = k->share->engine->clock(k->share->engine->clock_user) + ADOPT_NS;
}

static void answer_error(const struct conn *conn, int err)
{
	struct share_answer answer = { .err = err };

	share_send(conn->fd, &answer, sizeof(answer), NULL, 0);
}

static bool may_join(const struct mr_keeper *k, const struct conn *conn, uint64_t secret)
{
	return secret == k->secret || conn->uid == 0 || conn->uid == k->cfg.uid;
}

/* A slot for a process that comes from outside. */
static int admit(struct mr_keeper *k, struct conn *conn, const char *comm)
{
	struct mr_proc *proc;

	mr_share_lock(k->share, NULL);
	proc = share_proc_new(k->share, PROC_LIVE, conn->pid);
	if (proc) {
		memcpy(proc->comm, comm, sizeof(proc->comm));
		conn->slot = proc->index;
		watch_connected(k, proc->index);
	}
	mr_share_unlock(k->share);
	k->had_process = true;
	return proc ? 0 : -EUSERS;
}

/* The sockets that did not fit into the first message. */
static int send_sockets(const struct conn *conn, const int *fds, unsigned n)
{
	int err = 0;

	while (n && !err) {
		unsigned part = mr_min(n, SHARE_FDS_PER_MESSAGE);
		struct share_answer more = { .nfds = part };

		err = share_send(conn->fd, &more, sizeof(more), fds, part);
		fds += part;
		n -= part;
	}
	return err;
}

static int welcome(struct mr_keeper *k, const struct conn *conn)
{
	struct mr_engine *engine = k->share->engine;
	struct mr_commons *c = k->share->c;
	unsigned nsockets = mr_afxdp_sockets(engine->dev), nfds = SHARE_FDS, first;
	struct share_welcome w = {
		.magic = SHARE_MAGIC,
		.arena = (uintptr_t)engine->arena.base,
		.arena_size = engine->arena.size,
		.umem = (uintptr_t)engine->umem.base,
		.umem_size = engine->umem.size,
		.stack = (uintptr_t)engine->st,
		.commons = (uintptr_t)c,
		.dev = (uintptr_t)mr_afxdp_shared(engine->dev),
		.slot = conn->slot,
		.nsockets = nsockets,
		.spin_ns = engine->spin_ns,
		.log_level = k->cfg.log_level,
	};
	int *fds = malloc((SHARE_FDS + 2 + nsockets) * sizeof(*fds));
	int err;

	if (!fds)
		return -ENOMEM;
	memcpy(w.ifname, engine->ifname, sizeof(w.ifname));
	fds[SHARE_FD_ARENA] = engine->arena.fd;
	fds[SHARE_FD_UMEM] = engine->umem.fd;
	fds[SHARE_FD_EVENT] = k->share->events[0];
	if (engine->cap) {
		w.has_capture = 1;
		fds[nfds++] = mr_pcapng_fd(engine->cap, &w.snaplen, &w.epoch_ns);
	}
	if (engine->shared) {
		w.ports = (uintptr_t)mr_xdp_ports(engine->xdp);
		fds[nfds++] = mr_xdp_ports_fd(engine->xdp);
	}
	first = mr_min(nsockets, SHARE_FDS_PER_MESSAGE - nfds);
	for (unsigned i = 0; i < nsockets; i++)
		fds[nfds + i] = mr_afxdp_fd(engine->dev, i);
	w.answer.nfds = nfds + first;
	err = share_send(conn->fd, &w, sizeof(w), fds, nfds + first);
	err = err ?: send_sockets(conn, fds + nfds + first, nsockets - first);
	free(fds);
	return err;
}

static void on_join(struct mr_keeper *k, struct conn *conn, const struct share_request *rq)
{
	int err = 0;

	if (conn->slot != NO_SLOT)
		err = -EALREADY;
	else if (!may_join(k, conn, rq->secret))
		err = -EACCES;
	err = err ?: admit(k, conn, rq->comm);
	if (err)
		answer_error(conn, err);
	else if (welcome(k, conn))
		conn_close(k, conn);
}

/* Of a child that has been let go meanwhile: its slot may be another's, who must not be taken for it. */
static void on_hello(struct mr_keeper *k, struct conn *conn, const struct share_request *rq)
{
	uint32_t slot = rq->arg;
	struct mr_proc *proc;

	if (slot >= MR_SHARE_PROCS_MAX || conn->slot != NO_SLOT || !may_join(k, conn, rq->secret))
		return;
	mr_share_lock(k->share, NULL);
	proc = &k->share->c->procs[slot];
	if (proc->state == PROC_LIVE && proc->life == rq->life && proc != k->share->self) {
		proc->pid = conn->pid; /* as seen from here: it may live in a PID namespace */
		conn->slot = slot;
		k->watch[slot].until = 0;
		watch_connected(k, slot);
	}
	mr_share_unlock(k->share);
}

/* What the same process had before its exec, or its parent made for it, may go. */
static void on_adopted(struct mr_keeper *k, const struct conn *conn)
{
	const struct mr_proc *procs = k->share->c->procs;

	if (conn->slot == NO_SLOT)
		return;
	mr_share_lock(k->share, NULL);
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (i != conn->slot && procs[i].state != PROC_FREE && procs[i].pid == conn->pid &&
		    &procs[i] != k->share->self)
			release(k, i);
	mr_share_unlock(k->share);
}

static void on_event(struct mr_keeper *k, const struct conn *conn, uint32_t waiter)
{
	struct share_answer answer = { .nfds = 1, .waiter = waiter };
	int *event;

	if (conn->slot == NO_SLOT || waiter >= SHARE_WAITERS_MAX) {
		answer_error(conn, -EINVAL);
		return;
	}
	event = &k->share->events[waiter];
	if (*event < 0)
		*event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (*event < 0)
		answer_error(conn, -errno);
	else
		share_send(conn->fd, &answer, sizeof(answer), event, 1);
}

/* Of letters that cannot do harm to who reads it: the program's name is its own choice, too. */
static void on_line(const struct mr_keeper *k, const struct conn *conn,
		    const struct share_line *line, size_t len)
{
	char text[sizeof(line->text) + 64];

	if (conn->slot == NO_SLOT || line->level > k->cfg.log_level)
		return;
	snprintf(text, sizeof(text), "%.16s[%d]: %.*s", k->share->c->procs[conn->slot].comm,
		 (int)conn->pid, (int)len, line->text);
	for (char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = ' ';
	engine_log(k->share->engine, line->level, "%s", text);
}

/* One message. False: there is no other. */
static bool on_request(struct mr_keeper *k, struct conn *conn)
{
	const size_t head = offsetof(struct share_line, text);
	int fds[SHARE_FDS_PER_MESSAGE];
	union {
		struct share_request rq;
		struct share_line line;
	} msg;
	struct share_request rq;
	unsigned nfds;
	ssize_t n = share_recv(conn->fd, &msg, sizeof(msg), fds, &nfds, MSG_DONTWAIT);

	for (unsigned i = 0; i < nfds; i++)
		close(fds[i]);
	if (n == -EAGAIN)
		return false;
	if (n >= (ssize_t)head && msg.rq.op == SHARE_LINE) {
		on_line(k, conn, &msg.line, (size_t)n - head);
		return true;
	}
	rq = msg.rq;
	if (n != sizeof(rq)) {
		conn_close(k, conn);
		return false;
	}
	rq.comm[sizeof(rq.comm) - 1] = '\0';
	switch ((enum share_op)rq.op) {
	case SHARE_JOIN:
		on_join(k, conn, &rq);
		break;
	case SHARE_HELLO:
		on_hello(k, conn, &rq);
		break;
	case SHARE_ADOPTED:
		on_adopted(k, conn);
		break;
	case SHARE_EVENT:
		on_event(k, conn, rq.arg);
		break;
	case SHARE_LINE:
		break;
	}
	return conn->fd >= 0;
}

/* All that a process has sent, for the keeper may not come back when it was the last one; but nobody sends so
 * fast that the others wait. */
static void on_requests(struct mr_keeper *k, struct conn *conn)
{
	for (unsigned n = 0; n < REQUESTS_MAX && on_request(k, conn); n++)
		;
}

static struct conn *conn_new(struct mr_keeper *k)
{
	struct conn *more;

	for (unsigned i = 0; i < k->nconns; i++)
		if (k->conns[i].fd < 0)
			return &k->conns[i];
	more = realloc(k->conns, (k->nconns + 1) * sizeof(*more));
	if (!more)
		return NULL;
	k->conns = more;
	return &k->conns[k->nconns++];
}

/* Anybody may connect, but not keep out those who may join: when there are too many the oldest goes. */
static void limit_guests(struct mr_keeper *k)
{
	struct conn *oldest = NULL;
	int n = 0;

	for (unsigned i = 0; i < k->nconns; i++) {
		struct conn *conn = &k->conns[i];

		if (conn->fd < 0 || conn->slot != NO_SLOT)
			continue;
		n++;
		if (!oldest || conn->nth < oldest->nth)
			oldest = conn;
	}
	if (n > GUESTS_MAX)
		conn_close(k, oldest);
}

static void listen_to(const struct mr_keeper *k, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)SOURCE_LISTEN << 32 };

	epoll_ctl(k->epoll, EPOLL_CTL_MOD, k->listener, &ev);
}

/* Returns when it will listen again. */
static uint64_t hear_again(struct mr_keeper *k, uint64_t now)
{
	if (k->hear_at && now >= k->hear_at) {
		k->hear_at = 0;
		listen_to(k, EPOLLIN);
	}
	return k->hear_at ?: MR_TIME_NEVER;
}

/* There is no descriptor for who connects, or no memory. Left where it is it would be found again at once, for ever:
 * it is turned away, or, where that takes a descriptor that somebody else was faster to get, left for a while. */
static void turn_away(struct mr_keeper *k)
{
	uint64_t now = k->share->engine->clock(k->share->engine->clock_user);
	int fd;

	if (k->spare >= 0)
		close(k->spare);
	fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		close(fd);
	} else if (errno != EAGAIN) {
		k->hear_at = now + DEAF_NS;
		listen_to(k, 0);
	}
	k->spare = eventfd(0, EFD_CLOEXEC);
	if (now < k->tell_at)
		return;
	k->tell_at = now + TOLD_NS;
	engine_log(k->share->engine, LOG_ERR,
		   "a process cannot join: the keeper may have no more files (RLIMIT_NOFILE)");
}

/* Nobody is waited for: who does not read loses answers. */
static void on_connect(struct mr_keeper *k)
{
	int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct conn *conn;

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			turn_away(k);
		return;
	}
	conn = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ? NULL : conn_new(k);
	if (conn)
		*conn = (struct conn){ fd, cred.pid, cred.uid, NO_SLOT, k->nconnected++ };
	if (!conn || watch_fd(k, fd, SOURCE_CONN, (uint32_t)(conn - k->conns))) {
		close(fd);
		if (conn)
			conn->fd = -1;
	}
	limit_guests(k);
}

static void serve(struct mr_keeper *k)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(k->epoll, events, EVENTS_MAX, 0);

	for (int i = 0; i < n; i++) {
		uint32_t index = (uint32_t)events[i].data.u64;

		switch ((enum source)(events[i].data.u64 >> 32)) {
		case SOURCE_LISTEN:
			on_connect(k);
			break;
		case SOURCE_CONN:
			if (k->conns[index].fd >= 0)
				on_requests(k, &k->conns[index]);
			break;
		case SOURCE_PROC:
			proc_ended(k, index);
			break;
		case SOURCE_LIFE:
			k->life_over = true;
			epoll_ctl(k->epoll, EPOLL_CTL_DEL, k->cfg.life_fd, NULL);
			break;
		case SOURCE_MAIN:
			close(k->main);
			k->main = -1;
			k->main_told_at = k->share->engine->clock(k->share->engine->clock_user) +
					  MAIN_ENDED_NS;
			break;
		}
	}
}

/* ---- Driving --------------------------------------------------------------------------------- */

static void wake_asked(struct mr_keeper *k)
{
	struct mr_commons *c = k->share->c;

	for (uint32_t i = 0; i < SHARE_KWAKE_WORDS; i++) {
		uint64_t bits = c->kwake[i];

		c->kwake[i] = 0;
		for (; bits; bits &= bits - 1) {
			uint32_t w = i * 64 + (uint32_t)__builtin_ctzll(bits);

			if (k->share->events[w] >= 0)
				share_write_event(k->share, &c->waiters[w]);
		}
	}
}

static bool rounds_go_on(struct mr_keeper *k)
{
	uint64_t rounds = k->share->engine->st->ctr.c[MR_CTR_ENGINE_ROUNDS];
	bool more = rounds != k->rounds;

	k->rounds = rounds;
	return more;
}

/* Something is due that the leader, asleep, should have seen. */
static bool leader_is_late(struct mr_keeper *k, uint64_t now)
{
	struct mr_engine *engine = k->share->engine;

	share_drive(k->share);
	return engine->dev->ops->rx_ready(engine->dev) ||
	       mr_engine_next(engine, now) + LATE_NS < now;
}

/* What confined processes have left to send. Nobody else's driving is seen by it. */
static void take_turn(struct mr_keeper *k)
{
	if (!k->share->c->keeper_turn)
		return;
	k->share->c->keeper_turn = false;
	mr_share_round(k->share);
	k->rounds++;
}

/* All that can be done now. Returns when there is more. */
static uint64_t drive(struct mr_keeper *k)
{
	struct mr_share *share = k->share;

	if (mr_share_round(share) || share_output(share))
		return MR_TIME_NEVER;
	rounds_go_on(k);
	if (share->engine->dev->ops->rx_ready(share->engine->dev))
		return share->engine->st->now;
	return mr_engine_next(share->engine, share->engine->st->now);
}

/* Who drives until the next look, and when is that? With the lock held. */
static uint64_t look_after_driving(struct mr_keeper *k, uint64_t now)
{
	struct mr_commons *c = k->share->c;
	const struct mr_stack *st = k->share->engine->st;
	struct mr_waiter *me = share_keeper(c);
	bool go_on = rounds_go_on(k);

	c->keeper_sound = false;
	if (!c->leader) {
		k->calm = 0;
		if (go_on)
			return now + TICK_NS;
		if (c->counted_on)
			share_distrust(k->share);
		c->leader = me;
	} else if (c->leader != me && !go_on && leader_is_late(k, now)) {
		if (k->suspect)
			c->leader = me;
		k->suspect = true;
		if (c->leader != me)
			return now + TICK_NS;
	}
	k->suspect = false;
	if (c->leader == me) {
		me->until = drive(k);
		me->asleep = true;
		return me->until;
	}
	if (k->calm < CALM_TICKS) {
		k->calm++;
		return now + TICK_NS;
	}
	c->keeper_sound = true;
	return st->tcp.tcbs.used || st->wheel.armed ? now + SOUND_NS : MR_TIME_NEVER;
}

/* Asleep, without the lock. The device's descriptors are the last; of them only the link's is looked at by
 * one who does not lead. */
static void doze(struct mr_keeper *k, bool leads, uint64_t until)
{
	struct mr_engine *engine = k->share->engine;
	struct pollfd fds[2 + MR_ENGINE_FDS_MAX] = {
		{ .fd = k->share->events[0], .events = POLLIN },
		{ .fd = k->epoll, .events = POLLIN },
	};
	uint64_t now = engine->clock(engine->clock_user), left = until > now ? until - now : 0,
		 count;
	struct timespec ts = { (time_t)(left / MR_NS_PER_S), (long)(left % MR_NS_PER_S) };
	unsigned nrings = mr_afxdp_queues(engine->dev), n = 2;
	ssize_t got;

	for (unsigned i = leads ? 0 : nrings; i < engine->npfds; i++)
		fds[n++] = engine->pfds[i];
	if (ppoll(fds, n, until == MR_TIME_NEVER ? NULL : &ts, k->cfg.sigmask) <= 0)
		return;
	if (fds[0].revents) {
		got = read(fds[0].fd, &count, sizeof(count));
		(void)got;
	}
	if (fds[1].revents)
		serve(k);
	for (unsigned i = leads ? 2 + nrings : 2; i < n; i++) {
		if (!fds[i].revents)
			continue;
		mr_share_lock(k->share, NULL);
		share_drive(k->share);
		mr_engine_service(engine, engine->st->now);
		mr_share_round(k->share);
		mr_share_unlock(k->share);
		break;
	}
}

/* ---- The end --------------------------------------------------------------------------------- */

static bool somebody_is_there(const struct mr_keeper *k)
{
	const struct mr_proc *procs = k->share->c->procs;

	if (k->cfg.life_fd >= 0 ? !k->life_over : !k->had_process)
		return true;
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (procs[i].state != PROC_FREE && &procs[i] != k->share->self)
			return true;
	return false;
}

/* Has a connection still something to say that its program has written? */
static bool something_unsent(const struct mr_keeper *k)
{
	const struct mr_tcp *tcp = &k->share->engine->st->tcp;
	const struct mr_list *pos;

	mr_list_for_each (pos, &tcp->all) {
		const struct mr_tcb *tcb = mr_list_entry(pos, struct mr_tcb, all_node);

		if (tcb->sndq.head || (tcb->fin_queued && tcb->snd_una != tcb->snd_nxt) ||
		    (tcb->fin_queued && !tcb->fin_sent))
			return true;
	}
	return false;
}

/* *until: when to look again. */
static bool over(struct mr_keeper *k, uint64_t now, uint64_t *until)
{
	if (k->share->c->over)
		return true;
	if (somebody_is_there(k)) {
		k->linger_until = 0;
		return false;
	}
	if (!k->linger_until)
		k->linger_until = now + LINGER_NS;
	if (!something_unsent(k) || now >= k->linger_until)
		return true;
	*until = mr_min(*until, now + TICK_NS);
	return false;
}

/* Returns when to look again. */
static uint64_t tell_main_ended(struct mr_keeper *k, uint64_t now)
{
	if (!k->main_told_at)
		return MR_TIME_NEVER;
	if (now < k->main_told_at)
		return k->main_told_at;
	k->main_told_at = 0;
	k->cfg.main_ended(k->cfg.user);
	return MR_TIME_NEVER;
}

int mr_keeper_run(struct mr_keeper *k)
{
	struct mr_share *share = k->share;
	struct mr_commons *c = share->c;
	uint64_t now, until;
	bool leads, end = false;

	while (!end && !(k->cfg.stop && *k->cfg.stop)) {
		mr_share_lock(share, NULL);
		now = share->engine->st->now;
		wake_asked(k);
		watch_children(k);
		take_turn(k);
		if (share->engine->shared)
			mr_shared_ask(share->engine, now);
		until = mr_min(watch_again(k, now), hear_again(k, now));
		until = mr_min(until, expire(k, now)); /* of those too that it has released */
		until = mr_min(until, look_after_driving(k, now));
		until = mr_min(until, tell_main_ended(k, now));
		end = over(k, now, &until);
		leads = c->leader == share_keeper(c);
		mr_share_unlock(share);
		if (!end)
			doze(k, leads, until);
		if (leads)
			share_keeper(c)->asleep = false;
	}
	return c->over;
}
