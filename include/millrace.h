/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * millrace.h - the public API of libmillrace, a TCP/IP stack in user space over AF_XDP.
 *
 * An engine is one instance of the stack on one network interface; it has no thread of its own. Open it, make sockets
 * on it, and call mr_wait() in a loop: packets are received, timers run and queued data is sent inside that call.
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
 * Results   0 or a count on success, a negative errno on failure. errno is not set.
 * Threads   An engine and all of its sockets may be used by one thread at a time. Engines are independent of each
 *	     other. Only mr_wakeup() may be called from other threads and from signal handlers.
 * Blocking  Only mr_wait() blocks.
 * Sending   mr_send() and the other sending calls queue data. It is sent by the next mr_wait() or mr_flush(), so that
 *	     several calls share segments and one system call.
 * Memory    All memory of an engine is allocated by mr_engine_open(). A call that finds none left returns -ENOBUFS or
 *	     -ENOMEM and changes nothing.
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

/* An IPv4 or IPv6 address in network byte order. IPv4 is stored as IPv4-mapped IPv6 (::ffff:a.b.c.d, RFC 4291
 * section 2.5.5.2). All zeros is "any". */
struct mr_addr {
	union {
		uint8_t b[16];
		uint32_t w[4]; /* network byte order */
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

/* The same with the zone of a link-local IPv6 address (RFC 4007 section 11): "fe80::1%eth0", "[fe80::1%eth0]:80". An
 * engine has one interface, so struct mr_addr stores no zone. Parsing accepts no zone or the zone ifname; any other is
 * -ENODEV. Formatting appends ifname as the zone. With ifname NULL every zone is refused, and none is written. */
#define MR_ZONE_STRLEN 16 /* longest name of an interface, with its NUL */
int mr_addr_parse_zone(const char *text, const char *ifname, struct mr_addr *addr);
int mr_endpoint_parse_zone(const char *text, const char *ifname, struct mr_endpoint *ep);
/* MR_ENDPOINT_STRLEN + MR_ZONE_STRLEN bytes are always enough. */
char *mr_endpoint_format_zone(const struct mr_endpoint *ep, const char *ifname, char *buf,
			      size_t size);

/* ---- Configuration ------------------------------------------------------------------------------ */

enum mr_xdp_mode {
	MR_XDP_AUTO,	/* native where the driver has zero copy, else generic (the case of veth) */
	MR_XDP_NATIVE,	/* driver mode or an error */
	MR_XDP_GENERIC, /* skb mode or an error */
};

enum mr_rx_csum {
	MR_RX_CSUM_AUTO,   /* PARTIAL on veth and in generic mode, else VERIFY */
	MR_RX_CSUM_VERIFY, /* every checksum is verified by the XDP program */
	MR_RX_CSUM_PARTIAL, /* as VERIFY, but partial checksums (of senders on this host) are accepted */
	MR_RX_CSUM_OFF, /* the engine verifies them instead of the XDP program */
};

/* When to probe for the largest packet that a path carries (RFC 4821, RFC 8899). Where ICMP is filtered, larger packets
 * are lost without notice. */
enum mr_mtu_probing {
	MR_MTU_PROBING_OFF,
	MR_MTU_PROBING_SUSPECT, /* when long segments get lost and shorter ones do not */
	MR_MTU_PROBING_ALWAYS,	/* on every connection, from 1024 bytes up */
};

/* TCP segmentation offload: bursts of segments are sent as packets of up to 64 KiB through a packet socket beside
 * AF_XDP. Over veth they reach the peer unsegmented, as those of the kernel's own TCP do. */
enum mr_tso {
	MR_TSO_AUTO, /* on veth */
	/* On any interface without zero copy. If the device has no TSO, the kernel segments. */
	MR_TSO_ON,
	MR_TSO_OFF,
};

/* Explicit congestion notification: what a connect requests, and the most that a listener accepts. The values are those
 * of Linux's tcp_ecn. A connection that requested AccECN (RFC 9768) falls back to classic ECN (RFC 3168) if the peer
 * supports only that. */
enum mr_ecn_policy {
	MR_ECN_OFF,
	MR_ECN_CLASSIC,		     /* request and accept classic ECN */
	MR_ECN_CLASSIC_PASSIVE,	     /* accept classic ECN, request none */
	MR_ECN_ACCURATE,	     /* request and accept AccECN */
	MR_ECN_ACCURATE_ASK_CLASSIC, /* request classic ECN, accept AccECN */
	MR_ECN_ACCURATE_PASSIVE,     /* accept AccECN, request none */
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

/* Initialize with mr_config_init(), then change single fields. Strings are read by mr_engine_open() only, and stay the
 * caller's. */
struct mr_config {
	const char *ifname; /* the interface to attach to; required */

