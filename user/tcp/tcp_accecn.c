// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_accecn.c - accurate ECN feedback: counters of marks, in the header's ACE field and in an option.
 * Owns        the counters of tcb->ecn: r_* is what we have received, s_* what the peer reports that it has received.
 * Implements  RFC 9768 section 3.2; appendix A.2 (has the ACE field wrapped?).
 * Called by   tcp_ecn.c, when AccECN is negotiated; output, for the option.
 * Not here    the encodings in the handshake, the response to a mark (tcp_ecn.c).
 */
#include "base/compiler.h"
#include "tcp/tcp_priv.h"

#define ACE_MASK   7u
#define INIT_BYTES 1u /* section 3.2.1: not 0, to detect a field that was zeroed on the path */
/* Section 3.2.2.5.1: so many marks are reported at once, while data waits for its ACK. */
#define CE_PER_ACK	2u
#define CE_PER_ACK_IDLE 3u
/* After so many duplicates in a row, our ACKs with an option seem to get lost. */
#define UNANSWERED_MAX 2u
/* So many ACKs with an option that seem to have arrived outweigh those that did not. */
#define ANSWERED_ROW   32u
#define ALL_MARKED_MAX 4u /* section 3.2.2.3: so many RTTs with only marks are no congestion */
#define OPTION_BITS    (MR_TCPOPT_ACCECN0 | MR_TCPOPT_ACCECN1)

/* Indexes of the byte counters, in the order of the option's first kind. */
enum { E0B, CEB, E1B };

void accecn_begin(struct mr_ecn *e)
{
	e->r_cep = e->s_cep = ACCECN_CEP_INIT;
	e->r_bytes[E0B] = e->r_bytes[E1B] = INIT_BYTES;
}

void accecn_synack_option(struct mr_seg *seg)
{
	uint32_t room = MR_TCP_HLEN_MAX - mr_tcp_header_len(seg);

	if (room < 4) /* the padded length of an empty option */
		return;
	seg->opts |= MR_TCPOPT_ACCECN0;
	seg->naccecn = (uint8_t)mr_min((room - 2) / 3, MR_TCP_ACCECN_FIELDS);
	seg->accecn[E0B] = INIT_BYTES;
	seg->accecn[CEB] = 0;
	seg->accecn[E1B] = INIT_BYTES;
}

/* The index of the counter in field i of the option. */
static unsigned counter_of(const struct mr_seg *seg, unsigned i)
{
	return seg->opts & MR_TCPOPT_ACCECN0 ? i : E1B - i;
}

/* Sections 3.2.3.2.3 and 3.2.3.2.4: does the option arrive, and unchanged? */
void accecn_option_first(struct mr_ecn *e, const struct mr_seg *seg)
{
	e->opt_in = (seg->opts & OPTION_BITS) != 0;
	for (unsigned i = 0; e->opt_in && i < seg->naccecn; i++)
		if (counter_of(seg, i) != CEB && !seg->accecn[i])
			e->opt_zeroed = true;
}

/* ---- Received -------------------------------------------------------------------------------- */

static void count_bytes(struct mr_ecn *e, unsigned which, uint32_t n)
{
	e->r_bytes[which] += n;
	e->changed = (e->changed | 1u << which) & 7;
	e->ever_changed = (e->ever_changed | 1u << which) & 7;
}

void accecn_received(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg, uint8_t ecn)
{
	struct mr_ecn *e = &tcb->ecn;
	bool begins = ecn == ECN_CE && !e->last_ce && seg->len;

	e->last_ce = ecn == ECN_CE;
	if (ecn == ECN_CE) {
		MR_COUNT(tcp->ctr, TCP_ECN_CE_IN);
		e->r_cep++;
		e->ce_untold++;
	}
	if (seg->len && ecn != ECN_NOT_ECT)
		count_bytes(e, ecn == ECN_CE ? CEB : ecn == ECN_ECT0 ? E0B : E1B, seg->len);
	if (begins ||
	    e->ce_untold >= (tcb->unacked_bytes || seg->len ? CE_PER_ACK : CE_PER_ACK_IDLE)) {
		tcb->ack_now = true;
		tcb_mark(tcp, tcb);
	}
}

