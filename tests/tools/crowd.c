// SPDX-License-Identifier: BSD-2-Clause
/*
 * crowd.c - one engine, a keeper and a crowd of echo servers on one listener, of which some are killed all the
 * time. For tests/e2e/test_share.py. The first byte that a client reads is the server's number; number 0 is
 * never killed.
 *
 *	crowd IF ADDRESS/LEN|shared PORT SERVERS KILLS [inside]
 *
 * They are killed at any time, which is most often in their sleep; or by themselves while they work, which is
 * most often inside the lock.
 * "ready" on standard output, "killed KILLS" when that is done, then it serves on. A line "stop N", "go N",
 * "spin N", "kill N" or "start N" (again) on standard input is for server N; the end of standard input ends all. At
 * last the keeper prints what it has counted.
 */
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "engine/share.h"

#define CONNS_MAX   4096u
#define SERVERS_MAX 16
#define BUF_BYTES   4096u

struct conn {
	struct mr_socket *sock; /* NULL: free */
	uint32_t proc;
};

struct crowd {
	struct mr_socket *listener;
	struct mr_waiter *waiters[MR_SHARE_PROCS_MAX];
	struct conn conns[CONNS_MAX];
};

/* ---- What is in the arena -------------------------------------------------------------------- */

static struct mr_socket *listen_on(struct mr_engine *engine, uint16_t port)
{
	struct mr_endpoint any = { .port = port };
	struct mr_socket *sock;

	if (mr_socket(engine, &sock) || mr_bind(sock, &any) || mr_listen(sock, 1024))
		errx(1, "cannot listen");
	return sock;
}

static uint16_t listen_port;

static size_t crowd_bytes(const struct mr_config *cfg)
{
	(void)cfg;
	return sizeof(struct crowd) + 64;
}

static int crowd_setup(struct mr_share *share, struct mr_arena *arena, const struct mr_config *cfg,
		       void **root)
{
	struct crowd *crowd = mr_arena_alloc(arena, sizeof(*crowd), 64);

	(void)cfg;
	if (!crowd)
		return -ENOMEM;
	crowd->listener = listen_on(mr_share_engine(share), listen_port);
	*root = crowd;
	return 0;
}

static void wake(struct mr_share *share, const struct crowd *crowd, uint32_t proc)
{
	if (crowd->waiters[proc])
		mr_share_wake(share, crowd->waiters[proc]);
}

static void crowd_ready(struct mr_share *share, struct mr_socket *sock)
{
	const struct crowd *crowd = mr_share_root(share);

	if (sock == crowd->listener) {
		for (uint32_t i = 0; i < MR_SHARE_PROCS_MAX; i++)
			wake(share, crowd, i);
	} else if (sock->user) {
		wake(share, crowd, crowd->conns[sock->user - 1].proc);
	}
}

static void crowd_release(struct mr_share *share, struct mr_proc *proc)
{
	struct crowd *crowd = mr_share_root(share);

	crowd->waiters[proc->index] = NULL;
	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *conn = &crowd->conns[i];
		struct mr_socket *sock = conn->sock;

		if (!sock || conn->proc != proc->index)
			continue;
		conn->sock = NULL;
		mr_share_touch(share, sock);
		mr_close(sock);
	}
}

static bool is_there(struct mr_share *share, const struct mr_socket *wanted)
{
	struct mr_socket *sock = NULL;

	while ((sock = mr_share_socket_next(share, sock)))
		if (sock == wanted)
			return true;
	return false;
}

/* Connections without a socket are forgotten, sockets without a connection closed; then every invariant of the
 * stack must hold. */
static void crowd_salvage(struct mr_share *share)
{
	struct crowd *crowd = mr_share_root(share);
	struct mr_socket *sock = NULL, *next;

	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *conn = &crowd->conns[i];

		if (conn->sock && (!is_there(share, conn->sock) || conn->sock->user != i + 1))
			conn->sock = NULL;
	}
	for (sock = mr_share_socket_next(share, NULL); sock; sock = next) {
		next = mr_share_socket_next(share, sock);
		if (sock == crowd->listener || sock->queued)
			continue;
		/* Of one whose server was killed while it came or was accepted, user is still the stack's. */
		if (!sock->user || sock->user > CONNS_MAX ||
		    crowd->conns[sock->user - 1].sock != sock)
			mr_abort(sock);
	}
	mr_engine_check(mr_share_engine(share));
}

static const struct mr_share_ops ops = {
	.arena_bytes = crowd_bytes,
	.setup = crowd_setup,
	.ready = crowd_ready,
	.release = crowd_release,
	.salvage = crowd_salvage,
};

/* ---- A server -------------------------------------------------------------------------------- */

struct pending {
	uint32_t at, end;
	uint8_t buf[BUF_BYTES];
};

static struct pending pending[CONNS_MAX];
static volatile sig_atomic_t spin_asked;

static void on_usr1(int signo)
{
	(void)signo;
	spin_asked = 1;
}

