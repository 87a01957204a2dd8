// SPDX-License-Identifier: BSD-2-Clause
/*
 * hist.c - the player of scripted histories. The script's host answers ARP and neighbour solicitations by
 * itself; all else it says is in the script.
 * Asserts     every invariant of the stack after each half of a round; that the engine's payload is the
 *             pattern; that a history ends with nothing unexpected and nothing left over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "hist.h"

#define ENGINE_IP  0x0a000001u
#define PEER_IP	   0x0a000002u
#define ROUTER_IP  0x0a000003u /* at the script's host, too: hist_route_peer() */
#define MTU	   1500u
#define NFRAMES	   4096u
#define CHUNK	   2048u
#define ROUNDS_MAX 10000u
#define START_NS   SEC(1000)
#define QUIET_NS   SEC(400) /* after a history: until the last retransmission and TIME-WAIT */
/* A timer is late by less than a tick (65 us) of the wheel; a chain of back-offs adds that up. */
#define LATE_NS	  MS(1)
#define PKT_MAX	  2000u
#define ICMP_HLEN 8u
#define PEER_MSS  1460

#define IPV6_HLEN   40u
#define PROTO_ICMP6 58
#define ND_LEN	    (IPV6_HLEN + 32u) /* of a neighbour solicitation or advertisement */

static const uint8_t engine_mac[6] = { 0x02, 0, 0, 0, 0, 1 };
static const uint8_t peer_mac[6] = { 0x02, 0, 0, 0, 0, 2 };

static const uint8_t engine_ip6[16] = { 0xfd, [15] = 1 };
static const uint8_t peer_ip6[16] = { 0xfd, [15] = 2 };

struct hist_test *hist_tests;

void hist_register(struct hist_test *test)
{
	struct hist_test **p = &hist_tests;

	while (*p)
		p = &(*p)->next;
	*p = test;
}

/* ---- Log and failure ------------------------------------------------------------------------- */

