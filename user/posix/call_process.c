// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_process.c - fork, exec and posix_spawn: sockets in other processes.
 * Called by   the program.
 *
 * A forked child gets its table before it exists (mr_share_fork_prepare()). A program that is executed finds what it
 * has inherited by the cookies of the kernel sockets, so these are read before the exec; MILLRACE_INHERIT in its
 * environment tells it to join at once, and not at its first socket.
 *
 * The functions of the C library that fork by themselves (daemon, forkpty) are implemented here with ours.
 */
#include <fcntl.h>
#include <pty.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>
#include <utmp.h>
#include "base/compiler.h"
#include "posix/posix.h"
#include "posix/process.h"

/* ---- fork ------------------------------------------------------------------------------------ */

PUBLIC pid_t fork(void)
{
	return process_fork();
}

/* A child that shares our memory could not have a table of its own: fork instead. */
PUBLIC pid_t vfork(void)
{
	return process_fork();
}

PUBLIC pid_t _Fork(void)
{
	bool shared;
	pid_t pid;

	if (!REAL(_Fork))
		return process_fork();
	shared = process_fork_begin();
	pid = REAL(_Fork)();
	process_fork_end(shared, pid);
	return pid;
}

PUBLIC int daemon(int nochdir, int noclose)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid < 0 ? -1 : (_exit(0), 0);
	if (setsid() < 0 || (!nochdir && chdir("/") < 0))
		return -1;
	if (noclose)
		return 0;
	fd = open("/dev/null", O_RDWR);
	if (fd < 0)
		return -1;
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
	return 0;
}

PUBLIC pid_t forkpty(int *master, char *name, const struct termios *term,
		     const struct winsize *size)
{
	int m, s;
	pid_t pid;

	if (openpty(&m, &s, name, term, size) < 0)
		return -1;
	pid = fork();
	if (!pid) {
		close(m);
		if (login_tty(s))
			_exit(1);
		return 0;
	}
	close(s);
	if (pid < 0)
		close(m);
	else
		*master = m;
	return pid;
}

/* ---- exec ------------------------------------------------------------------------------------ */

static size_t count(char *const list[])
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* How many of our variables a new environment may need: see below. */
#define OUR_VARIABLES 4u

static const char *variable(char *const envp[], const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; envp && envp[i]; i++)
		if (!strncmp(envp[i], name, len) && envp[i][len] == '=')
			return envp[i] + len + 1;
	return NULL;
}

/* Does a program with this environment belong to the same stack as this process? If it inherits open sockets of the
 * stack it must, even if it was given an environment without our variables: nginx executes its successor like that. */
static bool keeps_stack(char *const envp[], bool open)
{
	return open || variable(envp, MR_SHARE_ENV);
}

/* Bytes for what new_environment() writes: this library before those that are preloaded already. */
static size_t preload_size(char *const envp[])
{
	return sizeof("LD_PRELOAD=:") + strlen(process_library()) +
	       strlen(variable(envp, "LD_PRELOAD") ?: "");
}

/* Write the environment with MILLRACE_INHERIT, and with the variables that are missing, into room for count(envp) +
 * OUR_VARIABLES + 1 pointers. */
static void new_environment(char *const envp[], char **out, char *preload, size_t size)
{
	static char mark[] = INHERIT_ENV "=1";
	const char *library = process_library(), *others = variable(envp, "LD_PRELOAD");
	bool has_library = others && strstr(others, library);

	for (size_t i = 0; envp && envp[i]; i++)
		if (has_library || strncmp(envp[i], "LD_PRELOAD=", strlen("LD_PRELOAD=")) != 0)
			*out++ = envp[i];
	*out++ = mark;
	if (!has_library) {
		snprintf(preload, size, "LD_PRELOAD=%s%s%s", library, others ? ":" : "",
			 others ?: "");
		*out++ = preload;
	}
	if (!variable(envp, MR_SHARE_ENV))
		*out++ = (char *)(uintptr_t)process_stack_variable();
	if (!variable(envp, MR_SHARE_LIFE_ENV) && process_lifeline_variable())
		*out++ = (char *)(uintptr_t)process_lifeline_variable();
	*out = NULL;
}

