// SPDX-License-Identifier: BSD-2-Clause
/*
 * xdp.c - loads and attaches the XDP program (bpf/millrace.bpf.c, embedded as a skeleton), and fills its maps.
 * Owns        the BPF object with its maps, and the bpf_link that attaches it to the interface.
 * Called by   the AF_XDP device and the engine, at start and end, and for counters.
 * Not here    the AF_XDP sockets (user/dev/), which packets are steered and why (the engine).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/error.h"
#include "kernel/caps.h"
#include "kernel/xdp.h"
#include "millrace.skel.h"

/* The verifier's error is at the end of its log; the buffer is large enough for the log of the whole program. */
#define VERIFIER_LOG_BYTES (1u << 20)

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

struct mr_xdp {
	struct millrace_bpf *skel;
	struct ring_buffer *notes;
	struct mr_xdp_stats *percpu; /* [ncpus]: buffer for lookups in mr_stats */
	struct mr_steer_port *ports; /* mr_ports, mapped */
	int ncpus;
	int link_fd; /* -1: not attached */
	int ifindex;
	bool native;
	unsigned nqueues;
	char ifname[IFNAMSIZ];
	const struct mr_xdp_note_ops *note_ops; /* during mr_xdp_notes() */
	void *note_user;
};

static int no_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

/* ---- Error messages --------------------------------------------------------------------------- */

/* Multi-buffer XDP came with Linux 5.18. */
static bool kernel_is_too_old(struct utsname *u)
{
	unsigned long major, minor;
	char *end;

	if (uname(u))
		return false;
	major = strtoul(u->release, &end, 10);
	if (end == u->release || *end != '.')
		return false;
	minor = strtoul(end + 1, NULL, 10);
	return major < 5 || (major == 5 && minor < 18);
}

static int explain_eperm(struct mr_error *err, const char *what)
{
	char missing[80];

	if (mr_caps_missing(missing, sizeof(missing)))
		return mr_error_set(
			err, -EPERM,
			"no permission to %s: this process lacks %s; run it as root, or "
			"grant cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw,cap_ipc_lock=ep to "
			"the "
			"program with setcap",
			what, missing);
	return mr_error_set(
		err, -EPERM,
		"no permission to %s although the capabilities are there: they must be those of "
		"the initial user namespace (not of a rootless container), kernel lockdown must "
		"allow BPF, and before Linux 5.11 \"ulimit -l unlimited\" is needed",
		what);
}

/* The last line of a verifier log that is not statistics. Cuts the log off there. */
static const char *last_complaint(char *log)
{
	char *line;

	for (;;) {
		size_t len = strlen(log);

		while (len && log[len - 1] == '\n')
			log[--len] = '\0';
		line = strrchr(log, '\n');
		line = line ? line + 1 : log;
		if (line == log || (strncmp(line, "processed ", 10) != 0 &&
				    strncmp(line, "stack depth", 11) != 0 &&
				    strncmp(line, "verification time", 17) != 0))
			return line;
		*line = '\0';
	}
}

static int explain_load(struct mr_error *err, int code, char *log)
{
	struct utsname u;
	char missing[80];

	if (kernel_is_too_old(&u))
		return mr_error_set(err, -EOPNOTSUPP,
				    "Linux %s is too old: the XDP program needs 5.18 or later",
				    u.release);
	/* EACCES comes from the verifier, which without CAP_PERFMON refuses some of the program's pointer
	 * arithmetic. */
	if (code == -EACCES && mr_caps_missing(missing, sizeof(missing)))
		code = -EPERM;
	switch (code) {
	case -EPERM:
		return explain_eperm(err, "load the XDP program");
	case -ENOMEM:
		return mr_error_set(
			err, code,
			"not enough memory for the XDP program's maps: free some, or raise "
			"the memory limit of this control group");
	case -ENOSYS:
		return mr_error_set(
			err, code,
			"this kernel has no bpf() system call: it needs CONFIG_BPF_SYSCALL "
			"and CONFIG_XDP_SOCKETS");
	default:
		if (access(KERNEL_BTF, R_OK))
			return mr_error_set(
				err, code,
				"the kernel refused the XDP program (%s), and there is "
				"no " KERNEL_BTF
				": it needs a kernel built with CONFIG_DEBUG_INFO_BTF=y",
				strerror(-code));
		return mr_error_set(
			err, code,
			"the kernel refused the XDP program (%s: %.160s); please report this "
			"with the output of \"uname -a\"",
			strerror(-code), log && *log ? last_complaint(log) : "no details");
	}
}

