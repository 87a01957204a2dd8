// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_bbr.c - BBR: a model of the path (delivery rate, RTT, how much may be in flight) sets pacing rate and cwnd.
 * Implements  BBR version 3, draft-ietf-ccwg-bbr: "section" below is of that. Names are the draft's.
 * Called by   tcp_loss.c and output through struct mr_cong_ops.
 * Not here    delivery rate samples (tcp_rate.c), departure times (tcp_pace.c).
 *
 * Bandwidths are in units of 32 bytes per second (up to 1 Tbit/s), minimum RTTs in 64 ns (up to 274 s), times of the
 * state machine in ms: 32 bits each, so that the state is as large as CUBIC's. Counts of delivered bytes wrap.
 *
 * Departs     State for undo is saved when a loss episode begins, and not in each of its rounds, which would save
 * what the losses
 *             have made of it (section 5.5.10.3 has both).
 *             A round without a usable rate sample says nothing about a plateau (section 5.3.1.2).
 *             Losses are compared with what has left the network since, if that is more than what was in flight:
 *             section 5.5.10 compares them with one RTT, but RACK may wait for up to another.
 *             A round that ProbeRTT has limited does not lower bw_shortterm and inflight_shortterm: the cause of what
 *             it delivers is our own, for which section 5.3.4 marks it as limited by the application.
 *             A round with ECN marks counts as one with loss, and marks while probing as too much loss: the draft
 *             leaves the response open (section 3.7).
 */
#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

#define INF UINT32_MAX

/* Section 2.6 to 2.14. Gains are in 256ths. */
#define GAIN_UNIT	      256u
#define STARTUP_PACING_GAIN   709u /* 4 * ln(2) = 2.77 */
#define DRAIN_PACING_GAIN     128u
#define DOWN_PACING_GAIN      230u /* 0.9 */
#define UP_PACING_GAIN	      320u /* 1.25 */
#define CWND_GAIN	      512u
#define UP_CWND_GAIN	      576u /* 2.25 */
#define PROBE_RTT_CWND_GAIN   128u
#define PACING_MARGIN	      99u /* percent */
#define LOSS_THRESH	      50u /* loss of one in 50 bytes in flight is too much: 2 % */
#define FULL_LOSS_COUNT	      6u
#define FULL_BW_COUNT	      3u
#define MIN_PIPE_SEGS	      4u
#define MIN_RTT_FILTER_MS     10000u
#define PROBE_RTT_INTERVAL_MS 5000u
#define PROBE_RTT_MS	      200u
#define PROBE_WAIT_MS	      2000u /* plus up to a second */
#define RENO_ROUNDS	      63u
#define DRAIN_ROUNDS	      3u
#define EXTRA_ACKED_ROUNDS    5u /* rounds of each half of the filter: ExtraAckedFilterLen is 10 */
#define QUANTUM_MAX	      65536u
#define QUANTUM_PER_S	      1000u /* a quantum is 1 ms of sending */
#define QUANTA		      3u

#define BW_SHIFT  5
#define RTT_SHIFT 6

enum state { STARTUP, DRAIN, DOWN, CRUISE, REFILL, UP, PROBE_RTT };

/* BBR.ack_phase: to which phase of sending the arriving ACKs belong. */
enum ack_phase { ACKS_INIT, ACKS_REFILLING, ACKS_STARTING, ACKS_FEEDBACK, ACKS_STOPPING };

struct bbr {
	uint64_t extra_acked_start; /* ns */
	uint32_t max_bw[2];	    /* of this ProbeBW cycle, and of the previous one */
	uint32_t bw_latest, bw_shortterm, full_bw, undo_bw_shortterm;
	uint32_t min_rtt, probe_rtt_min; /* INF: no sample */
	uint32_t min_rtt_stamp, probe_rtt_min_stamp, probe_rtt_start_stamp, cycle_stamp;
	uint32_t next_round, loss_round;				      /* delivered */
	uint32_t inflight_latest, inflight_shortterm, inflight_longterm;      /* bytes */
	uint32_t undo_inflight_shortterm, undo_inflight_longterm, prior_cwnd; /* bytes */
	uint32_t extra_acked_delivered, extra_acked[2];			      /* bytes */
	uint32_t up_acked, up_acked_per_inc;				      /* bytes */
	uint32_t lost_end; /* end of the last range that was found lost */
	uint16_t wait_ms;  /* BBR.bw_probe_wait */
	uint8_t extra_acked_rounds, loss_ranges;
	uint8_t full_bw_count : 2, up_rounds : 5, full_bw_now : 1;
	uint8_t rounds_since_up, drain_rounds;
	uint8_t state : 3, ack_phase : 3, undo_state : 2; /* undo_state: enum undo_state */
	uint16_t full_bw_reached : 1, round_start : 1, loss_round_start : 1, loss_in_round : 1,
		bw_probe_sample : 1, probed_too_high : 1, precautionary : 1, idle_restart : 1,
		probe_rtt_expired : 1, probe_rtt_round_done : 1, probe_rtt_draining : 1,
		/* Samples are from data sent in ProbeRTT, or permitted by its ACKs. */
		probe_rtt_samples : 1;
};
_Static_assert(sizeof(struct bbr) <= sizeof(((struct mr_sending *)0)->cc_priv),
	       "private state fits");

