/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_priv.h - functions that the files of user/tcp call in one another. Nothing outside of user/tcp includes it.
 * Results that are not stated are: bool, the answer to the function's name; int, 0 or a negative errno.
 */
#ifndef MR_TCP_TCP_PRIV_H
#define MR_TCP_TCP_PRIV_H

#include "tcp/tcp.h"
#include "tcp/tcp_cong.h"

/* ---- tcp_tcb.c: life of a TCB ---------------------------------------------------------------- */

/* A TCB in state CLOSED, not in the flow table. NULL: max_connections are in use. */
struct mr_tcb *tcb_alloc(struct mr_tcp *tcp, const struct mr_tcp_opts *opts, uint64_t now);
/* Remove the TCB from the flow table, free its queues, and give it back to the pool. Sends nothing, makes no upcall. */
void tcb_free(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The only writer of tcb->state. Asserts that RFC 9293 figure 5 has this transition. */
void tcb_set_state(struct mr_tcb *tcb, enum mr_tcp_state state);
/* Put the TCB on tcp->pending, so that output runs for it in this round. */
void tcb_mark(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The connection is over: tell the owner, if there is one, with the upcall gone(err), then free the TCB. */
void tcb_end(struct mr_tcp *tcp, struct mr_tcb *tcb, int err);
/* The handshake is complete: set cwnd and ssthresh to their initial values. syn_lost: our SYN or SYN,ACK was lost. */
void tcb_cong_start(struct mr_tcb *tcb, bool syn_lost);
/* Give the TCB a struct mr_sending of its own, if it has none, and initialise congestion control. cwnd and ssthresh
 * stay as they are. */
void tcb_sending_begin(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
void tcb_sending_end(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* Has the TCB a struct mr_sending of its own? */
static inline bool tcb_sends(const struct mr_tcb *tcb)
{
	return tcb->sending->tcb != NULL;
}

/* Set one of tcb->timers; MR_TIME_NEVER: off. */
void tcb_timer_set(struct mr_tcp *tcp, struct mr_tcb *tcb, enum mr_tcb_timer which,
		   uint64_t deadline);
static inline void tcb_timer_clear(struct mr_tcb *tcb, enum mr_tcb_timer which)
{
	/* The wheel entry is not moved: it fires early, finds nothing to do, and is armed anew. */
	tcb->timers[which] = MR_TIME_NEVER;
}

/* This process's table of upcalls. */
const struct mr_tcp_upcalls *tcp_up(const struct mr_tcp *tcp);

/* Set the first estimate rcv_mss, before data was received: too small rather than too large, as Linux does. If it is
 * too large, the receiver never sees two full segments, and delays every ACK. */
void tcb_guess_rcv_mss(struct mr_tcb *tcb);
/* The window scale to announce for a receive buffer of this size (RFC 7323 section 2.3). It leaves room for the buffer
 * to grow. */
uint8_t tcp_choose_wscale(uint32_t rcvbuf);
/* The window of a SYN or SYN,ACK, whose window field is never scaled. */
uint32_t tcp_initial_rcv_wnd(uint32_t rcvbuf);

/* What one ACK says. The steps of its processing fill it in, one after the other. Sizes in bytes. */
struct ack {
	uint64_t now;
	uint64_t rtt_ns;     /* RTT sample; 0: none */
	uint32_t acked;	     /* by how much snd_una has advanced */
	uint32_t delivered;  /* newly acknowledged, cumulatively or selectively */
	uint32_t tsecr;	     /* if ts_valid */
	bool ts_valid;	     /* the ACK echoes a timestamp */
	bool dup;	     /* a duplicate ACK as RFC 5681 section 2 defines it */
	bool dsack;	     /* it reports duplicate data: dsack_block */
	bool orig_delivered; /* it acknowledges data that was sent only once */
	bool reordered; /* it acknowledges such data after data that was sent later: packets were reordered */
	/* The frame at the head of the queue was retransmitted, and the ACK answers an earlier transmission of it. */
	bool first_copy;
	bool acked_in_recovery; /* it ended a recovery, and cwnd has been set for that */
	struct mr_sack_block dsack_block;
	uint32_t
		newest_end; /* end of the most recently sent segment that it acknowledges, which rs describes */
	struct mr_rate_sample rs; /* complete when rate_generate() has run */
};

/* Bytes in flight: the `pipe` of RFC 6675, or FlightSize less what duplicate ACKs account for. */
static inline uint32_t tcb_in_flight(const struct mr_tcb *tcb)
{
	uint32_t out = seq_diff(tcb->snd_nxt, tcb->snd_una);
	uint32_t gone = tcb->lost_bytes + tcb->dup_bytes + tcb->sacked_bytes;

	return out > gone ? out - gone : 0;
}

/* Does the application wait for room in the send buffer, while nothing is in flight whose ACK would make room? Then
 * data must not be held back for more to be written. Linux does the same: a writer that has to wait pushes. */
static inline bool tcb_waits_for_writer(const struct mr_tcb *tcb)
{
	return tcb->write_short && tcb->sndq.unsent && tcb->snd_una == tcb->snd_nxt;
}

/* Are so few frames free (one in 32) that received payload is dropped? */
static inline bool tcp_frames_low(const struct mr_tcp *tcp)
{
	return tcp->frames->nfree < tcp->frames->nframes / 32;
}

/* How long FIN-WAIT-2 lasts after the application has closed the connection, ns. */
static inline uint64_t tcb_fin_timeout(const struct mr_tcb *tcb)
{
	uint64_t chosen = tcb->opts.linger2_s > 0 ? (uint64_t)tcb->opts.linger2_s : 0;

	return chosen ? chosen * MR_NS_PER_S : MR_TCP_FIN_TIMEOUT_NS;
}

/* Are so few frames free (one in 8) that connections with many frames get no more (mr_tcp_upcalls.room)? */
static inline bool tcp_frames_scarce(const struct mr_tcp *tcp)
{
	return tcp->frames->nfree < tcp->frames->nframes / 8;
}

/* A synchronized state of RFC 9293 section 3.3.2: ESTABLISHED or later. */
static inline bool tcb_synchronized(const struct mr_tcb *tcb)
{
	return tcb->state >= MR_TCP_ESTABLISHED;
}

/* ---- tcp_user.c ------------------------------------------------------------------------------ */
/* After a change of the MTU: put the next few TCBs on tcp->pending, whose output adapts to it. */
void tcp_tell_mtu(struct mr_tcp *tcp);

/* ---- tcp_path.c ------------------------------------------------------------------------------ */
/* The MSS that we may offer on this path: the path's MTU less the fixed IP and TCP headers, at most maxseg unless that
 * is 0. */
uint16_t tcp_path_mss(const struct mr_dst *dst, const struct mr_addr *raddr, uint16_t maxseg);
/* The MSS that the peer's SYN offers, or the default if it has no MSS option (RFC 9293 section 3.7.1). */
uint16_t tcp_peer_mss(const struct mr_seg *syn, const struct mr_addr *raddr);
/* Set peer_mss, and snd_mss from it, the path and the options in use. The MSS option counts only the fixed headers;
 * the sender deducts its options (RFC 9293 3.7.1, RFC 6691). */
void tcb_set_snd_mss(struct mr_tcp *tcp, struct mr_tcb *tcb, uint16_t peer_mss);
/* The MTU of the path (tcb->dst.mtu) has changed: set snd_mss anew; if it is smaller, send again what is in flight. */
void tcb_path_changed(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* Path MTU probing, struct mr_mtup. With MR_MTU_PROBING_ALWAYS begin a search: the connection is established. */
void mtup_established(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* After a retransmission timeout: begin a search if the length of the segments may be the cause. */
void mtup_timeout(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* Payload bytes of the probe that should be sent now; 0: none. It is sent only if mtup_follow() more bytes can be sent
 * behind it, so that its loss is noticed. */
uint32_t mtup_wants(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
uint32_t mtup_follow(const struct mr_tcb *tcb);
/* A probe was sent: the len payload bytes before snd_nxt. */
void mtup_sent(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t len);
/* snd_una has advanced: if the probe is acknowledged, its length is the new lower bound. */
void mtup_acked(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The frame that begins at seq is retransmitted. If it is part of the probe, the probe is void. */
void mtup_retransmitted(struct mr_tcb *tcb, uint32_t seq);
/* Frames were found lost. true: only the probe is lost. It has been marked for retransmission in segments of the usual
 * length, and it is no sign of congestion. */
bool mtup_lost(struct mr_tcp *tcp, struct mr_tcb *tcb);

/* ---- tcp_ack.c ------------------------------------------------------------------------------- */
/* The segment has an acceptable ACK, and the connection is in ESTABLISHED or a later state: advance snd_una, remove
 * what is acknowledged from the send queue, detect losses, adapt cwnd, and take the window. */
void ack_input(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, uint64_t now);
/* Set snd_wnd, snd_wl1 and snd_wl2 from this segment. shift: our snd_wscale, or 0 for a segment with SYN. */
void ack_window(struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t shift);

/* ---- tcp_isn.c ------------------------------------------------------------------------------- */
/* The initial sequence number of this flow (RFC 6528 section 3). */
uint32_t tcp_isn(const struct mr_tcp *tcp, const struct mr_flow *flow, uint64_t now);
/* The offset of this flow's timestamp clock (RFC 7323 section 5.4). */
uint32_t tcp_ts_offset(const struct mr_tcp *tcp, const struct mr_flow *flow);
/* TSval: the clock in ms, plus the flow's offset. */
static inline uint32_t tcp_ts_now(uint32_t offset, uint64_t now)
{
	return (uint32_t)(now / MR_NS_PER_MS) + offset;
}
/* The RTT in ns (exact to ms, at least one) that an echoed timestamp shows; 0: more than 10 minutes, so it is no echo
 * of ours. */
uint64_t tcp_ts_rtt(uint32_t offset, uint32_t tsecr, uint64_t now);

/* ---- tcp_table.c: flows ----------------------------------------------------------------------- */
/* 0 or -ENOMEM. */
int tcp_table_init(struct mr_tcp *tcp, struct mr_arena *arena, uint32_t flows);
/* Fill in kind, 4-tuple and hash. Ports are in host byte order. */
void flow_set(const struct mr_tcp *tcp, struct mr_flow *flow, enum mr_flow_kind kind,
	      const struct mr_addr *laddr, uint16_t lport, const struct mr_addr *raddr,
	      uint16_t rport);
/* Into and out of the flow table. */
void flow_insert(struct mr_tcp *tcp, struct mr_flow *flow);
void flow_remove(struct mr_tcp *tcp, struct mr_flow *flow);
/* The flow with this 4-tuple, or NULL. hash: flow_hash() of it. */
struct mr_flow *flow_lookup(const struct mr_tcp *tcp, uint32_t hash, const struct mr_addr *laddr,
			    uint16_t lport, const struct mr_addr *raddr, uint16_t rport);
uint32_t flow_hash(const struct mr_tcp *tcp, const struct mr_addr *laddr, uint16_t lport,
		   const struct mr_addr *raddr, uint16_t rport);

/* ---- tcp_port.c: listeners, ports ------------------------------------------------------------ */
/* The listener on exactly this address, or else on all addresses. Of several that share the port (reuseport) the
 * flow's hash chooses one. NULL: there is none. */
struct mr_tcp_listener *listener_lookup(const struct mr_tcp *tcp, const struct mr_addr *laddr,
					uint16_t lport, uint32_t hash);
/* May l listen, beside the listeners that share its port? */
bool tcp_may_listen(const struct mr_tcp *tcp, const struct mr_tcp_listener *l);
/* A local port for an active open, by RFC 6056 algorithm 3. 0: none is free. */
uint16_t tcp_ephemeral_port(struct mr_tcp *tcp, const struct mr_addr *laddr,
			    const struct mr_addr *raddr, uint16_t rport, uint64_t now);

/* ---- tcp_rtt.c: RFC 6298 --------------------------------------------------------------------- */
/* Update srtt_ns, rttvar_ns and rto_ns with one measurement. */
void rtt_sample(struct mr_tcb *tcb, uint64_t rtt_ns);
/* The same with the timestamp that the segment echoes, if it does. It is valid for retransmissions, too (RFC 7323
 * section 4). */
void rtt_by_timestamp(struct mr_tcb *tcb, const struct mr_seg *seg, uint64_t now);
/* The present RTO in ns, doubled tcb->backoff times, at most MR_TCP_RTO_MAX_NS. */
uint64_t rtt_rto(const struct mr_tcb *tcb);

/* ---- tcp_sndq.c ------------------------------------------------------------------------------ */
/* Remove all payload before una, which is acknowledged. Adds to ack->delivered and informs RACK and the delivery rate.
 * Returns when the last of the removed frames was sent, for an RTT sample; 0 if it was retransmitted (Karn). */
uint64_t sndq_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t una, struct ack *ack);
/* The sum (base/csum.h) of f's payload, computed if it is not known yet. */
uint32_t sndq_sum(struct mr_frame *f);
/* Split f in two; the first part has `at` bytes. -ENOBUFS: frames are scarce, and nothing was changed. */
int sndq_split(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, uint32_t at);
/* Remove the first n bytes of the queue, which were never marked as sent: the peer took them with our SYN. */
void sndq_drop(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t n);
/* Move the next len unsent bytes (the queue has as many) into as few frames as possible, with a frame boundary behind
 * them. -ENOBUFS: no frame is free; the queue still has the same bytes, in other frames. */
int sndq_pack(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t len);
void sndq_free(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* f is lost: put it on tcb->lost. No effect if it is there already, or was SACKed. */
void sndq_mark_lost(struct mr_tcb *tcb, struct mr_frame *f);
/* Everything on tcb->lost counts as in flight again: the loss turned out to be none. */
void sndq_unmark_lost(struct mr_tcb *tcb);

/* ---- tcp_ooo.c ------------------------------------------------------------------------------- */
/* Insert a segment beyond rcv_nxt, trimmed to the window, into the reassembly queue. MR_DROP_NONE: f was taken over.
 * Otherwise the caller still owns it. */
enum mr_drop ooo_insert(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f);
/* Remove and return the segment that continues at rcv_nxt, without what was received before; NULL: there is none. */
struct mr_frame *ooo_take(struct mr_tcp *tcp, struct mr_tcb *tcb);
void ooo_free(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The first segment of the reassembly queue, or NULL. */
static inline struct mr_frame *ooo_head(const struct mr_tcb *tcb)
{
	return tcb->gap ? tcb->gap->q.head : NULL;
}
/* Remove n payload bytes, at most all, from the front of a segment; chunks that become empty are put, except the last.
 * Returns the new first chunk. */
struct mr_frame *pay_trim_front(struct mr_frame_pool *pool, struct mr_frame *f, uint32_t n);

/* ---- tcp_sack.c ------------------------------------------------------------------------------ */
/* As the receiver: [start, end) was put into the reassembly queue; report it as the first block from now on. */
void sack_received(struct mr_tcb *tcb, uint32_t start, uint32_t end);
/* rcv_nxt has advanced: stop reporting the blocks before it. */
void sack_forget(struct mr_tcb *tcb);
/* [start, end) had been received before: report it once, as a D-SACK. */
void sack_duplicate(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t start, uint32_t end);
/* Remove the connection's oldest block from tcp->dsacks. false: it has none, and dsack_more was cleared. */
bool sack_next_duplicate(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_sack_block *block);
/* Add the SACK option, if there are blocks to report, to a segment without payload. */
void sack_fill(struct mr_tcb *tcb, struct mr_seg *seg);
/* As the sender: if the first block is a D-SACK, set ack->dsack and ack->dsack_block. */
void sack_dsack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, struct ack *ack);
/* Mark the frames that the other blocks cover as SACKed. Call sack_dsack() first. */
void sack_input(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, struct ack *ack);
/* The peer has discarded data that it had SACKed: remove the marks from all frames (RFC 2018 section 8). */
void sack_renege(struct mr_tcb *tcb);
/* f, the head of the send queue, is about to be removed from it. */
void sack_popped(struct mr_tcb *tcb, struct mr_frame *f);

/* ---- tcp_ecn.c ------------------------------------------------------------------------------- */
/* The ECN field of an IP header. */
#define ECN_MASK    3u
#define ECN_NOT_ECT 0u
#define ECN_ECT1    1u
#define ECN_ECT0    2u
#define ECN_CE	    3u

/* The ACE field (RFC 9768 section 3.1.1): AE, CWR and ECE as a number of three bits, AE the highest. */
uint8_t ecn_ace(const struct mr_seg *seg);
void ecn_set_ace(struct mr_seg *seg, uint8_t ace);
/* The feedback (enum mr_ecn_mode) that a listener with this policy (enum mr_ecn_policy) grants to this SYN. */
uint8_t ecn_requested(const struct mr_seg *syn, uint8_t policy);
/* A retransmitted SYN arrived for this request (RFC 9768 sections 3.1.4.2 and 3.1.5). false: it asks for another kind
 * of feedback than the first one, so the request must not go on. */
bool ecn_syn_again(struct mr_tcp_synreq *req, const struct mr_seg *syn, uint8_t tos);
/* The feedback of a connection whose handshake this ACK completes with a SYN cookie. classic: the cookie says that RFC
 * 3168 was agreed on; Accurate ECN is recognised by the ACK itself. */
uint8_t ecn_of_cookie(const struct mr_seg *ack, uint8_t policy, bool classic);
/* Set the flags of our SYN. */
void ecn_offer(const struct mr_tcb *tcb, struct mr_seg *syn);
/* Set the flags of our SYN,ACK, and add the AccECN option, for which the other options must be set already. mode: enum
 * mr_ecn_mode; syn_ecn: the ECN field with which the SYN arrived; retries: SYN,ACKs before this one; option: the option
 * may be used. */
void ecn_synack(uint8_t mode, uint8_t syn_ecn, uint32_t retries, bool option,
		struct mr_seg *synack);
/* Set up tcb->ecn when this ACK has completed a passive open. */
void ecn_server(struct mr_tcb *tcb, const struct mr_tcp_synreq *req, const struct mr_seg *ack);
/* The same when this SYN,ACK has answered an active open, or this SYN belongs to a simultaneous open or to TCP Fast
 * Open. tos: of its packet. */
void ecn_client(struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t tos);
/* A SYN,ACK arrived, the first or a retransmitted one: the next pure ACK reports its ECN field. */
void ecn_synack_seen(struct mr_tcb *tcb, uint8_t tos);
/* The ACE field that reports with which ECN field the peer's SYN or SYN,ACK arrived. */
uint8_t ecn_peer_syn(const struct mr_tcb *tcb);
/* As the receiver: a segment arrived, whose packet had this TOS byte. */
void ecn_received(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t tos);
/* As the sender: this ACK was processed; if it reports marks, inform the congestion control and reduce cwnd. */
void ecn_echoed(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg,
		const struct ack *ack);
/* Set the flags of a segment that is about to be sent. pure: it has no payload; new_data: payload that was never sent
 * before. */
void ecn_fill(struct mr_tcb *tcb, struct mr_seg *seg, bool pure, bool new_data);
/* The TOS byte of its packet. */
uint8_t ecn_tos(const struct mr_tcb *tcb, bool new_data);
/* Is CWR set in the present ACE field? Then segmentation offload must not be used: it treats CWR as RFC 3168 does, and
 * keeps it only on the first segment. */
bool ecn_counts_with_cwr(const struct mr_tcb *tcb);

/* ---- tcp_fastopen.c -------------------------------------------------------------------------- */
/* Add the option with a cookie for this flow's client to a SYN,ACK. l NULL: the listener is gone; no option. */
void tfo_grant(const struct mr_tcp *tcp, const struct mr_tcp_listener *l,
	       const struct mr_flow *flow, struct mr_seg *synack);
/* Which key was the SYN's cookie made with? TFO_BY_NONE: the cookie is not valid. */
enum tfo_made_by { TFO_BY_NONE, TFO_BY_KEY, TFO_BY_OLD_KEY };
enum tfo_made_by tfo_cookie_check(const struct mr_tcp *tcp, const struct mr_tcp_listener *l,
				  const struct mr_flow *flow, const struct mr_seg *syn);
/* Connections that were opened by a cookie and whose handshake is not complete, plus those that were reset in that
 * state within the last one to two minutes. struct mr_tcp_opts.fastopen limits it (RFC 7413 section 5.1). */
uint32_t tfo_unconfirmed(struct mr_tcp *tcp, uint64_t now);
/* The peer has reset a connection in MR_TFO_PENDING: count it in tfo_unconfirmed(). */
void tfo_reset(struct mr_tcp *tcp, uint64_t now);
/* Derive keys from the engine's secret: the configuration has none. */
void tfo_init(struct mr_tcp *tcp);
/* The handshake of a connection in MR_TFO_PENDING is complete, or the connection is over. */
void tfo_confirmed(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The client's side of an open with opts.fastopen_connect. Begin: set tcb->tfo by what is known of the server. */
void tfo_begin(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* Add the option to our SYN. */
void tfo_syn(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_seg *syn, uint64_t now);
/* Payload bytes that the SYN may carry, its other options being set; 0: it carries none. */
uint32_t tfo_room(struct mr_tcp *tcp, const struct mr_tcb *tcb, const struct mr_seg *syn,
		  uint64_t now);
/* Process the option and the acknowledgment of the SYN,ACK: store the cookie, remove accepted data from the queue. */
void tfo_synack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *synack, uint64_t now);

/* ---- tcp_accecn.c ---------------------------------------------------------------------------- */
#define ACCECN_CEP_INIT 5u /* initial value of r_cep and s_cep (RFC 9768 section 3.2.1) */
/* Initialise the counters. */
void accecn_begin(struct mr_ecn *e);
/* Add the option with the initial counters to a SYN,ACK, if there is room for it. */
void accecn_synack_option(struct mr_seg *seg);
/* The first segment of the peer that should carry the option: does it arrive, and unchanged? */
void accecn_option_first(struct mr_ecn *e, const struct mr_seg *seg);
/* As the receiver: count a segment whose packet had this ECN field. */
void accecn_received(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t ecn);
/* Evidence of whether our ACKs with the option arrive. Duplicate: the peer has sent data again that was acknowledged.
 * Answered: it has sent new data. Timeout: our data with the option timed out. */
void accecn_duplicate(struct mr_tcb *tcb);
void accecn_answered(struct mr_tcb *tcb);
void accecn_timeout(struct mr_tcb *tcb);
/* Set the ACE field of a segment that is about to be sent. pure: it has no payload. */
void accecn_fill(struct mr_tcb *tcb, struct mr_seg *seg, bool pure);
/* The ACE field for the ACKs of the TIME-WAIT object that follows the TCB; 0 without Accurate ECN. */
uint8_t accecn_told(const struct mr_tcb *tcb);
/* Add the option, if counters have changed and `room` bytes suffice, to a segment whose other options are set. */
void accecn_option(struct mr_tcb *tcb, struct mr_seg *seg, uint32_t room, bool pure);
/* The same for a pure ACK, in which the option may replace a SACK block. */
void accecn_ack_option(struct mr_tcb *tcb, struct mr_seg *seg);
/* As the sender: evaluate the counters of an ACK. true: it reports marks; tcb->ecn.delivered_ce has grown by the bytes
 * that were marked. */
bool accecn_echoed(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg,
		   const struct ack *ack);

/* ---- tcp_rack.c ------------------------------------------------------------------------------ */
/* RFC 8985. Update the minimum RTT with a sample (section 6.2 step 1). */
void rack_rtt(struct mr_tcb *tcb, uint64_t rtt_ns, uint64_t now);
/* The frame f was just acknowledged, cumulatively or selectively (steps 2 and 3). */
void rack_delivered(struct mr_tcb *tcb, const struct mr_frame *f, struct ack *ack);
/* Find frames that are lost (step 5), and set the reordering timer for the next one. true: something is newly lost. */
bool rack_detect(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* Adapt the reordering window to the ACK (step 4), then rack_detect(). */
bool rack_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct ack *ack);
/* A recovery is over. After 16 of them without a new D-SACK, a widened reordering window is narrow again. */
void rack_recovery_done(struct mr_tcb *tcb);
/* Set or clear the probe timer (section 7.2); it has expired (7.3). */
void tlp_arm(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
void tlp_fire(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* Does this ACK answer the probe (section 7.4.2)? true: the probe has repaired a loss, to which congestion control must
 * react. */
bool tlp_ack(struct mr_tcb *tcb, const struct mr_seg *seg, const struct ack *ack);

/* ---- tcp_rate.c: delivery rate samples ------------------------------------------------------- */
/* Call before a segment is sent. */
void rate_send_begin(struct mr_tcb *tcb, uint64_t now);
/* Record in f, a frame of that segment, the state at its sending. in_flight: bytes, including the segment. */
void rate_sent(const struct mr_tcb *tcb, struct mr_frame *f, uint32_t in_flight, uint64_t now);
/* f was just acknowledged, cumulatively or selectively. */
void rate_delivered(struct mr_tcb *tcb, const struct mr_frame *f, struct ack *ack);
/* All frames that this ACK acknowledges were passed to rate_delivered(): complete ack->rs. */
void rate_generate(struct mr_tcb *tcb, struct ack *ack);
/* Mark the samples of what is sent from now on, and of what is in flight, as limited by the application. */
void rate_app_limited(struct mr_tcb *tcb);
/* The same, but only if the application has written too little to fill cwnd. */
void rate_check_app_limited(struct mr_tcb *tcb);

/* ---- tcp_pace.c ------------------------------------------------------------------------------ */
/* May data be sent now? */
bool pace_allows(const struct mr_tcb *tcb, uint64_t now);
/* `bytes` of payload were just sent. */
void pace_sent(struct mr_tcb *tcb, uint32_t bytes, uint64_t now);
/* Payload bytes that may be sent as one packet, where the device cuts it into segments. */
uint32_t pace_burst(const struct mr_tcb *tcb);

/* ---- tcp_cwv.c: congestion window validation ------------------------------------------------- */
/* Output is done. limited: cwnd was the limit; app: the application was, the send queue has nothing unsent. */
void cwv_output(struct mr_tcb *tcb, bool limited, bool app, uint64_t now);
/* New data is about to be sent: reduce cwnd if the connection was idle for longer than an RTO. */
void cwv_send_begin(struct mr_tcb *tcb, uint64_t now);
/* May cwnd grow? Only if it was used up. */
bool cwv_may_grow(const struct mr_tcb *tcb);

/* ---- tcp_loss.c ------------------------------------------------------------------------------ */
/* Loss recovery and congestion control for one ACK, when snd_una and the send queue are up to date. */
void loss_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, struct ack *ack);
/* f is lost: mark it for retransmission, and inform the congestion control. */
void loss_found(struct mr_tcb *tcb, struct mr_frame *f, uint64_t now);
/* The retransmission timer has expired. */
void loss_rto(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* End F-RTO without a result: there is no new data to send in place of a retransmission (RFC 5682 section 2.1 step 2),
 * or the cause of the timeout is known. */
void loss_frto_give_up(struct mr_tcb *tcb);
/* RACK's reordering timer has expired. */
void loss_reorder_timeout(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* `bytes` bytes before the sequence number `end` were sent again: recorded for undo. */
void loss_retransmitted(struct mr_tcb *tcb, uint32_t end, uint32_t bytes, uint64_t now);

/* ---- tcp_timer.c ----------------------------------------------------------------------------- */
/* When the wheel entry must fire, ns: the nearest of tcb->timers, or the time to free tcb->sending. MR_TIME_NEVER:
 * there is nothing to wait for. */
uint64_t tcb_next_deadline(const struct mr_tcb *tcb);

/* ---- tcp_xmit.c ------------------------------------------------------------------------------ */
/* What a packet with payload consists of. */
enum run_kind {
	RUN_NEW,  /* one segment */
	RUN_LOST, /* one segment that is retransmitted */
	/* One packet of several segments, which the device cuts, or of one very long segment. */
	RUN_BURST,
};

/* Consecutive frames of the send queue that make one packet. */
struct run {
	enum run_kind kind;
	struct mr_frame *first;
	uint32_t len;
	uint8_t chunks;
	bool busy; /* the device still holds one of the frames */
	bool psh;
	struct mr_frame *next; /* the first frame behind the run */
};

/* Collect as many whole frames from f on as fit into limit bytes, at least one. A frame that is longer than that is split
 * (the MSS or the window has become smaller). false: no frame is free for that. */
bool xmit_gather(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, uint32_t limit,
		 enum run_kind kind, struct run *r);
/* Send one run. false: no frame or no room; nothing was changed. */
bool xmit_run(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct run *r, uint8_t flags,
	      uint64_t now);
/* Send the SYN with a copy of the head of the send queue (RFC 7413 section 4.2.1). false: no frame. */
bool xmit_syn_data(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* Send a segment without payload. Without a free frame or room in the transmit queue it is lost. */
void xmit_empty(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t seq, uint8_t flags, uint64_t now);
/* Send an ACK for data before a change of the CE mark (struct mr_ecn_ack). */
void xmit_ecn_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_ecn_ack *a, uint64_t now);
/* Send a RST. It is lost if the transmit queue is full. */
void tcp_send_rst(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* The receive window to advertise now, in bytes from rcv_nxt, with the receiver's silly window avoidance (RFC 9293
 * section 3.8.6.2.2). */
uint32_t tcp_select_window(const struct mr_tcb *tcb);

/* ---- tcp_output.c ---------------------------------------------------------------------------- */
/* Send everything that the TCB has to send, as far as windows, pacing and the transmit queue allow. true: it is done.
 * false: the transmit queue was full or frames were scarce; call it again in the next round. */
bool tcp_output(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* Restart the retransmission or persist timer (MR_TT_RTX), or stop it if nothing is in flight. */
void tcp_arm_rtx(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);

/* ---- tcp_reply.c: segments without a TCB ----------------------------------------------------- */
/* Answer a segment of no connection with RST (RFC 9293 section 3.10.7.1). */
void tcp_reply_rst(struct mr_tcp *tcp, const struct mr_ip_rx *rx, const struct mr_seg *seg,
		   uint64_t now);
/* The SYN,ACK of a request, and a plain ACK of it. */
void tcp_reply_synack(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint64_t now);
void tcp_reply_syn_ack_ack(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint64_t now);
/* The ACK of a connection in TIME-WAIT. */
void tcp_reply_tw_ack(struct mr_tcp *tcp, struct mr_tcp_tw *tw, uint64_t now);
/* May a challenge ACK be sent (RFC 5961 section 7)? Counts the answer, and what is sent. *next: the connection's
 * challenge_at. */
bool tcp_challenge_allowed(struct mr_tcp *tcp, uint64_t *next, uint64_t now);
/* Build and send one segment without payload. If no frame is free or the transmit queue is full, it is dropped and
 * counted. */
void tcp_xmit_bare(struct mr_tcp *tcp, const struct mr_seg *seg, const struct mr_ip_tx *tx,
		   struct mr_dst *dst, uint64_t now);

/* ---- tcp_cookie.c -------------------------------------------------------------------------------- */
#define COOKIE_LIFE_NS (128 * MR_NS_PER_S)
/* The SYN cookie, to be used as ISS. irs, mss: the SYN's sequence number and MSS. */
uint32_t cookie_make(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t irs,
		     uint16_t mss, uint64_t now);
/* The MSS that the cookie holds (rounded down to one of eight values); 0: it is not ours, or too old. */
uint16_t cookie_check(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t irs,
		      uint32_t cookie, uint64_t now);
/* Is it a recent cookie of ours? Checked without the peer's ISN, so 1 in 128 random values passes. */
bool cookie_is_recent(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t cookie,
		      uint64_t now);
/* The TSval of the SYN,ACK: its low bits hold the options that the SYN had. Read: set them in req from the TSecr. */
uint32_t cookie_ts(const struct mr_tcp_synreq *req, uint64_t now);
void cookie_ts_read(struct mr_tcp_synreq *req, uint32_t tsecr);

/* ---- tcp_listen.c ---------------------------------------------------------------------------- */
/* A segment for a listener. min_iss: if not 0, the ISS is not less, because an earlier connection between the same ends
 * was in TIME-WAIT. *tcb is set when the segment made a connection at once (TCP Fast Open, or a SYN cookie): it is to
 * be processed by that TCB, too. */
enum mr_drop listen_input(struct mr_tcp *tcp, struct mr_tcp_listener *l, const struct mr_ip_rx *rx,
			  const struct mr_seg *seg, uint32_t min_iss, uint64_t now,
			  struct mr_tcb **tcb);
/* A segment for a SYN-RECEIVED request. *tcb is set when it completed the handshake: the segment is
 * to be processed by that TCB, too. */
enum mr_drop synreq_input(struct mr_tcp *tcp, struct mr_tcp_synreq *req, const struct mr_ip_rx *rx,
			  const struct mr_seg *seg, uint64_t now, struct mr_tcb **tcb);
/* Retransmit the SYN,ACK, or give up. */
void synreq_timer(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint64_t now);
void synreq_free(struct mr_tcp *tcp, struct mr_tcp_synreq *req);

/* ---- tcp_timewait.c -------------------------------------------------------------------------- */
/* The connection enters TIME-WAIT: it goes on as a struct mr_tcp_tw. The TCB is freed, and its owner told. */
void timewait_enter(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* A segment for a connection in TIME-WAIT. *reuse: it is a SYN that may begin a new connection; tw is freed then, and
 * the new connection's ISS must be beyond *min_iss. */
enum mr_drop timewait_input(struct mr_tcp *tcp, struct mr_tcp_tw *tw, const struct mr_ip_rx *rx,
			    const struct mr_seg *seg, uint64_t now, bool *reuse, uint32_t *min_iss);
void timewait_free(struct mr_tcp *tcp, struct mr_tcp_tw *tw);
/* May an active open take the place of this connection in TIME-WAIT? If so, timewait_take_over() frees it, and returns
 * the number that the new ISS must be beyond. */
bool timewait_spent(const struct mr_tcp_tw *tw, uint64_t now);
uint32_t timewait_take_over(struct mr_tcp *tcp, struct mr_tcp_tw *tw);

/* RFC 7323 section 5.3 R1: is this timestamp older than what was seen? */
static inline bool paws_old(uint32_t tsval, uint32_t ts_recent)
{
	return seq_lt(tsval, ts_recent);
}

/* Initialise TS.Recent with the timestamp of the peer's SYN. tcb->rcv_nxt must be set. */
static inline void tcb_timestamp_start(struct mr_tcb *tcb, uint32_t tsval, uint64_t now)
{
	tcb->ts_recent = tcb->ts_past[0] = tcb->ts_past[1] = tsval;
	tcb->ts_recent_at = now;
	tcb->ts_past_seq = tcb->rcv_nxt;
}

#endif
