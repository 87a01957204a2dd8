// SPDX-License-Identifier: BSD-2-Clause
/*
 * mirror.c - a live copy of the kernel's addresses, routes and neighbours, over rtnetlink.
 * Owns        two rtnetlink sockets: one receives events, and is used for requests about neighbours, so that answers
 *             and events have one order; the other is for dumps.
 * Authority   rtnetlink(7); net/core/neighbour.c for the effect of NTF_USE and NUD_REACHABLE.
 * Called by   the engine's process (engine/shared.c).
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/error.h"
#include "kernel/mirror.h"
#include "kernel/netlink.h"
#include "kernel/sysctl.h"

#define DATAGRAMS_MAX 512u /* datagrams in one mr_mirror_read(); the rest stays readable */
#define HEAR_BYTES    (1 << 20)
#define ADDRS_MAX     256u
#define ROUTES_MAX    (1u << 20)
/* Up to so many routes, each change causes a new dump; with more, at most once a second. */
#define ROUTES_FEW 1000u
#define ANSWER_S   2 /* receive timeout: the kernel usually answers at once */

/* The result of all dumps, in one piece, so that two can be compared. */
struct snapshot {
	struct mr_mirror_addr addrs[ADDRS_MAX];
	unsigned naddrs;
	struct mr_mirror_route *routes;
	unsigned nroutes, max;
	bool rules, prefer_temporary;
	uint32_t mtu6;
};

struct mr_mirror {
	struct mnl_socket *hear, *ask;
	int ifindex;
	uint32_t seq;
	bool stale; /* something has changed since the snapshot was made */
	bool lost;  /* messages were lost */
	struct timespec asked_at;
	struct snapshot now, next;
	/* Changed neighbours that were not returned yet, from head on. */
	struct mr_mirror_neigh *neighs;
	unsigned head, nneighs, max_neighs;
};

/* ---- Attributes ---------------------------------------------------------------------------------- */

static bool attr_addr(const struct nlattr *attr, uint8_t family, struct mr_addr *addr)
{
	uint32_t word;

	if (family == AF_INET && mnl_attr_get_payload_len(attr) == sizeof(word)) {
		memcpy(&word, mnl_attr_get_payload(attr), sizeof(word));
		*addr = mr_addr_v4(word);
		return true;
	}
	if (family == AF_INET6 && mnl_attr_get_payload_len(attr) == sizeof(addr->b)) {
		memcpy(addr->b, mnl_attr_get_payload(attr), sizeof(addr->b));
		return true;
	}
	return false;
}

static uint32_t attr_u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}

/* ---- Dumps ----------------------------------------------------------------------------------------- */

struct answer {
	struct mr_mirror *m;
	struct snapshot *s;
	int err; /* error of a callback */
};

/* Send a request, and call cb for every message of the answer. A table that does not exist counts as empty. */
static int ask(struct mr_mirror *m, struct nlmsghdr *nlh, mnl_cb_t cb, struct answer *a)
{
	_Alignas(struct nlmsghdr) char buf[NETLINK_REPLY_BYTES];
	uint32_t seq = ++m->seq, port = mnl_socket_get_portid(m->ask);
	ssize_t n;
	int ret;

	nlh->nlmsg_seq = seq;
	if (mnl_socket_sendto(m->ask, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(m->ask, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		ret = mnl_cb_run(buf, (size_t)n, seq, port, cb, a);
		/* A message of an earlier request that was given up. */
		if (ret < 0 && errno == ESRCH)
			ret = MNL_CB_OK;
	} while (ret > MNL_CB_STOP);
	if (ret < 0 && errno != ENOENT && errno != EOPNOTSUPP && errno != EAFNOSUPPORT)
		/* EINTR: the table has changed during the dump. */
		return errno == EINTR ? -EAGAIN : -errno;
	return a->err;
}

static struct nlmsghdr *put_dump(void *buf, uint16_t type, void *header, size_t size)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	memcpy(mnl_nlmsg_put_extra_header(nlh, size), header, size);
	return nlh;
}

/* ---- Addresses ------------------------------------------------------------------------------------ */

static int on_addr(const struct nlmsghdr *nlh, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct answer *a = data;
	struct mr_addr local, address;
	bool has_local = false, has_address = false, v4;
	uint32_t flags;
	const struct nlattr *attr;
	struct mr_mirror_addr *out;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa) || (int)ifa->ifa_index != a->m->ifindex)
		return MNL_CB_OK;
	flags = ifa->ifa_flags;
	for_each_attr_of (attr, nlh, *ifa) {
		switch (mnl_attr_get_type(attr)) {
		case IFA_LOCAL:
			has_local = attr_addr(attr, ifa->ifa_family, &local);
			break;
		case IFA_ADDRESS:
			has_address = attr_addr(attr, ifa->ifa_family, &address);
			break;
		case IFA_FLAGS:
			flags = attr_u32(attr);
			break;
		}
	}
	if (!has_local)
		local = address;
	if ((!has_local && !has_address) || !mr_addr_is_unicast(&local) ||
	    flags & IFA_F_DADFAILED || (flags & IFA_F_TENTATIVE && !(flags & IFA_F_OPTIMISTIC)) ||
	    a->s->naddrs == ADDRS_MAX)
		return MNL_CB_OK;
	v4 = ifa->ifa_family == AF_INET;
	out = &a->s->addrs[a->s->naddrs++];
	memset(out, 0, sizeof(*out)); /* because snapshots are compared byte by byte */
	out->prefix.addr = local;
	out->prefix.len = ifa->ifa_prefixlen;
	/* point-to-point: the prefix is that of the peer's address. */
	if (has_address && !mr_addr_eq(&local, &address))
		out->prefix.len = v4 ? 32 : 128;
	out->secondary = v4 && flags & IFA_F_SECONDARY;
	out->temporary = !v4 && flags & IFA_F_TEMPORARY;
	out->deprecated = flags & IFA_F_DEPRECATED;
	return MNL_CB_OK;
}

