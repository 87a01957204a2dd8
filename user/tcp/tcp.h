/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp.h - the interface of TCP towards the socket layer and the engine, and the objects of its connections.
 *
 * TCP sends with mr_ip_output(), and calls the socket layer through struct mr_tcp_upcalls. Input never sends
 * by itself: it records in the TCB what is to be sent (data, ACKs, a window update) and puts the TCB on the list
 * mr_tcp.pending; mr_tcp_flush() then runs output once for each TCB on that list. In comments and names, "owed"
 * means: recorded, to be sent by the next output.
 *
 * `now` is always the engine's monotonic clock in nanoseconds. Sequence numbers are in host byte order.
 * Functions that return int return 0 or one of the negative errno values that their comment lists.
 */
#ifndef MR_TCP_TCP_H
#define MR_TCP_TCP_H

#include "base/pool.h"
#include "base/timer.h"
#include "ip/ip.h"
#include "tcp/tcp_seq.h"
#include "tcp/tcp_wire.h"

/* ---- Constants: the RFC's value where an RFC gives one, else Linux's --------------------------- */

#define MR_TCP_RTO_INIT_NS     (1 * MR_NS_PER_S)    /* RFC 6298 (2.1) */
#define MR_TCP_RTO_FALLBACK_NS (3 * MR_NS_PER_S)    /* RFC 6298 (5.7) */
#define MR_TCP_RTO_MIN_NS      (200 * MR_NS_PER_MS) /* RFC 6298 (2.4) says 1 s; Linux 200 ms */
#define MR_TCP_RTO_MAX_NS      (120 * MR_NS_PER_S)  /* RFC 6298 (2.5): at least 60 s; Linux 120 s */
/* Wait before a SYN is repeated after an old connection was reset. */
#define MR_TCP_SYN_AGAIN_NS   (2 * MR_NS_PER_MS)
#define MR_TCP_DELACK_NS      (40 * MR_NS_PER_MS) /* RFC 9293 3.8.6.3: below 500 ms; Linux 40 ms */
#define MR_TCP_SYN_RETRIES    6u		  /* Linux tcp_syn_retries: 127 s */
#define MR_TCP_SYNACK_RETRIES 5u		  /* Linux tcp_synack_retries: 63 s */
#define MR_TCP_RETRIES2	      15u		  /* Linux tcp_retries2: about 924 s */
#define MR_TCP_ORPHAN_RETRIES 8u		  /* Linux tcp_orphan_retries */
#define MR_TCP_TIMEWAIT_NS    (60 * MR_NS_PER_S)  /* 2 MSL; Linux TCP_TIMEWAIT_LEN */
#define MR_TCP_FIN_TIMEOUT_NS (60 * MR_NS_PER_S)  /* FIN-WAIT-2 without an application */
/* A connection that has sent no data for this long gives its struct mr_sending back. */
#define MR_TCP_FORGET_NS (60 * MR_NS_PER_S)
/* The longest that MR_OPT_CORK or MR_SEND_MORE delays data. */
#define MR_TCP_CORK_NS (200 * MR_NS_PER_MS)
/* Override timeout of the sender's silly window avoidance: RFC 9293 3.8.6.2.1 allows 0.1 to 1 s. The RTO is taken
 * instead if it is shorter. */
#define MR_TCP_OVERRIDE_NS (1 * MR_NS_PER_S)
/* The MSS of a peer that sends no MSS option (RFC 9293 3.7.1), over IPv4 and over IPv6. */
#define MR_TCP_MSS_DEFAULT  536u
#define MR_TCP_MSS_DEFAULT6 1220u
/* Linux TCP_MIN_SND_MSS (48) and 40 bytes of options. A peer that offers less is treated as if it offered this. */
#define MR_TCP_MSS_MIN	 88u
#define MR_TCP_DUPTHRESH 3u  /* RFC 5681 */
#define MR_TCP_INIT_WND	 10u /* segments (RFC 6928) */
/* Segments that are acknowledged at once, without delay, when a connection begins. */
#define MR_TCP_QUICKACKS 16u
/* The same after a hole in the data received: the sender's congestion window is small then, and if it allows only one
 * segment, that segment's ACK must not be delayed. A path that loses 1 % mostly carries fewer segments than this
 * between two losses. */
#define MR_TCP_QUICKACKS_LOSS 255u

/* An ACK is sent at the latest after this many segments, however small they are: at the sender each of them occupies
 * a buffer until it is acknowledged. */
#define MR_TCP_SMALL_ACKED 16u
/* Buffer sizes in bytes at the start of a connection, and the sizes up to which they grow by themselves. The latter
 * are Linux's tcp_wmem[2] and tcp_rmem[2]. */
#define MR_TCP_SNDBUF	    (256u << 10)
#define MR_TCP_RCVBUF	    (256u << 10)
#define MR_TCP_SNDBUF_MAX   (4u << 20)
#define MR_TCP_RCVBUF_MAX   (6u << 20)
#define MR_TCP_PORT_FIRST   32768u
#define MR_TCP_PORT_LAST    60999u
#define MR_TCP_PORTS	    65536u
#define MR_TCP_PORT_BUCKETS 1024u /* of the hash table of struct mr_tcp_listener */

/* ---- Flows: the entries of the hash table from 4-tuples to connections ------------------------- */

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
	uint8_t steer; /* while in the table: what mr_steer_flow_add() returned */
};

/* ---- The TCP control block ------------------------------------------------------------------- */

