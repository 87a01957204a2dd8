#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_garbage.py - a million frames that no honest host sends do no harm: nothing crashes (under ASan and
UBSan), each frame is counted, and a transfer beside them completes.
"""
from lib import *

FRAMES = 1000000
GARBAGE = os.path.join(BUILD, "tests/tools/garbage")


@contextlib.contextmanager
def garbage(pair, frames, seed):
    check(os.path.exists(GARBAGE), "%s is not built: make tests", GARBAGE)
    mac = pair.arp(ENGINE)
    check(mac, "the engine does not answer ARP")
    with Process([GARBAGE, "v1", str(frames), str(seed), mac.hex(":"), ENGINE, str(PORT)],
                 ns=pair.peer) as sender:
        yield sender


def all_counted(pair, before, counters):
    """Every frame that the peer's interface handed over has a verdict, every drop a reason."""
    sent = pair.counter(pair.peer, "v1", "tx_packets") - before
    verdicts = counters.sum("xdp.pass_") + counters.sum("xdp.redirect_") + counters["xdp.drop"] + \
        counters["xdp.arp_noted"]
    equal("frames with a verdict of the XDP program", verdicts, sent)
    redirected = counters.sum("xdp.redirect_")
    lost = sum(counters["dev." + name] for name in ("rx_dropped", "rx_ring_full",
                                                    "rx_fill_ring_empty"))
    check(counters["dev.rx_packets"] <= redirected <= counters["dev.rx_packets"] + lost,
          "%d redirected, %d received, %d counted as lost between", redirected,
          counters["dev.rx_packets"], lost)


def million(mode, binary, frames, seed):
    with Pair(peer_tx_csum=False) as pair, scratch() as top:
        www, up = os.path.join(top, "www"), os.path.join(top, "up")
        os.mkdir(www)
        os.mkdir(up)
        wanted = make_file(os.path.join(www, "f"), 48 * MIB)
        before = pair.counter(pair.peer, "v1", "tx_packets")
        with serve(pair, www, "--upload", up, "--xdp-mode", mode, "--rate", "80mbit",
                   binary=binary) as server:
            # The transfer is connected before the garbage comes: that is full of SYNs, and a SYN
            # queue that is full of them is right to let no other in.
            with Process(["curl", "-sS", "--fail", "--max-time", "100", "-o",
                          os.path.join(top, "got"), url("f")], ns=pair.peer) as curl:
                wait_for("the transfer's first bytes",
                         lambda: pair.counter(pair.peer, "v1", "rx_bytes") > 100000)
                started = time.monotonic()
                with garbage(pair, frames, seed) as sender:
                    equal("status of the sender", sender.wait(100), 0)
                    note("%.1f s: %s" % (time.monotonic() - started, sender.stdout().decode()))
                    equal("what was sent", sender.stdout().split()[0], b"%d" % frames)
                check(server.alive(), "the process died of the garbage")
                equal("curl's status", curl.wait(100), 0)
            equal("sha256", sha256_file(os.path.join(top, "got")), wanted)
            # And it serves on, once the SYNs of the garbage have been given up or pushed out.
            equal("sha256 of a new connection", download(pair, "f", timeout=60), wanted)
            counters = server.finish()
            all_counted(pair, before, counters)
            for reason in ("ip_truncated", "ip_bad_csum", "tcp_bad_csum", "tcp_bad_hdrlen",
                           "tcp_bad_flags", "ip_bad_hdrlen", "arp_bad", "tcp_truncated"):
                check(counters.dropped(reason) > 0, "no frame was dropped for %s", reason)


@case("a million garbage frames under ASan and UBSan: no crash, all counted, a transfer completes",
      timeout=250)
def _():
    million("generic", sanitized(), FRAMES, seed=20240229)


@case("native attach takes garbage as well: no crash, all counted, a transfer completes", timeout=120)
def _():
    million("native", None, FRAMES // 4, seed=4711)


main()
