// SPDX-License-Identifier: BSD-2-Clause
/*
 * socket_opt.c - options of a socket.
 * Owns        the options of a socket and its TCB; a listener's copy follows them.
 * Called by   the application.
 * Not here    information that is no option (socket_info.c).
 */
#include <errno.h>
#include <string.h>
#include "base/compiler.h"
#include "base/time.h"
#include "socket/socket_priv.h"

#define BUF_MIN 2048
#define BUF_MAX (16 << 20)

#define TTL_DEFAULT 64
#define MAXSEG_MIN  88 /* Linux's TCP_MIN_MSS; 0: no bound any more */

static const struct option {
	int64_t least, most;
	bool read_only;
	bool before;  /* a connection takes it over at its begin, and never later */
	bool unbound; /* only before mr_bind() */
} options[] = {
	[MR_OPT_NODELAY] = { .least = 0, .most = 1 },
	[MR_OPT_CORK] = { .least = 0, .most = 1 },
	[MR_OPT_QUICKACK] = { .least = 0, .most = 1 },
	[MR_OPT_LINGER] = { .least = -1, .most = INT32_MAX },
	[MR_OPT_SNDBUF] = { .least = BUF_MIN, .most = BUF_MAX },
	[MR_OPT_RCVBUF] = { .least = BUF_MIN, .most = BUF_MAX },
	[MR_OPT_MAXSEG] = { .least = 0, .most = 32767, .before = true },
	[MR_OPT_KEEPALIVE] = { .least = 0, .most = 1 },
	[MR_OPT_KEEPIDLE] = { .least = 1, .most = 32767 },
	[MR_OPT_KEEPINTVL] = { .least = 1, .most = 32767 },
	[MR_OPT_KEEPCNT] = { .least = 1, .most = 127 },
	[MR_OPT_USER_TIMEOUT] = { .least = 0, .most = INT32_MAX },
	[MR_OPT_OOBINLINE] = { .least = 0, .most = 1 },
	[MR_OPT_CONGESTION] = { .least = 0, .most = UINT8_MAX, .before = true },
	[MR_OPT_FASTOPEN] = { .least = 0, .most = UINT16_MAX },
	[MR_OPT_FASTOPEN_CONNECT] = { .least = 0, .most = 1, .before = true },
	[MR_OPT_ECN] = { .least = MR_ECN_OFF, .most = MR_ECN_ACCURATE_PASSIVE, .before = true },
	[MR_OPT_TOS] = { .least = -1, .most = 255 },
	[MR_OPT_TTL] = { .least = -1, .most = 255 },
	[MR_OPT_INQ] = { .read_only = true },
	[MR_OPT_OUTQ] = { .read_only = true },
	[MR_OPT_OUTQ_UNSENT] = { .read_only = true },
	[MR_OPT_ATMARK] = { .read_only = true },
	[MR_OPT_DEFER_ACCEPT] = { .least = 0, .most = UINT16_MAX },
	[MR_OPT_SYNCNT] = { .least = 0, .most = 127 },
	[MR_OPT_LINGER2] = { .least = -1, .most = 120 },
	[MR_OPT_WINDOW_CLAMP] = { .least = 0, .most = INT32_MAX },
	[MR_OPT_RCVLOWAT] = { .least = 1, .most = INT32_MAX },
	[MR_OPT_NOTSENT_LOWAT] = { .least = 0, .most = UINT32_MAX },
	[MR_OPT_MAX_PACING_RATE] = { .least = 0, .most = INT64_MAX },
	[MR_OPT_REUSEADDR] = { .least = 0, .most = 1, .unbound = true },
	[MR_OPT_REUSEPORT] = { .least = 0, .most = 1, .unbound = true },
	[MR_OPT_V6ONLY] = { .least = 0, .most = 1, .unbound = true },
};