/* Options that the socket layer sets, before or during the life of a connection. See MR_OPT_* in millrace.h. */
struct mr_tcp_opts {
	uint64_t max_pacing_rate; /* bytes of payload per second; 0: not bounded */
	uint32_t sndbuf, rcvbuf;  /* bytes */
	uint32_t window_clamp;	  /* 0: rcvbuf is the only bound */
	uint32_t notsent_lowat;	  /* bytes; 0: off */
	uint32_t rcvlowat;	  /* bytes */
	uint32_t user_timeout_ms; /* RFC 5482; 0: the number of retransmissions decides */
	uint16_t maxseg;	  /* largest MSS to offer and to use; 0: no bound */
	uint16_t keepidle_s, keepintvl_s;
	uint8_t keepcnt;
	uint8_t tos, ttl;
	uint8_t congestion;  /* index into the table of tcp_cong.h */
	uint8_t syn_retries; /* 0: MR_TCP_SYN_RETRIES */
	uint8_t ecn;	     /* enum mr_ecn_policy */
	/* Of a listener, TCP Fast Open: connections at the most whose handshake is not complete; 0: off. */
	uint16_t fastopen;
	/* Of a listener: a connection that sends no data is not given to accept() for this many retransmissions of
	 * its SYN,ACK (TCP_DEFER_ACCEPT); 0: off. */
	uint8_t defer_accept;
	int8_t linger2_s; /* how long FIN-WAIT-2 lasts after close; 0: MR_TCP_FIN_TIMEOUT_NS; -1: reset at once */
	bool nodelay : 1, cork : 1, keepalive : 1;
	bool fastopen_connect : 1; /* if a cookie is known, the SYN is sent with the first data */
	bool v6only : 1, reuseaddr : 1, reuseport : 1;
	bool sndbuf_fixed : 1,
		rcvbuf_fixed : 1; /* the application has set the size: it does not grow */
};

/* The send queue: data that was written and is not yet acknowledged. Each frame is one chunk with headroom; frames
 * are linked by next. A segment always consists of whole frames; tcp_sndq.c splits frames where needed. */
struct mr_sndq {
	struct mr_frame *head, *tail;
	struct mr_frame *unsent; /* the first frame that was never sent; NULL: all were sent */
	uint32_t bytes;		 /* payload in all frames */
	uint32_t frames;
};

/* The reassembly queue: segments beyond rcv_nxt, sorted by sequence number, not overlapping, linked by next. A
 * segment of several chunks is chained by frag. Segments without a hole between them form a row (mr_frame.row). */
struct mr_oooq {
	struct mr_frame *head, *tail;
	struct mr_frame *hint; /* first of the row that got the last insertion; NULL: not known */
	uint32_t bytes;
	uint32_t frames; /* chunks */
};

/* What a connection needs only while there is a hole in the data that it received. It exists exactly as long as q is
 * not empty. */
struct mr_gap {
	struct mr_list node; /* tcp.gaps */
	struct mr_tcb *tcb;
	struct mr_oooq q;
	/* The blocks to report, the most recent first (RFC 2018 section 4). */
	struct mr_sack_block sack[MR_TCP_SACK_BLOCKS];
	uint8_t nsack;
};

/* RACK's variables (RFC 8985 section 5.2): the most recently sent segment that was delivered, and how long to wait
 * for reordered segments. */
struct mr_rack {
	uint64_t sent_at; /* RACK.xmit_ts, ns; 0: nothing delivered yet */
	uint64_t rtt_ns;  /* RACK.rtt */
	/* Least RTT in units of 16 ns, of the present and of the previous period of 10 s; 0: no sample. */
	uint32_t min_rtt[2];
	uint32_t min_rtt_at_ms; /* of the clock: when the present period began */
	uint32_t end_seq, fack; /* RACK.end_seq, RACK.fack */
	uint32_t dsack_round;	/* RACK.dsack_round */
	/* For TCP_INFO: ACKs that showed reordering, and segments that D-SACKs reported. 65535 stands for more, too. */
	uint16_t reord_seen, dsack_dups;
	uint8_t reo_mult, reo_persist;	  /* RACK.reo_wnd_mult, RACK.reo_wnd_persist */
	bool reordering_seen, dsack_seen; /* dsack_seen: dsack_round is valid */
};

/* Proportional rate reduction, the variables of RFC 6937bis in bytes: prr_delivered, prr_out, RecoverFS. */
struct mr_prr {
	uint32_t delivered, out, recover_fs;
};

/* Tail loss probe (RFC 8985 section 7). */
struct mr_tlp {
	uint32_t end_seq; /* TLP.end_seq */
	bool out : 1;	  /* a probe has been sent and not been answered */
	bool retrans : 1; /* TLP.is_retrans: the probe was a retransmission */
	bool owed : 1;	  /* the next output sends a probe */
	bool rearm : 1; /* data was sent or acknowledged: the next output restarts the probe timer */
	/* No ACK came during a recovery, so the head of the queue was sent once more; nothing was delivered since. */
	bool again : 1;
};

/* Delivery rate estimation (tcp_rate.c): draft-ietf-ccwg-bbr section 4.1. Counts are bytes, and wrap. */
struct mr_rate {
	uint64_t delivered_at;	  /* C.delivered_time, ns */
	uint64_t first_sent_at;	  /* C.first_send_time, ns */
	uint32_t delivered, lost; /* C.delivered, C.lost */
	/* C.app_limited: until `delivered` passes this, samples are marked as limited by the application; 0: they are
	 * not. */
	uint32_t app_limited;
	uint32_t told; /* the rate that TCP_INFO reports, in units of 64 bytes per second */
};

/* What the sender is waiting for, as TCP_INFO reports it. The time in each state adds up in tcb.chrono_ms. */
enum mr_chrono {
	MR_CHRONO_IDLE,	  /* the send queue is empty */
	MR_CHRONO_BUSY,	  /* the send queue is not empty, and neither of the next two holds */
	MR_CHRONO_RWND,	  /* the peer's receive window is full */
	MR_CHRONO_SNDBUF, /* the send buffer is too small: the application could not write more */
	MR_CHRONO_MAX
};

/* Pacing (tcp_pace.c). */
struct mr_pace {
	/* Bytes per second that the congestion control asks for; 0: it does not pace. */
	uint64_t rate;
	uint64_t next; /* ns: no data is sent before this time */
};

/* Congestion window validation (tcp_cwv.c): how much of cwnd is used, in bytes. */
struct mr_cwv {
	/* ns: when cwnd was last the limit, or was last reduced for not being used. */
	uint64_t full_at;
	uint32_t used;	     /* the most that was in flight since then */
	uint32_t max_flight; /* the most in flight during the present round trip */
	uint32_t round_end;  /* sequence number: the round trip ends when this is acknowledged */
	bool limited;	     /* cwnd has held back output in this round trip */
};

