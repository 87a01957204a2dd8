// SPDX-License-Identifier: BSD-2-Clause
/*
 * share_join.c - a process joins an engine that another one keeps.
 * Owns        the connection to the keeper; this process's mappings of arena, UMEM and rings.
 * Called by   the shim, at a program's first socket or in a forked child; the launcher, for a further program.
 * Not here    the keeper's side (share_keep.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/error.h"
#include "dev/afxdp.h"
#include "engine/share_priv.h"
#include "engine/share_proto.h"
#include "engine/shared.h"
#include "kernel/xdp.h"

/* Programs expect low descriptor numbers, and close those that they do not know. So the engine's have the highest
 * numbers that the process may have. */
#define HIGH_LAST  65536u
#define HIGH_COUNT 256u

#define ENTER_MS 2000 /* a launcher waits so long for the keeper's answer */

int share_fd_high(int fd)
{
	struct rlimit lim;
	rlim_t end = HIGH_LAST;
	int high;

	if (fd < 0)
		return fd;
	if (!getrlimit(RLIMIT_NOFILE, &lim))
		end = mr_min(lim.rlim_cur, end);
	high = fcntl(fd, F_DUPFD_CLOEXEC, (int)(end - mr_min(end / 4, (rlim_t)HIGH_COUNT)));
	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* ---- The connection -------------------------------------------------------------------------- */

/* flags: SOCK_NONBLOCK: do not wait if too many others want to connect (-EAGAIN). The name may be of a socket whose owner
 * wants that somebody waits. */
static int connect_keeper(const char *name, int flags)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	struct ucred cred;
	socklen_t optlen = sizeof(cred);
	int sock;

	if (!len || len >= sizeof(addr.sun_path))
		return -EINVAL;
	memcpy(addr.sun_path + 1, name, len);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, (struct sockaddr *)&addr,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) < 0)
		goto fail;
	/* Who answers provides the memory that we use: it must be root or this user. */
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &optlen) < 0)
		goto fail;
	if (cred.uid != 0 && cred.uid != geteuid()) {
		errno = EACCES;
		goto fail;
	}
	return share_fd_high(sock);

fail:
	optlen = (socklen_t)errno;
	close(sock);
	return -(int)optlen;
}

/* The name without the secret, of "name:secret". */
static uint64_t split_secret(const char *text, char *name, size_t size)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);

	snprintf(name, size, "%.*s", (int)len, text);
	return colon ? strtoull(colon + 1, NULL, 16) : 0;
}

char *share_env(char *buf, size_t size, const char *name, uint64_t secret)
{
	snprintf(buf, size, "%s:%016llx", name, (unsigned long long)secret);
	return buf;
}

static struct share_request request(enum share_op op, uint32_t arg)
{
	struct share_request rq = { .op = op, .arg = arg };

	snprintf(rq.comm, sizeof(rq.comm), "%.15s", program_invocation_short_name);
	return rq;
}

static void tell(struct mr_share *share, enum share_op op, uint32_t arg)
{
	struct share_request rq = request(op, arg);

	rq.life = share->self->life;
	rq.secret = share->secret;
	if (share->keeper >= 0)
		share_send(share->keeper, &rq, sizeof(rq), NULL,
			   0); /* if the keeper is gone, the next wait notices */
}

void share_talk_init(struct mr_share *share)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&share->talk, &attr);
	pthread_mutexattr_destroy(&attr);
}

/* With share->talk held. flags as of recv(). */
static void take_event(struct mr_share *share, int flags)
{
	int fds[SHARE_FDS_PER_MESSAGE], fd;
	struct share_answer answer;
	unsigned nfds;
	ssize_t n = share_recv(share->keeper, &answer, sizeof(answer), fds, &nfds, flags);

	if (n == -EAGAIN)
		return;
	share->asked = false;
	if (n != sizeof(answer) || nfds != 1 || answer.waiter >= SHARE_WAITERS_MAX ||
	    share->events[answer.waiter] >= 0) {
		while (nfds)
			close(fds[--nfds]);
		return;
	}
	fd = share_fd_high(fds[0]);
	share->fd_low = mr_min(share->fd_low, fd);
	share->events[answer.waiter] = fd;
}

/* With share->talk held. */
static void ask_event(struct mr_share *share, uint32_t waiter)
{
	struct share_request rq = request(SHARE_EVENT, waiter);

	share->asked = !share_send(share->keeper, &rq, sizeof(rq), NULL, 0);
}

