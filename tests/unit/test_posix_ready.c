// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_posix_ready.c - files, tables and epoll registrations in the arena (user/posix/file.c, ready.c), and what
 * is made of them after a death (salvage.c), on a shared engine with a simulated wire.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include "../lib/pair.h"
#include "engine/share_priv.h"
#include "posix/file.h"

static struct pair p; /* side 1 is shared */
static struct mr_share *share;
static struct mr_waiter *waiter;
static struct mr_socket *client;
static struct mr_file *stream, *ep;
static struct epoll_event got[4];

/* A connection whose shared end is the file `stream`, which the process's table has as number 7; an epoll
 * instance as number 8. */
static int begin(void **state)
{
	struct mr_config cfg;
	struct pair_cfg pc = { .real_clock = true };
	struct mr_socket *server;

	(void)state;
	mr_config_init(&cfg);
	pc.extra_bytes = share_bytes(&cfg, &mr_posix_ops);
	pair_open(&p, &pc);
	assert_int_equal(share_create(&share, p.engine[1], &cfg, &mr_posix_ops, NULL), 0);
	p.engine[1]->spin_ns = 0;
	pair_connect(&p, &client, &server);
	mr_set_option(client, MR_OPT_NODELAY, 1);
	waiter = mr_share_waiter(share);
	mr_share_lock(share, NULL);
	stream = file_new(mr_share_root(share), FILE_STREAM);
	stream->sock = server;
	server->user = (uintptr_t)stream;
	table_set(share, mr_share_proc(share), 7, stream);
	ep = file_new(mr_share_root(share), FILE_EPOLL);
	table_set(share, mr_share_proc(share), 8, ep);
	return 0;
}

static int end(void **state)
{
	(void)state;
	mr_share_unlock(share);
	mr_share_close(share);
	p.engine[1] = NULL;
	pair_close(&p);
	return 0;
}

static void watch(uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u64 = 77 };

	assert_int_equal(ep_add(share, ep, stream, 7, &e), 0);
}

/* The client says something, and a round brings it in. */
static void hear(const char *text, size_t len)
{
	struct mr_event ev;

	assert_int_equal(mr_send(client, text, len, 0), len);
	mr_wait(p.engine[0], &ev, 1, 0);
	mr_share_round(share);
}

static int collect(void)
{
	return ep_collect(ep, got, 4);
}

static void a_socket_in_a_message_needs_no_descriptor(void **state)
{
	struct mr_proc *proc = mr_share_proc(share);

	(void)state;
	assert_true(file_fly(share, stream));
	table_clear(share, proc, 7);
	assert_int_equal(stream->refs, 1);
	posix_salvage(share);
	hear("ab", 2);
	assert_int_equal(stream->refs, 1);
	file_hold(stream);
	file_land(share, stream);
	table_set(share, proc, 7, stream);
	assert_int_equal(stream->refs, 1);
	file_land(share, stream); /* it is in none */
	assert_int_equal(stream->refs, 1);
}

static bool no_file(void)
{
	return mr_list_empty(&((struct mr_posix *)mr_share_root(share))->all_files);
}

/* Its sender may be gone when it is received. */
static void a_socket_in_a_message_outlives_its_sender_for_a_while(void **state)
{
	struct mr_proc *proc = mr_share_proc(share);
	uint64_t until;

	(void)state;
	assert_true(mr_posix_ops.expire(share, UINT64_MAX) == UINT64_MAX);
	assert_true(file_fly(share, stream));
	mr_posix_ops.release(share, proc);
	mr_posix_ops.release(share, proc); /* another, that had its place after it */
	assert_int_equal(stream->refs, 1);
	until = mr_posix_ops.expire(share, 0);
	assert_true(until > mr_share_now(share) && until < UINT64_MAX);
	file_hold(stream);
	file_land(share, stream);
	table_set(share, proc, 7, stream);
	assert_int_equal(stream->refs, 1);
	assert_true(mr_posix_ops.expire(share, UINT64_MAX) == UINT64_MAX);
	assert_false(no_file());
}

static void
a_message_that_nobody_receives_closes_its_socket_some_time_after_its_sender(void **state)
{
	struct mr_proc *proc = mr_share_proc(share);
	uint64_t until;

	(void)state;
	assert_true(file_fly(share, stream));
	mr_posix_ops.release(share, proc);
	until = mr_posix_ops.expire(share, 0);
	posix_salvage(share);
	mr_posix_ops.release(share, proc);
	assert_true(mr_posix_ops.expire(share, until - 1) == until);
	assert_false(no_file());
	assert_true(mr_posix_ops.expire(share, until) == UINT64_MAX);
	assert_true(no_file());
}

static void level_triggered_is_told_until_it_is_read(void **state)
{
	char buf[8];

	(void)state;
	watch(EPOLLIN);
	assert_int_equal(collect(), 0);
	hear("ab", 2);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(collect(), 1);
		assert_int_equal(got[0].events, EPOLLIN);
		assert_int_equal(got[0].data.u64, 77);
	}
	assert_int_equal(mr_recv(stream->sock, buf, 8, 0), 2);
	assert_int_equal(collect(), 0);
}