	struct mr_prefix addrs[MR_CONFIG_ADDRS_MAX]; /* the engine's own addresses; at least one */
	unsigned naddrs;
	struct mr_config_route
		routes[MR_CONFIG_ROUTES_MAX]; /* in addition to the prefixes of addrs */
	unsigned nroutes;

	/* Use the addresses and routes that the interface has in the kernel, and follow their changes, instead of
	 * addrs and routes. The engine receives only TCP for its own sockets; all other traffic stays with the
	 * kernel. Each port in use is also bound by a kernel socket. mr_connect() reaches what the kernel would reach
	 * over this interface. */
	bool shared;
	bool ignore_firewall; /* shared: do not log that the host's firewall rules are bypassed */

	enum mr_xdp_mode xdp_mode;
	enum mr_rx_csum rx_csum;
	enum mr_tso tso;
	/* Descriptors per queue: powers of two, 64..32768. Default 2048. */
	uint32_t rx_ring, tx_ring;
	/* Packet buffers of all queues together, up to 2^22. 0, the default: what the rings need, at least 16384. */
	uint32_t umem_frames;
	/* Bytes of a packet buffer: 2048 or 4096. 0, the default: chosen from the MTU and the attach mode. */
	uint32_t chunk_size;

	/* Listeners and connections: 1..2^20. Default 16384. */
	uint32_t max_sockets;
	/* Bytes per connection: 2048..16 MiB. 0, the default: tuned automatically (see MR_OPT_SNDBUF). */
	uint32_t sndbuf, rcvbuf;
	/* mr_wait() polls the rings for this long before it sleeps, 0..1000000. Default 50. */
	uint32_t spin_us;
	/* Token bucket on transmit, bits per second. 0, the default: unlimited. */
	uint64_t rate_bps;
	const char *congestion;		 /* default of MR_OPT_CONGESTION, by name; NULL: "cubic" */
	enum mr_ecn_policy ecn;		 /* default of MR_OPT_ECN: MR_ECN_ACCURATE */
	enum mr_mtu_probing mtu_probing; /* MR_MTU_PROBING_SUSPECT, as Linux's tcp_mtu_probing 1 */
	/* TCP Fast Open key in the format of Linux's sysctl, "aaaaaaaa-bbbbbbbb-cccccccc-dddddddd", optionally followed
	 * by a comma and the previous key. NULL: a random key; cookies are then valid until the engine closes. */
	const char *fastopen_key;
	/* Capture every packet of both directions into this file (pcapng); NULL: off. If it is a FIFO, ignore SIGPIPE:
	 * its reader may close it. A write error is logged and ends the capture, not the engine. */
	const char *pcap_path;
	uint32_t pcap_snaplen; /* bytes kept of each packet; 0: all */
	uint64_t seed;	       /* of all random numbers; 0: from getrandom() */

