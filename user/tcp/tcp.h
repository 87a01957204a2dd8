/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp.h - TCP as the socket layer and the engine see it, and the objects of its connections.
 *
 * Downwards it calls ip_output; upwards it tells the socket layer through struct mr_tcp_upcalls.
 * Input never sends: it records in the TCB what is owed (data, ACKs, a window update) and puts the
 * TCB on the pending list; mr_tcp_flush() runs output once for each of them.
 *
 * Every function that takes `now` wants nanoseconds of the engine's clock, never going backwards.
 */
#ifndef MR_TCP_TCP_H
#define MR_TCP_TCP_H

#include "base/pool.h"
#include "base/timer.h"
#include "ip/ip.h"
#include "tcp/tcp_seq.h"
#include "tcp/tcp_wire.h"

/* ---- Constants: RFC where it decides, else Linux's ------------------------------------------- */

#define MR_TCP_RTO_INIT_NS     (1 * MR_NS_PER_S)    /* RFC 6298 (2.1) */
#define MR_TCP_RTO_FALLBACK_NS (3 * MR_NS_PER_S)    /* RFC 6298 (5.7) */
#define MR_TCP_RTO_MIN_NS      (200 * MR_NS_PER_MS) /* RFC 6298 (2.4) says 1 s; Linux 200 ms */
#define MR_TCP_RTO_MAX_NS      (120 * MR_NS_PER_S)  /* RFC 6298 (2.5): at least 60 s; Linux 120 s */
#define MR_TCP_SYN_AGAIN_NS                                                                        \
	(2 * MR_NS_PER_MS) /* after the reset of an old connection; Linux 2 ticks */
#define MR_TCP_DELACK_NS      (40 * MR_NS_PER_MS) /* RFC 9293 3.8.6.3: below 500 ms; Linux 40 ms */
#define MR_TCP_SYN_RETRIES    6u		  /* Linux tcp_syn_retries: 127 s */
#define MR_TCP_SYNACK_RETRIES 5u		  /* Linux tcp_synack_retries: 63 s */
#define MR_TCP_RETRIES2	      15u		  /* Linux tcp_retries2: about 924 s */
#define MR_TCP_ORPHAN_RETRIES 8u		  /* Linux tcp_orphan_retries */
#define MR_TCP_TIMEWAIT_NS    (60 * MR_NS_PER_S)  /* 2 MSL; Linux TCP_TIMEWAIT_LEN */
#define MR_TCP_FIN_TIMEOUT_NS (60 * MR_NS_PER_S)  /* FIN-WAIT-2 without an application */
/* Silence after which struct mr_sending is given back. */
#define MR_TCP_FORGET_NS    (60 * MR_NS_PER_S)
#define MR_TCP_CORK_NS	    (200 * MR_NS_PER_MS)
#define MR_TCP_OVERRIDE_NS  (1 * MR_NS_PER_S) /* RFC 9293 3.8.6.2.1: 0.1 to 1 s; the RTO if less */
#define MR_TCP_MSS_DEFAULT  536u  /* RFC 9293 3.7.1, when the peer sends no MSS option: of IPv4, */
#define MR_TCP_MSS_DEFAULT6 1220u /* of IPv6 */
/* Linux TCP_MIN_SND_MSS 48 + options. A smaller offer counts as this. */
#define MR_TCP_MSS_MIN	 88u
#define MR_TCP_DUPTHRESH 3u  /* RFC 5681 */
#define MR_TCP_INIT_WND	 10u /* segments (RFC 6928) */
#define MR_TCP_QUICKACKS 16u /* segments ACKed at once when a connection begins */
/* The same after a gap: the sender's window is smaller then, and a lone segment in it must not wait for a second one.
 * As many as a path that loses one in 100 mostly carries between two losses. */
#define MR_TCP_QUICKACKS_LOSS 255u

/* Small segments in a row that are acknowledged together: each holds a buffer of its own at the sender, who may have
 * few. */
#define MR_TCP_SMALL_ACKED 16u
/* Bytes. Buffers begin with these sizes, and grow with what they are used for up to the second ones, which are
 * Linux's tcp_wmem[2] and tcp_rmem[2]. */
#define MR_TCP_SNDBUF	    (256u << 10)
#define MR_TCP_RCVBUF	    (256u << 10)
#define MR_TCP_SNDBUF_MAX   (4u << 20)
#define MR_TCP_RCVBUF_MAX   (6u << 20)
#define MR_TCP_PORT_FIRST   32768u
#define MR_TCP_PORT_LAST    60999u
#define MR_TCP_PORTS	    65536u
#define MR_TCP_PORT_BUCKETS 1024u /* of the table of those that are held */

/* ---- Flows: whatever a 4-tuple leads to ------------------------------------------------------ */

enum mr_flow_kind {
	MR_FLOW_TCB = 1,
	MR_FLOW_SYN,	  /* struct mr_tcp_synreq: SYN-RECEIVED of a listener */
	MR_FLOW_TIMEWAIT, /* struct mr_tcp_tw */
};

struct mr_flow {
	struct mr_flow *next;  /* hash chain */
	uint32_t hash;	       /* mr_flow_hash() */
	uint16_t lport, rport; /* host order */
	struct mr_addr laddr, raddr;
	uint8_t kind;  /* enum mr_flow_kind */
	uint8_t steer; /* of ip->steer, while in the table */
};

/* ---- The TCP control block ------------------------------------------------------------------- */

