/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapng.h - the capture tap's writer (draft-ietf-opsawg-pcapng): section header, one interface
 * with nanosecond timestamps, enhanced packet blocks with direction flags (epb_flags) and, for a
 * packet that the stack dropped, the reason as packet comment. Buffered; written by write(2) when
 * the buffer is full and by mr_pcapng_flush(). After an error of writing a regular file ends with the
 * last whole block. Writing to a FIFO or a socket that nobody reads raises SIGPIPE as write(2) does.
 */
#ifndef MR_DEV_PCAPNG_H
#define MR_DEV_PCAPNG_H

#include "frame/frame.h"

struct mr_pcapng;

enum mr_pcapng_dir { MR_PCAPNG_IN = 1, MR_PCAPNG_OUT = 2 }; /* values of epb_flags bits 0-1 */

/* Create (truncate) path. epoch_ns: what to add to `now` to get nanoseconds since 1970. snaplen 0:
 * whole packets. 0 and *out, or a negative errno. */
int mr_pcapng_open(struct mr_pcapng **out, const char *path, const char *ifname, uint32_t snaplen,
		   int64_t epoch_ns);
/* Another process writes to the same file: what it needs for that. */
int mr_pcapng_fd(const struct mr_pcapng *p, uint32_t *snaplen, int64_t *epoch_ns);
/* Go on with such a file; takes over fd. Who writes takes turns, and flushes before the next one's turn. */
int mr_pcapng_join(struct mr_pcapng **out, int fd, uint32_t snaplen, int64_t epoch_ns);
/* Copy a packet. Call mr_pcapng_verdict() next: the block is complete only then. A packet that gets
 * none before the next one, or before the close, is not in the file. */
void mr_pcapng_packet(struct mr_pcapng *p, const struct mr_frame *f, enum mr_pcapng_dir dir,
		      uint64_t now);
/* Complete the packet of the last mr_pcapng_packet(); MR_DROP_NONE: no comment. */
void mr_pcapng_verdict(struct mr_pcapng *p, enum mr_drop reason);
/* 0, or the first error of writing as negative errno (sticky; capturing has stopped then). */
int mr_pcapng_flush(struct mr_pcapng *p);
/* Flush, close, free. NULL is fine. Result as mr_pcapng_flush(). */
int mr_pcapng_close(struct mr_pcapng *p);

#endif
