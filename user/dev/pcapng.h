/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapng.h - writes captures in pcapng format (draft-ietf-opsawg-pcapng): a section header, one interface with
 * nanosecond timestamps, and enhanced packet blocks with the direction (epb_flags) and, if the stack dropped the
 * packet, the reason as packet comment. Output is buffered; write(2) is called when the buffer is full and by
 * mr_pcapng_flush(). After a write error a regular file ends with the last complete block. Writing to a FIFO or socket
 * without a reader raises SIGPIPE, as write(2) does.
 */
#ifndef MR_DEV_PCAPNG_H
#define MR_DEV_PCAPNG_H

#include "frame/frame.h"

struct mr_pcapng;

enum mr_pcapng_dir { MR_PCAPNG_IN = 1, MR_PCAPNG_OUT = 2 }; /* values of epb_flags bits 0-1 */

/* Create or truncate path. epoch_ns is added to `now` to get nanoseconds since 1970. snaplen 0: capture whole
 * packets. Returns 0 and *out, or a negative errno. */
int mr_pcapng_open(struct mr_pcapng **out, const char *path, const char *ifname, uint32_t snaplen,
		   int64_t epoch_ns);
/* What another process needs to write to the same file. p keeps the descriptor that is returned. */
int mr_pcapng_fd(const struct mr_pcapng *p, uint32_t *snaplen, int64_t *epoch_ns);
/* Write to the file of another process. Takes over fd. Processes must write in turns, each with a flush before the
 * next one's turn. Returns 0 and *out, or a negative errno. */
int mr_pcapng_join(struct mr_pcapng **out, int fd, uint32_t snaplen, int64_t epoch_ns);
/* Copy a packet into the buffer. Its block is complete only after mr_pcapng_verdict(): without that, before the next
 * packet or the close, the packet is not written. */
void mr_pcapng_packet(struct mr_pcapng *p, const struct mr_frame *f, enum mr_pcapng_dir dir,
		      uint64_t now);
/* Complete the block of the last packet. MR_DROP_NONE: no comment. */
void mr_pcapng_verdict(struct mr_pcapng *p, enum mr_drop reason);
/* Returns 0, or the first write error as a negative errno; capturing stopped then. */
int mr_pcapng_flush(struct mr_pcapng *p);
/* Flush, close and free p, which may be NULL. Returns what mr_pcapng_flush() does. */
int mr_pcapng_close(struct mr_pcapng *p);

#endif
