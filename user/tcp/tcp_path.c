// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_path.c - the length of segments: MSS, path MTU discovery by ICMP, and packetization layer path MTU discovery.
 * Owns        snd_mss, tcb->mtup.
 * Implements  RFC 9293 section 3.7.1 and RFC 6691 (MSS); RFC 5927 sections 4.1 and 7 (which ICMP errors to believe);
 *             RFC 1191 and RFC 8201 (path MTU discovery); RFC 4821 and RFC 8899 section 5 (black holes, search for
 *             the MTU); RFC 5461 (ICMP ends a connection that is being opened, and no other).
 * Called by   input, the timers, output.
 * Not here    the MTU that is stored for other connections (ip/pmtu.c).
 *
 * The search resembles Linux's tcp_mtu_probing 1. It begins when long segments time out several times in a row and no
 * ICMP error says why, with segments that certainly fit, and then tries longer ones while data flows. A probe is a
 * segment of new data; if it alone is lost, that is no sign of congestion.
 * Differences: the first probe has the full length, because most suspicions are wrong; a length is given up only after
 * PROBES_MAX losses (RFC 8899 MAX_PROBES), because most losses have other causes; and the result of a search is
 * stored for new connections to the same destination.
 */
#include <errno.h>

#include "base/compiler.h"
#include "tcp/tcp_priv.h"

/* Linux tcp_retries1: after so many timeouts in a row the length is suspected. */
#define SUSPECT_TIMEOUTS 3u
#define BASE_MSS	 1024u /* Linux tcp_base_mss: the MSS at the begin of a search, for IPv4 */
/* The smallest plateau of RFC 1191 section 7.1 that is still in use. */
#define LEAST_MTU4    296u
#define PROBES_MAX    3u   /* RFC 8899 section 5.1.2 */
#define PROBE_NEAR    8u   /* Linux tcp_probe_threshold: a search ends when it is so close */
#define PROBE_AGAIN_S 600u /* Linux tcp_probe_interval, RFC 8899 PMTU_RAISE_TIMER */
#define PROBE_CWND    11u  /* segments; with fewer, a lost probe could be congestion (Linux) */
/* Segments behind a probe, whose ACKs show that it is lost. */
#define BEHIND (MR_TCP_DUPTHRESH + 1)

/* ---- MSS -------------------------------------------------------------------------------------- */

static uint32_t ip_hlen(const struct mr_addr *raddr)
{
	return mr_addr_is_v4(raddr) ? MR_IPV4_HLEN : MR_IPV6_HLEN;
}

/* Bytes of a full packet that are not payload. */
static uint32_t overhead(const struct mr_tcb *tcb)
{
	return ip_hlen(&tcb->flow.raddr) + MR_TCP_HLEN + (tcb->ts_ok ? MR_TCP_TS_LEN : 0);
}

uint16_t tcp_path_mss(const struct mr_dst *dst, const struct mr_addr *raddr, uint16_t maxseg)
{
	uint32_t headers = ip_hlen(raddr) + MR_TCP_HLEN;
	uint32_t mss = dst->mtu > headers + MR_TCP_MSS_MIN ? dst->mtu - headers : MR_TCP_MSS_MIN;

	mss = mr_min(mss, (uint32_t)UINT16_MAX);
	return (uint16_t)(maxseg ? mr_min(mss, (uint32_t)maxseg) : mss);
}

uint16_t tcp_peer_mss(const struct mr_seg *syn, const struct mr_addr *raddr)
{
	if (syn->opts & MR_TCPOPT_MSS && syn->mss) /* as Linux, 0 is ignored */
		return syn->mss;
	return mr_addr_is_v4(raddr) ? MR_TCP_MSS_DEFAULT : MR_TCP_MSS_DEFAULT6;
}

/* The largest payload that peer, route and device permit. */
static uint32_t longest(const struct mr_tcp *tcp, const struct mr_tcb *tcb)
{
	uint32_t chunk_room = tcp->frames->chunk_size - MR_FRAME_HEADROOM;
	uint32_t mss = mr_max((uint32_t)tcb->peer_mss, MR_TCP_MSS_MIN);

	mss = mr_min(mss, (uint32_t)tcp_path_mss(&tcb->dst, &tcb->flow.raddr, tcb->opts.maxseg));
	mss -= tcb->ts_ok ? MR_TCP_TS_LEN : 0;
	return mr_min(mss, chunk_room * tcp->ip->nif->max_chunks);
}