static int ask_addrs(struct mr_mirror *m, uint8_t family, struct answer *a)
{
	char buf[256];
	struct ifaddrmsg ifa = { .ifa_family = family, .ifa_index = (uint32_t)m->ifindex };

	return ask(m, put_dump(buf, RTM_GETADDR, &ifa, sizeof(ifa)), on_addr, a);
}

static bool prefers_temporary(int ifindex)
{
	char setting[32 + IFNAMSIZ], name[IFNAMSIZ];
	long value;

	if (!if_indextoname((unsigned)ifindex, name))
		return false;
	snprintf(setting, sizeof(setting), "ipv6/conf/%s/use_tempaddr", name);
	return mr_sysctl_numbers(setting, &value, 1) == 1 && value >= 2;
}

/* ---- Routes --------------------------------------------------------------------------------------- */

static bool kind_of(uint8_t type, uint8_t *kind)
{
	switch (type) {
	case RTN_UNICAST:
		*kind = MR_MIRROR_UNICAST;
		return true;
	case RTN_LOCAL:
		*kind = MR_MIRROR_LOCAL;
		return true;
	case RTN_BROADCAST:
	case RTN_MULTICAST:
	case RTN_ANYCAST:
		*kind = MR_MIRROR_BROADCAST;
		return true;
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
	case RTN_BLACKHOLE:
		*kind = MR_MIRROR_UNREACHABLE;
		return true;
	default: /* throw: continue behind the tables that are used here */
		return false;
	}
}

static void read_metrics(const struct nlattr *nest, struct mr_mirror_route *r)
{
	const struct nlattr *attr;

	for_each_attr_in (attr, nest)
		if (mnl_attr_get_type(attr) == RTAX_MTU)
			r->mtu = attr_u32(attr);
}

static void read_gateway(const struct nlattr *attr, uint8_t family, struct mr_mirror_route *r)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);

	if (mnl_attr_get_type(attr) == RTA_GATEWAY)
		attr_addr(attr, family, &r->gateway);
	else if (mnl_attr_get_payload_len(attr) == sizeof(*via) + sizeof(r->gateway.b) &&
		 via->rtvia_family == AF_INET6)
		memcpy(r->gateway.b, via->rtvia_addr, sizeof(r->gateway.b));
}

/* Of several next hops, the first one on our interface; else the first. (The kernel spreads packets over all of
 * them.) */
static void read_multipath(const struct nlattr *nest, uint8_t family, int ifindex,
			   struct mr_mirror_route *r)
{
	const char *at = mnl_attr_get_payload(nest), *end = at + mnl_attr_get_payload_len(nest);