static void edge_triggered_is_told_once_for_each_arrival(void **state)
{
	(void)state;
	watch(EPOLLIN | EPOLLET);
	hear("a", 1);
	assert_int_equal(collect(), 1);
	assert_int_equal(collect(), 0);
	hear("b", 1);
	assert_int_equal(collect(), 1);
	assert_int_equal(collect(), 0);
}

static void a_one_shot_is_armed_again_by_modifying_it(void **state)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT };

	(void)state;
	watch(EPOLLIN | EPOLLONESHOT);
	hear("a", 1);
	assert_int_equal(collect(), 1);
	hear("b", 1);
	assert_int_equal(collect(), 0);
	ep_modify(share, ep_find(ep, stream, 7), &e);
	assert_int_equal(collect(), 1);
}

static void no_events_but_errors_and_hang_ups_are_always_told(void **state)
{
	struct mr_event ev;

	(void)state;
	watch(0);
	hear("a", 1);
	assert_int_equal(collect(), 0);
	mr_abort(client);
	mr_wait(p.engine[0], &ev, 1, 0);
	mr_share_round(share);
	assert_int_equal(collect(), 1);
	assert_int_equal(got[0].events, EPOLLERR | EPOLLHUP);
}

static void of_exclusive_registrations_one_is_told_and_the_next_takes_its_turn(void **state)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE };
	struct mr_file *other = file_new(mr_share_root(share), FILE_EPOLL);
	int first;

	(void)state;
	watch(EPOLLIN | EPOLLET | EPOLLEXCLUSIVE);
	assert_int_equal(ep_add(share, other, stream, 7, &e), 0);
	hear("a", 1);
	first = collect();
	assert_int_equal(first + ep_collect(other, got, 4), 1);
	hear("b", 1);
	assert_int_equal(collect(), 1 - first);
	assert_int_equal(ep_collect(other, got, 4), first);
	file_put(share, other);
}

/* An instance within an instance is ready when one of its members is. */
static void an_instance_is_ready_as_its_members_are(void **state)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct mr_file *outer = file_new(mr_share_root(share), FILE_EPOLL);
	char buf[8];

	(void)state;
	watch(EPOLLIN);
	assert_int_equal(ep_add(share, outer, ep, 8, &e), 0);
	assert_int_equal(ep_collect(outer, got, 4), 0);
	hear("a", 1);
	assert_int_equal(file_ready(ep), EPOLLIN | EPOLLRDNORM);
	assert_int_equal(ep_collect(outer, got, 4), 1);
	assert_int_equal(mr_recv(stream->sock, buf, 8, 0), 1);
	assert_int_equal(ep_collect(outer, got, 4), 0);
	assert_int_equal(file_ready(ep), 0);
	file_put(share, outer);
}

static void the_last_reference_closes_and_ends_registrations(void **state)
{
	struct mr_proc *proc = mr_share_proc(share);

	(void)state;
	watch(EPOLLIN);
	file_hold(stream);
	table_set(share, proc, 9, stream); /* dup() */
	table_clear(share, proc, 7);
	assert_non_null(ep_find(ep, stream, 7));
	hear("a", 1);
	assert_int_equal(collect(), 1);
	table_clear(share, proc, 9);
	assert_true(mr_list_empty(&ep->watched));
	assert_int_equal(collect(), 0);
	assert_int_equal(proc->fd_end, 9); /* 8 is the highest that is left */
}

static void an_entry_says_who_has_the_socket(void **state)
{
	(void)state;
	assert_false(entry_ours(0));
	assert_true(entry_ours(1));
	assert_false(entry_ours(1 | ENTRY_KERNEL));
	for (int i = REASON_NONE + 1; i <= REASON_DESCRIPTOR; i++)
		assert_true(*reason_text((enum mr_reason)i));
}

/* ---- Salvage --------------------------------------------------------------------------------- */

static struct mr_posix *root(void)
{
	return mr_share_root(share);
}

static unsigned length(const struct mr_list *list)
{
	const struct mr_list *pos;
	unsigned n = 0;

	mr_list_for_each (pos, list)
		n++;
	return n;
}

static void salvage_counts_references_in_the_tables_and_sleeps(void **state)
{
	struct mr_sleeper *link;

	(void)state;
	link = sleeper_new(share, stream, EPOLLIN, waiter, NULL);
	assert_non_null(link);
	file_hold(stream);
	table_set(share, mr_share_proc(share), 9, stream);
	stream->refs = 99;
	ep->refs = 0;
	mr_share_proc(share)->fd_end = 0;
	posix_salvage(share);
	assert_int_equal(stream->refs, 3);
	assert_int_equal(ep->refs, 1);
	assert_int_equal(mr_share_proc(share)->fd_end, 10);
	assert_int_equal(length(&stream->waits), 1);
	sleeper_free(share, link);
	assert_int_equal(stream->refs, 2);
}

