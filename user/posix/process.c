// SPDX-License-Identifier: BSD-2-Clause
/*
 * process.c - this process in the stack: joining, forking, its table of descriptors.
 * Owns        px_share, px_table.
 * Called by   the interposed calls. A program that makes no TCP socket and no io_uring ring never joins.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include "posix/libc.h"
#include "posix/posix.h"
#include "posix/process.h"
#include "posix/stdio.h"

struct mr_share *px_share;
uint32_t *px_table;

static pthread_mutex_t join_mutex = PTHREAD_MUTEX_INITIALIZER; /* held while joining or forking */
static enum { UNDECIDED, JOINED, NONE } state;

/* ---- Other processes ------------------------------------------------------------------------- */

static void forked(void)
{
	wait_forked();
	if (mr_share_fork_child(px_share) < 0) {
		mr_share_log(
			px_share, LOG_ERR,
			"a forked child cannot take part in the stack, which serves %u processes "
			"or has no memory left: its accelerated sockets fail, so have the program "
			"fork less",
			MR_SHARE_PROCS_MAX);
		/* px_table is still the table of the parent. */
		__atomic_store_n(&px_table, NULL, __ATOMIC_RELEASE);
		px_share = NULL;
		state = NONE;
		return;
	}
	__atomic_store_n(&px_table, mr_share_proc(px_share)->fds, __ATOMIC_RELEASE);
}

/* The thread that forks: its signals are blocked; `mask` is its signal mask from before. */
static bool fork_blocked;
static sigset_t fork_mask;

/* Hold join_mutex, because the child of a process that is just joining would stay half joined. */
bool process_fork_begin(void)
{
	sigset_t mask = { 0 };
	bool blocked = handlers_block(&mask);

	if (px_share)
		stand_apart_all();
	pthread_mutex_lock(&join_mutex);
	fork_blocked = blocked;
	fork_mask = mask;
	if (!px_share)
		return false;
	mr_share_fork_prepare(px_share);
	return true;
}

void process_fork_end(bool shared, pid_t pid)
{
	int saved = errno;
	bool blocked = fork_blocked;
	sigset_t mask = fork_mask;

	early_shared();
	if (!pid) {
		early_forked();
		shell_forked();
	}
	if (shared && pid)
		mr_share_fork_parent(px_share, pid);
	else if (shared)
		forked();
	pthread_mutex_unlock(&join_mutex);
	if (blocked)
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
	errno = saved;
}

/* fork() runs the program's pthread_atfork() handlers, which may use sockets: in the parent before the child gets its
 * table, in the child when it is a process of the stack. Our handlers are registered first, so they run last before
 * the fork, and first in the child. */
static __thread bool by_handlers;
static bool fork_shared;

static void before_fork(void)
{
	if (by_handlers)
		fork_shared = process_fork_begin();
}

static void in_child(void)
{
	if (by_handlers)
		process_fork_end(fork_shared, 0);
}

static bool has_handlers;

__attribute__((constructor(101))) static void handle_forks(void)
{
	has_handlers = !pthread_atfork(before_fork, NULL, in_child);
}

pid_t process_fork(void)
{
	bool outer = by_handlers, shared;
	pid_t pid;

	by_handlers = has_handlers;
	if (!has_handlers)
		fork_shared = process_fork_begin();
	pid = REAL(fork)();
	by_handlers = outer;
	shared = fork_shared;
	if (pid || !has_handlers)
		process_fork_end(shared, pid);
	return pid;
}

uint64_t process_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (stand_apart(fd)) /* it could not get a socket, and so a cookie, of its own */
		return 0;
	return REAL(getsockopt)(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) ? 0 : cookie;
}