void share_ask_event(struct mr_share *share, uint32_t waiter)
{
	share_enter();
	pthread_mutex_lock(&share->talk);
	/* A request for another waiter was sent before, whose answer comes first. */
	if (share->asked)
		take_event(share, 0);
	if (share->events[waiter] < 0) {
		ask_event(share, waiter);
		if (share->asked)
			take_event(share, 0);
	}
	pthread_mutex_unlock(&share->talk);
	share_leave(share);
}

void share_want_event(struct mr_share *share)
{
	share_enter();
	if (!pthread_mutex_trylock(&share->talk)) {
		if (share->asked)
			take_event(share, MSG_DONTWAIT);
		if (share->wanted >= 0 && !share->asked) {
			if (share->events[share->wanted] < 0 && share->keeper >= 0)
				ask_event(share, (uint32_t)share->wanted);
			share->wanted = -1;
		}
		pthread_mutex_unlock(&share->talk);
	}
	share_leave(share);
}

void mr_share_adopted(struct mr_share *share)
{
	tell(share, SHARE_ADOPTED, 0);
}

/* Log to standard error, because there is no keeper; but not if the program has replaced it, because that may be no
 * place for messages. */
int share_keeper_gone(struct mr_share *share)
{
	struct stat st;

	if (__atomic_exchange_n(&share->gone_said, true, __ATOMIC_RELAXED) || share->confined ||
	    share->log_level < LOG_ERR || fstat(STDERR_FILENO, &st) ||
	    st.st_dev != share->err_dev || st.st_ino != share->err_ino)
		return -ENETDOWN;
	dprintf(STDERR_FILENO,
		"millrace: %s[%d]: the keeper of the stack %s is gone, was it killed? Every "
		"accelerated "
		"socket fails from now on: end the program and start it again\n",
		program_invocation_short_name, (int)getpid(), share->name);
	return -ENETDOWN;
}

/* ---- Joining --------------------------------------------------------------------------------- */

struct joining {
	struct share_welcome w;
	int fds[SHARE_FDS + 2]; /* with struct share_welcome; -1: taken over */
	int *sockets;		/* [w.nsockets]; -1: not received yet, or taken over */
};

static int explain(struct mr_error *err, int code, const char *name)
{
	switch (code) {
	case -ECONNREFUSED:
		return mr_error_set(
			err, code,
			"the stack %s is no longer there: start the program anew by millrace run",
			name);
	case -EACCES:
		return mr_error_set(
			err, code,
			"the stack %s is another user's: only that user and root may use it", name);
	case -EUSERS:
		return mr_error_set(
			err, code,
			"the stack %s serves %u processes already, and no more: have the "
			"program start fewer",
			name, MR_SHARE_PROCS_MAX);
	case -EMFILE:
		return mr_error_set(err, code,
				    "the program may have too few descriptors (ulimit -n) to join "
				    "the stack %s: raise the limit",
				    name);
	case -EPROTO:
		return mr_error_set(
			err, code,
			"the stack %s was started by another build of millrace: use the "
			"same one",
			name);
	case -EEXIST:
		return mr_error_set(
			err, code,
			"the program's memory is where the stack's has to be: start it anew");
	default:
		return mr_error_set(
			err, code,
			"cannot join the stack %s (%s): free memory and descriptors, and start "
			"the program anew",
			name, strerror(-code));
	}
}

/* Receive the other sockets, in further messages. */
static int receive_sockets(int sock, struct joining *j, unsigned have)
{
	while (have < j->w.nsockets) {
		int fds[SHARE_FDS_PER_MESSAGE];
		struct share_answer more;
		unsigned nfds;
		ssize_t n = share_recv(sock, &more, sizeof(more), fds, &nfds, 0);

		if (n <= 0 || !nfds)
			return n < 0 ? (int)n : -ECONNREFUSED;
		for (unsigned i = 0; i < nfds; i++) {
			if (have < j->w.nsockets)
				j->sockets[have++] = share_fd_high(fds[i]);
			else
				close(fds[i]);
		}
	}
	return 0;
}

