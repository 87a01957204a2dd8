// SPDX-License-Identifier: BSD-2-Clause
/*
 * ss.c - `millrace ss`: the sockets of programs under `millrace run`; `millrace inspect`: all that hangs on
 * one of them.
 * Owns        what is shown of a socket.
 * Not here    the sockets (the shim's table, through struct mr_share_ops).
 *
 * It joins the stack as a program does, copies what it wants to show under the lock, and leaves.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/compiler.h"
#include "cli/commands.h"
#include "cli/run.h"
#include "cli/ss_summary.h"
#include "cli/stacks.h"

/* ---- Rows ------------------------------------------------------------------------------------ */

/* A copy of all that is shown: the arena is not ours for longer than the lock is. */
struct row {
	char stack[108], comm[16], reason[96];
	int pid, fd;
	bool ours, listening;
	uint64_t cookie;
	const void *file, *sock, *tcb, *neigh; /* addresses in the arena: they tell objects apart */
	uint32_t refs, flags;
	struct mr_sock_info info;
	uint32_t naccepted, backlog;
	uint32_t rcv_frames, snd_frames, ooo_frames, ooo_bytes;
	struct mr_addr gateway;
	uint32_t path_mtu;
	uint32_t txq, fill; /* of the device */
};

struct rows {
	struct row *row;
	unsigned n, max;
	const char *stack;
	struct mr_share *share;
	struct ss_summary sum[CLI_STACKS_MAX];
	unsigned nsum;
	bool failed;
};

static void fill_tcb(struct row *r, const struct mr_tcb *tcb)
{
	r->tcb = tcb;
	r->snd_frames = tcb->sndq.frames;
	r->ooo_frames = tcb->gap ? tcb->gap->q.frames : 0;
	r->ooo_bytes = tcb->gap ? tcb->gap->q.bytes : 0;
	r->neigh = tcb->dst.neigh;
	if (tcb->dst.neigh)
		r->gateway = tcb->dst.neigh->addr;
	r->path_mtu = tcb->dst.mtu;
}

static void fill_socket(struct row *r, const struct mr_socket *sock)
{
	r->sock = sock;
	r->ours = true;
	mr_sock_info(sock, &r->info);
	r->rcv_frames = sock->rcvq.frames;
	if (sock->tcb)
		fill_tcb(r, sock->tcb);
	if (sock->kind != MR_SOCK_LISTENER)
		return;
	r->listening = true;
	r->naccepted = sock->setup->naccepted;
	r->backlog = sock->setup->backlog;
}

static void add_row(void *user, const struct mr_share_entry *e)
{
	struct rows *rows = user;
	struct row *r;

	if (rows->n == rows->max) {
		unsigned max = 2 * rows->max + 64;
		struct row *more = realloc(rows->row, max * sizeof(*more));

		if (!more) {
			rows->failed = true;
			return;
		}
		rows->row = more;
		rows->max = max;
	}
	r = &rows->row[rows->n++];
	*r = (struct row){ .pid = e->proc->pid,
			   .fd = e->fd,
			   .cookie = e->cookie,
			   .file = e->file,
			   .refs = e->refs,
			   .flags = e->flags };
	snprintf(r->stack, sizeof(r->stack), "%s", rows->stack);
	snprintf(r->comm, sizeof(r->comm), "%s", e->proc->comm);
	snprintf(r->reason, sizeof(r->reason), "%s", e->reason ?: "");
	r->txq = mr_share_engine(rows->share)->st->nif.txq_count;
	r->info.local = e->local;
	r->info.peer = e->peer;
	if (e->sock)
		fill_socket(r, e->sock);
}

static int collect(struct rows *rows, const char *name, const char *command)
{
	struct mr_error err;
	int ret = mr_share_join(&rows->share, name, run_share_ops, &err);

	if (ret) {
		fprintf(stderr, "%s: %s\n", command, err.text);
		return ret;
	}
	rows->stack = name;
	mr_share_lock(rows->share, NULL);
	if (run_share_ops->list)
		run_share_ops->list(rows->share, add_row, rows);
	ss_summary_take(&rows->sum[rows->nsum++], rows->share, name);
	mr_share_unlock(rows->share);
	mr_share_close(rows->share);
	rows->share = NULL;
	rows->stack = NULL;
	return rows->failed ? -ENOMEM : 0;
}

/* Every stack's. A stack that ends meanwhile is none any more. */
static int collect_all(struct rows *rows, const char *ifname, const char *command)
{
	struct cli_stacks stacks;
	int err = cli_stacks_find(&stacks, ifname);

	if (err) {
		fprintf(stderr,
			"%s: cannot read /proc/net/unix (%s), where the stacks are listed: mount "
			"/proc\n",
			command, strerror(-err));
		return err;
	}
	for (unsigned i = 0; i < stacks.n && !err; i++) {
		err = collect(rows, stacks.name[i], command);
		if (err == -ECONNREFUSED)
			err = 0;
	}
	return err;
}

/* ---- Showing --------------------------------------------------------------------------------- */

