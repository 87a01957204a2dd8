/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fill_depth.h - how many chunks lie in a FILL ring, ready for packets.
 *
 * Few chunks stay in the caches, many hold a burst. So there are few as long as the rings are looked at often, all that
 * was found were few and short packets, and there are few connections; when one of these changes, there are more at
 * once. While the engine sleeps nobody looks: then the ring is full. The rule is arithmetic on the time that is given.
 */
#ifndef MR_DEV_FILL_DEPTH_H
#define MR_DEV_FILL_DEPTH_H

#include <stdint.h>

/* The least for a device of packets that the kernel copies: room for a thousand connections that begin at once while the
 * engine is held up. */
#define MR_FILL_LEAST 1024u

struct mr_fill_depth {
	uint32_t now; /* the depth, from least to most */
	uint32_t least, most;
	uint32_t needed;    /* greatest need since the depth last changed */
	uint64_t looked_at; /* ns; 0: nobody has looked since the beginning or the last rest */
	/* Time in which nobody looked although somebody should have, since it last changed. */
	uint64_t late_ns;
	uint64_t lower_at; /* ns: when the depth may fall */
};

/* The depth begins at most. least 0, or no less than most: it stays there. */
void mr_fill_depth_init(struct mr_fill_depth *d, uint32_t least, uint32_t most);

/* What is known when the rings are looked at. */
struct mr_fill_seen {
	uint32_t waiting; /* chunks with packets, in the fullest ring */
	uint32_t longest; /* bytes in one chunk, of those that were taken */
	uint32_t peers;	  /* connections, from which more may come at any time */
};
void mr_fill_depth_look(struct mr_fill_depth *d, const struct mr_fill_seen *seen, uint64_t now);

/* Nobody looks until something has come. */
void mr_fill_depth_rest(struct mr_fill_depth *d);

#endif