	while ((size_t)(end - at) >= sizeof(struct rtnexthop)) {
		const struct rtnexthop *nh = (const void *)at;
		const struct nlattr *attr;

		if (nh->rtnh_len < sizeof(*nh) || nh->rtnh_len > (size_t)(end - at))
			return;
		at += mr_min((size_t)NLA_ALIGN(nh->rtnh_len), (size_t)(end - at));
		if (nh->rtnh_flags & RTNH_F_DEAD || (r->oif && nh->rtnh_ifindex != ifindex))
			continue;
		r->oif = nh->rtnh_ifindex;
		memset(&r->gateway, 0, sizeof(r->gateway));
		for_each_attr (attr, nh + 1, (const char *)nh + nh->rtnh_len)
			if (mnl_attr_get_type(attr) == RTA_GATEWAY ||
			    mnl_attr_get_type(attr) == RTA_VIA)
				read_gateway(attr, family, r);
		if (r->oif == ifindex)
			return;
	}
}

static void read_route(const struct nlmsghdr *nlh, const struct rtmsg *rtm, int ifindex,
		       struct mr_mirror_route *r)
{
	static const struct mr_addr any4 = { .b = { [10] = 0xff, 0xff } };
	const struct nlattr *attr;

	r->dst.len = rtm->rtm_dst_len;
	r->pref = 1;
	if (rtm->rtm_family == AF_INET)
		r->dst.addr = any4;
	for_each_attr_of (attr, nlh, *rtm) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			attr_addr(attr, rtm->rtm_family, &r->dst.addr);
			break;
		case RTA_GATEWAY:
		case RTA_VIA:
			read_gateway(attr, rtm->rtm_family, r);
			break;
		case RTA_PREFSRC:
			attr_addr(attr, rtm->rtm_family, &r->src);
			break;
		case RTA_OIF:
			r->oif = (int)attr_u32(attr);
			break;
		case RTA_PRIORITY:
			r->metric = attr_u32(attr);
			break;
		case RTA_METRICS:
			read_metrics(attr, r);
			break;
		case RTA_MULTIPATH:
			read_multipath(attr, rtm->rtm_family, ifindex, r);
			break;
		case RTA_PREF: /* RFC 4191 section 2.1: 1 is high, 3 low */
			if (mnl_attr_get_payload_len(attr) == 1)
				r->pref = mnl_attr_get_u8(attr) == 1 ? 2 :
					  mnl_attr_get_u8(attr) == 3 ? 0 :
								       1;
			break;
		}
	}
}

static struct mr_mirror_route *new_route(struct answer *a)
{
	struct snapshot *s = a->s;

	if (s->nroutes == s->max) {
		unsigned max = s->max ? 2 * s->max : 64;
		struct mr_mirror_route *more =
			max > ROUTES_MAX ? NULL : realloc(s->routes, max * sizeof(*more));

		if (!more) {
			a->err = -ENOMEM;
			return NULL;
		}
		s->routes = more;
		s->max = max;
	}
	return memset(&s->routes[s->nroutes], 0, sizeof(*s->routes));
}

static int on_route(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct answer *a = data;
	struct mr_mirror_route *r;
	uint8_t kind;

	/* Routes for a type of service or a source address are policy routing. */
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) || nlh->nlmsg_type != RTM_NEWROUTE ||
	    rtm->rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD) || rtm->rtm_tos || rtm->rtm_src_len ||
	    !kind_of(rtm->rtm_type, &kind))
		return MNL_CB_OK;
	r = new_route(a);
	if (!r)
		return MNL_CB_OK; /* continue, so that the whole answer is read */
	r->kind = kind;
	read_route(nlh, rtm, a->m->ifindex, r);
	/* A link-local destination on another interface is a different one. */
	if (rtm->rtm_family == AF_INET6 && mr_addr_is_link_local(&r->dst.addr) &&
	    r->dst.len >= 10 && r->oif != a->m->ifindex)
		return MNL_CB_OK;
	a->s->nroutes++;
	return MNL_CB_OK;
}

static int ask_routes(struct mr_mirror *m, uint8_t family, uint8_t table, struct answer *a)
{
	char buf[256];
	struct rtmsg rtm = { .rtm_family = family, .rtm_table = table };

	return ask(m, put_dump(buf, RTM_GETROUTE, &rtm, sizeof(rtm)), on_route, a);
}

/* ---- Rules, and the MTU of IPv6 -------------------------------------------------------------------- */

