// SPDX-License-Identifier: BSD-2-Clause
/*
 * pcapng.c - fuzz the capture's writer: any packets in any chunks, any snap length; then the file is
 * read back by a reader of its own.
 * Claims      the file is well-formed block by block (draft-ietf-opsawg-pcapng sections 3.1 and 4), and
 *	       has exactly the packets that got a verdict, with length, bytes, time, direction and, where
 *	       dropped, a reason.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/time.h"
#include "dev/pcapng.h"
#include "fuzz.h"

#define NFRAMES	  32u
#define CHUNK	  2048u
#define PKTS_MAX  600u
#define HEADROOM  128u
#define LEN_MAX	  16384u
#define FILE_MAX  (16u << 20)
#define EPOCH	  1700000000000000000ll
#define BLOCK_EPB 6u

struct written {
	uint64_t ts;
	uint32_t len;
	uint8_t fill;
	uint32_t dir;
	enum mr_drop reason;
};

struct world {
	struct mr_arena arena;
	struct mr_counters ctr;
	struct mr_frame_pool frames;
	uint32_t snaplen;
	struct written pkt[PKTS_MAX];
	unsigned npkts;
};

static uint8_t umem[NFRAMES * CHUNK];

/* The bytes of a packet from i on. They grow by 3, modulo 256, beginning with fill: as those of one long
 * row do from some place on, for 3 * 171 is 1 modulo 256. */
static const uint8_t *pkt_bytes(const struct written *p, uint32_t i)
{
	static uint8_t row[256 + LEN_MAX];

	if (!row[1])
		for (uint32_t k = 0; k < sizeof(row); k++)
			row[k] = (uint8_t)(k * 3);
	return row + (uint8_t)(p->fill * 171) + i;
}

/* A packet in chunks of at most `room` bytes. */
static struct mr_frame *make_packet(struct world *w, const struct written *p, uint32_t room)
{
	struct mr_frame *first = NULL, **link = &first;

	for (uint32_t done = 0; done < p->len || !first;) {
		struct mr_frame *f = mr_frame_get(&w->frames);

		FUZZ_CHECK(f, "no frame");
		f->data = f->chunk + HEADROOM;
		f->len = mr_min(p->len - done, room);
		memcpy(f->data, pkt_bytes(p, done), f->len);
		done += f->len;
		*link = f;
		link = &f->frag;
	}
	first->pkt_len = p->len;
	return first;
}

static void write_packets(struct world *w, struct fuzz_in *in, struct mr_pcapng *cap)
{
	uint64_t now = 0;

	while (fuzz_more(in) && w->npkts < PKTS_MAX) {
		struct written *p = &w->pkt[w->npkts];
		uint8_t how = fuzz_u8(in);
		struct mr_frame *f;
		uint32_t room;

		p->len = fuzz_u16(in) % LEN_MAX;
		p->fill = fuzz_u8(in);
		p->dir = how & 1 ? MR_PCAPNG_IN : MR_PCAPNG_OUT;
		p->reason = how & 2 ? fuzz_u8(in) % MR_DROP_MAX : MR_DROP_NONE;
		now += (uint64_t)fuzz_u16(in) << (how >> 3);
		p->ts = now + (uint64_t)EPOCH;
		room = mr_max(p->len / (NFRAMES / 2) + 1, how & 4 ? 64u : CHUNK - HEADROOM);
		f = make_packet(w, p, room);
		mr_pcapng_packet(cap, f, p->dir, now);
		mr_frame_put_chain(&w->frames, f);
		if (how >= 0xf0)
			FUZZ_CHECK(!mr_pcapng_flush(cap), "flush");
		if (how >= 0xe0 && how < 0xf0)
			continue; /* no verdict: forgotten */
		mr_pcapng_verdict(cap, p->reason);
		w->npkts++;
	}
}

