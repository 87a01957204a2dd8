/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_cong.h - the interface of congestion controls. A congestion control says by how much cwnd grows and shrinks; loss
 * recovery (tcp_loss.c) says when. One that has a model of the path (control) does both, and sets the pacing rate.
 *
 * A TCB refers to its congestion control by index, because it must not point to code. The private state is
 * tcb->sending->cc_priv. It is zeroed before init(), which runs before the first data, and again when the connection
 * sends after MR_TCP_FORGET_NS without sending; then the caller restores cwnd and ssthresh after init().
 */
#ifndef MR_TCP_TCP_CONG_H
#define MR_TCP_TCP_CONG_H

#include "tcp/tcp.h"

/* What one ACK tells about the path, with the names of draft-ietf-ccwg-bbr section 4.1. Sizes in bytes. */
struct mr_rate_sample {
	uint64_t now;
	/* The smallest RTT of the segments that it acknowledges and that were sent once; 0: none. */
	uint64_t rtt_ns;
	uint64_t interval_ns; /* the time in which `delivered` was delivered */
	uint64_t rate;	      /* bytes per second; 0: no sample */
	uint32_t delivered;
	uint32_t newly_acked; /* by this ACK, cumulatively or selectively */
	/* tcb's totals when the segment was sent. */
	uint32_t prior_delivered;
	uint32_t prior_lost;
	uint32_t lost;	       /* lost since then */
	uint32_t tx_in_flight; /* in flight just after the segment was sent */
	bool has_data; /* false: the ACK delivered nothing, and the members above are not set */
	bool app_limited;
};

struct mr_cong_ops {
	const char *name;
	bool dctcp; /* ECN as in RFC 8257: exact feedback, and every packet is ECT */
	void (*init)(struct mr_tcb *tcb, uint64_t now);
	/* New data was acknowledged outside of recovery, and cwnd limited sending: let tcb->cwnd grow. acked: bytes;
	 * rtt_ns 0: no sample. NULL if there is control(). */
	void (*acked)(struct mr_tcb *tcb, uint32_t acked, uint64_t rtt_ns, uint64_t now);
	/* May be NULL. Replaces acked() and recovery's changes of cwnd. Called for each ACK that acknowledges or
	 * reports anything, after loss detection. */
	void (*control)(struct mr_tcb *tcb, const struct mr_rate_sample *rs);
	/* Loss was detected: return the new ssthresh in bytes. cwnd still has its old value. */
	uint32_t (*ssthresh)(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now);
	/* The same for an ECN mark that the peer echoed. NULL: ssthresh() is used. */
	uint32_t (*marked)(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now);
	/* May be NULL. The loss was detected by a retransmission timeout. Called after ssthresh() for the same loss. */
	void (*timeout)(struct mr_tcb *tcb, uint64_t now);
	/* May be NULL. The loss of the last ssthresh() turned out to be none: restore the private state. The caller
	 * has restored cwnd and ssthresh. */
	void (*undo)(struct mr_tcb *tcb, uint64_t now);
	/* May be NULL. Frame f was just found lost. */
	void (*lost)(struct mr_tcb *tcb, const struct mr_frame *f, uint64_t now);
	/* May be NULL. Recovery has ended: everything that was lost is acknowledged. */
	void (*recovered)(struct mr_tcb *tcb, uint64_t now);
	/* May be NULL. Data is about to be sent while none is in flight. */
	void (*send_begin)(struct mr_tcb *tcb, uint64_t now);
	/* May be NULL. An ACK of this many bytes arrived on a connection with ECN; ece: it echoes a mark. Called
	 * before marked() for the same ACK. */
	void (*ecn)(struct mr_tcb *tcb, uint32_t acked, bool ece);
};

enum mr_cong { MR_CONG_NEWRENO, MR_CONG_CUBIC, MR_CONG_BBR, MR_CONG_DCTCP, MR_CONG_MAX };

const struct mr_cong_ops *mr_cong(unsigned index);
extern const struct mr_cong_ops mr_cong_newreno, mr_cong_cubic, mr_cong_bbr, mr_cong_dctcp;

/* RFC 5681 (1): the initial window in bytes, with the ten segments of RFC 6928. */
uint32_t mr_cong_initial_window(uint32_t mss);

/* RFC 5681 (2): slow start. cwnd grows by the bytes acknowledged, up to ssthresh. */
void mr_cong_slow_start(struct mr_tcb *tcb, uint32_t acked);

/* RFC 5681 section 3.1: slow start up to ssthresh, then congestion avoidance (3), one segment per window
 * acknowledged. *part: fraction of a byte that is carried over to the next call, 0 at first. */
void mr_cong_grow(struct mr_tcb *tcb, uint32_t acked, uint32_t *part);

/* The FlightSize of RFC 5681 (4): the window that was really in use. If cwnd limited output in this round, that is
 * cwnd, even if less is in flight now, because earlier ACKs of the same batch of input have already reduced it and
 * output has not run yet. Otherwise it is in_flight, since cwnd may never have been used up. */
uint32_t mr_cong_used(const struct mr_tcb *tcb, uint32_t in_flight);

#endif