/* Not one of the kernel's default rules: 0: local, 32766: main, 32767: default (IPv4). */
static int on_rule(const struct nlmsghdr *nlh, void *data)
{
	const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct answer *a = data;
	uint32_t priority = 0, table;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*rule) || nlh->nlmsg_type != RTM_NEWRULE)
		return MNL_CB_OK;
	table = rule->table;
	for_each_attr_of (attr, nlh, *rule) {
		if (mnl_attr_get_type(attr) == FRA_PRIORITY)
			priority = attr_u32(attr);
		else if (mnl_attr_get_type(attr) == FRA_TABLE)
			table = attr_u32(attr);
	}
	a->s->rules |= rule->action != FR_ACT_TO_TBL || rule->src_len || rule->dst_len ||
		       !((priority == 0 && table == RT_TABLE_LOCAL) ||
			 (priority == 32766 && table == RT_TABLE_MAIN) ||
			 (priority == 32767 && table == RT_TABLE_DEFAULT));
	return MNL_CB_OK;
}

static int ask_rules(struct mr_mirror *m, uint8_t family, struct answer *a)
{
	char buf[256];
	struct fib_rule_hdr rule = { .family = family };

	return ask(m, put_dump(buf, RTM_GETRULE, &rule, sizeof(rule)), on_rule, a);
}

static void read_conf(const struct nlattr *inet6, struct snapshot *s)
{
	const struct nlattr *attr;
	int32_t conf[DEVCONF_MTU6 + 1];

	for_each_attr_in (attr, inet6) {
		if (mnl_attr_get_type(attr) != IFLA_INET6_CONF ||
		    mnl_attr_get_payload_len(attr) < sizeof(conf))
			continue;
		memcpy(conf, mnl_attr_get_payload(attr), sizeof(conf));
		s->mtu6 = conf[DEVCONF_MTU6] > 0 ? (uint32_t)conf[DEVCONF_MTU6] : 0;
	}
}

static int on_link(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attr, *family;
	struct answer *a = data;

	for_each_attr_of (attr, nlh, struct ifinfomsg)
		if (mnl_attr_get_type(attr) == IFLA_AF_SPEC)
			for_each_attr_in (family, attr)
				if (mnl_attr_get_type(family) == AF_INET6)
					read_conf(family, a->s);
	return MNL_CB_STOP; /* the answer is a single message */
}

static int ask_link(struct mr_mirror *m, struct answer *a)
{
	char buf[256];
	struct ifinfomsg ifi = { .ifi_index = m->ifindex };
	struct nlmsghdr *nlh = put_dump(buf, RTM_GETLINK, &ifi, sizeof(ifi));
	int ret;

	nlh->nlmsg_flags = NLM_F_REQUEST;
	ret = ask(m, nlh, on_link, a);
	return ret == -ENODEV ? 0 : ret; /* the device reports that */
}

/* ---- The snapshot ---------------------------------------------------------------------------------- */

static int take(struct mr_mirror *m, struct snapshot *s)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct answer a = { .m = m, .s = s };
	int err = 0;

	s->naddrs = s->nroutes = 0;
	s->rules = false;
	s->mtu6 = 0;
	s->prefer_temporary = prefers_temporary(m->ifindex);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(families) && !err; i++) {
		err = ask_addrs(m, families[i], &a);
		err = err ?: ask_routes(m, families[i], RT_TABLE_LOCAL, &a);
		err = err ?: ask_routes(m, families[i], RT_TABLE_MAIN, &a);
		err = err ?: ask_rules(m, families[i], &a);
	}
	return err ?: ask_link(m, &a);
}

static bool differ(const struct snapshot *a, const struct snapshot *b)
{
	return a->naddrs != b->naddrs || a->nroutes != b->nroutes || a->rules != b->rules ||
	       a->mtu6 != b->mtu6 || a->prefer_temporary != b->prefer_temporary ||
	       memcmp(a->addrs, b->addrs, a->naddrs * sizeof(*a->addrs)) != 0 ||
	       (a->nroutes && memcmp(a->routes, b->routes, a->nroutes * sizeof(*a->routes)) != 0);
}

static int refresh(struct mr_mirror *m, bool *changed)
{
	struct snapshot old;
	int err = take(m, &m->next);

	if (err)
		return err;
	m->stale = false;
	clock_gettime(CLOCK_MONOTONIC, &m->asked_at);
	*changed = differ(&m->now, &m->next);
	if (!*changed)
		return 0;
	old = m->now;
	m->now = m->next;
	m->next = old;
	return 0;
}

/* Large tables that change all the time are not dumped each time. */
static bool may_ask(const struct mr_mirror *m)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return m->now.nroutes <= ROUTES_FEW || now.tv_sec > m->asked_at.tv_sec;
}

/* ---- Neighbours ------------------------------------------------------------------------------------- */