	/* Called with a message for the operator, one line without a newline, e.g. "link down". level: LOG_ERR to
	 * LOG_DEBUG of syslog(3). Must not call the engine. NULL: no messages. */
	void (*log)(void *user, int level, const char *line);
	void *log_user;
};

void mr_config_init(struct mr_config *cfg);
/* Add "10.0.0.5/24" or "2001:db8::5/64". 0, -EINVAL (not an address with prefix length) or -ENOSPC. */
int mr_config_add_address(struct mr_config *cfg, const char *text);
/* Add "0.0.0.0/0 via 10.0.0.1", "::/0 via fe80::1" or "10.9.0.0/16" (on-link). Without an IPv6 default route, the one
 * that a router advertises is used. 0, -EINVAL or -ENOSPC. */
int mr_config_add_route(struct mr_config *cfg, const char *text);

/* ---- Engine ------------------------------------------------------------------------------------- */

/* Why a call failed and what to do about it, as one line without a newline. */
struct mr_error {
	int code; /* negative errno, as returned by the call */
	char text[384];
};

/* Attach to cfg->ifname. Blocks while the program is loaded and attached. 0: *out is the caller's until
 * mr_engine_close(). A negative errno: *out is NULL, nothing stays attached, and *err (may be NULL) has the reason. */
int mr_engine_open(struct mr_engine **out, const struct mr_config *cfg, struct mr_error *err);

/* Detach and free everything, sockets included. Open connections are reset (RST is sent). To end them in order,
 * close them and call mr_wait() until mr_engine_connections() is 0. */
void mr_engine_close(struct mr_engine *engine);

/* The engine's addresses: the configured ones and, if one of them is IPv6, a link-local one. Fills out with at most max
 * of them, and returns how many there are. */
unsigned mr_engine_addresses(const struct mr_engine *engine, struct mr_prefix *out, unsigned max);

/* The number of connections that are not closed; TIME-WAIT is not counted. */
unsigned mr_engine_connections(const struct mr_engine *engine);

#define MR_IN	 0x1u  /* data (MR_OPT_RCVLOWAT), end of stream, or a connection to accept */
#define MR_OUT	 0x2u  /* a third of the send buffer is free, or the connect has succeeded */
#define MR_RDHUP 0x4u  /* the peer has sent FIN */
#define MR_ERR	 0x8u  /* the connection failed: mr_sock_error() says why; always reported */
#define MR_HUP	 0x10u /* both directions are over; always reported */
#define MR_PRI	 0x20u /* an urgent byte has arrived and was not read by MR_RECV_OOB */
#define MR_DONE	 0x40u /* after mr_linger(): nothing is left to wait for */

struct mr_event {
	struct mr_socket *sock;
	uint64_t user;	/* as given to mr_set_interest() */
	uint32_t ready; /* MR_IN ... MR_DONE, those that hold now */
};

/* Run the engine: send queued data and ACKs, receive, run timers; then report ready sockets. Level-triggered: a
 * socket is reported again as long as it is ready. timeout_us is in microseconds: negative waits without limit, 0
 * runs one round without sleeping. Returns the number of events, 0 after the timeout, mr_wakeup() or a signal handler
 * (never -EINTR). -ENETDOWN: the interface was deleted or moved to another namespace, and only mr_engine_close() is
 * of use. An interface that is only down is no error. */
int mr_wait(struct mr_engine *engine, struct mr_event *events, unsigned max, int64_t timeout_us);

/* Send queued data and ACKs now, without receiving. 0, or -ENETDOWN as above. */
int mr_flush(struct mr_engine *engine);

/* Make the current mr_wait(), or else the next one, return. May be called from any thread and from signal handlers. */
void mr_wakeup(struct mr_engine *engine);

/* ---- Sockets ------------------------------------------------------------------------------------ */

/* A new TCP socket, the caller's until mr_close() or mr_abort(). 0, or -ENOBUFS: cfg.max_sockets reached. */
int mr_socket(struct mr_engine *engine, struct mr_socket **out);

/* Set the local address (all zeros: any; 0.0.0.0: any IPv4 address) and port (0: chosen at connect or listen). A port
 * belongs to one socket, with Linux's two exceptions: sockets that all have MR_OPT_REUSEPORT share it and may all
 * listen (the flow's hash selects one); sockets that all have MR_OPT_REUSEADDR share it while none of them listens.
 * Without these options, a connection that still uses the port makes it -EADDRINUSE. 0, -EADDRINUSE, -EADDRNOTAVAIL
 * (not an address of the engine), -EINVAL (already bound). */
int mr_bind(struct mr_socket *sock, const struct mr_endpoint *local);

/* Listen. backlog, at most 65535 (larger and negative values count as that), limits the SYN queue and the accept queue,
 * each; as in Linux one connection more than that may wait to be accepted. 0, -EINVAL (connected), -EADDRINUSE, -ENOBUFS. */
int mr_listen(struct mr_socket *sock, int backlog);

/* Take the oldest completed connection, which the caller has to close. peer may be NULL.
 * 0, -EAGAIN, -EINVAL (not a listener), -ENOBUFS. */
int mr_accept(struct mr_socket *listener, struct mr_socket **out, struct mr_endpoint *peer);

/* Start to connect. -EINPROGRESS: started, and MR_OUT or MR_ERR will be reported. 0: see MR_OPT_FASTOPEN_CONNECT.
 * -EISCONN, -EALREADY, -EADDRNOTAVAIL (no free local port), -EADDRINUSE (the 4-tuple is in use), -ENETUNREACH,
 * -EINVAL. */
int mr_connect(struct mr_socket *sock, const struct mr_endpoint *peer);

/* Copy up to len bytes into the send buffer. Returns how many were copied: fewer than len if the send buffer (or the
 * engine's packet buffers) ran out; -EAGAIN if none could be, until MR_OUT. -ENOTCONN, -EPIPE (after mr_shutdown() or a
 * reset), or the connection's error, once (-ECONNRESET, -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH). */
ssize_t mr_send(struct mr_socket *sock, const void *buf, size_t len, unsigned flags);
ssize_t mr_sendv(struct mr_socket *sock, const struct iovec *iov, int iovcnt, unsigned flags);
/* TCP Fast Open (RFC 7413), as Linux's MSG_FASTOPEN: connect and send in one call. With a cookie for the server the
 * data goes with the SYN: returns how many bytes were copied. Without one, -EINPROGRESS: nothing was copied, and a
 * connect that requests a cookie was started. Errors as for mr_connect() and mr_send(). */
ssize_t mr_send_fastopen(struct mr_socket *sock, const struct mr_endpoint *peer, const void *buf,
			 size_t len, unsigned flags);
#define MR_SEND_MORE 0x1u /* more data follows: do not send a partial segment yet */
#define MR_SEND_OOB  0x2u /* the last byte is urgent (RFC 6093: not for new programs) */

/* Copy up to len bytes out of the receive buffer and remove them from it. Returns how many; 0 is the end of the stream.
 * -EAGAIN (no data), -ENOTCONN, or the connection's error, once. */
ssize_t mr_recv(struct mr_socket *sock, void *buf, size_t len, unsigned flags);
ssize_t mr_recvv(struct mr_socket *sock, const struct iovec *iov, int iovcnt, unsigned flags);
#define MR_RECV_PEEK 0x1u /* do not remove the data, nor a pending error */
#define MR_RECV_OOB  0x2u /* the urgent byte; -EINVAL if there is none or it was read */
/* Remove the data without copying it, as Linux's MSG_TRUNC does for TCP. buf may be NULL. */
#define MR_RECV_TRUNC 0x4u

/* Zero-copy receive: borrow the next data of the receive buffer. Fills up to max slices and returns how many; 0 is the
 * end of the stream; errors as for mr_recv(). The data is removed from the stream at once, but its space is freed, and
 * the receive window opens, only when the slices are returned. Until then they may be read, not written. They may be
 * returned in any order, also after the socket was closed, but before mr_engine_close(). */
struct mr_slice {
	const void *data;
	uint32_t len;
	uint32_t reserved;
	void *frame; /* private */
};
int mr_recv_borrow(struct mr_socket *sock, struct mr_slice *slices, unsigned max);
void mr_recv_return(struct mr_engine *engine, struct mr_slice *slices, unsigned n);

/* Zero-copy send: reserve a packet buffer with room for up to one segment, write into it, commit it. Nothing else may
 * be sent on the socket in between.
 * mr_send_reserve(): 0, and *buf is the caller's until commit or cancel; -EAGAIN (send buffer full, or no packet
 * buffer free; MR_OUT follows), or errors as for mr_send().
 * mr_send_commit(): queues the first len (1..buf->room) bytes. 0, or errors as for mr_send(). buf is invalid
 * afterwards, always. */
struct mr_sendbuf {
	void *data;
	uint32_t room;
	uint32_t reserved;
	void *frame; /* private */
};
int mr_send_reserve(struct mr_socket *sock, struct mr_sendbuf *buf);
int mr_send_commit(struct mr_socket *sock, struct mr_sendbuf *buf, uint32_t len, unsigned flags);
void mr_send_cancel(struct mr_socket *sock, struct mr_sendbuf *buf);

enum mr_how { MR_SHUT_RD, MR_SHUT_WR, MR_SHUT_RDWR };
/* MR_SHUT_WR: send FIN after the queued data. MR_SHUT_RD, as in Linux: a read of an empty buffer returns the end of the
 * stream, and arriving data is still queued; if MR_SHUT_WR was done, too, arriving data resets the connection. A
 * listener that is shut down for reading, and a connection that is not established yet, are disconnected as by
 * mr_disconnect(). 0 or -ENOTCONN. */
int mr_shutdown(struct mr_socket *sock, enum mr_how how);

/* As Linux's connect() to AF_UNSPEC: stop listening, or reset the connection (RST). The socket can be used again; it
 * keeps its options and, if it was bound, its address. Until it is used, mr_ready() returns MR_OUT | MR_HUP. */
void mr_disconnect(struct mr_socket *sock);

/* What close() does with MR_OPT_LINGER above 0, without blocking: shut down for writing, if not done before, and tell
 * whether everything was acknowledged. 0: it was. -EINPROGRESS: not yet; MR_DONE follows, or call again. In both
 * cases the socket is the caller's until mr_close(), after which remaining data is still sent. */
int mr_linger(struct mr_socket *sock);

/* Close the socket. Queued data is still sent, then FIN. With unread received data (RFC 2525 section 2.17), or with
 * MR_OPT_LINGER 0, RST is sent instead. sock is invalid afterwards, always. */
void mr_close(struct mr_socket *sock);
/* Reset the connection (RST) and close the socket. sock is invalid afterwards. */
void mr_abort(struct mr_socket *sock);

/* Which readiness mr_wait() reports for this socket (MR_ERR and MR_HUP always), and the value that mr_event.user
 * has then. A new socket has MR_IN and 0. */
void mr_set_interest(struct mr_socket *sock, uint32_t mask, uint64_t user);

/* The readiness that holds now, whatever mr_set_interest() selected. */
uint32_t mr_ready(const struct mr_socket *sock);

/* Return the pending error as a negative errno, and clear it; 0: there is none. */
int mr_sock_error(struct mr_socket *sock);

/* Local and remote address and port. 0; -ENOTCONN for the peer of an unconnected socket. */
int mr_local(const struct mr_socket *sock, struct mr_endpoint *ep);
int mr_peer(const struct mr_socket *sock, struct mr_endpoint *ep);

enum mr_opt {
	MR_OPT_NODELAY,	 /* 0/1: switch off Nagle's algorithm (RFC 896). Default 0 */
	MR_OPT_CORK,	 /* 0/1: send only full segments until cleared, for at most 200 ms */
	MR_OPT_QUICKACK, /* 0/1: for now, do not delay ACKs */
	/* -1: off; 0: mr_close() resets; else seconds, for which the caller has to wait: mr_linger() */
	MR_OPT_LINGER,
	/* Bytes, 2048..16 MiB. If not set: tuned automatically from 256 KiB up to 4 MiB (send) and 6 MiB (receive),
	 * as the packet buffers permit. MR_OPT_RCVBUF before connect/listen also determines the window scale. */
	MR_OPT_SNDBUF,
	MR_OPT_RCVBUF,
	MR_OPT_MAXSEG, /* bytes, 88..32767 (as Linux), 0: none: limit of the MSS; before a connection begins */
	MR_OPT_KEEPALIVE, /* 0/1 (RFC 1122 4.2.3.6). Default 0 */
	MR_OPT_KEEPIDLE,  /* seconds, 1..32767. Default 7200 */
	MR_OPT_KEEPINTVL, /* seconds, 1..32767. Default 75 */
	MR_OPT_KEEPCNT,	  /* 1..127. Default 9 */
	MR_OPT_USER_TIMEOUT, /* ms without an answer to data or keepalives until -ETIMEDOUT; 0: R2, KEEPCNT */
	MR_OPT_OOBINLINE, /* 0/1: urgent data stays in the stream. Default 0 */
	/* mr_congestion_index(), before connect, or of a listener. Default: the configuration's */
	MR_OPT_CONGESTION,
	/* Of a listener: how many connections may be open by a Fast Open cookie before their handshake is complete
	 * (RFC 7413), 0..65535. 0, the default: no Fast Open. */
	MR_OPT_FASTOPEN,
	/* 0/1, before mr_connect(): with a cookie for the server, mr_connect() returns 0 and the SYN is sent with the
	 * first data; without one, the SYN requests a cookie. Default 0 */
	MR_OPT_FASTOPEN_CONNECT,
	MR_OPT_ECN,  /* enum mr_ecn_policy, before connect/listen. Default: the configuration's */
	MR_OPT_TOS,  /* 0..255: IPv4 TOS / IPv6 traffic class; -1: the default, 0 */
	MR_OPT_TTL,  /* 1..255: IPv4 TTL / IPv6 hop limit; -1: the default, 64 */
	MR_OPT_INQ,  /* read only: bytes in the receive buffer, up to an urgent byte (SIOCINQ) */
	MR_OPT_OUTQ, /* read only: bytes not acknowledged or not sent */
	MR_OPT_OUTQ_UNSENT, /* read only: bytes not sent */
	MR_OPT_ATMARK,	    /* read only: 0/1: the next byte of the stream is the urgent one */
	/* Seconds, 0..65535, of a listener: a connection can be accepted once data has arrived, or after this time.
	 * Rounded up to 1, 3, 7, 15 ..., when SYN-ACKs are retransmitted (as Linux's TCP_DEFER_ACCEPT). */
	MR_OPT_DEFER_ACCEPT,
	MR_OPT_SYNCNT, /* 0..127: retransmissions of a SYN before -ETIMEDOUT; 0: the default, 6 */
	/* Seconds in FIN-WAIT-2 after mr_close(): 0: the default, 60; 1..120; -1: reset at once. */
	MR_OPT_LINGER2,
	MR_OPT_WINDOW_CLAMP, /* bytes: limit of the advertised window; 0: only MR_OPT_RCVBUF */
	MR_OPT_RCVLOWAT,     /* bytes, from 1: MR_IN needs this much data. Default 1 */
	MR_OPT_NOTSENT_LOWAT, /* bytes: with so much unsent, mr_send() takes no more and MR_OUT is off; 0: off */
	MR_OPT_MAX_PACING_RATE, /* bytes of payload per second, paced; 0: congestion control decides */
	MR_OPT_REUSEADDR,	/* 0/1, before mr_bind(): see there */
	MR_OPT_REUSEPORT,	/* 0/1, before mr_bind(): see there */
	MR_OPT_V6ONLY,		/* 0/1, before mr_bind(): IPv6 only. Default 0 */
};
/* 0, -EINVAL (value out of range, or too late), -ENOPROTOOPT (unknown, or read only). */
int mr_set_option(struct mr_socket *sock, enum mr_opt opt, int64_t value);
int mr_get_option(const struct mr_socket *sock, enum mr_opt opt, int64_t *value);

/* Set the keys of a listener's TCP Fast Open cookies (RFC 7413 section 4.1.1), as Linux's TCP_FASTOPEN_KEY: one key
 * of 16 bytes, or two. Cookies are made with the first; those of the second are accepted, too, and replaced. To
 * change a key, set the new one followed by the old one. Servers with the same key, Linux included, accept each
 * other's cookies. Before or after mr_listen(). 0, or -EINVAL (other length, or a connection). */
int mr_set_fastopen_key(struct mr_socket *sock, const void *key, size_t len);
/* Copy the keys in force (the engine's, if the socket has none of its own) into key. Returns how many bytes. */
size_t mr_get_fastopen_key(const struct mr_socket *sock, void *key, size_t size);
/* Set the keys of all listeners that have none of their own; initially mr_config.fastopen_key. 0 or -EINVAL. */
int mr_engine_fastopen_key(struct mr_engine *engine, const void *key, size_t len);

/* The index of a congestion control ("cubic", "bbr", "newreno", "dctcp"), or -ENOENT; and the name of an index, NULL
 * past the last. */
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
	uint64_t pacing_rate; /* bytes per second; 0: not paced */
};
int mr_sock_info(const struct mr_socket *sock, struct mr_sock_info *info);

/* The same as Linux's struct tcp_info (getsockopt TCP_INFO; <linux/tcp.h>). Fills buf, size bytes, padded with zeros,
 * and returns the bytes filled. Differences:
 * - Millrace counts bytes where Linux counts segments. These are converted to full segments, rounded up:
 *   tcpi_unacked, _sacked, _lost, _retrans, _delivered, _delivered_ce, _snd_cwnd, _snd_ssthresh.
 * - tcpi_reord_seen and tcpi_dsack_dups stop at 65535.
 * - Classic ECN is not counted: only AccECN sets tcpi_delivered_ce, and TCPI_OPT_ECN_SEEN in tcpi_options.
 * - tcpi_ato and tcpi_reordering are constants; tcpi_rcv_ssthresh is the window.
 * - 0: fields that Linux does not maintain either (tcpi_fackets, tcpi_last_ack_sent); tcpi_rehash, tcpi_total_rto to
 *   tcpi_received_ce, tcpi_delivered_e0_bytes and _e1_bytes, and those after tcpi_received_ce_bytes. */
#define MR_TCP_INFO_BYTES 280 /* all of it, as Linux 6.18 has it */
size_t mr_tcp_info(const struct mr_socket *sock, void *buf, size_t size);

/* Counters of every layer, in a fixed order ("tcp.retrans_segs", "xdp.redirect_tcp", "dev.rx_fill_ring_empty", ...;
 * dropped packets as "drop.REASON" in the engine and "xdp.drop.REASON" in the XDP program). Fills at most max of
 * them, and returns how many there are. The strings are static. Makes system calls, for the counters of XDP program
 * and device. */
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
