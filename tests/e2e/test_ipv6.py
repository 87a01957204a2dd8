#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_ipv6.py - IPv6 as the kernel at the other end sees it: neighbour discovery, addresses that
somebody else has, link-local connections, both families on one port, routers, and the bad wire.
"""
import struct

from lib import *

NET6 = ENGINE6 + "/64"


def serve6(pair, directory, *args, **kwargs):
    return serve(pair, directory, "--address", NET6, *args, **kwargs)


def link_local(server):
    """The engine's link-local address, as it announces it."""
    return wait_for("a link-local address",
                    lambda: re.search(r"\[(fe80:[^]]*)\]", server.stderr()))[1]


def kernels_link_local(ns, dev):
    shown = json.loads(run("ip", "-j", "-6", "addr", "show", dev, ns=ns).stdout)
    return [a["local"] for a in shown[0]["addr_info"] if a["local"].startswith("fe80")][0]


def usable(pair, address=ENGINE6):
    wait_for("%s answers" % address, lambda: ping(pair, address) == 1, 10)


def mac(pair, ns, dev):
    return json.loads(run("ip", "-j", "link", "show", dev, ns=ns).stdout)[0]["address"]


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def send_icmp6(pair, src, dst, dst_mac, message, hlim=255):
    """An ICMPv6 message from the peer's end of the wire, whoever src is."""
    src, dst = (socket.inet_pton(socket.AF_INET6, a) for a in (src, dst))
    pseudo = src + dst + struct.pack("!II", len(message), 58)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    with pair.peer.entered():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with sock:
        sock.bind(("v1", 0x86dd))
        own = sock.getsockname()[4]
        sock.send(dst_mac + own + b"\x86\xdd" +
                  struct.pack("!IHBB", 6 << 28, len(message), 58, hlim) + src + dst + message)


ALL_NODES_MAC = bytes.fromhex("333300000001")


def groups_of_bridge(pair):
    shown = run("bridge", "mdb", "show", "dev", "br0", ns=pair.peer).stdout
    return set(re.findall(r"port v1 grp (\S+)", shown))


@case("a bridge that snoops asks for the engine's groups, in either version (RFC 3810 section 6.2)")
def _():
    need("bridge")
    for version in 1, 2:
        with Pair(v6=True) as pair, scratch() as www:
            # The kernel at v0 would answer for its own groups.
            run("sysctl", "-qw", "net.ipv6.conf.v0.disable_ipv6=1", ns=pair.engine)
            # It asks every second, to be answered within half of one, and forgets in four.
            run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "1",
                "mcast_mld_version", str(version), "mcast_querier", "1",
                "mcast_query_interval", "100", "mcast_startup_query_interval", "100",
                "mcast_query_response_interval", "50", "mcast_membership_interval", "400",
                ns=pair.peer)
            with serve6(pair, www) as server:
                low = (socket.inet_pton(socket.AF_INET6, a)[13:]
                       for a in (ENGINE6, link_local(server)))
                wanted = {socket.inet_ntop(socket.AF_INET6, b"\xff\2" + bytes(9) + b"\1\xff" + b)
                          for b in low}
                run("ip", "link", "set", "v1", "master", "br0", ns=pair.peer)
                run("ip", "link", "set", "br0", "up", ns=pair.peer)
                wait_for("its groups", lambda: wanted <= groups_of_bridge(pair), 10)
                asked = server.counters()["mld.queries_in"]
                wait_for("queries", lambda: server.counters()["mld.queries_in"] >= asked + 8, 20)
                check(wanted <= groups_of_bridge(pair), "version %d: of %s it knows %s", version,
                      wanted, groups_of_bridge(pair))
                server.finish()