/* The state that BBR has left because of a loss. */
enum undo_state { UNDO_NONE, UNDO_STARTUP, UNDO_UP };

static struct bbr *priv(struct mr_tcb *tcb)
{
	return (struct bbr *)tcb->sending->cc_priv;
}

static uint32_t clamp32(uint64_t v)
{
	return (uint32_t)mr_min(v, (uint64_t)INF - 1);
}

static uint32_t to_ms(uint64_t ns)
{
	return (uint32_t)(ns / MR_NS_PER_MS);
}

/* Has more than `ms` passed since stamp, which is never in the future? Both wrap. */
static bool elapsed(uint64_t now, uint32_t stamp, uint32_t ms)
{
	return to_ms(now) - stamp > ms;
}

/* There is no random number generator here: mix values that nobody else knows. */
static uint32_t any_number(const struct mr_tcb *tcb, uint64_t now)
{
	uint64_t x = (now ^ (uint64_t)tcb->flow.hash << 32) * 0x9e3779b97f4a7c15ull;

	return (uint32_t)(x >> 32);
}

static bool probing_bw(const struct bbr *b)
{
	return b->state == STARTUP || b->state == REFILL || b->state == UP;
}

static bool in_probe_bw(const struct bbr *b)
{
	return b->state >= DOWN && b->state <= UP;
}

static uint32_t max_bw(const struct bbr *b)
{
	return mr_max(b->max_bw[0], b->max_bw[1]);
}

/* BBR.bw: BoundBWForModel(). */
static uint32_t bw(const struct bbr *b)
{
	return mr_min(max_bw(b), b->bw_shortterm);
}

/* ---- Amounts: section 5.6.4.2 ---------------------------------------------------------------- */

static uint32_t pacing_gain(const struct bbr *b)
{
	static const uint16_t gains[] = {
		[STARTUP] = STARTUP_PACING_GAIN,
		[DRAIN] = DRAIN_PACING_GAIN,
		[DOWN] = DOWN_PACING_GAIN,
		[CRUISE] = GAIN_UNIT,
		[REFILL] = GAIN_UNIT,
		[UP] = UP_PACING_GAIN,
		[PROBE_RTT] = GAIN_UNIT,
	};

	return gains[b->state];
}

static uint32_t cwnd_gain(const struct bbr *b)
{
	return b->state == UP	     ? UP_CWND_GAIN :
	       b->state == PROBE_RTT ? PROBE_RTT_CWND_GAIN :
				       CWND_GAIN;
}

static uint32_t min_pipe(const struct mr_tcb *tcb)
{
	return MIN_PIPE_SEGS * tcb->snd_mss;
}

/* BDPMultiple(): bytes in flight at this rate, times a gain. */
static uint32_t bdp(const struct mr_tcb *tcb, const struct bbr *b, uint32_t rate, uint32_t gain)
{
	const uint64_t per_unit = MR_NS_PER_S >> (BW_SHIFT + RTT_SHIFT);

	if (b->min_rtt == INF || !rate)
		return mr_cong_initial_window(tcb->snd_mss);
	return clamp32((uint64_t)rate * b->min_rtt / per_unit * gain / GAIN_UNIT);
}

/* Section 5.6.3. */
static uint32_t send_quantum(const struct mr_tcb *tcb)
{
	uint64_t q = mr_min(tcb->sending->pace.rate / QUANTUM_PER_S, (uint64_t)QUANTUM_MAX);

	return mr_max((uint32_t)q, 2u * tcb->snd_mss);
}

/* QuantizationBudget() */
static uint32_t quantized(const struct mr_tcb *tcb, const struct bbr *b, uint64_t inflight)
{
	inflight = mr_max(inflight, (uint64_t)QUANTA * send_quantum(tcb));
	inflight = mr_max(inflight, (uint64_t)min_pipe(tcb));
	if (b->state == UP)
		inflight += 2u * tcb->snd_mss;
	return clamp32(inflight);
}

