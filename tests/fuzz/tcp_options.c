// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_options.c - fuzz the reading of TCP headers: any bytes.
 * Claims      what was read stays within what was given; a header that is written from what was read
 *	       reads the same, is as long as was said, and has the sum that was said.
 */
#include <string.h>
#include "base/csum.h"
#include "fuzz.h"
#include "tcp/tcp_wire.h"

/* What the wire cannot carry is not compared: fields that count only with their flag. */
static void normalise(struct mr_seg *seg)
{
	if (!(seg->flags & MR_TCP_ACK))
		seg->ack = 0;
	if (!(seg->flags & MR_TCP_URG))
		seg->up = 0;
}

static void check_same(const struct mr_seg *a, const struct mr_seg *b)
{
	FUZZ_CHECK(a->sport == b->sport && a->dport == b->dport, "ports");
	FUZZ_CHECK(a->seq == b->seq && a->ack == b->ack, "numbers");
	FUZZ_CHECK(a->len == b->len && a->wnd == b->wnd && a->up == b->up, "len, wnd, up");
	FUZZ_CHECK(a->flags == b->flags && a->opts == b->opts, "flags %x %x, options %x %x",
		   a->flags, b->flags, a->opts, b->opts);
	FUZZ_CHECK(a->wscale == b->wscale && a->mss == b->mss, "wscale, mss");
	FUZZ_CHECK(a->tsval == b->tsval && a->tsecr == b->tsecr, "timestamps");
	FUZZ_CHECK(a->nsack == b->nsack && !memcmp(a->sack, b->sack, a->nsack * sizeof(a->sack[0])),
		   "SACK");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };
	uint32_t payload = fuzz_u16(&in), avail = (uint32_t)(in.end - in.p), hlen, sum;
	uint8_t hdr[MR_TCP_HLEN_MAX];
	struct mr_seg seg, again;

	/* avail is what stands in the first chunk, the rest of the segment in others. */
	if (mr_tcp_parse(in.p, avail, avail + payload, &seg) != MR_DROP_NONE)
		return 0;
	FUZZ_CHECK(seg.hlen >= MR_TCP_HLEN && seg.hlen <= avail, "hlen %u", seg.hlen);
	FUZZ_CHECK(seg.hlen + seg.len == avail + payload, "len %u", seg.len);
	FUZZ_CHECK(seg.nsack <= MR_TCP_SACK_BLOCKS && !seg.nsack == !(seg.opts & MR_TCPOPT_SACK),
		   "nsack %u", seg.nsack);
	FUZZ_CHECK(seg.wscale <= MR_TCP_MAX_WSCALE, "wscale %u", seg.wscale);
	normalise(&seg);
	/* Options may come packed more tightly than they are written, with their padding. */
	hlen = mr_tcp_header_len(&seg);
	if (hlen > MR_TCP_HLEN_MAX)
		return 0;
	sum = mr_tcp_write_header(hdr, hlen, &seg);
	FUZZ_CHECK(mr_csum_fold(sum) == mr_csum_fold(mr_csum(hdr, hlen)), "sum %x", sum);
	FUZZ_CHECK(mr_tcp_parse(hdr, hlen, hlen + seg.len, &again) == MR_DROP_NONE, "read again");
	FUZZ_CHECK(again.hlen == hlen, "hlen %u, not %u", again.hlen, hlen);
	check_same(&seg, &again);
	return 0;
}
