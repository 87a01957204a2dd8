/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neigh.h - the neighbour cache: IP address -> MAC address, with the states of RFC 4861 section 7.3.2
 * (used for ARP too, as RFC 1122 section 2.3.2 allows and Linux does), and a bounded queue of packets
 * that wait for the MAC address.
 *
 *	INCOMPLETE  a request was sent, no answer yet: packets wait; 3 requests 1 s apart, then FAILED
 *	REACHABLE   confirmed less than 30 s ago (times a random factor of 0.5 to 1.5)
 *	STALE       confirmed longer ago: still used; the first use starts DELAY
 *	DELAY       used while stale: TCP has 5 s to confirm it (mr_neigh_confirm()), then PROBE
 *	PROBE       unicast requests, 3 of them 1 s apart, then FAILED
 *	FAILED      packets are refused (-EHOSTUNREACH) for 3 s; the next one after that starts INCOMPLETE
 *
 * In shared mode (link.kernel) the kernel resolves and probes neighbours, and the states are those that it
 * reports. Only DELAY is ours: the kernel was told that a stale entry is in use, and is not told again for 5 s.
 */
#ifndef MR_LINK_NEIGH_H
#define MR_LINK_NEIGH_H

#include "base/addr.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/time.h"
#include "base/timer.h"
#include "frame/frame.h"

enum mr_neigh_state {
	MR_NEIGH_INCOMPLETE,
	MR_NEIGH_REACHABLE,
	MR_NEIGH_STALE,
	MR_NEIGH_DELAY,
	MR_NEIGH_PROBE,
	MR_NEIGH_FAILED,
};

/* The most packets that wait for one neighbour. One more, and the oldest is dropped. */
#define MR_NEIGH_QUEUE_MAX 64u
/* The packets that wait for any neighbour hold at most one in so many frames, because any peer can make us resolve
 * addresses that nobody has. */
#define MR_NEIGH_WAITING_SHARE 4u
#define MR_NEIGH_MAX	       4096u
#define MR_NEIGH_REACHABLE_NS  (30 * MR_NS_PER_S)
#define MR_NEIGH_DELAY_NS      (5 * MR_NS_PER_S)
#define MR_NEIGH_RETRANS_NS    (1 * MR_NS_PER_S)
#define MR_NEIGH_PROBES	       3u
#define MR_NEIGH_FAILED_NS     (3 * MR_NS_PER_S)
/* Shared mode: an answer of the kernel that comes sooner than this is about an earlier request. It sends three
 * requests, 1 s apart, before it gives up. */
#define MR_NEIGH_ANSWER_NS   MR_NS_PER_S
#define MR_NEIGH_KERNEL_ASKS 10u /* 1 s apart; the kernel gives up earlier and reports it */
/* An ACK confirms a neighbour only if its MAC address has not changed for so long. */
#define MR_NEIGH_SETTLE_NS (1 * MR_NS_PER_S)

struct mr_neigh {
	struct mr_list hash_node;
	struct mr_list lru_node; /* on link.lru while refs is 0 */
	struct mr_addr addr;
	uint8_t mac[6];
	uint8_t state; /* enum mr_neigh_state */
	uint8_t probes;
	/* Pointers to this entry (cached routes); entries with refs > 0 are not evicted. */
	uint32_t refs;
	struct mr_timer timer;
	/* IP packets without an Ethernet header. Linked by txnext and counted in tx_refs as in the transmit queue,
	 * because `next` belongs to the send buffer, and a packet that waits to be sent must not change. */
	struct mr_frame *waiting_head, *waiting_tail;
	uint32_t waiting_count;
	uint64_t confirmed_at;
	uint64_t moved_at; /* ns: when the MAC address last changed; 0: never */
	/* Shared mode only: */
	struct mr_list ask_node; /* member of link.asks */
	uint8_t ask;		 /* enum mr_neigh_ask, while on link.asks */
	uint64_t asked_at;   /* ns: when the kernel was first asked, and has not answered since */
	uint64_t confirm_at; /* ns: when the kernel was last told that TCP had forward progress */
};

#endif
