// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_wire.c - TCP headers and options as bytes.
 * Owns        the wire format; nothing else in the engine reads or writes a TCP header byte.
 * Implements  RFC 9293 section 3.1 and 3.2, RFC 7323 sections 2.2 and 3.2, RFC 9768 section 3.2.3.
 * Called by   tcp_input.c, tcp_output.c, the ICMP quote and the fuzzers.
 * Not here    what a segment means for a connection.
 */
#include "tcp/tcp_wire.h"

#include <string.h>

#include "base/csum.h"

enum {
	OPT_EOL = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_WSCALE = 3,
	OPT_SACK_PERM = 4,
	OPT_SACK = 5,
	OPT_TS = 8,
	OPT_TFO = 34,
	OPT_ACCECN0 = 172,
	OPT_ACCECN1 = 174,
};

#define OPTLEN_MSS	 4u
#define OPTLEN_WSCALE	 3u
#define OPTLEN_SACK_PERM 2u
#define OPTLEN_SACK(n)	 (2u + 8u * (n))
#define OPTLEN_TS	 10u
#define OPTLEN_ACCECN(n) (2u + 3u * (n))
#define CSUM_OFF	 16u

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static void parse_sack(const uint8_t *p, uint8_t len, struct mr_seg *seg)
{
	uint8_t n = (uint8_t)((len - 2u) / 8u);

	if (!n || n > MR_TCP_SACK_BLOCKS || len != OPTLEN_SACK(n))
		return;
	for (uint8_t i = 0; i < n; i++)
		seg->sack[i] = (struct mr_sack_block){ get32(p + 2 + 8 * i), get32(p + 6 + 8 * i) };
	seg->nsack = n;
	seg->opts |= MR_TCPOPT_SACK;
}

/* RFC 7413 section 2: of any other length it counts as absent. */
static void parse_tfo(const uint8_t *p, uint8_t len, struct mr_seg *seg)
{
	uint8_t n = (uint8_t)(len - 2u);

	if (!(seg->flags & MR_TCP_SYN) ||
	    (n && (n < MR_TCP_TFO_MIN || n > MR_TCP_TFO_MAX || n & 1)))
		return;
	seg->opts |= MR_TCPOPT_TFO;
	seg->ntfo = n;
	memcpy(seg->tfo, p + 2, n);
}

/* RFC 9768 section 3.2.3: whole fields count, whatever the length; one more octet or two is padding. */
static void parse_accecn(const uint8_t *p, uint8_t len, struct mr_seg *seg)
{
	uint8_t n = (uint8_t)((len - 2u) / 3u);

	seg->naccecn = n > MR_TCP_ACCECN_FIELDS ? MR_TCP_ACCECN_FIELDS : n;
	for (uint8_t i = 0; i < seg->naccecn; i++)
		seg->accecn[i] = get32(p + 1 + 3 * i) & MR_TCP_ACCECN_MASK;
	seg->opts &= (uint8_t) ~(MR_TCPOPT_ACCECN0 | MR_TCPOPT_ACCECN1); /* the last one holds */
	seg->opts |= p[0] == OPT_ACCECN0 ? MR_TCPOPT_ACCECN0 : MR_TCPOPT_ACCECN1;
}

/* An option of a known kind with a wrong length is ignored, as Linux does; a length that leads
 * nowhere ends the segment's life. */
static bool parse_options(const uint8_t *p, const uint8_t *end, struct mr_seg *seg)
{
	while (p < end) {
		uint8_t kind = p[0], len;

		if (kind == OPT_EOL)
			return true;
		if (kind == OPT_NOP) {
			p++;
			continue;
		}
		if (end - p < 2)
			return false;
		len = p[1];
		if (len < 2 || len > end - p)
			return false;
		if (kind == OPT_MSS && len == OPTLEN_MSS && (seg->flags & MR_TCP_SYN)) {
			seg->mss = get16(p + 2);
			seg->opts |= MR_TCPOPT_MSS;
		} else if (kind == OPT_WSCALE && len == OPTLEN_WSCALE &&
			   (seg->flags & MR_TCP_SYN)) {
			seg->wscale = p[2] > MR_TCP_MAX_WSCALE ? MR_TCP_MAX_WSCALE : p[2];
			seg->opts |= MR_TCPOPT_WSCALE;
		} else if (kind == OPT_TS && len == OPTLEN_TS) {
			seg->tsval = get32(p + 2);
			seg->tsecr = get32(p + 6);
			seg->opts |= MR_TCPOPT_TS;
		} else if (kind == OPT_SACK_PERM && len == OPTLEN_SACK_PERM &&
			   (seg->flags & MR_TCP_SYN)) {
			seg->opts |= MR_TCPOPT_SACK_PERM;
		} else if (kind == OPT_SACK) {
			parse_sack(p, len, seg);
		} else if (kind == OPT_ACCECN0 || kind == OPT_ACCECN1) {
			parse_accecn(p, len, seg);
		} else if (kind == OPT_TFO) {
			parse_tfo(p, len, seg);
		}
		p += len;
	}
	return true;
}