/* Options of a connection that are chosen before or during its life by the socket layer. */
struct mr_tcp_opts {
	uint64_t max_pacing_rate; /* bytes of payload per second; 0: not bounded */
	uint32_t sndbuf, rcvbuf;  /* bytes */
	uint32_t window_clamp;	  /* 0: rcvbuf is the only bound */
	uint32_t notsent_lowat;	  /* 0: off */
	uint32_t rcvlowat;
	uint32_t user_timeout_ms;
	uint16_t maxseg; /* 0: no bound */
	uint16_t keepidle_s, keepintvl_s;
	uint8_t keepcnt;
	uint8_t tos, ttl;
	uint8_t congestion;  /* index into the table of tcp_cong.h */
	uint8_t syn_retries; /* 0: MR_TCP_SYN_RETRIES */
	uint8_t ecn;	     /* enum mr_ecn_policy */
	uint16_t fastopen;   /* a listener: unconfirmed connections at the most; 0: off */
	uint8_t defer_accept; /* retransmissions of a SYN,ACK that a connection without data is hidden */
	int8_t linger2_s; /* 0: MR_TCP_FIN_TIMEOUT_NS; -1: reset at once */
	bool nodelay : 1, cork : 1, keepalive : 1;
	bool fastopen_connect : 1; /* the SYN waits for data, if there is a cookie */
	bool v6only : 1, reuseaddr : 1, reuseport : 1;
	bool sndbuf_fixed : 1, rcvbuf_fixed : 1; /* chosen by the application */
};

/* What was written and not acknowledged yet. Each frame is one chunk with headroom; frames are
 * linked by next; a segment always covers whole frames (tcp_sndq.c splits where it must). */
struct mr_sndq {
	struct mr_frame *head, *tail;
	struct mr_frame *unsent; /* first one never sent; NULL: all were */
	uint32_t bytes;		 /* payload in all frames */
	uint32_t frames;
};

/* Out-of-order segments (packets, chains by frag), sorted by seq, not overlapping; linked by next. */
struct mr_oooq {
	struct mr_frame *head, *tail;
	struct mr_frame *hint; /* first of the row where the last one was put; NULL: not known */
	uint32_t bytes;
	uint32_t frames; /* chunks */
};

/* What a connection needs while something is missing in front of what was received: there exactly as long as
 * q is not empty. */
struct mr_gap {
	struct mr_list node; /* tcp.gaps */
	struct mr_tcb *tcb;
	struct mr_oooq q;
	/* To be told, the most recent first (RFC 2018). */
	struct mr_sack_block sack[MR_TCP_SACK_BLOCKS];
	uint8_t nsack;
};

/* What RACK knows of the most recently sent segment that was delivered (RFC 8985 section 5.2), and how
 * long it waits for reordering. */
struct mr_rack {
	uint64_t sent_at; /* RACK.xmit_ts, ns; 0: nothing delivered yet */
	uint64_t rtt_ns;  /* RACK.rtt */
	uint32_t min_rtt[2],
		min_rtt_at_ms; /* least RTT, 16 ns, of this and the last period; 0: none */
	uint32_t end_seq, fack;
	uint32_t dsack_round;
	uint16_t reord_seen,
		dsack_dups; /* TCP_INFO: ACKs that showed reordering; segments; 65535: or more */
	uint8_t reo_mult, reo_persist; /* RACK.reo_wnd_mult, _persist */
	bool reordering_seen, dsack_seen;
};

/* Proportional rate reduction (RFC 6937bis), bytes. */
struct mr_prr {
	uint32_t delivered, out, recover_fs;
};

/* Tail loss probe (RFC 8985 section 7). */
struct mr_tlp {
	uint32_t end_seq;
	bool out : 1;	  /* a probe has been sent and not been answered */
	bool retrans : 1; /* it was a retransmission */
	bool owed : 1;	  /* send one with the next output */
	bool rearm : 1;	  /* data was sent or acknowledged: the timer starts anew */
	bool again : 1; /* a recovery was silent, and its first segment went once more; nothing arrived since */
};

/* How fast data is delivered (tcp_rate.c): draft-ietf-ccwg-bbr section 4.1. Bytes that wrap. */
struct mr_rate {
	uint64_t delivered_at;	/* C.delivered_time, ns */
	uint64_t first_sent_at; /* C.first_send_time, ns */
	uint32_t delivered, lost;
	uint32_t app_limited; /* until so much is delivered samples are the application's; 0: not */
	uint32_t told;	      /* the sample for TCP_INFO, in 64 bytes per second */
};

/* What holds the sender up, as TCP_INFO has it: the time of each adds up in tcb.chrono_ms. */
enum mr_chrono {
	MR_CHRONO_IDLE,
	MR_CHRONO_BUSY, /* there is something to send, or not acknowledged; nothing else is known */
	MR_CHRONO_RWND, /* the peer's window */
	MR_CHRONO_SNDBUF, /* the send buffer: the application could not write more */
	MR_CHRONO_MAX
};

/* When data may leave next, where it is paced (tcp_pace.c). */
struct mr_pace {
	uint64_t rate; /* bytes per second, of the congestion control; 0: it does not pace */
	uint64_t next; /* ns: nothing before */
};

/* Is cwnd made use of (tcp_cwv.c)? Bytes. */
struct mr_cwv {
	uint64_t full_at;    /* ns: when cwnd was last the limit, or was adapted to what is used */
	uint32_t used;	     /* the most in flight since then */
	uint32_t max_flight; /* of this round, up to round_end */
	uint32_t round_end;
	bool limited; /* cwnd has held back output in this round */
};