static void logf_line(struct hist *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void logf_line(struct hist *h, const char *fmt, ...)
{
	uint64_t t = h->now - h->zero;
	va_list ap;

	if (h->quiet)
		return;
	fprintf(h->log, "#   %llu.%06llu ", t / MR_NS_PER_S, t % MR_NS_PER_S / MR_NS_PER_US);
	va_start(ap, fmt);
	vfprintf(h->log, fmt, ap);
	va_end(ap);
	fputc('\n', h->log);
	if (!h->verbose)
		return;
	va_start(ap, fmt);
	printf("%llu.%06llu ", t / MR_NS_PER_S, t % MR_NS_PER_S / MR_NS_PER_US);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void hist_fail(struct hist *h, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fflush(h->log);
	fprintf(stderr, "# hist %s, %s:%d: ", h->name, file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n%s", h->log_text);
	if (h->engine && h->engine->cap)
		mr_pcapng_flush(h->engine->cap);
	_exit(1);
}

/* ---- Patterns: a byte is a function of its place in the stream ------------------------------- */

static uint8_t engine_byte(uint32_t pos)
{
	return (uint8_t)(pos * 7 + (pos >> 8) * 13 + 1);
}

static uint8_t peer_byte(uint32_t pos)
{
	return (uint8_t)(pos * 11 + (pos >> 8) * 29 + 128);
}

/* ---- What the engine sends ------------------------------------------------------------------- */

static void record(struct hist *h, const uint8_t *pkt, uint32_t len)
{
	struct hist_out *o;

	if (h->nout == h->out_size) {
		h->out_size = h->out_size ? 2 * h->out_size : 64;
		h->out = realloc(h->out, h->out_size * sizeof(*h->out));
		if (!h->out)
			abort();
	}
	o = &h->out[h->nout++];
	o->at = h->now;
	o->pkt_len = len;
	o->pkt = malloc(len);
	if (!o->pkt)
		abort();
	memcpy(o->pkt, pkt, len);
	pkt_tcp_parse(o->pkt, len, &o->t);
}

/* A segment's line in the log, with numbers as the script counts them. */
static const char *relative(const struct hist *h, const struct pkt_tcp *t, bool from_engine,
			    char *buf, size_t size)
{
	const char *names = "FSRPAUEW";
	char flags[9], opts[64] = "";
	size_t n = 0;

	for (unsigned i = 0; i < 8; i++)
		if (t->flags & (1u << i))
			flags[n++] = names[i];
	flags[n] = 0;
	if (t->flags & SYN)
		snprintf(opts, sizeof(opts), " mss %u%s%u", t->mss,
			 t->has_wscale ? " wscale " : " no wscale ", t->wscale);
	snprintf(buf, size, "%s %s seq %u len %u ack %u win %u%s", from_engine ? "<" : ">", flags,
		 t->seq - (from_engine ? h->eisn : h->pisn), t->len,
		 t->flags & ACK ? t->ack - (from_engine ? h->pisn : h->eisn) : 0, t->wnd, opts);
	return buf;
}

static uint32_t put_headers6(uint8_t *pkt, uint8_t proto, uint8_t tos, uint32_t l4_len);

/* Is it neighbour discovery or the like, of an engine that speaks IPv6? Who asks for the script's host is
 * answered. */
static bool discovery(struct hist *h, const uint8_t *pkt, uint32_t len)
{
	const uint8_t *ip = pkt + PKT_ETH_HLEN;
	uint8_t na[PKT_ETH_HLEN + ND_LEN] = { 0 }, *icmp = na + PKT_ETH_HLEN + IPV6_HLEN;

	if (!h->v6 || pkt_get16(pkt + 12) != 0x86dd || len < PKT_ETH_HLEN + IPV6_HLEN + 8 ||
	    (ip[6] != PROTO_ICMP6 && ip[6] != 0))
		return false;
	if (ip[6] != PROTO_ICMP6 || ip[IPV6_HLEN] != 135 || memcmp(ip + 48, peer_ip6, 16) != 0)
		return true;
	put_headers6(na, PROTO_ICMP6, 0, ND_LEN - IPV6_HLEN);
	na[PKT_ETH_HLEN + 7] = 255;
	icmp[0] = 136;
	icmp[4] = 0x60; /* solicited, override */
	memcpy(icmp + 8, peer_ip6, 16);
	icmp[24] = 2;
	icmp[25] = 1;
	memcpy(icmp + 26, peer_mac, 6);
	pkt_put16(icmp + 2, (uint16_t)~pkt_sum(pkt_sum(PROTO_ICMP6 + ND_LEN - IPV6_HLEN,
						       na + PKT_ETH_HLEN + 8, 32),
					       icmp, ND_LEN - IPV6_HLEN));
	sim_dev_deliver(h->dev, na, sizeof(na));
	return true;
}

static void engine_sent(void *user, const uint8_t *pkt, uint32_t len)
{
	uint8_t reply[PKT_ARP_REPLY_LEN];
	struct hist *h = user;
	struct pkt_tcp t;
	char text[200];

	if (pkt_is_arp(pkt, len)) {
		if (pkt_arp_reply(reply, pkt, len, PEER_IP, peer_mac) ||
		    pkt_arp_reply(reply, pkt, len, ROUTER_IP, peer_mac))
			sim_dev_deliver(h->dev, reply, sizeof(reply));
		return;
	}
	if (!pkt_checksums_ok(pkt, len))
		hist_fail(h, __FILE__, __LINE__, "the engine sent a packet with a bad checksum");
	if (discovery(h, pkt, len))
		return;
	if (!pkt_tcp_parse(pkt, len, &t)) {
		h->others++;
		logf_line(h, "< not TCP, %u bytes", len);
		return;
	}
	if (t.flags & SYN)
		h->eisn = t.seq;
	logf_line(h, "%s", relative(h, &t, true, text, sizeof(text)));
	record(h, pkt, len);
}

static void device_broken(void *user, const char *what)
{
	hist_fail(user, __FILE__, __LINE__, "device: %s", what);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static uint64_t next_event(const struct hist *h)
{
	return mr_min(mr_engine_next(h->engine, h->now), sim_dev_next(h->dev));
}

void hist_round(struct hist *h)
{
	unsigned rounds = 0;

	do {
		if (++rounds > ROUNDS_MAX)
			hist_fail(h, __FILE__, __LINE__, "the engine does not come to rest");
		mr_engine_input(h->engine, h->now);
		mr_engine_check(h->engine);
		mr_engine_output(h->engine, h->now);
		mr_engine_check(h->engine);
	} while (next_event(h) <= h->now);
}

void hist_until(struct hist *h, uint64_t t)
{
	uint64_t end = h->zero + t, next;

	while ((next = next_event(h)) <= end) {
		h->now = mr_max(h->now, next);
		hist_round(h);
	}
	h->now = mr_max(h->now, end);
}

void hist_run(struct hist *h, uint64_t ns)
{
	hist_until(h, h->now - h->zero + ns);
}

void hist_zero(struct hist *h)
{
	h->zero = h->now;
}

/* ---- What the script sends ------------------------------------------------------------------- */

static uint32_t put_headers(uint8_t *pkt, uint8_t proto, uint8_t tos, uint32_t l4_len)
{
	uint8_t *ip = pkt + PKT_ETH_HLEN;

	memcpy(pkt, engine_mac, 6);
	memcpy(pkt + 6, peer_mac, 6);
	pkt_put16(pkt + 12, 0x0800);
	memset(ip, 0, PKT_IP_HLEN);
	ip[0] = 0x45;
	ip[1] = tos;
	pkt_put16(ip + 2, PKT_IP_HLEN + l4_len);
	pkt_put16(ip + 6, 0x4000); /* DF */
	ip[8] = 64;
	ip[9] = proto;
	pkt_put32(ip + 12, PEER_IP);
	pkt_put32(ip + 16, ENGINE_IP);
	pkt_put16(ip + 10, (uint16_t)~pkt_sum(0, ip, PKT_IP_HLEN));
	return PKT_ETH_HLEN + PKT_IP_HLEN + l4_len;
}

static uint32_t put_headers6(uint8_t *pkt, uint8_t proto, uint8_t tos, uint32_t l4_len)
{
	uint8_t *ip = pkt + PKT_ETH_HLEN;

	memcpy(pkt, engine_mac, 6);
	memcpy(pkt + 6, peer_mac, 6);
	pkt_put16(pkt + 12, 0x86dd);
	pkt_put32(ip, 6u << 28 | (uint32_t)tos << 20);
	pkt_put16(ip + 4, l4_len);
	ip[6] = proto;
	ip[7] = 64;
	memcpy(ip + 8, peer_ip6, 16);
	memcpy(ip + 24, engine_ip6, 16);
	return PKT_ETH_HLEN + IPV6_HLEN + l4_len;
}

static uint32_t put_options(uint8_t *o, const struct hist *h, const struct hist_seg *s)
{
	uint32_t n = 0, tsval = s->tsval ? s->tsval : h->tsval;

	if (s->mss) {
		o[n] = 2;
		o[n + 1] = 4;
		pkt_put16(o + n + 2, s->mss == MSS_ZERO ? 0 : s->mss);
		n += 4;
	}
	if (s->has_wscale) {
		o[n] = 1;
		o[n + 1] = 3;
		o[n + 2] = 3;
		o[n + 3] = s->wscale;
		n += 4;
	}
	if (s->sack_perm) {
		o[n] = o[n + 1] = 1;
		o[n + 2] = 4;
		o[n + 3] = 2;
		n += 4;
	}
	if (s->sack[0][1]) {
		uint32_t at = n + 4, i;

		for (i = 0; i < 4 && s->sack[i][1]; i++, at += 8) {
			pkt_put32(o + at, h->eisn + s->sack[i][0]);
			pkt_put32(o + at + 4, h->eisn + s->sack[i][1]);
		}
		o[n] = o[n + 1] = 1;
		o[n + 2] = 5;
		o[n + 3] = (uint8_t)(2 + 8 * i);
		n = at;
	}
	if (tsval) {
		o[n] = o[n + 1] = 1;
		o[n + 2] = 8;
		o[n + 3] = 10;
		pkt_put32(o + n + 4, tsval);
		pkt_put32(o + n + 8, s->tsecr ? s->tsecr : h->last.tsval);
		n += 12;
	}
	if (s->has_tfo) {
		o[n] = 34;
		o[n + 1] = (uint8_t)(2 + s->ntfo);
		memcpy(o + n + 2, s->tfo, s->ntfo);
		for (n += 2u + s->ntfo; n & 3; n++)
			o[n] = 1;
	}
	if (s->accecn_kind) {
		o[n] = s->accecn_kind;
		o[n + 1] = (uint8_t)(2 + 3 * s->naccecn);
		for (uint32_t i = 0; i < s->naccecn; i++) {
			o[n + 2 + 3 * i] = (uint8_t)(s->accecn[i] >> 16);
			pkt_put16(o + n + 3 + 3 * i, s->accecn[i] & 0xffff);
		}
		for (n += 2 + 3u * s->naccecn; n & 3; n++)
			o[n] = 1;
	}
	return n;
}

void hist_inject_raw(struct hist *h, const uint8_t *pkt, uint32_t len)
{
	sim_dev_deliver(h->dev, pkt, len);
	hist_round(h);
}

void hist_give(struct hist *h, const struct hist_seg *s)
{
	uint8_t pkt[PKT_MAX] = { 0 }, *ip = pkt + PKT_ETH_HLEN;
	uint8_t *tcp = ip + (h->v6 ? IPV6_HLEN : PKT_IP_HLEN);
	uint32_t hlen = MR_TCP_HLEN + put_options(tcp + MR_TCP_HLEN, h, s), len, pseudo;
	struct pkt_tcp t;
	char text[200];

	if (s->wnd)
		h->last_wnd = s->wnd == WND_ZERO ? 0 : s->wnd;
	len = (h->v6 ? put_headers6 : put_headers)(pkt, 6, s->tos, hlen + s->len);
	pseudo = h->v6 ? pkt_sum(6 + hlen + s->len, ip + 8, 32) :
			 pkt_sum(6 + hlen + s->len, ip + 12, 8);
	pkt_put16(tcp, s->sport ? s->sport : h->pport);
	pkt_put16(tcp + 2, s->dport ? s->dport : h->eport);
	pkt_put32(tcp + 4, h->pisn + s->seq);
	pkt_put32(tcp + 8, s->flags & ACK ? h->eisn + s->ack : 0);
	tcp[12] = (uint8_t)(hlen / 4 << 4 | s->ae);
	tcp[13] = s->flags;
	pkt_put16(tcp + 14, h->last_wnd);
	pkt_put16(tcp + 18, s->up);
	for (uint32_t i = 0; i < s->len; i++)
		tcp[hlen + i] = s->fill ? s->fill : peer_byte(s->seq - !(s->flags & SYN) + i);
	pkt_put16(tcp + 16, (uint16_t)~pkt_sum(pseudo, tcp, hlen + s->len));
	if (s->tsval)
		h->tsval = s->tsval;
	pkt_tcp_parse(pkt, len, &t);
	logf_line(h, "%s", relative(h, &t, false, text, sizeof(text)));
	sim_dev_deliver(h->dev, pkt, len);
}

void hist_inject(struct hist *h, const struct hist_seg *seg)
{
	hist_give(h, seg);
	hist_round(h);
}

void hist_inject_icmp(struct hist *h, uint8_t type, uint8_t code, uint32_t rest, uint32_t seq)
{
	uint8_t pkt[PKT_MAX] = { 0 }, *icmp = pkt + PKT_ETH_HLEN + PKT_IP_HLEN;
	uint8_t *ip = icmp + ICMP_HLEN, *tcp = ip + PKT_IP_HLEN;
	/* The quote: IP header and 8 bytes (RFC 792). */
	uint32_t quoted = PKT_IP_HLEN + 8, len;

	len = put_headers(pkt, 1, 0, ICMP_HLEN + quoted);
	icmp[0] = type;
	icmp[1] = code;
	pkt_put32(icmp + 4, rest);
	ip[0] = 0x45;
	pkt_put16(ip + 2, PKT_IP_HLEN + MR_TCP_HLEN);
	pkt_put16(ip + 6, 0x4000);
	ip[8] = 63;
	ip[9] = 6;
	pkt_put32(ip + 12, ENGINE_IP);
	pkt_put32(ip + 16, PEER_IP);
	pkt_put16(ip + 10, (uint16_t)~pkt_sum(0, ip, PKT_IP_HLEN));
	pkt_put16(tcp, h->eport);
	pkt_put16(tcp + 2, h->pport);
	pkt_put32(tcp + 4, h->eisn + seq);
	pkt_put16(icmp + 2, (uint16_t)~pkt_sum(0, icmp, ICMP_HLEN + quoted));
	logf_line(h, "> ICMP type %u code %u about seq %u", type, code, seq);
	hist_inject_raw(h, pkt, len);
}

/* ---- Expectations ---------------------------------------------------------------------------- */

static void check_payload(struct hist *h, const char *file, int line, const struct pkt_tcp *t)
{
	for (uint32_t i = 0; i < t->len; i++)
		if (t->payload[i] != engine_byte(t->seq - h->eisn - 1 + i))
			hist_fail(h, file, line, "payload byte %u of the segment is wrong", i);
}

void hist_expect(struct hist *h, const char *file, int line, uint64_t at,
		 const struct hist_want *want)
{
	const struct hist_out *o;
	const struct pkt_tcp *t;
	uint64_t is;

	if (h->next >= h->nout)
		hist_fail(h, file, line, "expected a segment at %.6f s, none came",
			  (double)at / 1e9);
	o = &h->out[h->next++];
	t = &o->t;
	h->last = *t;
	is = o->at - h->zero;
#define SAME(what, value, wanted)                                                                  \
	do {                                                                                       \
		if ((value) != (wanted))                                                           \
			hist_fail(h, file, line, "segment sent at %.6f s: %s is %u, not %u",       \
				  (double)is / 1e9, what, (unsigned)(value), (unsigned)(wanted));  \
	} while (0)
	SAME("flags",
	     want->flags & SYN && !(want->flags & (ECE | CWR)) ? t->flags & ~(ECE | CWR) : t->flags,
	     want->flags);
	if (!want->any_seq)
		SAME("seq", t->seq - h->eisn, want->seq);
	if (want->flags & ACK)
		SAME("ack", t->ack - h->pisn, want->ack);
	SAME("len", t->len, want->len);
	SAME("peer's port", t->dport, want->rport ? want->rport : h->pport);
	if (want->check_wnd)
		SAME("wnd", t->wnd, want->wnd);
	if (want->flags & URG)
		SAME("up", t->up, want->up);
	if (want->mss)
		SAME("mss", t->mss, want->mss);
	for (unsigned i = 0; want->check_sack && i < 4; i++) {
		SAME("SACK block's start", i < t->nsack ? t->sack[i][0] - h->pisn : 0,
		     want->sack[i][0]);
		SAME("SACK block's end", i < t->nsack ? t->sack[i][1] - h->pisn : 0,
		     want->sack[i][1]);
	}
	if (want->check_wscale)
		SAME("wscale", t->wscale, want->wscale);
#undef SAME
	if (is < at || is >= at + LATE_NS)
		hist_fail(h, file, line, "segment sent at %.6f s, not at %.6f s", (double)is / 1e9,
			  (double)at / 1e9);
	check_payload(h, file, line, t);
}

void hist_expect_nothing(struct hist *h, const char *file, int line)
{
	if (h->next != h->nout)
		hist_fail(h, file, line, "segment sent at %.6f s that nobody expected",
			  (double)(h->out[h->next].at - h->zero) / 1e9);
}

void hist_skip(struct hist *h)
{
	if (h->next != h->nout)
		h->last = h->out[h->nout - 1].t;
	h->next = h->nout;
}

/* ---- The engine's side ----------------------------------------------------------------------- */

void hist_option(struct hist *h, enum mr_opt opt, int64_t value)
{
	CHECK_EQ(h, mr_set_option(h->sock ? h->sock : h->listener, opt, value), 0);
	hist_round(h);
}

void hist_listen(struct hist *h, int backlog)
{
	struct mr_endpoint local = { .port = HIST_ENGINE_PORT };

	h->eport = HIST_ENGINE_PORT;
	if (!h->listener)
		CHECK_EQ(h, mr_socket(h->engine, &h->listener), 0);
	CHECK_EQ(h, mr_bind(h->listener, &local), 0);
	CHECK_EQ(h, mr_listen(h->listener, backlog), 0);
}

void hist_accept(struct hist *h)
{
	struct mr_endpoint peer;

	CHECK_EQ(h, mr_accept(h->listener, &h->sock, &peer), 0);
	CHECK_EQ(h, peer.port, h->pport);
}

void hist_route_peer(struct hist *h)
{
	struct mr_route route = { .dst = { .addr = mr_addr_v4(htonl(PEER_IP)), .len = 32 },
				  .gateway = mr_addr_v4(htonl(ROUTER_IP)) };

	CHECK_EQ(h, mr_route_add(&h->engine->st->ip, &route), 0);
}

static struct hist_seg syn_of(const struct hist_peer *p, uint8_t flags, uint32_t ack)
{
	return (struct hist_seg){
		.flags = flags | p->ecn,
		.ae = p->ae,
		.ack = ack,
		.wnd = p->wnd ? p->wnd : HIST_PEER_WND,
		.mss = p->mss == MSS_NONE ? 0 :
		       p->mss		  ? p->mss :
					    PEER_MSS,
		.wscale = p->wscale,
		.has_wscale = p->has_wscale,
		.sack_perm = p->sack,
		.tsval = p->tsval,
	};
}

void hist_established(struct hist *h, const struct hist_peer *peer)
{
	struct hist_seg syn = syn_of(peer, SYN, 0);

	if (!h->eport)
		hist_listen(h, 16);
	hist_inject(h, &syn);
	EXPECT(h, .flags = SYN | ACK, .any_seq = true, .ack = 1);
	INJECT(h, .flags = ACK, .seq = 1, .ack = 1);
	hist_accept(h);
	EXPECT_NOTHING(h);
	hist_zero(h);
}

void hist_connect(struct hist *h)
{
	struct mr_endpoint peer = { .addr = mr_addr_v4(htonl(PEER_IP)), .port = HIST_PEER_PORT };
	struct mr_endpoint local;

	if (h->v6)
		memcpy(peer.addr.b, peer_ip6, sizeof(peer_ip6));
	if (!h->sock)
		CHECK_EQ(h, mr_socket(h->engine, &h->sock), 0);
	CHECK_EQ(h, mr_connect(h->sock, &peer), -EINPROGRESS);
	CHECK_EQ(h, mr_local(h->sock, &local), 0);
	h->eport = local.port;
	hist_zero(h);
	hist_round(h);
	EXPECT(h, .flags = SYN, .any_seq = true);
}

void hist_syn_ack(struct hist *h, const struct hist_peer *peer)
{
	struct hist_seg syn_ack = syn_of(peer, SYN | ACK, 1);

	hist_inject(h, &syn_ack);
}

void hist_connected(struct hist *h, const struct hist_peer *peer)
{
	hist_connect(h);
	hist_syn_ack(h, peer);
	EXPECT(h, .flags = ACK, .seq = 1, .ack = 1);
	CHECK(h, mr_ready(h->sock) & MR_OUT);
	hist_zero(h);
}

void hist_write(struct hist *h, uint32_t n)
{
	uint8_t *buf = malloc(n);

	if (!buf)
		abort();
	for (uint32_t i = 0; i < n; i++)
		buf[i] = engine_byte(h->written + i);
	CHECK_EQ(h, mr_send(h->sock, buf, n, 0), n);
	h->written += n;
	free(buf);
	hist_round(h);
}

void hist_read(struct hist *h, uint32_t n)
{
	uint8_t *buf = malloc(n);
	uint32_t got = 0;

	if (!buf)
		abort();
	while (got < n) {
		ssize_t r = mr_recv(h->sock, buf + got, n - got, 0);

		if (r <= 0)
			hist_fail(h, __FILE__, __LINE__, "mr_recv gave %zd after %u of %u bytes", r,
				  got, n);
		got += (uint32_t)r;
	}
	for (uint32_t i = 0; i < n; i++)
		CHECK_EQ(h, buf[i], peer_byte(h->read + i));
	h->read += n;
	free(buf);
	hist_round(h);
}

void hist_close(struct hist *h)
{
	mr_close(h->sock);
	h->sock = NULL;
	hist_round(h);
}

void hist_shutdown(struct hist *h)
{
	CHECK_EQ(h, mr_shutdown(h->sock, MR_SHUT_WR), 0);
	hist_round(h);
}

enum mr_tcp_state hist_state(struct hist *h)
{
	struct mr_sock_info info;

	CHECK_EQ(h, mr_sock_info(h->sock, &info), 0);
	return info.state;
}

/* ---- A history ------------------------------------------------------------------------------- */

static uint64_t hist_clock(void *user)
{
	const struct hist *h = user;

	return h->now;
}

static void hist_open(struct hist *h, const char *pcap)
{
	struct mr_stack_cfg scfg = {
		.mtu = MTU,
		.nframes = NFRAMES,
		.chunk_size = CHUNK,
		.max_chunks = MR_FRAME_MAX_CHUNKS,
		.txq_limit = 1024,
		.seed = 1,
	};
	struct sim_dev_cfg dev = {
		.tx_ring = SIM_DEV_RING_MAX,
		.kick_budget = SIM_DEV_RING_MAX,
		.rx_ring = 1024,
		.max_chunks = MR_FRAME_MAX_CHUNKS,
	};
	struct mr_config cfg;
	struct mr_error err = { 0 };
	char pcap_path[4096];

	memcpy(scfg.mac, engine_mac, sizeof(scfg.mac));
	mr_config_init(&cfg);
	cfg.ifname = "hist";
	CHECK_EQ(h, mr_config_add_address(&cfg, "10.0.0.1/24"), 0);
	if (h->v6)
		CHECK_EQ(h, mr_config_add_address(&cfg, "fd00::1/64"), 0);
	cfg.umem_frames = NFRAMES;
	cfg.chunk_size = CHUNK;
	cfg.max_sockets = 64;
	cfg.sndbuf = 262144;
	cfg.rcvbuf = 65535;
	cfg.seed = 1;
	if (pcap) {
		snprintf(pcap_path, sizeof(pcap_path), "%s.A.pcapng", pcap);
		cfg.pcap_path = pcap_path;
	}
	if (mr_engine_create(&h->engine, &cfg, &scfg, hist_clock, h, &err))
		hist_fail(h, __FILE__, __LINE__, "mr_engine_create: %s", err.text);
	h->dev = sim_dev_new(&dev, &h->engine->st->frames, &h->engine->st->ctr, &h->now);
	h->dev->send = engine_sent;
	h->dev->broken = device_broken;
	h->dev->user = h;
	if (mr_engine_start(h->engine, &cfg, &h->dev->base, &err))
		hist_fail(h, __FILE__, __LINE__, "mr_engine_start: %s", err.text);
	hist_round(h);
	if (h->v6) { /* until the address may be used (RFC 4862 section 5.4) */
		hist_run(h, SEC(2));
		hist_zero(h);
	}
}

/* End what the script left open; then everything must come back. */
static void hist_end(struct hist *h)
{
	const struct mr_stack *st = h->engine->st;

	if (h->sock)
		mr_abort(h->sock);
	if (h->listener)
		mr_close(h->listener);
	hist_round(h);
	hist_run(h, QUIET_NS);
	CHECK_EQ(h, st->tcp.tcbs.used, 0);
	CHECK_EQ(h, st->tcp.synreqs.used, 0);
	CHECK_EQ(h, st->tcp.tws.used, 0);
	CHECK_EQ(h, st->socks.pool.used, 0);
	CHECK_EQ(h, st->frames.nfree, st->frames.nframes);
	mr_engine_close(h->engine);
	for (unsigned i = 0; i < h->nout; i++)
		free(h->out[i].pkt);
	free(h->out);
	fclose(h->log);
	free(h->log_text);
}

void hist_run_test(const struct hist_test *test, bool verbose, const char *pcap)
{
	struct hist h = {
		.name = test->name,
		.verbose = verbose,
		.v6 = test->v6,
		.now = START_NS,
		.zero = START_NS,
		.pport = HIST_PEER_PORT,
		.pisn = HIST_PEER_ISN,
		.last_wnd = HIST_PEER_WND,
	};

	h.log = open_memstream(&h.log_text, &h.log_len);
	if (!h.log)
		abort();
	hist_open(&h, pcap);
	test->run(&h);
	EXPECT_NOTHING(&h);
	hist_end(&h);
}
