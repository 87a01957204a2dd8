// SPDX-License-Identifier: BSD-2-Clause
/*
 * segment.c - fuzz segment input: the input drives one live engine and a peer that keeps no rule.
 * Input       one or two bytes of set-up, then steps: a segment, a socket call, an ICMP error, or time. Fields of
 *	       a segment are chosen relative to what the engine expects (rcv_nxt, snd_una, the window's
 *	       edges, the timestamps), so that mutations get past the first checks.
 * Claims      every invariant of the stack after each step; what the application reads is what stands
 *	       at that place in the sequence space; what the engine sends is what was written there, with
 *	       right checksums; when the peer falls silent everything ends and no frame is lost.
 */
#include <errno.h>
#include <string.h>
#include "../sim/packet.h"
#include "base/compiler.h"
#include "fuzz.h"
#include "host.h"
#include "tcp/tcp_priv.h"

#define PEER_IP	  0x0a000002u
#define LISTEN	  80u
#define CONNS	  3u	 /* connections, told apart by the peer's port */
#define PEER_PORT 5000u	 /* of the first one */
#define OWN_PORT  40000u /* the engine's, of the first active one */
#define PEER_ISN  0xfffffc00u
#define SEG_MAX	  1460u
#define STEPS_MAX 400u
/* After the last step: the longest of retransmissions, TIME-WAIT, FIN-WAIT-2. */
#define SILENCE_NS (3000 * MR_NS_PER_S)
#define ROUNDS_MAX 20000u

#define IPV6_HLEN 40u
#define DAD_NS	  (2 * MR_NS_PER_S) /* until addresses of IPv6 are usable */

/* Of the first byte. */
#define SETUP_ACTIVE	  0x01u
#define SETUP_BARE	  0x02u /* no connection is there when it begins */
#define SETUP_V6	  0x20u
#define SETUP_POLICY	  0x40u /* there is a second one: */
#define POLICY_CONGESTION 0x03u
#define POLICY_ECN	  0x1cu
#define POLICY_GSO	  0x20u
#define POLICY_FASTOPEN	  0x40u
#define POLICY_PROBING	  0x80u

static const char *const peer_text[] = { "10.0.0.2", "2001:db8::2" };
static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 2 };

struct conn {
	struct mr_socket *sock; /* NULL: not accepted yet, or closed */
	uint16_t eport, pport;
	bool iss_known, irs_known;
	bool exact; /* every byte of the stream is read in order */
	/* A second connection with the same ports: packets of the first may still be in the device. */
	bool again, accepted;
	uint32_t iss, irs;
	uint32_t listen_iss;	/* of the last SYN,ACK of the listener's */
	uint32_t read, written; /* bytes, by the present socket */
	struct mr_slice lent[4];
	int nlent;
};

struct world {
	struct fuzz_host host;
	uint64_t now;
	struct mr_socket *listener;
	struct conn conn[CONNS];
	bool v6;
	bool ecn; /* segments choose their ECN fields */
	struct mr_addr peer;
	uint8_t cookie[MR_TCP_TFO_MAX], ncookie; /* of Fast Open, as the engine gave it last */
	uint32_t tsval;				 /* of the peer's last segment */
	uint16_t nactive;			 /* active opens, each from a port of its own */
};

/* What the engine knows of a connection. */
struct view {
	const struct mr_tcb *tcb; /* or NULL */
	uint32_t rcv_nxt, rcv_wnd, snd_una, snd_nxt, ts_recent, tsecr;
	bool ts_ok;
};

/* Each direction's byte is a function of its place: the peer's of the sequence number. */
static uint8_t peer_byte(uint32_t seq)
{
	return (uint8_t)(seq * 11 + (seq >> 8) * 29 + 128);
}

static uint8_t engine_byte(uint32_t pos)
{
	return (uint8_t)(pos * 7 + (pos >> 8) * 13 + 1);
}

/* ---- What the engine says -------------------------------------------------------------------- */