@case("files go down and up whole over IPv6, and tshark finds no fault in any packet")
def _():
    with Pair(v6=True, peer_tx_csum=False) as pair, scratch() as top:
        www, up = os.path.join(top, "www"), os.path.join(top, "up")
        os.mkdir(www)
        os.mkdir(up)
        wanted = make_file(os.path.join(www, "big"), 32 * MIB)
        with Capture(pair, "ip6") as capture, \
                serve6(pair, www, "--upload", up, "--rx-csum", "verify") as server:
            usable(pair)
            equal("download", download(pair, "big", address=ENGINE6), wanted)
            upload(pair, os.path.join(www, "big"), "big", address=ENGINE6)
            equal("upload", sha256_file(os.path.join(up, "big")), wanted)
            settle(pair)
            path = capture.finish()
            equal("connections", judge(path), 2)
            bad = tshark(path, "frame.number", filter="icmpv6.checksum.status == 0")
            equal("ICMPv6 packets with a bad checksum", bad, [])
            labels = set(tshark(path, "tcp.stream", "ipv6.flow",
                                filter="tcp && ipv6.src == " + ENGINE6))
            equal("flow labels of the engine's two flows", len(labels), 2)
            check(all(int(label, 16) for _, label in labels), "a flow label is 0: %s", labels)
            counters = server.finish()
            equal("tcp.rst_out", counters["tcp.rst_out"], 0)
            check(counters["xdp.csum_good"] > 1000, "the XDP program verified nothing")


@case("a link-local connection works both ways, with the kernel's own address beside it")
def _():
    with Pair(v6=True) as pair, scratch() as www:
        wanted = make_file(os.path.join(www, "f"), 100000)
        with serve6(pair, www) as server:
            ll = link_local(server)
            usable(pair, ll + "%v1")
            equal("download", download(pair, "f", address=ll + "%v1"), wanted)
            theirs = kernels_link_local(pair.engine, "v0")
            check(ll != theirs, "the engine took the kernel's %s", theirs)
            equal("pings of the kernel at v0", ping(pair, theirs + "%v1"), 1)
            groups = run("ip", "maddr", "show", "dev", "v0", ns=pair.engine).stdout
            for address in (ENGINE6, ll):
                low = socket.inet_pton(socket.AF_INET6, address)[13:]
                group = "33:33:ff:%02x:%02x:%02x" % tuple(low)
                check(group in groups, "v0 does not listen to %s: %s", group, groups)
            server.finish()
            check(group not in run("ip", "maddr", "show", "dev", "v0", ns=pair.engine).stdout,
                  "v0 still listens to %s", group)


@case("where the kernel has no IPv6, the link-local address is made of the MAC (RFC 4291 app. A)")
def _():
    with Pair(v6=True) as pair, scratch() as www:
        run("sysctl", "-qw", "net.ipv6.conf.v0.disable_ipv6=1", ns=pair.engine)
        with serve6(pair, www) as server:
            b = bytes.fromhex(mac(pair, pair.engine, "v0").replace(":", ""))
            wanted = b"\xfe\x80" + bytes(6) + bytes([b[0] ^ 2]) + b[1:3] + b"\xff\xfe" + b[3:]
            equal("link-local address", socket.inet_pton(socket.AF_INET6, link_local(server)),
                  wanted)
            usable(pair)
            server.finish()


@case("nc connects by IPv6 to the kernel, globally and link-locally with the zone of its interface")
def _():
    with Pair(v6=True) as pair:
        theirs = kernels_link_local(pair.peer, "v1")
        with pair.peer.listen(("::", PORT)) as listener:
            for host in (PEER6, theirs + "%v0", PEER):
                with Millrace(pair, "nc", "--address", NET6, host, PORT, ready=False) as nc:
                    sock, peer = listener.accept()
                    with sock:
                        sock.settimeout(10)
                        sock.sendall(b"hello\n")
                        sock.shutdown(socket.SHUT_WR)
                        while sock.recv(1000):
                            pass
                    equal("exit status", nc.wait(), 0)
                    equal("output", nc.stdout(), b"hello\n")
        with Millrace(pair, "nc", "--address", NET6, theirs + "%v9", PORT, ready=False) as nc:
            equal("exit status with another zone", nc.wait(), 2)


