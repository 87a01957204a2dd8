/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * millrace.h - the public API of libmillrace, a TCP/IP stack in user space over AF_XDP.
 *
 * An engine is one thread's worth of stack on one network interface. Open it, make sockets on it, and
 * call mr_wait() in a loop: that call is where packets are received, timers run, and what the
 * application queued is sent.
 *
 *	struct mr_config cfg;
 *	struct mr_error err;
 *	struct mr_engine *engine;
 *
 *	mr_config_init(&cfg);
 *	cfg.ifname = "eth0";
 *	mr_config_add_address(&cfg, "10.0.0.5/24");
 *	if (mr_engine_open(&engine, &cfg, &err) < 0)
 *		errx(1, "%s", err.text);
 *
 * Results   0 or a count where the call worked, a negative errno where it did not. errno is not set.
 * Threads   An engine and all of its sockets belong to one thread at a time. Two engines are
 *	     independent of each other. Nothing here is safe in a signal handler but mr_wakeup().
 * Blocking  Only mr_wait() ever blocks.
 * Sending   What mr_send() and its kin queue goes out in the next mr_wait() (or mr_flush()), so that
 *	     everything of one round shares segments and one doorbell.
 * Memory    All of an engine's memory is sized at mr_engine_open(); after that a call that finds none
 *	     left answers -ENOBUFS or -ENOMEM and changes nothing.
 */
#ifndef MILLRACE_H
#define MILLRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MR_VERSION "0.1.0"

#pragma GCC visibility push(default)

struct mr_engine;
struct mr_socket;

/* ---- Addresses ---------------------------------------------------------------------------------- */

/* An IPv4 or IPv6 address in wire order. IPv4 is held as IPv4-mapped IPv6 (::ffff:a.b.c.d, RFC 4291
 * section 2.5.5.2). All zeros is "any". */
struct mr_addr {
	union {
		uint8_t b[16];
		uint32_t w[4]; /* wire order */
	};
};

struct mr_endpoint {
	struct mr_addr addr;
	uint16_t port; /* host byte order */
};

#define MR_ADDR_STRLEN	   46 /* longest text of an address, with its NUL */
#define MR_ENDPOINT_STRLEN 56 /* "[v6]:port" or "v4:port", with its NUL */

/* Parse "10.0.0.1" or "fe80::1". 0, or -EINVAL with *addr untouched. */
int mr_addr_parse(const char *text, struct mr_addr *addr);
/* Parse "10.0.0.1:80" or "[fe80::1]:80". 0, or -EINVAL with *ep untouched. */
int mr_endpoint_parse(const char *text, struct mr_endpoint *ep);
/* Write the text into buf (truncated to size, always NUL-terminated); returns buf. */
char *mr_addr_format(const struct mr_addr *addr, char *buf, size_t size);
char *mr_endpoint_format(const struct mr_endpoint *ep, char *buf, size_t size);

/* The same, and a link-local IPv6 address has a zone (RFC 4007 section 11): "fe80::1%eth0",
 * "[fe80::1%eth0]:80". An engine has one interface, so there is no zone in struct mr_addr: parsing takes
 * the name of that interface (or none) and no other, -ENODEV; formatting writes it. ifname may be NULL:
 * no zone is right then, and none is written. */
#define MR_ZONE_STRLEN 16 /* longest name of an interface, with its NUL */
int mr_addr_parse_zone(const char *text, const char *ifname, struct mr_addr *addr);
int mr_endpoint_parse_zone(const char *text, const char *ifname, struct mr_endpoint *ep);
/* buf: MR_ENDPOINT_STRLEN + MR_ZONE_STRLEN bytes hold any. */
char *mr_endpoint_format_zone(const struct mr_endpoint *ep, const char *ifname, char *buf,
			      size_t size);

/* ---- Configuration ------------------------------------------------------------------------------ */

enum mr_xdp_mode {
	MR_XDP_AUTO,	/* native where the driver has zero copy, else generic (the case of veth) */
	MR_XDP_NATIVE,	/* driver mode or an error */
	MR_XDP_GENERIC, /* skb mode or an error */
};