/* TCP_DEFER_ACCEPT is stored as a number of SYN,ACK retransmissions, and read in seconds (as Linux). */
static uint8_t defer_from_seconds(int64_t seconds)
{
	const int64_t most = MR_TCP_RTO_MAX_NS / MR_NS_PER_S;
	int64_t timeout = 1, period = 1;
	uint8_t n = seconds != 0;

	while (seconds > period && n < UINT8_MAX) {
		timeout = mr_min(2 * timeout, most);
		period += timeout;
		n++;
	}
	return n;
}

static int64_t defer_seconds(uint8_t n)
{
	const int64_t most = MR_TCP_RTO_MAX_NS / MR_NS_PER_S;
	int64_t timeout = 1, period = n != 0;

	while (n > 1) {
		timeout = mr_min(2 * timeout, most);
		period += timeout;
		n--;
	}
	return period;
}

/* As Linux: at most half of the buffer, which grows for it unless the application has chosen its size. */
static void set_rcvlowat(struct mr_socket *sock, int64_t value)
{
	struct mr_tcp_opts *o = sock_opts(sock);

	if (!o->rcvbuf_fixed && value > o->rcvbuf / 2)
		o->rcvbuf = (uint32_t)mr_min(2 * value, (int64_t)BUF_MAX);
	o->rcvlowat = (uint32_t)mr_min(value, (int64_t)o->rcvbuf / 2);
	if (sock->tcb && sock->connected)
		recv_update_space(sock);
}

/* The casts below are safe: the value is in the option's range. */
static void store(struct mr_socket *sock, enum mr_opt opt, int64_t value)
{
	struct mr_tcp_opts *o = sock_opts(sock);

	switch (opt) {
	case MR_OPT_NODELAY:
		o->nodelay = value;
		break;
	case MR_OPT_CORK:
		o->cork = value;
		break;
	case MR_OPT_LINGER:
		sock->linger = (int)value;
		break;
	case MR_OPT_SNDBUF:
		o->sndbuf = (uint32_t)value;
		o->sndbuf_fixed = true;
		break;
	case MR_OPT_RCVBUF:
		o->rcvbuf = (uint32_t)value;
		o->rcvbuf_fixed = true;
		break;
	case MR_OPT_MAXSEG:
		o->maxseg = (uint16_t)value;
		break;
	case MR_OPT_KEEPALIVE:
		o->keepalive = value;
		break;
	case MR_OPT_KEEPIDLE:
		o->keepidle_s = (uint16_t)value;
		break;
	case MR_OPT_KEEPINTVL:
		o->keepintvl_s = (uint16_t)value;
		break;
	case MR_OPT_KEEPCNT:
		o->keepcnt = (uint8_t)value;
		break;
	case MR_OPT_USER_TIMEOUT:
		o->user_timeout_ms = (uint32_t)value;
		break;
	case MR_OPT_OOBINLINE:
		sock->oobinline = value;
		break;
	case MR_OPT_CONGESTION:
		o->congestion = (uint8_t)value;
		break;
	case MR_OPT_FASTOPEN:
		o->fastopen = (uint16_t)value;
		break;
	case MR_OPT_FASTOPEN_CONNECT:
		o->fastopen_connect = value;
		break;
	case MR_OPT_ECN:
		o->ecn = (uint8_t)value;
		break;
	case MR_OPT_TOS:
		o->tos = value < 0 ? 0 : (uint8_t)value;
		break;
	case MR_OPT_TTL:
		o->ttl = value < 0 ? TTL_DEFAULT : (uint8_t)value;
		break;
	case MR_OPT_DEFER_ACCEPT:
		o->defer_accept = defer_from_seconds(value);
		break;
	case MR_OPT_SYNCNT:
		o->syn_retries = (uint8_t)value;
		break;
	case MR_OPT_LINGER2:
		o->linger2_s = (int8_t)value;
		break;
	case MR_OPT_WINDOW_CLAMP: /* the floor is Linux's */
		o->window_clamp = value ? (uint32_t)mr_max(value, (int64_t)BUF_MIN / 2) : 0;
		break;
	case MR_OPT_RCVLOWAT:
		set_rcvlowat(sock, value);
		break;
	case MR_OPT_NOTSENT_LOWAT:
		o->notsent_lowat = (uint32_t)value;
		break;
	case MR_OPT_MAX_PACING_RATE:
		o->max_pacing_rate = (uint64_t)value;
		break;
	case MR_OPT_REUSEADDR:
		o->reuseaddr = value;
		break;
	case MR_OPT_REUSEPORT:
		o->reuseport = value;
		break;
	case MR_OPT_V6ONLY:
		o->v6only = value;
		break;
	case MR_OPT_QUICKACK: /* an action, not a setting */
	case MR_OPT_INQ:
	case MR_OPT_OUTQ:
	case MR_OPT_OUTQ_UNSENT:
	case MR_OPT_ATMARK:
		break;
	}
}

