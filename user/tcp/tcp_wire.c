// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_wire.c - TCP headers and options as bytes.
 * Owns        the wire format; nothing else in the engine reads or writes a TCP header byte.
 * Implements  RFC 9293 section 3.1 and 3.2, RFC 7323 sections 2.2 and 3.2, RFC 9768 section 3.2.3.
 * Called by   tcp_input.c, tcp_xmit.c, the ICMP quote and the fuzzers.
 * Not here    what a segment means for a connection.
 */
#include "tcp/tcp_wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "base/compiler.h"
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
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return ntohl(word);
}

/* The begin of an option whose first two bytes are the end of a word: padding, kind and length. */
static uint32_t option(uint32_t kind, uint32_t len)
{
	return OPT_NOP << 24 | OPT_NOP << 16 | kind << 8 | len;
}

static void parse_timestamps(const uint8_t *p, struct mr_seg *seg)
{
	seg->tsval = get32(p + 2);
	seg->tsecr = get32(p + 6);
	seg->opts |= MR_TCPOPT_TS;
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

/* RFC 7413 section 2: an option of another length is ignored. */
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

/* RFC 9768 section 3.2.3: only whole fields count, whatever the length; one or two more bytes are padding. */
static void parse_accecn(const uint8_t *p, uint8_t len, struct mr_seg *seg)
{
	uint8_t n = (uint8_t)((len - 2u) / 3u);

	seg->naccecn = n > MR_TCP_ACCECN_FIELDS ? MR_TCP_ACCECN_FIELDS : n;
	for (uint8_t i = 0; i < seg->naccecn; i++)
		seg->accecn[i] = get32(p + 1 + 3 * i) & MR_TCP_ACCECN_MASK;
	seg->opts &= (uint8_t) ~(MR_TCPOPT_ACCECN0 | MR_TCPOPT_ACCECN1); /* the last one counts */
	seg->opts |= p[0] == OPT_ACCECN0 ? MR_TCPOPT_ACCECN0 : MR_TCPOPT_ACCECN1;
}

/* As Linux: a known option with a wrong length is skipped; after an invalid length nothing more is read, and the
 * options before it count. */
static void parse_options(const uint8_t *p, const uint8_t *end, struct mr_seg *seg)
{
	/* Check for what nearly all segments begin with (RFC 7323 appendix A). */
	if (end - p >= (int)MR_TCP_TS_LEN && get32(p) == option(OPT_TS, OPTLEN_TS)) {
		parse_timestamps(p + 2, seg);
		p += MR_TCP_TS_LEN;
	}
	while (p < end) {
		uint8_t kind = p[0], len;

		if (kind == OPT_EOL)
			return;
		if (kind == OPT_NOP) {
			p++;
			continue;
		}
		if (end - p < 2)
			return;
		len = p[1];
		if (len < 2 || len > end - p)
			return;
		if (kind == OPT_MSS && len == OPTLEN_MSS && (seg->flags & MR_TCP_SYN) &&
		    get16(p + 2)) { /* an MSS of 0 is ignored, too */
			seg->mss = get16(p + 2);
			seg->opts |= MR_TCPOPT_MSS;
		} else if (kind == OPT_WSCALE && len == OPTLEN_WSCALE &&
			   (seg->flags & MR_TCP_SYN)) {
			seg->wscale = p[2] > MR_TCP_MAX_WSCALE ? MR_TCP_MAX_WSCALE : p[2];
			seg->opts |= MR_TCPOPT_WSCALE;
		} else if (kind == OPT_TS && len == OPTLEN_TS) {
			parse_timestamps(p, seg);
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
	parse_options(hdr + MR_TCP_HLEN, hdr + hlen, seg);
	return MR_DROP_NONE;
}

uint32_t mr_tcp_header_len(const struct mr_seg *seg)
{
	uint32_t n = MR_TCP_HLEN;

	n += seg->opts & MR_TCPOPT_MSS ? OPTLEN_MSS : 0;
	n += seg->opts & MR_TCPOPT_WSCALE ? OPTLEN_WSCALE + 1 : 0;
	n += seg->opts & MR_TCPOPT_TS ? MR_TCP_TS_LEN : 0;
	if ((seg->opts & (MR_TCPOPT_SACK_PERM | MR_TCPOPT_TS)) == MR_TCPOPT_SACK_PERM)
		n += OPTLEN_SACK_PERM + 2; /* else it takes the place of the timestamps' padding */
	n += seg->opts & MR_TCPOPT_SACK ? OPTLEN_SACK(seg->nsack) + 2 : 0;
	if (seg->opts & MR_TCPOPT_TFO)
		n += (2u + seg->ntfo + 3) / 4 * 4;
	if (seg->opts & (MR_TCPOPT_ACCECN0 | MR_TCPOPT_ACCECN1))
		n += (OPTLEN_ACCECN(seg->naccecn) + 3) / 4 * 4;
	return n;
}

/* A header that is being written. Its words are summed as they are written. Summing it afterwards would read in long
 * pieces what was just written in short ones, and the processor would wait until the writes have reached the cache. */
struct writer {
	uint8_t *p;
	uint64_t sum;
	uint32_t bytes; /* the bytes of the next word so far */
	unsigned nbytes;
};

static void put(struct writer *w, uint32_t word)
{
	word = htonl(word);
	memcpy(w->p, &word, sizeof(word));
	w->p += sizeof(word);
	w->sum += word;
}

/* Add a byte; four make a word. */
static void put_byte(struct writer *w, uint32_t byte)
{
	w->bytes = w->bytes << 8 | (byte & 0xff);
	if (++w->nbytes < 4)
		return;
	put(w, w->bytes);
	w->nbytes = 0;
}

static void put_kind(struct writer *w, uint32_t kind, uint32_t len)
{
	for (uint32_t pad = -len & 3; pad; pad--)
		put_byte(w, OPT_NOP);
	put_byte(w, kind);
	put_byte(w, len);
}

static void write_accecn(struct writer *w, const struct mr_seg *seg)
{
	put_kind(w, seg->opts & MR_TCPOPT_ACCECN0 ? OPT_ACCECN0 : OPT_ACCECN1,
		 OPTLEN_ACCECN(seg->naccecn));
	for (uint8_t i = 0; i < seg->naccecn; i++)
		for (int shift = 16; shift >= 0; shift -= 8)
			put_byte(w, seg->accecn[i] >> shift);
}

static void write_tfo(struct writer *w, const struct mr_seg *seg)
{
	put_byte(w, OPT_TFO);
	put_byte(w, 2u + seg->ntfo);
	for (uint8_t i = 0; i < seg->ntfo; i++)
		put_byte(w, seg->tfo[i]);
	while (w->nbytes)
		put_byte(w, OPT_NOP);
}

/* Options are preceded by NOPs as padding, so that timestamps are at a multiple of four (RFC 7323 appendix A). In a SYN,
 * which has little room, SACK-permitted takes the place of two NOPs (as Linux). */
static void write_options(struct writer *w, const struct mr_seg *seg)
{
	if (seg->opts & MR_TCPOPT_MSS)
		put(w, OPT_MSS << 24 | OPTLEN_MSS << 16 | seg->mss);
	if (seg->opts & MR_TCPOPT_TS) {
		put(w,
		    seg->opts & MR_TCPOPT_SACK_PERM ?
			    OPT_SACK_PERM << 24 | OPTLEN_SACK_PERM << 16 | OPT_TS << 8 | OPTLEN_TS :
			    option(OPT_TS, OPTLEN_TS));
		put(w, seg->tsval);
		put(w, seg->tsecr);
	} else if (seg->opts & MR_TCPOPT_SACK_PERM) {
		put(w, option(OPT_SACK_PERM, OPTLEN_SACK_PERM));
	}
	if (seg->opts & MR_TCPOPT_SACK) {
		put(w, option(OPT_SACK, OPTLEN_SACK(seg->nsack)));
		for (uint8_t i = 0; i < seg->nsack; i++) {
			put(w, seg->sack[i].start);
			put(w, seg->sack[i].end);
		}
	}
	if (seg->opts & MR_TCPOPT_WSCALE)
		put(w, OPT_NOP << 24 | OPT_WSCALE << 16 | OPTLEN_WSCALE << 8 | seg->wscale);
	if (seg->opts & MR_TCPOPT_TFO)
		write_tfo(w, seg);
	if (seg->opts & (MR_TCPOPT_ACCECN0 | MR_TCPOPT_ACCECN1))
		write_accecn(w, seg);
}

uint32_t mr_tcp_write_header(uint8_t *hdr, uint32_t hlen, const struct mr_seg *seg)
{
	struct writer w = { .p = hdr };

	put(&w, (uint32_t)seg->sport << 16 | seg->dport);
	put(&w, seg->seq);
	put(&w, seg->flags & MR_TCP_ACK ? seg->ack : 0);
	put(&w, hlen / 4 << 28 | (uint32_t)seg->ae << 24 | (uint32_t)seg->flags << 16 | seg->wnd);
	put(&w, seg->flags & MR_TCP_URG ? seg->up : 0);
	write_options(&w, seg);
	assert(w.p == hdr + hlen);
	return mr_csum_add((uint32_t)w.sum, (uint32_t)(w.sum >> 32));
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
