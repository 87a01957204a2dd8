// SPDX-License-Identifier: BSD-2-Clause
/* test_pcapng.c - the capture file, read back byte by byte as the draft lays it out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/compiler.h"
#include "base/time.h"
#include "dev/pcapng.h"

#define NFRAMES 64u
#define CHUNK	2048u
#define EPOCH	1700000000000000000ll

struct bench {
	struct mr_arena arena;
	struct mr_counters ctr;
	struct mr_frame_pool frames;
	uint8_t *umem;
	char path[64];
	uint8_t *file;
	size_t len;
};

static int bench_open(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int fd;

	b->umem = calloc(NFRAMES, CHUNK);
	assert_int_equal(mr_arena_open(&b->arena, "test", 1 << 20), 0);
	assert_int_equal(
		mr_frame_pool_init(&b->frames, &b->arena, &b->ctr, b->umem, NFRAMES, CHUNK), 0);
	strcpy(b->path, "/tmp/mr-pcapng-XXXXXX");
	fd = mkstemp(b->path);
	assert_true(fd >= 0);
	close(fd);
	*state = b;
	return 0;
}

static int bench_close(void **state)
{
	struct bench *b = *state;

	unlink(b->path);
	mr_arena_close(&b->arena);
	free(b->umem);
	free(b->file);
	free(b);
	return 0;
}

/* A packet of len bytes that count up from `first`, spread over chunks of at most `part` bytes. */
static struct mr_frame *packet(struct bench *b, uint32_t len, uint32_t part, uint8_t first)
{
	struct mr_frame *head = NULL, **link = &head;
	uint32_t off = 0;
	uint8_t chunks = 0;

	do {
		struct mr_frame *f = mr_frame_get(&b->frames);

		assert_non_null(f);
		f->len = mr_min(part, len - off);
		for (uint32_t i = 0; i < f->len; i++)
			f->data[i] = (uint8_t)(first + off + i);
		off += f->len;
		*link = f;
		link = &f->frag;
		chunks++;
	} while (off < len);
	head->pkt_len = len;
	head->nchunks = chunks;
	return head;
}

static void load(struct bench *b)
{
	FILE *fp = fopen(b->path, "rb");

	assert_non_null(fp);
	free(b->file);
	b->file = malloc(4 << 20);
	b->len = fread(b->file, 1, 4 << 20, fp);
	fclose(fp);
}

static uint32_t u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint16_t u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

struct block {
	uint32_t type, len;
	const uint8_t *body; /* behind type and length */
	size_t body_len;     /* without the trailing length */
};

/* Read the block at *off and move on. 0: the file ends exactly here; *blk is an empty block then. */
static int next_block(const struct bench *b, size_t *off, struct block *blk)
{
	*blk = (struct block){ .body = b->file };
	if (*off == b->len)
		return 0;
	assert_true(*off + 12 <= b->len);
	blk->type = u32(b->file + *off);
	blk->len = u32(b->file + *off + 4);
	assert_int_equal(blk->len % 4, 0);
	assert_true(*off + blk->len <= b->len);
	assert_int_equal(u32(b->file + *off + blk->len - 4), blk->len);
	blk->body = b->file + *off + 8;
	blk->body_len = blk->len - 12;
	*off += blk->len;
	return 1;
}

static struct block expect_block(const struct bench *b, size_t *off)
{
	struct block blk;

	if (!next_block(b, off, &blk))
		fail_msg("the file ends at byte %zu", *off);
	return blk;
}

/* The value of an option, NULL when absent; checks the list's form down to its end. */
static const uint8_t *option(const uint8_t *p, const uint8_t *end, uint16_t code, uint16_t *len)
{
	const uint8_t *found = NULL;

	for (;;) {
		uint16_t c, n;

		assert_true(p + 4 <= end);
		c = u16(p);
		n = u16(p + 2);
		if (!c) {
			assert_int_equal(n, 0);
			assert_ptr_equal(p + 4, end);
			return found;
		}
		if (c == code) {
			assert_null(found);
			found = p + 4;
			*len = n;
		}
		p += 4 + ((n + 3u) & ~3u);
	}
}

