// SPDX-License-Identifier: BSD-2-Clause
/*
 * posix_conf_signal.c - cases of posix_conf: signal handlers that use sockets, whatever they interrupt, and what a
 * program sees of its handlers.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "base/compiler.h"
#include "posix_conf.h"

/* ---- Whatever they interrupt ----------------------------------------------------------------- */

static int handlers_fd;		    /* a connection of the handler's own */
static volatile long handlers_sent; /* what it has sent there */
static volatile bool handlers_fail;

static bool send_one(int fd)
{
	ssize_t n = send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		handlers_fail = true;
	return n == 1;
}

static void on_use(int sig)
{
	int saved = errno, fd;
	char c;

	(void)sig;
	handlers_sent += send_one(handlers_fd);
	if (recv(handlers_fd, &c, 1, MSG_DONTWAIT) != -1)
		handlers_fail = true;
	fd = dup(handlers_fd);
	handlers_sent += send_one(fd);
	if (close(fd))
		handlers_fail = true;
	signals++;
	errno = saved;
}

struct command {
	const char *word;
	int h;
	long n;
};

/* In a thread of its own, without signals. */
static void *command(void *arg)
{
	const struct command *c = arg;

	return (void *)peer("%s %d %ld", c->word, c->h, c->n);
}

static pthread_t begin(void *(*function)(void *arg), void *arg)
{
	pthread_t thread;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_create(&thread, NULL, function, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return thread;
}

static pthread_t begin_command(struct command *c)
{
	return begin(command, c);
}

static long end_command(pthread_t thread)
{
	void *ret;

	pthread_join(thread, &ret);
	return (long)ret;
}

#define MANY_SIGNALS 300

static char bulk[65536];

/* Until so many signals have come. The bytes that went out. */
static long send_under_signals(int fd, int until)
{
	long sent = 0;

	while (signals < until) {
		ssize_t n = send(fd, bulk, sizeof(bulk), 0);

		if (n > 0)
			sent += n;
		else if (errno != EINTR)
			return -errno;
	}
	return sent;
}

static long receive_under_signals(int fd, long n)
{
	long got = 0;

	while (got < n) {
		ssize_t ret = recv(fd, bulk, sizeof(bulk), 0);

		if (ret > 0)
			got += ret;
		else if (!ret || errno != EINTR)
			break;
	}
	return got;
}

static void bulk_under_signals(int flags)
{
	struct conn c = passive(), d = passive();
	struct sigaction sa = { .sa_handler = on_use, .sa_flags = flags };
	struct command drain = { "recv", c.h, -1 }, fill = { "send", c.h, 64 << 20 };
	pthread_t thread;
	long sent, got;

	handlers_fd = d.fd;
	handlers_sent = signals = 0;
	sigaction(SIGALRM, &sa, NULL);
	thread = begin_command(&fill);
	alarm_every(1);
	got = receive_under_signals(c.fd, 64 << 20);
	end_command(thread);
	thread = begin_command(&drain);
	sent = send_under_signals(c.fd, MANY_SIGNALS);
	alarm_every(0);
	T(got);
	T(shutdown(c.fd, SHUT_WR));
	T(sent > 0 && end_command(thread) == sent);
	T(handlers_fail);
	T(peer("recv %d %ld", d.h, handlers_sent) == handlers_sent);
	finish(c);
	finish(d);
}

void case_handlers(void)
{
	bulk_under_signals(0);
	bulk_under_signals(SA_RESTART);
}

/* Out of whatever it interrupts. */
static void on_jump_often(int sig)
{
	on_use(sig);
	siglongjmp(jumped, sig);
}

void case_handlers_jump(void)
{
	struct conn c = passive(), d = passive();
	struct sigaction sa = { .sa_handler = on_jump_often };
	struct command drain = { "recv", c.h, -1 };
	pthread_t thread = begin_command(&drain);

	handlers_fd = d.fd;
	handlers_sent = signals = 0;
	sigaction(SIGALRM, &sa, NULL);
	alarm_every(1);
	while (signals < MANY_SIGNALS)
		if (!sigsetjmp(jumped, 1))
			send_under_signals(c.fd, MANY_SIGNALS);
	alarm_every(0);
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	T(shutdown(c.fd, SHUT_WR));
	T(end_command(thread) > 0);
	T(handlers_fail);
	T(peer("recv %d %ld", d.h, handlers_sent) == handlers_sent);
	finish(c);
	finish(d);
}

/* What the next signal closes, once. */
static volatile int closing = -1;

static void on_close(int sig)
{
	int saved = errno;

	on_signal(sig);
	if (closing >= 0 && close(closing))
		handlers_fail = true;
	closing = -1;
	errno = saved;
}

enum sleep_call { IN_RECV, IN_SEND, IN_ACCEPT, IN_POLL, IN_POLL_BOTH, IN_SELECT, IN_EPOLL };

/* Sleep for fd, until a handler has closed it or for long. */
static long sleep_in(enum sleep_call call, int fd, int pipe_fd)
{
	struct pollfd set[] = { { .fd = fd, .events = POLLIN },
				{ .fd = pipe_fd, .events = POLLIN } };
	struct timeval tv = { .tv_sec = 5 };
	struct epoll_event ev;
	fd_set fds;

	switch (call) {
	case IN_RECV:
		return recv(fd, bulk, sizeof(bulk), 0);
	case IN_SEND:
		while (send(fd, bulk, sizeof(bulk), 0) > 0 || errno == EINTR)
			;
		return -1;
	case IN_ACCEPT:
		return accept(fd, NULL, NULL);
	case IN_POLL:
		return poll(set, 1, 5 * SECOND_MS);
	case IN_POLL_BOTH:
		return poll(set, 2, 5 * SECOND_MS);
	case IN_SELECT:
		FD_ZERO(&fds);
		FD_SET(fd, &fds);
		return select(fd + 1, &fds, NULL, NULL, &tv);
	case IN_EPOLL:
		return epoll_wait(fd, &ev, 1, 5 * SECOND_MS);
	}
	return 0;
}

static void close_under(enum sleep_call call, int fd, int closed, int pipe_fd, int flags)
{
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_close, .sa_flags = flags }, NULL);
	closing = closed;
	alarm_every(20);
	T(sleep_in(call, fd, pipe_fd));
	alarm_every(0);
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	T(fcntl(closed, F_GETFD));
}

