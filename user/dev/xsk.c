// SPDX-License-Identifier: BSD-2-Clause
/*
 * xsk.c - makes, maps and binds one AF_XDP socket.
 * Owns        every set-up call on the socket, and the messages if one of them fails.
 * Authority   Documentation/networking/af_xdp.rst; xsk_bind() in net/xdp/xsk.c for the meaning of errors.
 * Called by   afxdp.c, at open and close.
 * Not here    the ring operations (xsk_ring.h), the traffic (afxdp_rx.c, afxdp_tx.c).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/error.h"
#include "dev/xsk.h"

#define BUSY_RETRY_NS 10000000L

static int xsk_socket(struct mr_xsk *xsk, const struct mr_xsk_cfg *cfg, struct mr_error *err)
{
	xsk->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (xsk->fd >= 0)
		return 0;
	if (errno == EPERM)
		return mr_error_set(err, -EPERM,
				    "no permission to open an AF_XDP socket for %s: run as root or "
				    "give the program CAP_NET_RAW (beside CAP_NET_ADMIN, CAP_BPF "
				    "and CAP_PERFMON)",
				    cfg->ifname);
	if (errno == EAFNOSUPPORT)
		return mr_error_set(
			err, -EAFNOSUPPORT,
			"this kernel has no AF_XDP sockets: it needs CONFIG_XDP_SOCKETS");
	return mr_error_set(err, -errno, "cannot open an AF_XDP socket for %s: %s", cfg->ifname,
			    strerror(errno));
}

/* The UMEM counts as locked memory. The soft limit can be raised to the hard limit without privilege. */
static void raise_memlock(size_t bytes)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim) < 0)
		return;
	if (lim.rlim_cur < bytes)
		lim.rlim_cur = bytes < lim.rlim_max ? bytes : lim.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &lim); /* a failure shows in the next XDP_UMEM_REG */
}

static int xsk_register_umem(struct mr_xsk *xsk, const struct mr_xsk_cfg *cfg, struct mr_error *err)
{
	struct xdp_umem_reg reg = {
		.addr = (uintptr_t)cfg->umem,
		.len = cfg->umem_size,
		.chunk_size = cfg->chunk_size,
	};
	struct rlimit lim = { 0 };

	if (!setsockopt(xsk->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)))
		return 0;
	if (errno == ENOBUFS) {
		raise_memlock(cfg->umem_size);
		if (!setsockopt(xsk->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)))
			return 0;
	}
	if (errno == ENOBUFS) {
		getrlimit(RLIMIT_MEMLOCK, &lim);
		return mr_error_set(
			err, -ENOBUFS,
			"cannot lock the %zu KiB of packet memory (UMEM): RLIMIT_MEMLOCK is "
			"%llu KiB; raise it (ulimit -l), give the program CAP_IPC_LOCK, or "
			"configure fewer UMEM frames",
			cfg->umem_size >> 10, (unsigned long long)lim.rlim_cur >> 10);
	}
	return mr_error_set(
		err, -errno,
		"the kernel refused the packet memory (UMEM) of %zu KiB in chunks of %u: %s",
		cfg->umem_size >> 10, cfg->chunk_size, strerror(errno));
}

static const struct {
	const char *name;
	int option;
	off_t pgoff;
	size_t entry;
} RINGS[MR_XSK_RINGS] = {
	[MR_XSK_FILL] = { "FILL", XDP_UMEM_FILL_RING, XDP_UMEM_PGOFF_FILL_RING, sizeof(uint64_t) },
	[MR_XSK_COMPLETION] = { "COMPLETION", XDP_UMEM_COMPLETION_RING,
				XDP_UMEM_PGOFF_COMPLETION_RING, sizeof(uint64_t) },
	[MR_XSK_RX] = { "RX", XDP_RX_RING, XDP_PGOFF_RX_RING, sizeof(struct xdp_desc) },
	[MR_XSK_TX] = { "TX", XDP_TX_RING, XDP_PGOFF_TX_RING, sizeof(struct xdp_desc) },
};