/* ---- Reading it back ------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The options of a packet's block. */
static void check_options(const uint8_t *p, const uint8_t *end, const struct written *want)
{
	bool flags = false, comment = false;

	while (1) {
		uint16_t code, len;

		FUZZ_CHECK(end - p >= 4, "options have no end");
		code = get16(p);
		len = get16(p + 2);
		p += 4;
		FUZZ_CHECK(len <= end - p, "option %u reaches over the block", code);
		if (!code)
			break;
		if (code == 2) {
			FUZZ_CHECK(len == 4 && get32(p) == want->dir, "direction");
			flags = true;
		} else {
			FUZZ_CHECK(code == 1 && len > 9 && !memcmp(p, "dropped: ", 9), "comment");
			comment = true;
		}
		p += (len + 3u) / 4 * 4;
	}
	FUZZ_CHECK(p == end, "bytes behind the options");
	FUZZ_CHECK(flags && comment == (want->reason != MR_DROP_NONE), "options");
}

static void check_packet(const struct world *w, const uint8_t *b, uint32_t len,
			 const struct written *want)
{
	uint32_t caplen, least = w->snaplen ? mr_min(w->snaplen, want->len) : want->len;

	FUZZ_CHECK(len >= 32, "a packet's block of %u bytes", len);
	caplen = get32(b + 20);
	FUZZ_CHECK(get32(b + 8) == 0, "interface");
	FUZZ_CHECK(((uint64_t)get32(b + 12) << 32 | get32(b + 16)) == want->ts, "time");
	FUZZ_CHECK(get32(b + 24) == want->len && caplen == least, "lengths %u %u of %u", caplen,
		   get32(b + 24), want->len);
	FUZZ_CHECK(28 + (caplen + 3) / 4 * 4 + 4 <= len, "bytes reach over the block");
	FUZZ_CHECK(!memcmp(b + 28, pkt_bytes(want, 0), caplen), "bytes of a packet");
	check_options(b + 28 + (caplen + 3) / 4 * 4, b + len - 4, want);
}

static void check_file(const struct world *w, const uint8_t *b, size_t size)
{
	static const uint32_t order[] = { 0x0a0d0d0a, 1 };
	unsigned blocks = 0, pkts = 0;

	for (size_t at = 0; at < size; blocks++) {
		uint32_t type, len;

		FUZZ_CHECK(size - at >= 12, "%zu bytes behind the last block", size - at);
		type = get32(b + at);
		len = get32(b + at + 4);
		FUZZ_CHECK(len >= 12 && len % 4 == 0 && len <= size - at, "length %u", len);
		FUZZ_CHECK(get32(b + at + len - 4) == len, "the second length");
		if (blocks < 2) {
			FUZZ_CHECK(type == order[blocks], "block %u has type %x", blocks, type);
		} else {
			FUZZ_CHECK(type == BLOCK_EPB && pkts < w->npkts, "block %u", blocks);
			check_packet(w, b + at, len, &w->pkt[pkts++]);
		}
		at += len;
	}
	FUZZ_CHECK(blocks >= 2 && pkts == w->npkts, "%u of %u packets", pkts, w->npkts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };
	struct world w = { 0 };
	struct mr_pcapng *cap;
	char path[64], name[8];
	uint8_t *bytes;
	off_t len;
	int fd;

	w.snaplen = fuzz_u16(&in);
	for (unsigned i = 0; i < sizeof(name); i++)
		name[i] = (char)fuzz_u8(&in);
	name[sizeof(name) - 1] = 0;
	FUZZ_CHECK(!mr_arena_open(&w.arena, "fuzz", 1 << 16), "arena");
	FUZZ_CHECK(!mr_frame_pool_init(&w.frames, &w.arena, &w.ctr, umem, NFRAMES, CHUNK), "pool");
	fd = memfd_create("capture", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0, "memfd");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FUZZ_CHECK(!mr_pcapng_open(&cap, path, name, w.snaplen, EPOCH), "open");
	write_packets(&w, &in, cap);
	FUZZ_CHECK(!mr_pcapng_close(cap), "close");
	len = lseek(fd, 0, SEEK_END);
	FUZZ_CHECK(len > 0 && len < (off_t)FILE_MAX, "file of %jd bytes", (intmax_t)len);
	bytes = mmap(NULL, (size_t)len, PROT_READ, MAP_PRIVATE, fd, 0);
	FUZZ_CHECK(bytes != MAP_FAILED, "mmap");
	check_file(&w, bytes, (size_t)len);
	munmap(bytes, (size_t)len);
	close(fd);
	FUZZ_CHECK(w.frames.nfree == NFRAMES, "frames are lost");
	mr_arena_close(&w.arena);
	return 0;
}
