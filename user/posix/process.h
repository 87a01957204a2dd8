/* SPDX-License-Identifier: BSD-2-Clause */
/* process.h - what forking and executing need of the process's place in the stack. */
#ifndef MR_POSIX_PROCESS_H
#define MR_POSIX_PROCESS_H

#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Environment: this program was started with sockets of the stack among its descriptors. */
#define INHERIT_ENV "MILLRACE_INHERIT"

/* Around the call that makes a child with a copy of our memory; the end is for both, parent and child. In between
 * this thread has no signals, and no other one forks or joins, whether there is a stack or not. `shared` is what begin
 * returned: false, this process is in none. `pid` is the call's result; errno stays as it is. */
bool process_fork_begin(void);
void process_fork_end(bool shared, pid_t pid);

/* fork(), with both. */
pid_t process_fork(void);

/* The child of a fork: a thread of the parent's may have been about to start a command (call_shell.c). */
void shell_forked(void);

/* Is this system call one that forks? clone(2) and clone3(2) onto another stack are not: such a child
 * cannot return through us. */
bool process_clones(long nr, const long arg[6]);
/* Make such a child. As syscall(). */
long process_clone(long nr, const long arg[6]);
/* Are there sockets of ours that a program executed now would have? Their cookies are known then. *open: one of
 * them is sure to stay open. An epoll instance that it would have is logged, once. To be asked only where one is
 * executed. */
bool process_leaves_sockets(bool *open);
/* "NAME=value" of what made this process part of the stack: the stack's name, and the library (its path alone). */
const char *process_stack_variable(void);
/* The same for the descriptor by which the keeper sees that somebody is there; NULL: it is not open here. */
const char *process_lifeline_variable(void);
const char *process_library(void);

/* What the kernel knows the socket by; 0: none. */
uint64_t process_cookie(int fd);
/* The newest file that is known by this cookie, or NULL. With the lock held. */
struct mr_file *process_file(uint64_t cookie);
/* fd has come from elsewhere: if another process of the stack has it as one of ours, so has this one now. `landed`:
 * in a message, which is used up. */
void process_adopt(int fd, bool landed);

/* A descriptor of the stack, which the program did not make and is not to close. */
bool process_owns_fd(int fd);
/* One of them: writing to it makes SIGPIPE. -1: not joined, or it was not to be had. */
int process_broken_pipe(void);
/* The lowest of them from `from` on; -1: none. */
int process_fd_next(int from);

typedef int (*spawn_function)(pid_t *, const char *, const posix_spawn_file_actions_t *,
			      const posix_spawnattr_t *, char *const[], char *const[]);
/* Spawn a program that is given this process's references until it has found its own. */
int process_spawn(spawn_function spawn, pid_t *pid, const char *path,
		  const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		  char *const argv[], char *const envp[]);

#endif