/* Section 3.2.3.2.2: are packets with the option dropped? Then data that we have acknowledged arrives again and
 * again, or a segment with the option is not acknowledged. */
void accecn_duplicate(struct mr_tcb *tcb)
{
	struct mr_ecn *e = &tcb->ecn;

	if (!e->opt_last)
		return;
	e->answered = 0;
	if (++e->unanswered >= UNANSWERED_MAX)
		e->opt_off = true;
}

/* New data is weak evidence that an ACK has arrived, because a peer without ACKs may send some, too: several in a row
 * are needed. */
void accecn_answered(struct mr_tcb *tcb)
{
	struct mr_ecn *e = &tcb->ecn;

	if (++e->answered < ANSWERED_ROW)
		return;
	e->answered = 0;
	e->unanswered = 0;
}

void accecn_timeout(struct mr_tcb *tcb)
{
	struct mr_ecn *e = &tcb->ecn;

	e->opt_off |= e->opt_data;
	e->opt_data = false;
}

/* ---- Told ------------------------------------------------------------------------------------ */

void accecn_fill(struct mr_tcb *tcb, struct mr_seg *seg, bool pure)
{
	struct mr_ecn *e = &tcb->ecn;

	if (e->hs_owed && pure && !(seg->opts & MR_TCPOPT_SACK)) {
		e->hs_owed = false;
		ecn_set_ace(seg, ecn_peer_syn(tcb));
	} else {
		ecn_set_ace(seg, e->r_cep & ACE_MASK);
	}
	e->hs_owed &= pure; /* behind data, the field is read as the counter */
	e->ce_untold = 0;
}

uint8_t accecn_told(const struct mr_tcb *tcb)
{
	return tcb->ecn.mode == MR_ECN_MODE_ACCURATE ? tcb->ecn.r_cep & ACE_MASK : 0;
}

/* How many fields are needed for these counters. */
static uint8_t nfields(uint8_t counters, bool order1)
{
	uint8_t n = 0;

	for (unsigned i = 0; i < MR_TCP_ACCECN_FIELDS; i++)
		if (counters & 1u << (order1 ? E1B - i : i))
			n = (uint8_t)(i + 1);
	return n;
}

static uint32_t option_len(uint8_t n)
{
	return (2u + 3u * n + 3) / 4 * 4;
}

void accecn_option(struct mr_tcb *tcb, struct mr_seg *seg, uint32_t room, bool pure)
{
	struct mr_ecn *e = &tcb->ecn;
	bool order1 = e->ever_changed & 1u << E1B && !(e->ever_changed & 1u << E0B);
	bool first = pure ? e->first_ack : e->first_data;
	uint8_t n, least;

	e->opt_last = false;
	if (e->mode != MR_ECN_MODE_ACCURATE || e->opt_off || (!e->changed && !first))
		return;
	n = first ? (uint8_t)MR_TCP_ACCECN_FIELDS : nfields(e->ever_changed, order1);
	least = nfields(e->changed, order1);
	while (n > least && option_len(n) > room)
		n--;
	if (option_len(n) > room)
		return;
	seg->opts |= order1 ? MR_TCPOPT_ACCECN1 : MR_TCPOPT_ACCECN0;
	seg->naccecn = n;
	for (unsigned i = 0; i < n; i++)
		seg->accecn[i] = e->r_bytes[order1 ? E1B - i : i] & MR_TCP_ACCECN_MASK;
	e->changed = 0;
	e->opt_last = true;
	e->first_ack &= !pure;
	e->first_data &= pure;
}

/* Section 3.2.3.3: an option of at least two fields is preferred to a third SACK block. */
void accecn_ack_option(struct mr_tcb *tcb, struct mr_seg *seg)
{
	const uint32_t wanted = option_len(2);
	uint8_t nsack = seg->nsack;

	if (tcb->ecn.mode != MR_ECN_MODE_ACCURATE)
		return;
	while (tcb->ecn.changed && seg->nsack > 2 &&
	       MR_TCP_HLEN_MAX - mr_tcp_header_len(seg) < wanted)
		seg->nsack--;
	accecn_option(tcb, seg, MR_TCP_HLEN_MAX - mr_tcp_header_len(seg), true);
	if (!tcb->ecn.opt_last)
		seg->nsack = nsack;
}