static void engine_sent(void *user, const uint8_t *pkt, uint32_t len)
{
	struct world *w = user;
	struct conn *c;
	struct pkt_tcp t;
	uint32_t pos;

	fuzz_trace(&w->host, "sends", pkt, len);
	fuzz_answer_arp(&w->host, pkt, len, PEER_IP, peer_mac);
	fuzz_answer_nd(&w->host, pkt, len, peer_mac);
	FUZZ_CHECK(pkt_checksums_ok(pkt, len), "checksum of a packet sent");
	if (!pkt_tcp_parse(pkt, len, &t))
		return;
	if (t.dport < PEER_PORT || t.dport >= PEER_PORT + CONNS)
		return;
	c = &w->conn[t.dport - PEER_PORT];
	if (t.sport == LISTEN && t.flags & MR_TCP_SYN)
		c->listen_iss = t.seq;
	if (t.has_tfo && t.flags & MR_TCP_SYN && t.ntfo) {
		memcpy(w->cookie, t.tfo, t.ntfo);
		w->ncookie = t.ntfo;
	}
	if (t.sport != c->eport)
		return;
	if (t.flags & MR_TCP_SYN) {
		c->iss = t.seq;
		c->iss_known = true;
	}
	if (!t.len || c->again)
		return;
	FUZZ_CHECK(c->iss_known, "payload without a SYN");
	pos = t.seq - c->iss - 1;
	FUZZ_CHECK(pos + t.len <= c->written, "bytes %u+%u of %u", pos, t.len, c->written);
	for (uint32_t i = 0; i < t.len; i++)
		FUZZ_CHECK(t.payload[i] == engine_byte(pos + i), "byte %u sent", pos + i);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void run(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;

	for (unsigned rounds = 0;; rounds++) {
		uint64_t next;

		FUZZ_CHECK(rounds < ROUNDS_MAX, "the engine does not come to rest");
		fuzz_host_round(&w->host);
		next = fuzz_host_next(&w->host);
		/* While sends wait for frames the engine looks every millisecond. It may be late. */
		if (rounds > 200)
			next = mr_max(next, w->now + (rounds > 2000 ? 1000 : 20) * MR_NS_PER_MS);
		if (next > end)
			break;
		w->now = mr_max(w->now, next);
	}
	w->now = end;
}

/* ---- What the peer says ---------------------------------------------------------------------- */

static struct view look(const struct world *w, const struct conn *c)
{
	const struct mr_tcp *tcp = &w->host.engine->st->tcp;
	struct view v = { .rcv_nxt = PEER_ISN + 1, .snd_una = c->iss, .snd_nxt = c->iss + 1 };
	const struct mr_flow *f;

	f = flow_lookup(tcp, flow_hash(tcp, &w->host.addr, c->eport, &w->peer, c->pport),
			&w->host.addr, c->eport, &w->peer, c->pport);
	if (!f)
		return v;
	if (f->kind == MR_FLOW_TCB) {
		v.tcb = mr_container_of(f, const struct mr_tcb, flow);
		v.rcv_nxt = v.tcb->rcv_nxt;
		v.rcv_wnd = v.tcb->rcv_wnd;
		v.snd_una = v.tcb->snd_una;
		v.snd_nxt = v.tcb->snd_nxt;
		v.ts_ok = v.tcb->ts_ok;
		v.ts_recent = v.tcb->ts_recent;
		v.tsecr = (uint32_t)(w->now / MR_NS_PER_MS) + v.tcb->ts_offset;
	} else if (f->kind == MR_FLOW_SYN) {
		const struct mr_tcp_synreq *r =
			mr_container_of(f, const struct mr_tcp_synreq, flow);

		v.rcv_nxt = r->irs + 1;
		v.rcv_wnd = r->rcv_wnd;
		v.snd_una = r->iss;
		v.snd_nxt = r->iss + 1;
		v.ts_ok = r->ts_ok;
		v.ts_recent = r->ts_recent;
		v.tsecr = (uint32_t)(w->now / MR_NS_PER_MS) + r->ts_offset;
	} else {
		const struct mr_tcp_tw *tw = mr_container_of(f, const struct mr_tcp_tw, flow);

		v.rcv_nxt = tw->rcv_nxt;
		v.rcv_wnd = tw->rcv_wnd;
		v.snd_una = v.snd_nxt = tw->snd_nxt;
		v.ts_ok = tw->ts_ok;
		v.ts_recent = tw->ts_recent;
		v.tsecr = (uint32_t)(w->now / MR_NS_PER_MS) + tw->ts_offset;
	}
	return v;
}

struct seg {
	uint32_t seq, ack, len;
	uint16_t wnd, up;
	uint8_t flags, tos;
	bool ae;
	uint8_t opt[40];
	unsigned optlen;
	bool bad_csum;
};

static uint32_t ip_hlen(const struct world *w)
{
	return w->v6 ? IPV6_HLEN : PKT_IP_HLEN;
}

/* The header of a packet from the peer, or to it. */
static void put_ip(const struct world *w, uint8_t *ip, uint32_t total, uint8_t proto, bool to_peer)
{
	const struct mr_addr *src = to_peer ? &w->host.addr : &w->peer;
	const struct mr_addr *dst = to_peer ? &w->peer : &w->host.addr;

	memset(ip, 0, ip_hlen(w));
	if (w->v6) {
		ip[0] = 0x60;
		pkt_put16(ip + 4, total - IPV6_HLEN);
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, src->b, 16);
		memcpy(ip + 24, dst->b, 16);
		return;
	}
	ip[0] = 0x45;
	pkt_put16(ip + 2, total);
	ip[6] = 0x40; /* DF */
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, &src->w[3], 4);
	memcpy(ip + 16, &dst->w[3], 4);
	pkt_put16(ip + 10, (uint16_t)~pkt_sum(0, ip, PKT_IP_HLEN));
}