/* What a recovery changed, in case it turns out to have been for nothing. */
struct mr_undo {
	uint32_t cwnd, ssthresh; /* before */
	uint32_t marker;	 /* SND.UNA then */
	uint32_t retrans;    /* bytes sent again and not shown needless by a D-SACK; with those of
				  * the recovery before that were in flight when this one began */
	uint32_t retrans_ts; /* our timestamp at the first retransmission */
	bool armed;	     /* the above are valid */
	bool any_retrans;
	uint32_t retrans_end; /* the highest that was ever sent again */
};

/* An ACK that is owed for what had come by then (RFC 8257 section 3.2). */
struct mr_ecn_ack {
	uint32_t ack;
	bool ece;
};
#define MR_TCP_ECN_ACKS 2u /* of one round; what changes more often is told of less exactly */

/* Explicit congestion notification: RFC 3168, or RFC 9768 in its place (mode). */
enum mr_ecn_mode { MR_ECN_MODE_NONE, MR_ECN_MODE_CLASSIC, MR_ECN_MODE_ACCURATE };

struct mr_ecn {
	/* SND.NXT at the last reduction: no second one before it is acknowledged. */
	uint32_t reduced_at;
	uint32_t delivered_ce; /* bytes of ours that arrived with a mark, as far as we were told */
	uint8_t mode;	       /* enum mr_ecn_mode */
	bool no_ect : 1;       /* we do not send ECT: it would not arrive as such */
	bool deaf : 1;	       /* feedback is not to be believed */
	bool echo : 1;	       /* classic: ECE goes with every ACK until CWR comes */
	bool cwr_owed : 1;     /* classic: the next new data carries CWR */
	bool syn_marked : 1;   /* our SYN or SYN,ACK met congestion */
	/* AccECN, the handshake. */
	bool hs_owed : 1;     /* the next pure ACK tells how the SYN,ACK arrived */
	bool hs_done : 1;     /* the ACK being processed did so, and is no counter */
	bool ace_seen : 1;    /* a counter of the peer has arrived */
	bool first_ack : 1;   /* the option goes with the first ACK and the first data of ours, */
	bool first_data : 1;  /* to see whether it gets through */
	bool opt_in : 1;      /* the peer's options get through */
	bool opt_zeroed : 1;  /* but something writes zeros into them */
	bool opt_off : 1;     /* ours are eaten: none is sent any more */
	bool opt_last : 1;    /* the last ACK sent had one */
	bool opt_data : 1;    /* data with one is out, and nothing was acknowledged since */
	bool last_ce : 1;     /* the last packet received was marked */
	uint8_t peer_syn_ecn; /* ECN field of the peer's latest SYN or SYN,ACK */
	/* AccECN, the counters of RFC 9768 section 3.2; of bytes: ECT(0), CE, ECT(1). */
	uint8_t r_cep, s_cep; /* packets; only the low bits are ever compared */
	uint8_t changed : 3,
		ever_changed : 3; /* bits of r_bytes, since the last option and at all */
	uint8_t ce_untold;	  /* marked packets since the last ACK */
	uint8_t unanswered;	  /* ACKs with an option that seem not to have arrived, in a row */
	uint8_t answered;
	uint8_t all_marked; /* round trips in which everything was marked */
	uint8_t nacks;	    /* classic, of a DCTCP receiver */
	uint32_t round_end;
	union {
		struct {
			uint32_t r_bytes[3];
			uint32_t s_ceb; /* what the peer counted of ours with CE */
		};
		struct mr_ecn_ack acks[MR_TCP_ECN_ACKS];
	};
};

/* The keys of the cookies of TCP Fast Open (RFC 7413 section 4.1.1): the first makes them, and those of the second,
 * which was the first before, are still good. */
#define MR_TFO_KEY_LEN 16u
struct mr_tfo_keys {
	uint8_t key[2][MR_TFO_KEY_LEN];
	uint8_t n; /* 0: none are set here */
};

/* TCP Fast Open (RFC 7413): tcb.tfo. */
enum mr_tfo {
	MR_TFO_NONE,
	MR_TFO_ASK,	/* client: the SYN asks for a cookie */
	MR_TFO_WAIT,	/* client: the SYN waits for data to take along */
	MR_TFO_SENT,	/* client: it did, tfo_len bytes */
	MR_TFO_PENDING, /* server: a cookie was believed, the handshake is not complete */
};

/* What a client knows of a server. */
struct mr_tfo_dst {
	struct mr_addr addr;
	uint32_t until_s; /* seconds of the clock; 0: unused */
	uint16_t mss;	  /* that it offered */
	uint8_t len;	  /* of the cookie; 0: such SYNs get lost on the way there */
	uint8_t cookie[MR_TCP_TFO_MAX];
};
#define MR_TFO_SETS 64u
#define MR_TFO_WAYS 4u

/* The search for the longest packet that the path carries (tcp_path.c). Lengths in bytes of the packet. */
struct mr_mtup {
	uint32_t end; /* behind the last byte of the probe that is out, if size */
	/* Seconds of the clock: the search has ended, and begins anew then; 0: it has not. */
	uint32_t again_s;
	uint16_t low, high; /* this long passes; longer does not */
	uint16_t size;	    /* of the probe that is out; 0: none is */
	uint8_t losses;	    /* of probes of this length, in a row */
	bool on;	    /* else nothing is suspected, and the rest means nothing */
	bool refused;	    /* a length was given up: high is what is below it */
};