@case("a port on :: is both families', on 0.0.0.0 IPv4's, on one address only that one's")
def _():
    rows = (("::", ENGINE, True), ("::", ENGINE6, True), ("0.0.0.0", ENGINE, True),
            ("0.0.0.0", ENGINE6, False), (ENGINE6, ENGINE6, True), (ENGINE6, ENGINE, False),
            (ENGINE, ENGINE6, False))
    with Pair(v6=True) as pair:
        for listen, address, works in rows:
            with Millrace(pair, "nc", "--address", NET6, "-l", listen, PORT) as nc:
                usable(pair)
                try:
                    pair.peer.connect((address, PORT)).close()
                    connected = True
                except ConnectionRefusedError:
                    connected = False
                equal("listening on %s, connected to %s" % (listen, address), connected, works)
                nc.kill()


@case("an address that somebody else has stays unused, and the log says so (RFC 4862)")
def _():
    with Pair(v6=True) as pair, scratch() as www:
        run("ip", "addr", "add", NET6, "dev", "v1", "nodad", ns=pair.peer)
        make_file(os.path.join(www, "f"), 1000)
        with serve6(pair, www) as server:
            wait_for("a word in the log", lambda: "another host on v0 has the address " + ENGINE6
                     in server.stderr())
            ll = link_local(server)
            usable(pair, ll + "%v1")
            time.sleep(1.5)
            run("ip", "addr", "del", NET6, "dev", "v1", ns=pair.peer)
            equal("answers of the duplicate", ping(pair, ENGINE6, count=2), 0)
            equal("nd.duplicates", server.finish()["nd.duplicates"], 1)


@case("an address that the kernel has is refused, with what to do about it")
def _():
    with Pair(v6=True) as pair, scratch() as www:
        run("ip", "addr", "add", NET6, "dev", "v0", "nodad", ns=pair.engine)
        with serve6(pair, www, ready=False) as server:
            equal("exit status", server.wait(), 1)
            check("ip addr del %s dev v0" % NET6 in server.stderr(), "it says: %s", server.stderr())


@case("UDP, unknown protocols and odd extension headers are answered as RFC 4443 wants")
def _():
    with Pair(v6=True) as pair, scratch() as www, serve6(pair, www) as server:
        usable(pair)
        with pair.peer.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect((ENGINE6, 9))
            sock.send(b"?")
            try:
                sock.recv(10)
            except ConnectionRefusedError:
                pass
        # The long ones come and go in fragments (RFC 8200 section 4.5).
        for kwargs in ({"size": 1400}, {"size": 8}, {"count": 20}, {"size": 1453},
                       {"size": 65487, "count": 3}):
            equal("echo replies", ping(pair, ENGINE6, **kwargs), kwargs.get("count", 1))
        counters = server.finish()
        equal("icmp.unreachable_out", counters["icmp.unreachable_out"], 1)
        equal("ip.reassembled", counters["ip.reassembled"], 4)


@case("a router's advertisement reaches the engine and the kernel; by it the engine answers afar")
def _():
    with Pair(v6=True) as pair, scratch() as www:
        wanted = make_file(os.path.join(www, "f"), 100000)
        afar = "2001:db8:7::7"
        run("ip", "addr", "add", afar + "/128", "dev", "lo", ns=pair.peer)
        run("sysctl", "-qw", "net.ipv6.conf.v0.accept_ra=2", ns=pair.engine)
        theirs = kernels_link_local(pair.peer, "v1")
        with serve6(pair, www) as server:
            usable(pair)
            check(ping(pair, ENGINE6, extra=("-I", afar)) == 0, "there is a way without a route")
            own = bytes.fromhex(mac(pair, pair.peer, "v1").replace(":", ""))
            for hlim, lifetime, works in ((64, 600, 0), (255, 600, 1), (255, 0, 0)):
                advert = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime, 0, 0)
                send_icmp6(pair, theirs, "ff02::1", ALL_NODES_MAC, advert + b"\1\1" + own, hlim)
                time.sleep(1.2)  # the engine reads its notes once a second
                ping(pair, ENGINE6)
                equal("answers afar with hop limit %d and lifetime %d" % (hlim, lifetime),
                      ping(pair, ENGINE6, extra=("-I", afar)), works)
                if works:
                    equal("download", download(pair, "f", address=ENGINE6,
                                               extra=("--interface", afar)), wanted)
                    check("default" in run("ip", "-6", "route", ns=pair.engine).stdout,
                          "the kernel did not see the advertisement")
            equal("xdp.nd_noted", server.finish()["xdp.nd_noted"] >= 2, True)