static void salvage_links_what_a_death_left_unlinked(void **state)
{
	(void)state;
	watch(EPOLLIN);
	hear("a", 1);
	mr_list_init(&root()->all_files);
	mr_list_init(&ep->watched);
	mr_list_init(&ep->ready);
	mr_list_init(&stream->items);
	posix_salvage(share);
	assert_int_equal(length(&root()->all_files), 2);
	assert_int_equal(length(&ep->watched), 1);
	assert_non_null(ep_find(ep, stream, 7));
	assert_int_equal(collect(), 1);
	assert_int_equal(got[0].data.u64, 77);
}

/* What was ready then may have been told; what was told may be lost. */
static void salvage_tells_an_edge_once_more(void **state)
{
	(void)state;
	watch(EPOLLIN | EPOLLET);
	hear("a", 1);
	assert_int_equal(collect(), 1);
	assert_int_equal(collect(), 0);
	posix_salvage(share);
	assert_int_equal(collect(), 1);
	assert_int_equal(collect(), 0);
}

static void salvage_takes_back_what_was_half_made(void **state)
{
	struct mr_epitem *item;
	struct mr_sleeper *link;
	struct mr_file *f;

	(void)state;
	item = mr_pool_get(&root()->items);
	item->ep = ep; /* and no file yet */
	link = mr_pool_get(&root()->links);
	link->waiter = NULL;
	f = mr_pool_get(&root()->files); /* of no kind yet, but in the table already */
	mr_share_proc(share)->fds[20] = mr_pool_index(&root()->files, f) + 1;
	posix_salvage(share);
	assert_int_equal(root()->items.used, 0);
	assert_int_equal(root()->links.used, 0);
	assert_int_equal(root()->files.used, 2);
	assert_int_equal(mr_share_proc(share)->fds[20], 0);
}

/* The death came between the end of the socket and that of the file. */
static void salvage_closes_no_socket_twice(void **state)
{
	struct mr_posix *px = mr_share_root(share);
	struct mr_socket *sock = stream->sock;

	(void)state;
	mr_share_proc(share)->fds[7] = 0;
	sock->user = 0;
	mr_close(sock);
	posix_salvage(share);
	assert_ptr_equal(px->all_files.next, &ep->all_node);
	assert_ptr_equal(px->all_files.prev, &ep->all_node);
}

static void salvage_closes_files_that_no_table_has_and_sockets_that_no_file_has(void **state)
{
	struct mr_socket *lost;

	(void)state;
	assert_non_null(file_new(root(), FILE_EPOLL));
	assert_int_equal(mr_socket(p.engine[1], &lost), 0);
	posix_salvage(share);
	assert_int_equal(root()->files.used, 2);
	/* The fixture's listener is nobody's, either. */
	assert_int_equal(length(&p.engine[1]->st->socks.all), 1);
	assert_ptr_equal(stream->sock->user, (uintptr_t)stream);
}

/* It was looked at again as one that no file has, though it had just been closed with its file. */
static void salvage_closes_the_oldest_socket_with_its_file_and_goes_on(void **state)
{
	struct mr_socket *oldest = mr_share_socket_next(share, NULL);
	struct mr_file *f = file_new(root(), FILE_STREAM);

	(void)state;
	assert_ptr_not_equal(oldest, stream->sock);
	f->sock = oldest;
	oldest->user = (uintptr_t)f;
	posix_salvage(share);
	assert_int_equal(root()->files.used, 2);
	assert_int_equal(length(&p.engine[1]->st->socks.all), 1);
	assert_int_equal(p.engine[1]->st->socks.pool.used, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_socket_in_a_message_needs_no_descriptor),
		CASE(a_socket_in_a_message_outlives_its_sender_for_a_while),
		CASE(a_message_that_nobody_receives_closes_its_socket_some_time_after_its_sender),
		CASE(level_triggered_is_told_until_it_is_read),
		CASE(edge_triggered_is_told_once_for_each_arrival),
		CASE(a_one_shot_is_armed_again_by_modifying_it),
		CASE(no_events_but_errors_and_hang_ups_are_always_told),
		CASE(of_exclusive_registrations_one_is_told_and_the_next_takes_its_turn),
		CASE(an_instance_is_ready_as_its_members_are),
		CASE(the_last_reference_closes_and_ends_registrations),
		cmocka_unit_test(an_entry_says_who_has_the_socket),
		CASE(salvage_counts_references_in_the_tables_and_sleeps),
		CASE(salvage_links_what_a_death_left_unlinked),
		CASE(salvage_tells_an_edge_once_more),
		CASE(salvage_takes_back_what_was_half_made),
		CASE(salvage_closes_no_socket_twice),
		CASE(salvage_closes_files_that_no_table_has_and_sockets_that_no_file_has),
		CASE(salvage_closes_the_oldest_socket_with_its_file_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