enum mr_rx_csum {
	MR_RX_CSUM_AUTO,    /* PARTIAL on veth and in generic mode, else VERIFY */
	MR_RX_CSUM_VERIFY,  /* every checksum is verified by the XDP program */
	MR_RX_CSUM_PARTIAL, /* the same, but one that a local sender left unfinished is accepted */
	MR_RX_CSUM_OFF,	    /* the XDP program leaves it to the engine */
};

/* When to probe for the longest packet that a path carries (RFC 4821, RFC 8899): longer ones vanish without a word
 * where ICMP is filtered. */
enum mr_mtu_probing {
	MR_MTU_PROBING_OFF,
	MR_MTU_PROBING_SUSPECT, /* when long segments get lost and shorter ones do not */
	MR_MTU_PROBING_ALWAYS,	/* on every connection, from 1024 bytes up */
};

/* TCP segmentation offload: bursts of segments are handed to the kernel in packets of up to 64 KiB, through
 * a packet socket beside AF_XDP. Over veth they reach the peer whole, as those of the kernel's own TCP. */
enum mr_tso {
	MR_TSO_AUTO, /* on veth */
	/* Elsewhere, too, except with zero copy. Where the device has no TSO the kernel cuts the bursts. */
	MR_TSO_ON,
	MR_TSO_OFF,
};

/* Explicit congestion notification: what a connect asks for, and the most that a listener grants; the
 * numbers are those of Linux's tcp_ecn. Whoever asks for AccECN (RFC 9768) takes the classic kind (RFC
 * 3168) where the peer knows no other. */
enum mr_ecn_policy {
	MR_ECN_OFF,
	MR_ECN_CLASSIC,		     /* asked for and granted: the classic kind */
	MR_ECN_CLASSIC_PASSIVE,	     /* not asked for */
	MR_ECN_ACCURATE,	     /* asked for and granted: AccECN */
	MR_ECN_ACCURATE_ASK_CLASSIC, /* granted: AccECN; asked for: the classic kind */
	MR_ECN_ACCURATE_PASSIVE,     /* granted: AccECN; not asked for */
};

#define MR_CONFIG_ADDRS_MAX  8
#define MR_CONFIG_ROUTES_MAX 32

struct mr_prefix {
	struct mr_addr addr;
	uint8_t len; /* bits of the address family: 0..32 for IPv4, 0..128 for IPv6 */
};

struct mr_config_route {
	struct mr_prefix dst;
	struct mr_addr gateway; /* all zeros: on-link */
};

/* Fill with mr_config_init(), then change what you want. Strings are only read by mr_engine_open(). */
struct mr_config {
	const char *ifname; /* the interface to attach to; required */

	struct mr_prefix addrs[MR_CONFIG_ADDRS_MAX]; /* the engine's own addresses; at least one */
	unsigned naddrs;
	struct mr_config_route routes[MR_CONFIG_ROUTES_MAX]; /* beyond the on-link ones of addrs */
	unsigned nroutes;

	/* Instead of addresses and routes of its own: those that the interface has in the kernel, live.
	 * Only TCP of sockets that the engine has comes to it; everything else stays the kernel's. Every
	 * port is held by a kernel socket as well, and what mr_connect() can reach is what the kernel
	 * would reach over this interface. */
	bool shared;
	bool ignore_firewall; /* do not log that a firewall of the kernel's is passed by (shared) */

	enum mr_xdp_mode xdp_mode;
	enum mr_rx_csum rx_csum;
	enum mr_tso tso;
	/* Descriptors per queue: powers of two, 64..32768. Default 2048. */
	uint32_t rx_ring, tx_ring;
	/* Chunks of packet memory for all queues together, up to 2^22. 0, the default: what the rings need. */
	uint32_t umem_frames;
	/* Bytes of a chunk: 2048 or 4096. 0, the default: chosen from the MTU and the attach mode. */
	uint32_t chunk_size;