/* With the pseudo-header of `ip`. */
static uint16_t l4_sum(const struct world *w, const uint8_t *ip, uint8_t proto, const uint8_t *l4,
		       uint32_t len)
{
	uint32_t sum = w->v6 ? pkt_sum(proto + len, ip + 8, 32) : pkt_sum(proto + len, ip + 12, 8);

	return (uint16_t)~pkt_sum(sum, l4, len);
}

static void put_eth(const struct world *w, uint8_t *pkt)
{
	memcpy(pkt, w->host.mac, 6);
	memcpy(pkt + 6, peer_mac, 6);
	pkt_put16(pkt + 12, w->v6 ? 0x86dd : 0x0800);
}

static void give(struct world *w, const struct conn *c, const struct seg *s)
{
	uint8_t pkt[PKT_ETH_HLEN + IPV6_HLEN + MR_TCP_HLEN_MAX + SEG_MAX], *ip, *tcp;
	uint32_t hlen = MR_TCP_HLEN + (s->optlen + 3) / 4 * 4, l4 = hlen + s->len;

	ip = pkt + PKT_ETH_HLEN;
	tcp = ip + ip_hlen(w);
	put_eth(w, pkt);
	put_ip(w, ip, ip_hlen(w) + l4, 6, false);
	if (w->v6) {
		ip[1] = (uint8_t)(s->tos << 4);
	} else {
		ip[1] = s->tos;
		pkt_put16(ip + 10, 0);
		pkt_put16(ip + 10, (uint16_t)~pkt_sum(0, ip, PKT_IP_HLEN));
	}
	memset(tcp, 0, hlen);
	pkt_put16(tcp, c->pport);
	pkt_put16(tcp + 2, c->eport);
	pkt_put32(tcp + 4, s->seq);
	pkt_put32(tcp + 8, s->ack);
	tcp[12] = (uint8_t)(hlen / 4 << 4 | s->ae);
	tcp[13] = s->flags;
	pkt_put16(tcp + 14, s->wnd);
	pkt_put16(tcp + 18, s->up);
	memcpy(tcp + MR_TCP_HLEN, s->opt, s->optlen);
	for (uint32_t i = 0; i < s->len; i++)
		tcp[hlen + i] = peer_byte(s->seq + !!(s->flags & MR_TCP_SYN) + i);
	pkt_put16(tcp + 16, l4_sum(w, ip, 6, tcp, l4));
	tcp[16] ^= s->bad_csum;
	fuzz_trace(&w->host, "gets", pkt, PKT_ETH_HLEN + ip_hlen(w) + l4);
	sim_dev_deliver(w->host.dev, pkt, PKT_ETH_HLEN + ip_hlen(w) + l4);
}

static void opt_ts(struct seg *s, uint32_t tsval, uint32_t tsecr)
{
	uint8_t *p = s->opt + s->optlen;

	p[0] = p[1] = 1;
	p[2] = 8;
	p[3] = 10;
	pkt_put32(p + 4, tsval);
	pkt_put32(p + 8, tsecr);
	s->optlen += 12;
}

