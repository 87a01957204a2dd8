// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_fastopen.c - TCP Fast Open: data in the SYN, authorised by a cookie.
 * Owns        the cookies that we grant and those that we have got (tcp.tfo_dsts), the keys, tcb->tfo.
 * Implements  RFC 7413: sections 4.1 (cookies; two keys, so that a new one can be set at any time), 4.1.3.1 (losses),
 *             4.2 (the handshake), 5.1 (limit of unconfirmed connections).
 * Called by   tcp_listen.c, input, output, the opens.
 *
 * A server's connection exists from the SYN on, as a TCB in SYN-RECEIVED that receives and sends. A client's SYN
 * carries a copy of the head of the send queue, which counts as unsent until the SYN,ACK says how much of it was
 * accepted: so nothing has to be repaired if none was.
 */
#include <endian.h>
#include <linux/tcp.h>
#include <string.h>

#include "base/addr.h"
#include "base/compiler.h"
#include "base/csum.h"
#include "base/hash.h"
#include "tcp/tcp_priv.h"

#define PURPOSE		4u /* tcp_isn.c and tcp_cookie.c have 0 to 3 */
#define COOKIE_LEN	8u
#define RESETS_COUNT_NS (60 * MR_NS_PER_S)
/* How long a cookie is kept. The server may change its key at any time, which costs one RTT. */
#define KEEP_S	    86400u
#define COOKIE_FITS 14u /* room beside all other options of a SYN; a longer cookie is not kept */
/* How long Fast Open is avoided after such a SYN was lost (section 4.1.3.1). */
#define AVOID_S 3600u

/* ---- The server's side ----------------------------------------------------------------------- */

bool mr_tfo_keys_set(struct mr_tfo_keys *keys, const void *key, size_t len)
{
	if (len != MR_TFO_KEY_LEN && len != sizeof(keys->key))
		return false;
	*keys = (struct mr_tfo_keys){ .n = (uint8_t)(len / MR_TFO_KEY_LEN) };
	memcpy(keys->key, key, len);
	return true;
}

void tfo_init(struct mr_tcp *tcp)
{
	uint64_t made_up[2];

	for (uint32_t i = 0; i < MR_ARRAY_SIZE(made_up); i++) {
		uint32_t in[2] = { PURPOSE, i };

		made_up[i] = mr_siphash(tcp->secret, in, sizeof(in));
	}
	mr_tfo_keys_set(&tcp->tfo_keys, made_up, sizeof(made_up));
}

static const struct mr_tfo_keys *keys_of(const struct mr_tcp *tcp, const struct mr_tcp_listener *l)
{
	return l->tfo_keys.n ? &l->tfo_keys : &tcp->tfo_keys;
}

/* Computed over the addresses in the SYN, the client's first, as in Linux: servers that share a key accept each
 * other's cookies, whether they run Linux or Millrace (section 4.1.1). */
static void make_cookie(const uint8_t key[MR_TFO_KEY_LEN], const struct mr_flow *flow,
			uint8_t cookie[COOKIE_LEN])
{
	bool v4 = mr_addr_is_v4(&flow->raddr);
	size_t len = v4 ? 4 : 16, skip = v4 ? 12 : 0;
	uint64_t k[2], mac;
	uint8_t in[32];

	memcpy(in, flow->raddr.b + skip, len);
	memcpy(in + len, flow->laddr.b + skip, len);
	memcpy(k, key, sizeof(k));
	k[0] = le64toh(k[0]);
	k[1] = le64toh(k[1]);
	mac = htole64(mr_siphash(k, in, 2 * len));
	memcpy(cookie, &mac, COOKIE_LEN);
}

void tfo_grant(const struct mr_tcp *tcp, const struct mr_tcp_listener *l,
	       const struct mr_flow *flow, struct mr_seg *synack)
{
	if (!l)
		return;
	synack->opts |= MR_TCPOPT_TFO;
	synack->ntfo = COOKIE_LEN;
	make_cookie(keys_of(tcp, l)->key[0], flow, synack->tfo);
}

enum tfo_made_by tfo_cookie_check(const struct mr_tcp *tcp, const struct mr_tcp_listener *l,
				  const struct mr_flow *flow, const struct mr_seg *syn)
{
	const struct mr_tfo_keys *keys = keys_of(tcp, l);
	uint8_t want[COOKIE_LEN];

	if (syn->ntfo != COOKIE_LEN)
		return TFO_BY_NONE;
	for (unsigned k = 0; k < keys->n; k++) {
		uint8_t differs = 0;

		make_cookie(keys->key[k], flow, want);
		for (unsigned i = 0; i < COOKIE_LEN; i++)
			differs |= (uint8_t)(want[i] ^ syn->tfo[i]);
		if (!differs)
			return k ? TFO_BY_OLD_KEY : TFO_BY_KEY;
	}
	return TFO_BY_NONE;
}

void tfo_confirmed(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	if (tcb->tfo == MR_TFO_PENDING)
		tcp->tfo_pending--;
	tcb->tfo = MR_TFO_NONE;
}

/* An attacker with the cookie of another host's address makes the server send to that host, which resets the
 * connection at once. To limit that attack, too, such a connection counts as unconfirmed for another minute (RFC 7413
 * section 5.1, as Linux). */