static void close_the_only(enum sleep_call call, int pipe_fd, int flags)
{
	struct conn c = passive();

	SAY("call %d, flags %#x", call, (unsigned)flags);
	close_under(call, c.fd, c.fd, pipe_fd, flags);
	if (call != IN_SEND)
		T(peer("recv %d 1", c.h));
	T(peer("close %d", c.h));
}

/* Of two descriptors the handler closes the one that nobody sleeps for, and the peer sends a little later. */
static void close_a_copy(int flags)
{
	struct conn c = passive();
	pthread_t late = begin(send_late, &c.h);

	close_under(IN_RECV, c.fd, dup(c.fd), -1, flags);
	pthread_join(late, NULL);
	finish(c);
}

void case_handlers_close(void)
{
	static const int flags[] = { 0, SA_RESTART };
	int fds[2];

	T(pipe(fds));
	handlers_fail = false;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(flags); i++) {
		int l = listener(), ep = epoll_create1(0), watched = listener();

		for (enum sleep_call call = IN_RECV; call <= IN_SELECT; call++)
			if (call != IN_ACCEPT)
				close_the_only(call, fds[0], flags[i]);
		close_under(IN_ACCEPT, l, l, -1, flags[i]);
		T(ep_ctl(ep, EPOLL_CTL_ADD, watched, EPOLLIN));
		close_under(IN_EPOLL, ep, ep, -1, flags[i]);
		close(watched);
		close_a_copy(flags[i]);
	}
	T(handlers_fail);
	close(fds[0]);
	close(fds[1]);
}

static void on_fork(int sig)
{
	int saved = errno, status = -1;
	pid_t pid = fork();

	(void)sig;
	if (!pid)
		_exit(send(handlers_fd, "x", 1, 0) == 1 ? 0 : 1);
	if (waitpid(pid, &status, 0) != pid || status)
		handlers_fail = true;
	handlers_sent++;
	signals++;
	errno = saved;
}