/* Inflight() */
static uint32_t inflight(const struct mr_tcb *tcb, const struct bbr *b, uint32_t rate)
{
	return quantized(tcb, b, bdp(tcb, b, rate, GAIN_UNIT));
}

static uint32_t max_inflight(const struct mr_tcb *tcb, const struct bbr *b)
{
	uint64_t most = bdp(tcb, b, bw(b), cwnd_gain(b));

	return quantized(tcb, b, most + mr_max(b->extra_acked[0], b->extra_acked[1]));
}

/* InflightWithHeadroom(): leaves room for other flows (BBR.Headroom is 0.15). */
static uint32_t with_headroom(const struct mr_tcb *tcb, const struct bbr *b)
{
	uint32_t room =
		mr_max((uint32_t)((uint64_t)b->inflight_longterm * 3 / 20), (uint32_t)tcb->snd_mss);

	if (b->inflight_longterm == INF)
		return INF;
	return mr_max(b->inflight_longterm > room ? b->inflight_longterm - room : 0, min_pipe(tcb));
}

static uint32_t target_inflight(const struct mr_tcb *tcb, const struct bbr *b)
{
	return mr_min(bdp(tcb, b, bw(b), GAIN_UNIT), tcb->cwnd);
}

static uint32_t probe_rtt_cwnd(const struct mr_tcb *tcb, const struct bbr *b)
{
	return mr_max(bdp(tcb, b, bw(b), PROBE_RTT_CWND_GAIN), min_pipe(tcb));
}

/* BBR.Beta is 0.7. */
static uint32_t beta(uint32_t v)
{
	return (uint32_t)((uint64_t)v * 7 / 10);
}

/* ---- Rounds, and the state that goes with them ----------------------------------------------- */

static void start_round(const struct mr_tcb *tcb, struct bbr *b)
{
	b->next_round = tcb->sending->rate.delivered;
}

static void update_round(const struct mr_tcb *tcb, struct bbr *b, const struct mr_rate_sample *rs)
{
	b->round_start = seq_geq(rs->prior_delivered, b->next_round);
	if (!b->round_start)
		return;
	start_round(tcb, b);
	if (b->rounds_since_up < UINT8_MAX)
		b->rounds_since_up++;
	if (b->drain_rounds < UINT8_MAX)
		b->drain_rounds++;
}

static void reset_full_bw(struct bbr *b, uint32_t base)
{
	b->full_bw = base;
	b->full_bw_count = 0;
	b->full_bw_now = false;
}

static void reset_congestion_signals(struct bbr *b)
{
	b->loss_in_round = false;
	b->bw_latest = 0;
	b->inflight_latest = 0;
}

static void reset_shortterm(struct bbr *b)
{
	b->bw_shortterm = INF;
	b->inflight_shortterm = INF;
}

static void save_cwnd(const struct mr_tcb *tcb, struct bbr *b)
{
	if (tcb->loss == MR_LOSS_OPEN && b->state != PROBE_RTT)
		b->prior_cwnd = tcb->cwnd;
	else
		b->prior_cwnd = mr_max(b->prior_cwnd, tcb->cwnd);
}

static void restore_cwnd(struct mr_tcb *tcb, const struct bbr *b)
{
	tcb->cwnd = mr_max(tcb->cwnd, b->prior_cwnd);
}

/* ---- Sections 5.3.1 and 5.3.2: Startup, Drain ------------------------------------------------ */

static void enter_startup(struct bbr *b)
{
	b->state = STARTUP;
}

static void enter_drain(struct bbr *b)
{
	b->state = DRAIN;
	b->drain_rounds = 0;
}

static void check_full_bw(struct bbr *b, const struct mr_rate_sample *rs)
{
	uint32_t rate = clamp32(rs->rate >> BW_SHIFT);

	if (b->full_bw_now || !b->round_start || rs->app_limited || !rate)
		return;
	if (rate >= b->full_bw + (uint64_t)b->full_bw / 4) { /* still growing */
		reset_full_bw(b, rate);
		return;
	}
	b->full_bw_now = ++b->full_bw_count >= FULL_BW_COUNT;
	if (b->full_bw_now)
		b->full_bw_reached = true;
}

static bool too_high(const struct mr_tcb *tcb, uint32_t lost, uint32_t tx_in_flight)
{
	return lost > tx_in_flight / LOSS_THRESH || (lost && !tcb->sack_ok);
}

