/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - one engine: a stack in its arena, a port to a device, and the rounds that drive both. The public calls of
 * millrace.h are built on it, and so is the simulator, which brings its own device and clock.
 *
 * `now` is the engine's monotonic clock in ns. All calls are made by one thread at a time, and none blocks unless its
 * comment says so. Functions that return int return 0 or a negative errno.
 */
#ifndef MR_ENGINE_ENGINE_H
#define MR_ENGINE_ENGINE_H

#include <poll.h>

#include "base/arena.h"
#include "dev/port.h"
#include "dev/umem.h"
#include "ip/ip.h"
#include "link/link.h"
#include "millrace.h"
#include "socket/socket.h"
#include "tcp/tcp.h"

/* The stack: the root object of an engine's arena. */
struct mr_stack {
	struct mr_counters ctr;
	struct mr_rng rng;
	struct mr_wheel wheel;
	struct mr_frame_pool frames;
	struct mr_netif nif;
	struct mr_link link;
	struct mr_ip ip;
	struct mr_tcp tcp;
	struct mr_socks socks;
	struct mr_port_state port;
	uint64_t now;		    /* ns: begin of the present round or call */
	uint64_t round_at;	    /* ns: begin of the last round */
	uint64_t service_at;	    /* ns: when the device's service() is next due */
	int fatal;		    /* 0, or -ENETDOWN: the interface is gone for good */
	struct mr_link_state iface; /* the link state that was last logged and applied */
	uint64_t nduplicates;	    /* duplicates of our addresses, as last logged */
};

/* What has to be known of the interface and of the memory to make a stack. */
struct mr_stack_cfg {
	uint8_t mac[6];
	int ifindex;		   /* only with cfg.shared */
	struct mr_addr link_local; /* IPv6 link-local address; any: derived from the MAC address */
	uint32_t mtu;
	uint32_t nframes, chunk_size;
	/* Of nframes: frames that the device keeps for receiving (FILL rings). */
	uint32_t dev_frames;
	uint16_t max_chunks; /* most chunks of a transmitted packet */
	uint32_t txq_limit;
	uint64_t seed; /* of the random number generator: all that is random follows from it */
	/* Address of the mapped map of ports of the XDP program; only with cfg.shared. */
	void *ports_at;
	void *arena_at, *umem_at; /* addresses for the mappings; NULL: anywhere */
	size_t extra_bytes;	  /* of the arena, for objects of the layers above the stack */
	uint64_t flow_key[2];	  /* set by mr_engine_create(), from the seed */
};

struct mr_xdp;
struct mr_shared;

#define MR_ENGINE_FDS_MAX 1032u /* sockets of all queues, link events, eventfd of mr_wakeup() */

struct mr_engine;
struct mr_xdp_note_ops;
struct mr_xdp_stats;

/* What only the process that has opened the interface does (engine_open.c): the XDP program, and the mirror of the
 * kernel's addresses and routes. Called through this table, so that programs under `millrace run` need not be linked
 * with libbpf and libmnl. */
struct mr_engine_opener {
	void (*close)(struct mr_engine *engine);
	void (*notes)(struct mr_engine *engine, const struct mr_xdp_note_ops *ops);
	int (*stats)(const struct mr_engine *engine, struct mr_xdp_stats *stats);
	/* Called about once a second without the lock: if somebody has detached the XDP program, attach it again. */
	void (*keep_attached)(struct mr_engine *engine);
	/* The functions of shared.h; called only if engine.shared is not NULL. */
	int (*fd)(const struct mr_engine *engine);
	bool (*due)(const struct mr_engine *engine, uint64_t now);
	void (*service)(struct mr_engine *engine, uint64_t now);
	void (*ask)(struct mr_engine *engine, uint64_t now);
};