static int explain_attach(const struct mr_xdp *xdp, struct mr_error *err, int code)
{
	const char *mode = xdp->native ? "native" : "generic";
	char name[IFNAMSIZ];

	/* For an index that does not exist the kernel returns EINVAL. */
	if (code == -EINVAL && !if_indextoname((unsigned)xdp->ifindex, name))
		code = -ENODEV;
	switch (code) {
	case -EPERM:
		return explain_eperm(err, "attach the XDP program");
	case -EBUSY:
	case -EEXIST:
		return mr_error_set(
			err, -EBUSY,
			"another XDP program is attached to %s: see it with \"ip -d link show dev "
			"%s\"; remove it with \"ip link set dev %s xdp off\" (also xdpgeneric "
			"off), "
			"or by ending the process that holds it",
			xdp->ifname, xdp->ifname, xdp->ifname);
	case -EOPNOTSUPP:
		return mr_error_set(err, code, "the driver of %s does not support %s XDP%s",
				    xdp->ifname, mode,
				    xdp->native ? ": use --xdp-mode generic" : "");
	case -ERANGE:
		return mr_error_set(err, code,
				    "the MTU of %s (or of its veth peer) is too large for native "
				    "XDP: lower it, "
				    "or use --xdp-mode generic",
				    xdp->ifname);
	case -ENODEV:
		return mr_error_set(
			err, code,
			"interface %s has disappeared: see \"ip link\" for those that exist",
			xdp->ifname);
	default:
		return mr_error_set(err, code, "%s XDP cannot be attached to %s (%s)%s", mode,
				    xdp->ifname, strerror(-code),
				    xdp->native ? ": try --xdp-mode generic" :
						  ": see \"dmesg\" for the kernel's reason");
	}
}

/* ---- Open, attach, close --------------------------------------------------------------------- */

static int on_note(void *ctx, void *data, size_t size)
{
	struct mr_xdp *xdp = ctx;

	/* Ring buffer records have their exact size. */
	if (size == sizeof(struct mr_note_arp) && xdp->note_ops->arp)
		xdp->note_ops->arp(xdp->note_user, data);
	else if (size == sizeof(struct mr_note_nd) && xdp->note_ops->nd)
		xdp->note_ops->nd(xdp->note_user, data);
	return 0;
}

/* Map the memory of mr_ports, at the given address or (NULL) anywhere. */
static int map_ports(struct mr_xdp *xdp, void *at)
{
	void *ports = mmap(at, MR_XDP_PORTS_BYTES, PROT_READ | PROT_WRITE,
			   MAP_SHARED | (at ? MAP_FIXED_NOREPLACE : 0), mr_xdp_ports_fd(xdp), 0);

	if (ports == MAP_FAILED)
		return -errno;
	xdp->ports = ports;
	return 0;
}

/* Open the skeleton, set its load-time constants, and load it. libbpf's print function belongs to the whole process,
 * so it is restored afterwards. */
static int load(struct mr_xdp *xdp, const struct mr_xdp_params *p, char *log)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log,
		    .kernel_log_size = log ? VERIFIER_LOG_BYTES : 0);
	libbpf_print_fn_t print = libbpf_set_print(no_print);
	int ret;

	xdp->skel = millrace_bpf__open_opts(&opts);
	if (!xdp->skel) {
		ret = -errno;
		goto put_back;
	}
	xdp->skel->rodata->mr_cfg = (struct mr_xdp_cfg){
		.hash_key = { p->hash_key[0], p->hash_key[1] },
		.cookie = p->cookie,
		.csum_policy = p->csum,
	};
	ret = bpf_map__set_max_entries(xdp->skel->maps.mr_xsks, xdp->nqueues);
	ret = ret ?: millrace_bpf__load(xdp->skel);
	if (ret)
		goto put_back;
	xdp->notes = ring_buffer__new(bpf_map__fd(xdp->skel->maps.mr_notes), on_note, xdp, NULL);
	if (!xdp->notes) {
		ret = -errno;
		goto put_back;
	}
	ret = map_ports(xdp, p->ports_at);
put_back:
	libbpf_set_print(print);
	return ret;
}

int mr_xdp_open(struct mr_xdp **out, const struct mr_xdp_params *p, struct mr_error *err)
{
	struct mr_xdp *xdp = calloc(1, sizeof(*xdp));
	char *log = calloc(1, VERIFIER_LOG_BYTES); /* without a log the error message is shorter */
	int ret = -ENOMEM;

	*out = NULL;
	if (!xdp) {
		mr_error_set(err, ret, "out of memory");
		goto free_log;
	}
	xdp->link_fd = -1;
	xdp->ifindex = p->ifindex;
	xdp->native = p->native;
	xdp->nqueues = p->nqueues ?: 1;
	snprintf(xdp->ifname, sizeof(xdp->ifname), "%s", p->ifname);
	ret = load(xdp, p, log);
	if (ret) {
		ret = explain_load(err, ret, log);
		goto close;
	}
	xdp->ncpus = libbpf_num_possible_cpus();
	xdp->percpu = xdp->ncpus > 0 ? calloc((size_t)xdp->ncpus, sizeof(*xdp->percpu)) : NULL;
	if (!xdp->percpu) {
		ret = mr_error_set(err, -ENOMEM, "out of memory");
		goto close;
	}
	*out = xdp;
	goto free_log;
close:
	mr_xdp_close(xdp);
free_log:
	free(log);
	return ret;
}

