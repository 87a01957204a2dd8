/* SPDX-License-Identifier: BSD-2-Clause */
/* tcp_wire.h - reads and writes TCP headers (struct mr_seg). Knows no connection. */
#ifndef MR_TCP_TCP_WIRE_H
#define MR_TCP_TCP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "millrace/xdp_abi.h"

#define MR_TCP_FIN 0x01u
#define MR_TCP_SYN 0x02u
#define MR_TCP_RST 0x04u
#define MR_TCP_PSH 0x08u
#define MR_TCP_ACK 0x10u
#define MR_TCP_URG 0x20u
#define MR_TCP_ECE 0x40u
#define MR_TCP_CWR 0x80u

#define MR_TCP_HLEN	20u
#define MR_TCP_HLEN_MAX 60u
/* Length of the timestamps option with its padding. */
#define MR_TCP_TS_LEN 12u

/* mr_seg.opts: the options that are present */
#define MR_TCPOPT_MSS	    (1u << 0)
#define MR_TCPOPT_WSCALE    (1u << 1)
#define MR_TCPOPT_TS	    (1u << 2)
#define MR_TCPOPT_SACK_PERM (1u << 3)
#define MR_TCPOPT_SACK	    (1u << 4)
#define MR_TCPOPT_ACCECN0   (1u << 5) /* RFC 9768: the fields EE0B, ECEB, EE1B */
#define MR_TCPOPT_ACCECN1   (1u << 6) /* RFC 9768: the fields EE1B, ECEB, EE0B */

#define MR_TCPOPT_TFO (1u << 7) /* RFC 7413: a cookie, or a request for one */

/* A SACK block: [start, end) was received (RFC 2018 section 3). */
struct mr_sack_block {
	uint32_t start, end;
};
#define MR_TCP_SACK_BLOCKS 4u /* as many as fit into the option space; 3 with timestamps */

#define MR_TCP_TFO_MIN 4u /* length of a cookie in bytes (RFC 7413 section 2) */
#define MR_TCP_TFO_MAX 16u

#define MR_TCP_ACCECN_FIELDS 3u	       /* most fields in an AccECN option */
#define MR_TCP_ACCECN_MASK   0xffffffu /* a field has 24 bits */

/* RFC 7323 section 2.3: a larger shift count is taken as this one. */
#define MR_TCP_MAX_WSCALE 14u

/* A TCP header, in host byte order. */
struct mr_seg {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint32_t len;  /* payload bytes */
	uint16_t wnd;  /* window as in the header, not scaled */
	uint16_t up;   /* urgent pointer, valid with MR_TCP_URG */
	uint8_t flags; /* MR_TCP_* */
	uint8_t hlen;  /* header length with options, bytes */
	uint8_t opts;  /* MR_TCPOPT_* */
	bool ae;       /* the AE flag (RFC 9768) */
	uint8_t wscale;
	uint16_t mss;
	uint32_t tsval, tsecr;
	uint8_t nsack; /* with MR_TCPOPT_SACK: 1..MR_TCP_SACK_BLOCKS */
	struct mr_sack_block sack[MR_TCP_SACK_BLOCKS];
	uint8_t ntfo; /* with MR_TCPOPT_TFO: bytes of the cookie; 0: a request for one */
	uint8_t tfo[MR_TCP_TFO_MAX];
	uint8_t naccecn;		       /* with MR_TCPOPT_ACCECN*: number of fields */
	uint32_t accecn[MR_TCP_ACCECN_FIELDS]; /* in the order of the option */
};

/* Sequence numbers that the segment occupies: payload, SYN and FIN. */
static inline uint32_t mr_seg_span(const struct mr_seg *seg)
{
	return seg->len + !!(seg->flags & MR_TCP_SYN) + !!(seg->flags & MR_TCP_FIN);
}

/* Parse a header with options. hdr has avail bytes of a segment of l4_len bytes. Returns MR_DROP_NONE, or why it is
 * no valid TCP header (MR_DROP_TCP_TRUNCATED, _BAD_HDRLEN, _BAD_FLAGS, _PORT_ZERO, _OPTIONS). Unknown options are
 * skipped (RFC 9293 section 3.1). */
enum mr_drop mr_tcp_parse(const uint8_t *hdr, uint32_t avail, uint32_t l4_len, struct mr_seg *seg);

/* Length of the header that mr_tcp_write_header() writes for seg->opts: 20..60 bytes, a multiple of 4. */
uint32_t mr_tcp_header_len(const struct mr_seg *seg);

/* Write a header of hlen bytes, with 0 in the checksum field. Returns its sum (base/csum.h). */
uint32_t mr_tcp_write_header(uint8_t *hdr, uint32_t hlen, const struct mr_seg *seg);

/* Write the checksum. sum covers the pseudo-header, this header with 0 in its checksum field, and the payload. */
void mr_tcp_write_csum(uint8_t *hdr, uint32_t sum);
/* Write the partial checksum of a packet that the device completes. sum covers the pseudo-header only. */
void mr_tcp_write_csum_partial(uint8_t *hdr, uint32_t sum);

#endif