/* The cookie that the engine gave, another one, or the wish for one (RFC 7413). */
static void opt_fastopen(const struct world *w, struct seg *s, uint8_t how)
{
	uint8_t n = how & 1 ? w->ncookie : how & 2 ? 8 : 0, *p = s->opt + s->optlen;

	if (s->optlen + 4 + n > sizeof(s->opt))
		return;
	p[0] = p[1] = 1;
	p[2] = 34;
	p[3] = (uint8_t)(2 + n);
	memcpy(p + 4, w->cookie, n);
	p[4] ^= how & 4;
	s->optlen += 4 + n;
}

/* The ECN fields of both headers, and an AccECN option (RFC 9768) with counters of the input's. */
static void set_ecn(struct fuzz_in *in, struct seg *s)
{
	uint8_t how = fuzz_u8(in), *p = s->opt + s->optlen;

	s->tos = how & 3;
	s->ae = how & 4;
	s->flags ^= (how & 8 ? MR_TCP_ECE : 0) | (how & 16 ? MR_TCP_CWR : 0);
	if (!(how & 32) || s->optlen + 12 > sizeof(s->opt))
		return;
	p[0] = 1;
	p[1] = how & 64 ? 172 : 174;
	p[2] = 11;
	for (unsigned i = 0; i < 9; i++)
		p[3 + i] = i % 3 ? fuzz_u8(in) : 0;
	s->optlen += 12;
}

/* Blocks within what is outstanding, or a little outside of it. */
static void opt_sack(struct fuzz_in *in, struct seg *s, const struct view *v)
{
	uint8_t how = fuzz_u8(in), n = (uint8_t)(how % 4 + 1);
	uint32_t unit = how & 0x10 ? 1 : v->tcb ? v->tcb->snd_mss : 1;
	uint8_t *p = s->opt + s->optlen;

	while (s->optlen + 4 + 8u * n > sizeof(s->opt))
		n--;
	p[0] = p[1] = 1;
	p[2] = 5;
	p[3] = (uint8_t)(2 + 8 * n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t b = fuzz_u8(in);
		uint32_t start = v->snd_una + ((uint32_t)(b >> 3) - (how >> 7)) * unit;

		pkt_put32(p + 4 + 8 * i, start);
		pkt_put32(p + 8 + 8 * i, start + ((b & 7u) + !(how & 0x40)) * unit);
	}
	s->optlen += 4 + 8u * n;
}

/* What a SYN offers. */
static void opt_syn(struct fuzz_in *in, struct seg *s, uint32_t tsval, uint32_t tsecr)
{
	static const uint16_t mss[] = { 1460, 536, 0, 1, 88, 200, 65535, 1448 };
	uint8_t how = fuzz_u8(in), *p = s->opt + s->optlen;

	if (how & 1) {
		p[0] = 2;
		p[1] = 4;
		pkt_put16(p + 2, FUZZ_PICK(mss, how >> 5));
		p += 4;
	}
	if (how & 2) {
		p[0] = 1;
		p[1] = p[2] = 3;
		p[3] = how >> 4;
		p += 4;
	}
	if (how & 4) {
		p[0] = p[1] = 1;
		p[2] = 4;
		p[3] = 2;
		p += 4;
	}
	s->optlen = (unsigned)(p - s->opt);
	if (how & 8)
		opt_ts(s, tsval, tsecr);
}

#define F MR_TCP_FIN
#define S MR_TCP_SYN
#define R MR_TCP_RST
#define P MR_TCP_PSH
#define A MR_TCP_ACK
#define U MR_TCP_URG

static uint8_t choose_flags(uint8_t b)
{
	static const uint8_t common[] = { A,	 A, A | P, A | P, A | P | U, A | F, A | F | P, S,
					  S | A, R, R | A, A | U, F,	     S | F, A | R | F, 0 };

	return b & 0x80 ? b & 0x7f : FUZZ_PICK(common, b);
}

static uint32_t choose_seq(uint8_t b, const struct view *v)
{
	static const uint32_t off[] = { 0,	    1,		-1u,	10,   -10u, 100,
					-100u,	    1448,	-1448u, 2896, 536,  4000,
					0x7fffffff, 0x80000000, 3,	50 };
	uint32_t base;

	switch (b & 7) {
	case 0 ... 3:
		return v->rcv_nxt;
	case 4:
		base = v->rcv_nxt + v->rcv_wnd;
		break;
	case 5:
		base = v->tcb && v->tcb->gap ? v->tcb->gap->q.head->seq : v->rcv_nxt;
		break;
	case 6:
		base = v->tcb && v->tcb->gap ?
			       v->tcb->gap->q.tail->seq + v->tcb->gap->q.tail->pkt_len :
			       v->rcv_nxt;
		break;
	default:
		base = v->rcv_nxt;
	}
	return base + FUZZ_PICK(off, b >> 3);
}