/* One process's part of an engine. */
struct mr_engine {
	struct mr_arena arena;
	struct mr_umem umem;
	struct mr_stack *st;
	struct mr_dev *dev; /* NULL until mr_engine_start() */
	struct mr_port port;
	struct mr_pcapng *cap;
	/* NULL: another process has opened the engine, or it is simulated. */
	const struct mr_engine_opener *opener;
	struct mr_xdp *xdp;	       /* NULL if opener is NULL */
	struct mr_shared *shared;      /* the mirror; NULL: this process has none */
	uint64_t (*clock)(void *user); /* ns, monotonic */
	void *clock_user;
	uint64_t spin_ns;
	bool ended; /* engine_end() was called */
	/* The XDP program is detached and cannot be attached again, as last logged. */
	bool detached;
	int groups_fd; /* socket that is member of the interface's multicast groups; -1: none */
	int wake_fd;   /* eventfd of mr_wakeup() */
	/* Set by mr_wakeup(). Atomic: a thread that spins reads it without a system call. */
	uint32_t wake_asked;
	/* Reads the link state of the device; NULL: it has none. */
	void (*link_state)(const struct mr_dev *dev, struct mr_link_state *state);
	char ifname[16];     /* for log messages */
	struct pollfd *pfds; /* the device's descriptors, then wake_fd */
	unsigned npfds;
	void (*log)(void *user, int level, const char *line);
	void *log_user;
};

/* Make an engine without a device: arena, UMEM and stack. clock NULL: CLOCK_MONOTONIC. On failure *out is NULL, and
 * *err (may be NULL) has one sentence. */
int mr_engine_create(struct mr_engine **out, const struct mr_config *cfg, struct mr_stack_cfg *scfg,
		     uint64_t (*clock)(void *user), void *clock_user, struct mr_error *err);
/* Give the engine its device, which it owns from now on, and open the capture cfg->pcap_path if there is one. */
int mr_engine_start(struct mr_engine *engine, const struct mr_config *cfg, struct mr_dev *dev,
		    struct mr_error *err);

/* The first half of a round: receive a batch of packets, run input for all of it, run expired timers. The second half
 * is mr_engine_output(). Returns how many packets were received. */
unsigned mr_engine_input(struct mr_engine *engine, uint64_t now);
/* Run TCP output once for each connection with something to send, give the packets to the device, ring the doorbell.
 * Returns 0 or -ENETDOWN. */
int mr_engine_output(struct mr_engine *engine, uint64_t now);
/* ns: when the next round is needed even if nothing arrives; MR_TIME_NEVER: not at all. */
uint64_t mr_engine_next(const struct mr_engine *engine, uint64_t now);
/* Process rare events: changes of the link state, the end of the interface, reports of the XDP program. Returns 0 or
 * -ENETDOWN. */
int mr_engine_service(struct mr_engine *engine, uint64_t now);
/* Assert every invariant of every layer (for tests). */
void mr_engine_check(const struct mr_engine *engine);

/* ---- Configuration (config.c) ---------------------------------------------------------------- */

/* Check everything that can be checked without the interface. Returns 0, or -EINVAL and one sentence in *err. */
int mr_config_check(const struct mr_config *cfg, struct mr_error *err);
/* Parse mr_config.fastopen_key. NULL: no keys. Returns false if the text has not the right form. */
bool mr_config_fastopen_keys(const char *text, struct mr_tfo_keys *keys);

/* What is chosen from configuration and interface before the engine is made. */
struct mr_plan {
	bool native, zero_copy, gso;
	enum mr_csum_policy csum;
	uint32_t chunk_size, nframes, dev_frames;
};
struct mr_ifinfo;
/* Returns 0, or -EINVAL and one sentence in *err (MTU, too few frames). */
int mr_config_plan(const struct mr_config *cfg, const struct mr_ifinfo *info, struct mr_plan *plan,
		   struct mr_error *err);
/* Do packets of an engine with shared addresses arrive on this interface? has_address: it has an address that is not
 * link-local. Returns 0, or -EINVAL and one sentence in *err: the interface is a port of another one, which has the
 * addresses or the routes. */
int mr_config_check_master(const struct mr_ifinfo *info, bool has_address, struct mr_error *err);

#endif
