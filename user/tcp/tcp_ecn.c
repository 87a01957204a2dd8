// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_ecn.c - explicit congestion notification: negotiation of the feedback, classic feedback, and the sender's
 * response.
 * Owns        tcb->ecn and a request's ecn_*, except the counters (tcp_accecn.c).
 * Implements  RFC 9768 section 3.1 (tables 2 and 4, and all fallbacks), RFC 3168 section 6.1 (the receiver's echo,
 *             the sender's one reduction per window), RFC 8257 sections 3.1 and 3.2 (DCTCP).
 * Called by   input (marks and echoes that arrive), output (marks and echoes to send), tcp_listen.c.
 * Not here    how much cwnd is reduced (congestion control).
 *
 * A repeated SYN or SYN,ACK has no ECN flags, in case a middlebox drops those that have (RFC 3168 section 6.1.1.1).
 * RFC 9768 section 3.1.4 suggests one more try with AccECN before that, but leaves the choice; it would cost a
 * second. A repeated SYN,ACK first leaves out only the option.
 */
#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

/* AE, CWR and ECE as one number (RFC 9768 figure 3). */
#define ACE_NONE     0u
#define ACE_CLASSIC  1u /* ECE: a SYN,ACK that accepts RFC 3168 */
#define ACE_ASK_3168 3u
#define ACE_RESERVED 5u
#define ACE_ASK_9768 7u
#define ACE_CWR	     2u /* the bit at the position of CWR */

#define SYNACK_TRIES 1u /* so many repeated SYN,ACKs still accept AccECN */

uint8_t ecn_ace(const struct mr_seg *seg)
{
	return (uint8_t)((seg->ae ? 4 : 0) | (seg->flags & MR_TCP_CWR ? 2 : 0) |
			 (seg->flags & MR_TCP_ECE ? 1 : 0));
}

void ecn_set_ace(struct mr_seg *seg, uint8_t ace)
{
	seg->ae = ace & 4;
	seg->flags &= (uint8_t) ~(MR_TCP_CWR | MR_TCP_ECE);
	seg->flags |= (uint8_t)((ace & 2 ? MR_TCP_CWR : 0) | (ace & 1 ? MR_TCP_ECE : 0));
}

/* Tables 2 and 3: encoding of the ECN field with which a SYN or SYN,ACK arrived. */
static uint8_t handshake_ace(uint8_t ecn)
{
	static const uint8_t ace[] = {
		[ECN_NOT_ECT] = 2, [ECN_ECT1] = 3, [ECN_ECT0] = 4, [ECN_CE] = 6
	};

	return ace[ecn & ECN_MASK];
}

/* ---- What is asked for and granted ----------------------------------------------------------- */

static bool grants_accurate(uint8_t policy)
{
	return policy >= MR_ECN_ACCURATE;
}

static uint8_t asks_for(uint8_t policy)
{
	if (policy == MR_ECN_ACCURATE)
		return MR_ECN_MODE_ACCURATE;
	return policy == MR_ECN_CLASSIC || policy == MR_ECN_ACCURATE_ASK_CLASSIC ?
		       MR_ECN_MODE_CLASSIC :
		       MR_ECN_MODE_NONE;
}

/* Table 2 and section 3.1.3: the server. */
uint8_t ecn_requested(const struct mr_seg *syn, uint8_t policy)
{
	uint8_t ace = ecn_ace(syn);

	if (policy == MR_ECN_OFF || ace == ACE_NONE)
		return MR_ECN_MODE_NONE;
	if (!grants_accurate(policy)) /* RFC 3168 has only two flags */
		return (ace & ACE_ASK_3168) == ACE_ASK_3168 ? MR_ECN_MODE_CLASSIC :
							      MR_ECN_MODE_NONE;
	return ace == ACE_ASK_3168 ? MR_ECN_MODE_CLASSIC : MR_ECN_MODE_ACCURATE;
}

/* The client. *syn_ecn: the ECN field with which our SYN arrived, if that is reported. */
static uint8_t granted(const struct mr_tcb *tcb, const struct mr_seg *synack, uint8_t *syn_ecn)
{
	static const uint8_t field[] = {
		[2] = ECN_NOT_ECT, [3] = ECN_ECT1, [4] = ECN_ECT0, [5] = ECN_NOT_ECT, [6] = ECN_CE
	};
	uint8_t ace = ecn_ace(synack), asked = asks_for(tcb->opts.ecn);

	*syn_ecn = ECN_NOT_ECT;
	if (asked == MR_ECN_MODE_CLASSIC || ace == ACE_CLASSIC)
		/* RFC 3168 section 6.1.1: ECE without CWR, and all of our SYNs had ECN. */
		return asked != MR_ECN_MODE_NONE && (ace & ACE_ASK_3168) == ACE_CLASSIC &&
				       !tcb->retrans ?
			       MR_ECN_MODE_CLASSIC :
			       MR_ECN_MODE_NONE;
	if (asked != MR_ECN_MODE_ACCURATE || ace == ACE_NONE || ace == ACE_ASK_9768)
		return MR_ECN_MODE_NONE; /* not capable, or it mirrors our flags */
	*syn_ecn = field[ace];
	return MR_ECN_MODE_ACCURATE;
}

void ecn_offer(const struct mr_tcb *tcb, struct mr_seg *syn)
{
	uint8_t asked = asks_for(tcb->opts.ecn);

	if (!tcb->retrans && asked != MR_ECN_MODE_NONE)
		ecn_set_ace(syn, asked == MR_ECN_MODE_ACCURATE ? ACE_ASK_9768 : ACE_ASK_3168);
}

void ecn_synack(uint8_t mode, uint8_t syn_ecn, uint32_t retries, bool option, struct mr_seg *synack)
{
	if (mode == MR_ECN_MODE_CLASSIC && !retries)
		ecn_set_ace(synack, ACE_CLASSIC);
	if (mode != MR_ECN_MODE_ACCURATE || retries > SYNACK_TRIES)
		return;
	ecn_set_ace(synack, handshake_ace(syn_ecn));
	if (!retries && option) /* section 3.2.3.2.2: some middleboxes drop unknown options */
		accecn_synack_option(synack);
}

/* The same SYN again (sections 3.1.4.2 and 3.1.5). false: it asks for another kind of feedback than the first one,
 * and the two sides can never be certain which one applies. */
bool ecn_syn_again(struct mr_tcp_synreq *req, const struct mr_seg *syn, uint8_t tos)
{
	uint8_t ace = ecn_ace(syn);

	if (req->ecn_mode == MR_ECN_MODE_NONE || ace == ACE_NONE) {
		req->ecn_doubt |= ace == ACE_NONE;
		return true;
	}
	if ((req->ecn_mode == MR_ECN_MODE_CLASSIC) != (ace == ACE_ASK_3168))
		return !req->listener || !grants_accurate(req->listener->opts.ecn);
	req->ecn_syn = tos & ECN_MASK;
	req->ecn_no_option = true;
	return true;
}

/* A SYN cookie does not store the mode. The ACK shows it, because only with AccECN an ACK of a SYN,ACK has other
 * values than these (section 5.1). */
uint8_t ecn_of_cookie(const struct mr_seg *ack, uint8_t policy, bool classic)
{
	if (grants_accurate(policy) && ecn_ace(ack) > ACE_CLASSIC)
		return MR_ECN_MODE_ACCURATE;
	return classic ? MR_ECN_MODE_CLASSIC : MR_ECN_MODE_NONE;
}

static void begin(struct mr_tcb *tcb, uint8_t mode)
{
	tcb->ecn.mode = mode;
	tcb->ecn.round_end = tcb->snd_nxt;
	if (mode == MR_ECN_MODE_ACCURATE)
		accecn_begin(&tcb->ecn);
}

void ecn_server(struct mr_tcb *tcb, const struct mr_tcp_synreq *req, const struct mr_seg *ack)
{
	struct mr_ecn *e = &tcb->ecn;
	uint8_t ace = ecn_ace(ack);

	begin(tcb, req->ecn_mode);
	/* A SYN or SYN,ACK was sent without ECN: it is unknown whether the client has it (RFC 9768 section 3.1.5, RFC
	 * 3168 section 6.1.1). */
	e->no_ect =
		req->ecn_doubt ||
		(e->mode == MR_ECN_MODE_ACCURATE ? req->retries > SYNACK_TRIES : req->retries != 0);
	if (e->mode != MR_ECN_MODE_ACCURATE)
		return;
	accecn_option_first(e, ack);
	if (ack->len || ack->opts & MR_TCPOPT_SACK)
		return; /* then it has no handshake encoding, but the counter */
	e->ace_seen = true;
	e->hs_done = true;     /* this ACK has no counter */
	if (ace == ACE_NONE) { /* table 4, note 1 */
		e->no_ect = true;
		e->deaf = true;
	} else if (ace == handshake_ace(ECN_CE)) {
		e->s_cep++;
		e->syn_marked = true;
	}
	/* Our SYN,ACK was not ECT: if it arrived otherwise, it was changed on the path (section 3.2.2.3). */
	e->no_ect |= ace == handshake_ace(ECN_ECT0) || ace == handshake_ace(ECN_ECT1) ||
		     ace == handshake_ace(ECN_CE);
}

void ecn_client(struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t tos)
{
	struct mr_ecn *e = &tcb->ecn;
	uint8_t syn_ecn;

	if (!(seg->flags & MR_TCP_ACK)) { /* a simultaneous open: as a server */
		begin(tcb, ecn_requested(seg, tcb->opts.ecn));
		e->peer_syn_ecn = tos & ECN_MASK;
		return;
	}
	begin(tcb, granted(tcb, seg, &syn_ecn));
	if (e->mode != MR_ECN_MODE_ACCURATE)
		return;
	e->no_ect = syn_ecn != ECN_NOT_ECT; /* section 3.2.2.3 */
	e->syn_marked = syn_ecn == ECN_CE;
	accecn_option_first(e, seg);
	e->first_ack = e->first_data = true; /* section 3.2.3.2.1 */
	ecn_synack_seen(tcb, tos);
}

/* A SYN,ACK that accepts AccECN, the first one or a repeated one: the pure ACK that follows reports how it arrived. */
void ecn_synack_seen(struct mr_tcb *tcb, uint8_t tos)
{
	struct mr_ecn *e = &tcb->ecn;

	if (e->mode != MR_ECN_MODE_ACCURATE)
		return;
	e->peer_syn_ecn = tos & ECN_MASK;
	e->hs_owed = true;
	if (e->peer_syn_ecn == ECN_CE && e->r_cep == ACCECN_CEP_INIT) /* only once */
		e->r_cep++;
}

uint8_t ecn_peer_syn(const struct mr_tcb *tcb)
{
	return handshake_ace(tcb->ecn.peer_syn_ecn);
}

/* ---- While data flows ------------------------------------------------------------------------ */

static bool dctcp(const struct mr_tcb *tcb)
{
	return mr_cong(tcb->opts.congestion)->dctcp;
}

/* RFC 8257 section 3.2: the CE mark changes with this segment. Data before it is acknowledged separately, with the
 * former value. */
static void echo_changes(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	struct mr_ecn *e = &tcb->ecn;

	if (tcb->unacked_bytes && e->nacks < MR_TCP_ECN_ACKS)
		e->acks[e->nacks++] = (struct mr_ecn_ack){ .ack = tcb->rcv_nxt, .ece = e->echo };
	tcb->unacked_bytes = 0;
	tcb->unacked_segs = 0;
	e->echo = !e->echo;
	tcb_mark(tcp, tcb);
}

void ecn_received(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t tos)
{
	struct mr_ecn *e = &tcb->ecn;

	if (e->mode == MR_ECN_MODE_NONE)
		return;
	if (e->mode == MR_ECN_MODE_ACCURATE) {
		accecn_received(tcp, tcb, seg, tos & ECN_MASK);
		return;
	}
	if (dctcp(tcb)) {
		bool ce = (tos & ECN_MASK) == ECN_CE;

		MR_COUNT_N(tcp->ctr, TCP_ECN_CE_IN, ce && seg->len);
		if (seg->len && ce != e->echo)
			echo_changes(tcp, tcb);
		return;
	}
	if (seg->flags & MR_TCP_CWR) /* the sender has reduced its window (section 6.1.3) */
		e->echo = false;
	if ((tos & ECN_MASK) == ECN_CE && seg->len) {
		MR_COUNT(tcp->ctr, TCP_ECN_CE_IN);
		if (!e->echo) {
			e->echo = true;
			tcb->ack_now = true; /* let the sender know as soon as possible */
			tcb_mark(tcp, tcb);
		}
	}
}

/* Once per window (RFC 3168 section 6.1.2), and not after a loss in the same window. */
static void slow_down(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	const struct mr_cong_ops *control = mr_cong(tcb->opts.congestion);
	uint32_t flight = seq_diff(tcb->snd_nxt, tcb->snd_una);

	if (tcb->loss != MR_LOSS_OPEN || seq_lt(tcb->snd_una, tcb->ecn.reduced_at) || !flight ||
	    !tcb_sends(tcb))
		return;
	MR_COUNT(tcp->ctr, TCP_ECN_REDUCED);
	tcb->ssthresh = (control->marked ?: control->ssthresh)(tcb, tcb_in_flight(tcb), now);
	tcb->cwnd = mr_min(tcb->cwnd, tcb->ssthresh);
	tcb->ecn.reduced_at = tcb->snd_nxt;
	tcb->ecn.cwr_owed = tcb->ecn.mode == MR_ECN_MODE_CLASSIC;
}

void ecn_echoed(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg,
		const struct ack *ack)
{
	const struct mr_cong_ops *control = mr_cong(tcb->opts.congestion);
	bool marked = tcb->ecn.mode == MR_ECN_MODE_CLASSIC && seg->flags & MR_TCP_ECE;
	uint32_t before = tcb->ecn.delivered_ce, ce = marked ? ack->acked : 0;

	if (tcb->ecn.mode == MR_ECN_MODE_ACCURATE) {
		marked = accecn_echoed(tcp, tcb, seg, ack);
		ce = mr_min(tcb->ecn.delivered_ce - before, ack->acked);
	}
	if (tcb->ecn.mode != MR_ECN_MODE_NONE && control->ecn && tcb_sends(tcb)) {
		if (ce || marked)
			control->ecn(tcb, ce, true);
		if (!marked || ce < ack->acked)
			control->ecn(tcb, ack->acked - ce, false);
	}
	if (marked)
		slow_down(tcp, tcb, ack->now);
}

void ecn_fill(struct mr_tcb *tcb, struct mr_seg *seg, bool pure, bool new_data)
{
	struct mr_ecn *e = &tcb->ecn;

	if (e->mode == MR_ECN_MODE_ACCURATE) {
		accecn_fill(tcb, seg, pure);
		return;
	}
	if (e->mode == MR_ECN_MODE_CLASSIC && e->echo)
		seg->flags |= MR_TCP_ECE;
	if (new_data && e->cwr_owed) { /* section 6.1.2: with the first new data */
		e->cwr_owed = false;
		seg->flags |= MR_TCP_CWR;
	}
}

/* ECT only for new data: not for pure ACKs (RFC 3168 section 6.1.4) and retransmissions (6.1.5). With DCTCP for every
 * packet, as in Linux: switches that mark ECT packets drop others first (RFC 8257 section 3.6, section 4.1). */
uint8_t ecn_tos(const struct mr_tcb *tcb, bool new_data)
{
	uint8_t tos = tcb->opts.tos & (uint8_t)~ECN_MASK;

	return tcb->ecn.mode != MR_ECN_MODE_NONE && !tcb->ecn.no_ect &&
			       (new_data || (dctcp(tcb) && tcb_synchronized(tcb))) ?
		       tos | ECN_ECT0 :
		       tos;
}

/* With SKB_GSO_TCP_ACCECN, Linux's tcp_gso_segment() keeps CWR in all segments of a packet. A virtio_net_hdr has no
 * such flag, and VIRTIO_NET_HDR_GSO_ECN is for RFC 3168 (as of Linux 6.18). */
bool ecn_counts_with_cwr(const struct mr_tcb *tcb)
{
	return tcb->ecn.mode == MR_ECN_MODE_ACCURATE && tcb->ecn.r_cep & ACE_CWR;
}