static const char *state(const struct row *r)
{
	if (!r->ours)
		return "-";
	return r->listening ? "LISTEN" : mr_tcp_state_name(r->info.state);
}

static void where(const struct row *r, char *buf, size_t size)
{
	if (r->ours)
		snprintf(buf, size, "accelerated");
	else
		snprintf(buf, size, "kernel: %s", r->reason);
}

static uint32_t recv_q(const struct row *r)
{
	return r->listening ? r->naccepted : r->info.rcv_queued;
}

static uint32_t send_q(const struct row *r)
{
	return r->listening ? r->backlog : r->info.unacked + r->info.unsent;
}

static const char *endpoint(const struct mr_endpoint *ep, char *buf, size_t size)
{
	if (!ep->port && mr_addr_is_any(&ep->addr))
		snprintf(buf, size, "*:*");
	else
		mr_endpoint_format(ep, buf, size);
	return buf;
}

static void print_table(const struct rows *rows)
{
	printf("%-12s %8s %8s %-28s %-28s %-24s %s\n", "State", "Recv-Q", "Send-Q",
	       "Local Address:Port", "Peer Address:Port", "Process", "Where");
	for (unsigned i = 0; i < rows->n; i++) {
		const struct row *r = &rows->row[i];
		char local[MR_ENDPOINT_STRLEN], peer[MR_ENDPOINT_STRLEN], process[64], place[128];

		snprintf(process, sizeof(process), "%s pid=%d fd=%d", r->comm, r->pid, r->fd);
		where(r, place, sizeof(place));
		printf("%-12s %8u %8u %-28s %-28s %-24s %s\n", state(r), recv_q(r), send_q(r),
		       endpoint(&r->info.local, local, sizeof(local)),
		       endpoint(&r->info.peer, peer, sizeof(peer)), process, place);
	}
}

static void add_string(json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void add_number(json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)value));
}

static json_object *to_json(const struct row *r)
{
	json_object *o = json_object_new_object();
	char text[128];

	add_string(o, "stack", r->stack);
	add_string(o, "process", r->comm);
	add_number(o, "pid", (uint64_t)r->pid);
	add_number(o, "fd", (uint64_t)r->fd);
	json_object_object_add(o, "accelerated", json_object_new_boolean(r->ours));
	if (!r->ours)
		add_string(o, "reason", r->reason);
	add_string(o, "state", state(r));
	add_number(o, "recv_q", recv_q(r));
	add_number(o, "send_q", send_q(r));
	add_string(o, "local", endpoint(&r->info.local, text, sizeof(text)));
	add_string(o, "peer", endpoint(&r->info.peer, text, sizeof(text)));
	add_number(o, "cookie", r->cookie);
	if (!r->tcb)
		return o;
	add_number(o, "rtt_us", r->info.srtt_us);
	add_number(o, "rto_us", r->info.rto_us);
	add_number(o, "cwnd", r->info.cwnd);
	add_number(o, "snd_wnd", r->info.snd_wnd);
	add_number(o, "rcv_wnd", r->info.rcv_wnd);
	add_number(o, "snd_mss", r->info.snd_mss);
	add_number(o, "bytes_acked", r->info.bytes_acked);
	add_number(o, "bytes_received", r->info.bytes_received);
	add_number(o, "segs_in", r->info.segs_in);
	add_number(o, "segs_out", r->info.segs_out);
	add_number(o, "retrans", r->info.retrans);
	add_string(o, "congestion", r->info.congestion ?: "");
	return o;
}

static void print_json(const struct rows *rows)
{
	json_object *list = json_object_new_array();

	for (unsigned i = 0; i < rows->n; i++)
		json_object_array_add(list, to_json(&rows->row[i]));
	puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY));
	json_object_put(list);
}

static void print_summary(const struct rows *rows)
{
	for (unsigned i = 0; i < rows->nsum; i++)
		ss_summary_print(&rows->sum[i]);
}

static void print_summary_json(const struct rows *rows)
{
	json_object *list = json_object_new_array();

	for (unsigned i = 0; i < rows->nsum; i++)
		json_object_array_add(list, ss_summary_json(&rows->sum[i]));
	puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY));
	json_object_put(list);
}