/* tcb.loss */
enum mr_loss_state {
	MR_LOSS_OPEN,	  /* nothing is known to be lost */
	MR_LOSS_RECOVERY, /* fast recovery (RFC 6582) until recover is acknowledged */
	MR_LOSS_RTO,	  /* after a timeout, until recover is acknowledged */
};

/* tcb.timers: deadlines in ns, MR_TIME_NEVER when off. The wheel entry is armed for the least. */
enum mr_tcb_timer {
	MR_TT_RTX,    /* retransmission (RFC 6298), or zero-window probe when tcb.persist */
	MR_TT_DELACK, /* delayed ACK */
	MR_TT_KEEP,   /* keepalive; in FIN-WAIT-2 without owner: the end */
	MR_TT_CORK,   /* a corked partial segment goes out */
	MR_TT_REO,    /* RACK: reordering has been waited for */
	MR_TT_TLP,    /* tail loss probe */
	MR_TT_PACE,   /* the next segment may leave */
	MR_TT_MAX
};

#define MR_TCP_SACK_HINTS 3u /* an ACK has three blocks beside timestamps */

/* What a connection has only while it sends: from its first data or FIN on, until it has been silent for
 * MR_TCP_FORGET_NS. One that is idle does without. */
struct mr_sending {
	/* Of the congestion control. First, because the pool's link overwrites it in a free object. */
	uint64_t cc_priv[16];
	struct mr_tcb *tcb; /* whose; NULL: nobody's */
	/* Where blocks were found of late: tcp_sack.c. */
	struct mr_frame *sack_hint[MR_TCP_SACK_HINTS];
	struct mr_prr prr;
	struct mr_rate rate;
	struct mr_pace pace;
	struct mr_cwv cwv;
};

struct mr_tcb {
	struct mr_flow flow; /* first: a flow of kind MR_FLOW_TCB is a TCB */
	uint8_t state;	     /* enum mr_tcp_state; only tcb_set_state() writes it */
	uint8_t loss;	     /* enum mr_loss_state */
	uint8_t snd_wscale, rcv_wscale;
	uint8_t tfo : 7;    /* enum mr_tfo */
	bool shut_rd : 1;   /* the application reads no more */
	uint16_t tfo_len;   /* payload of the SYN sent */
	bool ts_ok : 1;	    /* both sides sent the timestamps option */
	bool wscale_ok : 1; /* both sides sent the window scale option */
	bool sack_ok : 1;   /* both sides sent SACK-permitted */
	bool fin_queued : 1; /* the application has closed its direction: FIN follows the send queue */
	bool fin_sent : 1;    /* snd_nxt counts the FIN */
	bool fin_lost : 1;    /* FIN must be sent again */
	bool fin_rcvd : 1;    /* rcv_nxt counts the peer's FIN */
	bool persist : 1;     /* MR_TT_RTX is a zero-window probe */
	bool probe_owed : 1;  /* send a window probe with the next output */
	bool keep_owed : 1;   /* send a keepalive probe */
	bool syn_owed : 1;    /* send SYN (or SYN,ACK in SYN-RECEIVED) with the next output */
	bool ack_now : 1;     /* an ACK is owed with the next output */
	bool ack_held : 1;    /* with that of the next round: pending_node is on tcp.held */
	bool more : 1;	      /* MR_SEND_MORE was given with the last write */
	bool push_small : 1;  /* the override: send a partial segment now (cork or SWS timeout) */
	bool update_owed : 1; /* a window update is owed: an ACK, but not a delayed one */
	bool urg_out : 1;     /* snd_up is valid */
	bool urg_in : 1;      /* rcv_up is valid, and not received yet */
	bool pingpong : 1;    /* requests are answered by data: their ACK waits for it (as Linux) */
	bool dsack_owed : 1;  /* dsack goes with the next ACK */
	bool syn_met_old : 1; /* our SYN was answered by an old connection of the peer's */
	bool dsack_more : 1;  /* and ACKs with what is in tcp.dsacks go before it */
	bool tfo_renew : 1;   /* the SYN,ACK has a new cookie for one of the key before */
	bool frto : 1;	      /* since the timeout only the front was sent again (RFC 5682) */
	bool frto_new : 1;    /* and new data goes before the rest: the next ACK decides */
	bool syn_data : 1;    /* the SYN took data along, which was taken (RFC 7413) */
	bool write_short : 1; /* the application would have written more than the buffer takes */
	bool told_app_limited : 1; /* rate.told was limited by the application */
	uint8_t tfo_fail : 2;	   /* TCP_INFO: tcpi_fastopen_client_fail */
	uint8_t chrono : 2;	   /* enum mr_chrono */

	/* Send side, RFC 9293 section 3.3.1. Windows in bytes, after scaling. */
	uint32_t iss, snd_una, snd_nxt;
	uint32_t snd_wnd, snd_wl1, snd_wl2, max_snd_wnd;
	uint32_t snd_up; /* sequence number behind the urgent byte (Linux's reading), if urg_out */
	uint16_t peer_mss;  /* as the peer's SYN offered it */
	uint16_t snd_mss;   /* payload bytes of a full segment, options deducted */
	uint32_t snd_sml;   /* behind the last small segment sent: Minshall's Nagle, as Linux */
	uint32_t write_seq; /* behind the last byte in the send queue */
	struct mr_sndq sndq;