@case("a default route by a link-local gateway works from the start (::/0 via fe80::...)")
def _():
    with Pair(v6=True) as pair, scratch() as www:
        wanted = make_file(os.path.join(www, "f"), 100000)
        afar = "2001:db8:7::7"
        run("ip", "addr", "add", afar + "/128", "dev", "lo", ns=pair.peer)
        run("ip", "addr", "add", "fe80::77/64", "dev", "v1", "nodad", ns=pair.peer)
        with serve6(pair, www, "--route", "::/0 via fe80::77") as server:
            usable(pair)
            equal("download", download(pair, "f", address=ENGINE6, extra=("--interface", afar)),
                  wanted)
            server.finish()


@case("over the bad wire files go down and up whole by IPv6", timeout=120)
def _():
    with Pair(v6=True, peer_tx_csum=False) as pair, scratch() as top:
        www, up = os.path.join(top, "www"), os.path.join(top, "up")
        os.mkdir(www)
        os.mkdir(up)
        wanted = make_file(os.path.join(www, "big"), 12 * MIB)
        with serve6(pair, www, "--upload", up, "--rx-csum", "verify") as server:
            usable(pair)
            with BadWire(pair) as wire:
                equal("download", download(pair, "big", timeout=50, address=ENGINE6), wanted)
                upload(pair, os.path.join(www, "big"), "big", timeout=50, address=ENGINE6)
                equal("upload", sha256_file(os.path.join(up, "big")), wanted)
                wire.check_was_bad()
                settle(pair)
            check(server.finish()["tcp.retrans_segs"] > 0, "nothing was retransmitted")


@case("the peer's MTU shrinks: packet too big by ICMPv6 is believed (RFC 8201)")
def _():
    with Pair(v6=True) as pair, scratch() as www:
        wanted = make_file(os.path.join(www, "f"), 4 * MIB)
        afar = "2001:db8:7::7"
        # A router of the kernel's between the engine and a second peer behind a small MTU.
        run("ip", "netns", "add", pair.peer.name + "2")
        try:
            run("ip", "link", "add", "w0", "netns", pair.peer.name, "mtu", "1300", "type", "veth",
                "peer", "name", "w1", "netns", pair.peer.name + "2", "mtu", "1500")
            far = Namespace(pair.peer.name + "2")
            run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1", ns=pair.peer)
            run("ip", "addr", "add", "2001:db8:7::1/64", "dev", "w0", "nodad", ns=pair.peer)
            run("ip", "addr", "add", afar + "/64", "dev", "w1", "nodad", ns=far)
            run("ip", "link", "set", "w0", "up", ns=pair.peer)
            run("ip", "link", "set", "w1", "up", ns=far)
            run("ip", "route", "add", "default", "via", "2001:db8:7::1", ns=far)
            with serve6(pair, www, "--gateway", PEER6) as server:
                usable(pair)
                done = Process(["curl", "-g", "-sS", "-m", "20", "-o", os.path.join(www, "got"),
                                url("f", ENGINE6)], ns=far)
                with done:
                    equal("curl's status", done.wait(25), 0)
                equal("download", sha256_file(os.path.join(www, "got")), wanted)
                check(server.finish()["icmp.errors_in"] > 0, "no ICMPv6 error came")
        finally:
            run("ip", "netns", "del", pair.peer.name + "2", ok=False)


main()
