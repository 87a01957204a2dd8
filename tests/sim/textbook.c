// SPDX-License-Identifier: BSD-2-Clause
/*
 * textbook.c - response functions of congestion controls.
 * Sources     Mathis, Semke, Mahdavi, Ott: "The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm",
 *             CCR 27(3), 1997, equation (3). Padhye, Firoiu, Towsley, Kurose: "Modeling TCP Reno Performance: A
 *             Simple Model and Its Empirical Validation", IEEE/ACM ToN 8(2), 2000 (PFTK; SIGCOMM 1998 without
 *             the throughput). RFC 9438 sections 4.3 and 5.1. draft-ietf-ccwg-bbr sections 5.3.3.5 and 5.3.4.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include "rng.h"
#include "textbook.h"

/* Whose mean is within 0.3 % of the truth at 100 losses in 1,000,000 packets. */
#define ROUNDS 2000000u

const struct tb_aimd tb_reno = { .beta = 0.5, .slow = 1 };
/* RFC 9438 section 4.3: alpha is 3 * (1 - beta) / (1 + beta) until W_est is where cwnd was. */
const struct tb_aimd tb_cubic_reno = { .beta = 0.7, .slow = 9.0 / 17 };

double tb_link(const struct tb_path *path)
{
	return path->rate_bps / 1e6 * path->mss / path->packet;
}

double tb_bdp(const struct tb_path *path)
{
	return path->rate_bps * path->rtt_s / 8 / path->packet;
}

double tb_of_window(const struct tb_path *path, double segments)
{
	return segments * (1 - path->p) * path->mss * 8 / path->rtt_s / 1e6;
}

/* Mathis et al. (3), with C = sqrt(3/2): periodic losses, and growth by what is acknowledged however few ACKs say
 * so (RFC 3465), which is their "ACK every packet". For losses that are independent they give a larger constant,
 * 1.31; what they leave out, the round trips of recoveries and that windows are whole segments, takes that much
 * back at 20 segments, and more below. */
double tb_mathis_window(double p)
{
	return sqrt(1.5 / p);
}

/* RFC 9438 section 5.1 with C = 0.4 and beta = 0.7: 1.054 * RTT^0.75 / p^0.75; never less than Reno (4.3). */
double tb_cubic_window(double p, double rtt_s)
{
	return fmax(pow(0.4 * 3.7 / (4 * 0.3), 0.25) * pow(rtt_s / p, 0.75), tb_mathis_window(p));
}

/* PFTK's throughput T(p), what arrives, with b = 1 (see above): between two losses (1 - p) / p packets and half
 * of the window that follows them in their round arrive, in W / 2 rounds and the one of the recovery. W is their
 * (13), Q the odds that a loss is found by a timeout (24), the backed-off timeouts take G (28, f(p)). */
double tb_pftk(const struct tb_path *path, double timeout_s)
{
	double p = path->p, ok3 = pow(1 - p, 3);
	double w = 1 + sqrt(8 * (1 - p) / (3 * p) + 1);
	double q = fmin(1, (1 - ok3) * (1 + ok3 * (1 - pow(1 - p, w - 3))) / (1 - pow(1 - p, w)));
	double g = 1 + p + 2 * pow(p, 2) + 4 * pow(p, 3) + 8 * pow(p, 4) + 16 * pow(p, 5) +
		   32 * pow(p, 6);

	if (!(timeout_s > 0))
		q = 0;
	return ((1 - p) / p + w / 2 + q) /
	       (path->rtt_s * (w / 2 + 1) + q * g * timeout_s / (1 - p)) * path->mss * 8 / 1e6;
}

/* Packets that arrive before the next one is lost: a geometric distribution. */
static uint64_t until_loss(struct sim_rng *rng, double p)
{
	double u = ((double)(sim_rand(rng) >> 11) + 0.5) / (double)(1ull << 53);

	return (uint64_t)(log(u) / log1p(-p));
}

/* The process behind those formulas, by rounds as PFTK section II has them, but played and not averaged: windows
 * are whole segments; each packet is lost by itself, so that a round has one, several or none; no growth in the
 * round in which a loss is repaired; a round lasts for an RTT, or as long as the link takes for its packets; and
 * what the queue has no room for is lost. No timeouts. */
double tb_rounds(const struct tb_path *path, const struct tb_aimd *control)
{
	const double tx_s = path->packet * 8 / path->rate_bps;
	const unsigned room = (unsigned)(tb_bdp(path) + path->queue_packets);
	struct sim_rng rng = { .s = 1 };
	uint64_t arrived = 0, good = until_loss(&rng, path->p);
	double w = 10, prior = 10, seconds = 0;
	bool recovery = false;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned n = (unsigned)w, sent = n < room ? n : room, lost = n - sent;

		for (; good < sent; good += 1 + until_loss(&rng, path->p))
			lost++;
		good -= sent;
		arrived += n - lost;
		seconds += fmax(path->rtt_s, n * tx_s);
		if (lost) {
			prior = w;
			w = fmax(w * control->beta, 2);
		} else if (!recovery) {
			w += w < prior ? control->slow : 1;
		}
		recovery = lost;
	}
	return (double)arrived / seconds * path->mss * 8 / 1e6;
}

/* The draft, section 5.3.3.5.2: of what was found when probing, a rate of (1 - p)^N is left after N rounds of
 * cruising with loss. A cycle is 63 rounds, or 2.5 s if that is less. Every 5 s half of it is given up to probe
 * the RTT (5.3.4), for 200 ms and a round trip on either side. */
double tb_bbr(const struct tb_path *path)
{
	double p = path->p, rounds = fmin(63, fmax(2.5 / path->rtt_s, 1));
	double mean = p > 0 ? (1 - pow(1 - p, rounds)) / (p * rounds) : 1;
	double probe_rtt = 0.5 * (0.2 + 2 * path->rtt_s) / 5;

	return tb_link(path) * mean * (1 - p) * (1 - probe_rtt);
}
