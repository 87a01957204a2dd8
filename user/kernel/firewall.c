// SPDX-License-Identifier: BSD-2-Clause
/*
 * firewall.c - finds firewall rules of this host, which do not apply to an engine that shares its addresses.
 * Authority   linux/netfilter/nf_tables.h; linux/netfilter_ipv4/ip_tables.h for legacy iptables.
 * Called by   the engine, at start. Needs CAP_NET_ADMIN.
 * Not here    which packets a rule matches.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "base/compiler.h"
#include "kernel/firewall.h"
#include "kernel/netlink.h"

#define NAME_BYTES 64 /* longer names are cut off */

struct chain {
	char table[NAME_BYTES], name[NAME_BYTES];
	uint8_t family;
	bool watched; /* a base chain that such packets pass */
	bool visited;
	unsigned stops; /* how many rules (and the policy) can stop a packet */
};

struct jump {
	unsigned from; /* chain */
	char to[NAME_BYTES];
};

struct ruleset {
	const char *ifname;
	struct chain *chains;
	struct jump *jumps;
	unsigned nchains, njumps;
};

/* Append an element. NULL: no memory; then only the part of the ruleset read so far is examined. */
static void *grow(void **array, unsigned *n, size_t size)
{
	void *more = *n & (*n - 1) ? *array : realloc(*array, (*n ? 2 * *n : 1) * size);

	if (!more)
		return NULL;
	*array = more;
	return memset((char *)more + (*n)++ * size, 0, size);
}

static void copy_name(char to[NAME_BYTES], const struct nlattr *attr)
{
	snprintf(to, NAME_BYTES, "%.*s", (int)mnl_attr_get_payload_len(attr),
		 (const char *)mnl_attr_get_payload(attr));
}

static uint32_t attr_be32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == sizeof(uint32_t) ? ntohl(mnl_attr_get_u32(attr)) :
								    0;
}

/* ---- Chains --------------------------------------------------------------------------------------- */

struct hook {
	uint32_t num;
	bool has_dev, our_dev;
};

static void read_hook(const struct nlattr *nest, const char *ifname, struct hook *h)
{
	const struct nlattr *attr, *dev;

	for_each_attr_in (attr, nest) {
		switch (mnl_attr_get_type(attr)) {
		case NFTA_HOOK_HOOKNUM:
			h->num = attr_be32(attr);
			break;
		case NFTA_HOOK_DEV:
			h->has_dev = true;
			h->our_dev |= !strcmp(mnl_attr_get_payload(attr), ifname);
			break;
		case NFTA_HOOK_DEVS:
			h->has_dev = true;
			for_each_attr_in (dev, attr)
				h->our_dev |= !strcmp(mnl_attr_get_payload(dev), ifname);
			break;
		}
	}
}

/* Is it a hook for packets to or from this host? */
static bool is_watched(uint8_t family, const struct hook *h)
{
	if (h->has_dev && !h->our_dev)
		return false;
	switch (family) {
	case NFPROTO_NETDEV:
		return true;
	case NFPROTO_INET:
	case NFPROTO_IPV4:
	case NFPROTO_IPV6:
		return h->num != NF_INET_FORWARD;
	default:
		return false;
	}
}

static int on_chain(const struct nlmsghdr *nlh, void *data)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	struct ruleset *rs = data;
	const struct nlattr *attr;
	struct hook hook = { 0 };
	struct chain *c;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg))
		return MNL_CB_OK;
	c = grow((void **)&rs->chains, &rs->nchains, sizeof(*c));
	if (!c)
		return MNL_CB_OK;
	c->family = nfg->nfgen_family;
	for_each_attr_of (attr, nlh, struct nfgenmsg) {
		switch (mnl_attr_get_type(attr)) {
		case NFTA_CHAIN_TABLE:
			copy_name(c->table, attr);
			break;
		case NFTA_CHAIN_NAME:
			copy_name(c->name, attr);
			break;
		case NFTA_CHAIN_HOOK:
			read_hook(attr, rs->ifname, &hook);
			c->watched = is_watched(c->family, &hook);
			break;
		case NFTA_CHAIN_POLICY:
			c->stops += attr_be32(attr) == NF_DROP;
			break;
		}
	}
	return MNL_CB_OK;
}

/* ---- Rules ---------------------------------------------------------------------------------------- */

static bool add_jump(struct ruleset *rs, unsigned from, const struct nlattr *to)
{
	struct jump *j = to ? grow((void **)&rs->jumps, &rs->njumps, sizeof(*j)) : NULL;

	if (!j)
		return false;
	j->from = from;
	copy_name(j->to, to);
	return true;
}

