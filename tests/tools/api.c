// SPDX-License-Identifier: BSD-2-Clause
/*
 * api.c - a client on the native API, for the parts of it that no command uses.
 *
 *	api IF ADDRESS/LEN PEER:PORT zerocopy BYTES   send and check an echo, copying nothing
 *	api IF ADDRESS/LEN PEER:PORT many COUNT       COUNT connections at once, each with its own
 *						      words
 *	api IF ADDRESS/LEN PEER:PORT urgent           send "ab", urgent "c", "de"; print what comes
 *						      back
 *	api IF ADDRESS/LEN PEER:PORT abort            say a word, then reset the connection
 *
 * It ends with status 0 when all went as it should, else with one line on stderr.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "millrace.h"

#define LIMIT_S	   30
#define EVENTS_MAX 256

static struct mr_engine *engine;
static struct mr_endpoint peer;
static time_t deadline;

static void check(int result, const char *what)
{
	if (result < 0)
		errx(1, "%s: %s", what, strerror(-result));
}

static unsigned wait_events(struct mr_event *events)
{
	int n = mr_wait(engine, events, EVENTS_MAX, 1000000);

	check(n, "mr_wait");
	if (time(NULL) > deadline)
		errx(1, "not done within %d s", LIMIT_S);
	return (unsigned)n;
}

static struct mr_socket *start_connect(uint64_t user)
{
	struct mr_socket *sock;
	int result;

	check(mr_socket(engine, &sock), "mr_socket");
	mr_set_interest(sock, MR_IN | MR_OUT, user);
	result = mr_connect(sock, &peer);
	if (result != -EINPROGRESS)
		check(result, "mr_connect");
	return sock;
}

static struct mr_socket *connected(void)
{
	struct mr_event events[EVENTS_MAX];
	struct mr_socket *sock = start_connect(0);

	while (!(mr_ready(sock) & (MR_OUT | MR_ERR)))
		wait_events(events);
	check(mr_sock_error(sock), "connect");
	return sock;
}

static void drain(void)
{
	struct mr_event events[EVENTS_MAX];

	while (mr_engine_connections(engine))
		wait_events(events);
}

/* ---- zerocopy -------------------------------------------------------------------------------- */

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at ^ at >> 8 ^ at >> 16);
}

/* Fill and hand over frames until the send buffer is full or total bytes are out. */
static uint64_t send_pattern(struct mr_socket *sock, uint64_t sent, uint64_t total)
{
	while (sent < total) {
		struct mr_sendbuf buf;
		uint32_t len;
		uint8_t *data;
		int result = mr_send_reserve(sock, &buf);

		if (result == -EAGAIN)
			break;
		check(result, "mr_send_reserve");
		data = buf.data;
		len = (uint32_t)mr_min((uint64_t)buf.room, total - sent);
		for (uint32_t i = 0; i < len; i++)
			data[i] = pattern(sent + i);
		check(mr_send_commit(sock, &buf, len, 0), "mr_send_commit");
		sent += len;
	}
	return sent;
}

static uint64_t check_pattern(struct mr_socket *sock, uint64_t received)
{
	struct mr_slice slices[8];
	int n;

	while ((n = mr_recv_borrow(sock, slices, MR_ARRAY_SIZE(slices))) > 0) {
		for (int i = 0; i < n; i++) {
			const uint8_t *data = slices[i].data;

			for (uint32_t j = 0; j < slices[i].len; j++) {
				if (data[j] != pattern(received + j))
					errx(1, "byte %llu is wrong",
					     (unsigned long long)received + j);
			}
			received += slices[i].len;
		}
		mr_recv_return(engine, slices, (unsigned)n);
	}
	if (n == 0)
		errx(1, "the stream ended after %llu bytes", (unsigned long long)received);
	if (n != -EAGAIN)
		check(n, "mr_recv_borrow");
	return received;
}

static void zerocopy(uint64_t total)
{
	struct mr_event events[EVENTS_MAX];
	struct mr_socket *sock = connected();
	struct mr_sendbuf unused;
	uint64_t sent = 0, received = 0;

	/* A reservation that is taken back leaves nothing in the stream. */
	check(mr_send_reserve(sock, &unused), "mr_send_reserve");
	mr_send_cancel(sock, &unused);
	while (received < total) {
		sent = send_pattern(sock, sent, total);
		mr_set_interest(sock, sent < total ? MR_IN | MR_OUT : MR_IN, 0);
		wait_events(events);
		received = check_pattern(sock, received);
	}
	mr_close(sock);
}

/* ---- many ------------------------------------------------------------------------------------ */

struct talk {
	struct mr_socket *sock;
	char words[32];
	bool sent;
};