bool process_leaves_sockets(bool *open)
{
	const struct mr_proc *proc;
	bool any = false;
	int epoll = -1;

	*open = false;
	if (!px_share)
		return false;
	mr_share_lock(px_share, NULL);
	proc = mr_share_proc(px_share);
	for (uint32_t fd = 0; fd < proc->fd_end; fd++) {
		struct mr_file *f;

		if (!proc->fds[fd])
			continue;
		f = file_of_entry(mr_share_root(px_share), proc->fds[fd]);
		if (f->kind == FILE_EPOLL && !f->told && !mr_list_empty(&f->watched) &&
		    !(REAL(fcntl64)((int)fd, F_GETFD) & FD_CLOEXEC)) {
			/* Only once for all processes: some make a child for each command. */
			f->told = true;
			epoll = (int)fd;
		}
		if (f->kind != FILE_EPOLL && !f->cookie)
			f->cookie = process_cookie((int)fd);
		if (f->kind != FILE_STREAM)
			continue;
		any = true;
		*open |= !(REAL(fcntl64)((int)fd, F_GETFD) & FD_CLOEXEC);
	}
	mr_share_unlock(px_share);
	if (epoll >= 0)
		mr_share_log(px_share, LOG_NOTICE,
			     "a program inherits epoll instance %d, which will tell it nothing of "
			     "the stack's sockets",
			     epoll);
	return any;
}

/* Spawn attributes with the signal mask that this thread had before, or the one that the program has set. */
static const posix_spawnattr_t *unblocked(const posix_spawnattr_t *attr, posix_spawnattr_t *changed)
{
	short flags = 0;

	if (!fork_blocked)
		return attr;
	if (attr)
		*changed = *attr;
	else
		posix_spawnattr_init(changed);
	posix_spawnattr_getflags(changed, &flags);
	if (flags & POSIX_SPAWN_SETSIGMASK)
		return attr;
	posix_spawnattr_setflags(changed, (short)(flags | POSIX_SPAWN_SETSIGMASK));
	posix_spawnattr_setsigmask(changed, &fork_mask);
	return changed;
}

/* The child counts as forked until it has adopted what it inherited. If it never does, the keeper releases it. */
int process_spawn(spawn_function spawn, pid_t *pid, const char *path,
		  const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		  char *const argv[], char *const envp[])
{
	posix_spawnattr_t changed;
	bool shared = process_fork_begin();
	pid_t child = -1;
	int ret;

	ret = spawn(&child, path, actions, unblocked(attr, &changed), argv, envp);
	process_fork_end(shared, ret ? -1 : child);
	if (!ret && pid)
		*pid = child;
	return ret;
}

struct mr_file *process_file(uint64_t cookie)
{
	struct mr_posix *px = mr_share_root(px_share);

	for (struct mr_list *pos = px->all_files.prev; pos != &px->all_files; pos = pos->prev) {
		struct mr_file *f = mr_list_entry(pos, struct mr_file, all_node);

		if (f->cookie == cookie)
			return f;
	}
	return NULL;
}

/* fd is a kernel socket that this process has got, by exec or in a message (`landed`). If a file of the stack has it,
 * fd refers to that file now. Files in messages are used last. With the lock held. */
static bool adopt_one(int fd, uint64_t cookie, bool landed)
{
	struct mr_file *f = process_file(cookie);

	if (!f)
		return false;
	file_hold(f);
	if (landed)
		file_land(px_share, f);
	fd_becomes(fd, f);
	return true;
}

int kernel_option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return REAL(getsockopt)(fd, SOL_SOCKET, name, &value, &len) ? -1 : value;
}

int kernel_endpoint(int fd, int (*ask)(int, struct sockaddr *, socklen_t *), struct mr_endpoint *ep)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	*ep = (struct mr_endpoint){ 0 };
	if (ask(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	return addr_to_endpoint((struct sockaddr *)&ss, len, ep, NULL);
}

/* Record a socket that this process had before it joined. If it neither listens nor is connected, it may still be
 * accelerated. */
static void note_earlier(int fd)
{
	int domain = kernel_option(fd, SO_DOMAIN);
	bool tcp = kernel_option(fd, SO_PROTOCOL) == IPPROTO_TCP, connected;
	struct mr_endpoint local, peer;

	if (domain != AF_INET && domain != AF_INET6)
		return;
	kernel_endpoint(fd, REAL(getsockname), &local);
	connected = !kernel_endpoint(fd, REAL(getpeername), &peer);
	if (!tcp || connected || kernel_option(fd, SO_ACCEPTCONN) > 0)
		fd_kernel(fd, tcp ? REASON_BEFORE : REASON_UDP, &local, &peer);
	else if (!early_known(fd)) /* otherwise more is known about it */
		early_socket(fd);
}

static void adopt_fd(int fd, bool landed)
{
	uint64_t cookie;
	bool adopted;

	if (mr_share_owns_fd(px_share, fd))
		return;
	cookie = process_cookie(fd);
	if (!cookie)
		return;
	mr_share_lock(px_share, NULL);
	adopted = adopt_one(fd, cookie, landed);
	mr_share_unlock(px_share);
	if (!adopted)
		note_earlier(fd);
}

static void adopt(void)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (entry->d_name[0] != '.' && (uint32_t)fd < MR_SHARE_FDS_MAX)
			adopt_fd(fd, false);
	}
	/* Without /proc, as in a chroot, try every number. */
	for (int fd = 0; !dir && fd < (int)MR_SHARE_FDS_MAX; fd++)
		adopt_fd(fd, false);
	if (dir)
		closedir(dir);
	mr_share_adopted(px_share);
	stdio_adopt();
}