struct epb {
	uint64_t ts;
	uint32_t caplen, origlen, flags;
	const uint8_t *data;
	char comment[200]; /* "" : none */
};

static void read_epb(const struct block *blk, struct epb *e)
{
	const uint8_t *opts, *end = blk->body + blk->body_len, *v;
	uint16_t len = 0;

	assert_int_equal(blk->type, 6);
	assert_int_equal(u32(blk->body), 0); /* interface */
	e->ts = (uint64_t)u32(blk->body + 4) << 32 | u32(blk->body + 8);
	e->caplen = u32(blk->body + 12);
	e->origlen = u32(blk->body + 16);
	e->data = blk->body + 20;
	opts = e->data + ((e->caplen + 3) & ~3u);
	v = option(opts, end, 2, &len);
	assert_non_null(v);
	assert_int_equal(len, 4);
	e->flags = u32(v);
	v = option(opts, end, 1, &len);
	e->comment[0] = 0;
	if (v) {
		assert_true(len < sizeof(e->comment));
		memcpy(e->comment, v, len);
		e->comment[len] = 0;
	}
}

/* Skip section header and interface description. */
static size_t skip_head(const struct bench *b)
{
	size_t off = 0;

	expect_block(b, &off);
	expect_block(b, &off);
	return off;
}

static struct mr_pcapng *capture(struct bench *b, uint32_t snaplen)
{
	struct mr_pcapng *p;

	assert_int_equal(mr_pcapng_open(&p, b->path, "v0", snaplen, EPOCH), 0);
	return p;
}

static void record(struct bench *b, struct mr_pcapng *p, struct mr_frame *f, enum mr_pcapng_dir dir,
		   enum mr_drop reason, uint64_t now)
{
	mr_pcapng_packet(p, f, dir, now);
	mr_pcapng_verdict(p, reason);
	mr_frame_put_chain(&b->frames, f);
}