static int receive_welcome(int sock, uint64_t secret, struct joining *j)
{
	struct share_request rq = request(SHARE_JOIN, 0);
	int fds[SHARE_FDS_PER_MESSAGE];
	unsigned nfds, fixed;
	ssize_t n;
	int err;

	rq.secret = secret;
	err = share_send(sock, &rq, sizeof(rq), NULL, 0);
	if (err)
		return err;
	n = share_recv(sock, &j->w, sizeof(j->w), fds, &nfds, 0);
	if (n <= 0)
		return n < 0 ? (int)n : -ECONNREFUSED;
	if (n >= (ssize_t)sizeof(j->w.answer) && j->w.answer.err)
		return j->w.answer.err;
	fixed = SHARE_FDS + (j->w.has_capture ? 1u : 0u) + (j->w.ports ? 1u : 0u);
	if (n != sizeof(j->w) || j->w.magic != share_magic() || nfds < fixed) {
		for (unsigned i = 0; i < nfds; i++)
			close(fds[i]);
		return -EPROTO;
	}
	for (unsigned i = 0; i < fixed; i++)
		j->fds[i] = share_fd_high(fds[i]);
	j->sockets = malloc((j->w.nsockets ?: 1) * sizeof(int));
	for (unsigned i = 0; j->sockets && i < j->w.nsockets; i++)
		j->sockets[i] = -1;
	if (!j->sockets)
		return -ENOMEM;
	for (unsigned i = fixed; i < nfds; i++)
		if (i - fixed < j->w.nsockets)
			j->sockets[i - fixed] = share_fd_high(fds[i]);
	return receive_sockets(sock, j, nfds - fixed);
}

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Let the keeper write it, because the program may have closed the log, or may not be allowed to write it. */
static void join_log(void *user, int level, const char *text)
{
	const struct mr_share *share = user;
	struct share_line line = { .op = SHARE_LINE, .level = level };
	size_t len = mr_min(strlen(text), sizeof(line.text));
	ssize_t n;

	if (level > share->log_level || share->keeper < 0 || share->confined)
		return;
	memcpy(line.text, text, len);
	n = send(share->keeper, &line, offsetof(struct share_line, text) + len,
		 MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)n;
}

/* Map the map of ports, at the same address in every process: opening a port is a store to it. */
static int map_ports(struct mr_share *share, const struct joining *j)
{
	void *at = (void *)(uintptr_t)j->w.ports, *ports;

	if (!at)
		return 0;
	ports = mmap(at, MR_XDP_PORTS_BYTES, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED_NOREPLACE, j->fds[SHARE_FDS + j->w.has_capture], 0);
	if (ports == MAP_FAILED)
		return -errno;
	share->ports = ports;
	mr_shared_use_arbiter();
	return 0;
}

/* Make this process's struct mr_engine for the existing stack. */
static int map_engine(struct mr_engine *engine, struct joining *j)
{
	const struct share_welcome *w = &j->w;
	int err;

	engine->arena.fd = engine->umem.fd = engine->groups_fd = engine->wake_fd = -1;
	err = mr_arena_map(&engine->arena, take(&j->fds[SHARE_FD_ARENA]),
			   (void *)(uintptr_t)w->arena, w->arena_size);
	err = err   ?:
		      mr_umem_map(&engine->umem, take(&j->fds[SHARE_FD_UMEM]),
				  (void *)(uintptr_t)w->umem, w->umem_size);
	if (err)
		return err;
	engine->st = (struct mr_stack *)(uintptr_t)w->stack;
	engine->spin_ns = w->spin_ns;
	snprintf(engine->ifname, sizeof(engine->ifname), "%.15s", w->ifname);
	if (w->has_capture)
		err = mr_pcapng_join(&engine->cap, take(&j->fds[SHARE_FDS]), w->snaplen,
				     w->epoch_ns);
	err = err   ?:
		      mr_afxdp_join(&engine->dev, (void *)(uintptr_t)w->dev, j->sockets,
				    &engine->st->frames, &engine->st->ctr);
	return err ?: engine_join(engine);
}

/* share takes the array over, with the numbers that the sockets have in the device. */
static int *take_sockets(struct joining *j, const struct mr_dev *dev)
{
	int *sockets = j->sockets;

	for (unsigned i = 0; i < j->w.nsockets; i++)
		sockets[i] = mr_afxdp_fd(dev, i);
	j->sockets = NULL;
	return sockets;
}

