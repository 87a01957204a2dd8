// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_tcb.c - allocation, state and release of TCBs; initialisation of the layer.
 * Owns        tcb->state, the wheel entry of a TCB, membership in the pending list.
 * Implements  RFC 9293 section 3.3.2 (the transitions of figure 5).
 * Called by   every file of this layer.
 */
#include <errno.h>
#include <string.h>

#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

#define UPCALL_TABLES 4u

/* Function pointers cannot be in the arena; each process has its own table, set once at start. */
static const struct mr_tcp_upcalls *upcall_tables[UPCALL_TABLES];

void mr_tcp_upcalls_set(unsigned index, const struct mr_tcp_upcalls *upcalls)
{
	assert(index < UPCALL_TABLES);
	upcall_tables[index] = upcalls;
}

const struct mr_tcp_upcalls *tcp_up(const struct mr_tcp *tcp)
{
	return upcall_tables[tcp->upcalls];
}

int mr_tcp_init(struct mr_tcp *tcp, struct mr_arena *arena, struct mr_ip *ip,
		struct mr_wheel *wheel, struct mr_rng *rng, struct mr_counters *ctr,
		unsigned upcalls, const struct mr_tcp_cfg *cfg)
{
	int err;

	memset(tcp, 0, sizeof(*tcp));
	tcp->ip = ip;
	tcp->frames = ip->frames;
	tcp->ctr = ctr;
	tcp->wheel = wheel;
	tcp->rng = rng;
	tcp->upcalls = (uint8_t)upcalls;
	tcp->mtu_probing = (uint8_t)cfg->mtu_probing;
	tcp->rcv_wnd_first = UINT16_MAX;
	tcp->flow_key[0] = cfg->flow_key[0];
	tcp->flow_key[1] = cfg->flow_key[1];
	tcp->secret[0] = mr_rng_u64(rng);
	tcp->secret[1] = mr_rng_u64(rng);
	tcp->port_counter = (uint32_t)mr_rng_u64(rng);
	mr_tcp_ports_set(tcp, MR_TCP_PORT_FIRST, MR_TCP_PORT_LAST);
	tcp->tfo_keys = cfg->tfo_keys;
	if (!tcp->tfo_keys.n)
		tfo_init(tcp);
	for (unsigned i = 0; i < MR_TCP_PORT_BUCKETS; i++)
		mr_list_init(&tcp->ports[i]);
	mr_list_init(&tcp->pending);
	mr_list_init(&tcp->held);
	mr_list_init(&tcp->all);
	mr_list_init(&tcp->connecting);
	mr_list_init(&tcp->gaps);
	tcp->mtu_cursor = UINT32_MAX;
	/* clang-format off: it has its own ideas of ?: */
	err = mr_pool_init(&tcp->tcbs, arena, sizeof(struct mr_tcb), cfg->max_connections) ?:
		      mr_pool_init(&tcp->synreqs, arena, sizeof(struct mr_tcp_synreq), cfg->max_connections) ?:
		      mr_pool_init(&tcp->tws, arena, sizeof(struct mr_tcp_tw), cfg->max_connections) ?:
		      mr_pool_init(&tcp->gap_pool, arena, sizeof(struct mr_gap), cfg->max_connections) ?:
		      mr_pool_init(&tcp->sendings, arena, sizeof(struct mr_sending), cfg->max_connections) ?:
		      mr_pool_init(&tcp->listeners, arena, sizeof(struct mr_tcp_listener),
				   cfg->max_listeners);
	/* clang-format on */
	return err ?: tcp_table_init(tcp, arena, cfg->max_connections);
}

void mr_tcp_opts_default(struct mr_tcp_opts *opts)
{
	*opts = (struct mr_tcp_opts){
		.sndbuf = MR_TCP_SNDBUF,
		.rcvbuf = MR_TCP_RCVBUF,
		.keepidle_s = 7200,
		.keepintvl_s = 75,
		.keepcnt = 9,
		.ttl = 64,
		.rcvlowat = 1,
		.congestion = MR_CONG_CUBIC,
		.ecn = MR_ECN_ACCURATE,
	};
}

struct mr_tcb *tcb_alloc(struct mr_tcp *tcp, const struct mr_tcp_opts *opts, uint64_t now)
{
	struct mr_tcb *tcb = mr_pool_get(&tcp->tcbs);

