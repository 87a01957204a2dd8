// SPDX-License-Identifier: BSD-2-Clause
/*
 * socket_info.c - errors, addresses and information of a socket; Linux's TCP_INFO.
 * Called by   the application.
 * Not here    what can be set, too (socket_opt.c).
 */
#include <errno.h>
#include <stddef.h>
#include <linux/tcp.h>
#include <string.h>
#include "base/compiler.h"
#include "base/time.h"
#include "socket/socket_priv.h"
#include "tcp/tcp_wire.h"

int mr_sock_error(struct mr_socket *sock)
{
	return sock ? sock_take_error(sock) : -EINVAL;
}

int mr_local(const struct mr_socket *sock, struct mr_endpoint *ep)
{
	if (!sock || !ep)
		return -EINVAL;
	*ep = sock_local(sock);
	return 0;
}

int mr_peer(const struct mr_socket *sock, struct mr_endpoint *ep)
{
	if (!sock || !ep)
		return -EINVAL;
	/* As Linux: also after a reset, or FINs in both directions. */
	if (!sock->connected || sock_over(sock))
		return -ENOTCONN;
	*ep = sock_peer(sock);
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
	info->unacked = mr_min(una_nxt, tcb->sndq.bytes); /* without SYN and FIN */
	info->unsent = tcb->sndq.bytes - info->unacked;
	info->bytes_acked = tcb->bytes_acked;
	info->bytes_received = tcb->bytes_received;
	info->segs_in = tcb->segs_in;
	info->segs_out = tcb->segs_out;
	info->retrans = tcb->retrans;
	info->pacing_rate = mr_tcp_pacing_rate(tcb);
}

int mr_sock_info(const struct mr_socket *sock, struct mr_sock_info *info)
{
	if (!sock || !info)
		return -EINVAL;
	*info = (struct mr_sock_info){
		.state = sock->kind == MR_SOCK_LISTENER ? MR_TCP_LISTEN :
							  (enum mr_tcp_state)sock->last_state,
		.local = sock_local(sock),
		.peer = sock_peer(sock),
		.rcv_queued = sock->rcvq.bytes,
		.congestion = mr_congestion_name(sock_opts(sock)->congestion),
	};
	if (sock->tcb)
		connection_info(sock->tcb, info);
	return 0;
}

/* ---- TCP_INFO --------------------------------------------------------------------------------- */

/* enum mr_tcp_state as Linux numbers it (include/net/tcp_states.h). */
static uint8_t linux_state(enum mr_tcp_state state)
{
	static const uint8_t numbers[] = {
		[MR_TCP_ESTABLISHED] = 1, [MR_TCP_SYN_SENT] = 2,   [MR_TCP_SYN_RECEIVED] = 3,
		[MR_TCP_FIN_WAIT1] = 4,	  [MR_TCP_FIN_WAIT2] = 5,  [MR_TCP_TIME_WAIT] = 6,
		[MR_TCP_CLOSED] = 7,	  [MR_TCP_CLOSE_WAIT] = 8, [MR_TCP_LAST_ACK] = 9,
		[MR_TCP_LISTEN] = 10,	  [MR_TCP_CLOSING] = 11,
	};

	return numbers[state];
}

static uint8_t linux_ca_state(const struct mr_tcb *tcb)
{
	switch ((enum mr_loss_state)tcb->loss) {
	case MR_LOSS_RECOVERY:
		return TCP_CA_Recovery;
	case MR_LOSS_RTO:
		return TCP_CA_Loss;
	case MR_LOSS_OPEN:
		break;
	}
	return tcb->dupacks || tcb->sacked_bytes ? TCP_CA_Disorder : TCP_CA_Open;
}

static uint32_t segments(const struct mr_tcb *tcb, uint64_t bytes)
{
	return (uint32_t)(bytes / tcb->snd_mss + !!(bytes % tcb->snd_mss));
}

static uint32_t ms_since(uint64_t now, uint64_t at)
{
	return at ? (uint32_t)((now - mr_min(at, now)) / MR_NS_PER_MS) : 0;
}