static enum mr_mirror_nud nud_of(uint16_t state)
{
	static const struct {
		uint16_t bits;
		enum mr_mirror_nud nud;
	} rows[] = {
		{ NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE, MR_MIRROR_NUD_REACHABLE },
		{ NUD_STALE, MR_MIRROR_NUD_STALE },
		{ NUD_DELAY, MR_MIRROR_NUD_DELAY },
		{ NUD_PROBE, MR_MIRROR_NUD_PROBE },
		{ NUD_INCOMPLETE, MR_MIRROR_NUD_INCOMPLETE },
		{ NUD_FAILED, MR_MIRROR_NUD_FAILED },
	};

	for (unsigned i = 0; i < MR_ARRAY_SIZE(rows); i++)
		if (state & rows[i].bits)
			return rows[i].nud;
	return MR_MIRROR_NUD_NONE;
}

static struct mr_mirror_neigh *new_neigh(struct mr_mirror *m)
{
	if (m->nneighs == m->max_neighs) {
		unsigned max = m->max_neighs ? 2 * m->max_neighs : 64;
		struct mr_mirror_neigh *more = realloc(m->neighs, max * sizeof(*more));

		if (!more)
			return NULL;
		m->neighs = more;
		m->max_neighs = max;
	}
	return &m->neighs[m->nneighs++];
}

static void on_neigh(struct mr_mirror *m, const struct nlmsghdr *nlh)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct mr_mirror_neigh n = { 0 }, *news;
	const struct nlattr *attr;
	bool has_dst = false, has_mac = false;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ndm) || ndm->ndm_ifindex != m->ifindex ||
	    ndm->ndm_flags & NTF_PROXY)
		return;
	for_each_attr_of (attr, nlh, *ndm) {
		if (mnl_attr_get_type(attr) == NDA_DST) {
			has_dst = attr_addr(attr, ndm->ndm_family, &n.addr);
		} else if (mnl_attr_get_type(attr) == NDA_LLADDR &&
			   mnl_attr_get_payload_len(attr) == sizeof(n.mac)) {
			memcpy(n.mac, mnl_attr_get_payload(attr), sizeof(n.mac));
			has_mac = true;
		}
	}
	n.nud = nlh->nlmsg_type == RTM_DELNEIGH ? MR_MIRROR_NUD_NONE : nud_of(ndm->ndm_state);
	if (!has_dst ||
	    (!has_mac && (n.nud == MR_MIRROR_NUD_REACHABLE || n.nud == MR_MIRROR_NUD_STALE ||
			  n.nud == MR_MIRROR_NUD_DELAY || n.nud == MR_MIRROR_NUD_PROBE)))
		return;
	news = new_neigh(m);
	if (news)
		*news = n;
	else
		m->lost = true;
}

static struct nlmsghdr *put_neigh(struct mr_mirror *m, void *buf, uint16_t type,
				  const struct mr_addr *addr, uint16_t state, uint8_t ntf)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	bool v4 = mr_addr_is_v4(addr);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	ndm->ndm_family = v4 ? AF_INET : AF_INET6;
	ndm->ndm_ifindex = m->ifindex;
	ndm->ndm_state = state;
	ndm->ndm_flags = ntf;
	if (v4)
		mnl_attr_put(nlh, NDA_DST, 4, &addr->w[3]);
	else
		mnl_attr_put(nlh, NDA_DST, 16, addr->b);
	return nlh;
}

int mr_mirror_ask(struct mr_mirror *m, const struct mr_addr *addr, enum mr_mirror_ask what)
{
	char buf[256];
	bool use = what == MR_MIRROR_USE;
	/* Without a MAC address, the second form keeps the one that the kernel has. */
	struct nlmsghdr *first = put_neigh(m, buf, RTM_NEWNEIGH, addr,
					   use ? NUD_NONE : NUD_REACHABLE, use ? NTF_USE : 0);
	struct nlmsghdr *second;
	size_t at = NLMSG_ALIGN((size_t)first->nlmsg_len);

	if (use)
		first->nlmsg_flags |= NLM_F_CREATE;
	/* Request the present entry, too, because there is no event if nothing has changed. */
	second = put_neigh(m, buf + at, RTM_GETNEIGH, addr, 0, 0);
	return mnl_socket_sendto(m->hear, buf, at + second->nlmsg_len) < 0 ? -errno : 0;
}

bool mr_mirror_next_neigh(struct mr_mirror *m, struct mr_mirror_neigh *n)
{
	if (m->head == m->nneighs) {
		m->head = m->nneighs = 0;
		return false;
	}
	*n = m->neighs[m->head++];
	return true;
}