void tcb_set_snd_mss(struct mr_tcp *tcp, struct mr_tcb *tcb, uint16_t peer_mss)
{
	uint16_t before = tcb->snd_mss;
	uint32_t mss;

	tcb->peer_mss = peer_mss;
	mss = longest(tcp, tcb);
	if (tcb->mtup.on)
		mss = mr_min(mss, tcb->mtup.low - overhead(tcb));
	tcb->snd_mss = (uint16_t)mss;
	if (tcb->snd_mss != before && tcb->owner) /* the limits of the send buffer change with it */
		tcp_up(tcp)->acked(tcb->owner);
}

void tcb_path_changed(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	uint16_t before = tcb->snd_mss;

	tcb_set_snd_mss(tcp, tcb, tcb->peer_mss);
	if (tcb->mtup.on) /* a search continues below the new MTU */
		tcb->mtup.high = (uint16_t)mr_min((uint32_t)tcb->mtup.high,
						  longest(tcp, tcb) + overhead(tcb));
	/* Frames do not say which of them were sent as one segment: mark all of them lost. That is no sign of
	 * congestion, so cwnd stays (RFC 1191 section 6.4, RFC 8201 section 5.4). */
	for (struct mr_frame *f = tcb->sndq.head;
	     tcb->snd_mss < before && f && f != tcb->sndq.unsent; f = f->next)
		sndq_mark_lost(tcb, f);
}

/* ---- ICMP errors -------------------------------------------------------------------------------- */

/* Fragmentation needed (IPv4), or packet too big (IPv6). */
static void too_big(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_icmp_err *err,
		    uint64_t now)
{
	uint32_t mtu = err->mtu ? err->mtu : mr_pmtu_guess(tcb->dst.mtu);

	MR_COUNT(tcp->ctr, TCP_PMTU_ICMP);
	if (mtu < tcb->dst.mtu)
		mr_pmtu_learn(tcp->ip, &tcb->flow.raddr, mtu, now);
	tcb_mark(tcp, tcb); /* output resolves the destination again, and gets the new MTU */
}

enum mr_drop mr_tcp_icmp(struct mr_tcp *tcp, const struct mr_icmp_err *err, uint64_t now)
{
	uint32_t hash = flow_hash(tcp, &err->src, err->sport, &err->dst, err->dport);
	struct mr_flow *flow = flow_lookup(tcp, hash, &err->src, err->sport, &err->dst, err->dport);
	struct mr_tcb *tcb = (struct mr_tcb *)flow;

	tcp->changing = flow;
	/* RFC 5927 section 4.1: only a host that sees our segments knows a sequence number in flight. */
	if (!flow || flow->kind != MR_FLOW_TCB || seq_lt(err->seq, tcb->snd_una) ||
	    !seq_lt(err->seq, tcb->snd_nxt))
		return MR_DROP_ICMP_NO_FLOW;
	if (err->err == -EMSGSIZE) {
		too_big(tcp, tcb, err, now);
		return MR_DROP_NONE;
	}
	/* As Linux, any error does, also a soft one (RFC 5461 section 4): a firewall that rejects says so by those. */
	if (tcb->state == MR_TCP_SYN_SENT) {
		MR_COUNT(tcp->ctr, TCP_ATTEMPT_FAILS);
		tcb_end(tcp, tcb, err->err);
		return MR_DROP_NONE;
	}
	tcb->soft_err = err->err; /* RFC 5461: ICMP does not end an established connection */
	return MR_DROP_NONE;
}

/* ---- Packetization layer path MTU discovery ---------------------------------------------------- */

static void search_begin(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t low)
{
	struct mr_mtup *p = &tcb->mtup;
	uint32_t most = longest(tcp, tcb) + overhead(tcb);

	*p = (struct mr_mtup){ .on = true };
	p->high = (uint16_t)mr_min(most, (uint32_t)UINT16_MAX);
	p->low = (uint16_t)mr_min(low, (uint32_t)p->high);
}

/* Packet length at the begin of a search: what IPv4 paths usually carry, or IPv6 paths must. */
static uint32_t base_mtu(const struct mr_tcb *tcb)
{
	return mr_addr_is_v4(&tcb->flow.raddr) ? BASE_MSS + overhead(tcb) : MR_IPV6_MTU_MIN;
}

static uint32_t least_mtu(const struct mr_tcb *tcb)
{
	return mr_addr_is_v4(&tcb->flow.raddr) ? LEAST_MTU4 : MR_IPV6_MTU_MIN;
}

void mtup_established(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	if (tcp->mtu_probing == MR_MTU_PROBING_ALWAYS) {
		search_begin(tcp, tcb, base_mtu(tcb));
		tcb_set_snd_mss(tcp, tcb, tcb->peer_mss);
	}
}

