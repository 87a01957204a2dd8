// SPDX-License-Identifier: BSD-2-Clause
/*
 * posix_conf_process.c - cases of posix_conf: fork(), clone(), exec() and their kin.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/compiler.h"
#include "posix_conf.h"

/* The child has the connection now: what it says, and how it ends. */
static void hear_child(struct conn c, pid_t pid)
{
	int status;

	close(c.fd);
	T(peer("recv %d -1", c.h));
	T(waitpid(pid, &status, 0) == pid);
	T(status);
	peer("close %d", c.h);
}

void case_fork(void)
{
	struct conn c = passive();
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(send(c.fd, "abc", 3, 0) == 3 ? 0 : 1);
	T(waitpid(pid, &status, 0) == pid);
	T(status);
	T(peer("recv %d 3", c.h));
	T(send(c.fd, "def", 3, 0));
	T(peer("recv %d 3", c.h));
	pid = fork();
	if (!pid) {
		usleep(100000);
		_exit(send(c.fd, "ghi", 3, 0) == 3 ? 0 : 1);
	}
	close(c.fd);
	T(peer("recv %d 3", c.h));
	T(peer("recv %d -1", c.h));
	T(waitpid(pid, &status, 0) == pid);
	peer("close %d", c.h);
}

/* ---- Processes that the C library has not made ----------------------------------------------- */

static pid_t clone_plain(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static pid_t clone_in_namespace(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
}

static pid_t clone_third(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* The child sends and is killed at any point of it: on a connection that may not outlive that. */
static void clone_and_kill(pid_t (*make)(void))
{
	struct conn c = passive();
	int status;

	for (int i = 0; i < 60; i++) {
		pid_t pid = make();

		if (!pid)
			for (;;)
				send(c.fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (pid < 0)
			die("clone");
		usleep((useconds_t)(500 + 37 * i));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	finish(c);
}

void case_clone(void)
{
	pid_t (*const make[])(void) = { clone_plain, clone_in_namespace, clone_third };

	for (size_t i = 0; i < MR_ARRAY_SIZE(make); i++) {
		struct conn c = passive();
		int status;
		pid_t pid = make[i]();

		if (!pid)
			_exit(send(c.fd, "abc", 3, 0) == 3 ? 0 : 1);
		T(waitpid(pid, &status, 0) == pid);
		T(status);
		T(peer("recv %d 3", c.h));
		clone_and_kill(make[i]);
		T(send(c.fd, "def", 3, 0));
		T(peer("recv %d 3", c.h));
		finish(c);
	}
}

static int close_and_end(void *arg)
{
	int fd = *(int *)arg;

	return send(fd, "abc", 3, 0) == 3 && !close(fd) ? 7 : 1;
}

/* A child with memory of its own, and one like vfork()'s, close what is the parent's, too. */
void case_clone_function(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	const int flags[] = { SIGCHLD, CLONE_VM | CLONE_VFORK | SIGCHLD };

	for (size_t i = 0; i < MR_ARRAY_SIZE(flags); i++) {
		struct conn c = passive();
		int status;
		pid_t pid = clone(close_and_end, stack + sizeof(stack), flags[i], &c.fd);

		T(waitpid(pid, &status, 0) == pid);
		T(WEXITSTATUS(status));
		T(peer("recv %d 3", c.h));
		T(send(c.fd, "def", 3, 0));
		T(peer("recv %d 3", c.h));
		finish(c);
	}
}

/* Each child has its descriptors, however soon the one before it has ended. */
void case_fork_often(void)
{
	struct conn c = passive();
	int status, failed = 0;

	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, &status, 0);
		pid = fork();
		if (!pid) {
			usleep(3000);
			_exit(send(c.fd, "abc", 3, MSG_NOSIGNAL) == 3 ? 0 : 1);
		}
		waitpid(pid, &status, 0);
		failed += status != 0;
	}
	T(failed);
	T(peer("recv %d 300", c.h));
	close(c.fd);
	T(peer("recv %d -1", c.h));
	peer("close %d", c.h);
}

/* Handlers of fork() use sockets. What the child's closes stays the parent's. */
static int atfork_fd = -1, atfork_sent;

static void atfork_send(int weight)
{
	if (atfork_fd >= 0)
		atfork_sent += weight * (int)send(atfork_fd, "x", 1, 0);
}

static void atfork_prepare(void)
{
	atfork_send(1);
}

static void atfork_parent(void)
{
	atfork_send(10);
}

static void atfork_child(void)
{
	atfork_send(100);
	if (atfork_fd >= 0)
		close(atfork_fd);
}

void case_fork_handlers(void)
{
	struct conn c = active();
	int status;
	pid_t pid;

	pthread_atfork(atfork_prepare, atfork_parent, atfork_child);
	atfork_fd = c.fd;
	pid = fork();
	if (!pid)
		_exit(atfork_sent == 101 && send(c.fd, "x", 1, 0) < 0 && errno == EBADF ? 7 : 1);
	waitpid(pid, &status, 0);
	atfork_fd = -1;
	T(WEXITSTATUS(status));
	T(atfork_sent);
	T(send(c.fd, "abc", 3, 0));
	T(peer("recv %d 6", c.h));
	finish(c);
}

/* Serve `n` connections, or until no other comes. How many there were. */
static int serve_some(int l, int n)
{
	struct pollfd pfd = { .fd = l, .events = POLLIN };
	int served = 0;

	while (served < n && poll(&pfd, 1, 5 * SECOND_MS) > 0) {
		int fd = accept(l, NULL, NULL);

		if (fd < 0)
			continue;
		served += send(fd, "abc", 3, 0) == 3;
		close(fd);
	}
	return served;
}

/* Workers that are forked when the socket is bound, each of which calls listen(): they listen by the same one. Another
 * process has it that changes its flags and knows of no stack. */
void case_fork_listen(void)
{
	int fd = new_socket(), port, fds[2], status, served = 0;
	pid_t pid[2];
	char byte;
	long h;

	T(bind_any(fd, 0));
	port = port_of(fd);
	T(pipe(fds));
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			listen(fd, 8);
			nonblocking(fd);
			if (write(fds[1], "x", 1) != 1)
				_exit(99);
			_exit(serve_some(fd, 4));
		}
		if (read(fds[0], &byte, 1) != 1)
			die("read");
	}
	T(fcntl(fd, F_SETFL, 0));
	for (int i = 0; i < 8; i++) {
		h = peer("connect %s %d", local_addr, port);
		if (peer("recv %ld 3", h) != 3)
			SAY("connection %d is not served", i);
		peer("close %ld", h);
	}
	for (int i = 0; i < 2; i++) {
		waitpid(pid[i], &status, 0);
		served += WEXITSTATUS(status);
		T(WEXITSTATUS(status));
	}
	T(served);
	close(fds[0]);
	close(fds[1]);
	close(fd);
}

