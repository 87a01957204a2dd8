/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_cong.h - the congestion control interface. A control decides how cwnd grows and how far it
 * falls; when, is the business of loss recovery (tcp_loss.c). One with a model of the path (control)
 * decides all of it, and how data is paced. Chosen by index, so that a TCB holds no pointer to code.
 * Private state is tcb->sending->cc_priv, zeroed before init, which comes with the first data, and anew with the
 * first after a minute of silence; cwnd and ssthresh are kept then, whatever init makes of them.
 */
#ifndef MR_TCP_TCP_CONG_H
#define MR_TCP_TCP_CONG_H

#include "tcp/tcp.h"

/* What one ACK tells about the path: draft-ietf-ccwg-bbr section 4.1, whose names these are. Bytes. */
struct mr_rate_sample {
	uint64_t now;
	uint64_t rtt_ns;      /* the least of what it acknowledges and was sent once; 0: none */
	uint64_t interval_ns; /* in which `delivered` was delivered */
	uint64_t rate;	      /* bytes per second; 0: no sample */
	uint32_t delivered;
	uint32_t newly_acked;	  /* cumulatively or selectively, by this ACK */
	uint32_t prior_delivered; /* so far, when the segment was sent; and lost: */
	uint32_t prior_lost;
	uint32_t lost;	       /* since then */
	uint32_t tx_in_flight; /* when it was sent, with it */
	bool has_data;	       /* something was delivered: the above are about the newest of it */
	bool app_limited;
};

struct mr_cong_ops {
	const char *name;
	bool dctcp; /* ECN as RFC 8257 has it: exact echoes, and all that is sent is ECT */
	void (*init)(struct mr_tcb *tcb, uint64_t now);
	/* New data was acknowledged outside of recovery, and cwnd was the limit. acked: bytes;
	 * rtt_ns 0: no sample. Grows tcb->cwnd. NULL with control(). */
	void (*acked)(struct mr_tcb *tcb, uint32_t acked, uint64_t rtt_ns, uint64_t now);
	/* NULL, or in place of acked() and of what recovery does to cwnd: called for each ACK that
	 * acknowledges or reports anything, when losses have been looked for. */
	void (*control)(struct mr_tcb *tcb, const struct mr_rate_sample *rs);
	/* Loss was found: the new ssthresh in bytes, given what is in flight. cwnd still has its
	 * old value. */
	uint32_t (*ssthresh)(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now);
	/* NULL: as ssthresh(), or: the same for a mark that was echoed (ECN). */
	uint32_t (*marked)(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now);
	/* NULL, or: the loss was found by a timeout. Comes after ssthresh() for the same loss. */
	void (*timeout)(struct mr_tcb *tcb, uint64_t now);
	/* NULL, or: the loss of the last ssthresh() was none. The caller has put back cwnd and
	 * ssthresh as they were before; this does so with the private state. */
	void (*undo)(struct mr_tcb *tcb, uint64_t now);
	/* NULL, or: this frame was just judged lost. */
	void (*lost)(struct mr_tcb *tcb, const struct mr_frame *f, uint64_t now);
	/* NULL, or: what was lost is repaired. */
	void (*recovered)(struct mr_tcb *tcb, uint64_t now);
	/* NULL, or: data is about to be sent, and none is in flight. */
	void (*send_begin)(struct mr_tcb *tcb, uint64_t now);
	/* NULL, or: an ACK of so many bytes came on a connection with ECN; ece: it echoes a mark. Comes
	 * before marked() for the same ACK. */
	void (*ecn)(struct mr_tcb *tcb, uint32_t acked, bool ece);
};

enum mr_cong { MR_CONG_NEWRENO, MR_CONG_CUBIC, MR_CONG_BBR, MR_CONG_DCTCP, MR_CONG_MAX };

const struct mr_cong_ops *mr_cong(unsigned index);
extern const struct mr_cong_ops mr_cong_newreno, mr_cong_cubic, mr_cong_bbr, mr_cong_dctcp;

/* RFC 5681 (1): the initial window in bytes, with RFC 6928's ten segments. */
uint32_t mr_cong_initial_window(uint32_t mss);

/* RFC 5681 (2): let cwnd grow by the bytes acknowledged, up to ssthresh. */
void mr_cong_slow_start(struct mr_tcb *tcb, uint32_t acked);

/* RFC 5681 section 3.1: slow start up to ssthresh, then (3): a segment for each window acknowledged.
 * *part: what is left of a byte, 0 at first. */
void mr_cong_grow(struct mr_tcb *tcb, uint32_t acked, uint32_t *part);

/* RFC 5681 (4) speaks of FlightSize: the window that was really in use. When cwnd held back output in this
 * round, that is cwnd, even if less is in flight now: of one batch of input, the ACKs before this loss have
 * emptied the pipe, and nothing could be sent yet. Else cwnd may never have been tried. */
uint32_t mr_cong_used(const struct mr_tcb *tcb, uint32_t in_flight);

#endif
