// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_cubic.c - cwnd as a cubic function of the time since the last loss.
 * Implements  RFC 9438 with C = 0.4 and beta = 0.7, its Reno-friendly region, fast convergence and
 *             undo; slow start by RFC 9406 (tcp_hystart.c).
 * Called by   tcp_loss.c through struct mr_cong_ops.
 * Not here    recovery (tcp_loss.c): it is the same for every control.
 *
 * Windows are bytes and time is integer: W_cubic is computed in milliseconds, while the time of the
 * epoch adds up in nanoseconds.
 */
#include "base/cbrt.h"
#include "tcp/tcp_cong.h"
#include "tcp/tcp_hystart.h"

/* Times that C's decimal, 4 / 10 segments per s^3, and ms^3 per s^3 bring along. */
#define C_NUM		4ull
#define C_DEN		10ull
#define MS3_PER_S3	1000000000ull
#define CUBE_SHARE	1000000ull /* of MS3_PER_S3, divided out first so that 64 bits suffice */
#define DISTANCE_MAX_MS ((1ull << 21) - 1) /* its cube fits into 63 bits: 35 minutes from K */
#define EST_SHIFT	12		   /* W_est has fractions of a byte */

/* One congestion avoidance stage, and what it inherits from the loss before it. */
struct epoch {
	uint64_t t_ns;	     /* how long it has lasted, without times when cwnd was no limit */
	uint64_t w_est;	     /* Reno's window, bytes << EST_SHIFT */
	uint32_t w_max;	     /* bytes, where the plateau is; 0: not known */
	uint32_t cwnd_prior; /* bytes, before the last reduction */
	uint32_t k_ms;	     /* from the begin of the epoch to the plateau */
	bool running;	     /* t_ns, w_est and k_ms hold */
};

struct cubic {
	struct epoch epoch;
	struct epoch undo; /* as before the last reduction */
	struct hystart hystart;
	uint64_t last_at;   /* ns, of the last ACK of the epoch */
	uint32_t cwnd_left; /* as that ACK left it */
	uint32_t remainder; /* of its increment: fractions of a byte, in 1 / cwnd */
};
_Static_assert(sizeof(struct cubic) <= sizeof(((struct mr_sending *)0)->cc_priv),
	       "private state fits");

static struct cubic *priv(struct mr_tcb *tcb)
{
	return (struct cubic *)tcb->sending->cc_priv;
}

static void cubic_init(struct mr_tcb *tcb, uint64_t now)
{
	(void)now;
	tcb->cwnd = mr_cong_initial_window(tcb->snd_mss);
	tcb->ssthresh = UINT32_MAX;
	hystart_init(&priv(tcb)->hystart, tcb);
}

/* ---- Congestion avoidance -------------------------------------------------------------------- */

/* Section 4.2: K = cbrt((W_max - cwnd_epoch) / C), here 0 as well when there is no plateau ahead:
 * at the end of the first slow start (4.10), after a timeout (4.8), and above the old one. */
static void epoch_begin(struct epoch *e, const struct mr_tcb *tcb)
{
	if (e->w_max <= tcb->cwnd) {
		e->w_max = tcb->cwnd;
		e->k_ms = 0;
	} else {
		e->k_ms = mr_cbrt((e->w_max - tcb->cwnd) * (MS3_PER_S3 * C_DEN / C_NUM) /
				  tcb->snd_mss);
	}
	if (!e->cwnd_prior)
		e->cwnd_prior = tcb->cwnd;
	e->w_est = (uint64_t)tcb->cwnd << EST_SHIFT;
	e->t_ns = 0;
	e->running = true;
}

/* Section 4.2 (1): W_cubic(t) = C * (t - K)^3 + W_max. */
static uint64_t w_cubic(const struct epoch *e, uint32_t mss, uint64_t t_ns)
{
	uint64_t t = t_ns / MR_NS_PER_MS, k = e->k_ms;
	uint64_t d = mr_min(t < k ? k - t : t - k, DISTANCE_MAX_MS);
	uint64_t rise = d * d * d / CUBE_SHARE * (C_NUM * mss) / (C_DEN * MS3_PER_S3 / CUBE_SHARE);

	if (t >= k)
		return e->w_max + rise;
	return e->w_max > rise ? e->w_max - rise : 0; /* the MSS may have grown since */
}

/* Section 4.3: what Reno would have by now, with alpha = 3 * (1 - beta) / (1 + beta) = 9/17 until
 * it has made up for the smaller reduction. acked is at most cwnd, and cwnd below 2^31. */