static uint32_t choose_ack(uint8_t b, const struct view *v)
{
	static const uint32_t off[] = { 0, 1, -1u, 10, -10u, 100, 0x7fffffff, 70000, -70000u };
	uint32_t mss = v->tcb ? v->tcb->snd_mss : 536;
	uint32_t step = mr_min(v->snd_nxt - v->snd_una, (uint32_t)(b >> 2) * mss);

	switch (b & 3) {
	case 0:
		return v->snd_nxt;
	case 1:
		return v->snd_una;
	case 2:
		return v->snd_una + step;
	default:
		return (b & 4 ? v->snd_una : v->snd_nxt) + FUZZ_PICK(off, b >> 3);
	}
}

static void step_segment(struct world *w, struct fuzz_in *in, struct conn *c)
{
	static const uint16_t wnd[] = { 65535, 8192, 0, 1, 100, 1460, 2920, 30000 };
	static const uint16_t len[] = { 0, 1448, 1, 100, 0, 10, 1460, 536 };
	static const uint32_t ts_step[] = { 0, 1, 10, -1u, -1000u, 1000, 0x80000000, 0x7fffffff };
	struct view v = look(w, c);
	uint8_t flags = fuzz_u8(in), seq = fuzz_u8(in), ack = fuzz_u8(in), body = fuzz_u8(in);
	uint8_t how = fuzz_u8(in);
	struct seg s = {
		.flags = choose_flags(flags),
		.seq = choose_seq(seq, &v),
		.ack = choose_ack(ack, &v),
		.wnd = FUZZ_PICK(wnd, body),
		.len = FUZZ_PICK(len, body >> 3),
		.bad_csum = body == 0xff,
	};

	if (s.flags & S) {
		s.seq = seq & 8 ? s.seq : PEER_ISN + (seq & 0xf0u) * 16; /* incarnations differ */
		opt_syn(in, &s, ++w->tsval, how & 0x40 ? v.tsecr : 0);
		if (how & 0x10)
			opt_fastopen(w, &s, ack);
	} else if (how & 1 ? !v.ts_ok : v.ts_ok) {
		w->tsval = v.ts_recent + FUZZ_PICK(ts_step, how >> 5);
		opt_ts(&s, w->tsval, v.tsecr - (how & 0x10 ? fuzz_u8(in) : 0));
	}
	if (how & 2)
		opt_sack(in, &s, &v);
	if (how & 4 && !s.optlen) {
		s.optlen = fuzz_u8(in) % (sizeof(s.opt) + 1);
		for (unsigned i = 0; i < s.optlen; i++)
			s.opt[i] = fuzz_u8(in);
	}
	if (s.flags & U)
		s.up = fuzz_u16(in);
	if (w->ecn)
		set_ecn(in, &s);
	give(w, c, &s);
	if (!(how & 8)) /* else the next one comes in the same batch */
		fuzz_host_round(&w->host);
}

/* An ICMP error that quotes a segment of ours. */
static void step_icmp(struct world *w, struct fuzz_in *in, const struct conn *c)
{
	uint8_t pkt[PKT_ETH_HLEN + IPV6_HLEN + 8 + IPV6_HLEN + 8], how = fuzz_u8(in);
	uint32_t hlen = ip_hlen(w), n = 8 + hlen + 8;
	uint8_t *ip = pkt + PKT_ETH_HLEN, *icmp = ip + hlen, *quote = icmp + 8;
	struct view v = look(w, c);

	put_eth(w, pkt);
	put_ip(w, ip, hlen + n, w->v6 ? 58 : 1, false);
	memset(icmp, 0, 8);
	icmp[0] = how & 0x80 ? how >> 4 & 7 : w->v6 ? 2 : 3;
	icmp[1] = w->v6 && icmp[0] == 2 ? 0 : how & 15;
	pkt_put16(icmp + 6, fuzz_u16(in)); /* next-hop MTU */
	put_ip(w, quote, 1500, 6, true);
	pkt_put16(quote + hlen, c->eport);
	pkt_put16(quote + hlen + 2, c->pport);
	pkt_put32(quote + hlen + 4, how & 0x40 ? v.snd_nxt : v.snd_una);
	pkt_put16(icmp + 2, w->v6 ? l4_sum(w, ip, 58, icmp, n) : (uint16_t)~pkt_sum(0, icmp, n));
	sim_dev_deliver(w->host.dev, pkt, PKT_ETH_HLEN + hlen + n);
	fuzz_host_round(&w->host);
}