/* Can this verdict stop a packet? A jump to another chain is recorded instead. */
static bool verdict_stops(struct ruleset *rs, unsigned chain, const struct nlattr *verdict)
{
	const struct nlattr *attr, *to = NULL;
	int32_t code = NF_ACCEPT;

	for_each_attr_in (attr, verdict) {
		if (mnl_attr_get_type(attr) == NFTA_VERDICT_CODE)
			code = (int32_t)attr_be32(attr);
		else if (mnl_attr_get_type(attr) == NFTA_VERDICT_CHAIN)
			to = attr;
	}
	if (code == NFT_JUMP || code == NFT_GOTO)
		return !add_jump(rs, chain, to);
	return code >= 0 && code != NF_ACCEPT;
}

static bool immediate_stops(struct ruleset *rs, unsigned chain, const struct nlattr *data)
{
	const struct nlattr *attr, *value;
	bool stops = false;

	for_each_attr_in (attr, data)
		if (mnl_attr_get_type(attr) == NFTA_IMMEDIATE_DATA)
			for_each_attr_in (value, attr)
				if (mnl_attr_get_type(value) == NFTA_DATA_VERDICT)
					stops |= verdict_stops(rs, chain, value);
	return stops;
}

/* A verdict map may contain any verdict. */
static bool lookup_stops(const struct nlattr *data)
{
	const struct nlattr *attr;
	bool stops = false;

	for_each_attr_in (attr, data)
		stops |= mnl_attr_get_type(attr) == NFTA_LOOKUP_DREG &&
			 attr_be32(attr) == NFT_REG_VERDICT;
	return stops;
}

/* A target of iptables. */
static bool target_stops(const struct nlattr *data)
{
	static const char *const names[] = { "REJECT", "DROP", "NFQUEUE", "SYNPROXY", "TARPIT" };
	const struct nlattr *attr;
	bool stops = false;

	for_each_attr_in (attr, data)
		for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++)
			stops |= mnl_attr_get_type(attr) == NFTA_TARGET_NAME &&
				 !strcmp(mnl_attr_get_payload(attr), names[i]);
	return stops;
}

static bool expr_stops(struct ruleset *rs, unsigned chain, const struct nlattr *expr)
{
	const struct nlattr *attr, *data = NULL;
	const char *name = "";

	for_each_attr_in (attr, expr) {
		if (mnl_attr_get_type(attr) == NFTA_EXPR_NAME)
			name = mnl_attr_get_payload(attr);
		else if (mnl_attr_get_type(attr) == NFTA_EXPR_DATA)
			data = attr;
	}
	if (!strcmp(name, "reject") || !strcmp(name, "queue") || !strcmp(name, "synproxy"))
		return true;
	if (!data)
		return false;
	if (!strcmp(name, "immediate"))
		return immediate_stops(rs, chain, data);
	if (!strcmp(name, "lookup"))
		return lookup_stops(data);
	return !strcmp(name, "target") && target_stops(data);
}

static int find_chain(const struct ruleset *rs, uint8_t family, const char *table, const char *name)
{
	for (unsigned i = 0; i < rs->nchains; i++)
		if (rs->chains[i].family == family && !strcmp(rs->chains[i].table, table) &&
		    !strcmp(rs->chains[i].name, name))
			return (int)i;
	return -1;
}

static int on_rule(const struct nlmsghdr *nlh, void *data)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	char table[NAME_BYTES] = "", name[NAME_BYTES] = "";
	const struct nlattr *attr, *expr, *exprs = NULL;
	struct ruleset *rs = data;
	bool stops = false;
	int chain;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg))
		return MNL_CB_OK;
	for_each_attr_of (attr, nlh, struct nfgenmsg) {
		switch (mnl_attr_get_type(attr)) {
		case NFTA_RULE_TABLE:
			copy_name(table, attr);
			break;
		case NFTA_RULE_CHAIN:
			copy_name(name, attr);
			break;
		case NFTA_RULE_EXPRESSIONS:
			exprs = attr;
			break;
		}
	}
	chain = find_chain(rs, nfg->nfgen_family, table, name);
	if (chain < 0 || !exprs)
		return MNL_CB_OK;
	for_each_attr_in (expr, exprs)
		stops |= expr_stops(rs, (unsigned)chain, expr);
	rs->chains[chain].stops += stops;
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *sock, uint16_t type, mnl_cb_t cb, struct ruleset *rs)
{
	_Alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nfg->nfgen_family = NFPROTO_UNSPEC;
	nfg->version = NFNETLINK_V0;
	return netlink_ask(sock, nlh, cb, rs);
}