	/* Receive side. */
	uint32_t irs, rcv_nxt;
	uint32_t rcv_wnd;	/* what was advertised last, counted from rcv_nxt */
	uint32_t rcv_space;	/* free bytes of the receive buffer, kept by the socket layer */
	uint32_t rcv_up;	/* sequence number of the last urgent byte */
	uint16_t rcv_mss;	/* largest segment seen, for delayed ACKs and window updates */
	uint16_t adv_mss;	/* what we offered */
	uint8_t quickacks;	/* segments that are still ACKed at once */
	uint8_t last_len;	/* of the last segment that may be a full one, see full_segment() */
	uint16_t dupacks_owed;	/* ACKs that must not be merged into one (RFC 5681 section 4.2) */
	uint32_t unacked_bytes; /* received in order since the last ACK went out */
	/* The receiver's own idea of the round-trip time, for the size of its buffer; us. */
	uint32_t rcv_rtt_us;			/* 0: none yet */
	uint32_t rcv_rtt_ref, rcv_rtt_since_us; /* of the measurement under way */
	uint32_t last_ack_sent;			/* rcv_nxt of the last segment sent (RFC 7323) */
	uint32_t ts_recent;
	uint32_t chrono_at_ms;	    /* of the clock: since when it is as tcb.chrono says */
	uint64_t ts_recent_at;	    /* ns: PAWS forgets after 24 days */
	uint32_t ts_past[2];	    /* TS.Recent as of ts_past_seq, and as of half a GiB before */
	uint32_t ts_past_seq;	    /* rcv_nxt then */
	uint32_t ts_offset;	    /* added to the clock for TSval */
	struct mr_gap *gap;	    /* NULL: nothing is missing */
	struct mr_sack_block dsack; /* received twice: told once, in front (RFC 2883) */

	/* Loss recovery and congestion control, bytes. */
	uint32_t cwnd, ssthresh;
	uint32_t recover;      /* RFC 6582 */
	uint32_t dupacks;      /* in a row */
	uint32_t dup_bytes;    /* left the network, judged by the duplicate ACKs */
	uint32_t lost_bytes;   /* in the send queue, judged lost and not sent again since */
	uint32_t sacked_bytes; /* in the send queue, selectively acknowledged */
	uint32_t retrans_out;  /* in flight, sent again */
	union {
		/* Frames sent, neither lost nor SACKed, by time of sending. */
		struct mr_list in_flight;
		struct mr_list connecting_node; /* tcp.connecting, until it is established */
	};
	struct mr_list lost; /* frames to be sent again, the first of the queue first */
	struct mr_rack rack;
	struct mr_sending *sending; /* its own, or tcp.not_sending */
	struct mr_tlp tlp;
	struct mr_undo undo;
	struct mr_ecn ecn;
	struct mr_mtup mtup;
	uint32_t chrono_ms[MR_CHRONO_MAX - 1]; /* from MR_CHRONO_BUSY on */
	uint64_t last_sent_at;		       /* ns, of data */

	/* RTT, RFC 6298. */
	uint64_t srtt_ns, rttvar_ns, rto_ns; /* srtt_ns 0: no sample yet */
	uint8_t backoff;		     /* doublings of the RTO since the last progress */
	uint8_t probes;			     /* window or keepalive probes without an answer */
	uint8_t unacked_segs; /* as unacked_bytes; no more than it takes for an ACK */
	int soft_err; /* negative errno of an ICMP error, told when the connection gives up */
	uint64_t stalled_since; /* ns: what first timed out was sent then; 0: progress since */
	uint64_t last_rcv_at; /* ns, of an ACK that may be the peer's; before, when it was opened */
	uint64_t challenge_at; /* ns: next challenge ACK not before */

	uint64_t timers[MR_TT_MAX];
	struct mr_timer timer;
	struct mr_list pending_node;
	struct mr_list all_node;

	struct mr_tcp_opts opts;
	struct mr_dst dst;
	void *owner; /* the socket; NULL: the application is done with it */

	/* For struct mr_sock_info and mr_tcp_info(). */
	uint64_t bytes_acked, bytes_received, bytes_retrans;
	uint64_t last_data_at; /* ns: payload received */
	uint32_t segs_in, segs_out, retrans;
	uint32_t data_segs_in, data_segs_out, ooo_segs_in;
};
_Static_assert(sizeof(struct mr_tcb) <= 800,
	       "with a socket and its place in the table, a connection that is\n"
	       "idle costs no more than 1 KiB");

/* SYN-RECEIVED of a listener: what must be known to answer and to make the TCB later. */
struct mr_tcp_synreq {
	struct mr_flow flow; /* first */
	struct mr_tcp_listener *listener;
	struct mr_list node; /* of the listener, oldest first */
	struct mr_timer timer;
	struct mr_dst dst;
	uint32_t irs, iss;
	uint32_t ts_recent, ts_offset;
	uint32_t rcv_wnd;
	uint64_t sent_at; /* first SYN-ACK, for the RTT; 0 once it was retransmitted (Karn) */
	/* ns: since then complete but for the data that opts.defer_accept waits for. */
	uint64_t acked_at;
	uint16_t peer_mss, adv_mss;
	uint8_t snd_wscale, rcv_wscale;
	bool ts_ok, wscale_ok, sack_ok;
	uint8_t ecn_mode;   /* enum mr_ecn_mode, by the first SYN */
	uint8_t ecn_syn;    /* ECN field of the latest SYN */
	bool ecn_doubt;	    /* a SYN came without ECN: the peer may have given it up */
	bool tfo_cookie;    /* it asked for a cookie */
	bool ecn_no_option; /* an AccECN option may be what got the first SYN,ACK lost */
	uint8_t retries;
};