/* ---- Heard ----------------------------------------------------------------------------------- */

/* Bytes that newly arrived with CE, according to the option; false: there is no valid option. */
static bool read_option(struct mr_ecn *e, const struct mr_seg *seg, uint32_t *ce_bytes)
{
	*ce_bytes = 0;
	if (!(seg->opts & OPTION_BITS) || e->opt_zeroed)
		return false;
	e->opt_in = true;
	if (seg->naccecn > CEB) { /* the middle field in both orders */
		*ce_bytes = (seg->accecn[CEB] - e->s_ceb) & MR_TCP_ACCECN_MASK;
		e->s_ceb += *ce_bytes;
	}
	return true;
}

/* Appendix A.2: how many packets were newly marked, given a counter of three bits. pkts: the most that this ACK may
 * stand for. */
static uint32_t newly_marked(const struct mr_tcb *tcb, uint32_t pkts, uint8_t ace, bool opt,
			     uint32_t ce_bytes)
{
	uint32_t delta = (ace - tcb->ecn.s_cep) & ACE_MASK, safe;

	if (pkts <= ACE_MASK)
		return delta;
	safe = pkts - ((pkts - delta) & ACE_MASK); /* the largest possible number */
	if (!opt)
		return safe;
	if (!ce_bytes || (uint64_t)safe * tcb->snd_mss / 2 > ce_bytes)
		return delta;
	return ce_bytes > delta * tcb->snd_mss ? safe : delta;
}

/* Section 3.2.2.3: the marks of a path that marks everything from the begin mean nothing. */
static void watch_marks(struct mr_tcb *tcb, uint32_t pkts, uint32_t marked)
{
	struct mr_ecn *e = &tcb->ecn;

	if (e->all_marked >= ALL_MARKED_MAX || !pkts)
		return;
	if (marked < pkts) {
		/* Some packets were not marked: do not check again. */
		e->all_marked = ALL_MARKED_MAX;
		return;
	}
	if (seq_lt(tcb->snd_una, e->round_end))
		return;
	e->round_end = tcb->snd_nxt;
	if (++e->all_marked < ALL_MARKED_MAX)
		return;
	e->no_ect = true;
	e->deaf = true;
}

bool accecn_echoed(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *seg,
		   const struct ack *ack)
{
	struct mr_ecn *e = &tcb->ecn;
	uint32_t pkts, delta, ce_bytes;
	uint8_t ace = ecn_ace(seg);
	bool opt;

	if (e->hs_done) { /* the ACK of our SYN,ACK was processed already */
		e->hs_done = false;
		return false;
	}
	/* Appendix A.1: an ACK without news may be an old one. */
	if ((!ack->acked && !ack->delivered) || seq_lt(seg->ack, tcb->snd_una))
		return false;
	if (!e->ace_seen && ace == 0) { /* section 3.2.2.4 */
		e->no_ect = true;
		e->deaf = true;
	}
	e->ace_seen = true;
	opt = read_option(e, seg, &ce_bytes);
	pkts = (ack->delivered + tcb->snd_mss - 1) / tcb->snd_mss;
	delta = newly_marked(tcb, pkts, ace, opt, ce_bytes);
	e->s_cep = (uint8_t)(e->s_cep + delta);
	if (opt && ce_bytes && !delta && pkts <= ACE_MASK) /* section 3.2.3.2.5 */
		e->no_ect = true;
	if (!opt)
		ce_bytes = mr_min(delta * tcb->snd_mss, ack->delivered);
	watch_marks(tcb, pkts, delta);
	if (e->deaf)
		return false;
	MR_COUNT_N(tcp->ctr, TCP_ECN_CE_ECHOED, delta);
	e->delivered_ce += ce_bytes;
	return delta != 0;
}
