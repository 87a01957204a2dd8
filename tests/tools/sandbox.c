// SPDX-License-Identifier: BSD-2-Clause
/*
 * sandbox.c - an echo server whose children give up their system calls, as sshd's do before a user is known:
 * what is not needed on a kernel's socket kills them. For tests/e2e/test_run_programs.py.
 *
 *	sandbox PORT
 *
 * One connection after the other, each for a child. Its first byte says how it is served: 'p' with poll(), 'b'
 * by blocking reads, 't' so by a thread that is made afterwards, 'w' by writing until the peer has had enough.
 * How each child ended is told on standard output: its status, or minus the signal.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOW(name)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                     \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* What the program calls by itself, what memory and threads need, and futex. */
static const struct sock_filter calls[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	ALLOW(read),
	ALLOW(write),
#ifdef SYS_poll
	ALLOW(poll),
#else
	ALLOW(ppoll),
#endif
	ALLOW(close),
	ALLOW(exit),
	ALLOW(exit_group),
	ALLOW(futex),
	ALLOW(clock_gettime),
	ALLOW(brk),
	ALLOW(mmap),
	ALLOW(munmap),
	ALLOW(mprotect),
	ALLOW(madvise),
	ALLOW(rt_sigprocmask),
	ALLOW(clone),
	ALLOW(clone3),
	ALLOW(set_robust_list),
#ifdef SYS_rseq
	ALLOW(rseq),
#endif
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

/* In sshd's order: descriptors cannot be had any more when the filter comes. */
static void confine(void)
{
	const struct rlimit none = { 0, 0 }, one = { 1, 1 };
	struct sock_fprog prog = { .len = sizeof(calls) / sizeof(calls[0]),
				   .filter = (struct sock_filter *)(uintptr_t)calls };

	if (setrlimit(RLIMIT_FSIZE, &none) || setrlimit(RLIMIT_NOFILE, &one) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		err(1, "sandbox");
}

static void echo(int fd, int use_poll)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char buf[65536];
	ssize_t n;

	for (;;) {
		if (use_poll && poll(&pfd, 1, 20000) != 1)
			_exit(2);
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			_exit(n < 0 ? 3 : 0);
		for (ssize_t done = 0; done < n;) {
			ssize_t put = write(fd, buf + done, (size_t)(n - done));

			if (put < 0)
				_exit(4);
			done += put;
		}
	}
}

static void *echo_thread(void *arg)
{
	echo(*(int *)arg, 0);
	return NULL;
}

static void serve(int fd)
{
	static const char block[4096];
	pthread_t thread;
	char how;

	if (read(fd, &how, 1) != 1)
		_exit(1);
	confine();
	switch (how) {
	case 'p':
	case 'b':
		echo(fd, how == 'p');
		break;
	case 't':
		if (pthread_create(&thread, NULL, echo_thread, &fd))
			_exit(5);
		pthread_join(thread, NULL);
		break;
	case 'w':
		/* The reset is told first, then SIGPIPE. */
		while (write(fd, block, sizeof(block)) > 0 || errno == ECONNRESET)
			;
		break;
	}
	_exit(6);
}

static void *nothing(void *arg)
{
	return arg;
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	int listener = socket(AF_INET6, SOCK_STREAM, 0), status, one = 1;

	pthread_t first;

	if (argc != 2)
		errx(1, "usage: sandbox PORT");
	/* The C library sets itself up for threads with the first one. */
	if (pthread_create(&first, NULL, nothing, NULL) || pthread_join(first, NULL))
		errx(1, "no threads");
	any.sin6_port = htons((uint16_t)strtol(argv[1], NULL, 10));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 16))
		err(1, "listen");
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pid_t child;

		if (fd < 0)
			err(1, "accept");
		child = fork();
		if (!child)
			serve(fd);
		close(fd);
		if (child < 0 || waitpid(child, &status, 0) < 0)
			err(1, "child");
		printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
		fflush(stdout);
	}
}