/* CheckStartupHighLoss() */
static void check_startup_loss(const struct mr_tcb *tcb, struct bbr *b,
			       const struct mr_rate_sample *rs)
{
	if (b->full_bw_reached || !b->loss_round_start)
		return;
	if (tcb->loss == MR_LOSS_RECOVERY && too_high(tcb, rs->lost, rs->tx_in_flight) &&
	    (b->loss_ranges >= FULL_LOSS_COUNT || !tcb->sack_ok)) {
		b->undo_state = UNDO_STARTUP;
		b->full_bw_reached = true;
		b->inflight_longterm = mr_max(bdp(tcb, b, bw(b), GAIN_UNIT), b->inflight_latest);
	}
	b->loss_ranges = 0;
}

/* ---- Section 5.3.3: ProbeBW ------------------------------------------------------------------ */

static void start_down(const struct mr_tcb *tcb, struct bbr *b, uint64_t now)
{
	uint32_t any = any_number(tcb, now);

	reset_congestion_signals(b);
	b->up_acked_per_inc = INF;
	b->rounds_since_up = any & 1; /* PickProbeWait() */
	b->wait_ms = (uint16_t)(PROBE_WAIT_MS + (any >> 1) % 1000);
	b->cycle_stamp = to_ms(now);
	b->ack_phase = ACKS_STOPPING;
	start_round(tcb, b);
	b->state = DOWN;
}

static void start_refill(const struct mr_tcb *tcb, struct bbr *b)
{
	reset_shortterm(b);
	b->up_rounds = 0;
	b->up_acked = 0;
	b->precautionary = false;
	b->ack_phase = ACKS_REFILLING;
	start_round(tcb, b);
	b->state = REFILL;
}

/* RaiseInflightLongtermSlope(): by 1, 2, 4, 8, ... segments a round. */
static void raise_slope(const struct mr_tcb *tcb, struct bbr *b)
{
	uint32_t growth = 1u << b->up_rounds;

	b->up_rounds = (uint8_t)mr_min(b->up_rounds + 1u, 30u) & 31u;
	b->up_acked_per_inc = mr_max(tcb->cwnd / growth, (uint32_t)tcb->snd_mss);
}

static void start_up(const struct mr_tcb *tcb, struct bbr *b, const struct mr_rate_sample *rs)
{
	b->ack_phase = ACKS_STARTING;
	start_round(tcb, b);
	reset_full_bw(b, clamp32(rs->rate >> BW_SHIFT));
	b->state = UP;
	raise_slope(tcb, b);
}

/* As often as Reno would have losses, but at least every 63 rounds (section 5.3.3.5.1). */
static bool time_to_probe(const struct mr_tcb *tcb, const struct bbr *b, uint64_t now)
{
	uint32_t reno_rounds = target_inflight(tcb, b) / tcb->snd_mss;

	return elapsed(now, b->cycle_stamp, b->wait_ms) ||
	       b->rounds_since_up >= mr_min(reno_rounds, RENO_ROUNDS);
}

static bool time_to_cruise(const struct mr_tcb *tcb, const struct bbr *b)
{
	uint32_t flight = tcb_in_flight(tcb);

	return flight <= with_headroom(tcb, b) && flight <= inflight(tcb, b, max_bw(b));
}

static bool time_to_go_down(const struct mr_tcb *tcb, struct bbr *b,
			    const struct mr_rate_sample *rs)
{
	if (b->probed_too_high && tcb_in_flight(tcb) >= b->inflight_longterm) {
		b->precautionary = true;
		return true;
	}
	if (tcb->sending->cwv.limited && tcb->cwnd >= b->inflight_longterm)
		/* Compare with this rate from now on, not with bw. */
		reset_full_bw(b, clamp32(rs->rate >> BW_SHIFT));
	else if (b->full_bw_now)
		return true;
	return false;
}

/* ProbeInflightLongtermUpward() */
static void probe_upward(const struct mr_tcb *tcb, struct bbr *b, const struct mr_rate_sample *rs)
{
	if (!tcb->sending->cwv.limited || tcb->cwnd < b->inflight_longterm)
		return;
	b->up_acked += rs->newly_acked;
	if (b->up_acked >= b->up_acked_per_inc) {
		uint32_t delta = b->up_acked / b->up_acked_per_inc;

		b->up_acked -= delta * b->up_acked_per_inc;
		b->inflight_longterm =
			clamp32(b->inflight_longterm + (uint64_t)delta * tcb->snd_mss);
	}
	if (b->round_start)
		raise_slope(tcb, b);
}

/* AdvanceMaxBwFilter(), unless the whole cycle had no sample. */
static void advance_max_bw(struct bbr *b)
{
	if (!b->max_bw[0])
		return;
	b->max_bw[1] = b->max_bw[0];
	b->max_bw[0] = 0;
}