static bool flags_sane(uint8_t flags)
{
	if (flags & MR_TCP_SYN)
		return !(flags & (MR_TCP_FIN | MR_TCP_RST));
	if (flags & MR_TCP_RST)
		return !(flags & MR_TCP_FIN);
	if (flags & MR_TCP_FIN)
		return (flags & MR_TCP_ACK) != 0;
	return (flags & (MR_TCP_ACK | MR_TCP_PSH | MR_TCP_URG)) != 0;
}

enum mr_drop mr_tcp_parse(const uint8_t *hdr, uint32_t avail, uint32_t l4_len, struct mr_seg *seg)
{
	uint32_t hlen;

	if (avail < MR_TCP_HLEN || l4_len < MR_TCP_HLEN)
		return MR_DROP_TCP_TRUNCATED;
	hlen = (uint32_t)(hdr[12] >> 4) * 4;
	if (hlen < MR_TCP_HLEN || hlen > avail || hlen > l4_len)
		return MR_DROP_TCP_BAD_HDRLEN;
	memset(seg, 0, sizeof(*seg));
	seg->sport = get16(hdr);
	seg->dport = get16(hdr + 2);
	seg->seq = get32(hdr + 4);
	seg->ack = get32(hdr + 8);
	seg->hlen = (uint8_t)hlen;
	seg->ae = hdr[12] & 1;
	seg->flags = hdr[13];
	seg->wnd = get16(hdr + 14);
	seg->up = get16(hdr + 18);
	seg->len = l4_len - hlen;
	if (!seg->sport || !seg->dport)
		return MR_DROP_TCP_PORT_ZERO;
	if (!flags_sane(seg->flags))
		return MR_DROP_TCP_BAD_FLAGS;
	if (!parse_options(hdr + MR_TCP_HLEN, hdr + hlen, seg))
		return MR_DROP_TCP_OPTIONS;
	return MR_DROP_NONE;
}

uint32_t mr_tcp_header_len(const struct mr_seg *seg)
{
	uint32_t n = MR_TCP_HLEN;

	n += seg->opts & MR_TCPOPT_MSS ? OPTLEN_MSS : 0;
	n += seg->opts & MR_TCPOPT_WSCALE ? OPTLEN_WSCALE + 1 : 0;
	n += seg->opts & MR_TCPOPT_TS ? MR_TCP_TS_LEN : 0;
	n += seg->opts & MR_TCPOPT_SACK_PERM ? OPTLEN_SACK_PERM + 2 : 0;
	n += seg->opts & MR_TCPOPT_SACK ? OPTLEN_SACK(seg->nsack) + 2 : 0;
	if (seg->opts & MR_TCPOPT_TFO)
		n += (2u + seg->ntfo + 3) / 4 * 4;
	if (seg->opts & (MR_TCPOPT_ACCECN0 | MR_TCPOPT_ACCECN1))
		n += (OPTLEN_ACCECN(seg->naccecn) + 3) / 4 * 4;
	return n;
}

static uint8_t *write_accecn(uint8_t *p, const struct mr_seg *seg)
{
	uint8_t len = (uint8_t)OPTLEN_ACCECN(seg->naccecn);

	for (uint8_t pad = (uint8_t)(-len & 3); pad; pad--)
		*p++ = OPT_NOP;
	p[0] = seg->opts & MR_TCPOPT_ACCECN0 ? OPT_ACCECN0 : OPT_ACCECN1;
	p[1] = len;
	for (uint8_t i = 0; i < seg->naccecn; i++) {
		p[2 + 3 * i] = (uint8_t)(seg->accecn[i] >> 16);
		put16(p + 3 + 3 * i, seg->accecn[i]);
	}
	return p + len;
}

