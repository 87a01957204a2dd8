/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share_proto.h - what a process and the keeper say to each other: one message of the kernel's
 * SOCK_SEQPACKET each way, on an abstract Unix socket. The kernel tells who is on the other end
 * (SO_PEERCRED). A process keeps its connection: it is how either learns that the other is gone.
 */
#ifndef MR_ENGINE_SHARE_PROTO_H
#define MR_ENGINE_SHARE_PROTO_H

#include <stdint.h>
#include <sys/types.h>

#define SHARE_FDS_PER_MESSAGE 128u /* the kernel takes 253 */

enum share_op {
	SHARE_JOIN = 1, /* -> struct share_welcome, then the sockets in further messages */
	SHARE_HELLO,	/* arg: slot of a forked child, life: its; no answer */
	SHARE_ADOPTED,	/* the table is filled; no answer */
	SHARE_EVENT,	/* arg: a waiter -> struct share_answer with its eventfd */
	SHARE_LINE,	/* struct share_line, for the log; no answer */
};

struct share_request {
	uint32_t op;
	uint32_t arg;
	uint64_t secret; /* JOIN, HELLO: who has it was started with the stack in its environment */
	uint64_t life;	 /* SHARE_HELLO: the child may have ended, and another have its slot */
	char comm[16];
};

/* Sent up to the end of the text. */
struct share_line {
	uint32_t op;
	int32_t level;
	char text[512];
};

struct share_answer {
	int32_t err;
	uint32_t nfds;
	uint32_t waiter; /* SHARE_EVENT: whose it is */
};

/* With it come, in this order: arena, UMEM, the keeper's event, the capture if any, the map of ports if
 * any, and first sockets. */
enum share_fd { SHARE_FD_ARENA, SHARE_FD_UMEM, SHARE_FD_EVENT, SHARE_FDS };

struct share_welcome {
	struct share_answer answer; /* nfds counts all of this message */
	uint64_t magic;
	uint64_t arena, arena_size, umem, umem_size; /* addresses and bytes of the mappings */
	uint64_t stack, commons, dev;		     /* addresses in the arena; dev 0: no AF_XDP */
	uint64_t ports; /* address of the XDP program's map of ports; 0: none */
	uint32_t slot;
	uint32_t nsockets; /* of the device: mr_afxdp_sockets() */
	uint64_t spin_ns;
	int32_t log_level;
	uint32_t has_capture, snaplen;
	int64_t epoch_ns;
	char ifname[16];
};

/* One message with nfds descriptors. 0 or a negative errno. */
int share_send(int sock, const void *msg, size_t len, const int *fds, unsigned nfds);
/* One message of at most len bytes; fds has room for SHARE_FDS_PER_MESSAGE, close-on-exec. Its length,
 * 0: the other end is gone; or a negative errno: -EMFILE, there was no room for all of them, and none is taken. */
ssize_t share_recv(int sock, void *msg, size_t len, int *fds, unsigned *nfds, int flags);

#endif