/* AdaptLongTermModel(). true: the next state was decided. */
static bool adapt_longterm(const struct mr_tcb *tcb, struct bbr *b, const struct mr_rate_sample *rs)
{
	if (b->ack_phase == ACKS_STARTING && b->round_start)
		b->ack_phase = ACKS_FEEDBACK;
	if (b->ack_phase == ACKS_STOPPING && b->round_start) {
		b->bw_probe_sample = false;
		b->ack_phase = ACKS_INIT;
		if (in_probe_bw(b) && !rs->app_limited)
			advance_max_bw(b);
		if (in_probe_bw(b) && b->precautionary && !b->probed_too_high) {
			start_refill(tcb, b);
			return true;
		}
	}
	if (b->inflight_longterm == INF || too_high(tcb, rs->lost, rs->tx_in_flight))
		return false;
	b->inflight_longterm = mr_max(b->inflight_longterm, rs->tx_in_flight);
	if (b->state == UP)
		probe_upward(tcb, b, rs);
	return false;
}

/* UpdateProbeBWCyclePhase() */
static void update_cycle(const struct mr_tcb *tcb, struct bbr *b, const struct mr_rate_sample *rs)
{
	if (!b->full_bw_reached || adapt_longterm(tcb, b, rs))
		return;
	switch ((enum state)b->state) {
	case DOWN:
	case CRUISE:
		if (time_to_probe(tcb, b, rs->now))
			start_refill(tcb, b);
		else if (b->state == DOWN && time_to_cruise(tcb, b))
			b->state = CRUISE;
		break;
	case REFILL:
		if (b->round_start) {
			b->bw_probe_sample = true;
			start_up(tcb, b, rs);
		}
		break;
	case UP:
		if (time_to_go_down(tcb, b, rs)) {
			b->probed_too_high = false;
			start_down(tcb, b, rs->now);
		}
		break;
	case STARTUP:
	case DRAIN:
	case PROBE_RTT:
		break;
	}
}

/* ---- Sections 5.3.4 and 5.5.6: the least RTT ------------------------------------------------- */

static void update_min_rtt(struct bbr *b, const struct mr_rate_sample *rs)
{
	uint32_t rtt = clamp32(rs->rtt_ns >> RTT_SHIFT);

	b->probe_rtt_expired = elapsed(rs->now, b->probe_rtt_min_stamp, PROBE_RTT_INTERVAL_MS);
	if (rs->rtt_ns && (rtt < b->probe_rtt_min || b->probe_rtt_expired)) {
		b->probe_rtt_min = mr_max(rtt, 1u);
		b->probe_rtt_min_stamp = to_ms(rs->now);
	}
	if (b->probe_rtt_min < b->min_rtt ||
	    elapsed(rs->now, b->min_rtt_stamp, MIN_RTT_FILTER_MS)) {
		b->min_rtt = b->probe_rtt_min;
		b->min_rtt_stamp = b->probe_rtt_min_stamp;
	}
}

static void exit_probe_rtt(const struct mr_tcb *tcb, struct bbr *b, uint64_t now)
{
	reset_shortterm(b);
	b->probe_rtt_samples = true;
	b->loss_round = tcb->sending->rate.delivered + tcb_in_flight(tcb);
	if (b->full_bw_reached) {
		start_down(tcb, b, now);
		b->state = CRUISE;
	} else {
		enter_startup(b);
	}
}

static void check_probe_rtt_done(struct mr_tcb *tcb, struct bbr *b, uint64_t now)
{
	if (!b->probe_rtt_draining || !elapsed(now, b->probe_rtt_start_stamp, PROBE_RTT_MS))
		return;
	b->probe_rtt_min_stamp = to_ms(now); /* the next one is due after an interval */
	restore_cwnd(tcb, b);
	exit_probe_rtt(tcb, b, now);
}

static void handle_probe_rtt(struct mr_tcb *tcb, struct bbr *b, uint64_t now)
{
	rate_app_limited(tcb); /* samples are low because of ProbeRTT */
	if (!b->probe_rtt_draining && tcb_in_flight(tcb) <= probe_rtt_cwnd(tcb, b)) {
		b->probe_rtt_draining = true;
		b->probe_rtt_start_stamp = to_ms(now);
		b->probe_rtt_round_done = false;
		start_round(tcb, b);
	} else if (b->probe_rtt_draining) {
		if (b->round_start)
			b->probe_rtt_round_done = true;
		if (b->probe_rtt_round_done)
			check_probe_rtt_done(tcb, b, now);
	}
}

