// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_keep_serve.c - the keeper's side of the protocol (share_proto.h): connections, joining, requests.
 * Owns        the connections.
 * Called by   the keeper's loop (share_keep.c). Never waits for a process: one that does not read loses its answers.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>
#include "base/compiler.h"
#include "dev/afxdp.h"
#include "engine/share_keep_priv.h"
#include "engine/share_proto.h"
#include "kernel/xdp.h"

#define GUESTS_MAX   128 /* connections that have not joined */
#define REQUESTS_MAX 64	 /* requests of one process in a row */
/* Pause of listening when it cannot accept a connection. */
#define DEAF_NS (100 * MR_NS_PER_MS)
#define TOLD_NS (60 * MR_NS_PER_S) /* interval of log messages about that */

static void conn_close(struct mr_keeper *k, struct keep_conn *conn)
{
	uint32_t slot = conn->slot;

	close(conn->fd);
	conn->fd = -1;
	if (slot == KEEP_NO_SLOT || k->share->c->procs[slot].pid != conn->pid)
		return;
	/* The process has ended, which its pidfd tells, or has executed another program. */
	k->watch[slot].until = engine_clock(k->share->engine) + KEEP_ADOPT_NS;
}

static void answer_error(const struct keep_conn *conn, int err)
{
	struct share_answer answer = { .err = err };

	share_send(conn->fd, &answer, sizeof(answer), NULL, 0);
}

static bool may_join(const struct mr_keeper *k, const struct keep_conn *conn, uint64_t secret)
{
	return secret == k->secret || conn->uid == 0 || conn->uid == k->cfg.uid;
}

/* A slot for a process that was not forked by one of the stack. */
static int admit(struct mr_keeper *k, struct keep_conn *conn, const char *comm)
{
	struct mr_proc *proc;

	mr_share_lock(k->share, NULL);
	proc = share_proc_new(k->share, PROC_LIVE, conn->pid);
	if (proc) {
		memcpy(proc->comm, comm, sizeof(proc->comm));
		conn->slot = proc->index;
		keep_watch_connected(k, proc->index);
	}
	mr_share_unlock(k->share);
	k->had_process = true;
	return proc ? 0 : -EUSERS;
}

/* Send the sockets that did not fit into the first message. */
static int send_sockets(const struct keep_conn *conn, const int *fds, unsigned n)
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

