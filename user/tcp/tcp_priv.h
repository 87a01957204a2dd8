/* SPDX-License-Identifier: BSD-2-Clause */
/* tcp_priv.h - what the files of this layer offer one another. Nobody outside of user/tcp includes
 * it. */
#ifndef MR_TCP_TCP_PRIV_H
#define MR_TCP_TCP_PRIV_H

#include "tcp/tcp.h"
#include "tcp/tcp_cong.h"

/* ---- tcp_tcb.c: life of a TCB ---------------------------------------------------------------- */

/* A TCB in state CLOSED, not in the flow table. NULL: none left. */
struct mr_tcb *tcb_alloc(struct mr_tcp *tcp, const struct mr_tcp_opts *opts, uint64_t now);
/* Out of the table, queues emptied, timer off, memory back. No upcall, nothing sent. */
void tcb_free(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The only writer of tcb->state; asserts that RFC 9293 figure 5 has the edge. */
void tcb_set_state(struct mr_tcb *tcb, enum mr_tcp_state state);
/* Output owes something. */
void tcb_mark(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The connection is over: the TCB goes, then the owner hears err. */
void tcb_end(struct mr_tcp *tcp, struct mr_tcb *tcb, int err);
/* The connection is established: its first windows. */
void tcb_cong_start(struct mr_tcb *tcb, bool syn_lost);
/* It has something to send: congestion control begins. */
void tcb_sending_begin(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
void tcb_sending_end(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* Is what tcb->sending points to its own? */
static inline bool tcb_sends(const struct mr_tcb *tcb)
{
	return tcb->sending->tcb != NULL;
}

void tcb_timer_set(struct mr_tcp *tcp, struct mr_tcb *tcb, enum mr_tcb_timer which,
		   uint64_t deadline);
static inline void tcb_timer_clear(struct mr_tcb *tcb, enum mr_tcb_timer which)
{
	tcb->timers[which] =
		MR_TIME_NEVER; /* the wheel entry may fire early; the handler looks again */
}

const struct mr_tcp_upcalls *tcp_up(const struct mr_tcp *tcp);

/* Before anything was received: at first too small rather than too large, as Linux does, or each second
 * segment of a peer that sends smaller ones is never acknowledged at once. */
void tcb_guess_rcv_mss(struct mr_tcb *tcb);
/* The shift that we announce for this receive buffer (RFC 7323 section 2.3). */
uint8_t tcp_choose_wscale(uint32_t rcvbuf);
/* The first window of a connection, as the unscaled field of a SYN can say it. */
uint32_t tcp_initial_rcv_wnd(uint32_t rcvbuf);

/* What one ACK says, gathered by the steps of its processing. Bytes and ns. */
struct ack {
	uint64_t now;
	uint64_t rtt_ns;    /* sample, 0: none */
	uint32_t acked;	    /* snd_una moved by this much */
	uint32_t delivered; /* newly acknowledged, cumulatively or selectively */
	uint32_t tsecr;	    /* if ts_valid */
	bool ts_valid;
	bool dup;	     /* a duplicate ACK by RFC 5681's definition */
	bool dsack;	     /* it reports a duplicate: dsack_block */
	bool orig_delivered; /* something that was sent only once was delivered */
	bool reordered;	     /* and something sent after it had been before */
	bool first_copy; /* the first frame that it acknowledges was sent again, and it answers an older copy */
	bool acked_in_recovery; /* it ended one: cwnd has been set */
	struct mr_sack_block dsack_block;
	uint32_t newest_end;	  /* of the segment that rs is about */
	struct mr_rate_sample rs; /* complete before the congestion control sees it */
};

static inline uint32_t tcb_in_flight(const struct mr_tcb *tcb)
{
	uint32_t out = seq_diff(tcb->snd_nxt, tcb->snd_una);
	uint32_t gone = tcb->lost_bytes + tcb->dup_bytes + tcb->sacked_bytes;

	return out > gone ? out - gone : 0;
}

/* The application would write more than the buffer takes, and nothing is under way whose ACK would make room: what
 * waits for more to be written (a cork) would wait for itself. As Linux, where a writer that has to wait pushes. */
static inline bool tcb_waits_for_writer(const struct mr_tcb *tcb)
{
	return tcb->write_short && tcb->sndq.unsent && tcb->snd_una == tcb->snd_nxt;
}

/* So few frames are free that payload is not kept any more. */
static inline bool tcp_frames_low(const struct mr_tcp *tcp)
{
	return tcp->frames->nfree < tcp->frames->nframes / 32;
}

/* How long FIN-WAIT-2 lasts when nobody waits for the peer's FIN. */
static inline uint64_t tcb_fin_timeout(const struct mr_tcb *tcb)
{
	uint64_t chosen = tcb->opts.linger2_s > 0 ? (uint64_t)tcb->opts.linger2_s : 0;

	return chosen ? chosen * MR_NS_PER_S : MR_TCP_FIN_TIMEOUT_NS;
}

/* So few that who holds many gets no more (tcp_upcalls.room). */
static inline bool tcp_frames_scarce(const struct mr_tcp *tcp)
{
	return tcp->frames->nfree < tcp->frames->nframes / 8;
}

static inline bool tcb_synchronized(const struct mr_tcb *tcb)
{
	return tcb->state >= MR_TCP_ESTABLISHED;
}

/* ---- tcp_user.c ------------------------------------------------------------------------------ */
/* Some more TCBs hear of a new MTU. */
void tcp_tell_mtu(struct mr_tcp *tcp);

/* ---- tcp_path.c ------------------------------------------------------------------------------ */
/* MSS that we may offer on this path: L3 MTU less IP and TCP headers, bounded by opts->maxseg. */
uint16_t tcp_path_mss(const struct mr_dst *dst, const struct mr_addr *raddr, uint16_t maxseg);
/* The MSS that the peer's SYN offers, or what it is without that option (RFC 9293 section 3.7.1). */
uint16_t tcp_peer_mss(const struct mr_seg *syn, const struct mr_addr *raddr);
/* Set snd_mss from the peer's offer, the path and the options in use (RFC 9293 3.7.1 and RFC 6691: the
 * MSS option speaks of the fixed headers only; the sender deducts its options). */
void tcb_set_snd_mss(struct mr_tcp *tcp, struct mr_tcb *tcb, uint16_t peer_mss);
/* tcb->dst.mtu is another one: segments follow, and what may be too long for it is sent again. */
void tcb_path_changed(struct mr_tcp *tcp, struct mr_tcb *tcb);
void mtup_established(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* A retransmission timeout: is it the length? */
void mtup_timeout(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* Payload bytes of a probe that should go now, 0: none; and how much must be there to follow it. */
uint32_t mtup_wants(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
uint32_t mtup_follow(const struct mr_tcb *tcb);
/* It went: the len bytes up to snd_nxt. */
void mtup_sent(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t len);
/* snd_una has moved. */
void mtup_acked(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* What begins at seq goes again: a probe that it is part of says nothing any more. */
void mtup_retransmitted(struct mr_tcb *tcb, uint32_t seq);
/* Something was found lost. true: nothing but a probe, which goes again in pieces, and that is all. */
bool mtup_lost(struct mr_tcp *tcp, struct mr_tcb *tcb);

/* ---- tcp_isn.c ------------------------------------------------------------------------------- */
uint32_t tcp_isn(const struct mr_tcp *tcp, const struct mr_flow *flow, uint64_t now);
uint32_t tcp_ts_offset(const struct mr_tcp *tcp, const struct mr_flow *flow);
static inline uint32_t tcp_ts_now(uint32_t offset, uint64_t now)
{
	return (uint32_t)(now / MR_NS_PER_MS) + offset;
}
/* The TSecr of a reply is no time of ours if the peer made it up: RTT in ns, 0 if implausible. */
uint64_t tcp_ts_rtt(uint32_t offset, uint32_t tsecr, uint64_t now);

/* ---- tcp_table.c: flows ----------------------------------------------------------------------- */
int tcp_table_init(struct mr_tcp *tcp, struct mr_arena *arena, uint32_t flows);
void flow_set(const struct mr_tcp *tcp, struct mr_flow *flow, enum mr_flow_kind kind,
	      const struct mr_addr *laddr, uint16_t lport, const struct mr_addr *raddr,
	      uint16_t rport);
void flow_insert(struct mr_tcp *tcp, struct mr_flow *flow);
void flow_remove(struct mr_tcp *tcp, struct mr_flow *flow);
struct mr_flow *flow_lookup(const struct mr_tcp *tcp, uint32_t hash, const struct mr_addr *laddr,
			    uint16_t lport, const struct mr_addr *raddr, uint16_t rport);
uint32_t flow_hash(const struct mr_tcp *tcp, const struct mr_addr *laddr, uint16_t lport,
		   const struct mr_addr *raddr, uint16_t rport);

/* ---- tcp_port.c: listeners, ports ------------------------------------------------------------ */
/* The listener with exactly this address, else the one for any; of a group that shares the port, the one that
 * the flow's hash chooses. NULL: none. */
struct mr_tcp_listener *listener_lookup(const struct mr_tcp *tcp, const struct mr_addr *laddr,
					uint16_t lport, uint32_t hash);
bool tcp_may_listen(const struct mr_tcp *tcp, const struct mr_tcp_listener *l);
/* RFC 6056 algorithm 3: a local port for a connect. 0: none is free. */
uint16_t tcp_ephemeral_port(struct mr_tcp *tcp, const struct mr_addr *laddr,
			    const struct mr_addr *raddr, uint16_t rport, uint64_t now);

/* ---- tcp_rtt.c: RFC 6298 --------------------------------------------------------------------- */
void rtt_sample(struct mr_tcb *tcb, uint64_t rtt_ns);
/* A sample by what the segment echoes (RFC 7323 section 4), if it does: good after retransmissions, too. */
void rtt_by_timestamp(struct mr_tcb *tcb, const struct mr_seg *seg, uint64_t now);
/* The RTO with the back-off in force. */
uint64_t rtt_rto(const struct mr_tcb *tcb);

/* ---- tcp_sndq.c ------------------------------------------------------------------------------ */
/* Drop what is acknowledged: all payload before una. Adds to ack->delivered, tells RACK. Returns the most
 * recent transmission time among the removed frames that were sent only once (0: none; Karn). */
uint64_t sndq_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t una, struct ack *ack);
/* The sum of f's payload. */
uint32_t sndq_sum(struct mr_frame *f);
/* Cut f in two so that its first part has `at` bytes. 0; -ENOBUFS: frames are scarce, nothing has changed. */
int sndq_split(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, uint32_t at);
/* The first n bytes, of which none counts as sent, are acknowledged. */
void sndq_drop(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t n);
/* Let the next len unsent bytes, which are there, be whole frames, as few as they fit into. 0 or -ENOBUFS:
 * then they are the same bytes in some other frames. */
int sndq_pack(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t len);
void sndq_free(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* Judge f lost: it is to be sent again. */
void sndq_mark_lost(struct mr_tcb *tcb, struct mr_frame *f);
/* All that was judged lost and not sent again since is in flight after all. */
void sndq_unmark_lost(struct mr_tcb *tcb);

/* ---- tcp_ooo.c ------------------------------------------------------------------------------- */
/* Keep an out-of-order segment (payload view set, trimmed to the window). MR_DROP_NONE: taken. */
enum mr_drop ooo_insert(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f);
/* The packet that starts at or before rcv_nxt, taken out, with what was received before cut off its
 * front; NULL: none. */
struct mr_frame *ooo_take(struct mr_tcp *tcp, struct mr_tcb *tcb);
void ooo_free(struct mr_tcp *tcp, struct mr_tcb *tcb);
static inline struct mr_frame *ooo_head(const struct mr_tcb *tcb)
{
	return tcb->gap ? tcb->gap->q.head : NULL;
}
/* Cut n payload bytes off the front of a packet's chain; chunks that become empty are put. Returns
 * the new first chunk. n is less than the payload. */
struct mr_frame *pay_trim_front(struct mr_frame_pool *pool, struct mr_frame *f, uint32_t n);

/* ---- tcp_sack.c ------------------------------------------------------------------------------ */
/* [start, end) was kept for reassembly: it is told from now on, in front of others. */
void sack_received(struct mr_tcb *tcb, uint32_t start, uint32_t end);
/* rcv_nxt has moved: blocks that it has passed are not told any more. */
void sack_forget(struct mr_tcb *tcb);
/* [start, end) arrived although it was there: told once, as a D-SACK. */
void sack_duplicate(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t start, uint32_t end);
/* Of the duplicates that wait for an ACK of their own, take out the oldest. false: there is none, and
 * dsack_more is cleared. */
bool sack_next_duplicate(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_sack_block *block);
/* Put what is to be told into a segment without payload. */
void sack_fill(struct mr_tcb *tcb, struct mr_seg *seg);
/* Does it report a duplicate? */
void sack_dsack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, struct ack *ack);
/* The other blocks. */
void sack_input(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, struct ack *ack);
void sack_renege(struct mr_tcb *tcb);
/* f, the head of the send queue, is acknowledged and leaves it. */
void sack_popped(struct mr_tcb *tcb, struct mr_frame *f);

/* ---- tcp_ecn.c ------------------------------------------------------------------------------- */
/* The ECN field of an IP header. */
#define ECN_MASK    3u
#define ECN_NOT_ECT 0u
#define ECN_ECT1    1u
#define ECN_ECT0    2u
#define ECN_CE	    3u

/* AE, CWR and ECE as a number, most significant first. */
uint8_t ecn_ace(const struct mr_seg *seg);
void ecn_set_ace(struct mr_seg *seg, uint8_t ace);
/* The enum mr_ecn_mode that this SYN gets from a listener with that policy (enum mr_ecn_policy). */
uint8_t ecn_requested(const struct mr_seg *syn, uint8_t policy);
bool ecn_syn_again(struct mr_tcp_synreq *req, const struct mr_seg *syn, uint8_t tos);
uint8_t ecn_of_cookie(const struct mr_seg *ack, uint8_t policy, bool classic);
/* What goes into a SYN, and into a SYN,ACK whose other options are there already. */
void ecn_offer(const struct mr_tcb *tcb, struct mr_seg *syn);
void ecn_synack(uint8_t mode, uint8_t syn_ecn, uint32_t retries, bool option,
		struct mr_seg *synack);
/* A passive open is complete by this ACK; an active or simultaneous one got this SYN,ACK or SYN. */
void ecn_server(struct mr_tcb *tcb, const struct mr_tcp_synreq *req, const struct mr_seg *ack);
void ecn_client(struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t tos);
void ecn_synack_seen(struct mr_tcb *tcb, uint8_t tos);
/* The ACE that tells how the peer's SYN,ACK arrived. */
uint8_t ecn_peer_syn(const struct mr_tcb *tcb);
/* A segment came, with the TOS byte of its packet. */
void ecn_received(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t tos);
/* An ACK was processed: if it tells of a mark, slow down. */
void ecn_echoed(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg,
		const struct ack *ack);
/* What a segment carries for ECN: its TCP flags and its TOS byte. pure: it has no payload. */
void ecn_fill(struct mr_tcb *tcb, struct mr_seg *seg, bool pure, bool new_data);
uint8_t ecn_tos(const struct mr_tcb *tcb, bool new_data);
/* Does each segment need CWR as it is, because the ACE field has that bit now? Who cuts a packet into segments
 * takes CWR for RFC 3168's, and leaves it on the first one only. */
bool ecn_counts_with_cwr(const struct mr_tcb *tcb);

/* ---- tcp_fastopen.c -------------------------------------------------------------------------- */
/* Put the cookie of this flow's peer into a SYN,ACK. l NULL: whose it is is not known any more. */
void tfo_grant(const struct mr_tcp *tcp, const struct mr_tcp_listener *l,
	       const struct mr_flow *flow, struct mr_seg *synack);
/* Which key made the SYN's cookie? */
enum tfo_made_by { TFO_BY_NONE, TFO_BY_KEY, TFO_BY_OLD_KEY };
enum tfo_made_by tfo_cookie_check(const struct mr_tcp *tcp, const struct mr_tcp_listener *l,
				  const struct mr_flow *flow, const struct mr_seg *syn);
/* How many there are, or were of late, that a cookie was believed of and nothing else. */
uint32_t tfo_unconfirmed(struct mr_tcp *tcp, uint64_t now);
/* Such a one was reset. */
void tfo_reset(struct mr_tcp *tcp, uint64_t now);
/* The key of an engine that was given none. */
void tfo_init(struct mr_tcp *tcp);
/* The handshake is complete, or over. */
void tfo_confirmed(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* An active open that wants it; its SYN's option; how much payload may go with that SYN; the answer. */
void tfo_begin(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
void tfo_syn(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_seg *syn, uint64_t now);
uint32_t tfo_room(struct mr_tcp *tcp, const struct mr_tcb *tcb, const struct mr_seg *syn,
		  uint64_t now);
void tfo_synack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *synack, uint64_t now);

/* ---- tcp_accecn.c ---------------------------------------------------------------------------- */
#define ACCECN_CEP_INIT 5u /* RFC 9768 section 3.2.1 */
void accecn_begin(struct mr_ecn *e);
void accecn_synack_option(struct mr_seg *seg);
/* The first segment from which the peer's option is to be expected. */
void accecn_option_first(struct mr_ecn *e, const struct mr_seg *seg);
void accecn_received(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t ecn);
void accecn_duplicate(struct mr_tcb *tcb);
void accecn_answered(struct mr_tcb *tcb);
void accecn_timeout(struct mr_tcb *tcb);
void accecn_fill(struct mr_tcb *tcb, struct mr_seg *seg, bool pure);
/* The ACE field of an ACK that a successor of the TCB sends; 0 without AccECN. */
uint8_t accecn_told(const struct mr_tcb *tcb);
/* Put the option into a segment that has its other options, if there is something to tell and so much room. */
void accecn_option(struct mr_tcb *tcb, struct mr_seg *seg, uint32_t room, bool pure);
void accecn_ack_option(struct mr_tcb *tcb, struct mr_seg *seg);
/* true: marks were told. */
bool accecn_echoed(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg,
		   const struct ack *ack);

/* ---- tcp_rack.c ------------------------------------------------------------------------------ */
void rack_rtt(struct mr_tcb *tcb, uint64_t rtt_ns, uint64_t now);
void rack_delivered(struct mr_tcb *tcb, const struct mr_frame *f, struct ack *ack);
/* Judge what is lost. true: something newly is. Arms the reordering timer for the rest. */
bool rack_detect(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
bool rack_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct ack *ack);
/* A recovery is over: a widened reordering window wears off with them. */
void rack_recovery_done(struct mr_tcb *tcb);
void tlp_arm(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
void tlp_fire(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
bool tlp_ack(struct mr_tcb *tcb, const struct mr_seg *seg, const struct ack *ack);

/* ---- tcp_rate.c: delivery rate samples ------------------------------------------------------- */
/* Before a segment is sent; then for each of its frames, with what is in flight because of it. */
void rate_send_begin(struct mr_tcb *tcb, uint64_t now);
void rate_sent(const struct mr_tcb *tcb, struct mr_frame *f, uint32_t in_flight, uint64_t now);
/* f was just acknowledged, cumulatively or selectively. */
void rate_delivered(struct mr_tcb *tcb, const struct mr_frame *f, struct ack *ack);
/* All of what this ACK says was looked at: ack->rs is completed. */
void rate_generate(struct mr_tcb *tcb, struct ack *ack);
/* What is sent from now on says nothing about the path. */
void rate_app_limited(struct mr_tcb *tcb);
/* The same, if the application leaves cwnd unused. */
void rate_check_app_limited(struct mr_tcb *tcb);

/* ---- tcp_pace.c ------------------------------------------------------------------------------ */
/* May data leave now? */
bool pace_allows(const struct mr_tcb *tcb, uint64_t now);
/* So many bytes just left. */
void pace_sent(struct mr_tcb *tcb, uint32_t bytes, uint64_t now);
/* Bytes that may leave in one packet, where the device cuts it into segments. */
uint32_t pace_burst(const struct mr_tcb *tcb);

/* ---- tcp_cwv.c: congestion window validation ------------------------------------------------- */
/* Output has stopped, because of cwnd or not; app: because there was nothing more to send. */
void cwv_output(struct mr_tcb *tcb, bool limited, bool app, uint64_t now);
/* New data is about to be sent: was it a long time? */
void cwv_send_begin(struct mr_tcb *tcb, uint64_t now);
/* May cwnd grow? Only what is used may become more. */
bool cwv_may_grow(const struct mr_tcb *tcb);

/* ---- tcp_loss.c ------------------------------------------------------------------------------ */
/* What an ACK means, once snd_una and the marks of the send queue are up to date. */
void loss_ack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, struct ack *ack);
/* f is judged lost: it will be sent again, and the congestion control hears of it. */
void loss_found(struct mr_tcb *tcb, struct mr_frame *f, uint64_t now);
void loss_rto(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* There is no new data to be sent in place of what was taken for lost (RFC 5682 section 2.1 step 2). */
void loss_frto_give_up(struct mr_tcb *tcb);
void loss_reorder_timeout(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* So many bytes up to `end` were sent again: remembered for undo. */
void loss_retransmitted(struct mr_tcb *tcb, uint32_t end, uint32_t bytes, uint64_t now);

/* ---- tcp_timer.c ----------------------------------------------------------------------------- */
/* When the first of its timers is due, or what it knows of the path is forgotten. MR_TIME_NEVER: neither. */
uint64_t tcb_next_deadline(const struct mr_tcb *tcb);

/* ---- tcp_output.c ---------------------------------------------------------------------------- */
/* Everything that is owed, as far as room reaches. true: nothing is owed any more. */
bool tcp_output(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* A segment without payload, from a TCB: RST. Best effort. */
void tcp_send_rst(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* Arm, move or stop the retransmission timer after the state of the send side changed. */
void tcp_arm_rtx(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* The window that can be offered now, in bytes from rcv_nxt (RFC 9293 section 3.8.6.2.2). */
uint32_t tcp_select_window(const struct mr_tcb *tcb);

/* ---- tcp_reply.c: segments without a TCB ----------------------------------------------------- */
/* RFC 9293 section 3.10.7.1: reset what should not have come. */
void tcp_reply_rst(struct mr_tcp *tcp, const struct mr_ip_rx *rx, const struct mr_seg *seg,
		   uint64_t now);
void tcp_reply_synack(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint64_t now);
void tcp_reply_syn_ack_ack(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint64_t now);
void tcp_reply_tw_ack(struct mr_tcp *tcp, struct mr_tcp_tw *tw, uint64_t now);
/* RFC 5961 section 7: may one more challenge ACK go out? Counts either way. */
bool tcp_challenge_allowed(struct mr_tcp *tcp, uint64_t *next, uint64_t now);
/* Build and send one segment without payload. Best effort: a full queue drops it, counted. */
void tcp_xmit_bare(struct mr_tcp *tcp, const struct mr_seg *seg, const struct mr_ip_tx *tx,
		   struct mr_dst *dst, uint64_t now);

/* ---- tcp_cookie.c -------------------------------------------------------------------------------- */
#define COOKIE_LIFE_NS (128 * MR_NS_PER_S)
/* The ISS that says it all. */
uint32_t cookie_make(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t irs,
		     uint16_t mss, uint64_t now);
/* The peer's MSS if the cookie is ours and not too old, else 0. */
uint16_t cookie_check(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t irs,
		      uint32_t cookie, uint64_t now);
/* As far as can be told without the peer's ISN (one in 128 of others passes): is it one of ours, of late? */
bool cookie_is_recent(const struct mr_tcp *tcp, const struct mr_flow *flow, uint32_t cookie,
		      uint64_t now);
/* The TSval that carries the peer's other options, and reading it back. */
uint32_t cookie_ts(const struct mr_tcp_synreq *req, uint64_t now);
void cookie_ts_read(struct mr_tcp_synreq *req, uint32_t tsecr);

/* ---- tcp_listen.c ---------------------------------------------------------------------------- */
enum mr_drop listen_input(struct mr_tcp *tcp, struct mr_tcp_listener *l, const struct mr_ip_rx *rx,
			  const struct mr_seg *seg, uint32_t min_iss, uint64_t now,
			  struct mr_tcb **tcb);
/* A segment for a SYN-RECEIVED request. *tcb is set when it completed the handshake: the segment is
 * to be processed by that TCB, too. */
enum mr_drop synreq_input(struct mr_tcp *tcp, struct mr_tcp_synreq *req, const struct mr_ip_rx *rx,
			  const struct mr_seg *seg, uint64_t now, struct mr_tcb **tcb);
void synreq_timer(struct mr_tcp *tcp, struct mr_tcp_synreq *req, uint64_t now);
void synreq_free(struct mr_tcp *tcp, struct mr_tcp_synreq *req);

/* ---- tcp_timewait.c -------------------------------------------------------------------------- */
/* The TCB's connection goes on as a TIME-WAIT object; the TCB is freed and its owner told. */
void timewait_enter(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* *reuse: the segment is a SYN that may open a new incarnation; the TIME-WAIT is gone then, and
 * *min_iss is what its ISS must be beyond. */
enum mr_drop timewait_input(struct mr_tcp *tcp, struct mr_tcp_tw *tw, const struct mr_ip_rx *rx,
			    const struct mr_seg *seg, uint64_t now, bool *reuse, uint32_t *min_iss);
void timewait_free(struct mr_tcp *tcp, struct mr_tcp_tw *tw);
/* May an active open take its place? If so: what the new ISS must be beyond; the TIME-WAIT is gone. */
bool timewait_spent(const struct mr_tcp_tw *tw, uint64_t now);
uint32_t timewait_take_over(struct mr_tcp *tcp, struct mr_tcp_tw *tw);

/* RFC 7323 section 5.3 R1: is this timestamp older than what was seen? */
static inline bool paws_old(uint32_t tsval, uint32_t ts_recent)
{
	return seq_lt(tsval, ts_recent);
}

/* The timestamp of the peer's SYN; rcv_nxt is known. */
static inline void tcb_timestamp_start(struct mr_tcb *tcb, uint32_t tsval, uint64_t now)
{
	tcb->ts_recent = tcb->ts_past[0] = tcb->ts_past[1] = tsval;
	tcb->ts_recent_at = now;
	tcb->ts_past_seq = tcb->rcv_nxt;
}

#endif
