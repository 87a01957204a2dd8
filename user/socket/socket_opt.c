/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * socket_opt.c - options, errors and information of a socket.
 * Owns        sock->opts; the copies of a listener and a TCB follow it.
 * Called by   the application.
 */
#include <errno.h>
#include "base/compiler.h"
#include "base/time.h"
#include "socket/socket_priv.h"

#define BUF_MIN 2048
#define BUF_MAX (16 << 20)

static const struct range {
	int64_t least, most;
} ranges[] = {
	[MR_OPT_NODELAY] = { 0, 1 },
	[MR_OPT_CORK] = { 0, 1 },
	[MR_OPT_QUICKACK] = { 0, 1 },
	[MR_OPT_LINGER] = { -1, 0 },
	[MR_OPT_SNDBUF] = { BUF_MIN, BUF_MAX },
	[MR_OPT_RCVBUF] = { BUF_MIN, BUF_MAX },
	[MR_OPT_MAXSEG] = { 88, 32767 },
	[MR_OPT_KEEPALIVE] = { 0, 1 },
	[MR_OPT_KEEPIDLE] = { 1, 32767 },
	[MR_OPT_KEEPINTVL] = { 1, 32767 },
	[MR_OPT_KEEPCNT] = { 1, 127 },
	[MR_OPT_USER_TIMEOUT] = { 0, INT32_MAX },
	[MR_OPT_OOBINLINE] = { 0, 1 },
	[MR_OPT_CONGESTION] = { 0, UINT8_MAX },
	[MR_OPT_TOS] = { 0, 255 },
	[MR_OPT_TTL] = { 1, 255 },
};

/* Options that a connection takes over when it begins, and never again. */
static bool only_before(enum mr_opt opt)
{
	return opt == MR_OPT_MAXSEG || opt == MR_OPT_CONGESTION;
}

/* The casts below are safe: the value is in the option's range. */
static void store(struct mr_socket *sock, enum mr_opt opt, int64_t value)
{
	struct mr_tcp_opts *o = &sock->opts;

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
		break;
	case MR_OPT_RCVBUF:
		o->rcvbuf = (uint32_t)value;
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
	case MR_OPT_TOS:
		o->tos = (uint8_t)value;
		break;
	case MR_OPT_TTL:
		o->ttl = (uint8_t)value;
		break;
	case MR_OPT_QUICKACK: /* no setting but an act */
	case MR_OPT_INQ:
	case MR_OPT_OUTQ:
		break;
	}
}

/* What the change means for those who have a copy. */
static void apply(struct mr_socket *sock, enum mr_opt opt, int64_t value)
{
	struct mr_tcp *tcp = sock->socks->tcp;

	if (sock->listener)
		sock->listener->opts = sock->opts;
	if (!sock->tcb)
		return;
	sock->tcb->opts = sock->opts;
	if (opt == MR_OPT_QUICKACK && value)
		mr_tcp_quickack(tcp, sock->tcb);
	else if (opt == MR_OPT_QUICKACK)
		sock->tcb->quickacks = 0;
	if (opt == MR_OPT_RCVBUF && sock->connected)
		recv_update_space(sock);
	mr_tcp_opts_changed(tcp, sock->tcb, sock->socks->now);
}

int mr_set_option(struct mr_socket *sock, enum mr_opt opt, int64_t value)
{
	if (!sock)
		return -EINVAL;
	if ((unsigned)opt >= MR_ARRAY_SIZE(ranges))
		return -ENOPROTOOPT;
	if (value < ranges[opt].least || value > ranges[opt].most)
		return -EINVAL;
	if (opt == MR_OPT_CONGESTION && !mr_congestion_name((int)value))
		return -EINVAL;
	if (only_before(opt) && sock->kind != MR_SOCK_NEW)
		return -EINVAL;
	store(sock, opt, value);
	apply(sock, opt, value);
	sock_mark(sock); /* room in the send buffer, an urgent byte that is in line now */
	return 0;
}

static int64_t load(const struct mr_socket *sock, enum mr_opt opt)
{
	const struct mr_tcp_opts *o = &sock->opts;

	switch (opt) {
	case MR_OPT_NODELAY:
		return o->nodelay;
	case MR_OPT_CORK:
		return o->cork;
	case MR_OPT_QUICKACK:
		return sock->tcb && sock->tcb->quickacks;
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
	case MR_OPT_TOS:
		return o->tos;
	case MR_OPT_TTL:
		return o->ttl;
	case MR_OPT_INQ:
		return sock->rcvq.bytes;
	case MR_OPT_OUTQ:
		return sock->tcb ? sock->tcb->sndq.bytes : 0;
	}
	return 0;
}

int mr_get_option(const struct mr_socket *sock, enum mr_opt opt, int64_t *value)
{
	if (!sock || !value)
		return -EINVAL;
	if ((unsigned)opt > MR_OPT_OUTQ)
		return -ENOPROTOOPT;
	*value = load(sock, opt);
	return 0;
}

int mr_sock_error(struct mr_socket *sock)
{
	return sock ? sock_take_error(sock) : -EINVAL;
}

int mr_local(const struct mr_socket *sock, struct mr_endpoint *ep)
{
	if (!sock || !ep)
		return -EINVAL;
	*ep = sock->local;
	return 0;
}

int mr_peer(const struct mr_socket *sock, struct mr_endpoint *ep)
{
	if (!sock || !ep)
		return -EINVAL;
	if (!sock->connected)
		return -ENOTCONN;
	*ep = sock->peer;
	return 0;
}

static void connection_info(const struct mr_tcb *tcb, struct mr_sock_info *info)
{
	uint32_t una_nxt = seq_diff(tcb->snd_nxt, tcb->snd_una);

	info->state = tcb->state;
	info->srtt_us = (uint32_t)(tcb->srtt_ns / MR_NS_PER_US);
	info->rttvar_us = (uint32_t)(tcb->rttvar_ns / MR_NS_PER_US);
	info->rto_us = (uint32_t)(tcb->rto_ns / MR_NS_PER_US);
	info->snd_mss = tcb->snd_mss;
	info->rcv_mss = tcb->rcv_mss;
	info->cwnd = tcb->cwnd;
	info->ssthresh = tcb->ssthresh;
	info->snd_wnd = tcb->snd_wnd;
	info->rcv_wnd = tcb->rcv_wnd;
	info->unacked = mr_min(una_nxt, tcb->sndq.bytes); /* SYN and FIN are no bytes */
	info->unsent = tcb->sndq.bytes - info->unacked;
	info->bytes_acked = tcb->bytes_acked;
	info->bytes_received = tcb->bytes_received;
	info->segs_in = tcb->segs_in;
	info->segs_out = tcb->segs_out;
	info->retrans = tcb->retrans;
}

int mr_sock_info(const struct mr_socket *sock, struct mr_sock_info *info)
{
	if (!sock || !info)
		return -EINVAL;
	*info = (struct mr_sock_info){
		.state = sock->kind == MR_SOCK_LISTENER ? MR_TCP_LISTEN :
							  (enum mr_tcp_state)sock->last_state,
		.local = sock->local,
		.peer = sock->peer,
		.rcv_queued = sock->rcvq.bytes,
		.congestion = mr_congestion_name(sock->opts.congestion),
	};
	if (sock->tcb)
		connection_info(sock->tcb, info);
	return 0;
}