	/* Listeners and connections: 1..2^20. Default 16384. */
	uint32_t max_sockets;
	/* Bytes per socket: 2048..16 MiB. 0, the default: as large as the path asks for. */
	uint32_t sndbuf, rcvbuf;
	/* mr_wait() polls this long before it sleeps: up to 1 s; 0: it sleeps at once. Default 50. */
	uint32_t spin_us;
	/* Token bucket on transmit, bits per second. 0, the default: unlimited. */
	uint64_t rate_bps;
	const char *congestion;		 /* default of MR_OPT_CONGESTION, by name; NULL: "cubic" */
	enum mr_ecn_policy ecn;		 /* default of MR_OPT_ECN: MR_ECN_ACCURATE */
	enum mr_mtu_probing mtu_probing; /* MR_MTU_PROBING_SUSPECT, as Linux's tcp_mtu_probing 1 */
	/* Keys of TCP Fast Open as Linux's sysctl has them, "aaaaaaaa-bbbbbbbb-cccccccc-dddddddd", and perhaps the
	 * one before behind a comma; NULL: one is made up, and cookies are good as long as the engine lives. */
	const char *fastopen_key;
	/* Write every packet of both directions there (pcapng); NULL: off. With a FIFO, ignore SIGPIPE:
	 * its reader may go away. An error ends the capture, not the engine, and is logged. */
	const char *pcap_path;
	uint32_t pcap_snaplen; /* bytes kept of each packet; 0: all */
	uint64_t seed;	       /* of all randomness; 0: taken from getrandom() */

	/* Called with one line (no newline) for what an operator should know, e.g. "link down".
	 * level is a syslog(3) one: LOG_ERR .. LOG_DEBUG. NULL: silent. Must not call the engine. */
	void (*log)(void *user, int level, const char *line);
	void *log_user;
};

void mr_config_init(struct mr_config *cfg);
/* Add "10.0.0.5/24" or "2001:db8::5/64". 0, -EINVAL (not an address with prefix length) or -ENOSPC. */
int mr_config_add_address(struct mr_config *cfg, const char *text);
/* Add "0.0.0.0/0 via 10.0.0.1", "::/0 via fe80::1" or "10.9.0.0/16" (on-link). Without a default route
 * of IPv6, one that a router advertises is used. 0, -EINVAL or -ENOSPC. */
int mr_config_add_route(struct mr_config *cfg, const char *text);

/* ---- Engine ------------------------------------------------------------------------------------- */

/* What went wrong and what to do about it, as one sentence without a newline. */
struct mr_error {
	int code; /* negative errno, the same that the call returned */
	char text[384];
};

/* Attach to cfg->ifname. On success *out is the caller's until mr_engine_close(). On failure *out is
 * NULL, nothing stays attached, and *err (may be NULL) explains. */
int mr_engine_open(struct mr_engine **out, const struct mr_config *cfg, struct mr_error *err);

/* Detach and free everything, sockets included. Connections still open are reset (RST is sent).
 * To end them in order, close them and call mr_wait() until mr_engine_connections() is 0. */
void mr_engine_close(struct mr_engine *engine);

/* The engine's addresses: those of the configuration and, where one of them is IPv6, a link-local one
 * of its own. Returns how many there are; fills the first max. */
unsigned mr_engine_addresses(const struct mr_engine *engine, struct mr_prefix *out, unsigned max);

/* Connections that are not closed yet, TIME-WAIT not counted. */
unsigned mr_engine_connections(const struct mr_engine *engine);

#define MR_IN	 0x1u  /* data (MR_OPT_RCVLOWAT), end of stream, or a connection to accept */
#define MR_OUT	 0x2u  /* a third of the send buffer is free, or the connect has succeeded */
#define MR_RDHUP 0x4u  /* the peer has sent FIN */
#define MR_ERR	 0x8u  /* the connection failed: mr_sock_error() says why; always reported */
#define MR_HUP	 0x10u /* both directions are over; always reported */
#define MR_PRI	 0x20u /* an urgent byte is there and was not read by MR_RECV_OOB */
#define MR_DONE	 0x40u /* after mr_linger(): what it waits for has come */

struct mr_event {
	struct mr_socket *sock;
	uint64_t user;	/* as given to mr_set_interest() */
	uint32_t ready; /* MR_* bits that hold now */
};

/* Run the engine: send what is owed, receive, run timers; then tell which sockets are ready.
 * Level-triggered: a socket is reported again as long as it stays ready. timeout_us < 0: for ever;
 * 0: one round without sleeping. Returns the number of events (0 at timeout or after mr_wakeup()), or
 * -ENETDOWN when the interface is gone for good (deleted or moved away): only mr_engine_close() is
 * left then. A link that is merely down is no error, it is waited for. -EINTR is never returned:
 * after a signal handler ran, the call returns 0. */