/* Now and then, the end of this process a few microseconds from now. */
#define DOOM_ODDS   30
#define DOOM_MAX_NS 30000

static void doom(timer_t timer, unsigned *seed)
{
	struct itimerspec when = { .it_value.tv_nsec = 1 + rand_r(seed) % DOOM_MAX_NS };

	if (!(rand_r(seed) % DOOM_ODDS) && timer_settime(timer, 0, &when, NULL))
		err(1, "timer_settime");
}

static timer_t doom_timer(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &ev, &timer))
		err(1, "timer_create");
	return timer;
}

static void end_conn(struct conn *conn)
{
	struct mr_socket *sock = conn->sock;

	conn->sock = NULL;
	mr_close(sock);
}

static bool take_connection(struct mr_share *share, struct crowd *crowd, uint8_t number)
{
	struct mr_socket *sock;

	mr_share_touch(share, crowd->listener);
	if (mr_accept(crowd->listener, &sock, NULL))
		return false;
	mr_share_touch(share, sock);
	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *conn = &crowd->conns[i];

		if (conn->sock)
			continue;
		conn->proc = mr_share_proc(share)->index;
		sock->user = i + 1;
		conn->sock = sock;
		pending[i] = (struct pending){ .end = 1, .buf = { number } };
		return true;
	}
	mr_abort(sock);
	return true;
}

/* True: something was done. */
static bool serve(struct mr_share *share, struct conn *conn, struct pending *p)
{
	bool done = false;
	ssize_t n;

	mr_share_touch(share, conn->sock);
	for (;;) {
		if (p->at == p->end) {
			n = mr_recv(conn->sock, p->buf, sizeof(p->buf), 0);
			if (n == -EAGAIN)
				return done;
			if (n <= 0) {
				end_conn(conn);
				return true;
			}
			p->at = 0;
			p->end = (uint32_t)n;
		}
		n = mr_send(conn->sock, p->buf + p->at, p->end - p->at, 0);
		if (n == -EAGAIN)
			return done;
		if (n < 0) {
			end_conn(conn);
			return true;
		}
		p->at += (uint32_t)n;
		done = true;
	}
}

/* At most so many connections at a time. */
static bool serve_all(struct mr_share *share, struct crowd *crowd, uint8_t number, unsigned most)
{
	bool done = false;
	unsigned n = 0;

	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *conn = &crowd->conns[i];

		if (!conn->sock || conn->proc != mr_share_proc(share)->index)
			continue;
		n++;
		done |= serve(share, conn, &pending[i]);
	}
	return (n < most && take_connection(share, crowd, number)) || done;
}

/* The one that stays would soon have all connections, and the others nothing to do while they die. */
#define FIRST_MOST 2u

static _Noreturn void server(const char *name, uint8_t number, bool inside)
{
	unsigned most = inside && !number ? FIRST_MOST : CONNS_MAX;
	bool doomed = inside && number;
	unsigned seed = (unsigned)getpid();
	timer_t timer = NULL;
	struct mr_error error;
	struct mr_share *share;
	struct mr_waiter *w;
	struct crowd *crowd;
	int ret = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGUSR1, on_usr1);
	if (doomed)
		timer = doom_timer();
	if (mr_share_join(&share, name, &ops, &error))
		errx(1, "%s", error.text);
	w = mr_share_waiter(share);
	crowd = mr_share_root(share);
	mr_share_lock(share, NULL);
	crowd->waiters[mr_share_proc(share)->index] = w;
	while (ret != -ENETDOWN) {
		mr_share_wait_begin(share, w);
		if (doomed)
			doom(timer, &seed);
		if (!serve_all(share, crowd, number, most))
			ret = mr_share_wait(share, w, NULL, 0, MR_SHARE_FOREVER, NULL);
		mr_share_unlock(
			share); /* between calls, as a program that has other things to do */
		while (spin_asked)
			;
		mr_share_lock(share, NULL);
	}
	mr_share_unlock(share);
	mr_share_close(share);
	_exit(0);
}

/* ---- Their master ---------------------------------------------------------------------------- */

static pid_t servers[SERVERS_MAX];

static void start_server(const char *name, int number, bool inside)
{
	servers[number] = fork();
	if (servers[number] < 0)
		err(1, "fork");
	if (!servers[number])
		server(name, (uint8_t)number, inside);
}

static void kill_server(int number)
{
	kill(servers[number], SIGKILL);
	waitpid(servers[number], NULL, 0);
}

static int number(const char *text, int min, int max)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || (*end && *end != '\n') || n < min || n > max)
		errx(2, "\"%s\" is not a number from %d to %d", text, min, max);
	return (int)n;
}