struct mr_tcp_tw {
	struct mr_flow flow; /* first */
	struct mr_timer timer;
	struct mr_dst dst;
	uint32_t rcv_nxt, snd_nxt;
	uint32_t ts_recent, ts_offset;
	uint64_t challenge_at;
	uint16_t rcv_wnd; /* as in the header, scaled */
	bool ts_ok;
	uint8_t ace; /* AccECN: what every ACK says of marks (RFC 9768); else 0 */
};

/* A local port that is held: bound to, and perhaps listened on. */
struct mr_tcp_listener {
	struct mr_list node;  /* tcp.ports */
	struct mr_addr laddr; /* all zeros: any of ours */
	uint16_t lport;
	bool listening;
	bool held; /* from hold to release */
	uint32_t backlog;
	uint32_t nreqs;
	/* ns: until then an ACK out of nothing may carry a cookie of ours. */
	uint64_t cookies_until;
	struct mr_list reqs;
	struct mr_tcp_opts opts;
	struct mr_tfo_keys tfo_keys; /* none: the engine's */
	void *owner;
};

/* ---- Upcalls --------------------------------------------------------------------------------- */

/* How TCP speaks to the socket layer. They record and return: the only call back into TCP that they
 * may make is mr_tcp_rcv_space(). `owner` is the socket as given to connect, listen, or returned by
 * accept. */
struct mr_tcp_upcalls {
	/* An active open is complete. */
	void (*connected)(void *owner);
	/* May this listener take one more? Asked before the TCB is made. */
	bool (*accept_room)(void *listener_owner);
	/* A passive open is complete. Returns the owner of the new connection, or NULL: it is
	 * reset. */
	void *(*accept)(void *listener_owner, struct mr_tcb *tcb);
	/* Frames have become few: may this connection keep some more? */
	bool (*room)(void *owner);
	/* In-order payload, one chunk: [pay, pay + pay_len), first byte is sequence number seq.
	 * Takes over the reference. TCP has made sure that it fits into rcv_space and has deducted
	 * it there. */
	void (*data)(void *owner, struct mr_frame *chunk);
	/* Acknowledged: the send queue has become shorter, or the FIN has arrived; or it is filled in other
	 * portions now (mr_tcp_fill_size()), or in fewer. Also, for those who want it
	 * (opts.notsent_lowat): less of it is unsent. */
	void (*acked)(void *owner);
	/* The peer's FIN is in order. */
	void (*fin)(void *owner);
	/* The urgent pointer has moved forward (tcb->rcv_up). */
	void (*urgent)(void *owner);
	/* The connection is over; the last chance to read the TCB, which is freed then. err 0: orderly
	 * (TIME-WAIT or the last ACK); else -ECONNRESET, -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH. */
	void (*gone)(void *owner, int err);
	/* Is this connection really the owner's? For mr_tcp_salvage(). */
	bool (*owns)(void *owner, const struct mr_tcb *tcb);
};

/* ---- The layer ------------------------------------------------------------------------------- */

/* A duplicate that waits for an ACK of its own: an ACK tells of one (RFC 2883 section 4). */
struct mr_tcp_dsack {
	struct mr_tcb *tcb;
	struct mr_sack_block block;
};
#define MR_TCP_DSACKS 32u /* of one round, of all connections; more of them are not told */

struct mr_tcp {
	struct mr_ip *ip;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	struct mr_wheel *wheel;
	struct mr_rng *rng;
	uint64_t flow_key[2]; /* of mr_flow_hash(), shared with the XDP program */
	uint64_t secret[2];   /* ISNs, timestamp offsets, ports */
	struct mr_pool tcbs, synreqs, tws, listeners, gap_pool, sendings;
	struct mr_sending not_sending; /* of all that do not: zeros, which nobody writes to */
	struct mr_flow **buckets;
	uint32_t nbuckets; /* power of two */
	uint32_t port_counter;
	uint16_t port_first, port_last;		   /* ephemeral ports */
	struct mr_list ports[MR_TCP_PORT_BUCKETS]; /* struct mr_tcp_listener, by port */
	uint32_t *port_use;			   /* [MR_TCP_PORTS]: flows with this local port */
	struct mr_list pending;			   /* TCBs that owe output */
	struct mr_list held;			   /* TCBs that owe an ACK, with the next round */
	struct mr_list all;			   /* every TCB */
	struct mr_list connecting;		   /* TCBs that are not established yet */
	struct mr_list gaps; /* struct mr_gap: TCBs with something out of order */
	/* What is about to be changed; it is reset should the process die now. */
	struct mr_flow *hand;
	uint32_t mtu_cursor; /* TCBs of the pool before it know of the last change of MTU */
	struct mr_tcp_dsack dsacks[MR_TCP_DSACKS]; /* the oldest first */
	uint32_t ndsacks;
	uint32_t ooo_frames;  /* chunks that wait for reassembly, of all connections */
	uint32_t sndq_frames; /* frames in send queues, of all connections */
	uint32_t challenge_tokens;
	uint64_t challenge_refill_at;
	uint32_t tfo_pending;	/* TCBs in MR_TFO_PENDING */
	uint32_t tfo_resets[2]; /* that were reset in it: of this minute, and of the one before */
	uint32_t tfo_minute;	/* of the clock */
	struct mr_tfo_keys tfo_keys;
	struct mr_tfo_dst tfo_dsts[MR_TFO_SETS][MR_TFO_WAYS];
	uint16_t rcv_wnd_first; /* the most that a SYN announces; the socket layer says so */
	uint8_t mtu_probing;	/* enum mr_mtu_probing */
	uint8_t upcalls;	/* index into this process's table of upcalls */
};

