/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share_proto.h - the protocol between a process and the keeper: messages on a SOCK_SEQPACKET connection to an abstract
 * Unix socket. The kernel says who the peer is (SO_PEERCRED). A process keeps its connection open, because its end
 * tells each side that the other one is gone.
 */
#ifndef MR_ENGINE_SHARE_PROTO_H
#define MR_ENGINE_SHARE_PROTO_H

#include <stdint.h>
#include <sys/types.h>

#define SHARE_FDS_PER_MESSAGE 128u /* the kernel allows 253 */

enum share_op {
	/* answer: struct share_welcome, then further messages with the other sockets. */
	SHARE_JOIN = 1,
	SHARE_HELLO,   /* arg: slot of a forked child, life: its mr_proc.life; no answer */
	SHARE_ADOPTED, /* see mr_share_adopted(); no answer */
	SHARE_EVENT,   /* arg: index of a waiter; answer: struct share_answer with its eventfd */
	SHARE_LINE,    /* struct share_line, for the log; no answer */
	SHARE_ENTER,   /* arg: user ID of a further program; answer: struct share_entry */
};

struct share_request {
	uint32_t op;
	uint32_t arg;
	uint64_t secret; /* SHARE_JOIN, SHARE_HELLO: proves that the process got MR_SHARE_ENV */
	uint64_t life;	 /* SHARE_HELLO: recognises a slot that another process has got meanwhile */
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
	uint32_t waiter; /* SHARE_EVENT: index of the waiter */
};

/* What a launcher needs to start a further program on the stack: with it comes a write end of the lifeline. */
struct share_entry {
	struct share_answer answer;
	uint64_t magic;
	uint64_t secret; /* for MR_SHARE_ENV */
};

/* Descriptors of the welcome message, in this order: arena, UMEM, the keeper's eventfd, the capture if there is one,
 * the map of ports if there is one, and the first sockets. */
enum share_fd { SHARE_FD_ARENA, SHARE_FD_UMEM, SHARE_FD_EVENT, SHARE_FDS };

struct share_welcome {
	struct share_answer answer; /* nfds counts the descriptors of this message */
	uint64_t magic;
	uint64_t arena, arena_size, umem, umem_size; /* addresses and sizes of the mappings */
	uint64_t stack, commons, dev; /* addresses in the arena; dev 0: the device is not AF_XDP */
	uint64_t ports;		      /* address of the XDP program's map of ports; 0: none */
	uint32_t slot;
	uint32_t nsockets; /* mr_afxdp_sockets() of the device */
	uint64_t spin_ns;
	int32_t log_level;
	uint32_t has_capture, snaplen;
	int64_t epoch_ns;
	char ifname[16];
};

/* Send one message with nfds descriptors. Returns 0 or a negative errno. */
int share_send(int sock, const void *msg, size_t len, const int *fds, unsigned nfds);
/* Receive one message of at most len bytes. fds has room for SHARE_FDS_PER_MESSAGE; they are close-on-exec. Returns
 * the length; 0: the peer is gone; or a negative errno. -EMFILE: not all descriptors could be received, and none was
 * kept. */
ssize_t share_recv(int sock, void *msg, size_t len, int *fds, unsigned *nfds, int flags);

#endif