static void info_path(const struct mr_tcb *tcb, struct tcp_info *ti)
{
	ti->tcpi_rto = (uint32_t)(tcb->rto_ns / MR_NS_PER_US);
	ti->tcpi_ato = (uint32_t)(MR_TCP_DELACK_NS / MR_NS_PER_US);
	ti->tcpi_rtt = (uint32_t)(tcb->srtt_ns / MR_NS_PER_US);
	ti->tcpi_rttvar = (uint32_t)(tcb->rttvar_ns / MR_NS_PER_US);
	ti->tcpi_min_rtt = (uint32_t)(mr_tcp_min_rtt(tcb) / MR_NS_PER_US);
	ti->tcpi_snd_mss = tcb->snd_mss;
	ti->tcpi_rcv_mss = tcb->rcv_mss;
	ti->tcpi_advmss = tcb->adv_mss - (tcb->ts_ok ? MR_TCP_TS_LEN : 0); /* as Linux reports it */
	ti->tcpi_pmtu = tcb->dst.mtu;
	ti->tcpi_reordering = MR_TCP_DUPTHRESH;
	ti->tcpi_snd_ssthresh =
		tcb->ssthresh >= INT32_MAX ? INT32_MAX : segments(tcb, tcb->ssthresh);
	ti->tcpi_snd_cwnd = segments(tcb, tcb->cwnd);
	ti->tcpi_snd_wnd = tcb->snd_wnd;
	/* As Linux: there is no pacing. */
	ti->tcpi_pacing_rate = mr_tcp_pacing_rate(tcb) ?: UINT64_MAX;
	ti->tcpi_max_pacing_rate = tcb->opts.max_pacing_rate ?: UINT64_MAX;
	ti->tcpi_delivery_rate = mr_tcp_delivery_rate(tcb);
	ti->tcpi_delivery_rate_app_limited = tcb->told_app_limited & 1u;
	ti->tcpi_rcv_rtt = tcb->rcv_rtt_us;
	ti->tcpi_reord_seen = tcb->rack.reord_seen;
	ti->tcpi_dsack_dups = tcb->rack.dsack_dups;
}

static void info_time(const struct mr_tcb *tcb, uint64_t now, struct tcp_info *ti)
{
	ti->tcpi_last_data_sent = ms_since(now, tcb->last_sent_at);
	ti->tcpi_last_data_recv = ms_since(now, tcb->last_data_at);
	ti->tcpi_last_ack_recv = ms_since(now, tcb->last_rcv_at);
	ti->tcpi_busy_time = mr_tcp_chrono_us(tcb, MR_CHRONO_BUSY, now);
	ti->tcpi_rwnd_limited = mr_tcp_chrono_us(tcb, MR_CHRONO_RWND, now);
	ti->tcpi_sndbuf_limited = mr_tcp_chrono_us(tcb, MR_CHRONO_SNDBUF, now);
}

static void info_progress(const struct mr_tcb *tcb, struct tcp_info *ti)
{
	uint32_t out = tcb->sndq.bytes - mr_tcp_unsent(tcb);

	ti->tcpi_ca_state = linux_ca_state(tcb);
	ti->tcpi_retransmits = tcb->persist ? 0 : tcb->backoff;
	ti->tcpi_backoff = tcb->backoff;
	ti->tcpi_probes = tcb->probes;
	ti->tcpi_unacked = segments(tcb, out);
	ti->tcpi_sacked = segments(tcb, tcb->sacked_bytes);
	ti->tcpi_lost = segments(tcb, tcb->lost_bytes);
	ti->tcpi_retrans = segments(tcb, tcb->retrans_out);
	ti->tcpi_delivered = segments(tcb, tcb->bytes_acked + tcb->sacked_bytes);
	ti->tcpi_delivered_ce = segments(tcb, tcb->ecn.delivered_ce);
	ti->tcpi_rcv_ssthresh = tcb->rcv_wnd;
	ti->tcpi_total_retrans = (uint32_t)tcb->retrans;
	ti->tcpi_bytes_acked = tcb->bytes_acked;
	ti->tcpi_bytes_received = tcb->bytes_received;
	ti->tcpi_bytes_retrans = tcb->bytes_retrans;
	ti->tcpi_bytes_sent = tcb->bytes_acked + out + tcb->bytes_retrans;
	ti->tcpi_notsent_bytes = mr_tcp_unsent(tcb);
	ti->tcpi_segs_out = (uint32_t)tcb->segs_out;
	ti->tcpi_segs_in = (uint32_t)tcb->segs_in;
	ti->tcpi_data_segs_out = tcb->data_segs_out;
	ti->tcpi_data_segs_in = tcb->data_segs_in;
	ti->tcpi_rcv_ooopack = tcb->ooo_segs_in;
}

