// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_shell.c - system, popen, pclose, fclose: commands that inherit sockets.
 * Owns        the streams of popen() here; the handling of signals during system().
 * Called by   the program; the child of a fork.
 *
 * The C library starts the shell without calling the posix_spawn() that programs see. If the shell would inherit a
 * socket of the stack, it is started by ours instead.
 */
#include <fcntl.h>
#include <paths.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "posix/posix.h"
#include "posix/process.h"

static bool inherits_sockets(void)
{
	bool open = false;

	return process_leaves_sockets(&open) && open;
}

static int spawn_shell(pid_t *pid, const char *command, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr)
{
	char sh[] = "sh", option[] = "-c", end[] = "--";
	char *const argv[] = { sh, option, end, (char *)(uintptr_t)command, NULL };

	return posix_spawn(pid, _PATH_BSHELL, actions, attr, argv, environ);
}

/* The status of a child, as from waitpid(). */
static int status_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* ---- system ---------------------------------------------------------------------------------- */

/* SIGINT and SIGQUIT are ignored while any thread waits for a command, which itself handles them as the program did
 * before. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned waiting;
static struct sigaction was_int, was_quit;

void shell_forked(void)
{
	static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	mutex = fresh;
	waiting = 0;
}

static void ignore_begin(sigset_t *defaults)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	pthread_mutex_lock(&mutex);
	if (!waiting++) {
		sigaction(SIGINT, &ignore, &was_int);
		sigaction(SIGQUIT, &ignore, &was_quit);
	}
	sigemptyset(defaults);
	if (was_int.sa_handler != SIG_IGN)
		sigaddset(defaults, SIGINT);
	if (was_quit.sa_handler != SIG_IGN)
		sigaddset(defaults, SIGQUIT);
	pthread_mutex_unlock(&mutex);
}

static void ignore_end(void)
{
	pthread_mutex_lock(&mutex);
	if (!--waiting) {
		sigaction(SIGINT, &was_int, NULL);
		sigaction(SIGQUIT, &was_quit, NULL);
	}
	pthread_mutex_unlock(&mutex);
}

static int run_shell(const char *command)
{
	sigset_t child, mask, defaults;
	posix_spawnattr_t attr;
	int status, err;
	pid_t pid;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &child, &mask);
	ignore_begin(&defaults);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setsigmask(&attr, &mask);
	err = spawn_shell(&pid, command, NULL, &attr);
	posix_spawnattr_destroy(&attr);
	status = err ? W_EXITCODE(127, 0) : status_of(pid); /* as if there were no shell */
	ignore_end();
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (err)
		errno = err;
	return status;
}

PUBLIC int system(const char *command)
{
	int status, state;

	if (!command || !inherits_sockets())
		return REAL(system)(command);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	status = run_shell(command);
	pthread_setcancelstate(state, NULL);
	return status;
}

/* ---- popen ----------------------------------------------------------------------------------- */

struct stream {
	struct stream *next;
	FILE *file;
	pid_t pid;
};

static struct stream *streams; /* under the mutex */

static struct stream *take(const FILE *file)
{
	struct stream **at, *s;

	/* Nearly always empty, and every fclose() comes here. A stream of ours is in the list before the program has
	 * it. */
	if (!__atomic_load_n(&streams, __ATOMIC_RELAXED))
		return NULL;
	pthread_mutex_lock(&mutex);
	for (at = &streams; *at && (*at)->file != file; at = &(*at)->next)
		;
	s = *at;
	if (s)
		__atomic_store_n(at, s->next, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&mutex);
	return s;
}

/* Start the shell with one end of a pipe, and without those of earlier calls (POSIX). With the mutex held. */
static int spawn_at(pid_t *pid, const char *command, int fd, int as)
{
	posix_spawn_file_actions_t actions;
	int err = posix_spawn_file_actions_init(&actions);

	if (err)
		return err;
	err = posix_spawn_file_actions_adddup2(&actions, fd, as);
	for (const struct stream *s = streams; s && !err; s = s->next)
		if (fileno(s->file) != as)
			err = posix_spawn_file_actions_addclose(&actions, fileno(s->file));
	err = err ?: spawn_shell(pid, command, &actions, NULL);
	posix_spawn_file_actions_destroy(&actions);
	return err;
}

/* Everything is prepared except the process. */
static int start(struct stream *s, const char *command, bool reads, int theirs)
{
	int err;

	pthread_mutex_lock(&mutex);
	err = spawn_at(&s->pid, command, theirs, reads ? STDOUT_FILENO : STDIN_FILENO);
	if (!err) {
		s->next = streams;
		__atomic_store_n(&streams, s, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&mutex);
	return err;
}

static FILE *open_shell(const char *command, bool reads, bool cloexec)
{
	struct stream *s = malloc(sizeof(*s));
	int fds[2], err = ENOMEM, mine = reads ? 0 : 1;

	if (!s || pipe2(fds, O_CLOEXEC) < 0) {
		free(s);
		return NULL;
	}
	s->file = REAL(fdopen)(fds[mine], reads ? "r" : "w");
	if (s->file)
		err = start(s, command, reads, fds[!mine]);
	close(fds[!mine]);
	if (err) {
		if (s->file)
			REAL(fclose)(s->file);
		else
			close(fds[mine]);
		free(s);
		errno = err;
		return NULL;
	}
	if (!cloexec)
		fcntl(fds[mine], F_SETFD, 0);
	return s->file;
}

PUBLIC FILE *popen(const char *command, const char *mode)
{
	bool reads = strchr(mode, 'r') != NULL, writes = strchr(mode, 'w') != NULL;

	if (reads != writes && inherits_sockets())
		return open_shell(command, reads, strchr(mode, 'e') != NULL);
	return REAL(popen)(command, mode);
}

/* Returns the command's status; if that is 0, an error if buffered output could not be written. */
static int end(struct stream *s, FILE *file)
{
	pid_t pid = s->pid;
	int failed;

	free(s);
	failed = REAL(fclose)(file);
	return status_of(pid) ?: failed;
}

PUBLIC int pclose(FILE *file)
{
	struct stream *s = take(file);

	return s ? end(s, file) : REAL(pclose)(file);
}

/* In the C library it is the same as pclose(), and programs depend on that. */
PUBLIC int fclose(FILE *file)
{
	struct stream *s = take(file);

	return s ? end(s, file) : REAL(fclose)(file);
}