static int welcome(struct mr_keeper *k, const struct keep_conn *conn)
{
	struct mr_engine *engine = k->share->engine;
	struct mr_commons *c = k->share->c;
	unsigned nsockets = mr_afxdp_sockets(engine->dev), nfds = SHARE_FDS, first;
	struct share_welcome w = {
		.magic = share_magic(),
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

static void on_join(struct mr_keeper *k, struct keep_conn *conn, const struct share_request *rq)
{
	int err = 0;

	if (conn->slot != KEEP_NO_SLOT)
		err = -EALREADY;
	else if (!may_join(k, conn, rq->secret))
		err = -EACCES;
	err = err ?: admit(k, conn, rq->comm);
	if (err)
		answer_error(conn, err);
	else if (welcome(k, conn))
		conn_close(k, conn);
}

/* HELLO of a forked child. If the child was released meanwhile, the slot may belong to another process, for which it
 * must not be taken. */
static void on_hello(struct mr_keeper *k, struct keep_conn *conn, const struct share_request *rq)
{
	uint32_t slot = rq->arg;
	struct mr_proc *proc;

	if (slot >= MR_SHARE_PROCS_MAX || conn->slot != KEEP_NO_SLOT ||
	    !may_join(k, conn, rq->secret))
		return;
	mr_share_lock(k->share, NULL);
	proc = &k->share->c->procs[slot];
	if (proc->state == PROC_LIVE && proc->life == rq->life && proc != k->share->self) {
		proc->pid = conn->pid; /* as seen from here: it may be in a PID namespace */
		conn->slot = slot;
		k->watch[slot].until = 0;
		keep_watch_connected(k, slot);
	}
	mr_share_unlock(k->share);
}

/* Release what the same process had before its exec, or what its parent had made for it. */
static void on_adopted(struct mr_keeper *k, const struct keep_conn *conn)
{
	const struct mr_proc *procs = k->share->c->procs;

	if (conn->slot == KEEP_NO_SLOT)
		return;
	mr_share_lock(k->share, NULL);
	for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
		if (i != conn->slot && procs[i].state != PROC_FREE && procs[i].pid == conn->pid &&
		    &procs[i] != k->share->self)
			keep_release(k, i);
	mr_share_unlock(k->share);
}

static void on_event(struct mr_keeper *k, const struct keep_conn *conn, uint32_t waiter)
{
	struct share_answer answer = { .nfds = 1, .waiter = waiter };
	int *event;

	if (conn->slot == KEEP_NO_SLOT || waiter >= SHARE_WAITERS_MAX) {
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

/* Is there still a program that has the lifeline? Its end may not have been processed yet. */
static bool is_ending(const struct mr_keeper *k)
{
	struct pollfd life = { .fd = k->cfg.life_fd };

	return k->life_over || k->share->c->over || poll(&life, 1, 0) != 0;
}

/* A further program, beside those of the launcher that has started the stack. Programs on one stack can write to each
 * other's memory, so that all of them have to be of one user. Returns the write end of the lifeline, or a negative
 * errno. */
static int further_lifeline(const struct mr_keeper *k, const struct keep_conn *conn, uid_t uid)
{
	char path[40];
	int fd;

	if (conn->uid != 0 && conn->uid != k->cfg.uid)
		return -EACCES;
	if (is_ending(k)) /* then the interface will be free, for other users, too */
		return -ESHUTDOWN;
	if (uid != k->cfg.uid)
		return -EPERM;
	/* Processes that it cannot see, in another PID namespace, all have the number 0: their ends go unnoticed. */
	if (!k->share->engine->shared || k->cfg.life_fd < 0 || conn->pid <= 0)
		return -EOPNOTSUPP;
	/* The keeper has closed the write end, because its own copy would keep the pipe open. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", k->cfg.life_fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void on_enter(const struct mr_keeper *k, const struct keep_conn *conn, uid_t uid)
{
	struct share_entry entry = { .answer.nfds = 1, .magic = share_magic() };
	int life = further_lifeline(k, conn, uid);

	if (life < 0) {
		answer_error(conn, life);
		return;
	}
	entry.secret = k->secret;
	share_send(conn->fd, &entry, sizeof(entry), &life, 1);
	close(life);
}

/* Without control characters, which could affect the reader's terminal: the program chooses its name, too. */
static void on_line(const struct mr_keeper *k, const struct keep_conn *conn,
		    const struct share_line *line, size_t len)
{
	char text[sizeof(line->text) + 64];

	if (conn->slot == KEEP_NO_SLOT || line->level > k->cfg.log_level)
		return;
	snprintf(text, sizeof(text), "%.16s[%d]: %.*s", k->share->c->procs[conn->slot].comm,
		 (int)conn->pid, (int)len, line->text);
	for (char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = ' ';
	engine_log(k->share->engine, line->level, "%s", text);
}

/* Process one message. False: there are no more. */
static bool on_request(struct mr_keeper *k, struct keep_conn *conn)
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
	case SHARE_ENTER:
		on_enter(k, conn, rq.arg);
		break;
	case SHARE_LINE:
		break;
	}
	return conn->fd >= 0;
}

/* Process all that a process has sent, because if it was the last process, the keeper may not return here; but not so
 * many that others have to wait. */
void keep_on_requests(struct mr_keeper *k, struct keep_conn *conn)
{
	for (unsigned n = 0; n < REQUESTS_MAX && on_request(k, conn); n++)
		;
}

static struct keep_conn *conn_new(struct mr_keeper *k)
{
	struct keep_conn *more;

	for (unsigned i = 0; i < k->nconns; i++)
		if (k->conns[i].fd < 0)
			return &k->conns[i];
	more = realloc(k->conns, (k->nconns + 1) * sizeof(*more));
	if (!more)
		return NULL;
	k->conns = more;
	return &k->conns[k->nconns++];
}

/* Anybody may connect, but must not keep out those who may join: if there are too many connections, close the
 * oldest. */
static void limit_guests(struct mr_keeper *k)
{
	struct keep_conn *oldest = NULL;
	int n = 0;

	for (unsigned i = 0; i < k->nconns; i++) {
		struct keep_conn *conn = &k->conns[i];

		if (conn->fd < 0 || conn->slot != KEEP_NO_SLOT)
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
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)KEEP_LISTEN << 32 };

	epoll_ctl(k->epoll, EPOLL_CTL_MOD, k->listener, &ev);
}

/* Returns when it will listen again. */
uint64_t keep_hear_again(struct mr_keeper *k, uint64_t now)
{
	if (k->hear_at && now >= k->hear_at) {
		k->hear_at = 0;
		listen_to(k, EPOLLIN);
	}
	return k->hear_at ?: MR_TIME_NEVER;
}

/* A process connects, but there is no descriptor or no memory for it. Its connection would be reported again at once,
 * for ever. So it is accepted with the spare descriptor and closed; or, if another process got that descriptor,
 * listening is paused. */
static void turn_away(struct mr_keeper *k)
{
	uint64_t now = engine_clock(k->share->engine);
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

void keep_on_connect(struct mr_keeper *k)
{
	int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct keep_conn *conn;

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			turn_away(k);
		return;
	}
	conn = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ? NULL : conn_new(k);
	if (conn)
		*conn = (struct keep_conn){ fd, cred.pid, cred.uid, KEEP_NO_SLOT, k->nconnected++ };
	if (!conn || keep_watch_fd(k, fd, KEEP_CONN, (uint32_t)(conn - k->conns))) {
		close(fd);
		if (conn)
			conn->fd = -1;
	}
	limit_guests(k);
}