/* ---- What the application does --------------------------------------------------------------- */

static void begin(struct conn *c, struct mr_socket *sock)
{
	c->sock = sock;
	c->exact = true;
	c->read = c->written = 0;
	c->irs_known = false;
}

/* The peer may choose its ISN as late as its answer to our SYN. */
static void learn_irs(struct conn *c)
{
	if (!c->sock || !c->sock->tcb)
		return;
	c->irs = c->sock->tcb->irs;
	c->irs_known = true;
}

static void accept_one(struct world *w)
{
	struct mr_endpoint peer;
	struct mr_socket *sock;
	struct conn *c;

	if (!w->listener || mr_accept(w->listener, &sock, &peer))
		return;
	c = &w->conn[(peer.port - PEER_PORT) % CONNS];
	if (c->sock) { /* a new incarnation while the application still holds the old */
		mr_abort(c->sock);
		mr_recv_return(w->host.engine, c->lent, (unsigned)c->nlent);
		c->nlent = 0;
	}
	c->eport = LISTEN;
	c->iss = sock->tcb ? sock->tcb->iss : c->listen_iss;
	c->iss_known = true;
	c->again = c->accepted;
	c->accepted = true;
	begin(c, sock);
}

static void connect_one(struct world *w, struct conn *c)
{
	const struct mr_endpoint local = { w->host.addr, (uint16_t)(OWN_PORT + w->nactive++) };
	const struct mr_endpoint peer = { w->peer, c->pport };
	struct mr_socket *sock;

	if (c->sock || mr_socket(w->host.engine, &sock))
		return;
	mr_set_option(sock, MR_OPT_OOBINLINE, 1);
	if (mr_bind(sock, &local) || mr_connect(sock, &peer) != -EINPROGRESS) {
		mr_abort(sock);
		return;
	}
	c->eport = local.port;
	c->again = false;
	c->iss_known = false;
	begin(c, sock);
}

static void send_some(struct conn *c, uint32_t len, unsigned flags)
{
	uint8_t buf[16384];
	ssize_t n;

	len = mr_min(len, (uint32_t)sizeof(buf));
	for (uint32_t i = 0; i < len; i++)
		buf[i] = engine_byte(c->written + i);
	n = mr_send(c->sock, buf, len, flags);
	FUZZ_CHECK(n <= (ssize_t)len, "mr_send took %zd of %u", n, len);
	if (n > 0)
		c->written += (uint32_t)n;
}

static void send_reserved(struct conn *c, uint32_t len)
{
	struct mr_sendbuf buf;

	if (mr_send_reserve(c->sock, &buf))
		return;
	len = mr_min(len, buf.room);
	if (!len) {
		mr_send_cancel(c->sock, &buf);
		return;
	}
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)buf.data)[i] = engine_byte(c->written + i);
	if (!mr_send_commit(c->sock, &buf, len, 0))
		c->written += len;
}

static void check_read(const struct conn *c, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; c->exact && c->irs_known && i < n; i++)
		FUZZ_CHECK(p[i] == peer_byte(c->irs + 1 + c->read + i), "byte %u read",
			   c->read + i);
}

static void recv_some(struct conn *c, uint32_t len, unsigned flags)
{
	uint8_t buf[16384];
	ssize_t n;

	learn_irs(c);
	n = mr_recv(c->sock, buf, mr_min(len, (uint32_t)sizeof(buf)), flags);
	if (n <= 0 || flags & MR_RECV_OOB)
		return;
	check_read(c, buf, (uint32_t)n);
	if (!(flags & MR_RECV_PEEK))
		c->read += (uint32_t)n;
}