static void check_probe_rtt(struct mr_tcb *tcb, struct bbr *b, const struct mr_rate_sample *rs)
{
	if (b->state != PROBE_RTT && b->probe_rtt_expired && !b->idle_restart) {
		save_cwnd(tcb, b);
		b->state = PROBE_RTT;
		b->probe_rtt_draining = false;
		b->ack_phase = ACKS_STOPPING;
		start_round(tcb, b);
	}
	if (b->state == PROBE_RTT)
		handle_probe_rtt(tcb, b, rs->now);
	if (rs->delivered)
		b->idle_restart = false;
}

/* ---- Section 5.5: the model ------------------------------------------------------------------ */

static void update_latest(const struct mr_tcb *tcb, struct bbr *b, const struct mr_rate_sample *rs)
{
	b->bw_latest = mr_max(b->bw_latest, clamp32(rs->rate >> BW_SHIFT));
	b->inflight_latest = mr_max(b->inflight_latest, rs->delivered);
	b->loss_round_start = seq_geq(rs->prior_delivered, b->loss_round);
	if (b->loss_round_start)
		b->loss_round = tcb->sending->rate.delivered;
}

static void advance_latest(struct bbr *b, const struct mr_rate_sample *rs)
{
	if (!b->loss_round_start)
		return;
	b->bw_latest = clamp32(rs->rate >> BW_SHIFT);
	b->inflight_latest = rs->delivered;
}

static void update_max_bw(struct bbr *b, const struct mr_rate_sample *rs)
{
	uint32_t rate = clamp32(rs->rate >> BW_SHIFT);

	if (rate && (rate >= max_bw(b) || !rs->app_limited))
		b->max_bw[0] = mr_max(b->max_bw[0], rate);
}

/* AdaptLowerBoundsFromCongestion(): at the end of a round with loss, lower the bounds towards what the path
 * delivers. */
static void adapt_shortterm(const struct mr_tcb *tcb, struct bbr *b)
{
	if (!b->loss_round_start)
		return;
	if (!probing_bw(b) && b->loss_in_round && !b->probe_rtt_samples) {
		uint32_t rate = b->bw_shortterm == INF ? max_bw(b) : b->bw_shortterm;
		uint32_t most = b->inflight_shortterm == INF ? tcb->cwnd : b->inflight_shortterm;

		b->bw_shortterm = mr_max(b->bw_latest, beta(rate));
		b->inflight_shortterm = mr_max(b->inflight_latest, beta(most));
	}
	b->loss_in_round = false;
	b->probe_rtt_samples = false;
}

/* UpdateACKAggregation(): how much more was acknowledged than the path delivers in that time. */
static void update_aggregation(const struct mr_tcb *tcb, struct bbr *b,
			       const struct mr_rate_sample *rs)
{
	uint64_t us = (rs->now - b->extra_acked_start) / MR_NS_PER_US;
	uint64_t rate = (uint64_t)bw(b) << BW_SHIFT;
	/* Such a long episode is no aggregation. */
	uint64_t expected = us < MR_US_PER_S ? rate * us / MR_US_PER_S : UINT32_MAX;
	uint32_t rounds = b->full_bw_reached ? EXTRA_ACKED_ROUNDS : 1;

	if (b->round_start && ++b->extra_acked_rounds >= rounds) {
		b->extra_acked[1] = b->extra_acked[0];
		b->extra_acked[0] = 0;
		b->extra_acked_rounds = 0;
	}
	if (b->extra_acked_delivered <= expected) {
		b->extra_acked_delivered = 0;
		b->extra_acked_start = rs->now;
		expected = 0;
	}
	b->extra_acked_delivered = clamp32((uint64_t)b->extra_acked_delivered + rs->newly_acked);
	b->extra_acked[0] =
		mr_max(b->extra_acked[0],
		       mr_min(b->extra_acked_delivered - (uint32_t)expected, tcb->cwnd));
}

/* ---- Sections 5.5.10.3 and 5.5.11: loss ------------------------------------------------------ */

static void save_state(const struct mr_tcb *tcb, struct bbr *b)
{
	save_cwnd(tcb, b);
	b->undo_state = UNDO_NONE;
	b->undo_bw_shortterm = b->bw_shortterm;
	b->undo_inflight_shortterm = b->inflight_shortterm;
	b->undo_inflight_longterm = b->inflight_longterm;
}

static void note_loss(const struct mr_tcb *tcb, struct bbr *b)
{
	if (!b->loss_in_round) {
		if (!b->probe_rtt_samples)
			b->loss_round = tcb->sending->rate.delivered;
		if (tcb->loss == MR_LOSS_OPEN)
			save_state(tcb, b);
	}
	b->loss_in_round = true;
}