/* The state before a recovery, to return to if the loss turns out to have been none (tcp_loss.c). */
struct mr_undo {
	uint32_t cwnd, ssthresh; /* before the recovery */
	uint32_t marker;	 /* SND.UNA at its beginning */
	/* Retransmitted bytes that no D-SACK has reported as duplicates yet. Includes retransmissions of the recovery
	 * before that were in flight when this one began. */
	uint32_t retrans;
	uint32_t retrans_ts; /* our timestamp clock at the first retransmission, if any_retrans */
	bool armed;	     /* the above are valid */
	bool any_retrans;    /* something was retransmitted in this recovery */
	/* Behind the highest byte that this connection ever retransmitted; always valid. */
	uint32_t retrans_end;
};

/* A DCTCP receiver: an ACK that is still to be sent for what had arrived when marks began or ended (RFC 8257 section
 * 3.2). */
struct mr_ecn_ack {
	uint32_t ack; /* SEG.ACK */
	bool ece;
};
/* Such ACKs that can wait for one output. When marks change more often, the echo is less exact. */
#define MR_TCP_ECN_ACKS 2u

/* The kind of ECN feedback that both sides agreed on: none, RFC 3168, or Accurate ECN (RFC 9768). */
enum mr_ecn_mode { MR_ECN_MODE_NONE, MR_ECN_MODE_CLASSIC, MR_ECN_MODE_ACCURATE };

/* Explicit congestion notification (tcp_ecn.c, tcp_accecn.c). "Marked" means: arrived with CE in the IP header. */
struct mr_ecn {
	/* SND.NXT at the last reduction of cwnd for a mark: no second one before this is acknowledged. */
	uint32_t reduced_at;
	/* Bytes that we sent and that arrived marked, according to the peer. */
	uint32_t delivered_ce;
	uint8_t mode;	   /* enum mr_ecn_mode */
	bool no_ect : 1;   /* send without ECT: the path or the peer does not handle it correctly */
	bool deaf : 1;	   /* ignore the peer's feedback: it is not credible */
	bool echo : 1;	   /* classic: every ACK carries ECE, until CWR arrives */
	bool cwr_owed : 1; /* classic: the next new data carries CWR */
	bool syn_marked : 1; /* our SYN or SYN,ACK arrived marked */
	/* Accurate ECN: the handshake. */
	bool hs_owed : 1; /* the next pure ACK reports the ECN field of the SYN,ACK (RFC 9768 section 3.2.2.1) */
	bool hs_done : 1; /* the ACK being processed made that report: its ACE field is not a counter */
	bool ace_seen : 1;  /* an ACE field of the peer has been processed */
	bool first_ack : 1; /* the first pure ACK carries the option, and ... */
	bool first_data : 1; /* ... so does the first data, to find out whether it arrives (section 3.2.3.2.1) */
	/* Accurate ECN: the option. */
	bool opt_in : 1;     /* options of the peer arrive here */
	bool opt_zeroed : 1; /* a middlebox overwrites them with zeros: they are ignored */
	bool opt_off : 1;  /* ours seem to be lost because of the option: it is not sent any more */
	bool opt_last : 1; /* the last ACK sent carried the option */
	bool opt_data : 1; /* data with the option was sent, and nothing was acknowledged since */
	bool last_ce : 1;  /* the last packet received was marked */
	uint8_t peer_syn_ecn; /* ECN field of the peer's latest SYN or SYN,ACK */
	/* Accurate ECN: the counters of RFC 9768 section 3.2. r: what we received; s: what the peer reports. */
	uint8_t r_cep, s_cep; /* marked packets, modulo 256 */
	/* Sets of counters, bit i for r_bytes[i]: changed since the last option, and changed ever. */
	uint8_t changed : 3, ever_changed : 3;
	uint8_t ce_untold; /* marked packets received since the last ACK was sent */
	uint8_t unanswered; /* ACKs with the option that seem to be lost, since the last evidence of the contrary */
	uint8_t answered;   /* ACKs with the option that seem to have arrived, in a row */
	uint8_t all_marked; /* round trips from the start in which every packet was marked */
	uint8_t nacks;	    /* classic with DCTCP: valid entries of acks[] */
	/* Sequence number: the round trip of all_marked ends when this is acknowledged. */
	uint32_t round_end;
	union {
		struct {		     /* Accurate ECN */
			uint32_t r_bytes[3]; /* payload bytes received with ECT(0), CE, ECT(1) */
			uint32_t s_ceb;	     /* bytes of ours that the peer received marked */
		};
		struct mr_ecn_ack acks[MR_TCP_ECN_ACKS]; /* classic with DCTCP */
	};
};

/* Keys for TCP Fast Open cookies (RFC 7413 section 4.1.1). key[0] makes cookies; cookies that were made with key[1],
 * the key before, are still accepted. */
#define MR_TFO_KEY_LEN 16u
struct mr_tfo_keys {
	uint8_t key[2][MR_TFO_KEY_LEN];
	uint8_t n; /* keys that are set: 0 to 2 */
};

/* TCP Fast Open (RFC 7413): tcb.tfo. */
enum mr_tfo {
	MR_TFO_NONE,
	MR_TFO_ASK,	/* client: the SYN asks for a cookie */
	MR_TFO_WAIT,	/* client: the SYN is not sent before there is data to send with it */
	MR_TFO_SENT,	/* client: the SYN carried tfo_len bytes of data and a cookie */
	MR_TFO_PENDING, /* server: the SYN had a valid cookie; the handshake is not complete */
};

/* A client's cache entry about one server. */
struct mr_tfo_dst {
	struct mr_addr addr;
	uint32_t until_s; /* seconds of the clock; 0: unused */
	uint16_t mss;	  /* the server's last MSS option */
	uint8_t len; /* bytes of the cookie; 0: Fast Open SYNs to this server get lost, do not try */
	uint8_t cookie[MR_TCP_TFO_MAX];
};
/* The cache is set associative. */
#define MR_TFO_SETS 64u
#define MR_TFO_WAYS 4u

/* Packetization layer path MTU discovery (RFC 4821, RFC 8899; tcp_path.c): a search for the longest packet that the
 * path carries. Lengths are bytes of the IP packet. */
