/* SPDX-License-Identifier: BSD-2-Clause */
/* hash.h - SipHash-2-4 (Aumasson, Bernstein 2012) for keyed secrets: ISNs, cookies, local ports.
 * The flow hash of packets is mr_flow_hash() in millrace/xdp_abi.h, which the XDP program shares. */
#ifndef MR_BASE_HASH_H
#define MR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t mr_siphash(const uint64_t key[2], const void *data, size_t len);

#endif
