/* SPDX-License-Identifier: BSD-2-Clause */
/* list.h - circular doubly linked list, intrusive. An unlinked node points to itself. */
#ifndef MR_BASE_LIST_H
#define MR_BASE_LIST_H

#include <stdbool.h>
#include "base/compiler.h"

struct mr_list {
	struct mr_list *next, *prev;
};

static inline void mr_list_init(struct mr_list *l)
{
	l->next = l;
	l->prev = l;
}

/* For a head: no members. For a node: on no list. */
static inline bool mr_list_empty(const struct mr_list *l)
{
	return l->next == l;
}

static inline void mr_list_add_tail(struct mr_list *head, struct mr_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void mr_list_add_head(struct mr_list *head, struct mr_list *node)
{
	mr_list_add_tail(head->next, node);
}

/* Unlink; harmless on a node that is on no list. */
static inline void mr_list_del(struct mr_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	mr_list_init(node);
}

static inline void mr_list_move_tail(struct mr_list *head, struct mr_list *node)
{
	mr_list_del(node);
	mr_list_add_tail(head, node);
}

#define mr_list_entry(ptr, type, member)  mr_container_of(ptr, type, member)
#define mr_list_first(head, type, member) mr_list_entry((head)->next, type, member)

#define mr_list_for_each(pos, head) for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)
/* The body may unlink pos. */
#define mr_list_for_each_safe(pos, tmp, head)                                                      \
	for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head);                           \
	     (pos) = (tmp), (tmp) = (pos)->next)

#endif