/* ---- Result ---------------------------------------------------------------------------------------- */

/* Rules of this chain, and of all chains that it jumps to. */
static unsigned count_stops(struct ruleset *rs, unsigned chain)
{
	struct chain *c = &rs->chains[chain];
	unsigned stops = c->stops;

	c->visited = true;
	for (unsigned i = 0; i < rs->njumps; i++) {
		int to = rs->jumps[i].from == chain ?
				 find_chain(rs, c->family, c->table, rs->jumps[i].to) :
				 -1;

		if (to >= 0 && !rs->chains[to].visited)
			stops += count_stops(rs, (unsigned)to);
	}
	return stops;
}

static const char *family_name(uint8_t family)
{
	return family == NFPROTO_INET ? "inet" :
	       family == NFPROTO_IPV4 ? "ip" :
	       family == NFPROTO_IPV6 ? "ip6" :
					"netdev";
}

struct text {
	char *buf;
	size_t size, used;
};

static void tell(struct text *t, const char *where, unsigned stops)
{
	int n = snprintf(t->buf + t->used, t->size - t->used, "%s%s (%u)", t->used ? ", " : "",
			 where, stops);

	if (n > 0)
		t->used = mr_min(t->used + (size_t)n, t->size - 1);
}

static unsigned tell_chains(struct ruleset *rs, struct text *t)
{
	unsigned all = 0;

	for (unsigned i = 0; i < rs->nchains; i++) {
		const struct chain *c = &rs->chains[i];
		char where[2 * NAME_BYTES + 16];
		unsigned stops;

		if (!c->watched)
			continue;
		for (unsigned j = 0; j < rs->nchains; j++)
			rs->chains[j].visited = false;
		stops = count_stops(rs, i);
		if (!stops)
			continue;
		snprintf(where, sizeof(where), "%s %s %s", family_name(c->family), c->table,
			 c->name);
		tell(t, where, stops);
		all += stops;
	}
	return all;
}

/* Legacy iptables: has the chain INPUT of the table filter rules? Reading a table creates it, so that is done only if
 * it exists. */
static unsigned legacy_rules(int family, const char *names)
{
	struct ip6t_getinfo info6 = { .name = "filter" };
	struct ipt_getinfo info4 = { .name = "filter" };
	socklen_t len4 = sizeof(info4), len6 = sizeof(info6);
	char name[XT_TABLE_MAXNAMELEN];
	FILE *f = fopen(names, "re");
	bool there = false;
	int fd, ret;

	if (!f)
		return 0;
	while (fgets(name, sizeof(name), f))
		there |= !strcmp(name, "filter\n");
	fclose(f);
	fd = there ? socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW) : -1;
	if (fd < 0)
		return 0;
	if (family == AF_INET)
		ret = getsockopt(fd, IPPROTO_IP, IPT_SO_GET_INFO, &info4, &len4);
	else
		ret = getsockopt(fd, IPPROTO_IPV6, IP6T_SO_GET_INFO, &info6, &len6);
	close(fd);
	if (ret)
		return 0;
	return family == AF_INET ?
		       info4.hook_entry[NF_INET_LOCAL_IN] != info4.underflow[NF_INET_LOCAL_IN] :
		       info6.hook_entry[NF_INET_LOCAL_IN] != info6.underflow[NF_INET_LOCAL_IN];
}

unsigned mr_firewall_find(const char *ifname, char *buf, size_t size)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	const struct timeval limit = { .tv_sec = 2 };
	struct ruleset rs = { .ifname = ifname };
	struct text t = { .buf = buf, .size = size };
	unsigned all = 0;

	buf[0] = '\0';
	if (sock) {
		setsockopt(mnl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) >= 0 &&
		    !dump(sock, NFT_MSG_GETCHAIN, on_chain, &rs) &&
		    !dump(sock, NFT_MSG_GETRULE, on_rule, &rs))
			all = tell_chains(&rs, &t);
		mnl_socket_close(sock);
	}
	if (legacy_rules(AF_INET, "/proc/net/ip_tables_names")) {
		tell(&t, "iptables-legacy INPUT", 1);
		all++;
	}
	if (legacy_rules(AF_INET6, "/proc/net/ip6_tables_names")) {
		tell(&t, "ip6tables-legacy INPUT", 1);
		all++;
	}
	free(rs.chains);
	free(rs.jumps);
	return all;
}