	if (!tcb)
		return NULL;
	tcb->state = MR_TCP_CLOSED;
	tcb->opts = *opts;
	tcb->sending = &tcp->not_sending;
	tcb->rto_ns = MR_TCP_RTO_INIT_NS;
	tcb->rcv_space = mr_tcp_rcv_limit(opts);
	tcb->snd_mss = MR_TCP_MSS_DEFAULT;
	tcb->rcv_mss = MR_TCP_MSS_DEFAULT;
	tcb->quickacks = MR_TCP_QUICKACKS;
	tcb->last_rcv_at = now;
	for (int i = 0; i < MR_TT_MAX; i++)
		tcb->timers[i] = MR_TIME_NEVER;
	mr_timer_init(&tcb->timer, MR_TIMER_TCB);
	mr_list_init(&tcb->pending_node);
	mr_list_init(&tcb->in_flight);
	mr_list_init(&tcb->lost);
	mr_list_add_tail(&tcp->all, &tcb->all_node);
	return tcb;
}

void tcb_guess_rcv_mss(struct mr_tcb *tcb)
{
	uint32_t most = mr_min((uint32_t)tcb->adv_mss, (uint32_t)tcb->snd_mss);

	tcb->rcv_mss = (uint16_t)mr_min(most, MR_TCP_MSS_DEFAULT);
}

void tcb_free(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	if (tcb->flow.hash) /* 0 until it has a 4-tuple */
		flow_remove(tcp, &tcb->flow);
	tfo_confirmed(tcp, tcb);
	while (tcb->dsack_more)
		sack_next_duplicate(tcp, tcb, &tcb->dsack);
	sndq_free(tcp, tcb);
	ooo_free(tcp, tcb);
	tcb_sending_end(tcp, tcb);
	mr_list_del(&tcb->connecting_node); /* or the empty list in_flight */
	mr_timer_cancel(tcp->wheel, &tcb->timer);
	mr_list_del(&tcb->pending_node);
	mr_list_del(&tcb->all_node);
	mr_dst_put(tcp->ip, &tcb->dst);
	tcb->flow.kind = 0;
	mr_pool_put(&tcp->tcbs, tcb);
}

void tcb_end(struct mr_tcp *tcp, struct mr_tcb *tcb, int err)
{
	void *owner = tcb->owner;

	tcb_set_state(tcb, MR_TCP_CLOSED);
	if (owner)
		tcp_up(tcp)->gone(owner, err);
	tcb_free(tcp, tcb);
}

/* RFC 9293 figure 5, and what its text adds: CLOSED from every state (abort, reset, timeouts); a passive open enters
 * at SYN-RECEIVED, because LISTEN is a separate object here. A close in SYN-RECEIVED is queued, so FIN-WAIT-1 only
 * follows ESTABLISHED. */
static const uint16_t edges[] = {
#define E(s) (1u << MR_TCP_##s)
	[MR_TCP_CLOSED] = E(SYN_SENT) | E(SYN_RECEIVED),
	[MR_TCP_SYN_SENT] = E(SYN_RECEIVED) | E(ESTABLISHED),
	[MR_TCP_SYN_RECEIVED] = E(ESTABLISHED),
	[MR_TCP_ESTABLISHED] = E(FIN_WAIT1) | E(CLOSE_WAIT),
	[MR_TCP_FIN_WAIT1] = E(FIN_WAIT2) | E(CLOSING) | E(TIME_WAIT),
	[MR_TCP_FIN_WAIT2] = E(TIME_WAIT),
	[MR_TCP_CLOSE_WAIT] = E(LAST_ACK),
	[MR_TCP_CLOSING] = E(TIME_WAIT),
	[MR_TCP_LAST_ACK] = 0,
	[MR_TCP_TIME_WAIT] = 0,
#undef E
};

void tcb_set_state(struct mr_tcb *tcb, enum mr_tcp_state state)
{
	assert(state == MR_TCP_CLOSED || edges[tcb->state] & 1u << state);
	tcb->state = (uint8_t)state;
}

