/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - one engine: a stack (arena), a port to a device, and the rhythm that drives both.
 * The public calls of millrace.h stand on this; so does the simulator, which brings its own device
 * and its own clock.
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

/* The root of an engine's arena. */
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
	uint64_t now;		    /* of the present round */
	uint64_t round_at;	    /* ns: the last one's */
	uint64_t service_at;	    /* ns: look after the device again */
	int fatal;		    /* 0, or -ENETDOWN: the interface is gone for good */
	struct mr_link_state iface; /* as far as logged and acted upon */
	uint64_t nduplicates;	    /* of our addresses, as far as logged */
};

/* Everything that must be known of the interface to make a stack for it. */
struct mr_stack_cfg {
	uint8_t mac[6];
	int ifindex;		   /* cfg.shared */
	struct mr_addr link_local; /* for IPv6; any: made from the MAC address */
	uint32_t mtu;
	uint32_t nframes, chunk_size;
	uint32_t dev_frames; /* of nframes, how many the device keeps for itself (FILL rings) */
	uint16_t max_chunks; /* per transmitted packet */
	uint32_t txq_limit;
	uint64_t seed;		  /* everything random follows from it */
	void *ports_at;		  /* of the XDP program's map of ports, cfg.shared */
	void *arena_at, *umem_at; /* where they are mapped; NULL: anywhere */
	size_t extra_bytes;	  /* of the arena, for what stands above the stack in it */
	uint64_t flow_key[2];	  /* filled in by mr_engine_create() from the seed */
};

struct mr_xdp;
struct mr_shared;

#define MR_ENGINE_FDS_MAX 1032u /* rings of all queues, link events, mr_wakeup() */

struct mr_engine;
struct mr_xdp_note_ops;
struct mr_xdp_stats;

/* What only the process does that has opened the interface (engine_open.c): the XDP program, and the mirror of
 * the kernel where there is one. Reached by these, so that others, programs under `millrace run` above all, need
 * not be linked with what it takes. */
struct mr_engine_opener {
	void (*close)(struct mr_engine *engine);
	void (*notes)(struct mr_engine *engine, const struct mr_xdp_note_ops *ops);
	int (*stats)(const struct mr_engine *engine, struct mr_xdp_stats *stats);
	/* About once a second, no lock held: the XDP program is there, or is attached again. */
	void (*keep_attached)(struct mr_engine *engine);
	/* shared.h, where engine.shared is not NULL. */
	int (*fd)(const struct mr_engine *engine);
	bool (*due)(const struct mr_engine *engine, uint64_t now);
	void (*service)(struct mr_engine *engine, uint64_t now);
	void (*ask)(struct mr_engine *engine, uint64_t now);
};

/* Process-local. */
struct mr_engine {
	struct mr_arena arena;
	struct mr_umem umem;
	struct mr_stack *st;
	struct mr_dev *dev; /* NULL until mr_engine_start() */
	struct mr_port port;
	struct mr_pcapng *cap;
	const struct mr_engine_opener *opener; /* NULL: another process, or the simulator */
	struct mr_xdp *xdp;		       /* NULL without opener */
	struct mr_shared *shared;      /* the mirror of the kernel; NULL: none, or not here */
	uint64_t (*clock)(void *user); /* ns, monotonic */
	void *clock_user;
	uint64_t spin_ns;
	bool ended;    /* engine_end() */
	bool detached; /* the XDP program has been, and cannot be attached again: as far as logged */
	int groups_fd; /* holds the interface's multicast groups; -1: none */
	int wake_fd;   /* eventfd of mr_wakeup() */
	/* Set by mr_wakeup(); atomic, so that a spinning thread needs no system call to see it. */
	uint32_t wake_asked;
	/* NULL: the device cannot tell. */
	void (*link_state)(const struct mr_dev *dev, struct mr_link_state *state);
	char ifname[16];     /* for the log */
	struct pollfd *pfds; /* the device's, then wake_fd */
	unsigned npfds;
	void (*log)(void *user, int level, const char *line);
	void *log_user;
};

/* Arena, UMEM and stack, without a device. clock NULL: CLOCK_MONOTONIC. 0 or a negative errno with
 * *out NULL; err (may be NULL) explains. */
int mr_engine_create(struct mr_engine **out, const struct mr_config *cfg, struct mr_stack_cfg *scfg,
		     uint64_t (*clock)(void *user), void *clock_user, struct mr_error *err);
/* Give it its device, which it owns from now on, and open cfg->pcap_path if any. */
int mr_engine_start(struct mr_engine *engine, const struct mr_config *cfg, struct mr_dev *dev,
		    struct mr_error *err);

/* One round: receive a batch, input for all of it, timers; output is mr_engine_output(). Returns
 * packets received. */
unsigned mr_engine_input(struct mr_engine *engine, uint64_t now);
/* Output once per touched connection, one doorbell. 0 or -ENETDOWN. */
int mr_engine_output(struct mr_engine *engine, uint64_t now);
/* When a round is needed though nothing arrives; MR_TIME_NEVER: never. */
uint64_t mr_engine_next(const struct mr_engine *engine, uint64_t now);
/* Look after the device: link state, death of the interface, notes of the XDP program. 0 or
 * -ENETDOWN. */
int mr_engine_service(struct mr_engine *engine, uint64_t now);
/* Every invariant of every layer (tests). */
void mr_engine_check(const struct mr_engine *engine);

/* ---- Configuration (config.c) ---------------------------------------------------------------- */

/* Everything that can be said without looking at the interface. 0, or -EINVAL and one sentence. */
int mr_config_check(const struct mr_config *cfg, struct mr_error *err);
/* Keys of TCP Fast Open as text (mr_config.fastopen_key). NULL: none. false: it is not of that form. */
bool mr_config_fastopen_keys(const char *text, struct mr_tfo_keys *keys);

/* What an engine is made of, chosen from the configuration and the interface. */
struct mr_plan {
	bool native, zero_copy, gso;
	enum mr_csum_policy csum;
	uint32_t chunk_size, nframes, dev_frames;
};
struct mr_ifinfo;
/* 0, or -EINVAL and one sentence (MTU, too few frames). */
int mr_config_plan(const struct mr_config *cfg, const struct mr_ifinfo *info, struct mr_plan *plan,
		   struct mr_error *err);
/* Would packets for a shared engine come by this interface? has_address: beyond link-local ones. 0, or -EINVAL and one
 * sentence: it belongs to another interface, which has the addresses or the routes. */
int mr_config_check_master(const struct mr_ifinfo *info, bool has_address, struct mr_error *err);

#endif
