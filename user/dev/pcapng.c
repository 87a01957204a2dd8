// SPDX-License-Identifier: BSD-2-Clause
/*
 * pcapng.c - writes a capture file.
 * Owns        the file and its buffer. A packet's block stays incomplete in the buffer until its verdict is known,
 *             because the comment follows the bytes.
 * Implements  draft-ietf-opsawg-pcapng: section header (4.1), interface description (4.2), enhanced packet (4.3)
 *             blocks, in the machine's byte order, which the magic number tells readers.
 * Called by   port.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/time.h"
#include "dev/pcapng.h"
#include "millrace.h"

#define BUFFER_BYTES (256u << 10)

#define BLOCK_SHB	  0x0a0d0d0au
#define BLOCK_IDB	  1u
#define BLOCK_EPB	  6u
#define BYTE_ORDER_MAGIC  0x1a2b3c4du
#define LINKTYPE_ETHERNET 1u

#define OPT_ENDOFOPT	 0u
#define OPT_COMMENT	 1u
#define OPT_SHB_USERAPPL 4u
#define OPT_IF_NAME	 2u
#define OPT_IF_TSRESOL	 9u
#define OPT_EPB_FLAGS	 2u

#define TSRESOL_NS 9 /* 10^-9 s */

#define EPB_HEAD_BYTES 28u  /* header of an enhanced packet block, before the packet's bytes */
#define EPB_TAIL_BYTES 256u /* padding, options with the longest comment, trailing length */
#define COMMENT_MAX    160u

struct mr_pcapng {
	int fd;
	bool regular;	  /* it can be truncated; false: a FIFO or a device */
	off_t written;	  /* bytes of complete blocks in the file */
	int error;	  /* first write error; nothing is captured afterwards */
	uint32_t snaplen; /* 0: whole packets */
	int64_t epoch_ns;
	size_t used;		/* bytes of complete blocks in buf */
	size_t end;		/* end of the incomplete block; equals used if there is none */
	enum mr_pcapng_dir dir; /* of the incomplete block's packet */
	uint8_t buf[BUFFER_BYTES];
};

/* ---- Building a block: [used, end) of the buffer --------------------------------------------- */

static void put(struct mr_pcapng *p, const void *data, size_t len)
{
	assert(p->end + len <= sizeof(p->buf));
	memcpy(p->buf + p->end, data, len);
	p->end += len;
}

static void put_u16(struct mr_pcapng *p, uint16_t v)
{
	put(p, &v, sizeof(v));
}

static void put_u32(struct mr_pcapng *p, uint32_t v)
{
	put(p, &v, sizeof(v));
}

static void put_padding(struct mr_pcapng *p)
{
	static const uint8_t zero[3];

	put(p, zero, -(p->end - p->used) & 3);
}

static void put_option(struct mr_pcapng *p, uint16_t code, const void *value, size_t len)
{
	put_u16(p, code);
	put_u16(p, (uint16_t)len);
	put(p, value, len);
	put_padding(p);
}

static void block_begin(struct mr_pcapng *p, uint32_t type)
{
	p->end = p->used;
	put_u32(p, type);
	put_u32(p, 0); /* length, set when the block is complete */
}

static void block_end(struct mr_pcapng *p)
{
	uint32_t len = (uint32_t)(p->end - p->used) + 4;

	put_u32(p, len);
	memcpy(p->buf + p->used + 4, &len, sizeof(len));
	p->used = p->end;
}

static void put_section_header(struct mr_pcapng *p)
{
	static const char appl[] = "millrace " MR_VERSION;

	block_begin(p, BLOCK_SHB);
	put_u32(p, BYTE_ORDER_MAGIC);
	put_u16(p, 1); /* version 1.0 */
	put_u16(p, 0);
	put_u32(p, UINT32_MAX); /* section length: unspecified */
	put_u32(p, UINT32_MAX);
	put_option(p, OPT_SHB_USERAPPL, appl, sizeof(appl) - 1);
	put_option(p, OPT_ENDOFOPT, "", 0);
	block_end(p);
}

static void put_interface(struct mr_pcapng *p, const char *ifname)
{
	const uint8_t tsresol = TSRESOL_NS;

	block_begin(p, BLOCK_IDB);
	put_u16(p, LINKTYPE_ETHERNET);
	put_u16(p, 0);
	put_u32(p, p->snaplen);
	put_option(p, OPT_IF_NAME, ifname, strnlen(ifname, IF_NAMESIZE));
	put_option(p, OPT_IF_TSRESOL, &tsresol, 1);
	put_option(p, OPT_ENDOFOPT, "", 0);
	block_end(p);
}

/* ---- File ------------------------------------------------------------------------------------ */

