// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_attach.c - user/kernel/: load, attach, steer and count on a real veth pair, in a network
 * namespace of this program's own; and what is said when it does not work.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/packet.h"
#include "base/compiler.h"
#include "kernel/caps.h"
#include "kernel/ifinfo.h"
#include "kernel/xdp.h"

#define EXIT_SKIPPED 77

static struct mr_xdp_params params(bool native)
{
	return (struct mr_xdp_params){
		.ifindex = (int)if_nametoindex("mrx0"),
		.ifname = "mrx0",
		.native = native,
		.csum = MR_CSUM_VERIFY,
		.cookie = 7,
		.nqueues = 2,
	};
}

static struct mr_xdp *open_xdp(bool native)
{
	struct mr_xdp_params p = params(native);
	struct mr_xdp *xdp;
	struct mr_error err;

	if (mr_xdp_open(&xdp, &p, &err))
		fail_msg("%s", err.text);
	return xdp;
}

/* Put packets on the wire at the far end. */
static void send_packets(const struct packet *p, int n)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex("mrx1"),
				  .sll_halen = 6 };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	while (n--)
		assert_int_equal(sendto(fd, p->b, p->len, 0, (void *)&to, sizeof(to)), p->len);
	close(fd);
}

static struct mr_addr addr_of(const char *text)
{
	struct mr_addr addr;

	assert_int_equal(mr_addr_parse(text, &addr), 0);
	return addr;
}

/* Packets counted so far; waits for them, for native mode receives in a softirq. */
static uint64_t counted(struct mr_xdp *xdp, enum mr_xdp_verdict verdict, uint64_t want)
{
	struct mr_xdp_stats stats;

	for (int i = 0; i < 200; i++) {
		assert_int_equal(mr_xdp_stats(xdp, &stats), 0);
		if (stats.verdict[verdict] >= want)
			break;
		usleep(5000);
	}
	return stats.verdict[verdict];
}

static void count_note(void *user, const struct mr_note_arp *note)
{
	unsigned *n = user;

	assert_int_equal(note->spa, inet_addr("10.0.0.7"));
	(*n)++;
}

static const struct mr_xdp_note_ops note_ops = { .arp = count_note };

static void packets_on_the_wire_are_steered_by_the_maps(void **state)
{
	static struct packet ours, other, arp;
	struct mr_addr own = addr_of("10.0.0.1"), shared = addr_of("10.0.0.2");

	(void)state;
	packet_make(&ours, &(struct desc){ .dst = "10.0.0.2", .dport = 80 });
	packet_make(&other, &(struct desc){ .dst = "10.0.0.2", .dport = 81 });
	packet_make_arp(&arp, &(struct arp_desc){ .spa = "10.0.0.7", .tpa = "10.0.0.7" });
	for (int native = 0; native <= 1; native++) {
		struct mr_xdp *xdp = open_xdp(native);
		struct mr_error err;
		unsigned notes = 0;
		int xsk = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

		assert_int_equal(mr_xdp_addr_set(xdp, &own, MR_ADDR_OWN), 0);
		assert_int_equal(mr_xdp_addr_set(xdp, &shared, MR_ADDR_OWN), 0);
		assert_int_equal(mr_xdp_addr_set(xdp, &shared, MR_ADDR_WITH_SLOT(3)), 0);
		mr_xdp_ports(xdp)[80].divert = MR_STEER_V4;
		assert_int_equal(mr_xdp_xsk_set(xdp, 2, xsk), -ERANGE);
		assert_int_equal(mr_xdp_xsk_set(xdp, 1, STDIN_FILENO) < 0, true);
		if (mr_xdp_attach(xdp, &err))
			fail_msg("%s", err.text);

		send_packets(&ours, 5); /* without a socket in the map: dropped */
		send_packets(&other, 3);
		send_packets(&arp, 2);
		assert_int_equal(counted(xdp, MR_XDP_DROP, 5), 5);
		assert_true(counted(xdp, MR_XDP_PASS_NOT_OURS, 3) >= 3);
		assert_int_equal(counted(xdp, MR_XDP_ARP_NOTED, 2), 2);
		assert_int_equal(mr_xdp_notes(xdp, &note_ops, &notes), 2);
		assert_int_equal(notes, 2);

		mr_xdp_ports(xdp)[80].divert = 1ull << 2; /* another address's slot */
		mr_xdp_ports(xdp)[81].divert = 1ull << 3;
		send_packets(&ours, 2);
		send_packets(&other, 4);
		assert_int_equal(counted(xdp, MR_XDP_DROP, 9), 9);

		assert_int_equal(mr_xdp_addr_del(xdp, &shared), 0);
		assert_int_equal(mr_xdp_addr_del(xdp, &shared), -ENOENT);
		assert_int_equal(mr_xdp_addr_del(xdp, &own), 0);
		assert_int_equal(mr_xdp_addr_set(xdp, &shared, MR_ADDR_WITH_SLOT(9)), 0);
		send_packets(&other, 2);
		send_packets(&arp, 2);
		usleep(50000);
		assert_int_equal(counted(xdp, MR_XDP_DROP, 0), 9);
		assert_int_equal(counted(xdp, MR_XDP_ARP_NOTED, 0),
				 2); /* no own address: no notes */
		close(xsk);
		mr_xdp_close(xdp);
	}
}