int mr_wait(struct mr_engine *engine, struct mr_event *events, unsigned max, int64_t timeout_us);

/* Send what is queued now, without receiving. 0 or -ENETDOWN as above. */
int mr_flush(struct mr_engine *engine);

/* Make a present or the next mr_wait() return. From any thread and from signal handlers. */
void mr_wakeup(struct mr_engine *engine);

/* ---- Sockets ------------------------------------------------------------------------------------ */

/* A new TCP socket, owned by the caller until mr_close() or mr_abort().
 * 0, -ENOBUFS at cfg.max_sockets. */
int mr_socket(struct mr_engine *engine, struct mr_socket **out);

/* Choose the local address (all zeros: any; 0.0.0.0: any of IPv4 only) and port (0: chosen at connect or listen).
 * A port belongs to one socket at a time, with Linux's two exceptions: sockets that all have MR_OPT_REUSEPORT share
 * it, and may all listen (the flow's hash chooses between them); sockets that all have MR_OPT_REUSEADDR share it as
 * long as none of them listens. Without one of these options a connection that still uses the port is in the way.
 * 0, -EADDRINUSE, -EADDRNOTAVAIL (not an address of the engine), -EINVAL (already bound). */
int mr_bind(struct mr_socket *sock, const struct mr_endpoint *local);

/* Become a listener. backlog bounds the SYN queue and the accept queue, each; less than 1 counts as 1, more than
 * 65535 as that. 0, -EINVAL (connected), -EADDRINUSE, -ENOBUFS. */
int mr_listen(struct mr_socket *sock, int backlog);

/* Take the oldest completed connection; it is the caller's to close. peer may be NULL.
 * 0, -EAGAIN, -EINVAL (not a listener), -ENOBUFS. */
int mr_accept(struct mr_socket *listener, struct mr_socket **out, struct mr_endpoint *peer);

/* Begin to connect. -EINPROGRESS is success: MR_OUT or MR_ERR follows. -EISCONN, -EALREADY,
 * -EADDRNOTAVAIL (no free local port), -EADDRINUSE (that 4-tuple exists), -ENETUNREACH, -EINVAL. */
int mr_connect(struct mr_socket *sock, const struct mr_endpoint *peer);

/* Copy up to len bytes to the end of the send buffer. Returns how many were taken: fewer than len when
 * the buffer (or the engine's frames) ran out, then -EAGAIN until MR_OUT.
 * -ENOTCONN, -EPIPE (after shutdown or close by reset), or the connection's error once
 * (-ECONNRESET, -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH). */
ssize_t mr_send(struct mr_socket *sock, const void *buf, size_t len, unsigned flags);
ssize_t mr_sendv(struct mr_socket *sock, const struct iovec *iov, int iovcnt, unsigned flags);
/* TCP Fast Open (RFC 7413), as Linux's MSG_FASTOPEN: connect and send in one. Where there is a cookie for the
 * server the data goes with the SYN: returns how many bytes were taken. Else -EINPROGRESS: nothing was
 * taken, and the connect has begun, which asks for a cookie. Errors as of mr_connect() and mr_send(). */
ssize_t mr_send_fastopen(struct mr_socket *sock, const struct mr_endpoint *peer, const void *buf,
			 size_t len, unsigned flags);
#define MR_SEND_MORE 0x1u /* more follows: do not send a partial segment yet */
#define MR_SEND_OOB  0x2u /* the last byte is urgent (RFC 6093: do not use in new programs) */

/* Copy up to len bytes out of the receive buffer and free them there. 0 is the end of the stream.
 * -EAGAIN when nothing is there, -ENOTCONN, or the connection's error once. */
ssize_t mr_recv(struct mr_socket *sock, void *buf, size_t len, unsigned flags);
ssize_t mr_recvv(struct mr_socket *sock, const struct iovec *iov, int iovcnt, unsigned flags);
#define MR_RECV_PEEK 0x1u /* leave it in the buffer; a pending error stays, too */
#define MR_RECV_OOB  0x2u /* the urgent byte; -EINVAL when there is none or it was read */
/* Take it out of the buffer without copying it: Linux's MSG_TRUNC of TCP. buf may be NULL. */
#define MR_RECV_TRUNC 0x4u