/* Writing failed after `done` bytes of the buffer. Truncate the file after its last complete block, because readers
 * call a file that ends within a block damaged. */
static void cut_to_whole_blocks(struct mr_pcapng *p, size_t done)
{
	size_t whole = 0;

	for (;;) {
		uint32_t len;

		if (done - whole < 8)
			break;
		memcpy(&len, p->buf + whole + 4, sizeof(len));
		if (len > done - whole)
			break;
		whole += len;
	}
	if (whole < done && p->regular && ftruncate(p->fd, p->written + (off_t)whole) < 0)
		return; /* the first error is reported */
}

/* Write the complete blocks, and move an incomplete one to the front. */
static void write_out(struct mr_pcapng *p)
{
	size_t done = 0;

	while (!p->error && done < p->used) {
		ssize_t n = write(p->fd, p->buf + done, p->used - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			p->error = -errno;
		if (p->error)
			cut_to_whole_blocks(p, done);
	}
	p->written += (off_t)done;
	memmove(p->buf, p->buf + p->used, p->end - p->used);
	p->end -= p->used;
	p->used = 0;
}

int mr_pcapng_open(struct mr_pcapng **out, const char *path, const char *ifname, uint32_t snaplen,
		   int64_t epoch_ns)
{
	struct mr_pcapng *p = calloc(1, sizeof(*p));
	struct stat st;
	int err;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	p->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (p->fd < 0) {
		err = -errno;
		free(p);
		return err;
	}
	p->regular = !fstat(p->fd, &st) && S_ISREG(st.st_mode);
	p->snaplen = snaplen;
	p->epoch_ns = epoch_ns;
	put_section_header(p);
	put_interface(p, ifname);
	*out = p;
	return 0;
}

int mr_pcapng_fd(const struct mr_pcapng *p, uint32_t *snaplen, int64_t *epoch_ns)
{
	*snaplen = p->snaplen;
	*epoch_ns = p->epoch_ns;
	return p->fd;
}

int mr_pcapng_join(struct mr_pcapng **out, int fd, uint32_t snaplen, int64_t epoch_ns)
{
	struct mr_pcapng *p = calloc(1, sizeof(*p));

	*out = NULL;
	if (!p) {
		close(fd);
		return -ENOMEM;
	}
	/* The file position is shared; not truncated on errors, because it has others' blocks. */
	p->fd = fd;
	p->snaplen = snaplen;
	p->epoch_ns = epoch_ns;
	*out = p;
	return 0;
}

void mr_pcapng_packet(struct mr_pcapng *p, const struct mr_frame *f, enum mr_pcapng_dir dir,
		      uint64_t now)
{
	uint64_t ts = now + (uint64_t)p->epoch_ns;
	uint32_t room = BUFFER_BYTES - EPB_HEAD_BYTES - EPB_TAIL_BYTES;
	uint32_t caplen = mr_min(f->pkt_len, p->snaplen ? p->snaplen : room);

	caplen = mr_min(caplen, room);
	p->end = p->used; /* drop a packet without a verdict */
	if (p->used + EPB_HEAD_BYTES + caplen + EPB_TAIL_BYTES > BUFFER_BYTES)
		write_out(p);
	if (p->error)
		return;
	p->dir = dir;
	block_begin(p, BLOCK_EPB);
	put_u32(p, 0); /* interface */
	put_u32(p, (uint32_t)(ts >> 32));
	put_u32(p, (uint32_t)ts);
	put_u32(p, caplen);
	put_u32(p, f->pkt_len);
	mr_frame_copy_out(f, 0, p->buf + p->end, caplen);
	p->end += caplen;
	put_padding(p);
}

void mr_pcapng_verdict(struct mr_pcapng *p, enum mr_drop reason)
{
	uint32_t flags = p->dir;
	char comment[COMMENT_MAX];

	if (p->end == p->used)
		return;
	put_option(p, OPT_EPB_FLAGS, &flags, sizeof(flags));
	if (reason != MR_DROP_NONE) {
		snprintf(comment, sizeof(comment), "dropped: %s", mr_drop_text(reason));
		put_option(p, OPT_COMMENT, comment, strlen(comment));
	}
	put_option(p, OPT_ENDOFOPT, "", 0);
	block_end(p);
}

int mr_pcapng_flush(struct mr_pcapng *p)
{
	write_out(p);
	return p->error;
}

int mr_pcapng_close(struct mr_pcapng *p)
{
	int err;

	if (!p)
		return 0;
	err = mr_pcapng_flush(p);
	/* Some file systems report a full disk only here. */
	if (close(p->fd) < 0 && !err)
		err = -errno;
	free(p);
	return err;
}