struct mr_mtup {
	uint32_t end; /* sequence number behind the probe in flight; valid if size is not 0 */
	/* If the search has ended: when it begins anew, in seconds of the clock; 0: it has not ended. */
	uint32_t again_s;
	uint16_t low, high; /* packets of length low arrive; packets longer than high do not */
	uint16_t size;	    /* length of the probe in flight; 0: there is none */
	uint8_t losses;	    /* probes of this length that were lost, in a row */
	bool on; /* a search is going on or has ended; false: the other members are meaningless */
	bool refused; /* probes found a length that is too long: high is one less */
};

/* tcb.loss */
enum mr_loss_state {
	MR_LOSS_OPEN,	  /* nothing is known to be lost */
	MR_LOSS_RECOVERY, /* fast recovery (RFC 6582) until recover is acknowledged */
	MR_LOSS_RTO,	  /* after a timeout, until recover is acknowledged */
};

/* Indexes of tcb.timers: deadlines in ns, MR_TIME_NEVER when off. The one wheel entry of the TCB, tcb.timer, fires
 * no later than the nearest of them. */
enum mr_tcb_timer {
	MR_TT_RTX,    /* retransmission (RFC 6298), or zero-window probe when tcb.persist */
	MR_TT_DELACK, /* delayed ACK */
	MR_TT_KEEP,   /* keepalive; in FIN-WAIT-2 without owner: the connection is freed */
	MR_TT_CORK,   /* a partial segment that was held back by a cork is sent */
	MR_TT_REO,    /* RACK's reordering timer: what has not arrived by now is lost */
	MR_TT_TLP,    /* tail loss probe */
	MR_TT_PACE, /* pacing allows the next segment, or sending is tried again after a lack of frames */
	MR_TT_MAX
};

#define MR_TCP_SACK_HINTS 3u /* an ACK with timestamps has room for three SACK blocks */

/* The part of a TCB that exists only while the connection sends: from its first data or FIN until it has been silent
 * for MR_TCP_FORGET_NS. So an idle connection needs less memory. */
struct mr_sending {
	/* Private state of the congestion control. First, because mr_pool overwrites the first word of a free
	 * object. */
	uint64_t cc_priv[16];
	struct mr_tcb *tcb; /* the connection that it belongs to; NULL: none */
	/* Frames at which recent SACK blocks were found, so that the next search starts there (tcp_sack.c). */
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
	bool shut_rd : 1;   /* the application has shut down reading */
	uint16_t tfo_len;   /* payload bytes of the SYN that was sent */
	bool ts_ok : 1;	    /* both sides sent the timestamps option */
	bool wscale_ok : 1; /* both sides sent the window scale option */
	bool sack_ok : 1;   /* both sides sent SACK-permitted */
	bool fin_queued : 1; /* the application has closed its direction: FIN follows the send queue */
	bool fin_sent : 1;   /* the FIN was sent, and snd_nxt includes it */
	bool fin_lost : 1;   /* the FIN must be sent again */
	bool fin_rcvd : 1;   /* the peer's FIN was received, and rcv_nxt includes it */
	bool persist : 1;    /* MR_TT_RTX is the persist timer, which sends window probes */
	bool probe_owed : 1; /* the next output sends a window probe */
	bool keep_owed : 1;  /* the next output sends a keepalive probe */
	bool syn_owed : 1;   /* the next output sends SYN, or SYN,ACK in SYN-RECEIVED */
	bool ack_now : 1;    /* the next output sends an ACK */
	bool ack_held : 1;   /* but not before the next round: pending_node is on tcp.held */
	bool more : 1;	     /* the last write had the flag MR_SEND_MORE */
	bool push_small : 1; /* send a partial segment in spite of cork, Nagle and silly window avoidance */
	bool update_owed : 1; /* the next output sends a window update */
	bool urg_out : 1;     /* snd_up is valid */
	bool urg_in : 1;      /* rcv_up is valid, and that byte has not been received yet */
	bool pingpong : 1; /* the application answers requests at once: delay ACKs, data will carry them (Linux) */
	bool dsack_owed : 1; /* the next ACK reports the block dsack */
	bool syn_met_old : 1; /* the peer answered our SYN out of an old connection, and our SYN was sent anew */
	bool dsack_more : 1; /* tcp.dsacks has blocks of this connection, which are sent before dsack */
	bool tfo_renew : 1; /* the SYN had a cookie of the old key: the SYN,ACK carries a new one */
	bool frto : 1; /* F-RTO (RFC 5682): since the timeout only the head of the queue was sent again */
	bool frto_new : 1; /* F-RTO: new data is sent before more retransmissions; the next ACK decides */
	bool syn_data : 1; /* the peer has accepted the data that our SYN carried (RFC 7413) */
	bool write_short : 1; /* the last write did not fit into the send buffer: the application waits */
	bool told_app_limited : 1; /* the sample in rate.told was limited by the application */
	uint8_t tfo_fail : 2;	   /* TCP_INFO: tcpi_fastopen_client_fail */
	uint8_t chrono : 2;	   /* enum mr_chrono */

	/* Send side, RFC 9293 section 3.3.1. Windows in bytes, after scaling. */
	uint32_t iss, snd_una, snd_nxt;
	uint32_t snd_wnd, snd_wl1, snd_wl2, max_snd_wnd;
	uint32_t snd_up; /* sequence number behind the urgent byte (Linux's reading), if urg_out */
	uint16_t peer_mss; /* as the peer's SYN offered it */
	uint16_t snd_mss;  /* payload bytes of a full segment, options deducted */
	/* Sequence number behind the last partial segment sent: Minshall's variant of Nagle. */
	uint32_t snd_sml;
	uint32_t write_seq; /* sequence number behind the last byte in the send queue */
	struct mr_sndq sndq;