/* From the file down to the device, a line for each (the stages that a write passes). */
static void print_chain(const struct row *r)
{
	char local[MR_ENDPOINT_STRLEN], peer[MR_ENDPOINT_STRLEN], text[MR_ADDR_STRLEN], place[128];
	const struct mr_sock_info *i = &r->info;

	where(r, place, sizeof(place));
	printf("%s pid=%d fd=%d\n", r->comm, r->pid, r->fd);
	printf("  file    %p  %u reference%s%s", r->file, r->refs, r->refs == 1 ? "" : "s",
	       r->flags & O_NONBLOCK ? ", O_NONBLOCK" : "");
	if (r->cookie) /* else nobody has asked for it yet */
		printf(", kernel socket %llu", (unsigned long long)r->cookie);
	printf(", %s\n", place);
	if (!r->ours)
		return;
	printf("  socket  %p  %s, %s -> %s\n", r->sock, state(r),
	       endpoint(&i->local, local, sizeof(local)), endpoint(&i->peer, peer, sizeof(peer)));
	if (r->listening) {
		printf("  queue   %u of %u connections wait to be accepted\n", r->naccepted,
		       r->backlog);
		return;
	}
	printf("  receive %u bytes in %u frames, and %u out of order in %u; window %u\n",
	       i->rcv_queued, r->rcv_frames, r->ooo_bytes, r->ooo_frames, i->rcv_wnd);
	printf("  send    %u bytes not acknowledged, %u not sent, %u frames; window %u\n",
	       i->unacked, i->unsent, r->snd_frames, i->snd_wnd);
	if (!r->tcb)
		return;
	printf("  TCB     %p  %s, cwnd %u, ssthresh %u, mss %u, rtt %u us +- %u, rto %u us, %llu "
	       "retransmitted\n",
	       r->tcb, i->congestion ?: "?", i->cwnd, i->ssthresh, i->snd_mss, i->srtt_us,
	       i->rttvar_us, i->rto_us, (unsigned long long)i->retrans);
	if (r->neigh)
		printf("  route   next hop %s, path MTU %u\n",
		       mr_addr_format(&r->gateway, text, sizeof(text)), r->path_mtu);
	else
		printf("  route   none is cached\n");
	printf("  device  stack %s, %u packets wait to be sent\n", r->stack, r->txq);
}

/* ---- Commands -------------------------------------------------------------------------------- */

struct ss_args {
	const char *ifname;
	bool json, summary;
	long pid, fd; /* inspect; -1: not given */
	unsigned nargs;
};

static const struct argp_option options[] = {
	{ "interface", 'i', "IF", 0, "Only of stacks on this interface", 0 },
	{ "json", 'j', NULL, 0, "As JSON", 0 },
	{ "summary", 's', NULL, 0, "How much of what each stack has is in use", 0 },
	{ 0 },
};

static error_t parse_opt(int key, char *arg, struct argp_state *state_)
{
	struct ss_args *args = state_->input;

	switch (key) {
	case 'i':
		args->ifname = arg;
		break;
	case 'j':
		args->json = true;
		break;
	case 's':
		args->summary = true;
		break;
	case ARGP_KEY_ARG:
		if (args->nargs >= 2)
			cli_usage_error(state_,
					"\"%s\" is too much: a process and a descriptor are enough",
					arg);
		if (args->nargs++)
			args->fd = (long)cli_number_arg(state_, "descriptor", arg, 0, INT32_MAX);
		else
			args->pid = (long)cli_number_arg(state_, "process", arg, 1, INT32_MAX);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void keep_wanted(struct rows *rows, const struct ss_args *args)
{
	unsigned n = 0;

	for (unsigned i = 0; i < rows->n; i++)
		if ((args->pid < 0 || rows->row[i].pid == args->pid) &&
		    (args->fd < 0 || rows->row[i].fd == args->fd))
			rows->row[n++] = rows->row[i];
	rows->n = n;
}

static int show(int argc, char **argv, const struct argp *argp,
		void (*print)(const struct rows *rows))
{
	struct ss_args args = { .pid = -1, .fd = -1 };
	struct rows rows = { 0 };
	int ret;

	argp_parse(argp, argc, argv, 0, NULL, &args);
	if (args.ifname && !if_nametoindex(args.ifname)) {
		fprintf(stderr,
			"%s: there is no interface \"%s\" in this network namespace: \"ip link\" "
			"lists them\n",
			argv[0], args.ifname);
		return CLI_FAILED;
	}
	ret = collect_all(&rows, args.ifname, argv[0]);
	if (!ret && args.summary) {
		(args.json ? print_summary_json : print_summary)(&rows);
	} else if (!ret) {
		keep_wanted(&rows, &args);
		if (args.pid >= 0 && !rows.n) {
			fprintf(stderr,
				"%s: process %ld has no such socket on a stack that is seen from "
				"here: without a "
				"number all are listed\n",
				argv[0], args.pid);
			ret = -ESRCH;
		} else {
			(args.json ? print_json : print)(&rows);
		}
	}
	free(rows.row);
	return ret ? CLI_FAILED : CLI_OK;
}

int cmd_ss(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_opt,
		.args_doc = "[PID [FD]]",
		.doc = "List the TCP sockets of programs under \"millrace run\", and for each "
		       "whether it is accelerated, or why it is the kernel's.",
	};

	return show(argc, argv, &argp, print_table);
}

static void print_chains(const struct rows *rows)
{
	for (unsigned i = 0; i < rows->n; i++)
		print_chain(&rows->row[i]);
}

int cmd_inspect(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_opt,
		.args_doc = "[PID [FD]]",
		.doc = "Show everything behind the sockets of programs under \"millrace run\": "
		       "file, "
		       "socket, queues, TCP control block, route, device.",
	};

	return show(argc, argv, &argp, print_chains);
}