static void resets_age(struct mr_tcp *tcp, uint64_t now)
{
	uint32_t minute = (uint32_t)(now / RESETS_COUNT_NS);

	if (minute == tcp->tfo_minute)
		return;
	tcp->tfo_resets[1] = minute == tcp->tfo_minute + 1 ? tcp->tfo_resets[0] : 0;
	tcp->tfo_resets[0] = 0;
	tcp->tfo_minute = minute;
}

void tfo_reset(struct mr_tcp *tcp, uint64_t now)
{
	resets_age(tcp, now);
	tcp->tfo_resets[0]++;
}

uint32_t tfo_unconfirmed(struct mr_tcp *tcp, uint64_t now)
{
	resets_age(tcp, now);
	return tcp->tfo_pending + tcp->tfo_resets[0] + tcp->tfo_resets[1];
}

/* ---- The client's side ----------------------------------------------------------------------- */

static struct mr_tfo_dst *set_of(struct mr_tcp *tcp, const struct mr_addr *addr)
{
	return tcp->tfo_dsts[mr_siphash(tcp->secret, addr, sizeof(*addr)) % MR_TFO_SETS];
}

/* The entry of this server, or NULL. */
static struct mr_tfo_dst *find(struct mr_tcp *tcp, const struct mr_addr *addr, uint64_t now)
{
	struct mr_tfo_dst *set = set_of(tcp, addr);

	for (unsigned i = 0; i < MR_TFO_WAYS; i++)
		if (set[i].until_s > now / MR_NS_PER_S && mr_addr_eq(&set[i].addr, addr))
			return &set[i];
	return NULL;
}

static struct mr_tfo_dst *remember(struct mr_tcp *tcp, const struct mr_addr *addr, uint64_t now,
				   uint32_t seconds)
{
	struct mr_tfo_dst *d = find(tcp, addr, now), *set = set_of(tcp, addr);

	if (!d) {
		d = set;
		for (unsigned i = 1; i < MR_TFO_WAYS; i++)
			if (set[i].until_s < d->until_s)
				d = &set[i];
	}
	*d = (struct mr_tfo_dst){
		.addr = *addr,
		.until_s = (uint32_t)(now / MR_NS_PER_S) + seconds,
	};
	return d;
}

/* Before the SYN is sent: let it carry data if there is a cookie; otherwise request a cookie, unless such SYNs get
 * lost. */
void tfo_begin(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	const struct mr_tfo_dst *d = find(tcp, &tcb->flow.raddr, now);

	if (!d)
		tcb->tfo = MR_TFO_ASK;
	else if (d->len)
		tcb->tfo = MR_TFO_WAIT;
}

void tfo_syn(struct mr_tcp *tcp, struct mr_tcb *tcb, struct mr_seg *syn, uint64_t now)
{
	const struct mr_tfo_dst *d = find(tcp, &tcb->flow.raddr, now);

	if (tcb->retrans || (tcb->tfo != MR_TFO_ASK && tcb->tfo != MR_TFO_SENT))
		return;
	syn->opts |= MR_TCPOPT_TFO;
	syn->ntfo = tcb->tfo == MR_TFO_SENT && d ? d->len : 0;
	memcpy(syn->tfo, d ? d->cookie : syn->tfo, syn->ntfo);
}

uint32_t tfo_room(struct mr_tcp *tcp, const struct mr_tcb *tcb, const struct mr_seg *syn,
		  uint64_t now)
{
	const struct mr_tfo_dst *d = find(tcp, &tcb->flow.raddr, now);
	uint32_t options = mr_tcp_header_len(syn) - MR_TCP_HLEN, room, mss = tcb->snd_mss;

	if (tcb->tfo != MR_TFO_SENT || tcb->retrans || !d)
		return 0;
	mss = mr_min(mss, (uint32_t)d->mss); /* the server's MSS of the last time */
	room = tcp->frames->chunk_size - MR_FRAME_HEADROOM;
	return mss > options ? mr_min(mss - options, room) : 0;
}

void tfo_synack(struct mr_tcp *tcp, struct mr_tcb *tcb, const struct mr_seg *synack, uint64_t now)
{
	uint32_t taken = seq_diff(synack->ack, tcb->iss + 1);
	struct mr_tfo_dst *d;

	if (synack->opts & MR_TCPOPT_TFO && synack->ntfo && synack->ntfo <= COOKIE_FITS) {
		d = remember(tcp, &tcb->flow.raddr, now, KEEP_S);
		d->len = synack->ntfo;
		d->mss = tcb->peer_mss;
		memcpy(d->cookie, synack->tfo, synack->ntfo);
	} else if ((tcb->tfo == MR_TFO_SENT || tcb->tfo == MR_TFO_ASK) && tcb->retrans) {
		remember(tcp, &tcb->flow.raddr, now, AVOID_S);
		MR_COUNT(tcp->ctr, TCP_TFO_AVOIDED);
	}
	tcb->syn_data = taken != 0;
	if (tcb->tfo != MR_TFO_NONE && !taken)
		tcb->tfo_fail = tcb->retrans		? TFO_SYN_RETRANSMITTED :
				tcb->tfo == MR_TFO_SENT ? TFO_DATA_NOT_ACKED :
							  TFO_COOKIE_UNAVAILABLE;
	if (taken) {
		MR_COUNT(tcp->ctr, TCP_TFO_OUT);
		sndq_drop(tcp, tcb, taken);
		tcb->snd_nxt += taken;
		tcb->bytes_acked += taken;
	}
	tcb->tfo = MR_TFO_NONE;
	tcb->tfo_len = 0;
}