	/* Receive side. */
	uint32_t irs, rcv_nxt;
	uint32_t rcv_wnd;   /* RCV.WND: the window last advertised, less what arrived since */
	uint32_t rcv_space; /* free bytes of the receive buffer, see mr_tcp_rcv_space() */
	uint32_t rcv_up;    /* sequence number of the last urgent byte */
	/* Estimate of the peer's full segments, see full_segment() in tcp_input.c. */
	uint16_t rcv_mss;
	uint16_t adv_mss;  /* our MSS option */
	uint8_t quickacks; /* the next so many segments are acknowledged at once */
	uint8_t last_len; /* for the estimate rcv_mss: a byte derived from the last segment's length */
	uint16_t dupacks_owed;	/* duplicate ACKs to send, each by itself (RFC 5681 section 4.2) */
	uint32_t unacked_bytes; /* received in order since the last ACK was sent */
	/* The RTT as the receiver measures it, for automatic buffer sizes. */
	uint32_t rcv_rtt_us;			/* 0: no sample yet */
	uint32_t rcv_rtt_ref, rcv_rtt_since_us; /* end and beginning of the measurement under way */
	uint32_t last_ack_sent;			/* Last.ACK.sent (RFC 7323) */
	uint32_t ts_recent;			/* TS.Recent (RFC 7323) */
	uint32_t chrono_at_ms; /* of the clock: when tcb.chrono took its present value */
	/* ns: when ts_recent was set; it is invalid after 24 days (RFC 7323). */
	uint64_t ts_recent_at;
	/* For segments that fill a hole and whose timestamp is older than ts_recent (fills_a_hole_late() in
	 * tcp_input.c): ts_past[1] is TS.Recent when rcv_nxt was ts_past_seq; ts_past[0] is the value before. */
	uint32_t ts_past[2];
	uint32_t ts_past_seq;
	uint32_t ts_offset; /* TSval is the clock in ms plus this */
	struct mr_gap *gap; /* NULL: there is no hole in the data received */
	/* Data that arrived twice, to be reported by D-SACK if dsack_owed (RFC 2883). */
	struct mr_sack_block dsack;

	/* Loss recovery and congestion control, bytes. */
	uint32_t cwnd, ssthresh;
	uint32_t recover; /* RFC 6582: SND.NXT when the recovery began */
	uint32_t dupacks; /* duplicate ACKs in a row */
	/* Without SACK: bytes that left the network, according to duplicate ACKs. */
	uint32_t dup_bytes;
	uint32_t lost_bytes;   /* in the send queue, found lost and not sent again since */
	uint32_t sacked_bytes; /* in the send queue, selectively acknowledged */
	uint32_t retrans_out;  /* in flight, and sent more than once */
	union {
		/* Frames that are in flight, neither lost nor SACKed, by time of sending. */
		struct mr_list in_flight;
		/* As long as an active open is not complete: member of tcp.connecting. */
		struct mr_list connecting_node;
	};
	struct mr_list lost; /* frames to retransmit, the first one of the send queue first */
	struct mr_rack rack;
	struct mr_sending *sending; /* its own, or tcp.not_sending; never NULL */
	struct mr_tlp tlp;
	struct mr_undo undo;
	struct mr_ecn ecn;
	struct mr_mtup mtup;
	/* Time spent in each enum mr_chrono from MR_CHRONO_BUSY on. */
	uint32_t chrono_ms[MR_CHRONO_MAX - 1];
	uint64_t last_sent_at; /* ns: when data was last sent */

	/* RTT, RFC 6298. */
	uint64_t srtt_ns, rttvar_ns, rto_ns; /* srtt_ns 0: no sample yet */
	uint8_t backoff;		     /* times the RTO was doubled since the last progress */
	uint8_t probes;			     /* window or keepalive probes without an answer */
	uint8_t unacked_segs; /* segments received in order since the last ACK; counts up to MR_TCP_SMALL_ACKED */
	int soft_err; /* negative errno of an ICMP error: the error of the connection if it times out */
	/* ns: when the data that first timed out had been sent; 0: no timeout is unanswered. */
	uint64_t stalled_since;
	/* ns: when an acceptable ACK was last received; at first, when the TCB was made. */
	uint64_t last_rcv_at;
	uint64_t challenge_at; /* ns: no challenge ACK before this time */

	uint64_t timers[MR_TT_MAX];
	struct mr_timer timer;
	struct mr_list pending_node; /* tcp.pending, or tcp.held if ack_held */
	struct mr_list all_node;     /* tcp.all */

	struct mr_tcp_opts opts;
	struct mr_dst dst;
	void *owner; /* the socket; NULL: the application has closed the connection */

	/* For struct mr_sock_info and mr_tcp_info(). */
	uint64_t bytes_acked, bytes_received, bytes_retrans;
	uint64_t last_data_at; /* ns: when payload was last received in order; 0: never */
	uint32_t segs_in, segs_out, retrans;
	uint32_t data_segs_in, data_segs_out, ooo_segs_in;
};
_Static_assert(sizeof(struct mr_tcb) <= 800,
	       "with a socket and its place in the table, a connection that is\n"
	       "idle costs no more than 1 KiB");

/* A request: a connection of a listener in SYN-RECEIVED. It becomes a TCB when the handshake is complete. */
struct mr_tcp_synreq {
	struct mr_flow flow; /* first */
	struct mr_tcp_listener *listener;
	struct mr_list node; /* of the listener, oldest first */
	struct mr_timer timer;
	struct mr_dst dst;
	uint32_t irs, iss;
	uint32_t ts_recent, ts_offset;
	uint32_t rcv_wnd;
	/* ns: when the SYN,ACK was sent, for the RTT; 0: it was retransmitted (Karn). */
	uint64_t sent_at;
	/* With opts.defer_accept, ns: when the handshake was complete but for the first data; 0: it is not. */
	uint64_t acked_at;
	uint16_t peer_mss, adv_mss;
	uint8_t snd_wscale, rcv_wscale;
	bool ts_ok, wscale_ok, sack_ok;
	uint8_t ecn_mode;   /* enum mr_ecn_mode, according to the first SYN */
	uint8_t ecn_syn;    /* ECN field of the latest SYN */
	bool ecn_doubt;	    /* a later SYN did not ask for ECN: the peer may not use it */
	bool tfo_cookie;    /* the SYN asked for a Fast Open cookie */
	bool ecn_no_option; /* send no AccECN option: it may be why a SYN,ACK was lost */
	uint8_t retries;    /* SYN,ACKs sent after the first */
};