/* ---- Events ---------------------------------------------------------------------------------------- */

static void on_message(struct mr_mirror *m, const struct nlmsghdr *nlh)
{
	switch (nlh->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		on_neigh(m, nlh);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWLINK: /* routes appear and disappear with links */
	case RTM_DELLINK:
		m->stale = true;
		break;
	}
}

static int hear(struct mr_mirror *m)
{
	_Alignas(struct nlmsghdr) char buf[NETLINK_REPLY_BYTES];

	for (unsigned i = 0; i < DATAGRAMS_MAX; i++) {
		ssize_t n = mnl_socket_recvfrom(m->hear, buf, sizeof(buf));
		const struct nlmsghdr *nlh = (const void *)buf;
		int len = (int)n;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0 && errno != ENOBUFS && errno != ENOSPC)
			return -errno;
		if (n < 0)
			m->stale = m->lost = true;
		for (; n > 0 && mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
			on_message(m, nlh);
	}
	return 0;
}

int mr_mirror_read(struct mr_mirror *m)
{
	bool changed = false;
	int ret = hear(m);

	if (ret)
		return ret;
	/* A dump that was interrupted by a change is discarded, and repeated later. */
	if (m->stale && may_ask(m))
		ret = refresh(m, &changed);
	if (ret && ret != -EAGAIN)
		return ret;
	ret = (changed ? MR_MIRROR_VIEW : 0) | (m->head < m->nneighs ? MR_MIRROR_NEIGHS : 0) |
	      (m->lost ? MR_MIRROR_LOST : 0);
	m->lost = false;
	return ret;
}

void mr_mirror_view(const struct mr_mirror *m, struct mr_mirror_view *view)
{
	*view = (struct mr_mirror_view){
		.addrs = m->now.addrs,
		.naddrs = m->now.naddrs,
		.routes = m->now.routes,
		.nroutes = m->now.nroutes,
		.rules = m->now.rules,
		.prefer_temporary = m->now.prefer_temporary,
		.mtu6 = m->now.mtu6,
	};
}

int mr_mirror_fd(const struct mr_mirror *m)
{
	return mnl_socket_get_fd(m->hear);
}

/* ---- Opening ------------------------------------------------------------------------------------------ */

static int open_sockets(struct mr_mirror *m)
{
	static const int groups[] = { RTNLGRP_LINK,	  RTNLGRP_NEIGH,     RTNLGRP_IPV4_IFADDR,
				      RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_IFADDR,
				      RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE };
	const struct timeval limit = { .tv_sec = ANSWER_S };
	int on = 1, bytes = HEAR_BYTES;

	m->hear = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	m->ask = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!m->hear || !m->ask || mnl_socket_bind(m->hear, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_bind(m->ask, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(groups); i++)
		if (mnl_socket_setsockopt(m->hear, NETLINK_ADD_MEMBERSHIP, (void *)&groups[i],
					  sizeof(groups[i])) < 0)
			return -errno;
	/* Above the system's limit, if that is permitted; lost messages are handled in any case. */
	if (setsockopt(mr_mirror_fd(m), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(mr_mirror_fd(m), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(mnl_socket_get_fd(m->ask), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	/* Lets dumps be restricted to a table and an interface. */
	return mnl_socket_setsockopt(m->ask, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0 ? -errno :
											    0;
}

int mr_mirror_open(struct mr_mirror **out, int ifindex, struct mr_error *err)
{
	struct mr_mirror *m = calloc(1, sizeof(*m));
	bool changed;
	int ret;

	*out = NULL;
	if (!m)
		return mr_error_set(err, -ENOMEM, "out of memory");
	m->ifindex = ifindex;
	ret = open_sockets(m);
	for (int i = 0; i < 8 && (!i || ret == -EAGAIN); i++)
		ret = ret && ret != -EAGAIN ? ret : refresh(m, &changed);
	if (ret) {
		mr_mirror_close(m);
		return mr_error_set(err, ret,
				    "cannot read addresses and routes from the kernel: %s",
				    strerror(-ret));
	}
	*out = m;
	return 0;
}

void mr_mirror_close(struct mr_mirror *m)
{
	if (!m)
		return;
	if (m->hear)
		mnl_socket_close(m->hear);
	if (m->ask)
		mnl_socket_close(m->ask);
	free(m->now.routes);
	free(m->next.routes);
	free(m->neighs);
	free(m);
}