static void file_begins_with_section_and_interface(void **state)
{
	struct bench *b = *state;
	struct block blk;
	const uint8_t *v;
	uint16_t len = 0;
	size_t off = 0;

	assert_int_equal(mr_pcapng_close(capture(b, 96)), 0);
	load(b);
	blk = expect_block(b, &off);
	assert_int_equal(blk.type, 0x0a0d0d0a);
	assert_int_equal(u32(blk.body), 0x1a2b3c4d);
	assert_int_equal(u16(blk.body + 4), 1); /* version 1.0 */
	assert_int_equal(u16(blk.body + 6), 0);
	assert_memory_equal(blk.body + 8, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	v = option(blk.body + 16, blk.body + blk.body_len, 4, &len);
	assert_non_null(v);
	assert_memory_equal(v, "millrace ", 9);

	blk = expect_block(b, &off);
	assert_int_equal(blk.type, 1);
	assert_int_equal(u16(blk.body), 1); /* Ethernet */
	assert_int_equal(u16(blk.body + 2), 0);
	assert_int_equal(u32(blk.body + 4), 96);
	v = option(blk.body + 8, blk.body + blk.body_len, 2, &len);
	assert_int_equal(len, 2);
	assert_memory_equal(v, "v0", 2);
	v = option(blk.body + 8, blk.body + blk.body_len, 9, &len);
	assert_int_equal(len, 1);
	assert_int_equal(*v, 9); /* nanoseconds */
	assert_false(next_block(b, &off, &blk));
}

static void packet_has_time_bytes_and_direction(void **state)
{
	static const struct {
		const char *what;
		uint32_t len, part, snaplen, caplen;
		enum mr_pcapng_dir dir;
	} rows[] = {
		{ "one byte", 1, 1500, 0, 1, MR_PCAPNG_IN },
		{ "every padding, 2", 62, 1500, 0, 62, MR_PCAPNG_OUT },
		{ "every padding, 1", 63, 1500, 0, 63, MR_PCAPNG_IN },
		{ "no padding", 64, 1500, 0, 64, MR_PCAPNG_OUT },
		{ "a chain of chunks", 9014, 1792, 0, 9014, MR_PCAPNG_IN },
		{ "the longest packet", 65549, 1900, 0, 65549, MR_PCAPNG_OUT },
		{ "snaplen cuts", 1514, 1500, 96, 96, MR_PCAPNG_IN },
		{ "snaplen cuts within a chain", 9014, 1000, 2500, 2500, MR_PCAPNG_OUT },
		{ "snaplen of just the length", 60, 1500, 60, 60, MR_PCAPNG_IN },
		{ "snaplen beyond the buffer", 9014, 1792, UINT32_MAX, 9014, MR_PCAPNG_IN },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_pcapng *p = capture(b, rows[i].snaplen);
		uint64_t now = 123456789ull + i * 5000000000ull;
		struct block blk;
		struct epb e;
		size_t off;

		record(b, p, packet(b, rows[i].len, rows[i].part, (uint8_t)i), rows[i].dir,
		       MR_DROP_NONE, now);
		assert_int_equal(mr_pcapng_close(p), 0);
		load(b);
		off = skip_head(b);
		if (!next_block(b, &off, &blk))
			fail_msg("%s: no packet", rows[i].what);
		read_epb(&blk, &e);
		if (e.caplen != rows[i].caplen || e.origlen != rows[i].len ||
		    e.flags != rows[i].dir)
			fail_msg("%s: caplen %u, length %u, flags %u", rows[i].what, e.caplen,
				 e.origlen, e.flags);
		assert_true(e.ts == now + (uint64_t)EPOCH);
		for (uint32_t k = 0; k < e.caplen; k++)
			assert_int_equal(e.data[k], (uint8_t)(i + k));
		assert_string_equal(e.comment, "");
		assert_false(next_block(b, &off, &blk));
		assert_int_equal(b->frames.nfree, NFRAMES);
	}
}

static void every_drop_reason_becomes_a_comment(void **state)
{
	struct bench *b = *state;
	struct mr_pcapng *p = capture(b, 0);
	struct block blk;
	struct epb e;
	char want[200];
	size_t off;

	for (int r = MR_DROP_NONE; r < MR_DROP_MAX; r++)
		record(b, p, packet(b, 60, 60, 1), MR_PCAPNG_IN, (enum mr_drop)r, 1);
	assert_int_equal(mr_pcapng_close(p), 0);
	load(b);
	off = skip_head(b);
	for (int r = MR_DROP_NONE; r < MR_DROP_MAX; r++) {
		blk = expect_block(b, &off);
		read_epb(&blk, &e);
		snprintf(want, sizeof(want), "dropped: %s", mr_drop_text((enum mr_drop)r));
		assert_string_equal(e.comment, r == MR_DROP_NONE ? "" : want);
	}
	assert_false(next_block(b, &off, &blk));
}

static void packet_without_verdict_is_not_in_the_file(void **state)
{
	struct bench *b = *state;
	struct mr_pcapng *p = capture(b, 0);
	struct mr_frame *f = packet(b, 100, 100, 7);
	struct block blk;
	struct epb e;
	size_t off;

	mr_pcapng_packet(p, f, MR_PCAPNG_OUT, 1); /* the ring was full: no verdict */
	assert_int_equal(mr_pcapng_flush(p), 0);
	mr_pcapng_packet(p, f, MR_PCAPNG_OUT, 2);
	mr_pcapng_verdict(p, MR_DROP_NONE);
	mr_pcapng_verdict(p, MR_DROP_TX_DEVICE); /* no packet is open: nothing happens */
	mr_pcapng_packet(p, f, MR_PCAPNG_OUT, 3);
	mr_frame_put_chain(&b->frames, f);
	assert_int_equal(mr_pcapng_close(p), 0);
	load(b);
	off = skip_head(b);
	blk = expect_block(b, &off);
	read_epb(&blk, &e);
	assert_true(e.ts == 2 + (uint64_t)EPOCH);
	assert_string_equal(e.comment, "");
	assert_false(next_block(b, &off, &blk));
}

/* More than the buffer holds, with a flush in the middle of a packet: all of it arrives, in order. */
static void capture_larger_than_the_buffer_is_whole(void **state)
{
	struct bench *b = *state;
	struct mr_pcapng *p = capture(b, 0);
	struct block blk;
	struct epb e;
	size_t off;

	for (uint32_t i = 0; i < 500; i++) {
		struct mr_frame *f = packet(b, 1000 + i * 7 % 4000, 1700, (uint8_t)i);

		mr_pcapng_packet(p, f, MR_PCAPNG_IN, i);
		if (i % 100 == 50)
			assert_int_equal(mr_pcapng_flush(p), 0);
		mr_pcapng_verdict(p, i % 3 ? MR_DROP_NONE : MR_DROP_TCP_BAD_CSUM);
		mr_frame_put_chain(&b->frames, f);
	}
	assert_int_equal(mr_pcapng_close(p), 0);
	load(b);
	off = skip_head(b);
	for (uint32_t i = 0; i < 500; i++) {
		blk = expect_block(b, &off);
		read_epb(&blk, &e);
		assert_int_equal(e.caplen, 1000 + i * 7 % 4000);
		assert_int_equal(e.data[0], (uint8_t)i);
		assert_int_equal(e.data[e.caplen - 1], (uint8_t)(i + e.caplen - 1));
		assert_int_equal(e.comment[0] != 0, i % 3 == 0);
	}
	assert_false(next_block(b, &off, &blk));
}

static void full_disk_is_told_and_stays_told(void **state)
{
	struct bench *b = *state;
	struct mr_pcapng *p;
	struct mr_frame *f = packet(b, 1500, 1500, 0);

	if (access("/dev/full", W_OK)) {
		print_message("no /dev/full here\n");
		skip();
	}
	assert_int_equal(mr_pcapng_open(&p, "/dev/full", "v0", 0, EPOCH), 0);
	for (int i = 0; i < 1000; i++) { /* far beyond the buffer: capturing has stopped quietly */
		mr_pcapng_packet(p, f, MR_PCAPNG_IN, 1);
		mr_pcapng_verdict(p, MR_DROP_NONE);
	}
	mr_frame_put_chain(&b->frames, f);
	assert_int_equal(mr_pcapng_flush(p), -ENOSPC);
	assert_int_equal(mr_pcapng_flush(p), -ENOSPC);
	assert_int_equal(mr_pcapng_close(p), -ENOSPC);
}

/* The limit of a file's size makes one write(2) a short one and the next an error, as a disk does that
 * fills up. */
static void a_write_cut_short_leaves_whole_blocks(void **state)
{
	static const uint32_t limits[] = { 1, 7, 200, 5000, 5001, 300000 };
	struct bench *b = *state;
	struct rlimit old, now;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < MR_ARRAY_SIZE(limits); i++) {
		struct mr_frame *f = packet(b, 1500, 1500, 0);
		struct mr_pcapng *p = capture(b, 0);
		struct block blk;
		size_t off = 0;
		int err;

		now = (struct rlimit){ limits[i], old.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
		for (int k = 0; k < 500; k++) {
			mr_pcapng_packet(p, f, MR_PCAPNG_IN, 1);
			mr_pcapng_verdict(p, MR_DROP_NONE);
		}
		err = mr_pcapng_close(p);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		mr_frame_put_chain(&b->frames, f);
		assert_int_equal(err, -EFBIG);
		load(b);
		assert_true(b->len <= limits[i]);
		assert_true(b->len + 1600 > limits[i]); /* no more was cut than one block */
		while (next_block(b, &off, &blk)) /* fails at the end of the file within a block */
			;
	}
}

static void open_fails_by_name_and_close_takes_null(void **state)
{
	struct mr_pcapng *p = (struct mr_pcapng *)&p;

	(void)state;
	assert_int_equal(mr_pcapng_open(&p, "/nonexistent/x.pcapng", "v0", 0, 0), -ENOENT);
	assert_null(p);
	assert_int_equal(mr_pcapng_close(NULL), 0);
}

/* The judges' own readers, where they are installed. */
static void tcpdump_and_tshark_read_it(void **state)
{
	static const uint8_t arp[42] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0,  1, 8, 6,
					 0,   1,   8,	0,   6,	  4,   0, 1, 2, 0, 0,  0, 0, 1,
					 10,  0,   0,	1,   0,	  0,   0, 0, 0, 0, 10, 0, 0, 2 };
	static const struct {
		const char *tool, *cmd, *want;
	} rows[] = {
		{ "tcpdump", "tcpdump -nr %s 2>/dev/null | grep -c 'who-has 10.0.0.2'", "2\n" },
		{ "tshark",
		  "tshark -r %s -T fields -e frame.packet_flags_direction -e frame.comment "
		  "2>/dev/null | tr '\\t\\n' ' ;'",
		  "0x00000001 dropped: ARP for another host;0x00000002 ;" },
	};
	struct bench *b = *state;
	struct mr_pcapng *p = capture(b, 0);
	char cmd[300], out[300];
	unsigned ran = 0;

	for (int i = 0; i < 2; i++) {
		struct mr_frame *f = packet(b, sizeof(arp), 2000, 0);

		memcpy(f->data, arp, sizeof(arp));
		record(b, p, f, i ? MR_PCAPNG_OUT : MR_PCAPNG_IN,
		       i ? MR_DROP_NONE : MR_DROP_ARP_NOT_OURS, 1000);
	}
	assert_int_equal(mr_pcapng_close(p), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		FILE *fp;
		size_t n;

		snprintf(cmd, sizeof(cmd), "command -v %s >/dev/null", rows[i].tool);
		if (system(cmd))
			continue;
		snprintf(cmd, sizeof(cmd), rows[i].cmd, b->path);
		fp = popen(cmd, "r");
		assert_non_null(fp);
		n = fread(out, 1, sizeof(out) - 1, fp);
		out[n] = 0;
		pclose(fp);
		assert_string_equal(out, rows[i].want);
		ran++;
	}
	if (!ran) {
		print_message("neither tcpdump nor tshark is installed\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(file_begins_with_section_and_interface, bench_open,
						bench_close),
		cmocka_unit_test_setup_teardown(packet_has_time_bytes_and_direction, bench_open,
						bench_close),
		cmocka_unit_test_setup_teardown(every_drop_reason_becomes_a_comment, bench_open,
						bench_close),
		cmocka_unit_test_setup_teardown(packet_without_verdict_is_not_in_the_file,
						bench_open, bench_close),
		cmocka_unit_test_setup_teardown(capture_larger_than_the_buffer_is_whole, bench_open,
						bench_close),
		cmocka_unit_test_setup_teardown(full_disk_is_told_and_stays_told, bench_open,
						bench_close),
		cmocka_unit_test_setup_teardown(a_write_cut_short_leaves_whole_blocks, bench_open,
						bench_close),
		cmocka_unit_test(open_fails_by_name_and_close_takes_null),
		cmocka_unit_test_setup_teardown(tcpdump_and_tshark_read_it, bench_open,
						bench_close),
	};

	return cmocka_run_group_tests_name("pcapng", tests, NULL, NULL);
}
