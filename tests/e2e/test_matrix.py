#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_matrix.py - a transfer works both ways with every MTU, attach mode and offload of the peer,
with two receive queues, and at the rate that was asked for.
"""
from lib import *

SIZE = 12 * MIB

OFFLOADS = (
    # claim, peer's checksum offload, peer's segmentation offload, policies that work with it
    ("checksums and segmentation offloaded by the peer", True, True, ("auto",)),
    ("checksums offloaded, segments cut by the peer", True, False, ("partial",)),
    ("no offload at the peer", False, False, ("verify", "off")),
)


def both_ways(pair, top, *options):
    """A download and an upload. The counters and the size of the largest packet received."""
    www, up = os.path.join(top, "www"), os.path.join(top, "up")
    wanted = sha256_file(os.path.join(www, "f"))
    with serve(pair, www, "--upload", up, *options, tso=True) as server:
        mode = pair.xdp()
        equal("sha256 of the download", download(pair, "f"), wanted)
        upload(pair, os.path.join(www, "f"), "f")
        equal("sha256 of the upload", sha256_file(os.path.join(up, "f")), wanted)
        os.unlink(os.path.join(up, "f"))
        return mode, server.finish()


@contextlib.contextmanager
def directories():
    with scratch() as top:
        for name in ("www", "up"):
            os.mkdir(os.path.join(top, name))
        make_file(os.path.join(top, "www", "f"), SIZE)
        yield top


def combination(mtu, mode, tx_csum, tso, policies):
    with Pair(mtu=mtu, peer_tx_csum=tx_csum, peer_tso=tso) as pair, directories() as top:
        for policy in policies:
            got, counters = both_ways(pair, top, "--xdp-mode", mode, "--rx-csum", policy)
            equal("attach mode", got, mode)
            equal("corrupt packets", counters.dropped("tcp_bad_csum"), 0)
            if policy == "off":
                check(counters["xdp.csum_unverified"] > 0, "checksums were not left to the engine")
            elif tx_csum:
                check(counters["xdp.csum_partial"] > 0, "no partial checksum was seen")
            else:
                check(counters["xdp.csum_good"] > 0, "no full checksum was seen")
                equal("partial checksums", counters["xdp.csum_partial"], 0)
            if mode == "generic" and tso and mtu == 1500:
                # Uploads come in super-frames: far fewer packets than MTU-sized ones would be.
                check(counters["dev.rx_packets"] < SIZE // 2000,
                      "%d packets: the peer's super-frames did not arrive whole",
                      counters["dev.rx_packets"])


for _mtu in (1500, 9000, 60000):
    for _mode in ("generic", "native"):
        for _claim, _tx, _tso, _policies in OFFLOADS:
            case("MTU %d, %s attach: files go both ways with %s" % (_mtu, _mode, _claim))(
                lambda args=(_mtu, _mode, _tx, _tso, _policies): combination(*args))


@case("chunks of 2048 bytes carry MTU 9000 both ways")
def _():
    with Pair(mtu=9000, peer_tx_csum=False) as pair, directories() as top:
        _, counters = both_ways(pair, top, "--chunk-size", "2048")
        check(counters["dev.rx_chunks"] > 3 * counters["dev.rx_packets"] // 2,
              "hardly a packet came in several chunks")


@case("--rx-csum verify refuses checksums that a local sender left partial, and counts them")
def _():
    with Pair(peer_tx_csum=True) as pair, directories() as top:
        with serve(pair, os.path.join(top, "www"), "--rx-csum", "verify") as server:
            done = run("curl", "-s", "--max-time", "1", url("f"), ns=pair.peer, ok=False)
            equal("curl's status (28: timeout)", done.returncode, 28)
            check(server.finish().dropped("tcp_bad_csum") > 0, "nothing was counted")


@case("--xdp-mode auto attaches in generic mode on veth, where the peer keeps its offloads")
def _():
    with Pair() as pair, directories() as top:
        with serve(pair, os.path.join(top, "www")):
            equal("attach mode", pair.xdp(), "generic")


@case("bursts of segments reach the peer whole; with --tso off each is a packet of its own")
def _():
    with Pair() as pair, directories() as top:
        www = os.path.join(top, "www")
        wanted = sha256_file(os.path.join(www, "f"))
        for tso in (True, False):
            before = pair.counter(pair.peer, "v1", "rx_packets")
            with serve(pair, www, tso=tso) as server:
                equal("sha256", download(pair, "f"), wanted)
                counters = server.finish()
            packets = pair.counter(pair.peer, "v1", "rx_packets") - before
            equal("bursts were handed over", counters["dev.tx_gso_packets"] > 0, tso)
            equal("the peer got fewer packets than there are segments", packets < SIZE // 2000, tso)


def queue_packets(pair):
    stats = run("ethtool", "-S", "v0", ns=pair.engine).stdout
    return [int(n) for n in re.findall(r"rx_queue_\d+_xdp_packets: (\d+)", stats)]


@case("with two receive queues, connections on both are served")
def _():
    with Pair(queues=2) as pair, directories() as top:
        with serve(pair, os.path.join(top, "www"), "--upload", os.path.join(top, "up"),
                   "--xdp-mode", "native") as server:
            wanted = sha256_file(os.path.join(top, "www", "f"))
            part = os.path.join(top, "part")
            make_file(part, MIB)
            with contextlib.ExitStack() as stack:
                curls = [stack.enter_context(Process(
                    ["curl", "-sS", "--fail", "--max-time", "20", "-T", part, url("p%d" % i)],
                    ns=pair.peer)) for i in range(32)]
                for curl in curls:
                    equal("curl's status", curl.wait(25), 0)
            equal("sha256 of a download", download(pair, "f"), wanted)
            wanted = sha256_file(part)
            for i in range(32):
                equal("sha256 of upload %d" % i, sha256_file(os.path.join(top, "up", "p%d" % i)),
                      wanted)
            packets = queue_packets(pair)
            counters = server.finish()
            equal("receive queues", len(packets), 2)
            check(min(packets) > 100, "the queues got %s packets", packets)
            # From a queue without a socket the kernel would have the packet and answer with RST.
            equal("packets without a socket", counters.dropped("xdp_no_xsk"), 0)
            equal("tcp.estab_resets", counters["tcp.estab_resets"], 0)


@case("--rate 100mbit: what goes out is at most that and not far below")
def _():
    rate, burst = 100e6, 64 * 1500 * 8
    with Pair() as pair, directories() as top:
        with serve(pair, os.path.join(top, "www"), "--rate", "100mbit") as server:
            before = pair.counter(pair.peer, "v1", "rx_bytes")
            started = time.monotonic()
            equal("sha256", download(pair, "f", timeout=20),
                  sha256_file(os.path.join(top, "www", "f")))
            seconds = time.monotonic() - started
            bits = 8 * (pair.counter(pair.peer, "v1", "rx_bytes") - before)
            note("%.1f Mbit/s" % (bits / seconds / 1e6))
            check(bits <= 1.1 * rate * seconds + burst, "%.1f Mbit/s", bits / seconds / 1e6)
            check(bits >= 0.5 * rate * seconds, "only %.1f Mbit/s", bits / seconds / 1e6)
            check(server.finish()["dev.shaped"] > 0, "the shaper counted nothing")


main()
