/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.h - every event that user space counts, beside the drop reasons (millrace/xdp_abi.h).
 * One list, in the order of the layers: X(NAME, "public.name", "what it counts").
 */
#ifndef MR_BASE_COUNTERS_H
#define MR_BASE_COUNTERS_H

#include <stdint.h>
#include "millrace/xdp_abi.h"

#define MR_COUNTER_LIST(X)                                                                         \
	X(DEV_RX_PACKETS, "dev.rx_packets", "packets taken from the RX rings")                     \
	X(DEV_RX_BYTES, "dev.rx_bytes", "bytes of them, Ethernet header included")                 \
	X(DEV_RX_CHUNKS, "dev.rx_chunks",                                                          \
	  "descriptors of them (multi-buffer packets have several)")                               \
	X(DEV_TX_PACKETS, "dev.tx_packets", "packets put into the TX rings")                       \
	X(DEV_TX_BYTES, "dev.tx_bytes", "bytes of them, Ethernet header included")                 \
	X(DEV_TX_GSO, "dev.tx_gso_packets",                                                        \
	  "bursts of TCP segments handed to the kernel as one packet")                             \
	X(DEV_TX_DOORBELLS, "dev.tx_doorbells", "sendto() calls that ring the TX doorbell")        \
	X(DEV_TX_AGAIN, "dev.tx_eagain", "doorbells answered EAGAIN (budget or completion ring)")  \
	X(DEV_TX_NOBUFS, "dev.tx_enobufs", "doorbells answered ENOBUFS")                           \
	X(DEV_TX_DOWN, "dev.tx_enetdown", "doorbells answered ENETDOWN")                           \
	X(DEV_TX_RING_FULL, "dev.tx_ring_full", "times the TX ring had no room")                   \
	X(DEV_COMPLETION_BAD, "dev.completion_bad",                                                \
	  "completed addresses of no frame in the device")                                         \
	X(DEV_FILL_EMPTY, "dev.fill_no_frame", "times no free frame was left for a FILL ring")     \
	X(DEV_SHAPED, "dev.shaped", "packets delayed by the shaper")                               \
	X(ARP_REQUESTS_IN, "arp.requests_in", "ARP requests for our addresses")                    \
	X(ARP_REPLIES_IN, "arp.replies_in", "ARP replies received")                                \
	X(ARP_REQUESTS_OUT, "arp.requests_out", "ARP requests sent")                               \
	X(ARP_REPLIES_OUT, "arp.replies_out", "ARP replies sent")                                  \
	X(ARP_ANNOUNCE_OUT, "arp.announcements_out", "gratuitous ARP sent (RFC 5227)")             \
	X(ARP_GRATUITOUS_IN, "arp.gratuitous_in", "gratuitous ARP of neighbours received")         \
	X(ND_SOLICITS_IN, "nd.solicits_in", "neighbour solicitations for our addresses")           \
	X(ND_ADVERTS_IN, "nd.adverts_in", "neighbour advertisements received")                     \
	X(ND_SOLICITS_OUT, "nd.solicits_out", "neighbour solicitations sent")                      \
	X(ND_ADVERTS_OUT, "nd.adverts_out", "neighbour advertisements sent")                       \
	X(ND_ROUTER_SOLICITS_OUT, "nd.router_solicits_out", "router solicitations sent")           \
	X(ND_ROUTER_ADVERTS_IN, "nd.router_adverts_in", "router advertisements received")          \
	X(MLD_QUERIES_IN, "mld.queries_in", "multicast listener queries received")                 \
	X(MLD_REPORTS_OUT, "mld.reports_out", "reports of the groups that we are in (RFC 3810)")   \
	X(ND_DUPLICATES, "nd.duplicates", "addresses of ours that another host has (RFC 4862)")    \
	X(NEIGH_CREATED, "neigh.created", "neighbour entries made")                                \
	X(NEIGH_EVICTED, "neigh.evicted", "unused neighbour entries removed for new ones")         \
	X(NEIGH_FAILED, "neigh.failed", "neighbours that did not answer")                          \
	X(IP_IN, "ip.in", "IP packets received for us")                                            \
	X(IP_OUT, "ip.out", "IP packets sent")                                                     \
	X(IP_FRAGS_IN, "ip.fragments_in", "IP fragments received for us")                          \
	X(IP_REASSEMBLED, "ip.reassembled", "IP datagrams reassembled")                            \
	X(IP_FRAGS_OUT, "ip.fragments_out", "IP fragments sent (of long echo replies)")            \
	X(ICMP_TIME_OUT, "icmp.time_exceeded_out", "reassembly time exceeded sent")                \
	X(IP_PMTU_LEARNT, "ip.pmtu_learnt",                                                        \
	  "destinations whose path MTU is smaller than the route's (RFC 1191, 8899)")              \
	X(ICMP_ECHO_IN, "icmp.echo_in", "echo requests answered")                                  \
	X(ICMP_UNREACH_OUT, "icmp.unreachable_out", "destination unreachable sent")                \
	X(ICMP_ERRORS_IN, "icmp.errors_in", "ICMP errors about our packets")                       \
	X(TCP_SEGS_IN, "tcp.segs_in",                                                              \
	  "segments received (a burst that the peer's TSO left whole counts once)")                \
	X(TCP_SEGS_OUT, "tcp.segs_out", "segments sent")                                           \
	X(TCP_ACTIVE_OPENS, "tcp.active_opens", "active opens")                                    \
	X(TCP_PASSIVE_OPENS, "tcp.passive_opens", "connections completed by listeners")            \
	X(TCP_ATTEMPT_FAILS, "tcp.attempt_fails", "handshakes that failed")                        \
	X(TCP_ESTAB_RESETS, "tcp.estab_resets", "established connections reset by the peer")       \
	X(TCP_ESTAB_TIMEOUTS, "tcp.estab_timeouts", "connections given up (RFC 9293 3.8.3)")       \
	X(TCP_RST_OUT, "tcp.rst_out", "RST sent")                                                  \
	X(TCP_RETRANS, "tcp.retrans_segs", "segments retransmitted")                               \
	X(TCP_RTO, "tcp.rto", "retransmission timeouts")                                           \
	X(TCP_FAST_RETRANS, "tcp.fast_retrans", "fast recoveries begun (RFC 5681)")                \
	X(TCP_UNDO, "tcp.undo",                                                                    \
	  "recoveries undone, because nothing was lost (Eifel, D-SACK, F-RTO)")                    \
	X(TCP_TLP, "tcp.loss_probes", "tail loss probes sent (RFC 8985)")                          \
	X(TCP_DSACK_IN, "tcp.dsack_in",                                                            \
	  "D-SACKs received: the peer got something twice (RFC 2883)")                             \
	X(TCP_RENEGED, "tcp.sack_reneged",                                                         \
	  "timeouts at which the peer had discarded SACKed data (RFC 2018)")                       \
	X(TCP_COOKIES_OUT, "tcp.syncookies_sent",                                                  \
	  "SYNs answered with a cookie, because the SYN queue was full")                           \
	X(TCP_COOKIES_IN, "tcp.syncookies_recv", "connections completed by a cookie")              \
	X(TCP_COOKIES_BAD, "tcp.syncookies_failed", "ACKs that carried no valid cookie")           \
	X(TCP_TFO_OUT, "tcp.fastopen_out",                                                         \
	  "active opens whose SYN carried data that the peer accepted (RFC 7413)")                 \
	X(TCP_TFO_IN, "tcp.fastopen_in", "connections begun by a cookie and the data of a SYN")    \
	X(TCP_TFO_RENEWED, "tcp.fastopen_renewed",                                                 \
	  "of these: with a cookie of the previous key, which was replaced")                       \
	X(TCP_TFO_REFUSED, "tcp.fastopen_refused",                                                 \
	  "SYNs with data refused: wrong cookie, or too many unconfirmed connections")             \
	X(TCP_TFO_AVOIDED, "tcp.fastopen_avoided",                                                 \
	  "servers that such SYNs did not reach: none is sent for an hour")                        \
	X(TCP_ECN_CE_IN, "tcp.ecn_ce_in",                                                          \
	  "segments received with a congestion mark (CE, RFC 3168)")                               \
	X(TCP_ECN_CE_ECHOED, "tcp.ecn_ce_echoed",                                                  \
	  "segments of ours that the peer counted as marked (RFC 9768)")                           \
	X(TCP_ECN_REDUCED, "tcp.ecn_reduced",                                                      \
	  "windows reduced because the peer echoed such a mark")                                   \
	X(TCP_PMTU_ICMP, "tcp.pmtu_icmp",                                                          \
	  "ICMP errors accepted: a segment was too long (RFC 1191, 8201)")                         \
	X(TCP_MTU_SUSPECTED, "tcp.mtu_suspected",                                                  \
	  "searches for a shorter segment after repeated losses (RFC 4821)")                       \
	X(TCP_MTU_PROBES, "tcp.mtu_probes", "path MTU probes sent (RFC 8899)")                     \
	X(TCP_MTU_PROBES_OK, "tcp.mtu_probes_ok", "of these: acknowledged")                        \
	X(TCP_MTU_PROBES_LOST, "tcp.mtu_probes_lost", "of these: lost")                            \
	X(TCP_DUPACK_IN, "tcp.dupacks_in", "duplicate ACKs received")                              \
	X(TCP_ACK_DELAYED, "tcp.delayed_acks", "ACKs sent by the delayed ACK timer")               \
	X(TCP_OOO_QUEUED, "tcp.ooo_queued", "segments kept for reassembly")                        \
	X(TCP_OOO_WALKED, "tcp.ooo_walked", "queued segments visited to find a new one's place")   \
	X(TCP_SACK_WALKED, "tcp.sack_walked",                                                      \
	  "frames in flight visited to find those of SACK blocks")                                 \
	X(TCP_CHALLENGE_ACK, "tcp.challenge_acks", "challenge ACKs sent (RFC 5961)")               \
	X(TCP_CHALLENGE_LIMITED, "tcp.challenge_limited", "challenge ACKs withheld by the limit")  \
	X(TCP_ZERO_WINDOW_PROBES, "tcp.zero_window_probes", "zero-window probes sent")             \
	X(TCP_KEEPALIVES, "tcp.keepalives", "keepalive probes sent")                               \
	X(TCP_TIMEWAIT, "tcp.timewait", "connections that entered TIME-WAIT")                      \
	X(TCP_TIMEWAIT_REUSED, "tcp.timewait_reused", "TIME-WAITs ended by a new SYN")             \
	X(TCP_COLLAPSED, "tcp.rcv_coalesced",                                                      \
	  "small segments copied together in a receive buffer")                                    \
	X(TCP_TX_CLONES, "tcp.tx_clones",                                                          \
	  "retransmissions copied because the device held the frame")                              \
	X(SOCK_SEND_FULL, "sock.send_full", "sends that found the send buffer full")               \
	X(SOCK_NO_FRAME, "sock.send_no_frame", "sends cut short because no frame was free")        \
	X(ENGINE_ROUNDS, "engine.rounds", "receive-process-send rounds")                           \
	X(ENGINE_SLEEPS, "engine.sleeps", "times the engine slept in poll()")                      \
	X(ENGINE_SALVAGES, "engine.salvages", "repairs after a process was killed inside the stack")

enum mr_counter_id {
#define X(id, name, text) MR_CTR_##id,
	MR_COUNTER_LIST(X)
#undef X
		MR_CTR_MAX
};

struct mr_counters {
	uint64_t c[MR_CTR_MAX];
	uint64_t drop[MR_DROP_MAX]; /* by enum mr_drop; the XDP program keeps its own */
};

#define MR_COUNT(ctr, id)      ((ctr)->c[MR_CTR_##id]++)
#define MR_COUNT_N(ctr, id, n) ((ctr)->c[MR_CTR_##id] += (n))

/* Names and texts by number. "drop." names are the enum's in lower case. Never NULL in range. */
const char *mr_counter_id_name(enum mr_counter_id id);
const char *mr_counter_id_text(enum mr_counter_id id);
const char *mr_drop_name(enum mr_drop reason); /* "drop.tcp_bad_csum" */
const char *mr_drop_text(enum mr_drop reason);
const char *mr_xdp_verdict_name(enum mr_xdp_verdict verdict); /* "xdp.redirect_tcp" */
const char *mr_xdp_verdict_text(enum mr_xdp_verdict verdict);

#endif