/* HandleInflightTooHigh() */
static void inflight_too_high(const struct mr_tcb *tcb, struct bbr *b, uint32_t at,
			      bool app_limited, uint64_t now)
{
	b->probed_too_high = true;
	b->bw_probe_sample = false; /* react only once to each probe */
	if (!app_limited)
		b->inflight_longterm = mr_max(at, beta(target_inflight(tcb, b)));
	if (b->state == UP) {
		b->undo_state = UNDO_UP;
		start_down(tcb, b, now);
	}
}

/* InflightAtLoss(): at which point of this segment the losses exceeded the threshold. */
static uint32_t inflight_at_loss(uint32_t size, uint32_t tx_in_flight, uint32_t lost)
{
	uint32_t before = tx_in_flight > size ? tx_in_flight - size : 0;
	uint32_t lost_before = lost > size ? lost - size : 0;
	uint32_t allowed = before / LOSS_THRESH;

	if (allowed <= lost_before)
		return before;
	return before + (allowed - lost_before) * LOSS_THRESH / (LOSS_THRESH - 1);
}

/* Bytes lost since this segment was sent, out of what was in flight then, which is one RTT. RACK may have waited for
 * late packets (RFC 8985 section 6.2); then the losses found meanwhile are out of more than that. */
static uint32_t lost_of_round(const struct mr_tcb *tcb, const struct mr_frame *f)
{
	const struct mr_rate *r = &tcb->sending->rate;
	uint32_t lost = r->lost - f->sent.lost, all = r->delivered - f->sent.delivered + lost;

	if (all <= f->sent.in_flight)
		return lost;
	return (uint32_t)((uint64_t)lost * f->sent.in_flight / all);
}

static void bbr_lost(struct mr_tcb *tcb, const struct mr_frame *f, uint64_t now)
{
	struct bbr *b = priv(tcb);
	uint32_t lost = lost_of_round(tcb, f);

	note_loss(tcb, b);
	if (f->seq != b->lost_end && b->loss_ranges < UINT8_MAX)
		b->loss_ranges++;
	b->lost_end = f->seq + f->pay_len;
	if (b->bw_probe_sample && too_high(tcb, lost, f->sent.in_flight))
		inflight_too_high(tcb, b, inflight_at_loss(f->pay_len, f->sent.in_flight, lost),
				  f->sent.app_limited, now);
}

/* A loss event. The name is that of the interface: BBR has no ssthresh. */
static uint32_t bbr_ssthresh(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now)
{
	struct bbr *b = priv(tcb);

	(void)in_flight;
	(void)now;
	note_loss(tcb, b);
	save_cwnd(tcb, b);
	return tcb->ssthresh;
}

static uint32_t bbr_marked(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now)
{
	struct bbr *b = priv(tcb);

	note_loss(tcb, b);
	if (b->bw_probe_sample)
		inflight_too_high(tcb, b, in_flight, false, now);
	return tcb->ssthresh;
}

static void bbr_recovered(struct mr_tcb *tcb, uint64_t now)
{
	(void)now;
	restore_cwnd(tcb, priv(tcb));
}

/* HandleSpuriousLossDetection() */
static void bbr_undo(struct mr_tcb *tcb, uint64_t now)
{
	struct bbr *b = priv(tcb);
	unsigned was = b->undo_state;

	(void)now;
	restore_cwnd(tcb, b);
	b->loss_in_round = false;
	reset_full_bw(b, 0);
	b->bw_shortterm = mr_max(b->bw_shortterm, b->undo_bw_shortterm);
	b->inflight_shortterm = mr_max(b->inflight_shortterm, b->undo_inflight_shortterm);
	b->inflight_longterm = mr_max(b->inflight_longterm, b->undo_inflight_longterm);
	b->undo_state = UNDO_NONE;
	if (was == UNDO_STARTUP && b->state != STARTUP) {
		b->full_bw_reached = false;
		if (b->state != PROBE_RTT)
			enter_startup(b);
	} else if (was == UNDO_UP && b->state != UP && b->state != PROBE_RTT) {
		start_refill(tcb, b);
	}
}

/* ---- Section 5.6: what follows from the model ------------------------------------------------ */

static void set_pacing_rate(struct mr_tcb *tcb, const struct bbr *b, uint32_t gain)
{
	uint64_t rate = ((uint64_t)bw(b) << BW_SHIFT) * gain / GAIN_UNIT * PACING_MARGIN / 100;

	if (rate && (b->full_bw_reached || rate > tcb->sending->pace.rate))
		tcb->sending->pace.rate = rate;
}

