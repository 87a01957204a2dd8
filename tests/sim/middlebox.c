// SPDX-License-Identifier: BSD-2-Clause
/*
 * middlebox.c - a middlebox, packet by packet.
 * Implements  what RFC 9768 sections 3.2.2.3 and 3.2.3.2, RFC 3168 section 6.1.1.1, RFC 7413 section 4.1.3
 *             and RFC 4821 section 1 are afraid of; RFC 792 and RFC 4443 for the errors it sends.
 * Not here    loss, delay and queues (wire.c).
 */
#include <string.h>
#include "base/compiler.h"
#include "middlebox.h"
#include "packet.h"
#include "tcp/tcp_wire.h"
#include "wire.h"

#define ETHERTYPE_IPV6 0x86dd
#define IPV6_HLEN      40u
#define IPV4_HLEN_MAX  60u
#define PROTO_TCP      6
#define CSUM_OFF       16

/* Where the parts of a TCP packet are. */
struct view {
	uint8_t *ip, *tcp;
	uint32_t hlen; /* of TCP */
	bool v6, syn;
	struct pkt_tcp t;
};

static bool look(uint8_t *pkt, uint32_t len, struct view *v)
{
	if (!pkt_tcp_parse(pkt, len, &v->t))
		return false;
	v->ip = pkt + PKT_ETH_HLEN;
	v->v6 = pkt_get16(pkt + 12) == ETHERTYPE_IPV6;
	v->tcp = v->ip + (v->v6 ? IPV6_HLEN : (v->ip[0] & 15u) * 4);
	v->hlen = (uint32_t)(v->tcp[12] >> 4) * 4;
	v->syn = v->t.flags & MR_TCP_SYN;
	return true;
}

/* After a change: both checksums anew, as a box that knows what it does would. */
static void sum_again(struct view *v)
{
	uint32_t l4_len = v->hlen + v->t.len, sum;

	if (!v->v6) {
		pkt_put16(v->ip + 10, 0);
		pkt_put16(v->ip + 10, (uint16_t)~pkt_sum(0, v->ip, (v->ip[0] & 15u) * 4));
	}
	pkt_put16(v->tcp + CSUM_OFF, 0);
	sum = v->v6 ? pkt_sum(PROTO_TCP + l4_len, v->ip + 8, 32) :
		      pkt_sum(PROTO_TCP + l4_len, v->ip + 12, 8);
	pkt_put16(v->tcp + CSUM_OFF, (uint16_t)~pkt_sum(sum, v->tcp, l4_len));
}

/* ---- Options --------------------------------------------------------------------------------- */

static bool listed(const uint8_t *kinds, uint8_t kind)
{
	for (unsigned i = 0; i < SIM_BOX_KINDS && kinds[i]; i++)
		if (kinds[i] == kind)
			return true;
	return false;
}

/* Is there an option of the list? With strip they are overwritten. */
static bool find_options(struct view *v, const uint8_t *kinds, bool strip)
{
	uint8_t *o = v->tcp + MR_TCP_HLEN, *end = v->tcp + v->hlen;
	bool found = false;

	while (o < end && *o) {
		uint8_t n = *o == 1 ? 1 : o[1];

		if (listed(kinds, *o)) {
			found = true;
			if (strip)
				memset(o, 1, n);
		}
		o += n;
	}
	return found;
}

/* ---- ECN ------------------------------------------------------------------------------------- */

static uint8_t get_ecn(const struct view *v)
{
	return v->t.tos & 3;
}

static void set_ecn(struct view *v, uint8_t ecn)
{
	if (v->v6)
		v->ip[1] = (uint8_t)((v->ip[1] & ~0x30) | ecn << 4);
	else
		v->ip[1] = (uint8_t)((v->ip[1] & ~3) | ecn);
}

static bool clear_flags(struct view *v, uint16_t flags)
{
	uint8_t ae = flags & SIM_BOX_AE ? 1 : 0, low = (uint8_t)flags;

	if (!(v->tcp[12] & ae) && !(v->tcp[13] & low))
		return false;
	v->tcp[12] &= (uint8_t)~ae;
	v->tcp[13] &= (uint8_t)~low;
	return true;
}

static bool has_ecn_flags(const struct view *v)
{
	return v->tcp[12] & 1 || v->tcp[13] & (MR_TCP_ECE | MR_TCP_CWR);
}

/* ---- Errors that it sends -------------------------------------------------------------------- */

/* An ICMP error back to host `to`, about this packet, whose sequence number is another one if `forged`. */
static void complain(struct sim *sim, int to, const struct view *v, uint32_t mtu, bool forged)
{
	uint8_t about[PKT_ETH_HLEN + IPV4_HLEN_MAX + 8], error[PKT_TOO_BIG_LEN];
	uint32_t quoted = PKT_ETH_HLEN + (uint32_t)(v->tcp - v->ip) + 8, len;

	memcpy(about, v->ip - PKT_ETH_HLEN, quoted);
	if (forged)
		pkt_put32(about + quoted - 4, (uint32_t)sim_rand(&sim->wire[to].rng));
	len = pkt_too_big(error, about, mtu);
	sim_wire_deliver(sim, to, sim->now + sim->wire[to].cfg.delay_ns + 1, error, len);
}

static bool too_big(const struct sim *sim, const struct sim_box *box, uint32_t len)
{
	return box->mtu && sim->now >= box->mtu_at && (!box->mtu_end || sim->now < box->mtu_end) &&
	       len > PKT_ETH_HLEN + box->mtu;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static bool eaten(const struct sim_box *box, struct view *v)
{
	return find_options(v, box->eat, false) ||
	       (v->syn && find_options(v, box->eat_syn, false)) ||
	       (v->syn && box->eat_ecn_syn && has_ecn_flags(v)) ||
	       (v->syn && box->eat_syn_data && v->t.len);
}

static bool change(struct sim *sim, int from, const struct sim_box *box, struct view *v,
		   uint32_t *len)
{
	bool changed = find_options(v, box->strip, true);

	changed |= clear_flags(v, box->clear_flags);
	if (v->syn && box->cut_syn_data && v->t.len) {
		uint32_t total = (uint32_t)(v->tcp - v->ip) + v->hlen;

		pkt_put16(v->ip + (v->v6 ? 4 : 2), v->v6 ? total - IPV6_HLEN : total);
		*len = PKT_ETH_HLEN + total;
		v->t.len = 0;
		changed = true;
	}
	if (box->mangle_ecn && get_ecn(v) != box->ecn) {
		set_ecn(v, box->ecn);
		changed = true;
	}
	if (get_ecn(v) && get_ecn(v) != 3 && sim_ppm(&sim->wire[from].rng, box->ce_ppm)) {
		set_ecn(v, 3);
		changed = true;
	}
	return changed;
}

bool sim_box_pass(struct sim *sim, int from, struct sim_box *box, uint8_t *pkt, uint32_t *len)
{
	struct view v;

	if (!look(pkt, *len, &v))
		return true;
	if (sim_ppm(&sim->wire[from].rng, box->forge_ppm)) {
		box->forged++;
		complain(sim, from, &v, 1280, true);
	}
	if (eaten(box, &v)) {
		box->eaten++;
		return false;
	}
	if (change(sim, from, box, &v, len)) {
		box->changed++;
		sum_again(&v);
	}
	if (too_big(sim, box, *len)) {
		box->too_big++;
		if (box->icmp)
			complain(sim, from, &v, box->icmp_no_mtu ? 0 : box->mtu, false);
		return false;
	}
	return true;
}