void case_fork_accept(void)
{
	int l = listener(), status;
	long h;
	pid_t pid = fork();

	if (!pid) {
		int fd = accept(l, NULL, NULL);

		_exit(fd >= 0 && send(fd, "abc", 3, 0) == 3 ? 0 : 1);
	}
	h = peer("connect %s %d", local_addr, port_of(l));
	close(l);
	T(peer("recv %ld 3", h));
	T(peer("recv %ld -1", h));
	T(waitpid(pid, &status, 0) == pid);
	T(status);
	peer("close %ld", h);
}

void case_exec(void)
{
	struct conn c = passive();
	int status;
	pid_t pid = fork();

	if (!pid) {
		dup2(c.fd, 1);
		execlp("echo", "echo", "from", "a", "program", NULL);
		_exit(1);
	}
	hear_child(c, pid);
	c = active();
	fcntl(c.fd, F_SETFD, FD_CLOEXEC);
	pid = fork();
	if (!pid) {
		execlp("sleep", "sleep", "1", NULL);
		_exit(1);
	}
	close(c.fd);
	T(peer("recv %d -1", c.h));
	T(waitpid(pid, &status, 0) == pid);
	peer("close %d", c.h);
}

/* On descriptor 9: the shell knows numbers of one digit. */
static struct conn ninth(void)
{
	struct conn c = passive();

	dup2(c.fd, 9);
	close(c.fd);
	c.fd = 9;
	return c;
}

void case_system(void)
{
	struct conn c = ninth();

	T(system("echo from system >&9"));
	T(peer("recv %d 12", c.h));
	T(system("exit 3") == 3 << 8);
	T(system("kill -9 $$"));
	T(system(NULL) != 0);
	/* It has the connection longer than we. */
	T(system("(sleep 0.2; echo late) >&9 &"));
	close(c.fd);
	T(peer("recv %d -1", c.h));
	peer("close %d", c.h);
}

void case_popen(void)
{
	int (*volatile end)(FILE *) = fclose; /* the compiler warns of it, by its name */
	struct conn c = ninth();
	FILE *a, *b;
	char line[32];

	a = popen("head -c 5 <&9", "re");
	T(peer("send %d 5", c.h));
	T(fread(line, 1, sizeof(line), a));
	T(memcmp(line, "ppppp", 5));
	T(pclose(a));
	a = popen("cat >&9", "w");
	b = popen("cat >&9; exit 4", "w"); /* without the end that the other waits to be closed */
	T(fprintf(a, "abc"));
	T(fprintf(b, "def"));
	T(pclose(a));
	T(pclose(b) == 4 << 8);
	T(peer("recv %d 6", c.h));
	T(popen("true", "x") == NULL);
	a = popen("exit 5", "r");
	T(end(a) == 5 << 8); /* the same as pclose() */
	T(waitpid(-1, NULL, WNOHANG));
	a = popen("cat >&9", "w"); /* it may stand where the one before did */
	T(fprintf(a, "ghi"));
	T(end(a));
	T(peer("recv %d 3", c.h));
	T(waitpid(-1, NULL, WNOHANG));
	finish(c);
	a = popen("echo without", "r");
	T(fgets(line, sizeof(line), a) != NULL);
	T(pclose(a));
}