static void borrow(struct world *w, struct conn *c)
{
	if (c->nlent) {
		mr_recv_return(w->host.engine, c->lent, (unsigned)c->nlent);
		c->nlent = 0;
		return;
	}
	learn_irs(c);
	c->nlent = mr_recv_borrow(c->sock, c->lent, MR_ARRAY_SIZE(c->lent));
	c->nlent = mr_max(c->nlent, 0);
	for (int i = 0; i < c->nlent; i++) {
		check_read(c, c->lent[i].data, c->lent[i].len);
		c->read += c->lent[i].len;
	}
}

static void set_option(struct conn *c, uint8_t which, uint8_t value)
{
	static const enum mr_opt opts[] = { MR_OPT_NODELAY,   MR_OPT_CORK,	MR_OPT_QUICKACK,
					    MR_OPT_LINGER,    MR_OPT_SNDBUF,	MR_OPT_RCVBUF,
					    MR_OPT_KEEPALIVE, MR_OPT_KEEPIDLE,	MR_OPT_USER_TIMEOUT,
					    MR_OPT_OOBINLINE, MR_OPT_KEEPINTVL, MR_OPT_KEEPCNT };
	enum mr_opt opt = FUZZ_PICK(opts, which);
	int64_t v = value;

	if (opt == MR_OPT_SNDBUF || opt == MR_OPT_RCVBUF)
		v = 2048 + value * 256;
	else if (opt == MR_OPT_LINGER)
		v = -(value & 1);
	else if (opt == MR_OPT_USER_TIMEOUT)
		v = value * 100;
	else if (opt != MR_OPT_KEEPIDLE && opt != MR_OPT_KEEPINTVL && opt != MR_OPT_KEEPCNT)
		v = value & 1;
	if (!mr_set_option(c->sock, opt, v) && opt == MR_OPT_OOBINLINE && !v)
		c->exact = false; /* the urgent byte leaves the stream */
}

static void end_socket(struct world *w, struct conn *c, bool abortive)
{
	if (!c->sock)
		return;
	if (abortive)
		mr_abort(c->sock);
	else
		mr_close(c->sock);
	c->sock = NULL;
	mr_recv_return(w->host.engine, c->lent, (unsigned)c->nlent);
	c->nlent = 0;
}

static void step_call(struct world *w, struct fuzz_in *in, struct conn *c)
{
	static const uint32_t len[] = { 1, 100, 1448, 1000, 4000, 16384, 2, 3000 };
	struct mr_event events[4];
	struct mr_sock_info info;
	uint8_t what = fuzz_u8(in), arg = fuzz_u8(in);
	uint32_t n = FUZZ_PICK(len, arg);

	if ((what & 15) == 0) {
		accept_one(w);
	} else if ((what & 15) == 1) {
		connect_one(w, c);
	} else if ((what & 15) == 2) {
		mr_socks_events(&w->host.engine->st->socks, events, MR_ARRAY_SIZE(events));
	} else if (c->sock) {
		switch (what & 15) {
		case 3 ... 5:
			send_some(c, n, arg >> 6);
			break;
		case 6 ... 8:
			recv_some(c, n, arg >> 6);
			break;
		case 9:
			send_reserved(c, n);
			break;
		case 10:
			borrow(w, c);
			break;
		case 11:
			mr_shutdown(c->sock, arg % 8 ? MR_SHUT_WR : MR_SHUT_RDWR);
			break;
		case 12:
			end_socket(w, c, arg % 8 == 0);
			break;
		case 13:
			set_option(c, what >> 4, arg);
			break;
		case 14:
			mr_sock_info(c->sock, &info);
			mr_sock_error(c->sock);
			break;
		default:
			mr_set_interest(c->sock, arg, arg);
			mr_ready(c->sock);
		}
	}
	fuzz_host_check(&w->host);
	if (!(what & 0x80))
		fuzz_host_round(&w->host);
}

