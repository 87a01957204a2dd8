/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * middlebox.h - what may stand between two hosts and does more than forward: it takes options off, changes
 * ECN bits, eats what it does not know, or has a narrow link behind it. One for each direction.
 */
#ifndef MR_TESTS_SIM_MIDDLEBOX_H
#define MR_TESTS_SIM_MIDDLEBOX_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_BOX_KINDS 8

struct sim;

/* Zeros: it does nothing. Kinds of TCP options: a list that ends with 0. */
struct sim_box {
	uint8_t strip[SIM_BOX_KINDS];	/* overwritten with NOPs, in every segment */
	uint8_t eat[SIM_BOX_KINDS];	/* a segment with one of these is dropped */
	uint8_t eat_syn[SIM_BOX_KINDS]; /* the same, but of SYNs and SYN,ACKs only */
	uint16_t clear_flags;		/* of the TCP header: ECE, CWR; SIM_BOX_AE */
	bool mangle_ecn;		/* the ECN field of every packet becomes `ecn` */
	uint8_t ecn;
	uint32_t ce_ppm;   /* packets that are ECT are marked */
	bool eat_ecn_syn;  /* a SYN with any of the ECN flags is dropped */
	bool eat_syn_data; /* a SYN with data is dropped */
	bool cut_syn_data; /* a SYN with data goes on without it */
	/* Packets longer than mtu are dropped from mtu_at on (0: there is no narrow link), until mtu_end
	 * (0: for good). */
	uint32_t mtu;
	uint64_t mtu_at, mtu_end; /* ns */
	bool icmp;		  /* the sender is told: fragmentation needed, packet too big */
	bool icmp_no_mtu; /* as routers before RFC 1191 did it: without saying how much fits */
	/* For a packet the sender gets an ICMP error about one that it did not send. */
	uint32_t forge_ppm;
	uint64_t eaten, changed, too_big, forged;
};

#define SIM_BOX_AE 0x100u

/* What becomes of a packet of host `from`. pkt may be changed, *len may shrink. False: dropped. */
bool sim_box_pass(struct sim *sim, int from, struct sim_box *box, uint8_t *pkt, uint32_t *len);

#endif