static void *start_commands(void *stop)
{
	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED))
		pclose(popen("true", "r"));
	return NULL;
}

/* One thread forks while another starts commands: the child can, too. */
void case_fork_beside_popen(void)
{
	struct conn c = passive();
	int status, failed = 0;
	pthread_t thread;
	bool stop = false;

	pthread_create(&thread, NULL, start_commands, &stop);
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(30);
			_exit(system("true") ? 1 : 0);
		}
		waitpid(pid, &status, 0);
		failed += status != 0;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	T(failed);
	finish(c);
}

static int exec_at(char *const argv[])
{
	return execveat(AT_FDCWD, "/bin/echo", argv, environ, 0);
}

static int exec_by_number(char *const argv[])
{
	return (int)syscall(SYS_execve, "/bin/echo", argv, environ);
}

void case_exec_others(void)
{
	int (*const ways[])(char *const argv[]) = { exec_at, exec_by_number };
	char echo[] = "echo", word[] = "there";
	char *const argv[] = { echo, word, NULL };

	for (size_t i = 0; i < MR_ARRAY_SIZE(ways); i++) {
		struct conn c = passive();
		pid_t pid = fork();

		if (!pid) {
			dup2(c.fd, 1);
			_exit(ways[i](argv) ? 1 : 2);
		}
		hear_child(c, pid);
	}
}

/* The new program's environment is empty: nginx executes its successor with hardly more. */
void case_exec_bare(void)
{
	struct conn c = passive();
	char *none[] = { NULL };
	pid_t pid = fork();

	if (!pid) {
		dup2(c.fd, 1);
		execle("/bin/echo", "echo", "from", "a", "program", NULL, none);
		_exit(1);
	}
	hear_child(c, pid);
}

/* Standard streams, on a connection for a while. */
void case_streams_move(void)
{
	struct conn c = passive();
	int in = dup(0), out = dup(1), n;
	char word[8] = "";

	printf("  there since before");
	dup2(c.fd, 1);
	printf(", there\n");
	fflush(stdout);
	dup2(out, 1);
	T(peer("recv %d 27", c.h));
	close(1);
	if (dup(c.fd) != 1)
		die("dup");
	n = printf("%05d", 7);
	fflush(stdout);
	dup2(out, 1);
	T(n);
	T(peer("recv %d 5", c.h));
	dup2(c.fd, 0);
	T(peer("send %d 5", c.h));
	T(getchar());
	T(fgets(word, 3, stdin) == word);
	SAY("%s", word);
	dup2(in, 0);
	T(scanf("%1s", word)); /* what was read already */
	SAY("%s", word);
	close(in);
	close(out);
	finish(c);
}

/* accept() gives the number of standard output, which a child prints to. */
void case_streams_accepted(void)
{
	int l = listener(), status = -1;
	long h;
	pid_t pid;

	h = peer("connect %s %d", local_addr, port_of(l));
	await(l, POLLIN);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(1);
		if (accept(l, NULL, NULL) != 1)
			_exit(1);
		printf("%s\n", "hello");
		_exit(fflush(stdout) ? 2 : 0);
	}
	waitpid(pid, &status, 0);
	T(status);
	T(peer("recv %ld -1", h));
	T(peer("close %ld", h));
	close(l);
}

/* What the limit of address space leaves, in a process that has a connection. */
void case_address_space(void)
{
	const struct rlimit limit = { 200 << 20, 300 << 20 };
	struct conn c = active();
	struct rlimit now;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		T(setrlimit(RLIMIT_AS, &limit));
		T(getrlimit(RLIMIT_AS, &now));
		SAY("%llu, %llu", (unsigned long long)now.rlim_cur,
		    (unsigned long long)now.rlim_max);
		T(prlimit(0, RLIMIT_AS, NULL, &now));
		SAY("%llu, %llu", (unsigned long long)now.rlim_cur,
		    (unsigned long long)now.rlim_max);
		T(mmap(NULL, 100 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		  MAP_FAILED);
		T(mmap(NULL, 200 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		  MAP_FAILED);
		T(send(c.fd, "abc", 3, 0));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	T(peer("recv %d 3", c.h));
	finish(c);
}