void case_handlers_fork(void)
{
	struct conn c = passive(), d = passive();
	struct sigaction sa = { .sa_handler = on_fork };
	struct command drain = { "recv", c.h, -1 };
	pthread_t thread = begin_command(&drain);
	long sent;

	handlers_fd = d.fd;
	handlers_sent = signals = 0;
	sigaction(SIGALRM, &sa, NULL);
	alarm_every(3);
	sent = send_under_signals(c.fd, 60);
	alarm_every(0);
	T(shutdown(c.fd, SHUT_WR));
	T(sent > 0 && end_command(thread) == sent);
	T(handlers_fail);
	T(peer("recv %d %ld", d.h, handlers_sent) == handlers_sent);
	finish(c);
	finish(d);
}

static void on_fork_and_return(int sig)
{
	(void)sig;
	signals++;
	if (!fork())
		signals = 100;
}

/* The child of a handler's fork returns into the call that was interrupted, and waits there as the parent does. */
static void return_twice(int (*wait_for_byte)(int fd))
{
	struct conn c = active();
	struct sigaction sa = { .sa_handler = on_fork_and_return, .sa_flags = SA_RESTART };
	struct itimerval once = { .it_value = { 0, 50000 } };
	pid_t me = getpid();
	pthread_t thread;
	int got, status;

	signals = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &once, NULL);
	pthread_create(&thread, NULL, send_late, &c.h);
	while ((got = wait_for_byte(c.fd)) < 0 && errno == EINTR)
		;
	if (getpid() != me)
		_exit(got == 1 ? 7 : 1);
	T(got);
	T(signals);
	pthread_join(thread, NULL);
	wait(&status);
	T(WEXITSTATUS(status));
	signal(SIGALRM, SIG_DFL);
	finish(c);
}

static int receive_byte(int fd)
{
	char byte;

	return (int)recv(fd, &byte, 1, 0);
}

static int poll_byte(int fd)
{
	return await(fd, POLLIN);
}

static int epoll_byte(int fd)
{
	int ep = epoll_create1(0), n;
	struct epoll_event event;

	ep_ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN);
	n = epoll_wait(ep, &event, 1, 5 * SECOND_MS);
	close(ep);
	return n;
}

void case_handlers_fork_and_return(void)
{
	return_twice(receive_byte);
	return_twice(poll_byte);
	return_twice(epoll_byte);
}

static volatile long values, strangers;
static volatile pid_t sender;

static void on_value(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	signals++;
	values += info->si_value.sival_int;
	strangers += info->si_pid != sender || info->si_code != SI_QUEUE;
	send_one(handlers_fd);
}

#define QUEUED 2000

static void queue_values(void)
{
	for (int i = 1; i <= QUEUED; i++) {
		while (sigqueue(getppid(), SIGRTMIN + 1, (union sigval){ .sival_int = i }))
			usleep(100);
		usleep(50);
	}
}

/* Each of those that are queued comes, with what was said with it. */
void case_handlers_queued(void)
{
	struct conn c = passive(), d = passive();
	struct sigaction sa = { .sa_sigaction = on_value, .sa_flags = SA_SIGINFO };
	struct command drain = { "recv", c.h, -1 };
	pthread_t thread = begin_command(&drain);
	int go[2];
	char byte;

	handlers_fd = d.fd;
	signals = 0;
	values = strangers = 0;
	T(pipe(go));
	sigaction(SIGRTMIN + 1, &sa, NULL);
	sender = fork();
	if (!sender) {
		if (read(go[0], &byte, 1) == 1)
			queue_values();
		_exit(0);
	}
	T(write(go[1], "x", 1));
	send_under_signals(c.fd, QUEUED);
	T(waitpid(sender, NULL, 0) == sender);
	T(signals);
	T(values);
	T(strangers);
	T(handlers_fail);
	T(shutdown(c.fd, SHUT_WR));
	T(end_command(thread) > 0);
	close(go[0]);
	close(go[1]);
	finish(c);
	finish(d);
}

static char other_stack[65536];
static volatile int elsewhere;