/* Log it if the program's sockets will be kernel sockets. */
static void tell_left_out(const char *program, char *const envp[])
{
	/* This process may not have joined itself, as squid's first process. */
	if ((getuid() != geteuid() || getgid() != getegid()) && px_offered() && px_join())
		mr_share_log(px_share, LOG_NOTICE,
			     "%s is executed with the rights of another user or group than the "
			     "process's own, so that no library is preloaded: its sockets are the "
			     "kernel's",
			     program);
	else if (px_share && !variable(envp, MR_SHARE_ENV))
		mr_share_log(
			px_share, LOG_NOTICE,
			"%s is executed without MILLRACE_STACK in its environment: its sockets are "
			"the kernel's",
			program);
}

/* Call `run` with an environment that says that there are sockets to inherit, if there are any. */
#define WITH_ENVIRONMENT(program, envp, new_envp, run)                                             \
	do {                                                                                       \
		char **new_envp = NULL;                                                            \
		bool open_;                                                                        \
		if (process_leaves_sockets(&open_) && keeps_stack(envp, open_)) {                  \
			size_t size_ = preload_size(envp);                                         \
			new_envp = alloca((count(envp) + OUR_VARIABLES + 1) * sizeof(*new_envp));  \
			new_environment(envp, new_envp, alloca(size_), size_);                     \
		} else {                                                                           \
			tell_left_out(program, envp);                                              \
		}                                                                                  \
		run;                                                                               \
	} while (0)

PUBLIC int execve(const char *path, char *const argv[], char *const envp[])
{
	int ret;

	WITH_ENVIRONMENT(path, envp, changed, ret = REAL(execve)(path, argv, changed ?: envp));
	return ret;
}

PUBLIC int execvpe(const char *file, char *const argv[], char *const envp[])
{
	int ret;

	WITH_ENVIRONMENT(file, envp, changed, ret = REAL(execvpe)(file, argv, changed ?: envp));
	return ret;
}

PUBLIC int fexecve(int fd, char *const argv[], char *const envp[])
{
	int ret;

	WITH_ENVIRONMENT("a program", envp, changed,
			 ret = REAL(fexecve)(fd, argv, changed ?: envp));
	return ret;
}

PUBLIC int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
	int ret;

	WITH_ENVIRONMENT(
		path, envp, changed,
		ret = (int)REAL(syscall)(SYS_execveat, dir, path, argv, changed ?: envp, flags));
	return ret;
}

PUBLIC int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

PUBLIC int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* The arguments of execl(), execlp() and execle(), up to the NULL. */
#define COLLECT(argv, first, ap)                                                                   \
	char **argv;                                                                               \
	size_t argc_ = 1;                                                                          \
	va_start(ap, first);                                                                       \
	while (va_arg(ap, char *))                                                                 \
		argc_++;                                                                           \
	va_end(ap);                                                                                \
	argv = alloca((argc_ + 1) * sizeof(*argv));                                                \
	argv[0] = (char *)(uintptr_t)(first);                                                      \
	va_start(ap, first);                                                                       \
	for (size_t i_ = 1; i_ <= argc_; i_++)                                                     \
	argv[i_] = va_arg(ap, char *)

PUBLIC int execl(const char *path, const char *first, ...)
{
	va_list ap;

	COLLECT(argv, first, ap);
	va_end(ap);
	return execve(path, argv, environ);
}

PUBLIC int execlp(const char *file, const char *first, ...)
{
	va_list ap;

	COLLECT(argv, first, ap);
	va_end(ap);
	return execvpe(file, argv, environ);
}

PUBLIC int execle(const char *path, const char *first, ...)
{
	char *const *envp;
	va_list ap;

	COLLECT(argv, first, ap);
	envp = va_arg(ap, char *const *);
	va_end(ap);
	return execve(path, argv, envp);
}

/* ---- posix_spawn ----------------------------------------------------------------------------- */

PUBLIC int posix_spawn(pid_t *restrict pid, const char *restrict path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *restrict attr, char *const argv[restrict],
		       char *const envp[restrict])
{
	int ret;

	WITH_ENVIRONMENT(path, envp, changed,
			 ret = process_spawn(REAL(posix_spawn), pid, path, actions, attr, argv,
					     changed ?: envp));
	return ret;
}

PUBLIC int posix_spawnp(pid_t *restrict pid, const char *restrict file,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *restrict attr, char *const argv[restrict],
			char *const envp[restrict])
{
	int ret;

	WITH_ENVIRONMENT(file, envp, changed,
			 ret = process_spawn(REAL(posix_spawnp), pid, file, actions, attr, argv,
					     changed ?: envp));
	return ret;
}