static void a_full_address_map_says_so(void **state)
{
	struct mr_xdp *xdp = open_xdp(false);
	struct mr_addr addr = addr_of("10.0.0.0");
	int ret = 0, n = 0;

	(void)state;
	for (; n < 1000 && !ret; n++) {
		addr.b[14] = (uint8_t)(n >> 8);
		addr.b[15] = (uint8_t)n;
		ret = mr_xdp_addr_set(xdp, &addr, MR_ADDR_SHARED);
	}
	assert_int_equal(ret, -ENOSPC);
	mr_xdp_close(xdp);
}

static void one_program_at_a_time_and_the_sentence_names_the_way_out(void **state)
{
	(void)state;
	for (int native = 0; native <= 1; native++) {
		struct mr_xdp *first = open_xdp(native), *second = open_xdp(false);
		struct mr_error err;

		assert_int_equal(mr_xdp_attach(first, &err), 0);
		assert_int_equal(mr_xdp_attach(second, &err), -EBUSY);
		assert_int_equal(err.code, -EBUSY);
		assert_non_null(strstr(err.text, "another XDP program is attached to mrx0"));
		assert_non_null(strstr(err.text, "xdp off"));
		mr_xdp_close(first); /* detaches */
		assert_int_equal(mr_xdp_attach(second, &err), 0);
		mr_xdp_close(second);
	}
}

static void a_driver_without_native_xdp_is_named(void **state)
{
	struct mr_xdp_params p = params(true);
	struct mr_xdp *xdp;
	struct mr_error err;

	(void)state;
	p.ifname = "mrd0"; /* a bridge */
	p.ifindex = (int)if_nametoindex("mrd0");
	assert_int_equal(mr_xdp_open(&xdp, &p, &err), 0);
	assert_int_equal(mr_xdp_attach(xdp, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "mrd0"));
	assert_non_null(strstr(err.text, "--xdp-mode generic"));
	mr_xdp_close(xdp);
}

static void an_interface_that_is_gone_is_named(void **state)
{
	struct mr_xdp_params p = params(false);
	struct mr_xdp *xdp;
	struct mr_error err;

	(void)state;
	p.ifindex = 4711;
	assert_int_equal(mr_xdp_open(&xdp, &p, &err), 0);
	assert_int_equal(mr_xdp_attach(xdp, &err), -ENODEV);
	assert_non_null(strstr(err.text, "mrx0"));
	mr_xdp_close(xdp);
}

