// SPDX-License-Identifier: BSD-2-Clause
/* wire_corrupt.c - packets that do not arrive as they were sent. */
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "packet.h"
#include "tcp/tcp_wire.h"
#include "wire.h"

static void flip(struct sim_rng *rng, uint8_t *pkt, uint32_t from, uint32_t to)
{
	pkt[sim_range(rng, from, to - 1)] ^= (uint8_t)(1u << sim_below(rng, 8));
}

/*
 * Flip bits anywhere, or just in the headers, or cut the end off. A 16-bit sum does not see every
 * change (two flips may cancel out), so flip on until it sees this one: what goes on to the stack is
 * what checksums can catch, and it must. Ethernet's FCS is not simulated, so a change to the Ethernet
 * header (a type that is not IPv4, say) or to padding may pass, and does no harm. ARP has nothing but
 * the FCS: it is dropped.
 */
const char *wire_corrupt(struct passing *p)
{
	struct sim_rng *rng = &p->w->rng;
	uint8_t *data = p->pkt->data, *before;
	const uint32_t len = p->pkt->len;
	const uint32_t hdr = mr_min(len, PKT_ETH_HLEN + PKT_IP_HLEN + MR_TCP_HLEN);
	uint32_t n;

	if (p->spared || !sim_ppm(rng, p->w->cfg.corrupt_ppm))
		return NULL;
	p->w->corrupted++;
	if (pkt_is_arp(data, len))
		return "corrupted";
	if (sim_one_in(rng, 8)) {
		p->pkt->len = (uint32_t)sim_range(rng, PKT_ETH_HLEN, len - 1);
		return NULL;
	}
	before = malloc(len);
	if (!before)
		abort();
	memcpy(before, data, len);
	n = (uint32_t)sim_log(rng, 64);
	if (sim_one_in(rng, 2))
		while (n--)
			flip(rng, data, 0, hdr);
	else
		while (n--)
			flip(rng, data, 0, len);
	while (!memcmp(before + 12, data + 12, 2) &&
	       memcmp(before + PKT_ETH_HLEN, data + PKT_ETH_HLEN, len - PKT_ETH_HLEN) != 0 &&
	       pkt_checksums_ok(data, len))
		flip(rng, data, PKT_ETH_HLEN, hdr);
	free(before);
	return NULL;
}