/* A connection in TIME-WAIT, which needs much less memory than a TCB. */
struct mr_tcp_tw {
	struct mr_flow flow; /* first */
	struct mr_timer timer;
	struct mr_dst dst;
	uint32_t rcv_nxt, snd_nxt;
	uint32_t ts_recent, ts_offset;
	uint64_t challenge_at; /* as in struct mr_tcb */
	uint16_t rcv_wnd;      /* as in the header: bytes shifted right by the window scale */
	bool ts_ok;
	uint8_t ace; /* the ACE field of every ACK (RFC 9768); 0 without Accurate ECN */
};

/* A local port that a socket is bound to, and perhaps listens on. */
struct mr_tcp_listener {
	struct mr_list node;  /* tcp.ports */
	struct mr_addr laddr; /* all zeros: every local address */
	uint16_t lport;
	bool listening;
	bool held; /* in use: from mr_tcp_hold() to mr_tcp_release() */
	uint32_t backlog;
	uint32_t nreqs; /* length of reqs */
	/* ns: SYN cookies were sent, and an ACK that completes a handshake with one may arrive until then. */
	uint64_t cookies_until;
	struct mr_list reqs; /* struct mr_tcp_synreq */
	struct mr_tcp_opts opts;
	struct mr_tfo_keys tfo_keys; /* n 0: the keys of struct mr_tcp are used */
	void *owner;		     /* the listening socket */
};

/* ---- Upcalls --------------------------------------------------------------------------------- */

/* TCP's calls to the socket layer. They record the event and return; the only function of TCP that they may call is
 * mr_tcp_rcv_space(). `owner` is the socket that was given to mr_tcp_connect() or mr_tcp_listen(), or returned by
 * accept(). */
struct mr_tcp_upcalls {
	/* An active open is complete. */
	void (*connected)(void *owner);
	/* Does the listener's accept queue have room for one more connection? Asked before the TCB is made. */
	bool (*accept_room)(void *listener_owner);
	/* A passive open is complete. Returns the owner of the new connection; NULL: the connection is reset. */
	void *(*accept)(void *listener_owner, struct mr_tcb *tcb);
	/* Free frames are scarce: may this connection receive more data all the same? */
	bool (*room)(void *owner);
	/* In-order payload, one chunk: [pay, pay + pay_len), the first byte has sequence number seq. The callee takes
	 * over the reference. The payload fits into tcb->rcv_space, which TCP has reduced already. */
	void (*data)(void *owner, struct mr_frame *chunk);
	/* There may be more room to write: the send queue has become shorter, or mr_tcp_fill_size() has changed. Also
	 * called when our FIN is acknowledged, and, with opts.notsent_lowat, when fewer bytes are unsent. */
	void (*acked)(void *owner);
	/* The peer's FIN was received, and everything before it. */
	void (*fin)(void *owner);
	/* The urgent pointer has moved forward (tcb->rcv_up). */
	void (*urgent)(void *owner);
	/* The connection is over. The TCB can still be read during this call, and is freed after it. err 0: orderly
	 * (TIME-WAIT, or our FIN is acknowledged in LAST-ACK); else -ECONNRESET, -ETIMEDOUT, -ECONNREFUSED or
	 * -EHOSTUNREACH. */
	void (*gone)(void *owner, int err);
	/* For mr_tcp_salvage(): does this socket still refer to this TCB? */
	bool (*owns)(void *owner, const struct mr_tcb *tcb);
};

/* ---- The layer ------------------------------------------------------------------------------- */

/* A D-SACK block that waits for an ACK: each ACK can carry only one (RFC 2883 section 4). */
struct mr_tcp_dsack {
	struct mr_tcb *tcb;
	struct mr_sack_block block;
};
#define MR_TCP_DSACKS 32u /* of all connections together; more of them are not reported */

struct mr_tcp {
	struct mr_ip *ip;
	struct mr_frame_pool *frames;
	struct mr_counters *ctr;
	struct mr_wheel *wheel;
	struct mr_rng *rng;
	uint64_t flow_key[2]; /* of mr_flow_hash(), shared with the XDP program */
	uint64_t secret[2];   /* ISNs, timestamp offsets, ports */
	struct mr_pool tcbs, synreqs, tws, listeners, gap_pool, sendings;
	/* Tcb.sending of all that do not send: zeros, never written to. */
	struct mr_sending not_sending;
	struct mr_flow **buckets;
	uint32_t nbuckets; /* power of two */
	uint32_t port_counter;
	uint16_t port_first, port_last; /* ephemeral ports */
	struct mr_list ports
		[MR_TCP_PORT_BUCKETS]; /* struct mr_tcp_listener, by lport modulo their number */
	uint32_t *port_use;	       /* [MR_TCP_PORTS]: flows with this local port */
	struct mr_list pending;	       /* TCBs that have something to send: see mr_tcp_flush() */
	/* TCBs whose ACK is delayed until the next round: see mr_tcp_hold_ack(). */
	struct mr_list held;
	struct mr_list all;	   /* every TCB */
	struct mr_list connecting; /* TCBs whose active open is not complete */
	struct mr_list gaps;	   /* struct mr_gap */
	/* The flow that is being changed. If the process dies meanwhile, this connection is reset (tcp_salvage.c). */
	struct mr_flow *changing;
	/* After a change of the MTU: index of the next TCB of the pool to be updated; UINT32_MAX: none is left. */
	uint32_t mtu_cursor;
	struct mr_tcp_dsack dsacks[MR_TCP_DSACKS]; /* the oldest first */
	uint32_t ndsacks;
	uint32_t ooo_frames;  /* chunks in the reassembly queues of all connections */
	uint32_t sndq_frames; /* frames in the send queues of all connections */
	/* Challenge ACKs that may still be sent before challenge_refill_at. */
	uint32_t challenge_tokens;
	uint64_t challenge_refill_at; /* ns */
	uint32_t tfo_pending;	      /* TCBs in MR_TFO_PENDING */
	/* TCBs that the peer reset in MR_TFO_PENDING: in minute tfo_minute of the clock, and in the one before. */
	uint32_t tfo_resets[2];
	uint32_t tfo_minute;
	struct mr_tfo_keys tfo_keys; /* of listeners without keys of their own */
	struct mr_tfo_dst tfo_dsts[MR_TFO_SETS][MR_TFO_WAYS]; /* the client's cache of cookies */
	/* Upper bound of the window in a SYN or SYN,ACK; the socket layer sets it. */
	uint16_t rcv_wnd_first;
	uint8_t mtu_probing; /* enum mr_mtu_probing */
	uint8_t upcalls;     /* index for mr_tcp_upcalls_set() */
};

