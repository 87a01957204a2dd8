/* SPDX-License-Identifier: BSD-2-Clause */
/* gso.h - what a device with TCP segmentation offload does to a packet. */
#ifndef MR_TESTS_SIM_GSO_H
#define MR_TESTS_SIM_GSO_H

#include <stdint.h>

/* Cut an Ethernet frame with IPv4 or IPv6 (no VLAN tag, no extension header) and TCP, whose TCP checksum holds
 * the pseudo-header's sum, into segments of `size` bytes of payload, and send each. Aborts where the frame is
 * not of that kind. */
void sim_gso_cut(const uint8_t *pkt, uint32_t len, uint16_t size,
		 void (*send)(void *user, const uint8_t *pkt, uint32_t len), void *user);

#endif