struct mr_tcp_cfg {
	uint32_t max_connections; /* TCBs; as many TIME-WAITs and SYN-RECEIVEDs */
	uint32_t max_listeners;
	uint64_t flow_key[2];
	enum mr_mtu_probing mtu_probing;
	struct mr_tfo_keys tfo_keys; /* none: one is made up */
};

/* Upcall tables are code, so they are known by index and set once per process. 0..3. */
void mr_tcp_upcalls_set(unsigned index, const struct mr_tcp_upcalls *upcalls);

/* 0 or -ENOMEM. */
int mr_tcp_init(struct mr_tcp *tcp, struct mr_arena *arena, struct mr_ip *ip,
		struct mr_wheel *wheel, struct mr_rng *rng, struct mr_counters *ctr,
		unsigned upcalls, const struct mr_tcp_cfg *cfg);

/* A segment whose TCP header f->data points to. MR_DROP_NONE: consumed. Else the caller still owns
 * the frame, counts the reason and puts the chain (an answer may have been sent all the same). */
enum mr_drop mr_tcp_input(struct mr_tcp *tcp, struct mr_frame *f, const struct mr_ip_rx *rx,
			  uint64_t now);

/* An ICMP error about a segment of ours (RFC 5927: believed only for a sequence number in flight). */
enum mr_drop mr_tcp_icmp(struct mr_tcp *tcp, const struct mr_icmp_err *err, uint64_t now);

/* MR_TIMER_TCB, _SYN or _TIMEWAIT expired. */
void mr_tcp_timer(struct mr_tcp *tcp, struct mr_timer *t, uint64_t now);

/* When frames have run low: what waits for reassembly is thrown away (RFC 2018 section 8 allows it, also
 * for what was reported), as much as is needed. And some more connections hear of a new MTU. Once per round;
 * cheap otherwise. */
void mr_tcp_relieve(struct mr_tcp *tcp);

/* Run output for every TCB that owes some, as far as the transmit queue and frames reach. */
void mr_tcp_flush(struct mr_tcp *tcp, uint64_t now);
/* Is anything still owed (flush stopped for lack of room)? */
static inline bool mr_tcp_owes(const struct mr_tcp *tcp)
{
	return !mr_list_empty(&tcp->pending) || tcp->mtu_cursor != UINT32_MAX;
}

/* ---- For the socket layer -------------------------------------------------------------------- */

void mr_tcp_opts_default(struct mr_tcp_opts *opts);

/* Hold a local port (not 0) on this local address (all zeros: any). opts decides with whom it is shared (reuseaddr,
 * reuseport, v6only). 0, -EADDRINUSE, -ENOBUFS. */
int mr_tcp_hold(struct mr_tcp *tcp, const struct mr_addr *laddr, uint16_t lport,
		const struct mr_tcp_opts *opts, struct mr_tcp_listener **out);
void mr_tcp_release(struct mr_tcp *tcp, struct mr_tcp_listener *l);
/* Listen on a port that is held. 0, or -EADDRINUSE: another one listens that shares it only for binding. */
int mr_tcp_listen(struct mr_tcp *tcp, struct mr_tcp_listener *l, uint32_t backlog,
		  const struct mr_tcp_opts *opts, void *owner);
/* Keys of one or two times MR_TFO_KEY_LEN bytes, the present one first. false: len is neither; nothing is changed. */
bool mr_tfo_keys_set(struct mr_tfo_keys *keys, const void *key, size_t len);
/* Half-open connections of it are forgotten; completed ones are not the listener's any more. The port is
 * still held. */
void mr_tcp_unlisten(struct mr_tcp *tcp, struct mr_tcp_listener *l);

/* From now on ephemeral ports are from first to last, 0 < first <= last. */
void mr_tcp_ports_set(struct mr_tcp *tcp, uint16_t first, uint16_t last);
/* A free port for listening, or 0. */
uint16_t mr_tcp_port_pick(struct mr_tcp *tcp, const struct mr_addr *laddr);
/* A port for connecting to that peer where the kernel gives ports out, or 0: one that no connection uses, or else
 * one that this peer has no connection from, or one in TIME-WAIT that mr_tcp_connect() may take over. */
uint16_t mr_tcp_port_pick_to(struct mr_tcp *tcp, const struct mr_addr *laddr,
			     const struct mr_endpoint *peer, uint64_t now);

/* Begin an active open. laddr all zeros: chosen by route; lport 0: chosen by RFC 6056 algorithm 3.
 * 0 (SYN is owed), -EADDRINUSE, -EADDRNOTAVAIL, -ENETUNREACH, -ENOBUFS. */
int mr_tcp_connect(struct mr_tcp *tcp, const struct mr_endpoint *local,
		   const struct mr_endpoint *peer, const struct mr_tcp_opts *opts, void *owner,
		   uint64_t now, struct mr_tcb **out);