struct mr_tcp_cfg {
	/* This many TCBs, and as many each in TIME-WAIT and of listeners in SYN-RECEIVED. */
	uint32_t max_connections;
	uint32_t max_listeners;
	uint64_t flow_key[2]; /* of mr_flow_hash() */
	enum mr_mtu_probing mtu_probing;
	struct mr_tfo_keys tfo_keys; /* n 0: two are derived from the engine's secret */
};

/* Set one of this process's tables of upcalls, index 0..3. struct mr_tcp has only the index, because it is shared by
 * processes that have their code at different addresses. */
void mr_tcp_upcalls_set(unsigned index, const struct mr_tcp_upcalls *upcalls);

/* 0 or -ENOMEM. */
int mr_tcp_init(struct mr_tcp *tcp, struct mr_arena *arena, struct mr_ip *ip,
		struct mr_wheel *wheel, struct mr_rng *rng, struct mr_counters *ctr,
		unsigned upcalls, const struct mr_tcp_cfg *cfg);

/* Process one segment; f->data points to its TCP header. MR_DROP_NONE: the frame was taken over. Otherwise the caller
 * still owns the frame, and must count the reason and put the chain. */
enum mr_drop mr_tcp_input(struct mr_tcp *tcp, struct mr_frame *f, const struct mr_ip_rx *rx,
			  uint64_t now);

/* An ICMP error about a segment that we sent: it ends a connection in SYN-SENT. Ignored unless its sequence number is
 * in flight (RFC 5927). */
enum mr_drop mr_tcp_icmp(struct mr_tcp *tcp, const struct mr_icmp_err *err, uint64_t now);

/* MR_TIMER_TCB, _SYN or _TIMEWAIT expired. */
void mr_tcp_timer(struct mr_tcp *tcp, struct mr_timer *t, uint64_t now);

/* Called once per round. If hardly any frame is free, discards reassembly queues until more are (RFC 2018 section 8
 * allows that even for data that SACK has reported). After a change of the MTU, updates some more connections. */
void mr_tcp_relieve(struct mr_tcp *tcp);

/* Run output for every TCB on tcp.pending, as far as the transmit queue has room and frames are free. */
void mr_tcp_flush(struct mr_tcp *tcp, uint64_t now);
/* Is there more to do in the next round: output that found no room, or connections to update for a new MTU? */
static inline bool mr_tcp_owes(const struct mr_tcp *tcp)
{
	return !mr_list_empty(&tcp->pending) || tcp->mtu_cursor != UINT32_MAX;
}

/* ---- For the socket layer -------------------------------------------------------------------- */

void mr_tcp_opts_default(struct mr_tcp_opts *opts);

/* Bind: reserve a local port (not 0) on this local address (all zeros: all addresses). opts decides with which other
 * sockets the port may be shared (reuseaddr, reuseport, v6only). 0, -EADDRINUSE, or -ENOBUFS (max_listeners). */
int mr_tcp_hold(struct mr_tcp *tcp, const struct mr_addr *laddr, uint16_t lport,
		const struct mr_tcp_opts *opts, struct mr_tcp_listener **out);
void mr_tcp_release(struct mr_tcp *tcp, struct mr_tcp_listener *l);
/* Listen on a port that mr_tcp_hold() reserved. 0, or -EADDRINUSE: another socket listens that shares the port only
 * for binding (reuseaddr without reuseport). */
int mr_tcp_listen(struct mr_tcp *tcp, struct mr_tcp_listener *l, uint32_t backlog,
		  const struct mr_tcp_opts *opts, void *owner);
/* Set one or two keys, the current one first: len is MR_TFO_KEY_LEN or twice that. false: it is neither, and nothing
 * is changed. */
bool mr_tfo_keys_set(struct mr_tfo_keys *keys, const void *key, size_t len);
/* Stop listening. Connections in SYN-RECEIVED are dropped; completed ones go on. The port stays reserved. */
void mr_tcp_unlisten(struct mr_tcp *tcp, struct mr_tcp_listener *l);

/* Set the range of ephemeral ports, 0 < first <= last. */
void mr_tcp_ports_set(struct mr_tcp *tcp, uint16_t first, uint16_t last);
/* An ephemeral port that neither a socket nor a connection uses, to bind to; 0: there is none. */
uint16_t mr_tcp_port_pick(struct mr_tcp *tcp, const struct mr_addr *laddr);
/* An ephemeral port to connect to that peer from; 0: there is none. Preferably one that no connection uses, else one
 * whose connection to this peer does not exist or is in TIME-WAIT and may be taken over by mr_tcp_connect(). For
 * shared addresses, where the caller must still bind a kernel socket to the port. */
uint16_t mr_tcp_port_pick_to(struct mr_tcp *tcp, const struct mr_addr *laddr,
			     const struct mr_endpoint *peer, uint64_t now);

/* Begin an active open; the SYN is sent by the next output. local->addr all zeros: chosen by route; local->port 0:
 * chosen by RFC 6056 algorithm 3. 0 with *out set, -EADDRINUSE (this 4-tuple exists), -EADDRNOTAVAIL (no port or no
 * local address), -ENETUNREACH, or -ENOBUFS. */
int mr_tcp_connect(struct mr_tcp *tcp, const struct mr_endpoint *local,
		   const struct mr_endpoint *peer, const struct mr_tcp_opts *opts, void *owner,
		   uint64_t now, struct mr_tcb **out);

/* Copy len bytes to the end of the send queue. Returns the bytes copied: fewer if no frame is free. The caller makes
 * sure that len does not exceed the send buffer. flags: MR_SEND_MORE, MR_SEND_OOB. */