static void step_time(struct world *w, uint8_t b)
{
	static const uint64_t us[] = { 10,	200,	 1000,	   5000,     41000,	210000,
				       1000000, 3000000, 10000000, 61000000, 300000000, 50 };

	run(w, FUZZ_PICK(us, b) * MR_NS_PER_US);
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* A connection that is established in the usual way, where the set-up byte asks for it. */
static void open_first(struct world *w, struct fuzz_in *in, uint8_t how)
{
	struct conn *c = &w->conn[0];
	struct seg syn = { .flags = S, .seq = PEER_ISN, .wnd = 65535 }, ack;
	struct view v;

	if (how & SETUP_ACTIVE) {
		connect_one(w, c);
		fuzz_host_round(&w->host);
		run(w, MR_NS_PER_MS);
		v = look(w, c);
		syn.flags = S | A;
		syn.ack = v.snd_nxt;
	} else {
		v = look(w, c);
	}
	if (how & SETUP_BARE)
		return;
	opt_syn(in, &syn, ++w->tsval, v.tsecr);
	give(w, c, &syn);
	run(w, MR_NS_PER_MS);
	v = look(w, c);
	if (how & SETUP_ACTIVE)
		return;
	ack = (struct seg){ .flags = A, .seq = v.rcv_nxt, .ack = v.snd_nxt, .wnd = 65535 };
	if (v.ts_ok)
		opt_ts(&ack, ++w->tsval, v.tsecr);
	give(w, c, &ack);
	run(w, MR_NS_PER_MS);
	accept_one(w);
}

static void finish(struct world *w)
{
	if (w->listener)
		mr_abort(w->listener);
	for (unsigned i = 0; i < CONNS; i++)
		end_socket(w, &w->conn[i], false);
	run(w, SILENCE_NS);
	FUZZ_CHECK(!mr_engine_connections(w->host.engine), "a connection lives for ever");
	fuzz_host_close(&w->host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };
	struct world w = { .now = FUZZ_START_NS };
	uint8_t how = fuzz_u8(&in), policy = how & SETUP_POLICY ? fuzz_u8(&in) : 0;
	const struct fuzz_host_cfg cfg = {
		.prefix = how & SETUP_V6 ? "2001:db8::1/64" : "10.0.0.1/24",
		.mac_end = 1,
		.nframes = how & 4 ? 64 : 256,
		.gso = policy & POLICY_GSO,
		.congestion = mr_congestion_name(policy & POLICY_CONGESTION),
		.ecn = (enum mr_ecn_policy)((MR_ECN_ACCURATE + ((policy & POLICY_ECN) >> 2)) %
					    (MR_ECN_ACCURATE_PASSIVE + 1)),
		.mtu_probing =
			policy & POLICY_PROBING ? MR_MTU_PROBING_ALWAYS : MR_MTU_PROBING_SUSPECT,
		.sndbuf = 16384,
		.rcvbuf = how & 8 ? 4096 : 16384,
		.ragged = how & 16,
		.pad = true,
		.sent = engine_sent,
		.user = &w,
	};
	const struct mr_endpoint local = { .port = LISTEN };

	w.v6 = how & SETUP_V6;
	w.ecn = how & SETUP_POLICY;
	mr_addr_parse(peer_text[w.v6], &w.peer);
	fuzz_host_open(&w.host, &cfg, &w.now);
	if (w.v6)
		run(&w, DAD_NS);
	for (unsigned i = 0; i < CONNS; i++)
		w.conn[i] = (struct conn){ .eport = LISTEN, .pport = (uint16_t)(PEER_PORT + i) };
	FUZZ_CHECK(!mr_socket(w.host.engine, &w.listener), "mr_socket");
	mr_set_option(w.listener, MR_OPT_OOBINLINE, 1); /* inherited; else bytes leave the stream */
	if (policy & POLICY_FASTOPEN)
		mr_set_option(w.listener, MR_OPT_FASTOPEN, 2);
	FUZZ_CHECK(!mr_bind(w.listener, &local) && !mr_listen(w.listener, 2), "mr_listen");
	open_first(&w, &in, how);
	for (unsigned i = 0; i < STEPS_MAX && fuzz_more(&in); i++) {
		uint8_t op = fuzz_u8(&in);
		/* Mostly the first connection: the others keep the listener and the table busy. */
		struct conn *c = &w.conn[op >= 0xf0 ? op % CONNS : 0];

		switch (op & 7) {
		case 0 ... 3:
			step_segment(&w, &in, c);
			break;
		case 4:
		case 5:
			step_call(&w, &in, c);
			break;
		case 6:
			step_time(&w, op >> 3);
			break;
		default:
			step_icmp(&w, &in, c);
		}
		for (unsigned k = 0; k < CONNS; k++)
			learn_irs(&w.conn[k]);
	}
	finish(&w);
	return 0;
}