static int xsk_map_ring(struct mr_xsk *xsk, enum mr_xsk_ring_kind k,
			const struct xdp_ring_offset *off, uint32_t size)
{
	struct mr_xsk_ring *r = &xsk->ring[k];
	size_t len = off->desc + size * RINGS[k].entry;
	uint8_t *base;

	base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, xsk->fd,
		    RINGS[k].pgoff);
	if (base == MAP_FAILED)
		return -errno;
	xsk->map[k].addr = base;
	xsk->map[k].len = len;
	*r = (struct mr_xsk_ring){
		.producer = (uint32_t *)(void *)(base + off->producer),
		.consumer = (uint32_t *)(void *)(base + off->consumer),
		.flags = (uint32_t *)(void *)(base + off->flags),
		.entries = base + off->desc,
		.size = size,
	};
	return 0;
}

static int xsk_map_rings(struct mr_xsk *xsk, const uint32_t size[MR_XSK_RINGS], const char *ifname,
			 struct mr_error *err)
{
	struct xdp_mmap_offsets off;
	const struct xdp_ring_offset *const offs[MR_XSK_RINGS] = {
		[MR_XSK_FILL] = &off.fr,
		[MR_XSK_COMPLETION] = &off.cr,
		[MR_XSK_RX] = &off.rx,
		[MR_XSK_TX] = &off.tx,
	};
	socklen_t optlen = sizeof(off);
	int ret;

	/* Kernels before 5.4 return a shorter struct, without the flags. */
	if (getsockopt(xsk->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &optlen) || optlen != sizeof(off))
		return mr_error_set(
			err, -EOPNOTSUPP,
			"this kernel's AF_XDP rings have an unknown layout: Linux 5.10 or later "
			"is needed");
	for (unsigned k = 0; k < MR_XSK_RINGS; k++) {
		if (!size[k])
			continue;
		ret = xsk_map_ring(xsk, k, offs[k], size[k]);
		if (ret)
			return mr_error_set(err, ret, "cannot map the %s ring for %s: %s",
					    RINGS[k].name, ifname, strerror(-ret));
	}
	return 0;
}

static int xsk_make_rings(struct mr_xsk *xsk, const struct mr_xsk_cfg *cfg, struct mr_error *err)
{
	for (unsigned k = 0; k < MR_XSK_RINGS; k++) {
		if (!cfg->size[k])
			continue;
		if (setsockopt(xsk->fd, SOL_XDP, RINGS[k].option, &cfg->size[k],
			       sizeof(cfg->size[k])))
			return mr_error_set(
				err, -errno, "cannot make the %s ring of %u entries for %s: %s",
				RINGS[k].name, cfg->size[k], cfg->ifname, strerror(errno));
	}
	return xsk_map_rings(xsk, cfg->size, cfg->ifname, err);
}

/* A queue stays busy after its owner has died, or closed without unmapping, until the kernel has cleaned up. */
static int bind_patiently(int fd, const struct sockaddr_xdp *addr, int *patience)
{
	const struct timespec pause = { .tv_nsec = BUSY_RETRY_NS };

	for (;;) {
		if (!bind(fd, (const struct sockaddr *)addr, sizeof(*addr)))
			return 0;
		if (errno != EBUSY || *patience <= 0)
			return -errno;
		(*patience)--;
		nanosleep(&pause, NULL);
	}
}