/* A line such as "stop 3". */
static void command(char *line, const char *name)
{
	const char *word = strtok(line, " "), *which = strtok(NULL, " ");
	int n;

	if (!which)
		errx(1, "what is \"%s\"?", line);
	n = number(which, 0, SERVERS_MAX - 1);
	if (!servers[n])
		errx(1, "there is no server %d", n);
	if (!strcmp(word, "stop"))
		kill(servers[n], SIGSTOP);
	else if (!strcmp(word, "go"))
		kill(servers[n], SIGCONT);
	else if (!strcmp(word, "spin"))
		kill(servers[n], SIGUSR1);
	else if (!strcmp(word, "kill"))
		kill_server(n);
	else if (!strcmp(word, "start"))
		start_server(name, n, false);
}

/* At a random time, one of them. */
static int kill_one(int nservers)
{
	int n = 1 + rand() % (nservers - 1); /* the first stays */
	struct timespec pause = { 0, 1000000L + rand() % 8000000 };

	nanosleep(&pause, NULL);
	kill_server(n);
	return n;
}

/* Which one has killed itself? -1: it has ended in another way, or it was none of them. */
static int see_one_die(int nservers)
{
	int status;
	pid_t pid = wait(&status);

	for (int i = 0; i < nservers; i++) {
		if (servers[i] != pid)
			continue;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			return i;
		warnx("server %d ended with %d, signal %d", i, WEXITSTATUS(status),
		      WTERMSIG(status));
	}
	return -1;
}

static _Noreturn void master(int from_keeper, int nservers, int kills, bool inside)
{
	char name[160] = "", line[64];
	int killed = 0, n;

	if (read(from_keeper, name, sizeof(name) - 1) <= 0)
		exit(1);
	close(from_keeper);
	for (int i = 0; i < nservers; i++)
		start_server(name, i, inside);
	puts("ready");
	fflush(stdout);
	srand(1);
	while (killed < kills) {
		n = inside ? see_one_die(nservers) : kill_one(nservers);
		if (n < 0)
			exit(1);
		start_server(name, n, inside);
		killed++;
	}
	for (int i = 1; inside && i < nservers; i++) { /* enough of it */
		kill_server(i);
		start_server(name, i, false);
	}
	printf("killed %d\n", killed);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		command(line, name);
	for (int i = 0; i < nservers; i++)
		kill(servers[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	exit(0);
}

/* ---- The keeper ------------------------------------------------------------------------------ */

static void log_line(void *user, int level, const char *line)
{
	(void)user;
	(void)level;
	fprintf(stderr, "keeper: %s\n", line);
}

/* nfree: frames that were free before there was any traffic. What is for receiving lies with the device again. */
static void print_counters(struct mr_engine *engine, uint32_t nfree)
{
	static struct mr_counter list[512];
	unsigned n = mr_counters(engine, list, 512);

	for (unsigned i = 0; i < n; i++)
		if (!strncmp(list[i].name, "engine.", 7))
			printf("%s %llu\n", list[i].name, (unsigned long long)list[i].value);
	printf("connections %u\nsockets %u\n", mr_engine_connections(engine),
	       engine->st->socks.pool.used);
	printf("frames_lost %d\n", (int)(nfree - engine->st->frames.nfree));
}

int main(int argc, char **argv)
{
	struct mr_keeper_cfg kc = { .uid = 0, .log_level = 5 };
	struct mr_config cfg;
	struct mr_error error;
	struct mr_share *share;
	struct mr_keeper *keeper;
	int life[2], tell[2];
	uint32_t nfree;
	char name[160];
	pid_t pid;

	if (argc != 6 && (argc != 7 || strcmp(argv[6], "inside") != 0))
		errx(2, "usage: crowd IF ADDRESS/LEN|shared PORT SERVERS KILLS [inside]");
	listen_port = (uint16_t)number(argv[3], 1, UINT16_MAX);
	if (pipe(life) || pipe(tell))
		err(1, "pipe");
	pid = fork();
	if (!pid) {
		close(life[0]);
		close(tell[1]);
		master(tell[0], number(argv[4], 2, SERVERS_MAX), number(argv[5], 0, INT_MAX),
		       argc == 7);
	}
	close(life[1]);
	close(tell[0]);
	mr_config_init(&cfg);
	cfg.ifname = argv[1];
	cfg.max_sockets = CONNS_MAX;
	cfg.log = log_line;
	cfg.shared = !strcmp(argv[2], "shared");
	if (!cfg.shared && mr_config_add_address(&cfg, argv[2]))
		errx(2, "what is %s?", argv[2]);
	kc.life_fd = life[0];
	if (mr_share_open(&share, &cfg, &ops, &error) ||
	    mr_keeper_open(&keeper, share, &kc, &error))
		errx(1, "%s", error.text);
	mr_keeper_name(keeper, name, sizeof(name));
	if (write(tell[1], name, strlen(name)) < 0)
		err(1, "write");
	close(tell[1]);
	nfree = mr_share_engine(share)->st->frames.nfree;
	mr_keeper_run(keeper);
	mr_keeper_close(keeper);
	print_counters(mr_share_engine(share), nfree);
	mr_share_close(share);
	waitpid(pid, NULL, 0);
	return 0;
}