/* Zero-copy receive: lend what is next in the receive buffer without copying. Fills up to max slices,
 * returns how many (0: end of stream, else errors as mr_recv()). The bytes leave the receive buffer's
 * stream at once, but its space is freed, and the peer's window opens, only when the slices are given
 * back; until then they may be read, not written. Give them back in any order, also after the socket
 * was closed, but before mr_engine_close(). */
struct mr_slice {
	const void *data;
	uint32_t len;
	uint32_t reserved;
	void *frame; /* the engine's; do not touch */
};
int mr_recv_borrow(struct mr_socket *sock, struct mr_slice *slices, unsigned max);
void mr_recv_return(struct mr_engine *engine, struct mr_slice *slices, unsigned n);

/* Zero-copy send: take an empty frame with room for up to one segment, write into it, hand it over.
 * Between the two calls nothing else may be sent on the socket.
 * mr_send_reserve: 0 and *buf is the caller's until commit or cancel; -EAGAIN (send buffer full or no
 * frame; MR_OUT follows) or errors as mr_send().
 * mr_send_commit: queues the first len (1..buf->room) bytes; buf is gone. 0, or errors as mr_send()
 * (buf is gone then, too). */
struct mr_sendbuf {
	void *data;
	uint32_t room;
	uint32_t reserved;
	void *frame; /* the engine's; do not touch */
};
int mr_send_reserve(struct mr_socket *sock, struct mr_sendbuf *buf);
int mr_send_commit(struct mr_socket *sock, struct mr_sendbuf *buf, uint32_t len, unsigned flags);
void mr_send_cancel(struct mr_socket *sock, struct mr_sendbuf *buf);

enum mr_how { MR_SHUT_RD, MR_SHUT_WR, MR_SHUT_RDWR };
/* MR_SHUT_WR: FIN after what is queued. MR_SHUT_RD: as in Linux, a read does not wait any more; where
 * nothing is queued it finds the end of the stream, and what arrives is queued still; with MR_SHUT_WR,
 * too, it ends the connection by a reset. As in Linux, a listener that is shut down for reading, and a
 * connection that is not complete yet, are disconnected (mr_disconnect()). 0, -ENOTCONN. */
int mr_shutdown(struct mr_socket *sock, enum mr_how how);

/* Linux's connect() to AF_UNSPEC: end whatever the socket does, a connection by RST. It may be used
 * anew then, keeps its options and, if it was bound, its address. Until then mr_ready() says
 * MR_OUT | MR_HUP. */
void mr_disconnect(struct mr_socket *sock);

/* The close() of MR_OPT_LINGER n > 0, without blocking: shut down for writing, if not done before.
 * -EINPROGRESS: something is not acknowledged; MR_DONE follows, or ask again. 0: nothing is left to wait
 * for. In both cases the socket is the caller's until mr_close(), which sends on what is left. */
int mr_linger(struct mr_socket *sock);

/* Give the socket back. Queued data is still sent, then FIN; with unread received data, or with
 * MR_OPT_LINGER 0, RST instead (RFC 2525 section 2.17). sock is invalid afterwards, always. */
void mr_close(struct mr_socket *sock);
/* RST at once and give the socket back. sock is invalid afterwards. */
void mr_abort(struct mr_socket *sock);

/* Which readiness mr_wait() reports for this socket (MR_IN | MR_OUT | MR_RDHUP; MR_ERR and MR_HUP
 * always are), and the number it is reported with. A new socket has MR_IN and 0. */
void mr_set_interest(struct mr_socket *sock, uint32_t mask, uint64_t user);

/* The readiness that holds now, interest or not. */
uint32_t mr_ready(const struct mr_socket *sock);

/* The pending error as negative errno, which is thereby cleared; 0 when there is none. */
int mr_sock_error(struct mr_socket *sock);

/* Local and remote end. 0; -ENOTCONN for the peer of an unconnected socket. */
int mr_local(const struct mr_socket *sock, struct mr_endpoint *ep);
int mr_peer(const struct mr_socket *sock, struct mr_endpoint *ep);