static int bind_failed(const struct mr_xsk_cfg *cfg, int code, struct mr_error *err)
{
	switch (-code) {
	case EBUSY:
		return mr_error_set(
			err, code,
			"queue %u of %s is in use by another AF_XDP socket: stop the program "
			"that has it, or choose another interface",
			cfg->queue, cfg->ifname);
	case EOPNOTSUPP:
		if (!cfg->zero_copy)
			break;
		return mr_error_set(err, code,
				    "the driver of %s has no zero copy for queue %u: use copy mode",
				    cfg->ifname, cfg->queue);
	case EINVAL:
		return mr_error_set(
			err, code,
			"the kernel refused an AF_XDP socket on queue %u of %s: the queue does "
			"not exist, or the MTU does not fit chunks of %u bytes",
			cfg->queue, cfg->ifname, cfg->chunk_size);
	case ENODEV:
	case ENXIO:
		return mr_error_set(err, code, "interface %s is gone", cfg->ifname);
	case ENETDOWN:
		return mr_error_set(err, code, "%s is down: ip link set %s up", cfg->ifname,
				    cfg->ifname);
	}
	return mr_error_set(err, code, "cannot bind an AF_XDP socket to queue %u of %s: %s",
			    cfg->queue, cfg->ifname, strerror(-code));
}

/* The first socket chooses the mode for all that share its UMEM; the others must not set it. */
static int xsk_bind(struct mr_xsk *xsk, const struct mr_xsk_cfg *cfg, struct mr_error *err)
{
	struct sockaddr_xdp addr = {
		.sxdp_family = AF_XDP,
		.sxdp_ifindex = (uint32_t)cfg->ifindex,
		.sxdp_queue_id = cfg->queue,
	};
	int ret;

	if (cfg->shared_fd >= 0) {
		addr.sxdp_flags = XDP_SHARED_UMEM;
		addr.sxdp_shared_umem_fd = (uint32_t)cfg->shared_fd;
	} else {
		addr.sxdp_flags = XDP_USE_NEED_WAKEUP | XDP_USE_SG;
		addr.sxdp_flags |= cfg->zero_copy ? XDP_ZEROCOPY : XDP_COPY;
	}
	ret = bind_patiently(xsk->fd, &addr, cfg->patience);
	xsk->multibuf = !ret && (addr.sxdp_flags & XDP_USE_SG);
	/* The flag is unknown before Linux 6.6 (EINVAL), and a zero-copy driver may not support it (EOPNOTSUPP). Then
	 * bind without it; multibuf is false. */
	if ((addr.sxdp_flags & XDP_USE_SG) &&
	    (ret == -EINVAL || (ret == -EOPNOTSUPP && cfg->zero_copy))) {
		addr.sxdp_flags &= (uint16_t)~XDP_USE_SG;
		ret = bind_patiently(xsk->fd, &addr, cfg->patience);
	}
	return ret ? bind_failed(cfg, ret, err) : 0;
}

int mr_xsk_open(struct mr_xsk *xsk, const struct mr_xsk_cfg *cfg, struct mr_error *err)
{
	int ret;

	*xsk = (struct mr_xsk){ .fd = -1 };
	ret = xsk_socket(xsk, cfg, err);
	if (!ret && cfg->shared_fd < 0)
		ret = xsk_register_umem(xsk, cfg, err);
	ret = ret ?: xsk_make_rings(xsk, cfg, err);
	ret = ret ?: xsk_bind(xsk, cfg, err);
	if (ret) {
		mr_xsk_close(xsk);
		return ret;
	}
	if (cfg->size[MR_XSK_TX] && !cfg->zero_copy)
		xsk->budget = !setsockopt(xsk->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET,
					  &cfg->size[MR_XSK_TX], sizeof(cfg->size[MR_XSK_TX]));
	return 0;
}

int mr_xsk_join(struct mr_xsk *xsk, int fd, const uint32_t size[MR_XSK_RINGS])
{
	struct mr_error err;
	int ret;

	*xsk = (struct mr_xsk){ .fd = fd };
	ret = xsk_map_rings(xsk, size, "this process", &err);
	if (ret)
		mr_xsk_close(xsk);
	return ret;
}

void mr_xsk_close(struct mr_xsk *xsk)
{
	/* The mappings keep the socket: without munmap() the queue would stay bound. */
	for (unsigned k = 0; k < MR_XSK_RINGS; k++)
		if (xsk->map[k].addr)
			munmap(xsk->map[k].addr, xsk->map[k].len);
	if (xsk->fd >= 0)
		close(xsk->fd);
	*xsk = (struct mr_xsk){ .fd = -1 };
}
