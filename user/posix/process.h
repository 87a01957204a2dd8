/* SPDX-License-Identifier: BSD-2-Clause */
/* process.h - fork, exec, and the place of this process in the stack. */
#ifndef MR_POSIX_PROCESS_H
#define MR_POSIX_PROCESS_H

#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Environment variable: the program has sockets of the stack among its inherited descriptors. */
#define INHERIT_ENV "MILLRACE_INHERIT"

/* To be called around the call that makes a child with a copy of our memory; process_fork_end() in parent and child.
 * In between, this thread's signals are blocked, and no other thread forks or joins, whether there is a stack or not.
 * `shared`: result of begin; false: this process has not joined. `pid`: result of the call; errno is not changed. */
bool process_fork_begin(void);
void process_fork_end(bool shared, pid_t pid);

/* fork() with both. */
pid_t process_fork(void);

/* In the child of a fork, when a thread of the parent may have been starting a command (call_shell.c). */
void shell_forked(void);

/* Does this system call fork? clone(2) and clone3(2) with another stack do not count: such a child cannot return
 * through this library. */
bool process_clones(long nr, const long arg[6]);
/* Make such a child. Results are those of syscall(). */
long process_clone(long nr, const long arg[6]);
/* Would a program that is executed now inherit sockets of the stack? Reads their cookies, too. *open: one of them
 * will certainly stay open. Logs, once, an epoll instance that it would inherit. To be called only before an exec. */
bool process_leaves_sockets(bool *open);
/* "NAME=value" of the environment variable with the stack's name (MR_SHARE_ENV). */
const char *process_stack_variable(void);
/* The same for the descriptor of MR_SHARE_LIFE_ENV; NULL: it is not open here. */
const char *process_lifeline_variable(void);
/* The path of this library. */
const char *process_library(void);

/* SO_COOKIE of a kernel socket; 0: none. */
uint64_t process_cookie(int fd);
/* The newest file with this cookie, or NULL. With the lock held. */
struct mr_file *process_file(uint64_t cookie);
/* fd was received or inherited: if another process of the stack has it as an accelerated socket, this one has it now,
 * too. `landed`: it was in a message, which has been received. */
void process_adopt(int fd, bool landed);

/* Does this descriptor belong to the stack? Then the program must not close it. */
bool process_owns_fd(int fd);
/* A descriptor of the stack whose write(2) raises SIGPIPE; -1: not joined, or it could not be made. */
int process_broken_pipe(void);
/* The lowest descriptor of the stack >= from; -1: none. */
int process_fd_next(int from);

typedef int (*spawn_function)(pid_t *, const char *, const posix_spawn_file_actions_t *,
			      const posix_spawnattr_t *, char *const[], char *const[]);
/* Spawn a program, and give it this process's references until it has adopted its own. */
int process_spawn(spawn_function spawn, pid_t *pid, const char *path,
		  const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		  char *const argv[], char *const envp[]);

#endif