static void info_connection(const struct mr_socket *sock, struct tcp_info *ti)
{
	const struct mr_tcb *tcb = sock->tcb;

	ti->tcpi_state = linux_state(tcb->state);
	ti->tcpi_options = (uint8_t)((tcb->ts_ok ? TCPI_OPT_TIMESTAMPS : 0) |
				     (tcb->sack_ok ? TCPI_OPT_SACK : 0) |
				     (tcb->wscale_ok ? TCPI_OPT_WSCALE : 0) |
				     (tcb->ecn.mode != MR_ECN_MODE_NONE ? TCPI_OPT_ECN : 0) |
				     (tcb->syn_data ? TCPI_OPT_SYN_DATA : 0));
	ti->tcpi_fastopen_client_fail = tcb->tfo_fail & 3u;
	ti->tcpi_rcv_space = sock->read_bytes;
	if (tcb->wscale_ok) {
		ti->tcpi_snd_wscale = tcb->snd_wscale & 0xfu;
		ti->tcpi_rcv_wscale = tcb->rcv_wscale & 0xfu;
	}
	info_path(tcb, ti);
	info_time(tcb, sock->socks->now, ti);
	info_progress(tcb, ti);
}

/* What follows tcpi_snd_wnd since Linux 6.2 to 6.18, whatever <linux/tcp.h> this is built with. */
struct tcp_info_tail {
	uint32_t rcv_wnd;
	uint32_t rehash;
	uint16_t total_rto, total_rto_recoveries;
	uint32_t total_rto_time;
	uint32_t received_ce;
	uint32_t delivered_e1_bytes, delivered_e0_bytes, delivered_ce_bytes;
	uint32_t received_e1_bytes, received_e0_bytes, received_ce_bytes;
	uint16_t accecn_fail_mode, accecn_opt_seen;
};

#define TCP_INFO_TAIL (offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof(uint32_t))
_Static_assert(TCP_INFO_TAIL + sizeof(struct tcp_info_tail) == MR_TCP_INFO_BYTES,
	       "as Linux 6.18 has it");

static void info_tail(const struct mr_tcb *tcb, struct tcp_info_tail *tail)
{
	tail->rcv_wnd = tcb->rcv_wnd;
	if (tcb->ecn.mode != MR_ECN_MODE_ACCURATE)
		return;
	tail->delivered_ce_bytes = tcb->ecn.s_ceb;
	tail->received_e0_bytes = tcb->ecn.r_bytes[0];
	tail->received_ce_bytes = tcb->ecn.r_bytes[1];
	tail->received_e1_bytes = tcb->ecn.r_bytes[2];
}

size_t mr_tcp_info(const struct mr_socket *sock, void *buf, size_t size)
{
	uint8_t all[MR_TCP_INFO_BYTES];
	struct tcp_info_tail tail = { 0 };
	struct tcp_info ti = { 0 };
	size_t n = mr_min(size, sizeof(all));

	if (!sock || !buf)
		return 0;
	ti.tcpi_state = linux_state(sock->last_state);
	if (sock->kind == MR_SOCK_LISTENER) { /* as Linux: the accept queue, and its limit */
		ti.tcpi_state = linux_state(MR_TCP_LISTEN);
		ti.tcpi_unacked = sock->setup->naccepted;
		ti.tcpi_sacked = sock->setup->backlog;
	}
	if (sock->tcb) {
		info_connection(sock, &ti);
		info_tail(sock->tcb, &tail);
	}
	memcpy(all, &ti, TCP_INFO_TAIL);
	memcpy(all + TCP_INFO_TAIL, &tail, sizeof(tail));
	memset(buf, 0, size);
	memcpy(buf, all, n);
	return n;
}