uint32_t mr_tcp_write(struct mr_tcp *tcp, struct mr_tcb *tcb, const void *buf, uint32_t len,
		      unsigned flags);
/* An empty frame for the application to fill: up to *room bytes at f->pay. NULL: no frame is free. */
struct mr_frame *mr_tcp_frame_get(struct mr_tcp *tcp, const struct mr_tcb *tcb, uint32_t *room);
/* Append such a frame, with pay_len set by the caller, to the send queue. Takes over the reference. */
void mr_tcp_frame_queue(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_frame *f, unsigned flags);

/* The free space of the receive buffer is now `free` bytes: the application has read, or the buffer's size has
 * changed. A window update is sent if the window has grown enough (RFC 9293 section 3.8.6.2.2). */
void mr_tcp_rcv_space(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t free);

/* No more data from the application: FIN after the send queue (RFC 9293 section 3.10.4). */
void mr_tcp_shutdown(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The application closes the connection: FIN after the send queue, and no upcalls from now on. The TCB is freed when
 * its state is CLOSED, which may be at once: the caller must not use it any more. */
void mr_tcp_close(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);
/* Send RST, in the states in which RFC 9293 section 3.10.5 does, and free the TCB. No upcall. */
void mr_tcp_abort(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);

/* tcb->opts was changed: start the keepalive timer, and send what the new options allow to be sent. */
void mr_tcp_opts_changed(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now);

/* The MTU of the interface has changed: every connection adapts its segments with its next output. */
void mr_tcp_mtu_changed(struct mr_tcp *tcp);

/* Payload bytes that each frame of the send queue should have, so that whole frames make a full segment. */
uint32_t mr_tcp_fill_size(const struct mr_tcp *tcp, const struct mr_tcb *tcb);

/* Send what is queued now, even if it is less than a full segment (when MR_OPT_NODELAY is set). */
void mr_tcp_push(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* Set whether the last write of the application did not fit into the send buffer. If so, data that a cork holds back
 * is sent: the application cannot write the rest of the segment. */
void mr_tcp_write_short(struct mr_tcp *tcp, struct mr_tcb *tcb, bool is);

/* The delivery rate in bytes per second, as in TCP_INFO: the last sample that was not limited by the application, or a
 * later one that was and is greater. */
static inline uint64_t mr_tcp_delivery_rate(const struct mr_tcb *tcb)
{
	return (uint64_t)tcb->sending->rate.told << 6;
}

/* The time that the sender has spent waiting for `what`, as in TCP_INFO, in us (exact to ms). MR_CHRONO_BUSY: all the
 * time that the send queue was not empty. */
uint64_t mr_tcp_chrono_us(const struct mr_tcb *tcb, enum mr_chrono what, uint64_t now);

/* Bytes in the send queue that were never sent. */
static inline uint32_t mr_tcp_unsent(const struct mr_tcb *tcb)
{
	return tcb->sndq.unsent ? seq_diff(tcb->write_seq, tcb->sndq.unsent->seq) : 0;
}

/* The least round-trip time of the last 10 to 20 s, ns; 0: no sample. */
uint64_t mr_tcp_min_rtt(const struct mr_tcb *tcb);

/* Chunks in this connection's reassembly queue. */
static inline uint32_t mr_tcp_ooo_frames(const struct mr_tcb *tcb)
{
	return tcb->gap ? tcb->gap->q.frames : 0;
}

/* Upper bound of the window that is offered to the peer, bytes. */
static inline uint32_t mr_tcp_rcv_limit(const struct mr_tcp_opts *opts)
{
	return opts->window_clamp && opts->window_clamp < opts->rcvbuf ? opts->window_clamp :
									 opts->rcvbuf;
}

/* The present pacing rate, bytes of payload per second; 0: sending is not paced. */
uint64_t mr_tcp_pacing_rate(const struct mr_tcb *tcb);

/* For a connection that was just accepted and has received its first data: delay the ACK, if it is all that is to be
 * sent, until the application has had the chance to answer, so that its answer carries the ACK. */
void mr_tcp_hold_ack(struct mr_tcp *tcp, struct mr_tcb *tcb);
/* The application has had that chance: the next output sends all ACKs that were delayed by mr_tcp_hold_ack(). */
void mr_tcp_unhold(struct mr_tcp *tcp);

/* Acknowledge what was received at once, and the next MR_TCP_QUICKACKS segments without delay (MR_OPT_QUICKACK). */
void mr_tcp_quickack(struct mr_tcp *tcp, struct mr_tcb *tcb);

/* ---- Repair after a process died in the middle of a change (tcp_salvage.c) ----------------------
 * Called in this order, between mr_frame_pool_salvage_begin() and _end(), when the timer wheel is empty and no route
 * is cached. The socket layer calls mr_tcp_salvage_whole() and mr_tcp_salvage_port() for each of its sockets. */
void mr_tcp_salvage_begin(struct mr_tcp *tcp);
/* Is this TCB in use, and complete enough to go on? */
bool mr_tcp_salvage_whole(const struct mr_tcp *tcp, const struct mr_tcb *tcb);
/* A socket is bound to this port, and perhaps listens. Ports that no socket reports are released. */
void mr_tcp_salvage_port(struct mr_tcp *tcp, struct mr_tcp_listener *l, bool listening);
/* Rebuild lists, flow table, counts and timers from what each object records about itself. */
void mr_tcp_salvage(struct mr_tcp *tcp);
/* When all other layers are repaired: reset the connection that was being changed (tcp.changing), and those without an
 * owner that were not closed. */
void mr_tcp_salvage_reset(struct mr_tcp *tcp, uint64_t now);

/* For tests, which call it after every step: assert the invariants of a TCB. */
void mr_tcb_check(const struct mr_tcp *tcp, const struct mr_tcb *tcb);
/* Assert only those of its send queue. */
void mr_tcb_check_sndq(const struct mr_tcp *tcp, const struct mr_tcb *tcb);
/* Assert those of every TCB, of the flow table, and of the counts. */
void mr_tcp_check(const struct mr_tcp *tcp);

#endif