/* RFC 4821 section 7.7: nothing in flight arrives, and no ICMP error says why. Begin a search. */
void mtup_timeout(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	struct mr_mtup *p = &tcb->mtup;
	uint32_t out = mr_min(seq_diff(tcb->snd_nxt, tcb->snd_una), (uint32_t)tcb->snd_mss);
	uint32_t least = least_mtu(tcb), low;

	p->size = 0; /* a probe in flight no longer counts */
	if (!tcp->mtu_probing || tcb->backoff < SUSPECT_TIMEOUTS)
		return;
	low = p->on ? mr_min(base_mtu(tcb), (uint32_t)p->low / 2) : base_mtu(tcb);
	while (low > least && low >= out + overhead(tcb))
		low /= 2;
	low = mr_max(low, least);
	if (out + overhead(tcb) <= low) /* it is short: the length is not the cause */
		return;
	MR_COUNT(tcp->ctr, TCP_MTU_SUSPECTED);
	search_begin(tcp, tcb, low);
	loss_frto_give_up(tcb); /* if the suspicion is right, longer segments have not arrived */
	tcb_path_changed(tcp, tcb);
}

/* The search has ended: store the result for other connections. */
static void search_done(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_mtup *p = &tcb->mtup;

	p->again_s = (uint32_t)(now / MR_NS_PER_S) + PROBE_AGAIN_S;
	if (p->low + PROBE_NEAR < tcb->dst.mtu && p->refused)
		mr_pmtu_learn(tcp->ip, &tcb->flow.raddr, p->low, now);
}

/* Packet length of the next probe; 0: none is needed. */
static uint32_t next_size(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	struct mr_mtup *p = &tcb->mtup;

	if (p->again_s) {
		if (now / MR_NS_PER_S < p->again_s)
			return 0;
		search_begin(tcp, tcb,
			     p->low); /* RFC 8899 section 5.3.3: the path may carry more by now */
	}
	if (p->high < p->low + PROBE_NEAR) {
		search_done(tcp, tcb, now);
		return 0;
	}
	return p->refused ? ((uint32_t)p->low + p->high + 1) / 2 : p->high;
}

uint32_t mtup_wants(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	uint32_t size;

	if (mr_likely(!tcb->mtup.on) || tcb->mtup.size || tcb->loss != MR_LOSS_OPEN ||
	    tcb->sacked_bytes || tcb->lost_bytes || tcb->dup_bytes ||
	    tcb->cwnd < PROBE_CWND * tcb->snd_mss)
		return 0;
	size = next_size(tcp, tcb, now);
	return size ? size - overhead(tcb) : 0;
}

uint32_t mtup_follow(const struct mr_tcb *tcb)
{
	return BEHIND * tcb->snd_mss;
}

void mtup_sent(struct mr_tcp *tcp, struct mr_tcb *tcb, uint32_t len)
{
	MR_COUNT(tcp->ctr, TCP_MTU_PROBES);
	tcb->mtup.size = (uint16_t)(len + overhead(tcb));
	tcb->mtup.end = tcb->snd_nxt;
}

static uint32_t probe_start(const struct mr_tcb *tcb)
{
	return tcb->mtup.end - (tcb->mtup.size - overhead(tcb));
}

void mtup_acked(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	struct mr_mtup *p = &tcb->mtup;

	if (mr_likely(!p->size) || seq_lt(tcb->snd_una, p->end))
		return;
	MR_COUNT(tcp->ctr, TCP_MTU_PROBES_OK);
	p->low = p->size;
	p->size = 0;
	p->losses = 0;
	tcb_set_snd_mss(tcp, tcb, tcb->peer_mss);
}

void mtup_retransmitted(struct mr_tcb *tcb, uint32_t seq)
{
	if (tcb->mtup.size && seq_geq(seq, probe_start(tcb)) && seq_lt(seq, tcb->mtup.end))
		tcb->mtup.size = 0;
}

bool mtup_lost(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	struct mr_mtup *p = &tcb->mtup;
	uint32_t len;

	if (mr_likely(!p->size))
		return false;
	len = p->size - overhead(tcb);
	if (tcb->snd_una != probe_start(tcb) || tcb->lost_bytes > len) {
		p->size = 0;
		return false;
	}
	for (struct mr_frame *f = tcb->sndq.head;
	     f && f != tcb->sndq.unsent && seq_lt(f->seq, p->end); f = f->next)
		sndq_mark_lost(tcb, f);
	MR_COUNT(tcp->ctr, TCP_MTU_PROBES_LOST);
	if (++p->losses >= PROBES_MAX) {
		p->high = (uint16_t)(p->size - 1);
		p->losses = 0;
		p->refused = true;
	}
	p->size = 0;
	return true;
}
