/* SPDX-License-Identifier: BSD-2-Clause */
/* textbook.h - what the literature says that a bulk transfer gets of a path: Mbit/s of payload that arrives. */
#ifndef MR_TESTS_SIM_TEXTBOOK_H
#define MR_TESTS_SIM_TEXTBOOK_H

struct tb_path {
	double p;     /* odds of each packet to be lost, by itself */
	double rtt_s; /* of a packet that finds the link idle, its transmission included */
	double rate_bps;
	double mss, packet;   /* bytes of payload, and of all of it on the link */
	double queue_packets; /* in front of the link */
};

/* How a control changes its window: multiplied by beta, then up to where it was by `slow` segments a round trip,
 * and beyond by one. */
struct tb_aimd {
	double beta, slow;
};
extern const struct tb_aimd tb_reno, tb_cubic_reno;

/* The link's payload; segments that fill link and RTT. */
double tb_link(const struct tb_path *path);
double tb_bdp(const struct tb_path *path);

/* The mean window that the closed formulas speak of, segments. */
double tb_mathis_window(double p);
double tb_cubic_window(double p, double rtt_s);
/* What such a window carries, of which p is lost. */
double tb_of_window(const struct tb_path *path, double segments);

/* timeout_s: the first timeout; 0: there are none. */
double tb_pftk(const struct tb_path *path, double timeout_s);
double tb_rounds(const struct tb_path *path, const struct tb_aimd *control);
double tb_bbr(const struct tb_path *path);

#endif