static uint8_t *write_tfo(uint8_t *p, const struct mr_seg *seg)
{
	uint8_t len = (uint8_t)(2u + seg->ntfo);

	for (uint8_t pad = (uint8_t)(-len & 3); pad; pad--)
		*p++ = OPT_NOP;
	p[0] = OPT_TFO;
	p[1] = len;
	memcpy(p + 2, seg->tfo, seg->ntfo);
	return p + len;
}

/* Options are padded by NOPs in front, so that the timestamps stand at a multiple of four (RFC 7323
 * appendix A). */
static uint8_t *write_options(uint8_t *p, const struct mr_seg *seg)
{
	if (seg->opts & MR_TCPOPT_MSS) {
		p[0] = OPT_MSS;
		p[1] = OPTLEN_MSS;
		put16(p + 2, seg->mss);
		p += OPTLEN_MSS;
	}
	if (seg->opts & MR_TCPOPT_TS) {
		p[0] = OPT_NOP;
		p[1] = OPT_NOP;
		p[2] = OPT_TS;
		p[3] = OPTLEN_TS;
		put32(p + 4, seg->tsval);
		put32(p + 8, seg->tsecr);
		p += MR_TCP_TS_LEN;
	}
	if (seg->opts & MR_TCPOPT_SACK_PERM) {
		p[0] = OPT_NOP;
		p[1] = OPT_NOP;
		p[2] = OPT_SACK_PERM;
		p[3] = OPTLEN_SACK_PERM;
		p += OPTLEN_SACK_PERM + 2;
	}
	if (seg->opts & MR_TCPOPT_SACK) {
		p[0] = OPT_NOP;
		p[1] = OPT_NOP;
		p[2] = OPT_SACK;
		p[3] = (uint8_t)OPTLEN_SACK(seg->nsack);
		for (uint8_t i = 0; i < seg->nsack; i++) {
			put32(p + 4 + 8 * i, seg->sack[i].start);
			put32(p + 8 + 8 * i, seg->sack[i].end);
		}
		p += OPTLEN_SACK(seg->nsack) + 2;
	}
	if (seg->opts & MR_TCPOPT_TFO)
		p = write_tfo(p, seg);
	if (seg->opts & (MR_TCPOPT_ACCECN0 | MR_TCPOPT_ACCECN1))
		p = write_accecn(p, seg);
	if (seg->opts & MR_TCPOPT_WSCALE) {
		p[0] = OPT_NOP;
		p[1] = OPT_WSCALE;
		p[2] = OPTLEN_WSCALE;
		p[3] = seg->wscale;
		p += OPTLEN_WSCALE + 1;
	}
	return p;
}

uint32_t mr_tcp_write_header(uint8_t *hdr, const struct mr_seg *seg)
{
	uint32_t hlen;

	put16(hdr, seg->sport);
	put16(hdr + 2, seg->dport);
	put32(hdr + 4, seg->seq);
	put32(hdr + 8, seg->flags & MR_TCP_ACK ? seg->ack : 0);
	hdr[13] = seg->flags;
	put16(hdr + 14, seg->wnd);
	put16(hdr + CSUM_OFF, 0);
	put16(hdr + 18, seg->flags & MR_TCP_URG ? seg->up : 0);
	hlen = (uint32_t)(write_options(hdr + MR_TCP_HLEN, seg) - hdr);
	hdr[12] = (uint8_t)(hlen / 4 << 4 | seg->ae);
	return hlen;
}

void mr_tcp_write_csum(uint8_t *hdr, uint32_t sum)
{
	uint16_t csum = (uint16_t)~mr_csum_fold(sum);

	memcpy(hdr + CSUM_OFF, &csum, sizeof(csum));
}

void mr_tcp_write_csum_partial(uint8_t *hdr, uint32_t sum)
{
	uint16_t csum = mr_csum_fold(sum);

	memcpy(hdr + CSUM_OFF, &csum, sizeof(csum));
}