int mr_xdp_attach(struct mr_xdp *xdp, struct mr_error *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = xdp->native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int fd;

	fd = bpf_link_create(bpf_program__fd(xdp->skel->progs.mr_xdp), xdp->ifindex, BPF_XDP,
			     &opts);
	if (fd < 0)
		return explain_attach(xdp, err, fd);
	if (xdp->link_fd >= 0)
		close(xdp->link_fd);
	xdp->link_fd = fd;
	return 0;
}

bool mr_xdp_is_attached(const struct mr_xdp *xdp)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(xdp->link_fd, &info, &len) || info.xdp.ifindex;
}

void mr_xdp_close(struct mr_xdp *xdp)
{
	if (!xdp)
		return;
	if (xdp->link_fd >= 0)
		close(xdp->link_fd);
	ring_buffer__free(xdp->notes);
	if (xdp->ports)
		munmap(xdp->ports, MR_XDP_PORTS_BYTES);
	millrace_bpf__destroy(xdp->skel);
	free(xdp->percpu);
	free(xdp);
}

/* ---- Maps ------------------------------------------------------------------------------------ */

static struct mr_addr_key addr_key(const struct mr_addr *addr)
{
	struct mr_addr_key key;

	memcpy(key.addr, addr->w, sizeof(key.addr));
	return key;
}

/* A full hash map returns E2BIG. */
static int map_error(int ret)
{
	return ret == -E2BIG ? -ENOSPC : ret;
}

/* Notes are made only if there is an address of our own: for shared addresses the kernel knows all that they say. */
static void count_own(struct mr_xdp *xdp, uint32_t before, uint32_t after)
{
	xdp->skel->bss->mr_naddrs += (after & MR_ADDR_OWN) - (before & MR_ADDR_OWN);
}

int mr_xdp_addr_set(struct mr_xdp *xdp, const struct mr_addr *addr, uint32_t value)
{
	struct mr_addr_key key = addr_key(addr);
	int fd = bpf_map__fd(xdp->skel->maps.mr_addrs);
	uint32_t before = 0;
	int ret;

	if (bpf_map_lookup_elem(fd, &key, &before))
		before = 0;
	ret = bpf_map_update_elem(fd, &key, &value, BPF_ANY);
	if (!ret)
		count_own(xdp, before, value);
	return map_error(ret);
}

int mr_xdp_addr_del(struct mr_xdp *xdp, const struct mr_addr *addr)
{
	struct mr_addr_key key = addr_key(addr);
	int fd = bpf_map__fd(xdp->skel->maps.mr_addrs);
	uint32_t before = 0;
	int ret = bpf_map_lookup_elem(fd, &key, &before);

	ret = ret ?: bpf_map_delete_elem(fd, &key);
	if (!ret)
		count_own(xdp, before, 0);
	return ret;
}

int mr_xdp_ports_fd(const struct mr_xdp *xdp)
{
	return bpf_map__fd(xdp->skel->maps.mr_ports);
}

struct mr_steer_port *mr_xdp_ports(const struct mr_xdp *xdp)
{
	return xdp->ports;
}

int mr_xdp_xsk_set(struct mr_xdp *xdp, unsigned queue, int xsk_fd)
{
	if (queue >= xdp->nqueues)
		return -ERANGE;
	return bpf_map_update_elem(bpf_map__fd(xdp->skel->maps.mr_xsks), &queue, &xsk_fd, BPF_ANY);
}

int mr_xdp_stats(struct mr_xdp *xdp, struct mr_xdp_stats *sum)
{
	uint32_t key = 0;
	int ret = bpf_map_lookup_elem(bpf_map__fd(xdp->skel->maps.mr_stats), &key, xdp->percpu);

	memset(sum, 0, sizeof(*sum));
	if (ret)
		return ret;
	for (int cpu = 0; cpu < xdp->ncpus; cpu++) {
		for (int i = 0; i < MR_XDP_VERDICT_MAX; i++)
			sum->verdict[i] += xdp->percpu[cpu].verdict[i];
		for (int i = 0; i < MR_DROP_XDP_LAST; i++)
			sum->drop[i] += xdp->percpu[cpu].drop[i];
	}
	return 0;
}

int mr_xdp_notes(struct mr_xdp *xdp, const struct mr_xdp_note_ops *ops, void *user)
{
	xdp->note_ops = ops;
	xdp->note_user = user;
	return ring_buffer__consume(xdp->notes);
}