enum mr_opt {
	MR_OPT_NODELAY,	 /* 0/1: no Nagle (RFC 896). Default 0 */
	MR_OPT_CORK,	 /* 0/1: only full segments until cleared, or 200 ms */
	MR_OPT_QUICKACK, /* 0/1: for now, ACKs do not wait for data to go with */
	/* -1: off; 0: mr_close() resets; else seconds, which are for the caller to wait: mr_linger() */
	MR_OPT_LINGER,
	/* Bytes, 2048..16 MiB. Until they are set they begin with 256 KiB, and grow (to 4 and 6 MiB, within the
	 * engine's frames) with what the path and the application can use. MR_OPT_RCVBUF before
	 * connect/listen also chooses the window scale. */
	MR_OPT_SNDBUF,
	MR_OPT_RCVBUF,
	MR_OPT_MAXSEG, /* bytes, 88..32767 (as Linux): upper bound of the MSS, before connect/listen */
	MR_OPT_KEEPALIVE,    /* 0/1 (RFC 1122 4.2.3.6). Default 0 */
	MR_OPT_KEEPIDLE,     /* seconds, 1..32767. Default 7200 */
	MR_OPT_KEEPINTVL,    /* seconds, 1..32767. Default 75 */
	MR_OPT_KEEPCNT,	     /* 1..127. Default 9 */
	MR_OPT_USER_TIMEOUT, /* ms of silence to data or keepalives until -ETIMEDOUT; 0: R2, KEEPCNT */
	MR_OPT_OOBINLINE,    /* 0/1: urgent data stays in the stream. Default 0 */
	/* mr_congestion_index(), before connect, or of a listener. Default: the configuration's */
	MR_OPT_CONGESTION,
	/* A listener: connections that a cookie has let in and whose handshake is not complete, at the most
	 * (RFC 7413); such connections come with data at once. 0..65535; 0, the default: none. */
	MR_OPT_FASTOPEN,
	/* 0/1, before mr_connect(): where the server has given a cookie before, mr_connect() answers 0 and
	 * the SYN waits for the first data, to take it along; else the SYN asks for a cookie. Default 0 */
	MR_OPT_FASTOPEN_CONNECT,
	MR_OPT_ECN,  /* enum mr_ecn_policy, before connect/listen. Default: the configuration's */
	MR_OPT_TOS,  /* 0..255: IPv4 TOS / IPv6 traffic class; -1: the default, 0 */
	MR_OPT_TTL,  /* 1..255: IPv4 TTL / IPv6 hop limit; -1: the default, 64 */
	MR_OPT_INQ,  /* read only: bytes in the receive buffer, up to an urgent byte (SIOCINQ) */
	MR_OPT_OUTQ, /* read only: bytes not acknowledged or not sent */
	MR_OPT_OUTQ_UNSENT, /* read only: bytes not sent */
	MR_OPT_ATMARK,	    /* read only: 0/1: the next byte of the stream is the urgent one */
	/* Seconds, 0..65535: a listener does not show a connection before data has come, or that long.
	 * Rounded up to 1, 3, 7, 15 ... as the SYN,ACK is repeated (Linux's TCP_DEFER_ACCEPT). */
	MR_OPT_DEFER_ACCEPT,
	MR_OPT_SYNCNT, /* 0..127: retransmissions of a SYN before -ETIMEDOUT; 0: the default, 6 */
	/* Seconds in FIN-WAIT-2 after mr_close(): 0: the default, 60; 1..120; -1: reset at once. */
	MR_OPT_LINGER2,
	MR_OPT_WINDOW_CLAMP, /* bytes: the window never is larger; 0: only MR_OPT_RCVBUF bounds it */
	MR_OPT_RCVLOWAT,     /* bytes, from 1: MR_IN only with as much data. Default 1 */
	MR_OPT_NOTSENT_LOWAT, /* bytes: no more is taken, and MR_OUT is off, with so much unsent; 0: off */
	MR_OPT_MAX_PACING_RATE, /* bytes of payload per second, not in bursts; 0: as the control has it */
	MR_OPT_REUSEADDR,	/* 0/1, before mr_bind(): see there */
	MR_OPT_REUSEPORT,	/* 0/1, before mr_bind(): see there */
	MR_OPT_V6ONLY,		/* 0/1, before mr_bind(): no IPv4 on an IPv6 socket. Default 0 */
};
/* 0, -EINVAL (value out of range, or too late), -ENOPROTOOPT (unknown, or read only). */
int mr_set_option(struct mr_socket *sock, enum mr_opt opt, int64_t value);
int mr_get_option(const struct mr_socket *sock, enum mr_opt opt, int64_t *value);