/* Whether the talk is over. */
static bool talk_on(struct talk *t)
{
	char answer[sizeof(t->words)];
	size_t len = strlen(t->words);
	ssize_t n;

	check(mr_sock_error(t->sock), t->words);
	if (!t->sent) {
		n = mr_send(t->sock, t->words, len, 0);
		if (n != (ssize_t)len)
			errx(1, "%s: mr_send returned %zd", t->words, n);
		t->sent = true;
		mr_set_interest(t->sock, MR_IN, (uint64_t)(uintptr_t)t);
		return false;
	}
	n = mr_recv(t->sock, answer, sizeof(answer), 0);
	if (n == -EAGAIN)
		return false;
	if (n != (ssize_t)len || memcmp(answer, t->words, len) != 0)
		errx(1, "%s: the answer is not the same (%zd)", t->words, n);
	return true;
}

/* All are open at the same time: none is closed before all have had their answer. */
static void many(unsigned count)
{
	struct mr_event events[EVENTS_MAX];
	struct talk *talks = count ? calloc(count, sizeof(*talks)) : NULL;
	unsigned done = 0;

	if (!count)
		errx(1, "COUNT is 0");
	if (!talks)
		errx(1, "no memory");
	for (unsigned i = 0; i < count; i++) {
		snprintf(talks[i].words, sizeof(talks[i].words), "connection %u", i);
		talks[i].sock = start_connect((uint64_t)(uintptr_t)&talks[i]);
	}
	while (done < count) {
		unsigned n = wait_events(events);

		for (unsigned i = 0; i < n; i++) {
			struct talk *t = (struct talk *)(uintptr_t)events[i].user;

			if (!talk_on(t))
				continue;
			done++;
			mr_set_interest(t->sock, 0, (uint64_t)(uintptr_t)t);
		}
	}
	for (unsigned i = 0; i < count; i++)
		mr_close(talks[i].sock);
	free(talks);
}

/* ---- urgent, abort --------------------------------------------------------------------------- */

static void urgent(void)
{
	struct mr_event events[EVENTS_MAX];
	struct mr_socket *sock = connected();
	char stream[64], oob = '-';
	size_t len = 0;
	ssize_t n;

	if (mr_send(sock, "ab", 2, 0) != 2 || mr_send(sock, "c", 1, MR_SEND_OOB) != 1 ||
	    mr_send(sock, "de", 2, 0) != 2)
		errx(1, "mr_send");
	mr_set_interest(sock, MR_IN, 0);
	do {
		char byte;

		wait_events(events);
		if (mr_recv(sock, &byte, 1, MR_RECV_OOB) == 1)
			oob = byte;
		while ((n = mr_recv(sock, stream + len, sizeof(stream) - 1 - len, 0)) > 0)
			len += (size_t)n;
	} while (n == -EAGAIN);
	check((int)n, "mr_recv");
	stream[len] = '\0';
	printf("stream %s urgent %c\n", stream, oob);
	mr_close(sock);
}

static void abort_connection(void)
{
	struct mr_event events[EVENTS_MAX];
	struct mr_socket *sock = connected();
	char byte;

	if (mr_send(sock, "word", 4, 0) != 4)
		errx(1, "mr_send");
	mr_set_interest(sock, MR_IN, 0);
	while (mr_recv(sock, &byte, 1, 0) == -EAGAIN)
		wait_events(events);
	mr_abort(sock);
	check(mr_flush(engine), "mr_flush");
}

int main(int argc, char **argv)
{
	struct mr_config cfg;
	struct mr_error error;
	const char *what = argc > 4 ? argv[4] : "";
	unsigned long arg = argc > 5 ? strtoul(argv[5], NULL, 0) : 0;

	if (argc < 5)
		errx(2, "usage: api IF ADDRESS/LEN PEER:PORT zerocopy|many|urgent|abort [NUMBER]");
	deadline = time(NULL) + LIMIT_S;
	mr_config_init(&cfg);
	cfg.ifname = argv[1];
	cfg.max_sockets = 4096;
	check(mr_config_add_address(&cfg, argv[2]), argv[2]);
	check(mr_endpoint_parse(argv[3], &peer), argv[3]);
	if (mr_engine_open(&engine, &cfg, &error) < 0)
		errx(1, "%s", error.text);
	if (!strcmp(what, "zerocopy"))
		zerocopy(arg);
	else if (!strcmp(what, "many"))
		many((unsigned)arg);
	else if (!strcmp(what, "urgent"))
		urgent();
	else if (!strcmp(what, "abort"))
		abort_connection();
	else
		errx(2, "%s is none of zerocopy, many, urgent, abort", what);
	drain();
	mr_engine_close(engine);
	return 0;
}