/* Apply the change to copies of the option. */
static void apply(struct mr_socket *sock, enum mr_opt opt, int64_t value)
{
	struct mr_tcp *tcp = sock->socks->tcp;

	if (sock->kind == MR_SOCK_LISTENER)
		sock->setup->port->opts = sock->setup->opts;
	if (!sock->tcb)
		return;
	if (opt == MR_OPT_QUICKACK && value)
		mr_tcp_quickack(tcp, sock->tcb);
	else if (opt == MR_OPT_QUICKACK)
		sock->tcb->pingpong = true;
	/* An explicit push, which even a cork does not delay (as Linux). */
	if (opt == MR_OPT_NODELAY && value)
		mr_tcp_push(tcp, sock->tcb);
	if ((opt == MR_OPT_RCVBUF || opt == MR_OPT_WINDOW_CLAMP) && sock->connected)
		recv_update_space(sock);
	mr_tcp_opts_changed(tcp, sock->tcb, sock->socks->now);
}

int mr_set_option(struct mr_socket *sock, enum mr_opt opt, int64_t value)
{
	if (!sock)
		return -EINVAL;
	if ((unsigned)opt >= MR_ARRAY_SIZE(options) || options[opt].read_only)
		return -ENOPROTOOPT;
	if (value < options[opt].least || value > options[opt].most)
		return -EINVAL;
	if (opt == MR_OPT_TTL && !value)
		return -EINVAL;
	if (opt == MR_OPT_MAXSEG && value && value < MAXSEG_MIN)
		return -EINVAL;
	if (opt == MR_OPT_CONGESTION && !mr_congestion_name((int)value))
		return -EINVAL;
	if (options[opt].before && sock->kind != MR_SOCK_NEW &&
	    !(sock->kind == MR_SOCK_LISTENER && (opt == MR_OPT_CONGESTION || opt == MR_OPT_MAXSEG)))
		return -EINVAL;
	if ((sock->kind != MR_SOCK_NEW || sock->bound) && options[opt].unbound)
		return -EINVAL;
	store(sock, opt, value);
	apply(sock, opt, value);
	sock_mark(sock); /* there may be room in the send buffer, or an urgent byte in line now */
	return 0;
}

/* Linux's SIOCINQ: counts up to the urgent byte, unless that is first. */
static uint32_t inq(const struct mr_socket *sock)
{
	uint32_t n = sock->rcvq.bytes;

	if (sock->urgent && !sock->oobinline && !recv_at_mark(sock))
		n = mr_min(n, seq_diff(sock->urgent_seq, sock->copied_seq));
	return n;
}