/* ---- Joining --------------------------------------------------------------------------------- */

/* Read from the environment before the program can change it; "": none. */
static char stack_name[128];
static bool strict;
static int lifeline = -1, broken_pipe = -1;
static char lifeline_text[48];

/* A program that was executed in between, without this library, may have closed it, so that the number is another
 * file's. */
static int find_lifeline(const char *text)
{
	char *end;
	int fd = (int)strtol(text, &end, 10);
	struct stat st;

	if (*end != ':' || libc_fstat(fd, &st) < 0)
		return -1;
	return S_ISFIFO(st.st_mode) && st.st_ino == strtoull(end + 1, NULL, 10) ? fd : -1;
}

__attribute__((constructor(101))) static void read_environment(void)
{
	snprintf(stack_name, sizeof(stack_name), "%s", getenv(MR_SHARE_ENV) ?: "");
	strict = getenv("MILLRACE_STRICT") != NULL;
	snprintf(lifeline_text, sizeof(lifeline_text), "%s", getenv(MR_SHARE_LIFE_ENV) ?: "");
	lifeline = find_lifeline(lifeline_text);
}

bool process_owns_fd(int fd)
{
	return fd >= 0 &&
	       (fd == lifeline || fd == broken_pipe || fd == stand_common(false) ||
		fd == stand_common(true) || (px_share && mr_share_owns_fd(px_share, fd)));
}

static int lower(int a, int b, int from)
{
	return a >= from && (b < 0 || a < b) ? a : b;
}

int process_fd_next(int from)
{
	int fd = px_share ? mr_share_fd_next(px_share, from) : -1;

	fd = lower(stand_common(false), lower(stand_common(true), fd, from), from);
	return lower(lifeline, lower(broken_pipe, fd, from), from);
}

int process_broken_pipe(void)
{
	return broken_pipe;
}

/* Early, while descriptors can be made: programs lower their limit before they install a seccomp filter. */
static void make_broken_pipe(void)
{
	int fds[2], high;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return;
	REAL(close)(fds[0]);
	high = REAL(fcntl64)(fds[1], F_DUPFD_CLOEXEC, mr_share_fd_next(px_share, 0));
	broken_pipe = high < 0 ? fds[1] : high;
	if (high >= 0)
		REAL(close)(fds[1]);
}

const char *process_stack_variable(void)
{
	static char text[sizeof(MR_SHARE_ENV) + sizeof(stack_name)];

	snprintf(text, sizeof(text), MR_SHARE_ENV "=%s", stack_name);
	return text;
}

const char *process_lifeline_variable(void)
{
	static char text[sizeof(MR_SHARE_LIFE_ENV) + sizeof(lifeline_text)];

	if (lifeline < 0)
		return NULL;
	snprintf(text, sizeof(text), MR_SHARE_LIFE_ENV "=%s", lifeline_text);
	return text;
}

const char *process_library(void)
{
	Dl_info info;

	return dladdr(&px_share, &info) ? info.dli_fname : "";
}

bool px_offered(void)
{
	return state == JOINED || (state == UNDECIDED && *stack_name);
}