/* The keys of the cookies of TCP Fast Open (RFC 7413 section 4.1.1), as Linux's TCP_FASTOPEN_KEY: 16 bytes, which
 * make the cookies that a listener gives, or 32: the cookies of the second key are good, too, and who has one gets
 * a new one. So a key is changed: from KEY to NEW, KEY. The same key on several servers, of Linux's too, makes them
 * take each other's cookies. Before or after mr_listen(). 0 or -EINVAL (another length; a connection). */
int mr_set_fastopen_key(struct mr_socket *sock, const void *key, size_t len);
/* Those in force, the engine's where the socket has none of its own. Returns how many bytes were put into key. */
size_t mr_get_fastopen_key(const struct mr_socket *sock, void *key, size_t size);
/* The engine's, for all listeners that have none of their own; at first mr_config.fastopen_key. 0 or -EINVAL. */
int mr_engine_fastopen_key(struct mr_engine *engine, const void *key, size_t len);

/* Congestion control by name ("cubic", "newreno"): its index, or -ENOENT. The reverse: NULL past
 * the last. */
int mr_congestion_index(const char *name);
const char *mr_congestion_name(int index);

/* ---- Sight -------------------------------------------------------------------------------------- */

enum mr_tcp_state {
	MR_TCP_CLOSED,
	MR_TCP_LISTEN,
	MR_TCP_SYN_SENT,
	MR_TCP_SYN_RECEIVED,
	MR_TCP_ESTABLISHED,
	MR_TCP_FIN_WAIT1,
	MR_TCP_FIN_WAIT2,
	MR_TCP_CLOSE_WAIT,
	MR_TCP_CLOSING,
	MR_TCP_LAST_ACK,
	MR_TCP_TIME_WAIT,
};
const char *mr_tcp_state_name(enum mr_tcp_state state);

struct mr_sock_info {
	enum mr_tcp_state state;
	struct mr_endpoint local, peer;
	uint32_t srtt_us, rttvar_us, rto_us; /* srtt_us 0: no sample yet */
	uint32_t snd_mss, rcv_mss;
	uint32_t cwnd, ssthresh, snd_wnd, rcv_wnd; /* bytes */
	uint32_t unacked, unsent, rcv_queued;	   /* bytes */
	uint64_t bytes_acked, bytes_received;
	uint64_t segs_out, segs_in, retrans;
	const char *congestion;
	uint64_t pacing_rate; /* bytes per second; 0: sends as fast as windows allow */
};
int mr_sock_info(const struct mr_socket *sock, struct mr_sock_info *info);

/* The same as Linux's struct tcp_info (getsockopt TCP_INFO; <linux/tcp.h>), cut or filled up with zeros
 * to size bytes. What is counted in segments there is counted in bytes here: it is told in full
 * segments, rounded up: tcpi_unacked, _sacked, _lost, _retrans, _delivered, _delivered_ce, _snd_cwnd,
 * _snd_ssthresh. tcpi_reord_seen and tcpi_dsack_dups end at 65535. Marks of the classic kind of ECN are not in
 * tcpi_delivered_ce, nor TCPI_OPT_ECN_SEEN in tcpi_options: only AccECN counts them. tcpi_ato and
 * tcpi_reordering are constants here, tcpi_rcv_ssthresh is the window. 0 is what Linux does not keep either
 * (tcpi_fackets, tcpi_last_ack_sent), and what this version of the struct does not have: tcpi_rcv_wnd and what
 * follows it. Returns the bytes filled. */
size_t mr_tcp_info(const struct mr_socket *sock, void *buf, size_t size);

/* Counters of every layer, in a fixed order, by name ("tcp.retrans_segs", "xdp.redirect_tcp",
 * "dev.rx_fill_ring_empty", ...; drops as "drop.REASON" in the engine and "xdp.drop.REASON" in the XDP
 * program). Returns how many there are in all; fills the first max. Names are static. Reads the XDP
 * program's and the device's counters by system call. */
struct mr_counter {
	const char *name;
	const char *text; /* one line of explanation */
	uint64_t value;
};
unsigned mr_counters(struct mr_engine *engine, struct mr_counter *out, unsigned max);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
