#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_capture.py - captures tell the truth: tshark finds no fault in what the peer saw, and the
engine's own pcapng shows both directions and says why a packet was dropped.
"""
from lib import *


@contextlib.contextmanager
def served(pair, *options, **kwargs):
    """(server, directory, sha256 of /f), with an upload directory."""
    with scratch() as top:
        for name in ("www", "up"):
            os.mkdir(os.path.join(top, name))
        wanted = make_file(os.path.join(top, "www", "f"), 4 * MIB)
        with serve(pair, os.path.join(top, "www"), "--upload", os.path.join(top, "up"), *options,
                   **kwargs) as server:
            yield server, top, wanted


def some_traffic(pair, top, wanted):
    """Pings, transfers both ways, a refused connection and a port that is not there."""
    equal("answered pings", ping(pair, count=3), 3)
    equal("sha256", download(pair, "f"), wanted)
    upload(pair, os.path.join(top, "www", "f"), "f")
    equal("sha256", sha256_file(os.path.join(top, "up", "f")), wanted)


def judged(mtu, mode):
    with Pair(mtu=mtu, peer_tx_csum=False) as pair, Capture(pair) as capture, \
            served(pair, "--xdp-mode", mode) as (server, top, wanted):
        some_traffic(pair, top, wanted)
        settle(pair)
        server.finish()
        equal("connections", judge(capture.finish()), 2)


for _mtu in (1500, 9000):
    for _mode in ("generic", "native"):
        case("tshark finds no fault in the peer's capture (MTU %d, %s attach)" % (_mtu, _mode))(
            lambda mtu=_mtu, mode=_mode: judged(mtu, mode))


@case("the engine's pcapng opens in tcpdump and tshark, with both directions and every packet")
def _():
    with Pair(peer_tx_csum=False) as pair, scratch() as directory:
        path = os.path.join(directory, "engine.pcapng")
        with served(pair, "--pcap", path) as (server, top, wanted):
            some_traffic(pair, top, wanted)
            settle(pair)
            counters = server.finish()
        need("tcpdump")
        read = run("tcpdump", "-n", "-r", path, "tcp", timeout=30)
        check(len(read.stdout.splitlines()) > 100, "tcpdump read %d packets: %s",
              len(read.stdout.splitlines()), read.stderr)
        rows = tshark(path, "frame.packet_flags_direction", "ip.src", "_ws.malformed",
                      "frame.time_epoch")
        inbound = [r for r in rows if int(r[0], 0) == 1]
        outbound = [r for r in rows if int(r[0], 0) == 2]
        equal("inbound packets", len(inbound), counters["dev.rx_packets"])
        equal("outbound packets", len(outbound), counters["dev.tx_packets"])
        equal("IP sources of inbound packets", {r[1] for r in inbound if r[1]}, {PEER})
        equal("IP sources of outbound packets", {r[1] for r in outbound if r[1]}, {ENGINE})
        check(not any(r[2] for r in rows), "tshark calls packets malformed")
        age = time.time() - float(rows[0][3])
        check(0 <= age < 60, "the first packet's time is %g s ago", age)


@case("the engine's pcapng gives the reason of a drop as a comment on the packet")
def _():
    with Pair() as pair, scratch() as directory:
        path = os.path.join(directory, "engine.pcapng")
        with served(pair, "--pcap", path) as (server, _, _), \
                pair.peer.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect((ENGINE, 9))
            udp.send(b"nobody listens here")
            wait_for("the drop", lambda: server.counters()["drop.udp_no_port"] == 1)
            server.finish()
        comments = tshark(path, "frame.comment", "ip.src", "udp.dstport", filter="frame.comment")
        check(comments, "no packet has a comment")
        check(any("udp_no_port" in c[0] or "UDP" in c[0] for c in comments if c[2] == "9"),
              "the comments are %r", comments)


@case("--snaplen keeps the first bytes of each packet, and tshark still reads the headers")
def _():
    with Pair() as pair, scratch() as directory:
        path = os.path.join(directory, "engine.pcapng")
        with served(pair, "--pcap", path, "--snaplen", "80") as (server, top, wanted):
            some_traffic(pair, top, wanted)
            server.finish()
        rows = tshark(path, "frame.cap_len", "frame.len", "tcp.dstport")
        equal("longest captured part", max(int(r[0]) for r in rows), 80)
        check(max(int(r[1]) for r in rows) > 1000, "the true lengths are gone")
        check(any(r[2] == str(PORT) for r in rows), "no TCP port is readable")


main()