static void on_other_stack(int sig)
{
	char here;

	on_use(sig);
	elsewhere += (uintptr_t)&here - (uintptr_t)other_stack >= sizeof(other_stack);
}

void case_handlers_stack(void)
{
	struct conn c = passive(), d = passive();
	struct sigaction sa = { .sa_handler = on_other_stack, .sa_flags = SA_ONSTACK };
	stack_t ss = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) };
	struct command drain = { "recv", c.h, -1 };
	pthread_t thread = begin_command(&drain);

	handlers_fd = d.fd;
	signals = elsewhere = 0;
	T(sigaltstack(&ss, NULL));
	sigaction(SIGALRM, &sa, NULL);
	alarm_every(1);
	send_under_signals(c.fd, MANY_SIGNALS);
	alarm_every(0);
	T(elsewhere);
	T(handlers_fail);
	T(shutdown(c.fd, SHUT_WR));
	T(end_command(thread) > 0);
	ss.ss_flags = SS_DISABLE;
	T(sigaltstack(&ss, NULL));
	finish(c);
	finish(d);
}

/* ---- What a program sees of its handlers ----------------------------------------------------- */

static void on_info(int sig, siginfo_t *info, void *context)
{
	(void)context;
	SAY("signal %d %d code %d", sig == info->si_signo, sig, info->si_code);
}

static const char *handler_name(const struct sigaction *sa)
{
	if (sa->sa_handler == SIG_DFL)
		return "default";
	if (sa->sa_handler == SIG_IGN)
		return "ignore";
	if (sa->sa_handler == on_signal)
		return "on_signal";
	return sa->sa_sigaction == on_info ? "on_info" : "another";
}

static void show_action(int sig)
{
	struct sigaction sa = { 0 };

	T(sigaction(sig, NULL, &sa));
	SAY("%s flags %x mask %d %d", handler_name(&sa), (unsigned)sa.sa_flags,
	    sigismember(&sa.sa_mask, SIGUSR1), sigismember(&sa.sa_mask, SIGUSR2));
}

static int blocked(int sig)
{
	sigset_t now;

	sigprocmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, sig);
}

/* The kernel's structure. */
struct raw_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static void by_number(void)
{
	struct raw_action ra = { 0 }, old = { 0 };

	signal(SIGUSR1, on_signal);
	T(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &ra, 8));
	SAY("%d flags %lx", (void *)ra.handler == (void *)on_signal, ra.flags & ~0x04000000ul);
	ra.handler = on_info;
	ra.flags |= SA_SIGINFO | SA_NODEFER;
	T(syscall(SYS_rt_sigaction, SIGUSR1, &ra, &old, 8));
	SAY("%d", (void *)old.handler == (void *)on_signal);
	show_action(SIGUSR1);
	T(raise(SIGUSR1));
	T(syscall(SYS_rt_sigaction, SIGUSR1, &ra, NULL, 4));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

void case_handler_names(void)
{
	struct sigaction sa = { .sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP },
			 old;
	struct conn c = passive(); /* it is in the stack */

	sigaddset(&sa.sa_mask, SIGUSR2);
	show_action(SIGUSR1);
	T(sigaction(SIGUSR1, &sa, &old));
	SAY("%s", handler_name(&old));
	show_action(SIGUSR1);
	T(raise(SIGUSR1));
	sa.sa_flags |= (int)SA_RESETHAND;
	T(sigaction(SIGUSR1, &sa, &old));
	SAY("%s flags %x", handler_name(&old), (unsigned)old.sa_flags);
	show_action(SIGUSR1);
	T(raise(SIGUSR1));
	show_action(SIGUSR1);
	T(signal(SIGUSR1, on_signal) == SIG_DFL);
	show_action(SIGUSR1);
	T(siginterrupt(SIGUSR1, 1));
	show_action(SIGUSR1);
	T(signal(SIGUSR1, SIG_IGN) == on_signal);
	T(signal(SIGUSR1, on_signal) == SIG_IGN);
	show_action(SIGUSR1);
	T(siginterrupt(SIGUSR1, 0));
	show_action(SIGUSR1);
	T(sysv_signal(SIGUSR1, on_signal) == on_signal);
	show_action(SIGUSR1);
	T(raise(SIGUSR1));
	show_action(SIGUSR1);
	T(signal(SIGKILL, on_signal) == SIG_ERR);
	T(signal(SIGUSR1, SIG_ERR) == SIG_ERR);
	T(signal(99, on_signal) == SIG_ERR);
	T(sigaction(SIGSTOP, &sa, &old));
	T(sigaction(0, &sa, &old));
	T(sigaction(65, &sa, &old));
	by_number();
	signal(SIGUSR1, SIG_DFL);
	close(c.fd);
	peer("close %d", c.h);
}