static int join(struct mr_share *share, const char *name, uint64_t secret)
{
	struct joining j = { .fds = { -1, -1, -1, -1, -1 } };
	int err;

	share->keeper = connect_keeper(name, 0);
	if (share->keeper < 0)
		return share->keeper;
	err = receive_welcome(share->keeper, secret, &j);
	if (!err)
		err = map_ports(share, &j);
	if (!err)
		err = map_engine(share->engine, &j);
	if (!err) {
		share->c = (struct mr_commons *)(uintptr_t)j.w.commons;
		share->self = &share->c->procs[j.w.slot];
		share->events[0] = take(&j.fds[SHARE_FD_EVENT]);
		share->log_level = j.w.log_level;
		share->nsockets = j.w.nsockets;
		share->sockets = take_sockets(&j, share->engine->dev);
		share->engine->log = join_log;
		share->engine->log_user = share;
	}
	for (unsigned i = 0; i < MR_ARRAY_SIZE(j.fds); i++)
		if (j.fds[i] >= 0)
			close(j.fds[i]);
	for (unsigned i = 0; err && j.sockets && i < j.w.nsockets; i++)
		if (j.sockets[i] >= 0)
			close(j.sockets[i]);
	free(j.sockets);
	return err;
}

int mr_share_join(struct mr_share **out, const char *name, const struct mr_share_ops *ops,
		  struct mr_error *err)
{
	struct mr_share *share = share_new(ops);
	char bare[108];
	uint64_t secret = split_secret(name, bare, sizeof(bare)), pid_ns;
	int ret = -ENOMEM;
	struct stat st;

	*out = NULL;
	if (share) {
		snprintf(share->name, sizeof(share->name), "%s", bare);
		share->secret = secret;
		share->engine = calloc(1, sizeof(*share->engine));
		ret = share->engine ? join(share, bare, secret) : -ENOMEM;
	}
	if (ret) {
		explain(err, ret, bare);
		share_free(share);
		return ret;
	}
	if (!fstat(STDERR_FILENO, &st)) {
		share->err_dev = st.st_dev;
		share->err_ino = st.st_ino;
	}
	share->fd_low = mr_share_fd_next(share, 0);
	pid_ns = share_pid_ns();
	share->foreign = pid_ns && pid_ns != share->c->pid_ns;
	*out = share;
	return 0;
}

bool mr_share_is_keeper(const char *name)
{
	int sock = connect_keeper(name, SOCK_NONBLOCK);

	if (sock >= 0)
		close(sock);
	return sock >= 0;
}

/* The answer to SHARE_ENTER. A stopped keeper is not waited for. */
static int receive_entry(int sock, struct share_entry *entry, int *life)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	int fds[SHARE_FDS_PER_MESSAGE];
	unsigned nfds;
	ssize_t n;

	poll(&pfd, 1, ENTER_MS);
	n = share_recv(sock, entry, sizeof(*entry), fds, &nfds, MSG_DONTWAIT);
	if (n < 0)
		return (int)n;
	if (n == sizeof(*entry) && nfds == 1 && entry->magic == share_magic()) {
		*life = fds[0];
		return 0;
	}
	while (nfds)
		close(fds[--nfds]);
	if (n >= (ssize_t)sizeof(entry->answer) && entry->answer.err)
		return entry->answer.err;
	return n ? -EPROTO : -ECONNREFUSED;
}

int mr_share_enter(const char *name, uid_t uid, char *env, size_t size, int *life)
{
	struct share_request rq = request(SHARE_ENTER, uid);
	int sock = connect_keeper(name, SOCK_NONBLOCK), err;
	struct share_entry entry;

	if (sock < 0)
		return sock;
	err = share_send(sock, &rq, sizeof(rq), NULL, 0);
	err = err ?: receive_entry(sock, &entry, life);
	close(sock);
	if (!err)
		share_env(env, size, name, entry.secret);
	return err;
}

/* The child of a fork gets its own connection, whose end tells the keeper of an exec. Without one the keeper only
 * notices the process's end. */
void share_join_child(struct mr_share *share)
{
	int old = share->keeper;

	if (old < 0)
		return;
	if (share->confined) /* it keeps the parent's */
		return;
	share->keeper = connect_keeper(share->name, 0);
	share->asked = false; /* that was the parent's request, on the old connection */
	close(old);
	if (share->keeper >= 0)
		share->fd_low = mr_min(share->fd_low, share->keeper);
	tell(share, SHARE_HELLO, share->self->index);
}