/* Copy up to len bytes to the end of the send queue. Returns bytes taken: fewer when frames ran
 * out. The caller bounds len by the send buffer. flags: MR_SEND_MORE, MR_SEND_OOB. */
uint32_t mr_tcp_write(struct mr_tcp *tcp, struct mr_tcb *tcb, const void *buf, uint32_t len,
		      unsigned flags);
/* An empty frame for the application to fill: pay points to room of *room bytes. NULL: no frame. */
struct mr_frame *mr_tcp_frame_get(struct mr_tcp *tcp, const struct mr_tcb *tcb, uint32_t *room);
/* Append such a frame with pay_len set; takes over the reference; sums the payload. */
void mr_tcp_frame_queue(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, unsigned flags);

/* The application took bytes out (or the buffer's size changed): free is the new free space. Owes a
 * window update when the window has become worth it (RFC 9293 section 3.8.6.2.2). */
void mr_tcp_rcv_space(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t free);

/* No more data from the application: FIN after the send queue (RFC 9293 section 3.10.4). */
void mr_tcp_shutdown(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The owner lets go: FIN after the send queue, and no more upcalls. The TCB lives until it is
 * CLOSED. */
void mr_tcp_close(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* RST (where the state has a peer that knows of us), then the TCB is gone. No upcall. */
void mr_tcp_abort(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);

/* Something an option changed may let output go on (nodelay, uncork, keepalive on). */
void mr_tcp_opts_changed(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);

/* The MTU of the interface has changed: the next output of every connection follows. */
void mr_tcp_mtu_changed(struct mr_tcp *tcp);

/* Frame-sized portions in which the send queue is filled best: payload bytes. */
uint32_t mr_tcp_fill_size(const struct mr_tcp *tcp, const struct mr_tcb *tcb);

/* What is queued goes out now, small or not (MR_OPT_NODELAY set anew). */
void mr_tcp_push(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* Would the application write more than the buffer takes? What waits for more waits in vain then. */
void mr_tcp_write_short(struct mr_tcp *tcp, struct mr_tcb *tcb, bool is);

/* The last sample of the delivery rate that the application did not limit, or a greater one; bytes per second. */
static inline uint64_t mr_tcp_delivery_rate(const struct mr_tcb *tcb)
{
	return (uint64_t)tcb->sending->rate.told << 6;
}

/* How long, in us of ms, the connection was held up by this so far; MR_CHRONO_BUSY: or by anything. */
uint64_t mr_tcp_chrono_us(const struct mr_tcb *tcb, enum mr_chrono what, uint64_t now);

/* Bytes in the send queue that were never sent. */
static inline uint32_t mr_tcp_unsent(const struct mr_tcb *tcb)
{
	return tcb->sndq.unsent ? seq_diff(tcb->write_seq, tcb->sndq.unsent->seq) : 0;
}

/* The least round-trip time of late, ns; 0: none yet. */
uint64_t mr_tcp_min_rtt(const struct mr_tcb *tcb);

/* Chunks that hold what this connection has received out of order. */
static inline uint32_t mr_tcp_ooo_frames(const struct mr_tcb *tcb)
{
	return tcb->gap ? tcb->gap->q.frames : 0;
}

/* The most that the peer may ever be offered. */
static inline uint32_t mr_tcp_rcv_limit(const struct mr_tcp_opts *opts)
{
	return opts->window_clamp && opts->window_clamp < opts->rcvbuf ? opts->window_clamp :
									 opts->rcvbuf;
}

/* Bytes of payload per second that the connection may send with now; 0: as fast as it can. */
uint64_t mr_tcp_pacing_rate(const struct mr_tcb *tcb);

/* A connection was accepted whose first data is there already. Its reader is about to be told of that: until then
 * the ACK waits, if nothing else is owed, for the answer that may carry it. */
void mr_tcp_hold_ack(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The readers are told: what waited goes with the next output. */
void mr_tcp_unhold(struct mr_tcp *tcp);

/* Owe an ACK at once (MR_OPT_QUICKACK). */
void mr_tcp_quickack(struct mr_tcp *tcp, struct mr_tcb *tcb);

/* ---- After a death (tcp_salvage.c) -----------------------------------------------------------
 * A process died in the middle of a change. The wheel has no timers, routes are forgotten, and every frame is
 * about to be free that nobody holds. First the socket layer looks at its sockets, asking whether their TCBs are
 * whole and telling which ports are theirs, then comes mr_tcp_salvage(); when everything else is right again,
 * mr_tcp_salvage_reset() ends what was in hand. */
void mr_tcp_salvage_begin(struct mr_tcp *tcp);
bool mr_tcp_salvage_whole(const struct mr_tcp *tcp, const struct mr_tcb *tcb);
void mr_tcp_salvage_port(struct mr_tcp *tcp, struct mr_tcp_listener *l, bool listening);
void mr_tcp_salvage(struct mr_tcp *tcp);
void mr_tcp_salvage_reset(struct mr_tcp *tcp, uint64_t now);

/* The invariants of a TCB, stated as assertions; tests call it after every step. */
void mr_tcb_check(const struct mr_tcp *tcp, const struct mr_tcb *tcb);
/* Those of the send queue alone. */
void mr_tcb_check_sndq(const struct mr_tcp *tcp, const struct mr_tcb *tcb);
/* The same for every TCB, the flow table, and the counts. */
void mr_tcp_check(const struct mr_tcp *tcp);

#endif