/* Run in a child with no capability but those named (NULL: as we are); returns its exit status. */
static int with_caps(const char *text, int (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		cap_t caps = text ? cap_from_text(text) : cap_get_proc();

		_exit(!caps || cap_set_proc(caps) ? 100 : run());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int try_without(void)
{
	struct mr_xdp_params p = params(false);
	struct mr_xdp *xdp;
	struct mr_error err;

	if (mr_xdp_open(&xdp, &p, &err) != -EPERM || xdp)
		return 1;
	return strstr(err.text, "CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_NET_RAW;") ? 0 : 2;
}

static int try_without_perfmon(void)
{
	struct mr_xdp_params p = params(false);
	struct mr_xdp *xdp;
	struct mr_error err;

	if (mr_xdp_open(&xdp, &p, &err) != -EPERM)
		return 1;
	return strstr(err.text, "lacks CAP_PERFMON, CAP_NET_RAW;") ? 0 : 2;
}

static int try_with_enough(void)
{
	struct mr_xdp_params p = params(false);
	struct mr_xdp *xdp;
	struct mr_error err;
	char missing[80];

	if (mr_xdp_open(&xdp, &p, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (mr_xdp_attach(xdp, &err))
		return 2;
	mr_xdp_close(xdp);
	return mr_caps_missing(missing, sizeof(missing)) == 1 && !strcmp(missing, "CAP_NET_RAW") ?
		       0 :
		       3;
}

static void missing_capabilities_are_named_and_few_are_needed(void **state)
{
	(void)state;
	assert_int_equal(with_caps("=", try_without), 0);
	assert_int_equal(with_caps("cap_bpf,cap_net_admin=ep", try_without_perfmon), 0);
	assert_int_equal(with_caps("cap_bpf,cap_perfmon,cap_net_admin=ep", try_with_enough), 0);
}

static int die_attached(void)
{
	struct mr_error err;

	/* No mr_xdp_close(): the kernel must clean up. */
	return mr_xdp_attach(open_xdp(false), &err) ? 1 : 0;
}

static void the_death_of_the_process_detaches(void **state)
{
	struct mr_xdp *xdp = open_xdp(true);
	struct mr_error err;
	int ret = -EBUSY;

	(void)state;
	assert_int_equal(with_caps(NULL, die_attached), 0);
	for (int i = 0; i < 100 && ret == -EBUSY; i++, usleep(10000))
		ret = mr_xdp_attach(xdp, &err);
	assert_int_equal(ret, 0);
	mr_xdp_close(xdp);
}

static void the_interface_is_described(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct mr_ifinfo info;
	struct mr_error err;

	(void)state;
	assert_int_equal(mr_ifinfo_get("mrx0", &info, &err), 0);
	assert_int_equal(info.ifindex, if_nametoindex("mrx0"));
	assert_string_equal(info.name, "mrx0");
	assert_memory_equal(info.mac, mac, sizeof(mac));
	assert_int_equal(info.mtu, 1400);
	assert_int_equal(info.queues, 2);
	assert_string_equal(info.driver, "veth");
	assert_true(info.veth);
	assert_true(info.up);
	assert_false(info.zero_copy);

	assert_int_equal(mr_ifinfo_get("mrd0", &info, &err), 0);
	assert_false(info.veth);
	assert_false(info.up);
	assert_int_equal(info.queues, 1);
	assert_string_equal(info.driver, "bridge");
}

static void an_interface_of_no_use_is_explained(void **state)
{
	struct mr_ifinfo info = { .ifindex = -5 };
	struct mr_error err;

	(void)state;
	assert_int_equal(mr_ifinfo_get("mrnone", &info, &err), -ENODEV);
	assert_non_null(strstr(err.text, "\"mrnone\""));
	assert_non_null(strstr(err.text, "mrx0"));
	assert_int_equal(mr_ifinfo_get("", &info, &err), -ENODEV);
	assert_int_equal(mr_ifinfo_get("mrx0-with-a-name-too-long", &info, &err), -ENODEV);
	assert_int_equal(mr_ifinfo_get("lo", &info, NULL), -EINVAL);
	assert_int_equal(mr_ifinfo_get("lo", &info, &err), -EINVAL);
	assert_non_null(strstr(err.text, "lo is the loopback, which stays with the kernel"));
	assert_non_null(strstr(err.text, "mrx0"));
	assert_int_equal(info.ifindex, -5);
}

/* The namespace ends with the process, and the devices with it. */
static int make_devices(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNET) ||
	       system("ip link add mrx0 address 02:00:00:00:00:01 mtu 1400 numrxqueues 4 "
		      "numtxqueues 4 "
		      "type veth peer name mrx1 mtu 1400 numrxqueues 4 numtxqueues 4 && "
		      "ethtool -L mrx0 rx 2 tx 2 && ethtool -L mrx1 rx 2 tx 2 && "
		      "ip link set mrx0 up && ip link set mrx1 up && ip link add mrd0 type bridge");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_on_the_wire_are_steered_by_the_maps),
		cmocka_unit_test(a_full_address_map_says_so),
		cmocka_unit_test(one_program_at_a_time_and_the_sentence_names_the_way_out),
		cmocka_unit_test(a_driver_without_native_xdp_is_named),
		cmocka_unit_test(an_interface_that_is_gone_is_named),
		cmocka_unit_test(missing_capabilities_are_named_and_few_are_needed),
		cmocka_unit_test(the_death_of_the_process_detaches),
		cmocka_unit_test(the_interface_is_described),
		cmocka_unit_test(an_interface_of_no_use_is_explained),
	};

	if (geteuid()) {
		puts("skipped: network namespaces and BPF programs need root");
		return EXIT_SKIPPED;
	}
	return cmocka_run_group_tests(tests, make_devices, NULL);
}