static int join(void)
{
	static struct mr_share_ops ops;
	struct mr_error err;
	struct mr_share *share;
	int ret;

	if (!*stack_name)
		return -ENOENT;
	ops = mr_posix_ops; /* also the keeper's table, which has no outside() */
	ops.outside = handlers_owed;
	ret = mr_share_join(&share, stack_name, &ops, &err);
	if (ret) {
		dprintf(STDERR_FILENO, "millrace: %s: %s; its sockets are the kernel's\n",
			program_invocation_short_name, err.text);
		if (strict)
			_exit(125);
		return ret;
	}
	px_share = share;
	make_broken_pipe();
	__atomic_store_n(&px_table, mr_share_proc(share)->fds, __ATOMIC_RELEASE);
	adopt();
	return 0;
}

bool px_join(void)
{
	int saved = errno;
	sigset_t mask;
	bool blocked;

	if (mr_likely(__atomic_load_n(&state, __ATOMIC_ACQUIRE) != UNDECIDED))
		return state == JOINED;
	blocked = handlers_block(&mask);
	pthread_mutex_lock(&join_mutex);
	if (state == UNDECIDED)
		__atomic_store_n(&state, join() ? NONE : JOINED, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&join_mutex);
	if (blocked)
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
	errno = saved;
	return state == JOINED;
}

/* A program that was executed with sockets of the stack has to join at its start. */
__attribute__((constructor)) static void start(void)
{
	if (getenv(INHERIT_ENV)) {
		unsetenv(INHERIT_ENV);
		px_join();
	}
}

void process_adopt(int fd, bool landed)
{
	if ((uint32_t)fd < MR_SHARE_FDS_MAX && kernel_option(fd, SO_PROTOCOL) == IPPROTO_TCP &&
	    px_join())
		adopt_fd(fd, landed);
}

/* ---- The table ------------------------------------------------------------------------------- */

struct mr_file *fd_get_any(int fd)
{
	struct mr_file *f = NULL;

	mr_share_lock(px_share, NULL);
	if (px_table[fd])
		f = file_of_entry(mr_share_root(px_share), px_table[fd]);
	if (!f)
		mr_share_unlock(px_share);
	else if (f->sock)
		mr_share_touch(px_share, f->sock);
	return f;
}

struct mr_file *fd_get(int fd)
{
	struct mr_file *f = fd_get_any(fd);

	if (f && f->kind != FILE_STREAM) {
		mr_share_unlock(px_share);
		return NULL;
	}
	return f;
}

void fd_done(void)
{
	mr_share_unlock(px_share);
}

void fd_kernel(int fd, enum mr_reason reason, const struct mr_endpoint *local,
	       const struct mr_endpoint *peer)
{
	struct mr_file *f;

	if (!px_share || (uint32_t)fd >= MR_SHARE_FDS_MAX)
		return;
	mr_share_lock(px_share, NULL);
	table_clear(px_share, mr_share_proc(px_share), fd);
	f = file_new(mr_share_root(px_share), FILE_KERNEL);
	if (f) {
		f->reason = (uint8_t)reason;
		if (local)
			f->local = *local;
		if (peer)
			f->peer = *peer;
		table_set(px_share, mr_share_proc(px_share), fd, f);
	}
	mr_share_unlock(px_share);
}

void fd_becomes(int fd, struct mr_file *f)
{
	struct mr_proc *self = mr_share_proc(px_share);

	table_clear(px_share, self, fd);
	table_set(px_share, self, fd, f);
}

void fd_forget(int fd)
{
	early_forget(fd);
	if (!fd_known(fd))
		return;
	mr_share_lock(px_share, NULL);
	table_clear(px_share, mr_share_proc(px_share), fd);
	mr_share_unlock(px_share);
}

void fd_copied(int from, int to)
{
	early_copied(from, to);
	stdio_follow(to);
	if (!fd_known(from) || (uint32_t)to >= MR_SHARE_FDS_MAX)
		return;
	mr_share_lock(px_share, NULL);
	if (px_table[from]) {
		struct mr_file *f = file_of_entry(mr_share_root(px_share), px_table[from]);

		file_hold(f);
		fd_becomes(to, f);
	}
	mr_share_unlock(px_share);
}
