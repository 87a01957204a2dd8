/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neigh.h - the neighbour cache: IP address -> MAC address, with the states of RFC 4861 section 7.3.2
 * (used for ARP too, as RFC 1122 section 2.3.2 allows and Linux does), and a bounded queue of packets
 * that wait for an answer.
 *
 *	INCOMPLETE  asked, no answer yet: packets wait; 3 requests 1 s apart, then FAILED
 *	REACHABLE   confirmed less than 30 s (randomised 0.5 .. 1.5) ago
 *	STALE       confirmed longer ago: still used; the first use starts DELAY
 *	DELAY       used while stale: TCP gets 5 s to confirm (mr_neigh_confirm), then PROBE
 *	PROBE       unicast requests, 3 of them 1 s apart, then FAILED
 *	FAILED      packets are refused (-EHOSTUNREACH) for 3 s, then the next one asks anew
 *
 * Where the kernel knows the neighbours (link.kernel), it asks and checks, and the states are those that
 * it tells; but for DELAY, which is here: the kernel was told that a stale entry is in use, and is not
 * told again for 5 s.
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

/* Packets that wait for one neighbour. When there are more, the oldest is dropped. */
#define MR_NEIGH_QUEUE_MAX 64u
/* For all neighbours together they may hold one in so many of the frames: anybody can make us look for neighbours. */
#define MR_NEIGH_WAITING_SHARE 4u
#define MR_NEIGH_MAX	       4096u
#define MR_NEIGH_REACHABLE_NS  (30 * MR_NS_PER_S)
#define MR_NEIGH_DELAY_NS      (5 * MR_NS_PER_S)
#define MR_NEIGH_RETRANS_NS    (1 * MR_NS_PER_S)
#define MR_NEIGH_PROBES	       3u
#define MR_NEIGH_FAILED_NS     (3 * MR_NS_PER_S)
/* The kernel sends three requests, 1 s apart, before it gives up: no sooner than this. */
#define MR_NEIGH_ANSWER_NS   MR_NS_PER_S
#define MR_NEIGH_KERNEL_ASKS 10u /* 1 s apart; the kernel gives up earlier and says so */
/* An ACK confirms a neighbour only if its MAC address is older than this. */
#define MR_NEIGH_SETTLE_NS (1 * MR_NS_PER_S)

struct mr_neigh {
	struct mr_list hash_node;
	struct mr_list lru_node; /* on link.lru while refs is 0 */
	struct mr_addr addr;
	uint8_t mac[6];
	uint8_t state; /* enum mr_neigh_state */
	uint8_t probes;
	uint32_t refs; /* holders of the pointer (cached routes); eviction spares refs > 0 */
	struct mr_timer timer;
	/* IP packets without Ethernet header. Linked by txnext and counted in tx_refs, as in the
	 * transmit queue: `next` is the send buffer's, and a packet that waits to be sent must not change. */
	struct mr_frame *waiting_head, *waiting_tail;
	uint32_t waiting_count;
	uint64_t confirmed_at;
	uint64_t moved_at; /* when its MAC address last became another one */
	/* Of a neighbour that the kernel knows: */
	struct mr_list ask_node; /* on link.asks */
	uint8_t ask;		 /* enum mr_neigh_ask, while there */
	uint64_t asked_at;	 /* when the kernel was first asked for what it has not answered */
	uint64_t confirm_at;	 /* when the kernel was last told that TCP had an answer */
};

#endif