void case_handler_sigset(void)
{
	struct conn c = passive();
	sighandler_t hold = (sighandler_t)2;

	T(sigset(SIGUSR1, on_signal) == SIG_DFL);
	show_action(SIGUSR1);
	T(sigset(SIGUSR1, hold) == on_signal);
	T(blocked(SIGUSR1));
	T(sigset(SIGUSR1, hold) == hold);
	signals = 0;
	T(raise(SIGUSR1));
	T(signals);
	T(sigset(SIGUSR1, on_signal) == hold);
	T(signals);
	T(blocked(SIGUSR1));
	T(sigset(SIGUSR1, SIG_DFL) == on_signal);
	T(sigset(99, on_signal) == SIG_ERR);
	finish(c);
}

#pragma GCC diagnostic pop

static volatile int depth, deepest, runs;

static void on_nested(int sig)
{
	if (++depth > deepest)
		deepest = depth;
	if (runs++ < 3)
		raise(sig);
	depth--;
}

/* Once, and then as by default; again in itself, if it may. */
void case_handler_flags(void)
{
	struct conn c = passive();
	struct sigaction sa = { .sa_handler = on_nested };
	int status;
	pid_t pid = fork();

	if (!pid) {
		sa.sa_handler = on_signal;
		sa.sa_flags = (int)SA_RESETHAND;
		sigaction(SIGUSR1, &sa, NULL);
		raise(SIGUSR1);
		raise(SIGUSR1);
		_exit(0);
	}
	T(waitpid(pid, &status, 0) == pid);
	T(status);
	sigaction(SIGUSR1, &sa, NULL);
	deepest = depth = runs = 0;
	T(raise(SIGUSR1));
	T(deepest);
	sa.sa_flags = SA_NODEFER;
	sigaction(SIGUSR1, &sa, NULL);
	deepest = depth = runs = 0;
	T(raise(SIGUSR1));
	T(deepest);
	pid = fork(); /* it keeps them */
	if (!pid) {
		deepest = depth = runs = 0;
		raise(SIGUSR1);
		_exit(deepest);
	}
	T(waitpid(pid, &status, 0) == pid);
	T(WEXITSTATUS(status));
	signal(SIGUSR1, SIG_DFL);
	finish(c);
}

/* From now on this process must not call what handlers are installed and signals are sent with. */
static long forbid_signals(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigprocmask, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_tgsigqueueinfo, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { .len = MR_ARRAY_SIZE(code), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ?:
		       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Handlers that were installed before a filter go on, each in its way. */
void case_handlers_confined(void)
{
	const int flags[] = { 0, SA_RESTART };

	for (size_t i = 0; i < MR_ARRAY_SIZE(flags); i++) {
		struct conn c = active();
		struct command late = { "send", c.h, 5 };
		char buf[16];
		int status;
		pid_t pid = fork();

		if (!pid) {
			signals = 0;
			sigaction(SIGALRM,
				  &(struct sigaction){ .sa_handler = on_signal,
						       .sa_flags = flags[i] },
				  NULL);
			/* One that does otherwise, and does not run. */
			sigaction(SIGUSR2,
				  &(struct sigaction){ .sa_handler = on_signal,
						       .sa_flags = flags[i] ^ SA_RESTART },
				  NULL);
			alarm_every(20);
			T(forbid_signals());
			T(recv(c.fd, buf, sizeof(buf), 0));
			T(signals > 0);
			_exit(0);
		}
		usleep(150000);
		end_command(begin_command(&late));
		T(waitpid(pid, &status, 0) == pid);
		T(status);
		finish(c);
	}
}