/* BoundCwndForModel() */
static uint32_t volume_cap(const struct mr_tcb *tcb, const struct bbr *b)
{
	uint32_t cap = INF;

	if (b->state == CRUISE || b->state == PROBE_RTT)
		cap = with_headroom(tcb, b);
	else if (in_probe_bw(b))
		cap = b->inflight_longterm;
	return mr_max(mr_min(cap, b->inflight_shortterm), min_pipe(tcb));
}

static void set_cwnd(struct mr_tcb *tcb, const struct bbr *b, const struct mr_rate_sample *rs)
{
	uint32_t most = max_inflight(tcb, b),
		 grown = clamp32((uint64_t)tcb->cwnd + rs->newly_acked);

	if (b->full_bw_reached)
		tcb->cwnd = mr_min(grown, most);
	else if (tcb->cwnd < most || tcb->bytes_acked < mr_cong_initial_window(tcb->snd_mss))
		tcb->cwnd = grown;
	tcb->cwnd = mr_max(tcb->cwnd, min_pipe(tcb));
	if (b->state == PROBE_RTT)
		tcb->cwnd = mr_min(tcb->cwnd, probe_rtt_cwnd(tcb, b));
	tcb->cwnd = mr_min(tcb->cwnd, volume_cap(tcb, b));
}

/* ---- Section 5.2: events --------------------------------------------------------------------- */

static void bbr_init(struct mr_tcb *tcb, uint64_t now)
{
	struct bbr *b = priv(tcb);
	uint64_t rtt_ns = tcb->srtt_ns ?: MR_NS_PER_MS;

	tcb->cwnd = mr_cong_initial_window(tcb->snd_mss);
	tcb->ssthresh = UINT32_MAX;
	b->extra_acked_start = now;
	b->min_rtt = tcb->srtt_ns ? mr_max(clamp32(tcb->srtt_ns >> RTT_SHIFT), 1u) : INF;
	b->probe_rtt_min = b->min_rtt;
	b->min_rtt_stamp = b->probe_rtt_min_stamp = b->cycle_stamp = to_ms(now);
	b->inflight_longterm = INF;
	b->up_acked_per_inc = INF;
	reset_shortterm(b);
	enter_startup(b);
	tcb->sending->pace.rate =
		mr_max((uint64_t)tcb->cwnd * MR_NS_PER_S / rtt_ns * STARTUP_PACING_GAIN / GAIN_UNIT,
		       (uint64_t)1);
}

static void bbr_control(struct mr_tcb *tcb, const struct mr_rate_sample *rs)
{
	struct bbr *b = priv(tcb);

	b->round_start = false;
	b->loss_round_start = false;
	if (rs->has_data) {
		update_latest(tcb, b, rs);
		update_round(tcb, b, rs);
		update_max_bw(b, rs);
		adapt_shortterm(tcb, b);
		update_aggregation(tcb, b, rs);
		check_full_bw(b, rs);
		check_startup_loss(tcb, b, rs);
		if (b->state == STARTUP && b->full_bw_reached)
			enter_drain(b);
		if (b->state == DRAIN && (tcb_in_flight(tcb) <= inflight(tcb, b, bw(b)) ||
					  b->drain_rounds > DRAIN_ROUNDS))
			start_down(tcb, b, rs->now);
		update_cycle(tcb, b, rs);
		update_min_rtt(b, rs);
		check_probe_rtt(tcb, b, rs);
		advance_latest(b, rs);
	}
	set_pacing_rate(tcb, b, pacing_gain(b));
	set_cwnd(tcb, b, rs);
}

/* HandleRestartFromIdle(), section 5.4.1. */
static void bbr_send_begin(struct mr_tcb *tcb, uint64_t now)
{
	struct bbr *b = priv(tcb);

	if (!tcb->sending->rate.app_limited)
		return;
	b->idle_restart = true;
	b->extra_acked_start = now;
	if (in_probe_bw(b))
		set_pacing_rate(tcb, b, GAIN_UNIT);
	else if (b->state == PROBE_RTT)
		check_probe_rtt_done(tcb, b, now);
}

const struct mr_cong_ops mr_cong_bbr = {
	.name = "bbr",
	.init = bbr_init,
	.control = bbr_control,
	.ssthresh = bbr_ssthresh,
	.marked = bbr_marked,
	.undo = bbr_undo,
	.lost = bbr_lost,
	.recovered = bbr_recovered,
	.send_begin = bbr_send_begin,
};