static uint32_t w_est(struct epoch *e, const struct mr_tcb *tcb, uint32_t acked)
{
	uint64_t grow = (uint64_t)acked * tcb->snd_mss << EST_SHIFT;

	if (e->w_est >> EST_SHIFT < e->cwnd_prior)
		grow = grow * 9 / 17;
	e->w_est += grow / tcb->cwnd;
	return (uint32_t)(e->w_est >> EST_SHIFT);
}

/* Sections 4.4 and 4.5: towards where the curve is one RTT from now. */
static void follow_curve(struct cubic *c, struct mr_tcb *tcb, uint32_t acked)
{
	uint64_t most = tcb->cwnd + tcb->cwnd / 2u;
	uint64_t target =
		mr_min(w_cubic(&c->epoch, tcb->snd_mss, c->epoch.t_ns + tcb->srtt_ns), most);
	uint64_t grow = c->remainder;

	if (target > tcb->cwnd)
		grow += acked * (target - tcb->cwnd);
	c->remainder = (uint32_t)(grow % tcb->cwnd);
	tcb->cwnd += (uint32_t)(grow / tcb->cwnd);
}

static void avoidance(struct cubic *c, struct mr_tcb *tcb, uint32_t acked, uint64_t now)
{
	struct epoch *e = &c->epoch;
	uint32_t est;

	/* Lowered since by somebody else, after idle time that is: the curve from back then would
	 * regain all of it in a few RTTs. */
	if (!e->running || tcb->cwnd < c->cwnd_left) {
		epoch_begin(e, tcb);
		c->remainder = 0;
	} else {
		/* Section 5.8: when cwnd is the limit, something is in flight, and an ACK comes in
		 * every RTT; a longer silence was the application's, and does not count. */
		e->t_ns += mr_min(now - c->last_at, 2 * tcb->srtt_ns);
	}
	c->last_at = now;
	acked = mr_min(acked, tcb->cwnd);
	est = w_est(e, tcb, acked);
	if (w_cubic(e, tcb->snd_mss, e->t_ns) < est)
		tcb->cwnd = mr_max(tcb->cwnd, est);
	else
		follow_curve(c, tcb, acked);
	c->cwnd_left = tcb->cwnd;
}

/* ---- Operations ------------------------------------------------------------------------------ */

static void cubic_acked(struct mr_tcb *tcb, uint32_t acked, uint64_t rtt_ns, uint64_t now)
{
	struct cubic *c = priv(tcb);

	if (tcb->cwnd >= tcb->ssthresh) {
		avoidance(c, tcb, acked, now);
		return;
	}
	c->epoch.running = false;
	if (tcb->ssthresh == UINT32_MAX)
		hystart_acked(&c->hystart, tcb, acked, rtt_ns);
	else
		mr_cong_slow_start(tcb, acked);
}

static uint32_t cubic_ssthresh(struct mr_tcb *tcb, uint32_t in_flight, uint64_t now)
{
	struct cubic *c = priv(tcb);
	uint32_t used = mr_cong_used(tcb, in_flight);

	(void)now;
	c->undo = c->epoch;
	/* Section 4.7, fast convergence: less than the time before, so leave room for the flow that
	 * took it; (1 + beta) / 2 of it. */
	if (used < c->epoch.w_max)
		c->epoch.w_max = (uint32_t)((uint64_t)used * 17 / 20);
	else
		c->epoch.w_max = used;
	c->epoch.cwnd_prior = used;
	c->epoch.running = false;
	return mr_max((uint32_t)((uint64_t)used * 7 / 10), 2u * tcb->snd_mss); /* section 4.6 */
}

/* Section 4.8: the plateau is where the next congestion avoidance begins. */
static void cubic_timeout(struct mr_tcb *tcb, uint64_t now)
{
	(void)now;
	priv(tcb)->epoch.w_max = 0;
	priv(tcb)->epoch.running = false;
}

/* Section 4.9.2. */
static void cubic_undo(struct mr_tcb *tcb, uint64_t now)
{
	struct cubic *c = priv(tcb);

	c->epoch = c->undo;
	c->last_at = now; /* the time that recovery took does not belong to the epoch */
	c->cwnd_left = tcb->cwnd;
	c->remainder = 0;
}

const struct mr_cong_ops mr_cong_cubic = {
	.name = "cubic",
	.init = cubic_init,
	.acked = cubic_acked,
	.ssthresh = cubic_ssthresh,
	.timeout = cubic_timeout,
	.undo = cubic_undo,
};