static int64_t load(const struct mr_socket *sock, enum mr_opt opt)
{
	const struct mr_tcp_opts *o = sock_opts(sock);

	switch (opt) {
	case MR_OPT_NODELAY:
		return o->nodelay;
	case MR_OPT_CORK:
		return o->cork;
	case MR_OPT_QUICKACK:
		return !sock->tcb || !sock->tcb->pingpong;
	case MR_OPT_LINGER:
		return sock->linger;
	case MR_OPT_SNDBUF:
		return o->sndbuf;
	case MR_OPT_RCVBUF:
		return o->rcvbuf;
	case MR_OPT_MAXSEG:
		return o->maxseg;
	case MR_OPT_KEEPALIVE:
		return o->keepalive;
	case MR_OPT_KEEPIDLE:
		return o->keepidle_s;
	case MR_OPT_KEEPINTVL:
		return o->keepintvl_s;
	case MR_OPT_KEEPCNT:
		return o->keepcnt;
	case MR_OPT_USER_TIMEOUT:
		return o->user_timeout_ms;
	case MR_OPT_OOBINLINE:
		return sock->oobinline;
	case MR_OPT_CONGESTION:
		return o->congestion;
	case MR_OPT_FASTOPEN:
		return o->fastopen;
	case MR_OPT_FASTOPEN_CONNECT:
		return o->fastopen_connect;
	case MR_OPT_ECN:
		return o->ecn;
	case MR_OPT_TOS:
		return o->tos;
	case MR_OPT_TTL:
		return o->ttl;
	case MR_OPT_INQ:
		return inq(sock);
	case MR_OPT_OUTQ:
		return sock->tcb ? sock->tcb->sndq.bytes : 0;
	case MR_OPT_OUTQ_UNSENT:
		return sock->tcb ? mr_tcp_unsent(sock->tcb) : 0;
	case MR_OPT_ATMARK:
		return recv_at_mark(sock);
	case MR_OPT_DEFER_ACCEPT:
		return defer_seconds(o->defer_accept);
	case MR_OPT_SYNCNT:
		return o->syn_retries ?: MR_TCP_SYN_RETRIES;
	case MR_OPT_LINGER2:
		return o->linger2_s ?: (int64_t)(MR_TCP_FIN_TIMEOUT_NS / MR_NS_PER_S);
	case MR_OPT_WINDOW_CLAMP:
		return o->window_clamp;
	case MR_OPT_RCVLOWAT:
		return o->rcvlowat;
	case MR_OPT_NOTSENT_LOWAT:
		return o->notsent_lowat;
	case MR_OPT_MAX_PACING_RATE:
		return (int64_t)o->max_pacing_rate;
	case MR_OPT_REUSEADDR:
		return o->reuseaddr;
	case MR_OPT_REUSEPORT:
		return o->reuseport;
	case MR_OPT_V6ONLY:
		return o->v6only;
	}
	return 0;
}

int mr_set_fastopen_key(struct mr_socket *sock, const void *key, size_t len)
{
	if (!sock || !key || sock->kind == MR_SOCK_STREAM ||
	    !mr_tfo_keys_set(&sock->setup->tfo_keys, key, len))
		return -EINVAL;
	if (sock->kind == MR_SOCK_LISTENER)
		sock->setup->port->tfo_keys = sock->setup->tfo_keys;
	return 0;
}

size_t mr_get_fastopen_key(const struct mr_socket *sock, void *key, size_t size)
{
	const struct mr_tfo_keys *keys;
	size_t n;

	if (!sock || !key)
		return 0;
	keys = sock->setup && sock->setup->tfo_keys.n ? &sock->setup->tfo_keys :
							&sock->socks->tcp->tfo_keys;
	n = mr_min(size, (size_t)keys->n * MR_TFO_KEY_LEN);
	memcpy(key, keys->key, n);
	return n;
}

int mr_get_option(const struct mr_socket *sock, enum mr_opt opt, int64_t *value)
{
	if (!sock || !value)
		return -EINVAL;
	if ((unsigned)opt >= MR_ARRAY_SIZE(options))
		return -ENOPROTOOPT;
	*value = load(sock, opt);
	return 0;
}