const char *mr_tcp_state_name(enum mr_tcp_state state)
{
	static const char *const names[] = {
		[MR_TCP_CLOSED] = "CLOSED",	      [MR_TCP_LISTEN] = "LISTEN",
		[MR_TCP_SYN_SENT] = "SYN-SENT",	      [MR_TCP_SYN_RECEIVED] = "SYN-RECEIVED",
		[MR_TCP_ESTABLISHED] = "ESTABLISHED", [MR_TCP_FIN_WAIT1] = "FIN-WAIT-1",
		[MR_TCP_FIN_WAIT2] = "FIN-WAIT-2",    [MR_TCP_CLOSE_WAIT] = "CLOSE-WAIT",
		[MR_TCP_CLOSING] = "CLOSING",	      [MR_TCP_LAST_ACK] = "LAST-ACK",
		[MR_TCP_TIME_WAIT] = "TIME-WAIT",
	};

	return (unsigned)state < MR_ARRAY_SIZE(names) ? names[state] : "?";
}

void tcb_mark(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	if (mr_list_empty(&tcb->pending_node))
		mr_list_add_tail(&tcp->pending, &tcb->pending_node);
	else if (mr_unlikely(tcb->ack_held))
		mr_list_move_tail(&tcp->pending, &tcb->pending_node);
	tcb->ack_held = false;
}

void mr_tcp_hold_ack(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	if (mr_list_empty(&tcb->pending_node) || !tcb->ack_now || tcb->dupacks_owed || tcb->gap ||
	    tcb->ecn.nacks || tcb->sndq.head || tcb->fin_queued)
		return;
	mr_list_move_tail(&tcp->held, &tcb->pending_node);
	tcb->ack_held = true;
}

void mr_tcp_unhold(struct mr_tcp *tcp)
{
	while (!mr_list_empty(&tcp->held))
		tcb_mark(tcp, mr_list_first(&tcp->held, struct mr_tcb, pending_node));
}

/* The wheel entry is only moved to an earlier time here. If the deadline becomes later, the entry fires early, and
 * the handler arms it again. So the common case, moving the retransmission timer with each ACK, costs one store. */
void tcb_timer_set(struct mr_tcp *tcp, struct mr_tcb *tcb, enum mr_tcb_timer which,
		   uint64_t deadline)
{
	tcb->timers[which] = deadline;
	if (deadline != MR_TIME_NEVER &&
	    (!mr_timer_armed(&tcb->timer) || deadline < tcb->timer.expires))
		mr_timer_arm(tcp->wheel, &tcb->timer, deadline);
}

void tcb_sending_begin(struct mr_tcp *tcp, struct mr_tcb *tcb, uint64_t now)
{
	uint32_t cwnd = tcb->cwnd, ssthresh = tcb->ssthresh;
	struct mr_sending *s;

	if (tcb_sends(tcb))
		return;
	s = mr_pool_get(&tcp->sendings);
	assert(s && cwnd); /* there are as many as TCBs */
	s->tcb = tcb;
	s->rate.app_limited = 1; /* so far */
	tcb->sending = s;
	mr_cong(tcb->opts.congestion)->init(tcb, now);
	tcb->cwnd = cwnd;
	tcb->ssthresh = ssthresh;
}

void tcb_sending_end(struct mr_tcp *tcp, struct mr_tcb *tcb)
{
	struct mr_sending *s = tcb->sending;

	if (!tcb_sends(tcb))
		return;
	tcb->sending = &tcp->not_sending;
	tcb->undo.armed = false; /* the state that it would restore is gone */
	s->tcb = NULL;
	mr_pool_put(&tcp->sendings, s);
}

void tcb_cong_start(struct mr_tcb *tcb, bool syn_lost)
{
	tcb->cwnd = mr_cong_initial_window(tcb->snd_mss);
	tcb->ssthresh = UINT32_MAX;
	if (!syn_lost)
		return;
	tcb->cwnd = tcb->snd_mss; /* RFC 5681 section 3.1: a packet was just lost */
	if (!tcb->srtt_ns)	  /* or the RTT is long: RFC 6298 (5.7) */
		tcb->rto_ns = MR_TCP_RTO_FALLBACK_NS;
}

uint8_t tcp_choose_wscale(uint32_t rcvbuf)
{
	/* The shift is fixed by the SYN: leave room for the buffer to grow. */
	uint32_t most = mr_max(rcvbuf, MR_TCP_RCVBUF_MAX);
	uint8_t shift = 0;

	while (shift < MR_TCP_MAX_WSCALE && most >> shift > UINT16_MAX)
		shift++;
	return shift;
}

uint32_t tcp_initial_rcv_wnd(uint32_t rcvbuf)
{
	return mr_min(rcvbuf, (uint32_t)UINT16_MAX); /* the window field of a SYN is never scaled */
}
